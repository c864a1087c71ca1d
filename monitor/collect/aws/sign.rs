//! Who we are to AWS: credentials, kept and renewed, and Signature Version 4.
//!
//! Where the credentials come from is the business of Amazon's own chain; roles are assumed here, by the one client, so
//! that those requests are budgeted, limited and counted like all others. Nothing here can be printed with a secret in it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use driftwarden_core::resource::GapReason;
use http::HeaderMap;
use http::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::call::Caller;
use crate::collect::http::CallError;

/// Credentials are renewed that long before they expire.
const RENEWED_EARLY: SignedDuration = SignedDuration::from_mins(5);
/// Credentials that do not say when they expire are asked for anew after that long: people rotate them.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// How long the chain may look for credentials.
const CHAIN_DEADLINE: Duration = Duration::from_secs(30);
/// AWS takes a signature that is at most five minutes old or early.
const TOLERATED_SKEW: SignedDuration = SignedDuration::from_mins(4);

/// What time it is, for signatures and the ends of credentials; nothing is judged by it.
pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where credentials come from.
pub(super) enum Source {
    /// Amazon's chain: environment, profile, SSO, web identity, container, instance.
    Chain(SharedCredentialsProvider),
    /// A role that is assumed with other credentials.
    Role {
        /// Calls STS with the credentials that may assume it.
        base: Caller,
        /// The role's ARN.
        arn: String,
        /// What the role's trust policy asks for.
        external_id: Option<String>,
        /// Under which name it appears in CloudTrail.
        session_name: String,
    },
}

/// Signs requests as one principal.
pub(super) struct Signer {
    source: Source,
    clock: Clock,
    /// Seconds to be added to our clock to have the cloud's.
    skew: AtomicI64,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credentials: Credentials,
    until: Timestamp,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(source: Source, clock: Clock) -> Arc<Self> {
        Arc::new(Self { source, clock, skew: AtomicI64::new(0), kept: Mutex::new(None) })
    }

    fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_secs(self.skew.load(Ordering::Relaxed));
        (self.clock)().saturating_add(skew).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns whether our clock was found to be wrong.
    pub(super) fn is_skewed(&self) -> bool {
        self.skew.load(Ordering::Relaxed) != 0
    }

    /// Returns the credentials in force.
    pub(super) async fn credentials(&self) -> Result<Credentials, CallError> {
        // Held while they are renewed: all others wait for the one who asks.
        let mut kept = self.kept.lock().await;
        let now = self.now();
        if let Some(Kept { credentials, .. }) = kept.as_ref().filter(|kept| now < kept.until) {
            return Ok(credentials.clone());
        }
        let credentials = self.renew().await?;
        let expiry = credentials.expiry().and_then(|at| Timestamp::try_from(at).ok());
        let until = expiry.map_or(now.saturating_add(KEPT), |at| at.saturating_sub(RENEWED_EARLY));
        *kept = until.ok().map(|until| Kept { credentials: credentials.clone(), until });
        Ok(credentials)
    }

    async fn renew(&self) -> Result<Credentials, CallError> {
        match &self.source {
            Source::Chain(chain) => {
                let found = tokio::time::timeout(CHAIN_DEADLINE, chain.provide_credentials()).await;
                let late = |_| CallError::new(GapReason::Timeout, "failed to load AWS credentials: no answer in time");
                found.map_err(late)?.map_err(|error| unloaded(&error))
            }
            Source::Role { base, arn, external_id, session_name } => {
                assume(base, arn, (session_name, external_id.as_deref())).await
            }
        }
    }

    /// Forgets the credentials, for they no longer hold.
    async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// Signs a request for a service in a region.
    pub(super) async fn sign(
        &self,
        request: &mut http::Request<Bytes>,
        (service, region): (&str, &str),
    ) -> Result<(), CallError> {
        let identity = self.credentials().await?.into();
        let unsigned = || CallError::new(GapReason::Malformed, "failed to sign the request");
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(SystemTime::from(self.now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unsigned())?;
        let uri = request.uri().to_string();
        let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body());
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, body).map_err(|_| unsigned())?;
        let signed = aws_sigv4::http_request::sign(signable, &params.into()).map_err(|_| unsigned())?;
        signed.into_parts().0.apply_to_request_http1x(request);
        Ok(())
    }

    /// Sets the clock, or forgets the credentials, if that is what a refusal asks for. Returns whether it was.
    pub(super) async fn mends(&self, refusal: &CallError, headers: &HeaderMap) -> bool {
        if refusal.is(STALE) {
            self.forget().await;
            return true;
        }
        refusal.is(SKEWED) && self.set_clock(headers).is_some()
    }

    fn set_clock(&self, headers: &HeaderMap) -> Option<()> {
        let theirs = DateTimeParser::new().parse_timestamp(headers.get(DATE)?.to_str().ok()?).ok()?;
        if theirs.duration_since(self.now()).abs() < TOLERATED_SKEW {
            return None;
        }
        self.skew.store(theirs.duration_since((self.clock)()).as_secs(), Ordering::Relaxed);
        Some(())
    }
}

/// Words for credentials that held once.
const STALE: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// Words for a signature that may be of another time.
const SKEWED: &[&str] = &[
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Says why the chain has no credentials. Its own text may quote a file or the output of a process.
fn unloaded(error: &CredentialsError) -> CallError {
    let (reason, what) = match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            (GapReason::Denied, "there are none in the environment, the profile, SSO, the container or the instance")
        }
        CredentialsError::ProviderTimedOut(_) => (GapReason::Timeout, "no answer in time"),
        CredentialsError::InvalidConfiguration(_) => (GapReason::Denied, "the profile is invalid"),
        _ => (GapReason::Denied, "the provider of the credentials refused or failed"),
    };
    CallError::new(reason, format!("failed to load AWS credentials: {what}"))
}

/// Returns whether a role can be assumed under this name.
pub(super) fn is_session_name(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (2..=64).contains(&name.len()) && name.bytes().all(is_part)
}

async fn assume(
    base: &Caller,
    arn: &str,
    (session_name, external_id): (&str, Option<&str>),
) -> Result<Credentials, CallError> {
    let mut parameters = vec![("RoleArn", arn), ("RoleSessionName", session_name)];
    parameters.extend(external_id.map(|id| ("ExternalId", id)));
    let answer = base.query("sts", "AssumeRole", &parameters).await.map_err(|mut error| {
        error.detail = format!("failed to assume the role `{arn}`: {}", error.detail);
        error
    })?;
    let Assumed { result: AssumedResult { credentials } } = answer.xml()?;
    let expiry = credentials.expiration.parse::<Timestamp>().ok().map(SystemTime::from);
    let AssumedCredentials { id, secret, token, .. } = credentials;
    Ok(Credentials::new(id, secret, Some(token), expiry, "AssumeRole"))
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "AssumeRoleResult")]
    result: AssumedResult,
}

#[derive(Deserialize)]
struct AssumedResult {
    #[serde(rename = "Credentials")]
    credentials: AssumedCredentials,
}

#[derive(Deserialize)]
struct AssumedCredentials {
    #[serde(rename = "AccessKeyId")]
    id: String,
    #[serde(rename = "SecretAccessKey")]
    secret: String,
    #[serde(rename = "SessionToken")]
    token: String,
    #[serde(rename = "Expiration")]
    expiration: String,
}
