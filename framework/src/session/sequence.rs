//! SEQUENCE (RFC 8881 section 18.46).

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::slot::{CacheThis, RequestDigest, SlotGuard, Turn};
use super::slots::SlotUse;
use super::{ConnectionSessions, Session, SessionCore};
use crate::client::UserId;
use crate::clock::Timestamp;
use crate::proto::{
    NFS4ERR_BAD_HIGH_SLOT, NFS4ERR_BADSESSION, NFS4ERR_BADSLOT, NFS4ERR_REP_TOO_BIG,
    NFS4ERR_REP_TOO_BIG_TO_CACHE, NFS4ERR_REQ_TOO_BIG, NFS4ERR_TOO_MANY_OPS, Sequence4Args, Sequence4ResOk,
    Status,
};
use crate::xdr::Rope;

/// How much of the operations goes into the digest: enough for what tells one request from another (filehandles, names,
/// offsets), and little enough not to read the data of a WRITE twice.
const DIGESTED: usize = 256;

/// What SEQUENCE needs to know of the request that it begins.
#[derive(Debug, Clone, Copy)]
pub struct SequenceRequest<'a> {
    /// The sessions of the connection that it came by.
    pub connection: &'a ConnectionSessions,
    /// Who sent it.
    pub user: UserId,
    /// Bytes of the RPC call.
    pub record_len: u32,
    /// Bytes of the RPC reply up to the end of a SEQUENCE that went well, and what must be left for the operations behind it.
    pub reply_len: usize,
    /// Operations in the compound, SEQUENCE included.
    pub op_count: u32,
    /// The operations behind SEQUENCE as they came.
    pub operations: &'a [u8],
}

impl SequenceRequest<'_> {
    fn digest(&self) -> RequestDigest {
        let mut hasher = FixedState::default().build_hasher();
        hasher.write_usize(self.operations.len());
        hasher.write_u32(self.op_count);
        hasher.write(self.operations.get(..DIGESTED).unwrap_or(self.operations));
        RequestDigest { user: self.user, operations: hasher.finish() }
    }

    /// The number of the operation behind SEQUENCE.
    fn second_opnum(&self) -> Option<u32> {
        self.operations.first_chunk().map(|word| u32::from_be_bytes(*word))
    }
}

/// A request that is to be carried out.
#[derive(Debug)]
pub struct Admitted {
    /// Its slot, and through it session and client.
    pub slot: SlotGuard,
    /// What SEQUENCE answers.
    pub reply: Sequence4ResOk,
}

/// What becomes of a request that begins with SEQUENCE.
#[derive(Debug)]
#[must_use]
pub enum Admission {
    /// It is new.
    New(Admitted),
    /// It was carried out before, and this is its COMPOUND4res.
    Replay(Rope),
    /// SEQUENCE fails. The slot is as it was (RFC 8881 section 2.10.6.1.2).
    Refused(Status),
}

impl SessionCore {
    /// Admits a request to its slot, recognizes it as a retry, or refuses it.
    pub fn admit(&self, now: Timestamp, args: &Sequence4Args, request: &SequenceRequest<'_>) -> Admission {
        match self.try_admit(now, args, request) {
            Ok(admission) => admission,
            Err(status) => Admission::Refused(status),
        }
    }

    fn try_admit(
        &self,
        now: Timestamp,
        args: &Sequence4Args,
        request: &SequenceRequest<'_>,
    ) -> Result<Admission, Status> {
        let session = self.find_session(args, request.connection)?;
        let digest = request.digest();
        let slots = session.slots();
        let slot = slots.slot(args.slotid).ok_or(NFS4ERR_BADSLOT)?;
        let mut state = slot.lock();
        // Both are changed only under the lock that is held here.
        if slots.has_ended() {
            return Err(NFS4ERR_BADSESSION);
        }
        if args.slotid >= slots.accepted() {
            return Err(NFS4ERR_BADSLOT);
        }
        // RFC 8881 section 2.10.6.1 leaves it to the server. A number that was never granted is a fault; one that is above
        // what is granted now may be from a request that was under way when the number changed.
        if args.highest_slotid >= slots.most_accepted() {
            return Err(NFS4ERR_BAD_HIGH_SLOT);
        }
        if let Turn::Retry(reply) = state.turn(args.sequenceid, &digest)? {
            drop(state);
            session.client().renew(now);
            return Ok(Admission::Replay(reply));
        }
        check_sizes(&session, args, request)?;
        state.begin(args.sequenceid, digest);
        drop(state);
        session.client().renew(now);
        let uses = SlotUse { slotid: args.slotid, highest_slotid: args.highest_slotid };
        let grant = slots.steer(now, slot, uses);
        let reply = Sequence4ResOk {
            sessionid: args.sessionid,
            sequenceid: args.sequenceid,
            slotid: args.slotid,
            highest_slotid: grant.highest_slotid,
            target_highest_slotid: grant.target_highest_slotid,
            status_flags: session.client().status() | session.back().status(),
        };
        let cache_this = if args.cache_this { CacheThis::Yes } else { CacheThis::No };
        let slot = SlotGuard::new(session, reply, cache_this, request.second_opnum());
        Ok(Admission::New(Admitted { slot, reply }))
    }

    /// The session, by the connection if it was used there before. If not, the connection becomes associated with it: that is
    /// how SP4_NONE wants it (RFC 8881 section 2.10.3.1).
    fn find_session(
        &self,
        args: &Sequence4Args,
        connection: &ConnectionSessions,
    ) -> Result<Arc<Session>, Status> {
        if let Some(session) = connection.find(&args.sessionid) {
            return Ok(session);
        }
        let session = self.sessions.find(&args.sessionid).ok_or(NFS4ERR_BADSESSION)?;
        connection.associate(&session);
        Ok(session)
    }
}

/// The limits of the fore channel that SEQUENCE itself can tell (RFC 8881 section 2.10.6.4).
fn check_sizes(session: &Session, args: &Sequence4Args, request: &SequenceRequest<'_>) -> Result<(), Status> {
    let channel = session.fore_channel();
    let exceeds = |limit: u32| usize::try_from(limit).is_ok_and(|limit| request.reply_len > limit);
    if request.op_count > channel.max_operations {
        return Err(NFS4ERR_TOO_MANY_OPS);
    }
    if request.record_len > channel.max_request_size {
        return Err(NFS4ERR_REQ_TOO_BIG);
    }
    if exceeds(channel.max_response_size) {
        return Err(NFS4ERR_REP_TOO_BIG);
    }
    if args.cache_this && exceeds(channel.max_response_size_cached) {
        return Err(NFS4ERR_REP_TOO_BIG_TO_CACHE);
    }
    Ok(())
}
