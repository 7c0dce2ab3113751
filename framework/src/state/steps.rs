//! Counts, in tests, the locks and the nodes of trees that a call visits.

#[cfg(test)]
thread_local! {
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// One more.
#[inline]
pub(super) fn count() {
    #[cfg(test)]
    TAKEN.with(|taken| taken.set(taken.get() + 1));
}

/// Steps that the thread takes in `f`.
#[cfg(test)]
pub(super) fn taken_by<R>(f: impl FnOnce() -> R) -> (u64, R) {
    let before = TAKEN.get();
    let result = f();
    (TAKEN.get() - before, result)
}
