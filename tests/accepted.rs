//! What counts and what is accepted: strict lists, ignore rules, and the reasons of both, as a user meets them.
//!
//! The cloud is a file here, for what is promised holds of every cloud. Which lists are strict, and what each fold is
//! called, is tested beside the code.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::harness::daemon::Daemon;
use crate::harness::process;

const CONFIG: &str = r#"
clouds:
  - name: lab
    type: file
    every: 1s
    paths: ["{dir}/lab.json"]
    mapping: {items: /resources, kind: /kind, name: /name, attributes: /attributes}
desired:
  - {name: infra, git: {url: "file://{dir}/repo", ref: main, every: 1s}, clouds: [lab]STRICT}
rules: [{path: "{dir}/rules"}]
hold: {scans: 1, for: 0s}
"#;

const GROUP: &str = "AWS::EC2::SecurityGroup";

/// A security group that is declared with one rule, and a bucket.
const DECLARED: &str = r"apiVersion: driftwarden.dev/v1
kind: AWS::EC2::SecurityGroup
metadata: {name: sg-1, provider: file}
spec:
  GroupDescription: web
  SecurityGroupIngress: [{CidrIp: 10.0.0.0/8, IpProtocol: tcp, FromPort: 443, ToPort: 443}]
---
apiVersion: driftwarden.dev/v1
kind: AWS::S3::Bucket
metadata: {name: logs, provider: file}
spec: {Size: 1, Open: false}
";

/// A rule of the group that is declared beside it.
const SIBLING: &str = r"apiVersion: driftwarden.dev/v1
kind: AWS::EC2::SecurityGroupIngress
metadata: {name: sgr-1, provider: file}
spec: {GroupId: sg-1, CidrIp: 10.1.0.0/16, IpProtocol: tcp, FromPort: 22, ToPort: 22}
";

const RULE: &str = r#"id: lab_bucket_closed
title: Bucket is closed
kind: AWS::S3::Bucket
severity: high
expression: "has(resource.Open) && !resource.Open"
message: "it is open"
fix: Close it.
frameworks: {}
"#;

struct Lab {
    daemon: Daemon,
}

impl Lab {
    /// Prepares a configuration with `strict`, a repository with `files`, and a rule.
    fn new(strict: &str, files: &[(&str, &str)]) -> Self {
        let strict = if strict.is_empty() { String::new() } else { format!(", strict: {strict}") };
        let lab = Self { daemon: Daemon::prepare(&CONFIG.replace("STRICT", &strict), &[]) };
        std::fs::create_dir(lab.path("rules")).unwrap();
        std::fs::write(lab.path("rules/lab_bucket_closed.yaml"), RULE).unwrap();
        lab.git(&["init", "--quiet", "--initial-branch", "main", "repo"], ".");
        lab.commit(files);
        lab
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.daemon.dir().join(name)
    }

    fn git(&self, arguments: &[&str], folder: &str) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=ann", "-c", "user.email=ann@example.org"]).args(arguments);
        process::run(command.current_dir(self.path(folder)), None).unwrap();
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            std::fs::write(self.path("repo").join(name), text).unwrap();
        }
        self.git(&["add", "--all"], "repo");
        self.git(&["commit", "--quiet", "--message", "change"], "repo");
    }

    /// Makes these the resources of the cloud, in one step.
    fn reads(&self, ingress: &[Value], bucket: &Value) {
        let rule =
            json!({"GroupId": "sg-1", "CidrIp": "10.1.0.0/16", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22});
        let resources = json!({"resources": [
            {"kind": GROUP, "name": "sg-1", "attributes": {"GroupDescription": "web", "SecurityGroupIngress": ingress}},
            {"kind": "AWS::EC2::SecurityGroupIngress", "name": "sgr-1", "attributes": rule},
            {"kind": "AWS::S3::Bucket", "name": "logs", "attributes": bucket}]});
        std::fs::write(self.path("lab.json.new"), resources.to_string()).unwrap();
        std::fs::rename(self.path("lab.json.new"), self.path("lab.json")).unwrap();
    }
}

fn ingress(cidr: &str, port: u16) -> Value {
    json!({"CidrIp": cidr, "IpProtocol": "tcp", "FromPort": port, "ToPort": port})
}

fn same_bucket() -> Value {
    json!({"Size": 1, "Open": false})
}

