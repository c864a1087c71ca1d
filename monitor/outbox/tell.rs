//! Telling what was saved, at least once.
//!
//! Receivers are told side by side, each in the order in which things were saved. What waited for one receiver and belongs
//! to one group is told in one go, so that an hour of silence does not end in a storm (I16).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftwarden_core::decide::{Action, Notice, Route, Status, routes_of};
use driftwarden_core::finding::{Finding, Fingerprint, Phase};
use driftwarden_core::group::{self, Group, Spacing};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use super::{Outbox, tolerated};
use crate::notify::{Batch, Notifier, NotifyError, Receivers};
use crate::store::{Filter, OutboxKind, OutboxRow, StoreError, Told};
use crate::telemetry::events::NotificationEnded;
use crate::telemetry::{chain, emit};

/// Rows that are looked at in one go; each holds a bounded number of findings.
const LIMIT: u32 = 500;
/// Findings that are told again in one go.
const PAGE: u32 = 500;
/// Findings that are looked up in one go.
const AT_ONCE: usize = 500;
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// Some open findings, and the last one up to which this is all.
pub(super) type Page = (Fingerprint, Vec<Finding>);

/// Rows that become one notification.
#[derive(Debug)]
struct Letter {
    rows: Vec<i64>,
    attempts: u32,
    since: Timestamp,
    ready_at: Timestamp,
    group: String,
    keys: Vec<String>,
    notices: BTreeMap<Fingerprint, Notice>,
}

impl Outbox {
    /// Tells everything that is due, and everything that is open to those who forget.
    pub(super) async fn tell(&self, now: Timestamp) -> Result<(), StoreError> {
        let rows = self.store.due(OutboxKind::Notify, now, LIMIT).await?;
        let is_full = rows.len() >= usize::try_from(LIMIT).unwrap_or(usize::MAX);
        let last = rows.last().filter(|_| is_full).map(|row| row.id);
        let mut letters = letters(rows);
        leave_torn(&mut letters, last);
        let receivers = self.receivers.load_full();
        let names: BTreeSet<Arc<str>> = receivers.by_name.keys().chain(letters.keys()).cloned().collect();
        let told = names.into_iter().map(|name| {
            let letters = letters.remove(&name).unwrap_or_default();
            self.tell_receiver(name, &receivers, letters, now)
        });
        try_join_all(told).await?;
        self.count().await
    }

    async fn tell_receiver(
        &self,
        name: Arc<str>,
        receivers: &Receivers,
        letters: Vec<Letter>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(notifier) = receivers.by_name.get(&name) else { return self.bury_all(&name, &letters).await };
        let route = receivers.route.as_ref();
        let left = self.tell_one((&name, &**notifier), route, letters, now).await?;
        self.put_off(&name, &left).await?;
        match (route, notifier.refresh_every()) {
            (Some(route), Some(every)) => self.refresh((&name, &**notifier), (route, every), now).await,
            (Some(route), None) => self.remind((&name, &**notifier), route, now).await,
            (None, _) => Ok(()),
        }
    }

    /// Tells one receiver letter by letter, and returns those that must wait.
    async fn tell_one(
        &self,
        (name, notifier): (&Arc<str>, &dyn Notifier),
        route: Option<&Route>,
        letters: Vec<Letter>,
        now: Timestamp,
    ) -> Result<Vec<Letter>, StoreError> {
        // Who is told everything again and again has intervals of its own.
        let route = route.filter(|_| notifier.refresh_every().is_none());
        let groups = if letters.is_empty() { BTreeMap::new() } else { self.store.groups(name).await? };
        let mut letters = letters.into_iter();
        while !self.is_held(name, now) {
            let Some(mut letter) = letters.next() else { break };
            let due = letter.due(route.and_then(|route| spacing(route, name, &letter)), groups.get(&letter.group));
            if due > now {
                tolerated(self.store.postpone(self.epoch, &letter.rows, due).await)?;
                continue;
            }
            let batch = self.batch(name, &mut letter, now).await?;
            let result = send(notifier, &batch).await;
            self.conclude_letter(&batch, &letter, result).await?;
        }
        Ok(letters.collect())
    }

