//! The duplicate requests of NFSv4.0, which has no sessions: a client whose connection broke sends again what it has no reply to,
//! from another port, and what such a request changes must not be changed twice (RFC 7530 section 3.1.1).
//!
//! A request is remembered from when its first operation with [`OpFlags::NON_IDEMPOTENT`](crate::op::OpFlags) is about to run.
//! Requests in an owner's sequence (OPEN, CLOSE, LOCK) have a better memory than this, their owner's (RFC 7530 section 9.1.5).

mod shard;
#[cfg(test)]
mod tests;

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::rpc::{AuthFlavor, Principal};
use crate::xdr::{Mark, XdrWriter};
use shard::{Bounds, Shard};

/// Bytes of the arguments that are hashed: more than names and attributes need.
const HASHED: usize = 1024;
/// Parts of the table, each behind a lock of its own.
const SHARDS: usize = 16;
/// A table of fewer requests for each part is not parted.
const SHARD_ENTRIES_MIN: usize = 64;

/// How much is kept of the requests of NFSv4.0 that must not be carried out twice.
#[derive(Debug, Clone)]
pub struct DuplicateLimits {
    /// Requests. The oldest reply makes room for the next request; while all of them still run, the next one is
    /// NFS4ERR_DELAY.
    pub entries: usize,
    /// Bytes of all replies that are kept. The oldest goes first.
    pub bytes: usize,
    /// Bytes of the longest reply that is kept. The duplicate of a request with a longer one is carried out again.
    pub reply_bytes: usize,
    /// How long a reply is kept. A client takes up an xid anew after some time.
    pub age: Duration,
}

impl Default for DuplicateLimits {
    fn default() -> Self {
        Self { entries: 16_384, bytes: 8 << 20, reply_bytes: 8 << 10, age: Duration::from_mins(2) }
    }
}

/// What tells a request from others. A duplicate comes from another port, but is the same in all of this.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) peer: IpAddr,
    pub(super) xid: u32,
    pub(super) principal: &'a Principal,
    /// COMPOUND4args.
    pub(super) args: &'a [u8],
}

/// Where a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    peer: IpAddr,
    xid: u32,
}

/// The rest of what tells a request from others: not looked at when nothing is known of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest {
    flavor: AuthFlavor,
    uid: u32,
    args_len: usize,
    args_hash: u64,
}

/// What is known of a request that came before.
#[derive(Debug)]
pub(super) enum Known {
    /// COMPOUND4res, to be sent again.
    Answered(Bytes),
    /// It runs. The reply comes when it has one, or an error if it is lost. RFC 7530 section 3.1.1 forbids to drop the duplicate
    /// silently, and the first connection is most likely gone.
    Running(oneshot::Receiver<Bytes>),
}

/// What becomes of a request that is about to change something.
pub(super) enum Entered<'a> {
    /// It is to be carried out.
    New(Running<'a>),
    /// It was, or is being.
    Known(Known),
    /// There is no room to remember it.
    Full,
}

/// The requests that are remembered.
pub(super) struct Duplicates {
    shards: Vec<Mutex<Shard>>,
    bounds: Bounds,
    key: [u8; 16],
}

impl Duplicates {
    /// Nothing is remembered yet. With the `key`, which nobody knows, arguments are hashed.
    pub(super) fn new(limits: &DuplicateLimits, key: [u8; 16]) -> Self {
        let parts = (limits.entries / SHARD_ENTRIES_MIN).clamp(1, SHARDS);
        let bounds = Bounds {
            entries: (limits.entries / parts).max(1),
            bytes: limits.bytes / parts,
            reply_bytes: limits.reply_bytes,
            age: limits.age,
        };
        Self { shards: (0..parts).map(|_| Mutex::default()).collect(), bounds, key }
    }

    /// What is known of a request that has come.
    pub(super) fn find(&self, call: Call<'_>, now: Timestamp) -> Option<Known> {
        let source = Source::of(call);
        let mut shard = self.shard(source)?.lock();
        shard.knows(source).then(|| shard.find(source, &self.digest(call), now, &self.bounds)).flatten()
    }

    /// Remembers a request that is about to change something.
    pub(super) fn enter(&self, call: Call<'_>, now: Timestamp) -> Entered<'_> {
        let (source, digest) = (Source::of(call), self.digest(call));
        let Some(shard) = self.shard(source) else { return Entered::Full };
        let mut locked = shard.lock();
        if let Some(known) = locked.find(source, &digest, now, &self.bounds) {
            return Entered::Known(known);
        }
        if !locked.begin(source, digest, &self.bounds) {
            return Entered::Full;
        }
        Entered::New(Running { shard, bounds: &self.bounds, source, digest, is_finished: false })
    }

    fn shard(&self, source: Source) -> Option<&Mutex<Shard>> {
        let xid = usize::try_from(source.xid).unwrap_or_default();
        self.shards.get(xid.checked_rem(self.shards.len())?)
    }

    fn digest(&self, call: Call<'_>) -> Digest {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(call.args.get(..HASHED).unwrap_or(call.args));
        Digest {
            flavor: call.principal.flavor,
            uid: call.principal.credentials.uid,
            args_len: call.args.len(),
            args_hash: hasher.finish(),
        }
    }

    #[cfg(test)]
    fn check(&self) {
        self.shards.iter().for_each(|shard| shard.lock().check(&self.bounds));
    }
}

impl Source {
    fn of(call: Call<'_>) -> Self {
        Self { peer: call.peer.to_canonical(), xid: call.xid }
    }
}

/// Proof that a request runs, once and for nobody else.
///
/// It is remembered until [`finish`](Self::finish) gives it the reply that its duplicates get. If this is dropped instead, because
/// the request panicked, it is forgotten, and a duplicate is a request like any other.
#[must_use = "dropping it forgets the request"]
pub(super) struct Running<'a> {
    shard: &'a Mutex<Shard>,
    bounds: &'a Bounds,
    source: Source,
    digest: Digest,
    is_finished: bool,
}

impl Running<'_> {
    /// Ends the request with the COMPOUND4res that `w` holds from `body` on.
    pub(super) fn finish(mut self, w: &XdrWriter, body: Mark, now: Timestamp) {
        self.is_finished = true;
        let len = w.len_since(body);
        // Payloads are copied: a reference would keep a large buffer alive for a small reply.
        let copy = || {
            let mut reply = Vec::with_capacity(len);
            w.pieces_since(body).for_each(|piece| reply.extend_from_slice(piece));
            Bytes::from(reply)
        };
        let waiting = self.shard.lock().finish(self.source, &self.digest, len, copy, now, self.bounds);
        waiting.send();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let lost = self.shard.lock().remove(self.source, &self.digest);
            drop(lost);
        }
    }
}
