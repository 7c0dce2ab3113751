//! The client of these tests answers callbacks as a client should, and wrong only where a test says so.
//!
//! Origin: own.
//! RFC: 8881 sections 2.10.6, 20.2 and 20.9; 5531 section 9.

use dittofs_framework::proto::{
    CB_COMPOUND, CB_NULL, CbArgs, CbCompound4Args, CbCompound4Res, CbOp, CbRecall4Args, CbRes,
    CbSequence4Args, NFS4_CALLBACK, NFS4_OK, NFS4ERR_BADHANDLE, NFS4ERR_BADSESSION, NFS4ERR_BADSLOT,
    NFS4ERR_DELAY, NFS4ERR_SEQ_MISORDERED, SessionId, Stateid, Status,
};
use dittofs_framework::testing::{CallReply, RpcCredential, RpcError, RpcPeer, RpcTarget};
use dittofs_framework::xdr::decode_all;
use dittofs_tests::callbacks::{Answer, Callbacks, Hold, Twist};
use rstest::rstest;
use tokio::net::TcpListener;

const SESSION: SessionId = SessionId([5; 16]);

/// Both ends of a connection: who calls, and who answers.
struct World {
    server: RpcPeer,
    callbacks: Callbacks,
}

impl World {
    async fn new(minorversion: u32) -> Self {
        let callbacks = Callbacks::new(minorversion);
        callbacks.open_slots(SESSION, 2);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, incoming) = RpcPeer::connect(listener.local_addr().unwrap()).await.unwrap();
        callbacks.serve(client, incoming);
        let (server, _) = RpcPeer::over(listener.accept().await.unwrap().0).unwrap();
        Self { server, callbacks }
    }

    async fn call(&self, compound: &CbCompound4Args) -> Result<CbCompound4Res, RpcError> {
        let target = target(CB_COMPOUND);
        let body = self.server.call(target, &RpcCredential::none(), compound).await?;
        Ok(decode_all(&body).unwrap())
    }

    /// A CB_RECALL with these numbers: the status of all, and how many results there are.
    async fn recall(&self, slotid: u32, sequenceid: u32) -> (Status, usize) {
        let res = self.call(&recall(SESSION, slotid, sequenceid)).await.unwrap();
        (res.status, res.ops.len())
    }

    fn counts(&self) -> (usize, usize) {
        (self.callbacks.arrived(CbOp::Recall), self.callbacks.executed(CbOp::Recall))
    }
}

fn target(procedure: u32) -> RpcTarget {
    RpcTarget { program: Callbacks::PROGRAM, version: NFS4_CALLBACK, procedure }
}

fn recall_op() -> CbArgs {
    let stateid = Stateid { seqid: 1, other: [3; 12] };
    CbArgs::Recall(CbRecall4Args { stateid, truncate: false, fh: b"file".as_slice().into() })
}

fn recall(sessionid: SessionId, slotid: u32, sequenceid: u32) -> CbCompound4Args {
    let sequence = CbSequence4Args {
        sessionid,
        sequenceid,
        slotid,
        highest_slotid: 1,
        cache_this: false,
        referring_call_lists: Vec::new(),
    };
    compound(1, vec![CbArgs::Sequence(sequence), recall_op()])
}

fn compound(minorversion: u32, ops: Vec<CbArgs>) -> CbCompound4Args {
    CbCompound4Args { tag: "tag".into(), minorversion, callback_ident: Callbacks::IDENT, ops }
}

#[tokio::test]
async fn a_callback_is_carried_out_once_and_its_retry_answered_alike() {
    let world = World::new(1).await;
    let first = world.call(&recall(SESSION, 0, 1)).await.unwrap();
    assert_eq!((first.status, first.ops.len()), (NFS4_OK, 2));
    assert_eq!(world.call(&recall(SESSION, 0, 1)).await.unwrap(), first);
    assert_eq!(world.counts(), (2, 1));
    assert_eq!(world.recall(0, 2).await, (NFS4_OK, 2));
    assert_eq!(world.recall(1, 1).await, (NFS4_OK, 2));
    assert_eq!(world.counts(), (4, 3));
}

#[rstest]
#[case::ahead(recall(SESSION, 0, 2), NFS4ERR_SEQ_MISORDERED)]
#[case::no_such_slot(recall(SESSION, 2, 1), NFS4ERR_BADSLOT)]
#[case::no_such_session(recall(SessionId([6; 16]), 0, 1), NFS4ERR_BADSESSION)]
#[tokio::test]
async fn wrong_numbers_are_refused(#[case] compound: CbCompound4Args, #[case] expected: Status) {
    let world = World::new(1).await;
    let res = world.call(&compound).await.unwrap();
    assert_eq!((res.status, res.ops), (expected, vec![CbRes::Sequence(Err(expected))]));
    assert_eq!(world.counts(), (1, 0));
}

