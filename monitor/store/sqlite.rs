//! The memory in one SQLite file: the default, for one daemon.
//!
//! A new database is made beside its place and renamed into it, so that a file that is there is whole or damaged, never
//! half made. What is damaged, foreign or newer is refused and left alone: this module deletes nothing but its own
//! unfinished `.new` file.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use driftwarden_core::decide::Action;
use driftwarden_core::finding::{Finding, Fingerprint, Phase, Step};
use driftwarden_core::resource::Scope;
use jiff::Timestamp;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, QueryBuilder, Row, Sqlite as Db, SqliteConnection, SqlitePool, Transaction};

use super::form::{from_text, to_text};
use super::{
    AuditRow, Committed, Epoch, Filter, HistoryRow, Intent, IntentFilter, IntentId, IntentState, NewIntent,
    OutboxCounts, OutboxKind, OutboxRow, Outcome, ScanRecord, ScanSummary, SchemaRow, ScopeState, Store, StoreError,
    Told,
};

/// `DWdn`, in the header of every database of this program.
const APPLICATION_ID: u32 = 0x4457_646e;
const OLDEST_LIBRARY: [u32; 3] = [3, 51, 3];
const MIGRATIONS: Migrator = sqlx::migrate!("monitor/store/migrations");
/// SQLite takes 32,766 parameters in one statement; a finding needs ten.
const FINDINGS_PER_STATEMENT: usize = 500;
const READERS: u32 = 4;

const BEGIN: &str = "BEGIN IMMEDIATE";
const EPOCH: &str = "SELECT epoch FROM epochs WHERE name = 'lead'";
const TAKE_LEAD: &str =
    "UPDATE epochs SET epoch = epoch + 1, holder = $1, began_at = $2 WHERE name = 'lead' RETURNING epoch";
const KNOWS_SCAN: &str = "SELECT COUNT(*) FROM scans WHERE id = $1";
const SAVE_SCOPE: &str = "INSERT INTO scopes (scope, last_scan, last_complete_at) VALUES ($1, $2, $3)
    ON CONFLICT (scope) DO UPDATE SET last_scan = excluded.last_scan,
        last_complete_at = COALESCE(excluded.last_complete_at, scopes.last_complete_at)";
const SAVE_SCAN: &str = "INSERT INTO scans (id, scope, cloud, provider, account, region, epoch, started_at,
    finished_at, complete, resources, managed, units, revisions)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
const SAVE_FINDINGS: &str = "INSERT INTO findings
    (fingerprint, generation, phase, scope, cloud, provider, type, severity, priority, body) ";
const OR_ADVANCE_FINDINGS: &str = " ON CONFLICT (fingerprint) DO UPDATE SET generation = excluded.generation,
    phase = excluded.phase, scope = excluded.scope, cloud = excluded.cloud, provider = excluded.provider,
    type = excluded.type, severity = excluded.severity, priority = excluded.priority, body = excluded.body
    WHERE excluded.generation >= findings.generation";
const SAVE_HISTORY: &str = "INSERT INTO history (fingerprint, generation, transition, at, scan) ";
const SAVE_ACTION: &str = "INSERT INTO outbox (kind, receiver, dedup, state, not_before, attempts, action, created_at)
    VALUES ($1, $2, $3, 'pending', $4, 0, $5, $6) ON CONFLICT DO NOTHING";
const FINDINGS: &str = "SELECT body FROM findings WHERE TRUE";
const FINDING: &str = "SELECT body FROM findings WHERE fingerprint = $1";
const HISTORY: &str =
    "SELECT generation, transition, at, scan FROM history WHERE fingerprint = $1 ORDER BY at, generation";
const LAST_SCANS: &str = "SELECT * FROM scans ORDER BY finished_at DESC, id DESC LIMIT $1";
const SCOPES: &str = "SELECT scans.*, scopes.last_complete_at FROM scopes JOIN scans ON scans.id = scopes.last_scan
    ORDER BY scopes.scope";
const DUE: &str = "SELECT id, action, attempts, last_error, created_at FROM outbox
    WHERE state = 'pending' AND kind = $1 AND not_before <= $2 ORDER BY not_before, id LIMIT $3";
const SENT: &str = "UPDATE outbox SET state = 'sent', done_at = $2 WHERE id = $1 AND state = 'pending'";
const TOLD: &str = "INSERT INTO groups (receiver, name, told_at) VALUES ($1, $2, $3)
    ON CONFLICT (receiver, name) DO UPDATE SET told_at = excluded.told_at";
const GROUPS: &str = "SELECT name, told_at FROM groups WHERE receiver = $1";
const FORGET_GROUP: &str = "DELETE FROM groups WHERE receiver = $1 AND name = $2";
const POSTPONE: &str = "UPDATE outbox SET not_before = $2 WHERE id = $1 AND state = 'pending'";
const RETRY: &str = "UPDATE outbox SET attempts = attempts + 1, not_before = $2, last_error = $3
    WHERE id = $1 AND state = 'pending'";
