use std::time::Duration;

use bytes::Bytes;

use super::{NFS4ERR_INVAL, Status};
use crate::attr::Bitmap;
use crate::xdr::{Opaque, Utf8, XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};
use crate::{xdr_enum, xdr_struct};

/// The longest filehandle (NFS4_FHSIZE).
pub const NFS4_FHSIZE: u32 = 128;
/// The longest opaque identifier: owners and session ids (NFS4_OPAQUE_LIMIT).
pub const NFS4_OPAQUE_LIMIT: u32 = 1024;
/// The length of a verifier (NFS4_VERIFIER_SIZE).
pub const NFS4_VERIFIER_SIZE: usize = 8;

/// A minor version that the framework speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Minor {
    /// NFSv4.0 (RFC 7530).
    V0,
    /// NFSv4.1 (RFC 8881).
    V1,
    /// NFSv4.2 (RFC 7862).
    V2,
}

impl Minor {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::V0, Self::V1, Self::V2];

    /// The number in a COMPOUND's minorversion field.
    pub const fn number(self) -> u32 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The minor version with this number; `None` where NFS4ERR_MINOR_VERS_MISMATCH is the answer.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// Whether compounds of this minor version run in sessions.
    pub const fn has_sessions(self) -> bool {
        !matches!(self, Self::V0)
    }
}

/// verifier4: opaque to whoever did not make it.
pub type Verifier4 = [u8; NFS4_VERIFIER_SIZE];
/// A component of a path, as bytes.
pub type Component4 = Utf8;
/// nfs_fh4: a filehandle on the wire.
pub type NfsFh4 = Opaque<NFS4_FHSIZE>;

/// clientid4: names a client instance to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// sessionid4 (RFC 8881 section 2.10.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! newtype_codec {
    ($($t:ident($inner:ty)),*) => {$(
        impl XdrDecode for $t {
            const MIN_SIZE: usize = <$inner as XdrDecode>::MIN_SIZE;
            #[inline]
            fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
                <$inner>::decode(r).map(Self)
            }
        }
        impl XdrEncode for $t {
            #[inline]
            fn encode(&self, w: &mut XdrWriter) {
                self.0.encode(w);
            }
        }
    )*};
}
newtype_codec!(ClientId(u64), SessionId([u8; 16]));

/// stateid4 (RFC 8881 section 8.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stateid {
    /// Grows with each change of the state; 0 means "the most recent" in requests of minor version 1 and later.
    pub seqid: u32,
    /// Which state it is.
    pub other: [u8; 12],
}

impl Stateid {
    /// All zeros: no state, subject to share reservations (RFC 8881 section 8.2.3).
    pub const ANONYMOUS: Self = Self { seqid: 0, other: [0; 12] };
    /// All ones: READ that bypasses locks (RFC 8881 section 8.2.3).
    pub const READ_BYPASS: Self = Self { seqid: u32::MAX, other: [0xff; 12] };
    /// Seqid 1 and zeros: the current stateid of the compound (RFC 8881 section 8.2.3).
    pub const CURRENT: Self = Self { seqid: 1, other: [0; 12] };
    /// Seqid of all ones and zeros: a stateid that is never valid (RFC 8881 section 8.2.3).
    pub const INVALID: Self = Self { seqid: u32::MAX, other: [0; 12] };

    /// Whether `other` is all zeros or all ones, which no state of the server has.
    pub fn is_special(&self) -> bool {
        self.other == [0; 12] || self.other == [0xff; 12]
    }
}

impl std::fmt::Debug for Stateid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.seqid)?;
        self.other.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl XdrDecode for Stateid {
    const MIN_SIZE: usize = 16;
    #[inline]
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        Ok(Self { seqid: r.u32()?, other: r.fixed()? })
    }
}

impl XdrEncode for Stateid {
    #[inline]
    fn encode(&self, w: &mut XdrWriter) {
        w.u32(self.seqid);
        w.fixed(&self.other);
    }
}

