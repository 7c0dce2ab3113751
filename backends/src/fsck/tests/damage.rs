//! Origin: each way in which a volume can be wrong: found, repaired, and then there is nothing left to find.
//! RFC: none; what the records mean is said in `storage`.

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::*;
use rstest::rstest;

use super::world::*;
use crate::fsck::Mode;

fn inode(ino: u64, record: InodeRecord) -> Mutation {
    Mutation::PutInode(Ino(ino), record)
}

fn remove(dir: u64, name_: &str, cookie: u64) -> Mutation {
    Mutation::RemoveEntry { dir: Ino(dir), name: name(name_), cookie }
}

#[tokio::test]
async fn a_sound_volume_has_no_problems() {
    let world = World::sound().await;
    let report = world.fsck(Mode::Check).await;
    let expected = "7 objects, 3 of them directories, 6 names, 2 extended attributes, 2 contents; from a crash: 1 orphans, \
                    0 contents to be cut, 0 figures of space; problems: 0 found, 0 left";
    assert_eq!(report.to_string(), expected, "{:?}", report.problems);
}

#[tokio::test]
async fn a_new_volume_has_no_problems() {
    let world = World::empty();
    for mode in [Mode::Check, Mode::Repair] {
        assert_eq!(world.fsck(mode).await.found, 0);
    }
    assert_eq!(world.metadata.volume().await.unwrap(), None);
}

