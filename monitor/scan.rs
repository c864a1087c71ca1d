//! The straight line: one scope, one pass.
//!
//! [`scan`] is the whole of it. What can fail leaves a gap or an error; what decides is in the core crate and cannot.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use async_trait::async_trait;
use driftwarden_core::cause::{self, Earlier};
use driftwarden_core::compare::MaskKey;
use driftwarden_core::decide::{self, HookRule, Route};
use driftwarden_core::expected::{Expected, ExpectedKind};
use driftwarden_core::finding::{
    self, Arisen, Cause, Confirmation, DriftKind, Evidence, Finding, Fingerprint, Hold, Phase, Proof, Sighting, Step,
    Subject, Transition,
};
use driftwarden_core::priority::{self, Weights};
use driftwarden_core::related::Related;
use driftwarden_core::resource::{Depth, Gap, GapReason, Kind, ResourceId, Scope, Touched};
use driftwarden_core::rule::RuleSet;
use driftwarden_core::schema::Schemas;
use driftwarden_core::snapshot::{Acquittal, ItemText, Lens, Look, Sights, Snapshot};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{Instrument, Span, debug_span, info_span};
use uuid::Uuid;

use crate::collect::{Collector, Read, Reading, Rehearsal, Wanted};
use crate::store::{Epoch, Filter, Revision, ScanRecord, ScanSummary, Store, Unit, UnitGap};
use crate::telemetry::emit;
use crate::telemetry::events::{ChangeDetected, FindingMoved, GapFound, InvariantBroken, ScanFinished, StageEnded};
use crate::telemetry::metrics::METRICS;
use crate::telemetry::present::ScopeState;

mod authors;

/// How findings are judged; the same for all scopes.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long a finding must be seen before it opens.
    pub hold: Hold,
    /// What raises and lowers a priority.
    pub weights: Weights,
    /// How long a commit may take to arrive.
    pub rollout: SignedDuration,
    /// Who is told.
    pub route: Option<Route>,
    /// Who is asked to mend.
    pub hooks: Vec<HookRule>,
}

/// What Git said earlier of a resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// The earlier declarations, newest first.
    pub earlier: Vec<Earlier>,
    /// The last commit that touched the declaration in force.
    pub touched: Option<Touched>,
}

/// Who knows what Git said earlier.
#[async_trait]
pub trait History: Send + Sync {
    /// Returns what Git said earlier of the resource of that evidence.
    async fn past(&self, scope: &Scope, evidence: &Evidence) -> anyhow::Result<Past>;
}

/// Everything that one pass over one scope needs.
pub struct Pass<'a> {
    /// Which scope.
    pub scope: &'a Scope,
    /// Who reads it.
    pub collector: &'a dyn Collector,
    /// What Git asks for.
    pub expected: &'a Expected,
    /// The commits that `expected` was read at.
    pub revisions: Vec<Revision>,
    /// What Git asked for earlier.
    pub history: &'a dyn History,
    /// What is checked.
    pub rules: &'a RuleSet,
    /// What counts as equal.
    pub schemas: &'a Schemas,
    /// What the rest of the scope says.
    pub related: &'a Related,
    /// How findings are judged.
    pub policy: &'a Policy,
    /// Key of the digests of sensitive values.
    pub mask: &'a MaskKey,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// Is told of whatever is read.
    pub watcher: &'a (dyn Fn(&Scope, &Read) + Sync),
}

/// What a pass found.
#[derive(Debug)]
pub struct Report {
    /// Identity of the scan.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What was seen.
    pub sights: Sights,
    /// What it made of the findings.
    pub steps: Vec<Step>,
    /// How long each change took to become an open finding, of those of which this look is the first to know it.
    pub delays: Vec<SignedDuration>,
}

/// At most that many suspicions are re-read in one pass; the others stay pending until the next one.
const MOST_CONFIRMATIONS: usize = 1000;
/// That many re-reads are under way at once.
const CONFIRMATIONS_AT_ONCE: usize = 8;

