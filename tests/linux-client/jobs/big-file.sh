#!/usr/bin/env bash
# about: 256 MiB written in sequence, read back from the server, compared byte for byte
# steps: embedded/default
# checks: 7
set -euo pipefail

mib=256
bytes=$((mib * 1024 * 1024))

start=$(date +%s%N)
check 'written' fileops pattern write big $bytes 1
wrote=$(elapsed "$start")
equal 'size' $bytes "$(stat -c %s big)"
drop_caches
start=$(date +%s%N)
check 'read back' fileops pattern verify big $bytes 1
read=$(elapsed "$start")
mount_second
check 'read by another client' fileops pattern verify "$DIR2/big" $bytes 1
check 'cut' truncate -s $((bytes - 1048576)) big
refuse 'the end is gone' fileops pattern verify big $bytes 1
check 'the rest is there' fileops pattern verify big $((bytes - 1048576)) 1
figures "write $((mib * 1000 / wrote)) MiB/s, read $((mib * 1000 / read)) MiB/s"
