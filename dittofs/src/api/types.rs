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
    /// Files that it has open.
    pub opens: usize,
    /// Byte-range locks.
    pub locks: usize,
}

/// Every request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why, in one sentence.
    pub error: String,
}
