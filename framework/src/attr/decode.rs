#[allow(clippy::wildcard_imports)] // attribute numbers, and nothing else
use super::numbers::*;
use super::table::{AttrKind, row};
use super::{AttrServer, Bitmap, DELEGATED_TIMES};
use crate::fs::{SetAttributes, SetTime};
use crate::proto::{
    Fattr4, NFS4ERR_ATTRNOTSUPP, NFS4ERR_BADOWNER, NFS4ERR_BADXDR, NFS4ERR_INVAL, NfsTime, Status,
};
use crate::xdr::{XdrDecode, XdrError, XdrReader};

/// The longest owner or group name that is looked at.
const MAX_OWNER_NAME: u32 = 1024;
const MODE_BITS: u32 = 0o7777;
const NANOSECONDS: u32 = 1_000_000_000;

/// Attributes that an object can be given when it is created or by SETATTR.
pub const SETTABLE: Bitmap = Bitmap::of(&[
    FATTR4_SIZE,
    FATTR4_MODE,
    FATTR4_OWNER,
    FATTR4_OWNER_GROUP,
    FATTR4_TIME_ACCESS_SET,
    FATTR4_TIME_CREATE,
    FATTR4_TIME_MODIFY_SET,
]);

/// Reads what a client wants a new object to have: like [`decode_setattr`], without the times that only the holder of a
/// delegation sets.
pub fn decode_settable(fattr: &Fattr4, server: &AttrServer<'_>) -> Result<SetAttributes, Status> {
    if !fattr.attrmask.and(server.supported).and(DELEGATED_TIMES).is_empty() {
        return Err(NFS4ERR_INVAL);
    }
    decode_setattr(fattr, server)
}

/// Reads what a client wants to set.
///
/// NFS4ERR_ATTRNOTSUPP for an attribute that is not supported, NFS4ERR_INVAL for one that cannot be set or a value that makes no
/// sense, NFS4ERR_BADOWNER for a name that means nobody here, NFS4ERR_BADXDR for values that do not match the bitmap.
pub fn decode_setattr(fattr: &Fattr4, server: &AttrServer<'_>) -> Result<SetAttributes, Status> {
    if !fattr.attrmask.minus(server.supported).is_empty() {
        return Err(NFS4ERR_ATTRNOTSUPP);
    }
    if fattr.attrmask.iter().filter_map(row).any(|row| row.kind == AttrKind::ReadOnly) {
        return Err(NFS4ERR_INVAL);
    }
    let mut set = SetAttributes::default();
    let mut r = XdrReader::new(&fattr.attr_vals.0);
    for number in fattr.attrmask.iter() {
        decode_one(number, &mut r, server, &mut set)?;
    }
    r.finish().map_err(bad_xdr)?;
    Ok(set)
}

fn decode_one(
    number: u32,
    r: &mut XdrReader<'_>,
    server: &AttrServer<'_>,
    set: &mut SetAttributes,
) -> Result<(), Status> {
    match number {
        FATTR4_SIZE => set.size = Some(r.u64().map_err(bad_xdr)?),
        FATTR4_MODE => set.mode = Some(valid_mode(r.u32().map_err(bad_xdr)?)?),
        FATTR4_OWNER => {
            set.uid = Some(server.ids.uid(owner_name(r)?).ok_or(NFS4ERR_BADOWNER)?);
        }
        FATTR4_OWNER_GROUP => {
            set.gid = Some(server.ids.gid(owner_name(r)?).ok_or(NFS4ERR_BADOWNER)?);
        }
        FATTR4_TIME_ACCESS_SET => set.time_access = Some(set_time(r)?),
        FATTR4_TIME_MODIFY_SET => set.time_modify = Some(set_time(r)?),
        FATTR4_TIME_CREATE => set.time_create = Some(time(r)?),
        FATTR4_TIME_DELEG_ACCESS => set_delegated(&mut set.time_access, time(r)?)?,
        FATTR4_TIME_DELEG_MODIFY => set_delegated(&mut set.time_modify, time(r)?)?,
        _ => return Err(NFS4ERR_INVAL),
    }
    Ok(())
}

/// A string of length zero is NFS4ERR_INVAL (RFC 8881 section 15.1.7).
fn owner_name<'a>(r: &mut XdrReader<'a>) -> Result<&'a [u8], Status> {
    let name = r.opaque_ref(MAX_OWNER_NAME).map_err(bad_xdr)?;
    if name.is_empty() { Err(NFS4ERR_INVAL) } else { Ok(name) }
}

/// Bits above the twelve of POSIX are invalid (RFC 8881 section 6.2.4).
fn valid_mode(mode: u32) -> Result<u32, Status> {
    if mode & !MODE_BITS == 0 { Ok(mode) } else { Err(NFS4ERR_INVAL) }
}

/// settime4: 0 is SET_TO_SERVER_TIME4, 1 SET_TO_CLIENT_TIME4.
fn set_time(r: &mut XdrReader<'_>) -> Result<SetTime, Status> {
    match r.u32().map_err(bad_xdr)? {
        0 => Ok(SetTime::ServerTime),
        1 => time(r).map(SetTime::ClientTime),
        _ => Err(NFS4ERR_BADXDR),
    }
}

/// One and the same time cannot be set in two ways.
fn set_delegated(slot: &mut Option<SetTime>, time: NfsTime) -> Result<(), Status> {
    match slot.replace(SetTime::Delegated(time)) {
        None => Ok(()),
        Some(_) => Err(NFS4ERR_INVAL),
    }
}

fn time(r: &mut XdrReader<'_>) -> Result<NfsTime, Status> {
    let time = NfsTime::decode(r).map_err(bad_xdr)?;
    if time.nseconds < NANOSECONDS { Ok(time) } else { Err(NFS4ERR_INVAL) }
}

fn bad_xdr(_: XdrError) -> Status {
    NFS4ERR_BADXDR
}

/// The attributes that read differently once `set` is set; the change attribute and the time of it go without saying.
pub fn attributes_changed(set: &SetAttributes) -> Bitmap {
    let mut changed = attrset(set);
    for (set, read) in
        [(FATTR4_TIME_ACCESS_SET, FATTR4_TIME_ACCESS), (FATTR4_TIME_MODIFY_SET, FATTR4_TIME_MODIFY)]
    {
        if changed.contains(set) {
            changed.remove(set);
            changed.insert(read);
        }
    }
    changed
}

/// The attribute numbers that `set` sets: what SETATTR, CREATE and OPEN report as attrset.
pub fn attrset(set: &SetAttributes) -> Bitmap {
    let mut attrs = Bitmap::EMPTY;
    let mut add = |is_set: bool, number| {
        if is_set {
            attrs.insert(number);
        }
    };
    add(set.size.is_some(), FATTR4_SIZE);
    add(set.mode.is_some(), FATTR4_MODE);
    add(set.uid.is_some(), FATTR4_OWNER);
    add(set.gid.is_some(), FATTR4_OWNER_GROUP);
    let is_delegated = |time| matches!(time, Some(SetTime::Delegated(_)));
    let is_set = |time: Option<SetTime>| time.is_some() && !is_delegated(time);
    add(is_set(set.time_access), FATTR4_TIME_ACCESS_SET);
    add(set.time_create.is_some(), FATTR4_TIME_CREATE);
    add(is_set(set.time_modify), FATTR4_TIME_MODIFY_SET);
    add(is_delegated(set.time_access), FATTR4_TIME_DELEG_ACCESS);
    add(is_delegated(set.time_modify), FATTR4_TIME_DELEG_MODIFY);
    attrs
}
