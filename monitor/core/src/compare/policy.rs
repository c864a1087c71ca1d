//! Policy documents: what a statement does not say is decided all the same, so all of it counts.
//!
//! Does not evaluate a policy: two documents that allow the same in different words are different.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Returns whether what is declared is a policy document as IAM knows it.
pub(super) fn is_document(desired: &Map<String, Value>) -> bool {
    match desired.get("Statement") {
        Some(Value::Array(items)) => !items.is_empty() && items.iter().all(is_statement),
        Some(one) => is_statement(one),
        None => false,
    }
}

fn is_statement(value: &Value) -> bool {
    value.get("Effect").is_some()
}

/// Returns whether an attribute that is not declared changes what a document means.
pub(super) fn counts(desired: &Map<String, Value>, name: &str, value: &Value) -> bool {
    let label = match name {
        "Version" | "Id" => desired.contains_key("Statement"),
        "Sid" => desired.contains_key("Effect"),
        _ => false,
    };
    !label && !super::walk::is_empty(value)
}

/// Returns whether two documents say the same, in whichever version of the language.
pub(super) fn same_but_for_version(left: &Value, right: &Value) -> bool {
    let (Value::Object(left), Value::Object(right)) = (left, right) else { return false };
    let rest = |map: &'_ Map<String, Value>| map.iter().filter(|(name, _)| *name != "Version").count();
    left.contains_key("Statement")
        && rest(left) == rest(right)
        && left.iter().all(|(name, value)| name == "Version" || right.get(name) == Some(value))
}

/// Returns whether two principals are the same: everybody is written as `*` and as `{"AWS": "*"}`.
pub(super) fn same_principal(name: &str, desired: &Value, observed: &Value) -> bool {
    matches!(name, "Principal" | "NotPrincipal") && is_everybody(desired) && is_everybody(observed)
}

/// Returns whether two principals may be one origin access identity: S3 keeps it as an ARN when it is given by the number
/// of its canonical user. Which number belongs to which ARN is not said.
pub(super) fn may_be_one_user(desired: &Map<String, Value>, observed: &Map<String, Value>) -> bool {
    let identity = |value: &Value| value.as_str().is_some_and(|arn| arn.contains(":iam::cloudfront:user/"));
    desired.len() == 1
        && observed.len() == 1
        && desired.get("CanonicalUser").is_some_and(Value::is_string)
        && observed.get("AWS").is_some_and(identity)
}

/// Returns whether a resource is what API Gateway makes of its own shorthand: `execute-api:/stage/*` of one API.
pub(super) fn is_shorthand(short: &str, long: &str) -> bool {
    let Some(path) = short.strip_prefix("execute-api:/") else { return false };
    let mut parts = long.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("execute-api")
        && parts.nth(2).and_then(|resource| resource.split_once('/')).is_some_and(|(_, rest)| rest == path)
}

fn is_everybody(value: &Value) -> bool {
    match value {
        Value::String(text) => text == "*",
        Value::Array(items) => items.len() == 1 && items.iter().all(is_everybody),
        Value::Object(map) => map.len() == 1 && map.get("AWS").is_some_and(is_everybody),
        _ => false,
    }
}

/// Returns whether two texts name the same account: by its number, or by the ARN of its root.
pub(super) fn same_account(left: &str, right: &str) -> bool {
    matches!((account(left), account(right)), (Some(left), Some(right)) if left == right)
}

fn account(text: &str) -> Option<&str> {
    let id = match text.strip_suffix(":root") {
        Some(arn) => arn.strip_prefix("arn:")?.split_once(":iam::")?.1,
        None => text,
    };
    (id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

/// Returns whether two policies of Google grant the same: a role to a member under a condition, however these are gathered.
pub(super) fn same_grants((desired, observed): (&[Value], &[Value])) -> bool {
    matches!((grants(desired), grants(observed)), (Some(left), Some(right)) if left == right)
}

/// What stands before a mail address or a domain in a member. In others, case may mean something.
const ADDRESSED: [&str; 4] = ["user:", "group:", "serviceAccount:", "domain:"];

/// Returns every role with each of its members, whose mail addresses are kept in lower case.
fn grants(bindings: &[Value]) -> Option<BTreeSet<(&str, String, String)>> {
    let mut grants = BTreeSet::new();
    for binding in bindings {
        let known = |name: &String| matches!(name.as_str(), "role" | "members" | "condition" | "bindingId");
        let map = binding.as_object().filter(|map| map.keys().all(known))?;
        let role = map.get("role")?.as_str()?;
        let condition = map.get("condition").filter(|condition| !condition.is_null());
        let condition = condition.map(ToString::to_string).unwrap_or_default();
        for member in map.get("members")?.as_array()? {
            let member = member.as_str()?;
            let is_addressed = ADDRESSED.iter().any(|start| member.starts_with(start));
            let member = if is_addressed { member.to_ascii_lowercase() } else { member.to_owned() };
            grants.insert((role, member, condition.clone()));
        }
    }
    Some(grants)
}
