//! A file system that fails in any way: what an operation answers is in its list.
//!
//! Origin: every failure that a file system can have, in every operation that asks one.
//! RFC: 8881 section 15.2.

use std::sync::Arc;

use bytes::Bytes;
use dittofs_framework::attr::{Bitmap, FATTR4_SIZE};
use dittofs_framework::fs::FsError;
use dittofs_framework::proto::{NFS4_OK, NFS4ERR_SERVERFAULT, Stateid, component};
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::Opaque;
use dittofs_ops::access::{Access, Access4Args};
use dittofs_ops::commit::{Commit, Commit4Args};
use dittofs_ops::create::{Create, Create4Args, CreateType4};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::io::StableHow4;
use dittofs_ops::link::{Link, Link4Args};
use dittofs_ops::lock::{Lock, NfsLockType4};
use dittofs_ops::lockt::Lockt;
use dittofs_ops::locku::Locku;
use dittofs_ops::lookup::Lookup;
use dittofs_ops::lookupp::LookupP;
use dittofs_ops::open::{CreateHow4, Open, OpenClaim4, OpenFlag4};
use dittofs_ops::putfh::PutFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_ops::readlink::ReadLink;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_ops::rename::{Rename, Rename4Args};
use dittofs_ops::savefh::SaveFh;
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_ops::verify::{Verify, Verify4Args};
use dittofs_ops::write::{Write, Write4Args};
use dittofs_tests::*;

use crate::plain::Plain;

const FAILURES: [FsError; 28] = [
    FsError::Perm,
    FsError::Access,
    FsError::NotFound,
    FsError::Exist,
    FsError::NotDir,
    FsError::IsDir,
    FsError::Symlink,
    FsError::WrongType,
    FsError::NotEmpty,
    FsError::Inval,
    FsError::NameTooLong,
    FsError::BadName,
    FsError::FileTooBig,
    FsError::NoSpace,
    FsError::Quota,
    FsError::ReadOnly,
    FsError::TooManyLinks,
    FsError::CrossDevice,
    FsError::Stale,
    FsError::BadCookie,
    FsError::NotSupported,
    FsError::BadType,
    FsError::BadOwner,
    FsError::NoXattr,
    FsError::XattrTooBig,
    FsError::NoSuchOffset,
    FsError::Io,
    FsError::Delay,
];

/// Compounds whose last operation asks the file system.
fn compounds(session: &Session, dir: &OpenFile, file: &OpenFile) -> Vec<Compound> {
    let on = |at: &OpenFile| session.compound().op::<PutFh>(&put(&at.fh));
    let of_name = |how| open_args("file", BOTH, 0, "owner", how);
    let by_handle = dittofs_ops::open::Open4Args {
        claim: OpenClaim4::Fh(()),
        ..open_args("file", BOTH, 0, "owner", OpenFlag4::NoCreate(()))
    };
    let name = || component("file");
    let size = fattr(&[(FATTR4_SIZE, &1_u64)]);
    let (stateid, range) = (file.stateid, (0, 9));
    let data = Opaque(Bytes::from_static(b"data"));
    // Not of this file, nor of any.
    let wrong = Stateid { seqid: 1, ..Stateid::ANONYMOUS };
    vec![
        on(dir).op::<Open>(&of_name(OpenFlag4::NoCreate(()))),
        on(dir).op::<Open>(&of_name(unchecked())),
        on(dir).op::<Open>(&of_name(OpenFlag4::Create(CreateHow4::Unchecked(size_attr(0))))),
        on(dir).op::<Open>(&of_name(OpenFlag4::Create(CreateHow4::Exclusive([1; 8])))),
        on(file).op::<Open>(&by_handle),
        on(dir).op::<Lock>(&lock_under(stateid, "locker", NfsLockType4::WriteLt, range)),
        on(dir).op::<Locku>(&unlock(wrong, range)),
        on(file).op::<Lockt>(&lock_test("locker", NfsLockType4::WriteLt, range)),
        on(file).op::<Read>(&Read4Args { stateid, offset: 0, count: 9 }),
        on(file).op::<Write>(&Write4Args { stateid, offset: 0, stable: StableHow4::FileSync, data }),
        on(file).op::<Commit>(&Commit4Args { offset: 0, count: 0 }),
        on(file).op::<SetAttr>(&Setattr4Args { stateid, obj_attributes: size.clone() }),
        on(file).op::<SetAttr>(&Setattr4Args { stateid, obj_attributes: mode_attr(0o600) }),
        on(file).op::<Verify>(&Verify4Args { obj_attributes: size }),
        on(file).op::<GetAttr>(&Getattr4Args { attr_request: Bitmap::of(&[FATTR4_SIZE]) }),
        on(file).op::<Access>(&Access4Args { access: 1 }),
        on(file).op::<ReadLink>(&()),
        on(dir).op::<Lookup>(&named("file")),
        on(dir).op::<LookupP>(&()),
        on(dir).op::<ReadDir>(&Readdir4Args {
            cookie: 0,
            cookieverf: [0; 8],
            dircount: 1000,
            maxcount: 1000,
            attr_request: Bitmap::EMPTY,
        }),
        on(dir).op::<Remove>(&Remove4Args { target: name() }),
        on(dir).op::<SaveFh>(&()).op::<Rename>(&Rename4Args { oldname: name(), newname: component("new") }),
        on(file).op::<SaveFh>(&()).op::<PutFh>(&put(&dir.fh)).op::<Link>(&Link4Args { newname: name() }),
        on(dir).op::<Create>(&Create4Args {
            objtype: CreateType4::Dir,
            objname: component("new"),
            createattrs: mode_attr(0o755),
        }),
    ]
}

#[tokio::test]
async fn every_failure_is_a_status_of_the_operations_list() {
    let fs = Arc::new(Plain::default());
    let options = TestServerOptions { fs: fs.clone(), ..TestServerOptions::default() };
    let server = TestServer::start_with(options).await;
    let mut session = Client::connect(&server).await.session("client").await;
    let file = session.open("file").await;
    let dir = OpenFile { fh: session.mkdir("dir").await, stateid: Stateid::ANONYMOUS };
    let rows = server.service.ops().rows();
    for failure in FAILURES {
        for compound in compounds(&session, &dir, &file) {
            fs.fail_with(Some(failure));
            let reply = session.run(compound).await;
            fs.fail_with(None);
            let last = reply.results.last().unwrap();
            let (row, _) = rows.iter().find(|(row, _)| row.opnum == last.opnum).unwrap();
            assert_ne!(last.status, NFS4_OK, "{}: {failure}", row.name);
            assert!(row.allows(last.status), "{}: {failure} is {}", row.name, last.status);
            // What has no status of its own is the server's fault, and only that.
            let is_ours = last.status == NFS4ERR_SERVERFAULT;
            assert!(!is_ours || !is_common(failure), "{}: {failure}", row.name);
        }
    }
    server.stop().await;
}

/// Whether every operation has a status for the failure.
fn is_common(failure: FsError) -> bool {
    matches!(failure, FsError::Stale | FsError::Delay)
}
