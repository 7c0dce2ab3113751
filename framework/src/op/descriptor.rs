use crate::proto::{Minor, OpNum, Status};

/// In which minor versions an operation exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minors(u8);

impl Minors {
    /// In all of them.
    pub const ALL: Self = Self(0b111);
    /// Only in NFSv4.0: in a compound of minor version 1 or 2 it is NFS4ERR_NOTSUPP wherever it stands.
    pub const V4_0_ONLY: Self = Self(0b001);
    /// From NFSv4.1 on.
    pub const SINCE_V4_1: Self = Self(0b110);
    /// From NFSv4.2 on.
    pub const SINCE_V4_2: Self = Self(0b100);

    /// Whether the operation exists in `minor`.
    pub const fn contains(self, minor: Minor) -> bool {
        self.0 & (1 << minor.number()) != 0
    }
}

impl std::fmt::Display for Minors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self {
            Self::ALL => "4.0+",
            Self::V4_0_ONLY => "4.0 only",
            Self::SINCE_V4_1 => "4.1+",
            Self::SINCE_V4_2 => "4.2+",
            _ => "none",
        })
    }
}

bitflags::bitflags! {
    /// What an operation is granted, and what effects it has. No flag is the strictest row: it needs a current
    /// filehandle, runs only in a session, and changes nothing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OpFlags: u32 {
        /// Runs without a current filehandle; without the flag its absence is NFS4ERR_NOFILEHANDLE.
        const NO_CURRENT_FH = 1;
        /// Needs a saved filehandle; its absence is NFS4ERR_NOFILEHANDLE (NFS4ERR_RESTOREFH in minor version 0).
        const NEEDS_SAVED_FH = 1 << 1;
        /// May stand first in a compound without SEQUENCE, and is then the only operation (RFC 8881 section 2.10.6.4).
        const WITHOUT_SEQUENCE = 1 << 2;
        /// Must stand first; elsewhere it is NFS4ERR_SEQUENCE_POS.
        const MUST_BE_FIRST = 1 << 3;
        /// Must be the only operation of its compound; otherwise it is NFS4ERR_NOT_ONLY_OP.
        const MUST_BE_ALONE = 1 << 4;
        /// Changes something that a retry must not change again: runs only when its reply is sure to have room.
        const MODIFIES = 1 << 5;
        /// Sets the current filehandle, which clears the current stateid (RFC 8881 section 16.2.3.1.2).
        const SETS_FH = 1 << 6;
        /// Takes the current stateid where its argument is the special value for it.
        const USES_STATEID = 1 << 7;
        /// Its result becomes the current stateid.
        const SETS_STATEID = 1 << 8;
        /// Done twice it would answer otherwise than done once, and no state's sequence guards it: in minor version 0 a request with
        /// it is remembered, so that its duplicate is not carried out (RFC 7530 section 3.1.1). From minor version 1 on, slots do that
        /// for every operation.
        const NON_IDEMPOTENT = 1 << 9;
    }
}

/// The row of an operation: everything about it that is not code.
#[derive(Debug, Clone, Copy)]
pub struct OpDescriptor {
    /// Number on the wire.
    pub opnum: OpNum,
    /// The RFC's name.
    pub name: &'static str,
    /// Minor versions that have it.
    pub minors: Minors,
    /// Grants and effects.
    pub flags: OpFlags,
    /// Bytes that the body of a good answer can take at the most, beyond opnum and status. Only what
    /// [`OpFlags::MODIFIES`] has needs it: that room is made sure of before the operation runs.
    pub max_reply: u32,
    /// Statuses besides NFS4_OK that the RFC allows it, in all minor versions that it exists in together.
    pub errors: &'static [Status],
    /// Those of `errors` that minor version 0 has, and has not for this operation.
    pub errors_not_in_v4_0: &'static [Status],
    /// XDR that follows the status of an error that has no body of its own: the default arm of the RFC's result union
    /// is void for almost every operation.
    pub error_tail: &'static [u8],
}

impl OpDescriptor {
    /// The strictest row for `opnum`: all minor versions that define the number, no flags.
    ///
    /// A number that no RFC defines (a vendor's own) is named `VENDOR` until the row says otherwise.
    pub const fn new(opnum: OpNum, errors: &'static [Status]) -> Self {
        Self {
            opnum,
            name: opnum.name_or("VENDOR"),
            minors: Minors::ALL,
            flags: OpFlags::empty(),
            max_reply: 0,
            errors,
            errors_not_in_v4_0: &[],
            error_tail: &[],
        }
    }

    /// Whether the operation may answer `status` in some minor version.
    pub fn allows(&self, status: Status) -> bool {
        status.is_ok() || self.errors.contains(&status)
    }

    /// Whether the operation may answer `status` in `minor`.
    pub fn allows_in(&self, minor: Minor, status: Status) -> bool {
        let is_new = minor == Minor::V0 && self.errors_not_in_v4_0.contains(&status);
        self.allows(status) && status.is_in(minor) && !is_new
    }
}
