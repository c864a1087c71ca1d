//! The HTTP interface: probes, metrics, and what is known, to be read.
//!
//! Denied by default: whatever is not a probe or the metrics asks for a token where tokens are configured, and a path
//! that does not exist asks, too. Nothing here changes anything; every answer comes from the store as it is now.

pub mod auth;
pub mod error;
pub mod findings;
pub mod ignores;
pub mod scans;
pub mod server;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use driftwarden_core::finding::Finding;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::auth::Tokens;
use self::error::ApiError;
use crate::schedule;
use crate::store::Store;
use crate::telemetry::metrics::METRICS;

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the daemon has looked at everything lately.
pub trait Readiness: fmt::Debug + Send + Sync {
    /// Says no, and why, until every scope had a scan in the last three intervals.
    fn readiness(&self) -> Result<(), String>;
}

/// Who knows what the configuration in force looks at.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Returns whether what a finding is about is still looked at.
    fn watches(&self, finding: &Finding) -> bool;
}

/// What the answers are made of.
#[derive(Debug, Clone)]
pub struct Api {
    /// What is known.
    pub store: Arc<dyn Store>,
    /// Who may ask.
    pub tokens: Arc<Tokens>,
    /// Whether the daemon is ready.
    pub readiness: Arc<dyn Readiness>,
    /// What is still looked at.
    pub watch: Arc<dyn Watch>,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "driftwarden", description = "What has left what Git says.", license(name = "Apache-2.0")),
    security(("bearer" = []))
)]
struct Document;

/// Returns every route that the document describes.
fn described() -> OpenApiRouter<Api> {
    let mut document = Document::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    OpenApiRouter::with_openapi(document)
        .routes(routes!(findings::list))
        .routes(routes!(findings::show))
        .routes(routes!(ignores::list))
        .routes(routes!(scans::scopes))
        .routes(routes!(scans::scans))
}

/// Returns the document that describes the interface.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}

/// Returns all routes.
pub fn router(api: Api) -> Router {
    let (routes, document) = described().split_for_parts();
    routes
        .route("/api/v1/openapi.json", get(async move || Json(document)))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::no_route())
        .method_not_allowed_fallback(async || ApiError::method())
        .layer(middleware::from_fn_with_state(api.clone(), auth::check))
        .layer(middleware::map_response(harden))
        .with_state(api)
}

async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    api.readiness.readiness().map(|()| "ready\n").map_err(ApiError::not_ready)
}

async fn metrics() -> Result<Response, ApiError> {
    let text = METRICS.encode(schedule::now()).map_err(|_| ApiError::unavailable())?;
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

/// Keeps answers out of caches and from being taken for something else.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

#[cfg(test)]
mod tests;
