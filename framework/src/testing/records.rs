use bytes::Bytes;

use crate::rpc::record::RecordReader;

/// Cuts a byte stream into records the way a connection does, reading it in pieces of `piece` bytes. Returns the records, and
/// whether the stream was still good at its end.
///
/// For fuzzing, beside a reader that is too simple to be wrong.
pub fn records_of(
    stream: &[u8],
    piece: usize,
    max_record: usize,
    max_fragments: usize,
) -> (Vec<Bytes>, bool) {
    let mut reader = RecordReader::new(max_record, max_fragments);
    let mut records = Vec::new();
    for chunk in stream.chunks(piece.max(1)) {
        reader.buffer().extend_from_slice(chunk);
        loop {
            match reader.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(_) => return (records, false),
            }
        }
    }
    (records, true)
}
