//! The straight line over real collectors, whose clouds answer badly: what is seen is true, or it is a gap.
//!
//! Nothing is saved here; that a scan is saved whole is the store's business.

use std::cell::Cell;
use std::sync::Arc;

use driftwarden_core::decide::Action;
use driftwarden_core::expected::Unmanaged;
use driftwarden_core::region;
use driftwarden_core::resource::{Desired, Origin};
use serde_json::Value;

use super::*;

mod cycles;
mod grid;
mod kept;
mod rehearsal;
mod services;
mod world;

thread_local! {
    /// What time it is for whom this thread tests.
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::UNIX_EPOCH) };
}

/// Git has no past.
struct NoPast;

#[async_trait]
impl History for NoPast {
    async fn past(&self, _: &Scope, _: &Evidence) -> anyhow::Result<Past> {
        Ok(Past::default())
    }
}

/// Everything that looks at one scope again and again, and what it remembers.
struct Watcher {
    collector: Box<dyn Collector>,
    scope: Scope,
    expected: Expected,
    policy: Policy,
    memory: Snapshot,
    findings: BTreeMap<Fingerprint, Finding>,
}

impl Watcher {
    /// Returns a watcher of the scope of that cloud in which these resources are declared.
    async fn new(collector: Box<dyn Collector>, declared: Vec<(Kind, String, Value)>) -> Self {
        let is_global = declared.first().is_some_and(|(kind, ..)| region::is_global(kind));
        let mut scopes = collector.scopes().await.unwrap();
        let scope = scopes.remove(if is_global { scopes.len() - 1 } else { 0 });
        let desired = declared.into_iter().map(|(kind, name, attributes)| Desired {
            provider: scope.provider,
            account: None,
            region: None,
            kind,
            name: Some(name.into()),
            labels: BTreeMap::new(),
            attributes,
            origin: Origin::default(),
        });
        let expected = Expected::new(desired.collect(), Some(Unmanaged::DeclaredKinds));
        let hook = HookRule { hook: "mend".into(), matchers: Vec::new() };
        let policy = Policy {
            hold: Hold { scans: 1, for_: SignedDuration::ZERO },
            weights: Weights::default(),
            rollout: SignedDuration::ZERO,
            route: None,
            hooks: vec![hook],
        };
        Self { collector, scope, expected, policy, memory: Snapshot::default(), findings: BTreeMap::new() }
    }

    /// Scans once.
    async fn scan(&mut self) -> Report {
        let (rules, schemas, related) = (RuleSet::default(), Schemas::default(), Related::default());
        let pass = Pass {
            scope: &self.scope,
            collector: &*self.collector,
            expected: &self.expected,
            revisions: Vec::new(),
            history: &NoPast,
            rules: &rules,
            schemas: &schemas,
            related: &related,
            policy: &self.policy,
            mask: &MaskKey::new([7; 32]),
            clock: || NOW.get(),
            watcher: &|_, _| (),
        };
        let known = (self.findings.values().cloned().collect(), None);
        let report = observe(&pass, &mut self.memory, known, Confirm::WhatWouldOpen).await;
        for Step { finding, .. } in &report.steps {
            self.findings.insert(finding.fingerprint, finding.clone());
        }
        report
    }

    /// Returns the open findings, as words.
    fn open(&self) -> BTreeSet<String> {
        self.findings.values().filter(|finding| finding.phase == Phase::Open).map(word).collect()
    }

    /// Returns how many resources hooks are asked to mend by a report.
    fn to_be_mended(&self, report: &Report) -> usize {
        let actions = decide::decide(&report.steps, None, &self.policy.hooks, report.finished_at);
        actions.iter().filter(|action| matches!(action, Action::Remediate { .. })).count()
    }
}

fn word(finding: &Finding) -> String {
    format!("{} {}", finding.evidence.resource.name, finding.evidence.subject.drift_str())
}

/// Returns the findings that began or ended by a report, as words.
fn moved(report: &Report) -> Vec<String> {
    let is_told = |step: &&Step| {
        step.transition.is_some_and(|transition| !matches!(transition, Transition::Appeared | Transition::Vanished))
    };
    report.steps.iter().filter(is_told).map(|step| format!("{} {:?}", word(&step.finding), step.transition)).collect()
}
