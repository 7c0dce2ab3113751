//! The order in which callbacks are carried out: each client has a lane of its own, so that one that does not answer holds up nobody
//! else.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::Callback;
use crate::client::CallbackPath;
use crate::proto::ClientId;

/// Callbacks that wait for one client, beyond which it is not sent what it need not hear: a client has the server make these as fast
/// as it sends requests, and need not answer them.
const WAITING_MAX: usize = 256;

/// A callback, and how often it was tried.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) callback: Callback,
    pub(crate) tried: u32,
}

impl From<Callback> for Job {
    fn from(callback: Callback) -> Self {
        Self { callback, tried: 0 }
    }
}

/// What became of one try.
#[derive(Debug)]
pub(crate) enum Tried {
    /// Nothing is left to do.
    Done,
    /// Callbacks reach the client: what waits for that may go on.
    Reached,
    /// To be tried again after a while.
    Again(Job, Duration),
    /// To be tried again when callbacks reach the client.
    WhenReached(Job),
}

/// Callbacks that are not carried out yet.
#[derive(Debug)]
pub(crate) struct Pump {
    lanes: HashMap<ClientId, Lane, RandomState>,
    /// Clients whose next callback may begin.
    ready: VecDeque<ClientId>,
    per_client: usize,
}

#[derive(Debug, Default)]
struct Lane {
    under_way: usize,
    queue: VecDeque<Job>,
    /// There is a [`Callback::Probe`] in the queue.
    has_probe: bool,
    /// Those that wait until callbacks reach the client.
    parked: Vec<Job>,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.under_way == 0 && self.queue.is_empty() && self.parked.is_empty()
    }

    /// Queues a callback, if it is worth it.
    fn push(&mut self, job: Job) {
        let is_kept = match &job.callback {
            Callback::Recall(_) => true,
            // The one that waits finds out the same, and no less lately.
            Callback::Probe { .. } => !std::mem::replace(&mut self.has_probe, true),
            Callback::RecallAny { .. } | Callback::NotifyLock { .. } | Callback::RecallSlot { .. } => {
                self.queue.len() < WAITING_MAX
            }
        };
        if is_kept {
            self.queue.push_back(job);
        }
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        if matches!(job.callback, Callback::Probe { .. }) {
            self.has_probe = false;
        }
        Some(job)
    }
}

impl Pump {
    pub(crate) fn new(per_client: usize) -> Self {
        Self { lanes: HashMap::default(), ready: VecDeque::new(), per_client: per_client.max(1) }
    }

    /// Adds a callback. One of a session that is gone is forgotten, and so is what a client with much before it need not hear.
    pub(crate) fn add(&mut self, job: Job) {
        let Some(client) = job.callback.client() else { return };
        let id = client.id();
        self.lanes.entry(id).or_default().push(job);
        self.ready.push_back(id);
    }

    /// The next callback that may begin. Its end must be [told](Self::ended).
    pub(crate) fn next(&mut self) -> Option<(ClientId, Job)> {
        while let Some(id) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            if lane.under_way >= self.per_client {
                // Its place comes again when one of its callbacks ends.
                continue;
            }
            if let Some(job) = lane.pop() {
                lane.under_way += 1;
                return Some((id, job));
            }
        }
        None
    }

    /// A callback that was begun has ended; it is given back if it is to be tried again after that time.
    pub(crate) fn ended(&mut self, id: ClientId, tried: Tried) -> Option<(Job, Duration)> {
        let lane = self.lanes.entry(id).or_default();
        lane.under_way = lane.under_way.saturating_sub(1);
        let mut again = None;
        match tried {
            Tried::Done => {}
            Tried::Reached => lane.queue.extend(lane.parked.drain(..)),
            Tried::Again(job, after) => again = Some((job, after)),
            Tried::WhenReached(job) => lane.park(job),
        }
        let ready = lane.queue.len().min(self.per_client);
        self.ready.extend(std::iter::repeat_n(id, ready));
        if lane.is_empty() {
            self.lanes.remove(&id);
        }
        again
    }

    /// Forgets what waits for its client in vain.
    pub(crate) fn sweep(&mut self, is_wanted: impl Fn(&Callback) -> bool) {
        self.lanes.retain(|_, lane| {
            lane.parked.retain(|job| is_wanted(&job.callback));
            !lane.is_empty()
        });
    }
}

