//! Origin: the cases that the RFC enumerates.
//! RFC: 7530 sections 16.33.5 (SETCLIENTID), 16.34.5 (SETCLIENTID_CONFIRM), 16.28 (RENEW), 9.1.1, 9.1.2 and 9.6.3.2.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use crate::callback::{CallbackCredential, Destination};
use crate::client::{ClientIds, GoneReason, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    ClientAddr4, ClientId, NFS4_OK, NFS4ERR_CLID_INUSE, NFS4ERR_DELAY, NFS4ERR_EXPIRED,
    NFS4ERR_STALE_CLIENTID, NfsClientId4, Status, Verifier4,
};
use crate::rpc::AuthFlavor;
use crate::v4_0::{Callback, ClientTable, InUse, SetClientid};
use crate::xdr::Opaque;

const LEASE: Duration = Duration::from_secs(90);

struct World {
    table: ClientTable,
    now: Timestamp,
    /// What each SETCLIENTID was answered, in order.
    given: Vec<(ClientId, Verifier4)>,
    holding: Vec<ClientId>,
    gone: Vec<(ClientId, GoneReason)>,
    confirmed: Vec<ClientId>,
}

/// A step, and what is to come of it. Numbers of answers stand for those of earlier SETCLIENTIDs.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// By a user, of an incarnation of the client "x"; whether the client ID is that of an earlier answer.
    Set(u32, u64, Option<usize>),
    /// A SETCLIENTID that is refused.
    SetRefused(u32, u64),
    /// By a user, of an answer.
    Confirm(u32, usize, Status),
    /// The client ID of one answer with the verifier of another.
    ConfirmMixed(usize, usize, Status),
    Renew(usize, Status),
    /// The client of an answer opens something.
    Holds(usize),
    /// Time passes, in tenths of a lease.
    Pass(u32),
    Cancel(usize),
    Reap,
    /// The clients that are gone since the last look.
    Gone(&'static [(usize, GoneReason)]),
    /// How many IDs there are.
    Known(usize),
}

fn callback(addr: ClientAddr4, ident: u32) -> Callback {
    let to = Destination { addr: None, program: 0x4000_0000, ident, credential: CallbackCredential::None };
    Callback { addr, to }
}

impl World {
    fn new(limit: usize) -> Self {
        let ids = Arc::new(ClientIds::new(7));
        let table = ClientTable::new(ids, limit, LEASE, [3; 16]);
        Self {
            table,
            now: Timestamp::from_nanos(1),
            given: vec![],
            holding: vec![],
            gone: vec![],
            confirmed: vec![],
        }
    }

    fn set(&mut self, uid: u32, name: &[u8], incarnation: u64) -> Result<(ClientId, Verifier4), InUse> {
        let client = NfsClientId4 { verifier: incarnation.to_be_bytes(), id: name.into() };
        let addr = ClientAddr4 { netid: "tcp".into(), addr: "192.0.2.1.8.1".into() };
        let callback = callback(addr, u32::try_from(self.given.len()).unwrap());
        let request = SetClientid { client: &client, callback, user: user(uid) };
        let set = self.table.set_clientid(self.now, request, &|id| self.holding.contains(&id));
        set.map(|(id, confirm, departures)| {
            self.gone.extend(departures.clients.iter().map(|gone| (gone.client.id(), gone.reason)));
            (id, confirm)
        })
    }