/// Answers with `kind op path` of every change, and the rule of every violation.
fn found(scan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for finding in scan["findings"].as_array().unwrap() {
        let kind = finding["resource"]["kind"].as_str().unwrap().rsplit("::").next().unwrap();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if finding["type"] == "violation" {
            found.push(word(&finding["rule"]));
        }
        for change in finding["changes"].as_array().unwrap() {
            found.push(format!("{kind} {} {}", word(&change["op"]), word(&change["path"])));
        }
        if finding["type"] == "drift" && finding["drift"] != "changed" {
            found.push(format!("{kind} {}", word(&finding["drift"])));
        }
    }
    found.sort();
    found
}

#[test]
fn a_rule_that_nobody_wrote_is_drift_and_one_declared_beside_is_not() {
    let lab = Lab::new("", &[("infra.yaml", DECLARED), ("sibling.yaml", SIBLING)]);
    lab.reads(&[ingress("10.1.0.0/16", 22), ingress("10.0.0.0/8", 443)], &same_bucket());
    let (code, scan) = lab.daemon.scan_json();
    assert_eq!((code, found(&scan)), (0, vec![]), "{scan:#}");

    lab.reads(&[ingress("10.1.0.0/16", 22), ingress("0.0.0.0/0", 22), ingress("10.0.0.0/8", 443)], &same_bucket());
    let (code, scan) = lab.daemon.scan_json();
    assert_eq!((code, found(&scan)), (2, vec!["SecurityGroup added /SecurityGroupIngress/1".to_owned()]));
    let change = &scan["findings"][0]["changes"][0];
    assert_eq!(change["observed"]["CidrIp"], "0.0.0.0/0");
    assert!(change["reason"].as_str().unwrap().contains("a rule that nobody wrote lets traffic in"), "{change}");

    let unresolved = SIBLING.replace("GroupId: sg-1", "GroupId: {$unknown: true}");
    lab.commit(&[("sibling.yaml", &unresolved.replace("10.1.0.0/16", "0.0.0.0/0"))]);
    let (_, scan) = lab.daemon.scan_json();
    let ingress: Vec<_> = found(&scan).into_iter().filter(|it| it.contains("/SecurityGroupIngress/1")).collect();
    assert_eq!(ingress, Vec::<String>::new(), "a declaration that may be about it makes it unknown, not drift");
}

const SCALED: &str = r"apiVersion: driftwarden.dev/v1
kind: AWS::ECS::Service
metadata: {name: web, provider: file}
spec: {ServiceName: web, Cluster: prod, DesiredCount: 2}
---
apiVersion: driftwarden.dev/v1
kind: AWS::ApplicationAutoScaling::ScalableTarget
metadata: {name: web, provider: file}
spec: {ScalableDimension: 'ecs:service:DesiredCount', ResourceId: service/prod/web, MinCapacity: 1, MaxCapacity: 5}
";

#[test]
fn a_number_that_a_declared_scaler_moves_is_drift_outside_of_its_range_only() {
    let lab = Lab::new("", &[("infra.yaml", SCALED)]);
    let target = json!({"ScalableDimension": "ecs:service:DesiredCount", "ResourceId": "service/prod/web",
        "MinCapacity": 1, "MaxCapacity": 5});
    let reads = |count: i64| {
        let service = json!({"ServiceName": "web", "Cluster": "prod", "DesiredCount": count});
        let resources = json!({"resources": [
            {"kind": "AWS::ECS::Service", "name": "web", "attributes": service},
            {"kind": "AWS::ApplicationAutoScaling::ScalableTarget", "name": "web", "attributes": target}]});
        std::fs::write(lab.path("lab.json"), resources.to_string()).unwrap();
        lab.daemon.scan_json()
    };
    let (code, scan) = reads(4);
    assert_eq!((code, found(&scan)), (0, vec![]), "{scan:#}");
    assert_eq!(found(&reads(6).1), ["Service changed /DesiredCount"]);
    // The range is Git's: where it no longer holds the number, the number is drift again.
    lab.commit(&[("infra.yaml", &SCALED.replace("MaxCapacity: 5", "MaxCapacity: 3"))]);
    assert!(found(&reads(4).1).contains(&"Service changed /DesiredCount".to_owned()));
}