/// Scans one scope and saves what follows from it. To be called again and again with the same `memory`.
pub async fn scan(pass: &Pass<'_>, memory: &mut Snapshot, store: &dyn Store, epoch: Epoch) -> anyhow::Result<Report> {
    async {
        let begun = Instant::now();
        let filter = Filter { scope: Some(pass.scope.clone()), ..Filter::default() };
        let known = store.findings(&filter).await.context("failed to load the known findings")?;
        let earlier = earlier(pass, store).await?;
        let report = observe(pass, memory, (known, earlier), Confirm::WhatWouldOpen).await;
        save(pass, &report, store, epoch).instrument(info_span!("save")).await?;
        tell_telemetry(pass, &report, store).await?;
        stage_ended(pass, "scan", begun);
        Ok(report)
    }
    .instrument(pass.span())
    .await
}

/// Looks once at a scope of which nothing is known, and confirms everything that is seen. Saves nothing.
pub async fn look_once(pass: &Pass<'_>) -> Report {
    let mut memory = Snapshot::default();
    observe(pass, &mut memory, (Vec::new(), None), Confirm::Everything).instrument(pass.span()).await
}

/// Which suspicions are re-read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confirm {
    /// Those that would open or grow if they were confirmed.
    WhatWouldOpen,
    /// All; those that a re-read does not confirm are dropped.
    Everything,
}

/// Looks at one scope and judges what is seen. Saves nothing and tells nobody.
async fn observe(
    pass: &Pass<'_>,
    memory: &mut Snapshot,
    (known, earlier): (Vec<Finding>, Option<ScanSummary>),
    confirm: Confirm,
) -> Report {
    let started_at = (pass.clock)();
    let mut known: BTreeMap<Fingerprint, Finding> = known.into_iter().map(|f| (f.fingerprint, f)).collect();
    let mut sights = look(pass, (memory, started_at), &known).await;
    let seen: Vec<Evidence> =
        std::mem::take(&mut sights.evidence).into_iter().map(|evidence| inherit(evidence, &known)).collect();
    let begun = Instant::now();
    let seen = confirm_all(pass, &known, seen, confirm).instrument(info_span!("confirm")).await;
    let (seen, lessons): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
    for lesson in lessons.into_iter().flatten() {
        match lesson {
            Lesson::Acquitted(acquittal) => memory.acquit(&acquittal),
            Lesson::Otherwise(kind) => memory.doubt(&kind),
        }
    }
    let mut seen: Vec<_> = seen.into_iter().flatten().collect();
    pass.collector.forget(pass.scope);
    stage_ended(pass, "confirm", begun);
    let now = (pass.clock)();
    let earlier = earlier.filter(|earlier| earlier.revisions == pass.revisions);
    authors::date(&mut seen, (earlier.as_ref(), &sights.judged_anew), now);
    authors::name(pass, &known, &mut seen).instrument(info_span!("authors")).await;
    let (steps, delays) = advance_all(pass, &mut known, &sights, seen, now);
    Report { id: Uuid::now_v7().to_string(), started_at, finished_at: now, sights, steps, delays }
}

/// Returns the scan of this scope before this one.
async fn earlier(pass: &Pass<'_>, store: &dyn Store) -> anyhow::Result<Option<ScanSummary>> {
    let scopes = store.scopes().await.context("failed to load the scan before this one")?;
    Ok(scopes.into_iter().map(|scope| scope.last).find(|last| last.scope == *pass.scope))
}

/// Returns the kinds of what is not over: to say so, somebody must look at them again.
fn kinds(known: &BTreeMap<Fingerprint, Finding>) -> BTreeSet<Kind> {
    let alive = known.values().filter(|finding| finding.phase != Phase::Resolved);
    alive.map(|finding| finding.evidence.resource.kind.clone()).collect()
}

