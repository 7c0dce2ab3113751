//! WANT_DELEGATION: RFC 8881 section 18.49.

use std::sync::Arc;

use dittofs_framework::client::Client;
use dittofs_framework::compound::{Claim, ClaimPermit, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{FsError, OpenHold, ShareAccess};
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    FileType, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_RECLAIM_BAD, NFS4ERR_RECLAIM_CONFLICT,
    OP_WANT_DELEGATION, OpenDelegation4, OpenDelegationType4, OpenNoneDelegation4, Status, Want, Wants,
};
use dittofs_framework::state::{
    BesideOpen, DelegationClaim, DelegationQuestion, DelegationRequest, DelegationType, FileKey, ShareDeny,
    WhyNot,
};
use dittofs_framework::{register_operation, xdr_struct, xdr_union};

use crate::errors;
use crate::fault::{file_type, fs_error};
use crate::open::delegate;

xdr_union! {
    /// deleg_claim4. The file is the current filehandle's.
    #[derive(Clone)]
    pub enum DelegClaim4 {
        /// CLAIM_PREVIOUS: the client had this delegation before the server restarted.
        1 => Previous(OpenDelegationType4),
        /// CLAIM_FH: it is a new one.
        4 => Fh(()),
        /// CLAIM_DELEG_PREV_FH: an earlier instance of the client had it.
        6 => DelegPrevFh(()),
    }
}

xdr_struct! {
    /// WANT_DELEGATION4args.
    #[derive(Clone)]
    pub struct WantDelegation4Args {
        /// OPEN4_SHARE_ACCESS_WANT_*.
        pub want: u32,
        /// By what right.
        pub claim: DelegClaim4,
    }
}

/// The operation. Wants are not kept: whoever is not given a delegation is told that nothing will be pushed or signalled.
pub struct WantDelegation;

impl Operation for WantDelegation {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::MODIFIES,
        max_reply: OpenDelegation4::MAX_SIZE,
        ..OpDescriptor::new(OP_WANT_DELEGATION, errors::WANT_DELEGATION)
    };
    type Args = WantDelegation4Args;
    type Res = OpenDelegation4;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: WantDelegation4Args,
    ) -> OpResult<OpenDelegation4> {
        let claim = check_claim(cx, &args.claim)?;
        let wants = Wants::of_want_delegation(cx.minor(), args.want)?;
        if wants.kind == Want::Cancel {
            return Ok(OpenDelegation4::NoneExt(OpenNoneDelegation4::Cancelled(())));
        }
        let at = cx.current()?;
        let client = cx.client()?.clone();
        let permit = cx.check_claim(&client, at.export.id, claim)?;
        let found = file_type(cx, at).await.map_err(|error| fs_error(&Self::DESCRIPTOR, error))?;
        if let Some(why) = of_no_file(found, wants.kind) {
            return Ok(OpenDelegation4::NoneExt(why));
        }
        let asked = match &args.claim {
            DelegClaim4::Fh(()) => None,
            DelegClaim4::Previous(held) => delegate::reclaim(cx, wants, *held),
            DelegClaim4::DelegPrevFh(()) => Some(delegate::inherit(cx, &client, wants, at)?),
        };
        Ok(delegated(cx, &client, permit, wants, asked).await?)
    }
}

register_operation!(WantDelegation);

/// By what right the delegation is wanted.
fn check_claim(cx: &CompoundContext<'_>, claim: &DelegClaim4) -> Result<Claim, Status> {
    match claim {
        DelegClaim4::Fh(()) => Ok(Claim::New),
        DelegClaim4::DelegPrevFh(()) => delegate::check_inheritance(cx).map(|()| Claim::Delegated),
        DelegClaim4::Previous(held) if cx.minor() < held.since() => Err(NFS4ERR_BADXDR),
        // Nothing was held.
        DelegClaim4::Previous(OpenDelegationType4::None | OpenDelegationType4::NoneExt) => {
            Err(NFS4ERR_RECLAIM_BAD)
        }
        DelegClaim4::Previous(_) => Ok(Claim::Reclaim),
    }
}

