//! Calls from the server to its clients (RFC 8881 section 2.10.3.1, RFC 7530 section 10.2.1).

use std::sync::Arc;

mod address;
mod compound;
mod counters;
mod deliver;
mod dial;
mod error;
mod exchange;
mod limits;
mod outbox;
mod path;
mod pump;
mod v4_0;

pub(crate) use deliver::Delivery;
pub(crate) use pump::{Job, Pump, Tried};

pub use address::{CallbackAddresses, Uncallable};
pub use counters::{CallbackCounters, CallbackCounts, DURATION_BOUNDS, FailReason};
pub use dial::{DialLimits, Dialer, Dialing};
pub use error::CallbackError;
pub use limits::CallbackLimits;
pub use outbox::{Callback, Outbox};
pub use path::{CallError, CallPath, CallbackCall, CallbackCredential, Rejection};
pub use v4_0::{Destination, DialedPath};

/// What the service keeps of its calls to clients.
#[derive(Debug, Default)]
pub struct Callbacks {
    /// What is to be carried out.
    pub outbox: Outbox,
    counters: Arc<CallbackCounters>,
    late: deliver::Late,
}

impl Callbacks {
    /// What became of the calls, in numbers.
    pub fn counters(&self) -> &CallbackCounters {
        &self.counters
    }
}
