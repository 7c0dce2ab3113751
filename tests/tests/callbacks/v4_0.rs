//! Callbacks of minor version 0: the server connects to where SETCLIENTID says.
//!
//! Origin: own scenarios; pynfs DELEG9 (a callback server that moves).
//! RFC: 7530 sections 3.3.3, 10.2.1, 16.28, 16.33.4, 17 and 18.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use dittofs_framework::attr::Bitmap;
use dittofs_framework::callback::{CallbackAddresses, CallbackError, DialLimits};
use dittofs_framework::client::CallbackPath;
use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    AuthSysParms, CbArgs, CbClient4, CbOp, CbRecallAny4Args, CbRes, ClientAddr4, Gids, Minor,
    NFS4ERR_CB_PATH_DOWN, NfsClientId4,
};
use dittofs_framework::testing::{RpcCredential, RpcPeer};
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_ops::setclientid::SetClientid4Args;
use dittofs_tests::callbacks::{
    Answer, CallbackListener, Callbacks, DelegClient, Delegation, Hold, universal,
};
use dittofs_tests::*;
use rstest::rstest;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Waits for what other tasks do.
async fn reach(what: &str, mut reached: impl FnMut() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("not reached: {what}"));
}

fn path_of(server: &TestServer, client: &ClientV4_0) -> CallbackPath {
    server.service.v4_0().clients.get(client.clientid).unwrap().callback_path()
}

async fn reach_path(server: &TestServer, client: &ClientV4_0, path: CallbackPath) {
    reach(&format!("{path:?}"), || path_of(server, client) == path).await;
}

async fn establish(server: &TestServer, args: &SetClientid4Args) -> ClientV4_0 {
    ClientV4_0::establish_with(Client::connect(server).await, args).await
}

fn setclientid(name: &str, location: ClientAddr4) -> SetClientid4Args {
    SetClientid4Args {
        client: NfsClientId4 { verifier: [1; 8], id: name.into() },
        callback: CbClient4 { program: Callbacks::PROGRAM, location },
        callback_ident: Callbacks::IDENT,
    }
}

fn recall_any() -> CbArgs {
    CbArgs::RecallAny(CbRecallAny4Args { objects_to_keep: 0, type_mask: Bitmap::default() })
}

async fn call_back(server: &TestServer, client: &ClientV4_0) -> Result<CbRes, CallbackError> {
    let client = server.service.v4_0().clients.get(client.clientid).unwrap();
    server.service.call_back(&client, recall_any()).await
}

async fn renew(client: &mut ClientV4_0) -> dittofs_framework::proto::Status {
    let args = Renew4Args { clientid: client.clientid };
    client.run(client.compound().op::<Renew>(&args)).await.status
}

fn limits(change: impl FnOnce(&mut Limits)) -> TestServerOptions {
    let mut limits = Limits::default();
    change(&mut limits);
    TestServerOptions { limits, ..TestServerOptions::default() }
}