    /// Returns what to tell, taken out of the letter. What is over meanwhile is told as over: the news of its end may have
    /// been told. That holds for what is seen again and is not open yet, too.
    async fn batch(&self, name: &Arc<str>, letter: &mut Letter, now: Timestamp) -> Result<Batch, StoreError> {
        let mut notices = std::mem::take(&mut letter.notices);
        let firing = notices.values().filter(|notice| notice.status == Status::Firing);
        let firing: Vec<Fingerprint> = firing.map(|notice| notice.finding.fingerprint).collect();
        for among in firing.chunks(AT_ONCE) {
            let phases = vec![Phase::Pending, Phase::Resolved];
            let over = self.store.findings(&Filter { phases, among: among.to_vec(), ..Filter::default() }).await?;
            let ended = |finding: Finding| (finding.fingerprint, Notice { status: Status::Resolved, finding });
            notices.extend(over.into_iter().map(ended));
        }
        let notices = notices.into_values().collect();
        Ok(Batch { receiver: Arc::clone(name), group: letter.group.clone(), dedup: letter.dedup(), now, notices })
    }

    async fn conclude_letter(
        &self,
        batch: &Batch,
        letter: &Letter,
        result: Result<(), NotifyError>,
    ) -> Result<(), StoreError> {
        let Batch { receiver, group, now, notices, .. } = batch;
        let error = match &result {
            Ok(()) => {
                let told = Told { ids: &letter.rows, receiver, group, at: *now };
                tolerated(self.store.told(self.epoch, told).await)?;
                ended(receiver, "sent", notices.len(), None);
                return Ok(());
            }
            Err(error) => chain(error),
        };
        match result {
            Err(NotifyError::Retry { after, .. }) if now.duration_since(letter.since) < self.config.give_up_after => {
                let until = *now + letter.wait().max(after.unwrap_or_default());
                self.held.lock().insert(Arc::clone(receiver), until);
                tolerated(self.store.retry(self.epoch, &letter.rows, until, &error).await)?;
                ended(receiver, "retried", notices.len(), Some(&error));
                Ok(())
            }
            _ => self.bury(receiver, (&letter.rows, notices.len()), &error).await,
        }
    }

    async fn bury(&self, name: &str, (rows, notices): (&[i64], usize), error: &str) -> Result<(), StoreError> {
        tolerated(self.store.bury(self.epoch, rows, error).await)?;
        ended(name, "buried", notices, Some(error));
        Ok(())
    }

    async fn bury_all(&self, name: &str, letters: &[Letter]) -> Result<(), StoreError> {
        for Letter { rows, notices, .. } in letters {
            self.bury(name, (rows, notices.len()), "the receiver is not configured any more").await?;
        }
        Ok(())
    }

    /// Puts off what is left behind a failure: it must neither be read again and again, nor stand before what is for
    /// others. Waiting is no failure.
    async fn put_off(&self, name: &str, left: &[Letter]) -> Result<(), StoreError> {
        let rows: Vec<i64> = left.iter().flat_map(|letter| &letter.rows).copied().collect();
        let until = self.held.lock().get(name).copied();
        match until.filter(|_| !rows.is_empty()) {
            Some(until) => tolerated(self.store.postpone(self.epoch, &rows, until).await),
            None => Ok(()),
        }
    }

