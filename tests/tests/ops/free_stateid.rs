//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.38, 8.2.3 and 8.2.4.
//!
//! Not reached: WRONG_CRED (no state protection), DELAY, DEADSESSION and SERVERFAULT. The limits of sessions are in the tests of `wire`.

use dittofs_framework::proto::{
    Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_LOCKS_HELD, Stateid,
};
use dittofs_framework::testing::CompoundReply;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::free_stateid::{FreeStateid, FreeStateid4Args};
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::{ReadLt, WriteLt};
use dittofs_ops::locku::Locku;
use dittofs_ops::test_stateid::{TestStateid, TestStateid4Args};
use dittofs_tests::{Session, TO_EOF, lock_more, unlock};
use rstest::rstest;

use crate::common::{Bogus, World, put};

/// FREE_STATEID without any filehandle.
async fn free(session: &mut Session, fsa_stateid: Stateid) -> CompoundReply {
    session.run(session.compound().op::<FreeStateid>(&FreeStateid4Args { fsa_stateid })).await
}

/// A world with a lock stateid that has no locks any more.
async fn unlocked(minor: Minor) -> (World, Stateid) {
    let mut world = World::of(minor).await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    let lock = world.session.unlock(&file.fh, lock, (0, 10)).await;
    (world, lock)
}

/// "Any subsequent use of that stateid will result in an NFS4ERR_BAD_STATEID error." The open stays, and the owner may lock again, under
/// another stateid: "an other value must never be reused" (section 8.2.4).
#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn a_stateid_without_locks_is_freed(#[case] minor: Minor) {
    let (mut world, lock) = unlocked(minor).await;
    assert_eq!(free(&mut world.session, lock).await.status, NFS4_OK);
    assert_eq!(free(&mut world.session, lock).await.status, NFS4ERR_BAD_STATEID);
    assert_eq!(world.run::<Locku>(&unlock(lock, (0, 1))).await, Err(NFS4ERR_BAD_STATEID));
    assert_eq!(world.run::<Lock>(&lock_more(lock, ReadLt, (0, 1))).await, Err(NFS4ERR_BAD_STATEID));
    let stateids = TestStateid4Args { ts_stateids: vec![lock, world.file.stateid] };
    let tested = world.run::<TestStateid>(&stateids).await.unwrap();
    assert_eq!(tested.tsr_status_codes, [NFS4ERR_BAD_STATEID, NFS4_OK]);
    let file = world.file.clone();
    let anew = world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    assert_ne!(anew.other, lock.other);
    world.stop().await;
}

#[tokio::test]
async fn the_most_recent_seqid_may_be_meant() {
    let (mut world, lock) = unlocked(Minor::V2).await;
    assert_eq!(free(&mut world.session, Stateid { seqid: 0, ..lock }).await.status, NFS4_OK);
    world.stop().await;
}

/// "If there are valid locks (of any kind) associated with the stateid", opens included, NFS4ERR_LOCKS_HELD, "and the associated stateid
/// will not be freed".
#[rstest]
#[case::open_without_locks(None)]
#[case::open_with_locks(Some((0, 10)))]
#[tokio::test]
async fn what_is_held_is_not_freed(#[case] range: Option<(u64, u64)>) {
    let mut world = World::new().await;
    let file = world.file.clone();
    if let Some(range) = range {
        let lock = world.session.lock(&file, "locker", WriteLt, range).await;
        assert_eq!(free(&mut world.session, lock).await.status, NFS4ERR_LOCKS_HELD);
        let rest = world.session.unlock(&file.fh, lock, (0, 9)).await;
        assert_eq!(free(&mut world.session, rest).await.status, NFS4ERR_LOCKS_HELD, "one byte is left");
    }
    assert_eq!(free(&mut world.session, file.stateid).await.status, NFS4ERR_LOCKS_HELD);
    world.close().await;
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage)]
#[case::invalid(Bogus::Invalid)]
#[case::future(Bogus::Future)]
#[case::old(Bogus::Old)]
#[case::other_client(Bogus::OtherClient)]
#[case::closed(Bogus::Closed)]
#[case::no_current(Bogus::NoCurrent)]
#[tokio::test]
async fn a_stateid_is_refused(#[case] bogus: Bogus) {
    let mut world = World::new().await;
    let of_lock = world.lock_stateid(bogus).await;
    assert_eq!(free(&mut world.session, of_lock).await.status, bogus.status());
    let of_open = world.stateid(bogus).await;
    assert_eq!(free(&mut world.session, of_open).await.status, bogus.status());
    world.stop().await;
}

#[rstest]
#[case::anonymous(Stateid::ANONYMOUS)]
#[case::read_bypass(Stateid::READ_BYPASS)]
#[case::undefined(Stateid { seqid: 7, ..Stateid::ANONYMOUS })]
#[tokio::test]
async fn special_stateids_are_refused(#[case] special: Stateid) {
    let mut world = World::new().await;
    assert_eq!(free(&mut world.session, special).await.status, NFS4ERR_BAD_STATEID);
    world.stop().await;
}

/// The current stateid of a LOCKU is freed, and remains the current stateid, of which nothing is left (section 16.2.3.1.2).
#[tokio::test]
async fn the_current_stateid_is_freed() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, 10)).await;
    let current = FreeStateid4Args { fsa_stateid: Stateid::CURRENT };
    let compound = put(world.session.compound(), &file.fh)
        .op::<Locku>(&unlock(lock, (0, 10)))
        .op::<FreeStateid>(&current)
        .op::<FreeStateid>(&current);
    let reply = world.session.run(compound).await;
    assert_eq!(reply.status, NFS4ERR_BAD_STATEID);
    assert_eq!(reply.results.len(), 5, "the second FREE_STATEID");
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let (mut world, lock) = unlocked(Minor::V2).await;
    let start = world.session.compound();
    let args = FreeStateid4Args { fsa_stateid: lock };
    world.refuses_cut_short::<FreeStateid>(&start, &args).await;
    let unaligned = start.op_with_args::<FreeStateid>(&[0; 15]);
    assert_eq!(world.session.run(unaligned).await.status, NFS4ERR_BADXDR);
    assert_eq!(free(&mut world.session, lock).await.status, NFS4_OK);
    world.stop().await;
}

/// A stateid belongs to the client, whichever session and user frees it.
#[tokio::test]
async fn another_session_and_user_of_the_client_frees() {
    let (mut world, lock) = unlocked(Minor::V2).await;
    world.chmod(0o600).await;
    let mut second = world.client("client").await;
    second.act_as(1000, 1000, &[]);
    assert_eq!(free(&mut second, lock).await.status, NFS4_OK);
    let close = Close4Args { seqid: 0, open_stateid: world.file.stateid };
    assert_eq!(world.run::<Close>(&close).await, Ok(Stateid::INVALID));
    world.stop().await;
}
