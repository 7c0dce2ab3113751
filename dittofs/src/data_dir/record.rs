//! Small files of text, written as a whole, with a checksum in their last line.

use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use siphasher::sip128::{Hasher128, SipHasher24};

use super::DataDirError;

/// What the last line begins with.
const CHECKSUM: &str = "checksum ";

/// The lines of a file but for the checksum; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, DataDirError> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| damaged(path, "it is no text"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataDirError::Io(path.to_owned(), error)),
    };
    let end = text.rfind(CHECKSUM).ok_or_else(|| damaged(path, "it has no checksum"))?;
    let (lines, last) = text.split_at_checked(end).unwrap_or_default();
    if last != checksum_line(lines) {
        return Err(damaged(path, "it does not match its checksum"));
    }
    Ok(Some(lines.to_owned()))
}

/// Lets a file with these lines take the place of what is there. It is durable when this returns, and a crash leaves the old one or the new.
pub(super) fn write(path: &Path, lines: &str) -> Result<(), DataDirError> {
    let text = format!("{lines}{}", checksum_line(lines));
    replace(path, text.as_bytes()).map_err(|error| DataDirError::Io(path.to_owned(), error))
}

pub(super) fn damaged(path: &Path, what: &'static str) -> DataDirError {
    DataDirError::Damaged { path: path.to_owned(), what }
}

/// Against damage, not against people: the key is no secret.
fn checksum_line(lines: &str) -> String {
    let mut hasher = SipHasher24::new();
    hasher.write(lines.as_bytes());
    format!("{CHECKSUM}{:032x}\n", hasher.finish128().as_u128())
}

/// As [`write`], without a checksum.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_new(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_directory(path)
}

fn with_new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Makes the names in the directory of `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
