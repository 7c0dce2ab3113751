//! Callbacks that are to be carried out.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::attr::Bitmap;
use crate::client::Client;
use crate::proto::StateOwner;
use crate::session::Session;
use crate::state::{FileKey, Recall};

/// One thing that a client is to be told or asked.
#[derive(Debug, Clone)]
pub enum Callback {
    /// A delegation is to be returned.
    Recall(Recall),
    /// Some delegations, of the client's choice, are to be returned.
    RecallAny {
        /// The client.
        client: Arc<Client>,
        /// How many it may keep.
        keep: u32,
        /// Of which types: `RCA4_TYPE_MASK_*`.
        mask: Bitmap,
    },
    /// A lock that was denied may be free.
    NotifyLock {
        /// The client.
        client: Arc<Client>,
        /// Where.
        file: FileKey,
        /// Who was denied it.
        owner: StateOwner,
    },
    /// Slots of a session are to be given back.
    RecallSlot {
        /// The session.
        session: Weak<Session>,
        /// The highest that the client is to use.
        target_highest_slotid: u32,
    },
    /// Find out whether callbacks reach the client.
    Probe {
        /// The client.
        client: Arc<Client>,
    },
}

impl Callback {
    /// Whom it is for; `None` if its session is gone.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        match self {
            Self::Recall(Recall { client, .. })
            | Self::RecallAny { client, .. }
            | Self::NotifyLock { client, .. }
            | Self::Probe { client } => Some(client.clone()),
            Self::RecallSlot { session, .. } => session.upgrade().map(|session| session.client().clone()),
        }
    }
}

/// The queue between those who want something called back and whoever carries it out.
///
/// There is no limit of its own: it is emptied at once, and the pump keeps no more than there is state.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<VecDeque<Callback>>,
    added: Notify,
}

impl Outbox {
    /// Adds a callback behind the others. Waits for nobody.
    pub fn push(&self, callback: Callback) {
        self.queue.lock().push_back(callback);
        self.added.notify_one();
    }

    /// The first callback, as soon as there is one.
    pub async fn next(&self) -> Callback {
        loop {
            if let Some(callback) = self.try_next() {
                return callback;
            }
            self.added.notified().await;
        }
    }

    /// The first callback, if there is one.
    pub fn try_next(&self) -> Option<Callback> {
        self.queue.lock().pop_front()
    }
}