    fn confirm(&mut self, uid: u32, id: ClientId, confirm: Verifier4) -> Status {
        let confirmed = std::cell::RefCell::new(vec![]);
        let done = self.table.confirm(
            self.now,
            id,
            confirm,
            user(uid),
            &|id| self.holding.contains(&id),
            &|client| confirmed.borrow_mut().push(client.id()),
        );
        self.confirmed.extend(confirmed.into_inner());
        match done {
            Ok(departures) => {
                self.gone.extend(departures.clients.iter().map(|gone| (gone.client.id(), gone.reason)));
                NFS4_OK
            }
            Err(status) => status,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Set(uid, incarnation, same_as) => {
                let given = self.set(uid, b"x", incarnation).expect("an answer");
                assert!(self.given.iter().all(|(_, confirm)| *confirm != given.1), "s is never given twice");
                assert_ne!(given.1, [0; 8]);
                let same = self.given.iter().position(|(id, _)| *id == given.0);
                assert_eq!(same, same_as, "which client ID");
                self.given.push(given);
            }
            Step::SetRefused(uid, incarnation) => {
                let refused = self.set(uid, b"x", incarnation).expect_err("a refusal");
                let InUse::By(addr) = refused else { panic!("{refused:?}") };
                assert_eq!(&*addr.netid, b"tcp");
            }
            Step::Confirm(uid, which, want) => {
                let (id, confirm) = self.given[which];
                assert_eq!(self.confirm(uid, id, confirm), want);
            }
            Step::ConfirmMixed(id, confirm, want) => {
                let (id, confirm) = (self.given[id].0, self.given[confirm].1);
                assert_eq!(self.confirm(1, id, confirm), want);
            }
            Step::Renew(which, want) => {
                let renewed = self.table.renew(self.now, self.given[which].0);
                assert_eq!(renewed.map_or_else(|status| status, |_| NFS4_OK), want);
            }
            Step::Holds(which) => self.holding.push(self.given[which].0),
            Step::Pass(tenths) => self.now = self.now + LEASE / 10 * tenths,
            Step::Cancel(which) => assert!(self.table.cancel(self.given[which].0)),
            Step::Reap => {
                let departures = self.table.reap(self.now, &|id| self.holding.contains(&id));
                self.gone.extend(departures.clients.iter().map(|gone| (gone.client.id(), gone.reason)));
            }
            Step::Gone(want) => {
                let want: Vec<_> =
                    want.iter().map(|(which, reason)| (self.given[*which].0, *reason)).collect();
                assert_eq!(std::mem::take(&mut self.gone), want);
            }
            Step::Known(want) => assert_eq!(self.table.len(), want),
        }
        self.table.check_invariants();
    }
}

fn user(uid: u32) -> UserId {
    UserId { flavor: AuthFlavor::Sys, uid }
}

use Step::{Cancel, Confirm, ConfirmMixed, Gone, Holds, Known, Pass, Reap, Renew, Set, SetRefused};

