//! The whole way, on systems that other people wrote: Git says, two clouds hold, the daemon tells the difference.
//!
//! What is planted is written down beside what must be found, and nothing else may be found.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::Checks;
use crate::harness::aws::Key;
use crate::harness::aws::Ministack;
use crate::harness::aws::REGION;
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::estate::Declared;
use crate::harness::estate::NAMESPACE;
use crate::harness::git::GitServer;
use crate::harness::process;
use crate::harness::world::World;
use crate::harness::world::environment;

/// Says each finding in a line: type, what it is, kind, name, paths, cause.
fn lines(document: &Value) -> BTreeSet<String> {
    let findings = document["findings"].as_array().unwrap();
    let said: BTreeSet<_> = findings.iter().map(line).collect();
    assert_eq!(said.len(), findings.len(), "a finding is told twice: {findings:#?}");
    said
}

fn line(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let paths = finding["changes"].as_array().into_iter().flatten().map(|change| text(&change["path"]));
    let paths: BTreeSet<_> = paths.collect();
    let what = if finding["type"] == "violation" { text(&finding["rule"]) } else { text(&finding["drift"]) };
    let (kind, name) = (text(&finding["resource"]["kind"]), text(&finding["resource"]["name"]));
    let paths: Vec<_> = paths.into_iter().collect();
    format!("{what} {kind} {name} {} {}", paths.join(","), text(&finding["cause"])).replace("  ", " ").trim().to_owned()
}

/// Returns the gaps of a cloud as `kind reason`.
fn gaps(document: &Value, cloud: &str) -> BTreeSet<String> {
    let scopes = document["scopes"].as_array().unwrap().iter().filter(|scope| scope["cloud"] == cloud);
    let gaps = scopes.flat_map(|scope| scope["gaps"].as_array().unwrap().clone());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    gaps.map(|gap| format!("{} {}", text(&gap["kind"]), text(&gap["reason"]))).collect()
}

#[test]
fn an_estate_in_sync_has_no_findings() {
    let Some(world) = World::in_sync() else { return };
    world.hide_secrets();
    let key = Key::of_the_account();
    let (code, document) = Daemon::prepare(&world.config(""), &environment(&key)).scan_json();
    assert_eq!(lines(&document), BTreeSet::new());
    assert!(code == 0 || code == 3, "exit code {code}");
    // The emulator states no schemas: what is in sync is found to be so without.
    let scopes = document["scopes"].as_array().unwrap().iter().filter(|scope| scope["cloud"] == "prod");
    assert!(scopes.into_iter().any(|scope| scope["without_schema"] != json!([])), "{document:#}");
}

#[test]
fn a_scan_finds_what_was_planted_and_nothing_else() {
    let Some(mut world) = World::in_sync() else { return };
    world.hide_secrets();
    let expected = plant(&mut world);
    let key = Key::of_the_account();
    let (code, document) = Daemon::prepare(&world.config(""), &environment(&key)).scan_json();
    assert_eq!(lines(&document), expected, "{document:#}");
    assert_eq!(code, 2);
    let aws = gaps(&document, "prod");
    assert!(aws.contains("AWS::SNS::Topic denied"), "{aws:?}");
    assert!(aws.contains("AWS::Logs::LogGroup throttled"), "{aws:?}");
    let requests = document["requests"].as_array().unwrap().iter();
    let slowed: Vec<_> = requests.map(|of| (of["cloud"].as_str().unwrap(), of["throttled"] != 0)).collect();
    assert_eq!(slowed, [("prod", true), ("shop", false)]);
    assert_eq!(gaps(&document, "shop"), ["Secret denied".to_owned()].into());
    assert_eq!(document["scan"]["complete"], false);
}

