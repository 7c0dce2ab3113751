//! Calls from the server to its clients (RFC 8881 section 2.10.3.1, RFC 7530 section 10.2.1).

mod path;

pub use path::{CallError, CallPath, CallbackCall, CallbackCredential, Rejection};
