//! Since when something differs, and who made it so: the cloud's log is asked once in a pass, for all that is about to open.
//!
//! Logs are late. What nobody is known of is asked about again, for a bounded time; no opening waits for an event.

use std::collections::BTreeMap;

use driftwarden_core::finding::{Arisen, Cause, Confirmation, Evidence, Finding, Fingerprint, Phase, Subject};
use driftwarden_core::resource::Kind;
use jiff::{SignedDuration, Timestamp};

use super::Pass;
use crate::collect::Deed;

/// An event is in the log of AWS a quarter of an hour after the deed at the latest. Whoever is not there in a look that
/// came twice as long after the first that saw it, will not come.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// Notes of what is new when it came: between the last look that would have seen it, and this one.
pub(super) fn date(
    seen: &mut [(Evidence, Confirmation)],
    read_before: impl Fn(&Kind) -> Option<Timestamp>,
    now: Timestamp,
) {
    for (evidence, _) in seen {
        evidence.arisen =
            evidence.arisen.or_else(|| Some(Arisen { after: read_before(&evidence.resource.kind), before: now }));
    }
}

/// Asks the cloud's log who did what is about to open, or is open and nobody is known of.
pub(super) async fn name(
    pass: &Pass<'_>,
    known: &BTreeMap<Fingerprint, Finding>,
    seen: &mut [(Evidence, Confirmation)],
) {
    let (asked, deeds): (Vec<&mut Evidence>, Vec<Deed>) = seen
        .iter_mut()
        .filter_map(|(evidence, confirmation)| {
            let known = known.get(&Fingerprint::of(&evidence.resource, &evidence.subject));
            let deed = deed(evidence).filter(|deed| is_asked(evidence, &deed.arisen, known, *confirmation))?;
            Some((evidence, deed))
        })
        .unzip();
    if deeds.is_empty() {
        return;
    }
    for (evidence, actor) in asked.into_iter().zip(pass.collector.authors(pass.scope, &deeds).await) {
        evidence.actor = Some(actor);
    }
}

/// Returns what somebody must have done. Of a violation nobody knows when it began to be one, and what an earlier commit
/// asked for was changed in Git, not in the cloud.
fn deed(evidence: &Evidence) -> Option<Deed> {
    let Subject::Drift(drift) = evidence.subject else { return None };
    if matches!(evidence.cause, Cause::UnappliedCommit | Cause::RollingOut) {
        return None;
    }
    let paths = evidence.changes.iter().map(|change| change.path.clone()).collect();
    Some(Deed { resource: evidence.resource.clone(), drift, paths, arisen: evidence.arisen? })
}

fn is_asked(evidence: &Evidence, arisen: &Arisen, known: Option<&Finding>, confirmation: Confirmation) -> bool {
    let known = known.filter(|known| known.phase != Phase::Resolved);
    match &evidence.actor {
        None => confirmation == Confirmation::Confirmed || known.is_some_and(|known| known.phase == Phase::Open),
        Some(actor) if actor.is_known() => false,
        Some(_) => known.is_some_and(|known| known.last_seen.duration_since(arisen.before) < PATIENCE),
    }
}
