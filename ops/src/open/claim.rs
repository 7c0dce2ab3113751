//! Finding the file that an OPEN without creation claims.

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_TYPE};
use dittofs_framework::compound::{Claim, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{AttrMask, FsError, NodeHandle, OpenHold, ShareAccess};
use dittofs_framework::op::OpResult;
use dittofs_framework::proto::{
    ChangeInfo, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_NOTSUPP, NFS4ERR_RECLAIM_BAD,
    NFS4ERR_RECLAIM_CONFLICT, NFS4ERR_SHARE_DENIED, Status,
};

use super::{OpenClaim4, OpenDelegationType4, Opening, Truncates, failed};
use crate::fault::file_type;
use crate::file_type::check_regular;
use crate::names::check_component;

const TYPE: AttrMask = Bitmap::of(&[FATTR4_TYPE]);
const CHANGE: AttrMask = Bitmap::of(&[FATTR4_CHANGE]);

/// Whether opens can be claimed in this way.
pub(super) fn check(claim: &OpenClaim4) -> Result<(), Status> {
    match claim {
        OpenClaim4::Null(_) | OpenClaim4::Fh(()) | OpenClaim4::Previous(_) => Ok(()),
        // There are no delegations, so there is no stateid of one.
        OpenClaim4::DelegateCur(_) | OpenClaim4::DelegCurFh(_) => Err(NFS4ERR_BAD_STATEID),
        // RFC 8881 section 10.2.1: support of these is optional.
        OpenClaim4::DelegatePrev(_) | OpenClaim4::DelegPrevFh(()) => Err(NFS4ERR_NOTSUPP),
    }
}

/// By what right the open is asked for.
pub(super) fn right(claim: &OpenClaim4) -> Claim {
    match claim {
        OpenClaim4::Previous(_) => Claim::Reclaim,
        _ => Claim::New,
    }
}

/// Whether what is reclaimed can have been held: no instance of this server has given a delegation (RFC 8881 section 15.1.9.4).
pub(super) fn check_reclaimed(claim: &OpenClaim4) -> Result<(), Status> {
    match claim {
        OpenClaim4::Previous(held) if *held != OpenDelegationType4::None => Err(NFS4ERR_RECLAIM_BAD),
        _ => Ok(()),
    }
}

/// The status of an open that is refused: what is in the way of a reclaim was reclaimed by somebody else (RFC 8881 section
/// 15.1.9.5).
pub(super) fn refusal(claim: Claim, status: Status) -> Status {
    match (claim, status) {
        (Claim::Reclaim, NFS4ERR_SHARE_DENIED) => NFS4ERR_RECLAIM_CONFLICT,
        _ => status,
    }
}

/// CLAIM_NULL without creation.
pub(super) async fn by_name(cx: &CompoundContext<'_>, name: &[u8], access: ShareAccess) -> OpResult<Opening> {
    let dir = cx.current()?;
    let fs = dir.fs();
    check_component(name, fs.info().max_name)?;
    let (node, hold) = find_and_open(cx, dir, name, access).await?;
    // Nothing changes, so before and after are one and the same moment.
    let change = fs.attributes(&cx.request, &dir.node, CHANGE).await.map_err(failed)?.change;
    Ok(Opening {
        file: ExportNode { export: dir.export.clone(), node },
        hold,
        cinfo: ChangeInfo { atomic: true, before: change, after: change },
        attrset: Bitmap::EMPTY,
        truncates: Truncates::No,
    })
}

/// How often a name is looked up whose file is gone before it is open.
const TRIES: usize = 8;

/// Finds a file by its name and opens it. That the file is replaced or removed in between does not make the current filehandle stale:
/// then the name is looked up again.
async fn find_and_open(
    cx: &CompoundContext<'_>,
    dir: &ExportNode,
    name: &[u8],
    access: ShareAccess,
) -> OpResult<(NodeHandle, OpenHold)> {
    for _ in 0..TRIES {
        let found = dir.fs().lookup(&cx.request, &dir.node, name, TYPE).await.map_err(failed)?;
        check_regular(found.attributes.file_type)?;
        match dir.fs().open(&cx.request, &found.node, access).await {
            Err(FsError::Stale) => {}
            opened => return Ok((found.node, opened.map_err(failed)?)),
        }
    }
    Err(NFS4ERR_DELAY.into())
}

/// CLAIM_FH and CLAIM_PREVIOUS.
pub(super) async fn current_file(cx: &CompoundContext<'_>, access: ShareAccess) -> OpResult<Opening> {
    let file = cx.current()?;
    check_regular(file_type(cx, file).await.map_err(failed)?)?;
    Ok(Opening {
        hold: file.fs().open(&cx.request, &file.node, access).await.map_err(failed)?,
        file: file.clone(),
        // There is no directory.
        cinfo: ChangeInfo::default(),
        attrset: Bitmap::EMPTY,
        truncates: Truncates::No,
    })
}