const BURY: &str = "UPDATE outbox SET attempts = attempts + 1, state = 'dead', last_error = $2
    WHERE id = $1 AND state = 'pending'";
const PENDING: &str = "SELECT kind, COUNT(*) FROM outbox WHERE state = 'pending' GROUP BY kind";
const DEAD: &str = "SELECT receiver, COUNT(*) FROM outbox WHERE state = 'dead' GROUP BY receiver ORDER BY receiver";
const INTEND: &str = "INSERT INTO intents (hook, fingerprint, generation, resource, state, detail, at)
    VALUES ($1, $2, $3, $4, 'started', '', $5) ON CONFLICT (hook, fingerprint, generation) DO NOTHING RETURNING id";
const CONCLUDE: &str = "UPDATE intents SET state = $2, detail = $3, concluded_at = $4
    WHERE id = $1 AND state = 'started'";
const INTENTS: &str =
    "SELECT id, hook, fingerprint, generation, resource, state, detail, at, concluded_at FROM intents WHERE TRUE";
/// In this order: a resolved finding is as old as the last of its history, and takes its intents with it. A finding that
/// appears again is a new one then, and begins with generation 1.
const PRUNE: [&str; 6] = [
    "DELETE FROM scans WHERE finished_at < $1 AND id NOT IN (SELECT last_scan FROM scopes)",
    "DELETE FROM history WHERE at < $1",
    "DELETE FROM outbox WHERE state = 'sent' AND done_at < $1",
    "DELETE FROM groups WHERE told_at < $1",
    "DELETE FROM findings WHERE phase = 'resolved'
        AND NOT EXISTS (SELECT 1 FROM history WHERE history.fingerprint = findings.fingerprint)
        AND fingerprint NOT IN (SELECT fingerprint FROM intents WHERE state IN ('started', 'unknown_outcome') OR at >= $1)
        AND fingerprint NOT IN
            (SELECT substr(dedup, 1, 32) FROM outbox WHERE kind = 'remediate' AND state = 'pending')",
    "DELETE FROM intents WHERE state NOT IN ('started', 'unknown_outcome') AND at < $1
        AND fingerprint NOT IN (SELECT fingerprint FROM findings)",
];
const SAVE_SCHEMA: &str = "INSERT INTO schemas (realm, kind, version, read_at, body) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (realm, kind) DO UPDATE SET version = excluded.version, read_at = excluded.read_at,
        body = excluded.body";
const SCHEMAS: &str = "SELECT realm, kind, version, read_at, body FROM schemas WHERE realm = $1 ORDER BY kind";
const AUDIT_APPEND: &str = "INSERT INTO audit (seq, at, body, prev, hash) VALUES ($1, $2, $3, $4, $5)";
const AUDIT_ROWS: &str = "SELECT seq, at, body, prev, hash FROM audit WHERE seq >= $1 ORDER BY seq LIMIT $2";
const AUDIT_LAST: &str = "SELECT seq, at, body, prev, hash FROM audit ORDER BY seq DESC LIMIT 1";

/// The memory in one SQLite file.
pub(super) struct Sqlite {
    /// One connection: SQLite has one writer, and waiting here is fairer than its busy handler.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sqlite")
    }
}

impl Sqlite {
    /// Opens the database at `path`, makes it if there is nothing, or refuses.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        if exists(path)? {
            check_header(path)?;
        } else {
            create(path).await?;
        }
        let mut connection = options(path).connect().await.map_err(failed("open the database"))?;
        check_library(&mut connection).await?;
        check_pages(&mut connection, path).await?;
        check_version(&mut connection).await?;
        MIGRATIONS.run(&mut connection).await.map_err(StoreError::Migrate)?;
        check_schema(&mut connection, path).await?;
        connection.close().await.map_err(failed("close the database"))?;
        let pool = |size| SqlitePoolOptions::new().max_connections(size).idle_timeout(None).max_lifetime(None);
        Ok(Self {
            writer: pool(1).connect_lazy_with(options(path)),
            readers: pool(READERS).connect_lazy_with(options(path)),
        })
    }

    /// Begins to write, if `held` is the epoch in force.
    async fn begin(&self, held: Epoch) -> Result<Transaction<'static, Db>, StoreError> {
        let mut tx = self.writer.begin_with(BEGIN).await.map_err(failed("begin to write"))?;
        let current = sqlx::query_scalar(EPOCH).fetch_one(&mut *tx).await.map_err(failed("read the epoch"))?;
        if Epoch(current) == held { Ok(tx) } else { Err(StoreError::Stale { held, current: Epoch(current) }) }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}

/// Returns what makes a [`StoreError`] of an error of the database.
fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match source.as_database_error().and_then(|error| primary_code(&error.code()?)) {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => {
            StoreError::Damaged { what: "the database".to_owned(), why: source.to_string() }
        }
        Some(SQLITE_CONSTRAINT) => StoreError::Conflict(source.to_string()),
        _ => StoreError::Database { what, source },
    }
}

const SQLITE_CORRUPT: u32 = 11;
const SQLITE_CONSTRAINT: u32 = 19;
const SQLITE_NOTADB: u32 = 26;

