//! Desired state in force: the last good revision of each source, and how a new one comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use driftwarden_core::expected::{Expected, Overlooked, Terms, Unmanaged};
use driftwarden_core::finding::Evidence;
use driftwarden_core::resource::{Desired, Kind, Origin, ResourceId, Scope, Touched};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use super::{Cloud, Plan};
use crate::collect::{Collector, Stack};
use crate::desired::cloudformation::DeployedStack;
use crate::desired::place::{Extent, Places};
use crate::desired::set::{Declared, DesiredSet, Guarded, StackReader, guard};
use crate::desired::{self, DesiredError, Reach, Source};
use crate::scan::{History, Past};
use crate::schedule;
use crate::store::Revision;
use crate::telemetry::emit;
use crate::telemetry::events::{DesiredFetched, DesiredRefused};

/// One source of desired state.
#[derive(Debug)]
pub(super) struct InForce {
    source: Arc<Source>,
    set: ArcSwapOption<DesiredSet>,
    /// The revision that was in force before a restart: what a new one is measured against.
    before: Mutex<Option<String>>,
    /// What was last complained about, so that the same complaint is not repeated every minute.
    refused: Mutex<Option<String>>,
}

impl InForce {
    /// Returns a source of which nothing is in force yet. Nothing is fetched.
    pub(super) fn open(config: desired::Config, cache: &Path, before: Option<String>) -> Result<Self, DesiredError> {
        let source = Arc::new(Source::open(config, cache)?);
        Ok(Self { source, set: ArcSwapOption::empty(), before: Mutex::new(before), refused: Mutex::default() })
    }

    /// Returns what it was configured as.
    pub(super) fn config(&self) -> &desired::Config {
        self.source.config()
    }

    /// Returns what is in force.
    pub(super) fn set(&self) -> Option<Arc<DesiredSet>> {
        self.set.load_full()
    }

    /// Returns whether this source speaks for the cloud.
    pub(super) fn speaks_for(&self, cloud: &str) -> bool {
        let clouds = &self.config().clouds;
        clouds.is_empty() || clouds.iter().any(|name| **name == *cloud)
    }

    /// Fetches, and puts a new revision in force if it is good. Returns whether another one is in force now.
    pub(super) async fn refresh(&self, now: fn() -> Timestamp) -> bool {
        let recovered = self.recover().await;
        let result = self.fetch().await;
        let source = &self.config().name;
        match result {
            Ok(None) => {
                emit(&DesiredFetched { source, revision: None, at: now() });
                // What was refused was taken back: the revision in force is the newest again.
                *self.refused.lock() = None;
            }
            Ok(Some(set)) => {
                emit(&DesiredFetched { source, revision: Some(&set.revision), at: now() });
                self.set.store(Some(set));
                *self.refused.lock() = None;
                return true;
            }
            Err(error) => {
                let text = format!("{error:#}");
                if self.refused.lock().replace(text.clone()).as_ref() != Some(&text) {
                    emit(&DesiredRefused { source, error: &error });
                }
            }
        }
        recovered
    }

    /// Returns why nothing newer is in force, if something newer was refused.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    /// Puts back in force what was so before a restart, if it can still be read. Returns whether it did.
    async fn recover(&self) -> bool {
        let before = self.before.lock().clone();
        let (None, Some(before)) = (self.set(), before) else { return false };
        let source = Arc::clone(&self.source);
        let set = spawn_blocking(move || source.load(&before)).await;
        match set {
            Ok(Ok(set)) => {
                self.set.store(Some(Arc::new(set)));
                true
            }
            _ => false,
        }
    }

