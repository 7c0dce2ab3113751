//! OPEN: RFC 8881 section 18.16, with the share reservations of section 9.7 and the delegation wants of section 10.4; RFC 7530
//! section 16.16.

mod claim;
mod create;
pub(crate) mod delegate;
mod share;

use dittofs_framework::attr::{Bitmap, attrset};
use dittofs_framework::client::CallbackPath;
use dittofs_framework::compound::{Claim, ClaimPermit, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Authority, FsError, OpenHold, SetAttributes, ShareAccess};
use dittofs_framework::op::{OpDescriptor, OpError, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    ChangeInfo, ClientId, Component4, Fattr4, Minor, NFS4ERR_BADXDR, NFS4ERR_INVAL, NFS4ERR_SERVERFAULT,
    NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, OP_OPEN, StateOwner, Stateid, Status, Verifier4,
};
use dittofs_framework::state::{
    Beside, Caller, DelegationRequest, FileKey, GrantedDelegation, OpenRequest, RecallReason, ShareDeny,
    WhyNot,
};
use dittofs_framework::{register_operation, xdr_struct, xdr_union};

use self::claim::Wanted;
use crate::errors;
use crate::fault::fs_error;

pub use dittofs_framework::proto::{
    OPEN4_RESULT_CONFIRM, OPEN4_RESULT_LOCKTYPE_POSIX, OPEN4_RESULT_MAY_NOTIFY_LOCK,
    OPEN4_RESULT_NO_OPEN_STATEID, OPEN4_RESULT_PRESERVE_UNLINKED, OPEN4_SHARE_ACCESS_BOTH,
    OPEN4_SHARE_ACCESS_READ, OPEN4_SHARE_ACCESS_WANT_ANY_DELEG, OPEN4_SHARE_ACCESS_WANT_CANCEL,
    OPEN4_SHARE_ACCESS_WANT_DELEG_MASK, OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
    OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG,
    OPEN4_SHARE_ACCESS_WRITE, OpenDelegation4, OpenDelegationType4, OpenNoneDelegation4,
};
pub(crate) use share::{parse_access, parse_deny};

xdr_struct! {
    /// OPEN4args.
    #[derive(Clone)]
    pub struct Open4Args {
        /// Of the open-owner; ignored in minor version 1 and later.
        pub seqid: u32,
        /// OPEN4_SHARE_ACCESS_*, wants included.
        pub share_access: u32,
        /// OPEN4_SHARE_DENY_*.
        pub share_deny: u32,
        /// The open-owner; its clientid is ignored in minor version 1 and later.
        pub owner: StateOwner,
        /// Whether to create, and how.
        pub openhow: OpenFlag4,
        /// Which file, and by what right.
        pub claim: OpenClaim4,
    }
}

xdr_union! {
    /// openflag4.
    #[derive(Clone)]
    pub enum OpenFlag4 {
        /// OPEN4_NOCREATE.
        0 => NoCreate(()),
        /// OPEN4_CREATE.
        1 => Create(CreateHow4),
    }
}

xdr_union! {
    /// createhow4.
    #[derive(Clone)]
    pub enum CreateHow4 {
        /// UNCHECKED4.
        0 => Unchecked(Fattr4),
        /// GUARDED4.
        1 => Guarded(Fattr4),
        /// EXCLUSIVE4.
        2 => Exclusive(Verifier4),
        /// EXCLUSIVE4_1.
        3 => Exclusive4_1(CreatVerfAttr),
    }
}

xdr_struct! {
    /// creatverfattr.
    #[derive(Clone)]
    pub struct CreatVerfAttr {
        /// Tells a retry from another client's create.
        pub cva_verf: Verifier4,
        /// Attributes to create the file with.
        pub cva_attrs: Fattr4,
    }
}

