//! Origin: the statements of the RFC, one by one; the cases of SETCLIENTID are those of the framework's own table.
//! RFC: 7530 sections 9.1.1, 9.1.2, 16.28, 16.33 and 16.34.
//!
//! Not reached: LEASE_MOVED (nothing migrates), RESOURCE (limits of compounds are in
//! `admission`), SERVERFAULT. CB_PATH_DOWN is in the tests of `callbacks`.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{
    ClientAddr4, ClientId, Minor, NFS4_OK, NFS4ERR_ACCESS, NFS4ERR_BADXDR, NFS4ERR_CLID_INUSE, NFS4ERR_DELAY,
    NFS4ERR_EXPIRED, NFS4ERR_STALE_CLIENTID, Status,
};
use dittofs_framework::session::SessionLimits;
use dittofs_framework::testing::Compound;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_ops::setclientid::{SetClientid, SetClientid4ResOk};
use dittofs_ops::setclientid_confirm::{SetClientidConfirm, SetClientidConfirm4Args};
use dittofs_tests::{BOTH, Client, ClientV4_0, TestServer, TestServerOptions, cut_off, setclientid_args};
use rstest::rstest;

use crate::world::{World, status};

async fn set(client: &mut Client, name: &str, verifier: [u8; 8]) -> SetClientid4ResOk {
    let compound = Compound::new(Minor::V0).op::<SetClientid>(&setclientid_args(name, verifier));
    client.run(&compound).await.ok().get::<SetClientid>()
}

async fn confirm(client: &mut Client, set: &SetClientid4ResOk) -> Status {
    let args =
        SetClientidConfirm4Args { clientid: set.clientid, setclientid_confirm: set.setclientid_confirm };
    client.run(&Compound::new(Minor::V0).op::<SetClientidConfirm>(&args)).await.status
}

async fn renew(client: &mut Client, clientid: ClientId) -> Status {
    client.run(&Compound::new(Minor::V0).op::<Renew>(&Renew4Args { clientid })).await.status
}

#[tokio::test]
async fn a_client_becomes_known() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let answer = set(&mut client, "x", [1; 8]).await;
    assert_eq!(renew(&mut client, answer.clientid).await, NFS4ERR_STALE_CLIENTID);
    assert_eq!(confirm(&mut client, &answer).await, NFS4_OK);
    assert_eq!(renew(&mut client, answer.clientid).await, NFS4_OK);
    server.stop().await;
}

/// The same name in the other protocol is another client.
#[tokio::test]
async fn names_of_sessions_are_others() {
    let mut world = World::new().await;
    let mut session = world.session(Minor::V1).await;
    let named = ClientV4_0::connect(&world.server, "session").await;
    assert_ne!(named.clientid, session.clientid);
    session.sequence().await;
    assert_eq!(renew(&mut world.client.client, session.clientid).await, NFS4ERR_STALE_CLIENTID);
    world.stop().await;
}

#[tokio::test]
async fn an_update_of_the_callback_keeps_the_state() {
    let mut world = World::new().await;
    let clientid = world.client.clientid;
    let mut again = Client::connect(&world.server).await;
    let answer = set(&mut again, "client", [1; 8]).await;
    assert_eq!(answer.clientid, clientid);
    assert_eq!(confirm(&mut again, &answer).await, NFS4_OK);
    let file = world.file.clone();
    assert!(world.client.close(&file, "opener").await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_restart_drops_the_state() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let clientid = world.client.clientid;
    let mut again = Client::connect(&world.server).await;
    let answer = set(&mut again, "client", [2; 8]).await;
    assert_ne!(answer.clientid, clientid);
    assert!(world.server.service.state().has_state(clientid), "not before the confirmation");
    assert_eq!(confirm(&mut again, &answer).await, NFS4_OK);
    assert!(!world.server.service.state().has_state(clientid));
    assert_eq!(world.client.close(&file, "opener").await, Err(NFS4ERR_EXPIRED));
    assert_eq!(renew(&mut again, clientid).await, NFS4ERR_STALE_CLIENTID);
    world.stop().await;
}

/// "The server MUST NOT cancel a client's leased state if the principal … is not the same."
#[tokio::test]
async fn a_name_is_in_use() {
    let mut world = World::new().await;
    let mut thief = Client::connect(&world.server).await;
    thief.act_as(7, 7, &[]);
    let compound = Compound::new(Minor::V0).op::<SetClientid>(&setclientid_args("client", [2; 8]));
    let refused = thief.run(&compound).await;
    assert_eq!(refused.status, NFS4ERR_CLID_INUSE);
    assert_eq!(&*refused.error_body::<ClientAddr4>().addr, b"127.0.0.1.156.64");
    let file = world.file.clone();
    assert!(world.client.close(&file, "opener").await.is_ok());
    // It holds nothing now.
    let answer = set(&mut thief, "client", [2; 8]).await;
    assert_eq!(confirm(&mut thief, &answer).await, NFS4_OK);
    world.stop().await;
}

#[tokio::test]
async fn a_confirmation_by_another_is_refused() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let answer = set(&mut client, "x", [1; 8]).await;
    client.act_as(7, 7, &[]);
    assert_eq!(confirm(&mut client, &answer).await, NFS4ERR_CLID_INUSE);
    let stale = SetClientid4ResOk { setclientid_confirm: [9; 8], ..answer };
    assert_eq!(confirm(&mut client, &stale).await, NFS4ERR_STALE_CLIENTID);
    server.stop().await;
}

