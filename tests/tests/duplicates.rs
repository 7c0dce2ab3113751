//! Requests of NFSv4.0 that are sent again, over another connection: what they change is changed once.
//!
//! Origin: own tables.
//! RFC: 7530 section 3.1.1.

#![allow(clippy::unwrap_used)] // a test stops at what is not as it expects

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_MODE};
use dittofs_framework::compound::{CompoundContext, DuplicateLimits, Limits};
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{DynOperation, OpFuture};
use dittofs_framework::proto::*;
use dittofs_framework::registry::Registry;
use dittofs_framework::testing::{Compound, CompoundReply, encode_call, fragments};
use dittofs_framework::xdr::{XdrReader, XdrWriter};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setclientid::{SetClientid, SetClientid4ResOk};
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};
use dittofs_ops::verify::{Verify, Verify4Args};
use dittofs_tests::*;
use rstest::rstest;

const XID: u32 = 0x5eed;

async fn server(registry: Registry, duplicates: DuplicateLimits) -> TestServer {
    let limits = Limits { duplicates, ..Limits::default() };
    let minors = Some(vec![Minor::V0]);
    TestServer::start_with(TestServerOptions { registry, limits, minors, ..TestServerOptions::default() })
        .await
}

fn share() -> Compound {
    walk(Compound::new(Minor::V0), &["export"])
}

fn file() -> Compound {
    walk(Compound::new(Minor::V0), &["export", "old"])
}

fn create() -> Compound {
    let objname = component("old");
    share().op::<Create>(&Create4Args { objtype: CreateType4::Fifo, objname, createattrs: mode_attr(0o600) })
}

fn create_other() -> Compound {
    let objname = component("new");
    share().op::<Create>(&Create4Args { objtype: CreateType4::Dir, objname, createattrs: mode_attr(0o700) })
}

fn link() -> Compound {
    let into = file().op::<SaveFh>(&());
    share().after(into).op::<Link>(&Link4Args { newname: component("new") })
}

fn remove() -> Compound {
    share().op::<Remove>(&Remove4Args { target: component("old") })
}

fn rename() -> Compound {
    let args = Rename4Args { oldname: component("old"), newname: component("new") };
    share().op::<SaveFh>(&()).op::<Rename>(&args)
}

/// With a guard, without which it could be done again.
fn setattr() -> Compound {
    let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o644) };
    file().op::<Verify>(&Verify4Args { obj_attributes: mode_attr(0o600) }).op::<SetAttr>(&args)
}

/// The record of a request with this xid, and what a test does with it.
struct Request {
    xid: u32,
    compound: Compound,
}

impl Request {
    fn of(compound: &Compound) -> Self {
        Self { xid: XID, compound: compound.clone() }
    }

    async fn send(&self, client: &mut Client) {
        let message = encode_call(self.xid, Client::COMPOUND, client.credential(), &self.compound.encode());
        client.rpc().write_raw(&fragments(&message, usize::MAX)).await.unwrap();
    }

    /// Over a connection of its own, from a port of its own.
    async fn run(&self, server: &TestServer) -> Bytes {
        let mut client = Client::connect(server).await;
        self.send(&mut client).await;
        client.rpc().read_record().await.unwrap()
    }

    async fn reply(&self, server: &TestServer) -> CompoundReply {
        let record = self.run(server).await;
        self.compound.reply(&record.slice(RPC_HEADER..))
    }
}

/// A reply with a verifier of AUTH_NONE, up to its results.
const RPC_HEADER: usize = 24;

