//! What operations ask about delegations besides the state table.

use super::{CompoundContext, Nfs4Service};
use crate::client::Client;
use crate::session::SlotGuard;
use crate::state::{CallbackPath, ReferringCall};

impl CompoundContext<'_> {
    /// The running request, as a callback names it that must not overtake its reply. There is none in minor version 0.
    pub fn referring_call(&self) -> Option<ReferringCall> {
        self.slot.as_ref().map(SlotGuard::referring_call)
    }
}

impl Nfs4Service {
    /// Whether a client can be asked for its delegations.
    pub fn callback_path(&self, _client: &Client) -> CallbackPath {
        CallbackPath::None
    }
}
