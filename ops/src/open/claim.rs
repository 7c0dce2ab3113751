//! Finding the file that an OPEN without creation claims.

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_OWNER, FATTR4_TYPE};
use dittofs_framework::compound::{Claim, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{AttrMask, FsError, OpenHold, ShareAccess};
use dittofs_framework::op::{OpError, OpResult};
use dittofs_framework::proto::{
    ChangeInfo, ClientId, NFS4ERR_BAD_STATEID, NFS4ERR_DELAY, NFS4ERR_OPENMODE, NFS4ERR_RECLAIM_BAD,
    NFS4ERR_RECLAIM_CONFLICT, NFS4ERR_SHARE_DENIED, Stateid, Status,
};
use dittofs_framework::state::{Caller, DelegatedFile, FileKey, WhyNot};

use super::{OpenClaim4, OpenDelegationType4, Opening, Truncates, delegate, failed};
use crate::fault::file_type;
use crate::file_type::check_regular;
use crate::names::check_component;

const TYPE: AttrMask = Bitmap::of(&[FATTR4_TYPE]);
const OWNER: AttrMask = Bitmap::of(&[FATTR4_OWNER]);
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
) -> Result<DelegatedFile, Status> {
    // Whose it is to be is known, in minor version 0 as well.
    let caller = Caller { client: Some(client), now: cx.now() };
    match cx.service().state().check_delegation(caller, stateid, file, access) {
        Err(NFS4ERR_OPENMODE) => Err(NFS4ERR_BAD_STATEID),
        checked => checked,
    }
}

/// What an open without creation asks for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) access: ShareAccess,
    /// Who asks.
    pub(super) client: ClientId,
    /// The delegation by which.
    pub(super) by: Option<Stateid>,
}

/// Opens a file. An open by a delegation is one that the client has made already: if its user may not open the file any more, as the mode
/// has changed since, the open stands all the same, when the delegation was given for it, or the user is the owner, who has that
/// right in any case. (pjdfstest changes the modes of files that it has open; Linux then returns their delegations.)
async fn open(cx: &CompoundContext<'_>, file: &ExportNode, wanted: Wanted) -> Result<OpenHold, OpenError> {
    let Wanted { access, client, by } = wanted;
    let opened = file.fs().open(&cx.request, &file.node, access).await;
    let (Err(FsError::Access), Some(stateid)) = (&opened, by) else { return opened.map_err(OpenError::Fs) };
    let held =
        check_delegation(cx, client, &stateid, &FileKey::from(file), access).map_err(OpenError::Status)?;
    let user = cx.request.credentials.uid;
    let is_owner = || async {
        let attributes = file.fs().attributes(&cx.request, &file.node, OWNER).await;
        attributes.is_ok_and(|attributes| attributes.uid == user)
    };
    if held.checked_for == Some(user) || is_owner().await {
        Ok(held.hold)
    } else {
        opened.map_err(OpenError::Fs)
    }
}

enum OpenError {
    Fs(FsError),
    Status(Status),
}

impl From<OpenError> for OpError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Fs(error) => failed(error).into(),
            OpenError::Status(status) => status.into(),
        }
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
pub(super) async fn by_name(cx: &CompoundContext<'_>, name: &[u8], wanted: Wanted) -> OpResult<Opening> {
    let dir = cx.current()?;
    let fs = dir.fs();
    check_component(name, fs.info().max_name)?;
    let (file, hold) = find_and_open(cx, dir, name, wanted).await?;
    // Nothing changes, so before and after are one and the same moment.
    let change = fs.attributes(&cx.request, &dir.node, CHANGE).await.map_err(failed)?.change;
    Ok(Opening {
        file,
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
    wanted: Wanted,
) -> OpResult<(ExportNode, OpenHold)> {
    for _ in 0..TRIES {
        let found = dir.fs().lookup(&cx.request, &dir.node, name, TYPE).await.map_err(failed)?;
        check_regular(found.attributes.file_type)?;
        let file = ExportNode { export: dir.export.clone(), node: found.node };
        match open(cx, &file, wanted).await {
            Err(OpenError::Fs(FsError::Stale)) => {}
            opened => return Ok((file, opened?)),
        }
    }
    Err(NFS4ERR_DELAY.into())
}

/// CLAIM_FH, CLAIM_PREVIOUS and CLAIM_DELEG_CUR_FH.
pub(super) async fn current_file(cx: &CompoundContext<'_>, wanted: Wanted) -> OpResult<Opening> {
    let file = cx.current()?;
    check_regular(file_type(cx, file).await.map_err(failed)?)?;
    Ok(Opening {
        hold: open(cx, file, wanted).await?,
        file: file.clone(),
        // There is no directory.
        cinfo: ChangeInfo::default(),
        attrset: Bitmap::EMPTY,
        truncates: Truncates::No,
    })
}
