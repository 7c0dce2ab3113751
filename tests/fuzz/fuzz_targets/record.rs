//! Record marking on any byte stream, in pieces of any size, against a reader that is too simple to be wrong.
#![no_main]

use dittofs_framework::testing::records_of;
use libfuzzer_sys::fuzz_target;

const MAX_RECORD: usize = 4096;
const MAX_FRAGMENTS: usize = 16;

fuzz_target!(|data: &[u8]| {
    let Some((piece, stream)) = data.split_first() else { return };
    let (records, good) = records_of(stream, usize::from(*piece) + 1, MAX_RECORD, MAX_FRAGMENTS);
    let expected = whole_records(stream);
    // A fault ends the stream at different points in different pieces; what came before is the same.
    assert!(records.len() <= expected.len());
    assert!(!good || records.len() == expected.len());
    for (record, expected) in records.iter().zip(&expected) {
        assert_eq!(record, expected);
    }
});

/// All complete records from the front, until the data ends or breaks a limit.
fn whole_records(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let (mut record, mut fragments) = (Vec::new(), 0);
    while let Some((header, rest)) = stream.split_first_chunk::<4>() {
        let header = u32::from_be_bytes(*header);
        let len = (header & 0x7fff_ffff) as usize;
        fragments += 1;
        if fragments > MAX_FRAGMENTS || record.len() + len > MAX_RECORD || rest.len() < len {
            break;
        }
        let (body, rest) = rest.split_at(len);
        record.extend_from_slice(body);
        stream = rest;
        if header & 0x8000_0000 != 0 {
            records.push(std::mem::take(&mut record));
            fragments = 0;
        }
    }
    records
}
