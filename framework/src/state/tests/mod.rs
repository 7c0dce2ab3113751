//! The state core through its public interface. After every step the invariants of `docs/internals/state.md` are checked.

mod concurrency;
mod io;
mod lock_model;
mod locks;
mod opens;
#[cfg(feature = "loom")]
mod orders;
mod share_model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::export::ExportId;
use crate::fs::{Credentials, NodeHandle, OpenHold, RequestContext, ShareAccess};
use crate::proto::{ClientId, Minor, StateOwner, Stateid, Status};

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

/// Requests of a user of a client.
fn request_of(client: ClientId, uid: u32) -> RequestContext {
    let credentials = Credentials { uid, ..Credentials::root() };
    RequestContext { credentials, client: Some(client), minor: Minor::V1 }
}

/// A state table that is checked after every call, and holds that are counted.
struct World {
    table: Arc<StateTable>,
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
        for client in [ALICE, BOB] {
            table.add_client(client);
        }
        Self { table, holds: Arc::default() }
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
            passing: ShareAccess::empty(),
            hold: self.hold(),
        }
    }

    fn try_open(&self, request: OpenRequest<'_>) -> Result<(Stateid, OpenUndo), Status> {
        let opened = self.table.open(&request);
        drop(request);
        self.check();
        let granted = opened?;
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
        let closed = self.table.close(client, stateid, &file(1));
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
        let outcome = self.table.lock(client, &file(1), locker, &range, kind);
        self.check();
        outcome
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
        let unlocked = self.table.unlock(client, stateid, &file(1), &range);
        self.check();
        unlocked
    }
}
