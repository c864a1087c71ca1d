//! Every internal event as a type. Emitting one writes its log line and moves its metrics.
//!
//! Levels: `error` = someone must act; `warn` = went wrong and we carried on; `info` = a change of state, at most once
//! per scan; `debug` = per kind; `trace` = per page.

use std::fmt::Display;

use driftwarden_core::finding::{Finding, Transition};
use driftwarden_core::resource::{Gap, Kind, Scope};
use jiff::{SignedDuration, Timestamp};

use super::metrics::METRICS;
use super::{Event, chain};

/// One request to a cloud ended.
#[derive(Debug)]
pub struct CloudRequestEnded<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
    /// The cloud's service: `s3`, `cloudcontrolapi`, `apps`.
    pub service: &'a str,
    /// HTTP status, or 0 where none came.
    pub code: u16,
    /// Whether the answer was a request to slow down.
    pub throttled: Throttled,
}

/// Whether an answer was a request to slow down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttled {
    /// It was.
    Yes,
    /// It was not.
    No,
}

impl Event for CloudRequestEnded<'_> {
    fn record(&self) {
        METRICS.cloud_request(self.cloud, self.service, self.code);
        if self.throttled == Throttled::Yes {
            METRICS.cloud_throttle(self.cloud, self.service);
            tracing::debug!(cloud = self.cloud, service = self.service, code = self.code, "throttled by the cloud");
        }
    }
}

/// What became of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchStep {
    /// It began.
    Begun,
    /// It lasted as long as it was to.
    Ended,
    /// What it began from is too old; the kind is listed again.
    Expired,
    /// It failed and is begun again.
    Broken,
    /// It is not allowed, or there is nothing to watch; it is tried again much later.
    Denied,
}

impl WatchStep {
    /// Returns the word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Broken => "broken",
            Self::Denied => "denied",
        }
    }
}

/// A watch of a kind began or ended.
#[derive(Debug)]
pub struct WatchMoved<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
    /// What is watched.
    pub kind: &'a Kind,
    /// What became of it.
    pub step: WatchStep,
    /// Why, where something failed.
    pub why: &'a str,
}

impl Event for WatchMoved<'_> {
    fn record(&self) {
        METRICS.watch_moved(self.cloud, self.step.as_str());
        let Self { cloud, kind, step, why } = self;
        match step {
            WatchStep::Broken | WatchStep::Denied => tracing::debug!(cloud, %kind, why, "failed to watch a kind"),
            _ => tracing::trace!(cloud, %kind, step = step.as_str(), "watch"),
        }
    }
}

/// A cloud is scanned before its interval is over, because something in it changed.
#[derive(Debug)]
pub struct ScanWoken<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
}

impl Event for ScanWoken<'_> {
    fn record(&self) {
        METRICS.scan_woken(self.cloud);
        tracing::debug!(cloud = self.cloud, "something changed: the cloud is scanned now");
    }
}

/// A kind, or a whole scope, was not read to the end.
#[derive(Debug)]
pub struct GapFound<'a> {
    /// Where.
    pub scope: &'a Scope,
    /// What and why.
    pub gap: &'a Gap,
}

impl Event for GapFound<'_> {
    fn record(&self) {
        let kind = self.gap.kind.as_ref().map_or("*", |kind| kind.as_str());
        tracing::warn!(scope = %self.scope, kind, reason = %self.gap.reason, detail = self.gap.detail, "failed to read a kind to the end");
    }
}

/// A provider was asked for the schema of a kind.
#[derive(Debug)]
pub struct SchemaAnswered<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
    /// The kind.
    pub kind: &'a Kind,
    /// `read`, or the reason why not.
    pub result: &'static str,
}

impl Event for SchemaAnswered<'_> {
    fn record(&self) {
        METRICS.schema_read(self.cloud, self.result);
        tracing::debug!(cloud = self.cloud, kind = %self.kind, result = self.result, "asked for a schema");
    }
}

/// Schemas could not be had; the last ones that were read, if any, stay in force.
#[derive(Debug)]
pub struct SchemasLacked<'a> {
    /// Where they were asked for.
    pub scope: &'a Scope,
    /// Of how many kinds.
    pub kinds: usize,
    /// One of them.
    pub kind: &'a Kind,
    /// Why that one could not be had.
    pub why: &'a str,
}

impl Event for SchemasLacked<'_> {
    fn record(&self) {
        let Self { scope, kinds, kind, why } = self;
        tracing::warn!(%scope, kinds, example = %kind, error = why, "failed to read schemas; without them, more may be told than matters");
    }
}

/// What the aliases of keys stand for could not be read.
#[derive(Debug)]
pub struct RelatedLacked<'a> {
    /// Where it was asked for.
    pub scope: &'a Scope,
    /// Why it could not be had.
    pub why: &'a str,
}

