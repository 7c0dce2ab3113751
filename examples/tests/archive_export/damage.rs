//! Archives that are not served, and that nothing in an archive makes the program panic.
//!
//! Origin: own: each byte of a header changed, archives cut off, names that lead outside.
//! RFC: none, a format of archives.

use rstest::rstest;
use tar::EntryType;

use crate::fixture::{Archive, header, listing};

fn new() -> Archive {
    Archive::default()
}

fn sized(size: u64) -> tar::Header {
    let mut header = header(EntryType::Regular, b"a", 0);
    header.set_size(size);
    header
}

fn sparse(parts: &[(u64, u64)], stored: u64, real_size: u64) -> Archive {
    let mut header = header(EntryType::GNUSparse, b"a", stored);
    let gnu = header.as_gnu_mut().unwrap();
    for (field, (offset, len)) in gnu.sparse.iter_mut().zip(parts) {
        field.set_offset(*offset);
        field.set_length(*len);
    }
    gnu.set_real_size(real_size);
    new().member(header, &[1; 512])
}

#[rstest]
#[case::no_archive(Archive(vec![b'x'; 2048]), "checksum of a header")]
#[case::another_byte({ let mut a = new().file("a", "1"); a.0[3] ^= 1; a }, "checksum of a header")]
#[case::ends_in_a_header(Archive(new().file("a", "1").file("b", "2").0[..1500].to_vec()), "ends in a header")]
#[case::ends_in_data(Archive(new().file("a", "123").0[..514].to_vec()), "data reach beyond the end")]
#[case::larger_than_the_archive(new().member(sized(8_000_000_000), b"1"), "data reach beyond the end")]
#[case::as_large_as_can_be(new().member(sized(u64::MAX), b"1"), "data reach beyond the end")]
#[case::pax_as_large_as_can_be(new().pax(&[("size", "18446744073709551615")]).file("a", "1"), "data reach beyond the end")]
#[case::no_number(new().member({ let mut h = sized(0); h.as_old_mut().size = *b"many!!!!!!!!"; h }, b""), "size")]
#[case::pax_no_number(new().pax(&[("size", "-1")]).file("a", "1"), "PAX record")]
#[case::pax_no_time(new().pax(&[("mtime", "now")]).file("a", "1"), "PAX record")]
#[case::pax_no_length(new().of(EntryType::XHeader, "pax", "path=a\n"), "PAX record")]
#[case::pax_length_too_short(new().of(EntryType::XHeader, "pax", "1 a=b\n"), "PAX record")]
#[case::pax_length_too_long(new().of(EntryType::XHeader, "pax", "99 a=b\n"), "PAX record")]
#[case::name_of_two_mebibytes(new().of(EntryType::GNULongName, "long", &"n".repeat(2 << 20)), "a name of more than a mebibyte")]
#[case::sparse_parts_overlap(sparse(&[(0, 4), (2, 4)], 8, 10), "map of a sparse file")]
#[case::sparse_beyond_the_end(sparse(&[(8, 4)], 4, 10), "map of a sparse file")]
#[case::sparse_more_than_stored(sparse(&[(0, 8)], 4, 10), "map of a sparse file")]
#[case::sparse_sum_too_large(sparse(&[(u64::MAX, 2)], 4, u64::MAX), "map of a sparse file")]
#[case::sparse_too_large(sparse(&[], 4, u64::MAX), "map of a sparse file")]
fn is_refused(#[case] archive: Archive, #[case] what: &str) {
    let error = archive.try_open().map(drop).unwrap_err().to_string();
    assert!(error.ends_with(what), "{error}");
}

/// Every byte of every header in turn is another one, with the sum right, so that what it means is looked at.
#[tokio::test]
async fn no_byte_makes_it_panic() {
    let good = new()
        .dir("d")
        .pax(&[("path", "d/file"), ("mtime", "1.5")])
        .file("file", "data")
        .hard_link("link", "d/file")
        .0;
    let sparse = sparse(&[(0, 4), (8, 4)], 8, 12).0;
    for archive in [good, sparse] {
        for place in 0..archive.len() {
            for value in [0x00, 0x37, 0x53, 0x80, 0xff] {
                let mut bytes = archive.clone();
                bytes[place] = value;
                let block = place / 512 * 512;
                let mut header = tar::Header::from_byte_slice(&bytes[block..block + 512]).clone();
                header.set_cksum();
                bytes[block..block + 512].copy_from_slice(header.as_bytes());
                if let Ok(fs) = Archive(bytes).try_open() {
                    // What it is may be anything, as long as it can be listed.
                    listing(&fs).await;
                }
            }
        }
    }
}
