//! Origin: COMPOUND's own arguments, of any value: tag, minor version, number of operations, and what stands for operations.
//! RFC: 8881 section 16.2.

use dittofs_framework::proto::*;
use dittofs_framework::testing::{Compound, RpcError};
use dittofs_framework::xdr::XdrReader;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::{Raw, is_well, server};

async fn run_raw(client: &mut Client, args: &[u8]) -> Result<bytes::Bytes, RpcError> {
    let credential = client.credential().clone();
    client.rpc().call(Client::COMPOUND, &credential, &Raw(args)).await
}

/// Whatever the arguments are: COMPOUND4res or GARBAGE_ARGS.
async fn is_answered(client: &mut Client, args: &[u8]) {
    match run_raw(client, args).await {
        Ok(body) => {
            let mut r = XdrReader::new(&body);
            let (_status, _tag, count) = (r.u32().unwrap(), r.opaque(u32::MAX).unwrap(), r.u32().unwrap());
            assert!(usize::try_from(count).unwrap() * 8 <= r.remaining());
        }
        Err(RpcError::GarbageArgs) => {}
        Err(error) => panic!("{error} for {args:02x?}"),
    }
}

#[rstest]
#[case::short(1, 40)]
#[case::long(2, 2000)]
#[tokio::test]
async fn random_arguments(#[case] seed: u64, #[case] most: usize) {
    let server = server().await;
    let mut client = Client::connect(&server).await;
    let mut random = Random::new(seed);
    for _ in 0..500 {
        let len = random.below(most);
        let args = random.bytes(len);
        is_answered(&mut client, &args).await;
    }
    is_well(&server).await;
    server.stop().await;
}

#[rstest]
#[tokio::test]
async fn random_operations(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let server = server().await;
    let mut client = Client::connect(&server).await;
    let mut random = Random::new(3);
    for _ in 0..1000 {
        let mut args =
            Compound::new(minor).claim_count(1 + u32::try_from(random.below(4)).unwrap()).encode().to_vec();
        let number = u32::try_from(random.below(80)).unwrap();
        args.extend(number.to_be_bytes());
        let len = random.below(200);
        args.extend(random.bytes(len));
        is_answered(&mut client, &args).await;
    }
    is_well(&server).await;
    server.stop().await;
}

/// More operations than there are bytes for; the largest number that can be claimed.
#[rstest]
#[case::one_too_many(3)]
#[case::many(1000)]
#[case::half_of_all(0x8000_0000)]
#[case::all(u32::MAX)]
#[tokio::test]
async fn operations_that_are_not_there(#[case] claimed: u32, #[values(Minor::V1, Minor::V2)] minor: Minor) {
    let server = server().await;
    let mut session = Client::connect(&server).await.session("client").await;
    session.minor = minor;
    let args = session.sequence_args(0);
    let compound = session.behind(&args, session.compound().op::<PutRootFh>(&())).claim_count(claimed);
    is_answered(&mut session.client, &compound.encode()).await;
    is_well(&server).await;
    server.stop().await;
}
