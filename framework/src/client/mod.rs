//! Who a client is to the server, whatever version of the protocol it speaks.

mod protocol;

pub use protocol::Protocol;
