use dittofs_framework::proto::NfsTime;

use super::model::{NodeId, Place};
use crate::Random;

/// So many bytes that a seed stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    pub(super) seed: u64,
    pub(super) len: usize,
}

impl Data {
    pub(super) fn bytes(self) -> Vec<u8> {
        Random::new(self.seed).bytes(self.len)
    }
}

/// How a file is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Unchecked,
    Guarded,
    /// EXCLUSIVE4, or EXCLUSIVE4_1 in minor versions with sessions.
    Exclusive([u8; 8]),
}

/// What WRITE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stable {
    Unstable,
    DataSync,
    FileSync,
}

/// An operation of the load. Each one that makes an object names the node that it will be.
#[derive(Debug, Clone)]
pub(super) enum Op {
    CreateFile {
        at: Place,
        node: NodeId,
        how: How,
        mode: Option<u32>,
    },
    OpenFile {
        at: Place,
        node: NodeId,
    },
    /// UNCHECKED4 with size 0 over a file that is there.
    OpenTruncating {
        at: Place,
        node: NodeId,
    },
    CloseFile {
        node: NodeId,
    },
    CreateDir {
        at: Place,
        node: NodeId,
        mode: u32,
    },
    CreateSymlink {
        at: Place,
        node: NodeId,
        target: String,
    },
    Write {
        node: NodeId,
        offset: usize,
        data: Data,
        stable: Stable,
    },
    Commit {
        node: NodeId,
    },
    Resize {
        node: NodeId,
        size: usize,
    },
    SetMode {
        node: NodeId,
        mode: u32,
    },
    SetTime {
        node: NodeId,
        time: NfsTime,
    },
    Rename {
        from: Place,
        to: Place,
    },
    Remove {
        at: Place,
    },
    Link {
        node: NodeId,
        at: Place,
    },
    SetXattr {
        node: NodeId,
        name: String,
        value: Data,
    },
    RemoveXattr {
        node: NodeId,
        name: String,
    },
    Allocate {
        node: NodeId,
        offset: usize,
        len: usize,
    },
    Deallocate {
        node: NodeId,
        offset: usize,
        len: usize,
    },
    Copy {
        from: NodeId,
        from_offset: usize,
        to: NodeId,
        to_offset: usize,
        len: usize,
    },
}

impl Op {
    /// The objects that must be there for it.
    pub(super) fn needs(&self) -> Vec<NodeId> {
        match self {
            Self::CreateFile { at, .. }
            | Self::CreateDir { at, .. }
            | Self::CreateSymlink { at, .. }
            | Self::Remove { at } => vec![at.dir],
            Self::Rename { from, to } => vec![from.dir, to.dir],
            Self::Copy { from, to, .. } => vec![*from, *to],
            Self::OpenFile { node, .. }
            | Self::OpenTruncating { node, .. }
            | Self::CloseFile { node }
            | Self::Write { node, .. }
            | Self::Commit { node }
            | Self::Resize { node, .. }
            | Self::SetMode { node, .. }
            | Self::SetTime { node, .. }
            | Self::Link { node, .. }
            | Self::SetXattr { node, .. }
            | Self::RemoveXattr { node, .. }
            | Self::Allocate { node, .. }
            | Self::Deallocate { node, .. } => vec![*node],
        }
    }
}
