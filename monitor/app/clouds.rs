//! Scanning clouds: each at its interval, its scopes side by side.

use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::compare::MaskKey;
use driftwarden_core::resource::{Gap, NOT_APPLICABLE, Provider, ResourceId, Scope};
use driftwarden_core::snapshot::Snapshot;
use futures_util::{StreamExt, stream};

use super::sources::{self, Sources};
use super::{Plan, schema_of};
use crate::collect::{CollectError, Collector, Read, Reading, Sink, Wanted};
use crate::config::Config;
use crate::scan::{self, Confirm, Pass, Report};
use crate::schedule;
use crate::store::Revision;

/// Scopes of one cloud that are scanned at once.
const SCOPES_AT_ONCE: usize = 8;

fn unknown_scope(cloud: &str, provider: Provider) -> Scope {
    Scope { cloud: cloud.into(), provider, account: NOT_APPLICABLE.into(), region: NOT_APPLICABLE.into() }
}

fn gap_of(error: &CollectError) -> Gap {
    Gap { kind: None, reason: error.reason(), detail: error.to_string() }
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

    async fn read(&self, id: &ResourceId) -> Result<Reading, CollectError> {
        let what = id.to_string();
        let source = anyhow::anyhow!("{}", self.gap.detail);
        Err(CollectError::Unread { what, reason: self.gap.reason, source })
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
/// nothing, tells nobody and mends nothing. `progress` is told of each scope that was read.
pub async fn scan_once(
    config: Config,
    only: &[String],
    progress: &(dyn Fn(&Scope) + Sync),
) -> anyhow::Result<Vec<OnePass>> {
    let plan = Plan::build(config, None).await?;
    for source in &plan.sources {
        source.refresh(schedule::now).await;
    }
    // Digests are only compared within one output.
    let mask = super::adapters::fresh_key()?;
    let mut passes = Vec::new();
    for cloud in plan.clouds.iter().filter(|cloud| only.is_empty() || only.contains(&cloud.name)) {
        let reading: Vec<(Scope, Arc<dyn Collector>)> = match cloud.collector.scopes().await {
            Ok(scopes) => scopes.into_iter().map(|scope| (scope, Arc::clone(&cloud.collector))).collect(),
            Err(error) => {
                let provider = cloud.collector.provider();
                let reader: Arc<dyn Collector> = Arc::new(Blind { provider, gap: gap_of(&error) });
                vec![(unknown_scope(&cloud.name, provider), reader)]
            }
        };
        let looks = reading.into_iter().map(|(scope, collector)| async {
            let pass = look_once(&plan, scope, collector, &mask).await;
            progress(&pass.scope);
            pass
        });
        passes.extend(stream::iter(looks).buffered(SCOPES_AT_ONCE).collect::<Vec<_>>().await);
    }
    Ok(passes)
}

async fn look_once(plan: &Plan, scope: Scope, collector: Arc<dyn Collector>, mask: &MaskKey) -> OnePass {
    let asked = sources::asked(&plan.sources, &scope, &*collector).await;
    let history = Sources { sources: &plan.sources, expected: Arc::clone(&asked.expected), collector: &*collector };
    let pass = Pass {
        scope: &scope,
        collector: &*collector,
        expected: &asked.expected,
        revisions: asked.revisions,
        history: &history,
        rules: &plan.rules,
        schemas: &schema_of,
        policy: &plan.config.policy,
        mask,
        clock: schedule::now,
    };
    let report = scan::observe(&pass, &mut Snapshot::default(), Vec::new(), Confirm::Everything).await;
    let revisions = pass.revisions.clone();
    drop(pass);
    OnePass { revisions, report, scope }
}
