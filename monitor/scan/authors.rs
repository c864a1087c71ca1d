//! Since when something differs, and who made it so: the cloud's log is asked once in a pass, for all that is about to open.
//!
//! Logs are late. While it is not sure who did it, that is asked again, for a bounded time; no opening waits for an event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use driftwarden_core::finding::{
    Arisen, Cause, Confidence, Confirmation, Evidence, Finding, Fingerprint, Phase, Subject,
};
use driftwarden_core::resource::Kind;
use jiff::{SignedDuration, Timestamp};

use super::Pass;
use crate::collect::Deed;
use crate::store::{ScanSummary, Unit};

/// An event is in the log of AWS a quarter of an hour after the deed at the latest. Whoever is not there in a look that
/// came twice as long after the first that saw it, will not come.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);
/// Of so many deeds is asked in one pass who did them; of the others in the next ones.
const MOST_DEEDS: usize = 200;

/// Notes of what is new when it came: between the last look that would have seen it, and this one. The scan before this one
/// would not have seen what of the `anew` kinds is judged by something else now.
pub(super) fn date(
    seen: &mut [(Evidence, Confirmation)],
    (earlier, anew): (Option<&ScanSummary>, &BTreeSet<Kind>),
    now: Timestamp,
) {
    for (evidence, _) in seen {
        let kind = &evidence.resource.kind;
        let after = || earlier.filter(|_| !anew.contains(kind)).and_then(|earlier| began_reading(earlier, kind));
        evidence.arisen = evidence.arisen.or_else(|| Some(Arisen { after: after(), before: now }));
    }
}

/// Returns as of when a scan says what it says of a kind, if it saw to it to the end: what it did not see has come since.
fn began_reading(scan: &ScanSummary, kind: &Kind) -> Option<Timestamp> {
    let is_whole = scan.units.iter().all(|unit| unit.kind.is_some() || unit.gap.is_none());
    let is_read = |unit: &&Unit| unit.kind.as_ref() == Some(kind) && unit.gap.is_none();
    let unit = scan.units.iter().find(is_read).filter(|_| is_whole)?;
    Some(unit.as_of.unwrap_or(scan.started_at))
}

/// Asks the cloud's log who did what is about to open, or is open and it is not sure who did it.
pub(super) async fn name(
    pass: &Pass<'_>,
    known: &BTreeMap<Fingerprint, Finding>,
    seen: &mut [(Evidence, Confirmation)],
) {
    let (asked, deeds) = asked(known, seen);
    if deeds.is_empty() {
        return;
    }
    for (evidence, actor) in asked.into_iter().zip(pass.collector.authors(pass.scope, &deeds).await) {
        // A log that could not be read this time takes nothing back.
        if actor.is_known() || evidence.actor.is_none() {
            evidence.actor = Some(actor);
        }
    }
}

/// Returns of which evidence is asked who did it, and what was done: first of what was never asked of, and the newest first.
fn asked<'s>(
    known: &BTreeMap<Fingerprint, Finding>,
    seen: &'s mut [(Evidence, Confirmation)],
) -> (Vec<&'s mut Evidence>, Vec<Deed>) {
    let asked = seen.iter_mut().filter_map(|(evidence, confirmation)| {
        let known = known.get(&Fingerprint::of(&evidence.resource, &evidence.subject));
        let deed = deed(evidence).filter(|deed| is_asked(evidence, &deed.arisen, known, *confirmation))?;
        Some((evidence, deed))
    });
    let mut asked: Vec<(&mut Evidence, Deed)> = asked.collect();
    asked.sort_by_key(|(evidence, deed)| (evidence.actor.is_some(), Reverse(deed.arisen.before)));
    asked.truncate(MOST_DEEDS);
    asked.into_iter().unzip()
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
        Some(actor) if actor.confidence == Confidence::High => false,
        Some(_) => known.is_some_and(|known| known.last_seen.duration_since(arisen.before) < PATIENCE),
    }
}

#[cfg(test)]
mod tests {
    use driftwarden_core::compare::{Change, ChangeOp};
    use driftwarden_core::finding::{Actor, ActorKind, DriftKind, Hold, Proof, Severity, Sighting, advance};
    use driftwarden_core::resource::{Labels, Provider, Scope};

    use super::*;

