//! Kubernetes as its own API server sees it: what it completes, rewrites and keeps account of is no drift, and what a person
//! changes is, whoever else may write there.
//!
//! The server is a real one (without controllers), the other writer is kubectl.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::harness::daemon::Daemon;
use crate::harness::git::GitServer;
use crate::harness::kubernetes::ApiServer;
use crate::harness::kubernetes::Who;
use crate::harness::process;

/// What a team of ordinary habits has in Git for one namespace: defaults unsaid, amounts as people write them.
const APPS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}, annotations: {note: "kept", drop: "me"}}
data: {mode: "on", empty: ""}
binaryData: {logo: aGVsbG8=}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
type: Opaque
stringData: {password: "correct horse battery"}
data: {cert: Y2VydA==}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1024Mi}}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, default: {cpu: 1000m, memory: 1024Mi}, defaultRequest: {cpu: "0.1"}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {requests.cpu: "10000m", pods: "10"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  paused: false
  minReadySeconds: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostNetwork: false
      serviceAccountName: web
      imagePullSecrets: [{name: pull}]
      securityContext: {runAsNonRoot: true, fsGroup: 0}
      tolerations: [{key: gpu, operator: Exists}]
      containers:
        - name: main
          image: registry.example/web:1.0
          args: [serve, "--port=8080"]
          ports: [{name: http, containerPort: 8080PROTOCOL}, {containerPort: 9090PROTOCOL}]
          env:
            - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: EMPTY, value: ""}
          resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: 0.5, memory: 1e9}}
          livenessProbe: {httpGet: {path: /livez, port: http}, initialDelaySeconds: 0}
          securityContext: {readOnlyRootFilesystem: false, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: scratch, mountPath: /tmp}, {name: settings, mountPath: /etc/web, readOnly: true}]
        - {name: sidecar, image: "registry.example/log:1.0", stdin: false}
      volumes:
        - {name: scratch, emptyDir: {sizeLimit: 1024Mi}}
        - {name: settings, configMap: {name: settings}}
        - {name: token, projected: {sources: [{serviceAccountToken: {path: token}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaled}
spec:
  replicas: 2
  selector: {matchLabels: {app: scaled}}
  template:
    metadata: {labels: {app: scaled}}
    spec: {containers: [{name: main, image: "registry.example/scaled:1.0"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: "registry.example/db:1.0"}]}
  volumeClaimTemplates:
    - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10240Mi}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostPID: true, containers: [{name: main, image: "registry.example/agent:1.0"}]}
---
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 2 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/job:1.0"}]}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: httpPROTOCOL}, {name: metrics, port: 9090PROTOCOL}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432PROTOCOL}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - {host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 8080}], from: [{podSelector: {}}]}]}
---
apiVersion: autoscaling/v2beta2
kind: HorizontalPodAutoscaler
metadata: {name: scaled}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}
  maxReplicas: 9
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web, namespace: NAMESPACE}]
"#;

/// What they have for the cluster.
const CLUSTER: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: client}
---
apiVersion: v1
kind: Namespace
metadata: {name: server}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: carts.shop.example}
spec:
  group: shop.example
  names: {plural: carts, kind: Cart}
  scope: Namespaced
  preserveUnknownFields: false
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                mode: {type: string, default: Auto}
                size: {anyOf: [{type: integer}, {type: string}], x-kubernetes-int-or-string: true, pattern: '^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$'}
                raw: {type: object, x-kubernetes-preserve-unknown-fields: true}
                items:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [sku]
                  items:
                    type: object
                    required: [sku]
                    properties: {sku: {type: string}, count: {type: integer, default: 1}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web-reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: low}
value: 10
globalDefault: false
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: disk.example
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: guard}
webhooks:
  - name: a.guard.example
    clientConfig: {service: {name: guard, namespace: client}, caBundle: Cg==}
    rules: [{apiGroups: [guard.example], apiVersions: [v1], operations: [CREATE], resources: [things]}]
    sideEffects: None
    admissionReviewVersions: [v1]
  - name: b.guard.example
    clientConfig: {service: {name: guard, namespace: client}, caBundle: Cg==}
    rules: [{apiGroups: [guard.example], apiVersions: [v1], operations: [CREATE], resources: [things]}]
    sideEffects: None
    admissionReviewVersions: [v1]
"#;

/// A cluster and the repository that describes it: namespace `client` was applied by kubectl, `server` on the server's side.
struct World {
    cluster: ApiServer,
    git: GitServer,
}

fn apps(namespace: &str) -> String {
    let text = APPS.replace("NAMESPACE", namespace);
    // In an apply on its side 1.20 refuses a port without its protocol, and an amount that is no text.
    let text = if namespace == "server" {
        text.replace("PROTOCOL", ", protocol: TCP").replace("cpu: 0.5, memory: 1e9", "cpu: '0.5', memory: '1e9'")
    } else {
        text.replace("PROTOCOL", "")
    };
    text.replace("metadata: {name: ", &format!("metadata: {{namespace: {namespace}, name: "))
        .replace(&format!("metadata: {{namespace: {namespace}, name: data}}, spec"), "metadata: {name: data}, spec")
}

