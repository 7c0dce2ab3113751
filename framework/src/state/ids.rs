use std::cmp::Ordering;

use crate::export::{ExportId, ExportNode};
use crate::fs::NodeHandle;
use crate::proto::Stateid;

/// A file as the state core knows it: the same for every client and every name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The export that it is in.
    pub export: ExportId,
    /// The backend's handle of it.
    pub node: NodeHandle,
}

impl From<&ExportNode> for FileKey {
    fn from(at: &ExportNode) -> Self {
        Self { export: at.export.id, node: at.node }
    }
}

/// The number of a state, never used twice by one server instance (RFC 8881 section 8.2.4: an "other" value must
/// not be reused for a different purpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct StateKey(pub(super) u64);

impl StateKey {
    /// The "other" field: four bytes of boot epoch, so that a stateid of an earlier instance is told apart, and the
    /// number. Neither all zeros nor all ones, as numbers begin at 1 and never reach the end of 64 bits.
    pub(super) fn other(self, epoch: u32) -> [u8; 12] {
        let mut other = [0; 12];
        let [e0, e1, e2, e3] = epoch.to_be_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.0.to_be_bytes();
        other.copy_from_slice(&[e0, e1, e2, e3, n0, n1, n2, n3, n4, n5, n6, n7]);
        other
    }

    /// The number in an "other" field of this epoch; `None` for one of another server instance.
    pub(super) fn from_other(other: [u8; 12], epoch: u32) -> Option<Self> {
        let [e0, e1, e2, e3, n0, n1, n2, n3, n4, n5, n6, n7] = other;
        (u32::from_be_bytes([e0, e1, e2, e3]) == epoch)
            .then(|| Self(u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7])))
    }
}

/// The seqid of a stateid: how often its state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seqid(pub(super) u32);

impl Seqid {
    /// Of a new state.
    pub(super) const FIRST: Self = Self(1);
    /// Of a state that its first change, under the same lock, brings to [`Self::FIRST`].
    pub(super) const BEFORE_FIRST: Self = Self(0);
    /// How far around the wrap two seqids are compared. RFC 8881 section 8.2.2 names the client's total slot count,
    /// the most changes that can be unknown to it; this is more than any client gets.
    const WRAP_WINDOW: u32 = 1 << 16;

    /// After one more change: NFS4_UINT32_MAX is followed by one, not zero (RFC 8881 section 8.2.2).
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }

    /// How a seqid that a client sent compares to this current one: zero means the most recent one.
    pub(super) fn compare_sent(self, sent: u32) -> Ordering {
        if sent == 0 || sent == self.0 {
            return Ordering::Equal;
        }
        let near_end = u32::MAX - Self::WRAP_WINDOW;
        if sent > near_end && self.0 < Self::WRAP_WINDOW {
            return Ordering::Less;
        }
        if self.0 > near_end && sent < Self::WRAP_WINDOW {
            return Ordering::Greater;
        }
        sent.cmp(&self.0)
    }
}

/// The stateid of a state after its latest change.
pub(super) fn stateid(key: StateKey, seqid: Seqid, epoch: u32) -> Stateid {
    Stateid { seqid: seqid.0, other: key.other(epoch) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // RFC: 8881 section 8.2.2.
    #[rstest]
    #[case::most_recent(7, 0, Ordering::Equal)]
    #[case::same(7, 7, Ordering::Equal)]
    #[case::older(7, 6, Ordering::Less)]
    #[case::newer(7, 8, Ordering::Greater)]
    #[case::older_over_the_wrap(1, u32::MAX, Ordering::Less)]
    #[case::newer_over_the_wrap(u32::MAX, 1, Ordering::Greater)]
    #[case::far_apart(1, 1 << 31, Ordering::Greater)]
    fn sent_seqids_are_compared_around_the_wrap(
        #[case] current: u32,
        #[case] sent: u32,
        #[case] want: Ordering,
    ) {
        assert_eq!(Seqid(current).compare_sent(sent), want);
    }

    #[test]
    fn seqid_wraps_to_one() {
        assert_eq!(Seqid(u32::MAX).next(), Seqid(1));
    }

    #[test]
    fn other_holds_epoch_and_number() {
        let other = StateKey(0x0102_0304_0506_0708).other(9);
        assert_eq!(StateKey::from_other(other, 9), Some(StateKey(0x0102_0304_0506_0708)));
        assert_eq!(StateKey::from_other(other, 8), None);
    }
}
