//! What every store keeps to. A backend names a place that it can be opened at, and gets every test.

use std::sync::Arc;

use driftwarden_core::compare::{Change, ChangeOp};
use driftwarden_core::decide::{Action, Notice, Status};
use driftwarden_core::finding::{
    Actor, ActorKind, Arisen, Cause, Confidence, DriftKind, Evidence, Finding, Fingerprint, Phase, Proof, Severity,
    Step, Subject, Transition,
};
use driftwarden_core::resource::{GapReason, Kind, Origin, Provider, Scope, Touched};
use driftwarden_core::schema::{Compiled, Schema};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    AuditRow, Committed, Config, Filter, IntentFilter, IntentState, NewIntent, OutboxKind, Outcome, Revision,
    ScanRecord, SchemaRow, Store, StoreError, Told, Unit, UnitGap,
};

/// Where a store can be opened again and again; gone when dropped.
pub(super) struct Place {
    pub(super) config: Config,
    pub(super) _folder: tempfile::TempDir,
}

impl Place {
    async fn open(&self) -> Arc<dyn Store> {
        super::open(&self.config).await.unwrap()
    }
}

/// Writes a test for each fact, on a fresh place.
macro_rules! suite {
    ($place:path) => {
        $crate::store::conformance::suite! { $place;
            a_finding_reads_back_as_it_was_written, a_scan_is_saved_once, a_scan_and_its_scope_read_back,
            a_late_epoch_writes_nothing, a_generation_never_goes_back, a_generation_ends_once,
            findings_are_filtered_and_paged, the_outbox_keeps_until_sent, a_group_remembers_when_it_was_told, a_dead_letter_is_counted,
            the_same_waiting_action_is_kept_once, a_hook_is_intended_once, an_intent_is_concluded_once,
            what_is_old_is_forgotten, only_what_is_resolved_and_settled_is_forgotten, the_audit_chain_has_no_holes, a_scan_is_saved_whole_or_not_at_all,
            a_schema_is_kept_until_a_newer_one_is_read
        }
    };
    ($place:path; $($fact:ident),+) => {
        $(#[tokio::test]
        async fn $fact() {
            $crate::store::conformance::$fact($place()).await;
        })+
    };
}
pub(super) use suite;

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_790_000_000 + seconds, 123_456_789).unwrap()
}

fn scope(cloud: &str) -> Scope {
    Scope { cloud: cloud.into(), provider: Provider::Aws, account: "123456789012".into(), region: "eu-west-1".into() }
}

fn finding(name: &str, generation: u32, phase: Phase) -> Finding {
    let scope = scope("prod");
    let resource = scope.id(&Kind::new("AWS::S3::Bucket"), name);
    let subject = Subject::Drift(DriftKind::Changed);
    Finding {
        fingerprint: Fingerprint::of(&resource, &subject),
        generation,
        phase,
        scope,
        evidence: Evidence {
            resource,
            subject,
            labels: [("team".to_owned(), "data \u{1F980}".to_owned())].into(),
            severity: Severity::High,
            message: "a \"line\"\nfor people".to_owned(),
            changes: Vec::new(),
            origin: None,
            cause: Cause::OutOfBand,
            actor: None,
            arisen: None,
            proof: Proof::RereadOnly("the API server answered 403".to_owned()),
        },
        priority: 2,
        priority_reasons: vec!["high severity".to_owned()],
        first_seen: at(0),
        last_seen: at(60),
        opened_at: Some(at(30)),
        resolved_at: None,
        sightings: 7,
    }
}

