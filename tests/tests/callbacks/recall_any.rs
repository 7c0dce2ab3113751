//! When there are nearly as many delegations as there may be, clients are asked for some of them.
//!
//! Origin: own.
//! RFC: 8881 sections 10.2 and 20.6.

use dittofs_framework::compound::Limits;
use dittofs_framework::proto::{CbArgs, CbOp, Minor, RCA4_TYPE_MASK_RDATA_DLG, RCA4_TYPE_MASK_WDATA_DLG};
use dittofs_tests::callbacks::DelegClient;
use dittofs_tests::{TestServer, TestServerOptions};
use rstest::rstest;

/// As many delegations as there may be.
const MOST: usize = 16;

#[rstest]
#[case::few(MOST / 2, None)]
#[case::all(MOST, Some(MOST * 3 / 4))]
#[tokio::test]
async fn a_client_is_asked_for_some_when_there_are_many(
    #[case] held: usize,
    #[case] keep: Option<usize>,
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut limits = Limits::default();
    limits.state.delegations_total = MOST;
    let server = TestServer::start_with(TestServerOptions { limits, ..TestServerOptions::default() }).await;
    let mut client = DelegClient::of(&server, "client", minor).await;
    let mut delegations = Vec::new();
    for number in 0..held {
        delegations
            .push(client.open_write(&format!("file {number}")).wanting_write().await.write_delegation());
    }
    server.service.reap().await;
    if let Some(keep) = keep {
        let CbArgs::RecallAny(asked) = client.callbacks().next(CbOp::RecallAny).await.args else { panic!() };
        assert_eq!(usize::try_from(asked.objects_to_keep), Ok(keep));
        assert!(asked.type_mask.contains(RCA4_TYPE_MASK_RDATA_DLG));
        assert!(asked.type_mask.contains(RCA4_TYPE_MASK_WDATA_DLG));
        for delegation in delegations.drain(keep..) {
            client.give_back(&delegation).await;
        }
        client.open_write("another").wanting_write().await.write_delegation();
    }
    client.renew().await.unwrap();
    assert_eq!(client.callbacks().arrived(CbOp::RecallAny), usize::from(keep.is_some()));
    assert_eq!(client.callbacks().arrived(CbOp::Recall), 0);
    server.stop().await;
}
