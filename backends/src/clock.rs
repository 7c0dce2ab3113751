use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dittofs_framework::proto::NfsTime;

/// Tells the time that goes into the attributes of files.
pub type WallClock = Arc<dyn Fn() -> NfsTime + Send + Sync>;

pub(crate) const NANOS_PER_SECOND: u32 = 1_000_000_000;
const NANOS: i128 = NANOS_PER_SECOND as i128;

/// The clock of the machine.
pub(crate) fn system() -> WallClock {
    Arc::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => NfsTime {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nseconds: since.subsec_nanos(),
        },
        Err(before) => {
            let nanos = i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX);
            from_nanos(i64::try_from(-nanos).unwrap_or(i64::MIN))
        }
    })
}

/// Nanoseconds since the epoch, as near as 64 bits come to it (the years 1677 to 2262).
pub(crate) fn to_nanos(time: NfsTime) -> i64 {
    let nanos = i128::from(time.seconds) * NANOS + i128::from(time.nseconds);
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The time that is this many nanoseconds after the epoch.
pub(crate) fn from_nanos(nanos: i64) -> NfsTime {
    let second = i64::from(NANOS_PER_SECOND);
    NfsTime {
        seconds: nanos.div_euclid(second),
        nseconds: u32::try_from(nanos.rem_euclid(second)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::epoch(0, 0, 0)]
    #[case::after(1, 5, 1_000_000_005)]
    #[case::just_before(-1, 999_999_999, -1)]
    #[case::before(-2, 1, -1_999_999_999)]
    fn nanoseconds_and_back(#[case] seconds: i64, #[case] nseconds: u32, #[case] nanos: i64) {
        let time = NfsTime { seconds, nseconds };
        assert_eq!(to_nanos(time), nanos);
        assert_eq!(from_nanos(nanos), time);
    }

    #[rstest]
    #[case::late(i64::MAX, i64::MAX)]
    #[case::early(i64::MIN, i64::MIN)]
    fn what_does_not_fit_is_as_near_as_it_gets(#[case] seconds: i64, #[case] nanos: i64) {
        assert_eq!(to_nanos(NfsTime { seconds, nseconds: 0 }), nanos);
    }
}