/// Collects, and compares page by page as they arrive.
async fn look(
    pass: &Pass<'_>,
    (memory, began): (&mut Snapshot, Timestamp),
    findings: &BTreeMap<Fingerprint, Finding>,
) -> Sights {
    let begun = Instant::now();
    let (sink, mut pages) = mpsc::channel(16);
    let known = kinds(findings);
    let lens = pass.lens();
    let wanted = Wanted { began, remembered: memory.whole(lens), ..wanted(pass, &known) };
    let mut look = Look::begin(lens, memory, began);
    for kind in &known {
        look.remember(kind);
    }
    for clash in pass.expected.clashes() {
        look.clash(clash);
    }
    let collect = pass.collector.collect(pass.scope, &wanted, sink).instrument(info_span!("collect"));
    let compare = async {
        while let Some(read) = pages.recv().await {
            (pass.watcher)(pass.scope, &read);
            take(&mut look, pass.scope, read);
        }
    };
    tokio::join!(collect, compare.instrument(info_span!("compare")));
    ask_for_unseen(pass, &mut look, (&wanted.full, findings)).instrument(info_span!("unseen")).await;
    stage_ended(pass, "collect", begun);
    let begun = Instant::now();
    let sights = info_span!("evaluate").in_scope(|| look.finish());
    stage_ended(pass, "evaluate", begun);
    sights
}

/// Returns what is to be read: what Git declares, what a rule looks at, and what a finding is about.
fn wanted(pass: &Pass<'_>, known: &BTreeSet<Kind>) -> Wanted {
    let declared = pass.expected.kinds().map(|(kind, _)| kind.clone());
    let full: BTreeSet<Kind> = declared.chain(pass.rules.kinds()).chain(known.iter().cloned()).collect();
    let attributes = full.iter().filter_map(|kind| Some((kind.clone(), attributes(pass, kind)?))).collect();
    Wanted { full, attributes, ..Wanted::default() }
}

/// Returns the attributes of a kind that a comparison or a rule may look at; nothing if that may be any.
fn attributes(pass: &Pass<'_>, kind: &Kind) -> Option<BTreeSet<Box<str>>> {
    let mut names: BTreeSet<&str> = pass.expected.kind(kind).map_or(Some(BTreeSet::new()), ExpectedKind::attributes)?;
    for rule in pass.rules.of(kind) {
        names.extend(rule.attributes()?);
    }
    Some(names.into_iter().map(Box::from).collect())
}

/// Asks for what the readings of these kinds did not show although it was there: a list that ends too early looks like one
/// that ended, and what it lacks is neither missing nor mended.
async fn ask_for_unseen(
    pass: &Pass<'_>,
    look: &mut Look<'_>,
    (kinds, findings): (&BTreeSet<Kind>, &BTreeMap<Fingerprint, Finding>),
) {
    let open = findings.values().filter(|finding| finding.phase == Phase::Open);
    let there = open.filter(|finding| finding.evidence.subject != Subject::Drift(DriftKind::Missing));
    let mut unseen = look.unseen(kinds, there.map(|finding| &finding.evidence.resource));
    unseen.retain(|id| pass.collector.leaves_out(&id.kind, &id.name).is_none());
    // Whether it is there is all that is asked.
    let wanted = &Wanted { since: Some((pass.clock)()), ..Wanted::default() };
    let reads = stream::iter(unseen).map(|id| async move { (pass.collector.read(&id, wanted).await, id) });
    let reads: Vec<_> = reads.buffered(CONFIRMATIONS_AT_ONCE).collect().await;
    for (reading, id) in reads {
        let (reason, detail) = match reading {
            Ok(Reading::Absent) => continue,
            Ok(Reading::Found(..)) => (GapReason::Partial, format!("`{}` is there and was not listed", id.name)),
            Err(error) => (error.reason(), format!("`{}` was not listed; whether it is gone: {error}", id.name)),
        };
        take(look, pass.scope, Read::Gap(Gap { kind: Some(id.kind), reason, detail }));
    }
}

fn take(look: &mut Look<'_>, scope: &Scope, read: Read) {
    match read {
        Read::Page { kind, depth, items } => debug_span!("page", %kind, resources = items.len()).in_scope(|| {
            look.take(&kind, items.iter().map(|item| ItemText { name: &item.name, text: &item.text, depth }));
        }),
        Read::Kept { kind, names, as_of } => look.keep(&kind, names.iter().map(|name| &**name), as_of),
        Read::KeptAll { kind, as_of } => look.keep_all(&kind, as_of),
        Read::Complete(kind) => look.complete(&kind),
        Read::Gap(gap) => {
            emit(&GapFound { scope, gap: &gap });
            look.gap(gap);
        }
    }
}

