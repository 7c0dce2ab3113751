//! The status of an operation or compound (RFC 8881 section 15.1, RFC 7862 section 11.1, RFC 8276 section 8.3).

use super::Minor;

macro_rules! statuses {
    ($($name:ident = $value:literal),* $(,)?) => {
        /// nfsstat4: what an operation or a compound answers. The constants bear the RFC's names.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct Status(u32);

        $(
            #[doc = concat!("`", stringify!($name), "`, nfsstat4 ", stringify!($value), ".")]
            pub const $name: Status = Status($value);
        )*

        impl Status {
            /// The RFC's name; `None` for a number that no RFC defines.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

statuses! {
    NFS4_OK = 0,
    NFS4ERR_PERM = 1,
    NFS4ERR_NOENT = 2,
    NFS4ERR_IO = 5,
    NFS4ERR_NXIO = 6,
    NFS4ERR_ACCESS = 13,
    NFS4ERR_EXIST = 17,
    NFS4ERR_XDEV = 18,
    NFS4ERR_NOTDIR = 20,
    NFS4ERR_ISDIR = 21,
    NFS4ERR_INVAL = 22,
    NFS4ERR_FBIG = 27,
    NFS4ERR_NOSPC = 28,
    NFS4ERR_ROFS = 30,
    NFS4ERR_MLINK = 31,
    NFS4ERR_NAMETOOLONG = 63,
    NFS4ERR_NOTEMPTY = 66,
    NFS4ERR_DQUOT = 69,
    NFS4ERR_STALE = 70,
    NFS4ERR_BADHANDLE = 10001,
    NFS4ERR_BAD_COOKIE = 10003,
    NFS4ERR_NOTSUPP = 10004,
    NFS4ERR_TOOSMALL = 10005,
    NFS4ERR_SERVERFAULT = 10006,
    NFS4ERR_BADTYPE = 10007,
    NFS4ERR_DELAY = 10008,
    NFS4ERR_SAME = 10009,
    NFS4ERR_DENIED = 10010,
    NFS4ERR_EXPIRED = 10011,
    NFS4ERR_LOCKED = 10012,
    NFS4ERR_GRACE = 10013,
    NFS4ERR_FHEXPIRED = 10014,
    NFS4ERR_SHARE_DENIED = 10015,
    NFS4ERR_WRONGSEC = 10016,
    NFS4ERR_CLID_INUSE = 10017,
    NFS4ERR_RESOURCE = 10018,
    NFS4ERR_MOVED = 10019,
    NFS4ERR_NOFILEHANDLE = 10020,
    NFS4ERR_MINOR_VERS_MISMATCH = 10021,
    NFS4ERR_STALE_CLIENTID = 10022,
    NFS4ERR_STALE_STATEID = 10023,
    NFS4ERR_OLD_STATEID = 10024,
    NFS4ERR_BAD_STATEID = 10025,
    NFS4ERR_BAD_SEQID = 10026,
    NFS4ERR_NOT_SAME = 10027,
    NFS4ERR_LOCK_RANGE = 10028,
    NFS4ERR_SYMLINK = 10029,
    NFS4ERR_RESTOREFH = 10030,
    NFS4ERR_LEASE_MOVED = 10031,
    NFS4ERR_ATTRNOTSUPP = 10032,
    NFS4ERR_NO_GRACE = 10033,
    NFS4ERR_RECLAIM_BAD = 10034,
    NFS4ERR_RECLAIM_CONFLICT = 10035,
    NFS4ERR_BADXDR = 10036,
    NFS4ERR_LOCKS_HELD = 10037,
    NFS4ERR_OPENMODE = 10038,
    NFS4ERR_BADOWNER = 10039,
    NFS4ERR_BADCHAR = 10040,
    NFS4ERR_BADNAME = 10041,
    NFS4ERR_BAD_RANGE = 10042,
    NFS4ERR_LOCK_NOTSUPP = 10043,
    NFS4ERR_OP_ILLEGAL = 10044,
    NFS4ERR_DEADLOCK = 10045,
    NFS4ERR_FILE_OPEN = 10046,
    NFS4ERR_ADMIN_REVOKED = 10047,
    NFS4ERR_CB_PATH_DOWN = 10048,
    NFS4ERR_BADIOMODE = 10049,
    NFS4ERR_BADLAYOUT = 10050,
    NFS4ERR_BAD_SESSION_DIGEST = 10051,
    NFS4ERR_BADSESSION = 10052,
    NFS4ERR_BADSLOT = 10053,
    NFS4ERR_COMPLETE_ALREADY = 10054,
    NFS4ERR_CONN_NOT_BOUND_TO_SESSION = 10055,
    NFS4ERR_DELEG_ALREADY_WANTED = 10056,
    NFS4ERR_BACK_CHAN_BUSY = 10057,
    NFS4ERR_LAYOUTTRYLATER = 10058,
    NFS4ERR_LAYOUTUNAVAILABLE = 10059,
    NFS4ERR_NOMATCHING_LAYOUT = 10060,
    NFS4ERR_RECALLCONFLICT = 10061,
    NFS4ERR_UNKNOWN_LAYOUTTYPE = 10062,
    NFS4ERR_SEQ_MISORDERED = 10063,
    NFS4ERR_SEQUENCE_POS = 10064,
    NFS4ERR_REQ_TOO_BIG = 10065,
    NFS4ERR_REP_TOO_BIG = 10066,
    NFS4ERR_REP_TOO_BIG_TO_CACHE = 10067,
    NFS4ERR_RETRY_UNCACHED_REP = 10068,
    NFS4ERR_UNSAFE_COMPOUND = 10069,
    NFS4ERR_TOO_MANY_OPS = 10070,
    NFS4ERR_OP_NOT_IN_SESSION = 10071,
    NFS4ERR_HASH_ALG_UNSUPP = 10072,
    NFS4ERR_CLIENTID_BUSY = 10074,
    NFS4ERR_PNFS_IO_HOLE = 10075,
    NFS4ERR_SEQ_FALSE_RETRY = 10076,
    NFS4ERR_BAD_HIGH_SLOT = 10077,
    NFS4ERR_DEADSESSION = 10078,
    NFS4ERR_ENCR_ALG_UNSUPP = 10079,
    NFS4ERR_PNFS_NO_LAYOUT = 10080,
    NFS4ERR_NOT_ONLY_OP = 10081,
    NFS4ERR_WRONG_CRED = 10082,
    NFS4ERR_WRONG_TYPE = 10083,
    NFS4ERR_DIRDELEG_UNAVAIL = 10084,
    NFS4ERR_REJECT_DELEG = 10085,
    NFS4ERR_RETURNCONFLICT = 10086,
    NFS4ERR_DELEG_REVOKED = 10087,
    NFS4ERR_PARTNER_NOTSUPP = 10088,
    NFS4ERR_PARTNER_NO_AUTH = 10089,
    NFS4ERR_UNION_NOTSUPP = 10090,
    NFS4ERR_OFFLOAD_DENIED = 10091,
    NFS4ERR_WRONG_LFS = 10092,
    NFS4ERR_BADLABEL = 10093,
    NFS4ERR_OFFLOAD_NO_REQS = 10094,
    NFS4ERR_NOXATTR = 10095,
    NFS4ERR_XATTR2BIG = 10096,
}

impl Status {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self.0
    }

    /// The status with this number, known or not: what a client of the protocol reads.
    pub const fn from_code(code: u32) -> Self {
        Self(code)
    }

    /// Whether `minor` has this status (RFC 7530 section 13.1, RFC 8881 section 15.1, RFC 7862 section 11.1, RFC 8276 section 8.3).
    pub fn is_in(self, minor: Minor) -> bool {
        match self {
            NFS4ERR_BAD_SEQID
            | NFS4ERR_LEASE_MOVED
            | NFS4ERR_RESOURCE
            | NFS4ERR_RESTOREFH
            | NFS4ERR_STALE_STATEID => minor == Minor::V0,
            // Gone in minor version 1, and back in 2 for SEEK.
            NFS4ERR_NXIO => minor != Minor::V1,
            _ if self >= NFS4ERR_PARTNER_NOTSUPP => minor == Minor::V2,
            _ => minor.has_sessions() || self <= NFS4ERR_CB_PATH_DOWN,
        }
    }

    /// The nearest that minor version 0 has to this status of later ones, which it does not have, or not for the operation: what
    /// is of a wrong type is NFS4ERR_INVAL there (RFC 8881 section 15.1.2.9).
    #[must_use]
    pub fn before_v4_1(self) -> Self {
        match self {
            NFS4ERR_WRONG_TYPE | NFS4ERR_SYMLINK => NFS4ERR_INVAL,
            NFS4ERR_MLINK => NFS4ERR_NOSPC,
            NFS4ERR_GRACE => NFS4ERR_DELAY,
            status => status,
        }
    }

    /// Whether this is [`NFS4_OK`].
    pub fn is_ok(self) -> bool {
        self == NFS4_OK
    }
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "nfsstat4 {}", self.0),
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl crate::xdr::XdrEncode for Status {
    fn encode(&self, w: &mut crate::xdr::XdrWriter) {
        w.u32(self.0);
    }
}

impl crate::xdr::XdrDecode for Status {
    fn decode(r: &mut crate::xdr::XdrReader<'_>) -> Result<Self, crate::xdr::XdrError> {
        r.u32().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // RFC: 7530 section 13.1, 8881 section 15.1 (15.1.16 for what is gone), 7862 section 11.1, 8276 section 8.3.
    #[rstest]
    #[case::everywhere(NFS4ERR_DELAY, [true; 3])]
    #[case::last_of_v4_0(NFS4ERR_CB_PATH_DOWN, [true; 3])]
    #[case::first_of_v4_1(NFS4ERR_BADIOMODE, [false, true, true])]
    #[case::wrong_type(NFS4ERR_WRONG_TYPE, [false, true, true])]
    #[case::last_of_v4_1(NFS4ERR_DELEG_REVOKED, [false, true, true])]
    #[case::first_of_v4_2(NFS4ERR_PARTNER_NOTSUPP, [false, false, true])]
    #[case::xattr2big(NFS4ERR_XATTR2BIG, [false, false, true])]
    #[case::bad_seqid(NFS4ERR_BAD_SEQID, [true, false, false])]
    #[case::stale_stateid(NFS4ERR_STALE_STATEID, [true, false, false])]
    #[case::resource(NFS4ERR_RESOURCE, [true, false, false])]
    #[case::restorefh(NFS4ERR_RESTOREFH, [true, false, false])]
    #[case::lease_moved(NFS4ERR_LEASE_MOVED, [true, false, false])]
    #[case::nxio(NFS4ERR_NXIO, [true, false, true])]
    fn a_status_is_in(#[case] status: Status, #[case] minors: [bool; 3]) {
        assert_eq!(Minor::ALL.map(|minor| status.is_in(minor)), minors);
    }
}
