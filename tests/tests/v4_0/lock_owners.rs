//! Origin: the statements of the RFC, one by one, and the RLOWN group of pynfs.
//! RFC: 7530 sections 9.1.10 and 16.37.

use dittofs_framework::proto::{
    ClientId, NFS4_OK, NFS4ERR_BAD_STATEID, NFS4ERR_BADXDR, NFS4ERR_LOCKS_HELD, NFS4ERR_STALE_CLIENTID,
    Status,
};
use dittofs_ops::lock::{Lock, NfsLockType4};
use dittofs_ops::release_lockowner::{ReleaseLockowner, ReleaseLockowner4Args};
use dittofs_tests::TO_EOF;

use crate::world::{World, status};

async fn release(world: &mut World, locker: &str) -> Status {
    let args = ReleaseLockowner4Args { lock_owner: world.client.owner(locker) };
    let compound = world.client.compound().op::<ReleaseLockowner>(&args);
    world.client.run(compound).await.status
}

#[tokio::test]
async fn a_lock_owner_without_locks_is_released() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, TO_EOF)).await;
    assert_eq!(release(&mut world, "locker").await, NFS4ERR_LOCKS_HELD);
    let lock = world.client.unlock(&file.fh, lock, (0, TO_EOF)).await;
    assert_eq!(release(&mut world, "locker").await, NFS4_OK);
    // Its stateid is gone, and its sequence begins anew.
    let args = world.client.relock_args(lock, "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&file.fh, &args).await), NFS4ERR_BAD_STATEID);
    world.client.seqid("locker");
    world.client.seqid("locker");
    world.client.lock(&file, (0, 1)).await;
    world.stop().await;
}

/// "No further action will be taken."
#[tokio::test]
async fn a_lock_on_one_file_keeps_the_stateids_on_all() {
    let mut world = World::new().await;
    let (one, two) = (world.file.clone(), world.client.open("two").await);
    let free = world.client.lock(&one, (0, 1)).await;
    world.client.lock(&two, (0, 1)).await;
    let free = world.client.unlock(&one.fh, free, (0, 1)).await;
    assert_eq!(release(&mut world, "locker").await, NFS4ERR_LOCKS_HELD);
    let args = world.client.relock_args(free, "locker", NfsLockType4::WriteLt, (0, 1));
    assert_eq!(status(&world.client.run_on::<Lock>(&one.fh, &args).await), NFS4_OK);
    world.stop().await;
}

/// A client that closed the file may have forgotten the lock-owner without a word: it begins anew as if it were unknown.
#[tokio::test]
async fn a_lock_owner_outlives_no_close() {
    let mut world = World::new().await;
    let file = world.file.clone();
    world.client.set_seqid("locker", 4);
    world.client.lock(&file, (0, 1)).await;
    world.client.close(&file, "opener").await.unwrap();
    for seqid in [4, 0, 100] {
        let file = world.client.open("file").await;
        world.client.set_seqid("locker", seqid);
        world.client.lock(&file, (0, 1)).await;
        world.client.close(&file, "opener").await.unwrap();
    }
    world.stop().await;
}

/// Names of open-owners are others.
#[tokio::test]
async fn nobody_can_be_released() {
    let mut world = World::new().await;
    assert_eq!(release(&mut world, "opener").await, NFS4_OK);
    let file = world.file.clone();
    assert!(world.client.close(&file, "opener").await.is_ok());
    let mut args = ReleaseLockowner4Args { lock_owner: world.client.owner("locker") };
    args.lock_owner.clientid = ClientId(1);
    let compound = world.client.compound().op::<ReleaseLockowner>(&args);
    assert_eq!(world.client.run(compound).await.status, NFS4ERR_STALE_CLIENTID);
    let compound = world.client.compound().op_with_args::<ReleaseLockowner>(&[0; 8]);
    assert_eq!(world.client.run(compound).await.status, NFS4ERR_BADXDR);
    world.stop().await;
}

/// A file that is closed takes its lock stateids with it; owners that are of no use are forgotten.
#[tokio::test]
async fn idle_owners_are_forgotten() {
    let mut world = World::new().await;
    let file = world.file.clone();
    let lock = world.client.lock(&file, (0, 1)).await;
    world.client.unlock(&file.fh, lock, (0, 1)).await;
    world.client.close(&file, "opener").await.unwrap();
    assert_eq!(world.server.service.v4_0().owners.count(), 2);
    for _ in 0..5 {
        world.pass(5).await;
        let renew = dittofs_ops::renew::Renew4Args { clientid: world.client.clientid };
        let compound = world.client.compound().op::<dittofs_ops::renew::Renew>(&renew);
        world.client.run(compound).await.ok();
    }
    assert_eq!(world.server.service.v4_0().owners.count(), 0);
    // The next OPEN of the same owner is one of a new owner.
    world.client.open("file").await;
    world.stop().await;
}
