//! Kubernetes manifests: one object each, or lists of them.
//!
//! Nothing is rendered: what a chart or an overlay would make of a file is not known here.

use std::collections::HashMap;
use std::sync::Arc;

use driftwarden_core::resource::{Desired, Kind, Labels, Origin, Provider};
use serde_json::Value;

/// Whether the objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
}

/// Reach of the kinds that custom resource definitions of the same revision define.
pub type Definitions = HashMap<Kind, Reach>;

/// One object as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The object; its name lacks the namespace, for that may hang on a definition in another file.
    pub desired: Desired,
    /// The namespace that is written.
    pub namespace: Option<Arc<str>>,
}

impl Object {
    /// Returns the name in the cluster: `namespace/name`, or `name` for kinds without namespaces.
    pub fn name(&self, definitions: &Definitions) -> Option<Arc<str>> {
        let name = self.desired.name.as_ref()?;
        let kind = &self.desired.kind;
        let reach = built_in(kind).or_else(|| definitions.get(kind).copied());
        match (reach, &self.namespace) {
            (Some(Reach::Cluster), _) | (None, None) => Some(Arc::clone(name)),
            (_, namespace) => Some(format!("{}/{name}", namespace.as_deref().unwrap_or("default")).into()),
        }
    }

    /// Returns the kind that this object defines, if it is a custom resource definition.
    pub fn defines(&self) -> Option<(Kind, Reach)> {
        if self.desired.kind.as_str() != "apiextensions.k8s.io/CustomResourceDefinition" {
            return None;
        }
        let spec = self.desired.attributes.get("spec")?;
        let group = spec.get("group")?.as_str()?;
        let name = spec.pointer("/names/kind")?.as_str()?;
        let reach = if spec.get("scope")?.as_str()? == "Cluster" { Reach::Cluster } else { Reach::Namespaced };
        Some((Kind::new(format!("{group}/{name}")), reach))
    }
}

/// Why a document that looks like a manifest declares nothing, or cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not meant for a cluster, or cannot be known here.
    Skip(&'static str),
    /// It is broken.
    Invalid(String),
}

/// Returns whether the document is a manifest.
pub fn is_manifest(value: &Value) -> bool {
    text(value, "apiVersion").is_some() && text(value, "kind").is_some()
}

/// Returns the items of a list, with their places in it, or nothing for anything else.
pub fn items(value: &Value) -> Option<&Vec<Value>> {
    let is_list = text(value, "kind").is_some_and(|kind| kind.ends_with("List"));
    value.get("items").filter(|_| is_list)?.as_array()
}

/// Returns the object that a manifest declares.
pub fn object(value: &Value) -> Result<Object, Refusal> {
    let invalid = |why: &str| Refusal::Invalid(why.to_owned());
    let version = text(value, "apiVersion").ok_or_else(|| invalid("`apiVersion` is missing"))?;
    let kind = text(value, "kind").ok_or_else(|| invalid("`kind` is missing"))?;
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    if is_for_a_tool(group, kind) {
        return Err(Refusal::Skip("configuration of a tool, not an object of a cluster"));
    }
    let metadata = value.get("metadata").and_then(Value::as_object);
    let metadata = metadata.ok_or_else(|| invalid("`metadata` is missing"))?;
    let name = match metadata.get("name") {
        Some(Value::String(name)) if is_name(name) => name,
        None if metadata.contains_key("generateName") => {
            return Err(Refusal::Skip("the cluster makes up the name (`generateName`)"));
        }
        None => return Err(invalid("`metadata.name` is missing")),
        Some(_) => return Err(invalid("`metadata.name` is not a name; a number needs quotes")),
    };
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(namespace)) if is_name(namespace) => Some(namespace.as_str().into()),
        Some(_) => return Err(invalid("`metadata.namespace` is not a name; a number needs quotes")),
    };
    let mut attributes = value.clone();
    read_modes(&mut attributes);
    let desired = Desired {
        provider: Provider::Kubernetes,
        account: None,
        region: None,
        kind: Kind::new(if group.is_empty() { kind.to_owned() } else { format!("{group}/{kind}") }),
        name: Some(name.as_str().into()),
        labels: labels(metadata.get("labels")).map_err(Refusal::Invalid)?,
        attributes,
        origin: Origin::default(),
    };
    Ok(Object { desired, namespace })
}