/// Why there is no delegation of what is no regular file: "write delegations are not available for file types that are not
/// writable", and those for reading are not supported.
fn of_no_file(file_type: FileType, want: Want) -> Option<OpenNoneDelegation4> {
    match (file_type, want) {
        (FileType::Reg, _) => None,
        (FileType::Dir, _) => Some(OpenNoneDelegation4::IsDir(())),
        (_, Want::Write) => Some(OpenNoneDelegation4::WriteDelegNotSuppFtype(())),
        _ => Some(OpenNoneDelegation4::NotSuppFtype(())),
    }
}

/// Gives the delegation, or says why not.
async fn delegated(
    cx: &CompoundContext<'_>,
    client: &Arc<Client>,
    permit: ClaimPermit<'_>,
    wants: Wants,
    claimed: Option<DelegationRequest>,
) -> Result<OpenDelegation4, Status> {
    let file = cx.current()?.clone();
    let claim = permit.claim();
    let refused = |why| delegate::not_given(cx.minor(), wants, why);
    let claimed_kind = claimed.map(|request| request.kind);
    let Some((access, hold)) = open(cx, &file, wants.kind, claimed_kind).await? else {
        return Ok(refused(None));
    };
    let request = match claimed {
        Some(claimed) => Some(claimed),
        None => offered(cx, client, wants, access).await,
    };
    let Some(request) = request else {
        return Ok(refused(None));
    };
    cx.service().record(client).await?;
    let checked = (cx.request.credentials.uid, access);
    let state = cx.service().state();
    let given = state.want_delegation(cx.now(), client.id(), &FileKey::from(&file), &hold, checked, &request);
    // The client is gone, and this operation has no status for it: the next request meets a session that is gone too.
    let given = given.map_err(|_| NFS4ERR_DELAY)?;
    match (given, claim) {
        (Ok(granted), _) => {
            permit.granted();
            let recall = delegate::is_unwelcome(cx, client, claim, &granted).await;
            Ok(delegate::given(cx, &file, granted, recall).await)
        }
        (Err(WhyNot::Contention), Claim::Reclaim | Claim::Delegated) => Err(NFS4ERR_RECLAIM_CONFLICT),
        (Err(WhyNot::Resource), Claim::Reclaim | Claim::Delegated) => Err(NFS4ERR_DELAY),
        (Err(why), _) => Ok(refused(Some(why))),
    }
}

/// What a new delegation is to be, as the policy has it.
async fn offered(
    cx: &CompoundContext<'_>,
    client: &Client,
    wants: Wants,
    access: ShareAccess,
) -> Option<DelegationRequest> {
    let service = cx.service();
    let question = DelegationQuestion {
        minor: cx.minor(),
        want: wants.kind,
        access,
        deny: ShareDeny::empty(),
        path: service.settled_callback_path(client).await,
        held: service.state().delegations_of(client.id()),
    };
    let policy = service.delegation_policy();
    Some(DelegationRequest {
        kind: policy.offer(&question)?,
        origin: cx.referring_call(),
        timestamps: delegate::timestamps(policy, wants),
        open: BesideOpen::UnlessDelegated,
        claim: DelegationClaim::New,
    })
}

/// Opens the file as far as the caller may: for no more than is wanted, and for reading alone if that is all that is permitted and
/// will do. `None` if the caller has no permission, for which this operation has no status.
async fn open(
    cx: &CompoundContext<'_>,
    file: &ExportNode,
    want: Want,
    claimed: Option<DelegationType>,
) -> Result<Option<(ShareAccess, OpenHold)>, Status> {
    let accesses: &[ShareAccess] = match (claimed, want) {
        (Some(DelegationType::Write), _) | (None, Want::Write) => &[ShareAccess::BOTH],
        (None, Want::Any) => &[ShareAccess::BOTH, ShareAccess::READ],
        _ => &[ShareAccess::READ],
    };
    for access in accesses {
        match file.fs().open(&cx.request, &file.node, *access).await {
            Ok(hold) => return Ok(Some((*access, hold))),
            Err(FsError::Access | FsError::Perm | FsError::ReadOnly) => {}
            Err(error) => return Err(fs_error(&WantDelegation::DESCRIPTOR, error)),
        }
    }
    Ok(None)
}
