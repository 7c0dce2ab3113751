use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::embedded::{self, OpenError};
use dittofs_backends::store::{StoreFileSystem, StoreOptions};
use dittofs_framework::export::ExportId;

use super::directory::Directory;
use super::{Export, ShareName, Storage, StorageError, Wanted, fsid};
use crate::data_dir::{DataDir, ExportKey, Numbered};

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
    let numbers = dir.numbers(&shares.chain(directories.iter().map(Directory::key)).collect::<Vec<_>>())?;
    let mut exports = numbers.exports.iter();
    let mut storage = Storage::default();
    for (name, number) in wanted.shares.iter().zip(exports.by_ref()) {
        let path = dir.share(name.as_str());
        let share = open_share(name, &path, *number, grace).await?;
        storage.add_share(name, number.id, &path, share);
    }
    // A share is made before its number is entered, so that one with a number was there. What is kept of a directory is under its
    // number, which must not become another's.
    numbers.enter()?;
    for (directory, number) in directories.into_iter().zip(exports) {
        storage.exports.push(directory.open(dir, number.id)?);
    }
    Ok(storage)
}

/// Makes the share only if there never was one.
async fn open_share(
    name: &ShareName,
    path: &Path,
    Numbered { id, is_known }: Numbered,
    grace: Duration,
) -> Result<StoreFileSystem, StorageError> {
    let options =
        StoreOptions { fsid: fsid(id), orphans_after: 2 * grace + START, ..StoreOptions::default() };
    let share = if is_known {
        embedded::open_again(path, options).await
    } else {
        embedded::open(path, options).await
    };
    share.map_err(|error| match error {
        OpenError::Missing { path } => StorageError::LostShare { name: name.clone(), path },
        error => StorageError::Share { name: name.clone(), error },
    })
}

impl Storage {
    fn add_share(&mut self, name: &ShareName, id: ExportId, path: &Path, share: StoreFileSystem) {
        let share = Arc::new(share);
        let what = format!("share in {}", path.display());
        self.exports.push(Export { id, path: name.path(), what, fs: share.clone() });
        self.shares.push((name.to_string(), share));
    }
}
