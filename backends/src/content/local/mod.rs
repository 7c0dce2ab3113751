//! Contents as files of a local file system.
//!
//! # Layout
//! Contents with the number `n` are the file `{n >> 20}/{n >> 10 & 0x3ff}/{n}`, all in hexadecimal: numbers that follow each other share a
//! directory, and names in order are numbers in order. Files are made by the first change and hold nothing but the bytes. Whatever
//! else is in the directories is passed over. A directory goes with the last file in it, unless it is the newest, which new files are
//! about to come into; one that a crash left empty stays, and does no harm.
//!
//! # Threads
//! A read of what is in the page cache is carried out where it is asked for (`RWF_NOWAIT`), and so is a short write where the file system can
//! tell that it will not wait. Everything else that may wait for a device has a thread of the runtime's blocking pool. A call whose future is
//! dropped is carried out to its end all the same.
//!
//! # Durability
//! A sync is an `fdatasync`; the first one after a file was opened is an `fsync`, of its directory too, and of those above it where they
//! may be new. Those who wait for the same file share a flush. A file with changes that are not durable is flushed before it is closed to
//! make room for others: the kernel could not tell anybody of their loss afterwards. What a failed flush means is said in `sync.rs`.

mod cache;
mod clone;
mod copy;
mod directory;
mod disk;
mod error;
mod file;
mod layout;
mod shared;
mod sync;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dittofs_framework::fs::DataOrHole;
use dittofs_framework::storage::{ContentSize, ContentStore, Copied, Ino, Room, StorageError, StorageResult};

use self::copy::Place;
use self::disk::{Disk, Kernel};
use self::file::Reading;
use self::shared::Shared;

/// Reads and writes of up to so many bytes are tried where they are asked for: copying them takes no longer than handing them over to
/// another thread does.
const MAX_INLINE: usize = 1 << 20;

/// How contents are kept in a local file system.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Files that are kept open; calls under way may exceed it.
    pub max_open_files: usize,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { max_open_files: 1024 }
    }
}

/// Contents as files of a local file system, one each. Calls are made within a tokio runtime.
pub struct LocalContentStore {
    shared: Arc<Shared>,
}

impl LocalContentStore {
    /// Opens the store in a directory, which is made if it is not there. One store at a time may be open in a directory; the caller sees to
    /// that. Takes no longer for many files than for none. Waits for the device.
    ///
    /// # Errors
    /// The directory cannot be made or opened.
    pub fn open(directory: &Path, options: &LocalOptions) -> io::Result<Self> {
        Self::open_on(directory, options, Box::new(Kernel))
    }

    fn open_on(directory: &Path, options: &LocalOptions, disk: Box<dyn Disk>) -> io::Result<Self> {
        let shared = Shared::open(directory, options.max_open_files, disk)?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Does what may wait for the device.
    async fn wait_for<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Shared) -> StorageResult<T> + Send + 'static,
    ) -> StorageResult<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || call(&shared)).await.map_err(StorageError::failed)?
    }
}

/// Checks the end of a range that is to be filled.
fn check_range(max_len: u64, offset: u64, len: u64) -> StorageResult<()> {
    match offset.checked_add(len) {
        Some(end) if end <= max_len => Ok(()),
        _ => Err(StorageError::TooLarge),
    }
}

#[async_trait]
impl ContentStore for LocalContentStore {
    async fn read(&self, id: Ino, offset: u64, count: u32) -> StorageResult<Bytes> {
        let is_inline = usize::try_from(count).is_ok_and(|count| count <= MAX_INLINE);
        let mut begun = if is_inline { self.shared.read_cached(id, offset, count)? } else { None };
        if let Some((_, reading)) = begun.take_if(|(_, reading)| reading.is_done()) {
            return Ok(reading.into_bytes());
        }
        self.wait_for(move |shared| {
            let (file, mut reading) = if let Some(begun) = begun {
                begun
            } else {
                let Some(file) = shared.find(id)? else { return Ok(Bytes::new()) };
                let reading = Reading::new(&file, offset, count);
                (file, reading)
            };
            reading.read(&*shared.disk, &file)?;
            Ok(reading.into_bytes())
        })
        .await
    }

