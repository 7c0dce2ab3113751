use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::caller::Caller;
use super::client::{ClientRecord, Full};
use super::delegation::{Delegation, RecallReason};
use super::effects::{Effects, Refused, Scarce};
use super::file::{FileInner, FileState, Open, compact};
use super::grant::{BesideOpen, DelegationRequest, GrantedDelegation, WhyNot};
use super::ids::{FileKey, Seqid, StateKey};
use super::share::{OpenModes, ShareDeny};
use super::table::{Place, StateRef, StateTable};
use crate::clock::Timestamp;
use crate::fs::{OpenHold, ShareAccess};
use crate::proto::{ClientId, NFS4ERR_SERVERFAULT, NFS4ERR_SHARE_DENIED, StateOwner, Stateid, Status};

/// What OPEN asks of the state core.
#[derive(Debug)]
pub struct OpenRequest<'a> {
    /// The open-owner, with the client that the session names.
    pub owner: &'a StateOwner,
    /// The file.
    pub file: FileKey,
    /// The user whose permission for `access` was checked.
    pub principal: u32,
    /// What the open is to allow; not empty.
    pub access: ShareAccess,
    /// What the open is to deny others.
    pub deny: ShareDeny,
    /// Access that this call alone makes use of: write, when it is to truncate the file. It must not be denied either.
    pub passing: ShareAccess,
    /// The delegation that is to be given with the open if possible.
    pub delegation: Option<DelegationRequest>,
    /// Keeps the file alive. If the owner has the file open already, one hold is enough and this one is let go.
    pub hold: OpenHold,
}

impl OpenRequest<'_> {
    /// What the open, and the call itself, use of the file.
    fn uses(&self) -> ShareAccess {
        self.access | self.passing
    }

    /// RFC 8881 section 9.7.
    fn conflicts_with(&self, open: OpenModes) -> bool {
        (open.deny().bits() & self.uses().bits()) | (open.access().bits() & self.deny.bits()) != 0
    }
}

/// An open that was granted.
#[derive(Debug)]
pub struct Granted {
    /// The open stateid. If the delegation stands for the open: that of the delegation.
    pub stateid: Stateid,
    /// The delegation that was asked for.
    pub delegation: Option<Result<GrantedDelegation, WhyNot>>,
    /// Whether there is an open.
    pub beside: Beside,
    /// What is left to do.
    pub effects: Effects,
    /// Takes the open back, should a later step of the operation fail.
    pub undo: OpenUndo,
}

/// What an OPEN made besides a delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// An open.
    Open,
    /// Nothing: the delegation stands for the open (RFC 9754 section 5).
    Nothing,
}

/// What an OPEN changed, for [`StateTable::undo_open`].
#[derive(Debug, Default)]
pub struct OpenUndo {
    open: Option<UndoOpen>,
    /// The delegation that it gave.
    delegation: Option<Stateid>,
}

#[derive(Debug, Clone, Copy)]
struct UndoOpen {
    key: StateKey,
    /// After the OPEN.
    seqid: Seqid,
    /// Before it; `None` for a new open.
    before: Option<Before>,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    modes: OpenModes,
    seqid: Seqid,
    principal: Option<u32>,
}

impl OpenUndo {
    fn of(key: StateKey, seqid: Seqid, before: Option<Before>) -> Self {
        Self { open: Some(UndoOpen { key, seqid, before }), delegation: None }
    }
}

impl Granted {
    fn in_place_of_open(delegation: GrantedDelegation) -> Self {
        Self {
            stateid: delegation.stateid,
            delegation: Some(Ok(delegation)),
            beside: Beside::Nothing,
            effects: Effects::default(),
            undo: OpenUndo { open: None, delegation: Some(delegation.stateid) },
        }
    }
}

