//! What the demo's clouds hold at first, and what its Git declares: about 200 resources of a small shop.
//!
//! Everything is made so that a strict rule has nothing to say: whatever is reported later, somebody did it.

use driftwarden_core::region;
use serde_json::{Map, Value, json};

/// The account of the simulated AWS.
pub(super) const ACCOUNT: &str = "123456789012";
/// Its only region.
pub(super) const REGION: &str = "eu-west-1";
/// Name of the simulated cluster.
pub(super) const CLUSTER: &str = "shop";

/// Which of the two clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Cloud {
    /// The simulated AWS.
    Aws,
    /// The simulated cluster.
    Kubernetes,
}

impl Cloud {
    /// Returns the word that findings use.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// Name of a thing in the two clouds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// Which cloud.
    pub(super) cloud: Cloud,
    /// The provider's type name.
    pub(super) kind: String,
    /// The provider's primary identifier.
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(cloud: Cloud, kind: &str, name: impl Into<String>) -> Self {
        Self { cloud, kind: kind.to_owned(), name: name.into() }
    }
}

/// One thing that Git declares.
#[derive(Debug, Clone)]
pub(super) struct Asset {
    /// Its name in the cloud.
    pub(super) key: Key,
    /// Its name in Git.
    pub(super) human: String,
    /// The file that declares it.
    pub(super) file: String,
    /// What Git says.
    pub(super) declared: Value,
    /// What the cloud adds.
    pub(super) added: Value,
}

impl Asset {
    /// Returns what the cloud holds while nobody has touched it.
    pub(super) fn observed(&self) -> Value {
        let mut observed = self.declared.clone();
        merge(&mut observed, &self.added);
        observed
    }

    /// Returns its manifest.
    pub(super) fn manifest(&self) -> Value {
        match self.key.cloud {
            Cloud::Kubernetes => self.declared.clone(),
            Cloud::Aws => {
                let region = if region::is_global(&self.key.kind.as_str().into()) { "-" } else { REGION };
                json!({
                    "apiVersion": "driftwarden.dev/v1",
                    "kind": self.key.kind,
                    "metadata": {"name": self.human, "account": ACCOUNT, "region": region},
                    "spec": self.declared,
                })
            }
        }
    }
}

fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

const TEAMS: [&str; 5] = ["cart", "checkout", "catalog", "payment", "search"];

/// Returns everything that Git declares.
pub(super) fn estate() -> Vec<Asset> {
    let mut assets = Vec::new();
    for (number, team) in TEAMS.into_iter().enumerate() {
        aws(&mut assets, team, number);
        kubernetes(&mut assets, team, number);
    }
    assets
}

