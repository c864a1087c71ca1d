//! What the metrics say of the present: handed over scope by scope and written out at the moment of the scrape, so that
//! what is gone leaves no series.
//!
//! It counts nothing that happened; that is `metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use driftwarden_core::control::{self, Status, Tallies};
use driftwarden_core::finding::{Finding, Phase};
use driftwarden_core::ignore::{Ignored, STALE_AFTER};
use driftwarden_core::resource::{Gap, GapReason, Labels, Provider, Scope};
use driftwarden_core::rule::RuleSet;

use super::labels::{self, Fold};
use super::metrics::{Float, labels, seconds_of};
use crate::view::{self, IgnoredView};

labels!(ScopeLabels { cloud, scope });
labels!(ManagedLabels { cloud, scope, managed });
labels!(GapLabels { cloud, scope, reason });
labels!(AgeLabels { cloud, severity });
labels!(IgnoreLabels { source, state });
labels!(ControlLabels { framework, status });
labels!(FrameworkLabels { framework });
labels!(FoldedLabels { label });
labels!(FindingLabels { cloud, scope, kind_of, drift, severity, priority, phase });

/// The labels of `driftwarden_findings`, and those of resources that were chosen; `type` is not a word that a field can
/// have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FindingSeries(FindingLabels, BTreeMap<String, String>);

impl EncodeLabelSet for FindingSeries {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let FindingLabels { cloud, scope, kind_of, drift, severity, priority, phase } = &self.0;
        let pairs = [
            ("cloud", cloud),
            ("scope", scope),
            ("type", kind_of),
            ("drift", drift),
            ("severity", severity),
            ("priority", priority),
            ("phase", phase),
        ];
        for (name, value) in pairs.into_iter().chain(self.1.iter().map(|(name, value)| (name.as_str(), value))) {
            EncodeLabel::encode(&(name, value.as_str()), encoder.encode_label())?;
        }
        Ok(())
    }
}

/// What the last look at one scope left for the metrics.
#[derive(Debug, Clone, Default)]
pub struct ScopeState {
    /// Resources that Git declares.
    pub managed: usize,
    /// Resources in all.
    pub resources: usize,
    /// What was not read to the end.
    pub gaps: Vec<Gap>,
    /// When the scope was last read completely.
    pub last_success: Option<Timestamp>,
    /// What changed later than this, the last look need not have seen.
    pub as_of: Timestamp,
    /// Findings that are not resolved.
    pub findings: Vec<FindingState>,
    /// What each rule said.
    pub tallies: Tallies,
    /// What each ignore rule hid.
    pub ignored: Vec<Ignored>,
}

/// What the metrics need of one finding.
#[derive(Debug, Clone)]
pub struct FindingState {
    type_: &'static str,
    drift: &'static str,
    severity: &'static str,
    priority: u8,
    phase: Phase,
    since: Timestamp,
    /// Those labels of the resource that were chosen.
    labels: Labels,
}

impl FindingState {
    fn of(finding: &Finding, chosen: &labels::Config) -> Self {
        Self {
            type_: finding.evidence.subject.type_str(),
            drift: finding.evidence.subject.drift_str(),
            severity: finding.evidence.severity.as_str(),
            priority: finding.priority,
            phase: finding.phase,
            since: finding.first_seen,
            labels: chosen.chosen(&finding.evidence.labels),
        }
    }
}

/// What the configuration in force watches.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Name and provider of each cloud.
    pub clouds: Vec<(String, Provider)>,
    /// What is checked.
    pub rules: Arc<RuleSet>,
    /// Which labels of resources are told.
    pub labels: labels::Config,
}

/// Everything that the metrics of the present are about.
#[derive(Debug, Default)]
pub(super) struct World {
    watched: Watched,
    /// Nothing for a scope that was not looked at since the daemon began.
    scopes: BTreeMap<Scope, Option<ScopeState>>,
}

impl World {
    pub(super) fn watch(&mut self, watched: Watched) {
        self.scopes.retain(|scope, _| watched.clouds.iter().any(|(cloud, _)| **cloud == *scope.cloud));
        self.watched = watched;
    }