/// Plants one of each, and returns the findings that this must make.
fn plant(world: &mut World) -> BTreeSet<String> {
    plant_in_aws(world);
    plant_in_kubernetes(world);
    let queue = plant_unapplied_commits(world);
    let found = [
        "missing AWS::S3::Bucket app-07 out_of_band".to_owned(),
        "changed AWS::SSM::Parameter /app/03 /Value out_of_band".to_owned(),
        "unmanaged AWS::S3::Bucket rogue out_of_band".to_owned(),
        "changed AWS::S3::Bucket app-11 /Tags/0/Value out_of_band".to_owned(),
        "changed AWS::S3::Bucket stack-03 /VersioningConfiguration/Status out_of_band".to_owned(),
        format!("changed AWS::SQS::Queue {queue} /VisibilityTimeout unapplied_commit"),
        "missing ConfigMap shop/settings-02 out_of_band".to_owned(),
        "changed apps/Deployment shop/web-03 /spec/template/spec/containers/0/image out_of_band".to_owned(),
        "unmanaged ConfigMap shop/rogue out_of_band".to_owned(),
        "changed apps/Deployment shop/web-04 /metadata/labels/team out_of_band".to_owned(),
        "changed apps/Deployment shop/web-06 /spec/replicas unapplied_commit".to_owned(),
    ];
    found.into()
}

fn plant_in_aws(world: &World) {
    world.aws.delete("AWS::S3::Bucket", "app-07");
    world.patch_aws("AWS::SSM::Parameter", "/app/03", &json!([{"op": "replace", "path": "/Value", "value": "off"}]));
    world.aws.create(&[("AWS::S3::Bucket", json!({"BucketName": "rogue"}))]);
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let other = [tag("team", "web"), tag("env", "prod"), tag("tier", "1")];
    world.patch_aws("AWS::S3::Bucket", "app-11", &json!([{"op": "replace", "path": "/Tags", "value": other}]));
    let reversed = [tag("tier", "1"), tag("env", "prod"), tag("team", "data")];
    world.patch_aws("AWS::S3::Bucket", "app-12", &json!([{"op": "replace", "path": "/Tags", "value": reversed}]));
    let suspended = json!([{"op": "replace", "path": "/VersioningConfiguration", "value": {"Status": "Suspended"}}]);
    world.patch_aws("AWS::S3::Bucket", "stack-03", &suspended);
    // Drift that cannot be seen, because its kind cannot be read to the end.
    world.patch_aws(
        "AWS::Logs::LogGroup",
        "/logs/04",
        &json!([{"op": "replace", "path": "/RetentionInDays", "value": 1}]),
    );
    let kind = |kind: &str| format!("TypeName == '{kind}'");
    world.proxy.rules(&json!([
        {"service": "cloudcontrol", "body": kind("AWS::Logs::LogGroup"), "error": {"code": "ThrottlingException", "status": 400}},
        {"service": "cloudcontrol", "body": kind("AWS::SNS::Topic"), "error": {"code": "AccessDeniedException", "status": 400}},
    ]));
}

