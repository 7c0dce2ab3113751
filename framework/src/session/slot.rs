use std::sync::Arc;

use super::Session;
use super::reply_cache::ReplyCache;
use crate::client::UserId;
use crate::proto::{NFS4ERR_DELAY, NFS4ERR_SEQ_FALSE_RETRY, NFS4ERR_SEQ_MISORDERED, Sequence4ResOk, Status};
use crate::state::ReferringCall;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::xdr::{Mark, Rope, XdrWriter};

/// What tells a retry from another request that bears the same numbers (RFC 8881 section 2.10.6.1.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestDigest {
    /// Compared exactly: a retry by another user must be refused.
    pub(super) user: UserId,
    /// Over the operations behind SEQUENCE.
    pub(super) operations: u64,
}

/// One slot of a session (RFC 8881 section 2.10.6.1), on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    /// Generation of the target that the client was told of last on this slot. Written only by whoever has the slot in use.
    told_generation: AtomicU32,
}

#[derive(Debug, Default)]
pub(super) struct SlotState {
    /// Of the last request that was admitted; 0 at first.
    sequenceid: u32,
    /// Whether that request is still running.
    is_in_use: bool,
    /// Whether the slot was retired and may have been granted anew: a client that dropped it begins with 1 again.
    is_reused: bool,
    /// Of the last request; `None` before the first.
    digest: Option<RequestDigest>,
    /// Its reply. Empty while it runs, before the first, and in a retired slot.
    reply: ReplyCache,
}

/// What a sequence ID means in a slot.
#[derive(Debug)]
pub(super) enum Turn {
    /// The next request.
    New,
    /// The last request again.
    Retry(Rope),
}

impl Slot {
    pub(super) fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock()
    }

    pub(super) fn told_generation(&self) -> u32 {
        self.told_generation.load(Ordering::Relaxed)
    }

    pub(super) fn tell_generation(&self, generation: u32) {
        self.told_generation.store(generation, Ordering::Relaxed);
    }
}

impl SlotState {
    /// What the request with this number and digest is to the slot. Changes nothing.
    pub(super) fn turn(&self, sequenceid: u32, digest: &RequestDigest) -> Result<Turn, Status> {
        let is_last = sequenceid == self.sequenceid;
        if self.is_in_use {
            // RFC 8881 section 2.10.6.2: a retry of a request in progress. Any other number is out of order.
            return Err(if is_last { NFS4ERR_DELAY } else { NFS4ERR_SEQ_MISORDERED });
        }
        if sequenceid == self.sequenceid.wrapping_add(1) || (self.is_reused && sequenceid == 1) {
            return Ok(Turn::New);
        }
        // Before the first request the "last" is 0, and its reply is NFS4ERR_SEQ_MISORDERED (RFC 8881 section 18.36.4).
        if !is_last || self.reply.is_empty() {
            return Err(NFS4ERR_SEQ_MISORDERED);
        }
        if self.digest != Some(*digest) {
            return Err(NFS4ERR_SEQ_FALSE_RETRY);
        }
        Ok(Turn::Retry(self.reply.to_rope()))
    }

    /// The request is admitted: the slot is in use until it is finished, and its last reply is forgotten.
    pub(super) fn begin(&mut self, sequenceid: u32, digest: RequestDigest) {
        self.sequenceid = sequenceid;
        self.is_in_use = true;
        self.is_reused = false;
        self.digest = Some(digest);
        self.reply.clear();
    }

    /// Gives the slot back: nothing of it is remembered but its number.
    pub(super) fn retire(&mut self) {
        self.is_reused = true;
        self.digest = None;
        self.reply.free();
    }

    /// Whether this is the number of the last request.
    pub(super) fn is_last(&self, sequenceid: u32) -> bool {
        self.sequenceid == sequenceid
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use
    }

    /// Whether the parts fit together: invariants S6 and S7.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn check(&self, is_granted: bool) {
        let has_reply = !self.reply.is_empty();
        assert!(!(self.is_in_use && has_reply), "S6: a slot in use holds a reply");
        assert_eq!(self.is_in_use || has_reply, self.digest.is_some(), "S6: reply and digest go together");
        assert!(is_granted || !(self.is_in_use || has_reply), "S7: a slot above the accepted ones is alive");
    }

    #[cfg(test)]
    pub(super) fn set_sequenceid(&mut self, sequenceid: u32) {
        self.sequenceid = sequenceid;
    }

    #[cfg(test)]
    pub(super) fn reply_capacity(&self) -> usize {
        self.reply.capacity()
    }
}

/// Proof that a request was admitted, once and by nobody else, to its slot.
///
/// The slot is in use until [`finish`](Self::finish) gives it the reply that a retry gets. If the guard is dropped
/// instead, because the request panicked or was cancelled, a retry gets NFS4ERR_RETRY_UNCACHED_REP: what was done half
/// is not done again.
#[derive(Debug)]
#[must_use = "dropping it makes the reply of the request unknown"]
pub struct SlotGuard {
    session: Arc<Session>,
    reply: Sequence4ResOk,
    cache_this: CacheThis,
    second_opnum: Option<u32>,
    is_finished: bool,
}

/// sa_cachethis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheThis {
    Yes,
    No,
}

impl SlotGuard {
    pub(super) fn new(
        session: Arc<Session>,
        reply: Sequence4ResOk,
        cache_this: CacheThis,
        second_opnum: Option<u32>,
    ) -> Self {
        Self { session, reply, cache_this, second_opnum, is_finished: false }
    }

    /// The request, as callbacks name it.
    pub(crate) fn referring_call(&self) -> ReferringCall {
        let Sequence4ResOk { sessionid: session, slotid, sequenceid, .. } = self.reply;
        ReferringCall { session, slotid, sequenceid }
    }

    /// The session of the slot.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether the client wants the whole reply kept, so that it must not be longer than
    /// ca_maxresponsesize_cached.
    pub fn cache_this(&self) -> bool {
        self.cache_this == CacheThis::Yes
    }

    /// Ends the request with the COMPOUND4res that `w` holds from `body` on, status and count filled in.
    pub fn finish(mut self, w: &XdrWriter, body: Mark) {
        self.is_finished = true;
        self.end(|reply, guard| reply.store(w, body, guard.cache_this()));
    }

    fn end(&self, store: impl FnOnce(&mut ReplyCache, &Self)) {
        let Some(slot) = self.session.slots().slot(self.reply.slotid) else { return };
        let mut state = slot.lock();
        debug_assert!(
            state.is_in_use && state.sequenceid == self.reply.sequenceid,
            "one guard for one request"
        );
        store(&mut state.reply, self);
        state.is_in_use = false;
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        if !self.is_finished {
            self.end(|reply, guard| reply.store_lost(&guard.reply, guard.second_opnum));
        }
    }
}
