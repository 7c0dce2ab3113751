#!/usr/bin/env bash
# about: fallocate, holes punched, SEEK_HOLE and SEEK_DATA, sparse reads
# versions: 4.2
# checks: 16
set -euo pipefail

mib=$((1024 * 1024))
fileops pattern write f $((8 * mib)) 5
cp f expected
check 'punch a hole' fallocate --punch-hole -o $((2 * mib)) -l $((3 * mib)) f
equal 'size stays' $((8 * mib)) "$(stat -c %s f)"
dd if=/dev/zero of=expected bs=1M seek=2 count=3 conv=notrunc status=none
drop_caches
check 'zeros in the hole, the rest untouched' cmp f expected
equal 'SEEK_HOLE finds it' $((2 * mib)) "$(fileops seek f hole 0)"
equal 'SEEK_DATA behind it' $((5 * mib)) "$(fileops seek f data $((2 * mib)))"
equal 'SEEK_DATA within data' 100 "$(fileops seek f data 100)"
equal 'SEEK_HOLE within the hole' $((3 * mib)) "$(fileops seek f hole $((3 * mib)))"
equal 'SEEK_HOLE at the last data is the end' $((8 * mib)) "$(fileops seek f hole $((6 * mib)))"
equal 'SEEK_DATA beyond the end' ENXIO "$(fileops seek f data $((9 * mib)))"
check 'space given back' test "$(stat -c %b f)" -lt $((6 * mib / 512))

check 'allocate' fallocate -l $((4 * mib)) new
equal 'allocated size' $((4 * mib)) "$(stat -c %s new)"
check 'allocated space reads as zeros' cmp new <(head -c $((4 * mib)) /dev/zero)
check 'allocate over data' fallocate -o 0 -l $((8 * mib)) expected
truncate -s $((1024 * mib)) sparse
printf end | dd of=sparse bs=1M seek=1023 conv=notrunc status=none
drop_caches
equal 'first data of a sparse gigabyte' $((1023 * mib)) "$(fileops seek sparse data 0)"
equal 'its end read' end "$(dd if=sparse bs=1M skip=1023 status=none | tr -d '\0')"