/// Keeps what was found out about the same evidence before: a cause and an actor are looked for once.
fn inherit(mut evidence: Evidence, known: &BTreeMap<Fingerprint, Finding>) -> Evidence {
    let before = known.get(&Fingerprint::of(&evidence.resource, &evidence.subject));
    let Some(before) = before.filter(|f| f.phase != Phase::Resolved && f.evidence.changes == evidence.changes) else {
        return evidence;
    };
    // A young commit grows old: that cause is looked for again.
    if evidence.cause == Cause::Unknown && before.evidence.cause != Cause::RollingOut {
        evidence.cause = before.evidence.cause;
    }
    evidence.actor = evidence.actor.or_else(|| before.evidence.actor.clone());
    // An older program dated nothing: then it is only known that this has been seen for that long.
    evidence.arisen = before.evidence.arisen.or(Some(Arisen { after: None, before: before.first_seen }));
    evidence.proof = before.evidence.proof.clone();
    if let (Some(origin), Some(before)) = (&mut evidence.origin, &before.evidence.origin) {
        origin.touched = origin.touched.take().or_else(|| before.touched.clone());
    }
    evidence
}

/// What confirming made of one piece of evidence, and what is to be kept in mind of it.
type Judged = (Option<(Evidence, Confirmation)>, Option<Lesson>);

/// What is learned of a look from an exact one.
enum Lesson {
    /// What was suspected means nothing to the provider.
    Acquitted(Acquittal),
    /// Something of that kind is not as the look has it.
    Otherwise(Kind),
}

/// Re-reads, exactly, what is about to open or to grow, and finds out why it is so.
async fn confirm_all(
    pass: &Pass<'_>,
    known: &BTreeMap<Fingerprint, Finding>,
    seen: Vec<Evidence>,
    confirm: Confirm,
) -> Vec<Judged> {
    let now = (pass.clock)();
    let mut budget = MOST_CONFIRMATIONS;
    let mut asked = |evidence: &Evidence| {
        let known = known.get(&Fingerprint::of(&evidence.resource, &evidence.subject));
        let is_asked = confirm == Confirm::Everything
            || finding::awaits_confirmation(known, pass.policy.hold, now)
            || known.is_some_and(|known| finding::is_news(known, evidence));
        let is_asked = is_asked && budget > 0;
        budget -= usize::from(is_asked);
        is_asked
    };
    let tasks: Vec<_> = seen.into_iter().map(|evidence| (asked(&evidence), evidence)).collect();
    let confirmed = stream::iter(tasks).map(|(is_asked, evidence)| async move {
        if is_asked {
            judge(pass, evidence, confirm, now).await
        } else {
            (Some((evidence, Confirmation::Unconfirmed)), None)
        }
    });
    confirmed.buffered(CONFIRMATIONS_AT_ONCE).collect().await
}

async fn judge(pass: &Pass<'_>, evidence: Evidence, confirm: Confirm, now: Timestamp) -> Judged {
    let unconfirmed = |evidence| Some((evidence, Confirmation::Unconfirmed));
    match confirm_one(pass, &evidence, now).await {
        Ok(Looked { evidence: Some(looked), acquittal, .. }) => {
            let is_otherwise = looked.changes != evidence.changes;
            let otherwise = is_otherwise.then(|| Lesson::Otherwise(evidence.resource.kind.clone()));
            (Some((looked, Confirmation::Confirmed)), acquittal.map(Lesson::Acquitted).or(otherwise))
        }
        // The provider itself says that writing the declaration would change nothing.
        Ok(Looked { acquittal: Some(acquittal), .. }) => (None, Some(Lesson::Acquitted(acquittal))),
        Ok(_) => {
            let lesson = Lesson::Otherwise(evidence.resource.kind.clone());
            (if confirm == Confirm::Everything { None } else { unconfirmed(evidence) }, Some(lesson))
        }
        Err(error) => {
            tracing::warn!(resource = %evidence.resource, error = %format_args!("{error:#}"), "failed to confirm");
            (unconfirmed(evidence), None)
        }
    }
}

