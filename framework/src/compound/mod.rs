//! COMPOUND: the dispatcher that runs operations one after the other and enforces what their rows say.

mod admission;
mod callbacks;
mod callbacks_v4_0;
mod context;
mod delegations;
mod dir_change;
mod dir_told;
mod dispatch;
mod duplicates;
mod notices;
mod operator;
mod predecessors;
mod program;
mod recovery;
mod returns;
mod service;
mod settle;
#[cfg(test)]
mod settle_tests;
mod turns;
mod unsettled;
mod upcalls;

pub use admission::{HandlesSet, Position, admit};
pub use context::CompoundContext;
pub use dir_change::{DirChange, DirEdit, DirOutcome};
pub use duplicates::DuplicateLimits;
pub use notices::NoticeCounts;
pub use operator::{Census, RecallOutcome};
pub use predecessors::RestartedClients;
pub use program::Nfs4Program;
pub use recovery::{Claim, ClaimPermit};
pub use service::{BuildError, Limits, Nfs4Service, Nfs4ServiceBuilder};
pub use turns::Turns;
