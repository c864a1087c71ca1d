//! Resources that nobody declares, because something else makes them: children of a controller, and what a cluster or
//! an account has from birth.
//!
//! Such a resource is collected, checked by rules and compared like any other; it is only nobody's omission in Git.
//! Where one can be told by a label alone, its name has to fit too: a label is too cheap a place to hide.

use serde_json::Value;

use crate::resource::{Kind, Provider};

/// How something that nobody declares is recognized.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// By its kind alone.
    Kind,
    /// By its whole name.
    Named(&'static [&'static str]),
    /// By the last part of its name.
    Last(&'static [&'static str]),
    /// By the start of its name, or a whole name, and a value that it carries.
    Marked(&'static [&'static str], &'static str, &'static str),
    /// By a value that it carries, or its start.
    Carries(&'static str, &'static str),
    /// By what it says of its maker in several places that agree.
    Agrees(fn(&Value) -> bool),
}

struct Fact {
    provider: Provider,
    kind: &'static str,
    sign: Sign,
    reason: &'static str,
}

const fn kubernetes(kind: &'static str, sign: Sign, reason: &'static str) -> Fact {
    Fact { provider: Provider::Kubernetes, kind, sign, reason }
}

const fn aws(kind: &'static str, sign: Sign, reason: &'static str) -> Fact {
    Fact { provider: Provider::Aws, kind, sign, reason }
}

const BOOTSTRAP: &str = "/metadata/labels/kubernetes.io~1bootstrapping";
const DEFAULT_ROLES: &[&str] = &["system:", "cluster-admin", "admin", "edit", "view"];
const AUTOUPDATED: &str = "/metadata/annotations/apf.kubernetes.io~1autoupdate-spec";

