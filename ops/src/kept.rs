//! What the holder of a write delegation keeps of a file's attributes: RFC 8881 section 10.4.3, RFC 7530 section 10.4.3, RFC 9754
//! section 5.
//!
//! GETATTR, VERIFY and NVERIFY of other clients ask the holder with CB_GETATTR. READDIR does not: the RFCs speak of "a GETATTR where
//! the target is a file", and a listing would be as slow as the slowest of the clients that hold a file in the directory. It shows
//! what the server has, which is what it was when the delegation was given or when the holder was last asked.

use dittofs_framework::attr::{
    Bitmap, FATTR4_CHANGE, FATTR4_SIZE, FATTR4_TIME_ACCESS, FATTR4_TIME_DELEG_ACCESS,
    FATTR4_TIME_DELEG_MODIFY, FATTR4_TIME_METADATA, FATTR4_TIME_MODIFY,
};
use dittofs_framework::callback::CallbackError;
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::fs::{Attributes, Authority, RequestContext, SetAttributes, SetTime};
use dittofs_framework::op::OpDescriptor;
use dittofs_framework::proto::{
    CbArgs, CbGetAttr4Args, CbRes, Fattr4, NFS4ERR_DELAY, NfsFh4, NfsTime, Status,
};
use dittofs_framework::state::{Caller, FileKey, RecallReason, Timestamps, WriteDelegated};
use dittofs_framework::xdr::{XdrDecode, XdrError, XdrReader};

use crate::fault::fs_error;

/// The attributes that the holder may know better than the server.
pub(crate) const KEPT: Bitmap =
    Bitmap::of(&[FATTR4_CHANGE, FATTR4_SIZE, FATTR4_TIME_ACCESS, FATTR4_TIME_METADATA, FATTR4_TIME_MODIFY]);

/// The client other than the asking one that has a write delegation of a file.
pub(crate) fn by_another(cx: &CompoundContext<'_>, at: &ExportNode) -> Option<WriteDelegated> {
    let caller = Caller { client: cx.known_client(), now: cx.now() };
    cx.service().state().write_delegated(caller, &FileKey::from(at))
}

/// How often somebody is asked, should the delegation pass from one to the next meanwhile.
const TRIES: usize = 4;

/// The attributes of a file that another client may have modified, as if it had done so at the server.
///
/// A holder that does not say what it has is to return the delegation: NFS4ERR_DELAY until it has. It is not asked again, so that one
/// request waits for its answer in vain, and not all of them.
pub(crate) async fn ask(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    at: &ExportNode,
    wanted: Bitmap,
    mut held: WriteDelegated,
) -> Result<Attributes, Status> {
    for _ in 0..TRIES {
        let heard = if held.is_mute { Err(Unheard::Mute) } else { call(cx, at, &held).await };
        let view = match heard {
            Ok(view) => Some(view),
            Err(Unheard::Busy) => return Err(NFS4ERR_DELAY),
            Err(Unheard::Mute) => {
                recall(cx, &held).await?;
                None
            }
        };
        let attributes = at.fs().attributes(&cx.request, &at.node, wanted.or(KEPT)).await;
        let attributes = attributes.map_err(|error| fs_error(row, error))?;
        match (by_another(cx, at), view) {
            // It was returned, with all that there was to write.
            (None, _) => return Ok(attributes),
            (Some(now), Some(view)) if now.stateid == held.stateid => {
                return merge(cx, row, at, &now, &view, attributes).await;
            }
            (Some(now), None) if now.stateid == held.stateid => return Err(NFS4ERR_DELAY),
            (Some(now), _) => held = now,
        }
    }
    Err(NFS4ERR_DELAY)
}

/// What a holder says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct View {
    /// "cc": the value that was told with the delegation, or another if the file is modified.
    change: Option<u64>,
    size: Option<u64>,
    time_access: Option<NfsTime>,
    time_modify: Option<NfsTime>,
}

