//! Where objects are: what handles lead to when the kernel may not open objects by theirs.
//!
//! Each object that was ever found has a place, a directory and a name in it, or several if it has several names. A place names its
//! directory by handle, so that a renamed directory takes all that is below it along. Changes are appended to a file at once,
//! which so outlives the process; that it outlives the machine is waited for when the server made the change.
//!
//! A record: CRC-32 of the rest, length of the rest after it, what (1 is there, 2 is not there any more), length of the handle, handle,
//! length of the directory's handle, that handle, name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dittofs_framework::fs::{FsError, FsResult, NodeHandle};
use foldhash::HashMap;
use smallvec::SmallVec;

/// Most places of one object that are remembered: older ones were left behind the server's back more often than not.
const MAX_PLACES: usize = 8;
/// Records that are not needed any more and that the file may always have.
const SLACK: usize = 1024;
/// The longest record: two handles, a name, and what says how long they are.
const MAX_RECORD: usize = 2 * NodeHandle::MAX + 4096;
const HEAD: usize = 8;

const THERE: u8 = 1;
const NOT_THERE: u8 = 2;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: NodeHandle,
    pub(super) name: Box<[u8]>,
}

type Places = SmallVec<[Place; 1]>;

/// The places of all objects that were found.
pub(super) struct PlaceMap {
    places: HashMap<NodeHandle, Places>,
    journal: Arc<File>,
    dirty: bool,
}

impl PlaceMap {
    /// Reads the map, or makes an empty one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut journal = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        journal.read_to_end(&mut bytes)?;
        let mut places = HashMap::default();
        let mut rest = bytes.as_slice();
        let mut records = 0;
        while let Some((record, behind)) = record_of(rest) {
            record.apply(&mut places);
            records += 1;
            rest = behind;
        }
        // What a crash left unfinished.
        journal.set_len((bytes.len() - rest.len()) as u64)?;
        let live: usize = places.values().map(Places::len).sum();
        if records > 2 * live + SLACK {
            journal = rewrite(path, &places)?;
        }
        Ok(Self { places, journal: Arc::new(journal), dirty: false })
    }

    /// The places of an object, the newest first.
    pub(super) fn places(&self, handle: &NodeHandle) -> Places {
        let places = self.places.get(handle);
        places.map(|places| places.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// An object is there.
    pub(super) fn note(&mut self, handle: &NodeHandle, dir: &NodeHandle, name: &[u8]) -> FsResult<()> {
        let known = self.places.get(handle);
        if known.is_some_and(|known| known.iter().any(|place| place.dir == *dir && *place.name == *name)) {
            return Ok(());
        }
        if let Some(oldest) = known.filter(|known| known.len() >= MAX_PLACES).and_then(|known| known.first())
        {
            let oldest = oldest.clone();
            self.forget(handle, &oldest.dir, &oldest.name)?;
        }
        self.append(&Record { what: THERE, handle, dir, name })
    }

    /// An object is not there any more.
    pub(super) fn forget(&mut self, handle: &NodeHandle, dir: &NodeHandle, name: &[u8]) -> FsResult<()> {
        self.append(&Record { what: NOT_THERE, handle, dir, name })
    }

    fn append(&mut self, record: &Record<'_>) -> FsResult<()> {
        (&*self.journal).write_all(&record.encode()).map_err(|error| {
            tracing::error!(%error, "the map of places cannot be written");
            if error.kind() == io::ErrorKind::StorageFull { FsError::NoSpace } else { FsError::Io }
        })?;
        record.apply_to(&mut self.places);
        self.dirty = true;
        Ok(())
    }

    /// The file, if it has what may not be on disk yet.
    pub(super) fn unsynced(&mut self) -> Option<Arc<File>> {
        std::mem::take(&mut self.dirty).then(|| Arc::clone(&self.journal))
    }
}

struct Record<'a> {
    what: u8,
    handle: &'a NodeHandle,
    dir: &'a NodeHandle,
    name: &'a [u8],
}

