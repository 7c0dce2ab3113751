//! Contents of files against a plain model: bytes, and nothing of chunks.
//!
//! Origin: own model, an array of bytes.
//! RFC: 7862 sections 15.1, 15.2, 15.4, 15.11 and 15.13.
#![allow(clippy::cast_possible_truncation)] // offsets of the tests are small

use bytes::Bytes;
use dittofs_framework::fs::DataOrHole;
use proptest::prelude::*;

use super::{CHUNK, Content};

/// Files of the test go up to here: a few chunks.
const LIMIT: u64 = 7 * CHUNK;

#[derive(Debug, Clone)]
enum Step {
    Write {
        offset: u64,
        len: u64,
        fill: u8,
    },
    Punch {
        offset: u64,
        len: u64,
    },
    Allocate {
        offset: u64,
        len: u64,
    },
    Resize {
        size: u64,
    },
    Paste {
        from: u64,
        to: u64,
        len: u64,
    },
    /// Keeps what a read returned, as a reply under way does.
    Read {
        offset: u64,
        len: u64,
    },
}

/// Offsets near the borders of chunks and blocks are likelier than others.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..LIMIT,
        (0..7u64, 0..3u64).prop_map(|(chunk, off)| (chunk * CHUNK + off).saturating_sub(1)),
        (0..112u64, 0..3u64).prop_map(|(block, off)| (block * 4096 + off).saturating_sub(1)),
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![0..200u64, 0..3 * CHUNK, (0..5u64).prop_map(|chunks| chunks * CHUNK)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (offset(), length(), 1..=255u8).prop_map(|(offset, len, fill)| Step::Write { offset, len, fill }),
        2 => (offset(), length()).prop_map(|(offset, len)| Step::Punch { offset, len }),
        1 => (offset(), length()).prop_map(|(offset, len)| Step::Allocate { offset, len }),
        1 => offset().prop_map(|size| Step::Resize { size }),
        2 => (offset(), offset(), length()).prop_map(|(from, to, len)| Step::Paste { from, to, len }),
        2 => (offset(), length()).prop_map(|(offset, len)| Step::Read { offset, len }),
    ]
}

/// The file as bytes.
#[derive(Default)]
struct Model(Vec<u8>);

impl Model {
    fn write(&mut self, offset: usize, data: &[u8]) {
        if self.0.len() < offset + data.len() {
            self.0.resize(offset + data.len(), 0);
        }
        self.0[offset..offset + data.len()].copy_from_slice(data);
    }

    fn range(&self, offset: u64, len: u64) -> &[u8] {
        let end = (offset + len).min(self.0.len() as u64) as usize;
        &self.0[(offset as usize).min(end)..end]
    }
}

/// Bytes that tell where they are.
fn pattern(len: u64, fill: u8) -> Bytes {
    (0..len).map(|i| fill.wrapping_add((i / 509) as u8).max(1)).collect::<Vec<u8>>().into()
}

fn apply(content: &mut Content, model: &mut Model, step: &Step) {
    let before = content.charge();
    let cost = match *step {
        Step::Write { offset, len, fill } if len > 0 => {
            let data = pattern(len, fill);
            let cost = content.cost_of_write(offset, len);
            content.write(offset, &data);
            model.write(offset as usize, &data);
            cost
        }
        Step::Punch { offset, len } => {
            content.punch(offset, len);
            let len = model.range(offset, len).len();
            model.0.iter_mut().skip(offset as usize).take(len).for_each(|byte| *byte = 0);
            0
        }
        Step::Allocate { offset, len } if len > 0 => {
            let cost = content.cost_of_allocate(offset, len);
            assert!(content.least_cost_of_allocate(offset, len) <= cost);
            content.allocate(offset, len);
            let size = model.0.len().max((offset + len) as usize);
            model.0.resize(size, 0);
            cost
        }
        Step::Resize { size } => {
            content.resize(size);
            model.0.resize(size as usize, 0);
            0
        }
        Step::Paste { from, to, len } => {
            let data = model.range(from, len).to_vec();
            let len = data.len() as u64;
            if len == 0 || from.abs_diff(to) < len {
                return;
            }
            let pieces = content.pieces(from, len);
            let cost = content.cost_of_paste(to, len, &pieces);
            content.paste(to, len, pieces);
            model.write(to as usize, &data);
            cost
        }
        Step::Write { .. } | Step::Allocate { .. } | Step::Read { .. } => 0,
    };
    assert!(content.charge() <= before + cost, "{} + {cost} < {} after {step:?}", before, content.charge());
}

/// What SEEK says must agree with what is there: everything that is not zero is data, holes are zeros.
fn check_seek(content: &Content, model: &Model) {
    let size = content.size();
    let mut at = 0;
    while at < size {
        let data = content.seek(at, DataOrHole::Data).unwrap_or(size);
        assert!(model.range(at, data - at).iter().all(|byte| *byte == 0), "data in the hole {at}..{data}");
        if data == size {
            break;
        }
        assert_eq!(content.seek(data, DataOrHole::Data), Some(data));
        let hole = content.seek(data, DataOrHole::Hole).unwrap();
        assert!(hole > data && hole <= size);
        at = hole;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn content_is_what_was_written(steps in prop::collection::vec(step(), 1..40)) {
        let (mut content, mut model) = (Content::default(), Model::default());
        let mut replies: Vec<(Bytes, Vec<u8>)> = Vec::new();
        for step in &steps {
            apply(&mut content, &mut model, step);
            if let Step::Read { offset, len } = *step {
                let data = content.bytes(offset, len);
                prop_assert_eq!(&data[..], model.range(offset, len));
                replies.push((data.clone(), data.to_vec()));
            }
            prop_assert!(content.is_consistent());
            prop_assert_eq!(content.size(), model.0.len() as u64);
        }
        prop_assert!(content.bytes(0, u64::MAX) == model.0);
        check_seek(&content, &model);
        prop_assert!(replies.iter().all(|(reply, then)| reply == then), "a reply changed after it was read");
    }
}
