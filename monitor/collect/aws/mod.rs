//! AWS: every kind of every account and region, by Cloud Control; stacks by CloudFormation; by CloudTrail, who did it.
//!
//! Accounts and regions are listed, or found out from the organization and from each account; they are entered by assuming
//! roles. Nothing is ever changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::Provider as Tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use driftwarden_core::finding::Actor;
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

use self::accounts::Member;
pub use self::accounts::{Account, Accounts, Organization};
use self::call::Caller;
use self::cloud_control::{CloudControl, Stop, gap};
use self::direct::{Direct, Reader};
pub use self::keys::Keys;
use self::lists::Lists;
pub use self::rescan::Rescan;
use self::rescan::{Again, Ledger, Memory, Way};
use self::sign::{Clock, Signer, Source};
use super::http::{CallError, Client, Limits};
use super::selection::{Selected, Selection};
use super::{
    CloudConfig, CollectError, Collector, Deed, Described, Grants, Read, Reading, Sink, Stack, Validity, Wanted,
};

mod accounts;
mod aliases;
mod call;
mod cloud_control;
mod describe;
pub mod direct;
mod home;
mod keys;
mod kinds;
mod lists;
mod permissions;
mod regions;
mod rescan;
mod sign;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod trail;

/// Kinds read at the same time; how fast they are read is the budget's business.
const KINDS_AT_ONCE: usize = 8;
/// Accounts that are asked for their regions at the same time.
const ACCOUNTS_AT_ONCE: usize = 8;
/// How long a list of the regions of an account is good for.
const REGIONS_KEPT: Duration = Duration::from_hours(1);
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
    /// Regions to read: names, patterns (`eu-*`) or `all`, which mean those that each account has enabled; the one of the
    /// profile or the environment if absent. Global services are read once, besides.
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
    /// Under which name assumed roles appear in CloudTrail.
    #[serde(default = "default_session_name")]
    pub session_name: String,
    /// Accounts to read: a list, or those of the organization; the account of the credentials if absent.
    #[serde(default)]
    pub accounts: Accounts,
    /// Address used for every service instead of AWS's own.
    #[serde(default)]
    pub endpoint: Option<Url>,
    /// Kinds to read (`AWS::S3::Bucket`, globs); all that can be listed if absent.
    #[serde(default)]
    pub kinds: Selection,
    /// Kinds to read by the services' own calls where that is cheaper (globs); all others go by Cloud Control.
    #[serde(default)]
    pub direct: Selection,
    /// How often each scope is read.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub every: Option<SignedDuration>,
    /// What the daemon reads again of what it has read: `lists`, if nothing is said, and the details of what CloudTrail's event history says
    /// was written since; by `events`, only the kinds of services that were written to; or `all`.
    #[serde(default)]
    pub rescan: Rescan,
    /// How often it reads everything again all the same.
    #[serde(default = "default_rescan_all_every")]
    #[schemars(with = "String")]
    pub rescan_all_every: SignedDuration,
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

fn default_rescan_all_every() -> SignedDuration {
    SignedDuration::from_hours(1)
}

fn default_max_pages() -> u32 {
    1000
}

fn default_session_name() -> String {
    "driftwarden".to_owned()
}

/// One configured AWS cloud.
pub struct Aws {
    config: Config,
    kinds: Selected,
    direct: Selected,
    http: Arc<Client>,
    /// Set up at the first use: looking for credentials and regions may take seconds.
    session: OnceCell<Session>,
    /// All kinds of each region, as AWS listed them.
    listed_kinds: Mutex<BTreeMap<Arc<str>, KindsUntil>>,
    /// The regions of each account that were last found to be enabled, and until when that is good.
    enabled: Mutex<BTreeMap<Arc<str>, RegionsUntil>>,
    /// The accounts in which nothing can be read, and why, as the last look at the list of accounts left them.
    blind: Mutex<BTreeMap<Arc<str>, Blindness>>,
    /// What was last read.
    memory: Memory,
    /// What was last listed for exact looks.
    lists: Lists,
}

/// Names of kinds, and until when they are good.
type KindsUntil = (Instant, Arc<[String]>);

/// Names of regions, and until when they are good.
type RegionsUntil = (Instant, Vec<Arc<str>>);

