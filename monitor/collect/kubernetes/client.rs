//! Requests to one cluster: connecting as a kubeconfig or a pod does, the pace, retries, limits, classification.
//!
//! Authentication and TLS are the `kube` crate's. Bodies are ours: they are read under a cap and handed on as bytes,
//! and no text of an answer ever becomes part of an error, for it may hold a secret.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use driftwarden_core::resource::GapReason;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use parking_lot::Mutex;
use serde::Deserialize;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::collect::budget::Budget;
use crate::collect::http::obstacle::Obstacle;
use crate::outbound;
use crate::telemetry::emit;
use crate::telemetry::events::{CloudRequestEnded, Throttled};

/// Name of the service in metrics: all of a cluster's groups are one, or a cluster could invent label values.
const SERVICE: &str = "kubernetes";
/// How much of an error's body is looked at.
const STATUS_CAP: usize = 64 << 10;

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How often it is tried in all.
    pub(super) attempts: u32,
    /// How long one attempt may take, its body included.
    pub(super) deadline: Duration,
    /// First pause between two attempts; doubled each time.
    pub(super) first_pause: Duration,
    /// An API server that asks for a longer pause than this has thrown us out for this scan.
    pub(super) longest_pause: Duration,
    /// Longest single object that is read; an API server itself refuses more than about 3 MiB.
    pub(super) object: usize,
    /// Longest page of a list that is read, and longest answer of discovery.
    pub(super) page: usize,
    /// Most pages of a list that are read, of up to 500 objects each.
    pub(super) pages: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            deadline: Duration::from_mins(1),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(15),
            object: 16 << 20,
            page: 64 << 20,
            pages: 20_000,
        }
    }
}

/// Why a request got no useful answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(super) struct Failure {
    /// The gap it leaves.
    pub(super) reason: GapReason,
    /// What happened, in our own words.
    pub(super) detail: String,
    /// What the server called it, when it answered a `Status`.
    pub(super) status: Option<Status>,
}

impl Failure {
    pub(super) fn new(reason: GapReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), status: None }
    }

    pub(super) fn malformed(what: &str, error: &serde_json::Error) -> Self {
        // The error's own text quotes the value that did not fit; its place does not.
        let place = format!("line {}, column {}", error.line(), error.column());
        Self::new(GapReason::Malformed, format!("{what} is not the JSON of the Kubernetes API ({place})"))
    }

    /// Returns whether the server said that the continue token is too old.
    pub(super) fn is_expired(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.code == StatusCode::GONE)
    }

    /// Returns whether whoever answered knows no such address.
    pub(super) fn is_missing(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.code == StatusCode::NOT_FOUND)
    }

    /// Returns whether the server, and not something before it, said that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.code == StatusCode::NOT_FOUND && s.reason == "NotFound")
    }
}

/// What an API server says instead of an answer.
#[derive(Debug, Clone)]
pub(super) struct Status {
    /// The HTTP status.
    pub(super) code: StatusCode,
    /// One word: `NotFound`, `Expired`. Empty where the body was not a `Status`.
    pub(super) reason: String,
}

/// How to reach and enter a cluster.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// As a pod of the cluster.
    InCluster,
    /// As a context of a kubeconfig says; the current one if none is named.
    Kubeconfig {
        /// The file, or nothing for `$KUBECONFIG` and `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context, or nothing for the current one.
        context: Option<String>,
    },
    /// Without credentials.
    Anonymous,
}

/// A cluster that can be asked.
pub(super) struct Client {
    cloud: String,
    entry: Entry,
    server: Option<url::Url>,
    budget: Budget,
    pub(super) patience: Patience,
    /// Built at the first request; dropped when the server no longer knows us, for credentials rotate.
    connected: Mutex<Option<kube::Client>>,
}

impl Client {
    pub(super) fn new(cloud: String, entry: Entry, server: Option<url::Url>, rate: (f64, u64)) -> Self {
        let (budget, patience) = (Budget::new(rate.0, rate.1), Patience::default());
        Self { cloud, entry, server, budget, patience, connected: Mutex::new(None) }
    }

