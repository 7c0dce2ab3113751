//! Origin: what an operator meets with a data directory.
//! RFC: none.

use std::os::unix::fs::PermissionsExt;

use dittofs_framework::attr::FATTR4_SIZE;
use dittofs_tests::Client;
use rstest::rstest;

use crate::program::{Data, Server, complaint, dfs};

#[test]
fn without_anything_else_there_is_a_durable_share() {
    let home = tempfile::tempdir().unwrap();
    let mut command = dfs(&["start", "--listen", "127.0.0.1:0"]);
    let mut server = Server::of(command.env("XDG_DATA_HOME", home.path()));
    let place = home.path().join("dittofs");
    let said = server.line();
    let share = format!("share in {}; mount it with: ", place.join("shares/export").display());
    assert!(said.contains(&share), "{said}");
    assert!(said.contains("127.0.0.1:/export /mnt"), "{said}");
    assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    server.stop();
}

#[test]
fn without_a_place_it_says_how_to_name_one() {
    let mut command = dfs(&["start", "--listen", "127.0.0.1:0"]);
    let output = command.env_remove("XDG_DATA_HOME").env_remove("HOME").output().unwrap();
    let expected = "dfs: neither XDG_DATA_HOME nor HOME says where data is kept; say it with --data-dir";
    assert_eq!(complaint(&output, 1), expected);
}

#[test]
fn a_second_server_is_refused() {
    let data = Data::new();
    let server = data.start(&[]);
    let expected = format!("dfs: the data directory DATA is in use by another dfs (process {})", server.id());
    assert_eq!(data.refused(&[]), expected);
    assert_eq!(data.refused(&["--share", "other"]), expected);
    server.kill();
    data.start(&[]).stop();
}

/// What is done to the directory of a server that ran, and what the next one says.
#[rstest]
#[case::another_version(
    "FORMAT",
    Some("dittofs data directory, version 7\n"),
    "dfs: the data directory DATA has format version 7, and this program reads version 1"
)]
#[case::another_directory(
    "FORMAT",
    Some("something else\n"),
    "dfs: DATA is not a data directory of dfs, and is not empty: give an empty one, or one that is not there"
)]
#[case::damaged_key(
    "server",
    Some("identity 00\n"),
    "dfs: DATA/server is damaged: it has no checksum; bring it back from a backup"
)]
#[case::lost_key("server", None, "dfs: DATA/server is missing; bring it back from a backup")]
#[case::damaged_exports(
    "exports",
    Some("1 share export\nchecksum 00\n"),
    "dfs: DATA/exports is damaged: it does not match its checksum; bring it back from a backup"
)]
#[case::lost_exports("exports", None, "dfs: DATA/exports is missing; bring it back from a backup")]
#[case::damaged_journal(
    "state",
    Some("something else"),
    "dfs: who may reclaim after the restart is not known: the state store is damaged at byte 0: no header of a journal"
)]
#[case::another_share(
    "shares/export/FORMAT",
    Some("dittofs share 9\n"),
    "dfs: cannot open the share export: DATA/shares/export has format version 9, and this program reads version 1"
)]
fn what_is_wrong_is_said_and_left(#[case] file: &str, #[case] content: Option<&str>, #[case] expected: &str) {
    let data = Data::new();
    data.start(&[]).stop();
    let path = data.path().join(file);
    match content {
        Some(content) => std::fs::write(&path, content).unwrap(),
        None => std::fs::remove_file(&path).unwrap(),
    }
    assert_eq!(data.refused(&[]), expected);
    assert_eq!(data.refused(&[]), expected, "again");
    assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), content);
}

