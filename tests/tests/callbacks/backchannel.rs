//! The backchannel of a session: connections, credentials, slots, and what SEQUENCE says of it.
//!
//! Origin: own scenarios; pynfs CSESS20, CSESS21, DSESS9003.
//! RFC: 8881 sections 2.10.3.1, 2.10.6, 18.33, 18.34, 18.36.3, 18.37.3, 18.46.3, 20.6 and 20.9.

use std::sync::Arc;
use std::time::Duration;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::callback::{CallbackError, CallbackLimits, FailReason, Rejection};
use dittofs_framework::client::CallbackPath;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::*;
use dittofs_framework::testing::{CallReply, RpcCredential};
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::backchannel_ctl::BackchannelCtl;
use dittofs_ops::destroy_session::{DestroySession, DestroySession4Args};
use dittofs_tests::callbacks::{Answer, Arrival, BackOptions, Callbacks, DelegClient, Hold, Twist, Wire};
use dittofs_tests::*;
use rstest::rstest;

/// SEQ4_STATUS_CB_PATH_DOWN with SEQ4_STATUS_CB_PATH_DOWN_SESSION.
const DOWN: SequenceStatus = SequenceStatus::CB_PATH_DOWN.union(SequenceStatus::CB_PATH_DOWN_SESSION);
/// How long a server of these tests waits for what does not come.
const IMPATIENT: Duration = Duration::from_millis(50);

struct World {
    server: TestServer,
    client: DelegClient,
}

impl World {
    async fn new() -> Self {
        Self::with(CallbackLimits::default(), &BackOptions::default(), Callbacks::new(2)).await
    }

    async fn with(limits: CallbackLimits, options: &BackOptions, callbacks: Callbacks) -> Self {
        let limits = Limits { callbacks: limits, ..Limits::default() };
        let server = TestServer::start_with(TestServerOptions { limits, ..Default::default() }).await;
        let client = DelegClient::answering(&server, "client", options, callbacks).await;
        let world = Self { server, client };
        world.settled().await;
        world
    }

    fn callbacks(&self) -> &Callbacks {
        self.client.callbacks()
    }

    /// The client as the server knows it.
    fn known(&self) -> Arc<dittofs_framework::client::Client> {
        let Wire::Session(session) = &self.client.wire else { panic!("a session") };
        self.server.service.sessions().session(&session.sessionid).expect("a session").client().clone()
    }

    /// Waits until the server knows whether the client answers.
    async fn settled(&self) -> CallbackPath {
        self.server.service.settled_callback_path(&self.known()).await
    }

    /// CB_RECALL_ANY, of which the arguments are whatever they are.
    async fn call_back(&self) -> Result<CbRes, CallbackError> {
        self.server.service.call_back(&self.known(), recall_any()).await
    }

    /// A call back in the background.
    fn begin_call_back(&self) -> tokio::task::JoinHandle<Result<CbRes, CallbackError>> {
        let (service, known) = (self.server.service.clone(), self.known());
        tokio::spawn(async move { service.call_back(&known, recall_any()).await })
    }

    async fn status(&mut self) -> SequenceStatus {
        self.client.renew().await.unwrap()
    }

    /// Speaks over another of the client's connections from now on.
    fn speak_over(&mut self, number: usize) {
        let peer = self.client.connection(number).clone();
        self.client.session().client = Client::over(peer);
    }

    async fn reach_status(&mut self, expected: SequenceStatus) {
        for _ in 0..2000 {
            if self.status().await == expected {
                return;
            }
        }
        panic!("{expected:?} is not reached, but {:?}", self.status().await);
    }

    /// How many callbacks failed for this reason.
    fn failed(&self, op: &str, reason: FailReason) -> u64 {
        let counts = self.server.service.callbacks().counters().snapshot();
        let counts = counts.into_iter().find(|counts| counts.op == op).expect("an operation");
        counts.failed.into_iter().find(|(why, _)| *why == reason).expect("a reason").1
    }

