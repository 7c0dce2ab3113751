//! The locks and atomics of the session core and the state core.
//!
//! They are parking_lot's and the standard library's. With the feature `loom` they are those of the model checker of that
//! name, which runs a test again and again, in a different order of the threads' steps each time: see
//! `docs/internals/concurrency.md`. Such a build serves nothing but these tests.

#[cfg(not(feature = "loom"))]
pub(crate) use foldhash::fast::RandomState as ShardHasher;
#[cfg(not(feature = "loom"))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::atomic;
#[cfg(all(debug_assertions, not(feature = "loom")))]
pub(crate) use std::thread_local;

#[cfg(feature = "loom")]
pub(crate) use model::*;

/// The checker's types with parking_lot's methods.
#[cfg(feature = "loom")]
mod model {
    use std::sync::PoisonError;

    use loom::sync::{RwLockReadGuard, RwLockWriteGuard};

    /// A model must do the same in every run.
    pub(crate) use foldhash::fast::FixedState as ShardHasher;
    pub(crate) use loom::sync::{MutexGuard, atomic};
    pub(crate) use loom::thread_local;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// What the models of threads share.
#[cfg(all(test, feature = "loom"))]
pub(crate) mod orders {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use loom::thread::{Builder, JoinHandle};

    /// In words. The checker's own 32 KiB are too few for a table on its way to the heap.
    const STACK: usize = 1 << 16;

    /// Runs `f` in every order of its threads' steps, up to four preemptions or LOOM_MAX_PREEMPTIONS.
    pub(crate) fn check_all(f: impl Fn() + Send + Sync + 'static) {
        let mut checker = loom::model::Builder::new();
        checker.preemption_bound = checker.preemption_bound.or(Some(4));
        checker.max_branches = 10_000;
        let (f, orders) = (Arc::new(f), Arc::new(AtomicUsize::new(0)));
        let counted = orders.clone();
        checker.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let f = f.clone();
            join(spawn(move || f()));
        });
        println!("{} orders", orders.load(Ordering::Relaxed));
    }

    /// A thread of a model.
    #[allow(clippy::expect_used)] // of a test
    pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Builder::new().stack_size(STACK).spawn(f).expect("a thread of the model")
    }

    /// Waits for a thread of a model.
    #[allow(clippy::expect_used)] // of a test
    pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
        thread.join().expect("a thread that ends")
    }
}
