//! Origin: how many slots a session has, follows how many it uses and how many are left.
//! RFC: 8881 section 2.10.6.1 (target and enforced highest_slotid).

use std::time::Duration;

use super::world::*;
use crate::client::GoneReason;
use crate::proto::*;
use crate::session::*;

const WINDOW: Duration = Duration::from_secs(10);

fn limits() -> SessionLimits {
    SessionLimits { slots_initial: 8, slots_per_session: 40, slot_window: WINDOW, ..SessionLimits::default() }
}

/// A client that uses its slots as Linux does: it keeps numbers per slot, and forgets those of slots that the server no
/// longer has.
struct Client<'a> {
    world: &'a World,
    session: SessionId,
    sequenceids: Vec<u32>,
    highest: u32,
    target: u32,
}

impl<'a> Client<'a> {
    fn new(world: &'a World, name: &str, slots: u32) -> Self {
        let session = world.session(name, slots);
        let highest = session.fore_channel.max_requests - 1;
        Self { world, session: session.sessionid, sequenceids: Vec::new(), highest, target: highest }
    }

    /// One request on a slot, while slots up to `in_use` are in use.
    fn run(&mut self, slotid: u32, in_use: u32) {
        let index = slotid as usize;
        if self.sequenceids.len() <= index {
            self.sequenceids.resize(index + 1, 0);
        }
        self.sequenceids[index] += 1;
        let args = Sequence4Args {
            highest_slotid: in_use,
            ..sequence_args(self.session, slotid, self.sequenceids[index])
        };
        let reply = self.world.run(&args);
        assert!(reply.target_highest_slotid <= reply.highest_slotid);
        (self.highest, self.target) = (reply.highest_slotid, reply.target_highest_slotid);
        self.sequenceids.truncate(self.highest as usize + 1);
    }

    /// Uses every slot that it is given, until it is given no more.
    fn saturate(&mut self) {
        loop {
            let before = self.target;
            (0..=before).for_each(|slotid| self.run(slotid, before));
            if self.target == before {
                return;
            }
        }
    }

    /// Two requests a window, for `windows` windows.
    fn idle(&mut self, windows: u32) {
        for _ in 0..windows {
            self.world.clock.advance(WINDOW);
            self.run(0, 0);
            self.run(0, 0);
        }
    }
}

#[test]
fn a_busy_session_grows_to_its_limit() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 64);
    assert_eq!(client.highest, 7, "it begins small");
    client.saturate();
    assert_eq!((client.highest, client.target), (39, 39));
}

#[test]
fn one_slot_below_the_highest_asks_for_nothing() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    (0..7).for_each(|slotid| client.run(slotid, 6));
    assert_eq!((client.highest, client.target), (7, 7));
}

#[test]
fn an_idle_session_shrinks_to_what_it_began_with() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    let in_use = world.core.budget.in_use();
    client.idle(1);
    assert_eq!(client.highest, 39, "the window before was busy");
    world.clock.advance(WINDOW);
    client.run(0, 0);
    assert_eq!((client.highest, client.target), (39, 7), "it is told");
    client.run(0, 0);
    assert_eq!((client.highest, client.target), (7, 7), "and has let go");
    assert_eq!(world.core.budget.in_use(), in_use - 32, "others may have them");
    client.idle(3);
    assert_eq!(client.highest, 7);
}

#[test]
fn slots_are_kept_until_the_client_was_told_and_lets_go() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    client.idle(1);
    world.clock.advance(WINDOW);
    client.run(0, 0);
    assert_eq!((client.highest, client.target), (39, 7));
    // Slot 1 was last answered before the target changed: its request may have been sent before the client knew.
    client.run(1, 1);
    assert_eq!(client.highest, 39);
    // It knows, but still has a request above the target.
    client.run(0, 20);
    assert_eq!(client.highest, 39);
    client.run(1, 1);
    assert_eq!(client.highest, 7);
}

#[test]
fn a_request_that_runs_keeps_its_slot_and_those_below() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    let args = sequence_args(client.session, 20, client.sequenceids[20] + 1);
    client.idle(1);
    let running = new(world.admit(&args, &Ask::default()));
    client.idle(2);
    // A client that says nothing of its own request is at fault, and still loses nothing.
    client.run(0, 0);
    assert_eq!((client.highest, client.target), (20, 7));
    finish(running, NFS4_OK, b"");
    replayed(world.admit(&args, &Ask::default()));
    client.run(0, 0);
    assert_eq!(client.highest, 7);
}

#[test]
fn a_retired_slot_is_gone_and_begins_anew() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    let last = sequence_args(client.session, 30, client.sequenceids[30]);
    client.idle(3);
    assert_eq!(refused(world.admit(&last, &Ask::default())), NFS4ERR_BADSLOT);
    let late =
        Sequence4Args { highest_slotid: 30, ..sequence_args(client.session, 0, client.sequenceids[0] + 1) };
    client.sequenceids[0] += 1;
    finish(new(world.admit(&late, &Ask::default())), NFS4_OK, b"a request that was under way");
    // The client has dropped the slots, and starts with 1.
    client.saturate();
    assert_eq!(client.highest, 39);
}

