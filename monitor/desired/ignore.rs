//! Ignore rules as they are written: manifests of our own, beside what they are about.
//!
//! Who accepts a difference says so with a name, a reason and an end. What a rule hides is decided in the core.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftwarden_core::compare::Ignore;
use driftwarden_core::ignore::{IgnoreRule, Subject};
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::desired::kubernetes::labels;
use crate::desired::manifest::known_keys;
use crate::desired::yaml::{Flaw, Place};

/// The kind of such a manifest.
pub const KIND: &str = "IgnoreRule";

/// Returns whether a manifest of our own is an ignore rule.
pub fn is_rule(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some(KIND)
}

/// What is wrong with a rule, and what to do about it.
type Wrong = (String, Option<&'static str>);

/// Returns the rule that a manifest states, or what is wrong with it.
pub fn rule(value: &Value, (file, place): (&Arc<str>, Place)) -> Result<IgnoreRule, Flaw> {
    read(value, (file, place.line)).map_err(|(why, hint)| Flaw { place, why, hint })
}

fn read(value: &Value, (file, line): (&Arc<str>, u32)) -> Result<IgnoreRule, Wrong> {
    if value.get("apiVersion").and_then(Value::as_str) != Some("driftwarden.dev/v1") {
        return Err(("`apiVersion` must be driftwarden.dev/v1".to_owned(), None));
    }
    known_keys("the manifest", value.as_object(), &["apiVersion", "kind", "metadata", "spec"]).map_err(plain)?;
    let metadata = map(value, "metadata")?;
    known_keys("`metadata`", Some(metadata), &["name", "annotations"]).map_err(plain)?;
    let spec = map(value, "spec")?;
    let known = ["match", "paths", "managers", "owner", "reason", "until"];
    known_keys("`spec`", Some(spec), &known).map_err(plain)?;
    let text = |key: &str, hint| said(spec, key).ok_or_else(|| missing(&format!("spec.{key}"), hint));
    Ok(IgnoreRule {
        name: said(metadata, "name")
            .ok_or_else(|| missing("metadata.name", "give the rule a name to be told by"))?
            .into(),
        source: Arc::default(),
        subject: subject(map_in(spec, "spec.match")?)?,
        what: what(spec)?,
        owner: text("owner", "say who answers for it, as in `owner: team-data`")?,
        reason: text("reason", "say why it may differ; whoever reads it next year will ask")?,
        until: until(spec)?,
        file: Arc::clone(file),
        line,
    })
}

fn plain(why: String) -> Wrong {
    (why, None)
}

fn missing(what: &str, hint: &'static str) -> Wrong {
    (format!("`{what}` is missing"), Some(hint))
}

fn map<'v>(value: &'v Value, key: &str) -> Result<&'v Map<String, Value>, Wrong> {
    value.get(key).and_then(Value::as_object).ok_or_else(|| plain(format!("`{key}` is missing")))
}

fn map_in<'v>(spec: &'v Map<String, Value>, path: &str) -> Result<&'v Map<String, Value>, Wrong> {
    let key = path.rsplit('.').next().unwrap_or(path);
    let hint = "say which resources it is about, as in `match: {kind: apps/Deployment, name: shop/*}`";
    spec.get(key).and_then(Value::as_object).ok_or_else(|| missing(path, hint))
}

