use foldhash::HashMap;

use super::{ClientKey, ReclaimRecord, Recovered, StateEvent};

/// What the events of a [`StateStore`](super::StateStore) amount to: a pure fold, the same for every store.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    epoch: u32,
    /// The record, and the epoch in which the client was last known to hold state.
    entries: HashMap<ClientKey, (ReclaimRecord, u32)>,
}

impl Ledger {
    /// The latest epoch; zero before the first.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Begins the next epoch: the one after the latest, but not below `floor`. With a floor that grows by itself, such as the
    /// seconds since 1970, a store that was lost does not bring back an epoch that clients still hold stateids of.
    pub fn begin(&mut self, floor: u32) -> Recovered {
        self.begun(self.epoch.saturating_add(1).max(floor));
        self.recovered()
    }

    /// Takes note of an epoch that was begun.
    pub fn begun(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Takes note of an event of the latest epoch.
    pub fn apply(&mut self, event: &StateEvent) {
        match event {
            StateEvent::Holds(record) => self.restore(record.clone(), self.epoch),
            StateEvent::Forgotten(key) => {
                self.entries.remove(key);
            }
            StateEvent::GraceEnded => self.entries.retain(|_, (_, since)| *since == self.epoch),
        }
    }

    /// Puts an entry of a [snapshot](Self::snapshot) back.
    pub fn restore(&mut self, record: ReclaimRecord, epoch: u32) {
        self.entries.insert(record.key.clone(), (record, epoch));
    }

    /// All entries with the epoch of each. With [`epoch`](Self::epoch) it is all that the events up to now amount to.
    pub fn snapshot(&self) -> impl ExactSizeIterator<Item = (&ReclaimRecord, u32)> {
        self.entries.values().map(|(record, epoch)| (record, *epoch))
    }

    /// What a server that starts in the latest epoch has to know.
    pub fn recovered(&self) -> Recovered {
        let mut clients: Vec<_> = self.entries.values().map(|(record, _)| record.clone()).collect();
        clients.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Recovered { boot_epoch: self.epoch, clients }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rstest::rstest;

    use super::*;
    use crate::client::Protocol;
    use crate::client::UserId;
    use crate::rpc::AuthFlavor;

    #[derive(Clone, Copy)]
    enum Step {
        Boot,
        Holds(&'static str),
        /// As another incarnation.
        HoldsAnew(&'static str),
        Forgotten(&'static str),
        GraceEnded,
    }
    use Step::*;

    fn key(owner: &'static str) -> ClientKey {
        ClientKey { protocol: Protocol::Sessions, owner: Bytes::from_static(owner.as_bytes()) }
    }

    fn record(owner: &'static str, incarnation: u8) -> ReclaimRecord {
        let user = UserId { flavor: AuthFlavor::Sys, uid: 7 };
        ReclaimRecord { key: key(owner), verifier: [incarnation; 8], user }
    }

    fn play(steps: &[Step]) -> Recovered {
        let mut ledger = Ledger::default();
        for step in steps {
            match step {
                Boot => drop(ledger.begin(0)),
                Holds(owner) => ledger.apply(&StateEvent::Holds(record(owner, 1))),
                HoldsAnew(owner) => ledger.apply(&StateEvent::Holds(record(owner, 2))),
                Forgotten(owner) => ledger.apply(&StateEvent::Forgotten(key(owner))),
                GraceEnded => ledger.apply(&StateEvent::GraceEnded),
            }
        }
        ledger.begin(0)
    }

    // Origin: who is left after the last boot of a history. RFC: 8881 section 8.4.3, 7530 section 9.6.3.4.
    #[rstest]
    #[case::nobody(&[Boot], &[])]
    #[case::one_that_holds(&[Boot, Holds("a")], &["a"])]
    #[case::one_that_went(&[Boot, Holds("a"), Forgotten("a")], &[])]
    #[case::one_that_went_and_came_back(&[Boot, Holds("a"), Forgotten("a"), Holds("a")], &["a"])]
    #[case::one_of_two(&[Boot, Holds("a"), Holds("b"), Forgotten("b")], &["a"])]
    #[case::two_boots_in_a_row(&[Boot, Holds("a"), Boot, Boot], &["a"])]
    #[case::reclaimed_in_part_before_the_second_boot(&[Boot, Holds("a"), Holds("b"), Boot, Holds("a"), Boot], &["a", "b"])]
    #[case::first_edge_condition_something_was_revoked(&[Boot, Holds("a"), Forgotten("a"), Holds("b"), Forgotten("b")], &[])]
    #[case::second_edge_condition_not_reclaimed_in_time(&[Boot, Holds("a"), Boot, GraceEnded, Holds("b"), Forgotten("b")], &[])]
    #[case::never_came_back_over_two_boots(&[Boot, Holds("a"), Boot, Boot, GraceEnded], &[])]
    #[case::reclaimed_before_the_end(&[Boot, Holds("a"), Holds("b"), Boot, Holds("a"), GraceEnded], &["a"])]
    #[case::new_after_the_end(&[Boot, Holds("a"), Boot, GraceEnded, Holds("b")], &["b"])]
    #[case::an_end_without_anybody_to_wait_for(&[Boot, Holds("a"), GraceEnded], &["a"])]
    #[case::an_end_that_is_recorded_twice(&[Boot, Holds("a"), Boot, Holds("a"), GraceEnded, Holds("b"), GraceEnded], &["a", "b"])]
    fn who_may_reclaim(#[case] history: &[Step], #[case] expected: &[&'static str]) {
        let left: Vec<_> = play(history).clients.into_iter().map(|record| record.key).collect();
        assert_eq!(left, expected.iter().map(|owner| key(owner)).collect::<Vec<_>>());
    }

    #[test]
    fn the_latest_incarnation_counts() {
        assert_eq!(play(&[Boot, Holds("a"), HoldsAnew("a")]).clients, [record("a", 2)]);
        assert_eq!(play(&[Boot, Holds("a"), Boot, HoldsAnew("a"), GraceEnded]).clients, [record("a", 2)]);
    }

    // Origin: the boot epoch, which a clock that stands still or goes back must not bring back.
    #[rstest]
    #[case::no_clock(&[0, 0, 0], &[1, 2, 3])]
    #[case::a_clock(&[100, 200, 300], &[100, 200, 300])]
    #[case::quicker_than_the_clock(&[100, 100, 101], &[100, 101, 102])]
    #[case::a_clock_set_back(&[100, 5, 7], &[100, 101, 102])]
    fn epochs_grow(#[case] floors: &[u32], #[case] expected: &[u32]) {
        let mut ledger = Ledger::default();
        let epochs: Vec<_> = floors.iter().map(|floor| ledger.begin(*floor).boot_epoch).collect();
        assert_eq!(epochs, expected);
    }

    #[test]
    fn a_snapshot_is_all_there_is() {
        let mut ledger = Ledger::default();
        ledger.begin(0);
        ledger.apply(&StateEvent::Holds(record("a", 1)));
        ledger.begin(0);
        ledger.apply(&StateEvent::Holds(record("b", 1)));
        let mut copy = Ledger::default();
        copy.begun(ledger.epoch());
        ledger.snapshot().for_each(|(record, epoch)| copy.restore(record.clone(), epoch));
        for ledger in [&mut ledger, &mut copy] {
            ledger.apply(&StateEvent::GraceEnded);
        }
        assert_eq!(copy.recovered(), ledger.recovered());
        assert_eq!(copy.recovered().clients, [record("b", 1)]);
    }
}
