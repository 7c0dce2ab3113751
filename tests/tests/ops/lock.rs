//! LOCK: who may, on what, with which stateids. Which locks conflict is in `lock_conflicts`.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 18.10, 8.2.3, 8.2.4 and 9 (9.6: who waits).
//!
//! Not reached: ACCESS (who has the file open may lock it), ADMIN_REVOKED, EXPIRED (there is no revoked state), BAD_RANGE (offsets have
//! 64 bits), DEADLOCK (it is not looked for), FHEXPIRED, MOVED (handles persist, nothing migrates), GRACE, RECLAIM_BAD,
//! RECLAIM_CONFLICT (there is no grace period), LOCK_NOTSUPP, LOCK_RANGE (locks are those of POSIX), ROFS (nothing that is read-only can be
//! opened for writing), WRONG_CRED (no state protection), DEADSESSION and SERVERFAULT. BAD_SEQID, LEASE_MOVED, RESOURCE, STALE_CLIENTID and
//! STALE_STATEID are those of minor version 0.

use std::time::Duration;

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    ChannelAttrs4, ClientId, Minor, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_DENIED,
    NFS4ERR_INVAL, NFS4ERR_NO_GRACE, NFS4ERR_OPENMODE, NFS4ERR_REP_TOO_BIG, NFS4ERR_STALE, StateOwner,
    Stateid, Status,
};
use dittofs_framework::state::StateLimits;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lock::NfsLockType4::{self, ReadLt, ReadwLt, WriteLt, WritewLt};
use dittofs_ops::lock::{Lock, Lock4Args, Locker4};
use dittofs_ops::lockt::Lockt;
use dittofs_ops::locku::Locku;
use dittofs_tests::{
    BOTH, Client, READ, SessionOptions, TO_EOF, TestServerOptions, WRITE, lock_more, lock_test, lock_under,
    unlock, walk,
};
use rstest::rstest;

use crate::common::{Bogus, NoOpen, Object, World, put};

/// Less than the lease, and more than half of it.
const MOST_OF_THE_LEASE: Duration = Duration::from_mins(1);

fn first(world: &World) -> Lock4Args {
    lock_under(world.file.stateid, "locker", WriteLt, (0, 1))
}

/// "When such a set of locks is first created, the server returns a stateid with seqid value of one", which grows with each change
/// (section 8.2.2). A client that does not have the lock stateid gets the one there is.
#[rstest]
#[tokio::test]
async fn locks_of_an_owner_have_one_stateid(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
    #[values(ReadLt, WriteLt, ReadwLt, WritewLt)] locktype: NfsLockType4,
) {
    let mut world = World::of(minor).await;
    let fh = world.file.fh.clone();
    let under_open = |range| lock_under(world.file.stateid, "locker", locktype, range);
    let compound = put(world.session.compound(), &fh).op::<Lock>(&under_open((0, 1))).op::<GetFh>(&());
    let again = under_open((4, 1));
    let reply = world.session.run(compound).await.ok();
    let lock = reply.get::<Lock>();
    assert_eq!(reply.get::<GetFh>().object, fh, "the current filehandle retains its value");
    assert_eq!(lock.seqid, 1);
    assert_ne!(lock.other, world.file.stateid.other);
    let lock = world.run::<Lock>(&lock_more(lock, locktype, (2, 1))).await.unwrap();
    assert_eq!(lock.seqid, 2);
    let by_open = world.run::<Lock>(&again).await.unwrap();
    assert_eq!(by_open, Stateid { seqid: 3, ..lock });
    let most_recent = Stateid { seqid: 0, ..lock };
    let lock = world.run::<Lock>(&lock_more(most_recent, locktype, (6, TO_EOF))).await.unwrap();
    assert_eq!(lock.seqid, 4);
    world.stop().await;
}

