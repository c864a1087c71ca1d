//! Secrets Manager: what is known about secrets, never what is in them.

use serde_json::Value;

use super::service::SECRETS_MANAGER;
use super::shape::{each, tags, text};
use super::{Arg, Direct, call, part};

pub(super) const SECRET: Direct = Direct {
    list: &[call("ListSecrets", "SecretList").with(&[("MaxResults", Arg::Int(100))]).pages("NextToken", "NextToken")],
    named: &[call("DescribeSecret", "").with(&[("SecretId", Arg::Name(0))])],
    keep: Some(is_kept),
    gone: &["ResourceNotFoundException"],
    shape: &[
        text("Description", "Description"),
        text("Id", "ARN"),
        text("KmsKeyId", "KmsKeyId"),
        text("Name", "Name"),
        tags("Tags"),
        text("Type", "Type"),
    ],
    parts: &[part(
        call("DescribeSecret", "").with(&[("SecretId", Arg::Of("ARN"))]),
        &[each("ReplicaRegions", "ReplicationStatus", &[text("KmsKeyId", "KmsKeyId"), text("Region", "Region")])],
    )],
    ..Direct::new("AWS::SecretsManager::Secret", &SECRETS_MANAGER, &["ARN"])
};

/// A secret that is to be deleted is gone for all but those who want it back.
fn is_kept(secret: &Value) -> bool {
    secret.get("DeletedDate").is_none_or(Value::is_null)
}
