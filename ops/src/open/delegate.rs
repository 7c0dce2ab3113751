//! The delegation that an OPEN gives (RFC 8881 section 10.4, RFC 9754).

use dittofs_framework::attr::{Bitmap, FATTR4_CHANGE, FATTR4_TIME_MODIFY};
use dittofs_framework::client::{CallbackPath, Client};
use dittofs_framework::compound::{Claim, CompoundContext, RestartedClients};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{AttrMask, ShareAccess};
use dittofs_framework::proto::{
    Minor, NFS4ERR_NOTSUPP, NFS4ERR_RECLAIM_BAD, NfsAce4, NfsSpaceLimit4, OpenDelegation4,
    OpenDelegationType4, OpenNoneDelegation4, OpenReadDelegation4, OpenWriteDelegation4, Status, Want,
    WantFlags, Wants,
};
use dittofs_framework::state::{
    BesideOpen, DelegationClaim, DelegationPolicy, DelegationQuestion, DelegationRequest, DelegationType,
    FileKey, GrantedDelegation, RecallReason, ShareDeny, Timestamps, WhyNot,
};

/// What tells later whether the holder has changed the file.
const KNOWN: AttrMask = Bitmap::of(&[FATTR4_CHANGE, FATTR4_TIME_MODIFY]);

/// The delegation that is to be given with a new open, as far as the client and the policy want one.
pub(super) async fn request(
    cx: &mut CompoundContext<'_>,
    client: &Client,
    wants: Wants,
    access: ShareAccess,
    deny: ShareDeny,
) -> Option<DelegationRequest> {
    // An open that may yet be canceled, as its owner is not confirmed, is nothing to build on.
    let is_unwanted = matches!(wants.kind, Want::None | Want::Cancel) || cx.turns().is_unconfirmed();
    let policy = cx.service().delegation_policy();
    if is_unwanted || !policy.is_enabled() {
        return None;
    }
    let path = cx.service().settled_callback_path(client).await;
    let question = DelegationQuestion {
        minor: cx.minor(),
        want: wants.kind,
        access,
        deny,
        path,
        held: cx.service().state().delegations_of(client.id()),
    };
    let kind = policy.offer(&question)?;
    Some(DelegationRequest {
        kind,
        origin: cx.referring_call(),
        timestamps: timestamps(policy, wants),
        open: beside_open(wants),
        claim: DelegationClaim::New,
    })
}

/// Whether the client wants an open besides the delegation.
fn beside_open(wants: Wants) -> BesideOpen {
    if wants.flags.contains(WantFlags::XOR) { BesideOpen::UnlessDelegated } else { BesideOpen::Always }
}

/// Who is to keep the timestamps.
pub(crate) fn timestamps(policy: &dyn DelegationPolicy, wants: Wants) -> Timestamps {
    let is_wanted = wants.flags.contains(WantFlags::TIMESTAMPS);
    if is_wanted && policy.offers_timestamps() { Timestamps::Holder } else { Timestamps::Server }
}

/// The delegation that a client had before the server restarted, and is to have again.
pub(crate) fn reclaim(
    cx: &CompoundContext<'_>,
    wants: Wants,
    held: OpenDelegationType4,
) -> Option<DelegationRequest> {
    let (kind, timestamps) = reclaimed(held)?;
    Some(DelegationRequest {
        kind,
        origin: cx.referring_call(),
        timestamps,
        open: beside_open(wants),
        claim: DelegationClaim::Reclaim,
    })
}

/// RFC 8881 section 10.2.1: "a server MAY support" claims to what the client had before it restarted.
pub(crate) fn check_inheritance(cx: &CompoundContext<'_>) -> Result<(), Status> {
    match cx.service().restarted_clients() {
        RestartedClients::LoseDelegations => Err(NFS4ERR_NOTSUPP),
        RestartedClients::KeepDelegations => Ok(()),
    }
}

/// The delegation that a client had before it restarted, and is to have again. NFS4ERR_RECLAIM_BAD if there is none.
pub(crate) fn inherit(
    cx: &CompoundContext<'_>,
    client: &Client,
    wants: Wants,
    file: &ExportNode,
) -> Result<DelegationRequest, Status> {
    let found = cx.service().inheritance(client, &FileKey::from(file));
    let (predecessor, kind, timestamps) = found.ok_or(NFS4ERR_RECLAIM_BAD)?;
    // "Or the last successful CLAIM_DELEGATE_PREV": the rest is kept for another lease (RFC 7530 section 10.2.1).
    cx.service().inherited(&predecessor, cx.now());
    Ok(DelegationRequest {
        kind,
        origin: cx.referring_call(),
        timestamps,
        open: beside_open(wants),
        claim: DelegationClaim::Inherit(predecessor.id()),
    })
}

