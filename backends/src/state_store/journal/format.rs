//! The bytes of a journal. All numbers are big-endian.
//!
//! ```text
//! header   "DFSSTATE", version u32, salt u32, crc u32 of what is before
//! frame    length of the records u32, crc u32 of the length and the records, records
//! record   kind u8, then
//!   1 Began      epoch u32
//!   2 Holds      protocol u8, flavor u32, uid u32, verifier 8, owner
//!   3 Forgotten  protocol u8, owner
//!   4 GraceEnded
//!   5 Entry      epoch u32, and as Holds: an entry of a compacted journal
//! owner    length u16, bytes
//! ```

use bytes::{Buf, BufMut, Bytes, TryGetError};
use dittofs_framework::client::Protocol;
use dittofs_framework::client::UserId;
use dittofs_framework::recovery::{ClientKey, ReclaimRecord, StateEvent};
use dittofs_framework::rpc::AuthFlavor;

/// The format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_LEN: usize = 20;
pub(super) const FRAME_HEADER_LEN: usize = 8;
/// Most bytes of the records of one frame. A length above it is damage.
pub(super) const FRAME_MAX: usize = 1 << 20;
/// When a frame has this many bytes of records, the next record begins another one.
pub(super) const FRAME_FULL: usize = FRAME_MAX / 2;

const MAGIC: [u8; 8] = *b"DFSSTATE";
const BEGAN: u8 = 1;
const HOLDS: u8 = 2;
const FORGOTTEN: u8 = 3;
const GRACE_ENDED: u8 = 4;
const ENTRY: u8 = 5;
const V4_0: u8 = 0;
const SESSIONS: u8 = 1;

/// What is in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Began(u32),
    Event(StateEvent),
    Entry(ReclaimRecord, u32),
}

/// The parts of a header that was read.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) salt: u32,
}

/// What begins a file.
pub(super) fn encode_header(salt: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.put_slice(&MAGIC);
    header.put_u32(VERSION);
    header.put_u32(salt);
    header.put_u32(crc32fast::hash(&header));
    header
}

/// The header of a file; `None` if it is none. The version is told apart before the rest, which may be different in it.
pub(super) fn decode_header(file: &[u8]) -> Option<Header> {
    let mut rest = file.strip_prefix(&MAGIC)?;
    let version = rest.try_get_u32().ok()?;
    if version != VERSION {
        return Some(Header { version, salt: 0 });
    }
    let salt = rest.try_get_u32().ok()?;
    let crc = rest.try_get_u32().ok()?;
    let is_whole = file.get(..HEADER_LEN - 4).is_some_and(|head| crc32fast::hash(head) == crc);
    is_whole.then_some(Header { version, salt })
}

/// A frame of these records.
pub(super) fn encode_frame(salt: u32, records: &[u8]) -> Vec<u8> {
    let length = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(FRAME_HEADER_LEN + records.len());
    frame.put_u32(length);
    frame.put_u32(frame_crc(salt, length, records));
    frame.put_slice(records);
    frame
}

/// The records of the frame that `bytes` begin with; `None` if they begin with no whole frame.
pub(super) fn decode_frame(salt: u32, bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    let length = rest.try_get_u32().ok()?;
    let crc = rest.try_get_u32().ok()?;
    let records = rest.get(..usize::try_from(length).ok()?)?;
    let is_good =
        !records.is_empty() && records.len() <= FRAME_MAX && frame_crc(salt, length, records) == crc;
    is_good.then_some(records)
}

fn frame_crc(salt: u32, length: u32, records: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(&length.to_be_bytes());
    hasher.update(records);
    hasher.finalize()
}

impl Record {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Began(epoch) => {
                out.put_u8(BEGAN);
                out.put_u32(*epoch);
            }
            Self::Event(StateEvent::Holds(record)) => {
                out.put_u8(HOLDS);
                put_record(out, record);
            }
            Self::Event(StateEvent::Forgotten(key)) => {
                out.put_u8(FORGOTTEN);
                out.put_u8(protocol_number(key.protocol));
                put_owner(out, &key.owner);
            }
            Self::Event(StateEvent::GraceEnded) => out.put_u8(GRACE_ENDED),
            Self::Entry(record, epoch) => {
                out.put_u8(ENTRY);
                out.put_u32(*epoch);
                put_record(out, record);
            }
        }
    }

    /// The first record of `bytes`, which are moved behind it.
    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, NoRecord> {
        match bytes.try_get_u8()? {
            BEGAN => Ok(Self::Began(bytes.try_get_u32()?)),
            HOLDS => Ok(Self::Event(StateEvent::Holds(take_record(bytes)?))),
            FORGOTTEN => {
                let protocol = take_protocol(bytes)?;
                let owner = take_owner(bytes)?;
                Ok(Self::Event(StateEvent::Forgotten(ClientKey { protocol, owner })))
            }
            GRACE_ENDED => Ok(Self::Event(StateEvent::GraceEnded)),
            ENTRY => {
                let epoch = bytes.try_get_u32()?;
                Ok(Self::Entry(take_record(bytes)?, epoch))
            }
            _ => Err(NoRecord),
        }
    }
}

/// Bytes that are no record, in a frame that is whole: another program wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRecord;

impl From<TryGetError> for NoRecord {
    fn from(_: TryGetError) -> Self {
        Self
    }
}

fn put_record(out: &mut Vec<u8>, record: &ReclaimRecord) {
    out.put_u8(protocol_number(record.key.protocol));
    out.put_u32(record.user.flavor.number());
    out.put_u32(record.user.uid);
    out.put_slice(&record.verifier);
    put_owner(out, &record.key.owner);
}

fn take_record(bytes: &mut &[u8]) -> Result<ReclaimRecord, NoRecord> {
    let protocol = take_protocol(bytes)?;
    let flavor = AuthFlavor::from_number(bytes.try_get_u32()?).ok_or(NoRecord)?;
    let uid = bytes.try_get_u32()?;
    let mut verifier = [0; 8];
    bytes.try_copy_to_slice(&mut verifier)?;
    let owner = take_owner(bytes)?;
    Ok(ReclaimRecord { key: ClientKey { protocol, owner }, verifier, user: UserId { flavor, uid } })
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::V4_0 => V4_0,
        Protocol::Sessions => SESSIONS,
    }
}

fn take_protocol(bytes: &mut &[u8]) -> Result<Protocol, NoRecord> {
    match bytes.try_get_u8()? {
        V4_0 => Ok(Protocol::V4_0),
        SESSIONS => Ok(Protocol::Sessions),
        _ => Err(NoRecord),
    }
}

fn put_owner(out: &mut Vec<u8>, owner: &Bytes) {
    // Longer ones are refused before they get here.
    let length = u16::try_from(owner.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(owner.get(..usize::from(length)).unwrap_or_default());
}

fn take_owner(bytes: &mut &[u8]) -> Result<Bytes, NoRecord> {
    let length = bytes.try_get_u16()?;
    let (owner, rest) = bytes.split_at_checked(usize::from(length)).ok_or(NoRecord)?;
    *bytes = rest;
    Ok(Bytes::copy_from_slice(owner))
}
