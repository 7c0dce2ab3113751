//! CB_COMPOUND and the operations in it (RFC 8881 sections 19 and 20, RFC 7530 sections 17 and 18).
//!
//! The server encodes arguments and decodes results; whoever answers callbacks does the opposite. Notifications of directories are
//! in `notify.rs`.

use super::{Fattr4, NFS4_OK, NfsFh4, Notify4, OpenDelegation4, SessionId, StateOwner, Stateid, Status};
use crate::attr::Bitmap;
use crate::xdr::{Utf8, XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};
use crate::{xdr_struct, xdr_union};

/// CB_NULL (RFC 8881 section 19.1).
pub const CB_NULL: u32 = 0;
/// CB_COMPOUND (RFC 8881 section 19.2).
pub const CB_COMPOUND: u32 = 1;
/// The version of the callback program, whatever the minor version is (RFC 5662, RFC 7531).
pub const NFS4_CALLBACK: u32 = 1;

macro_rules! cb_ops {
    ($($(#[$meta:meta])* $variant:ident = $value:literal, $name:literal;)*) => {
        /// nfs_cb_opnum4: the number that names an operation in a CB_COMPOUND.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CbOp {
            $($(#[$meta])* $variant = $value,)*
        }

        impl CbOp {
            /// All of them, in the order of their numbers.
            pub const ALL: [Self; [$($value),*].len()] = [$(Self::$variant),*];

            /// The RFC's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The number on the wire.
            pub const fn code(self) -> u32 {
                match self { $(Self::$variant => $value,)* }
            }

            /// The operation with this number.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($value => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

cb_ops! {
    /// Attributes of a file that the client holds a write delegation of.
    GetAttr = 3, "CB_GETATTR";
    /// A delegation is to be returned.
    Recall = 4, "CB_RECALL";
    /// Layouts are to be returned.
    LayoutRecall = 5, "CB_LAYOUTRECALL";
    /// A delegated directory changed.
    Notify = 6, "CB_NOTIFY";
    /// A delegation that the client wanted.
    PushDeleg = 7, "CB_PUSH_DELEG";
    /// Some delegations or layouts, of the client's choice, are to be returned.
    RecallAny = 8, "CB_RECALL_ANY";
    /// There may be delegations or layouts where there were none.
    RecallableObjAvail = 9, "CB_RECALLABLE_OBJ_AVAIL";
    /// Slots are to be given back.
    RecallSlot = 10, "CB_RECALL_SLOT";
    /// The head of a CB_COMPOUND in a session.
    Sequence = 11, "CB_SEQUENCE";
    /// Delegations that were wanted will not come.
    WantsCancelled = 12, "CB_WANTS_CANCELLED";
    /// A lock that was denied may be free.
    NotifyLock = 13, "CB_NOTIFY_LOCK";
    /// A device ID changed.
    NotifyDeviceId = 14, "CB_NOTIFY_DEVICEID";
    /// A copy is done (RFC 7862 section 16.1).
    Offload = 15, "CB_OFFLOAD";
    /// An operation that there is not.
    Illegal = 10044, "CB_ILLEGAL";
}

/// A result that has a body when it is NFS4_OK, and none otherwise: `union switch (nfsstat4 status)`.
impl<T: XdrDecode> XdrDecode for Result<T, Status> {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let status = Status::decode(r)?;
        if status.is_ok() { T::decode(r).map(Ok) } else { Ok(Err(status)) }
    }
}

impl<T: XdrEncode> XdrEncode for Result<T, Status> {
    fn encode(&self, w: &mut XdrWriter) {
        match self {
            Ok(body) => {
                NFS4_OK.encode(w);
                body.encode(w);
            }
            Err(status) => status.encode(w),
        }
    }
}

xdr_struct! {
    /// CB_GETATTR4args (RFC 8881 section 20.1).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbGetAttr4Args {
        /// The file.
        pub fh: NfsFh4,
        /// What is asked for.
        pub attr_request: Bitmap,
    }
}

xdr_struct! {
    /// CB_GETATTR4resok.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbGetAttr4ResOk {
        /// What the client has of it.
        pub obj_attributes: Fattr4,
    }
}

xdr_struct! {
    /// CB_RECALL4args (RFC 8881 section 20.2).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbRecall4Args {
        /// The delegation.
        pub stateid: Stateid,
        /// Whether the file is about to be cut off at its beginning, so that modified data need not be written back.
        pub truncate: bool,
        /// The file or directory.
        pub fh: NfsFh4,
    }
}

xdr_struct! {
    /// CB_NOTIFY4args (RFC 8881 section 20.4).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbNotify4Args {
        /// The delegation.
        pub stateid: Stateid,
        /// The directory.
        pub fh: NfsFh4,
        /// What happened, in its order.
        pub changes: Vec<Notify4>,
    }
}

xdr_struct! {
    /// CB_PUSH_DELEG4args (RFC 8881 section 20.5).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbPushDeleg4Args {
        /// The file.
        pub fh: NfsFh4,
        /// The delegation.
        pub delegation: OpenDelegation4,
    }
}

