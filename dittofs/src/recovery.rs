//! What makes a server the same after a restart: who it is, its filehandles, and its clients' right to reclaim.

use std::sync::Arc;
use std::time::Duration;

use dittofs_backends::state_store::JournalStateStore;
use dittofs_framework::compound::{Nfs4Service, Nfs4ServiceBuilder};
use dittofs_framework::log_limited;
use dittofs_framework::recovery::StoreError;
use dittofs_framework::session::ServerIdentity;

use crate::data_dir::{DataDir, DataDirError};

/// How long clients have to reclaim after a restart, if their leases are no longer.
const GRACE: Duration = Duration::from_secs(90);
/// How often it is looked whether the grace period is over.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long clients have to reclaim that may have this lease: at least as long (RFC 8881 section 8.4.2.1).
pub(crate) fn grace(lease: Duration) -> Duration {
    lease.max(GRACE)
}

/// Keeps on record that clients may have this lease; the longest that any may have, those of earlier instances included.
///
/// The longer lease of an earlier instance counts until the grace period is over: a client that has not come back by then may still go
/// by it, and another restart in between must not make its time shorter.
pub(crate) fn longest_lease(dir: &DataDir, lease: Duration) -> Result<Duration, DataDirError> {
    let longest = dir.lease()?.map_or(lease, |before| before.max(lease));
    dir.keep_lease(longest)?;
    Ok(longest)
}

/// Once the grace period is over, no client has the lease of an earlier instance.
pub(crate) async fn forget_longer_lease(service: Arc<Nfs4Service>, dir: Arc<DataDir>) {
    while service.grace_remaining().is_some() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    if let Err(error) = dir.keep_lease(service.lease()) {
        // The next grace period is longer than it need be.
        log_limited!(warn, %error, "the lease cannot be kept on record");
    }
}

/// Lets the service go on where the instance before it ended.
pub(crate) async fn resume(
    service: Nfs4ServiceBuilder,
    dir: &DataDir,
    grace: Duration,
) -> Result<Nfs4ServiceBuilder, StoreError> {
    let store = Arc::new(JournalStateStore::open(&dir.state())?);
    // The store has the epoch.
    let identity = ServerIdentity::new(dir.server().name().as_bytes(), 0);
    service.identity(identity).filehandle_key(dir.server().key()).grace(grace).recover(store).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use dittofs_framework::export::Namespace;
    use dittofs_ops as _;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    // Origin: leases that are made shorter from start to start.
    // RFC: 8881 section 8.4.2.1.
    #[tokio::test]
    async fn the_longer_lease_counts_until_a_grace_period_is_over() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Arc::new(DataDir::open_or_make(temp.path()).unwrap());
        let longest = |lease| longest_lease(&dir, seconds(lease)).unwrap();
        assert_eq!(longest(90), seconds(90), "the first start");
        assert_eq!(longest(3600), seconds(3600), "a longer one");
        assert_eq!(longest(90), seconds(3600), "a shorter one");
        assert_eq!(longest(90), seconds(3600), "again, without a grace period that ended");
        let service = Nfs4Service::builder(Namespace::builder().build().unwrap()).lease(seconds(60));
        forget_longer_lease(Arc::new(service.build().unwrap()), dir.clone()).await;
        assert_eq!(longest(60), seconds(60), "nobody is left who has it");
    }

    #[test]
    fn the_grace_period_is_no_shorter_than_the_lease() {
        assert_eq!([1, 90, 3600].map(|lease| grace(seconds(lease))), [90, 90, 3600].map(seconds));
    }
}