    async fn stop(self) {
        self.callbacks().assert_sound();
        self.server.stop().await;
    }
}

fn recall_any() -> CbArgs {
    CbArgs::RecallAny(CbRecallAny4Args { objects_to_keep: 5, type_mask: Bitmap::of(&[0]) })
}

const DONE: Result<CbRes, CallbackError> = Ok(CbRes::RecallAny(Ok(())));

/// Slot and number of each callback that came.
fn numbers(arrivals: &[Arrival]) -> Vec<(u32, u32)> {
    let sequences = arrivals.iter().map(|arrival| match &arrival.args {
        CbArgs::Sequence(args) => (args.slotid, args.sequenceid),
        args => panic!("no CB_SEQUENCE: {args:?}"),
    });
    sequences.collect()
}

fn impatient() -> CallbackLimits {
    CallbackLimits {
        reply_timeout: IMPATIENT,
        slot_wait: IMPATIENT,
        rebind_wait: IMPATIENT,
        retry_after: Duration::from_millis(1),
        ..CallbackLimits::default()
    }
}

/// With a number of callbacks at a time.
fn with_slots(max_requests: u32) -> BackOptions {
    let options = BackOptions::default();
    BackOptions { back_channel: ChannelAttrs4 { max_requests, ..options.back_channel }, ..options }
}

