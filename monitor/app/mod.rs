//! The daemon: builds the parts, hands them to each other, starts, reloads and stops them.
//!
//! The only file that knows every part. Starting is reloading from nothing: everything that can fail is done before
//! anything live changes, and a configuration that fails leaves the old one in force.

mod adapters;
mod clouds;
mod reload;
mod retention;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use driftwarden_core::compare::MaskKey;
use driftwarden_core::finding::Finding;
use driftwarden_core::resource::{Kind, Scope};
use driftwarden_core::rule::RuleSet;
use driftwarden_core::snapshot::Snapshot;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::auth::{Tokens, check_listen};
use crate::api::{self, Api, Readiness};
use crate::collect::{CollectError, Collector, Grants};
use crate::config::Config;
use crate::outbox::Outbox;
use crate::related::Relations;
use crate::rulebook;
use crate::schedule::{self, Activation};
use crate::schemas::{Asker, Registry};
use crate::store::{self, Epoch, Store};
use crate::telemetry::emit;
use crate::telemetry::events::ConfigReloaded;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::present::Watched;
use crate::view::some_of;
pub use clouds::{OnePass, Progress, scan_once};
use sources::InForce;

/// How often a cloud is scanned if its configuration does not say.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// A running daemon.
pub struct App {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Keeps other daemons away from the database.
    _lock: File,
}

/// What lives as long as the daemon, whatever is reloaded.
struct Shared {
    path: PathBuf,
    store: Arc<dyn Store>,
    epoch: Epoch,
    outbox: Arc<Outbox>,
    plan: ArcSwap<Plan>,
    /// What the last looks left behind, by scope; kept over a reload, so that it causes no burst.
    memories: Mutex<BTreeMap<Scope, Arc<tokio::sync::Mutex<Snapshot>>>>,
    /// When the last scan of each cloud was saved.
    saved: Mutex<BTreeMap<String, Timestamp>>,
    schemas: Registry,
    relations: Relations,
    mask: MaskKey,
    tasks: TaskTracker,
}

/// What one configuration asks for, built and ready.
struct Plan {
    config: Config,
    clouds: Vec<Arc<Cloud>>,
    sources: Vec<Arc<InForce>>,
    rules: Arc<RuleSet>,
    stop: CancellationToken,
}

/// One cloud, ready to be scanned.
struct Cloud {
    name: String,
    every: SignedDuration,
    collector: Arc<dyn Collector>,
    activation: Activation,
    /// Told of each new revision of a source that speaks for it.
    news: Notify,
    /// What it last said its scopes are.
    scopes: Mutex<Option<Vec<Scope>>>,
}

impl Plan {
    /// Builds everything that a configuration asks for. Contacts nobody; whatever fails here fails before anything
    /// live changes.
    async fn build(config: Config, store: Option<&dyn Store>) -> anyhow::Result<Self> {
        let clouds = config.clouds.iter().map(|cloud| {
            let collector = cloud.build()?;
            let every = cloud.every().unwrap_or(DEFAULT_INTERVAL);
            let (name, activation, news) = (cloud.name().to_owned(), Activation::default(), Notify::new());
            Ok(Arc::new(Cloud { name, every, collector, activation, news, scopes: Mutex::default() }))
        });
        let clouds = clouds.collect::<anyhow::Result<_>>()?;
        let rules =
            Arc::new(rulebook::load(config.rules.iter().map(|pack| &pack.path)).context("failed to load the rules")?);
        let cache = cache_folder(&config.store);
        let mut sources = Vec::new();
        for desired in &config.desired {
            let before = match store {
                Some(store) => last_revision(store, &desired.name).await?,
                None => None,
            };
            sources.push(Arc::new(InForce::open(desired.clone(), &cache, before)?));
        }
        Ok(Self { config, clouds, sources, rules, stop: CancellationToken::new() })
    }

    /// Returns whether what a finding is about is looked at. It is where its cloud could not be reached, too.
    fn watches(&self, finding: &Finding) -> bool {
        let (scope, id) = (&finding.scope, &finding.evidence.resource);
        let cloud = self.clouds.iter().find(|cloud| cloud.name == *scope.cloud);
        cloud.is_some_and(|cloud| cloud.may_have(scope) && cloud.collector.leaves_out(&id.kind, &id.name).is_none())
    }

