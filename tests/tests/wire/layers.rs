//! Origin: what an embedder does with the registry: an operation added, replaced, wrapped, and taken out, as a client sees it.
//! RFC: 8881 sections 15.1.3 and 16.2.3.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{DynOperation, Minors, OpDescriptor, OpFlags, OpFuture, OpResult, Operation};
use dittofs_framework::proto::*;
use dittofs_framework::registry::Registry;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{Opaque, XdrReader, XdrWriter};
use dittofs_framework::xdr_struct;
use dittofs_ops::getfh::{GetFh, Getfh4ResOk};
use dittofs_ops::lookup::Lookup;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::common::*;

xdr_struct! {
    /// What the vendor's operation takes and gives back.
    #[derive(Clone, PartialEq, Eq)]
    pub(crate) struct Echo {
        pub(crate) text: Opaque<16>,
        pub(crate) number: u64,
    }
}

const VENDOR: OpNum = OpNum::from_code(900);

/// A vendor's operation: needs a current filehandle, and refuses zero.
struct VendorEcho;

impl Operation for VendorEcho {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        name: "VENDOR_ECHO",
        minors: Minors::SINCE_V4_2,
        ..OpDescriptor::new(VENDOR, &[NFS4ERR_BADXDR, NFS4ERR_NOFILEHANDLE, NFS4ERR_INVAL])
    };
    type Args = Echo;
    type Res = Echo;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Echo) -> OpResult<Echo> {
        cx.current()?;
        if args.number == 0 { Err(NFS4ERR_INVAL.into()) } else { Ok(args) }
    }
}

async fn server_of(registry: Registry) -> TestServer {
    TestServer::start_with(TestServerOptions { registry, ..TestServerOptions::default() }).await
}

fn echo(number: u64) -> Echo {
    Echo { text: Opaque::from("text"), number }
}

#[rstest]
#[case::good(Minor::V2, true, 7, NFS4_OK)]
#[case::its_own_error(Minor::V2, true, 0, NFS4ERR_INVAL)]
#[case::without_filehandle(Minor::V2, false, 7, NFS4ERR_NOFILEHANDLE)]
#[case::not_in_that_minor_version(Minor::V1, true, 7, NFS4ERR_OP_ILLEGAL)]
#[tokio::test]
async fn an_operation_that_was_added(
    #[case] minor: Minor,
    #[case] with_filehandle: bool,
    #[case] number: u64,
    #[case] expected: Status,
) {
    let server = server_of(Registry::linked().add(VendorEcho)).await;
    let mut session = session(&server, "client", minor).await;
    let compound = roots(minor, usize::from(with_filehandle)).op::<VendorEcho>(&echo(number));
    let request = session.request(1, CacheThis::Yes, compound);
    let reply = session.client.run(&request).await;
    assert_eq!(reply.status, expected);
    if expected.is_ok() {
        assert_eq!(reply.get::<VendorEcho>(), echo(number));
    }
    assert_eq!(session.client.run(&request).await.raw, reply.raw, "its reply is cached as any");
    server.stop().await;
}

#[tokio::test]
async fn an_operation_that_was_added_has_its_place_like_any() {
    let server = server_of(Registry::linked().add(VendorEcho)).await;
    let mut session = session(&server, "client", Minor::V2).await;
    let alone = Compound::new(Minor::V2).op::<VendorEcho>(&echo(1));
    assert_eq!(statuses(&session.client.run(&alone).await), [NFS4ERR_OP_NOT_IN_SESSION]);
    for number in [899, 901, 1023, 1024, u32::MAX] {
        let compound = roots(Minor::V2, 1).raw(OpNum::from_code(number), &[]);
        let reply = session.run(compound).await;
        assert_eq!(reply.status, NFS4ERR_OP_ILLEGAL, "{number}");
        assert_eq!(reply.results[2].opnum, OP_ILLEGAL);
    }
    let too_long = roots(Minor::V2, 1).op_with_args::<VendorEcho>(&[0xff; 32]);
    assert_eq!(session.run(too_long).await.status, NFS4ERR_BADXDR);
    server.stop().await;
}

/// A GETFH that hides every filehandle.
struct HiddenFh;

