//! `/metrics`: what the framework counts, as Prometheus reads it.
//!
//! The framework's counters are read when somebody asks, so that they cost nothing else, and two servers in one process do not
//! share any.

mod callbacks;
mod census;
mod delegations;
mod exports;
mod family;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dittofs_framework::compound::Nfs4Service;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

use super::ApiState;
use super::error::ApiError;

pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let encoder = TextEncoder::new();
    let text = encoder.encode_to_string(&gather(&state.service).await).map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}

/// All metrics as they are now.
async fn gather(service: &Nfs4Service) -> Vec<MetricFamily> {
    let exports = exports::gather(service).await;
    [census::gather(service), delegations::gather(service), callbacks::gather(service), exports].concat()
}
