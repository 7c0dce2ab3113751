#!/usr/bin/env bash
# about: times, long names, odd bytes, deep folders, symbolic links, statfs
# checks: 13
set -euo pipefail

touch -d '2038-01-19 03:14:08.000000001Z' late
touch -d '1950-01-01 00:00:00Z' early
drop_caches
equal 'a time after 2038' 2147483648.0000000010 "$(find late -printf '%T@')"
equal 'a time before 1970' -631152000.0000000000 "$(find early -printf '%T@')"
long=$(printf 'n%.0s' {1..255})
check 'a name of 255 bytes' touch "$long"
refuse 'a name of 256 bytes' touch "${long}n"
odd=$'tab\t\xff\xfe new\nline "quote" \\'
# A server may refuse names that are not UTF-8, but must not change them.
if touch "$odd" 2>/dev/null; then
  equal 'odd bytes in a name' "$odd" "$(find . -name 'tab*' -printf '%f')"
else
  equal 'odd bytes in a name' '' "$(find . -name 'tab*')"
fi
deep=$(printf 'd/%.0s' {1..100})
check 'a hundred folders deep' mkdir -p "$deep"
check 'a file there' bash -c "echo deep >'$deep/file' && drop_caches && grep -q deep '$deep/file'"
equal 'links of a folder' 3 "$(stat -c %h d)"
target=$(printf '%01000d' 1)
ln -s "$target" link
drop_caches
equal 'a long symbolic link' "$target" "$(readlink link)"
before=$(stat -c %Z late)
sleep 1.1
chmod 600 late
check 'the change time moves' test "$(stat -c %Z late)" -gt "$before"
check 'free space is told' test "$(stat -f -c %a .)" -gt 0
equal 'name length is told' 255 "$(stat -f -c %l .)"
exec 5>>appended
for i in 1 2 3; do echo "$i" >&5; done
exec 5>&-
equal 'appended' '1 2 3' "$(xargs <appended)"