    /// Returns the body of the answer to a `GET`, if it was a 200 and no longer than `cap`.
    pub(super) async fn get(&self, path: &str, accept: &'static str, cap: usize) -> Result<Bytes, Failure> {
        self.ask(Ask { path, accept, applied: None }, cap).await
    }

    /// Returns the body of the answer to a server-side apply of `object`. Tried again like a reading: only for dry runs.
    pub(super) async fn apply(&self, path: &str, object: Vec<u8>, cap: usize) -> Result<Bytes, Failure> {
        let applied = Some(Bytes::from(object));
        self.ask(Ask { path, accept: "application/json", applied: applied.as_ref() }, cap).await
    }

    async fn ask(&self, ask: Ask<'_>, cap: usize) -> Result<Bytes, Failure> {
        self.budget.earn_retries();
        let mut pause = self.patience.first_pause;
        for _ in 1..self.patience.attempts {
            let asked = match self.attempt(ask, cap).await {
                Ok(body) => return Ok(body),
                Err(Refusal::Final(failure)) => return Err(failure),
                Err(Refusal::Again { failure, after }) => match after.unwrap_or_default() {
                    after if after > self.patience.longest_pause || !self.budget.afford_retry() => return Err(failure),
                    after => after,
                },
            };
            tokio::time::sleep(asked.max(jittered(pause))).await;
            pause *= 2;
        }
        self.attempt(ask, cap).await.map_err(Refusal::into_failure)
    }

    async fn attempt(&self, ask: Ask<'_>, cap: usize) -> Result<Bytes, Refusal> {
        let turn = self.budget.turn().await;
        turn.map_err(|error| Refusal::Final(Failure::new(GapReason::Throttled, error.to_string())))?;
        let span = info_span!(
            "request",
            otel.kind = "client",
            rpc.service = SERVICE,
            http.request.method = ask.method().as_str(),
            url.path = ask.path.split('?').next(),
            http.response.status_code = Empty,
        );
        let exchange = self.exchange(ask, cap).instrument(span.clone());
        let answer = tokio::time::timeout(self.patience.deadline, exchange).await;
        let answer = answer.unwrap_or_else(|_| {
            let detail = format!("no answer within {} s", self.patience.deadline.as_secs());
            Err((0, Refusal::again(Failure::new(GapReason::Timeout, detail))))
        });
        self.learn(&answer, &span);
        answer.map_err(|(_, refusal)| refusal)
    }

    /// Tells the budget, the metrics and the trace how an attempt ended.
    fn learn<T>(&self, answer: &Result<T, (u16, Refusal)>, span: &Span) {
        let code = answer.as_ref().map_or_else(|(code, _)| *code, |_| 200);
        span.record("http.response.status_code", code);
        let throttled = if code == 429 { Throttled::Yes } else { Throttled::No };
        match answer {
            Err((429, Refusal::Again { after, .. })) => {
                self.budget.throttled(after.map(|after| after.min(self.patience.longest_pause)));
            }
            _ if code != 0 => self.budget.accepted(),
            _ => {}
        }
        emit(&CloudRequestEnded { cloud: &self.cloud, service: SERVICE, code, throttled });
        if code == 401 {
            *self.connected.lock() = None;
        }
    }

    /// Returns the lines of an answer that goes on and on. Asks once.
    pub(super) async fn stream(&self, path: &str) -> Result<Lines, Failure> {
        self.budget.earn_retries();
        let turn = self.budget.turn().await;
        turn.map_err(|error| Failure::new(GapReason::Throttled, error.to_string()))?;
        let span = info_span!(
            "watch",
            otel.kind = "client",
            rpc.service = SERVICE,
            http.request.method = "GET",
            url.path = path.split('?').next(),
            http.response.status_code = Empty,
        );
        let ask = Ask { path, accept: "application/json", applied: None };
        let answer = tokio::time::timeout(self.patience.deadline, self.respond(ask)).instrument(span.clone()).await;
        let late = |_| Err((0, Refusal::again(Failure::new(GapReason::Timeout, "no answer to the watch"))));
        let answer = answer.unwrap_or_else(late);
        self.learn(&answer, &span);
        let body = answer.map_err(|(_, refusal)| refusal.into_failure())?;
        Ok(Lines { body, buffer: BytesMut::new(), longest: self.patience.object })
    }

