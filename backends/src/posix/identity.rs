//! As whom a thread calls the kernel.
//!
//! A worker thread has a user, a group and groups for its calls on files (`fsuid`, `fsgid`, supplementary groups), which change
//! only when the next job's caller is another one. With the user the kernel takes away, and gives back, the capabilities that
//! override permissions. So permission is the kernel's to check, with whatever ACLs and security modules it has.

use std::cell::{Cell, RefCell};

use dittofs_framework::fs::{Credentials, FsResult};
use rustix::fs::Mode;
use rustix::io::Result;
use rustix::thread::{CapabilitySet, Gid};

use super::{errno, sys};

/// The capabilities without which a server cannot act as anybody: to become another user, and to be root while it is root.
const NEEDED: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// Whether the process can act as others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// As anybody.
    Anybody,
    /// Only as itself.
    Itself,
}

impl Power {
    /// What this process has.
    pub(super) fn of_process() -> Result<Self> {
        let sets = rustix::thread::capabilities(None)?;
        let root = rustix::process::geteuid().is_root();
        Ok(if root && sets.effective.contains(NEEDED) { Self::Anybody } else { Self::Itself })
    }
}

/// The process's own user, group and groups.
pub(super) fn of_process() -> Result<Credentials> {
    let groups = rustix::process::getgroups()?;
    Ok(Credentials {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

thread_local! {
    /// Whether the thread can act as others.
    static POWER: Cell<Power> = const { Cell::new(Power::Itself) };
    /// Whom the thread acts for; `None` where that is not known.
    static CURRENT: RefCell<Option<Credentials>> = const { RefCell::new(None) };
}

/// Makes a thread one that can act for callers: modes of new objects are not cut by the process's umask, and nobody gets at what is
/// reserved or beyond a quota by the server's own privilege.
pub(super) fn prepare_thread(power: Power) -> Result<()> {
    POWER.set(power);
    sys::own_umask()?;
    rustix::process::umask(Mode::empty());
    let mut sets = rustix::thread::capabilities(None)?;
    if sets.effective.contains(CapabilitySet::SYS_RESOURCE) {
        sets.effective.remove(CapabilitySet::SYS_RESOURCE);
        rustix::thread::set_capabilities(None, sets)?;
    }
    Ok(())
}

/// Forgets whom this thread acts for: all of it is set again before the next call.
pub(super) fn forget() {
    CURRENT.with_borrow_mut(|current| *current = None);
}

/// Makes this thread act as `caller`.
pub(super) fn assume(caller: &Credentials) -> FsResult<()> {
    if POWER.get() == Power::Itself {
        return Ok(());
    }
    CURRENT
        .with_borrow_mut(|current| {
            if current.as_ref() == Some(caller) {
                return Ok(());
            }
            let now = current.take();
            let now = now.as_ref();
            if now.is_none_or(|now| now.groups != caller.groups) {
                let groups: Vec<Gid> = caller.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
                rustix::thread::set_thread_groups(&groups)?;
            }
            if now.is_none_or(|now| now.gid != caller.gid) {
                sys::set_fsgid(caller.gid)?;
            }
            if now.is_none_or(|now| now.uid != caller.uid) {
                sys::set_fsuid(caller.uid)?;
            }
            *current = Some(caller.clone());
            Ok(())
        })
        .map_err(errno::to_fs)
}

/// Runs `call` with the server's own privilege, then is the caller again.
pub(super) fn as_server<T>(call: impl FnOnce() -> T) -> FsResult<T> {
    let caller = CURRENT.with_borrow(|current| current.as_ref().map(|current| current.uid));
    match caller {
        None | Some(0) => Ok(call()),
        Some(uid) => {
            sys::set_fsuid(0).map_err(errno::to_fs)?;
            let restore = Restore(uid);
            let result = call();
            drop(restore);
            Ok(result)
        }
    }
}

/// Takes the server's privilege away again.
struct Restore(u32);

impl Drop for Restore {
    fn drop(&mut self) {
        // Going on as root for a caller who is not: rather not at all.
        if let Err(error) = sys::set_fsuid(self.0) {
            tracing::error!(%error, "cannot act as the caller again");
            std::process::abort();
        }
    }
}