#[test]
fn a_source_may_order_more_and_less_than_usual() {
    let strict = "[{kind: \"AWS::EC2::*\", strict: false}, {kind: \"AWS::S3::*\", paths: [/Comment]}]";
    let lab = Lab::new(strict, &[("infra.yaml", DECLARED), ("sibling.yaml", SIBLING)]);
    lab.commit(&[(
        "infra.yaml",
        &DECLARED.replace(
            "  SecurityGroupIngress: [{CidrIp: 10.0.0.0/8, IpProtocol: tcp, FromPort: 443, ToPort: 443}]\n",
            "",
        ),
    )]);
    lab.reads(&[ingress("0.0.0.0/0", 22)], &json!({"Size": 1, "Open": false, "Comment": "by hand", "Other": "x"}));
    let (_, scan) = lab.daemon.scan_json();
    assert_eq!(found(&scan), ["Bucket added /Comment"]);

    let strict = "[{kind: \"AWS::S3::*\", paths: [Comment]}]";
    let lab = Lab::new(strict, &[("infra.yaml", DECLARED)]);
    lab.reads(&[], &same_bucket());
    let (code, _, complaint) = lab.daemon.cli(&["check", "--offline", "--config", "driftwarden.yaml"]);
    assert!(code == 1 && complaint.contains("it begins with a slash"), "{code} {complaint}");
}

fn ignore(name: &str, path: &str, until: &str) -> String {
    format!(
        "apiVersion: driftwarden.dev/v1\nkind: IgnoreRule\nmetadata: {{name: {name}}}\nspec:\n  match: {{kind: \
         \"AWS::S3::*\", name: lo*}}\n  paths: [{path}]\n  owner: team-data\n  reason: grows by itself\n{until}"
    )
}

/// Answers with `rule hits expired stale` of each ignore rule.
fn ignored(rules: &Value) -> Vec<String> {
    let rules = rules.as_array().unwrap().iter();
    rules
        .map(|it| format!("{} {} {} {}", it["rule"].as_str().unwrap(), it["hits"], it["expired"], it["stale"]))
        .collect()
}

