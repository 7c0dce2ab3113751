use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dittofs_framework::compound::CompoundContext;
use dittofs_framework::layer::Layer;
use dittofs_framework::op::{DynOperation, OpFuture};
use dittofs_framework::xdr::{XdrReader, XdrWriter};
use tokio::sync::Semaphore;

/// A layer that holds every run of its operation until the test lets it pass.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    runs: AtomicUsize,
    arrived: Semaphore,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        let inner = Inner { runs: AtomicUsize::new(0), arrived: Semaphore::new(0), open: Semaphore::new(0) };
        Self { inner: Arc::new(inner) }
    }
}

impl Gate {
    /// Waits until one more run has come to the gate.
    ///
    /// # Panics
    /// Never: the gate is not closed for good.
    pub async fn arrival(&self) {
        self.inner.arrived.acquire().await.expect("a gate").forget();
    }

    /// Lets one run pass.
    pub fn open(&self) {
        self.inner.open.add_permits(1);
    }

    /// How many runs have come to the gate.
    pub fn runs(&self) -> usize {
        self.inner.runs.load(Ordering::SeqCst)
    }
}

impl Layer for Gate {
    fn call<'a>(
        &'a self,
        next: &'a dyn DynOperation,
        cx: &'a mut CompoundContext<'_>,
        args: &'a mut XdrReader<'_>,
        reply: &'a mut XdrWriter,
    ) -> OpFuture<'a> {
        Box::pin(async move {
            self.inner.runs.fetch_add(1, Ordering::SeqCst);
            self.inner.arrived.add_permits(1);
            if let Ok(pass) = self.inner.open.acquire().await {
                pass.forget();
            }
            next.run(cx, args, reply).await
        })
    }
}