    /// Returns what the metrics are to be about.
    fn watched(&self) -> Watched {
        let clouds = self.clouds.iter().map(|cloud| (cloud.name.clone(), cloud.collector.provider())).collect();
        Watched { clouds, rules: Arc::clone(&self.rules), labels: self.config.metrics.clone() }
    }
}

/// Returns the folder in which clones of repositories are kept: beside the database.
fn cache_folder(store: &store::Config) -> PathBuf {
    let path = store.url.strip_prefix("sqlite://").unwrap_or(&store.url);
    PathBuf::from(format!("{path}.git"))
}

/// Returns the revision of a source that the last scan compared with.
async fn last_revision(store: &dyn Store, source: &str) -> anyhow::Result<Option<String>> {
    let scopes = store.scopes().await.context("failed to load the last revisions")?;
    let mut scans: Vec<_> = scopes.into_iter().map(|scope| scope.last).collect();
    scans.sort_by_key(|scan| scan.finished_at);
    let revisions = scans.into_iter().rev().flat_map(|scan| scan.revisions);
    Ok(revisions.into_iter().find(|revision| revision.source == source).map(|revision| revision.revision))
}

impl Cloud {
    /// Asks which scopes it has, and remembers the answer: what Git declares is placed by it.
    async fn ask_scopes(&self) -> Result<Vec<Scope>, CollectError> {
        let scopes = self.collector.scopes().await?;
        *self.scopes.lock() = Some(scopes.clone());
        Ok(scopes)
    }

    /// Returns whether it has this scope, as far as it has said.
    fn may_have(&self, scope: &Scope) -> bool {
        self.scopes.lock().as_ref().is_none_or(|scopes| scopes.contains(scope))
    }
}

impl App {
    /// Starts the daemon that the file at `path` describes. Returns when HTTP is served and the first scans run.
    pub async fn start(path: &Path) -> anyhow::Result<Self> {
        let config = Config::load(path)?;
        let tokens = Arc::new(Tokens::read(&config.auth).context("failed to read the tokens")?);
        check_listen(config.listen, &tokens)
            .map_err(|error| anyhow::anyhow!("{error}\nhint: listen on 127.0.0.1, or give out tokens under `auth`"))?;
        let lock = adapters::hold(&config.store)?;
        let store = store::open(&config.store).await.context("failed to open the store")?;
        let plan = Plan::build(config, Some(&*store)).await?;
        let listen = plan.config.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
        let address = listener.local_addr().context("failed to listen")?;
        let tasks = TaskTracker::new();
        let shared = Shared::new(path, plan, store, tasks.clone()).await?;
        let app = Self { shared, address, tasks, stop: CancellationToken::new(), _lock: lock };
        app.run(listener, tokens);
        Ok(app)
    }

    /// Spawns everything that runs as long as the daemon.
    fn run(&self, listener: TcpListener, tokens: Arc<Tokens>) {
        let (shared, stop) = (&self.shared, &self.stop);
        emit(&ConfigReloaded { error: None });
        let readiness = Arc::new(Ready(Arc::downgrade(shared)));
        let watch = adapters::lookout(shared);
        let router = api::router(Api { store: Arc::clone(&shared.store), tokens, readiness, watch });
        self.tasks.spawn(api::server::serve(listener, router, stop.clone()));
        self.tasks.spawn(adapters::carry_out(Arc::clone(&shared.outbox), stop.clone()));
        self.tasks.spawn(reload::watch(Arc::clone(shared), stop.clone()));
        self.tasks.spawn(retention::forget(Arc::clone(shared), stop.clone()));
        shared.run_plan();
    }

    /// Returns where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the memory, for who shows it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Reads the configuration again; returns why it was refused, if it was. Then the old one stays in force.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.shared.reload().await
    }

    /// Stops: no new scan begins, and what is under way is ended or given up.
    pub async fn stop(self) {
        self.stop.cancel();
        self.shared.plan.load().stop.cancel();
        self.tasks.close();
        // What is cut short here is what a crash would have cut short: nothing is lost, and nothing is told twice.
        if tokio::time::timeout(std::time::Duration::from_secs(10), self.tasks.wait()).await.is_err() {
            tracing::warn!("something was still running when the daemon ended");
        }
    }
}

