//! Origin: what waits while clients reclaim, what does not, and when that ends.
//! RFC: 8881 sections 8.4.2.1 and 18.51.

use std::time::Duration;

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_MODE};
use dittofs_framework::clock::{Clock, Timestamp};
use dittofs_framework::proto::*;
use dittofs_framework::recovery::GraceCounts;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::access::{Access, Access4Args};
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::destroy_clientid::{DestroyClientid, DestroyClientid4Args};
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::open::{Open, OpenFlag4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::*;
use rstest::rstest;

use crate::world::*;

/// What a request is made of: a compound, the file and the share.
type Request = fn(Compound, &NfsFh4, &NfsFh4) -> Compound;

fn on_file(compound: Compound, file: &NfsFh4) -> Compound {
    compound.op::<PutFh>(&put(file))
}

fn read(compound: Compound, file: &NfsFh4, stateid: Stateid) -> Compound {
    on_file(compound, file).op::<Read>(&Read4Args { stateid, offset: 0, count: 1 })
}

fn write(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    let data = Opaque(Bytes::from_static(b"x"));
    let args = Write4Args { stateid: Stateid::ANONYMOUS, offset: 0, stable: StableHow4::Unstable, data };
    on_file(compound, file).op::<Write>(&args)
}

fn set(compound: Compound, file: &NfsFh4, obj_attributes: Fattr4) -> Compound {
    on_file(compound, file).op::<SetAttr>(&Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes })
}

fn open(compound: Compound, how: OpenFlag4, name: &str) -> Compound {
    walk(compound, &["export"]).op::<Open>(&open_args(name, READ, 0, "opener", how))
}

fn open_what_is_there(compound: Compound, _: &NfsFh4, _: &NfsFh4) -> Compound {
    open(compound, OpenFlag4::NoCreate(()), "file")
}

fn create_and_open(compound: Compound, _: &NfsFh4, _: &NfsFh4) -> Compound {
    open(compound, unchecked(), "new")
}

fn read_anonymously(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    read(compound, file, Stateid::ANONYMOUS)
}

fn read_past_locks(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    read(compound, file, Stateid::READ_BYPASS)
}

fn truncate(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    set(compound, file, size_attr(0))
}

fn change_the_mode(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    set(compound, file, mode_attr(0o600))
}

fn remove(compound: Compound, _: &NfsFh4, share: &NfsFh4) -> Compound {
    on_file(compound, share).op::<Remove>(&Remove4Args { target: component("file") })
}

fn rename(compound: Compound, _: &NfsFh4, share: &NfsFh4) -> Compound {
    let args = Rename4Args { oldname: component("file"), newname: component("name") };
    on_file(compound, share).op::<SaveFh>(&()).op::<Rename>(&args)
}

fn link(compound: Compound, file: &NfsFh4, share: &NfsFh4) -> Compound {
    let args = Link4Args { newname: component("name") };
    on_file(compound, file).op::<SaveFh>(&()).op::<PutFh>(&put(share)).op::<Link>(&args)
}

fn mkdir(compound: Compound, _: &NfsFh4, share: &NfsFh4) -> Compound {
    let args = Create4Args {
        objtype: CreateType4::Dir,
        objname: component("directory"),
        createattrs: mode_attr(0o755),
    };
    on_file(compound, share).op::<Create>(&args)
}

fn look(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    let mode = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_MODE]) };
    on_file(compound, file).op::<GetAttr>(&mode).op::<Access>(&Access4Args { access: 1 })
}

fn commit(compound: Compound, file: &NfsFh4, _: &NfsFh4) -> Compound {
    on_file(compound, file).op::<Commit>(&Commit4Args { offset: 0, count: 0 })
}

