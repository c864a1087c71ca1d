//! The schemas that providers state of their kinds: asked for once, remembered over a restart, renewed when they are old.
//!
//! That one could not be had never stops a scan: the last one that was read stays in force, and where there is none the kind
//! is known to lack it. What a schema says is not understood here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use driftwarden_core::resource::{Kind, Scope};
use driftwarden_core::schema::{self, Schema, Schemas};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::collect::{Collector, Described};
use crate::store::{Epoch, SchemaRow, Store};
use crate::telemetry::emit;
use crate::telemetry::events::{SchemaAnswered, SchemasLacked, SchemasUnsaved};

/// How long a scan waits for schemas. What has not come by then is asked for again later.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a provider that gave no schema is not asked again.
const RETRY: SignedDuration = SignedDuration::from_mins(15);

/// Who asks, for which scope.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The scope whose kinds are compared.
    pub scope: &'a Scope,
    /// Who reads it.
    pub collector: &'a dyn Collector,
}

/// Where rows are kept.
#[derive(Debug)]
struct Memory {
    store: Arc<dyn Store>,
    epoch: Epoch,
}

/// Every schema that was read.
pub struct Registry {
    memory: Option<Memory>,
    known: Mutex<BTreeMap<(Arc<str>, Kind), Known>>,
    refused: Mutex<BTreeMap<(Scope, Kind), Refused>>,
    /// Only one scope of a realm asks at a time: the others find the answer. Says whether the memory was looked into.
    gates: Mutex<BTreeMap<Arc<str>, Arc<tokio::sync::Mutex<bool>>>>,
    clock: fn() -> Timestamp,
    patience: Duration,
}

struct Known {
    schema: Arc<Schema>,
    read_at: Timestamp,
}

struct Refused {
    again_at: Timestamp,
    why: String,
}

