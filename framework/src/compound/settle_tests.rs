//! Origin: what waits for the record of a revocation, with a store that answers when it is told.
//! RFC: 8881 section 8.4.3.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rstest::rstest;

use super::Nfs4Service;
use crate::callback::Callback;
use crate::client::{Client, ClientName, Protocol, UserId};
use crate::clock::Timestamp;
use crate::export::{ExportId, Namespace};
use crate::fs::{NodeHandle, OpenHold, ShareAccess};
use crate::proto::{ClientId, NFS4ERR_DELAY, OpaqueId, StateOwner, Status};
use crate::recovery::scripted::ScriptedStore;
use crate::recovery::{StateEvent, StoreError};
use crate::rpc::AuthFlavor;
use crate::state::{
    BesideOpen, Caller, DelegationClaim, DelegationRequest, DelegationType, FileKey, OpenRequest,
    RecallReason, Refused, ShareDeny, Timestamps,
};

const LEASE: Duration = Duration::from_secs(90);
const START: Timestamp = Timestamp::from_nanos(0);

struct World {
    service: Nfs4Service,
    store: Arc<ScriptedStore>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(ScriptedStore::default());
        let builder = Nfs4Service::builder(Namespace::builder().build().unwrap()).lease(LEASE);
        let mut recovered = pin!(builder.recover(store.clone()));
        let Poll::Ready(builder) = poll(&mut recovered) else { panic!("the store waits") };
        Self { service: builder.unwrap().build().unwrap(), store }
    }

    /// A client that nothing was heard of since then.
    fn client(&self, id: u64, heard_of: Timestamp) -> Arc<Client> {
        self.client_of(Protocol::Sessions, id, heard_of)
    }

    fn client_of(&self, protocol: Protocol, id: u64, heard_of: Timestamp) -> Arc<Client> {
        let user = UserId { flavor: AuthFlavor::Sys, uid: 0 };
        let owner = OpaqueId::from(&id.to_be_bytes()[..]);
        let name = ClientName { protocol, owner, verifier: [0; 8], user };
        let client = Arc::new(Client::new(ClientId(id), name, LEASE, heard_of));
        self.service.confirm(&client, heard_of);
        client
    }

    /// OPEN, as far as the state goes.
    async fn open(&self, now: Timestamp, clientid: ClientId, deny: ShareDeny) -> Result<(), Status> {
        let owner = StateOwner { clientid, owner: OpaqueId::from("owner") };
        let request = OpenRequest {
            owner: &owner,
            file: FileKey { export: ExportId(1), node: NodeHandle::from_u64(1) },
            principal: 0,
            access: ShareAccess::READ,
            deny,
            delegation: None,
            passing: ShareAccess::empty(),
            hold: OpenHold::new(()),
        };
        let state = self.service.state();
        let granted: Result<_, Status> = self.service.ask_state(now, || state.open(now, &request)).await;
        granted.map(|granted| granted.effects.run())
    }
}

fn poll<F: Future>(step: &mut Pin<&mut F>) -> Poll<F::Output> {
    step.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A client whose lease is over denies others; two of them come.
fn two_come(world: &World) -> (Timestamp, ClientId, ClientId) {
    let now = START + LEASE * 2;
    let silent = world.client(1, START);
    let mut recorded = pin!(world.service.record(&silent));
    assert_eq!(poll(&mut recorded), Poll::Pending);
    world.store.answer(0, Ok(()));
    assert_eq!(poll(&mut recorded), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut pin!(world.open(START, silent.id(), ShareDeny::BOTH))), Poll::Ready(Ok(())));
    (now, world.client(2, now).id(), world.client(3, now).id())
}

#[test]
fn nobody_is_granted_what_is_not_on_record_as_taken() {
    let world = World::new();
    let (now, first, second) = two_come(&world);
    let mut first = pin!(world.open(now, first, ShareDeny::empty()));
    assert_eq!(poll(&mut first), Poll::Pending);
    // The second finds nothing in its way, and waits all the same.
    let mut second = pin!(world.open(now, second, ShareDeny::empty()));
    assert_eq!(poll(&mut second), Poll::Pending);
    let [StateEvent::Holds(_), StateEvent::Forgotten(_)] = &world.store.events()[..] else {
        panic!("{:?}", world.store.events())
    };
    world.store.answer(1, Ok(()));
    assert_eq!(poll(&mut second), Poll::Pending, "the first is to note it yet");
    assert_eq!(poll(&mut first), Poll::Ready(Ok(())));
    assert_eq!(poll(&mut second), Poll::Ready(Ok(())));
}

