//! Whether and how clients are called back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use super::Nfs4Service;
use crate::callback::{Callback, CallbackError, Delivery, Job, Pump, Tried};
use crate::client::{CallbackPath, Client, Protocol};
use crate::log_limited;
use crate::proto::{
    CbArgs, CbNotifyLock4Args, CbRecall4Args, CbRecallAny4Args, CbRecallSlot4Args, CbRes, ClientId,
    NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE, NFS4ERR_DELAY, NfsFh4, SessionId, StateOwner,
};
use crate::session::Session;
use crate::state::{FileKey, LockNotice, Recall, ReferringCall};

impl Nfs4Service {
    /// Whether callbacks reach the client, as far as is known.
    pub fn callback_path(&self, client: &Client) -> CallbackPath {
        client.callback_path()
    }

    /// The same for who is about to decide by it: if the client has just offered a way, its answer to the first call is waited for, for a
    /// moment.
    pub async fn settled_callback_path(&self, client: &Client) -> CallbackPath {
        match client.callback_path() {
            // Boxed: so rare a thing must not make the future of every OPEN large.
            CallbackPath::Unproven => {
                Box::pin(client.settled_callback_path(self.limits.callbacks.proof_wait)).await
            }
            path => path,
        }
    }

    /// Finds out whether callbacks reach the client of a session whose backchannel was made or changed.
    pub fn probe_session(&self, id: &SessionId) {
        if let Some(session) = self.sessions.session(id) {
            self.callbacks.outbox.push(Callback::Probe { client: session.client().clone() });
        }
    }

    /// Asks clients for slots that they do not use, when there are none left.
    pub(super) fn recall_unused_slots(&self) {
        for (session, target_highest_slotid) in self.sessions.recall_slots(self.clock.now()) {
            if session.back().path() == CallbackPath::Proven {
                let session = Arc::downgrade(&session);
                self.callbacks.outbox.push(Callback::RecallSlot { session, target_highest_slotid });
            }
        }
    }

    /// Has clients told that may have a lock now that they were denied before: for whoever has released or changed locks.
    pub fn notify_of_locks(&self) {
        for LockNotice { client, file, owner } in self.state.take_lock_notices() {
            // Others ask again and again, as those of minor version 0 do.
            if client.protocol() == Protocol::Sessions && client.callback_path() == CallbackPath::Proven {
                let owner = StateOwner::clone(&owner);
                self.callbacks.outbox.push(Callback::NotifyLock { client, file, owner });
            }
        }
    }

    /// Sends one callback operation by whatever way there is to the client, and waits for the answer: for no longer than
    /// [`CallbackLimits`](crate::callback::CallbackLimits) allows.
    pub async fn call_back(&self, client: &Arc<Client>, op: CbArgs) -> Result<CbRes, CallbackError> {
        self.call_back_referring(client, op, None).await
    }

    async fn call_back_referring(
        &self,
        client: &Arc<Client>,
        op: CbArgs,
        referring: Option<ReferringCall>,
    ) -> Result<CbRes, CallbackError> {
        let started = Instant::now();
        let result = match client.protocol() {
            Protocol::V4_0 => {
                let within = self.limits.callbacks.reply_timeout;
                self.callbacks.counters().sent(Some(op.op()));
                self.call_v4_0(client, op.clone(), within).await
            }
            Protocol::Sessions => {
                let delivery = Delivery { op: &op, referring, limits: &self.limits.callbacks };
                self.callbacks.deliver(|| self.sessions.sessions_of(client), delivery).await
            }
        };
        self.count_callback(client, &op, started, &result);
        result
    }

    fn count_callback(
        &self,
        client: &Client,
        op: &CbArgs,
        started: Instant,
        result: &Result<CbRes, CallbackError>,
    ) {
        self.callbacks.counters().ended(Some(op.op()), started.elapsed(), result);
        if let Err(error) = result {
            log_limited!(warn, %error, clientid = client.id().0, op = op.op().name(), "callback failed");
        }
    }

    /// Carries out queued callbacks until it is dropped.
    pub async fn run_callbacks(self: Arc<Self>) {
        let mut runner = Runner {
            pump: Pump::new(self.limits.callbacks.per_client),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            service: self,
        };
        runner.run().await;
    }

    /// One try of a callback.
    async fn carry_out_callback(&self, job: Job) -> Tried {
        match &job.callback {
            Callback::Recall(recall) => self.recall_delegation(recall, job.tried).await,
            Callback::RecallAny { client, keep, mask } => {
                let op = CbRecallAny4Args { objects_to_keep: *keep, type_mask: *mask };
                self.tell(client, CbArgs::RecallAny(op)).await
            }
            Callback::NotifyLock { client, file, owner } => {
                let op = CbNotifyLock4Args { fh: self.handle_of(file), lock_owner: owner.clone() };
                self.tell(client, CbArgs::NotifyLock(op)).await
            }
            Callback::RecallSlot { session, target_highest_slotid } => {
                if let Some(session) = session.upgrade() {
                    self.recall_slots(&session, *target_highest_slotid).await;
                }
                Tried::Done
            }
            Callback::Probe { client } => self.probe(client, job.tried).await,
        }
    }

    /// A callback that the client need not hear: what it is about comes out otherwise.
    async fn tell(&self, client: &Arc<Client>, op: CbArgs) -> Tried {
        let _ = self.call_back(client, op).await;
        Tried::Done
    }

