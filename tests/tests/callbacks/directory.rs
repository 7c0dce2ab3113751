//! Directory delegations: who is told of a change with CB_NOTIFY, and who is asked for the delegation instead.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 10.9, 18.4.3, 18.9.3, 18.16.4, 18.25.4, 18.26.4, 18.30.4 and 20.4.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_MODE, FATTR4_TYPE,
};
use dittofs_framework::compound::Limits;
use dittofs_framework::op::Operation;
use dittofs_framework::proto::{
    AtMostOne, CbArgs, CbOp, ChannelAttrs4, ChannelDirFromClient, Fattr4, FileType, Minor, NFS4ERR_DELAY,
    NFS4ERR_INVAL, NfsFh4, NfsTime, Notification, NotifyAdd4, NotifyEntry4, NotifyType, Stateid, component,
};
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
use dittofs_tests::callbacks::{Answer, BackOptions, DelegClient, Delegation};
use dittofs_tests::{
    BOTH, DirectoriesToEverybody, TestServer, TestServerOptions, fattr, mode_attr, put, unchecked, walk,
};
use rstest::rstest;

const ENTRIES: &[NotifyType] = &[NotifyType::AddEntry, NotifyType::RemoveEntry, NotifyType::RenameEntry];
const CHILD: &[u32] = &[FATTR4_TYPE, FATTR4_FILEHANDLE, FATTR4_FILEID];
const DIR: &[u32] = &[FATTR4_CHANGE, FATTR4_MODE];