/// Why a holder says nothing.
enum Unheard {
    /// There are too many questions already.
    Busy,
    /// It cannot be reached, or has no answer.
    Mute,
}

/// CB_GETATTR. "If modified" is known it need not be asked for again.
async fn call(cx: &CompoundContext<'_>, at: &ExportNode, held: &WriteDelegated) -> Result<View, Unheard> {
    let mut attr_request = Bitmap::of(&[FATTR4_SIZE]);
    if !held.is_modified {
        attr_request.insert(FATTR4_CHANGE);
    }
    if held.timestamps == Timestamps::Holder {
        attr_request.insert(FATTR4_TIME_DELEG_ACCESS);
        attr_request.insert(FATTR4_TIME_DELEG_MODIFY);
    }
    let handle = cx.service().filehandles().encode(at.export.id, &at.node);
    let args = CbGetAttr4Args { fh: NfsFh4::from(handle.as_bytes()), attr_request };
    match cx.service().call_back(&held.client, CbArgs::GetAttr(args)).await {
        Ok(CbRes::GetAttr(Ok(answer))) => {
            view(&answer.obj_attributes, attr_request).map_err(|_| Unheard::Mute)
        }
        Err(CallbackError::Busy) => Err(Unheard::Busy),
        Ok(_) | Err(_) => Err(Unheard::Mute),
    }
}

/// Reads the answer. Attributes that were not asked for cannot be skipped.
fn view(answer: &Fattr4, asked: Bitmap) -> Result<View, XdrError> {
    let mut view = View::default();
    let mut r = XdrReader::new(&answer.attr_vals.0);
    for number in answer.attrmask.iter() {
        match number {
            FATTR4_CHANGE => view.change = Some(r.u64()?),
            FATTR4_SIZE => view.size = Some(r.u64()?),
            FATTR4_TIME_DELEG_ACCESS => view.time_access = Some(time(&mut r)?),
            FATTR4_TIME_DELEG_MODIFY => view.time_modify = Some(time(&mut r)?),
            other => return Err(XdrError::BadValue { type_name: "CB_GETATTR", value: other }),
        }
    }
    r.finish()?;
    let keeps = |number| asked.contains(number);
    view.time_access = view.time_access.filter(|_| keeps(FATTR4_TIME_DELEG_ACCESS));
    view.time_modify = view.time_modify.filter(|_| keeps(FATTR4_TIME_DELEG_MODIFY));
    Ok(view)
}

fn time(r: &mut XdrReader<'_>) -> Result<NfsTime, XdrError> {
    let time = NfsTime::decode(r)?;
    if time.nseconds < 1_000_000_000 {
        Ok(time)
    } else {
        Err(XdrError::BadValue { type_name: "nfstime4", value: time.nseconds })
    }
}

/// What is known of a holder before it is asked.
struct Known {
    /// "sc".
    change: Option<u64>,
    /// It has modified the file.
    is_modified: bool,
    /// When the delegation was given.
    time_modify: NfsTime,
}

impl From<&WriteDelegated> for Known {
    fn from(held: &WriteDelegated) -> Self {
        Self { change: held.change, is_modified: held.is_modified, time_modify: held.time_modify }
    }
}

/// What a holder's answer makes of the attributes that the server has.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// The file is modified at the holder, seen now or before.
    is_modified: bool,
    /// What the file's record is to be brought to. Empty: it is up to date.
    update: SetAttributes,
}

/// The rules: another change attribute than "sc", another size than the server's, or a later time of modification, which with delegated
/// timestamps is the holder's to tell.
fn judge(known: &Known, view: &View, attributes: &Attributes) -> Verdict {
    let original = known.change.unwrap_or(attributes.change);
    let is_modified = known.is_modified
        || view.change.is_some_and(|change| change != original)
        || view.size.is_some_and(|size| size != attributes.size);
    // RFC 9754 section 5: "when the time presented is before the original time, then the update is ignored".
    let modified_at = view.time_modify.filter(|time| *time >= known.time_modify);
    let is_touched = modified_at.is_some_and(|time| time > attributes.time_modify);
    let time_modify = match modified_at {
        Some(time) if is_modified || is_touched => Some(SetTime::Delegated(time)),
        None if is_modified => Some(SetTime::ServerTime),
        _ => None,
    };
    let time_access = view.time_access.filter(|time| *time > attributes.time_access);
    let time_access = time_access.map(SetTime::Delegated);
    Verdict { is_modified, update: SetAttributes { time_access, time_modify, ..SetAttributes::default() } }
}

