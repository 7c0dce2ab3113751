use std::time::Duration;

use tokio::sync::Notify;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether callbacks reach a client, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackPath {
    /// The client never offered a way.
    None,
    /// There is a way, on which nothing has been answered yet.
    Unproven,
    /// There is a way, and the client answers on it.
    Proven,
    /// There was a way, and there is none any more: gone, or the client refuses calls on it.
    Down,
}

impl CallbackPath {
    const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Unproven => 1,
            Self::Proven => 2,
            Self::Down => 3,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Unproven,
            2 => Self::Proven,
            3 => Self::Down,
            _ => Self::None,
        }
    }
}

/// The ways to call a client back, one for each of its sessions.
#[derive(Debug, Default)]
pub(crate) struct CallbackStanding {
    ways: Mutex<Ways>,
    /// What the ways come to. Written with them locked, read without.
    path: AtomicU8,
    changed: Notify,
    /// Somebody has waited in vain for the client to answer the first call.
    has_waited: AtomicBool,
}

#[derive(Debug, Default)]
struct Ways {
    unproven: usize,
    proven: usize,
    down: usize,
}

impl Ways {
    fn count(&mut self, path: CallbackPath) -> Option<&mut usize> {
        match path {
            CallbackPath::None => None,
            CallbackPath::Unproven => Some(&mut self.unproven),
            CallbackPath::Proven => Some(&mut self.proven),
            CallbackPath::Down => Some(&mut self.down),
        }
    }

    /// One that works is enough.
    fn path(&self, before: CallbackPath) -> CallbackPath {
        match (self.proven, self.unproven) {
            (1.., _) => CallbackPath::Proven,
            (0, 1..) => CallbackPath::Unproven,
            // Who has once had a way, and has ended its session, has none, and was not told that it should have one.
            (0, 0) if self.down == 0 && before == CallbackPath::None => CallbackPath::None,
            (0, 0) => CallbackPath::Down,
        }
    }
}

impl CallbackStanding {
    pub(crate) fn path(&self) -> CallbackPath {
        CallbackPath::from_code(self.path.load(Ordering::Acquire))
    }

    /// One of the ways is now `to`, and was `from`. `changed` is called with what they all come to, before anybody else changes one.
    pub(crate) fn change(&self, from: CallbackPath, to: CallbackPath, changed: impl FnOnce(CallbackPath)) {
        let mut ways = self.ways.lock();
        if let Some(count) = ways.count(from) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = ways.count(to) {
            *count += 1;
        }
        let path = ways.path(self.path());
        self.path.store(path.code(), Ordering::Release);
        changed(path);
        if to == CallbackPath::Unproven {
            self.has_waited.store(false, Ordering::Relaxed);
        }
        drop(ways);
        self.changed.notify_waiters();
    }

    /// Waits, as long as it is not known whether the client answers, for so long at the most. A client that does not answer is waited for
    /// once.
    pub(crate) async fn settled(&self, most: Duration) {
        if most.is_zero() || self.has_waited.load(Ordering::Relaxed) {
            return;
        }
        let settled = async {
            loop {
                let changed = self.changed.notified();
                if self.path() != CallbackPath::Unproven {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(most, settled).await.is_err() {
            self.has_waited.store(true, Ordering::Relaxed);
        }
    }
}
