// Ranges within blocks are right by construction, and a test that finds them wrong is to stop.
#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, MutexGuard};

use super::Loss;
use crate::fs::DataOrHole;
use crate::storage::{ContentStore, Ino, StorageResult};
use crate::testing::random::Random;

const BLOCK: u64 = 4096;
/// What is read or written at once when contents are taken over.
const PIECE: u32 = 1 << 20;

/// A change of contents that is not durable yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write {
        offset: u64,
        data: Bytes,
    },
    Truncate(u64),
    /// Makes the contents at least so long.
    Extend(u64),
    Punch {
        offset: u64,
        len: u64,
    },
    Remove,
}

/// Contents as bytes; blocks that are not there are zeros.
#[derive(Debug, Clone, Default)]
struct Image {
    len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// The pieces of a range by block: the block, where in it, and where in the range.
fn pieces(offset: u64, len: u64) -> impl Iterator<Item = (u64, usize, u64, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let piece = (BLOCK - at % BLOCK).min(len - done);
        let item = (at / BLOCK, small(at % BLOCK), done, small(piece));
        done += piece;
        (piece > 0).then_some(item)
    })
}

/// What is known to be no more than a piece.
fn small(len: u64) -> usize {
    usize::try_from(len).unwrap_or_default()
}

impl Image {
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.len = self.len.max(offset + data.len() as u64);
        for (block, at, from, len) in pieces(offset, data.len() as u64) {
            let bytes = self.blocks.entry(block).or_insert_with(|| vec![0; small(BLOCK)]);
            bytes[at..at + len].copy_from_slice(&data[small(from)..small(from) + len]);
        }
    }

    fn zero(&mut self, offset: u64, end: u64) {
        if offset >= end {
            return;
        }
        let (first, last) = (offset.div_ceil(BLOCK), end / BLOCK);
        self.blocks.retain(|block, _| *block < first || *block >= last);
        for (block, bytes) in self.blocks.range_mut(offset / BLOCK..=last) {
            let start = block * BLOCK;
            let (from, to) = (offset.max(start), end.min(start + BLOCK));
            if from < to {
                bytes[small(from - start)..small(to - start)].fill(0);
            }
        }
    }

    /// What comes of contents; `None` for those that are not there.
    fn apply(image: Option<Self>, change: &Change) -> Option<Self> {
        let mut image = image.unwrap_or_default();
        match change {
            Change::Write { offset, data } => image.write(*offset, data),
            Change::Truncate(len) => {
                image.zero(*len, image.len.next_multiple_of(BLOCK).max(*len));
                image.len = *len;
            }
            Change::Extend(len) => image.len = image.len.max(*len),
            Change::Punch { offset, len } => image.zero(*offset, offset.saturating_add(*len).min(image.len)),
            Change::Remove => return None,
        }
        Some(image)
    }

    /// What a store holds.
    async fn load(store: &Arc<dyn ContentStore>, id: Ino) -> StorageResult<Option<Self>> {
        let Some(size) = store.size(id).await? else { return Ok(None) };
        let mut image = Self { len: size.len, ..Self::default() };
        let mut at = 0;
        while at < size.len {
            let Some(data) = store.seek(id, at, DataOrHole::Data).await? else { break };
            let bytes = store.read(id, data, PIECE).await?;
            image.write(data, &bytes);
            at = data + bytes.len().max(1) as u64;
        }
        Ok(Some(image))
    }

    /// Makes it what the store holds.
    async fn store(&self, store: &Arc<dyn ContentStore>, id: Ino) -> StorageResult<()> {
        store.truncate(id, 0).await?;
        for (block, bytes) in &self.blocks {
            store.write(id, block * BLOCK, Bytes::copy_from_slice(bytes)).await?;
        }
        store.truncate(id, self.len).await?;
        store.sync(id).await
    }
}

/// Contents that have been changed: as they are durable, and what came after.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    image: Option<Image>,
    changes: Vec<Change>,
}

impl Shadow {
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The changes so far are durable.
    pub(super) fn synced(&mut self) {
        for change in self.changes.drain(..) {
            self.image = Image::apply(self.image.take(), &change);
        }
    }

    /// The changes so far will not be there after a crash.
    pub(super) fn lost(&mut self) {
        self.changes.clear();
    }

    fn crash(&mut self, random: &mut Option<Random>, loss: Loss) {
        for change in std::mem::take(&mut self.changes) {
            let survivor = match (loss, random.as_mut()) {
                (Loss::Nothing, _) => Some(change),
                (Loss::Some(_), Some(random)) => surviving_part(change, random),
                _ => None,
            };
            if let Some(change) = survivor {
                self.image = Image::apply(self.image.take(), &change);
            }
        }
    }
}

/// What a crash leaves of a change.
fn surviving_part(change: Change, random: &mut Random) -> Option<Change> {
    match (change, random.below(4)) {
        (_, 0) => None,
        (Change::Write { offset, data }, 1) => {
            let data = data.slice(..random.index(data.len()));
            Some(Change::Write { offset, data })
        }
        (Change::Write { offset, data }, 2) => {
            let cut = random.index(data.len());
            Some(Change::Write { offset: offset + cut as u64, data: data.slice(cut..) })
        }
        (change, _) => Some(change),
    }
}

/// What is durable of all contents that were ever changed.
#[derive(Debug, Default)]
pub(super) struct Durable(Mutex<BTreeMap<Ino, Shadow>>);

/// Keeps all other changes away.
pub(super) type Shadows<'a> = MutexGuard<'a, BTreeMap<Ino, Shadow>>;

impl Durable {
    pub(super) async fn lock(&self) -> Shadows<'_> {
        self.0.lock().await
    }

    pub(super) async fn restore(&self, store: &Arc<dyn ContentStore>, loss: Loss) -> StorageResult<()> {
        let mut random = if let Loss::Some(seed) = loss { Some(Random::new(seed)) } else { None };
        let mut shadows = self.lock().await;
        for (id, shadow) in std::mem::take(&mut *shadows) {
            let mut shadow = shadow;
            let is_changed = !shadow.changes.is_empty();
            shadow.crash(&mut random, loss);
            match shadow.image {
                Some(image) if is_changed => image.store(store, id).await?,
                Some(_) => {}
                None => store.remove(id).await?,
            }
        }
        Ok(())
    }
}

/// The shadow of contents that are about to be changed for the first time, or again.
pub(super) async fn shadow<'a>(
    shadows: &'a mut Shadows<'_>,
    store: &Arc<dyn ContentStore>,
    id: Ino,
) -> StorageResult<&'a mut Shadow> {
    Ok(match shadows.entry(id) {
        Slot::Occupied(shadow) => shadow.into_mut(),
        Slot::Vacant(slot) => {
            let image = Image::load(store, id).await?;
            slot.insert(Shadow { image, changes: Vec::new() })
        }
    })
}
