//! CREATE_SESSION (RFC 8881 section 18.36).

use std::sync::Arc;

use super::channel::{negotiate_back, negotiate_fore};
use super::record::Records;
use super::slots::Slots;
use super::{ConnectionSessions, Session, SessionCore, Within};
use crate::client::{Client, Departures, GoneReason, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    CallbackSecParms4, ChannelAttrs4, CreateSession4Args, CreateSession4ResOk, CreateSessionFlags,
    NFS4ERR_CLID_INUSE, NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_NOENT, NFS4ERR_NOSPC, NFS4ERR_SEQ_MISORDERED,
    NFS4ERR_STALE_CLIENTID, SessionId, Status,
};

impl SessionCore {
    /// Answers CREATE_SESSION in the four phases of RFC 8881 section 18.36.4.
    ///
    /// A phase that fails leaves the record as it was, "no changes are made to any client records": the slot of the
    /// client ID as well. So the same csa_sequence can be tried again, and another user cannot use it up.
    ///
    /// `on_confirmed` is called when a client becomes one that can have state, before anybody can know its session, and
    /// with the table of clients locked.
    pub fn create_session(
        &self,
        now: Timestamp,
        args: &CreateSession4Args,
        user: UserId,
        connection: &ConnectionSessions,
        within: Within<'_>,
        on_confirmed: &dyn Fn(&Arc<Client>),
    ) -> Result<(CreateSession4ResOk, Departures), Status> {
        let mut records = self.records.lock();
        // Phase 1: the record.
        let record = records.get(args.clientid).ok_or(NFS4ERR_STALE_CLIENTID)?;
        if record.is_forgotten(now) {
            records.remove(args.clientid);
            return Err(NFS4ERR_STALE_CLIENTID);
        }
        // Phase 2: the slot of the client ID.
        let slot = &record.create_slot;
        if args.sequence == slot.sequence {
            return slot.reply.clone().map(|reply| (reply, Departures::default()));
        }
        if args.sequence != slot.sequence.wrapping_add(1) {
            return Err(NFS4ERR_SEQ_MISORDERED);
        }
        // Phase 3: who it is. That the record becomes confirmed is part of phase 4, which may fail.
        if record.client.name().user != user {
            return Err(NFS4ERR_CLID_INUSE);
        }
        // Phase 4: the session.
        let offer = self.check_arguments(args)?;
        if record.sessions.len() >= self.limits.sessions_per_client {
            return Err(NFS4ERR_NOSPC);
        }
        let departures = self.supplant_old_incarnation(&mut records, args, within)?;
        let record = records.get_mut(args.clientid).ok_or(NFS4ERR_STALE_CLIENTID)?;
        let slots = Slots::new(args.fore_channel.max_requests, &self.limits, self.budget.clone(), now);
        let fore_channel = ChannelAttrs4 { max_requests: slots.accepted(), ..offer.fore_channel };
        let sessionid = self.ids.next_sessionid();
        let session = Arc::new(Session::new(sessionid, record.client.clone(), fore_channel, slots));
        let reply = CreateSession4ResOk { sessionid, fore_channel, ..offer };
        record.create_slot.sequence = args.sequence;
        record.create_slot.reply = Ok(reply.clone());
        record.sessions.push(session.clone());
        record.client.renew(now);
        if !record.is_confirmed() {
            on_confirmed(&record.client);
            records.confirm(args.clientid);
        }
        connection.associate(&session);
        self.sessions.insert(session);
        Ok((reply, departures))
    }

    /// Everything in the arguments that can be wrong; what is granted, but for the session's ID and slots.
    fn check_arguments(&self, args: &CreateSession4Args) -> Result<CreateSession4ResOk, Status> {
        if !CreateSessionFlags::all().contains(args.flags) {
            return Err(NFS4ERR_INVAL);
        }
        let back_channel = negotiate_back(&args.back_channel)?;
        let fore_channel = negotiate_fore(&args.fore_channel, &self.limits)?;
        check_sec_parms(&args.sec_parms)?;
        Ok(CreateSession4ResOk {
            sessionid: SessionId([0; 16]),
            sequence: args.sequence,
            // No reply cache that outlives the process, no RDMA, and no callbacks: a client that asked for a backchannel
            // and is not granted one goes without, and is given nothing that would have to be recalled.
            flags: CreateSessionFlags::empty(),
            fore_channel,
            back_channel,
        })
    }

    /// The confirmed record of the same owner, if a new incarnation of it is now confirmed, goes with its sessions.
    fn supplant_old_incarnation(
        &self,
        records: &mut Records,
        args: &CreateSession4Args,
        within: Within<'_>,
    ) -> Result<Departures, Status> {
        let mut departures = Departures::default();
        let Some(record) = records.get(args.clientid).filter(|record| !record.is_confirmed()) else {
            return Ok(departures);
        };
        if let Some(old) = records.of_owner(&record.client.name().owner.0).confirmed {
            // A request of the old incarnation that is still running may yet make state: it must be over before the state
            // is dropped.
            let ended = records
                .remove_with_sessions(old, GoneReason::Restarted, within, &mut departures)
                .map_err(|_| NFS4ERR_DELAY)?;
            self.forget_sessions(&ended);
        }
        Ok(departures)
    }
}

/// csa_sec_parms: a choice of credentials for callbacks. RPCSEC_GSS needs a handle that this server gave, and it gave none;
/// where it is the only choice there is no other answer than NFS4ERR_NOENT.
fn check_sec_parms(parms: &[CallbackSecParms4]) -> Result<(), Status> {
    let is_gss = |parms: &CallbackSecParms4| matches!(parms, CallbackSecParms4::Gss(_));
    if !parms.is_empty() && parms.iter().all(is_gss) { Err(NFS4ERR_NOENT) } else { Ok(()) }
}
