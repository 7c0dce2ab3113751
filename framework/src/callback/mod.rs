//! Calls from the server to its clients (RFC 8881 section 2.10.3.1, RFC 7530 section 10.2.1).

mod address;
mod dial;
mod error;
mod outbox;
mod path;
mod v4_0;

pub use address::{CallbackAddresses, Uncallable};
pub use dial::{DialLimits, Dialer, Dialing};
pub use error::CallbackError;
pub use outbox::{Callback, Outbox};
pub use path::{CallError, CallPath, CallbackCall, CallbackCredential, Rejection};
pub use v4_0::{Destination, DialedPath};

/// What the service keeps of its calls to clients.
#[derive(Debug, Default)]
pub struct Callbacks {
    /// What is to be carried out.
    pub outbox: Outbox,
}
