//! The JSON of the API.

use serde::{Deserialize, Serialize};

/// `GET /health/live`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The version of the server.
    pub version: String,
}

/// `GET /health/ready`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether requests of clients are taken.
    pub ready: bool,
    /// The version of the server.
    pub version: String,
    /// The grace period, in which the server is ready too: clients have to reach it to reclaim.
    pub grace: Grace,
}

/// `GET /api/v1/grace`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// Whether all but reclaims has to wait.
    pub in_force: bool,
    /// How long it lasts at most.
    pub remaining_s: u64,
    /// Clients that held state when the server went down.
    pub entitled: usize,
    /// Those of them that have nothing left to reclaim.
    pub completed: usize,
}

/// `GET /api/v1/clients`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// All that are confirmed.
    pub clients: Vec<Client>,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its client ID, as in the log.
    pub clientid: String,
    /// What it calls itself; what is no text of it is shown as U+FFFD.
    pub name: String,
    /// How it made itself known: `4.0` or `4.1+`.
    pub protocol: String,
    /// The user that it made itself known as.
    pub uid: u32,
    /// How long ago its lease was renewed.
    pub idle_s: u64,
    /// Whether its lease ran out: what it holds stands in nobody's way.
    pub expired: bool,
    /// Whether callbacks reach it: `none` (it offers no way), `unproven` (it has not answered one yet), `proven`, `down`. Only who answers
    /// is given delegations.
    pub callbacks: String,
    /// Files that it has open.
    pub opens: usize,
    /// Byte-range locks.
    pub locks: usize,
    /// Delegations.
    pub delegations: usize,
}

/// `GET /api/v1/delegations?client=ID&after=STATEID&limit=N`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegations {
    /// In the order of their stateids.
    pub delegations: Vec<Delegation>,
    /// What `after` has to be for those that follow; none if there may be no more.
    pub next: Option<String>,
}

/// A delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Field `other` of its stateid, in hexadecimal digits.
    pub stateid: String,
    /// `read`, `write` or `directory`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The client ID of its holder.
    pub clientid: String,
    /// What the holder calls itself.
    pub client: String,
    /// The path of the export that the file is in.
    pub export: String,
    /// The backend's handle of the file, in hexadecimal digits.
    pub file: String,
    /// Since when its return is waited for, if it was recalled.
    pub recalled_s: Option<u64>,
}

/// `POST /api/v1/delegations/STATEID/recall`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// The delegation.
    pub stateid: String,
    /// `recalled`: its return is waited for. `revoked`: it is gone, as its holder has no lease or was asked a lease ago.
    pub outcome: String,
}

/// Every request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why, in one sentence.
    pub error: String,
}
