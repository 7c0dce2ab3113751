use std::time::Duration;

use foldhash::HashMap;

use super::{ClientKey, ReclaimRecord};
use crate::clock::Timestamp;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Where a grace period is. The rest of the word counts reclaims that are running.
const PHASE: u64 = 0b11;
const OVER: u64 = 0;
/// Reclaims are let in, all else is not.
const IN_FORCE: u64 = 1;
/// Nothing is let in: the reclaims that are running are the last.
const ENDING: u64 = 2;
const ONE_RECLAIM: u64 = 4;
/// How long the next reclaim is waited for. A client that begins late is not cut off in the middle of its list.
const PER_RECLAIM: Duration = Duration::from_secs(5);

/// What a client that was confirmed is to a grace period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It held state before the restart and may reclaim it.
    MayReclaim,
    /// It is a new incarnation of one that held state, which is void: there is nothing to wait for.
    StartsAnew,
    /// It has nothing to reclaim: it held nothing, or all is reclaimed, or it is another user under the same name.
    Nothing,
}

/// How far a grace period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraceCounts {
    /// Clients that held state when the server went down.
    pub entitled: usize,
    /// Those of them that have nothing left to reclaim.
    pub completed: usize,
}

/// The grace period of one start of the server (RFC 8881 section 8.4.2.1).
///
/// In force from the start if anybody has something to reclaim, until it [ends](Self::end). It does not end by itself: who asks
/// whether it [is due](Self::is_due) has to record the end before.
#[derive(Debug)]
pub struct Grace {
    /// Phase and running reclaims in one word, so that no reclaim is running when the phase becomes [`OVER`].
    state: AtomicU64,
    /// In nanoseconds.
    ends: AtomicU64,
    /// It ends by then, whatever clients do.
    latest: Timestamp,
    entitled: usize,
    /// Who is still waited for.
    waiting: Mutex<HashMap<ClientKey, ReclaimRecord>>,
}

impl Grace {
    /// A grace period for these clients, `period` long: at least the lease of the instance before (RFC 8881 section
    /// 8.4.2.1). While clients reclaim at its end it goes on, but not beyond [twice](Self::longest) as long.
    pub fn new(now: Timestamp, period: Duration, clients: Vec<ReclaimRecord>) -> Self {
        let waiting: HashMap<_, _> = clients.into_iter().map(|record| (record.key.clone(), record)).collect();
        let phase = if waiting.is_empty() { OVER } else { IN_FORCE };
        Self {
            state: AtomicU64::new(phase),
            ends: AtomicU64::new((now + period).as_nanos()),
            latest: now + Self::longest(period),
            entitled: waiting.len(),
            waiting: Mutex::new(waiting),
        }
    }

    /// How long one lasts at most of which `period` is asked.
    pub const fn longest(period: Duration) -> Duration {
        period.saturating_mul(2)
    }

    /// None, for a server that keeps no record: nobody may reclaim anything (RFC 8881 section 8.4.3, strategy 1).
    pub fn none() -> Self {
        Self::new(Timestamp::default(), Duration::ZERO, Vec::new())
    }

    /// Whether all but reclaims has to wait. One atomic load.
    #[inline]
    pub fn is_in_force(&self) -> bool {
        self.state.load(Ordering::Acquire) & PHASE != OVER
    }

    /// What a client that is confirmed now may do. A client that starts anew is not waited for from now on.
    pub fn standing(&self, client: &ReclaimRecord) -> Standing {
        if !self.is_in_force() {
            return Standing::Nothing;
        }
        let mut waiting = self.waiting.lock();
        match waiting.get(&client.key) {
            Some(record) if record == client => Standing::MayReclaim,
            Some(record) if record.user == client.user => {
                waiting.remove(&client.key);
                Standing::StartsAnew
            }
            _ => Standing::Nothing,
        }
    }

    /// The client has nothing left to reclaim: RECLAIM_COMPLETE, or it is gone.
    pub fn completed(&self, client: &ClientKey) {
        if self.is_in_force() {
            self.waiting.lock().remove(client);
        }
    }