    /// Returns a new revision that is fit to be put in force, or nothing if there is none.
    async fn fetch(&self) -> anyhow::Result<Option<Arc<DesiredSet>>> {
        let source = Arc::clone(&self.source);
        let current = self.set();
        let before = current.as_ref().map(|set| Arc::clone(&set.revision));
        let before = before.or_else(|| self.before.lock().as_deref().map(Arc::from));
        let fetched = spawn_blocking(move || -> anyhow::Result<_> {
            let fetched = source.fetch(before.as_deref()).map_err(with_hint)?;
            if current.as_ref().is_some_and(|set| set.revision == fetched.revision) {
                return Ok(None);
            }
            let set = source.load(&fetched.revision).map_err(with_hint)?;
            if let Some(before) = before {
                // Where the clone was lost, what was in force came back with this fetch, or is no ancestor of it.
                let last = current.or_else(|| source.load(&before).ok().map(Arc::new));
                check(&source, (&before, last.as_deref()), &set, fetched.fast_forward)?;
            }
            Ok(Some(Arc::new(set)))
        });
        fetched.await.context("failed to run the fetch")?
    }
}

fn with_hint(error: DesiredError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => anyhow!(error).context(format!("hint: {hint}")),
        None => anyhow!(error),
    }
}

/// Refuses a revision that rewrites history or drops suspiciously much, unless the configuration accepts it by name.
fn check(
    source: &Source,
    (before, last): (&str, Option<&DesiredSet>),
    next: &DesiredSet,
    fast_forward: bool,
) -> anyhow::Result<()> {
    let shrink = &source.config().shrink;
    if shrink.accepts(&next.revision) {
        return Ok(());
    }
    let accept = format!("to accept it set `shrink: {{accept: {}}}`", next.revision);
    if !fast_forward {
        bail!("revision {} does not descend from {before}, which is in force; {accept}", next.revision);
    }
    match last.map(|last| guard(&last.counts(), &next.counts(), shrink)) {
        Some(Guarded::Suspect { why }) => bail!("revision {} is suspect: {why}; {accept}", next.revision),
        Some(Guarded::Accept) | None => Ok(()),
    }
}

/// What one source says in one cycle, whatever is fetched meanwhile (I5).
pub(super) struct Said {
    source: Arc<InForce>,
    set: Option<Arc<DesiredSet>>,
    /// Where it may be meant.
    places: Places,
}

/// Returns what the sources of a cloud say now.
pub(super) fn said(plan: &Plan, cloud: &Cloud) -> Vec<Said> {
    let own = plan.sources.iter().filter(|source| source.speaks_for(&cloud.name));
    own.map(|source| Said { source: Arc::clone(source), set: source.set(), places: places(plan, source, cloud) })
        .collect()
}

/// Returns whether some source speaks for both clouds, so that what it declares may be in either.
pub(super) fn is_shared(plan: &Plan, one: &Cloud, other: &Cloud) -> bool {
    is_alike(one, other)
        && plan.sources.iter().any(|source| source.speaks_for(&one.name) && source.speaks_for(&other.name))
}

fn is_alike(one: &Cloud, other: &Cloud) -> bool {
    one.collector.provider() == other.collector.provider()
}

/// Returns the scopes that a source speaks for, of all clouds of the same sort.
fn places(plan: &Plan, source: &InForce, cloud: &Cloud) -> Places {
    let alike = plan.clouds.iter().filter(|other| is_alike(cloud, other));
    let clouds = alike.filter(|other| source.speaks_for(&other.name));
    let (mut scopes, mut extent) = (Vec::new(), Extent::Whole);
    for cloud in clouds {
        match &*cloud.scopes.lock() {
            Some(known) => scopes.extend(known.iter().cloned()),
            None => extent = Extent::Partial,
        }
    }
    Places::new(scopes, extent)
}

/// Returns the kinds of which the sources of a cloud declare something now.
pub(super) fn kinds(plan: &Plan, cloud: &Cloud) -> BTreeSet<Kind> {
    let own = plan.sources.iter().filter(|source| source.speaks_for(&cloud.name));
    let sets: Vec<_> = own.filter_map(|source| source.set()).collect();
    sets.iter().flat_map(|set| set.kinds(cloud.collector.provider())).cloned().collect()
}

/// Everything that the sources of a cloud ask for in one scope, at one revision each.
pub(super) struct Asked {
    pub(super) expected: Arc<Expected>,
    pub(super) revisions: Vec<Revision>,
}

