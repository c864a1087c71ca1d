//! A simulated Kubernetes API server: discovery in both forms, paged lists, `GET` and `PATCH`.
//!
//! It keeps no watch and checks no permission.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::aws::answer;
use super::estate::{Cloud, Key};
use super::patch;
use super::world::World;

type Body = axum::body::Body;

/// A kind that the server knows.
struct Known {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
}

const fn namespaced(group: &'static str, kind: &'static str, plural: &'static str) -> Known {
    Known { group, kind, plural, namespaced: true }
}

const KINDS: &[Known] = &[
    Known { group: "", kind: "Namespace", plural: "namespaces", namespaced: false },
    namespaced("", "ConfigMap", "configmaps"),
    namespaced("", "Pod", "pods"),
    namespaced("", "Secret", "secrets"),
    namespaced("", "Service", "services"),
    namespaced("", "ServiceAccount", "serviceaccounts"),
    namespaced("apps", "Deployment", "deployments"),
    namespaced("apps", "ReplicaSet", "replicasets"),
    namespaced("apps", "StatefulSet", "statefulsets"),
    namespaced("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    namespaced("networking.k8s.io", "Ingress", "ingresses"),
    namespaced("rbac.authorization.k8s.io", "Role", "roles"),
    namespaced("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
];

impl Known {
    fn full(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}/{}", self.group, self.kind) }
    }
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<_> = KINDS.iter().map(|known| known.group).filter(|group| !group.is_empty()).collect();
    groups.dedup();
    groups
}

const VERBS: [&str; 4] = ["get", "list", "patch", "watch"];

pub(super) fn router(world: World) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        world.count_request();
        let path = uri.path().trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let accept = headers.get("accept").and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        match parts.as_slice() {
            ["version"] => ok(&json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0-demo"})),
            [root @ ("api" | "apis")] => discovery(root, accept.contains("as=APIGroupDiscoveryList")),
            ["api", "v1"] => resources(""),
            ["apis", group, "v1"] => resources(group),
            ["api", "v1", rest @ ..] => objects(&world, "", rest, (&method, &uri, &body)),
            ["apis", group, "v1", rest @ ..] => objects(&world, group, rest, (&method, &uri, &body)),
            _ => not_found(),
        }
    })
}

fn discovery(root: &str, aggregated: bool) -> Response<Body> {
    let groups = if root == "api" { vec![""] } else { groups() };
    if aggregated {
        let items: Vec<Value> = groups.into_iter().map(aggregated_group).collect();
        return ok(&json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
            "items": items}));
    }
    if root == "api" {
        return ok(&json!({"kind": "APIVersions", "versions": ["v1"]}));
    }
    let list = groups.into_iter().map(|name| {
        let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    });
    ok(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": list.collect::<Vec<_>>()}))
}

fn aggregated_group(group: &str) -> Value {
    let resources = KINDS.iter().filter(|known| known.group == group).map(|known| {
        json!({"resource": known.plural, "singularResource": known.kind.to_lowercase(),
            "responseKind": {"group": known.group, "version": "v1", "kind": known.kind},
            "scope": if known.namespaced { "Namespaced" } else { "Cluster" }, "verbs": VERBS})
    });
    let version = json!({"version": "v1", "freshness": "Current", "resources": resources.collect::<Vec<_>>()});
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": [version]})
}

fn resources(group: &str) -> Response<Body> {
    let own = KINDS.iter().filter(|known| known.group == group).map(|known| {
        json!({"name": known.plural, "singularName": known.kind.to_lowercase(), "namespaced": known.namespaced,
            "kind": known.kind, "verbs": VERBS})
    });
    let own: Vec<Value> = own.collect();
    if own.is_empty() {
        return not_found();
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    ok(&json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": own}))
}

/// Answers below one group: a list, or one object.
fn objects(world: &World, group: &str, rest: &[&str], asked: (&Method, &Uri, &Bytes)) -> Response<Body> {
    let find = |plural: &str| KINDS.iter().find(|known| known.group == group && known.plural == plural);
    let (namespace, plural, name) = match rest {
        ["namespaces", namespace, plural] => (Some(*namespace), *plural, None),
        ["namespaces", namespace, plural, name] => (Some(*namespace), *plural, Some(*name)),
        [plural] => (None, *plural, None),
        [plural, name] => (None, *plural, Some(*name)),
        _ => return not_found(),
    };
    let Some(known) = find(plural) else { return not_found() };
    match (name, namespace) {
        (None, _) => list(world, known, namespace, asked.1),
        (Some(name), Some(namespace)) => object(world, known, &format!("{namespace}/{name}"), asked),
        (Some(name), None) => object(world, known, name, asked),
    }
}

fn list(world: &World, known: &Known, namespace: Option<&str>, uri: &Uri) -> Response<Body> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let parameter =
        |name: &str| url::form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value);
    let after = match parameter("continue").filter(|token| !token.is_empty()) {
        None => String::new(),
        Some(token) => match URL_SAFE_NO_PAD.decode(&*token).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(after) => after,
            None => return status(StatusCode::GONE, "Expired"),
        },
    };
    let most = parameter("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let passes =
        |name: &str| namespace.is_none_or(|space| name.strip_prefix(space).is_some_and(|rest| rest.starts_with('/')));
    let mut found = world.page((Cloud::Kubernetes, &known.full()), &after, most.saturating_add(1), passes);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|(name, _)| URL_SAFE_NO_PAD.encode(name)).unwrap_or_default();
    let version = world.version();
    let items: Vec<Value> = found.into_iter().map(|(_, value)| listed(value, version)).collect();
    let api_version = if known.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", known.group) };
    ok(&json!({"kind": format!("{}List", known.kind), "apiVersion": api_version,
        "metadata": {"resourceVersion": version.to_string(), "continue": next}, "items": items}))
}

/// Lists leave out what is the same for all.
fn listed(value: Value, version: u64) -> Value {
    let mut value = versioned(value, version);
    if let Some(map) = value.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    value
}

fn versioned(mut value: Value, version: u64) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    }
    value
}

fn object(world: &World, known: &Known, name: &str, (method, _, body): (&Method, &Uri, &Bytes)) -> Response<Body> {
    let key = Key::new(Cloud::Kubernetes, &known.full(), name);
    let Some(mut value) = world.get(&key) else { return not_found() };
    if *method == Method::GET {
        return ok(&versioned(value, world.version()));
    }
    if *method != Method::PATCH {
        return status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed");
    }
    let patch = serde_json::from_slice::<Value>(body).map_err(|error| error.to_string());
    if patch.and_then(|patch| patch::apply(&mut value, &patch)).is_err() {
        return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
    }
    world.write(&key, value.clone());
    ok(&versioned(value, world.version()))
}

fn ok(value: &Value) -> Response<Body> {
    answer(StatusCode::OK, "application/json", value.to_string())
}

fn not_found() -> Response<Body> {
    status(StatusCode::NOT_FOUND, "NotFound")
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "code": code.as_u16()});
    answer(code, "application/json", body.to_string())
}

/// Returns the address of an object.
pub(super) fn path(kind: &str, name: &str) -> Option<String> {
    let known = KINDS.iter().find(|known| known.full() == kind)?;
    let root = if known.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", known.group) };
    match name.split_once('/') {
        Some((namespace, name)) if known.namespaced => {
            Some(format!("{root}/namespaces/{namespace}/{}/{name}", known.plural))
        }
        None if !known.namespaced => Some(format!("{root}/{}/{name}", known.plural)),
        _ => None,
    }
}