impl Shared {
    async fn new(path: &Path, plan: Plan, store: Arc<dyn Store>, tasks: TaskTracker) -> anyhow::Result<Arc<Self>> {
        let holder = std::process::id().to_string();
        let epoch = store.take_lead(&holder, schedule::now()).await.context("failed to take the lead")?;
        let audit = adapters::open_audit(&plan.config, &store).await?;
        let mask = adapters::mask_key(&plan.config.store)?;
        let outbox_config = plan.config.outbox.clone();
        // The outbox asks the daemon to read again, and the daemon tells the outbox to wake: one of them must not hold
        // the other.
        Ok(Arc::new_cyclic(|shared| Self {
            path: path.to_owned(),
            outbox: Arc::new(Outbox::new(
                Arc::clone(&store),
                epoch,
                outbox_config,
                adapters::peers(Weak::clone(shared), audit),
            )),
            schemas: Registry::remembering(Arc::clone(&store), epoch, schedule::now),
            relations: Relations::default(),
            store,
            epoch,
            plan: ArcSwap::from_pointee(plan),
            memories: Mutex::default(),
            saved: Mutex::default(),
            mask,
            tasks,
        }))
    }

    /// Spawns everything that runs as long as the present configuration.
    fn run_plan(self: &Arc<Self>) {
        let plan = self.plan.load_full();
        self.outbox.configure(plan.config.notify.clone(), plan.config.remediate.clone());
        self.outbox.kill_switch().set(plan.config.kill_switch);
        METRICS.watch(plan.watched());
        let first_fetch = Arc::new(tokio::sync::Barrier::new(plan.sources.len() + 1));
        for source in &plan.sources {
            self.tasks.spawn(clouds::follow(Arc::clone(&plan), Arc::clone(source), Arc::clone(&first_fetch)));
        }
        let shared = Arc::clone(self);
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            // Without knowing what Git asks for, a first scan would only be able to say so.
            tokio::select! {
                () = plan.stop.cancelled() => return,
                _ = first_fetch.wait() => (),
            }
            for cloud in &plan.clouds {
                tasks.spawn(clouds::watch(Arc::clone(&shared), Arc::clone(&plan), Arc::clone(cloud)));
                tasks.spawn(clouds::listen(Arc::clone(&plan), Arc::clone(cloud)));
            }
        });
    }

    /// Replaces the configuration, all or nothing.
    async fn reload(self: &Arc<Self>) -> anyhow::Result<()> {
        let result = self.next_plan().await;
        emit(&ConfigReloaded { error: result.as_ref().err() });
        let next = result?;
        let before = self.plan.swap(Arc::new(next));
        before.stop.cancel();
        self.run_plan();
        Ok(())
    }

    async fn next_plan(&self) -> anyhow::Result<Plan> {
        let config = Config::load(&self.path)?;
        let plan = self.plan.load();
        adapters::check_unchanged(&plan.config, &config)?;
        Plan::build(config, Some(&*self.store)).await
    }

    /// Returns what the last looks at a scope left behind.
    fn memory(&self, scope: &Scope) -> Arc<tokio::sync::Mutex<Snapshot>> {
        Arc::clone(self.memories.lock().entry(scope.clone()).or_default())
    }

    /// Returns why the daemon is not ready: a cloud of which no scan was saved in the last three intervals.
    fn readiness(&self, now: Timestamp) -> Result<(), String> {
        let saved = self.saved.lock();
        for cloud in &self.plan.load().clouds {
            match saved.get(&cloud.name) {
                None => return Err(format!("cloud {} was not scanned yet", cloud.name)),
                Some(at) if now.duration_since(*at) > cloud.every * 3 + SignedDuration::from_secs(60) => {
                    return Err(format!("cloud {} was not scanned since {at}", cloud.name));
                }
                Some(_) => (),
            }
        }
        Ok(())
    }
}

/// Answers for the daemon whether it is ready.
#[derive(Debug)]
struct Ready(Weak<Shared>);

