#!/usr/bin/env bash
# about: sqlite3 databases with two writers each, on one mount and on two clients
# checks: 8
# limit: 600
set -euo pipefail

rows=60

# writer FIRST FOLDER: one transaction per row, waiting for the other writer's locks.
writer() {
  {
    echo '.timeout 60000'
    local i
    for ((i = 0; i < rows; i++)); do
      echo "BEGIN IMMEDIATE; INSERT INTO t VALUES ($(($1 + i)), hex(randomblob(200))); UPDATE c SET n = n + 1; COMMIT;"
    done
  } | sqlite3 -bail "$2"
}

# A lost lock shows as a lost update of the counter or as a damaged page.
two_writers() {
  local name=$1 other=$2 first second rc=0
  sqlite3 "$name" 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE c (n INTEGER); INSERT INTO c VALUES (0);'
  writer 1000 "$name" &
  first=$!
  writer 2000 "$other/$name" &
  second=$!
  wait $first || rc=1
  wait $second || rc=1
  equal "$name: both writers finished" 0 $rc
  drop_caches
  equal "$name: integrity" ok "$(sqlite3 "$name" 'PRAGMA integrity_check')"
  equal "$name: rows" $((2 * rows)) "$(sqlite3 "$name" 'SELECT count(*) FROM t')"
  equal "$name: counter" $((2 * rows)) "$(sqlite3 "$name" 'SELECT n FROM c')"
}

start=$(date +%s%N)
two_writers shared.db "$DIR"
mount_second
two_writers clients.db "$DIR2"
figures "$((4 * rows)) transactions in $(elapsed "$start") ms"
