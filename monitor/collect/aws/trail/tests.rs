//! Records in the shape in which CloudTrail writes them, and who did what by them.

use driftwarden_core::finding::{Arisen, DriftKind};
use driftwarden_core::resource::{Provider, Scope};
use serde_json::{Value, json};

use super::*;

/// Stands in parameters; must never come out.
const CANARY: &str = "canary7Qx";

fn at(minute: i64) -> Timestamp {
    let noon: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_mins(minute)
}

/// A deed between noon and ten past.
fn deed(drift: DriftKind, kind: &str, name: &str, paths: &[&str]) -> Deed {
    let scope =
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "111111111111".into(), region: "r".into() };
    let arisen = Arisen { after: Some(at(0)), before: at(10) };
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    Deed { resource: scope.id(&kind.into(), name), drift, paths, arisen }
}

fn identity(type_: &str, more: &Value) -> Value {
    let mut identity = json!({"type": type_, "accountId": "111111111111", "principalId": "AIDAEXAMPLE"});
    identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    identity
}

fn user(name: &str) -> Value {
    identity("IAMUser", &json!({"userName": name, "arn": format!("arn:aws:iam::111111111111:user/{name}")}))
}

/// A session of a role, as STS and CloudTrail tell it.
fn session(role: &str, name: &str, context: &Value) -> Value {
    let mut all = json!({"sessionIssuer": {"type": "Role", "userName": role, "arn": format!("arn:aws:iam::111111111111:role/{role}")},
        "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-02T11:00:00Z"}});
    all.as_object_mut().unwrap().extend(context.as_object().unwrap().clone());
    let arn = format!("arn:aws:sts::111111111111:assumed-role/{role}/{name}");
    identity("AssumedRole", &json!({"arn": arn, "sessionContext": all}))
}

