//! Many accounts and regions: each thing is told in one place, and what cannot be entered is a gap.

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::Checks;
use crate::harness::aws::Key;
use crate::harness::aws::Ministack;
use crate::harness::aws::REGION;
use crate::harness::daemon;
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::http::Answer;
use crate::harness::http::Server;
use crate::provider_schemas;

/// Scans once; the exit code, the findings as `drift id`, and the gaps as `scope reason detail`.
fn scan(aws: &str, settings: &str, declared: Vec<Value>) -> Option<(i32, Vec<String>, Vec<String>)> {
    scan_as(&Key::of_the_account(), aws, settings, declared)
}

/// Scans once with somebody's key.
fn scan_as(key: &Key, aws: &str, settings: &str, declared: Vec<Value>) -> Option<(i32, Vec<String>, Vec<String>)> {
    let git = GitServer::start("ci", "secret")?;
    git.commit("ann", "declare", &[("all.yaml", &estate::documents(declared.into_iter()))]);
    let config = format!(
        "clouds:\n  - {{name: c, type: aws, direct: {{exclude: [\"*\"]}}, endpoint: \"{aws}\", requests_per_second: 1000, {settings}}}\ndesired:\n  - \
         name: infra\n    git: {{url: \"{}\", ref: main, username: ci, password: \"${{env:GIT_PASSWORD}}\"}}\n    \
         clouds: [c]\n    unmanaged: report\n",
        git.url()
    );
    let environment =
        [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret), ("GIT_PASSWORD", "secret")];
    let (code, document) = daemon::scan_json(&config, &environment);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = document["findings"].as_array().unwrap().iter();
    let found = found.map(|finding| format!("{} {}", text(&finding["drift"]), text(&finding["resource"]["id"])));
    let gaps = document["scopes"].as_array().unwrap().iter().flat_map(|scope| {
        let gaps = scope["gaps"].as_array().unwrap().iter();
        gaps.map(move |gap| {
            [&scope["scope"], &gap["reason"], &gap["detail"]].map(|part| part.as_str().unwrap()).join(" ")
        })
    });
    let (mut found, gaps): (Vec<_>, Vec<_>) = (found.collect(), gaps.collect());
    found.sort();
    Some((code, found, gaps))
}

fn declared(kind: &str, name: &str, (account, region): (&str, &str)) -> Value {
    json!({"apiVersion": "driftwarden.dev/v1", "kind": kind,
        "metadata": {"name": name, "account": account, "region": region}, "spec": {}})
}

#[test]
fn a_bucket_that_every_region_lists_is_told_in_its_own() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let far = "us-east-2";
    let key = Key::of_the_account();
    for (name, region) in [("near", REGION), ("far", far)] {
        let place = json!({"Bucket": name, "CreateBucketConfiguration": {"LocationConstraint": region}});
        aws.calls_in(region, &key, &[("s3", "create_bucket", place)]).remove(0).unwrap();
        // Its Cloud Control lists by region; AWS's lists everything everywhere.
        for region in [REGION, far] {
            let bucket = json!({"BucketName": name}).to_string();
            let create = json!({"TypeName": "AWS::S3::Bucket", "DesiredState": bucket});
            aws.calls_in(region, &key, &[("cloudcontrol", "create_resource", create)]).remove(0).unwrap();
        }
    }
    let settings = format!("regions: [{REGION}, {far}], kinds: {{include: [\"AWS::S3::Bucket\"]}}");
    let bucket = |name: &str, region: &str| declared("AWS::S3::Bucket", name, (&key.id, region));
    let both = vec![bucket("near", REGION), bucket("far", far)];
    let Some(outcome) = scan(&aws.url(), &settings, both) else { return };
    assert_eq!(outcome, (0, vec![], vec![]));
    let displaced = vec![bucket("near", REGION), bucket("far", REGION)];
    let Some((code, found, gaps)) = scan(&aws.url(), &settings, displaced) else { return };
    let id = |region: &str| format!("aws://{}/{region}/AWS::S3::Bucket/far", key.id);
    let expected = [format!("missing {}", id(REGION)), format!("unmanaged {}", id(far))];
    assert_eq!((code, found, gaps), (2, expected.to_vec(), vec![]));
}

/// The role that a member account keeps for us.
const ROLE: &str = "DriftwardenRead";

/// Creates a member account with a queue in each of two regions; returns its number.
fn member(aws: &Ministack, name: &str) -> String {
    let arguments = json!({"AccountName": name, "Email": format!("{name}@example.com")});
    let created = aws.call("organizations", "create_account", arguments);
    let id = created["CreateAccountStatus"]["AccountId"].as_str().unwrap().to_owned();
    let owner = Key { id: id.clone(), ..Key::of_the_account() };
    for region in [REGION, "eu-west-2"] {
        let create = json!({"TypeName": "AWS::SQS::Queue", "DesiredState": json!({"QueueName": "jobs"}).to_string()});
        aws.calls_in(region, &owner, &[("cloudcontrol", "create_resource", create)]).remove(0).unwrap();
    }
    id
}

