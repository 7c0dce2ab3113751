use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dittofs_framework::storage::Room;
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// With less than this nothing that takes more room is begun, and as much is kept in a file for what frees room.
const RESERVE: u64 = 32 << 20;
/// On a small disk it is this part of all.
const PART: u64 = 16;

/// Says how much room there is on the disk that a file is on.
type RoomOf = fn(&File) -> io::Result<Room>;

/// The room on the disk, and a file that holds some of it back.
pub(super) struct Reserve {
    file: File,
    room_of: RoomOf,
    size: u64,
    is_held: bool,
}

impl Reserve {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, room_at)
    }

    fn open_with(path: &Path, room_of: RoomOf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let size = RESERVE.min(room_of(&file)?.total / PART);
        let is_held = size > 0 && file.metadata()?.len() == size;
        let mut reserve = Self { file, room_of, size, is_held };
        reserve.hold();
        Ok(reserve)
    }

    /// Whether there is room for changes of this size. Growth leaves the reserve alone; other changes get it when there is nothing else.
    pub(super) fn admits(&mut self, bytes: u64, grows: bool) -> bool {
        // Who cannot be asked does not stand in the way: the write itself says whether there was room.
        let Ok(room) = (self.room_of)(&self.file) else { return true };
        if room.available >= self.size.saturating_mul(3) {
            self.hold();
        }
        // The journal, and the table that it becomes.
        let needed = bytes.saturating_mul(2);
        if grows {
            return room.available >= needed.saturating_add(self.size);
        }
        if room.available < needed.saturating_add(self.size / 2) {
            self.release();
        }
        true
    }

    /// Gives the reserve away.
    pub(super) fn release(&mut self) {
        if self.is_held && self.file.set_len(0).is_ok() {
            tracing::warn!(bytes = self.size, "the disk is full: giving up what was kept back");
            self.is_held = false;
        }
    }

    fn hold(&mut self) {
        if !self.is_held && self.size > 0 {
            self.is_held = fallocate(&self.file, FallocateFlags::empty(), 0, self.size).is_ok();
            if !self.is_held {
                // A part of it would be in nobody's hands.
                drop(self.file.set_len(0));
            }
        }
    }
}

/// The room of the disk that a file is on, less what is not to be grown into.
pub(super) fn usable(file: &File) -> io::Result<Room> {
    let room = room_at(file)?;
    let kept = RESERVE.min(room.total / PART);
    Ok(Room { available: room.available.saturating_sub(kept), ..room })
}

fn room_at(file: &File) -> io::Result<Room> {
    let found = fstatvfs(file)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Room { total: bytes(found.f_blocks), free: bytes(found.f_bfree), available: bytes(found.f_bavail) })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rstest::rstest;

    use super::*;

    thread_local! {
        static AVAILABLE: Cell<u64> = const { Cell::new(1 << 40) };
    }

    #[allow(clippy::unnecessary_wraps)] // as `RoomOf` has it
    fn room(_: &File) -> io::Result<Room> {
        let available = AVAILABLE.get();
        Ok(Room { total: 1 << 40, free: available, available })
    }

    const MIB: u64 = 1 << 20;

    // Origin: own. RFC: none; `MetadataStore` says what a full store does.
    #[rstest]
    #[case::plenty(1 << 40, true, true)]
    #[case::what_is_kept_back_is_left(40, true, true)]
    #[case::growth_ends_there(33, false, true)]
    #[case::other_changes_go_on(20, false, true)]
    #[case::with_what_was_kept_back(17, false, false)]
    #[case::full(0, false, false)]
    fn growth_leaves_the_reserve_alone(#[case] available: u64, #[case] grows: bool, #[case] is_held: bool) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("reserve");
        let mut reserve = Reserve::open_with(&path, room).unwrap();
        assert_eq!(path.metadata().unwrap().len(), RESERVE);
        AVAILABLE.set(available.saturating_mul(MIB));
        assert_eq!(reserve.admits(MIB, true), grows);
        assert_eq!(path.metadata().unwrap().len(), RESERVE, "growth takes of the reserve");
        assert!(reserve.admits(MIB, false));
        assert_eq!(path.metadata().unwrap().len(), if is_held { RESERVE } else { 0 });
    }

    #[test]
    fn the_reserve_comes_back() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("reserve");
        let mut reserve = Reserve::open_with(&path, room).unwrap();
        for (available, len) in [(0, 0), (90 * MIB, 0), (100 * MIB, RESERVE), (50 * MIB, RESERVE)] {
            AVAILABLE.set(available);
            assert!(reserve.admits(1, false));
            assert_eq!(path.metadata().unwrap().len(), len, "with {available}");
        }
    }
}
