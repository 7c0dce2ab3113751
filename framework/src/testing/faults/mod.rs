//! Stores that fail when they are told to, and that lose power.
//!
//! [`FaultyStores`] wraps a pair of stores. What is built on [`metadata`](FaultyStores::metadata) and
//! [`content`](FaultyStores::content) sees them work until the plan says otherwise: the n-th call of some kind
//! [fails](FaultyStores::fail), or is [held](FaultyStores::hold) until the test lets it go on. A
//! [`crash`](FaultyStores::crash) takes back what was not durable, as far as [`Loss`] says, and gives the next life a working pair.

mod content;
mod image;
mod metadata;
mod plan;

use std::sync::Arc;

use parking_lot::Mutex;

use self::content::FaultyContent;
use self::image::Durable;
use self::metadata::FaultyMetadata;
use self::plan::Plan;
pub use self::plan::{Calls, Fault, Gate};
use crate::storage::{ContentStore, MetadataStore};

/// What a crash takes of that which was not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    All,
    /// Nothing: it had all been written by chance.
    Nothing,
    /// Some changes, and parts of some writes, by this seed.
    Some(u64),
}

/// Two stores that fail together.
pub struct FaultyStores {
    metadata: Arc<dyn MetadataStore>,
    content: Arc<dyn ContentStore>,
    durable: Arc<Durable>,
    /// Held while a batch is being applied.
    applying: Arc<tokio::sync::Mutex<()>>,
    /// Of the life until the next crash.
    plan: Mutex<Arc<Plan>>,
}

impl FaultyStores {
    /// Wraps these. What they hold already is durable.
    pub fn new(metadata: Arc<dyn MetadataStore>, content: Arc<dyn ContentStore>) -> Self {
        Self { metadata, content, durable: Arc::default(), applying: Arc::default(), plan: Mutex::default() }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.lock())
    }

    /// The store of metadata until the next crash.
    pub fn metadata(&self) -> Arc<dyn MetadataStore> {
        let (inner, applying) = (Arc::clone(&self.metadata), Arc::clone(&self.applying));
        Arc::new(FaultyMetadata { inner, plan: self.plan(), applying })
    }

    /// The store of contents until the next crash.
    pub fn content(&self) -> Arc<dyn ContentStore> {
        let (inner, durable) = (Arc::clone(&self.content), Arc::clone(&self.durable));
        Arc::new(FaultyContent { inner, durable, plan: self.plan() })
    }

    /// Lets the `nth` call of these kinds from now on fail; 1 is the next one.
    pub fn fail(&self, calls: Calls, nth: u64, fault: Fault) {
        self.plan().fail(calls, nth, Some(1), fault);
    }

    /// Lets all calls of these kinds fail from now on.
    pub fn fail_all(&self, calls: Calls, fault: Fault) {
        self.plan().fail(calls, 1, None, fault);
    }

    /// Forgets what was to fail. What has lost power stays without.
    pub fn mend(&self) {
        self.plan().mend();
    }

    /// How many calls of these kinds there were since the last crash.
    pub fn count(&self, calls: Calls) -> u64 {
        self.plan().count(calls)
    }

    /// Whether a fault has switched the power off.
    pub fn is_off(&self) -> bool {
        self.plan().is_off()
    }

    /// Holds all calls of these kinds before they begin, until the gate is dropped.
    pub fn hold(&self, calls: Calls) -> Gate {
        self.plan().hold(calls)
    }

    /// Takes the power away and gives it back: stores that were asked for before do nothing more, and what was not durable is
    /// lost. What was to fail is forgotten.
    ///
    /// # Panics
    /// If the wrapped store fails.
    pub async fn crash(&self, loss: Loss) {
        std::mem::take(&mut *self.plan.lock()).switch_off();
        // A batch that is under way is there or not, but does not come after the crash.
        drop(self.applying.lock().await);
        self.durable.restore(&self.content, loss).await.expect("contents are as they were");
    }
}
