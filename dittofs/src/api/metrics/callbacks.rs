use dittofs_framework::callback::{CallbackCounts, DURATION_BOUNDS};
use dittofs_framework::compound::Nfs4Service;
use prometheus::proto::MetricFamily;

use super::family::Family;

/// What clients were called for, and how that went. An operation is there from its first call on: most are never called.
pub(super) fn gather(service: &Nfs4Service) -> Vec<MetricFamily> {
    let mut sent =
        Family::counter("callbacks_sent_total", "Calls to clients, those sent once more included.");
    let mut retried =
        Family::counter("callbacks_retried_total", "Calls sent once more, as their connection was lost.");
    let mut failed = Family::counter("callbacks_failed_total", "Callbacks that were given up, by why.");
    let mut durations = Family::histogram(
        "callback_duration_seconds",
        "How long callbacks took that were answered, calls sent once more included.",
    );
    for counts in service.callbacks().counters().snapshot().iter().filter(|counts| is_known(counts)) {
        let operation = ("operation", counts.op);
        sent = sent.with(&[operation], counts.sent);
        retried = retried.with(&[operation], counts.retried);
        for (reason, count) in counts.failed {
            failed = failed.with(&[operation, ("reason", reason.name())], count);
        }
        let total = counts.duration_total;
        durations = durations.with_buckets(&[operation], &DURATION_BOUNDS, &counts.durations, total);
    }
    let notices = service.notice_counts();
    let notifications = [
        Family::counter("notifications_sent_total", "CB_NOTIFYs that clients have taken.")
            .with(&[], notices.sent),
        Family::counter("notification_changes_total", "Changes of directories that these told of.")
            .with(&[], notices.changes),
        Family::counter(
            "notifications_failed_total",
            "CB_NOTIFYs that did not arrive, for which the delegation was recalled.",
        )
        .with(&[], notices.failed),
    ];
    let callbacks = [sent, retried, failed, durations].into_iter().filter(|family| !family.is_empty());
    callbacks.chain(notifications).map(Into::into).collect()
}

fn is_known(counts: &CallbackCounts) -> bool {
    let gone_wrong: u64 = counts.failed.iter().map(|(_, count)| count).sum();
    counts.sent + gone_wrong > 0
}
