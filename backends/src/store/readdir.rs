//! READDIR, and places of entries.

use std::sync::Arc;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{
    AttrMask, Attributes, Credentials, DirEntry, DirSink, EntryPlace, FsError, FsResult, NodeHandle,
    ReaddirEnd,
};
use dittofs_framework::proto::{NfsTime, SpecData, Verifier4};
use dittofs_framework::storage::{Entry, Ino, InodeRecord, NamedEntry};

use super::inode::{Inode, attributes_of};
use super::volume::{FIRST_COOKIE, Volume};
use crate::rules::permission::{self, Want};

/// Entries that are asked for at a time.
const PAGE: usize = 128;
/// What can be told of an object by its entry: type, fsid, rdattr_error, filehandle, fileid, mounted_on_fileid (RFC 8881 sections
/// 5.6 and 5.7).
const BY_ENTRY: Bitmap = Bitmap::of(&[1, 8, 11, 19, 20, 55]);

impl Volume {
    pub(super) async fn readdir(
        &self,
        caller: &Credentials,
        dir: &NodeHandle,
        (cookie, cookieverf): (u64, Verifier4),
        mask: AttrMask,
        sink: &mut dyn DirSink,
    ) -> FsResult<ReaddirEnd> {
        let dir = self.resolve(dir).await?;
        let verifier = verifier_of(dir.ino);
        {
            let state = dir.read_live()?;
            state.directory()?;
            permission::check(caller, &state.facts(), Want::READ)?;
            check_cookie(cookie, cookieverf, verifier)?;
            dir.note_access(&state, || self.now());
        }
        let with_records = !mask.minus(BY_ENTRY).is_empty();
        let mut last = cookie;
        loop {
            let (entries, reached) = self.entries_after(&dir, last).await?;
            let records = if with_records { self.records(&entries).await? } else { Vec::new() };
            let mut records = records.into_iter();
            for NamedEntry { name, entry } in &entries {
                let attributes = match records.next() {
                    _ if !with_records => Some(attributes_by_entry(entry)),
                    Some(known) => known.attributes(entry.ino),
                    None => None,
                };
                // Gone by now.
                let Some(attributes) = attributes else { continue };
                let node = self.handle(entry.ino);
                let entry = DirEntry { cookie: entry.cookie, name, node, attributes: &attributes };
                if sink.entry(entry).is_err() {
                    return Ok(ReaddirEnd { eof: false, cookieverf: verifier });
                }
            }
            match reached {
                Some(cookie) => last = cookie,
                None => return Ok(ReaddirEnd { eof: true, cookieverf: verifier }),
            }
        }
    }

    /// Some entries behind a cookie, in order, and the cookie up to which these are all; `None` if there are no more.
    async fn entries_after(&self, dir: &Inode, after: u64) -> FsResult<(Vec<NamedEntry>, Option<u64>)> {
        loop {
            let epoch = dir.read_live()?.epoch;
            let mut page = self.metadata.entries(dir.ino, after, PAGE).await?;
            let state = dir.read_live()?;
            if state.epoch != epoch {
                continue;
            }
            let reached = page.last().filter(|_| page.len() == PAGE).map(|last| last.entry.cookie);
            page.retain(|named| !state.names.contains(&named.name));
            // The store may have some of them by now: each belongs into the page that its cookie is in.
            let is_here = |cookie| cookie > after && reached.is_none_or(|reached| cookie <= reached);
            let new = state.names.present().filter(|(_, entry)| is_here(entry.cookie));
            page.extend(new.map(|(name, entry)| NamedEntry { name: name.clone(), entry: *entry }));
            page.sort_unstable_by_key(|named| named.entry.cookie);
            return Ok((page, reached));
        }
    }

    /// What is known of the objects of entries, in their order. Those that are not in memory are not taken there: a large directory is
    /// not to drive everything else out.
    async fn records(&self, entries: &[NamedEntry]) -> FsResult<Vec<Known>> {
        let mut known: Vec<Known> = Vec::with_capacity(entries.len());
        let mut missing: Vec<Ino> = Vec::new();
        for NamedEntry { entry, .. } in entries {
            if let Some(inode) = self.cache.get(entry.ino) {
                known.push(Known::Cached(inode));
            } else {
                missing.push(entry.ino);
                known.push(Known::Missing);
            }
        }
        if !missing.is_empty() {
            let found = self.metadata.inodes(&missing).await?;
            let places = known.iter_mut().filter(|known| matches!(known, Known::Missing));
            for (place, record) in places.zip(found) {
                if let Some(record) = record {
                    *place = Known::Stored(Box::new(self.renewed(record)));
                }
            }
        }
        Ok(known)
    }

    /// Where an entry is in listings.
    pub(super) async fn entry_place(&self, dir: &NodeHandle, name: &[u8]) -> FsResult<EntryPlace> {
        let dir = self.resolve(dir).await?;
        loop {
            let epoch = {
                let state = dir.read_live()?;
                state.directory()?;
                state.epoch
            };
            let pending = dir.read().names.get(name).copied();
            let entry = match pending {
                Some(entry) => entry,
                None => self.metadata.entry(dir.ino, name).await?,
            };
            let cookie = entry.ok_or(FsError::NotFound)?.cookie;
            let mut stored = self.metadata.entry_before(dir.ino, cookie).await?;
            // Those that are gone but still stored are passed over.
            while let Some(before) = &stored {
                if !dir.read().names.contains(&before.name) {
                    break;
                }
                stored = self.metadata.entry_before(dir.ino, before.entry.cookie).await?;
            }
            let (behind, _) = self.entries_after(&dir, cookie).await?;
            let state = dir.read_live()?;
            if state.epoch != epoch || state.names.get(name).is_some_and(|now| *now != entry) {
                continue;
            }
            let new = state.names.present().filter(|(_, entry)| entry.cookie < cookie);
            let new =
                new.max_by_key(|(_, entry)| entry.cookie).map(|(name, entry)| (name.clone(), entry.cookie));
            let previous = new.or(stored.map(|before| (before.name, before.entry.cookie)));
            return Ok(EntryPlace { cookie, previous, is_last: behind.is_empty() });
        }
    }
}

/// What is known of the object of an entry.
enum Known {
    Cached(Arc<Inode>),
    Stored(Box<InodeRecord>),
    Missing,
}

impl Known {
    fn attributes(&self, ino: Ino) -> Option<Attributes> {
        match self {
            Self::Cached(inode) => inode.read_live().ok().map(|state| inode.attributes(&state)),
            Self::Stored(record) => Some(attributes_of(ino, record, &record.times)),
            Self::Missing => None,
        }
    }
}

/// Cookies of a directory are good while it lives, so its verifier never changes.
fn verifier_of(dir: Ino) -> Verifier4 {
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

fn attributes_by_entry(entry: &Entry) -> Attributes {
    Attributes {
        file_type: entry.file_type,
        mode: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        size: 0,
        space_used: 0,
        rawdev: SpecData::default(),
        fileid: entry.ino.0,
        change: 0,
        time_access: NfsTime::default(),
        time_modify: NfsTime::default(),
        time_metadata: NfsTime::default(),
        time_create: None,
    }
}