/// Why nothing in an account can be read.
type Blindness = (GapReason, String);

/// What the first use found out.
struct Session {
    /// Where accounts are entered from.
    region: Arc<str>,
    /// The regions that are named, and the patterns of others.
    regions: Vec<Arc<str>>,
    patterns: Vec<String>,
    endpoint: Option<Url>,
    clock: Clock,
    /// The credentials of the chain, or of the role that is assumed first.
    base: Arc<Signer>,
    /// The account that these belonged to when it was last asked.
    own: Mutex<Option<Arc<str>>>,
    /// Signers of the accounts that have a role of their own.
    signers: Mutex<BTreeMap<Arc<str>, Arc<Signer>>>,
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
            let limits = Limits { body: ANSWER_CAP, slow_services: trail::SLOW, ..Limits::default() };
            Client::new(&config.name, limits, rate)
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
        let direct = Selected::new(&config.direct).map_err(|error| invalid(format!("`direct`: {error}")))?;
        let http = client(&config).map_err(|error| invalid(error.detail))?;
        Ok(Self {
            config,
            kinds,
            direct,
            http: Arc::new(http),
            session: OnceCell::new(),
            listed_kinds: Mutex::default(),
            enabled: Mutex::default(),
            blind: Mutex::default(),
            memory: Memory::default(),
            lists: Lists::default(),
        })
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
        if let Some(region) = regions::named(&self.config.regions).next() {
            loader = loader.region(Region::new(region.to_owned()));
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
        let mut regions: Vec<Arc<str>> = regions::named(&self.config.regions).map(Arc::from).collect();
        let patterns = regions::patterns(&self.config.regions);
        let found = region.map(Arc::from);
        if self.config.regions.is_empty() {
            regions.extend(found.clone());
        }
        let home = || patterns.first().map(|pattern| call::home(pattern).into());
        let Some(region) = regions.first().cloned().or(found).or_else(home) else {
            let why = "no region: name some with `regions`, or set AWS_REGION".to_owned();
            return Err(CollectError::Config { cloud: self.config.name.clone(), why });
        };
        let endpoint = self.config.endpoint.clone().or(endpoint);
        let base = Signer::new(Source::Chain(chain), Arc::clone(&clock));
        let (own, signers) = (Mutex::default(), Mutex::default());
        let session = Session { region, regions, patterns, endpoint, clock, base, own, signers };
        let base = self.config.role.clone().map(|arn| self.assume(&session, arn));
        Ok(Session { base: base.unwrap_or_else(|| Arc::clone(&session.base)), ..session })
    }

    /// Returns a signer that assumes a role with the credentials of the session.
    fn assume(&self, session: &Session, arn: String) -> Arc<Signer> {
        let Config { external_id, session_name, .. } = &self.config;
        let (base, session_name) = (self.base(session), session_name.clone());
        let role = Source::Role { base, arn, external_id: external_id.clone(), session_name };
        Signer::new(role, Arc::clone(&session.clock))
    }

    /// Returns who asks with the credentials of the session.
    fn base(&self, session: &Session) -> Caller {
        Caller {
            http: Arc::clone(&self.http),
            signer: Arc::clone(&session.base),
            account: NOT_APPLICABLE.into(),
            region: Arc::clone(&session.region),
            endpoint: session.endpoint.clone(),
        }
    }

    async fn caller(&self, account: &Arc<str>, region: &Arc<str>) -> Result<Caller, CollectError> {
        let session = self.session().await?;
        let is_global = **region == *NOT_APPLICABLE;
        let region = if is_global { call::home(&session.region).into() } else { Arc::clone(region) };
        let signer = self.signer(session, account).await?;
        Ok(Caller { signer, account: Arc::clone(account), region, ..self.base(session) })
    }

    async fn signer(&self, session: &Session, account: &Arc<str>) -> Result<Arc<Signer>, CollectError> {
        let Some(arn) = self.config.accounts.role(account, &session.region) else {
            return Ok(Arc::clone(&session.base));
        };
        if matches!(self.config.accounts, Accounts::Organization(_)) {
            let known = session.own.lock().clone();
            let own = match known {
                Some(own) => own,
                None => self.own_account(session).await?,
            };
            // The role that lets others in is seldom in the account that they come from.
            if own == *account {
                return Ok(Arc::clone(&session.base));
            }
        }
        let mut signers = session.signers.lock();
        Ok(Arc::clone(signers.entry(Arc::clone(account)).or_insert_with(|| self.assume(session, arn))))
    }

