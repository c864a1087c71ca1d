//! Kubernetes: every kind that a cluster serves, listed to the end; one object read exactly.
//!
//! Objects are never understood beyond their names: what counts in them is the comparison's business. A cluster is read
//! anew at each interval; nothing is kept between two readings but what discovery said.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use driftwarden_core::resource::{Depth, Gap, GapReason, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope};
use driftwarden_core::schema::Schema;
use futures_util::StreamExt;
use jiff::SignedDuration;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use self::client::{Client, Entry, Failure};
use self::discovery::{Discovery, Known, Served};
use self::list::{Hidden, Listing, Stop};
use self::openapi::Statements;
use super::selection::{Selected, Selection};
use super::{CloudConfig, CollectError, Collector, Described, Read, Reading, Rehearsal, Sink, Validity, Wanted};
use crate::outbound;

mod client;
mod discovery;
mod list;
mod openapi;
mod rehearse;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

/// For so long what a cluster does not serve is not asked for again; what it serves, it goes on to serve.
const FRESH: Duration = Duration::from_mins(1);
/// Kinds read at the same time.
const CONCURRENCY: usize = 4;
/// How long a schema is good: a definition of a custom resource may change at any time, and asking whether it did is cheap.
const SCHEMA_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// Kinds that say nothing about how a cluster is configured, and why. Read all the same when Git declares them.
const SKIPPED: &[(&str, &str)] = &[
    ("Event", "happens and expires; nobody configures it"),
    ("events.k8s.io/Event", "happens and expires; nobody configures it"),
    ("ComponentStatus", "is made up while it is listed"),
    ("metrics.k8s.io/NodeMetrics", "is a measurement"),
    ("metrics.k8s.io/PodMetrics", "is a measurement"),
    ("extensions/Ingress", "is the same objects as networking.k8s.io/Ingress"),
];

/// A Kubernetes cluster to be watched.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this cloud.
    pub name: String,
    /// Context of the kubeconfig; the current one if absent.
    #[serde(default)]
    pub context: Option<String>,
    /// Path of the kubeconfig; `$KUBECONFIG` or `~/.kube/config` if absent.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Whether to enter as the pod in which this runs.
    #[serde(default)]
    pub in_cluster: bool,
    /// Address of the API server, instead of the kubeconfig's. Without a kubeconfig, a context or `in_cluster`, it is
    /// asked without credentials.
    #[serde(default)]
    pub server: Option<url::Url>,
    /// Name of the cluster in scopes and ids; the name of the context if absent.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Kinds to read (`apps/Deployment`, `Pod`, globs); all if absent.
    #[serde(default)]
    pub kinds: Selection,
    /// Namespaces to read. Names without wildcards are read one by one, which needs no permission for the others.
    #[serde(default)]
    pub namespaces: Selection,
    /// How often the cluster is read.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub every: Option<SignedDuration>,
    /// Whether the kinds that Git declares are watched, so that a change is noticed between two readings. A cluster is read
    /// every interval either way.
    #[serde(default)]
    pub watch: bool,
    /// Most requests in a second.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub requests_per_second: f64,
    /// Most requests in a day.
    #[serde(default)]
    pub requests_per_day: Option<u64>,
}

impl CloudConfig for Config {
    fn name(&self) -> &str {
        &self.name
    }

    fn every(&self) -> Option<SignedDuration> {
        self.every
    }

    fn build(&self) -> Result<Arc<dyn Collector>, CollectError> {
        Ok(Arc::new(Kubernetes::new(self.clone())?))
    }
}

fn default_requests_per_second() -> f64 {
    20.0
}

impl Hidden for Selected {
    fn hides(&self, namespace: &str) -> bool {
        !self.takes(namespace)
    }
}

