//! SETATTR: who may set what, and what follows from it.

use dittofs_framework::fs::{Authority, Credentials, FsError, FsResult, SetAttributes, SetTime};
use dittofs_framework::proto::{FileType, NfsTime};
use dittofs_framework::storage::RecordTimes;

use super::limits::{check_id, check_size};
use super::permission::{self, Facts, Want};

const NANOS_PER_SECOND: u32 = 1_000_000_000;
/// Access times are written at least this often (the rule of Linux's `relatime`).
const ACCESS_TIME_LAG_SECONDS: i64 = 24 * 60 * 60;

/// What SETATTR leads to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) facts: Facts,
    pub(crate) times: RecordTimes,
    /// Whether it counts as a change of the object, for its change attribute.
    pub(crate) changes: bool,
}

/// What comes of setting `set` on an object, whose access time is that of `times`; or why the caller may not.
pub(crate) fn set(
    caller: &Credentials,
    facts: &Facts,
    times: &RecordTimes,
    set: &SetAttributes,
    authority: Authority,
    now: NfsTime,
) -> FsResult<Outcome> {
    check(caller, facts, set, authority)?;
    let time_access = time_to_set(set.time_access, now)?;
    let time_modify = time_to_set(set.time_modify, now)?;
    let mut after = *times;
    if let Some(time) = set.time_create {
        after.create = valid_time(time)?;
    }
    let metadata = time_of_change(set, times, time_modify, now);
    after.metadata = metadata.unwrap_or(times.metadata);
    // RFC 8881 section 18.30.4: setting the size changes time_modify and change, whatever the size was.
    if let Some(time) = time_modify.or(set.size.map(|_| now)) {
        after.modify = time;
    }
    if let Some(time) = time_access {
        let is_late = matches!(set.time_access, Some(SetTime::Delegated(_))) && time < times.access;
        if !is_late {
            after.access = time;
        }
    }
    Ok(Outcome { facts: facts_after(caller, facts, set), times: after, changes: metadata.is_some() })
}

/// What time_metadata becomes: the clock's time, but where all that is set are times that the holder of a delegation kept, only so far
/// as they say (RFC 9754 section 5); `None` where it stays, and change with it.
fn time_of_change(
    set: &SetAttributes,
    times: &RecordTimes,
    time_modify: Option<NfsTime>,
    now: NfsTime,
) -> Option<NfsTime> {
    let kept = |time| matches!(time, Some(SetTime::Delegated(_)));
    let rest = SetAttributes {
        time_access: set.time_access.filter(|time| !kept(Some(*time))),
        time_modify: set.time_modify.filter(|time| !kept(Some(*time))),
        ..set.clone()
    };
    if rest.is_empty() { time_modify.map(|time| times.metadata.max(time)) } else { Some(now) }
}

/// Whether the caller may set all of it, in the order in which Linux asks.
fn check(caller: &Credentials, facts: &Facts, set: &SetAttributes, authority: Authority) -> FsResult<()> {
    if let Some(size) = set.size {
        match facts.file_type {
            FileType::Reg => {}
            FileType::Dir => return Err(FsError::IsDir),
            _ => return Err(FsError::Inval),
        }
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
pub(crate) fn time_to_set(time: Option<SetTime>, now: NfsTime) -> FsResult<Option<NfsTime>> {
    match time {
        None => Ok(None),
        Some(SetTime::ServerTime) => Ok(Some(now)),
        Some(SetTime::ClientTime(time)) => valid_time(time).map(Some),
        Some(SetTime::Delegated(time)) => valid_time(time).map(|time| Some(time.min(now))),
    }
}

/// Nanoseconds make no more than a second (RFC 8881 section 3.3.1).
pub(crate) fn valid_time(time: NfsTime) -> FsResult<NfsTime> {
    if time.nseconds < NANOS_PER_SECOND { Ok(time) } else { Err(FsError::Inval) }
}

/// Whether an access at `now` is to be noted, by the rule of `relatime`: when the access time is not after the last change, or old.
pub(crate) fn notes_access(last: NfsTime, modify: NfsTime, metadata: NfsTime, now: NfsTime) -> bool {
    let old = now.seconds.saturating_sub(last.seconds) >= ACCESS_TIME_LAG_SECONDS;
    old || last <= modify || last <= metadata
}