    /// Returns whether another attempt can be afforded, and pays for it.
    pub(super) fn afford_retry(&self) -> bool {
        self.budget.afford_retry()
    }

    async fn exchange(&self, ask: Ask<'_>, cap: usize) -> Result<Bytes, (u16, Refusal)> {
        let body = self.respond(ask).await?;
        read(body, cap).await.map_err(|refusal| (200, refusal))
    }

    /// Returns the body of the answer, if it was a 200; it is still to be read.
    async fn respond(&self, ask: Ask<'_>) -> Result<Body, (u16, Refusal)> {
        let client = self.client().await.map_err(|failure| (0, Refusal::Final(failure)))?;
        let request = ask.request().map_err(|failure| (0, Refusal::Final(failure)))?;
        let answer = client.send(request).await.map_err(|error| (0, refused_connection(&error)))?;
        let (parts, body) = answer.into_parts();
        if parts.status == StatusCode::OK {
            return Ok(body);
        }
        let body = read(body, STATUS_CAP).await.unwrap_or_default();
        Err((parts.status.as_u16(), refused(parts.status, &parts.headers, &body)))
    }

    async fn client(&self) -> Result<kube::Client, Failure> {
        let known = self.connected.lock().clone();
        if let Some(client) = known {
            return Ok(client);
        }
        let client = connect(self.entry.clone(), self.server.clone()).await?;
        *self.connected.lock() = Some(client.clone());
        Ok(client)
    }
}

/// An answer that goes on and on, line by line.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// What is longer is no line.
    longest: usize,
}

impl Lines {
    /// Returns the next line, or nothing at the end. A part of a line is no line.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                return Ok(Some(line.slice(..end)));
            }
            if self.buffer.len() > self.longest {
                return Err(Failure::new(GapReason::Partial, TOO_LONG));
            }
            let silent = |_| Failure::new(GapReason::Timeout, "the watch has gone silent");
            let Some(frame) = tokio::time::timeout(patience, self.body.frame()).await.map_err(silent)? else {
                return Ok(None);
            };
            let frame = frame.map_err(|_| Failure::new(GapReason::Partial, "the watch was cut short"))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// One question to a cluster.
#[derive(Clone, Copy)]
struct Ask<'a> {
    path: &'a str,
    accept: &'static str,
    /// The object of a server-side apply; nothing for a reading.
    applied: Option<&'a Bytes>,
}

impl Ask<'_> {
    fn method(self) -> Method {
        if self.applied.is_some() { Method::PATCH } else { Method::GET }
    }

    fn request(self) -> Result<Request<Body>, Failure> {
        let request = Request::builder().method(self.method()).uri(self.path).header(ACCEPT, self.accept);
        let request = match self.applied {
            // JSON is YAML, and the only form of an apply that every server takes is called so.
            Some(object) => request.header(CONTENT_TYPE, "application/apply-patch+yaml").body(object.to_vec().into()),
            None => request.body(Body::empty()),
        };
        request.map_err(|_| Failure::new(GapReason::Malformed, "failed to form the request's address"))
    }
}

/// Returns the name of the kubeconfig's current context.
pub(super) async fn current_context(path: Option<PathBuf>) -> Result<String, Failure> {
    let read = move || kubeconfig(path);
    let config = tokio::task::spawn_blocking(read).await.map_err(|_| interrupted())??;
    let none = || Failure::new(GapReason::Denied, "the kubeconfig has no current context; name one with `context`");
    config.current_context.filter(|name| !name.is_empty()).ok_or_else(none)
}

fn kubeconfig(path: Option<PathBuf>) -> Result<Kubeconfig, Failure> {
    path.map_or_else(Kubeconfig::read, Kubeconfig::read_from).map_err(|error| invalid_kubeconfig(&error))
}

