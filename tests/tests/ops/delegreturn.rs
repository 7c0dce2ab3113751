//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 8.2.4, 10.4.5, 18.6 and 18.48.3.
//!
//! Not reached: ADMIN_REVOKED, EXPIRED (a client without a lease loses delegations one by one), FHEXPIRED, MOVED, INVAL, NOTSUPP,
//! DELAY, WRONG_CRED (nobody's principal is asked for).

use std::time::Duration;

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_DELEG_REVOKED,
    NFS4ERR_NOFILEHANDLE, NFS4ERR_OLD_STATEID, SequenceStatus, Stateid, Status,
};
use dittofs_ops::delegreturn::{DelegReturn, Delegreturn4Args};
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::{READ, Session, WRITE};
use rstest::rstest;

use crate::delegated::{Delegated, Held, open};

fn args(deleg_stateid: Stateid) -> Delegreturn4Args {
    Delegreturn4Args { deleg_stateid }
}

#[rstest]
#[case::read(READ)]
#[case::write(READ | WRITE)]
#[tokio::test]
async fn a_delegation_is_returned_once(
    #[case] share_access: u32,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = Delegated::of(minor).await;
    let held = world.delegate(share_access).await;
    assert_eq!(world.is_recalled(&held), Some(false));
    assert_eq!(world.give_back(&held).await, Ok(()));
    assert_eq!(world.is_recalled(&held), None);
    assert_eq!(world.give_back(&held).await, Err(NFS4ERR_BAD_STATEID));
    // The open beside it stays.
    world.holder.close(&held.file).await;
    world.stop().await;
}

/// What is wrong with a stateid.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    Garbage,
    Anonymous,
    Future,
    OfTheOpen,
    OfAnotherFile,
    OfAnotherClient,
    NoCurrent,
}

#[rstest]
#[case::garbage(Wrong::Garbage)]
#[case::anonymous(Wrong::Anonymous)]
#[case::future(Wrong::Future)]
#[case::of_the_open(Wrong::OfTheOpen)]
#[case::of_another_file(Wrong::OfAnotherFile)]
#[case::of_another_client(Wrong::OfAnotherClient)]
#[case::no_current(Wrong::NoCurrent)]
#[tokio::test]
async fn another_stateid_returns_nothing(#[case] wrong: Wrong) {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    let stateid = match wrong {
        Wrong::Garbage => Stateid { seqid: 1, other: *b"never issued" },
        Wrong::Anonymous => Stateid::ANONYMOUS,
        Wrong::Future => Stateid { seqid: held.stateid.seqid + 1, ..held.stateid },
        Wrong::OfTheOpen => held.file.stateid,
        Wrong::NoCurrent => Stateid::CURRENT,
        Wrong::OfAnotherFile => {
            let args = crate::delegated::making("another file", READ);
            let (_, answer) = crate::delegated::open_with(&mut world.holder, &args).await.unwrap();
            answer.delegation.stateid().unwrap()
        }
        Wrong::OfAnotherClient => open(&mut world.other, READ).await.unwrap().1.delegation.stateid().unwrap(),
    };
    assert_eq!(world.run::<DelegReturn>(&held, &args(stateid)).await, Err(NFS4ERR_BAD_STATEID));
    assert_eq!(world.is_recalled(&held), Some(false));
    world.stop().await;
}

/// "The most recent" of a delegation is the only one there is.
#[tokio::test]
async fn a_seqid_of_zero_is_the_current_one() {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    let stateid = Stateid { seqid: 0, ..held.stateid };
    assert_eq!(world.run::<DelegReturn>(&held, &args(stateid)).await, Ok(()));
    world.stop().await;
}

#[tokio::test]
async fn it_needs_a_filehandle_and_a_whole_stateid() {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    let alone = world.holder.compound().op::<DelegReturn>(&args(held.stateid));
    assert_eq!(world.holder.run(alone).await.status, NFS4ERR_NOFILEHANDLE);
    let start = crate::common::put(world.holder.compound(), &held.file.fh);
    let cut = start.op_with_args::<DelegReturn>(&[0; 12]);
    assert_eq!(world.holder.run(cut).await.status, NFS4ERR_BADXDR);
    world.stop().await;
}

async fn test(session: &mut Session, held: &Held) -> Status {
    let compound =
        session.compound().op::<TestStateid>(&TestStateid4Args { ts_stateids: vec![held.stateid] });
    session.run(compound).await.ok().get::<TestStateid>().tsr_status_codes[0]
}

/// A delegation that is not returned within a lease of its recall is revoked, and its holder is told until it has freed the stateid.
#[tokio::test]
async fn a_revoked_delegation_is_freed_not_returned() {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    assert_eq!(test(&mut world.holder, &held).await, NFS4_OK);
    assert_eq!(open(&mut world.other, WRITE).await.err(), Some(NFS4ERR_DELAY));
    for _ in 0..2 {
        world.server.clock.advance(Duration::from_mins(1));
        world.holder.sequence().await;
    }
    open(&mut world.other, WRITE).await.unwrap();
    let status = world.holder.sequence().await.status_flags;
    assert!(status.contains(SequenceStatus::RECALLABLE_STATE_REVOKED), "{status:?}");
    assert_eq!(test(&mut world.holder, &held).await, NFS4ERR_DELEG_REVOKED);
    assert_eq!(world.give_back(&held).await, Err(NFS4ERR_DELEG_REVOKED));
    let free = FreeStateid4Args { fsa_stateid: held.stateid };
    let compound = world.holder.compound().op::<FreeStateid>(&free);
    world.holder.run(compound).await.ok();
    assert_eq!(test(&mut world.holder, &held).await, NFS4ERR_BAD_STATEID);
    let status = world.holder.sequence().await.status_flags;
    assert!(!status.contains(SequenceStatus::RECALLABLE_STATE_REVOKED), "{status:?}");
    world.stop().await;
}

/// The seqid of a delegation does not change, so that none is ever old.
#[tokio::test]
async fn no_seqid_of_a_delegation_is_old() {
    let mut world = Delegated::new().await;
    let held = world.delegate(READ).await;
    assert_eq!(held.stateid.seqid, 1);
    assert_ne!(world.give_back(&held).await, Err(NFS4ERR_OLD_STATEID));
    world.stop().await;
}