/// What is done to a sound volume, and what a check says of it.
#[rstest]
#[case::next_ino(
    vec![Mutation::PutVolume(VolumeRecord { next_ino: 7, ..VOLUME })],
    &["volume: the next object gets number 7, and 7 is in use"]
)]
#[case::inode_count(
    vec![Mutation::PutVolume(VolumeRecord { inodes: 9, ..VOLUME })],
    &["volume: 9 objects recorded, 7 found"]
)]
#[case::links_of_a_file(
    vec![inode(6, file(2, 0))],
    &["object 6: 2 links recorded, 1 found"]
)]
#[case::links_of_a_directory(
    vec![inode(5, directory(2, 3, 1, 4))],
    &["object 5: 3 links recorded, 2 found"]
)]
#[case::entries(
    vec![inode(5, directory(2, 2, 2, 4))],
    &["directory 5: 2 entries recorded, 1 found"]
)]
#[case::next_cookie(
    vec![inode(2, directory(1, 3, 2, 8))],
    &["directory 2: the next cookie is 8, and 8 is in use"]
)]
#[case::parent(
    vec![inode(5, directory(1, 2, 1, 4))],
    &["directory 5: 1 recorded as its parent, 2 found"]
)]
#[case::parent_of_the_root(
    vec![inode(1, directory(2, 3, 3, 6))],
    &["directory 1: 2 recorded as its parent, 1 found"]
)]
#[case::name_of_nothing(
    vec![entry(5, "y", 2, 99, FileType::Reg)],
    &["directory 5: the name \"y\" stands for object 99, which is not there"]
)]
#[case::object_gone(
    vec![Mutation::RemoveInode(Ino(6))],
    &[
        "volume: 7 objects recorded, 6 found",
        "directory 5: the name \"x\" stands for object 6, which is not there",
        "directory 5: 1 entries recorded, 0 found",
    ]
)]
#[case::name_in_nothing(
    vec![entry(99, "y", 3, 6, FileType::Reg)],
    &["directory 99: the name \"y\" is in what is no directory that is there"]
)]
#[case::name_in_a_file(
    vec![entry(6, "y\n", 3, 6, FileType::Reg)],
    &["directory 6: the name \"y\\n\" is in what is no directory that is there"]
)]
#[case::name_with_a_slash(
    vec![entry(5, "y/z", 2, 6, FileType::Reg)],
    &["directory 5: the name \"y/z\" cannot be a name"]
)]
#[case::dot_dot(
    vec![entry(5, "..", 2, 2, FileType::Dir)],
    &["directory 5: the name \"..\" cannot be a name"]
)]
#[case::type_in_entry(
    vec![remove(5, "x", 3), entry(5, "x", 3, 6, FileType::Fifo)],
    &["directory 5: the name \"x\" is recorded as a named pipe and stands for a regular file"]
)]
#[case::type_in_record(
    vec![inode(6, InodeRecord { file_type: FileType::Lnk, ..file(1, 0) })],
    &["object 6: its record is not that of a symbolic link"]
)]
#[case::name_of_the_root(
    vec![entry(5, "y", 2, 1, FileType::Dir)],
    &["directory 5: the name \"y\" stands for the root directory"]
)]
#[case::second_name(
    vec![entry(5, "y", 2, 2, FileType::Dir)],
    &["directory 5: the name \"y\" is a second name of directory 2"]
)]
#[case::second_name_that_comes_first(
    vec![entry(1, "y", 2, 5, FileType::Dir)],
    &["directory 1: the name \"y\" is a second name of directory 5"]
)]
#[case::in_itself(
    vec![remove(1, "a", 3), entry(5, "y", 2, 2, FileType::Dir)],
    &[
        "directory 2: inside of itself",
        "object 1: 3 links recorded, 2 found",
        "directory 1: 3 entries recorded, 2 found",
    ]
)]
#[case::lost_file(
    vec![remove(5, "x", 3), inode(5, directory(2, 2, 0, 4))],
    &["object 6: a regular file without a name"]
)]
#[case::lost_file_with_links(
    vec![remove(5, "x", 3), inode(5, directory(2, 2, 0, 4)), inode(6, file(7, 0))],
    &["object 6: a regular file without a name"]
)]
#[case::lost_directory(
    vec![remove(2, "b", 8), inode(2, directory(1, 2, 1, 9))],
    &["object 5: a directory without a name"]
)]
#[case::xattr_bytes(
    vec![inode(3, InodeRecord { xattr_bytes: 8, ..with_xattrs() })],
    &["object 3: 8 bytes of extended attributes recorded, 9 found"]
)]
#[case::xattr_cookie(
    vec![inode(3, InodeRecord { next_xattr_cookie: 2, ..with_xattrs() })],
    &["object 3: the next cookie is 2, and 2 is in use"]
)]
#[case::orphan_of_nothing(
    vec![Mutation::MarkOrphan(Ino(99))],
    &["object 99: marked as an orphan and not there"]
)]
#[case::orphan_with_a_name(
    vec![Mutation::MarkOrphan(Ino(6))],
    &["object 6: marked as an orphan and has a name"]
)]
#[case::orphan_that_is_the_root(
    vec![Mutation::MarkOrphan(Ino(1))],
    &["object 1: marked as an orphan and has a name"]
)]
#[case::orphan_with_entries(
    vec![remove(2, "b", 8), inode(2, directory(1, 2, 1, 9)), Mutation::MarkOrphan(Ino(5))],
    &["directory 5: marked as an orphan and not empty", "object 5: a directory without a name"]
)]
#[tokio::test]
async fn damage_is_found_and_repaired(#[case] damage: Vec<Mutation>, #[case] expected: &[&str]) {
    let world = World::sound().await;
    world.apply(damage).await;
    repair(&world, expected).await;
    for kept in [1, 2, 3, 4, 5] {
        assert!(world.record(kept).await.is_some(), "{kept}");
    }
    assert_eq!(world.record(7).await, None, "the orphan");
}

/// A check finds the problems, and no more once they are repaired.
async fn repair(world: &World, expected: &[&str]) {
    assert_eq!(world.problems().await, expected);
    assert_eq!(world.problems().await, expected, "a check changes nothing");
    let report = world.fsck(Mode::Repair).await;
    assert_eq!(report.left, 0, "{:?}", world.problems().await);
    let repaired: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    assert!(expected.iter().all(|expected| repaired.iter().any(|found| found == expected)), "{repaired:?}");
    assert_eq!(world.problems().await, [""; 0]);
}

