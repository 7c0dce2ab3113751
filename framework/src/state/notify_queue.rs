//! Changes of a directory that one holder of a delegation is still to be told (RFC 8881 section 20.4).

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::proto::{Notify4, NotifyType};

/// How changes of directories are told to the clients that asked to be told, with CB_NOTIFY.
#[derive(Debug, Clone)]
pub struct NotifyLimits {
    /// How long a change waits for others to be told along with it: the attributes dir_notif_delay and dirent_notif_delay.
    pub delay: Duration,
    /// The longest that a change of attributes waits, though the client asked for longer.
    pub attr_delay_max: Duration,
    /// Changes that wait to be told to one client about one directory. One more, and it is asked to return the delegation.
    pub queued: usize,
    /// Bytes of these, likewise.
    pub queued_bytes: usize,
    /// Bytes of the changes in one CB_NOTIFY, if the client takes that many.
    pub batch_bytes: usize,
    /// CB_NOTIFYs under way at a time, to all clients.
    pub in_flight: usize,
    /// CB_NOTIFYs under way at a time to one client, so that one that does not answer keeps nobody else waiting.
    pub in_flight_per_client: usize,
    /// Changes behind the server's back that wait to be looked at. If there are more, all delegations of the export are recalled.
    pub upcalls: usize,
}

impl Default for NotifyLimits {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(50),
            attr_delay_max: Duration::from_secs(30),
            queued: 1_024,
            queued_bytes: 256 << 10,
            batch_bytes: 32 << 10,
            in_flight: 64,
            in_flight_per_client: 4,
            upcalls: 10_000,
        }
    }
}

/// A change that cannot be told: the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueFull;

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// Nothing: no change is waiting, it is not time yet, or the batch before has not arrived.
    Nothing,
    /// These changes, in this order. The next batch waits until they have arrived.
    Changes(Vec<Notify4>),
    /// The first change is too long for a CB_NOTIFY.
    TooBig,
}

/// The changes that wait, in the order in which they were made. No two batches are under way at a time, so that they arrive in that order
/// ("it SHOULD send a sequence of serial CB_COMPOUND requests").
#[derive(Debug, Default)]
pub(super) struct NotifyQueue {
    waiting: VecDeque<Notify4>,
    bytes: usize,
    /// When the first of them are to be told.
    due: Option<Timestamp>,
    /// A batch is under way.
    is_sending: bool,
}

impl NotifyQueue {
    /// Adds a change, to be told at `due` at the latest. Of changes of the directory's attributes in a row the last one says all.
    pub(super) fn push(
        &mut self,
        change: Notify4,
        due: Timestamp,
        limits: &NotifyLimits,
    ) -> Result<(), QueueFull> {
        if self.waiting.back().is_some_and(|last| is_superseded(last, &change))
            && let Some(last) = self.waiting.pop_back()
        {
            self.bytes -= size_of(&last);
        }
        let size = size_of(&change);
        if self.waiting.len() >= limits.queued || self.bytes + size > limits.queued_bytes {
            return Err(QueueFull);
        }
        self.bytes += size;
        self.waiting.push_back(change);
        self.due = Some(self.due.map_or(due, |first| first.min(due)));
        Ok(())
    }

    /// When there will be something to tell; `None` while there is nothing, or a batch is under way.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due.filter(|_| !self.is_sending)
    }

    /// Takes what is to be told now, up to so many bytes. Once something is due, all goes that there is room for.
    pub(super) fn take(&mut self, now: Timestamp, room: usize) -> Batch {
        if self.due().is_none_or(|due| due > now) {
            return Batch::Nothing;
        }
        let (mut left, mut changes) = (room, Vec::new());
        while let Some(rest) = self.waiting.front().and_then(|change| left.checked_sub(size_of(change))) {
            left = rest;
            changes.extend(self.waiting.pop_front());
        }
        if changes.is_empty() {
            return Batch::TooBig;
        }
        self.bytes -= room - left;
        // What found no room stays due.
        self.due = self.due.filter(|_| !self.waiting.is_empty());
        self.is_sending = true;
        Batch::Changes(changes)
    }

    /// The batch that was taken has arrived.
    pub(super) fn arrived(&mut self) {
        self.is_sending = false;
    }

    /// Whether all has been told.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_sending
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn is_consistent(&self) -> bool {
        self.bytes == self.waiting.iter().map(size_of).sum::<usize>()
            && self.due.is_some() != self.waiting.is_empty()
    }
}

/// Whether the second of two changes in a row says all that the first does.
fn is_superseded(first: &Notify4, second: &Notify4) -> bool {
    let is_of_dir = |change: &Notify4| change.mask.iter().eq([NotifyType::ChangeDirAttrs.bit()]);
    is_of_dir(first) && is_of_dir(second)
}

