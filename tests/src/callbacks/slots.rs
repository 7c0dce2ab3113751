use std::collections::HashMap;

use bytes::Bytes;
use dittofs_framework::proto::{
    CbSequence4Args, CbSequence4ResOk, NFS4ERR_BADSESSION, NFS4ERR_BADSLOT, NFS4ERR_DELAY,
    NFS4ERR_SEQ_MISORDERED, SessionId, Status,
};

/// The client's side of the backchannels of its sessions: slots with the last reply of each (RFC 8881 section 2.10.6).
#[derive(Default)]
pub(super) struct BackSlots {
    sessions: HashMap<SessionId, Vec<Slot>>,
}

#[derive(Clone, Default)]
struct Slot {
    sequenceid: u32,
    /// `None` while the callback is under way.
    reply: Option<Bytes>,
    /// It will never be answered, nor will a retry.
    is_mute: bool,
}

/// What a CB_SEQUENCE is.
pub(super) enum Admission {
    /// A callback that is to be carried out.
    New(CbSequence4ResOk),
    /// One that was carried out: its reply once more.
    Replay(Bytes),
    /// One that is never to be answered.
    Mute,
}

impl BackSlots {
    pub(super) fn open(&mut self, session: SessionId, slots: u32) {
        let slots = usize::try_from(slots).expect("few slots");
        self.sessions.insert(session, vec![Slot::default(); slots]);
    }

    pub(super) fn admit(&mut self, args: &CbSequence4Args) -> Result<Admission, Status> {
        let slots = self.sessions.get_mut(&args.sessionid).ok_or(NFS4ERR_BADSESSION)?;
        let highest_slotid = u32::try_from(slots.len() - 1).expect("few slots");
        let index = usize::try_from(args.slotid).expect("a slot");
        let slot = slots.get_mut(index).ok_or(NFS4ERR_BADSLOT)?;
        if args.sequenceid == slot.sequenceid {
            if slot.is_mute {
                return Ok(Admission::Mute);
            }
            // RFC 8881 section 20.9.3 has NFS4ERR_DELAY for a callback that is still under way.
            return slot.reply.clone().map(Admission::Replay).ok_or(NFS4ERR_DELAY);
        }
        if args.sequenceid != slot.sequenceid.wrapping_add(1) {
            return Err(NFS4ERR_SEQ_MISORDERED);
        }
        *slot = Slot { sequenceid: args.sequenceid, reply: None, is_mute: false };
        Ok(Admission::New(CbSequence4ResOk {
            sessionid: args.sessionid,
            sequenceid: args.sequenceid,
            slotid: args.slotid,
            highest_slotid,
            target_highest_slotid: highest_slotid,
        }))
    }

    /// Keeps the reply for a retry.
    pub(super) fn finish(&mut self, args: &CbSequence4Args, reply: Bytes) {
        if let Some(slot) = self.under_way(args) {
            slot.reply = Some(reply);
        }
    }

    /// Takes back what was admitted and not carried out.
    pub(super) fn forget(&mut self, args: &CbSequence4Args) {
        if let Some(slot) = self.under_way(args) {
            slot.sequenceid = slot.sequenceid.wrapping_sub(1);
        }
    }

    /// Answers it never, nor a retry.
    pub(super) fn mute(&mut self, args: &CbSequence4Args) {
        if let Some(slot) = self.under_way(args) {
            slot.is_mute = true;
        }
    }

    /// The slot of a callback, if no later one is in it.
    fn under_way(&mut self, args: &CbSequence4Args) -> Option<&mut Slot> {
        let index = usize::try_from(args.slotid).expect("a slot");
        let slot = self.sessions.get_mut(&args.sessionid)?.get_mut(index)?;
        (slot.sequenceid == args.sequenceid).then_some(slot)
    }
}
