use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dittofs_framework::export::FilehandleKey;

use super::DataDirError;
use super::record::{damaged, read, write};

const IDENTITY: &str = "identity ";
const KEY: &str = "filehandle-key ";

/// Who the server is to its clients, and what it signs filehandles with: chosen once.
#[derive(Debug, Clone)]
pub(crate) struct ServerRecord {
    name: String,
    key: FilehandleKey,
}

impl ServerRecord {
    /// What clients know it by (RFC 8881 section 2.10.5).
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The key of its filehandles.
    pub(crate) fn key(&self) -> FilehandleKey {
        self.key
    }

    /// Writes a new one, unless a start that did not end well left one.
    pub(super) fn make(path: &Path) -> Result<(), DataDirError> {
        if read(path)?.is_some() {
            return Ok(());
        }
        let mut random = [[0; 16]; 2];
        getrandom::fill(random.as_flattened_mut())?;
        let [identity, key] = random.map(|bytes| format!("{:032x}", u128::from_be_bytes(bytes)));
        write(path, &format!("{IDENTITY}{identity}\n{KEY}{key}\n"))
    }

    /// The one that is there. None is made: with another one every filehandle would be refused.
    pub(super) fn read(path: &Path) -> Result<Self, DataDirError> {
        let lines = read(path)?.ok_or_else(|| DataDirError::Lost(path.to_owned()))?;
        let record = parse(&lines).ok_or_else(|| damaged(path, "it has not the lines that it should"))?;
        warn_if_open(path);
        Ok(record)
    }
}

fn parse(lines: &str) -> Option<ServerRecord> {
    let (identity, key) = lines.strip_prefix(IDENTITY)?.split_once('\n')?;
    let key = key.strip_prefix(KEY)?.strip_suffix('\n')?;
    let number = |text: &str| {
        let is_whole = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_whole.then(|| u128::from_str_radix(text, 16).ok()).flatten()
    };
    number(identity)?;
    let key = FilehandleKey::from_bytes(number(key)?.to_be_bytes());
    Some(ServerRecord { name: format!("dittofs-{identity}"), key })
}

fn warn_if_open(path: &Path) {
    let Ok(metadata) = path.metadata() else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let mode = format!("{mode:o}");
        tracing::warn!(path = %path.display(), mode, "others may read the key of the filehandles, and can forge them with it; its mode should be 600");
    }
}