fn aws(assets: &mut Vec<Asset>, team: &str, number: usize) {
    let tags = json!([{"Key": "team", "Value": team}, {"Key": "env", "Value": "prod"}]);
    let mut add = |kind: &str, identifier: String, human: String, declared: Value, added: Value| {
        let file = format!("aws/{team}.yaml");
        assets.push(Asset { key: Key::new(Cloud::Aws, kind, identifier), human, file, declared, added });
    };
    for use_ in ["assets", "exports", "uploads", "logs"] {
        let name = format!("{team}-{use_}-{ACCOUNT}");
        let added = json!({"Arn": format!("arn:aws:s3:::{name}"), "DomainName": format!("{name}.s3.amazonaws.com")});
        add("AWS::S3::Bucket", name.clone(), name.clone(), bucket(&name, team, &tags), added);
    }
    for use_ in ["jobs", "mails", "events", "dead-letters"] {
        let name = format!("{team}-{use_}");
        let url = format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}");
        let declared = json!({"QueueName": name, "SqsManagedSseEnabled": true, "MessageRetentionPeriod": 345_600,
            "VisibilityTimeout": 60, "Tags": tags});
        let added =
            json!({"Arn": arn("sqs", &name), "QueueUrl": url, "DelaySeconds": 0, "MaximumMessageSize": 262_144});
        add("AWS::SQS::Queue", url, name, declared, added);
    }
    for use_ in ["alerts", "orders"] {
        let name = format!("{team}-{use_}");
        let declared = json!({"TopicName": name, "KmsMasterKeyId": "alias/shop", "DisplayName": name, "Tags": tags});
        let topic = arn("sns", &name);
        add("AWS::SNS::Topic", topic.clone(), name, declared, json!({"TopicArn": topic, "FifoTopic": false}));
    }
    for use_ in ["items", "sessions"] {
        let name = format!("{team}-{use_}");
        // The stream was made anew since its name was written down: whoever knows the schema knows that this is no drift.
        let stream = |at: &str| arn("dynamodb", &format!("table/{name}/stream/{at}"));
        let mut declared = table(&name, &tags);
        merge(&mut declared, &json!({"StreamArn": stream("2026-01-05T08:00:00.000")}));
        let added = json!({"Arn": arn("dynamodb", &name), "StreamArn": stream("2026-03-09T11:30:00.000")});
        add("AWS::DynamoDB::Table", name.clone(), name.clone(), declared, added);
    }
    for use_ in ["api", "worker", "report"] {
        let name = format!("{team}-{use_}");
        let added = json!({"Arn": arn("lambda", &name), "PackageType": "Zip", "EphemeralStorage": {"Size": 512}});
        add("AWS::Lambda::Function", name.clone(), name.clone(), function(&name, &tags), added);
        let role = json!({"RoleId": format!("AROADEMO{number}{use_}").to_uppercase(),
            "Arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}")});
        add("AWS::IAM::Role", name.clone(), name.clone(), role_of(&name, &tags), role);
        let group = format!("/aws/lambda/{name}");
        let declared = json!({"LogGroupName": group, "RetentionInDays": 30, "KmsKeyId": key_arn(number), "Tags": tags});
        add("AWS::Logs::LogGroup", group.clone(), group.clone(), declared, json!({"Arn": arn("logs", &group)}));
    }
    for use_ in ["web", "database"] {
        let id = format!("sg-0{number}{:014x}", use_.len());
        let name = format!("{team}-{use_}");
        add("AWS::EC2::SecurityGroup", id.clone(), name.clone(), group(&name, &tags), json!({"GroupId": id, "Id": id}));
    }
    let (id, name) = (format!("{CLUSTER}/{team}-workers"), format!("{team}-workers"));
    // The service gives the types back sorted; that their order means nothing is known to its schema only.
    let added = json!({"Id": id, "Arn": arn("eks", &format!("nodegroup/{id}")),
        "InstanceTypes": ["m6g.large", "m7g.large"]});
    add("AWS::EKS::Nodegroup", id, name.clone(), nodegroup(&name, team), added);
    let id = key_id(number);
    let declared = json!({"Description": format!("data of {team}"), "EnableKeyRotation": true, "Enabled": true,
        "KeyPolicy": {"Version": "2012-10-17", "Statement": [{"Sid": "Account", "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "kms:*", "Resource": "*"}]},
        "Tags": tags});
    add("AWS::KMS::Key", id.clone(), id.clone(), declared, json!({"KeyId": id, "Arn": key_arn(number)}));
}

fn arn(service: &str, name: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{name}")
}

fn key_id(number: usize) -> String {
    format!("0000000{number}-1234-4cde-8f01-23456789abcd")
}

fn key_arn(number: usize) -> String {
    arn("kms", &format!("key/{}", key_id(number)))
}

fn bucket(name: &str, team: &str, tags: &Value) -> Value {
    json!({
        "BucketName": name,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": true}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": true,
            "IgnorePublicAcls": true, "RestrictPublicBuckets": true},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "VersioningConfiguration": {"Status": "Enabled"},
        "LoggingConfiguration": {"DestinationBucketName": format!("{team}-logs-{ACCOUNT}"), "LogFilePrefix": name},
        "LifecycleConfiguration": {"Rules": [{"Id": "expire-old-versions", "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90}}]},
        "ObjectLockEnabled": false,
        "Tags": tags,
    })
}

fn table(name: &str, tags: &Value) -> Value {
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "SSESpecification": {"SSEEnabled": true, "SSEType": "KMS"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
        "DeletionProtectionEnabled": true,
        "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Tags": tags,
    })
}

fn nodegroup(name: &str, team: &str) -> Value {
    json!({
        "ClusterName": CLUSTER,
        "NodegroupName": name,
        "NodeRole": format!("arn:aws:iam::{ACCOUNT}:role/workers"),
        "Subnets": ["subnet-1", "subnet-2"],
        "InstanceTypes": ["m7g.large", "m6g.large"],
        "CapacityType": "SPOT",
        "ScalingConfig": {"MinSize": 2, "MaxSize": 10, "DesiredSize": 4},
        "Tags": {"team": team, "env": "prod"},
    })
}

fn function(name: &str, tags: &Value) -> Value {
    json!({
        "FunctionName": name,
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
        "MemorySize": 256,
        "Timeout": 15,
        "Architectures": ["arm64"],
        "TracingConfig": {"Mode": "Active"},
        "ReservedConcurrentExecutions": 20,
        "Environment": {"Variables": {"API_URL": "https://api.shop.example", "LOG_LEVEL": "info"}},
        "DeadLetterConfig": {"TargetArn": arn("sqs", "cart-dead-letters")},
        "VpcConfig": {"SecurityGroupIds": ["sg-0000000000000000"], "SubnetIds": ["subnet-1", "subnet-2"]},
        "Tags": tags,
    })
}

fn role_of(name: &str, tags: &Value) -> Value {
    json!({
        "RoleName": name,
        "Path": "/",
        "MaxSessionDuration": 3600,
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
        "PermissionsBoundary": format!("arn:aws:iam::{ACCOUNT}:policy/boundary"),
        "Tags": tags,
    })
}

fn group(name: &str, tags: &Value) -> Value {
    json!({
        "GroupName": name,
        "GroupDescription": format!("traffic of {name}"),
        "VpcId": "vpc-0123456789abcdef0",
        "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8",
            "Description": "inside only"}],
        "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8",
            "Description": "inside only"}],
        "Tags": tags,
    })
}

