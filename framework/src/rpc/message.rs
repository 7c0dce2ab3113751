//! The header of a call and of a reply (RFC 5531 section 9), in both directions.

use bytes::Bytes;

use super::{AuthFlavor, AuthStat, OpaqueAuth, RpcReply};
use crate::callback::{CallError, CallbackCall, CallbackCredential, Rejection};
use crate::xdr::{Mark, Rope, XdrError, XdrReader, XdrWriter, encode_to_bytes};

/// The version of RPC itself.
const RPC_VERSION: u32 = 2;
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;
const SUCCESS: u32 = 0;
const PROG_UNAVAIL: u32 = 1;
const PROG_MISMATCH: u32 = 2;
const PROC_UNAVAIL: u32 = 3;
const GARBAGE_ARGS: u32 = 4;
const SYSTEM_ERR: u32 = 5;
/// The longest body of an opaque_auth (RFC 5531 section 8.2).
const AUTH_BODY_MAX: u32 = 400;
/// Record mark: this is the record's last fragment (RFC 5531 section 11).
const LAST_FRAGMENT: u32 = 0x8000_0000;

/// A message that came on the server's side of a connection.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Call(CallHeader<'a>),
    /// The answer to a call of the server.
    Reply(ReplyHeader),
    /// Understood far enough to be answered, but not to be called.
    Refused {
        xid: u32,
        with: Answer,
    },
}

/// call_body up to its arguments.
#[derive(Debug)]
pub(crate) struct CallHeader<'a> {
    pub(crate) xid: u32,
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) procedure: u32,
    pub(crate) cred: OpaqueAuth<'a>,
    pub(crate) verf: OpaqueAuth<'a>,
    /// Where in the record the arguments begin.
    pub(crate) args_at: usize,
}

impl<'a> Message<'a> {
    /// Reads the header of `record`.
    ///
    /// RFC 5531 has no answer for a header that ends before its credential: that is an error, and the sender is
    /// not speaking RPC. From the credential on, what is wrong is a wrong credential or verifier.
    pub(crate) fn parse(record: &'a Bytes) -> Result<Self, XdrError> {
        let mut r = XdrReader::new(record);
        let xid = r.u32()?;
        match r.u32()? {
            CALL => {}
            REPLY => return Ok(Self::Reply(ReplyHeader::parse(xid, &mut r))),
            value => return Err(XdrError::BadValue { type_name: "msg_type", value }),
        }
        if r.u32()? != RPC_VERSION {
            return Ok(Self::Refused { xid, with: Answer::RpcMismatch });
        }
        let (program, version, procedure) = (r.u32()?, r.u32()?, r.u32()?);
        let refused = |stat| Self::Refused { xid, with: Answer::AuthError(stat) };
        let Ok(cred) = opaque_auth(&mut r) else { return Ok(refused(AuthStat::BadCred)) };
        let Ok(verf) = opaque_auth(&mut r) else { return Ok(refused(AuthStat::BadVerf)) };
        Ok(Self::Call(CallHeader { xid, program, version, procedure, cred, verf, args_at: r.position() }))
    }
}

fn opaque_auth<'a>(r: &mut XdrReader<'a>) -> Result<OpaqueAuth<'a>, XdrError> {
    Ok(OpaqueAuth { flavor: r.u32()?, body: r.opaque_ref(AUTH_BODY_MAX)? })
}

/// A reply up to its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyHeader {
    pub(crate) xid: u32,
    /// Where in the record the results begin, if there are any.
    pub(crate) results_at: Result<usize, CallError>,
}

impl ReplyHeader {
    /// Reads what is behind the msg_type. What does not decode is still the answer to the call with this xid.
    fn parse(xid: u32, r: &mut XdrReader<'_>) -> Self {
        let stat = match r.u32() {
            Ok(MSG_ACCEPTED) => accept_stat(r),
            Ok(MSG_DENIED) => reject_stat(r).map(Err),
            Ok(value) => Err(XdrError::BadValue { type_name: "reply_stat", value }),
            Err(error) => Err(error),
        };
        let results_at = match stat {
            Ok(Ok(())) => Ok(r.position()),
            Ok(Err(rejection)) => Err(CallError::Rejected(rejection)),
            Err(_) => Err(CallError::Malformed),
        };
        Self { xid, results_at }
    }
}

/// accepted_reply up to its results.
fn accept_stat(r: &mut XdrReader<'_>) -> Result<Result<(), Rejection>, XdrError> {
    opaque_auth(r)?;
    Ok(Err(match r.u32()? {
        SUCCESS => return Ok(Ok(())),
        PROG_UNAVAIL => Rejection::ProgUnavail,
        PROG_MISMATCH => Rejection::ProgMismatch,
        PROC_UNAVAIL => Rejection::ProcUnavail,
        GARBAGE_ARGS => Rejection::GarbageArgs,
        SYSTEM_ERR => Rejection::SystemErr,
        value => return Err(XdrError::BadValue { type_name: "accept_stat", value }),
    }))
}

