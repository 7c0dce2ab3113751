//! What a client may believe to hold: what it was granted in a reply that it received, and has not begun to give up.
//!
//! It is on the safe side. Whoever asks to give something up believes no more in it from the moment of asking, and a grant counts only
//! if nothing that could have undone it was under way at any time between request and reply.

use super::range::CellRange;
use super::request::{FileNo, Kind, OwnerNo, Share};

#[derive(Debug)]
pub(crate) struct BelievedOpen {
    pub(crate) other: [u8; 12],
    pub(crate) file: FileNo,
    pub(crate) share: Share,
}

#[derive(Debug)]
pub(crate) struct BelievedLock {
    pub(crate) file: FileNo,
    pub(crate) cell: usize,
    pub(crate) owner: OwnerNo,
    pub(crate) kind: Kind,
    pub(crate) state: [u8; 12],
    pub(crate) open: [u8; 12],
}

/// A delegation, and what the client may have opened by it without asking.
#[derive(Debug)]
pub(crate) struct BelievedDelegation {
    pub(crate) other: [u8; 12],
    pub(crate) file: FileNo,
    pub(crate) kind: Kind,
}

impl BelievedDelegation {
    /// Whether somebody else must not have the file open in this way (RFC 8881 section 10.4).
    pub(crate) fn excludes_open(&self, share: Share) -> bool {
        self.kind == Kind::Write || share.access & crate::WRITE != 0 || share.deny & crate::READ != 0
    }
}

/// What a request may take away from the client that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivesUp {
    pub(crate) opens: bool,
    pub(crate) locks: bool,
}

/// How many requests that give something up have begun or ended, and how many are under way.
#[derive(Debug, Default)]
struct Traffic {
    events: u64,
    under_way: u64,
}

impl Traffic {
    fn begin(&mut self) {
        self.events += 1;
        self.under_way += 1;
    }

    fn end(&mut self) {
        self.events += 1;
        self.under_way -= 1;
    }

    fn is_quiet_since(&self, events: u64, own: bool) -> bool {
        self.events == events && self.under_way == u64::from(own)
    }
}

/// When a request was sent, as far as this matters here.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    gives_up: GivesUp,
    opens: u64,
    locks: u64,
    /// Its reply came too late to be sure of anything.
    pub(crate) is_late: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Belief {
    pub(crate) opens: Vec<BelievedOpen>,
    pub(crate) locks: Vec<BelievedLock>,
    pub(crate) delegations: Vec<BelievedDelegation>,
    open_traffic: Traffic,
    lock_traffic: Traffic,
}

impl Belief {
    /// A request leaves that may give something up.
    pub(crate) fn sent(&mut self, gives_up: GivesUp) -> Mark {
        if gives_up.opens {
            self.open_traffic.begin();
        }
        if gives_up.locks {
            self.lock_traffic.begin();
        }
        Mark { gives_up, opens: self.open_traffic.events, locks: self.lock_traffic.events, is_late: false }
    }

    /// Its reply came, or it will never be carried out any more.
    pub(crate) fn ended(&mut self, mark: &Mark) {
        if mark.gives_up.opens {
            self.open_traffic.end();
        }
        if mark.gives_up.locks {
            self.lock_traffic.end();
        }
    }

    /// Nothing is held any more.
    pub(crate) fn lose_all(&mut self) {
        self.opens.clear();
        self.locks.clear();
        self.delegations.clear();
    }

    /// The client comes to know of a delegation by this one reply: nothing that could undo it was sent before.
    pub(crate) fn gain_delegation(&mut self, mark: &Mark, other: [u8; 12], file: FileNo, kind: Kind) {
        if !mark.is_late {
            self.delegations.push(BelievedDelegation { other, file, kind });
        }
    }

    pub(crate) fn give_up_delegation(&mut self, other: [u8; 12]) {
        self.delegations.retain(|delegation| delegation.other != other);
    }

    pub(crate) fn gain_open(&mut self, mark: &Mark, other: [u8; 12], file: FileNo, share: Share) {
        if mark.is_late || !self.open_traffic.is_quiet_since(mark.opens, mark.gives_up.opens) {
            return;
        }
        match self.opens.iter_mut().find(|open| open.other == other) {
            Some(open) => {
                open.share.access |= share.access;
                open.share.deny |= share.deny;
            }
            None => self.opens.push(BelievedOpen { other, file, share }),
        }
    }

    pub(crate) fn gain_lock(
        &mut self,
        mark: &Mark,
        (file, owner, kind): (FileNo, OwnerNo, Kind),
        range: CellRange,
        (state, open): ([u8; 12], [u8; 12]),
    ) {
        if mark.is_late || !self.lock_traffic.is_quiet_since(mark.locks, mark.gives_up.locks) {
            return;
        }
        self.give_up_range(file, Some(owner), range);
        let lock = |cell| BelievedLock { file, cell, owner, kind, state, open };
        self.locks.extend(range.cells().map(lock));
    }

    pub(crate) fn give_up_open(&mut self, other: [u8; 12]) {
        self.opens.retain(|open| open.other != other);
        self.locks.retain(|lock| lock.open != other);
    }

    pub(crate) fn narrow(&mut self, other: [u8; 12], share: Share) {
        for open in self.opens.iter_mut().filter(|open| open.other == other) {
            open.share.access &= share.access;
            open.share.deny &= share.deny;
        }
    }

    pub(crate) fn give_up_lock_state(&mut self, other: [u8; 12]) {
        self.locks.retain(|lock| lock.state != other);
    }

    /// Of one owner, or of whatever owner if it is not known.
    pub(crate) fn give_up_range(&mut self, file: FileNo, owner: Option<OwnerNo>, range: CellRange) {
        self.locks.retain(|lock| {
            lock.file != file || !range.contains(lock.cell) || owner.is_some_and(|owner| owner != lock.owner)
        });
    }
}
