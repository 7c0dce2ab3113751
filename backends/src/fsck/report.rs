use std::fmt;

use bytes::Bytes;
use dittofs_framework::proto::FileType;
use dittofs_framework::storage::Ino;

/// What a check came upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects, orphans included.
    pub objects: u64,
    /// Those of them that are directories.
    pub directories: u64,
    /// Names in directories.
    pub entries: u64,
    /// Extended attributes.
    pub xattrs: u64,
    /// Files whose contents take storage.
    pub contents: u64,
    /// Objects without a name that are marked as such: they were open at the end. A repair removes them.
    pub orphans: u64,
    /// Contents that are longer than their file, the rest of unstable data, and those of files that are gone, whose removal was not
    /// durable. A repair cuts them off.
    pub excess: u64,
    /// Files that have another figure of their allocated space than the content store. A repair corrects it.
    pub figures: u64,
    /// The first of the problems that were found.
    pub problems: Vec<Problem>,
    /// How many problems were found.
    pub found: u64,
    /// How many of them are still there.
    pub left: u64,
}

impl Report {
    /// The report of what was found at first and is there now.
    pub(super) fn followed_by(self, again: &Self) -> Self {
        let Self { objects, directories, entries, xattrs, contents, found: left, .. } = *again;
        Self { objects, directories, entries, xattrs, contents, left, ..self }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, directories, entries, xattrs, contents, orphans, excess, figures, .. } = self;
        write!(
            f,
            "{objects} objects, {directories} of them directories, {entries} names, {xattrs} extended attributes, {contents} contents; \
             from a crash: {orphans} orphans, {excess} contents to be cut, {figures} figures of space; problems: {} found, {} left",
            self.found, self.left
        )
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There are objects, and no record of the volume. A new one makes all filehandles stale.
    NoVolume,
    /// A number is in use that the volume's record would give again.
    NextIno { recorded: u64, largest: u64 },
    /// The volume's record has another count of objects.
    InodeCount { recorded: u64, found: u64 },
    /// There is no root directory.
    NoRoot,
    /// A record has what only another type of object has.
    Body { ino: Ino, file_type: FileType },
    /// A name stands for nothing.
    EntryOfNothing { dir: Ino, name: Bytes, ino: Ino },
    /// A name is in a directory that is not there, or in something else.
    EntryInNothing { dir: Ino, name: Bytes },
    /// A name that cannot be one.
    EntryName { dir: Ino, name: Bytes },
    /// An entry has another type than its object.
    EntryType { dir: Ino, name: Bytes, recorded: FileType, found: FileType },
    /// A listing has another entry under a name than a look-up finds.
    EntryIndex { dir: Ino, name: Bytes },
    /// A name stands for the root.
    NameOfRoot { dir: Ino, name: Bytes },
    /// A directory has a second name.
    SecondName { ino: Ino, dir: Ino, name: Bytes },
    /// A directory is inside of itself.
    Loop { ino: Ino },
    /// An object has no name and is not marked as an orphan.
    Lost { ino: Ino, file_type: FileType },
    /// An object has another number of links.
    LinkCount { ino: Ino, recorded: u32, found: u32 },
    /// A directory has another number of entries.
    EntryCount { ino: Ino, recorded: u64, found: u64 },
    /// A directory is in another one than its record says.
    Parent { ino: Ino, recorded: Ino, found: Ino },
    /// A cookie is in use that a directory would give again.
    NextCookie { ino: Ino, recorded: u64, largest: u64 },
    /// The extended attributes of an object take another number of bytes.
    XattrBytes { ino: Ino, recorded: u64, found: u64 },
    /// A cookie of an extended attribute is in use that would be given again.
    NextXattrCookie { ino: Ino, recorded: u64, largest: u64 },
    /// A listing has another extended attribute under a name than a look-up finds.
    XattrIndex { ino: Ino, name: Bytes },
    /// What is marked as an orphan is not there.
    OrphanOfNothing { ino: Ino },
    /// What is marked as an orphan has a name.
    NamedOrphan { ino: Ino },
    /// A directory that is marked as an orphan is not empty.
    FullOrphan { ino: Ino },
    /// There are contents of what is no regular file and never was one.
    Contents { ino: Ino, len: u64 },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVolume => f.write_str("the record of the volume is missing"),
            Self::NextIno { recorded, largest } => {
                write!(f, "volume: the next object gets number {recorded}, and {largest} is in use")
            }
            Self::InodeCount { recorded, found } => {
                write!(f, "volume: {recorded} objects recorded, {found} found")
            }
            Self::NoRoot => f.write_str("the root directory is missing"),
            Self::Body { ino, file_type } => {
                write!(f, "object {}: its record is not that of a {}", ino.0, kind(*file_type))
            }
            Self::LinkCount { ino, recorded, found } => {
                write!(f, "object {}: {recorded} links recorded, {found} found", ino.0)
            }
            Self::Lost { ino, file_type } => {
                write!(f, "object {}: a {} without a name", ino.0, kind(*file_type))
            }
            Self::XattrBytes { ino, recorded, found } => {
                write!(f, "object {}: {recorded} bytes of extended attributes recorded, {found} found", ino.0)
            }
            Self::NextXattrCookie { ino, recorded, largest } => {
                next_cookie(f, "object", *ino, *recorded, *largest)
            }
            Self::XattrIndex { ino, name } => {
                write!(
                    f,
                    "object {}: its extended attribute {} is listed and not found so",
                    ino.0,
                    shown(name)
                )
            }
            Self::OrphanOfNothing { ino } => write!(f, "object {}: marked as an orphan and not there", ino.0),
            Self::NamedOrphan { ino } => write!(f, "object {}: marked as an orphan and has a name", ino.0),
            Self::Contents { ino, len } => {
                write!(
                    f,
                    "object {}: {len} bytes of contents, and it is no regular file that is there",
                    ino.0
                )
            }
            _ => self.fmt_directory(f),
        }
    }
}

