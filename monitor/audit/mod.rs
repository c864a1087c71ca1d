//! The audit log: who did what to what, in a chain of hashes with anchors outside the database.
//!
//! Whoever is about to act appends a record first and acts only when that succeeded (I24). What must hold for the log to
//! be believed is in [`chain`], which also specifies the formats for whoever writes another verifier. The log keeps no
//! secrets and decides nothing; where its rows are kept is somebody else's business ([`AuditStore`]).
//!
//! An append is four steps: *announce* the new hashes in the anchor file, append the rows to the store in one
//! transaction, *confirm* the hashes in the anchor file. A kill between any two leaves a chain that verifies: rows ahead
//! of the last confirmation must equal what was announced. Every failure, and every step that takes too long, refuses the
//! append; the next one starts from what is on disk and first records that there was a refusal.

pub mod anchors;
pub mod chain;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use self::anchors::Anchors;
use self::chain::{Broken, Row, Verified, Verifier};
use crate::telemetry::emit;
use crate::telemetry::events::{AuditAppended, AuditRefused};

/// How long an append may take before it is refused.
const DEADLINE: Duration = Duration::from_secs(2);
const ROWS_AT_ONCE: u32 = 1_000;
const RESUMED: &str = "audit.resumed";

/// How the audit log is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file of anchors; best on another disk than the database. Beside the database if not said.
    pub anchor: Option<PathBuf>,
}

impl Config {
    /// Returns the file of anchors for the database at `database`.
    pub fn anchor_path(&self, database: &Path) -> PathBuf {
        self.anchor.clone().unwrap_or_else(|| {
            let mut name = database.as_os_str().to_owned();
            name.push(".anchors");
            name.into()
        })
    }
}

/// Something that somebody did, or is about to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Who: a name of a token, or `driftwarden`.
    pub actor: String,
    /// What, as `noun.verb`: `hook.started`, `finding.silenced`.
    pub what: String,
    /// To what, and with which details; never a secret.
    pub subject: Value,
}

/// A record's text in the chain.
#[derive(Serialize)]
struct Body<'a> {
    actor: &'a str,
    what: &'a str,
    subject: &'a Value,
}

/// What the audit log needs of a store.
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync {
    /// Appends rows, durably, all or nothing; refuses rows that do not follow the last one.
    async fn append(&self, rows: &[Row]) -> Result<(), BoxError>;

    /// Returns up to `limit` rows from `seq` on.
    async fn rows(&self, seq: u64, limit: u32) -> Result<Vec<Row>, BoxError>;

    /// Returns the last row.
    async fn last(&self) -> Result<Option<Row>, BoxError>;
}

/// What a store says when it fails.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the audit log refused. Nothing may be done that was to be recorded.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The chain or its anchors are not what they were.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The anchor file did not do as asked.
    #[error("failed to {what} the anchors `{path}`")]
    Anchors {
        /// What was asked.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The anchor file is not the one that was written before.
    #[error("not allowed to write anchors to `{path}`: {why}")]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The store did not do as asked.
    #[error("failed to {what} the audit chain")]
    Store {
        /// What was asked.
        what: &'static str,
        /// What it said.
        #[source]
        source: BoxError,
    },
    /// It took too long.
    #[error("failed to append to the audit log within 2 s")]
    Deadline,
    /// The file system hangs in an earlier append.
    #[error("failed to append to the audit log: an earlier write still hangs")]
    Hanging,
}

/// The audit log of this process.
#[derive(Debug)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
    path: PathBuf,
    /// Nothing after a refusal: the next append reads the file anew.
    anchors: Mutex<Option<Anchors>>,
    /// One: file systems that hang must not collect threads.
    blocking: Arc<Semaphore>,
    refusals: AtomicU64,
}

impl Audit {
    /// Opens the log, and settles what a kill may have left unconfirmed.
    pub async fn open(store: Arc<dyn AuditStore>, path: &Path) -> Result<Self, AuditError> {
        let audit = Self {
            store,
            path: path.to_owned(),
            anchors: Mutex::new(None),
            blocking: Arc::new(Semaphore::new(1)),
            refusals: AtomicU64::new(0),
        };
        let anchors = within(audit.settled(None)).await?;
        *audit.anchors.lock().await = Some(anchors);
        Ok(audit)
    }