/// Returns the low byte of an extended result code.
fn primary_code(code: &str) -> Option<u32> {
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

// ---- opening

fn exists(path: &Path) -> Result<bool, StoreError> {
    let found = path.try_exists().map_err(failed_io("look for the database"))?;
    let log = beside(path, "-wal");
    if !found && log.metadata().is_ok_and(|log| log.len() > 0) {
        return Err(damaged(path, "it is gone, and its write-ahead log is still there"));
    }
    Ok(found)
}

fn failed_io(what: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Database { what, source: sqlx::Error::Io(source) }
}

fn damaged(path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Damaged { what: format!("the database `{}`", path.display()), why: why.into() }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Looks at the first bytes without opening the database: opening a foreign one could already change it.
fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    let file = std::fs::File::open(path).map_err(failed_io("open the database"))?;
    file.take(100).read_to_end(&mut header).map_err(failed_io("read the database"))?;
    if header.len() < 100 {
        return Err(damaged(path, format!("it has {} bytes", header.len())));
    }
    let id = header.get(68..72).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    if header.starts_with(b"SQLite format 3\0") && id == Some(APPLICATION_ID) {
        return Ok(());
    }
    Err(StoreError::Foreign { path: path.display().to_string() })
}

async fn create(path: &Path) -> Result<(), StoreError> {
    let new = beside(path, ".new");
    for leftover in [new.clone(), beside(&new, "-journal")] {
        match std::fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed_io("remove an unfinished database")(error));
            }
            _ => (),
        }
    }
    let options = options(&new).create_if_missing(true).journal_mode(SqliteJournalMode::Delete);
    let options = options.pragma("application_id", APPLICATION_ID.to_string());
    let mut connection = options.connect().await.map_err(failed("create the database"))?;
    MIGRATIONS.run(&mut connection).await.map_err(StoreError::Migrate)?;
    connection.close().await.map_err(failed("close the new database"))?;
    put_in_place(&new, path).map_err(failed_io("put the new database in its place"))
}

fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    std::fs::File::open(new)?.sync_all()?;
    std::fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

async fn check_library(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(failed("read the version of SQLite"))?;
    let parts: Vec<u32> = found.split('.').map_while(|part| part.parse().ok()).collect();
    if parts.as_slice() >= OLDEST_LIBRARY.as_slice() { Ok(()) } else { Err(StoreError::OldLibrary { found }) }
}

async fn check_pages(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("check the database"))?;
    if answer != "ok" {
        return Err(damaged(path, answer));
    }
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_optional(connection)
        .await
        .map_err(failed("check the database"))?;
    broken.map_or(Ok(()), |_| Err(damaged(path, "a row points to nothing")))
}

/// Refuses what a newer program wrote (I14).
async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(failed("read the schema's version"))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    match found {
        Some(found) if found > known => Err(StoreError::Newer { found, known }),
        _ => Ok(()),
    }
}

/// Compares the schema with that of a new database: a lost index or trigger is damage, too.
async fn check_schema(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let mut fresh = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed("open a database in memory"))?;
    MIGRATIONS.run(&mut fresh).await.map_err(StoreError::Migrate)?;
    let same = schema(connection).await? == schema(&mut fresh).await?;
    if same { Ok(()) } else { Err(damaged(path, "its schema is not the one that was made")) }
}

async fn schema(connection: &mut SqliteConnection) -> Result<Vec<(String, String)>, StoreError> {
    const SCHEMA: &str = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name";
    sqlx::query_as(SCHEMA).fetch_all(connection).await.map_err(failed("read the schema"))
}

// ---- columns

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

fn time(nanos: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(nanos.into()).map_err(|error| StoreError::Row { what: "time", why: error.to_string() })
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number<T: TryFrom<i64>>(integer: i64) -> Result<T, StoreError> {
    T::try_from(integer).map_err(|_| StoreError::Row { what: "number", why: format!("{integer} is out of range") })
}

/// Two clouds may be configured for the same account: the name of the cloud is part of the key.
fn scope_key(scope: &Scope) -> String {
    format!("{} {scope}", scope.cloud)
}

fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Db> + sqlx::Type<Db>,
{
    row.try_get(name).map_err(failed("read a column"))
}

fn scan(row: &SqliteRow) -> Result<ScanSummary, StoreError> {
    let provider: String = column(row, "provider")?;
    Ok(ScanSummary {
        id: column(row, "id")?,
        scope: Scope {
            cloud: column::<String>(row, "cloud")?.into(),
            provider: provider.parse().map_err(|_| StoreError::Row { what: "provider", why: provider })?,
            account: column::<String>(row, "account")?.into(),
            region: column::<String>(row, "region")?.into(),
        },
        started_at: time(column(row, "started_at")?)?,
        finished_at: time(column(row, "finished_at")?)?,
        complete: column::<i64>(row, "complete")? != 0,
        resources: number(column(row, "resources")?)?,
        managed: number(column(row, "managed")?)?,
        units: from_text(column(row, "units")?)?,
        revisions: from_text(column(row, "revisions")?)?,
    })
}

fn outbox_row(row: &SqliteRow) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        id: column(row, "id")?,
        action: from_text(column(row, "action")?)?,
        attempts: number(column(row, "attempts")?)?,
        last_error: column(row, "last_error")?,
        created_at: time(column(row, "created_at")?)?,
    })
}

