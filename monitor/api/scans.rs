//! Scopes and scans over HTTP: what was looked at, when, and what could not be read.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::ApiError;
use super::findings::within;
use crate::store::{ScanSummary, ScopeState, Unit};

const LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 500;

/// Which scans are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// How many; 50 if not said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Every scope that was ever scanned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scopes {
    scopes: Vec<ScopeView>,
}

/// What is known of a scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeView {
    /// End of its last complete scan, RFC 3339.
    last_complete_at: Option<String>,
    /// Its last scan.
    last_scan: ScanView,
}

/// The last scans, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scans {
    scans: Vec<ScanView>,
}

/// A scan of one scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScanView {
    /// Its id.
    id: String,
    /// `provider://account/region`.
    scope: String,
    /// Name of the configured cloud.
    cloud: String,
    /// RFC 3339.
    started_at: String,
    /// RFC 3339.
    finished_at: String,
    /// What changed later than this need not have been seen, RFC 3339: the start, or until when the cloud's own log told that
    /// what was not read again had not changed.
    as_of: String,
    /// Whether all of the scope was read to the end.
    complete: bool,
    /// How many resources were seen.
    resources: u64,
    /// How many of them Git declares.
    managed: u64,
    /// What was not read to the end.
    gaps: Vec<GapView>,
    /// Kinds that were compared without their provider's own schema, because it could not be had.
    without_schema: Vec<String>,
    /// The commits that were compared with.
    revisions: Vec<RevisionView>,
}

/// Something that was not read to the end.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapView {
    /// The kind, or nothing where the whole scope could not be read.
    kind: Option<String>,
    /// `denied`, `throttled`, `timeout`, `malformed` or `partial`.
    reason: &'static str,
    /// What happened.
    detail: String,
}

/// The commit of one source.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevisionView {
    /// Name of the source.
    source: String,
    /// The commit.
    revision: String,
}

/// Lists scopes.
#[utoipa::path(
    get, path = "/api/v1/scopes", operation_id = "list_scopes", tag = "scans",
    responses((status = 200, body = Scopes), (status = 401, body = ApiError))
)]
pub(super) async fn scopes(State(api): State<Api>) -> Result<Json<Scopes>, ApiError> {
    let scopes = api.store.scopes().await?.into_iter().map(ScopeView::from).collect();
    Ok(Json(Scopes { scopes }))
}

/// Lists scans.
#[utoipa::path(
    get, path = "/api/v1/scans", operation_id = "list_scans", tag = "scans", params(Asked),
    responses((status = 200, body = Scans), (status = 400, body = ApiError), (status = 401, body = ApiError))
)]
pub(super) async fn scans(
    State(api): State<Api>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Scans>, ApiError> {
    let Query(Asked { limit }) = asked.map_err(|rejection| ApiError::query(rejection.body_text()))?;
    let limit = within("limit", limit, 1..=LARGEST_LIMIT)?.unwrap_or(LIMIT);
    let scans = api.store.last_scans(limit).await?.into_iter().map(ScanView::from).collect();
    Ok(Json(Scans { scans }))
}

impl From<ScopeState> for ScopeView {
    fn from(state: ScopeState) -> Self {
        let ScopeState { last, last_complete_at } = state;
        Self { last_complete_at: last_complete_at.as_ref().map(Timestamp::to_string), last_scan: last.into() }
    }
}

impl From<ScanSummary> for ScanView {
    fn from(scan: ScanSummary) -> Self {
        let as_of = scan.as_of().to_string();
        let ScanSummary { id, scope, started_at, finished_at, complete, resources, managed, units, revisions } = scan;
        let revision = |it: crate::store::Revision| RevisionView { source: it.source, revision: it.revision };
        let lacking = units.iter().filter(|unit| unit.lacks_schema).filter_map(|unit| unit.kind.as_ref());
        Self {
            without_schema: lacking.map(ToString::to_string).collect(),
            id,
            scope: scope.to_string(),
            cloud: scope.cloud.to_string(),
            started_at: started_at.to_string(),
            finished_at: finished_at.to_string(),
            as_of,
            complete,
            resources,
            managed,
            gaps: units.into_iter().filter_map(gap).collect(),
            revisions: revisions.into_iter().map(revision).collect(),
        }
    }
}

fn gap(unit: Unit) -> Option<GapView> {
    let Unit { kind, gap, .. } = unit;
    gap.map(|gap| GapView { kind: kind.map(|kind| kind.to_string()), reason: gap.reason.as_str(), detail: gap.detail })
}
