//! What is remembered of requests, for how long, and what counts as the same request.
//!
//! Origin: own tables, and a model for the limits.
//! RFC: 7530 sections 3.1.1 and 9.1.5.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::fs::Credentials;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const START: Timestamp = Timestamp::from_nanos(1_000_000_000);

/// One shard, of few requests.
fn limits() -> DuplicateLimits {
    DuplicateLimits { entries: 3, bytes: 100, reply_bytes: 50, age: Duration::from_mins(1) }
}

fn table(limits: &DuplicateLimits) -> Duplicates {
    Duplicates::new(limits, [7; 16])
}

fn principal(flavor: AuthFlavor, uid: u32) -> &'static Principal {
    Box::leak(Box::new(Principal { flavor, credentials: Credentials { uid, ..Credentials::root() } }))
}

/// A request of root.
fn call(xid: u32) -> Call<'static> {
    Call { peer: PEER, xid, principal: principal(AuthFlavor::Sys, 0), args: b"arguments" }
}

fn finish(running: Running<'_>, reply: &[u8], now: Timestamp) {
    let mut w = XdrWriter::new();
    w.raw(b"what the transport has before the reply");
    let body = w.mark();
    w.raw(reply);
    running.finish(&w, body, now);
}

fn enter<'a>(table: &'a Duplicates, call: Call<'_>, now: Timestamp) -> Running<'a> {
    match table.enter(call, now) {
        Entered::New(running) => running,
        Entered::Known(known) => panic!("known: {known:?}"),
        Entered::Full => panic!("full"),
    }
}

/// Carries a request with this reply out.
fn run(table: &Duplicates, call: Call<'_>, reply: &[u8], now: Timestamp) {
    finish(enter(table, call, now), reply, now);
    table.check();
}

fn answer(table: &Duplicates, call: Call<'_>, now: Timestamp) -> Option<Bytes> {
    match table.find(call, now) {
        None => None,
        Some(Known::Answered(reply)) => Some(reply),
        Some(Known::Running(_)) => panic!("it runs"),
    }
}

#[rstest]
#[case::the_same_again(call(5), true)]
#[case::from_a_mapped_address(Call { peer: "::ffff:192.0.2.1".parse().unwrap(), ..call(5) }, true)]
#[case::from_another_address(Call { peer: Ipv4Addr::LOCALHOST.into(), ..call(5) }, false)]
#[case::with_another_xid(call(6), false)]
#[case::of_another_user(Call { principal: principal(AuthFlavor::Sys, 1), ..call(5) }, false)]
#[case::of_another_flavor(Call { principal: principal(AuthFlavor::None, 0), ..call(5) }, false)]
#[case::with_other_arguments(Call { args: b"argumentZ", ..call(5) }, false)]
#[case::with_more_arguments(Call { args: b"arguments\0", ..call(5) }, false)]
fn what_is_the_same_request(#[case] second: Call<'_>, #[case] is_same: bool) {
    let table = table(&limits());
    run(&table, call(5), b"reply", START);
    let expected = is_same.then(|| Bytes::from_static(b"reply"));
    assert_eq!(answer(&table, second, START), expected);
    match table.enter(second, START) {
        Entered::Known(Known::Answered(reply)) => assert_eq!(Some(reply), expected),
        Entered::New(_) => assert!(!is_same),
        other => panic!("{}", matches!(other, Entered::Full)),
    }
}

#[test]
fn arguments_count_up_to_their_first_kibibyte_and_by_their_length() {
    let table = table(&limits());
    let is_known = |args: &[u8]| answer(&table, Call { args, ..call(5) }, START).is_some();
    let mut args = vec![1; 2000];
    run(&table, Call { args: &args, ..call(5) }, b"reply", START);
    assert!(is_known(&args) && !is_known(&args[..1999]));
    args[1023] = 2;
    assert!(!is_known(&args));
}

#[test]
fn two_clients_behind_one_address_may_use_one_xid() {
    let table = table(&limits());
    let other = Call { args: b"others", ..call(5) };
    run(&table, call(5), b"one", START);
    run(&table, other, b"two", START);
    assert_eq!(answer(&table, call(5), START).unwrap(), &b"one"[..]);
    assert_eq!(answer(&table, other, START).unwrap(), &b"two"[..]);
}

#[rstest]
#[case::that_is_kept(b"reply".as_slice(), true)]
#[case::too_long_to_be_kept(&[9; 51], false)]
fn duplicates_of_what_runs_get_its_reply(#[case] reply: &[u8], #[case] is_kept: bool) {
    let table = table(&limits());
    let running = enter(&table, call(5), START);
    let Some(Known::Running(mut first)) = table.find(call(5), START) else { panic!() };
    let Entered::Known(Known::Running(mut second)) = table.enter(call(5), START) else { panic!() };
    assert!(first.try_recv().is_err());
    finish(running, reply, START);
    table.check();
    assert_eq!(first.try_recv().unwrap(), reply);
    assert_eq!(second.try_recv().unwrap(), reply);
    assert_eq!(answer(&table, call(5), START).is_some(), is_kept);
}

