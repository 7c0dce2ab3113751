//! Delegations on the wire: RFC 8881 sections 10.4, 18.16 and 18.49, RFC 7530 section 16.16, and the extensions of RFC 9754.

use super::{Minor, Stateid};
use crate::attr::Bitmap;
use crate::xdr::Utf8;
use crate::{xdr_enum, xdr_struct, xdr_union};

/// Bits of share_access: read.
pub const OPEN4_SHARE_ACCESS_READ: u32 = 0x1;
/// Bits of share_access: write.
pub const OPEN4_SHARE_ACCESS_WRITE: u32 = 0x2;
/// Bits of share_access: read and write.
pub const OPEN4_SHARE_ACCESS_BOTH: u32 = 0x3;
/// The bits of share_access that say which delegation is wanted; since minor version 1.
pub const OPEN4_SHARE_ACCESS_WANT_DELEG_MASK: u32 = 0xff00;
/// Whatever the server likes.
pub const OPEN4_SHARE_ACCESS_WANT_NO_PREFERENCE: u32 = 0x0;
/// A read delegation is wanted.
pub const OPEN4_SHARE_ACCESS_WANT_READ_DELEG: u32 = 0x100;
/// A write delegation is wanted.
pub const OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG: u32 = 0x200;
/// Any delegation is wanted.
pub const OPEN4_SHARE_ACCESS_WANT_ANY_DELEG: u32 = 0x300;
/// No delegation is wanted.
pub const OPEN4_SHARE_ACCESS_WANT_NO_DELEG: u32 = 0x400;
/// No delegation is wanted any more.
pub const OPEN4_SHARE_ACCESS_WANT_CANCEL: u32 = 0x500;
/// A word when there is room for a delegation.
pub const OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL: u32 = 0x1_0000;
/// A delegation when nothing conflicts any more.
pub const OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED: u32 = 0x2_0000;
/// The client keeps the times of the file as well, as long as it has a delegation (RFC 9754 section 5); minor version 2.
pub const OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS: u32 = 0x10_0000;
/// An open stateid or a delegation, but not both (RFC 9754 section 4); minor version 2.
pub const OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION: u32 = 0x20_0000;

/// The open-owner is to be confirmed by OPEN_CONFIRM; in minor version 0 only.
pub const OPEN4_RESULT_CONFIRM: u32 = 0x2;
/// Byte-range locks are those of POSIX, unlocking and changing parts of a lock included.
pub const OPEN4_RESULT_LOCKTYPE_POSIX: u32 = 0x4;
/// The file stays as long as it is open, also when its last name goes: what a file system promises with its
/// [`OpenHold`](crate::fs::OpenHold).
pub const OPEN4_RESULT_PRESERVE_UNLINKED: u32 = 0x8;
/// There is a delegation and no open stateid: the field holds the anonymous one (RFC 9754 section 4); minor version 2.
pub const OPEN4_RESULT_NO_OPEN_STATEID: u32 = 0x10;
/// A client that waits for a lock is told with CB_NOTIFY_LOCK when it may be free.
pub const OPEN4_RESULT_MAY_NOTIFY_LOCK: u32 = 0x20;

xdr_enum! {
    /// open_delegation_type4.
    pub enum OpenDelegationType4 {
        /// OPEN_DELEGATE_NONE.
        None = 0,
        /// OPEN_DELEGATE_READ.
        Read = 1,
        /// OPEN_DELEGATE_WRITE.
        Write = 2,
        /// OPEN_DELEGATE_NONE_EXT; since minor version 1.
        NoneExt = 3,
        /// OPEN_DELEGATE_READ_ATTRS_DELEG: with the times of the file (RFC 9754 section 5.2); minor version 2.
        ReadAttrs = 4,
        /// OPEN_DELEGATE_WRITE_ATTRS_DELEG: with the times of the file (RFC 9754 section 5.2); minor version 2.
        WriteAttrs = 5,
    }
}

