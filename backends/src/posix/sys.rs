//! The system calls that rustix does not have, and those that it calls unsafe for what we do not do with them.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::{Errno, Result};
use rustix::thread::UnshareFlags;
use smallvec::SmallVec;

/// The longest kernel handle (`MAX_HANDLE_SZ`).
const MAX_HANDLE: usize = 128;
/// An argument to `setfsuid` and `setfsgid` that changes nothing.
const NO_ID: u32 = u32::MAX;

/// What the kernel calls an object within its file system: never the same for two objects, even one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KernelHandle {
    pub(super) kind: i32,
    pub(super) bytes: SmallVec<[u8; 32]>,
}

/// How the kernel's `struct file_handle` lies in memory, with room for the longest.
#[repr(C)]
struct RawHandle {
    handle_bytes: u32,
    handle_type: i32,
    f_handle: [u8; MAX_HANDLE],
}

/// What a handle is to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandleUse {
    /// To open the object by it.
    Open,
    /// Only to tell the object from others, which more file systems can do (Linux 6.5 and later).
    Compare,
}

/// The kernel's handle of an open object (`name_to_handle_at`), which takes no privilege.
pub(super) fn name_to_handle(fd: BorrowedFd<'_>, purpose: HandleUse) -> Result<KernelHandle> {
    let mut raw = RawHandle { handle_bytes: 128, handle_type: 0, f_handle: [0; MAX_HANDLE] };
    let mut mount_id = 0;
    let flags = match purpose {
        HandleUse::Open => libc::AT_EMPTY_PATH,
        HandleUse::Compare => libc::AT_EMPTY_PATH | libc::AT_HANDLE_FID,
    };
    // SAFETY: the path is a C string, `raw` has the layout of `struct file_handle` followed by as many bytes as it says, and both
    // pointers are good for writing during the call.
    let result = unsafe {
        libc::name_to_handle_at(
            fd.as_raw_fd(),
            c"".as_ptr(),
            (&raw mut raw).cast::<libc::file_handle>(),
            &raw mut mount_id,
            flags,
        )
    };
    check(result)?;
    let len = usize::try_from(raw.handle_bytes).unwrap_or(MAX_HANDLE);
    let bytes = raw.f_handle.get(..len).unwrap_or(&raw.f_handle);
    Ok(KernelHandle { kind: raw.handle_type, bytes: SmallVec::from_slice(bytes) })
}

/// Opens what a handle names, in the file system in which `mount` is open (`open_by_handle_at`, `CAP_DAC_READ_SEARCH`).
pub(super) fn open_by_handle(mount: BorrowedFd<'_>, handle: &KernelHandle, flags: OFlags) -> Result<OwnedFd> {
    let mut raw = RawHandle { handle_bytes: 0, handle_type: handle.kind, f_handle: [0; MAX_HANDLE] };
    raw.handle_bytes = u32::try_from(handle.bytes.len()).map_err(|_| Errno::STALE)?;
    raw.f_handle.get_mut(..handle.bytes.len()).ok_or(Errno::STALE)?.copy_from_slice(&handle.bytes);
    let flags = i32::try_from(flags.bits()).map_err(|_| Errno::INVAL)?;
    // SAFETY: `raw` has the layout of `struct file_handle` and holds as many bytes as it says.
    let fd = unsafe {
        libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut raw).cast::<libc::file_handle>(), flags)
    };
    check(fd)?;
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets the user whose permissions this thread's calls on files have. The capabilities that override permissions go when it is
/// not root, and come back when it is again: the kernel sees to that.
pub(super) fn set_fsuid(uid: u32) -> Result<()> {
    // SAFETY: the calls take numbers only, and change this thread alone.
    let now = unsafe {
        libc::setfsuid(uid);
        libc::setfsuid(NO_ID)
    };
    // It reports no error: what it is now tells.
    if now.cast_unsigned() == uid { Ok(()) } else { Err(Errno::PERM) }
}

/// Sets the group of this thread's calls on files.
pub(super) fn set_fsgid(gid: u32) -> Result<()> {
    // SAFETY: the calls take numbers only, and change this thread alone.
    let now = unsafe {
        libc::setfsgid(gid);
        libc::setfsgid(NO_ID)
    };
    if now.cast_unsigned() == gid { Ok(()) } else { Err(Errno::PERM) }
}

/// Gives this thread a umask and a working directory of its own.
pub(super) fn own_umask() -> Result<()> {
    // SAFETY: the table of descriptors stays shared, which is what the call's contract is about.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
}

/// Makes a range of `to` share the blocks of one of `from`; `len` 0 stands for all to the end.
pub(super) fn clone_range(
    from: BorrowedFd<'_>,
    from_offset: u64,
    to: BorrowedFd<'_>,
    to_offset: u64,
    len: u64,
) -> Result<()> {
    let range = libc::file_clone_range {
        src_fd: i64::from(from.as_raw_fd()),
        src_offset: from_offset,
        src_length: len,
        dest_offset: to_offset,
    };
    // SAFETY: FICLONERANGE reads one `struct file_clone_range`, which `range` is.
    check(unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONERANGE, &raw const range) })
}

/// What tells a file system from others over restarts of the machine: its UUID where the kernel tells it (Linux 6.9 and later), or the
/// id of `statfs`.
pub(super) fn filesystem_id(fd: BorrowedFd<'_>) -> Result<u64> {
    /// `struct fsuuid2`.
    #[repr(C)]
    struct Uuid {
        len: u8,
        uuid: [u8; 16],
    }
    const FS_IOC_GETFSUUID: libc::Ioctl = libc::_IOR::<Uuid>(0x15, 0);
    let mut id = Uuid { len: 0, uuid: [0; 16] };
    // SAFETY: FS_IOC_GETFSUUID writes one `struct fsuuid2`, as which `id` is laid out.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), FS_IOC_GETFSUUID, &raw mut id) };
    if result == 0 && id.len > 0 {
        let (high, low) = id.uuid.split_at(8);
        let number = |half: &[u8]| half.try_into().map(u64::from_be_bytes).unwrap_or_default();
        return Ok(number(high) ^ number(low));
    }
    Ok(rustix::fs::fstatvfs(fd)?.f_fsid)
}

fn check(result: i32) -> Result<()> {
    if result >= 0 {
        return Ok(());
    }
    let code = std::io::Error::last_os_error().raw_os_error();
    Err(code.map_or(Errno::IO, Errno::from_raw_os_error))
}