/// "The following fields MAY be set to any value by the client and MUST be ignored": clientid and seqids.
#[tokio::test]
async fn fields_of_minor_version_0_are_ignored() {
    let mut world = World::new().await;
    let mut args = first(&world);
    if let Locker4::OpenOwner(new) = &mut args.locker {
        (new.open_seqid, new.lock_seqid) = (u32::MAX, 7);
        new.lock_owner.clientid = ClientId(u64::MAX);
    }
    let lock = world.run::<Lock>(&args).await.unwrap();
    let mut args = lock_more(lock, WriteLt, (0, 1));
    if let Locker4::LockOwner(existing) = &mut args.locker {
        existing.lock_seqid = u32::MAX;
    }
    world.run::<Lock>(&args).await.unwrap();
    // The owner is the session's client's: its own locks are not in its way.
    let args = lock_test("locker", WriteLt, (0, 1));
    assert_eq!(world.run::<Lockt>(&args).await, Ok(()));
    world.stop().await;
}

#[rstest]
#[case::one_byte((0, 1), NFS4_OK)]
#[case::whole_file((0, TO_EOF), NFS4_OK)]
#[case::last_offset_to_the_end((u64::MAX, TO_EOF), NFS4_OK)]
#[case::sum_at_the_limit((1, u64::MAX - 1), NFS4_OK)]
#[case::beyond_32_bits((1 << 40, 1 << 40), NFS4_OK)]
#[case::beyond_the_file((1 << 20, 1), NFS4_OK)]
#[case::empty((0, 0), NFS4ERR_INVAL)]
#[case::empty_at_the_end((u64::MAX, 0), NFS4ERR_INVAL)]
#[case::sum_over_the_limit((2, u64::MAX - 1), NFS4ERR_INVAL)]
#[case::last_offset((u64::MAX, 1), NFS4ERR_INVAL)]
#[tokio::test]
async fn a_range_is(#[case] range: (u64, u64), #[case] expected: Status) {
    let mut world = World::new().await;
    let args = lock_under(world.file.stateid, "locker", WriteLt, range);
    assert_eq!(world.run::<Lock>(&args).await.err().unwrap_or(NFS4_OK), expected);
    world.stop().await;
}

/// Section 18.10.4 leaves the modes to the file system: these are POSIX's.
#[rstest]
#[case::read_for_read(READ, ReadLt, NFS4_OK)]
#[case::read_for_write(READ, WriteLt, NFS4ERR_OPENMODE)]
#[case::read_for_waiting_write(READ, WritewLt, NFS4ERR_OPENMODE)]
#[case::write_for_write(WRITE, WriteLt, NFS4_OK)]
#[case::write_for_read(WRITE, ReadLt, NFS4ERR_OPENMODE)]
#[case::write_for_waiting_read(WRITE, ReadwLt, NFS4ERR_OPENMODE)]
#[case::both_for_read(BOTH, ReadLt, NFS4_OK)]
#[case::both_for_write(BOTH, WriteLt, NFS4_OK)]
#[tokio::test]
async fn an_open_allows(#[case] access: u32, #[case] locktype: NfsLockType4, #[case] expected: Status) {
    let mut world = World::new().await;
    let open = world.open_for(access).await;
    let args = lock_under(open, "locker", locktype, (0, 1));
    assert_eq!(world.run::<Lock>(&args).await.err().unwrap_or(NFS4_OK), expected);
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage)]
#[case::invalid(Bogus::Invalid)]
#[case::future(Bogus::Future)]
#[case::old(Bogus::Old)]
#[case::other_file(Bogus::OtherFile)]
#[case::other_client(Bogus::OtherClient)]
#[case::closed(Bogus::Closed)]
#[case::no_current(Bogus::NoCurrent)]
#[tokio::test]
async fn an_open_stateid_is_refused(#[case] bogus: Bogus) {
    let mut world = World::new().await;
    let stateid = world.stateid(bogus).await;
    let args = lock_under(stateid, "locker", WriteLt, (0, 1));
    assert_eq!(world.run::<Lock>(&args).await, Err(bogus.status()));
    world.stop().await;
}

