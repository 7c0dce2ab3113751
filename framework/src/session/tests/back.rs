//! Origin: each way in which a backchannel comes, goes and fails, and what SEQUENCE says then.
//! RFC: 8881 sections 2.10.3.1, 18.33, 18.34, 18.36.3, 18.37.3 and 18.46.3.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rstest::rstest;

use super::world::*;
use crate::callback::{CallError, CallPath, CallbackCall, CallbackCredential};
use crate::client::CallbackPath;
use crate::proto::*;
use crate::rpc::{BoxFuture, ConnectionId};
use crate::session::*;

const NONE: SequenceStatus = SequenceStatus::empty();
const SESSION_DOWN: SequenceStatus = SequenceStatus::CB_PATH_DOWN_SESSION;
const DOWN: SequenceStatus = SESSION_DOWN.union(SequenceStatus::CB_PATH_DOWN);
const FAULT: SequenceStatus = SequenceStatus::BACKCHANNEL_FAULT.union(SequenceStatus::CB_PATH_DOWN);

/// A connection over which nothing is called here.
struct Path {
    id: u64,
    is_open: AtomicBool,
}

impl CallPath for Path {
    fn call(&self, _: CallbackCall) -> BoxFuture<'static, Result<Bytes, CallError>> {
        Box::pin(std::future::ready(Err(CallError::Disconnected)))
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }

    fn id(&self) -> ConnectionId {
        ConnectionId(self.id)
    }
}

struct Connection {
    path: Arc<Path>,
    sessions: ConnectionSessions,
}

impl Connection {
    fn new(id: u64) -> Self {
        let path = Arc::new(Path { id, is_open: AtomicBool::new(true) });
        let sessions = ConnectionSessions::of(&(path.clone() as Arc<dyn CallPath>));
        Self { path, sessions }
    }
}

/// A session of a new client, and what it was granted of these flags.
fn create(
    world: &World,
    on: &Connection,
    change: impl FnOnce(&mut CreateSession4Args),
) -> (Arc<Session>, CreateSessionFlags) {
    let mut args = create_args(world.unconfirmed("client", 1), 1, 4);
    args.flags = CreateSessionFlags::CONN_BACK_CHAN;
    change(&mut args);
    let caller = SessionCaller {
        now: world.now(),
        user: user(1),
        minor: Minor::V1,
        connection: &on.sessions,
        within: Within::Nothing,
    };
    let (reply, _) = world.core.create_session(&caller, &args, &|_| {}).unwrap();
    world.core.check_invariants();
    (world.core.session(&reply.sessionid).unwrap(), reply.flags)
}

fn status(session: &Session) -> SequenceStatus {
    session.client().status() | session.back().status()
}

fn bind(world: &World, session: &Session, on: &Connection) {
    let args = BindConnToSession4Args {
        sessionid: session.id(),
        dir: ChannelDirFromClient::Back,
        use_conn_in_rdma_mode: false,
    };
    world.core.bind_conn_to_session(&args, &on.sessions).unwrap();
    world.core.check_invariants();
}

#[rstest]
#[case::asked_for(CreateSessionFlags::CONN_BACK_CHAN, 4, CreateSessionFlags::CONN_BACK_CHAN)]
#[case::not_asked_for(CreateSessionFlags::empty(), 4, CreateSessionFlags::empty())]
#[case::for_no_callback_at_a_time(CreateSessionFlags::CONN_BACK_CHAN, 0, CreateSessionFlags::empty())]
fn create_session_binds_its_connection(
    #[case] flags: CreateSessionFlags,
    #[case] max_requests: u32,
    #[case] granted: CreateSessionFlags,
) {
    let world = World::new();
    let connection = Connection::new(1);
    let (session, flags) = create(&world, &connection, |args| {
        args.flags = flags;
        args.back_channel.max_requests = max_requests;
    });
    assert_eq!(flags, granted);
    let expected = if granted.is_empty() { CallbackPath::None } else { CallbackPath::Unproven };
    assert_eq!((session.client().callback_path(), status(&session)), (expected, NONE));
}