impl StateTable {
    /// Opens a file, or adds to what the same owner has open already (RFC 8881 section 9.9).
    ///
    /// NFS4ERR_SHARE_DENIED on a conflict with any open of the file, the owner's own included (RFC 8881 section 9.7);
    /// NFS4ERR_DELAY at a limit; NFS4ERR_EXPIRED if the client is gone.
    pub fn open(&self, now: Timestamp, request: &OpenRequest<'_>) -> Result<Granted, Refused> {
        let client = self.client(request.owner.clientid)?;
        self.on_new_file(&request.file, |file, inner| {
            let is_denied = inner.shares.denies(request.passing)
                || inner.shares.admit(request.access, request.deny).is_err();
            if is_denied {
                let conflicts = |_: &StateKey, open: &Open| request.conflicts_with(open.modes);
                return Err(self.refuse_or_revoke(inner, now, NFS4ERR_SHARE_DENIED, conflicts));
            }
            let by = (Some(client.id()), RecallReason::Open);
            let (writes, denies_read) =
                (request.uses().contains(ShareAccess::WRITE), request.deny.contains(ShareDeny::READ));
            let predecessor = request.delegation.and_then(|wanted| wanted.claim.predecessor());
            let conflicts = |held: &Delegation| {
                Self::open_conflicts(held.kind, writes, denies_read) && predecessor != Some(held.client.id())
            };
            self.recall_conflicts(&request.file, inner, now, by, conflicts)?;
            let inherited = predecessor.map(|old| self.drop_delegation(inner, &request.file, old));
            let mut granted = self.open_and_delegate(file, inner, &client, now, request)?;
            granted.effects.add(inherited.unwrap_or_default());
            Ok(granted)
        })
    }

    /// Opens what nothing is in the way of.
    fn open_and_delegate(
        &self,
        file: &Arc<FileState>,
        inner: &mut FileInner,
        client: &Arc<ClientRecord>,
        now: Timestamp,
        request: &OpenRequest<'_>,
    ) -> Result<Granted, Refused> {
        let existing = inner.open_owners.get(request.owner).copied();
        let checked = (request.principal, request.access);
        let mut delegation = request.delegation.map(|wanted| {
            let verdict = self.check_grant(&request.file, inner, client.id(), now, &wanted);
            verdict.map(|()| wanted)
        });
        if let Some(Ok(wanted)) = delegation
            && wanted.open == BesideOpen::UnlessDelegated
            && existing.is_none()
            && request.deny.is_empty()
            && wanted.kind.access().contains(request.access)
        {
            match self.delegate(file, inner, client, request.hold.clone(), checked, &wanted) {
                Ok(granted) => return Ok(Granted::in_place_of_open(granted)),
                Err(why) => delegation = Some(Err(why)),
            }
        }
        let mut granted = match existing {
            Some(key) => self.upgrade(inner, key, request)?,
            None => self.open_new(file, inner, client, request)?,
        };
        let delegation = delegation.map(|verdict| {
            verdict
                .and_then(|wanted| self.delegate(file, inner, client, request.hold.clone(), checked, &wanted))
        });
        if let Some(Ok(given)) = &delegation {
            granted.undo.delegation = Some(given.stateid);
        }
        Ok(Granted { delegation, ..granted })
    }

    /// Whether a client may open one more file: for an OPEN that would have to make the file first.
    pub fn check_room(&self, client: ClientId) -> Result<(), Refused> {
        self.client(client)?.check_room(self.limits.opens_per_client)?;
        if self.opens.count() < self.limits.opens_total { Ok(()) } else { Err(Refused::Full(Scarce::Opens)) }
    }

    fn open_new(
        &self,
        file: &Arc<FileState>,
        inner: &mut FileInner,
        client: &Arc<ClientRecord>,
        request: &OpenRequest<'_>,
    ) -> Result<Granted, Refused> {
        self.opens.take(1, self.limits.opens_total).map_err(|Full| Refused::Full(Scarce::Opens))?;
        let key = self.new_key();
        // First into the table, then to the client: whoever drops the client finds the file by the key, and waits there.
        let state = StateRef { client: client.clone(), place: Place::File(file.clone()) };
        self.stateids.shard(&key).insert(key, state);
        if let Err(status) = client.add_open(key, self.limits.opens_per_client) {
            self.stateids.shard(&key).remove(&key);
            self.opens.give_back(1);
            return Err(status.into());
        }
        let owner = Arc::new(compact(request.owner));
        let open = Open {
            owner: owner.clone(),
            client: client.clone(),
            principal: Some(request.principal),
            modes: OpenModes::new(request.access, request.deny),
            seqid: Seqid::FIRST,
            hold: request.hold.clone(),
            lock_states: HashMap::new(),
        };
        inner.shares.add(open.modes);
        inner.open_owners.insert(owner, key);
        inner.opens.insert(key, open);
        Ok(Granted {
            stateid: self.stateid(key, Seqid::FIRST),
            delegation: None,
            beside: Beside::Open,
            effects: Effects::default(),
            undo: OpenUndo::of(key, Seqid::FIRST, None),
        })
    }

