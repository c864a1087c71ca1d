//! Notices that something changed, and says no more than that: what it is, a reading finds out.
//!
//! A watch that breaks makes nothing less complete, for a cluster is read at its interval all the same. What only reports
//! on itself (a status, a heartbeat) has not changed.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use driftwarden_core::resource::{GapReason, Kind};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::client::{Client, Failure, Patience, jittered};
use super::discovery::Served;
use super::{Kubernetes, encoded, list};
use crate::telemetry::emit;
use crate::telemetry::events::{WatchMoved, WatchStep};

/// How long the server is asked to keep one watch open, in seconds.
const LASTS_SECS: u64 = 300;
/// A server that says nothing for that long, not even where it stands, is gone.
const SILENCE: Duration = Duration::from_secs(LASTS_SECS + 30);
/// Longest pause before a watch is begun again.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// A watch that ends sooner has failed, whatever it says.
const TOO_SOON: Duration = Duration::from_secs(1);
/// A watch that lives so long was good, whatever ends it: proxies cut what is idle.
const LONG_ENOUGH: Duration = Duration::from_secs(30);
/// Kinds (or kinds in one namespace) that are watched at most; the others wait for the interval.
const MOST: usize = 100;

/// Watches kinds of a cluster and says when something of them has changed. Never ends.
pub(super) async fn watch(cluster: &Kubernetes, kinds: &BTreeSet<Kind>, changed: &Notify) {
    if let Some(kind) = kinds.first() {
        // Asks once what the cluster serves, for all of them; each asks again if this fails.
        drop(cluster.find(kind).await);
    }
    let watches = kinds.iter().flat_map(|kind| places(cluster, kind)).take(MOST).map(|watch| watch.keep(changed));
    join_all(watches).await;
    std::future::pending::<()>().await;
}

/// Returns a watch of a kind for each namespace that is named, or one for all of them.
fn places<'a>(cluster: &'a Kubernetes, kind: &'a Kind) -> Vec<Watch<'a>> {
    match cluster.named() {
        Some(named) => named.into_iter().map(|name| Watch::new(cluster, kind, Some(name))).collect(),
        None => vec![Watch::new(cluster, kind, None)],
    }
}

/// Why a watch ended.
enum End {
    /// The server had kept it open for long enough.
    Done,
    /// What it began from is too old: something may have been missed.
    Expired,
    /// Something failed.
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        if failure.is_expired() { Self::Expired } else { Self::Failed(failure) }
    }
}

/// Returns whether a watch that lived so long and ended so may be begun again soon.
fn is_good(end: &End, lived: Duration) -> bool {
    lived > LONG_ENOUGH || matches!(end, End::Done) && lived > TOO_SOON
}

/// One kind, everywhere or in one namespace.
struct Watch<'a> {
    cluster: &'a Kubernetes,
    kind: &'a Kind,
    namespace: Option<&'a str>,
    /// Digest of each object, by digest of its name; nothing until it was listed once.
    known: Option<HashMap<u64, u64>>,
    /// Where to go on; nothing where that is not known.
    version: Option<String>,
    /// When the server last began to send; nothing if it did not.
    begun: Option<Instant>,
    hasher: RandomState,
}

impl<'a> Watch<'a> {
    fn new(cluster: &'a Kubernetes, kind: &'a Kind, namespace: Option<&'a str>) -> Self {
        Self { cluster, kind, namespace, known: None, version: None, begun: None, hasher: RandomState::new() }
    }

