//! Share reservations against a list of opens.
//!
//! Origin: own model, a list of opens.
//! RFC: 8881 sections 9.7 to 9.9 and 18.18.3.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const OWNERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Open(usize, u32, u32),
    Downgrade(usize, u32, u32),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..OWNERS, 1..4u32, prop_oneof![3 => Just(0), 1 => 0..4u32]).prop_map(|(o, a, d)| Step::Open(o, a, d)),
        2 => (0..OWNERS, 1..4u32, 0..4u32).prop_map(|(o, a, d)| Step::Downgrade(o, a, d)),
        1 => (0..OWNERS).prop_map(Step::Close),
    ]
}

/// Per owner the access and denial of the OPENs that are merged.
type Model = [Vec<(u32, u32)>; OWNERS];

fn union(opens: &[(u32, u32)]) -> (u32, u32) {
    opens.iter().fold((0, 0), |(access, deny), (a, d)| (access | a, deny | d))
}

fn admits(model: &Model, access: u32, deny: u32) -> bool {
    model.iter().all(|opens| {
        let (has, denies) = union(opens);
        access & denies == 0 && deny & has == 0
    })
}

/// Whether a value is the union of some of the others: tried for every subset but the empty one.
fn is_union(value: u32, of: &[u32]) -> bool {
    (1u32..1 << of.len()).any(|subset| {
        let chosen = of.iter().enumerate().filter(|(index, _)| subset & 1 << index != 0);
        chosen.fold(0, |all, (_, mode)| all | mode) == value
    })
}

fn open(world: &World, model: &mut Model, stateids: &mut [Option<Stateid>], step: (usize, u32, u32)) {
    let (index, access, deny) = step;
    let name = owner(ALICE, &index.to_string());
    let opened = world.open(&name, ShareAccess::from_bits_retain(access), ShareDeny::from_bits_retain(deny));
    assert_eq!(opened.is_ok(), admits(model, access, deny));
    if let Ok(stateid) = opened {
        model[index].push((access, deny));
        stateids[index] = Some(stateid);
    }
}

fn downgrade(world: &World, model: &mut Model, stateids: &mut [Option<Stateid>], step: (usize, u32, u32)) {
    let (index, access, deny) = step;
    let Some(stateid) = stateids[index] else { return };
    let (to, to_deny) = (ShareAccess::from_bits_retain(access), ShareDeny::from_bits_retain(deny));
    let downgraded = world.table.open_downgrade(caller(ALICE), &stateid, &file(1), to, to_deny);
    world.check();
    let opens = &mut model[index];
    let (accesses, denials): (Vec<_>, Vec<_>) = opens.iter().copied().unzip();
    assert_eq!(downgraded.is_ok(), is_union(access, &accesses) && is_union(deny, &denials));
    if let Ok(stateid) = downgraded {
        // What is given up is given up in each of the OPENs by itself: the two unions are independent.
        let accesses: Vec<_> = accesses.into_iter().filter(|a| a & !access == 0).collect();
        let denials: Vec<_> = denials.into_iter().filter(|d| d & !deny == 0).collect();
        let length = accesses.len().max(denials.len());
        *opens = accesses.into_iter().cycle().zip(denials.into_iter().cycle()).take(length).collect();
        stateids[index] = Some(stateid);
    }
}

proptest! {
    #[test]
    fn shares_are_as_a_list_of_opens_says(steps in vec(step(), 1..12)) {
        let world = World::new();
        let mut model = Model::default();
        let mut stateids = [None; OWNERS];
        for step in &steps {
            match *step {
                Step::Open(index, access, deny) => open(&world, &mut model, &mut stateids, (index, access, deny)),
                Step::Downgrade(index, access, deny) => {
                    downgrade(&world, &mut model, &mut stateids, (index, access, deny));
                }
                Step::Close(index) => {
                    if let Some(stateid) = stateids[index].take() {
                        world.close(ALICE, &stateid).expect("closed");
                        model[index].clear();
                    }
                }
            }
            prop_assert_eq!(world.holds(), model.iter().filter(|opens| !opens.is_empty()).count());
        }
    }
}
