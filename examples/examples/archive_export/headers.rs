//! The headers of a tar file, one member after the other.
use std::fs::File;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;

use dittofs_framework::proto::{NfsTime, SpecData};
use siphasher::sip::SipHasher24;
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::extents::Extents;

const BLOCK: usize = 512;
/// Names and PAX records longer than this are nobody's. They are read into memory.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// More parts than this no sparse file has.
const EXTENTS_LIMIT: usize = 1 << 20;

/// Why an archive cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It cannot be read.
    #[error("cannot read the archive: {0}")]
    Io(#[from] io::Error),
    /// It is no archive, or damaged.
    #[error("damaged archive: at byte {at}: {what}")]
    Damaged { at: u64, what: &'static str },
    /// It has more members than are served.
    #[error("the archive has more than {0} members")]
    TooMany(usize),
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File(Extents),
    HardLink,
    Symlink,
    CharDevice(SpecData),
    BlockDevice(SpecData),
    Directory,
    Fifo,
    /// Nothing that can be shown: why.
    Other(&'static str),
}

/// One member, as its headers have it: nothing of it was looked at yet.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Where its header is.
    pub(crate) at: u64,
    pub(crate) kind: MemberKind,
    pub(crate) path: Vec<u8>,
    /// What a link points to.
    pub(crate) target: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) modify: NfsTime,
    pub(crate) access: Option<NfsTime>,
    pub(crate) change: Option<NfsTime>,
}

/// What headers in front of a member's own say of it, instead of its own.
#[derive(Debug, Clone, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modify: Option<NfsTime>,
    access: Option<NfsTime>,
    change: Option<NfsTime>,
    is_sparse: bool,
}

/// Walks through an archive.
pub(crate) struct Headers<'a> {
    file: &'a File,
    len: u64,
    /// Where the next header is.
    at: u64,
    /// What holds for all members from here on.
    global: Extension,
    /// Over all headers: the same archive has the same.
    identity: SipHasher24,
}

impl<'a> Headers<'a> {
    pub(crate) fn new(file: &'a File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let global = Extension::default();
        Ok(Self { file, len, at: 0, global, identity: SipHasher24::new() })
    }

    /// A number that another archive does not have, once all members were read.
    pub(crate) fn identity(&self) -> u64 {
        self.identity.finish()
    }

