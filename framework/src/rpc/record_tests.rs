//! Origin: own properties. RFC: 5531 section 11.

use proptest::prelude::*;

use super::*;

fn cut(record: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut bytes, mut rest, mut sizes) = (Vec::new(), record, sizes.iter().cycle());
    loop {
        let len = (*sizes.next().unwrap()).min(rest.len());
        let (piece, after) = rest.split_at(len);
        let last = if after.is_empty() { 0x8000_0000 } else { 0 };
        bytes.extend((u32::try_from(len).unwrap() | last).to_be_bytes());
        bytes.extend(piece);
        rest = after;
        if last != 0 {
            return bytes;
        }
    }
}

proptest! {
    /// However records are cut into fragments and however these arrive, the records come out as they went in.
    #[test]
    fn records_come_out_as_they_went_in(
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
        sizes in proptest::collection::vec(1_usize..200, 1..10),
        reads in proptest::collection::vec(1_usize..500, 1..10),
        kept in any::<bool>(),
    ) {
        let stream: Vec<u8> = records.iter().flat_map(|record| cut(record, &sizes)).collect();
        let mut reader = RecordReader::new(1000, 1000);
        let (mut rest, mut reads, mut out, mut holds) = (stream.as_slice(), reads.iter().cycle(), Vec::new(), Vec::new());
        while !rest.is_empty() {
            let buffer = reader.buffer();
            let room = buffer.capacity() - buffer.len();
            prop_assert!(room > 0);
            let (now, later) = rest.split_at(rest.len().min(*reads.next().unwrap()).min(room));
            buffer.extend_from_slice(now);
            rest = later;
            while let Some(record) = reader.next_record().unwrap() {
                out.push(record.to_vec());
                if kept {
                    holds.push(record);
                }
            }
            reader.release();
        }
        prop_assert_eq!(out, records);
    }
}

/// Puts `bytes` behind what was read, and tells where the buffer is.
fn read(reader: &mut RecordReader, bytes: &[u8]) -> *const u8 {
    let buffer = reader.buffer();
    assert!(buffer.capacity() - buffer.len() >= bytes.len(), "a read is no longer than the room");
    buffer.extend_from_slice(bytes);
    buffer.as_ptr()
}

#[test]
fn a_large_record_is_read_into_one_buffer_of_its_size() {
    let mut reader = RecordReader::new(1 << 21, 10);
    let record = vec![5; 1 << 20];
    let stream = cut(&record, &[usize::MAX]);
    let (head, rest) = stream.split_at(1000);
    read(&mut reader, head);
    assert_eq!(reader.next_record(), Ok(None));
    let room = reader.buffer().capacity();
    assert_eq!(room, stream.len());
    let (middle, tail) = rest.split_at(rest.len() / 2);
    let place = read(&mut reader, middle);
    assert_eq!(reader.next_record(), Ok(None));
    assert_eq!(read(&mut reader, tail), place);
    let taken = reader.next_record().unwrap().unwrap();
    assert_eq!(taken, record);
    assert_eq!(taken.as_ptr(), place.wrapping_add(HEADER_LEN), "the record is a slice of the buffer");
}

#[test]
fn the_buffer_is_used_again_once_its_records_are_gone() {
    let mut reader = RecordReader::new(1000, 10);
    let stream = cut(&[6; 500], &[usize::MAX]);
    let place = read(&mut reader, &stream);
    for _ in 0..1000 {
        drop(reader.next_record().unwrap().unwrap());
        assert_eq!(read(&mut reader, &stream), place);
    }
}

/// Whoever keeps a part of a record keeps its buffer: that must not be one of a much larger record.
#[test]
fn the_buffer_of_a_large_record_is_not_used_for_smaller_ones() {
    let mut reader = RecordReader::new(1 << 21, 10);
    let large = cut(&vec![5; 1 << 20], &[usize::MAX]);
    read(&mut reader, &large[..1000]);
    assert_eq!(reader.next_record(), Ok(None));
    read(&mut reader, &large[1000..]);
    drop(reader.next_record().unwrap().unwrap());
    assert!(reader.buffer().capacity() <= 2 * READ_CHUNK);
}

#[test]
fn a_record_that_is_held_does_not_cost_a_buffer_per_read() {
    let mut reader = RecordReader::new(1000, 10);
    let stream = cut(&[6; 500], &[usize::MAX]);
    let first = read(&mut reader, &stream);
    let held = reader.next_record().unwrap().unwrap();
    let second = read(&mut reader, &stream);
    assert_eq!(second, first.wrapping_add(stream.len()));
    drop(held);
}

#[test]
fn a_length_over_the_limit_allocates_nothing() {
    for header in [0xffff_ffff_u32, 0x7fff_ffff, 0x8000_03e9] {
        let mut reader = RecordReader::new(1000, 10);
        read(&mut reader, &header.to_be_bytes());
        assert!(matches!(reader.next_record(), Err(RecordError::TooLong(_))));
        assert!(reader.buffer().capacity() <= READ_CHUNK);
        assert_eq!(reader.joined.capacity(), 0);
    }
}