    /// Asks which account the credentials of the session belong to. They may be exchanged while the daemon runs.
    async fn own_account(&self, session: &Session) -> Result<Arc<str>, CollectError> {
        let own = caller_account(&self.base(session)).await;
        let own: Arc<str> = own.map_err(|error| unread("the caller's account".to_owned(), error))?.into();
        *session.own.lock() = Some(Arc::clone(&own));
        Ok(own)
    }

    async fn members(&self, session: &Session) -> Result<Vec<Member>, CollectError> {
        match &self.config.accounts {
            Accounts::Listed(accounts) if accounts.is_empty() => {
                Ok(vec![Member::open(&self.own_account(session).await?)])
            }
            Accounts::Listed(accounts) => Ok(accounts.iter().map(|account| Member::open(&account.id)).collect()),
            Accounts::Organization(organization) => {
                self.own_account(session).await?;
                let caller = Caller { region: call::home(&session.region).into(), ..self.base(session) };
                let members = accounts::members(&caller, organization).await;
                members.map_err(|error| unread("the accounts of the organization".to_owned(), error))
            }
        }
    }

    /// Finds out which accounts there are, and the regions of each. An account in which nothing can be read keeps its
    /// regions, so that it is seen not to be read.
    async fn survey(&self, session: &Session) -> Result<Vec<(Arc<str>, Vec<Arc<str>>)>, CollectError> {
        let asked = self.members(session).await?.into_iter().map(|Member { id, blind }| async move {
            let regions = match blind {
                Some(blind) => Err(blind),
                None => self.regions(session, &id).await.map_err(|error| (error.reason(), told(&error))),
            };
            (id, regions)
        });
        let asked: Vec<_> = stream::iter(asked).buffered(ACCOUNTS_AT_ONCE).collect().await;
        let known = asked.iter().filter_map(|(_, regions)| regions.as_ref().ok()).flatten().cloned();
        let others: BTreeSet<Arc<str>> = known.chain(session.regions.iter().cloned()).collect();
        let is_answered = asked.iter().any(|(_, regions)| regions.is_ok());
        let (mut blind, mut accounts) = (BTreeMap::new(), Vec::new());
        for (id, regions) in asked {
            let regions = regions.unwrap_or_else(|why| {
                let before = self.enabled.lock().get(&id).map(|(_, regions)| regions.clone());
                blind.insert(Arc::clone(&id), why);
                before.unwrap_or_else(|| others.iter().cloned().collect())
            });
            accounts.push((id, regions));
        }
        if accounts.iter().all(|(_, regions)| regions.is_empty()) {
            // Whoever answered has enabled none that fits; else nobody answered.
            let why = if is_answered { None } else { blind.into_values().next() };
            return Err(self.no_region(why));
        }
        *self.blind.lock() = blind;
        Ok(accounts)
    }

    fn no_region(&self, why: Option<Blindness>) -> CollectError {
        match why {
            Some((reason, detail)) => unread("the regions of the accounts".to_owned(), CallError::new(reason, detail)),
            None => CollectError::Config {
                cloud: self.config.name.clone(),
                why: "`regions` fits no region that an account has enabled".to_owned(),
            },
        }
    }

    /// Returns the regions of an account that are to be read.
    async fn regions(&self, session: &Session, account: &Arc<str>) -> Result<Vec<Arc<str>>, CollectError> {
        if session.patterns.is_empty() {
            return Ok(session.regions.clone());
        }
        let now = Instant::now();
        let known = self.enabled.lock().get(account).cloned();
        if let Some((_, regions)) = known.filter(|(until, _)| now < *until) {
            return Ok(regions);
        }
        let caller = self.caller(account, &session.region).await?;
        let enabled = regions::enabled(&caller, &session.patterns).await;
        let enabled = enabled.map_err(|error| unread(format!("the regions of account `{account}`"), error))?;
        let all: BTreeSet<_> = session.regions.iter().cloned().chain(enabled.into_iter().map(Arc::from)).collect();
        let regions: Vec<_> = all.into_iter().collect();
        self.enabled.lock().insert(Arc::clone(account), (now + REGIONS_KEPT, regions.clone()));
        Ok(regions)
    }

