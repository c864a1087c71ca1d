//! One look at a scope, and what is remembered of it: hashes.
//!
//! A resource that reads byte for byte as it did in the last look, under the same declarations, rules, schema and
//! normalizer, costs one hash and one look-up. No tree of values is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::compare::{self, Change, ChangeOp, Comparison, Context, Facts, MaskKey, Patch, Strictly};
use crate::control::{Reading, Tallies, Tally};
use crate::expected::{Clash, Expected};
use crate::finding::{Cause, DriftKind, Evidence, Finding, Proof, Severity, Sighting, Subject};
use crate::ignore::{self, Case, Hidden, Ignored};
use crate::normalize;
use crate::ownership;
use crate::priority::drift_severity;
use crate::related::Related;
use crate::resource::{Depth, Desired, Gap, GapReason, Kind, Labels, Resource, ResourceId, Scope};
use crate::rule::{self, Rule, RuleSet, Verdict};
use crate::schema::{Schema, Schemas};

/// What the last looks at a scope left behind.
#[derive(Debug, Default)]
pub struct Snapshot {
    shelves: HashMap<Kind, Shelf>,
    /// Kinds of which there ever was something.
    held: BTreeSet<Kind>,
    looks: u32,
    /// How many complete looks in a row hid nothing by a rule, by source and name.
    idle: BTreeMap<(Arc<str>, Arc<str>), u32>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Digest of the declarations, rules, schema and normalizer under which the assessments were made.
    basis: [u8; 16],
    /// When the look began that last left it whole: the kind was read to the end, and nothing of it was left out.
    whole: Option<Timestamp>,
    resources: HashMap<Box<str>, Seen>,
}

/// What is remembered of one resource.
#[derive(Debug)]
struct Seen {
    observed: [u8; 16],
    /// Number of the look that saw it last.
    look: u32,
    /// Position of its declaration, or `UNDECLARED`.
    declared: u32,
    /// Only where there is something to say.
    assessment: Option<Box<Assessment>>,
}

const UNDECLARED: u32 = u32::MAX;

/// Ends the message about a change that a schema might have explained.
const WITHOUT_SCHEMA: &str = "; compared without the provider's own schema of the kind, which could not be read";

/// Of what a kind lost since the last look so many are asked for, to see whether they are gone or were not listed.
const LOST_ASKED_FOR: usize = 4;
/// So many are asked for one by one at most, of one kind in one look.
const MOST_ASKED_FOR: usize = 100;

/// Stands for a kind in a gap of what Git asks for.
const DESIRED_STATE: &str = "(desired state)";

impl Snapshot {
    /// Keeps in mind what an exact look left of a suspicion: while it is judged on the same basis, the rest of it is not
    /// suspected again.
    pub fn acquit(&mut self, acquittal: &Acquittal) {
        let Acquittal { resource, suspected, kept } = acquittal;
        let seen = self.shelves.get_mut(&resource.kind).and_then(|shelf| shelf.resources.get_mut(&*resource.name));
        let Some(seen) = seen else { return };
        if let Some(assessment) = seen.assessment.as_deref_mut()
            && assessment.comparison.changes == *suspected
        {
            assessment.acquitted.extend(acquittal.acquitted());
            assessment.comparison.changes.clone_from(kept);
        }
        seen.assessment = seen.assessment.take().filter(|assessment| !assessment.is_silent());
    }

    /// Keeps in mind that something of a kind is not as it is remembered: the kind is not whole until it is read again.
    pub fn doubt(&mut self, kind: &Kind) {
        if let Some(shelf) = self.shelves.get_mut(kind) {
            shelf.whole = None;
        }
    }

    /// Returns the kinds of which everything is remembered and would be judged as it was, and when the look began that last
    /// saw to it. Of these it is enough to say what is not as it was.
    pub fn whole(&self, lens: Lens<'_>) -> BTreeMap<Kind, Timestamp> {
        let same = self.shelves.iter().filter(|(kind, shelf)| shelf.whole.is_some() && shelf.basis == lens.basis(kind));
        same.filter_map(|(kind, shelf)| Some((kind.clone(), shelf.whole?))).collect()
    }

    /// Returns how many resources are remembered.
    pub fn len(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.resources.len()).sum()
    }

    /// Returns whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts how long each ignore rule has hidden nothing. A look that did not see everything proves nothing.
    fn note_idle(&mut self, sights: &mut Sights) {
        let is_complete = sights.is_complete();
        let before = std::mem::take(&mut self.idle);
        for ignored in &mut sights.ignored {
            let key = (Arc::clone(&ignored.rule.source), Arc::clone(&ignored.rule.name));
            let idle = before.get(&key).copied().unwrap_or(0);
            ignored.idle = if ignored.hits > 0 { 0 } else { idle.saturating_add(u32::from(is_complete)) };
            self.idle.insert(key, ignored.idle);
        }
    }
}

/// What an exact look left of what a listing had suspected of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Acquittal {
    /// The resource.
    pub resource: ResourceId,
    /// Every difference that was suspected.
    pub suspected: Vec<Change>,
    /// Those that are differences.
    pub kept: Vec<Change>,
}

impl Acquittal {
    /// Returns the suspected differences that are none. Where the exact look saw others than were suspected, nobody can
    /// say which of the suspected ones they are.
    fn acquitted(&self) -> Vec<Change> {
        let Self { suspected, kept, .. } = self;
        if !kept.iter().all(|change| suspected.contains(change)) {
            return Vec::new();
        }
        suspected.iter().filter(|change| !kept.contains(change)).cloned().collect()
    }
}

/// What was found out about one resource, where there is anything to say.
#[derive(Debug, Clone, PartialEq)]
struct Assessment {
    labels: Labels,
    is_unmanaged: bool,
    comparison: Comparison,
    verdicts: Vec<Judged>,
    hidden: Vec<Hidden>,
    /// Suspected differences that an exact look found to be none.
    acquitted: Vec<Change>,
}

/// A rule, how bad it is to break it, and what it says.
type Judged = (Arc<str>, Severity, Verdict);

impl Assessment {
    fn is_silent(&self) -> bool {
        !self.is_unmanaged
            && self.comparison.changes.is_empty()
            && self.comparison.unknown.is_empty()
            && self.verdicts.is_empty()
            && self.hidden.is_empty()
            && self.acquitted.is_empty()
    }

    /// Takes out of what was found what was acquitted before; what is not suspected any more is forgotten.
    fn acquit_again(&mut self, acquitted: &[Change]) {
        let again = |change: &mut Change| acquitted.contains(change);
        self.acquitted.extend(self.comparison.changes.extract_if(.., again));
    }
}

/// Everything that stays the same during a look: what is asked for, what is checked, what counts as equal.
#[derive(Clone, Copy)]
pub struct Lens<'a> {
    /// The scope that is looked at.
    pub scope: &'a Scope,
    /// What Git asks for.
    pub expected: &'a Expected,
    /// What is checked.
    pub rules: &'a RuleSet,
    /// What counts as equal.
    pub schemas: &'a Schemas,
    /// What the rest of the scope says.
    pub related: &'a Related,
    /// Key of the digests of sensitive values.
    pub mask: &'a MaskKey,
}

/// A text that is not the JSON of a resource.
#[derive(Debug, thiserror::Error)]
#[error("invalid JSON of {kind} `{name}`")]
pub struct MalformedItem {
    kind: Kind,
    name: String,
    #[source]
    source: serde_json::Error,
}

/// One resource as a lens shows it.
struct Shown {
    declared: Option<usize>,
    assessment: Assessment,
}