#[test]
fn who_waits_takes_over_from_a_request_that_is_gone() {
    let world = World::new();
    let (now, first, second) = two_come(&world);
    let mut second = pin!(world.open(now, second, ShareDeny::empty()));
    {
        let mut first = pin!(world.open(now, first, ShareDeny::empty()));
        assert_eq!(poll(&mut first), Poll::Pending);
        assert_eq!(poll(&mut second), Poll::Pending);
    }
    assert_eq!(poll(&mut second), Poll::Pending);
    world.store.answer(2, Ok(()));
    assert_eq!(poll(&mut second), Poll::Ready(Ok(())));
}

#[test]
fn who_waits_is_refused_when_it_cannot_be_recorded() {
    let world = World::new();
    let (now, first, second) = two_come(&world);
    let mut first = pin!(world.open(now, first, ShareDeny::empty()));
    assert_eq!(poll(&mut first), Poll::Pending);
    let mut later = pin!(world.open(now, second, ShareDeny::empty()));
    assert_eq!(poll(&mut later), Poll::Pending);
    world.store.answer(1, Err(StoreError::Closed));
    assert_eq!(poll(&mut first), Poll::Ready(Err(NFS4ERR_DELAY)));
    // It tries itself.
    assert_eq!(poll(&mut later), Poll::Pending);
    world.store.answer(2, Err(StoreError::Closed));
    assert_eq!(poll(&mut later), Poll::Ready(Err(NFS4ERR_DELAY)));
    let mut again = pin!(world.open(now, second, ShareDeny::empty()));
    assert_eq!(poll(&mut again), Poll::Pending);
    world.store.answer(3, Ok(()));
    assert_eq!(poll(&mut again), Poll::Ready(Ok(())));
}

// Origin: a holder that nobody asks, as the request that met it is gone.
// RFC: 8881 section 10.4.6.
#[test]
fn a_recall_does_not_wait_for_the_record_of_what_others_lost() {
    let world = World::new();
    let (now, first, second) = two_come(&world);
    let holder = world.client(4, now);
    let state = world.service.state();
    let file = FileKey { export: ExportId(1), node: NodeHandle::from_u64(2) };
    let request = DelegationRequest {
        kind: DelegationType::Read,
        origin: None,
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::New,
    };
    let checked = (0, ShareAccess::READ);
    let given = state.want_delegation(now, holder.id(), &file, &OpenHold::new(()), checked, &request);
    given.unwrap().unwrap();
    // Something was taken from the silent client, which is not on record yet.
    let mut first = pin!(world.open(now, first, ShareDeny::empty()));
    assert_eq!(poll(&mut first), Poll::Pending);
    {
        let caller = Caller { client: Some(second), now };
        let change = || state.begin_change(caller, &file, RecallReason::Names);
        let mut changed = pin!(world.service.use_state::<_, Status>(now, change));
        assert!(poll(&mut changed).is_pending());
    }
    assert!(matches!(world.service.callbacks.outbox.try_next(), Some(Callback::Recall(_))));
}

/// Origin: the simulation, in which a client lost its opens with a delegation that it did not return. RFC: 7530 sections 9.6.3 and 10.4.6.
#[rstest]
#[case::with_its_lease_all(1, 0)]
#[case::after_a_recall_the_delegation(3, 1)]
fn a_client_of_minor_version_0_loses(#[case] seconds_after: u64, #[case] opens: usize) {
    let world = World::new();
    let client = world.client_of(Protocol::V4_0, 1, START);
    let other = world.client(2, START).id();
    assert_eq!(poll(&mut pin!(world.open(START, client.id(), ShareDeny::empty()))), Poll::Ready(Ok(())));
    let state = world.service.state();
    let file = FileKey { export: ExportId(1), node: NodeHandle::from_u64(2) };
    let request = DelegationRequest {
        kind: DelegationType::Read,
        origin: None,
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::New,
    };
    let checked = (0, ShareAccess::READ);
    let given = state.want_delegation(START, client.id(), &file, &OpenHold::new(()), checked, &request);
    given.unwrap().unwrap();
    let change = |now| state.begin_change(Caller { client: Some(other), now }, &file, RecallReason::Names);
    // Without another request the lease is over a moment before the time that there is to return it.
    let recalled = change(START + Duration::from_secs(2)).map(drop);
    let Err(Refused::Recalled(recalled, _)) = recalled else { panic!("not recalled") };
    world.service.carry_out(recalled);
    let now = START + LEASE + Duration::from_secs(seconds_after);
    if opens > 0 {
        // It has its lease, and returns nothing all the same.
        client.renew(now);
    }
    let mut changed = pin!(world.service.use_state::<_, Status>(now, || change(now)));
    assert!(matches!(poll(&mut changed), Poll::Ready(Ok(_))));
    let held = state.held(client.id());
    assert_eq!((held.opens, held.delegations), (opens, 0));
}