impl Asked {
    /// Returns every kind that is asked for.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.expected.kinds().map(|(kind, _)| kind.clone()).collect()
    }
}

/// Returns what the sources ask for in a scope.
pub(super) async fn asked(said: &[Said], scope: &Scope, collector: &dyn Collector, stacks: &dyn StackReader) -> Asked {
    let mut asked = Declared::default();
    let mut revisions = Vec::new();
    let mut unmanaged = None;
    let mut unknown = Vec::new();
    let mut terms = BTreeMap::new();
    for Said { source, set, places } in said {
        let name = &source.config().name;
        let Some(set) = set else {
            let why = source.refused().unwrap_or_else(|| "it was not fetched yet".to_owned());
            unknown.push(format!("source {name} has no revision in force: {why}"));
            continue;
        };
        let declared = set.declared(scope, places, stacks).await;
        let unresolved = declared.unresolved.into_iter();
        unknown.extend(unresolved.map(|unresolved| format!("{}: {}", unresolved.what, unresolved.reason)));
        asked.overlooked.extend(declared.overlooked);
        asked.overlooked.extend(declared.resources.iter().filter_map(|desired| left_out(desired, collector)));
        asked.resources.extend(declared.resources);
        let of_source = Terms { strict: source.config().orders(), ignores: set.ignores.clone() };
        terms.insert(Arc::clone(name), of_source);
        unmanaged = unmanaged.max(Some(source.config().unmanaged.into()));
        revisions.push(Revision { source: name.to_string(), revision: set.revision.to_string() });
    }
    let expected = Expected::new(asked.resources, unmanaged).doubting(unknown).overlooking(asked.overlooked);
    Asked { expected: Arc::new(expected.under(terms, schedule::now())), revisions }
}

/// Returns what is declared and not looked at because the cloud is configured so.
fn left_out(desired: &Desired, collector: &dyn Collector) -> Option<Overlooked> {
    let name = desired.name.as_ref()?;
    let why = collector.leaves_out(&desired.kind, name)?;
    Some(Overlooked { kind: desired.kind.clone(), name: Arc::clone(name), why: Some(why.into()) })
}

impl From<desired::Unmanaged> for Unmanaged {
    fn from(unmanaged: desired::Unmanaged) -> Self {
        match unmanaged {
            desired::Unmanaged::Ignore => Self::Ignore,
            desired::Unmanaged::DeclaredKinds => Self::DeclaredKinds,
            desired::Unmanaged::Report => Self::Report,
        }
    }
}

/// Asks each cloud for its own stacks.
pub(super) struct Stacks<'a>(pub(super) &'a [Arc<Cloud>]);

#[async_trait]
impl StackReader for Stacks<'_> {
    async fn stack(&self, scope: &Scope, stack: &str) -> anyhow::Result<Option<DeployedStack>> {
        let Some(cloud) = self.0.iter().find(|cloud| *cloud.name == *scope.cloud) else { return Ok(None) };
        let stack = cloud.collector.stack(scope, stack).await?;
        Ok(stack.map(|Stack { id, resources, parameters, exports }| DeployedStack {
            id,
            resources,
            parameters,
            exports,
        }))
    }
}

/// What the sources said earlier.
pub(super) struct GitPast<'a> {
    pub(super) said: &'a [Said],
    pub(super) expected: Arc<Expected>,
    pub(super) stacks: &'a dyn StackReader,
}

#[async_trait]
impl History for GitPast<'_> {
    async fn past(&self, scope: &Scope, evidence: &Evidence) -> anyhow::Result<Past> {
        let declared = self.declared(evidence).cloned();
        let name = declared.as_ref().and_then(|desired| desired.name.clone());
        let id =
            &ResourceId { name: name.unwrap_or_else(|| evidence.resource.name.clone()), ..evidence.resource.clone() };
        for Said { source, set, places } in self.said {
            let Some(set) = set else { continue };
            if declared.as_ref().is_some_and(|desired| desired.origin.source != source.config().name) {
                continue;
            }
            let sought = (id, scope, places);
            let earlier = source.source.earlier(&set.revision, sought, self.stacks, Reach::default()).await?;
            // Of what no source declares now, the one that ever did knows why it is there.
            if declared.is_some() || earlier.iter().any(|earlier| earlier.desired.is_some()) {
                let touched = match declared {
                    Some(desired) => source.touched(desired.origin, id.clone()).await?,
                    None => None,
                };
                return Ok(Past { earlier, touched });
            }
        }
        Ok(Past::default())
    }
}

