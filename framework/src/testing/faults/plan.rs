use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::storage::{StorageError, StorageResult};

bitflags::bitflags! {
    /// Kinds of calls to stores.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Calls: u32 {
        /// All that only read metadata.
        const READ_METADATA = 1;
        /// Batches.
        const APPLY = 2;
        /// All that only read contents.
        const READ = 4;
        /// Writes of contents.
        const WRITE = 8;
        /// Other changes of contents: truncations, holes, copies, removals.
        const RESHAPE = 16;
        /// Flushes of contents.
        const SYNC = 32;
        /// All that change something or make it durable.
        const CHANGES = Self::APPLY.bits() | Self::WRITE.bits() | Self::RESHAPE.bits() | Self::SYNC.bits();
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// With [`StorageError::NoSpace`]; nothing was done.
    NoSpace,
    /// With [`StorageError::Failed`]; nothing was done. A flush that fails so has lost what was to be flushed: the crash takes it,
    /// whatever is flushed later.
    Failed,
    /// With [`StorageError::Failed`], though all was done.
    FailedAfter,
    /// A write fails when the first half is done; as [`Failed`](Self::Failed) for everything else.
    Torn,
    /// The power goes: nothing is done, by this call and all that follow.
    PowerOff,
    /// The power goes when all was done, before the caller is told.
    PowerOffAfter,
}

/// What a call is to do.
pub(super) enum Course {
    Work,
    /// To do its work, and then to fail.
    WorkAndFail,
    /// To do the first half.
    Half,
}

/// What fails and what waits, of one life.
#[derive(Default)]
pub(super) struct Plan(Mutex<State>);

#[derive(Default)]
struct State {
    counts: [u64; Calls::all().bits().count_ones() as usize],
    rules: Vec<Rule>,
    gates: Vec<Arc<GateState>>,
    is_off: bool,
    /// Whether a crash has ended this life.
    is_over: bool,
}

struct Rule {
    calls: Calls,
    /// Calls until the first that fails.
    ahead: u64,
    /// How many fail; all if `None`.
    times: Option<u64>,
    fault: Fault,
}

struct GateState {
    calls: Calls,
    waiting: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

/// Holds calls. Dropping it lets them go on.
pub struct Gate(Arc<GateState>);

impl Gate {
    /// Returns when so many calls have come here.
    pub async fn waiting(&self, calls: usize) {
        let mut waiting = self.0.waiting.subscribe();
        // The sender is there as long as `self` is.
        let _ = waiting.wait_for(|waiting| *waiting >= calls).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.is_open.send_replace(true);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({:?}, {} waiting)", self.0.calls, *self.0.waiting.borrow())
    }
}

impl Plan {
    pub(super) fn fail(&self, calls: Calls, nth: u64, times: Option<u64>, fault: Fault) {
        self.0.lock().rules.push(Rule { calls, ahead: nth.saturating_sub(1), times, fault });
    }

    pub(super) fn mend(&self) {
        self.0.lock().rules.clear();
    }

    pub(super) fn count(&self, calls: Calls) -> u64 {
        let state = self.0.lock();
        let counts = state.counts.iter().zip(Calls::all().iter());
        counts.filter(|(_, kind)| calls.contains(*kind)).map(|(count, _)| count).sum()
    }

    pub(super) fn switch_off(&self) {
        let mut state = self.0.lock();
        (state.is_off, state.is_over) = (true, true);
    }

    /// Whether the power went while a call waited for others; its own fault may take it when it is done.
    pub(super) fn check_power(&self, course: &Course) -> StorageResult<()> {
        let state = self.0.lock();
        let has_none = state.is_over || (state.is_off && matches!(course, Course::Work));
        if has_none { Err(failed()) } else { Ok(()) }
    }

    pub(super) fn is_off(&self) -> bool {
        self.0.lock().is_off
    }

    pub(super) fn hold(&self, calls: Calls) -> Gate {
        let (waiting, is_open) = (watch::Sender::new(0), watch::Sender::new(false));
        let gate = Arc::new(GateState { calls, waiting, is_open });
        self.0.lock().gates.push(Arc::clone(&gate));
        Gate(gate)
    }

    /// What a call of this kind, a single one, is to do. To be asked for before each call.
    pub(super) async fn course(&self, kind: Calls) -> StorageResult<Course> {
        let gates: Vec<_> = {
            let mut state = self.0.lock();
            state.gates.retain(|gate| !*gate.is_open.borrow());
            state.gates.iter().filter(|gate| gate.calls.contains(kind)).cloned().collect()
        };
        for gate in gates {
            gate.waiting.send_modify(|waiting| *waiting += 1);
            // The sender is there as long as `gate` is.
            let _ = gate.is_open.subscribe().wait_for(|is_open| *is_open).await;
        }
        self.0.lock().course(kind)
    }
}

impl State {
    fn course(&mut self, kind: Calls) -> StorageResult<Course> {
        if self.is_off {
            return Err(failed());
        }
        let counts = self.counts.iter_mut().zip(Calls::all().iter());
        for (count, _) in counts.filter(|(_, of)| *of == kind) {
            *count += 1;
        }
        match self.fault(kind) {
            None => Ok(Course::Work),
            Some(Fault::NoSpace) => Err(StorageError::NoSpace),
            Some(Fault::Torn) if kind == Calls::WRITE => Ok(Course::Half),
            Some(Fault::Failed | Fault::Torn) => Err(failed()),
            Some(Fault::FailedAfter) => Ok(Course::WorkAndFail),
            Some(Fault::PowerOff) => {
                self.is_off = true;
                Err(failed())
            }
            Some(Fault::PowerOffAfter) => {
                self.is_off = true;
                Ok(Course::WorkAndFail)
            }
        }
    }

    /// The fault of the first rule whose turn it is; every rule counts every call.
    fn fault(&mut self, kind: Calls) -> Option<Fault> {
        let mut fault = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.calls.contains(kind)) {
            if rule.ahead > 0 {
                rule.ahead -= 1;
            } else if rule.times != Some(0) {
                rule.times = rule.times.map(|times| times - 1);
                fault = fault.or(Some(rule.fault));
            }
        }
        fault
    }
}

/// What a call that has done its work gives back.
pub(super) fn answer<T>(course: &Course, done: T) -> StorageResult<T> {
    match course {
        Course::Work => Ok(done),
        Course::WorkAndFail | Course::Half => Err(failed()),
    }
}

/// The error of whatever fails here.
pub(super) fn failed() -> StorageError {
    StorageError::failed(io::Error::other("a fault as planned"))
}