    /// Appends records, durably, or refuses within two seconds. Returns the position of the last one.
    pub async fn append(&self, records: &[Record]) -> Result<u64, AuditError> {
        let appended = within(self.append_now(records)).await;
        match &appended {
            Ok(_) => {
                self.refusals.store(0, Ordering::Relaxed);
                emit(&AuditAppended { records: records.len() });
            }
            Err(error) => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                emit(&AuditRefused { error });
            }
        }
        appended
    }

    /// Checks the whole chain against its anchors.
    pub async fn verify(&self) -> Result<Verified, AuditError> {
        verify(&*self.store, &self.path).await
    }

    async fn append_now(&self, records: &[Record]) -> Result<u64, AuditError> {
        let mut slot = self.anchors.lock().await;
        let anchors = self.settled(slot.take()).await?;
        let (seq, prev) = anchors.confirmed();
        let rows: Arc<[Row]> = chain::continued(seq, prev, self.bodies(records)).into();
        let announced = Arc::clone(&rows);
        let anchors = self.off_thread(move || anchors.announced(&announced)).await?;
        self.store.append(&rows).await.map_err(|source| AuditError::Store { what: "append to", source })?;
        let last = rows.last().map_or(seq, |row| row.seq);
        *slot = Some(self.off_thread(move || anchors.confirmed_up_to(&rows)).await?);
        Ok(last)
    }

    /// Returns the texts of the records; after refusals, one more in front that says so.
    fn bodies(&self, records: &[Record]) -> Vec<(Timestamp, String)> {
        let refusals = self.refusals.load(Ordering::Relaxed);
        let resumed = records.first().filter(|_| refusals > 0).map(|first| Record {
            at: first.at,
            actor: "driftwarden".to_owned(),
            what: RESUMED.to_owned(),
            subject: json!({"refused_appends": refusals}),
        });
        resumed.iter().chain(records).map(|record| (record.at, body(record))).collect()
    }

    /// Returns the anchors, read anew if there are none, with every row of the store confirmed.
    async fn settled(&self, anchors: Option<Anchors>) -> Result<Anchors, AuditError> {
        let last = self.store.last().await.map_err(|source| AuditError::Store { what: "read", source })?;
        let last = last.map_or(0, |row| row.seq);
        let path = self.path.clone();
        let anchors = match anchors {
            Some(anchors) => anchors,
            None => self.off_thread(move || anchors::open(&path, last)).await?,
        };
        let (confirmed, _) = anchors.confirmed();
        let rows = rows(&*self.store, confirmed.max(1), last).await?;
        self.off_thread(move || anchors.settled(&rows, last)).await
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, AuditError> {
        let Ok(permit) = Arc::clone(&self.blocking).try_acquire_owned() else { return Err(AuditError::Hanging) };
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(AuditError::Hanging))
    }
}

async fn within<T>(work: impl Future<Output = Result<T, AuditError>>) -> Result<T, AuditError> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or(Err(AuditError::Deadline))
}

fn body(record: &Record) -> String {
    let Record { at: _, actor, what, subject } = record;
    // A map with text keys always has a JSON text; the fallback would still be chained.
    serde_json::to_string(&Body { actor, what, subject }).unwrap_or_default()
}

/// Returns the rows from `from` to `to`; fewer where the store has fewer.
async fn rows(store: &dyn AuditStore, from: u64, to: u64) -> Result<Vec<Row>, AuditError> {
    let mut found = Vec::new();
    let mut next = from;
    while next <= to {
        let page = store.rows(next, ROWS_AT_ONCE).await.map_err(|source| AuditError::Store { what: "read", source })?;
        let Some(last) = page.last() else { break };
        next = last.seq.saturating_add(1);
        found.extend(page);
    }
    Ok(found)
}