/// One cluster.
pub struct Kubernetes {
    config: Config,
    client: Client,
    kinds: Selected,
    namespaces: Selected,
    /// What discovery said last, and when.
    known: Mutex<Option<(Instant, Arc<Discovery>)>>,
    statements: Statements,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Returns the cluster that is configured. Contacts nothing.
    pub fn new(config: Config) -> Result<Self, CollectError> {
        let invalid = |why: String| CollectError::Config { cloud: config.name.clone(), why };
        if !(0.1..=1000.0).contains(&config.requests_per_second) {
            return Err(invalid("`requests_per_second` must be between 0.1 and 1000".to_owned()));
        }
        if config.in_cluster && (config.context.is_some() || config.kubeconfig.is_some()) {
            return Err(invalid("`in_cluster` excludes `context` and `kubeconfig`".to_owned()));
        }
        let is_clear_text = config.server.as_ref().is_some_and(outbound::is_clear_text);
        if is_clear_text && !matches!(entry(&config), Entry::Anonymous) {
            let hint = outbound::CLEAR_TEXT_HINT;
            return Err(invalid(format!("the credentials would be sent to `server` in clear text; {hint}")));
        }
        let kinds = Selected::new(&config.kinds).map_err(|error| invalid(format!("`kinds`: {error}")))?;
        let namespaces =
            Selected::new(&config.namespaces).map_err(|error| invalid(format!("`namespaces`: {error}")))?;
        let server = config.server.clone();
        let most_a_day = config.requests_per_day.unwrap_or(u64::MAX);
        let client = Client::new(config.name.clone(), entry(&config), server, (config.requests_per_second, most_a_day));
        let (known, statements) = (Mutex::new(None), Statements::default());
        Ok(Self { config, client, kinds, namespaces, known, statements })
    }

    async fn account(&self) -> Result<String, CollectError> {
        if let Some(cluster) = &self.config.cluster {
            return Ok(cluster.clone());
        }
        match entry(&self.config) {
            Entry::Kubeconfig { context: Some(context), .. } => Ok(context),
            Entry::Kubeconfig { path, context: None } => client::current_context(path)
                .await
                .map_err(|failure| CollectError::Config { cloud: self.config.name.clone(), why: failure.detail }),
            Entry::InCluster | Entry::Anonymous => Ok(self.config.name.clone()),
        }
    }

    /// Asks anew what the cluster serves.
    async fn discover(&self) -> Result<Arc<Discovery>, Failure> {
        let found = Arc::new(discovery::discover(&self.client).await?);
        *self.known.lock() = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }

    /// Returns where a kind is served, or nothing if the cluster surely has no such kind.
    async fn find(&self, kind: &Kind) -> Result<Option<Served>, Failure> {
        let known = self.known.lock().clone();
        let known = known.filter(|(at, known)| at.elapsed() < FRESH || matches!(known.find(kind), Known::Served(_)));
        let known = match known {
            Some((_, known)) => known,
            None => self.discover().await?,
        };
        match known.find(kind) {
            Known::Served(served) => Ok(Some(served.clone())),
            Known::Unlistable => Err(unlistable()),
            Known::Unsure(failure) => Err(failure.clone()),
            Known::Lacking => Ok(None),
        }
    }

    fn is_read(&self, served: &Served, wanted: &Wanted) -> bool {
        let skipped = SKIPPED.iter().any(|(kind, _)| *kind == served.kind.as_str());
        self.kinds.takes(served.kind.as_str()) && (!skipped || wanted.full.contains(&served.kind))
    }

    /// Reads a kind to the end and says so, or says why not. An error means that nobody listens.
    async fn read_kind(&self, served: &Served, sink: &Sink) -> Result<(), Stop> {
        let mut listing = Listing::new(&self.client, served, &self.namespaces);
        let span = info_span!("kind", kind = %served.kind);
        let said = match self.read_places(&mut listing, served, sink).instrument(span).await {
            Ok(()) => Read::Complete(served.kind.clone()),
            Err(Stop::Failed(failure)) => gap(Some(served.kind.clone()), &failure),
            Err(Stop::Closed) => return Err(Stop::Closed),
        };
        sink.send(said).await.map_err(|_| Stop::Closed)
    }

    async fn read_places(&self, listing: &mut Listing<'_>, served: &Served, sink: &Sink) -> Result<(), Stop> {
        match self.named() {
            Some(named) if served.namespaced => {
                for namespace in named {
                    listing.run(Some(namespace), sink).await?;
                }
                Ok(())
            }
            _ => listing.run(None, sink).await,
        }
    }

    /// Returns the namespaces that are read, if each is named.
    fn named(&self) -> Option<BTreeSet<&str>> {
        let named = &self.config.namespaces.include;
        let is_each_named = !named.is_empty() && !named.iter().any(|name| is_glob(name));
        is_each_named.then(|| named.iter().map(String::as_str).collect())
    }

