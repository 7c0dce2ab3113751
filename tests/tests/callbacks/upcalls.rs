//! Changes behind the server's back: who relies on what was there is told, or asked for its delegation.
//!
//! Origin: own; a file system tells what nobody has done through the server.
//! RFC: 8881 sections 10.2, 10.4 and 10.9.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::compound::Limits;
use dittofs_framework::fs::{FileSystem, NodeHandle, Upcall};
use dittofs_framework::proto::{CbArgs, CbOp, Notification, NotifyType};
use dittofs_framework::state::NotifyLimits;
use dittofs_tests::callbacks::{DelegClient, Delegation};
use dittofs_tests::{DirectoriesToEverybody, TestServer, TestServerOptions};
use rstest::rstest;

use crate::dir_world::delegated;
use crate::shared_fs::{KnownCookie, SharedFs};

struct World {
    fs: Arc<SharedFs>,
    server: TestServer,
    client: DelegClient,
}

impl World {
    /// With delegations of directories.
    async fn new(upcalls: usize) -> Self {
        let notifications = NotifyLimits { delay: Duration::ZERO, upcalls, ..NotifyLimits::default() };
        Self::with(TestServerOptions {
            limits: Limits { notifications, ..Limits::default() },
            delegations: Some(Arc::new(DirectoriesToEverybody)),
            ..TestServerOptions::default()
        })
        .await
    }

    async fn with(options: TestServerOptions) -> Self {
        let fs = Arc::new(SharedFs::default());
        let server = TestServer::start_with(TestServerOptions { fs: fs.clone(), ..options }).await;
        let client = DelegClient::new(&server, "client").await;
        Self { fs, server, client }
    }

    /// A delegation of the share, with these notifications.
    async fn watch(&mut self, types: &[NotifyType]) -> Delegation {
        let fh = self.client.session().share().await;
        delegated(&mut self.client, &fh, types).await
    }

    async fn told(&self) -> Vec<Notification> {
        let arrival = self.client.callbacks().next(CbOp::Notify).await;
        let CbArgs::Notify(args) = arrival.args else { panic!("no CB_NOTIFY") };
        args.changes.iter().flat_map(|change| change.notifications().unwrap()).collect()
    }

    async fn stop(self) {
        self.client.callbacks().assert_sound();
        self.server.stop().await;
    }
}

const ENTRIES: &[NotifyType] = &[NotifyType::AddEntry, NotifyType::RemoveEntry];

#[tokio::test]
async fn entries_that_come_and_go_are_told() {
    let mut world = World::new(100).await;
    world.watch(ENTRIES).await;
    world.fs.add("new").await;
    let told = world.told().await;
    let [Notification::AddEntry(added)] = &told[..] else { panic!("{told:?}") };
    let cookie = added.new_entry_cookie.0.expect("a cookie");
    assert_eq!(&*added.new_entry.file, b"new");
    world.fs.take_away("new", KnownCookie::Yes).await;
    let told = world.told().await;
    let [Notification::RemoveEntry(removed)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&*removed.old_entry.file, removed.old_entry_cookie), (&b"new"[..], cookie));
    assert_eq!(world.client.callbacks().arrived(CbOp::Recall), 0);
    world.stop().await;
}

/// What can happen to a directory that its holder is not told of.
#[derive(Debug, Clone, Copy)]
enum Untold {
    /// It asked for no word.
    Unasked,
    /// What is gone is known by its name alone.
    NoCookie,
    Entries,
    Attributes,
    Vanished,
    /// There is no room for the word.
    Overrun,
}

#[rstest]
#[case::unasked(Untold::Unasked)]
#[case::no_cookie(Untold::NoCookie)]
#[case::unknown_entries(Untold::Entries)]
#[case::attributes(Untold::Attributes)]
#[case::vanished(Untold::Vanished)]
#[case::overrun(Untold::Overrun)]
#[tokio::test]
async fn what_cannot_be_told_is_recalled_for(#[case] untold: Untold) {
    let mut world = World::new(if matches!(untold, Untold::Overrun) { 0 } else { 100 }).await;
    world.fs.add("there").await;
    let types = if matches!(untold, Untold::Unasked) { &[] } else { ENTRIES };
    let delegation = world.watch(types).await;
    let root = world.fs.root();
    match untold {
        Untold::Unasked | Untold::Overrun => world.fs.add("new").await,
        Untold::NoCookie => world.fs.take_away("there", KnownCookie::No).await,
        Untold::Entries => world.fs.tell(Upcall::Entries(root)),
        Untold::Attributes => world.fs.tell(Upcall::Attributes(root)),
        Untold::Vanished => world.fs.tell(Upcall::Vanished(root)),
    }
    world.client.give_back_when_recalled(&delegation).await;
    assert_eq!(world.client.callbacks().arrived(CbOp::Notify), 0);
    world.stop().await;
}

#[rstest]
#[case::data(Upcall::Data)]
#[case::attributes(Upcall::Attributes)]
#[case::vanished(Upcall::Vanished)]
#[tokio::test]
async fn the_delegation_of_a_file_is_recalled(
    #[case] changed: fn(NodeHandle) -> Upcall,
    #[values(false, true)] writes: bool,
) {
    let mut world = World::with(TestServerOptions::default()).await;
    let opening = if writes { world.client.open_write("file") } else { world.client.open_read("file") };
    let delegation = opening.await.delegated();
    world.fs.tell(changed(world.fs.node("file").await));
    world.client.give_back_when_recalled(&delegation).await;
    world.stop().await;
}

/// Word of what nobody relies on disturbs nobody.
#[tokio::test]
async fn what_nobody_has_a_delegation_of_is_nobodys_matter() {
    let mut world = World::new(100).await;
    let delegation = world.watch(&[]).await;
    let dir = world.client.session().mkdir("dir").await;
    let node = world.fs.node("dir").await;
    for what in [Upcall::Entries(node), Upcall::Data(node), Upcall::Added { dir: node, name: "x".into() }] {
        world.fs.tell(what);
    }
    drop(dir);
    world.client.give_back(&delegation).await;
    assert_eq!(world.client.callbacks().arrived(CbOp::Recall), 0);
    world.stop().await;
}
