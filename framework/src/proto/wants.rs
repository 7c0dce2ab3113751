use super::{
    Minor, NFS4ERR_INVAL, OPEN4_SHARE_ACCESS_BOTH, OPEN4_SHARE_ACCESS_WANT_ANY_DELEG,
    OPEN4_SHARE_ACCESS_WANT_CANCEL, OPEN4_SHARE_ACCESS_WANT_DELEG_MASK,
    OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS, OPEN4_SHARE_ACCESS_WANT_NO_DELEG,
    OPEN4_SHARE_ACCESS_WANT_NO_PREFERENCE, OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION,
    OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED, OPEN4_SHARE_ACCESS_WANT_READ_DELEG,
    OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL, OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG, Status,
};

/// Which delegation a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// It does not say.
    NoPreference,
    /// A read delegation.
    Read,
    /// A write delegation.
    Write,
    /// Either.
    Any,
    /// None.
    None,
    /// None, and none of those that it wanted before.
    Cancel,
}

bitflags::bitflags! {
    /// How a client wants a delegation.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct WantFlags: u32 {
        /// To be told when there is room, if there is none now.
        const SIGNAL = OPEN4_SHARE_ACCESS_WANT_SIGNAL_DELEG_WHEN_RESRC_AVAIL;
        /// To be given it when there is no conflict, if there is one now.
        const PUSH = OPEN4_SHARE_ACCESS_WANT_PUSH_DELEG_WHEN_UNCONTENDED;
        /// With the times of the file (RFC 9754 section 5).
        const TIMESTAMPS = OPEN4_SHARE_ACCESS_WANT_DELEG_TIMESTAMPS;
        /// In place of an open stateid (RFC 9754 section 4).
        const XOR = OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION;
    }
}

impl WantFlags {
    /// Those that a minor version has.
    pub const fn known_in(minor: Minor) -> Self {
        match minor {
            Minor::V0 => Self::empty(),
            Minor::V1 => Self::SIGNAL.union(Self::PUSH),
            Minor::V2 => Self::all(),
        }
    }
}

/// What a client says about delegations, in the share_access of an OPEN or in WANT_DELEGATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Which one it wants.
    pub kind: Want,
    /// How.
    pub flags: WantFlags,
}

impl Wants {
    /// Of a client that says nothing.
    pub const UNSAID: Self = Self { kind: Want::NoPreference, flags: WantFlags::empty() };

    /// Whether the client said anything: then it is told why, if it gets no delegation (RFC 8881 section 18.16.3).
    pub fn is_said(self) -> bool {
        self != Self::UNSAID
    }

    /// Takes the wants out of a share_access, and returns what is left of it. NFS4ERR_INVAL for more than one want (RFC 8881
    /// section 18.16.3); in minor version 0 all wants are left in place, as bits that mean nothing. In minor version 1 those of
    /// RFC 9754 are taken and not met, as a server may do with every want: pynfs sends them there, and Linux' server takes them.
    pub fn of_open(minor: Minor, share_access: u32) -> Result<(Self, u32), Status> {
        let (wants, rest) = Self::split(minor, share_access)?;
        let unmet = if minor.has_sessions() { WantFlags::all() } else { WantFlags::empty() };
        Ok((wants, rest & !unmet.bits()))
    }

    /// What a minor version knows, and the bits that are left.
    fn split(minor: Minor, word: u32) -> Result<(Self, u32), Status> {
        if !minor.has_sessions() {
            return Ok((Self::UNSAID, word));
        }
        let kind = match word & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK {
            OPEN4_SHARE_ACCESS_WANT_NO_PREFERENCE => Want::NoPreference,
            OPEN4_SHARE_ACCESS_WANT_READ_DELEG => Want::Read,
            OPEN4_SHARE_ACCESS_WANT_WRITE_DELEG => Want::Write,
            OPEN4_SHARE_ACCESS_WANT_ANY_DELEG => Want::Any,
            OPEN4_SHARE_ACCESS_WANT_NO_DELEG => Want::None,
            OPEN4_SHARE_ACCESS_WANT_CANCEL => Want::Cancel,
            _ => return Err(NFS4ERR_INVAL),
        };
        let known = WantFlags::known_in(minor);
        let flags = WantFlags::from_bits_retain(word & known.bits());
        Ok((Self { kind, flags }, word & !OPEN4_SHARE_ACCESS_WANT_DELEG_MASK & !known.bits()))
    }

