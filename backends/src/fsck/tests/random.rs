//! Origin: whatever is done to a volume, a repair leaves it sound and loses no object.
//! RFC: none.

use dittofs_framework::proto::FileType;
use dittofs_framework::storage::*;
use proptest::prelude::*;

use super::world::*;
use crate::fsck::Mode;

/// A way to damage a volume; the numbers choose where.
#[derive(Debug, Clone)]
enum Damage {
    Volume { next_ino: u64, inodes: u64 },
    Record { ino: u64, nlink: u32, parent: u64, next_cookie: u64, entries: u64 },
    Body { ino: u64, is_dir: bool },
    NewName { dir: u64, cookie: u64, ino: u64, is_dir: bool },
    LostName { nth: usize },
    NewObject { ino: u64 },
    LostObject { nth: usize },
    Orphan { ino: u64 },
    Contents { ino: u64 },
}

fn damage() -> impl Strategy<Value = Damage> {
    let ino = 1..12_u64;
    prop_oneof![
        (0..12_u64, 0..12_u64).prop_map(|(next_ino, inodes)| Damage::Volume { next_ino, inodes }),
        (ino.clone(), 0..4_u32, ino.clone(), 0..9_u64, 0..4_u64).prop_map(
            |(ino, nlink, parent, next_cookie, entries)| Damage::Record {
                ino,
                nlink,
                parent,
                next_cookie,
                entries
            }
        ),
        (ino.clone(), any::<bool>()).prop_map(|(ino, is_dir)| Damage::Body { ino, is_dir }),
        (ino.clone(), 0..20_u64, ino.clone(), any::<bool>())
            .prop_map(|(dir, cookie, ino, is_dir)| Damage::NewName { dir, cookie, ino, is_dir }),
        (0..9_usize).prop_map(|nth| Damage::LostName { nth }),
        (8..12_u64).prop_map(|ino| Damage::NewObject { ino }),
        (0..9_usize).prop_map(|nth| Damage::LostObject { nth }),
        ino.clone().prop_map(|ino| Damage::Orphan { ino }),
        ino.prop_map(|ino| Damage::Contents { ino }),
    ]
}

/// Does it as a batch that a store takes, if it can be done.
async fn apply(world: &World, damage: Damage) {
    let store = &world.metadata;
    let mutation = match damage {
        Damage::Volume { next_ino, inodes } => {
            Some(Mutation::PutVolume(VolumeRecord { next_ino, inodes, ..VOLUME }))
        }
        Damage::Record { ino, nlink, parent, next_cookie, entries } => {
            world.record(ino).await.map(|mut record| {
                record.nlink = nlink;
                if let RecordBody::Directory(body) = &mut record.body {
                    *body = DirectoryRecord { parent: Ino(parent), entries, next_cookie };
                }
                Mutation::PutInode(Ino(ino), record)
            })
        }
        Damage::Body { ino, is_dir } => {
            let record = if is_dir { directory(1, 2, 0, 3) } else { file(1, 0) };
            world.record(ino).await.map(|_| Mutation::PutInode(Ino(ino), record))
        }
        Damage::NewName { dir, cookie, ino, is_dir } => {
            let before = store.entry_before(Ino(dir), cookie + 1).await.unwrap();
            let is_free = before.is_none_or(|before| before.entry.cookie != cookie);
            let file_type = if is_dir { FileType::Dir } else { FileType::Reg };
            let put = || entry(dir, &format!("{cookie}-new"), cookie, ino, file_type);
            is_free.then(put)
        }
        Damage::LostName { nth } => {
            let all = store.scan_entries((Ino(0), 0), 99).await.unwrap();
            all.into_iter().nth(nth).map(|(dir, found)| Mutation::RemoveEntry {
                dir,
                name: found.name,
                cookie: found.entry.cookie,
            })
        }
        Damage::NewObject { ino } => {
            world.record(ino).await.is_none().then(|| Mutation::PutInode(Ino(ino), file(1, 0)))
        }
        Damage::LostObject { nth } => lost_object(world, nth).await,
        Damage::Orphan { ino } => {
            let is_marked = store.orphans(Ino(ino - 1), 1).await.unwrap() == [Ino(ino)];
            (!is_marked).then_some(Mutation::MarkOrphan(Ino(ino)))
        }
        Damage::Contents { ino } => {
            world.write(ino, b"some").await;
            None
        }
    };
    world.apply(mutation).await;
}

/// One that a store lets go: without entries, extended attributes or a mark.
async fn lost_object(world: &World, nth: usize) -> Option<Mutation> {
    let store = &world.metadata;
    let (ino, _) = store.scan(Ino(0), 99).await.unwrap().into_iter().nth(nth)?;
    let is_bare = store.scan_entries((ino, 0), 1).await.unwrap().first().is_none_or(|(dir, _)| *dir != ino)
        && store.entry_before(ino, u64::MAX).await.unwrap().is_none()
        && store.xattrs(ino, 0, 1).await.unwrap().is_empty()
        && store.orphans(Ino(ino.0 - 1), 1).await.unwrap() != [ino];
    is_bare.then_some(Mutation::RemoveInode(ino))
}

async fn damage_and_repair(all: Vec<Damage>) {
    let world = World::sound().await;
    for damage in all {
        apply(&world, damage).await;
    }
    let before = world.metadata.scan(Ino(1), 99).await.unwrap();
    let orphans = world.metadata.orphans(Ino(0), 99).await.unwrap();
    let found = world.fsck(Mode::Check).await.found;
    let report = world.fsck(Mode::Repair).await;
    assert_eq!(report.found == 0, found == 0, "a repair finds what a check finds");
    assert_eq!(report.left, 0, "{:?}", world.problems().await);
    let after = world.fsck(Mode::Check).await;
    assert_eq!((after.found, after.orphans, after.excess), (0, 0, 0), "{:?}", after.problems);
    for (ino, _) in before {
        let is_there = world.record(ino.0).await.is_some();
        assert!(is_there || orphans.contains(&ino), "object {} is gone", ino.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_damage_is_repaired(all in prop::collection::vec(damage(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(damage_and_repair(all));
    }
}
