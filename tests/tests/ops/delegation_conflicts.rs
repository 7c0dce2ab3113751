//! What operations of others recall a delegation, and that those of its holder do not.
//!
//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 section 10.4.4, 8276 section 8.4.

use dittofs_framework::proto::{Minor, NFS4ERR_DELAY, Stateid, Status, component};
use dittofs_framework::xdr::Opaque;
use dittofs_ops::allocate::{Allocate, Allocate4Args};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::removexattr::{RemoveXattr, RemoveXattr4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::setxattr::{SetXattr, SetXattr4Args, SetXattrOption4};
use dittofs_tests::{BOTH, READ, Session, mode_attr, put, size_attr, walk};
use rstest::rstest;

use crate::delegated::{Delegated, Held, making, open_with, try_write};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    SetMode,
    SetSize,
    SetXattr,
    RemoveXattr,
    Remove,
    RenameAway,
    RenameOver,
    Link,
    Read,
    Write,
    Allocate,
    GetMode,
    Lookup,
}

/// Does it to the file, as a client without an open of it.
async fn perform(session: &mut Session, held: &Held, what: What) -> Result<(), Status> {
    let fh = &held.file.fh;
    let stateid = Stateid::ANONYMOUS;
    match what {
        What::SetMode => {
            let args = Setattr4Args { stateid, obj_attributes: mode_attr(0o600) };
            session.run_on::<SetAttr>(fh, &args).await.map(drop)
        }
        What::SetSize => {
            let args = Setattr4Args { stateid, obj_attributes: size_attr(3) };
            session.run_on::<SetAttr>(fh, &args).await.map(drop)
        }
        What::SetXattr => {
            let (key, value) = (component("user.key"), Opaque::from("value"));
            let args = SetXattr4Args { option: SetXattrOption4::Either, key, value };
            session.run_on::<SetXattr>(fh, &args).await.map(drop)
        }
        What::RemoveXattr => {
            let args = RemoveXattr4Args { name: component("user.old") };
            session.run_on::<RemoveXattr>(fh, &args).await.map(drop)
        }
        What::Remove => {
            let share = session.share().await;
            session.run_on::<Remove>(&share, &Remove4Args { target: component("file") }).await.map(drop)
        }
        What::RenameAway => rename(session, "file", "moved").await,
        What::RenameOver => rename(session, "spare", "file").await,
        What::Link => {
            let start = session.compound().op::<PutFh>(&put(fh)).op::<SaveFh>(&());
            let compound = walk(start, &["export"]).op::<Link>(&Link4Args { newname: component("link") });
            let status = session.run(compound).await.status;
            if status.is_ok() { Ok(()) } else { Err(status) }
        }
        What::Read => {
            let args = Read4Args { stateid, offset: 0, count: 4 };
            session.run_on::<Read>(fh, &args).await.map(drop)
        }
        What::Write => try_write(session, &held.file, stateid).await,
        What::Allocate => {
            let args = Allocate4Args { stateid, offset: 0, length: 4 };
            session.run_on::<Allocate>(fh, &args).await.map(drop)
        }
        What::GetMode => {
            let attr_request = mode_attr(0).attrmask;
            session.run_on::<GetAttr>(fh, &Getattr4Args { attr_request }).await.map(drop)
        }
        What::Lookup => {
            session.lookup(&["export", "file"]).await;
            Ok(())
        }
    }
}

async fn rename(session: &mut Session, from: &str, to: &str) -> Result<(), Status> {
    let start = walk(session.compound(), &["export"]).op::<SaveFh>(&());
    let args = Rename4Args { oldname: component(from), newname: component(to) };
    let status = session.run(start.op::<Rename>(&args)).await.status;
    if status.is_ok() { Ok(()) } else { Err(status) }
}

/// With an attribute to remove, and a file to put in the place of the delegated one.
async fn world() -> Delegated {
    let mut world = Delegated::of(Minor::V2).await;
    let (spare, _) = open_with(&mut world.other, &making("spare", READ | 0x400)).await.unwrap();
    world.other.close(&spare).await;
    let fh = world.other.lookup(&["export", "file"]).await;
    let (key, value) = (component("user.old"), Opaque::from("value"));
    let args = SetXattr4Args { option: SetXattrOption4::Either, key, value };
    world.other.run_on::<SetXattr>(&fh, &args).await.unwrap();
    world
}

#[rstest]
#[case::set_mode(What::SetMode, true, true)]
#[case::set_size(What::SetSize, true, true)]
#[case::set_xattr(What::SetXattr, true, true)]
#[case::remove_xattr(What::RemoveXattr, true, true)]
#[case::remove(What::Remove, true, true)]
#[case::rename_away(What::RenameAway, true, true)]
#[case::rename_over(What::RenameOver, true, true)]
#[case::link(What::Link, true, true)]
#[case::write(What::Write, true, true)]
#[case::allocate(What::Allocate, true, true)]
#[case::read(What::Read, false, true)]
#[case::getattr(What::GetMode, false, false)]
#[case::lookup(What::Lookup, false, false)]
#[tokio::test]
async fn it_recalls(#[case] what: What, #[case] read: bool, #[case] write: bool) {
    for (share_access, conflicts) in [(READ, read), (BOTH, write)] {
        let mut world = world().await;
        let held = world.delegate(share_access).await;
        // Without the open that came with it, which is in the way of nothing here.
        world.holder.close(&held.file).await;
        let refused = perform(&mut world.other, &held, what).await.err();
        assert_eq!(refused, conflicts.then_some(NFS4ERR_DELAY), "{share_access}");
        assert_eq!(world.is_recalled(&held), Some(conflicts));
        if conflicts {
            world.give_back(&held).await.unwrap();
            assert_eq!(perform(&mut world.other, &held, what).await, Ok(()));
        }
        world.stop().await;
    }
}

#[rstest]
#[case::set_mode(What::SetMode)]
#[case::set_size(What::SetSize)]
#[case::set_xattr(What::SetXattr)]
#[case::remove_xattr(What::RemoveXattr)]
#[case::remove(What::Remove)]
#[case::rename_away(What::RenameAway)]
#[case::rename_over(What::RenameOver)]
#[case::link(What::Link)]
#[case::write(What::Write)]
#[case::allocate(What::Allocate)]
#[case::read(What::Read)]
#[case::getattr(What::GetMode)]
#[tokio::test]
async fn its_holder_may(#[case] what: What) {
    let mut world = world().await;
    let held = world.delegate(BOTH).await;
    assert_eq!(perform(&mut world.holder, &held, what).await, Ok(()));
    assert_eq!(world.is_recalled(&held), Some(false));
    world.stop().await;
}