impl Lane {
    fn park(&mut self, job: Job) {
        // The client may have been reached between the try and now: nobody would come to fetch it.
        let is_reached =
            job.callback.client().is_some_and(|client| client.callback_path() == CallbackPath::Proven);
        if is_reached && job.tried == 0 {
            self.queue.push_back(Job { tried: 1, ..job });
        } else {
            self.parked.push(Job { tried: 0, ..job });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::attr::Bitmap;
    use crate::client::{Client, ClientName, Protocol, UserId};
    use crate::clock::Timestamp;
    use crate::proto::OpaqueId;
    use crate::rpc::AuthFlavor;

    fn client(id: u64) -> Arc<Client> {
        let name = ClientName {
            protocol: Protocol::Sessions,
            owner: OpaqueId::default(),
            verifier: [0; 8],
            user: UserId { flavor: AuthFlavor::Sys, uid: 0 },
        };
        Arc::new(Client::new(ClientId(id), name, Duration::from_secs(1), Timestamp::default()))
    }

    fn job(client: &Arc<Client>) -> Job {
        Callback::RecallAny { client: client.clone(), keep: 0, mask: Bitmap::EMPTY }.into()
    }

    fn probe(client: &Arc<Client>) -> Job {
        Callback::Probe { client: client.clone() }.into()
    }

    fn begun(pump: &mut Pump) -> Vec<u64> {
        std::iter::from_fn(|| pump.next()).map(|(ClientId(id), _)| id).collect()
    }

    // Origin: a client that does not answer, beside one that does.
    #[test]
    fn a_client_holds_up_nobody_else() {
        let (slow, quick) = (client(1), client(2));
        let mut pump = Pump::new(2);
        for _ in 0..4 {
            pump.add(job(&slow));
        }
        pump.add(job(&quick));
        assert_eq!(begun(&mut pump), [1, 1, 2]);
        assert!(pump.ended(slow.id(), Tried::Done).is_none());
        assert_eq!(begun(&mut pump), [1]);
        pump.ended(slow.id(), Tried::Done);
        pump.ended(slow.id(), Tried::Done);
        assert_eq!(begun(&mut pump), [1]);
        pump.ended(slow.id(), Tried::Done);
        pump.ended(quick.id(), Tried::Done);
        assert!(pump.lanes.is_empty(), "nothing is kept of who waits for nothing");
    }

    // Origin: a recall for a client whose connection is lost.
    #[test]
    fn what_waits_for_the_client_goes_on_when_it_is_reached() {
        let client = client(1);
        let mut pump = Pump::new(2);
        pump.add(job(&client));
        let (id, parked) = pump.next().unwrap();
        pump.ended(id, Tried::WhenReached(parked));
        assert_eq!(begun(&mut pump), [0_u64; 0]);
        pump.add(job(&client));
        let (id, _probe) = pump.next().unwrap();
        pump.ended(id, Tried::Reached);
        assert_eq!(begun(&mut pump), [1]);
    }

    // Origin: a client that has the server make callbacks, and answers none of them.
    #[rstest]
    #[case::probes(probe, 1)]
    #[case::hints(job, WAITING_MAX)]
    fn a_client_that_does_not_answer_is_not_waited_for_by_any_number(
        #[case] make: fn(&Arc<Client>) -> Job,
        #[case] waiting: usize,
    ) {
        let client = client(1);
        let mut pump = Pump::new(1);
        pump.add(make(&client));
        assert_eq!(begun(&mut pump), [1]);
        for _ in 0..2 * WAITING_MAX {
            pump.add(make(&client));
        }
        assert_eq!(pump.lanes[&client.id()].queue.len(), waiting);
        pump.ended(client.id(), Tried::Done);
        assert_eq!(begun(&mut pump), [1]);
        pump.add(make(&client));
        assert_eq!(pump.lanes[&client.id()].queue.len(), waiting, "there is room again");
    }

    // Origin: a client that is reached while the try before is given up.
    #[test]
    fn what_waits_for_a_client_that_is_reached_is_tried_once_more() {
        let client = client(1);
        client.change_callback_path(CallbackPath::None, CallbackPath::Proven);
        let mut pump = Pump::new(2);
        pump.add(job(&client));
        let (id, first) = pump.next().unwrap();
        pump.ended(id, Tried::WhenReached(first));
        let (id, second) = pump.next().expect("it does not wait");
        pump.ended(id, Tried::WhenReached(second));
        assert!(pump.next().is_none(), "it does not spin");
    }

    // Origin: a delegation that was revoked while its client was away.
    #[test]
    fn what_is_not_wanted_any_more_is_forgotten() {
        let client = client(1);
        let mut pump = Pump::new(2);
        pump.add(job(&client));
        let (id, parked) = pump.next().unwrap();
        pump.ended(id, Tried::WhenReached(parked));
        pump.sweep(|_| true);
        assert_eq!(pump.lanes.len(), 1);
        pump.sweep(|_| false);
        assert!(pump.lanes.is_empty());
    }
}