    /// Reads a wda_want, in which access bits and OPEN4_SHARE_ACCESS_WANT_NO_DELEG are to be ignored. NFS4ERR_INVAL if nothing is
    /// wanted then, and for bits that mean nothing (RFC 8881 section 18.49.3). An open or not is no question here, so that
    /// OPEN4_SHARE_ACCESS_WANT_OPEN_XOR_DELEGATION means nothing either.
    pub fn of_want_delegation(minor: Minor, wda_want: u32) -> Result<Self, Status> {
        let mut word = wda_want & !OPEN4_SHARE_ACCESS_BOTH;
        if word & OPEN4_SHARE_ACCESS_WANT_DELEG_MASK != OPEN4_SHARE_ACCESS_WANT_CANCEL {
            word &= !OPEN4_SHARE_ACCESS_WANT_NO_DELEG;
        }
        let (wants, rest) = Self::split(minor, word)?;
        let is_valid = wants.kind != Want::NoPreference && rest == 0 && !wants.flags.contains(WantFlags::XOR);
        if is_valid { Ok(wants) } else { Err(NFS4ERR_INVAL) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn wants(kind: Want, flags: WantFlags) -> Wants {
        Wants { kind, flags }
    }

    const NO_FLAGS: WantFlags = WantFlags::empty();

    // Origin: own. RFC: 8881 section 18.16.3, 9754 sections 4 and 5.
    #[rstest]
    #[case::nothing(Minor::V1, 0x1, Ok((Wants::UNSAID, 0x1)))]
    #[case::read(Minor::V1, 0x101, Ok((wants(Want::Read, NO_FLAGS), 0x1)))]
    #[case::write(Minor::V1, 0x203, Ok((wants(Want::Write, NO_FLAGS), 0x3)))]
    #[case::any(Minor::V1, 0x3_0303, Ok((wants(Want::Any, WantFlags::SIGNAL | WantFlags::PUSH), 0x3)))]
    #[case::none(Minor::V1, 0x401, Ok((wants(Want::None, NO_FLAGS), 0x1)))]
    #[case::cancel(Minor::V1, 0x501, Ok((wants(Want::Cancel, NO_FLAGS), 0x1)))]
    #[case::two_wants(Minor::V1, 0x601, Err(NFS4ERR_INVAL))]
    #[case::unknown_want(Minor::V1, 0x1001, Err(NFS4ERR_INVAL))]
    #[case::times_in_4_1(Minor::V1, 0x10_0001, Ok((Wants::UNSAID, 0x1)))]
    #[case::xor_in_4_1(Minor::V1, 0x20_0101, Ok((wants(Want::Read, NO_FLAGS), 0x1)))]
    #[case::unknown_flag_in_4_1(Minor::V1, 0x40_0001, Ok((Wants::UNSAID, 0x40_0001)))]
    #[case::times(Minor::V2, 0x10_0001, Ok((wants(Want::NoPreference, WantFlags::TIMESTAMPS), 0x1)))]
    #[case::xor(Minor::V2, 0x20_0101, Ok((wants(Want::Read, WantFlags::XOR), 0x1)))]
    #[case::unknown_flag(Minor::V2, 0x40_0001, Ok((Wants::UNSAID, 0x40_0001)))]
    #[case::read_in_4_0(Minor::V0, 0x101, Ok((Wants::UNSAID, 0x101)))]
    #[case::push_in_4_0(Minor::V0, 0x2_0001, Ok((Wants::UNSAID, 0x2_0001)))]
    fn an_open_wants(
        #[case] minor: Minor,
        #[case] word: u32,
        #[case] expected: Result<(Wants, u32), Status>,
    ) {
        assert_eq!(Wants::of_open(minor, word), expected);
    }

    // Origin: own. RFC: 8881 section 18.49.3.
    #[rstest]
    #[case::read(0x100, Ok(wants(Want::Read, NO_FLAGS)))]
    #[case::access_is_ignored(0x103, Ok(wants(Want::Read, NO_FLAGS)))]
    #[case::any_later(0x3_0300, Ok(wants(Want::Any, WantFlags::SIGNAL | WantFlags::PUSH)))]
    #[case::cancel(0x500, Ok(wants(Want::Cancel, NO_FLAGS)))]
    #[case::no_deleg_is_ignored(0x600, Ok(wants(Want::Write, NO_FLAGS)))]
    #[case::times(0x10_0200, Ok(wants(Want::Write, WantFlags::TIMESTAMPS)))]
    #[case::nothing(0, Err(NFS4ERR_INVAL))]
    #[case::only_no_deleg(0x400, Err(NFS4ERR_INVAL))]
    #[case::only_flags(0x3_0000, Err(NFS4ERR_INVAL))]
    #[case::unknown_want(0x1100, Err(NFS4ERR_INVAL))]
    #[case::unknown_flag(0x40_0100, Err(NFS4ERR_INVAL))]
    #[case::xor(0x20_0100, Err(NFS4ERR_INVAL))]
    fn want_delegation_wants(#[case] word: u32, #[case] expected: Result<Wants, Status>) {
        assert_eq!(Wants::of_want_delegation(Minor::V2, word), expected);
    }
}