#[rstest]
#[case::create(create_other(), NFS4ERR_EXIST)]
#[case::link(link(), NFS4ERR_EXIST)]
#[case::remove(remove(), NFS4ERR_NOENT)]
#[case::rename(rename(), NFS4ERR_NOENT)]
#[case::setattr(setattr(), NFS4ERR_NOT_SAME)]
#[tokio::test]
async fn what_is_sent_again_is_done_once(#[case] compound: Compound, #[case] if_done_again: Status) {
    let server = server(Registry::linked(), DuplicateLimits::default()).await;
    Client::connect(&server).await.run(&create()).await.ok();

    let request = Request::of(&compound);
    let first = request.run(&server).await;
    compound.reply(&first.slice(RPC_HEADER..)).ok();
    for _ in 0..2 {
        assert_eq!(request.run(&server).await, first);
    }
    let new = Request { xid: XID + 1, ..request };
    assert_eq!(new.reply(&server).await.status, if_done_again, "a new request is no duplicate");
    server.stop().await;
}

#[tokio::test]
async fn a_failure_is_remembered_too() {
    let server = server(Registry::linked(), DuplicateLimits::default()).await;
    let request = Request::of(&remove());
    let first = request.run(&server).await;
    Client::connect(&server).await.run(&create()).await.ok();
    assert_eq!(request.run(&server).await, first);
    assert_eq!(request.reply(&server).await.status, NFS4ERR_NOENT);
    server.stop().await;
}

#[tokio::test]
async fn another_user_is_not_answered_what_root_was() {
    let server = server(Registry::linked(), DuplicateLimits::default()).await;
    Client::connect(&server).await.run(&create()).await.ok();
    let request = Request::of(&remove());
    request.reply(&server).await.ok();
    let mut other = Client::connect(&server).await;
    other.act_as(1000, 1000, &[]);
    request.send(&mut other).await;
    let reply = other.rpc().read_record().await.unwrap();
    assert_eq!(request.compound.reply(&reply.slice(RPC_HEADER..)).status, NFS4ERR_NOENT);
    server.stop().await;
}

#[tokio::test]
async fn what_changes_nothing_is_done_again() {
    let server = server(Registry::linked(), DuplicateLimits::default()).await;
    let attr_request = Bitmap::of(&[FATTR4_CHANGE, FATTR4_MODE]);
    let request = Request::of(&share().op::<GetAttr>(&Getattr4Args { attr_request }));
    let first = request.run(&server).await;
    assert_eq!(request.run(&server).await, first);
    Client::connect(&server).await.run(&create()).await.ok();
    assert_ne!(request.run(&server).await, first);
    server.stop().await;
}

/// RFC 7530 sections 16.33.5 and 16.34.5: both are answered from what is remembered, and change nothing then.
#[tokio::test]
async fn a_client_id_is_set_and_confirmed_once() {
    let server = server(Registry::linked(), DuplicateLimits::default()).await;
    let set = |verifier| Compound::new(Minor::V0).op::<SetClientid>(&setclientid_args("client", verifier));
    let confirm = |set: &CompoundReply| {
        let SetClientid4ResOk { clientid, setclientid_confirm } = set.get::<SetClientid>();
        let args = SetClientidConfirm4Args { clientid, setclientid_confirm };
        Compound::new(Minor::V0).op::<SetClientidConfirm>(&args)
    };
    let setting = Request::of(&set([1; 8]));
    let first = setting.reply(&server).await.ok();
    assert_eq!(
        setting.reply(&server).await.raw,
        first.raw,
        "another SETCLIENTID has another verifier to confirm"
    );
    let confirming = Request::of(&confirm(&first));
    confirming.reply(&server).await.ok();

    // The client starts anew, and its first incarnation is gone.
    let mut client = Client::connect(&server).await;
    let second = client.run(&set([2; 8])).await.ok();
    client.run(&confirm(&second)).await.ok();
    confirming.reply(&server).await.ok();
    let new = Request { xid: XID + 1, ..confirming };
    assert_eq!(new.reply(&server).await.status, NFS4ERR_STALE_CLIENTID);
    server.stop().await;
}

