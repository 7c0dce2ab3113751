//! A history of calls, each of which is there wholly or not at all, and what is to be seen after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    Authority, CreateMode, DirEntry, DirSink, FileSystem, FsResult, NewNode, NodeHandle, RequestContext,
    SetAttributes, ShareAccess, SinkFull, Stability, XattrSet,
};
use dittofs_framework::proto::FileType;

/// What is seen of an object, but for the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    file_type: FileType,
    mode: u32,
    nlink: u32,
    size: u64,
    target: Bytes,
    xattrs: Vec<(Bytes, Bytes)>,
}

/// All that is to be seen, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    facts: BTreeMap<String, Facts>,
    bytes: BTreeMap<String, Bytes>,
}

impl Snapshot {
    /// Whether this is what was before a call or after it. Of bytes that the call writes some may be the old ones, some the new ones.
    pub(super) fn is_of(&self, before: &Self, after: &Self) -> bool {
        let is_one = self.facts == before.facts || self.facts == after.facts;
        let byte = |of: &Self, path: &String, at: usize| -> u8 {
            of.bytes.get(path).and_then(|bytes| bytes.get(at)).copied().unwrap_or(0)
        };
        is_one
            && self.bytes.iter().all(|(path, bytes)| {
                let mut all = bytes.iter().enumerate();
                all.all(|(at, now)| *now == byte(before, path, at) || *now == byte(after, path, at))
            })
    }
}

#[derive(Default)]
pub(super) struct Names(pub(super) Vec<(Vec<u8>, NodeHandle)>);

impl DirSink for Names {
    fn entry(&mut self, entry: DirEntry<'_>) -> Result<(), SinkFull> {
        self.0.push((entry.name.to_vec(), entry.node));
        Ok(())
    }
}

/// A file system, and calls by path.
#[derive(Clone)]
pub(super) struct History {
    pub(super) fs: Arc<dyn FileSystem>,
    cx: RequestContext,
}

pub(super) fn data(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at % 239).to_le_bytes()[0].wrapping_add(seed) | 1).collect::<Vec<_>>().into()
}

impl History {
    /// How many steps there are.
    pub(super) const STEPS: usize = 26;

    pub(super) fn new(fs: Arc<dyn FileSystem>) -> Self {
        Self { fs, cx: RequestContext::server() }
    }