fn kubernetes(assets: &mut Vec<Asset>, team: &str, number: usize) {
    let labels = json!({"app.kubernetes.io/part-of": "shop", "team": team, "env": "prod"});
    let file = format!("kubernetes/{team}.yaml");
    let mut add = |kind: &str, version: &str, namespace: Option<&str>, name: &str, rest: Value| {
        let mut metadata = json!({"name": name, "labels": labels});
        if let Some(namespace) = namespace {
            merge(&mut metadata, &json!({"namespace": namespace}));
        }
        let bare = kind.rsplit('/').next().unwrap_or(kind);
        let mut declared = json!({"apiVersion": version, "kind": bare, "metadata": metadata});
        merge(&mut declared, &rest);
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let key = Key::new(Cloud::Kubernetes, kind, full.clone());
        let uid = format!("{number:08x}-0000-4000-8000-{:012x}", assets.len());
        let added = json!({"metadata": {"uid": uid, "creationTimestamp": "2026-01-05T08:00:00Z"}, });
        assets.push(Asset { key, human: full, file: file.clone(), declared, added });
    };
    let enforce = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted"}}});
    add("Namespace", "v1", None, team, enforce);
    let space = Some(team);
    add(
        "networking.k8s.io/NetworkPolicy",
        "networking.k8s.io/v1",
        space,
        "default-deny",
        json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
    );
    let role = json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]});
    add("rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/v1", space, "reader", role);
    let binding = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "api", "namespace": team}]});
    add("rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/v1", space, "reader", binding);
    for app in ["api", "worker", "web"] {
        add("apps/Deployment", "apps/v1", space, app, deployment(team, app));
        add("ServiceAccount", "v1", space, app, json!({"automountServiceAccountToken": false}));
        let service = json!({"spec": {"type": "ClusterIP", "selector": {"app": app},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}});
        add("Service", "v1", space, app, service);
        let data = json!({"data": {"LOG_LEVEL": "info", "CACHE_TTL": "60s", "API_URL": "https://api.shop.example"}});
        add("ConfigMap", "v1", space, &format!("{app}-settings"), data);
    }
}

fn deployment(team: &str, app: &str) -> Value {
    let digest = format!("{:064x}", team.len() * 1000 + app.len());
    json!({"spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": app}},
        "template": {
            "metadata": {"labels": {"app": app, "team": team}},
            "spec": {
                "serviceAccountName": app,
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": app,
                    "image": format!("registry.shop.example/{team}/{app}@sha256:{digest}"),
                    "imagePullPolicy": "IfNotPresent",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "envFrom": [{"configMapRef": {"name": format!("{app}-settings")}}],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"cpu": "500m", "memory": "256Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                    "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "privileged": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        },
    }})
}

/// Returns what the cluster makes by itself and nobody declares: children of controllers, accounts from birth.
pub(super) fn children(assets: &[Asset]) -> Vec<(Key, Value)> {
    let mut made = Vec::new();
    for asset in assets.iter().filter(|asset| asset.key.cloud == Cloud::Kubernetes) {
        let name = &asset.key.name;
        let metadata = |name: &str| {
            let (namespace, name) = name.split_once('/').unwrap_or(("", name));
            json!({"name": name, "namespace": namespace, "uid": format!("child-of-{name}")})
        };
        match asset.key.kind.as_str() {
            "apps/Deployment" => made.push(replica_set(name, metadata(&format!("{name}-6f7d9c")))),
            "Namespace" => {
                let ca = format!("{name}/kube-root-ca.crt");
                let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(&ca), "data": {}});
                made.push((Key::new(Cloud::Kubernetes, "ConfigMap", ca), value));
                let account = format!("{name}/default");
                let value = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(&account),
                    "automountServiceAccountToken": false});
                made.push((Key::new(Cloud::Kubernetes, "ServiceAccount", account), value));
            }
            _ => {}
        }
    }
    made
}