impl OpenDelegationType4 {
    /// The first minor version that has it.
    pub const fn since(self) -> Minor {
        match self {
            Self::None | Self::Read | Self::Write => Minor::V0,
            Self::NoneExt => Minor::V1,
            Self::ReadAttrs | Self::WriteAttrs => Minor::V2,
        }
    }
}

xdr_union! {
    /// open_delegation4: what a client is told of a delegation in OPEN and WANT_DELEGATION.
    #[derive(Clone, PartialEq, Eq)]
    pub enum OpenDelegation4 {
        /// OPEN_DELEGATE_NONE.
        0 => None(()),
        /// OPEN_DELEGATE_READ.
        1 => Read(OpenReadDelegation4),
        /// OPEN_DELEGATE_WRITE.
        2 => Write(OpenWriteDelegation4),
        /// OPEN_DELEGATE_NONE_EXT; since minor version 1.
        3 => NoneExt(OpenNoneDelegation4),
        /// OPEN_DELEGATE_READ_ATTRS_DELEG; minor version 2.
        4 => ReadAttrs(OpenReadDelegation4),
        /// OPEN_DELEGATE_WRITE_ATTRS_DELEG; minor version 2.
        5 => WriteAttrs(OpenWriteDelegation4),
    }
}

impl OpenDelegation4 {
    /// Bytes that it takes at the most, with a name of at most [`ACE_WHO_MAX`] bytes in its permissions.
    pub const MAX_SIZE: u32 = 4 + 16 + 4 + 12 + (4 + 4 + 4) + (4 + ACE_WHO_MAX);

    /// The delegation's stateid, if there is one.
    pub fn stateid(&self) -> Option<Stateid> {
        match self {
            Self::None(()) | Self::NoneExt(_) => None,
            Self::Read(read) | Self::ReadAttrs(read) => Some(read.stateid),
            Self::Write(write) | Self::WriteAttrs(write) => Some(write.stateid),
        }
    }
}

/// Bytes of the longest name in the permissions of a delegation, in whole XDR units: that of a special identifier, like
/// `EVERYONE@` (RFC 8881 section 6.2.1.5), or a number.
pub const ACE_WHO_MAX: u32 = 16;

xdr_struct! {
    /// open_read_delegation4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct OpenReadDelegation4 {
        /// The delegation.
        pub stateid: Stateid,
        /// It is to be returned already: reclaimed, and in the way of somebody (CLAIM_PREVIOUS).
        pub recall: bool,
        /// Users who may open the file without asking the server.
        pub permissions: NfsAce4,
    }
}

xdr_struct! {
    /// open_write_delegation4.
    #[derive(Clone, PartialEq, Eq)]
    pub struct OpenWriteDelegation4 {
        /// The delegation.
        pub stateid: Stateid,
        /// It is to be returned already: reclaimed, and in the way of somebody (CLAIM_PREVIOUS).
        pub recall: bool,
        /// How much the client may keep unwritten when the file is closed.
        pub space_limit: NfsSpaceLimit4,
        /// Users who may open the file without asking the server.
        pub permissions: NfsAce4,
    }
}

xdr_union! {
    /// nfs_space_limit4.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum NfsSpaceLimit4 {
        /// NFS_LIMIT_SIZE: up to this size of the file in bytes.
        1 => Size(u64),
        /// NFS_LIMIT_BLOCKS: so many blocks that were changed.
        2 => Blocks(NfsModifiedLimit4),
    }
}

xdr_struct! {
    /// nfs_modified_limit4.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct NfsModifiedLimit4 {
        /// Number of blocks.
        pub num_blocks: u32,
        /// Their size.
        pub bytes_per_block: u32,
    }
}

xdr_struct! {
    /// nfsace4 (RFC 8881 section 6.2.1).
    #[derive(Clone, PartialEq, Eq)]
    pub struct NfsAce4 {
        /// acetype4.
        pub ace_type: u32,
        /// ACE4_*_ACE and other flags.
        pub flag: u32,
        /// ACE4_* permissions.
        pub access_mask: u32,
        /// Whom it is about.
        pub who: Utf8,
    }
}

