//! The memory of the daemon: findings and their history, the outbox, the intents, the audit rows.
//!
//! One transaction saves what a scan saw *and* what follows from it (I11), so that nothing is told that was not saved and
//! nothing is saved that is not told. A store decides nothing: it keeps, and it refuses what contradicts what it has.

#[cfg(test)]
mod conformance;
mod form;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::decide::Action;
use driftwarden_core::finding::{Finding, Fingerprint, Phase, Severity, Step};
use driftwarden_core::resource::{GapReason, Kind, ResourceId, Scope};
use driftwarden_core::schema::Schema;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the memory is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `sqlite://PATH`, relative to the working directory.
    pub url: String,
    /// For how many days resolved findings, scans, history and sent notifications are kept. What is open, what is of unknown
    /// outcome, dead letters and the audit log stay.
    pub retention_days: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: "sqlite://./driftwarden.db".to_owned(), retention_days: 90 }
    }
}

impl Config {
    /// Returns the time before which things are forgotten, as it is `now`.
    pub fn forgotten_before(&self, now: Timestamp) -> Timestamp {
        now - SignedDuration::from_hours(24) * i32::from(self.retention_days)
    }

    /// Returns the file of the database.
    pub fn path(&self) -> Result<&Path, StoreError> {
        let path = self.url.strip_prefix("sqlite://").filter(|path| !path.is_empty());
        path.map(Path::new).ok_or(StoreError::Url)
    }
}

/// Why the memory did not answer, or refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no store that this program knows.
    #[error("invalid store url: expected `sqlite://PATH`")]
    Url,
    /// The file is not a database of this program. It is left as it is.
    #[error("not allowed to use `{path}`: it is not a driftwarden database")]
    Foreign {
        /// Path of the file.
        path: String,
    },
    /// The database is damaged. It is left as it is, and nothing is started in its place (I13).
    #[error("failed to trust {what}: {why}")]
    Damaged {
        /// Which database.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A newer program wrote the database (I14).
    #[error("not allowed to use a database of schema {found}: this program knows up to {known}")]
    Newer {
        /// Schema of the database.
        found: i64,
        /// Newest schema that this program knows.
        known: i64,
    },
    /// The SQLite library is too old to be trusted with a write-ahead log.
    #[error("not allowed to use SQLite {found}: 3.51.3 or newer is needed")]
    OldLibrary {
        /// Its version.
        found: String,
    },
    /// Somebody else leads now: nothing was written (I35).
    #[error("not allowed to write: epoch {held} is over, {current} has begun")]
    Stale {
        /// Epoch of the writer.
        held: Epoch,
        /// Epoch in force.
        current: Epoch,
    },
    /// A write contradicts what is stored: nothing was written.
    #[error("not allowed to write: {0}")]
    Conflict(String),
    /// A stored row means nothing.
    #[error("invalid {what} in the store: {why}")]
    Row {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The database did not do as asked.
    #[error("failed to {what}")]
    Database {
        /// What was asked.
        what: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("failed to migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// Counts who leads. Every write carries the epoch of its writer and is refused when a newer one has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub(crate) i64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which findings are asked for. The default asks for all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of that scope.
    pub scope: Option<Scope>,
    /// Only in one of these phases; any if empty.
    pub phases: Vec<Phase>,
    /// Only of that sort of system (`aws`) or configured cloud (`prod`).
    pub cloud: Option<String>,
    /// Only `drift` or `violation`.
    pub type_: Option<String>,
    /// Only of that severity.
    pub severity: Option<Severity>,
    /// Only of that priority.
    pub priority: Option<u8>,
    /// Only among these; among all if empty.
    pub among: Vec<Fingerprint>,
    /// Only those after that fingerprint; findings are sorted by it.
    pub after: Option<Fingerprint>,
    /// At most that many.
    pub limit: Option<u32>,
}

/// One scan of one scope, and everything that follows from it.
#[derive(Debug, Clone)]
pub struct ScanRecord {
    /// A UUID of version 7. The same id is saved once, however often it is committed.
    pub id: String,
    /// What was scanned.
    pub scope: Scope,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether all of the scope was read to the end.
    pub complete: bool,
    /// How many resources were seen.
    pub resources: u64,
    /// How many of them Git declares.
    pub managed: u64,
    /// How each kind was read.
    pub units: Vec<Unit>,
    /// The one commit of each source that was compared with (I5).
    pub revisions: Vec<Revision>,
    /// What the scan made of the findings.
    pub steps: Vec<Step>,
    /// What is to be told and asked.
    pub actions: Vec<Action>,
}

/// How one kind, or everything in a scope, was read: a proof of completeness, or a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// The kind, or nothing where the whole scope could not be read.
    pub kind: Option<Kind>,
    /// How many resources came.
    pub resources: u64,
    /// Why it was not read to the end; nothing if it was.
    pub gap: Option<UnitGap>,
    /// Whether it was compared without its provider's own schema, because that could not be had.
    pub lacks_schema: bool,
    /// Until when it is known to be so, where not everything was read again.
    pub as_of: Option<Timestamp>,
}

/// Why a unit was not read to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitGap {
    /// Why.
    pub reason: GapReason,
    /// What happened, for people.
    pub detail: String,
}

/// The commit of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Name of the configured source.
    pub source: String,
    /// The commit.
    pub revision: String,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It saved the scan.
    Now,
    /// The scan was saved before; nothing was written.
    Before,
}

