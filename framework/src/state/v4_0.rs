//! What the operations of minor version 0 alone ask of the state table.

use super::caller::Caller;
use super::effects::Effects;
use super::ids::{FileKey, StateKey};
use super::table::{StateRef, StateTable};
use crate::proto::{ClientId, NFS4ERR_SERVERFAULT, Stateid, Status};

impl StateTable {
    /// Confirms an open, which makes its stateid another one (RFC 7530 section 16.18).
    pub fn confirm_open(&self, caller: Caller, stateid: &Stateid, file: &FileKey) -> Result<Stateid, Status> {
        self.on_open_or_lock(caller, stateid, file, |at, inner| {
            inner.open(at.key, stateid.seqid)?;
            let open = inner.opens.get_mut(&at.key).ok_or(NFS4ERR_SERVERFAULT)?;
            open.seqid = open.seqid.next();
            Ok(self.stateid(at.key, open.seqid))
        })
    }

    /// Closes an open that its client will not confirm (RFC 7530 section 16.18.5), if it is still there.
    pub fn cancel_open(&self, other: &[u8; 12]) -> Effects {
        let Some(key) = StateKey::from_other(*other, self.epoch) else { return Effects::default() };
        let file = self.stateids.shard(&key).get(&key).and_then(StateRef::file);
        let closed = file.and_then(|file| self.enter(&file, |inner| self.remove_open(inner, key)));
        closed.unwrap_or_default()
    }

    /// Whether there is state under a stateid, or was and the client has not been told of its loss.
    pub fn knows(&self, other: &[u8; 12]) -> bool {
        StateKey::from_other(*other, self.epoch)
            .is_some_and(|key| self.stateids.shard(&key).contains_key(&key))
    }

    /// Whether byte-range locks are held through a lock stateid.
    pub fn holds_locks(&self, other: &[u8; 12]) -> bool {
        let Some(key) = StateKey::from_other(*other, self.epoch) else { return false };
        let file = self.stateids.shard(&key).get(&key).and_then(StateRef::file);
        let held = file.and_then(|file| {
            self.enter(&file, |inner| inner.lock_states.get(&key).is_some_and(|lock| lock.held > 0))
        });
        held.unwrap_or(false)
    }

    /// Whether a client has a file open that was opened by `user`, or by several users.
    pub fn has_open_by(&self, client: ClientId, user: u32) -> bool {
        let Ok(record) = self.client(client) else { return false };
        record.open_keys().into_iter().any(|key| {
            let file = self.stateids.shard(&key).get(&key).and_then(StateRef::file);
            let is_users = |principal: Option<u32>| principal.is_none_or(|principal| principal == user);
            let by_user = file.and_then(|file| {
                self.enter(&file, |inner| inner.opens.get(&key).is_some_and(|open| is_users(open.principal)))
            });
            by_user.unwrap_or(false)
        })
    }
}
