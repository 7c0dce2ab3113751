//! RENAME: who may.

use dittofs_framework::fs::{Credentials, FsError, FsResult};
use dittofs_framework::proto::FileType;

use super::limits::MAX_LINK;
use super::permission::{self, Facts, Want};

/// What a rename is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rename {
    pub(crate) from_dir: Facts,
    pub(crate) to_dir: Facts,
    /// Links of the target's directory.
    pub(crate) to_nlink: u32,
    pub(crate) same_directory: bool,
    pub(crate) source: Facts,
    pub(crate) target: Option<Replaced>,
}

/// What the new name stood for before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replaced {
    pub(crate) facts: Facts,
    /// Whether it is a directory with entries.
    pub(crate) occupied: bool,
}

impl Rename {
    /// Whether the caller may do it, in the order in which Linux asks.
    pub(crate) fn check(&self, caller: &Credentials) -> FsResult<()> {
        let is_directory = self.source.file_type == FileType::Dir;
        permission::check_unlink(caller, &self.from_dir, &self.source)?;
        match &self.target {
            None => permission::check(caller, &self.to_dir, Want::WRITE | Want::EXECUTE)?,
            Some(target) => {
                permission::check_unlink(caller, &self.to_dir, &target.facts)?;
                match (is_directory, target.facts.file_type == FileType::Dir) {
                    (true, false) => return Err(FsError::NotDir),
                    (false, true) => return Err(FsError::IsDir),
                    _ => {}
                }
            }
        }
        if is_directory && !self.same_directory {
            // Its `..` changes, which is a write to the directory itself.
            permission::check(caller, &self.source, Want::WRITE)?;
            if self.target.is_none() && self.to_nlink >= MAX_LINK {
                return Err(FsError::TooManyLinks);
            }
        }
        if self.target.is_some_and(|target| target.occupied) { Err(FsError::NotEmpty) } else { Ok(()) }
    }
}
