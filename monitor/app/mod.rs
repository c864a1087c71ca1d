//! The daemon: builds the parts, hands them to each other, starts, reloads and stops them.
//!
//! The only file that knows every part. Starting is reloading from nothing: everything that can fail is done before
//! anything live changes, and a configuration that fails leaves the old one in force.

mod adapters;
mod clouds;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use driftwarden_core::resource::Kind;
use driftwarden_core::rule::RuleSet;
use driftwarden_core::schema::Schema;
use jiff::SignedDuration;

use crate::collect::Collector;
use crate::config::Config;
use crate::rulebook;
use crate::schedule;
use crate::store::{self, Store};
pub use clouds::{OnePass, scan_once};
use sources::InForce;

/// How often a cloud is scanned if its configuration does not say.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// What one configuration asks for, built and ready.
struct Plan {
    config: Config,
    clouds: Vec<Arc<Cloud>>,
    sources: Vec<Arc<InForce>>,
    rules: Arc<RuleSet>,
}

/// One cloud, ready to be scanned.
struct Cloud {
    name: String,
    every: SignedDuration,
    collector: Arc<dyn Collector>,
}

impl Plan {
    /// Builds everything that a configuration asks for. Contacts nobody; whatever fails here fails before anything
    /// live changes.
    async fn build(config: Config, store: Option<&dyn Store>) -> anyhow::Result<Self> {
        let clouds = config.clouds.iter().map(|cloud| {
            let collector = cloud.build()?;
            let every = cloud.every().unwrap_or(DEFAULT_INTERVAL);
            Ok(Arc::new(Cloud { name: cloud.name().to_owned(), every, collector }))
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
        Ok(Self { config, clouds, sources, rules })
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

/// Returns what counts as equal for a kind.
fn schema_of(kind: &Kind) -> Arc<Schema> {
    let _ = kind;
    Arc::new(Schema::default())
}

/// Contacts everything that a configuration names, and says of each what it found or what is wrong.
pub async fn contact(config: Config, patience: Duration) -> anyhow::Result<Vec<(String, anyhow::Result<String>)>> {
    let plan = Plan::build(config, None).await?;
    let mut answers = Vec::new();
    for source in &plan.sources {
        source.refresh(schedule::now).await;
        let answer = match (source.set(), source.refused()) {
            (Some(set), None) => Ok(format!("revision {}, {} resources", set.revision, set.resources.len())),
            (_, why) => Err(anyhow::anyhow!(why.unwrap_or_default())),
        };
        answers.push((format!("source {}", source.config().name), answer));
    }
    for cloud in &plan.clouds {
        let scopes = tokio::time::timeout(patience, cloud.collector.scopes()).await;
        let answer = match scopes {
            Ok(Ok(scopes)) => Ok(scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(anyhow::anyhow!("no answer within {} s", patience.as_secs())),
        };
        answers.push((format!("cloud {}", cloud.name), answer));
    }
    Ok(answers)
}
