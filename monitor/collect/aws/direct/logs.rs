//! CloudWatch Logs: log groups.

use serde_json::{Value, json};

use super::service::LOGS;
use super::shape::{int, json as document, made, tags, text, untold};
use super::{Arg, Direct, call, part};

pub(super) const LOG_GROUP: Direct = Direct {
    list: &[call("DescribeLogGroups", "logGroups").with(&[("limit", Arg::Int(50))]).pages("nextToken", "nextToken")],
    named: &[call("DescribeLogGroups", "logGroups")
        .with(&[("limit", Arg::Int(50)), ("logGroupNamePrefix", Arg::Name(0))])
        .pages("nextToken", "nextToken")],
    gone: &["ResourceNotFoundException"],
    shape: &[
        text("Arn", "arn"),
        made("BearerTokenAuthenticationEnabled", "", |group| {
            Some(said_or_off(group, "bearerTokenAuthenticationEnabled"))
        }),
        made("DeletionProtectionEnabled", "", |group| Some(said_or_off(group, "deletionProtectionEnabled"))),
        text("KmsKeyId", "kmsKeyId"),
        text("LogGroupClass", "logGroupClass"),
        text("LogGroupName", "logGroupName"),
        int("RetentionInDays", "retentionInDays"),
        untold("ResourcePolicyDocument"),
    ],
    parts: &[
        part(
            call("ListTagsForResource", "")
                .with(&[("resourceArn", Arg::Arn("logs:{region}:{account}:log-group:", "logGroupName"))]),
            &[tags("tags")],
        ),
        part(
            call("GetDataProtectionPolicy", "").with(&[("logGroupIdentifier", Arg::Of("logGroupName"))]),
            &[document("DataProtectionPolicy", "policyDocument")],
        )
        .when(is_protected),
        part(
            call("DescribeIndexPolicies", "indexPolicies")
                .with(&[("logGroupIdentifiers", Arg::Each("logGroupArn"))])
                .batch(100)
                .pages("nextToken", "nextToken"),
            &[made("FieldIndexPolicies", "", indexes)],
        )
        .join("logGroupIdentifier", "logGroupArn")
        .when(is_standard),
    ],
    ..Direct::new("AWS::Logs::LogGroup", &LOGS, &["logGroupName"])
};

/// What was off when a group was made is not always said to be.
fn said_or_off(group: &Value, key: &str) -> Value {
    group.get(key).filter(|said| said.is_boolean()).cloned().unwrap_or(Value::Bool(false))
}

/// Only of a group that has, or had, a policy is there a status.
fn is_protected(group: &Value) -> bool {
    group.get("dataProtectionStatus").and_then(Value::as_str).is_some_and(|status| status == "ACTIVATED")
}

/// The other classes cannot be indexed.
fn is_standard(group: &Value) -> bool {
    group.get("logGroupClass").and_then(Value::as_str).is_none_or(|class| class == "STANDARD")
}

/// Returns the group's own policies, not those of the account.
fn indexes(policies: &Value) -> Option<Value> {
    let is_own = |policy: &&Value| policy.get("source").and_then(Value::as_str) == Some("LOG_GROUP");
    let document = |policy: &Value| serde_json::from_str(policy.get("policyDocument")?.as_str()?).ok();
    let own: Vec<Value> = policies.as_array()?.iter().filter(is_own).filter_map(document).collect();
    (!own.is_empty()).then(|| json!(own))
}
