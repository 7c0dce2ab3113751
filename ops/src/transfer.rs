//! What COPY and CLONE have in common: two files, two stateids, two ranges.

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::fs::Authority;
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{NFS4ERR_FBIG, NFS4ERR_INVAL, Stateid, Status};

use crate::io::{self, WritePermit};

/// The stateids of both files.
#[derive(Clone, Copy)]
pub(crate) struct Stateids {
    /// Valid for a READ of the saved filehandle's file.
    pub(crate) source: Stateid,
    /// Valid for a WRITE of the current filehandle's file.
    pub(crate) target: Stateid,
}

/// On what authority each of the files is used.
#[derive(Clone, Copy)]
pub(crate) struct Authorities {
    pub(crate) source: Authority,
    pub(crate) target: Authority,
}

/// Checks both stateids. The permit is to be held until all is written.
pub(crate) async fn check<'a>(
    cx: &CompoundContext<'a>,
    row: &OpDescriptor,
    stateids: Stateids,
) -> Result<(Authorities, WritePermit<'a>), Status> {
    let source = io::check_source_stateid(cx, row, stateids.source).await?;
    let permit = io::check_write(cx, row, stateids.target).await?;
    Ok((Authorities { source, target: permit.authority }, permit))
}

impl Authorities {
    /// One for both: an open only where both have one.
    pub(crate) fn stricter(self) -> Authority {
        if self.source == self.target { self.source } else { Authority::Credentials }
    }
}

/// From where to where in the files; `count` 0 stands for all that is left of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
}

impl Ranges {
    /// How many bytes they stand for when the source has `size`.
    ///
    /// NFS4ERR_INVAL when the source ends before the range does (RFC 7862 sections 15.2.3 and 15.13.3), NFS4ERR_FBIG when the
    /// target would have to exceed 64 bits.
    pub(crate) fn length(self, size: u64) -> Result<u64, Status> {
        let left = size.checked_sub(self.from).ok_or(NFS4ERR_INVAL)?;
        let length = if self.count == 0 { left } else { self.count };
        if length > left {
            return Err(NFS4ERR_INVAL);
        }
        self.to.checked_add(length).map(|_| length).ok_or(NFS4ERR_FBIG)
    }

    /// Whether ranges of `length` bytes overlap when they are of the same file.
    pub(crate) fn overlap(self, length: u64) -> bool {
        self.from.abs_diff(self.to) < length
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // RFC: 7862 sections 15.2.3 and 15.13.3.
    #[rstest]
    #[case::part(0, 0, 4, Ok(4))]
    #[case::whole(0, 0, 10, Ok(10))]
    #[case::to_the_end(4, 0, 0, Ok(6))]
    #[case::nothing_at_the_end(10, 0, 0, Ok(0))]
    #[case::something_at_the_end(10, 0, 1, Err(NFS4ERR_INVAL))]
    #[case::past_the_end(11, 0, 0, Err(NFS4ERR_INVAL))]
    #[case::ends_past_the_end(4, 0, 7, Err(NFS4ERR_INVAL))]
    #[case::source_wraps(4, 0, u64::MAX, Err(NFS4ERR_INVAL))]
    #[case::target_at_the_limit(0, u64::MAX - 10, 0, Ok(10))]
    #[case::target_wraps(0, u64::MAX - 9, 0, Err(NFS4ERR_FBIG))]
    fn a_range_of_ten_bytes_is(
        #[case] from: u64,
        #[case] to: u64,
        #[case] count: u64,
        #[case] length: Result<u64, Status>,
    ) {
        assert_eq!(Ranges { from, to, count }.length(10), length);
    }

    #[rstest]
    #[case::apart(0, 4, 4, false)]
    #[case::apart_backwards(4, 0, 4, false)]
    #[case::by_one(0, 3, 4, true)]
    #[case::by_one_backwards(3, 0, 4, true)]
    #[case::same(7, 7, 1, true)]
    #[case::empty(7, 7, 0, false)]
    fn ranges_overlap(#[case] from: u64, #[case] to: u64, #[case] length: u64, #[case] expected: bool) {
        assert_eq!(Ranges { from, to, count: 0 }.overlap(length), expected);
    }
}