    /// Returns the kinds to be read in a scope: of those that AWS itself does not have, only what somebody looks at.
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

    /// Returns how a kind is read by its service's own calls, if it is.
    fn direct(&self, kind: &Kind) -> Option<&'static Direct> {
        direct::of(kind).filter(|direct| self.direct.takes(direct.kind))
    }

    /// Reads a kind, as far as it is not known to be as it was, and says what came of it.
    async fn read_kind(
        &self,
        caller: &Caller,
        kind: &Kind,
        (again, wanted): (&Again<'_>, &Wanted),
        sink: &Sink,
    ) -> Result<(), Stop> {
        let direct = self.direct(kind);
        let ledger = match again.way(kind, direct.is_some()) {
            Way::Read(ledger) => ledger,
            Way::Keep => {
                let kept = Read::KeptAll { kind: kind.clone(), as_of: again.as_of() };
                sink.send(kept).await.map_err(|_| Stop::Closed)?;
                return sink.send(Read::Complete(kind.clone())).await.map_err(|_| Stop::Closed);
            }
        };
        let read = self.read_by(caller, (kind, direct), wanted, (&ledger, sink)).instrument(info_span!("kind", %kind));
        let Some(said) = read.await? else { return Ok(()) };
        match said {
            Read::Complete(_) => again.learn(kind, ledger),
            _ => again.forget(kind),
        }
        sink.send(said).await.map_err(|_| Stop::Closed)
    }

    /// Reads a kind; returns what is to be said at the end, if anything is.
    async fn read_by(
        &self,
        caller: &Caller,
        (kind, direct): (&Kind, Option<&'static Direct>),
        wanted: &Wanted,
        (ledger, sink): (&Ledger, &Sink),
    ) -> Result<Option<Read>, Stop> {
        let max_pages = self.config.max_pages;
        if let Some(direct) = direct {
            let reader = Reader { caller, max_pages };
            return reader.read_kind(direct, (kind, wanted), (ledger, sink)).await.map(Some);
        }
        let depth = if wanted.full.contains(kind) { Depth::Full } else { Depth::Listed };
        match (CloudControl { caller, max_pages }).read_kind((kind, depth), (ledger, sink)).await {
            Err(Stop::Unlistable) if self.is_named(kind, wanted) => {
                Ok(Some(gap(Some(kind), GapReason::Partial, "Cloud Control cannot list this kind".to_owned())))
            }
            // Of all kinds that there are, many can only be listed below another resource; nobody asked for this one.
            Err(Stop::Unlistable) => {
                tracing::debug!(%kind, region = &*caller.region, "the kind cannot be listed and was not asked for");
                Ok(None)
            }
            ended => ended.map(Some),
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
        for (account, regions) in self.survey(session).await? {
            for region in regions.into_iter().chain([NOT_APPLICABLE.into()]) {
                let (cloud, account) = (Arc::clone(&cloud), Arc::clone(&account));
                scopes.push(Scope { cloud, provider: Provider::Aws, account, region });
            }
        }
        Ok(scopes)
    }

    async fn contact(&self) -> Result<(), CollectError> {
        let session = self.session().await?;
        for (account, _) in self.survey(session).await? {
            let entered = self.blind.lock().get(&account).cloned().map_or(Ok(()), Err);
            let what = || format!("account `{account}`");
            entered.map_err(|(reason, detail)| unread(what(), CallError::new(reason, detail)))?;
            let caller = self.caller(&account, &session.region).await?;
            caller_account(&caller).await.map_err(|error| unread(what(), error))?;
        }
        Ok(())
    }

    async fn permissions(&self, kinds: &BTreeSet<Kind>) -> Result<Option<Grants>, CollectError> {
        let caller = self.base(self.session().await?);
        let named = self.config.kinds.literal().unwrap_or_default().iter().map(|name| Kind::from(name.as_str()));
        let wanted = kinds.iter().filter(|kind| kinds::is_aws(kind) && self.kinds.takes(kind.as_str())).cloned();
        let all = named.chain(wanted).collect();
        let direct = |kind: &Kind| self.direct(kind);
        let mut grants = permissions::grants(&self.config, &caller, &all, direct).await;
        if self.config.kinds.literal().is_none() {
            let cloud = &self.config.name;
            grants.remark = Some(format!(
                "cloud `{cloud}` lists every kind: name them under `kinds`, or let AWS's own policy ViewOnlyAccess cover the rest"
            ));
        }
        Ok(Some(grants))
    }

    async fn collect(&self, scope: &Scope, wanted: &Wanted, sink: Sink) {
        let entered = async {
            self.blind.lock().get(&scope.account).cloned().map_or(Ok(()), Err)?;
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
        let rescan = (&self.memory, self.config.rescan, self.config.rescan_all_every);
        let again = Again::begin(rescan, (scope, wanted), &caller).await;
        let (caller, sink, again) = (&caller, &sink, &again);
        let reads =
            kinds.into_iter().map(|kind| async move { self.read_kind(caller, &kind, (again, wanted), sink).await });
        let mut reads = stream::iter(reads).buffer_unordered(KINDS_AT_ONCE);
        while let Some(Ok(())) = reads.next().await {}
    }

    async fn read(&self, id: &ResourceId, wanted: &Wanted) -> Result<Reading, CollectError> {
        let caller = self.caller(&id.account, &id.region).await?;
        let (caller, max_pages) = (&caller, self.config.max_pages);
        let shared = &self.lists.of(&id.account, &id.region);
        let read = match self.direct(&id.kind) {
            Some(direct) => Reader { caller, max_pages }.read(direct, &id.kind, (&id.name, wanted), shared).await,
            None => CloudControl { caller, max_pages }.read(&id.kind, (&id.name, wanted), shared).await,
        };
        read.map_err(|error| unread(format!("`{id}`"), error))
    }

    fn forget(&self, scope: &Scope) {
        self.lists.forget(scope);
    }

    async fn authors(&self, scope: &Scope, deeds: &[Deed]) -> Vec<Actor> {
        let (actors, error) = match self.caller(&scope.account, &scope.region).await {
            Ok(caller) => trail::authors(&caller, deeds).await,
            Err(error) => (trail::nobody(deeds), Some(told(&error))),
        };
        if let Some(error) = error {
            tracing::warn!(%scope, error, "failed to ask CloudTrail who made changes");
        }
        actors
    }

    /// A kind of AWS's own is the same for everybody; those of others are registered in each account and region.
    fn validity(&self, scope: &Scope, kind: &Kind) -> Option<Validity> {
        if !kinds::is_aws(kind) {
            return None;
        }
        let session = self.session.get();
        let endpoint = self.config.endpoint.as_ref().or_else(|| session?.endpoint.as_ref());
        if session.is_none() && endpoint.is_none() {
            // Nobody has looked yet whether the environment or the profile names another address.
            return None;
        }
        let home = regions::named(&self.config.regions).next().or_else(|| Some(&*session?.region));
        let region = Some(&*scope.region).filter(|region| *region != NOT_APPLICABLE).or(home)?;
        let mut realm = call::partition_name(region).to_owned();
        if !kind.as_str().starts_with("AWS::") {
            realm = format!("{realm}/{}/{}", scope.account, scope.region);
        }
        if let Some(endpoint) = endpoint {
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

    async fn key_aliases(&self, scope: &Scope) -> Result<BTreeMap<String, String>, CollectError> {
        let caller = self.caller(&scope.account, &scope.region).await?;
        aliases::targets(&caller).await.map_err(|error| unread("the aliases of keys".to_owned(), error))
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
    if !(0.1..=1000.0).contains(&config.requests_per_second) {
        return Some("`requests_per_second` must be between 0.1 and 1000".to_owned());
    }
    if config.max_pages == 0 {
        return Some("`max_pages` must be at least 1".to_owned());
    }
    if let Some(region) = config.regions.iter().find(|region| !regions::is_region(region)) {
        return Some(format!("`{region}` is no region; write names, patterns such as eu-*, or all"));
    }
    if !sign::is_session_name(&config.session_name) {
        return Some("`session_name` must have 2 to 64 letters, digits or any of _ + = , . @ -".to_owned());
    }
    if let Some(why) = config.accounts.objection() {
        return Some(why);
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
