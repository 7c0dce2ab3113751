//! Origin: how sessions and clients end, and what is noted of them on the way.
//! RFC: 8881 sections 8.3, 18.34, 18.37, 18.46.3, 18.50 and 18.51.

use std::time::Duration;

use rstest::rstest;

use super::world::*;
use crate::client::GoneReason;
use crate::proto::*;
use crate::session::*;

const SECOND: Duration = Duration::from_secs(1);

fn destroy(world: &World, clientid: ClientId, within: Within<'_>) -> Result<Gone, Status> {
    let has_state = |client| world.has_state(client);
    let result = world.core.destroy_clientid(world.now(), clientid, within, &has_state);
    world.core.check_invariants();
    result.map(gone)
}

fn end(world: &World, session: SessionId) -> Result<(), Status> {
    let result = world.core.destroy_session(session, &world.connection, Within::Nothing);
    world.core.check_invariants();
    result
}

#[test]
fn destroy_session_ends_it() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    assert_eq!(end(&world, session), Ok(()));
    assert_eq!(refused(world.sequence(session, 0, 1)), NFS4ERR_BADSESSION);
    assert_eq!(end(&world, session), Err(NFS4ERR_BADSESSION));
}

#[test]
fn destroy_session_comes_by_a_connection_of_the_session() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let other = ConnectionSessions::default();
    let destroy = || world.core.destroy_session(session, &other, Within::Nothing);
    assert_eq!(destroy(), Err(NFS4ERR_CONN_NOT_BOUND_TO_SESSION));
    let ask = Ask { connection: Some(&other), ..Ask::default() };
    finish(new(world.admit(&sequence_args(session, 0, 1), &ask)), NFS4_OK, b"");
    assert_eq!(destroy(), Ok(()));
}

#[test]
fn destroy_session_waits_for_running_requests_but_its_own() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let own = new(world.sequence(session, 0, 1));
    let other = new(world.sequence(session, 1, 1));
    let held = own.slot.session().clone();
    let destroy = || world.core.destroy_session(session, &world.connection, Within::Session(&held));
    assert_eq!(destroy(), Err(NFS4ERR_DELAY));
    finish(other, NFS4_OK, b"");
    finish(new(world.sequence(session, 1, 2)), NFS4_OK, b"");
    assert_eq!(destroy(), Ok(()));
    finish(own, NFS4_OK, b"");
    assert_eq!(refused(world.sequence(session, 0, 2)), NFS4ERR_BADSESSION);
}

#[rstest]
#[case::fore(ChannelDirFromClient::Fore, Ok(ChannelDirFromServer::Fore))]
#[case::fore_or_both(ChannelDirFromClient::ForeOrBoth, Ok(ChannelDirFromServer::Fore))]
#[case::back(ChannelDirFromClient::Back, Err(NFS4ERR_INVAL))]
#[case::back_or_both(ChannelDirFromClient::BackOrBoth, Err(NFS4ERR_INVAL))]
fn bind_conn_to_session(
    #[case] dir: ChannelDirFromClient,
    #[case] expected: Result<ChannelDirFromServer, Status>,
) {
    let world = World::new();
    let sessionid = world.session("client", 4).sessionid;
    let other = ConnectionSessions::default();
    let args = BindConnToSession4Args { sessionid, dir, use_conn_in_rdma_mode: true };
    let reply = world.core.bind_conn_to_session(&args, &other);
    assert_eq!(reply.map(|reply| (reply.sessionid, reply.dir, reply.use_conn_in_rdma_mode)), {
        expected.map(|dir| (sessionid, dir, false))
    });
    let is_bound = world.core.destroy_session(sessionid, &other, Within::Nothing).is_ok();
    assert_eq!(is_bound, expected.is_ok());
}