#[tokio::test]
async fn a_confirmed_address_is_tried_once_and_called_as_the_client_said() {
    let server = TestServer::start().await;
    let callbacks = Callbacks::new(0);
    let listener = CallbackListener::start(&callbacks).await;
    let args = listener.setclientid_args("client", [1; 8]);
    let client = establish(&server, &args).await;
    callbacks.wait_nulls(1).await;
    reach_path(&server, &client, CallbackPath::Proven).await;
    let parms =
        AuthSysParms { stamp: 0, machine_name: "nfs-server".into(), uid: 0, gid: 0, gids: Gids(Vec::new()) };
    callbacks.expect_credential(RpcCredential { flavor: 1, body: encode_to_bytes(&parms) });
    assert_eq!(call_back(&server, &client).await, Ok(CbRes::RecallAny(Ok(()))));
    // Program, version, ident and minor version are looked at there.
    callbacks.assert_sound();
    assert_eq!((callbacks.nulls(), callbacks.executed(CbOp::RecallAny), callbacks.refused()), (1, 1, 0));
    assert_eq!(listener.connections(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_the_credential_is_not_reached() {
    let server = TestServer::start().await;
    let client = DelegClient::of(&server, "client", Minor::V0).await;
    client.callbacks().expect_credential(RpcCredential::sys(99, 99, &[]));
    let dittofs_tests::callbacks::Wire::V4_0(wire) = &client.wire else { panic!("minor version 0") };
    reach_path(&server, wire, CallbackPath::Proven).await;
    assert!(matches!(call_back(&server, wire).await, Err(CallbackError::Rejected(_))));
    assert_eq!((client.callbacks().refused(), client.callbacks().executed(CbOp::RecallAny)), (1, 0));
    assert_eq!(path_of(&server, wire), CallbackPath::Down);
    server.stop().await;
}

/// A server that connects wherever it is told is at the service of others.
#[rstest]
#[case::of_another(ClientAddr4 { netid: "tcp".into(), addr: "127.0.0.2".into() }, CallbackAddresses::Own, CallbackPath::None)]
#[case::of_another_where_that_is_allowed(ClientAddr4 { netid: "tcp".into(), addr: "127.0.0.2".into() }, CallbackAddresses::Any, CallbackPath::Proven)]
#[case::none(ClientAddr4 { netid: "tcp".into(), addr: "0.0.0.0".into() }, CallbackAddresses::Any, CallbackPath::None)]
#[case::of_another_transport(ClientAddr4 { netid: "udp".into(), addr: "127.0.0.2".into() }, CallbackAddresses::Any, CallbackPath::None)]
#[tokio::test]
async fn which_addresses_are_connected_to(
    #[case] host: ClientAddr4,
    #[case] callback_addresses: CallbackAddresses,
    #[case] expected: CallbackPath,
) {
    let server =
        TestServer::start_with(TestServerOptions { callback_addresses, ..TestServerOptions::default() })
            .await;
    let callbacks = Callbacks::new(0);
    let listener = CallbackListener::start_at(&callbacks, SocketAddr::from(([127, 0, 0, 2], 0))).await;
    let port = listener.addr().port();
    let host_of = std::str::from_utf8(&host.addr.0).unwrap();
    let addr = format!("{host_of}.{}.{}", port >> 8, port & 0xff);
    let location = ClientAddr4 { addr: addr.as_str().into(), ..host };
    let client = establish(&server, &setclientid("client", location)).await;
    // Another one, which is tried after it.
    DelegClient::of(&server, "other", Minor::V0).await;
    if expected == CallbackPath::Proven {
        callbacks.wait_nulls(1).await;
    } else {
        assert_eq!(call_back(&server, &client).await, Err(CallbackError::NoPath));
    }
    reach_path(&server, &client, expected).await;
    assert_eq!(listener.connections(), usize::from(expected == CallbackPath::Proven));
    server.stop().await;
}

/// A port that nobody listens on.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_client_that_cannot_be_reached_works_without_callbacks_until_it_can() {
    let server = TestServer::start().await;
    let addr = nowhere().await;
    let mut client = establish(&server, &setclientid("client", universal(addr))).await;
    reach_path(&server, &client, CallbackPath::Down).await;
    // It holds no delegation, and so need not know.
    assert!(renew(&mut client).await.is_ok());
    let callbacks = Callbacks::new(0);
    let listener = CallbackListener::start_at(&callbacks, addr).await;
    // A RENEW has it tried again; the one before may still have.
    while path_of(&server, &client) != CallbackPath::Proven {
        assert!(renew(&mut client).await.is_ok());
    }
    assert_eq!(listener.connections(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_not_reached() {
    let server = TestServer::start_with(limits(|limits| {
        limits.callbacks.reply_timeout = Duration::from_millis(50);
    }))
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = establish(&server, &setclientid("client", universal(addr))).await;
    let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
    assert!(stream.read(&mut [0; 100]).await.unwrap() > 40, "CB_NULL");
    reach_path(&server, &client, CallbackPath::Down).await;
    assert_eq!(call_back(&server, &client).await, Err(CallbackError::TimedOut));
    server.stop().await;
}

#[tokio::test]
async fn a_client_whose_connections_end_is_called_over_a_new_one() {
    let server = TestServer::start().await;
    let callbacks = Callbacks::new(0);
    let listener = CallbackListener::start(&callbacks).await;
    let client = establish(&server, &listener.setclientid_args("client", [1; 8])).await;
    reach_path(&server, &client, CallbackPath::Proven).await;
    listener.close_connections().await;
    assert!(call_back(&server, &client).await.is_ok());
    callbacks.answer_once(CbOp::RecallAny, Answer::DropBefore);
    assert!(call_back(&server, &client).await.is_ok());
    assert_eq!(callbacks.executed(CbOp::RecallAny), 2);
    // Whoever ends every connection is not called for ever.
    callbacks.answer(CbOp::RecallAny, Answer::DropBefore);
    assert_eq!(call_back(&server, &client).await, Err(CallbackError::Lost));
    assert_eq!(path_of(&server, &client), CallbackPath::Down);
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_made_again() {
    let server = TestServer::start_with(limits(|limits| {
        limits.v4_0.dial = DialLimits { idle: Duration::from_millis(20), ..DialLimits::default() };
    }))
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let client = establish(&server, &setclientid("client", universal(addr))).await;
    let callbacks = Callbacks::new(0);
    for calls in 0..2 {
        let (peer, incoming) = RpcPeer::over(listener.accept().await.unwrap().0).unwrap();
        callbacks.serve(peer.clone(), incoming);
        reach("the call", || (callbacks.nulls(), callbacks.executed(CbOp::RecallAny)) == (1, calls)).await;
        reach("the end", || peer.is_closed()).await;
        if calls == 0 {
            let (service, client) =
                (server.service.clone(), server.service.v4_0().clients.get(client.clientid).unwrap());
            tokio::spawn(async move { service.call_back(&client, recall_any()).await });
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_update_moves_the_callbacks() {
    let server = TestServer::start().await;
    let (before, after) = (Callbacks::new(0), Callbacks::new(0));
    let (old, new) = (CallbackListener::start(&before).await, CallbackListener::start(&after).await);
    let first = establish(&server, &old.setclientid_args("client", [1; 8])).await;
    reach_path(&server, &first, CallbackPath::Proven).await;
    let updated = establish(&server, &new.setclientid_args("client", [1; 8])).await;
    assert_eq!(updated.clientid, first.clientid);
    after.wait_nulls(1).await;
    reach_path(&server, &updated, CallbackPath::Proven).await;
    assert!(call_back(&server, &updated).await.is_ok());
    assert_eq!((before.executed(CbOp::RecallAny), after.executed(CbOp::RecallAny)), (0, 1));
    // One that leads nowhere takes its place as well, once it is confirmed.
    let nowhere = universal(nowhere().await);
    establish(&server, &setclientid("client", nowhere)).await;
    reach_path(&server, &updated, CallbackPath::Down).await;
    assert_eq!(call_back(&server, &updated).await, Err(CallbackError::Lost));
    server.stop().await;
}

/// A delegation of `file`. The first open of an owner, which is to be confirmed, brings none.
async fn read_delegation(client: &mut DelegClient) -> Delegation {
    drop(client.open_read("first").await);
    client.open_read("file").await.read_delegation()
}

/// RFC 7530 section 16.28.5: the lease is renewed all the same.
#[tokio::test]
async fn renew_says_that_callbacks_do_not_come_through() {
    let lease = Duration::from_secs(90);
    let server = TestServer::start().await;
    let mut client = DelegClient::of(&server, "client", Minor::V0).await;
    reach("a delegation", || {
        server.service.v4_0().clients.clients()[0].callback_path() == CallbackPath::Proven
    })
    .await;
    let held = read_delegation(&mut client).await;
    assert_eq!(client.renew().await.err(), None);
    let known = server.service.v4_0().clients.clients().remove(0);
    client.callbacks().answer(CbOp::RecallAny, Answer::DropBefore);
    assert_eq!(server.service.call_back(&known, recall_any()).await, Err(CallbackError::Lost));
    server.clock.advance(lease);
    assert_eq!(client.renew().await.err(), Some(NFS4ERR_CB_PATH_DOWN));
    assert_eq!(known.idle(dittofs_framework::clock::Clock::now(&*server.clock)), Duration::ZERO);
    // It has the path tried again, which CB_NULL finds to be good.
    reach("Proven", || known.callback_path() == CallbackPath::Proven).await;
    assert_eq!(client.renew().await.err(), None);
    client.give_back(&held).await;
    server.stop().await;
}

#[rstest]
#[case::at_once(0)]
#[case::of_a_client_that_is_lost_for_a_moment(4)]
#[tokio::test]
async fn a_delegation_is_recalled(#[case] lost: usize) {
    let server = TestServer::start().await;
    let mut holder = DelegClient::of(&server, "holder", Minor::V0).await;
    let mut other = DelegClient::of(&server, "other", Minor::V0).await;
    reach("both", || {
        let clients = server.service.v4_0().clients.clients();
        clients.iter().all(|client| client.callback_path() == CallbackPath::Proven)
    })
    .await;
    let held = read_delegation(&mut holder).await;
    for _ in 0..lost {
        holder.callbacks().answer_once(CbOp::Recall, Answer::DropBefore);
    }
    let (opened, ()) = tokio::join!(other.open_write("file").into_future(), async {
        for _ in 0..lost {
            holder.callbacks().recall().await;
        }
        holder.give_back_when_recalled(&held).await;
    });
    drop(opened);
    holder.callbacks().assert_sound();
    assert_eq!(holder.callbacks().executed(CbOp::Recall), 1);
    server.stop().await;
}

/// RFC 7530 section 3.1.1: nothing is sent again over a connection that lasts.
#[tokio::test]
async fn a_client_that_takes_its_time_is_asked_once() {
    let server = TestServer::start_with(limits(|limits| {
        limits.callbacks.reply_timeout = Duration::from_millis(300);
        limits.callbacks.retry_after = Duration::ZERO;
    }))
    .await;
    let mut holder = DelegClient::of(&server, "holder", Minor::V0).await;
    let mut other = DelegClient::of(&server, "other", Minor::V0).await;
    let known = server.service.v4_0().clients.clients();
    let known = known.into_iter().find(|client| &client.name().owner.0[..] == b"holder").unwrap();
    reach("Proven", || known.callback_path() == CallbackPath::Proven).await;
    let held = read_delegation(&mut holder).await;
    let answer = Hold::default();
    holder.callbacks().answer_once(CbOp::Recall, Answer::Held(answer.clone()));
    let (opened, ()) = tokio::join!(other.open_write("file").into_future(), async {
        reach("Down", || known.callback_path() == CallbackPath::Down).await;
        assert_eq!(holder.renew().await.err(), Some(NFS4ERR_CB_PATH_DOWN));
        answer.release();
        reach("Proven", || known.callback_path() == CallbackPath::Proven).await;
        holder.give_back(&held).await;
    });
    drop(opened);
    assert_eq!(holder.callbacks().arrived(CbOp::Recall), 1);
    server.stop().await;
}