impl Lens<'_> {
    fn basis(&self, kind: &Kind) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&normalize::VERSION.to_le_bytes());
        hasher.update(&self.rules.hash());
        hasher.update(&self.expected.basis(kind));
        hasher.update(&self.schemas.of(kind).hash());
        hasher.update(&self.related(kind).map(Related::hash).unwrap_or_default());
        let mut basis = [0; 16];
        hasher.finalize_xof().fill(&mut basis);
        basis
    }

    /// Returns what the rest of the scope says, if a declaration of the kind needs it.
    fn related(&self, kind: &Kind) -> Option<&Related> {
        self.expected.kind(kind).filter(|expected| expected.names_alias()).map(|_| self.related)
    }

    /// Normalizes, compares and evaluates one resource.
    fn show(&self, kind: &Kind, schema: &Schema, item: ItemText<'_>) -> Result<Shown, MalformedItem> {
        let mut attributes: Value = serde_json::from_str(item.text).map_err(|source| MalformedItem {
            kind: kind.clone(),
            name: item.name.to_owned(),
            source,
        })?;
        let is_owned = ownership::is_owned(self.scope.provider, kind, item.name, &attributes);
        let names = normalize::names(self.scope.provider, kind, item.name, &attributes);
        normalize::normalize(self.scope.provider, kind, &mut attributes);
        let labels = normalize::labels(self.scope.provider, &attributes);
        let resource = Resource { id: self.scope.id(kind, item.name), labels, attributes, depth: item.depth };
        let declared = self.find((kind, item.name), &names, &resource.attributes);
        let desired = declared.and_then(|at| self.expected.kind(kind)?.item(at));
        let is_unmanaged = desired.is_none() && !is_owned && self.expected.reports_unmanaged(kind);
        let verdicts = self.verdicts(&resource, desired);
        let judged = desired.map(|desired| {
            let found = self.compare(desired, (&resource, &names), schema);
            self.accept(desired, &resource, (found, &verdicts))
        });
        let (comparison, hidden) = judged.unwrap_or_default();
        let labels = merged(resource.labels, desired);
        Ok(Shown {
            declared,
            assessment: Assessment { labels, is_unmanaged, comparison, verdicts, hidden, acquitted: Vec::new() },
        })
    }

    fn find(&self, (kind, name): (&Kind, &str), others: &[String], attributes: &Value) -> Option<usize> {
        let expected = self.expected.kind(kind)?;
        let known = expected.find(name).or_else(|| others.iter().find_map(|name| expected.find(name)));
        let called = || normalize::nicknames(kind, attributes).iter().find_map(|name| expected.find(name));
        known.or_else(called)
    }

    fn compare(&self, desired: &Desired, (resource, names): (&Resource, &[String]), schema: &Schema) -> Comparison {
        let context = self.context(&resource.id);
        let kind = &resource.id.kind;
        let names = names.iter().map(String::as_str).chain([&*resource.id.name]);
        let strictly = Strictly {
            strict: self.expected.strict(kind, &desired.origin.source),
            siblings: &self.expected.siblings(kind, names.clone()),
            scalers: &self.expected.scalers(kind, names),
            is_doubted: !self.expected.doubts().is_empty(),
        };
        let facts = Facts { kind, schema, context: &context, depth: resource.depth, mask: self.mask, strictly };
        let mut comparison = compare::compare(&desired.attributes, &resource.attributes, facts);
        // Undeclared values are shown on request; remembering them for a million resources would cost a heap.
        comparison.undeclared = Vec::new();
        comparison
    }

    /// Takes out of what was found what somebody accepted.
    fn accept(
        &self,
        desired: &Desired,
        resource: &Resource,
        (mut found, verdicts): (Comparison, &[Judged]),
    ) -> (Comparison, Vec<Hidden>) {
        let ignores = self.expected.ignores(&desired.origin.source);
        if ignores.is_empty() || found.changes.is_empty() {
            return (found, Vec::new());
        }
        let fails =
            |rule: &&Rule| verdicts.iter().any(|(id, _, said)| *id == rule.id && matches!(said, Verdict::Fail(_)));
        let broken = self.rules.of(&resource.id.kind).map(|rule| &**rule).filter(fails).collect();
        let hidden = Case { desired, resource, broken }.hide(ignores, &mut found);
        (found, hidden)
    }

    fn verdicts(&self, resource: &Resource, desired: Option<&Desired>) -> Vec<Judged> {
        let judge = |rule: &Arc<Rule>| (Arc::clone(&rule.id), rule.severity, rule::evaluate(rule, resource, desired));
        self.rules.of(&resource.id.kind).map(judge).filter(|(_, _, verdict)| *verdict != Verdict::Pass).collect()
    }

    /// Returns what an exact re-read says of a suspicion: the evidence as it is now, or nothing if it is not so.
    /// `text` is nothing where the provider says that there is no such resource.
    pub fn look_again(
        &self,
        suspicion: &Evidence,
        text: Option<(&str, Depth)>,
    ) -> Result<Option<Evidence>, MalformedItem> {
        let id = &suspicion.resource;
        let Some((text, depth)) = text else {
            let is_missing = suspicion.subject == Subject::Drift(DriftKind::Missing);
            return Ok(is_missing.then(|| suspicion.clone()));
        };
        let item = ItemText { name: &id.name, text, depth };
        let shown = self.show(&id.kind, self.schemas.of(&id.kind), item)?;
        let desired = shown.declared.and_then(|at| self.expected.kind(&id.kind)?.item(at));
        let mut evidence = Vec::new();
        self.testify(id, &shown.assessment, desired, &mut evidence);
        Ok(evidence.into_iter().find(|evidence| evidence.subject == suspicion.subject))
    }

    /// Returns whether nothing in the text of a resource differs from what a declaration asks for.
    pub fn is_as(&self, desired: &Desired, id: &ResourceId, (text, depth): (&str, Depth)) -> bool {
        let Ok(attributes) = serde_json::from_str(text) else { return false };
        let (resource, found) = self.differences(desired, id, (attributes, depth));
        self.accept(desired, &resource, (found, &[])).0.changes.is_empty()
    }

    /// Returns the resource of these attributes, and how it differs from what a declaration asks for.
    fn differences(
        &self,
        desired: &Desired,
        id: &ResourceId,
        (mut attributes, depth): (Value, Depth),
    ) -> (Resource, Comparison) {
        let names = normalize::names(self.scope.provider, &id.kind, &id.name, &attributes);
        normalize::normalize(self.scope.provider, &id.kind, &mut attributes);
        let labels = normalize::labels(self.scope.provider, &attributes);
        let resource = Resource { id: id.clone(), labels, attributes, depth };
        let found = self.compare(desired, (&resource, &names), self.schemas.of(&id.kind));
        (resource, found)
    }

    /// Returns how the resource of that text differs, but for what somebody accepted.
    fn drift(&self, desired: &Desired, id: &ResourceId, text: &str) -> Result<Vec<Change>, MalformedItem> {
        let (resource, found) = self.differences(desired, id, (parsed(id, text)?, Depth::Full));
        let verdicts = self.verdicts(&resource, Some(desired));
        Ok(self.accept(desired, &resource, (found, &verdicts)).0.changes)
    }

    /// Returns what is left of an evidence when the provider has said what writing the declaration would make of the
    /// resource: nothing, if that would make good nothing of it.
    ///
    /// What would differ from the declaration after the write as it does before is the provider's own doing: a default, a
    /// field that it drops, a value that an admission rewrites.
    pub fn outlast(&self, evidence: Evidence, before: &str, after: &str) -> Result<Option<Evidence>, MalformedItem> {
        let id = &evidence.resource;
        let Some(desired) = self.expected.find(id) else { return Ok(Some(evidence)) };
        let mut after: Value = parsed(id, after)?;
        // A write removes what it once wrote and declares no longer, but not what others did: that is not judged by it.
        normalize::forget_writers(&mut after);
        let kept = self.differences(desired, id, (after, Depth::Full)).1.changes;
        let mut changes = self.drift(desired, id, before)?;
        // What nobody declared is not taken away by a write, and counts where it counts.
        let is_judged = |change: &Change| change.op != ChangeOp::Added;
        changes.retain(|change| !(is_judged(change) && kept.iter().any(|kept| is_same(kept, change))));
        Ok(self.with_changes(Evidence { proof: Proof::Rehearsed, ..evidence }, changes))
    }

    /// Returns what is left of an evidence when the resource was read in the form in which it is declared.
    pub fn narrow(&self, evidence: Evidence, before: &str) -> Result<Option<Evidence>, MalformedItem> {
        let id = &evidence.resource;
        let Some(desired) = self.expected.find(id) else { return Ok(Some(evidence)) };
        let changes = self.drift(desired, id, before)?;
        Ok(self.with_changes(evidence, changes))
    }

    /// Returns the patch that makes good what an evidence says of the resource of that text.
    pub fn patch(&self, evidence: &Evidence, (text, depth): (&str, Depth)) -> Option<Patch> {
        let id = &evidence.resource;
        let attributes: Value = serde_json::from_str(text).ok()?;
        let names = normalize::names(self.scope.provider, &id.kind, &id.name, &attributes);
        let at = self.find((&id.kind, &id.name), &names, &attributes)?;
        let desired = self.expected.kind(&id.kind)?.item(at)?;
        let labels = normalize::labels(self.scope.provider, &attributes);
        let resource = Resource { id: id.clone(), labels, attributes, depth };
        let ignore = ignore::together(self.expected.ignores(&desired.origin.source), desired, &resource);
        let context = self.context(id);
        let (kind, schema, strictly) = (&id.kind, self.schemas.of(&id.kind), Strictly::default());
        let facts = Facts { kind, schema, context: &context, depth: resource.depth, mask: self.mask, strictly };
        let sides = (&desired.attributes, &resource.attributes);
        Some(compare::patch(sides, &evidence.changes, &ignore, facts))
    }

    fn context(&self, id: &ResourceId) -> Context {
        Context {
            account: self.scope.account.to_string(),
            region: self.scope.region.to_string(),
            id: id.name.to_string(),
            related: self.related(&id.kind).map(|related| Arc::clone(related.facts())).unwrap_or_default(),
        }
    }

    /// Adds the evidence that an assessment holds.
    fn testify(&self, id: &ResourceId, seen: &Assessment, desired: Option<&Desired>, into: &mut Vec<Evidence>) {
        let evidence = |subject, severity, message, cause| Evidence {
            resource: id.clone(),
            subject,
            labels: seen.labels.clone(),
            severity,
            message,
            changes: Vec::new(),
            origin: desired.map(|desired| desired.origin.clone()),
            cause,
            actor: None,
            arisen: None,
            proof: Proof::Listed,
        };
        let drift = |kind, message| evidence(Subject::Drift(kind), drift_severity(kind), message, Cause::Unknown);
        if seen.is_unmanaged {
            into.push(drift(DriftKind::Unmanaged, format!("{} {} is not declared in Git", id.kind, id.name)));
        }
        if !seen.comparison.changes.is_empty() {
            let changes = seen.comparison.changes.clone();
            let message = self.changed_message(id, &changes);
            into.push(Evidence { changes, ..drift(DriftKind::Changed, message) });
        }
        for (rule, severity, verdict) in &seen.verdicts {
            if let Verdict::Fail(message) = verdict {
                let subject = Subject::Violation(Arc::clone(rule));
                into.push(evidence(subject, *severity, message.clone(), Cause::Unknown));
            }
        }
    }

    fn with_changes(&self, evidence: Evidence, changes: Vec<Change>) -> Option<Evidence> {
        let message = self.changed_message(&evidence.resource, &changes);
        (!changes.is_empty()).then_some(Evidence { message, changes, ..evidence })
    }

    fn changed_message(&self, id: &ResourceId, changes: &[Change]) -> String {
        let paths: Vec<&str> = changes.iter().take(3).map(|change| change.path.as_str()).collect();
        let more = changes.len().saturating_sub(paths.len());
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        let caveat = if self.schemas.lacks(&id.kind) { WITHOUT_SCHEMA } else { "" };
        format!("{} {} differs from Git in {}{tail}{caveat}", id.kind, id.name, paths.join(", "))
    }
}