#[rstest]
#[case::new_client(&[Set(1, 1, None), Known(1), Confirm(1, 0, NFS4_OK), Renew(0, NFS4_OK), Gone(&[])])]
#[case::callback_update(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Set(1, 1, Some(0)), Known(1), Renew(0, NFS4_OK),
    Confirm(1, 1, NFS4_OK), Renew(0, NFS4_OK), Gone(&[]), Known(1),
])]
#[case::callback_update_replaced(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 1, Some(0)), Set(1, 1, Some(0)),
    Confirm(1, 1, NFS4ERR_STALE_CLIENTID), Confirm(1, 2, NFS4_OK), Gone(&[]),
])]
#[case::old_confirmation_during_update(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 1, Some(0)), Confirm(1, 0, NFS4_OK), Confirm(1, 1, NFS4_OK),
])]
#[case::restart(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Set(1, 2, None), Known(2), Renew(0, NFS4_OK), Gone(&[]),
    Confirm(1, 1, NFS4_OK), Gone(&[(0, GoneReason::Restarted)]), Known(1), Renew(0, NFS4ERR_STALE_CLIENTID),
    Renew(1, NFS4_OK),
])]
#[case::restart_twice_before_confirming(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 2, None), Set(1, 3, None), Known(2),
    Confirm(1, 1, NFS4ERR_STALE_CLIENTID), Confirm(1, 2, NFS4_OK), Gone(&[(0, GoneReason::Restarted)]),
])]
#[case::same_again_before_confirming(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 2, None), Set(1, 2, None),
    Confirm(1, 1, NFS4ERR_STALE_CLIENTID), Confirm(1, 2, NFS4_OK),
])]
#[case::never_confirmed(&[
    Set(1, 1, None), Set(1, 1, None), Known(1), Confirm(1, 0, NFS4ERR_STALE_CLIENTID), Confirm(1, 1, NFS4_OK),
])]
#[case::unconfirmed_is_of_no_use(&[Set(1, 1, None), Renew(0, NFS4ERR_STALE_CLIENTID)])]
#[case::confirmed_again(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Confirm(1, 0, NFS4_OK), Gone(&[]), Renew(0, NFS4_OK),
])]
#[case::confirmed_again_by_another(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Confirm(2, 0, NFS4ERR_CLID_INUSE), Renew(0, NFS4_OK),
])]
#[case::confirmed_by_another(&[
    Set(1, 1, None), Confirm(2, 0, NFS4ERR_CLID_INUSE), Confirm(1, 0, NFS4_OK),
])]
#[case::update_confirmed_by_another(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 1, Some(0)), Confirm(2, 1, NFS4ERR_CLID_INUSE),
    Confirm(1, 1, NFS4_OK),
])]
#[case::wrong_verifier(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(1, 2, None), ConfirmMixed(1, 0, NFS4ERR_STALE_CLIENTID),
    ConfirmMixed(0, 1, NFS4ERR_STALE_CLIENTID),
])]
#[case::in_use(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), SetRefused(2, 1), SetRefused(2, 2), Renew(0, NFS4_OK),
])]
#[case::not_in_use_without_state(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(2, 1, None), Renew(0, NFS4_OK), Confirm(2, 1, NFS4_OK),
    Gone(&[(0, GoneReason::Supplanted)]),
])]
#[case::not_in_use_after_the_lease(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Pass(11), Set(2, 1, None), Confirm(2, 1, NFS4_OK),
    Gone(&[(0, GoneReason::Supplanted)]),
])]
#[case::in_use_again_before_the_confirmation(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Set(2, 1, None), Holds(0), Confirm(2, 1, NFS4ERR_CLID_INUSE),
    Gone(&[]), Renew(0, NFS4_OK),
])]
#[case::unconfirmed_goes_after_two_leases(&[
    Set(1, 1, None), Pass(20), Reap, Known(1), Pass(1), Reap, Known(0), Gone(&[]),
    Confirm(1, 0, NFS4ERR_STALE_CLIENTID),
])]
#[case::unconfirmed_update_goes_alone(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Set(1, 1, Some(0)), Pass(21), Reap, Known(1), Gone(&[]),
    Confirm(1, 1, NFS4ERR_STALE_CLIENTID), Renew(0, NFS4_OK),
])]
#[case::idle_goes_after_the_lease(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Pass(10), Reap, Known(1), Pass(1), Reap, Known(0),
    Gone(&[(0, GoneReason::Expired)]), Renew(0, NFS4ERR_STALE_CLIENTID),
])]
#[case::courtesy(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Pass(500), Reap, Known(1), Renew(0, NFS4_OK), Gone(&[]),
])]
#[case::renewed_in_time(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Pass(9), Renew(0, NFS4_OK), Pass(9), Reap, Renew(0, NFS4_OK),
])]
#[case::set_clientid_renews_nothing(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Pass(9), Set(1, 1, Some(0)), Confirm(1, 1, NFS4_OK), Pass(2), Reap,
    Gone(&[(0, GoneReason::Expired)]),
])]
#[case::canceled(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Holds(0), Pass(11), Cancel(0), Renew(0, NFS4ERR_EXPIRED), Reap,
    Renew(0, NFS4ERR_EXPIRED), Set(1, 1, None), Renew(0, NFS4ERR_EXPIRED), Confirm(1, 1, NFS4_OK),
    Gone(&[(0, GoneReason::Expired)]), Renew(0, NFS4ERR_STALE_CLIENTID), Renew(1, NFS4_OK),
])]
#[case::canceled_and_forgotten(&[
    Set(1, 1, None), Confirm(1, 0, NFS4_OK), Cancel(0), Pass(100), Reap, Known(1), Pass(1), Reap, Known(0),
    Gone(&[(0, GoneReason::Expired)]),
])]
fn clients_come_and_go(#[case] steps: &[Step]) {
    let mut world = World::new(16);
    for step in steps {
        world.step(*step);
    }
}