/// Where what had no place is put.
#[rstest]
#[case::file(vec![remove(5, "x", 3)], "lost+found/#6", 6)]
#[case::directory(vec![remove(2, "b", 8)], "lost+found/#5/x", 6)]
#[case::out_of_a_loop(
    vec![remove(1, "a", 3), entry(5, "y", 2, 2, FileType::Dir)],
    "lost+found/#2/b/x",
    6
)]
#[case::of_a_directory_that_is_gone(
    vec![entry(99, "y", 3, 8, FileType::Reg), inode(8, file(1, 0))],
    "lost+found/#8",
    8
)]
#[case::beside_a_file_of_that_name(
    vec![
        remove(5, "x", 3), remove(1, "l", 5),
        inode(8, directory(1, 2, 1, 4)), entry(1, "lost+found", 2, 8, FileType::Dir),
        entry(8, "#6", 3, 4, FileType::Lnk),
    ],
    "lost+found/#6.2",
    6
)]
#[case::beside_another_lost_and_found(
    vec![remove(5, "x", 3), remove(1, "l", 5), entry(1, "lost+found", 5, 4, FileType::Lnk)],
    "lost+found.2/#6",
    6
)]
#[case::name_that_comes_later(vec![entry(1, "y", 2, 5, FileType::Dir)], "a/b/x", 6)]
#[tokio::test]
async fn lost_objects_are_found_again(#[case] damage: Vec<Mutation>, #[case] path: &str, #[case] ino: u64) {
    let world = World::sound().await;
    world.apply(damage).await;
    assert_eq!(world.fsck(Mode::Repair).await.left, 0);
    assert_eq!(world.find(path).await, Some(ino));
    assert_eq!(world.problems().await, [""; 0]);
    assert_eq!(world.record(ino).await.unwrap().nlink, 1);
}

#[tokio::test]
async fn without_a_root_there_is_a_new_one() {
    let world = World::sound().await;
    world.apply([inode(1, file(1, 0))]).await;
    assert!(world.problems().await.contains(&"the root directory is missing".to_owned()));
    assert_eq!(world.fsck(Mode::Repair).await.left, 0);
    assert_eq!(world.problems().await, [""; 0]);
    assert_eq!(world.find("a/b/x").await, Some(6));
}

#[tokio::test]
async fn without_its_record_the_volume_gets_a_new_one() {
    let world = World::empty();
    world.apply([inode(1, directory(1, 2, 0, 3))]).await;
    repair(&world, &["the record of the volume is missing"]).await;
    let volume = world.metadata.volume().await.unwrap().unwrap();
    assert_eq!((volume.next_ino, volume.inodes), (2, 1));
}

#[rstest]
#[case::not_found(None, "a/g")]
#[case::found_elsewhere(Some(Entry { cookie: 7, ino: Ino(6), file_type: FileType::Reg }), "a/g")]
#[tokio::test]
async fn look_up_and_listing_become_the_same(#[case] found: Option<Entry>, #[case] path: &str) {
    let world = World::sound().await;
    world.metadata.entries.lock().insert((Ino(2), name("g")), found);
    let problems = world.problems().await;
    assert_eq!(
        problems.first().map(String::as_str),
        Some("directory 2: the name \"g\" is listed and not found so")
    );
    assert_eq!(world.fsck(Mode::Repair).await.left, 0);
    assert_eq!(world.problems().await, [""; 0]);
    assert_eq!(world.find(path).await, Some(found.map_or(3, |found| found.ino.0)));
}

#[rstest]
#[case::not_found(None, 1)]
#[case::found_elsewhere(Some(Xattr { cookie: 2, value: name("other") }), 2)]
#[tokio::test]
async fn extended_attributes_too(#[case] found: Option<Xattr>, #[case] left: usize) {
    let world = World::sound().await;
    world.metadata.xattrs.lock().insert((Ino(3), name("one")), found);
    let problems = world.problems().await;
    let expected = "object 3: its extended attribute \"one\" is listed and not found so";
    assert_eq!(problems.first().map(String::as_str), Some(expected));
    assert_eq!(world.fsck(Mode::Repair).await.left, 0);
    assert_eq!(world.problems().await, [""; 0]);
    assert!(world.metadata.xattrs(Ino(3), 0, 9).await.unwrap().len() <= left);
}