fn replica_set(deployment: &str, mut metadata: Value) -> (Key, Value) {
    let (_, app) = deployment.split_once('/').unwrap_or(("", deployment));
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": app, "uid": "owner", "controller": true});
    merge(&mut metadata, &json!({"ownerReferences": [owner]}));
    let value = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": 3}});
    (Key::new(Cloud::Kubernetes, "apps/ReplicaSet", format!("{deployment}-6f7d9c")), value)
}

/// Returns a workload that nobody declared.
pub(super) fn stranger(namespace: &str, name: &str) -> (Key, Value) {
    let value = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("stranger-{namespace}-{name}"), "labels": Map::new()},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": name, "image": "docker.io/library/xmrig:latest",
                "securityContext": {"privileged": true}}]}}}});
    (Key::new(Cloud::Kubernetes, "apps/Deployment", format!("{namespace}/{name}")), value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use driftwarden_core::compare::{Context, Facts, MaskKey, Strictly, compare};
    use driftwarden_core::resource::{Depth, Resource, ResourceId};
    use driftwarden_core::rule::{Verdict, evaluate};
    use driftwarden_core::schema::{Schema, cloudformation};

    use super::*;
    use crate::demo::schemas;
    use crate::rulebook;

    #[test]
    fn there_are_about_two_hundred_resources_and_no_name_twice() {
        let assets = estate();
        assert!((180..=230).contains(&assets.len()), "{}", assets.len());
        let keys: BTreeSet<_> = assets.iter().map(|asset| &asset.key).collect();
        assert_eq!(keys.len(), assets.len());
    }

    /// Returns the kinds of AWS of which something differs from what is declared, to whoever knows these schemas.
    fn drifted(schema: impl Fn(&str) -> Schema) -> BTreeSet<String> {
        let (context, mask) = (Context::default(), MaskKey::new([1; 32]));
        let is_drifted = |asset: &Asset| {
            let (kind, schema) = (asset.key.kind.as_str().into(), schema(&asset.key.kind));
            let facts = Facts {
                kind: &kind,
                schema: &schema,
                context: &context,
                depth: Depth::Full,
                mask: &mask,
                strictly: Strictly::default(),
            };
            !compare(&asset.declared, &asset.observed(), facts).changes.is_empty()
        };
        let drifted = estate().into_iter().filter(|asset| asset.key.cloud == Cloud::Aws && is_drifted(asset));
        drifted.map(|asset| asset.key.kind).collect()
    }

    #[test]
    fn what_is_observed_is_what_is_declared_to_whoever_knows_the_schemas() {
        let stated = |kind: &str| cloudformation::read(&schemas::of(kind).unwrap()).unwrap().1;
        assert_eq!(drifted(stated), BTreeSet::new());
        let blind = ["AWS::DynamoDB::Table", "AWS::EKS::Nodegroup"].map(ToOwned::to_owned);
        assert_eq!(drifted(|_| Schema::default()), blind.into());
    }

    #[test]
    fn what_the_cluster_holds_is_what_is_declared_and_more() {
        for asset in estate().into_iter().filter(|asset| asset.key.cloud == Cloud::Kubernetes) {
            let mut both = asset.observed();
            merge(&mut both, &asset.declared);
            assert_eq!(both, asset.observed(), "{:?}", asset.key);
        }
    }

    #[test]
    fn no_built_in_rule_objects_to_anything() {
        for (file, text) in rulebook::BUILTIN {
            let rule = rulebook::parse(file.as_ref(), text).unwrap();
            for (key, attributes) in estate().into_iter().map(|asset| (asset.key.clone(), asset.observed())) {
                let provider = key.cloud.as_str().parse().unwrap();
                let (account, region) = (ACCOUNT.into(), REGION.into());
                let kind = key.kind.as_str().into();
                let id = ResourceId { provider, account, region, kind, name: key.name.as_str().into() };
                let labels = driftwarden_core::normalize::labels(provider, &attributes);
                let resource = Resource { id, labels, attributes, depth: Depth::Full };
                if rule.is_for(&resource.id.kind) {
                    assert_eq!(evaluate(&rule, &resource, None), Verdict::Pass, "{file} {}", resource.id);
                }
            }
        }
    }
}
