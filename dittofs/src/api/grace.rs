use std::error::Error;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::error::ApiError;
use super::types::Grace;
use super::{ApiState, health};

pub(super) async fn show(State(state): State<ApiState>) -> Json<Grace> {
    Json(health::grace(&state.service))
}

/// Ends the grace period, whoever has not reclaimed. How it stands then is the answer.
pub(super) async fn end(State(state): State<ApiState>) -> Result<Json<Grace>, ApiError> {
    let service = state.service.clone();
    // A task of its own: it goes on if whoever asked is gone before it is on record.
    let ending = tokio::spawn(async move { service.end_grace().await });
    let failed = |error: &dyn Error| {
        let message = format!("the end of the grace period cannot be recorded, and it goes on: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    };
    ending.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    Ok(show(State(state)).await)
}
