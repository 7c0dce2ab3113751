//! SETATTR.

use std::sync::Arc;

use dittofs_framework::fs::{
    Attributes, Authority, Credentials, FsError, FsResult, NodeHandle, SetAttributes,
};
use dittofs_framework::storage::RecordTimes;

use super::inode::{Inode, State, Unsaved};
use super::volume::Volume;
use crate::rules::attributes::{Outcome, set};

impl Volume {
    pub(super) async fn set_attributes(
        self: &Arc<Self>,
        caller: &Credentials,
        node: &NodeHandle,
        wanted: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes> {
        let inode = self.resolve(node).await?;
        if let Some(size) = wanted.size {
            return self.set_with_size(caller, &inode, wanted, authority, size).await;
        }
        let (ticket, attributes) = {
            let mut state = inode.write_live()?;
            if wanted.is_empty() {
                return Ok(inode.attributes(&state));
            }
            let outcome = self.outcome(caller, &inode, &state, wanted, authority)?;
            let mut change = self.journal.begin()?;
            self.take_on(&inode, &mut state, &outcome);
            change.put(&inode, &mut state);
            (change.ticket(), inode.attributes(&state))
        };
        self.commit(ticket).await?;
        Ok(attributes)
    }

    async fn set_with_size(
        self: &Arc<Self>,
        caller: &Credentials,
        inode: &Arc<Inode>,
        wanted: &SetAttributes,
        authority: Authority,
        size: u64,
    ) -> FsResult<Attributes> {
        // Whoever may not is to be told so before anything is done.
        self.outcome(caller, inode, &*inode.read_live()?, wanted, authority)?;
        if size > self.content.max_len() {
            return Err(FsError::FileTooBig);
        }
        let _contents = inode.contents.write().await;
        self.cut(inode).await?;
        let is_behind = {
            let state = inode.read_live()?;
            let grows = size > state.record.size && state.has_contents;
            // A record of nothing speaks of no bytes: what cannot be made durable can still be cut.
            size > 0 && (grows || state.unsaved == Unsaved::Written)
        };
        if is_behind {
            // The new record is durable at once, and so has to be what it speaks of: what was written, and that what was cut before is gone.
            self.sync(inode).await?;
        }
        let (ticket, shrinks) = {
            let mut state = inode.write_live()?;
            let outcome = self.outcome(caller, inode, &state, wanted, authority)?;
            let mut change = self.journal.begin()?;
            self.take_on(inode, &mut state, &outcome);
            let shrinks = size < state.record.size && state.has_contents;
            state.is_cut = !shrinks;
            state.record.size = size;
            state.durable_size = size;
            state.unsaved = Unsaved::Nothing;
            change.put(inode, &mut state);
            (change.ticket(), shrinks)
        };
        self.commit(ticket).await?;
        if shrinks {
            self.cut(inode).await?;
        }
        let mut state = inode.write_live()?;
        if shrinks {
            // What the contents take now is in the record when it is next saved.
            state.unsaved = Unsaved::Written;
            self.note_unsaved(inode);
        }
        Ok(inode.attributes(&state))
    }

    fn outcome(
        &self,
        caller: &Credentials,
        inode: &Inode,
        state: &State,
        wanted: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Outcome> {
        let times = RecordTimes { access: inode.time_access(state), ..state.record.times };
        set(caller, &state.facts(), &times, wanted, authority, self.now())
    }

    fn take_on(&self, inode: &Inode, state: &mut State, outcome: &Outcome) {
        inode.take_access(state);
        let record = &mut state.record;
        record.times = outcome.times;
        record.mode = outcome.facts.mode;
        record.uid = outcome.facts.uid;
        record.gid = outcome.facts.gid;
        record.exclusive = None;
        if outcome.changes {
            state.change(self.floor());
        }
    }
}
