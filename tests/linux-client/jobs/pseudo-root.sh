#!/usr/bin/env bash
# about: a mount of the pseudo root, walked into the export; read-only above it
# checks: 9
set -euo pipefail

echo here >file
root=/mnt/root
mkdir -p $root
check 'mount /' mount.nfs4 "$SERVER:/" $root -o "$MOUNT_OPTIONS"
first=$(cut -d/ -f2 <<<"$EXPORT")
equal 'the export is listed' "$first" "$(find $root -mindepth 1 -maxdepth 1 -name "$first" -printf '%f\n')"
equal 'a file through it' here "$(cat "$root$EXPORT/${DIR#"$MNT/"}/file")"
check 'write through it' bash -c "echo there >'$root$EXPORT/${DIR#"$MNT/"}/other'"
equal 'seen on the other mount' there "$(cat other)"
refuse 'the export is another file system' test "$(stat -c %d $root)" = "$(stat -c %d "$root$EXPORT")"
refuse 'nothing can be made in the pseudo root' mkdir $root/new
refuse 'an export that is not there' mount.nfs4 "$SERVER:/no-such-export" /mnt/second -o "$MOUNT_OPTIONS"
# The export was mounted under it by walking; both must go.
check 'unmount' bash -c "umount $root$EXPORT; umount $root"