/// What happened five minutes past noon: an event, and what is otherwise in its record.
fn record(event: &str, source: &str, more: &Value) -> Value {
    let mut record = json!({"eventVersion": "1.11", "userIdentity": user("ann"), "eventTime": "2026-01-02T12:05:00Z",
        "eventSource": format!("{source}.amazonaws.com"), "eventName": event, "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.1", "userAgent": "Boto3/1.40 md/Botocore#1.40", "requestParameters": null,
        "responseElements": null, "requestID": "r", "eventID": "e-1", "readOnly": false, "eventType": "AwsApiCall",
        "managementEvent": true, "recipientAccountId": "111111111111"});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

/// The same as it is listed, with the resources that the log says it is about.
fn listed(record: &Value, resources: &[(&str, &str)]) -> Value {
    let resources = resources.iter().map(|(type_, name)| json!({"ResourceType": type_, "ResourceName": name}));
    json!({"EventId": record["eventID"], "EventName": record["eventName"], "ReadOnly": "false",
        "EventTime": 1_767_355_500.0, "Username": record["userIdentity"]["userName"],
        "Resources": resources.collect::<Vec<_>>(), "CloudTrailEvent": record.to_string()})
}

fn actor_of(deed: &Deed, events: &[Value]) -> Actor {
    let deeds = [deed.clone()];
    let mut suspects = Suspects::of(&deeds);
    for event in events {
        suspects.take(&Record::of(serde_json::from_value(event.clone()).unwrap()).unwrap());
    }
    let actor = suspects.actors().remove(0);
    assert!(!format!("{actor:?}").contains(CANARY), "{actor:?}");
    actor
}

/// Checks who did a deed by these events, and how sure that is: `ann high`, or `unknown`.
fn check(deed: &Deed, events: &[Value], expected: &str) {
    let actor = actor_of(deed, events);
    let told = if actor.is_known() { format!("{} {}", actor.name, actor.confidence.as_str()) } else { actor.name };
    assert_eq!(told, expected);
}

fn tagging() -> Deed {
    deed(DriftKind::Changed, "AWS::S3::Bucket", "logs", &["/Tags/0/Value"])
}

/// Somebody tagged the bucket `logs`.
fn tagged(more: &Value) -> Value {
    let mut all = json!({"requestParameters": {"bucketName": "logs", "tagging": "", "Host": "logs.s3.amazonaws.com"}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    listed(&record("PutBucketTagging", "s3", &all), &[("AWS::S3::Bucket", "logs")])
}

/// Checks who stands behind an identity that comes with a user agent, and of what sort that is.
fn check_who(identity: &Value, agent: &str, expected: &str) {
    let actor = actor_of(&tagging(), &[tagged(&json!({"userIdentity": identity, "userAgent": agent}))]);
    assert_eq!(format!("{}: {}", actor.kind.as_str(), actor.name), expected, "{agent}");
}

const BOTO: &str = "Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux";
const CLI: &str = "aws-cli/2.31.2 md/awscrt#0.27 ua/2.1 os/macos";
const CONSOLE: &str = "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12 console.amazonaws.com]";
const TERRAFORM: &str =
    "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 (+https://www.terraform.io) terraform-provider-aws/5.100.0";

#[test]
fn sessions_lead_to_the_person() {
    let sso = session("AWSReservedSSO_AdministratorAccess_0123456789abcdef", "ann@example.com", &json!({}));
    check_who(&sso, CLI, "person: ann@example.com (SSO AdministratorAccess)");
    check_who(&session("Admin", "ann@example.com", &json!({})), BOTO, "person: ann@example.com (role Admin)");
    let second_factor = json!({"attributes": {"mfaAuthenticated": "true"}});
    check_who(&session("Admin", "ann", &second_factor), BOTO, "person: ann (role Admin)");
    check_who(&session("Admin", "botocore-session-1", &json!({})), BOTO, "unclear: botocore-session-1 (role Admin)");
    check_who(&user("ann"), CLI, "person: ann");
    check_who(&user("ann"), BOTO, "unclear: ann");
    let root = identity("Root", &json!({"arn": "arn:aws:iam::111111111111:root"}));
    check_who(&root, BOTO, "person: root of account 111111111111");
    let federated = identity("FederatedUser", &json!({"arn": "arn:aws:sts::111111111111:federated-user/ann"}));
    check_who(&federated, "Mozilla/5.0", "person: ann");
    let other = json!({"type": "AWSAccount", "accountId": "222222222222", "principalId": "AROAEXAMPLE:ann"});
    check_who(&other, BOTO, "unclear: account 222222222222 (AROAEXAMPLE:ann)");
}

#[test]
fn programs_are_told_from_people() {
    check_who(&user("ann"), TERRAFORM, "automation: ann");
    let issuer = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com";
    let pipeline = session("Ship", "GitHubActions", &json!({"webIdFederationData": {"federatedProvider": issuer}}));
    check_who(&pipeline, CLI, "automation: GitHubActions (role Ship)");
    check_who(&session("Web", "i-0123456789abcdef0", &json!({})), CLI, "automation: i-0123456789abcdef0 (role Web)");
    check_who(&user("ci-deployer"), BOTO, "automation: ci-deployer");
    let asked = identity("IAMUser", &json!({"userName": "ann", "invokedBy": "cloudformation.amazonaws.com"}));
    check_who(&asked, "cloudformation.amazonaws.com", "automation: ann through cloudformation.amazonaws.com");
    let service = json!({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"});
    check_who(&service, "autoscaling.amazonaws.com", "service: autoscaling.amazonaws.com");
    let role = session("AWSServiceRoleForRDS", "Management", &json!({}));
    check_who(&role, "rds.amazonaws.com", "service: Management (role AWSServiceRoleForRDS)");
    check_who(&user("ann"), "AWS Internal", "automation: ann");
    check_who(&user("ann"), "signin.amazonaws.com", "person: ann");
}

#[test]
fn the_console_of_a_service_is_a_person() {
    check_who(&user("ann"), CONSOLE, "person: ann");
    let console = tagged(&json!({"sessionCredentialFromConsole": "true"}));
    assert_eq!(actor_of(&tagging(), &[console]).kind.as_str(), "person");
}

#[test]
fn a_name_is_only_what_can_be_printed() {
    let named = user("ann\u{1b}[31m\n");
    check_who(&named, CLI, "person: ann[31m");
}

#[test]
fn what_wrote_is_told_from_what_read_or_failed() {
    check(&tagging(), &[tagged(&json!({}))], "ann high");
    for harmless in [
        json!({"readOnly": true}),
        json!({"readOnly": "true"}),
        json!({"errorCode": "AccessDenied", "errorMessage": "no"}),
        json!({"eventTime": "2026-01-02T11:55:00Z"}),
        json!({"eventTime": "2026-01-02T12:15:00Z"}),
        json!({"eventSource": "ec2.amazonaws.com"}),
        json!({"userIdentity": {"type": "Unknown"}}),
    ] {
        check(&tagging(), &[tagged(&harmless)], "unknown");
    }
    check(&tagging(), &[tagged(&json!({"readOnly": "false", "errorCode": null}))], "ann high");
}

#[test]
fn nobody_leaves_the_log_by_calling_themselves_as_this_program_does() {
    check(&tagging(), &[tagged(&json!({"userAgent": "driftwarden/0.1.0"}))], "ann high");
    let session = json!({"userIdentity": session("Read", "driftwarden", &json!({}))});
    check(&tagging(), &[tagged(&session)], "driftwarden (role Read) high");
}

#[test]
fn an_event_that_fits_comes_before_a_newer_one_that_does_not() {
    let by = |name: &str, id: &str, minute: &str| {
        json!({"userIdentity": user(name), "eventID": id, "eventTime": format!("2026-01-02T12:0{minute}:00Z"),
            "requestParameters": {"bucketName": "logs"}})
    };
    let tags = |name, id, minute| listed(&record("PutBucketTagging", "s3", &by(name, id, minute)), &[]);
    let policy = |name, id, minute| listed(&record("PutBucketPolicy", "s3", &by(name, id, minute)), &[]);
    check(&tagging(), &[policy("eve", "2", "7"), tags("ann", "1", "3")], "ann high");
    check(&tagging(), &[policy("eve", "2", "7")], "eve medium");
    check(&tagging(), &[tags("eve", "2", "7"), tags("ann", "1", "3")], "eve medium");
    check(&tagging(), &[tags("ann", "2", "7"), tags("ann", "1", "3")], "ann high");
    check(&tagging(), &[tags("ann", "1", "3"), tags("ann", "1", "3")], "ann high");
    let undated = Deed { arisen: Arisen { after: None, before: at(10) }, ..tagging() };
    check(&undated, &[policy("eve", "2", "7")], "eve low");
    check(&undated, &[tags("ann", "1", "3")], "ann high");
}

#[test]
fn a_resource_is_named_by_id_by_arn_or_by_a_word() {
    let group = deed(DriftKind::Changed, "AWS::EC2::SecurityGroup", "sg-0a1b2c3d", &["/SecurityGroupIngress/0/CidrIp"]);
    let opened = |parameters: Value| {
        listed(&record("AuthorizeSecurityGroupIngress", "ec2", &json!({"requestParameters": parameters})), &[])
    };
    check(&group, &[opened(json!({"groupId": "sg-0a1b2c3d", "ipPermissions": {"items": []}}))], "ann high");
    check(&group, &[opened(json!({"groupId": "sg-0a1b2c3d4"}))], "unknown");
    check(&group, &[opened(json!({"note": "sg-0a1b2c3d"}))], "ann low");
    check(&group, &[opened(json!({"tagSet": {"items": [{"key": "of", "value": "sg-0a1b2c3d"}]}}))], "unknown");
    let many = json!({"resourcesSet": {"items": [{"resourceId": "i-0a1b2c3d"}, {"resourceId": "sg-0a1b2c3d"}]}});
    let tags = deed(DriftKind::Changed, "AWS::EC2::SecurityGroup", "sg-0a1b2c3d", &["/Tags/0/Value"]);
    check(&tags, &[listed(&record("CreateTags", "ec2", &json!({"requestParameters": many})), &[])], "ann high");

    let topic = "arn:aws:sns:eu-west-1:111111111111:news";
    let name = deed(DriftKind::Changed, "AWS::SNS::Topic", topic, &["/DisplayName"]);
    let set = |parameters: Value| {
        listed(&record("SetTopicAttributes", "sns", &json!({"requestParameters": parameters})), &[])
    };
    check(&name, &[set(json!({"topicArn": topic, "attributeName": "DisplayName"}))], "ann medium");
    check(&name, &[set(json!({"topicName": "news"}))], "ann low");
    let by_arn = record("TagResource", "tagging", &json!({"requestParameters": {"resourceARNList": [topic]}}));
    let tags = deed(DriftKind::Changed, "AWS::SNS::Topic", topic, &["/Tags"]);
    check(&tags, &[listed(&by_arn, &[])], "ann high");

    let role = deed(DriftKind::Changed, "AWS::IAM::Role", "app", &["/AssumeRolePolicyDocument/Statement"]);
    let trust = json!({"requestParameters": {"roleName": "app", "policyDocument": CANARY}});
    check(&role, &[listed(&record("UpdateAssumeRolePolicy", "iam", &trust), &[])], "ann high");
    let parts = deed(DriftKind::Changed, "AWS::ApiGateway::Resource", "api1|res2", &["/PathPart"]);
    let update = |resource: &str| {
        let parameters = json!({"requestParameters": {"restApiId": "api1", "resourceId": resource, "pathPart": "x"}});
        listed(&record("UpdateResource", "apigateway", &parameters), &[])
    };
    check(&parts, &[update("res2")], "ann high");
    check(&parts, &[update("res3")], "unknown");
}

#[test]
fn a_name_is_an_id_only_where_the_kind_is_told() {
    let role = deed(DriftKind::Changed, "AWS::IAM::Role", "app", &["/Tags"]);
    let tags = |event: &str, parameters: Value, resources: &[(&str, &str)]| {
        listed(&record(event, "iam", &json!({"requestParameters": parameters})), resources)
    };
    check(&role, &[tags("TagRole", json!({"roleName": "app"}), &[])], "ann high");
    check(&role, &[tags("TagUser", json!({"userName": "app"}), &[])], "ann low");
    check(&role, &[tags("UntagResource", json!({}), &[("AWS::IAM::Role", "app")])], "ann high");
    check(&role, &[tags("UntagResource", json!({}), &[("AWS::IAM::User", "app")])], "unknown");
    for (arn, told) in [
        ("arn:aws:iam::111111111111:role/ops/app", "ann high"),
        ("arn:aws:iam::111111111111:user/app", "ann low"),
        ("arn:aws:sns:eu-west-1:111111111111:app", "ann low"),
    ] {
        check(&role, &[tags("TagResource", json!({"resourceArn": arn}), &[])], told);
        check(&role, &[tags("TagResource", json!({}), &[("AWS::IAM::Role", arn)])], told);
    }
    let database = deed(DriftKind::Changed, "AWS::RDS::DBInstance", "db1", &["/Tags"]);
    let arn = json!({"requestParameters": {"resourceName": "arn:aws:rds:eu-west-1:111111111111:db:db1"}});
    check(&database, &[listed(&record("AddTagsToResource", "rds", &arn), &[])], "ann high");
    let dated = deed(DriftKind::Changed, "AWS::IAM::Role", "app-20260102", &["/Tags"]);
    check(&dated, &[tags("TagUser", json!({"userName": "app-20260102"}), &[])], "ann low");
}

#[test]
fn words_that_stand_everywhere_tell_no_attribute() {
    let by = |event: &str, source: &str, parameters: Value| {
        listed(&record(event, source, &json!({"requestParameters": parameters})), &[])
    };
    let versioning = deed(DriftKind::Changed, "AWS::S3::Bucket", "logs", &["/VersioningConfiguration/Status"]);
    let rules = json!({"bucketName": "logs", "LifecycleConfiguration": {"Rule": {"Status": "Enabled"}}});
    check(&versioning, &[by("PutBucketLifecycle", "s3", rules)], "ann medium");
    let network = deed(DriftKind::Changed, "AWS::EC2::VPC", "vpc-0a1b2c3d", &["/Tags/0/Value"]);
    let names = json!({"vpcId": "vpc-0a1b2c3d", "enableDnsHostnames": {"value": true}});
    check(&network, &[by("ModifyVpcAttribute", "ec2", names)], "ann medium");
    let listener = deed(DriftKind::Changed, "AWS::RDS::DBCluster", "c1", &["/Port"]);
    let import = json!({"dBClusterIdentifier": "c1"});
    check(&listener, &[by("ImportDBCluster", "rds", import)], "ann medium");
    let machine = deed(DriftKind::Changed, "AWS::EC2::Instance", "i-0a1b2c3d", &["/InstanceType"]);
    check(&machine, &[by("StopInstances", "ec2", json!({"instanceId": "i-0a1b2c3d"}))], "ann medium");
    let larger = json!({"instanceId": "i-0a1b2c3d", "instanceType": {"value": "m5.large"}});
    check(&machine, &[by("ModifyInstanceAttribute", "ec2", larger)], "ann high");
    let code = deed(DriftKind::Changed, "AWS::Lambda::Function", "f", &["/Code/S3Key"]);
    check(&code, &[by("UpdateFunctionCode20150331v2", "lambda", json!({"functionName": "f"}))], "ann high");
    let policy = deed(DriftKind::Changed, "AWS::S3::BucketPolicy", "logs", &["/PolicyDocument/Statement"]);
    check(&policy, &[by("PutBucketPolicy", "s3", json!({"bucketName": "logs", "bucketPolicy": {}}))], "ann high");
}

#[test]
fn the_attribute_that_changed_may_be_among_the_parameters() {
    let url = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs";
    let queue = deed(DriftKind::Changed, "AWS::SQS::Queue", url, &["/VisibilityTimeout"]);
    let set = |attributes: Value| {
        let parameters = json!({"queueUrl": url, "attributes": attributes});
        listed(&record("SetQueueAttributes", "sqs", &json!({"requestParameters": parameters})), &[])
    };
    check(&queue, &[set(json!({"VisibilityTimeout": "99"}))], "ann high");
    check(&queue, &[set(json!({"DelaySeconds": "9"}))], "ann medium");
    let patch = json!([{"op": "replace", "path": "/VisibilityTimeout", "value": CANARY}]).to_string();
    let parameters = json!({"typeName": "AWS::SQS::Queue", "identifier": url, "patchDocument": patch});
    let by_control = record("UpdateResource", "cloudcontrolapi", &json!({"requestParameters": parameters}));
    check(&queue, &[listed(&by_control, &[])], "ann high");
    let tags = deed(DriftKind::Changed, "AWS::SQS::Queue", url, &["/Tags"]);
    check(&tags, &[listed(&by_control, &[])], "ann medium");
    let other = deed(DriftKind::Changed, "AWS::SNS::Topic", url, &["/VisibilityTimeout"]);
    check(&other, &[listed(&by_control, &[])], "unknown");
}

#[test]
fn what_is_missing_was_deleted_and_what_is_unmanaged_was_made() {
    let by = |event: &str, source: &str, parameters: Value, response: Value| {
        let more = json!({"requestParameters": parameters, "responseElements": response});
        listed(&record(event, source, &more), &[])
    };
    let bucket = |drift| deed(drift, "AWS::S3::Bucket", "logs", &[]);
    let named = || json!({"bucketName": "logs"});
    check(&bucket(DriftKind::Missing), &[by("DeleteBucket", "s3", named(), json!(null))], "ann high");
    check(&bucket(DriftKind::Missing), &[by("DeleteBucketPolicy", "s3", named(), json!(null))], "ann low");
    check(&bucket(DriftKind::Missing), &[by("PutBucketPolicy", "s3", named(), json!(null))], "unknown");
    check(&bucket(DriftKind::Unmanaged), &[by("CreateBucket", "s3", named(), json!(null))], "ann high");
    check(&bucket(DriftKind::Unmanaged), &[by("PutBucketPolicy", "s3", named(), json!(null))], "unknown");

    let instance = |drift| deed(drift, "AWS::EC2::Instance", "i-1", &[]);
    let set = json!({"instancesSet": {"items": [{"instanceId": "i-9"}, {"instanceId": "i-1"}]}});
    check(&instance(DriftKind::Missing), &[by("TerminateInstances", "ec2", set.clone(), json!(null))], "ann high");
    check(&instance(DriftKind::Unmanaged), &[by("RunInstances", "ec2", json!({}), set)], "ann high");
    let volume = deed(DriftKind::Missing, "AWS::EC2::Volume", "vol-1", &[]);
    let named = || json!({"volumeId": "vol-1"});
    check(&volume, &[by("DetachVolume", "ec2", named(), json!(null))], "ann low");
    check(&volume, &[by("DeleteVolume", "ec2", named(), json!(null))], "ann high");
    let egress = deed(DriftKind::Missing, "AWS::EC2::SecurityGroupEgress", "sgr-0a1b2c3d", &[]);
    let rules = json!({"groupId": "sg-1", "securityGroupRuleIds": ["sgr-0a1b2c3d"]});
    check(&egress, &[by("RevokeSecurityGroupEgress", "ec2", rules, json!(null))], "ann high");
    let network = deed(DriftKind::Missing, "AWS::EC2::VPC", "vpc-1", &[]);
    check(&network, &[by("DeleteVpc", "ec2", json!({"vpcId": "vpc-1"}), json!(null))], "ann high");
    let key = deed(DriftKind::Missing, "AWS::KMS::Key", "11111111-2222", &[]);
    let arn = json!({"keyId": "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222"});
    check(&key, &[by("ScheduleKeyDeletion", "kms", arn, json!(null))], "ann high");
    let function = deed(DriftKind::Missing, "AWS::Lambda::Function", "f", &[]);
    check(&function, &[by("DeleteFunction20150331", "lambda", json!({"functionName": "f"}), json!(null))], "ann high");
    let database = deed(DriftKind::Missing, "AWS::RDS::DBInstance", "db", &[]);
    let named = json!({"dBInstanceIdentifier": "db", "masterUserPassword": CANARY});
    check(&database, &[by("DeleteDBInstance", "rds", named, json!(null))], "ann high");
    let parameter = deed(DriftKind::Unmanaged, "AWS::SSM::Parameter", "/app/1", &[]);
    check(
        &parameter,
        &[by("PutParameter", "ssm", json!({"name": "/app/1", "value": CANARY}), json!(null))],
        "ann high",
    );
}

#[test]
fn the_attributes_words_are_those_that_tell() {
    let told = |attribute: &str, kind: &str| super::fit::telling_words(attribute, &kind.into()).join(" ");
    assert_eq!(told("BucketEncryption", "AWS::S3::Bucket"), "encryption");
    assert_eq!(told("PublicAccessBlockConfiguration", "AWS::S3::Bucket"), "public access block");
    assert_eq!(told("Policies", "AWS::IAM::Role"), "policy");
    assert_eq!(told("KMSMasterKeyId", "AWS::SQS::Queue"), "kmsmaster key");
}
