//! Where the data of a file are in the archive.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use dittofs_framework::fs::DataOrHole;

/// A part of a file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// Where it is in the file.
    offset: u64,
    /// How long it is: never 0.
    len: u64,
    /// Where it is in the archive.
    at: u64,
}

impl Extent {
    fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// All parts of a file that have data, by growing offset; what is between them is a hole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extents {
    parts: Vec<Extent>,
    size: u64,
}

impl Extents {
    /// Of a file that is all there.
    pub(crate) fn whole(at: u64, size: u64) -> Self {
        let parts = if size == 0 { Vec::new() } else { vec![Extent { offset: 0, len: size, at }] };
        Self { parts, size }
    }

    /// Of a file whose parts (offset and length) are one behind the other in the archive, `stored` bytes in all. `None` if they
    /// are not in order, overlap, or are more than there is.
    pub(crate) fn sparse(at: u64, stored: u64, map: &[(u64, u64)], size: u64) -> Option<Self> {
        // No client knows of larger ones.
        i64::try_from(size).ok()?;
        let (mut parts, mut used, mut end) = (Vec::with_capacity(map.len()), 0, 0);
        for &(offset, len) in map {
            if offset < end {
                return None;
            }
            end = offset.checked_add(len).filter(|end| *end <= size)?;
            if len > 0 {
                parts.push(Extent { offset, len, at: at.checked_add(used)? });
            }
            used = len.checked_add(used).filter(|used| *used <= stored)?;
        }
        Some(Self { parts, size })
    }

    /// Size of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are in the archive.
    pub(crate) fn stored(&self) -> u64 {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// `count` bytes from `offset` on, or fewer at the end.
    pub(crate) fn read(&self, archive: &File, offset: u64, count: u32) -> io::Result<Vec<u8>> {
        let end = self.size.min(offset.saturating_add(u64::from(count)));
        let len = usize::try_from(end.saturating_sub(offset)).map_err(io::Error::other)?;
        let mut data = vec![0; len];
        let first = self.parts.partition_point(|part| part.end() <= offset);
        for part in self.parts.iter().skip(first).take_while(|part| part.offset < end) {
            let (from, to) = (part.offset.max(offset), part.end().min(end));
            let place = usize::try_from(from - offset).ok().zip(usize::try_from(to - offset).ok());
            if let Some(wanted) = place.and_then(|(from, to)| data.get_mut(from..to)) {
                archive.read_exact_at(wanted, part.at + (from - part.offset))?;
            }
        }
        Ok(data)
    }

    /// The first offset from `offset` on that is `what`, for an `offset` before the end.
    pub(crate) fn seek(&self, offset: u64, what: DataOrHole) -> Option<u64> {
        let first = self.parts.partition_point(|part| part.end() <= offset);
        let mut rest = self.parts.iter().skip(first);
        if what == DataOrHole::Data {
            return rest.next().map(|part| part.offset.max(offset));
        }
        // Parts may follow each other without a hole between them.
        let mut hole = offset;
        while let Some(part) = rest.next().filter(|part| part.offset <= hole) {
            hole = part.end();
        }
        Some(hole)
    }
}