    /// CB_RECALL: until the client has taken it, or the delegation is gone. That it is not returned is the state core's to see.
    async fn recall_delegation(&self, recall: &Recall, tried: u32) -> Tried {
        if !self.state.is_awaited(&recall.stateid) {
            return Tried::Done;
        }
        let op = CbRecall4Args { stateid: recall.stateid, truncate: false, fh: self.handle_of(&recall.file) };
        let referring = recall.referring.filter(|call| self.sessions.may_be_unseen(call));
        let result = self.call_back_referring(&recall.client, CbArgs::Recall(op), referring).await;
        let limits = &self.limits.callbacks;
        let again = |tried| Job { callback: Callback::Recall(recall.clone()), tried };
        match result.map(|res| res.status()) {
            Ok(NFS4ERR_DELAY) => Tried::Again(again(tried.saturating_add(1)), limits.backoff(tried)),
            // The reply that grants it may be on its way. If it is not, the client has no such delegation.
            Ok(NFS4ERR_BAD_STATEID | NFS4ERR_BADHANDLE) if tried < limits.tries => {
                Tried::Again(again(tried.saturating_add(1)), limits.backoff(tried))
            }
            Ok(_) | Err(CallbackError::AnswerLost) => Tried::Done,
            // It can be dialed at any time. Nobody says when it would answer.
            Err(_) if recall.client.protocol() == Protocol::V4_0 => {
                Tried::Again(again(tried.saturating_add(1)), limits.backoff(tried))
            }
            Err(
                CallbackError::NoPath
                | CallbackError::Lost
                | CallbackError::Fault
                | CallbackError::Rejected(_),
            ) => Tried::WhenReached(again(tried)),
            Err(_) => Tried::Again(again(tried.saturating_add(1)), limits.backoff(tried)),
        }
    }

    async fn recall_slots(&self, session: &Arc<Session>, target_highest_slotid: u32) {
        let op = CbArgs::RecallSlot(CbRecallSlot4Args { target_highest_slotid });
        let started = Instant::now();
        let delivery = Delivery { op: &op, referring: None, limits: &self.limits.callbacks };
        let result = self.callbacks.deliver_in(session, &[], delivery).await;
        self.count_callback(session.client(), &op, started, &result);
        if result.is_ok_and(|res| res.status().is_ok()) {
            session.told_target(target_highest_slotid);
        }
    }

    /// Calls a client of which it is not known that it answers.
    async fn probe(&self, client: &Arc<Client>, tried: u32) -> Tried {
        let limits = &self.limits.callbacks;
        let retry = match client.protocol() {
            Protocol::V4_0 => self.probe_dialed(client).await,
            Protocol::Sessions => self.probe_backchannels(client).await,
        };
        let retry = matches!(retry, Err(CallbackError::TimedOut | CallbackError::Busy));
        if client.callback_path() == CallbackPath::Proven {
            Tried::Reached
        } else if retry && tried < limits.tries {
            let again = Job { callback: Callback::Probe { client: client.clone() }, tried: tried + 1 };
            Tried::Again(again, limits.backoff(tried))
        } else {
            Tried::Done
        }
    }

    async fn probe_dialed(&self, client: &Client) -> Result<(), CallbackError> {
        let started = Instant::now();
        let counters = self.callbacks.counters();
        counters.sent(None);
        let result = self.call_null_v4_0(client, self.limits.callbacks.reply_timeout).await;
        counters.ended(None, started.elapsed(), &result);
        result
    }

    /// The error of the last that did not answer.
    async fn probe_backchannels(&self, client: &Client) -> Result<(), CallbackError> {
        let mut result = Ok(());
        for session in self.sessions.sessions_of(client) {
            if session.back().wants_probe() {
                result = self.callbacks.probe(&session, &self.limits.callbacks).await.or(result);
            }
        }
        result
    }

    fn handle_of(&self, file: &FileKey) -> NfsFh4 {
        NfsFh4::from(self.filehandles.encode(file.export, &file.node).as_bytes())
    }
}

/// [`Nfs4Service::run_callbacks`] at work.
struct Runner {
    service: Arc<Nfs4Service>,
    pump: Pump,
    tasks: JoinSet<Ended>,
    /// Whose callback a task carries out.
    under_way: HashMap<Id, ClientId>,
}

/// What a task was for.
enum Ended {
    Try(Tried),
    /// It is time for the next try.
    Pause(Job),
    Late,
}

impl Runner {
    async fn run(&mut self) {
        let service = self.service.clone();
        let mut sweeps = tokio::time::interval(service.lease().max(Duration::from_secs(1)));
        loop {
            tokio::select! {
                callback = service.callbacks.outbox.next() => self.pump.add(callback.into()),
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended),
                late = service.callbacks.take_late() => {
                    self.tasks.spawn(async move {
                        late.await;
                        Ended::Late
                    });
                }
                _ = sweeps.tick() => self.pump.sweep(|callback| is_wanted(&service, callback)),
            }
            while let Some((client, job)) = self.pump.next() {
                self.begin(client, job);
            }
        }
    }

    fn begin(&mut self, client: ClientId, job: Job) {
        let service = self.service.clone();
        let task = self.tasks.spawn(async move { Ended::Try(service.carry_out_callback(job).await) });
        self.under_way.insert(task.id(), client);
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let client = self.under_way.remove(&id);
        match (client, ended) {
            (_, Some(Ended::Pause(job))) => self.pump.add(job),
            (Some(client), Some(Ended::Try(tried))) => {
                if let Some((job, after)) = self.pump.ended(client, tried) {
                    self.tasks.spawn(async move {
                        sleep(after).await;
                        Ended::Pause(job)
                    });
                }
            }
            (Some(client), _) => {
                log_limited!(error, clientid = client.0, "a callback panicked");
                self.pump.ended(client, Tried::Done);
            }
            (None, _) => {}
        }
    }
}

fn is_wanted(service: &Nfs4Service, callback: &Callback) -> bool {
    match callback {
        Callback::Recall(recall) => service.state.is_awaited(&recall.stateid),
        _ => false,
    }
}