    /// Notes that a cloud has these scopes and no others: what was seen of others must not stand there for ever.
    pub(super) fn expect(&mut self, cloud: &str, scopes: &[Scope]) {
        let expected: BTreeSet<&Scope> = scopes.iter().collect();
        self.scopes.retain(|scope, _| *scope.cloud != *cloud || expected.contains(scope));
        for scope in scopes {
            self.scopes.entry(scope.clone()).or_default();
        }
    }

    pub(super) fn states<'a>(&self, findings: impl Iterator<Item = &'a Finding>) -> Vec<FindingState> {
        findings.map(|finding| FindingState::of(finding, &self.watched.labels)).collect()
    }

    /// Returns the labels of every finding that is told.
    fn labels(&self) -> Vec<&Labels> {
        self.scopes.values().flatten().flat_map(|state| &state.findings).map(|finding| &finding.labels).collect()
    }

    /// Returns what each ignore rule hid in the last look at each scope.
    pub(super) fn ignored(&self) -> Vec<IgnoredView> {
        view::ignored(self.scopes.values().flatten().flat_map(|state| &state.ignored), STALE_AFTER)
    }

    pub(super) fn set(&mut self, scope: &Scope, state: ScopeState) {
        self.scopes.insert(scope.clone(), Some(state));
    }

    /// Returns every scope as controls see it. A cloud that has not said yet which scopes it has is one that was not
    /// looked at.
    fn controlled(&self) -> Vec<control::Watched<'_>> {
        let known = self.scopes.iter().map(|(scope, state)| (scope.provider, state.as_ref().map(|s| &s.tallies)));
        let is_silent = |name: &str| self.scopes.keys().all(|scope| *scope.cloud != *name);
        let silent = self.watched.clouds.iter().filter(|(name, _)| is_silent(name));
        known.chain(silent.map(|(_, provider)| (*provider, None))).collect()
    }
}

/// What is written out anew at each scrape.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) findings: Family<FindingSeries, Gauge>,
    pub(super) folded: Family<FoldedLabels, Gauge>,
    pub(super) oldest_age: Family<AgeLabels, Float>,
    pub(super) resources: Family<ManagedLabels, Gauge>,
    pub(super) coverage: Family<ScopeLabels, Float>,
    pub(super) controls: Family<ControlLabels, Gauge>,
    pub(super) compliance: Family<FrameworkLabels, Float>,
    pub(super) gaps: Family<GapLabels, Gauge>,
    pub(super) complete: Family<ScopeLabels, Gauge>,
    pub(super) last_success: Family<ScopeLabels, Float>,
    pub(super) as_of: Family<ScopeLabels, Float>,
    pub(super) ignored: Family<ScopeLabels, Gauge>,
    pub(super) ignore_rules: Family<IgnoreLabels, Gauge>,
}

impl Present {
    /// Writes everything out as it is at `now`.
    pub(super) fn write(&self, world: &World, now: Timestamp) {
        self.clear();
        for (scope, state) in &world.scopes {
            if let Some(state) = state {
                self.write_scope(scope, state);
            }
        }
        self.write_findings(world, now);
        self.write_controls(world);
        self.write_ignore_rules(world);
    }

    fn clear(&self) {
        let Self {
            findings,
            folded,
            oldest_age,
            resources,
            coverage,
            controls,
            compliance,
            gaps,
            complete,
            last_success,
            as_of,
            ignored,
            ignore_rules,
        } = self;
        findings.clear();
        folded.clear();
        oldest_age.clear();
        resources.clear();
        coverage.clear();
        controls.clear();
        compliance.clear();
        gaps.clear();
        complete.clear();
        last_success.clear();
        as_of.clear();
        ignored.clear();
        ignore_rules.clear();
    }

