//! Which delegations the simulated server offers: what a good policy would, or whatever comes, to whomever.

use std::sync::Mutex;

use dittofs_framework::fs::ShareAccess;
use dittofs_framework::proto::Want;
use dittofs_framework::state::{DelegationPolicy, DelegationQuestion, DelegationType};

use crate::Random;

/// How a world offers delegations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Never.
    Never,
    /// As far as the client can make use of them.
    Sensibly,
    /// Now these and now those, whatever the client wants and can be asked for.
    Wildly,
}

/// What the policy was asked, and what it said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) question: DelegationQuestion,
    pub(crate) kind: Option<DelegationType>,
}

/// A policy that remembers what it offered.
pub(crate) struct Policy {
    manner: Manner,
    inner: Mutex<Inner>,
}

struct Inner {
    rng: Random,
    offers: Vec<Offer>,
}

impl Policy {
    pub(crate) fn new(manner: Manner, seed: u64) -> Self {
        let inner = Inner { rng: Random::new(seed), offers: Vec::new() };
        Self { manner, inner: Mutex::new(inner) }
    }

    /// The offers since the last call.
    pub(crate) fn take_offers(&self) -> Vec<Offer> {
        std::mem::take(&mut self.inner.lock().expect("one thread").offers)
    }
}

impl DelegationPolicy for Policy {
    fn offer(&self, question: &DelegationQuestion) -> Option<DelegationType> {
        let mut inner = self.inner.lock().expect("one thread");
        let any = [Some(DelegationType::Read), Some(DelegationType::Write), None];
        let sensible = match question.want {
            Want::Read => Some(DelegationType::Read),
            _ if question.access.contains(ShareAccess::WRITE) => Some(DelegationType::Write),
            Want::Write => inner.rng.one_of(&[Some(DelegationType::Write), Some(DelegationType::Read)]),
            _ => Some(DelegationType::Read),
        };
        let kind = match self.manner {
            Manner::Sensibly if inner.rng.below(12) > 0 => sensible,
            Manner::Never | Manner::Sensibly => None,
            Manner::Wildly => inner.rng.one_of(&any),
        };
        inner.offers.push(Offer { question: *question, kind });
        kind
    }

    fn offers_timestamps(&self) -> bool {
        true
    }

    fn is_enabled(&self) -> bool {
        self.manner != Manner::Never
    }
}
