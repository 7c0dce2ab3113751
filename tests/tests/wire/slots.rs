//! Origin: the limits of a session one by one, at the limit and one above it, and the slots as they come and go.
//! RFC: 8881 sections 2.10.6.1, 2.10.6.4, 8.3, 15.1.1.4, 18.36.3 and 18.46.3.

use std::time::Duration;

use dittofs_framework::attr::{Bitmap, FATTR4_FILEHANDLE, FATTR4_OWNER, FATTR4_SUPPORTED_ATTRS};
use dittofs_framework::proto::*;
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::{Compound, CompoundReply};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::lookup::Lookup;
use dittofs_ops::open::Open;
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::sequence::Sequence;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

/// accepted_reply before COMPOUND4res, with the verifier of AUTH_NONE: the transport's framing does not count.
const RPC_REPLY_HEADER: usize = 24;

fn reply_len(reply: &CompoundReply) -> u32 {
    u32::try_from(RPC_REPLY_HEADER + reply.raw.len()).unwrap()
}

/// A session in which replies, or cached replies, may be so long.
async fn session_of(server: &TestServer, minor: Minor, cache: CacheThis, bytes: u32) -> Session {
    narrow_session(server, &format!("narrow {bytes}"), minor, cache, bytes).await
}

fn attributes(bits: &[u32]) -> Getattr4Args {
    Getattr4Args { attr_request: Bitmap::of(bits) }
}

/// A request that changes nothing, with results of many lengths.
fn look_around(minor: Minor) -> Compound {
    walk(Compound::new(minor), &["export"])
        .op::<GetFh>(&())
        .op::<GetAttr>(&attributes(&[FATTR4_SUPPORTED_ATTRS]))
        .op::<GetAttr>(&attributes(&[FATTR4_OWNER, FATTR4_FILEHANDLE]))
        .op::<GetFh>(&())
        .tag(b"tag")
}

#[rstest]
#[tokio::test]
async fn no_reply_is_longer_than_the_session_allows(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut wide = session(&server, "wide", minor).await;
    let request = wide.request(0, cache, look_around(minor));
    let whole = wide.client.run(&request).await.ok();
    let needed = reply_len(&whole);
    for limit in (92..=needed + 8).step_by(4) {
        let mut session = session_of(&server, minor, cache, limit).await;
        let request = session.request(0, cache, look_around(minor));
        let reply = session.client.run(&request).await;
        assert!(reply_len(&reply) <= limit || reply.results.len() == 1, "{limit}: {reply:?}");
        if limit >= needed {
            assert_eq!(reply.status, NFS4_OK, "{limit} of {needed}");
        } else {
            assert_eq!(reply.status, too_big(cache), "{limit} of {needed}");
        }
        if reply.results.len() > 1 && cache == CacheThis::Yes {
            // RFC 8881 section 2.10.6.4: also this reply is cached.
            assert_eq!(session.client.run(&request).await.raw, reply.raw, "{limit}");
        }
        session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    }
    server.stop().await;
}

fn list(minor: Minor) -> Compound {
    let args = Readdir4Args {
        cookie: 0,
        cookieverf: [0; 8],
        dircount: 1000,
        maxcount: 1000,
        attr_request: Bitmap::of(&[FATTR4_OWNER, FATTR4_FILEHANDLE]),
    };
    walk(Compound::new(minor), &["export"]).op::<ReadDir>(&args).op::<GetFh>(&())
}

fn set(minor: Minor) -> Compound {
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o700) };
    walk(Compound::new(minor), &["export"]).op::<SetAttr>(&args).op::<SetAttr>(&args).op::<GetFh>(&())
}

fn set_wrongly(minor: Minor) -> Compound {
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: size_attr(1) };
    walk(Compound::new(minor), &["export"]).op::<GetFh>(&()).op::<SetAttr>(&args)
}

