//! Origin: the statements of the RFC, one by one.
//! RFC: 8881 sections 2.10.6.4, 5.8.2.23 and 18.23.

use std::collections::BTreeSet;

use dittofs_framework::attr::{
    Bitmap, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_FSID, FATTR4_MOUNTED_ON_FILEID, FATTR4_RDATTR_ERROR,
    FATTR4_SIZE, FATTR4_SUPPORTED_ATTRS, FATTR4_TIME_MODIFY_SET, FATTR4_TYPE, WRITE_ONLY,
};
use dittofs_framework::proto::{
    FileType, Fsid, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BAD_COOKIE, NFS4ERR_INVAL, NFS4ERR_NOTDIR,
    NFS4ERR_REP_TOO_BIG, NFS4ERR_TOOSMALL, NfsFh4, Stateid, Status, Verifier4,
};
use dittofs_framework::xdr::{XdrDecode, XdrReader};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::readdir::{Entry4, ReadDir, Readdir4Args, Readdir4ResOk};
use dittofs_ops::setattr::{SetAttr, Setattr4Args};
use dittofs_tests::{SessionOptions, TestServerOptions, mode_attr};
use rstest::rstest;

use crate::tree::{Asks, Kind, Tree, by_kind};

const ZEROS: Verifier4 = [0; 8];
/// READDIR4resok without entries.
const EMPTY_LEN: u32 = 16;
/// One entry with a name of five to eight bytes and without attributes.
const ENTRY_LEN: u32 = 4 + 8 + 4 + 8 + 4 + 4;

fn args(wanted: &[u32]) -> Readdir4Args {
    let attr_request = Bitmap::of(wanted);
    Readdir4Args { cookie: 0, cookieverf: ZEROS, dircount: 0, maxcount: 1 << 20, attr_request }
}

fn names(page: &Readdir4ResOk) -> Vec<String> {
    page.entries.iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect()
}

/// The values of an entry's attributes, which must be these.
fn values<'a>(entry: &'a Entry4, wanted: &[u32]) -> XdrReader<'a> {
    assert_eq!(entry.attrs.attrmask, Bitmap::of(wanted));
    XdrReader::new(&entry.attrs.attr_vals.0)
}

/// Makes files with names of six bytes.
async fn fill(tree: &mut Tree, count: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for number in 0..count {
        let name = format!("f{number:05}");
        tree.make(&name, Kind::Fifo).await;
        names.insert(name);
    }
    names
}

/// Lists the share page by page: each name, and how many pages it took.
async fn list(tree: &mut Tree, first: Readdir4Args) -> (Vec<String>, usize) {
    let mut args = first;
    let mut all = Vec::new();
    let mut pages = 0;
    loop {
        let page = tree.run::<ReadDir>(&["export"], &args).await.expect("a page");
        pages += 1;
        all.extend(names(&page));
        if page.eof {
            return (all, pages);
        }
        args.cookie = page.entries.last().expect("an entry in every page but the last").cookie;
        args.cookieverf = page.cookieverf;
    }
}

#[tokio::test]
async fn entries_have_the_attributes_that_getattr_answers() {
    let mut tree = Tree::new().await;
    let supported: Bitmap = tree.attribute(&["export"], FATTR4_SUPPORTED_ATTRS).await;
    let attr_request = supported.minus(WRITE_ONLY);
    for kind in Kind::ALL {
        tree.make(&format!("{kind:?}"), kind).await;
    }
    let page = tree.run::<ReadDir>(&["export"], &Readdir4Args { attr_request, ..args(&[]) }).await.unwrap();
    assert_eq!((page.entries.len(), page.eof), (Kind::ALL.len(), true));
    for entry in &page.entries {
        assert!(entry.cookie > 2);
        let name = String::from_utf8(entry.name.to_vec()).unwrap();
        let expected = tree.run::<GetAttr>(&["export", &name], &Getattr4Args { attr_request }).await.unwrap();
        assert_eq!(entry.attrs, expected.obj_attributes, "{name}");
    }
    tree.stop().await;
}

#[rstest]
#[case::none(&[], &[])]
#[case::unsupported_is_absent(&[FATTR4_TYPE, 12], &[FATTR4_TYPE])]
#[case::error_attribute(&[FATTR4_TYPE, FATTR4_RDATTR_ERROR], &[FATTR4_TYPE, FATTR4_RDATTR_ERROR])]
#[tokio::test]
async fn an_entry_has_what_is_wanted_and_supported(#[case] wanted: &[u32], #[case] expected: &[u32]) {
    let mut tree = Tree::new().await;
    tree.make("dir", Kind::Dir).await;
    let page = tree.run::<ReadDir>(&["export"], &args(wanted)).await.unwrap();
    let mut values = values(&page.entries[0], expected);
    if expected.contains(&FATTR4_TYPE) {
        assert_eq!(FileType::decode(&mut values), Ok(FileType::Dir));
    }
    if expected.contains(&FATTR4_RDATTR_ERROR) {
        assert_eq!(Status::decode(&mut values), Ok(NFS4_OK));
    }
    tree.stop().await;
}

