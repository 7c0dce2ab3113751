use std::io::Write;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, Credentials, DirEntry, DirSink, FileSystem, NodeHandle, RequestContext, SinkFull,
};
use dittofs_framework::proto::FileType;
use tar::{EntryType, Header};

use crate::file_system::ArchiveFileSystem;
use crate::headers::ArchiveError;

/// An archive that is made member by member, right or wrong.
#[derive(Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

/// A header of GNU's format with mode 0644, owner 1000 and time 1,000,000.
pub(crate) fn header(kind: EntryType, path: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(1_000_000);
    header
}

impl Archive {
    /// Adds a header, with its sum, and data.
    pub(crate) fn member(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn of(self, kind: EntryType, path: &str, data: &str) -> Self {
        let header = header(kind, path.as_bytes(), data.len() as u64);
        self.member(header, data.as_bytes())
    }

    pub(crate) fn file(self, path: &str, data: &str) -> Self {
        self.of(EntryType::Regular, path, data)
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.of(EntryType::Directory, path, "")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.link_of(EntryType::Symlink, path, target)
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.link_of(EntryType::Link, path, target)
    }

    fn link_of(self, kind: EntryType, path: &str, target: &str) -> Self {
        let mut header = header(kind, path.as_bytes(), 0);
        header.set_link_name_literal(target).unwrap();
        self.member(header, b"")
    }

    /// PAX records for the next member.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.of(EntryType::XHeader, "pax", &records)
    }

    /// A name in GNU's way for the next member.
    pub(crate) fn long_name(self, name: &str) -> Self {
        self.of(EntryType::GNULongName, "././@LongLink", &format!("{name}\0"))
    }

    pub(crate) fn end(mut self) -> Self {
        self.0.extend_from_slice(&[0; 1024]);
        self
    }

    pub(crate) fn try_open(&self) -> Result<ArchiveFileSystem, ArchiveError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&self.0).unwrap();
        ArchiveFileSystem::open(file.path())
    }

    pub(crate) fn open(&self) -> ArchiveFileSystem {
        self.try_open().unwrap()
    }
}

/// A record that says how long it is, its length included.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let len = (rest.len()..rest.len() + 9).find(|len| len.to_string().len() + rest.len() == *len).unwrap();
    format!("{len}{rest}")
}

pub(crate) fn user(uid: u32, gid: u32, groups: &[u32]) -> RequestContext {
    let credentials = Credentials { uid, gid, groups: groups.into() };
    RequestContext { credentials, ..RequestContext::server() }
}

/// Takes names until it has so many.
pub(crate) struct Names {
    pub(crate) room: usize,
    pub(crate) given: Vec<(String, NodeHandle)>,
    pub(crate) last: u64,
}

impl Names {
    pub(crate) fn with_room(room: usize) -> Self {
        Self { room, given: Vec::new(), last: 0 }
    }
}

impl DirSink for Names {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        if self.given.len() == self.room {
            return Err(SinkFull);
        }
        self.given.push((String::from_utf8_lossy(entry.name).into_owned(), entry.node));
        self.last = entry.cookie;
        Ok(())
    }
}

pub(crate) async fn find(fs: &ArchiveFileSystem, path: &str) -> NodeHandle {
    let cx = RequestContext::server();
    let mut node = fs.root();
    for name in path.split('/') {
        node = fs.lookup(&cx, &node, name.as_bytes(), Bitmap::EMPTY).await.unwrap().node;
    }
    node
}

/// What a file holds.
pub(crate) async fn content(fs: &ArchiveFileSystem, node: &NodeHandle) -> String {
    let cx = RequestContext::server();
    let data = fs.read(&cx, node, 0, 1 << 20, Authority::Open).await.unwrap();
    String::from_utf8_lossy(&data.data).into_owned()
}

/// Everything in the archive: paths with the contents of files and targets of links.
pub(crate) async fn listing(fs: &ArchiveFileSystem) -> Vec<String> {
    let cx = RequestContext::server();
    let mut found = Vec::new();
    let mut open = vec![(String::new(), fs.root())];
    while let Some((path, dir)) = open.pop() {
        let mut names = Names::with_room(usize::MAX);
        fs.readdir(&cx, &dir, 0, [0; 8], Bitmap::EMPTY, &mut names).await.unwrap();
        for (name, node) in names.given {
            let path = format!("{path}{name}");
            match fs.attributes(&cx, &node, Bitmap::EMPTY).await.unwrap().file_type {
                FileType::Dir => {
                    found.push(format!("{path}/"));
                    open.push((format!("{path}/"), node));
                }
                FileType::Reg => found.push(format!("{path}={}", content(fs, &node).await)),
                FileType::Lnk => {
                    let target = fs.readlink(&cx, &node).await.unwrap();
                    found.push(format!("{path}->{}", String::from_utf8_lossy(&target)));
                }
                other => found.push(format!("{path}: {other:?}")),
            }
        }
    }
    found.sort();
    found
}