#[rstest]
#[case::of_nothing(99)]
#[case::of_a_directory(5)]
#[tokio::test]
async fn contents_of_no_file_are_removed(#[case] ino: u64) {
    let world = World::sound().await;
    world.write(ino, b"1234").await;
    let expected = format!("object {ino}: 4 bytes of contents, and it is no regular file that is there");
    repair(&world, &[&expected]).await;
    assert_eq!(world.content.size(Ino(ino)).await.unwrap(), None);
}

/// What a crash leaves by design.
#[tokio::test]
async fn the_rest_of_unstable_data_is_no_problem() {
    let world = World::sound().await;
    world.apply([inode(3, InodeRecord { size: 4, ..with_xattrs() })]).await;
    let report = world.fsck(Mode::Check).await;
    assert_eq!((report.found, report.orphans, report.excess, report.figures), (0, 1, 1, 0));
    let report = world.fsck(Mode::Repair).await;
    assert_eq!((report.objects, report.orphans, report.excess), (6, 1, 1));
    assert_eq!(world.content.size(Ino(3)).await.unwrap().unwrap().len, 4);
    assert_eq!(world.content.size(Ino(7)).await.unwrap(), None, "contents of the orphan");
    let report = world.fsck(Mode::Check).await;
    assert_eq!((report.found, report.orphans, report.excess, report.figures), (0, 0, 0, 0));
}

#[tokio::test]
async fn figures_of_space_are_corrected() {
    let world = World::sound().await;
    world.apply([inode(6, InodeRecord { allocated: 1, ..file(1, 0) })]).await;
    let report = world.fsck(Mode::Repair).await;
    assert_eq!((report.found, report.figures), (0, 1));
    assert_eq!(world.record(6).await.unwrap(), file(1, 0), "nothing that clients look at");
    assert_eq!(world.fsck(Mode::Check).await.figures, 0);
}

#[tokio::test]
async fn an_orphan_goes_with_its_extended_attributes() {
    let world = World::sound().await;
    let orphan = InodeRecord { xattr_bytes: 4, next_xattr_cookie: 2, allocated: 4096, ..file(0, 3) };
    world.apply([inode(7, orphan), xattr(7, "one", 1, b"1")]).await;
    assert_eq!(world.fsck(Mode::Repair).await.found, 0);
    assert_eq!(world.metadata.xattrs(Ino(7), 0, 9).await.unwrap(), []);
    assert_eq!(world.metadata.volume().await.unwrap().unwrap().inodes, 6);
}

#[tokio::test]
async fn clients_see_that_a_record_was_corrected() {
    let world = World::sound().await;
    world.apply([entry(5, "y", 2, 99, FileType::Reg)]).await;
    world.fsck(Mode::Repair).await;
    let record = world.record(5).await.unwrap();
    assert_eq!((record.change, record.times.metadata), (6, NOW), "of the directory of the name");
    assert_eq!(world.record(6).await.unwrap().change, 5, "of another object");
}

#[tokio::test]
async fn the_list_of_problems_has_an_end() {
    let world = World::sound().await;
    world.apply((100..350).map(|number| entry(99, &format!("{number}"), number, 6, FileType::Reg))).await;
    let report = world.fsck(Mode::Check).await;
    assert_eq!((report.problems.len(), report.found), (100, 250));
}

// Origin: a removal that returned was not durable when the power went.
#[tokio::test]
async fn what_a_file_had_that_is_gone_is_no_problem() {
    let world = World::sound().await;
    world.write(8, b"1234").await;
    let volume = world.metadata.volume().await.unwrap().unwrap();
    world.apply([Mutation::PutVolume(VolumeRecord { next_ino: 9, ..volume })]).await;
    let before = world.fsck(Mode::Check).await;
    assert_eq!((before.found, before.excess), (0, 1), "{:?}", before.problems);
    world.fsck(Mode::Repair).await;
    assert_eq!(world.content.size(Ino(8)).await.unwrap(), None);
    assert_eq!(world.fsck(Mode::Check).await.excess, 0);
}