xdr_enum! {
    /// nfs_ftype4: the type of a file system object.
    pub enum FileType {
        /// Regular file.
        Reg = 1,
        /// Directory.
        Dir = 2,
        /// Block device.
        Blk = 3,
        /// Character device.
        Chr = 4,
        /// Symbolic link.
        Lnk = 5,
        /// Socket.
        Sock = 6,
        /// Named pipe.
        Fifo = 7,
        /// Directory of named attributes.
        AttrDir = 8,
        /// Named attribute.
        NamedAttr = 9,
    }
}

impl FileType {
    const ALL: [Self; 9] = [
        Self::Reg,
        Self::Dir,
        Self::Blk,
        Self::Chr,
        Self::Lnk,
        Self::Sock,
        Self::Fifo,
        Self::AttrDir,
        Self::NamedAttr,
    ];

    /// The type with this number, which `as u32` gives; `None` if there is none. For stores that keep types as numbers.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|file_type| *file_type as u32 == number)
    }
}

xdr_struct! {
    /// nfstime4: seconds and nanoseconds since the epoch; the seconds may be negative.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
    pub struct NfsTime {
        /// Seconds since 1970-01-01T00:00:00Z.
        pub seconds: i64,
        /// Nanoseconds within the second; 1,000,000,000 and above is invalid (NFS4ERR_INVAL).
        pub nseconds: u32,
    }
}

impl From<Duration> for NfsTime {
    /// As the length of a time.
    fn from(duration: Duration) -> Self {
        Self {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nseconds: duration.subsec_nanos(),
        }
    }
}

impl TryFrom<NfsTime> for Duration {
    type Error = Status;

    /// The length that a time stands for: NFS4ERR_INVAL if it is negative or has too many nanoseconds.
    fn try_from(time: NfsTime) -> Result<Self, Status> {
        let seconds = u64::try_from(time.seconds).map_err(|_| NFS4ERR_INVAL)?;
        if time.nseconds < 1_000_000_000 { Ok(Self::new(seconds, time.nseconds)) } else { Err(NFS4ERR_INVAL) }
    }
}

xdr_struct! {
    /// specdata4: major and minor number of a device.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct SpecData {
        /// Major number.
        pub specdata1: u32,
        /// Minor number.
        pub specdata2: u32,
    }
}

xdr_struct! {
    /// fsid4: which file system an object is in.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Fsid {
        /// Major part.
        pub major: u64,
        /// Minor part.
        pub minor: u64,
    }
}

xdr_struct! {
    /// change_info4: a directory's change attribute around an operation on it.
    #[derive(Clone, Copy, PartialEq, Eq, Default)]
    pub struct ChangeInfo {
        /// Whether nothing else can have changed the directory between the two values.
        pub atomic: bool,
        /// Before the operation.
        pub before: u64,
        /// After it.
        pub after: u64,
    }
}

xdr_struct! {
    /// fattr4: a bitmap of attributes and their values, not yet decoded.
    #[derive(Clone, PartialEq, Eq, Default)]
    pub struct Fattr4 {
        /// Which attributes are there.
        pub attrmask: Bitmap,
        /// Their values in the order of their numbers.
        pub attr_vals: Opaque<{ u32::MAX }>,
    }
}

xdr_struct! {
    /// state_owner4: open_owner4 and lock_owner4.
    #[derive(Clone, PartialEq, Eq, Hash)]
    pub struct StateOwner {
        /// The client; ignored in minor version 1 and later, where the session names it (RFC 8881 section 18.16.3).
        pub clientid: ClientId,
        /// The client's name for the owner.
        pub owner: Opaque<NFS4_OPAQUE_LIMIT>,
    }
}

/// Bytes that a test or an operation has as a slice, as the payload of an XDR item.
pub fn component(name: &str) -> Component4 {
    Opaque(Bytes::copy_from_slice(name.as_bytes()))
}
