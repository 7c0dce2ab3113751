//! Clients that are called back: what the server calls is answered as the test says, and recorded.

mod answer;
mod client;
mod opening;
mod serve;
mod slots;
mod v4_0;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dittofs_framework::proto::{CbArgs, CbOp, CbRecall4Args, CbSequence4Args, SessionId};
use dittofs_framework::testing::RpcCredential;
use tokio::sync::watch;

pub use answer::{Answer, Hold, Twist};
pub use client::{BackOptions, DelegClient, Wire};
pub use opening::{Delegation, Opened, Opening};
pub use v4_0::{CallbackListener, universal};

use slots::BackSlots;

/// How long a callback is waited for: a server that does not call fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A callback operation that came, carried out or not.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The operation and its arguments.
    pub args: CbArgs,
    /// Whether the client carried it out: not what it refused, and not what it had carried out before.
    pub executed: bool,
    /// As whom the server called.
    pub credential: RpcCredential,
    /// By which of the client's connections it came, in the order in which they were made.
    pub connection: usize,
    /// The xid of the call.
    pub xid: u32,
    /// When.
    pub at: Instant,
    /// The CB_SEQUENCE before it; none in minor version 0.
    pub sequence: Option<CbSequence4Args>,
}

impl Arrival {
    /// CB_RECALL's arguments.
    ///
    /// # Panics
    /// If it is another operation.
    pub fn recall(&self) -> &CbRecall4Args {
        match &self.args {
            CbArgs::Recall(args) => args,
            args => panic!("no CB_RECALL: {args:?}"),
        }
    }
}

/// What a client is called back, and what it answers: shared by its connections. Copies are the same.
#[derive(Clone)]
pub struct Callbacks {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Grows with everything that comes.
    changes: watch::Sender<u64>,
}

struct State {
    /// The program that the server was told.
    program: u32,
    /// callback_ident that the server was told.
    ident: u32,
    /// The minor version of the callbacks that are understood.
    minorversion: u32,
    /// With what the server must call; with anything if there is none.
    credential: Option<RpcCredential>,
    slots: BackSlots,
    /// What the next ones are answered, and all behind them.
    once: HashMap<CbOp, VecDeque<Answer>>,
    always: HashMap<CbOp, Answer>,
    arrivals: Vec<Arrival>,
    /// How many CB_NULL came.
    nulls: usize,
    /// Calls that were refused for their credential.
    refused: usize,
    /// What no server should send.
    faults: Vec<String>,
    /// How many of an operation were waited for by [`Callbacks::next`].
    seen: HashMap<CbOp, usize>,
    connections: usize,
}

impl Callbacks {
    /// The program of [`new`](Self::new).
    pub const PROGRAM: u32 = 0x4000_0000;
    /// The callback_ident of [`new`](Self::new).
    pub const IDENT: u32 = 77;

    /// Of a client of this minor version that carries out everything.
    pub fn new(minorversion: u32) -> Self {
        let state = State {
            program: Self::PROGRAM,
            ident: Self::IDENT,
            minorversion,
            credential: None,
            slots: BackSlots::default(),
            once: HashMap::new(),
            always: HashMap::new(),
            arrivals: Vec::new(),
            nulls: 0,
            refused: 0,
            faults: Vec::new(),
            seen: HashMap::new(),
            connections: 0,
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changes: watch::Sender::new(0) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no test panics in here")
    }

    fn changed(&self) {
        self.inner.changes.send_modify(|changes| *changes += 1);
    }

    /// Answers this operation so from now on.
    pub fn answer(&self, op: CbOp, answer: Answer) {
        self.state().always.insert(op, answer);
    }

    /// Answers this operation so once, behind what else is to be answered once.
    pub fn answer_once(&self, op: CbOp, answer: Answer) {
        self.state().once.entry(op).or_default().push_back(answer);
    }

    /// Refuses calls with another credential than this from now on (AUTH_ERROR).
    pub fn expect_credential(&self, credential: RpcCredential) {
        self.state().credential = Some(credential);
    }

    /// Answers calls of this program alone from now on.
    pub fn expect_program(&self, program: u32) {
        self.state().program = program;
    }

    /// Takes callbacks of a session, on so many slots.
    pub fn open_slots(&self, session: SessionId, slots: u32) {
        self.state().slots.open(session, slots);
    }

    /// What came of this operation so far.
    pub fn all(&self, op: CbOp) -> Vec<Arrival> {
        self.state().arrivals.iter().filter(|arrival| arrival.args.op() == op).cloned().collect()
    }

    /// How many came of this operation, retries included.
    pub fn arrived(&self, op: CbOp) -> usize {
        self.all(op).len()
    }

    /// How many of this operation were carried out.
    pub fn executed(&self, op: CbOp) -> usize {
        self.all(op).iter().filter(|arrival| arrival.executed).count()
    }

    /// How many calls were refused for their credential.
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// How many CB_NULL came.
    pub fn nulls(&self) -> usize {
        self.state().nulls
    }

    /// Waits until `count` of this operation have come, and gives the last of them.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn nth(&self, op: CbOp, count: usize) -> Arrival {
        let what = format!("{} number {count}", op.name());
        self.wait(&what, || self.all(op).get(count - 1).cloned()).await
    }

    /// Waits for the next of this operation that was not waited for yet.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn next(&self, op: CbOp) -> Arrival {
        let count = {
            let mut state = self.state();
            let seen = state.seen.entry(op).or_default();
            *seen += 1;
            *seen
        };
        self.nth(op, count).await
    }

    /// Waits for the next CB_RECALL.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn recall(&self) -> CbRecall4Args {
        self.next(CbOp::Recall).await.recall().clone()
    }

    /// Waits until so many calls were refused for their credential.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn wait_refused(&self, count: usize) {
        self.wait("a call to refuse", || (self.refused() >= count).then_some(())).await;
    }

    /// Waits until so many CB_NULL have come.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn wait_nulls(&self, count: usize) {
        self.wait("CB_NULL", || (self.nulls() >= count).then_some(())).await;
    }

    /// Waits until `found` gives something, which is asked again whenever something came.
    async fn wait<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let mut changes = self.inner.changes.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = found() {
                    return found;
                }
                changes.changed().await.expect("the sender is kept");
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| {
            let state = self.state();
            panic!(
                "{what} did not come, but {:#?}, refused {}, faults {:?}",
                state.arrivals, state.refused, state.faults
            )
        })
    }

    /// Checks that the server sent nothing that no server should send.
    ///
    /// # Panics
    /// If it did.
    pub fn assert_sound(&self) {
        assert_eq!(self.state().faults, Vec::<String>::new());
    }
}