#[tokio::test]
async fn an_empty_directory_has_no_entries_and_fits_in_sixteen_bytes() {
    let mut tree = Tree::new().await;
    for maxcount in [EMPTY_LEN, 4096] {
        let page = tree.run::<ReadDir>(&["export"], &Readdir4Args { maxcount, ..args(&[]) }).await.unwrap();
        assert!(page.entries.is_empty() && page.eof);
    }
    tree.stop().await;
}

#[rstest]
#[case::by_maxcount(EMPTY_LEN + 7 * ENTRY_LEN, 0, 7)]
#[case::by_almost_one_more(EMPTY_LEN + 8 * ENTRY_LEN - 1, 0, 7)]
#[case::one_by_one(EMPTY_LEN + ENTRY_LEN, 0, 1)]
#[case::by_dircount(1 << 20, 7 * 20, 7)]
#[case::by_the_smallest_dircount(1 << 20, 1, 1)]
#[case::in_one(1 << 20, 0, 50)]
#[tokio::test]
async fn pages_hold_every_entry_once(#[case] maxcount: u32, #[case] dircount: u32, #[case] per_page: usize) {
    let mut tree = Tree::new().await;
    let expected = fill(&mut tree, 50).await;
    let first = Readdir4Args { maxcount, dircount, ..args(&[]) };
    let (listed, pages) = list(&mut tree, first).await;
    assert_eq!(listed.len(), 50);
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(pages == 50_usize.div_ceil(per_page) || pages == 50 / per_page + 1, "{pages} pages");
    tree.stop().await;
}

#[tokio::test]
async fn a_listing_goes_on_while_entries_come_and_go() {
    let mut tree = Tree::new().await;
    let expected = fill(&mut tree, 30).await;
    let mut args = Readdir4Args { maxcount: EMPTY_LEN + 5 * ENTRY_LEN, ..args(&[]) };
    let mut listed = Vec::new();
    loop {
        let page = tree.run::<ReadDir>(&["export"], &args).await.unwrap();
        listed.extend(names(&page));
        if page.eof {
            break;
        }
        args.cookie = page.entries.last().unwrap().cookie;
        args.cookieverf = page.cookieverf;
        // What was listed last, cookie and all, goes; something else comes.
        tree.remove(listed.last().unwrap()).await;
        tree.make(&format!("x{}", listed.len()), Kind::Fifo).await;
    }
    let stayed: Vec<_> = listed.iter().filter(|name| name.starts_with('f')).cloned().collect();
    assert_eq!(stayed.len(), expected.len());
    assert_eq!(stayed.into_iter().collect::<BTreeSet<_>>(), expected);
    tree.stop().await;
}

#[rstest]
#[case::nothing(0)]
#[case::not_even_the_end(EMPTY_LEN - 1)]
#[case::no_entry(EMPTY_LEN)]
#[case::almost_an_entry(EMPTY_LEN + ENTRY_LEN - 1)]
#[tokio::test]
async fn a_maxcount_is_too_small(#[case] maxcount: u32) {
    let mut tree = Tree::new().await;
    fill(&mut tree, 1).await;
    let page = tree.run::<ReadDir>(&["export"], &Readdir4Args { maxcount, ..args(&[]) }).await;
    assert_eq!(page.unwrap_err(), NFS4ERR_TOOSMALL);
    tree.stop().await;
}

#[tokio::test]
async fn the_session_bounds_a_page_too() {
    let mut session = SessionOptions::default();
    session.fore_channel.max_response_size = 1024;
    let mut tree = Tree::with(TestServerOptions::default(), session).await;
    let granted = usize::try_from(tree.session.fore_channel.max_response_size).unwrap();
    let expected = fill(&mut tree, 200).await;
    let page = tree.run::<ReadDir>(&["export"], &args(&[FATTR4_TYPE])).await.unwrap();
    assert!(!page.eof && page.entries.len() * 36 < granted && !page.entries.is_empty());
    let (listed, _) = list(&mut tree, args(&[FATTR4_TYPE])).await;
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    tree.stop().await;
}