fn parsed(id: &ResourceId, text: &str) -> Result<Value, MalformedItem> {
    let name = id.name.to_string();
    serde_json::from_str(text).map_err(|source| MalformedItem { kind: id.kind.clone(), name, source })
}

/// Returns whether two comparisons saw the same at the same place.
fn is_same(one: &Change, other: &Change) -> bool {
    (&one.path, one.op, &one.observed) == (&other.path, other.op, &other.observed)
}

/// Returns the cloud's labels with Git's over them.
fn merged(mut labels: Labels, desired: Option<&Desired>) -> Labels {
    labels.extend(desired.into_iter().flat_map(|desired| desired.labels.clone()));
    labels
}

/// One resource as a collector hands it over.
#[derive(Debug, Clone, Copy)]
pub struct ItemText<'a> {
    /// The provider's primary identifier.
    pub name: &'a str,
    /// The JSON text of its attributes.
    pub text: &'a str,
    /// How much was read.
    pub depth: Depth,
}

impl ItemText<'_> {
    fn hash(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[self.depth as u8]);
        hasher.update(self.text.as_bytes());
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        hash
    }
}

/// One look at one scope, while it goes on.
pub struct Look<'a> {
    lens: Lens<'a>,
    began: Timestamp,
    snapshot: &'a mut Snapshot,
    progress: HashMap<Kind, Progress>,
    gaps: Vec<Gap>,
    /// Kinds of which something is remembered.
    remembered: BTreeSet<Kind>,
}

/// How far the reading of one kind has come.
struct Progress {
    schema: Arc<Schema>,
    is_anew: bool,
    is_complete: bool,
    resources: usize,
    managed: usize,
    /// For each declaration the name of the resource that is it.
    matched: Vec<Option<Box<str>>>,
    /// Until when it is known to be so, where some of it was not read again.
    as_of: Option<Timestamp>,
}

impl<'a> Look<'a> {
    /// Begins a look at that time.
    pub fn begin(lens: Lens<'a>, snapshot: &'a mut Snapshot, began: Timestamp) -> Self {
        snapshot.looks = snapshot.looks.wrapping_add(1);
        Self { lens, began, snapshot, progress: HashMap::new(), gaps: Vec::new(), remembered: BTreeSet::new() }
    }

    /// Notes that something of that kind is remembered: not to read the kind is a gap then.
    pub fn remember(&mut self, kind: &Kind) {
        self.remembered.insert(kind.clone());
    }

