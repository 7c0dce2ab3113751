//! A disk that fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::state_store::journal::disk::{Disk, DiskFile, FileDisk};

/// How many steps are left until every step fails.
#[derive(Clone)]
pub(super) struct Steps(Arc<AtomicU32>);

impl Steps {
    pub(super) fn left(count: u32) -> Self {
        Self(Arc::new(AtomicU32::new(count)))
    }

    pub(super) fn set(&self, count: u32) {
        self.0.store(count, SeqCst);
    }

    pub(super) fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }

    fn take(&self) -> io::Result<()> {
        let taken = self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
    }
}

/// A disk on which steps that change something fail from one of them on. A write that fails has written a part.
pub(super) struct FailingDisk(pub(super) Steps);

struct FailingFile(Box<dyn DiskFile>, Steps);

impl FailingDisk {
    fn wrap(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FailingFile(file?, self.0.clone())))
    }
}

impl Disk for FailingDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        FileDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.take()?;
        self.wrap(FileDisk.create(path))
    }

    fn open(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        self.0.take()?;
        self.wrap(FileDisk.open(path, len))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.take()?;
        FileDisk.rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.take()?;
        FileDisk.sync_directory(path)
    }
}

impl DiskFile for FailingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.1.take() {
            self.0.write(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.take()?;
        self.0.sync()
    }
}
