use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::embedded;
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::export::ExportId;

use super::directory::Directory;
use super::{Export, ShareName, Storage, StorageError, Wanted, fsid};
use crate::data_dir::{DataDir, ExportKey};

/// The grace period begins a little later than the shares are opened. Reclaims can put its end off, to twice the time at most.
const START: Duration = Duration::from_secs(30);

/// Opens all that is wanted, in the order of the command line.
pub(super) async fn open(dir: &DataDir, wanted: &Wanted, grace: Duration) -> Result<Storage, StorageError> {
    let mut names = HashSet::new();
    let directories = wanted.directories.iter().map(|directory| &directory.name);
    if let Some(twice) = wanted.shares.iter().chain(directories).find(|name| !names.insert(name.as_str())) {
        return Err(StorageError::SameName(twice.clone()));
    }
    let directories = wanted.directories.iter().map(|wanted| Directory::find(wanted, dir));
    let directories = directories.collect::<Result<Vec<_>, _>>()?;
    let shares = wanted.shares.iter().map(|name| ExportKey::share(name.as_str()));
    let mut ids =
        dir.export_ids(&shares.chain(directories.iter().map(Directory::key)).collect::<Vec<_>>())?;
    let of_directories = ids.split_off(wanted.shares.len());
    let mut storage = Storage::default();
    for (name, id) in wanted.shares.iter().zip(ids) {
        let path = dir.share(name.as_str());
        let options =
            StoreOptions { fsid: fsid(id), orphans_after: 2 * grace + START, ..StoreOptions::default() };
        let share = embedded::open(&path, options).await;
        let share = share.map_err(|error| StorageError::Share { name: name.clone(), error })?;
        storage.add_share(name, id, &path, share);
    }
    for (directory, id) in directories.into_iter().zip(of_directories) {
        storage.exports.push(directory.open(dir, id)?);
    }
    Ok(storage)
}

impl Storage {
    fn add_share(&mut self, name: &ShareName, id: ExportId, path: &Path, share: StoreFileSystem) {
        let share = Arc::new(share);
        let what = format!("share in {}", path.display());
        self.exports.push(Export { id, path: name.path(), what, fs: share.clone() });
        self.shares.push((name.to_string(), share));
    }
}