/// A scan that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSummary {
    /// Its id.
    pub id: String,
    /// What was scanned.
    pub scope: Scope,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether all of the scope was read to the end.
    pub complete: bool,
    /// How many resources were seen.
    pub resources: u64,
    /// How many of them Git declares.
    pub managed: u64,
    /// How each kind was read.
    pub units: Vec<Unit>,
    /// The commits that were compared with.
    pub revisions: Vec<Revision>,
}

impl ScanSummary {
    /// Returns as of when the scan says what it says: what has changed later it need not have seen.
    pub fn as_of(&self) -> Timestamp {
        self.units.iter().filter_map(|unit| unit.as_of).fold(self.started_at, Timestamp::min)
    }
}

/// What is remembered of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeState {
    /// Its last scan.
    pub last: ScanSummary,
    /// End of its last complete scan.
    pub last_complete_at: Option<Timestamp>,
}

/// One transition of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Its generation then.
    pub generation: u32,
    /// The transition's word.
    pub transition: String,
    /// When.
    pub at: Timestamp,
    /// The scan that saw it.
    pub scan: String,
}

/// The two sorts of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutboxKind {
    /// Tell people: at least once.
    Notify,
    /// Ask a hook: at most once.
    Remediate,
}

impl OutboxKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Notify, Self::Remediate];

    /// Returns the word used in the store and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Remediate => "remediate",
        }
    }
}

/// An action that was saved and is to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Identity; grows.
    pub id: i64,
    /// What to do.
    pub action: Action,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// What went wrong the last time.
    pub last_error: Option<String>,
    /// When it was saved.
    pub created_at: Timestamp,
}

/// A notification that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    /// The actions that it carried out; none where what is open was told again.
    pub ids: &'a [i64],
    /// Who was told.
    pub receiver: &'a str,
    /// Identity of the group.
    pub group: &'a str,
    /// When.
    pub at: Timestamp,
}

/// How much is waiting, and how much was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Waiting, by kind.
    pub pending: Vec<(OutboxKind, u64)>,
    /// Dead letters, by receiver or hook.
    pub dead: Vec<(String, u64)>,
}

/// Identity of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub(crate) i64);

/// A hook that is about to be started for a finding: saved first, so that it cannot be started twice (I19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIntent {
    /// Name of the hook.
    pub hook: String,
    /// The finding.
    pub fingerprint: Fingerprint,
    /// Its generation.
    pub generation: u32,
    /// Its resource.
    pub resource: ResourceId,
    /// When.
    pub at: Timestamp,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IntentState {
    /// Nothing yet: the hook may be running.
    Started,
    /// It ran, and the drift is gone.
    Verified,
    /// It failed, or the drift is still there.
    Failed,
    /// The daemon ended meanwhile. A person must look; it is not run again.
    UnknownOutcome,
    /// It was not started.
    Refused,
}

impl IntentState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Started, Self::Verified, Self::Failed, Self::UnknownOutcome, Self::Refused];

    /// Returns the word used in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Refused => "refused",
        }
    }

    /// Returns the state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// An intent that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Identity.
    pub id: IntentId,
    /// What was intended.
    pub new: NewIntent,
    /// What became of it.
    pub state: IntentState,
    /// Details, for people.
    pub detail: String,
    /// When that became known.
    pub concluded_at: Option<Timestamp>,
}

/// Which intents are asked for. The default asks for all of them.
#[derive(Debug, Clone, Default)]
pub struct IntentFilter {
    /// Only of that finding.
    pub fingerprint: Option<Fingerprint>,
    /// Only on that resource.
    pub resource: Option<ResourceId>,
    /// Only by that hook.
    pub hook: Option<String>,
    /// Only in that state.
    pub state: Option<IntentState>,
    /// Only since then.
    pub since: Option<Timestamp>,
}

/// What a provider states of one kind, as it was read last.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaRow {
    /// Where it holds.
    pub realm: Arc<str>,
    /// The kind.
    pub kind: Kind,
    /// What counts as equal for it.
    pub schema: Arc<Schema>,
    /// Version of the code that read it.
    pub version: u32,
    /// When it was read.
    pub read_at: Timestamp,
}

