//! Who owns a field of a Kubernetes object, and what that says about a difference.
//!
//! The server writes down, field by field, which manager set it last (`managedFields`). A manager names itself, so the name
//! is a hint and no proof: it is told with every change, and only takes a difference away where a controller does what
//! it is there for.
//!
//! | Git says | live value | owned by | so it is |
//! |---|---|---|---|
//! | a value | the same | anybody | in sync |
//! | a value | another | who applies from Git, alone or with others | drift: Git moved on, or an apply is missing |
//! | a value | another | a person's tool (`kubectl edit`, `kubectl scale`, a console) | drift |
//! | a value | another | somebody else who applies | drift: two writers, both named |
//! | a value | another | nobody (an object older than `managedFields`) | drift |
//! | a value | another | only a controller, in the field that is its to write (below) | no drift |
//! | a value | none | whoever | drift |
//! | nothing | any | who applies from Git, or it was applied last | drift: given up in Git and still live |
//! | nothing | any | only such a controller, in its field | no drift, although it was applied once |
//! | nothing | any | anybody else | undeclared |
//!
//! `kubectl apply` and Argo CD call the sixth row a difference too, and write the declared value over the controller's at
//! every apply; their manuals ask people to take the field out of Git. A monitor that pages for every step of an
//! autoscaler would be muted instead. An ignore rule names more managers where a team has its own controllers.

use serde_json::Value;

use super::ignore::{is_below, owns};
use super::{Change, ChangeOp, Fold};

/// A field that a controller writes although Git declares it.
struct Duty {
    field: &'static str,
    managers: &'static [&'static str],
    /// What Git must declare besides, or the field is nobody's duty.
    given: Option<&'static str>,
    /// Why the controller may; a duty nobody can explain is none.
    reason: &'static str,
}

/// Who puts certificates into webhooks.
const INJECTORS: &[&str] = &[
    "cainjector",
    "cert-manager-cainjector",
    "gatekeeper",
    "kube-webhook-certgen",
    "kyverno",
    "pilot-discovery",
    "service-ca-operator",
    "vault-k8s",
];

const DUTIES: &[Duty] = &[
    Duty {
        field: "/spec/replicas",
        managers: &["kube-controller-manager", "keda", "keda-operator", "cluster-proportional-autoscaler"],
        given: None,
        reason: "an autoscaler sets it through the scale subresource; nothing else of these names writes it",
    },
    Duty {
        field: "/webhooks/*/clientConfig/caBundle",
        managers: INJECTORS,
        given: None,
        reason: "the certificate is made in the cluster and renewed there",
    },
    Duty {
        field: "/spec/conversion/webhook/clientConfig/caBundle",
        managers: INJECTORS,
        given: None,
        reason: "the certificate is made in the cluster and renewed there",
    },
    Duty {
        field: "/spec/caBundle",
        managers: INJECTORS,
        given: None,
        reason: "the certificate is made in the cluster and renewed there",
    },
    Duty {
        field: "/rules",
        managers: &["clusterrole-aggregation-controller", "kube-controller-manager"],
        given: Some("/aggregationRule"),
        reason: "the rules of an aggregated role are those of the roles that it names",
    },
    Duty {
        field: "/metadata/annotations/deployment.kubernetes.io~1revision",
        managers: &["kube-controller-manager"],
        given: None,
        reason: "counts roll-outs; it is in Git only where somebody committed what he had read",
    },
];

/// One entry of `managedFields` that owns a field.
struct Owner<'a> {
    manager: &'a str,
    subresource: &'a str,
}

/// Says of each change who owns its field, and takes out those that a controller made in its own: returns why.
pub(super) fn settle(changes: &mut Vec<Change>, desired: &Value, observed: &Value) -> Vec<Fold> {
    let mut folds = Vec::new();
    changes.retain_mut(|change| {
        let owners = owners(change, desired, observed);
        change.owner = said(&owners);
        let duty = duty(&change.path, &owners, desired);
        folds.extend(duty.map(|duty| Fold {
            path: change.path.clone(),
            fold: "a controller's own field, and only that controller wrote it",
            reason: Some(duty.reason.into()),
            desired: change.desired.clone(),
            observed: change.observed.clone(),
            sensitive: change.sensitive,
        }));
        duty.is_none()
    });
    folds
}

fn owners<'a>(change: &Change, desired: &Value, observed: &'a Value) -> Vec<Owner<'a>> {
    // Where a declared text is given back encoded, the field is the encoded one.
    let encoded = change.path.strip_prefix("/stringData/").map(|name| format!("/data/{name}"));
    let path = encoded.as_deref().unwrap_or(&change.path);
    let side = if change.op == ChangeOp::Added || encoded.is_some() { observed } else { desired };
    let entries = observed.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let owning = entries.filter(|entry| entry.get("fieldsV1").is_some_and(|fields| owns(fields, path, [side, side])));
    let text = |entry: &'a Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    owning.map(|entry| Owner { manager: text(entry, "manager"), subresource: text(entry, "subresource") }).collect()
}

