//! AWS: every kind of every account and region, by Cloud Control; stacks by CloudFormation.
//!
//! Accounts are entered by assuming roles. Who changed something is not asked here, and nothing is ever changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::Provider as Tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use driftwarden_core::region;
use driftwarden_core::resource::{Depth, GapReason, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::Instant;
use tracing::{Instrument, info_span};
use url::Url;

use self::call::Caller;
use self::cloud_control::{CloudControl, Stop, gap};
pub use self::keys::Keys;
use self::sign::{Clock, Signer, Source};
use super::http::{CallError, Client, Limits};
use super::selection::{Selected, Selection};
use super::{CloudConfig, CollectError, Collector, Described, Reading, Sink, Stack, Validity, Wanted};

mod call;
mod cloud_control;
mod describe;
mod home;
mod keys;
mod kinds;
mod sign;
mod stack;
#[cfg(test)]
mod tests;

/// Kinds read at the same time; how fast they are read is the budget's business.
const KINDS_AT_ONCE: usize = 8;
/// Longest answer. The service itself sends about a megabyte at most, and several are held at the same time.
const ANSWER_CAP: usize = 16 << 20;
/// How long a list of all kinds is good for.
const KINDS_KEPT: Duration = Duration::from_hours(12);

/// AWS accounts to be watched.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this cloud.
    pub name: String,
    /// Regions to read; the one of the profile or the environment if absent. Global services are read once, besides.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Profile of the AWS configuration files; the environment's if absent.
    #[serde(default)]
    pub profile: Option<String>,
    /// An access key to be used instead of the environment's, the profile's or the machine's credentials.
    #[serde(default)]
    pub credentials: Option<Keys>,
    /// ARN of a role to assume first, before the roles of the accounts.
    #[serde(default)]
    pub role: Option<String>,
    /// External id that the trust policies of the roles ask for.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Accounts to read; the account of the credentials if absent.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// Address used for every service instead of AWS's own.
    #[serde(default)]
    pub endpoint: Option<Url>,
    /// Kinds to read (`AWS::S3::Bucket`, globs); all that can be listed if absent.
    #[serde(default)]
    pub kinds: Selection,
    /// How often each scope is read.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub every: Option<SignedDuration>,
    /// Most requests in a second to one service in one account and region.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 0.1, max = 1000.0))]
    pub requests_per_second: f64,
    /// Most requests in a day to one service in one account and region.
    #[serde(default)]
    pub requests_per_day: Option<u64>,
    /// Most pages of one kind, of up to 100 resources each.
    #[serde(default = "default_max_pages")]
    #[schemars(range(min = 1))]
    pub max_pages: u32,
}

impl CloudConfig for Config {
    fn name(&self) -> &str {
        &self.name
    }

    fn every(&self) -> Option<SignedDuration> {
        self.every
    }

    fn build(&self) -> Result<Arc<dyn Collector>, CollectError> {
        Ok(Arc::new(Aws::new(self.clone())?))
    }
}

fn default_requests_per_second() -> f64 {
    10.0
}

fn default_max_pages() -> u32 {
    1000
}

/// One account to be read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    pub id: String,
    /// Name or ARN of the role to assume in it; the credentials as they are if absent.
    #[serde(default)]
    pub role: Option<String>,
}

/// One configured AWS cloud.
pub struct Aws {
    config: Config,
    kinds: Selected,
    http: Arc<Client>,
    /// Set up at the first use: looking for credentials and regions may take seconds.
    session: OnceCell<Session>,
    /// All kinds of each region, as AWS listed them.
    listed_kinds: Mutex<BTreeMap<Arc<str>, KindsUntil>>,
}

/// Names of kinds, and until when they are good.
type KindsUntil = (Instant, Arc<[String]>);

