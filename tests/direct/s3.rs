//! S3's kinds.

use serde_json::{Value, json};

use super::read;
use crate::harness::aws::{Checks, Ministack, REGION};

#[test]
fn a_bucket_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let home = json!({"LocationConstraint": REGION});
    aws.call("s3", "create_bucket", json!({"Bucket": "plain", "CreateBucketConfiguration": home}));
    aws.call("s3", "create_bucket", json!({"Bucket": "logs", "CreateBucketConfiguration": home}));
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": "arn:aws:s3:::logs/*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]});
    let blocks = json!({"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
        "RestrictPublicBuckets": false});
    let encryption = json!({"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "k"}, "BucketKeyEnabled": true}]});
    let lifecycle = json!({"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"},
        "Expiration": {"Days": 30}, "Transitions": [{"Days": 7, "StorageClass": "GLACIER"}]}]});
    let cors = json!({"CORSRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://example.org"],
        "MaxAgeSeconds": 60}]});
    for (operation, argument, value) in [
        ("put_bucket_tagging", "Tagging", json!({"TagSet": [{"Key": "team", "Value": "a & b"}]})),
        ("put_bucket_versioning", "VersioningConfiguration", json!({"Status": "Enabled"})),
        ("put_public_access_block", "PublicAccessBlockConfiguration", blocks.clone()),
        ("put_bucket_encryption", "ServerSideEncryptionConfiguration", encryption),
        ("put_bucket_lifecycle_configuration", "LifecycleConfiguration", lifecycle),
        ("put_bucket_cors", "CORSConfiguration", cors),
        ("put_bucket_policy", "Policy", Value::from(policy.to_string())),
    ] {
        aws.call("s3", operation, json!({"Bucket": "logs", argument: value}));
    }
    let found = read(&aws.url(), "AWS::S3::Bucket").unwrap();
    let expected = json!({"BucketName": "logs", "Tags": [{"Key": "team", "Value": "a & b"}],
        "VersioningConfiguration": {"Status": "Enabled"}, "PublicAccessBlockConfiguration": blocks,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": true,
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}]},
        "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 30,
            "Transitions": [{"TransitionInDays": 7, "StorageClass": "GLACIER"}]}]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://example.org"],
            "MaxAge": 60}]}});
    assert_eq!(found["logs"], expected, "{:#}", found["logs"]);
    assert_eq!(found["plain"]["BucketName"], "plain");
    let policies = read(&aws.url(), "AWS::S3::BucketPolicy").unwrap();
    assert_eq!(policies["logs"], json!({"Bucket": "logs", "PolicyDocument": policy}));
    assert_eq!(policies.len(), 1);
    let lists = read(&aws.url(), "AWS::S3::BucketAcl").unwrap();
    assert_eq!(lists["logs"]["Grants"][0]["Permission"], "FULL_CONTROL");
}
