#!/usr/bin/env bash
# about: the example archive_export: a tar file mounted beside the share, compared with what went into it (`examples` alone starts it)
# needs: ARCHIVE_PORT
# checks: 12
set -euo pipefail

archive=/mnt/archive
mkdir -p $archive
check 'mount' mount.nfs4 "$SERVER:/export" $archive -o "$(sed "s/port=[0-9]*/port=$ARCHIVE_PORT/" <<<"$MOUNT_OPTIONS")"
cd $archive/tree

listing() {
  find . -printf '%p %y %#m %U %G %T@ %l\n' | LC_ALL=C sort
  find . ! -type d -printf '%p %n %s\n' | LC_ALL=C sort
}
start=$(date +%s%N)
check 'names, types, modes, owners, times, targets, links, sizes' diff ../list <(listing)
took=$(elapsed "$start")
check 'bytes' sha256sum -s -c ../sums
equal 'bytes in the middle of a hole' 'in the middle' "$(dd if=a/sparse bs=1 skip=500000000 count=13 status=none)"
check 'the hole is one' test "$(stat -c %b a/sparse)" -lt 1000
equal 'a hard link is the same file' "$(stat -c %i a/random)" "$(stat -c %i 'a/b/hard link')"
drop_caches
equal 'a folder of 1,000, listed again' 1000 "$(find many -type f -printf 'x\n' | wc -l)"
equal 'its owner may read it' secret "$(setpriv --reuid 1001 --regid 1001 --clear-groups cat secret)"
refuse 'others may not' setpriv --reuid 1002 --regid 1002 --clear-groups cat secret
refuse 'nothing can be written' bash -c 'echo z >>a/random'
refuse 'nor made or removed' bash -c 'mkdir new || rm secret || mv secret a'
cd /
check 'unmount' umount $archive
figures "listed in $took ms"
