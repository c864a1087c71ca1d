//! The whole interface over a socket, as a client sees it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use driftwarden_core::finding::{
    Cause, DriftKind, Evidence, Finding, Fingerprint, Phase, Proof, Severity, Step, Subject, Transition,
};
use driftwarden_core::resource::{GapReason, Kind, Provider, Scope};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::secret::Secret;
use crate::store::{self, ScanRecord, Unit, UnitGap};

const TOKEN: &str = "a-token-of-many-letters";

#[derive(Debug, Default)]
struct Ready(AtomicBool);

impl Readiness for Ready {
    fn readiness(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err("nothing was scanned yet".to_owned()) }
    }
}

/// Looks at everything but one bucket.
#[derive(Debug)]
struct Blinkered;

impl Watch for Blinkered {
    fn watches(&self, finding: &Finding) -> bool {
        &*finding.evidence.resource.name != "bucket-1"
    }
}

struct Server {
    address: SocketAddr,
    ready: Arc<Ready>,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Server {
    async fn new(tokens: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("memory.db").display());
        let store = store::open(&store::Config { url, ..store::Config::default() }).await.unwrap();
        let epoch = store.take_lead("test", Timestamp::UNIX_EPOCH).await.unwrap();
        store.commit(epoch, &record()).await.unwrap();
        let token = |(n, text): (usize, &&str)| {
            let path = folder.path().join(format!("token-{n}"));
            std::fs::write(&path, text).unwrap();
            let token = Secret::parse(&format!("${{file:{}}}", path.display())).unwrap();
            auth::TokenConfig { name: format!("token-{n}"), role: auth::Role::Viewer, token }
        };
        let config = auth::Config { tokens: tokens.iter().enumerate().map(token).collect() };
        let ready = Arc::new(Ready::default());
        let tokens = Arc::new(Tokens::read(&config).unwrap());
        let api = Api { store, tokens, readiness: ready.clone(), watch: Arc::new(Blinkered) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(server::serve(listener, router(api), stop.clone()));
        Self { address, ready, _folder: folder, _stop: stop.drop_guard() }
    }

    async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that has heard enough hangs up before everything was sent.
        drop(stream.write_all(request).await);
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes).await);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n");
        self.raw(request.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }
}

fn finding(n: usize) -> Finding {
    let scope =
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "1".into(), region: "eu-west-1".into() };
    let resource = scope.id(&Kind::new("AWS::S3::Bucket"), &format!("bucket-{n}"));
    let subject = Subject::Drift(DriftKind::Changed);
    Finding {
        fingerprint: Fingerprint::of(&resource, &subject),
        generation: 1,
        phase: if n == 0 { Phase::Open } else { Phase::Pending },
        scope,
        evidence: Evidence {
            resource,
            subject,
            labels: std::iter::once(("team".to_owned(), "<script>".to_owned())).collect(),
            severity: Severity::High,
            message: "changed".to_owned(),
            changes: Vec::new(),
            origin: None,
            cause: Cause::OutOfBand,
            actor: None,
            arisen: None,
            proof: Proof::Reread,
        },
        priority: 2,
        priority_reasons: Vec::new(),
        first_seen: Timestamp::UNIX_EPOCH,
        last_seen: Timestamp::UNIX_EPOCH,
        opened_at: None,
        resolved_at: None,
        sightings: 1,
    }
}

fn record() -> ScanRecord {
    let gap = UnitGap { reason: GapReason::Denied, detail: "not allowed".to_owned() };
    let step = |n| Step { finding: finding(n), transition: Some(Transition::Appeared) };
    ScanRecord {
        id: "1".to_owned(),
        scope: finding(0).scope,
        started_at: Timestamp::UNIX_EPOCH,
        finished_at: Timestamp::UNIX_EPOCH,
        complete: false,
        resources: 3,
        managed: 2,
        units: vec![
            Unit { kind: Some(Kind::new("AWS::S3::Bucket")), resources: 3, lacks_schema: true, ..Unit::default() },
            Unit { kind: Some(Kind::new("AWS::IAM::Role")), gap: Some(gap), ..Unit::default() },
        ],
        revisions: Vec::new(),
        steps: (0..3).map(step).collect(),
        actions: Vec::new(),
    }
}

#[tokio::test]
async fn the_document_says_what_is_served() {
    let text = openapi().to_pretty_json().unwrap() + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
    if std::env::var_os("DRIFTWARDEN_UPDATE").is_some() {
        std::fs::write(golden, &text).unwrap();
    }
    let known = std::fs::read_to_string(golden).unwrap();
    assert!(text == known, "tests/golden/openapi.json is stale: run with DRIFTWARDEN_UPDATE=1");
    let served = Server::new(&[]).await.get("/api/v1/openapi.json").await.json();
    assert_eq!(served, serde_json::from_str::<Value>(&text).unwrap());
}

#[tokio::test]
async fn probes_say_whether_the_daemon_lives_and_is_ready() {
    let server = Server::new(&[TOKEN]).await;
    assert_eq!(server.get("/livez").await.status, 200);
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["message"]), (503, &"nothing was scanned yet".into()));
    server.ready.0.store(true, Ordering::Relaxed);
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let answer = Server::new(&[TOKEN]).await.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains(&format!("content-type: {}", METRICS_TYPE.to_lowercase())), "{}", answer.head);
    assert!(answer.body.contains("# EOF"), "{}", answer.body);
}