fn plant_in_kubernetes(world: &World) {
    world.kubectl(&["delete", "configmap", "settings-02"]);
    world.kubectl(&["set", "image", "deployment/web-03", "main=registry.example/web:2.0"]);
    world.kubectl(&["create", "configmap", "rogue", "--from-literal=a=b"]);
    world.kubectl(&["label", "--overwrite", "deployment/web-04", "team=web"]);
    let order = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/env", "value": [
        {"name": "C", "value": "3"}, {"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]);
    world.kubectl(&["patch", "deployment", "web-05", "--type=json", "-p", &order.to_string()]);
}

/// Changes Git and not the clouds; returns the identifier of the queue that this is about.
fn plant_unapplied_commits(world: &mut World) -> String {
    world.declared("AWS::SQS::Queue", "jobs-05").spec["VisibilityTimeout"] = json!(60);
    world.declared("Deployment", "web-06").spec["spec"]["replicas"] = json!(3);
    let identifier = world.identifier("AWS::SQS::Queue", "jobs-05");
    // Declared, absent, and in kinds that cannot be read: nothing proves that they are missing.
    let topic = json!({"TopicName": "unseen"});
    world.declared_aws.push(Declared { kind: "AWS::SNS::Topic", name: "unseen".into(), spec: topic });
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unseen", "namespace": NAMESPACE}});
    world.declared_kubernetes.push(Declared { kind: "Secret", name: "unseen".into(), spec: secret });
    world.commit("bob");
    identifier
}

/// The buckets of a small account whose reader can lose its key.
const BUCKETS: [&str; 3] = ["one", "two", "three"];

#[test]
fn revoked_credentials_open_and_resolve_nothing() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let bucket = |name: &str| json!({"BucketName": name, "VersioningConfiguration": {"Status": "Enabled"}});
    aws.create(&BUCKETS.map(|name| ("AWS::S3::Bucket", bucket(name))));
    let declared = BUCKETS.map(|name| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket", "metadata": {"name": name},
            "spec": bucket(name)})
    });
    git.commit("ann", "declare", &[("all.yaml", &estate::documents(declared.into_iter()))]);
    let suspend = |name: &str, status: &str| {
        let value = json!([{"op": "replace", "path": "/VersioningConfiguration", "value": {"Status": status}}]);
        aws.update("AWS::S3::Bucket", name, &value);
    };
    suspend("one", "Suspended");
    let reader = aws.user(
        "reader",
        &json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["cloudformation:List*", "cloudformation:Get*", "cloudformation:Describe*",
            "sts:GetCallerIdentity"], "Resource": "*"}]}),
    );
    let daemon = Daemon::start(&account_config(&aws.url(), &git.url()), &environment(&reader));
    let open = || open_findings(&daemon);
    let first = process::eventually("the drift is open", 60, || Some(open()).filter(|open| open.len() == 1));
    assert_eq!(daemon.scan_json().0, 2);

    aws.revoke("reader", &reader);
    // What nobody can see any more: the first drift is undone, another is made, a third bucket vanishes.
    suspend("one", "Enabled");
    suspend("two", "Suspended");
    aws.delete("AWS::S3::Bucket", "three");
    let blind = "driftwarden_gaps{cloud=\"prod\"";
    process::eventually("the daemon says that it is blind", 60, || daemon.metrics().contains(blind).then_some(()));
    wait_for_scans(&daemon, 3);
    assert_eq!(open(), first);
    let (code, document) = daemon.scan_json();
    assert_eq!((code, &document["findings"]), (3, &json!([])));
    let reasons: BTreeSet<_> =
        gaps(&document, "prod").iter().map(|gap| gap.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["denied".to_owned()].into());
}

fn account_config(aws: &str, git: &str) -> String {
    format!(
        r#"
clouds:
  - {{name: prod, type: aws, direct: {{exclude: ["*"]}}, regions: [{REGION}], endpoint: "{aws}", requests_per_second: 1000, every: 1s,
      kinds: {{include: ["AWS::S3::Bucket", "AWS::SQS::Queue"]}}}}
desired:
  - {{name: infra, git: {{url: "{git}", username: ci, password: "${{env:GIT_PASSWORD}}"}}, clouds: [prod]}}
hold: {{scans: 1, for: 0s}}
"#
    )
}

/// Returns the fingerprints of the open findings.
fn open_findings(daemon: &Daemon) -> BTreeSet<String> {
    let answer = daemon.api("/api/v1/findings?limit=1000").json();
    let list = answer.get("findings").or_else(|| answer.get("items")).cloned().unwrap_or(answer);
    let open = list.as_array().unwrap().iter().filter(|finding| finding["phase"] == "open");
    open.map(|finding| finding["fingerprint"].as_str().unwrap().to_owned()).collect()
}

/// Waits until that many more scans have ended.
fn wait_for_scans(daemon: &Daemon, more: u64) {
    let ended = || -> u64 {
        let text = daemon.metrics();
        let lines = text.lines().filter(|line| {
            line.starts_with("driftwarden_scan_duration_seconds_count") && line.contains("stage=\"scan\"")
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let before = ended();
    process::eventually("more scans", 60, || (ended() >= before + more).then_some(()));
}
