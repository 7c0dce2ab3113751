//! What is remembered of every object of a volume, in little space.

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::{DirectoryRecord, Ino};

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It stays as it is.
    None,
    /// It is marked as an orphan, rightly.
    Orphan,
    /// It had no name and is put into `/lost+found`.
    Lost,
    /// It was an orphan and has been removed.
    Gone,
}

/// Where in the table an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(usize);

/// All objects, by their numbers. Columns apart from each other take no padding.
#[derive(Debug, Default)]
pub(super) struct Table {
    inos: Vec<Ino>,
    types: Vec<FileType>,
    marks: Vec<Mark>,
    /// How many names an object has.
    names: Vec<u32>,
    dirs: Vec<Dir>,
}

/// The place of an entry: its directory and its cookie.
pub(super) type Place = (Ino, u64);

/// What more is remembered of a directory.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) ino: Ino,
    /// Where it is by its record.
    pub(super) recorded: Ino,
    /// Where it is by its name.
    pub(super) place: Option<Place>,
    /// Entries that were found and stay.
    pub(super) entries: u64,
    /// Those of them that are directories.
    pub(super) subdirs: u32,
    /// The largest cookie of an entry.
    pub(super) largest_cookie: u64,
    /// The cookie for an entry that is added.
    pub(super) next_cookie: u64,
    /// Entries that were added.
    pub(super) added: u64,
    /// Those of them that are directories.
    pub(super) added_dirs: u32,
    /// Whether something was done to its entries.
    pub(super) is_changed: bool,
}

/// What the module's documentation says that a directory takes.
const _: () = assert!(size_of::<Dir>() <= 90);

impl Table {
    /// Adds an object whose number is larger than all before.
    pub(super) fn push(&mut self, ino: Ino, file_type: FileType, directory: Option<DirectoryRecord>) {
        self.inos.push(ino);
        self.types.push(file_type);
        self.marks.push(Mark::None);
        self.names.push(0);
        if file_type == FileType::Dir {
            let (recorded, next_cookie) =
                directory.map_or((Ino::ROOT, 0), |record| (record.parent, record.next_cookie));
            self.dirs.push(Dir {
                ino,
                recorded,
                place: None,
                entries: 0,
                subdirs: 0,
                largest_cookie: 0,
                next_cookie,
                added: 0,
                added_dirs: 0,
                is_changed: false,
            });
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inos.len()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.inos.len()).map(Slot)
    }

    pub(super) fn find(&self, ino: Ino) -> Option<Slot> {
        self.inos.binary_search(&ino).ok().map(Slot)
    }

    pub(super) fn largest(&self) -> Ino {
        self.inos.last().copied().unwrap_or(Ino(0))
    }

    pub(super) fn ino(&self, Slot(at): Slot) -> Ino {
        self.inos.get(at).copied().unwrap_or(Ino(0))
    }

    pub(super) fn file_type(&self, Slot(at): Slot) -> FileType {
        self.types.get(at).copied().unwrap_or(FileType::Reg)
    }

    pub(super) fn mark(&self, Slot(at): Slot) -> Mark {
        self.marks.get(at).copied().unwrap_or(Mark::None)
    }

    pub(super) fn set_mark(&mut self, Slot(at): Slot, mark: Mark) {
        if let Some(of) = self.marks.get_mut(at) {
            *of = mark;
        }
    }

    pub(super) fn names(&self, Slot(at): Slot) -> u32 {
        self.names.get(at).copied().unwrap_or(0)
    }

    /// Counts one more name of an object, or one less.
    pub(super) fn set_names(&mut self, Slot(at): Slot, names: u32) {
        if let Some(of) = self.names.get_mut(at) {
            *of = names;
        }
    }

    pub(super) fn dirs(&self) -> &[Dir] {
        &self.dirs
    }

    /// Where in [`dirs`](Self::dirs) a directory is.
    pub(super) fn dir_index(&self, ino: Ino) -> Option<usize> {
        self.dirs.binary_search_by_key(&ino, |dir| dir.ino).ok()
    }

    pub(super) fn dir(&self, ino: Ino) -> Option<&Dir> {
        self.dirs.get(self.dir_index(ino)?)
    }

    pub(super) fn dir_mut(&mut self, ino: Ino) -> Option<&mut Dir> {
        let index = self.dir_index(ino)?;
        self.dirs.get_mut(index)
    }
}
