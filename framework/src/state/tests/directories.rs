//! Directory delegations: which change recalls one, and who is told of which.
//!
//! Origin: the rules of RFC 8881 section 10.9. RFC: 8881 sections 10.9, 18.39, 20.4.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use smallvec::smallvec;

use super::*;
use crate::attr::{Bitmap, FATTR4_MODE, FATTR4_OWNER};
use crate::proto::{Notify4, NotifyType};
use crate::state::file::FileInner;
use crate::xdr::Opaque;

const ENTRIES: &[NotifyType] = &[NotifyType::AddEntry, NotifyType::RemoveEntry, NotifyType::RenameEntry];
const MODE: Bitmap = Bitmap::of(&[FATTR4_MODE]);
const DELAY_MS: u64 = 50;

fn types(types: &[NotifyType]) -> Bitmap {
    types.iter().fold(Bitmap::EMPTY, |all, kind| all.with(kind.bit()))
}

fn terms(told: &[NotifyType]) -> DirTerms {
    DirTerms {
        types: types(told),
        child_attributes: Bitmap::EMPTY,
        dir_attributes: MODE,
        dir_delay: Duration::ZERO,
    }
}

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::default() + Duration::from_millis(ms)
}

/// A change as it is sent, with a number in it.
fn change(number: u8) -> Notify4 {
    Notify4 { mask: types(&[NotifyType::AddEntry]), vals: Opaque(vec![number].into()) }
}

fn told(wants: &[DirWants], number: u8) -> Vec<DirTold> {
    wants.iter().map(|wants| DirTold { wants: *wants, changes: Some(smallvec![change(number)]) }).collect()
}

impl World {
    fn watch(&self, client: ClientId, terms: DirTerms) -> Result<Stateid, WhyNot> {
        let request = DelegationRequest {
            kind: DelegationType::Directory,
            origin: None,
            timestamps: Timestamps::Server,
            open: BesideOpen::Always,
            claim: DelegationClaim::New,
        };
        let now = Timestamp::default();
        let granted = self.table.delegate_directory(now, client, &file(1), USER, &request, terms);
        self.check();
        granted.expect("a client").map(|granted| granted.stateid)
    }

