//! Changes of a file that delegations are in the way of: RFC 8881 section 10.4.4, RFC 7530 section 10.4.4.
//!
//! Whoever changes a file's attributes or names, or its data without an open, begins the change here: delegations of other clients
//! are recalled first, and no new one is given until it is done. An open stands in the way of delegations by itself.

use dittofs_framework::attr::{Bitmap, FATTR4_TYPE};
use dittofs_framework::compound::CompoundContext;
use dittofs_framework::export::ExportNode;
use dittofs_framework::proto::{ClientId, Stateid, Status};
use dittofs_framework::state::{Caller, Changing, FileKey, RecallReason};

/// A change that is under way, until this is dropped.
pub(crate) type Change<'a> = Option<Changing<'a>>;

/// Begins a change of an object. NFS4ERR_DELAY if delegations of it are still out after a while.
pub(crate) async fn begin<'a>(
    cx: &CompoundContext<'a>,
    at: &ExportNode,
    reason: RecallReason,
) -> Result<Change<'a>, Status> {
    begin_as(cx, None, at, reason).await
}

/// The same for a request that brings a stateid: in minor version 0 nothing else says whose request it is, and so whose
/// delegation is not in its way.
pub(crate) async fn begin_with_stateid<'a>(
    cx: &CompoundContext<'a>,
    stateid: &Stateid,
    at: &ExportNode,
    reason: RecallReason,
) -> Result<Change<'a>, Status> {
    let caller = cx.caller();
    let named = match caller.client {
        None if !stateid.is_special() => cx.service().state().holder(caller, stateid),
        client => client,
    };
    begin_as(cx, named, at, reason).await
}

async fn begin_as<'a>(
    cx: &CompoundContext<'a>,
    named: Option<ClientId>,
    at: &ExportNode,
    reason: RecallReason,
) -> Result<Change<'a>, Status> {
    if !may_be_delegated(cx) {
        return Ok(None);
    }
    let state = cx.service().state();
    let file = FileKey::from(at);
    let caller = Caller { client: named.or_else(|| cx.known_client()), now: cx.now() };
    let begun: Result<_, Status> =
        cx.service().ask_state(cx.now(), || state.begin_change(caller, &file, reason)).await;
    begun.map(Some)
}

/// Whether there can be delegations. Where none are given there are those of earlier times: clients reclaim them.
fn may_be_delegated(cx: &CompoundContext<'_>) -> bool {
    let service = cx.service();
    service.delegation_policy().is_enabled()
        || service.grace().is_in_force()
        || service.state().delegations_in_all() > 0
}

/// Begins a change of whatever has a name in a directory, if anything has: what keeps it from being found is told by the
/// operation itself.
///
/// Another client may give the name to another object between this and the operation, which then takes from that one a name without a
/// recall. Nothing is lost by it: the object lives on for whoever has it delegated, its data is what it was, and its holder learns of
/// the name with the directory, which a file's delegation says nothing about. Only the number of links and the change attribute that
/// the holder knows are too old until it returns the delegation.
pub(crate) async fn begin_by_name<'a>(
    cx: &CompoundContext<'a>,
    dir: &ExportNode,
    name: &[u8],
) -> Result<Change<'a>, Status> {
    const TYPE: Bitmap = Bitmap::of(&[FATTR4_TYPE]);
    if !may_be_delegated(cx) {
        return Ok(None);
    }
    let Ok(found) = dir.fs().lookup(&cx.request, &dir.node, name, TYPE).await else { return Ok(None) };
    let object = ExportNode { export: dir.export.clone(), node: found.node };
    begin(cx, &object, RecallReason::Names).await
}