/// Which schemas are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Those of which nothing is known.
    Lacking,
    /// Those, and those that are old.
    Old,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Registry {
    /// Returns a registry that forgets everything when it ends.
    pub fn forgetful(clock: fn() -> Timestamp) -> Self {
        let (known, refused, gates) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { memory: None, known, refused, gates, clock, patience: PATIENCE }
    }

    /// Returns a registry that keeps what it reads in `store`.
    pub fn remembering(store: Arc<dyn Store>, epoch: Epoch, clock: fn() -> Timestamp) -> Self {
        Self { memory: Some(Memory { store, epoch }), ..Self::forgetful(clock) }
    }

    /// Returns what counts as equal for these kinds, after asking for what was never read. Waits for it a while only.
    pub async fn of(&self, asker: Asker<'_>, kinds: &[Kind]) -> Schemas {
        self.ask(asker, kinds, Due::Lacking).await;
        self.known(asker, kinds)
    }

    /// Asks for what is old, so that the next scan has it new.
    pub async fn renew(&self, asker: Asker<'_>, kinds: &[Kind]) {
        self.ask(asker, kinds, Due::Old).await;
    }

    fn known(&self, asker: Asker<'_>, kinds: &[Kind]) -> Schemas {
        let held = self.known.lock();
        let (mut known, mut lacking) = (BTreeMap::new(), BTreeSet::new());
        for kind in kinds {
            let Some(validity) = asker.collector.validity(asker.scope, kind) else { continue };
            match held.get(&(validity.realm, kind.clone())) {
                Some(held) => drop(known.insert(kind.clone(), Arc::clone(&held.schema))),
                None => drop(lacking.insert(kind.clone())),
            }
        }
        Schemas::new(known, lacking)
    }

    async fn ask(&self, asker: Asker<'_>, kinds: &[Kind], due: Due) {
        let mut realms: BTreeMap<Arc<str>, Vec<(Kind, SignedDuration)>> = BTreeMap::new();
        for kind in kinds {
            let Some(validity) = asker.collector.validity(asker.scope, kind) else { continue };
            realms.entry(validity.realm).or_default().push((kind.clone(), validity.life));
        }
        for (realm, kinds) in realms {
            let gate = Arc::clone(self.gates.lock().entry(Arc::clone(&realm)).or_default());
            let Ok(mut is_loaded) = timeout(self.patience, gate.lock()).await else { continue };
            if !*is_loaded {
                self.load(&realm).await;
                *is_loaded = true;
            }
            let kinds = self.due(asker.scope, (&realm, &kinds), due);
            if !kinds.is_empty() {
                self.ask_provider(asker, &realm, &kinds).await;
            }
        }
    }

    fn due(&self, scope: &Scope, (realm, kinds): (&Arc<str>, &[(Kind, SignedDuration)]), due: Due) -> Vec<Kind> {
        let now = (self.clock)();
        let (known, refused) = (self.known.lock(), self.refused.lock());
        let is_wanted = |kind: &Kind, life: SignedDuration| match known.get(&(Arc::clone(realm), kind.clone())) {
            None => true,
            Some(held) => due == Due::Old && now.duration_since(held.read_at) >= life,
        };
        let is_refused =
            |kind: &Kind| refused.get(&(scope.clone(), kind.clone())).is_some_and(|refused| now < refused.again_at);
        let wanted = kinds.iter().filter(|(kind, life)| is_wanted(kind, *life) && !is_refused(kind));
        wanted.map(|(kind, _)| kind.clone()).collect()
    }

    async fn ask_provider(&self, asker: Asker<'_>, realm: &Arc<str>, kinds: &[Kind]) {
        let (sink, mut said) = mpsc::channel(16);
        let mut answers: BTreeMap<Kind, Result<Schema, String>> = BTreeMap::new();
        let take = async {
            while let Some(Described { kind, schema }) = said.recv().await {
                let schema = schema.map_err(|error| {
                    emit(&SchemaAnswered { cloud: &asker.scope.cloud, kind: &kind, result: error.reason().as_str() });
                    format!("{:#}", anyhow::Error::from(error))
                });
                answers.insert(kind, schema);
            }
        };
        let asked = async { tokio::join!(asker.collector.describe(asker.scope, kinds, sink), take) };
        let in_time = timeout(self.patience, asked).await.is_ok();
        let why = if in_time { "the provider said nothing of it" } else { "the provider did not answer in time" };
        for kind in kinds {
            answers.entry(kind.clone()).or_insert_with(|| Err(why.to_owned()));
        }
        self.take(asker.scope, realm, answers).await;
    }

    async fn take(&self, scope: &Scope, realm: &Arc<str>, answers: BTreeMap<Kind, Result<Schema, String>>) {
        let now = (self.clock)();
        let mut fresh = Vec::new();
        let mut failed = BTreeMap::new();
        for (kind, answer) in answers {
            match answer {
                Ok(schema) => {
                    let schema = Arc::new(schema);
                    let row =
                        SchemaRow { realm: Arc::clone(realm), kind, schema, version: schema::VERSION, read_at: now };
                    emit(&SchemaAnswered { cloud: &scope.cloud, kind: &row.kind, result: "read" });
                    self.hold(&row);
                    self.refused.lock().remove(&(scope.clone(), row.kind.clone()));
                    fresh.push(row);
                }
                Err(why) => drop(failed.insert(kind, why)),
            }
        }
        self.refuse(scope, &failed, now);
        if let Some(Memory { store, epoch }) = self.memory.as_ref().filter(|_| !fresh.is_empty())
            && let Err(error) = store.save_schemas(*epoch, &fresh).await
        {
            emit(&SchemasUnsaved { error: &error });
        }
    }

    /// Puts a schema in force. One that an older program read is good until it is read anew, which is soon.
    fn hold(&self, row: &SchemaRow) {
        let is_current = row.version == schema::VERSION;
        let read_at = if is_current { row.read_at } else { Timestamp::UNIX_EPOCH };
        let known = Known { schema: Arc::clone(&row.schema), read_at };
        self.known.lock().insert((Arc::clone(&row.realm), row.kind.clone()), known);
    }

    /// Notes what could not be had. What was told before for the same reason is not told again.
    fn refuse(&self, scope: &Scope, failed: &BTreeMap<Kind, String>, now: Timestamp) {
        let mut new = 0;
        let mut refused = self.refused.lock();
        for (kind, why) in failed {
            let next = Refused { again_at: now + RETRY, why: why.clone() };
            let before = refused.insert((scope.clone(), kind.clone()), next);
            new += usize::from(before.is_none_or(|before| before.why != *why));
        }
        if let Some((kind, why)) = failed.first_key_value().filter(|_| new > 0) {
            emit(&SchemasLacked { scope, kinds: new, kind, why });
        }
    }

    /// Puts in force what was read before a restart.
    async fn load(&self, realm: &Arc<str>) {
        let Some(Memory { store, .. }) = &self.memory else { return };
        match store.schemas(realm).await {
            Ok(rows) => rows.iter().for_each(|row| self.hold(row)),
            Err(error) => emit(&SchemasUnsaved { error: &error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use async_trait::async_trait;
    use driftwarden_core::resource::{GapReason, Provider, ResourceId};

    use super::*;
    use crate::collect::{CollectError, Reading, Sink, Validity, Wanted};
    use crate::store;

    /// A provider that states what it is told to, and writes down what it was asked.
    #[derive(Default)]
    struct Oracle {
        answers: Mutex<Vec<&'static str>>,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Collector for Oracle {
        fn provider(&self) -> Provider {
            Provider::Aws
        }

        async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
            Ok(Vec::new())
        }

        async fn collect(&self, _: &Scope, _: &Wanted, _: Sink) {}

        async fn read(&self, _: &ResourceId, _: &Wanted) -> Result<Reading, CollectError> {
            Ok(Reading::Absent)
        }

        fn validity(&self, _: &Scope, kind: &Kind) -> Option<Validity> {
            let validity = Validity { realm: "realm".into(), life: SignedDuration::from_hours(24) };
            kind.as_str().starts_with("AWS::").then_some(validity)
        }

        /// An answer is a pointer of the schema, `denied`, `silent` for none or `stuck` for waiting for ever.
        async fn describe(&self, scope: &Scope, kinds: &[Kind], sink: mpsc::Sender<Described>) {
            for kind in kinds {
                self.asked.lock().push(format!("{}:{}", scope.account, kind.as_str().trim_start_matches("AWS::")));
                let answer = self.answers.lock().remove(0);
                let schema = match answer {
                    "stuck" => std::future::pending().await,
                    "silent" => continue,
                    "denied" => Err(CollectError::Unread {
                        what: "the schema".to_owned(),
                        reason: GapReason::Denied,
                        source: anyhow::anyhow!("AccessDenied"),
                    }),
                    pointer => Ok(Schema { read_only: vec![pointer.to_owned()], ..Schema::default() }),
                };
                sink.send(Described { kind: kind.clone(), schema }).await.unwrap();
            }
        }
    }

    /// Minutes that have gone by; each test has a clock of its own.
    macro_rules! clock {
        ($name:ident) => {{
            static $name: AtomicI64 = AtomicI64::new(0);
            (&$name, || Timestamp::UNIX_EPOCH + SignedDuration::from_mins(1_000_000 + $name.load(Ordering::Relaxed)))
        }};
    }

    fn scope(account: &str) -> Scope {
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: account.into(), region: "r".into() }
    }

    /// Has the schemas of two kinds asked for by scope `1` or another, and returns them as words.
    async fn look(registry: &Registry, oracle: &Oracle, account: &str) -> String {
        let (scope, kinds) = (scope(account), ["AWS::A", "AWS::B", "Pod"].map(Kind::from));
        let asker = Asker { scope: &scope, collector: oracle };
        let schemas = registry.of(asker, &kinds).await;
        registry.renew(asker, &kinds).await;
        let word = |kind| match schemas.of(kind).read_only.first() {
            Some(pointer) => pointer.clone(),
            None if schemas.lacks(kind) => "lacking".to_owned(),
            None => "-".to_owned(),
        };
        kinds.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    async fn check(registry: &Registry, answers: &[&'static str], account: &str, expected: (&str, &str)) {
        let oracle = Oracle { answers: Mutex::new(answers.to_vec()), ..Oracle::default() };
        let found = look(registry, &oracle, account).await;
        assert_eq!((&*found, &*oracle.asked.lock().join(" ")), expected);
    }

    #[tokio::test]
    async fn a_schema_is_asked_for_once_a_day_whatever_the_scope() {
        let (minutes, clock) = clock!(MINUTES);
        let registry = Registry::forgetful(clock);
        check(&registry, &["/a", "/b"], "1", ("/a /b -", "1:A 1:B")).await;
        check(&registry, &[], "2", ("/a /b -", "")).await;
        minutes.store(24 * 60 - 1, Ordering::Relaxed);
        check(&registry, &[], "1", ("/a /b -", "")).await;
        // Renewed after the look: in force from the next one.
        minutes.store(24 * 60, Ordering::Relaxed);
        check(&registry, &["/a2", "/b2"], "2", ("/a /b -", "2:A 2:B")).await;
        check(&registry, &[], "1", ("/a2 /b2 -", "")).await;
    }

    #[tokio::test]
    async fn a_failure_leaves_the_last_schema_in_force_and_is_not_asked_again_at_once() {
        let (minutes, clock) = clock!(MINUTES);
        let registry = Registry::forgetful(clock);
        check(&registry, &["/a", "denied"], "1", ("/a lacking -", "1:A 1:B")).await;
        check(&registry, &[], "1", ("/a lacking -", "")).await;
        // What one account must not ask, another may.
        check(&registry, &["/b"], "2", ("/a /b -", "2:B")).await;
        minutes.store(24 * 60, Ordering::Relaxed);
        check(&registry, &["silent", "denied"], "1", ("/a /b -", "1:A 1:B")).await;
        check(&registry, &[], "1", ("/a /b -", "")).await;
        minutes.store(24 * 60 + 15, Ordering::Relaxed);
        check(&registry, &["/a2", "/b2"], "1", ("/a /b -", "1:A 1:B")).await;
        check(&registry, &[], "1", ("/a2 /b2 -", "")).await;
    }

    #[tokio::test]
    async fn a_provider_that_never_answers_holds_nobody_up_for_long() {
        let (_, clock) = clock!(MINUTES);
        let registry = Registry { patience: Duration::from_millis(20), ..Registry::forgetful(clock) };
        check(&registry, &["/a", "stuck"], "1", ("/a lacking -", "1:A 1:B")).await;
        check(&registry, &[], "1", ("/a lacking -", "")).await;
    }

    #[tokio::test]
    async fn a_restart_asks_nobody() {
        let (minutes, clock) = clock!(MINUTES);
        let folder = tempfile::tempdir().unwrap();
        let config = store::Config {
            url: format!("sqlite://{}", folder.path().join("memory.db").display()),
            ..store::Config::default()
        };
        let start = || async {
            let store = store::open(&config).await.unwrap();
            let epoch = store.take_lead("a", clock()).await.unwrap();
            Registry::remembering(store, epoch, clock)
        };
        check(&start().await, &["/a", "/b"], "1", ("/a /b -", "1:A 1:B")).await;
        check(&start().await, &[], "1", ("/a /b -", "")).await;
        minutes.store(24 * 60, Ordering::Relaxed);
        check(&start().await, &["/a2", "denied"], "1", ("/a /b -", "1:A 1:B")).await;
        check(&start().await, &["/b2"], "1", ("/a2 /b -", "1:B")).await;
    }
}