/// What nobody declares, kind by kind, and who makes it.
const FACTS: &[Fact] = &[
    kubernetes("Event", Sign::Kind, "happens and expires"),
    kubernetes("events.k8s.io/Event", Sign::Kind, "happens and expires"),
    kubernetes("ComponentStatus", Sign::Kind, "is made up while it is listed"),
    kubernetes("metrics.k8s.io/NodeMetrics", Sign::Kind, "is a measurement"),
    kubernetes("metrics.k8s.io/PodMetrics", Sign::Kind, "is a measurement"),
    kubernetes("Endpoints", Sign::Kind, "follows a service and its pods"),
    kubernetes("discovery.k8s.io/EndpointSlice", Sign::Kind, "follows a service and its pods"),
    kubernetes("coordination.k8s.io/Lease", Sign::Kind, "is a heartbeat"),
    kubernetes("apps/ControllerRevision", Sign::Kind, "is a controller's history"),
    kubernetes("Node", Sign::Kind, "registers itself"),
    kubernetes("storage.k8s.io/CSINode", Sign::Kind, "registers itself"),
    kubernetes("storage.k8s.io/CSIStorageCapacity", Sign::Kind, "is a measurement"),
    kubernetes("storage.k8s.io/VolumeAttachment", Sign::Kind, "follows a volume and its node"),
    kubernetes("networking.k8s.io/IPAddress", Sign::Kind, "follows a service"),
    kubernetes("certificates.k8s.io/CertificateSigningRequest", Sign::Kind, "is a request, gone within a day"),
    kubernetes("Namespace", Sign::Named(SYSTEM_NAMESPACES), "is there from birth"),
    kubernetes("Service", Sign::Named(&["default/kubernetes"]), "is there from birth"),
    kubernetes("networking.k8s.io/ServiceCIDR", Sign::Named(&["kubernetes"]), "is there from birth"),
    kubernetes("ServiceAccount", Sign::Last(&["default"]), "comes with its namespace"),
    kubernetes("ServiceAccount", Sign::Named(CONTROLLER_ACCOUNTS), "belongs to a built-in controller"),
    kubernetes(
        "ConfigMap",
        Sign::Last(&["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"]),
        "is put into every namespace",
    ),
    kubernetes(
        "ConfigMap",
        Sign::Named(&["kube-system/extension-apiserver-authentication"]),
        "is the API server's own",
    ),
    kubernetes("Secret", Sign::Carries("/type", "helm.sh/release.v1"), "is Helm's memory of a release"),
    kubernetes("scheduling.k8s.io/PriorityClass", Sign::Named(PRIORITY_CLASSES), "is there from birth"),
    kubernetes("PersistentVolume", Sign::Carries(PROVISIONED, ""), "was provisioned for a claim"),
    kubernetes(
        "apiregistration.k8s.io/APIService",
        Sign::Carries("/metadata/labels/kube-aggregator.kubernetes.io~1automanaged", ""),
        "follows a built-in group or a custom resource definition",
    ),
    kubernetes("flowcontrol.apiserver.k8s.io/FlowSchema", Sign::Carries(AUTOUPDATED, "true"), "is there from birth"),
    kubernetes(
        "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
        Sign::Carries(AUTOUPDATED, "true"),
        "is there from birth",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/ClusterRole",
        Sign::Marked(DEFAULT_ROLES, BOOTSTRAP, "rbac-defaults"),
        "is there from birth",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/ClusterRoleBinding",
        Sign::Marked(DEFAULT_ROLES, BOOTSTRAP, "rbac-defaults"),
        "is there from birth",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/Role",
        Sign::Marked(SYSTEM_ROLES, BOOTSTRAP, "rbac-defaults"),
        "is there from birth",
    ),
    kubernetes(
        "rbac.authorization.k8s.io/RoleBinding",
        Sign::Marked(SYSTEM_ROLES, BOOTSTRAP, "rbac-defaults"),
        "is there from birth",
    ),
    aws("AWS::IAM::Role", Sign::Carries("/Path", "/aws-service-role/"), "is made by the service that uses it"),
    aws("AWS::IAM::Role", Sign::Carries("/Path", "/aws-reserved/"), "is made by the identity center"),
    aws("AWS::IAM::ManagedPolicy", Sign::Marked(&["arn:aws:iam::aws:"], "", ""), "is maintained by AWS"),
    aws("AWS::KMS::Alias", Sign::Marked(&["alias/aws/"], "", ""), "is made by the service that uses it"),
    aws("AWS::CloudWatch::Alarm", Sign::Agrees(is_of_tracking), "is made by the scaling policy that it tells"),
    aws("AWS::RDS::DBInstance", Sign::Agrees(is_scaled_replica), "is made by the scaling of its cluster"),
];

const SYSTEM_NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];
const SYSTEM_ROLES: &[&str] =
    &["kube-system/system:", "kube-public/system:", "kube-system/extension-apiserver-authentication-reader"];
const CONTROLLER_ACCOUNTS: &[&str] = &[
    "kube-system/attachdetach-controller",
    "kube-system/bootstrap-signer",
    "kube-system/certificate-controller",
    "kube-system/clusterrole-aggregation-controller",
    "kube-system/cronjob-controller",
    "kube-system/daemon-set-controller",
    "kube-system/deployment-controller",
    "kube-system/device-taint-eviction-controller",
    "kube-system/disruption-controller",
    "kube-system/endpoint-controller",
    "kube-system/endpointslice-controller",
    "kube-system/endpointslicemirroring-controller",
    "kube-system/ephemeral-volume-controller",
    "kube-system/expand-controller",
    "kube-system/generic-garbage-collector",
    "kube-system/horizontal-pod-autoscaler",
    "kube-system/job-controller",
    "kube-system/legacy-service-account-token-cleaner",
    "kube-system/namespace-controller",
    "kube-system/node-controller",
    "kube-system/persistent-volume-binder",
    "kube-system/pod-garbage-collector",
    "kube-system/pv-protection-controller",
    "kube-system/pvc-protection-controller",
    "kube-system/replicaset-controller",
    "kube-system/replication-controller",
    "kube-system/resource-claim-controller",
    "kube-system/resourcequota-controller",
    "kube-system/root-ca-cert-publisher",
    "kube-system/selinux-warning-controller",
    "kube-system/service-account-controller",
    "kube-system/service-cidrs-controller",
    "kube-system/service-controller",
    "kube-system/statefulset-controller",
    "kube-system/token-cleaner",
    "kube-system/ttl-after-finished-controller",
    "kube-system/ttl-controller",
    "kube-system/validatingadmissionpolicy-status-controller",
    "kube-system/volumeattributesclass-protection-controller",
];
const PRIORITY_CLASSES: &[&str] = &["system-cluster-critical", "system-node-critical"];
const PROVISIONED: &str = "/metadata/annotations/pv.kubernetes.io~1provisioned-by";

