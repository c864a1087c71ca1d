//! Scanning clouds: each at its interval, its scopes side by side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use driftwarden_core::compare::MaskKey;
use driftwarden_core::resource::{Gap, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope};
use futures_util::{StreamExt, stream};
use tokio::sync::{Barrier, Notify};

use super::sources::{self, GitPast, InForce, Said, Stacks};
use super::{Cloud, Plan, Shared};
use crate::collect::{CollectError, Collector, Read, Reading, Sink, Wanted};
use crate::config::Config;
use crate::desired::set::Remembered;
use crate::related::Relations;
use crate::scan::{self, Pass, Report};
use crate::schedule::{self, Activation, Debounce, Turns};
use crate::schemas::{Asker, Registry};
use crate::store::Revision;
use crate::telemetry::events::{ScanFailed, ScanWoken};
use crate::telemetry::metrics::METRICS;
use crate::telemetry::{chain, emit};

/// Scopes of one cloud that are scanned at once.
const SCOPES_AT_ONCE: usize = 8;

/// How long a change in a cloud waits for others.
const SETTLE: Duration = Duration::from_millis(500);
/// A cloud that changes all the time is scanned once in a twentieth of its interval, within these bounds.
const SHORTEST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// Fetches a source at its interval, and has its clouds scanned when something new is in force.
pub(super) async fn follow(plan: Arc<Plan>, source: Arc<InForce>, first: Arc<Barrier>) {
    let mut turns = Turns::every(source.config().git.every.unsigned_abs());
    let activation = Activation::default();
    source.refresh(schedule::now).await;
    tokio::select! {
        () = plan.stop.cancelled() => return,
        _ = first.wait() => (),
    }
    while turns.next(&activation, &plan.stop).await {
        if source.refresh(schedule::now).await {
            let told = plan.clouds.iter().filter(|cloud| source.speaks_for(&cloud.name));
            told.for_each(|cloud| {
                cloud.activation.activate();
                cloud.news.notify_one();
            });
        }
    }
}

/// Scans a cloud at its interval, and when something asks for it.
pub(super) async fn watch(shared: Arc<Shared>, plan: Arc<Plan>, cloud: Arc<Cloud>) {
    let mut turns = Turns::every(schedule::spread(cloud.every.unsigned_abs(), &cloud.name));
    loop {
        tokio::select! {
            // What a crash would cut short may be cut short: a scan is saved whole or not at all.
            () = plan.stop.cancelled() => return,
            () = scan_cloud(&shared, &plan, &cloud) => (),
        }
        if !turns.next(&cloud.activation, &plan.stop).await {
            return;
        }
    }
}

/// Has a cloud scanned soon after something changed in it, as far as the cloud tells.
pub(super) async fn listen(plan: Arc<Plan>, cloud: Arc<Cloud>) {
    let changed = Notify::new();
    let watched = async {
        loop {
            let kinds = sources::kinds(&plan, &cloud);
            tokio::select! {
                () = cloud.collector.watch(&kinds, &changed) => (),
                () = other_kinds(&plan, &cloud, &kinds) => (),
            }
        }
    };
    let passed_on = async {
        let rest = (cloud.every.unsigned_abs() / 20).clamp(SHORTEST_REST, LONGEST_REST);
        let mut debounce = Debounce::new(SETTLE, rest);
        loop {
            debounce.next(&changed).await;
            emit(&ScanWoken { cloud: &cloud.name });
            cloud.activation.activate();
        }
    };
    tokio::select! {
        () = plan.stop.cancelled() => (),
        () = watched => (),
        () = passed_on => (),
    }
}

/// Waits until Git declares other kinds than these.
async fn other_kinds(plan: &Plan, cloud: &Cloud, kinds: &BTreeSet<Kind>) {
    while sources::kinds(plan, cloud) == *kinds {
        cloud.news.notified().await;
    }
}

/// A scope, and who reads it.
type Reader = (Scope, Arc<dyn Collector>);

async fn scan_cloud(shared: &Shared, plan: &Plan, cloud: &Cloud) {
    let readers = match cloud.ask_scopes().await {
        Ok(scopes) => {
            METRICS.expect_scopes(&cloud.name, &scopes);
            readers(scopes, &cloud.collector)
        }
        Err(error) => blind(shared, cloud, error).await,
    };
    let (said, stacks) = (sources::said(plan, cloud), Stacks(&plan.clouds));
    let cycle = Cycle { plan, said, stacks: Remembered::new(&stacks) };
    let mut scans = Vec::new();
    for reader in readers {
        scans.push(scan_one(shared, &cycle, cloud, reader));
    }
    stream::iter(scans).buffer_unordered(SCOPES_AT_ONCE).collect::<Vec<()>>().await;
}

