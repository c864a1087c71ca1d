//! Who did it: the cloud's log, joined to findings; late, closed, or without anybody.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::aws::{Checks, Key, Ministack, REGION};
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::process::eventually;
use crate::harness::scripted;

const KIND: &str = "AWS::S3::Bucket";

fn bucket(name: &str, versioning: &str) -> Value {
    json!({"BucketName": name, "VersioningConfiguration": {"Status": versioning}})
}

/// Git, which declares buckets with this versioning, and a daemon that was not started yet.
fn world(url: &str, key: &Key, (names, versioning): (&[&str], &str)) -> Option<(GitServer, Daemon)> {
    let git = GitServer::start("ci", "secret")?;
    let declared = names.iter().map(|name| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": KIND, "metadata": {"name": name, "region": REGION},
            "spec": bucket(name, versioning)})
    });
    git.commit("ann", "declare the buckets", &[("buckets.yaml", &estate::documents(declared))]);
    let config = format!(
        "clouds:\n  - {{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{REGION}], endpoint: \"{url}\", requests_per_second: 1000, every: 1s, \
         kinds: {{include: [\"{KIND}\"]}}}}\ndesired:\n  - name: infra\n    git: {{url: \"{}\", ref: main, \
         username: ci, password: \"${{env:GIT_PASSWORD}}\"}}\n    clouds: [c]\n    unmanaged: ignore\n\
         hold: {{scans: 1, for: 0s, rollout: 0s}}\n",
        git.url()
    );
    let environment =
        [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret), ("GIT_PASSWORD", "secret")];
    Some((git, Daemon::prepare(&config, &environment)))
}

/// Waits for a complete scan of the region.
fn looked(daemon: &Daemon) {
    let read = format!("driftwarden_scope_complete{{cloud=\"c\",scope=\"aws://111111111111/{REGION}\"}} 1");
    eventually("a look at the region", 60, || daemon.metrics().contains(&read).then_some(()));
}

/// Returns the open finding of a bucket.
fn open(daemon: &Daemon, name: &str) -> Option<Value> {
    let answer = daemon.api("/api/v1/findings?phase=open&limit=100").json();
    answer["findings"].as_array()?.iter().find(|finding| finding["resource"]["name"] == name).cloned()
}

/// Waits until the finding of a bucket has an actor of that name.
fn named(daemon: &Daemon, bucket: &str, who: &str) -> Value {
    let what = format!("{bucket} was changed by {who}");
    eventually(&what, 60, || open(daemon, bucket).filter(|finding| finding["actor"]["name"] == who))
}

/// Returns how many delays were counted.
fn delays(daemon: &Daemon) -> String {
    let metrics = daemon.metrics();
    let count =
        metrics.lines().find_map(|line| line.strip_prefix("driftwarden_detection_delay_seconds_count{cloud=\"c\"} "));
    count.unwrap_or("none").to_owned()
}