async fn connect(entry: Entry, server: Option<url::Url>) -> Result<kube::Client, Failure> {
    let mut config = enter(entry, server.as_ref()).await?;
    if let Some(server) = server {
        config.cluster_url = address(&server)?;
    }
    check_secrecy(&config)?;
    if config.cluster_url.scheme_str() == Some("http") {
        // Without this, kube looks for the system's certificates even where none is ever shown.
        config.root_cert.get_or_insert_default();
    }
    // Retrying is ours, so that it is counted and paced.
    config.default_retry = false;
    // Credential plugins are run while the client is built, and block.
    let build = move || ClientBuilder::try_from(config).map(ClientBuilder::build);
    let built = tokio::task::spawn_blocking(build).await.map_err(|_| interrupted())?;
    built.map_err(|error| unusable(&error))
}

/// Refuses to send credentials to where they could be read on their way.
fn check_secrecy(config: &kube::Config) -> Result<(), Failure> {
    let auth = &config.auth_info;
    let is_secret = auth.token.is_some()
        || auth.token_file.is_some()
        || auth.password.is_some()
        || auth.exec.is_some()
        || auth.auth_provider.is_some();
    let is_clear_text = url::Url::parse(&config.cluster_url.to_string()).is_ok_and(|url| outbound::is_clear_text(&url));
    if is_secret && is_clear_text {
        let detail = format!("the credentials would be sent in clear text; {}", outbound::CLEAR_TEXT_HINT);
        return Err(Failure::new(GapReason::Denied, detail));
    }
    Ok(())
}

async fn enter(entry: Entry, server: Option<&url::Url>) -> Result<kube::Config, Failure> {
    match entry {
        Entry::InCluster => kube::Config::incluster().map_err(|_| {
            Failure::new(GapReason::Denied, "failed to enter as a pod: there is no service account of this pod")
        }),
        Entry::Kubeconfig { path, context } => {
            let read = move || kubeconfig(path);
            let config = tokio::task::spawn_blocking(read).await.map_err(|_| interrupted())??;
            let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
            let entered = kube::Config::from_custom_kubeconfig(config, &options).await;
            entered.map_err(|error| invalid_kubeconfig(&error))
        }
        Entry::Anonymous => {
            let none = || Failure::new(GapReason::Denied, "neither a kubeconfig nor a server is configured");
            Ok(kube::Config::new(address(server.ok_or_else(none)?)?))
        }
    }
}

fn address(server: &url::Url) -> Result<http::Uri, Failure> {
    server.as_str().parse().map_err(|_| Failure::new(GapReason::Denied, "invalid address of the API server"))
}

fn interrupted() -> Failure {
    Failure::new(GapReason::Timeout, "interrupted while connecting")
}

/// Says what is wrong with a kubeconfig without quoting it: it holds credentials.
fn invalid_kubeconfig(error: &KubeconfigError) -> Failure {
    let what = match error {
        KubeconfigError::CurrentContextNotSet => "it has no current context; name one with `context`".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context `{name}`"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster `{name}`"),
        KubeconfigError::FindPath => "there is none".to_owned(),
        KubeconfigError::ReadConfig(error, path) => format!("failed to read `{}`: {}", path.display(), error.kind()),
        KubeconfigError::Parse(_) => "it is not the YAML of a kubeconfig".to_owned(),
        KubeconfigError::MissingClusterUrl | KubeconfigError::ParseClusterUrl(_) => {
            "its cluster has no valid `server`".to_owned()
        }
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            "failed to load its certificate authority".to_owned()
        }
        KubeconfigError::LoadClientCertificate(_) => "failed to load its client certificate".to_owned(),
        KubeconfigError::LoadClientKey(_) => "failed to load its client key".to_owned(),
        _ => "its parts do not fit together".to_owned(),
    };
    Failure::new(GapReason::Denied, format!("invalid kubeconfig: {what}"))
}