/// Has a member account let the organization's first account in, to read.
fn let_in(aws: &Ministack, id: &str) {
    let owner = Key { id: id.to_owned(), ..Key::of_the_account() };
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{}:root", Key::of_the_account().id)},
        "Condition": {"StringEquals": {"sts:ExternalId": "x1"}}}]});
    let read = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*",
        "Action": ["cloudformation:List*", "cloudformation:Get*", "cloudformation:Describe*", "ec2:DescribeRegions"]}]});
    let role = json!({"RoleName": ROLE, "AssumeRolePolicyDocument": trust.to_string()});
    let policy = json!({"RoleName": ROLE, "PolicyName": "p", "PolicyDocument": read.to_string()});
    let calls = [("iam", "create_role", role), ("iam", "put_role_policy", policy)];
    aws.calls_as(&owner, &calls).into_iter().for_each(|answer| drop(answer.unwrap()));
}

#[test]
fn an_organization_is_read_account_by_account() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let [open, shut, closed] = ["open", "shut", "closed"].map(|name| member(&aws, name));
    let sandbox = member(&aws, "sandbox-1");
    let_in(&aws, &open);
    let_in(&aws, &sandbox);
    aws.call("organizations", "close_account", json!({"AccountId": closed}));
    let settings = format!(
        "regions: [\"eu-west-?\"], external_id: x1, accounts: {{organization: true, role: {ROLE}, exclude: \
         [\"sandbox-*\"]}}, kinds: {{include: [\"AWS::SQS::Queue\"]}}"
    );
    let queues = [(&*open, REGION), (&*open, "eu-west-3"), (&*shut, REGION)];
    let declared = queues.map(|place| declared("AWS::SQS::Queue", "jobs", place));
    let Some((code, found, gaps)) = scan(&aws.url(), &settings, declared.to_vec()) else { return };
    // A queue that nobody declares has the random name that the emulator gave it.
    let id = |region: &str| format!("aws://{open}/{region}/AWS::SQS::Queue/");
    let expected = [format!("missing {}jobs", id("eu-west-3")), format!("unmanaged {}", id("eu-west-2"))];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().zip(&expected).all(|(found, expected)| found.starts_with(expected)), "{found:#?}");
    assert_eq!(code, 2);
    let is_told = |id: &str, region: &str, word: &str| {
        gaps.iter().any(|gap| gap.starts_with(&format!("aws://{id}/{region} denied")) && gap.contains(word))
    };
    for region in [REGION, "eu-west-2", "eu-west-3", "-"] {
        assert!(is_told(&shut, region, &format!("arn:aws:iam::{shut}:role/{ROLE}")), "{gaps:#?}");
        assert!(is_told(&closed, region, "(closed) is suspended"), "{gaps:#?}");
    }
    assert_eq!(gaps.len(), 8, "{gaps:#?}");
}

/// Starts a CloudFormation that knows AWS's own schemas, and nothing else.
fn cloudformation() -> Option<Server> {
    let documents = provider_schemas::documents()?;
    Some(Server::start(move |request| {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let kind = form.iter().find(|(key, _)| key == "TypeName").map(|(_, kind)| kind.clone()).unwrap_or_default();
        let Some(path) = documents.get(&kind) else {
            let refusal = "<ErrorResponse><Error><Code>TypeNotFoundException</Code></Error></ErrorResponse>";
            return Answer::new(404, "text/xml", refusal);
        };
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let result = format!("<DescribeTypeResult><Schema>{text}</Schema></DescribeTypeResult>");
        Answer::new(200, "text/xml", format!("<DescribeTypeResponse>{result}</DescribeTypeResponse>"))
    }))
}

#[test]
fn the_policy_that_check_prints_is_enough_to_scan() {
    let Some(schemas) = cloudformation() else { return };
    let kinds = "kinds: {include: [\"AWS::S3::Bucket\", \"AWS::IAM::Role\"]}";
    let config = format!(
        "clouds:\n  - {{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{REGION}], endpoint: \"{}\", {kinds}}}\n",
        schemas.url()
    );
    let environment = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let (code, out, err) = Daemon::prepare(&config, &environment).cli(&["check", "--permissions"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let policies: Value = serde_json::from_str(&out).unwrap();
    let policy = &policies["the credentials of cloud `c`"];
    let actions: Vec<&str> =
        policy["Statement"][0]["Action"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    for action in ["cloudformation:GetResource", "iam:GetRolePolicy", "iam:ListRoles", "s3:GetEncryptionConfiguration"]
    {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    aws.create(&[("AWS::S3::Bucket", json!({"BucketName": "near"}))]);
    let reader = aws.user("reader", policy);
    let declared = vec![declared("AWS::S3::Bucket", "near", (&Key::of_the_account().id, REGION))];
    let Some(outcome) = scan_as(&reader, &aws.url(), &format!("regions: [{REGION}], {kinds}"), declared) else {
        return;
    };
    assert_eq!(outcome, (0, vec![], vec![]));
}
