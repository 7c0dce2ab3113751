//! Extended attributes of the user name space (RFC 8276).

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::fs::{Credentials, FsError, FsResult, NodeHandle, XattrPage, XattrSet};
use dittofs_framework::proto::ChangeInfo;
use dittofs_framework::storage::{NamedXattr, Xattr};

use super::inode::{Inode, State};
use super::volume::{Volume, change_since};
use crate::rules::xattr::{MAX_XATTR_TOTAL, check_change, check_limits, check_list, check_read};

/// Names that are asked for at a time.
const PAGE: usize = 64;

/// An extended attribute when it was seen up.
struct Looked {
    xattr: Option<Xattr>,
    epoch: u64,
}

impl Looked {
    /// Whether it still is so, now that the object is locked.
    fn holds(&self, state: &State, name: &[u8]) -> bool {
        state.epoch == self.epoch && state.xattrs.get(name).is_none_or(|now| *now == self.xattr)
    }
}

impl Volume {
    async fn look_xattr(
        &self,
        inode: &Inode,
        name: &[u8],
        check: impl Fn(&State) -> FsResult<()>,
    ) -> FsResult<Looked> {
        loop {
            let epoch = {
                let state = inode.read_live()?;
                check(&state)?;
                let epoch = state.epoch;
                if let Some(xattr) = state.xattrs.get(name) {
                    return Ok(Looked { xattr: xattr.clone(), epoch });
                }
                if state.record.xattr_bytes == 0 {
                    return Ok(Looked { xattr: None, epoch });
                }
                epoch
            };
            let xattr = self.metadata.xattr(inode.ino, name).await?;
            let seen = Looked { xattr, epoch };
            if seen.holds(&*inode.read_live()?, name) {
                return Ok(seen);
            }
        }
    }

    pub(super) async fn xattr(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<Bytes> {
        let inode = self.resolve(node).await?;
        let seen = self.look_xattr(&inode, name, |state| check_read(caller, &state.facts())).await?;
        seen.xattr.map(|xattr| xattr.value).ok_or(FsError::NoXattr)
    }

    pub(super) async fn set_xattr(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        name: &[u8],
        value: &Bytes,
        when: XattrSet,
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node).await?;
        let check = |state: &State| {
            check_change(caller, &state.facts())?;
            check_limits(name, value)
        };
        loop {
            let seen = self.look_xattr(&inode, name, check).await?;
            match (when, &seen.xattr) {
                (XattrSet::Create, Some(_)) => return Err(FsError::Exist),
                (XattrSet::Replace, None) => return Err(FsError::NoXattr),
                _ => {}
            }
            self.check_room().await?;
            let (ticket, info) = {
                let mut state = inode.write_live()?;
                check(&state)?;
                if !seen.holds(&state, name) {
                    continue;
                }
                let old = seen.xattr.as_ref().map_or(0, |xattr| cost(name, &xattr.value));
                let total = (state.record.xattr_bytes + cost(name, value)).saturating_sub(old);
                if total > MAX_XATTR_TOTAL {
                    return Err(FsError::NoSpace);
                }
                let mut change = self.journal.begin()?;
                let cookie = seen.xattr.as_ref().map_or(state.record.next_xattr_cookie, |old| old.cookie);
                state.record.next_xattr_cookie = state.record.next_xattr_cookie.max(cookie + 1);
                state.record.xattr_bytes = total;
                // A copy, so that a few bytes do not keep the request's whole buffer.
                let xattr = Xattr { cookie, value: Bytes::copy_from_slice(value) };
                change.put_xattr(&inode, &mut state, name, xattr);
                let before = state.record.change;
                state.touch(self.now(), self.floor());
                change.put(&inode, &mut state);
                (change.ticket(), change_since(before, &state))
            };
            self.commit(ticket).await?;
            return Ok(info);
        }
    }

    pub(super) async fn remove_xattr(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        name: &[u8],
    ) -> FsResult<ChangeInfo> {
        let inode = self.resolve(node).await?;
        let check = |state: &State| check_change(caller, &state.facts());
        loop {
            let seen = self.look_xattr(&inode, name, check).await?;
            let old = seen.xattr.as_ref().ok_or(FsError::NoXattr)?;
            let (ticket, info) = {
                let mut state = inode.write_live()?;
                check(&state)?;
                if !seen.holds(&state, name) {
                    continue;
                }
                let mut change = self.journal.begin()?;
                state.record.xattr_bytes = state.record.xattr_bytes.saturating_sub(cost(name, &old.value));
                change.remove_xattr(&inode, &mut state, name, old.cookie);
                let before = state.record.change;
                state.touch(self.now(), self.floor());
                change.put(&inode, &mut state);
                (change.ticket(), change_since(before, &state))
            };
            self.commit(ticket).await?;
            return Ok(info);
        }
    }

    pub(super) async fn list_xattrs(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        cookie: u64,
        max_bytes: u32,
    ) -> FsResult<XattrPage> {
        let inode = self.resolve(node).await?;
        check_list(caller, &inode.read_live()?.facts())?;
        let mut page = XattrPage { names: Vec::new(), cookie, eof: true };
        let mut left = u64::from(max_bytes);
        loop {
            let (some, is_last) = self.xattrs_after(&inode, page.cookie).await?;
            for NamedXattr { name, cookie } in some {
                let size = 4 + (name.len() as u64).next_multiple_of(4);
                let Some(rest) = left.checked_sub(size) else {
                    page.eof = false;
                    return Ok(page);
                };
                left = rest;
                page.cookie = cookie;
                page.names.push(name);
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    /// Some names with cookies above `after`, in order, and whether they are the last.
    async fn xattrs_after(&self, inode: &Inode, after: u64) -> FsResult<(Vec<NamedXattr>, bool)> {
        let mut from = after;
        loop {
            let epoch = {
                let state = inode.read();
                if state.record.xattr_bytes == 0 {
                    return Ok((Vec::new(), true));
                }
                state.epoch
            };
            let mut page = self.metadata.xattrs(inode.ino, from, PAGE).await?;
            let state = inode.read();
            if state.epoch != epoch {
                continue;
            }
            let is_last = page.len() < PAGE;
            let reached = page.last().map_or(from, |last| last.cookie);
            page.retain(|named| !state.xattrs.contains(&named.name));
            // A value that was replaced keeps its place; a new one comes behind all that are stored.
            let changed = state
                .xattrs
                .present()
                .map(|(name, xattr)| NamedXattr { name: name.clone(), cookie: xattr.cookie });
            page.extend(changed.filter(|named| named.cookie > from && (is_last || named.cookie <= reached)));
            page.sort_unstable_by_key(|named| named.cookie);
            if page.is_empty() && !is_last {
                from = reached;
                continue;
            }
            return Ok((page, is_last));
        }
    }

    /// Names and cookies of all.
    pub(super) async fn all_xattrs(&self, inode: &Inode) -> FsResult<Vec<(Bytes, u64)>> {
        let mut all: Vec<(Bytes, u64)> = Vec::new();
        loop {
            let after = all.last().map_or(0, |(_, cookie)| *cookie);
            let (some, is_last) = self.xattrs_after(inode, after).await?;
            all.extend(some.into_iter().map(|named| (named.name, named.cookie)));
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// What a name and its value count for.
fn cost(name: &[u8], value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64
}
