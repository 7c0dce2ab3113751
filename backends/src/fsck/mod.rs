//! Checks a volume, a pair of a [`MetadataStore`] and a [`ContentStore`], and repairs it. Nobody else may use the stores meanwhile.
//!
//! # What is checked
//! - The volume's record: its count of objects, and that every number that is in use was given.
//! - The root, and that every object has a name and every directory leads to the root: no loops, no second names.
//! - Counts: links, entries, subdirectories, bytes of extended attributes, and that cookies in use were given.
//! - Entries: of objects and in directories that are there, of the right type, with names that can be, and the same whether they are
//!   looked up or listed.
//! - Marks of orphans: on objects that are there and have no name.
//! - Contents: of regular files that are there, or were once.
//!
//! What a crash leaves by design is counted and no problem: orphans, contents that are longer than their file (its unstable
//! data) or whose file is gone (their removal was not durable), and figures of allocated space that are not the content store's latest.
//!
//! # What is repaired
//! Names of nothing are removed. Objects that have lost their names get new ones in `/lost+found`, which is made if need be. Where counts
//! and records differ from what is there, they are corrected. Orphans are removed, contents that are too long are cut, those of no file
//! removed. A record that was changed has another change attribute, so that clients do not go by what they have in their caches. One
//! repair may be the cause of the next: it is repeated until a check finds nothing.
//!
//! What cannot be found through the traits is not: names that only a look-up finds and no listing, extended attributes of an object that
//! is not there. Neither stands in anybody's way.
//!
//! # Cost
//! All of the metadata is read twice, in order, and each name and extended attribute looked up once; sizes of contents are read once,
//! contents not at all. Memory: some 14 bytes for an object and 90 more for a directory, while vectors grow up to three times as much:
//! 10 million objects take 150 to 500 MB.

mod entries;
mod inodes;
mod lost;
mod orphans;
mod pass;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod tree;

use dittofs_framework::proto::NfsTime;
use dittofs_framework::storage::{ContentStore, MetadataStore, StorageResult};

pub use report::{Problem, Report};

use pass::Pass;

/// How often all is looked at in a repair at most. What one round leaves to the next are the consequences of what it did.
const ROUNDS: u32 = 8;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is changed.
    Check,
    /// What is found is repaired.
    Repair,
}

/// How a volume is checked.
#[derive(Debug, Clone, Copy)]
pub struct FsckOptions {
    /// What is to be done.
    pub mode: Mode,
    /// How many problems are kept for the report at most; more are only counted.
    pub listed: usize,
    /// The time of changes.
    pub now: NfsTime,
}

/// Checks the volume in the stores, and repairs it if that is asked for.
///
/// # Errors
/// A store's: what it has could not be read, or not be changed. What was repaired until then is.
pub async fn check(
    metadata: &dyn MetadataStore,
    content: &dyn ContentStore,
    options: FsckOptions,
) -> StorageResult<Report> {
    let mut report = Pass::run(metadata, content, options).await?;
    report.left = report.found;
    if options.mode == Mode::Repair {
        for _ in 1..ROUNDS {
            if report.left == 0 {
                break;
            }
            report = report.followed_by(&Pass::run(metadata, content, options).await?);
        }
    }
    Ok(report)
}
