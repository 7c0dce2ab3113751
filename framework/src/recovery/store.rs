use std::error::Error;
use std::sync::Arc;

use super::{ClientKey, ReclaimRecord};
use crate::rpc::BoxFuture;

/// A change of who may reclaim after a restart of the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateEvent {
    /// The client holds state that it may reclaim, or may be given some from now on. Replaces what was recorded under the same key.
    Holds(ReclaimRecord),
    /// The client may not reclaim: it is gone, or something of it was revoked (RFC 8881 section 8.4.3, first edge condition).
    Forgotten(ClientKey),
    /// The grace period of this epoch is over. Whoever has not reclaimed in it may never (second edge condition).
    GraceEnded,
}

/// What the instances of the server before this one left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The number of this start: higher than those of all starts before. Never zero.
    pub boot_epoch: u32,
    /// Who may reclaim, in the order of the keys.
    pub clients: Vec<ReclaimRecord>,
}

/// Durable record of who may reclaim.
///
/// Events take effect in the order of the calls to [`append`](Self::append), which is also the order in which they survive:
/// if one does, so do all before it whose futures resolved with `Ok`. A store is used by one instance of the server at a time.
///
/// [`Ledger`](super::Ledger) says what the events amount to, so that a store has only to keep them.
/// `state_store_suite!` (feature `testing`) tests an implementation.
pub trait StateStore: Send + Sync + 'static {
    /// Begins a new epoch: durable when this resolves. Takes effect after all events that were appended before the call.
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>>;

    /// Records an event. It takes its place in the order at the call, polled or not; the future resolves when the event would
    /// survive a crash, and may be dropped without taking the event back.
    ///
    /// After an error the event may or may not survive, and has no effect on what later events amount to. The caller may
    /// append it again. Must not block: slow work is for a thread of the store's own.
    fn append(&self, event: StateEvent) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Why a store did not do what it was asked for.
///
/// Clients never see it: a request that needs a record and cannot have it is answered NFS4ERR_DELAY.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another value in this one, has the store open.
    #[error("the state store is in use by another server")]
    InUse,
    /// The store was written by another version of the program.
    #[error("the state store has format version {found}, and this program reads version {supported}")]
    Version {
        /// What was found.
        found: u32,
        /// What can be read.
        supported: u32,
    },
    /// What is in the store was not written so. Records behind the damage are there but cannot be trusted to be all.
    #[error("the state store is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the damage begins.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The store was closed.
    #[error("the state store is closed")]
    Closed,
    /// The system or service below failed.
    #[error("the state store failed: {0}")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
}

impl StoreError {
    /// A failure of what is below the store.
    pub fn failed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Failed(Arc::new(error))
    }
}
