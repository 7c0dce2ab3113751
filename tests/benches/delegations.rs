//! 100,000 delegations that 100 clients hold.
//!
//! `cargo bench -p dittofs-tests --bench delegations` prints the time of one call, and what a delegation takes in memory: the row
//! `memory` makes all of them, so "max alloc" divided by their number is what one takes, with what the table has for its file.
#![allow(clippy::expect_used)] // a benchmark may stop where a server may not

use std::cell::{Cell, RefCell};
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::client::{Client, ClientName, Protocol, UserId};
use dittofs_framework::clock::Timestamp;
use dittofs_framework::compound::Limits;
use dittofs_framework::export::ExportId;
use dittofs_framework::fs::{NodeHandle, OpenHold, ShareAccess};
use dittofs_framework::proto::{ClientId, OPEN4_SHARE_ACCESS_WANT_NO_DELEG, OpaqueId, Stateid};
use dittofs_framework::rpc::AuthFlavor;
use dittofs_framework::state::{
    BesideOpen, Caller, DelegationClaim, DelegationRequest, DelegationType, Effects, FileKey, RecallReason,
    Refused, StateLimits, StateTable, Timestamps,
};
use dittofs_tests::callbacks::{DelegClient, Delegation};
use dittofs_tests::{OpenFile, TestServer, TestServerOptions};
use divan::{AllocProfiler, Bencher};
use mimalloc::MiMalloc;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

fn main() {
    divan::main();
}

const DELEGATIONS: u64 = 100_000;
const CLIENTS: u64 = 100;
const NOW: Timestamp = Timestamp::from_nanos(0);

/// What is delegated.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A file for each delegation.
    OneHolder,
    /// A thousand files, each to all clients.
    AllClients,
}

const SHAPES: [Shape; 2] = [Shape::OneHolder, Shape::AllClients];

impl Shape {
    fn holder(n: u64) -> ClientId {
        ClientId(1 + n % CLIENTS)
    }

    fn file(self, n: u64) -> FileKey {
        let file = match self {
            Self::OneHolder => n,
            Self::AllClients => n / CLIENTS,
        };
        FileKey { export: ExportId(1), node: NodeHandle::from_u64(file) }
    }
}

struct World {
    table: StateTable,
    shape: Shape,
    stateids: RefCell<Vec<Stateid>>,
    next: Cell<u64>,
}

impl World {
    fn new(shape: Shape) -> Self {
        // So that what was recalled can be given again at once.
        let limits = StateLimits { regrant_after: Duration::ZERO, ..StateLimits::default() };
        let table = StateTable::new(1, limits);
        (1..=CLIENTS).for_each(|id| table.add_client(&Arc::new(client(id))));
        let world = Self { table, shape, stateids: RefCell::default(), next: Cell::default() };
        let all = (0..DELEGATIONS).map(|n| world.grant(n)).collect();
        world.stateids.replace(all);
        world
    }

    fn grant(&self, n: u64) -> Stateid {
        delegate(&self.table, Shape::holder(n), &self.shape.file(n))
    }

    /// The next place in an order that jumps about.
    fn place(&self) -> u64 {
        self.next.set((self.next.get() + 7919) % DELEGATIONS);
        self.next.get()
    }

    /// Has a delegation returned, and gives it again.
    fn renew(&self, n: u64) -> Stateid {
        let place = usize::try_from(n).expect("fits");
        let mut stateids = self.stateids.borrow_mut();
        let stateid = stateids.get_mut(place).expect("one each");
        self.give_back(n, stateid);
        *stateid = self.grant(n);
        *stateid
    }

    /// A file whose delegations are all new.
    fn renewed_file(&self) -> FileKey {
        let n = self.place();
        match self.shape {
            Shape::OneHolder => {
                self.renew(n);
            }
            Shape::AllClients => (0..CLIENTS).for_each(|client| {
                self.renew(n - n % CLIENTS + client);
            }),
        }
        self.shape.file(n)
    }

    fn give_back(&self, n: u64, stateid: &Stateid) {
        let caller = Caller { client: Some(Shape::holder(n)), now: NOW };
        let returned = self.table.return_delegation(caller, stateid, &self.shape.file(n));
        returned.expect("a delegation").run();
    }
}

fn delegate(table: &StateTable, holder: ClientId, file: &FileKey) -> Stateid {
    let request = DelegationRequest {
        kind: DelegationType::Read,
        origin: None,
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::New,
    };
    let checked = (0, ShareAccess::READ);
    let granted = table.want_delegation(NOW, holder, file, &OpenHold::new(()), checked, &request);
    granted.expect("a client").expect("nothing in the way").stateid
}

fn client(id: u64) -> Client {
    let user = UserId { flavor: AuthFlavor::Sys, uid: 0 };
    let owner = OpaqueId::from(&id.to_be_bytes()[..]);
    let name = ClientName { protocol: Protocol::Sessions, owner, verifier: [0; 8], user };
    Client::new(ClientId(id), name, Duration::from_secs(90), NOW)
}

