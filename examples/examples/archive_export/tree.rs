//! Objects and directories, from the members of an archive.
use std::collections::HashMap;
use std::fmt;
use std::fs::File;

use bytes::Bytes;
use dittofs_framework::fs::Credentials;
use dittofs_framework::proto::{FileType, NfsTime, SpecData};

use super::extents::Extents;
use super::headers::{ArchiveError, Headers, Member, MemberKind};

/// Longest component of a path.
pub(crate) const NAME_MAX: usize = 255;
/// Longest path.
const PATH_MAX: usize = 4096;
/// Most members and objects together: what a short archive can claim is no reason to fill the memory.
const TREE_MAX: usize = 1 << 21;

/// An object: its place in the tree's list. Numbers come from the order of the archive, so the same archive has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) usize);

impl NodeId {
    pub(crate) const ROOT: Self = Self(0);
}

/// An object.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) access: NfsTime,
    pub(crate) modify: NfsTime,
    pub(crate) change: NfsTime,
}

/// What an object is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    Directory(Directory),
    File(Extents),
    Symlink(Bytes),
    CharDevice(SpecData),
    BlockDevice(SpecData),
    Fifo,
}

impl Node {
    pub(crate) fn file_type(&self) -> FileType {
        match self.kind {
            NodeKind::Directory(_) => FileType::Dir,
            NodeKind::File(_) => FileType::Reg,
            NodeKind::Symlink(_) => FileType::Lnk,
            NodeKind::CharDevice(_) => FileType::Chr,
            NodeKind::BlockDevice(_) => FileType::Blk,
            NodeKind::Fifo => FileType::Fifo,
        }
    }
}

/// Names and what they stand for, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) parent: NodeId,
    pub(crate) entries: Vec<(Bytes, NodeId)>,
    by_name: HashMap<Bytes, usize>,
}

impl Directory {
    fn new(parent: NodeId) -> Self {
        Self { parent, entries: Vec::new(), by_name: HashMap::new() }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<NodeId> {
        self.by_name.get(name).and_then(|place| self.entries.get(*place)).map(|(_, node)| *node)
    }

    /// Puts a name there, or another object behind it: then returns the one that was.
    fn put(&mut self, name: &[u8], node: NodeId) -> Option<NodeId> {
        let place = self.by_name.get(name).copied();
        if let Some((_, entry)) = place.and_then(|place| self.entries.get_mut(place)) {
            return Some(std::mem::replace(entry, node));
        }
        let name = Bytes::copy_from_slice(name);
        self.by_name.insert(name.clone(), self.entries.len());
        self.entries.push((name, node));
        None
    }
}

/// A member that is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    path: Vec<u8>,
    /// Where its header is in the archive.
    at: u64,
    pub(crate) why: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {}): {}", self.path.escape_ascii(), self.at, self.why)
    }
}

/// All objects of an archive.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Another archive has another one.
    pub(crate) identity: u64,
}

