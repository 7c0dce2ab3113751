//! SETATTR: RFC 8881 section 18.30.

use dittofs_framework::attr::{Bitmap, attributes_changed, attrset, decode_setattr};
use dittofs_framework::compound::{CompoundContext, DirEdit, DirOutcome};
use dittofs_framework::fs::{Authority, SetAttributes, SetTime};
use dittofs_framework::op::{OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    Fattr4, FileType, Minor, NFS4ERR_INVAL, NFS4ERR_ISDIR, NFS4ERR_WRONG_TYPE, OP_SETATTR, Stateid, Status,
};
use dittofs_framework::state::{FileKey, Io, RecallReason};
use dittofs_framework::{register_operation, xdr_struct};

use crate::fault::{file_type, fs_error};
use crate::{change, errors, io};

xdr_struct! {
    /// SETATTR4args.
    #[derive(Clone)]
    pub struct Setattr4Args {
        /// On whose state the size is set.
        pub stateid: Stateid,
        /// What to set.
        pub obj_attributes: Fattr4,
    }
}

/// The operation. Its answer, good or bad, is the set of the attributes that were set: all or none.
pub struct SetAttr;

impl Operation for SetAttr {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::NON_IDEMPOTENT).union(OpFlags::USES_STATEID),
        // A bitmap of at most four words.
        max_reply: 20,
        // attrsset of no attribute.
        error_tail: &[0; 4],
        ..OpDescriptor::new(OP_SETATTR, errors::SETATTR)
    };
    type Args = Setattr4Args;
    type Res = Bitmap;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Setattr4Args) -> OpResult<Bitmap> {
        let at = cx.current()?;
        let mut set = decode_setattr(&args.obj_attributes, &cx.attr_server(&at.export))?;
        let attributes = attrset(&set);
        let keeps_times = check_times(cx, args.stateid, &mut set)?;
        // Else the stateid matters for the size alone.
        let authority = match set.size {
            Some(_) => size_authority(cx, args.stateid).await?,
            None if keeps_times => Authority::Open,
            None => Authority::Credentials,
        };
        let _change = change::begin_with_stateid(cx, &args.stateid, at, RecallReason::Attributes).await?;
        let dir_change = cx.begin_dir_change(at, DirEdit::Attributes(attributes_changed(&set))).await?;
        let done = at.fs().set_attributes(&cx.request, &at.node, &set, authority).await;
        dir_change.end(DirOutcome::of(&done)).await;
        done.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        Ok(attributes)
    }
}

/// Whether times are set that the client keeps by a delegation, which must be the stateid's (RFC 9754 section 5): one of modification
/// from before the delegation was given is ignored.
fn check_times(cx: &CompoundContext<'_>, stateid: Stateid, set: &mut SetAttributes) -> Result<bool, Status> {
    if ![set.time_access, set.time_modify].iter().any(|time| matches!(time, Some(SetTime::Delegated(_)))) {
        return Ok(false);
    }
    let stateid = cx.stateid(stateid)?;
    let file = FileKey::from(cx.current()?);
    let original = cx.service().state().timestamps_kept(cx.caller(), &stateid, &file)?;
    set.time_modify =
        set.time_modify.filter(|time| !matches!(time, SetTime::Delegated(time) if *time < original));
    Ok(true)
}

/// On what authority the size is set, which "has the same locking requirements as a corresponding WRITE". Only a regular file has one
/// to set: a directory is NFS4ERR_ISDIR, all else NFS4ERR_WRONG_TYPE, or NFS4ERR_INVAL in minor version 0 (RFC 8881 section
/// 15.1.2.9).
async fn size_authority(cx: &CompoundContext<'_>, stateid: Stateid) -> Result<Authority, Status> {
    let row = &SetAttr::DESCRIPTOR;
    let file_type = file_type(cx, cx.current()?).await.map_err(|error| fs_error(row, error))?;
    match file_type {
        FileType::Reg => io::check_stateid(cx, row, stateid, Io::Write).await,
        FileType::Dir => Err(NFS4ERR_ISDIR),
        _ if cx.minor() == Minor::V0 => Err(NFS4ERR_INVAL),
        _ => Err(NFS4ERR_WRONG_TYPE),
    }
}

register_operation!(SetAttr);