    const KIND: &str = "AWS::S3::Bucket";
    const HOLD: Hold = Hold { scans: 1, for_: SignedDuration::ZERO };

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn scope() -> Scope {
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "1".into(), region: "r".into() }
    }

    /// A bucket that somebody deleted, and that is missed since that minute.
    fn missing(name: &str, minute: i64) -> Evidence {
        Evidence {
            resource: scope().id(&KIND.into(), name),
            subject: Subject::Drift(DriftKind::Missing),
            labels: Labels::default(),
            severity: Severity::High,
            message: String::new(),
            changes: Vec::new(),
            origin: None,
            cause: Cause::OutOfBand,
            actor: None,
            arisen: Some(Arisen { after: None, before: at(minute) }),
            proof: Proof::Reread,
        }
    }

    /// What becomes of it in a look of that minute that confirms it.
    fn open(evidence: &Evidence, minute: i64) -> Finding {
        let sighting = Sighting::Seen(Box::new(evidence.clone()));
        advance(None, sighting, Confirmation::Confirmed, HOLD, (&scope(), at(minute))).unwrap().finding
    }

    fn ann(confidence: Confidence) -> Actor {
        Actor { name: "ann".to_owned(), kind: ActorKind::Person, confidence, ..Actor::unknown("cloudtrail") }
    }

    #[test]
    fn what_is_not_sure_is_asked_again_while_the_log_may_be_late() {
        let check = |actor: Option<Actor>, last_seen: i64, expected: bool| {
            let evidence = Evidence { actor, ..missing("logs", 0) };
            let known = open(&evidence, last_seen);
            let arisen = evidence.arisen.unwrap();
            let is_asked = is_asked(&evidence, &arisen, Some(&known), Confirmation::Unconfirmed);
            assert_eq!(is_asked, expected, "{:?} {last_seen}", evidence.actor);
        };
        check(None, 90, true);
        for actor in [ann(Confidence::Low), ann(Confidence::Medium), Actor::unknown("cloudtrail")] {
            check(Some(actor.clone()), 29, true);
            check(Some(actor), 31, false);
        }
        check(Some(ann(Confidence::High)), 1, false);
    }

    #[test]
    fn one_pass_asks_of_so_many_and_first_of_those_that_it_never_asked_of() {
        let evidence = |at: usize| {
            let evidence = missing(&format!("b{at}"), i64::try_from(at).unwrap());
            let actor = at.is_multiple_of(2).then(|| Actor::unknown("cloudtrail"));
            (Evidence { actor, ..evidence }, Confirmation::Confirmed)
        };
        let mut seen: Vec<_> = (0..MOST_DEEDS + 50).map(evidence).collect();
        let open = |(evidence, _): &(Evidence, _)| {
            let finding = open(evidence, 0);
            (finding.fingerprint, finding)
        };
        let known = seen.iter().map(open).collect();
        let (asked, deeds) = asked(&known, &mut seen);
        assert!(asked.iter().map(|evidence| &evidence.resource).eq(deeds.iter().map(|deed| &deed.resource)));
        let names: Vec<&str> = deeds.iter().map(|deed| &*deed.resource.name).collect();
        assert_eq!((names.len(), names[0], names[124], names[125]), (MOST_DEEDS, "b249", "b1", "b248"));
    }

    /// Checks after which minute a bucket went that is first missed at ten past, where the scan before began at five past.
    fn check_date((as_of, gap): (Option<i64>, Option<Unit>), anew: &[&str], after: Option<i64>) {
        let unit = Unit { kind: Some(KIND.into()), resources: 1, as_of: as_of.map(at), ..Unit::default() };
        let earlier = ScanSummary {
            id: String::new(),
            scope: scope(),
            started_at: at(5),
            finished_at: at(6),
            complete: true,
            resources: 1,
            managed: 1,
            units: std::iter::once(unit).chain(gap).collect(),
            revisions: Vec::new(),
        };
        let mut seen = [(Evidence { arisen: None, ..missing("logs", 0) }, Confirmation::Confirmed)];
        let anew = anew.iter().map(|&kind| kind.into()).collect();
        date(&mut seen, (Some(&earlier), &anew), at(10));
        assert_eq!(seen[0].0.arisen, Some(Arisen { after: after.map(at), before: at(10) }));
    }

    #[test]
    fn only_a_look_that_would_have_seen_it_says_that_it_was_not_so() {
        let gap =
            crate::store::UnitGap { reason: driftwarden_core::resource::GapReason::Denied, detail: String::new() };
        check_date((None, None), &[], Some(5));
        check_date((Some(-9), None), &[], Some(-9));
        check_date((None, Some(Unit { gap: Some(gap), ..Unit::default() })), &[], None);
        check_date((None, None), &["AWS::SQS::Queue"], Some(5));
        check_date((None, None), &[KIND], None);
    }

    #[test]
    fn what_an_older_program_knew_is_as_old_as_its_first_sighting() {
        let undated = Evidence { arisen: None, ..missing("logs", 0) };
        let known = open(&undated, 3);
        let known = BTreeMap::from([(known.fingerprint, known)]);
        let arisen = |evidence: &Evidence| super::super::inherit(evidence.clone(), &known).arisen;
        assert_eq!(arisen(&undated), Some(Arisen { after: None, before: at(3) }));
        let other = Change {
            path: "/Tags".to_owned(),
            op: ChangeOp::Changed,
            desired: 1.into(),
            observed: 2.into(),
            sensitive: false,
            reason: "".into(),
            owner: None,
        };
        assert_eq!(arisen(&Evidence { changes: vec![other], ..undated }), None);
    }
}
