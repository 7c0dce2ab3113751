//! Origin: a server that is killed and started again while clients use it.
//! RFC: 8881 sections 4.2.2 (persistent filehandles), 8.4.2 (recovery from a restart) and 2.10.5 (who the server is).

use dittofs_framework::attr::{FATTR4_FILEID, FATTR4_SIZE};
use dittofs_framework::proto::*;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::io::StableHow4;
use dittofs_ops::lock::{Lock, Lock4Args, NfsLockType4};
use dittofs_ops::open::{Open, Open4Args, OpenClaim4, OpenDelegationType4, OpenFlag4};
use dittofs_ops::reclaim_complete::{ReclaimComplete, ReclaimComplete4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::program::{Data, Server};

/// A client that comes back after a restart of the server.
async fn back(server: &Server, owner: &str) -> Session {
    Client::connect_to(server.addr).await.session_to_reclaim(owner, SessionOptions::default()).await
}

async fn complete(session: &mut Session) {
    let args = ReclaimComplete4Args { one_fs: false };
    session.run(session.compound().op::<ReclaimComplete>(&args)).await.ok();
}

async fn try_open(session: &mut Session, access: u32) -> Result<OpenFile, Status> {
    let args = open_args("file", access, 0, "owner", OpenFlag4::NoCreate(()));
    let (fh, opened) = session.try_open(&["export"], &args).await?;
    Ok(OpenFile { fh, stateid: opened.stateid })
}

#[tokio::test]
async fn files_and_locks_outlive_a_kill() {
    let data = Data::new();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await;
    let known = client.exchange_id(Minor::V2, "client", [1; 8]).await;
    let mut client = client.session("client").await;
    let file = client.open("file").await;
    client.write(&file, 0, b"durable").await;
    client.lock(&file, "locker", NfsLockType4::WriteLt, (0, 4)).await;
    let fileid: u64 = client.attribute(&file.fh, FATTR4_FILEID).await;
    server.kill();

    let server = data.start(&[]);
    let mut other = Client::connect_to(server.addr).await.session("other").await;
    assert_eq!(try_open(&mut other, READ).await.err(), Some(NFS4ERR_GRACE));
    let mut connection = Client::connect_to(server.addr).await;
    let again = connection.exchange_id(Minor::V2, "client", [1; 8]).await;
    assert_eq!(again.server_owner, known.server_owner);
    assert_eq!(again.server_scope, known.server_scope);
    assert_ne!(again.clientid, known.clientid, "of another start");
    let mut client = back(&server, "client").await;
    assert_eq!(client.attribute::<u64>(&file.fh, FATTR4_FILEID).await, fileid);
    assert_eq!(client.attribute::<u64>(&file.fh, FATTR4_SIZE).await, 7);
    let claim = OpenClaim4::Previous(OpenDelegationType4::None);
    let args = Open4Args { claim, ..open_args("", BOTH, 0, "owner", OpenFlag4::NoCreate(())) };
    let stateid = client.run_on::<Open>(&file.fh, &args).await.unwrap().stateid;
    let lock = lock_under(stateid, "locker", NfsLockType4::WriteLt, (0, 4));
    client.run_on::<Lock>(&file.fh, &Lock4Args { reclaim: true, ..lock }).await.unwrap();
    complete(&mut client).await;

    // Everybody has reclaimed: the grace period is over.
    let mine = try_open(&mut other, BOTH).await.unwrap();
    assert_eq!(mine.fh, file.fh);
    assert_eq!(&other.read(&mine, 0, 99).await.data.0[..], b"durable");
    let lock = lock_under(mine.stateid, "other", NfsLockType4::WriteLt, (2, 9));
    let denied = other.denied::<Lock>(&file.fh, &lock).await;
    assert_eq!((denied.offset, denied.length), (0, 4));
    server.stop();
}

/// After an end in order as well: clients do not know of it.
#[rstest]
#[case::killed(Server::kill)]
#[case::stopped(Server::stop)]
#[tokio::test]
async fn the_last_client_to_come_back_ends_the_grace_period(#[case] end: fn(Server)) {
    let data = Data::new();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await.session("client").await;
    let file = client.open("file").await;
    client.close(&file).await;
    end(server);
    let server = data.start(&[]);
    let mut client = back(&server, "client").await;
    complete(&mut client).await;
    try_open(&mut client, READ).await.unwrap();
    server.stop();
}

#[tokio::test]
async fn unstable_data_outlives_an_end_in_order() {
    let data = Data::new();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await.session("client").await;
    let file = client.open("file").await;
    let data_sent = Opaque::from("unstable");
    let args = Write4Args { stateid: file.stateid, offset: 0, stable: StableHow4::Unstable, data: data_sent };
    client.run_on::<Write>(&file.fh, &args).await.unwrap();
    server.stop();
    let server = data.start(&[]);
    let mut client = back(&server, "client").await;
    assert_eq!(client.attribute::<u64>(&file.fh, FATTR4_SIZE).await, 8);
    server.stop();
}

#[tokio::test]
async fn the_grace_period_is_as_long_as_the_longest_lease() {
    let data = Data::new();
    let server = data.start(&["--lease", "1800"]);
    Client::connect_to(server.addr).await.session("client").await.open("file").await;
    server.kill();
    for again in ["the first", "the second"] {
        let mut server = data.start(&["--lease", "20", "--api", "127.0.0.1:0"]);
        let line = server.line();
        let api = line.strip_prefix("API on ").unwrap_or_else(|| panic!("{line}")).trim_end();
        let status = crate::program::run(&["status", "--api", api]);
        let said = crate::program::text(&status.stdout);
        let left = said.split_once("Grace period: ").and_then(|(_, left)| left.split_once("s remaining"));
        let left: u64 = left.unwrap_or_else(|| panic!("{said}")).0.parse().unwrap();
        assert!((1700..=1800).contains(&left), "{again}: {said}");
        assert!(status.status.success(), "in a grace period it is ready");
        server.kill();
    }
}