impl Operation for HiddenFh {
    const DESCRIPTOR: OpDescriptor =
        OpDescriptor { flags: OpFlags::NO_CURRENT_FH, ..OpDescriptor::new(OP_GETFH, &[NFS4ERR_BADXDR]) };
    type Args = ();
    type Res = Getfh4ResOk;

    async fn call(&self, _: &mut CompoundContext<'_>, (): ()) -> OpResult<Getfh4ResOk> {
        Ok(Getfh4ResOk { object: Opaque::from("hidden") })
    }
}

#[rstest]
#[tokio::test]
async fn an_operation_that_was_replaced(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = server_of(Registry::linked().replace(HiddenFh)).await;
    let mut session = session(&server, "client", minor).await;
    // By its row, this one needs no filehandle.
    let reply = session.run(session.compound().op::<GetFh>(&())).await.ok();
    assert_eq!(&reply.get::<GetFh>().object[..], b"hidden");
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn an_operation_that_was_taken_out(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = server_of(Registry::linked().remove(OP_LOOKUP)).await;
    let mut session = session(&server, "client", minor).await;
    let compound = roots(minor, 1).op::<Lookup>(&named("export")).op::<GetFh>(&());
    let reply = session.run(compound).await;
    assert_eq!(statuses(&reply), [NFS4_OK, NFS4_OK, NFS4ERR_NOTSUPP]);
    assert_eq!(reply.results[2].opnum, OP_LOOKUP);
    let alone = Compound::new(minor).op::<Lookup>(&named("export"));
    assert_eq!(statuses(&session.client.run(&alone).await), [NFS4ERR_NOTSUPP]);
    server.stop().await;
}

/// Refuses whatever it stands before, and counts how often.
#[derive(Clone, Default)]
struct Deny(Arc<AtomicUsize>);

impl Layer for Deny {
    fn call<'a>(
        &'a self,
        _: &'a dyn DynOperation,
        _: &'a mut CompoundContext<'_>,
        _: &'a mut XdrReader<'_>,
        _: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Err(NFS4ERR_ACCESS.into())))
    }
}

/// Notes its mark and the operation, and lets it run.
#[derive(Clone)]
struct Notes {
    mark: char,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Layer for Notes {
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        self.seen.lock().unwrap().push(format!("{}{}", self.mark, next.descriptor().name));
        next.run(cx, args, reply)
    }
}

#[rstest]
#[tokio::test]
async fn an_operation_that_was_wrapped(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let deny = Deny::default();
    let server = server_of(Registry::linked().wrap(OP_REMOVE, deny.clone())).await;
    let mut session = session(&server, "client", minor).await;
    session.mkdir("dir").await;
    let args = Remove4Args { target: component("dir") };
    let remove = walk(session.compound(), &["export"]).op::<Remove>(&args);
    assert_eq!(session.run(remove).await.status, NFS4ERR_ACCESS);
    session.lookup(&["export", "dir"]).await;
    // Where the row does not admit the operation, the layer is not asked.
    let nowhere = session.compound().op::<Remove>(&args);
    assert_eq!(session.run(nowhere).await.status, NFS4ERR_NOFILEHANDLE);
    assert_eq!(deny.0.load(Ordering::SeqCst), 1);
    server.stop().await;
}

#[tokio::test]
async fn layers_run_from_the_last_to_the_first() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let notes = |mark| Notes { mark, seen: seen.clone() };
    let registry =
        Registry::linked().wrap(OP_GETFH, notes('a')).wrap_all(notes('b')).wrap(OP_GETFH, notes('c'));
    let server = server_of(registry).await;
    let mut session = session(&server, "client", Minor::V1).await;
    seen.lock().unwrap().clear();
    let reply = session.run(roots(Minor::V1, 1).op::<GetFh>(&())).await.ok();
    assert_eq!(*seen.lock().unwrap(), ["bSEQUENCE", "bPUTROOTFH", "cGETFH", "bGETFH", "aGETFH"]);
    let plain = server_of(Registry::linked()).await;
    let mut other = crate::common::session(&plain, "client", Minor::V1).await;
    let unlayered = other.run(roots(Minor::V1, 1).op::<PutRootFh>(&()).op::<GetFh>(&())).await.ok();
    assert_eq!(reply.get::<GetFh>().object.len(), unlayered.get::<GetFh>().object.len());
    plain.stop().await;
    server.stop().await;
}
