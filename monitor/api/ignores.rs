//! Ignore rules over HTTP: what is accepted to differ, by whom, until when, and how much each rule hides.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::telemetry::metrics::METRICS;
use crate::view::IgnoredView;

/// Every ignore rule in the desired state in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ignores {
    ignores: Vec<IgnoredView>,
}

/// Lists ignore rules, with what each hid in the last look at every scope.
#[utoipa::path(
    get, path = "/api/v1/ignores", operation_id = "list_ignores", tag = "ignores",
    responses((status = 200, body = Ignores), (status = 401, body = ApiError))
)]
pub(super) async fn list() -> Json<Ignores> {
    Json(Ignores { ignores: METRICS.ignored() })
}
