//! Which file has which contents.

use std::os::fd::{AsFd, OwnedFd};

use dittofs_framework::storage::{ContentSize, Ino};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

/// Files in a directory: 1,024 numbers.
const FILE_BITS: u32 = 10;
/// Directories in a directory.
const DIRECTORY_BITS: u32 = 10;

/// The number of the directory that a file is in.
pub(super) fn directory_of(id: Ino) -> u64 {
    id.0 >> FILE_BITS
}

/// The number of the directory that a directory is in.
pub(super) fn parent_of(directory: u64) -> u64 {
    directory >> DIRECTORY_BITS
}

/// Where a directory of directories is.
pub(super) fn parent_path(parent: u64) -> String {
    format!("{parent:x}")
}

/// Where a directory of files is.
pub(super) fn directory_path(directory: u64) -> String {
    format!("{:x}/{:x}", parent_of(directory), directory & ((1 << DIRECTORY_BITS) - 1))
}

/// Where a file is.
pub(super) fn file_path(id: Ino) -> String {
    format!("{}/{:x}", directory_path(directory_of(id)), id.0)
}

/// What is asked of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) size: ContentSize,
    pub(super) is_regular: bool,
    pub(super) links: u32,
}

/// The facts of an open file.
pub(super) fn facts(file: impl AsFd) -> Result<Facts, Errno> {
    statx(file, "", AtFlags::EMPTY_PATH)
}

/// The facts of a file that is not open.
pub(super) fn facts_of(root: impl AsFd, id: Ino) -> Result<Facts, Errno> {
    statx(root, &file_path(id), AtFlags::SYMLINK_NOFOLLOW)
}

fn statx(directory: impl AsFd, path: &str, flags: AtFlags) -> Result<Facts, Errno> {
    // Not the times: once somebody has seen them, the next write has to give the file finer ones, and cannot do that without waiting.
    let wanted = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::BLOCKS | StatxFlags::NLINK;
    let found = rustix::fs::statx(directory, path, flags, wanted)?;
    Ok(Facts {
        size: ContentSize { len: found.stx_size, allocated: found.stx_blocks.saturating_mul(512) },
        is_regular: FileType::from_raw_mode(found.stx_mode.into()) == FileType::RegularFile,
        links: found.stx_nlink,
    })
}

/// Up to `limit` files with numbers above `after`. What is not named as a file or directory of ours is passed over.
pub(super) fn scan(root: &OwnedFd, after: Ino, limit: usize) -> Result<Vec<(Ino, ContentSize)>, Errno> {
    let mut found = Vec::new();
    let Some(first) = after.0.checked_add(1).map(Ino) else { return Ok(found) };
    let first_directory = directory_of(first);
    let parents = parent_of(first_directory)..=parent_of(directory_of(Ino(u64::MAX)));
    for parent in numbers(root, ".", |number| parents.contains(&number))? {
        let in_parent = |number: u64| parent << DIRECTORY_BITS | number;
        let fits = |number| number < 1 << DIRECTORY_BITS && in_parent(number) >= first_directory;
        for directory in numbers(root, &parent_path(parent), fits)?.into_iter().map(in_parent) {
            let path = directory_path(directory);
            let fits = |number| number >= first.0 && directory_of(Ino(number)) == directory;
            for number in numbers(root, &path, fits)? {
                if found.len() == limit {
                    return Ok(found);
                }
                match facts_of(root, Ino(number)) {
                    Ok(facts) if facts.is_regular => found.push((Ino(number), facts.size)),
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
    }
    Ok(found)
}

/// The names in a directory that are numbers as we write them and fit, in order. None if there is no such directory.
fn numbers(root: impl AsFd, path: &str, fits: impl Fn(u64) -> bool) -> Result<Vec<u64>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(root, path, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let mut numbers = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(parse);
        numbers.extend(number.filter(|number| fits(*number)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The number that a name is, if it is written as we do.
fn parse(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name, 16).ok()?;
    (format!("{number:x}") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: own, the layout on disk, which later versions must find again.
    // RFC: none.
    #[rstest]
    #[case::first(1, "0/0/1")]
    #[case::last_of_a_directory(1023, "0/0/3ff")]
    #[case::next_directory(1024, "0/1/400")]
    #[case::last_of_a_parent(0xf_ffff, "0/3ff/fffff")]
    #[case::next_parent(0x10_0000, "1/0/100000")]
    #[case::last(u64::MAX, "fffffffffff/3ff/ffffffffffffffff")]
    fn a_file_is_in_its_place(#[case] id: u64, #[case] path: &str) {
        assert_eq!(file_path(Ino(id)), path);
    }

    #[rstest]
    #[case::number("1f", Some(0x1f))]
    #[case::zero("0", Some(0))]
    #[case::upper_case("1F", None)]
    #[case::leading_zero("01", None)]
    #[case::sign("+1", None)]
    #[case::too_large("10000000000000000", None)]
    #[case::name("lost+found", None)]
    #[case::empty("", None)]
    fn only_numbers_as_we_write_them_are_ours(#[case] name: &str, #[case] expected: Option<u64>) {
        assert_eq!(parse(name), expected);
    }
}