/// Returns the evidence as an exact look gives it, with why it is so.
async fn confirm_one(pass: &Pass<'_>, suspicion: &Evidence, now: Timestamp) -> anyhow::Result<Looked> {
    let mut looked = look_again(pass.lens(), pass.collector, suspicion, Some(now)).await?;
    if let Some(evidence) = &mut looked.evidence {
        evidence.actor = evidence.actor.take().or_else(|| suspicion.actor.clone());
        evidence.arisen = suspicion.arisen;
        explain(pass, evidence, (suspicion.cause, looked.text.as_ref().map(|(text, depth)| (&**text, *depth))), now)
            .await?;
    }
    Ok(looked)
}

/// What an exact look at one resource found.
#[derive(Debug, Default)]
pub struct Looked {
    /// The evidence as it is now; nothing if it is not so.
    pub evidence: Option<Evidence>,
    /// What was read, and how much that is; nothing where there is no such resource.
    pub text: Option<(Box<str>, Depth)>,
    /// What of the suspicion means nothing to the provider.
    acquittal: Option<Acquittal>,
}

/// Looks at a suspicion again, exactly: reads the resource, and asks the provider what writing the declaration would
/// change, where it can be asked.
/// A list that was read since may serve for it.
pub async fn look_again(
    lens: Lens<'_>,
    collector: &dyn Collector,
    suspicion: &Evidence,
    since: Option<Timestamp>,
) -> anyhow::Result<Looked> {
    let wanted = Wanted { since, ..concerned(&lens, suspicion) };
    let text = match collector.read(&suspicion.resource, &wanted).await? {
        Reading::Found(text, depth) => Some((text, depth)),
        Reading::Absent => None,
    };
    let Some(evidence) = lens.look_again(suspicion, text.as_ref().map(|(text, depth)| (&**text, *depth)))? else {
        return Ok(Looked { text, ..Looked::default() });
    };
    let evidence = Evidence { proof: Proof::Reread, ..evidence };
    let (is_as_suspected, resource) = (evidence.changes == suspicion.changes, evidence.resource.clone());
    let (evidence, rehearsed) = rehearse(lens, collector, evidence).await?;
    let kept = evidence.as_ref().map(|evidence| evidence.changes.clone()).unwrap_or_default();
    let suspected = suspicion.changes.clone();
    // Somebody may have mended it between the two reads: then nobody said that it means nothing.
    let both = text.as_ref().map(|(text, _)| &**text).zip(rehearsed.as_deref());
    let is_same_write = both.is_some_and(|(read, rehearsed)| collector.is_same_write(read, rehearsed));
    let is_less = kept != suspected && is_as_suspected && is_same_write;
    Ok(Looked { evidence, text, acquittal: is_less.then_some(Acquittal { resource, suspected, kept }) })
}

/// Returns what must be read so that a suspicion can be judged: of a violation what its rule looks at, of a drift all that
/// there is, for an earlier declaration may have asked for any of it.
fn concerned(lens: &Lens<'_>, suspicion: &Evidence) -> Wanted {
    let kind = &suspicion.resource.kind;
    let rule = match &suspicion.subject {
        Subject::Violation(id) => lens.rules.of(kind).find(|rule| rule.id == *id),
        Subject::Drift(_) => None,
    };
    let attributes = rule.and_then(|rule| rule.attributes());
    let attributes = attributes.map(|names| (kind.clone(), names.into_iter().map(Box::from).collect()));
    Wanted {
        full: [kind.clone()].into(),
        attributes: attributes.into_iter().collect(),
        // What Git calls by a name may be there under another.
        by_any_name: suspicion.subject == Subject::Drift(DriftKind::Missing),
        ..Wanted::default()
    }
}

/// What is left of an evidence after a rehearsal, and the text that was rehearsed on.
type Rehearsed = (Option<Evidence>, Option<Box<str>>);

/// Returns what is left of an evidence when the provider has said what writing the declaration would change.
async fn rehearse(lens: Lens<'_>, collector: &dyn Collector, evidence: Evidence) -> anyhow::Result<Rehearsed> {
    let is_change = evidence.subject == Subject::Drift(DriftKind::Changed);
    let Some(desired) = lens.expected.find(&evidence.resource).filter(|_| is_change) else {
        return Ok((Some(evidence), None));
    };
    match collector.rehearse(&evidence.resource, &desired.attributes).await {
        None => Ok((Some(evidence), None)),
        Some(Rehearsal::Impossible { why, before }) => {
            let evidence = Evidence { proof: Proof::RereadOnly(why), ..evidence };
            match before {
                // A listing may have been in another version than the declaration.
                Some(before) => Ok((lens.narrow(evidence, &before)?, Some(before))),
                None => Ok((Some(evidence), None)),
            }
        }
        Some(Rehearsal::Played { before, after }) => Ok((lens.outlast(evidence, &before, &after)?, Some(before))),
    }
}

