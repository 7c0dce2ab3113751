//! CB_COMPOUND in a session: CB_SEQUENCE and one operation (RFC 8881 sections 19.2 and 20.9).

use bytes::Bytes;

use super::CallbackCredential;
use crate::proto::{
    CbArgs, CbCompound4Args, CbCompound4Res, CbOp, CbRes, CbSequence4Args, CbSequence4ResOk, Minor, Status,
};
use crate::xdr::{Utf8, decode_all, encode_to_bytes};

/// call_body with empty credential and verifier (RFC 5531 section 9).
const CALL_HEADER: usize = 40;
/// The longest answer of an operation that has nothing but a status to say: RPC reply header, CB_COMPOUND4res, CB_SEQUENCE and the
/// operation.
const SHORT_ANSWER: u32 = 24 + 12 + 48 + 8;

/// CB_COMPOUND4args.
pub(super) fn encode(minor: Minor, sequence: CbSequence4Args, op: CbArgs) -> Bytes {
    encode_to_bytes(&CbCompound4Args {
        tag: Utf8::default(),
        minorversion: minor.number(),
        callback_ident: 0,
        ops: vec![CbArgs::Sequence(sequence), op],
    })
}

/// Bytes of the call, as ca_maxrequestsize counts them.
pub(super) fn call_len(args: &Bytes, credential: &CallbackCredential) -> usize {
    let body = match credential {
        CallbackCredential::None => 0,
        CallbackCredential::Sys(parms) => encode_to_bytes(parms).len(),
    };
    CALL_HEADER + body + args.len()
}

/// Whether the client can keep the answer for a retry. One that keeps none (Linux) refuses to be asked for it.
pub(super) fn is_kept(max_response_size_cached: u32) -> bool {
    max_response_size_cached >= SHORT_ANSWER
}

/// What CB_COMPOUND4res says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The operation was carried out, well or not.
    Done(CbSequence4ResOk, CbRes),
    /// CB_SEQUENCE failed: the slot is as it was.
    Sequence(Status),
    /// The client does not get as far as CB_SEQUENCE.
    Compound(Status),
    /// It is no answer to what was asked.
    Fault,
}

/// Reads the answer to what [`encode`] made.
pub(super) fn read(results: &Bytes, asked: &CbSequence4Args, op: CbOp) -> Answer {
    let Ok(CbCompound4Res { status, ops, .. }) = decode_all(results) else { return Answer::Fault };
    // RFC 8881 section 19.2.3: the status is that of the last operation.
    if ops.last().is_some_and(|last| last.status() != status) {
        return Answer::Fault;
    }
    let mut ops = ops.into_iter();
    match (ops.next(), ops.next(), ops.next()) {
        (None, ..) if !status.is_ok() => Answer::Compound(status),
        (Some(CbRes::Illegal(Err(status))), None, _) => Answer::Compound(status),
        (Some(CbRes::Sequence(Err(status))), None, _) => Answer::Sequence(status),
        (Some(CbRes::Sequence(Ok(sequence))), Some(res), None) if answers(&sequence, asked) => {
            let is_same = res.op() == op || matches!(res, CbRes::Illegal(Err(_)));
            if is_same { Answer::Done(sequence, res) } else { Answer::Fault }
        }
        _ => Answer::Fault,
    }
}

