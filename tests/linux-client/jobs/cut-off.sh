#!/usr/bin/env bash
# about: a client cut off for longer than its lease: it keeps its locks unless somebody wanted them meanwhile
# versions: 4.0 4.1
# steps: embedded/default
# checks: 21
# lease: 10
# kernel: lost [0-9]+ locks|Lock reclaim failed
# limit: 400
set -euo pipefail

# The second client is the one cut off: its network card goes down. The step's own mount is who stays.
mount_second
lease_of() { gawk -v mount="$1" '$1 == "device" { inside = ($5 == mount) } inside && match($0, /lease_time=[0-9]+/) { print substr($0, RSTART + 11, RLENGTH - 11); exit }' /proc/self/mountstats; }
# Seconds since the client's lease ran out by the client's own reckoning; 0 while it is in time.
overdue() { gawk -v mount="$SECOND" '$1 == "device" { inside = ($5 == mount) } inside && match($0, /lease_expired=[0-9]+/) { print substr($0, RSTART + 14, RLENGTH - 14); exit }' /proc/self/mountstats; }

cut_off() { in_second ip link set eth1 down; }
rejoin() { in_second bash -c 'ip link set eth1 up && ip route add default via 10.0.2.2'; }
# The client counts from when it sent its last renewal, the server from when it heard it: wait for both.
outlast_lease() {
  local tries=0
  until [ "$(overdue)" -ge 3 ]; do
    sleep 1
    tries=$((tries + 1))
    [ $tries -lt $((3 * lease)) ] || { echo "overdue: $(overdue)"; return 1; }
  done
}
# The first request of a client that was away: it comes back in this time or hangs.
back() {
  local start
  start=$(date +%s%N)
  timeout 100 bash -c "echo back >'$DIR2/back'" || return
  elapsed "$start" >>"$STATE/absence"
}

lease=$(lease_of "$SECOND")
check 'the lease is known' test "$lease" -gt 0
echo 0123456789 >quiet
cp quiet wanted
cp quiet other
# Open here as well: no delegation makes the other client keep its locks to itself.
exec 7<quiet 8<wanted 9<other

# Nobody wants the lock: it is still held after the lease, and what is written under it arrives.
hold quiet "$DIR2/quiet" fcntl write 0 0
hold whole "$DIR2/other" flock write 0 0
cut_off
probe 'held right after the cut' taken quiet fcntl write 0 0
check 'cut off for longer than the lease' outlast_lease
rejoin
check 'the client is back' back
equal 'it writes under its lock' ok "$(written_by quiet)"
probe 'its byte-range lock was kept' taken quiet fcntl write 0 0
probe 'and its flock' taken other flock write 0 0
release quiet
release whole
probe 'released after all' free quiet fcntl write 0 0

# Somebody wants one of its locks. While the lease lasts he does not get it.
hold wanted "$DIR2/wanted" fcntl write 0 0
hold other "$DIR2/other" fcntl write 0 0
cut_off
probe 'not given away within the lease' taken wanted fcntl write 0 0
check 'cut off again' outlast_lease
hold new wanted fcntl write 0 0
check 'given to who asked after the lease' test -e "$STATE/new.locked"
equal 'who writes' ok "$(written_by new)"
rejoin
check 'the client is back again, and does not hang' back
equal 'it is told that its lock is lost' 'Input/output error' "$(written_by wanted)"
# A session client loses the lock that was in the way (RFC 8881 section 8.4.2.4), a 4.0 client all it had:
# its lease is gone as a whole (RFC 7530 section 9.6.3).
left=taken
[ "$VERS" != 4.0 ] || left=free
probe 'its lock that nobody wanted' $left other fcntl write 0 0
# With the file closed that is over, though another stays open: new locks last.
release wanted
hold again "$DIR2/quiet" fcntl write 0 0
check 'it works on' ls -l "$DIR2"
equal 'and writes under a new lock' ok "$(written_by again)"
probe 'which it has' taken quiet fcntl write 0 0
release again
release other
probe 'the new holder still has it' taken "$DIR2/wanted" fcntl write 0 0
release new
probe 'the client can lock again' free "$DIR2/wanted" fcntl write 0 0
equal 'only the new holder wrote' w123456789 "$(cat wanted)"
figures "lease of $lease s, back in $(sed 's/$/ ms/' "$STATE/absence" | paste -sd, | sed 's/,/ and /')"
