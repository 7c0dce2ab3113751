//! The change attribute.

use dittofs_framework::proto::NfsTime;

const NANOS: u64 = 1_000_000_000;

/// How the file system takes times of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Each change after somebody looked has a time of its own (Linux 6.13 and later, on some file systems).
    Exact,
    /// Changes within a tick have the same.
    Ticks,
}

/// What was seen last of an object's time of change (ctime), and what clients were told.
///
/// The kernel's ctime is what survives everything. Where it [ticks](Clock::Ticks), changes that come through the server count on from
/// there.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Stamp {
    /// As the kernel has it.
    ctime: u64,
    /// What clients see as time_metadata.
    shown: NfsTime,
    change: u64,
}

impl Stamp {
    /// The change attribute and time_metadata of an object whose ctime is this.
    pub(super) fn observe(&mut self, ctime: NfsTime) -> (u64, NfsTime) {
        let nanos = nanos(ctime);
        if nanos != self.ctime {
            self.ctime = nanos;
            self.shown = ctime;
            // A clock that was set back must not set the attribute back.
            self.change = nanos.max(self.change.saturating_add(1));
        }
        (self.change, self.shown)
    }

    /// [`observe`](Self::observe), after a change that the server made.
    pub(super) fn changed(&mut self, ctime: NfsTime) -> (u64, NfsTime) {
        if nanos(ctime) == self.ctime {
            self.change = self.change.saturating_add(1);
        }
        self.observe(ctime)
    }

    /// Takes a ctime that says no more than what clients are to be told: `change` and `shown`.
    pub(super) fn pin(&mut self, ctime: NfsTime, change: u64, shown: NfsTime) {
        *self = Self { ctime: nanos(ctime), shown, change };
    }

    /// Whether the kernel's ctime alone would tell clients something else.
    pub(super) fn says_more(&self) -> bool {
        self.change != self.ctime
    }
}

/// Since 1970; what is before counts as then.
fn nanos(time: NfsTime) -> u64 {
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    seconds.saturating_mul(NANOS).saturating_add(u64::from(time.nseconds))
}

#[cfg(test)]
mod tests {
    //! Origin: own tables.
    //! RFC: 8881 section 5.8.1.4.

    use super::*;

    fn at(seconds: i64, nseconds: u32) -> NfsTime {
        NfsTime { seconds, nseconds }
    }

    #[test]
    fn two_changes_in_one_tick_differ() {
        let mut stamp = Stamp::default();
        let (first, _) = stamp.changed(at(100, 4_000_000));
        let (second, shown) = stamp.changed(at(100, 4_000_000));
        let (seen, _) = stamp.observe(at(100, 4_000_000));
        assert_eq!((second, seen, shown), (first + 1, first + 1, at(100, 4_000_000)));
        assert!(stamp.observe(at(100, 8_000_000)).0 > second);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_set_it_back() {
        let mut stamp = Stamp::default();
        let (before, _) = stamp.observe(at(100, 0));
        let (after, shown) = stamp.observe(at(50, 0));
        assert!(after > before);
        assert_eq!(shown, at(50, 0));
    }

    #[test]
    fn what_is_pinned_lasts_until_the_kernel_says_otherwise() {
        let mut stamp = Stamp::default();
        let (change, shown) = stamp.observe(at(100, 0));
        stamp.pin(at(107, 0), change, shown);
        assert_eq!(stamp.observe(at(107, 0)), (change, shown));
        assert!(stamp.observe(at(108, 0)).0 > change);
    }
}
