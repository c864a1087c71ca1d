//! What the provider says of a declaration counts for the write that it was said of, and for no other.

use driftwarden_core::resource::{Depth, Provider};
use serde_json::json;

use super::*;
use crate::collect::{CollectError, Item, Sink};

/// A cluster that shows one config map, and to whom its declaration means nothing.
struct Cluster {
    /// The version of the map when it is read, and when a write is rehearsed.
    versions: [&'static str; 2],
}

fn text(version: &str, mode: &str) -> Box<str> {
    let metadata = json!({"name": "a", "namespace": "shop", "resourceVersion": version});
    json!({"metadata": metadata, "data": {"mode": mode}}).to_string().into()
}

#[async_trait]
impl Collector for Cluster {
    fn provider(&self) -> Provider {
        Provider::Kubernetes
    }

    async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
        let (cloud, account, region) = ("prod".into(), "prod".into(), "-".into());
        Ok(vec![Scope { cloud, provider: Provider::Kubernetes, account, region }])
    }

    async fn collect(&self, _: &Scope, _: &Wanted, sink: Sink) {
        let kind = Kind::from("ConfigMap");
        let items = vec![Item { name: "shop/a".into(), text: text("7", "off") }];
        sink.send(Read::Page { kind: kind.clone(), depth: Depth::Full, items }).await.unwrap();
        sink.send(Read::Complete(kind)).await.unwrap();
    }

    async fn read(&self, _: &ResourceId, _: &Wanted) -> Result<Reading, CollectError> {
        Ok(Reading::Found(text(self.versions[0], "off"), Depth::Full))
    }

    async fn rehearse(&self, _: &ResourceId, _: &Value) -> Option<Rehearsal> {
        let before = text(self.versions[1], "off");
        Some(Rehearsal::Played { after: before.clone(), before })
    }

    fn is_same_write(&self, one: &str, other: &str) -> bool {
        one == other
    }
}

/// Returns how often a difference that the provider calls none is suspected in two scans.
async fn suspicions(versions: [&'static str; 2]) -> usize {
    let declared = json!({"data": {"mode": "on"}});
    let declared = vec![(Kind::from("ConfigMap"), "shop/a".to_owned(), declared)];
    let mut watcher = Watcher::new(Box::new(Cluster { versions }), declared).await;
    let mut suspicions = 0;
    for _ in 0..2 {
        let report = watcher.scan().await;
        suspicions += report.steps.iter().filter(|step| step.finding.phase != Phase::Resolved).count();
        assert_eq!(watcher.open(), BTreeSet::new());
    }
    suspicions
}

#[tokio::test]
async fn only_what_was_not_written_in_between_is_acquitted() {
    assert_eq!(suspicions(["7", "7"]).await, 0, "the provider said so of what was read");
    assert_eq!(suspicions(["7", "8"]).await, 2, "somebody may have mended it meanwhile");
}
