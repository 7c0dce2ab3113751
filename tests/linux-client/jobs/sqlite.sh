#!/usr/bin/env bash
# about: sqlite3 databases with two writers each, on one mount and on two clients
# checks: 8
# limit: 600
set -euo pipefail

rows=60

start=$(date +%s%N)
sqlite_writers shared.db "$DIR" "$DIR" $rows
mount_second
sqlite_writers clients.db "$DIR" "$DIR2" $rows
figures "$((4 * rows)) transactions in $(elapsed "$start") ms"