/// Returns the labels that a value holds.
pub fn labels(value: Option<&Value>) -> Result<Labels, String> {
    let map = match value {
        None | Some(Value::Null) => return Ok(Labels::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err("labels must be a map of text".to_owned()),
    };
    map.iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            _ => Err(format!("label `{key}` must be text; a number or `true` needs quotes")),
        })
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Returns whether objects of that group are read by a tool and never stored in a cluster.
fn is_for_a_tool(group: &str, kind: &str) -> bool {
    const GROUPS: [&str; 14] = [
        "kustomize.config.k8s.io",
        "kind.x-k8s.io",
        "k3d.io",
        "kubeadm.k8s.io",
        "kubelet.config.k8s.io",
        "kubeproxy.config.k8s.io",
        "kubescheduler.config.k8s.io",
        "apiserver.config.k8s.io",
        "apiserver.k8s.io",
        "audit.k8s.io",
        "client.authentication.k8s.io",
        "skaffold",
        "eksctl.io",
        "backstage.io",
    ];
    GROUPS.contains(&group) || group.is_empty() && matches!(kind, "Config" | "Kustomization" | "Component")
}

/// Makes numbers of file modes: `defaultMode: 0644` is an octal number to a cluster, and text to YAML 1.2.
fn read_modes(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if matches!(key.as_str(), "defaultMode" | "mode") {
                    if let Some(mode) = octal(value) {
                        *value = mode.into();
                    }
                } else {
                    read_modes(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(read_modes),
        _ => {}
    }
}

fn octal(value: &Value) -> Option<u32> {
    let digits = value.as_str()?.strip_prefix('0')?;
    let digits = digits.strip_prefix('o').unwrap_or(digits);
    (digits.len() <= 4).then(|| u32::from_str_radix(digits, 8).ok()).flatten()
}

/// Returns the reach of a kind that every cluster has.
fn built_in(kind: &Kind) -> Option<Reach> {
    const CLUSTER: [&str; 38] = [
        "ComponentStatus",
        "Namespace",
        "Node",
        "PersistentVolume",
        "admissionregistration.k8s.io/MutatingAdmissionPolicy",
        "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
        "apiextensions.k8s.io/CustomResourceDefinition",
        "apiregistration.k8s.io/APIService",
        "authentication.k8s.io/SelfSubjectReview",
        "authentication.k8s.io/TokenReview",
        "authorization.k8s.io/SelfSubjectAccessReview",
        "authorization.k8s.io/SelfSubjectRulesReview",
        "authorization.k8s.io/SubjectAccessReview",
        "certificates.k8s.io/CertificateSigningRequest",
        "certificates.k8s.io/ClusterTrustBundle",
        "flowcontrol.apiserver.k8s.io/FlowSchema",
        "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
        "gateway.networking.k8s.io/GatewayClass",
        "internal.apiserver.k8s.io/StorageVersion",
        "metrics.k8s.io/NodeMetrics",
        "networking.k8s.io/IPAddress",
        "networking.k8s.io/IngressClass",
        "networking.k8s.io/ServiceCIDR",
        "node.k8s.io/RuntimeClass",
        "policy/PodSecurityPolicy",
        "rbac.authorization.k8s.io/ClusterRole",
        "rbac.authorization.k8s.io/ClusterRoleBinding",
        "resource.k8s.io/DeviceClass",
        "resource.k8s.io/ResourceSlice",
        "scheduling.k8s.io/PriorityClass",
        "storage.k8s.io/CSIDriver",
        "storage.k8s.io/CSINode",
        "storage.k8s.io/StorageClass",
        "storage.k8s.io/VolumeAttachment",
    ];
    const OTHER_CLUSTER: [&str; 3] = [
        "storage.k8s.io/VolumeAttributesClass",
        "storagemigration.k8s.io/StorageVersionMigration",
        "cert-manager.io/ClusterIssuer",
    ];
    const GROUPS: [&str; 14] = [
        "apps",
        "autoscaling",
        "batch",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "authorization.k8s.io",
        "storage.k8s.io",
        "metrics.k8s.io",
    ];
    if CLUSTER.contains(&kind.as_str()) || OTHER_CLUSTER.contains(&kind.as_str()) {
        return Some(Reach::Cluster);
    }
    let group = kind.as_str().rsplit_once('/').map_or("", |(group, _)| group);
    (group.is_empty() || GROUPS.contains(&group)).then_some(Reach::Namespaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Answers with `kind name` of the manifest's object.
    fn check(value: &Value, want: &str) {
        let object = object(value).unwrap();
        let name = object.name(&Definitions::new()).unwrap();
        assert_eq!(format!("{} {name}", object.desired.kind), want);
    }

    #[test]
    fn kinds_and_names_are_those_of_the_cluster() {
        check(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}), "Pod default/a");
        check(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}), "Namespace a");
        check(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "b"}}),
            "Namespace a",
        );
        check(
            &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}}),
            "apps/Deployment b/a",
        );
        check(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:x"}}),
            "rbac.authorization.k8s.io/ClusterRole system:x",
        );
        check(&json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a"}}), "x.io/Thing a");
        check(
            &json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "b"}}),
            "x.io/Thing b/a",
        );
    }

    #[test]
    fn a_definition_says_where_its_kind_lives() {
        let defines = |scope: &str| {
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "things.x.io"},
                "spec": {"group": "x.io", "scope": scope, "names": {"kind": "Thing"}}
            });
            Definitions::from([object(&definition).unwrap().defines().unwrap()])
        };
        let thing = |namespace: Option<&str>| {
            let mut value = json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a"}});
            if let Some(namespace) = namespace {
                value["metadata"]["namespace"] = namespace.into();
            }
            object(&value).unwrap()
        };
        assert_eq!(&*thing(None).name(&defines("Namespaced")).unwrap(), "default/a");
        assert_eq!(&*thing(Some("b")).name(&defines("Namespaced")).unwrap(), "b/a");
        assert_eq!(&*thing(Some("b")).name(&defines("Cluster")).unwrap(), "a");
    }

    #[test]
    fn what_no_cluster_stores_is_skipped() {
        for value in [
            json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}),
            json!({"apiVersion": "v1", "kind": "Config", "clusters": []}),
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "a-"}}),
        ] {
            assert!(matches!(object(&value), Err(Refusal::Skip(_))), "{value}");
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        for metadata in [
            json!(null),
            json!({}),
            json!({"name": ""}),
            json!({"name": 1}),
            json!({"name": "a/b"}),
            json!({"name": "a", "namespace": 7}),
            json!({"name": "a", "labels": {"b": true}}),
            json!({"name": "a", "labels": []}),
        ] {
            let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
            assert!(matches!(object(&value), Err(Refusal::Invalid(_))), "{value}");
        }
    }

    #[test]
    fn file_modes_are_octal_numbers() {
        let value = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"volumes": [{"secret": {"defaultMode": "0644", "items": [{"mode": "0o400"}, {"mode": 256}]}}]}
        });
        let attributes = object(&value).unwrap().desired.attributes;
        assert_eq!(
            attributes["spec"]["volumes"][0]["secret"],
            json!({"defaultMode": 420, "items": [{"mode": 256}, {"mode": 256}]})
        );
    }
}
