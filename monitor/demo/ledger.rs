//! Who is right: what was planted, against what the daemon found.
//!
//! A planted change counts as detected when a finding about its resource was confirmed after it; a confirmed finding that
//! no planted change explains is a false alarm. Nothing is rounded in the daemon's favor.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::estate::Key;
use crate::view::FindingView;

/// How long after a change was undone a look that began before may still report it.
const GRACE: SignedDuration = SignedDuration::from_secs(15);
/// A finding bears the time at which its look began; the change may have come while that look was under way.
const LOOK: SignedDuration = SignedDuration::from_secs(5);

/// Who put a planted change back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// The daemon's hook.
    Hook,
    /// Somebody else.
    Colleague,
}

/// Whether somebody tampered, or Git is ahead of the clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The intruder did it.
    Intrusion,
    /// A commit that nobody applied.
    Unapplied,
}

/// One change that somebody made.
#[derive(Debug, Clone)]
pub(super) struct Planting {
    key: Key,
    /// The other names under which it may be reported.
    names: Vec<String>,
    what: String,
    sort: Sort,
    at: Timestamp,
    undone: Option<(Undone, Timestamp)>,
    confirmed: Option<Timestamp>,
}

impl Planting {
    fn is_of(&self, finding: &FindingView) -> bool {
        let resource = &finding.resource;
        resource.cloud == self.key.cloud.as_str()
            && resource.kind == self.key.kind
            && (resource.name == self.key.name || self.names.contains(&resource.name))
    }

    fn explains(&self, finding: &FindingView) -> bool {
        let Ok(seen) = finding.first_seen.parse::<Timestamp>() else { return false };
        let is_before_end = self.undone.is_none_or(|(_, at)| seen <= at + GRACE);
        self.is_of(finding) && seen + LOOK >= self.at && is_before_end
    }
}

/// Everything that was planted, and what was seen of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    plantings: Vec<Planting>,
    false_alarms: BTreeSet<String>,
    open: BTreeSet<String>,
    /// What happened since it was last told.
    untold: Vec<Story>,
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Story {
    /// Somebody changed something.
    Planted(String),
    /// A commit that nobody applied.
    Committed(String),
    /// The daemon has found it, after that long.
    Detected(String, SignedDuration),
    /// The daemon's hook has put it back, after that long.
    Mended(String, SignedDuration),
    /// A colleague has put it back.
    Restored(String),
    /// The daemon reports something that nobody did.
    FalseAlarm(String),
}

