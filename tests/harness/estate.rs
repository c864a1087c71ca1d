//! An estate that Git describes and two clouds hold: 200 AWS resources and 60 Kubernetes objects, equal at first.
//!
//! It knows what is declared and sows it through the clouds' own tools. Not its business: which differences a test plants,
//! and what ought to be found.

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::Ministack;
use crate::harness::git::GitServer;
use crate::harness::kubernetes::ApiServer;

/// A resource as Git declares it.
#[derive(Debug, Clone)]
pub struct Declared {
    pub kind: &'static str,
    pub name: String,
    pub spec: Value,
}

/// The namespace of every object.
pub const NAMESPACE: &str = "shop";

/// The stack that the template is deployed as.
pub const STACK: &str = "estate";

/// Returns the 180 AWS resources that are declared one by one.
pub fn aws() -> Vec<Declared> {
    let tags =
        json!([{"Key": "team", "Value": "data"}, {"Key": "env", "Value": "prod"}, {"Key": "tier", "Value": "1"}]);
    let buckets = (0..50).map(|at| (format!("app-{at:02}"), "AWS::S3::Bucket"));
    let parameters = (0..60).map(|at| (format!("/app/{at:02}"), "AWS::SSM::Parameter"));
    let queues = (0..40).map(|at| (format!("jobs-{at:02}"), "AWS::SQS::Queue"));
    let groups = (0..30).map(|at| (format!("/logs/{at:02}"), "AWS::Logs::LogGroup"));
    let all = buckets.chain(parameters).chain(queues).chain(groups);
    all.map(|(name, kind)| {
        let spec = match kind {
            "AWS::S3::Bucket" => {
                json!({"BucketName": name, "VersioningConfiguration": {"Status": "Enabled"}, "Tags": tags})
            }
            "AWS::SSM::Parameter" => json!({"Name": name, "Type": "String", "Value": "on", "Tags": {"team": "data"}}),
            "AWS::SQS::Queue" => json!({"QueueName": name, "VisibilityTimeout": 30, "Tags": tags}),
            _ => json!({"LogGroupName": name, "RetentionInDays": 30}),
        };
        Declared { kind, name, spec }
    })
    .collect()
}

/// Returns the name of the bucket that the template declares at this place; there are 20.
pub fn template_bucket(at: usize) -> String {
    format!("stack-{at:02}")
}

/// Returns what the cloud holds for that bucket.
pub fn template_bucket_spec(at: usize) -> Value {
    json!({"BucketName": template_bucket(at), "VersioningConfiguration": {"Status": "Enabled"}})
}

/// Returns the CloudFormation template of 20 buckets, with short tags and a parameter in it.
pub fn template() -> String {
    let head = "AWSTemplateFormatVersion: '2010-09-09'\nParameters:\n  Versioning: {Type: String, Default: Enabled}\nResources:\n";
    let buckets = (0..20).map(|at| {
        format!(
            "  Bucket{at:02}:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: {}\n      \
             VersioningConfiguration: {{Status: !Ref Versioning}}\n",
            template_bucket(at)
        )
    });
    head.to_owned() + &buckets.collect::<Vec<_>>().concat()
}

/// Returns the 60 Kubernetes objects.
pub fn kubernetes() -> Vec<Declared> {
    let maps =
        (0..24).map(|at| object("v1", "ConfigMap", &format!("settings-{at:02}"), json!({"data": {"mode": "on"}})));
    let deployments = (0..20).map(|at| {
        let name = format!("web-{at:02}");
        let body = deployment(&name);
        object("apps/v1", "Deployment", &name, body)
    });
    let services = (0..10).map(|at| {
        let port = json!({"name": "http", "port": 80, "targetPort": 8080});
        let body = json!({"spec": {"selector": {"app": format!("web-{at:02}")}, "ports": [port]}});
        object("v1", "Service", &format!("web-{at:02}"), body)
    });
    let accounts = (0..6).map(|at| object("v1", "ServiceAccount", &format!("bot-{at:02}"), json!({})));
    maps.chain(deployments).chain(services).chain(accounts).collect()
}

fn deployment(name: &str) -> Value {
    let environment = json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]);
    // 1000m is stored as 1 by the API server: equal, though not in its letters.
    let container = json!({"name": "main", "image": "registry.example/web:1.0", "env": environment,
        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}, "ports": [{"containerPort": 8080}]});
    json!({"spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
        "metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}}})
}

fn object(version: &str, kind: &'static str, name: &str, mut body: Value) -> Declared {
    body["apiVersion"] = version.into();
    body["kind"] = kind.into();
    body["metadata"] = json!({"name": name, "namespace": NAMESPACE, "labels": {"team": "data"}});
    Declared { kind, name: name.to_owned(), spec: body }
}

/// Returns the files that declare all of it, to lie below one folder.
pub fn files(aws: &[Declared], kubernetes: &[Declared]) -> Vec<(String, String)> {
    let manifests = aws.iter().map(|declared| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": declared.kind, "metadata": {"name": declared.name},
            "spec": declared.spec})
    });
    let objects = kubernetes.iter().map(|declared| declared.spec.clone());
    vec![
        ("prod/aws/resources.yaml".into(), documents(manifests)),
        ("prod/aws/template.yaml".into(), template()),
        ("prod/shop/objects.yaml".into(), documents(objects)),
    ]
}

/// Writes documents of one YAML stream; JSON is YAML too.
pub fn documents(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("---\n{value:#}\n")).collect::<Vec<_>>().concat()
}

/// Commits the declarations and returns the revision.
pub fn commit(git: &GitServer, author: &str, aws: &[Declared], kubernetes: &[Declared]) -> String {
    let files = files(aws, kubernetes);
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    git.commit(author, "declare the estate", &files)
}

/// Creates everything that is declared for AWS; returns the identifiers of the resources declared one by one.
pub fn sow_aws(cloud: &Ministack, declared: &[Declared]) -> Vec<String> {
    let mut resources: Vec<_> = declared.iter().map(|declared| (declared.kind, declared.spec.clone())).collect();
    resources.extend((0..20).map(|at| ("AWS::S3::Bucket", template_bucket_spec(at))));
    // The emulator keeps stacks and Cloud Control apart: the template is deployed for its stack, and sown for the reading.
    let stack = json!({"StackName": STACK, "TemplateBody": template()});
    cloud.call("cloudformation", "create_stack", stack);
    let mut identifiers = cloud.create(&resources);
    identifiers.truncate(declared.len());
    identifiers
}

/// Applies everything that is declared for Kubernetes.
pub fn sow_kubernetes(cluster: &ApiServer, declared: &[Declared]) {
    cluster.kubectl(&["create", "namespace", NAMESPACE], None).unwrap();
    // Not on the server's side: 1.20 refuses a port without its protocol there, as no later version does.
    let documents = documents(declared.iter().map(|declared| declared.spec.clone()));
    cluster.kubectl(&["apply", "-f", "-"], Some(&documents)).unwrap();
}
