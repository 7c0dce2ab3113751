//! What is exported: file systems under paths, the pseudo file system that joins them into one tree, and the
//! filehandles that name their objects on the wire.

mod filehandle;
mod namespace;
mod pseudo;

use std::sync::Arc;

pub use filehandle::{FilehandleError, FilehandleKey, Filehandles, WireHandle};
pub use namespace::{Namespace, NamespaceBuilder, NamespaceError};

use crate::attr::{Bitmap, FATTR4_CLONE_BLKSIZE, FATTR4_TIME_CREATE, SETTABLE, known_in};
use crate::fs::{FileSystem, NodeHandle};
use crate::proto::Minor;

/// Which export: part of every filehandle, so it must not change over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExportId(pub u32);

impl ExportId {
    /// The pseudo file system.
    pub const PSEUDO: Self = Self(0);
}

/// A file system in its place in the server's tree.
pub struct Export {
    /// Its number.
    pub id: ExportId,
    /// Where it is mounted, from the server's root: `/export`.
    pub path: String,
    /// What serves it.
    pub fs: Arc<dyn FileSystem>,
    supported: [Bitmap; 3],
}

impl Export {
    fn new(id: ExportId, path: String, fs: Arc<dyn FileSystem>) -> Self {
        let supported = Minor::ALL.map(|minor| supported_by(&*fs, minor));
        Self { id, path, fs, supported }
    }

    /// The attributes that its objects have in `minor`.
    #[inline]
    pub fn supported(&self, minor: Minor) -> Bitmap {
        let [v0, v1, v2] = self.supported;
        match minor {
            Minor::V0 => v0,
            Minor::V1 => v1,
            Minor::V2 => v2,
        }
    }
}

fn supported_by(fs: &dyn FileSystem, minor: Minor) -> Bitmap {
    let mut known = known_in(minor);
    let mut only_if = |is_there: bool, number| {
        if !is_there {
            known.remove(number);
        }
    };
    only_if(fs.info().has_time_create, FATTR4_TIME_CREATE);
    only_if(fs.server_side_copy().is_some(), FATTR4_CLONE_BLKSIZE);
    known
}

/// The attributes of `supported` that an exclusive create can set along (RFC 8881 section 5.8.1.14): all that can be set at all,
/// because a file system keeps the verifier apart from the attributes.
pub fn exclusive_create_attributes(supported: Bitmap) -> Bitmap {
    supported.and(SETTABLE)
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("id", &self.id).field("path", &self.path).finish_non_exhaustive()
    }
}

/// An object in an export: what the current and the saved filehandle stand for.
#[derive(Debug, Clone)]
pub struct ExportNode {
    /// Where it is.
    pub export: Arc<Export>,
    /// What it is there.
    pub node: NodeHandle,
}

impl ExportNode {
    /// The file system that it is in.
    #[inline]
    pub fn fs(&self) -> &dyn FileSystem {
        &*self.export.fs
    }

    /// Whether both are the same object.
    pub fn is_same(&self, other: &Self) -> bool {
        self.export.id == other.export.id && self.node == other.node
    }
}