fn rich_finding() -> Finding {
    let change = |path: &str, op, desired, observed| Change {
        path: path.to_owned(),
        op,
        desired,
        observed,
        sensitive: op == ChangeOp::Added,
        reason: format!("because of {path}").into(),
        owner: (op == ChangeOp::Added).then(|| "kubectl-edit".to_owned()),
    };
    let mut finding = finding("rich/%ü", 4_000_000_000, Phase::Resolved);
    finding.evidence.changes = vec![
        change("/a~1b", ChangeOp::Changed, json!({"x": [1, -2.5, null, u64::MAX, i64::MIN]}), json!(true)),
        change("", ChangeOp::Removed, json!("\u{0}\u{FFFF}"), json!(null)),
        change("/z", ChangeOp::Added, json!(null), json!("(sensitive 123)")),
    ];
    let touched = Touched { commit: "c0ffee".into(), author: "A <a@example.com>".into(), at: at(-9) };
    let origin = Origin {
        source: "infra".into(),
        revision: "abc".into(),
        file: "a/b.yaml".into(),
        line: 12,
        touched: Some(touched),
    };
    finding.evidence.origin = Some(origin);
    let actor = Actor {
        name: "root".to_owned(),
        kind: ActorKind::Person,
        at: Some(at(5)),
        source: "cloudtrail".to_owned(),
        event: Some("PutBucketPolicy (1)".to_owned()),
        confidence: Confidence::High,
    };
    finding.evidence.actor = Some(actor);
    finding.evidence.arisen = Some(Arisen { after: Some(at(1)), before: at(6) });
    finding.resolved_at = Some(at(90));
    finding
}

fn step(finding: Finding, transition: Transition) -> Step {
    Step { finding, transition: Some(transition) }
}

fn record(id: &str, steps: Vec<Step>) -> ScanRecord {
    ScanRecord {
        id: id.to_owned(),
        scope: scope("prod"),
        started_at: at(0),
        finished_at: at(60),
        complete: true,
        resources: 10,
        managed: 8,
        units: vec![Unit {
            kind: Some(Kind::new("AWS::S3::Bucket")),
            resources: 10,
            gap: None,
            lacks_schema: true,
            as_of: Some(at(50)),
        }],
        revisions: vec![Revision { source: "infra".to_owned(), revision: "abc".to_owned() }],
        steps,
        actions: Vec::new(),
    }
}

fn told(dedup: &str, not_before: Timestamp) -> Action {
    Action::Notify {
        receiver: "oncall".into(),
        group: "{cloud=\"prod\"}".to_owned(),
        dedup: dedup.to_owned(),
        not_before,
        notices: vec![Notice { status: Status::Firing, finding: rich_finding() }],
    }
}

fn mended(generation: u32) -> Action {
    let fingerprint = finding("logs", 1, Phase::Open).fingerprint;
    Action::Remediate { hook: "reapply".into(), fingerprint, generation }
}

fn intent(hook: &str, generation: u32) -> NewIntent {
    let Finding { fingerprint, evidence, .. } = finding("logs", generation, Phase::Open);
    NewIntent {
        hook: hook.to_owned(),
        fingerprint,
        generation,
        resource: evidence.resource,
        at: at(i64::from(generation)),
    }
}

pub(super) async fn a_finding_reads_back_as_it_was_written(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let mut violation = finding("rule", 1, Phase::Pending);
    violation.evidence.subject = Subject::Violation("aws_s3_public".into());
    violation.fingerprint = Fingerprint::of(&violation.evidence.resource, &violation.evidence.subject);
    let mut wanted = vec![rich_finding(), violation];
    let steps = wanted.iter().map(|finding| step(finding.clone(), Transition::Appeared)).collect();
    store.commit(epoch, &record("1", steps)).await.unwrap();
    drop(store);
    let store = place.open().await;
    wanted.sort_by_key(|finding| finding.fingerprint);
    assert_eq!(store.findings(&Filter::default()).await.unwrap(), wanted);
    assert_eq!(store.finding(wanted[0].fingerprint).await.unwrap().as_ref(), Some(&wanted[0]));
    let nobody = finding("nobody", 1, Phase::Open).fingerprint;
    assert_eq!(store.finding(nobody).await.unwrap(), None);
}

