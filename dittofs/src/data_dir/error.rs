use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    #[error("neither XDG_DATA_HOME nor HOME says where data is kept; say it with --data-dir")]
    NoPlace,
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    #[error("there is no data directory at {}", .0.display())]
    Missing(PathBuf),
    #[error(
        "{} is not a data directory of dfs, and is not empty: give an empty one, or one that is not there",
        .0.display()
    )]
    Foreign(PathBuf),
    #[error(
        "the data directory {} has format version {found}, and this program reads version {supported}",
        .path.display()
    )]
    Version { path: PathBuf, found: u32, supported: u32 },
    #[error("the data directory {} is in use by another dfs{}", .0.display(), process(*.1))]
    InUse(PathBuf, Option<u32>),
    #[error("{} is damaged: {what}; bring it back from a backup", .path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{} is missing; bring it back from a backup", .0.display())]
    Lost(PathBuf),
    #[error("no randomness from the system: {0}")]
    Randomness(#[from] getrandom::Error),
}

fn process(number: Option<u32>) -> String {
    number.map(|number| format!(" (process {number})")).unwrap_or_default()
}