fn readers(scopes: Vec<Scope>, collector: &Arc<dyn Collector>) -> Vec<Reader> {
    scopes.into_iter().map(|scope| (scope, Arc::clone(collector))).collect()
}

/// One round over the scopes of a cloud: all of them are compared with the same commits and stacks.
struct Cycle<'a> {
    plan: &'a Plan,
    said: Vec<Said>,
    stacks: Remembered<'a>,
}

async fn scan_one(shared: &Shared, cycle: &Cycle<'_>, cloud: &Cloud, (scope, collector): Reader) {
    match scan_scope(shared, cycle, &scope, &*collector).await {
        Ok(()) => {
            shared.saved.lock().insert(cloud.name.clone(), schedule::now());
        }
        Err(error) => emit(&ScanFailed { of: &scope.to_string(), error: &error }),
    }
}

async fn scan_scope(
    shared: &Shared,
    cycle: &Cycle<'_>,
    scope: &Scope,
    collector: &dyn Collector,
) -> anyhow::Result<()> {
    let memory = shared.memory(scope);
    let mut memory = memory.lock().await;
    let Cycle { plan, said, stacks } = cycle;
    let asked = sources::asked(said, scope, collector, stacks).await;
    let (asker, kinds) = (Asker { scope, collector }, asked.kinds());
    let schemas = shared.schemas.of(asker, &kinds).await;
    let related = shared.relations.of((scope, collector), &asked.expected).await;
    let history = GitPast { said, expected: Arc::clone(&asked.expected), stacks };
    let pass = Pass {
        scope,
        collector,
        expected: &asked.expected,
        revisions: asked.revisions,
        history: &history,
        rules: &plan.rules,
        schemas: &schemas,
        related: &related,
        policy: &plan.config.policy,
        mask: &shared.mask,
        clock: schedule::now,
        watcher: &|_, _| (),
    };
    scan::scan(&pass, &mut memory, &*shared.store, shared.epoch).await?;
    shared.outbox.wake();
    // After the scan: what is old is still good, and waiting for it is not.
    shared.schemas.renew(asker, &kinds).await;
    Ok(())
}

/// Returns the scopes that are known of a cloud that does not even say which it has, each with a reader that can only
/// say so: what cannot be looked at must be seen not to be looked at.
async fn blind(shared: &Shared, cloud: &Cloud, error: CollectError) -> Vec<Reader> {
    let gap = gap_of(&error);
    emit(&ScanFailed { of: &cloud.name, error: &error.into() });
    // What it said last is what the configuration asks for; the memory may hold what it does not any more.
    let said = cloud.scopes.lock().clone();
    let mut scopes = match said {
        Some(said) => said,
        None => remembered(shared, cloud).await,
    };
    if scopes.is_empty() {
        scopes.push(unknown_scope(&cloud.name, cloud.collector.provider()));
    }
    let reader: Arc<dyn Collector> = Arc::new(Blind { provider: cloud.collector.provider(), gap });
    readers(scopes, &reader)
}

async fn remembered(shared: &Shared, cloud: &Cloud) -> Vec<Scope> {
    let known = shared.store.scopes().await.unwrap_or_default();
    known.into_iter().map(|scope| scope.last.scope).filter(|scope| *scope.cloud == *cloud.name).collect()
}

fn unknown_scope(cloud: &str, provider: Provider) -> Scope {
    Scope { cloud: cloud.into(), provider, account: NOT_APPLICABLE.into(), region: NOT_APPLICABLE.into() }
}

fn gap_of(error: &CollectError) -> Gap {
    Gap { kind: None, reason: error.reason(), detail: chain(error) }
}

/// Reads nothing, and says why.
struct Blind {
    provider: Provider,
    gap: Gap,
}

#[async_trait]
impl Collector for Blind {
    fn provider(&self) -> Provider {
        self.provider
    }

    async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
        Ok(Vec::new())
    }

    async fn collect(&self, _: &Scope, _: &Wanted, sink: Sink) {
        // Nobody listening is nobody to be told.
        drop(sink.send(Read::Gap(self.gap.clone())).await);
    }

    async fn read(&self, id: &ResourceId, _wanted: &Wanted) -> Result<Reading, CollectError> {
        let what = id.to_string();
        let source = anyhow::anyhow!("{}", self.gap.detail);
        Err(CollectError::Unread { what, reason: self.gap.reason, source })
    }
}

