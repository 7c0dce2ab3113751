//! Origin: the statements of the RFC, one by one, and the OPEN, CLOSE and OPDG groups of pynfs. What minor version 0 has in common with
//! later ones is in the tables of `ops`.
//! RFC: 7530 sections 9.1.4.4, 9.1.7, 9.11, 16.2, 16.16 and 16.19.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_BAD_SEQID, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_INVAL,
    NFS4ERR_ISDIR, NFS4ERR_NOENT, NFS4ERR_NOFILEHANDLE, NFS4ERR_OLD_STATEID, NFS4ERR_SHARE_DENIED,
    NFS4ERR_STALE_STATEID, NFS4ERR_SYMLINK, SpecData, Stateid, Status, component,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::v4_0::V4_0Limits;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getfh::GetFh;
use dittofs_ops::open::{
    CreatVerfAttr, CreateHow4, OPEN4_RESULT_LOCKTYPE_POSIX, Open4Args, OpenClaim4, OpenDelegation4,
    OpenDelegationType4, OpenFlag4,
};
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_tests::{
    BOTH, ClientV4_0, OpenFile, READ, TestServer, TestServerOptions, WRITE, mode_attr, unchecked, walk,
};
use rstest::rstest;

use crate::world::{World, Wrong, status};

#[tokio::test]
async fn an_open_is_what_it_was_asked_for() {
    let mut world = World::new().await;
    let args = world.client.open_args("file", READ, 0, "opener", OpenFlag4::NoCreate(()));
    let (fh, opened) = world.client.try_open(&args).await.unwrap();
    assert_eq!(fh, world.file.fh);
    // Of the same owner it is the same open, one step on.
    assert_eq!(opened.stateid, Stateid { seqid: world.file.stateid.seqid + 1, ..world.file.stateid });
    assert_eq!(opened.rflags, OPEN4_RESULT_LOCKTYPE_POSIX, "a client of 4.0 keeps unlinked files by itself");
    assert_eq!(opened.delegation, OpenDelegation4::None(()));
    world.stop().await;
}

/// What is not of this minor version: wants are bits that mean nothing, new arms of the unions do not decode.
#[rstest]
#[case::no_access(0, 0, NFS4ERR_INVAL)]
#[case::unknown_access(4, 0, NFS4ERR_INVAL)]
#[case::want_read_deleg(0x101, 0, NFS4ERR_INVAL)]
#[case::want_no_deleg(0x401, 0, NFS4ERR_INVAL)]
#[case::push(0x2_0001, 0, NFS4ERR_INVAL)]
#[case::unknown_deny(1, 4, NFS4ERR_INVAL)]
#[case::good(1, 0, NFS4_OK)]
#[tokio::test]
async fn share_modes_are(#[case] access: u32, #[case] deny: u32, #[case] want: Status) {
    let mut world = World::new().await;
    let args = world.client.open_args("file", access, deny, "opener", unchecked());
    assert_eq!(status(&world.client.try_open(&args).await), want);
    // Refused or not, the seqid is used up.
    let args = world.client.open_args("file", READ, 0, "opener", unchecked());
    assert_eq!(status(&world.client.try_open(&args).await), NFS4_OK);
    world.stop().await;
}

#[rstest]
#[case::fh(OpenClaim4::Fh(()))]
#[case::deleg_cur_fh(OpenClaim4::DelegCurFh(Stateid::ANONYMOUS))]
#[case::deleg_prev_fh(OpenClaim4::DelegPrevFh(()))]
#[case::none_ext(OpenClaim4::Previous(OpenDelegationType4::NoneExt))]
#[tokio::test]
async fn later_claims_do_not_decode(#[case] claim: OpenClaim4) {
    let mut world = World::new().await;
    let args = world.client.claim_args(READ, "opener", claim);
    assert_eq!(status(&world.client.try_open(&args).await), NFS4ERR_BADXDR);
    world.stop().await;
}

