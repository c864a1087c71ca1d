//! Makes two answers that mean the same be the same: drops what a provider adds, finds labels and names.
//!
//! Only drops what no comparison and no rule could want. What is merely written differently stays as it was read; that
//! it means the same is known to [`crate::compare`].

use serde_json::{Map, Value};

use crate::resource::{Depth, Kind, Labels, Provider, is_unread};

/// Version of this code; part of the key under which an unchanged resource is skipped.
pub const VERSION: u32 = 1;

/// Drops from an observed value what says nothing about its configuration (server-side bookkeeping, status).
pub fn normalize(provider: Provider, kind: &Kind, attributes: &mut Value) {
    let Some(map) = attributes.as_object_mut() else { return };
    match provider {
        Provider::Kubernetes => kubernetes(kind, map),
        Provider::Azure => azure(map),
        Provider::Gcp => {
            map.remove("etag");
        }
        _ => {}
    }
}

/// The status of a node is all there is to it; of everything else, it changes with every heartbeat.
fn kubernetes(kind: &Kind, map: &mut Map<String, Value>) {
    if kind.as_str() != "Node" {
        map.remove("status");
    }
    let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for name in ["resourceVersion", "selfLink", "generation"] {
        metadata.remove(name);
    }
    if let Some(Value::Array(owners)) = metadata.get_mut("managedFields") {
        owners.retain(|owner| owner.get("subresource").and_then(Value::as_str) != Some("status"));
    }
}

fn azure(map: &mut Map<String, Value>) {
    for name in ["etag", "systemData"] {
        map.remove(name);
    }
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("provisioningState");
    }
}

/// Drops from an object what says who wrote it and what was applied, so that only its values speak.
pub(crate) fn forget_writers(attributes: &mut Value) {
    let Some(metadata) = attributes.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("managedFields");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Returns the labels or tags of a resource, whatever shape its provider gives them.
pub fn labels(provider: Provider, attributes: &Value) -> Labels {
    let mut labels = Labels::new();
    match provider {
        Provider::Kubernetes => collect(attributes.pointer("/metadata/labels"), &mut labels),
        Provider::Gcp => ["labels", "resourceLabels", "userLabels"]
            .iter()
            .for_each(|name| collect(attributes.get(name), &mut labels)),
        Provider::Aws => {
            for (_, value) in aws_tags(attributes).filter(|(_, value)| !is_unread(value)) {
                collect(Some(value), &mut labels);
            }
        }
        _ => ["tags_all", "tags", "labels", "Tags"].iter().for_each(|name| collect(attributes.get(name), &mut labels)),
    }
    labels
}

fn aws_tags(attributes: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let is_tags = |name: &str| name.ends_with("Tags") || name.ends_with("TagList") || name == "tags";
    attributes.as_object().into_iter().flatten().filter(move |(name, _)| is_tags(name))
}

/// Returns how much of the labels of a resource was read, of which that much was read in all.
pub(crate) fn depth_of_labels(attributes: &Value, depth: Depth) -> Depth {
    match depth {
        Depth::Partial if aws_tags(attributes).any(|(_, value)| is_unread(value)) => Depth::Listed,
        depth => depth,
    }
}

fn collect(value: Option<&Value>, labels: &mut Labels) {
    match value {
        Some(Value::Object(map)) => {
            labels.extend(map.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))));
        }
        Some(Value::Array(items)) => labels.extend(items.iter().filter_map(pair)),
        _ => {}
    }
}

