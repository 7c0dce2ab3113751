//! EXCHANGE_ID (RFC 8881 section 18.35).

use super::record::{OwnerRecords, Record, Records};
use super::{SessionCore, Within};
use crate::client::{Client, ClientName, Departures, GoneReason, Protocol, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    AtMostOne, ClientId, ExchangeId4Args, ExchangeId4ResOk, ExchangeIdFlags, Minor, NFS4ERR_CLID_INUSE,
    NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_NOENT, NFS4ERR_NOT_SAME, NFS4ERR_PERM, OpaqueId, StateProtect4A,
    StateProtect4R, Status,
};

/// What a client may set in eia_flags.
fn allowed_flags(minor: Minor) -> ExchangeIdFlags {
    let all = ExchangeIdFlags::all() - ExchangeIdFlags::CONFIRMED_R;
    // RFC 7862 section 14.1: the bit came with minor version 2. Before, it is one of those not defined.
    if minor >= Minor::V2 { all } else { all - ExchangeIdFlags::SUPP_FENCE_OPS }
}

/// Who asks for what.
struct Request<'a> {
    now: Timestamp,
    args: &'a ExchangeId4Args,
    user: UserId,
    within: Within<'a>,
}

impl SessionCore {
    /// Answers EXCHANGE_ID by the numbered cases of RFC 8881 section 18.35.4.
    ///
    /// `has_state` tells whether a client holds opens, locks or the like. It is called with the table of clients locked.
    pub fn exchange_id(
        &self,
        now: Timestamp,
        args: &ExchangeId4Args,
        user: UserId,
        minor: Minor,
        within: Within<'_>,
        has_state: &dyn Fn(ClientId) -> bool,
    ) -> Result<(ExchangeId4ResOk, Departures), Status> {
        if !allowed_flags(minor).contains(args.flags) {
            return Err(NFS4ERR_INVAL);
        }
        // RFC 8881 section 18.35.3: SP4_MACH_CRED and SP4_SSV MUST come by RPCSEC_GSS with integrity or privacy, which is
        // not among the flavors that there are.
        if args.state_protect != StateProtect4A::None(()) {
            return Err(NFS4ERR_INVAL);
        }
        let mut records = self.records.lock();
        let request = Request { now, args, user, within };
        if args.flags.contains(ExchangeIdFlags::UPD_CONFIRMED_REC_A) {
            let record = find_updated(&records, &request)?;
            return Ok((self.exchange_id_reply(record), Departures::default()));
        }
        self.establish(&mut records, &request, has_state)
    }

    /// Cases 1 to 5: no update.
    fn establish(
        &self,
        records: &mut Records,
        request: &Request<'_>,
        has_state: &dyn Fn(ClientId) -> bool,
    ) -> Result<(ExchangeId4ResOk, Departures), Status> {
        let owner = records.of_owner(&request.args.client_owner.ownerid.0);
        let mut departures = Departures::default();
        if let Some(record) = owner.confirmed.and_then(|id| records.get(id)) {
            let is_same_user = record.client.name().user == request.user;
            if is_same_user && record.client.name().verifier == request.args.client_owner.verifier {
                // Case 2: a retry, or a look whether trunking is possible. A record of an incarnation that was never
                // confirmed is of no use any more (case 5, last item).
                let reply = self.exchange_id_reply(record);
                drop_unconfirmed(records, owner);
                return Ok((reply, departures));
            }
            if !is_same_user {
                // Case 3: a collision.
                let id = record.client.id();
                if is_holding(record, request.now, has_state) {
                    return Err(NFS4ERR_CLID_INUSE);
                }
                let ended = records
                    .remove_with_sessions(id, GoneReason::Supplanted, request.within, &mut departures)
                    .map_err(|_| NFS4ERR_CLID_INUSE)?;
                self.forget_sessions(&ended);
            }
            // Case 5, a restart, leaves the confirmed record until the new one is confirmed.
        }
        // Case 4: another unconfirmed record gives way. Case 1 has nothing to give way.
        drop_unconfirmed(records, owner);
        if records.len() >= self.limits.clients && !records.remove_oldest_unconfirmed() {
            // After a collision there is room: no effect is lost here.
            self.evict_from(records, request.now, request.within, |_| true, &mut departures)
                .ok_or(NFS4ERR_DELAY)?;
        }
        let client = self.new_client(records, request);
        let reply = self.exchange_id_reply(records.insert_unconfirmed(client));
        Ok((reply, departures))
    }

    fn new_client(&self, records: &Records, request: &Request<'_>) -> Client {
        let owner = &request.args.client_owner;
        // A copy: the argument is a slice of the connection's buffer.
        let ownerid = OpaqueId::from(&owner.ownerid[..]);
        let id = std::iter::repeat_with(|| self.client_ids.next_clientid()).find(|id| !records.contains(*id));
        let id = id.unwrap_or(ClientId(0));
        let name = ClientName {
            protocol: Protocol::Sessions,
            owner: ownerid,
            verifier: owner.verifier,
            user: request.user,
        };
        Client::new(id, name, self.lease, request.now)
    }

    fn exchange_id_reply(&self, record: &Record) -> ExchangeId4ResOk {
        let mut flags = ExchangeIdFlags::USE_NON_PNFS;
        flags.set(ExchangeIdFlags::CONFIRMED_R, record.is_confirmed());
        let sequenceid = record.create_slot.sequence.wrapping_add(1);
        ExchangeId4ResOk {
            clientid: record.client.id(),
            sequenceid,
            flags,
            state_protect: StateProtect4R::None(()),
            server_owner: self.identity.owner.clone(),
            server_scope: self.identity.scope.clone(),
            server_impl_id: AtMostOne(self.identity.implementation.clone()),
        }
    }
}

/// Whether a confirmed client has "an unexpired lease with state" (case 3). A session counts as state.
fn is_holding(record: &Record, now: Timestamp, has_state: &dyn Fn(ClientId) -> bool) -> bool {
    !record.is_expired(now) && (!record.sessions.is_empty() || has_state(record.client.id()))
}

/// Cases 6 to 9: the confirmed record that an update is for. All of its properties that an update may change are the
/// server's to decide, and stay as they are.
fn find_updated<'r>(records: &'r Records, request: &Request<'_>) -> Result<&'r Record, Status> {
    let owner = records.of_owner(&request.args.client_owner.ownerid.0);
    let record = owner.confirmed.and_then(|id| records.get(id)).ok_or(NFS4ERR_NOENT)?;
    if record.client.name().verifier != request.args.client_owner.verifier {
        return Err(NFS4ERR_NOT_SAME);
    }
    if record.client.name().user != request.user {
        return Err(NFS4ERR_PERM);
    }
    Ok(record)
}

/// An unconfirmed record has no sessions and no state: nobody is to be told.
fn drop_unconfirmed(records: &mut Records, owner: OwnerRecords) {
    if let Some(id) = owner.unconfirmed {
        records.remove(id);
    }
}
