#!/usr/bin/env bash
# about: a directory of 20,000 entries (on disk 6,000), listed once each, also while it changes
# steps: embedded/default memory/default
# checks: 9
# limit: 600
# shellcheck disable=SC2010 # the names are ours, and `ls -f` lists them as they come
set -euo pipefail

entries=20000
# What is made on disk waits for it.
case $SHARE in embedded | posix) entries=6000 ;; esac

mkdir big
start=$(date +%s%N)
check 'created' fileops entries big 'a-file-name-of-some-length-' $entries
took=$(elapsed "$start")
drop_caches
start=$(date +%s%N)
ls -f -1 big | grep -Fvx -e . -e .. >"$STATE/names"
listed=$(elapsed "$start")
equal 'names listed' $entries "$(wc -l <"$STATE/names")"
equal 'names listed twice' 0 "$(sort "$STATE/names" | uniq -d | wc -l)"
# With -l the client asks for attributes with the entries.
drop_caches
equal 'names with attributes' $entries "$(ls -l big | grep -c '^-rw-r--r-- ')"
equal 'names found by find' $entries "$(find big -type f | sort -u | wc -l)"
# Entries that stay must be listed exactly once while others come and go.
drop_caches
mount_second
(cd "$DIR2/big" && seq 1 2 3999 | sed 's/^/a-file-name-of-some-length-/' | xargs rm -f && fileops entries . new- 500) &
changer=$!
ls -f -1 big | grep '^a-file-name-of-some-length-' | gawk -F- '$NF > 4000 || $NF % 2 == 0' >"$STATE/names"
rc=0
wait $changer || rc=$?
equal 'changed meanwhile' 0 $rc
equal 'names that stay, listed meanwhile' $((entries - 2000)) "$(sort -u "$STATE/names" | wc -l)"
equal 'and none twice' 0 "$(sort "$STATE/names" | uniq -d | wc -l)"
drop_caches
equal 'names in the end' $((entries - 2000 + 500)) "$(ls -f -1 big | grep -cFvx -e . -e ..)"
figures "created in $took ms, listed in $listed ms"
