use dittofs_framework::compound::Nfs4Service;
use prometheus::proto::MetricFamily;

use super::family::Family;
use crate::api::health;

/// How much there is of everything.
pub(super) fn gather(service: &Nfs4Service) -> Vec<MetricFamily> {
    let census = service.census();
    let grace = health::grace(service);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let families = [
        Family::gauge("build_info", "Always 1; the version is the label.")
            .with(&[("version", env!("CARGO_PKG_VERSION"))], 1),
        Family::gauge("clients", "Confirmed clients, by how they made themselves known.")
            .with(&[("protocol", "4.0")], count(census.v4_0_clients))
            .with(&[("protocol", "4.1+")], count(census.sessions.clients)),
        Family::gauge("sessions", "Sessions.").with(&[], count(census.sessions.sessions)),
        Family::gauge("session_slots", "Slots of all sessions.").with(&[], census.sessions.slots.into()),
        Family::gauge("opens", "Open files.").with(&[], count(census.state.opens)),
        Family::gauge("lock_stateids", "Pairs of a lock-owner and an open file.")
            .with(&[], count(census.state.lock_stateids)),
        Family::gauge("locks", "Byte-range locks.").with(&[], count(census.state.locks)),
        Family::gauge("grace_in_force", "1 while clients reclaim after a restart and all else waits.")
            .with(&[], grace.in_force.into()),
        Family::gauge("grace_remaining_seconds", "How long the grace period lasts at most.")
            .with(&[], grace.remaining_s),
        Family::gauge("grace_clients", "Clients that may reclaim, and those that have nothing left to.")
            .with(&[("state", "entitled")], count(grace.entitled))
            .with(&[("state", "completed")], count(grace.completed)),
    ];
    families.into_iter().map(Into::into).collect()
}
