//! Record marking (RFC 5531 section 11) on the wire: every way to cut a record, and every way to abuse it.
//!
//! Origin: own tables.
//! RFC: 5531 section 11.

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::testing::{RpcClient, RpcError};

#[rstest]
#[case::of_one_byte(1, 100)]
#[case::of_three_bytes(3, 1_000)]
#[case::of_2048_bytes(2048, 100_000)]
#[case::of_a_page(4096, 1 << 20)]
#[case::one_for_all(usize::MAX, 1 << 20)]
#[tokio::test]
async fn fragments_are_joined(#[case] size: usize, #[case] len: usize) {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let (mut reader, args) = (Vec::new(), noise(1, len));
    for xid in 1..4 {
        reader.extend(fragments(&encode_call(xid, target(procedure::ECHO), &cred(), &args), size));
    }
    client.write_raw(&reader).await.unwrap();
    for xid in 1..4 {
        assert_eq!(client.receive(xid).await.unwrap(), args);
    }
}

#[tokio::test]
async fn a_record_that_arrives_byte_by_byte() {
    let mut wired = wire(ServerLimits::default());
    for byte in record(1, procedure::ECHO, b"slow") {
        wired.client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut reply = [0; 32];
    wired.client.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply[28..], b"slow");
}

#[tokio::test]
async fn many_records_in_one_write_are_answered_in_order() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let records: Vec<u8> =
        (0..2_000_u32).flat_map(|xid| record(xid, procedure::ECHO, &noise(u64::from(xid), 40))).collect();
    client.write_raw(&records).await.unwrap();
    for xid in 0..2_000_u32 {
        let reply = client.read_record().await.unwrap();
        assert_eq!(reply[..4], xid.to_be_bytes());
        assert_eq!(reply[24..], noise(u64::from(xid), 40));
    }
}

#[tokio::test]
async fn a_record_may_be_as_long_as_the_limit_and_no_longer() {
    let server = start(ServerLimits { max_record: 1000, ..ServerLimits::default() }).await;
    let header = encode_call(1, target(procedure::ECHO), &cred(), &[]).len();
    for (len, size, taken) in [(1000, 2000, true), (1001, 2000, false), (1000, 300, true), (1001, 300, false)]
    {
        let mut client = RpcClient::connect(server.addr).await.unwrap();
        let args = noise(2, len - header);
        let message = encode_call(1, target(procedure::ECHO), &cred(), &args);
        client.write_raw(&fragments(&message, size)).await.unwrap();
        match client.receive(1).await {
            Ok(results) => assert!(taken && results == args, "{len} bytes were taken"),
            Err(error) => assert!(!taken && matches!(error, RpcError::Closed), "{len} bytes: {error}"),
        }
    }
}

#[rstest]
#[case::last(&[u32::MAX])]
#[case::not_last(&[0x7fff_ffff])]
#[case::after_another(&[0, 0x7fff_ffff])]
#[tokio::test]
async fn a_header_of_gigabytes_closes_the_connection(#[case] headers: &[u32]) {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let mut bytes = record(1, procedure::ECHO, b"before");
    bytes.extend(headers.iter().flat_map(|header| header.to_be_bytes()));
    client.write_raw(&bytes).await.unwrap();
    assert_eq!(client.receive(1).await.unwrap(), b"before".as_slice());
    assert!(matches!(client.read_record().await, Err(RpcError::Closed)));
}

#[tokio::test]
async fn a_record_may_have_as_many_fragments_as_the_limit_and_no_more() {
    let server = start(ServerLimits { max_fragments: 10, ..ServerLimits::default() }).await;
    for (empty, taken) in [(9, true), (10, false)] {
        let mut client = RpcClient::connect(server.addr).await.unwrap();
        let mut bytes = vec![0; 4 * empty];
        bytes.extend(record(1, procedure::ECHO, b"last"));
        client.write_raw(&bytes).await.unwrap();
        match client.receive(1).await {
            Ok(results) => assert!(taken && results == b"last".as_slice()),
            Err(error) => assert!(!taken && matches!(error, RpcError::Closed), "{error}"),
        }
    }
}

#[tokio::test]
async fn endless_empty_fragments_close_the_connection() {
    let server = start(ServerLimits::default()).await;
    let mut client = RpcClient::connect(server.addr).await.unwrap();
    let zeros = vec![0; 1 << 16];
    while client.write_raw(&zeros).await.is_ok() {}
    assert!(matches!(client.read_record().await, Err(RpcError::Closed | RpcError::Io(_))));
}

/// Feeds `bytes` to a connection, closes it, and waits for the end of its task, which must not be a panic.
async fn feed(bytes: Vec<u8>) {
    let wired = wire(ServerLimits::default());
    wired.program.gate.add_permits(1000);
    let (mut from, mut to) = tokio::io::split(wired.client);
    let drained = tokio::spawn(async move { from.read_to_end(&mut Vec::new()).await });
    // Fails when the server closes first, which it may.
    let _ = to.write_all(&bytes).await;
    let _ = to.shutdown().await;
    wired.task.await.expect("no panic");
    drop(to);
    drained.await.expect("no panic").expect("an orderly end");
}

#[tokio::test]
async fn random_bytes_never_panic() {
    for seed in 0..300 {
        let mut bytes = noise(seed, 2_000);
        if seed % 3 != 0 {
            // Random messages in well-formed records get further.
            bytes = fragments(&bytes, 1 + usize::try_from(seed).unwrap() * 7);
        }
        feed(bytes).await;
    }
}

#[tokio::test]
async fn damaged_calls_never_panic() {
    for seed in 0..300_u64 {
        let damage = noise(seed, 12);
        let procedure = u32::from(damage[0] % 8);
        let mut bytes: Vec<u8> = (0..4).flat_map(|xid| record(xid, procedure, &noise(seed + 1, 3))).collect();
        for pair in damage.chunks(4) {
            let at = usize::from(u16::from_be_bytes([pair[1], pair[2]])) % bytes.len();
            bytes[at] = pair[3];
        }
        bytes.truncate(bytes.len() - usize::from(damage[4] % 16));
        feed(bytes).await;
    }
}
