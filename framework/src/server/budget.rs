use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// The bytes that all connections of a server hold together: of messages that are not answered yet, and of replies that have not
/// left yet.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    /// Sequentially consistent, as the notification is: who waits for room looks again after it began to.
    used: AtomicUsize,
    room: Arc<Notify>,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), used: AtomicUsize::new(0), room: Arc::default() }
    }

    /// Whether connections that hold something are to wait for room.
    pub(super) fn is_used_up(&self) -> bool {
        self.used.load(Ordering::SeqCst) >= self.limit
    }

    /// Resolves when there is room again. To be polled once before [`is_used_up`](Self::is_used_up) is asked.
    pub(super) fn room(&self) -> OwnedNotified {
        Arc::clone(&self.room).notified_owned()
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    fn give_back(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        if before >= self.limit && before - bytes < self.limit {
            self.room.notify_waiters();
        }
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }
}

/// What one connection or request has taken of the budget: given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    pub(super) fn new(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.take(bytes);
        Self { budget: Arc::clone(budget), bytes }
    }

    pub(super) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes);
        } else if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn what_is_charged_is_given_back() {
        let budget = Arc::new(Budget::new(100));
        let mut first = Charge::new(&budget, 60);
        let second = Charge::new(&budget, 40);
        assert!(budget.is_used_up());
        let mut room = pin!(budget.room());
        let mut cx = Context::from_waker(Waker::noop());
        first.set(70);
        first.set(60);
        assert!(room.as_mut().poll(&mut cx).is_pending());
        first.set(59);
        assert!(room.as_mut().poll(&mut cx).is_ready());
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }
}
