#!/usr/bin/env bash
# about: the server killed and started again, once and twice in a row, while two clients lock, write, rename and have removed files open
# steps: embedded/default
# restarts: yes
# checks: 36
# limit: 900
# kernel: lost 1 locks
set -euo pipefail

# A client of 4.0 cannot say that it has reclaimed all, so that with one the grace period lasts its whole time.
case $VERS in 4.0) whole=90 ;; *) whole=0 ;; esac

mount_second
mkdir names
echo first >kept
workers=(locked appended names)
fileops records locked locked "$STATE/locked" 2>"$STATE/locked.error" &
# The other client has it open as well: no delegation makes the lock a matter of one client alone.
until [ -s locked ]; do sleep 0.1; done
exec 7<"$DIR2/locked"
fileops records appended append "$STATE/appended" 2>"$STATE/appended.error" &
fileops names names "$STATE/names" 2>"$STATE/names.error" &

# One transaction per process; what sqlite3 said was committed is counted.
sqlite3 rows.db 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);'
insert_rows() {
  local n=0
  while [ ! -e "$STATE/rows.release" ]; do
    sqlite3 -cmd '.timeout 60000' rows.db "INSERT INTO t VALUES ($n, hex(randomblob(200)));" || return
    n=$((n + 1))
    echo $n >"$STATE/rows.next" && mv "$STATE/rows.next" "$STATE/rows.count"
  done
}
insert_rows 2>"$STATE/rows.error" &

# A file without a name, on each client.
echo 'open here' >here
echo 'open there' >"$DIR2/there"
exec 5<>here 6<>"$DIR2/there"
rm here "$DIR2/there"

# The other client waits for the lock from now on. (After a restart its kernel says that it "lost 1 locks": it counts those that are waited for. Who lost one that he held could
# not write under it any more.)
fileops lock "$DIR2/locked" fcntl write 0 0 wait "$STATE/waiter" &
waiter=$!
await waiter asked

done_by() { cat "$STATE/$1.count" 2>/dev/null || echo 0; }
# further COUNT: until every worker has done so much more.
further() {
  local worker before tries=0
  for worker in "${workers[@]}" rows; do
    before=$(done_by "$worker")
    until [ "$(done_by "$worker")" -ge $((before + $1)) ]; do
      sleep 0.1
      tries=$((tries + 1))
      [ $tries -lt 1200 ] || { echo "$worker: $before, then $(done_by "$worker"): $(cat "$STATE/$worker.error")"; return 1; }
    done
  done
}
grace() { api /api/v1/grace | sed -n "s/.*\"$1\":\([a-z0-9]*\).*/\1/p"; }
numbers() { stat -c %i . locked appended rows.db names /proc/self/fd/5 -L | xargs; }
# Linux has name_to_handle_at(2) for mounts with sessions alone. With 4.0 it is the open files that would not be found with other handles.
handles() {
  local file
  [ "$VERS" != 4.0 ] || return 0
  for file in . locked appended rows.db names; do fileops handle $file; done | xargs
}

# grace_over: until the server says so; $STATE/took has the seconds since it listened.
grace_over() {
  local start
  start=$(date +%s%N)
  # The other client has no work: this is when it learns that there was a restart.
  ls -l "$DIR2" >"$STATE/listing" &
  until [ "$(grace in_force)" = false ]; do
    [ "$(elapsed "$start")" -lt 200000 ] || return 1
    sleep 0.3
  done
  echo $(($(elapsed "$start") / 1000)) >"$STATE/took"
}

# after_restart HOW: 12 checks.
after_restart() {
  local took
  check "$1: the grace period ends" grace_over
  took=$(cat "$STATE/took")
  figures "$(sed 's/$/, /' "$STATE/figures" 2>/dev/null)grace period after $1: $took s"
  if [ $whole -gt 0 ]; then
    check "$1: and not before its time" test "$took" -ge $((whole - 10))
  else
    check "$1: with the last client that reclaims" test "$took" -lt 45
  fi
  equal "$1: clients that came back" '2 of 2' "$(grace completed) of $(grace entitled)"
  check "$1: everybody works on" further 3
  refuse "$1: the lock was not given to who waits" test -e "$STATE/waiter.locked"
  probe "$1: nor to who asks" taken "$DIR2/locked" fcntl write 0 0
  equal "$1: nobody has had an error" '' "$(cat "$STATE"/*.error)"
  drop_caches
  equal "$1: file numbers" "$numbers" "$(numbers)"
  equal "$1: filehandles" "$handles" "$(handles)"
  equal "$1: the removed file" 'open here' "$(head -n1 /proc/self/fd/5)"
  equal "$1: that of the other client" 'open there' "$(head -n1 /proc/self/fd/6)"
  equal "$1: a file from before" first "$(cat "$DIR2/kept")"
}

check 'all are at work' further 3
numbers=$(numbers) handles=$(handles)
check 'killed in the middle, and started again' restart_server
after_restart 'one restart'
check 'killed again' restart_server
# Clients have begun to come back, or have not.
check 'and again' restart_server
after_restart 'two in a row'

check 'written to a removed file' bash -c 'echo more >&5 && sync -d /proc/self/fd/5'
for worker in "${workers[@]}" rows; do touch "$STATE/$worker.release"; done
check 'the lock is given on' await waiter locked
touch "$STATE/waiter.release"
wait $waiter
exec 5>&- 6>&- 7>&-
wait
equal 'at the end nobody has had an error' '' "$(cat "$STATE"/*.error)"
drop_caches
check 'every record written under the lock' fileops recorded locked "$(done_by locked)"
check 'every record appended, as the other client reads them' fileops recorded "$DIR2/appended" "$(done_by appended)"
last=$(($(done_by names)))
equal 'names' "$(for ((i = last - 4; i <= last; i++)); do echo "f$i $i"; done | xargs)" "$(cd names && for f in f*; do echo "$f $(cat "$f")"; done | sort -V | xargs)"
equal 'folders' "d$last" "$(cd names && ls -d d*)"
equal 'the database' "ok $(done_by rows)" "$(sqlite3 rows.db 'PRAGMA integrity_check') $(sqlite3 rows.db 'SELECT count(*) FROM t')"