/// Whatever is in them, and whatever they end with.
#[rstest]
#[case::list(list)]
#[case::set(set)]
#[case::set_wrongly(set_wrongly)]
#[tokio::test]
async fn no_reply_to_other_requests_is_longer(
    #[case] build: fn(Minor) -> Compound,
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut wide = session(&server, "wide", minor).await;
    for name in 0..10 {
        wide.mkdir(&format!("a directory with a long name {name}")).await;
    }
    for limit in (92..1200).step_by(4) {
        let mut session = session_of(&server, minor, cache, limit).await;
        let request = session.request(0, cache, build(minor));
        let reply = session.client.run(&request).await;
        assert!(reply_len(&reply) <= limit || reply.results.len() == 1, "{limit}: {reply:?}");
        session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    }
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn data_is_read_as_far_as_the_reply_has_room(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session_of(&server, minor, CacheThis::No, 400).await;
    let args = open_args("file", BOTH, 0, "owner", unchecked());
    let opened = session.run(walk(session.compound(), &["export"]).op::<Open>(&args)).await.ok();
    let stateid = opened.get::<Open>().stateid;
    let fh = session.lookup(&["export", "file"]).await;
    let file = OpenFile { fh, stateid };
    session.write(&file, 0, &[7; 100]).await;
    session.write(&file, 100, &[7; 900]).await;
    let read = Read4Args { stateid, offset: 0, count: 1000 };
    let reply = session.run(session.compound().op::<PutFh>(&put(&file.fh)).op::<Read>(&read)).await.ok();
    let len = reply.get::<Read>().data.len();
    assert!((200..1000).contains(&len) && reply_len(&reply) <= 400, "{len}");
    server.stop().await;
}

/// What a modifying operation does to a directory that has `old` in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Makes `new`.
    Adds,
    /// Takes `old` away.
    Removes,
}

fn create(compound: Compound) -> Compound {
    let args =
        Create4Args { objtype: CreateType4::Dir, objname: component("new"), createattrs: mode_attr(0o755) };
    walk(compound, &["export"]).op::<Create>(&args).op::<GetFh>(&())
}

fn open(compound: Compound) -> Compound {
    let args = open_args("new", BOTH, 0, "opener", unchecked());
    walk(compound, &["export"]).op::<Open>(&args).op::<GetFh>(&())
}

fn remove(compound: Compound) -> Compound {
    walk(compound, &["export"]).op::<Remove>(&Remove4Args { target: component("old") })
}

fn rename(compound: Compound) -> Compound {
    let args = Rename4Args { oldname: component("old"), newname: component("new") };
    walk(compound, &["export"]).op::<SaveFh>(&()).op::<Rename>(&args)
}

/// NFS4ERR_REP_TOO_BIG of a modifying operation means that it was not carried out.
#[rstest]
#[case::create(create, OP_CREATE, Change::Adds)]
#[case::open(open, OP_OPEN, Change::Adds)]
#[case::remove(remove, OP_REMOVE, Change::Removes)]
#[case::rename(rename, OP_RENAME, Change::Removes)]
#[tokio::test]
async fn what_has_no_room_for_its_result_has_not_happened(
    #[case] build: fn(Compound) -> Compound,
    #[case] opnum: OpNum,
    #[case] change: Change,
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (mut refused, mut done) = (0, 0);
    for limit in (92..400).step_by(12) {
        let server = TestServer::start().await;
        let mut witness = session(&server, "witness", minor).await;
        witness.mkdir("old").await;
        let mut session = session_of(&server, minor, cache, limit).await;
        let request = session.request(0, cache, build(session.compound()));
        let reply = session.client.run(&request).await;
        let result = reply.results.iter().find(|result| result.opnum == opnum);
        let is_done = result.is_some_and(|result| result.status.is_ok());
        let name = if change == Change::Adds { "new" } else { "old" };
        let found = witness.run(walk(witness.compound(), &["export", name])).await.status.is_ok();
        assert_eq!(found, is_done == (change == Change::Adds), "{limit}: {reply:?}");
        if !reply.status.is_ok() {
            assert_eq!(reply.status, too_big(cache));
        }
        (refused, done) = (refused + usize::from(!is_done), done + usize::from(is_done));
        server.stop().await;
    }
    assert!(refused > 1 && done > 1, "{refused} {done}");
}

#[rstest]
#[tokio::test]
async fn nothing_can_be_cached(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut session = session_of(&server, minor, CacheThis::Yes, 0).await;
    let cached =
        session.behind(&Sequence4Args { cache_this: true, ..session.sequence_args(0) }, session.compound());
    assert_eq!(statuses(&session.client.run(&cached).await), [NFS4ERR_REP_TOO_BIG_TO_CACHE]);
    session.sequence().await;
    server.stop().await;
}

