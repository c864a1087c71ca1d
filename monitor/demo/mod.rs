//! The demo: two simulated clouds that speak the real protocols, a Git repository, and an intruder.
//!
//! It makes the world and keeps the truth about it. The daemon that watches this world is the real one, started by
//! whoever runs the demo with the configuration that stands here; nothing in the daemon knows that it is a demo.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::estate::{ACCOUNT, Asset, CLUSTER, Cloud, REGION};
use self::intruder::Intruder;
pub use self::ledger::{Story, Summary};
use self::repository::{Change, Repository};
use self::world::World;
use crate::rulebook::BUILTIN;
use crate::view::FindingView;

mod aws;
mod estate;
mod intruder;
mod kubernetes;
mod ledger;
pub mod mend;
mod patch;
mod repository;
mod schemas;
pub mod screen;
#[cfg(test)]
mod tests;
mod world;

/// The running demo. Its clouds stop and its files go when it is dropped.
pub struct Demo {
    folder: TempDir,
    world: World,
    intruder: Intruder,
    servers: Vec<tokio::task::JoinHandle<()>>,
    addresses: Addresses,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The daemon.
    pub daemon: SocketAddr,
    /// The simulated AWS.
    pub aws: SocketAddr,
    /// The simulated API server.
    pub kubernetes: SocketAddr,
}

impl Demo {
    /// Makes the world: clouds that serve it on loopback, a repository that declares it, a configuration that names both.
    ///
    /// `program` is this program; its hidden command mends what the intruder broke.
    pub async fn start(program: &Path, clock: fn() -> Timestamp) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("driftwarden-demo-").tempdir();
        let folder = folder.context("failed to create a temporary folder")?;
        let mut assets = estate::estate();
        let world = World::new(&assets, clock);
        let repository = Repository::create(&folder.path().join("shop.git"))?;
        declare(&repository, &mut assets, &world)?;
        let mut kinds: Vec<String> =
            assets.iter().filter(|asset| asset.key.cloud == Cloud::Aws).map(|asset| asset.key.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        let (aws, aws_server) = serve(aws::router(world.clone(), kinds)).await?;
        let (kubernetes, kubernetes_server) = serve(kubernetes::router(world.clone())).await?;
        let addresses = Addresses { daemon: free_address().await?, aws, kubernetes };
        let intruder = Intruder::new(assets);
        let servers = vec![aws_server, kubernetes_server];
        let demo = Self { folder, world, intruder, servers, addresses };
        demo.write_config(program, repository.path())?;
        Ok(demo)
    }

    /// Returns where everything listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Returns the path of the configuration that the daemon is to be started with.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("driftwarden.yaml")
    }

    /// Returns the folder of everything that the demo leaves on disk while it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the time that the demo goes by.
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Lets the intruder change one more thing.
    pub fn intrude(&mut self) {
        self.intruder.act(&self.world);
    }

    /// Takes notice of what the daemon says now; returns what happened since the last time.
    pub fn observe(&self, findings: &[FindingView]) -> Vec<Story> {
        self.world.ledger(|ledger| ledger.observe(findings))
    }

    /// Returns how it went so far.
    pub fn summary(&self) -> Summary {
        self.world.ledger(|ledger| ledger.summary())
    }

    /// Returns how many requests the simulated clouds have answered.
    pub fn requests(&self) -> u64 {
        self.world.requests()
    }

    fn write_config(&self, program: &Path, repository: &Path) -> anyhow::Result<()> {
        let secret = self.folder.path().join("aws-secret");
        fs::write(&secret, "demo-secret\n").context("failed to write the demo's secret")?;
        write_rules(&self.folder.path().join("rules"))?;
        let config = config(&self.addresses, &[program, repository, &secret, self.folder.path()]);
        let text = serde_saphyr::to_string(&config).context("failed to write the configuration")?;
        fs::write(self.config(), text).context("failed to write the configuration")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// Commits what the clouds hold, then something that nobody will apply.
fn declare(repository: &Repository, assets: &mut [Asset], world: &World) -> anyhow::Result<()> {
    let now = world.now();
    let ago = |hours| now - SignedDuration::from_hours(hours);
    repository.commit(assets, &Change { author: "Ada", message: "declare the shop", at: ago(72) })?;
    let groups =
        assets.iter_mut().filter(|asset| asset.key.kind == "AWS::Logs::LogGroup" && asset.human.ends_with("api"));
    for asset in groups.take(2) {
        set(&mut asset.declared, "/RetentionInDays", json!(90));
        let what = format!("keep the logs of {} for 90 days", asset.human);
        world.ledger(|ledger| ledger.commit(asset.key.clone(), vec![asset.human.clone()], &what, ago(2)));
    }
    repository.commit(assets, &Change { author: "Maya", message: "keep the logs of the APIs for 90 days", at: ago(2) })
}

/// Writes the rules that come with the program.
fn write_rules(folder: &Path) -> anyhow::Result<()> {
    for (file, text) in BUILTIN {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).context("failed to create the folder of rules")?;
        fs::write(&path, text).with_context(|| format!("failed to write rule `{file}`"))?;
    }
    Ok(())
}

fn set(value: &mut Value, pointer: &str, new: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = new;
    }
}

/// Returns the daemon's configuration: a real one, only with short times.
fn config(addresses: &Addresses, [program, repository, secret, folder]: &[&Path; 4]) -> Value {
    let Addresses { daemon, aws, kubernetes } = addresses;
    let (aws, kubernetes) = (format!("http://{aws}"), format!("http://{kubernetes}"));
    json!({
        "listen": daemon.to_string(),
        "store": {"url": format!("sqlite://{}", folder.join("driftwarden.db").display())},
        "clouds": [
            {"name": "prod", "type": "aws", "regions": [REGION], "accounts": [{"id": ACCOUNT}], "endpoint": aws,
             "credentials": {"access_key_id": "AKIADEMODEMODEMODEMO",
                 "secret_access_key": format!("${{file:{}}}", secret.display())},
             "direct": {"exclude": ["*"]}, "requests_per_second": 1000, "every": "2s"},
            {"name": "shop", "type": "kubernetes", "cluster": CLUSTER, "server": kubernetes,
             "requests_per_second": 1000, "every": "2s"},
        ],
        "desired": [{"name": "infra", "git": {"url": repository.display().to_string(), "ref": "main", "every": "2s"},
            "clouds": ["prod", "shop"]}],
        "rules": [{"path": folder.join("rules").display().to_string()}],
        "hold": {"scans": 2, "for": "3s"},
        "remediate": {"hooks": [{"name": "put-back", "match": ["drift=changed", "cause=out_of_band", "kind=apps/Deployment"],
            "exec": {"command": [program.display().to_string(), "demo-mend", "--aws", aws, "--kubernetes", kubernetes]},
            "mode": "apply", "timeout": "10s", "cooldown": "5s", "ramp_pause": "1s", "verify_for": "30s",
            "max_actions": 40, "max_percent": 50, "max_per_hour": 400}]},
    })
}

async fn serve(router: axum::Router) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen on loopback")?;
    let address = listener.local_addr().context("failed to listen on loopback")?;
    let server = tokio::spawn(async move {
        // Ends only when it is aborted.
        axum::serve(listener, router).await.ok();
    });
    Ok((address, server))
}

/// Returns an address on loopback that nobody listens on just now.
async fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to listen on loopback")?;
    listener.local_addr().context("failed to listen on loopback")
}
