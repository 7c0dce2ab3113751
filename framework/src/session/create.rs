//! CREATE_SESSION (RFC 8881 section 18.36).

use std::sync::Arc;

use super::back::{BackLimits, BackRequest, Backchannel, choose_credential};
use super::channel::{negotiate_back, negotiate_fore};
use super::record::{Record, Records};
use super::slots::{Purpose, Slots};
use super::{ConnectionSessions, Session, SessionCore, Within};
use crate::client::{Client, Departures, GoneReason, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    ChannelAttrs4, ClientId, CreateSession4Args, CreateSession4ResOk, CreateSessionFlags, Minor,
    NFS4ERR_CLID_INUSE, NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_NOSPC, NFS4ERR_SEQ_MISORDERED,
    NFS4ERR_STALE_CLIENTID, SessionId, Status,
};

/// Who asks for a session, and by which way.
#[derive(Debug, Clone, Copy)]
pub struct SessionCaller<'a> {
    /// When.
    pub now: Timestamp,
    /// The user.
    pub user: UserId,
    /// The minor version of the compound.
    pub minor: Minor,
    /// The connection that it came by.
    pub connection: &'a ConnectionSessions,
    /// The compound.
    pub within: Within<'a>,
}

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
        caller: &SessionCaller<'_>,
        args: &CreateSession4Args,
        on_confirmed: &dyn Fn(&Arc<Client>),
    ) -> Result<(CreateSession4ResOk, Departures), Status> {
        let SessionCaller { now, user, minor, connection, within } = *caller;
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
        let (slots, departures) = self.make_room(&mut records, args, now, within)?;
        let record = records.get_mut(args.clientid).ok_or(NFS4ERR_STALE_CLIENTID)?;
        let fore_channel = ChannelAttrs4 { max_requests: slots.accepted(), ..offer.fore_channel };
        let sessionid = self.ids.next_sessionid();
        let client = record.client.clone();
        let back = self.backchannel(&client, minor, args, offer.back_channel);
        let session = Arc::new(Session::new(sessionid, client, fore_channel, slots, back));
        // No reply cache that outlives the process, and no RDMA.
        let mut flags = CreateSessionFlags::empty();
        if args.flags.contains(CreateSessionFlags::CONN_BACK_CHAN) {
            flags.set(CreateSessionFlags::CONN_BACK_CHAN, connection.bind_back(&session));
        }
        let reply = CreateSession4ResOk { sessionid, flags, fore_channel, ..offer };
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
        choose_credential(&args.sec_parms)?;
        Ok(CreateSession4ResOk {
            sessionid: SessionId([0; 16]),
            sequence: args.sequence,
            flags: CreateSessionFlags::empty(),
            fore_channel,
            back_channel,
        })
    }

    fn backchannel(
        &self,
        client: &Arc<Client>,
        minor: Minor,
        args: &CreateSession4Args,
        attrs: ChannelAttrs4,
    ) -> Backchannel {
        let asked = BackRequest { attrs, program: args.cb_program, sec_parms: &args.sec_parms };
        let limits = BackLimits { slots: self.limits.back_slots, connections: self.limits.back_connections };
        Backchannel::new(client.clone(), minor, &asked, limits)
    }

    /// Slots for the session, and the old incarnation out of its way. Changes nothing if it fails.
    ///
    /// If there are no slots, the client goes whose lease ran out longest ago; if there is none, "there is not enough
    /// space" (phase 4).
    fn make_room(
        &self,
        records: &mut Records,
        args: &CreateSession4Args,
        now: Timestamp,
        within: Within<'_>,
    ) -> Result<(Slots, Departures), Status> {
        let take = |purpose| {
            Slots::new(args.fore_channel.max_requests, &self.limits, self.budget.clone(), purpose, now)
        };
        let mut departures = Departures::default();
        let slots = take(Purpose::Session);
        let old = old_incarnation(records, args.clientid);
        let old_has_slots = old.and_then(|id| records.get(id)).is_some_and(|old| !old.sessions.is_empty());
        if slots.is_none() && !old_has_slots {
            // What follows does not fail then: the old incarnation, if there is one, has no session with a request in it.
            let has_slots =
                |record: &Record| !record.sessions.is_empty() && record.client.id() != args.clientid;
            self.evict_from(records, now, within, has_slots, &mut departures).ok_or(NFS4ERR_NOSPC)?;
        }
        if let Some(old) = old {
            // A request of the old incarnation that is still running may yet make state: it must be over before the state
            // is dropped.
            let ended = records
                .remove_with_sessions(old, GoneReason::Restarted, within, &mut departures)
                .map_err(|_| NFS4ERR_DELAY)?;
            self.forget_sessions(&ended);
        }
        let slots = slots.or_else(|| take(Purpose::Successor)).ok_or(NFS4ERR_NOSPC)?;
        Ok((slots, departures))
    }
}

/// The confirmed record of the same owner, if a new incarnation of it is now confirmed.
fn old_incarnation(records: &Records, id: ClientId) -> Option<ClientId> {
    let record = records.get(id).filter(|record| !record.is_confirmed())?;
    records.of_owner(&record.client.name().owner.0).confirmed
}
