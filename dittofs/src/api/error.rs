//! What is answered to requests that are not carried out: a status and JSON with one sentence.

use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Body;

use super::types::ErrorBody;

/// Most bytes of a request's body: none of the requests needs one.
const MAX_BODY: u64 = 4 << 10;
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { error: self.message })).into_response()
    }
}

pub(super) async fn no_such_path(request: Request) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("there is no {}", request.uri().path()))
}

pub(super) async fn no_such_method(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} cannot be asked with {method}"))
}

/// Refuses what is too large, what takes too long, and what a web page makes a browser send.
pub(super) async fn limit(request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > MAX_BODY {
        let message = format!("the body of the request is larger than {MAX_BODY} bytes");
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).into_response();
    }
    // A page from anywhere can have the browser of somebody on this machine send a POST to a loopback address; only what
    // browsers send for pages names an origin.
    if !request.method().is_safe() && request.headers().contains_key(header::ORIGIN) {
        return ApiError::new(StatusCode::FORBIDDEN, "requests of web pages are refused").into_response();
    }
    let response = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    response.unwrap_or_else(|_| {
        let message = format!("not done within {} seconds", REQUEST_TIMEOUT.as_secs());
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
    })
}