#[test]
fn a_client_that_kept_the_numbers_of_a_retired_slot_goes_on_with_them() {
    let world = World::with_limits(limits());
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    let kept = client.sequenceids.clone();
    client.idle(3);
    (0..8).for_each(|slotid| client.run(slotid, 7));
    assert!(client.highest > 8);
    let args = sequence_args(client.session, 8, kept[8] + 1);
    finish(new(world.admit(&args, &Ask::default())), NFS4_OK, b"");
    assert_eq!(refused(world.sequence(client.session, 8, 1)), NFS4ERR_SEQ_MISORDERED);
}

#[test]
fn sessions_share_the_slots_there_are() {
    let world = World::with_limits(SessionLimits { slots_total: 24, ..limits() });
    let mut one = Client::new(&world, "one", 8);
    one.saturate();
    assert_eq!(one.highest, 20, "all but an eighth");
    let two = Client::new(&world, "two", 8);
    assert_eq!(two.highest, 0, "one of those that are kept for new sessions");
    let mut two = two;
    two.saturate();
    assert_eq!(two.highest, 0);
    // Slots are short: an idle session goes below what it began with.
    one.idle(3);
    assert_eq!(one.highest, 3);
    two.saturate();
    assert_eq!(two.highest, 16);
}

/// RFC 8881 section 20.8: a client that says nothing is asked for what it has too much of, once, when others are in need.
#[test]
fn slots_are_asked_back_when_they_are_short() {
    let world = World::with_limits(SessionLimits { slots_total: 24, ..limits() });
    let recalled = || {
        let recalled = world.core.recall_slots(world.now());
        recalled.into_iter().map(|(session, target)| (session.id(), target)).collect::<Vec<_>>()
    };
    let mut client = Client::new(&world, "client", 8);
    assert_eq!(recalled(), [], "there are enough");
    client.saturate();
    assert_eq!(recalled(), [], "it uses them");
    for _ in 0..2 {
        world.clock.advance(WINDOW);
        assert_eq!(client.highest, 20);
    }
    world.core.recall_slots(world.now());
    world.clock.advance(WINDOW);
    assert_eq!(recalled(), [(client.session, 3)]);
    assert_eq!(recalled(), [], "once");
    // It was not told in the slot that it uses, and has not answered yet.
    client.run(7, 3);
    assert_eq!((client.highest, client.target), (20, 3));
    client.run(6, 3);
    assert_eq!(client.highest, 20);
    let session = world.core.session(&client.session).unwrap();
    session.told_target(3);
    client.run(5, 3);
    assert_eq!(client.highest, 20, "the slot itself is above the target");
    client.run(2, 3);
    assert_eq!((client.highest, client.target), (3, 3));
    assert_eq!(world.core.budget.in_use(), 4);
}

/// RFC 8881 section 18.36.4, phase 4.
#[test]
fn without_a_slot_there_is_no_session() {
    let world = World::with_limits(SessionLimits { slots_total: 8, ..limits() });
    let first = world.session("client", 7).sessionid;
    let second = world.session("other", 1).sessionid;
    let [clientid, _] = world.confirmed.borrow()[..] else { panic!("two clients") };
    world.clock.advance(WINDOW);
    let late = world.unconfirmed("late", 1);
    let args = create_args(late, 1, 1);
    assert_eq!(world.create(&args, 1).unwrap_err(), NFS4ERR_NOSPC);
    // A new incarnation has the slots of the old one, once no request is running there.
    let restarted = world.unconfirmed("client", 2);
    let running = new(world.sequence(first, 0, 1));
    assert_eq!(world.create(&create_args(restarted, 1, 7), 1).unwrap_err(), NFS4ERR_DELAY);
    finish(running, NFS4_OK, b"");
    let (reply, gone) = world.create(&create_args(restarted, 1, 7), 1).unwrap();
    assert_eq!(gone, [(clientid, GoneReason::Restarted)]);
    assert_eq!((reply.fore_channel.max_requests, world.core.budget.in_use()), (6, 7));
    assert!(world.create(&args, 1).is_ok());
    // The client whose lease ran out longest ago gives way.
    world.clock.advance(LEASE + WINDOW);
    let last = world.unconfirmed("last", 1);
    let (_, gone) = world.create(&create_args(last, 1, 1), 1).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(refused(world.sequence(second, 0, 1)), NFS4ERR_BADSESSION);
}

#[test]
fn a_session_that_ends_gives_its_slots_back() {
    let world = World::with_limits(limits());
    let session = world.session("client", 8);
    assert_eq!(world.core.budget.in_use(), 8);
    world.core.destroy_session(session.sessionid, &world.connection, Within::Nothing).unwrap();
    assert_eq!(world.core.budget.in_use(), 0);
}

#[test]
fn the_window_can_be_configured() {
    let world = World::with_limits(SessionLimits { slot_window: WINDOW * 6, ..limits() });
    let mut client = Client::new(&world, "client", 8);
    client.saturate();
    client.idle(5);
    assert_eq!(client.highest, 39);
    client.idle(8);
    assert_eq!(client.highest, 7);
}
