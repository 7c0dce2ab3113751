//! Who may do what, by the rules of POSIX.
use dittofs_framework::fs::{AccessMask, Credentials, FsError, FsResult};
use dittofs_framework::proto::FileType;

use super::tree::Node;

/// The bits of one class of a mode.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    Read = 4,
    Execute = 1,
}

/// Whether the mode lets the caller do it.
pub(crate) fn allows(caller: &Credentials, node: &Node, want: Want) -> bool {
    if caller.uid == 0 {
        // The superuser may do everything but run what nobody may run.
        let can_run = node.file_type() == FileType::Dir || node.mode & 0o111 != 0;
        return matches!(want, Want::Read) || can_run;
    }
    let class = if caller.uid == node.uid {
        node.mode >> 6
    } else if caller.is_in_group(node.gid) {
        node.mode >> 3
    } else {
        node.mode
    };
    class & want as u32 != 0
}

pub(crate) fn check(caller: &Credentials, node: &Node, want: Want) -> FsResult<()> {
    if allows(caller, node, want) { Ok(()) } else { Err(FsError::Access) }
}

/// Whether data may be read. Whoever may run a file may read it: over a network there is no other way to run it (RFC 8881 section
/// 6.2.1.3.2).
pub(crate) fn check_read(caller: &Credentials, node: &Node) -> FsResult<()> {
    check(caller, node, Want::Read).or_else(|_| check(caller, node, Want::Execute))
}

/// Which of `wanted` the caller may do: nothing that changes anything.
pub(crate) fn access(caller: &Credentials, node: &Node, wanted: AccessMask) -> AccessMask {
    let mut granted = AccessMask::empty();
    granted.set(AccessMask::READ, allows(caller, node, Want::Read));
    let run_or_search = allows(caller, node, Want::Execute);
    let is_dir = node.file_type() == FileType::Dir;
    granted.set(if is_dir { AccessMask::LOOKUP } else { AccessMask::EXECUTE }, run_or_search);
    granted & wanted
}
