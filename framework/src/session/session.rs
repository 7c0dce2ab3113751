use std::sync::Arc;

use super::back::{Backchannel, Unavailable};
use super::back_slots::BackSlotGuard;
use super::slots::Slots;
use crate::client::Client;
use crate::proto::{BackchannelCtl4Args, ChannelAttrs4, SessionId, Status};

/// A session (RFC 8881 section 2.10).
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    client: Arc<Client>,
    fore: ChannelAttrs4,
    slots: Slots,
    back: Backchannel,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        client: Arc<Client>,
        fore: ChannelAttrs4,
        slots: Slots,
        back: Backchannel,
    ) -> Self {
        Self { id, client, fore, slots, back }
    }

    /// Its ID.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whose it is.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The limits of requests and replies that were negotiated. How many requests there may be at a time has moved since.
    pub fn fore_channel(&self) -> &ChannelAttrs4 {
        &self.fore
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Answers BACKCHANNEL_CTL (RFC 8881 section 18.33).
    pub fn control_backchannel(&self, args: &BackchannelCtl4Args) -> Result<(), Status> {
        self.back.readdress(args.cb_program, &args.sec_parms)
    }

    /// The client was told by CB_RECALL_SLOT to use no slot above this one.
    pub(crate) fn told_target(&self, target_highest_slotid: u32) {
        self.slots.told_target(target_highest_slotid);
    }

    /// Its backchannel.
    pub(crate) fn back(&self) -> &Backchannel {
        &self.back
    }

    /// A slot of its backchannel, for one callback.
    pub(crate) fn take_back_slot(self: &Arc<Self>) -> Result<BackSlotGuard, Unavailable> {
        self.back.take_slot().map(|numbers| BackSlotGuard::new(self.clone(), numbers))
    }

    /// Whether it takes no requests any more.
    pub(super) fn has_ended(&self) -> bool {
        self.slots.has_ended()
    }
}

/// The compound that an operation on sessions or clients is part of.
#[derive(Debug, Clone, Copy)]
pub enum Within<'a> {
    /// It stands alone.
    Nothing,
    /// It runs in this session, and has one of its slots in use.
    Session(&'a Arc<Session>),
}

impl Within<'_> {
    /// Whether it runs in the session with this ID.
    pub(super) fn is(self, session: &Session) -> bool {
        matches!(self, Self::Session(own) if own.id() == session.id())
    }
}

/// A request other than the asking one is still running in a session that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StillInUse;

/// Ends all of `sessions`, or none if a request other than the asking one is running in one of them.
///
/// After it, no request of theirs is running (but the asking one) and none is ever admitted: what they made can be taken
/// away without a request bringing it back.
pub(super) fn end_sessions(sessions: &[Arc<Session>], within: Within<'_>) -> Result<(), StillInUse> {
    let frozen: Vec<_> = sessions.iter().map(|session| session.slots.freeze()).collect();
    for (session, slots) in sessions.iter().zip(&frozen) {
        if slots.in_use() > usize::from(within.is(session)) {
            return Err(StillInUse);
        }
    }
    frozen.into_iter().for_each(super::slots::FrozenSlots::end);
    for session in sessions {
        session.back.end();
    }
    Ok(())
}