/// Answers "as if the file had been modified locally at the server": the file's record is brought up to date, so that nothing goes
/// back should the holder never write what it has; only the size stays the holder's.
async fn merge(
    cx: &CompoundContext<'_>,
    row: &OpDescriptor,
    at: &ExportNode,
    held: &WriteDelegated,
    view: &View,
    attributes: Attributes,
) -> Result<Attributes, Status> {
    let Verdict { is_modified, update } = judge(&held.into(), view, &attributes);
    let mut merged = attributes;
    if !update.is_empty() {
        let server = RequestContext::server();
        let updated = at.fs().set_attributes(&server, &at.node, &update, Authority::Open).await;
        merged = updated.map_err(|error| fs_error(row, error))?;
    }
    if is_modified {
        // "nsc": above all that was told before.
        let told = cx.service().state().note_modified(&held.stateid, merged.change);
        merged.change = told.unwrap_or(merged.change);
        merged.size = view.size.unwrap_or(merged.size);
    }
    Ok(merged)
}

/// Has the delegation returned.
async fn recall(cx: &CompoundContext<'_>, held: &WriteDelegated) -> Result<(), Status> {
    cx.service().state().note_mute(&held.stateid);
    let recalled = cx.service().state().recall(cx.now(), &held.stateid, RecallReason::Unanswered);
    match recalled {
        Some(effects) => cx.service().settle_state(effects).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use dittofs_framework::proto::{FileType, SpecData};
    use dittofs_framework::xdr::{Opaque, XdrEncode, encode_to_bytes};
    use rstest::rstest;

    use super::*;

    const fn at(seconds: i64) -> NfsTime {
        NfsTime { seconds, nseconds: 0 }
    }

    /// Ten bytes, change 7, read at 20 and written at 30.
    fn attributes() -> Attributes {
        Attributes {
            file_type: FileType::Reg,
            mode: 0o644,
            nlink: 1,
            uid: 0,
            gid: 0,
            size: 10,
            space_used: 10,
            rawdev: SpecData::default(),
            fileid: 1,
            change: 7,
            time_access: at(20),
            time_modify: at(30),
            time_metadata: at(30),
            time_create: None,
        }
    }

    const CLEAN: View = View { change: Some(5), size: Some(10), time_access: None, time_modify: None };
    const NOW: Option<SetTime> = Some(SetTime::ServerTime);

    const fn modified(time_modify: Option<SetTime>) -> (bool, Option<SetTime>) {
        (true, time_modify)
    }

    /// The delegation was given when change was 5 and the file was last written at 10.
    // Origin: own. RFC: 8881 section 10.4.3, 9754 section 5.
    #[rstest]
    #[case::nothing_modified(false, CLEAN, (false, None))]
    #[case::data_modified(false, View { change: Some(6), ..CLEAN }, modified(NOW))]
    #[case::another_change_of_any_kind(false, View { change: Some(1), ..CLEAN }, modified(NOW))]
    #[case::size_alone(false, View { size: Some(11), ..CLEAN }, modified(NOW))]
    #[case::modified_before(true, View { change: None, ..CLEAN }, modified(NOW))]
    #[case::nothing_said(false, View::default(), (false, None))]
    #[case::times_of_modified_data(
        false,
        View { change: Some(6), time_modify: Some(at(40)), ..CLEAN },
        modified(Some(SetTime::Delegated(at(40))))
    )]
    #[case::time_of_data_that_was_written_since(
        true,
        View { time_modify: Some(at(25)), ..CLEAN },
        modified(Some(SetTime::Delegated(at(25))))
    )]
    #[case::time_before_the_original(true, View { time_modify: Some(at(9)), ..CLEAN }, modified(NOW))]
    #[case::time_alone(false, View { time_modify: Some(at(40)), ..CLEAN }, (false, Some(SetTime::Delegated(at(40)))))]
    #[case::time_of_the_file(false, View { time_modify: Some(at(30)), ..CLEAN }, (false, None))]
    fn a_holder_has(
        #[case] is_modified: bool,
        #[case] view: View,
        #[case] expected: (bool, Option<SetTime>),
    ) {
        let known = Known { change: Some(5), is_modified, time_modify: at(10) };
        let verdict = judge(&known, &view, &attributes());
        assert_eq!((verdict.is_modified, verdict.update.time_modify), expected);
        assert_eq!(verdict.update.time_access, None);
    }

    // Origin: own. RFC: 9754 section 5.
    #[rstest]
    #[case::later(21, Some(SetTime::Delegated(at(21))))]
    #[case::same(20, None)]
    #[case::earlier(19, None)]
    fn a_time_of_access_only_grows(#[case] seconds: i64, #[case] expected: Option<SetTime>) {
        let known = Known { change: Some(5), is_modified: false, time_modify: at(10) };
        let verdict = judge(&known, &View { time_access: Some(at(seconds)), ..CLEAN }, &attributes());
        assert!(!verdict.is_modified);
        assert_eq!(verdict.update, SetAttributes { time_access: expected, ..SetAttributes::default() });
    }

    const ALL: Bitmap =
        Bitmap::of(&[FATTR4_CHANGE, FATTR4_SIZE, FATTR4_TIME_DELEG_ACCESS, FATTR4_TIME_DELEG_MODIFY]);

    fn fattr(attrmask: Bitmap, values: &[&dyn XdrEncode]) -> Fattr4 {
        let bytes: Vec<_> = values.iter().flat_map(|value| encode_to_bytes(*value)).collect();
        Fattr4 { attrmask, attr_vals: Opaque(bytes.into()) }
    }

    // Origin: own. RFC: 8881 section 20.1, 9754 section 5.
    #[rstest]
    #[case::all(ALL, fattr(ALL, &[&5_u64, &9_u64, &at(1), &at(2)]), Some(View {
        change: Some(5), size: Some(9), time_access: Some(at(1)), time_modify: Some(at(2))
    }))]
    #[case::size_alone(ALL, fattr(Bitmap::of(&[FATTR4_SIZE]), &[&9_u64]), Some(View { size: Some(9), ..View::default() }))]
    #[case::nothing(ALL, fattr(Bitmap::EMPTY, &[]), Some(View::default()))]
    #[case::times_that_are_not_its_own(
        Bitmap::of(&[FATTR4_SIZE]),
        fattr(Bitmap::of(&[FATTR4_SIZE, FATTR4_TIME_DELEG_MODIFY]), &[&9_u64, &at(2)]),
        Some(View { size: Some(9), ..View::default() })
    )]
    #[case::something_else(ALL, fattr(Bitmap::of(&[FATTR4_TIME_MODIFY]), &[&at(2)]), None)]
    #[case::cut_short(ALL, fattr(ALL, &[&5_u64, &9_u64]), None)]
    #[case::too_long(ALL, fattr(Bitmap::of(&[FATTR4_SIZE]), &[&9_u64, &9_u64]), None)]
    #[case::no_time(
        ALL,
        fattr(Bitmap::of(&[FATTR4_TIME_DELEG_ACCESS]), &[&NfsTime { seconds: 0, nseconds: 1_000_000_000 }]),
        None
    )]
    fn an_answer_is_read(#[case] asked: Bitmap, #[case] answer: Fattr4, #[case] expected: Option<View>) {
        assert_eq!(view(&answer, asked).ok(), expected);
    }
}
