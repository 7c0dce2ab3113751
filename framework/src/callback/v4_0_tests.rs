//! Origin: own scenarios. RFC: 7530 sections 3.3.3, 10.2.1 and 17.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::callback::Rejection;
use crate::client::{ClientName, Protocol, UserId};
use crate::clock::Timestamp;
use crate::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_OP_ILLEGAL, OpaqueId, Status,
};
use crate::rpc::{AuthFlavor, BoxFuture, ConnectionId};

/// What becomes of one call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    Fails(CallError),
    /// The connection ends, and it fails.
    Cut,
    Never,
}

/// A network with the client at its other end.
#[derive(Default)]
struct Network {
    refuses: AtomicBool,
    dialed: Mutex<Vec<SocketAddr>>,
    open: AtomicUsize,
    calls: Mutex<Vec<CallbackCall>>,
    fates: Mutex<VecDeque<Fate>>,
}

#[derive(Clone, Default)]
struct Wire(Arc<Network>);

struct Line {
    wire: Wire,
    is_open: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.wire.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Dialer for Wire {
    fn dial(&self, addr: SocketAddr) -> BoxFuture<'static, io::Result<Arc<dyn CallPath>>> {
        let wire = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            wire.0.dialed.lock().push(addr);
            if wire.0.refuses.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            wire.0.open.fetch_add(1, Ordering::SeqCst);
            let line: Arc<dyn CallPath> = Arc::new(Line { wire, is_open: Arc::new(AtomicBool::new(true)) });
            Ok(line)
        })
    }
}

impl CallPath for Line {
    fn call(&self, call: CallbackCall) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let (network, is_open) = (Arc::clone(&self.wire.0), Arc::clone(&self.is_open));
        Box::pin(async move {
            let procedure = call.procedure;
            network.calls.lock().push(call);
            let fate = network.fates.lock().pop_front();
            match fate.unwrap_or(Fate::Answered) {
                Fate::Answered if procedure == CB_NULL => Ok(Bytes::new()),
                Fate::Answered => Ok(answer(NFS4_OK, vec![CbRes::RecallAny(Ok(()))])),
                Fate::Fails(error) => Err(error),
                Fate::Cut => {
                    is_open.store(false, Ordering::SeqCst);
                    Err(CallError::Disconnected)
                }
                Fate::Never => std::future::pending().await,
            }
        })
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    fn peer(&self) -> SocketAddr {
        ADDR
    }

    fn id(&self) -> ConnectionId {
        ConnectionId(0)
    }
}

const ADDR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 2049);

fn client() -> Arc<Client> {
    let name = ClientName {
        protocol: Protocol::V4_0,
        owner: OpaqueId::from(&b"client"[..]),
        verifier: [0; 8],
        user: UserId { flavor: AuthFlavor::Sys, uid: 0 },
    };
    Arc::new(Client::new(ClientId(1), name, Duration::from_secs(90), Timestamp::default()))
}

fn path_of(client: &Arc<Client>, addr: Option<SocketAddr>) -> DialedPath {
    let to = Destination { addr, program: 0x4000_0005, ident: 9, credential: CallbackCredential::None };
    DialedPath::new(client.clone(), to)
}

fn opened() -> (Arc<Client>, DialedPath, Wire) {
    let client = client();
    let path = path_of(&client, Some(ADDR));
    path.open();
    (client, path, Wire::default())
}

fn op() -> CbArgs {
    CbArgs::RecallAny(crate::proto::CbRecallAny4Args {
        objects_to_keep: 0,
        type_mask: crate::attr::Bitmap::default(),
    })
}

fn answer(status: Status, ops: Vec<CbRes>) -> Bytes {
    encode_to_bytes(&CbCompound4Res { status, tag: Utf8::default(), ops })
}

#[tokio::test]
async fn the_client_is_called_as_it_said() {
    let (_, path, wire) = opened();
    assert_eq!(path.call_back(&wire, op()).await, Ok(CbRes::RecallAny(Ok(()))));
    assert_eq!(path.probe(&wire).await, Ok(()));
    let calls = wire.0.calls.lock();
    let of = |call: &CallbackCall| (call.program, call.version, call.procedure);
    assert_eq!(calls.iter().map(of).collect::<Vec<_>>(), [(0x4000_0005, 1, 1), (0x4000_0005, 1, 0)]);
    let compound: CbCompound4Args = decode_all(&calls[0].args).unwrap();
    assert_eq!((compound.minorversion, compound.callback_ident, compound.ops), (0, 9, vec![op()]));
    assert!(calls[1].args.is_empty());
    assert_eq!(*wire.0.dialed.lock(), [ADDR], "over one connection");
}

