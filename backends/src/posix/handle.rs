//! Handles: what the kernel calls an object, sealed with a key of the export.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version |
//! | 1..9 | seal: SipHash-2-4 of the rest, under the export's key and with the exported directory's own name |
//! | 9..13 | type of the kernel's handle, or [`BY_BIRTH`] |
//! | 13.. | the kernel's handle, or inode number and time of birth |

use std::hash::Hasher;
use std::os::fd::BorrowedFd;

use dittofs_framework::fs::NodeHandle;
use rustix::fs::Statx;
use rustix::io::Errno;
use siphasher::sip::SipHasher24;
use smallvec::SmallVec;

use super::sys::{self, HandleUse, KernelHandle};

const VERSION: u8 = 1;
const HEAD: usize = 13;
/// The type of a handle that is inode number and time of birth, where the kernel has none.
const BY_BIRTH: i32 = -1;

/// How objects of an export are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By kernel handles, by which objects can be opened.
    Kernel,
    /// By kernel handles that only tell objects from others.
    Compared,
    /// By inode number and time of birth.
    Birth,
}

impl Naming {
    /// The best that works for an object of the file system.
    pub(super) fn of(fd: BorrowedFd<'_>) -> Self {
        if sys::name_to_handle(fd, HandleUse::Open).is_ok_and(|handle| fits(&handle)) {
            Self::Kernel
        } else if sys::name_to_handle(fd, HandleUse::Compare).is_ok_and(|handle| fits(&handle)) {
            Self::Compared
        } else {
            Self::Birth
        }
    }

    /// The name of an open object.
    pub(super) fn name(self, fd: BorrowedFd<'_>, stat: &Statx) -> Result<KernelHandle, Errno> {
        let purpose = match self {
            Self::Kernel => HandleUse::Open,
            Self::Compared => HandleUse::Compare,
            Self::Birth => return Ok(by_birth(stat)),
        };
        let handle = sys::name_to_handle(fd, purpose)?;
        if fits(&handle) { Ok(handle) } else { Err(Errno::OVERFLOW) }
    }
}

fn fits(handle: &KernelHandle) -> bool {
    HEAD + handle.bytes.len() <= NodeHandle::MAX
}

fn by_birth(stat: &Statx) -> KernelHandle {
    let mut bytes = SmallVec::new();
    bytes.extend_from_slice(&stat.stx_ino.to_be_bytes());
    bytes.extend_from_slice(&stat.stx_btime.tv_sec.to_be_bytes());
    bytes.extend_from_slice(&stat.stx_btime.tv_nsec.to_be_bytes());
    KernelHandle { kind: BY_BIRTH, bytes }
}

/// Proves that a handle was made for an object of this export, when that was found below the exported directory.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    key: [u8; 16],
    /// Which directory of which file system is exported.
    root: KernelHandle,
    filesystem: u64,
}

impl Seal {
    pub(super) fn new(key: [u8; 16], root: KernelHandle, filesystem: u64) -> Self {
        Self { key, root, filesystem }
    }

    /// The handle of an object.
    pub(super) fn handle(&self, name: &KernelHandle) -> Result<NodeHandle, Errno> {
        let mut bytes = SmallVec::<[u8; NodeHandle::MAX]>::new();
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.tag(name));
        bytes.extend_from_slice(&name.kind.to_be_bytes());
        bytes.extend_from_slice(&name.bytes);
        NodeHandle::new(&bytes).ok_or(Errno::OVERFLOW)
    }

    /// The object's name; `None` if the handle is not one of this export's.
    pub(super) fn open(&self, handle: &NodeHandle) -> Option<KernelHandle> {
        let (head, bytes) = handle.as_bytes().split_at_checked(HEAD)?;
        let (version, head) = head.split_first()?;
        let (tag, kind) = head.split_at_checked(8)?;
        let name = KernelHandle {
            kind: i32::from_be_bytes(kind.try_into().ok()?),
            bytes: SmallVec::from_slice(bytes),
        };
        (*version == VERSION && tag == self.tag(&name)).then_some(name)
    }

    fn tag(&self, name: &KernelHandle) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        for part in [&self.root, name] {
            hasher.write(&part.kind.to_be_bytes());
            hasher.write(&part.bytes.len().to_be_bytes());
            hasher.write(&part.bytes);
        }
        hasher.write(&self.filesystem.to_be_bytes());
        hasher.finish().to_be_bytes()
    }
}

/// Verifies the cookies of a directory's listings: they are good while it lives.
pub(super) fn cookie_verifier(dir: &NodeHandle) -> [u8; 8] {
    dir.as_bytes().get(1..9).and_then(|seal| seal.try_into().ok()).unwrap_or_default()
}
