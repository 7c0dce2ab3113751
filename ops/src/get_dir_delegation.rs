//! GET_DIR_DELEGATION: RFC 8881 sections 10.9 and 18.39.

use dittofs_framework::attr::{Bitmap, FATTR4_RDATTR_ERROR, NEEDS_USAGE, WRITE_ONLY};
use dittofs_framework::compound::{Claim, CompoundContext};
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{DirEntry, DirSink, SinkFull};
use dittofs_framework::op::{Minors, OpDescriptor, OpFlags, OpResult, Operation};
use dittofs_framework::proto::{
    NFS4ERR_DELAY, NFS4ERR_DIRDELEG_UNAVAIL, NfsTime, NotifyType, OP_GET_DIR_DELEGATION, Stateid, Status,
    Verifier4,
};
use dittofs_framework::state::{
    BesideOpen, DelegationClaim, DelegationRequest, DelegationType, DirTerms, FileKey, Timestamps, WhyNot,
};
use dittofs_framework::{register_operation, xdr_struct, xdr_union};

use crate::errors;
use crate::fault::fs_error;

xdr_struct! {
    /// GET_DIR_DELEGATION4args.
    #[derive(Clone)]
    pub struct GetDirDelegation4Args {
        /// Whether the client wants word, should there be none now, once there is one.
        pub signal_deleg_avail: bool,
        /// Which changes the client wants to be told of: [bits](NotifyType::bit).
        pub notification_types: Bitmap,
        /// How long word of changed attributes of entries may take.
        pub child_attr_delay: NfsTime,
        /// How long word of changed attributes of the directory may take.
        pub dir_attr_delay: NfsTime,
        /// Which attributes of entries.
        pub child_attributes: Bitmap,
        /// Which attributes of the directory.
        pub dir_attributes: Bitmap,
    }
}

xdr_struct! {
    /// GET_DIR_DELEGATION4resok.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct GetDirDelegation4ResOk {
        /// Of the directory's listings.
        pub cookieverf: Verifier4,
        /// The delegation.
        pub stateid: Stateid,
        /// Which changes the client is told of; any other recalls the delegation.
        pub notification: Bitmap,
        /// Which attributes of entries come with them.
        pub child_attributes: Bitmap,
        /// Which attributes of the directory.
        pub dir_attributes: Bitmap,
    }
}

xdr_union! {
    /// GET_DIR_DELEGATION4res_non_fatal.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum GetDirDelegation4Res {
        /// GDD4_OK.
        0 => Ok(GetDirDelegation4ResOk),
        /// GDD4_UNAVAIL, and whether word will come when there is one: it never does.
        1 => Unavail(bool),
    }
}

/// The operation.
///
/// A refusal is GDD4_UNAVAIL, though section 18.39.3 has NFS4ERR_DIRDELEG_UNAVAIL for it, which ends the compound: the Linux client
/// asks in front of the GETATTR that it is about. Who wants word later has to learn that none will come, and gets the error.
pub struct GetDirDelegation;

impl Operation for GetDirDelegation {
    const DESCRIPTOR: OpDescriptor = OpDescriptor {
        minors: Minors::SINCE_V4_1,
        flags: OpFlags::MODIFIES.union(OpFlags::SETS_STATEID),
        // The arm, verifier, stateid and three bitmaps of up to four words.
        max_reply: 4 + 8 + 16 + 3 * 20,
        ..OpDescriptor::new(OP_GET_DIR_DELEGATION, errors::GET_DIR_DELEGATION)
    };
    type Args = GetDirDelegation4Args;
    type Res = GetDirDelegation4Res;

    async fn call(
        &self,
        cx: &mut CompoundContext<'_>,
        args: GetDirDelegation4Args,
    ) -> OpResult<GetDirDelegation4Res> {
        let dir = cx.current()?;
        let client = cx.client()?.clone();
        let permit = cx.check_claim(&client, dir.export.id, Claim::New)?;
        let terms = terms(cx, dir, &args)?;
        let cookieverf = cookieverf(cx, dir).await?;
        let given = match give(cx, dir, terms).await? {
            Ok(stateid) => stateid,
            // "While it already holds": the answer is set, whatever the client wants besides.
            Err(WhyNot::HoldsRead | WhyNot::HoldsWrite) => return Ok(GetDirDelegation4Res::Unavail(false)),
            Err(_) if args.signal_deleg_avail => return Err(NFS4ERR_DIRDELEG_UNAVAIL.into()),
            Err(_) => return Ok(GetDirDelegation4Res::Unavail(false)),
        };
        permit.granted();
        cx.set_current_stateid(given);
        Ok(GetDirDelegation4Res::Ok(GetDirDelegation4ResOk {
            cookieverf,
            stateid: given,
            notification: terms.types,
            child_attributes: terms.child_attributes,
            dir_attributes: terms.dir_attributes,
        }))
    }
}