#[tokio::test]
async fn findings_are_listed_page_by_page_and_shown() {
    let server = Server::new(&[]).await;
    let (mut cursor, mut found) = (String::new(), Vec::new());
    loop {
        let page = server.get(&format!("/api/v1/findings?limit=2{cursor}")).await.json();
        found.extend(
            page["findings"].as_array().unwrap().iter().map(|it| it["fingerprint"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(found.len() == 3 && found.is_sorted(), "{found:?}");
    let one = server.get(&format!("/api/v1/findings/{}", finding(0).fingerprint)).await.json();
    assert_eq!(one["resource"]["id"], "aws://1/eu-west-1/AWS::S3::Bucket/bucket-0");
    assert_eq!(one["watched"], true);
    let listed = server.get("/api/v1/findings").await.json();
    let unwatched = listed["findings"].as_array().unwrap().iter().filter(|it| it["watched"] == false);
    assert_eq!(unwatched.map(|it| &it["resource"]["name"]).collect::<Vec<_>>(), ["bucket-1"]);
}

/// The query must find so many findings, or be refused with that code.
async fn check(server: &Server, query: &str, expected: Result<usize, &str>) {
    let answer = server.get(&format!("/api/v1/findings?{query}")).await;
    let json = answer.json();
    let found = match answer.status {
        200 => Ok(json["findings"].as_array().unwrap().len()),
        400 => Err(json["code"].as_str().unwrap()),
        other => panic!("{query}: {other} {json}"),
    };
    assert_eq!(found, expected, "{query}: {json}");
}

#[tokio::test]
async fn findings_are_filtered_and_odd_queries_are_refused() {
    let server = Server::new(&[]).await;
    for (query, found) in [
        ("phase=open", 1),
        ("phase=open,pending", 3),
        ("phase=resolved", 0),
        ("cloud=aws", 3),
        ("cloud=prod&type=drift&severity=high&priority=2", 3),
        ("cloud=%27%20OR%201%3D1%20--", 0),
        ("type=violation", 0),
        ("", 3),
    ] {
        check(&server, query, Ok(found)).await;
    }
    for query in [
        "phase=closed",
        "phase=",
        "phase=open,",
        "type=x",
        "severity=bad",
        "priority=0",
        "priority=6",
        "priority=-1",
        "priority=x",
        "limit=0",
        "limit=1001",
        "limit=99999999999999999999",
        "cursor=x",
        "cursor=%00",
        "nope=1",
        "phase=open&phase=open",
        "phase=%ff",
    ] {
        check(&server, query, Err("invalid_query")).await;
    }
}

#[tokio::test]
async fn scopes_and_scans_tell_their_gaps() {
    let server = Server::new(&[]).await;
    let scopes = server.get("/api/v1/scopes").await.json();
    let scan = &scopes["scopes"][0]["last_scan"];
    assert_eq!((&scan["scope"], &scan["cloud"]), (&"aws://1/eu-west-1".into(), &"prod".into()));
    assert_eq!(scan["gaps"].as_array().unwrap().len(), 1);
    assert_eq!(scan["gaps"][0]["reason"], "denied");
    assert_eq!(&server.get("/api/v1/scans?limit=1").await.json()["scans"][0], scan);
    assert_eq!(server.get("/api/v1/scans?limit=0").await.status, 400);
}

#[tokio::test]
async fn every_route_but_probes_and_metrics_asks_for_a_token() {
    let server = Server::new(&["another-token-of-many", TOKEN]).await;
    let with = format!("Authorization: Bearer {TOKEN}\r\n");
    for path in
        openapi().paths.paths.keys().map(String::as_str).chain(["/api/v1/openapi.json", "/nothing", "/metrics/"])
    {
        let answer = server.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &"unauthorized".into()), "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        assert_eq!(server.ask("GET", path, "Authorization: Bearer wrong\r\n").await.status, 401, "{path}");
        let status = server.ask("GET", path, &with).await.status;
        assert!(status == 200 || status == 404, "{path}: {status}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_said_in_json() {
    let server = Server::new(&[]).await;
    for path in ["/", "/api/v1/findings/x", "/api/v1/findings/%ff", "/api/v1/findings/", "/api/v1/../../etc/passwd"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &"not_found".into()), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE"] {
        let answer = server.ask(method, "/api/v1/findings", "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (405, &"method_not_allowed".into()), "{method}");
    }
    let answer = server.raw(b"GET /api/v1/findings HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"forbidden".into()));
}

#[tokio::test]
async fn what_is_no_request_is_hung_up_on() {
    let server = Server::new(&[]).await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    let large = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(1 << 20));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(1 << 20));
    let both = "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for request in
        [&many, &large, &long, both, "\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let status = server.raw(request.as_bytes()).await.status;
        assert!(status == 0 || (400..500).contains(&status), "{status}: {request:.40}");
    }
    let body = format!("Content-Length: {}\r\n", 1_u64 << 40);
    assert_eq!(server.ask("GET", "/livez", &body).await.status, 200);
}