impl World {
    fn in_sync() -> Option<Self> {
        let (cluster, git) = (ApiServer::start()?, GitServer::start("ci", "secret")?);
        cluster.kubectl(&["apply", "-f", "-"], Some(CLUSTER)).unwrap();
        cluster
            .kubectl(&["wait", "--for=condition=established", "crd/carts.shop.example", "--timeout=60s"], None)
            .unwrap();
        cluster.kubectl(&["apply", "-f", "-"], Some(&apps("client"))).unwrap();
        cluster.apply("argocd-controller", &apps("server"));
        let world = Self { cluster, git };
        world.commit(&apps("client"));
        let names = world.cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name"], None).unwrap();
        let pairs = names.lines().map(|name| name.split_once('.').unwrap_or((name, "")));
        world.cluster.let_reader_list(&pairs.map(|(plural, group)| (group, plural)).collect::<Vec<_>>());
        Some(world)
    }

    fn commit(&self, client: &str) {
        let server = apps("server");
        let files = [("cluster.yaml", CLUSTER), ("client.yaml", client), ("server.yaml", &server)];
        self.git.commit("ann", "declare", &files);
    }

    /// Changes an object as another field manager.
    fn patch(&self, manager: &str, object: &[&str], patch: &Value) {
        let kind = if patch.is_array() { "--type=json" } else { "--type=merge" };
        let text = patch.to_string();
        let arguments = [&["patch", "--field-manager", manager, kind, "-p", &text], object].concat();
        self.cluster.kubectl(&arguments, None).unwrap();
    }

    fn config(&self, who: Who) -> String {
        format!(
            r#"
clouds: [{{name: shop, type: kubernetes, kubeconfig: "{}", context: test, requests_per_second: 500, every: 1s}}]
desired: [{{name: infra, git: {{url: "{}", username: ci, password: "${{env:GIT_PASSWORD}}"}}, clouds: [shop], unmanaged: ignore}}]
hold: {{scans: 1, for: 0s}}
"#,
            self.cluster.kubeconfig(who).display(),
            self.git.url()
        )
    }

    /// Scans as somebody; returns the findings, and the whole document as text.
    fn scan(&self, who: Who) -> (Vec<Value>, String) {
        let (_, document) = Daemon::prepare(&self.config(who), &[("GIT_PASSWORD", "secret")]).scan_json();
        assert_eq!(document["scan"]["complete"], true, "{:#}", document["scopes"]);
        (document["findings"].as_array().unwrap().clone(), document.to_string())
    }
}

/// Says each finding in a line: what it is, kind, name, and each path with its owner.
fn lines(findings: &[Value]) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |finding: &Value| {
        let changes = finding["changes"].as_array().into_iter().flatten();
        let changes: Vec<_> =
            changes.map(|change| format!("{} {}", text(&change["path"]), text(&change["owner"]))).collect();
        let (kind, name) = (text(&finding["resource"]["kind"]), text(&finding["resource"]["name"]));
        format!("{} {kind} {name} {}", text(&finding["drift"]), changes.join(", "))
    };
    findings.iter().map(line).collect()
}

#[test]
fn what_was_just_applied_is_in_sync_whoever_looks() {
    let Some(world) = World::in_sync() else { return };
    for who in [Who::Admin, Who::Reader] {
        let (findings, _) = world.scan(who);
        assert_eq!(lines(&findings), BTreeSet::new(), "{who:?}");
    }
}

#[test]
fn what_a_person_changes_is_drift_and_what_a_controller_must_write_is_not() {
    let Some(world) = World::in_sync() else { return };
    let expected = plant(&world);
    let (findings, text) = world.scan(Who::Admin);
    assert_eq!(lines(&findings), expected);
    assert!(!text.contains("horse") && !text.contains("b3RoZXI="), "a secret is shown");
    for finding in &findings {
        assert_eq!(finding["proof"], "rehearsed", "{finding:#}");
    }
    let (findings, _) = world.scan(Who::Reader);
    assert_eq!(lines(&findings), expected);
    for finding in &findings {
        assert_eq!(finding["proof"], "reread", "{finding:#}");
        assert!(finding["proof_note"].as_str().unwrap().contains("403"), "{finding:#}");
    }
}

#[test]
fn what_the_server_denies_is_not_suspected_again() {
    let Some(world) = World::in_sync() else { return };
    // The list is of another version than what is declared: it always looks as if something were missing.
    let daemon = Daemon::start(&world.config(Who::Admin), &[("GIT_PASSWORD", "secret")]);
    let findings = |phase: &str| {
        let answer = daemon.api(&format!("/api/v1/findings?limit=1000&phase={phase}")).json();
        answer["findings"].as_array().unwrap().clone()
    };
    wait_for_scans(&daemon, 3);
    for phase in ["pending", "open", "resolved"] {
        assert_eq!(lines(&findings(phase)), BTreeSet::new(), "{phase}");
    }
    world.patch("kubectl-edit", &["hpa/scaled", "-n", "client"], &json!({"spec": {"maxReplicas": 20}}));
    let line = "changed autoscaling/HorizontalPodAutoscaler client/scaled /spec/maxReplicas kubectl-edit";
    let expected = BTreeSet::from([line.to_owned()]);
    process::eventually("the change opens", 60, || (lines(&findings("open")) == expected).then_some(()));
    wait_for_scans(&daemon, 2);
    assert_eq!(lines(&findings("open")), expected);
    assert_eq!(findings("open")[0]["generation"], 1);
    world.patch("kubectl-edit", &["hpa/scaled", "-n", "client"], &json!({"spec": {"maxReplicas": 9}}));
    process::eventually("the change is over", 60, || findings("open").is_empty().then_some(()));
    assert_eq!(lines(&findings("pending")), BTreeSet::new());
}

