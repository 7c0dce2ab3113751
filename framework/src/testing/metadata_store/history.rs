//! What is there after restarts.

use std::sync::Arc;

use super::model::Model;
use super::{MetadataStoreFixture, apply, entry, file, name, put_entry, put_inode, put_xattr, remove_entry};
use crate::storage::{Batch, Ino, InodeRecord, MetadataStore, Mutation, VolumeRecord, Xattr};
use crate::testing::random::Random;

pub async fn everything_is_there_after_a_restart(fixture: &mut impl MetadataStoreFixture) {
    let mut model = Model::default();
    let batch = vec![
        Mutation::PutVolume(VolumeRecord { id: [7; 8], next_ino: 9, inodes: 2, starts: 3 }),
        put_inode(1, 1),
        put_inode(2, 2),
        put_entry(1, "file", 3, 2),
        put_xattr(2, "x", 1, "value"),
        Mutation::MarkOrphan(Ino(2)),
    ];
    model.apply_all(&batch);
    apply(&fixture.open().await, batch).await;
    for _ in 0..3 {
        let store = fixture.open().await;
        assert_eq!(Model::of(&store, 9).await, model);
        model.check_single_reads(&store).await;
    }
}

pub async fn each_batch_is_there_after_a_restart(fixture: &mut impl MetadataStoreFixture) {
    for round in 0..10_u64 {
        let store = fixture.open().await;
        assert_eq!(store.scan(Ino(0), 99).await.expect("objects").len() as u64, round);
        let entries = store.entries(Ino(1), 0, 99).await.expect("entries");
        assert_eq!(entries.len() as u64, round.min(1));
        let before = (round > 0).then(|| remove_entry(1, "name", round + 2));
        apply(
            &store,
            before.into_iter().chain([put_inode(round + 1, round), put_entry(1, "name", round + 3, 7)]),
        )
        .await;
    }
    let store = fixture.open().await;
    assert_eq!(store.entry(Ino(1), b"name").await.expect("an entry"), Some(entry(12, 7)));
}

/// Makes batches that are as they have to be, and keeps in mind what should come of them.
struct Historian {
    random: Random,
    model: Model,
    next_ino: u64,
    next_cookie: u64,
}

impl Historian {
    /// A change that is allowed now, if the first idea is.
    fn change(&mut self) -> Option<Mutation> {
        let ino = Ino(1 + self.random.below(12));
        let text = name(format!("name {}", self.random.below(8)));
        match self.random.below(12) {
            0 => {
                let starts = u32::try_from(self.random.below(100)).ok()?;
                Some(Mutation::PutVolume(VolumeRecord {
                    id: [3; 8],
                    next_ino: self.next_ino,
                    inodes: 0,
                    starts,
                }))
            }
            1..3 => {
                self.next_ino += 1;
                Some(Mutation::PutInode(Ino(self.next_ino % 40 + 1), self.record()))
            }
            3 => self.model.inodes.contains_key(&ino).then(|| Mutation::PutInode(ino, self.record())),
            4 => self.remove_inode(),
            5..7 => self.put_entry(ino, text),
            7 => self.remove_entry(),
            8..10 => self.model.inodes.contains_key(&ino).then(|| self.put_xattr(ino, text)),
            10 => self.remove_xattr(),
            _ if self.model.orphans.contains(&ino) => Some(Mutation::UnmarkOrphan(ino)),
            _ => self.model.inodes.contains_key(&ino).then_some(Mutation::MarkOrphan(ino)),
        }
    }

    fn record(&mut self) -> InodeRecord {
        InodeRecord { size: self.random.below(1 << 50), ..file(self.random.below(1 << 40)) }
    }

    fn cookie(&mut self) -> u64 {
        self.next_cookie += 1 + self.random.below(300);
        self.next_cookie
    }

    fn remove_inode(&mut self) -> Option<Mutation> {
        let place = self.random.index(self.model.inodes.len());
        let ino = *self.model.inodes.keys().nth(place)?;
        let has_entries = self.model.entries.keys().any(|(dir, _)| *dir == ino);
        let has_xattrs = self.model.xattrs.keys().any(|(of, _)| *of == ino);
        let is_free = !has_entries && !has_xattrs && !self.model.orphans.contains(&ino);
        is_free.then_some(Mutation::RemoveInode(ino))
    }

    fn put_entry(&mut self, dir: Ino, text: bytes::Bytes) -> Option<Mutation> {
        if self.model.entries.iter().any(|((of, _), (other, _))| *of == dir && *other == text) {
            return None;
        }
        let entry = entry(self.cookie(), self.random.below(99));
        Some(Mutation::PutEntry { dir, name: text, entry })
    }

    fn remove_entry(&mut self) -> Option<Mutation> {
        let place = self.random.index(self.model.entries.len());
        let ((dir, cookie), (text, _)) = self.model.entries.iter().nth(place)?;
        Some(Mutation::RemoveEntry { dir: *dir, name: text.clone(), cookie: *cookie })
    }

    fn put_xattr(&mut self, ino: Ino, text: bytes::Bytes) -> Mutation {
        let there = self.model.xattrs.iter().find(|((of, _), (other, _))| *of == ino && *other == text);
        let there = there.map(|((_, cookie), _)| *cookie);
        let cookie = there.unwrap_or_else(|| self.cookie());
        let value = vec![self.random.below(256).to_le_bytes()[0]; self.random.index(2_000)];
        Mutation::PutXattr { ino, name: text, xattr: Xattr { cookie, value: value.into() } }
    }

    fn remove_xattr(&mut self) -> Option<Mutation> {
        let place = self.random.index(self.model.xattrs.len());
        let ((ino, cookie), (text, _)) = self.model.xattrs.iter().nth(place)?;
        Some(Mutation::RemoveXattr { ino: *ino, name: text.clone(), cookie: *cookie })
    }

    async fn batch(&mut self, store: &Arc<dyn MetadataStore>) {
        let mut mutations = Vec::new();
        for _ in 0..=self.random.below(25) {
            if let Some(mutation) = self.change() {
                self.model.apply(&mutation);
                mutations.push(mutation);
            }
        }
        store.apply(Batch { mutations }).await.expect("a batch is applied");
    }
}

pub async fn a_random_history_amounts_to_what_a_model_says(fixture: &mut impl MetadataStoreFixture) {
    let mut historian =
        Historian { random: Random::new(1), model: Model::default(), next_ino: 0, next_cookie: 2 };
    for _ in 0..12 {
        let store = fixture.open().await;
        let limit = 1 + historian.random.index(9);
        assert_eq!(Model::of(&store, limit).await, historian.model, "after a restart");
        for _ in 0..25 {
            historian.batch(&store).await;
        }
        assert_eq!(Model::of(&store, limit).await, historian.model, "before the next restart");
        historian.model.check_single_reads(&store).await;
    }
}