    /// Takes the resources of one page of one kind.
    pub fn take<'i>(&mut self, kind: &Kind, items: impl Iterator<Item = ItemText<'i>>) {
        let lens = self.lens;
        let look = self.snapshot.looks;
        self.begin_kind(kind);
        let (Some(shelf), Some(progress)) = (self.snapshot.shelves.get_mut(kind), self.progress.get_mut(kind)) else {
            return;
        };
        for item in items {
            if let Err(error) = take_one(lens, (kind, look), (shelf, progress), item) {
                self.gaps.push(error);
            }
        }
        if progress.resources > 0 && !self.snapshot.held.contains(kind) {
            self.snapshot.held.insert(kind.clone());
        }
    }

    /// Takes resources that were not read again, for they are known to be, until that time, as the last look saw them. One
    /// that is not remembered was not looked at: a gap.
    pub fn keep<'n>(&mut self, kind: &Kind, names: impl Iterator<Item = &'n str>, as_of: Timestamp) {
        let look = self.snapshot.looks;
        self.begin_kind(kind);
        let (Some(shelf), Some(progress)) = (self.snapshot.shelves.get_mut(kind), self.progress.get_mut(kind)) else {
            return;
        };
        progress.date(as_of);
        for name in names {
            let kept = match shelf.resources.get_mut(name) {
                Some(seen) => progress.see(kind, (name, seen), look),
                None => Err(Gap {
                    kind: Some(kind.clone()),
                    reason: GapReason::Partial,
                    detail: format!("`{name}` is said to be as it was, and nothing is remembered of it"),
                }),
            };
            self.gaps.extend(kept.err());
        }
    }

    /// Takes all that is remembered of a kind, which was not read again, for it is known to be as it was until that time.
    pub fn keep_all(&mut self, kind: &Kind, as_of: Timestamp) {
        let look = self.snapshot.looks;
        self.begin_kind(kind);
        let (Some(shelf), Some(progress)) = (self.snapshot.shelves.get_mut(kind), self.progress.get_mut(kind)) else {
            return;
        };
        progress.date(as_of);
        for (name, seen) in &mut shelf.resources {
            self.gaps.extend(progress.see(kind, (name, seen), look).err());
        }
        let is_forgotten = shelf.whole.is_none();
        self.gaps.extend(is_forgotten.then(|| Gap {
            kind: Some(kind.clone()),
            reason: GapReason::Partial,
            detail: "the kind is said to be as it was, and is not remembered".to_owned(),
        }));
    }

    /// Makes the shelf of a kind ready, once a look: what was assessed under another basis is forgotten.
    fn begin_kind(&mut self, kind: &Kind) {
        if self.progress.contains_key(kind) {
            return;
        }
        let basis = self.lens.basis(kind);
        let shelf = self.snapshot.shelves.entry(kind.clone()).or_default();
        let is_anew = shelf.basis != basis;
        if is_anew {
            shelf.basis = basis;
            shelf.whole = None;
            shelf.resources.clear();
        }
        let declared = self.lens.expected.kind(kind).map_or(0, |expected| expected.items().len());
        let schema = Arc::clone(self.lens.schemas.of(kind));
        let matched = vec![None; declared];
        let progress = Progress { schema, is_anew, is_complete: false, resources: 0, managed: 0, matched, as_of: None };
        self.progress.insert(kind.clone(), progress);
    }

    /// Notes that every page of a kind was read.
    pub fn complete(&mut self, kind: &Kind) {
        self.begin_kind(kind);
        if let Some(progress) = self.progress.get_mut(kind) {
            progress.is_complete = true;
        }
    }

    /// Notes that Git declares one resource twice: nobody can say which of the two is meant.
    pub fn clash(&mut self, clash: &Clash) {
        let detail = clash.detail.clone();
        self.gaps.push(Gap { kind: Some(clash.kind.clone()), reason: GapReason::Malformed, detail });
    }

    /// Notes that something was not read to the end.
    pub fn gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Returns what readings of these kinds to the end did not show although it was there: some of what earlier looks saw
    /// of each, and those of `known`. If one of them is there all the same, the reading was shorter than it said.
    pub fn unseen<'k>(&self, kinds: &BTreeSet<Kind>, known: impl Iterator<Item = &'k ResourceId>) -> Vec<ResourceId> {
        let mut unseen = BTreeMap::<&Kind, BTreeSet<ResourceId>>::new();
        for id in known.filter(|id| !self.shows(id)) {
            unseen.entry(&id.kind).or_default().insert(id.clone());
        }
        let is_whole = |kind: &Kind| {
            let is_gap = |gap: &Gap| gap.kind.as_ref().is_none_or(|of| of == kind);
            self.progress.get(kind).is_some_and(|progress| progress.is_complete) && !self.gaps.iter().any(is_gap)
        };
        let whole = kinds.iter().filter(|kind| is_whole(kind));
        whole
            .flat_map(|kind| {
                let known = unseen.remove(&kind).unwrap_or_default();
                let lost = spread(&self.lost(kind), LOST_ASKED_FOR);
                spread(&known.into_iter().chain(lost).collect(), MOST_ASKED_FOR)
            })
            .collect()
    }

    /// Returns whether this look has seen a resource.
    fn shows(&self, id: &ResourceId) -> bool {
        let seen = self.snapshot.shelves.get(&id.kind).and_then(|shelf| shelf.resources.get(&*id.name));
        seen.is_some_and(|seen| seen.look == self.snapshot.looks)
    }

    /// Returns what earlier looks saw of a kind and this one did not.
    fn lost(&self, kind: &Kind) -> BTreeSet<ResourceId> {
        let seen = self.progress.get(kind).map_or(0, |progress| progress.resources);
        // Nearly always nothing is lost, and then nothing is looked through.
        let shelf = self.snapshot.shelves.get(kind).filter(|shelf| shelf.resources.len() > seen);
        let resources = shelf.into_iter().flat_map(|shelf| &shelf.resources);
        let lost = resources.filter(|(_, seen)| seen.look != self.snapshot.looks);
        lost.map(|(name, _)| self.lens.scope.id(kind, name)).collect()
    }

    /// Ends the look.
    pub fn finish(mut self) -> Sights {
        self.note_unread_kinds();
        self.note_doubts();
        let mut sights = Sights {
            is_desired_known: self.lens.expected.doubts().is_empty(),
            is_blind: self.gaps.iter().any(|gap| gap.kind.is_none()),
            ignored: self
                .lens
                .expected
                .all_ignores()
                .map(|(rule, is_expired)| Ignored::new(rule, is_expired))
                .collect(),
            ..Sights::default()
        };
        let incomplete: BTreeSet<Kind> = self.gaps.iter().filter_map(|gap| gap.kind.clone()).collect();
        let tally = |rule: &Arc<Rule>| Tally { rule: rule.digest(), ..Tally::default() };
        sights.tallies = self.lens.rules.iter().map(|rule| (Arc::clone(&rule.id), tally(rule))).collect();
        let progress = std::mem::take(&mut self.progress);
        for (kind, progress) in &progress {
            sights.kinds.insert(kind.clone(), progress.resources);
            sights.resources += progress.resources;
            sights.managed += progress.managed;
            if progress.is_anew {
                sights.judged_anew.insert(kind.clone());
            }
            if progress.managed > 0 && self.lens.schemas.lacks(kind) {
                sights.without_schema.insert(kind.clone());
            }
            let is_whole = progress.is_complete && !sights.is_blind && !incomplete.contains(kind);
            if let Some(shelf) = self.snapshot.shelves.get_mut(kind) {
                shelf.whole = is_whole.then_some(self.began);
            }
            sights.as_of.extend(progress.as_of.map(|as_of| (kind.clone(), as_of)));
            if is_whole {
                sights.complete.insert(kind.clone());
                let forgotten = self.forget_absent(kind);
                self.add_missing((kind, progress), &forgotten, &mut sights);
            }
            self.add_seen(kind, &mut sights);
        }
        note_readings(self.lens.rules, &incomplete, &mut sights);
        let declared = self.lens.expected.kinds().map(|(kind, _)| kind);
        let held = self.snapshot.held.iter().chain(&self.remembered).chain(declared);
        note_held(self.lens.rules, held.chain(&incomplete), &mut sights.tallies);
        if self.gaps.is_empty() {
            self.snapshot.shelves.retain(|kind, _| progress.contains_key(kind));
        }
        sights.evidence.sort_by(|a, b| (&a.resource, &a.subject).cmp(&(&b.resource, &b.subject)));
        sights.gaps = self.gaps;
        // Last, for these are gaps of single resources: all others of their kinds were looked at.
        sights.gaps.extend(self.lens.expected.overlooked());
        self.snapshot.note_idle(&mut sights);
        sights
    }

    /// A kind that Git declares, or of which something is remembered, and that no collector read is a gap, and so is one
    /// that only began.
    fn note_unread_kinds(&mut self) {
        let is_blind = self.gaps.iter().any(|gap| gap.kind.is_none());
        let said: BTreeSet<Kind> = self.gaps.iter().filter_map(|gap| gap.kind.clone()).collect();
        let declared = self.lens.expected.kinds().map(|(kind, _)| kind);
        let begun = self.progress.keys();
        let unread: BTreeSet<&Kind> = declared
            .chain(begun)
            .chain(&self.remembered)
            .filter(|kind| !said.contains(kind) && !self.progress.get(kind).is_some_and(|p| p.is_complete))
            .collect();
        if is_blind {
            return;
        }
        let gap = |kind: &Kind| Gap {
            kind: Some(kind.clone()),
            reason: GapReason::Partial,
            detail: "the kind was not read to the end: not listed by this cloud, or excluded by its `kinds`".to_owned(),
        };
        let gaps: Vec<Gap> = unread.into_iter().map(gap).collect();
        self.gaps.extend(gaps);
    }

    /// What Git asks for and nobody could read is a gap like any other.
    fn note_doubts(&mut self) {
        let gap = |doubt: &String| Gap {
            kind: Some(Kind::from(DESIRED_STATE)),
            reason: GapReason::Partial,
            detail: doubt.clone(),
        };
        self.gaps.extend(self.lens.expected.doubts().iter().map(gap));
    }

    /// Forgets what a complete reading did not see, and returns its names: that was there, and somebody removed it.
    fn forget_absent(&mut self, kind: &Kind) -> BTreeSet<Box<str>> {
        let look = self.snapshot.looks;
        let Some(shelf) = self.snapshot.shelves.get_mut(kind) else { return BTreeSet::new() };
        shelf.resources.extract_if(|_, seen| seen.look != look).map(|(name, _)| name).collect()
    }

    fn add_missing(&self, (kind, progress): (&Kind, &Progress), forgotten: &BTreeSet<Box<str>>, sights: &mut Sights) {
        let items = self.lens.expected.kind(kind).map_or(&[][..], |expected| expected.items());
        for (desired, matched) in items.iter().zip(&progress.matched) {
            let (Some(name), None) = (&desired.name, matched) else { continue };
            let resource = self.lens.scope.id(kind, name);
            if self.lens.expected.overlooks(kind, name) {
                sights.unknown.entry(resource).or_default().push(Doubt::Whole);
                continue;
            }
            sights.evidence.push(Evidence {
                resource,
                subject: Subject::Drift(DriftKind::Missing),
                labels: desired.labels.clone(),
                severity: drift_severity(DriftKind::Missing),
                message: format!("{kind} {name} is declared in Git and does not exist"),
                changes: Vec::new(),
                origin: Some(desired.origin.clone()),
                cause: if forgotten.contains(&**name) { Cause::OutOfBand } else { Cause::Unknown },
                actor: None,
                arisen: None,
                proof: Proof::Listed,
            });
        }
    }

    fn add_seen(&self, kind: &Kind, sights: &mut Sights) {
        let Some(shelf) = self.snapshot.shelves.get(kind) else { return };
        for (name, seen) in &shelf.resources {
            let Some(assessment) = seen.assessment.as_deref().filter(|_| seen.look == self.snapshot.looks) else {
                continue;
            };
            let id = self.lens.scope.id(kind, name);
            let desired = usize::try_from(seen.declared).ok().and_then(|at| self.lens.expected.kind(kind)?.item(at));
            self.lens.testify(&id, assessment, desired, &mut sights.evidence);
            note_verdicts(assessment, &mut sights.tallies);
            note_unknown(&id, assessment, &mut sights.unknown);
            for hidden in &assessment.hidden {
                sights.ignored.iter_mut().for_each(|ignored| ignored.count(hidden));
            }
        }
    }
}

/// Returns at most that many of them, from the first to nearly the last.
fn spread(all: &BTreeSet<ResourceId>, most: usize) -> BTreeSet<ResourceId> {
    all.iter().step_by(all.len().div_ceil(most).max(1)).cloned().collect()
}

/// Takes one resource: a hash and a look-up where nothing changed.
fn take_one(
    lens: Lens<'_>,
    (kind, look): (&Kind, u32),
    (shelf, progress): (&mut Shelf, &mut Progress),
    item: ItemText<'_>,
) -> Result<(), Gap> {
    let observed = item.hash();
    if let Some(seen) = shelf.resources.get_mut(item.name)
        && seen.observed == observed
    {
        return progress.see(kind, (item.name, seen), look);
    }
    let mut shown = lens.show(kind, &progress.schema, item).map_err(|error| Gap {
        kind: Some(kind.clone()),
        reason: GapReason::Malformed,
        detail: format!("{error}: {}", error.source),
    })?;
    if let Some(before) = shelf.resources.get(item.name).and_then(|seen| seen.assessment.as_deref()) {
        shown.assessment.acquit_again(&before.acquitted);
    }
    let assessment = Some(shown.assessment).filter(|a| !a.is_silent()).map(Box::new);
    let declared = shown.declared.and_then(|at| u32::try_from(at).ok()).unwrap_or(UNDECLARED);
    let before = shelf.resources.insert(item.name.into(), Seen { observed, look, declared, assessment });
    if before.is_none_or(|before| before.look != look) {
        progress.count(shown.declared);
    }
    progress.claim(kind, shown.declared, item.name)
}

