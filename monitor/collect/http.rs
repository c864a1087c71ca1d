//! The one client of the collectors that speak HTTP: budgets, retries, deadlines, limits, and what a failure means.
//!
//! It follows no redirects and knows no provider: who signs a request and how a refusal is worded is a [`Protocol`]. No text
//! of a request or of an answer ever becomes part of an error, for it may hold a secret; only a provider's error code does.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use driftwarden_core::resource::GapReason;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};
use url::Url;

use self::obstacle::Obstacle;
use super::budget::Budget;
use crate::telemetry::emit;
use crate::telemetry::events::{CloudRequestEnded, Throttled};

pub(super) mod obstacle;

const USER_AGENT: &str = concat!("driftwarden/", env!("CARGO_PKG_VERSION"));
/// How much of a refusal is looked at to find its error code.
const REFUSAL_CAP: usize = 64 << 10;

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until the headers of an answer are there.
    pub headers: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// For one attempt in all, from its turn to the last byte: what drips is cut here.
    pub deadline: Duration,
    /// Longest body, after decompression.
    pub body: usize,
    /// How often a request is tried in all while the cloud asks to slow down.
    pub attempts: u32,
    /// How often a request is tried in all when it fails in another way.
    pub attempts_unanswered: u32,
    /// First pause between two attempts; doubled each time.
    pub first_pause: Duration,
    /// Longest pause, whatever the cloud asks for.
    pub longest_pause: Duration,
    /// Services that bear fewer requests in a second than is configured, with how many.
    pub slow_services: &'static [(&'static str, f64)],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(20),
            idle: Duration::from_secs(10),
            deadline: Duration::from_mins(1),
            body: 64 << 20,
            attempts: 5,
            attempts_unanswered: 3,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(30),
            slow_services: &[],
        }
    }
}

/// Whose budget a request uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Account, subscription or project.
    pub account: Arc<str>,
    /// Region, or `-`.
    pub region: Arc<str>,
    /// The cloud's service, from a closed set: it is a label of metrics.
    pub service: &'static str,
}

/// What sort of answer is understood. Anything else with status 200 is somebody else's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// JSON in any of its media types.
    Json,
    /// XML.
    Xml,
    /// XML, or JSON in place of it.
    XmlOrJson,
}

impl Media {
    fn is(self, media_type: &str) -> bool {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match self {
            Self::Json => {
                let amazons = media_type.starts_with("application/x-amz-json-");
                media_type == "application/json" || amazons || media_type.ends_with("+json")
            }
            Self::Xml => media_type == "application/xml" || media_type == "text/xml",
            Self::XmlOrJson => Self::Xml.is(&media_type) || Self::Json.is(&media_type),
        }
    }
}

/// What is asked. Has no `Debug`, for it may hold a secret.
#[derive(Clone)]
pub struct Request {
    /// Whose budget it uses.
    pub target: Target,
    /// HTTP method.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// Headers, without those that a signature adds.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What sort of answer is understood.
    pub media: Media,
}

/// An answer with a status of success. Has no `Debug`, for it may hold a secret.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Answer {
    /// Returns the value that the body says in JSON.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::not_json(&error))
    }

    /// Returns the value that the body says in XML.
    pub fn xml<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let malformed = || CallError::new(GapReason::Malformed, "the answer is not the XML that was expected");
        let text = std::str::from_utf8(&self.body).map_err(|_| malformed())?;
        quick_xml::de::from_str(text).map_err(|_| malformed())
    }
}

/// A provider's error code: one word, safe to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(Box<str>);

impl Code {
    /// Returns the code, if the text can be one: it comes from outside, and what is no plain word may be a secret.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && digits <= 3 && text.len() <= 64;
        (is_plain && is_word).then(|| Self(text.into()))
    }

    /// Returns the word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a request got no useful answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct CallError {
    /// The gap it leaves.
    pub reason: GapReason,
    /// What happened, in our own words.
    pub detail: String,
    /// HTTP status, or 0 where none came.
    pub status: u16,
    /// What the provider called it.
    pub code: Option<Code>,
    again: Again,
}

