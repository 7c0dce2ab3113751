//! Changes behind the server's back, from file systems to the holders of delegations.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Nfs4Service;
use super::dir_told::{Happened, OldEntry};
use crate::export::{ExportId, ExportNode, Namespace};
use crate::fs::{NodeHandle, Upcall, Upcalls};
use crate::state::{FileKey, RecallReason};

/// What file systems have told, until it is looked at.
#[derive(Debug)]
pub(super) struct UpcallQueue {
    queue: Mutex<Queue>,
    limit: usize,
    /// There is something to heed.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    upcalls: VecDeque<(ExportId, Upcall)>,
    /// Exports of which more was told than there was room for.
    overrun: BTreeSet<ExportId>,
}

impl UpcallQueue {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), limit, wake: Notify::new() })
    }

    /// Asks all file systems to tell.
    pub(super) fn watch(self: &Arc<Self>, namespace: &Namespace) {
        for export in namespace.exports() {
            export.fs.watch(Arc::new(OfExport { export: export.id, queue: self.clone() }));
        }
    }

    fn push(&self, export: ExportId, what: Upcall) {
        {
            let mut queue = self.queue.lock();
            if queue.overrun.contains(&export) {
                return;
            }
            if queue.upcalls.len() < self.limit {
                queue.upcalls.push_back((export, what));
            } else {
                // What is not known of one change need not be known of the others.
                queue.upcalls.retain(|(of, _)| *of != export);
                queue.overrun.insert(export);
            }
        }
        self.wake.notify_one();
    }

    fn pop(&self) -> Option<(ExportId, Upcall)> {
        self.queue.lock().upcalls.pop_front()
    }

    fn pop_overrun(&self) -> Option<ExportId> {
        self.queue.lock().overrun.pop_first()
    }
}

/// What one file system tells.
struct OfExport {
    export: ExportId,
    queue: Arc<UpcallQueue>,
}

impl Upcalls for OfExport {
    fn changed(&self, what: Upcall) {
        self.queue.push(self.export, what);
    }
}

impl Nfs4Service {
    /// Heeds what file systems tell, until it is dropped.
    pub(super) async fn run_upcalls(&self) {
        loop {
            let woken = self.upcalls.wake.notified();
            self.heed_upcalls().await;
            woken.await;
        }
    }

    /// Recalls delegations for what file systems have told, or tells their holders.
    async fn heed_upcalls(&self) {
        while let Some(export) = self.upcalls.pop_overrun() {
            for file in self.state.delegated_files(export) {
                self.recall_for_upcall(&file).await;
            }
        }
        while let Some((export, what)) = self.upcalls.pop() {
            self.heed(export, what).await;
        }
    }

    async fn heed(&self, export: ExportId, what: Upcall) {
        match what {
            Upcall::Data(node)
            | Upcall::Attributes(node)
            | Upcall::Entries(node)
            | Upcall::Vanished(node) => {
                self.recall_for_upcall(&FileKey { export, node }).await;
            }
            Upcall::Added { dir, name } => {
                self.entries_changed(export, dir, Happened::Added { name, replaced: None }).await;
            }
            Upcall::Removed { dir, name, cookie } => {
                self.entries_changed(export, dir, Happened::Removed(OldEntry { name, cookie })).await;
            }
        }
    }

    async fn recall_for_upcall(&self, file: &FileKey) {
        let effects = self.state.recall_all(self.clock.now(), file, RecallReason::Upcall);
        // What cannot be recorded now is tried again by whoever is given something next.
        let _ = self.settle_state(effects).await;
    }

    async fn entries_changed(&self, export: ExportId, dir: NodeHandle, happened: Happened) {
        if let Some(export) = self.namespace.export(export) {
            let dir = ExportNode { export: export.clone(), node: dir };
            self.tell_dir_changed(None, &dir, &happened).await;
        }
    }
}