#[rstest]
#[case::v4_1(Minor::V1)]
#[case::v4_2(Minor::V2)]
#[tokio::test]
async fn a_client_is_called_once_its_session_is_made(#[case] minor: Minor) {
    let options = BackOptions { minor, ..BackOptions::default() };
    let callbacks = Callbacks::new(minor.number());
    let mut world = World::with(CallbackLimits::default(), &options, callbacks).await;
    assert_eq!((world.settled().await, world.callbacks().nulls()), (CallbackPath::Proven, 1));
    assert_eq!(world.call_back().await, DONE);
    let arrived = world.callbacks().next(CbOp::RecallAny).await;
    assert_eq!(arrived.args, recall_any());
    assert_eq!(world.status().await, SequenceStatus::empty());
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_for_no_backchannel_is_not_called() {
    let options = BackOptions { flags: CreateSessionFlags::empty(), ..BackOptions::default() };
    let mut world = World::with(CallbackLimits::default(), &options, Callbacks::new(2)).await;
    assert_eq!(world.settled().await, CallbackPath::None);
    assert_eq!(world.call_back().await, Err(CallbackError::NoPath));
    assert_eq!(world.status().await, SequenceStatus::empty());
    // It may have one later.
    world.client.bind(&world.server, ChannelDirFromClient::Back).await;
    assert_eq!(world.settled().await, CallbackPath::Proven);
    assert_eq!(world.call_back().await, DONE);
    world.stop().await;
}

fn sys(uid: u32) -> AuthSysParms {
    AuthSysParms { stamp: 7, machine_name: "client".into(), uid, gid: 5, gids: Gids(vec![6]) }
}

fn as_sent(parms: &AuthSysParms) -> RpcCredential {
    RpcCredential { flavor: 1, body: encode_to_bytes(parms) }
}

fn gss() -> CallbackSecParms4 {
    CallbackSecParms4::Gss(GssCbHandles4 {
        service: RpcGssService::None,
        handle_from_server: "nobody gave it".into(),
        handle_from_client: "client".into(),
    })
}

/// csa_sec_parms: the first that the server has.
#[rstest]
#[case::none(vec![CallbackSecParms4::None(())], RpcCredential::none())]
#[case::no_choice(vec![], RpcCredential::none())]
#[case::sys(vec![CallbackSecParms4::Sys(sys(17))], as_sent(&sys(17)))]
#[case::the_first(vec![CallbackSecParms4::Sys(sys(17)), CallbackSecParms4::None(())], as_sent(&sys(17)))]
#[case::not_the_second(vec![CallbackSecParms4::None(()), CallbackSecParms4::Sys(sys(17))], RpcCredential::none())]
#[case::behind_one_that_it_has_not(vec![gss(), CallbackSecParms4::Sys(sys(17))], as_sent(&sys(17)))]
#[tokio::test]
async fn the_server_calls_as_the_client_asked(
    #[case] sec_parms: Vec<CallbackSecParms4>,
    #[case] expected: RpcCredential,
) {
    let options = BackOptions { sec_parms, ..BackOptions::default() };
    let callbacks = Callbacks::new(2);
    callbacks.expect_credential(expected);
    let world = World::with(CallbackLimits::default(), &options, callbacks).await;
    assert_eq!(world.call_back().await, DONE);
    assert_eq!(world.callbacks().refused(), 0);
    world.stop().await;
}

#[tokio::test]
async fn backchannel_ctl_changes_program_and_credential() {
    let mut world = World::new().await;
    assert_eq!(world.call_back().await, DONE);
    world.callbacks().expect_program(0x4000_0007);
    world.callbacks().expect_credential(as_sent(&sys(29)));
    let args =
        BackchannelCtl4Args { cb_program: 0x4000_0007, sec_parms: vec![CallbackSecParms4::Sys(sys(29))] };
    world.client.run(world.client.compound().op::<BackchannelCtl>(&args)).await.ok();
    assert_eq!(world.call_back().await, DONE);
    // A program alone leaves the credential.
    world.callbacks().expect_program(0x4000_0008);
    let args = BackchannelCtl4Args { cb_program: 0x4000_0008, sec_parms: vec![] };
    world.client.run(world.client.compound().op::<BackchannelCtl>(&args)).await.ok();
    assert_eq!(world.call_back().await, DONE);
    world.callbacks().wait_nulls(3).await;
    world.stop().await;
}

/// Who refuses calls has no way for them, until it offers another.
#[tokio::test]
async fn a_client_that_refuses_the_credential_is_not_reached() {
    let mut world = World::new().await;
    world.callbacks().expect_credential(as_sent(&sys(29)));
    let refused = world.call_back().await;
    assert!(matches!(refused, Err(CallbackError::Rejected(Rejection::Auth(_)))), "{refused:?}");
    assert_eq!((world.callbacks().refused(), world.callbacks().executed(CbOp::RecallAny)), (1, 0));
    assert_eq!((world.status().await, world.settled().await), (DOWN, CallbackPath::Down));
    assert_eq!(world.failed("CB_RECALL_ANY", FailReason::Rejected), 1);
    let args = BackchannelCtl4Args {
        cb_program: Callbacks::PROGRAM,
        sec_parms: vec![CallbackSecParms4::Sys(sys(29))],
    };
    world.client.run(world.client.compound().op::<BackchannelCtl>(&args)).await.ok();
    assert_eq!(world.settled().await, CallbackPath::Proven);
    assert_eq!(world.status().await, SequenceStatus::empty());
    assert_eq!(world.call_back().await, DONE);
    world.stop().await;
}

/// "When the server receives the reply": one after the other in slot 0, the number goes up.
#[tokio::test]
async fn a_slot_counts_its_callbacks() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(world.call_back().await, DONE);
    }
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (0, 2), (0, 3)]);
    world.stop().await;
}

