//! The example with operations of its own, asked over the wire.
//!
//! Origin: the documentation of operations, docs/framework/operations.md.
//! RFC: 8881 section 18.23 for the READDIR that is replaced.

use dittofs_framework::attr::Bitmap;
use dittofs_framework::proto::{NFS4ERR_NOENT, NfsFh4, OP_LOOKUP, OP_READDIR};
use dittofs_ops::lookup::Lookup;
use dittofs_ops::readdir::{ReadDir, Readdir4Args};
use dittofs_tests::{Session, named};

use crate::example::Example;

#[path = "../../examples/custom_operation/audit.rs"]
#[allow(dead_code, reason = "of the layer only its operation is asked")]
mod audit;
#[path = "../../examples/custom_operation/free_bytes.rs"]
mod free_bytes;

use audit::{Count, Tally};
use free_bytes::FreeBytes;

/// The names in a directory, read in pages of so many bytes.
async fn names(session: &mut Session, dir: &NfsFh4, maxcount: u32) -> Vec<String> {
    let (mut cookie, mut cookieverf) = (0, [0; 8]);
    let mut names = Vec::new();
    loop {
        let args = Readdir4Args { cookie, cookieverf, dircount: 0, maxcount, attr_request: Bitmap::EMPTY };
        let page = session.run_on::<ReadDir>(dir, &args).await.unwrap();
        names.extend(page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.name.0).into_owned()));
        if page.eof {
            return names;
        }
        (cookie, cookieverf) = (page.entries.last().expect("progress").cookie, page.cookieverf);
    }
}

#[tokio::test]
async fn has_an_operation_that_no_rfc_has() {
    let example = Example::start::<&str>("custom_operation", &[]);
    let mut session = example.session("client").await;
    let share = session.share().await;
    let before = session.run_on::<FreeBytes>(&share, &()).await.unwrap();
    let file = session.open("file").await;
    session.write(&file, 0, &vec![1; 1 << 20]).await;
    let after = session.run_on::<FreeBytes>(&share, &()).await.unwrap();
    assert!(before - after >= 1 << 20, "{before} bytes free, then {after}");
    example.stop();
}

#[tokio::test]
async fn has_an_operation_in_the_place_of_another() {
    let example = Example::start::<&str>("custom_operation", &[]);
    let mut session = example.session("client").await;
    for name in ["a", "b~", "c~", "d~", "e"] {
        session.mkdir(name).await;
    }
    let share = session.share().await;
    assert_eq!(names(&mut session, &share, 4096).await, ["a", "e"]);
    // An entry takes 32 bytes here and the end 16: a page has one, and those of `b~` to `d~` would have none.
    assert_eq!(names(&mut session, &share, 48).await, ["a", "e"]);
    session.lookup(&["export", "b~"]).await;
    example.stop();
}

#[tokio::test]
async fn has_a_layer_around_all_of_them() {
    let example = Example::start::<&str>("custom_operation", &[]);
    let mut session = example.session("client").await;
    let share = session.share().await;
    assert_eq!(session.run_on::<Lookup>(&share, &named("none")).await, Err(NFS4ERR_NOENT));
    names(&mut session, &share, 4096).await;
    let mut tally =
        async |opnum: u32| session.run(session.compound().op::<Tally>(&opnum)).await.ok().get::<Tally>();
    assert_eq!(tally(OP_LOOKUP.code()).await, Count { calls: 2, failed: 1 });
    assert_eq!(
        tally(OP_READDIR.code()).await,
        Count { calls: 1, failed: 0 },
        "the layer is around what was replaced too"
    );
    session.act_as(1000, 1000, &[]);
    session.mkdir("made").await;
    let said = example.stop();
    assert!(said.contains(&"audit: uid 1000: CREATE: done".to_owned()), "{said:?}");
}
