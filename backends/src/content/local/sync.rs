//! Flushes: shared by those who wait, and final when they fail.
//!
//! When a flush fails, Linux tells so once and marks the pages clean: the next one succeeds, and the bytes are gone. So contents of which a
//! flush failed have failed for good: every later [`sync`](dittofs_framework::storage::ContentStore::sync) of them fails
//! likewise, until nothing of what may be lost is left (they are cut to nothing, or removed) or the store is opened again by somebody who
//! knows that what was not durable may be lost. They can still be read and written.
//!
//! Only what the kernel says of a flush counts. Where a directory cannot be opened to flush the names in it, nothing was flushed and nothing
//! is lost: those who wait are told, and the next sync tries again.

use std::sync::Arc;

use dittofs_framework::log_limited;
use dittofs_framework::storage::{StorageError, StorageResult};
use parking_lot::Mutex;
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::oneshot;

use super::directory::NotDurable;
use super::disk::{Disk, Flush};
use super::error::flush_error;
use super::file::ContentFile;
use super::shared::Shared;

/// What is known of how durable a file is, and who waits to know more.
pub(super) struct SyncState {
    state: Mutex<State>,
    /// Held during a flush: of two at the same time only one would learn of a loss.
    flushing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// So many changes are durable; `None` as long as the file was not flushed since it was opened.
    durable: Option<u64>,
    failed: Option<StorageError>,
    /// Whether somebody serves those who wait.
    is_served: bool,
    waiting: Vec<oneshot::Sender<StorageResult<()>>>,
}

impl SyncState {
    pub(super) fn new(failed: Option<StorageError>) -> Self {
        Self { state: Mutex::new(State { failed, ..State::default() }), flushing: Mutex::default() }
    }

    /// All bytes are gone on purpose: none of them can be lost any more.
    pub(super) fn forget_failure(&self) {
        self.state.lock().failed = None;
    }

    /// Whether changes are not durable; what is lost does not count.
    pub(super) fn is_unsaved(&self, changes: u64) -> bool {
        let state = self.state.lock();
        state.failed.is_none() && state.durable.unwrap_or_default() != changes
    }
}

/// Makes all changes that have returned durable.
pub(super) async fn sync(shared: &Arc<Shared>, file: Arc<ContentFile>) -> StorageResult<()> {
    let outcome = {
        let mut state = file.sync.state.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if state.durable == Some(file.changes()) {
            return Ok(());
        }
        let (sender, outcome) = oneshot::channel();
        state.waiting.push(sender);
        if !state.is_served {
            state.is_served = true;
            let (shared, file) = (Arc::clone(shared), Arc::clone(&file));
            // It goes on whether or not those who wait do.
            drop(tokio::task::spawn_blocking(move || serve(&shared, &file)));
        }
        outcome
    };
    outcome.await.map_err(StorageError::failed)?
}

/// Flushes until nobody waits. Those who come during a flush have the next one.
fn serve(shared: &Shared, file: &ContentFile) {
    loop {
        let waiting = {
            let mut state = file.sync.state.lock();
            if state.waiting.is_empty() {
                state.is_served = false;
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        let result = flush(shared, file);
        for sender in waiting {
            // Who has gone does not want to know.
            drop(sender.send(result.clone()));
        }
    }
}

/// Makes the file durable, its name included. Waits for the device.
pub(super) fn flush(shared: &Shared, file: &ContentFile) -> StorageResult<()> {
    let _flushing = file.sync.flushing.lock();
    // Taken before the flush: what returns during it may come too late for it.
    let changes = file.changes();
    let how = {
        let state = file.sync.state.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if file.is_removed() || state.durable == Some(changes) {
            return Ok(());
        }
        // Of a file that is new, or that an earlier instance may have left so, all attributes count.
        if state.durable.is_some() { Flush::Data } else { Flush::File }
    };
    let disk = &*shared.disk;
    let result = sync_file(disk, file, how).map_err(|errno| NotDurable::Lost(flush_error(errno)));
    let open = |path: &str| shared.open_directory(path);
    match result.and_then(|()| file.directory.make_durable(disk, open, file.mark)) {
        Ok(()) => {
            file.sync.state.lock().durable = Some(changes);
            Ok(())
        }
        // Nobody will look for what is removed, and its directory may be gone too.
        Err(_) if file.has_no_name() => Ok(()),
        Err(NotDurable::NotTried(error)) => {
            log_limited!(warn, file = file.id().0, %error, "a directory could not be opened to flush it");
            Err(error)
        }
        Err(NotDurable::Lost(error)) => {
            tracing::error!(file = file.id().0, %error, "a flush failed: what was not durable may be lost");
            shared.failed.lock().insert(file.id(), error.clone());
            file.sync.state.lock().failed = Some(error.clone());
            Err(error)
        }
    }
}

fn sync_file(disk: &dyn Disk, file: &ContentFile, how: Flush) -> Result<(), Errno> {
    retry_on_intr(|| disk.sync(file.fd(), how))
}
