//! What an apply of a declaration would make of an object, as the server itself says: a server-side apply, dry.
//!
//! Nothing is written, but the verb `patch` is needed all the same. What is sent goes to the API server that holds the object
//! and to nobody else; neither it nor the answer is ever part of an error.

use driftwarden_core::resource::GapReason;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{Client, Failure};
use super::discovery::Served;
use super::list;
use crate::collect::Rehearsal;

/// Our name as a field manager: it owns nothing, for nothing it applies is kept.
const QUERY: &str = "dryRun=All&fieldManager=driftwarden&force=true";

/// Fields of `metadata` that an apply must not say, or that would make it fail as soon as anything has changed.
const SERVERS_OWN: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Groups of which the following holds.
const BUILT_IN: [&str; 5] = ["", "apps", "batch", "autoscaling", "policy"];

/// Maps of amounts, and amounts, which may be written as numbers everywhere but in an apply.
const AMOUNTS: [&str; 12] = [
    "averageValue",
    "capacity",
    "default",
    "defaultRequest",
    "divisor",
    "hard",
    "limits",
    "max",
    "maxLimitRequestRatio",
    "min",
    "requests",
    "sizeLimit",
];

/// Asks the server what it would make of the object of that name (and namespace) if `declared` were applied.
pub(super) async fn rehearse(
    client: &Client,
    served: &Served,
    (namespace, name): (Option<&str>, &str),
    declared: &Value,
) -> Rehearsal {
    // In the version that is declared: the server translates, and an apply in another version is refused.
    let played = async {
        let served = in_version(served, declared)?;
        let path = format!("{}/{}", served.list_path(namespace), super::encoded(name));
        let longest = client.patience.object;
        let before = object(&served, &client.get(&path, "application/json", longest).await?)?;
        let body = applied(&served, namespace, declared).to_string().into_bytes();
        Ok(match client.apply(&format!("{path}?{QUERY}"), body, longest).await {
            Ok(after) => match object(&served, &after) {
                Ok(after) => Rehearsal::Played { before, after },
                Err(failure) => Rehearsal::Impossible { why: failure.to_string(), before: Some(before) },
            },
            Err(failure) => Rehearsal::Impossible { why: reason(&failure), before: Some(before) },
        })
    };
    played.await.unwrap_or_else(|failure: Failure| Rehearsal::Impossible { why: reason(&failure), before: None })
}

fn in_version(served: &Served, declared: &Value) -> Result<Served, Failure> {
    let version = declared.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
    if version.is_empty() || group(version) != group(&served.api_version) {
        return Err(Failure::new(GapReason::Malformed, "the declaration names no version of the group"));
    }
    Ok(Served { api_version: version.to_owned(), ..served.clone() })
}

/// Returns the declaration as it is applied.
fn applied(served: &Served, namespace: Option<&str>, declared: &Value) -> Value {
    let mut object = declared.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !SERVERS_OWN.contains(&name.as_str()));
        match namespace {
            Some(namespace) => drop(metadata.insert("namespace".to_owned(), namespace.into())),
            None => drop(metadata.remove("namespace")),
        }
    }
    let group = served.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    if BUILT_IN.contains(&group) {
        complete(&mut object);
    }
    object
}

/// Says what older servers want said in an apply and nowhere else: the protocol of each port, for they do not know the
/// default of a key, and amounts as text.
fn complete(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                match inner {
                    Value::Array(ports) if name == "ports" => {
                        ports.iter_mut().filter_map(Value::as_object_mut).for_each(complete_port);
                    }
                    Value::Object(amounts) if AMOUNTS.contains(&name.as_str()) => {
                        amounts.values_mut().for_each(spell_out);
                    }
                    inner if AMOUNTS.contains(&name.as_str()) => spell_out(inner),
                    inner => complete(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(complete),
        _ => {}
    }
}

fn spell_out(amount: &mut Value) {
    if amount.is_number() {
        *amount = amount.to_string().into();
    }
}

fn complete_port(port: &mut Map<String, Value>) {
    if port.contains_key("containerPort") || port.contains_key("port") {
        port.entry("protocol").or_insert_with(|| "TCP".into());
    }
}

fn object(served: &Served, body: &[u8]) -> Result<Box<str>, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::new(GapReason::Malformed, "an object is not UTF-8"))?;
    Ok(list::item(served, text.trim())?.text)
}

/// Says why there was no rehearsal, and what to do where something can be done.
fn reason(failure: &Failure) -> String {
    match failure.reason {
        GapReason::Denied => format!("{failure}; a dry run needs the verb `patch`"),
        _ => failure.to_string(),
    }
}

/// Returns which write of an object its text shows.
pub(super) fn version(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Written {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
    }
    serde_json::from_str(text).ok().map(|written: Written| written.metadata.resource_version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(group: &str, namespace: Option<&str>, declared: &Value, expected: &Value) {
        let served = Served {
            kind: "apps/Deployment".into(),
            kind_name: "Deployment".to_owned(),
            api_version: group.to_owned(),
            plural: "deployments".to_owned(),
            namespaced: namespace.is_some(),
        };
        assert_eq!(applied(&served, namespace, declared), *expected);
    }

    #[test]
    fn an_apply_says_nothing_that_is_the_servers() {
        let declared = json!({"metadata": {"name": "a", "uid": "1", "resourceVersion": "2", "managedFields": []},
            "spec": {"x": 1}, "status": {"y": 1}});
        let expected = json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"x": 1}});
        check("apps/v1", Some("shop"), &declared, &expected);
        let role = json!({"metadata": {"name": "a", "namespace": "shop"}});
        check("rbac.authorization.k8s.io/v1", None, &role, &json!({"metadata": {"name": "a"}}));
    }

    #[test]
    fn an_apply_says_what_older_servers_want_said() {
        let ports = json!({"spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}, {"name": "x"}]}});
        let complete = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}, {"name": "x"}]}});
        check("v1", None, &ports, &complete);
        check("shop/v1", None, &ports, &ports);
        let limits = json!({"resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}}, "max": 3});
        let spelled = json!({"resources": {"limits": {"cpu": "0.5", "memory": "1Gi"}}, "max": "3"});
        check("apps/v1", None, &limits, &spelled);
    }
}
