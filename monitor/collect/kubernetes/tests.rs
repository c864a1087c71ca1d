//! The collector against an API server that says what a script says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, Uri};
use driftwarden_core::resource::Kind;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::client::Patience;
use super::{Config, Kubernetes};
use crate::collect::http::obstacle::Obstacle;
use crate::collect::http::obstacle::tests::untrusted;
use crate::collect::{Collector, Read, Reading, Rehearsal, Wanted};

/// Answers by path and query; of several the first is used up, the last one stays.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<BTreeMap<String, Answers>>>);

type Answers = VecDeque<(u16, String)>;

impl Script {
    /// A cluster with pods (in namespaces), nodes, and a group `shop` with carts.
    fn cluster() -> Self {
        let script = Self::default();
        script.on("/api", 200, r#"{"kind":"APIVersions","versions":["v1"]}"#);
        script.on(
            "/api/v1",
            200,
            r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[
                {"name":"pods","kind":"Pod","namespaced":true,"verbs":["get","list"]},
                {"name":"pods/log","kind":"Pod","namespaced":true,"verbs":["get"]},
                {"name":"bindings","kind":"Binding","namespaced":true,"verbs":["create"]},
                {"name":"events","kind":"Event","namespaced":true,"verbs":["list"]},
                {"name":"nodes","kind":"Node","namespaced":false,"verbs":["list"]}]}"#,
        );
        script.on(
            "/apis",
            200,
            r#"{"kind":"APIGroupList","groups":[{"name":"shop","versions":[{"version":"v2"},{"version":"v1"}],
                "preferredVersion":{"version":"v1"}}]}"#,
        );
        let carts = r#"{"resources":[{"name":"carts","kind":"Cart","namespaced":true,"verbs":["list"]}]}"#;
        script.on("/apis/shop/v1", 200, carts);
        script.on(
            "/apis/shop/v2",
            200,
            r#"{"resources":[{"name":"carts","kind":"Cart","namespaced":true,"verbs":["list"]},
                {"name":"orders","kind":"Order","namespaced":true,"verbs":["list"]}]}"#,
        );
        for path in ["/api/v1/pods", "/api/v1/nodes", "/apis/shop/v1/carts", "/apis/shop/v2/orders"] {
            script.on(&format!("{path}?limit=500"), 200, EMPTY);
        }
        script
    }

    fn on(&self, path: &str, code: u16, body: &str) {
        self.0.lock().entry(path.to_owned()).or_default().push_back((code, body.to_owned()));
    }

    /// Replaces what a path answers.
    fn with(self, path: &str, answers: &[(u16, &str)]) -> Self {
        self.0.lock().remove(path);
        for (code, body) in answers {
            self.on(path, *code, body);
        }
        self
    }

    fn answer(&self, uri: &Uri) -> Response<Body> {
        let mut script = self.0.lock();
        let missing = || (404, r#"{"kind":"Status","reason":"NotFound"}"#.to_owned());
        let (code, body) = match script.get_mut(uri.path_and_query().unwrap().as_str()) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers.front().cloned().unwrap(),
            None => missing(),
        };
        Response::builder().status(code).body(Body::from(body)).unwrap()
    }

    async fn serve(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(move |uri: Uri| async move { self.answer(&uri) });
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }
}

const EMPTY: &str = r#"{"kind":"List","metadata":{},"items":null}"#;

