//! The example that serves an archive, asked over the wire.
//!
//! Origin: what `tar` makes of a small tree.
//! RFC: 8881 sections 18.13, 18.22 and 18.23.

use std::io::Cursor;
use std::path::Path;

use dittofs_framework::attr::{FATTR4_MODE, FATTR4_NUMLINKS};
use dittofs_framework::proto::{NFS4ERR_ROFS, NFS4ERR_STALE};
use dittofs_ops::getattr::{GetAttr, Getattr4Args};
use dittofs_ops::open::OpenFlag4;
use dittofs_ops::remove::{Remove, Remove4Args};
use dittofs_tests::{BOTH, OpenFile, READ, open_args};

use crate::example::Example;

/// Writes an archive with `d/file`, `d/link` to it, and `extra`.
fn write_archive(path: &Path, extra: &str) {
    let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
    let mut add = |path: &str, mode: u32, data: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, path, Cursor::new(data)).unwrap();
    };
    add("d/file", 0o640, "in the archive");
    add(extra, 0o644, "");
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    link.set_mode(0o640);
    link.set_uid(0);
    link.set_gid(0);
    link.set_mtime(0);
    archive.append_link(&mut link, "d/link", "d/file").unwrap();
    archive.finish().unwrap();
}

#[tokio::test]
async fn shows_what_is_in_the_archive_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.tar");
    write_archive(&path, "extra");
    let example = Example::start("archive_export", &[&path]);
    let mut session = example.session("reader").await;
    let args = open_args("link", READ, 0, "owner", OpenFlag4::NoCreate(()));
    let (fh, opened) = session.try_open(&["export", "d"], &args).await.unwrap();
    assert_eq!(session.lookup(&["export", "d", "file"]).await, fh, "links are one file");
    assert_eq!(session.attribute::<u32>(&fh, FATTR4_NUMLINKS).await, 2);
    assert_eq!(session.attribute::<u32>(&fh, FATTR4_MODE).await, 0o640);
    let file = OpenFile { fh, stateid: opened.stateid };
    assert_eq!(&session.read(&file, 7, 100).await.data.0[..], b"archive");
    let args = open_args("file", BOTH, 0, "owner", OpenFlag4::NoCreate(()));
    assert_eq!(session.try_open(&["export", "d"], &args).await.unwrap_err(), NFS4ERR_ROFS);
    let dir_fh = session.lookup(&["export", "d"]).await;
    let target = dittofs_framework::proto::component("file");
    assert_eq!(session.run_on::<Remove>(&dir_fh, &Remove4Args { target }).await.map(drop), Err(NFS4ERR_ROFS));
    example.stop();
}

#[tokio::test]
async fn handles_outlive_the_server_and_not_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.tar");
    write_archive(&path, "extra");
    let example = Example::start("archive_export", &[&path]);
    let fh = example.session("reader").await.lookup(&["export", "d", "file"]).await;
    example.stop();

    let example = Example::start("archive_export", &[&path]);
    let mut session = example.session("reader").await;
    assert_eq!(session.attribute::<u32>(&fh, FATTR4_MODE).await, 0o640);
    example.stop();

    write_archive(&path, "other");
    let example = Example::start("archive_export", &[&path]);
    let mut session = example.session("reader").await;
    let args = Getattr4Args { attr_request: dittofs_framework::attr::Bitmap::of(&[FATTR4_MODE]) };
    assert_eq!(session.run_on::<GetAttr>(&fh, &args).await.map(drop), Err(NFS4ERR_STALE));
    example.stop();
}
