//! Tables of findings, for people.

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table};
use driftwarden_core::finding::{Finding, Phase};
use jiff::{SignedDuration, Timestamp};

/// What a table says of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// 1 (worst) to 5.
    pub(super) priority: u64,
    /// The word.
    pub(super) severity: String,
    /// The word.
    pub(super) phase: String,
    /// The kind of drift, or the id of the rule.
    pub(super) what: String,
    /// The resource's id.
    pub(super) resource: String,
    /// The word.
    pub(super) cause: String,
    /// Start of this generation.
    pub(super) first_seen: Timestamp,
}

impl From<&Finding> for Row {
    fn from(finding: &Finding) -> Self {
        let evidence = &finding.evidence;
        let what = match evidence.subject.drift_str() {
            "" => evidence.subject.rule_str(),
            drift => drift,
        };
        Self {
            priority: finding.priority.into(),
            severity: evidence.severity.as_str().to_owned(),
            phase: finding.phase.as_str().to_owned(),
            what: what.to_owned(),
            resource: evidence.resource.to_string(),
            cause: evidence.cause.as_str().to_owned(),
            first_seen: finding.first_seen,
        }
    }
}

/// Returns findings as a table, the most important first.
pub(super) fn findings(mut rows: Vec<Row>, now: Timestamp) -> String {
    rows.sort_by(|a, b| (a.priority, &a.resource, &a.what).cmp(&(b.priority, &b.resource, &b.what)));
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["PRIO", "SEVERITY", "PHASE", "WHAT", "RESOURCE", "CAUSE", "AGE"]);
    let styles: Vec<Style> = rows.iter().map(|row| style(&row.severity)).collect();
    for row in rows {
        table.add_row([
            format!("P{}", row.priority),
            row.severity,
            row.phase,
            row.what,
            row.resource,
            row.cause,
            age(now.duration_since(row.first_seen)),
        ]);
    }
    // Colored when it is laid out: a color has no width.
    let styles = std::iter::once(Style::new().bold()).chain(styles);
    let colored = table.lines().zip(styles).map(|(line, style)| format!("{style}{}{style:#}", line.trim_end()));
    colored.collect::<Vec<_>>().join("\n") + "\n"
}

fn style(severity: &str) -> Style {
    let color = match severity {
        "critical" | "high" => AnsiColor::Red,
        "medium" => AnsiColor::Yellow,
        "low" => AnsiColor::Cyan,
        _ => AnsiColor::White,
    };
    color.on_default()
}

/// Returns why a change counts, with the place of what is declared.
pub(super) fn placed(reason: &str, place: Option<&str>) -> String {
    match (reason.strip_prefix("declared"), place) {
        (Some(rest), Some(place)) => format!("declared in {place}{rest}"),
        _ => reason.to_owned(),
    }
}

/// Returns a finding in full, as `findings show` and `scan` print it.
pub(super) fn details(finding: &Finding) -> String {
    let evidence = &finding.evidence;
    let mut lines = vec![evidence.message.clone()];
    let place = evidence.origin.as_ref().map(|origin| format!("{}:{}", origin.file, origin.line));
    for change in &evidence.changes {
        let (path, op) = (&change.path, change.op.as_str());
        lines.push(format!("  {op:8} {path}: {} -> {}", change.desired, change.observed));
        lines.push(format!("  {:8} {}", "", placed(&change.reason, place.as_deref())));
    }
    if let Some(actor) = &evidence.actor {
        lines.push(format!("  who: {actor}"));
    }
    if let Some(origin) = &evidence.origin {
        lines.push(format!("  declared in {}:{} at {}", origin.file, origin.line, short(&origin.revision)));
        if let Some(touched) = &origin.touched {
            lines.push(format!("  last touched by {} in {}", touched.author, short(&touched.commit)));
        }
    }
    if finding.phase == Phase::Pending {
        lines.push("  pending: the hold has not passed yet".to_owned());
    }
    lines.extend(finding.priority_reasons.iter().map(|reason| format!("  P{}: {reason}", finding.priority)));
    lines.join("\n") + "\n"
}

fn short(revision: &str) -> &str {
    revision.get(..10).unwrap_or(revision)
}

/// Returns an age in its two largest units.
pub(super) fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}
