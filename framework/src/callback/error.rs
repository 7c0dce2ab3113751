use super::Rejection;
use crate::proto::Status;

/// Why a callback brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// There is no way to the client. It was not sent.
    #[error("there is no way to the client")]
    NoPath,
    /// The way was lost, and no other came. The client may have carried it out.
    #[error("the connection to the client was lost")]
    Lost,
    /// The client has carried it out, and has not kept the answer.
    #[error("the client has lost its answer")]
    AnswerLost,
    /// The answer did not come in time. The client may have carried it out, or may yet.
    #[error("the client does not answer")]
    TimedOut,
    /// The client refuses such calls.
    #[error("the client refuses the call: {0}")]
    Rejected(#[from] Rejection),
    /// The client did not take it: CB_COMPOUND or CB_SEQUENCE failed.
    #[error("the client does not take the callback: {0}")]
    Refused(Status),
    /// The answer is none that there can be.
    #[error("the client's answer is not one to the callback")]
    Fault,
    /// It is longer than the client takes (ca_maxrequestsize).
    #[error("the callback is longer than the client takes")]
    TooLong,
    /// As many callbacks are under way as may be.
    #[error("too many callbacks to the client are under way")]
    Busy,
}