impl Readiness for Ready {
    fn readiness(&self) -> Result<(), String> {
        let shared = self.0.upgrade().ok_or("the daemon is stopping")?;
        shared.readiness(schedule::now())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Asks each cloud what its credentials must be allowed, so that what Git declares and rules look at can be read there.
pub async fn permissions(config: Config) -> anyhow::Result<Vec<Grants>> {
    let plan = Plan::build(config, None).await?;
    for source in &plan.sources {
        source.refresh(schedule::now).await;
        if let Some(why) = source.refused() {
            anyhow::bail!("failed to read which kinds source {} declares: {why}", source.config().name);
        }
    }
    let mut all = Vec::new();
    for cloud in &plan.clouds {
        let kinds = sources::kinds(&plan, cloud).into_iter().chain(plan.rules.kinds()).collect();
        all.extend(cloud.collector.permissions(&kinds).await?);
    }
    Ok(all)
}

/// Contacts everything that a configuration names, and says of each what it found or what is wrong.
pub async fn contact(config: Config, patience: Duration) -> anyhow::Result<Vec<(String, anyhow::Result<String>)>> {
    let plan = Plan::build(config, None).await?;
    let mut answers = Vec::new();
    for source in &plan.sources {
        source.refresh(schedule::now).await;
        let answer = match (source.set(), source.refused()) {
            (Some(set), None) => {
                let (resources, ignores) = (set.resources.len(), set.ignores.len());
                Ok(format!("revision {}, {resources} resources, {ignores} ignore rules", set.revision))
            }
            (_, why) => Err(anyhow::anyhow!(why.unwrap_or_default())),
        };
        answers.push((format!("source {}", source.config().name), answer));
    }
    for cloud in &plan.clouds {
        let reached = async {
            let scopes = cloud.collector.scopes().await?;
            cloud.collector.contact().await.map(|()| scopes)
        };
        let reached = tokio::time::timeout(patience, reached).await;
        let first = reached.as_ref().ok().and_then(|scopes| scopes.as_ref().ok()?.first().cloned());
        let answer = match reached {
            Ok(Ok(scopes)) => Ok(scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(anyhow::anyhow!("no answer within {} s", patience.as_secs())),
        };
        answers.push((format!("cloud {}", cloud.name), answer));
        if let Some(said) = try_schemas(&plan, cloud, first).await {
            answers.push((format!("schemas of cloud {}", cloud.name), Ok(said)));
        }
    }
    Ok(answers)
}

/// Asks for the schemas of what is declared, and says what came of it. That some cannot be had is no mistake: what is
/// compared without them may only be told although it means nothing.
async fn try_schemas(plan: &Plan, cloud: &Cloud, scope: Option<Scope>) -> Option<String> {
    let sources = plan.sources.iter().filter(|source| source.speaks_for(&cloud.name));
    let sets: Vec<_> = sources.filter_map(|source| source.set()).collect();
    let provider = cloud.collector.provider();
    let own = sets.iter().flat_map(|set| set.kinds(provider));
    let templates = sets.iter().flat_map(|set| set.templates()).flat_map(|template| &template.resources);
    let kinds: BTreeSet<Kind> = own.chain(templates.map(|declaration| &declaration.kind)).cloned().collect();
    let asker = Asker { scope: &scope?, collector: &*cloud.collector };
    let schemas = Registry::forgetful(schedule::now).of(asker, &Vec::from_iter(kinds)).await;
    let lacking: Vec<String> = schemas.lacking().map(ToString::to_string).collect();
    match some_of(&lacking) {
        Some(kinds) => Some(format!("{} read; compared without one: {kinds}", schemas.len())),
        None if schemas.is_empty() => None,
        None => Some(format!("{} read", schemas.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::samples;

    /// Returns the plan of an inventory of that name.
    async fn plan(name: &str) -> Plan {
        let mapping = "{kind: host, name: /id}";
        let text = format!("clouds: [{{name: {name}, type: file, paths: [x.json], mapping: {mapping}}}]");
        let config = Config::parse(&text, Path::new(".")).unwrap();
        Plan::build(config, None).await.unwrap()
    }

    #[tokio::test]
    async fn what_left_the_configuration_is_not_watched() {
        let finding = samples::finding("logs");
        let (here, elsewhere) = (plan(&finding.scope.cloud).await, plan("elsewhere").await);
        assert!(!elsewhere.watches(&finding));
        let say = |scopes: &[Scope]| *here.clouds[0].scopes.lock() = Some(scopes.to_vec());
        // While a cloud has not said which scopes it has, it may have any.
        assert!(here.watches(&finding));
        say(std::slice::from_ref(&finding.scope));
        assert!(here.watches(&finding));
        say(&[]);
        assert!(!here.watches(&finding));
    }
}