/// As many at a time as the client takes (ca_maxrequests); the next one waits for a slot.
#[tokio::test]
async fn callbacks_are_under_way_at_the_same_time() {
    let callbacks = Callbacks::new(2);
    let hold = Hold::default();
    callbacks.answer(CbOp::RecallAny, Answer::Held(hold.clone()));
    let world = World::with(CallbackLimits::default(), &with_slots(2), callbacks).await;
    let calls = [(); 3].map(|()| world.begin_call_back());
    world.callbacks().nth(CbOp::RecallAny, 2).await;
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (1, 1)]);
    hold.release();
    world.callbacks().nth(CbOp::RecallAny, 3).await;
    hold.release();
    hold.release();
    for call in calls {
        assert_eq!(call.await.unwrap(), DONE);
    }
    let all = world.callbacks().all(CbOp::Sequence);
    let highest: Vec<u32> = all
        .iter()
        .map(|arrival| match &arrival.args {
            CbArgs::Sequence(args) => args.highest_slotid,
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(highest, [0, 1, 1]);
    world.stop().await;
}

/// A server that got no answer as the connection ended sends the same again over another one: the client carries it out once.
#[rstest]
#[case::it_was_carried_out(Answer::DropAfter)]
#[case::it_was_not(Answer::DropBefore)]
#[tokio::test]
async fn a_callback_goes_on_over_another_connection(#[case] answer: Answer) {
    let mut world = World::new().await;
    let second = world.client.bind(&world.server, ChannelDirFromClient::ForeOrBoth).await;
    world.callbacks().answer_once(CbOp::RecallAny, answer);
    assert_eq!(world.call_back().await, DONE);
    let arrived = world.callbacks().all(CbOp::RecallAny);
    let connections: Vec<usize> = arrived.iter().map(|arrival| arrival.connection).collect();
    assert_eq!(connections, [second, 0], "the newest first");
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (0, 1)]);
    assert_eq!(world.callbacks().executed(CbOp::RecallAny), 1);
    assert_eq!(world.status().await, SequenceStatus::empty(), "there is still a connection");
    world.stop().await;
}

/// The same when there is no other connection: it waits for one.
#[tokio::test]
async fn a_callback_waits_for_a_connection() {
    let mut world = World::new().await;
    let other = world.client.bind(&world.server, ChannelDirFromClient::Fore).await;
    world.callbacks().answer_once(CbOp::RecallAny, Answer::DropAfter);
    let call = world.begin_call_back();
    world.callbacks().nth(CbOp::RecallAny, 1).await;
    world.speak_over(other);
    world.reach_status(DOWN).await;
    world.client.bind(&world.server, ChannelDirFromClient::Back).await;
    assert_eq!(call.await.unwrap(), DONE);
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (0, 1)]);
    assert_eq!(world.callbacks().executed(CbOp::RecallAny), 1);
    assert_eq!(world.status().await, SequenceStatus::empty());
    world.stop().await;
}

/// SEQ4_STATUS_CB_PATH_DOWN and SEQ4_STATUS_CB_PATH_DOWN_SESSION come with the loss of the last connection and go with a new one.
#[tokio::test]
async fn a_lost_backchannel_is_told_of() {
    let mut world = World::new().await;
    let other = world.client.bind(&world.server, ChannelDirFromClient::Fore).await;
    assert_eq!(world.status().await, SequenceStatus::empty());
    world.speak_over(other);
    world.client.connection(0).close().await;
    world.reach_status(DOWN).await;
    assert_eq!(world.call_back().await, Err(CallbackError::NoPath));
    assert_eq!(world.failed("CB_RECALL_ANY", FailReason::NoPath), 1);
    world.client.bind(&world.server, ChannelDirFromClient::Back).await;
    assert_eq!(world.status().await, SequenceStatus::empty());
    assert_eq!(world.settled().await, CallbackPath::Proven);
    world.stop().await;
}

