use bytes::Bytes;

use super::context::{CompoundContext, Handles, RESOP_HEADER};
use super::duplicates::{Entered, Known};
use super::{HandlesSet, Limits, Nfs4Service, Position, Turns, admit};
use crate::fs::RequestContext;
use crate::log_limited;
use crate::op::{DynOperation, OpDescriptor, OpError, OpFlags};
use crate::proto::{
    Minor, NFS4_OK, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_INVAL, NFS4ERR_IO, NFS4ERR_MINOR_VERS_MISMATCH,
    NFS4ERR_NOTSUPP, NFS4ERR_OP_ILLEGAL, NFS4ERR_REQ_TOO_BIG, NFS4ERR_RESOURCE, NFS4ERR_SERVERFAULT,
    OP_ILLEGAL, OpNum, Status,
};
use crate::registry::Slot;
use crate::rpc::{BoxFuture, RpcCall, RpcReply};
use crate::xdr::{Mark, Rope, XdrError, XdrReader, XdrWriter};

/// COMPOUND4args up to the first operation.
struct Header<'a> {
    tag: &'a [u8],
    minorversion: u32,
    count: u32,
}

impl<'a> Header<'a> {
    /// Fails on what makes the arguments garbage as a whole: after the header every fault belongs to an operation.
    fn decode(r: &mut XdrReader<'a>) -> Result<Self, XdrError> {
        let tag = r.opaque_ref(u32::MAX)?;
        let minorversion = r.u32()?;
        let count = r.array_len(u32::MAX, size_of::<u32>())?;
        Ok(Self { tag, minorversion, count: u32::try_from(count).unwrap_or(u32::MAX) })
    }
}

/// The places in COMPOUND4res that are known only at its end.
struct Results {
    start: Mark,
    status: Mark,
    count: Mark,
}

impl Results {
    fn begin(w: &mut XdrWriter, tag: &[u8]) -> Self {
        let start = w.mark();
        let status = w.reserve_u32();
        w.opaque(tag);
        let count = w.reserve_u32();
        Self { start, status, count }
    }

    fn end(&self, w: &mut XdrWriter, status: Status, count: u32) {
        w.patch_u32(self.status, status.code());
        w.patch_u32(self.count, count);
    }
}

/// Runs one COMPOUND (RFC 8881 section 16.2).
pub(super) async fn run_compound(
    service: &Nfs4Service,
    call: RpcCall,
    mut w: XdrWriter,
) -> (RpcReply, XdrWriter) {
    let args: Bytes = call.args;
    let mut r = XdrReader::new(&args);
    let Ok(header) = Header::decode(&mut r) else {
        return (RpcReply::GarbageArgs, w);
    };
    let reply_start = w.len().saturating_sub(call.reply_header_len);
    let results = Results::begin(&mut w, header.tag);
    let served = Minor::from_number(header.minorversion).filter(|minor| service.serves(*minor));
    let Some(minor) = served else {
        results.end(&mut w, NFS4ERR_MINOR_VERS_MISMATCH, 0);
        return (RpcReply::Success, w);
    };
    if let Err(status) = check_size(&header, minor, &service.limits) {
        results.end(&mut w, status, 0);
        return (RpcReply::Success, w);
    }
    // RFC 8881 section 16.2.4.
    if std::str::from_utf8(header.tag).is_err() {
        results.end(&mut w, NFS4ERR_INVAL, 0);
        return (RpcReply::Success, w);
    }
    let credentials = call.principal.credentials.clone();
    let mut cx = CompoundContext {
        service,
        connection: &call.connection,
        principal: call.principal,
        request: RequestContext { credentials, client: None, minor },
        now: service.clock.now(),
        xid: call.xid,
        record_len: call.record_len,
        at: Position { index: 0, count: header.count },
        compound_args: &args,
        args_at: 0,
        flags: OpFlags::empty(),
        reply_start,
        reply_used: 0,
        slot: None,
        running: None,
        handles: Handles::default(),
        opnum: OP_ILLEGAL,
        turns: Turns::default(),
    };
    let repeated = match duplicate_of(&cx) {
        Some(answer) => answer.await,
        None => None,
    };
    let outcome = match repeated {
        Some(reply) => Err(Replayed(reply)),
        None => run_operations(&mut cx, &mut r, &mut w).await,
    };
    match outcome {
        Ok((status, count)) => results.end(&mut w, status, count),
        Err(Replayed(reply)) => {
            w.cut_back(results.start);
            w.rope(&reply);
            return (RpcReply::Success, w);
        }
    }
    if let Some(running) = cx.running.take() {
        running.finish(&w, results.start, service.clock.now());
    }
    if let Some(slot) = cx.slot.take() {
        slot.finish(&w, results.start);
    }
    (RpcReply::Success, w)
}

