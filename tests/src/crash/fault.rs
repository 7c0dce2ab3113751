use std::fmt;

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// What was acknowledged is not there.
    Lost,
    /// What was gone is there again.
    Returned,
    /// Anything else that must not be.
    Wrong,
}

/// A difference between what must be and what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is about.
    pub kind: FaultKind,
    /// What was expected and found.
    pub what: String,
}

impl Fault {
    pub(super) fn lost(what: impl Into<String>) -> Self {
        Self { kind: FaultKind::Lost, what: what.into() }
    }

    pub(super) fn returned(what: impl Into<String>) -> Self {
        Self { kind: FaultKind::Returned, what: what.into() }
    }

    pub(super) fn wrong(what: impl Into<String>) -> Self {
        Self { kind: FaultKind::Wrong, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// Why a worker cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The connection has ended.
    Gone,
    /// An operation was answered with an error.
    Refused(String),
    /// Something is not as it must be.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a step of a worker comes to.
pub(super) type Step<T> = Result<T, Stop>;
