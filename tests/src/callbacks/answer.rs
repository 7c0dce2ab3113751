use std::sync::Arc;

use dittofs_framework::proto::{CbOp, CbRes, Status};
use dittofs_framework::testing::CallReply;
use tokio::sync::Semaphore;

/// What a client does with a callback operation.
#[derive(Clone)]
pub enum Answer {
    /// Carries it out. CB_GETATTR, which has something to tell, takes [`Res`](Self::Res).
    Ok,
    /// Fails it with this status.
    Status(Status),
    /// Carries it out, and tells this.
    Res(CbRes),
    /// Carries it out and answers once it is let.
    Held(Hold),
    /// Carries it out and never answers.
    Never,
    /// Closes the connection and does nothing.
    DropBefore,
    /// Carries it out, and closes the connection in the place of an answer.
    DropAfter,
    /// Does nothing, and says something else than success at the level of RPC.
    Rpc(CallReply),
    /// Answers CB_SEQUENCE wrong.
    Twisted(Twist),
}

/// What is wrong in an answer to CB_SEQUENCE that says it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// csr_sessionid.
    Session,
    /// csr_sequenceid.
    Sequence,
    /// csr_slotid.
    Slot,
}

impl Answer {
    /// The result, if it has one, of an operation.
    pub(super) fn result(&self, op: CbOp) -> CbRes {
        match self {
            Self::Res(res) => res.clone(),
            Self::Status(status) => CbRes::of(op, Err(*status)).expect("a status"),
            _ => CbRes::of(op, Ok(())).expect("an operation that has nothing to tell"),
        }
    }
}

/// What a held answer waits for.
#[derive(Clone)]
pub struct Hold(Arc<Semaphore>);

impl Default for Hold {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Hold {
    /// Lets one answer go.
    pub fn release(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn wait(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}
