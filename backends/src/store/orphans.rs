//! Files without a name: removed when nobody has them open any more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dittofs_framework::fs::FsResult;
use dittofs_framework::log_limited;
use dittofs_framework::storage::{Ino, StorageResult};

use super::inode::{Inode, Life};
use super::volume::Volume;

/// How many orphans or extended attributes are asked for at once.
const PAGE: usize = 256;

impl Volume {
    /// Removes what a caller has [claimed](super::inode::State::claim_unused): inline if that takes no waiting, else behind its back.
    pub(super) async fn discard_soon(self: &Arc<Self>, inode: Arc<Inode>) {
        let volume = Arc::clone(self);
        self.run(Box::pin(async move { volume.discard(&inode).await })).await;
    }

    /// Removes contents and record of an object that was [claimed](super::inode::State::claim_unused).
    pub(super) async fn discard(self: &Arc<Self>, inode: &Arc<Inode>) {
        if let Err(error) = self.try_discard(inode).await {
            log_limited!(error, %error, fileid = inode.ino.0, "a removed file's storage is not given back");
            // Kept in memory, where it is stale, and marked in the store: it is tried again, at the latest after the next start.
            self.note_leaving(inode);
        }
    }

    async fn try_discard(self: &Arc<Self>, inode: &Arc<Inode>) -> FsResult<()> {
        if !self.journal.is_durable(inode.read().seq) {
            // Contents are removed when a crash cannot bring the name back any more.
            let ticket = self.journal.begin()?.ticket();
            self.commit(ticket).await?;
        }
        let _contents = inode.contents.write().await;
        let (life, has_contents) = {
            let state = inode.read();
            (state.life, state.has_contents)
        };
        if life != Life::Leaving {
            // The name is back, since its removal failed.
            return Ok(());
        }
        if has_contents {
            self.content.remove(inode.ino).await?;
        }
        let xattrs = self.all_xattrs(inode).await?;
        {
            let mut state = inode.write();
            let mut change = self.journal.begin()?;
            for (name, cookie) in &xattrs {
                change.remove_xattr(inode, &mut state, name, *cookie);
            }
            change.unmark_orphan(inode.ino);
            change.remove(inode, &mut state);
        }
        self.start_commit().await;
        Ok(())
    }

    /// Removes the orphans that an earlier start left and that nobody has opened since.
    pub(super) async fn remove_orphans(self: &Arc<Self>) -> StorageResult<()> {
        self.keeps_orphans.store(false, Ordering::Relaxed);
        let mut after = Ino(0);
        loop {
            let page = self.metadata.orphans(after, PAGE).await?;
            for ino in &page {
                after = *ino;
                let Ok(inode) = self.load_orphan(*ino).await else { continue };
                let is_unused = inode.write().claim_unused();
                if is_unused {
                    self.discard(&inode).await;
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }
}

/// Removes the orphans of an earlier start after a while, if the volume is still there.
pub(super) async fn remove_later(volume: Weak<Volume>, after: Duration) {
    tokio::time::sleep(after).await;
    let Some(volume) = volume.upgrade() else { return };
    if let Err(error) = volume.remove_orphans().await {
        log_limited!(error, %error, "files that were removed before the start are not all gone");
    }
}