/// Returns whether a resource belongs to another one that made it, and so is nobody's omission in Git.
pub fn is_owned(provider: Provider, kind: &Kind, name: &str, attributes: &Value) -> bool {
    maker(provider, kind, name, attributes).is_some()
}

/// Returns why nobody declares a resource, if nobody does.
pub fn maker(provider: Provider, kind: &Kind, name: &str, attributes: &Value) -> Option<&'static str> {
    if provider == Provider::Kubernetes && is_child(attributes) {
        return Some("is made by its controller");
    }
    let mut facts = FACTS.iter().filter(|fact| fact.provider == provider && fact.kind == kind.as_str());
    facts.find(|fact| shows(fact.sign, name, attributes)).map(|fact| fact.reason)
}

fn is_child(attributes: &Value) -> bool {
    let owners = attributes.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

fn shows(sign: Sign, name: &str, attributes: &Value) -> bool {
    let last = || name.rsplit('/').next().unwrap_or(name);
    match sign {
        Sign::Kind => true,
        Sign::Named(names) => names.contains(&name),
        Sign::Last(names) => names.contains(&last()),
        Sign::Marked(names, pointer, value) => {
            let fits =
                |start: &&str| if start.ends_with([':', '/']) { name.starts_with(*start) } else { name == *start };
            names.iter().any(fits) && carries(attributes, pointer, value)
        }
        Sign::Carries(pointer, value) => carries(attributes, pointer, value),
        Sign::Agrees(agrees) => agrees(attributes),
    }
}

/// Returns whether an alarm does nothing but tell the scaling policy that its name and its description speak of.
fn is_of_tracking(alarm: &Value) -> bool {
    let actions = |name: &str| alarm.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let ([Value::String(policy)], [], []) =
        (actions("AlarmActions"), actions("OKActions"), actions("InsufficientDataActions"))
    else {
        return false;
    };
    let mut arn = policy.split(':').skip(2);
    let is_policy = arn.next() == Some("autoscaling") && arn.nth(2) == Some("scalingPolicy");
    let description = format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy}.");
    is_policy
        && text(alarm, "AlarmName").starts_with("TargetTracking-")
        && text(alarm, "AlarmDescription") == description
}

