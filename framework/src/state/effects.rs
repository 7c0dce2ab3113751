use smallvec::SmallVec;

use crate::fs::OpenHold;

/// What is left to do after a change of state, once no lock of the state core is held.
///
/// Dropping it does it: holds on files are let go, which may run code of the backend.
#[derive(Debug, Default)]
#[must_use = "the effects belong to the caller, who decides when they run"]
pub struct Effects {
    holds: SmallVec<[OpenHold; 1]>,
}

impl Effects {
    /// Nothing but a hold to let go.
    pub(super) fn release(hold: OpenHold) -> Self {
        Self { holds: SmallVec::from_iter([hold]) }
    }

    /// Adds what another change left to do.
    pub(super) fn add(&mut self, other: Self) {
        self.holds.extend(other.holds);
    }

    /// Does what is left to do.
    pub fn run(self) {
        drop(self.holds);
    }
}
