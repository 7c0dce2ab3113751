use std::collections::BTreeMap;

use dittofs_framework::proto::{NfsFh4, NfsTime};

use super::contents::{Contents, Keeps};
use super::op::{Op, Stable};

/// An object, to its ledger.
pub(super) type NodeId = u32;

/// The directory that is the worker's alone.
pub(super) const HOME: NodeId = 0;
/// The directory where all have names of their own.
pub(super) const SHARED: NodeId = 1;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) dir: NodeId,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    File(Contents),
    Dir,
    Symlink(String),
}

/// An object as it must be.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// `None` until an answer told it.
    pub(super) fh: Option<NfsFh4>,
    /// The same.
    pub(super) fileid: Option<u64>,
    /// The same, for an exclusive create says nothing of it.
    pub(super) mode: Option<u32>,
    /// What it was set to, if nothing has changed it since.
    pub(super) mtime: Option<NfsTime>,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
    pub(super) is_open: bool,
    /// Tells all but the contents from all that there ever was.
    pub(super) version: u64,
}

impl Node {
    pub(super) fn new(kind: Kind, mode: Option<u32>, version: u64) -> Self {
        Self {
            kind,
            fh: None,
            fileid: None,
            mode,
            mtime: None,
            xattrs: BTreeMap::new(),
            is_open: false,
            version,
        }
    }

    /// What a change attribute stands for.
    pub(super) fn versions(&self) -> (u64, u64) {
        let of_contents = if let Kind::File(contents) = &self.kind { contents.version() } else { 0 };
        (self.version, of_contents)
    }

    pub(super) fn contents(&self) -> Option<&Contents> {
        if let Kind::File(contents) = &self.kind { Some(contents) } else { None }
    }
}

/// What a worker has acknowledged of the file system.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) names: BTreeMap<Place, NodeId>,
    pub(super) next: NodeId,
    /// Handles of objects that are gone.
    pub(super) dead: Vec<NfsFh4>,
}

/// Handles of gone objects that are looked at after a crash.
const DEAD_KEPT: usize = 16;

impl World {
    pub(super) fn new() -> Self {
        let dir = || Node::new(Kind::Dir, None, 0);
        let nodes = BTreeMap::from([(HOME, dir()), (SHARED, dir())]);
        Self { nodes, names: BTreeMap::new(), next: SHARED + 1, dead: Vec::new() }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node of the model")
    }

    /// How many names a file has, or the links of a directory.
    pub(super) fn links(&self, id: NodeId) -> usize {
        if matches!(self.node(id).kind, Kind::Dir) {
            let is_subdir = |(place, node): &(&Place, &NodeId)| {
                place.dir == id && matches!(self.node(**node).kind, Kind::Dir)
            };
            return 2 + self.names.iter().filter(is_subdir).count();
        }
        self.names.values().filter(|named| **named == id).count()
    }

    pub(super) fn entries(&self, dir: NodeId) -> impl Iterator<Item = (&str, NodeId)> {
        self.names.iter().filter(move |(at, _)| at.dir == dir).map(|(at, node)| (at.name.as_str(), *node))
    }

    /// What an operation does that is acknowledged, or that happened though it is not. `version` is new.
    pub(super) fn apply(&mut self, op: &Op, version: u64) {
        match op {
            Op::CreateFile { at, node, mode, .. } => {
                if !self.nodes.contains_key(node) {
                    let kind = Kind::File(Contents::of(Vec::new(), version));
                    self.enter(at, *node, Node::new(kind, *mode, version));
                }
                self.node_mut(*node).is_open = true;
            }
            Op::OpenFile { node, .. } => self.node_mut(*node).is_open = true,
            Op::OpenTruncating { node, .. } => {
                self.change_contents(*node, |contents| contents.resize(0, version));
                self.node_mut(*node).is_open = true;
            }
            Op::CloseFile { node } => {
                self.node_mut(*node).is_open = false;
                self.bury_if_gone(*node);
            }
            Op::CreateDir { at, node, mode } => {
                self.enter(at, *node, Node::new(Kind::Dir, Some(*mode), version));
            }
            Op::CreateSymlink { at, node, target } => {
                self.enter(at, *node, Node::new(Kind::Symlink(target.clone()), None, version));
            }
            Op::SetMode { node, mode } => {
                let node = self.node_mut(*node);
                (node.mode, node.version) = (Some(*mode), version);
            }
            Op::SetTime { node, time } => {
                let node = self.node_mut(*node);
                (node.mtime, node.version) = (Some(*time), version);
            }
            Op::Rename { .. } | Op::Remove { .. } | Op::Link { .. } => self.apply_to_names(op, version),
            Op::SetXattr { node, name, value } => {
                let node = self.node_mut(*node);
                node.xattrs.insert(name.clone(), value.bytes());
                node.version = version;
            }
            Op::RemoveXattr { node, name } => {
                let node = self.node_mut(*node);
                node.xattrs.remove(name);
                node.version = version;
            }
            Op::Write { .. }
            | Op::Commit { .. }
            | Op::Resize { .. }
            | Op::Allocate { .. }
            | Op::Deallocate { .. }
            | Op::Copy { .. } => self.apply_to_contents(op, version),
        }
    }

