use std::sync::Arc;

use super::client::ClientRecord;
use super::directory::DirWatch;
use super::ids::{FileKey, Seqid, StateKey};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::fs::{OpenHold, ShareAccess};
use crate::proto::{ClientId, NfsTime, SessionId, Stateid};

/// What a delegation lets its holder do on its own (RFC 8881 sections 10.4 and 10.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DelegationType {
    /// Open the file for reading, and keep what it read.
    Read,
    /// Open, read, write and lock the file.
    Write,
    /// Keep the entries of a directory.
    Directory,
}

impl DelegationType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Directory];

    /// What the holder may do with the file's data.
    pub(super) fn access(self) -> ShareAccess {
        match self {
            Self::Read => ShareAccess::READ,
            Self::Write => ShareAccess::BOTH,
            Self::Directory => ShareAccess::empty(),
        }
    }

    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Directory => "directory",
        }
    }
}

/// A request by which a delegation was given: a client that is asked to return it before it has seen the reply waits for the reply
/// (csa_referring_call_lists, RFC 8881 section 20.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferringCall {
    /// The session.
    pub session: SessionId,
    /// The slot.
    pub slotid: u32,
    /// The request's number in the slot.
    pub sequenceid: u32,
}

/// Why a delegation is to be returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecallReason {
    /// Another client opens the file.
    Open,
    /// Another client reads or writes without an open.
    Io,
    /// Another client changes attributes.
    Attributes,
    /// Another client changes names: removes, renames or links.
    Names,
    /// The holder of a write delegation did not say what it has changed.
    Unanswered,
    /// It was reclaimed by a client that cannot be called back, or by one to which none would be given.
    Reclaimed,
    /// A notification could not be delivered, or the holder did not ask for notifications of the kind.
    Notification,
    /// The file changed behind the server's back.
    Upcall,
    /// An administrator wants it.
    Administrator,
}

impl RecallReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::Io,
        Self::Attributes,
        Self::Names,
        Self::Unanswered,
        Self::Reclaimed,
        Self::Notification,
        Self::Upcall,
        Self::Administrator,
    ];

    /// A name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Io => "io",
            Self::Attributes => "attributes",
            Self::Names => "names",
            Self::Unanswered => "unanswered",
            Self::Reclaimed => "reclaimed",
            Self::Notification => "notification",
            Self::Upcall => "upcall",
            Self::Administrator => "administrator",
        }
    }
}

/// A delegation that its holder is to be asked for.
#[derive(Debug, Clone)]
pub struct Recall {
    /// The holder.
    pub client: Arc<Client>,
    /// The delegation.
    pub stateid: Stateid,
    /// Of what it is.
    pub file: FileKey,
    /// What it is.
    pub kind: DelegationType,
    /// The request that brought it.
    pub referring: Option<ReferringCall>,
    /// Why it is wanted back.
    pub reason: RecallReason,
}

/// A delegation as an administrator sees it.
#[derive(Debug, Clone)]
pub struct DelegationView {
    /// The holder.
    pub client: Arc<Client>,
    /// The delegation.
    pub stateid: Stateid,
    /// Of what it is.
    pub file: FileKey,
    /// What it is.
    pub kind: DelegationType,
    /// Since when its return is waited for.
    pub recalled_at: Option<Timestamp>,
}

/// A delegation, which a client has at most one of on a file. Its seqid never changes.
pub(super) struct Delegation {
    pub(super) key: StateKey,
    pub(super) client: Arc<ClientRecord>,
    pub(super) kind: DelegationType,
    /// The user whose permission was checked, and for what.
    pub(super) principal: u32,
    pub(super) checked: ShareAccess,
    pub(super) recalled_at: Option<Timestamp>,
    pub(super) origin: Option<ReferringCall>,
    /// The holder may have the file open without the server's knowledge.
    pub(super) hold: OpenHold,
    /// Of a write delegation.
    pub(super) shadow: Shadow,
    /// Of a directory delegation.
    pub(super) watch: Option<Box<DirWatch>>,
}

/// What the server tells others of a file while the holder of a write delegation changes it (RFC 8881 section 10.4.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shadow {
    /// The change attribute when the delegation was given: "sc".
    pub(super) change: Option<u64>,
    /// The holder was seen to have modified the file.
    pub(super) is_modified: bool,
    /// The holder did not say what it has of the file: it is not asked again, but waited for.
    pub(super) is_mute: bool,
    /// The holder keeps the timestamps as well (RFC 9754).
    pub(super) has_timestamps: bool,
    /// time_modify when the delegation was given.
    pub(super) time_modify: NfsTime,
}

impl Delegation {
    /// Of all delegations.
    pub(super) const SEQID: Seqid = Seqid::FIRST;

    /// Whether its holder has had a lease's time to return it.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.recalled_at.is_some_and(|at| now.since(at) >= self.client.client.lease())
    }
}

/// The delegations of a file, sorted by client.
#[derive(Default)]
pub(super) struct Delegations(Vec<Delegation>);

impl Delegations {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Delegation> {
        self.0.iter()
    }

    /// Those of clients other than `me`; all of them if it is not known who asks.
    pub(super) fn others(&self, me: Option<ClientId>) -> impl Iterator<Item = &Delegation> {
        self.0.iter().filter(move |delegation| Some(delegation.client.id()) != me)
    }

    fn position(&self, client: ClientId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&client, |delegation| delegation.client.id())
    }

    /// A client's.
    pub(super) fn of(&self, client: ClientId) -> Option<&Delegation> {
        self.0.get(self.position(client).ok()?)
    }

    /// A client's, to change it.
    pub(super) fn of_mut(&mut self, client: ClientId) -> Option<&mut Delegation> {
        let at = self.position(client).ok()?;
        self.0.get_mut(at)
    }

    /// A client's with this number.
    pub(super) fn find(&self, client: ClientId, key: StateKey) -> Option<&Delegation> {
        self.of(client).filter(|delegation| delegation.key == key)
    }

    /// Adds that of a client that has none.
    pub(super) fn insert(&mut self, delegation: Delegation) {
        if let Err(at) = self.position(delegation.client.id()) {
            // One for most files: no room for more than there are.
            self.0.reserve_exact(if self.0.is_empty() { 1 } else { self.0.len() });
            self.0.insert(at, delegation);
        }
    }

    /// Takes out a client's.
    pub(super) fn remove(&mut self, client: ClientId) -> Option<Delegation> {
        let at = self.position(client).ok()?;
        let removed = self.0.remove(at);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(removed)
    }
}