/// Checks a whole chain against the anchors in the file at `path`: finds any changed, deleted, inserted, reordered, cut or
/// rewritten record (I25). Writes nothing.
pub async fn verify(store: &dyn AuditStore, path: &Path) -> Result<Verified, AuditError> {
    let anchored = anchors::read(path)?;
    let mut verifier = Verifier::new(&anchored);
    let mut next = 0;
    loop {
        let page = store.rows(next, ROWS_AT_ONCE).await.map_err(|source| AuditError::Store { what: "read", source })?;
        let Some(last) = page.last() else { break };
        next = last.seq.saturating_add(1);
        for row in &page {
            verifier.take(row)?;
        }
    }
    Ok(verifier.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps rows in memory, and fails or hangs when told to.
    #[derive(Debug, Default)]
    struct Rows {
        rows: parking_lot::Mutex<Vec<Row>>,
        mood: parking_lot::Mutex<Mood>,
    }

    #[derive(Debug, Default, Clone, Copy, PartialEq)]
    enum Mood {
        #[default]
        Well,
        Full,
        Hanging,
        /// Stores, and then the caller never hears of it.
        Forgetful,
    }

    #[async_trait]
    impl AuditStore for Rows {
        async fn append(&self, rows: &[Row]) -> Result<(), BoxError> {
            let mood = *self.mood.lock();
            if matches!(mood, Mood::Well | Mood::Forgetful) {
                self.rows.lock().extend_from_slice(rows);
            }
            match mood {
                Mood::Well => Ok(()),
                Mood::Hanging => std::future::pending().await,
                Mood::Full | Mood::Forgetful => Err("disk full".into()),
            }
        }

        async fn rows(&self, seq: u64, limit: u32) -> Result<Vec<Row>, BoxError> {
            let rows = self.rows.lock();
            Ok(rows.iter().filter(|row| row.seq >= seq).take(limit.try_into()?).cloned().collect())
        }

        async fn last(&self) -> Result<Option<Row>, BoxError> {
            Ok(self.rows.lock().last().cloned())
        }
    }

    struct Log {
        folder: tempfile::TempDir,
        store: Arc<Rows>,
        audit: Audit,
    }

    impl Log {
        /// A log of two records.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(Rows::default());
            let audit = Audit::open(store.clone(), &folder.path().join("anchors")).await.unwrap();
            let log = Self { folder, store, audit };
            log.append("one").await.unwrap();
            log.append("two").await.unwrap();
            log
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("anchors")
        }

        async fn append(&self, what: &str) -> Result<u64, AuditError> {
            let record = Record {
                at: Timestamp::UNIX_EPOCH,
                actor: "a".to_owned(),
                what: what.to_owned(),
                subject: Value::Null,
            };
            self.audit.append(&[record]).await
        }

        async fn reopened(self) -> Result<Self, AuditError> {
            let audit = Audit::open(self.store.clone(), &self.path()).await?;
            Ok(Self { audit, ..self })
        }

        fn whats(&self) -> Vec<String> {
            let what =
                |row: &Row| serde_json::from_str::<Value>(&row.body).unwrap()["what"].as_str().unwrap().to_owned();
            self.store.rows.lock().iter().map(what).collect()
        }

        async fn verified(&self) -> u64 {
            self.audit.verify().await.unwrap().records
        }
    }

    #[tokio::test]
    async fn what_was_appended_verifies_after_a_restart() {
        let log = Log::new().await.reopened().await.unwrap();
        assert_eq!(log.append("three").await.unwrap(), 3);
        assert_eq!(log.verified().await, 3);
        assert_eq!(log.whats(), ["one", "two", "three"]);
    }

    /// Breaks the anchor file under an open log: it must refuse, and go on with a record of that once it is mended.
    async fn check(break_it: impl FnOnce(&Path), mend_it: impl FnOnce(&Path)) {
        let log = Log::new().await;
        let kept = std::fs::read(log.path()).unwrap();
        break_it(&log.path());
        for _ in 0..2 {
            log.append("refused").await.unwrap_err();
        }
        assert_eq!(log.whats(), ["one", "two"]);
        mend_it(&log.path());
        std::fs::write(log.path(), kept).unwrap();
        assert_eq!(log.append("three").await.unwrap(), 4);
        assert_eq!(log.whats(), ["one", "two", RESUMED, "three"]);
        assert_eq!(log.verified().await, 4);
    }

    fn unlink(path: &Path) {
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_lost_or_replaced_anchor_file_refuses_every_append() {
        check(unlink, |_| ()).await;
        check(|path| std::fs::write(path, "").unwrap(), |_| ()).await;
        check(|path| std::fs::write(path, "some other text\n").unwrap(), |_| ()).await;
        let into_folder = |path: &Path| {
            unlink(path);
            std::fs::create_dir(path).unwrap();
        };
        check(into_folder, |path| std::fs::remove_dir(path).unwrap()).await;
        let into_link = |path: &Path| {
            std::fs::rename(path, path.with_extension("away")).unwrap();
            std::os::unix::fs::symlink(path.with_extension("away"), path).unwrap();
        };
        check(into_link, unlink).await;
    }

    #[tokio::test]
    async fn a_copy_in_the_place_of_the_anchor_file_is_noticed() {
        let log = Log::new().await;
        std::fs::copy(log.path(), log.path().with_extension("copy")).unwrap();
        std::fs::rename(log.path().with_extension("copy"), log.path()).unwrap();
        assert!(matches!(log.append("refused").await, Err(AuditError::Replaced { .. })));
    }

    #[tokio::test]
    async fn a_store_that_fails_refuses_and_is_recorded_later() {
        let log = Log::new().await;
        *log.store.mood.lock() = Mood::Full;
        log.append("refused").await.unwrap_err();
        *log.store.mood.lock() = Mood::Well;
        log.append("three").await.unwrap();
        assert_eq!(log.whats(), ["one", "two", RESUMED, "three"]);
        assert_eq!(log.verified().await, 4);
    }

    #[tokio::test]
    async fn a_store_that_hangs_is_refused_within_the_deadline() {
        let log = Log::new().await;
        *log.store.mood.lock() = Mood::Hanging;
        assert!(matches!(log.append("refused").await, Err(AuditError::Deadline)));
        *log.store.mood.lock() = Mood::Well;
        log.append("three").await.unwrap();
        assert_eq!(log.verified().await, 4);
    }

    #[tokio::test]
    async fn what_was_stored_and_not_confirmed_stands() {
        let log = Log::new().await;
        *log.store.mood.lock() = Mood::Forgetful;
        log.append("three").await.unwrap_err();
        assert_eq!(log.verified().await, 3);
        *log.store.mood.lock() = Mood::Well;
        let log = log.reopened().await.unwrap();
        assert_eq!(log.append("four").await.unwrap(), 4);
        assert_eq!(log.whats(), ["one", "two", "three", "four"]);
        assert_eq!(log.verified().await, 4);
    }

    #[tokio::test]
    async fn what_was_torn_off_the_anchor_file_is_written_again() {
        let log = Log::new().await;
        let text = std::fs::read(log.path()).unwrap();
        std::fs::write(log.path(), &text[..text.len() - 9]).unwrap();
        let log = log.reopened().await.unwrap();
        log.append("three").await.unwrap();
        assert_eq!(log.verified().await, 3);
    }

    #[tokio::test]
    async fn a_chain_that_is_not_the_anchored_one_is_not_continued() {
        let log = Log::new().await;
        log.store.rows.lock().pop();
        assert!(matches!(log.reopened().await.err(), Some(AuditError::Broken(Broken { index: 2, .. }))));

        let log = Log::new().await;
        let forged =
            chain::continued(2, &log.store.rows.lock()[1].hash, vec![(Timestamp::UNIX_EPOCH, "{}".to_owned())]);
        log.store.rows.lock().extend(forged);
        assert!(matches!(log.reopened().await.err(), Some(AuditError::Broken(Broken { index: 3, .. }))));

        let log = Log::new().await;
        unlink(&log.path());
        assert!(matches!(log.reopened().await.err(), Some(AuditError::Broken(Broken { index: 1, .. }))));
    }
}
