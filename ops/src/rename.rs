//! RENAME: RFC 8881 section 18.26.

use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::fs::FsError;
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    ChangeInfo, Component4, FileType, NFS4ERR_EXIST, NFS4ERR_MLINK, NFS4ERR_XDEV, OP_RENAME, Status,
};
use dittofs_framework::{register_operation, xdr_struct};

use crate::fault::{file_type, fs_error};
use crate::names::check_component;
use crate::{change, errors};

xdr_struct! {
    /// RENAME4args.
    #[derive(Clone)]
    pub struct Rename4Args {
        /// The name in the directory that is the saved filehandle.
        pub oldname: Component4,
        /// The name in the directory that is the current filehandle.
        pub newname: Component4,
    }
}

xdr_struct! {
    /// RENAME4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Rename4ResOk {
        /// The source directory around the operation.
        pub source_cinfo: ChangeInfo,
        /// The target directory around it.
        pub target_cinfo: ChangeInfo,
    }
}

/// The operation.
pub struct Rename;

impl Operation for Rename {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        errors_not_in_v4_0: &[NFS4ERR_MLINK],
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT).union(OpFlags::NEEDS_SAVED_FH),
        max_reply: 20 + 20,
        ..OpDescriptor::new(OP_RENAME, errors::RENAME)
    };
    type Args = Rename4Args;
    type Res = Rename4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Rename4Args) -> OpResult<Rename4ResOk> {
        let (from, to) = (cx.saved()?, cx.current()?);
        if from.export.id != to.export.id {
            return Err(NFS4ERR_XDEV.into());
        }
        let max_name = to.fs().info().max_name;
        check_component(&args.oldname, max_name)?;
        check_component(&args.newname, max_name)?;
        // A client that reclaims finds its files under the names that it knows (RFC 8881 section 8.4.2.1).
        cx.check_grace()?;
        let (oldname, newname) = (&args.oldname, &args.newname);
        let _source = change::begin_by_name(cx, from, oldname).await?;
        let _replaced = change::begin_by_name(cx, to, newname).await?;
        let dir_change = if from.is_same(to) {
            cx.begin_dir_change(to, DirEdit::Rename(oldname, newname)).await?
        } else {
            let edits = [(from, DirEdit::MoveOut(oldname)), (to, DirEdit::MoveIn(newname))];
            cx.begin_dir_changes(&edits).await?
        };
        let renamed = to.fs().rename(&cx.request, &from.node, oldname, &to.node, newname).await;
        // Two names of one object stay as they are (RFC 8881 section 18.26.3).
        let target = renamed.as_ref().ok().map(|(_, target)| target);
        dir_change.end(DirOutcome::of_change(target)).await;
        match renamed {
            Ok((source_cinfo, target_cinfo)) => Ok(Rename4ResOk { source_cinfo, target_cinfo }),
            Err(error) => Err(rename_error(cx, error).await.into()),
        }
    }
}

/// "If the source object and the target are not compatible or if the target is a directory but not empty, the server will return
/// the error NFS4ERR_EXIST"; NFS4ERR_NOTDIR is for a filehandle that is not a directory (RFC 8881 sections 18.26.3 and 18.26.4).
async fn rename_error(cx: &CompoundContext<'_>, error: FsError) -> Status {
    match error {
        FsError::IsDir | FsError::NotEmpty => NFS4ERR_EXIST,
        FsError::NotDir if are_directories(cx).await => NFS4ERR_EXIST,
        _ => fs_error(&Rename::DESCRIPTOR, error),
    }
}

async fn are_directories(cx: &CompoundContext<'_>) -> bool {
    let (Ok(from), Ok(to)) = (cx.saved(), cx.current()) else { return false };
    file_type(cx, from).await == Ok(FileType::Dir) && file_type(cx, to).await == Ok(FileType::Dir)
}

register_operation!(Rename);
