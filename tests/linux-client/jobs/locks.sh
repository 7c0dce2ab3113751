#!/usr/bin/env bash
# about: flock and byte-range locks between two clients: conflicts, ranges, waiting, release
# checks: 32
set -euo pipefail

# The second mount is a client of its own, in another network namespace. First the proof of that.
mount_second
echo x >file
file2=$DIR2/file
refuse 'the mounts are two file systems to the kernel' test "$(stat -c %d file)" = "$(stat -c %d "$file2")"
equal 'the second client has a name of its own' second "$(cat /run/second-sys/fs/nfs/net/nfs_client/identifier)"
refuse 'which the first has not' grep -q second /sys/fs/nfs/net/nfs_client/identifier
if [ "$VERS" != 4.0 ]; then
  # Different clientids show as different sessions in the kernel's trace.
  echo 1 >/sys/kernel/tracing/events/nfs4/nfs4_sequence_done/enable
  echo >/sys/kernel/tracing/trace
  chmod 600 file
  chmod 644 "$file2"
  echo 0 >/sys/kernel/tracing/events/nfs4/nfs4_sequence_done/enable
  equal 'the clients have different sessions' 2 "$(grep -o 'session=0x[0-9a-f]*' /sys/kernel/tracing/trace | sort -u | wc -l)"
else
  equal 'both clients talk to the server' '1 1' "$(($(ops "$MNT" GETATTR) > 0)) $(($(ops "$SECOND" GETATTR) > 0))"
fi

for kind in fcntl flock; do
  hold a file $kind write 0 0
  probe "$kind: write against write" taken "$file2" $kind write 0 0
  probe "$kind: read against write" taken "$file2" $kind read 0 0
  release a
  probe "$kind: free after release" free "$file2" $kind write 0 0
  hold b "$file2" $kind read 0 0
  probe "$kind: read beside read" free file $kind read 0 0
  probe "$kind: write against read" taken file $kind write 0 0
  release b
done
# Both clients really asked the server.
check 'locks of the first client went to the server' test "$(ops "$MNT" LOCK)" -gt 3
check 'locks of the second client went to the server' test "$(ops "$SECOND" LOCK)" -gt 3

# Byte ranges, the last ones at the end of the 64-bit space.
hold r1 file fcntl write 100 100
probe 'range below' free "$file2" fcntl write 0 100
probe 'range above' free "$file2" fcntl write 200 50
probe 'one byte over' taken "$file2" fcntl write 199 1
probe 'one byte over the start' taken "$file2" fcntl write 0 101
probe 'to the end of file' taken "$file2" fcntl read 150 0
equal 'F_GETLK names the range' 'write 100 100' "$(fileops getlk "$file2" read 0 0)"
equal 'F_GETLK beside it' free "$(fileops getlk "$file2" write 200 0)"
hold r2 "$file2" fcntl write 0x7ffffffffffffff0 15
probe 'far range' taken file fcntl write 0x7ffffffffffffff8 1
probe 'below the far range' free file fcntl write 0x7fffffffffffffe0 16
release r1
probe 'range free after release' free "$file2" fcntl write 100 100
release r2

# A waiting lock is granted when the holder lets go, not before; clients poll, so it takes a while.
for kind in fcntl flock; do
  rm -f "$STATE"/w.*
  hold h file $kind write 0 0
  fileops lock "$file2" $kind write 0 0 wait "$STATE/w" &
  echo $! >"$STATE/w.pid"
  await w asked
  sleep 1
  refuse "$kind: waits while held" test -e "$STATE/w.locked"
  release h
  check "$kind: granted after release" await w locked
  release w
done

# Locks of a process that dies, and of a file that is closed, are released at the server.
hold k file fcntl write 0 0
kill -KILL "$(cat "$STATE/k.pid")"
tail --pid="$(cat "$STATE/k.pid")" -s 0.05 -f /dev/null
probe 'freed by the death of its holder' free "$file2" fcntl write 0 0

# What one client writes under a lock the other reads under its own.
fileops lock file fcntl write 0 0 try "$STATE/c" &
await c locked
echo 'written under the lock' >>file
touch "$STATE/c.release"
wait $! || true
equal 'data follow the lock' 'written under the lock' "$(fileops lock "$file2" fcntl write 0 0 wait && tail -n1 "$file2")"
figures "LOCK sent $(ops "$MNT" LOCK) and $(ops "$SECOND" LOCK) times"
