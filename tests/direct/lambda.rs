//! Lambda's kinds. Ministack knows no runtime management.

use serde_json::json;

use super::{Peer, read, read_of};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn a_function_and_its_policy_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let dead = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead");
    let trusted = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    aws.call("iam", "create_role", json!({"RoleName": "r", "AssumeRolePolicyDocument": trusted}));
    let asked = json!({"FunctionName": "thumbs", "Runtime": "python3.12", "Role": role, "Handler": "a.b",
        "Code": {"S3Bucket": "code", "S3Key": "k"}, "Timeout": 10, "MemorySize": 256, "Architectures": ["arm64"],
        "Environment": {"Variables": {"STAGE": "prod"}}, "TracingConfig": {"Mode": "Active"}, "Tags": {"team": "data"},
        "DeadLetterConfig": {"TargetArn": dead}, "KMSKeyArn": "arn:aws:kms:eu-west-1:1:key/k"});
    aws.call("lambda", "create_function", asked);
    let reserved = json!({"FunctionName": "thumbs", "ReservedConcurrentExecutions": 3});
    aws.call("lambda", "put_function_concurrency", reserved);
    let url = aws.url();
    let policies = || read(&url, "AWS::Lambda::FunctionPolicy").unwrap();
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumbs");
    assert_eq!(policies()["thumbs"]["PolicyDocument"]["Statement"], json!([]), "here, a policy without statements");

    let everybody = json!({"FunctionName": "thumbs", "StatementId": "all", "Action": "lambda:InvokeFunction",
        "Principal": "*"});
    aws.call("lambda", "add_permission", everybody);
    assert_eq!(policies()["thumbs"]["PolicyDocument"]["Statement"][0]["Principal"], "*");

    let peer = Peer { url: &url, account: ACCOUNT, without: &["RuntimeManagementConfig"] };
    let found = read_of(peer, "AWS::Lambda::Function").unwrap();
    let expected = json!({"FunctionName": "thumbs", "Arn": arn, "Runtime": "python3.12", "Role": role, "Handler": "a.b",
        "Timeout": 10, "MemorySize": 256, "Architectures": ["arm64"], "Environment": {"Variables": {"STAGE": "prod"}},
        "TracingConfig": {"Mode": "Active"}, "Tags": [{"Key": "team", "Value": "data"}],
        "DeadLetterConfig": {"TargetArn": dead}, "KmsKeyArn": "arn:aws:kms:eu-west-1:1:key/k", "Description": "",
        "EphemeralStorage": {"Size": 512}, "PackageType": "Zip", "ReservedConcurrentExecutions": 3,
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/thumbs"}, "RecursiveLoop": "Terminate",
        "SnapStartResponse": {"ApplyOn": "None", "OptimizationStatus": "Off"}});
    assert_eq!((found.len(), &found["thumbs"]), (1, &expected));
}