/// Waits until that many more scans have ended.
fn wait_for_scans(daemon: &Daemon, more: u64) {
    let ended = || -> u64 {
        let text = daemon.metrics();
        let mut lines = text.lines().filter(|line| {
            line.starts_with("driftwarden_scan_duration_seconds_count") && line.contains("stage=\"scan\"")
        });
        lines.next().and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    };
    let before = ended();
    process::eventually("more scans", 60, || (ended() >= before + more).then_some(()));
}

/// Lets others write; returns the findings that this must make.
fn plant(world: &World) -> BTreeSet<String> {
    let replicas = |count: u32| json!({"spec": {"replicas": count}});
    world.cluster.kubectl(&["scale", "deployment/web", "-n", "client", "--replicas=5"], None).unwrap();
    for namespace in ["client", "server"] {
        world.patch("kube-controller-manager", &["deployment/scaled", "-n", namespace], &replicas(7));
    }
    let image = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil:1"}]);
    world.patch("kubectl-edit", &["deployment/web", "-n", "server"], &image);
    world.cluster.kubectl(&["set", "env", "statefulset/db", "-n", "client", "EXTRA=1"], None).unwrap();
    let order = json!([{"op": "replace", "path": "/spec/ports", "value": [{"name": "metrics", "port": 9090}, {"name": "http", "port": 80, "targetPort": "http"}]}]);
    world.patch("kubectl-edit", &["service/web", "-n", "server"], &order);
    let mode = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "server"},
        "data": {"mode": "off"}});
    world.cluster.apply("other-team", &mode.to_string());
    world.patch(
        "kubectl-edit",
        &["configmap/settings", "-n", "client"],
        &json!({"metadata": {"labels": {"app": null}}}),
    );
    let wider = json!({"spec": {"podSelector": {"matchLabels": {"tier": "x"}}}});
    world.patch("kubectl-edit", &["networkpolicy/web", "-n", "client"], &wider);
    let rules = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "delete"]}]});
    world.patch("kubectl-edit", &["clusterrole/web-reader"], &rules);
    world.patch("kubectl-edit", &["secret/key", "-n", "client"], &json!({"data": {"password": "b3RoZXI="}}));
    world.patch("kubectl-edit", &["hpa/scaled", "-n", "client"], &json!({"spec": {"maxReplicas": 20}}));
    let bundle = |at: usize| json!([{"op": "replace", "path": format!("/webhooks/{at}/clientConfig/caBundle"), "value": "Y2E="}]);
    world.patch("cainjector", &["validatingwebhookconfiguration/guard"], &bundle(0));
    world.patch("kubectl-edit", &["validatingwebhookconfiguration/guard"], &bundle(1));
    // Git gives up an annotation, and nobody applies that.
    world.commit(&apps("client").replace(", drop: \"me\"", ""));
    let found = [
        "changed apps/Deployment client/web /spec/replicas OWNER",
        "changed apps/Deployment server/web /spec/template/spec/containers/0/image kubectl-edit",
        "changed ConfigMap server/settings /data/mode other-team",
        "changed ConfigMap client/settings /metadata/annotations/drop kubectl-client-side-apply, /metadata/labels -",
        "changed networking.k8s.io/NetworkPolicy client/web /spec/podSelector/matchLabels/tier kubectl-edit",
        "changed rbac.authorization.k8s.io/ClusterRole web-reader /rules/0/verbs kubectl-edit",
        "changed Secret client/key /stringData/password kubectl-edit",
        "changed autoscaling/HorizontalPodAutoscaler client/scaled /spec/maxReplicas kubectl-edit",
        "changed admissionregistration.k8s.io/ValidatingWebhookConfiguration guard /webhooks/1/clientConfig/caBundle kubectl-edit",
    ];
    found.map(|line| line.replace("OWNER", &owner_of_scale(world))).into()
}

/// Returns who owns the replicas that were set with `kubectl scale`: since 1.22 that is kubectl.
fn owner_of_scale(world: &World) -> String {
    let object = world.cluster.object(&["deployment", "web", "-n", "client", "--show-managed-fields"]);
    let owners = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let owning = owners.filter(|owner| owner["fieldsV1"].pointer("/f:spec/f:replicas").is_some());
    let names: BTreeSet<_> = owning.map(|owner| owner["manager"].as_str().unwrap().to_owned()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