/// Finds out who touched the declaration last, and whether what was read is what an earlier one asked for.
async fn explain(
    pass: &Pass<'_>,
    evidence: &mut Evidence,
    (known, text): (Cause, Option<(&str, Depth)>),
    now: Timestamp,
) -> anyhow::Result<()> {
    let past = pass.history.past(pass.scope, evidence).await?;
    evidence.cause = match (known, &evidence.subject) {
        (Cause::Unknown, Subject::Drift(drift)) => {
            let equals = |desired: &_| text.is_some_and(|text| pass.lens().is_as(desired, &evidence.resource, text));
            cause::cause(*drift, &past.earlier, equals, (pass.policy.rollout, now))
        }
        (known, _) => known,
    };
    if let Some(origin) = &mut evidence.origin {
        origin.touched = past.touched;
    }
    Ok(())
}

/// Advances every finding that was seen or known by this look.
fn advance_all(
    pass: &Pass<'_>,
    known: &mut BTreeMap<Fingerprint, Finding>,
    sights: &Sights,
    seen: Vec<(Evidence, Confirmation)>,
    now: Timestamp,
) -> (Vec<Step>, Vec<SignedDuration>) {
    let (mut steps, mut delays) = (Vec::new(), Vec::new());
    let mut advance = |known: Option<Finding>, sighting, confirmation| {
        let is_told = known.as_ref().and_then(finding::detection_delay).is_some();
        let step = finding::advance(known, sighting, confirmation, pass.policy.hold, (pass.scope, now));
        delays.extend(step.as_ref().filter(|_| !is_told).and_then(|step| finding::detection_delay(&step.finding)));
        // What was over stays as it was saved: writing it again at each look would keep it for ever.
        let step = step.filter(|step| step.transition.is_some() || step.finding.phase != Phase::Resolved);
        steps.extend(step.map(|step| prioritized(step, &pass.policy.weights, now)));
    };
    for (evidence, confirmation) in seen {
        let before = known.remove(&Fingerprint::of(&evidence.resource, &evidence.subject));
        advance(before, Sighting::Seen(Box::new(evidence)), confirmation);
    }
    for (_, finding) in std::mem::take(known) {
        let id = &finding.evidence.resource;
        let sighting = match pass.collector.leaves_out(&id.kind, &id.name) {
            Some(_) => Sighting::Unknown,
            None => sights.of_unseen(&finding),
        };
        advance(Some(finding), sighting, Confirmation::Unconfirmed);
    }
    (steps, delays)
}

fn prioritized(mut step: Step, weights: &Weights, now: Timestamp) -> Step {
    (step.finding.priority, step.finding.priority_reasons) = priority::prioritize(&step.finding, weights, now);
    step
}

/// Decides what follows, and saves everything in one transaction: what is saved will be told, and only that.
async fn save(pass: &Pass<'_>, report: &Report, store: &dyn Store, epoch: Epoch) -> anyhow::Result<()> {
    let begun = Instant::now();
    let Policy { route, hooks, .. } = pass.policy;
    let record = ScanRecord {
        id: report.id.clone(),
        scope: pass.scope.clone(),
        started_at: report.started_at,
        finished_at: report.finished_at,
        complete: report.sights.is_complete(),
        resources: u64::try_from(report.sights.resources).unwrap_or(u64::MAX),
        managed: u64::try_from(report.sights.managed).unwrap_or(u64::MAX),
        units: units(&report.sights),
        revisions: pass.revisions.clone(),
        actions: decide::decide(&report.steps, route.as_ref(), hooks, report.finished_at),
        steps: report.steps.clone(),
    };
    store.commit(epoch, &record).await.context("failed to save the scan")?;
    stage_ended(pass, "save", begun);
    Ok(())
}

