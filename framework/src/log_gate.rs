//! A limit to how often a line is logged that clients can cause: what they do must not fill the disk.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many lines of a kind are logged in an interval.
const LINES: u32 = 10;
/// It begins with a line.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets some lines of one kind through in each interval, and counts the others.
#[derive(Debug)]
pub struct LogGate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    since: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl Default for LogGate {
    fn default() -> Self {
        Self::new()
    }
}

impl LogGate {
    /// Nothing was logged yet.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { since: None, lines: 0, suppressed: 0 }) }
    }

    /// Whether to log at `now`: `Some` with the number of lines that were left out since the last one.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= INTERVAL) {
            state.since = Some(now);
            state.lines = 0;
        }
        if state.lines == LINES {
            state.suppressed += 1;
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

/// Logs a line like the macro of `tracing` with the name of its first argument, but not too often: each place in the code has a
/// [`LogGate`](crate::log_gate::LogGate). The field `suppressed` says how many lines were left out since the last one.
///
/// ```
/// dittofs_framework::log_limited!(warn, peer = "192.0.2.1", "connection closed");
/// ```
#[macro_export]
macro_rules! log_limited {
    ($level:ident, $($line:tt)+) => {{
        static GATE: $crate::log_gate::LogGate = $crate::log_gate::LogGate::new();
        if let Some(suppressed) = GATE.admit(std::time::Instant::now()) {
            tracing::$level!(suppressed, $($line)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_per_interval_and_the_number_of_the_others() {
        let gate = LogGate::new();
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(gate.admit(start), Some(0));
        }
        assert_eq!(gate.admit(start + INTERVAL / 2), None);
        assert_eq!(gate.admit(start + INTERVAL / 2), None);
        assert_eq!(gate.admit(start + INTERVAL), Some(2));
        assert_eq!(gate.admit(start + INTERVAL), Some(0));
    }
}