fn fingerprint(text: &str) -> Result<Fingerprint, StoreError> {
    Fingerprint::parse(text).ok_or_else(|| StoreError::Row { what: "fingerprint", why: text.to_owned() })
}

fn intent(row: &SqliteRow) -> Result<Intent, StoreError> {
    let (resource, state): (&str, &str) = (column(row, "resource")?, column(row, "state")?);
    let invalid = |what, text: &str| StoreError::Row { what, why: text.to_owned() };
    Ok(Intent {
        id: IntentId(column(row, "id")?),
        new: NewIntent {
            hook: column(row, "hook")?,
            fingerprint: fingerprint(column(row, "fingerprint")?)?,
            generation: number(column(row, "generation")?)?,
            resource: resource.parse().map_err(|_| invalid("resource", resource))?,
            at: time(column(row, "at")?)?,
        },
        state: IntentState::parse(state).ok_or_else(|| invalid("state", state))?,
        detail: column(row, "detail")?,
        concluded_at: column::<Option<i64>>(row, "concluded_at")?.map(time).transpose()?,
    })
}

fn schema_row(row: &SqliteRow) -> Result<SchemaRow, StoreError> {
    Ok(SchemaRow {
        realm: column::<&str>(row, "realm")?.into(),
        kind: column::<&str>(row, "kind")?.into(),
        schema: Arc::new(from_text(column(row, "body")?)?),
        version: number(column(row, "version")?)?,
        read_at: time(column(row, "read_at")?)?,
    })
}

/// Returns a text as it is, or its bytes spelled out: `verify` is to see a damaged record, not to fail on it.
fn raw_text(row: &SqliteRow, name: &'static str) -> Result<String, StoreError> {
    let bytes: Vec<u8> = column(row, name)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| format!("not UTF-8: {:?}", error.as_bytes())))
}

fn audit_row(row: &SqliteRow) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: number(column(row, "seq")?)?,
        at: raw_text(row, "at")?,
        body: raw_text(row, "body")?,
        prev: raw_text(row, "prev")?,
        hash: raw_text(row, "hash")?,
    })
}

// ---- saving a scan

async fn save_scan(tx: &mut SqliteConnection, epoch: Epoch, record: &ScanRecord) -> Result<(), StoreError> {
    let ScanRecord { id, scope, started_at, finished_at, complete, resources, managed, units, revisions, .. } = record;
    let key = scope_key(scope);
    sqlx::query(SAVE_SCOPE)
        .bind(&key)
        .bind(id)
        .bind(complete.then(|| nanos(*finished_at)))
        .execute(&mut *tx)
        .await
        .map_err(failed("save the scope"))?;
    let Scope { cloud, provider, account, region } = scope;
    sqlx::query(SAVE_SCAN)
        .bind(id)
        .bind(key)
        .bind(&**cloud)
        .bind(provider.as_str())
        .bind(&**account)
        .bind(&**region)
        .bind(epoch.0)
        .bind(nanos(*started_at))
        .bind(nanos(*finished_at))
        .bind(i64::from(*complete))
        .bind(integer(*resources))
        .bind(integer(*managed))
        .bind(to_text(units)?)
        .bind(to_text(revisions)?)
        .execute(tx)
        .await
        .map_err(failed("save the scan"))?;
    Ok(())
}

async fn save_findings(tx: &mut SqliteConnection, steps: &[Step]) -> Result<(), StoreError> {
    for steps in steps.chunks(FINDINGS_PER_STATEMENT) {
        let bodies = steps.iter().map(|step| to_text(&step.finding)).collect::<Result<Vec<_>, _>>()?;
        let mut query = QueryBuilder::<Db>::new(SAVE_FINDINGS);
        query.push_values(steps.iter().zip(bodies), |mut row, (step, body)| {
            let Finding { fingerprint, generation, phase, scope, evidence, priority, .. } = &step.finding;
            row.push_bind(fingerprint.to_string())
                .push_bind(i64::from(*generation))
                .push_bind(phase.as_str())
                .push_bind(scope_key(scope))
                .push_bind(scope.cloud.to_string())
                .push_bind(scope.provider.as_str())
                .push_bind(evidence.subject.type_str())
                .push_bind(evidence.severity.as_str())
                .push_bind(i64::from(*priority))
                .push_bind(body);
        });
        query.push(OR_ADVANCE_FINDINGS);
        let done = query.build().execute(&mut *tx).await.map_err(failed("save findings"))?;
        if done.rows_affected() != integer_of(steps.len()) {
            return Err(StoreError::Conflict("a finding is known in a newer generation".to_owned()));
        }
    }
    Ok(())
}

fn integer_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

