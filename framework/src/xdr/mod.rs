//! XDR (RFC 4506): a reader over [`Bytes`](bytes::Bytes), a reply rope, and the traits that types implement.
//!
//! Opaque data is sliced out of the request and spliced into the reply; neither way copies a payload.
//! Every length is checked against what is left in the buffer before anything is allocated for it.

mod codec;
mod macros;
mod reader;
mod writer;

pub use codec::{Opaque, Utf8, XdrDecode, XdrEncode, decode_all, encode_to_bytes};
pub use reader::{XdrError, XdrReader};
pub use writer::{Mark, Rope, XdrWriter};
