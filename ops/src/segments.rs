//! What a range of a sparse file is made of, as READ_PLUS tells it.

use dittofs_framework::fs::{Authority, DataOrHole, FsError, FsResult, NodeHandle, RequestContext, Sparse};

/// The smallest hole that is told as one (RFC 7862 section 15.10.5 has such a minimum). A hole takes about as much of a reply
/// as the header of the data after it, so a reply with holes is never longer than that of the same range as data.
pub(crate) const MIN_HOLE: u64 = 4096;

/// How often a file system is asked for data and for a hole at the most: what is left is for another READ_PLUS.
const MAX_ROUNDS: usize = 256;

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Of what.
    pub(crate) what: DataOrHole,
    /// Its first byte.
    pub(crate) start: u64,
    /// The byte after its last.
    pub(crate) end: u64,
}

/// The segments of the range from `start` to `end`: contiguous from `start` on, none empty, data and holes by turns.
///
/// They may end before `end`, but not at `start`. A hole among them is at least [`MIN_HOLE`] long. Where the file was cut meanwhile
/// they tell of data, so that the read of it finds the new end.
pub(crate) async fn segments(
    sparse: &dyn Sparse,
    cx: &RequestContext,
    node: &NodeHandle,
    (start, end): (u64, u64),
    authority: Authority,
) -> FsResult<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut at = start;
    for _ in 0..MAX_ROUNDS {
        let data = match sparse.seek(cx, node, at, DataOrHole::Data, authority).await {
            Ok(found) => found.unwrap_or(end).clamp(at, end),
            Err(FsError::NoSuchOffset) => at,
            Err(error) => return Err(error),
        };
        append(&mut segments, Segment { what: DataOrHole::Hole, start: at, end: data });
        if data == end {
            break;
        }
        let hole = match sparse.seek(cx, node, data, DataOrHole::Hole, authority).await {
            Ok(found) => found.unwrap_or(end).clamp(data, end),
            Err(FsError::NoSuchOffset) => end,
            Err(error) => return Err(error),
        };
        append(&mut segments, Segment { what: DataOrHole::Data, start: data, end: hole });
        at = hole;
        if at == end {
            break;
        }
    }
    if segments.is_empty() {
        // The file changed each time between the two questions.
        append(&mut segments, Segment { what: DataOrHole::Data, start, end });
    }
    Ok(segments)
}

