use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use bytes::{Buf, BufMut};
use dittofs_framework::log_limited;

/// The number of the last batch that was acknowledged, as far as it got to the disk: a lower bound.
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Opens the file, or makes it, and says what is in it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, u64)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut &file, &mut bytes)?;
        let number = decode(&bytes).unwrap_or_else(|| {
            if !bytes.is_empty() {
                tracing::warn!(path = %path.display(), "the mark of the last batch is damaged: cannot tell whether batches are missing");
            }
            0
        });
        Ok((Self { file }, number))
    }

    /// Notes that a batch is durable. Not to be able to is no failure: the mark is only a lower bound.
    pub(super) fn set(&self, number: u64) {
        if let Err(error) = self.file.write_all_at(&encode(number), 0) {
            log_limited!(warn, %error, "cannot mark the last batch");
        }
    }
}

fn encode(number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12);
    bytes.put_u64(number);
    bytes.put_u32(crc32fast::hash(&number.to_be_bytes()));
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<u64> {
    let number = bytes.try_get_u64().ok()?;
    let crc = bytes.try_get_u32().ok()?;
    (bytes.is_empty() && crc == crc32fast::hash(&number.to_be_bytes())).then_some(number)
}
