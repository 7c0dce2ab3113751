//! Requests of NFSv4.0 that are sent again at any time later, among others: the replies are those of the first time, and nothing
//! changes but by requests that are new.
//!
//! Origin: own model, a list of the replies.
//! RFC: 7530 section 3.1.1.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed step fails the test

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE};
use dittofs_framework::compound::{Nfs4Program, Nfs4Service};
use dittofs_framework::export::{ExportId, Namespace};
use dittofs_framework::proto::{Minor, Stateid, component};
use dittofs_framework::rpc::RpcReply;
use dittofs_framework::testing::{Compound, LocalClient};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::lookup::Lookup;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{mode_attr, named, walk};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// An operation on names in the share.
#[derive(Debug, Clone, Copy)]
enum Action {
    MakeDir(&'static str),
    MakeFifo(&'static str),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    SetMode(&'static str, u32),
    LookUp(&'static str),
}

/// What a client does next.
#[derive(Debug, Clone)]
enum Step {
    New(Vec<Action>),
    /// The request that was sent as many steps ago, modulo how many there were.
    Again(usize),
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        name().prop_map(Action::MakeDir),
        name().prop_map(Action::MakeFifo),
        name().prop_map(Action::Remove),
        (name(), name()).prop_map(|(from, to)| Action::Rename(from, to)),
        (name(), name()).prop_map(|(from, to)| Action::Link(from, to)),
        (name(), 0o400_u32..0o700).prop_map(|(name, mode)| Action::SetMode(name, mode)),
        name().prop_map(Action::LookUp),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(action(), 1..4).prop_map(Step::New),
        (0_usize..1000).prop_map(Step::Again),
    ]
}

fn share(compound: Compound) -> Compound {
    walk(compound, &["export"])
}

fn create(compound: Compound, name: &str, objtype: CreateType4) -> Compound {
    let args = Create4Args { objtype, objname: component(name), createattrs: mode_attr(0o700) };
    share(compound).op::<Create>(&args)
}

impl Action {
    fn append(self, compound: Compound) -> Compound {
        match self {
            Self::MakeDir(name) => create(compound, name, CreateType4::Dir),
            Self::MakeFifo(name) => create(compound, name, CreateType4::Fifo),
            Self::Remove(name) => share(compound).op::<Remove>(&Remove4Args { target: component(name) }),
            Self::Rename(from, to) => {
                let args = Rename4Args { oldname: component(from), newname: component(to) };
                share(compound).op::<SaveFh>(&()).op::<Rename>(&args)
            }
            Self::Link(from, to) => {
                let file = share(compound).op::<Lookup>(&named(from)).op::<SaveFh>(&());
                share(file).op::<Link>(&Link4Args { newname: component(to) })
            }
            Self::SetMode(name, mode) => {
                let args = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(mode) };
                share(compound).op::<Lookup>(&named(name)).op::<SetAttr>(&args)
            }
            Self::LookUp(name) => share(compound).op::<Lookup>(&named(name)),
        }
    }
}

struct Sent {
    xid: u32,
    compound: Compound,
    reply: Bytes,
}

impl Sent {
    /// Whether it came to an operation that must not be done twice: CREATE, LINK, REMOVE, RENAME, SETATTR. A request that failed
    /// before has done nothing, and is carried out anew.
    fn is_remembered(&self) -> bool {
        let results = self.compound.reply(&self.reply).results;
        results.iter().any(|result| [6, 11, 28, 29, 34].contains(&result.opnum.code()))
    }
}

struct World {
    client: LocalClient,
    observer: LocalClient,
    sent: Vec<Sent>,
}

impl World {
    fn new() -> Self {
        let fs = dittofs_tests::share_in_memory();
        let namespace = Namespace::builder().export(ExportId(1), "/export", fs).build().unwrap();
        let service = Arc::new(Nfs4Service::builder(namespace).minors(&[Minor::V0]).build().unwrap());
        let client = || LocalClient::new(Arc::new(Nfs4Program::new(service.clone())));
        Self { client: client(), observer: client(), sent: Vec::new() }
    }

    fn send_new(&mut self, actions: &[Action]) {
        let empty = Compound::new(Minor::V0).op::<PutRootFh>(&());
        let compound = actions.iter().fold(empty, |compound, action| action.append(compound));
        let reply = self.client.call(compound.encode());
        assert_eq!(reply.0, RpcReply::Success);
        self.sent.push(Sent { xid: self.client.xid(), compound, reply: reply.1.to_bytes() });
    }

    fn send_again(&mut self, ago: usize) {
        let Some(ago) = ago.checked_rem(self.sent.len()) else { return };
        let index = self.sent.len() - 1 - ago;
        let before = self.changes();
        let Sent { xid, compound, .. } = &self.sent[index];
        let reply = self.client.call_as(*xid, compound.encode()).1.to_bytes();
        let after = self.changes();
        let sent = &mut self.sent[index];
        if sent.is_remembered() {
            assert_eq!((&reply, after), (&sent.reply, before));
        } else {
            sent.reply = reply;
        }
    }

    /// The change attributes of the share and of what is in it.
    fn changes(&mut self) -> Vec<Bytes> {
        let change = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_CHANGE]) };
        let of = |at: Compound| at.op::<GetAttr>(&change).encode();
        let new = || share(Compound::new(Minor::V0));
        let mut asked = vec![of(new())];
        asked.extend(NAMES.map(|name| of(new().op::<Lookup>(&named(name)))));
        asked.into_iter().map(|request| self.observer.call(request).1.to_bytes()).collect()
    }
}

proptest! {
    #[test]
    fn duplicates_are_answered_as_before_and_change_nothing(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::New(actions) => world.send_new(&actions),
                Step::Again(ago) => world.send_again(ago),
            }
        }
    }
}
