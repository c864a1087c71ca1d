//! Somebody else's word on the same drifts: CloudFormation's own detection, as ministack does it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Emulator, inventory, kinds};
use crate::harness::aws::{ACCOUNT, Checks, Key, Ministack, REGION};
use crate::harness::daemon;
use crate::harness::git::GitServer;

/// What a stack holds, of which CloudFormation (as ministack has it) can tell a drift: kind, properties, and the call that changes it behind
/// the stack's back, if one does.
fn members(aws: &Ministack) -> Vec<(&'static str, Value, Option<(&'static str, &'static str, Value)>)> {
    let trust = |service: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": service}}]})
    };
    let bucket = |name: &str| json!({"BucketName": name, "VersioningConfiguration": {"Status": "Enabled"}});
    let role = |name: &str| json!({"RoleName": name, "AssumeRolePolicyDocument": trust("ec2.amazonaws.com")});
    let queue = |name: &str| json!({"QueueName": name, "VisibilityTimeout": 45});
    let group = |name: &str| json!({"LogGroupName": name, "RetentionInDays": 30});
    let suspend = json!({"Bucket": "stack-b", "VersioningConfiguration": {"Status": "Suspended"}});
    let open = json!({"RoleName": "stack-b", "PolicyDocument": trust("lambda.amazonaws.com").to_string()});
    let url = format!("{}/{ACCOUNT}/stack-b", aws.url());
    let hurry = json!({"QueueUrl": url, "Attributes": {"VisibilityTimeout": "99"}});
    vec![
        ("AWS::S3::Bucket", bucket("stack-a"), None),
        ("AWS::S3::Bucket", bucket("stack-b"), Some(("s3", "put_bucket_versioning", suspend))),
        ("AWS::IAM::Role", role("stack-a"), None),
        ("AWS::IAM::Role", role("stack-b"), Some(("iam", "update_assume_role_policy", open))),
        ("AWS::SQS::Queue", queue("stack-a"), None),
        ("AWS::SQS::Queue", queue("stack-b"), Some(("sqs", "set_queue_attributes", hurry))),
        ("AWS::Logs::LogGroup", group("stack-a"), None),
        (
            "AWS::Logs::LogGroup",
            group("stack-b"),
            Some(("logs", "put_retention_policy", json!({"logGroupName": "stack-b", "retentionInDays": 1}))),
        ),
    ]
}

/// Returns what CloudFormation says has drifted, as `kind id`.
fn detected(aws: &Ministack) -> BTreeSet<String> {
    aws.call("cloudformation", "detect_stack_drift", json!({"StackName": "s"}));
    let answer = aws.call("cloudformation", "describe_stack_resource_drifts", json!({"StackName": "s"}));
    let drifts = answer["StackResourceDrifts"].as_array().unwrap().iter();
    let drifted = drifts.filter(|drift| drift["StackResourceDriftStatus"] != "IN_SYNC");
    drifted
        .map(|drift| {
            [&drift["ResourceType"], &drift["PhysicalResourceId"]].map(|part| part.as_str().unwrap()).join(" ")
        })
        .collect()
}

/// Returns what we say has drifted, as `kind id`.
fn found(aws: &Ministack, kinds: &[&str], git: &GitServer) -> BTreeSet<String> {
    let mut cloud = inventory::settings(&aws.url(), kinds);
    cloud["type"] = "aws".into();
    cloud["accounts"] = json!([{"id": ACCOUNT}]);
    cloud["regions"] = json!([REGION]);
    let source = json!({"name": "infra", "clouds": ["c"], "unmanaged": "ignore", "stacks": [{"file": "template.json", "stack": "s"}],
        "git": {"url": git.url(), "ref": "main", "username": "ci", "password": "${env:GIT_PASSWORD}"}});
    let key = Key::of_the_account();
    let environment =
        [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret), ("GIT_PASSWORD", "secret")];
    let (code, document) = daemon::scan_json(&format!("clouds: [{cloud:#}]\ndesired: [{source:#}]\n"), &environment);
    assert!(code == 0 || code == 2, "{document:#}");
    let findings = document["findings"].as_array().unwrap().iter().map(|finding| &finding["resource"]);
    findings.map(|found| [&found["kind"], &found["name"]].map(|part| part.as_str().unwrap()).join(" ")).collect()
}

#[test]
fn cloudformation_finds_the_same_drifts_in_a_stack() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let kinds = kinds(Emulator::Ministack);
    let members: Vec<_> = members(&aws).into_iter().filter(|(kind, ..)| kinds.contains(kind)).collect();
    let resources = members
        .iter()
        .enumerate()
        .map(|(at, (kind, properties, _))| (format!("R{at}"), json!({"Type": kind, "Properties": properties})));
    let template =
        json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources.collect::<serde_json::Map<_, _>>()});
    aws.call(
        "cloudformation",
        "create_stack",
        json!({"StackName": "s", "TemplateBody": template.to_string(),
        "Capabilities": ["CAPABILITY_NAMED_IAM"]}),
    );
    git.commit("ann", "declare the stack", &[("template.json", &format!("{template:#}"))]);
    assert_eq!((detected(&aws), found(&aws, &kinds, &git)), (BTreeSet::new(), BTreeSet::new()), "as it was deployed");
    let changes = members.iter().filter_map(|(.., change)| change.clone());
    let changes: Vec<_> = changes.collect();
    aws.calls(&changes).into_iter().for_each(|answer| drop(answer.unwrap()));
    let theirs = detected(&aws);
    assert_eq!(found(&aws, &kinds, &git), theirs);
    assert_eq!(theirs.len(), changes.len());
}
