//! IAM's principals and policies, and what the account has set. Ministack does not tell how often a policy is attached.

use serde_json::{Value, json};

use super::{read, take};
use crate::harness::aws::{ACCOUNT, Checks, Ministack};

fn policy(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

fn trust() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"}}]})
}

/// Makes a role, a user in a group, and a policy that all have.
fn seed(aws: &Ministack) -> String {
    let made =
        json!({"PolicyName": "shared", "PolicyDocument": policy("s3:ListBucket").to_string(), "Description": "all"});
    let arn = aws.call("iam", "create_policy", made)["Policy"]["Arn"].as_str().unwrap().to_owned();
    let inline = policy("s3:GetObject").to_string();
    let calls = [
        (
            "create_role",
            json!({"RoleName": "app", "Path": "/apps/", "Description": "runs", "MaxSessionDuration": 7200,
            "AssumeRolePolicyDocument": trust().to_string(), "Tags": [{"Key": "team", "Value": "data"}]}),
        ),
        ("put_role_policy", json!({"RoleName": "app", "PolicyName": "read", "PolicyDocument": inline})),
        ("attach_role_policy", json!({"RoleName": "app", "PolicyArn": arn})),
        ("create_instance_profile", json!({"InstanceProfileName": "machine"})),
        ("add_role_to_instance_profile", json!({"InstanceProfileName": "machine", "RoleName": "app"})),
        ("create_group", json!({"GroupName": "people"})),
        ("attach_group_policy", json!({"GroupName": "people", "PolicyArn": arn})),
        ("put_group_policy", json!({"GroupName": "people", "PolicyName": "read", "PolicyDocument": inline})),
        ("create_user", json!({"UserName": "ann", "Tags": [{"Key": "team", "Value": "data"}]})),
        ("add_user_to_group", json!({"UserName": "ann", "GroupName": "people"})),
        ("attach_user_policy", json!({"UserName": "ann", "PolicyArn": arn})),
        ("put_user_policy", json!({"UserName": "ann", "PolicyName": "read", "PolicyDocument": inline})),
        (
            "create_login_profile",
            json!({"UserName": "ann", "Password": "a-Long-1-word!", "PasswordResetRequired": true}),
        ),
        ("create_user", json!({"UserName": "bob"})),
    ];
    for (operation, arguments) in calls {
        aws.call("iam", operation, arguments);
    }
    arn
}

#[test]
fn principals_are_read_with_all_their_policies() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let arn = seed(&aws);
    let policies = json!([{"PolicyName": "read", "PolicyDocument": policy("s3:GetObject")}]);
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let mut found = read(&aws.url(), "AWS::IAM::Role").unwrap();
    take(&mut found, "app", "RoleId");
    let expected = json!({"RoleName": "app",  "Path": "/apps/", "Description": "runs", "MaxSessionDuration": 7200,
        "Arn": format!("arn:aws:iam::{ACCOUNT}:role/apps/app"), "AssumeRolePolicyDocument": trust(),
        "ManagedPolicyArns": [arn], "Policies": policies, "Tags": tags});
    assert_eq!(found["app"], expected);
    let found = read(&aws.url(), "AWS::IAM::User").unwrap();
    let expected = json!({"UserName": "ann", "Path": "/", "Arn": format!("arn:aws:iam::{ACCOUNT}:user/ann"),
        "Groups": ["people"], "ManagedPolicyArns": [arn], "Policies": policies, "Tags": tags,
        "LoginProfile": {"PasswordResetRequired": true}});
    assert_eq!(found["ann"], expected);
    let bob = json!({"UserName": "bob", "Path": "/", "Arn": format!("arn:aws:iam::{ACCOUNT}:user/bob")});
    assert_eq!(found["bob"], bob);
    let found = read(&aws.url(), "AWS::IAM::Group").unwrap();
    let expected = json!({"GroupName": "people", "Path": "/", "Arn": format!("arn:aws:iam::{ACCOUNT}:group/people"),
        "ManagedPolicyArns": [arn], "Policies": policies});
    assert_eq!(found["people"], expected);
    let found = read(&aws.url(), "AWS::IAM::InstanceProfile").unwrap();
    let expected = json!({"InstanceProfileName": "machine", "Path": "/", "Roles": ["app"],
        "Arn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/machine")});
    assert_eq!(found["machine"], expected);
}

#[test]
fn a_policy_is_read_in_its_default_version_with_who_has_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let arn = seed(&aws);
    let version = json!({"PolicyArn": arn, "PolicyDocument": policy("s3:PutObject").to_string(), "SetAsDefault": true});
    aws.call("iam", "create_policy_version", version);
    let mut found = read(&aws.url(), "AWS::IAM::ManagedPolicy").unwrap();
    take(&mut found, &arn, "PolicyId");
    let expected = json!({"PolicyArn": arn, "ManagedPolicyName": "shared",  "Path": "/", "Description": "all",
        "DefaultVersionId": "v2", "PolicyDocument": policy("s3:PutObject"), "Roles": ["app"], "Users": ["ann"],
        "Groups": ["people"]});
    assert_eq!((found.len(), &found[&arn]), (1, &expected));
}

#[test]
fn the_account_says_what_it_has_set() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let found = read(&aws.url(), "AWS::IAM::AccountPasswordPolicy").unwrap();
    assert_eq!(found[ACCOUNT], json!({}));
    let set = json!({"MinimumPasswordLength": 14, "RequireSymbols": true, "MaxPasswordAge": 90});
    aws.call("iam", "update_account_password_policy", set);
    let found = read(&aws.url(), "AWS::IAM::AccountPasswordPolicy").unwrap();
    let expected = json!({"MinimumPasswordLength": 14, "RequireSymbols": true, "MaxPasswordAge": 90, "ExpirePasswords": true,
        "AllowUsersToChangePassword": false, "HardExpiry": false, "RequireLowercaseCharacters": false,
        "RequireNumbers": false, "RequireUppercaseCharacters": false});
    assert_eq!(found[ACCOUNT], expected);
    let found = read(&aws.url(), "AWS::IAM::AccountSummary").unwrap();
    let expected =
        json!({"AccountAccessKeysPresent": 0, "AccountMFAEnabled": 0, "AccountSigningCertificatesPresent": 0});
    assert_eq!(found[ACCOUNT], expected);
}

#[test]
fn keys_of_users_are_read_and_a_report_only_if_there_is_one() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    seed(&aws);
    let key = aws.call("iam", "create_access_key", json!({"UserName": "ann"}));
    let id = key["AccessKey"]["AccessKeyId"].as_str().unwrap();
    aws.call("iam", "update_access_key", json!({"UserName": "ann", "AccessKeyId": id, "Status": "Inactive"}));
    let mut found = read(&aws.url(), "AWS::IAM::AccessKey").unwrap();
    take(&mut found, id, "CreateDate");
    let expected = json!({"Id": id, "UserName": "ann", "Status": "Inactive"});
    assert_eq!((found.len(), &found[id]), (1, &expected));
    let gap = read(&aws.url(), "AWS::IAM::CredentialReport").unwrap_err();
    assert!(gap.contains("ReportNotPresent"), "{gap}");
    aws.call("iam", "generate_credential_report", json!({}));
    let found = read(&aws.url(), "AWS::IAM::CredentialReport").unwrap();
    let users = found[ACCOUNT]["Users"].as_array().unwrap();
    let ann = users.iter().find(|user| user["User"] == "ann").unwrap();
    assert_eq!((&ann["PasswordEnabled"], &ann["AccessKey1Active"]), (&json!(true), &json!(false)));
}