/// Bytes on the wire: mask of one word, values with their length.
fn size_of(change: &Notify4) -> usize {
    8 + 4 + change.vals.len().next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::attr::Bitmap;
    use crate::xdr::{Opaque, encode_to_bytes};

    const ADD: NotifyType = NotifyType::AddEntry;
    const DIR: NotifyType = NotifyType::ChangeDirAttrs;
    const DELAY: Duration = Duration::from_millis(50);

    fn change(kind: NotifyType, number: u8, len: usize) -> Notify4 {
        Notify4 { mask: Bitmap::of(&[kind.bit()]), vals: Opaque(vec![number; len].into()) }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::default() + Duration::from_millis(ms)
    }

    fn limits() -> NotifyLimits {
        NotifyLimits { queued: 4, queued_bytes: 200, ..NotifyLimits::default() }
    }

    /// What the numbers of the changes in a batch are.
    fn numbers(batch: &Batch) -> Vec<u8> {
        let Batch::Changes(changes) = batch else { panic!("{batch:?}") };
        changes.iter().map(|change| change.vals[0]).collect()
    }

    // Origin: what the queue counts must be what is sent.
    // RFC: 4506 section 4.10.
    #[rstest]
    #[case::empty(0)]
    #[case::padded(5)]
    #[case::whole_words(8)]
    fn the_size_is_that_on_the_wire(#[case] len: usize) {
        let change = change(ADD, 1, len);
        assert_eq!(size_of(&change), encode_to_bytes(&change).len());
    }

    // Origin: batching within a delay.
    // RFC: 8881 section 20.4.3.
    #[test]
    fn changes_wait_for_the_delay_and_go_together() {
        let mut queue = NotifyQueue::default();
        queue.push(change(ADD, 1, 4), at(50), &limits()).unwrap();
        queue.push(change(ADD, 2, 4), at(90), &limits()).unwrap();
        assert_eq!(queue.due(), Some(at(50)));
        assert_eq!(queue.take(at(49), 1000), Batch::Nothing);
        assert_eq!(numbers(&queue.take(at(50), 1000)), [1, 2]);
        assert_eq!(queue.due(), None);
    }

    #[test]
    fn a_batch_waits_until_the_one_before_has_arrived() {
        let mut queue = NotifyQueue::default();
        queue.push(change(ADD, 1, 4), at(0), &limits()).unwrap();
        assert_eq!(numbers(&queue.take(at(0), 1000)), [1]);
        queue.push(change(ADD, 2, 4), at(1), &limits()).unwrap();
        assert_eq!((queue.due(), queue.take(at(100), 1000)), (None, Batch::Nothing));
        queue.arrived();
        assert_eq!(queue.due(), Some(at(1)));
        assert_eq!(numbers(&queue.take(at(100), 1000)), [2]);
    }

    #[test]
    fn what_finds_no_room_goes_with_the_next_batch() {
        let mut queue = NotifyQueue::default();
        for number in 1..=3 {
            queue.push(change(ADD, number, 4), at(0), &limits()).unwrap();
        }
        assert_eq!(numbers(&queue.take(at(0), 2 * 16)), [1, 2]);
        queue.arrived();
        assert_eq!(numbers(&queue.take(at(0), 2 * 16)), [3]);
        queue.arrived();
        assert!(queue.is_idle());
    }

    #[test]
    fn a_change_that_is_too_long_is_said_so() {
        let mut queue = NotifyQueue::default();
        queue.push(change(ADD, 1, 40), at(0), &limits()).unwrap();
        assert_eq!(queue.take(at(0), 51), Batch::TooBig);
    }

    #[rstest]
    #[case::number(4, 4)]
    #[case::bytes(3, 52)]
    fn a_full_queue_takes_no_more(#[case] fits: u8, #[case] len: usize) {
        let mut queue = NotifyQueue::default();
        for number in 0..fits {
            assert_eq!(queue.push(change(ADD, number, len), at(0), &limits()), Ok(()));
        }
        assert_eq!(queue.push(change(ADD, fits, len), at(0), &limits()), Err(QueueFull));
    }

    #[test]
    fn only_the_last_attributes_of_the_directory_are_told() {
        let mut queue = NotifyQueue::default();
        for number in 1..=9 {
            queue.push(change(DIR, number, 4), at(50), &limits()).unwrap();
        }
        queue.push(change(ADD, 10, 4), at(50), &limits()).unwrap();
        queue.push(change(DIR, 11, 4), at(50), &limits()).unwrap();
        assert_eq!(numbers(&queue.take(at(50), 1000)), [9, 10, 11]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(usize),
        Wait(u64),
        Take(usize),
        Arrived,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1usize..60).prop_map(Step::Push),
            2 => (0u64..80).prop_map(Step::Wait),
            3 => (72usize..200).prop_map(Step::Take),
            2 => Just(Step::Arrived),
        ]
    }

    proptest! {
        // Origin: whatever is queued is told once, in order, within the delay unless the client is slow.
        // RFC: 8881 section 20.4.3.
        #[test]
        fn all_is_told_once_and_in_order(steps in prop::collection::vec(step(), 1..200)) {
            let (mut queue, mut now) = (NotifyQueue::default(), at(0));
            let (mut queued, mut told, mut next) = (Vec::new(), Vec::new(), 0u8);
            let mut take = |queue: &mut NotifyQueue, now, room| {
                if let batch @ Batch::Changes(_) = queue.take(now, room) {
                    told.extend(numbers(&batch));
                }
            };
            for step in steps {
                match step {
                    Step::Push(len) => {
                        if queue.push(change(ADD, next, len), now + DELAY, &limits()).is_ok() {
                            queued.push(next);
                        }
                        next = next.wrapping_add(1);
                    }
                    Step::Wait(ms) => now = now + Duration::from_millis(ms),
                    Step::Take(room) => take(&mut queue, now, room),
                    Step::Arrived => queue.arrived(),
                }
                prop_assert!(queue.is_consistent());
            }
            while !queue.is_idle() {
                queue.arrived();
                take(&mut queue, now + DELAY, 72);
            }
            prop_assert_eq!(queued, told);
        }
    }
}