#[tokio::test]
async fn a_later_way_to_create_does_not_decode() {
    let mut world = World::new().await;
    let exclusive = CreatVerfAttr { cva_verf: [1; 8], cva_attrs: mode_attr(0o600) };
    let how = OpenFlag4::Create(CreateHow4::Exclusive4_1(exclusive));
    let args = world.client.open_args("new", READ, 0, "opener", how);
    assert_eq!(status(&world.client.try_open(&args).await), NFS4ERR_BADXDR);
    // Nothing was done, and the seqid is not used up.
    let how = OpenFlag4::Create(CreateHow4::Exclusive([1; 8]));
    let again = Open4Args { openhow: how, ..args };
    assert_eq!(status(&world.client.try_open(&again).await), NFS4_OK);
    world.stop().await;
}

/// "NFS4ERR_SYMLINK is returned for both symlinks and for special files of other types."
#[rstest]
#[case::dir(CreateType4::Dir, NFS4ERR_ISDIR)]
#[case::symlink(CreateType4::Link(component("file")), NFS4ERR_SYMLINK)]
#[case::fifo(CreateType4::Fifo, NFS4ERR_SYMLINK)]
#[case::socket(CreateType4::Socket, NFS4ERR_SYMLINK)]
#[case::block(CreateType4::Block(SpecData { specdata1: 1, specdata2: 3 }), NFS4ERR_SYMLINK)]
#[case::char(CreateType4::Char(SpecData { specdata1: 1, specdata2: 3 }), NFS4ERR_SYMLINK)]
#[tokio::test]
async fn what_is_no_file(
    #[case] what: CreateType4,
    #[case] want: Status,
    #[values(OpenFlag4::NoCreate(()), unchecked())] how: OpenFlag4,
) {
    let mut world = World::new().await;
    let args = Create4Args { objtype: what, objname: component("object"), createattrs: mode_attr(0o755) };
    let compound = walk(world.client.compound(), &["export"]).op::<Create>(&args);
    world.client.run(compound).await.ok();
    let args = world.client.open_args("object", READ, 0, "opener", how);
    assert_eq!(status(&world.client.try_open(&args).await), want);
    world.stop().await;
}

#[rstest]
#[case::anonymous(Wrong::Anonymous, NFS4ERR_BAD_STATEID)]
#[case::read_bypass(Wrong::ReadBypass, NFS4ERR_BAD_STATEID)]
#[case::stale(Wrong::Stale, NFS4ERR_STALE_STATEID)]
#[case::garbage(Wrong::Garbage, NFS4ERR_BAD_STATEID)]
#[case::old(Wrong::Old, NFS4ERR_OLD_STATEID)]
#[case::future(Wrong::Future, NFS4ERR_BAD_STATEID)]
#[tokio::test]
async fn a_stateid_is_refused(#[case] wrong: Wrong, #[case] want: Status) {
    let mut world = World::new().await;
    let file = OpenFile { stateid: world.wrong(wrong), ..world.file.clone() };
    let seqid = world.client.next_seqid("opener");
    let close = Close4Args { seqid, open_stateid: file.stateid };
    assert_eq!(world.client.run_on::<Close>(&file.fh, &close).await, Err(want));
    // NFS4ERR_OLD_STATEID is not among the statuses that leave the seqid as it was.
    let seqid = if want == NFS4ERR_OLD_STATEID { seqid + 1 } else { seqid };
    let args = OpenDowngrade4Args { open_stateid: file.stateid, seqid, share_access: READ, share_deny: 0 };
    assert_eq!(world.client.run_on::<OpenDowngrade>(&file.fh, &args).await, Err(want));
    world.stop().await;
}

