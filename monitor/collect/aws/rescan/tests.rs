//! A second look at buckets, after a log that tells something, tells nothing, or is not to be trusted.

use std::sync::atomic::{AtomicUsize, Ordering};

use driftwarden_core::resource::GapReason;
use jiff::ToSpan;
use serde_json::{Value, json};

use super::*;
use crate::collect::aws::tests::{
    Asked, KIND, Reply, Seen, Server, aws, collect_scope, honest, refuse, say, scope, xml,
};
use crate::collect::wire::with;

const BUCKET: &str = "AWS::S3::Bucket";
const FIRST: &str = "2026-01-02T03:00:00Z";
const SECOND: &str = "2026-01-02T03:30:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// What matters of the buckets in a look of that time, if all is remembered from a look of another.
fn wanted(began: &str, remembered: Option<&str>) -> Wanted {
    let kind = Kind::from(BUCKET);
    Wanted {
        full: [kind.clone()].into(),
        attributes: [(kind.clone(), ["VersioningConfiguration".into()].into())].into(),
        began: at(began),
        remembered: remembered.map(|look| (kind, at(look))).into_iter().collect(),
        ..Wanted::default()
    }
}

/// An event of somebody's writing, at that time.
fn event(name: &str, time: &str, parameters: &Value) -> Value {
    let only_reads = name.starts_with("List");
    let record = json!({
        "eventID": format!("{name} {time}"), "eventTime": time, "eventName": name, "eventSource": "s3.amazonaws.com",
        "requestParameters": parameters, "readOnly": only_reads,
    });
    json!({"CloudTrailEvent": record.to_string(), "Username": "ann", "Resources": []})
}

fn log(events: &[Value]) -> Reply {
    say(200, json!({"Events": events}).to_string())
}

/// An event that is no writing: what we ourselves leave in the log.
fn life() -> Value {
    event("ListBuckets", FIRST, &Value::Null)
}

/// Returns whether events with some attribute are asked for, which is those that wrote.
fn is_of_writes(asked: &Asked) -> bool {
    asked.input.get("LookupAttributes").is_some()
}

