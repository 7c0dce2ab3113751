//! A random history against an array of bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ContentStoreFixture, assert_contents, assert_same, if_supported, index, pattern, read, write};
use crate::storage::{ContentStore, Ino};
use crate::testing::random::Random;

/// Contents stay shorter than this.
const LIMIT: u64 = 400_000;

#[derive(Default)]
struct Model(BTreeMap<Ino, Vec<u8>>);

impl Model {
    fn bytes(&mut self, id: Ino) -> &mut Vec<u8> {
        self.0.entry(id).or_default()
    }

    fn put(&mut self, id: Ino, offset: u64, data: &[u8]) {
        let bytes = self.bytes(id);
        let (from, end) = (index(offset), index(offset) + data.len());
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes.get_mut(from..end).expect("a range").copy_from_slice(data);
    }

    fn range(&mut self, id: Ino, offset: u64, len: u64) -> &mut [u8] {
        let bytes = self.bytes(id);
        let end = index(offset + len).min(bytes.len());
        bytes.get_mut(index(offset).min(end)..end).expect("a range")
    }
}

/// Near the borders of blocks and chunks more often than elsewhere.
fn offset(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => random.below(LIMIT),
        1 => (random.below(LIMIT / 4096) * 4096 + random.below(3)).saturating_sub(1),
        _ => (random.below(LIMIT / 65_536) * 65_536 + random.below(3)).saturating_sub(1),
    }
}

fn length(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => random.below(200),
        1 => random.below(150_000),
        _ => (random.below(3) + 1) * 65_536,
    }
}

/// One call, and what it means.
async fn step(store: &Arc<dyn ContentStore>, model: &mut Model, random: &mut Random) {
    let id = Ino(1 + random.below(3) * 1000);
    let (at, len) = (offset(random), length(random));
    match random.below(16) {
        0..5 => {
            let data = pattern(u8::try_from(random.below(250)).unwrap_or_default(), len);
            write(store, id, at, &data).await;
            if len > 0 {
                model.put(id, at, &data);
            }
        }
        5..8 => {
            let found = read(store, id, at, len).await;
            assert_same(&found, model.range(id, at, len));
        }
        8 => {
            assert_eq!(store.truncate(id, at).await.expect("a new length").len, at);
            model.bytes(id).resize(index(at), 0);
        }
        9..11 => {
            store.punch(id, at, len).await.expect("a hole");
            model.range(id, at, len).fill(0);
        }
        11 => {
            if if_supported(store.allocate(id, at, len).await).is_some() && len > 0 {
                let bytes = model.bytes(id);
                bytes.resize(bytes.len().max(index(at + len)), 0);
            }
        }
        12..15 => {
            let (from, from_at) = (Ino(1 + random.below(3) * 1000), offset(random));
            let len = if from == id { len.min(from_at.abs_diff(at)) } else { len };
            let copied = store.copy(from, from_at, id, at, len).await.expect("a copy");
            let piece = model.range(from, from_at, len).to_vec();
            let piece = piece.get(..index(copied.count)).expect("no more than the source has");
            assert!(copied.count > 0 || len == 0 || piece.is_empty());
            if !piece.is_empty() {
                model.put(id, at, piece);
            }
        }
        _ => store.sync(id).await.expect("a sync"),
    }
}

pub async fn a_random_history_is_that_of_the_model(fixture: &mut impl ContentStoreFixture) {
    let mut random = Random::new(1);
    let mut model = Model::default();
    let mut store = fixture.open();
    for _ in 0..6 {
        for _ in 0..100 {
            step(&store, &mut model, &mut random).await;
        }
        for (id, bytes) in &model.0 {
            store.sync(*id).await.expect("a sync");
            assert_contents(&store, *id, bytes).await;
        }
        if fixture.outlives_restarts() {
            drop(store);
            store = fixture.open();
            for (id, bytes) in &model.0 {
                assert_contents(&store, *id, bytes).await;
            }
        }
    }
}