/// A client that is not waited for asks for something, while another one is.
#[rstest]
#[case::open(open_what_is_there, NFS4ERR_GRACE)]
#[case::create_and_open(create_and_open, NFS4ERR_GRACE)]
#[case::read_anonymously(read_anonymously, NFS4ERR_GRACE)]
#[case::read_past_locks(read_past_locks, NFS4ERR_GRACE)]
#[case::write_anonymously(write, NFS4ERR_GRACE)]
#[case::truncate_anonymously(truncate, NFS4ERR_GRACE)]
#[case::remove(remove, NFS4ERR_GRACE)]
#[case::rename(rename, NFS4ERR_GRACE)]
#[case::link(link, NFS4ERR_GRACE)]
#[case::change_the_mode(change_the_mode, NFS4_OK)]
#[case::make_a_directory(mkdir, NFS4_OK)]
#[case::look(look, NFS4_OK)]
#[case::commit(commit, NFS4_OK)]
#[tokio::test]
async fn others_wait(
    #[case] request: Request,
    #[case] status: Status,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let (_world, server, fh) = World::after_open(minor).await;
    let mut other = session(&server, "other", minor).await;
    let share = other.share().await;
    assert_eq!(other.run(request(other.compound(), &fh, &share)).await.status, status);
    if status == NFS4ERR_GRACE {
        server.service.end_grace().await.unwrap();
        other.run(request(other.compound(), &fh, &share)).await.ok();
    }
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_anybody_to_wait_for_there_is_none(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    assert!(!server.service.grace().is_in_force());
    // A client that could not hold anything yet, and one that is gone.
    back(&server, "new", minor).await;
    let mut gone = session(&server, "gone", minor).await;
    let file = gone.open("file").await;
    gone.close(&file).await;
    let (destroy_session, destroy) =
        (DestroySession4Args { sessionid: gone.sessionid }, DestroyClientid4Args { clientid: gone.clientid });
    let alone = Compound::new(minor).op::<DestroySession>(&destroy_session);
    gone.client.run(&alone).await.ok();
    gone.client.run(&Compound::new(minor).op::<DestroyClientid>(&destroy)).await.ok();

    let server = world.reboot(server).await;
    assert!(!server.service.grace().is_in_force());
    session(&server, "client", minor).await.open("file").await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn without_a_store_there_is_none(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot_on(None).await;
    let fh = session(&server, "client", minor).await.open("file").await.fh;
    server.crash().await;
    let server = world.boot_on(None).await;
    let mut client = back(&server, "client", minor).await;
    assert_eq!(client.reclaim(&fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    assert_eq!(client.complete().await, NFS4_OK);
    client.try_open_new("file").await.unwrap();
    server.stop().await;
}

/// Three clients hold state; then the server restarts.
async fn three(minor: Minor) -> (World, TestServer, NfsFh4) {
    let world = World::new();
    let server = world.boot().await;
    let mut fh = None;
    for owner in ["a", "b", "c"] {
        fh = Some(session(&server, owner, minor).await.open("file").await.fh);
    }
    let server = world.reboot(server).await;
    (world, server, fh.unwrap())
}

#[rstest]
#[tokio::test]
async fn it_ends_with_the_last_client(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = three(minor).await;
    let grace = server.service.grace();
    for (done, owner) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(grace.counts(), GraceCounts { entitled: 3, completed: done });
        assert!(grace.is_in_force());
        let mut client = back(&server, owner, minor).await;
        client.reclaim(&fh).await.unwrap();
        assert_eq!(client.complete().await, NFS4_OK);
    }
    // With the answer to the last one, not later.
    assert!(!grace.is_in_force());
    session(&server, "other", minor).await.open("file").await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_restarted_is_not_waited_for(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, _) = three(minor).await;
    for owner in ["a", "b", "c"] {
        assert!(server.service.grace().is_in_force());
        restarted(&server, owner, minor).await;
    }
    server.service.reap().await;
    assert!(!server.service.grace().is_in_force());
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn it_does_not_wait_for_ever(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = three(minor).await;
    let mut client = back(&server, "a", minor).await;
    let grace = server.service.grace();
    server.clock.advance(ALMOST_GRACE);
    server.service.reap().await;
    assert_eq!(grace.remaining(now(&server)), SECOND);
    server.clock.advance(SECOND);
    server.service.reap().await;
    assert_eq!(grace.remaining(now(&server)), Duration::ZERO);
    assert_eq!(client.reclaim(&fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    session(&server, "other", minor).await.open("file").await;
    server.stop().await;
}

/// "Some additional time in order to allow a client to establish a new client ID and session and to effect lock reclaims may be added
/// to the lease time": as long as reclaims come, up to once the time.
#[rstest]
#[tokio::test]
async fn it_goes_on_while_somebody_reclaims(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = three(minor).await;
    let mut client = back(&server, "a", minor).await;
    server.clock.advance(ALMOST_GRACE);
    let mut reclaims = 0;
    while client.reclaim(&fh).await.is_ok() {
        reclaims += 1;
        server.clock.advance(SECOND);
        server.service.reap().await;
        // The lease of the client is renewed by that; those that do not come back have no part in it.
        assert_eq!(server.service.grace().is_in_force(), reclaims < 91);
    }
    assert_eq!(reclaims, 91, "from a second before the end to twice the time");
    server.stop().await;
}

/// Who has completed is on record, though it holds nothing: whether it comes back does not depend on that.
#[rstest]
#[tokio::test]
async fn who_could_have_held_something_is_waited_for(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let world = World::new();
    let server = world.boot().await;
    session(&server, "idle", minor).await;
    let server = world.reboot(server).await;
    let grace = server.service.grace();
    assert_eq!(grace.counts(), GraceCounts { entitled: 1, completed: 0 });
    let mut idle = back(&server, "idle", minor).await;
    assert_eq!(idle.complete().await, NFS4_OK);
    assert!(!grace.is_in_force());
    server.stop().await;
}

fn now(server: &TestServer) -> Timestamp {
    server.clock.now()
}

#[rstest]
#[tokio::test]
async fn it_can_be_ended(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let (_world, server, fh) = three(minor).await;
    let mut client = back(&server, "a", minor).await;
    server.service.end_grace().await.unwrap();
    assert!(!server.service.grace().is_in_force());
    assert_eq!(client.reclaim(&fh).await.unwrap_err(), NFS4ERR_NO_GRACE);
    // It was told, and is told until it says that it knows.
    assert!(client.is_told_to_reclaim().await);
    assert_eq!(client.complete().await, NFS4_OK);
    assert!(!client.is_told_to_reclaim().await);
    client.try_open_new("file").await.unwrap();
    server.service.end_grace().await.unwrap();
    server.stop().await;
}
