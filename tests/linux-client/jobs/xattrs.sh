#!/usr/bin/env bash
# about: user.* extended attributes: set, get, list, replace, remove, limits, other users
# versions: 4.2
# checks: 17
set -euo pipefail

touch f
mkdir d
check 'set' setfattr -n user.colour -v green f
check 'set empty' setfattr -n user.empty f
check 'set binary' setfattr -n user.binary -v 0x00ff0a00 f
get() { getfattr --only-values --absolute-names -n "$1" "$2"; }
equal 'get' green "$(get user.colour f)"
equal 'get empty' '' "$(get user.empty f)"
equal 'get binary' 'user.binary=0x00ff0a00' "$(getfattr -e hex -n user.binary f | grep binary)"
equal 'list' 'user.binary user.colour user.empty' "$(getfattr f | grep ^user | sort | xargs)"
check 'replace' setfattr -n user.colour -v blue f
drop_caches
equal 'get replaced' blue "$(get user.colour f)"
check 'on a folder' setfattr -n user.where -v here d
equal 'get from a folder' here "$(get user.where d)"
check 'remove' setfattr -x user.empty f
equal 'list after removal' 'user.binary user.colour' "$(getfattr f | grep ^user | sort | xargs)"
refuse 'get removed' get user.empty f
refuse 'set by a stranger' setpriv --reuid=bob --regid=bob --clear-groups setfattr -n user.colour -v red f
# A list longer than one reply's first guess.
for i in {1..60}; do setfattr -n "user.number-$i-with-a-long-name" -v "$i" d; done
equal 'long list' 61 "$(getfattr d | grep -c ^user)"
long=$(printf '%2000d' 7)
equal 'long value' "$long" "$(setfattr -n user.long -v "$long" f && drop_caches && get user.long f)"