impl Event for RelatedLacked<'_> {
    fn record(&self) {
        let Self { scope, why } = self;
        tracing::warn!(%scope, error = why, "failed to read aliases of keys; whether one stands for the key in use is unknown");
    }
}

/// Schemas could not be kept, or what was kept could not be read; they are asked for again.
#[derive(Debug)]
pub struct SchemasUnsaved<'a> {
    /// Why.
    pub error: &'a dyn std::error::Error,
}

impl Event for SchemasUnsaved<'_> {
    fn record(&self) {
        tracing::warn!(error = chain(self.error), "failed to keep schemas; they are asked for again after a restart");
    }
}

/// Something that must not happen happened; the safe answer was given instead.
#[derive(Debug)]
pub struct InvariantBroken<'a, T: Display> {
    /// What was broken.
    pub what: &'a str,
    /// Details.
    pub detail: T,
}

impl<T: Display> Event for InvariantBroken<'_, T> {
    fn record(&self) {
        tracing::error!(what = self.what, detail = %self.detail, "invariant broken");
    }
}

/// One stage of a scan ended.
#[derive(Debug)]
pub struct StageEnded<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
    /// `collect`, `compare`, `confirm`, `save` or `scan` for the whole.
    pub stage: &'static str,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Event for StageEnded<'_> {
    fn record(&self) {
        METRICS.stage((self.cloud, self.stage), self.seconds, super::trace_id());
    }
}

/// One scan of one scope was saved.
#[derive(Debug)]
pub struct ScanFinished<'a> {
    /// Which scope.
    pub scope: &'a Scope,
    /// How many resources were seen.
    pub resources: usize,
    /// How many kinds were not read to the end.
    pub gaps: usize,
    /// How many findings are not resolved.
    pub findings: usize,
    /// How many opened.
    pub opened: u64,
    /// How many were resolved.
    pub resolved: u64,
}

impl Event for ScanFinished<'_> {
    fn record(&self) {
        METRICS.findings_moved(&self.scope.cloud, self.opened, self.resolved);
        let Self { scope, resources, gaps, findings, opened, resolved } = self;
        tracing::info!(%scope, resources, gaps, findings, opened, resolved, "scan finished");
    }
}

/// A finding changed its phase or grew.
#[derive(Debug)]
pub struct FindingMoved<'a> {
    /// The finding as it is now.
    pub finding: &'a Finding,
    /// What happened to it.
    pub transition: Transition,
}

impl Event for FindingMoved<'_> {
    fn record(&self) {
        let Finding { fingerprint, generation, evidence, priority, .. } = self.finding;
        let (resource, cause, message) = (&evidence.resource, evidence.cause.as_str(), &evidence.message);
        let transition = self.transition.as_str();
        match self.transition {
            Transition::Appeared | Transition::Vanished => {
                tracing::debug!(%fingerprint, generation, priority, %resource, cause, transition, "{message}");
            }
            Transition::Opened | Transition::Grew | Transition::Resolved => {
                tracing::info!(%fingerprint, generation, priority, %resource, cause, transition, "{message}");
            }
        }
    }
}

/// A change of which the cloud's log says when it was made is an open finding.
#[derive(Debug)]
pub struct ChangeDetected<'a> {
    /// In which cloud.
    pub cloud: &'a str,
    /// From the change to the opening.
    pub delay: SignedDuration,
}

impl Event for ChangeDetected<'_> {
    fn record(&self) {
        let seconds = self.delay.as_secs_f64();
        METRICS.detection_delay(self.cloud, seconds);
        tracing::debug!(cloud = self.cloud, seconds, "a change was detected");
    }
}

/// A scan could not be carried through; what was known stays in force.
#[derive(Debug)]
pub struct ScanFailed<'a> {
    /// Scope or cloud.
    pub of: &'a str,
    /// Why.
    pub error: &'a anyhow::Error,
}

impl Event for ScanFailed<'_> {
    fn record(&self) {
        tracing::error!(of = self.of, error = %format_args!("{:#}", self.error), "failed to scan");
    }
}

/// Desired state was fetched.
#[derive(Debug)]
pub struct DesiredFetched<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The revision in force, where it is a new one.
    pub revision: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

impl Event for DesiredFetched<'_> {
    fn record(&self) {
        METRICS.desired(self.source, self.revision, self.at);
        if let Some(revision) = self.revision {
            tracing::info!(source = self.source, revision, "desired state has a new revision");
        }
    }
}

/// Desired state could not be fetched or read; the last good revision stays in force.
#[derive(Debug)]
pub struct DesiredRefused<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Why.
    pub error: &'a anyhow::Error,
}

impl Event for DesiredRefused<'_> {
    fn record(&self) {
        let error = format_args!("{:#}", self.error);
        tracing::error!(source = self.source, error = %error, "failed to read desired state; the last good revision stays in force");
    }
}

/// The configuration was read again.
#[derive(Debug)]
pub struct ConfigReloaded<'a> {
    /// Why it was refused, if it was; then the old one stays in force.
    pub error: Option<&'a anyhow::Error>,
}

