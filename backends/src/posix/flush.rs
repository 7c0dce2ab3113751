//! Flushes that are shared.

use parking_lot::{Condvar, Mutex};
use rustix::io::{Errno, Result};

/// Makes those that want the same object on disk share the flushes: whoever comes while one runs waits for the next, which
/// covers all that came meanwhile.
#[derive(Default)]
pub(super) struct Flush {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    waiting: usize,
    started: u64,
    finished: u64,
    /// The last one that failed.
    failed: Option<(u64, Errno)>,
}

impl Flush {
    /// Returns after a flush that began after the call.
    pub(super) fn run(&self, flush: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        let wanted = state.started + 1;
        while state.finished < wanted {
            if state.running {
                state.waiting += 1;
                self.done.wait(&mut state);
                state.waiting -= 1;
                continue;
            }
            state.running = true;
            state.started += 1;
            let turn = state.started;
            drop(state);
            let result = flush();
            let mut state = self.state.lock();
            state.running = false;
            state.finished = turn;
            if let Err(error) = result {
                state.failed = Some((turn, error));
            }
            drop(state);
            self.done.notify_all();
            return result;
        }
        match state.failed {
            Some((turn, error)) if turn >= wanted => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Origin: own tables.
    //! RFC: 8881 section 18.3.3.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn those_that_wait_share_the_next_one() {
        let flush = Arc::new(Flush::default());
        let count = Arc::new(AtomicUsize::new(0));
        let (entered, is_in) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let first = {
            let (flush, count) = (Arc::clone(&flush), Arc::clone(&count));
            std::thread::spawn(move || {
                flush.run(|| {
                    entered.send(()).unwrap();
                    may_leave.recv().unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            })
        };
        is_in.recv().unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| {
                let (flush, count) = (Arc::clone(&flush), Arc::clone(&count));
                std::thread::spawn(move || {
                    flush.run(|| {
                        count.fetch_add(1, Ordering::Relaxed);
                        Err(Errno::IO)
                    })
                })
            })
            .collect();
        while flush.state.lock().waiting < others.len() {
            std::thread::yield_now();
        }
        leave.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Ok(()));
        for other in others {
            assert_eq!(other.join().unwrap(), Err(Errno::IO));
        }
        assert_eq!(count.load(Ordering::Relaxed), 2, "one for all that waited");
        assert_eq!(flush.run(|| Ok(())), Ok(()), "a failure is of those that it covers");
    }
}
