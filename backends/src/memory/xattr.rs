//! Extended attributes of the user name space (RFC 8276), by the rules that Linux has for them.

use bytes::Bytes;
use dittofs_framework::fs::{Credentials, FsError, FsResult, NodeHandle, XattrPage, XattrSet};
use dittofs_framework::proto::{ChangeInfo, FileType};

use super::cookie_map::CookieMap;
use super::inode::State;
use super::space::ENTRY_CHARGE;
use super::volume::{Volume, change_since};
use crate::rules::permission::{self, Facts, STICKY, Want};

/// Longest name of an extended attribute.
pub(super) const MAX_XATTR_NAME: usize = 255;
/// Longest value of an extended attribute.
pub(super) const MAX_XATTR_VALUE: usize = 64 * 1024;
/// Most bytes of names and values that an object has.
pub(super) const MAX_XATTR_TOTAL: u64 = 1024 * 1024;

/// Cookie 0 is the start of a listing.
const FIRST_COOKIE: u64 = 1;

/// The extended attributes of an object.
pub(super) struct XattrMap {
    values: CookieMap<Bytes>,
    charge: u64,
}

impl XattrMap {
    fn new() -> Self {
        Self { values: CookieMap::new(FIRST_COOKIE), charge: 0 }
    }

    pub(super) fn charge(&self) -> u64 {
        self.charge
    }

    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let sum: u64 = self.values.after(0).map(|(_, name, value)| charge_of(name, value)).sum();
        sum == self.charge && self.values.is_consistent()
    }
}

fn charge_of(name: &[u8], value: &[u8]) -> u64 {
    ENTRY_CHARGE + (name.len() + value.len()) as u64
}

impl Volume {
    pub(super) fn xattr(&self, caller: &Credentials, node: &NodeHandle, name: &[u8]) -> FsResult<Bytes> {
        let inode = self.resolve(node)?;
        let state = inode.read_live()?;
        if !has_user_xattrs(&state.facts) {
            return Err(FsError::NoXattr);
        }
        permission::check(caller, &state.facts, Want::READ)?;
        let xattrs = state.xattrs.as_ref().ok_or(FsError::NoXattr)?;
        xattrs.values.get(name).cloned().ok_or(FsError::NoXattr)
    }

    pub(super) fn set_xattr(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node)?;
        let mut state = inode.write_live()?;
        check_change(caller, &state.facts)?;
        check_limits(name, value)?;
        let old = state.xattrs.as_ref().and_then(|xattrs| xattrs.values.get(name));
        match (when, old) {
            (XattrSet::Create, Some(_)) => return Err(FsError::Exist),
            (XattrSet::Replace, None) => return Err(FsError::NoXattr),
            _ => {}
        }
        let freed = old.map_or(0, |value| charge_of(name, value));
        let total = state.xattrs.as_ref().map_or(0, |xattrs| xattrs.charge) - freed + charge_of(name, value);
        if total > MAX_XATTR_TOTAL {
            return Err(FsError::NoSpace);
        }
        self.space.reserve(charge_of(name, value))?;
        let before = state.change;
        let xattrs = state.xattrs.get_or_insert_with(|| Box::new(XattrMap::new()));
        // A copy, so that a few bytes do not keep the request's whole buffer.
        xattrs.values.insert(name, Bytes::copy_from_slice(value));
        xattrs.charge = total;
        self.space.release(freed);
        state.touch(self.now());
        Ok(change_since(before, &state))
    }

    pub(super) fn remove_xattr(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node)?;
        let mut state = inode.write_live()?;
        check_change(caller, &state.facts)?;
        let before = state.change;
        let xattrs = state.xattrs.as_mut().ok_or(FsError::NoXattr)?;
        let value = xattrs.values.remove(name).ok_or(FsError::NoXattr)?;
        let freed = charge_of(name, &value);
        xattrs.charge -= freed;
        self.space.release(freed);
        state.touch(self.now());
        Ok(change_since(before, &state))
    }

    pub(super) fn list_xattrs(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage> {
        let inode = self.resolve(node)?;
        let state = inode.read_live()?;
        if has_user_xattrs(&state.facts) {
            permission::check(caller, &state.facts, Want::READ)?;
        }
        Ok(page_of(&state, cookie, u64::from(max_bytes)))
    }
}

fn page_of(state: &State, cookie: u64, max_bytes: u64) -> XattrPage {
    let mut page = XattrPage { names: Vec::new(), cookie, eof: true };
    let Some(xattrs) = &state.xattrs else { return page };
    let mut left = max_bytes;
    for (cookie, name, _) in xattrs.values.after(cookie) {
        let size = 4 + (name.len() as u64).next_multiple_of(4);
        let Some(rest) = left.checked_sub(size) else {
            page.eof = false;
            break;
        };
        left = rest;
        page.cookie = cookie;
        page.names.push(Bytes::copy_from_slice(name));
    }
    page
}

/// The user name space is one of files and directories: the mode of the others is not about what is stored in them.
fn has_user_xattrs(facts: &Facts) -> bool {
    matches!(facts.file_type, FileType::Reg | FileType::Dir)
}

fn check_change(caller: &Credentials, facts: &Facts) -> FsResult<()> {
    // Whoever may add names to a sticky directory is not yet to change what is said of it.
    let sticky = facts.file_type == FileType::Dir && facts.mode & STICKY != 0;
    if !has_user_xattrs(facts) || (sticky && !permission::is_owner(caller, facts)) {
        return Err(FsError::Perm);
    }
    permission::check(caller, facts, Want::WRITE)
}

fn check_limits(name: &[u8], value: &[u8]) -> FsResult<()> {
    if name.len() > MAX_XATTR_NAME {
        Err(FsError::NameTooLong)
    } else if value.len() > MAX_XATTR_VALUE {
        Err(FsError::XattrTooBig)
    } else {
        Ok(())
    }
}