/// One record of the audit chain as it is kept: a store neither makes nor checks hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position, from 1, without holes.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The record's JSON text.
    pub body: String,
    /// Hash of the record before.
    pub prev: String,
    /// Hash of this record.
    pub hash: String,
}

/// The memory. Reading needs no lead; every write but that of the audit chain carries an [`Epoch`].
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Begins a new epoch: every writer of an older one is refused from now on.
    async fn take_lead(&self, holder: &str, now: Timestamp) -> Result<Epoch, StoreError>;

    /// Saves a scan, its findings, their history and its actions, all or nothing, and once.
    async fn commit(&self, epoch: Epoch, record: &ScanRecord) -> Result<Committed, StoreError>;

    /// Returns findings, sorted by fingerprint.
    async fn findings(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError>;

    /// Returns one finding.
    async fn finding(&self, fingerprint: Fingerprint) -> Result<Option<Finding>, StoreError>;

    /// Returns the transitions of a finding, oldest first.
    async fn history(&self, fingerprint: Fingerprint) -> Result<Vec<HistoryRow>, StoreError>;

    /// Returns the last scans, newest first.
    async fn last_scans(&self, limit: u32) -> Result<Vec<ScanSummary>, StoreError>;

    /// Returns every scope that was ever scanned, sorted.
    async fn scopes(&self) -> Result<Vec<ScopeState>, StoreError>;

    /// Returns actions that may be carried out now, oldest first.
    async fn due(&self, kind: OutboxKind, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// Notes that an action was carried out.
    async fn sent(&self, epoch: Epoch, id: i64, now: Timestamp) -> Result<(), StoreError>;

    /// Notes that a group was told, and with it that these actions were carried out.
    async fn told(&self, epoch: Epoch, told: Told<'_>) -> Result<(), StoreError>;

    /// Notes that actions are not to be carried out before `not_before`. That is no failure.
    async fn postpone(&self, epoch: Epoch, ids: &[i64], not_before: Timestamp) -> Result<(), StoreError>;

    /// Notes that actions failed and are to be tried again.
    async fn retry(&self, epoch: Epoch, ids: &[i64], not_before: Timestamp, error: &str) -> Result<(), StoreError>;

    /// Notes that actions failed for good: dead letters.
    async fn bury(&self, epoch: Epoch, ids: &[i64], error: &str) -> Result<(), StoreError>;

    /// Returns when each group of a receiver was last told.
    async fn groups(&self, receiver: &str) -> Result<BTreeMap<String, Timestamp>, StoreError>;

    /// Forgets a group that is over: when it begins again, it is a new one.
    async fn forget_group(&self, epoch: Epoch, receiver: &str, group: &str) -> Result<(), StoreError>;

    /// Returns how much is waiting, and how much was given up.
    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError>;

    /// Saves an intent, durably, before its hook is started. Returns nothing if the hook was ever intended for that
    /// generation of the finding: it must not be started then.
    async fn intend(&self, epoch: Epoch, intent: &NewIntent) -> Result<Option<IntentId>, StoreError>;

    /// Notes what became of an intent. An intent is concluded once.
    async fn conclude(&self, epoch: Epoch, id: IntentId, outcome: Outcome<'_>) -> Result<(), StoreError>;

    /// Returns intents, oldest first. Those in state `Started` at start are of unknown outcome.
    async fn intents(&self, filter: &IntentFilter) -> Result<Vec<Intent>, StoreError>;

    /// Forgets what ended before `before`, and returns how many rows that were: scans (but the last one of each scope),
    /// history, sent actions, and resolved findings with the intents for them. A finding stays while it is open, while the
    /// outcome of a hook for it is unknown and while one waits for it.
    async fn prune(&self, epoch: Epoch, before: Timestamp) -> Result<u64, StoreError>;

    /// Keeps schemas, each instead of the one that was kept for its realm and kind before.
    async fn save_schemas(&self, epoch: Epoch, rows: &[SchemaRow]) -> Result<(), StoreError>;

    /// Returns every schema that is kept for a realm, sorted by kind.
    async fn schemas(&self, realm: &str) -> Result<Vec<SchemaRow>, StoreError>;

    /// Appends records to the audit chain, all or nothing; refused unless they continue it without a hole.
    async fn audit_append(&self, rows: &[AuditRow]) -> Result<(), StoreError>;

    /// Returns records of the audit chain from `seq` on.
    async fn audit_rows(&self, seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError>;

    /// Returns the last record of the audit chain.
    async fn audit_last(&self) -> Result<Option<AuditRow>, StoreError>;
}

/// How an intent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// What became of it.
    pub state: IntentState,
    /// Details, for people.
    pub detail: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Opens the memory, or refuses; never starts an empty one where there is a file that it cannot trust.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(sqlite::Sqlite::open(config.path()?).await?))
}
