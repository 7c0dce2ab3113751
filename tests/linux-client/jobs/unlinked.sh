#!/usr/bin/env bash
# about: files that are open while they are unlinked, replaced by a rename, or moved
# checks: 13
set -euo pipefail

echo first >f
exec 5<>f
rm f
refuse 'the name is gone' test -e f
equal 'read after unlink' first "$(cat /proc/self/fd/5)"
check 'write after unlink' bash -c 'head -c 100000 /dev/zero >&5'
drop_caches
equal 'size after unlink' 100000 "$(stat -L -c %s /proc/self/fd/5)"
echo another >f
equal 'a new file of the same name is another' another "$(cat f)"
equal 'the old one is unchanged' 100000 "$(wc -c </proc/self/fd/5)"
exec 5>&-

echo old >target
echo new >source
exec 6<target
check 'rename over an open file' mv source target
equal 'the name is the new one' new "$(cat target)"
equal 'the open file is the old one' old "$(cat <&6)"
exec 6<&-

mkdir -p a/b
echo moved >a/b/file
exec 7<a/b/file
check 'rename of a folder with an open file' mv a c
equal 'read after the move' moved "$(cat <&7)"
exec 7<&-
equal 'found at the new place' moved "$(cat c/b/file)"
drop_caches
# Nothing like .nfs0123 stays behind: the server keeps the file, or the client removed its own.
equal 'no left-overs' '' "$(find . -name '.nfs*')"
