//! A finding as the contract prints it: in `scan -o json`, over HTTP, in a webhook and on a hook's standard input.
//!
//! Core types are not `Serialize`, so that the model can change while this stays. The store keeps its own form.

use std::collections::BTreeMap;

use driftwarden_core::compare::Change;
use driftwarden_core::finding::{Actor, Finding};
use driftwarden_core::ignore::Ignored;
use driftwarden_core::resource::{Labels, Origin, ResourceId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Most names that are printed in one line.
const MOST_NAMES: usize = 5;

/// Returns the first few of these names and how many more there are, or nothing if there are none.
pub fn some_of(names: &[String]) -> Option<String> {
    let shown = names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > MOST_NAMES => Some(format!("{shown} and {} more", count - MOST_NAMES)),
        _ => Some(shown),
    }
}

/// A finding.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FindingView {
    /// 32 hexadecimal digits; stays the same for the whole life of the finding.
    pub fingerprint: String,
    /// Counts how often it came back or grew.
    pub generation: u32,
    /// `drift` or `violation`.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// `missing`, `changed`, `unmanaged`, or empty for a violation.
    pub drift: &'static str,
    /// Id of the violated rule, or empty for drift.
    pub rule: String,
    /// One line for people.
    pub message: String,
    /// The resource.
    pub resource: ResourceView,
    /// `critical`, `high`, `medium`, `low` or `info`.
    pub severity: &'static str,
    /// 1 (worst) to 5.
    pub priority: u8,
    /// Why this priority.
    pub priority_reasons: Vec<String>,
    /// `pending`, `open` or `resolved`.
    pub phase: &'static str,
    /// `out_of_band`, `unapplied_commit`, `rolling_out`, `contested` or `unknown`.
    pub cause: &'static str,
    /// Who changed it, where a log was asked; `unknown` where it names nobody.
    pub actor: Option<ActorView>,
    /// How sure it is: `listed`, `reread`, or `rehearsed` where the provider itself said what would change.
    pub proof: &'static str,
    /// Why there was no better proof, or empty.
    pub proof_note: String,
    /// The differences; sensitive values are digests.
    pub changes: Vec<ChangeView>,
    /// Where Git declares it.
    pub desired: Option<DesiredView>,
    /// Start of this generation, RFC 3339.
    pub first_seen: String,
    /// Last complete look that saw it, RFC 3339.
    pub last_seen: String,
    /// When it opened, RFC 3339.
    pub opened_at: Option<String>,
    /// When it was resolved, RFC 3339.
    pub resolved_at: Option<String>,
}

/// A resource, by name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResourceView {
    /// `provider://account/region/kind/name`.
    pub id: String,
    /// Sort of cloud.
    pub cloud: &'static str,
    /// Account, subscription, project or cluster.
    pub account: String,
    /// Region, or `-`.
    pub region: String,
    /// The provider's type name.
    pub kind: String,
    /// The provider's primary identifier.
    pub name: String,
    /// Labels or tags.
    pub labels: Labels,
}

/// Who changed something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActorView {
    /// Person, role or automation; `unknown` where the log names nobody.
    pub name: String,
    /// `person`, `automation`, `service`, `unclear` or `unknown`.
    pub kind: &'static str,
    /// When, RFC 3339.
    pub at: Option<String>,
    /// Which log said so.
    pub source: String,
    /// What that log calls the deed, and the id of its record.
    pub event: Option<String>,
    /// `high`, `medium` or `low`.
    pub confidence: &'static str,
}

/// One difference.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeView {
    /// RFC 6901 pointer.
    pub path: String,
    /// `changed`, `removed` or `added`.
    pub op: &'static str,
    /// What Git says.
    pub desired: Value,
    /// What was read.
    pub observed: Value,
    /// Whether both values are digests.
    pub sensitive: bool,
    /// Why it counts, for people.
    pub reason: String,
    /// Who owns the field, where the provider keeps account of that: names that the owners gave themselves.
    pub owner: Option<String>,
}

