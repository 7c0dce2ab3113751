//! SETATTR: who may set what, and what follows from it.

use dittofs_framework::fs::{
    Attributes, Authority, Credentials, FsError, FsResult, NodeHandle, SetAttributes, SetTime,
};
use dittofs_framework::proto::NfsTime;

use super::inode::State;
use super::volume::{MAX_FILE_SIZE, Volume};
use crate::clock::NANOS_PER_SECOND;
use crate::rules::permission::{self, Facts, Want};

impl Volume {
    pub(super) fn set_attributes(
        &self,
        caller: &Credentials,
        node: &NodeHandle,
        set: &SetAttributes,
        authority: Authority,
    ) -> FsResult<Attributes> {
        let inode = self.resolve(node)?;
        let mut state = inode.write_live()?;
        if set.is_empty() {
            return Ok(inode.attributes(&state));
        }
        check(caller, &state, set, authority)?;
        let now = self.now();
        let time_access = time_to_set(set.time_access, now)?;
        let time_modify = time_to_set(set.time_modify, now)?;
        let time_create = set.time_create.map(valid_time).transpose()?;
        let facts = facts_after(caller, &state.facts, set);

        if let Some(size) = set.size {
            let content = state.content_mut()?;
            let before = content.charge();
            content.resize(size);
            self.space.settle(0, before, content.charge());
        }
        state.facts = facts;
        state.exclusive = None;
        note_change(&mut state, set, time_modify, now);
        // RFC 8881 section 18.30.4: setting the size changes time_modify and change, whatever the size was.
        if let Some(time) = time_modify.or(set.size.map(|_| now)) {
            state.times.modify = time;
        }
        if let Some(time) = time_create {
            state.times.create = time;
        }
        if let Some(time) = time_access {
            let is_late = matches!(set.time_access, Some(SetTime::Delegated(_)))
                && time < inode.attributes(&state).time_access;
            if !is_late {
                inode.set_time_access(&mut state, time);
            }
        }
        Ok(inode.attributes(&state))
    }
}

/// Moves change and time_metadata on: to the clock's time, but where all that is set are times that the holder of a delegation
/// kept, only so far as they say (RFC 9754 section 5).
fn note_change(state: &mut State, set: &SetAttributes, time_modify: Option<NfsTime>, now: NfsTime) {
    let kept = |time| matches!(time, Some(SetTime::Delegated(_)));
    let rest = SetAttributes {
        time_access: set.time_access.filter(|time| !kept(Some(*time))),
        time_modify: set.time_modify.filter(|time| !kept(Some(*time))),
        ..set.clone()
    };
    if !rest.is_empty() {
        state.touch(now);
    } else if let Some(time) = time_modify {
        state.touch(state.times.metadata.max(time));
    }
}

/// Whether the caller may set all of it, in the order in which Linux asks.
fn check(caller: &Credentials, state: &State, set: &SetAttributes, authority: Authority) -> FsResult<()> {
    let facts = &state.facts;
    if let Some(size) = set.size {
        state.content().map_err(|error| if error == FsError::IsDir { error } else { FsError::Inval })?;
        permission::check_write(caller, facts, authority)?;
        check_size(size)?;
    }
    if let Some(uid) = set.uid {
        check_id(uid)?;
        permission::check_new_owner(caller, facts, uid)?;
    }
    if let Some(gid) = set.gid {
        check_id(gid)?;
        permission::check_new_group(caller, facts, gid)?;
    }
    if (set.mode.is_some() || set.time_create.is_some()) && !permission::is_owner(caller, facts) {
        return Err(FsError::Perm);
    }
    check_times(caller, facts, set, authority)
}

/// A time of the caller's choice is the owner's to set; the current one is anyone's who may write. Whoever truncates
/// changes the time of modification anyway.
///
/// Times that the holder of a delegation kept rest on the open behind it.
fn check_times(
    caller: &Credentials,
    facts: &Facts,
    set: &SetAttributes,
    authority: Authority,
) -> FsResult<()> {
    if permission::is_owner(caller, facts) {
        return Ok(());
    }
    let kept = |time: &SetTime| authority == Authority::Open && matches!(time, SetTime::Delegated(_));
    let times = [set.time_access, set.time_modify].map(|time| time.filter(|time| !kept(time)));
    if times.iter().any(|time| matches!(time, Some(SetTime::ClientTime(_) | SetTime::Delegated(_)))) {
        return Err(FsError::Perm);
    }
    let implied = set.size.is_some() && set.time_access.is_none();
    if implied || times == [None, None] { Ok(()) } else { permission::check(caller, facts, Want::WRITE) }
}

/// Owner, group and mode once all of `set` is set.
fn facts_after(caller: &Credentials, facts: &Facts, set: &SetAttributes) -> Facts {
    let mut after = *facts;
    after.gid = set.gid.unwrap_or(facts.gid);
    after.uid = set.uid.unwrap_or(facts.uid);
    let chown = set.uid.is_some() || set.gid.is_some();
    if set.size.is_some() {
        after.mode = permission::mode_after_write(caller, facts);
    }
    match set.mode {
        Some(mode) if chown => after.mode = permission::mode_with_chown(caller, &after, mode),
        Some(mode) => after.mode = permission::mode_after_chmod(caller, after.gid, mode),
        None if chown => {
            after.mode = permission::mode_after_chown(caller, &Facts { mode: after.mode, ..*facts });
        }
        None => {}
    }
    after
}

/// The time to set, if any.
pub(super) fn time_to_set(time: Option<SetTime>, now: NfsTime) -> FsResult<Option<NfsTime>> {
    match time {
        None => Ok(None),
        Some(SetTime::ServerTime) => Ok(Some(now)),
        Some(SetTime::ClientTime(time)) => valid_time(time).map(Some),
        Some(SetTime::Delegated(time)) => valid_time(time).map(|time| Some(time.min(now))),
    }
}

/// Nanoseconds make no more than a second (RFC 8881 section 3.3.1).
pub(super) fn valid_time(time: NfsTime) -> FsResult<NfsTime> {
    if time.nseconds < NANOS_PER_SECOND { Ok(time) } else { Err(FsError::Inval) }
}

pub(super) fn check_size(size: u64) -> FsResult<()> {
    if size > MAX_FILE_SIZE { Err(FsError::FileTooBig) } else { Ok(()) }
}

/// The largest id stands for "none" in the calls of POSIX, and can own nothing.
pub(super) fn check_id(id: u32) -> FsResult<()> {
    if id == u32::MAX { Err(FsError::Inval) } else { Ok(()) }
}