#[tokio::test]
async fn clients_are_limited() {
    let sessions = SessionLimits { clients: 1, ..SessionLimits::default() };
    let limits = Limits { sessions, ..Limits::default() };
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut client = Client::connect(&server).await;
    set(&mut client, "never confirmed", [1; 8]).await;
    let one = set(&mut client, "one", [1; 8]).await;
    assert_eq!(confirm(&mut client, &one).await, NFS4_OK);
    let compound = Compound::new(Minor::V0).op::<SetClientid>(&setclientid_args("two", [1; 8]));
    assert_eq!(client.run(&compound).await.status, NFS4ERR_DELAY);
    server.stop().await;
}

/// The principal of SETCLIENTID renews, and whoever has a file open.
#[rstest]
#[case::the_clients(0, NFS4_OK)]
#[case::an_openers(7, NFS4_OK)]
#[case::anybodys(8, NFS4ERR_ACCESS)]
#[tokio::test]
async fn renewal_is_for(#[case] uid: u32, #[case] want: Status) {
    let mut world = World::new().await;
    world.client.client.act_as(7, 7, &[]);
    world.client.open_as("file", 1, 0, "another opener").await;
    world.client.client.act_as(uid, uid, &[]);
    let clientid = world.client.clientid;
    assert_eq!(renew(&mut world.client.client, clientid).await, want);
    world.stop().await;
}

#[rstest]
#[case::zero(ClientId(0))]
#[case::all_ones(ClientId(u64::MAX))]
#[tokio::test]
async fn an_unknown_clientid_is_stale(#[case] clientid: ClientId) {
    let mut world = World::new().await;
    assert_eq!(renew(&mut world.client.client, clientid).await, NFS4ERR_STALE_CLIENTID);
    let mut args = world.client.open_args("file", BOTH, 0, "o", dittofs_tests::unchecked());
    args.owner.clientid = clientid;
    assert_eq!(status(&world.client.try_open(&args).await), NFS4ERR_STALE_CLIENTID);
    world.stop().await;
}

#[tokio::test]
async fn arguments_that_end_too_early_are_refused() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server).await;
    let whole = encode_to_bytes(&setclientid_args("name", [1; 8]));
    for args in cut_off(&whole) {
        let compound = Compound::new(Minor::V0).op_with_args::<SetClientid>(&args);
        assert_eq!(client.run(&compound).await.status, NFS4ERR_BADXDR, "{} bytes", args.len());
    }
    for len in [0, 4, 8, 12] {
        let compound = Compound::new(Minor::V0).op_with_args::<SetClientidConfirm>(&vec![0; len]);
        assert_eq!(client.run(&compound).await.status, NFS4ERR_BADXDR, "{len} bytes");
    }
    let compound = Compound::new(Minor::V0).op_with_args::<Renew>(&[0; 4]);
    assert_eq!(client.run(&compound).await.status, NFS4ERR_BADXDR);
    server.stop().await;
}
