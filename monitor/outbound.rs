//! The way out for what is told and asked: one client, signatures, and what an answer means.
//!
//! It follows no redirects, and it never shows the body of an answer to anyone: a body
//! is foreign text. It does not read clouds; that is `collect::http`, with its budgets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::{Host, Url};

const USER_AGENT: &str = concat!("driftwarden/", env!("CARGO_PKG_VERSION"));
/// An answer is read only so that its connection can be used again; a longer one costs the connection.
const DRAINED: usize = 64 * 1024;
/// What a receiver may ask for at most: a typing error on its side must not silence it for a year.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No connection, no answer, or no answer in time.
    #[error("failed to reach `{host}`")]
    Unreachable {
        /// Host of the URL.
        host: String,
        /// What happened, without the URL: its path may be a secret.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is no success.
    #[error("`{host}` answered {code}")]
    Refused {
        /// Host of the URL.
        host: String,
        /// HTTP status.
        code: u16,
        /// How long the receiver asked to wait.
        retry_after: Option<SignedDuration>,
    },
}

impl DeliveryError {
    /// Returns whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(code, 408 | 425 | 429 | 500..=599),
        }
    }

    /// Returns whether the request may have been acted on: only a connection that never was proves that it was not.
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect(),
            Self::Refused { code, .. } => *code >= 500,
        }
    }

    /// Returns how long the receiver asked to wait.
    pub fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Unreachable { .. } => None,
            Self::Refused { retry_after, .. } => *retry_after,
        }
    }
}

/// A signing secret that is not what Standard Webhooks asks for.
#[derive(Debug, thiserror::Error)]
#[error("invalid signing secret: expected base64, with or without `whsec_` before it")]
pub struct SigningError;

/// Returns a client that gives up after `timeout`.
pub fn client(timeout: Duration) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing this race to another thread is as good as winning it: both install the same.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    Client::builder()
        .user_agent(USER_AGENT)
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .redirect(Policy::none())
        .build()
}

/// Returns why `url` cannot be posted to, if it cannot.
pub fn objection(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        Some("expected an http or https address")
    } else if !url.username().is_empty() || url.password().is_some() {
        Some("a password does not belong into an address")
    } else {
        None
    }
}

/// What to do about a secret that would be sent in clear text.
pub const CLEAR_TEXT_HINT: &str = "use https; plain http is only for this machine itself (127.0.0.1, ::1, localhost)";

/// Returns whether what is sent to `url` can be read on its way: it is neither encrypted nor kept on this machine.
pub fn is_clear_text(url: &Url) -> bool {
    let is_this_machine = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() != "https" && !is_this_machine
}

/// Returns `base` with more path segments.
pub fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Sends a request and judges its answer.
pub async fn deliver(url: &Url, request: RequestBuilder, now: Timestamp) -> Result<(), DeliveryError> {
    let host = || url.host_str().unwrap_or_default().to_owned();
    let response = request
        .send()
        .await
        .map_err(|error| DeliveryError::Unreachable { host: host(), source: error.without_url() })?;
    let status = response.status();
    let retry_after = retry_after(response.headers(), now);
    drain(response).await;
    if status.is_success() {
        return Ok(());
    }
    Err(DeliveryError::Refused { host: host(), code: status.as_u16(), retry_after })
}

async fn drain(mut response: Response) {
    let mut seen = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        seen += chunk.len();
        if seen > DRAINED {
            return;
        }
    }
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(seconds.into()),
        Err(_) => rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?.duration_since(now),
    };
    Some(wait.clamp(SignedDuration::ZERO, LONGEST_WAIT))
}

/// Returns `request` with the headers of Standard Webhooks: who receives it can tell that it is ours, fresh and whole.
pub fn sign(
    request: RequestBuilder,
    id: &str,
    now: Timestamp,
    body: Vec<u8>,
    secret: Option<&SecretString>,
) -> Result<RequestBuilder, SigningError> {
    let at = now.as_second().to_string();
    let request =
        request.header("content-type", "application/json").header("webhook-id", id).header("webhook-timestamp", &at);
    let request = match secret {
        Some(secret) => request.header("webhook-signature", signature(id, &at, &body, secret)?),
        None => request,
    };
    Ok(request.body(body))
}

fn signature(id: &str, at: &str, body: &[u8], secret: &SecretString) -> Result<String, SigningError> {
    let text = secret.expose_secret();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| SigningError)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| SigningError)?;
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
pub(crate) mod peer {
    //! A receiver on loopback that answers by script and remembers what it was sent.

    use std::collections::VecDeque;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::response::{IntoResponse, Response};
    use http::{HeaderMap, StatusCode, Uri};
    use parking_lot::Mutex;
    use tokio::net::TcpListener;
    use url::Url;

    /// One request.
    #[derive(Debug, Clone)]
    pub(crate) struct Request {
        pub(crate) path: String,
        pub(crate) headers: HeaderMap,
        pub(crate) body: Bytes,
    }

    impl Request {
        pub(crate) fn json(&self) -> serde_json::Value {
            serde_json::from_slice(&self.body).unwrap()
        }

