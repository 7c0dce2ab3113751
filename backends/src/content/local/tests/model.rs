//! Random calls against arrays of bytes, with restarts.
//!
//! Origin: own: a property of every sequence of calls.
//! RFC: 8881 sections 18.22 and 18.32, 7862 section 15 for holes.

use std::collections::BTreeMap;

use dittofs_framework::fs::DataOrHole;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Write { file: u64, offset: usize, len: usize, fill: u8 },
    Truncate { file: u64, len: usize },
    Punch { file: u64, offset: usize, len: usize },
    Allocate { file: u64, offset: usize, len: usize },
    Copy { from: u64, from_offset: usize, to: u64, to_offset: usize, len: usize },
    Remove { file: u64 },
    Sync { file: u64 },
    Restart,
}

fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..100_000_usize,
        (0..25_usize, 0..3_usize).prop_map(|(block, off)| (block * 4096 + off).saturating_sub(1))
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let file = || 0..4_u64;
    prop_oneof![
        5 => (file(), offset(), 1..20_000_usize, 1..=255_u8)
            .prop_map(|(file, offset, len, fill)| Step::Write { file, offset, len, fill }),
        2 => (file(), offset()).prop_map(|(file, len)| Step::Truncate { file, len }),
        2 => (file(), offset(), offset()).prop_map(|(file, offset, len)| Step::Punch { file, offset, len }),
        1 => (file(), offset(), 1..20_000_usize)
            .prop_map(|(file, offset, len)| Step::Allocate { file, offset, len }),
        3 => (file(), offset(), file(), offset(), 1..50_000_usize).prop_map(
            |(from, from_offset, to, to_offset, len)| Step::Copy { from, from_offset, to, to_offset, len }
        ),
        1 => file().prop_map(|file| Step::Remove { file }),
        1 => file().prop_map(|file| Step::Sync { file }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Model {
    /// How often a file was removed: it has another number then.
    lives: [u64; 4],
    files: BTreeMap<Ino, Vec<u8>>,
}

impl Model {
    /// Numbers of several directories.
    fn id(&self, file: u64) -> Ino {
        Ino(1 + file * 700 + self.lives[usize::try_from(file).unwrap()] * 4096)
    }

    fn put(&mut self, id: Ino, offset: usize, bytes: &[u8]) {
        let file = self.files.entry(id).or_default();
        file.resize(file.len().max(offset + bytes.len()), 0);
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn range(&mut self, id: Ino, offset: usize, len: usize) -> &mut [u8] {
        let Some(file) = self.files.get_mut(&id) else { return &mut [] };
        let end = file.len().min(offset + len);
        &mut file[offset.min(end)..end]
    }
}

async fn apply(place: &Place, store: &mut LocalContentStore, model: &mut Model, step: &Step) {
    match *step {
        Step::Write { file, offset, len, fill } => {
            let (id, bytes) = (model.id(file), vec![fill; len]);
            store.write(id, offset as u64, bytes.clone().into()).await.unwrap();
            model.put(id, offset, &bytes);
        }
        Step::Truncate { file, len } => {
            store.truncate(model.id(file), len as u64).await.unwrap();
            model.files.entry(model.id(file)).or_default().resize(len, 0);
        }
        Step::Punch { file, offset, len } => {
            store.punch(model.id(file), offset as u64, len as u64).await.unwrap();
            model.range(model.id(file), offset, len).fill(0);
        }
        Step::Allocate { file, offset, len } => {
            store.allocate(model.id(file), offset as u64, len as u64).await.unwrap();
            let bytes = model.files.entry(model.id(file)).or_default();
            bytes.resize(bytes.len().max(offset + len), 0);
        }
        Step::Copy { from, from_offset, to, to_offset, len } => {
            let len = if from == to { len.min(from_offset.abs_diff(to_offset)) } else { len };
            let (from, to) = (model.id(from), model.id(to));
            let copied =
                store.copy(from, from_offset as u64, to, to_offset as u64, len as u64).await.unwrap();
            let bytes = model.range(from, from_offset, len).to_vec();
            assert_eq!(copied.count, bytes.len() as u64);
            if !bytes.is_empty() {
                model.put(to, to_offset, &bytes);
            }
        }
        Step::Remove { file } => {
            store.remove(model.id(file)).await.unwrap();
            model.files.remove(&model.id(file));
            model.lives[usize::try_from(file).unwrap()] += 1;
        }
        Step::Sync { file } => store.sync(model.id(file)).await.unwrap(),
        Step::Restart => *store = place.store(),
    }
}

async fn check(store: &LocalContentStore, model: &Model) {
    let sizes = store.scan(Ino(0), 100).await.unwrap();
    let expected: Vec<_> = model.files.iter().map(|(id, bytes)| (*id, bytes.len() as u64)).collect();
    assert_eq!(sizes.iter().map(|(id, size)| (*id, size.len)).collect::<Vec<_>>(), expected);
    for (id, bytes) in &model.files {
        assert!(store.read(*id, 0, u32::MAX).await.unwrap() == *bytes, "the bytes of {id:?}");
        let first = bytes.iter().position(|byte| *byte != 0);
        if let Some(first) = first {
            let data = store.seek(*id, 0, DataOrHole::Data).await.unwrap();
            assert!(data.is_some_and(|data| data <= first as u64), "data at {data:?}, and a byte at {first}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_do_what_the_model_does(
        steps in prop::collection::vec(step(), 1..40),
        max_open_files in 1..4_usize,
        most in prop_oneof![Just(0_usize), 1000..10_000_usize],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = Place::new(max_open_files);
            place.tricks.most.store(most, SeqCst);
            let (mut store, mut model) = (place.store(), Model::default());
            for step in &steps {
                apply(&place, &mut store, &mut model, step).await;
            }
            check(&store, &model).await;
            check(&place.store(), &model).await;
        });
    }
}
