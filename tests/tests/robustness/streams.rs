//! Origin: streams that are no records, and records that never end.
//! RFC: 5531 section 11.

use dittofs_framework::proto::Minor;
use dittofs_framework::server::ServerLimits;
use dittofs_framework::testing::{Compound, RpcClient, encode_call, fragments};
use dittofs_ops::exchange_id::ExchangeId;
use dittofs_tests::*;
use rstest::rstest;

use crate::{is_well, listen, server};

/// Sends a stream to its end, as far as the server takes it, and hears the server out.
async fn pour(server: &TestServer, stream: &[u8]) -> usize {
    let mut rpc = RpcClient::connect(server.addr).await.unwrap();
    // The server may close the connection before the end of the stream.
    let taken = rpc.write_raw(stream).await.is_ok() && rpc.finish_sending().await.is_ok();
    if taken { listen(&mut rpc).await } else { 0 }
}

fn call() -> Vec<u8> {
    let compound = Compound::new(Minor::V1).op::<ExchangeId>(&exchange_id_args("client", [1; 8]));
    let credential = dittofs_framework::testing::RpcCredential::sys(0, 0, &[1, 2, 3]);
    encode_call(7, Client::COMPOUND, &credential, &compound.encode()).to_vec()
}

#[rstest]
#[case::short(1, 64)]
#[case::some(2, 1000)]
#[case::long(3, 20_000)]
#[tokio::test]
async fn random_bytes(#[case] seed: u64, #[case] most: usize) {
    let server = server().await;
    let mut random = Random::new(seed);
    for _ in 0..200 {
        let len = random.below(most);
        pour(&server, &random.bytes(len)).await;
    }
    is_well(&server).await;
    server.stop().await;
}

/// Random bytes as a record: what is no RPC message closes the connection, what is one gets an answer.
#[rstest]
#[case::of_one_fragment(4, usize::MAX)]
#[case::of_small_fragments(5, 7)]
#[tokio::test]
async fn random_records(#[case] seed: u64, #[case] fragment: usize) {
    let server = server().await;
    let mut random = Random::new(seed);
    for _ in 0..200 {
        let len = 1 + random.below(600);
        let mut message = random.bytes(len);
        // Half of them are calls, as far as the second word says.
        if random.below(2) == 0 && len >= 8 {
            message[4..8].fill(0);
        }
        pour(&server, &fragments(&message, fragment)).await;
    }
    is_well(&server).await;
    server.stop().await;
}

/// A good call with some of its bytes changed.
#[tokio::test]
async fn damaged_calls() {
    let server = server().await;
    let mut random = Random::new(6);
    for _ in 0..1500 {
        let mut message = call();
        for _ in 0..=random.below(4) {
            let at = random.below(message.len());
            message[at] = random.one_of(&[0, 1, 2, 0x7f, 0x80, 0xff]);
        }
        pour(&server, &fragments(&message, usize::MAX)).await;
    }
    is_well(&server).await;
    server.stop().await;
}

/// Every word of a good call replaced by one that is a large length, and by 0.
#[tokio::test]
async fn every_word_of_a_call() {
    let server = server().await;
    for at in (0..call().len()).step_by(4) {
        for word in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, u32::MAX] {
            let mut message = call();
            message[at..at + 4].copy_from_slice(&word.to_be_bytes());
            pour(&server, &fragments(&message, usize::MAX)).await;
        }
    }
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_record_that_is_cut_off_anywhere_gets_no_answer() {
    let server = server().await;
    let record = fragments(&call(), usize::MAX);
    for len in 0..record.len() {
        assert_eq!(pour(&server, &record[..len]).await, 0, "{len} of {}", record.len());
    }
    assert_eq!(pour(&server, &record).await, 1);
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_cut_off_anywhere_is_answered_or_refused() {
    let server = server().await;
    let message = call();
    for len in 0..message.len() {
        let answers = pour(&server, &fragments(&message[..len], usize::MAX)).await;
        assert!(answers <= 1, "{len} of {}", message.len());
    }
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn fragments_of_any_size_make_the_same_call() {
    let server = server().await;
    for size in 1..=call().len() {
        assert_eq!(pour(&server, &fragments(&call(), size)).await, 1, "{size}");
    }
    server.stop().await;
}

/// A fragment of 2^31-1 bytes, the largest that a header can announce; one of as many to which others follow; and one that is a
/// byte over the limit.
#[rstest]
#[case::largest(u32::MAX)]
#[case::largest_and_more(0x7fff_ffff)]
#[case::a_byte_too_much(0x8000_0000 + (1 << 20) + (64 << 10) + 1)]
#[tokio::test]
async fn a_header_that_announces_too_much(#[case] header: u32) {
    let server = server().await;
    let mut rpc = RpcClient::connect(server.addr).await.unwrap();
    rpc.write_raw(&header.to_be_bytes()).await.unwrap();
    // The server need not see more of it to close the connection.
    assert_eq!(listen(&mut rpc).await, 0);
    is_well(&server).await;
    server.stop().await;
}

/// Fragments to which others follow, for ever.
#[rstest]
#[case::empty(0, 5000)]
#[case::of_one_byte(1, 5000)]
#[case::of_many_bytes(64 << 10, 18)]
#[tokio::test]
async fn a_record_that_never_ends(#[case] size: u32, #[case] count: usize) {
    assert!(count > ServerLimits::default().max_fragments || size > 1);
    let server = server().await;
    let mut rpc = RpcClient::connect(server.addr).await.unwrap();
    let mut fragment = size.to_be_bytes().to_vec();
    fragment.resize(4 + usize::try_from(size).unwrap(), 0);
    for _ in 0..count {
        if rpc.write_raw(&fragment).await.is_err() {
            break;
        }
    }
    assert_eq!(listen(&mut rpc).await, 0);
    is_well(&server).await;
    server.stop().await;
}
