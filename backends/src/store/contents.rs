//! The contents of a file and its record: which is where, and what is durable when.

use std::sync::{Arc, Weak};
use std::time::Duration;

use dittofs_framework::fs::{FsError, FsResult};
use dittofs_framework::log_limited;
use dittofs_framework::storage::{ContentSize, StorageResult};
use tokio::sync::RwLockReadGuard;

use super::inode::{Inode, Unsaved};
use super::volume::Volume;

/// Accesses that are saved in one transaction.
const AT_ONCE: usize = 512;

impl Volume {
    /// Keeps the contents from being cut or removed, and sees to it that they are no longer than the record says: what is between
    /// must not come back as data.
    pub(super) async fn for_writing<'a>(&self, inode: &'a Inode) -> FsResult<RwLockReadGuard<'a, ()>> {
        loop {
            let contents = inode.contents.read().await;
            if inode.read_live()?.is_cut {
                return Ok(contents);
            }
            drop(contents);
            let _contents = inode.contents.write().await;
            self.cut(inode).await?;
        }
    }

    /// Cuts what is longer than the record says, if that is not known to be done. The caller keeps everybody else from the contents.
    pub(super) async fn cut(&self, inode: &Inode) -> FsResult<()> {
        let size = {
            let state = inode.read_live()?;
            if state.is_cut {
                return Ok(());
            }
            state.record.size
        };
        let mut found = self.content.size(inode.ino).await?;
        if found.is_some_and(|found| found.len > size) {
            found = Some(self.content.truncate(inode.ino, size).await?);
        }
        let mut state = inode.write();
        state.is_cut = true;
        state.has_contents = found.is_some();
        state.record.allocated = found.unwrap_or_default().allocated;
        Ok(())
    }

    /// Makes the contents durable.
    pub(super) async fn sync(&self, inode: &Inode) -> FsResult<()> {
        let outcome = self.content.sync(inode.ino).await;
        let was_told = std::mem::replace(&mut inode.write().loss_told, outcome.is_err());
        outcome.map_err(|error| {
            log_limited!(error, %error, "contents cannot be made durable");
            if !was_told {
                // What is lost has to be written again. A store may fail for good: that is said once.
                self.lose_unstable();
            }
            FsError::from(error)
        })
    }

    /// Makes the contents and the record of a file durable. The caller keeps the contents from being cut.
    pub(super) async fn save(self: &Arc<Self>, inode: &Arc<Inode>) -> FsResult<()> {
        let (size, at, is_written, is_saved) = {
            let state = inode.read();
            let is_written = state.unsaved == Unsaved::Written;
            (state.record.size, state.record.change, is_written, !is_written && !inode.was_accessed())
        };
        if is_saved && self.journal.is_durable(inode.read().seq) {
            return Ok(());
        }
        if is_written && let Err(error) = self.sync(inode).await {
            self.note_unsaved(inode);
            return Err(error);
        }
        let ticket = {
            let mut state = inode.write();
            if state.alive().is_err() {
                return Ok(());
            }
            let mut change = self.journal.begin().inspect_err(|_| self.note_unsaved(inode))?;
            // Another save may have come first, and know of more.
            state.durable_size = state.durable_size.max(size);
            if state.record.change == at {
                state.unsaved = Unsaved::Nothing;
            } else if state.unsaved == Unsaved::Written {
                // Written to meanwhile.
                self.note_unsaved(inode);
            }
            change.put(inode, &mut state);
            if is_written {
                state.written_in = state.seq;
            }
            change.ticket()
        };
        self.commit(ticket).await
    }

    /// Has the access to an inode saved with the next transaction, if that is all there is to save. Says whether it is so.
    fn save_access(&self, inode: &Arc<Inode>) -> FsResult<bool> {
        let mut state = inode.write();
        if state.unsaved == Unsaved::Written {
            return Ok(false);
        }
        if state.alive().is_ok() && inode.was_accessed() {
            self.journal.begin()?.put(inode, &mut state);
        }
        Ok(true)
    }

    /// Waits until all that is recorded is durable.
    async fn commit_recorded(self: &Arc<Self>) -> FsResult<()> {
        if self.journal.is_idle() {
            return Ok(());
        }
        let ticket = self.journal.begin()?.ticket();
        self.commit(ticket).await
    }

    /// Notes what became of a change of contents that began when they were no longer than the record says.
    pub(super) fn note_contents(inode: &Inode, outcome: StorageResult<ContentSize>) -> FsResult<()> {
        let mut state = inode.write();
        state.has_contents = true;
        match outcome {
            Ok(size) => {
                state.record.allocated = size.allocated;
                Ok(())
            }
            Err(error) => {
                // A part of it may have been done.
                state.is_cut = false;
                Err(error.into())
            }
        }
    }

    /// Makes everything durable that is not.
    pub(super) async fn flush(self: &Arc<Self>) -> FsResult<()> {
        let mut result = Ok(());
        for inode in self.take_leaving() {
            self.discard(&inode).await;
        }
        let mut accessed = 0;
        for inode in self.take_unsaved() {
            // Whatever fails, the others are not forgotten: nobody else has them.
            let saved = match self.save_access(&inode) {
                Ok(true) => {
                    accessed += 1;
                    if accessed % AT_ONCE == 0 { self.commit_recorded().await } else { Ok(()) }
                }
                Ok(false) => {
                    let _contents = inode.contents.read().await;
                    self.save(&inode).await
                }
                Err(error) => {
                    self.note_unsaved(&inode);
                    Err(error)
                }
            };
            if let Err(error) = saved {
                result = Err(error);
            }
        }
        self.commit_recorded().await?;
        result
    }
}

/// Flushes as long as the volume is there.
pub(super) async fn flush_now_and_then(volume: Weak<Volume>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(volume) = volume.upgrade() else { return };
        // It was logged, and is tried again.
        let _ = volume.flush().await;
    }
}