        pub(crate) fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().unwrap())
        }
    }

    type Answer = (u16, Vec<(&'static str, String)>);

    #[derive(Clone)]
    pub(crate) struct Peer {
        pub(crate) url: Url,
        seen: Arc<Mutex<Vec<Request>>>,
        script: Arc<Mutex<VecDeque<Answer>>>,
    }

    impl Peer {
        /// Starts a peer that gives these answers, then 200 for ever.
        pub(crate) async fn answering(script: &[u16]) -> Self {
            Self::with(script.iter().map(|code| (*code, Vec::new())).collect()).await
        }

        pub(crate) async fn with(script: Vec<Answer>) -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
            let peer = Self { url, seen: Arc::default(), script: Arc::new(Mutex::new(script.into())) };
            let app = Router::new().fallback(answer).layer(axum::extract::DefaultBodyLimit::disable());
            let app = app.with_state(peer.clone());
            tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
            peer
        }

        pub(crate) fn seen(&self) -> Vec<Request> {
            self.seen.lock().clone()
        }
    }

    async fn answer(State(peer): State<Peer>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
        peer.seen.lock().push(Request { path: uri.path().to_owned(), headers, body });
        let (code, headers) = peer.script.lock().pop_front().unwrap_or((200, Vec::new()));
        let mut response = "canary-of-the-body".into_response();
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        for (name, value) in headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Findings to tell of.

    use driftwarden_core::compare::{Change, ChangeOp};
    use driftwarden_core::decide::{Notice, Status};
    use driftwarden_core::finding::{
        Cause, DriftKind, Evidence, Finding, Fingerprint, Phase, Proof, Severity, Subject,
    };
    use driftwarden_core::resource::{Kind, Labels, Origin, Provider, Scope, Touched};
    use jiff::Timestamp;
    use serde_json::json;

    pub(crate) fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Returns an open drift of the bucket `name`.
    pub(crate) fn finding(name: &str) -> Finding {
        let scope =
            Scope { cloud: "prod".into(), provider: Provider::Aws, account: "1".into(), region: "eu-west-1".into() };
        let resource = scope.id(&Kind::from("AWS::S3::Bucket"), name);
        let subject = Subject::Drift(DriftKind::Changed);
        Finding {
            fingerprint: Fingerprint::of(&resource, &subject),
            generation: 1,
            phase: Phase::Open,
            scope,
            evidence: evidence(resource, subject),
            priority: 2,
            priority_reasons: vec!["severity high of changed resource".to_owned()],
            first_seen: at("2026-01-01T00:00:00Z"),
            last_seen: at("2026-01-01T00:10:00Z"),
            opened_at: Some(at("2026-01-01T00:05:00Z")),
            resolved_at: None,
            sightings: 3,
        }
    }

    fn evidence(resource: driftwarden_core::resource::ResourceId, subject: Subject) -> Evidence {
        let touched =
            Touched { commit: "c0ffee".into(), author: "Ada <ada@example.org>".into(), at: at("2025-12-31T00:00:00Z") };
        Evidence {
            resource,
            subject,
            labels: Labels::from([("app.example/team-name".to_owned(), "data".to_owned())]),
            severity: Severity::High,
            message: "bucket differs from Git".to_owned(),
            changes: vec![Change {
                path: "/Versioning".to_owned(),
                op: ChangeOp::Changed,
                desired: json!("Enabled"),
                observed: json!("Suspended"),
                sensitive: false,
                reason: "declared, and read back as something else".into(),
                owner: None,
            }],
            origin: Some(Origin {
                source: "infra".into(),
                revision: "abc123".into(),
                file: "prod/logs.yaml".into(),
                line: 7,
                touched: Some(touched),
            }),
            cause: Cause::OutOfBand,
            actor: None,
            arisen: None,
            proof: Proof::Reread,
        }
    }

    pub(crate) fn firing(finding: Finding) -> Notice {
        Notice { status: Status::Firing, finding }
    }

    pub(crate) fn resolved(mut finding: Finding) -> Notice {
        finding.phase = Phase::Resolved;
        finding.resolved_at = Some(at("2026-01-01T01:00:00Z"));
        Notice { status: Status::Resolved, finding }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks specification.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let found = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body, &secret).unwrap();
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
            ("4000000000", Some(3600)),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn passwords_and_other_schemes_are_no_addresses() {
        for (text, fine) in [
            ("https://a.example/x", true),
            ("http://127.0.0.1:9093", true),
            ("https://user:pass@a.example", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(objection(&Url::parse(text).unwrap()).is_none(), fine, "{text}");
        }
    }

    #[test]
    fn only_tls_and_this_machine_keep_a_secret() {
        for (text, clear) in [
            ("https://a.example", false),
            ("http://127.0.0.1:9093", false),
            ("http://127.8.9.1", false),
            ("http://[::1]:9093/x", false),
            ("http://localhost/", false),
            ("http://2130706433/", false),
            ("http://a.example", true),
            ("http://10.0.0.1", true),
            ("http://localhost.example", true),
            ("http://127.0.0.1.example", true),
            ("http://[::ffff:10.0.0.1]", true),
            ("http://0.0.0.0", true),
        ] {
            assert_eq!(is_clear_text(&Url::parse(text).unwrap()), clear, "{text}");
        }
    }

    #[test]
    fn a_path_prefix_is_kept() {
        for (base, joined) in [("http://h", "http://h/api/v2"), ("http://h/am/", "http://h/am/api/v2")] {
            assert_eq!(join(&Url::parse(base).unwrap(), &["api", "v2"]).as_str(), joined);
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed_and_bodies_not_told() {
        let other = peer::Peer::answering(&[]).await;
        let peer = peer::Peer::with(vec![(307, vec![("location", other.url.to_string())])]).await;
        let client = client(Duration::from_secs(5)).unwrap();
        let error = deliver(&peer.url, client.post(peer.url.clone()), Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert!(!error.is_temporary());
        assert!(!format!("{error:?} {error}").contains("canary"));
        assert!(other.seen().is_empty());
    }
}