/// "This bit remains set on all SEQUENCE responses on all sessions": until there is a backchannel in any of them.
#[tokio::test]
async fn one_session_with_a_backchannel_is_enough() {
    let mut world = World::new().await;
    let other = world.client.bind(&world.server, ChannelDirFromClient::Fore).await;
    world.speak_over(other);
    let args = create_session_args(world.known().id(), 2, &SessionOptions::default());
    let args = CreateSession4Args { flags: CreateSessionFlags::CONN_BACK_CHAN, ..args };
    let create = dittofs_framework::testing::Compound::new(Minor::V2)
        .op::<dittofs_ops::create_session::CreateSession>(&args);
    let created = world.client.session().client.run(&create).await.ok();
    let second = created.get::<dittofs_ops::create_session::CreateSession>();
    world.callbacks().open_slots(second.sessionid, 4);
    world.callbacks().wait_nulls(2).await;
    world.client.connection(0).close().await;
    world.reach_status(SequenceStatus::CB_PATH_DOWN_SESSION).await;
    assert_eq!(world.call_back().await, DONE);
    let all = world.callbacks().all(CbOp::Sequence);
    assert!(
        matches!(&all[..], [Arrival { args: CbArgs::Sequence(args), .. }] if args.sessionid == second.sessionid)
    );
    world.stop().await;
}

/// An answer that cannot be is SEQ4_STATUS_BACKCHANNEL_FAULT, and the session is called no more.
#[rstest]
#[case::other_session(Twist::Session)]
#[case::other_number(Twist::Sequence)]
#[case::other_slot(Twist::Slot)]
#[tokio::test]
async fn a_wrong_answer_is_a_fault(#[case] twist: Twist) {
    let mut world = World::new().await;
    world.callbacks().answer_once(CbOp::Sequence, Answer::Twisted(twist));
    assert_eq!(world.call_back().await, Err(CallbackError::Fault));
    let fault = SequenceStatus::BACKCHANNEL_FAULT | SequenceStatus::CB_PATH_DOWN;
    assert_eq!(world.status().await, fault);
    assert_eq!(world.call_back().await, Err(CallbackError::NoPath));
    world.client.bind(&world.server, ChannelDirFromClient::Back).await;
    assert_eq!(world.status().await, fault, "another connection is of no use");
    world.stop().await;
}

/// NFS4ERR_DELAY of CB_SEQUENCE leaves the slot as it was: the same number comes again.
#[rstest]
#[case::delay(NFS4ERR_DELAY)]
#[case::session_not_known_yet(NFS4ERR_BADSESSION)]
#[tokio::test]
async fn a_callback_that_is_not_taken_is_sent_again(#[case] status: Status) {
    let world = World::with(impatient(), &BackOptions::default(), Callbacks::new(2)).await;
    world.callbacks().answer_once(CbOp::Sequence, Answer::Status(status));
    assert_eq!(world.call_back().await, DONE);
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (0, 1)]);
    world.callbacks().answer(CbOp::Sequence, Answer::Status(status));
    assert_eq!(world.call_back().await, Err(CallbackError::Refused(status)), "not for ever");
    world.stop().await;
}

/// A callback without an answer keeps its slot, for the client may be at work on it; others have theirs.
#[tokio::test]
async fn a_client_that_does_not_answer() {
    let callbacks = Callbacks::new(2);
    let hold = Hold::default();
    callbacks.answer_once(CbOp::RecallAny, Answer::Held(hold.clone()));
    let world = World::with(impatient(), &with_slots(2), callbacks).await;
    assert_eq!(world.call_back().await, Err(CallbackError::TimedOut));
    assert_eq!(world.failed("CB_RECALL_ANY", FailReason::TimedOut), 1);
    assert_eq!(world.call_back().await, DONE);
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (1, 1)]);
    // It answers after all: the slot can be used.
    hold.release();
    let both = || numbers(&world.callbacks().all(CbOp::Sequence));
    while both().last() != Some(&(0, 2)) {
        assert_eq!(world.call_back().await, DONE);
    }
    world.stop().await;
}

/// Without a slot the callback fails, in time.
#[tokio::test]
async fn a_client_whose_slots_are_all_in_use() {
    let callbacks = Callbacks::new(2);
    callbacks.answer(CbOp::RecallAny, Answer::Never);
    let world = World::with(CallbackLimits { tries: 1, ..impatient() }, &with_slots(1), callbacks).await;
    assert_eq!(world.call_back().await, Err(CallbackError::TimedOut));
    assert_eq!(world.call_back().await, Err(CallbackError::Busy));
    assert_eq!(world.failed("CB_RECALL_ANY", FailReason::Busy), 1);
    world.stop().await;
}

