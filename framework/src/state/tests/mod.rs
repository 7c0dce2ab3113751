//! The state core through its public interface. After every step the invariants of `docs/internals/invariants.md` are checked.

mod concurrency;
mod courtesy;
mod delegations;
mod directories;
mod io;
mod lock_model;
mod lock_notices;
mod locks;
mod opens;
#[cfg(feature = "loom")]
mod orders;
mod scale;
mod share_model;
mod waiting;
mod waiting_model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::client::{Client, ClientName, Protocol, UserId};
use crate::clock::Timestamp;
use crate::export::ExportId;
use crate::fs::{NodeHandle, OpenHold, ShareAccess};
use crate::proto::{ClientId, NFS4ERR_DELAY, OpaqueId, StateOwner, Stateid, Status};
use crate::rpc::AuthFlavor;

const READ: ShareAccess = ShareAccess::READ;
const WRITE: ShareAccess = ShareAccess::WRITE;
const BOTH: ShareAccess = ShareAccess::BOTH;
const DENY_NONE: ShareDeny = ShareDeny::empty();
const USER: u32 = 1000;

const ALICE: ClientId = ClientId(1);
const BOB: ClientId = ClientId(2);

fn file(number: u64) -> FileKey {
    FileKey { export: ExportId(1), node: NodeHandle::from_u64(number) }
}

fn owner(client: ClientId, name: &str) -> StateOwner {
    StateOwner { clientid: client, owner: name.into() }
}

fn range(offset: u64, length: u64) -> ByteRange {
    ByteRange::new(offset, length).expect("a range")
}

const LEASE: Duration = Duration::from_secs(90);

/// A client of a user, heard of at the beginning of time.
fn client_of(protocol: Protocol, id: ClientId) -> Arc<Client> {
    let user = UserId { flavor: AuthFlavor::Sys, uid: USER };
    let name =
        ClientName { protocol, owner: OpaqueId::from(&id.0.to_be_bytes()[..]), verifier: [0; 8], user };
    Arc::new(Client::new(id, name, LEASE, Timestamp::default()))
}

fn session_client(id: ClientId) -> Arc<Client> {
    client_of(Protocol::Sessions, id)
}

/// A client that asks at the beginning of time.
fn caller(client: ClientId) -> Caller {
    Caller { client: Some(client), now: Timestamp::default() }
}

/// Why, where nobody's lease has run out.
fn reason<E: From<Status>>(refused: Refused<E>) -> E {
    match refused {
        Refused::Because(reason) => reason,
        Refused::Full(_) => NFS4ERR_DELAY.into(),
        Refused::Revoked(_) => panic!("revoked at the beginning of time"),
        Refused::Recalled(..) => panic!("recalled where there are no delegations"),
    }
}

/// A state table that is checked after every call, and holds that are counted.
struct World {
    table: Arc<StateTable>,
    /// Alice and Bob.
    clients: [Arc<Client>; 2],
    holds: Arc<AtomicUsize>,
}

/// Counts itself, and looks at the table when it goes: no lock may be held then.
struct Counted {
    count: Arc<AtomicUsize>,
    table: Arc<StateTable>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.table.check_invariants().expect("a hold goes when the change is complete");
    }
}

impl World {
    fn new() -> Self {
        Self::with_limits(StateLimits::default())
    }

    fn with_limits(limits: StateLimits) -> Self {
        let table = Arc::new(StateTable::new(7, limits));
        let clients = [ALICE, BOB].map(session_client);
        for client in &clients {
            table.add_client(client);
        }
        Self { table, clients, holds: Arc::default() }
    }

    fn hold(&self) -> OpenHold {
        self.holds.fetch_add(1, Ordering::SeqCst);
        OpenHold::new(Counted { count: self.holds.clone(), table: self.table.clone() })
    }

    /// Holds that nobody has let go.
    fn holds(&self) -> usize {
        self.holds.load(Ordering::SeqCst)
    }

    fn check(&self) {
        self.table.check_invariants().expect("the invariants hold");
    }

    fn request<'a>(&self, owner: &'a StateOwner, access: ShareAccess, deny: ShareDeny) -> OpenRequest<'a> {
        OpenRequest {
            owner,
            file: file(1),
            principal: USER,
            access,
            deny,
            delegation: None,
            passing: ShareAccess::empty(),
            hold: self.hold(),
        }
    }

    fn try_open(&self, request: OpenRequest<'_>) -> Result<(Stateid, OpenUndo), Status> {
        let opened = self.table.open(Timestamp::default(), &request);
        drop(request);
        self.check();
        let granted = opened.map_err(reason)?;
        granted.effects.run();
        Ok((granted.stateid, granted.undo))
    }

    /// Opens file 1.
    fn open(&self, owner: &StateOwner, access: ShareAccess, deny: ShareDeny) -> Result<Stateid, Status> {
        self.try_open(self.request(owner, access, deny)).map(|(stateid, _)| stateid)
    }

    /// Opens file 1 for everything.
    fn open_both(&self, client: ClientId, name: &str) -> Stateid {
        self.open(&owner(client, name), BOTH, DENY_NONE).expect("an open")
    }

    fn close(&self, client: ClientId, stateid: &Stateid) -> Result<(), Status> {
        let closed = self.table.close(caller(client), stateid, &file(1));
        self.check();
        closed.map(Effects::run)
    }

    fn lock(
        &self,
        client: ClientId,
        locker: &Locker<'_>,
        range: ByteRange,
        kind: LockKind,
    ) -> Result<Stateid, LockError> {
        let outcome = self.table.lock(caller(client), &file(1), locker, &range, kind);
        self.check();
        outcome.map_err(reason)
    }

    /// LOCKT: the conflict.
    fn test_lock(
        &self,
        owner: &StateOwner,
        file: &FileKey,
        range: &ByteRange,
        kind: LockKind,
    ) -> Option<LockConflict> {
        let tested = self.table.test_lock(Timestamp::default(), owner, file, range, kind);
        match tested {
            Ok(()) => None,
            Err(Refused::Because(conflict)) => Some(conflict),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Locks in the name of a lock-owner, under an open of the same client.
    fn lock_new(
        &self,
        open: Stateid,
        owner: &StateOwner,
        range: ByteRange,
        kind: LockKind,
    ) -> Result<Stateid, LockError> {
        self.lock(owner.clientid, &Locker::New { open, owner }, range, kind)
    }

    fn unlock(&self, client: ClientId, stateid: &Stateid, range: ByteRange) -> Result<Stateid, Status> {
        let unlocked = self.table.unlock(caller(client), stateid, &file(1), &range);
        self.check();
        unlocked
    }
}