xdr_union! {
    /// open_claim4.
    #[derive(Clone)]
    pub enum OpenClaim4 {
        /// CLAIM_NULL: this name in the current directory.
        0 => Null(Component4),
        /// CLAIM_PREVIOUS: the current file, open before the server restarted.
        1 => Previous(OpenDelegationType4),
        /// CLAIM_DELEGATE_CUR: by a delegation, by name.
        2 => DelegateCur(OpenClaimDelegateCur4),
        /// CLAIM_DELEGATE_PREV: by a delegation of an earlier instance of the client, by name.
        3 => DelegatePrev(Component4),
        /// CLAIM_FH: the current file.
        4 => Fh(()),
        /// CLAIM_DELEG_CUR_FH: by a delegation, the current file.
        5 => DelegCurFh(Stateid),
        /// CLAIM_DELEG_PREV_FH: by a delegation of an earlier instance of the client, the current file.
        6 => DelegPrevFh(()),
    }
}

xdr_struct! {
    /// open_claim_delegate_cur4.
    #[derive(Clone)]
    pub struct OpenClaimDelegateCur4 {
        /// The delegation.
        pub delegate_stateid: Stateid,
        /// The name in the current directory.
        pub file: Component4,
    }
}

xdr_struct! {
    /// OPEN4resok.
    #[derive(Clone)]
    pub struct Open4ResOk {
        /// The open stateid.
        pub stateid: Stateid,
        /// The directory around the call.
        pub cinfo: ChangeInfo,
        /// OPEN4_RESULT_*.
        pub rflags: u32,
        /// Attributes that were set.
        pub attrset: Bitmap,
        /// The delegation.
        pub delegation: OpenDelegation4,
    }
}

/// The operation.
pub struct Open;

impl Operation for Open {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        flags: OpFlags::MODIFIES.union(OpFlags::SETS_FH).union(OpFlags::SETS_STATEID),
        // stateid, cinfo, rflags, attrset of up to four words, delegation
        max_reply: 16 + 20 + 4 + 20 + OpenDelegation4::MAX_SIZE,
        ..OpDescriptor::new(OP_OPEN, errors::OPEN)
    };
    type Args = Open4Args;
    type Res = Open4ResOk;

    async fn call(&self, cx: &mut CompoundContext<'_>, args: Open4Args) -> OpResult<Open4ResOk> {
        check_arms(cx.minor(), &args)?;
        let clientid = cx.begin_open(&args.owner, args.seqid).await?;
        let (access, wants) = parse_access(cx.minor(), args.share_access)?;
        let deny = parse_deny(args.share_deny)?;
        claim::check(cx, &args.claim)?;
        let client = cx.claimant()?.ok_or(NFS4ERR_SERVERFAULT)?;
        let permit = cx.check_claim(&client, cx.current()?.export.id, claim::right(&args.claim))?;
        claim::check_reclaimed(&args.claim)?;
        if permit.claim() == Claim::Reclaim || matches!(args.claim, OpenClaim4::DelegatePrev(_)) {
            // RFC 7530 section 9.1.11: "the server MUST NOT require confirmation on a reclaim-type open".
            cx.turns().confirmed();
        }
        let owner = StateOwner { clientid, owner: args.owner.owner };
        let opening = find(cx, &args.claim, &args.openhow, clientid, access).await;
        let opening = opening.map_err(|error| old_type_error(cx.minor(), error))?;
        let claimed_by = claim::delegation(&args.claim);
        let delegation = match &args.claim {
            OpenClaim4::Null(_) | OpenClaim4::Fh(()) => {
                delegate::request(cx, &client, wants, access, deny).await
            }
            OpenClaim4::Previous(held) => delegate::reclaim(cx, wants, *held),
            OpenClaim4::DelegatePrev(_) | OpenClaim4::DelegPrevFh(()) => {
                Some(delegate::inherit(cx, &client, wants, &opening.file)?)
            }
            _ => None,
        };
        let claim = permit.claim();
        let asked = Asked { owner: &owner, access, deny, claimed_by, delegation };
        let Opened { stateid, beside, attrset, delegation } = grant(cx, &opening, &asked, permit).await?;
        let delegation = match delegation {
            Some(Ok(granted)) => {
                let recall = delegate::is_unwelcome(cx, &client, claim, &granted);
                delegate::given(cx, &opening.file, granted, recall.await).await
            }
            refused => delegate::not_given(cx.minor(), wants, refused.and_then(Result::err)),
        };
        cx.set_current(opening.file);
        cx.set_current_stateid(stateid);
        cx.turns().opened(&stateid);
        let (stateid, rflags) = match beside {
            Beside::Open => (stateid, result_flags(cx)),
            Beside::Nothing => (Stateid::ANONYMOUS, result_flags(cx) | OPEN4_RESULT_NO_OPEN_STATEID),
        };
        Ok(Open4ResOk { stateid, cinfo: opening.cinfo, rflags, attrset, delegation })
    }
}

