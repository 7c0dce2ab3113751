//! XDR: what is written reads back, and no bytes make the reader panic or read past the end.
//!
//! Origin: own properties. RFC: 4506.

use bytes::Bytes;
use dittofs_framework::xdr::{XdrReader, XdrWriter};
use proptest::prelude::*;

proptest! {
    #[test]
    fn opaque_data_reads_back_and_is_padded_with_zeros(data: Vec<u8>, after: u32) {
        let mut w = XdrWriter::new();
        w.opaque(&data);
        w.u32(after);
        let written = w.finish().to_bytes();
        prop_assert_eq!(written.len(), 4 + data.len().next_multiple_of(4) + 4);
        prop_assert!(written[4 + data.len()..written.len() - 4].iter().all(|byte| *byte == 0));
        let mut r = XdrReader::new(&written);
        prop_assert_eq!(r.opaque(u32::MAX).unwrap(), Bytes::from(data));
        prop_assert_eq!(r.u32().unwrap(), after);
        prop_assert!(r.finish().is_ok());
    }

    #[test]
    fn payload_by_reference_is_written_as_a_copy_is(data: Vec<u8>) {
        let (mut copied, mut referred) = (XdrWriter::new(), XdrWriter::new());
        copied.opaque(&data);
        referred.opaque_bytes(&Bytes::from(data));
        prop_assert_eq!(copied.finish().to_bytes(), referred.finish().to_bytes());
    }

    #[test]
    fn numbers_read_back(a: u32, b: i32, c: u64, d: i64, e: bool) {
        let mut w = XdrWriter::new();
        w.u32(a);
        w.i32(b);
        w.u64(c);
        w.i64(d);
        w.bool(e);
        let written = w.finish().to_bytes();
        let mut r = XdrReader::new(&written);
        let read = (r.u32().unwrap(), r.i32().unwrap(), r.u64().unwrap(), r.i64().unwrap(), r.bool().unwrap());
        prop_assert_eq!(read, (a, b, c, d, e));
        prop_assert!(r.finish().is_ok());
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_their_end(data: Vec<u8>, limit: u32, element in 1_usize..64) {
        let data = Bytes::from(data);
        let mut r = XdrReader::new(&data);
        if let Ok(found) = r.opaque(limit) {
            prop_assert!(found.len() + 4 <= data.len());
            prop_assert!(u32::try_from(found.len()).unwrap() <= limit);
        }
        let mut r = XdrReader::new(&data);
        if let Ok(count) = r.array_len(limit, element) {
            prop_assert!(count * element <= data.len() - 4);
        }
    }
}
