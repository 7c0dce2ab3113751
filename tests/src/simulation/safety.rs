//! What must hold whatever the model thinks: no two clients believe to hold what excludes each other, and the server knows of all that is
//! believed.

use super::client::Client;
use super::model::{Delegation, Model, Touch, Why};
use super::request::{ClientNo, Kind};

/// # Panics
/// If it does not hold.
pub(crate) fn check(clients: &mut [Client], model: &Model, now: u64) {
    forget_what_is_lost(clients, model, now);
    for (index, client) in clients.iter().enumerate() {
        check_known(client, model);
        for other in &clients[index + 1..] {
            check_opens(client, other);
            check_locks(client, other);
            check_delegations(client, other);
            check_delegations(other, client);
        }
    }
}

/// A client that returns no delegation, whether the recall reached it or not, cannot know at once that it lost it a lease after the
/// recall: it learns it from its next SEQUENCE (RFC 8881 section 18.46.3), in minor version 0 from the next use.
fn forget_what_is_lost(clients: &mut [Client], model: &Model, now: u64) {
    for client in clients {
        if !client.has_lease(now, model.lease) {
            client.belief.lose_all();
        }
        let not_returned = model.revoked.iter().filter(|revoked| revoked.why == Why::NotReturned);
        let other = not_returned.map(|revoked| revoked.other).collect::<Vec<_>>();
        client.belief.delegations.retain(|held| !other.contains(&held.other));
    }
}

/// Checks what a request did by no stateid of its own: nobody else believed that this could not happen.
///
/// # Panics
/// If somebody did.
pub(crate) fn check_touch(clients: &mut [Client], model: &Model, now: u64, (who, touch): (ClientNo, Touch)) {
    forget_what_is_lost(clients, model, now);
    for client in clients.iter().filter(|client| client.no != who) {
        for held in client.belief.delegations.iter().filter(|held| held.file == touch.file) {
            let excludes = held.kind == Kind::Write || touch.kind == Kind::Write;
            assert!(!excludes, "{:?} believes in {held:?}, and {who:?} came with {touch:?}", client.no);
        }
    }
}

fn check_known(client: &Client, model: &Model) {
    // What an earlier instance of the server gave, this one need not know yet.
    let is_current = |other: &[u8; 12]| other[..4] == model.epoch;
    for open in client.belief.opens.iter().filter(|open| is_current(&open.other)) {
        let known = model.opens.iter().any(|known| {
            known.other == open.other
                && known.access() & open.share.access == open.share.access
                && known.deny() & open.share.deny == open.share.deny
        });
        assert!(known, "{:?} believes in {open:?}, which the server took away", client.no);
    }
    for lock in client.belief.locks.iter().filter(|lock| is_current(&lock.state)) {
        let known = model.held.iter().any(|known| {
            (known.file, known.cell, known.owner, known.state)
                == (lock.file, lock.cell, lock.owner, lock.state)
                && known.kind == lock.kind
        });
        assert!(known, "{:?} believes in {lock:?}, which the server took away", client.no);
    }
    for held in client.belief.delegations.iter().filter(|held| is_current(&held.other)) {
        let is_it =
            |known: &Delegation| (known.other, known.file, known.kind) == (held.other, held.file, held.kind);
        let known = model.delegations.iter().any(is_it);
        assert!(known, "{:?} believes in {held:?}, which the server took away", client.no);
    }
}

fn check_delegations(one: &Client, other: &Client) {
    for held in &one.belief.delegations {
        for open in other.belief.opens.iter().filter(|open| open.file == held.file) {
            let excluded = held.excludes_open(open.share);
            assert!(!excluded, "{:?} believes in {held:?}, {:?} in {open:?}", one.no, other.no);
        }
        for theirs in other.belief.delegations.iter().filter(|theirs| theirs.file == held.file) {
            let excluded = held.kind.conflicts(theirs.kind);
            assert!(!excluded, "{:?} believes in {held:?}, {:?} in {theirs:?}", one.no, other.no);
        }
    }
}

fn check_opens(one: &Client, other: &Client) {
    for a in &one.belief.opens {
        for b in other.belief.opens.iter().filter(|b| b.file == a.file) {
            let conflict = a.share.access & b.share.deny != 0 || a.share.deny & b.share.access != 0;
            assert!(!conflict, "{:?} believes in {a:?}, {:?} in {b:?}", one.no, other.no);
        }
    }
}

fn check_locks(one: &Client, other: &Client) {
    for a in &one.belief.locks {
        for b in other.belief.locks.iter().filter(|b| (b.file, b.cell) == (a.file, a.cell)) {
            assert!(!a.kind.conflicts(b.kind), "{:?} believes in {a:?}, {:?} in {b:?}", one.no, other.no);
        }
    }
}