    fn write_scope(&self, scope: &Scope, state: &ScopeState) {
        let (cloud, name) = (&*scope.cloud, &*scope.to_string());
        let labels = ScopeLabels::of(cloud, name);
        let unmanaged = state.resources.saturating_sub(state.managed);
        for (managed, count) in [("true", state.managed), ("false", unmanaged)] {
            self.resources.get_or_create_owned(&ManagedLabels::of(cloud, name, managed)).set(whole(count));
        }
        if state.resources > 0 {
            self.coverage.get_or_create_owned(&labels).set(real(state.managed) / real(state.resources));
        }
        for reason in GapReason::ALL {
            let count = state.gaps.iter().filter(|gap| gap.reason == reason).count();
            self.gaps.get_or_create_owned(&GapLabels::of(cloud, name, reason.as_str())).set(whole(count));
        }
        self.complete.get_or_create_owned(&labels).set(i64::from(state.gaps.is_empty()));
        self.last_success.get_or_create_owned(&labels).set(state.last_success.map_or(0.0, seconds_of));
        self.as_of.get_or_create_owned(&labels).set(seconds_of(state.as_of));
        let hidden = state.ignored.iter().map(|ignored| ignored.hits).sum();
        self.ignored.get_or_create_owned(&labels).set(whole(hidden));
    }

    fn write_findings(&self, world: &World, now: Timestamp) {
        let fold = Fold::of(&world.watched.labels, &world.labels());
        for (scope, state) in &world.scopes {
            let name = scope.to_string();
            for finding in state.iter().flat_map(|state| &state.findings) {
                self.write_finding((&scope.cloud, &name), finding, fold.labels(&finding.labels), now);
            }
        }
        for (label, folded) in fold.folded() {
            self.folded.get_or_create_owned(&FoldedLabels::of(label)).set(whole(folded));
        }
    }

    fn write_finding(
        &self,
        (cloud, scope): (&str, &str),
        finding: &FindingState,
        chosen: BTreeMap<String, String>,
        now: Timestamp,
    ) {
        let priority = finding.priority.to_string();
        let FindingState { type_, drift, severity, phase, since, .. } = finding;
        let labels = FindingLabels::of(cloud, scope, type_, drift, severity, &priority, phase.as_str());
        self.findings.get_or_create_owned(&FindingSeries(labels, chosen)).inc();
        let age = now.duration_since(*since).as_secs_f64().max(0.0);
        let oldest = self.oldest_age.get_or_create_owned(&AgeLabels::of(cloud, severity));
        oldest.set(oldest.get().max(age));
    }

    /// Counts the rules of each source by their state; a state that none is in is a zero.
    fn write_ignore_rules(&self, world: &World) {
        for IgnoredView { source, expired, stale, .. } in world.ignored() {
            for (state, is_so) in [("active", !expired && !stale), ("stale", stale), ("expired", expired)] {
                self.ignore_rules.get_or_create_owned(&IgnoreLabels::of(&source, state)).inc_by(i64::from(is_so));
            }
        }
    }