    /// Whether a change can begin at once.
    fn may_change(&self, by: Option<ClientId>, event: DirEvent) -> bool {
        let caller = Caller { client: by, now: Timestamp::default() };
        let began = self.table.begin_dir_change(caller, &file(1), event);
        self.check();
        match began {
            Ok(_) => true,
            Err(Refused::Recalled(..)) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Makes a change that everybody can be told of. Returns who was recalled.
    fn changed(&self, ms: u64, by: Option<ClientId>, event: DirEvent, number: u8) -> Vec<ClientId> {
        let wants = self.table.dir_wants(&file(1));
        let limits = NotifyLimits { queued: 3, ..NotifyLimits::default() };
        let effects = self.table.dir_changed(at_ms(ms), by, &file(1), event, &told(&wants, number), &limits);
        self.check();
        effects.recalls.iter().map(|recall| recall.client.id()).collect()
    }

    fn take(&self, ms: u64, room: usize) -> Option<Result<DirNotice, Effects>> {
        let take = |due| self.table.take_notice(at_ms(ms), due, room);
        std::iter::from_fn(|| self.table.next_due_notice(at_ms(ms))).find_map(take)
    }

    /// What is to be sent now: to whom, and the numbers.
    fn notices(&self, ms: u64) -> Vec<(ClientId, Stateid, Vec<u8>)> {
        let next = || Some(self.take(ms, 1000)?.expect("nothing too long"));
        let numbers = |notice: &DirNotice| notice.changes.iter().map(|change| change.vals[0]).collect();
        let all = std::iter::from_fn(next);
        let all = all.map(|notice| (notice.client.id(), notice.stateid, numbers(&notice))).collect();
        self.check();
        all
    }
}

#[rstest]
#[case::add_told(&[NotifyType::AddEntry], DirEvent::Add, true)]
#[case::add_not_told(&[NotifyType::RemoveEntry], DirEvent::Add, false)]
#[case::remove_told(&[NotifyType::RemoveEntry], DirEvent::Remove, true)]
#[case::remove_not_told(&[NotifyType::AddEntry], DirEvent::Remove, false)]
#[case::rename_told(&[NotifyType::RenameEntry], DirEvent::Rename, true)]
#[case::rename_not_told(&[NotifyType::AddEntry, NotifyType::RemoveEntry], DirEvent::Rename, false)]
#[case::attributes_told(&[NotifyType::ChangeDirAttrs], DirEvent::Attributes(MODE), true)]
#[case::attributes_not_told(ENTRIES, DirEvent::Attributes(MODE), false)]
#[case::other_attributes(&[NotifyType::ChangeDirAttrs], DirEvent::Attributes(MODE.with(FATTR4_OWNER)), false)]
#[case::removal_of_the_directory(&NotifyType::ALL, DirEvent::Other, false)]
fn who_is_not_told_of_a_change_returns_the_delegation_first(
    #[case] of: &[NotifyType],
    #[case] event: DirEvent,
    #[case] is_told: bool,
) {
    let world = World::new();
    let stateid = world.watch(ALICE, terms(of)).expect("a delegation");
    assert!(world.may_change(Some(ALICE), event), "the holder is not in its own way");
    assert_eq!(world.may_change(Some(BOB), event), is_told);
    assert_eq!(world.may_change(None, event), is_told, "everybody is, if it is not known who asks");
    if !is_told {
        world.table.return_delegation(caller(ALICE), &stateid, &file(1)).expect("returned").run();
        assert!(world.may_change(Some(BOB), event));
    }
}

#[test]
fn whoever_was_recalled_is_told_nothing_more_and_waited_for() {
    let world = World::new();
    let stateid = world.watch(ALICE, terms(ENTRIES)).expect("a delegation");
    world.changed(0, None, DirEvent::Add, 1);
    assert!(!world.may_change(Some(BOB), DirEvent::Attributes(MODE)));
    assert!(!world.may_change(Some(BOB), DirEvent::Add));
    assert_eq!(world.notices(DELAY_MS), []);
    world.table.return_delegation(caller(ALICE), &stateid, &file(1)).expect("returned").run();
    assert!(world.may_change(Some(BOB), DirEvent::Add));
    world.check();
}

#[test]
fn nobody_is_given_a_delegation_of_a_directory_that_is_being_changed() {
    let world = World::new();
    let changing =
        world.table.begin_dir_change(caller(BOB), &file(1), DirEvent::Add).expect("no delegations");
    assert_eq!(world.watch(ALICE, terms(&[])), Err(WhyNot::Contention));
    drop(changing);
    world.watch(ALICE, terms(&[])).expect("a delegation");
    assert_eq!(world.watch(ALICE, terms(&[])), Err(WhyNot::HoldsRead));
}

#[rstest]
#[case::entries_by_another(Some(BOB), DirEvent::Add, true)]
#[case::entries_by_the_holder(Some(ALICE), DirEvent::Add, true)]
#[case::entries_by_nobody(None, DirEvent::Add, true)]
#[case::attributes_by_another(Some(BOB), DirEvent::Attributes(MODE), true)]
#[case::attributes_by_the_holder(Some(ALICE), DirEvent::Attributes(MODE), false)]
fn a_change_is_told_after_the_delay(
    #[case] by: Option<ClientId>,
    #[case] event: DirEvent,
    #[case] is_told: bool,
) {
    let world = World::new();
    let stateid = world.watch(ALICE, terms(&NotifyType::ALL)).expect("a delegation");
    assert_eq!(world.changed(0, by, event, 1), []);
    assert_eq!(world.table.next_notice_due(), is_told.then(|| at_ms(DELAY_MS)));
    assert_eq!(world.notices(DELAY_MS - 1), []);
    let expected = if is_told { vec![(ALICE, stateid, vec![1])] } else { vec![] };
    assert_eq!(world.notices(DELAY_MS), expected);
}

#[test]
fn the_next_changes_wait_until_the_first_have_arrived() {
    let world = World::new();
    let stateid = world.watch(ALICE, terms(ENTRIES)).expect("a delegation");
    world.changed(0, Some(BOB), DirEvent::Add, 1);
    assert_eq!(world.notices(50), [(ALICE, stateid, vec![1])]);
    world.changed(60, Some(BOB), DirEvent::Remove, 2);
    assert_eq!(world.notices(500), []);
    world.table.notice_arrived(&stateid);
    assert_eq!(world.notices(500), [(ALICE, stateid, vec![2])]);
}

#[test]
fn what_cannot_be_queued_is_recalled_for() {
    let world = World::new();
    world.watch(ALICE, terms(ENTRIES)).expect("a delegation");
    for number in 0..3 {
        assert_eq!(world.changed(0, Some(BOB), DirEvent::Add, number), []);
    }
    assert_eq!(world.changed(0, Some(BOB), DirEvent::Add, 3), [ALICE]);
    assert_eq!(world.notices(DELAY_MS), []);
}

#[test]
fn what_cannot_be_found_out_is_recalled_for() {
    let world = World::new();
    world.watch(ALICE, terms(ENTRIES)).expect("a delegation");
    let unknown: Vec<_> = world
        .table
        .dir_wants(&file(1))
        .iter()
        .map(|wants| DirTold { wants: *wants, changes: None })
        .collect();
    let limits = NotifyLimits::default();
    let effects = world.table.dir_changed(at_ms(0), None, &file(1), DirEvent::Remove, &unknown, &limits);
    assert_eq!(effects.recalls.len(), 1);
}

#[test]
fn what_is_too_long_is_recalled_for() {
    let world = World::new();
    world.watch(ALICE, terms(ENTRIES)).expect("a delegation");
    world.changed(0, None, DirEvent::Add, 1);
    let recalled = world.take(DELAY_MS, 8).expect("something").expect_err("no room");
    assert_eq!(recalled.recalls.len(), 1);
}

#[test]
fn a_directory_that_goes_is_recalled_from_who_removes_it_too() {
    let world = World::new();
    world.watch(ALICE, terms(&NotifyType::ALL)).expect("a delegation");
    assert_eq!(world.changed(0, Some(ALICE), DirEvent::Other, 1), [ALICE]);
}

/// What may happen, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Watch(ClientId, &'static [NotifyType]),
    Change(Option<ClientId>, DirEvent),
    Wait(u64),
    /// All that is due is sent, and arrives or not.
    Send(bool),
    Return(ClientId),
}

fn step() -> impl Strategy<Value = Step> {
    let client = prop_oneof![Just(ALICE), Just(BOB)];
    let by = prop_oneof![Just(None), Just(Some(ALICE)), Just(Some(BOB))];
    let event = prop_oneof![
        3 => Just(DirEvent::Add),
        3 => Just(DirEvent::Remove),
        2 => Just(DirEvent::Rename),
        1 => Just(DirEvent::Attributes(MODE)),
    ];
    let told = prop_oneof![
        3 => Just(ENTRIES),
        1 => Just(&[NotifyType::AddEntry][..]),
        1 => Just(&[][..]),
    ];
    prop_oneof![
        2 => (client.clone(), told).prop_map(|(client, told)| Step::Watch(client, told)),
        6 => (by, event).prop_map(|(by, event)| Step::Change(by, event)),
        2 => (0u64..80).prop_map(Step::Wait),
        3 => prop::bool::weighted(0.9).prop_map(Step::Send),
        1 => client.prop_map(Step::Return),
    ]
}

/// What a holder has to have learned, as long as it is not asked for the delegation.
struct Holder {
    stateid: Stateid,
    told: &'static [NotifyType],
    is_recalled: bool,
    happened: Vec<u8>,
    learned: Vec<u8>,
}

struct Model {
    world: World,
    ms: u64,
    next: u8,
    holders: BTreeMap<ClientId, Holder>,
}

impl Model {
    fn run(&mut self, step: Step) {
        match step {
            Step::Watch(client, told) => {
                if let Ok(stateid) = self.world.watch(client, terms(told)) {
                    let (happened, learned) = (Vec::new(), Vec::new());
                    let holder = Holder { stateid, told, is_recalled: false, happened, learned };
                    assert!(self.holders.insert(client, holder).is_none(), "it has one");
                }
            }
            Step::Change(by, event) => self.change(by, event),
            Step::Wait(ms) => self.ms += ms,
            Step::Send(arrives) => self.send(arrives),
            Step::Return(client) => {
                if let Some(holder) = self.holders.remove(&client) {
                    let table = &self.world.table;
                    table.return_delegation(caller(client), &holder.stateid, &file(1)).expect("held").run();
                }
            }
        }
    }