#[test]
fn what_is_lost_while_it_runs_is_forgotten() {
    let table = table(&limits());
    let running = enter(&table, call(5), START);
    let Some(Known::Running(mut waiting)) = table.find(call(5), START) else { panic!() };
    drop(running);
    table.check();
    assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(table.find(call(5), START).is_none());
    run(&table, call(5), b"again", START);
}

#[rstest]
#[case::entries(DuplicateLimits { entries: 2, ..limits() }, 10, &[false, true, true])]
#[case::more_entries(limits(), 10, &[true, true, true])]
#[case::bytes(limits(), 40, &[false, true, true])]
#[case::fewer_bytes(DuplicateLimits { bytes: 79, ..limits() }, 40, &[false, false, true])]
#[case::reply_bytes(limits(), 50, &[false, true, true])]
#[case::a_longer_reply(limits(), 51, &[false, false, false])]
fn the_oldest_reply_goes_first(
    #[case] limits: DuplicateLimits,
    #[case] reply_len: usize,
    #[case] kept: &[bool],
) {
    let table = table(&limits);
    for xid in 0..3 {
        run(&table, call(xid), &vec![0; reply_len], START);
    }
    let found: Vec<_> = (0..3).map(|xid| answer(&table, call(xid), START).is_some()).collect();
    assert_eq!(found, kept);
}

#[test]
fn a_reply_is_kept_for_its_age() {
    let table = table(&limits());
    let running = enter(&table, call(5), START);
    let finished = START + Duration::from_secs(100);
    finish(running, b"reply", finished);
    assert!(answer(&table, call(5), finished + Duration::from_secs(59)).is_some());
    assert!(answer(&table, call(5), finished + Duration::from_mins(1)).is_none());
    table.check();
}

/// What runs is never forgotten to make room: it would be carried out twice.
#[test]
fn nothing_is_begun_while_all_that_is_remembered_runs() {
    let table = table(&limits());
    let mut running: Vec<_> = (0..3).map(|xid| enter(&table, call(xid), START)).collect();
    assert!(matches!(table.enter(call(3), START), Entered::Full));
    finish(running.remove(0), b"reply", START);
    running.push(enter(&table, call(3), START));
    assert!(table.find(call(0), START).is_none(), "its reply made room");
    assert!(matches!(table.find(call(1), START), Some(Known::Running(_))));
    table.check();
}

#[test]
fn many_requests_are_spread_over_parts_of_the_table() {
    let table = table(&DuplicateLimits { entries: 1024, bytes: 1 << 20, ..limits() });
    assert_eq!(table.shards.len(), SHARDS);
    for xid in 0..2048 {
        run(&table, call(xid), &xid.to_be_bytes(), START);
    }
    for xid in 0..2048_u32 {
        let kept = answer(&table, call(xid), START);
        assert_eq!(
            kept.as_deref(),
            (xid >= 1024).then(|| xid.to_be_bytes()).as_ref().map(<[u8; 4]>::as_slice)
        );
    }
}

proptest! {
    /// Whatever comes in whatever order: the limits hold, and what is answered from the table is what was answered first.
    #[test]
    fn limits_hold_and_replies_are_true(steps in proptest::collection::vec((0_u32..6, 0_u8..4, 0_usize..60), 0..200)) {
        let table = table(&limits());
            let mut now = START;
        let mut running = Vec::new();
        let mut replies = std::collections::HashMap::new();
        for (step, (xid, what, len)) in (0..=u8::MAX).zip(steps) {
            match what {
                0 => now = now + Duration::from_secs(len as u64),
                1 if !running.is_empty() => {
                    let (xid, guard): (u32, Running<'_>) = running.swap_remove(len % running.len());
                    let reply = vec![step; len];
                    finish(guard, &reply, now);
                    replies.insert(xid, Bytes::from(reply));
                }
                2 if !running.is_empty() => drop(running.swap_remove(len % running.len())),
                _ => match table.enter(call(xid), now) {
                    Entered::New(guard) => running.push((xid, guard)),
                    Entered::Known(Known::Answered(reply)) => prop_assert_eq!(&replies[&xid], &reply),
                    Entered::Known(Known::Running(_)) => prop_assert!(running.iter().any(|(of, _)| *of == xid)),
                    Entered::Full => prop_assert_eq!(running.len(), 3),
                },
            }
            table.check();
        }
    }
}

/// Several connections send the same requests at the same time: each is carried out once (D3), and everybody gets its reply (D5).
#[test]
fn many_threads_carry_each_request_out_once() {
    const THREADS: usize = 4;
    const REQUESTS: u32 = 2000;
    let table = table(&DuplicateLimits { entries: 4096, bytes: 1 << 20, ..limits() });
    let new = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for xid in 0..REQUESTS {
                    let expected = xid.to_be_bytes();
                    let reply = match table.enter(call(xid), START) {
                        Entered::New(running) => {
                            new.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            finish(running, &expected, START);
                            continue;
                        }
                        Entered::Known(Known::Answered(reply)) => reply,
                        Entered::Known(Known::Running(reply)) => reply.blocking_recv().unwrap(),
                        Entered::Full => panic!("there is room for all"),
                    };
                    assert_eq!(reply, expected.as_slice());
                }
            });
        }
    });
    assert_eq!(new.into_inner(), REQUESTS);
    table.check();
}
