use crate::proto::{NFS4ERR_INVAL, Status};

/// A range of bytes that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    /// The last byte; `u64::MAX` for "to the end of the file, however long it is".
    last: u64,
}

impl ByteRange {
    /// The range that LOCK, LOCKT and LOCKU name by offset and length: a length of all ones reaches to the end of the
    /// file. NFS4ERR_INVAL for an empty range and for one beyond the last offset (RFC 8881 section 18.10.3).
    pub fn new(offset: u64, length: u64) -> Result<Self, Status> {
        if length == u64::MAX {
            return Ok(Self { start: offset, last: u64::MAX });
        }
        // "The sum of length and offset exceeds NFS4_UINT64_MAX": a sum of just that is allowed.
        let end = offset.checked_add(length).ok_or(NFS4ERR_INVAL)?;
        match end.checked_sub(1) {
            Some(last) if length > 0 => Ok(Self { start: offset, last }),
            _ => Err(NFS4ERR_INVAL),
        }
    }

    /// The first byte.
    pub fn offset(&self) -> u64 {
        self.start
    }

    /// How many bytes, all ones for "to the end of the file".
    pub fn length(&self) -> u64 {
        if self.last == u64::MAX { u64::MAX } else { (self.last - self.start).saturating_add(1) }
    }

    /// The last byte.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The range from one byte to another; `None` if it has no bytes.
    pub(super) fn between(start: u64, last: u64) -> Option<Self> {
        (start <= last).then_some(Self { start, last })
    }

    /// Whether the two have a byte in common.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// The smallest range that holds both.
    pub(super) fn hull(&self, other: &Self) -> Self {
        Self { start: self.start.min(other.start), last: self.last.max(other.last) }
    }

    /// What is left of this range in front of `cut`.
    pub(super) fn before(&self, cut: &Self) -> Option<Self> {
        Self::between(self.start, self.last.min(cut.start.checked_sub(1)?))
    }

    /// What is left of this range behind `cut`.
    pub(super) fn after(&self, cut: &Self) -> Option<Self> {
        Self::between(self.start.max(cut.last.checked_add(1)?), self.last)
    }
}

/// What a byte-range lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Shared (READ_LT and READW_LT).
    Read,
    /// Exclusive (WRITE_LT and WRITEW_LT).
    Write,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MAX: u64 = u64::MAX;

    // RFC: 8881 section 18.10.3.
    #[rstest]
    #[case::one_byte(0, 1, Ok((0, 0)))]
    #[case::whole_file(0, MAX, Ok((0, MAX)))]
    #[case::from_last_offset(MAX, MAX, Ok((MAX, MAX)))]
    #[case::up_to_the_limit(1, MAX - 1, Ok((1, MAX - 1)))]
    #[case::empty(5, 0, Err(NFS4ERR_INVAL))]
    #[case::empty_at_zero(0, 0, Err(NFS4ERR_INVAL))]
    #[case::empty_at_the_end(MAX, 0, Err(NFS4ERR_INVAL))]
    #[case::one_too_far(2, MAX - 1, Err(NFS4ERR_INVAL))]
    #[case::last_offset(MAX, 1, Err(NFS4ERR_INVAL))]
    fn ranges_are_checked(
        #[case] offset: u64,
        #[case] length: u64,
        #[case] want: Result<(u64, u64), Status>,
    ) {
        assert_eq!(ByteRange::new(offset, length).map(|range| (range.start, range.last)), want);
    }

    #[rstest]
    #[case(3, 4)]
    #[case(0, MAX)]
    #[case(7, MAX)]
    fn offset_and_length_come_back(#[case] offset: u64, #[case] length: u64) {
        let range = ByteRange::new(offset, length).expect("a range");
        assert_eq!((range.offset(), range.length()), (offset, length));
    }
}