/// Returns how each kind was read.
pub fn units(sights: &Sights) -> Vec<Unit> {
    let gap = |gap: &Gap| UnitGap { reason: gap.reason, detail: gap.detail.clone() };
    let gap_of = |kind: &Kind| sights.gaps.iter().find(|gap| gap.kind.as_ref() == Some(kind)).map(gap);
    let unread = sights.gaps.iter().filter_map(|gap| gap.kind.as_ref());
    let kinds: BTreeSet<&Kind> = sights.kinds.keys().chain(unread).collect();
    let resources = |kind| sights.kinds.get(kind).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0);
    let whole = sights.gaps.iter().filter(|gap| gap.kind.is_none());
    kinds
        .into_iter()
        .map(|kind| Unit {
            kind: Some(kind.clone()),
            resources: resources(kind),
            gap: gap_of(kind),
            lacks_schema: sights.without_schema.contains(kind),
            as_of: sights.as_of.get(kind).copied(),
        })
        .chain(whole.map(|scope| Unit { gap: Some(gap(scope)), ..Unit::default() }))
        .collect()
}

async fn tell_telemetry(pass: &Pass<'_>, report: &Report, store: &dyn Store) -> anyhow::Result<()> {
    let count = |wanted: Transition| {
        let number = report.steps.iter().filter(|step| step.transition == Some(wanted)).count();
        u64::try_from(number).unwrap_or(u64::MAX)
    };
    for step in &report.steps {
        if let Some(transition) = step.transition {
            emit(&FindingMoved { finding: &step.finding, transition });
        }
    }
    for delay in &report.delays {
        emit(&ChangeDetected { cloud: &pass.scope.cloud, delay: *delay });
    }
    // What is left out is not looked at: what was last seen of it says nothing of now.
    let is_left_out = |id: &ResourceId| pass.collector.leaves_out(&id.kind, &id.name).is_some();
    let is_told = |finding: &&Finding| finding.phase != Phase::Resolved && !is_left_out(&finding.evidence.resource);
    let findings = METRICS.states(report.steps.iter().map(|step| &step.finding).filter(is_told));
    emit(&ScanFinished {
        scope: pass.scope,
        resources: report.sights.resources,
        gaps: report.sights.gaps.len(),
        findings: findings.len(),
        opened: count(Transition::Opened),
        resolved: count(Transition::Resolved),
    });
    let last_success = last_success(pass, store).await?;
    let Sights { managed, resources, gaps, tallies, ignored, .. } = &report.sights;
    let (managed, resources) = (*managed, *resources);
    let (gaps, tallies, ignored) = (gaps.clone(), tallies.clone(), ignored.clone());
    let as_of = report.sights.as_of.values().copied().fold(report.started_at, Timestamp::min);
    let state = ScopeState { managed, resources, gaps, last_success, as_of, findings, tallies, ignored };
    METRICS.set_scope(pass.scope, state);
    Ok(())
}

async fn last_success(pass: &Pass<'_>, store: &dyn Store) -> anyhow::Result<Option<Timestamp>> {
    let scopes = store.scopes().await.context("failed to load the last complete scan")?;
    let this = scopes.into_iter().find(|scope| scope.last.scope == *pass.scope);
    if this.is_none() {
        emit(&InvariantBroken { what: "a saved scan is in the store", detail: pass.scope });
    }
    Ok(this.and_then(|scope| scope.last_complete_at))
}

fn stage_ended(pass: &Pass<'_>, stage: &'static str, begun: Instant) {
    emit(&StageEnded { cloud: &pass.scope.cloud, stage, seconds: begun.elapsed().as_secs_f64() });
}

impl Pass<'_> {
    /// Returns the span that is the root of the trace of this pass.
    fn span(&self) -> Span {
        info_span!("scan", scope = %self.scope, cloud = &*self.scope.cloud)
    }

    /// Returns what the pure middle looks through.
    pub fn lens(&self) -> Lens<'_> {
        let Self { scope, expected, rules, schemas, related, mask, .. } = *self;
        Lens { scope, expected, rules, schemas, related, mask }
    }
}

#[cfg(test)]
mod tests;
