//! A change in a cluster that is watched is found long before the interval is over.

use serde_json::Value;
use serde_json::json;

use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::kubernetes::ApiServer;
use crate::harness::kubernetes::Who;
use crate::harness::process;

/// Returns what is open, as `drift name` words.
fn open(daemon: &Daemon) -> String {
    let answer = daemon.api("/api/v1/findings?phase=open&limit=100").json();
    let findings = answer["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut words: Vec<_> =
        findings.map(|f| format!("{} {}", text(&f["drift"]), text(&f["resource"]["name"]))).collect();
    words.sort();
    words.join(", ")
}

#[test]
fn a_change_in_a_watched_cluster_does_not_wait_for_the_interval() {
    let Some(cluster) = ApiServer::start() else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let map = |name: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
            "data": {"mode": "on"}})
    };
    let documents = estate::documents(["a", "b"].map(map).into_iter());
    cluster.apply("ann", &documents);
    git.commit("ann", "declare", &[("all.yaml", &documents)]);
    let config = format!(
        r#"
clouds:
  - {{name: shop, type: kubernetes, kubeconfig: "{kubeconfig}", context: test, kinds: {{include: [ConfigMap]}},
      namespaces: {{include: [default]}}, requests_per_second: 200, watch: true, every: 1m40s}}
desired:
  - {{name: infra, git: {{url: "{git}", username: ci, password: "${{env:GIT_PASSWORD}}", every: 1h}}, clouds: [shop]}}
hold: {{scans: 1, for: 0s, rollout: 0s}}
"#,
        kubeconfig = cluster.kubeconfig(Who::Admin).display(),
        git = git.url()
    );
    let daemon = Daemon::start(&config, &[("GIT_PASSWORD", "secret")]);
    let begun = "driftwarden_watches_total{cloud=\"shop\",step=\"begun\"}";
    process::eventually("the kind is watched", 30, || daemon.metrics().contains(begun).then_some(()));
    assert_eq!(open(&daemon), "");
    let kubectl = |arguments: &[&str]| drop(cluster.kubectl(arguments, None).unwrap());
    kubectl(&["patch", "configmap", "a", "-p", r#"{"data":{"mode":"off"}}"#]);
    process::eventually("the change is found", 20, || (open(&daemon) == "changed default/a").then_some(()));
    kubectl(&["delete", "configmap", "b"]);
    let both = "changed default/a, missing default/b";
    process::eventually("what was deleted is missed", 20, || (open(&daemon) == both).then_some(()));
    cluster.apply("ann", &documents);
    process::eventually("what was mended is resolved", 20, || open(&daemon).is_empty().then_some(()));
    assert!(daemon.metrics().contains("driftwarden_scans_woken_total{cloud=\"shop\"} "), "{}", daemon.metrics());
}
