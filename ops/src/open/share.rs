use dittofs_framework::fs::ShareAccess;
use dittofs_framework::proto::{
    Minor, NFS4ERR_INVAL, OPEN4_SHARE_ACCESS_WANT_ANY_DELEG, OPEN4_SHARE_ACCESS_WANT_CANCEL,
    OPEN4_SHARE_ACCESS_WANT_DELEG_MASK, OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
    OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, Status,
};
use dittofs_framework::state::ShareDeny;

use super::{OpenDelegation4, OpenNoneDelegation4};

const WHEN_FLAGS: u32 = OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL
    | OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED;

/// What a client says about delegations in an OPEN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing.
    NoPreference,
    /// That it wants one.
    Deleg,
    /// That it wants none.
    NoDeleg,
    /// That it takes back what it wanted before.
    Cancel,
}

impl Want {
    /// What an OPEN answers that gives no delegation: with the reason, if the client said anything (RFC 8881 section
    /// 18.16.3).
    pub(super) fn answer(self) -> OpenDelegation4 {
        OpenDelegation4::NoneExt(match self {
            Self::NoPreference => return OpenDelegation4::None(()),
            Self::Deleg => OpenNoneDelegation4::NotSuppFtype(()),
            Self::NoDeleg => OpenNoneDelegation4::NotWanted(()),
            Self::Cancel => OpenNoneDelegation4::Cancelled(()),
        })
    }
}

/// The access and the want of a share_access. NFS4ERR_INVAL for no access, for more than one want and for bits that mean
/// nothing (RFC 8881 section 18.16.4), which in minor version 0 all wants are (RFC 7530 section 16.16.6).
pub(crate) fn parse_access(minor: Minor, share_access: u32) -> Result<(ShareAccess, Want), Status> {
    let wants = OPEN4_SHARE_ACCESS_WANT_DELEG_MASK | WHEN_FLAGS;
    if minor == Minor::V0 && share_access & wants != 0 {
        return Err(NFS4ERR_INVAL);
    }
    let bits = share_access & !wants;
    let access = ShareAccess::from_bits(bits).filter(|access| !access.is_empty()).ok_or(NFS4ERR_INVAL)?;
    let want = match share_access & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK {
        0 => Want::NoPreference,
        OPEN4_SHARE_ACCESS_WANT_READ_DELEG
        | OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG
        | OPEN4_SHARE_ACCESS_WANT_ANY_DELEG => Want::Deleg,
        OPEN4_SHARE_ACCESS_WANT_NO_DELEG => Want::NoDeleg,
        OPEN4_SHARE_ACCESS_WANT_CANCEL => Want::Cancel,
        _ => return Err(NFS4ERR_INVAL),
    };
    Ok((access, want))
}

/// The denial of a share_deny. NFS4ERR_INVAL for bits that mean nothing (RFC 8881 section 18.16.4).
pub(crate) fn parse_deny(share_deny: u32) -> Result<ShareDeny, Status> {
    ShareDeny::from_bits(share_deny).ok_or(NFS4ERR_INVAL)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // RFC: 8881 section 18.16.4.
    #[rstest]
    #[case::read(0x1, Ok((ShareAccess::READ, Want::NoPreference)))]
    #[case::write(0x2, Ok((ShareAccess::WRITE, Want::NoPreference)))]
    #[case::both(0x3, Ok((ShareAccess::BOTH, Want::NoPreference)))]
    #[case::want_read(0x101, Ok((ShareAccess::READ, Want::Deleg)))]
    #[case::want_none(0x403, Ok((ShareAccess::BOTH, Want::NoDeleg)))]
    #[case::want_cancel(0x501, Ok((ShareAccess::READ, Want::Cancel)))]
    #[case::want_any_later(0x3_0301, Ok((ShareAccess::READ, Want::Deleg)))]
    #[case::no_access(0, Err(NFS4ERR_INVAL))]
    #[case::want_without_access(0x100, Err(NFS4ERR_INVAL))]
    #[case::unknown_access(0x5, Err(NFS4ERR_INVAL))]
    #[case::unknown_want(0x601, Err(NFS4ERR_INVAL))]
    #[case::unknown_flag(0x4_0001, Err(NFS4ERR_INVAL))]
    fn share_access_means(#[case] bits: u32, #[case] want: Result<(ShareAccess, Want), Status>) {
        assert_eq!(parse_access(Minor::V1, bits), want);
    }

    // RFC: 7530 section 16.16.6.
    #[rstest]
    #[case::read(0x1, Ok((ShareAccess::READ, Want::NoPreference)))]
    #[case::both(0x3, Ok((ShareAccess::BOTH, Want::NoPreference)))]
    #[case::no_access(0, Err(NFS4ERR_INVAL))]
    #[case::want_read(0x101, Err(NFS4ERR_INVAL))]
    #[case::when(0x1_0001, Err(NFS4ERR_INVAL))]
    fn share_access_means_in_minor_version_0(
        #[case] bits: u32,
        #[case] want: Result<(ShareAccess, Want), Status>,
    ) {
        assert_eq!(parse_access(Minor::V0, bits), want);
    }

    #[rstest]
    #[case::none(0, Ok(ShareDeny::empty()))]
    #[case::both(3, Ok(ShareDeny::BOTH))]
    #[case::unknown(4, Err(NFS4ERR_INVAL))]
    fn share_deny_means(#[case] bits: u32, #[case] want: Result<ShareDeny, Status>) {
        assert_eq!(parse_deny(bits), want);
    }
}
