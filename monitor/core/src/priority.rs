//! How much a finding matters, with the reasons that a person can argue with.

use jiff::{SignedDuration, Timestamp};

use crate::finding::{Cause, DriftKind, Evidence, Finding, Severity, Subject};

/// Labels and values that mark production.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Label keys that name an environment.
    pub environment_labels: Vec<String>,
    /// Their values that mean production.
    pub production_values: Vec<String>,
    /// Age from which an open finding is raised by one.
    pub old_after: SignedDuration,
}

impl Default for Weights {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            environment_labels: words(&["env", "environment", "stage", "Environment", "Env", "Stage"]),
            production_values: words(&["prod", "production", "live"]),
            old_after: SignedDuration::from_hours(7 * 24),
        }
    }
}

/// Returns how bad a drift is by itself.
pub const fn drift_severity(kind: DriftKind) -> Severity {
    match kind {
        DriftKind::Missing => Severity::High,
        DriftKind::Changed => Severity::Medium,
        DriftKind::Unmanaged => Severity::Low,
    }
}

/// Returns the priority, 1 (worst) to 5, and why.
pub fn prioritize(finding: &Finding, weights: &Weights, now: Timestamp) -> (u8, Vec<String>) {
    let evidence = &finding.evidence;
    let (mut level, reason) = base(evidence);
    let mut reasons = vec![reason];
    let mut shift = |by: i8, reason: String| {
        level += by;
        reasons.push(reason);
    };
    if let Some((key, value)) = production_label(evidence, weights) {
        shift(-1, format!("label {key}={value} marks production"));
    }
    match evidence.cause {
        Cause::UnappliedCommit => shift(1, "an earlier commit says what is observed: not yet applied".to_owned()),
        Cause::RollingOut => shift(2, "the commit is young: it may still be rolling out".to_owned()),
        Cause::Contested => shift(-1, "two writers fight over the value".to_owned()),
        Cause::OutOfBand | Cause::Unknown => (),
    }
    if finding.opened_at.is_some_and(|opened| now.duration_since(opened) >= weights.old_after) {
        shift(-1, format!("open for more than {} days", weights.old_after.as_hours() / 24));
    }
    (u8::try_from(level.clamp(1, 5)).unwrap_or(5), reasons)
}

fn base(evidence: &Evidence) -> (i8, String) {
    let level = match evidence.severity {
        Severity::Critical => 1,
        Severity::High => 2,
        Severity::Medium => 3,
        Severity::Low => 4,
        Severity::Info => 5,
    };
    let of = match &evidence.subject {
        Subject::Drift(kind) => format!("{} resource", kind.as_str()),
        Subject::Violation(rule) => format!("rule {rule}"),
    };
    (level, format!("severity {} of {of}", evidence.severity.as_str()))
}

fn production_label<'a>(evidence: &'a Evidence, weights: &Weights) -> Option<(&'a str, &'a str)> {
    let is_production = |value: &str| weights.production_values.iter().any(|p| p.eq_ignore_ascii_case(value));
    weights.environment_labels.iter().find_map(|key| {
        let (key, value) = evidence.labels.get_key_value(key)?;
        is_production(value).then_some((key.as_str(), value.as_str()))
    })
}