    /// Directory and name of a path.
    async fn place<'a>(&self, path: &'a str) -> FsResult<(NodeHandle, &'a [u8])> {
        let mut dir = self.fs.root();
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        for name in above.split('/').filter(|name| !name.is_empty()) {
            dir = self.fs.lookup(&self.cx, &dir, name.as_bytes(), Bitmap::EMPTY).await?.node;
        }
        Ok((dir, name.as_bytes()))
    }

    pub(super) async fn find(&self, path: &str) -> FsResult<NodeHandle> {
        let (dir, name) = self.place(path).await?;
        Ok(self.fs.lookup(&self.cx, &dir, name, Bitmap::EMPTY).await?.node)
    }

    pub(super) async fn make(&self, path: &str, what: NewNode) -> FsResult<()> {
        let (dir, name) = self.place(path).await?;
        let set = SetAttributes { mode: Some(0o750), ..SetAttributes::default() };
        self.fs.create(&self.cx, &dir, name, &what, &set).await.map(drop)
    }

    pub(super) async fn create(&self, path: &str) -> FsResult<()> {
        let (dir, name) = self.place(path).await?;
        let how = CreateMode::Guarded(SetAttributes { mode: Some(0o640), ..SetAttributes::default() });
        self.fs.open_create(&self.cx, &dir, name, &how, ShareAccess::BOTH).await.map(drop)
    }

    pub(super) async fn write(&self, path: &str, offset: u64, bytes: Bytes, how: Stability) -> FsResult<()> {
        let file = self.find(path).await?;
        let len = bytes.len();
        let written = self.fs.write(&self.cx, &file, offset, bytes, how, Authority::Open).await?;
        assert_eq!(written.count as usize, len);
        Ok(())
    }

    pub(super) async fn read(&self, path: &str, count: u32) -> FsResult<Bytes> {
        let file = self.find(path).await?;
        self.fs.read(&self.cx, &file, 0, count, Authority::Open).await.map(|read| read.data)
    }

    pub(super) async fn commit(&self, path: &str) -> FsResult<()> {
        let file = self.find(path).await?;
        self.fs.commit(&self.cx, &file, 0, 0).await
    }

    async fn link(&self, path: &str, to: &str) -> FsResult<()> {
        let (node, (dir, name)) = (self.find(path).await?, self.place(to).await?);
        self.fs.link(&self.cx, &node, &dir, name).await.map(drop)
    }

    async fn rename(&self, from: &str, to: &str) -> FsResult<()> {
        let ((from_dir, from), (to_dir, to)) = (self.place(from).await?, self.place(to).await?);
        self.fs.rename(&self.cx, &from_dir, from, &to_dir, to).await.map(drop)
    }

    pub(super) async fn remove(&self, path: &str) -> FsResult<()> {
        let (dir, name) = self.place(path).await?;
        self.fs.remove(&self.cx, &dir, name).await.map(drop)
    }

    async fn remove_open(&self, path: &str) -> FsResult<()> {
        let file = self.find(path).await?;
        let hold = self.fs.open(&self.cx, &file, ShareAccess::READ).await?;
        self.remove(path).await?;
        drop(hold);
        Ok(())
    }

    async fn set(&self, path: &str, set: SetAttributes) -> FsResult<()> {
        let node = self.find(path).await?;
        self.fs.set_attributes(&self.cx, &node, &set, Authority::Open).await.map(drop)
    }

    async fn set_xattr(&self, path: &str, value: &'static str) -> FsResult<()> {
        let node = self.find(path).await?;
        let xattrs = self.fs.xattrs().expect("it has them");
        xattrs.set_xattr(&self.cx, &node, b"name", &value.into(), XattrSet::Either).await.map(drop)
    }

    async fn remove_xattr(&self, path: &str) -> FsResult<()> {
        let node = self.find(path).await?;
        self.fs.xattrs().expect("it has them").remove_xattr(&self.cx, &node, b"name").await.map(drop)
    }

    async fn copy(&self, from: &str, to: &str) -> FsResult<()> {
        let (from, target) = (self.find(from).await?, self.find(to).await?);
        let copies = self.fs.server_side_copy().expect("it copies");
        copies.copy(&self.cx, &from, 0, &target, 0, 0, Authority::Open).await?;
        self.commit(to).await
    }

    async fn punch(&self, path: &str, offset: u64, len: u64) -> FsResult<()> {
        let file = self.find(path).await?;
        let sparse = self.fs.sparse().expect("it has holes");
        sparse.deallocate(&self.cx, &file, offset, len, Authority::Open).await?;
        self.commit(path).await
    }

    /// One call, or one that need not be durable and the COMMIT that makes it so.
    pub(super) async fn step(&self, number: usize) -> FsResult<()> {
        let size = |size| SetAttributes { size: Some(size), ..SetAttributes::default() };
        let mode = |mode| SetAttributes { mode: Some(mode), ..SetAttributes::default() };
        let (sync, unstable) = (Stability::FileSync, Stability::Unstable);
        match number {
            0 => self.make("a", NewNode::Directory).await,
            1 => self.create("a/f").await,
            2 => self.write("a/f", 0, data(100_000, 1), sync).await,
            3 => self.make("b", NewNode::Directory).await,
            4 => self.link("a/f", "b/g").await,
            5 => {
                self.write("a/f", 90_000, data(30_000, 2), unstable).await?;
                self.commit("a/f").await
            }
            6 => self.set_xattr("a/f", "value").await,
            7 => self.make("a/l", NewNode::Symlink("target".into())).await,
            8 => self.rename("a/f", "b/f").await,
            9 => self.set("b/f", size(50_000)).await,
            10 => self.write("b/f", 200_000, data(5_000, 3), Stability::DataSync).await,
            11 => self.create("b/h").await,
            12 => self.rename("b/h", "a/l").await,
            13 => self.remove("b/g").await,
            14 => self.make("a/d", NewNode::Directory).await,
            15 => self.rename("a/d", "b/d").await,
            16 => self.set("b/f", mode(0o600)).await,
            17 => self.set_xattr("b/f", "another value").await,
            18 => self.create("x").await,
            19 => self.copy("b/f", "x").await,
            20 => self.remove_xattr("b/f").await,
            21 => self.punch("x", 10_000, 20_000).await,
            22 => self.remove_open("b/f").await,
            23 => self.remove("b/d").await,
            24 => self.set("x", size(300_000)).await,
            _ => self.remove("x").await,
        }
    }

    pub(super) async fn snapshot(&self) -> FsResult<Snapshot> {
        let mut found = Snapshot::default();
        let mut open = vec![(String::new(), self.fs.root())];
        while let Some((above, dir)) = open.pop() {
            let mut names = Names(Vec::new());
            self.fs.readdir(&self.cx, &dir, 0, [0; 8], Bitmap::EMPTY, &mut names).await?;
            for (name, node) in names.0 {
                let path = format!("{above}/{}", String::from_utf8_lossy(&name));
                let facts = self.facts(&node).await?;
                if facts.file_type == FileType::Reg {
                    let read = self.fs.read(&self.cx, &node, 0, 1 << 20, Authority::Open).await?;
                    found.bytes.insert(path.clone(), read.data);
                } else if facts.file_type == FileType::Dir {
                    open.push((path.clone(), node));
                }
                found.facts.insert(path, facts);
            }
        }
        Ok(found)
    }

    async fn facts(&self, node: &NodeHandle) -> FsResult<Facts> {
        let attributes = self.fs.attributes(&self.cx, node, Bitmap::EMPTY).await?;
        let file_type = attributes.file_type;
        let mut facts = Facts {
            file_type,
            mode: attributes.mode,
            nlink: attributes.nlink,
            size: attributes.size,
            target: Bytes::new(),
            xattrs: Vec::new(),
        };
        if file_type == FileType::Lnk {
            facts.target = self.fs.readlink(&self.cx, node).await?;
        }
        let xattrs = self.fs.xattrs().expect("it has them");
        for name in xattrs.list_xattrs(&self.cx, node, 0, 10_000).await?.names {
            let value = xattrs.xattr(&self.cx, node, &name).await?;
            facts.xattrs.push((name, value));
        }
        Ok(facts)
    }
}
