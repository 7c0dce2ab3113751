//! A state store for tests, which answers when it is told.

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Recovered, StateEvent, StateStore, StoreError};
use crate::rpc::BoxFuture;

pub(crate) type Answer = Result<(), StoreError>;

/// Notes what it is asked, and answers when the test says so.
#[derive(Default)]
pub(crate) struct ScriptedStore {
    events: Mutex<Vec<StateEvent>>,
    waiting: Mutex<Vec<Option<oneshot::Sender<Answer>>>>,
}

impl ScriptedStore {
    pub(crate) fn answer(&self, event: usize, answer: Answer) {
        let waiting = self.waiting.lock()[event].take().expect("an event that waits");
        drop(waiting.send(answer));
    }

    pub(crate) fn events(&self) -> Vec<StateEvent> {
        self.events.lock().clone()
    }
}

impl StateStore for ScriptedStore {
    fn begin(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        Box::pin(std::future::ready(Ok(Recovered { boot_epoch: 1, clients: Vec::new() })))
    }

    fn append(&self, event: StateEvent) -> BoxFuture<'static, Answer> {
        let (answer, answered) = oneshot::channel();
        self.events.lock().push(event);
        self.waiting.lock().push(Some(answer));
        Box::pin(async { answered.await.unwrap_or(Err(StoreError::Closed)) })
    }
}