/// What the first use found out.
struct Session {
    regions: Vec<Arc<str>>,
    endpoint: Option<Url>,
    /// The credentials of the chain, or of the role that is assumed first.
    base: Arc<Signer>,
    /// Signers of the accounts that have a role of their own.
    signers: BTreeMap<Arc<str>, Arc<Signer>>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Aws {
    /// Returns the cloud that is configured. Contacts nothing.
    pub fn new(config: Config) -> Result<Self, CollectError> {
        Self::with_client(config, |config| {
            let rate = rate(config);
            Client::new(&config.name, Limits { body: ANSWER_CAP, ..Limits::default() }, rate)
        })
    }

    fn with_client(
        config: Config,
        client: impl FnOnce(&Config) -> Result<Client, CallError>,
    ) -> Result<Self, CollectError> {
        let invalid = |why: String| CollectError::Config { cloud: config.name.clone(), why };
        if let Some(why) = objection(&config) {
            return Err(invalid(why));
        }
        let kinds = Selected::new(&config.kinds).map_err(|error| invalid(format!("`kinds`: {error}")))?;
        let http = client(&config).map_err(|error| invalid(error.detail))?;
        let (session, listed_kinds) = (OnceCell::new(), Mutex::default());
        Ok(Self { config, kinds, http: Arc::new(http), session, listed_kinds })
    }

    async fn session(&self) -> Result<&Session, CollectError> {
        self.session.get_or_try_init(|| self.enter()).await
    }

    async fn enter(&self) -> Result<Session, CollectError> {
        let tls = Tls::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(profile) = &self.config.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(keys) = &self.config.credentials {
            loader = loader.credentials_provider(keys.clone());
        }
        if let Some(region) = self.config.regions.first() {
            loader = loader.region(Region::new(region.clone()));
        }
        let found = loader.load().await;
        let invalid = |why: &str| CollectError::Config { cloud: self.config.name.clone(), why: why.to_owned() };
        // The clock of Amazon's chain, so that both agree when credentials expire.
        let time = found.time_source().ok_or_else(|| invalid("there is no clock"))?;
        let clock: Clock = Arc::new(move || Timestamp::try_from(time.now()).unwrap_or(Timestamp::UNIX_EPOCH));
        let chain = found.credentials_provider().ok_or_else(|| invalid("there is no provider of credentials"))?;
        let region = found.region().map(ToString::to_string);
        let endpoint = found.endpoint_url().map(Url::parse).transpose();
        let endpoint = endpoint.map_err(|_| invalid("the endpoint of the environment or profile is no URL"))?;
        self.session_with((chain, clock), region, endpoint)
    }

    fn session_with(
        &self,
        (chain, clock): (SharedCredentialsProvider, Clock),
        region: Option<String>,
        endpoint: Option<Url>,
    ) -> Result<Session, CollectError> {
        let mut regions: Vec<Arc<str>> = self.config.regions.iter().map(|region| region.as_str().into()).collect();
        if regions.is_empty() {
            regions.extend(region.map(Arc::from));
        }
        let Some(first) = regions.first().cloned() else {
            let why = "no region: name some with `regions`, or set AWS_REGION".to_owned();
            return Err(CollectError::Config { cloud: self.config.name.clone(), why });
        };
        let endpoint = self.config.endpoint.clone().or(endpoint);
        let http = &self.http;
        let assume = |signer: &Arc<Signer>, arn: String| {
            let account = NOT_APPLICABLE.into();
            let (http, signer, region) = (Arc::clone(http), Arc::clone(signer), Arc::clone(&first));
            let base = Caller { http, signer, account, region, endpoint: endpoint.clone() };
            Signer::new(Source::Role { base, arn, external_id: self.config.external_id.clone() }, Arc::clone(&clock))
        };
        let chain = Signer::new(Source::Chain(chain), Arc::clone(&clock));
        let base = self.config.role.clone().map_or(Arc::clone(&chain), |arn| assume(&chain, arn));
        let own = |account: &Account| {
            let arn = call::role_arn(account.role.as_deref()?, &account.id, &first);
            Some((account.id.as_str().into(), assume(&base, arn)))
        };
        let signers = self.config.accounts.iter().filter_map(own).collect();
        Ok(Session { regions, endpoint, base, signers })
    }

    async fn caller(&self, account: &Arc<str>, region: &Arc<str>) -> Result<Caller, CollectError> {
        let session = self.session().await?;
        let home = || session.regions.first().map_or("us-east-1", |region| call::home(region)).into();
        Ok(Caller {
            http: Arc::clone(&self.http),
            signer: Arc::clone(session.signers.get(account).unwrap_or(&session.base)),
            account: Arc::clone(account),
            region: if **region == *NOT_APPLICABLE { home() } else { Arc::clone(region) },
            endpoint: session.endpoint.clone(),
        })
    }

    async fn accounts(&self, session: &Session) -> Result<Vec<Arc<str>>, CollectError> {
        if !self.config.accounts.is_empty() {
            return Ok(self.config.accounts.iter().map(|account| account.id.as_str().into()).collect());
        }
        let region = session.regions.first().cloned().unwrap_or_else(|| NOT_APPLICABLE.into());
        let caller = self.caller(&NOT_APPLICABLE.into(), &region).await?;
        let account = caller_account(&caller).await;
        account.map(|account| vec![account.into()]).map_err(|error| unread("the caller's account".to_owned(), error))
    }

    /// Returns the kinds to be read in a scope.
    async fn kinds_in(&self, scope: &Scope, caller: &Caller, wanted: &Wanted) -> BTreeSet<Kind> {
        let all = match self.config.kinds.literal() {
            Some(named) => named.into(),
            None => self.all_kinds(caller).await,
        };
        let is_global = *scope.region == *NOT_APPLICABLE;
        let wanted = wanted.full.iter().filter(|kind| kinds::is_aws(kind)).cloned();
        let all = all.iter().map(|name| Kind::from(name.as_str()));
        let is_here = |kind: &Kind| region::is_global(kind) == is_global && self.kinds.takes(kind.as_str());
        all.chain(wanted).filter(is_here).collect()
    }

    /// Returns all kinds that there are, as far as AWS tells.
    async fn all_kinds(&self, caller: &Caller) -> Arc<[String]> {
        let now = Instant::now();
        let known = self.listed_kinds.lock().get(&caller.region).cloned();
        if let Some((_, kinds)) = known.as_ref().filter(|(until, _)| now < *until) {
            return Arc::clone(kinds);
        }
        match stack::kinds(caller).await {
            Ok(kinds) if !kinds.is_empty() => {
                let until = now + KINDS_KEPT;
                let kinds: Arc<[String]> = kinds.into();
                self.listed_kinds.lock().insert(Arc::clone(&caller.region), (until, Arc::clone(&kinds)));
                kinds
            }
            failed => {
                let error = failed.err().map_or_else(|| "the list is empty".to_owned(), |error| error.detail);
                tracing::debug!(cloud = self.config.name, region = &*caller.region, error, "failed to list all kinds");
                let built_in = || kinds::BUILT_IN.iter().map(|&name| name.to_owned()).collect();
                known.map_or_else(built_in, |(_, kinds)| kinds)
            }
        }
    }

    /// Returns whether the kind was asked for by its name, so that it must be told if it cannot be listed.
    fn is_named(&self, kind: &Kind, wanted: &Wanted) -> bool {
        wanted.full.contains(kind) || self.config.kinds.include.iter().any(|name| name == kind.as_str())
    }

    async fn read_kind(&self, caller: &Caller, kind: &Kind, wanted: &Wanted, sink: &Sink) -> Result<(), Stop> {
        let control = CloudControl { caller, max_pages: self.config.max_pages };
        let depth = if wanted.full.contains(kind) { Depth::Full } else { Depth::Listed };
        let span = info_span!("kind", %kind);
        match control.read_kind(kind, depth, sink).instrument(span).await {
            Err(Stop::Unlistable) if self.is_named(kind, wanted) => {
                let said = gap(Some(kind), GapReason::Partial, "Cloud Control cannot list this kind".to_owned());
                sink.send(said).await.map_err(|_| Stop::Closed)
            }
            // Of all kinds that there are, many can only be listed below another resource; nobody asked for this one.
            Err(Stop::Unlistable) => {
                tracing::debug!(%kind, region = &*caller.region, "the kind cannot be listed and was not asked for");
                Ok(())
            }
            ended => ended,
        }
    }
}

#[async_trait]
impl Collector for Aws {
    fn provider(&self) -> Provider {
        Provider::Aws
    }