/// RCA4_TYPE_MASK_RDATA_DLG: a read delegation, in craa_type_mask.
pub const RCA4_TYPE_MASK_RDATA_DLG: u32 = 0;
/// RCA4_TYPE_MASK_WDATA_DLG: a write delegation, in craa_type_mask.
pub const RCA4_TYPE_MASK_WDATA_DLG: u32 = 1;
/// RCA4_TYPE_MASK_DIR_DLG: a directory delegation, in craa_type_mask.
pub const RCA4_TYPE_MASK_DIR_DLG: u32 = 2;

xdr_struct! {
    /// CB_RECALL_ANY4args (RFC 8881 section 20.6), and CB_RECALLABLE_OBJ_AVAIL4args (section 20.7).
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CbRecallAny4Args {
        /// How many the client may keep.
        pub objects_to_keep: u32,
        /// Of which types: `RCA4_TYPE_MASK_*`.
        pub type_mask: Bitmap,
    }
}

xdr_struct! {
    /// CB_RECALL_SLOT4args (RFC 8881 section 20.8).
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CbRecallSlot4Args {
        /// The highest slot of the fore channel that the client is to use.
        pub target_highest_slotid: u32,
    }
}

xdr_struct! {
    /// referring_call4: a request of the client.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ReferringCall4 {
        /// Its number in its slot.
        pub sequenceid: u32,
        /// Its slot.
        pub slotid: u32,
    }
}

xdr_struct! {
    /// referring_call_list4: requests that made what a callback is about (RFC 8881 section 2.10.6.3).
    #[derive(Clone, PartialEq, Eq)]
    pub struct ReferringCallList4 {
        /// Their session.
        pub sessionid: SessionId,
        /// The requests.
        pub referring_calls: Vec<ReferringCall4>,
    }
}

xdr_struct! {
    /// CB_SEQUENCE4args (RFC 8881 section 20.9).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbSequence4Args {
        /// The session.
        pub sessionid: SessionId,
        /// The callback's number in its slot.
        pub sequenceid: u32,
        /// The slot of the backchannel.
        pub slotid: u32,
        /// The highest slot that the server has a callback in.
        pub highest_slotid: u32,
        /// Whether the whole reply must be kept for a retry.
        pub cache_this: bool,
        /// Requests that the client is to have the replies of first.
        pub referring_call_lists: Vec<ReferringCallList4>,
    }
}

xdr_struct! {
    /// CB_SEQUENCE4resok.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CbSequence4ResOk {
        /// csa_sessionid again.
        pub sessionid: SessionId,
        /// csa_sequenceid again.
        pub sequenceid: u32,
        /// csa_slotid again.
        pub slotid: u32,
        /// The highest slot that the client takes.
        pub highest_slotid: u32,
        /// The highest slot that the client wants used.
        pub target_highest_slotid: u32,
    }
}

xdr_struct! {
    /// CB_WANTS_CANCELLED4args (RFC 8881 section 20.10).
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CbWantsCancelled4Args {
        /// Nothing will be pushed when contention is over.
        pub contended_wants_cancelled: bool,
        /// Nothing will be said when there are resources.
        pub resourced_wants_cancelled: bool,
    }
}

