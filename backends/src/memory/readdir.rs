//! READDIR.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    AttrMask, Attributes, Credentials, DirEntry, DirSink, EntryPlace, FsError, FsResult, NodeHandle,
    ReaddirEnd,
};
use dittofs_framework::proto::{NfsTime, SpecData, Verifier4};
use smallvec::SmallVec;

use super::cookie_map::Name;
use super::directory::FIRST_COOKIE;
use super::inode::{Inode, InodeId};
use super::volume::Volume;
use crate::rules::permission::{self, Want};

/// Entries that are taken from the directory under its lock at a time.
const BATCH: usize = 32;
/// What can be told of an object without its lock: type, fsid, rdattr_error, filehandle, fileid, mounted_on_fileid (RFC
/// 8881 section 5.6 and 5.7).
const WITHOUT_LOCK: Bitmap = Bitmap::of(&[1, 8, 11, 19, 20, 55]);

type Batch = SmallVec<[(u64, Name, Arc<Inode>); BATCH]>;

impl Volume {
    pub(super) fn readdir(
        &self,
        caller: &Credentials,
        dir: &NodeHandle,
        (cookie, cookieverf): (u64, Verifier4),
        mask: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd> {
        let dir = self.resolve(dir)?;
        let verifier = verifier_of(dir.id);
        let mut last = cookie;
        let mut first_batch = true;
        loop {
            let batch: Batch = {
                let state = dir.read_live()?;
                let directory = state.directory()?;
                if first_batch {
                    permission::check(caller, &state.facts, Want::READ)?;
                    check_cookie(cookie, cookieverf, verifier)?;
                    dir.note_access(&state, || self.now());
                    first_batch = false;
                }
                let entries = directory.entries.after(last).take(BATCH);
                entries.map(|(cookie, name, inode)| (cookie, Arc::clone(name), Arc::clone(inode))).collect()
            };
            // No lock is held from here on: the order of locks forbids to lock children with the directory, and the
            // sink may do anything.
            for (cookie, name, inode) in &batch {
                let Some(attributes) = attributes_for(inode, mask) else { continue };
                let entry =
                    DirEntry { cookie: *cookie, name, node: self.handle(inode.id), attributes: &attributes };
                if sink.entry(entry).is_err() {
                    return Ok(ReaddirEnd { eof: false, cookieverf: verifier });
                }
            }
            match batch.last() {
                Some((cookie, ..)) if batch.len() == BATCH => last = *cookie,
                _ => return Ok(ReaddirEnd { eof: true, cookieverf: verifier }),
            }
        }
    }
}

impl Volume {
    /// Where an entry is in listings.
    pub(super) fn entry_place(&self, dir: &NodeHandle, name: &[u8]) -> FsResult<EntryPlace> {
        let dir = self.resolve(dir)?;
        let state = dir.read_live()?;
        let entries = &state.directory()?.entries;
        let cookie = entries.cookie(name).ok_or(FsError::NotFound)?;
        let previous = entries.before(cookie).map(|(cookie, name)| (Bytes::copy_from_slice(name), cookie));
        Ok(EntryPlace { cookie, previous, is_last: entries.after(cookie).next().is_none() })
    }
}

/// Cookies of a directory are good while it lives, so its verifier never changes.
fn verifier_of(dir: InodeId) -> Verifier4 {
    dir.0.to_be_bytes()
}

fn check_cookie(cookie: u64, cookieverf: Verifier4, verifier: Verifier4) -> FsResult<()> {
    match cookie {
        0 => Ok(()),
        1..FIRST_COOKIE => Err(FsError::BadCookie),
        _ if cookieverf != verifier => Err(FsError::BadCookie),
        _ => Ok(()),
    }
}

/// Attributes of an entry; `None` when the object is gone by now.
fn attributes_for(inode: &Inode, mask: AttrMask) -> Option<Attributes> {
    if !mask.minus(WITHOUT_LOCK).is_empty() {
        return inode.read_live().ok().map(|state| inode.attributes(&state));
    }
    Some(Attributes {
        file_type: inode.file_type,
        mode: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        size: 0,
        space_used: 0,
        rawdev: SpecData::default(),
        fileid: inode.id.0,
        change: 0,
        time_access: NfsTime::default(),
        time_modify: NfsTime::default(),
        time_metadata: NfsTime::default(),
        time_create: None,
    })
}
