use bytes::Bytes;

use super::NodeHandle;

/// What changed in a file system without a call of the server's: by another server of the same storage, by a program beside the
/// server, or by the storage itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upcall {
    /// The data of a file changed, and its attributes with it.
    Data(NodeHandle),
    /// Attributes of an object changed.
    Attributes(NodeHandle),
    /// A directory has a new entry.
    Added {
        /// The directory.
        dir: NodeHandle,
        /// The name.
        name: Bytes,
    },
    /// An entry of a directory is gone. The new name of one that was renamed is told with [`Added`](Self::Added) next.
    Removed {
        /// The directory.
        dir: NodeHandle,
        /// The name.
        name: Bytes,
        /// The cookie that it had in listings, if the backend knows.
        cookie: Option<u64>,
    },
    /// Entries of a directory changed; which is not known.
    Entries(NodeHandle),
    /// The object has no name any more.
    Vanished(NodeHandle),
}

impl Upcall {
    /// The object that it is about: the directory, where it is about entries.
    pub fn node(&self) -> &NodeHandle {
        match self {
            Self::Data(node) | Self::Attributes(node) | Self::Entries(node) | Self::Vanished(node) => node,
            Self::Added { dir, .. } | Self::Removed { dir, .. } => dir,
        }
    }
}

/// Takes from a file system word of what changed behind the server's back, so that clients that rely on what they have read are told
/// or give it back (RFC 8881 sections 10.4 and 10.9).
pub trait Upcalls: Send + Sync + 'static {
    /// Something has changed: to be called after it can be seen.
    ///
    /// Returns at once and calls nothing of the file system, so it may be called with locks held. Changes are taken to have
    /// been made in the order of the calls. What the server changes by calls of its own needs no word; if it gets one all the same,
    /// clients are disturbed for nothing, and nothing else happens.
    fn changed(&self, what: Upcall);
}