/// How far a scan has come.
pub enum Progress<'a> {
    /// So many more resources of a kind were read.
    Resources(&'a Scope, &'a Kind, usize),
    /// A kind was read, as far as it could be.
    Kind(&'a Scope, &'a Kind),
    /// A scope was looked at.
    Scope(&'a Scope),
}

impl<'a> Progress<'a> {
    fn of(scope: &'a Scope, read: &'a Read) -> Option<Self> {
        match read {
            Read::Page { kind, items, .. } => Some(Self::Resources(scope, kind, items.len())),
            Read::Kept { kind, names, .. } => Some(Self::Resources(scope, kind, names.len())),
            Read::Complete(kind) => Some(Self::Kind(scope, kind)),
            Read::Gap(gap) => gap.kind.as_ref().map(|kind| Self::Kind(scope, kind)),
            Read::KeptAll { .. } => None,
        }
    }
}

/// One pass over one scope, without a store.
pub struct OnePass {
    /// Which scope.
    pub scope: Scope,
    /// The commits that were compared with.
    pub revisions: Vec<Revision>,
    /// What was found.
    pub report: Report,
}

/// Looks once at every scope of the configured clouds (only those named, if any are) and returns what was found. Saves
/// nothing, tells nobody and mends nothing. `progress` is told how far it has come.
pub async fn scan_once(
    config: Config,
    only: &[String],
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> anyhow::Result<Vec<OnePass>> {
    let plan = Plan::build(config, None).await?;
    for source in &plan.sources {
        source.refresh(schedule::now).await;
    }
    // Digests are only compared within one output.
    let mask = super::adapters::fresh_key()?;
    let registry = Registry::forgetful(schedule::now);
    let mut passes = Vec::new();
    let stacks = Stacks(&plan.clouds);
    let (chosen, others): (Vec<_>, Vec<_>) =
        plan.clouds.iter().partition(|cloud| only.is_empty() || only.contains(&cloud.name));
    // All of them first, for where something is declared depends on which scopes there are, looked at or not.
    for other in others {
        if chosen.iter().any(|cloud| sources::is_shared(&plan, cloud, other))
            && let Err(error) = other.ask_scopes().await
        {
            emit(&ScanFailed { of: &other.name, error: &error.into() });
        }
    }
    let mut rounds = Vec::new();
    for cloud in chosen {
        rounds.push((cloud, readers_once(cloud).await));
    }
    for (cloud, readers) in rounds {
        let cycle = Cycle { plan: &plan, said: sources::said(&plan, cloud), stacks: Remembered::new(&stacks) };
        let mut looks = Vec::new();
        for reader in readers {
            looks.push(look_once(&cycle, reader, (&registry, &mask), progress));
        }
        passes.extend(stream::iter(looks).buffered(SCOPES_AT_ONCE).collect::<Vec<_>>().await);
    }
    Ok(passes)
}

async fn readers_once(cloud: &Cloud) -> Vec<Reader> {
    match cloud.ask_scopes().await {
        Ok(scopes) => readers(scopes, &cloud.collector),
        Err(error) => {
            let provider = cloud.collector.provider();
            let reader: Arc<dyn Collector> = Arc::new(Blind { provider, gap: gap_of(&error) });
            readers(vec![unknown_scope(&cloud.name, provider)], &reader)
        }
    }
}

async fn look_once(
    cycle: &Cycle<'_>,
    (scope, collector): Reader,
    (registry, mask): (&Registry, &MaskKey),
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> OnePass {
    let Cycle { plan, said, stacks } = cycle;
    let asked = sources::asked(said, &scope, &*collector, stacks).await;
    let schemas = registry.of(Asker { scope: &scope, collector: &*collector }, &asked.kinds()).await;
    let related = Relations::default().of((&scope, &*collector), &asked.expected).await;
    let history = GitPast { said, expected: Arc::clone(&asked.expected), stacks };
    let pass = Pass {
        scope: &scope,
        collector: &*collector,
        expected: &asked.expected,
        revisions: asked.revisions,
        history: &history,
        rules: &plan.rules,
        schemas: &schemas,
        related: &related,
        policy: &plan.config.policy,
        mask,
        clock: schedule::now,
        watcher: &|scope, read| Progress::of(scope, read).into_iter().for_each(progress),
    };
    let report = scan::look_once(&pass).await;
    let revisions = pass.revisions.clone();
    drop(pass);
    progress(Progress::Scope(&scope));
    OnePass { scope, revisions, report }
}