impl Record<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.what];
        for handle in [self.handle, self.dir] {
            body.push(u8::try_from(handle.as_bytes().len()).unwrap_or_default());
            body.extend_from_slice(handle.as_bytes());
        }
        body.extend_from_slice(self.name);
        let mut record = u32::try_from(body.len()).unwrap_or_default().to_be_bytes().to_vec();
        record.extend_from_slice(&body);
        let mut bytes = crc32fast::hash(&record).to_be_bytes().to_vec();
        bytes.extend_from_slice(&record);
        bytes
    }

    fn apply_to(&self, places: &mut HashMap<NodeHandle, Places>) {
        let place = Place { dir: *self.dir, name: self.name.into() };
        if self.what == THERE {
            places.entry(*self.handle).or_default().push(place);
        } else if let Some(known) = places.get_mut(self.handle) {
            known.retain(|known| *known != place);
            if known.is_empty() {
                places.remove(self.handle);
            }
        }
    }
}

/// A record as it was read.
struct Found {
    what: u8,
    handle: NodeHandle,
    dir: NodeHandle,
    name: Vec<u8>,
}

impl Found {
    fn apply(&self, places: &mut HashMap<NodeHandle, Places>) {
        let Self { what, handle, dir, name } = self;
        Record { what: *what, handle, dir, name }.apply_to(places);
    }
}

/// The first record and what is behind it; `None` at the end, or where nothing whole follows.
fn record_of(bytes: &[u8]) -> Option<(Found, &[u8])> {
    let (crc, rest) = bytes.split_at_checked(4)?;
    let len = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    if len > MAX_RECORD {
        return None;
    }
    let (record, behind) = rest.split_at_checked(HEAD - 4 + len)?;
    if crc32fast::hash(record).to_be_bytes() != crc {
        return None;
    }
    let (what, body) = record.get(4..)?.split_first()?;
    let (handle, body) = handle_of(body)?;
    let (dir, name) = handle_of(body)?;
    Some((Found { what: *what, handle, dir, name: name.to_vec() }, behind))
}

fn handle_of(bytes: &[u8]) -> Option<(NodeHandle, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (handle, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((NodeHandle::new(handle)?, rest))
}

/// Writes a new file with what is needed of the old one.
fn rewrite(path: &Path, places: &HashMap<NodeHandle, Places>) -> io::Result<File> {
    let new: PathBuf = path.with_extension("new");
    let mut bytes = Vec::new();
    for (handle, places) in places {
        for Place { dir, name } in places {
            bytes.extend_from_slice(&Record { what: THERE, handle, dir, name }.encode());
        }
    }
    super::state::write_durably(&new, &bytes)?;
    std::fs::rename(&new, path)?;
    super::state::sync_parent(path)?;
    OpenOptions::new().read(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    //! Origin: own tables.
    //! RFC: 8881 section 4.2.3 (persistent filehandles).

    use super::*;

    fn node(number: u64) -> NodeHandle {
        NodeHandle::from_u64(number)
    }

    #[test]
    fn places_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        let mut map = PlaceMap::open(&path).unwrap();
        map.note(&node(2), &node(1), b"a").unwrap();
        map.note(&node(2), &node(1), b"b").unwrap();
        map.note(&node(2), &node(1), b"b").unwrap();
        map.forget(&node(2), &node(1), b"a").unwrap();
        map.note(&node(3), &node(2), b"c").unwrap();
        map.forget(&node(3), &node(2), b"c").unwrap();
        drop(map);
        let map = PlaceMap::open(&path).unwrap();
        assert_eq!(map.places(&node(2)).to_vec(), [Place { dir: node(1), name: (*b"b").into() }]);
        assert!(map.places(&node(3)).is_empty());
    }

    #[test]
    fn an_unfinished_record_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        PlaceMap::open(&path).unwrap().note(&node(2), &node(1), b"whole").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let map = PlaceMap::open(&path).unwrap();
            assert_eq!(map.places(&node(2)).len(), 1);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), whole.len() as u64);
        }
    }

    #[test]
    fn it_does_not_grow_with_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        let mut map = PlaceMap::open(&path).unwrap();
        for _ in 0..SLACK {
            map.note(&node(2), &node(1), b"a").unwrap();
            map.forget(&node(2), &node(1), b"a").unwrap();
        }
        map.note(&node(2), &node(1), b"a").unwrap();
        drop(map);
        let before = std::fs::metadata(&path).unwrap().len();
        assert_eq!(PlaceMap::open(&path).unwrap().places(&node(2)).len(), 1);
        assert!(std::fs::metadata(&path).unwrap().len() < before / 1000);
    }
}