    fn change(&mut self, by: Option<ClientId>, event: DirEvent) {
        // Behind the server's back nobody is waited for.
        if let Some(client) = by {
            let table = self.world.table.clone();
            match table.begin_dir_change(caller(client), &file(1), event) {
                Ok(_) => {}
                Err(Refused::Recalled(effects, _)) => {
                    return effects.recalls.iter().for_each(|recall| self.recalled(recall.client.id()));
                }
                Err(other) => panic!("{other:?}"),
            }
            let others = self.holders.iter().filter(|(holder, _)| **holder != client);
            assert!(others.into_iter().all(|(_, holder)| !holder.is_recalled && covers(holder.told, event)));
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let recalled = self.world.changed(self.ms, by, event, number);
        for (client, holder) in &mut self.holders {
            // Who makes a change knows of it.
            if Some(*client) != by || covers(holder.told, event) {
                holder.happened.push(number);
            }
        }
        for client in recalled {
            self.recalled(client);
        }
    }

    fn recalled(&mut self, client: ClientId) {
        let holder = self.holders.get_mut(&client).expect("a holder");
        assert!(!holder.is_recalled, "recalled twice");
        holder.is_recalled = true;
    }

    fn send(&mut self, arrives: bool) {
        for (client, stateid, numbers) in self.world.notices(self.ms) {
            if arrives {
                self.holders.get_mut(&client).expect("a holder").learned.extend(numbers);
                self.world.table.notice_arrived(&stateid);
                continue;
            }
            let recalled = self.world.table.recall(at_ms(self.ms), &stateid, RecallReason::Notification);
            let recalls = recalled.map_or(0, |effects| effects.recalls.len());
            (0..recalls).for_each(|_| self.recalled(client));
        }
    }

    /// In the end everybody knows all that happened, in the order in which it did, or was asked for the delegation.
    fn finish(&mut self) {
        self.ms += DELAY_MS;
        while self.world.table.next_notice_due().is_some() {
            self.send(true);
        }
        for holder in self.holders.values().filter(|holder| !holder.is_recalled) {
            assert_eq!(holder.learned, holder.happened);
        }
        for holder in self.holders.values() {
            assert!(holder.happened.starts_with(&holder.learned), "nothing is told out of order");
        }
    }
}

fn covers(told: &[NotifyType], event: DirEvent) -> bool {
    terms(told).wants().covers(event)
}

proptest! {
    #[test]
    fn every_change_is_told_or_recalled_for(steps in prop::collection::vec(step(), 1..120)) {
        let limits = StateLimits { regrant_after: Duration::ZERO, ..StateLimits::default() };
        let world = World::with_limits(limits);
        let mut model = Model { world, ms: 0, next: 0, holders: BTreeMap::default() };
        for step in steps {
            model.run(step);
        }
        model.finish();
    }
}

// Origin: a client that is asked for many delegations and returns none keeps no memory but for these.
#[test]
fn what_waits_for_a_holder_goes_when_it_is_asked_for_the_delegation() {
    let world = World::new();
    world.watch(ALICE, terms(ENTRIES)).unwrap();
    assert!(world.changed(0, Some(BOB), DirEvent::Add, 1).is_empty());
    let is_idle = || {
        let watch = |inner: &mut FileInner| {
            inner.delegations.iter().all(|held| held.watch.as_ref().unwrap().is_idle())
        };
        world.table.on_file(&file(1), watch).unwrap()
    };
    assert!(!is_idle());
    assert_eq!(world.changed(1, Some(BOB), DirEvent::Other, 2), [ALICE]);
    assert!(is_idle());
    assert!(world.notices(1000).is_empty());
}