impl Progress {
    /// Sees a resource that is as it was.
    fn see(&mut self, kind: &Kind, (name, seen): (&str, &mut Seen), look: u32) -> Result<(), Gap> {
        let is_first = seen.look != look;
        seen.look = look;
        let declared = usize::try_from(seen.declared).ok().filter(|_| seen.declared != UNDECLARED);
        if is_first {
            self.count(declared);
        }
        self.claim(kind, declared, name)
    }

    fn date(&mut self, as_of: Timestamp) {
        self.as_of = Some(self.as_of.map_or(as_of, |before| before.min(as_of)));
    }

    fn count(&mut self, declared: Option<usize>) {
        self.resources += 1;
        self.managed += usize::from(declared.is_some());
    }

    /// Notes that `name` is the resource that a declaration means. Two that could be it make the kind a gap: guessing
    /// would compare the wrong one.
    fn claim(&mut self, kind: &Kind, declared: Option<usize>, name: &str) -> Result<(), Gap> {
        let Some(slot) = declared.and_then(|at| self.matched.get_mut(at)) else { return Ok(()) };
        match slot {
            Some(other) if **other != *name => Err(Gap {
                kind: Some(kind.clone()),
                reason: GapReason::Partial,
                detail: format!(
                    "ambiguous name in Git: it means `{other}` as well as `{name}`; declare the identifier"
                ),
            }),
            Some(_) => Ok(()),
            None => {
                *slot = Some(name.into());
                Ok(())
            }
        }
    }
}

/// Counts what is no pass; everything else that was seen of the kind passed.
fn note_verdicts(assessment: &Assessment, into: &mut Tallies) {
    for (rule, _, verdict) in &assessment.verdicts {
        let Some(tally) = into.get_mut(rule) else { continue };
        match verdict {
            Verdict::Pass => (),
            Verdict::Fail(_) => tally.failed += 1,
            Verdict::Skip(_) | Verdict::Error(_) => tally.undecided += 1,
        }
    }
}

/// Notes of each rule how much there was to look at, and whether that was all.
fn note_readings(rules: &RuleSet, incomplete: &BTreeSet<Kind>, sights: &mut Sights) {
    let Sights { kinds, tallies, is_blind, .. } = sights;
    let mut note = |kind: &Kind, resources: usize, reading: Reading| {
        for rule in rules.of(kind) {
            if let Some(tally) = tallies.get_mut(&rule.id) {
                tally.asked += resources;
                tally.reading = tally.reading.max(reading);
            }
        }
    };
    for (kind, resources) in &*kinds {
        note(kind, *resources, Reading::Complete);
    }
    for kind in incomplete.iter().filter(|kind| kind.as_str() != DESIRED_STATE) {
        note(kind, 0, Reading::Partial);
    }
    if *is_blind {
        for tally in tallies.values_mut() {
            tally.reading = Reading::Partial;
        }
    }
}

/// Notes of each rule whether there is, was or should be something to look at.
fn note_held<'a>(rules: &RuleSet, held: impl Iterator<Item = &'a Kind>, into: &mut Tallies) {
    for rule in held.filter(|kind| kind.as_str() != DESIRED_STATE).flat_map(|kind| rules.of(kind)) {
        if let Some(tally) = into.get_mut(&rule.id) {
            tally.holds = true;
        }
    }
}

fn note_unknown(id: &ResourceId, assessment: &Assessment, into: &mut BTreeMap<ResourceId, Vec<Doubt>>) {
    let mut doubts: Vec<Doubt> =
        assessment.comparison.unknown.iter().map(|unknown| Doubt::Path(unknown.path.clone())).collect();
    for (rule, _, verdict) in &assessment.verdicts {
        if let Verdict::Skip(_) | Verdict::Error(_) = verdict {
            doubts.push(Doubt::Rule(Arc::clone(rule)));
        }
    }
    if !doubts.is_empty() {
        into.insert(id.clone(), doubts);
    }
}

/// Something about a resource that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doubt {
    /// It was not looked for.
    Whole,
    Path(String),
    Rule(Arc<str>),
}

/// What a look saw.
#[derive(Debug, Default)]
pub struct Sights {
    /// Every drift and violation, sorted.
    pub evidence: Vec<Evidence>,
    /// What was not read to the end.
    pub gaps: Vec<Gap>,
    /// How many resources of each kind were seen.
    pub kinds: BTreeMap<Kind, usize>,
    /// How many resources were seen.
    pub resources: usize,
    /// How many of them Git declares.
    pub managed: usize,
    /// Kinds that were compared without their provider's own schema, because it could not be had.
    pub without_schema: BTreeSet<Kind>,
    /// Until when each kind of which not everything was read again is known to be so.
    pub as_of: BTreeMap<Kind, Timestamp>,
    /// Kinds that the look before, if there was one, judged by something else: what is seen of them may have been so before.
    pub judged_anew: BTreeSet<Kind>,
    /// What each rule said.
    pub tallies: Tallies,
    /// What each ignore rule hid.
    pub ignored: Vec<Ignored>,
    is_blind: bool,
    is_desired_known: bool,
    complete: BTreeSet<Kind>,
    unknown: BTreeMap<ResourceId, Vec<Doubt>>,
}

impl Sights {
    /// Returns whether everything was read to the end.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Returns how many resources were not fully comparable or checkable.
    pub fn doubtful(&self) -> usize {
        self.unknown.len()
    }

    /// Returns what the look says of a finding for which it has no evidence.
    pub fn of_unseen(&self, finding: &Finding) -> Sighting {
        let id = &finding.evidence.resource;
        let is_drift = matches!(finding.evidence.subject, Subject::Drift(_));
        // What nobody said was read to the end was not: a kind that a cloud has stopped telling of resolves nothing.
        if self.is_blind || !self.complete.contains(&id.kind) || is_drift && !self.is_desired_known {
            return Sighting::Unknown;
        }
        let is_doubted = |doubt: &Doubt| match (doubt, &finding.evidence.subject) {
            (Doubt::Whole, Subject::Drift(_)) => true,
            (Doubt::Rule(rule), Subject::Violation(of)) => rule == of,
            (Doubt::Path(path), Subject::Drift(DriftKind::Changed)) => {
                finding.evidence.changes.iter().any(|change| overlaps(path, &change.path))
            }
            _ => false,
        };
        if self.unknown.get(id).is_some_and(|doubts| doubts.iter().any(is_doubted)) {
            return Sighting::Unknown;
        }
        Sighting::Clear
    }
}

