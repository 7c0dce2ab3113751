use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use dittofs_framework::log_limited;
use dittofs_framework::recovery::{Ledger, StoreError};

use super::disk::{Disk, DiskFile};
use super::format::{FRAME_FULL, Record, encode_frame, encode_header};
use super::scan::{Scan, apply, scan};

/// A file is compacted when it is this many times as long as it would be then.
const COMPACT_FACTOR: u64 = 4;

/// The file of a journal and what is in it.
pub(super) struct Log {
    disk: Box<dyn Disk>,
    path: PathBuf,
    /// What the durable records amount to.
    ledger: Ledger,
    /// `None` after a failure: what is in the file is not known, and a new one has to be written.
    current: Option<Current>,
    compact_from: u64,
    /// Held until the log is dropped.
    _lock: File,
}

/// A file that can be appended to.
struct Current {
    file: Box<dyn DiskFile>,
    salt: u32,
    len: u64,
    /// At which length it is to be compacted.
    compact_at: u64,
}

impl Log {
    /// Opens the journal at `path`, or makes an empty one.
    pub(super) fn open(disk: Box<dyn Disk>, path: &Path, compact_from: u64) -> Result<Self, StoreError> {
        let lock = lock(&with_extension(path, ".lock"))?;
        let found = disk.read(path).map_err(StoreError::failed)?;
        let mut log = Self {
            disk,
            path: path.to_owned(),
            ledger: Ledger::default(),
            current: None,
            compact_from,
            _lock: lock,
        };
        match found {
            Some(bytes) => log.resume(&bytes)?,
            None => log.current = Some(log.rewrite().map_err(StoreError::failed)?),
        }
        Ok(log)
    }

    /// Goes on with a file that was found.
    fn resume(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Scan { salt, ledger, good_len } = scan(bytes)?;
        if good_len < bytes.len() {
            let torn = bytes.len() - good_len;
            tracing::warn!(path = %self.path.display(), at = good_len, torn, "cutting off the end of the state journal, which a crash left unfinished");
        }
        let len = length(good_len);
        let file = self.disk.open(&self.path, len).map_err(StoreError::failed)?;
        // The instance before may have ended between its rename and this: the name could yet lead to the old file again.
        self.disk.sync_directory(&self.path).map_err(StoreError::failed)?;
        self.ledger = ledger;
        let compact_at = self.compact_at(length(self.encode_all(salt).len()));
        self.current = Some(Current { file, salt, len, compact_at });
        Ok(())
    }

    /// What the durable records amount to.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Writes the records as one frame and makes them durable.
    pub(super) fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        // Taken out until all is well.
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.rewrite()?,
        };
        let mut encoded = Vec::new();
        for record in records {
            record.encode(&mut encoded);
        }
        let frame = encode_frame(current.salt, &encoded);
        current.file.write(&frame)?;
        current.file.sync()?;
        current.len += length(frame.len());
        self.current = Some(current);
        for record in records {
            apply(&mut self.ledger, record);
        }
        Ok(())
    }

    /// Compacts the file if it is much longer than what it amounts to.
    pub(super) fn compact_if_long(&mut self) {
        let Some(current) = self.current.as_mut().filter(|current| current.len >= current.compact_at) else {
            return;
        };
        // If it fails, the next attempt is some time off.
        current.compact_at = current.len.saturating_mul(2);
        match self.rewrite() {
            Ok(compacted) => self.current = Some(compacted),
            Err(error) => {
                log_limited!(warn, path = %self.path.display(), %error, "cannot compact the state journal");
            }
        }
    }

    /// Lets a new file with all that is known take the place of the old one, if there is one.
    fn rewrite(&mut self) -> io::Result<Current> {
        let salt = getrandom::u32().map_err(io::Error::other)?;
        let bytes = self.encode_all(salt);
        let new = with_extension(&self.path, ".new");
        let mut file = self.disk.create(&new)?;
        file.write(&bytes)?;
        file.sync()?;
        // From here on it is not known which of the two a crash would leave, until all is done.
        self.current = None;
        self.disk.rename(&new, &self.path)?;
        self.disk.sync_directory(&self.path)?;
        let len = length(bytes.len());
        Ok(Current { file, salt, len, compact_at: self.compact_at(len) })
    }

    fn compact_at(&self, compacted: u64) -> u64 {
        compacted.saturating_mul(COMPACT_FACTOR).max(self.compact_from)
    }

    /// A whole file of what is known.
    fn encode_all(&self, salt: u32) -> Vec<u8> {
        let mut file = encode_header(salt);
        let mut records = Vec::new();
        if self.ledger.epoch() > 0 {
            Record::Began(self.ledger.epoch()).encode(&mut records);
        }
        for (record, epoch) in self.ledger.snapshot() {
            Record::Entry(record.clone(), epoch).encode(&mut records);
            if records.len() >= FRAME_FULL {
                file.extend(encode_frame(salt, &std::mem::take(&mut records)));
            }
        }
        if !records.is_empty() {
            file.extend(encode_frame(salt, &records));
        }
        file
    }
}

/// Makes sure that nobody else has the journal open. The lock goes with the file, also when the process is killed.
fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(StoreError::failed)?;
    match crate::lock_file::lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(StoreError::failed(error)),
    }
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(extension);
    PathBuf::from(name)
}

fn length(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