/// What is lost of a share with files, and what is missing then. A disk that is not mounted leaves an empty directory.
#[rstest]
#[case::all("shares", &["shares"], "shares/export")]
#[case::the_share("shares/export", &[], "shares/export")]
#[case::its_disk("shares/export", &["shares/export"], "shares/export")]
#[case::metadata("shares/export/metadata", &[], "shares/export/metadata")]
#[case::the_disk_of_metadata("shares/export/metadata", &["shares/export/metadata"], "shares/export/metadata")]
#[case::contents("shares/export/contents", &[], "shares/export/contents")]
#[tokio::test]
async fn a_lost_share_is_not_made_anew(#[case] lost: &str, #[case] left: &[&str], #[case] missing: &str) {
    let data = Data::new();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await.session("client").await;
    let file = client.open("file").await;
    client.write(&file, 0, b"secret").await;
    let server_handle = file.fh.clone();
    server.stop();
    let (path, aside) = (data.path().join(lost), data.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    for left in left {
        std::fs::create_dir(data.path().join(left)).unwrap();
    }
    let expected = format!(
        "dfs: the share export was made earlier, and DATA/{missing} is missing or empty: mount its disk, bring it back from a backup, or give a new share another name"
    );
    assert_eq!(data.refused(&[]), expected);
    data.command("fsck", &["--repair"]).output().unwrap();
    assert_eq!(data.refused(&[]), expected, "after a repair");
    data.start(&["--share", "other"]).stop();
    assert_eq!(data.refused(&["--share", "other", "--share", "export"]), expected, "with another one");
    let _ = std::fs::remove_dir_all(&path);
    std::fs::rename(&aside, &path).unwrap();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await.session("client").await;
    assert_eq!(client.lookup(&["export", "file"]).await, server_handle);
    server.stop();
}

/// What a crash leaves of a share that was being made, before its number is entered.
#[rstest]
#[case::nothing(&[], &[])]
#[case::its_directory(&["shares/export"], &[])]
#[case::half_a_format(&["shares/export"], &["shares/export/LOCK", "shares/export/FORMAT.new"])]
#[case::the_rest_to_be_made(&["shares/export", "shares/export/contents"], &["shares/export/LOCK", "shares/export/FORMAT"])]
fn a_share_that_was_being_made_is_made(#[case] directories: &[&str], #[case] files: &[&str]) {
    let data = Data::new();
    data.start(&["--share", "other"]).stop();
    for directory in directories {
        std::fs::create_dir(data.path().join(directory)).unwrap();
    }
    for file in files {
        let content = if file.ends_with("FORMAT") { "dittofs share 1\n" } else { "" };
        std::fs::write(data.path().join(file), content).unwrap();
    }
    for _ in 0..2 {
        data.start(&[]).stop();
    }
}

/// A share that is whole, and whose number was not entered: it goes on, with what is in it.
#[tokio::test]
async fn a_share_without_a_number_gets_one() {
    let data = Data::new();
    data.start(&["--share", "other"]).stop();
    let exports = data.path().join("exports");
    let before = std::fs::read(&exports).unwrap();
    let server = data.start(&[]);
    Client::connect_to(server.addr).await.session("client").await.open("file").await;
    server.stop();
    std::fs::write(&exports, before).unwrap();
    let server = data.start(&[]);
    let mut client = Client::connect_to(server.addr).await.session("client").await;
    client.lookup(&["export", "file"]).await;
    server.stop();
}

#[test]
fn a_key_that_others_may_read_is_warned_of() {
    let data = Data::new();
    data.start(&[]).stop();
    let key = data.path().join("server");
    for (mode, is_warned) in [(0o600, false), (0o640, true)] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let server = data.start(&[]);
        assert_eq!(server.before.contains("others may read the key"), is_warned, "{}", server.before);
        server.stop();
    }
}

#[test]
fn two_exports_of_one_name_are_refused() {
    let data = Data::new();
    assert_eq!(data.refused(&["--share", "a", "--share", "a"]), "dfs: two exports have the name a");
}

#[tokio::test]
async fn each_share_is_another_file_system() {
    let data = Data::new();
    let server = data.start(&["--share", "b", "--share", "a"]);
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    let before = [session.lookup(&["a"]).await, session.lookup(&["b"]).await];
    assert_ne!(before[0], before[1]);
    server.stop();
    let server = data.start(&["--share", "a", "--share", "c", "--share", "b"]);
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    let after = [session.lookup(&["a"]).await, session.lookup(&["b"]).await];
    assert_eq!(before, after, "another order, and one more");
    server.stop();
}

#[tokio::test]
async fn a_directory_of_the_machine_is_served() {
    let (data, outside) = (Data::new(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("file"), "what is there").unwrap();
    let export = format!("pub={}", outside.path().display());
    let mut server = data.start(&["--directory", &export]);
    let said = server.line();
    assert!(said.contains(&format!("directory {}; mount it with: ", outside.path().display())), "{said}");
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    let before = session.lookup(&["pub", "file"]).await;
    assert_eq!(session.attribute::<u64>(&before, FATTR4_SIZE).await, 13);
    assert!(!data.path().join("shares/export").exists(), "no share that nobody asked for");
    server.stop();
    std::fs::rename(outside.path().join("file"), outside.path().join("other")).unwrap();
    let server = data.start(&["--share", "first", "--directory", &export]);
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    assert_eq!(session.lookup(&["pub", "other"]).await, before);
    server.stop();
}

#[test]
fn a_directory_that_cannot_be_served_ends_the_start() {
    let data = Data::new();
    data.start(&[]).stop();
    let inside = format!("a={}", data.path().join("shares").display());
    let expected = "dfs: cannot export DATA/shares as a: it is in the data directory DATA";
    assert_eq!(data.refused(&["--directory", &inside]), expected);
    let around = format!("a={}", data.path().parent().unwrap().display());
    let said = data.refused(&["--directory", &around]);
    assert!(said.contains("is inside of the exported directory"), "{said}");
    let missing = format!("a={}", data.path().join("missing").display());
    let expected = "dfs: cannot export DATA/missing as a: No such file or directory (os error 2)";
    assert_eq!(data.refused(&["--directory", &missing]), expected);
    let expected = "dfs: two exports have the name a";
    assert_eq!(data.refused(&["--share", "a", "--directory", "a=/"]), expected);
}
