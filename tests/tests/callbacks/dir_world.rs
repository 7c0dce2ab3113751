//! A directory that one client holds a delegation of, and another that changes it.
//!
//! Origin: own.
//! RFC: 8881 sections 10.9 and 20.4.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_MODE, FATTR4_TYPE,
};
use dittofs_framework::compound::Limits;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{CbArgs, CbOp, NfsFh4, NfsTime, Notification, NotifyType, Stateid, component};
use dittofs_framework::state::NotifyLimits;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::{XdrDecode, XdrEncode};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::get_dir_delegation::{GetDirDelegation, GetDirDelegation4Args, GetDirDelegation4Res};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::open::Open;
use dittofs_ops::putfh::PutFh;
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setxattr::{SetXattr, SetXattr4Args, SetXattrOption4};
use dittofs_tests::callbacks::{BackOptions, DelegClient, Delegation};
use dittofs_tests::{
    BOTH, DirectoriesToEverybody, TestServer, TestServerOptions, mode_attr, put, unchecked, walk,
};

pub(crate) const ENTRIES: &[NotifyType] =
    &[NotifyType::AddEntry, NotifyType::RemoveEntry, NotifyType::RenameEntry];
pub(crate) const CHILD: &[u32] = &[FATTR4_TYPE, FATTR4_FILEHANDLE, FATTR4_FILEID];
pub(crate) const DIR: &[u32] = &[FATTR4_CHANGE, FATTR4_MODE];

/// What the other client does to a directory `at` with the entries `there` and `other` (a fifo) and `file` (a file).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Create,
    OpenCreate,
    Remove,
    Rename,
    RenameOver,
    MoveOut,
    MoveIn,
    MoveOver,
    Link,
    Chmod,
    SetXattr,
    RenameDir,
}

impl Change {
    /// Those that clients can be told of.
    pub(crate) const TOLD: [Self; 10] = [
        Self::Create,
        Self::OpenCreate,
        Self::Remove,
        Self::Rename,
        Self::RenameOver,
        Self::MoveOut,
        Self::MoveIn,
        Self::MoveOver,
        Self::Link,
        Self::Chmod,
    ];

    pub(crate) fn kind(self) -> NotifyType {
        match self {
            Self::Create | Self::OpenCreate | Self::Link | Self::MoveIn | Self::MoveOver => {
                NotifyType::AddEntry
            }
            Self::Remove | Self::MoveOut => NotifyType::RemoveEntry,
            Self::Rename | Self::RenameOver => NotifyType::RenameEntry,
            _ => NotifyType::ChangeDirAttrs,
        }
    }
}

/// A server, a client that holds a delegation of `/export/at`, and another that makes changes.
pub(crate) struct World {
    pub(crate) server: TestServer,
    pub(crate) holder: DelegClient,
    pub(crate) other: DelegClient,
    pub(crate) share: NfsFh4,
    pub(crate) at: NfsFh4,
    pub(crate) elsewhere: NfsFh4,
}

pub(crate) fn options(delay: Duration) -> TestServerOptions {
    let notifications = NotifyLimits { delay, ..NotifyLimits::default() };
    TestServerOptions {
        limits: Limits { notifications, ..Limits::default() },
        delegations: Some(Arc::new(DirectoriesToEverybody)),
        ..TestServerOptions::default()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(options(Duration::ZERO), BackOptions::default()).await
    }

    pub(crate) async fn with(options: TestServerOptions, back: BackOptions) -> Self {
        let server = TestServer::start_with(options).await;
        let holder = DelegClient::unproven(&server, "holder", &back).await;
        let mut other = DelegClient::new(&server, "other").await;
        let session = other.session();
        let share = session.share().await;
        let (at, elsewhere) = (session.mkdir("at").await, session.mkdir("elsewhere").await);
        let mut world = Self { server, holder, other, share, at, elsewhere };
        world.make(&world.at.clone(), "there").await;
        world.make(&world.at.clone(), "other").await;
        world.make(&world.elsewhere.clone(), "stranger").await;
        world.open("file").await;
        world
    }

    pub(crate) async fn run<O>(&mut self, fh: &NfsFh4, args: &O::Args)
    where
        O: Operation<Args: XdrEncode + Sync, Res: XdrDecode>,
    {
        drop(self.other.run_on::<O>(fh, args).await.unwrap());
    }

    pub(crate) async fn make(&mut self, dir: &NfsFh4, name: &str) {
        self.run::<Create>(dir, &fifo(name)).await;
    }

    pub(crate) async fn open(&mut self, name: &str) {
        let path = ["export", "at"];
        make_file(&mut self.other, &path, name).await;
    }

    pub(crate) async fn watch(&mut self, types: &[NotifyType]) -> Delegation {
        let at = self.at.clone();
        delegated(&mut self.holder, &at, types).await
    }

    /// Lets the other client make a change.
    pub(crate) async fn change(&mut self, change: Change) {
        let (share, at, elsewhere) = (self.share.clone(), self.at.clone(), self.elsewhere.clone());
        make_change(&mut self.other, change, (&share, &at, &elsewhere)).await;
    }

    /// The notifications of the next CB_NOTIFY, which must be for this delegation.
    pub(crate) async fn told(&self, delegation: &Delegation) -> Vec<Notification> {
        told(&self.holder, delegation).await
    }

    /// What READDIR says of a name: its cookie, the name and cookie before, and whether it is the last.
    pub(crate) async fn place(&mut self, name: &str) -> (u64, Option<(String, u64)>, bool) {
        let list = Readdir4Args {
            cookie: 0,
            cookieverf: [0; 8],
            dircount: 0,
            maxcount: 8192,
            attr_request: Bitmap::EMPTY,
        };
        let listed = self.other.run_on::<ReadDir>(&self.at.clone(), &list).await.unwrap();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        let entries: Vec<_> = listed.entries.iter().map(|entry| (text(&entry.name), entry.cookie)).collect();
        let index = entries.iter().position(|(entry, _)| entry == name).expect("an entry");
        let previous = index.checked_sub(1).map(|before| entries[before].clone());
        (entries[index].1, previous, index + 1 == entries.len())
    }

    pub(crate) fn recalls(&self) -> usize {
        self.holder.callbacks().arrived(CbOp::Recall)
    }

    pub(crate) fn notices(&self) -> usize {
        self.holder.callbacks().arrived(CbOp::Notify)
    }

    pub(crate) async fn stop(self) {
        self.holder.callbacks().assert_sound();
        self.server.stop().await;
    }
}