/// Appends what follows: a small hole becomes data, and data joins data.
fn append(segments: &mut Vec<Segment>, mut next: Segment) {
    if next.start == next.end {
        return;
    }
    if next.end - next.start < MIN_HOLE {
        next.what = DataOrHole::Data;
    }
    match segments.last_mut() {
        Some(last) if last.what == next.what => last.end = next.end,
        _ => segments.push(next),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use async_trait::async_trait;
    use proptest::prelude::*;

    use super::*;

    /// A file as a map of its blocks: whether each holds data.
    #[derive(Debug)]
    struct Blocks {
        map: Vec<bool>,
        block: u64,
    }

    impl Blocks {
        fn size(&self) -> u64 {
            self.map.len() as u64 * self.block
        }

        fn is_data(&self, offset: u64) -> bool {
            self.map[usize::try_from(offset / self.block).unwrap()]
        }
    }

    #[async_trait]
    impl Sparse for Blocks {
        async fn allocate(
            &self,
            _: &RequestContext,
            _: &NodeHandle,
            _: u64,
            _: u64,
            _: Authority,
        ) -> FsResult<()> {
            Err(FsError::ReadOnly)
        }

        async fn deallocate(
            &self,
            _: &RequestContext,
            _: &NodeHandle,
            _: u64,
            _: u64,
            _: Authority,
        ) -> FsResult<()> {
            Err(FsError::ReadOnly)
        }

        async fn seek(
            &self,
            _: &RequestContext,
            _: &NodeHandle,
            offset: u64,
            what: DataOrHole,
            _: Authority,
        ) -> FsResult<Option<u64>> {
            if offset >= self.size() {
                return Err(FsError::NoSuchOffset);
            }
            let wanted = what == DataOrHole::Data;
            if self.is_data(offset) == wanted {
                return Ok(Some(offset));
            }
            let first = offset / self.block + 1;
            let later =
                (first..self.map.len() as u64).find(|block| self.is_data(block * self.block) == wanted);
            let end = (!wanted).then(|| self.size());
            Ok(later.map(|block| block * self.block).or(end))
        }
    }

    fn segments_of(file: &dyn Sparse, range: (u64, u64)) -> Vec<Segment> {
        let (cx, node) = (RequestContext::server(), NodeHandle::from_u64(1));
        let future = pin!(segments(file, &cx, &node, range, Authority::Open));
        let Poll::Ready(found) = future.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it waits")
        };
        found.expect("segments")
    }

    /// Files of blocks that are smaller and larger than the smallest hole, and a range within.
    fn files() -> impl Strategy<Value = (Blocks, (u64, u64))> {
        let block = prop::sample::select(vec![512, 1000, MIN_HOLE - 1, MIN_HOLE, 3 * MIN_HOLE]);
        let map = prop::collection::vec(any::<bool>(), 1..40);
        (block, map, any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(
            |(block, map, a, b)| {
                let file = Blocks { map, block };
                let size = usize::try_from(file.size()).unwrap();
                let (a, b) = (a.index(size) as u64, b.index(size) as u64);
                (file, (a.min(b), a.max(b) + 1))
            },
        )
    }

    // RFC: 7862 section 15.10.3: the array contents MUST be contiguous in the file.
    proptest! {
        #[test]
        fn segments_are_contiguous_and_true((file, (start, end)) in files()) {
            let segments = segments_of(&file, (start, end));
            let mut at = start;
            let mut last = None;
            for Segment { what, start, end } in segments {
                prop_assert_eq!(start, at, "contiguous");
                prop_assert!(end > start, "not empty");
                prop_assert_ne!(last, Some(what), "by turns");
                if what == DataOrHole::Hole {
                    prop_assert!(end - start >= MIN_HOLE, "not a small one");
                    prop_assert!((start..end).step_by(256).chain([end - 1]).all(|offset| !file.is_data(offset)), "no data in a hole");
                }
                (at, last) = (end, Some(what));
            }
            prop_assert_eq!(at, end, "all of the range");
        }

        /// A reply with holes is never longer than the same range as one piece of data.
        #[test]
        fn holes_never_make_a_reply_longer((file, range) in files()) {
            let padded = |len: u64| len.next_multiple_of(4);
            let encoded = |segment: &Segment| match segment.what {
                DataOrHole::Data => 16 + padded(segment.end - segment.start),
                DataOrHole::Hole => 20,
            };
            let total: u64 = segments_of(&file, range).iter().map(encoded).sum();
            prop_assert!(total <= 16 + padded(range.1 - range.0).max(4));
        }
    }

    #[test]
    fn every_large_enough_hole_is_told() {
        let file = Blocks { map: vec![true, false, true, true, false, false], block: MIN_HOLE };
        let whats: Vec<_> = segments_of(&file, (0, file.size())).iter().map(|segment| segment.what).collect();
        assert_eq!(whats, [DataOrHole::Data, DataOrHole::Hole, DataOrHole::Data, DataOrHole::Hole]);
    }

    #[test]
    fn a_file_that_was_cut_is_left_to_the_read() {
        let file = Blocks { map: vec![false], block: MIN_HOLE };
        let segments = segments_of(&file, (MIN_HOLE, 2 * MIN_HOLE));
        assert_eq!(segments, [Segment { what: DataOrHole::Data, start: MIN_HOLE, end: 2 * MIN_HOLE }]);
    }

    #[test]
    fn more_segments_than_are_told_at_once_end_early() {
        let file =
            Blocks { map: (0..2 * MAX_ROUNDS + 4).map(|block| block % 2 == 1).collect(), block: MIN_HOLE };
        let segments = segments_of(&file, (0, file.size()));
        assert_eq!(segments.last().map(|segment| segment.end), Some(2 * MAX_ROUNDS as u64 * MIN_HOLE));
    }
}
