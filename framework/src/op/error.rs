use crate::fs::FsError;
use crate::proto::Status;
use crate::v4_0::Recorded;
use crate::xdr::{Rope, XdrEncode};

/// What an operation gives back.
pub type OpResult<T> = Result<T, OpError>;

/// How an operation fails.
pub enum OpError {
    /// With a status alone.
    Status(Status),
    /// With a status and the body that the RFC's result union has for it (LOCK4denied, SETATTR's attrsset).
    Body(Status, Box<dyn XdrEncode + Send>),
    /// Not at all: the whole compound was answered before, and this is the answer. Only SEQUENCE gives it.
    Replay(Rope),
    /// Not at all: the operation was answered before, and this is the answer. Only owners of minor version 0 give it.
    Recorded(Box<Recorded>),
}

impl OpError {
    /// A status with a body.
    pub fn with_body(status: Status, body: impl XdrEncode + Send + 'static) -> Self {
        Self::Body(status, Box::new(body))
    }
}

impl std::fmt::Debug for OpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Body(status, _) => write!(f, "{status} with a body"),
            Self::Recorded(reply) => write!(f, "{} again", reply.status),
            Self::Replay(reply) => write!(f, "a replay of {} bytes", reply.len()),
        }
    }
}

impl From<Status> for OpError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<FsError> for OpError {
    fn from(error: FsError) -> Self {
        Self::Status(error.into())
    }
}
