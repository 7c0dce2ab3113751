#!/usr/bin/env bash
# about: what one client changes another sees: close-to-open, appends, names, exclusive create
# checks: 12
set -euo pipefail

mount_second
equal 'a new file' hello "$(echo hello >a && cat "$DIR2/a")"
equal 'new contents at once' 'hello again' "$(echo 'hello again' >a && cat "$DIR2/a")"
equal 'the other way' answer "$(echo answer >"$DIR2/a" && cat a)"
equal 'a size cut short' 3 "$(truncate -s 3 "$DIR2/a" && wc -c <a)"
mv a b
equal 'a renamed file' ans "$(cat "$DIR2/b")"
rm "$DIR2/b"
refuse 'a removed file' cat b
echo 1 >r
exec 5<r
rm "$DIR2/r"
equal 'removed by the other, still read by who has it open' 1 "$(cat <&5)"
exec 5<&-
mkdir d
equal 'a new folder' d "$(cd "$DIR2" && drop_caches && ls -d d)"
rmdir "$DIR2/d"
check 'a removed folder' bash -c 'drop_caches; ! ls d'
# O_EXCL: of two clients that create the same names, one wins each.
race() { local i; for ((i = 0; i < 40; i++)); do (set -C; : >"$1/race$i") 2>/dev/null && echo "$i"; done; return 0; }
race "$DIR" >"$STATE/one" &
race "$DIR2" >"$STATE/two"
wait
equal 'every name made once' 40 "$(cat "$STATE/one" "$STATE/two" | sort -u | wc -l)"
equal 'no name made twice' 40 "$(cat "$STATE/one" "$STATE/two" | wc -l)"
# Each writes its own blocks of one file.
for i in 0 1 2 3; do
  client=$DIR
  [ $((i % 2)) = 0 ] || client=$DIR2
  head -c 4096 /dev/zero | tr '\0' "$i" | dd of="$client/blocks" bs=4096 seek=$i conv=notrunc status=none
done
drop_caches
equal 'blocks of both writers' '4096 4096 4096 4096' "$(for i in 0 1 2 3; do tr -cd $i <blocks | wc -c; done | xargs)"