/// The seqid comes before all else.
#[rstest]
#[case::before(99, NFS4ERR_BAD_SEQID)]
#[case::of_another_operation(101, NFS4ERR_BAD_SEQID)]
#[case::next(102, NFS4_OK)]
#[case::after(103, NFS4ERR_BAD_SEQID)]
#[tokio::test]
async fn seqids_are_checked(#[case] seqid: u32, #[case] want: Status) {
    // OPEN was 100, OPEN_CONFIRM 101.
    for op in ["close", "open", "downgrade"] {
        let mut world = World::new().await;
        let OpenFile { fh, stateid } = world.file.clone();
        let client = &mut world.client;
        let got = match op {
            "close" => {
                let args = Close4Args { seqid, open_stateid: stateid };
                status(&client.run_on::<Close>(&fh, &args).await)
            }
            "open" => {
                let args = client.open_args("file", READ, 0, "opener", unchecked());
                status(&client.try_open(&Open4Args { seqid, ..args }).await)
            }
            _ => {
                let args =
                    OpenDowngrade4Args { open_stateid: stateid, seqid, share_access: BOTH, share_deny: 0 };
                status(&client.run_on::<OpenDowngrade>(&fh, &args).await)
            }
        };
        assert_eq!(got, want, "{op}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_close_ends_the_open_and_keeps_the_filehandle() {
    let mut world = World::new().await;
    let OpenFile { fh, stateid } = world.file.clone();
    let args = Close4Args { seqid: world.client.seqid("opener"), open_stateid: stateid };
    let compound = world.client.on::<Close>(&fh, &args).op::<GetFh>(&());
    let reply = world.client.run(compound).await.ok();
    assert_eq!(reply.get::<GetFh>().object, fh);
    assert!(!world.server.service.state().has_state(world.client.clientid));
    let file = world.file.clone();
    assert_eq!(world.client.close(&file, "opener").await, Err(NFS4ERR_BAD_STATEID));
    world.stop().await;
}

#[rstest]
#[case::to_read(READ, 0, NFS4_OK)]
#[case::never_opened_so(WRITE, 0, NFS4ERR_INVAL)]
#[case::no_access(0, 0, NFS4ERR_INVAL)]
#[case::want(0x101, 0, NFS4ERR_INVAL)]
#[case::deny_never_asked(READ, ShareDeny::WRITE.bits(), NFS4ERR_INVAL)]
#[tokio::test]
async fn a_downgrade_is(#[case] share_access: u32, #[case] share_deny: u32, #[case] want: Status) {
    let mut world = World::new().await;
    let args = world.client.open_args("file", READ, 0, "opener", unchecked());
    let (fh, opened) = world.client.try_open(&args).await.unwrap();
    let seqid = world.client.seqid("opener");
    let args = OpenDowngrade4Args { open_stateid: opened.stateid, seqid, share_access, share_deny };
    assert_eq!(status(&world.client.run_on::<OpenDowngrade>(&fh, &args).await), want);
    world.stop().await;
}

#[tokio::test]
async fn without_a_filehandle_nothing_is_open() {
    let mut world = World::new().await;
    let args = Close4Args { seqid: world.client.next_seqid("opener"), open_stateid: world.file.stateid };
    let compound = world.client.compound().op::<Close>(&args);
    assert_eq!(world.client.run(compound).await.status, NFS4ERR_NOFILEHANDLE);
    let file = world.file.clone();
    assert!(world.client.close(&file, "opener").await.is_ok(), "the seqid was not used up");
    world.stop().await;
}

/// One owner's opens stand in the way of another's of the same client, too.
#[tokio::test]
async fn share_reservations_hold_between_owners() {
    let mut world = World::new().await;
    let args = world.client.open_args("file", READ, ShareDeny::WRITE.bits(), "second", unchecked());
    assert_eq!(status(&world.client.try_open(&args).await), NFS4ERR_SHARE_DENIED);
    let how = OpenFlag4::NoCreate(());
    let args = world.client.open_args("absent", READ, 0, "second", how);
    assert_eq!(status(&world.client.try_open(&args).await), NFS4ERR_NOENT);
    world.stop().await;
}

#[tokio::test]
async fn owners_are_limited() {
    let v4_0 = V4_0Limits { owners_per_client: 1, ..V4_0Limits::default() };
    let limits = Limits { v4_0, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut client = ClientV4_0::connect(&server, "client").await;
    client.open("file").await;
    let args = client.open_args("file", READ, 0, "second", unchecked());
    assert_eq!(status(&client.try_open(&args).await), NFS4ERR_DELAY);
    server.stop().await;
}
