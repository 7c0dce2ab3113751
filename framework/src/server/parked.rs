use std::collections::VecDeque;

use bytes::Bytes;

use super::ServerLimits;

/// Requests that were read while no more may be begun: behind them may be the reply to a call, and it may be for this reply that
/// those wait that are under way.
#[derive(Default)]
pub(super) struct Parked {
    records: VecDeque<Bytes>,
    bytes: usize,
}

impl Parked {
    pub(super) fn push(&mut self, record: Bytes) {
        self.bytes += record.len();
        self.records.push_back(record);
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let record = self.records.pop_front()?;
        self.bytes -= record.len();
        if self.records.is_empty() {
            self.records = VecDeque::new();
        }
        Some(record)
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether another may be read. A record keeps the buffer that it was read into: so their number has a limit too.
    pub(super) fn has_room(&self, limits: &ServerLimits) -> bool {
        self.bytes < limits.max_record && self.records.len() < limits.max_in_flight.max(1)
    }
}