fn answers(reply: &CbSequence4ResOk, asked: &CbSequence4Args) -> bool {
    reply.sessionid == asked.sessionid && reply.sequenceid == asked.sequenceid && reply.slotid == asked.slotid
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::proto::{
        CbRecallSlot4Args, NFS4_OK, NFS4ERR_BADSESSION, NFS4ERR_BADXDR, NFS4ERR_DELAY, NFS4ERR_OP_ILLEGAL,
        SessionId,
    };

    const ASKED: CbSequence4Args = CbSequence4Args {
        sessionid: SessionId([1; 16]),
        sequenceid: 2,
        slotid: 3,
        highest_slotid: 3,
        cache_this: false,
        referring_call_lists: Vec::new(),
    };
    const SEQUENCE: CbSequence4ResOk = CbSequence4ResOk {
        sessionid: SessionId([1; 16]),
        sequenceid: 2,
        slotid: 3,
        highest_slotid: 7,
        target_highest_slotid: 7,
    };

    fn reply(status: Status, ops: Vec<CbRes>) -> Answer {
        let results = encode_to_bytes(&CbCompound4Res { status, tag: "tag".into(), ops });
        read(&results, &ASKED, CbOp::Recall)
    }

    fn sequence(change: impl FnOnce(&mut CbSequence4ResOk)) -> CbRes {
        let mut reply = SEQUENCE;
        change(&mut reply);
        CbRes::Sequence(Ok(reply))
    }

    // Origin: what a client may answer. RFC: 8881 sections 19.2.3, 20.2.2 and 20.9.3.
    #[rstest]
    #[case::done(NFS4_OK, vec![sequence(|_| {}), CbRes::Recall(Ok(()))], Answer::Done(SEQUENCE, CbRes::Recall(Ok(()))))]
    #[case::done_with_an_error(
        NFS4ERR_DELAY,
        vec![sequence(|_| {}), CbRes::Recall(Err(NFS4ERR_DELAY))],
        Answer::Done(SEQUENCE, CbRes::Recall(Err(NFS4ERR_DELAY)))
    )]
    #[case::unknown_operation(
        NFS4ERR_OP_ILLEGAL,
        vec![sequence(|_| {}), CbRes::Illegal(Err(NFS4ERR_OP_ILLEGAL))],
        Answer::Done(SEQUENCE, CbRes::Illegal(Err(NFS4ERR_OP_ILLEGAL)))
    )]
    #[case::no_such_session(
        NFS4ERR_BADSESSION,
        vec![CbRes::Sequence(Err(NFS4ERR_BADSESSION))],
        Answer::Sequence(NFS4ERR_BADSESSION)
    )]
    #[case::no_sequence(
        NFS4ERR_OP_ILLEGAL,
        vec![CbRes::Illegal(Err(NFS4ERR_OP_ILLEGAL))],
        Answer::Compound(NFS4ERR_OP_ILLEGAL)
    )]
    #[case::nothing(NFS4ERR_BADXDR, vec![], Answer::Compound(NFS4ERR_BADXDR))]
    fn an_answer_is_understood(#[case] status: Status, #[case] ops: Vec<CbRes>, #[case] expected: Answer) {
        assert_eq!(reply(status, ops), expected);
    }

    // Origin: what no client may answer. RFC: 8881 sections 19.2.3 and 20.9.3.
    #[rstest]
    #[case::other_session(NFS4_OK, vec![sequence(|s| s.sessionid.0 = [9; 16]), CbRes::Recall(Ok(()))])]
    #[case::other_number(NFS4_OK, vec![sequence(|s| s.sequenceid = 1), CbRes::Recall(Ok(()))])]
    #[case::other_slot(NFS4_OK, vec![sequence(|s| s.slotid = 0), CbRes::Recall(Ok(()))])]
    #[case::other_operation(NFS4_OK, vec![sequence(|_| {}), CbRes::NotifyLock(Ok(()))])]
    #[case::other_status(NFS4ERR_DELAY, vec![sequence(|_| {}), CbRes::Recall(Ok(()))])]
    #[case::half_of_it(NFS4_OK, vec![sequence(|_| {})])]
    #[case::too_much(NFS4_OK, vec![sequence(|_| {}), CbRes::Recall(Ok(())), CbRes::Recall(Ok(()))])]
    #[case::nothing_and_well(NFS4_OK, vec![])]
    #[case::no_sequence(NFS4_OK, vec![CbRes::Recall(Ok(())), CbRes::Recall(Ok(()))])]
    fn what_is_no_answer_is_a_fault(#[case] status: Status, #[case] ops: Vec<CbRes>) {
        assert_eq!(reply(status, ops), Answer::Fault);
    }

    #[test]
    fn what_does_not_decode_is_a_fault() {
        assert_eq!(read(&Bytes::from_static(b"nonsense"), &ASKED, CbOp::Recall), Answer::Fault);
    }

    // Origin: the sizes as they are on the wire. RFC: 8881 section 18.36.3, ca_maxrequestsize; 5531 section 9.
    #[test]
    fn the_length_of_a_call_is_that_on_the_wire() {
        let op = CbArgs::RecallSlot(CbRecallSlot4Args { target_highest_slotid: 1 });
        let args = encode(Minor::V1, ASKED, op);
        assert_eq!(args.len(), 16 + (4 + 16 + 4 + 4 + 4 + 4 + 4) + 8);
        assert_eq!(call_len(&args, &CallbackCredential::None), 40 + args.len());
    }
}
