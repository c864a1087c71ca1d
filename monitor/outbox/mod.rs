//! The outbox: carries out what was saved. Alerts at least once, hooks at most once.
//!
//! It decides nothing that the saved action leaves open. Telling and mending are two loops, so that a slow hook delays no
//! alert. Everything is in the store before it happens and again when it has happened; what lies between is what a crash
//! can hit, and each side errs on its own safe side: an alert is told twice, a hook is not run.

mod mend;
mod remind;
mod tell;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use driftwarden_core::finding::Finding;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::notify::Receivers;
use crate::remediate::{Approvals, Hooks, KillSwitch, Reread};
use crate::store::{Epoch, Store, StoreError};
use crate::telemetry::events::{InvariantBroken, OutboxCounted, OutboxFailed};
use crate::telemetry::{chain, emit};

/// How often the store is asked for what has become due.
const TICK: Duration = Duration::from_secs(1);

/// How patient the outbox is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Age at which a notification that always failed becomes a dead letter.
    #[schemars(with = "String")]
    pub give_up_after: SignedDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self { give_up_after: SignedDuration::from_hours(24) }
    }
}

/// Who keeps the audit log. Returns when the record is durable: nothing is done that is not in the log (I24).
#[async_trait]
pub trait Audit: Send + Sync {
    /// Appends one record: what (`hook.started`), to what, and details; never a secret.
    async fn append(&self, what: &str, subject: &str, detail: &str) -> anyhow::Result<()>;
}

/// Who knows what the configuration in force looks at.
pub trait Watch: Send + Sync {
    /// Returns whether what an open finding is about is still looked at. What is not will never be seen to be over, and is
    /// not told again and again.
    fn watches(&self, finding: &Finding) -> bool;
}

/// Who the outbox asks for what it does not know itself.
#[derive(Clone)]
pub struct Peers {
    /// Keeps the audit log.
    pub audit: Arc<dyn Audit>,
    /// Reads resources again.
    pub reread: Arc<dyn Reread>,
    /// Knows the approvals.
    pub approvals: Arc<dyn Approvals>,
    /// Knows what is looked at.
    pub watch: Arc<dyn Watch>,
    /// Asks the time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The outbox.
pub struct Outbox {
    store: Arc<dyn Store>,
    epoch: Epoch,
    config: Config,
    peers: Peers,
    receivers: ArcSwap<Receivers>,
    hooks: ArcSwap<Hooks>,
    kill_switch: KillSwitch,
    tell_now: Notify,
    mend_now: Notify,
    /// Until when a receiver that failed is left alone. Later notifications wait behind earlier ones: a receiver must not
    /// hear that something is over before it hears that it began.
    held: Mutex<HashMap<Arc<str>, Timestamp>>,
    /// When a receiver that forgets was last told everything.
    refreshed: Mutex<HashMap<Arc<str>, Timestamp>>,
    /// When a receiver that does not forget is to be looked at next, for what is open and was not told for long.
    looked: Mutex<HashMap<Arc<str>, Timestamp>>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Returns an outbox that tells nobody and mends nothing until it is configured.
    pub fn new(store: Arc<dyn Store>, epoch: Epoch, config: Config, peers: Peers) -> Self {
        Self {
            store,
            epoch,
            config,
            peers,
            receivers: ArcSwap::default(),
            hooks: ArcSwap::default(),
            kill_switch: KillSwitch::default(),
            tell_now: Notify::new(),
            mend_now: Notify::new(),
            held: Mutex::default(),
            refreshed: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// Puts receivers and hooks in force. What is being carried out is carried through with the old ones.
    pub fn configure(&self, receivers: Receivers, hooks: Hooks) {
        self.receivers.store(Arc::new(receivers));
        self.hooks.store(Arc::new(hooks));
        self.held.lock().clear();
        self.looked.lock().clear();
        self.wake();
    }

    /// Returns the switch that stops every hook that has not begun.
    pub fn kill_switch(&self) -> &KillSwitch {
        &self.kill_switch
    }

    /// Says that there may be something to do. Carries no data: what there is, the store knows.
    pub fn wake(&self) {
        self.tell_now.notify_one();
        self.mend_now.notify_one();
    }

    /// Carries out what is due until stopped. Ends with an error only when somebody else leads now.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        self.recover(self.now()).await?;
        tokio::try_join!(self.repeat(Loop::Tell, stop), self.repeat(Loop::Mend, stop)).map(|_| ())
    }

    async fn repeat(&self, which: Loop, stop: &CancellationToken) -> Result<(), StoreError> {
        let (what, wake) = match which {
            Loop::Tell => ("tell", &self.tell_now),
            Loop::Mend => ("mend", &self.mend_now),
        };
        while !stop.is_cancelled() {
            let done = match which {
                Loop::Tell => self.tell(self.now()).await,
                Loop::Mend => self.mend().await,
            };
            match done {
                Ok(()) => (),
                Err(error @ StoreError::Stale { .. }) => return Err(error),
                Err(error) => emit(&OutboxFailed { what, error: chain(&error) }),
            }
            tokio::select! {
                () = stop.cancelled() => (),
                () = wake.notified() => (),
                () = tokio::time::sleep(TICK) => (),
            }
        }
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.peers.clock)()
    }

