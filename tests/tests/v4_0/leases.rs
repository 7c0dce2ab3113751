//! What renews a lease, and what becomes of the state of a client that falls silent.
//!
//! Origin: the statements of the RFC, one by one, and the timed tests of pynfs. Time is the test clock's: nobody waits.
//! RFC: 7530 sections 9.1.2, 9.5 and 9.6.3.

use dittofs_framework::proto::{
    NFS4_OK, NFS4ERR_EXPIRED, NFS4ERR_SHARE_DENIED, NFS4ERR_STALE_CLIENTID, Stateid, Status,
};
use dittofs_framework::state::ShareDeny;
use dittofs_framework::testing::Compound;
use dittofs_ops::close::{Close, Close4Args};
use dittofs_ops::lock::{Lock, NfsLockType4};
use dittofs_ops::lockt::{Lockt, Lockt4Args};
use dittofs_ops::locku::Locku;
use dittofs_ops::open_downgrade::{OpenDowngrade, OpenDowngrade4Args};
use dittofs_ops::putrootfh::PutRootFh;
use dittofs_ops::read::{Read, Read4Args};
use dittofs_ops::release_lockowner::{ReleaseLockowner, ReleaseLockowner4Args};
use dittofs_ops::renew::{Renew, Renew4Args};
use dittofs_tests::{BOTH, Client, ClientV4_0, OpenFile, READ, unchecked};
use rstest::rstest;

use crate::world::{World, status};

const DENY_BOTH: u32 = ShareDeny::BOTH.bits();

async fn renew(client: &mut ClientV4_0) -> Status {
    let compound = client.compound().op::<Renew>(&Renew4Args { clientid: client.clientid });
    client.run(compound).await.status
}

async fn try_open(client: &mut ClientV4_0, name: &str) -> Status {
    let args = client.open_args(name, READ, 0, "opener", unchecked());
    status(&client.try_open(&args).await)
}

#[derive(Debug, Clone, Copy)]
enum Use {
    Renew,
    Open,
    OpenRefused,
    OpenAgain,
    Close,
    Downgrade,
    Lock,
    LockTest,
    Unlock,
    Read,
    ReadAnonymously,
    Release,
    Nothing,
    SetClientid,
}

/// The request; what it needs is there.
async fn uses(world: &mut World, what: Use) -> Compound {
    let OpenFile { fh, stateid } = world.file.clone();
    let clientid = world.client.clientid;
    let client = &mut world.client;
    match what {
        Use::Renew => client.compound().op::<Renew>(&Renew4Args { clientid }),
        Use::Open | Use::OpenRefused | Use::OpenAgain => {
            let access = if matches!(what, Use::OpenRefused) { 0 } else { READ };
            let args = client.open_args("file", access, 0, "opener", unchecked());
            if matches!(what, Use::OpenAgain) {
                client.try_open(&args).await.unwrap();
            }
            client.opening(&args)
        }
        Use::Close => {
            let args = Close4Args { seqid: client.seqid("opener"), open_stateid: stateid };
            client.on::<Close>(&fh, &args)
        }
        Use::Downgrade => {
            let seqid = client.seqid("opener");
            let args = OpenDowngrade4Args { open_stateid: stateid, seqid, share_access: BOTH, share_deny: 0 };
            client.on::<OpenDowngrade>(&fh, &args)
        }
        Use::Lock => {
            let args = client.lock_args(stateid, "opener", "locker", NfsLockType4::WriteLt, (0, 1));
            client.on::<Lock>(&fh, &args)
        }
        Use::LockTest => {
            let owner = client.owner("locker");
            let args = Lockt4Args { locktype: NfsLockType4::WriteLt, offset: 0, length: 1, owner };
            client.on::<Lockt>(&fh, &args)
        }
        Use::Unlock => {
            let lock = client.lock(&OpenFile { fh: fh.clone(), stateid }, (0, 1)).await;
            let args = client.unlock_args(lock, "locker", (0, 1));
            client.on::<Locku>(&fh, &args)
        }
        Use::Read => client.on::<Read>(&fh, &Read4Args { stateid, offset: 0, count: 1 }),
        Use::ReadAnonymously => {
            client.on::<Read>(&fh, &Read4Args { stateid: Stateid::ANONYMOUS, offset: 0, count: 1 })
        }
        Use::Release => {
            let args = ReleaseLockowner4Args { lock_owner: client.owner("nobody") };
            client.compound().op::<ReleaseLockowner>(&args)
        }
        Use::Nothing => client.compound().op::<PutRootFh>(&()),
        Use::SetClientid => client
            .compound()
            .op::<dittofs_ops::setclientid::SetClientid>(&dittofs_tests::setclientid_args("client", [1; 8])),
    }
}

