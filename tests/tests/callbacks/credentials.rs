//! The server recalls with the credential that the client asked for, and gives no more to who refuses it.
//!
//! Origin: own.
//! RFC: 8881 sections 2.10.8.3, 10.2.1, 18.33.3 and 18.36.3; 5531 section 9.

use std::time::Duration;

use dittofs_framework::proto::{
    AuthSysParms, CallbackSecParms4, CbOp, Gids, Minor, NFS4ERR_DELAY, OpenDelegation4, OpenNoneDelegation4,
    SequenceStatus,
};
use dittofs_framework::testing::RpcCredential;
use dittofs_framework::xdr::encode_to_bytes;
use dittofs_tests::callbacks::BackOptions;
use rstest::rstest;

use crate::world::{Act, Kind, LONG, World};

fn parms(uid: u32) -> AuthSysParms {
    AuthSysParms { stamp: 9, machine_name: "callbacks".into(), uid, gid: 3, gids: Gids(vec![8, 9]) }
}

fn options(minor: Minor, uid: u32) -> BackOptions {
    BackOptions { minor, sec_parms: vec![CallbackSecParms4::Sys(parms(uid))], ..BackOptions::default() }
}

fn credential(uid: u32) -> RpcCredential {
    RpcCredential { flavor: 1, body: encode_to_bytes(&parms(uid)) }
}

#[rstest]
#[tokio::test]
async fn a_recall_has_the_credential_that_was_asked_for(#[values(Minor::V1, Minor::V2)] minor: Minor) {
    let mut world = World::with(&options(minor, 7), Kind::Read, LONG, credential(7)).await;
    let fh = world.delegation.fh.clone();
    tokio::join!(
        Act::Chmod.insist(&mut world.other, &fh),
        world.holder.give_back_when_recalled(&world.delegation),
    );
    assert_eq!(world.holder.callbacks().nth(CbOp::Recall, 1).await.credential, credential(7));
    assert_eq!(world.holder.callbacks().refused(), 0);
    world.stop().await;
}

// CB_NULL needs no right, so it shows with the first recall that the client does not take what it asked for.
#[rstest]
#[tokio::test]
async fn who_refuses_the_credential_is_given_no_more_delegations(
    #[values(Minor::V1, Minor::V2)] minor: Minor,
) {
    let mut world = World::with(&options(minor, 8), Kind::Read, Duration::ZERO, credential(7)).await;
    let fh = world.delegation.fh.clone();
    assert_eq!(Act::Chmod.run(&mut world.other, &fh).await, NFS4ERR_DELAY);
    world.holder.callbacks().wait_refused(1).await;
    while !world.holder.renew().await.unwrap().contains(SequenceStatus::CB_PATH_DOWN) {}
    let opened = world.holder.open_read("before").existing().wanting_read().await;
    assert_eq!(opened.delegation, OpenDelegation4::NoneExt(OpenNoneDelegation4::Resource(false)));
    assert_eq!(world.holder.callbacks().arrived(CbOp::Recall), 0, "nothing got through");
    world.holder.give_back(&world.delegation).await;
    world.stop().await;
}
