//! The verifier of an exclusive create, kept with the file until attributes are set (RFC 8881 section 18.16.3): in an extended
//! attribute that clients do not see, or, where there are none, in the times of access and modification.

use std::os::fd::{AsFd, BorrowedFd};

use dittofs_framework::fs::FsResult;
use rustix::buffer::spare_capacity;
use rustix::fs::{Statx, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::errno::to_fs;
use super::identity::as_server;
use super::node::Node;
use super::volume::proc_path;

/// The attribute's name.
pub(super) const NAME: &str = "user.dittofs.exclusive";

/// Notes the verifier with a new file.
pub(super) fn set(file: BorrowedFd<'_>, verifier: [u8; 8]) -> FsResult<()> {
    match rustix::fs::fsetxattr(file, NAME, &verifier, XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => rustix::fs::futimens(file, &as_times(verifier)).map_err(to_fs),
        other => other.map_err(to_fs),
    }
}

/// Whether a file was made with this verifier and no attributes were set since.
pub(super) fn matches(node: &Node, stat: &Statx, verifier: [u8; 8]) -> FsResult<bool> {
    let mut value = Vec::with_capacity(verifier.len() + 1);
    let path = proc_path(node.fd.as_fd());
    match as_server(|| rustix::fs::getxattr(path.as_str(), NAME, spare_capacity(&mut value)))? {
        Ok(_) => Ok(value == verifier),
        Err(Errno::OPNOTSUPP) => {
            let times = as_times(verifier);
            Ok(stat.stx_atime.tv_sec == times.last_access.tv_sec
                && stat.stx_mtime.tv_sec == times.last_modification.tv_sec)
        }
        // None is there, it is longer than a verifier, or it is out of our sight: not that one.
        Err(_) => Ok(false),
    }
}

/// Forgets the verifier: attributes were set.
pub(super) fn clear(node: &Node) -> FsResult<()> {
    let path = proc_path(node.fd.as_fd());
    match as_server(|| rustix::fs::removexattr(path.as_str(), NAME))? {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::ACCESS) => Ok(()),
        Err(error) => Err(to_fs(error)),
    }
}

/// Times that every file system can keep: 31 bits of each half.
fn as_times(verifier: [u8; 8]) -> Timestamps {
    let bits = u64::from_be_bytes(verifier);
    let time = |half: u64| Timespec { tv_sec: (half & 0x7fff_ffff).cast_signed(), tv_nsec: 0 };
    Timestamps { last_access: time(bits >> 32), last_modification: time(bits) }
}