impl Event for ConfigReloaded<'_> {
    fn record(&self) {
        METRICS.config_reload(i64::from(self.error.is_none()));
        match self.error {
            None => tracing::info!("configuration loaded"),
            Some(error) => {
                tracing::error!(error = %format_args!("{error:#}"), "failed to load the configuration; the old one stays in force");
            }
        }
    }
}

/// What is old was forgotten.
#[derive(Debug)]
pub struct MemoryPruned {
    /// How many rows that were.
    pub rows: u64,
}

impl Event for MemoryPruned {
    fn record(&self) {
        tracing::debug!(rows = self.rows, "forgot what is old");
    }
}

/// What is old could not be forgotten; it is tried again.
#[derive(Debug)]
pub struct MemoryNotPruned<'a> {
    /// Why.
    pub error: &'a dyn std::error::Error,
}

impl Event for MemoryNotPruned<'_> {
    fn record(&self) {
        tracing::warn!(error = chain(self.error), "failed to forget what is old");
    }
}

/// The audit log grew.
#[derive(Debug)]
pub struct AuditAppended {
    /// By that many records.
    pub records: usize,
}

impl Event for AuditAppended {
    fn record(&self) {
        METRICS.audit_appended(u64::try_from(self.records).unwrap_or(u64::MAX));
    }
}

/// The audit log refused a record; what was to be recorded was not done.
#[derive(Debug)]
pub struct AuditRefused<'a> {
    /// Why.
    pub error: &'a dyn std::error::Error,
}

impl Event for AuditRefused<'_> {
    fn record(&self) {
        let error = chain(self.error);
        tracing::error!(error, "failed to append to the audit log: nothing that needs a record is done");
    }
}

/// A request over HTTP could not be answered.
#[derive(Debug)]
pub struct RequestFailed<'a> {
    /// Why.
    pub error: &'a dyn std::error::Error,
}

impl Event for RequestFailed<'_> {
    fn record(&self) {
        tracing::error!(error = chain(self.error), "failed to answer a request");
    }
}

/// One attempt to notify ended.
#[derive(Debug)]
pub struct NotificationEnded<'a> {
    /// Name of the receiver.
    pub receiver: &'a str,
    /// `sent`, `retried`, `buried`, `refreshed`, `unrefreshed`, `repeated` or `unrepeated`.
    pub result: &'static str,
    /// How many findings it was about.
    pub notices: usize,
    /// Why it failed, if it did.
    pub error: Option<&'a str>,
}

impl Event for NotificationEnded<'_> {
    fn record(&self) {
        METRICS.notification(self.receiver, self.result);
        let Self { receiver, result, notices, error } = self;
        match error {
            None => tracing::debug!(receiver, result, notices, "told"),
            Some(error) if *result == "buried" => {
                tracing::error!(receiver, notices, error, "failed to notify; a dead letter is kept");
            }
            Some(error) => tracing::warn!(receiver, notices, error, "failed to notify; it is tried again"),
        }
    }
}

/// The outbox was counted.
#[derive(Debug)]
pub struct OutboxCounted<'a> {
    /// What waits, by kind.
    pub pending: &'a [(&'a str, u64)],
    /// Dead letters, by receiver.
    pub dead: &'a [(&'a str, u64)],
}

impl Event for OutboxCounted<'_> {
    fn record(&self) {
        METRICS.outbox(self.pending, self.dead);
    }
}

/// The outbox could not be worked on; nothing is lost, and it is tried again.
#[derive(Debug)]
pub struct OutboxFailed<'a, T: Display> {
    /// What was being done.
    pub what: &'a str,
    /// Why it failed.
    pub error: T,
}

impl<T: Display> Event for OutboxFailed<'_, T> {
    fn record(&self) {
        tracing::error!(what = self.what, error = %self.error, "failed to work on the outbox");
    }
}

/// It is known what became of a hook that was decided on.
#[derive(Debug)]
pub struct HookEnded<'a> {
    /// Name of the hook.
    pub hook: &'a str,
    /// The finding that it was to mend.
    pub fingerprint: driftwarden_core::finding::Fingerprint,
    /// `verified`, `failed`, `unknown_outcome`, `refused` or `dry_run`.
    pub result: &'static str,
    /// How long the call took, if there was one.
    pub seconds: Option<f64>,
    /// Details, for people.
    pub detail: &'a str,
}

impl Event for HookEnded<'_> {
    fn record(&self) {
        METRICS.hook(self.hook, self.result, self.seconds);
        let Self { hook, fingerprint, result, detail, .. } = self;
        match *result {
            "verified" | "refused" | "dry_run" => tracing::info!(hook, %fingerprint, result, detail, "hook ended"),
            _ => tracing::error!(hook, %fingerprint, result, detail, "hook ended"),
        }
    }
}