xdr_struct! {
    /// CB_NOTIFY_LOCK4args (RFC 8881 section 20.11).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbNotifyLock4Args {
        /// The file.
        pub fh: NfsFh4,
        /// Who was denied the lock.
        pub lock_owner: StateOwner,
    }
}

xdr_union! {
    /// nfs_cb_argop4: an operation of a CB_COMPOUND with its arguments.
    #[derive(Clone, PartialEq, Eq)]
    pub enum CbArgs {
        /// CB_GETATTR.
        3 => GetAttr(CbGetAttr4Args),
        /// CB_RECALL.
        4 => Recall(CbRecall4Args),
        /// CB_NOTIFY.
        6 => Notify(CbNotify4Args),
        /// CB_PUSH_DELEG.
        7 => PushDeleg(CbPushDeleg4Args),
        /// CB_RECALL_ANY.
        8 => RecallAny(CbRecallAny4Args),
        /// CB_RECALLABLE_OBJ_AVAIL.
        9 => RecallableObjAvail(CbRecallAny4Args),
        /// CB_RECALL_SLOT.
        10 => RecallSlot(CbRecallSlot4Args),
        /// CB_SEQUENCE.
        11 => Sequence(CbSequence4Args),
        /// CB_WANTS_CANCELLED.
        12 => WantsCancelled(CbWantsCancelled4Args),
        /// CB_NOTIFY_LOCK.
        13 => NotifyLock(CbNotifyLock4Args),
        /// CB_ILLEGAL.
        10044 => Illegal(()),
    }
}

impl CbArgs {
    /// Which operation it is.
    pub const fn op(&self) -> CbOp {
        match self {
            Self::GetAttr(_) => CbOp::GetAttr,
            Self::Recall(_) => CbOp::Recall,
            Self::Notify(_) => CbOp::Notify,
            Self::PushDeleg(_) => CbOp::PushDeleg,
            Self::RecallAny(_) => CbOp::RecallAny,
            Self::RecallableObjAvail(_) => CbOp::RecallableObjAvail,
            Self::RecallSlot(_) => CbOp::RecallSlot,
            Self::Sequence(_) => CbOp::Sequence,
            Self::WantsCancelled(_) => CbOp::WantsCancelled,
            Self::NotifyLock(_) => CbOp::NotifyLock,
            Self::Illegal(()) => CbOp::Illegal,
        }
    }
}

xdr_union! {
    /// nfs_cb_resop4: what an operation of a CB_COMPOUND answers.
    #[derive(Clone, PartialEq, Eq)]
    pub enum CbRes {
        /// CB_GETATTR.
        3 => GetAttr(Result<CbGetAttr4ResOk, Status>),
        /// CB_RECALL.
        4 => Recall(Result<(), Status>),
        /// CB_LAYOUTRECALL.
        5 => LayoutRecall(Result<(), Status>),
        /// CB_NOTIFY.
        6 => Notify(Result<(), Status>),
        /// CB_PUSH_DELEG.
        7 => PushDeleg(Result<(), Status>),
        /// CB_RECALL_ANY.
        8 => RecallAny(Result<(), Status>),
        /// CB_RECALLABLE_OBJ_AVAIL.
        9 => RecallableObjAvail(Result<(), Status>),
        /// CB_RECALL_SLOT.
        10 => RecallSlot(Result<(), Status>),
        /// CB_SEQUENCE.
        11 => Sequence(Result<CbSequence4ResOk, Status>),
        /// CB_WANTS_CANCELLED.
        12 => WantsCancelled(Result<(), Status>),
        /// CB_NOTIFY_LOCK.
        13 => NotifyLock(Result<(), Status>),
        /// CB_NOTIFY_DEVICEID.
        14 => NotifyDeviceId(Result<(), Status>),
        /// CB_OFFLOAD.
        15 => Offload(Result<(), Status>),
        /// CB_ILLEGAL: always NFS4ERR_OP_ILLEGAL.
        10044 => Illegal(Result<(), Status>),
    }
}

