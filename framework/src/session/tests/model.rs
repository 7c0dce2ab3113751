//! Origin: a random walk of clients that retry, go astray and lose requests, beside a model that keeps every reply.
//! RFC: 8881 sections 2.10.6.1 and 2.10.6.2.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::world::*;
use crate::proto::*;
use crate::session::*;

const SLOTS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A request `ahead` of the last on the slot, with one of three contents.
    Send {
        slotid: u32,
        ahead: i8,
        content: u8,
        cache_this: bool,
        uid: u32,
    },
    /// The running request of the slot ends.
    Finish {
        slotid: u32,
        len: usize,
    },
    /// It is lost.
    Lose {
        slotid: u32,
    },
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let slotid = 0..SLOTS + 1;
    let ahead = prop_oneof![6 => Just(1_i8), 4 => Just(0), 1 => -3..4_i8];
    prop_oneof![
        8 => (slotid.clone(), ahead, 0..3_u8, any::<bool>(), prop_oneof![9 => Just(1_u32), 1 => Just(2)]).prop_map(
            |(slotid, ahead, content, cache_this, uid)| Step::Send { slotid, ahead, content, cache_this, uid }
        ),
        6 => (slotid.clone(), 0..3000_usize).prop_map(|(slotid, len)| Step::Finish { slotid, len }),
        1 => slotid.prop_map(|slotid| Step::Lose { slotid }),
        1 => (0..700_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What the model knows of a slot.
#[derive(Default)]
struct Slot {
    sequenceid: u32,
    content: Option<(u8, u32)>,
    running: Option<Admitted>,
    /// The reply that a retry gets; `None` if only its status is known.
    reply: Option<Vec<u8>>,
}

fn expect(slot: &Slot, slotid: u32, sequenceid: u32, content: (u8, u32)) -> Result<bool, Status> {
    if slotid >= SLOTS {
        return Err(NFS4ERR_BADSLOT);
    }
    let is_last = sequenceid == slot.sequenceid;
    if slot.running.is_some() {
        return Err(if is_last { NFS4ERR_DELAY } else { NFS4ERR_SEQ_MISORDERED });
    }
    if sequenceid == slot.sequenceid.wrapping_add(1) {
        return Ok(true);
    }
    if !is_last || slot.content.is_none() {
        return Err(NFS4ERR_SEQ_MISORDERED);
    }
    if slot.content == Some(content) { Ok(false) } else { Err(NFS4ERR_SEQ_FALSE_RETRY) }
}

fn send(world: &World, session: SessionId, slots: &mut BTreeMap<u32, Slot>, step: &Step) {
    let Step::Send { slotid, ahead, content, cache_this, uid } = *step else { return };
    let slot = slots.entry(slotid).or_default();
    let sequenceid = slot.sequenceid.wrapping_add_signed(i32::from(ahead));
    let args = Sequence4Args { cache_this, ..sequence_args(session, slotid, sequenceid) };
    let operations = [0, 0, 0, 24, content];
    let ask = Ask { uid, operations: &operations, ..Ask::default() };
    let expected = expect(slot, slotid, sequenceid, (content, uid));
    match (world.admit(&args, &ask), expected) {
        (Admission::New(admitted), Ok(true)) => {
            assert_eq!(admitted.slot.cache_this(), cache_this);
            *slot = Slot { sequenceid, content: Some((content, uid)), running: Some(admitted), reply: None };
        }
        (Admission::Replay(reply), Ok(false)) => {
            let reply = reply.to_bytes();
            match &slot.reply {
                Some(known) => assert_eq!(reply, known),
                None => assert_eq!(reply[..4], NFS4ERR_RETRY_UNCACHED_REP.code().to_be_bytes()),
            }
        }
        (Admission::Refused(status), Err(expected)) => assert_eq!(status, expected),
        (admission, expected) => panic!("{step:?}: {admission:?}, expected {expected:?}"),
    }
}

fn take(world: &World, session: SessionId, slots: &mut BTreeMap<u32, Slot>, step: &Step) {
    match *step {
        Step::Send { .. } => send(world, session, slots, step),
        Step::Finish { slotid, len } => {
            let Some(slot) = slots.get_mut(&slotid) else { return };
            let Some(admitted) = slot.running.take() else { return };
            let is_kept = admitted.slot.cache_this();
            let reply = finish(admitted, NFS4_OK, &vec![5; len]);
            slot.reply = is_kept.then_some(reply);
        }
        Step::Lose { slotid } => {
            if let Some(slot) = slots.get_mut(&slotid) {
                slot.running = None;
            }
        }
        Step::Wait { ms } => {
            world.clock.advance(Duration::from_millis(ms));
            assert_eq!(world.reap(), []);
        }
    }
    world.core.check_invariants();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_follow_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        let limits = SessionLimits { slots_per_session: SLOTS, ..SessionLimits::default() };
        let world = World::with_limits(limits);
        let session = world.session("client", SLOTS).sessionid;
        let mut slots = BTreeMap::new();
        for step in &steps {
            take(&world, session, &mut slots, step);
        }
        drop(slots);
    }
}
