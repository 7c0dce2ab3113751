use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use crate::state::FileStripe;

const GROUPS: usize = 64;

/// Requests that wait for a delegation to be returned, in groups of files.
#[derive(Debug)]
pub(super) struct Returns {
    groups: [Arc<Notify>; GROUPS],
}

impl Default for Returns {
    fn default() -> Self {
        Self { groups: std::array::from_fn(|_| Arc::default()) }
    }
}

impl Returns {
    fn group(&self, file: FileStripe) -> &Arc<Notify> {
        #[allow(clippy::indexing_slicing)] // below the length by the remainder
        &self.groups[file.index() % GROUPS]
    }

    /// A delegation of one of these files is gone.
    pub(super) fn wake(&self, file: FileStripe) {
        self.group(file).notify_waiters();
    }

    /// Begins to listen, for so long.
    pub(super) fn wait(&self, file: FileStripe, most: Duration) -> Waiting {
        let group = self.group(file).clone();
        Waiting { until: (!most.is_zero()).then(|| Instant::now() + most), group, next: None }
    }
}

/// A request that waits.
pub(super) struct Waiting {
    group: Arc<Notify>,
    /// `None` if it does not wait at all.
    until: Option<Instant>,
    next: Option<Pin<Box<OwnedNotified>>>,
}

impl Waiting {
    /// Waits for the next return, and says whether it is worth to ask again. The first time it only begins to listen, as the delegation
    /// may have been returned since the request met it.
    pub(super) async fn next(&mut self) -> bool {
        let Some(until) = self.until else { return false };
        let listen = || {
            let mut next = Box::pin(self.group.clone().notified_owned());
            next.as_mut().enable();
            next
        };
        let listening = listen();
        let Some(returned) = self.next.replace(listening) else { return true };
        // One that is woken again and again ends as well.
        Instant::now() < until && tokio::time::timeout_at(until, returned).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::export::ExportId;
    use crate::fs::NodeHandle;
    use crate::state::{FileKey, StateLimits, StateTable};

    // Origin: a file with many holders, who return their delegations one by one. RFC: 8881 section 10.4.4.
    #[tokio::test(start_paused = true)]
    async fn who_is_woken_often_waits_no_longer() {
        let table = StateTable::new(1, StateLimits::default());
        let file = table.stripe(&FileKey { export: ExportId(1), node: NodeHandle::from_u64(1) });
        let returns = Returns::default();
        let mut waiting = returns.wait(file, Duration::from_secs(1));
        assert!(waiting.next().await, "the first time it asks again at once");
        let mut woken = 0;
        loop {
            returns.wake(file);
            tokio::time::advance(Duration::from_millis(10)).await;
            if !waiting.next().await {
                break;
            }
            woken += 1;
        }
        assert_eq!(woken, 99);
    }
}