/// Returns whether a database has the name and the tag that scaling gives the replicas of the cluster that it is in.
fn is_scaled_replica(database: &Value) -> bool {
    let cluster = text(database, "DBClusterIdentifier");
    let tags = database.get("Tags").and_then(Value::as_array);
    let is_mark = |tag: &Value| {
        text(tag, "Key") == "application-autoscaling:resourceId"
            && text(tag, "Value").strip_prefix("cluster:") == Some(cluster)
    };
    !cluster.is_empty()
        && text(database, "DBInstanceIdentifier").starts_with("application-autoscaling-")
        && tags.into_iter().flatten().any(is_mark)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn carries(attributes: &Value, pointer: &str, value: &str) -> bool {
    match attributes.pointer(pointer) {
        Some(Value::String(text)) => text.starts_with(value),
        Some(_) => pointer.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: &str, name: &str, attributes: &Value, is_owned: bool) {
        let provider = if kind.contains("::") { Provider::Aws } else { Provider::Kubernetes };
        assert_eq!(super::is_owned(provider, &Kind::from(kind), name, attributes), is_owned, "{kind} {name}");
    }

    #[test]
    fn children_of_a_controller_are_owned() {
        let child =
            |controller: bool| json!({"metadata": {"ownerReferences": [{"kind": "X", "controller": controller}]}});
        check("Pod", "shop/cart-1", &child(true), true);
        check("Pod", "shop/cart-1", &child(false), false);
        check("Pod", "shop/cart-1", &json!({}), false);
    }

    #[test]
    fn what_a_cluster_makes_itself_is_owned() {
        check("Endpoints", "shop/cart", &json!({}), true);
        check("ServiceAccount", "shop/default", &json!({}), true);
        check("ServiceAccount", "shop/cart", &json!({}), false);
        check("ServiceAccount", "kube-system/job-controller", &json!({}), true);
        check("ServiceAccount", "kube-system/back-door", &json!({}), false);
        check("ConfigMap", "shop/kube-root-ca.crt", &json!({}), true);
        check("ConfigMap", "shop/settings", &json!({}), false);
        check("Namespace", "kube-system", &json!({}), true);
        check("Namespace", "shop", &json!({}), false);
        check("Secret", "shop/sh.helm.release.v1.cart.v1", &json!({"type": "helm.sh/release.v1"}), true);
        check("Secret", "shop/key", &json!({"type": "Opaque"}), false);
    }

    #[test]
    fn a_label_alone_hides_nothing() {
        let born = json!({"metadata": {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}});
        check("rbac.authorization.k8s.io/ClusterRole", "system:node", &born, true);
        check("rbac.authorization.k8s.io/ClusterRole", "edit", &born, true);
        check("rbac.authorization.k8s.io/ClusterRole", "editor", &born, false);
        check("rbac.authorization.k8s.io/ClusterRole", "system:node", &json!({}), false);
        check("rbac.authorization.k8s.io/ClusterRoleBinding", "back-door", &born, false);
    }

    #[test]
    fn what_aws_makes_itself_is_owned() {
        check("AWS::IAM::Role", "AWSServiceRoleForX", &json!({"Path": "/aws-service-role/x.amazonaws.com/"}), true);
        check("AWS::IAM::Role", "AWSServiceRoleForX", &json!({"Path": "/"}), false);
        check("AWS::KMS::Alias", "alias/aws/s3", &json!({}), true);
        check("AWS::KMS::Alias", "alias/app", &json!({}), false);
    }

    #[test]
    fn what_scaling_makes_is_owned_where_all_that_it_says_agrees() {
        let alarm = |name: &str, policy: &str, actions: Value| {
            let description = format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy}.");
            json!({"AlarmName": name, "AlarmDescription": description, "AlarmActions": actions, "OKActions": []})
        };
        let (kind, name) = ("AWS::CloudWatch::Alarm", "TargetTracking-web-AlarmHigh-1");
        let policy = "arn:aws-cn:autoscaling:r:1:scalingPolicy:2:autoScalingGroupName/web:policyName/cpu";
        let topic = "arn:aws:sns:r:1:topic";
        check(kind, name, &alarm(name, policy, json!([policy])), true);
        check(kind, name, &alarm(name, policy, json!([policy, topic])), false);
        check(kind, name, &alarm(name, policy, json!([])), false);
        check(kind, name, &alarm(name, topic, json!([topic])), false);
        check(kind, name, &alarm(name, "another", json!([policy])), false);
        check(kind, "cpu", &alarm("cpu", policy, json!([policy])), false);
        check(kind, name, &json!({"AlarmName": name}), false);
        let replica = |name: &str, cluster: &str| {
            json!({"DBInstanceIdentifier": name, "DBClusterIdentifier": cluster,
                "Tags": [{"Key": "application-autoscaling:resourceId", "Value": "cluster:shop"}]})
        };
        let (kind, name) = ("AWS::RDS::DBInstance", "application-autoscaling-1");
        check(kind, name, &replica(name, "shop"), true);
        check(kind, name, &replica(name, "other"), false);
        check(kind, "spare", &replica("spare", "shop"), false);
        check(kind, name, &json!({"DBInstanceIdentifier": name, "DBClusterIdentifier": "shop"}), false);
    }

    #[test]
    fn a_reason_reads_after_the_name() {
        for fact in FACTS {
            assert!(fact.reason.starts_with(|c: char| c.is_ascii_lowercase()), "{}", fact.kind);
        }
    }
}