#[tokio::test]
async fn minor_version_0_has_no_slots() {
    let world = World::new(0).await;
    for expected in 1..3 {
        let res = world.call(&compound(0, vec![recall_op()])).await.unwrap();
        assert_eq!((res.status, res.ops), (NFS4_OK, vec![CbRes::Recall(Ok(()))]));
        assert_eq!(world.counts(), (expected, expected));
    }
    world.server.call(target(CB_NULL), &RpcCredential::none(), &()).await.unwrap();
    assert_eq!(world.callbacks.nulls(), 1);
    world.callbacks.assert_sound();
}

#[tokio::test]
async fn a_status_is_answered_once_and_then_what_is_answered_always() {
    let world = World::new(1).await;
    world.callbacks.answer(CbOp::Recall, Answer::Status(NFS4ERR_DELAY));
    world.callbacks.answer_once(CbOp::Recall, Answer::Status(NFS4ERR_BADHANDLE));
    let mut statuses = Vec::new();
    for sequenceid in 1..4 {
        statuses.push(world.recall(0, sequenceid).await.0);
    }
    assert_eq!(statuses, [NFS4ERR_BADHANDLE, NFS4ERR_DELAY, NFS4ERR_DELAY]);
    assert_eq!(world.counts(), (3, 0));
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_let_and_others_before_it() {
    let world = World::new(1).await;
    let hold = Hold::default();
    world.callbacks.answer_once(CbOp::Recall, Answer::Held(hold.clone()));
    let answered = async { world.recall(0, 1).await };
    let others = async {
        world.callbacks.recall().await;
        assert_eq!(world.recall(0, 1).await, (NFS4ERR_DELAY, 1), "a retry of what is under way");
        assert_eq!(world.recall(1, 1).await, (NFS4_OK, 2));
        hold.release();
    };
    assert_eq!(tokio::join!(answered, others).0, (NFS4_OK, 2));
}

#[rstest]
#[case::before(Answer::DropBefore, 0)]
#[case::after(Answer::DropAfter, 1)]
#[tokio::test]
async fn the_connection_is_closed(#[case] answer: Answer, #[case] executed: usize) {
    let world = World::new(1).await;
    world.callbacks.answer_once(CbOp::Recall, answer);
    let failed = world.call(&recall(SESSION, 0, 1)).await;
    assert!(matches!(failed, Err(RpcError::Closed)), "{failed:?}");
    assert_eq!(world.counts(), (1, executed));
}

#[tokio::test]
async fn calls_are_refused_for_their_credential() {
    let world = World::new(1).await;
    world.callbacks.expect_credential(RpcCredential::sys(1, 2, &[]));
    let refused = world.call(&recall(SESSION, 0, 1)).await;
    assert!(matches!(refused, Err(RpcError::AuthError(2))), "{refused:?}");
    assert_eq!((world.callbacks.refused(), world.counts()), (1, (0, 0)));
    let credential = RpcCredential::sys(1, 2, &[]);
    world.server.call(target(CB_COMPOUND), &credential, &recall(SESSION, 0, 1)).await.unwrap();
    assert_eq!(world.callbacks.recall().await.fh, b"file".as_slice().into());
}

#[tokio::test]
async fn rpc_may_fail_as_well() {
    let world = World::new(1).await;
    world.callbacks.answer_once(CbOp::Recall, Answer::Rpc(CallReply::SystemErr));
    let failed = world.call(&recall(SESSION, 0, 1)).await;
    assert!(matches!(failed, Err(RpcError::SystemErr)), "{failed:?}");
    assert_eq!(world.recall(0, 1).await, (NFS4_OK, 2), "as if it had not come");
}

#[rstest]
#[case::session(Twist::Session)]
#[case::sequence(Twist::Sequence)]
#[case::slot(Twist::Slot)]
#[tokio::test]
async fn a_sequence_may_be_answered_wrong(#[case] twist: Twist) {
    let world = World::new(1).await;
    let good = world.call(&recall(SESSION, 0, 1)).await.unwrap().ops.remove(0);
    world.callbacks.answer_once(CbOp::Sequence, Answer::Twisted(twist));
    let wrong = world.call(&recall(SESSION, 0, 2)).await.unwrap().ops.remove(0);
    let (CbRes::Sequence(Ok(good)), CbRes::Sequence(Ok(wrong))) = (good, wrong) else { panic!() };
    let differs = (
        good.sessionid != wrong.sessionid,
        good.sequenceid + 1 != wrong.sequenceid,
        good.slotid != wrong.slotid,
    );
    assert_eq!(differs, (twist == Twist::Session, twist == Twist::Sequence, twist == Twist::Slot));
}

#[tokio::test]
async fn what_no_server_should_send_is_a_fault() {
    let world = World::new(1).await;
    let garbage = world.server.call(target(CB_COMPOUND), &RpcCredential::none(), &0_u32).await;
    assert!(matches!(garbage, Err(RpcError::GarbageArgs)), "{garbage:?}");
    let unsound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.callbacks.assert_sound()));
    assert!(unsound.is_err());
}