impl Story {
    fn order(&self) -> u8 {
        match self {
            Self::Planted(_) | Self::Committed(_) => 0,
            Self::Detected(..) | Self::FalseAlarm(_) => 1,
            Self::Mended(..) | Self::Restored(_) => 2,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Changes by the intruder.
    pub intrusions: usize,
    /// How many of them were confirmed as findings.
    pub detected: usize,
    /// How many of them are not confirmed, but were put back so early that they may never be.
    pub too_brief: usize,
    /// Half of the detected ones were confirmed within that time.
    pub median_detection: Option<SignedDuration>,
    /// The slowest.
    pub slowest_detection: Option<SignedDuration>,
    /// How many were put back by the hook.
    pub mended: usize,
    /// Declared changes that nobody applied, and how many of them were told from tampering.
    pub unapplied: (usize, usize),
    /// Confirmed findings that nothing explains.
    pub false_alarms: usize,
}

impl Ledger {
    pub(super) fn plant(&mut self, key: Key, names: Vec<String>, what: &str, at: Timestamp) {
        self.untold.push(Story::Planted(what.to_owned()));
        self.add(key, names, what, Sort::Intrusion, at);
    }

    /// Notes a commit that nobody applies.
    pub(super) fn commit(&mut self, key: Key, names: Vec<String>, what: &str, at: Timestamp) {
        self.untold.push(Story::Committed(what.to_owned()));
        self.add(key, names, what, Sort::Unapplied, at);
    }

    fn add(&mut self, key: Key, names: Vec<String>, what: &str, sort: Sort, at: Timestamp) {
        let what = what.to_owned();
        self.plantings.push(Planting { key, names, what, sort, at, undone: None, confirmed: None });
    }

    pub(super) fn undo(&mut self, key: &Key, by: Undone, at: Timestamp) {
        for planting in self.plantings.iter_mut().filter(|p| p.key == *key && p.undone.is_none()) {
            planting.undone = Some((by, at));
            let what = planting.what.clone();
            self.untold.push(match by {
                Undone::Hook => Story::Mended(what, at.duration_since(planting.at)),
                Undone::Colleague => Story::Restored(what),
            });
        }
    }

    /// Returns what the intruder changed, and when, oldest first.
    pub(super) fn intrusions(&self) -> impl Iterator<Item = (&Key, Timestamp)> {
        let own = self.plantings.iter().filter(|planting| planting.sort == Sort::Intrusion);
        own.map(|planting| (&planting.key, planting.at))
    }

    /// Returns whether something planted there is still there.
    pub(super) fn is_touched(&self, key: &Key) -> bool {
        self.plantings.iter().any(|planting| planting.key == *key && planting.undone.is_none())
    }

    /// Returns the oldest change of the intruder that was confirmed and is still there, if there are more than `most`.
    pub(super) fn overdue(&self, most: usize) -> Option<Key> {
        let there = |planting: &&Planting| planting.undone.is_none() && planting.sort == Sort::Intrusion;
        let left = self.plantings.iter().filter(there).count();
        let mut confirmed = self.plantings.iter().filter(there).filter(|planting| planting.confirmed.is_some());
        confirmed.next().filter(|_| left > most).map(|planting| planting.key.clone())
    }

    /// Takes notice of what the daemon says now; returns what happened since the last time.
    pub(super) fn observe(&mut self, findings: &[FindingView]) -> Vec<Story> {
        for finding in findings.iter().filter(|finding| finding.phase != "resolved") {
            for planting in self.plantings.iter_mut().filter(|planting| planting.explains(finding)) {
                self.untold.extend(notice(planting, finding));
            }
            let is_new = finding.phase == "open" && self.open.insert(finding.fingerprint.clone());
            let is_explained = self.plantings.iter().any(|planting| planting.explains(finding));
            if is_new && !is_explained && self.false_alarms.insert(finding.fingerprint.clone()) {
                self.untold.push(Story::FalseAlarm(finding.message.clone()));
            }
        }
        let mut told = std::mem::take(&mut self.untold);
        // What was found and mended between two looks was found first.
        told.sort_by_key(Story::order);
        told
    }

    pub(super) fn summary(&self) -> Summary {
        let own = |sort| self.plantings.iter().filter(move |planting| planting.sort == sort);
        let mut delays: Vec<_> = own(Sort::Intrusion).filter_map(delay).collect();
        delays.sort_unstable();
        let brief = own(Sort::Intrusion).filter(|p| p.confirmed.is_none() && p.undone.is_some()).count();
        Summary {
            intrusions: own(Sort::Intrusion).count(),
            detected: delays.len(),
            too_brief: brief,
            median_detection: delays.get(delays.len() / 2).copied(),
            slowest_detection: delays.last().copied(),
            mended: own(Sort::Intrusion).filter(|p| matches!(p.undone, Some((Undone::Hook, _)))).count(),
            unapplied: (own(Sort::Unapplied).count(), own(Sort::Unapplied).filter(|p| p.confirmed.is_some()).count()),
            false_alarms: self.false_alarms.len(),
        }
    }
}

fn delay(planting: &Planting) -> Option<SignedDuration> {
    Some(planting.confirmed?.duration_since(planting.at))
}

fn notice(planting: &mut Planting, finding: &FindingView) -> Option<Story> {
    let is_right = match planting.sort {
        Sort::Intrusion => finding.type_ == "drift",
        Sort::Unapplied => matches!(finding.cause, "unapplied_commit" | "rolling_out"),
    };
    if !is_right {
        return None;
    }
    let opened: Timestamp = finding.opened_at.as_deref().filter(|_| finding.phase == "open")?.parse().ok()?;
    if planting.confirmed.is_some() || opened < planting.at {
        return None;
    }
    planting.confirmed = Some(opened);
    (planting.sort == Sort::Intrusion)
        .then(|| Story::Detected(planting.what.clone(), opened.duration_since(planting.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::estate::Cloud;
    use crate::view::ResourceView;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1000 + second)
    }

    fn key(name: &str) -> Key {
        Key::new(Cloud::Aws, "AWS::SQS::Queue", name)
    }

    fn finding(
        name: &str,
        phase: &'static str,
        cause: &'static str,
        (seen, opened): (i64, Option<i64>),
    ) -> FindingView {
        FindingView {
            fingerprint: format!("{name}{cause}"),
            generation: 1,
            type_: "drift",
            drift: "changed",
            rule: String::new(),
            message: name.to_owned(),
            resource: ResourceView {
                id: String::new(),
                cloud: "aws",
                account: String::new(),
                region: String::new(),
                kind: "AWS::SQS::Queue".to_owned(),
                name: name.to_owned(),
                labels: std::collections::BTreeMap::new(),
            },
            severity: "high",
            priority: 2,
            priority_reasons: Vec::new(),
            phase,
            cause,
            actor: None,
            proof: "reread",
            proof_note: String::new(),
            changes: Vec::new(),
            desired: None,
            first_seen: at(seen).to_string(),
            last_seen: at(seen).to_string(),
            opened_at: opened.map(|second| at(second).to_string()),
            resolved_at: None,
        }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.plant(key("url/a"), vec!["a".to_owned()], "deletes a", at(10));
        ledger.commit(key("b"), Vec::new(), "raises b", at(0));
        ledger
    }

    #[test]
    fn a_change_counts_as_detected_when_it_is_confirmed() {
        let mut ledger = ledger();
        assert_eq!(ledger.observe(&[finding("a", "pending", "out_of_band", (11, None))]).len(), 2);
        assert_eq!(ledger.summary().detected, 0);
        let open = finding("a", "open", "out_of_band", (11, Some(15)));
        let told = Story::Detected("deletes a".to_owned(), SignedDuration::from_secs(5));
        assert_eq!(ledger.observe(std::slice::from_ref(&open)), [told]);
        assert_eq!(ledger.observe(&[open]), []);
        let summary = ledger.summary();
        assert_eq!((summary.intrusions, summary.detected, summary.false_alarms), (1, 1, 0));
        assert_eq!(summary.median_detection, Some(SignedDuration::from_secs(5)));
    }

    #[test]
    fn what_nobody_planted_is_a_false_alarm_once_and_only_when_it_is_open() {
        let mut ledger = ledger();
        ledger.observe(&[finding("c", "pending", "unknown", (11, None))]);
        assert_eq!(ledger.summary().false_alarms, 0);
        for _ in 0..2 {
            ledger.observe(&[finding("c", "open", "unknown", (11, Some(12)))]);
        }
        assert_eq!(ledger.summary().false_alarms, 1);
    }

    #[test]
    fn what_is_reported_long_before_or_after_the_change_is_a_false_alarm() {
        for seen in [1, 200] {
            let mut ledger = ledger();
            ledger.undo(&key("url/a"), Undone::Colleague, at(20));
            ledger.observe(&[finding("a", "open", "out_of_band", (seen, Some(seen + 3)))]);
            assert_eq!(ledger.summary().false_alarms, 1, "{seen}");
        }
    }

    #[test]
    fn an_unapplied_commit_counts_only_when_it_is_called_so() {
        let mut ledger = ledger();
        ledger.observe(&[finding("b", "open", "out_of_band", (3, Some(5)))]);
        assert_eq!(ledger.summary().unapplied, (1, 0));
        ledger.observe(&[finding("b", "open", "unapplied_commit", (3, Some(5)))]);
        assert_eq!(ledger.summary().unapplied, (1, 1));
    }

    #[test]
    fn who_put_it_back_is_remembered() {
        let mut ledger = ledger();
        ledger.observe(&[]);
        ledger.undo(&key("url/a"), Undone::Hook, at(14));
        ledger.undo(&key("url/a"), Undone::Colleague, at(15));
        assert_eq!(ledger.observe(&[]), [Story::Mended("deletes a".to_owned(), SignedDuration::from_secs(4))]);
        assert_eq!((ledger.summary().mended, ledger.summary().too_brief), (1, 1));
        assert!(!ledger.is_touched(&key("url/a")));
    }
}
