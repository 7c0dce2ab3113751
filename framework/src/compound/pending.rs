//! What the sessions and the state table will bring: just enough of it for operations to compile against.
#![allow(missing_docs, clippy::unused_self, clippy::needless_pass_by_value)]

use std::sync::Arc;

use crate::proto::ClientId;
use crate::xdr::Rope;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

pub struct Client(ClientId);

impl Client {
    pub fn id(&self) -> ClientId {
        self.0
    }
}

pub struct ForeChannel {
    pub max_response_size: u32,
    pub max_response_size_cached: u32,
}

pub struct Session(ForeChannel);

impl Session {
    pub fn fore_channel(&self) -> &ForeChannel {
        &self.0
    }
}

pub struct SlotGuard;

impl SlotGuard {
    pub fn cache_this(&self) -> bool {
        false
    }

    pub fn finish(self, reply: CachedReply) {
        drop(reply);
    }
}

pub struct Admitted {
    pub session: Arc<Session>,
    pub client: Arc<Client>,
    pub slot: SlotGuard,
}

pub enum CachedReply {
    Whole(Rope),
    Uncached,
}
