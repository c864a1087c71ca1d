//! Keys that are declared by an alias, against an AWS that checks who may ask for what: in sync, drift, or unknown.

use serde_json::{Value, json};

use crate::harness::aws::{Checks, Key, Ministack, REGION};
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::process::eventually;

const READER: &str = "reader";

fn policy(denied: &[&str]) -> Value {
    let statement = |effect: &str, action: Value| json!({"Effect": effect, "Action": action, "Resource": "*"});
    let all = statement("Allow", json!("*"));
    let denied = (!denied.is_empty()).then(|| statement("Deny", json!(denied)));
    let statements: Vec<Value> = [all].into_iter().chain(denied).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A bucket that is encrypted with a key.
fn bucket(key: &str) -> Value {
    let by_default = json!({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key});
    json!({"BucketName": "logs", "BucketEncryption":
        {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": by_default}]}})
}

/// An AWS with two keys, whose ARNs are returned, an alias for the first one and a bucket that is encrypted with it.
fn cloud() -> Option<(Ministack, [String; 2])> {
    let aws = Ministack::start(Checks::SignaturesAndPolicies)?;
    let key = || aws.call("kms", "create_key", json!({}))["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let keys = [key(), key()];
    aws.call("kms", "create_alias", json!({"AliasName": "alias/app", "TargetKeyId": keys[0]}));
    aws.create(&[("AWS::S3::Bucket", bucket(&keys[0]))]);
    Some((aws, keys))
}

/// Git, which declares that bucket by the alias, and a daemon that was not started yet.
fn daemon(aws: &Ministack, key: &Key) -> Option<(GitServer, Daemon)> {
    let git = GitServer::start("ci", "secret")?;
    let declared = json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket",
        "metadata": {"name": "logs", "region": REGION}, "spec": bucket("alias/app")});
    git.commit("ann", "declare the bucket", &[("bucket.yaml", &estate::documents([declared].into_iter()))]);
    let config = format!(
        "clouds:\n  - {{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{REGION}], endpoint: \"{}\", requests_per_second: 1000, every: 1s, \
         kinds: {{include: [\"AWS::S3::Bucket\"]}}}}\ndesired:\n  - name: infra\n    git: {{url: \"{}\", ref: main, \
         username: ci, password: \"${{env:GIT_PASSWORD}}\"}}\n    clouds: [c]\nhold: {{scans: 1, for: 0s, rollout: 0s}}\n",
        aws.url(),
        git.url()
    );
    let environment =
        [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret), ("GIT_PASSWORD", "secret")];
    let daemon = Daemon::prepare(&config, &environment);
    Some((git, daemon))
}

/// Returns the phases of all findings.
fn phases(daemon: &Daemon) -> Vec<String> {
    let findings = daemon.api("/api/v1/findings").json();
    let findings = findings["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["phase"].as_str().unwrap().to_owned()).collect()
}

/// Waits for three more scans of the region, so that at least one began after this was called.
fn scans(daemon: &Daemon) {
    let ids = || {
        let scans = daemon.api("/api/v1/scans?limit=1").json();
        scans["scans"][0]["id"].as_str().unwrap_or_default().to_owned()
    };
    for _ in 0..4 {
        let last = ids();
        eventually("another scan", 30, || (ids() != last).then_some(()));
    }
}

#[test]
fn an_alias_is_drift_only_when_it_stands_for_another_key_than_the_one_in_use() {
    let Some((aws, keys)) = cloud() else { return };
    let reader = aws.user(READER, &policy(&[]));
    let Some((_git, mut daemon)) = daemon(&aws, &reader) else { return };
    let may_ask = |denied: &[&str]| {
        let document = policy(denied).to_string();
        let arguments = json!({"UserName": READER, "PolicyName": "p", "PolicyDocument": document});
        aws.call("iam", "put_user_policy", arguments);
    };
    let points_to = |key: &str| {
        drop(aws.call("kms", "update_alias", json!({"AliasName": "alias/app", "TargetKeyId": key})));
    };
    let (code, document) = daemon.scan_json();
    assert_eq!((code, &document["findings"]), (0, &json!([])), "{document:#}");
    points_to(&keys[1]);
    let (code, document) = daemon.scan_json();
    let findings = document["findings"].as_array().unwrap();
    assert_eq!((code, findings.len()), (2, 1), "{document:#}");
    assert!(findings[0]["message"].as_str().unwrap().contains("KMSMasterKeyID"), "{document:#}");
    daemon.restart();
    eventually("the drift is open", 30, || (phases(&daemon) == ["open"]).then_some(()));

    may_ask(&["kms:ListAliases"]);
    points_to(&keys[0]);
    scans(&daemon);
    assert_eq!(phases(&daemon), ["open"], "what cannot be read ends no drift");
    let (code, document) = daemon.scan_json();
    assert_eq!((code, &document["findings"]), (0, &json!([])), "and begins none: {document:#}");
    let complaints = daemon.log().matches("failed to read aliases of keys").count();
    assert_eq!(complaints, 1, "{}", daemon.log());

    may_ask(&[]);
    eventually("the drift is over", 30, || (!phases(&daemon).contains(&"open".to_owned())).then_some(()));
}