/// Says why no client could be built or authenticated. The text of kube's error may quote a plugin's output.
fn unusable(error: &kube::Error) -> Failure {
    use kube::client::AuthError;
    let what = match error {
        kube::Error::Auth(AuthError::AuthExecRun { cmd, out }) => {
            let program = cmd.split_whitespace().next().unwrap_or("(none)");
            format!("credential plugin `{program}` failed with {}", out.status)
        }
        kube::Error::Auth(AuthError::AuthExecStart(error)) => {
            format!("failed to run the credential plugin: {}", error.kind())
        }
        kube::Error::Auth(AuthError::ReadTokenFile(error, path)) => {
            format!("failed to read token file `{}`: {}", path.display(), error.kind())
        }
        kube::Error::Auth(_) => "failed to authenticate as the kubeconfig says".to_owned(),
        kube::Error::RustlsTls(_) => "failed to set up TLS with the certificates of the kubeconfig".to_owned(),
        _ => "failed to set up the client".to_owned(),
    };
    Failure::new(GapReason::Denied, what)
}

/// Why one attempt failed, and whether another makes sense.
enum Refusal {
    Final(Failure),
    Again { failure: Failure, after: Option<Duration> },
}

impl Refusal {
    fn again(failure: Failure) -> Self {
        Self::Again { failure, after: None }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Final(failure) | Self::Again { failure, .. } => failure,
        }
    }
}

fn refused_connection(error: &kube::Error) -> Refusal {
    let failure = |what: String| Failure::new(GapReason::Timeout, what);
    match (error, Obstacle::of(error)) {
        (kube::Error::Auth(_), _) => Refusal::Final(unusable(error)),
        (_, Some(obstacle)) if obstacle.is_lasting() => Refusal::Final(failure(obstacle.to_string())),
        (_, Some(obstacle)) => Refusal::again(failure(obstacle.to_string())),
        (_, None) => Refusal::again(failure("failed to connect to the API server".to_owned())),
    }
}

fn refused(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let reason = status_reason(body);
    let named = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let detail = format!("the API server answered {}{named}", code.as_u16());
    let kind = match code {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => GapReason::Denied,
        StatusCode::TOO_MANY_REQUESTS => GapReason::Throttled,
        StatusCode::GONE | StatusCode::NOT_FOUND => GapReason::Partial,
        code if code.is_server_error() => GapReason::Timeout,
        _ => GapReason::Malformed,
    };
    let failure = Failure { reason: kind, detail, status: Some(Status { code, reason }) };
    // 401 is tried again with a client built anew: tokens and certificates rotate.
    match code {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => {
            Refusal::Again { failure, after: retry_after(headers) }
        }
        code if code.is_server_error() && code != StatusCode::NOT_IMPLEMENTED => {
            Refusal::Again { failure, after: retry_after(headers) }
        }
        _ => Refusal::Final(failure),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Returns the `reason` of a `Status`, if the body is one and the reason is a word.
fn status_reason(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        kind: String,
        reason: Option<String>,
    }
    let said: Option<Said> = serde_json::from_slice(body).ok();
    said.filter(|said| said.kind == "Status")
        .and_then(|said| said.reason)
        .filter(|reason| reason.len() <= 40 && reason.bytes().all(|b| b.is_ascii_alphabetic()))
        .unwrap_or_default()
}

/// Marks a body that did not fit, so that a smaller page can be asked for.
pub(super) const TOO_LONG: &str = "the answer is longer than is read";

async fn read(mut body: Body, cap: usize) -> Result<Bytes, Refusal> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let cut = |_| Refusal::again(Failure::new(GapReason::Partial, "the answer was cut short"));
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        if read.len() + data.len() > cap {
            return Err(Refusal::Final(Failure::new(GapReason::Partial, TOO_LONG)));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Spreads retries between half of the pause and all of it.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1000;
    pause / 2 + pause.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_is_no_word_is_not_repeated() {
        assert_eq!(status_reason(br#"{"kind":"Status","reason":"NotFound"}"#), "NotFound");
        for body in ["<html>", "{}", r#"{"kind":"Status","reason":"token abc123"}"#, r#"{"kind":"Pod","reason":"X"}"#] {
            assert_eq!(status_reason(body.as_bytes()), "", "{body}");
        }
    }
}
