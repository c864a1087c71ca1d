//! What one part needs of another, filled in: parts never use each other.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use driftwarden_core::compare::MaskKey;
use driftwarden_core::finding::Finding;
use driftwarden_core::snapshot::Lens;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::sources::{self, Asked, Stacks};
use super::{Plan, Shared};
use crate::api;
use crate::audit::{Audit, Record};
use crate::collect::Collector;
use crate::config::Config;
use crate::desired::set::Remembered;
use crate::ledger::Ledger;
use crate::outbox::{self, Outbox, Peers};
use crate::remediate::{self, Answer, Approval, Approvals, Reread};
use crate::scan;
use crate::schedule;
use crate::schemas::Asker;
use crate::store::{self, Store};

/// Returns the key of the digests of sensitive values: made once, kept beside the database, so that the same secret looks
/// the same after a restart.
pub(super) fn mask_key(store: &store::Config) -> anyhow::Result<MaskKey> {
    let path = PathBuf::from(format!("{}.key", store.url.strip_prefix("sqlite://").unwrap_or(&store.url)));
    if !path.exists() {
        write_key(&path).with_context(|| format!("failed to write the key `{}`", path.display()))?;
    }
    let bytes = fs::read(&path).with_context(|| format!("failed to read the key `{}`", path.display()))?;
    match <[u8; 32]>::try_from(bytes) {
        Ok(key) => Ok(MaskKey::new(key)),
        Err(_) => bail!("invalid key `{}`: expected 32 bytes; remove it to have a new one made", path.display()),
    }
}

fn write_key(path: &Path) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&random()?)?;
    file.sync_all()?;
    Ok(())
}

/// Returns a key that nobody keeps.
pub(super) fn fresh_key() -> anyhow::Result<MaskKey> {
    Ok(MaskKey::new(random()?))
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("failed to get random bytes")?;
    Ok(bytes)
}

/// Refuses a change of what cannot be changed while the daemon runs.
pub(super) fn check_unchanged(before: &Config, after: &Config) -> anyhow::Result<()> {
    let same = [
        ("listen", before.listen == after.listen),
        ("store.url", before.store.url == after.store.url),
        ("telemetry", before.telemetry == after.telemetry),
        ("audit", before.audit == after.audit),
        ("auth", before.auth == after.auth),
        ("outbox", before.outbox == after.outbox),
    ];
    let changed: Vec<&str> = same.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect();
    if !changed.is_empty() {
        bail!("a change of `{}` needs a restart", changed.join("`, `"));
    }
    Ok(())
}

/// Keeps the database for this process, as long as the file that is returned is open, in whatever way the process ends. A
/// second daemon would depose the first one, which would then look and save nothing.
pub(super) fn hold(store: &store::Config) -> anyhow::Result<fs::File> {
    let database = store.path().context("failed to find the database")?;
    let path = PathBuf::from(format!("{}.lock", database.display()));
    let open = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| {
        let hint = "the folder of `store.url` must be there and be writable";
        anyhow::anyhow!("failed to open `{}`: {error}\nhint: {hint}", path.display())
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "not allowed to use `{}`: another driftwarden runs on it\nhint: stop that one, or give this one a `store.url` of its own",
            database.display()
        ),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("failed to lock `{}`", path.display()))
        }
    }
}

/// Opens the audit log of the configured store.
pub(super) async fn open_audit(config: &Config, store: &Arc<dyn Store>) -> anyhow::Result<Arc<Audit>> {
    let path = config.store.path().context("failed to find the audit log")?;
    let ledger = Arc::new(Ledger(Arc::clone(store)));
    let audit = Audit::open(ledger, &config.audit.anchor_path(path)).await.context("failed to open the audit log")?;
    Ok(Arc::new(audit))
}

/// Returns who the outbox asks.
pub(super) fn peers(shared: Weak<Shared>, audit: Arc<Audit>) -> Peers {
    Peers {
        audit: Arc::new(Logbook(audit)),
        reread: Arc::new(Rereader(Weak::clone(&shared))),
        approvals: Arc::new(NobodyApproves),
        watch: Arc::new(Lookout(shared)),
        clock: Arc::new(schedule::now),
    }
}

/// Carries out what is in the outbox until stopped, or until somebody else leads.
pub(super) async fn carry_out(outbox: Arc<Outbox>, stop: CancellationToken) {
    if let Err(error) = outbox.run(&stop).await {
        tracing::error!(error = %format_args!("{:#}", anyhow::Error::from(error)), "failed to carry out the outbox");
    }
}

