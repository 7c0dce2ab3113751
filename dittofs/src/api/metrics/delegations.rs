use dittofs_framework::compound::Nfs4Service;
use dittofs_framework::state::{DelegationType, RecallReason, RevokeReason};
use prometheus::proto::MetricFamily;

use super::family::Family;

/// What happened to delegations since the start, and how many there are.
pub(super) fn gather(service: &Nfs4Service) -> Vec<MetricFamily> {
    let counts = service.state().delegation_counts();
    let active = Family::gauge("delegations", "Delegations that clients hold.")
        .with_each(DelegationType::ALL.map(|kind| (kind.name(), counts.active(kind))));
    let by_type = |name, help, counts: [u64; DelegationType::ALL.len()]| {
        let types = DelegationType::ALL.iter().zip(counts);
        Family::counter(name, help).with_each(types.map(|(kind, count)| (kind.name(), count)))
    };
    let mut recalled = Family::counter(
        "delegations_recalled_total",
        "Delegations that were asked for, by what for. Each is asked for once, however often the client is called.",
    );
    let mut revoked =
        Family::counter("delegations_revoked_total", "Delegations that were taken away, by why.");
    for (index, kind) in DelegationType::ALL.iter().enumerate() {
        let (of_recalls, of_revocations) = (counts.recalled.get(index), counts.revoked.get(index));
        for (reason, count) in RecallReason::ALL.iter().zip(of_recalls.into_iter().flatten()) {
            recalled = recalled.with(&[("type", kind.name()), ("reason", reason.name())], *count);
        }
        for (reason, count) in RevokeReason::ALL.iter().zip(of_revocations.into_iter().flatten()) {
            revoked = revoked.with(&[("type", kind.name()), ("reason", reason.name())], *count);
        }
    }
    let families = [
        active,
        by_type("delegations_granted_total", "Delegations that were given.", counts.granted),
        recalled,
        by_type("delegations_returned_total", "Delegations that clients gave back.", counts.returned),
        revoked,
        by_type(
            "delegations_dropped_total",
            "Delegations that went with their client, or with an OPEN that failed.",
            counts.dropped,
        ),
    ];
    families.into_iter().map(Into::into).collect()
}