/// Whether the same request may succeed when sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    After(Option<Duration>),
}

impl CallError {
    /// Returns an error that no second attempt can mend.
    pub fn new(reason: GapReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), status: 0, code: None, again: Again::Never }
    }

    fn passing(reason: GapReason, detail: impl Into<String>) -> Self {
        Self { again: Again::After(None), ..Self::new(reason, detail) }
    }

    /// Returns the error of an answer that is not the JSON that was expected. The error's own text quotes what it found
    /// there; its place does not.
    pub fn not_json(error: &serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        Self::new(GapReason::Malformed, format!("the answer is not the JSON that was expected ({place})"))
    }

    /// Returns whether the provider used one of these words.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_ref().is_some_and(|code| codes.contains(&code.as_str()))
    }
}

/// How one provider signs and refuses.
#[async_trait]
pub trait Protocol: Send + Sync {
    /// Signs a request. Called anew for each attempt.
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<(), CallError>;

    /// Returns the provider's word for a refusal.
    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<Code>;

    /// Takes notice of a refusal. Returns whether a new signature may mend it: the clock was wrong and is set, or the
    /// credentials had expired and are thrown away.
    async fn mends(&self, _refusal: &CallError, _headers: &HeaderMap) -> bool {
        false
    }
}

/// Installs the one cryptography of the process, unless it is installed.
pub fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing this race to another thread is as good as winning it: both install the same.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
}

