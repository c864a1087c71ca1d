//! Somebody else's word on the same drifts: CloudFormation's own detection, as ministack does it, and terraform's, where a machine has it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Emulator, inventory, kinds};
use crate::harness::aws::{ACCOUNT, Checks, Key, Ministack, REGION};
use crate::harness::git::GitServer;
use crate::harness::{daemon, estate, process};

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
    let table = |name: &str| {
        json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": true,
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]})
    };
    let function = |name: &str| {
        json!({"FunctionName": name, "Runtime": "python3.11", "Handler": "index.handle", "Timeout": 9,
            "Role": format!("arn:aws:iam::{ACCOUNT}:role/stack-a"), "Code": {"ZipFile": "def handle(event, context):\n    return 1\n"},
            "Environment": {"Variables": {"MODE": "on"}}})
    };
    let parameter = |name: &str| json!({"Name": name, "Type": "String", "Value": "a", "Tags": {"team": "data"}});
    let repository = |name: &str| json!({"RepositoryName": name, "ImageTagMutability": "IMMUTABLE"});
    let secret = |name: &str| json!({"Name": name, "Description": "a"});
    let topic = |name: &str| json!({"TopicName": name, "DisplayName": "news"});
    let suspend = json!({"Bucket": "stack-b", "VersioningConfiguration": {"Status": "Suspended"}});
    let open = json!({"RoleName": "stack-b", "PolicyDocument": trust("lambda.amazonaws.com").to_string()});
    let url = format!("{}/{ACCOUNT}/stack-b", aws.url());
    let rename = json!({"TopicArn": format!("arn:aws:sns:{REGION}:{ACCOUNT}:stack-b"), "AttributeName": "DisplayName",
        "AttributeValue": "other"});
    let debug = json!({"FunctionName": "stack-b", "Environment": {"Variables": {"MODE": "debug"}}});
    let bare = json!({"TableName": "stack-b", "DeletionProtectionEnabled": false});
    let other = json!({"Name": "stack-b", "Value": "b", "Type": "String", "Overwrite": true});
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
        ("AWS::DynamoDB::Table", table("stack-a"), None),
        ("AWS::DynamoDB::Table", table("stack-b"), Some(("dynamodb", "update_table", bare))),
        ("AWS::ECR::Repository", repository("stack-a"), None),
        (
            "AWS::ECR::Repository",
            repository("stack-b"),
            Some(("ecr", "delete_repository", json!({"repositoryName": "stack-b"}))),
        ),
        ("AWS::Lambda::Function", function("stack-a"), None),
        ("AWS::Lambda::Function", function("stack-b"), Some(("lambda", "update_function_configuration", debug))),
        ("AWS::SNS::Topic", topic("stack-a"), None),
        ("AWS::SNS::Topic", topic("stack-b"), Some(("sns", "set_topic_attributes", rename))),
        ("AWS::SSM::Parameter", parameter("stack-a"), None),
        ("AWS::SSM::Parameter", parameter("stack-b"), Some(("ssm", "put_parameter", other))),
        ("AWS::SecretsManager::Secret", secret("stack-a"), None),
        (
            "AWS::SecretsManager::Secret",
            secret("stack-b"),
            Some(("secretsmanager", "update_secret", json!({"SecretId": "stack-b", "Description": "b"}))),
        ),
    ]
}

/// Returns what CloudFormation says has drifted, as `kind id`.
fn detected(aws: &Ministack) -> BTreeSet<String> {
    aws.call("cloudformation", "detect_stack_drift", json!({"StackName": "s"}));
    let answer = aws.call("cloudformation", "describe_stack_resource_drifts", json!({"StackName": "s"}));
    let drifts = answer["StackResourceDrifts"].as_array().unwrap().iter();
    let drifted = drifts.filter(|drift| drift["StackResourceDriftStatus"] != "IN_SYNC");
    let text = |drift: &Value, key: &str| drift[key].as_str().unwrap().to_owned();
    drifted
        .map(|drift| match &*text(drift, "ResourceType") {
            // Here its id is its name.
            "AWS::SecretsManager::Secret" => {
                let secret = json!({"SecretId": drift["PhysicalResourceId"]});
                let secret = aws.call("secretsmanager", "describe_secret", secret);
                format!("AWS::SecretsManager::Secret {}", text(&secret, "ARN"))
            }
            kind => format!("{kind} {}", text(drift, "PhysicalResourceId")),
        })
        .collect()
}

/// Returns what we say has drifted, as `kind id`, from what the source (`more` of it) declares.
fn found(aws: &Ministack, kinds: &[&str], git: &GitServer, more: &Value) -> BTreeSet<String> {
    let mut cloud = inventory::settings(&aws.url(), kinds);
    cloud["type"] = "aws".into();
    cloud["accounts"] = json!([{"id": ACCOUNT}]);
    cloud["regions"] = json!([REGION]);
    let mut source = json!({"name": "infra", "clouds": ["c"], "unmanaged": "ignore",
        "git": {"url": git.url(), "ref": "main", "username": "ci", "password": "${env:GIT_PASSWORD}"}});
    source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
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
    let stacks = json!({"stacks": [{"file": "template.json", "stack": "s"}]});
    git.commit("ann", "declare the stack", &[("template.json", &format!("{template:#}"))]);
    assert_eq!(
        (detected(&aws), found(&aws, &kinds, &git, &stacks)),
        (BTreeSet::new(), BTreeSet::new()),
        "as it was deployed"
    );
    let changes = members.iter().filter_map(|(.., change)| change.clone());
    let changes: Vec<_> = changes.collect();
    aws.calls(&changes).into_iter().for_each(|answer| drop(answer.unwrap()));
    let theirs = detected(&aws);
    assert_eq!(found(&aws, &kinds, &git, &stacks), theirs);
    assert_eq!(theirs.len(), changes.len());
}

