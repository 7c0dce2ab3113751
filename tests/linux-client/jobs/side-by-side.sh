#!/usr/bin/env bash
# about: one export mounted with 4.0, 4.1 and 4.2 at once: locks, exclusive creates, data, names, sqlite, git across them
# versions: 4.2
# steps: embedded/default
# checks: 151
# limit: 600
set -euo pipefail

# The step's own mount is 4.2. The others belong to a second client, with a name and a network of its own.
# Deny modes are not among the checks: Linux never asks for one.
declare -A mount=([4.2]=$MNT [4.1]=/mnt/v41 [4.0]=/mnt/v40) dir=([4.2]=$DIR)
for v in 4.1 4.0; do
  mount_second $v "${mount[$v]}"
  dir[$v]=$DIR2
done
pairs=('4.0 4.2' '4.2 4.0' '4.0 4.1' '4.1 4.0' '4.1 4.2' '4.2 4.1')

# stats MOUNT: what the kernel counts of one mount.
stats() { gawk -v mount="$1" '$1 == "device" { inside = ($5 == mount) } inside' /proc/self/mountstats; }
# requests MOUNT: how many it has sent, of all operations.
requests() { stats "$1" | gawk 'ops { sum += $2 } /per-op statistics/ { ops = 1 } END { print sum + 0 }'; }
# protocol MOUNT: the version it has at the moment, and whether that works in sessions.
protocol() { stats "$1" | gawk '$1 == "opts:" { match($2, /vers=[0-9.]+/); v = substr($2, RSTART, RLENGTH) } /^[[:space:]]*nfsv4:/ { print v, /,sessions/ ? "sessions" : "no sessions" }'; }

# between A B, and later both_used WHAT: in between, both mounts were what they are called and sent requests.
between() {
  a=$1 b=$2 A=${dir[$1]} B=${dir[$2]}
  sent_a=$(requests "${mount[$a]}")
  sent_b=$(requests "${mount[$b]}")
}
both_used() {
  local found
  found="$(protocol "${mount[$a]}"), $(protocol "${mount[$b]}")"
  found+=", $(($(requests "${mount[$a]}") > sent_a)) $(($(requests "${mount[$b]}") > sent_b))"
  equal "$1: over vers=$a and vers=$b" "$(expected_protocol "$a"), $(expected_protocol "$b"), 1 1" "$found"
}
expected_protocol() { case $1 in 4.0) echo 'vers=4.0 no sessions' ;; *) echo "vers=$1 sessions" ;; esac; }

locks_across() {
  local kind
  for kind in fcntl flock; do
    hold h "$A/locked" $kind write 0 0
    probe "$kind write of $a against write of $b" taken "$B/locked" $kind write 0 0
    probe "$kind write of $a against read of $b" taken "$B/locked" $kind read 0 0
    release h
    probe "$kind write of $a, released" free "$B/locked" $kind write 0 0
    hold h "$A/locked" $kind read 0 0
    probe "$kind read of $a beside read of $b" free "$B/locked" $kind read 0 0
    probe "$kind read of $a against write of $b" taken "$B/locked" $kind write 0 0
    release h
  done
  hold h "$A/locked" fcntl write 100 100
  probe "range of $a, beside it in $b" free "$B/locked" fcntl write 200 0
  equal "range of $a, named to $b" 'write 100 100' "$(fileops getlk "$B/locked" read 0 0)"
  release h
}

# A lock that waits in one version is granted when the other version's lets go.
waits_across() {
  hold h "$A/locked" fcntl write 0 0
  rm -f "$STATE"/w.*
  fileops lock "$B/locked" fcntl write 0 0 wait "$STATE/w" &
  echo $! >"$STATE/w.pid"
  await w asked
  sleep 1
  refuse "$b waits while $a holds" test -e "$STATE/w.locked"
  release h
  check "$b has it after $a" await w locked
  release w
}

