//! KMS: the keys that customers made, and their names.

use serde_json::Value;

use super::service::KMS;
use super::shape::{at, flag, json, tags, text};
use super::{Arg, Call, Direct, Probe, call, part};

const DESCRIBE: Call = call("DescribeKey", "KeyMetadata");

pub(super) const KEY: Direct = Direct {
    list: &[
        call("ListKeys", "Keys").with(&[("Limit", Arg::Int(1000))]).pages("Marker", "NextMarker"),
        DESCRIBE.with(&[("KeyId", Arg::Of("KeyId"))]),
    ],
    named: &[DESCRIBE.with(&[("KeyId", Arg::Name(0))])],
    // Nobody can declare or change those that AWS made.
    keep: Some(|key| at(key, "KeyManager").is_none_or(|manager| manager == "CUSTOMER")),
    gone: &["NotFoundException"],
    shape: &[
        text("KeyId", "KeyId"),
        text("Arn", "Arn"),
        text("Description", "Description"),
        flag("Enabled", "Enabled"),
        text("KeySpec", "KeySpec"),
        text("KeyUsage", "KeyUsage"),
        flag("MultiRegion", "MultiRegion"),
        text("Origin", "Origin"),
    ],
    parts: &[
        part(
            call("GetKeyPolicy", "").with(&[("KeyId", Arg::Of("KeyId")), ("PolicyName", Arg::Text("default"))]),
            &[json("KeyPolicy", "Policy")],
        ),
        part(
            // Keys that cannot rotate have no such setting.
            call("GetKeyRotationStatus", "")
                .with(&[("KeyId", Arg::Of("KeyId"))])
                .none(&["UnsupportedOperationException"]),
            &[flag("EnableKeyRotation", "KeyRotationEnabled")],
        ),
        part(
            call("ListResourceTags", "Tags")
                .with(&[("KeyId", Arg::Of("KeyId")), ("Limit", Arg::Int(50))])
                .pages("Marker", "NextMarker"),
            &[tags("")],
        ),
    ],
    ..Direct::new("AWS::KMS::Key", &KMS, &["KeyId"])
};

/// What the names of AWS's own keys begin with.
const AWS_NAMES: &str = "alias/aws/";

pub(super) const ALIAS: Direct = Direct {
    list: &[call("ListAliases", "Aliases").with(&[("Limit", Arg::Int(100))]).pages("Marker", "NextMarker")],
    probe: Some(Probe {
        call: DESCRIBE
            .with(&[("KeyId", Arg::Name(0))])
            .none(&["InvalidArnException", "ValidationException"])
            .mend(name_target),
        tells: &["TargetKeyId"],
        // To ask for the key of one that AWS names would make that key.
        unless: Some(AWS_NAMES),
    }),
    gone: &["NotFoundException"],
    keep: Some(|alias| at(alias, "AliasName").and_then(Value::as_str).is_none_or(|name| !name.starts_with(AWS_NAMES))),
    shape: &[text("AliasName", "AliasName"), text("TargetKeyId", "TargetKeyId")],
    ..Direct::new("AWS::KMS::Alias", &KMS, &["AliasName"])
};

/// A key is told by itself; whoever lists aliases says which key each stands for.
fn name_target(key: &mut Value) {
    let id = key.get("KeyId").cloned();
    if let (Some(map), Some(id)) = (key.as_object_mut(), id) {
        map.insert("TargetKeyId".to_owned(), id);
    }
}
