//! The server's callbacks on their way: what it put into its outbox is sent, and sent again until the client has taken it or there is
//! nothing to ask for any more.

use dittofs_framework::proto::{NFS4_OK, Stateid, Status};

use super::request::ClientNo;

/// After this time a callback without an answer is sent again, in milliseconds.
const PATIENCE: u64 = 900;
/// After this time one is sent again that the client did not take.
const BACKOFF: u64 = 150;

/// A recall that the client has not taken yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) stateid: Stateid,
    pub(crate) client: ClientNo,
    /// How often the machine had restarted when the server recalled.
    pub(crate) incarnation: u32,
    due: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    calls: Vec<Call>,
}

impl Callbacks {
    pub(crate) fn add(&mut self, stateid: Stateid, (client, incarnation): (ClientNo, u32), now: u64) {
        self.calls.push(Call { stateid, client, incarnation, due: now });
    }

    /// Those that are to be sent now.
    pub(crate) fn take_due(&mut self, now: u64, is_awaited: impl Fn(&Stateid) -> bool) -> Vec<Call> {
        self.calls.retain(|call| is_awaited(&call.stateid));
        let due = self.calls.iter_mut().filter(|call| call.due <= now);
        due.map(|call| {
            call.due = now + PATIENCE;
            *call
        })
        .collect()
    }

    pub(crate) fn answered(&mut self, stateid: Stateid, status: Status, now: u64) {
        if status == NFS4_OK {
            self.calls.retain(|call| call.stateid != stateid);
        }
        for call in self.calls.iter_mut().filter(|call| call.stateid == stateid) {
            call.due = now + BACKOFF;
        }
    }

    /// The server crashed.
    pub(crate) fn forget_all(&mut self) {
        self.calls.clear();
    }
}