data_across() {
  equal "new file of $a in $b" one "$(echo one >"$A/data" && cat "$B/data")"
  equal "appended by $b" 'one two' "$(echo two >>"$B/data" && xargs <"$A/data")"
  truncate -s 5 "$A/data"
  chmod 640 "$A/data"
  drop_caches
  equal "size and mode set by $a" '5 640' "$(stat -c '%s %a' "$B/data")"
  mv "$B/data" "$B/moved"
  drop_caches
  equal "renamed by $b" 'moved' "$(cd "$A" && find . -maxdepth 1 \( -name data -o -name moved \) -printf '%f')"
  # Open through one version while the other takes the name away, then while it gives it to another file.
  exec 5<"$A/moved"
  rm "$B/moved"
  equal "open in $a, removed by $b" 'one t' "$(xargs <&5)"
  exec 5<&-
  echo other >"$B/moved"
  drop_caches
  exec 5<"$A/moved"
  echo third >"$B/third"
  mv "$B/third" "$B/moved"
  equal "open in $a, replaced by $b" other "$(cat <&5)"
  exec 5<&-
  drop_caches
  equal "the name in $a is the new file" third "$(cat "$A/moved")"
  rm "$A/moved"
}

echo x >locked
for pair in "${pairs[@]}"; do
  # shellcheck disable=SC2086 # two words
  between $pair
  locks_across
  both_used locks
  data_across
  both_used data
done
for pair in "${pairs[@]:0:2}"; do
  # shellcheck disable=SC2086
  between $pair
  waits_across
  both_used waiting
done

# O_EXCL: of three that create the same names, one wins each.
race() { local i; for ((i = 0; i < 40; i++)); do (set -C; : >"$1/race$i") 2>/dev/null && echo "$i"; done; return 0; }
for v in 4.0 4.1 4.2; do race "${dir[$v]}" >"$STATE/race$v" & done
wait
equal 'every name made once' '40 40' "$(cat "$STATE"/race4.* | wc -l) $(sort -u "$STATE"/race4.* | wc -l)"

for pair in '4.0 4.2' '4.0 4.1'; do
  # shellcheck disable=SC2086
  between $pair
  sqlite_writers "between-$a-$b.db" "$A" "$B" 30
  both_used sqlite
done

export GIT_CONFIG_GLOBAL=$STATE/gitconfig
git config --global user.name tests
git config --global user.email tests@localhost
git config --global init.defaultBranch main
between 4.0 4.2
git init -q "$A/repository"
for i in {1..40}; do mkdir -p "$A/repository/dir$((i % 5))" && echo "file $i" >"$A/repository/dir$((i % 5))/file$i"; done
check 'git: committed over 4.0' bash -c "cd '$A/repository' && git add . && git commit -q -m 'Over 4.0'"
drop_caches
check 'git: fsck over 4.2' git -C "$B/repository" fsck --full --strict
check 'git: work tree over 4.2' test -z "$(git -C "$B/repository" status --porcelain)"
echo changed >"$B/repository/dir1/file1"
check 'git: committed over 4.2' git -C "$B/repository" commit -q -a -m 'Over 4.2'
drop_caches
equal 'git: both commits over 4.0' 'Over 4.2 Over 4.0' "$(git -C "$A/repository" log --format=%s | xargs)"
check 'git: fsck over 4.0' git -C "$A/repository" fsck --full --strict
both_used git

# Only 4.0 has this operation, so that one mount alone can have sent it.
equal 'OPEN_CONFIRM is sent by 4.0 alone' '1 0 0' "$(for v in 4.0 4.1 4.2; do echo $(($(ops "${mount[$v]}" OPEN_CONFIRM) > 0)); done | xargs)"
figures "LOCK sent $(for v in 4.0 4.1 4.2; do echo "$(ops "${mount[$v]}" LOCK) over $v"; done | paste -sd, | sed 's/,/, /g')"
