//! Byte-range locks on a file that has 100,000 of them.
//!
//! `cargo bench -p dittofs-tests --bench locks` prints the time of one call, and what a lock takes in memory: the row `memory`
//! makes all of them, so "max alloc" divided by their number is what one takes.
#![allow(clippy::expect_used)] // a benchmark may stop where a server may not

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::client::{Client, ClientName, Protocol, UserId};
use dittofs_framework::clock::Timestamp;
use dittofs_framework::export::ExportId;
use dittofs_framework::fs::{NodeHandle, OpenHold, ShareAccess};
use dittofs_framework::proto::{ClientId, OpaqueId, StateOwner, Stateid};
use dittofs_framework::rpc::AuthFlavor;
use dittofs_framework::state::{
    ByteRange, Caller, FileKey, LockKind, Locker, OpenRequest, ShareDeny, StateLimits, StateTable,
};
use divan::{AllocProfiler, Bencher, black_box};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

fn main() {
    divan::main();
}

const LOCKS: u64 = 100_000;
const CLIENT: ClientId = ClientId(1);

/// Who holds the locks.
#[derive(Debug, Clone, Copy)]
enum Shape {
    OneOwner,
    AnOwnerEach,
    AThousandOwners,
}

const SHAPES: [Shape; 3] = [Shape::OneOwner, Shape::AnOwnerEach, Shape::AThousandOwners];

impl Shape {
    fn owner(self, n: u64) -> u64 {
        match self {
            Self::OneOwner => 0,
            Self::AnOwnerEach => n,
            Self::AThousandOwners => n * 7919 % 1000,
        }
    }
}

/// A file with many locks of a few bytes, with gaps between them.
struct File {
    table: StateTable,
    open: Stateid,
    shape: Shape,
    next: u64,
}

impl File {
    fn new(shape: Shape) -> Self {
        let most = usize::try_from(2 * LOCKS).expect("fits");
        let limits = StateLimits {
            locks_per_file: most,
            locks_per_client: most,
            locks_total: most,
            lock_stateids_per_client: most,
            ..StateLimits::default()
        };
        let table = StateTable::new(1, limits);
        let user = UserId { flavor: AuthFlavor::Sys, uid: 0 };
        let owner = OpaqueId::from(&b"client"[..]);
        let name = ClientName { protocol: Protocol::Sessions, owner, verifier: [0; 8], user };
        let client = Client::new(CLIENT, name, Duration::from_secs(90), Timestamp::default());
        table.add_client(&Arc::new(client));
        let request = OpenRequest {
            owner: &owner_named(u64::MAX),
            file: key(),
            principal: 0,
            access: ShareAccess::BOTH,
            deny: ShareDeny::empty(),
            delegation: None,
            passing: ShareAccess::empty(),
            hold: OpenHold::new(()),
        };
        let granted = table.open(Timestamp::default(), &request).expect("an open");
        granted.effects.run();
        Self { table, open: granted.stateid, shape, next: 0 }
    }

    fn with_locks(shape: Shape) -> Self {
        let file = Self::new(shape);
        for n in 0..LOCKS {
            file.lock(shape.owner(n), n * 8, 4).expect("free");
        }
        file
    }

    /// The place of a lock, another one each time.
    fn place(&mut self) -> u64 {
        self.next = (self.next + 7919) % LOCKS;
        self.next
    }

    fn lock(&self, owner: u64, at: u64, length: u64) -> Option<Stateid> {
        let owner = owner_named(owner);
        let locker = Locker::New { open: self.open, owner: &owner };
        self.table.lock(caller(), &key(), &locker, &range(at, length), LockKind::Write).ok()
    }
}

fn owner_named(number: u64) -> StateOwner {
    StateOwner { clientid: CLIENT, owner: (&number.to_be_bytes()[..]).into() }
}

fn key() -> FileKey {
    FileKey { export: ExportId(1), node: NodeHandle::from_u64(1) }
}

fn caller() -> Caller {
    Caller { client: Some(CLIENT), now: Timestamp::default() }
}

fn range(at: u64, length: u64) -> ByteRange {
    ByteRange::new(at, length).expect("a range")
}

/// A byte in the middle of a lock is unlocked and locked again.
#[divan::bench(args = SHAPES)]
fn split_and_merge(bencher: Bencher<'_, '_>, shape: Shape) {
    let mut file = File::with_locks(shape);
    bencher.bench_local(|| {
        let n = file.place();
        let stateid = file.lock(shape.owner(n), n * 8, 4).expect("its own");
        file.table.unlock(caller(), &stateid, &key(), &range(n * 8 + 1, 1)).expect("its own");
        file.lock(file.shape.owner(n), n * 8, 4)
    });
}

/// LOCK of another owner.
#[divan::bench(args = SHAPES)]
fn denied(bencher: Bencher<'_, '_>, shape: Shape) {
    let mut file = File::with_locks(shape);
    bencher.bench_local(|| {
        let n = file.place();
        file.lock(LOCKS, n * 8, 4)
    });
}

/// LOCKT between the locks.
#[divan::bench(args = SHAPES)]
fn tested(bencher: Bencher<'_, '_>, shape: Shape) {
    let mut file = File::with_locks(shape);
    let stranger = owner_named(LOCKS);
    bencher.bench_local(|| {
        let gap = range(file.place() * 8 + 4, 4);
        file.table
            .test_lock(Timestamp::default(), &stranger, &key(), black_box(&gap), LockKind::Write)
            .is_ok()
    });
}

/// All the locks.
#[divan::bench(args = SHAPES, sample_count = 1, sample_size = 1)]
fn memory(bencher: Bencher<'_, '_>, shape: Shape) {
    bencher.bench_local(|| File::with_locks(shape));
}