/// What the other client does to a directory `at` with the entries `there` and `other` (a fifo) and `file` (a file).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
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
    const TOLD: [Self; 10] = [
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

    fn kind(self) -> NotifyType {
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
struct World {
    server: TestServer,
    holder: DelegClient,
    other: DelegClient,
    share: NfsFh4,
    at: NfsFh4,
    elsewhere: NfsFh4,
}

fn options(delay: Duration) -> TestServerOptions {
    let notifications = NotifyLimits { delay, ..NotifyLimits::default() };
    TestServerOptions {
        limits: Limits { notifications, ..Limits::default() },
        delegations: Some(Arc::new(DirectoriesToEverybody)),
        ..TestServerOptions::default()
    }
}

impl World {
    async fn new() -> Self {
        Self::with(options(Duration::ZERO), BackOptions::default()).await
    }

    async fn with(options: TestServerOptions, back: BackOptions) -> Self {
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

    async fn run<O>(&mut self, fh: &NfsFh4, args: &O::Args)
    where
        O: Operation<Args: XdrEncode + Sync, Res: XdrDecode>,
    {
        drop(self.other.run_on::<O>(fh, args).await.unwrap());
    }

    async fn make(&mut self, dir: &NfsFh4, name: &str) {
        self.run::<Create>(dir, &fifo(name)).await;
    }

    async fn open(&mut self, name: &str) {
        let path = ["export", "at"];
        make_file(&mut self.other, &path, name).await;
    }

    async fn watch(&mut self, types: &[NotifyType]) -> Delegation {
        let at = self.at.clone();
        delegated(&mut self.holder, &at, types).await
    }

    /// Lets the other client make a change.
    async fn change(&mut self, change: Change) {
        let (share, at, elsewhere) = (self.share.clone(), self.at.clone(), self.elsewhere.clone());
        make_change(&mut self.other, change, (&share, &at, &elsewhere)).await;
    }

    /// The notifications of the next CB_NOTIFY, which must be for this delegation.
    async fn told(&self, delegation: &Delegation) -> Vec<Notification> {
        told(&self.holder, delegation).await
    }

    /// What READDIR says of a name: its cookie, the name and cookie before, and whether it is the last.
    async fn place(&mut self, name: &str) -> (u64, Option<(String, u64)>, bool) {
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

    fn recalls(&self) -> usize {
        self.holder.callbacks().arrived(CbOp::Recall)
    }

    fn notices(&self) -> usize {
        self.holder.callbacks().arrived(CbOp::Notify)
    }

    async fn stop(self) {
        self.holder.callbacks().assert_sound();
        self.server.stop().await;
    }
}

fn fifo(name: &str) -> Create4Args {
    Create4Args { objtype: CreateType4::Fifo, objname: component(name), createattrs: mode_attr(0o644) }
}

async fn make_file(client: &mut DelegClient, path: &[&str], name: &str) {
    let args = client.open_args(name, BOTH, 0, "opener", unchecked());
    let compound = walk(client.compound(), path).op::<Open>(&args);
    client.run(compound).await.ok();
}

/// A delegation of a directory, with these notifications.
async fn delegated(client: &mut DelegClient, dir: &NfsFh4, types: &[NotifyType]) -> Delegation {
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

async fn told(client: &DelegClient, delegation: &Delegation) -> Vec<Notification> {
    let arrival = client.callbacks().next(CbOp::Notify).await;
    let CbArgs::Notify(args) = arrival.args else { panic!("no CB_NOTIFY") };
    assert_eq!((&args.fh, args.stateid), (&delegation.fh, delegation.stateid));
    args.changes.iter().flat_map(|change| change.notifications().unwrap()).collect()
}

async fn make_change(
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

/// "Unless the situation can be resolved by sending a notification, the directory delegation MUST be recalled, and the operation
/// MUST NOT proceed until the delegation is returned or revoked."
#[rstest]
#[case::create(Change::Create)]
#[case::open_create(Change::OpenCreate)]
#[case::remove(Change::Remove)]
#[case::rename(Change::Rename)]
#[case::rename_over(Change::RenameOver)]
#[case::move_out(Change::MoveOut)]
#[case::move_in(Change::MoveIn)]
#[case::move_over(Change::MoveOver)]
#[case::link(Change::Link)]
#[case::chmod(Change::Chmod)]
#[case::set_xattr(Change::SetXattr)]
#[case::rename_of_the_directory(Change::RenameDir)]
#[tokio::test]
async fn a_change_waits_for_the_delegation_of_who_is_not_told(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(&[]).await;
    let fhs = (&world.share, &world.at, &world.elsewhere);
    tokio::join!(
        make_change(&mut world.other, change, fhs),
        world.holder.give_back_when_recalled(&delegation)
    );
    assert_eq!((world.recalls(), world.notices()), (1, 0));
    world.stop().await;
}

/// Likewise for a directory that goes, whatever its holder is told of.
#[tokio::test]
async fn the_removal_of_a_directory_waits_for_its_delegation() {
    let mut world = World::new().await;
    let empty = world.elsewhere.clone();
    world.run::<Remove>(&empty, &Remove4Args { target: component("stranger") }).await;
    let delegation = delegated(&mut world.holder, &empty, &NotifyType::ALL).await;
    let share = world.share.clone();
    let target = Remove4Args { target: component("elsewhere") };
    let (removed, ()) = tokio::join!(
        world.other.run_on::<Remove>(&share, &target),
        world.holder.give_back_when_recalled(&delegation)
    );
    removed.unwrap();
    world.stop().await;
}

/// "If a client tries to remove the directory for which a delegation has been granted, the server will recall all associated
/// delegations": its own too, without waiting for it.
#[tokio::test]
async fn who_removes_a_directory_is_asked_for_its_delegation() {
    let mut world = World::new().await;
    let empty = world.elsewhere.clone();
    world.run::<Remove>(&empty, &Remove4Args { target: component("stranger") }).await;
    let delegation = delegated(&mut world.holder, &empty, &NotifyType::ALL).await;
    let target = Remove4Args { target: component("elsewhere") };
    world.holder.run_on::<Remove>(&world.share.clone(), &target).await.unwrap();
    world.holder.give_back_when_recalled(&delegation).await;
    world.stop().await;
}

/// Whoever is told keeps the delegation, and knows what has changed.
#[rstest]
#[case::create(Change::Create)]
#[case::open_create(Change::OpenCreate)]
#[case::move_in(Change::MoveIn)]
#[case::link(Change::Link)]
#[tokio::test]
async fn a_new_entry_is_told_with_its_place_and_attributes(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::AddEntry(add)] = &told[..] else { panic!("{told:?}") };
    let (cookie, previous, is_last) = world.place("new").await;
    assert_eq!(&*add.new_entry.file, b"new");
    assert_eq!(add.new_entry_cookie, AtMostOne(Some(cookie)));
    assert_eq!(add.last_entry, is_last);
    let before = add.prev_entry.0.as_ref().map(|entry| {
        let name = String::from_utf8(entry.prev_entry.file.to_vec()).unwrap();
        (name, entry.prev_entry_cookie)
    });
    assert_eq!(before, previous);
    assert_eq!(add.old_entry, AtMostOne(None));
    assert_attributes(&mut world, add).await;
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// The attributes of the entry are those that GETATTR shows.
async fn assert_attributes(world: &mut World, add: &NotifyAdd4) {
    let session = world.other.session();
    let fh = session.lookup(&["export", "at", "new"]).await;
    let file_type: FileType = session.attribute(&fh, FATTR4_TYPE).await;
    let fileid: u64 = session.attribute(&fh, FATTR4_FILEID).await;
    let expected: Fattr4 =
        fattr(&[(FATTR4_TYPE, &file_type), (FATTR4_FILEHANDLE, &fh), (FATTR4_FILEID, &fileid)]);
    assert_eq!(add.new_entry.attrs, expected);
}

#[rstest]
#[case::remove(Change::Remove)]
#[case::move_out(Change::MoveOut)]
#[tokio::test]
async fn an_entry_that_goes_is_told_with_its_cookie(#[case] change: Change) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("there").await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::RemoveEntry(gone)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&gone.old_entry, gone.old_entry_cookie), (&nothing_but("there"), cookie));
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

fn nothing_but(name: &str) -> NotifyEntry4 {
    NotifyEntry4 { file: component(name), attrs: Fattr4::default() }
}

/// "When a file is removed because it has the same name as the target [..] the deletion of the file will be reported as part of the"
/// notification of the rename, or of the new entry.
#[rstest]
#[case::free_name(Change::Rename, "new", false)]
#[case::name_in_use(Change::RenameOver, "other", true)]
#[tokio::test]
async fn a_rename_is_told_as_one(#[case] change: Change, #[case] name: &str, #[case] replaces: bool) {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("there").await;
    let replaced = if replaces { Some(world.place(name).await.0) } else { None };
    world.change(change).await;
    let told = world.told(&delegation).await;
    let [Notification::RenameEntry(renamed)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(
        (&renamed.old_entry.old_entry, renamed.old_entry.old_entry_cookie),
        (&nothing_but("there"), cookie)
    );
    assert_eq!(&*renamed.new_entry.new_entry.file, name.as_bytes());
    assert_eq!(renamed.new_entry.new_entry_cookie, AtMostOne(Some(world.place(name).await.0)));
    assert_eq!(renamed.new_entry.old_entry.0.as_ref().map(|old| old.old_entry_cookie), replaced);
    world.stop().await;
}

#[tokio::test]
async fn an_entry_that_takes_the_place_of_another_is_told_with_it() {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    let (cookie, _, _) = world.place("other").await;
    world.change(Change::MoveOver).await;
    let told = world.told(&delegation).await;
    let [Notification::AddEntry(add)] = &told[..] else { panic!("{told:?}") };
    let old = add.old_entry.0.as_ref().expect("the one before");
    assert_eq!((&old.old_entry, old.old_entry_cookie), (&nothing_but("other"), cookie));
    world.stop().await;
}

/// The change attribute moves with every change of the directory.
#[rstest]
#[tokio::test]
async fn attributes_of_the_directory_are_told_with_what_changes_them(
    #[values(Change::Chmod, Change::Create, Change::Remove)] change: Change,
) {
    let mut world = World::new().await;
    let types = [ENTRIES, &[NotifyType::ChangeDirAttrs]].concat();
    let delegation = world.watch(&types).await;
    world.change(change).await;
    let told = world.told(&delegation).await;
    let Some(Notification::ChangeDirAttrs(changed)) = told.last() else { panic!("{told:?}") };
    let at = world.at.clone();
    let session = world.other.session();
    let (now, mode): (u64, u32) =
        (session.attribute(&at, FATTR4_CHANGE).await, session.attribute(&at, FATTR4_MODE).await);
    let expected =
        NotifyEntry4 { file: component(""), attrs: fattr(&[(FATTR4_CHANGE, &now), (FATTR4_MODE, &mode)]) };
    assert_eq!(changed.changed_entry, expected);
    assert_eq!(told.len(), if change == Change::Chmod { 1 } else { 2 });
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// "If the client holding the delegation makes any changes in the directory that cause files or sub-directories to be added or
/// removed, the server will notify that client"; of attributes it need not. It is never asked for the delegation.
#[rstest]
#[tokio::test]
async fn the_holder_is_told_of_its_own_changes_of_entries(#[values(false, true)] asked: bool) {
    for change in Change::TOLD {
        let mut world = World::new().await;
        let delegation = world.watch(if asked { &NotifyType::ALL } else { &[] }).await;
        let fhs = (&world.share, &world.at, &world.elsewhere);
        make_change(&mut world.holder, change, fhs).await;
        if asked && change != Change::Chmod {
            let told = world.told(&delegation).await;
            assert_eq!(told[0].kind(), change.kind(), "{change:?}");
        }
        world.holder.give_back(&delegation).await;
        assert_eq!(world.recalls(), 0, "{change:?}");
        assert_eq!(world.notices(), usize::from(asked && change != Change::Chmod), "{change:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn to_open_what_is_there_is_no_change() {
    let mut world = World::new().await;
    let delegation = world.watch(&[]).await;
    world.open("file").await;
    world.holder.give_back(&delegation).await;
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

/// "The order in which the client receives these notifications needs to be the same as the order in which the corresponding operations
/// occurred on the server"; and what comes within the delay comes together.
#[tokio::test]
async fn changes_within_the_delay_are_told_together_and_in_order() {
    let delay = Duration::from_secs(1);
    let mut world = World::with(options(delay), BackOptions::default()).await;
    let delegation = world.watch(ENTRIES).await;
    for change in [Change::Create, Change::Remove, Change::MoveIn, Change::RenameOver] {
        if change == Change::MoveIn {
            let at = world.at.clone();
            world.run::<Remove>(&at, &Remove4Args { target: component("new") }).await;
            world.make(&at, "there").await;
        }
        world.change(change).await;
    }
    world.server.clock.advance(delay);
    let told = world.told(&delegation).await;
    let kinds: Vec<_> = told.iter().map(Notification::kind).collect();
    let (add, remove, rename) = (NotifyType::AddEntry, NotifyType::RemoveEntry, NotifyType::RenameEntry);
    assert_eq!(kinds, [add, remove, remove, add, add, rename]);
    assert_eq!((world.notices(), world.recalls()), (1, 0));
    world.stop().await;
}

/// What the client does not learn in one way it learns in the other.
#[rstest]
#[case::refused(Answer::Status(NFS4ERR_INVAL))]
#[case::connection_lost(Answer::DropBefore)]
#[tokio::test]
async fn what_cannot_be_delivered_is_recalled_for(#[case] answer: Answer) {
    let mut world = World::new().await;
    let is_lost = matches!(answer, Answer::DropBefore);
    if is_lost {
        // Another connection to be recalled by.
        world.holder.bind(&world.server, ChannelDirFromClient::BackOrBoth).await;
    }
    let delegation = world.watch(ENTRIES).await;
    world.holder.callbacks().answer_once(CbOp::Notify, answer);
    world.change(Change::Create).await;
    if is_lost {
        // It is sent again by the other.
        let told = world.told(&delegation).await;
        assert_eq!(told[0].kind(), NotifyType::AddEntry);
    } else {
        let recall = world.holder.callbacks().recall().await;
        assert_eq!(recall.stateid, delegation.stateid);
    }
    world.stop().await;
}

/// With room for two CB_NOTIFYs in all, and one client that answers none.
#[tokio::test]
async fn who_does_not_answer_keeps_nobody_else_waiting() {
    let notifications = NotifyLimits {
        delay: Duration::ZERO,
        in_flight: 2,
        in_flight_per_client: 1,
        ..NotifyLimits::default()
    };
    let limits = Limits { notifications, ..Limits::default() };
    let options = TestServerOptions { limits, ..options(Duration::ZERO) };
    let mut world = World::with(options, BackOptions::default()).await;
    let mut dead = DelegClient::unproven(&world.server, "dead", &BackOptions::default()).await;
    dead.callbacks().answer(CbOp::Notify, Answer::Never);
    for dir in [world.share.clone(), world.elsewhere.clone()] {
        delegated(&mut dead, &dir, ENTRIES).await;
        world.make(&dir, "first").await;
    }
    dead.callbacks().nth(CbOp::Notify, 1).await;
    let delegation = world.watch(ENTRIES).await;
    for name in ["one", "two", "three"] {
        let at = world.at.clone();
        world.make(&at, name).await;
        assert_eq!(world.told(&delegation).await.len(), 1);
    }
    assert_eq!(dead.callbacks().arrived(CbOp::Notify), 1);
    world.stop().await;
}

#[tokio::test]
async fn who_is_busy_is_told_again() {
    let mut world = World::new().await;
    let delegation = world.watch(ENTRIES).await;
    world.holder.callbacks().answer_once(CbOp::Notify, Answer::Status(NFS4ERR_DELAY));
    world.change(Change::Create).await;
    let first = world.told(&delegation).await;
    assert_eq!(world.told(&delegation).await, first);
    assert_eq!(world.recalls(), 0);
    world.stop().await;
}

#[tokio::test]
async fn what_is_too_long_for_the_back_channel_is_recalled_for() {
    let defaults = BackOptions::default();
    let narrow = ChannelAttrs4 { max_request_size: 1100, ..defaults.back_channel };
    let back = BackOptions { back_channel: narrow, ..defaults };
    let mut world = World::with(options(Duration::ZERO), back).await;
    let delegation = world.watch(ENTRIES).await;
    world.change(Change::Create).await;
    assert_eq!(world.holder.callbacks().recall().await.stateid, delegation.stateid);
    assert_eq!(world.notices(), 0);
    world.stop().await;
}

/// With the policy that a server has by itself, in either minor version: the client has answered a callback.
#[rstest]
#[tokio::test]
async fn who_answers_callbacks_is_given_one(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = TestServer::start().await;
    let mut client = DelegClient::of(&server, "client", minor).await;
    let share = client.session().share().await;
    let zero = NfsTime { seconds: 0, nseconds: 0 };
    let args = GetDirDelegation4Args {
        signal_deleg_avail: false,
        notification_types: Bitmap::EMPTY,
        child_attr_delay: zero,
        dir_attr_delay: zero,
        child_attributes: Bitmap::EMPTY,
        dir_attributes: Bitmap::EMPTY,
    };
    // That the call came says not yet that the answer has come back.
    let given = async {
        loop {
            let answer = client.run_on::<GetDirDelegation>(&share, &args).await.unwrap();
            if answer != GetDirDelegation4Res::Unavail(false) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given).await.expect("a delegation");
    server.stop().await;
}