    async fn keep(mut self, changed: &Notify) {
        let first = self.client().patience.first_pause * 4;
        let mut pause = first;
        loop {
            self.begun = None;
            let end = self.follow(changed).await;
            pause = if self.was_good(&end) { first } else { pause };
            let wait = self.judge(&end, pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            sleep(jittered(wait)).await;
        }
    }

    /// Tells how a watch ended, and returns how long to wait before the next one.
    fn judge(&mut self, end: &End, pause: Duration) -> Duration {
        let (step, wait) = match end {
            End::Done => (WatchStep::Ended, pause),
            End::Expired => {
                self.version = None;
                (WatchStep::Expired, pause)
            }
            End::Failed(failure) if failure.reason == GapReason::Denied => (WatchStep::Denied, LONGEST_PAUSE),
            // A new attempt is a retry, and retries have their share only.
            End::Failed(_) if self.was_good(end) || self.client().afford_retry() => (WatchStep::Broken, pause),
            End::Failed(_) => (WatchStep::Broken, LONGEST_PAUSE),
        };
        let why = if let End::Failed(failure) = end { failure.detail.as_str() } else { "" };
        emit(&WatchMoved { cloud: &self.cluster.config.name, kind: self.kind, step, why });
        wait
    }

    fn was_good(&self, end: &End) -> bool {
        self.begun.is_some_and(|begun| is_good(end, begun.elapsed()))
    }

    fn client(&self) -> &'a Client {
        &self.cluster.client
    }

    /// Lists if it must, and then watches until something ends it.
    async fn follow(&mut self, changed: &Notify) -> End {
        match self.try_follow(changed).await {
            Ok(()) => End::Done,
            Err(end) => end,
        }
    }

    async fn try_follow(&mut self, changed: &Notify) -> Result<(), End> {
        let lacking = || Failure::new(GapReason::Denied, "the cluster does not serve the kind");
        let served = self.cluster.find(self.kind).await?.ok_or_else(lacking)?;
        let path = served.list_path(self.namespace.filter(|_| served.namespaced));
        let version = match self.version.take() {
            Some(version) => version,
            None => self.list(&path, changed).await?,
        };
        let from = encoded(&version);
        self.version = Some(version);
        let query = format!("watch=1&allowWatchBookmarks=true&timeoutSeconds={LASTS_SECS}&resourceVersion={from}");
        let mut lines = self.client().stream(&format!("{path}?{query}")).await?;
        self.begun = Some(Instant::now());
        emit(&WatchMoved { cloud: &self.cluster.config.name, kind: self.kind, step: WatchStep::Begun, why: "" });
        while let Some(line) = lines.next(SILENCE).await? {
            self.hear(&served, &line, changed)?;
        }
        Ok(())
    }

    /// Reads the whole list, and returns where it stands. A list that is not as the last one was is a change.
    async fn list(&mut self, path: &str, changed: &Notify) -> Result<String, End> {
        let mut found = HashMap::new();
        let (mut token, mut pages, Patience { page: cap, pages: most, .. }) =
            (String::new(), 0, self.client().patience);
        let version = loop {
            let body = self.client().get(&format!("{path}?limit=500{token}"), "application/json", cap).await?;
            let page: Page<'_> =
                serde_json::from_slice(&body).map_err(|error| Failure::malformed("a page of the list", &error))?;
            for item in page.items.unwrap_or_default() {
                let seen = self.see(item.get())?;
                found.extend(seen.is_looked_at.then_some((seen.name, seen.gist)));
            }
            pages += 1;
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(_) if pages >= most => return Err(Failure::new(GapReason::Partial, list::TOO_MANY_PAGES).into()),
                Some(next) => token = format!("&continue={}", encoded(&next)),
                None => break page.metadata.version,
            }
        };
        if self.known.as_ref().is_some_and(|known| *known != found) {
            changed.notify_one();
        }
        self.known = Some(found);
        Ok(version)
    }

    fn hear(&mut self, served: &Served, line: &Bytes, changed: &Notify) -> Result<(), End> {
        let event: Event<'_> = serde_json::from_slice(line).map_err(|error| Failure::malformed("an event", &error))?;
        if event.what == "ERROR" {
            return Err(refusal(event.object.get()));
        }
        let seen = self.see(event.object.get())?;
        let known = self.known.get_or_insert_default();
        let has_changed = match event.what {
            "BOOKMARK" => false,
            "DELETED" => known.remove(&seen.name).is_some(),
            _ if seen.is_looked_at => known.insert(seen.name, seen.gist) != Some(seen.gist),
            _ => false,
        };
        if has_changed {
            tracing::debug!(kind = %served.kind, "something changed in the cluster");
            changed.notify_one();
        }
        self.version = Some(seen.version);
        Ok(())
    }

    fn see(&self, text: &str) -> Result<Seen, Failure> {
        let mut object: Value =
            serde_json::from_str(text).map_err(|error| Failure::malformed("a watched object", &error))?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let version = text("/metadata/resourceVersion");
        let is_looked_at = namespace.is_empty() || self.cluster.namespaces.takes(&namespace);
        still(&mut object);
        let gist = self.hasher.hash_one(object.to_string());
        Ok(Seen { name: self.hasher.hash_one((namespace, name)), gist, version, is_looked_at })
    }
}

