//! Which objects an archive comes out as.
//!
//! Origin: POSIX pax and the GNU manual of tar.
//! RFC: none, a format of archives.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{Authority, DataOrHole, FileSystem, FsError, RequestContext};
use dittofs_framework::proto::{NfsTime, SpecData};
use rstest::rstest;
use tar::EntryType;

use crate::fixture::{Archive, content, find, header, listing};

fn new() -> Archive {
    Archive::default()
}

fn sparse(parts: &[(u64, u64)], real_size: u64, data: &str) -> Archive {
    let mut header = header(EntryType::GNUSparse, b"sparse", data.len() as u64);
    let gnu = header.as_gnu_mut().unwrap();
    for (field, (offset, len)) in gnu.sparse.iter_mut().zip(parts) {
        field.set_offset(*offset);
        field.set_length(*len);
    }
    gnu.set_real_size(real_size);
    new().member(header, data.as_bytes())
}

#[rstest]
#[case::nothing(new(), &[])]
#[case::no_end(Archive(new().file("a", "1").0[..513].to_vec()), &["a=1"])]
#[case::behind_the_end(new().file("a", "1").end().file("b", "2"), &["a=1"])]
#[case::all_kinds(
    new().dir("./").dir("./d/").file("./d/f", "data").symlink("./d/s", "../x").hard_link("./h", "./d/f")
        .of(EntryType::Fifo, "p", ""),
    &["d/", "d/f=data", "d/s->../x", "h=data", "p: Fifo"]
)]
#[case::implied_directories(new().file("a/b/c", "1").dir("a"), &["a/", "a/b/", "a/b/c=1"])]
#[case::old_directory(new().member({ let mut h = header(EntryType::Regular, b"d/", 0); h.as_old_mut().linkflag = [0]; h }, b""), &["d/"])]
#[case::absolute(new().file("/etc//passwd", "1"), &["etc/", "etc/passwd=1"])]
#[case::dots(new().file("./a/./b", "1"), &["a/", "a/b=1"])]
#[case::the_last_one_counts(new().file("a", "1").file("b", "2").file("a", "3"), &["a=3", "b=2"])]
#[case::a_link_keeps_what_is_replaced(new().file("a", "1").hard_link("b", "a").file("a", "2"), &["a=2", "b=1"])]
#[case::link_to_itself(new().file("a", "1").hard_link("a", "a"), &["a=1"])]
#[case::long_name(new().long_name(&format!("d/{}", "n".repeat(200))).file("cut off", "1"), &["d/", &format!("d/{}=1", "n".repeat(200))])]
#[case::pax_name(new().pax(&[("path", "new\nline")]).file("other", "1"), &["new\nline=1"])]
#[case::pax_size(new().pax(&[("size", "4")]).member(header(EntryType::Regular, b"a", 0), b"four"), &["a=four"])]
#[case::pax_holds_for_one(new().pax(&[("path", "a")]).file("b", "1").file("c", "2"), &["a=1", "c=2"])]
#[case::sparse_in_gnu_format(sparse(&[(2, 1), (5, 2), (9, 0)], 9, "abc"), &["sparse=\0\0a\0\0bc\0\0"])]
#[tokio::test]
async fn comes_out_as(#[case] archive: Archive, #[case] expected: &[&str]) {
    let fs = archive.open();
    assert_eq!(listing(&fs).await, expected);
    assert_eq!(fs.left_out(), []);
}

#[rstest]
#[case::dot_dot(new().file("a/../../b", "1"), "a path with ..", &[])]
#[case::below_a_file(new().file("a", "1").file("a/b", "2"), "below what is no directory", &["a=1"])]
#[case::below_a_link(new().symlink("a", "/etc").file("a/passwd", "2"), "below what is no directory", &["a->/etc"])]
#[case::directory_over_file(new().file("a", "1").dir("a"), "a directory in the place of something else", &["a=1"])]
#[case::file_over_directory(new().file("a/b", "1").file("a", "2"), "something else in the place of a directory", &["a/", "a/b=1"])]
#[case::link_to_what_comes_later(new().hard_link("a", "b").file("b", "1"), "a link to what is not there", &["b=1"])]
#[case::link_to_directory(new().dir("d").hard_link("a", "d"), "a link to a directory", &["d/"])]
#[case::link_out(new().hard_link("a", "../b"), "a path with ..", &[])]
#[case::link_to_nothing(new().symlink("a", ""), "a symbolic link to nothing", &[])]
#[case::root_is_no_file(new().file("/", "1"), "no name", &[])]
#[case::too_long_a_name(new().long_name(&"n".repeat(256)).file("a", "1"), "too long a name", &[])]
#[case::too_long_a_path(new().long_name(&"d/".repeat(2100)).file("a", "1"), "too long a path", &[])]
#[case::nul(new().pax(&[("path", "a\0b")]).file("a", "1"), "a name with NUL", &[])]
#[case::sparse_in_pax_format(new().pax(&[("GNU.sparse.major", "1")]).file("a", "1"), "a sparse file in a format of PAX", &[])]
#[case::volume_label(new().of(EntryType::new(b'V'), "label", ""), "of a type that is not shown", &[])]
#[tokio::test]
async fn is_left_out(#[case] archive: Archive, #[case] why: &str, #[case] rest: &[&str]) {
    // The rest is there, and so is what follows.
    let fs = archive.file("last", "1").open();
    let found: Vec<_> = fs.left_out().iter().map(|entry| entry.why).collect();
    assert_eq!(found, [why]);
    let mut expected = rest.to_vec();
    expected.push("last=1");
    expected.sort_unstable();
    assert_eq!(listing(&fs).await, expected);
}

