//! What an API server adds, keeps apart or writes in its own way.
//!
//! Knows the built-in lists by their names, since a custom resource copies them with their names. Does not talk to the
//! server: what it would answer to an apply is the exact re-read's business.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::walk::{Place, Step, Walk, is_empty};
use super::{ChangeOp, quantity, scalar, text};
use crate::schema::mark;

/// The annotation in which `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Attributes of `metadata` that the server keeps.
const SERVER_METADATA: [&str; 8] = [
    "creationTimestamp",
    "resourceVersion",
    "uid",
    "selfLink",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Returns whether an attribute is the server's own and says nothing about what was asked for.
pub(super) fn is_bookkeeping(path: &[Step<'_>], name: &str) -> bool {
    match path {
        [] => matches!(name, "status"),
        [Step::Name("metadata")] => SERVER_METADATA.contains(&name),
        [Step::Name("metadata"), Step::Name("annotations")] => name == LAST_APPLIED,
        [.., Step::Name("template" | "volumeClaimTemplates"), Step::Name("metadata")]
        | [.., Step::Name("volumeClaimTemplates"), Step::Item(_), Step::Name("metadata")] => {
            name == "creationTimestamp"
        }
        [.., Step::Name("volumeClaimTemplates"), Step::Item(_)] => name == "status",
        _ => false,
    }
}

/// Returns whether an attribute that was not read may be missing without anything being wrong.
pub(super) fn is_elsewhere(path: &[Step<'_>], value: &Value, _: &Map<String, Value>) -> bool {
    // A namespace on an object of the cluster is dropped by the server.
    matches!(path, [Step::Name("metadata"), Step::Name("namespace")]) && value.is_string()
}

/// Compares `stringData`, which the server takes and gives back, encoded, in `data`.
pub(super) fn string_data<'a>(walk: &mut Walk<'a>, declared: &'a Value, observed: &'a Map<String, Value>) {
    let data = observed.get("data");
    for (name, value) in declared.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let found = data.and_then(|data| data.get(name)).filter(|found| !found.is_null());
        let same = match found.and_then(Value::as_str) {
            Some(found) => found == text::base64(text.as_bytes()),
            None => text.is_empty(),
        };
        let plain = observed.get("stringData").and_then(|data| data.get(name)) == Some(value);
        if same || plain {
            let found = found.unwrap_or(&Value::Null);
            walk.below(Step::Name(name), |walk| {
                walk.fold("the server keeps it, encoded, in `data`", (value, found), Place::default());
            });
        } else {
            let op = if found.is_some() { ChangeOp::Changed } else { ChangeOp::Removed };
            walk.below(Step::Name(name), |walk| {
                walk.report(op, (value, found.unwrap_or(&Value::Null)), Place::default());
            });
        }
    }
}

/// Returns whether `data` holds nothing but what `stringData` declares.
pub(super) fn is_string_data(desired: &Map<String, Value>, name: &str, value: &Value) -> bool {
    let declared = desired.get("stringData").and_then(Value::as_object).filter(|_| name == "data");
    declared
        .is_some_and(|declared| value.as_object().is_some_and(|data| data.keys().all(|key| declared.contains_key(key))))
}

/// Returns the attributes by which the server tells the items of a list apart.
pub(super) fn list_keys(name: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    let keys: &[&str] = match name {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "webhooks"
        | "volumeClaimTemplates"
        | "secrets"
        | "resourceClaims"
        | "validations"
        | "versions"
        | "matchConditions" => &["name"],
        "ports" => return port_keys(items),
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "ownerReferences" => &["uid"],
        "conditions" => &["type"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => return None,
    };
    items.iter().all(|item| keys.iter().all(|key| item.get(key).is_some())).then_some(keys)
}

fn port_keys(items: &[Value]) -> Option<&'static [&'static str]> {
    let all = |key: &str| items.iter().all(|item| item.get(key).is_some());
    if all("containerPort") {
        Some(&["containerPort", "protocol"])
    } else if all("port") {
        Some(&["port", "protocol"])
    } else {
        None
    }
}

/// Returns whether a part of a key is what the server takes it to be when it is not said.
pub(super) fn is_key_default(key: &str, value: &Value) -> bool {
    key == "protocol" && value == "TCP"
}

/// Fields that the server leaves out when they are off or zero, for it cannot tell that from their absence.
const LEFT_OUT: [&str; 21] = [
    "chapAuthDiscovery",
    "chapAuthSession",
    "globalDefault",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "insecureSkipTLSVerify",
    "minReadySeconds",
    "nodePort",
    "nullable",
    "paused",
    "preserveUnknownFields",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "unschedulable",
    "x-kubernetes-embedded-resource",
];

/// Returns whether a declared value is one that the server leaves out.
pub(super) fn is_left_out(name: &str, value: &Value) -> bool {
    let nothing = value == &Value::Bool(false) || value.as_f64() == Some(0.0);
    nothing && LEFT_OUT.contains(&name)
}

/// Returns whether something that nobody declared was put into a value that is written whole.
///
/// A single value in a structure may be the server's default, and so may an amount: it derives requests from limits. Any
/// other entry of a map, a list or a structure is somebody's.
pub(super) fn counts_in_atomic(path: &[Step<'_>], (name, value): (&str, &Value), (at, place): (Place, Place)) -> bool {
    let is_entry = at.marks & mark::FREE_FORM != 0 || value.is_object() || value.is_array();
    // A structure without anything in it may say a lot: as a selector, everything.
    let says_something = value.is_object() || !is_empty(value);
    is_entry && place.marks & mark::QUANTITY == 0 && says_something && !is_bookkeeping(path, name)
}

/// Returns whether an attribute is one of the maps that a server leaves out when they are empty. Structures are given
/// back as they are.
pub(super) fn is_map(name: &str) -> bool {
    matches!(
        name,
        "annotations"
            | "binaryData"
            | "capacity"
            | "data"
            | "default"
            | "defaultRequest"
            | "hard"
            | "labels"
            | "limits"
            | "matchLabels"
            | "nodeSelector"
            | "options"
            | "overhead"
            | "parameters"
            | "requests"
            | "selector"
            | "stringData"
            | "volumeAttributes"
    )
}

/// Returns whether the order of a list means nothing.
pub(super) fn is_set(name: &str) -> bool {
    matches!(name, "finalizers" | "subsets" | "addresses" | "notReadyAddresses" | "accessModes")
}

/// Returns whether two scalars are the same to the server.
pub(super) fn same_scalar(walk: &Walk<'_>, (desired, observed): (&Value, &Value), at: Place) -> bool {
    if walk.path.len() == 1 && walk.name() == "apiVersion" {
        return group(desired) == group(observed);
    }
    if walk.inside(|name| name == "annotations" || name == "labels") && !walk.inside(|name| name == "spec") {
        return false;
    }
    let texts = || Some((desired.as_str()?, observed.as_str()?));
    let span = |(left, right)| matches!((quantity::duration(left), quantity::duration(right)), (Some(left), Some(right)) if left == right);
    let is_amount = if walk.is_stated(at) { at.marks & mark::QUANTITY != 0 } else { walk.inside(is_amount) };
    // Controllers write durations in their own way too, and no schema of a custom resource says that a text is one.
    let is_duration = at.marks & mark::DURATION != 0 || is_duration(walk.name());
    (is_amount && scalar::same_quantity(desired, observed))
        || (is_duration && texts().is_some_and(span))
        || (at.marks & mark::ENCODED != 0
            && texts().is_some_and(|(left, right)| without_breaks(left).eq(without_breaks(right))))
        || walk.name() == "data" && is_empty(desired) && is_empty(observed)
}

/// The server takes base64 in lines, and gives it back in one.
fn without_breaks(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n'))
}

fn group(api_version: &Value) -> Option<&str> {
    Some(api_version.as_str()?.split_once('/').map_or("", |(group, _)| group))
}

fn is_amount(name: &str) -> bool {
    matches!(
        name,
        "requests"
            | "limits"
            | "capacity"
            | "allocatable"
            | "hard"
            | "sizeLimit"
            | "storage"
            | "divisor"
            | "averageValue"
            | "overhead"
            | "default"
            | "defaultRequest"
            | "max"
            | "min"
            | "maxLimitRequestRatio"
            | "resources"
            | "cpu"
            | "memory"
            | "targetValue"
    )
}

fn is_duration(name: &str) -> bool {
    name == "duration"
        || ["Duration", "Timeout", "Interval", "Period", "After", "Before", "interval", "timeout"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Returns whether an attribute that nobody declared may have been set by somebody.
pub(super) fn is_worth_listing(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    let above = walk.path.len().checked_sub(1).and_then(|end| walk.path.get(..end)).unwrap_or_default();
    let named_already = above.is_empty() && matches!(name, "kind" | "apiVersion");
    !(named_already || is_bookkeeping(above, name) || is_empty(value))
}

/// Managers that apply what Git says.
const APPLIERS: [&str; 9] = [
    "argocd-controller",
    "argocd-application-controller",
    "argocd-server",
    "kustomize-controller",
    "helm-controller",
    "kubectl-client-side-apply",
    "kubectl",
    "helm",
    "Helm",
];

/// Notes what Git once declared and does no longer, while it is still there: by what was last applied, and by the fields
/// that a manager who applies from Git owns.
pub(super) fn given_up<'a>(walk: &mut Walk<'a>, desired: &'a Value, observed: &'a Value) {
    let metadata = observed.get("metadata");
    let annotation = metadata.and_then(|m| m.get("annotations")?.get(LAST_APPLIED)?.as_str());
    if let Some(applied) = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        let mut paths = Vec::new();
        removed(walk, &applied, (desired, observed), (&mut Vec::new(), walk.root()), &mut paths);
        note(walk, paths);
    }
    for owner in metadata.and_then(|m| m.get("managedFields")?.as_array()).into_iter().flatten() {
        let is = |field: &str, word: &str| owner.get(field).and_then(Value::as_str) == Some(word);
        // Who creates or updates an object owns all of it, the server's defaults too; who applies, what was applied.
        let applies = is("operation", "Apply") && APPLIERS.iter().any(|name| is("manager", name));
        let whole = owner.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty();
        if let Some(fields) = owner.get("fieldsV1").filter(|_| applies && whole) {
            let mut paths = Vec::new();
            disowned(fields, (desired, observed), &mut Vec::new(), &mut paths);
            note(walk, paths);
        }
    }
}

/// One step of the way to a value that was given up, in the observed object.
type Way<'a> = Vec<Step<'a>>;

fn note<'a>(walk: &mut Walk<'a>, found: Vec<(Way<'a>, &'a Value)>) {
    for (way, value) in found {
        let before = std::mem::replace(&mut walk.path, way);
        let reason = "Git declared it before and does so no longer, and it is still there";
        walk.report_because(ChangeOp::Added, (&Value::Null, value), Place::default(), reason);
        walk.path = before;
    }
}

fn is_kept_by_server(path: &[Step<'_>], name: &str) -> bool {
    is_bookkeeping(path, name)
        || (path.is_empty() && matches!(name, "apiVersion" | "kind"))
        || (path.len() == 1 && matches!(name, "namespace" | "name"))
}

/// Collects what `applied` has, `desired` lacks and `observed` still has. What the server takes for it anyway would come
/// back, and is nothing that is left to remove.
fn removed<'a>(
    walk: &Walk<'a>,
    applied: &Value,
    (desired, observed): (&'a Value, &'a Value),
    (way, at): (&mut Way<'a>, Place),
    out: &mut Vec<(Way<'a>, &'a Value)>,
) {
    match (applied, desired, observed) {
        (Value::Object(applied), Value::Object(desired), Value::Object(observed)) => {
            for (name, value) in observed {
                let Some(before) = applied.get(name).filter(|_| !is_kept_by_server(way, name)) else { continue };
                let inside = walk.named(at, name);
                way.push(Step::Name(name));
                match desired.get(name) {
                    None | Some(Value::Null) if is_empty(value) || walk.is_default(value, inside) => {}
                    None | Some(Value::Null) if before.is_object() && value.is_object() => {
                        removed(walk, before, (nothing(), value), (way, inside), out);
                    }
                    None | Some(Value::Null) => out.push((way.clone(), value)),
                    Some(wanted) => removed(walk, before, (wanted, value), (way, inside), out),
                }
                way.pop();
            }
        }
        (Value::Array(applied), Value::Array(desired), Value::Array(observed)) => {
            let name = way.last().map_or("", |step| if let Step::Name(name) = step { *name } else { "" });
            let keys = keys_at(walk, name, applied, at);
            if keys.is_empty() {
                return;
            }
            let inside = walk.item(at);
            for (index, item) in observed.iter().enumerate() {
                let Some(before) = applied.iter().find(|other| shares(&keys, other, item)) else { continue };
                way.push(Step::Item(index));
                match desired.iter().find(|other| shares(&keys, other, item)) {
                    None => out.push((way.clone(), item)),
                    Some(wanted) => removed(walk, before, (wanted, item), (way, inside), out),
                }
                way.pop();
            }
        }
        _ => {}
    }
}

/// Returns the attributes by which the items of a list are told apart: as the server states, or by the list's name.
pub(super) fn keys_at<'a>(walk: &Walk<'a>, name: &str, items: &[Value], at: Place) -> Vec<&'a str> {
    if walk.is_stated(at) {
        return walk.stated_keys(at).iter().map(|key| &**key).collect();
    }
    list_keys(name, items).map(<[_]>::to_vec).unwrap_or_default()
}

