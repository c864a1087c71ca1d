//! Every metric, once. Labels come from closed sets only; never a resource's name.
//!
//! Counters and histograms move when an event is emitted. What describes the present (findings, gaps, ages) is in
//! `present`, and written out at the moment of the scrape.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::{Registry, Unit};

use driftwarden_core::finding::Finding;
use driftwarden_core::resource::Scope;

use super::present::{FindingState, Present, ScopeState, Watched, World};
use crate::view::IgnoredView;

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);

pub(super) type Float = Gauge<f64, AtomicU64>;

/// Declares a label set whose values are texts.
macro_rules! labels {
    ($name:ident { $($field:ident),+ }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(super) struct $name { $($field: String),+ }

        impl $name {
            pub(super) fn of($($field: &str),+) -> Self {
                Self { $($field: $field.to_owned()),+ }
            }
        }
    };
}

pub(super) use labels;

labels!(ServiceLabels { cloud, service });
labels!(RequestLabels { cloud, service, code });
labels!(CloudLabels { cloud });
labels!(ResultLabels { cloud, result });
labels!(StageLabels { cloud, stage });
labels!(SourceLabels { source });
labels!(RevisionLabels { source, revision });
labels!(BuildLabels { version, revision });
labels!(NotificationLabels { receiver, result });
labels!(ReceiverLabels { receiver });
labels!(OutboxLabels { kind });
labels!(HookLabels { hook });
labels!(WatchLabels { cloud, step });
labels!(HookResultLabels { hook, result });

/// The label of an exemplar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

/// How much was asked of a cloud since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Requests that were made, each repetition as one.
    pub made: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
}

/// All metrics and the registry that prints them.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Mutex<BTreeMap<String, Requests>>,
    world: Mutex<World>,
    present: Present,
    findings_opened: Family<CloudLabels, Counter>,
    findings_resolved: Family<CloudLabels, Counter>,
    scan_duration:
        Family<StageLabels, HistogramWithExemplars<TraceLabels>, fn() -> HistogramWithExemplars<TraceLabels>>,
    detection_delay:
        Family<CloudLabels, HistogramWithExemplars<TraceLabels>, fn() -> HistogramWithExemplars<TraceLabels>>,
    cloud_requests: Family<RequestLabels, Counter>,
    cloud_throttles: Family<ServiceLabels, Counter>,
    schema_reads: Family<ResultLabels, Counter>,
    watches: Family<WatchLabels, Counter>,
    scans_woken: Family<CloudLabels, Counter>,
    desired_fetched: Family<SourceLabels, Float>,
    desired_info: Family<RevisionLabels, Gauge>,
    /// The revision that is told of each source.
    revisions: Mutex<BTreeMap<String, String>>,
    config_reload_successful: Gauge,
    audit_records: Counter,
    notifications: Family<NotificationLabels, Counter>,
    outbox_pending: Family<OutboxLabels, Gauge>,
    dead_letters: Family<ReceiverLabels, Gauge>,
    hook_runs: Family<HookResultLabels, Counter>,
    hook_duration: Family<HookLabels, HistogramWithExemplars<TraceLabels>, fn() -> HistogramWithExemplars<TraceLabels>>,
}

fn scan_buckets() -> HistogramWithExemplars<TraceLabels> {
    HistogramWithExemplars::new(exponential_buckets(0.01, 2.5, 12))
}