impl CbRes {
    /// Which operation answers.
    pub const fn op(&self) -> CbOp {
        match self {
            Self::GetAttr(_) => CbOp::GetAttr,
            Self::Recall(_) => CbOp::Recall,
            Self::LayoutRecall(_) => CbOp::LayoutRecall,
            Self::Notify(_) => CbOp::Notify,
            Self::PushDeleg(_) => CbOp::PushDeleg,
            Self::RecallAny(_) => CbOp::RecallAny,
            Self::RecallableObjAvail(_) => CbOp::RecallableObjAvail,
            Self::RecallSlot(_) => CbOp::RecallSlot,
            Self::Sequence(_) => CbOp::Sequence,
            Self::WantsCancelled(_) => CbOp::WantsCancelled,
            Self::NotifyLock(_) => CbOp::NotifyLock,
            Self::NotifyDeviceId(_) => CbOp::NotifyDeviceId,
            Self::Offload(_) => CbOp::Offload,
            Self::Illegal(_) => CbOp::Illegal,
        }
    }

    /// Its status.
    pub fn status(&self) -> Status {
        match self {
            Self::GetAttr(Ok(_)) | Self::Sequence(Ok(_)) => NFS4_OK,
            Self::GetAttr(Err(status)) | Self::Sequence(Err(status)) => *status,
            Self::Recall(result)
            | Self::LayoutRecall(result)
            | Self::Notify(result)
            | Self::PushDeleg(result)
            | Self::RecallAny(result)
            | Self::RecallableObjAvail(result)
            | Self::RecallSlot(result)
            | Self::WantsCancelled(result)
            | Self::NotifyLock(result)
            | Self::NotifyDeviceId(result)
            | Self::Offload(result)
            | Self::Illegal(result) => result.err().unwrap_or(NFS4_OK),
        }
    }

    /// The answer of an operation that has nothing but a status to say; `None` for one that has a body when it goes well.
    pub const fn of(op: CbOp, result: Result<(), Status>) -> Option<Self> {
        Some(match op {
            CbOp::GetAttr => match result {
                Ok(()) => return None,
                Err(status) => Self::GetAttr(Err(status)),
            },
            CbOp::Sequence => match result {
                Ok(()) => return None,
                Err(status) => Self::Sequence(Err(status)),
            },
            CbOp::Recall => Self::Recall(result),
            CbOp::LayoutRecall => Self::LayoutRecall(result),
            CbOp::Notify => Self::Notify(result),
            CbOp::PushDeleg => Self::PushDeleg(result),
            CbOp::RecallAny => Self::RecallAny(result),
            CbOp::RecallableObjAvail => Self::RecallableObjAvail(result),
            CbOp::RecallSlot => Self::RecallSlot(result),
            CbOp::WantsCancelled => Self::WantsCancelled(result),
            CbOp::NotifyLock => Self::NotifyLock(result),
            CbOp::NotifyDeviceId => Self::NotifyDeviceId(result),
            CbOp::Offload => Self::Offload(result),
            CbOp::Illegal => Self::Illegal(result),
        })
    }
}

xdr_struct! {
    /// CB_COMPOUND4args (RFC 8881 section 19.2.1, RFC 7530 section 15.2).
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbCompound4Args {
        /// For people to read.
        pub tag: Utf8,
        /// The minor version of the client.
        pub minorversion: u32,
        /// callback_ident of SETCLIENTID; nothing in later minor versions.
        pub callback_ident: u32,
        /// The operations.
        pub ops: Vec<CbArgs>,
    }
}

