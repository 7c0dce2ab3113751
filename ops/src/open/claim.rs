//! Finding the file that an OPEN without creation claims.

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_TYPE};
use dittofs_framework::compound::{Claim, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{AttrMask, FsError, NodeHandle, OpenHold, ShareAccess};
use dittofs_framework::op::OpResult;
use dittofs_framework::proto::{
    ChangeInfo, ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_OPENMODE, NFS4ERR_RECLAIM_BAD,
    NFS4ERR_RECLAIM_CONFLICT, NFS4ERR_SHARE_DENIED, Stateid, Status,
};
use dittofs_framework::state::{Caller, FileKey, WhyNot};

use super::{OpenClaim4, OpenDelegationType4, Opening, Truncates, delegate, failed};
use crate::fault::file_type;
use crate::file_type::check_regular;
use crate::names::check_component;

const TYPE: AttrMask = Bitmap::of(&[FATTR4_TYPE]);
const CHANGE: AttrMask = Bitmap::of(&[FATTR4_CHANGE]);

/// Whether opens can be claimed in this way.
pub(super) fn check(cx: &CompoundContext<'_>, claim: &OpenClaim4) -> Result<(), Status> {
    match claim {
        OpenClaim4::DelegatePrev(_) | OpenClaim4::DelegPrevFh(()) => delegate::check_inheritance(cx),
        _ => Ok(()),
    }
}

/// By what right the open is asked for.
pub(super) fn right(claim: &OpenClaim4) -> Claim {
    match claim {
        OpenClaim4::Previous(_) => Claim::Reclaim,
        OpenClaim4::Null(_) | OpenClaim4::Fh(()) => Claim::New,
        OpenClaim4::DelegateCur(_)
        | OpenClaim4::DelegCurFh(_)
        | OpenClaim4::DelegatePrev(_)
        | OpenClaim4::DelegPrevFh(()) => Claim::Delegated,
    }
}

/// Whether what is reclaimed can have been held (RFC 8881 section 15.1.9.4): the reason for having no delegation cannot.
pub(super) fn check_reclaimed(claim: &OpenClaim4) -> Result<(), Status> {
    match claim {
        OpenClaim4::Previous(OpenDelegationType4::NoneExt) => Err(NFS4ERR_RECLAIM_BAD),
        _ => Ok(()),
    }
}

/// The delegation that an open is claimed by.
pub(super) fn delegation(claim: &OpenClaim4) -> Option<Stateid> {
    match claim {
        OpenClaim4::DelegateCur(current) => Some(current.delegate_stateid),
        OpenClaim4::DelegCurFh(stateid) => Some(*stateid),
        _ => None,
    }
}

/// Whether a client holds a delegation that includes such an open of the file. NFS4ERR_OPENMODE is not for OPEN (RFC 8881 section
/// 15.2): a stateid that does not cover the access is no better than one of another file.
pub(super) fn check_delegation(
    cx: &CompoundContext<'_>,
    client: ClientId,
    stateid: &Stateid,
    file: &FileKey,
    access: ShareAccess,
) -> Result<(), Status> {
    // Whose it is to be is known, in minor version 0 as well.
    let caller = Caller { client: Some(client), now: cx.now() };
    match cx.service().state().check_delegation(caller, stateid, file, access) {
        Ok(_) => Ok(()),
        Err(NFS4ERR_OPENMODE) => Err(NFS4ERR_BAD_STATEID),
        Err(status) => Err(status),
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

/// Why a delegation could not be reclaimed, and with it the open: "in this case, delegation will always be granted" (RFC 8881
/// section 18.16.3). A client that has it already has got what it asks for.
pub(super) fn not_reclaimed(claim: Claim, delegation: Option<&WhyNot>) -> Option<Status> {
    match (claim, delegation?) {
        (Claim::New, _) | (_, WhyNot::HoldsRead | WhyNot::HoldsWrite) => None,
        (_, WhyNot::Contention) => Some(NFS4ERR_RECLAIM_CONFLICT),
        (_, WhyNot::Resource) => Some(NFS4ERR_DELAY),
    }
}

/// CLAIM_NULL and CLAIM_DELEGATE_CUR, without creation.
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

/// CLAIM_FH, CLAIM_PREVIOUS and CLAIM_DELEG_CUR_FH.
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
