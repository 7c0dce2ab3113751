//! Origin: what scripts and people rely on in `dfs fsck`.
//! RFC: none.

use dittofs_tests::Client;
use rstest::rstest;

use crate::program::{Data, complaint, dfs, text};

/// A data directory with a share that has some files.
async fn used() -> Data {
    let data = Data::new();
    let server = data.start(&["--share", "a", "--share", "export"]);
    let mut session = Client::connect_to(server.addr).await.session("client").await;
    session.mkdir("directory").await;
    let file = session.open("file").await;
    session.write(&file, 0, b"data").await;
    session.close(&file).await;
    server.stop();
    data
}

fn fsck(data: &Data, args: &[&str]) -> (Option<i32>, String) {
    let output = data.command("fsck", args).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    (output.status.code(), text(&output.stdout).to_owned())
}

#[rstest]
#[case::check(&[])]
#[case::repair(&["--repair"])]
#[tokio::test]
async fn sound_shares_are_clean(#[case] args: &[&str]) {
    let data = used().await;
    let (status, said) = fsck(&data, args);
    assert_eq!(status, Some(0), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("share a: 1 objects, 1 of them directories, 0 names, "), "{said}");
    assert!(lines[1].starts_with("share export: 3 objects, 2 of them directories, 2 names, "), "{said}");
    assert_eq!(lines[2..], ["fsck: 2 shares, 0 problems found, 0 left"]);
}

/// Contents of a directory.
fn damage(data: &Data) {
    let contents = data.path().join("shares/export/contents/0/0");
    std::fs::create_dir_all(&contents).unwrap();
    std::fs::write(contents.join("2"), "x").unwrap();
}

#[tokio::test]
async fn problems_are_found_and_repaired() {
    let data = used().await;
    damage(&data);
    let problem = "share export: object 2: 1 bytes of contents, and it is no regular file that is there\n";
    for (args, expected, last) in [
        (&[][..], 4, "fsck: 2 shares, 1 problems found, 1 left\n"),
        (&["--repair", "--share", "a"], 0, "fsck: 1 shares, 0 problems found, 0 left\n"),
        (&["--share", "export"], 4, "fsck: 1 shares, 1 problems found, 1 left\n"),
        (&["--repair"], 1, "fsck: 2 shares, 1 problems found, 0 left\n"),
        (&[], 0, "fsck: 2 shares, 0 problems found, 0 left\n"),
    ] {
        let (status, said) = fsck(&data, args);
        assert_eq!(status, Some(expected), "{args:?}: {said}");
        assert!(said.ends_with(last), "{args:?}: {said}");
        assert_eq!(said.contains(problem), expected != 0, "{args:?}: {said}");
    }
}

#[tokio::test]
async fn programs_read_it_as_json() {
    let data = used().await;
    damage(&data);
    let (status, said) = fsck(&data, &["--format", "json"]);
    assert_eq!(status, Some(4));
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((json["problems_found"].as_u64(), json["problems_left"].as_u64()), (Some(1), Some(1)));
    let [a, export] = &json["shares"].as_array().unwrap()[..] else { panic!("{said}") };
    assert_eq!((a["share"].as_str(), a["outcome"].as_str()), (Some("a"), Some("clean")));
    assert_eq!((export["objects"].as_u64(), export["outcome"].as_str()), (Some(3), Some("problems-left")));
    assert_eq!(export["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_run_has_a_status_of_its_own() {
    let data = Data::new();
    let output = data.command("fsck", &[]).output().unwrap();
    let expected = format!("dfs: there is no data directory at {}", data.path().display());
    assert_eq!(complaint(&output, 8), expected);
    assert!(!data.path().exists());
    let server = data.start(&[]);
    let output = data.command("fsck", &["--repair"]).output().unwrap();
    assert!(complaint(&output, 8).contains("is in use by another dfs"));
    server.stop();
    let output = data.command("fsck", &["--share", "other"]).output().unwrap();
    assert_eq!(complaint(&output, 8), "dfs: there is no share other in the data directory");
    let output = dfs(&["fsck"]).env("XDG_DATA_HOME", data.path()).output().unwrap();
    assert!(complaint(&output, 8).starts_with("dfs: there is no data directory at "));
}

/// A disk that is not mounted leaves an empty directory.
#[tokio::test]
async fn a_lost_share_is_not_made_by_a_check() {
    let data = used().await;
    let share = data.path().join("shares/a");
    std::fs::remove_dir_all(&share).unwrap();
    std::fs::create_dir(&share).unwrap();
    for args in [&[][..], &["--repair"]] {
        let (status, said) = fsck(&data, args);
        assert_eq!(status, Some(8), "{said}");
        let expected = format!("share a: cannot be checked: {} is missing or empty\n", share.display());
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(share.read_dir().unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_share_that_cannot_be_opened_does_not_keep_others_from_it() {
    let data = used().await;
    std::fs::write(data.path().join("shares/a/FORMAT"), "dittofs share 9\n").unwrap();
    let (status, said) = fsck(&data, &[]);
    assert_eq!(status, Some(8), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("share a: cannot be checked: "), "{said}");
    assert!(lines[1].starts_with("share export: 3 objects"), "{said}");
    assert_eq!(lines[2..], ["fsck: 2 shares, 0 problems found, 0 left, 1 shares not checked"]);
}