register_operation!(Open);

/// What a failure of the file system is in the answer.
fn failed(error: FsError) -> Status {
    fs_error(&Open::DESCRIPTOR, error)
}

/// The arms of the unions, and the types of delegation, that a later minor version brought do not decode.
fn check_arms(minor: Minor, args: &Open4Args) -> Result<(), Status> {
    let of_how = match args.openhow {
        OpenFlag4::Create(CreateHow4::Exclusive4_1(_)) => Minor::V1,
        _ => Minor::V0,
    };
    let of_claim = match args.claim {
        OpenClaim4::Fh(()) | OpenClaim4::DelegCurFh(_) | OpenClaim4::DelegPrevFh(()) => Minor::V1,
        OpenClaim4::Previous(held) => held.since(),
        _ => Minor::V0,
    };
    if minor < of_how.max(of_claim) { Err(NFS4ERR_BADXDR) } else { Ok(()) }
}

fn result_flags(cx: &mut CompoundContext<'_>) -> u32 {
    OPEN4_RESULT_LOCKTYPE_POSIX
        | match cx.minor() {
            Minor::V0 if cx.turns().is_unconfirmed() => OPEN4_RESULT_CONFIRM,
            Minor::V0 => 0,
            Minor::V1 | Minor::V2 => unlinked_flags(cx) | lock_flags(cx),
        }
}

/// Whether the file stays when it is removed, even through a restart of the server.
fn unlinked_flags(cx: &CompoundContext<'_>) -> u32 {
    let is_kept = cx.current().is_ok_and(|current| current.fs().info().preserves_unlinked);
    if is_kept { OPEN4_RESULT_PRESERVE_UNLINKED } else { 0 }
}

/// Whether the client will be told of locks that become free. One that counts on it asks less often, so it must be reached.
fn lock_flags(cx: &CompoundContext<'_>) -> u32 {
    let is_reached =
        cx.client().is_ok_and(|client| cx.service().callback_path(client) == CallbackPath::Proven);
    if is_reached { OPEN4_RESULT_MAY_NOTIFY_LOCK } else { 0 }
}

async fn find(
    cx: &CompoundContext<'_>,
    claim: &OpenClaim4,
    openhow: &OpenFlag4,
    clientid: ClientId,
    access: ShareAccess,
) -> OpResult<Opening> {
    let wanted = Wanted { access, client: clientid, by: claim::delegation(claim) };
    match (claim, openhow) {
        (OpenClaim4::Null(name) | OpenClaim4::DelegatePrev(name), OpenFlag4::NoCreate(())) => {
            claim::by_name(cx, name, wanted).await
        }
        (OpenClaim4::Null(name), OpenFlag4::Create(how)) => {
            // A file must not be made for an open that is then refused.
            let state = cx.service().state();
            cx.service().ask_state(cx.now(), || state.check_room(clientid)).await?;
            create::create(cx, name, how, access).await
        }
        (OpenClaim4::DelegatePrev(name), OpenFlag4::Create(how)) => {
            create::existing(cx, name, how, wanted).await
        }
        (OpenClaim4::DelegateCur(current), OpenFlag4::NoCreate(())) => {
            claim::by_name(cx, &current.file, wanted).await
        }
        (OpenClaim4::DelegateCur(current), OpenFlag4::Create(how)) => {
            create::existing(cx, &current.file, how, wanted).await
        }
        (_, OpenFlag4::NoCreate(())) => claim::current_file(cx, wanted).await,
        // RFC 8881 section 18.16.3: a file is created by name.
        (_, OpenFlag4::Create(_)) => Err(NFS4ERR_INVAL.into()),
    }
}

