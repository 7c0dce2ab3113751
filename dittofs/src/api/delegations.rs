use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dittofs_framework::clock::Timestamp;
use dittofs_framework::compound::{Nfs4Service, RecallOutcome};
use dittofs_framework::proto::{ClientId, Stateid};
use dittofs_framework::state::DelegationView;
use serde::Deserialize;

use super::ApiState;
use super::clients::name_of;
use super::error::ApiError;
use super::types::{Delegation, Delegations, Recalled};

/// Delegations of one answer, if nothing else is asked for, and at most.
const LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;

/// Which delegations are asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    client: Option<u64>,
    after: Option<String>,
    limit: Option<usize>,
}

/// Who holds what.
pub(super) async fn list(
    State(state): State<ApiState>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Delegations>, ApiError> {
    let Query(Asked { client, after, limit }) = asked?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("limit is {limit}, and not from 1 to {MAX_LIMIT}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let after = after.as_deref().map(stateid).transpose()?;
    let service = state.service;
    let found = service.state().delegations(client.map(ClientId), after.as_ref(), limit);
    let next = found.last().filter(|_| found.len() == limit).map(|last| hex(&last.stateid));
    let now = service.now();
    let delegations = found.iter().map(|delegation| view(&service, now, delegation)).collect();
    Ok(Json(Delegations { delegations, next }))
}

/// Asks for a delegation back.
pub(super) async fn recall(
    State(state): State<ApiState>,
    Path(wanted): Path<String>,
) -> Result<Json<Recalled>, ApiError> {
    let stateid = stateid(&wanted)?;
    let service = state.service;
    // A task of its own: it goes on if whoever asked is gone before a revocation is on record.
    let recalling = tokio::spawn(async move { service.recall(&stateid).await });
    let outcome = recalling.await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the recall failed: {error}"))
    })?;
    let outcome = match outcome {
        Some(RecallOutcome::Recalled) => "recalled",
        Some(RecallOutcome::Revoked) => "revoked",
        None => {
            let message = format!("there is no delegation with the stateid {wanted}");
            return Err(ApiError::new(StatusCode::NOT_FOUND, message));
        }
    };
    Ok(Json(Recalled { stateid: hex(&stateid), outcome: outcome.to_owned() }))
}

fn view(service: &Nfs4Service, now: Timestamp, delegation: &DelegationView) -> Delegation {
    let export = service.namespace().export(delegation.file.export);
    Delegation {
        stateid: hex(&delegation.stateid),
        kind: delegation.kind.name().to_owned(),
        clientid: delegation.client.id().0.to_string(),
        client: name_of(&delegation.client),
        export: export.map(|export| export.path.clone()).unwrap_or_default(),
        file: format!("{:?}", delegation.file.node),
        recalled_s: delegation.recalled_at.map(|at| now.since(at).as_secs()),
    }
}

/// The field `other`, which names a state.
fn hex(stateid: &Stateid) -> String {
    let mut number = [0; 16];
    if let Some(tail) = number.last_chunk_mut() {
        *tail = stateid.other;
    }
    format!("{:024x}", u128::from_be_bytes(number))
}

fn stateid(text: &str) -> Result<Stateid, ApiError> {
    let bad = || {
        let message = format!("{text:?} is not a stateid: 24 hexadecimal digits, its field `other`");
        ApiError::new(StatusCode::BAD_REQUEST, message)
    };
    if text.len() != 24 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(bad());
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| bad())?;
    let [_, _, _, _, other @ ..] = number.to_be_bytes();
    Ok(Stateid { seqid: 0, other })
}