    async fn count(&self) -> Result<(), StoreError> {
        let counts = self.store.outbox_counts().await?;
        let pending: Vec<_> = counts.pending.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        let dead: Vec<_> = counts.dead.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        emit(&OutboxCounted { pending: &pending, dead: &dead });
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Loop {
    Tell,
    Mend,
}

/// Returns what a write said, without a contradiction: one row that is not as we thought must not stop all others.
fn tolerated(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::Conflict(detail)) => {
            emit(&InvariantBroken { what: "an outbox row was concluded by somebody else", detail });
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::path::PathBuf;

    use driftwarden_core::compare::Patch;
    use driftwarden_core::decide::{Action, Notice, Route, decide};
    use driftwarden_core::finding::{Step, Transition};
    use driftwarden_core::group::Spacing;
    use tempfile::TempDir;

    use super::*;
    use crate::notify::{Batch, Notifier, NotifyError};
    use crate::outbound::samples::{at, finding, firing, resolved};
    use crate::remediate::{self, Answer, Approval, Reading, Switch};
    use crate::store::{self, Intent, IntentFilter, IntentState, NewIntent, OutboxKind, ScanRecord};

    const BEGIN: &str = "2026-01-02T00:00:00Z";

    /// A receiver that answers by script, then well, and remembers what it was told.
    struct Scripted {
        script: Mutex<VecDeque<NotifyError>>,
        told: Mutex<Vec<Batch>>,
        refresh: Option<SignedDuration>,
    }

    #[async_trait]
    impl Notifier for Scripted {
        async fn send(&self, batch: &Batch) -> Result<(), NotifyError> {
            self.told.lock().push(batch.clone());
            self.script.lock().pop_front().map_or(Ok(()), Err)
        }

        fn refresh_every(&self) -> Option<SignedDuration> {
            self.refresh
        }
    }

    fn busy() -> NotifyError {
        NotifyError::Retry { after: None, source: anyhow::anyhow!("503") }
    }

    fn busy_for(seconds: i64) -> NotifyError {
        NotifyError::Retry { after: Some(SignedDuration::from_secs(seconds)), source: anyhow::anyhow!("429") }
    }

    fn bad() -> NotifyError {
        NotifyError::GiveUp { source: anyhow::anyhow!("400") }
    }

    /// Everything that the outbox asks: answers as set, remembers what it was told.
    struct Others {
        now: Mutex<Timestamp>,
        answers: Mutex<VecDeque<Answer>>,
        audited: Mutex<Vec<String>>,
        audit_works: Mutex<Result<(), &'static str>>,
        unwatched: Mutex<Option<Finding>>,
    }

    impl Watch for Others {
        fn watches(&self, finding: &Finding) -> bool {
            self.unwatched.lock().as_ref().is_none_or(|left| left.fingerprint != finding.fingerprint)
        }
    }

    #[async_trait]
    impl Audit for Others {
        async fn append(&self, what: &str, _: &str, detail: &str) -> anyhow::Result<()> {
            self.audit_works.lock().map_err(anyhow::Error::msg)?;
            self.audited.lock().push(format!("{what} {detail}"));
            Ok(())
        }
    }

    #[async_trait]
    impl Reread for Others {
        async fn reread(&self, _: &Finding) -> Reading {
            let answer = self.answers.lock().pop_front().unwrap_or(Answer::Unknown("no answer".to_owned()));
            let operations = vec![serde_json::json!({"op": "replace", "path": "/spec/replicas", "value": 2})];
            let patch = Patch { operations, withheld: vec!["/data/key".to_owned()] };
            Reading { answer, at: *self.now.lock(), revision: Some("abc123".into()), patch: Some(patch) }
        }
    }

    #[async_trait]
    impl Approvals for Others {
        async fn approval(&self, _: &str) -> Approval {
            Approval::Awaited
        }
    }

    struct World {
        folder: TempDir,
        store: Arc<dyn Store>,
        outbox: Arc<Outbox>,
        others: Arc<Others>,
        oncall: Arc<Scripted>,
        scans: u32,
    }

    impl World {
        async fn new(script: Vec<NotifyError>, refresh: Option<SignedDuration>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("test.db").display());
            let store = store::open(&store::Config { url, ..store::Config::default() }).await.unwrap();
            let others = Arc::new(Others {
                now: Mutex::new(at(BEGIN)),
                answers: Mutex::default(),
                audited: Mutex::default(),
                audit_works: Mutex::new(Ok(())),
                unwatched: Mutex::default(),
            });
            let outbox = outbox(&store, &others).await;
            let oncall = Arc::new(Scripted { script: Mutex::new(script.into()), told: Mutex::default(), refresh });
            outbox.configure(receivers(&oncall), Hooks::default());
            Self { folder, store, outbox, others, oncall, scans: 0 }
        }

        /// Saves a complete scan that left these findings and actions.
        async fn scan(&mut self, findings: Vec<Finding>, actions: Vec<Action>) {
            self.scans += 1;
            let now = *self.others.now.lock();
            let opened = |finding| Step { finding, transition: Some(Transition::Opened) };
            let record = ScanRecord {
                id: self.scans.to_string(),
                scope: finding("any").scope,
                started_at: now,
                finished_at: now,
                complete: true,
                resources: 100,
                managed: 100,
                units: Vec::new(),
                revisions: Vec::new(),
                steps: findings.into_iter().map(opened).collect(),
                actions,
            };
            self.store.commit(self.outbox.epoch, &record).await.unwrap();
        }

        async fn tell_after(&self, seconds: i64) {
            let now = {
                let mut now = self.others.now.lock();
                *now += SignedDuration::from_secs(seconds);
                *now
            };
            self.outbox.tell(now).await.unwrap();
        }

        /// Returns what was told: the key and, for each finding, its status.
        fn told(&self) -> Vec<(String, Vec<&'static str>)> {
            let words = |batch: &Batch| batch.notices.iter().map(|notice| notice.status.as_str()).collect();
            self.oncall.told.lock().iter().map(|batch| (batch.dedup.clone(), words(batch))).collect()
        }

        fn keys(&self) -> Vec<String> {
            self.told().into_iter().map(|(key, _)| key).collect()
        }

        async fn pending_and_dead(&self) -> (u64, u64) {
            let counts = self.store.outbox_counts().await.unwrap();
            let pending = counts.pending.iter().map(|(_, count)| count).sum();
            (pending, counts.dead.iter().map(|(_, count)| count).sum())
        }

        fn mark(&self) -> PathBuf {
            self.folder.path().join("mark")
        }

        /// Configures a hook that leaves a mark and ends as `script` says, and asks it to mend the bucket `logs`.
        async fn hook(&mut self, mode: &str, script: &str) {
            let script = format!("echo x >> {}; {script}", self.mark().display());
            let config = serde_json::json!({"hooks": [{
                "name": "h", "match": ["type=drift"], "mode": mode, "verify_for": "0s", "max_percent": 100,
                "exec": {"command": ["/bin/sh", "-c", script]},
            }]});
            let hooks = remediate::Config::deserialize(config).unwrap().build().unwrap();
            self.outbox.configure(receivers(&self.oncall), hooks);
            self.scan(vec![finding("logs")], vec![mend()]).await;
        }

        async fn mend(&self, answers: &[Answer]) -> Vec<(IntentState, String)> {
            *self.others.answers.lock() = answers.iter().cloned().collect();
            self.outbox.mend().await.unwrap();
            self.intents().await.into_iter().map(|intent| (intent.state, intent.detail)).collect()
        }

        async fn intents(&self) -> Vec<Intent> {
            self.store.intents(&IntentFilter::default()).await.unwrap()
        }

        fn runs(&self) -> usize {
            std::fs::read_to_string(self.mark()).map_or(0, |text| text.lines().count())
        }
    }

    async fn outbox(store: &Arc<dyn Store>, others: &Arc<Others>) -> Arc<Outbox> {
        let epoch = store.take_lead("test", at(BEGIN)).await.unwrap();
        let clock = Arc::clone(others);
        let peers = Peers {
            audit: Arc::clone(others) as _,
            reread: Arc::clone(others) as _,
            approvals: Arc::clone(others) as _,
            watch: Arc::clone(others) as _,
            clock: Arc::new(move || *clock.now.lock()),
        };
        Arc::new(Outbox::new(Arc::clone(store), epoch, Config::default(), peers))
    }

    fn root() -> Route {
        Route {
            place: String::new(),
            matchers: Vec::new(),
            receiver: "oncall".into(),
            group_by: vec!["kind".to_owned()],
            spacing: Spacing {
                wait: SignedDuration::ZERO,
                interval: SignedDuration::from_mins(5),
                repeat: SignedDuration::from_hours(4),
            },
            continue_: false,
            routes: Vec::new(),
        }
    }

    fn receivers(oncall: &Arc<Scripted>) -> Receivers {
        let by_name = [(Arc::from("oncall"), Arc::clone(oncall) as Arc<dyn Notifier>)].into();
        Receivers { by_name, route: Some(root()) }
    }

    fn tell(dedup: &str, notice: Notice) -> Action {
        let (receiver, group, dedup) = ("oncall".into(), "g".to_owned(), dedup.to_owned());
        Action::Notify { receiver, group, dedup, not_before: at(BEGIN), notices: vec![notice] }
    }

    fn mend() -> Action {
        Action::Remediate { hook: "h".into(), fingerprint: finding("logs").fingerprint, generation: 1 }
    }

    #[tokio::test]
    async fn what_failed_is_told_again_under_the_same_key() {
        let mut world = World::new(vec![busy(), busy()], None).await;
        world.scan(vec![], vec![tell("k", firing(finding("logs")))]).await;
        world.tell_after(0).await;
        world.tell_after(1).await;
        assert_eq!(world.keys(), ["k"], "a second later is too soon");
        world.tell_after(5).await;
        world.tell_after(10).await;
        assert_eq!(world.keys(), ["k", "k", "k"]);
        assert_eq!(world.pending_and_dead().await, (0, 0));
        world.tell_after(3600).await;
        assert_eq!(world.keys().len(), 3);
    }

    #[tokio::test]
    async fn a_receiver_says_how_long_to_wait() {
        let mut world = World::new(vec![busy_for(300)], None).await;
        world.scan(vec![], vec![tell("k", firing(finding("logs")))]).await;
        world.tell_after(0).await;
        world.tell_after(299).await;
        assert_eq!(world.keys().len(), 1);
        world.tell_after(1).await;
        assert_eq!(world.keys().len(), 2);
    }

    #[tokio::test]
    async fn what_is_refused_or_too_old_becomes_a_dead_letter() {
        let mut world = World::new(vec![bad(), busy(), busy()], None).await;
        world.scan(vec![], vec![tell("1", firing(finding("a")))]).await;
        world.tell_after(0).await;
        assert_eq!(world.pending_and_dead().await, (0, 1));
        world.scan(vec![], vec![tell("2", firing(finding("b")))]).await;
        world.tell_after(0).await;
        world.tell_after(24 * 3600).await;
        assert_eq!(world.pending_and_dead().await, (0, 2));
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_leaves_dead_letters() {
        let mut world = World::new(vec![], None).await;
        world.outbox.configure(Receivers::default(), Hooks::default());
        world.scan(vec![], vec![tell("k", firing(finding("a")))]).await;
        world.tell_after(0).await;
        assert_eq!(world.pending_and_dead().await, (0, 1));
    }

    #[tokio::test]
    async fn the_end_is_never_told_before_the_beginning() {
        let mut world = World::new(vec![busy()], None).await;
        world.scan(vec![finding("logs")], vec![tell("1", firing(finding("logs")))]).await;
        world.tell_after(0).await;
        let over = resolved(finding("logs"));
        world.scan(vec![over.finding.clone()], vec![tell("2", over)]).await;
        world.tell_after(1).await;
        assert_eq!(world.keys(), ["1"], "the second waits behind the first");
        world.tell_after(10).await;
        let told = world.told();
        // The retry says what is true now.
        assert_eq!(told[1], ("1".to_owned(), vec!["resolved"]));
        assert_eq!(told[2], ("2".to_owned(), vec!["resolved"]));
    }

    #[tokio::test]
    async fn what_waits_behind_a_failure_is_not_read_again_and_has_not_failed() {
        let mut world = World::new(vec![busy_for(600)], None).await;
        world.scan(vec![], vec![tell("1", firing(finding("a")))]).await;
        world.tell_after(0).await;
        world.scan(vec![], vec![tell("2", firing(finding("b")))]).await;
        world.tell_after(1).await;
        let now = *world.others.now.lock();
        let due = async |now| world.store.due(OutboxKind::Notify, now, 9).await.unwrap();
        assert_eq!(due(now).await, []);
        let attempts: Vec<u32> =
            due(now + SignedDuration::from_mins(10)).await.iter().map(|row| row.attempts).collect();
        assert_eq!(attempts, [1, 0]);
    }

    #[tokio::test]
    async fn what_waited_for_one_group_is_told_in_one_go() {
        let mut world = World::new(vec![busy_for(600)], None).await;
        for n in 0..50 {
            let action = tell(&n.to_string(), firing(finding(&format!("b{n}"))));
            world.scan(vec![], vec![action]).await;
            world.tell_after(1).await;
        }
        world.tell_after(600).await;
        let told = world.told();
        assert_eq!(told.iter().map(|(_, notices)| notices.len()).collect::<Vec<_>>(), [1, 1, 49]);
        assert_eq!(world.pending_and_dead().await, (0, 0));
    }

    #[tokio::test]
    async fn very_many_findings_are_few_notifications() {
        let mut world = World::new(vec![], None).await;
        let opened = |n| Step { finding: finding(&format!("b{n}")), transition: Some(Transition::Opened) };
        let steps: Vec<Step> = (0..50_000).map(opened).collect();
        let actions = decide(&steps, Some(&root()), &[], at(BEGIN));
        drop(steps);
        assert_eq!(actions.len(), 100, "what is saved in one row is bounded");
        world.scan(vec![], actions).await;
        world.tell_after(0).await;
        assert_eq!(world.told().iter().map(|(_, notices)| notices.len()).collect::<Vec<_>>(), [50_000]);
        assert_eq!(world.pending_and_dead().await, (0, 0));
    }

    #[tokio::test]
    async fn a_group_is_not_torn_where_a_round_ends() {
        let mut world = World::new(vec![], None).await;
        let of = |group: &str, n: usize| {
            let dedup = format!("{group}{n}");
            let notices = vec![firing(finding(&dedup))];
            let (receiver, group) = ("oncall".into(), group.to_owned());
            Action::Notify { receiver, group, dedup, not_before: at(BEGIN), notices }
        };
        let actions = (0..499).map(|n| of("a", n)).chain((0..3).map(|n| of("b", n))).collect();
        world.scan(vec![], actions).await;
        world.tell_after(0).await;
        world.tell_after(1).await;
        assert_eq!(world.told().iter().map(|(_, notices)| notices.len()).collect::<Vec<_>>(), [499, 3]);
    }

    #[tokio::test]
    async fn a_receiver_that_forgets_is_told_what_is_open() {
        let mut world = World::new(vec![], Some(SignedDuration::from_mins(1))).await;
        world.scan(vec![finding("a"), resolved(finding("b")).finding], vec![]).await;
        for seconds in [0, 30, 30] {
            world.tell_after(seconds).await;
        }
        let told: Vec<_> = world.told().into_iter().map(|(_, notices)| notices).collect();
        assert_eq!(told, [["firing"], ["firing"]]);
    }

    impl World {
        /// Saves a scan in which these buckets opened (`a`) or were resolved (`-a`), with what follows from it.
        async fn see(&mut self, buckets: &str) {
            let step = |word: &str| match word.strip_prefix('-') {
                Some(name) => Step { finding: resolved(finding(name)).finding, transition: Some(Transition::Resolved) },
                None => Step { finding: finding(word), transition: Some(Transition::Opened) },
            };
            let steps: Vec<Step> = buckets.split(' ').map(step).collect();
            let actions = decide(&steps, Some(&root()), &[], *self.others.now.lock());
            let findings = steps.into_iter().map(|step| step.finding).collect();
            self.scan(findings, actions).await;
        }

        /// Puts a fresh outbox in its place, as a restart does.
        async fn restart(&mut self) {
            self.outbox = outbox(&self.store, &self.others).await;
            self.outbox.configure(receivers(&self.oncall), Hooks::default());
        }

        /// Lets minutes pass, and returns what was told in each of them in which something was.
        async fn pass(&mut self, minutes: i64) -> Vec<(i64, Vec<&'static str>)> {
            let mut said = Vec::new();
            for minute in 1..=minutes {
                let before = self.told().len();
                self.tell_after(60).await;
                said.extend(self.told().into_iter().skip(before).map(|(_, words)| (minute, words)));
            }
            said
        }
    }

    #[tokio::test]
    async fn news_of_a_group_waits_and_is_told_together() {
        let mut world = World::new(vec![], None).await;
        world.see("a").await;
        assert_eq!(world.pass(1).await, [(1, vec!["firing"])]);
        world.see("b").await;
        world.see("c -a").await;
        assert_eq!(world.pass(10).await.len(), 1);
        let (_, last) = world.told().pop().unwrap();
        assert_eq!(last.iter().filter(|word| **word == "firing").count(), 2);
        assert_eq!(last.len(), 3);
    }

    #[tokio::test]
    async fn what_is_over_is_not_told_as_firing_however_it_waited() {
        let mut world = World::new(vec![], None).await;
        world.see("a").await;
        world.pass(1).await;
        world.see("b").await;
        world.pass(1).await;
        // Its row waits for the interval. The receiver is looked at when nothing of the group is open any more, and
        // before that is to be told.
        world.scan(["a", "b"].map(|name| resolved(finding(name)).finding).into(), vec![]).await;
        world.outbox.configure(receivers(&world.oncall), Hooks::default());
        world.pass(1).await;
        world.see("-a -b").await;
        assert_eq!(world.pass(10).await, [(3, vec!["resolved", "resolved"])]);
        // The first word of a group that is forgotten, with nothing to follow.
        world.scan(vec![], vec![tell("late", firing(finding("b")))]).await;
        assert_eq!(world.pass(1).await, [(1, vec!["resolved"])]);
    }

    #[tokio::test]
    async fn neither_restart_nor_reload_breaks_a_group_up() {
        let mut world = World::new(vec![], None).await;
        world.see("a").await;
        world.pass(1).await;
        world.see("b").await;
        for _ in 0..3 {
            world.restart().await;
            assert_eq!(world.pass(1).await, []);
            world.outbox.configure(receivers(&world.oncall), Hooks::default());
        }
        assert_eq!(world.pass(5).await, [(2, vec!["firing"])]);
    }

    #[tokio::test]
    async fn what_stays_open_is_told_again_over_a_restart() {
        let mut world = World::new(vec![], None).await;
        world.see("a b").await;
        assert_eq!(world.pass(120).await, [(1, vec!["firing", "firing"])]);
        world.restart().await;
        world.see("-a").await;
        assert_eq!(world.pass(60).await, [(1, vec!["resolved"])]);
        let again = world.pass(240).await;
        assert_eq!(again.iter().map(|(_, words)| words.clone()).collect::<Vec<_>>(), [["firing"]]);
        assert!((180..=186).contains(&again[0].0), "{again:?}");
        assert_ne!(world.keys()[2], world.keys()[0]);
    }

    #[tokio::test]
    async fn a_group_that_is_over_is_told_no_more_and_begins_anew() {
        let mut world = World::new(vec![], None).await;
        world.see("a").await;
        world.pass(10).await;
        world.see("-a").await;
        assert_eq!(world.pass(600).await, [(1, vec!["resolved"])]);
        assert_eq!(world.store.groups("oncall").await.unwrap(), [].into());
    }

    #[tokio::test]
    async fn what_is_not_watched_any_more_is_not_told_again() {
        for refresh in [None, Some(SignedDuration::from_mins(30))] {
            let mut world = World::new(vec![], refresh).await;
            world.see("a b").await;
            world.pass(10).await;
            *world.others.unwatched.lock() = Some(finding("b"));
            let again = world.pass(250).await;
            assert!(!again.is_empty() && again.iter().all(|(_, words)| words.len() == 1), "{again:?}");
        }
    }

    #[tokio::test]
    async fn a_repetition_that_failed_is_tried_again() {
        let mut world = World::new(vec![], None).await;
        world.see("a").await;
        world.pass(200).await;
        world.oncall.script.lock().push_back(busy());
        let told = world.pass(60).await;
        assert_eq!(told.iter().map(|(_, words)| words.clone()).collect::<Vec<_>>(), [["firing"], ["firing"]]);
        assert_eq!(world.keys()[1], world.keys()[2], "a retry has the same key");
        assert_eq!(world.pending_and_dead().await, (0, 0));
    }

    #[tokio::test]
    async fn who_is_told_everything_again_and_again_does_not_wait() {
        let mut world = World::new(vec![], Some(SignedDuration::from_hours(9))).await;
        world.see("a").await;
        world.pass(1).await;
        world.see("b").await;
        assert_eq!(world.pass(3).await, [(1, vec!["firing"])]);
    }

    #[tokio::test]
    async fn a_hook_is_verified_by_reading_back() {
        for (script, back, state) in [
            ("exit 0", Answer::Gone, IntentState::Verified),
            ("exit 0", Answer::StillThere, IntentState::Failed),
            ("exit 0", Answer::Unknown("denied".to_owned()), IntentState::UnknownOutcome),
            ("exit 1", Answer::Gone, IntentState::Failed),
        ] {
            let mut world = World::new(vec![], None).await;
            world.hook("apply", script).await;
            let intents = world.mend(&[Answer::StillThere, back]).await;
            assert_eq!(intents.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [state], "{script}");
            assert_eq!((world.runs(), world.pending_and_dead().await), (1, (0, 0)));
            let audited = world.others.audited.lock().clone();
            assert!(audited[0].starts_with("hook.started") && audited[1].contains(state.as_str()), "{audited:?}");
        }
    }

    #[tokio::test]
    async fn a_hook_is_told_what_to_write_and_what_was_withheld() {
        let mut world = World::new(vec![], None).await;
        let told = world.folder.path().join("told");
        world.hook("apply", &format!("cat > {}", told.display())).await;
        world.mend(&[Answer::StillThere, Answer::Gone]).await;
        let told: serde_json::Value = serde_json::from_slice(&std::fs::read(told).unwrap()).unwrap();
        assert_eq!(told["patch"][0]["path"], "/spec/replicas");
        assert_eq!(told["withheld"][0], "/data/key");
    }

    #[tokio::test]
    async fn a_hook_runs_once_for_a_generation() {
        let mut world = World::new(vec![], None).await;
        world.hook("apply", "exit 1").await;
        world.mend(&[Answer::StillThere]).await;
        *world.others.now.lock() += SignedDuration::from_hours(5);
        world.scan(vec![], vec![mend()]).await;
        world.mend(&[Answer::StillThere]).await;
        assert_eq!((world.runs(), world.intents().await.len(), world.pending_and_dead().await), (1, 1, (0, 0)));
    }

    #[tokio::test]
    async fn after_a_crash_the_outcome_is_unknown_and_nothing_runs_again() {
        let mut world = World::new(vec![], None).await;
        world.hook("apply", "exit 0").await;
        let logs = finding("logs");
        let intent = NewIntent {
            hook: "h".to_owned(),
            fingerprint: logs.fingerprint,
            generation: 1,
            resource: logs.evidence.resource,
            at: at(BEGIN),
        };
        // The intent was saved; whether the hook ran, nobody knows.
        world.store.intend(world.outbox.epoch, &intent).await.unwrap().unwrap();
        let hooks = world.outbox.hooks.load_full();
        world.outbox = outbox(&world.store, &world.others).await;
        world.outbox.configure(receivers(&world.oncall), (*hooks).clone());
        world.outbox.recover(at(BEGIN)).await.unwrap();
        *world.others.now.lock() += SignedDuration::from_hours(5);
        let intents = world.mend(&[Answer::StillThere, Answer::Gone]).await;
        assert_eq!(intents.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [IntentState::UnknownOutcome]);
        assert_eq!((world.runs(), world.pending_and_dead().await), (0, (0, 0)));
    }

    #[tokio::test]
    async fn a_dry_run_says_what_would_be_run_and_runs_nothing() {
        let mut world = World::new(vec![], None).await;
        world.hook("dry_run", "exit 0").await;
        let [(state, detail)] = world.mend(&[Answer::StillThere]).await.try_into().unwrap();
        assert_eq!((state, world.runs()), (IntentState::Refused, 0));
        assert!(detail.starts_with("dry run: would run [\"/bin/sh\""), "{detail}");
        assert!(world.others.audited.lock().is_empty());
    }

    #[tokio::test]
    async fn nothing_runs_that_is_not_in_the_audit_log() {
        let mut world = World::new(vec![], None).await;
        world.hook("apply", "exit 0").await;
        *world.others.audit_works.lock() = Err("disk full");
        assert!(world.mend(&[Answer::StillThere]).await.is_empty());
        assert_eq!((world.runs(), world.pending_and_dead().await), (0, (1, 0)));
        *world.others.audit_works.lock() = Ok(());
        *world.others.now.lock() += SignedDuration::from_mins(1);
        world.mend(&[Answer::StillThere, Answer::Gone]).await;
        assert_eq!((world.runs(), world.pending_and_dead().await), (1, (0, 0)));
    }

    #[tokio::test]
    async fn what_the_gate_stops_waits_or_is_refused() {
        let mut world = World::new(vec![], None).await;
        world.hook("apply", "exit 0").await;
        world.outbox.kill_switch().set(Switch::Stop);
        assert!(world.mend(&[Answer::StillThere]).await.is_empty());
        world.outbox.kill_switch().set(Switch::Run);
        *world.others.now.lock() += SignedDuration::from_mins(1);
        let intents = world.mend(&[Answer::Gone]).await;
        assert_eq!(intents, [(IntentState::Refused, "the drift is gone".to_owned())]);
        assert_eq!((world.runs(), world.pending_and_dead().await), (0, (0, 0)));
    }

    #[tokio::test]
    async fn the_loop_works_until_it_is_stopped_or_deposed() {
        let mut world = World::new(vec![], None).await;
        world.scan(vec![], vec![tell("1", firing(finding("a")))]).await;
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (outbox, stop) = (Arc::clone(&world.outbox), stop.clone());
            async move { outbox.run(&stop).await }
        });
        while world.pending_and_dead().await != (0, 0) {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap().unwrap();
        world.scan(vec![], vec![tell("2", firing(finding("b")))]).await;
        world.store.take_lead("other", at(BEGIN)).await.unwrap();
        let ended = world.outbox.run(&CancellationToken::new()).await;
        assert!(matches!(ended, Err(StoreError::Stale { .. })), "{ended:?}");
    }
}
