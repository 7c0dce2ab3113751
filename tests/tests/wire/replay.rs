//! Origin: each request is carried out once, whatever comes twice, by another connection, too early, or never comes to its end.
//! RFC: 8881 sections 2.10.6, 2.10.6.1 to 2.10.6.2, 18.36.4 and 18.46.3.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{DynOperation, OpFuture};
use dittofs_framework::proto::*;
use dittofs_framework::registry::Registry;
use dittofs_framework::testing::{Compound, CompoundReply, RpcError};
use dittofs_framework::xdr::{Opaque, XdrReader, XdrWriter};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lookup::Lookup;
use dittofs_ops::open::Open;
use dittofs_ops::putfh::PutFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

fn solo(session: &Session, _: &OpenFile) -> Compound {
    session.compound()
}

fn read(session: &Session, file: &OpenFile) -> Compound {
    let args = Read4Args { stateid: file.stateid, offset: 0, count: 5000 };
    session.compound().op::<PutFh>(&put(&file.fh)).op::<Read>(&args)
}

fn write(session: &Session, file: &OpenFile) -> Compound {
    let data = Opaque(Bytes::from_static(b"written"));
    let args = Write4Args { stateid: file.stateid, offset: 9, stable: StableHow4::FileSync, data };
    session.compound().op::<PutFh>(&put(&file.fh)).op::<Write>(&args)
}

fn open(session: &Session, _: &OpenFile) -> Compound {
    let args = open_args("another", BOTH, 0, "owner", unchecked());
    walk(session.compound(), &["export"]).op::<Open>(&args).op::<GetFh>(&())
}

fn create(session: &Session, _: &OpenFile) -> Compound {
    let args =
        Create4Args { objtype: CreateType4::Dir, objname: component("new"), createattrs: mode_attr(0o755) };
    walk(session.compound(), &["export"]).op::<Create>(&args).op::<GetFh>(&())
}

fn remove(session: &Session, _: &OpenFile) -> Compound {
    walk(session.compound(), &["export"]).op::<Remove>(&Remove4Args { target: component("file") })
}

fn fails_first(session: &Session, _: &OpenFile) -> Compound {
    session.compound().op::<GetFh>(&()).op::<PutRootFh>(&())
}

fn fails_later(session: &Session, _: &OpenFile) -> Compound {
    session.compound().op::<PutRootFh>(&()).op::<Lookup>(&named("nowhere"))
}

fn illegal(session: &Session, _: &OpenFile) -> Compound {
    session.compound().raw(OpNum::from_code(2), &[])
}

fn of_v4_0(session: &Session, _: &OpenFile) -> Compound {
    session.compound().raw(OP_SETCLIENTID, &[0; 64])
}

fn bad_xdr(session: &Session, _: &OpenFile) -> Compound {
    session.compound().op_with_args::<PutFh>(&[0, 0, 1, 0])
}

type Build = fn(&Session, &OpenFile) -> Compound;

async fn prepare(server: &TestServer, minor: Minor) -> (Session, OpenFile) {
    let mut session = session(server, "client", minor).await;
    let file = session.open("file").await;
    session.write(&file, 0, &[42; 6000]).await;
    (session, file)
}

#[rstest]
#[case::solo(solo)]
#[case::read(read)]
#[case::write(write)]
#[case::open(open)]
#[case::create(create)]
#[case::remove(remove)]
#[case::fails_first(fails_first)]
#[case::fails_later(fails_later)]
#[case::illegal(illegal)]
#[case::of_v4_0(of_v4_0)]
#[case::bad_xdr(bad_xdr)]
#[tokio::test]
async fn a_cached_reply_comes_again_byte_for_byte(
    #[case] build: Build,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut session, file) = prepare(&server, minor).await;
    let compound = build(&session, &file).tag(b"a tag of its own");
    let request = session.request(1, CacheThis::Yes, compound);
    let first = session.client.run(&request).await;
    assert_eq!(session.client.run(&request).await.raw, first.raw);
    // What changes meanwhile does not change the reply.
    session.write(&file, 0, &[43; 100]).await;
    assert_eq!(session.client.run(&request).await.raw, first.raw);
    let mut other = Client::connect(&server).await;
    for _ in 0..2 {
        assert_eq!(other.run(&request).await.raw, first.raw, "by another connection");
    }
    let next = session.request(1, CacheThis::No, session.compound());
    other.run(&next).await.ok();
    assert_eq!(statuses(&other.run(&request).await), [NFS4ERR_SEQ_MISORDERED], "it is gone");
    server.stop().await;
}