#[tokio::test]
async fn a_first_entry_that_the_session_has_no_room_for_is_too_big() {
    let mut session = SessionOptions::default();
    session.fore_channel.max_response_size = 1024;
    let mut tree = Tree::with(TestServerOptions::default(), session).await;
    tree.make(&"x".repeat(255), Kind::Fifo).await;
    // Answers before it fill the reply but for a little.
    let attr_request = Bitmap::of(&[FATTR4_SIZE]);
    let granted = usize::try_from(tree.session.fore_channel.max_response_size).unwrap();
    let before = (granted - 300) / 28;
    let compound = (0..before)
        .fold(tree.at(&["export"]), |compound, _| compound.op::<GetAttr>(&Getattr4Args { attr_request }));
    let reply = tree.session.run(compound.op::<ReadDir>(&args(&[]))).await;
    assert_eq!(reply.status, NFS4ERR_REP_TOO_BIG);
    tree.stop().await;
}

#[rstest]
#[case::reserved_1(1, ZEROS, NFS4ERR_BAD_COOKIE)]
#[case::reserved_2(2, ZEROS, NFS4ERR_BAD_COOKIE)]
#[case::start_with_a_verifier(0, [7; 8], NFS4ERR_BAD_COOKIE)]
#[tokio::test]
async fn a_cookie_is_refused(#[case] cookie: u64, #[case] cookieverf: Verifier4, #[case] expected: Status) {
    let mut tree = Tree::new().await;
    let page = tree.run::<ReadDir>(&["export"], &Readdir4Args { cookie, cookieverf, ..args(&[]) }).await;
    assert_eq!(page.unwrap_err(), expected);
    tree.stop().await;
}

#[tokio::test]
async fn what_can_only_be_set_cannot_be_had() {
    let mut tree = Tree::new().await;
    let page = tree.run::<ReadDir>(&["export"], &args(&[FATTR4_TYPE, FATTR4_TIME_MODIFY_SET])).await;
    assert_eq!(page.unwrap_err(), NFS4ERR_INVAL);
    tree.stop().await;
}

#[tokio::test]
async fn the_pseudo_file_system_shows_the_roots_of_the_exports() {
    let mut tree = Tree::new().await;
    let wanted = [FATTR4_TYPE, FATTR4_FSID, FATTR4_FILEHANDLE, FATTR4_FILEID, FATTR4_MOUNTED_ON_FILEID];
    let page = tree.run::<ReadDir>(&[], &args(&wanted)).await.unwrap();
    assert_eq!(names(&page), ["export", "other"]);
    assert!(page.eof);
    for entry in &page.entries {
        let name = String::from_utf8(entry.name.to_vec()).unwrap();
        let path = [name.as_str()];
        let mut values = values(entry, &wanted);
        assert_eq!(FileType::decode(&mut values), Ok(FileType::Dir));
        assert_eq!(Fsid::decode(&mut values), Ok(tree.attribute(&path, FATTR4_FSID).await));
        assert_eq!(NfsFh4::decode(&mut values), Ok(tree.session.lookup(&path).await));
        assert_eq!(values.u64(), Ok(tree.attribute(&path, FATTR4_FILEID).await));
        assert_eq!(values.u64(), Ok(tree.attribute(&path, FATTR4_MOUNTED_ON_FILEID).await));
    }
    // And page by page.
    let mut next = Readdir4Args { maxcount: EMPTY_LEN + ENTRY_LEN, ..args(&[]) };
    let first = tree.run::<ReadDir>(&[], &next).await.unwrap();
    assert_eq!((names(&first), first.eof), (vec!["export".to_owned()], false));
    next.cookie = first.entries[0].cookie;
    next.cookieverf = first.cookieverf;
    let second = tree.run::<ReadDir>(&[], &next).await.unwrap();
    assert_eq!((names(&second), second.eof), (vec!["other".to_owned()], true));
    tree.stop().await;
}

#[tokio::test]
async fn only_directories_can_be_listed() {
    let mut tree = Tree::new().await;
    let statuses = tree.statuses::<ReadDir>(&args(&[])).await;
    assert_eq!(statuses, by_kind(|kind| if kind == Kind::Dir { NFS4_OK } else { NFS4ERR_NOTDIR }));
    tree.stop().await;
}

#[tokio::test]
async fn read_permission_is_needed() {
    let mut tree = Tree::new().await;
    tree.session.mkdir("dir").await;
    let closed = Setattr4Args { stateid: Stateid::ANONYMOUS, obj_attributes: mode_attr(0o711) };
    tree.run::<SetAttr>(&["export", "dir"], &closed).await.unwrap();
    tree.session.act_as(1, 1, &[]);
    let page = tree.run::<ReadDir>(&["export", "dir"], &args(&[])).await;
    assert_eq!(page.unwrap_err(), NFS4ERR_ACCESS);
    tree.stop().await;
}

#[tokio::test]
async fn it_refuses_like_every_operation() {
    let mut tree = Tree::new().await;
    tree.check_common::<ReadDir>(&args(&[FATTR4_TYPE]), Asks::FileSystem).await;
    tree.stop().await;
}
