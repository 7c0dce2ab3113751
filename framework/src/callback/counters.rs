//! What became of calls to clients, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::CallbackError;
use crate::proto::CbOp;

/// Upper bounds of the buckets of durations; what takes longer is in one more.
pub const DURATION_BOUNDS: [Duration; 12] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
const BUCKETS: usize = DURATION_BOUNDS.len() + 1;

/// Why a callback failed, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailReason {
    /// There was no way to the client.
    NoPath,
    /// The way was lost.
    Lost,
    /// There was no answer in time.
    TimedOut,
    /// The client refuses such calls.
    Rejected,
    /// The client did not take it, with a status.
    Refused,
    /// The answer cannot be.
    Fault,
    /// It is too long for the client.
    TooLong,
    /// There was no slot for it.
    Busy,
}

impl FailReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoPath,
        Self::Lost,
        Self::TimedOut,
        Self::Rejected,
        Self::Refused,
        Self::Fault,
        Self::TooLong,
        Self::Busy,
    ];

    /// A name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPath => "no_path",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Fault => "fault",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl From<&CallbackError> for FailReason {
    fn from(error: &CallbackError) -> Self {
        match error {
            CallbackError::NoPath => Self::NoPath,
            CallbackError::Lost | CallbackError::AnswerLost => Self::Lost,
            CallbackError::TimedOut => Self::TimedOut,
            CallbackError::Rejected(_) => Self::Rejected,
            CallbackError::Refused(_) => Self::Refused,
            CallbackError::Fault => Self::Fault,
            CallbackError::TooLong => Self::TooLong,
            CallbackError::Busy => Self::Busy,
        }
    }
}

/// Counts of the calls to clients, for each operation.
#[derive(Debug, Default)]
pub struct CallbackCounters {
    null: OpCounters,
    ops: [OpCounters; CbOp::ALL.len()],
}

#[derive(Debug, Default)]
struct OpCounters {
    sent: AtomicU64,
    retried: AtomicU64,
    failed: [AtomicU64; FailReason::ALL.len()],
    durations: [AtomicU64; BUCKETS],
    duration_ns: AtomicU64,
}

/// What was counted of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackCounts {
    /// The RFC's name of the operation; `CB_NULL` for calls that only find out whether the client answers.
    pub op: &'static str,
    /// Calls that were sent, retries included.
    pub sent: u64,
    /// Calls that were sent once more, as their connection was lost.
    pub retried: u64,
    /// Callbacks that failed, by reason. An answer with a status other than NFS4_OK is not a failure.
    pub failed: [(FailReason, u64); FailReason::ALL.len()],
    /// Callbacks that were answered, by how long it took: up to each of [`DURATION_BOUNDS`], and longer.
    pub durations: [u64; BUCKETS],
    /// How long those took together.
    pub duration_total: Duration,
}

impl CallbackCounters {
    /// The counts as they are.
    pub fn snapshot(&self) -> Vec<CallbackCounts> {
        let null = std::iter::once(self.null.snapshot("CB_NULL"));
        null.chain(CbOp::ALL.iter().zip(&self.ops).map(|(op, counters)| counters.snapshot(op.name())))
            .collect()
    }

    /// `None` is CB_NULL.
    fn of(&self, op: Option<CbOp>) -> &OpCounters {
        let counters = op.and_then(|op| CbOp::ALL.iter().zip(&self.ops).find(|(known, _)| **known == op));
        counters.map_or(&self.null, |(_, counters)| counters)
    }

    pub(crate) fn sent(&self, op: Option<CbOp>) {
        self.of(op).sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self, op: Option<CbOp>) {
        self.of(op).retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended<T>(&self, op: Option<CbOp>, took: Duration, result: &Result<T, CallbackError>) {
        let counters = self.of(op);
        match result {
            Ok(_) => counters.answered(took),
            Err(error) => {
                if let Some(count) = counters.failed.get(FailReason::from(error).index()) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl OpCounters {
    fn answered(&self, took: Duration) {
        let bucket = DURATION_BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BUCKETS - 1);
        if let Some(count) = self.durations.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.duration_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn snapshot(&self, op: &'static str) -> CallbackCounts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut failed = FailReason::ALL.map(|reason| (reason, 0));
        failed.iter_mut().zip(&self.failed).for_each(|((_, to), count)| *to = load(count));
        let mut durations = [0; BUCKETS];
        durations.iter_mut().zip(&self.durations).for_each(|(to, count)| *to = load(count));
        CallbackCounts {
            op,
            sent: load(&self.sent),
            retried: load(&self.retried),
            failed,
            durations,
            duration_total: Duration::from_nanos(load(&self.duration_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: the bounds, each from both sides.
    #[rstest]
    #[case::at_once(Duration::ZERO, 0)]
    #[case::at_a_bound(Duration::from_millis(1), 0)]
    #[case::above_it(Duration::from_micros(1001), 1)]
    #[case::at_the_last(Duration::from_secs(10), 11)]
    #[case::above_all(Duration::from_secs(11), 12)]
    fn a_duration_is_in_its_bucket(#[case] took: Duration, #[case] bucket: usize) {
        let counters = CallbackCounters::default();
        counters.ended(Some(CbOp::Recall), took, &Ok(()));
        let counts = counters.snapshot().into_iter().find(|counts| counts.op == "CB_RECALL").unwrap();
        let expected = std::array::from_fn(|index| u64::from(index == bucket));
        assert_eq!((counts.durations, counts.duration_total), (expected, took));
    }

    // Origin: one of each.
    #[test]
    fn everything_is_counted_where_it_belongs() {
        let counters = CallbackCounters::default();
        counters.sent(None);
        counters.sent(Some(CbOp::GetAttr));
        counters.retried(Some(CbOp::GetAttr));
        counters.ended::<()>(Some(CbOp::GetAttr), Duration::ZERO, &Err(CallbackError::TimedOut));
        let counted = counters.snapshot().into_iter().filter(|counts| counts.sent > 0);
        let counted: Vec<_> = counted.map(|counts| (counts.op, counts.retried, counts.failed[2])).collect();
        let expected =
            [("CB_NULL", 0, (FailReason::TimedOut, 0)), ("CB_GETATTR", 1, (FailReason::TimedOut, 1))];
        assert_eq!(counted, expected);
    }
}