/// RFC 8881 section 2.10.6.1.3: the whole reply, or the result of SEQUENCE and NFS4ERR_RETRY_UNCACHED_REP for the next
/// operation, but never that for SEQUENCE, nor for an operation that the minor version does not have.
#[rstest]
#[case::solo(solo, false)]
#[case::read(read, true)]
#[case::write(write, true)]
#[case::open(open, true)]
#[case::create(create, true)]
#[case::remove(remove, true)]
#[case::fails_first(fails_first, true)]
#[case::fails_later(fails_later, true)]
#[case::illegal(illegal, false)]
#[case::of_v4_0(of_v4_0, false)]
#[case::bad_xdr(bad_xdr, true)]
#[tokio::test]
async fn a_reply_that_is_not_cached(
    #[case] build: Build,
    #[case] may_be_left_out: bool,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut session, file) = prepare(&server, minor).await;
    let request = session.request(1, CacheThis::No, build(&session, &file).tag(b"tag"));
    let first = session.client.run(&request).await;
    let again = session.client.run(&request).await;
    if again.raw != first.raw {
        assert!(may_be_left_out, "{again:?}");
        assert_eq!(statuses(&again), [NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP]);
        assert_eq!(again.results[0].body, first.results[0].body, "the result of SEQUENCE");
        assert_eq!(again.results[1].opnum, first.results[1].opnum);
        assert_eq!(again.tag, first.tag);
    }
    assert_eq!(session.client.run(&request).await.raw, again.raw);
    session.request(1, CacheThis::No, session.compound());
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_retry_does_not_happen_again(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (server, gate) = gated(OP_CREATE).await;
    let (mut session, file) = prepare(&server, minor).await;
    gate.open();
    let request = session.request(1, cache, create(&session, &file));
    session.client.run(&request).await.ok();
    let remove =
        walk(session.compound(), &["export"]).op::<Remove>(&Remove4Args { target: component("new") });
    session.run(remove).await.ok();
    let mut other = Client::connect(&server).await;
    for _ in 0..3 {
        session.client.run(&request).await;
        other.run(&request).await;
    }
    assert_eq!(gate.runs(), 1);
    let found = session.run(walk(session.compound(), &["export", "new"])).await;
    assert_eq!(found.status, NFS4ERR_NOENT);
    server.stop().await;
}

fn with_more(session: &Session, file: &OpenFile) -> Compound {
    write(session, file).op::<GetFh>(&())
}

fn with_other_data(session: &Session, file: &OpenFile) -> Compound {
    let data = Opaque(Bytes::from_static(b"WRITTEN"));
    let args = Write4Args { stateid: file.stateid, offset: 9, stable: StableHow4::FileSync, data };
    session.compound().op::<PutFh>(&put(&file.fh)).op::<Write>(&args)
}

/// A request that bears the numbers of another. It may be answered with NFS4ERR_SEQ_FALSE_RETRY, and must be for another user.
#[rstest]
#[case::solo(solo, 0)]
#[case::other_operations(read, 0)]
#[case::more_operations(with_more, 0)]
#[case::other_arguments(with_other_data, 0)]
#[case::another_user(write, 1000)]
#[tokio::test]
async fn a_false_retry(
    #[case] build: Build,
    #[case] uid: u32,
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let server = TestServer::start().await;
    let (mut session, file) = prepare(&server, minor).await;
    let request = session.request(1, cache, write(&session, &file));
    session.client.run(&request).await.ok();
    let retried = session.client.run(&request).await;
    session.slots[1] -= 1;
    let other = session.request(1, cache, build(&session, &file));
    session.act_as(uid, uid, &[]);
    assert_eq!(statuses(&session.client.run(&other).await), [NFS4ERR_SEQ_FALSE_RETRY]);
    session.act_as(0, 0, &[]);
    assert_eq!(session.client.run(&request).await.raw, retried.raw, "the slot is as it was");
    assert_eq!(&session.read(&file, 9, 7).await.data[..], b"written");
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_retry_of_a_running_request(
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (server, gate) = gated(OP_PUTROOTFH).await;
    let mut session = session(&server, "client", minor).await;
    let running = session.request(0, cache, roots(minor, 1).op::<GetFh>(&()));
    let xid = session.client.send(&running).await;
    gate.arrival().await;
    let mut other = Client::connect(&server).await;
    for _ in 0..3 {
        assert_eq!(statuses(&session.client.run(&running).await), [NFS4ERR_DELAY]);
        assert_eq!(statuses(&other.run(&running).await), [NFS4ERR_DELAY]);
    }
    let next = session.behind(&session.sequence_args(0), session.compound());
    assert_eq!(statuses(&other.run(&next).await), [NFS4ERR_SEQ_MISORDERED], "it is not over");
    let elsewhere = session.request(1, CacheThis::No, session.compound());
    other.run(&elsewhere).await.ok();
    gate.open();
    let reply = session.client.receive(xid, &running).await.ok();
    let retried = other.run(&running).await;
    if cache == CacheThis::Yes {
        assert_eq!(retried.raw, reply.raw);
    } else {
        assert_eq!(statuses(&retried), [NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP]);
    }
    assert_eq!(gate.runs(), 1);
    other.run(&next).await.ok();
    server.stop().await;
}

/// Retries until the request is over.
async fn reply_in_the_end(client: &mut Client, request: &Compound) -> CompoundReply {
    loop {
        let reply = client.run(request).await;
        if reply.status != NFS4ERR_DELAY {
            return reply;
        }
        tokio::task::yield_now().await;
    }
}

#[rstest]
#[tokio::test]
async fn a_request_outlives_its_connection(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (server, gate) = gated(OP_CREATE).await;
    let (mut session, file) = prepare(&server, minor).await;
    let request = session.request(1, CacheThis::Yes, create(&session, &file));
    session.client.send(&request).await;
    gate.arrival().await;
    session.client = Client::connect(&server).await;
    assert_eq!(statuses(&session.client.run(&request).await), [NFS4ERR_DELAY]);
    gate.open();
    let reply = reply_in_the_end(&mut session.client, &request).await.ok();
    let found = session.lookup(&["export", "new"]).await;
    assert_eq!(reply.get::<GetFh>().object, found);
    assert_eq!(gate.runs(), 1);
    assert_eq!(session.client.run(&request).await.raw, reply.raw);
    server.stop().await;
}

/// Lets the operation run and panics then, at once or after it had to wait.
#[derive(Clone)]
struct Panics {
    runs: Arc<AtomicUsize>,
    waits: Option<Gate>,
}

impl Layer for Panics {
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        Box::pin(async move {
            self.runs.fetch_add(1, Ordering::SeqCst);
            match &self.waits {
                Some(gate) => gate.call(next, cx, args, reply).await?,
                None => next.run(cx, args, reply).await?,
            }
            panic!("a handler that panics");
        })
    }
}

#[rstest]
#[case::at_once(false)]
#[case::after_waiting(true)]
#[tokio::test]
async fn a_handler_that_panics_leaves_a_defined_answer(
    #[case] waits: bool,
    #[values(CacheThis::Yes, CacheThis::No)] cache: CacheThis,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let layer = Panics { runs: Arc::default(), waits: waits.then(Gate::default) };
    let registry = Registry::linked().wrap(OP_CREATE, layer.clone());
    let server = TestServer::start_with(TestServerOptions { registry, ..Default::default() }).await;
    let (mut session, file) = prepare(&server, minor).await;
    let request = session.request(1, cache, create(&session, &file));
    if let Some(gate) = &layer.waits {
        gate.open();
    }
    let failed = session.client.try_run(&request).await;
    assert!(matches!(failed, Err(RpcError::SystemErr)), "{failed:?}");
    let mut other = Client::connect(&server).await;
    for _ in 0..2 {
        // It may have been carried out, and here it was: it is not carried out again.
        for client in [&mut session.client, &mut other] {
            let again = client.run(&request).await;
            assert_eq!(statuses(&again), [NFS4_OK, NFS4ERR_RETRY_UNCACHED_REP]);
        }
    }
    assert_eq!(layer.runs.load(Ordering::SeqCst), 1);
    let next = session.request(1, CacheThis::Yes, walk(session.compound(), &["export", "new"]));
    session.client.run(&next).await.ok();
    session.client.run(&destroy_session(minor, session.sessionid)).await.ok();
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn slots_are_independent(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let (mut session, file) = prepare(&server, minor).await;
    let mut requests = Vec::new();
    for slot in 1..8 {
        let request = session.request(slot, CacheThis::Yes, write(&session, &file));
        let reply = session.client.run(&request).await.ok();
        requests.push((request, reply));
    }
    for (request, reply) in requests.iter().rev() {
        assert_eq!(session.client.run(request).await.raw, reply.raw);
    }
    server.stop().await;
}

#[tokio::test]
async fn many_requests_at_a_time_are_answered_each_with_its_own() {
    let server = TestServer::start().await;
    let (mut session, file) = prepare(&server, Minor::V2).await;
    let mut sent = Vec::new();
    for round in 0..3_u64 {
        for slot in 0..8 {
            let args = Read4Args { stateid: file.stateid, offset: round * 8 + u64::from(slot), count: 1 };
            let compound = session.compound().op::<PutFh>(&put(&file.fh)).op::<Read>(&args);
            let request = session.request(slot, CacheThis::Yes, compound);
            let xid = session.client.send(&request).await;
            sent.push((xid, request, slot));
        }
        for (xid, request, slot) in sent.drain(..).rev() {
            let reply = session.client.receive(xid, &request).await.ok();
            assert_eq!(reply.get::<dittofs_ops::sequence::Sequence>().slotid, slot);
            assert_eq!(&reply.get::<Read>().data[..], [42]);
        }
    }
    server.stop().await;
}