/// Where a mirror of terraform's providers is, on machines that have one.
const PROVIDERS: &str = "/opt/tf-plugins";

/// Terraform in a folder of its own. Not fetched: its registry is none of those that packages come from.
struct Terraform(TempDir);

impl Terraform {
    /// Says by name that it is skipped where it is not there.
    fn find() -> Option<Self> {
        let is_there = Command::new("terraform").arg("version").output().is_ok() && Path::new(PROVIDERS).exists();
        if !is_there {
            println!("SKIPPED peer terraform: it is not on this machine");
            return None;
        }
        let folder = process::folder();
        let mirror = format!("provider_installation {{ filesystem_mirror {{ path = \"{PROVIDERS}\" }} }}\n");
        std::fs::write(folder.path().join("terraform.rc"), mirror).unwrap();
        Some(Self(folder))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("TF_CLI_CONFIG_FILE", self.0.path().join("terraform.rc"));
        process::run(&mut command, None).unwrap()
    }

    /// Makes what a configuration says.
    fn apply(&self, aws: &Ministack, resources: &Value) {
        let services: serde_json::Map<_, _> =
            ["s3", "iam", "sts"].map(|name| (name.to_owned(), aws.url().into())).into_iter().collect();
        let provider = json!({"region": REGION, "access_key": ACCOUNT, "secret_key": "test", "skip_credentials_validation": true,
            "skip_metadata_api_check": true, "skip_requesting_account_id": true, "s3_use_path_style": true, "endpoints": [services]});
        let required = json!({"required_providers": {"aws": {"source": "hashicorp/aws", "version": "5.100.0"}}});
        let config = json!({"terraform": required, "provider": {"aws": provider}, "resource": resources});
        std::fs::write(self.0.path().join("main.tf.json"), config.to_string()).unwrap();
        self.run(&["init", "-input=false"]);
        self.run(&["apply", "-auto-approve", "-input=false"]);
        // What was made is written down as it reads, else its first look finds nulls that became empty lists.
        self.run(&["apply", "-refresh-only", "-auto-approve", "-input=false"]);
    }

    /// Returns the names, in its own configuration, of what it finds changed.
    fn drifted(&self) -> BTreeSet<String> {
        let output = self.run(&["plan", "-refresh-only", "-json", "-input=false"]);
        let events = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let drifts = events.filter(|event| event["type"] == "resource_drift");
        drifts.map(|event| event["change"]["resource"]["resource_name"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn terraform_finds_the_same_drifts() {
    let Some(terraform) = Terraform::find() else { return };
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let trust = |service: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": service}}]})
    };
    let bucket = |name: &str| json!({"bucket": name, "tags": {"team": "data"}});
    let role = |name: &str| json!({"name": name, "assume_role_policy": trust("ec2.amazonaws.com").to_string()});
    // Its names and AWS's are the same here, so that they can be compared.
    let names = ["kept-bucket", "changed-bucket", "kept-role", "changed-role"];
    let [kept, changed, kept_role, changed_role] = names;
    terraform.apply(
        &aws,
        &json!({"aws_s3_bucket": {kept: bucket(kept), changed: bucket(changed)},
            "aws_iam_role": {kept_role: role(kept_role), changed_role: role(changed_role)}}),
    );
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let declared = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "driftwarden.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let buckets = [kept, changed].map(|name| declared("AWS::S3::Bucket", name, json!({"Tags": tags})));
    let roles = [kept_role, changed_role]
        .map(|name| declared("AWS::IAM::Role", name, json!({"AssumeRolePolicyDocument": trust("ec2.amazonaws.com")})));
    git.commit("ann", "declare", &[("all.yaml", &estate::documents(buckets.into_iter().chain(roles)))]);
    let kinds = ["AWS::IAM::Role", "AWS::S3::Bucket"];
    let ours = || {
        found(&aws, &kinds, &git, &json!({})).iter().map(|found| found.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!((terraform.drifted(), ours()), (BTreeSet::new(), BTreeSet::new()), "as it was applied");
    let retag = json!({"Bucket": changed, "Tagging": {"TagSet": [{"Key": "team", "Value": "web"}]}});
    let open = json!({"RoleName": changed_role, "PolicyDocument": trust("lambda.amazonaws.com").to_string()});
    aws.calls(&[("s3", "put_bucket_tagging", retag), ("iam", "update_assume_role_policy", open)])
        .into_iter()
        .for_each(|answer| drop(answer.unwrap()));
    let theirs = terraform.drifted();
    assert_eq!(theirs, BTreeSet::from([changed.to_owned(), changed_role.to_owned()]));
    assert_eq!(ours(), theirs);
}
