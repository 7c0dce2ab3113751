//! Origin: every registered operation, behind a good SEQUENCE where there are sessions, on a directory, an open file and a symbolic
//! link, with arguments of any value.
//! RFC: 8881 section 15.1.1.1 (NFS4ERR_BADXDR).

use std::time::Instant;

use bytes::Bytes;
use dittofs_framework::op::{OpDescriptor, OpFlags};
use dittofs_framework::proto::*;
use dittofs_framework::testing::{Compound, RpcError};
use dittofs_framework::xdr::{Opaque, XdrReader, encode_to_bytes};
use dittofs_ops::create::CreateType4;
use dittofs_ops::putfh::PutFh;
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::savefh::SaveFh;
use dittofs_tests::*;
use rstest::rstest;

use crate::{is_well, server};

/// A server, a client, and what operations can be tried on.
struct World {
    server: TestServer,
    client: AnyClient,
    rows: Vec<OpDescriptor>,
    /// A directory, an open file, a symbolic link.
    objects: Vec<NfsFh4>,
    /// Words that mean something to this server.
    words: Vec<u32>,
}

/// Who tries.
enum AnyClient {
    V4_0(ClientV4_0),
    InSession(Session),
}

impl AnyClient {
    fn compound(&self) -> Compound {
        match self {
            Self::V4_0(client) => client.compound(),
            Self::InSession(session) => session.compound(),
        }
    }

    /// The results of a compound, behind SEQUENCE where there are sessions.
    async fn try_run(&mut self, compound: Compound) -> Result<Bytes, RpcError> {
        match self {
            Self::V4_0(client) => client.client.try_run(&compound).await,
            Self::InSession(session) => {
                let request = session.request(0, CacheThis::No, compound);
                session.client.try_run(&request).await
            }
        }
    }
}

impl World {
    async fn new(minor: Minor) -> Self {
        let server = server().await;
        let has_sessions = minor != Minor::V0;
        let options = SessionOptions {
            minor: if has_sessions { minor } else { Minor::V2 },
            ..SessionOptions::default()
        };
        let mut session = Client::connect(&server).await.session_with("client", options).await;
        let dir = session.mkdir("dir").await;
        let file = session.open("file").await;
        session.write(&file, 0, &[7; 10_000]).await;
        let target = CreateType4::Link(Opaque::from("file"));
        let link = session.create("link", target, 0o777).await;
        let rows = server.service.ops().rows().iter().map(|(row, _)| *row);
        let rows = rows.filter(|row| row.minors.contains(minor) && row.opnum != OP_SEQUENCE).collect();
        let (client, clientid, stateid) = if has_sessions {
            let clientid = session.clientid;
            (AnyClient::InSession(session), clientid, file.stateid)
        } else {
            session.close(&file).await;
            let mut client = ClientV4_0::connect(&server, "client").await;
            let stateid = client.open_as("file", BOTH, 0, "owner...").await.stateid;
            let clientid = client.clientid;
            (AnyClient::V4_0(client), clientid, stateid)
        };
        let mut meaningful = encode_to_bytes(&stateid).to_vec();
        meaningful.extend(encode_to_bytes(&clientid));
        meaningful.extend((ClientV4_0::FIRST_SEQID + 2).to_be_bytes());
        meaningful.extend(b"file....dir\0owner...user");
        let words = meaningful.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        let words = words.collect();
        Self { server, client, rows, objects: vec![dir, file.fh, link], words }
    }

    /// Runs the operation behind what it needs. The server must answer, and not with SYSTEM_ERR.
    async fn try_on(&mut self, row: &OpDescriptor, object: Option<usize>, args: &[u8]) -> Status {
        let mut compound = self.client.compound();
        match object {
            None => compound = compound.op::<PutRootFh>(&()),
            Some(object) => {
                let put = put(&self.objects[object]);
                if row.flags.contains(OpFlags::NEEDS_SAVED_FH) {
                    compound = compound.op::<PutFh>(&put).op::<SaveFh>(&());
                }
                compound = compound.op::<PutFh>(&put);
            }
        }
        let body = match self.client.try_run(compound.raw(row.opnum, args)).await {
            Ok(body) => body,
            Err(error) => panic!("{error} from {} with {args:02x?}", row.name),
        };
        let status = Status::from_code(XdrReader::new(&body).u32().unwrap());
        assert!(row.allows(status) || status == NFS4ERR_STALE, "{status} from {} with {args:02x?}", row.name);
        status
    }

    async fn end(self) {
        is_well(&self.server).await;
        self.server.stop().await;
    }
}

fn encode(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[rstest]
#[tokio::test]
async fn all_ones(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor).await;
    for row in world.rows.clone() {
        for len in [0, 1, 2, 3, 4, 5, 8, 12, 16, 20, 24, 32, 40, 64, 100, 128, 1000, 100_000] {
            for object in [None, Some(1)] {
                world.try_on(&row, object, &vec![0xff; len]).await;
            }
        }
    }
    world.end().await;
}

/// Arguments of one small number over and over, with one word that claims as much as it can: every array and every opaque item of
/// every operation is hit.
#[rstest]
#[case::zeros(0)]
#[case::ones(1)]
#[case::twos(2)]
#[case::fours(4)]
#[tokio::test]
async fn one_word_claims_all(#[case] other: u32, #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor).await;
    for row in world.rows.clone() {
        for at in 0..24 {
            let mut words = [other; 32];
            words[at] = u32::MAX;
            world.try_on(&row, Some(at % 3), &encode(&words)).await;
        }
    }
    world.end().await;
}

#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[case(4)]
#[tokio::test]
async fn random_arguments(#[case] seed: u64, #[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor).await;
    let mut random = Random::new(seed);
    let (mut good, mut bad_xdr) = (0, 0);
    for row in world.rows.clone() {
        for round in 0..30 {
            let len = random.below(28);
            let words: Vec<u32> = (0..len).map(|_| word(&mut random, &world.words)).collect();
            let object = [None, Some(0), Some(1), Some(2)][round % 4];
            let status = world.try_on(&row, object, &encode(&words)).await;
            good += usize::from(status.is_ok());
            bad_xdr += usize::from(status == NFS4ERR_BADXDR);
        }
    }
    assert!(good > 50 && bad_xdr > 50, "{good} were good, {bad_xdr} did not decode: not much of a test");
    world.end().await;
}

/// A small number, a border, something that means something, or anything.
fn word(random: &mut Random, meaningful: &[u32]) -> u32 {
    const BORDERS: [u32; 10] =
        [8, 16, 64, 0xff, 0x1000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_fffe, u32::MAX];
    match random.below(8) {
        0..=3 => u32::try_from(random.below(5)).unwrap(),
        4 => random.one_of(&BORDERS),
        5 | 6 => random.one_of(meaningful),
        _ => u32::try_from(random.u64() >> 32).unwrap(),
    }
}

/// The largest offsets and lengths where the operations take them: sums must not wrap, and nothing may take long or much memory
/// for a large number alone.
#[rstest]
#[tokio::test]
async fn large_numbers(#[values(Minor::V0, Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::new(minor).await;
    let begun = Instant::now();
    let stateid: Vec<u32> = world.words[..4].to_vec();
    let halves = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for row in world.rows.clone() {
        for (first, second) in halves.iter().flat_map(|first| halves.map(|second| (*first, second))) {
            for stateids in 0..3 {
                let mut words = stateid.repeat(stateids);
                words.extend([first, second, second, first, first, second, second, first, 1, 1, 1, 1]);
                world.try_on(&row, Some(1), &encode(&words)).await;
            }
        }
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    world.end().await;
}
