//! What must hold whatever the model thinks: no two clients believe to hold what excludes each other, and the server knows of all that is
//! believed.

use super::client::Client;
use super::model::Model;

/// # Panics
/// If it does not hold.
pub(crate) fn check(clients: &mut [Client], model: &Model, now: u64) {
    for client in clients.iter_mut().filter(|client| !client.has_lease(now, model.lease)) {
        client.belief.lose_all();
    }
    for (index, client) in clients.iter().enumerate() {
        check_known(client, model);
        for other in &clients[index + 1..] {
            check_opens(client, other);
            check_locks(client, other);
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