/// Returns a text that says something.
fn said(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

fn subject(map: &Map<String, Value>) -> Result<Subject, Wrong> {
    known_keys("`spec.match`", Some(map), &["kind", "name", "labels"]).map_err(plain)?;
    let hint = "name a kind, as in `kind: apps/Deployment`; `*` stands for any characters";
    let kind = said(map, "kind").ok_or_else(|| missing("spec.match.kind", hint))?;
    let labels: BTreeMap<String, String> = labels(map.get("labels")).map_err(plain)?;
    let name = match map.get("name") {
        None | Some(Value::Null) => None,
        Some(_) => Some(said(map, "name").ok_or_else(|| plain("`spec.match.name` must be text".to_owned()))?),
    };
    Ok(Subject { kind, name, labels })
}

fn what(spec: &Map<String, Value>) -> Result<Ignore, Wrong> {
    let (pointers, managers) = (texts(spec, "paths")?, texts(spec, "managers")?);
    if pointers.is_empty() && managers.is_empty() {
        let hint =
            "name what may differ, as in `paths: [/spec/replicas]`, or who may change it, as in `managers: [keda]`";
        return Err(("the rule hides nothing: it has neither `paths` nor `managers`".to_owned(), Some(hint)));
    }
    for pointer in &pointers {
        if !pointer.starts_with('/') {
            let hint = "begin it with a slash, as in `/spec/replicas`; `*` stands for each item";
            return Err((format!("`{pointer}` is no JSON pointer"), Some(hint)));
        }
        if pointer.split('/').skip(1).all(|step| step.is_empty() || step == "*") {
            let hint =
                "name the attributes that may differ; a resource that may differ in everything need not be declared";
            return Err((format!("`{pointer}` would hide everything"), Some(hint)));
        }
    }
    Ok(Ignore { pointers, managers })
}

fn texts(spec: &Map<String, Value>, key: &str) -> Result<Vec<String>, Wrong> {
    let wrong = || plain(format!("`spec.{key}` must be a list of text"));
    match spec.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(ToOwned::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn until(spec: &Map<String, Value>) -> Result<Date, Wrong> {
    let hint = "say until when it is accepted, as in `until: 2027-01-31`; then somebody decides again";
    let text = said(spec, "until").ok_or_else(|| missing("spec.until", hint))?;
    text.parse().map_err(|_| (format!("`spec.until` is no date: `{text}`"), Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written() -> Value {
        json!({
            "apiVersion": "driftwarden.dev/v1", "kind": "IgnoreRule", "metadata": {"name": "scaled"},
            "spec": {
                "match": {"kind": "apps/*", "name": "shop/*", "labels": {"team": "data"}},
                "paths": ["/spec/replicas"], "managers": ["keda"],
                "owner": "team-data", "reason": "scaled by load", "until": "2027-01-31",
            }
        })
    }

    fn read_at_7(value: &Value) -> Result<IgnoreRule, Flaw> {
        rule(value, (&"ignore.yaml".into(), Place { line: 7, column: 1 }))
    }

    #[test]
    fn everything_written_is_taken_over() {
        let rule = read_at_7(&written()).unwrap();
        assert_eq!((&*rule.name, rule.owner.as_str(), rule.reason.as_str()), ("scaled", "team-data", "scaled by load"));
        assert_eq!((rule.subject.kind.as_str(), rule.subject.name.as_deref()), ("apps/*", Some("shop/*")));
        assert_eq!((rule.subject.labels["team"].as_str(), rule.until.to_string().as_str()), ("data", "2027-01-31"));
        assert_eq!(
            rule.what,
            Ignore { pointers: vec!["/spec/replicas".to_owned()], managers: vec!["keda".to_owned()] }
        );
        assert_eq!((&*rule.file, rule.line), ("ignore.yaml", 7));
    }

    /// Writes `value` at `pointer` (takes what is there away if it is null), and expects to be told `why`, with a hint
    /// or without.
    fn check(pointer: &str, value: Value, (why, has_hint): (&str, bool)) {
        let mut written = written();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let map = written.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            map.remove(key)
        } else {
            map.insert(key.to_owned(), value)
        };
        let flaw = read_at_7(&written).unwrap_err();
        assert!(flaw.why.contains(why), "{}", flaw.why);
        assert_eq!((flaw.hint.is_some(), flaw.place.line), (has_hint, 7), "{}", flaw.why);
    }

    #[test]
    fn nobody_ignores_for_ever_or_without_a_name() {
        check("/spec/until", Value::Null, ("`spec.until` is missing", true));
        check("/spec/until", json!("soon"), ("no date: `soon`", true));
        check("/spec/until", json!("2027-02-30"), ("no date", true));
        check("/spec/owner", Value::Null, ("`spec.owner` is missing", true));
        check("/spec/owner", json!(" "), ("`spec.owner` is missing", true));
        check("/spec/reason", Value::Null, ("`spec.reason` is missing", true));
        check("/metadata/name", Value::Null, ("`metadata.name` is missing", true));
        check("/spec/match", Value::Null, ("`spec.match` is missing", true));
        check("/spec/match/kind", Value::Null, ("`spec.match.kind` is missing", true));
        check("/spec/match/name", json!(7), ("must be text", false));
        check("/spec/match/nmae", json!("x"), ("has no `nmae`", false));
        check("/spec/paths", json!(["spec/replicas"]), ("no JSON pointer", true));
        check("/spec/paths", json!(["/*/*"]), ("would hide everything", true));
        check("/spec/paths", json!("/spec"), ("must be a list of text", false));
        check("/spec/untill", json!("2027-01-31"), ("has no `untill`", false));
        check("/apiVersion", json!("driftwarden.dev/v2"), ("must be driftwarden.dev/v1", false));
        let mut bare = written();
        for key in ["paths", "managers"] {
            bare["spec"].as_object_mut().unwrap().remove(key);
        }
        assert!(read_at_7(&bare).unwrap_err().why.contains("hides nothing"));
    }
}