impl Tree {
    /// Reads all headers of an archive.
    pub(crate) fn read(archive: &File) -> Result<Self, ArchiveError> {
        let root = Self::implied_directory(NodeId::ROOT);
        let mut tree = Self { nodes: vec![root], left_out: Vec::new(), identity: 0 };
        let mut headers = Headers::new(archive)?;
        while let Some(member) = headers.next()? {
            let (at, path) = (member.at, member.path.clone());
            if let Err(why) = tree.add(member) {
                tree.left_out.push(LeftOut { path, at, why });
            }
            if tree.nodes.len() + tree.left_out.len() > TREE_MAX {
                return Err(ArchiveError::TooMany(TREE_MAX));
            }
        }
        tree.identity = headers.identity();
        Ok(tree)
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A directory that no member is about.
    fn implied_directory(parent: NodeId) -> Node {
        let epoch = NfsTime::default();
        Node {
            kind: NodeKind::Directory(Directory::new(parent)),
            mode: 0o755,
            uid: 0,
            gid: 0,
            nlink: 2,
            access: epoch,
            modify: epoch,
            change: epoch,
        }
    }

    /// Adds what a member is about, or says why not.
    fn add(&mut self, mut member: Member) -> Result<(), &'static str> {
        if let MemberKind::Other(why) = member.kind {
            return Err(why);
        }
        let path = std::mem::take(&mut member.path);
        let names = components(&path)?;
        let Some((name, parents)) = names.split_last() else {
            // `./`, as most archives begin.
            return self.describe_directory(NodeId::ROOT, &member);
        };
        let dir = self.directory_at(parents)?;
        let there = self.directory(dir).and_then(|dir| dir.get(name));
        let is_dir = |id: NodeId| self.directory(id).is_some();
        match (&member.kind, there) {
            (MemberKind::Directory, Some(there)) if is_dir(there) => self.describe_directory(there, &member),
            (MemberKind::Directory, Some(_)) => Err("a directory in the place of something else"),
            (_, Some(there)) if is_dir(there) => Err("something else in the place of a directory"),
            (MemberKind::HardLink, _) => {
                let target = self.find(&member.target)?.ok_or("a link to what is not there")?;
                if is_dir(target) {
                    return Err("a link to a directory");
                }
                self.put(dir, name, target);
                Ok(())
            }
            _ => {
                let node = self.push(Self::node(dir, member)?);
                self.put(dir, name, node);
                Ok(())
            }
        }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Makes an entry and counts the links.
    fn put(&mut self, dir: NodeId, name: &[u8], node: NodeId) {
        let is_dir = self.directory(node).is_some();
        let replaced = self.directory_mut(dir).and_then(|dir| dir.put(name, node));
        // A directory has a link from the `..` of each directory in it.
        let linked = if is_dir { dir } else { node };
        if let Some(linked) = self.nodes.get_mut(linked.0) {
            linked.nlink = linked.nlink.saturating_add(1);
        }
        if let Some(replaced) = replaced.and_then(|replaced| self.nodes.get_mut(replaced.0)) {
            replaced.nlink -= 1;
        }
    }

    fn directory(&self, id: NodeId) -> Option<&Directory> {
        match &self.get(id)?.kind {
            NodeKind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn directory_mut(&mut self, id: NodeId) -> Option<&mut Directory> {
        match &mut self.nodes.get_mut(id.0)?.kind {
            NodeKind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// The directory of this path; makes what is missing of it.
    fn directory_at(&mut self, path: &[&[u8]]) -> Result<NodeId, &'static str> {
        let mut dir = NodeId::ROOT;
        for name in path {
            let there = self.directory(dir).ok_or("below what is no directory")?.get(name);
            dir = there.unwrap_or_else(|| {
                let made = self.push(Self::implied_directory(dir));
                self.put(dir, name, made);
                made
            });
        }
        self.directory(dir).map(|_| dir).ok_or("below what is no directory")
    }

    fn find(&self, path: &[u8]) -> Result<Option<NodeId>, &'static str> {
        let mut path = components(path)?.into_iter();
        Ok(path.try_fold(NodeId::ROOT, |dir, name| self.directory(dir)?.get(name)))
    }

    fn describe_directory(&mut self, id: NodeId, member: &Member) -> Result<(), &'static str> {
        if member.kind != MemberKind::Directory {
            return Err("no name");
        }
        if let Some(node) = self.nodes.get_mut(id.0) {
            describe(node, member);
        }
        Ok(())
    }

    fn node(dir: NodeId, member: Member) -> Result<Node, &'static str> {
        let mut node = Self::implied_directory(dir);
        describe(&mut node, &member);
        let kind = match member.kind {
            MemberKind::Directory => return Ok(node),
            MemberKind::File(extents) => NodeKind::File(extents),
            MemberKind::Symlink if member.target.is_empty() => return Err("a symbolic link to nothing"),
            MemberKind::Symlink if member.target.len() > PATH_MAX => return Err("too long a path"),
            MemberKind::Symlink => NodeKind::Symlink(member.target.into()),
            MemberKind::CharDevice(numbers) => NodeKind::CharDevice(numbers),
            MemberKind::BlockDevice(numbers) => NodeKind::BlockDevice(numbers),
            MemberKind::Fifo => NodeKind::Fifo,
            MemberKind::HardLink => return Err("a link to itself"),
            MemberKind::Other(why) => return Err(why),
        };
        Ok(Node { kind, nlink: 0, ..node })
    }
}

/// Gives an object what a member says of it.
fn describe(node: &mut Node, member: &Member) {
    // Ids of other systems may be larger than ours.
    let id = |id: u64| u32::try_from(id).unwrap_or(Credentials::NOBODY_ID);
    node.mode = member.mode;
    (node.uid, node.gid) = (id(member.uid), id(member.gid));
    node.modify = member.modify;
    node.access = member.access.unwrap_or(member.modify);
    node.change = member.change.unwrap_or(member.modify);
}

/// The components of a path that can be names in a directory.
fn components(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    if path.len() > PATH_MAX {
        return Err("too long a path");
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err("a path with .."),
            _ if name.contains(&0) => return Err("a name with NUL"),
            _ if name.len() > NAME_MAX => return Err("too long a name"),
            _ => names.push(name),
        }
    }
    Ok(names)
}