    fn write_controls(&self, world: &World) {
        for (framework, counts) in control::count(&world.watched.rules, &world.controlled()) {
            for status in Status::ALL {
                let labels = ControlLabels::of(&framework, status.as_str());
                self.controls.get_or_create_owned(&labels).set(whole(counts.of(status)));
            }
            // Where no control applies there is no share: neither 0 nor 1 would be true.
            if let (passed, applicable @ 1..) = counts.share() {
                let share = real(passed) / real(applicable);
                self.compliance.get_or_create_owned(&FrameworkLabels::of(&framework)).set(share);
            }
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts of resources stay far below 2^52")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use driftwarden_core::control::{Reading, Tally};
    use driftwarden_core::finding::Severity;
    use driftwarden_core::resource::NOT_APPLICABLE;
    use driftwarden_core::rule::{Rule, RuleSource};

    fn scope(region: &str) -> Scope {
        Scope { cloud: "p".into(), provider: Provider::Aws, account: "1".into(), region: region.into() }
    }

    fn text(metrics: &Metrics) -> String {
        metrics.encode(Timestamp::UNIX_EPOCH).unwrap()
    }

    fn watched(clouds: &[&str], rules: &Arc<RuleSet>) -> Watched {
        let clouds = clouds.iter().map(|name| ((*name).to_owned(), Provider::Aws)).collect();
        Watched { clouds, rules: Arc::clone(rules), ..Watched::default() }
    }

    #[test]
    fn a_scope_that_is_gone_leaves_no_series() {
        let metrics = Metrics::default();
        metrics.set_scope(&scope("r"), ScopeState { resources: 4, managed: 1, ..ScopeState::default() });
        let before = text(&metrics);
        assert!(before.contains(r#"driftwarden_coverage_ratio{cloud="p",scope="aws://1/r"} 0.25"#), "{before}");
        metrics.watch(Watched::default());
        assert!(!text(&metrics).contains("aws://1/r"));
    }

    #[test]
    fn a_region_that_a_cloud_has_no_more_says_nothing_any_more() {
        let (metrics, rules) = (Metrics::default(), rules());
        metrics.watch(watched(&["p", "q"], &rules));
        let other = Scope { cloud: "q".into(), ..scope("r") };
        for scope in [scope("r"), scope("s"), other.clone()] {
            metrics.set_scope(&scope, looked_at(&rules, 1));
        }
        metrics.expect_scopes("p", &[scope("s")]);
        let told = text(&metrics);
        assert!(!told.contains(r#"{cloud="p",scope="aws://1/r""#), "{told}");
        assert!(told.contains(r#"{cloud="p",scope="aws://1/s""#) && told.contains(r#"{cloud="q",scope="aws://1/r""#));
        // Of what passed there, nothing is left either.
        metrics.watch(watched(&["p"], &rules));
        metrics.expect_scopes("p", &[]);
        check(&metrics, "unknown", Some("0.0"));
    }

    fn rules() -> Arc<RuleSet> {
        let source = RuleSource {
            id: "a".to_owned(),
            title: "t".to_owned(),
            kind: "AWS::S3::Bucket".to_owned(),
            severity: Severity::High,
            expression: "true".to_owned(),
            message: "m".to_owned(),
            fix: String::new(),
            frameworks: [("cis".to_owned(), vec!["1".to_owned()])].into(),
        };
        Arc::new(RuleSet::new([Rule::compile(source).unwrap()]))
    }

    fn looked_at(rules: &RuleSet, asked: usize) -> ScopeState {
        let tally =
            |rule: &Arc<Rule>| Tally { rule: rule.digest(), asked, reading: Reading::Complete, ..Tally::default() };
        let tallies = rules.iter().map(|rule| (Arc::clone(&rule.id), tally(rule))).collect();
        ScopeState { tallies, ..ScopeState::default() }
    }

    /// Checks the status of the one control, and the ratio.
    fn check(metrics: &Metrics, status: &str, ratio: Option<&str>) {
        let text = text(metrics);
        assert!(text.contains(&format!(r#"driftwarden_controls{{framework="cis",status="{status}"}} 1"#)), "{text}");
        let told = text.lines().find_map(|line| line.strip_prefix(r#"driftwarden_compliance_ratio{framework="cis"} "#));
        assert_eq!(told, ratio, "{text}");
    }

    #[test]
    fn what_was_not_looked_at_yet_is_unknown() {
        let (metrics, rules) = (Metrics::default(), rules());
        metrics.watch(watched(&["p", "q"], &rules));
        check(&metrics, "unknown", Some("0.0"));
        metrics.expect_scopes("p", &[scope("r"), scope("s")]);
        metrics.set_scope(&scope("r"), looked_at(&rules, 1));
        metrics.watch(watched(&["p"], &rules));
        check(&metrics, "unknown", Some("0.0"));
        metrics.set_scope(&scope("s"), looked_at(&rules, 0));
        check(&metrics, "pass", Some("1.0"));
    }

    #[test]
    fn where_no_control_applies_there_is_no_ratio() {
        let (metrics, rules) = (Metrics::default(), rules());
        metrics.watch(watched(&["p"], &rules));
        metrics.set_scope(&scope("r"), looked_at(&rules, 0));
        check(&metrics, "not_applicable", None);
    }

    #[test]
    fn a_cloud_that_found_its_tongue_is_not_blind_any_more() {
        let (metrics, rules) = (Metrics::default(), rules());
        metrics.watch(watched(&["p"], &rules));
        let stand_in = Scope { account: NOT_APPLICABLE.into(), ..scope(NOT_APPLICABLE) };
        metrics.set_scope(&stand_in, ScopeState::default());
        metrics.expect_scopes("p", &[scope("r")]);
        metrics.set_scope(&scope("r"), looked_at(&rules, 1));
        check(&metrics, "pass", Some("1.0"));
    }
}