/// Whether a compound is so large that nothing of it is carried out (RFC 8881 section 16.2.4, RFC 7530 section 15.2.4). In
/// minor versions with sessions the number of operations is for SEQUENCE to check.
fn check_size(header: &Header<'_>, minor: Minor, limits: &Limits) -> Result<(), Status> {
    let is_tag_long = u32::try_from(header.tag.len()).map_or(true, |len| len > limits.max_tag);
    match minor {
        Minor::V0 if is_tag_long || header.count > limits.v4_0.operations => Err(NFS4ERR_RESOURCE),
        Minor::V1 | Minor::V2 if is_tag_long => Err(NFS4ERR_REQ_TOO_BIG),
        _ => Ok(()),
    }
}

/// The compound is a retry, and this is what was answered the first time.
struct Replayed(Rope);

/// What was answered to a compound of minor version 0 that was sent before, if it was. Of one that still runs, the reply is waited
/// for. On the heap, so that compounds that were not sent before have no room for it.
fn duplicate_of<'a>(cx: &'a CompoundContext<'_>) -> Option<BoxFuture<'a, Option<Rope>>> {
    if cx.request.minor.has_sessions() {
        return None;
    }
    let find = || cx.service.duplicates.find(cx.call(), cx.service.clock.now());
    let mut known = find()?;
    Some(Box::pin(async move {
        loop {
            if let Some(reply) = reply_of(known).await {
                return Some(reply);
            }
            known = find()?;
        }
    }))
}

/// `None` if what was known was lost meanwhile.
async fn reply_of(known: Known) -> Option<Rope> {
    match known {
        Known::Answered(reply) => Some(reply.into()),
        Known::Running(reply) => reply.await.ok().map(Rope::from),
    }
}

/// Before the first operation of a compound of minor version 0 that must not run twice: remembers the compound.
async fn remember(cx: &mut CompoundContext<'_>) -> Result<Result<(), Status>, Replayed> {
    loop {
        match cx.service.duplicates.enter(cx.call(), cx.service.clock.now()) {
            Entered::New(running) => cx.running = Some(Box::new(running)),
            Entered::Full => return Ok(Err(NFS4ERR_DELAY)),
            Entered::Known(known) => match reply_of(known).await {
                Some(reply) => return Err(Replayed(reply)),
                None => continue,
            },
        }
        return Ok(Ok(()));
    }
}

/// Runs the operations until one fails; the status and how many have a result.
async fn run_operations(
    cx: &mut CompoundContext<'_>,
    r: &mut XdrReader<'_>,
    w: &mut XdrWriter,
) -> Result<(Status, u32), Replayed> {
    let count = cx.at.count;
    for index in 0..count {
        cx.at.index = index;
        // A compound cut off between operations: the missing number cannot be echoed, so the fault is ILLEGAL's.
        let opnum = r.u32().map(OpNum::from_code);
        let status = match opnum {
            Ok(opnum) => run_one(cx, opnum, r, w).await?,
            Err(_) => fail(w, OP_ILLEGAL, NFS4ERR_BADXDR, &[]),
        };
        if !status.is_ok() {
            return Ok((status, index + 1));
        }
    }
    Ok((NFS4_OK, count))
}

/// Runs one operation and writes its nfs_resop4.
async fn run_one(
    cx: &mut CompoundContext<'_>,
    opnum: OpNum,
    r: &mut XdrReader<'_>,
    w: &mut XdrWriter,
) -> Result<Status, Replayed> {
    let op = match cx.service.ops.slot(cx.request.minor, opnum) {
        Slot::Illegal => return Ok(fail(w, OP_ILLEGAL, NFS4ERR_OP_ILLEGAL, &[])),
        Slot::NotSupp => return Ok(fail(w, opnum, NFS4ERR_NOTSUPP, &[])),
        Slot::Run(op) => &**op,
    };
    let row = op.descriptor();
    let set = HandlesSet { current: cx.handles.current.is_some(), saved: cx.handles.saved.is_some() };
    if let Err(status) = admit(row, cx.request.minor, cx.at, set).and_then(|()| reserve_reply(cx, row, w)) {
        return Ok(fail(w, opnum, status, row.error_tail));
    }
    let is_to_remember = row.flags.contains(OpFlags::NON_IDEMPOTENT) && !cx.request.minor.has_sessions();
    if is_to_remember
        && cx.running.is_none()
        && let Err(status) = Box::pin(remember(cx)).await?
    {
        return Ok(fail(w, opnum, status, row.error_tail));
    }
    run_admitted(cx, op, r, w).await
}

/// The longest nfs_resop4 of an operation that modifies, when it is good.
fn longest(row: &OpDescriptor) -> usize {
    usize::try_from(row.max_reply).unwrap_or(usize::MAX).saturating_add(RESOP_HEADER)
}