    /// Whether it is to end: its time is over, or nobody is left to wait for. A client of minor version 0 never says that it
    /// is done, so that with one of those the whole time is waited.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.is_in_force() && (now >= self.ends() || self.waiting.lock().is_empty())
    }

    /// Whether a client under this name may reclaim and has not said that it is done.
    pub fn awaits(&self, client: &ClientKey) -> bool {
        self.is_in_force() && self.waiting.lock().contains_key(client)
    }

    fn ends(&self) -> Timestamp {
        Timestamp::from_nanos(self.ends.load(Ordering::Acquire))
    }

    /// Lets a reclaim in, which must be over when the permit is dropped; `None` if it comes too late. Everything else has to
    /// wait for the reclaims that were let in, so that none of them finds that another client was given the same meanwhile.
    pub fn begin_reclaim(&self, now: Timestamp) -> Option<Reclaiming<'_>> {
        let let_in = |state| (state & PHASE == IN_FORCE).then_some(state + ONE_RECLAIM);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, let_in).ok()?;
        Some(Reclaiming { grace: self, since: now })
    }

    /// Ends it, as soon as the last running reclaim is over. That it ends has to be
    /// [recorded](super::StateEvent::GraceEnded) before.
    pub fn end(&self) {
        self.change(|state| if state & PHASE == IN_FORCE { state - IN_FORCE + ENDING } else { state });
        self.waiting.lock().clear();
    }

    /// How long it will last, if nobody reclaims at its end.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        if self.is_in_force() { self.ends().since(now) } else { Duration::ZERO }
    }

    /// How many are waited for, and how many were.
    pub fn counts(&self) -> GraceCounts {
        let waiting = self.waiting.lock().len();
        GraceCounts { entitled: self.entitled, completed: self.entitled.saturating_sub(waiting) }
    }

    /// Changes the word; an end with no reclaim running is over at once.
    fn change(&self, change: impl Fn(u64) -> u64) {
        let with_end = |state| Some(if change(state) == ENDING { OVER } else { change(state) });
        let changed = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, with_end);
        debug_assert!(changed.is_ok(), "every state can change");
    }
}

/// A reclaim that was let in.
#[derive(Debug)]
#[must_use = "the reclaim is over when this is dropped"]
pub struct Reclaiming<'a> {
    grace: &'a Grace,
    since: Timestamp,
}

impl Reclaiming<'_> {
    /// It was granted: there may be more to come.
    pub fn granted(self) {
        let ends = (self.since + PER_RECLAIM).min(self.grace.latest);
        self.grace.ends.fetch_max(ends.as_nanos(), Ordering::AcqRel);
    }
}

