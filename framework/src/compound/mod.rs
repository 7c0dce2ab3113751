//! COMPOUND: the dispatcher that runs operations one after the other and enforces what their rows say.

mod admission;
mod callbacks_v4_0;
mod context;
mod delegations;
mod dispatch;
mod duplicates;
mod operator;
mod program;
mod recovery;
mod returns;
mod service;
mod settle;
#[cfg(test)]
mod settle_tests;
mod turns;
mod unsettled;

pub use admission::{HandlesSet, Position, admit};
pub use context::CompoundContext;
pub use duplicates::DuplicateLimits;
pub use operator::{Census, RecallOutcome};
pub use program::Nfs4Program;
pub use recovery::{Claim, ClaimPermit};
pub use service::{BuildError, Limits, Nfs4Service, Nfs4ServiceBuilder};
pub use turns::Turns;
