use dittofs_framework::recovery::{Ledger, StoreError};

use super::format::{FRAME_HEADER_LEN, HEADER_LEN, Record, VERSION, decode_frame, decode_header};

/// What is in a journal.
pub(super) struct Scan {
    pub(super) salt: u32,
    /// What its records amount to.
    pub(super) ledger: Ledger,
    /// Where the good frames end. What is behind is a torn tail.
    pub(super) good_len: usize,
}

/// Reads a whole journal.
pub(super) fn scan(file: &[u8]) -> Result<Scan, StoreError> {
    let header = decode_header(file).ok_or(StoreError::Damaged { at: 0, what: "no header of a journal" })?;
    if header.version != VERSION {
        return Err(StoreError::Version { found: header.version, supported: VERSION });
    }
    let mut scan = Scan { salt: header.salt, ledger: Ledger::default(), good_len: HEADER_LEN };
    while let Some(rest) = file.get(scan.good_len..).filter(|rest| !rest.is_empty()) {
        let Some(records) = decode_frame(scan.salt, rest) else {
            return end_at_bad_frame(scan, rest);
        };
        replay(&mut scan.ledger, records, scan.good_len)?;
        scan.good_len += FRAME_HEADER_LEN + records.len();
    }
    Ok(scan)
}

/// A bad frame is torn, never acknowledged, if no good one follows: the next was not written before it was durable.
fn end_at_bad_frame(scan: Scan, rest: &[u8]) -> Result<Scan, StoreError> {
    let mut behind = (1..rest.len()).filter_map(|skipped| rest.get(skipped..));
    if behind.any(|bytes| decode_frame(scan.salt, bytes).is_some()) {
        return Err(StoreError::Damaged { at: offset(scan.good_len), what: "a bad frame before good ones" });
    }
    Ok(scan)
}

fn replay(ledger: &mut Ledger, mut records: &[u8], at: usize) -> Result<(), StoreError> {
    while !records.is_empty() {
        let record = Record::decode(&mut records)
            .map_err(|_| StoreError::Damaged { at: offset(at), what: "a record that is not known" })?;
        apply(ledger, &record);
    }
    Ok(())
}

/// Takes note of a record that is durable.
pub(super) fn apply(ledger: &mut Ledger, record: &Record) {
    match record {
        Record::Began(epoch) => ledger.begun(*epoch),
        Record::Event(event) => ledger.apply(event),
        Record::Entry(record, epoch) => ledger.restore(record.clone(), *epoch),
    }
}

fn offset(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}
