#!/usr/bin/env bash
# about: git clone of a local repository onto the mount, then fsck, checkouts and commits
# steps: embedded/default
# checks: 12
set -euo pipefail

commits=300
source=/tmp/source
export GIT_CONFIG_GLOBAL=$STATE/gitconfig
git config --global user.name tests
git config --global user.email tests@localhost
git config --global init.defaultBranch main
git config --global advice.detachedHead false

# A history in one stream: hundreds of calls of git would measure the emulator. Each commit adds
# a file in one of 20 folders and changes one that all have; `half` is the state in the middle.
stream() {
  local i
  for ((i = 1; i <= commits; i++)); do
    echo 'commit refs/heads/main'
    echo "mark :$i"
    echo "committer tests <tests@localhost> $((1600000000 + i)) +0000"
    printf 'data %d\nchange %d\n' $((7 + ${#i})) "$i"
    [ $i = 1 ] || echo "from :$((i - 1))"
    echo "M 100644 inline dir$((i % 20))/file$i"
    printf 'data %d\nfile %s\n%0400d\n' $((5 + ${#i} + 1 + 400)) "$i" "$i"
    echo 'M 100755 inline common'
    printf 'data %d\n%0200d\n' 200 "$i"
  done
  printf 'reset refs/heads/half\nfrom :%d\n' $((commits / 2))
}

rm -rf $source
git init -q $source
stream | git -C $source fast-import --quiet
git -C $source checkout -q main

start=$(date +%s%N)
check 'clone' git clone -q $source clone
took=$(elapsed "$start")
cd clone
check 'fsck' git fsck --full --strict
equal 'commits' $commits "$(git rev-list --count HEAD)"
equal 'files' $((commits + 1)) "$(git ls-files | wc -l)"
check 'nothing differs after the clone' test -z "$(git status --porcelain)"
check 'work tree is the source' diff -r --exclude=.git $source .
check 'checkout of another branch' git checkout -q half
equal 'files of that branch' $((commits / 2 + 1)) "$(git ls-files | wc -l)"
check 'checkout back' git checkout -q main
echo changed >common
git mv dir1 moved
check 'commit' git commit -q -a -m 'Change on the mount'
drop_caches
check 'repack' git gc -q
check 'fsck after repack' git fsck --full --strict
rm -rf $source
figures "clone of $commits commits in $took ms"