fn said(owners: &[Owner<'_>]) -> Option<String> {
    let mut names: Vec<String> = owners
        .iter()
        .map(|owner| match owner.subresource {
            "" => owner.manager.to_owned(),
            subresource => format!("{} ({subresource})", owner.manager),
        })
        .collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns the duty that a difference is, if all who own its field have it.
fn duty(path: &str, owners: &[Owner<'_>], desired: &Value) -> Option<&'static Duty> {
    let has_it = |duty: &&Duty| {
        owners.iter().all(|owner| duty.managers.contains(&owner.manager))
            && duty.given.is_none_or(|given| desired.pointer(given).is_some())
    };
    let mut duties = DUTIES.iter().filter(|duty| !owners.is_empty() && is_below(path, duty.field));
    duties.find(has_it)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compare::{Context, Facts, MaskKey, compare};
    use crate::resource::Kind;
    use crate::schema::Schema;

    /// Compares a Deployment of two replicas with one of `live`, whose replicas these managers own (`name`,
    /// `name:subresource`, or `+name` for one who applies). Returns `op owner`, or nothing where there is no drift.
    fn check(declared: Option<u32>, live: u32, owners: &[&str], said: &str) {
        let entry = |owner: &&str| {
            let (operation, name) = owner.strip_prefix('+').map_or(("Update", *owner), |name| ("Apply", name));
            let (manager, subresource) = name.split_once(':').unwrap_or((name, ""));
            json!({"manager": manager, "operation": operation, "subresource": subresource,
                "fieldsV1": {"f:spec": {"f:replicas": {}}}})
        };
        let fields: Vec<_> = owners.iter().map(entry).collect();
        let object = |replicas: Option<u32>, fields: &[Value]| {
            let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"paused": true}});
            if let Some(replicas) = replicas {
                object["spec"]["replicas"] = json!(replicas);
            }
            if !fields.is_empty() {
                object["metadata"]["managedFields"] = json!(fields);
            }
            object
        };
        let found = compared("apps/Deployment", &object(declared, &[]), &object(Some(live), &fields));
        assert_eq!(found, said, "{declared:?} {live} {owners:?}");
    }

    fn compared(kind: &str, desired: &Value, observed: &Value) -> String {
        let (kind, schema, context, mask) =
            (Kind::from(kind), Schema::default(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts::of(&kind, &schema, &context, &mask);
        let changes = compare(desired, observed, facts).changes;
        let line = |change: &Change| format!("{} {}", change.op.as_str(), change.owner.as_deref().unwrap_or("-"));
        changes.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn who_owns_a_field_decides_only_for_a_controller_in_its_own() {
        check(Some(2), 2, &["kubectl-edit"], "");
        check(Some(2), 5, &["+argocd-controller"], "changed argocd-controller");
        check(
            Some(2),
            5,
            &["+argocd-controller", "kube-controller-manager:scale"],
            "changed argocd-controller, kube-controller-manager (scale)",
        );
        check(Some(2), 5, &["kubectl-edit"], "changed kubectl-edit");
        check(Some(2), 5, &["kubectl:scale"], "changed kubectl (scale)");
        check(Some(2), 5, &["+other-team"], "changed other-team");
        check(Some(2), 5, &[], "changed -");
        check(Some(2), 5, &["kube-controller-manager:scale"], "");
        check(Some(2), 5, &["kube-controller-manager"], "");
        check(Some(2), 5, &["keda-operator:scale"], "");
        check(None, 5, &["+argocd-controller"], "added argocd-controller");
        check(None, 5, &["kube-controller-manager:scale"], "");
        check(None, 5, &["kubectl-edit"], "");
    }

    #[test]
    fn an_item_is_owned_by_its_key_and_not_by_its_place() {
        let hook = |name: &str, bundle: &str| json!({"name": name, "clientConfig": {"caBundle": bundle}});
        let owned = |manager: &str, name: &str| {
            let key = format!("k:{{\"name\":\"{name}\"}}");
            json!({"manager": manager, "operation": "Update",
                "fieldsV1": {"f:webhooks": {key: {"f:clientConfig": {"f:caBundle": {}}}}}})
        };
        let kind = "admissionregistration.k8s.io/ValidatingWebhookConfiguration";
        let desired = json!({"webhooks": [hook("a", "Cg=="), hook("b", "Cg==")]});
        let observed = json!({"metadata": {"managedFields": [owned("kubectl-edit", "a"), owned("cainjector", "b")]},
            "webhooks": [hook("b", "AAAA"), hook("a", "BBBB")]});
        assert_eq!(compared(kind, &desired, &observed), "changed kubectl-edit");
    }

    #[test]
    fn rules_are_a_controllers_only_where_git_says_that_they_are_gathered() {
        let observed = json!({"metadata": {"managedFields": [{"manager": "clusterrole-aggregation-controller",
            "operation": "Apply", "fieldsV1": {"f:rules": {}}}]}, "aggregationRule": {"x": 1}, "rules": [{"verbs": ["*"]}]});
        let kind = "rbac.authorization.k8s.io/ClusterRole";
        assert_eq!(compared(kind, &json!({"aggregationRule": {"x": 1}, "rules": []}), &observed), "");
        let plain = compared(kind, &json!({"rules": [{"verbs": ["get"]}]}), &observed);
        assert!(plain.contains("clusterrole-aggregation-controller"), "{plain}");
    }

    #[test]
    fn a_duty_has_a_reason_and_names_its_controllers() {
        for duty in DUTIES {
            assert!(!duty.reason.is_empty() && !duty.managers.is_empty(), "{}", duty.field);
        }
    }
}
