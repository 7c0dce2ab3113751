//! Files whose last name goes while they are open.
//!
//! Origin: OPEN4_RESULT_PRESERVE_UNLINKED of the RFC, and what POSIX says of unlink(2) and rename(2).
//! RFC: 8881 sections 18.16.3, 18.16.4, 18.25 and 18.26.

use dittofs_framework::attr::{Bitmap, FATTR4_NUMLINKS, FATTR4_SIZE};
use dittofs_framework::proto::{NFS4_OK, NFS4ERR_STALE, NfsFh4, Stateid, Status, component};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::lock::NfsLockType4::WriteLt;
use dittofs_ops::open::{Open, Open4Args, OpenClaim4, OpenFlag4};
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::{BOTH, OpenFile, READ, Session, TO_EOF, open_args};
use rstest::rstest;

use crate::common::{CONTENT, World, put};

/// How the name goes.
#[derive(Debug, Clone, Copy)]
enum Unlink {
    Remove,
    Replace,
}

impl World {
    async fn unlink(&mut self, how: Unlink) {
        match how {
            Unlink::Remove => self.remove("file").await,
            Unlink::Replace => {
                let other = self.session.open_as("another file", READ, 0, "other owner").await;
                self.session.close(&other).await;
                let args = Rename4Args { oldname: component("another file"), newname: component("file") };
                let share = self.session.share().await;
                let compound = put(self.session.compound(), &share).op::<SaveFh>(&()).op::<Rename>(&args);
                self.session.run(compound).await.ok();
            }
        }
    }
}

/// What any use of the filehandle is answered with.
async fn use_of(session: &mut Session, fh: &NfsFh4) -> Status {
    let args = Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SIZE]) };
    session.run_on::<GetAttr>(fh, &args).await.err().unwrap_or(NFS4_OK)
}

fn by_handle() -> Open4Args {
    Open4Args { claim: OpenClaim4::Fh(()), ..open_args("", BOTH, 0, "opener", OpenFlag4::NoCreate(())) }
}

/// "The server will preserve the open file", its contents and locks included, until CLOSE; then its filehandle is stale.
#[rstest]
#[case::removed(Unlink::Remove)]
#[case::replaced(Unlink::Replace)]
#[tokio::test]
async fn a_file_lives_until_it_is_closed(#[case] how: Unlink) {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.session.lock(&file, "locker", WriteLt, (0, TO_EOF)).await;
    world.unlink(how).await;
    assert_eq!(world.session.attribute::<u32>(&file.fh, FATTR4_NUMLINKS).await, 0);
    assert_eq!(world.content().await, CONTENT);
    world.session.write(&file, 10, b"more").await;
    world.session.unlock(&file.fh, lock, (0, 1)).await;
    assert_eq!(world.session.attribute::<u64>(&file.fh, FATTR4_SIZE).await, 14);
    world.close().await;
    assert_eq!(use_of(&mut world.session, &file.fh).await, NFS4ERR_STALE);
    let read = Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 1 };
    assert_eq!(world.run::<Read>(&read).await.map(drop), Err(NFS4ERR_STALE));
    assert_eq!(world.run::<Open>(&by_handle()).await.err(), Some(NFS4ERR_STALE));
    world.stop().await;
}

/// A file of the old name is another file.
#[tokio::test]
async fn the_name_is_free_for_another_file() {
    let mut world = World::new().await;
    let old = world.file.clone();
    world.unlink(Unlink::Remove).await;
    let new = world.session.open("file").await;
    assert_ne!(new.fh, old.fh);
    assert_ne!(new.stateid.other, old.stateid.other);
    assert_eq!(world.session.attribute::<u64>(&new.fh, FATTR4_SIZE).await, 0);
    assert_eq!(&world.session.read(&old, 0, 100).await.data[..], CONTENT);
    world.stop().await;
}

/// Whose open it is does not matter, nor who removed the name: the last one counts.
#[tokio::test]
async fn the_last_of_several_opens_counts() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let mut other = world.client("other client").await;
    let theirs = other.open("file").await;
    world.unlink(Unlink::Remove).await;
    let by_handle = other.run_on::<Open>(&file.fh, &by_handle()).await.unwrap();
    let second = OpenFile { fh: file.fh.clone(), stateid: by_handle.stateid };
    world.close().await;
    assert_eq!(use_of(&mut world.session, &file.fh).await, NFS4_OK);
    other.close(&theirs).await;
    assert_eq!(&other.read(&second, 0, 100).await.data[..], CONTENT);
    other.close(&second).await;
    assert_eq!(use_of(&mut world.session, &file.fh).await, NFS4ERR_STALE);
    world.stop().await;
}

/// An upgrade is not a second open: one CLOSE ends it.
#[tokio::test]
async fn an_upgraded_open_is_one() {
    let mut world = World::new().await;
    let again = world.session.open("file").await;
    world.unlink(Unlink::Remove).await;
    world.session.close(&again).await;
    assert_eq!(use_of(&mut world.session, &again.fh).await, NFS4ERR_STALE);
    world.stop().await;
}