register_operation!(GetDirDelegation);

/// Attributes that nobody is told of: those of the whole file system, and those that are none of an object.
const NOT_TOLD: Bitmap = NEEDS_USAGE.with(FATTR4_RDATTR_ERROR);

/// What of the client's wishes can be met. NFS4ERR_INVAL for times that make no sense.
fn terms(
    cx: &CompoundContext<'_>,
    dir: &ExportNode,
    args: &GetDirDelegation4Args,
) -> Result<DirTerms, Status> {
    std::time::Duration::try_from(args.child_attr_delay)?;
    let dir_delay = std::time::Duration::try_from(args.dir_attr_delay)?;
    let can_be_told = dir.export.supported(cx.minor()).minus(NOT_TOLD).minus(WRITE_ONLY);
    let mut terms = DirTerms {
        types: args.notification_types.and(told(dir)),
        child_attributes: args.child_attributes.and(can_be_told),
        dir_attributes: args.dir_attributes.and(can_be_told),
        dir_delay,
    };
    let has = |terms: &DirTerms, kind: NotifyType| terms.types.contains(kind.bit());
    if !has(&terms, NotifyType::AddEntry) && !has(&terms, NotifyType::RenameEntry) {
        terms.child_attributes = Bitmap::EMPTY;
    }
    if terms.dir_attributes.is_empty() {
        terms.types.remove(NotifyType::ChangeDirAttrs.bit());
    }
    if !has(&terms, NotifyType::ChangeDirAttrs) {
        terms.dir_attributes = Bitmap::EMPTY;
    }
    Ok(terms)
}

/// Which changes clients can be told of. Cookie verifiers do not change while a directory lives, and in which directories a file
/// is whose attributes change is not known.
fn told(dir: &ExportNode) -> Bitmap {
    let of_dir = Bitmap::of(&[NotifyType::ChangeDirAttrs.bit()]);
    match dir.fs().entry_places() {
        Some(_) => of_dir
            .with(NotifyType::AddEntry.bit())
            .with(NotifyType::RemoveEntry.bit())
            .with(NotifyType::RenameEntry.bit()),
        None => of_dir,
    }
}

/// The verifier of listings. Whoever may not list the directory gets no delegation of it either.
async fn cookieverf(cx: &CompoundContext<'_>, dir: &ExportNode) -> Result<Verifier4, Status> {
    struct Nothing;
    impl DirSink for Nothing {
        fn entry(&mut self, _: DirEntry<'_>) -> Result<(), SinkFull> {
            Err(SinkFull)
        }
    }
    let listed =
        dir.fs().readdir(&cx.request, &dir.node, 0, Verifier4::default(), Bitmap::EMPTY, &mut Nothing).await;
    listed.map(|end| end.cookieverf).map_err(|error| fs_error(&GetDirDelegation::DESCRIPTOR, error))
}

async fn give(
    cx: &CompoundContext<'_>,
    dir: &ExportNode,
    terms: DirTerms,
) -> Result<Result<Stateid, WhyNot>, Status> {
    let (service, client) = (cx.service(), cx.client()?);
    let held = service.state().delegations_of(client.id());
    let path = service.settled_callback_path(client).await;
    if !service.delegation_policy().offers_directory(path, held) {
        return Ok(Err(WhyNot::Resource));
    }
    let request = DelegationRequest {
        kind: DelegationType::Directory,
        origin: cx.referring_call(),
        timestamps: Timestamps::Server,
        open: BesideOpen::Always,
        claim: DelegationClaim::New,
    };
    let (file, uid) = (FileKey::from(dir), cx.request.credentials.uid);
    let given = service.state().delegate_directory(cx.now(), client.id(), &file, uid, &request, terms);
    // The client is gone, and this operation has no status for it: the next request meets a session that is gone too.
    let given = given.map_err(|_| NFS4ERR_DELAY)?;
    Ok(given.map(|given| given.stateid))
}