pub(crate) fn fifo(name: &str) -> Create4Args {
    Create4Args { objtype: CreateType4::Fifo, objname: component(name), createattrs: mode_attr(0o644) }
}

pub(crate) async fn make_file(client: &mut DelegClient, path: &[&str], name: &str) {
    let args = client.open_args(name, BOTH, 0, "opener", unchecked());
    let compound = walk(client.compound(), path).op::<Open>(&args);
    client.run(compound).await.ok();
}

/// A delegation of a directory, with these notifications.
pub(crate) async fn delegated(client: &mut DelegClient, dir: &NfsFh4, types: &[NotifyType]) -> Delegation {
    let zero = NfsTime { seconds: 0, nseconds: 0 };
    let args = GetDirDelegation4Args {
        signal_deleg_avail: false,
        notification_types: types.iter().fold(Bitmap::EMPTY, |all, kind| all.with(kind.bit())),
        child_attr_delay: zero,
        dir_attr_delay: zero,
        child_attributes: Bitmap::of(CHILD),
        dir_attributes: Bitmap::of(DIR),
    };
    match client.run_on::<GetDirDelegation>(dir, &args).await.unwrap() {
        GetDirDelegation4Res::Ok(granted) => Delegation { fh: dir.clone(), stateid: granted.stateid },
        GetDirDelegation4Res::Unavail(_) => panic!("no delegation"),
    }
}

pub(crate) async fn told(client: &DelegClient, delegation: &Delegation) -> Vec<Notification> {
    let arrival = client.callbacks().next(CbOp::Notify).await;
    let CbArgs::Notify(args) = arrival.args else { panic!("no CB_NOTIFY") };
    assert_eq!((&args.fh, args.stateid), (&delegation.fh, delegation.stateid));
    args.changes.iter().flat_map(|change| change.notifications().unwrap()).collect()
}

pub(crate) async fn make_change(
    client: &mut DelegClient,
    change: Change,
    (share, at, elsewhere): (&NfsFh4, &NfsFh4, &NfsFh4),
) {
    let two = |from: &NfsFh4, to: &NfsFh4, compound: Compound| {
        compound.op::<PutFh>(&put(from)).op::<SaveFh>(&()).op::<PutFh>(&put(to))
    };
    let named = |old: &str, new: &str| Rename4Args { oldname: component(old), newname: component(new) };
    let empty = client.compound();
    let on = |fh: &NfsFh4| client.compound().op::<PutFh>(&put(fh));
    let compound = match change {
        Change::Create => on(at).op::<Create>(&fifo("new")),
        Change::OpenCreate => return make_file(client, &["export", "at"], "new").await,
        Change::Remove => on(at).op::<Remove>(&Remove4Args { target: component("there") }),
        Change::Rename => two(at, at, empty).op::<Rename>(&named("there", "new")),
        Change::RenameOver => two(at, at, empty).op::<Rename>(&named("there", "other")),
        Change::MoveOut => two(at, elsewhere, empty).op::<Rename>(&named("there", "new")),
        Change::MoveIn => two(elsewhere, at, empty).op::<Rename>(&named("stranger", "new")),
        Change::MoveOver => two(elsewhere, at, empty).op::<Rename>(&named("stranger", "other")),
        Change::Link => {
            let walked = walk(empty, &["export", "at", "file"]).op::<SaveFh>(&());
            let walked = walked.op::<PutFh>(&put(at));
            walked.op::<Link>(&Link4Args { newname: component("new") })
        }
        Change::Chmod => on(at)
            .op::<SetAttr>(&Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o711) }),
        Change::SetXattr => on(at).op::<SetXattr>(&SetXattr4Args {
            option: SetXattrOption4::Either,
            key: component("key"),
            value: "value".into(),
        }),
        Change::RenameDir => two(share, share, empty).op::<Rename>(&named("at", "moved")),
    };
    client.run(compound).await.ok();
}