    async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
        let session = self.session().await?;
        let cloud: Arc<str> = self.config.name.as_str().into();
        let mut scopes = Vec::new();
        for account in self.accounts(session).await? {
            for region in session.regions.iter().cloned().chain([NOT_APPLICABLE.into()]) {
                let (cloud, account) = (Arc::clone(&cloud), Arc::clone(&account));
                scopes.push(Scope { cloud, provider: Provider::Aws, account, region });
            }
        }
        Ok(scopes)
    }

    async fn contact(&self) -> Result<(), CollectError> {
        let session = self.session().await?;
        let region = session.regions.first().cloned().unwrap_or_else(|| NOT_APPLICABLE.into());
        for account in self.accounts(session).await? {
            let caller = self.caller(&account, &region).await?;
            caller_account(&caller).await.map_err(|error| unread(format!("account `{account}`"), error))?;
        }
        Ok(())
    }

    async fn collect(&self, scope: &Scope, wanted: &Wanted, sink: Sink) {
        let entered = async {
            let caller =
                self.caller(&scope.account, &scope.region).await.map_err(|error| (error.reason(), told(&error)))?;
            // An account that cannot be entered is one gap, not one for each kind.
            caller.signer.credentials().await.map_err(|error| (error.reason, error.detail))?;
            Ok(caller)
        };
        let caller = match entered.await {
            Ok(caller) => caller,
            Err((reason, detail)) => return drop(sink.send(gap(None, reason, detail)).await),
        };
        let kinds = self.kinds_in(scope, &caller, wanted).await;
        let (caller, sink) = (&caller, &sink);
        let reads = kinds.into_iter().map(|kind| async move { self.read_kind(caller, &kind, wanted, sink).await });
        let mut reads = stream::iter(reads).buffer_unordered(KINDS_AT_ONCE);
        while let Some(Ok(())) = reads.next().await {}
    }

