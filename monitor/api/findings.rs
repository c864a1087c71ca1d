//! Findings over HTTP.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use driftwarden_core::finding::{Finding, Fingerprint, Phase, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::ApiError;
use crate::store::Filter;
use crate::view::FindingView;

const LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1_000;

/// Which findings are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// `pending`, `open`, `resolved`, or several with commas.
    phase: Option<String>,
    /// Sort of cloud (`aws`) or name of a configured cloud (`prod`).
    cloud: Option<String>,
    /// `drift` or `violation`.
    #[serde(rename = "type")]
    type_: Option<String>,
    /// `critical`, `high`, `medium`, `low` or `info`.
    severity: Option<String>,
    /// 1 (worst) to 5.
    #[param(minimum = 1, maximum = 5)]
    priority: Option<u8>,
    /// How many at once; 100 if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A finding, and whether anybody still looks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Known {
    #[serde(flatten)]
    finding: FindingView,
    /// Whether the configuration in force still looks at what it is about. What nobody looks at is as it was last seen, never
    /// ends by itself and is not told again.
    watched: bool,
}

impl Known {
    fn of(finding: &Finding, api: &Api) -> Self {
        Self { finding: FindingView::from(finding), watched: api.watch.watches(finding) }
    }
}

/// A page of findings, sorted by fingerprint.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    findings: Vec<Known>,
    /// Cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Lists findings.
#[utoipa::path(
    get, path = "/api/v1/findings", operation_id = "list_findings", tag = "findings", params(Asked),
    responses((status = 200, body = Page), (status = 400, body = ApiError), (status = 401, body = ApiError))
)]
pub(super) async fn list(
    State(api): State<Api>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let Query(asked) = asked.map_err(|rejection| ApiError::query(rejection.body_text()))?;
    let filter = filter(asked)?;
    let findings = api.store.findings(&filter).await?;
    let is_full = u32::try_from(findings.len()).ok() == filter.limit;
    let next = findings.last().filter(|_| is_full).map(|last| last.fingerprint.to_string());
    Ok(Json(Page { findings: findings.iter().map(|finding| Known::of(finding, &api)).collect(), next }))
}

/// Shows one finding.
#[utoipa::path(
    get, path = "/api/v1/findings/{fingerprint}", operation_id = "show_finding", tag = "findings",
    params(("fingerprint" = String, Path, description = "32 hexadecimal digits")),
    responses((status = 200, body = Known), (status = 401, body = ApiError), (status = 404, body = ApiError))
)]
pub(super) async fn show(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Known>, ApiError> {
    let fingerprint = path.ok().and_then(|Path(text)| Fingerprint::parse(&text)).ok_or_else(ApiError::no_finding)?;
    let finding = api.store.finding(fingerprint).await?.ok_or_else(ApiError::no_finding)?;
    Ok(Json(Known::of(&finding, &api)))
}

fn filter(asked: Asked) -> Result<Filter, ApiError> {
    let Asked { phase, cloud, type_, severity, priority, limit, cursor } = asked;
    let phases = phase.iter().flat_map(|list| list.split(',')).map(|word| known("phase", word, Phase::parse(word)));
    let type_is_known = type_.as_deref().is_none_or(|type_| ["drift", "violation"].contains(&type_));
    known("type", type_.as_deref().unwrap_or_default(), type_is_known.then_some(()))?;
    Ok(Filter {
        scope: None,
        phases: phases.collect::<Result<_, _>>()?,
        cloud,
        type_,
        severity: severity.map(|word| known("severity", &word, Severity::parse(&word))).transpose()?,
        priority: within("priority", priority, 1..=5)?,
        among: Vec::new(),
        after: cursor.map(|text| known("cursor", &text, Fingerprint::parse(&text))).transpose()?,
        limit: within("limit", limit.or(Some(LIMIT)), 1..=LARGEST_LIMIT)?,
    })
}

fn known<T>(key: &str, word: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::query(format!("invalid {key}: unknown value `{word}`")))
}

pub(super) fn within<T: PartialOrd + Display>(
    key: &str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<Option<T>, ApiError> {
    match value {
        Some(value) if !range.contains(&value) => {
            let (least, most) = range.into_inner();
            Err(ApiError::query(format!("invalid {key}: expected {least} to {most}, not {value}")))
        }
        value => Ok(value),
    }
}