pub(super) async fn a_scan_is_saved_once(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let mut record = record("1", vec![step(finding("logs", 1, Phase::Open), Transition::Opened)]);
    record.actions = vec![told("1", at(0)), mended(1)];
    assert_eq!(store.commit(epoch, &record).await.unwrap(), Committed::Now);
    let due = store.due(OutboxKind::Notify, at(60), 10).await.unwrap();
    store.sent(epoch, due[0].id, at(61)).await.unwrap();
    assert_eq!(store.commit(epoch, &record).await.unwrap(), Committed::Before);
    assert_eq!(store.due(OutboxKind::Notify, at(60), 10).await.unwrap(), []);
    assert_eq!(store.last_scans(10).await.unwrap().len(), 1);
    assert_eq!(store.history(record.steps[0].finding.fingerprint).await.unwrap().len(), 1);
}

pub(super) async fn a_scan_and_its_scope_read_back(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let first = record("1", vec![]);
    let gap = UnitGap { reason: GapReason::Denied, detail: "no".to_owned() };
    let units = vec![Unit { gap: Some(gap), ..Unit::default() }];
    let second = ScanRecord { complete: false, units, finished_at: at(120), ..record("2", vec![]) };
    let other = ScanRecord { scope: scope("other"), finished_at: at(180), ..record("3", vec![]) };
    for record in [&first, &second, &other] {
        store.commit(epoch, record).await.unwrap();
    }
    let scans = store.last_scans(10).await.unwrap();
    assert_eq!(scans.iter().map(|scan| scan.id.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    assert_eq!((&scans[1].units, scans[1].complete), (&second.units, false));
    assert_eq!((&scans[2].revisions, scans[2].finished_at), (&first.revisions, at(60)));
    assert_eq!(store.last_scans(1).await.unwrap().len(), 1);
    let scopes = store.scopes().await.unwrap();
    let seen: Vec<_> = scopes.iter().map(|it| (&*it.last.scope.cloud, &*it.last.id, it.last_complete_at)).collect();
    assert_eq!(seen, [("other", "3", Some(at(180))), ("prod", "2", Some(at(60)))]);
}

pub(super) async fn a_late_epoch_writes_nothing(place: Place) {
    let store = place.open().await;
    let old = store.take_lead("a", at(0)).await.unwrap();
    let mut record = record("1", vec![]);
    record.actions = vec![told("1", at(0))];
    store.commit(old, &record).await.unwrap();
    let id = store.intend(old, &intent("reapply", 1)).await.unwrap().unwrap();
    let new = place.open().await.take_lead("b", at(1)).await.unwrap();
    assert!(new > old);
    let outcome = Outcome { state: IntentState::Verified, detail: "", at: at(2) };
    let refused = [
        store.commit(old, &ScanRecord { id: "2".to_owned(), ..record.clone() }).await.err(),
        store.sent(old, 1, at(2)).await.err(),
        store.told(old, told_now(&[1])).await.err(),
        store.postpone(old, &[1], at(2)).await.err(),
        store.forget_group(old, "oncall", "g").await.err(),
        store.retry(old, &[1], at(2), "no").await.err(),
        store.bury(old, &[1], "no").await.err(),
        store.intend(old, &intent("reapply", 2)).await.err(),
        store.conclude(old, id, outcome).await.err(),
        store.prune(old, at(999)).await.err(),
        store.save_schemas(old, &[]).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(StoreError::Stale { .. })), "{error:?}");
    }
    assert_eq!(store.last_scans(9).await.unwrap().len(), 1);
    assert_eq!(store.intents(&IntentFilter::default()).await.unwrap().len(), 1);
    store.conclude(new, id, outcome).await.unwrap();
}

pub(super) async fn a_generation_never_goes_back(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let known = finding("logs", 2, Phase::Open);
    store.commit(epoch, &record("1", vec![step(known.clone(), Transition::Opened)])).await.unwrap();
    let older = step(finding("logs", 1, Phase::Resolved), Transition::Resolved);
    let error = store.commit(epoch, &record("2", vec![older])).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(store.finding(known.fingerprint).await.unwrap(), Some(known));
}

