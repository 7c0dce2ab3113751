use crate::fs::ShareAccess;
use crate::proto::{NFS4ERR_INVAL, NFS4ERR_SHARE_DENIED, Status};

bitflags::bitflags! {
    /// Which kinds of access an open denies to others (share_deny), with the numbers of the wire.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ShareDeny: u32 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Read and write.
        const BOTH = 3;
    }
}

/// The share modes of one open: those of every OPEN that was merged into it, so that OPEN_DOWNGRADE can tell which
/// unions are possible. Bit n of a field stands for the mode with number n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenModes {
    access: u8,
    deny: u8,
}

impl OpenModes {
    pub(super) fn new(access: ShareAccess, deny: ShareDeny) -> Self {
        Self { access: 1 << access.bits(), deny: 1 << deny.bits() }
    }

    /// The modes after one more OPEN (RFC 8881 section 9.9).
    pub(super) fn with(self, access: ShareAccess, deny: ShareDeny) -> Self {
        let new = Self::new(access, deny);
        Self { access: self.access | new.access, deny: self.deny | new.deny }
    }

    /// What the open may do.
    pub(super) fn access(self) -> ShareAccess {
        ShareAccess::from_bits_truncate(union_of(self.access))
    }

    /// What the open denies.
    pub(super) fn deny(self) -> ShareDeny {
        ShareDeny::from_bits_truncate(union_of(self.deny))
    }

    /// The modes after OPEN_DOWNGRADE: those of the OPENs that are still covered. NFS4ERR_INVAL when the asked modes
    /// are not the union of the modes of some of the OPENs (RFC 8881 section 18.18.3).
    pub(super) fn downgraded(self, access: ShareAccess, deny: ShareDeny) -> Result<Self, Status> {
        let covered =
            Self { access: within(self.access, access.bits()), deny: within(self.deny, deny.bits()) };
        let is_union = |set: u8, bits: u32| set != 0 && union_of(set) == bits;
        if is_union(covered.access, access.bits()) && is_union(covered.deny, deny.bits()) {
            Ok(covered)
        } else {
            Err(NFS4ERR_INVAL)
        }
    }
}

/// The union of the modes in a set of modes.
fn union_of(set: u8) -> u32 {
    (0..4).filter(|mode| set & (1 << mode) != 0).fold(0, |all, mode| all | mode)
}

/// The modes of a set that have no bit outside `bits`.
fn within(set: u8, bits: u32) -> u8 {
    (0..4u32).filter(|mode| mode & !bits == 0).fold(0, |all, mode| all | (set & (1 << mode)))
}

/// How many opens of a file have each kind of access and each kind of denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ShareCounts {
    read: usize,
    write: usize,
    deny_read: usize,
    deny_write: usize,
}

impl ShareCounts {
    /// Counts an open in.
    pub(super) fn add(&mut self, modes: OpenModes) {
        self.each(modes, |count| *count += 1);
    }

    /// Counts an open out.
    pub(super) fn remove(&mut self, modes: OpenModes) {
        self.each(modes, |count| *count -= 1);
    }

    fn each(&mut self, modes: OpenModes, change: impl Fn(&mut usize)) {
        let (access, deny) = (modes.access(), modes.deny());
        for (applies, count) in [
            (access.contains(ShareAccess::READ), &mut self.read),
            (access.contains(ShareAccess::WRITE), &mut self.write),
            (deny.contains(ShareDeny::READ), &mut self.deny_read),
            (deny.contains(ShareDeny::WRITE), &mut self.deny_write),
        ] {
            if applies {
                change(count);
            }
        }
    }

    /// Whether some open denies this access.
    pub(super) fn denies(&self, access: ShareAccess) -> bool {
        (access.contains(ShareAccess::READ) && self.deny_read > 0)
            || (access.contains(ShareAccess::WRITE) && self.deny_write > 0)
    }

    /// Whether some open may be in conflict with a delegation for reading: one that writes or denies reading.
    pub(super) fn may_exclude_read_delegation(&self) -> bool {
        self.write > 0 || self.deny_read > 0
    }

    /// Whether an open denies reading, besides the one for which the caller says what it denies itself.
    pub(super) fn others_deny_read(&self, own: ShareDeny) -> bool {
        self.deny_read > usize::from(own.contains(ShareDeny::READ))
    }

    /// The check of an OPEN against all opens, those of its own owner included (RFC 8881 section 9.7).
    pub(super) fn admit(&self, access: ShareAccess, deny: ShareDeny) -> Result<(), Status> {
        let denied_to_others = (deny.contains(ShareDeny::READ) && self.read > 0)
            || (deny.contains(ShareDeny::WRITE) && self.write > 0);
        if self.denies(access) || denied_to_others { Err(NFS4ERR_SHARE_DENIED) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn modes(opens: &[(u32, u32)]) -> OpenModes {
        let parse = |(a, d): (u32, u32)| (ShareAccess::from_bits_retain(a), ShareDeny::from_bits_retain(d));
        let (access, deny) = parse(opens[0]);
        opens[1..].iter().fold(OpenModes::new(access, deny), |modes, open| {
            let (access, deny) = parse(*open);
            modes.with(access, deny)
        })
    }

    // RFC: 8881 section 18.18.3.
    #[rstest]
    #[case::same(&[(3, 0)], (3, 0), true)]
    #[case::to_one_of_two(&[(1, 0), (3, 0)], (1, 0), true)]
    #[case::union_of_two(&[(1, 0), (2, 0)], (3, 0), true)]
    #[case::part_of_one(&[(3, 0)], (1, 0), false)]
    #[case::never_opened(&[(1, 0)], (2, 0), false)]
    #[case::more_than_opened(&[(1, 0)], (3, 0), false)]
    #[case::deny_of_one_of_two(&[(1, 0), (3, 3)], (1, 0), true)]
    #[case::deny_never_opened_without(&[(1, 1)], (1, 0), false)]
    #[case::no_access(&[(1, 0)], (0, 0), false)]
    fn downgrade_needs_a_union_of_opens(
        #[case] opens: &[(u32, u32)],
        #[case] to: (u32, u32),
        #[case] possible: bool,
    ) {
        let (access, deny) = (ShareAccess::from_bits_retain(to.0), ShareDeny::from_bits_retain(to.1));
        let result = modes(opens).downgraded(access, deny);
        assert_eq!(result.is_ok(), possible);
        if let Ok(after) = result {
            assert_eq!((after.access(), after.deny()), (access, deny));
        }
    }

    #[test]
    fn what_a_downgrade_gave_up_does_not_come_back() {
        let after =
            modes(&[(1, 0), (3, 0)]).downgraded(ShareAccess::READ, ShareDeny::empty()).expect("a union");
        assert_eq!(after.downgraded(ShareAccess::BOTH, ShareDeny::empty()), Err(NFS4ERR_INVAL));
    }
}
