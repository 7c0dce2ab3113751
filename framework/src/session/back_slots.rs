//! The slots of a backchannel (RFC 8881 sections 2.10.6.1 and 20.9), of which the server is the requester.
//!
//! A slot whose reply did not come is *uncertain*: the client may have carried the callback out or never have seen it. The next one in
//! the slot is tried with the number after it, and if that is out of order, with the ones before, down to the first that is not
//! known to be used up.

use std::sync::Arc;

use super::Session;
use crate::proto::CbSequence4ResOk;

/// The slots.
#[derive(Debug)]
pub(super) struct BackSlots {
    slots: Vec<BackSlot>,
    /// Of those, how many the client wants used.
    usable: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct BackSlot {
    /// The number of the last callback that was answered.
    confirmed: u32,
    /// The number of the last callback that was sent.
    used: u32,
    is_in_use: bool,
}

/// What CB_SEQUENCE says of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackNumbers {
    pub(crate) slotid: u32,
    pub(crate) sequenceid: u32,
    pub(crate) highest_slotid: u32,
}

impl BackSlots {
    pub(super) fn new(slots: u32) -> Self {
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        Self { slots: vec![BackSlot::default(); slots], usable: slots }
    }

    /// The lowest free slot, with the number of its next callback.
    pub(super) fn take(&mut self) -> Option<BackNumbers> {
        let free = self.slots.iter().take(self.usable).position(|slot| !slot.is_in_use)?;
        let slot = self.slots.get_mut(free)?;
        slot.is_in_use = true;
        slot.used = slot.used.wrapping_add(1);
        let sequenceid = slot.used;
        let highest = self.slots.iter().rposition(|slot| slot.is_in_use)?;
        Some(BackNumbers {
            slotid: u32::try_from(free).ok()?,
            sequenceid,
            highest_slotid: u32::try_from(highest).ok()?,
        })
    }

    fn slot(&mut self, slotid: u32) -> Option<&mut BackSlot> {
        self.slots.get_mut(usize::try_from(slotid).ok()?)
    }

    /// The number before, if it is not known to be used up.
    fn step_back(&mut self, slotid: u32) -> Option<u32> {
        let slot = self.slot(slotid)?;
        let before = slot.used.wrapping_sub(1);
        if before == slot.confirmed {
            return None;
        }
        slot.used = before;
        Some(before)
    }

    /// The client answered: it has used up the number, and those before.
    fn settle(&mut self, slotid: u32) {
        if let Some(slot) = self.slot(slotid) {
            slot.confirmed = slot.used;
            slot.is_in_use = false;
        }
    }

    /// The callback was not sent, or the client did not take it: the number is free.
    fn give_back(&mut self, slotid: u32) {
        if let Some(slot) = self.slot(slotid) {
            slot.used = slot.used.wrapping_sub(1);
            slot.is_in_use = false;
        }
    }

    /// The answer did not come.
    fn abandon(&mut self, slotid: u32) {
        if let Some(slot) = self.slot(slotid) {
            slot.is_in_use = false;
        }
    }

    /// csr_highest_slotid and csr_target_highest_slotid: how many slots the client takes, and wants used. One at the least.
    fn limit(&mut self, reply: &CbSequence4ResOk) {
        let highest = reply.highest_slotid.min(reply.target_highest_slotid);
        let wanted = usize::try_from(highest).map_or(usize::MAX, |highest| highest.saturating_add(1));
        self.usable = wanted.min(self.slots.len());
    }

    /// The client does not have this slot any more.
    fn limit_below(&mut self, slotid: u32) {
        self.usable = usize::try_from(slotid).unwrap_or(usize::MAX).clamp(1, self.slots.len().max(1));
    }

    /// Invariant K6.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn check(&self) {
        assert!(self.usable <= self.slots.len(), "K6: more slots usable than there are");
        for slot in &self.slots {
            let unknown = slot.used.wrapping_sub(slot.confirmed);
            assert!(unknown < u32::MAX / 2, "K6: a number was used up that was never sent");
            assert!(!slot.is_in_use || unknown > 0, "K6: in use without a number");
        }
    }
}

/// Proof that a callback has a slot of a session's backchannel to itself.
///
/// Dropped without an answer, it leaves the slot uncertain.
#[derive(Debug)]
pub(crate) struct BackSlotGuard {
    session: Arc<Session>,
    numbers: BackNumbers,
    is_over: bool,
}

impl BackSlotGuard {
    pub(super) fn new(session: Arc<Session>, numbers: BackNumbers) -> Self {
        Self { session, numbers, is_over: false }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn numbers(&self) -> BackNumbers {
        self.numbers
    }

    /// The client answered.
    pub(crate) fn settle(mut self, reply: &CbSequence4ResOk) {
        self.end(|slots, slotid| {
            slots.settle(slotid);
            slots.limit(reply);
        });
    }

    /// The client has carried the callback out before, and has lost its answer.
    pub(crate) fn settle_unknown(mut self) {
        self.end(BackSlots::settle);
    }

    /// The callback did not use the number up.
    pub(crate) fn give_back(mut self) {
        self.end(BackSlots::give_back);
    }

    /// The client has no such slot.
    pub(crate) fn give_up_slot(mut self) {
        self.end(|slots, slotid| {
            slots.give_back(slotid);
            slots.limit_below(slotid);
        });
    }

    /// The number is out of order: the one before, if the client may not have seen the callback that had it.
    pub(crate) fn step_back(&mut self) -> bool {
        let slotid = self.numbers.slotid;
        match self.session.back().with_slots(|slots| slots.step_back(slotid)) {
            Some(sequenceid) => {
                self.numbers.sequenceid = sequenceid;
                true
            }
            None => false,
        }
    }

    fn end(&mut self, end: impl FnOnce(&mut BackSlots, u32)) {
        self.is_over = true;
        let slotid = self.numbers.slotid;
        self.session.back().with_slots(|slots| end(slots, slotid));
    }
}

impl Drop for BackSlotGuard {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(BackSlots::abandon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &mut BackSlots) -> (u32, u32, u32) {
        let taken = slots.take().unwrap();
        slots.check();
        (taken.slotid, taken.sequenceid, taken.highest_slotid)
    }