/// What is remembered of one object.
struct Seen {
    name: u64,
    gist: u64,
    version: String,
    /// Whether it is in a namespace that is read.
    is_looked_at: bool,
}

/// Removes what changes although nobody changed the object: what it reports, who wrote it when, and heartbeats.
fn still(object: &mut Value) {
    let remove = |object: &mut Value, parent: &str, key: &str| {
        object.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|parent| parent.remove(key));
    };
    remove(object, "", "status");
    for key in ["resourceVersion", "managedFields", "generation"] {
        remove(object, "/metadata", key);
    }
    // Leaders say in these that they are alive.
    remove(object, "/metadata/annotations", "control-plane.alpha.kubernetes.io/leader");
    if object.get("kind").is_some_and(|kind| kind == "Lease") {
        remove(object, "/spec", "renewTime");
    }
}

/// Returns the end that an error event means.
fn refusal(status: &str) -> End {
    #[derive(Deserialize)]
    struct Status {
        code: Option<u16>,
    }
    match serde_json::from_str(status).ok().and_then(|status: Status| status.code) {
        Some(410) => End::Expired,
        _ => End::Failed(Failure::new(GapReason::Timeout, "the server ended the watch with an error")),
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
    #[serde(default, rename = "resourceVersion")]
    version: String,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    what: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Response, Uri};
    use parking_lot::Mutex;

    use super::*;
    use crate::collect::Collector as _;

    /// What a server answers, in this order, to lists of config maps and to watches from a version; then nothing more.
    type Answers = Vec<(&'static str, u16, String)>;

    struct Peer {
        answers: Mutex<Answers>,
        asked: Mutex<Vec<String>>,
    }

    impl Peer {
        fn answer(&self, uri: &Uri) -> Response<Body> {
            let path = uri.path_and_query().unwrap().as_str();
            let body = match path {
                "/api" => r#"{"kind":"APIVersions","versions":["v1"]}"#.to_owned(),
                "/apis" => r#"{"kind":"APIGroupList","groups":[]}"#.to_owned(),
                "/api/v1" => {
                    r#"{"resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["list"]}]}"#
                        .to_owned()
                }
                path => return self.scripted(path),
            };
            Response::new(Body::from(body))
        }

        fn scripted(&self, path: &str) -> Response<Body> {
            let word = match path.split_once("resourceVersion=") {
                Some((_, version)) => format!("watch {version}"),
                None => "list".to_owned(),
            };
            self.asked.lock().push(word.clone());
            let mut answers = self.answers.lock();
            if answers.first().is_some_and(|(what, ..)| *what == word) {
                let (_, code, body) = answers.remove(0);
                return Response::builder().status(code).body(Body::from(body)).unwrap();
            }
            Response::new(Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()))
        }
    }

    fn object(name: &str, data: &str, version: u32) -> String {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"shop","resourceVersion":"{version}"}},"data":"{data}","status":{version}}}"#
        )
    }

    fn list(items: &[String], version: u32) -> String {
        format!(
            r#"{{"kind":"ConfigMapList","metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#,
            items.join(",")
        )
    }

    fn event(what: &str, object: &str) -> String {
        format!("{{\"type\":\"{what}\",\"object\":{object}}}\n")
    }

    /// Watches until the first change; answers with what the server had been asked for by then.
    async fn check(answers: Answers, extra: &str, want: &str) {
        let peer = Arc::new(Peer { answers: Mutex::new(answers), asked: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let serving = Arc::clone(&peer);
        let router = Router::new().fallback(move |uri: Uri| async move { serving.answer(&uri) });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = format!("{{name: c, server: 'http://{server}', requests_per_second: 1000, watch: true, {extra}}}");
        let mut cluster = Kubernetes::new(serde_saphyr::from_str(&config).unwrap()).unwrap();
        cluster.client.patience.first_pause = Duration::from_millis(1);
        let (kinds, changed) = (BTreeSet::from([Kind::from("ConfigMap")]), Notify::new());
        let watched = async {
            tokio::select! {
                () = cluster.watch(&kinds, &changed) => (),
                () = changed.notified() => (),
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), watched).await;
        assert_eq!(peer.asked.lock().join(", "), want);
        ended.unwrap();
    }

    #[test]
    fn a_watch_that_lived_long_enough_was_good_whatever_ended_it() {
        let cut = || End::Failed(Failure::new(GapReason::Timeout, "cut"));
        assert!(is_good(&cut(), Duration::from_mins(1)));
        assert!(is_good(&End::Expired, Duration::from_mins(1)));
        assert!(!is_good(&cut(), Duration::from_secs(20)));
        assert!(is_good(&End::Done, Duration::from_secs(20)));
        assert!(!is_good(&End::Done, Duration::from_millis(20)));
    }

    #[tokio::test]
    async fn only_what_somebody_changed_is_a_change() {
        let quiet =
            [event("MODIFIED", &object("a", "one", 8)), event("BOOKMARK", r#"{"metadata":{"resourceVersion":"9"}}"#)];
        let loud = event("MODIFIED", &object("a", "two", 10));
        check(
            vec![
                ("list", 200, list(&[object("a", "one", 7)], 7)),
                ("watch 7", 200, quiet.concat()),
                ("watch 9", 200, loud),
            ],
            "",
            "list, watch 7, watch 9",
        )
        .await;
    }

    #[tokio::test]
    async fn what_comes_and_what_goes_is_a_change() {
        for loud in [event("ADDED", &object("b", "one", 8)), event("DELETED", &object("a", "one", 8))] {
            let first = list(&[object("a", "one", 7)], 7);
            check(vec![("list", 200, first), ("watch 7", 200, loud)], "", "list, watch 7").await;
        }
    }

    #[tokio::test]
    async fn a_version_that_is_too_old_lists_anew_and_compares() {
        let gone = r#"{"kind":"Status","code":410,"reason":"Expired"}"#;
        let one = || list(&[object("a", "one", 7)], 7);
        let two = || list(&[object("a", "two", 8)], 8);
        let by_code = vec![("list", 200, one()), ("watch 7", 410, gone.to_owned()), ("list", 200, two())];
        check(by_code, "", "list, watch 7, list").await;
        let by_event = vec![
            ("list", 200, one()),
            ("watch 7", 200, event("ERROR", gone)),
            ("list", 200, one()),
            ("watch 7", 200, event("DELETED", &object("a", "one", 9))),
        ];
        check(by_event, "", "list, watch 7, list, watch 7").await;
    }

    #[tokio::test]
    async fn a_broken_stream_goes_on_where_it_was() {
        let cut = format!("{}{{\"type\":\"MODI", event("BOOKMARK", r#"{"metadata":{"resourceVersion":"9"}}"#));
        let answers = vec![
            ("list", 200, list(&[], 7)),
            ("watch 7", 200, cut),
            ("watch 9", 503, String::new()),
            ("watch 9", 200, "<html>".to_owned()),
            ("watch 9", 200, event("ADDED", &object("a", "one", 10))),
        ];
        check(answers, "", "list, watch 7, watch 9, watch 9, watch 9").await;
    }

    #[tokio::test]
    async fn a_namespace_that_is_left_out_wakes_nobody() {
        let hidden = event("ADDED", &object("a", "one", 8).replace("shop", "kube-system"));
        let loud = event("ADDED", &object("a", "one", 9));
        let answers = vec![("list", 200, list(&[], 7)), ("watch 7", 200, hidden), ("watch 8", 200, loud)];
        check(answers, "namespaces: {exclude: ['kube-*']}", "list, watch 7, watch 8").await;
    }
}