/// One delegation is wanted back: by its stateid, as an operator asks.
#[divan::bench(args = SHAPES)]
fn recalled_by_stateid(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::new(shape);
    bencher
        .with_inputs(|| world.renew(world.place()))
        .bench_local_values(|stateid| world.table.recall(NOW, &stateid, RecallReason::Administrator));
}

/// Another client changes a file: all delegations of the file are wanted back, one or a hundred.
#[divan::bench(args = SHAPES, sample_size = 100)]
fn recalled_by_a_change(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::new(shape);
    let stranger = Caller { client: Some(ClientId(CLIENTS + 1)), now: NOW };
    bencher.with_inputs(|| world.renewed_file()).bench_local_values(|file| -> Option<Effects> {
        match world.table.begin_change(stranger, &file, RecallReason::Attributes) {
            Err(Refused::Recalled(effects, _)) => Some(effects),
            _ => None,
        }
    });
}

/// DELEGRETURN, and the delegation given again.
#[divan::bench(args = SHAPES)]
fn returned_and_given(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::new(shape);
    bencher.bench_local(|| world.renew(world.place()));
}

/// A thousand of them for an operator, from the middle of all.
#[divan::bench(args = SHAPES)]
fn listed(bencher: Bencher<'_, '_>, shape: Shape) {
    let world = World::new(shape);
    let stateids = world.stateids.borrow();
    let middle = stateids.get(stateids.len() / 2).copied();
    bencher.bench_local(|| world.table.delegations(None, middle.as_ref(), 1_000));
}

/// A server on a socket, with clients that answer.
struct Wire {
    runtime: Runtime,
    holder: DelegClient,
    other: DelegClient,
    /// The rest of those who hold something. They are never asked for it.
    _others: Vec<DelegClient>,
    server: TestServer,
}

const FILE: &str = "file";

impl Wire {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let (server, mut holders, mut other) = runtime.block_on(async {
            let mut limits = Limits::default();
            limits.state.regrant_after = Duration::ZERO;
            let server = TestServer::start_with(TestServerOptions { limits, ..Default::default() }).await;
            let mut holders = Vec::new();
            for n in 0..CLIENTS {
                holders.push(DelegClient::new(&server, &format!("holder {n}")).await);
            }
            let other = DelegClient::new(&server, "other").await;
            (server, holders, other)
        });
        for (n, holder) in (0..DELEGATIONS).zip((0..holders.len()).cycle()) {
            let holder = holders.get_mut(holder).expect("a client").session().clientid;
            // No file has such a number.
            let file = FileKey { export: ExportId(1), node: NodeHandle::from_u64(u64::MAX - n) };
            delegate(server.service.state(), holder, &file);
        }
        runtime.block_on(async {
            let made = other.open_write(FILE).wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG).await;
            other.close(&made.file()).await;
        });
        let holder = holders.pop().expect("a hundred");
        Self { runtime, holder, other, _others: holders, server }
    }

    fn delegated(&mut self) -> Delegation {
        let Self { runtime, holder, .. } = self;
        runtime.block_on(async { holder.open_read(FILE).wanting_read().await.read_delegation() })
    }

    /// Another client opens the file for writing, and the holder returns the delegation when it is asked to.
    fn open(&mut self, delegation: &Delegation) -> OpenFile {
        let Self { runtime, holder, other, .. } = self;
        runtime.block_on(async {
            let opening = other.open_write(FILE).wanting(OPEN4_SHARE_ACCESS_WANT_NO_DELEG).into_future();
            let (opened, ()) = tokio::join!(opening, holder.give_back_when_recalled(delegation));
            opened.file()
        })
    }

    fn close(&mut self, file: &OpenFile) {
        self.runtime.block_on(self.other.close(file));
    }
}

/// The OPEN of a client that has to wait for another's delegation: OPEN, CB_RECALL, DELEGRETURN and their replies, over the loopback
/// interface.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn recalled_over_the_wire(bencher: Bencher<'_, '_>) {
    let wire = RefCell::new(Wire::new());
    let opened = RefCell::new(None);
    let prepare = || {
        let mut wire = wire.borrow_mut();
        if let Some(file) = opened.take() {
            wire.close(&file);
        }
        wire.delegated()
    };
    bencher.with_inputs(prepare).bench_local_refs(|delegation| {
        let file = wire.borrow_mut().open(delegation);
        opened.replace(Some(file));
    });
    let held = wire.borrow().server.service.census().state.delegations;
    assert!(held >= usize::try_from(DELEGATIONS).expect("fits"), "{held}");
}

/// All the delegations.
#[divan::bench(args = SHAPES, sample_count = 1, sample_size = 1)]
fn memory(bencher: Bencher<'_, '_>, shape: Shape) {
    bencher.bench_local(|| World::new(shape));
}