    fn answer(highest_slotid: u32, target_highest_slotid: u32) -> CbSequence4ResOk {
        let sessionid = crate::proto::SessionId([0; 16]);
        CbSequence4ResOk { sessionid, sequenceid: 1, slotid: 0, highest_slotid, target_highest_slotid }
    }

    // Origin: the requester's half of a slot. RFC: 8881 sections 2.10.6.1 and 20.9.3.
    #[test]
    fn numbers_go_up_one_by_one() {
        let mut slots = BackSlots::new(2);
        assert_eq!(take(&mut slots), (0, 1, 0));
        assert_eq!(take(&mut slots), (1, 1, 1));
        assert_eq!(slots.take(), None);
        slots.settle(0);
        assert_eq!(take(&mut slots), (0, 2, 1));
        slots.settle(1);
        slots.settle(0);
        assert_eq!(take(&mut slots), (0, 3, 0));
    }

    // Origin: a callback that was not sent, or that CB_SEQUENCE refused. RFC: 8881 section 20.9.3, "the state of the slot MUST NOT
    // change".
    #[test]
    fn a_number_that_was_not_used_is_used_next() {
        let mut slots = BackSlots::new(1);
        take(&mut slots);
        slots.give_back(0);
        assert_eq!(take(&mut slots), (0, 1, 0));
    }

    // Origin: callbacks whose answers were lost. RFC: 8881 section 20.9.3.
    #[test]
    fn an_uncertain_slot_tries_the_numbers_down_to_the_first_that_may_be_free() {
        let mut slots = BackSlots::new(1);
        take(&mut slots);
        slots.settle(0);
        for sequenceid in [2, 3] {
            assert_eq!(take(&mut slots), (0, sequenceid, 0));
            slots.abandon(0);
        }
        assert_eq!(take(&mut slots), (0, 4, 0));
        assert_eq!(slots.step_back(0), Some(3));
        assert_eq!(slots.step_back(0), Some(2));
        assert_eq!(slots.step_back(0), None, "1 was answered");
        slots.settle(0);
        assert_eq!(take(&mut slots), (0, 3, 0));
    }

    /// What becomes of a callback on its way.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Answered,
        AnswerLost,
        Lost,
        NotSent,
    }

    proptest::proptest! {
        // Origin: a client that keeps to the RFC, and a network that loses what it likes. RFC: 8881 section 20.9.3.
        #[test]
        fn every_callback_that_arrives_is_new_to_the_client(
            fates in proptest::collection::vec(
                proptest::sample::select(vec![Fate::Answered, Fate::AnswerLost, Fate::Lost, Fate::NotSent]),
                1..200,
            )
        ) {
            let mut slots = BackSlots::new(1);
            // The number of the last callback that the client has carried out.
            let mut last = 0_u32;
            for fate in fates {
                let (_, mut sequenceid, _) = take(&mut slots);
                if matches!(fate, Fate::Answered | Fate::AnswerLost) {
                    while sequenceid != last + 1 {
                        assert_ne!(sequenceid, last, "taken for a retry of another callback");
                        sequenceid = slots.step_back(0).expect("the next number is among those");
                    }
                    last = sequenceid;
                }
                match fate {
                    Fate::Answered => slots.settle(0),
                    Fate::AnswerLost | Fate::Lost => slots.abandon(0),
                    Fate::NotSent => slots.give_back(0),
                }
                slots.check();
            }
        }
    }

    // Origin: the client's wish for fewer slots. RFC: 8881 section 20.9.3.
    #[test]
    fn no_more_slots_are_used_than_the_client_wants() {
        let mut slots = BackSlots::new(4);
        slots.limit(&answer(3, 1));
        assert_eq!([take(&mut slots).0, take(&mut slots).0], [0, 1]);
        assert_eq!(slots.take(), None);
        slots.limit(&answer(9, 9));
        assert_eq!([take(&mut slots).0, take(&mut slots).0], [2, 3]);
        assert_eq!(slots.take(), None, "no more than negotiated");
        slots.limit_below(0);
        slots.settle(0);
        assert_eq!(take(&mut slots).0, 0, "one is always there");
    }

    // Origin: a slot that has seen very many callbacks. RFC: 8881 section 20.9.3, "accounting for wraparound".
    #[test]
    fn numbers_wrap_to_zero() {
        let mut slots = BackSlots::new(1);
        slots.slots[0] = BackSlot { confirmed: u32::MAX, used: u32::MAX, is_in_use: false };
        assert_eq!(take(&mut slots), (0, 0, 0));
        slots.abandon(0);
        assert_eq!(take(&mut slots), (0, 1, 0));
        assert_eq!(slots.step_back(0), Some(0));
        assert_eq!(slots.step_back(0), None);
    }
}
