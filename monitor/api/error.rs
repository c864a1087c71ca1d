//! The one form of an answer that is not what was asked for: a code for programs, a message and a hint for people.
//!
//! What went wrong inside is logged, not told.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;
use crate::telemetry::emit;
use crate::telemetry::events::RequestFailed;

/// Why there is no answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    /// For programs: `not_found`, `invalid_query`, `unauthorized`, `forbidden`, `method_not_allowed`, `timeout`,
    /// `not_ready`, `unavailable`.
    code: &'static str,
    /// For people.
    message: String,
    /// What to try.
    hint: &'static str,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, message: message.into(), hint }
    }

    pub(super) fn no_route() -> Self {
        let hint = "see /api/v1/openapi.json";
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here", hint)
    }

    pub(super) fn no_finding() -> Self {
        let hint = "a fingerprint has 32 hexadecimal digits; see /api/v1/findings";
        Self::new(StatusCode::NOT_FOUND, "not_found", "no finding has that fingerprint", hint)
    }

    pub(super) fn method() -> Self {
        let hint = "everything here is read with GET";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this cannot be done here", hint)
    }

    pub(super) fn query(message: impl Into<String>) -> Self {
        let hint = "see the parameters in /api/v1/openapi.json";
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", message, hint)
    }

    pub(super) fn unauthorized() -> Self {
        let hint = "send `Authorization: Bearer TOKEN` with a token of the section `auth`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "no valid token was sent", hint)
    }

    pub(super) fn host() -> Self {
        let hint = "without tokens only names of this machine are served: ask 127.0.0.1, or configure `auth`";
        Self::new(StatusCode::FORBIDDEN, "forbidden", "not allowed to ask under this host name", hint)
    }

    pub(super) fn timeout() -> Self {
        let hint = "ask for less at once, with `limit`";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the answer took too long", hint)
    }

    pub(super) fn not_ready(why: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why, "wait for the first scans, or see the log")
    }

    pub(super) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "failed to answer", "see the log of the daemon")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        emit(&RequestFailed { error: &error });
        Self::unavailable()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