pub(super) async fn a_generation_ends_once(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let end = |generation| vec![step(finding("logs", generation, Phase::Resolved), Transition::Resolved)];
    store.commit(epoch, &record("1", end(1))).await.unwrap();
    let error = store.commit(epoch, &record("2", end(1))).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    store.commit(epoch, &record("3", end(2))).await.unwrap();
}

pub(super) async fn findings_are_filtered_and_paged(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let mut steps: Vec<_> =
        (0..20).map(|n| step(finding(&format!("bucket-{n}"), 1, Phase::ALL[n % 3]), Transition::Appeared)).collect();
    steps[0].finding.evidence.severity = Severity::Low;
    steps[0].finding.priority = 5;
    steps[0].finding.scope = scope("shop");
    store.commit(epoch, &record("1", steps)).await.unwrap();
    let count = async |filter: Filter| store.findings(&filter).await.unwrap().len();
    let all = Filter::default;
    assert_eq!(count(Filter { phases: vec![Phase::Pending], ..all() }).await, 7);
    assert_eq!(count(Filter { phases: vec![Phase::Pending, Phase::Open], ..all() }).await, 14);
    assert_eq!(count(Filter { scope: Some(scope("shop")), ..all() }).await, 1);
    assert_eq!(count(Filter { cloud: Some("prod".to_owned()), ..all() }).await, 19);
    assert_eq!(count(Filter { cloud: Some("aws".to_owned()), ..all() }).await, 20);
    assert_eq!(count(Filter { type_: Some("violation".to_owned()), ..all() }).await, 0);
    assert_eq!(count(Filter { severity: Some(Severity::Low), priority: Some(5), ..all() }).await, 1);
    let mut paged = Vec::new();
    while let Ok(page @ [.., _]) =
        store.findings(&Filter { after: paged.last().copied(), limit: Some(6), ..all() }).await.as_deref()
    {
        assert!(page.len() <= 6);
        paged.extend(page.iter().map(|finding| finding.fingerprint));
    }
    assert_eq!(paged.len(), 20);
    assert!(paged.is_sorted());
    assert_eq!(count(Filter { among: paged[3..5].to_vec(), ..all() }).await, 2);
}

pub(super) async fn the_outbox_keeps_until_sent(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let actions = vec![told("1", at(30)), told("2", at(90)), mended(1)];
    store.commit(epoch, &ScanRecord { actions: actions.clone(), ..record("1", vec![]) }).await.unwrap();
    drop(store);
    let store = place.open().await;
    let due = async |kind, now| store.due(kind, at(now), 10).await.unwrap();
    assert_eq!(due(OutboxKind::Notify, 29).await, []);
    let first = due(OutboxKind::Notify, 30).await.remove(0);
    assert_eq!((&first.action, first.attempts, first.created_at), (&actions[0], 0, at(60)));
    assert_eq!(due(OutboxKind::Remediate, 60).await[0].action, actions[2]);
    store.retry(epoch, &[first.id], at(200), "connection refused").await.unwrap();
    assert_eq!(due(OutboxKind::Notify, 199).await.len(), 1);
    let again = due(OutboxKind::Notify, 200).await.pop().unwrap();
    assert_eq!((again.id, again.attempts, again.last_error.as_deref()), (first.id, 1, Some("connection refused")));
    store.sent(epoch, first.id, at(201)).await.unwrap();
    assert!(matches!(store.sent(epoch, first.id, at(202)).await, Err(StoreError::Conflict(_))));
    assert_eq!(due(OutboxKind::Notify, 300).await.len(), 1);
}

fn told_now(ids: &[i64]) -> Told<'_> {
    Told { ids, receiver: "oncall", group: "g", at: at(70) }
}

