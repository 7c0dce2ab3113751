//! Origin: the statements of the RFC, one by one.
//! RFC: 7862 section 15.5.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::proto::{Minor, NFS4ERR_ACCESS, NFS4ERR_INVAL, Stateid};
use dittofs_framework::state::ShareDeny;
use dittofs_ops::io_advise::{IoAdvise, IoAdvise4Args};
use rstest::rstest;

use crate::common::{Bogus, Object, World};

const SEQUENTIAL: u32 = 1;
const RANDOM: u32 = 3;

fn args(stateid: Stateid, hints: &[u32]) -> IoAdvise4Args {
    IoAdvise4Args { stateid, offset: 0, count: 0, hints: Bitmap::of(hints) }
}

/// "The server MUST NOT return an error if the client sends contradictory hints."
#[rstest]
#[case::none(&[])]
#[case::one(&[SEQUENTIAL])]
#[case::contradictory(&[SEQUENTIAL, RANDOM])]
#[case::unknown(&[40, 70])]
#[tokio::test]
async fn hints_are_taken_and_not_followed(#[case] hints: &[u32]) {
    let mut world = World::new().await;
    let advice = world.run::<IoAdvise>(&args(world.file.stateid, hints)).await.unwrap();
    assert_eq!(advice.hints, Bitmap::of(&[0]), "IO_ADVISE4_NORMAL");
    world.stop().await;
}

#[tokio::test]
async fn a_range_past_64_bits_is_refused() {
    let mut world = World::new().await;
    let args = IoAdvise4Args { offset: u64::MAX, count: 1, ..args(world.file.stateid, &[]) };
    assert_eq!(world.run::<IoAdvise>(&args).await, Err(NFS4ERR_INVAL));
    world.stop().await;
}

/// RFC 7862 section 11.2 has no NFS4ERR_LOCKED for it.
#[tokio::test]
async fn where_reading_is_denied_it_is_refused() {
    let mut world = World::new().await;
    let other = world.deny(ShareDeny::READ.bits()).await;
    assert_eq!(world.run::<IoAdvise>(&args(Stateid::ANONYMOUS, &[])).await, Err(NFS4ERR_ACCESS));
    drop(other);
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn a_stateid_is_refused(
    #[values(
        Bogus::Garbage,
        Bogus::Invalid,
        Bogus::Future,
        Bogus::Old,
        Bogus::OtherFile,
        Bogus::OtherClient,
        Bogus::Closed,
        Bogus::NoCurrent
    )]
    bogus: Bogus,
) {
    let mut world = World::new().await;
    let stateid = world.stateid(bogus).await;
    assert_eq!(world.run::<IoAdvise>(&args(stateid, &[])).await, Err(bogus.status()));
    world.stop().await;
}

#[rstest]
#[tokio::test]
async fn what_is_no_file_is_refused(
    #[values(
        Object::Dir,
        Object::Symlink,
        Object::Fifo,
        Object::Socket,
        Object::Block,
        Object::Char
    )]
    object: Object,
) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let advice = world.run_on::<IoAdvise>(&fh, &args(Stateid::ANONYMOUS, &[])).await;
    assert_eq!(advice, Err(object.data_status(Minor::V2)));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    let args = args(world.file.stateid, &[]);
    world.refuses_without_handle_and_cut_short::<IoAdvise>(&args).await;
    world.stop().await;
}