/// A slot of which it is not known whether the client has seen the last callback goes on with the next number, or with the same.
#[rstest]
#[case::it_was_carried_out(Answer::DropAfter, vec![(0, 1), (0, 2)])]
#[case::it_was_not(Answer::DropBefore, vec![(0, 1), (0, 2), (0, 1)])]
#[tokio::test]
async fn a_slot_without_an_answer_goes_on(#[case] answer: Answer, #[case] expected: Vec<(u32, u32)>) {
    let mut world = World::with(impatient(), &BackOptions::default(), Callbacks::new(2)).await;
    world.callbacks().answer_once(CbOp::RecallAny, answer);
    assert_eq!(world.call_back().await, Err(CallbackError::Lost));
    world.client.bind(&world.server, ChannelDirFromClient::Back).await;
    assert_eq!(world.call_back().await, DONE);
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), expected);
    assert_eq!(
        world.callbacks().executed(CbOp::RecallAny),
        expected.len().min(2) - usize::from(expected.len() > 2)
    );
    world.stop().await;
}

/// A client that has lost its answer has carried the callback out.
#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again() {
    let world = World::new().await;
    world.callbacks().answer_once(CbOp::Sequence, Answer::Status(NFS4ERR_RETRY_UNCACHED_REP));
    assert_eq!(world.call_back().await, Err(CallbackError::AnswerLost));
    world.stop().await;
}

/// What the client says at the level of RPC about one call says nothing of others.
#[tokio::test]
async fn garbage_is_of_one_call() {
    let mut world = World::new().await;
    world.callbacks().answer_once(CbOp::RecallAny, Answer::Rpc(CallReply::GarbageArgs));
    assert_eq!(world.call_back().await, Err(CallbackError::Rejected(Rejection::GarbageArgs)));
    assert_eq!(world.status().await, SequenceStatus::empty());
    assert_eq!(world.call_back().await, DONE);
    world.stop().await;
}

/// The session's end is the end of its callbacks.
#[tokio::test]
async fn a_session_ends_under_a_callback() {
    let mut world = World::new().await;
    world.callbacks().answer_once(CbOp::RecallAny, Answer::Never);
    let call = world.begin_call_back();
    world.callbacks().nth(CbOp::RecallAny, 1).await;
    let sessionid = world.client.session().sessionid;
    let args = DestroySession4Args { sessionid };
    let destroy = dittofs_framework::testing::Compound::new(Minor::V2).op::<DestroySession>(&args);
    world.client.session().client.run(&destroy).await.ok();
    assert_eq!(call.await.unwrap(), Err(CallbackError::Lost));
    world.stop().await;
}

/// ca_maxrequestsize.
#[tokio::test]
async fn a_callback_is_not_longer_than_the_client_takes() {
    let options = BackOptions::default();
    let back_channel = ChannelAttrs4 { max_request_size: 160, ..options.back_channel };
    let options = BackOptions { back_channel, ..options };
    let world = World::with(CallbackLimits::default(), &options, Callbacks::new(2)).await;
    assert_eq!(world.call_back().await, DONE);
    let fh = NfsFh4::from(&[0; 128][..]);
    let recall =
        CbArgs::Recall(CbRecall4Args { stateid: Stateid { seqid: 1, other: [1; 12] }, truncate: false, fh });
    let result = world.server.service.call_back(&world.known(), recall).await;
    assert_eq!(result, Err(CallbackError::TooLong));
    assert_eq!(world.call_back().await, DONE);
    assert_eq!(numbers(&world.callbacks().all(CbOp::Sequence)), [(0, 1), (0, 2)], "it used no number up");
    world.stop().await;
}