#[test]
fn client_is_made_known_once() {
    let mut world = World::new(16);
    for step in [
        Set(1, 1, None),
        Confirm(1, 0, NFS4_OK),
        Confirm(1, 0, NFS4_OK),
        Set(1, 1, Some(0)),
        Confirm(1, 1, NFS4_OK),
    ] {
        world.step(step);
    }
    assert_eq!(world.confirmed, [world.given[0].0]);
    assert_eq!(world.table.callback(world.given[0].0).map(|callback| callback.to.ident), Some(1));
}

/// A client must not keep alive the whole request in which it sent its name and its address.
#[test]
fn what_a_client_said_is_copied() {
    let mut world = World::new(16);
    let request = bytes::Bytes::from(vec![b'x'; 1000]);
    let client = NfsClientId4 { verifier: [1; 8], id: Opaque(request.slice(0..10)) };
    let addr = ClientAddr4 { netid: Opaque(request.slice(20..23)), addr: Opaque(request.slice(30..40)) };
    let callback = callback(addr.clone(), 1);
    let request_of = SetClientid { client: &client, callback, user: user(1) };
    let (id, confirm, _) = world.table.set_clientid(world.now, request_of, &|_| false).expect("room");
    assert_eq!(world.confirm(1, id, confirm), NFS4_OK);
    let kept = world.table.callback(id).expect("a client").addr;
    assert_eq!(kept, addr);
    drop((client, addr));
    assert!(request.try_into_mut().is_ok(), "nobody else has the request");
}

#[test]
fn table_is_bounded() {
    let mut world = World::new(2);
    let confirmed = |world: &mut World, name: &[u8]| {
        let (id, confirm) = world.set(1, name, 1).expect("room");
        assert_eq!(world.confirm(1, id, confirm), NFS4_OK);
    };
    confirmed(&mut world, b"a");
    let (oldest, confirm) = world.set(1, b"b", 1).expect("room");
    assert!(world.set(1, b"c", 1).is_ok(), "the oldest that nobody confirmed gives way");
    assert_eq!(world.confirm(1, oldest, confirm), NFS4ERR_STALE_CLIENTID);
    world.table.check_invariants();
    confirmed(&mut world, b"d");
    assert_eq!(world.set(1, b"e", 1), Err(InUse::Status(NFS4ERR_DELAY)), "none is left to give way");
    assert!(world.set(1, b"d", 1).is_ok(), "an update of the callback needs no room");
    assert_eq!(world.set(1, b"e", 1), Err(InUse::Status(NFS4ERR_DELAY)), "and gives none");
    world.table.check_invariants();
    world.step(Known(2));
}

#[test]
fn full_table_makes_room_by_who_is_silent() {
    let mut world = World::new(2);
    for name in [b"a", b"b"] {
        let (id, confirm) = world.set(1, name, 1).expect("room");
        assert_eq!(world.confirm(1, id, confirm), NFS4_OK);
        world.holding.push(id);
        world.step(Pass(6));
    }
    let given = world.set(1, b"c", 1).expect("room");
    assert_eq!(world.gone, [(world.confirmed[0], GoneReason::Evicted)]);
    assert_eq!(world.confirm(1, given.0, given.1), NFS4_OK);
    world.step(Known(2));
}