    /// Says what discovery alone decides: groups that are silent, and wanted kinds that do not exist.
    async fn tell_discovery(&self, found: &Discovery, wanted: &Wanted, sink: &Sink) -> Result<(), Stop> {
        let groups = found.failed().map(|(group, failure)| {
            gap(Some(if group.is_empty() { Kind::new("*") } else { Kind::new(format!("{group}/*")) }), failure)
        });
        let own = wanted.full.iter().filter(|kind| is_kubernetes(kind) && self.kinds.takes(kind.as_str()));
        let kinds = own.filter_map(|kind| match found.find(kind) {
            Known::Served(_) => None,
            Known::Unlistable => Some(gap(Some(kind.clone()), &unlistable())),
            Known::Unsure(failure) => Some(gap(Some(kind.clone()), failure)),
            // All of its group was read and it is not there, so none of its objects is.
            Known::Lacking => Some(Read::Complete(kind.clone())),
        });
        for said in groups.chain(kinds).collect::<Vec<_>>() {
            sink.send(said).await.map_err(|_| Stop::Closed)?;
        }
        Ok(())
    }

    async fn read_object(&self, id: &ResourceId) -> Result<Reading, Failure> {
        let Some(served) = self.find(&id.kind).await? else { return Ok(Reading::Absent) };
        let (namespace, name) = parts(&served, id)?;
        let path = format!("{}/{}", served.list_path(namespace), encoded(name));
        match self.client.get(&path, "application/json", self.client.patience.object).await {
            Ok(body) => found(&served, &id.name, &body),
            Err(failure) if failure.is_not_found() => self.prove_absence(&served, namespace).await,
            Err(failure) => Err(failure),
        }
    }

    async fn rehearse_object(&self, id: &ResourceId, declared: &Value) -> Result<Rehearsal, Failure> {
        let lacking = || Failure::new(GapReason::Partial, "the cluster has no such kind");
        let served = self.find(&id.kind).await?.ok_or_else(lacking)?;
        let place = parts(&served, id)?;
        Ok(rehearse::rehearse(&self.client, &served, place, declared).await)
    }

    /// Returns the schemas of these kinds, or why they could not be had.
    async fn described(&self, kinds: &[Kind]) -> openapi::Answers {
        let (mut answers, mut served) = (openapi::Answers::new(), Vec::new());
        for kind in kinds {
            match self.find(kind).await {
                Ok(Some(found)) => served.push(found),
                // A kind that the cluster does not have has nothing that could be compared.
                Ok(None) => answers.push((kind.clone(), Ok(Schema::default()))),
                Err(failure) => answers.push((kind.clone(), Err(failure))),
            }
        }
        answers.extend(self.statements.ask(&self.client, &served).await);
        answers
    }

    /// A 404 counts only from a server that shows us the kind's list.
    async fn prove_absence(&self, served: &Served, namespace: Option<&str>) -> Result<Reading, Failure> {
        let canary = format!("{}?limit=1", served.list_path(namespace));
        self.client.get(&canary, "application/json", self.client.patience.page).await?;
        Ok(Reading::Absent)
    }
}

#[async_trait]
impl Collector for Kubernetes {
    fn provider(&self) -> Provider {
        Provider::Kubernetes
    }