#[rstest]
#[case::answered(Fate::Answered, Ok(()), CallbackPath::Proven)]
#[case::refused(
    Fate::Fails(CallError::Rejected(Rejection::ProgUnavail)),
    Err(CallbackError::Rejected(Rejection::ProgUnavail)),
    CallbackPath::Down
)]
#[case::nonsense(Fate::Fails(CallError::Malformed), Err(CallbackError::Fault), CallbackPath::Down)]
#[case::ended(Fate::Cut, Err(CallbackError::Lost), CallbackPath::Down)]
#[case::too_many_calls(Fate::Fails(CallError::Busy), Err(CallbackError::Busy), CallbackPath::Unproven)]
#[tokio::test]
async fn what_a_probe_finds(
    #[case] fate: Fate,
    #[case] expected: Result<(), CallbackError>,
    #[case] standing: CallbackPath,
) {
    let (client, path, wire) = opened();
    assert_eq!(client.callback_path(), CallbackPath::Unproven);
    wire.0.fates.lock().push_back(fate);
    assert_eq!(path.probe(&wire).await, expected);
    assert_eq!(client.callback_path(), standing);
    // Whatever it was, what is answered proves the way again.
    assert_eq!(path.call_back(&wire, op()).await, Ok(CbRes::RecallAny(Ok(()))));
    assert_eq!(client.callback_path(), CallbackPath::Proven);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_made_again() {
    let (client, path, wire) = opened();
    path.probe(&wire).await.unwrap();
    wire.0.fates.lock().push_back(Fate::Cut);
    path.probe(&wire).await.unwrap();
    assert_eq!((wire.0.dialed.lock().len(), wire.0.calls.lock().len()), (2, 3));
    assert_eq!(client.callback_path(), CallbackPath::Proven);
    // And no more than once for a call.
    wire.0.fates.lock().extend([Fate::Cut, Fate::Cut]);
    assert_eq!(path.probe(&wire).await, Err(CallbackError::Lost));
    assert_eq!(client.callback_path(), CallbackPath::Down);
    assert_eq!(wire.0.dialed.lock().len(), 3);
}

#[tokio::test]
async fn a_client_that_does_not_listen_is_down_until_it_does() {
    let (client, path, wire) = opened();
    wire.0.refuses.store(true, Ordering::SeqCst);
    assert_eq!(path.call_back(&wire, op()).await, Err(CallbackError::Lost));
    assert_eq!(client.callback_path(), CallbackPath::Down);
    wire.0.refuses.store(false, Ordering::SeqCst);
    path.probe(&wire).await.unwrap();
    assert_eq!(client.callback_path(), CallbackPath::Proven);
}

#[tokio::test]
async fn calls_at_the_same_time_share_a_connection_that_ends_with_the_path() {
    let (_, path, wire) = opened();
    let (first, second, third) =
        tokio::join!(path.probe(&wire), path.call_back(&wire, op()), path.call_back(&wire, op()));
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!((wire.0.dialed.lock().len(), wire.0.open.load(Ordering::SeqCst)), (1, 1));
    drop(path);
    assert_eq!(wire.0.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_without_an_address_has_no_path() {
    let client = client();
    let path = path_of(&client, None);
    path.open();
    let wire = Wire::default();
    assert!(!path.wants_probe());
    assert_eq!(path.call_back(&wire, op()).await, Err(CallbackError::NoPath));
    assert_eq!(client.callback_path(), CallbackPath::None);
    assert!(wire.0.dialed.lock().is_empty());
}

#[tokio::test]
async fn an_update_takes_the_place_of_the_path_before() {
    let (client, old, wire) = opened();
    old.probe(&wire).await.unwrap();
    let new = path_of(&client, Some(ADDR));
    // Before it is confirmed it is none.
    new.probe(&wire).await.unwrap();
    assert_eq!(client.callback_path(), CallbackPath::Proven);
    new.open();
    old.close();
    assert_eq!(client.callback_path(), CallbackPath::Unproven);
    // What was under way over the old one says nothing about the new one.
    old.probe(&wire).await.unwrap();
    assert_eq!(client.callback_path(), CallbackPath::Unproven);
    new.has_failed();
    assert_eq!(client.callback_path(), CallbackPath::Down);
    // An address that is none, of a client that had one.
    let none = path_of(&client, None);
    none.open();
    new.close();
    assert_eq!(client.callback_path(), CallbackPath::Down);
}

#[test]
fn a_probe_is_wanted_once_until_it_is_over() {
    let (_, path, wire) = opened();
    assert!(path.wants_probe());
    assert!(!path.wants_probe());
    wire.0.fates.lock().extend([Fate::Never, Fate::Answered]);
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut probe = pin!(path.probe(&wire));
        (0..10).for_each(|_| assert!(probe.as_mut().poll(&mut cx).is_pending()));
        assert!(!path.wants_probe());
    }
    assert!(path.wants_probe(), "it was given up");
    assert!(matches!(pin!(path.probe(&wire)).poll(&mut cx), Poll::Ready(Ok(()))));
    assert!(!path.wants_probe(), "it is proven");
    path.has_failed();
    assert!(path.wants_probe());
}

#[rstest]
#[case::done(NFS4_OK, vec![CbRes::Recall(Ok(()))], Ok(CbRes::Recall(Ok(()))))]
#[case::done_with_an_error(
    NFS4ERR_BAD_STATEID,
    vec![CbRes::Recall(Err(NFS4ERR_BAD_STATEID))],
    Ok(CbRes::Recall(Err(NFS4ERR_BAD_STATEID)))
)]
#[case::not_carried_out(NFS4ERR_BADXDR, vec![], Err(CallbackError::Refused(NFS4ERR_BADXDR)))]
#[case::unknown(
    NFS4ERR_OP_ILLEGAL,
    vec![CbRes::Illegal(Err(NFS4ERR_OP_ILLEGAL))],
    Err(CallbackError::Refused(NFS4ERR_OP_ILLEGAL))
)]
#[case::nothing(NFS4_OK, vec![], Err(CallbackError::Fault))]
#[case::another_operation(NFS4_OK, vec![CbRes::Notify(Ok(()))], Err(CallbackError::Fault))]
#[case::another_status(NFS4ERR_BADXDR, vec![CbRes::Recall(Ok(()))], Err(CallbackError::Fault))]
#[case::too_much(NFS4_OK, vec![CbRes::Recall(Ok(())), CbRes::Recall(Ok(()))], Err(CallbackError::Fault))]
fn what_an_answer_says(
    #[case] status: Status,
    #[case] ops: Vec<CbRes>,
    #[case] expected: Result<CbRes, CallbackError>,
) {
    assert_eq!(read(&answer(status, ops), CbOp::Recall), expected);
    assert_eq!(read(&Bytes::from_static(b"no"), CbOp::Recall), Err(CallbackError::Fault));
}
