//! COMPOUND of minor version 0 on any operations, behind an open file, and each request twice: what it makes, removes or renames is made,
//! removed or renamed once.
#![no_main]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dittofs_backends::store::{MemoryOptions, StoreFileSystem};
use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE};
use dittofs_framework::compound::{DuplicateLimits, Limits, Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::proto::{
    CbClient4, ClientAddr4, ClientId, Minor, NfsClientId4, NfsFh4, StateOwner, Stateid,
};
use dittofs_framework::rpc::RpcReply;
use dittofs_framework::testing::{Compound, CompoundReply, LocalClient};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{Open, Open4Args};
use dittofs_ops::open_confirm::{OpenConfirm, OpenConfirm4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setclientid::{SetClientid, SetClientid4Args, SetClientid4ResOk};
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};
use dittofs_tests::{BOTH, open_args, put, unchecked, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Little room, so that a SETATTR of a large size cannot fill the fuzzer's memory.
    let memory = MemoryOptions { capacity: 16 << 20, ..MemoryOptions::default() };
    let share = Arc::new(StoreFileSystem::in_memory(memory).expect("a share in memory"));
    let namespace = Namespace::builder().export(ExportId(1), "/export", share).build().unwrap();
    // No reply is too long to be kept.
    let duplicates =
        DuplicateLimits { bytes: usize::MAX, reply_bytes: usize::MAX, ..DuplicateLimits::default() };
    let limits = Limits { duplicates, ..Limits::default() };
    let builder = Nfs4Service::builder(namespace).minors(&[Minor::V0]).limits(limits);
    let service = Arc::new(builder.build().unwrap());
    let mut client = LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
    let clientid = set_clientid(&mut client);
    let (file, _) = open(&mut client, clientid);
    // Several requests, so that owners have sequences that go on.
    for ops in data.split(|byte| *byte == 0xa5) {
        let start = walk(new(), &["export"]).op::<SaveFh>(&()).op::<PutFh>(&put(&file));
        let mut request = BytesMut::from(&start.claim_count(12).encode()[..]);
        request.extend_from_slice(ops);
        let request = request.freeze();
        client.call(request.clone());
        let before = changes(&service);
        client.call_as(client.xid(), request);
        assert_eq!(changes(&service), before, "a duplicate changed the directory");
    }
    service.state().check_invariants().expect("the state's invariants");
    service.sessions().check_invariants();
});

fn new() -> Compound {
    Compound::new(Minor::V0)
}

fn run(client: &mut LocalClient, compound: &Compound) -> CompoundReply {
    let (reply, rope) = client.call(compound.encode());
    assert_eq!(reply, RpcReply::Success);
    compound.reply(&rope.to_bytes()).ok()
}

/// The change attribute of the share, which another client asks for.
fn changes(service: &Arc<Nfs4Service>) -> Bytes {
    let mut client = LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
    let attr_request = Bitmap::of(&[FATTR4_CHANGE]);
    let compound = walk(new(), &["export"]).op::<GetAttr>(&Getattr4Args { attr_request });
    run(&mut client, &compound).get::<GetAttr>().obj_attributes.attr_vals.0
}

fn set_clientid(client: &mut LocalClient) -> ClientId {
    let args = SetClientid4Args {
        client: NfsClientId4 { verifier: [1; 8], id: Opaque::from("client") },
        callback: CbClient4 {
            program: 0,
            location: ClientAddr4 { netid: Opaque::from("tcp"), addr: Opaque::from("0.0.0.0.0.0") },
        },
        callback_ident: 0,
    };
    let set = run(client, &new().op::<SetClientid>(&args)).get::<SetClientid>();
    let SetClientid4ResOk { clientid, setclientid_confirm } = set;
    let args = SetClientidConfirm4Args { clientid, setclientid_confirm };
    run(client, &new().op::<SetClientidConfirm>(&args));
    clientid
}

fn open(client: &mut LocalClient, clientid: ClientId) -> (NfsFh4, Stateid) {
    let owner = StateOwner { clientid, owner: Opaque::from("owner") };
    let args = Open4Args { owner, seqid: 1, ..open_args("file", BOTH, 0, "owner", unchecked()) };
    let opened = run(client, &walk(new(), &["export"]).op::<Open>(&args).op::<GetFh>(&()));
    let (file, open_stateid) = (opened.get::<GetFh>().object, opened.get::<Open>().stateid);
    let confirm =
        new().op::<PutFh>(&put(&file)).op::<OpenConfirm>(&OpenConfirm4Args { open_stateid, seqid: 2 });
    let stateid = run(client, &confirm).get::<OpenConfirm>();
    (file, stateid)
}