async fn save_history(tx: &mut SqliteConnection, record: &ScanRecord) -> Result<(), StoreError> {
    let moved: Vec<_> =
        record.steps.iter().filter_map(|step| Some((&step.finding, step.transition?.as_str()))).collect();
    for moved in moved.chunks(FINDINGS_PER_STATEMENT) {
        let mut query = QueryBuilder::<Db>::new(SAVE_HISTORY);
        query.push_values(moved, |mut row, (finding, transition)| {
            row.push_bind(finding.fingerprint.to_string())
                .push_bind(i64::from(finding.generation))
                .push_bind(*transition)
                .push_bind(nanos(record.finished_at))
                .push_bind(record.id.as_str());
        });
        query.build().execute(&mut *tx).await.map_err(failed("save the history"))?;
    }
    Ok(())
}

async fn save_actions(tx: &mut SqliteConnection, record: &ScanRecord) -> Result<(), StoreError> {
    for action in &record.actions {
        let (kind, receiver, dedup, not_before) = match action {
            Action::Notify { receiver, dedup, not_before, .. } => {
                (OutboxKind::Notify, receiver, dedup.clone(), *not_before)
            }
            Action::Remediate { hook, fingerprint, generation } => {
                (OutboxKind::Remediate, hook, format!("{fingerprint}/{generation}"), record.finished_at)
            }
        };
        sqlx::query(SAVE_ACTION)
            .bind(kind.as_str())
            .bind(&**receiver)
            .bind(dedup)
            .bind(nanos(not_before))
            .bind(to_text(action)?)
            .bind(nanos(record.finished_at))
            .execute(&mut *tx)
            .await
            .map_err(failed("save an action"))?;
    }
    Ok(())
}

// ---- asking

fn findings_query(filter: &Filter) -> QueryBuilder<Db> {
    let Filter { scope, phases, cloud, type_, severity, priority, among, after, limit } = filter;
    let mut query = QueryBuilder::new(FINDINGS);
    if let Some(scope) = scope {
        query.push(" AND scope = ").push_bind(scope_key(scope));
    }
    if !phases.is_empty() {
        let mut list = query.push(" AND phase IN (").separated(", ");
        for phase in phases.iter().map(|phase: &Phase| phase.as_str()) {
            list.push_bind(phase);
        }
        query.push(")");
    }
    if let Some(cloud) = cloud {
        query
            .push(" AND (cloud = ")
            .push_bind(cloud.clone())
            .push(" OR provider = ")
            .push_bind(cloud.clone())
            .push(")");
    }
    if let Some(type_) = type_ {
        query.push(" AND type = ").push_bind(type_.clone());
    }
    if let Some(severity) = severity {
        query.push(" AND severity = ").push_bind(severity.as_str());
    }
    if let Some(priority) = priority {
        query.push(" AND priority = ").push_bind(i64::from(*priority));
    }
    if !among.is_empty() {
        let mut list = query.push(" AND fingerprint IN (").separated(", ");
        for fingerprint in among {
            list.push_bind(fingerprint.to_string());
        }
        query.push(")");
    }
    if let Some(after) = after {
        query.push(" AND fingerprint > ").push_bind(after.to_string());
    }
    query.push(" ORDER BY fingerprint");
    if let Some(limit) = limit {
        query.push(" LIMIT ").push_bind(i64::from(*limit));
    }
    query
}

