use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use dittofs_framework::export::ExportId;

use super::record::{damaged, read, write};
use super::{DataDir, DataDirError};

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

impl DataDir {
    /// The numbers of these exports, in their order. One that was not there before gets a number that none ever had; this is durable
    /// when it returns.
    pub(crate) fn export_ids(&self, keys: &[ExportKey]) -> Result<Vec<ExportId>, DataDirError> {
        let path = self.path.join("exports");
        let lines = read(&path)?.unwrap_or_default();
        let known = parse(&lines).ok_or_else(|| damaged(&path, "it has a line without a number"))?;
        let mut last = known.iter().map(|(id, _)| *id).max().unwrap_or(0);
        let mut added = Vec::new();
        let mut number = |key: &ExportKey| {
            if let Some((id, _)) = known.iter().find(|(_, known)| *known == key.0) {
                return ExportId(*id);
            }
            last = last.saturating_add(1);
            added.push(format!("{last} {}\n", key.0));
            ExportId(last)
        };
        let ids = keys.iter().map(&mut number).collect();
        if !added.is_empty() {
            write(&path, &format!("{lines}{}", added.concat()))?;
        }
        Ok(ids)
    }
}

fn parse(lines: &str) -> Option<Vec<(u32, &str)>> {
    let line = |line: &'_ str| -> Option<(u32, usize)> {
        let (id, _) = line.split_once(' ')?;
        Some((id.parse().ok()?, id.len() + 1))
    };
    lines.lines().map(|text| line(text).and_then(|(id, at)| Some((id, text.get(at..)?)))).collect()
}
