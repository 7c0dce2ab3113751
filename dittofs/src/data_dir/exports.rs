use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dittofs_framework::export::ExportId;

use super::record::{damaged, read, write};
use super::{DataDir, DataDirError, EXPORTS};

/// What an export is known by from start to start, so that it has the same number each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportKey(String);

impl ExportKey {
    /// A share of this name.
    pub(crate) fn share(name: &str) -> Self {
        Self(format!("share {name}"))
    }

    /// A directory of the machine under this name. Another directory under the same name is another export: filehandles of the one
    /// mean nothing in the other.
    pub(crate) fn directory(name: &str, path: &Path) -> Self {
        Self(format!("directory {name} {}", path.as_os_str().as_bytes().escape_ascii()))
    }
}

/// The number of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) id: ExportId,
    /// Whether it was entered earlier: what belongs to it was made then.
    pub(crate) is_known: bool,
}

/// Numbers of exports, of which new ones are yet to be entered.
#[derive(Debug)]
pub(crate) struct Numbers {
    path: PathBuf,
    entered: String,
    added: Vec<String>,
    pub(crate) exports: Vec<Numbered>,
}

impl Numbers {
    /// Enters those that are new; durable when this returns.
    pub(crate) fn enter(&self) -> Result<(), DataDirError> {
        let Self { path, entered, added, .. } = self;
        if added.is_empty() { Ok(()) } else { write(path, &format!("{entered}{}", added.concat())) }
    }
}

impl DataDir {
    /// The numbers of these exports, in their order. One that was not there before gets a number that none ever had.
    pub(crate) fn numbers(&self, keys: &[ExportKey]) -> Result<Numbers, DataDirError> {
        let path = self.path.join(EXPORTS);
        let lines = read(&path)?.ok_or_else(|| DataDirError::Lost(path.clone()))?;
        let known = parse(&lines).ok_or_else(|| damaged(&path, "it has a line without a number"))?;
        let mut last = known.iter().map(|(id, _)| *id).max().unwrap_or(0);
        let mut added = Vec::new();
        let number = |key: &ExportKey| {
            if let Some((id, _)) = known.iter().find(|(_, known)| *known == key.0) {
                return Numbered { id: ExportId(*id), is_known: true };
            }
            last = last.saturating_add(1);
            added.push(format!("{last} {}\n", key.0));
            Numbered { id: ExportId(last), is_known: false }
        };
        let exports = keys.iter().map(number).collect();
        Ok(Numbers { path, entered: lines, added, exports })
    }

    /// Whether this export has a number.
    pub(crate) fn knows(&self, key: &ExportKey) -> Result<bool, DataDirError> {
        let numbers = self.numbers(std::slice::from_ref(key))?;
        Ok(numbers.exports.iter().all(|export| export.is_known))
    }
}

/// Writes the file of a new data directory.
pub(super) fn make(path: &Path) -> Result<(), DataDirError> {
    write(path, "")
}

/// Whether no number was ever given.
pub(super) fn is_new(path: &Path) -> bool {
    read(path).is_ok_and(|lines| lines.is_some_and(|lines| lines.is_empty()))
}

fn parse(lines: &str) -> Option<Vec<(u32, &str)>> {
    let line = |line: &'_ str| -> Option<(u32, usize)> {
        let (id, _) = line.split_once(' ')?;
        Some((id.parse().ok()?, id.len() + 1))
    };
    lines.lines().map(|text| line(text).and_then(|(id, at)| Some((id, text.get(at..)?)))).collect()
}
