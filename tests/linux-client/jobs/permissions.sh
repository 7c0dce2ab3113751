#!/usr/bin/env bash
# about: two users, groups, supplementary groups, sticky and set-id bits
# checks: 25
set -euo pipefail

# as USER GROUPS COMMAND...: GROUPS are the supplementary ones, as numbers, or none.
as() {
  local user=$1 groups=$2
  shift 2
  if [ "$groups" = none ]; then
    setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
  else
    setpriv --reuid="$user" --regid="$user" --groups="$groups" "$@"
  fi
}
# The folder above is root's; both may pass through it.
chmod 755 .
mkdir -m 1777 open
cd open

check 'alice writes' as alice none bash -c 'echo secret >private && chmod 600 private'
equal 'the file is hers' '1001 1001' "$(stat -c '%u %g' private)"
refuse 'bob cannot read' as bob none cat private
refuse 'bob cannot write' as bob none bash -c 'echo x >>private'
refuse 'bob cannot chmod' as bob none chmod 666 private
refuse 'bob cannot chown' as bob none chown bob private
refuse 'alice cannot give away' as alice none chown bob private
check 'root reads' cat private
refuse 'bob cannot remove in a sticky folder' as bob none rm -f private
refuse 'nor rename there' as bob none mv private mine

mkdir -m 2770 shared
chgrp 2000 shared
check 'alice writes by her supplementary group' as alice 2000 bash -c 'umask 007; echo shared >shared/file'
equal 'set-gid folder gives its group' 2000 "$(stat -c %g shared/file)"
check 'bob reads with that group' as bob 2000 cat shared/file
refuse 'bob without it does not' as bob none cat shared/file
refuse 'nor with another' as bob 2001 cat shared/file
# AUTH_SYS carries 16 groups; the last counts like the first.
check 'the sixteenth group counts' as bob "$(seq -s, 1101 1115),2000" cat shared/file
check 'alice gives to a group of hers' as alice 2000 chgrp 2000 private
refuse 'not to another' as alice 2000 chgrp 2001 private

check 'set-id bits set' bash -c 'echo x >setid; chown alice:alice setid; chmod 6755 setid'
check 'written by another' bash -c 'chmod o+w setid; setpriv --reuid=bob --regid=bob --clear-groups bash -c "echo y >>setid"'
drop_caches
equal 'set-id bits cleared by it' 757 "$(stat -c %a setid)"
mkdir -m 711 passage
echo found >passage/known
check 'search without read' as bob none cat passage/known
refuse 'listing refused' as bob none ls passage
chmod 755 passage
cp /usr/bin/true passage/program
check 'execute' as bob none passage/program
chmod 744 passage/program
refuse 'execute refused' as bob none passage/program
