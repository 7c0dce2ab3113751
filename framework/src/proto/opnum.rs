//! Operation numbers (RFC 8881 section 18, RFC 7862 section 15, RFC 8276 section 8.2).

macro_rules! opnums {
    ($($name:ident = $value:literal),* $(,)?) => {
        /// nfs_opnum4: the number that names an operation in a COMPOUND. The constants bear the RFC's names.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct OpNum(u32);

        $(
            #[doc = concat!("`", stringify!($name), "`, operation ", stringify!($value), ".")]
            pub const $name: OpNum = OpNum($value);
        )*

        impl OpNum {
            /// The RFC's name without its `OP_`; `None` for a number that no RFC defines.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($name).split_at("OP_".len()).1),)* _ => None }
            }
        }
    };
}

opnums! {
    OP_ACCESS = 3,
    OP_CLOSE = 4,
    OP_COMMIT = 5,
    OP_CREATE = 6,
    OP_DELEGPURGE = 7,
    OP_DELEGRETURN = 8,
    OP_GETATTR = 9,
    OP_GETFH = 10,
    OP_LINK = 11,
    OP_LOCK = 12,
    OP_LOCKT = 13,
    OP_LOCKU = 14,
    OP_LOOKUP = 15,
    OP_LOOKUPP = 16,
    OP_NVERIFY = 17,
    OP_OPEN = 18,
    OP_OPENATTR = 19,
    OP_OPEN_CONFIRM = 20,
    OP_OPEN_DOWNGRADE = 21,
    OP_PUTFH = 22,
    OP_PUTPUBFH = 23,
    OP_PUTROOTFH = 24,
    OP_READ = 25,
    OP_READDIR = 26,
    OP_READLINK = 27,
    OP_REMOVE = 28,
    OP_RENAME = 29,
    OP_RENEW = 30,
    OP_RESTOREFH = 31,
    OP_SAVEFH = 32,
    OP_SECINFO = 33,
    OP_SETATTR = 34,
    OP_SETCLIENTID = 35,
    OP_SETCLIENTID_CONFIRM = 36,
    OP_VERIFY = 37,
    OP_WRITE = 38,
    OP_RELEASE_LOCKOWNER = 39,
    OP_BACKCHANNEL_CTL = 40,
    OP_BIND_CONN_TO_SESSION = 41,
    OP_EXCHANGE_ID = 42,
    OP_CREATE_SESSION = 43,
    OP_DESTROY_SESSION = 44,
    OP_FREE_STATEID = 45,
    OP_GET_DIR_DELEGATION = 46,
    OP_GETDEVICEINFO = 47,
    OP_GETDEVICELIST = 48,
    OP_LAYOUTCOMMIT = 49,
    OP_LAYOUTGET = 50,
    OP_LAYOUTRETURN = 51,
    OP_SECINFO_NO_NAME = 52,
    OP_SEQUENCE = 53,
    OP_SET_SSV = 54,
    OP_TEST_STATEID = 55,
    OP_WANT_DELEGATION = 56,
    OP_DESTROY_CLIENTID = 57,
    OP_RECLAIM_COMPLETE = 58,
    OP_ALLOCATE = 59,
    OP_COPY = 60,
    OP_COPY_NOTIFY = 61,
    OP_DEALLOCATE = 62,
    OP_IO_ADVISE = 63,
    OP_LAYOUTERROR = 64,
    OP_LAYOUTSTATS = 65,
    OP_OFFLOAD_CANCEL = 66,
    OP_OFFLOAD_STATUS = 67,
    OP_READ_PLUS = 68,
    OP_SEEK = 69,
    OP_WRITE_SAME = 70,
    OP_CLONE = 71,
    OP_GETXATTR = 72,
    OP_SETXATTR = 73,
    OP_LISTXATTRS = 74,
    OP_REMOVEXATTR = 75,
    OP_ILLEGAL = 10044,
}

impl OpNum {
    /// The highest operation number that each minor version defines (RFC 7531; RFC 5662; RFC 7863 with RFC 8276).
    const LAST: [u32; 3] = [39, 58, 75];
    /// The lowest operation number: 0 to 2 are not used (RFC 8881 section 18.52.3).
    const FIRST: u32 = 3;

    /// The RFC's name, or `other` for a number that no RFC defines.
    pub const fn name_or(self, other: &'static str) -> &'static str {
        match self.name() {
            Some(name) => name,
            None => other,
        }
    }

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self.0
    }

    /// The operation with this number, defined or not.
    pub const fn from_code(code: u32) -> Self {
        Self(code)
    }

    /// Whether `minor` defines this number, be it as an operation that must not be implemented.
    ///
    /// A number outside is answered as OP_ILLEGAL (RFC 8881 section 15.1.3.4), one inside that the server does
    /// not have is NFS4ERR_NOTSUPP.
    pub fn is_defined_in(self, minor: super::Minor) -> bool {
        let last = match minor {
            super::Minor::V0 => Self::LAST[0],
            super::Minor::V1 => Self::LAST[1],
            super::Minor::V2 => Self::LAST[2],
        };
        (Self::FIRST..=last).contains(&self.0)
    }
}

impl std::fmt::Debug for OpNum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "operation {}", self.0),
        }
    }
}

impl std::fmt::Display for OpNum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}
