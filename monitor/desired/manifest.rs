//! Manifests of our own, for anything that has no better one: only what is written is compared.

use std::sync::Arc;

use driftwarden_core::resource::{Desired, Kind, Origin, Provider};
use serde_json::{Map, Value};

use crate::desired::kubernetes::labels;

/// The group of our own manifests.
pub const GROUP: &str = "driftwarden.dev";

/// Returns whether the document is one of our own manifests.
pub fn is_ours(value: &Value) -> bool {
    let version = value.get("apiVersion").and_then(Value::as_str);
    version.is_some_and(|version| version == GROUP || version.starts_with("driftwarden.dev/"))
}

/// Returns what a manifest declares, or what is wrong with it.
pub fn desired(value: &Value) -> Result<Desired, String> {
    let version = value.get("apiVersion").and_then(Value::as_str);
    if version != Some("driftwarden.dev/v1") {
        return Err("`apiVersion` must be driftwarden.dev/v1".to_owned());
    }
    known_keys("the manifest", value.as_object(), &["apiVersion", "kind", "metadata", "spec"])?;
    let kind = value.get("kind").and_then(Value::as_str).filter(|kind| !kind.is_empty()).ok_or("`kind` is missing")?;
    let metadata = value.get("metadata").and_then(Value::as_object).ok_or("`metadata` is missing")?;
    known_keys("`metadata`", Some(metadata), &["name", "provider", "account", "region", "labels", "annotations"])?;
    let spec = value.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if !spec.is_object() {
        return Err("`spec` must be a map".to_owned());
    }
    Ok(Desired {
        provider: provider(kind, text(metadata, "provider")?.as_deref())?,
        account: text(metadata, "account")?,
        region: text(metadata, "region")?,
        kind: Kind::from(kind),
        name: Some(text(metadata, "name")?.ok_or("`metadata.name` is missing")?),
        labels: labels(metadata.get("labels"))?,
        attributes: spec,
        origin: Origin::default(),
    })
}

pub(super) fn known_keys(what: &str, map: Option<&Map<String, Value>>, known: &[&str]) -> Result<(), String> {
    let unknown = map.into_iter().flat_map(Map::keys).find(|key| !known.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(format!("{what} has no `{key}`; it takes {}", known.join(", "))))
}

/// Returns the sort of system that the form of a kind's name tells, or that is written.
fn provider(kind: &str, written: Option<&str>) -> Result<Provider, String> {
    let told = told_by(kind);
    let Some(written) = written else {
        return told.ok_or_else(|| {
            let known = Provider::ALL.map(Provider::as_str).join(", ");
            format!("`metadata.provider` is missing: kind `{kind}` does not tell it; write one of {known}")
        });
    };
    let provider = written.parse::<Provider>();
    provider.map_err(|_| {
        let known = Provider::ALL.map(Provider::as_str).join(", ");
        format!("`metadata.provider` must be one of {known}")
    })
}

fn told_by(kind: &str) -> Option<Provider> {
    let (group, _) = kind.split_once('/').unwrap_or((kind, ""));
    if kind.starts_with("AWS::") {
        Some(Provider::Aws)
    } else if group.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("Microsoft.")) {
        Some(Provider::Azure)
    } else if group.ends_with(".googleapis.com") {
        Some(Provider::Gcp)
    } else {
        None
    }
}

/// Returns a text of the metadata. A number is refused: `account: 0123` would already have lost its zero.
fn text(metadata: &Map<String, Value>, key: &str) -> Result<Option<Arc<str>>, String> {
    match metadata.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str().into())),
        Some(Value::Number(_)) => Err(format!("`metadata.{key}` must be text; a number needs quotes")),
        Some(_) => Err(format!("`metadata.{key}` must be text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: &str, metadata: &Value, want: Result<Provider, &str>) {
        let value = json!({"apiVersion": "driftwarden.dev/v1", "kind": kind, "metadata": metadata, "spec": {"a": 1}});
        match (desired(&value), want) {
            (Ok(desired), Ok(provider)) => assert_eq!(desired.provider, provider),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
    }

    #[test]
    fn the_kind_tells_the_provider() {
        let name = || json!({"name": "logs"});
        check("AWS::S3::Bucket", &name(), Ok(Provider::Aws));
        check("Microsoft.Storage/storageAccounts", &name(), Ok(Provider::Azure));
        check("microsoft.storage/storageaccounts", &name(), Ok(Provider::Azure));
        check("storage.googleapis.com/Bucket", &name(), Ok(Provider::Gcp));
        check("host", &json!({"name": "h1", "provider": "file"}), Ok(Provider::File));
        check("apps/Deployment", &json!({"name": "a/b", "provider": "kubernetes"}), Ok(Provider::Kubernetes));
        check("host", &name(), Err("`metadata.provider` is missing"));
        check("host", &json!({"name": "h", "provider": "moon"}), Err("must be one of aws"));
    }

    #[test]
    fn everything_written_is_taken_over() {
        let got = desired(&json!({
            "apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket",
            "metadata": {"name": "logs", "account": "012345678901", "region": "eu-west-1", "labels": {"team": "data"}},
            "spec": {"VersioningConfiguration": {"Status": "Enabled"}}
        }))
        .unwrap();
        assert_eq!((got.name.as_deref(), got.account.as_deref()), (Some("logs"), Some("012345678901")));
        assert_eq!((got.region.as_deref(), got.labels["team"].as_str()), (Some("eu-west-1"), "data"));
        assert_eq!(got.attributes, json!({"VersioningConfiguration": {"Status": "Enabled"}}));
    }

    #[test]
    fn what_is_broken_is_refused() {
        check("AWS::S3::Bucket", &json!(null), Err("`metadata` is missing"));
        check("AWS::S3::Bucket", &json!({}), Err("`metadata.name` is missing"));
        check("AWS::S3::Bucket", &json!({"name": 1}), Err("a number needs quotes"));
        check("AWS::S3::Bucket", &json!({"name": "a", "acount": "1"}), Err("has no `acount`"));
        check("AWS::S3::Bucket", &json!({"name": "a", "labels": {"a": 1}}), Err("needs quotes"));
        check("", &json!({"name": "a"}), Err("`kind` is missing"));
    }
}
