//! Callbacks that a client may do with what it likes: CB_NOTIFY_LOCK, and CB_RECALL_SLOT.
//!
//! Origin: own scenarios; what Linux does with OPEN4_RESULT_MAY_NOTIFY_LOCK.
//! RFC: 8881 sections 2.10.6.1, 18.16.4, 20.8 and 20.11.

use std::time::Duration;

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::*;
use dittofs_framework::session::SessionLimits;
use dittofs_ops::lock::Lock;
use dittofs_ops::lock::NfsLockType4::{self, ReadwLt, WriteLt, WritewLt};
use dittofs_ops::sequence::Sequence;
use dittofs_tests::callbacks::{BackOptions, DelegClient, Wire};
use dittofs_tests::*;
use rstest::rstest;

const RANGE: LockRange = (0, 10);

/// Two clients that have a file open, without a delegation of it, and what OPEN said.
async fn two(server: &TestServer) -> ([DelegClient; 2], [OpenFile; 2], u32) {
    let mut holder = DelegClient::new(server, "holder").await;
    let mut waiter = DelegClient::new(server, "waiter").await;
    let first = holder.opening("file").wanting_none().await.file();
    let opened = waiter.opening("file").wanting_none().await;
    ([holder, waiter], [first, opened.file()], opened.rflags)
}

/// Asks for the lock of the other one.
async fn denied(waiter: &mut DelegClient, file: &OpenFile, locktype: NfsLockType4) {
    let args = lock_under(file.stateid, "two", locktype, RANGE);
    waiter.session().denied::<Lock>(&file.fh, &args).await;
}

/// The lock is not granted by the callback: the client asks for it again.
#[tokio::test]
async fn a_client_is_told_of_a_lock_that_it_waits_for() {
    let server = TestServer::start().await;
    let ([mut holder, mut waiter], [held, wanted], rflags) = two(&server).await;
    assert_ne!(rflags & OPEN4_RESULT_MAY_NOTIFY_LOCK, 0);
    let lock = holder.session().lock(&held, "one", WriteLt, RANGE).await;
    denied(&mut waiter, &wanted, WritewLt).await;
    assert_eq!(waiter.callbacks().arrived(CbOp::NotifyLock), 0);
    holder.session().unlock(&held.fh, lock, RANGE).await;
    let notified = waiter.callbacks().next(CbOp::NotifyLock).await;
    let Wire::Session(session) = &waiter.wire else { panic!("a session") };
    let lock_owner = StateOwner { clientid: session.clientid, owner: owner("two").owner };
    assert_eq!(notified.args, CbArgs::NotifyLock(CbNotifyLock4Args { fh: wanted.fh.clone(), lock_owner }));
    waiter.session().lock(&wanted, "two", WritewLt, RANGE).await;
    assert_eq!(waiter.callbacks().arrived(CbOp::NotifyLock), 1);
    assert_eq!(holder.callbacks().arrived(CbOp::NotifyLock), 0);
    server.stop().await;
}

/// Whatever it is that the lock goes with.
#[rstest]
#[case::close(false)]
#[case::the_end_of_the_client(true)]
#[tokio::test]
async fn a_lock_goes_with_more(#[case] client_ends: bool) {
    let server = TestServer::start().await;
    let ([mut holder, mut waiter], [held, wanted], _) = two(&server).await;
    holder.session().lock(&held, "one", WriteLt, RANGE).await;
    denied(&mut waiter, &wanted, ReadwLt).await;
    if client_ends {
        // Another instance of it takes its place.
        let options = BackOptions { verifier: [2; 8], ..BackOptions::default() };
        DelegClient::unproven(&server, "holder", &options).await;
    } else {
        holder.close(&held).await;
    }
    waiter.callbacks().next(CbOp::NotifyLock).await;
    server.stop().await;
}

/// A client that cannot be told is not promised anything.
#[tokio::test]
async fn a_client_without_a_backchannel_is_not_told() {
    let server = TestServer::start().await;
    let options = BackOptions { flags: CreateSessionFlags::empty(), ..BackOptions::default() };
    let mut waiter = DelegClient::unproven(&server, "waiter", &options).await;
    let mut holder = DelegClient::new(&server, "holder").await;
    let held = holder.opening("file").wanting_none().await.file();
    let wanted = waiter.opening("file").await;
    assert_eq!(wanted.rflags & OPEN4_RESULT_MAY_NOTIFY_LOCK, 0);
    let lock = holder.session().lock(&held, "one", WriteLt, RANGE).await;
    denied(&mut waiter, &wanted.file(), WritewLt).await;
    holder.session().unlock(&held.fh, lock, RANGE).await;
    waiter.session().lock(&wanted.file(), "two", WritewLt, RANGE).await;
    server.stop().await;
}

/// A client that has more slots than it uses is asked for them when there are no others.
#[tokio::test]
async fn slots_that_are_not_used_are_asked_back() {
    let window = Duration::from_secs(10);
    let sessions = SessionLimits { slots_total: 8, slot_window: window, ..SessionLimits::default() };
    let limits = Limits { sessions, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..Default::default() }).await;
    let mut client = DelegClient::new(&server, "client").await;
    assert_eq!(client.session().fore_channel.max_requests, 7, "all that there are for it");
    for _ in 0..2 {
        server.clock.advance(window);
        server.service.reap().await;
    }
    let recalled = client.callbacks().next(CbOp::RecallSlot).await;
    assert_eq!(recalled.args, CbArgs::RecallSlot(CbRecallSlot4Args { target_highest_slotid: 3 }));
    // "then send a single COMPOUND consisting of a single SEQUENCE operation, with the sa_highestslot field set to" the target.
    let session = client.session();
    let mut granted = None;
    for _ in 0..2000 {
        let args = Sequence4Args { highest_slotid: 3, ..session.sequence_args(0) };
        let compound = dittofs_framework::testing::Compound::new(session.minor).op::<Sequence>(&args);
        let reply = session.client.run(&compound).await.ok().get::<Sequence>();
        session.slots[0] += 1;
        granted = Some(reply.highest_slotid);
        if granted == Some(3) {
            break;
        }
    }
    assert_eq!(granted, Some(3));
    server.stop().await;
}