/// Returns an object that declares nothing.
fn nothing() -> &'static Value {
    static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
    &NOTHING
}

pub(super) fn shares(keys: &[&str], left: &Value, right: &Value) -> bool {
    keys.iter().all(|key| match (left.get(key), right.get(key)) {
        (Some(left), Some(right)) => left == right,
        (Some(one), None) | (None, Some(one)) => is_key_default(key, one),
        (None, None) => true,
    })
}

/// Collects what a manager owns, `desired` lacks and `observed` still has.
fn disowned<'a>(
    fields: &Value,
    (desired, observed): (&'a Value, &'a Value),
    way: &mut Way<'a>,
    out: &mut Vec<(Way<'a>, &'a Value)>,
) {
    for (field, inner) in fields.as_object().into_iter().flatten() {
        let step = match (field.split_at_checked(2), observed) {
            (Some(("f:", name)), Value::Object(map)) => {
                map.get_key_value(name).map(|(name, value)| (Step::Name(name), value))
            }
            (Some(("k:", key)), Value::Array(items)) => {
                keyed(key, items).map(|(index, value)| (Step::Item(index), value))
            }
            _ => None,
        };
        let Some((step, value)) = step.filter(|(_, value)| !is_empty(value)) else { continue };
        if matches!(step, Step::Name(name) if is_kept_by_server(way, name)) {
            continue;
        }
        way.push(step);
        let inner_names = inner.as_object().is_some_and(|inner| inner.keys().any(|key| key.starts_with("f:")));
        match wanted(desired, field) {
            None if inner_names && value.is_object() && matches!(step, Step::Name(_)) => {
                disowned(inner, (nothing(), value), way, out);
            }
            None => out.push((way.clone(), value)),
            Some(wanted) => disowned(inner, (wanted, value), way, out),
        }
        way.pop();
    }
}

