#!/usr/bin/env bash
# about: cp -a of a tree of 5,000 files (on disk 1,000), compared byte for byte and with all metadata
# steps: embedded/default memory/default
# checks: 7
# limit: 600
set -euo pipefail

source=/tmp/tree
folders=50
per_folder=100
# What is made on disk waits for it.
case $SHARE in embedded | posix) folders=10 ;; esac

# Plain files by the shell's own printf: a process for each would take longer than the test.
generate() {
  local d i body
  for ((d = 0; d < folders; d++)); do
    mkdir -p "$source/d$((d % 7))/dir $d"
    cd "$source/d$((d % 7))/dir $d"
    for ((i = 0; i < per_folder; i++)); do
      printf -v body '%*d' $(((d * 131 + i * 977) % 6000)) $((d * 1000 + i))
      printf '%s' "$body" >"file $i"
    done
    [ $((d % 5)) != 0 ] || special_entries
  done
  cd $source
  mkfifo fifo
  mknod device c 1 3
  printf 'x' >$'name with \n newline and \xc3\xa4'
  truncate -s 5000000000 sparse
  find . -type d -exec touch -d '2020-02-02 02:02:02.020202020Z' {} +
}

# In every fifth folder: links of both kinds, odd modes, owners and times.
special_entries() {
  ln -s 'file 1' 'a link'
  touch -h -d '2001-01-01Z' 'a link'
  ln -s /nonexistent dangling
  ln 'file 2' 'hard link'
  ln 'file 2' '../hard link'"${PWD##* }"
  chmod 4755 'file 3'
  chmod 2750 .
  chmod 0 'file 4'
  chown alice:project 'file 5'
  touch -d '1969-07-20 20:17:40.123456789Z' 'file 6'
  touch -d '2106-02-08 00:00:00.000000001Z' 'file 7'
}

# Type, mode, owner, links, size, modification time in full, target: of everything, in order.
listing() { (cd "$1" && find . -printf '%p %y %#m %U %G %n %s %T@ %l\n' | sort); }
# Files only: the size of a folder is each file system's own.
without_folder_sizes() { sed -E 's/^(.* d [0-7]+ [0-9]+ [0-9]+) [0-9]+ [0-9]+ /\1 /'; }
# Names that are the same file, grouped: hard links must stay links.
links() { (cd "$1" && find . -type f -links +1 -printf '%i %p\n' | sort -k2 | gawk '{ i = $1; $1 = ""; group[i] = group[i] "|" $0 } END { for (i in group) print group[i] }' | sort); }

(generate)
equal 'files generated' $((folders * per_folder + 2)) "$(find $source -type f -not -name 'hard link*' -printf x | wc -c)"
start=$(date +%s%N)
check 'cp -a' cp -a $source copy
took=$(elapsed "$start")
drop_caches
check 'contents' diff -r --no-dereference --exclude=sparse --exclude=fifo --exclude=device $source copy
equal 'sparse file is all zeros' 0 "$(head -c 1000000 copy/sparse | tr -d '\0' | wc -c)"
listing $source | without_folder_sizes >"$STATE/wanted"
listing copy | without_folder_sizes >"$STATE/found"
check 'metadata' diff "$STATE/wanted" "$STATE/found"
check 'hard links' diff <(links $source) <(links copy)
check 'removal' rm -rf copy
rm -rf $source
figures "$((folders * per_folder)) files copied in $took ms"
