//! KMS's keys and their names.

use serde_json::json;

use super::read;
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn a_key_is_read_with_its_policy_rotation_and_name() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}}]});
    let asked =
        json!({"Description": "logs", "Policy": policy.to_string(), "Tags": [{"TagKey": "team", "TagValue": "data"}]});
    let id = aws.call("kms", "create_key", asked)["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    aws.call("kms", "enable_key_rotation", json!({"KeyId": id}));
    aws.call("kms", "create_alias", json!({"AliasName": "alias/logs", "TargetKeyId": id}));
    let asked = json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"});
    let other = aws.call("kms", "create_key", asked)["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let found = read(&aws.url(), "AWS::KMS::Key").unwrap();
    let expected = json!({"KeyId": id, "Arn": format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{id}"), "Description": "logs",
        "Enabled": true, "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": false,
        "Origin": "AWS_KMS", "KeyPolicy": policy, "EnableKeyRotation": true, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[&id]), (2, &expected));
    assert_eq!(found[&other]["KeySpec"], json!("HMAC_256"));
    let found = read(&aws.url(), "AWS::KMS::Alias").unwrap();
    assert_eq!((found.len(), &found["alias/logs"]), (1, &json!({"AliasName": "alias/logs", "TargetKeyId": id})));
}
