//! Telling again what is still open, to receivers that do not forget and are not refreshed.
//!
//! What is open is asked of the findings, when it was told of the groups: nothing is kept that a restart could lose.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftwarden_core::decide::{Notice, Route, Status, routes_of};
use driftwarden_core::finding::Finding;
use driftwarden_core::group::{self, Group};
use jiff::{SignedDuration, Timestamp};

use super::tell::{ended, send};
use super::{Outbox, tolerated};
use crate::notify::{Batch, Notifier, NotifyError};
use crate::store::{StoreError, Told};
use crate::telemetry::chain;

/// How long a receiver that could not be told is left alone at least.
const SHORTEST_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// The open groups of a receiver, each with what of it is to be told again now.
type OpenGroups = BTreeMap<String, Vec<Notice>>;

/// When each group of a receiver was last told.
type ToldAt = BTreeMap<String, Timestamp>;

impl Outbox {
    /// Tells again each open group that was not told for its `repeat_interval`, and forgets those that are over.
    pub(super) async fn remind(
        &self,
        (name, notifier): (&Arc<str>, &dyn Notifier),
        root: &Route,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_early = self.looked.lock().get(name).is_some_and(|next| now < *next);
        let intervals = intervals(root, name);
        let shortest = intervals.iter().min().filter(|_| !is_early && !self.is_held(name, now));
        let Some((every, longest)) = shortest.zip(intervals.iter().max()) else { return Ok(()) };
        self.looked.lock().insert(Arc::clone(name), now + *every);
        let told_at = self.store.groups(name).await?;
        let open = self.open_groups(name, (root, &told_at), now).await?;
        // News of what is over may still wait for its interval.
        let is_over = |(group, at): &(&String, &Timestamp)| !open.contains_key(*group) && **at + *longest <= now;
        for (group, _) in told_at.iter().filter(is_over) {
            self.store.forget_group(self.epoch, name, group).await?;
        }
        for (group, notices) in open.into_iter().filter(|(_, notices)| !notices.is_empty()) {
            let dedup = dedup(name, &group, told_at.get(&group));
            let batch = Batch { receiver: Arc::clone(name), group, dedup, now, notices };
            let result = send(notifier, &batch).await;
            self.conclude_repetition(&batch, result).await?;
            // What one group could not be told, the others could not either.
            if self.is_held(name, now) {
                break;
            }
        }
        Ok(())
    }

    async fn open_groups(
        &self,
        name: &str,
        (root, told_at): (&Route, &ToldAt),
        now: Timestamp,
    ) -> Result<OpenGroups, StoreError> {
        let mut open = OpenGroups::new();
        let mut after = None;
        while let Some((last, page)) = self.open_findings(after).await? {
            after = Some(last);
            for finding in page {
                for route in routes_of(root, &finding).into_iter().filter(|route| *route.receiver == *name) {
                    let group = route.group_of(&finding);
                    let is_due = is_due(route, (&finding, told_at.get(&group)), now);
                    let notices = open.entry(group).or_default();
                    notices.extend(is_due.then(|| Notice { status: Status::Firing, finding: finding.clone() }));
                }
            }
        }
        Ok(open)
    }

    /// What failed is tried again when the receiver is looked at next; what was refused, after the whole interval.
    async fn conclude_repetition(&self, batch: &Batch, result: Result<(), NotifyError>) -> Result<(), StoreError> {
        let Batch { receiver, group, now, notices, .. } = batch;
        let error = result.as_ref().err().map(|error| chain(error));
        ended(receiver, if error.is_none() { "repeated" } else { "unrepeated" }, notices.len(), error.as_deref());
        if let Err(NotifyError::Retry { after, .. }) = result {
            let until = *now + after.unwrap_or_default().max(SHORTEST_PAUSE);
            self.held.lock().insert(Arc::clone(receiver), until);
            return Ok(());
        }
        tolerated(self.store.told(self.epoch, Told { ids: &[], receiver, group, at: *now }).await)
    }
}

/// Returns whether an open finding is to be told again. One whose group was never told was told in another one, before the
/// configuration or its own labels changed, when it opened.
fn is_due(route: &Route, (finding, told_at): (&Finding, Option<&Timestamp>), now: Timestamp) -> bool {
    let told_at = told_at.copied().or(finding.opened_at);
    group::next(Group { told_at, ready_at: None }, route.spacing).is_some_and(|due| due <= now)
}

/// Returns the `group_interval` of each route that leads to a receiver. It is looked at as often as the shortest one says.
fn intervals(route: &Route, receiver: &str) -> Vec<SignedDuration> {
    let own = (*route.receiver == *receiver).then_some(route.spacing.interval);
    route.routes.iter().flat_map(|route| intervals(route, receiver)).chain(own).collect()
}

/// Returns the key of a repetition: the same until it arrived.
fn dedup(receiver: &str, group: &str, told_at: Option<&Timestamp>) -> String {
    let text = format!("repeat {receiver} {group} {}", told_at.map(ToString::to_string).unwrap_or_default());
    blake3::hash(text.as_bytes()).to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}