impl Problem {
    /// Those of directories.
    fn fmt_directory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryOfNothing { dir, name, ino } => {
                entry(f, *dir, name)?;
                write!(f, "stands for object {}, which is not there", ino.0)
            }
            Self::EntryInNothing { dir, name } => {
                entry(f, *dir, name)?;
                f.write_str("is in what is no directory that is there")
            }
            Self::EntryName { dir, name } => {
                entry(f, *dir, name)?;
                f.write_str("cannot be a name")
            }
            Self::EntryType { dir, name, recorded, found } => {
                entry(f, *dir, name)?;
                write!(f, "is recorded as a {} and stands for a {}", kind(*recorded), kind(*found))
            }
            Self::EntryIndex { dir, name } => {
                entry(f, *dir, name)?;
                f.write_str("is listed and not found so")
            }
            Self::NameOfRoot { dir, name } => {
                entry(f, *dir, name)?;
                f.write_str("stands for the root directory")
            }
            Self::SecondName { ino, dir, name } => {
                entry(f, *dir, name)?;
                write!(f, "is a second name of directory {}", ino.0)
            }
            Self::Loop { ino } => write!(f, "directory {}: inside of itself", ino.0),
            Self::EntryCount { ino, recorded, found } => {
                write!(f, "directory {}: {recorded} entries recorded, {found} found", ino.0)
            }
            Self::Parent { ino, recorded, found } => {
                write!(f, "directory {}: {} recorded as its parent, {} found", ino.0, recorded.0, found.0)
            }
            Self::NextCookie { ino, recorded, largest } => {
                next_cookie(f, "directory", *ino, *recorded, *largest)
            }
            Self::FullOrphan { ino } => write!(f, "directory {}: marked as an orphan and not empty", ino.0),
            _ => Ok(()),
        }
    }
}

fn entry(f: &mut fmt::Formatter<'_>, dir: Ino, name: &[u8]) -> fmt::Result {
    write!(f, "directory {}: the name {} ", dir.0, shown(name))
}

fn next_cookie(f: &mut fmt::Formatter<'_>, what: &str, ino: Ino, recorded: u64, largest: u64) -> fmt::Result {
    write!(f, "{what} {}: the next cookie is {recorded}, and {largest} is in use", ino.0)
}

/// A name on a line of its own, whatever bytes it has.
fn shown(name: &[u8]) -> String {
    format!("\"{}\"", name.escape_ascii())
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Reg => "regular file",
        FileType::Dir => "directory",
        FileType::Lnk => "symbolic link",
        FileType::Blk => "block device",
        FileType::Chr => "character device",
        FileType::Fifo => "named pipe",
        FileType::Sock => "socket",
        _ => "thing of no known type",
    }
}
