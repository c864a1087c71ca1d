//! The collectors on systems that other people wrote, with another client as the judge of what there is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use driftwarden::collect::Collector;
use driftwarden::collect::Read;
use driftwarden::collect::Wanted;
use driftwarden::collect::kubernetes::Kubernetes;
use serde_json::Value;
use serde_json::json;

use crate::harness::estate;
use crate::harness::kubernetes::ApiServer;
use crate::harness::kubernetes::Who;

/// What a collector said about each kind.
#[derive(Debug, Default)]
struct Said {
    names: BTreeMap<String, BTreeSet<String>>,
    complete: BTreeSet<String>,
    gaps: BTreeSet<String>,
}

fn collect(collector: &dyn Collector) -> Said {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let scope = collector.scopes().await.unwrap().remove(0);
        let (sink, mut pages) = tokio::sync::mpsc::channel(64);
        let wanted = Wanted::default();
        let listen = async {
            let mut said = Said::default();
            while let Some(read) = pages.recv().await {
                said.hear(read);
            }
            said
        };
        tokio::join!(collector.collect(&scope, &wanted, sink), listen).1
    })
}

impl Said {
    fn hear(&mut self, read: Read) {
        match read {
            Read::Page { kind, items, .. } => {
                let names = items.iter().map(|item| item.name.to_string());
                self.names.entry(kind.to_string()).or_default().extend(names);
            }
            Read::Kept { .. } | Read::KeptAll { .. } => panic!("a first look keeps nothing: {read:?}"),
            Read::Complete(kind) => drop(self.complete.insert(kind.to_string())),
            Read::Gap(gap) => {
                let kind = gap.kind.map(|kind| kind.to_string()).unwrap_or_default();
                self.gaps.insert(format!("{kind} {}", gap.reason));
            }
        }
    }
}

fn kubernetes(cluster: &ApiServer, who: Who) -> Kubernetes {
    let config =
        json!({"name": "shop", "kubeconfig": cluster.kubeconfig(who), "context": "test", "requests_per_second": 200});
    Kubernetes::new(serde_json::from_value(config).unwrap()).unwrap()
}

/// Returns what kubectl lists, by kind in our words.
fn listed(cluster: &ApiServer) -> BTreeMap<String, BTreeSet<String>> {
    let names = cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name"], None).unwrap();
    let others = ["componentstatuses", "events", "events.events.k8s.io", "ingresses.extensions"];
    let plurals: Vec<_> = names.lines().filter(|name| !others.contains(name)).collect();
    let list = cluster.object(&["-A", &plurals.join(",")]);
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for item in list["items"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&item["apiVersion"]), text(&item["kind"]));
        let kind = version.split_once('/').map_or(kind.clone(), |(group, _)| format!("{group}/{kind}"));
        let (namespace, name) = (text(&item["metadata"]["namespace"]), text(&item["metadata"]["name"]));
        let name = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
        found.entry(kind).or_default().insert(name);
    }
    found
}

#[test]
fn every_object_that_kubectl_lists_is_read() {
    let Some(cluster) = ApiServer::start() else { return };
    estate::sow_kubernetes(&cluster, &estate::kubernetes());
    let said = collect(&kubernetes(&cluster, Who::Admin));
    assert_eq!(said.gaps, BTreeSet::new());
    let expected = listed(&cluster);
    assert!(expected.values().map(BTreeSet::len).sum::<usize>() > 60);
    for (kind, names) in &expected {
        assert_eq!(said.names.get(kind), Some(names), "{kind}");
        assert!(said.complete.contains(kind), "{kind} is not complete");
    }
}

#[test]
fn a_reader_without_rights_has_a_gap_for_every_kind() {
    let Some(cluster) = ApiServer::start() else { return };
    let said = collect(&kubernetes(&cluster, Who::Reader));
    assert_eq!(said.names, BTreeMap::new());
    assert_eq!(said.complete, BTreeSet::new());
    assert!(said.gaps.len() > 20, "{said:?}");
    assert!(said.gaps.iter().all(|gap| gap.ends_with(" denied")), "{said:?}");
}
