//! Locks that keep a second server away.

use std::fs::{File, TryLockError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long somebody may have the lock who is about to give it up: a process that is being started has all that its parent has open until it
/// runs its own program.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(5);

/// Locks a file, until it is closed.
///
/// # Errors
/// [`TryLockError::WouldBlock`] if somebody else has it, and keeps it.
pub(crate) fn lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Origin: a lock that was passed on to a process, by mistake and for a moment.
    // RFC: none.
    #[test]
    fn a_lock_that_goes_soon_is_waited_for_and_another_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = File::open(file.path()).unwrap();
        let second = File::open(file.path()).unwrap();
        lock(&first).unwrap();
        assert!(matches!(lock(&second), Err(TryLockError::WouldBlock)));
        let closing = std::thread::spawn(move || {
            sleep(PATIENCE / 4);
            drop(first);
        });
        lock(&second).unwrap();
        closing.join().unwrap();
    }
}
