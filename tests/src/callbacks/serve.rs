//! What becomes of a call from the server.

use std::time::Instant;

use bytes::Bytes;
use dittofs_framework::proto::{
    CB_COMPOUND, CB_NULL, CbArgs, CbCompound4Args, CbCompound4Res, CbOp, CbRes, CbSequence4Args,
    CbSequence4ResOk, NFS4_CALLBACK, NFS4_OK, NFS4ERR_MINOR_VERS_MISMATCH, NFS4ERR_OP_NOT_IN_SESSION,
    SessionId, Status,
};
use dittofs_framework::rpc::AuthStat;
use dittofs_framework::testing::{CallReply, IncomingCall, RpcPeer};
use dittofs_framework::xdr::{Utf8, decode_all, encode_to_bytes};
use tokio::sync::mpsc::UnboundedReceiver;

use super::slots::Admission;
use super::{Answer, Arrival, Callbacks, State, Twist};

/// What the client does at the level of RPC.
enum Outcome {
    Reply(CallReply),
    Silence,
    Close,
}

impl Callbacks {
    /// Serves the calls of a connection in the background, each by itself. Gives the number of the connection.
    pub fn serve(&self, peer: RpcPeer, mut incoming: UnboundedReceiver<IncomingCall>) -> usize {
        let number = {
            let mut state = self.state();
            state.connections += 1;
            state.connections - 1
        };
        let callbacks = self.clone();
        tokio::spawn(async move {
            while let Some(call) = incoming.recv().await {
                let (callbacks, peer) = (callbacks.clone(), peer.clone());
                tokio::spawn(async move {
                    match callbacks.handle(number, &call).await {
                        // The server may have closed the connection meanwhile.
                        Outcome::Reply(reply) => drop(peer.reply(call.xid, &reply).await),
                        Outcome::Silence => {}
                        Outcome::Close => peer.close().await,
                    }
                });
            }
        });
        number
    }

    async fn handle(&self, connection: usize, call: &IncomingCall) -> Outcome {
        if let Some(refusal) = self.refuse(call) {
            self.changed();
            return Outcome::Reply(refusal);
        }
        if call.target.procedure == CB_NULL {
            self.state().nulls += 1;
            self.changed();
            return Outcome::Reply(CallReply::Results(Bytes::new()));
        }
        let Ok(compound) = decode_all::<CbCompound4Args>(&call.args) else {
            self.fault(format!("arguments that do not decode: {:?}", call.args));
            return Outcome::Reply(CallReply::GarbageArgs);
        };
        let mut run = Run { callbacks: self, connection, call, sequence: None, tag: compound.tag.clone() };
        run.compound(compound).await
    }

    /// What is answered to a call that is none of a COMPOUND with the right credential.
    fn refuse(&self, call: &IncomingCall) -> Option<CallReply> {
        let mut state = self.state();
        if call.target.program != state.program {
            state.faults.push(format!("a call of program {:#x}", call.target.program));
            return Some(CallReply::ProgUnavail);
        }
        if call.target.version != NFS4_CALLBACK || call.target.procedure > CB_COMPOUND {
            state.faults.push(format!("a call of {:?}", call.target));
            return Some(CallReply::ProcUnavail);
        }
        // CB_NULL tells nothing and needs no right.
        let expected = state.credential.as_ref();
        if call.target.procedure != CB_NULL && expected.is_some_and(|expected| *expected != call.credential) {
            state.refused += 1;
            return Some(CallReply::AuthError(AuthStat::RejectedCred));
        }
        None
    }

    fn fault(&self, fault: String) {
        self.state().faults.push(fault);
        self.changed();
    }
}

impl State {
    fn take_answer(&mut self, op: CbOp) -> Answer {
        let once = self.once.get_mut(&op).and_then(std::collections::VecDeque::pop_front);
        once.or_else(|| self.always.get(&op).cloned()).unwrap_or(Answer::Ok)
    }
}

/// One CB_COMPOUND that is being carried out.
struct Run<'a> {
    callbacks: &'a Callbacks,
    connection: usize,
    call: &'a IncomingCall,
    sequence: Option<CbSequence4Args>,
    tag: Utf8,
}