xdr_struct! {
    /// CB_COMPOUND4res.
    #[derive(Clone, PartialEq, Eq)]
    pub struct CbCompound4Res {
        /// That of the last operation that was carried out.
        pub status: Status,
        /// The tag again.
        pub tag: Utf8,
        /// The answers.
        pub ops: Vec<CbRes>,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::proto::{ClientId, NFS4ERR_BADHANDLE, NFS4ERR_DELAY, NFS4ERR_OP_ILLEGAL};
    use crate::xdr::{decode_all, encode_to_bytes};

    const STATEID: Stateid = Stateid { seqid: 1, other: [3; 12] };

    fn sequence() -> CbArgs {
        let referring_calls = vec![ReferringCall4 { sequenceid: 5, slotid: 6 }];
        CbArgs::Sequence(CbSequence4Args {
            sessionid: SessionId([1; 16]),
            sequenceid: 2,
            slotid: 3,
            highest_slotid: 4,
            cache_this: true,
            referring_call_lists: vec![ReferringCallList4 { sessionid: SessionId([7; 16]), referring_calls }],
        })
    }

    // Origin: every operation that is sent, there and back. RFC: 8881 sections 19.2 and 20.
    #[rstest]
    #[case::getattr(CbArgs::GetAttr(CbGetAttr4Args { fh: "fh".into(), attr_request: Bitmap::of(&[3, 4]) }))]
    #[case::recall(CbArgs::Recall(CbRecall4Args { stateid: STATEID, truncate: true, fh: "fh".into() }))]
    #[case::notify(CbArgs::Notify(CbNotify4Args { stateid: STATEID, fh: "fh".into(), changes: vec![] }))]
    #[case::push_deleg(CbArgs::PushDeleg(CbPushDeleg4Args { fh: "fh".into(), delegation: OpenDelegation4::None(()) }))]
    #[case::recall_any(CbArgs::RecallAny(CbRecallAny4Args { objects_to_keep: 9, type_mask: Bitmap::of(&[0, 1]) }))]
    #[case::avail(CbArgs::RecallableObjAvail(CbRecallAny4Args { objects_to_keep: 9, type_mask: Bitmap::of(&[2]) }))]
    #[case::recall_slot(CbArgs::RecallSlot(CbRecallSlot4Args { target_highest_slotid: 3 }))]
    #[case::sequence(sequence())]
    #[case::wants_cancelled(
        CbArgs::WantsCancelled(CbWantsCancelled4Args { contended_wants_cancelled: true, resourced_wants_cancelled: false })
    )]
    #[case::notify_lock(
        CbArgs::NotifyLock(CbNotifyLock4Args {
            fh: "fh".into(),
            lock_owner: StateOwner { clientid: ClientId(1), owner: "owner".into() },
        })
    )]
    #[case::illegal(CbArgs::Illegal(()))]
    fn arguments_are_read_as_they_were_written(#[case] op: CbArgs) {
        let number = op.op().code();
        let args =
            CbCompound4Args { tag: "tag".into(), minorversion: 1, callback_ident: 8, ops: vec![op.clone()] };
        let bytes = encode_to_bytes(&args);
        assert_eq!(decode_all::<CbCompound4Args>(&bytes).unwrap(), args);
        assert_eq!(encode_to_bytes(&op).get(..4).unwrap(), number.to_be_bytes());
    }

    // Origin: every answer, there and back. RFC: 8881 sections 19.2 and 20.
    #[rstest]
    fn results_are_read_as_they_were_written(
        #[values(Ok(()), Err(NFS4ERR_DELAY), Err(NFS4ERR_BADHANDLE), Err(NFS4ERR_OP_ILLEGAL))] result: Result<
            (),
            Status,
        >,
    ) {
        for op in CbOp::ALL {
            let Some(res) = CbRes::of(op, result) else { continue };
            assert_eq!((res.op(), res.status()), (op, result.err().unwrap_or(NFS4_OK)));
            let compound = CbCompound4Res { status: res.status(), tag: "tag".into(), ops: vec![res] };
            assert_eq!(decode_all::<CbCompound4Res>(&encode_to_bytes(&compound)).unwrap(), compound);
            assert_eq!(CbOp::from_code(op.code()), Some(op));
        }
    }

    // Origin: the two answers with a body. RFC: 8881 sections 20.1.2 and 20.9.2.
    #[rstest]
    #[case::getattr(CbRes::GetAttr(Ok(CbGetAttr4ResOk { obj_attributes: Fattr4::default() })), 16)]
    #[case::sequence(
        CbRes::Sequence(Ok(CbSequence4ResOk {
            sessionid: SessionId([1; 16]),
            sequenceid: 2,
            slotid: 3,
            highest_slotid: 4,
            target_highest_slotid: 5,
        })),
        40
    )]
    fn bodies_are_read_as_they_were_written(#[case] res: CbRes, #[case] len: usize) {
        let bytes = encode_to_bytes(&res);
        assert_eq!(bytes.len(), len);
        assert_eq!(decode_all::<CbRes>(&bytes).unwrap(), res);
    }
}
