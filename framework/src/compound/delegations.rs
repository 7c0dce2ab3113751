//! What operations ask about delegations besides the state table.

use super::{CompoundContext, Nfs4Service};
use crate::attr::Bitmap;
use crate::callback::Callback;
use crate::client::Protocol;
use crate::proto::{Minor, OpenArguments4, RCA4_TYPE_MASK_RDATA_DLG, RCA4_TYPE_MASK_WDATA_DLG};
use crate::session::SlotGuard;
use crate::state::ReferringCall;

impl CompoundContext<'_> {
    /// The running request, as a callback names it that must not overtake its reply. There is none in minor version 0.
    pub fn referring_call(&self) -> Option<ReferringCall> {
        self.slot.as_ref().map(SlotGuard::referring_call)
    }
}

impl Nfs4Service {
    /// What OPEN takes in a minor version (RFC 9754 section 3).
    pub(super) fn open_arguments(&self, minor: Minor) -> &OpenArguments4 {
        let [v1, v2] = &self.open_arguments;
        if minor == Minor::V2 { v2 } else { v1 }
    }

    /// Asks clients to return some delegations, of their choice, when there are nearly as many as there may be (CB_RECALL_ANY, RFC 8881
    /// section 20.6).
    pub(super) fn relieve_delegations(&self) {
        for asked in self.state.delegation_pressure() {
            if asked.client.protocol() == Protocol::Sessions {
                let keep = u32::try_from(asked.keep).unwrap_or(u32::MAX);
                let mask = Bitmap::of(&[RCA4_TYPE_MASK_RDATA_DLG, RCA4_TYPE_MASK_WDATA_DLG]);
                self.callbacks.outbox.push(Callback::RecallAny { client: asked.client, keep, mask });
            }
        }
    }
}