    async fn write(&self, id: Ino, offset: u64, data: Bytes) -> StorageResult<ContentSize> {
        if data.is_empty() {
            return Ok(self.size(id).await?.unwrap_or_default());
        }
        check_range(self.max_len(), offset, data.len() as u64)?;
        let mut written = 0;
        if data.len() <= MAX_INLINE
            && let Some((file, count)) = self.shared.write_cached(id, offset, &data)?
        {
            if count == data.len() {
                return file.size();
            }
            written = count;
        }
        self.wait_for(move |shared| shared.make(id)?.write(&*shared.disk, offset, &data, written)).await
    }

    async fn truncate(&self, id: Ino, len: u64) -> StorageResult<ContentSize> {
        check_range(self.max_len(), 0, len)?;
        self.wait_for(move |shared| shared.truncate(id, len)).await
    }

    async fn allocate(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        if len == 0 {
            return Ok(self.size(id).await?.unwrap_or_default());
        }
        check_range(self.max_len(), offset, len)?;
        self.wait_for(move |shared| shared.make(id)?.allocate(&*shared.disk, offset, len)).await
    }

    async fn punch(&self, id: Ino, offset: u64, len: u64) -> StorageResult<ContentSize> {
        self.wait_for(move |shared| {
            let Some(file) = shared.find(id)? else { return Ok(ContentSize::default()) };
            file.punch(&*shared.disk, offset, len)?;
            file.size()
        })
        .await
    }

    async fn seek(&self, id: Ino, offset: u64, what: DataOrHole) -> StorageResult<Option<u64>> {
        self.wait_for(move |shared| match shared.find(id)? {
            Some(file) => file.seek(offset, what),
            None => Ok(None),
        })
        .await
    }

    async fn copy(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<Copied> {
        let max_len = self.max_len();
        self.wait_for(move |shared| {
            let source = shared.find(from)?;
            let len =
                source.as_ref().map_or(0, |file| copy::copy_len(Place { file, offset: from_offset }, len));
            let (Some(source), 1..) = (source, len) else {
                return Ok(Copied { count: 0, to: shared.size(to)?.unwrap_or_default() });
            };
            check_range(max_len, to_offset, len)?;
            let target = shared.make(to)?;
            let from = Place { file: &source, offset: from_offset };
            let to = Place { file: &target, offset: to_offset };
            let count = copy::copy(&*shared.disk, from, to, len)?;
            Ok(Copied { count, to: target.size()? })
        })
        .await
    }

    async fn clone_range(
        &self,
        from: Ino,
        from_offset: u64,
        to: Ino,
        to_offset: u64,
        len: u64,
    ) -> StorageResult<ContentSize> {
        check_range(self.max_len(), to_offset, len)?;
        if len == 0 {
            return Ok(self.size(to).await?.unwrap_or_default());
        }
        self.wait_for(move |shared| {
            // A source that is not there does not reach as far as the range.
            let source = shared.find(from)?.ok_or(StorageError::NotSupported)?;
            let target = shared.make(to)?;
            let from = Place { file: &source, offset: from_offset };
            copy::clone_range(&*shared.disk, from, Place { file: &target, offset: to_offset }, len)?;
            target.size()
        })
        .await
    }

    async fn sync(&self, id: Ino) -> StorageResult<()> {
        let file = match self.shared.cache.get(id) {
            Some(file) => Some(file),
            None => self.wait_for(move |shared| shared.find(id)).await?,
        };
        match file {
            Some(file) => sync::sync(&self.shared, file).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, id: Ino) -> StorageResult<()> {
        self.wait_for(move |shared| shared.remove(id)).await
    }

    async fn size(&self, id: Ino) -> StorageResult<Option<ContentSize>> {
        match self.shared.cache.get(id) {
            Some(file) if !file.is_removed() => file.size().map(Some),
            _ => self.wait_for(move |shared| shared.size(id)).await,
        }
    }

    async fn scan(&self, after: Ino, limit: usize) -> StorageResult<Vec<(Ino, ContentSize)>> {
        self.wait_for(move |shared| shared.scan(after, limit)).await
    }

    async fn room(&self) -> StorageResult<Room> {
        self.wait_for(Shared::room).await
    }

    fn max_len(&self) -> u64 {
        self.shared.max_len
    }
}