/// "An all-zero stateid is used when an OPEN stateid is required in a LOCK operation": NFS4ERR_BAD_STATEID.
#[rstest]
#[case::anonymous(NoOpen::Anonymous)]
#[case::read_bypass(NoOpen::ReadBypass)]
#[case::locks(NoOpen::Locks)]
#[tokio::test]
async fn what_is_no_open_is_refused(#[case] which: NoOpen) {
    let mut world = World::new().await;
    let stateid = world.no_open(which).await;
    let args = lock_under(stateid, "locker", WriteLt, (0, 1));
    assert_eq!(world.run::<Lock>(&args).await, Err(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

#[rstest]
#[case::garbage(Bogus::Garbage)]
#[case::invalid(Bogus::Invalid)]
#[case::future(Bogus::Future)]
#[case::old(Bogus::Old)]
#[case::other_file(Bogus::OtherFile)]
#[case::other_client(Bogus::OtherClient)]
#[case::closed(Bogus::Closed)]
#[case::no_current(Bogus::NoCurrent)]
#[tokio::test]
async fn a_lock_stateid_is_refused(#[case] bogus: Bogus) {
    let mut world = World::new().await;
    let stateid = world.lock_stateid(bogus).await;
    let args = lock_more(stateid, WriteLt, (0, 1));
    assert_eq!(world.run::<Lock>(&args).await, Err(bogus.status()));
    world.stop().await;
}

/// "A stateid that doesn't represent byte-range locks is passed to the non-from_open case of LOCK": NFS4ERR_BAD_STATEID.
#[tokio::test]
async fn an_open_is_no_lock_stateid() {
    let mut world = World::new().await;
    let special = [Stateid::ANONYMOUS, Stateid::READ_BYPASS];
    for stateid in [world.file.stateid].into_iter().chain(special) {
        let args = lock_more(stateid, WriteLt, (0, 1));
        assert_eq!(world.run::<Lock>(&args).await, Err(NFS4ERR_BAD_STATEID), "{stateid:?}");
    }
    world.stop().await;
}

#[rstest]
#[case::dir(Object::Dir)]
#[case::symlink(Object::Symlink)]
#[case::fifo(Object::Fifo)]
#[case::socket(Object::Socket)]
#[case::block(Object::Block)]
#[case::char(Object::Char)]
#[tokio::test]
async fn what_is_no_file_is_refused(#[case] object: Object) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let expected = Err(object.data_status(Minor::V2));
    let under_open = first(&world);
    assert_eq!(world.run_on::<Lock>(&fh, &under_open).await, expected);
    let more = lock_more(Stateid::ANONYMOUS, ReadLt, (0, 1));
    assert_eq!(world.run_on::<Lock>(&fh, &more).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn the_pseudo_root_is_a_directory() {
    let mut world = World::new().await;
    let compound = walk(world.session.compound(), &[]).op::<Lock>(&first(&world));
    assert_eq!(world.session.run(compound).await.status, Object::Dir.data_status(Minor::V2));
    world.stop().await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_stale() {
    let mut world = World::new().await;
    let fh = world.session.open("gone").await;
    world.session.close(&fh).await;
    world.remove("gone").await;
    let args = lock_under(fh.stateid, "locker", WriteLt, (0, 1));
    assert_eq!(world.run_on::<Lock>(&fh.fh, &args).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

/// "The reclaim has been done outside of the grace period" (section 15.1.9.3).
#[tokio::test]
async fn nothing_is_reclaimed_without_a_grace_period() {
    let mut world = World::new().await;
    let args = Lock4Args { reclaim: true, ..first(&world) };
    assert_eq!(world.run::<Lock>(&args).await, Err(NFS4ERR_NO_GRACE));
    world.stop().await;
}

#[tokio::test]
async fn arguments_are_checked() {
    let mut world = World::new().await;
    let under_open = first(&world);
    world.refuses_without_handle_and_cut_short::<Lock>(&under_open).await;
    let more = lock_more(world.file.stateid, WriteLt, (0, 1));
    world.refuses_without_handle_and_cut_short::<Lock>(&more).await;
    // locktype, reclaim, locker, and the length of the lock-owner.
    for (at, word) in [(0, 0), (0, 5), (4, 2), (24, 2), (60, 1025), (60, u32::MAX)] {
        world.refuses_word::<Lock>(&under_open, at, word).await;
    }
    world.stop().await;
}

#[rstest]
#[case::locks_per_file(StateLimits { locks_per_file: 2, ..StateLimits::default() }, "locker")]
#[case::locks_per_client(StateLimits { locks_per_client: 2, ..StateLimits::default() }, "locker")]
#[case::locks_total(StateLimits { locks_total: 2, ..StateLimits::default() }, "locker")]
#[case::stateids(StateLimits { lock_stateids_per_client: 1, ..StateLimits::default() }, "other locker")]
#[case::stateids_total(StateLimits { lock_stateids_total: 1, ..StateLimits::default() }, "other locker")]
#[tokio::test]
async fn there_is_a_limit(#[case] state: StateLimits, #[case] locker: &str) {
    let limits = Limits { state, ..Limits::default() };
    let server = TestServerOptions { limits, ..TestServerOptions::default() };
    let mut world = World::with(server, SessionOptions::default()).await;
    let file = world.file.clone();
    for offset in [0, 2] {
        world.session.lock(&file, "locker", WriteLt, (offset, 1)).await;
    }
    let one_more = lock_under(file.stateid, locker, WriteLt, (4, 1));
    assert_eq!(world.run::<Lock>(&one_more).await, Err(NFS4ERR_DELAY));
    // A lock that needs no more room is granted: adjoining ones of an owner are one.
    world.session.lock(&file, "locker", WriteLt, (1, 1)).await;
    world.stop().await;
}

/// Who waits has its turn before who comes later, and loses it by not coming (section 9.6).
#[rstest]
#[case::comes_within_a_lease(false, NFS4ERR_DENIED)]
#[case::stays_away_for_a_lease(true, NFS4_OK)]
#[tokio::test]
async fn who_waits_has_its_turn(#[case] stays_away: bool, #[case] later: Status) {
    let mut world = World::new().await;
    let mut other = world.client("other client").await;
    let theirs = other.open("file").await;
    let held = world.session.lock(&world.file.clone(), "locker", WriteLt, (0, 1)).await;
    let waiting = lock_under(theirs.stateid, "waiter", WritewLt, (0, 1));
    let denied = other.run_on::<Lock>(&theirs.fh, &waiting).await;
    assert_eq!(denied.err(), Some(NFS4ERR_DENIED));
    world.run::<Locku>(&unlock(held, (0, 1))).await.unwrap();
    for _ in 0..if stays_away { 2 } else { 0 } {
        world.server.clock.advance(MOST_OF_THE_LEASE);
        world.session.sequence().await;
        other.sequence().await;
    }
    let at_once = lock_under(world.file.stateid, "third", WriteLt, (0, 1));
    assert_eq!(world.run::<Lock>(&at_once).await.err().unwrap_or(NFS4_OK), later);
    assert_eq!(other.run_on::<Lock>(&theirs.fh, &waiting).await.is_ok(), !stays_away);
    world.stop().await;
}

/// LOCK4denied has an owner of up to 1,024 bytes, for which a small channel has no room (section 2.10.6.4).
#[tokio::test]
async fn a_denial_that_does_not_fit_is_not_sent() {
    let mut world = World::new().await;
    let mut args = first(&world);
    if let Locker4::OpenOwner(new) = &mut args.locker {
        new.lock_owner = StateOwner { clientid: ClientId(0), owner: Opaque::from([7; 1024].as_slice()) };
    }
    world.run::<Lock>(&args).await.unwrap();
    let options = SessionOptions::default();
    let fore_channel = ChannelAttrs4 { max_response_size: 1024, ..options.fore_channel };
    let options = SessionOptions { fore_channel, ..options };
    let mut other = Client::connect(&world.server).await.session_with("other client", options).await;
    let file = other.open("file").await;
    let args = lock_under(file.stateid, "locker", ReadLt, (0, 1));
    assert_eq!(other.run_on::<Lock>(&file.fh, &args).await, Err(NFS4ERR_REP_TOO_BIG));
    let args = lock_test("locker", ReadLt, (0, 1));
    assert_eq!(other.run_on::<Lockt>(&file.fh, &args).await, Err(NFS4ERR_REP_TOO_BIG));
    world.stop().await;
}

/// Whoever speaks for the client may lock what the client has open.
#[tokio::test]
async fn another_user_of_the_client_locks() {
    let mut world = World::new().await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    let args = first(&world);
    world.run::<Lock>(&args).await.unwrap();
    world.stop().await;
}