fn intents_query(filter: &IntentFilter) -> QueryBuilder<Db> {
    let IntentFilter { fingerprint, resource, hook, state, since } = filter;
    let mut query = QueryBuilder::new(INTENTS);
    if let Some(fingerprint) = fingerprint {
        query.push(" AND fingerprint = ").push_bind(fingerprint.to_string());
    }
    if let Some(resource) = resource {
        query.push(" AND resource = ").push_bind(resource.to_string());
    }
    if let Some(hook) = hook {
        query.push(" AND hook = ").push_bind(hook.clone());
    }
    if let Some(state) = state {
        query.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(since) = since {
        query.push(" AND at >= ").push_bind(nanos(*since));
    }
    query.push(" ORDER BY id");
    query
}

/// Commits a statement that must have changed one row.
async fn finish(tx: Transaction<'static, Db>, changed: u64, otherwise: String) -> Result<(), StoreError> {
    if changed == 1 { tx.commit().await.map_err(failed("commit")) } else { Err(StoreError::Conflict(otherwise)) }
}

/// Commits statements that must have changed one action each.
async fn finish_all(tx: Transaction<'static, Db>, changed: u64, ids: &[i64]) -> Result<(), StoreError> {
    if changed == integer_of(ids.len()) {
        return tx.commit().await.map_err(failed("commit"));
    }
    Err(StoreError::Conflict(format!("not all of the actions {ids:?} are pending")))
}

async fn mark_sent(tx: &mut SqliteConnection, ids: &[i64], at: Timestamp) -> Result<u64, StoreError> {
    let mut changed = 0;
    for id in ids {
        let done = sqlx::query(SENT).bind(*id).bind(nanos(at)).execute(&mut *tx).await;
        changed += done.map_err(failed("note that an action was carried out"))?.rows_affected();
    }
    Ok(changed)
}

#[async_trait]
impl Store for Sqlite {
    async fn take_lead(&self, holder: &str, now: Timestamp) -> Result<Epoch, StoreError> {
        let mut tx = self.writer.begin_with(BEGIN).await.map_err(failed("begin to write"))?;
        let epoch = sqlx::query_scalar(TAKE_LEAD)
            .bind(holder)
            .bind(nanos(now))
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("take the lead"))?;
        tx.commit().await.map_err(failed("commit"))?;
        Ok(Epoch(epoch))
    }

    async fn commit(&self, epoch: Epoch, record: &ScanRecord) -> Result<Committed, StoreError> {
        let mut tx = self.begin(epoch).await?;
        let known: i64 = sqlx::query_scalar(KNOWS_SCAN)
            .bind(&record.id)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("look for the scan"))?;
        if known > 0 {
            return Ok(Committed::Before);
        }
        save_scan(&mut tx, epoch, record).await?;
        save_findings(&mut tx, &record.steps).await?;
        save_history(&mut tx, record).await?;
        save_actions(&mut tx, record).await?;
        tx.commit().await.map_err(failed("commit the scan"))?;
        Ok(Committed::Now)
    }

    async fn findings(&self, filter: &Filter) -> Result<Vec<Finding>, StoreError> {
        let bodies: Vec<String> = findings_query(filter)
            .build_query_scalar()
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read findings"))?;
        bodies.iter().map(|body| from_text(body)).collect()
    }

    async fn finding(&self, fingerprint: Fingerprint) -> Result<Option<Finding>, StoreError> {
        let body: Option<String> = sqlx::query_scalar(FINDING)
            .bind(fingerprint.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read a finding"))?;
        body.map(|body| from_text(&body)).transpose()
    }

    async fn history(&self, fingerprint: Fingerprint) -> Result<Vec<HistoryRow>, StoreError> {
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(HISTORY)
            .bind(fingerprint.to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read the history"))?;
        let row = |(generation, transition, at, scan)| {
            Ok(HistoryRow { generation: number(generation)?, transition, at: time(at)?, scan })
        };
        rows.into_iter().map(row).collect()
    }

    async fn last_scans(&self, limit: u32) -> Result<Vec<ScanSummary>, StoreError> {
        let rows = sqlx::query(LAST_SCANS).bind(i64::from(limit)).fetch_all(&self.readers).await;
        rows.map_err(failed("read scans"))?.iter().map(scan).collect()
    }

    async fn scopes(&self) -> Result<Vec<ScopeState>, StoreError> {
        let rows = sqlx::query(SCOPES).fetch_all(&self.readers).await.map_err(failed("read scopes"))?;
        let state = |row: &SqliteRow| {
            let last_complete_at = column::<Option<i64>>(row, "last_complete_at")?.map(time).transpose()?;
            Ok(ScopeState { last: scan(row)?, last_complete_at })
        };
        rows.iter().map(state).collect()
    }

    async fn due(&self, kind: OutboxKind, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let query = sqlx::query(DUE).bind(kind.as_str()).bind(nanos(now)).bind(i64::from(limit));
        let rows = query.fetch_all(&self.readers).await.map_err(failed("read the outbox"))?;
        rows.iter().map(outbox_row).collect()
    }

    async fn sent(&self, epoch: Epoch, id: i64, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        let changed = mark_sent(&mut tx, &[id], now).await?;
        finish_all(tx, changed, &[id]).await
    }

    async fn told(&self, epoch: Epoch, told: Told<'_>) -> Result<(), StoreError> {
        let Told { ids, receiver, group, at } = told;
        let mut tx = self.begin(epoch).await?;
        let changed = mark_sent(&mut tx, ids, at).await?;
        let query = sqlx::query(TOLD).bind(receiver).bind(group).bind(nanos(at));
        query.execute(&mut *tx).await.map_err(failed("note that a group was told"))?;
        finish_all(tx, changed, ids).await
    }

    async fn postpone(&self, epoch: Epoch, ids: &[i64], not_before: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        let mut changed = 0;
        for id in ids {
            let done = sqlx::query(POSTPONE).bind(*id).bind(nanos(not_before)).execute(&mut *tx).await;
            changed += done.map_err(failed("postpone an action"))?.rows_affected();
        }
        finish_all(tx, changed, ids).await
    }

    async fn retry(&self, epoch: Epoch, ids: &[i64], not_before: Timestamp, error: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        let mut changed = 0;
        for id in ids {
            let done = sqlx::query(RETRY).bind(*id).bind(nanos(not_before)).bind(error).execute(&mut *tx).await;
            changed += done.map_err(failed("put an action off"))?.rows_affected();
        }
        finish_all(tx, changed, ids).await
    }

    async fn bury(&self, epoch: Epoch, ids: &[i64], error: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        let mut changed = 0;
        for id in ids {
            let done = sqlx::query(BURY).bind(*id).bind(error).execute(&mut *tx).await;
            changed += done.map_err(failed("give an action up"))?.rows_affected();
        }
        finish_all(tx, changed, ids).await
    }

    async fn groups(&self, receiver: &str) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(GROUPS).bind(receiver).fetch_all(&self.readers).await.map_err(failed("read the groups"))?;
        rows.into_iter().map(|(name, told_at)| Ok((name, time(told_at)?))).collect()
    }

    async fn forget_group(&self, epoch: Epoch, receiver: &str, group: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        let query = sqlx::query(FORGET_GROUP).bind(receiver).bind(group);
        query.execute(&mut *tx).await.map_err(failed("forget a group"))?;
        tx.commit().await.map_err(failed("commit"))
    }

    async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        let count = failed("count the outbox");
        let pending: Vec<(String, i64)> = sqlx::query_as(PENDING).fetch_all(&self.readers).await.map_err(&count)?;
        let dead: Vec<(String, i64)> = sqlx::query_as(DEAD).fetch_all(&self.readers).await.map_err(&count)?;
        let of = |kind: OutboxKind| pending.iter().find(|(word, _)| word == kind.as_str()).map_or(0, |(_, n)| *n);
        Ok(OutboxCounts {
            pending: OutboxKind::ALL.into_iter().map(|kind| Ok((kind, number(of(kind))?))).collect::<Result<_, _>>()?,
            dead: dead.into_iter().map(|(name, n)| Ok((name, number(n)?))).collect::<Result<_, _>>()?,
        })
    }

    async fn intend(&self, epoch: Epoch, intent: &NewIntent) -> Result<Option<IntentId>, StoreError> {
        let NewIntent { hook, fingerprint, generation, resource, at } = intent;
        let mut tx = self.begin(epoch).await?;
        let id: Option<i64> = sqlx::query_scalar(INTEND)
            .bind(hook)
            .bind(fingerprint.to_string())
            .bind(i64::from(*generation))
            .bind(resource.to_string())
            .bind(nanos(*at))
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("save an intent"))?;
        tx.commit().await.map_err(failed("commit an intent"))?;
        Ok(id.map(IntentId))
    }

    async fn conclude(&self, epoch: Epoch, id: IntentId, outcome: Outcome<'_>) -> Result<(), StoreError> {
        let Outcome { state, detail, at } = outcome;
        let mut tx = self.begin(epoch).await?;
        let query = sqlx::query(CONCLUDE).bind(id.0).bind(state.as_str()).bind(detail).bind(nanos(at));
        let done = query.execute(&mut *tx).await.map_err(failed("conclude an intent"))?;
        finish(tx, done.rows_affected(), format!("intent {} was concluded before", id.0)).await
    }

    async fn intents(&self, filter: &IntentFilter) -> Result<Vec<Intent>, StoreError> {
        let rows = intents_query(filter).build().fetch_all(&self.readers).await;
        rows.map_err(failed("read intents"))?.iter().map(intent).collect()
    }

    async fn prune(&self, epoch: Epoch, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin(epoch).await?;
        let mut forgotten = 0;
        for statement in PRUNE {
            let done = sqlx::query(statement).bind(nanos(before)).execute(&mut *tx).await;
            forgotten += done.map_err(failed("forget what is old"))?.rows_affected();
        }
        tx.commit().await.map_err(failed("commit"))?;
        Ok(forgotten)
    }

    async fn save_schemas(&self, epoch: Epoch, rows: &[SchemaRow]) -> Result<(), StoreError> {
        let mut tx = self.begin(epoch).await?;
        for SchemaRow { realm, kind, schema, version, read_at } in rows {
            let query = sqlx::query(SAVE_SCHEMA).bind(&**realm).bind(kind.as_str()).bind(i64::from(*version));
            let query = query.bind(nanos(*read_at)).bind(to_text(&**schema)?);
            query.execute(&mut *tx).await.map_err(failed("save a schema"))?;
        }
        tx.commit().await.map_err(failed("commit schemas"))
    }

    async fn schemas(&self, realm: &str) -> Result<Vec<SchemaRow>, StoreError> {
        let rows = sqlx::query(SCHEMAS).bind(realm).fetch_all(&self.readers).await;
        rows.map_err(failed("read schemas"))?.iter().map(schema_row).collect()
    }

    async fn audit_append(&self, rows: &[AuditRow]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin_with(BEGIN).await.map_err(failed("begin to write"))?;
        let last = sqlx::query(AUDIT_LAST).fetch_optional(&mut *tx).await.map_err(failed("read the audit chain"))?;
        let (mut seq, mut hash) = match last.as_ref().map(audit_row).transpose()? {
            Some(last) => (last.seq, last.hash),
            None => (0, rows.first().map(|row| row.prev.clone()).unwrap_or_default()),
        };
        for AuditRow { seq: next, at, body, prev, hash: own } in rows {
            if *next != seq + 1 || *prev != hash {
                return Err(StoreError::Conflict(format!("audit record {next} does not follow {seq}")));
            }
            let query = sqlx::query(AUDIT_APPEND).bind(integer(*next)).bind(at).bind(body).bind(prev).bind(own);
            query.execute(&mut *tx).await.map_err(failed("append to the audit chain"))?;
            (seq, hash) = (*next, own.clone());
        }
        tx.commit().await.map_err(failed("commit to the audit chain"))
    }

    async fn audit_rows(&self, seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let query = sqlx::query(AUDIT_ROWS).bind(integer(seq)).bind(i64::from(limit));
        let rows = query.fetch_all(&self.readers).await.map_err(failed("read the audit chain"))?;
        rows.iter().map(audit_row).collect()
    }

    async fn audit_last(&self) -> Result<Option<AuditRow>, StoreError> {
        let row = sqlx::query(AUDIT_LAST).fetch_optional(&self.readers).await;
        row.map_err(failed("read the audit chain"))?.as_ref().map(audit_row).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Config;
    use crate::store::conformance::{Place, suite};

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("memory.db").display());
        Place { config: Config { url, ..Config::default() }, _folder: folder }
    }

    suite!(place);

    /// Makes a database with something in it, breaks it, and checks that it is refused and left as it is.
    async fn check(break_it: impl FnOnce(&Path), refused: impl Fn(&StoreError) -> bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.db");
        let store = Sqlite::open(&path).await.unwrap();
        store.take_lead("a", Timestamp::UNIX_EPOCH).await.unwrap();
        store.writer.close().await;
        store.readers.close().await;
        break_it(&path);
        let before = std::fs::read(&path).ok();
        let error = Sqlite::open(&path).await.unwrap_err();
        assert!(refused(&error), "{error:?}");
        assert_eq!(std::fs::read(&path).ok(), before);
    }

    fn is_damaged(error: &StoreError) -> bool {
        matches!(error, StoreError::Damaged { .. })
    }

    fn is_foreign(error: &StoreError) -> bool {
        matches!(error, StoreError::Foreign { .. })
    }

    fn overwrite(path: &Path, from: usize, bytes: &[u8]) {
        let mut content = std::fs::read(path).unwrap();
        content[from..from + bytes.len()].copy_from_slice(bytes);
        std::fs::write(path, content).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_and_kept() {
        check(|path| std::fs::write(path, "").unwrap(), is_damaged).await;
        check(|path| std::fs::write(path, "SQLite format 3").unwrap(), is_damaged).await;
        check(
            |path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4096 * 3).unwrap(),
            is_damaged,
        )
        .await;
        check(|path| overwrite(path, 4096, &[0xAA; 4096]), is_damaged).await;
        check(|path| overwrite(path, 16, &[0xFF; 4]), is_damaged).await;
    }

    #[tokio::test]
    async fn a_lost_file_is_not_replaced_while_its_log_is_there() {
        let lose = |path: &Path| {
            std::fs::remove_file(path).unwrap();
            std::fs::write(beside(path, "-wal"), "log").unwrap();
        };
        check(lose, is_damaged).await;
    }

    #[tokio::test]
    async fn a_foreign_file_is_refused_and_kept() {
        check(|path| std::fs::write(path, [b'x'; 4096]).unwrap(), is_foreign).await;
        check(|path| overwrite(path, 68, &[0; 4]), is_foreign).await;
    }

    /// Runs SQL behind the store's back.
    async fn check_sql(sql: &'static str, refused: impl Fn(&StoreError) -> bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.db");
        drop(Sqlite::open(&path).await.unwrap());
        let mut connection = options(&path).foreign_keys(false).connect().await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let error = Sqlite::open(&path).await.unwrap_err();
        assert!(refused(&error), "{error:?}");
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'from the future', TRUE, x'00', 0)";
        check_sql(newer, |error| matches!(error, StoreError::Newer { found: 9999, .. })).await;
    }

    #[tokio::test]
    async fn a_changed_schema_is_refused() {
        check_sql("DROP INDEX history_ends_once", is_damaged).await;
        check_sql("DROP TRIGGER audit_keeps_rows", is_damaged).await;
        check_sql("DROP TABLE intents", is_damaged).await;
    }

    #[tokio::test]
    async fn a_row_that_points_to_nothing_is_refused() {
        let orphan =
            "INSERT INTO history (fingerprint, generation, transition, at, scan) VALUES ('x', 1, 'opened', 0, 'y')";
        check_sql(orphan, is_damaged).await;
    }

    #[tokio::test]
    async fn an_unfinished_new_database_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.db");
        std::fs::write(beside(&path, ".new"), "half a database").unwrap();
        let store = Sqlite::open(&path).await.unwrap();
        assert_eq!(store.take_lead("a", Timestamp::UNIX_EPOCH).await.unwrap(), Epoch(1));
        assert!(!beside(&path, ".new").exists());
    }

    #[tokio::test]
    async fn audit_rows_cannot_be_changed_by_accident() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("memory.db")).await.unwrap();
        let text = String::new;
        let row = AuditRow { seq: 1, at: text(), body: text(), prev: text(), hash: text() };
        store.audit_append(&[row]).await.unwrap();
        for sql in ["DELETE FROM audit", "UPDATE audit SET body = 'x'"] {
            assert!(sqlx::query(sql).execute(&store.writer).await.is_err());
        }
    }
}
