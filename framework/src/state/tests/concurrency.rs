//! Many threads on few files: nothing is lost, nothing is left over, no lock is taken out of order.
//!
//! Origin: own scenarios.
//! RFC: none; what one call after the other may leave, many at once may leave.

use std::thread;

use super::*;

const ROUNDS: u64 = 300;

/// Opens, locks, reads, unlocks and closes, over and over.
fn work(table: &StateTable, client: ClientId) {
    for round in 0..ROUNDS {
        let name = owner(client, &(round % 3).to_string());
        let opened = table.open(
            Timestamp::default(),
            &OpenRequest {
                owner: &name,
                file: file(round % 2),
                principal: USER,
                access: BOTH,
                deny: if round % 7 == 0 { ShareDeny::WRITE } else { DENY_NONE },
                delegation: None,
                passing: ShareAccess::empty(),
                hold: OpenHold::new(()),
            },
        );
        let Ok(granted) = opened else { continue };
        granted.effects.run();
        if round % 5 == 0 {
            table.undo_open(&granted.undo).run();
            continue;
        }
        let (open, at) = (granted.stateid, file(round % 2));
        let locker = Locker::New { open, owner: &name };
        if let Ok(lock) = table.lock(caller(client), &at, &locker, &range(round % 10, 5), LockKind::Write) {
            table.check_io(caller(client), USER, &lock, &at, Io::Write).expect("locked and open");
            table.unlock(caller(client), &lock, &at, &range(0, 7)).expect("its own lock");
        }
        table.close(caller(client), &open, &at).expect("its own open").run();
    }
}

#[test]
fn threads_leave_nothing_behind() {
    let table = StateTable::new(1, StateLimits::default());
    thread::scope(|scope| {
        for client in 1..5 {
            let table = &table;
            table.add_client(&session_client(ClientId(client)));
            scope.spawn(move || work(table, ClientId(client)));
        }
    });
    table.check_invariants().expect("the invariants hold");
    assert!((1..5).all(|client| !table.has_state(ClientId(client))));
    assert!(table.files.map_all(|_, _| ()).is_empty(), "no file stays in the table");
}

#[test]
fn a_client_is_dropped_while_it_works() {
    let table = StateTable::new(1, StateLimits::default());
    table.add_client(&session_client(ALICE));
    thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let name = owner(ALICE, "me");
            for round in 0..ROUNDS {
                let opened = table.open(
                    Timestamp::default(),
                    &OpenRequest {
                        owner: &name,
                        file: file(round),
                        principal: USER,
                        access: BOTH,
                        deny: DENY_NONE,
                        delegation: None,
                        passing: ShareAccess::empty(),
                        hold: OpenHold::new(()),
                    },
                );
                // Refused once the client is dropped, or while it is.
                if let Ok(granted) = opened {
                    granted.effects.run();
                }
            }
        });
        while !opener.is_finished() {
            table.drop_client(ALICE).1.run();
            table.add_client(&session_client(ALICE));
        }
    });
    table.check_invariants().expect("the invariants hold");
    table.drop_client(ALICE).1.run();
    assert!(table.files.map_all(|_, _| ()).is_empty(), "no file stays in the table");
}
