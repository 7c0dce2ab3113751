//! Records as bytes, for stores that keep them so: XDR behind the number of the layout.

use bytes::Bytes;
use thiserror::Error;

use super::{DirectoryRecord, Ino, InodeRecord, RecordBody, StorageError, VolumeRecord};
use crate::proto::SpecData;
use crate::xdr::{XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter, decode_all, encode_to_bytes};

/// The layout that is written. Older ones are still to be read when it changes.
const LAYOUT: u32 = 1;
/// More than a path may have.
const SYMLINK_LIMIT: u32 = 1 << 16;

const DIRECTORY: u32 = 1;
const SYMLINK: u32 = 2;
const DEVICE: u32 = 3;
const EMPTY: u32 = 4;

/// Bytes are not those of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// They were written by a later version of the program.
    #[error("record of layout {0}, and {LAYOUT} is the latest that can be read")]
    Layout(u32),
    /// They are something else.
    #[error("not a record: {0}")]
    Malformed(#[from] XdrError),
}

impl From<DecodeError> for StorageError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A record behind the number of its layout.
struct Stored<T>(T);

impl<T: XdrEncode> XdrEncode for Stored<&T> {
    fn encode(&self, w: &mut XdrWriter) {
        w.u32(LAYOUT);
        self.0.encode(w);
    }
}

fn decode<T: XdrDecode>(bytes: &Bytes) -> Result<T, DecodeError> {
    let mut reader = XdrReader::new(bytes);
    match reader.u32()? {
        LAYOUT => Ok(decode_all(&reader.rest())?),
        other => Err(DecodeError::Layout(other)),
    }
}

impl InodeRecord {
    /// The record as bytes.
    pub fn to_bytes(&self) -> Bytes {
        encode_to_bytes(&Stored(self))
    }

    /// The record that these are the bytes of.
    ///
    /// # Errors
    /// They are not a record's, or are that of a later version of this program.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl VolumeRecord {
    /// The record as bytes.
    pub fn to_bytes(&self) -> Bytes {
        encode_to_bytes(&Stored(self))
    }

    /// The record that these are the bytes of.
    ///
    /// # Errors
    /// They are not a record's, or are that of a later version of this program.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}

impl XdrDecode for Ino {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        r.u64().map(Self)
    }
}

impl XdrEncode for Ino {
    fn encode(&self, w: &mut XdrWriter) {
        w.u64(self.0);
    }
}

impl XdrDecode for RecordBody {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        match r.u32()? {
            DIRECTORY => DirectoryRecord::decode(r).map(Self::Directory),
            // A copy, so that a short link does not keep all that it was read with.
            SYMLINK => r.opaque_ref(SYMLINK_LIMIT).map(Bytes::copy_from_slice).map(Self::Symlink),
            DEVICE => SpecData::decode(r).map(Self::Device),
            EMPTY => Ok(Self::Empty),
            value => Err(XdrError::BadValue { type_name: "RecordBody", value }),
        }
    }
}

impl XdrEncode for RecordBody {
    fn encode(&self, w: &mut XdrWriter) {
        match self {
            Self::Directory(directory) => {
                w.u32(DIRECTORY);
                directory.encode(w);
            }
            Self::Symlink(target) => {
                w.u32(SYMLINK);
                w.opaque(target);
            }
            Self::Device(device) => {
                w.u32(DEVICE);
                device.encode(w);
            }
            Self::Empty => w.u32(EMPTY),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::proto::{FileType, NfsTime};
    use crate::storage::RecordTimes;

    fn record(file_type: FileType, body: RecordBody) -> InodeRecord {
        InodeRecord {
            file_type,
            mode: 0o4755,
            uid: 1,
            gid: u32::MAX,
            nlink: 2,
            size: 1 << 60,
            allocated: 4096,
            change: u64::MAX,
            times: RecordTimes::all(NfsTime { seconds: -1, nseconds: 999_999_999 }),
            exclusive: Some(*b"verifier"),
            xattr_bytes: 7,
            next_xattr_cookie: 9,
            body,
        }
    }

    // Origin: what a store keeps must come back as it was.
    // RFC: none, a format of our own on top of RFC 4506.
    #[rstest]
    #[case::file(record(FileType::Reg, RecordBody::Empty))]
    #[case::link(record(FileType::Lnk, RecordBody::Symlink(Bytes::from_static(b"a/b\xff"))))]
    #[case::device(record(FileType::Blk, RecordBody::Device(SpecData { specdata1: 8, specdata2: 1 })))]
    #[case::directory(record(
        FileType::Dir,
        RecordBody::Directory(DirectoryRecord { parent: Ino(7), entries: 3, next_cookie: 12 })
    ))]
    #[case::no_verifier(InodeRecord { exclusive: None, ..record(FileType::Reg, RecordBody::Empty) })]
    fn inodes_come_back(#[case] record: InodeRecord) {
        assert_eq!(InodeRecord::from_bytes(&record.to_bytes()), Ok(record));
    }

    #[test]
    fn volumes_come_back() {
        let volume = VolumeRecord { id: *b"12345678", next_ino: 2, inodes: 1, starts: 3 };
        assert_eq!(VolumeRecord::from_bytes(&volume.to_bytes()), Ok(volume));
    }

    #[rstest]
    #[case::later_layout(&[0, 0, 0, 2], DecodeError::Layout(2))]
    #[case::cut_off(&[0, 0, 0, 1, 0, 0, 0, 1], DecodeError::Malformed(XdrError::Truncated))]
    #[case::empty(&[], DecodeError::Malformed(XdrError::Truncated))]
    fn what_is_no_record_is_refused(#[case] bytes: &'static [u8], #[case] expected: DecodeError) {
        assert_eq!(InodeRecord::from_bytes(&Bytes::from_static(bytes)), Err(expected));
    }
}