/// The client of one configured cloud.
pub struct Client {
    cloud: Arc<str>,
    http: reqwest::Client,
    limits: Limits,
    per_second: f64,
    per_day: u64,
    budgets: Mutex<HashMap<Target, Arc<Budget>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("cloud", &self.cloud).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Client {
    /// Returns a client of that cloud, with so many requests in a second and in a day to each service of it.
    pub fn new(cloud: &str, limits: Limits, rate: (f64, u64)) -> Result<Self, CallError> {
        Ok(Self::over(transport(limits.connect)?, cloud, limits, rate))
    }

    /// Returns a client that uses connections which are there already.
    fn over(http: reqwest::Client, cloud: &str, limits: Limits, (per_second, per_day): (f64, u64)) -> Self {
        Self { cloud: cloud.into(), http, limits, per_second, per_day, budgets: Mutex::default() }
    }

    /// Returns the budget of requests to that target.
    pub fn budget(&self, target: &Target) -> Arc<Budget> {
        let slow = self.limits.slow_services.iter().find(|(service, _)| *service == target.service);
        let per_second = slow.map_or(self.per_second, |(_, most)| self.per_second.min(*most));
        let mut budgets = self.budgets.lock();
        let new = || Arc::new(Budget::new(per_second, self.per_day));
        Arc::clone(budgets.entry(target.clone()).or_insert_with(new))
    }

    /// Sends a request, again and again as far as that makes sense, and returns its good answer.
    pub async fn send(&self, request: &Request, protocol: &dyn Protocol) -> Result<Answer, CallError> {
        let budget = self.budget(&request.target);
        budget.earn_retries();
        let mut failures = 0;
        loop {
            let error = match self.attempt(request, protocol, &budget).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            match self.pause(&error, failures) {
                Some(pause) if budget.afford_retry() => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    /// Returns how long to wait before the next attempt, if there is to be one.
    fn pause(&self, error: &CallError, failures: u32) -> Option<Duration> {
        let Again::After(asked) = error.again else { return None };
        let most = match error.reason {
            GapReason::Throttled => self.limits.attempts,
            GapReason::Denied => 2,
            _ => self.limits.attempts_unanswered,
        };
        let longest = self.limits.longest_pause;
        let backoff = self.limits.first_pause.saturating_mul(1 << failures.min(16)).min(longest);
        (failures < most).then(|| asked.unwrap_or_default().min(longest).max(jittered(backoff)))
    }

    async fn attempt(&self, request: &Request, protocol: &dyn Protocol, budget: &Budget) -> Result<Answer, CallError> {
        budget.turn().await.map_err(|error| CallError::new(GapReason::Throttled, error.to_string()))?;
        // Not part of the request: credentials have requests and retries of their own.
        let signed = sign(request, protocol).await.map_err(|error| CallError { again: Again::Never, ..error })?;
        let span = info_span!(
            "request", otel.kind = "client", otel.status_code = Empty, rpc.service = request.target.service,
            http.request.method = %request.method, server.address = request.url.host_str(),
            http.response.status_code = Empty,
        );
        let deadline = timeout(self.limits.deadline, self.exchange(signed, request, protocol));
        let late = |_| Err(CallError::passing(GapReason::Timeout, "no complete answer within the deadline"));
        let outcome = deadline.instrument(span.clone()).await.unwrap_or_else(late);
        self.learn(request.target.service, &outcome, budget, &span);
        outcome
    }

    /// Tells the budget, the metrics and the trace how an attempt ended.
    fn learn(&self, service: &'static str, outcome: &Result<Answer, CallError>, budget: &Budget, span: &Span) {
        let (code, throttled) = match outcome {
            Ok(answer) => (answer.status.as_u16(), Throttled::No),
            Err(error) if error.reason == GapReason::Throttled => (error.status, Throttled::Yes),
            Err(error) => (error.status, Throttled::No),
        };
        if let Err(CallError { again: Again::After(pause), reason: GapReason::Throttled, .. }) = outcome {
            budget.throttled(pause.map(|pause| pause.min(self.limits.longest_pause)));
        } else if code != 0 {
            budget.accepted();
        }
        if outcome.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        if code != 0 {
            span.record("http.response.status_code", code);
        }
        span.in_scope(|| emit(&CloudRequestEnded { cloud: &self.cloud, service, code, throttled }));
    }

    async fn exchange(
        &self,
        signed: reqwest::Request,
        request: &Request,
        protocol: &dyn Protocol,
    ) -> Result<Answer, CallError> {
        let late = |_| CallError::passing(GapReason::Timeout, "no answer within the time for its headers");
        let answer = timeout(self.limits.headers, self.http.execute(signed)).await.map_err(late)?;
        let answer = answer.map_err(|error| unconnected(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            return self.accept(request.media, answer).await;
        }
        // A refusal whose body cannot be read is a refusal all the same.
        let body = read_capped(answer.bytes_stream(), REFUSAL_CAP, self.limits.idle).await.unwrap_or_default();
        let mut refusal = refused((request.target.service, status), &headers, protocol.code(&headers, &body));
        if refusal.again == Again::Never && protocol.mends(&refusal, &headers).await {
            refusal.again = Again::After(None);
        }
        Err(refusal)
    }

    async fn accept(&self, media: Media, answer: reqwest::Response) -> Result<Answer, CallError> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let with_status = |error| CallError { status: status.as_u16(), ..error };
        let media_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        if media_type.is_some_and(|media_type| !media.is(media_type)) {
            let detail = "the answer has another content type than the service's: a proxy or a login page?";
            return Err(with_status(CallError::new(GapReason::Malformed, detail)));
        }
        let body = read_capped(answer.bytes_stream(), self.limits.body, self.limits.idle).await.map_err(with_status)?;
        Ok(Answer { status, headers, body })
    }
}

fn transport(connect: Duration) -> Result<reqwest::Client, CallError> {
    settings(connect).build().map_err(|_| CallError::new(GapReason::Timeout, "failed to set up the HTTP client"))
}

fn settings(connect: Duration) -> reqwest::ClientBuilder {
    install_crypto();
    reqwest::Client::builder().user_agent(USER_AGENT).redirect(Policy::none()).connect_timeout(connect)
}

async fn sign(request: &Request, protocol: &dyn Protocol) -> Result<reqwest::Request, CallError> {
    let mut formed = http::Request::new(request.body.clone());
    *formed.method_mut() = request.method.clone();
    *formed.uri_mut() = request.url.as_str().parse().map_err(|_| unformed())?;
    *formed.headers_mut() = request.headers.clone();
    protocol.sign(&mut formed).await?;
    reqwest::Request::try_from(formed).map_err(|_| unformed())
}

fn unformed() -> CallError {
    CallError::new(GapReason::Malformed, "failed to form the request")
}

/// Reads a body to its end under a cap. What is longer, stops or breaks off is only a part and is thrown away.
pub async fn read_capped<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    cap: usize,
    idle: Duration,
) -> Result<Bytes, CallError> {
    let mut stream = std::pin::pin!(stream);
    let mut read = BytesMut::new();
    loop {
        let stalled = |_| CallError::passing(GapReason::Timeout, "the answer stopped in its middle");
        let Some(piece) = timeout(idle, stream.next()).await.map_err(stalled)? else { return Ok(read.freeze()) };
        let piece = piece.map_err(|_| CallError::passing(GapReason::Partial, "the answer was cut short"))?;
        if read.len() + piece.len() > cap {
            return Err(CallError::new(GapReason::Partial, "the answer is longer than is read"));
        }
        read.extend_from_slice(&piece);
    }
}

/// Says why there was no answer. The text of the client's error holds the address, so only its sort is told.
fn unconnected(error: &reqwest::Error) -> CallError {
    match Obstacle::of(error) {
        Some(obstacle) if obstacle.is_lasting() => CallError::new(GapReason::Timeout, obstacle.to_string()),
        Some(obstacle) if error.is_connect() => CallError::passing(GapReason::Timeout, obstacle.to_string()),
        _ if error.is_connect() => CallError::passing(GapReason::Timeout, "failed to connect"),
        _ => CallError::passing(GapReason::Timeout, "the connection was lost before the answer"),
    }
}

/// Words of providers for a credential that may not.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "ExpiredToken",
    "ExpiredTokenException",
    "Forbidden",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnauthorizedException",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// Words of providers for a request to slow down that do not begin with `Throttl` or `TooManyRequests`.
const THROTTLED: &[&str] = &[
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "TransactionInProgressException",
];

/// Returns the gap that a refusal leaves.
pub fn classify(status: StatusCode, code: Option<&Code>) -> GapReason {
    let word = code.map_or("", Code::as_str);
    let is_throttle = |word: &str| word.starts_with("Throttl") || word.starts_with("TooManyRequests");
    match status {
        _ if is_throttle(word) || THROTTLED.contains(&word) => GapReason::Throttled,
        StatusCode::TOO_MANY_REQUESTS => GapReason::Throttled,
        _ if DENIED.contains(&word) => GapReason::Denied,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            GapReason::Denied
        }
        StatusCode::REQUEST_TIMEOUT => GapReason::Timeout,
        status if status.is_server_error() => GapReason::Timeout,
        // The provider itself says that it will not: not a fault of the transport, but nothing was read.
        _ if code.is_some() => GapReason::Partial,
        _ => GapReason::Malformed,
    }
}

fn refused((service, status): (&str, StatusCode), headers: &HeaderMap, code: Option<Code>) -> CallError {
    let named = code.as_ref().map(|code| format!(" ({})", code.as_str())).unwrap_or_default();
    let detail = if status.is_redirection() {
        format!("{service} redirects elsewhere, which is not followed")
    } else {
        format!("{service} answered {}{named}", status.as_u16())
    };
    let reason = classify(status, code.as_ref());
    let is_passing = matches!(reason, GapReason::Throttled | GapReason::Timeout);
    let is_passing = is_passing && status != StatusCode::NOT_IMPLEMENTED;
    let again = if is_passing { Again::After(retry_after(headers)) } else { Again::Never };
    CallError { reason, detail, status: status.as_u16(), code, again }
}

/// Returns how long the cloud asks to wait: seconds, or a date, which is compared with the cloud's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    date(asked)?.duration_since(date(text(DATE)?)?).try_into().ok()
}

/// Spreads retries over the whole of the pause.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1000;
    pause.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 1000.0)
}

#[cfg(test)]
pub(super) mod tests;