pub(super) async fn a_group_remembers_when_it_was_told(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let actions = vec![told("1", at(0)), told("2", at(0))];
    store.commit(epoch, &ScanRecord { actions, ..record("1", vec![]) }).await.unwrap();
    let ids: Vec<i64> = store.due(OutboxKind::Notify, at(0), 9).await.unwrap().iter().map(|row| row.id).collect();
    store.postpone(epoch, &ids, at(60)).await.unwrap();
    assert_eq!(store.due(OutboxKind::Notify, at(59), 9).await.unwrap(), []);
    assert_eq!(store.due(OutboxKind::Notify, at(60), 9).await.unwrap()[0].attempts, 0);
    store.told(epoch, told_now(&ids)).await.unwrap();
    let again = store.told(epoch, Told { at: at(80), ..told_now(&ids) }).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    drop(store);
    let store = place.open().await;
    assert_eq!(store.groups("oncall").await.unwrap(), [("g".to_owned(), at(70))].into());
    assert_eq!(store.outbox_counts().await.unwrap().pending[0], (OutboxKind::Notify, 0));
    store.told(epoch, Told { at: at(90), ..told_now(&[]) }).await.unwrap();
    assert_eq!(store.groups("oncall").await.unwrap(), [("g".to_owned(), at(90))].into());
    store.forget_group(epoch, "oncall", "g").await.unwrap();
    assert_eq!(store.groups("oncall").await.unwrap(), [].into());
}

pub(super) async fn a_dead_letter_is_counted(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let actions = vec![told("1", at(0)), told("2", at(0)), mended(1)];
    store.commit(epoch, &ScanRecord { actions, ..record("1", vec![]) }).await.unwrap();
    let due = store.due(OutboxKind::Notify, at(0), 1).await.unwrap();
    store.bury(epoch, &[due[0].id], "410").await.unwrap();
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!(counts.pending, [(OutboxKind::Notify, 1), (OutboxKind::Remediate, 1)]);
    assert_eq!(counts.dead, [("oncall".to_owned(), 1)]);
}

pub(super) async fn the_same_waiting_action_is_kept_once(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    for id in ["1", "2"] {
        let actions = vec![told("same", at(0)), mended(1)];
        store.commit(epoch, &ScanRecord { actions, ..record(id, vec![]) }).await.unwrap();
    }
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!(counts.pending, [(OutboxKind::Notify, 1), (OutboxKind::Remediate, 1)]);
}

pub(super) async fn a_hook_is_intended_once(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let first = store.intend(epoch, &intent("reapply", 1)).await.unwrap();
    assert!(first.is_some());
    let store = place.open().await;
    let epoch = store.take_lead("b", at(0)).await.unwrap();
    assert_eq!(store.intend(epoch, &intent("reapply", 1)).await.unwrap(), None);
    assert!(store.intend(epoch, &intent("reapply", 2)).await.unwrap().is_some());
    assert!(store.intend(epoch, &intent("other", 1)).await.unwrap().is_some());
}

pub(super) async fn an_intent_is_concluded_once(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let id = store.intend(epoch, &intent("reapply", 1)).await.unwrap().unwrap();
    store.intend(epoch, &intent("reapply", 2)).await.unwrap().unwrap();
    let outcome = Outcome { state: IntentState::UnknownOutcome, detail: "the daemon ended", at: at(9) };
    store.conclude(epoch, id, outcome).await.unwrap();
    let again = store.conclude(epoch, id, Outcome { state: IntentState::Verified, ..outcome }).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let found = store.intents(&IntentFilter::default()).await.unwrap();
    assert_eq!((&found[0].new, found[0].state), (&intent("reapply", 1), IntentState::UnknownOutcome));
    assert_eq!((found[0].detail.as_str(), found[0].concluded_at), ("the daemon ended", Some(at(9))));
    let unfinished = IntentFilter { state: Some(IntentState::Started), ..IntentFilter::default() };
    assert_eq!(store.intents(&unfinished).await.unwrap(), found[1..]);
    let on = |since| IntentFilter { resource: Some(found[0].new.resource.clone()), since, ..IntentFilter::default() };
    assert_eq!(store.intents(&on(None)).await.unwrap().len(), 2);
    assert_eq!(store.intents(&on(Some(at(2)))).await.unwrap(), found[1..]);
}