#[tokio::test]
async fn attributes_are_those_of_the_archive() {
    let mut device = header(EntryType::Block, b"d/device", 0);
    device.set_mode(0o106_660);
    device.set_device_major(8).unwrap();
    device.set_device_minor(1).unwrap();
    let fs = new()
        .pax(&[("uid", "4294967296"), ("gid", "7"), ("mtime", "-1.25"), ("atime", "5.5")])
        .file("d/file", "data")
        .hard_link("link", "d/file")
        .member(device, b"")
        .dir("d/sub")
        .open();
    let cx = RequestContext::server();
    let of = async |path| fs.attributes(&cx, &find(&fs, path).await, Bitmap::EMPTY).await.unwrap();
    let file = of("d/file").await;
    assert_eq!((file.mode, file.uid, file.gid, file.nlink), (0o644, 65_534, 7, 2));
    assert_eq!((file.size, file.space_used), (4, 4));
    assert_eq!(file.time_modify, NfsTime { seconds: -2, nseconds: 750_000_000 });
    assert_eq!(file.time_access, NfsTime { seconds: 5, nseconds: 500_000_000 });
    assert_eq!(of("link").await.fileid, file.fileid);
    let device = of("d/device").await;
    assert_eq!((device.mode, device.rawdev), (0o6660, SpecData { specdata1: 8, specdata2: 1 }));
    assert_eq!(device.time_metadata, NfsTime { seconds: 1_000_000, nseconds: 0 });
    let implied = of("d").await;
    assert_eq!((implied.mode, implied.uid, implied.nlink), (0o755, 0, 3));
}

#[tokio::test]
async fn replaced_files_lose_a_link() {
    let fs = new().file("a", "1").hard_link("b", "a").file("a", "2").open();
    let cx = RequestContext::server();
    let old = fs.attributes(&cx, &find(&fs, "b").await, Bitmap::EMPTY).await.unwrap();
    assert_eq!(old.nlink, 1);
}

#[rstest]
#[case::data_in_a_hole(0, DataOrHole::Data, Ok(Some(10)))]
#[case::data_in_data(11, DataOrHole::Data, Ok(Some(11)))]
#[case::hole_in_data(11, DataOrHole::Hole, Ok(Some(14)))]
#[case::hole_in_a_hole(3, DataOrHole::Hole, Ok(Some(3)))]
#[case::no_more_data(14, DataOrHole::Data, Ok(None))]
#[case::the_last_hole(15, DataOrHole::Hole, Ok(Some(15)))]
#[case::at_the_end(20, DataOrHole::Hole, Err(FsError::NoSuchOffset))]
#[tokio::test]
async fn holes_are_found(
    #[case] offset: u64,
    #[case] what: DataOrHole,
    #[case] expected: Result<Option<u64>, FsError>,
) {
    let fs = sparse(&[(10, 2), (12, 2)], 20, "abcd").open();
    let (cx, node) = (RequestContext::server(), find(&fs, "sparse").await);
    let found = fs.sparse().unwrap().seek(&cx, &node, offset, what, Authority::Open).await;
    assert_eq!(found, expected);
}

#[rstest]
#[case::within(2, 3, "cde", false)]
#[case::to_the_end(4, 2, "ef", true)]
#[case::over_the_end(4, 100, "ef", true)]
#[case::at_the_end(6, 1, "", true)]
#[case::far_behind(u64::MAX, u32::MAX, "", true)]
#[case::nothing(0, 0, "", false)]
#[tokio::test]
async fn reads_give(#[case] offset: u64, #[case] count: u32, #[case] expected: &str, #[case] eof: bool) {
    let fs = new().file("before", "xx").file("file", "abcdef").open();
    let (cx, node) = (RequestContext::server(), find(&fs, "file").await);
    let read = fs.read(&cx, &node, offset, count, Authority::Open).await.unwrap();
    assert_eq!((&read.data[..], read.eof), (expected.as_bytes(), eof));
}

#[tokio::test]
async fn sparse_maps_may_go_on_in_blocks_of_their_own() {
    let mut first = header(EntryType::GNUSparse, b"sparse", 6);
    let gnu = first.as_gnu_mut().unwrap();
    for (field, offset) in gnu.sparse.iter_mut().zip([0, 2, 4, 6]) {
        field.set_offset(offset);
        field.set_length(1);
    }
    gnu.set_is_extended(true);
    gnu.set_real_size(12);
    let mut more = tar::GnuExtSparseHeader::new();
    for (field, offset) in more.sparse_mut().iter_mut().zip([8, 10]) {
        field.set_offset(offset);
        field.set_length(1);
    }
    let mut data = more.as_bytes().to_vec();
    data.extend_from_slice(b"abcdef");
    let fs = new().member(first, &data).file("next", "1").open();
    assert_eq!(content(&fs, &find(&fs, "sparse").await).await, "a\0b\0c\0d\0e\0f\0");
    assert_eq!(content(&fs, &find(&fs, "next").await).await, "1");
}