#[test]
fn bind_conn_to_an_unknown_session() {
    let world = World::new();
    let args = BindConnToSession4Args {
        sessionid: SessionId([0; 16]),
        dir: ChannelDirFromClient::Fore,
        use_conn_in_rdma_mode: false,
    };
    let reply = world.core.bind_conn_to_session(&args, &world.connection);
    assert_eq!(reply.unwrap_err(), NFS4ERR_BADSESSION);
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Has {
    Nothing,
    Session,
    Opens,
}

#[rstest]
#[case::nothing(Has::Nothing, Duration::ZERO, Ok(()))]
#[case::session(Has::Session, Duration::ZERO, Err(NFS4ERR_CLIENTID_BUSY))]
#[case::opens(Has::Opens, Duration::ZERO, Err(NFS4ERR_CLIENTID_BUSY))]
#[case::session_of_an_expired_lease(Has::Session, LEASE + SECOND, Ok(()))]
#[case::opens_of_an_expired_lease(Has::Opens, LEASE + SECOND, Ok(()))]
fn destroy_clientid(#[case] has: Has, #[case] later: Duration, #[case] expected: Result<(), Status>) {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let id = world.confirmed.borrow()[0];
    if has != Has::Session {
        end(&world, session).unwrap();
    }
    if has == Has::Opens {
        world.holders.borrow_mut().insert(id);
    }
    world.clock.advance(later);
    let result = destroy(&world, id, Within::Nothing);
    assert_eq!(result.as_ref().map(drop).map_err(|status| *status), expected);
    if let Ok(gone) = result {
        assert_eq!(gone, [(id, GoneReason::Destroyed)]);
        assert_eq!(destroy(&world, id, Within::Nothing).unwrap_err(), NFS4ERR_STALE_CLIENTID);
        assert_eq!(refused(world.sequence(session, 0, 1)), NFS4ERR_BADSESSION);
    }
}

#[test]
fn destroy_clientid_of_an_unconfirmed_record_has_no_effect_on_state() {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    assert_eq!(destroy(&world, id, Within::Nothing), Ok(Vec::new()));
    assert_eq!(world.create(&create_args(id, 1, 4), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
}

#[test]
fn destroy_clientid_within_a_session() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let other = world.unconfirmed("other", 1);
    let own = new(world.sequence(session, 0, 1));
    let held = own.slot.session().clone();
    let id = held.client().id();
    world.clock.advance(LEASE * 3);
    assert_eq!(destroy(&world, id, Within::Session(&held)).unwrap_err(), NFS4ERR_CLIENTID_BUSY);
    assert!(destroy(&world, other, Within::Session(&held)).is_ok());
    finish(own, NFS4_OK, b"");
}

#[test]
fn reclaim_complete_comes_once() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let own = new(world.sequence(session, 0, 1));
    let client = own.slot.session().client().clone();
    assert!(!client.has_reclaim_complete());
    assert_eq!(world.core.reclaim_complete(&client), Ok(()));
    assert!(client.has_reclaim_complete());
    assert_eq!(world.core.reclaim_complete(&client), Err(NFS4ERR_COMPLETE_ALREADY));
    finish(own, NFS4_OK, b"");
}

#[test]
fn a_client_expires_a_lease_after_its_last_request() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let id = world.confirmed.borrow()[0];
    let expire = || world.reap();
    world.clock.advance(LEASE);
    let first = sequence_args(session, 0, 1);
    finish(new(world.admit(&first, &Ask::default())), NFS4_OK, b"");
    world.clock.advance(LEASE);
    replayed(world.admit(&first, &Ask::default()));
    world.clock.advance(LEASE);
    assert_eq!(expire(), []);
    // RFC 8881 section 18.46.3: a SEQUENCE that fails does not renew.
    assert_eq!(refused(world.sequence(session, 0, 7)), NFS4ERR_SEQ_MISORDERED);
    world.clock.advance(SECOND);
    assert_eq!(expire(), [(id, GoneReason::Expired)]);
    assert_eq!(refused(world.sequence(session, 0, 2)), NFS4ERR_BADSESSION);
    assert_eq!(expire(), []);
}

#[test]
fn a_client_with_a_running_request_does_not_expire() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let running = new(world.sequence(session, 0, 1));
    world.clock.advance(LEASE * 2);
    assert_eq!(world.reap(), []);
    finish(running, NFS4_OK, b"");
    assert_eq!(world.reap(), [], "its lease was renewed");
    world.clock.advance(LEASE + SECOND);
    assert_eq!(world.reap().len(), 1);
}

#[test]
fn an_unconfirmed_record_expires_without_effect() {
    let world = World::new();
    let id = world.unconfirmed("client", 1);
    world.clock.advance(LEASE * 2 + SECOND);
    assert_eq!(world.reap(), []);
    assert_eq!(world.create(&create_args(id, 1, 4), 1).unwrap_err(), NFS4ERR_STALE_CLIENTID);
}

#[test]
fn status_flags_show_until_they_are_cleared() {
    let world = World::new();
    let session = world.session("client", 4).sessionid;
    let admitted = new(world.sequence(session, 0, 1));
    assert_eq!(admitted.reply.status_flags, SequenceStatus::empty());
    let client = admitted.slot.session().client().clone();
    finish(admitted, NFS4_OK, b"");
    client.set_status(SequenceStatus::ADMIN_STATE_REVOKED | SequenceStatus::LEASE_MOVED);
    client.clear_status(SequenceStatus::LEASE_MOVED);
    assert_eq!(world.run(&sequence_args(session, 1, 1)).status_flags, SequenceStatus::ADMIN_STATE_REVOKED);
}
