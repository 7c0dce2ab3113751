//! CB_NOTIFY: what the holders of directory delegations are told, on its way to them (RFC 8881 section 20.4).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Nfs4Service;
use crate::client::Client;
use crate::export::ExportNode;
use crate::proto::{
    CbArgs, CbNotify4Args, ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE, NFS4ERR_DELAY,
};
use crate::state::{DirEvent, DirNotice, DirTold, DueNotice, Effects, FileKey, NotifyLimits, RecallReason};
use crate::xdr::Opaque;

/// Most bytes of a callback that are not changes: headers of RPC with a credential, CB_COMPOUND, CB_SEQUENCE, stateid and filehandle.
const BEFORE_CHANGES: usize = 1024;
/// The least time between two looks at what is due: a clock that stands still must not make them follow each other at once.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What the service keeps of notifications that are on their way.
#[derive(Debug)]
pub(super) struct Notices {
    /// There is something new to do.
    wake: Notify,
    in_flight: Arc<Semaphore>,
    /// The clients that some of these are to.
    to_clients: Mutex<HashMap<ClientId, ToClient>>,
    counters: NoticeCounters,
}

#[derive(Debug, Default)]
struct NoticeCounters {
    sent: AtomicU64,
    changes: AtomicU64,
    failed: AtomicU64,
}

/// What became of notifications since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoticeCounts {
    /// CB_NOTIFYs that clients have taken.
    pub sent: u64,
    /// Changes in these.
    pub changes: u64,
    /// CB_NOTIFYs that could not be delivered, for which the delegation was recalled.
    pub failed: u64,
}

impl Notices {
    pub(super) fn new(limits: &NotifyLimits) -> Self {
        Self {
            wake: Notify::new(),
            in_flight: Arc::new(Semaphore::new(limits.in_flight)),
            to_clients: Mutex::default(),
            counters: NoticeCounters::default(),
        }
    }
}

/// What is on its way to one client.
#[derive(Debug, Default)]
struct ToClient {
    under_way: usize,
    /// What waits until fewer are.
    waiting: Vec<DueNotice>,
}

impl Notices {
    /// Lets a notice through if one more may be under way to its client; otherwise it waits for [`end`](Self::end).
    fn admit(&self, due: DueNotice, limits: &NotifyLimits) -> Option<DueNotice> {
        let mut to_clients = self.to_clients.lock();
        let to_client = to_clients.get_mut(&due.client.id());
        if let Some(busy) = to_client.filter(|client| client.under_way >= limits.in_flight_per_client) {
            busy.waiting.push(due);
            return None;
        }
        Some(due)
    }

    fn begin(&self, client: &Client) {
        self.to_clients.lock().entry(client.id()).or_default().under_way += 1;
    }

    /// One is not under way any more. Returns those that have waited for that.
    fn end(&self, client: &Client) -> Vec<DueNotice> {
        let mut to_clients = self.to_clients.lock();
        let Some(to_client) = to_clients.get_mut(&client.id()) else { return Vec::new() };
        to_client.under_way -= 1;
        let waiting = std::mem::take(&mut to_client.waiting);
        if to_client.under_way == 0 {
            to_clients.remove(&client.id());
        }
        waiting
    }
}

impl Nfs4Service {
    /// What became of notifications of directory changes.
    pub fn notice_counts(&self) -> NoticeCounts {
        let NoticeCounters { sent, changes, failed } = &self.notices.counters;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NoticeCounts { sent: read(sent), changes: read(changes), failed: read(failed) }
    }

    /// A directory was changed: the holders of delegations are told from now on.
    pub(super) fn note_dir_changed(
        &self,
        by: Option<ClientId>,
        dir: &ExportNode,
        event: DirEvent,
        told: &[DirTold],
    ) -> Effects {
        let limits = &self.limits.notifications;
        let effects = self.state.dir_changed(self.clock.now(), by, &FileKey::from(dir), event, told, limits);
        self.notices.wake.notify_one();
        effects
    }

