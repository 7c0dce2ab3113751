//! Origin: the statements of the RFC, one by one.
//! RFC: 8276 section 8.4.3.

use std::sync::Arc;

use dittofs_framework::proto::{
    NFS4ERR_ACCESS, NFS4ERR_NOTSUPP, NFS4ERR_REP_TOO_BIG, NFS4ERR_STALE, NFS4ERR_TOOSMALL, Status,
};
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::listxattrs::{ListXattrs, ListXattrs4Args, ListXattrs4ResOk};
use dittofs_tests::{SessionOptions, TestServerOptions};
use rstest::rstest;

use crate::common::{Object, World};
use crate::plain::Plain;

fn args(cookie: u64, maxcount: u32) -> ListXattrs4Args {
    ListXattrs4Args { cookie, maxcount }
}

/// A reply without names: the cookie, their number, and eof.
const EMPTY: u32 = 8 + 4 + 4;
/// A name of up to four bytes.
const NAME: u32 = 4 + 4;

#[tokio::test]
async fn a_file_without_attributes_has_an_empty_list() {
    let mut world = World::new().await;
    let list = world.run::<ListXattrs>(&args(0, EMPTY)).await.unwrap();
    assert!(list.eof && list.names.is_empty());
    world.stop().await;
}

/// "This maximum size represents all of the data being returned within the LISTXATTRS4resok structure and includes the XDR overhead."
#[rstest]
#[case::nothing(0, Err(NFS4ERR_TOOSMALL))]
#[case::not_the_overhead(EMPTY - 1, Err(NFS4ERR_TOOSMALL))]
#[case::not_one(EMPTY, Err(NFS4ERR_TOOSMALL))]
#[case::almost_one(EMPTY + NAME - 1, Err(NFS4ERR_TOOSMALL))]
#[case::one(EMPTY + NAME, Ok((1, false)))]
#[case::almost_two(EMPTY + 2 * NAME - 1, Ok((1, false)))]
#[case::two(EMPTY + 2 * NAME, Ok((2, false)))]
#[case::all(EMPTY + 3 * NAME, Ok((3, true)))]
#[case::plenty(u32::MAX, Ok((3, true)))]
#[tokio::test]
async fn of_three_names_there_is_room_for(
    #[case] maxcount: u32,
    #[case] expected: Result<(usize, bool), Status>,
) {
    let mut world = World::new().await;
    for name in ["a", "bb", "cccc"] {
        world.set_xattr(name, "value").await;
    }
    let list = world.run::<ListXattrs>(&args(0, maxcount)).await;
    if let Ok(list) = &list {
        assert!(encode_to_bytes(list).len() <= usize::try_from(maxcount).unwrap());
    }
    assert_eq!(list.map(|list| (list.names.len(), list.eof)), expected);
    world.stop().await;
}

/// Every name once, page by page.
#[rstest]
#[case::one_at_a_time(EMPTY + 12)]
#[case::some(EMPTY + 100)]
#[case::all(EMPTY + 10_000)]
#[tokio::test]
async fn cookies_go_on_where_the_last_page_ended(#[case] maxcount: u32) {
    let mut world = World::new().await;
    let mut expected: Vec<String> = (0..50).map(|number| format!("name{number}")).collect();
    for name in &expected {
        world.set_xattr(name, "value").await;
    }
    let mut found = Vec::new();
    let mut cookie = 0;
    loop {
        let page: ListXattrs4ResOk = world.run::<ListXattrs>(&args(cookie, maxcount)).await.unwrap();
        found.extend(page.names.iter().map(|name| String::from_utf8(name.to_vec()).unwrap()));
        if page.eof {
            break;
        }
        cookie = page.cookie;
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_list_over_the_sessions_limit_is_short() {
    let mut session = SessionOptions::default();
    session.fore_channel.max_response_size = 1024;
    let mut world = World::with(TestServerOptions::default(), session).await;
    for number in 0..8 {
        world.set_xattr(&format!("{number}{}", "n".repeat(200)), "value").await;
    }
    let list = world.run::<ListXattrs>(&args(0, 100_000)).await.unwrap();
    assert!(!list.eof && (2..8).contains(&list.names.len()));
    let reply = world.fill_reply::<ListXattrs>(&args(0, 100_000)).await;
    assert_eq!(reply, NFS4ERR_REP_TOO_BIG);
    world.stop().await;
}

/// The user name space is one of files and directories alone (RFC 8276 section 8.1).
#[rstest]
#[tokio::test]
async fn other_objects_have_none(
    #[values(Object::Symlink, Object::Fifo, Object::Socket, Object::Block, Object::Char)] object: Object,
) {
    let mut world = World::new().await;
    let fh = world.object(object).await;
    let done = world.run_on::<ListXattrs>(&fh, &args(0, 8192)).await;
    assert_eq!(done, Ok(ListXattrs4ResOk { cookie: 0, names: Vec::new(), eof: true }));
    world.stop().await;
}

#[tokio::test]
async fn a_file_system_without_extended_attributes_cannot() {
    let options = TestServerOptions { fs: Arc::new(Plain::default()), ..TestServerOptions::default() };
    let mut world = World::with(options, SessionOptions::default()).await;
    assert_eq!(world.run::<ListXattrs>(&args(0, 8192)).await, Err(NFS4ERR_NOTSUPP));
    let root = world.session.lookup(&[]).await;
    assert_eq!(
        world.run_on::<ListXattrs>(&root, &args(0, 8192)).await,
        Err(NFS4ERR_NOTSUPP),
        "pseudo file system"
    );
    world.stop().await;
}

#[tokio::test]
async fn it_needs_permission() {
    let mut world = World::new().await;
    world.set_xattr("name", "value").await;
    world.chmod(0o600).await;
    world.session.act_as(1000, 1000, &[]);
    assert_eq!(world.run::<ListXattrs>(&args(0, 8192)).await, Err(NFS4ERR_ACCESS));
    world.stop().await;
}

#[tokio::test]
async fn a_handle_of_a_removed_file_is_stale() {
    let mut world = World::new().await;
    world.remove("file").await;
    world.close().await;
    assert_eq!(world.run::<ListXattrs>(&args(0, 8192)).await, Err(NFS4ERR_STALE));
    world.stop().await;
}

#[tokio::test]
async fn a_call_without_handle_or_cut_short_is_refused() {
    let mut world = World::new().await;
    world.refuses_without_handle_and_cut_short::<ListXattrs>(&args(0, 8192)).await;
    world.stop().await;
}
