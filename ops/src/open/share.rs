//! What share_access and share_deny say.

use dittofs_framework::fs::ShareAccess;
use dittofs_framework::proto::{Minor, NFS4ERR_INVAL, Status, Wants};
use dittofs_framework::state::ShareDeny;

/// The access and the wants of a share_access. NFS4ERR_INVAL for no access, for more than one want and for bits that mean
/// nothing (RFC 8881 section 18.16.4), which in minor version 0 all wants are (RFC 7530 section 16.16.6).
pub(crate) fn parse_access(minor: Minor, share_access: u32) -> Result<(ShareAccess, Wants), Status> {
    let (wants, bits) = Wants::of_open(minor, share_access)?;
    let access = ShareAccess::from_bits(bits).filter(|access| !access.is_empty()).ok_or(NFS4ERR_INVAL)?;
    Ok((access, wants))
}

/// The denial of a share_deny. NFS4ERR_INVAL for bits that mean nothing (RFC 8881 section 18.16.4).
pub(crate) fn parse_deny(share_deny: u32) -> Result<ShareDeny, Status> {
    ShareDeny::from_bits(share_deny).ok_or(NFS4ERR_INVAL)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // RFC: 8881 section 18.16.4, 7530 section 16.16.6. What the wants are is tested where they are read.
    #[rstest]
    #[case::read(Minor::V1, 0x1, Ok(ShareAccess::READ))]
    #[case::write(Minor::V1, 0x2, Ok(ShareAccess::WRITE))]
    #[case::both(Minor::V1, 0x3, Ok(ShareAccess::BOTH))]
    #[case::want_read(Minor::V1, 0x101, Ok(ShareAccess::READ))]
    #[case::want_any_later(Minor::V1, 0x3_0301, Ok(ShareAccess::READ))]
    #[case::no_access(Minor::V1, 0, Err(NFS4ERR_INVAL))]
    #[case::want_without_access(Minor::V1, 0x100, Err(NFS4ERR_INVAL))]
    #[case::unknown_access(Minor::V1, 0x5, Err(NFS4ERR_INVAL))]
    #[case::unknown_want(Minor::V1, 0x601, Err(NFS4ERR_INVAL))]
    #[case::unknown_flag(Minor::V1, 0x4_0001, Err(NFS4ERR_INVAL))]
    #[case::times_in_4_1(Minor::V1, 0x10_0001, Ok(ShareAccess::READ))]
    #[case::times(Minor::V2, 0x10_0001, Ok(ShareAccess::READ))]
    #[case::xor(Minor::V2, 0x20_0003, Ok(ShareAccess::BOTH))]
    #[case::read_in_4_0(Minor::V0, 0x1, Ok(ShareAccess::READ))]
    #[case::no_access_in_4_0(Minor::V0, 0, Err(NFS4ERR_INVAL))]
    #[case::want_in_4_0(Minor::V0, 0x101, Err(NFS4ERR_INVAL))]
    #[case::when_in_4_0(Minor::V0, 0x1_0001, Err(NFS4ERR_INVAL))]
    fn share_access_means(
        #[case] minor: Minor,
        #[case] bits: u32,
        #[case] expected: Result<ShareAccess, Status>,
    ) {
        assert_eq!(parse_access(minor, bits).map(|(access, _)| access), expected);
    }

    #[rstest]
    #[case::none(0, Ok(ShareDeny::empty()))]
    #[case::both(3, Ok(ShareDeny::BOTH))]
    #[case::unknown(4, Err(NFS4ERR_INVAL))]
    fn share_deny_means(#[case] bits: u32, #[case] want: Result<ShareDeny, Status>) {
        assert_eq!(parse_deny(bits), want);
    }
}