fn list(items: &[&str], next: &str) -> String {
    let items: Vec<_> =
        items.iter().map(|name| format!(r#"{{"metadata":{{"name":"{name}","namespace":"shop"}}}}"#)).collect();
    format!(r#"{{"kind":"PodList","metadata":{{"continue":"{next}"}},"items":[{}]}}"#, items.join(","))
}

async fn cluster(script: Script, extra: &str) -> Kubernetes {
    let patience = Patience { first_pause: Duration::from_millis(1), ..Patience::default() };
    cluster_within(patience, &script.serve().await, extra)
}

/// Returns a cluster at that address that waits no longer than this.
fn cluster_within(patience: Patience, server: &str, extra: &str) -> Kubernetes {
    let config = format!("{{name: test, server: '{server}', requests_per_second: 1000, {extra}}}");
    let mut cluster = Kubernetes::new(serde_saphyr::from_str(&config).unwrap()).unwrap();
    cluster.client.patience = patience;
    cluster
}

/// Returns a cluster at that address that has no patience.
pub(crate) fn hasty(deadline: Duration, server: &str) -> Kubernetes {
    let first_pause = Duration::from_millis(1);
    let (attempts, pages, object, page) = (2, 20, 64 << 10, 64 << 10);
    let patience = Patience { attempts, deadline, first_pause, object, page, pages, ..Patience::default() };
    cluster_within(patience, server, "cluster: prod, kinds: {include: [ConfigMap]}")
}

/// Returns what one reading says of `kind`: its items by name, then how it ended.
async fn read(cluster: &Kubernetes, wanted: &[&str], kind: &str) -> String {
    let scope = cluster.scopes().await.unwrap().remove(0);
    let wanted = Wanted { full: wanted.iter().copied().map(Kind::from).collect(), ..Wanted::default() };
    let (sink, mut said) = mpsc::channel(1000);
    cluster.collect(&scope, &wanted, sink).await;
    let mut words = Vec::new();
    while let Some(read) = said.recv().await {
        match read {
            Read::Page { kind: of, items, .. } if of.as_str() == kind => {
                words.extend(items.into_iter().map(|item| item.name.into_string()));
            }
            Read::Complete(of) if of.as_str() == kind => words.push("complete".to_owned()),
            Read::Gap(gap) if gap.kind.as_ref().map_or("", Kind::as_str) == kind => words.push(gap.reason.to_string()),
            _ => {}
        }
    }
    words.join(" ")
}

async fn check(answers: &[(&str, &[(u16, &str)])], said: &str) {
    let script = answers.iter().fold(Script::cluster(), |script, (path, answers)| script.with(path, answers));
    let cluster = cluster(script, "").await;
    assert_eq!(read(&cluster, &[], "Pod").await, said, "{answers:?}");
}

const PODS: &str = "/api/v1/pods?limit=500";
const MORE: &str = "/api/v1/pods?limit=500&continue=t%2F1";
const DENIED: &str = r#"{"kind":"Status","reason":"Forbidden"}"#;

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    check(&[(PODS, &[(200, EMPTY)])], "complete").await;
    let first = list(&["a", "b"], "t/1");
    check(&[(PODS, &[(200, &first)]), (MORE, &[(200, &list(&["c"], ""))])], "shop/a shop/b shop/c complete").await;
}

#[tokio::test]
async fn an_expired_token_starts_the_kind_anew_once_and_says_nothing_twice() {
    let first = list(&["a"], "t/1");
    let gone = (410, r#"{"kind":"Status","reason":"Expired"}"#);
    let rest = list(&["b"], "");
    check(&[(PODS, &[(200, &first)]), (MORE, &[gone, (200, &rest)])], "shop/a shop/b complete").await;
    check(&[(PODS, &[(200, &first)]), (MORE, &[gone])], "shop/a partial").await;
}

#[tokio::test]
async fn what_is_no_whole_list_is_a_gap() {
    check(&[(PODS, &[(403, DENIED)])], "denied").await;
    check(&[(PODS, &[(401, "")])], "denied").await;
    check(&[(PODS, &[(429, "")])], "throttled").await;
    check(&[(PODS, &[(503, "")])], "timeout").await;
    check(&[(PODS, &[(404, "")])], "partial").await;
    check(&[(PODS, &[(302, "")])], "malformed").await;
    let cut = list(&["a"], "").replace("}]}", "");
    check(&[(PODS, &[(200, &cut)])], "malformed").await;
    check(&[(PODS, &[(200, "<html>Please log in</html>")])], "malformed").await;
    check(&[(PODS, &[(200, "{}")])], "malformed").await;
    check(&[(PODS, &[(200, r#"{"kind":"Status","status":"Success"}"#)])], "malformed").await;
    check(&[(PODS, &[(200, r#"{"kind":"PodList","items":[{"metadata":{"name":"a"}}]}"#)])], "malformed").await;
    let short = r#"{"kind":"PodList","metadata":{"remainingItemCount":7},"items":[]}"#;
    check(&[(PODS, &[(200, short)])], "partial").await;
}

#[tokio::test]
async fn a_gap_after_the_first_page_keeps_what_was_read() {
    let first = list(&["a"], "t/1");
    check(&[(PODS, &[(200, &first)]), (MORE, &[(403, DENIED)])], "shop/a denied").await;
}

#[tokio::test]
async fn a_token_that_comes_back_is_a_gap_and_not_a_loop() {
    let page = list(&["a"], "t/1");
    check(&[(PODS, &[(200, &page)]), (MORE, &[(200, &page)])], "shop/a partial").await;
}

#[tokio::test]
async fn what_goes_wrong_once_is_tried_again() {
    check(&[(PODS, &[(503, ""), (429, ""), (401, ""), (200, &list(&["a"], ""))])], "shop/a complete").await;
}

#[tokio::test]
async fn a_group_that_does_not_answer_is_a_gap_of_that_group_only() {
    let cluster = cluster(Script::cluster().with("/apis/shop/v2", &[(503, "")]), "").await;
    assert_eq!(read(&cluster, &[], "shop/*").await, "timeout");
    assert_eq!(read(&cluster, &["shop/Order"], "shop/Order").await, "timeout");
    assert_eq!(read(&cluster, &[], "shop/Cart").await, "complete");
    assert_eq!(read(&cluster, &[], "Pod").await, "complete");
}

#[tokio::test]
async fn without_discovery_nothing_is_known() {
    for answer in [(403, DENIED), (200, "<html>"), (200, r#"{"kind":"APIVersions","versions":[]}"#)] {
        let cluster = cluster(Script::cluster().with("/api", &[answer]).with("/apis", &[answer]), "").await;
        let gap = read(&cluster, &["Pod"], "").await;
        assert!(["denied", "malformed"].contains(&gap.as_str()), "{answer:?}: {gap}");
    }
}

#[tokio::test]
async fn aggregated_discovery_says_the_same_in_two_requests() {
    let pods = r#"{"resource":"pods","responseKind":{"group":"","version":"v1","kind":"Pod"},"scope":"Namespaced","verbs":["list"]}"#;
    let core = format!(
        r#"{{"kind":"APIGroupDiscoveryList","items":[{{"metadata":{{}},"versions":[{{"version":"v1","freshness":"Current","resources":[{pods}]}}]}}]}}"#
    );
    let carts = r#"{"resource":"carts","responseKind":{"kind":"Cart"},"scope":"Cluster","verbs":["list"]}"#;
    let groups = format!(
        r#"{{"kind":"APIGroupDiscoveryList","items":[
            {{"metadata":{{"name":"shop"}},"versions":[{{"version":"v1","freshness":"Current","resources":[{carts}]}}]}},
            {{"metadata":{{"name":"stale"}},"versions":[{{"version":"v1","freshness":"Stale","resources":[]}}]}}]}}"#
    );
    let script = Script::cluster().with("/api", &[(200, &core)]).with("/apis", &[(200, &groups)]);
    let cluster = cluster(script, "").await;
    assert_eq!(read(&cluster, &[], "Pod").await, "complete");
    assert_eq!(read(&cluster, &[], "shop/Cart").await, "complete");
    assert_eq!(read(&cluster, &[], "stale/*").await, "timeout");
}

#[tokio::test]
async fn kinds_that_do_not_exist_are_read_to_the_end_and_noise_is_not_read() {
    let cluster = cluster(Script::cluster(), "").await;
    assert_eq!(read(&cluster, &["shop/Refund", "AWS::S3::Bucket"], "shop/Refund").await, "complete");
    assert_eq!(read(&cluster, &["AWS::S3::Bucket"], "AWS::S3::Bucket").await, "");
    assert_eq!(read(&cluster, &["Binding"], "Binding").await, "partial");
    assert_eq!(read(&cluster, &[], "Event").await, "");
    assert_eq!(read(&cluster, &["Event"], "Event").await, "partial");
}

#[tokio::test]
async fn what_a_cluster_lacks_is_not_asked_for_again_at_once() {
    let group = r#"{"kind":"APIGroupList","groups":[]}"#;
    let script = Script::cluster().with("/apis", &[(200, group), (500, "")]);
    let cluster = cluster(script, "").await;
    for name in ["a", "b", "c"] {
        let id = cluster.scopes().await.unwrap().remove(0).id(&"shop/Refund".into(), name);
        // The second discovery would fail.
        assert!(matches!(cluster.read(&id, &Wanted::default()).await, Ok(Reading::Absent)), "{name}");
    }
}

#[tokio::test]
async fn selections_leave_out_kinds_and_namespaces() {
    let pods = r#"{"kind":"PodList","items":[{"metadata":{"name":"a","namespace":"shop"}},{"metadata":{"name":"b","namespace":"kube-system"}}]}"#;
    let script = || Script::cluster().with(PODS, &[(200, pods)]);
    let hidden = cluster(script(), "namespaces: {exclude: ['kube-*']}").await;
    assert_eq!(read(&hidden, &[], "Pod").await, "shop/a complete");
    assert!(hidden.leaves_out(&"Pod".into(), "kube-system/b").is_some_and(|why| why.contains("`kube-system`")));
    assert_eq!(hidden.leaves_out(&"Pod".into(), "shop/a"), None);
    assert_eq!(hidden.leaves_out(&"Node".into(), "kube-system"), None);
    let one = script().with("/api/v1/namespaces/shop/pods?limit=500", &[(200, &list(&["only"], ""))]);
    let one = cluster(one, "namespaces: {include: [shop]}").await;
    assert_eq!(read(&one, &[], "Pod").await, "shop/only complete");
    let few = cluster(script(), "kinds: {include: ['shop/*'], exclude: ['*/Order']}").await;
    assert_eq!(read(&few, &["Pod"], "Pod").await, "");
    assert_eq!(read(&few, &[], "shop/Cart").await, "complete");
    assert_eq!(read(&few, &[], "shop/Order").await, "");
}

#[tokio::test]
async fn an_item_says_its_kind_as_a_manifest_does() {
    let carts = r#"{"kind":"CartList","items":[{"metadata":{"name":"a","namespace":"n"},"spec":{"x":1}},
        {"apiVersion":"shop/v1","kind":"Cart","metadata":{"name":"b","namespace":"n"}}]}"#;
    let cluster = cluster(Script::cluster().with("/apis/shop/v1/carts?limit=500", &[(200, carts)]), "").await;
    let scope = cluster.scopes().await.unwrap().remove(0);
    let (sink, mut said) = mpsc::channel(100);
    cluster.collect(&scope, &Wanted::default(), sink).await;
    let mut texts = Vec::new();
    while let Some(read) = said.recv().await {
        if let Read::Page { items, .. } = read {
            texts.extend(items.into_iter().map(|item| item.text.into_string()));
        }
    }
    let (a, b) =
        (r#""metadata":{"name":"a","namespace":"n"},"spec":{"x":1}}"#, r#""metadata":{"name":"b","namespace":"n"}}"#);
    let head = r#"{"apiVersion":"shop/v1","kind":"Cart","#;
    assert_eq!(texts, [format!("{head}{a}"), format!("{head}{b}")]);
}

/// Reads one object exactly; answers with its text, `absent`, or the reason why it is not known.
async fn check_exact(script: Script, kind: &str, name: &str, said: &str) {
    let cluster = cluster(script, "cluster: prod").await;
    let scope = cluster.scopes().await.unwrap().remove(0);
    let answer = match cluster.read(&scope.id(&Kind::from(kind), name), &Wanted::default()).await {
        Ok(Reading::Found(text, _)) => text.into_string(),
        Ok(Reading::Absent) => "absent".to_owned(),
        Err(error) => error.reason().to_string(),
    };
    assert_eq!(answer, said, "{kind} {name}");
}

#[tokio::test]
async fn only_a_server_that_shows_the_list_proves_an_absence() {
    const POD: &str = "/api/v1/namespaces/shop/pods/a";
    const CANARY: &str = "/api/v1/namespaces/shop/pods?limit=1";
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}"#;
    check_exact(Script::cluster().with(POD, &[(200, text)]), "Pod", "shop/a", text).await;
    check_exact(Script::cluster().with(CANARY, &[(200, EMPTY)]), "Pod", "shop/a", "absent").await;
    check_exact(Script::cluster().with(CANARY, &[(403, DENIED)]), "Pod", "shop/a", "denied").await;
    check_exact(Script::cluster().with(POD, &[(404, "no such page")]), "Pod", "shop/a", "partial").await;
    check_exact(Script::cluster().with(POD, &[(403, DENIED)]), "Pod", "shop/a", "denied").await;
    check_exact(Script::cluster().with(POD, &[(200, "<html>")]), "Pod", "shop/a", "malformed").await;
    check_exact(Script::cluster(), "shop/Refund", "shop/a", "absent").await;
    check_exact(Script::cluster().with("/apis/shop/v2", &[(503, "")]), "shop/Refund", "shop/a", "timeout").await;
    check_exact(Script::cluster(), "Pod", "a", "malformed").await;
}

#[tokio::test]
async fn a_kubeconfig_names_the_cluster_and_is_never_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let server = Script::cluster().serve().await;
    let text = format!(
        "{{current-context: prod, contexts: [{{name: prod, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {{token: hunter2}}}}]}}"
    );
    std::fs::write(&path, &text).unwrap();
    let config = |extra: &str| -> Config {
        serde_saphyr::from_str(&format!("{{name: test, kubeconfig: '{}', {extra}}}", path.display())).unwrap()
    };
    let cluster = Kubernetes::new(config("")).unwrap();
    assert_eq!(&*cluster.scopes().await.unwrap()[0].account, "prod");
    assert_eq!(read(&cluster, &[], "Pod").await, "complete");

    let lost = Kubernetes::new(config("context: none")).unwrap();
    let scope = lost.scopes().await.unwrap().remove(0);
    let error = lost.read(&scope.id(&Kind::from("Pod"), "a/b"), &Wanted::default()).await.unwrap_err();
    assert!(format!("{error:?}").contains("no context `none`"), "{error:?}");

    std::fs::write(&path, "users: [{name: u, user: {token: hunter2}").unwrap();
    let broken = Kubernetes::new(config("")).unwrap().scopes().await.unwrap_err();
    assert!(broken.to_string().contains("kubeconfig") && !format!("{broken:?}").contains("hunter2"), "{broken:?}");
}

#[tokio::test]
async fn the_requests_of_a_day_end_in_a_gap() {
    let cluster = cluster(Script::cluster(), "requests_per_day: 9").await;
    assert_eq!(read(&cluster, &["Pod"], "Pod").await, "complete");
    assert_eq!(read(&cluster, &["Pod"], "").await, "throttled");
}

/// What a server states of carts and pods: in `carts` the items are told apart by their `sku`.
fn document(definitions: &str, keys: &str) -> String {
    let kind = |group: &str, version: &str, kind: &str, list: &str| {
        format!(
            r#""{group}.{kind}": {{"x-kubernetes-group-version-kind": [{{"group": "{group}", "version": "{version}", "kind": "{kind}"}}],
                "properties": {{"spec": {{"properties": {{"{list}": {{"type": "array", "items": {{"type": "object", "properties": {{}}}},
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["{keys}"]}}}}}}}}}}"#
        )
    };
    let both = [kind("shop", "v1", "Cart", "items"), kind("", "v1", "Pod", "containers")].join(",");
    definitions.replace("DEFINITIONS", &both)
}

fn version_3(keys: &str) -> String {
    document(r#"{"openapi": "3.0.0", "components": {"schemas": {DEFINITIONS}}}"#, keys)
}

const INDEX: &str = r#"{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=1"},
    "apis/shop/v1": {"serverRelativeURL": "/openapi/v3/apis/shop/v1?hash=1"}}}"#;

/// Asks for the schemas of these kinds; answers with the key of the list of each, or the reason why it is not known.
async fn keys(cluster: &Kubernetes, kinds: &[&str]) -> String {
    let scope = cluster.scopes().await.unwrap().remove(0);
    let kinds: Vec<_> = kinds.iter().copied().map(Kind::from).collect();
    let (sink, mut said) = mpsc::channel(100);
    cluster.describe(&scope, &kinds, sink).await;
    let mut words = BTreeMap::new();
    while let Some(described) = said.recv().await {
        let word = match described.schema {
            Ok(schema) => schema.keys.values().flatten().cloned().collect::<Vec<_>>().join("+"),
            Err(error) => error.reason().to_string(),
        };
        words.insert(described.kind, word);
    }
    words.into_iter().map(|(kind, word)| format!("{kind}={word}")).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn schemas_come_from_one_document_for_each_version_of_a_group() {
    let (carts, pods) = ("/openapi/v3/apis/shop/v1?hash=1", "/openapi/v3/api/v1?hash=1");
    let newer = INDEX.replace("shop/v1?hash=1", "shop/v1?hash=2");
    let script = Script::cluster()
        .with("/openapi/v3", &[(200, INDEX), (200, INDEX), (200, &newer)])
        .with(carts, &[(200, &version_3("sku")), (500, "")])
        .with("/openapi/v3/apis/shop/v1?hash=2", &[(200, &version_3("name"))])
        .with(pods, &[(403, DENIED)]);
    let cluster = cluster(script, "").await;
    assert_eq!(keys(&cluster, &["shop/Cart", "Pod"]).await, "Pod=denied shop/Cart=sku");
    // The same address holds the same: it is not fetched again.
    assert_eq!(keys(&cluster, &["shop/Cart"]).await, "shop/Cart=sku");
    assert_eq!(keys(&cluster, &["shop/Cart"]).await, "shop/Cart=name");
}

#[tokio::test]
async fn schemas_come_from_the_older_document_where_there_is_no_newer_one() {
    let two = document(r#"{"swagger": "2.0", "definitions": {DEFINITIONS}}"#, "sku");
    let older = cluster(Script::cluster().with("/openapi/v2", &[(200, &two)]), "").await;
    assert_eq!(keys(&older, &["shop/Cart", "Pod", "shop/Refund"]).await, "Pod=sku shop/Cart=sku shop/Refund=");
    let neither = cluster(Script::cluster(), "").await;
    assert_eq!(keys(&neither, &["Pod"]).await, "Pod=partial");
    let denied = cluster(Script::cluster().with("/openapi/v3", &[(403, DENIED)]), "").await;
    assert_eq!(keys(&denied, &["Pod"]).await, "Pod=denied");
    let elsewhere = r#"{"paths": {"api/v1": {"serverRelativeURL": "http://evil.example/openapi"}}}"#;
    let elsewhere = cluster(Script::cluster().with("/openapi/v3", &[(200, elsewhere)]), "").await;
    assert_eq!(keys(&elsewhere, &["Pod"]).await, "Pod=partial");
    let broken = cluster(Script::cluster().with("/openapi/v2", &[(200, "<html>")]), "").await;
    assert_eq!(keys(&broken, &["Pod"]).await, "Pod=malformed");
}

const APPLY: &str = "/api/v1/namespaces/shop/pods/a?dryRun=All&fieldManager=driftwarden&force=true";

/// Rehearses an apply of pod `a`; answers with what would be, or why nobody knows.
async fn check_rehearsal(answers: &[(u16, &str)], said: &str) {
    let before = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"}}"#;
    let script = Script::cluster().with("/api/v1/namespaces/shop/pods/a", &[(200, before)]).with(APPLY, answers);
    let cluster = cluster(script, "").await;
    let scope = cluster.scopes().await.unwrap().remove(0);
    let declared = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let answer = match cluster.rehearse(&scope.id(&Kind::from("Pod"), "shop/a"), &declared).await.unwrap() {
        Rehearsal::Played { after, .. } => after.into_string(),
        Rehearsal::Impossible { why, .. } => why,
    };
    assert_eq!(answer, said, "{answers:?}");
}

#[tokio::test]
async fn a_rehearsal_that_cannot_be_says_why_and_repeats_no_secret() {
    let after = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"shop"},"spec":{"x":1}}"#;
    check_rehearsal(&[(200, after)], after).await;
    check_rehearsal(&[(503, ""), (200, after)], after).await;
    let denied = "the API server answered 403 (Forbidden); a dry run needs the verb `patch`";
    check_rehearsal(&[(403, DENIED)], denied).await;
    let invalid = r#"{"kind":"Status","reason":"Invalid","message":"spec.password: Invalid value: hunter2"}"#;
    check_rehearsal(&[(422, invalid)], "the API server answered 422 (Invalid)").await;
    check_rehearsal(&[(415, "")], "the API server answered 415").await;
    let other = after.replace(r#""name":"a""#, r#""name":"""#);
    check_rehearsal(&[(200, &other)], "an object has no name or no namespace").await;
}

#[tokio::test]
async fn why_a_cluster_cannot_be_reached_is_told_with_what_to_do() {
    let told = async |server: &str| {
        let cluster = cluster_within(Patience { attempts: 1, ..Patience::default() }, server, "cluster: prod");
        format!("{:#}", anyhow::Error::from(cluster.contact().await.unwrap_err()))
    };
    for (server, obstacle) in [
        (untrusted().await, Obstacle::UnknownIssuer),
        ("http://127.0.0.1:1".to_owned(), Obstacle::Refused),
        ("https://nobody.invalid".to_owned(), Obstacle::Unresolved),
    ] {
        assert_eq!(told(&server).await, format!("failed to read what the cluster serves: {obstacle}"));
    }
}
