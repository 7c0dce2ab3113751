use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client::{Client, ClientGone};

/// What has changed in memory, and is not on record yet.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// Clients that are gone and whose state is still there, as its end could not be recorded.
    gone: Mutex<Vec<ClientGone>>,
    /// Clients of which something was revoked, once for each time.
    revoked: Mutex<Vec<Arc<Client>>>,
    /// Something was revoked, or recorded, or could not be.
    changed: Notify,
}

impl Unsettled {
    /// A departure that is under way. If its end is not reached, it waits for the [next attempt](Self::take_gone).
    pub(super) fn departing(&self, gone: ClientGone) -> Departing<'_> {
        Departing { unsettled: self, gone: Some(gone) }
    }

    /// The departures that have to be tried again.
    pub(super) fn take_gone(&self) -> Vec<ClientGone> {
        std::mem::take(&mut *self.gone.lock())
    }

    pub(super) fn has_gone(&self) -> bool {
        !self.gone.lock().is_empty()
    }

    /// Revocations that have to be recorded.
    pub(super) fn add_revoked(&self, clients: impl IntoIterator<Item = Arc<Client>>) {
        self.revoked.lock().extend(clients);
        self.changed.notify_waiters();
    }

    /// All revocations that have to be recorded and that nobody is recording. If the batch is dropped before it is recorded, they wait
    /// for the next attempt.
    pub(super) fn take_revoked(&self) -> Revoked<'_> {
        Revoked { unsettled: self, clients: std::mem::take(&mut *self.revoked.lock()) }
    }

    pub(super) fn changed(&self) -> impl Future<Output = ()> {
        self.changed.notified()
    }
}

pub(super) struct Departing<'a> {
    unsettled: &'a Unsettled,
    gone: Option<ClientGone>,
}

impl Departing<'_> {
    pub(super) fn client(&self) -> Option<&Client> {
        self.gone.as_ref().map(|gone| &*gone.client)
    }

    /// It is recorded: the state may go.
    pub(super) fn recorded(mut self) -> Option<ClientGone> {
        self.gone.take()
    }
}

impl Drop for Departing<'_> {
    fn drop(&mut self) {
        self.unsettled.gone.lock().extend(self.gone.take());
    }
}

pub(super) struct Revoked<'a> {
    unsettled: &'a Unsettled,
    clients: Vec<Arc<Client>>,
}

impl Revoked<'_> {
    pub(super) fn clients(&self) -> &[Arc<Client>] {
        &self.clients
    }

    /// They are recorded.
    pub(super) fn recorded(mut self) {
        self.clients.clear();
        self.unsettled.changed.notify_waiters();
    }
}

impl Drop for Revoked<'_> {
    fn drop(&mut self) {
        if !self.clients.is_empty() {
            self.unsettled.add_revoked(std::mem::take(&mut self.clients));
        }
    }
}