fn pair(item: &Value) -> Option<(String, String)> {
    let field = |names: [&str; 3]| names.iter().find_map(|name| item.get(name));
    let key = field(["Key", "key", "TagKey"])?.as_str()?.to_owned();
    Some((key, field(["Value", "value", "TagValue"]).and_then(text).unwrap_or_default()))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns the other names under which people know a resource: its `BucketName`, the last part of its ARN or URL.
/// The primary identifier itself is not among them.
pub fn names(provider: Provider, kind: &Kind, identifier: &str, attributes: &Value) -> Vec<String> {
    let attribute = |name: &str| attributes.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let mut names: Vec<String> = match provider {
        Provider::Aws => {
            let last = kind.as_str().rsplit("::").next().unwrap_or_default();
            let own = [
                format!("{last}Name"),
                format!("{last}Identifier"),
                format!("{last}Id"),
                "Name".to_owned(),
                "GroupName".to_owned(),
            ];
            own.iter()
                .filter_map(|name| attribute(name))
                .chain(["Arn", "ARN", &format!("{last}Arn")].iter().filter_map(|name| attribute(name)))
                .collect()
        }
        Provider::Kubernetes => {
            attributes.pointer("/metadata/name").and_then(Value::as_str).map(ToOwned::to_owned).into_iter().collect()
        }
        _ => ["name", "id", "selfLink"].iter().filter_map(|name| attribute(name)).collect(),
    };
    let tails: Vec<String> =
        names.iter().map(String::as_str).chain([identifier]).filter_map(tail).map(ToOwned::to_owned).collect();
    names.extend(tails);
    names.retain(|name| !name.is_empty() && name != identifier);
    names.sort();
    names.dedup();
    names
}

/// Returns what people call a resource of EC2, whose identifier nobody chose: its tag `Name`. Anybody who may tag may take any
/// name, so it counts where nothing is called so by a name of its own, and what looks like an identifier is none.
pub fn nicknames(kind: &Kind, attributes: &Value) -> Vec<String> {
    let tags = attributes.get("Tags").and_then(Value::as_array).filter(|_| kind.as_str().starts_with("AWS::EC2::"));
    let name = |tag: &Value| (tag.get("Key")? == "Name").then(|| tag.get("Value")?.as_str().map(ToOwned::to_owned))?;
    tags.into_iter().flatten().filter_map(name).filter(|name| !is_drawn(name)).collect()
}

/// Returns whether a name is of the form in which EC2 draws its identifiers: `i-0abc…`.
fn is_drawn(name: &str) -> bool {
    let is_hex = |end: &str| end.len() >= 8 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.is_empty() || name.rsplit_once('-').is_some_and(|(_, end)| is_hex(end))
}

/// Returns the last part of an ARN, a URL or a path.
pub(crate) fn tail(name: &str) -> Option<&str> {
    let structured =
        name.starts_with("arn:") || name.contains("://") || name.starts_with('/') || name.starts_with("projects/");
    structured.then(|| name.rsplit(['/', ':']).next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(provider: Provider, kind: &str, identifier: &str, attributes: &Value, expected: &[&str]) {
        assert_eq!(names(provider, &kind.into(), identifier, attributes), expected, "{kind}");
    }

    #[test]
    fn people_know_a_resource_by_its_name_and_by_the_end_of_its_address() {
        check(Provider::Aws, "AWS::S3::Bucket", "logs", &json!({"BucketName": "logs"}), &[]);
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
        check(Provider::Aws, "AWS::SQS::Queue", url, &json!({"QueueName": "jobs"}), &["jobs"]);
        check(Provider::Aws, "AWS::SNS::Topic", "arn:aws:sns:eu-west-1:123456789012:alerts", &json!({}), &["alerts"]);
        let service = json!({"ServiceName": "web", "ServiceArn": "arn:aws:ecs:eu-west-1:1:service/prod/web"});
        let known = ["arn:aws:ecs:eu-west-1:1:service/prod/web", "web", "web|prod"];
        check(Provider::Aws, "AWS::ECS::Service", "arn:aws:ecs:eu-west-1:1:service/prod/web|prod", &service, &known);
        check(Provider::Aws, "AWS::EC2::SecurityGroup", "sg-1", &json!({"GroupName": "web"}), &["web"]);
        check(Provider::Kubernetes, "Pod", "shop/cart", &json!({"metadata": {"name": "cart"}}), &["cart"]);
    }

    #[test]
    fn what_nobody_could_name_is_known_by_its_tag() {
        let tagged = |value: &str| json!({"Tags": [{"Key": "team", "Value": "web"}, {"Key": "Name", "Value": value}]});
        let check = |kind: &str, name: &str, expected: &[&str]| {
            assert_eq!(nicknames(&kind.into(), &tagged(name)), expected, "{kind} {name}");
        };
        check("AWS::EC2::VPC", "shop", &["shop"]);
        check("AWS::EC2::VPC", "vpc-0123456789abcdef0", &[]);
        check("AWS::EC2::VPC", "", &[]);
        check("AWS::S3::Bucket", "logs", &[]);
    }

    #[test]
    fn labels_have_many_shapes() {
        let pairs = json!({"Tags": [{"Key": "team", "Value": "data"}]});
        let tags = json!({"tags": {"team": "data"}});
        let label = json!({"labels": {"team": "data"}});
        let meta = json!({"metadata": {"labels": {"team": "data"}}});
        let shapes =
            [(Provider::Aws, pairs), (Provider::Azure, tags), (Provider::Gcp, label), (Provider::Kubernetes, meta)];
        for (provider, attributes) in shapes {
            assert_eq!(labels(provider, &attributes).get("team").map(String::as_str), Some("data"), "{provider}");
        }
    }

    #[test]
    fn a_heartbeat_changes_nothing() {
        let at = |beat: u32| {
            let status = json!({"beat": beat});
            json!({"metadata": {"name": "cart", "resourceVersion": beat.to_string(), "managedFields": [
                {"manager": "kubelet", "subresource": "status", "time": beat}]}, "spec": {"a": 1}, "status": status})
        };
        let normalized = |mut value: Value| {
            normalize(Provider::Kubernetes, &"Pod".into(), &mut value);
            value
        };
        assert_eq!(normalized(at(1)), normalized(at(2)));
    }
}