    async fn read(&self, id: &ResourceId) -> Result<Reading, CollectError> {
        let caller = self.caller(&id.account, &id.region).await?;
        let control = CloudControl { caller: &caller, max_pages: self.config.max_pages };
        control.read(&id.kind, &id.name).await.map_err(|error| unread(format!("`{id}`"), error))
    }

    /// A kind of AWS's own is the same for everybody; those of others are registered in each account and region.
    fn validity(&self, scope: &Scope, kind: &Kind) -> Option<Validity> {
        if !kinds::is_aws(kind) {
            return None;
        }
        let session = self.session.get();
        let first = session.and_then(|session| session.regions.first());
        let region = Some(&scope.region).filter(|region| ***region != *NOT_APPLICABLE).or(first);
        let mut realm = region.map_or("aws", |region| call::partition_name(region)).to_owned();
        if !kind.as_str().starts_with("AWS::") {
            realm = format!("{realm}/{}/{}", scope.account, scope.region);
        }
        if let Some(endpoint) = session.and_then(|session| session.endpoint.as_ref()) {
            realm = format!("{realm} at {endpoint}");
        }
        Some(Validity { realm: realm.into(), life: describe::LIFE })
    }

    async fn describe(&self, scope: &Scope, kinds: &[Kind], sink: mpsc::Sender<Described>) {
        match self.caller(&scope.account, &scope.region).await {
            Ok(caller) => describe::describe(&caller, kinds, &sink).await,
            // Kinds of which nothing is said count as not described.
            Err(error) => tracing::debug!(%scope, error = told(&error), "failed to ask for schemas"),
        }
    }

    async fn stack(&self, scope: &Scope, name: &str) -> Result<Option<Stack>, CollectError> {
        let caller = self.caller(&scope.account, &scope.region).await?;
        stack::stack(&caller, name).await.map_err(|error| unread(format!("stack `{name}` in {scope}"), error))
    }
}

fn rate(config: &Config) -> (f64, u64) {
    (config.requests_per_second, config.requests_per_day.unwrap_or(u64::MAX))
}

/// Returns what is wrong with a configuration, if something is.
fn objection(config: &Config) -> Option<String> {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    let is_region = |region: &str| !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let mut ids = BTreeSet::new();
    if !(0.1..=1000.0).contains(&config.requests_per_second) {
        return Some("`requests_per_second` must be between 0.1 and 1000".to_owned());
    }
    if config.max_pages == 0 {
        return Some("`max_pages` must be at least 1".to_owned());
    }
    if let Some(region) = config.regions.iter().find(|region| !is_region(region)) {
        return Some(format!("`{region}` is no region"));
    }
    if let Some(account) = config.accounts.iter().find(|account| !is_id(&account.id)) {
        return Some(format!("`{}` is no account: expected 12 digits", account.id));
    }
    if let Some(account) = config.accounts.iter().find(|account| !ids.insert(&account.id)) {
        return Some(format!("account `{}` is named twice", account.id));
    }
    if config.role.as_ref().is_some_and(|role| !role.starts_with("arn:")) {
        return Some("`role` must be an ARN; the roles of `accounts` may be names".to_owned());
    }
    None
}

fn unread(what: String, error: CallError) -> CollectError {
    CollectError::Unread { what, reason: error.reason, source: error.into() }
}

/// Says an error with its sources, for a gap's detail.
fn told(error: &CollectError) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn caller_account(caller: &Caller) -> Result<String, CallError> {
    let identity: Identity = caller.query("sts", "GetCallerIdentity", &[]).await?.xml()?;
    Ok(identity.result.account)
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "GetCallerIdentityResult")]
    result: IdentityResult,
}

#[derive(Deserialize)]
struct IdentityResult {
    #[serde(rename = "Account")]
    account: String,
}
