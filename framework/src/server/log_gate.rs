use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines of one kind are at least this far apart.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one log line of a kind through per interval: what clients do must not fill the disk.
#[derive(Debug, Default)]
pub(super) struct LogGate {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogGate {
    /// Whether to log at `now`: `Some` with the number of lines that were left out since the last one.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_interval() {
        let gate = LogGate::default();
        let start = Instant::now();
        assert_eq!(gate.admit(start), Some(0));
        assert_eq!(gate.admit(start + INTERVAL / 2), None);
        assert_eq!(gate.admit(start + INTERVAL / 2), None);
        assert_eq!(gate.admit(start + INTERVAL), Some(2));
        assert_eq!(gate.admit(start + INTERVAL), None);
    }
}