fn delay_buckets() -> HistogramWithExemplars<TraceLabels> {
    HistogramWithExemplars::new(exponential_buckets(1.0, 2.5, 12))
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            world: Mutex::default(),
            present: Present::default(),
            findings_opened: Family::default(),
            findings_resolved: Family::default(),
            scan_duration: Family::new_with_constructor(scan_buckets),
            detection_delay: Family::new_with_constructor(delay_buckets),
            requests: Mutex::default(),
            cloud_requests: Family::default(),
            cloud_throttles: Family::default(),
            schema_reads: Family::default(),
            watches: Family::default(),
            scans_woken: Family::default(),
            desired_fetched: Family::default(),
            desired_info: Family::default(),
            revisions: Mutex::default(),
            config_reload_successful: Gauge::default(),
            audit_records: Counter::default(),
            notifications: Family::default(),
            outbox_pending: Family::default(),
            dead_letters: Family::default(),
            hook_runs: Family::default(),
            hook_duration: Family::new_with_constructor(scan_buckets),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// The one list of names, as the contract has them.
    fn register(&self) {
        let mut registry = self.registry.lock();
        let r = registry.sub_registry_with_prefix("driftwarden");
        let present = &self.present;
        r.register("findings", "Findings that are not resolved", present.findings.clone());
        let help = "Values of a resource label that are told as `other`";
        r.register("folded_label_values", help, present.folded.clone());
        r.register("findings_opened", "Findings opened", self.findings_opened.clone());
        r.register("findings_resolved", "Findings resolved", self.findings_resolved.clone());
        let help = "Age of the oldest finding that is not resolved";
        r.register_with_unit("oldest_finding_age", help, Unit::Seconds, present.oldest_age.clone());
        r.register("resources", "Resources seen by the last look", present.resources.clone());
        r.register("coverage_ratio", "Share of the resources that Git declares", present.coverage.clone());
        let help = "Controls of a framework, by what is known of them";
        r.register("controls", help, present.controls.clone());
        let help = "Share of a framework's controls that pass, of those that apply; unknown ones do not pass";
        r.register("compliance_ratio", help, present.compliance.clone());
        r.register("ignored_changes", "Changes that ignore rules hid in the last look", present.ignored.clone());
        let help = "Ignore rules in force, those that hid nothing for long, and those whose time is over";
        r.register("ignore_rules", help, present.ignore_rules.clone());
        r.register("gaps", "Kinds that the last look could not read to the end", present.gaps.clone());
        r.register("scope_complete", "Whether the last look read everything", present.complete.clone());
        let help = "When the scope was last read completely";
        r.register_with_unit("scan_last_success_timestamp", help, Unit::Seconds, present.last_success.clone());
        let help = "As of when the last look says what it says: what changed later it need not have seen";
        r.register_with_unit("scope_as_of_timestamp", help, Unit::Seconds, present.as_of.clone());
        let help = "Duration of the stages of a scan";
        r.register_with_unit("scan_duration", help, Unit::Seconds, self.scan_duration.clone());
        let help = "From the change, by the cloud's log, to the finding";
        r.register_with_unit("detection_delay", help, Unit::Seconds, self.detection_delay.clone());
        r.register("cloud_requests", "Requests to clouds", self.cloud_requests.clone());
        r.register("cloud_throttles", "Answers that asked to slow down", self.cloud_throttles.clone());
        r.register("schema_reads", "Schemas asked of providers, by what became of it", self.schema_reads.clone());
        r.register("watches", "Watches of kinds, by what became of them", self.watches.clone());
        r.register("scans_woken", "Scans before their time, because something changed", self.scans_woken.clone());
        let help = "When desired state was last fetched";
        r.register_with_unit("desired_last_fetch_timestamp", help, Unit::Seconds, self.desired_fetched.clone());
        r.register("desired_info", "Revision of the desired state in force", self.desired_info.clone());
        let help = "Whether the last reading of the configuration succeeded";
        r.register("config_last_reload_successful", help, self.config_reload_successful.clone());
        r.register("audit_records", "Records in the audit log written by this process", self.audit_records.clone());
        r.register("notifications", "Attempts to notify", self.notifications.clone());
        r.register("outbox_pending", "Actions that are not carried out yet", self.outbox_pending.clone());
        r.register("dead_letters", "Notifications that were given up", self.dead_letters.clone());
        r.register("hook_runs", "Hooks that were decided on, by what became of them", self.hook_runs.clone());
        r.register_with_unit("hook_duration", "Duration of calls of hooks", Unit::Seconds, self.hook_duration.clone());
        let build = Family::<BuildLabels, Gauge>::default();
        let revision = option_env!("DRIFTWARDEN_REVISION").unwrap_or("unknown");
        build.get_or_create_owned(&BuildLabels::of(env!("CARGO_PKG_VERSION"), revision)).set(1);
        r.register("build_info", "The program", build);
    }

    /// Returns everything in the OpenMetrics text format, as it is at `now`.
    pub fn encode(&self, now: Timestamp) -> Result<String, std::fmt::Error> {
        let registry = self.registry.lock();
        self.present.write(&self.world.lock(), now);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Replaces what the metrics are about; what is told of clouds that are gone is forgotten.
    pub fn watch(&self, watched: Watched) {
        self.world.lock().watch(watched);
    }

    /// Notes which scopes a cloud has: what is not known of them yet is unknown, and not nothing, and what was known of
    /// others is forgotten.
    pub fn expect_scopes(&self, cloud: &str, scopes: &[Scope]) {
        self.world.lock().expect(cloud, scopes);
    }

    /// Returns what each ignore rule hid in the last look at each scope.
    pub fn ignored(&self) -> Vec<IgnoredView> {
        self.world.lock().ignored()
    }

    /// Returns what the metrics need of these findings.
    pub fn states<'a>(&self, findings: impl Iterator<Item = &'a Finding>) -> Vec<FindingState> {
        self.world.lock().states(findings)
    }

    /// Replaces what is told of a scope.
    pub fn set_scope(&self, scope: &Scope, state: ScopeState) {
        self.world.lock().set(scope, state);
    }

    /// Returns how much was asked of each cloud.
    pub fn requests(&self) -> BTreeMap<String, Requests> {
        self.requests.lock().clone()
    }

    pub(super) fn cloud_request(&self, cloud: &str, service: &str, code: u16) {
        self.requests.lock().entry(cloud.to_owned()).or_default().made += 1;
        self.cloud_requests.get_or_create_owned(&RequestLabels::of(cloud, service, &code.to_string())).inc();
    }

    pub(super) fn cloud_throttle(&self, cloud: &str, service: &str) {
        self.requests.lock().entry(cloud.to_owned()).or_default().throttled += 1;
        self.cloud_throttles.get_or_create_owned(&ServiceLabels::of(cloud, service)).inc();
    }

    pub(super) fn schema_read(&self, cloud: &str, result: &str) {
        self.schema_reads.get_or_create_owned(&ResultLabels::of(cloud, result)).inc();
    }

    pub(super) fn watch_moved(&self, cloud: &str, step: &str) {
        self.watches.get_or_create_owned(&WatchLabels::of(cloud, step)).inc();
    }

    pub(super) fn scan_woken(&self, cloud: &str) {
        self.scans_woken.get_or_create_owned(&CloudLabels::of(cloud)).inc();
    }

    pub(super) fn findings_moved(&self, cloud: &str, opened: u64, resolved: u64) {
        let cloud = CloudLabels::of(cloud);
        self.findings_opened.get_or_create_owned(&cloud).inc_by(opened);
        self.findings_resolved.get_or_create_owned(&cloud).inc_by(resolved);
    }

    pub(super) fn stage(&self, (cloud, stage): (&str, &str), seconds: f64, trace: Option<String>) {
        let exemplar = trace.map(|trace_id| TraceLabels { trace_id });
        self.scan_duration.get_or_create_owned(&StageLabels::of(cloud, stage)).observe(seconds, exemplar, None);
    }

    pub(super) fn detection_delay(&self, cloud: &str, seconds: f64) {
        self.detection_delay.get_or_create_owned(&CloudLabels::of(cloud)).observe(seconds, None, None);
    }

    pub(super) fn desired(&self, source: &str, revision: Option<&str>, at: Timestamp) {
        self.desired_fetched.get_or_create_owned(&SourceLabels::of(source)).set(seconds_of(at));
        if let Some(revision) = revision {
            let before = self.revisions.lock().insert(source.to_owned(), revision.to_owned());
            if let Some(before) = before {
                self.desired_info.remove(&RevisionLabels::of(source, &before));
            }
            self.desired_info.get_or_create_owned(&RevisionLabels::of(source, revision)).set(1);
        }
    }

    pub(super) fn config_reload(&self, successful: i64) {
        self.config_reload_successful.set(successful);
    }

    pub(super) fn notification(&self, receiver: &str, result: &str) {
        self.notifications.get_or_create_owned(&NotificationLabels::of(receiver, result)).inc();
    }

    pub(super) fn outbox(&self, pending: &[(&str, u64)], dead: &[(&str, u64)]) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (kind, count) in pending {
            self.outbox_pending.get_or_create_owned(&OutboxLabels::of(kind)).set(gauge(*count));
        }
        for (receiver, count) in dead {
            self.dead_letters.get_or_create_owned(&ReceiverLabels::of(receiver)).set(gauge(*count));
        }
    }

    pub(super) fn hook(&self, hook: &str, result: &str, seconds: Option<f64>) {
        self.hook_runs.get_or_create_owned(&HookResultLabels::of(hook, result)).inc();
        if let Some(seconds) = seconds {
            self.hook_duration.get_or_create_owned(&HookLabels::of(hook)).observe(seconds, None, None);
        }
    }

    /// Counts records of the audit log.
    pub fn audit_appended(&self, records: u64) {
        self.audit_records.inc_by(records);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a millisecond of this century is exact in a double")]
pub(super) fn seconds_of(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_the_revision_in_force() {
        let metrics = Metrics::default();
        for (source, revision) in [("infra", "one"), ("apps", "two"), ("infra", "three")] {
            metrics.desired(source, Some(revision), Timestamp::UNIX_EPOCH);
        }
        let text = metrics.encode(Timestamp::UNIX_EPOCH).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("driftwarden_desired_info{")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            text.contains(r#"source="infra",revision="three""#) && text.contains(r#"source="apps",revision="two""#)
        );
    }
}