/// Where Git declares a resource.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DesiredView {
    /// Name of the configured source.
    pub source: String,
    /// Commit.
    pub revision: String,
    /// Path in the repository.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Last commit that touched it.
    pub commit: Option<String>,
    /// Author of that commit.
    pub author: Option<String>,
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        let evidence = &finding.evidence;
        Self {
            fingerprint: finding.fingerprint.to_string(),
            generation: finding.generation,
            type_: evidence.subject.type_str(),
            drift: evidence.subject.drift_str(),
            rule: evidence.subject.rule_str().to_owned(),
            message: evidence.message.clone(),
            resource: resource(&evidence.resource, &evidence.labels),
            severity: evidence.severity.as_str(),
            priority: finding.priority,
            priority_reasons: finding.priority_reasons.clone(),
            phase: finding.phase.as_str(),
            cause: evidence.cause.as_str(),
            actor: evidence.actor.as_ref().map(actor),
            proof: evidence.proof.as_str(),
            proof_note: evidence.proof.note().to_owned(),
            changes: evidence.changes.iter().map(ChangeView::from).collect(),
            desired: evidence.origin.as_ref().map(desired),
            first_seen: finding.first_seen.to_string(),
            last_seen: finding.last_seen.to_string(),
            opened_at: finding.opened_at.as_ref().map(Timestamp::to_string),
            resolved_at: finding.resolved_at.as_ref().map(Timestamp::to_string),
        }
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        Self {
            path: change.path.clone(),
            op: change.op.as_str(),
            desired: change.desired.clone(),
            observed: change.observed.clone(),
            sensitive: change.sensitive,
            reason: change.reason.to_string(),
            owner: change.owner.clone(),
        }
    }
}

fn resource(id: &ResourceId, labels: &Labels) -> ResourceView {
    ResourceView {
        id: id.to_string(),
        cloud: id.provider.as_str(),
        account: id.account.to_string(),
        region: id.region.to_string(),
        kind: id.kind.to_string(),
        name: id.name.to_string(),
        labels: labels.clone(),
    }
}

fn actor(actor: &Actor) -> ActorView {
    ActorView {
        name: actor.name.clone(),
        kind: actor.kind.as_str(),
        at: actor.at.as_ref().map(Timestamp::to_string),
        source: actor.source.clone(),
        event: actor.event.clone(),
        confidence: actor.confidence.as_str(),
    }
}

fn desired(origin: &Origin) -> DesiredView {
    DesiredView {
        source: origin.source.to_string(),
        revision: origin.revision.to_string(),
        file: origin.file.to_string(),
        line: origin.line,
        commit: origin.touched.as_ref().map(|touched| touched.commit.to_string()),
        author: origin.touched.as_ref().map(|touched| touched.author.to_string()),
    }
}

/// An ignore rule, and what it hid in the last look at each scope.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IgnoredView {
    /// Name of the rule.
    pub rule: String,
    /// Name of the configured source that it stands in.
    pub source: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it hides anything.
    pub until: String,
    /// How many changes it hid.
    pub hits: usize,
    /// Whether its time is over, so that it hides nothing any more.
    pub expired: bool,
    /// Whether it has hidden nothing for long.
    pub stale: bool,
    /// Path in the repository.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// Returns each rule once, with what it hid in all scopes. It is stale when it is so in every one of them.
pub fn ignored<'a>(seen: impl Iterator<Item = &'a Ignored>, stale_after: u32) -> Vec<IgnoredView> {
    let mut views = BTreeMap::<(&str, &str), IgnoredView>::new();
    for ignored in seen {
        let view = views.entry((&ignored.rule.source, &ignored.rule.name)).or_insert_with(|| ignored_nothing(ignored));
        view.hits += ignored.hits;
        view.expired |= ignored.is_expired;
        view.stale &= ignored.is_stale(stale_after);
    }
    views.into_values().collect()
}

fn ignored_nothing(ignored: &Ignored) -> IgnoredView {
    let rule = &ignored.rule;
    IgnoredView {
        rule: rule.name.to_string(),
        source: rule.source.to_string(),
        owner: rule.owner.clone(),
        reason: rule.reason.clone(),
        until: rule.until.to_string(),
        hits: 0,
        expired: false,
        stale: true,
        file: rule.file.to_string(),
        line: rule.line,
    }
}