    /// The next member; `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extension = self.global.clone();
        loop {
            let at = self.at;
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                extension.path = Some(until_nul(self.extension_data(&header)?));
            } else if kind.is_gnu_longlink() {
                extension.target = Some(until_nul(self.extension_data(&header)?));
            } else if kind.is_pax_local_extensions() {
                let records = self.extension_data(&header)?;
                extension.take_records(&records).ok_or(ArchiveError::Damaged { at, what: "PAX record" })?;
            } else if kind.is_pax_global_extensions() {
                let records = self.extension_data(&header)?;
                self.global.take_records(&records).ok_or(ArchiveError::Damaged { at, what: "PAX record" })?;
                extension = self.global.clone();
            } else {
                return self.member(at, &header, extension).map(Some);
            }
        }
    }

    /// The block at the current place, and on to the next; `None` at the end, which is a block of zeros or that of the file.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        if self.at == self.len {
            return Ok(None);
        }
        let at = self.at;
        let block = self.block()?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The sum is made with spaces in the place of itself.
        let bytes =
            (0..).zip(&block).map(|(place, byte)| if (148..156).contains(&place) { b' ' } else { *byte });
        let expected = bytes.map(u32::from).sum::<u32>();
        if header.cksum().ok() != Some(expected) {
            return Err(ArchiveError::Damaged { at, what: "checksum of a header" });
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> Result<[u8; BLOCK], ArchiveError> {
        let mut block = [0; BLOCK];
        self.read_exactly(&mut block)?;
        self.identity.write(&block);
        Ok(block)
    }

    fn read_exactly(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.file.read_exact_at(buffer, self.at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Damaged { at: self.at, what: "ends in a header" },
            _ => ArchiveError::Io(error),
        })?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    /// The data of a header that is about the next one.
    fn extension_data(&mut self, header: &Header) -> Result<Vec<u8>, ArchiveError> {
        let at = self.at;
        let size = number(header.entry_size(), at, "size")?;
        if size > EXTENSION_LIMIT {
            return Err(ArchiveError::Damaged { at, what: "a name of more than a mebibyte" });
        }
        let end = self.end_of(size)?;
        let mut data = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read_exactly(&mut data)?;
        self.identity.write(&data);
        self.at = end;
        Ok(data)
    }

    /// Where data of this size that begin here end, with what fills their last block.
    fn end_of(&self, size: u64) -> Result<u64, ArchiveError> {
        let damaged = ArchiveError::Damaged { at: self.at, what: "data reach beyond the end" };
        let Some(end) = self.at.checked_add(size).filter(|end| *end <= self.len) else { return Err(damaged) };
        // What fills the last block may be missing at the end of the file.
        Ok(end.next_multiple_of(BLOCK as u64).min(self.len))
    }

    fn member(&mut self, at: u64, header: &Header, extension: Extension) -> Result<Member, ArchiveError> {
        let kind = header.as_old().linkflag[0];
        // Of the types without data some writers say the size all the same.
        let stored = match kind {
            b'2'..=b'6' => 0,
            _ => extension.size.map_or_else(|| number(header.entry_size(), at, "size"), Ok)?,
        };
        let extents = if kind == b'S' { Some(self.sparse_parts(at, header)?) } else { None };
        let data = self.at;
        let end = self.end_of(stored)?;
        self.at = end;
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let is_old_directory = kind == 0 && path.ends_with(b"/");
        let kind = match kind {
            _ if extension.is_sparse => MemberKind::Other("a sparse file in a format of PAX"),
            _ if is_old_directory => MemberKind::Directory,
            b'0' | b'7' | 0 => MemberKind::File(Extents::whole(data, stored)),
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'3' | b'4' => {
                let major = number(header.device_major(), at, "device number")?.unwrap_or_default();
                let minor = number(header.device_minor(), at, "device number")?.unwrap_or_default();
                let numbers = SpecData { specdata1: major, specdata2: minor };
                if kind == b'4' { MemberKind::BlockDevice(numbers) } else { MemberKind::CharDevice(numbers) }
            }
            b'5' => MemberKind::Directory,
            b'6' => MemberKind::Fifo,
            b'S' => {
                let (parts, size) = extents.unwrap_or_default();
                let damaged = ArchiveError::Damaged { at, what: "map of a sparse file" };
                MemberKind::File(Extents::sparse(data, stored, &parts, size).ok_or(damaged)?)
            }
            _ => MemberKind::Other("of a type that is not shown"),
        };
        let from_header = || number(header.mtime(), at, "time").map(|seconds| whole(seconds.cast_signed()));
        let target = || header.link_name_bytes().unwrap_or_default().into_owned();
        Ok(Member {
            at,
            kind,
            path,
            target: extension.target.unwrap_or_else(target),
            mode: number(header.mode(), at, "mode")? & 0o7777,
            uid: extension.uid.map_or_else(|| number(header.uid(), at, "owner"), Ok)?,
            gid: extension.gid.map_or_else(|| number(header.gid(), at, "group"), Ok)?,
            modify: extension.modify.map_or_else(from_header, Ok)?,
            access: extension.access,
            change: extension.change,
        })
    }

    /// The map of a sparse file in GNU's old format (offset and length of each part that has data) and the size of the file.
    fn sparse_parts(&mut self, at: u64, header: &Header) -> Result<(Vec<(u64, u64)>, u64), ArchiveError> {
        let damaged = || ArchiveError::Damaged { at, what: "map of a sparse file" };
        let gnu = header.as_gnu().ok_or_else(damaged)?;
        let mut parts = Vec::new();
        let mut take = |parts_of: &[GnuSparseHeader]| {
            for part in parts_of.iter().filter(|part| !part.is_empty()) {
                let (offset, len) =
                    (number(part.offset(), at, "offset")?, number(part.length(), at, "length")?);
                parts.push((offset, len));
            }
            if parts.len() > EXTENTS_LIMIT { Err(damaged()) } else { Ok(()) }
        };
        take(&gnu.sparse)?;
        let mut goes_on = gnu.is_extended();
        while goes_on {
            let mut more = GnuExtSparseHeader::new();
            more.as_mut_bytes().copy_from_slice(&self.block()?);
            take(more.sparse())?;
            goes_on = more.is_extended();
        }
        Ok((parts, number(gnu.real_size(), at, "size")?))
    }
}

impl Extension {
    /// Takes PAX records: `LENGTH KEY=VALUE\n`, where the length is that of the whole record. `None` if they are not such.
    fn take_records(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let len: usize = std::str::from_utf8(records.get(..space)?).ok()?.parse().ok()?;
            let record = records.get(space + 1..len)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            let text = std::str::from_utf8(value).ok();
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = Some(text?.parse().ok()?),
                b"uid" => self.uid = Some(text?.parse().ok()?),
                b"gid" => self.gid = Some(text?.parse().ok()?),
                b"mtime" => self.modify = Some(time(text?)?),
                b"atime" => self.access = Some(time(text?)?),
                b"ctime" => self.change = Some(time(text?)?),
                _ if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }
            records = records.get(len..)?;
        }
        Some(())
    }
}

/// A field of a header.
fn number<T>(field: io::Result<T>, at: u64, what: &'static str) -> Result<T, ArchiveError> {
    field.map_err(|_| ArchiveError::Damaged { at, what })
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn whole(seconds: i64) -> NfsTime {
    NfsTime { seconds, nseconds: 0 }
}

/// A decimal number of seconds, with a fraction and a sign if need be.
fn time(text: &str) -> Option<NfsTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nseconds: u32 = digits.parse().ok()?;
    // The fraction of a negative number goes the other way than nanoseconds do.
    if is_negative && nseconds > 0 {
        return Some(NfsTime { seconds: seconds.checked_sub(1)?, nseconds: 1_000_000_000 - nseconds });
    }
    Some(NfsTime { seconds, nseconds })
}