/// RFC 7530 section 3.1.1 forbids to drop it silently, and the reply to the first goes to a connection that is gone.
#[tokio::test]
async fn the_duplicate_of_what_runs_gets_its_reply() {
    let gate = Gate::default();
    let server = server(Registry::linked().wrap(OP_REMOVE, gate.clone()), DuplicateLimits::default()).await;
    Client::connect(&server).await.run(&create()).await.ok();
    let request = Request::of(&remove());
    let mut first = Client::connect(&server).await;
    request.send(&mut first).await;
    gate.arrival().await;
    drop(first);

    let mut second = Client::connect(&server).await;
    request.send(&mut second).await;
    second.run(&Compound::new(Minor::V0).op::<PutRootFh>(&())).await.ok();
    gate.open();
    let reply = second.rpc().read_record().await.unwrap();
    request.compound.reply(&reply.slice(RPC_HEADER..)).ok();
    assert_eq!(gate.runs(), 1);
    server.stop().await;
}

/// Panics when it is run for the first time.
#[derive(Default)]
struct PanicOnce(AtomicBool);

impl Layer for PanicOnce {
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        assert!(self.0.swap(true, Ordering::SeqCst), "the first time");
        next.run(cx, args, reply)
    }
}

#[tokio::test]
async fn what_was_lost_is_done_again() {
    let registry = Registry::linked().wrap(OP_REMOVE, PanicOnce::default());
    let server = server(registry, DuplicateLimits::default()).await;
    let mut client = Client::connect(&server).await;
    client.run(&create()).await.ok();
    let request = Request::of(&remove());
    let system_err = [XID, 1, 0, 0, 0, 5].map(u32::to_be_bytes).concat();
    assert_eq!(request.run(&server).await, system_err);
    request.reply(&server).await.ok();
    server.stop().await;
}

#[rstest]
#[case::the_defaults(DuplicateLimits::default(), Duration::ZERO, NFS4_OK)]
#[case::after_almost_the_age(DuplicateLimits::default(), Duration::from_secs(119), NFS4_OK)]
#[case::after_the_age(DuplicateLimits::default(), Duration::from_mins(2), NFS4ERR_NOENT)]
#[case::after_another_age(DuplicateLimits { age: Duration::from_secs(5), ..DuplicateLimits::default() }, Duration::from_secs(5), NFS4ERR_NOENT)]
#[case::with_room_for_one(DuplicateLimits { entries: 1, ..DuplicateLimits::default() }, Duration::ZERO, NFS4ERR_NOENT)]
#[case::with_room_for_two(DuplicateLimits { entries: 2, ..DuplicateLimits::default() }, Duration::ZERO, NFS4_OK)]
#[case::too_many_bytes(DuplicateLimits { entries: 8, bytes: 100, ..DuplicateLimits::default() }, Duration::ZERO, NFS4ERR_NOENT)]
#[case::too_long(DuplicateLimits { reply_bytes: 50, ..DuplicateLimits::default() }, Duration::ZERO, NFS4ERR_NOENT)]
#[tokio::test]
async fn how_much_is_remembered(
    #[case] limits: DuplicateLimits,
    #[case] after: Duration,
    #[case] expected: Status,
) {
    let server = server(Registry::linked(), limits).await;
    Client::connect(&server).await.run(&create()).await.ok();
    let request = Request::of(&remove());
    request.reply(&server).await.ok();
    Client::connect(&server).await.run(&create_other()).await.ok();
    server.clock.advance(after);
    assert_eq!(request.reply(&server).await.status, expected);
    server.stop().await;
}

/// What runs is not forgotten to make room for another.
#[tokio::test]
async fn a_request_waits_while_none_can_be_remembered() {
    let gate = Gate::default();
    let limits = DuplicateLimits { entries: 1, ..DuplicateLimits::default() };
    let server = server(Registry::linked().wrap(OP_REMOVE, gate.clone()), limits).await;
    let mut first = Client::connect(&server).await;
    first.run(&create()).await.ok();
    let xid = first.send(&remove()).await;
    gate.arrival().await;
    let refused = Client::connect(&server).await.run(&create_other()).await;
    assert_eq!(refused.status, NFS4ERR_DELAY);
    gate.open();
    first.receive(xid, &remove()).await.ok();
    Client::connect(&server).await.run(&create_other()).await.ok();
    server.stop().await;
}
