//! A holder of directory delegations knows what is in its directories from what it is told alone, whatever others do at the same time.
//!
//! Origin: own; a replica that is compared with READDIR in the end.
//! RFC: 8881 section 20.4.3.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{CbArgs, CbOp, NfsFh4, Notification, NotifyAdd4, NotifyRemove4, component};
use dittofs_framework::state::NotifyLimits;
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::callbacks::{BackOptions, DelegClient};
use dittofs_tests::{DirectoriesToEverybody, Random, TestServer, TestServerOptions, mode_attr, put};
use rstest::rstest;

use crate::dir_world::{ENTRIES, delegated};

const WRITERS: usize = 3;
const CHANGES: usize = 60;
/// Few, so that the clients get into each other's way.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Entries by cookie.
type Entries = BTreeMap<u64, String>;

fn text(name: &[u8]) -> String {
    String::from_utf8(name.to_vec()).unwrap()
}

fn remove(entries: &mut Entries, gone: &NotifyRemove4) {
    let name = entries.remove(&gone.old_entry_cookie);
    assert_eq!(name, Some(text(&gone.old_entry.file)), "an entry that was known goes");
}

fn add(entries: &mut Entries, added: &NotifyAdd4) {
    if let Some(replaced) = &added.old_entry.0 {
        remove(entries, replaced);
    }
    let cookie = added.new_entry_cookie.0.expect("a cookie");
    let before = entries.range(..cookie).next_back().map(|(cookie, name)| (name.clone(), *cookie));
    let told = added.prev_entry.0.as_ref();
    let told = told.map(|before| (text(&before.prev_entry.file), before.prev_entry_cookie));
    assert_eq!(told, before, "the entry before is known");
    assert_eq!(added.last_entry, entries.range(cookie..).next().is_none());
    let old = entries.insert(cookie, text(&added.new_entry.file));
    assert_eq!(old, None, "an entry that is new comes");
}

fn apply(entries: &mut Entries, notification: &Notification) {
    match notification {
        Notification::AddEntry(added) => add(entries, added),
        Notification::RemoveEntry(gone) => remove(entries, gone),
        Notification::RenameEntry(renamed) => {
            remove(entries, &renamed.old_entry);
            add(entries, &renamed.new_entry);
        }
        other => panic!("not asked for: {other:?}"),
    }
}

async fn list(client: &mut DelegClient, dir: &NfsFh4) -> Entries {
    let args = Readdir4Args {
        cookie: 0,
        cookieverf: [0; 8],
        dircount: 0,
        maxcount: 1 << 16,
        attr_request: Bitmap::EMPTY,
    };
    let listed = client.run_on::<ReadDir>(dir, &args).await.unwrap();
    assert!(listed.eof);
    listed.entries.iter().map(|entry| (entry.cookie, text(&entry.name))).collect()
}

/// Makes changes, which may fail as the others make theirs.
async fn change(client: &mut DelegClient, random: &mut Random, dirs: &[NfsFh4; 2]) {
    for _ in 0..CHANGES {
        let name = |random: &mut Random| component(NAMES[random.below(NAMES.len())]);
        let dir = &dirs[random.below(2)];
        let on = client.compound().op::<PutFh>(&put(dir));
        let compound = match random.below(3) {
            0 => on.op::<Create>(&Create4Args {
                objtype: CreateType4::Fifo,
                objname: name(random),
                createattrs: mode_attr(0o644),
            }),
            1 => on.op::<Remove>(&Remove4Args { target: name(random) }),
            _ => {
                let to = &dirs[random.below(2)];
                let args = Rename4Args { oldname: name(random), newname: name(random) };
                on.op::<SaveFh>(&()).op::<PutFh>(&put(to)).op::<Rename>(&args)
            }
        };
        client.run(compound).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_like_the_directory(#[values(1, 2, 3)] seed: u64) {
    let notifications = NotifyLimits { delay: Duration::ZERO, ..NotifyLimits::default() };
    let server = TestServer::start_with(TestServerOptions {
        limits: Limits { notifications, ..Limits::default() },
        delegations: Some(Arc::new(DirectoriesToEverybody)),
        ..TestServerOptions::default()
    })
    .await;
    let mut holder = DelegClient::unproven(&server, "holder", &BackOptions::default()).await;
    let dirs = [holder.session().mkdir("one").await, holder.session().mkdir("two").await];
    let mut replicas = BTreeMap::new();
    for dir in &dirs {
        let stateid = delegated(&mut holder, dir, ENTRIES).await.stateid;
        replicas.insert(stateid.other, (dir.clone(), list(&mut holder, dir).await));
    }
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let mut client = DelegClient::new(&server, &format!("writer {number}")).await;
        let (mut random, dirs) = (Random::new(seed * 1000 + number as u64), dirs.clone());
        writers.push(tokio::spawn(async move { change(&mut client, &mut random, &dirs).await }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    // The last words: one more change of each directory.
    for dir in &dirs {
        let args = Create4Args {
            objtype: CreateType4::Fifo,
            objname: component("end"),
            createattrs: mode_attr(0o644),
        };
        holder.run_on::<Create>(dir, &args).await.unwrap();
    }
    let mut open = dirs.len();
    while open > 0 {
        let arrival = holder.callbacks().next(CbOp::Notify).await;
        let CbArgs::Notify(args) = arrival.args else { panic!("no CB_NOTIFY") };
        let (dir, replica) = replicas.get_mut(&args.stateid.other).expect("a delegation of this client");
        assert_eq!(&args.fh, dir);
        for notification in args.changes.iter().flat_map(|change| change.notifications().unwrap()) {
            apply(replica, &notification);
        }
        open -= usize::from(replica.values().any(|name| name == "end"));
    }
    for (dir, replica) in replicas.values() {
        assert_eq!(replica, &list(&mut holder, dir).await);
    }
    assert_eq!(holder.callbacks().arrived(CbOp::Recall), 0);
    server.stop().await;
}
