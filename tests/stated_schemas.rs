//! What a provider states of its kinds, used by the whole program: it spares false alarms, is asked for once, and what
//! cannot be had is said and stops nothing.

use serde_json::{Value, json};

use crate::harness::aws::REGION;
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::http::Server;
use crate::harness::process::eventually;
use crate::harness::scripted;

/// The daemon's environment.
const ENVIRONMENT: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "test"), ("GIT_PASSWORD", "secret")];

/// Git, which declares each bucket with an attribute that only AWS sets, and a daemon that was not started yet.
fn world(aws: &Server) -> Option<(GitServer, Daemon)> {
    let git = GitServer::start("ci", "secret")?;
    let bucket = |name: String| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket", "metadata": {"name": name, "region": REGION},
            "spec": {"VersioningConfiguration": {"Status": "Enabled"}, "WebsiteURL": "http://old.example/"}})
    };
    let documents = estate::documents(scripted::bucket_names().into_iter().map(bucket));
    git.commit("ann", "declare the buckets", &[("buckets.yaml", &documents)]);
    let config = format!(
        "clouds:\n  - {{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{REGION}], endpoint: \"{}\", requests_per_second: 1000, every: 1s, \
         kinds: {{include: [\"AWS::S3::Bucket\"]}}}}\ndesired:\n  - name: infra\n    git: {{url: \"{}\", ref: main, \
         username: ci, password: \"${{env:GIT_PASSWORD}}\"}}\n    clouds: [c]\nhold: {{scans: 1, for: 0s, rollout: 0s}}\n",
        aws.url(),
        git.url()
    );
    let daemon = Daemon::prepare(&config, &ENVIRONMENT);
    Some((git, daemon))
}

/// Says that the address of a bucket's website is AWS's to set.
fn stated(kind: &str) -> Value {
    json!({"typeName": kind, "properties": {"WebsiteURL": {"type": "string"}},
        "readOnlyProperties": ["/properties/WebsiteURL"]})
}

/// How often schemas were asked for, over all.
fn asked(aws: &Server) -> usize {
    aws.requests().iter().filter(|request| request.text().contains("Action=DescribeType")).count()
}

/// Waits until the daemon has saved that many scans.
fn scans(daemon: &Daemon, count: usize) {
    eventually("so many scans", 30, || {
        let scans = daemon.api("/api/v1/scans?limit=100").json();
        scans["scans"].as_array().filter(|scans| scans.len() >= count).map(drop)
    });
}

#[test]
fn a_schema_spares_false_alarms_and_a_restart_asks_for_none() {
    let aws = scripted::aws_stating(|kind| Some(stated(kind)));
    let Some((_git, mut daemon)) = world(&aws) else { return };
    daemon.restart();
    scans(&daemon, 3);
    assert_eq!(asked(&aws), 1);
    let aliases = Some("TrentService.ListAliases");
    assert!(
        aws.requests().iter().all(|asked| asked.header("x-amz-target") != aliases),
        "no declaration names an alias"
    );
    let findings = daemon.api("/api/v1/findings").json();
    assert!(!findings.to_string().contains("fingerprint"), "{findings:#}");
    assert!(daemon.metrics().contains(r#"driftwarden_schema_reads_total{cloud="c",result="read"} 1"#));
    daemon.stop();
    daemon.restart();
    scans(&daemon, 6);
    assert_eq!(asked(&aws), 1, "what was read before the restart is still good");
}

#[test]
fn without_its_schema_a_kind_is_compared_all_the_same_and_it_is_said() {
    let aws = scripted::aws_stating(|_| None);
    let Some((_git, mut daemon)) = world(&aws) else { return };
    let (code, document) = daemon.scan_json();
    let findings = document["findings"].as_array().unwrap();
    assert_eq!((code, findings.len()), (2, scripted::bucket_names().len()), "{document:#}");
    let message = findings[0]["message"].as_str().unwrap();
    assert!(message.contains("without the provider's own schema"), "{message}");
    let scopes = document["scopes"].as_array().unwrap();
    let scope = scopes.iter().find(|scope| scope["managed"] != 0).unwrap();
    assert_eq!((&scope["without_schema"], &scope["complete"]), (&json!(["AWS::S3::Bucket"]), &json!(true)));
    let (code, said, _) = daemon.cli(&["check", "--config", &daemon.config().display().to_string()]);
    assert!(said.contains("schemas of cloud c: 0 read; compared without one: AWS::S3::Bucket"), "{said}");
    assert_eq!(code, 0, "{said}");
    daemon.restart();
    scans(&daemon, 4);
    let scopes = daemon.api("/api/v1/scopes").json();
    let last = scopes["scopes"].as_array().unwrap().iter().map(|scope| &scope["last_scan"]["without_schema"]);
    assert!(last.clone().any(|kinds| *kinds == json!(["AWS::S3::Bucket"])), "{scopes:#}");
    let complaints = daemon.log().matches("failed to read schemas").count();
    assert!((1..=2).contains(&complaints), "once for each of two scopes at most: {complaints}");
}