/// Returns whether one pointer is the other or lies within it.
fn overlaps(a: &str, b: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(a, b) || within(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Order, Watch};
    use crate::expected::{Overlooked, Terms, Unmanaged};
    use crate::resource::{Origin, Provider};
    use crate::rule::RuleSource;
    use serde_json::json;

    const KIND: &str = "AWS::S3::Bucket";

    fn scope() -> Scope {
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "1".into(), region: "r".into() }
    }

    fn bucket(name: &str, attributes: Value) -> Desired {
        Desired {
            provider: Provider::Aws,
            account: None,
            region: None,
            kind: KIND.into(),
            name: Some(name.into()),
            labels: Labels::new(),
            attributes,
            origin: Origin::default(),
        }
    }

    fn expected() -> Expected {
        let declared = vec![bucket("a", json!({"V": 1})), bucket("b", json!({"V": 1}))];
        Expected::new(declared, Some(Unmanaged::DeclaredKinds))
    }

    /// Looks once at `items` (name and text) and returns the sights.
    fn look(snapshot: &mut Snapshot, items: &[(&str, &str)], end: &End) -> Sights {
        look_for(&expected(), snapshot, items, end)
    }

    fn look_for(expected: &Expected, snapshot: &mut Snapshot, items: &[(&str, &str)], end: &End) -> Sights {
        look_by((expected, &Schemas::default(), &RuleSet::default()), snapshot, items, end)
    }

    fn look_by(
        (expected, schemas, rules): (&Expected, &Schemas, &RuleSet),
        snapshot: &mut Snapshot,
        items: &[(&str, &str)],
        end: &End,
    ) -> Sights {
        let (scope, mask) = (scope(), MaskKey::new([0; 32]));
        let lens = Lens { scope: &scope, expected, rules, schemas, related: &Related::default(), mask: &mask };
        let mut look = Look::begin(lens, snapshot, Timestamp::UNIX_EPOCH);
        let kind = Kind::from(KIND);
        look.take(&kind, items.iter().map(|(name, text)| ItemText { name, text, depth: Depth::Full }));
        match end {
            End::Complete => look.complete(&kind),
            End::Silent => (),
            End::Gap(kind) => {
                look.gap(Gap { kind: kind.map(Kind::from), reason: GapReason::Denied, detail: String::new() });
            }
        }
        look.finish()
    }

    enum End {
        Complete,
        Silent,
        Gap(Option<&'static str>),
    }

    /// Returns what was seen, as `name:drift` words.
    fn words(sights: &Sights) -> String {
        let word = |e: &Evidence| format!("{}:{}", e.resource.name, e.subject.drift_str());
        sights.evidence.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn absence_counts_only_after_a_complete_reading() {
        let items = [("a", r#"{"V":1}"#)];
        assert_eq!(words(&look(&mut Snapshot::default(), &items, &End::Complete)), "b:missing");
        for end in [End::Silent, End::Gap(Some(KIND)), End::Gap(None)] {
            let sights = look(&mut Snapshot::default(), &items, &end);
            assert_eq!(words(&sights), "");
            assert!(!sights.is_complete());
        }
    }

    /// Looks at a hundred resources, and then at the first `seen` of them; returns what is asked for.
    fn unseen(seen: usize, known: &[&str], end: &End) -> Vec<String> {
        let names: Vec<String> = (0..100).map(|at| format!("r{at:02}")).collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), "{}")).collect();
        let (mut snapshot, scope, expected) = (Snapshot::default(), scope(), expected());
        look_for(&expected, &mut snapshot, &all, &End::Complete);
        let (schemas, rules, related, mask) =
            (Schemas::default(), RuleSet::default(), Related::default(), MaskKey::new([0; 32]));
        let lens = Lens {
            scope: &scope,
            expected: &expected,
            rules: &rules,
            schemas: &schemas,
            related: &related,
            mask: &mask,
        };
        let mut look = Look::begin(lens, &mut snapshot, Timestamp::UNIX_EPOCH);
        let (kind, known) = (Kind::from(KIND), known.iter().map(|name| scope.id(&KIND.into(), name)));
        let known: Vec<ResourceId> = known.collect();
        look.take(&kind, all[..seen].iter().map(|(name, text)| ItemText { name, text, depth: Depth::Full }));
        match end {
            End::Complete => look.complete(&kind),
            End::Silent => (),
            End::Gap(kind) => {
                look.complete(&KIND.into());
                look.gap(Gap { kind: kind.map(Kind::from), reason: GapReason::Denied, detail: String::new() });
            }
        }
        look.unseen(&BTreeSet::from([kind]), known.iter()).into_iter().map(|id| id.name.to_string()).collect()
    }

    #[test]
    fn what_a_complete_reading_lacks_is_asked_for() {
        assert_eq!(unseen(100, &["r00", "r99"], &End::Complete), [] as [&str; 0]);
        assert_eq!(unseen(98, &[], &End::Complete), ["r98", "r99"]);
        assert_eq!(unseen(92, &[], &End::Complete), ["r92", "r94", "r96", "r98"], "some of many");
        let known = ["r00", "r93", "r95", "other"];
        assert_eq!(unseen(92, &known, &End::Complete), ["other", "r92", "r93", "r94", "r95", "r96", "r98"]);
        for end in [End::Silent, End::Gap(Some(KIND)), End::Gap(None)] {
            assert_eq!(unseen(92, &known, &end), [] as [&str; 0], "a gap is none already");
        }
        assert_eq!(unseen(92, &known, &End::Gap(Some("AWS::EC2::VPC"))).len(), 7);
    }

    /// Looks at `a` and `c`, to that end, and then once more, which is only told that something is as it was.
    fn kept(first: &End, keep: impl FnOnce(&mut Look<'_>, &Kind)) -> (Sights, Sights) {
        let (mut snapshot, expected, scope, kind) = (Snapshot::default(), expected(), scope(), Kind::from(KIND));
        let first = look_for(&expected, &mut snapshot, &[("a", r#"{"V":2}"#), ("c", "{}")], first);
        let (schemas, rules, related, mask) =
            (Schemas::default(), RuleSet::default(), Related::default(), MaskKey::new([0; 32]));
        let (schemas, rules, related, mask) = (&schemas, &rules, &related, &mask);
        let lens = Lens { scope: &scope, expected: &expected, rules, schemas, related, mask };
        let mut look = Look::begin(lens, &mut snapshot, Timestamp::UNIX_EPOCH);
        keep(&mut look, &kind);
        look.complete(&kind);
        (first, look.finish())
    }

    #[test]
    fn what_is_known_by_its_tag_is_what_git_calls_so_unless_two_are() {
        let network = Desired { kind: "AWS::EC2::VPC".into(), ..bucket("shop", json!({"CidrBlock": "10.0.0.0/16"})) };
        let expected = Expected::new(vec![network], Some(Unmanaged::DeclaredKinds));
        let (scope, schemas, rules, related, mask) =
            (scope(), Schemas::default(), RuleSet::default(), Related::default(), MaskKey::new([0; 32]));
        let (schemas, rules, related, mask) = (&schemas, &rules, &related, &mask);
        let lens = Lens { scope: &scope, expected: &expected, rules, schemas, related, mask };
        let check = |tags: &[&str], words_seen: &str, gaps: usize| {
            let mut snapshot = Snapshot::default();
            let mut look = Look::begin(lens, &mut snapshot, Timestamp::UNIX_EPOCH);
            let kind = Kind::from("AWS::EC2::VPC");
            for (at, tag) in tags.iter().enumerate() {
                let text = json!({"CidrBlock": "10.0.0.0/16", "Tags": [{"Key": "Name", "Value": tag}]}).to_string();
                let item = ItemText { name: &format!("vpc-{at}"), text: &text, depth: Depth::Full };
                look.take(&kind, [item].into_iter());
            }
            look.complete(&kind);
            let sights = look.finish();
            assert_eq!((words(&sights).as_str(), sights.gaps.len()), (words_seen, gaps), "{tags:?}");
        };
        check(&["shop"], "", 0);
        check(&["shop", "other"], "vpc-1:unmanaged", 0);
        check(&["other"], "shop:missing vpc-0:unmanaged", 0);
        check(&["shop", "shop"], "", 1);
    }

    #[test]
    fn what_is_kept_is_what_it_was_and_is_dated() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (first, second) = kept(&End::Complete, |look, kind| look.keep_all(kind, at(7)));
        assert_eq!(words(&first), "a:changed b:missing c:unmanaged");
        assert_eq!(words(&second), words(&first));
        assert_eq!((second.resources, second.managed, second.is_complete()), (2, 1, true));
        assert_eq!((first.as_of.len(), second.as_of[&Kind::from(KIND)]), (0, at(7)));
        let (_, second) = kept(&End::Complete, |look, kind| {
            look.keep(kind, ["a"].into_iter(), at(9));
            look.take(kind, [ItemText { name: "c", text: r#"{"V":1}"#, depth: Depth::Full }].into_iter());
        });
        assert_eq!((words(&second), second.as_of[&Kind::from(KIND)]), (words(&first), at(9)));
        let (_, second) = kept(&End::Complete, |look, kind| look.keep(kind, ["a"].into_iter(), at(9)));
        assert_eq!(words(&second), "a:changed b:missing", "c went");
    }

    #[test]
    fn what_nobody_remembers_cannot_be_kept() {
        let at = Timestamp::UNIX_EPOCH;
        let (_, second) = kept(&End::Complete, |look, kind| look.keep(kind, ["a", "b"].into_iter(), at));
        assert_eq!((words(&second).as_str(), second.is_complete()), ("a:changed", false));
        for end in [End::Silent, End::Gap(Some(KIND)), End::Gap(None)] {
            let (_, second) = kept(&end, |look, kind| look.keep_all(kind, at));
            assert!(!second.is_complete() && !words(&second).contains("missing"));
        }
    }

    #[test]
    fn only_what_was_read_to_the_end_and_is_judged_as_it_was_is_whole() {
        let (scope, schemas, rules, related, mask) =
            (scope(), Schemas::default(), RuleSet::default(), Related::default(), MaskKey::new([0; 32]));
        let (schemas, rules, related, mask) = (&schemas, &rules, &related, &mask);
        let check = |end: &End, then: &Expected, is_whole: bool| {
            let mut snapshot = Snapshot::default();
            look_for(&expected(), &mut snapshot, &[("a", "{}")], end);
            let lens = Lens { scope: &scope, expected: then, rules, schemas, related, mask };
            let whole: BTreeMap<Kind, Timestamp> =
                is_whole.then_some((KIND.into(), Timestamp::UNIX_EPOCH)).into_iter().collect();
            assert_eq!(snapshot.whole(lens), whole);
        };
        check(&End::Complete, &expected(), true);
        check(&End::Complete, &Expected::default(), false);
        for end in [End::Silent, End::Gap(Some(KIND)), End::Gap(None)] {
            check(&end, &expected(), false);
        }
    }

    #[test]
    fn a_second_look_at_the_same_bytes_says_the_same() {
        let items = [("a", r#"{"V":1}"#), ("b", r#"{"V":1}"#), ("c", "{}")];
        let mut snapshot = Snapshot::default();
        let first = look(&mut snapshot, &items, &End::Complete);
        let second = look(&mut snapshot, &items, &End::Complete);
        assert_eq!(words(&first), "c:unmanaged");
        assert_eq!(first.evidence, second.evidence);
        assert_eq!((second.resources, second.managed), (3, 2));
    }

    #[test]
    fn what_is_unchanged_is_compared_anew_under_another_schema() {
        let schemas = |value: i32| {
            let schema = Schema { defaults: [("/V".to_owned(), json!(value))].into(), ..Schema::default() };
            Schemas::new([(KIND.into(), Arc::new(schema))].into(), BTreeSet::new())
        };
        let (items, mut snapshot) = ([("a", "{}"), ("b", r#"{"V":1}"#)], Snapshot::default());
        let mut check = |schemas: &Schemas, want: &str, is_anew: bool| {
            let sights = look_by((&expected(), schemas, &RuleSet::default()), &mut snapshot, &items, &End::Complete);
            assert_eq!((words(&sights).as_str(), sights.judged_anew.contains(&KIND.into())), (want, is_anew));
        };
        check(&Schemas::default(), "a:changed", true);
        check(&Schemas::default(), "a:changed", false);
        check(&schemas(1), "", true);
        check(&schemas(2), "a:changed", true);
        check(&schemas(2), "a:changed", false);
    }

    /// Looks at a bucket that Git wants to have a key, when `alias/a` stands for `key`; returns what was seen and how many
    /// resources are doubtful.
    fn look_with_alias(snapshot: &mut Snapshot, declared: &str, key: Option<&str>) -> (String, usize) {
        let declared = bucket("a", json!({"KmsKeyId": declared}));
        let (scope, mask, rules, schemas) = (scope(), MaskKey::new([0; 32]), RuleSet::default(), Schemas::default());
        let expected = Expected::new(vec![declared], None);
        let targets = key.map(|key| [("alias/a".to_owned(), key.to_owned())].into());
        let related = targets.map(|targets| Related::of_aliases(&targets)).unwrap_or_default();
        let lens = Lens {
            scope: &scope,
            expected: &expected,
            rules: &rules,
            schemas: &schemas,
            related: &related,
            mask: &mask,
        };
        let mut look = Look::begin(lens, snapshot, Timestamp::UNIX_EPOCH);
        let text = r#"{"KmsKeyId":"mrk-1"}"#;
        look.take(&KIND.into(), [ItemText { name: "a", text, depth: Depth::Full }].into_iter());
        look.complete(&KIND.into());
        let sights = look.finish();
        (words(&sights), sights.doubtful())
    }

    #[test]
    fn what_is_unchanged_is_compared_anew_when_its_alias_stands_for_another_key() {
        let mut snapshot = Snapshot::default();
        assert_eq!(look_with_alias(&mut snapshot, "alias/a", None), (String::new(), 1));
        assert_eq!(look_with_alias(&mut snapshot, "alias/a", Some("mrk-1")), (String::new(), 0));
        assert_eq!(look_with_alias(&mut snapshot, "alias/a", Some("mrk-2")), ("a:changed".to_owned(), 0));
        assert_eq!(look_with_alias(&mut snapshot, "alias/a", None), (String::new(), 1));
    }

    #[test]
    fn keys_of_aliases_matter_only_where_one_is_declared() {
        let (scope, mask, rules, schemas) = (scope(), MaskKey::new([0; 32]), RuleSet::default(), Schemas::default());
        let basis = |declared: &str, key: &str| {
            let expected = Expected::new(vec![bucket("a", json!({"KmsKeyId": declared}))], None);
            let related = Related::of_aliases(&[("alias/a".to_owned(), key.to_owned())].into());
            let (expected, related) = (&expected, &related);
            Lens { scope: &scope, expected, rules: &rules, schemas: &schemas, related, mask: &mask }.basis(&KIND.into())
        };
        for (declared, matters) in [("alias/a", true), ("arn:aws:kms:r:1:alias/a", true), ("mrk-1", false)] {
            assert_eq!(basis(declared, "mrk-1") != basis(declared, "mrk-2"), matters, "{declared}");
        }
    }

    #[test]
    fn what_is_unchanged_is_compared_anew_under_other_labels_or_another_source() {
        let expected = |team: &str, source: &str| {
            let labels = [("team".to_owned(), team.to_owned())].into();
            let origin = Origin { source: source.into(), ..Origin::default() };
            let declared = Desired { labels, origin, ..bucket("a", json!({"V": 1})) };
            let strict = vec![Order { kind: "*".to_owned(), pointer: String::new(), watch: Watch::Strict }];
            let terms = [("lax".into(), Terms::default()), ("strict".into(), Terms { strict, ..Terms::default() })];
            let expected = Expected::new(vec![declared], Some(Unmanaged::DeclaredKinds));
            expected.under(terms.into(), jiff::Timestamp::UNIX_EPOCH)
        };
        let mut snapshot = Snapshot::default();
        let mut check = |team: &str, source: &str, want: &str| {
            let sights = look_for(&expected(team, source), &mut snapshot, &[("a", r#"{"V":2,"W":1}"#)], &End::Complete);
            let evidence = &sights.evidence[0];
            let paths: Vec<&str> = evidence.changes.iter().map(|change| &*change.path).collect();
            assert_eq!(format!("{} {}", evidence.labels["team"], paths.join(" ")), want);
        };
        check("blue", "lax", "blue /V");
        check("red", "lax", "red /V");
        check("red", "strict", "red /V /W");
    }

    #[test]
    fn what_is_compared_without_its_schema_says_so() {
        let lacking = Schemas::new(BTreeMap::new(), [KIND.into()].into());
        let items = [("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)];
        let sights =
            look_by((&expected(), &lacking, &RuleSet::default()), &mut Snapshot::default(), &items, &End::Complete);
        assert!(sights.evidence[0].message.ends_with(WITHOUT_SCHEMA), "{}", sights.evidence[0].message);
        assert_eq!(sights.without_schema, [KIND.into()].into());
        let sights = look(&mut Snapshot::default(), &items, &End::Complete);
        assert!(!sights.evidence[0].message.contains("schema"));
        assert_eq!(sights.without_schema, [].into());
    }

    #[test]
    fn what_an_exact_look_acquits_is_not_suspected_again_until_it_reads_otherwise() {
        let mut snapshot = Snapshot::default();
        let first = look(&mut snapshot, &[("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)], &End::Complete);
        assert_eq!(words(&first), "a:changed");
        let suspected = first.evidence[0].changes.clone();
        let other = Acquittal { resource: scope().id(&Kind::from(KIND), "a"), suspected: Vec::new(), kept: Vec::new() };
        snapshot.acquit(&other);
        let items = [("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)];
        assert_eq!(words(&look(&mut snapshot, &items, &End::Complete)), "a:changed");
        snapshot.acquit(&Acquittal { suspected, ..other });
        assert_eq!(words(&look(&mut snapshot, &items, &End::Complete)), "");
        let items = [("a", r#"{"V":3}"#), ("b", r#"{"V":1}"#)];
        assert_eq!(words(&look(&mut snapshot, &items, &End::Complete)), "a:changed");
    }

    #[test]
    fn an_acquittal_outlasts_a_write_to_the_rest_of_the_resource() {
        let declared = bucket("a", json!({"V": 1, "W": 1}));
        let expected = Expected::new(vec![declared], Some(Unmanaged::DeclaredKinds));
        let mut snapshot = Snapshot::default();
        let mut paths = |text: &str, acquitted: &[&str]| {
            let sights = look_for(&expected, &mut snapshot, &[("a", text)], &End::Complete);
            let suspected = sights.evidence.first().map(|evidence| evidence.changes.clone()).unwrap_or_default();
            let is_kept = |change: &&Change| !acquitted.contains(&&*change.path);
            let kept = suspected.iter().filter(is_kept).cloned().collect();
            let paths = suspected.iter().map(|change| change.path.clone()).collect::<Vec<_>>().join(" ");
            snapshot.acquit(&Acquittal { resource: scope().id(&Kind::from(KIND), "a"), suspected, kept });
            paths
        };
        assert_eq!(paths(r#"{"V":2,"W":2,"Status":1}"#, &["/W"]), "/V /W");
        assert_eq!(paths(r#"{"V":2,"W":2,"Status":2}"#, &[]), "/V");
        assert_eq!(paths(r#"{"V":1,"W":2,"Status":3}"#, &[]), "");
        assert_eq!(paths(r#"{"V":1,"W":3,"Status":3}"#, &[]), "/W");
        // Another value was another suspicion; the first one must be acquitted anew.
        assert_eq!(paths(r#"{"V":1,"W":2,"Status":4}"#, &[]), "/W");
    }

    #[test]
    fn where_an_exact_look_sees_other_differences_the_next_text_is_suspected_anew() {
        let mut snapshot = Snapshot::default();
        let first = look(&mut snapshot, &[("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)], &End::Complete);
        let suspected = first.evidence[0].changes.clone();
        let kept = vec![Change { path: "/Other".to_owned(), ..suspected[0].clone() }];
        snapshot.acquit(&Acquittal { resource: scope().id(&Kind::from(KIND), "a"), suspected, kept });
        let items = [("a", r#"{"V":2,"Status":2}"#), ("b", r#"{"V":1}"#)];
        assert_eq!(look(&mut snapshot, &items, &End::Complete).evidence[0].changes[0].path, "/V");
    }

    /// Says what would be of a bucket that Git wants to have `V` and `W`; returns the paths that outlast it.
    fn outlasting(before: &Value, after: &Value) -> Option<String> {
        let expected = Expected::new(vec![bucket("a", json!({"V": 1, "W": 1}))], Some(Unmanaged::DeclaredKinds));
        let (scope, rules, mask, schemas) = (scope(), RuleSet::default(), MaskKey::new([0; 32]), Schemas::default());
        let lens = Lens {
            scope: &scope,
            expected: &expected,
            rules: &rules,
            schemas: &schemas,
            related: &Related::default(),
            mask: &mask,
        };
        let sights = look(&mut Snapshot::default(), &[("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)], &End::Complete);
        let evidence = sights.evidence[0].clone();
        let left = lens.outlast(evidence, &before.to_string(), &after.to_string()).unwrap()?;
        assert_eq!(left.proof, Proof::Rehearsed);
        Some(left.changes.iter().map(|change| change.path.clone()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_a_write_would_leave_as_it_is_is_no_drift() {
        let before = json!({"V": 2, "W": 2});
        assert_eq!(outlasting(&before, &json!({"V": 1, "W": 1})).as_deref(), Some("/V /W"));
        assert_eq!(outlasting(&before, &json!({"V": 1, "W": 2})).as_deref(), Some("/V"));
        assert_eq!(outlasting(&before, &json!({"V": 2, "W": 2})), None);
        // Another value than before and than declared: the write would change something.
        assert_eq!(outlasting(&before, &json!({"V": 3, "W": 2})).as_deref(), Some("/V"));
        assert_eq!(outlasting(&json!({"V": 1, "W": 1}), &json!({"V": 1, "W": 1})), None);
    }

    #[test]
    fn what_outlasts_a_write_still_says_that_its_schema_is_lacking() {
        let (expected, lacking) = (expected(), Schemas::new(BTreeMap::new(), [KIND.into()].into()));
        let (scope, rules, mask) = (scope(), RuleSet::default(), MaskKey::new([0; 32]));
        let lens = Lens {
            scope: &scope,
            expected: &expected,
            rules: &rules,
            schemas: &lacking,
            related: &Related::default(),
            mask: &mask,
        };
        let sights = look(&mut Snapshot::default(), &[("a", r#"{"V":2}"#), ("b", r#"{"V":1}"#)], &End::Complete);
        let left = lens.outlast(sights.evidence[0].clone(), r#"{"V":2}"#, r#"{"V":1}"#).unwrap().unwrap();
        assert!(left.message.ends_with(WITHOUT_SCHEMA), "{}", left.message);
    }

    #[test]
    fn what_is_not_json_is_a_gap_and_not_an_absence() {
        let sights = look(&mut Snapshot::default(), &[("a", "{"), ("b", r#"{"V":1}"#)], &End::Complete);
        assert_eq!(words(&sights), "");
        assert_eq!(sights.gaps.first().map(|gap| gap.reason), Some(GapReason::Malformed));
    }

    fn odd_is_wrong() -> RuleSet {
        let source = RuleSource {
            id: "odd_is_wrong".to_owned(),
            title: "V is even".to_owned(),
            kind: KIND.to_owned(),
            severity: Severity::Low,
            expression: "resource.V % 2 == 0".to_owned(),
            message: "odd".to_owned(),
            fix: String::new(),
            frameworks: rule::Frameworks::new(),
        };
        RuleSet::new([Rule::compile(source).unwrap()])
    }

    #[test]
    fn what_was_not_judged_again_is_counted_again() {
        let items = [("a", r#"{"V":1}"#), ("b", r#"{"V":2}"#), ("c", r#"{"V":4}"#), ("d", "{}")];
        let (rules, mut snapshot) = (odd_is_wrong(), Snapshot::default());
        let first = look_by((&expected(), &Schemas::default(), &rules), &mut snapshot, &items, &End::Complete);
        let second = look_by((&expected(), &Schemas::default(), &rules), &mut snapshot, &items, &End::Complete);
        let tally = first.tallies["odd_is_wrong"];
        assert_eq!((tally.asked, tally.failed, tally.undecided), (4, 1, 1));
        assert_eq!(first.tallies, second.tallies);
    }

    #[test]
    fn a_gap_in_a_kind_is_a_gap_in_its_rules() {
        for (end, reading) in [
            (End::Complete, Reading::Complete),
            (End::Silent, Reading::Partial),
            (End::Gap(Some(KIND)), Reading::Partial),
            (End::Gap(None), Reading::Partial),
        ] {
            let sights = look_by(
                (&expected(), &Schemas::default(), &odd_is_wrong()),
                &mut Snapshot::default(),
                &[("a", r#"{"V":2}"#)],
                &end,
            );
            assert_eq!(sights.tallies["odd_is_wrong"].reading, reading);
        }
    }

    #[test]
    fn what_was_there_once_is_held_also_by_who_sees_nothing() {
        let (rules, mut snapshot) = (odd_is_wrong(), Snapshot::default());
        let mut check = |expected: &Expected, items: &[(&str, &str)], end| {
            let sights = look_by((expected, &Schemas::default(), &rules), &mut snapshot, items, &end);
            sights.tallies["odd_is_wrong"].holds
        };
        let nothing = Expected::default();
        assert!(!check(&nothing, &[], End::Complete));
        assert!(!check(&nothing, &[], End::Gap(None)));
        assert!(check(&expected(), &[], End::Gap(None)), "what is declared should be there");
        assert!(check(&nothing, &[("a", "{}")], End::Complete));
        assert!(check(&nothing, &[], End::Gap(None)));
    }

    /// Returns a finding of that drift of `b`, as some earlier look left it.
    fn known(kind: &str, drift: DriftKind) -> Finding {
        let mut sights = look(&mut Snapshot::default(), &[("a", r#"{"V":1}"#)], &End::Complete);
        let mut evidence = sights.evidence.remove(0);
        evidence.resource = scope().id(&kind.into(), "b");
        evidence.subject = Subject::Drift(drift);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let hold = crate::finding::Hold { scans: 1, for_: jiff::SignedDuration::ZERO };
        let seen = Sighting::Seen(Box::new(evidence));
        let step = crate::finding::advance(None, seen, crate::finding::Confirmation::Confirmed, hold, (&scope(), now));
        step.unwrap().finding
    }

    #[test]
    fn what_is_not_looked_for_is_neither_missing_nor_mended() {
        let items = [("a", r#"{"V":1}"#)];
        for (why, gaps) in [(Some("namespace `x` is left out"), 1), (None, 0)] {
            let overlooked = Overlooked { kind: KIND.into(), name: "b".into(), why: why.map(Into::into) };
            let expected = expected().overlooking(vec![overlooked]);
            let sights = look_for(&expected, &mut Snapshot::default(), &items, &End::Complete);
            assert_eq!((words(&sights).as_str(), sights.gaps.len()), ("", gaps));
            assert!(
                sights.gaps.iter().all(|gap| gap.detail.ends_with("namespace `x` is left out")),
                "{:?}",
                sights.gaps
            );
            for drift in DriftKind::ALL {
                assert_eq!(sights.of_unseen(&known(KIND, drift)), Sighting::Unknown, "{drift:?}");
            }
        }
    }

    #[test]
    fn what_is_not_looked_for_leaves_the_rest_of_its_kind_as_well_known_as_ever() {
        let overlooked = Overlooked { kind: KIND.into(), name: "a".into(), why: Some("elsewhere".into()) };
        let expected = expected().overlooking(vec![overlooked]);
        let sights = look_for(&expected, &mut Snapshot::default(), &[], &End::Complete);
        assert_eq!(words(&sights), "b:missing");
        assert_eq!(sights.of_unseen(&known(KIND, DriftKind::Changed)), Sighting::Clear);
    }

    #[test]
    fn a_kind_that_nobody_speaks_of_resolves_nothing() {
        let sights = look(&mut Snapshot::default(), &[], &End::Complete);
        assert_eq!(sights.of_unseen(&known(KIND, DriftKind::Changed)), Sighting::Clear);
        assert_eq!(sights.of_unseen(&known("AWS::EC2::VPC", DriftKind::Unmanaged)), Sighting::Unknown);
    }
}