/// An operation that modifies runs only if its answer is sure to fit.
fn reserve_reply(cx: &CompoundContext<'_>, row: &OpDescriptor, w: &XdrWriter) -> Result<(), Status> {
    if !row.flags.contains(OpFlags::MODIFIES) {
        return Ok(());
    }
    let limit = cx.reply_limit();
    let needed = cx.reply_len(w).saturating_add(cx.reply_reserved()).saturating_add(longest(row));
    if needed > limit.bytes { Err(limit.status) } else { Ok(()) }
}

async fn run_admitted(
    cx: &mut CompoundContext<'_>,
    op: &dyn DynOperation,
    r: &mut XdrReader<'_>,
    w: &mut XdrWriter,
) -> Result<Status, Replayed> {
    let start = w.mark();
    let status = run_into(cx, op, r, w).await?;
    if !cx.turns.is_empty() {
        let body = w.rope_since(start).to_bytes().slice(RESOP_HEADER..);
        cx.finish_turns(op.descriptor().opnum, status, &body);
    }
    Ok(status)
}

/// Runs an operation and writes its nfs_resop4, whatever comes of it.
async fn run_into(
    cx: &mut CompoundContext<'_>,
    op: &dyn DynOperation,
    r: &mut XdrReader<'_>,
    w: &mut XdrWriter,
) -> Result<Status, Replayed> {
    let row = op.descriptor();
    let start = w.mark();
    w.u32(row.opnum.code());
    w.u32(NFS4_OK.code());
    cx.flags = row.flags;
    cx.opnum = row.opnum;
    cx.reply_used = cx.reply_len(w);
    cx.args_at = r.position();
    let outcome = op.run(cx, r, w).await;
    debug_assert!(
        outcome.is_err() || !row.flags.contains(OpFlags::MODIFIES) || w.len_since(start) <= longest(row),
        "the answer of {} is longer than its row says",
        row.name
    );
    let limit = cx.reply_limit();
    if outcome.is_ok() && cx.reply_len(w).saturating_add(cx.reply_reserved()) > limit.bytes {
        w.cut_back(start);
        return Ok(fail(w, row.opnum, limit.status, row.error_tail));
    }
    match outcome {
        Ok(()) => Ok(NFS4_OK),
        Err(OpError::Replay(reply)) => Err(Replayed(reply)),
        Err(OpError::Status(status)) => {
            w.cut_back(start);
            Ok(fail(w, row.opnum, checked(row, cx.minor(), status), row.error_tail))
        }
        Err(OpError::Body(status, body)) => {
            w.cut_back(start);
            let status = fail(w, row.opnum, checked(row, cx.minor(), status), &[]);
            body.encode(w);
            Ok(bounded(cx, row, start, w).unwrap_or(status))
        }
        Err(OpError::Recorded(reply)) => {
            w.cut_back(start);
            w.u32(row.opnum.code());
            w.u32(reply.status.code());
            w.raw(&reply.body);
            if let Some(current) = reply.current {
                cx.handles.current = Some(current);
            }
            Ok(bounded(cx, row, start, w).unwrap_or(reply.status))
        }
    }
}

/// Replaces an answer that is longer than the reply may get; the status that it is replaced by.
fn bounded(cx: &CompoundContext<'_>, row: &OpDescriptor, start: Mark, w: &mut XdrWriter) -> Option<Status> {
    let limit = cx.reply_limit();
    (cx.reply_len(w) > limit.bytes).then(|| {
        w.cut_back(start);
        fail(w, row.opnum, limit.status, row.error_tail)
    })
}

/// Writes the nfs_resop4 of an operation that failed.
fn fail(w: &mut XdrWriter, opnum: OpNum, status: Status, tail: &[u8]) -> Status {
    tracing::debug!(%opnum, %status, "operation failed");
    w.u32(opnum.code());
    w.u32(status.code());
    w.raw(tail);
    status
}

/// The status that an operation answers: never one outside of its list, nor one that the minor version does not have.
fn checked(row: &OpDescriptor, minor: Minor, status: Status) -> Status {
    let is_our_fault = matches!(status, NFS4ERR_SERVERFAULT | NFS4ERR_IO);
    if is_our_fault {
        log_limited!(error, op = row.name, %status, "operation failed by a fault of the server");
    }
    if row.allows_in(minor, status) {
        return status;
    }
    let before = status.before_v4_1();
    if minor == Minor::V0 && row.allows_in(minor, before) {
        return before;
    }
    log_limited!(error, op = row.name, %status, "operation failed with a status that is not in its list");
    debug_assert!(false, "{} must not answer {status}", row.name);
    NFS4ERR_SERVERFAULT
}