    async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
        Ok(vec![Scope {
            cloud: self.config.name.as_str().into(),
            provider: Provider::Kubernetes,
            account: self.account().await?.into(),
            region: NOT_APPLICABLE.into(),
        }])
    }

    async fn contact(&self) -> Result<(), CollectError> {
        let unread = |failure: Failure| CollectError::Unread {
            what: "what the cluster serves".to_owned(),
            reason: failure.reason,
            source: failure.into(),
        };
        self.discover().await.map(drop).map_err(unread)
    }

    fn leaves_out(&self, _kind: &Kind, name: &str) -> Option<String> {
        // No kind without namespaces has names with a slash.
        let (namespace, _) = name.split_once('/')?;
        let why = || format!("namespace `{namespace}` is left out by `namespaces` of cloud `{}`", self.config.name);
        self.namespaces.hides(namespace).then(why)
    }

    async fn collect(&self, _scope: &Scope, wanted: &Wanted, sink: Sink) {
        let found = match self.discover().await {
            Ok(found) => found,
            Err(failure) => return drop(sink.send(gap(None, &failure)).await),
        };
        if self.tell_discovery(&found, wanted, &sink).await.is_err() {
            return;
        }
        let kinds: Vec<Served> = found.served().filter(|served| self.is_read(served, wanted)).cloned().collect();
        let sink = &sink;
        let reads = kinds.into_iter().map(|served| async move { self.read_kind(&served, sink).await });
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(CONCURRENCY);
        while let Some(Ok(())) = reads.next().await {}
    }

    async fn watch(&self, kinds: &BTreeSet<Kind>, changed: &Notify) {
        if self.config.watch {
            watch::watch(self, kinds, changed).await;
        }
        std::future::pending::<()>().await;
    }

    async fn read(&self, id: &ResourceId, _wanted: &Wanted) -> Result<Reading, CollectError> {
        self.read_object(id).await.map_err(|failure| CollectError::Unread {
            what: format!("`{id}`"),
            reason: failure.reason,
            source: failure.into(),
        })
    }

    async fn rehearse(&self, id: &ResourceId, declared: &Value) -> Option<Rehearsal> {
        let done = self.rehearse_object(id, declared).await;
        let impossible = |failure: Failure| Rehearsal::Impossible { why: failure.to_string(), before: None };
        Some(done.unwrap_or_else(impossible))
    }

    fn is_same_write(&self, one: &str, other: &str) -> bool {
        rehearse::version(one).is_some_and(|version| rehearse::version(other) == Some(version))
    }

    fn validity(&self, scope: &Scope, kind: &Kind) -> Option<Validity> {
        is_kubernetes(kind).then(|| Validity { realm: format!("{} {scope}", scope.cloud).into(), life: SCHEMA_LIFE })
    }

    async fn describe(&self, _scope: &Scope, kinds: &[Kind], sink: mpsc::Sender<Described>) {
        for (kind, answer) in self.described(kinds).await {
            let what = format!("the schema of `{kind}`");
            let unread =
                |failure: Failure| CollectError::Unread { what, reason: failure.reason, source: failure.into() };
            let said = Described { kind, schema: answer.map_err(unread) };
            if sink.send(said).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the namespace and the name of an object.
fn parts<'a>(served: &Served, id: &'a ResourceId) -> Result<(Option<&'a str>, &'a str), Failure> {
    match id.name.split_once('/') {
        Some((namespace, name)) if served.namespaced => Ok((Some(namespace), name)),
        None if served.namespaced => Err(Failure::new(GapReason::Malformed, "its name says no namespace")),
        _ => Ok((None, &*id.name)),
    }
}

fn entry(config: &Config) -> Entry {
    let by_kubeconfig = config.kubeconfig.is_some() || config.context.is_some();
    if config.in_cluster {
        Entry::InCluster
    } else if config.server.is_some() && !by_kubeconfig {
        Entry::Anonymous
    } else {
        Entry::Kubeconfig { path: config.kubeconfig.clone(), context: config.context.clone() }
    }
}

fn found(served: &Served, name: &str, body: &[u8]) -> Result<Reading, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::new(GapReason::Malformed, "an object is not UTF-8"))?;
    let item = list::item(served, text.trim())?;
    if *item.name == *name {
        Ok(Reading::Found(item.text, Depth::Full))
    } else {
        Err(Failure::new(GapReason::Malformed, "the server answered with another object"))
    }
}

fn gap(kind: Option<Kind>, failure: &Failure) -> Read {
    Read::Gap(Gap { kind, reason: failure.reason, detail: failure.detail.clone() })
}

fn unlistable() -> Failure {
    Failure::new(GapReason::Partial, "the kind cannot be listed")
}

/// Other clouds' kinds are wanted too; `AWS::S3::Bucket` and `Microsoft.Storage/storageAccounts` are none of ours.
fn is_kubernetes(kind: &Kind) -> bool {
    let name = kind.as_str().rsplit('/').next().unwrap_or_default();
    !name.contains(':') && name.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// Percent-encodes one part of an address.
fn encoded(part: &str) -> String {
    let byte = |byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    part.bytes().map(byte).collect()
}