impl Run<'_> {
    async fn compound(&mut self, compound: CbCompound4Args) -> Outcome {
        let (minorversion, ident) = {
            let state = self.callbacks.state();
            (state.minorversion, state.ident)
        };
        if compound.minorversion != minorversion {
            self.callbacks.fault(format!("a callback of minor version {}", compound.minorversion));
            return self.results(NFS4ERR_MINOR_VERS_MISMATCH, Vec::new());
        }
        let mut ops = compound.ops.into_iter();
        let mut results = Vec::new();
        if minorversion == 0 {
            if compound.callback_ident != ident {
                self.callbacks.fault(format!("callback_ident {}", compound.callback_ident));
            }
        } else {
            let Some(CbArgs::Sequence(args)) = ops.next() else {
                self.callbacks.fault("a callback without CB_SEQUENCE".to_owned());
                return self.results(NFS4ERR_OP_NOT_IN_SESSION, Vec::new());
            };
            match self.sequence(&args, ops.as_slice()).await {
                Ok(result) => results.push(CbRes::Sequence(Ok(result))),
                Err(outcome) => return outcome,
            }
        }
        for args in ops {
            match self.operation(args).await {
                Ok(result) => results.push(result),
                Err(outcome) => return outcome,
            }
            if results.last().is_some_and(|last| !last.status().is_ok()) {
                break;
            }
        }
        let status = results.last().map_or(NFS4_OK, CbRes::status);
        self.results(status, results)
    }

    /// CB_SEQUENCE, in front of `rest`: its result, or what to do in the place of all that follows.
    async fn sequence(
        &mut self,
        args: &CbSequence4Args,
        rest: &[CbArgs],
    ) -> Result<CbSequence4ResOk, Outcome> {
        let answer = self.callbacks.state().take_answer(CbOp::Sequence);
        let (answer, twist) = match answer {
            Answer::Twisted(twist) => (Answer::Ok, Some(twist)),
            answer => (answer, None),
        };
        let is_carried_out = match &answer {
            Answer::Ok | Answer::Held(_) | Answer::Never | Answer::DropAfter => true,
            Answer::Status(_) | Answer::Res(_) | Answer::DropBefore | Answer::Rpc(_) | Answer::Twisted(_) => {
                false
            }
        };
        let admission = if is_carried_out { Some(self.callbacks.state().slots.admit(args)) } else { None };
        let is_new = matches!(admission, Some(Ok(Admission::New(_))));
        self.record(CbArgs::Sequence(args.clone()), is_new);
        // What follows knows its CB_SEQUENCE, carried out or not.
        self.sequence = Some(args.clone());
        if !is_new {
            for args in rest {
                self.record(args.clone(), false);
            }
        }
        self.act(&answer).await?;
        match admission {
            Some(Ok(Admission::New(result))) => Ok(twisted(result, twist)),
            Some(Ok(Admission::Mute)) => Err(Outcome::Silence),
            Some(Ok(Admission::Replay(reply))) => Err(Outcome::Reply(CallReply::Results(reply))),
            Some(Err(status)) => Err(self.failed(status)),
            None => Err(match answer {
                Answer::Status(status) => self.failed(status),
                _ => Outcome::Silence,
            }),
        }
    }

    /// The answer of a CB_COMPOUND whose CB_SEQUENCE failed.
    fn failed(&self, status: Status) -> Outcome {
        let res = CbCompound4Res { status, tag: self.tag.clone(), ops: vec![CbRes::Sequence(Err(status))] };
        Outcome::Reply(CallReply::Results(encode_to_bytes(&res)))
    }

    /// Any other operation: its result, or what to do in the place of an answer.
    async fn operation(&self, args: CbArgs) -> Result<CbRes, Outcome> {
        let op = args.op();
        let answer = self.callbacks.state().take_answer(op);
        let executed = !matches!(answer, Answer::Status(_) | Answer::DropBefore | Answer::Rpc(_));
        if let Some(sequence) = &self.sequence {
            match answer {
                // As if it had not come.
                Answer::DropBefore | Answer::Rpc(_) => self.callbacks.state().slots.forget(sequence),
                Answer::Never => self.callbacks.state().slots.mute(sequence),
                _ => {}
            }
        }
        self.record(args, executed);
        let acted = self.act(&answer).await;
        if matches!(answer, Answer::DropAfter) {
            let sequence = self.sequence.as_ref().map(|args| CbRes::Sequence(Ok(echo(args))));
            let ops = sequence.into_iter().chain([answer.result(op)]).collect();
            // Kept for the retry, and not sent.
            drop(self.results(NFS4_OK, ops));
        }
        acted.map(|()| answer.result(op))
    }

    /// What an answer does before it is given, or in its place.
    async fn act(&self, answer: &Answer) -> Result<(), Outcome> {
        match answer {
            Answer::Ok | Answer::Status(_) | Answer::Res(_) | Answer::Twisted(_) => Ok(()),
            Answer::Held(hold) => {
                hold.wait().await;
                Ok(())
            }
            Answer::Never => Err(Outcome::Silence),
            Answer::DropBefore | Answer::DropAfter => Err(Outcome::Close),
            Answer::Rpc(reply) => Err(Outcome::Reply(reply.clone())),
        }
    }

    /// CB_COMPOUND4res, kept for a retry.
    fn results(&self, status: Status, ops: Vec<CbRes>) -> Outcome {
        let res = encode_to_bytes(&CbCompound4Res { status, tag: self.tag.clone(), ops });
        if let Some(sequence) = &self.sequence {
            self.callbacks.state().slots.finish(sequence, res.clone());
        }
        Outcome::Reply(CallReply::Results(res))
    }

    fn record(&self, args: CbArgs, executed: bool) {
        let arrival = Arrival {
            args,
            executed,
            credential: self.call.credential.clone(),
            connection: self.connection,
            xid: self.call.xid,
            at: Instant::now(),
            sequence: self.sequence.clone(),
        };
        self.callbacks.state().arrivals.push(arrival);
        self.callbacks.changed();
    }
}

/// CB_SEQUENCE's answer when nothing limits the slots any further.
fn echo(args: &CbSequence4Args) -> CbSequence4ResOk {
    CbSequence4ResOk {
        sessionid: args.sessionid,
        sequenceid: args.sequenceid,
        slotid: args.slotid,
        highest_slotid: args.highest_slotid,
        target_highest_slotid: args.highest_slotid,
    }
}

fn twisted(result: CbSequence4ResOk, twist: Option<Twist>) -> CbSequence4ResOk {
    match twist {
        None => result,
        Some(Twist::Session) => CbSequence4ResOk { sessionid: SessionId([0xee; 16]), ..result },
        Some(Twist::Sequence) => CbSequence4ResOk { sequenceid: result.sequenceid.wrapping_add(1), ..result },
        Some(Twist::Slot) => CbSequence4ResOk { slotid: result.slotid.wrapping_add(1), ..result },
    }
}