/// What a client says that it had: nothing, or a delegation of this kind.
fn reclaimed(held: OpenDelegationType4) -> Option<(DelegationType, Timestamps)> {
    match held {
        OpenDelegationType4::None | OpenDelegationType4::NoneExt => None,
        OpenDelegationType4::Read => Some((DelegationType::Read, Timestamps::Server)),
        OpenDelegationType4::Write => Some((DelegationType::Write, Timestamps::Server)),
        OpenDelegationType4::ReadAttrs => Some((DelegationType::Read, Timestamps::Holder)),
        OpenDelegationType4::WriteAttrs => Some((DelegationType::Write, Timestamps::Holder)),
    }
}

/// Whether a delegation was given for no other reason than that the client had it before: then it is recalled at once, as "the use of
/// callbacks should not be depended upon until the client has proven its ability to receive them" (RFC 8881 section 10.2.1).
pub(crate) async fn is_unwelcome(
    cx: &CompoundContext<'_>,
    client: &Client,
    claim: Claim,
    granted: &GrantedDelegation,
) -> bool {
    let service = cx.service();
    let is_offered = service.delegation_policy().is_enabled();
    if claim == Claim::New
        || (is_offered && service.settled_callback_path(client).await == CallbackPath::Proven)
    {
        return false;
    }
    if let Some(effects) = service.state().recall(cx.now(), &granted.stateid, RecallReason::Reclaimed) {
        // What cannot be recorded is nothing of this client's.
        let _ = Box::pin(service.settle_state(effects)).await;
    }
    true
}

/// What an OPEN or WANT_DELEGATION says of a delegation that was given. The change attribute that the file has with it is noted, by
/// which it is known later whether the holder has changed the file.
pub(crate) async fn given(
    cx: &CompoundContext<'_>,
    file: &ExportNode,
    granted: GrantedDelegation,
    recall: bool,
) -> OpenDelegation4 {
    let GrantedDelegation { stateid, kind, timestamps } = granted;
    let permissions = NfsAce4::none();
    match kind {
        DelegationType::Read | DelegationType::Directory => {
            let read = OpenReadDelegation4 { stateid, recall, permissions };
            OpenDelegation4::Read(read)
        }
        DelegationType::Write => {
            // Without it, others are answered as if the file were modified: that is no reason to fail.
            if let Ok(known) = file.fs().attributes(&cx.request, &file.node, KNOWN).await {
                cx.service().state().note_granted(&stateid, known.change, known.time_modify);
            }
            // No room is reserved for what the client may have to write, so it is to write at close (RFC 8881 section 10.4.1).
            let space_limit = NfsSpaceLimit4::Size(0);
            let write = OpenWriteDelegation4 { stateid, recall, space_limit, permissions };
            match timestamps {
                Timestamps::Holder => OpenDelegation4::WriteAttrs(write),
                Timestamps::Server => OpenDelegation4::Write(write),
            }
        }
    }
}

/// What is said of a delegation that was not given: the reason, if the client said anything of delegations (RFC 8881 section
/// 18.16.3). `None`: it was not asked for.
pub(crate) fn not_given(minor: Minor, wants: Wants, why: Option<WhyNot>) -> OpenDelegation4 {
    if !wants.is_said() || !minor.has_sessions() {
        return OpenDelegation4::None(());
    }
    OpenDelegation4::NoneExt(match (wants.kind, why) {
        (Want::None, _) => OpenNoneDelegation4::NotWanted(()),
        (Want::Cancel, _) => OpenNoneDelegation4::Cancelled(()),
        (_, Some(WhyNot::Contention)) => OpenNoneDelegation4::Contention(false),
        (_, Some(WhyNot::HoldsRead)) => OpenNoneDelegation4::NotSuppUpgrade(()),
        (_, Some(WhyNot::HoldsWrite)) => OpenNoneDelegation4::NotSuppDowngrade(()),
        (_, Some(WhyNot::Resource) | None) => OpenNoneDelegation4::Resource(false),
    })
}
