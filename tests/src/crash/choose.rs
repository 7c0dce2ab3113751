//! What a worker does next.

use dittofs_framework::proto::{Minor, NfsTime};

use super::model::{HOME, Kind, NodeId, Place, SHARED, World};
use super::op::{Data, How, Op, Stable};
use crate::Random;

/// Objects that a worker has at most.
const NODES: usize = 24;
/// Names that it uses in each directory.
const NAMES: usize = 12;
/// The longest file, in bytes.
const LONGEST: usize = 40 << 10;
/// Files that it has open at most.
const OPENS: usize = 5;

/// Whose choice it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chooser<'a> {
    pub(super) world: &'a World,
    pub(super) minor: Minor,
    /// What its names in the shared directory begin with.
    pub(super) prefix: &'a str,
    /// Whether it may have files open.
    pub(super) opens: Opens,
    /// Whether something is made to fail, which may take what was not committed.
    pub(super) may_fail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Yes,
    No,
}

impl Chooser<'_> {
    /// The next operation.
    pub(super) fn choose(&self, random: &mut Random) -> Op {
        if self.opens == Opens::No
            && let Some(node) = self.files(|world, node| world.node(node).is_open).first()
        {
            return Op::CloseFile { node: *node };
        }
        loop {
            if let Some(op) = self.try_choose(random) {
                return op;
            }
        }
    }

    fn try_choose(&self, random: &mut Random) -> Option<Op> {
        let has_xattrs = self.minor == Minor::V2;
        match random.below(100) {
            0..16 => self.create_file(random),
            16..20 => self.open_file(random),
            20..26 => self.close(random),
            26..30 => self.create_dir(random),
            30..32 => self.create_symlink(random),
            32..52 => self.write(random),
            52..59 => Some(Op::Commit { node: self.any_file(random)? }),
            59..63 => Some(Op::Resize { node: self.any_file(random)?, size: random.below(LONGEST) }),
            63..66 => {
                let mode = random.one_of(&[0o600, 0o644, 0o640, 0o700, 0o755]);
                Some(Op::SetMode { node: self.any_file(random)?, mode })
            }
            66..69 => {
                let time = NfsTime { seconds: random_i64(random, 2_000_000_000), nseconds: 1000 };
                Some(Op::SetTime { node: self.any_file(random)?, time })
            }
            69..78 => self.rename(random),
            78..87 => self.remove(random),
            87..91 => {
                let node = self.any_file(random)?;
                (self.world.links(node) > 0).then_some(())?;
                Some(Op::Link { node, at: self.free_place(random)? })
            }
            91..95 if has_xattrs => self.xattr(random),
            95..100 if has_xattrs => self.sparse(random),
            _ => None,
        }
    }

    fn files(&self, is_wanted: impl Fn(&World, NodeId) -> bool) -> Vec<NodeId> {
        let of_files = self.world.nodes.iter().filter(|(_, node)| matches!(node.kind, Kind::File(_)));
        of_files.map(|(id, _)| *id).filter(|id| is_wanted(self.world, *id)).collect()
    }

    fn any_file(&self, random: &mut Random) -> Option<NodeId> {
        any(&self.files(|_, _| true), random)
    }

    fn place(&self, random: &mut Random) -> Place {
        let dirs = self.world.nodes.iter().filter(|(_, node)| matches!(node.kind, Kind::Dir));
        let dirs: Vec<NodeId> = dirs.map(|(id, _)| *id).collect();
        let dir = random.one_of(&dirs);
        let prefix = if dir == SHARED { self.prefix } else { "" };
        Place { dir, name: format!("{prefix}n{}", random.below(NAMES)) }
    }

    fn free_place(&self, random: &mut Random) -> Option<Place> {
        let place = self.place(random);
        (!self.world.names.contains_key(&place)).then_some(place)
    }

    fn has_room(&self) -> Option<()> {
        (self.world.nodes.len() < NODES).then_some(())
    }

    fn may_open(&self) -> Option<()> {
        let open = self.files(|world, node| world.node(node).is_open).len();
        (self.opens == Opens::Yes && open < OPENS).then_some(())
    }

    fn create_file(&self, random: &mut Random) -> Option<Op> {
        self.has_room()?;
        self.may_open()?;
        let at = self.free_place(random)?;
        let verifier = random.u64().to_be_bytes();
        let how = random.one_of(&[How::Unchecked, How::Guarded, How::Exclusive(verifier)]);
        // EXCLUSIVE4 has no attributes, which leaves the mode to the server.
        let is_bare = matches!(how, How::Exclusive(_)) && !self.minor.has_sessions();
        let mode = (!is_bare).then(|| random.one_of(&[0o600, 0o644, 0o755]));
        Some(Op::CreateFile { at, node: self.world.next, how, mode })
    }

    /// A file by one of its names, which is not open.
    fn open_file(&self, random: &mut Random) -> Option<Op> {
        self.may_open()?;
        let names = self.world.names.iter();
        let closed = names.filter(|(_, id)| {
            let node = self.world.node(**id);
            matches!(node.kind, Kind::File(_)) && !node.is_open
        });
        let closed: Vec<_> = closed.collect();
        let (at, node) = *closed.get(random.below(closed.len().max(1)))?;
        let (at, node) = (at.clone(), *node);
        Some(if random.below(3) == 0 { Op::OpenTruncating { at, node } } else { Op::OpenFile { at, node } })
    }

    fn close(&self, random: &mut Random) -> Option<Op> {
        let node = any(&self.files(|world, node| world.node(node).is_open), random)?;
        Some(Op::CloseFile { node })
    }

    fn create_dir(&self, random: &mut Random) -> Option<Op> {
        self.has_room()?;
        let dirs = self.world.nodes.values().filter(|node| matches!(node.kind, Kind::Dir)).count();
        (dirs < 7).then_some(())?;
        let mode = random.one_of(&[0o700, 0o755, 0o711]);
        Some(Op::CreateDir { at: self.free_place(random)?, node: self.world.next, mode })
    }

    fn create_symlink(&self, random: &mut Random) -> Option<Op> {
        self.has_room()?;
        let target = "x".repeat(1 + random.below(200));
        Some(Op::CreateSymlink { at: self.free_place(random)?, node: self.world.next, target })
    }

    fn write(&self, random: &mut Random) -> Option<Op> {
        let node = self.any_file(random)?;
        let size = self.world.node(node).contents()?.current().len();
        let longest = random.one_of(&[100, 1000, 5000, 5000, 20_000]);
        let len = 1 + random.below(longest);
        let offset = match random.below(4) {
            0 => size,
            1 => random.below(LONGEST),
            2 => random.below(size.max(1)) & !4095,
            _ => random.below(size.max(1)),
        };
        let offset = offset.min(LONGEST - len);
        let stable = random.one_of(&[Stable::Unstable, Stable::Unstable, Stable::DataSync, Stable::FileSync]);
        Some(Op::Write { node, offset, data: Data { seed: random.u64(), len }, stable })
    }

    fn rename(&self, random: &mut Random) -> Option<Op> {
        let names: Vec<_> = self.world.names.keys().collect();
        let from = (*names.get(random.below(names.len().max(1)))?).clone();
        let to = self.place(random);
        let node = self.world.names[&from];
        let is_dir = |id: NodeId| matches!(self.world.node(id).kind, Kind::Dir);
        if is_dir(node) && self.is_below(to.dir, node) {
            return None;
        }
        if let Some(replaced) = self.world.names.get(&to) {
            let is_empty = self.world.entries(*replaced).next().is_none();
            (is_dir(*replaced) == is_dir(node) && is_empty).then_some(())?;
        }
        (from != to).then_some(Op::Rename { from, to })
    }

    /// Whether a directory is another one or below it.
    fn is_below(&self, dir: NodeId, above: NodeId) -> bool {
        let mut at = dir;
        loop {
            if at == above {
                return true;
            }
            if at == HOME || at == SHARED {
                return false;
            }
            let parent = self.world.names.iter().find(|(_, id)| **id == at).map(|(place, _)| place.dir);
            let Some(parent) = parent else { return false };
            at = parent;
        }
    }

    fn remove(&self, random: &mut Random) -> Option<Op> {
        let names: Vec<_> = self.world.names.iter().collect();
        let (at, node) = *names.get(random.below(names.len().max(1)))?;
        self.world.entries(*node).next().is_none().then(|| Op::Remove { at: at.clone() })
    }

    fn xattr(&self, random: &mut Random) -> Option<Op> {
        let node = self.any_file(random)?;
        let set = &self.world.node(node).xattrs;
        if random.below(3) == 0 {
            let names: Vec<_> = set.keys().collect();
            let name = (*names.get(random.below(names.len().max(1)))?).clone();
            return Some(Op::RemoveXattr { node, name });
        }
        let value = Data { seed: random.u64(), len: random.below(2000) };
        Some(Op::SetXattr { node, name: format!("x{}", random.below(4)), value })
    }

    fn sparse(&self, random: &mut Random) -> Option<Op> {
        let node = self.any_file(random)?;
        let contents = self.world.node(node).contents()?;
        let size = contents.current().len();
        let (offset, len) = (random.below(LONGEST / 2), 1 + random.below(LONGEST / 2));
        match random.below(3) {
            0 => Some(Op::Allocate { node, offset, len }),
            1 => Some(Op::Deallocate { node, offset, len }),
            _ => {
                let to = self.any_file(random)?;
                (to != node && size > 0 && (contents.is_settled() || !self.may_fail)).then_some(())?;
                let from_offset = random.below(size);
                let len = 1 + random.below(size - from_offset);
                let to_offset = random.below(LONGEST - len + 1);
                Some(Op::Copy { from: node, from_offset, to, to_offset, len })
            }
        }
    }
}

fn any(nodes: &[NodeId], random: &mut Random) -> Option<NodeId> {
    nodes.get(random.below(nodes.len().max(1))).copied()
}

fn random_i64(random: &mut Random, end: usize) -> i64 {
    i64::try_from(random.below(end)).expect("a number")
}
