use super::delegation::DelegationType;
use super::share::ShareDeny;
use crate::client::CallbackPath;
use crate::fs::ShareAccess;
use crate::proto::{Minor, Want};

/// An open of a file, as one decides by whether to delegate the file.
#[derive(Debug, Clone, Copy)]
pub struct DelegationQuestion {
    /// The minor version of the client.
    pub minor: Minor,
    /// What it says that it wants; one that wants none is not asked about.
    pub want: Want,
    /// What the open allows.
    pub access: ShareAccess,
    /// What the open denies others.
    pub deny: ShareDeny,
    /// Whether the client can be asked for the delegation.
    pub path: CallbackPath,
    /// How many delegations the client has.
    pub held: usize,
}

/// Decides which delegations are offered to clients.
///
/// Whatever it says, a delegation is given only if nothing is in conflict with it, and no delegation of the file was recalled a
/// moment before.
pub trait DelegationPolicy: Send + Sync + 'static {
    /// The delegation that is to be given with an open if possible.
    fn offer(&self, question: &DelegationQuestion) -> Option<DelegationType>;

    /// Whether a client that asks for a delegation of a directory and holds so many delegations is to have one.
    fn offers_directory(&self, path: CallbackPath, held: usize) -> bool {
        let _ = held;
        path == CallbackPath::Proven
    }

    /// Whether a client that wants to keep the timestamps of a file with a write delegation (RFC 9754 section 5) is to keep them.
    ///
    /// Not by default. What a program sets with `utimes` is such a timestamp to Linux, and the RFC has the server ignore what is older
    /// than the delegation and cut off what is in the future: `cp -p`, `tar` and `rsync` would lose the times of the files they make.
    fn offers_timestamps(&self) -> bool {
        false
    }

    /// Whether delegations are given at all. If not, operations do not look for them.
    fn is_enabled(&self) -> bool {
        true
    }
}

/// Offers a delegation to each client that has answered a callback: one for writing to who opens for writing, and one for reading
/// to everybody else.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrantWhenUncontended;

impl DelegationPolicy for GrantWhenUncontended {
    fn offer(&self, question: &DelegationQuestion) -> Option<DelegationType> {
        if question.path != CallbackPath::Proven {
            return None;
        }
        let writes = question.access.contains(ShareAccess::WRITE);
        match question.want {
            Want::Write | Want::Any | Want::NoPreference if writes => Some(DelegationType::Write),
            Want::None | Want::Cancel => None,
            Want::Read if !question.access.contains(ShareAccess::READ) => None,
            _ => Some(DelegationType::Read),
        }
    }
}

/// Offers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDelegations;

impl DelegationPolicy for NoDelegations {
    fn offer(&self, _: &DelegationQuestion) -> Option<DelegationType> {
        None
    }

    fn offers_directory(&self, _: CallbackPath, _: usize) -> bool {
        false
    }

    fn is_enabled(&self) -> bool {
        false
    }
}