pub(super) async fn what_is_old_is_forgotten(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let known = finding("logs", 1, Phase::Open);
    let actions = vec![told("1", at(0)), told("2", at(0))];
    let steps = vec![step(known.clone(), Transition::Opened)];
    store.commit(epoch, &ScanRecord { actions, ..record("1", steps) }).await.unwrap();
    store.commit(epoch, &ScanRecord { finished_at: at(70), ..record("2", vec![]) }).await.unwrap();
    store.intend(epoch, &intent("reapply", 1)).await.unwrap();
    let due = store.due(OutboxKind::Notify, at(0), 1).await.unwrap();
    store.sent(epoch, due[0].id, at(61)).await.unwrap();
    store.prune(epoch, at(0) + SignedDuration::from_hours(1)).await.unwrap();
    assert_eq!(store.last_scans(9).await.unwrap().len(), 1);
    assert_eq!(store.scopes().await.unwrap()[0].last.id, "2");
    assert_eq!(store.history(known.fingerprint).await.unwrap(), []);
    assert_eq!(store.finding(known.fingerprint).await.unwrap(), Some(known));
    assert_eq!(store.outbox_counts().await.unwrap().pending[0], (OutboxKind::Notify, 1));
    assert_eq!(store.intend(epoch, &intent("reapply", 1)).await.unwrap(), None);
}

pub(super) async fn only_what_is_resolved_and_settled_is_forgotten(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let over = |name| step(finding(name, 1, Phase::Resolved), Transition::Resolved);
    let steps = vec![
        over("gone"),
        over("unknown outcome"),
        over("awaits a hook"),
        step(finding("open", 1, Phase::Open), Transition::Opened),
        step(finding("pending", 1, Phase::Pending), Transition::Appeared),
    ];
    let prints: Vec<Fingerprint> = steps.iter().map(|step| step.finding.fingerprint).collect();
    let [gone, unknown, awaits, ..] = prints[..] else { panic!() };
    let actions = vec![
        told("dead", at(0)),
        told("waits", at(0)),
        Action::Remediate { hook: "reapply".into(), fingerprint: awaits, generation: 1 },
    ];
    store.commit(epoch, &ScanRecord { actions, ..record("1", steps) }).await.unwrap();
    let due = store.due(OutboxKind::Notify, at(0), 1).await.unwrap();
    store.bury(epoch, &[due[0].id], "410").await.unwrap();
    for (fingerprint, state) in [(gone, IntentState::Verified), (unknown, IntentState::UnknownOutcome)] {
        let id = store.intend(epoch, &NewIntent { fingerprint, ..intent("reapply", 1) }).await.unwrap().unwrap();
        store.conclude(epoch, id, Outcome { state, detail: "", at: at(2) }).await.unwrap();
    }
    // A scan sees what is resolved again and again, and does not make it younger.
    let seen = Step { finding: finding("gone", 1, Phase::Resolved), transition: None };
    store.commit(epoch, &ScanRecord { finished_at: at(5000), ..record("2", vec![seen]) }).await.unwrap();
    assert!(store.prune(epoch, at(60)).await.unwrap() == 0, "as old as allowed");
    assert!(store.prune(epoch, at(4000)).await.unwrap() > 0);
    let mut kept: Vec<_> = store.findings(&Filter::default()).await.unwrap().iter().map(|it| it.fingerprint).collect();
    let mut wanted = prints[1..].to_vec();
    kept.sort();
    wanted.sort();
    assert_eq!(kept, wanted);
    let states: Vec<_> = store.intents(&IntentFilter::default()).await.unwrap().iter().map(|it| it.state).collect();
    assert_eq!(states, [IntentState::UnknownOutcome]);
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!(counts.pending, [(OutboxKind::Notify, 1), (OutboxKind::Remediate, 1)]);
    assert_eq!(counts.dead, [("oncall".to_owned(), 1)]);
}