#[test]
fn what_is_ignored_is_said_and_what_breaks_a_rule_is_not_ignored() {
    let files = [
        ("infra.yaml", DECLARED.to_owned()),
        ("sibling.yaml", SIBLING.to_owned()),
        (
            "ignore.yaml",
            ["size", "open", "other", "old"]
                .map(|name| match name {
                    "size" => ignore(name, "/Size", "  until: 2999-12-31\n"),
                    "open" => ignore(name, "/Open", "  until: 2999-12-31\n"),
                    "other" => ignore(name, "/Other", "  until: 2999-12-31\n"),
                    _ => ignore(name, "/Size", "  until: 2020-01-01\n"),
                })
                .join("---\n"),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let lab = Lab::new("", &files);
    let fine = [ingress("10.1.0.0/16", 22), ingress("10.0.0.0/8", 443)];
    lab.reads(&fine, &json!({"Size": 2, "Open": false}));
    let (code, scan) = lab.daemon.scan_json();
    assert_eq!((code, found(&scan)), (0, vec![]), "{scan:#}");
    assert_eq!(
        ignored(&scan["ignored"]),
        ["old 0 true false", "open 0 false true", "other 0 false true", "size 1 false false"]
    );
    let said = &scan["ignored"][3];
    assert_eq!(said["owner"], "team-data");
    assert_eq!((&said["until"], &said["file"]), (&json!("2999-12-31"), &json!("ignore.yaml")));

    lab.reads(&fine, &json!({"Size": 2, "Open": true}));
    let (code, scan) = lab.daemon.scan_json();
    assert_eq!((code, found(&scan)), (2, vec!["Bucket changed /Open".to_owned(), "lab_bucket_closed".to_owned()]));
    let (_, table, _) = lab.daemon.cli(&["scan", "--config", "driftwarden.yaml"]);
    assert!(table.contains("ignore rule size (team-data, until 2999-12-31, ignore.yaml:1): hid 1 change"), "{table}");
    assert!(table.contains("ignore rule old (team-data, until 2020-01-01"), "{table}");
    assert!(table.contains("EXPIRED: it hides nothing any more"), "{table}");
}

fn metric(daemon: &Daemon, series: &str) -> Option<String> {
    let metrics = daemon.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(series).map(|value| value.trim().to_owned()))
}

#[test]
fn a_broken_ignore_rule_leaves_the_last_good_ones_in_force() {
    let rule = ignore("size", "/Size", "  until: 2999-12-31\n");
    let mut lab = Lab::new("", &[("infra.yaml", DECLARED), ("sibling.yaml", SIBLING), ("ignore.yaml", &rule)]);
    lab.reads(&[ingress("10.1.0.0/16", 22), ingress("10.0.0.0/8", 443)], &json!({"Size": 2, "Open": false}));
    lab.daemon.restart();
    let hidden = r#"driftwarden_ignored_changes{cloud="lab",scope="file://lab/-"}"#;
    process::eventually("the change is hidden", 30, || metric(&lab.daemon, hidden).filter(|value| value == "1"));
    let state =
        |state: &str| metric(&lab.daemon, &format!(r#"driftwarden_ignore_rules{{source="infra",state="{state}"}}"#));
    assert_eq!((state("active").as_deref(), state("expired").as_deref()), (Some("1"), Some("0")));
    let answer: Value = serde_json::from_str(&lab.daemon.api("/api/v1/ignores").body).unwrap();
    assert_eq!(ignored(&answer["ignores"]), ["size 1 false false"]);

    lab.commit(&[("ignore.yaml", &ignore("size", "/Size", ""))]);
    let log = process::eventually("the revision is refused", 30, || {
        Some(lab.daemon.log()).filter(|log| log.contains("`spec.until` is missing"))
    });
    assert!(log.contains("invalid file `ignore.yaml`, line 1, column 1"), "{log}");
    assert!(log.contains("hint: say until when it is accepted"), "{log}");
    assert_eq!(metric(&lab.daemon, hidden).as_deref(), Some("1"), "the last good rule stays in force");
}

#[test]
fn a_finding_says_why_each_change_counts() {
    let mut lab = Lab::new("", &[("infra.yaml", DECLARED), ("sibling.yaml", SIBLING)]);
    lab.reads(&[ingress("10.1.0.0/16", 22), ingress("10.0.0.0/8", 443)], &json!({"Size": 2, "Open": false}));
    lab.daemon.restart();
    let fingerprint = process::eventually("the finding is there", 30, || {
        let page: Value = serde_json::from_str(&lab.daemon.api("/api/v1/findings").body).ok()?;
        page["findings"][0]["fingerprint"].as_str().map(ToOwned::to_owned)
    });
    let url = lab.daemon.url();
    let (code, shown, complaint) = lab.daemon.cli(&["findings", "show", "--url", &url, &fingerprint]);
    assert_eq!(code, 0, "{complaint}");
    let why = "declared in infra.yaml:8, and read back as something else";
    assert!(shown.contains("/Size: 1 -> 2") && shown.contains(why), "{shown}");
}

fn diff(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_driftwarden"))
        .current_dir(folder)
        .args(["diff", "--desired", "desired.json", "--observed", "observed.json", "-o", "json"])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn diff_explains_both_what_counts_and_what_does_not() {
    let folder = process::folder();
    let desired = json!({"Path": "/", "Secret": "hunter2hunter2 ", "Description": "x"});
    let observed = json!({"Path": "/", "Secret": "hunter2hunter2", "Description": "y", "Arn": "arn:aws:iam::1:role/x",
        "Policies": [{"PolicyName": "all", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "*"}]}}]});
    std::fs::write(folder.path().join("desired.json"), desired.to_string()).unwrap();
    std::fs::write(folder.path().join("observed.json"), observed.to_string()).unwrap();
    let kind = ["--kind", "AWS::IAM::Role"];
    let (code, plain) = diff(folder.path(), &kind);
    assert_eq!((code, plain["changes"].as_array().unwrap().len()), (2, 1));
    assert!(plain["changes"][0]["reason"].as_str().unwrap().starts_with("declared, and read back as"), "{plain:#}");
    assert_eq!((&plain["undeclared"], plain.get("folds")), (&json!(["/Policies"]), None));

    let (_, told) = diff(folder.path(), &[&kind[..], &["--explain"]].concat());
    let folds = told["folds"].as_array().unwrap();
    let fold =
        |path: &str| folds.iter().find(|fold| fold["path"] == path).unwrap_or_else(|| panic!("{path}: {told:#}"));
    assert_eq!(fold("/Secret")["fold"], "only blanks or line ends differ");
    assert_eq!((&fold("/Secret")["sensitive"], &fold("/Secret")["observed"]), (&json!(true), &json!("(sensitive 2)")));
    assert_eq!(fold("/Arn")["fold"], "what the service makes up or takes when nobody says");
    assert!(!told.to_string().contains("hunter2"), "{told:#}");

    let (_, strict) = diff(folder.path(), &[&kind[..], &["--strict"]].concat());
    let paths: Vec<&Value> = strict["changes"].as_array().unwrap().iter().map(|change| &change["path"]).collect();
    assert_eq!(paths, ["/Description", "/Policies/0"]);
    assert_eq!(strict["undeclared"], json!([]));
}
