//! READ, WRITE and SETATTR of the size under stateids.
//!
//! Origin: own tables.
//! RFC: 8881 sections 8.2.3, 9.1.2, 18.22, 18.30 and 18.32.

use rstest::rstest;

use super::*;
use crate::fs::Authority::{self, Credentials as ByCredentials, Open as ByOpen};
use crate::proto::{NFS4ERR_BAD_STATEID, NFS4ERR_LOCKED, NFS4ERR_OPENMODE};

impl World {
    fn io(&self, client: ClientId, stateid: &Stateid, io: Io) -> Result<Authority, Status> {
        self.table.check_io(caller(client), USER, stateid, &file(1), io).map_err(reason)
    }
}

// RFC: 8881 section 9.1.2.
#[rstest]
#[case::read_of_reader(READ, Io::Read, Ok(ByOpen))]
#[case::write_of_reader(READ, Io::Write, Err(NFS4ERR_OPENMODE))]
#[case::read_of_writer(WRITE, Io::Read, Ok(ByCredentials))]
#[case::write_of_writer(WRITE, Io::Write, Ok(ByOpen))]
#[case::read_of_both(BOTH, Io::Read, Ok(ByOpen))]
#[case::write_of_both(BOTH, Io::Write, Ok(ByOpen))]
fn an_open_allows(#[case] access: ShareAccess, #[case] io: Io, #[case] want: Result<Authority, Status>) {
    let world = World::new();
    let open = world.open(&owner(ALICE, "me"), access, DENY_NONE).expect("an open");
    assert_eq!(world.io(ALICE, &open, io), want);
    assert_eq!(world.io(BOB, &open, io), Err(NFS4ERR_BAD_STATEID));
    let elsewhere = world.table.check_io(caller(ALICE), USER, &open, &file(2), io).map_err(reason);
    assert_eq!(elsewhere, Err(NFS4ERR_BAD_STATEID));
    let kind = if access == WRITE { LockKind::Write } else { LockKind::Read };
    let lock = world.lock_new(open, &owner(ALICE, "l"), range(0, 1), kind).expect("a lock");
    assert_eq!(world.io(ALICE, &lock, io), want);
}

#[test]
fn only_the_user_who_opened_needs_no_permission() {
    let world = World::new();
    let open = world.open_both(ALICE, "me");
    let by_other = world.table.check_io(caller(ALICE), USER + 1, &open, &file(1), Io::Read).map_err(reason);
    assert_eq!(by_other, Ok(ByCredentials));
    let me = owner(ALICE, "me");
    world
        .try_open(OpenRequest { principal: USER + 1, ..world.request(&me, READ, DENY_NONE) })
        .expect("an upgrade");
    let latest = Stateid { seqid: 0, ..open };
    assert_eq!(world.io(ALICE, &latest, Io::Write), Ok(ByCredentials));
}

// RFC: 8881 sections 8.2.3 and 9.1.2.
#[rstest]
#[case::no_open(None, Stateid::ANONYMOUS, Io::Write, Ok(ByCredentials))]
#[case::open_without_denial(Some(0), Stateid::ANONYMOUS, Io::Write, Ok(ByCredentials))]
#[case::read_denied(Some(1), Stateid::ANONYMOUS, Io::Read, Err(NFS4ERR_LOCKED))]
#[case::read_not_denied(Some(2), Stateid::ANONYMOUS, Io::Read, Ok(ByCredentials))]
#[case::write_denied(Some(2), Stateid::ANONYMOUS, Io::Write, Err(NFS4ERR_LOCKED))]
#[case::bypass_reads(Some(3), Stateid::READ_BYPASS, Io::Read, Ok(ByCredentials))]
#[case::bypass_does_not_write(Some(3), Stateid::READ_BYPASS, Io::Write, Err(NFS4ERR_LOCKED))]
#[case::bypass_writes_without_denial(Some(0), Stateid::READ_BYPASS, Io::Write, Ok(ByCredentials))]
#[case::current_unresolved(None, Stateid::CURRENT, Io::Read, Err(NFS4ERR_BAD_STATEID))]
#[case::invalid(None, Stateid::INVALID, Io::Read, Err(NFS4ERR_BAD_STATEID))]
#[case::undefined(None, Stateid { seqid: 9, other: [0; 12] }, Io::Read, Err(NFS4ERR_BAD_STATEID))]
fn a_special_stateid_meets_share_reservations(
    #[case] deny: Option<u32>,
    #[case] stateid: Stateid,
    #[case] io: Io,
    #[case] want: Result<Authority, Status>,
) {
    let world = World::new();
    if let Some(deny) = deny {
        world.open(&owner(BOB, "denier"), READ, ShareDeny::from_bits_retain(deny)).expect("an open");
    }
    assert_eq!(world.io(ALICE, &stateid, io), want);
}

// RFC: 8881 section 9.1.2: "the server MUST still check for locks that conflict with the READ".
#[rstest]
#[case::its_own_denial(ALICE, "me", Ok(ByCredentials))]
#[case::of_another(BOB, "other", Err(NFS4ERR_LOCKED))]
fn a_read_by_a_writer_meets_denials_of_others(
    #[case] client: ClientId,
    #[case] name: &str,
    #[case] want: Result<Authority, Status>,
) {
    let world = World::new();
    let open = world.open(&owner(ALICE, "me"), WRITE, DENY_NONE).expect("an open");
    world.open(&owner(client, name), WRITE, ShareDeny::READ).expect("nobody has it open for reading");
    assert_eq!(world.io(ALICE, &Stateid { seqid: 0, ..open }, Io::Read), want);
}