fn policy(denied: &str) -> Value {
    let statement = |effect: &str, action: &str| json!({"Effect": effect, "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement("Allow", "*"), statement("Deny", denied)]})
}

#[test]
fn a_change_is_told_with_whoever_made_it() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let [reader, eve, bob] = ["reader", "eve", "bob"].map(|name| aws.user(name, &policy("iam:PassRole")));
    let buckets = ["logs", "media", "trash"];
    aws.create(&buckets.map(|name| (KIND, bucket(name, "Enabled"))));
    let Some((_git, mut daemon)) = world(&aws.url(), &reader, (&buckets, "Enabled")) else { return };
    daemon.restart();
    looked(&daemon);
    assert_eq!(delays(&daemon), "none");
    let patch = json!([{"op": "replace", "path": "/VersioningConfiguration", "value": {"Status": "Suspended"}}]);
    let suspend = |key: &Key, name: &str| {
        let arguments = json!({"TypeName": KIND, "Identifier": name, "PatchDocument": patch.to_string()});
        aws.calls_as(key, &[("cloudcontrol", "update_resource", arguments)]).remove(0).unwrap();
    };
    suspend(&eve, "logs");
    // The emulator calls users by their keys.
    let finding = named(&daemon, "logs", &eve.id);
    let actor = &finding["actor"];
    assert_eq!((&actor["source"], &actor["confidence"]), (&json!("cloudtrail"), &json!("high")), "{finding:#}");
    assert!(actor["event"].as_str().unwrap().starts_with("UpdateResource ("), "{finding:#}");
    assert!(!actor["at"].is_null() && finding["cause"] == "out_of_band", "{finding:#}");
    assert_eq!(delays(&daemon), "1");
    aws.calls_as(&bob, &[("cloudcontrol", "delete_resource", json!({"TypeName": KIND, "Identifier": "trash"}))]);
    let finding = named(&daemon, "trash", &bob.id);
    assert_eq!(
        (&finding["drift"], &finding["actor"]["confidence"]),
        (&json!("missing"), &json!("high")),
        "{finding:#}"
    );
    assert_eq!(delays(&daemon), "2");
    let print = finding["fingerprint"].as_str().unwrap();
    let (_, shown, error) = daemon.cli(&["findings", "show", print, "--url", &daemon.url()]);
    assert!(shown.contains("actor:") && shown.contains(&bob.id), "{shown}{error}");
    let (_, document) = daemon.scan_json();
    let findings = document["findings"].as_array().unwrap().iter();
    let actors: Vec<_> = findings.map(|finding| finding["actor"]["name"].as_str().unwrap_or_default()).collect();
    assert!(actors.contains(&&*eve.id) && actors.contains(&&*bob.id), "{document:#}");

    let denied = json!({"UserName": "reader", "PolicyName": "p", "PolicyDocument": policy("cloudtrail:LookupEvents").to_string()});
    aws.call("iam", "put_user_policy", denied);
    suspend(&eve, "media");
    let finding = named(&daemon, "media", "unknown");
    assert_eq!((&finding["actor"]["kind"], &finding["actor"]["at"]), (&json!("unknown"), &json!(null)), "{finding:#}");
    assert!(daemon.log().contains("failed to ask CloudTrail who made changes"), "{}", daemon.log());
    assert_eq!(delays(&daemon), "2");
}

/// The record of somebody writing the versioning of a bucket.
fn event(who: &str, bucket: &str, at: Timestamp) -> Value {
    let record = json!({"eventVersion": "1.11", "eventID": "e-1", "eventTime": format!("{at:.0}"),
        "eventName": "PutBucketVersioning", "eventSource": "s3.amazonaws.com", "readOnly": false,
        "userAgent": "[S3Console/0.4, aws-internal/3 console.amazonaws.com]",
        "userIdentity": {"type": "AssumedRole", "accountId": "111111111111",
            "arn": format!("arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/{who}")},
        "requestParameters": {"bucketName": bucket, "VersioningConfiguration": {"Status": "Enabled"}}});
    json!({"EventId": "e-1", "EventName": "PutBucketVersioning", "CloudTrailEvent": record.to_string(),
        "Resources": [{"ResourceType": KIND, "ResourceName": bucket}]})
}

#[test]
fn an_event_that_is_late_names_somebody_at_a_later_scan() {
    let log: Arc<Mutex<Vec<Value>>> = Arc::default();
    let aws = scripted::aws_recording(&log);
    let names = scripted::bucket_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let key = Key { id: "AKIA".into(), secret: "test".into() };
    let Some((_git, mut daemon)) = world(&aws.url(), &key, (&names, "Suspended")) else { return };
    daemon.restart();
    let finding = named(&daemon, "bucket-3", "unknown");
    let seen_at: Timestamp = finding["first_seen"].as_str().unwrap().parse().unwrap();
    assert_eq!(delays(&daemon), "none");
    log.lock().unwrap().push(event("ann@example.com", "bucket-3", seen_at - SignedDuration::from_mins(5)));
    let finding = named(&daemon, "bucket-3", "ann@example.com (SSO Admin)");
    assert_eq!((&finding["actor"]["kind"], &finding["actor"]["confidence"]), (&json!("person"), &json!("high")));
    assert_eq!(open(&daemon, "bucket-4").unwrap()["actor"]["name"], "unknown", "nobody else is blamed");
    assert_eq!(delays(&daemon), "1");
    let metrics = daemon.metrics();
    let sum =
        metrics.lines().find_map(|line| line.strip_prefix("driftwarden_detection_delay_seconds_sum{cloud=\"c\"} "));
    let sum: f64 = sum.unwrap().parse().unwrap();
    assert!((240.0..420.0).contains(&sum), "from the change to the opening, not to the day when it was known: {sum}");
    let lookups = aws
        .requests()
        .iter()
        .filter(|asked| asked.header("x-amz-target").is_some_and(|it| it.ends_with("LookupEvents")))
        .count();
    let scans = daemon.api("/api/v1/scans?limit=100").json()["scans"].as_array().unwrap().len();
    assert!(lookups <= scans + 1, "one look-up in a scan for six findings: {lookups} in {scans}");
}