pub(super) async fn the_audit_chain_has_no_holes(place: Place) {
    let store = place.open().await;
    let row = |seq: u64, prev: &str, hash: &str| AuditRow {
        seq,
        at: at(0).to_string(),
        body: "{\"a\":\"\u{FFFD}\"}".to_owned(),
        prev: prev.to_owned(),
        hash: hash.to_owned(),
    };
    assert_eq!(store.audit_last().await.unwrap(), None);
    store.audit_append(&[row(1, "0", "a"), row(2, "a", "b")]).await.unwrap();
    for wrong in [row(2, "a", "c"), row(4, "b", "c"), row(3, "x", "c")] {
        let refused = store.audit_append(&[wrong]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
    let half = store.audit_append(&[row(3, "b", "c"), row(5, "c", "d")]).await;
    assert!(half.is_err());
    store.audit_append(&[row(3, "b", "c")]).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.audit_last().await.unwrap(), Some(row(3, "b", "c")));
    assert_eq!(store.audit_rows(2, 9).await.unwrap(), [row(2, "a", "b"), row(3, "b", "c")]);
    assert_eq!(store.audit_rows(1, 1).await.unwrap(), [row(1, "0", "a")]);
}

pub(super) async fn a_scan_is_saved_whole_or_not_at_all(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let ended = step(finding("old", 1, Phase::Resolved), Transition::Resolved);
    store.commit(epoch, &record("1", vec![ended.clone()])).await.unwrap();
    let fresh = step(finding("fresh", 1, Phase::Open), Transition::Opened);
    let broken = ScanRecord { actions: vec![told("1", at(0))], ..record("2", vec![fresh.clone(), ended]) };
    store.commit(epoch, &broken).await.unwrap_err();
    assert_eq!(store.finding(fresh.finding.fingerprint).await.unwrap(), None);
    assert_eq!(store.last_scans(9).await.unwrap().len(), 1);
    assert_eq!(store.outbox_counts().await.unwrap().pending[0], (OutboxKind::Notify, 0));
}

pub(super) async fn a_schema_is_kept_until_a_newer_one_is_read(place: Place) {
    let store = place.open().await;
    let epoch = store.take_lead("a", at(0)).await.unwrap();
    let schema = Schema {
        read_only: vec!["/Arn".to_owned()],
        write_only: vec!["/Password".to_owned()],
        create_only: vec!["/Name".to_owned()],
        defaults: [("/A~1b/*/c".to_owned(), json!({"d": [1.5, null]}))].into(),
        unordered: vec!["/Rules".to_owned()],
        partial: vec!["/Attributes".to_owned()],
        free_form: vec!["/Labels".to_owned()],
        keys: [("/ports".to_owned(), vec!["port".to_owned(), "protocol".to_owned()])].into(),
        sets: vec!["/finalizers".to_owned()],
        atomic: vec!["/selector".to_owned()],
        quantities: vec!["/limits/*".to_owned()],
        durations: vec!["/timeout".to_owned()],
        encoded: vec!["/caBundle".to_owned()],
        unstated: vec!["/values".to_owned()],
        compiled: Compiled::default(),
    };
    let row = |realm: &str, kind: &str, read_at| SchemaRow {
        realm: realm.into(),
        kind: kind.into(),
        schema: Arc::new(schema.clone()),
        version: 1,
        read_at,
    };
    let old = [row("aws", "AWS::S3::Bucket", at(0)), row("aws", "AWS::KMS::Key", at(0)), row("shop", "Pod", at(0))];
    store.save_schemas(epoch, &old).await.unwrap();
    let newer = SchemaRow { schema: Arc::default(), version: 2, ..row("aws", "AWS::S3::Bucket", at(9)) };
    store.save_schemas(epoch, std::slice::from_ref(&newer)).await.unwrap();
    drop(store);
    let store = place.open().await;
    assert_eq!(store.schemas("aws").await.unwrap(), [old[1].clone(), newer]);
    assert_eq!(store.schemas("shop").await.unwrap(), old[2..]);
    assert_eq!(store.schemas("nowhere").await.unwrap(), []);
}