    fn upgrade(
        &self,
        inner: &mut FileInner,
        key: StateKey,
        request: &OpenRequest<'_>,
    ) -> Result<Granted, Status> {
        let open = inner.opens.get_mut(&key).ok_or(NFS4ERR_SERVERFAULT)?;
        let before = Before { modes: open.modes, seqid: open.seqid, principal: open.principal };
        inner.shares.remove(open.modes);
        open.modes = open.modes.with(request.access, request.deny);
        inner.shares.add(open.modes);
        open.seqid = open.seqid.next();
        open.principal = open.principal.filter(|principal| *principal == request.principal);
        Ok(Granted {
            stateid: self.stateid(key, open.seqid),
            delegation: None,
            beside: Beside::Open,
            effects: Effects::release(request.hold.clone()),
            undo: OpenUndo::of(key, open.seqid, Some(before)),
        })
    }

    /// Takes back an OPEN whose stateid no client has seen. An OPEN that came upon it meanwhile stays, with what it
    /// found.
    pub fn undo_open(&self, undo: &OpenUndo) -> Effects {
        let mut effects = Effects::default();
        if let Some(open) = &undo.open {
            let file = self.stateids.shard(&open.key).get(&open.key).and_then(StateRef::file);
            let undone = file.and_then(|file| self.enter(&file, |inner| self.undo_in(inner, open)));
            effects.add(undone.unwrap_or_default());
        }
        if let Some(delegation) = &undo.delegation {
            effects.add(self.undo_grant(delegation));
        }
        effects
    }

    fn undo_in(&self, inner: &mut FileInner, undo: &UndoOpen) -> Effects {
        let Some(open) = inner.opens.get_mut(&undo.key).filter(|open| open.seqid == undo.seqid) else {
            return Effects::default();
        };
        let Some(before) = undo.before else { return self.remove_open(inner, undo.key) };
        inner.shares.remove(open.modes);
        inner.shares.add(before.modes);
        (open.modes, open.seqid, open.principal) = (before.modes, before.seqid, before.principal);
        Effects::default()
    }

    /// Narrows an open (RFC 8881 section 18.18) and returns its new stateid.
    pub fn open_downgrade(
        &self,
        caller: Caller,
        stateid: &Stateid,
        file: &FileKey,
        access: ShareAccess,
        deny: ShareDeny,
    ) -> Result<Stateid, Status> {
        self.on_open_or_lock(caller, stateid, file, |at, inner| {
            let modes = inner.open(at.key, stateid.seqid)?.modes.downgraded(access, deny)?;
            let open = inner.opens.get_mut(&at.key).ok_or(NFS4ERR_SERVERFAULT)?;
            inner.shares.remove(open.modes);
            inner.shares.add(modes);
            open.modes = modes;
            open.seqid = open.seqid.next();
            Ok(self.stateid(at.key, open.seqid))
        })
    }

    /// Closes an open, and lets go the byte-range locks that were made under it.
    ///
    /// RFC 8881 section 18.2.3 leaves a server two ways with locks that the client did not release first: to free them, or to refuse
    /// with NFS4ERR_LOCKS_HELD. They are freed: that is what POSIX does at close, and a client that cannot release them,
    /// because it forgot their stateids, could never close the file.
    pub fn close(&self, caller: Caller, stateid: &Stateid, file: &FileKey) -> Result<Effects, Status> {
        self.on_open_or_lock(caller, stateid, file, |at, inner| {
            let client = inner.open(at.key, stateid.seqid)?.client.clone();
            let effects = self.remove_open(inner, at.key);
            // The client gives up whatever it had under the open, lost or not. Linux 6.12 frees no lock that it lost, and
            // takes all its locks for lost as long as SEQUENCE tells of one (RFC 8881 section 18.46.3).
            self.free_revoked_under(&client, at.key);
            Ok(effects)
        })
    }

    /// Takes out an open and all that hangs on it.
    pub(super) fn remove_open(&self, inner: &mut FileInner, key: StateKey) -> Effects {
        let Some(open) = inner.opens.remove(&key) else { return Effects::default() };
        for lock in open.lock_states.values() {
            self.remove_lock_state(inner, &open.client, *lock);
        }
        inner.waiters.remove_open(key);
        inner.open_owners.remove(&open.owner);
        inner.shares.remove(open.modes);
        open.client.remove_open(key);
        self.opens.give_back(1);
        self.stateids.shard(&key).remove(&key);
        Effects::release(open.hold)
    }
}