    /// Heeds what file systems tell, and sends to clients what they are to be told when it is time, until it is dropped.
    /// [`NfsServer::serve`](crate::nfs_server::NfsServer::serve) runs it beside the server.
    pub async fn run_notices(self: Arc<Self>) {
        tokio::join!(self.run_upcalls(), self.clone().send_notices());
    }

    async fn send_notices(self: Arc<Self>) {
        loop {
            let woken = self.notices.wake.notified();
            while let Some((notice, permit)) = self.next_notice().await {
                tokio::spawn(self.clone().deliver(notice, permit));
            }
            match self.state.next_notice_due() {
                Some(due) => {
                    let wait = due.since(self.clock.now()).max(LOOK_INTERVAL_MIN);
                    let _ = tokio::time::timeout(wait, woken).await;
                }
                None => woken.await,
            }
        }
    }

    /// The next CB_NOTIFY that is due, once there may be one more.
    async fn next_notice(&self) -> Option<(DirNotice, OwnedSemaphorePermit)> {
        let permit = self.notices.in_flight.clone().acquire_owned().await.ok()?;
        while let Some(due) = self.state.next_due_notice(self.clock.now()) {
            let Some(due) = self.notices.admit(due, &self.limits.notifications) else { continue };
            let room = self.room_for_changes(&due.client);
            match self.state.take_notice(self.clock.now(), due, room) {
                Some(Ok(notice)) => {
                    self.notices.begin(&notice.client);
                    return Some((notice, permit));
                }
                Some(Err(recalled)) => self.settle_later(recalled),
                None => {}
            }
        }
        None
    }

    /// How many bytes of changes a CB_NOTIFY to a client may have.
    fn room_for_changes(&self, client: &Client) -> usize {
        let sessions = self.sessions.sessions_of(client);
        let requests = sessions.iter().map(|session| session.back().attrs().max_request_size);
        // Each session may be the one that it is sent in.
        let smallest = requests.min().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        smallest.saturating_sub(BEFORE_CHANGES).min(self.limits.notifications.batch_bytes)
    }

    /// Sends a CB_NOTIFY. If it does not arrive, the delegation is recalled: what the client does not learn in one way it learns in the
    /// other.
    async fn deliver(self: Arc<Self>, notice: DirNotice, permit: OwnedSemaphorePermit) {
        let DirNotice { client, stateid, dir, changes } = notice;
        let count = changes.len() as u64;
        let handle = self.filehandles.encode(dir.export, &dir.node);
        let fh = Opaque::from(handle.as_bytes());
        let arrived = self.notify(&client, CbNotify4Args { stateid, fh, changes }).await;
        let counters = &self.notices.counters;
        if arrived {
            counters.sent.fetch_add(1, Ordering::Relaxed);
            counters.changes.fetch_add(count, Ordering::Relaxed);
            self.state.notice_arrived(&stateid);
        } else {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            let recalled = self.state.recall(self.clock.now(), &stateid, RecallReason::Notification);
            self.settle_later(recalled.unwrap_or_default());
        }
        for due in self.notices.end(&client) {
            self.state.renew_notice(&due, self.clock.now());
        }
        drop(permit);
        self.notices.wake.notify_one();
    }

    /// Whether a client has taken a CB_NOTIFY.
    async fn notify(&self, client: &Arc<Client>, args: CbNotify4Args) -> bool {
        let limits = &self.limits.callbacks;
        for tried in 0..limits.tries {
            match self.call_back(client, CbArgs::Notify(args.clone())).await.map(|res| res.status()) {
                Ok(NFS4_OK) => return true,
                // It is busy, or has not seen the reply yet that gives it the delegation.
                Ok(NFS4ERR_DELAY | NFS4ERR_BAD_STATEID | NFS4ERR_BADHANDLE) => {}
                Ok(_) | Err(_) => return false,
            }
            tokio::time::sleep(limits.backoff(tried)).await;
        }
        false
    }
}