/// RFC 8881 section 18.36.3: the RPC message counts, the record mark does not.
#[rstest]
#[tokio::test]
async fn requests_at_the_limit_and_above(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let name = |len| "n".repeat(len);
    let mut plain = session(&server, "plain", minor).await;
    let request = |session: &mut Session, len| {
        let compound = roots(minor, 1).op::<Lookup>(&named(&name(len)));
        session.request(0, CacheThis::No, compound)
    };
    let longest = request(&mut plain, 100);
    let len = plain.client.call_len(&longest);
    let mut options = options(minor);
    options.fore_channel.max_request_size = u32::try_from(len).unwrap();
    let mut session = Client::connect(&server).await.session_with("narrow", options).await;
    assert_eq!(session.fore_channel.max_request_size, options.fore_channel.max_request_size);
    let above = request(&mut session, 101);
    assert_eq!(session.client.call_len(&above), len + 4);
    assert_eq!(statuses(&session.client.run(&above).await), [NFS4ERR_REQ_TOO_BIG]);
    session.slots[0] -= 1;
    let at_limit = request(&mut session, 100);
    let reply = session.client.run(&at_limit).await;
    assert_eq!(statuses(&reply), [NFS4_OK, NFS4_OK, NFS4ERR_NOENT]);
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn operations_at_the_limit_and_above(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut options = options(minor);
    options.fore_channel.max_operations = 5;
    let mut session = Client::connect(&server).await.session_with("narrow", options).await;
    assert_eq!(session.fore_channel.max_operations, 5);
    for count in [5, 6, 20] {
        assert_eq!(statuses(&session.run(roots(minor, count)).await), [NFS4ERR_TOO_MANY_OPS]);
    }
    session.run(roots(minor, 4)).await.ok();
    server.stop().await;
}

fn few_slots() -> SessionLimits {
    SessionLimits {
        slots_initial: 4,
        slots_per_session: 9,
        slot_window: Duration::from_secs(10),
        ..SessionLimits::default()
    }
}

/// A SEQUENCE alone on a slot with its number, as a client that has this slot as the highest in use.
async fn on_slot(session: &mut Session, slotid: u32, sequenceid: u32) -> CompoundReply {
    let args = Sequence4Args {
        sessionid: session.sessionid,
        sequenceid,
        slotid,
        highest_slotid: slotid,
        cache_this: false,
    };
    let compound = session.behind(&args, session.compound());
    session.client.run(&compound).await
}

/// sr_highest_slotid and sr_target_highest_slotid after it.
async fn grant(session: &mut Session, slotid: u32, sequenceid: u32) -> (u32, u32) {
    let reply = on_slot(session, slotid, sequenceid).await.ok().get::<Sequence>();
    (reply.highest_slotid, reply.target_highest_slotid)
}

#[rstest]
#[tokio::test]
async fn slots_come_and_go(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = server_with(few_slots()).await;
    let mut wanting = options(minor);
    wanting.fore_channel.max_requests = 100;
    let mut session = Client::connect(&server).await.session_with("client", wanting).await;
    assert_eq!(session.fore_channel.max_requests, 4);
    let next = session.sequence_args(0).sequenceid;
    // RECLAIM_COMPLETE named a high slot: from the four slots it has grown by two.
    let (highest, target) = grant(&mut session, 0, next).await;
    assert_eq!(highest, target);
    assert!(highest > 3);
    // Whoever uses the highest slot gets more, up to the limit.
    let mut highest = highest;
    while highest < 8 {
        let (more, target) = grant(&mut session, highest, 1).await;
        assert!(more > highest && target == more, "{more} after {highest}");
        highest = more;
    }
    assert_eq!(highest, 8);
    assert_eq!(grant(&mut session, 8, 1).await, (8, 8));
    assert_eq!(statuses(&on_slot(&mut session, 9, 1).await), [NFS4ERR_BADSLOT]);
    // A window in which slot 0 alone is used: the target falls to what the session began with, the slots stay.
    server.clock.advance(Duration::from_secs(11));
    grant(&mut session, 0, next + 1).await;
    server.clock.advance(Duration::from_secs(11));
    let (highest, target) = grant(&mut session, 0, next + 2).await;
    assert_eq!((highest, target), (8, 3));
    // The client was told on this slot, and has let go: the slots go.
    assert_eq!(grant(&mut session, 0, next + 3).await, (3, 3));
    assert_eq!(statuses(&on_slot(&mut session, 8, 2).await), [NFS4ERR_BADSLOT]);
    // They come back, and begin with 1, or go on.
    let (highest, _) = grant(&mut session, 3, 1).await;
    assert!(highest > 3);
    on_slot(&mut session, 4, 1).await.ok();
    session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_slot_that_is_in_use_does_not_go() {
    let gate = Gate::default();
    let registry = dittofs_framework::registry::Registry::linked().wrap(OP_PUTROOTFH, gate.clone());
    let limits = dittofs_framework::compound::Limits { sessions: few_slots(), ..Default::default() };
    let server = TestServer::start_with(TestServerOptions { registry, limits, ..Default::default() }).await;
    let mut session = session(&server, "client", Minor::V1).await;
    grant(&mut session, 3, 1).await;
    let running = session.behind(
        &Sequence4Args { slotid: 4, sequenceid: 1, highest_slotid: 4, ..session.sequence_args(0) },
        roots(Minor::V1, 1),
    );
    let xid = session.client.send(&running).await;
    gate.arrival().await;
    for (sequenceid, expected) in [(2, (5, 5)), (3, (5, 3))] {
        server.clock.advance(Duration::from_secs(11));
        assert_eq!(grant(&mut session, 0, sequenceid).await, expected);
    }
    // Slot 5 goes, slot 4 has to wait.
    assert_eq!(grant(&mut session, 0, 4).await, (4, 3));
    assert_eq!(grant(&mut session, 0, 5).await, (4, 3));
    gate.open();
    session.client.receive(xid, &running).await.ok();
    assert_eq!(grant(&mut session, 0, 6).await, (3, 3));
    server.stop().await;
}

/// What a client does in the last moments of its lease.
#[derive(Clone, Copy)]
enum Sign {
    Sequence,
    RetryOfSequence,
    RefusedSequence,
    RpcNull,
    BindConnToSession,
    AnothersSequence,
}

/// RFC 8881 sections 8.3 and 18.46.3: a good SEQUENCE renews the lease, and one that fails must not.
#[rstest]
#[case::sequence(Sign::Sequence, true)]
#[case::retry(Sign::RetryOfSequence, true)]
#[case::refused_sequence(Sign::RefusedSequence, false)]
#[case::null(Sign::RpcNull, false)]
#[case::bind_conn_to_session(Sign::BindConnToSession, false)]
#[case::another_client(Sign::AnothersSequence, false)]
#[tokio::test]
async fn what_renews_the_lease(
    #[case] sign: Sign,
    #[case] renews: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let mut session = session(&server, "client", minor).await;
    session.open_as("file", BOTH, BOTH, "owner").await;
    let mut other = crate::common::session(&server, "other", minor).await;
    let last = session.request(0, CacheThis::Yes, roots(minor, 1));
    session.client.run(&last).await.ok();
    server.clock.advance(ALMOST_LEASE);
    match sign {
        Sign::Sequence => drop(session.sequence().await),
        Sign::RetryOfSequence => drop(session.client.run(&last).await.ok()),
        Sign::RefusedSequence => {
            let refused = on_slot(&mut session, 0, 100).await;
            assert_eq!(statuses(&refused), [NFS4ERR_SEQ_MISORDERED]);
        }
        Sign::RpcNull => {
            let target = dittofs_framework::testing::RpcTarget { procedure: 0, ..Client::COMPOUND };
            let credential = session.client.credential().clone();
            session.client.rpc().call(target, &credential, &()).await.unwrap();
        }
        Sign::BindConnToSession => {
            let args = BindConnToSession4Args {
                sessionid: session.sessionid,
                dir: ChannelDirFromClient::Fore,
                use_conn_in_rdma_mode: false,
            };
            let bind = Compound::new(minor).op::<dittofs_ops::bind_conn_to_session::BindConnToSession>(&args);
            session.client.run(&bind).await.ok();
        }
        Sign::AnothersSequence => drop(other.sequence().await),
    }
    other.sequence().await;
    server.clock.advance(2 * SECOND);
    server.service.reap().await;
    let args = open_args("file", BOTH, 0, "opener", unchecked());
    let open = walk(other.compound(), &["export"]).op::<Open>(&args);
    let opened = other.run(open).await.status;
    let told = session.sequence().await.status_flags;
    let lost = SequenceStatus::EXPIRED_ALL_STATE_REVOKED;
    let expected = if renews { (NFS4ERR_SHARE_DENIED, SequenceStatus::empty()) } else { (NFS4_OK, lost) };
    assert_eq!((opened, told), expected);
    server.stop().await;
}