    /// Tells everything that is open to a receiver that forgets. Its failures are not kept: the next round says it all.
    async fn refresh(
        &self,
        (name, notifier): (&Arc<str>, &dyn Notifier),
        (route, every): (&Route, SignedDuration),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_recent = self.refreshed.lock().get(name).is_some_and(|last| now.duration_since(*last) < every);
        if is_recent || self.is_held(name, now) {
            return Ok(());
        }
        self.refreshed.lock().insert(Arc::clone(name), now);
        let mut after = None;
        while let Some((last, page)) = self.open_findings(after).await? {
            after = Some(last);
            let is_for_it = |finding: &_| routes_of(route, finding).iter().any(|route| route.receiver == *name);
            let notices: Vec<Notice> =
                page.into_iter().filter(is_for_it).map(|finding| Notice { status: Status::Firing, finding }).collect();
            if !notices.is_empty() && !tell_again(name, notifier, notices, now).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns those open findings after that one that are still watched, as many as are told in one go, and the last one
    /// that was looked at; nothing if there is no more.
    pub(super) async fn open_findings(&self, after: Option<Fingerprint>) -> Result<Option<Page>, StoreError> {
        let filter = Filter { phases: vec![Phase::Open], after, limit: Some(PAGE), ..Filter::default() };
        let mut page = self.store.findings(&filter).await?;
        let last = page.last().map(|finding| finding.fingerprint);
        page.retain(|finding| self.peers.watch.watches(finding));
        Ok(last.map(|last| (last, page)))
    }

    pub(super) fn is_held(&self, name: &str, now: Timestamp) -> bool {
        self.held.lock().get(name).is_some_and(|until| *until > now)
    }
}

/// Tells open findings again, and returns whether that succeeded.
async fn tell_again(name: &Arc<str>, notifier: &dyn Notifier, notices: Vec<Notice>, now: Timestamp) -> bool {
    let count = notices.len();
    let dedup = format!("refresh-{}", now.as_second());
    let batch = Batch { receiver: Arc::clone(name), group: "refresh".to_owned(), dedup, now, notices };
    let result = send(notifier, &batch).await;
    let error = result.err().map(|error| chain(&error));
    let word = if error.is_none() { "refreshed" } else { "unrefreshed" };
    ended(name, word, count, error.as_deref());
    error.is_none()
}

/// Sends one batch, as one trace.
pub(super) async fn send(notifier: &dyn Notifier, batch: &Batch) -> Result<(), NotifyError> {
    let Batch { receiver, group, notices, .. } = batch;
    let span = tracing::info_span!("notify", otel.kind = "client", %receiver, %group, notices = notices.len());
    notifier.send(batch).instrument(span).await
}

/// Returns how the route that leads to a receiver spaces the group of a letter; nothing if none leads there any more.
fn spacing(root: &Route, receiver: &str, letter: &Letter) -> Option<Spacing> {
    let finding = &letter.notices.values().next()?.finding;
    let is_it = |route: &&Route| *route.receiver == *receiver && route.group_of(finding) == letter.group;
    routes_of(root, finding).into_iter().find(is_it).map(|route| route.spacing)
}

pub(super) fn ended(receiver: &str, result: &'static str, notices: usize, error: Option<&str>) {
    emit(&NotificationEnded { receiver, result, notices, error });
}

/// Returns the letters for each receiver, in the order in which their first rows were saved. Rows of one group that were
/// tried equally often become one letter; of one finding, the last word counts.
fn letters(mut rows: Vec<OutboxRow>) -> BTreeMap<Arc<str>, Vec<Letter>> {
    rows.sort_by_key(|row| row.id);
    let mut all = BTreeMap::<Arc<str>, Vec<Letter>>::new();
    for row in rows {
        let Action::Notify { receiver, group, dedup, notices, not_before } = row.action else { continue };
        let letters = all.entry(receiver).or_default();
        let notices = notices.into_iter().map(|notice| (notice.finding.fingerprint, notice));
        let same_group = letters.iter_mut().rfind(|letter| letter.group == group);
        match same_group.filter(|letter| letter.attempts == row.attempts) {
            Some(letter) => {
                letter.rows.push(row.id);
                letter.keys.push(dedup);
                letter.notices.extend(notices);
            }
            None => letters.push(Letter {
                rows: vec![row.id],
                attempts: row.attempts,
                since: row.created_at,
                ready_at: not_before,
                group,
                keys: vec![dedup],
                notices: notices.collect(),
            }),
        }
    }
    all
}

/// Leaves the letter to which a row belongs for the next round, for there may be more of it; unless it is all there is.
fn leave_torn(letters: &mut BTreeMap<Arc<str>, Vec<Letter>>, last: Option<i64>) {
    if let Some(last) = last.filter(|_| letters.values().map(Vec::len).sum::<usize>() > 1) {
        for letters in letters.values_mut() {
            letters.retain(|letter| !letter.rows.contains(&last));
        }
    }
}

impl Letter {
    /// Returns when it is to be told. What failed before has waited enough.
    fn due(&self, spacing: Option<Spacing>, told_at: Option<&Timestamp>) -> Timestamp {
        let group = Group { told_at: told_at.copied(), ready_at: Some(self.ready_at) };
        let spaced = spacing.filter(|_| self.attempts == 0).and_then(|spacing| group::next(group, spacing));
        spaced.unwrap_or(self.ready_at)
    }

    /// Returns the key of this notification: the same for the same rows.
    fn dedup(&self) -> String {
        match self.keys.as_slice() {
            [only] => only.clone(),
            keys => {
                let hash = blake3::hash(keys.join(" ").as_bytes()).to_hex();
                hash.as_str().get(..32).unwrap_or_default().to_owned()
            }
        }
    }

    /// Returns how long to wait after this failure: twice as long each time, less up to a half, so that many do not come
    /// back at once.
    fn wait(&self) -> SignedDuration {
        let full = FIRST_WAIT.saturating_mul(1 << self.attempts.min(8)).min(LONGEST_WAIT);
        let dice = blake3::hash(format!("{:?} {}", self.keys, self.attempts).as_bytes());
        let share = i32::from(dice.as_bytes().first().copied().unwrap_or_default());
        full / 2 + full / 2 * share / 255
    }
}
