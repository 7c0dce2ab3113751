use std::future::ready;
use std::io;
use std::time::SystemTime;

use dittofs_framework::recovery::{Ledger, Recovered, StateEvent, StateStore, StoreError};
use dittofs_framework::rpc::BoxFuture;
use parking_lot::Mutex;

use super::epoch_floor;

/// A store that lives as long as the value: it survives instances of the service, not the process.
#[derive(Debug, Default)]
pub struct MemoryStateStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ledger: Ledger,
    is_broken: bool,
}

impl MemoryStateStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails whatever is asked from now on, as a disk does that is full, until the store is [mended](Self::mend).
    pub fn break_down(&self) {
        self.inner.lock().is_broken = true;
    }

    /// Works again. What was asked meanwhile had no effect.
    pub fn mend(&self) {
        self.inner.lock().is_broken = false;
    }

    /// What a server that started now would be told of its clients.
    pub fn recovered(&self) -> Recovered {
        self.inner.lock().ledger.recovered()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> Result<T, StoreError> {
        let mut inner = self.inner.lock();
        if inner.is_broken {
            return Err(StoreError::failed(io::Error::from(io::ErrorKind::StorageFull)));
        }
        Ok(change(&mut inner.ledger))
    }
}

impl StateStore for MemoryStateStore {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        let floor = epoch_floor(SystemTime::now());
        Box::pin(ready(self.change(|ledger| ledger.begin(floor))))
    }

    fn append(&self, event: StateEvent) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(ready(self.change(|ledger| ledger.apply(&event))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dittofs_framework::recovery::StateStore;
    use dittofs_framework::state_store_suite;
    use dittofs_framework::testing::state_store::StateStoreFixture;

    use super::MemoryStateStore;

    /// The value is what survives.
    #[derive(Default)]
    struct Fixture(Arc<MemoryStateStore>);

    impl StateStoreFixture for Fixture {
        fn open(&mut self) -> Arc<dyn StateStore> {
            self.0.clone()
        }
    }

    state_store_suite!(Fixture::default);
}
