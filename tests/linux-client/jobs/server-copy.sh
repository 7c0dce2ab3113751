#!/usr/bin/env bash
# about: copies and clones made by the server: copy_file_range, FICLONE, FICLONERANGE
# versions: 4.2
# checks: 15
set -euo pipefail

mib=$((1024 * 1024))
fileops pattern write f $((16 * mib)) 9
before=$(ops "$MNT" WRITE)
equal 'copy_file_range' $((16 * mib)) "$(fileops copy f 0 copy 0 $((16 * mib)))"
check 'the server did it' test "$(ops "$MNT" COPY)" -gt 0
equal 'no data went over the wire' "$before" "$(ops "$MNT" WRITE)"
drop_caches
check 'copy is the same' cmp f copy
equal 'part of a file' 100000 "$(fileops copy f 12345 part 777 100000)"
check 'part is the same' cmp <(tail -c +12346 f | head -c 100000) <(tail -c +778 part)
equal 'nothing before the part' 777 "$(head -c 777 part | tr -cd '\0' | wc -c)"
equal 'beyond the end copies what there is' 1000 "$(fileops copy f $((16 * mib - 1000)) tail 0 5000)"
equal 'within one file' $mib "$(fileops copy f 0 f $((20 * mib)) $mib)"
check 'within one file is the same' cmp <(head -c $mib f) <(tail -c +$((20 * mib + 1)) f)

# Memory can share blocks between files, and a disk if its file system can. Of a server that is not the run's nothing is known.
clones=$DISK_CLONES
case $SHARE in
  memory) clones=yes ;;
  other) if cp --reflink=always f probe 2>/dev/null; then clones=yes; else clones=no; fi ;;
esac
if [ "$clones" = yes ]; then
  check 'clone' cp --reflink=always f clone
  check 'clone is the same' cmp f clone
  check 'clone of a range' fileops clone f $mib ranged 0 $((2 * mib))
  check 'clone of a range is the same' cmp <(tail -c +$((mib + 1)) f | head -c $((2 * mib))) ranged
else
  equal 'no clone' 'FICLONERANGE: Operation not supported' "$(fileops clone f $mib ranged 0 $((2 * mib)) 2>&1 || true)"
  equal 'and nothing in its place' 0 "$(stat -c %s ranged)"
  check 'a copy instead, as cp makes it' cp --reflink=auto f clone
  check 'which is the same' cmp f clone
fi
# A clone shares nothing that a later write would show.
printf changed | dd of=f conv=notrunc status=none
refuse 'a later write does not reach the clone' cmp -s f clone
figures "$(ops "$MNT" COPY) COPY, $(ops "$MNT" CLONE) CLONE"