    fn apply_to_names(&mut self, op: &Op, version: u64) {
        match op {
            Op::Rename { from, to } => {
                let node = self.names[from];
                let replaced = self.names.get(to).copied();
                // Two names of one object stay as they are (RFC 8881 section 18.26.3).
                if replaced == Some(node) {
                    return;
                }
                self.names.remove(from);
                self.names.insert(to.clone(), node);
                for touched in [Some(from.dir), Some(to.dir), Some(node), replaced].into_iter().flatten() {
                    self.touch(touched, version);
                }
                if let Some(replaced) = replaced {
                    self.bury_if_gone(replaced);
                }
            }
            Op::Remove { at } => {
                let node = self.names.remove(at).expect("a name of the model");
                self.touch(at.dir, version);
                self.touch(node, version);
                self.bury_if_gone(node);
            }
            Op::Link { node, at } => {
                self.names.insert(at.clone(), *node);
                self.touch(at.dir, version);
                self.touch(*node, version);
            }
            _ => {}
        }
    }

    fn apply_to_contents(&mut self, op: &Op, version: u64) {
        match *op {
            Op::Write { node, offset, data, stable } => {
                let keeps = if stable == Stable::Unstable { Keeps::OnceCommitted } else { Keeps::Always };
                self.change_contents(node, |contents| contents.write(offset, &data.bytes(), keeps, version));
            }
            Op::Commit { node } => {
                if let Kind::File(contents) = &mut self.node_mut(node).kind {
                    contents.commit();
                }
            }
            Op::Resize { node, size } => {
                self.change_contents(node, |contents| contents.resize(size, version));
            }
            Op::Allocate { node, offset, len } => {
                self.change_contents(node, |contents| contents.grow(offset + len, version));
            }
            Op::Deallocate { node, offset, len } => {
                self.change_contents(node, |contents| {
                    let end = (offset + len).min(contents.current().len());
                    let zeros = vec![0; end.saturating_sub(offset)];
                    contents.write(offset, &zeros, Keeps::OnceCommitted, version);
                });
            }
            Op::Copy { from, from_offset, to, to_offset, len } => {
                let data = self.copied(from, from_offset, len);
                self.change_contents(to, |contents| {
                    contents.write(to_offset, &data, Keeps::OnceCommitted, version);
                });
            }
            _ => {}
        }
    }

    /// What an operation may have done that was under way in a crash: data may be there in part, all else wholly.
    pub(super) fn apply_in_flight(&mut self, op: &Op, version: u64) {
        match op {
            // It may have happened, and committed nothing that must be there.
            Op::Commit { .. } => {}
            Op::Write { node, offset, data, .. } => {
                self.change_contents(*node, |contents| {
                    contents.write(*offset, &data.bytes(), Keeps::OnceCommitted, version);
                });
            }
            Op::Copy { from, from_offset, to, to_offset, len } => {
                let data = self.copied(*from, *from_offset, *len);
                self.change_contents(*to, |contents| contents.write_in_part(*to_offset, &data, version));
            }
            _ => self.apply(op, version),
        }
        // An open that is not acknowledged is not reclaimed.
        if let Op::CreateFile { node, .. } | Op::OpenFile { node, .. } | Op::OpenTruncating { node, .. } = op
        {
            self.node_mut(*node).is_open = false;
        }
    }

    fn copied(&self, from: NodeId, offset: usize, len: usize) -> Vec<u8> {
        let source = self.node(from).contents().map_or(&[][..], Contents::current);
        source[offset..offset + len].to_vec()
    }

    fn enter(&mut self, at: &Place, id: NodeId, node: Node) {
        self.touch(at.dir, node.version);
        self.nodes.insert(id, node);
        self.names.insert(at.clone(), id);
        self.next = self.next.max(id + 1);
    }

    fn change_contents(&mut self, id: NodeId, change: impl FnOnce(&mut Contents)) {
        let node = self.node_mut(id);
        node.mtime = None;
        if let Kind::File(contents) = &mut node.kind {
            change(contents);
        }
    }

    fn touch(&mut self, id: NodeId, version: u64) {
        let node = self.node_mut(id);
        node.version = version;
        if matches!(node.kind, Kind::Dir) {
            node.mtime = None;
        }
    }

    /// The write verifier has changed.
    pub(super) fn doubt(&mut self) {
        for node in self.nodes.values_mut() {
            if let Kind::File(contents) = &mut node.kind {
                contents.doubt();
            }
        }
    }

    /// Forgets an object that has no name any more and is not open.
    pub(super) fn bury_if_gone(&mut self, id: NodeId) {
        if self.node(id).is_open || self.names.values().any(|named| *named == id) {
            return;
        }
        let node = self.nodes.remove(&id).expect("a node of the model");
        self.dead.extend(node.fh);
        let excess = self.dead.len().saturating_sub(DEAD_KEPT);
        self.dead.drain(..excess);
    }
}