/// rejected_reply.
fn reject_stat(r: &mut XdrReader<'_>) -> Result<Rejection, XdrError> {
    match r.u32()? {
        RPC_MISMATCH => Ok(Rejection::RpcMismatch),
        AUTH_ERROR => Ok(Rejection::Auth(r.u32()?)),
        value => Err(XdrError::BadValue { type_name: "reject_stat", value }),
    }
}

/// A call of the server as a record.
pub(crate) fn encode_call(xid: u32, call: &CallbackCall) -> Rope {
    let mut w = XdrWriter::new();
    let record = w.reserve_u32();
    let message = w.mark();
    words(&mut w, [xid, CALL, RPC_VERSION, call.program, call.version, call.procedure]);
    match &call.credential {
        CallbackCredential::None => words(&mut w, [AuthFlavor::None.number(), 0]),
        CallbackCredential::Sys(parms) => {
            w.u32(AuthFlavor::Sys.number());
            w.opaque(&encode_to_bytes(parms));
        }
    }
    words(&mut w, [AuthFlavor::None.number(), 0]);
    w.raw(&call.args);
    let len = u32::try_from(w.len_since(message)).unwrap_or(u32::MAX);
    w.patch_u32(record, LAST_FRAGMENT | len);
    w.finish()
}

/// What a reply says at the level of RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    ProgUnavail,
    ProgMismatch { low: u32, high: u32 },
    ProcUnavail,
    GarbageArgs,
    SystemErr,
    RpcMismatch,
    AuthError(AuthStat),
}

impl Answer {
    /// The answer for how a program says that a call went; `None` for no answer.
    pub(crate) fn of(reply: RpcReply) -> Option<Self> {
        Some(match reply {
            RpcReply::Success => Self::Success,
            RpcReply::ProcUnavail => Self::ProcUnavail,
            RpcReply::GarbageArgs => Self::GarbageArgs,
            RpcReply::SystemErr => Self::SystemErr,
            RpcReply::AuthError(stat) => Self::AuthError(stat),
            RpcReply::Drop => return None,
        })
    }
}

/// A reply under way in a writer: its record mark and header come first and are settled at the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyFrame {
    record: Mark,
    message: Mark,
}

impl ReplyFrame {
    /// Begins a reply at the end of `w`, as the success that it most likely will be.
    pub(crate) fn begin(xid: u32, w: &mut XdrWriter) -> Self {
        let record = w.reserve_u32();
        w.u32(xid);
        w.u32(REPLY);
        let message = w.mark();
        accepted(w, SUCCESS);
        Self { record, message }
    }

    /// Ends the reply with `answer`: for anything but success, in place of the results.
    pub(crate) fn end(self, answer: Answer, w: &mut XdrWriter) {
        if answer != Answer::Success {
            w.cut_back(self.message);
        }
        match answer {
            Answer::Success => {}
            Answer::ProgUnavail => accepted(w, PROG_UNAVAIL),
            Answer::ProgMismatch { low, high } => {
                accepted(w, PROG_MISMATCH);
                w.u32(low);
                w.u32(high);
            }
            Answer::ProcUnavail => accepted(w, PROC_UNAVAIL),
            Answer::GarbageArgs => accepted(w, GARBAGE_ARGS),
            Answer::SystemErr => accepted(w, SYSTEM_ERR),
            Answer::RpcMismatch => words(w, [MSG_DENIED, RPC_MISMATCH, RPC_VERSION, RPC_VERSION]),
            Answer::AuthError(stat) => words(w, [MSG_DENIED, AUTH_ERROR, stat.number()]),
        }
        let len = u32::try_from(self.message_len(w)).unwrap_or(u32::MAX);
        w.patch_u32(self.record, LAST_FRAGMENT | len);
    }

    /// Bytes of the message so far, without the record mark.
    pub(crate) fn message_len(self, w: &XdrWriter) -> usize {
        let mark_len = 4;
        w.len_since(self.record) - mark_len
    }
}

/// accepted_reply up to its results, with the verifier that goes with AUTH_NONE and AUTH_SYS: AUTH_NONE.
fn accepted(w: &mut XdrWriter, stat: u32) {
    let auth_none = 0;
    words(w, [MSG_ACCEPTED, auth_none, 0, stat]);
}

fn words<const N: usize>(w: &mut XdrWriter, words: [u32; N]) {
    for word in words {
        w.u32(word);
    }
}