/// acetype4 of an entry that allows.
pub const ACE4_ACCESS_ALLOWED_ACE_TYPE: u32 = 0;
/// Permission to read data.
pub const ACE4_READ_DATA: u32 = 0x1;
/// Permission to write data.
pub const ACE4_WRITE_DATA: u32 = 0x2;
/// Permission to execute.
pub const ACE4_EXECUTE: u32 = 0x20;

impl NfsAce4 {
    /// An entry that allows nobody anything: whoever opens the file is to ask the server with ACCESS first.
    pub fn none() -> Self {
        Self { ace_type: ACE4_ACCESS_ALLOWED_ACE_TYPE, flag: 0, access_mask: 0, who: Utf8::default() }
    }
}

xdr_union! {
    /// open_none_delegation4: why there is no delegation (why_no_delegation4).
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum OpenNoneDelegation4 {
        /// WND4_NOT_WANTED.
        0 => NotWanted(()),
        /// WND4_CONTENTION; whether the server will give one when there is no conflict any more (CB_PUSH_DELEG).
        1 => Contention(bool),
        /// WND4_RESOURCE; whether the server will say when there is room (CB_RECALLABLE_OBJ_AVAIL).
        2 => Resource(bool),
        /// WND4_NOT_SUPP_FTYPE.
        3 => NotSuppFtype(()),
        /// WND4_WRITE_DELEG_NOT_SUPP_FTYPE.
        4 => WriteDelegNotSuppFtype(()),
        /// WND4_NOT_SUPP_UPGRADE.
        5 => NotSuppUpgrade(()),
        /// WND4_NOT_SUPP_DOWNGRADE.
        6 => NotSuppDowngrade(()),
        /// WND4_CANCELLED.
        7 => Cancelled(()),
        /// WND4_IS_DIR.
        8 => IsDir(()),
    }
}

xdr_struct! {
    /// open_arguments4 (RFC 9754 section 3.1): which arguments OPEN takes, as sets of their numbers.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct OpenArguments4 {
        /// open_args_share_access4.
        pub share_access: Bitmap,
        /// open_args_share_deny4.
        pub share_deny: Bitmap,
        /// open_args_share_access_want4.
        pub share_access_want: Bitmap,
        /// open_args_open_claim4.
        pub open_claim: Bitmap,
        /// open_args_createmode4.
        pub create_mode: Bitmap,
    }
}

/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_ANY_DELEG, READ and WRITE included.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG: u32 = 3;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_NO_DELEG.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_NO_DELEG: u32 = 4;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_CANCEL.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_CANCEL: u32 = 5;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL: u32 = 17;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED: u32 = 18;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS: u32 = 20;
/// open_args_share_access_want4: OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION.
pub const OPEN_ARGS_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION: u32 = 21;

impl OpenArguments4 {
    /// Of a server that gives no delegations.
    pub const WITHOUT_DELEGATIONS: Self = Self {
        share_access: Bitmap::of(&[1, 2, 3]),
        share_deny: Bitmap::of(&[0, 1, 2, 3]),
        share_access_want: Bitmap::of(&[
            OPEN_ARGS_SHARE_ACCESS_WANT_NO_DELEG,
            OPEN_ARGS_SHARE_ACCESS_WANT_CANCEL,
        ]),
        // CLAIM_NULL, CLAIM_PREVIOUS, CLAIM_FH.
        open_claim: Bitmap::of(&[0, 1, 4]),
        create_mode: Bitmap::of(&[0, 1, 2, 3]),
    };