/// What happens to a backchannel whose client has answered.
#[rstest]
#[case::nothing(|_: &World, _: &Arc<Session>, _: &Connection| {}, CallbackPath::Proven, NONE)]
#[case::its_connection_closes(|_: &World, _: &Arc<Session>, on: &Connection| on.path.is_open.store(false, Ordering::Relaxed), CallbackPath::Down, DOWN)]
#[case::the_client_refuses(|_: &World, session: &Arc<Session>, _: &Connection| session.back().refused(), CallbackPath::Down, DOWN)]
#[case::it_answers_wrong(|_: &World, session: &Arc<Session>, _: &Connection| session.back().fault(), CallbackPath::Down, FAULT)]
#[case::another_connection_comes(|world: &World, session: &Arc<Session>, _: &Connection| bind(world, session, &Connection::new(2)), CallbackPath::Proven, NONE)]
#[case::it_refuses_and_answers(
    |_: &World, session: &Arc<Session>, _: &Connection| {
        session.back().refused();
        session.back().answered();
    },
    CallbackPath::Proven,
    NONE
)]
#[case::it_refuses_and_wants_another_program(
    |_: &World, session: &Arc<Session>, _: &Connection| {
        session.back().refused();
        session.control_backchannel(&BackchannelCtl4Args { cb_program: 5, sec_parms: vec![] }).unwrap();
        assert!(session.back().wants_probe());
    },
    CallbackPath::Unproven,
    NONE
)]
#[case::a_fault_lasts(
    |world: &World, session: &Arc<Session>, _: &Connection| {
        session.back().fault();
        session.back().answered();
        bind(world, session, &Connection::new(2));
    },
    CallbackPath::Down,
    FAULT
)]
fn a_backchannel_stands(
    #[case] change: fn(&World, &Arc<Session>, &Connection),
    #[case] expected: CallbackPath,
    #[case] flags: SequenceStatus,
) {
    let world = World::new();
    let connection = Connection::new(1);
    let (session, _) = create(&world, &connection, |_| {});
    session.back().probed();
    change(&world, &session, &connection);
    session.back().path();
    world.core.check_invariants();
    assert_eq!((session.client().callback_path(), status(&session)), (expected, flags));
}

#[test]
fn the_end_of_a_connection_is_noticed() {
    let world = World::new();
    let [first, second, third] = [1, 2, 3].map(Connection::new);
    let (session, _) = create(&world, &first, |_| {});
    bind(&world, &session, &second);
    drop(first);
    assert_eq!(status(&session), NONE, "there is another");
    drop(second);
    assert_eq!(status(&session), DOWN);
    assert_eq!(session.take_back_slot().unwrap_err(), Unavailable::NoConnection);
    bind(&world, &session, &third);
    assert_eq!((status(&session), session.client().callback_path()), (NONE, CallbackPath::Unproven));
}

#[test]
fn the_newest_connection_is_called_over() {
    let world = World::with_limits(SessionLimits { back_connections: 2, ..SessionLimits::default() });
    let connections = [1, 2, 3].map(Connection::new);
    let (session, _) = create(&world, &connections[0], |_| {});
    connections[1..].iter().for_each(|connection| bind(&world, &session, connection));
    let over = |tried: &[u64]| {
        let tried: Vec<_> = tried.iter().copied().map(ConnectionId).collect();
        session.back().connection(&tried).map(|path| path.id().0)
    };
    assert_eq!(over(&[]), Ok(3));
    assert_eq!(over(&[3]), Ok(2));
    assert_eq!(over(&[3, 2]), Err(Unavailable::NoConnection), "the first had to make room");
    connections[2].path.is_open.store(false, Ordering::Relaxed);
    assert_eq!(over(&[]), Ok(2));
}

#[test]
fn a_session_that_ends_has_no_backchannel() {
    let world = World::new();
    let connection = Connection::new(1);
    let (session, _) = create(&world, &connection, |_| {});
    session.back().probed();
    let guard = session.take_back_slot().unwrap();
    world.core.destroy_session(session.id(), &connection.sessions, Within::Nothing).unwrap();
    assert!(session.back().is_over());
    assert_eq!(session.take_back_slot().unwrap_err(), Unavailable::ForGood);
    assert!(session.back().connection(&[]).is_err());
    assert_eq!(session.client().status(), SequenceStatus::CB_PATH_DOWN, "in its other sessions");
    drop(guard);
    session.back().check();
}

/// No more callbacks at a time than the client and the server want.
#[rstest]
#[case::of_the_client(2, 16, 2)]
#[case::of_the_server(8, 3, 3)]
fn slots_are_limited(#[case] max_requests: u32, #[case] back_slots: u32, #[case] expected: usize) {
    let world = World::with_limits(SessionLimits { back_slots, ..SessionLimits::default() });
    let connection = Connection::new(1);
    let (session, _) = create(&world, &connection, |args| args.back_channel.max_requests = max_requests);
    let guards: Vec<_> = std::iter::from_fn(|| session.take_back_slot().ok()).collect();
    assert_eq!(guards.len(), expected);
    assert_eq!(session.take_back_slot().unwrap_err(), Unavailable::NoSlot);
    world.core.check_invariants();
    drop(guards);
    assert!(session.take_back_slot().is_ok());
}

#[test]
fn a_credential_is_chosen_anew_only_from_a_choice() {
    let world = World::new();
    let connection = Connection::new(1);
    let sys = AuthSysParms { stamp: 1, machine_name: "client".into(), uid: 2, gid: 3, gids: Gids::default() };
    let (session, _) =
        create(&world, &connection, |args| args.sec_parms = vec![CallbackSecParms4::Sys(sys.clone())]);
    let control = |cb_program, sec_parms| {
        session.control_backchannel(&BackchannelCtl4Args { cb_program, sec_parms }).unwrap();
        let addressee = session.back().addressee();
        (addressee.program, addressee.credential)
    };
    assert_eq!(control(8, vec![]), (8, CallbackCredential::Sys(sys)));
    assert_eq!(control(9, vec![CallbackSecParms4::None(())]), (9, CallbackCredential::None));
}