impl GitPast<'_> {
    /// Returns the declaration that the evidence is about: by its name or, where Git calls it by another one than the
    /// provider does, by its place, if nothing else of its kind stands there.
    fn declared(&self, evidence: &Evidence) -> Option<&Desired> {
        self.expected.find(&evidence.resource).or_else(|| {
            let place = evidence.origin.as_ref()?;
            let spot = |origin: &Origin| (origin.source.clone(), origin.file.clone(), origin.line);
            let is_there = |desired: &&Desired| spot(&desired.origin) == spot(place);
            let mut there = self.expected.kind(&evidence.resource.kind)?.items().iter().filter(is_there);
            there.next().filter(|_| there.next().is_none())
        })
    }
}

impl InForce {
    async fn touched(&self, origin: Origin, id: ResourceId) -> anyhow::Result<Option<Touched>> {
        let source = Arc::clone(&self.source);
        let touched = spawn_blocking(move || source.touched(&origin, &id)).await;
        Ok(touched.context("failed to read the history")??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::fixture::Fixture;

    /// Returns that many declarations.
    fn maps(count: usize) -> String {
        let map = |at| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{at}}}\n");
        (0..count).map(map).collect::<Vec<_>>().join("---\n")
    }

    fn source(fixture: &Fixture, accept: Option<&str>, before: Option<&str>) -> InForce {
        let mut config = fixture.config();
        config.shrink.accept = accept.map(str::to_owned);
        InForce::open(config, fixture.path(), before.map(str::to_owned)).unwrap()
    }

    /// Fetches; checks which revision is in force then, and what the complaint about a newer one says.
    async fn check(source: &InForce, revision: &str, complaint: &str) {
        source.refresh(|| Timestamp::UNIX_EPOCH).await;
        let in_force = source.set().map(|set| set.revision.to_string()).unwrap_or_default();
        assert_eq!(in_force, revision);
        let refused = source.refused().unwrap_or_default();
        assert!(refused.contains(complaint) && refused.is_empty() == complaint.is_empty(), "{refused}");
    }

    #[tokio::test]
    async fn the_last_good_revision_stays_in_force() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a.yaml", &maps(10))]);
        let head = fixture.head("main").unwrap();
        let source = source(&fixture, None, None);
        check(&source, &first, "").await;
        fixture.commit(&[("a.yaml", "apiVersion: [")]);
        check(&source, &first, "invalid file `a.yaml`").await;
        let less = fixture.commit(&[("a.yaml", &maps(7))]);
        check(&source, &first, "3 of 10 resources").await;
        check(&super::tests::source(&fixture, less.get(..8), Some(&first)), &less, "").await;
        fixture.set("main", head);
        check(&source, &first, "").await;
        let more = fixture.commit(&[("a.yaml", &maps(11))]);
        check(&source, &more, "").await;
        fixture.commit_tree(fixture.tree(&[("a.yaml", &maps(11))]), &[], "main");
        check(&source, &more, "does not descend from").await;
        std::fs::remove_file(fixture.path().join("refs/heads/main")).unwrap();
        check(&source, &more, "failed to").await;
    }

    #[tokio::test]
    async fn a_restart_forgets_no_revision() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a.yaml", &maps(10))]);
        let second = fixture.commit(&[("a.yaml", &maps(5))]);
        check(&source(&fixture, None, Some(&first)), &first, "5 of 10 resources").await;
        check(&source(&fixture, None, Some(&second)), &second, "").await;
        let lost = "1".repeat(40);
        check(&source(&fixture, None, Some(&lost)), "", "does not descend from 1111").await;
        check(&source(&fixture, Some(&second), Some(&lost)), &second, "").await;
    }
}