/// Buckets `a` and `b`, and after the first look `c`, too, if there is one.
fn buckets(asked: &Asked, names: &[&str]) -> Reply {
    let listed = |name: &&str| format!("<Bucket><Name>{name}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>");
    match &*asked.path {
        "/" => {
            let listed: String = names.iter().map(listed).collect();
            xml(&format!("<ListAllMyBucketsResult><Buckets>{listed}</Buckets></ListAllMyBucketsResult>"))
        }
        _ if asked.input.get("versioning").is_some() => {
            xml("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        }
        _ => refuse(404, "NoSuchTagSet"),
    }
}

/// Looks twice; returns what was seen the second time, and what was asked then, without the log.
async fn twice(
    settings: &Value,
    (then, second): (&[&'static str], &Wanted),
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Seen, Vec<String>) {
    let looks = std::sync::Arc::new(AtomicUsize::new(0));
    let (seen, then) = (std::sync::Arc::clone(&looks), then.to_vec());
    let server = Server::start(move |asked, _| match &*asked.operation {
        "LookupEvents" => answer(asked),
        _ if seen.load(Ordering::Relaxed) == 0 => buckets(asked, &["a", "b"]),
        _ => buckets(asked, &then),
    })
    .await;
    let mut all = json!({"kinds": {"include": [BUCKET]}, "direct": {}, "rescan": "lists"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let aws = aws(server.address, &all);
    let first = collect_scope(&aws, &scope(), &wanted(FIRST, None)).await;
    assert_eq!((first.partial.len(), first.kept.len(), &*first.complete), (2, 0, &[BUCKET.to_owned()][..]));
    assert!(server.asked.lock().iter().all(|asked| asked.operation != "LookupEvents"), "there is nothing to ask about");
    server.asked.lock().clear();
    looks.store(1, Ordering::Relaxed);
    let seen = collect_scope(&aws, &scope(), second).await;
    let asked =
        server.asked.lock().iter().filter(|asked| asked.operation == "GET").map(|asked| asked.path.clone()).collect();
    (seen, asked)
}

/// Checks what is kept, and which paths are read, of the second look.
async fn check(rescan: &str, then: &[&'static str], events: Vec<Value>, (kept, read): (&[&str], &[&str])) {
    let answer = move |asked: &Asked| if is_of_writes(asked) { log(&events) } else { log(&[life()]) };
    let second = wanted(SECOND, Some(FIRST));
    let (mut seen, mut paths) = twice(&json!({"rescan": rescan}), (then, &second), answer).await;
    seen.kept.sort();
    paths.sort();
    paths.dedup();
    assert_eq!(
        (seen.kept, seen.complete, seen.gaps),
        (kept.iter().map(ToString::to_string).collect(), vec![BUCKET.to_owned()], vec![])
    );
    assert_eq!(paths, read, "{rescan}");
}

#[tokio::test]
async fn what_nobody_wrote_is_kept() {
    check("lists", &["a", "b"], vec![], (&["a", "b"], &["/"])).await;
    check("events", &["a", "b"], vec![], (&[BUCKET], &[])).await;
    check("all", &["a", "b"], vec![], (&[], &["/", "/a", "/b"])).await;
}

#[tokio::test]
async fn what_was_written_is_read() {
    let wrote = |name: &str| vec![event("PutBucketVersioning", "2026-01-02T03:29:00Z", &json!({"bucketName": name}))];
    for rescan in ["lists", "events"] {
        check(rescan, &["a", "b"], wrote("a"), (&["b"], &["/", "/a"])).await;
        check(rescan, &["a", "b"], wrote("other"), (&[], &["/", "/a", "/b"])).await;
        let made = vec![event("CreateBucket", "2026-01-02T03:29:00Z", &json!({"bucketName": "c"}))];
        check(rescan, &["a", "b", "c"], made, (&["a", "b"], &["/", "/c"])).await;
        let gone = vec![event("DeleteBucket", "2026-01-02T03:29:00Z", &json!({"bucketName": "b"}))];
        check(rescan, &["a"], gone, (&["a"], &["/"])).await;
    }
    check("lists", &["a", "b", "c"], vec![], (&["a", "b"], &["/", "/c"])).await;
}

/// Checks that the second look reads everything.
async fn check_all_read(settings: Value, second: Wanted, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
    let (seen, paths) = twice(&settings, (&["a", "b"], &second), answer).await;
    assert_eq!((seen.partial.len(), seen.kept), (2, vec![]));
    assert_eq!(paths.len(), 1 + 2 * 2);
}

#[tokio::test]
async fn a_log_that_cannot_be_trusted_vouches_for_nothing() {
    let second = || wanted(SECOND, Some(FIRST));
    check_all_read(json!({}), second(), |_| refuse(400, "AccessDeniedException")).await;
    check_all_read(json!({}), second(), |_| log(&[])).await;
    check_all_read(json!({}), second(), |_| say(200, json!({"Events": [{"CloudTrailEvent": "{}"}]}).to_string())).await;
    check_all_read(json!({}), second(), |_| say(200, json!({"Events": [life()], "NextToken": "x"}).to_string())).await;
    let endless = AtomicUsize::new(0);
    let endless = move |_: &Asked| {
        let page = endless.fetch_add(1, Ordering::Relaxed);
        say(200, json!({"Events": [life()], "NextToken": page.to_string()}).to_string())
    };
    check_all_read(json!({}), second(), endless).await;
    check_all_read(json!({}), second(), |_| log(&vec![life(); 50])).await;
}

#[tokio::test]
async fn what_is_not_remembered_or_matters_otherwise_is_read() {
    let alive = |_: &Asked| log(&[life()]);
    check_all_read(json!({}), wanted(SECOND, None), alive).await;
    check_all_read(json!({}), wanted(SECOND, Some("2026-01-02T02:00:00Z")), alive).await;
    let mut other = wanted(SECOND, Some(FIRST));
    other.attributes.get_mut(&Kind::from(BUCKET)).unwrap().insert("Else".into());
    check_all_read(json!({}), other, alive).await;
}

#[tokio::test]
async fn everything_is_read_now_and_then() {
    let alive = |_: &Asked| log(&[life()]);
    check_all_read(json!({"rescan_all_every": "30m"}), wanted(SECOND, Some(FIRST)), alive).await;
    let (seen, _) =
        twice(&json!({"rescan_all_every": "31m"}), (&["a", "b"], &wanted(SECOND, Some(FIRST))), alive).await;
    assert_eq!(seen.kept.len(), 2);
}

#[tokio::test]
async fn the_log_is_asked_from_before_the_last_look_for_it_may_be_late() {
    let times = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&times);
    let answer = move |asked: &Asked| {
        seen.lock().push((asked.input["StartTime"].as_i64().unwrap(), asked.input["EndTime"].as_i64().unwrap()));
        log(&[life()])
    };
    let second = wanted(SECOND, Some(FIRST));
    twice(&json!({}), (&["a", "b"], &second), answer).await;
    let (first, end) = (at(FIRST), at(SECOND).as_second() + 1);
    // Signs of life from before the last look say nothing of what came after it.
    assert_eq!(*times.lock(), [(first.as_second(), end), ((first - 15.minutes()).as_second(), end)]);
}

#[tokio::test]
async fn a_log_that_shows_writes_and_no_life_since_the_last_look_vouches_for_nothing() {
    let wrote = || event("CreateBucket", FIRST, &json!({"bucketName": "old"}));
    let answer = move |asked: &Asked| if is_of_writes(asked) { log(&[wrote()]) } else { log(&[]) };
    check_all_read(json!({}), wanted(SECOND, Some(FIRST)), answer).await;
}

/// One resource of whatever kind is asked for.
fn one_of_each(asked: &Asked) -> Reply {
    let thing = json!({"Identifier": "x", "Properties": "{}"});
    let kind = &asked.input["TypeName"];
    match &*asked.operation {
        "LookupEvents" => log(&[life()]),
        "ListResources" => say(200, json!({"TypeName": kind, "ResourceDescriptions": [thing]}).to_string()),
        "GetResource" => say(200, json!({"TypeName": kind, "ResourceDescription": thing}).to_string()),
        _ => honest(asked),
    }
}

/// Checks whether the second look reads a kind in a region although the log tells of nothing.
async fn check_told(kind: &str, region: &str, home: &str, is_kept: bool) {
    for rescan in ["lists", "events"] {
        let server = Server::start(|asked, _| one_of_each(asked)).await;
        let settings = json!({"kinds": {"include": [kind]}, "regions": [home], "rescan": rescan});
        let aws = aws(server.address, &settings);
        let scope = Scope { region: region.into(), ..scope() };
        let look = |began: &str, remembered: Option<&str>| Wanted {
            full: [kind.into()].into(),
            began: at(began),
            remembered: remembered.map(|look| (kind.into(), at(look))).into_iter().collect(),
            ..Wanted::default()
        };
        collect_scope(&aws, &scope, &look(FIRST, None)).await;
        let seen = collect_scope(&aws, &scope, &look(SECOND, Some(FIRST))).await;
        assert_eq!(
            (seen.kept.len(), seen.full.len()),
            if is_kept { (1, 0) } else { (0, 1) },
            "{kind} {region} {rescan}"
        );
        assert_eq!(seen.complete, [kind], "{region} {rescan}");
    }
}

#[tokio::test]
async fn only_kinds_of_which_the_log_tells_all_are_kept() {
    check_told("AWS::SQS::Queue", "eu-west-1", "eu-west-1", true).await;
    check_told("AWS::IAM::Role", "-", "eu-west-1", true).await;
    check_told("AWS::IAM::Role", "-", "cn-north-1", false).await;
    for kind in ["AWS::SNS::Topic", "AWS::EC2::Instance", "AWS::Batch::JobQueue"] {
        check_told(kind, "eu-west-1", "eu-west-1", false).await;
    }
    for kind in ["AWS::GlobalAccelerator::Accelerator", "AWS::Route53::HostedZone"] {
        check_told(kind, "-", "eu-west-1", false).await;
    }
}

#[tokio::test]
async fn what_left_a_gap_is_read_again() {
    let looks = AtomicUsize::new(0);
    let server = Server::start(move |asked, _| match &*asked.operation {
        "LookupEvents" => log(&[life()]),
        _ if asked.path == "/a" && looks.fetch_add(1, Ordering::Relaxed) == 0 => refuse(403, "AccessDenied"),
        _ => buckets(asked, &["a", "b"]),
    })
    .await;
    let aws = aws(server.address, &json!({"kinds": {"include": [BUCKET]}, "direct": {}, "rescan": "lists"}));
    let first = collect_scope(&aws, &scope(), &wanted(FIRST, None)).await;
    assert_eq!(first.gaps, [(Some(BUCKET.to_owned()), GapReason::Denied)]);
    let second = collect_scope(&aws, &scope(), &wanted(SECOND, Some(FIRST))).await;
    assert_eq!((second.partial.len(), second.kept.len(), second.gaps), (2, 0, vec![]));
}

/// Checks how many queues are kept in a second look by Cloud Control, where the clock of the cloud is at that hour.
async fn check_queues(hour: u8, kept: usize) {
    let theirs = format!("20260102T{hour:02}04");
    let server = Server::start(move |asked, _| match &*asked.operation {
        _ if !asked.date.starts_with(&theirs) => {
            let date = format!("Fri, 02 Jan 2026 {hour:02}:04:05 GMT");
            with(refuse(403, "InvalidSignatureException"), "date", &date)
        }
        "LookupEvents" => log(&[life()]),
        _ => honest(asked),
    })
    .await;
    let aws = aws(server.address, &json!({"rescan": "lists"}));
    let look = |began: &str, remembered: Option<&str>| Wanted {
        full: [KIND.into()].into(),
        began: at(began),
        remembered: remembered.map(|look| (KIND.into(), at(look))).into_iter().collect(),
        ..Wanted::default()
    };
    let first = collect_scope(&aws, &scope(), &look(FIRST, None)).await;
    assert_eq!((first.full.len(), first.kept.len()), (6, 0));
    let second = collect_scope(&aws, &scope(), &look(SECOND, Some(FIRST))).await;
    assert_eq!((second.full.len(), second.kept.len(), second.complete.len()), (6 - kept, kept, 1));
}

#[tokio::test]
async fn cloud_control_is_asked_for_nothing_that_is_listed_as_before_and_was_not_written() {
    check_queues(3, 6).await;
}

#[tokio::test]
async fn by_a_wrong_clock_nothing_is_kept() {
    check_queues(5, 0).await;
}

/// Keys as KMS shows them.
fn keys(asked: &Asked, key: &Value) -> Reply {
    match &*asked.operation {
        "LookupEvents" => log(&[life()]),
        "ListKeys" => say(200, json!({"Keys": [{"KeyId": "k"}]}).to_string()),
        "DescribeKey" => say(200, json!({"KeyMetadata": key}).to_string()),
        "ListResourceTags" => say(200, json!({"Tags": []}).to_string()),
        _ => one_of_each(asked),
    }
}

/// Checks whether the second look asks for a key of which the list shows that.
async fn check_key(shown: Value, is_kept: bool) {
    let mut key = json!({"KeyId": "k", "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "MultiRegion": false});
    key.as_object_mut().unwrap().extend(shown.as_object().unwrap().clone());
    for (rescan, settings) in [("lists", json!({})), ("events", json!({})), ("events", json!({"exclude": ["*"]}))] {
        let key = key.clone();
        let server = Server::start(move |asked, _| keys(asked, &key)).await;
        let kind = Kind::from("AWS::KMS::Key");
        let all = json!({"kinds": {"include": [kind.as_str()]}, "direct": settings, "rescan": rescan});
        let aws = aws(server.address, &all);
        let look = |began: &str, remembered: Option<&str>| Wanted {
            full: [kind.clone()].into(),
            attributes: [(kind.clone(), ["Enabled".into()].into())].into(),
            began: at(began),
            remembered: remembered.map(|look| (kind.clone(), at(look))).into_iter().collect(),
            ..Wanted::default()
        };
        let first = collect_scope(&aws, &scope(), &look(FIRST, None)).await;
        assert_eq!(first.gaps, [], "{shown} {rescan} {settings}");
        let seen = collect_scope(&aws, &scope(), &look(SECOND, Some(FIRST))).await;
        let expected = if rescan == "lists" { "k" } else { kind.as_str() };
        let is_kept = is_kept && settings == json!({});
        assert_eq!(seen.kept, vec![expected; usize::from(is_kept)], "{shown} {rescan} {settings}");
    }
}

#[tokio::test]
async fn what_changes_by_itself_is_always_looked_at() {
    check_key(json!({}), true).await;
    check_key(json!({"Origin": "EXTERNAL"}), true).await;
    check_key(json!({"Origin": "AWS_CLOUDHSM"}), false).await;
    check_key(json!({"MultiRegion": true}), false).await;
    check_key(json!({"MultiRegion": null}), false).await;
}

#[test]
fn what_makes_a_thing_restless() {
    let check = |kind: &str, thing: Value, expected: bool| {
        let (_, is_restless) = RESTLESS.iter().find(|(of, _)| *of == kind).unwrap();
        assert_eq!(is_restless(&thing), expected, "{kind} {thing}");
    };
    check("AWS::EC2::NatGateway", json!({"state": "available"}), false);
    check("AWS::EC2::NatGateway", json!({"state": "failed"}), true);
    check("AWS::EC2::NatGateway", json!({"state": "available", "availabilityMode": "regional"}), true);
    for kind in ["AWS::RDS::DBClusterSnapshot", "AWS::RDS::DBSnapshot"] {
        check(kind, json!({"Status": "available"}), false);
        check(kind, json!({"Status": "creating"}), true);
        check(kind, json!({}), true);
    }
    check("AWS::Route53::RecordSet", json!({"^": {"Id": "Z"}}), false);
    check("AWS::Route53::RecordSet", json!({"^": {"LinkedService": {"ServicePrincipal": "servicediscovery"}}}), true);
    assert!(RESTLESS.iter().all(|(kind, _)| TOLD.contains(kind)));
}

#[test]
fn whoever_orders_nothing_has_every_list_read() {
    assert_eq!(Rescan::default(), Rescan::Lists);
}
