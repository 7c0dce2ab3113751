use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dittofs_framework::compound::Nfs4Service;

use super::types::{Grace, Live, Ready};
use super::{ApiState, Phase};

/// The process runs and answers.
pub(super) async fn live() -> Json<Live> {
    Json(Live { version: version() })
}

/// Clients are served; 503 while the server stops. In a grace period it is ready: clients have to reach it to reclaim.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let ready = *state.phase.borrow() == Phase::Serving;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Ready { ready, version: version(), grace: grace(&state.service) };
    (status, Json(body)).into_response()
}

pub(super) fn grace(service: &Nfs4Service) -> Grace {
    let remaining = service.grace_remaining();
    let counts = service.grace().counts();
    Grace {
        in_force: remaining.is_some(),
        remaining_s: remaining.map_or(0, whole_seconds),
        entitled: counts.entitled,
        completed: counts.completed,
    }
}

/// Rounded up: what is left of a second is not over.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
