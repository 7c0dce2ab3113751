//! Copies and clones, within the kernel where it can. They may wait for the device.

use dittofs_framework::fs::DataOrHole;
use dittofs_framework::storage::{StorageError, StorageResult};
use rustix::io::{Errno, retry_on_intr};

use super::disk::Disk;
use super::error::{is_unsupported, storage_error};
use super::file::ContentFile;

/// Most bytes that one call copies: it has a thread all that time.
const MAX_COPY: u64 = 256 << 20;
/// Bytes that are copied at once where the kernel does not.
const BUFFER: usize = 1 << 20;

/// A place in a file.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a ContentFile,
    pub(super) offset: u64,
}

impl Place<'_> {
    fn skip(self, len: u64) -> Self {
        Self { offset: self.offset + len, ..self }
    }
}

/// How many bytes of `len` are to be copied at once.
pub(super) fn copy_len(from: Place<'_>, len: u64) -> u64 {
    from.file.len().saturating_sub(from.offset).min(len).min(MAX_COPY)
}

/// Copies `len` bytes, which the source has; holes stay holes. Returns how many were copied, which are fewer after a failure.
pub(super) fn copy(disk: &dyn Disk, from: Place<'_>, to: Place<'_>, len: u64) -> StorageResult<u64> {
    let mut done = 0;
    while done < len {
        match copy_some(disk, from.skip(done), to.skip(done), len - done) {
            // The source was cut off meanwhile.
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if done == 0 => return Err(error),
            // Whoever asks for the rest learns of it.
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Copies a hole, or some data.
fn copy_some(disk: &dyn Disk, from: Place<'_>, to: Place<'_>, len: u64) -> StorageResult<u64> {
    let end = from.offset + len;
    let data = from.file.seek(from.offset, DataOrHole::Data)?.map_or(end, |data| data.min(end));
    if data > from.offset {
        let hole = data - from.offset;
        to.file.punch(disk, to.offset, hole)?;
        to.file.extend(to.offset + hole)?;
        return Ok(hole);
    }
    let hole = from.file.seek(from.offset, DataOrHole::Hole)?.map_or(end, |hole| hole.min(end));
    let len = usize::try_from(hole - from.offset).unwrap_or(usize::MAX);
    let _changing = to.file.changing();
    let copied = retry_on_intr(|| disk.copy((from.file.fd(), from.offset), (to.file.fd(), to.offset), len));
    let result = match copied {
        Err(errno) if is_unsupported(errno) => copy_through_memory(disk, from, to, len),
        result => result,
    };
    match result {
        Ok(count) => {
            to.file.grew(to.offset + count as u64);
            Ok(count as u64)
        }
        Err(errno) => {
            to.file.may_have_grown();
            Err(storage_error(errno))
        }
    }
}

fn copy_through_memory(disk: &dyn Disk, from: Place<'_>, to: Place<'_>, len: usize) -> Result<usize, Errno> {
    let mut buffer = vec![0; len.min(BUFFER)];
    let count = retry_on_intr(|| disk.read(from.file.fd(), &mut buffer, from.offset))?;
    let data = buffer.get(..count).unwrap_or_default();
    if data.is_empty() {
        return Ok(0);
    }
    // A short write is a short copy.
    match retry_on_intr(|| disk.write(to.file.fd(), data, to.offset))? {
        0 => Err(Errno::IO),
        count => Ok(count),
    }
}

/// Lets a range of the target share the storage of the source.
pub(super) fn clone_range(disk: &dyn Disk, from: Place<'_>, to: Place<'_>, len: u64) -> StorageResult<()> {
    let _changing = to.file.changing();
    let cloned =
        retry_on_intr(|| disk.clone_range((from.file.fd(), from.offset), (to.file.fd(), to.offset), len));
    match cloned {
        Ok(()) => {
            to.file.grew(to.offset + len);
            Ok(())
        }
        Err(errno) if is_unsupported(errno) => Err(StorageError::NotSupported),
        Err(errno) => {
            to.file.may_have_grown();
            Err(storage_error(errno))
        }
    }
}