/// Whether the client is without a lease a while later shows in whether its share reservation holds.
#[rstest]
#[case::renew(Use::Renew, true)]
#[case::open(Use::Open, true)]
#[case::open_refused(Use::OpenRefused, true)]
#[case::open_retransmitted(Use::OpenAgain, true)]
#[case::close(Use::Close, true)]
#[case::open_downgrade(Use::Downgrade, true)]
#[case::lock(Use::Lock, true)]
#[case::lockt(Use::LockTest, true)]
#[case::locku(Use::Unlock, true)]
#[case::read(Use::Read, true)]
#[case::release_lockowner(Use::Release, true)]
#[case::anonymous(Use::ReadAnonymously, false)]
#[case::putrootfh(Use::Nothing, false)]
#[case::setclientid(Use::SetClientid, false)]
#[tokio::test]
async fn a_lease_is_renewed_by(#[case] what: Use, #[case] renews: bool) {
    let mut world = World::new().await;
    world.client.open_as("denied", READ, DENY_BOTH, "opener").await;
    let compound = uses(&mut world, what).await;
    world.pass(6).await;
    world.client.run(compound).await;
    world.pass(6).await;
    let want = if renews { NFS4ERR_SHARE_DENIED } else { NFS4_OK };
    let mut other = world.other().await;
    assert_eq!(try_open(&mut other, "denied").await, want);
    world.stop().await;
}

/// A courtesy: as long as nobody is in the way of it, nothing is lost.
#[tokio::test]
async fn state_outlives_the_lease() {
    let mut world = World::new().await;
    world.pass(500).await;
    let file = world.file.clone();
    assert_eq!(renew(&mut world.client).await, NFS4_OK);
    assert!(world.client.close(&file, "opener").await.is_ok());
    world.stop().await;
}

/// "The use of any of the associated stateids will result in NFS4ERR_EXPIRED … Similarly, the use of the associated clientid."
#[tokio::test]
async fn state_that_is_in_the_way_is_lost_whole() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, 1)).await;
    let denied = world.client.open_as("denied", READ, DENY_BOTH, "opener").await;
    world.pass(11).await;
    let mut other = world.other().await;
    assert_eq!(try_open(&mut other, "denied").await, NFS4_OK);
    let client = &mut world.client;
    assert_eq!(renew(client).await, NFS4ERR_EXPIRED);
    assert_eq!(try_open(client, "file").await, NFS4ERR_EXPIRED);
    let read = Read4Args { stateid: denied.stateid, offset: 0, count: 1 };
    assert_eq!(status(&client.run_on::<Read>(&denied.fh, &read).await), NFS4ERR_EXPIRED);
    // What was in nobody's way as well.
    let read = Read4Args { stateid: file.stateid, offset: 0, count: 1 };
    assert_eq!(status(&client.run_on::<Read>(&file.fh, &read).await), NFS4ERR_EXPIRED);
    let args = client.unlock_args(lock, "locker", (0, 1));
    assert_eq!(client.run_on::<Locku>(&file.fh, &args).await, Err(NFS4ERR_EXPIRED));
    world.stop().await;
}

/// "The client should recover from this situation by using SETCLIENTID followed by SETCLIENTID_CONFIRM."
#[tokio::test]
async fn a_client_comes_back() {
    let mut world = World::new().await;
    world.client.open_as("denied", READ, DENY_BOTH, "opener").await;
    world.pass(11).await;
    let mut other = world.other().await;
    assert_eq!(try_open(&mut other, "denied").await, NFS4_OK);
    let connection = Client::connect(&world.server).await;
    let mut back = ClientV4_0::establish(connection, "client", [1; 8]).await;
    assert_ne!(back.clientid, world.client.clientid);
    assert_eq!(renew(&mut back).await, NFS4_OK);
    assert_eq!(renew(&mut world.client).await, NFS4ERR_STALE_CLIENTID);
    back.open("file").await;
    world.stop().await;
}

#[tokio::test]
async fn a_lock_in_the_way_is_lost() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.client.lock(&file, (0, 10)).await;
    let mut other = world.other().await;
    let theirs = other.open("file").await;
    for _ in 0..2 {
        world.pass(6).await;
        assert_eq!(renew(&mut other).await, NFS4_OK);
    }
    other.lock(&theirs, (5, 1)).await;
    assert_eq!(renew(&mut world.client).await, NFS4ERR_EXPIRED);
    world.stop().await;
}

/// A client that holds nothing is forgotten after its lease.
#[tokio::test]
async fn an_idle_client_is_forgotten() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.client.close(&file, "opener").await.unwrap();
    world.pass(10).await;
    assert_eq!(renew(&mut world.client).await, NFS4_OK);
    world.pass(11).await;
    assert_eq!(renew(&mut world.client).await, NFS4ERR_STALE_CLIENTID);
    assert!(world.server.service.v4_0().clients.is_empty());
    world.stop().await;
}
