#!/usr/bin/env bash
# about: delegations: a re-open that costs no OPEN, returned when another client writes, and the size of data that is not written yet
# checks: 17
set -euo pipefail

# A client of 4.0 is called at the address that it gives, which nobody can dial from outside of the guest: it is given no delegation,
# and the same checks count its OPENs. Later versions are called over their own connection.
case $VERS in 4.0) delegated=0 ;; *) delegated=1 ;; esac
# with A B: A where there are delegations, B where there are none.
with() { if [ $delegated = 1 ]; then echo "$1"; else echo "$2"; fi; }

mount_second
# since OPERATION: how many of it the first client has sent since `mark`.
mark() { for op in OPEN OPEN_NOATTR DELEGRETURN WRITE; do ops "$MNT" $op >"$STATE/mark.$op" || true; done; }
since() { echo $(($(ops "$MNT" "$1") - $(cat "$STATE/mark.$1"))); }
opens() { echo $(($(since OPEN) + $(since OPEN_NOATTR))); }
# counter NAME: what the server's counters of that name add up to. Clients of all versions are counted in it, so it tells the least.
counter() {
  exec 9<>"/dev/tcp/$SERVER/$API_PORT"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&9
  gawk -v name="$1{" 'index($0, name) == 1 { sum += $NF } END { print sum + 0 }' <&9
  exec 9>&-
}
# counted NAME BEFORE: whether the server has counted something since. Another server than dfs has no such counters.
counted() { [ -z "$API_PORT" ] || [ "$(with 1 0)" = 0 ] || [ "$(counter "$1")" -gt "$2" ]; }
before() { if [ -n "$API_PORT" ]; then counter "$1"; else echo 0; fi; }
# until_sent OPERATION N: a delegation may be returned in the background.
until_sent() {
  local tries=0
  until [ "$(since "$1")" -ge "$2" ]; do
    sleep 0.1
    tries=$((tries + 1))
    [ $tries -lt 100 ] || return 1
  done
}

# A read delegation: made and written by the other client, so that this one never had it open for writing.
echo contents >"$DIR2/file"
# The server gives no delegation of a file for some seconds after a recall, and the other client had one to return.
cat file >/dev/null
sleep 6
mark
equal 'the first open' contents "$(cat file)"
equal 'costs an OPEN' 1 "$(opens)"
mark
for _ in {1..10}; do cat file; done >"$STATE/read"
equal 'ten more read the same' 10 "$(grep -c contents "$STATE/read")"
equal 'and cost no OPEN with a delegation' "$(with 0 10)" "$(opens)"
mark
recalled=$(before dittofs_delegations_recalled_total) returned=$(before dittofs_delegations_returned_total)
start=$(date +%s%N)
check 'the other client writes' bash -c "echo changed >'$DIR2/file'"
took=$(elapsed "$start")
check 'the delegation is returned' until_sent DELEGRETURN "$(with 1 0)"
equal 'once' "$(with 1 0)" "$(since DELEGRETURN)"
check 'the server has counted the recall' counted dittofs_delegations_recalled_total "$recalled"
check 'and the return' counted dittofs_delegations_returned_total "$returned"
check 'and nobody waited long for it' test "$took" -lt 10000
equal 'what the other wrote is read' changed "$(cat file)"

# A write delegation: what is written stays with the client, and others see its size. Whoever closes the file begins to write it out,
# delegation or not: so this writer keeps it open.
mark
mkfifo "$STATE/own.close"
gawk -v state="$STATE" '
  BEGIN {
    for (i = 0; i < 5000; i++) printf "x" > "own"
    fflush("own")
    wrote = state "/own.wrote"
    print > wrote
    close(wrote)
    getline < (state "/own.close")
  }' &
writer=$!
await own wrote
equal 'nothing is written yet' 0 "$(since WRITE)"
equal 'its size as the other client sees it' "$(with 5000 0)" "$(stat -c %s "$DIR2/own")"
equal 'which did not have it written' 0 "$(since WRITE)"
equal 'nor the delegation returned' 0 "$(since DELEGRETURN)"
echo >"$STATE/own.close"
wait $writer
equal 'what the other client reads after that' 5000 "$(wc -c <"$DIR2/own")"
equal 'for which the delegation was returned' "$(with 1 0)" "$(since DELEGRETURN)"
figures "the other client's write took $took ms; recalls of all clients that the server has counted: $(before dittofs_delegations_recalled_total)"
