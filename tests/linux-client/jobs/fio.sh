#!/usr/bin/env bash
# about: fio random writes with crc32c verification, direct and through the page cache
# steps: embedded/default
# checks: 4
set -euo pipefail

size=48m
common=(--rw=randwrite --bsrange=4k-64k --size="$size" --verify=crc32c --verify_fatal=1 --randrepeat=1
  --group_reporting --output-format=terse --terse-version=3 --thread)

check 'direct, 16 at a time' fio "${common[@]}" --name=direct --ioengine=libaio --iodepth=16 --direct=1 --do_verify=1
check 'buffered, written' fio "${common[@]}" --name=buffered --ioengine=psync --end_fsync=1 --do_verify=0
# Read from the server, not from what the client still has.
drop_caches
check 'buffered, read back' fio "${common[@]}" --name=buffered --ioengine=psync --verify_only
check 'two writers in one file' fio "${common[@]}" --name=shared --filename=shared --ioengine=psync --size=8m \
  --numjobs=2 --offset_increment=8m --do_verify=1
figures "2 x $size written and verified"