impl Drop for Reclaiming<'_> {
    fn drop(&mut self) {
        self.grace.change(|state| state.saturating_sub(ONE_RECLAIM));
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

    const PERIOD: Duration = Duration::from_secs(90);
    const START: Timestamp = Timestamp::from_nanos(5);

    fn user(uid: u32) -> UserId {
        UserId { flavor: AuthFlavor::Sys, uid }
    }

    fn record_of(protocol: Protocol, owner: &'static str) -> ReclaimRecord {
        let key = ClientKey { protocol, owner: Bytes::from_static(owner.as_bytes()) };
        ReclaimRecord { key, verifier: [1; 8], user: user(0) }
    }

    fn record(owner: &'static str) -> ReclaimRecord {
        record_of(Protocol::Sessions, owner)
    }

    fn grace(owners: &[&'static str]) -> Grace {
        Grace::new(START, PERIOD, owners.iter().map(|owner| record(owner)).collect())
    }

    // Origin: who may reclaim. RFC: 8881 sections 8.4.2.1 and 8.4.2.1.1.
    #[rstest]
    #[case::same(record("a"), Standing::MayReclaim)]
    #[case::never_seen(record("b"), Standing::Nothing)]
    #[case::new_incarnation(ReclaimRecord { verifier: [2; 8], ..record("a") }, Standing::StartsAnew)]
    #[case::another_user(ReclaimRecord { user: user(1), ..record("a") }, Standing::Nothing)]
    #[case::another_user_and_incarnation(ReclaimRecord { user: user(1), verifier: [2; 8], ..record("a") }, Standing::Nothing)]
    #[case::another_protocol(record_of(Protocol::V4_0, "a"), Standing::Nothing)]
    fn standing(#[case] client: ReclaimRecord, #[case] expected: Standing) {
        let grace = grace(&["a"]);
        assert_eq!(grace.standing(&client), expected);
        // Who starts anew is not waited for; an impostor does not take the place of the one who is.
        assert_eq!(grace.is_due(START), expected == Standing::StartsAnew);
    }

    #[derive(Clone, Copy)]
    enum Step {
        Complete(&'static str),
        Restart(&'static str),
        Wait(Duration),
        /// One that is granted, and one that is not.
        Reclaim,
        ReclaimInVain,
        ForceEnd,
    }
    use Step::*;
    const SECOND: Duration = Duration::from_secs(1);
    const ALMOST: Duration = Duration::from_secs(89);

    // Origin: when the grace period ends. RFC: 8881 section 8.4.2.1, 7530 section 9.6.2.
    #[rstest]
    #[case::nobody_to_reclaim(&[], &[], &[], true)]
    #[case::somebody(&["a"], &[], &[], false)]
    #[case::never_comes_back(&["a"], &[], &[Wait(ALMOST)], false)]
    #[case::never_comes_back_in_time(&["a"], &[], &[Wait(PERIOD)], true)]
    #[case::complete(&["a"], &[], &[Complete("a")], true)]
    #[case::one_of_two(&["a", "b"], &[], &[Complete("a")], false)]
    #[case::both(&["a", "b"], &[], &[Complete("a"), Complete("b")], true)]
    #[case::twice_the_same(&["a", "b"], &[], &[Complete("a"), Complete("a")], false)]
    #[case::a_stranger(&["a"], &[], &[Complete("c")], false)]
    #[case::one_complete_and_one_starts_anew(&["a", "b"], &[], &[Complete("a"), Restart("b")], true)]
    #[case::v4_0_keeps_it_to_its_end(&["a"], &["old"], &[Complete("a"), Wait(ALMOST)], false)]
    #[case::v4_0_and_its_end(&["a"], &["old"], &[Complete("a"), Wait(PERIOD)], true)]
    #[case::forced(&["a"], &["old"], &[ForceEnd], true)]
    #[case::an_early_reclaim_changes_nothing(&["a"], &[], &[Reclaim, Wait(PERIOD)], true)]
    #[case::a_late_reclaim(&["a"], &[], &[Wait(ALMOST), Reclaim, Wait(SECOND)], false)]
    #[case::a_late_reclaim_and_no_more(&["a"], &[], &[Wait(ALMOST), Reclaim, Wait(PER_RECLAIM)], true)]
    #[case::two_late_reclaims(&["a"], &[], &[Wait(ALMOST), Reclaim, Wait(SECOND), Reclaim, Wait(PER_RECLAIM.saturating_sub(SECOND))], false)]
    #[case::a_late_reclaim_in_vain(&["a"], &[], &[Wait(ALMOST), ReclaimInVain, Wait(SECOND)], true)]
    #[case::a_late_reclaim_and_complete(&["a"], &[], &[Wait(ALMOST), Reclaim, Complete("a")], true)]
    #[case::not_for_ever(&["a"], &[], &[Wait(ALMOST), Wait(ALMOST), Reclaim, Wait(SECOND), Wait(SECOND)], true)]
    fn end(
        #[case] sessions: &[&'static str],
        #[case] v4_0: &[&'static str],
        #[case] steps: &[Step],
        #[case] ends: bool,
    ) {
        let clients = sessions.iter().map(|owner| record(owner));
        let clients = clients.chain(v4_0.iter().map(|owner| record_of(Protocol::V4_0, owner)));
        let grace = Grace::new(START, PERIOD, clients.collect());
        let mut now = START;
        for step in steps {
            match step {
                Complete(owner) => grace.completed(&record(owner).key),
                Restart(owner) => {
                    let anew = ReclaimRecord { verifier: [9; 8], ..record(owner) };
                    assert_eq!(grace.standing(&anew), Standing::StartsAnew);
                }
                Wait(time) => now = now + *time,
                Reclaim => grace.begin_reclaim(now).unwrap().granted(),
                ReclaimInVain => drop(grace.begin_reclaim(now).unwrap()),
                ForceEnd => grace.end(),
            }
        }
        if grace.is_due(now) {
            grace.end();
        }
        assert_eq!(!grace.is_in_force(), ends);
        assert_eq!(grace.begin_reclaim(now).is_none(), ends);
        assert_eq!(grace.remaining(now).is_zero(), ends);
    }

    #[test]
    fn counts() {
        let grace = grace(&["a", "b", "c"]);
        assert_eq!(grace.counts(), GraceCounts { entitled: 3, completed: 0 });
        grace.completed(&record("b").key);
        assert_eq!(grace.counts(), GraceCounts { entitled: 3, completed: 1 });
        grace.end();
        assert_eq!(grace.counts(), GraceCounts { entitled: 3, completed: 3 });
    }

    #[test]
    fn who_is_complete_has_nothing_more_to_reclaim() {
        let grace = grace(&["a", "b"]);
        grace.completed(&record("a").key);
        assert_eq!(grace.standing(&record("a")), Standing::Nothing);
        assert_eq!(grace.standing(&record("b")), Standing::MayReclaim);
        grace.end();
        assert_eq!(grace.standing(&record("b")), Standing::Nothing);
    }

    #[test]
    fn a_running_reclaim_holds_the_end_up() {
        let grace = grace(&["a"]);
        let (first, second) = (grace.begin_reclaim(START), grace.begin_reclaim(START));
        assert!(first.is_some() && second.is_some());
        grace.end();
        assert!(grace.is_in_force(), "others wait for the reclaims");
        assert!(grace.begin_reclaim(START).is_none(), "no more reclaims");
        drop(first);
        grace.end();
        assert!(grace.is_in_force());
        drop(second);
        assert!(!grace.is_in_force());
        assert!(grace.begin_reclaim(START).is_none());
    }
}
