#!/usr/bin/env bash
# about: the POSIX suite pjdfstest, as two users
# mounts: default actimeo=0
# checks: 382
# limit: 600
set -euo pipefail

# All that Linux can do. The 16 of 398 that do not run want a read-only remount (13), a second
# file system (2) or a file system with a known LINK_MAX (1).
cat >"$STATE/config.toml" <<'END'
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.02
[dummy_auth]
entries = [["nobody", "nogroup"], ["tests", "tests"]]
END

# Its exit status says "some failed"; the counts below say it better.
pjdfstest -c "$STATE/config.toml" -p "$DIR" >"$STATE/pjdfstest" 2>&1 || true
# Whatever is not a plain "ok", with the message under it.
grep -Ev ' ok$|^$' "$STATE/pjdfstest" | sed -r 's/^[a-z_:0-9]+ +FAILED/FAIL &/' || true

summary=$(grep '^Summary:' "$STATE/pjdfstest")
number_before() { sed -r "s/.* ([0-9]+) $1.*/\1/" <<<"$summary"; }
count failed "$(number_before failed)"
count passed "$(number_before passed)"
figures "$(number_before skipped) skipped"
