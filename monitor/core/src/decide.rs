//! From transitions to actions, each complete in itself: whoever carries one out has nothing left to choose.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::finding::{Finding, Fingerprint, Step, Transition};
use crate::group::Spacing;
use crate::matcher::{self, Matcher};

/// Which findings go to which receiver, in Alertmanager's form.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it stands: what is to match from the outermost route down to it, and not how many stand before it, so that
    /// another one beside it does not make its groups new ones.
    pub place: String,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// Keys of a finding by which notifications are grouped.
    pub group_by: Vec<String>,
    /// How the notifications of a group are spaced.
    pub spacing: Spacing,
    /// Whether later siblings are tried after this one matched.
    pub continue_: bool,
    /// More special routes; the first that matches wins.
    pub routes: Vec<Route>,
}

impl Route {
    /// Returns the identity of the group that a finding is told in.
    pub fn group_of(&self, finding: &Finding) -> String {
        let value = |key: &String| format!("{key}={:?}", matcher::field(finding, key));
        let values: Vec<String> = self.group_by.iter().map(value).collect();
        format!("{}:{}", self.place, values.join(","))
    }
}

/// Which findings a hook may mend.
#[derive(Debug, Clone)]
pub struct HookRule {
    /// Name of the hook.
    pub hook: Arc<str>,
    /// All must match.
    pub matchers: Vec<Matcher>,
}

/// Whether a notification says that something is wrong or that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Firing,
    /// It is over.
    Resolved,
}

impl Status {
    /// Returns Alertmanager's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// One finding within a notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Whether it began or ended.
    pub status: Status,
    /// The finding as it was when this was decided.
    pub finding: Finding,
}

/// Something to be told or asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Tell one receiver about one group of findings: at least once.
    Notify {
        /// Name of the receiver.
        receiver: Arc<str>,
        /// Identity of the group: route and the values of its `group_by` keys.
        group: String,
        /// Same on every retry, new with each generation (I15).
        dedup: String,
        /// Not to be sent before.
        not_before: Timestamp,
        /// What to tell.
        notices: Vec<Notice>,
    },
    /// Ask one hook to mend one finding: at most once for each generation (I19).
    Remediate {
        /// Name of the hook.
        hook: Arc<str>,
        /// The finding.
        fingerprint: Fingerprint,
        /// Its generation when this was decided.
        generation: u32,
    },
}

/// Notices in one action: what is saved in one row stays small. The actions of one group are told as one notification.
const NOTICES_PER_ACTION: usize = 500;

/// Decides what the steps of one scan mean for others. Sorted; the same steps give the same actions in any order.
pub fn decide(steps: &[Step], root: Option<&Route>, hooks: &[HookRule], now: Timestamp) -> Vec<Action> {
    let mut actions = root.map(|root| notifications(steps, root, now)).unwrap_or_default();
    actions.extend(steps.iter().filter(|step| has_opened(step)).flat_map(|step| remediations(step, hooks)));
    actions
}

fn has_opened(step: &Step) -> bool {
    matches!(step.transition, Some(Transition::Opened | Transition::Grew))
}

fn remediations<'a>(step: &'a Step, hooks: &'a [HookRule]) -> impl Iterator<Item = Action> + 'a {
    let finding = &step.finding;
    hooks.iter().filter(|hook| hook.matchers.iter().all(|m| m.matches(finding))).map(|hook| Action::Remediate {
        hook: Arc::clone(&hook.hook),
        fingerprint: finding.fingerprint,
        generation: finding.generation,
    })
}

fn notifications(steps: &[Step], root: &Route, now: Timestamp) -> Vec<Action> {
    let mut groups = std::collections::BTreeMap::<(String, Arc<str>), (SignedDuration, Vec<Notice>)>::new();
    for step in steps {
        let status = match step.transition {
            Some(Transition::Opened | Transition::Grew) => Status::Firing,
            Some(Transition::Resolved) => Status::Resolved,
            Some(Transition::Appeared | Transition::Vanished) | None => continue,
        };
        for route in routes_of(root, &step.finding) {
            let key = (route.group_of(&step.finding), Arc::clone(&route.receiver));
            let notice = Notice { status, finding: step.finding.clone() };
            groups.entry(key).or_insert_with(|| (route.spacing.wait, Vec::new())).1.push(notice);
        }
    }
    groups
        .into_iter()
        .flat_map(|((group, receiver), (wait, notices))| notify((receiver, group), now + wait, notices))
        .collect()
}

fn notify(
    (receiver, group): (Arc<str>, String),
    not_before: Timestamp,
    mut notices: Vec<Notice>,
) -> impl Iterator<Item = Action> {
    notices.sort_by_key(|notice| notice.finding.fingerprint);
    let mut notices = notices.into_iter();
    std::iter::from_fn(move || {
        let notices: Vec<Notice> = notices.by_ref().take(NOTICES_PER_ACTION).collect();
        let (receiver, group) = (Arc::clone(&receiver), group.clone());
        let dedup = dedup(&receiver, &group, &notices);
        (!notices.is_empty()).then_some(Action::Notify { receiver, group, dedup, not_before, notices })
    })
}

fn dedup(receiver: &str, group: &str, notices: &[Notice]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(receiver.as_bytes());
    hasher.update(group.as_bytes());
    for Notice { status, finding } in notices {
        hasher.update(format!("\n{} {} {}", finding.fingerprint, finding.generation, status.as_str()).as_bytes());
    }
    hasher.finalize().to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}

/// Returns the routes that a finding takes: in each list the first that matches, and its siblings while it continues.
pub fn routes_of<'a>(root: &'a Route, finding: &Finding) -> Vec<&'a Route> {
    if !root.matchers.iter().all(|m| m.matches(finding)) {
        return Vec::new();
    }
    let mut taken = Vec::new();
    for route in &root.routes {
        let found = routes_of(route, finding);
        let matched = !found.is_empty();
        taken.extend(found);
        if matched && !route.continue_ {
            break;
        }
    }
    if taken.is_empty() {
        taken.push(root);
    }
    taken
}