/// In minor version 0 "NFS4ERR_SYMLINK is returned for both symlinks and for special files of other types" (RFC 7530 section
/// 16.16.6).
fn old_type_error(minor: Minor, error: OpError) -> OpError {
    match error {
        OpError::Status(NFS4ERR_WRONG_TYPE) if minor == Minor::V0 => NFS4ERR_SYMLINK.into(),
        error => error,
    }
}

/// A file that the file system has opened, and the share reservation not yet.
struct Opening {
    file: ExportNode,
    hold: OpenHold,
    cinfo: ChangeInfo,
    /// What was set of the attributes that came along.
    attrset: Bitmap,
    /// UNCHECKED4 with size 0 found a file.
    truncates: Truncates,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truncates {
    No,
    Yes,
}

/// What an OPEN asks of the state table.
struct Asked<'a> {
    owner: &'a StateOwner,
    access: ShareAccess,
    deny: ShareDeny,
    /// The delegation that allows it.
    claimed_by: Option<Stateid>,
    delegation: Option<DelegationRequest>,
}

/// What an OPEN was given.
struct Opened {
    stateid: Stateid,
    beside: Beside,
    attrset: Bitmap,
    delegation: Option<Result<GrantedDelegation, WhyNot>>,
}

/// Makes the share reservation, and empties the file if that was asked for. Returns the stateid and the attributes that
/// were set in all. A failure leaves no open behind.
async fn grant(
    cx: &CompoundContext<'_>,
    opening: &Opening,
    asked: &Asked<'_>,
    permit: ClaimPermit<'_>,
) -> OpResult<Opened> {
    let Asked { owner, access, deny, claimed_by, delegation } = *asked;
    cx.service().record(permit.client()).await?;
    let state = cx.service().state();
    let truncates = opening.truncates == Truncates::Yes;
    let file = FileKey::from(&opening.file);
    if let Some(stateid) = claimed_by {
        claim::check_delegation(cx, owner.clientid, &stateid, &file, access)?;
    }
    let caller = Caller { client: Some(owner.clientid), now: cx.now() };
    // An open for writing keeps others' delegations away by itself.
    let _changing = if truncates && !access.contains(ShareAccess::WRITE) {
        let begin = || state.begin_change(caller, &file, RecallReason::Open);
        Some(cx.service().ask_state::<_, Status>(cx.now(), begin).await?)
    } else {
        None
    };
    let request = OpenRequest {
        owner,
        file,
        principal: cx.request.credentials.uid,
        access,
        deny,
        delegation,
        passing: if truncates { ShareAccess::WRITE } else { ShareAccess::empty() },
        hold: opening.hold.clone(),
    };
    let granted: Result<_, Status> =
        cx.service().ask_state(cx.now(), || state.open(cx.now(), &request)).await;
    let granted = granted.map_err(|status| claim::refusal(permit.claim(), status))?;
    cx.service().carry_out(granted.effects);
    let why_not = granted.delegation.as_ref().and_then(|delegation| delegation.as_ref().err());
    if let Some(status) = claim::not_reclaimed(permit.claim(), why_not) {
        cx.service().carry_out(state.undo_open(&granted.undo));
        return Err(status.into());
    }
    permit.granted();
    let opened = Opened {
        stateid: granted.stateid,
        beside: granted.beside,
        attrset: opening.attrset,
        delegation: granted.delegation,
    };
    if !truncates {
        return Ok(opened);
    }
    // Permission to write was checked if the open is for writing; if it is not, it is checked now.
    let authority =
        if access.contains(ShareAccess::WRITE) { Authority::Open } else { Authority::Credentials };
    let empty = SetAttributes { size: Some(0), ..SetAttributes::default() };
    if let Err(error) =
        opening.file.fs().set_attributes(&cx.request, &opening.file.node, &empty, authority).await
    {
        cx.service().carry_out(state.undo_open(&granted.undo));
        return Err(failed(error).into());
    }
    Ok(Opened { attrset: attrset(&empty), ..opened })
}