fn wanted<'a>(desired: &'a Value, field: &str) -> Option<&'a Value> {
    match (field.split_at_checked(2), desired) {
        (Some(("f:", name)), Value::Object(map)) => {
            map.get(name).or_else(|| map.get("stringData").filter(|_| name == "data"))
        }
        (Some(("k:", key)), Value::Array(items)) => keyed(key, items).map(|(_, value)| value),
        // Another shape than the one that is owned is a change, and noted as one.
        _ => Some(&Value::Null),
    }
}

fn keyed<'a>(key: &str, items: &'a [Value]) -> Option<(usize, &'a Value)> {
    let key: Map<String, Value> = serde_json::from_str(key).ok()?;
    let has = |item: &Value| {
        key.iter()
            .all(|(name, value)| item.get(name).map_or_else(|| is_key_default(name, value), |found| found == value))
    };
    items.iter().enumerate().find(|(_, item)| has(item))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::compare::{Context, Facts, MaskKey, compare};
    use crate::resource::Kind;
    use crate::schema::Schema;

    use super::*;

    fn schema() -> Schema {
        let list = |pointers: &[&str]| pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        Schema {
            keys: [("/spec/rows".to_owned(), vec!["id".to_owned()])].into(),
            sets: list(&["/spec/words"]),
            atomic: list(&["/spec/selector", "/spec/terms"]),
            free_form: list(&["/spec/selector/labels", "/spec/terms/*/most"]),
            quantities: list(&["/spec/size", "/spec/terms/*/most/*"]),
            encoded: list(&["/spec/ca"]),
            defaults: [("/spec/rows/*/mode".to_owned(), json!("Auto"))].into(),
            unstated: list(&["/spec/raw"]),
            ..Schema::default()
        }
    }

    /// Compares two specs under a schema; the paths that changed, then what is undeclared.
    fn check(desired: &Value, observed: &Value, said: &[&str]) {
        let (kind, schema, context, mask) =
            (Kind::from("shop/Thing"), schema(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts::of(&kind, &schema, &context, &mask);
        let spec = |spec: &Value| json!({"spec": spec});
        let found = compare(&spec(desired), &spec(observed), facts);
        let changes = found.changes.iter().map(|change| format!("{} {}", change.op.as_str(), change.path));
        let undeclared = found.undeclared.iter().map(|path| format!("undeclared {path}"));
        assert_eq!(changes.chain(undeclared).collect::<Vec<_>>(), said, "{desired} {observed}");
    }

    #[test]
    fn items_belong_together_by_the_key_that_the_server_states() {
        let (a, b) = (json!({"id": 1, "x": "a"}), json!({"id": 2, "x": "b", "mode": "Auto"}));
        check(&json!({"rows": [a, {"id": 2, "x": "b"}]}), &json!({"rows": [b, a]}), &[]);
        check(&json!({"rows": [a]}), &json!({"rows": [b, a]}), &["undeclared /spec/rows/*"]);
        check(&json!({"rows": [a]}), &json!({"rows": [b]}), &["changed /spec/rows", "undeclared /spec/rows/*"]);
        check(&json!({"words": ["a", "b"]}), &json!({"words": ["b", "c", "a"]}), &["undeclared /spec/words/*"]);
        check(&json!({"words": ["a"]}), &json!({"words": ["b"]}), &["changed /spec/words", "undeclared /spec/words/*"]);
        // `containers` has a key by its name, unless the server states its lists and says nothing of it.
        let names = |first: &str, second: &str| json!({"containers": [{"name": first}, {"name": second}]});
        check(
            &names("a", "b"),
            &names("b", "a"),
            &["changed /spec/containers/0/name", "changed /spec/containers/1/name"],
        );
        check(&json!({"raw": names("a", "b")}), &json!({"raw": names("b", "a")}), &[]);
    }

    #[test]
    fn what_is_written_whole_has_nothing_that_is_not_declared() {
        let selector = |labels: &Value| json!({"selector": {"labels": labels}});
        let (one, two) = (json!({"app": "web"}), json!({"app": "web", "tier": "x"}));
        check(&selector(&one), &selector(&two), &["added /spec/selector/labels/tier"]);
        let more = json!({"selector": {"labels": one, "terms": [{"key": "x"}], "kind": "defaulted"}});
        check(&selector(&one), &more, &["added /spec/selector/terms", "undeclared /spec/selector/kind"]);
        let term = |most: &Value| json!({"terms": [{"most": most}]});
        let derived = term(&json!({"cpu": "1", "memory": "1Gi"}));
        check(&term(&json!({"cpu": 1})), &derived, &["undeclared /spec/terms/0/most/memory"]);
    }

    #[test]
    fn spellings_are_folded_where_the_server_states_what_a_value_is() {
        check(&json!({"size": "1024Mi"}), &json!({"size": "1Gi"}), &[]);
        check(&json!({"limits": "1024Mi"}), &json!({"limits": "1Gi"}), &["changed /spec/limits"]);
        check(&json!({"raw": {"limits": "1024Mi"}}), &json!({"raw": {"limits": "1Gi"}}), &[]);
        check(&json!({"ca": "QUJD\nREVG\n"}), &json!({"ca": "QUJDREVG"}), &[]);
    }

    #[test]
    fn what_the_server_leaves_out_is_not_removed() {
        check(&json!({"hostNetwork": false, "minReadySeconds": 0}), &json!({}), &[]);
        check(&json!({"hostNetwork": true}), &json!({}), &["removed /spec/hostNetwork"]);
        let token = json!({"automountServiceAccountToken": false});
        check(&token, &json!({}), &["removed /spec/automountServiceAccountToken"]);
    }
}