    /// Those of a minor version, of a server that offers this.
    pub fn of(minor: Minor, offers: Offers) -> Self {
        let mut taken = Self::WITHOUT_DELEGATIONS;
        let (wants, claims) = (&mut taken.share_access_want, &mut taken.open_claim);
        if offers.contains(Offers::DELEGATIONS) {
            wants.insert(OPEN_ARGS_SHARE_ACCESS_WANT_ANY_DELEG);
            // CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH.
            *claims = claims.or(Bitmap::of(&[2, 5]));
            if minor == Minor::V2 {
                wants.insert(OPEN_ARGS_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION);
            }
        }
        if offers.contains(Offers::TIMESTAMPS) && minor == Minor::V2 {
            wants.insert(OPEN_ARGS_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS);
        }
        if offers.contains(Offers::PREVIOUS) {
            // CLAIM_DELEGATE_PREV, CLAIM_DELEG_PREV_FH.
            *claims = claims.or(Bitmap::of(&[3, 6]));
        }
        taken
    }
}

bitflags::bitflags! {
    /// What a server offers its clients beside opens.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Offers: u8 {
        /// Delegations.
        const DELEGATIONS = 1;
        /// With the timestamps of their files (RFC 9754 section 5).
        const TIMESTAMPS = 2;
        /// Those of clients that restarted (RFC 8881 section 10.2.1).
        const PREVIOUS = 4;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::xdr::{decode_all, encode_to_bytes};

    fn read() -> OpenReadDelegation4 {
        OpenReadDelegation4 {
            stateid: Stateid { seqid: 1, other: [7; 12] },
            recall: false,
            permissions: NfsAce4::none(),
        }
    }

    fn write() -> OpenWriteDelegation4 {
        OpenWriteDelegation4 {
            stateid: Stateid { seqid: 1, other: [7; 12] },
            recall: true,
            space_limit: NfsSpaceLimit4::Blocks(NfsModifiedLimit4 { num_blocks: 3, bytes_per_block: 512 }),
            permissions: NfsAce4 { who: "EVERYONE@".into(), access_mask: ACE4_READ_DATA, ..NfsAce4::none() },
        }
    }

    // Origin: own. RFC: 8881 sections 18.16.1 and 18.16.2, 9754 section 5.2.
    #[rstest]
    #[case::none(OpenDelegation4::None(()), 0)]
    #[case::read(OpenDelegation4::Read(read()), 1)]
    #[case::write(OpenDelegation4::Write(write()), 2)]
    #[case::none_ext(OpenDelegation4::NoneExt(OpenNoneDelegation4::Contention(true)), 3)]
    #[case::read_attrs(OpenDelegation4::ReadAttrs(read()), 4)]
    #[case::write_attrs(OpenDelegation4::WriteAttrs(write()), 5)]
    fn a_delegation_comes_back_from_the_wire(#[case] delegation: OpenDelegation4, #[case] number: u8) {
        let bytes = encode_to_bytes(&delegation);
        assert_eq!(bytes.get(..4), Some([0, 0, 0, number].as_slice()));
        assert!(bytes.len() <= OpenDelegation4::MAX_SIZE as usize);
        assert_eq!(decode_all::<OpenDelegation4>(&bytes).unwrap(), delegation);
    }

    // Origin: own. RFC: 8881 section 18.16.2: only CONTENTION and RESOURCE have a body.
    #[rstest]
    #[case::not_wanted(OpenNoneDelegation4::NotWanted(()), 4)]
    #[case::contention(OpenNoneDelegation4::Contention(false), 8)]
    #[case::resource(OpenNoneDelegation4::Resource(true), 8)]
    #[case::ftype(OpenNoneDelegation4::NotSuppFtype(()), 4)]
    #[case::write_ftype(OpenNoneDelegation4::WriteDelegNotSuppFtype(()), 4)]
    #[case::upgrade(OpenNoneDelegation4::NotSuppUpgrade(()), 4)]
    #[case::downgrade(OpenNoneDelegation4::NotSuppDowngrade(()), 4)]
    #[case::cancelled(OpenNoneDelegation4::Cancelled(()), 4)]
    #[case::is_dir(OpenNoneDelegation4::IsDir(()), 4)]
    fn a_reason_has_its_body(#[case] why: OpenNoneDelegation4, #[case] len: usize) {
        let bytes = encode_to_bytes(&why);
        assert_eq!(bytes.len(), len);
        assert_eq!(decode_all::<OpenNoneDelegation4>(&bytes).unwrap(), why);
    }
}
