use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use foldhash::quality::RandomState;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Digest, Known, Source};
use crate::clock::Timestamp;

/// The limits of one part of the table.
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) reply_bytes: usize,
    pub(super) age: Duration,
}

/// A part of the table.
#[derive(Default)]
pub(super) struct Shard {
    /// Seldom more than one of a source: clients behind one address have their xids each for itself.
    calls: HashMap<Source, SmallVec<[Entry; 1]>, RandomState>,
    /// Entries of all sources.
    len: usize,
    /// Those that are answered, in the order in which they were.
    answered: VecDeque<(Source, Digest)>,
    /// Bytes of their replies.
    bytes: usize,
}

/// A request.
pub(super) struct Entry {
    digest: Digest,
    state: State,
}

enum State {
    /// With the duplicates that wait for the reply. Each of them is a request in flight of its connection, and limited as such.
    Running(Vec<oneshot::Sender<Bytes>>),
    Answered {
        reply: Bytes,
        at: Timestamp,
    },
}

/// Duplicates that wait for a reply, and the reply: for when the lock is given back.
pub(super) struct Waiting {
    duplicates: Vec<oneshot::Sender<Bytes>>,
    reply: Bytes,
}

impl Waiting {
    /// Gives them the reply.
    pub(super) fn send(self) {
        for duplicate in self.duplicates {
            // Fails for one that does not wait any more.
            let _ = duplicate.send(self.reply.clone());
        }
    }
}

impl Shard {
    /// Whether there is a request of this source.
    pub(super) fn knows(&self, source: Source) -> bool {
        self.calls.contains_key(&source)
    }

    pub(super) fn find(
        &mut self,
        source: Source,
        digest: &Digest,
        now: Timestamp,
        bounds: &Bounds,
    ) -> Option<Known> {
        self.expire(now, bounds);
        match &mut self.entry(source, digest)?.state {
            State::Answered { reply, .. } => Some(Known::Answered(reply.clone())),
            State::Running(duplicates) => {
                let (sender, receiver) = oneshot::channel();
                duplicates.push(sender);
                Some(Known::Running(receiver))
            }
        }
    }

    /// Adds a request that is not there; false if there is no room for it.
    pub(super) fn begin(&mut self, source: Source, digest: Digest, bounds: &Bounds) -> bool {
        while self.len >= bounds.entries {
            if !self.drop_oldest() {
                return false;
            }
        }
        self.len += 1;
        self.calls.entry(source).or_default().push(Entry { digest, state: State::Running(Vec::new()) });
        true
    }

    /// The reply of a request that ran, which `copy` makes if somebody needs it.
    pub(super) fn finish(
        &mut self,
        source: Source,
        digest: &Digest,
        len: usize,
        copy: impl FnOnce() -> Bytes,
        now: Timestamp,
        bounds: &Bounds,
    ) -> Waiting {
        let is_kept = len <= bounds.reply_bytes.min(bounds.bytes);
        let none = Waiting { duplicates: Vec::new(), reply: Bytes::new() };
        let Some(entry) = self.entry(source, digest) else { return none };
        let State::Running(duplicates) = &mut entry.state else { return none };
        let duplicates = std::mem::take(duplicates);
        let reply = if is_kept || !duplicates.is_empty() { copy() } else { Bytes::new() };
        if is_kept {
            entry.state = State::Answered { reply: reply.clone(), at: now };
            self.answered.push_back((source, *digest));
            self.bytes += len;
            while self.bytes > bounds.bytes && self.drop_oldest() {}
        } else {
            self.remove(source, digest);
        }
        Waiting { duplicates, reply }
    }

    fn entry(&mut self, source: Source, digest: &Digest) -> Option<&mut Entry> {
        self.calls.get_mut(&source)?.iter_mut().find(|entry| entry.digest == *digest)
    }

    /// Forgets a request, to be dropped when the lock is given back.
    pub(super) fn remove(&mut self, source: Source, digest: &Digest) -> Option<Entry> {
        let of_source = self.calls.get_mut(&source)?;
        let at = of_source.iter().position(|entry| entry.digest == *digest)?;
        let entry = of_source.swap_remove(at);
        if of_source.is_empty() {
            self.calls.remove(&source);
        }
        self.len -= 1;
        Some(entry)
    }

    fn expire(&mut self, now: Timestamp, bounds: &Bounds) {
        while self.oldest_at().is_some_and(|at| now.since(at) >= bounds.age) {
            self.drop_oldest();
        }
    }

    fn oldest_at(&mut self) -> Option<Timestamp> {
        let (source, digest) = *self.answered.front()?;
        match self.entry(source, &digest)?.state {
            State::Answered { at, .. } => Some(at),
            State::Running(_) => None,
        }
    }

    /// Forgets the reply that is there for the longest time; false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some((source, digest)) = self.answered.pop_front() else { return false };
        if let Some(Entry { state: State::Answered { reply, .. }, .. }) = self.remove(source, &digest) {
            self.bytes -= reply.len();
        }
        true
    }

    #[cfg(test)]
    pub(super) fn check(&self, bounds: &Bounds) {
        let entries = || self.calls.values().flatten();
        let replies = || {
            entries().filter_map(|entry| match &entry.state {
                State::Answered { reply, .. } => Some(reply.len()),
                State::Running(_) => None,
            })
        };
        assert_eq!(self.len, entries().count(), "D2");
        assert_eq!(self.answered.len(), replies().count(), "D1");
        assert_eq!(self.bytes, replies().sum::<usize>(), "D2");
        assert!(self.calls.values().all(|of_source| !of_source.is_empty()), "D1");
        assert!(self.len <= bounds.entries && self.bytes <= bounds.bytes, "D2");
    }
}