/// Writes the audit log for the outbox.
struct Logbook(Arc<Audit>);

#[async_trait]
impl outbox::Audit for Logbook {
    async fn append(&self, what: &str, subject: &str, detail: &str) -> anyhow::Result<()> {
        let record = Record {
            at: schedule::now(),
            actor: "driftwarden".to_owned(),
            what: what.to_owned(),
            subject: json!({"subject": subject, "detail": detail}),
        };
        self.0.append(&[record]).await?;
        Ok(())
    }
}

/// Nobody can approve yet: what waits for an approval waits.
struct NobodyApproves;

#[async_trait]
impl Approvals for NobodyApproves {
    async fn approval(&self, _: &str) -> Approval {
        Approval::Awaited
    }
}

/// Knows what is looked at under what is in force now.
#[derive(Debug)]
struct Lookout(Weak<Shared>);

impl Lookout {
    fn looks_at(&self, finding: &Finding) -> bool {
        // Of a daemon that is stopping nothing is over.
        self.0.upgrade().is_none_or(|shared| shared.plan.load().watches(finding))
    }
}

impl outbox::Watch for Lookout {
    fn watches(&self, finding: &Finding) -> bool {
        self.looks_at(finding)
    }
}

impl api::Watch for Lookout {
    fn watches(&self, finding: &Finding) -> bool {
        self.looks_at(finding)
    }
}

/// Returns what tells the interface what is still looked at.
pub(super) fn lookout(shared: &Arc<Shared>) -> Arc<dyn api::Watch> {
    Arc::new(Lookout(Arc::downgrade(shared)))
}

/// Reads again, under what is in force now.
struct Rereader(Weak<Shared>);

#[async_trait]
impl Reread for Rereader {
    async fn reread(&self, finding: &Finding) -> remediate::Reading {
        let Some(shared) = self.0.upgrade() else { return unread("the daemon is stopping") };
        let plan = shared.plan.load_full();
        let scope = &finding.scope;
        let Some(cloud) = plan.clouds.iter().find(|cloud| cloud.name == *scope.cloud) else {
            return unread("its cloud is not configured any more");
        };
        let id = &finding.evidence.resource;
        if let Some(why) = cloud.collector.leaves_out(&id.kind, &id.name) {
            return unread(&why);
        }
        let stacks = Stacks(&plan.clouds);
        let stacks = Remembered::new(&stacks);
        let asked = sources::asked(&sources::said(&plan, cloud), scope, &*cloud.collector, &stacks).await;
        if asked.expected.overlooks(&id.kind, &id.name) {
            return unread("Git does not say that it must be in this scope");
        }
        let Some(doubt) = asked.expected.doubts().first() else {
            return reread(&shared, &plan, (finding, &*cloud.collector), asked).await;
        };
        unread(doubt)
    }
}

async fn reread(
    shared: &Shared,
    plan: &Plan,
    (finding, collector): (&Finding, &dyn Collector),
    asked: Asked,
) -> remediate::Reading {
    let schemas = shared.schemas.of(Asker { scope: &finding.scope, collector }, &asked.kinds()).await;
    let related = shared.relations.of((&finding.scope, collector), &asked.expected).await;
    let lens = Lens {
        scope: &finding.scope,
        expected: &asked.expected,
        rules: &plan.rules,
        schemas: &schemas,
        related: &related,
        mask: &shared.mask,
    };
    let evidence = &finding.evidence;
    let looked = match scan::look_again(lens, collector, evidence, None).await {
        Ok(looked) => looked,
        Err(error) => return unread(&format!("{error:#}")),
    };
    let answer = if looked.evidence.is_some() { Answer::StillThere } else { Answer::Gone };
    let patch =
        looked.evidence.zip(looked.text).and_then(|(evidence, (text, depth))| lens.patch(&evidence, (&text, depth)));
    let source = evidence.origin.as_ref().map(|origin| &*origin.source);
    let revision = asked.revisions.iter().find(|r| Some(&*r.source) == source).map(|r| Arc::from(&*r.revision));
    remediate::Reading { answer, at: schedule::now(), revision, patch }
}

fn unread(why: &str) -> remediate::Reading {
    let answer = Answer::Unknown(why.to_owned());
    remediate::Reading { answer, at: schedule::now(), revision: None, patch: None }
}
