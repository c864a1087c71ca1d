//! Answers by script, for the faults that no well-behaved peer can be made to commit.
//!
//! Proves how the daemon takes an answer, never that a cloud gives it: the shapes come from recordings and documentation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::harness::http::Answer;
use crate::harness::http::Request;
use crate::harness::http::Server;

/// A way in which an API misbehaves, with the JSON it would have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in the middle of the body.
    HalfABody,
    /// The body is complete by its length, but its JSON stops.
    CutJson,
    /// A proxy's login page, with status 200.
    LoginPage,
    /// A JSON document of another shape.
    OtherShape,
    /// HTTP 429 for good.
    Throttled,
    /// HTTP 500 for good.
    Broken,
    /// HTTP 403.
    Forbidden,
    /// Nothing, for longer than anybody waits.
    Silent,
}

impl Fault {
    /// Returns what is sent instead of `body`.
    pub fn answer(self, body: &Value) -> Answer {
        let text = body.to_string();
        match self {
            Self::HalfABody => Answer::json(200, body).cut_after(text.len() / 2),
            Self::CutJson => Answer::new(200, "application/json", &text.as_bytes()[..text.len() / 2]),
            Self::LoginPage => Answer::new(200, "text/html", "<html><form action=/login>password</form></html>"),
            Self::OtherShape => Answer::json(200, &json!(["unexpected", 1, null])),
            Self::Throttled => Answer::json(429, &json!({"message": "slow down"})).with("retry-after", "1"),
            Self::Broken => Answer::json(500, &json!({"message": "internal failure"})),
            Self::Forbidden => Answer::json(403, &json!({"message": "forbidden"})),
            Self::Silent => Answer::json(200, body).after(Duration::from_mins(10)),
        }
    }
}

/// How many items a page holds, whatever a client asks for.
const PAGE: usize = 2;

/// What a scripted cloud sends in place of the second page of the list under test; it gets the page that was due.
pub type SecondPage = Box<dyn Fn(Value) -> Answer + Send + Sync>;

/// Says the second page as it was due.
pub fn untouched() -> SecondPage {
    Box::new(|page| Answer::json(200, &page))
}

/// The config maps that a scripted cluster holds, by name, with their data; a test may change them at any time.
pub type ConfigMaps = Arc<Mutex<BTreeMap<String, Value>>>;

/// Returns this many config maps as they are declared.
pub fn config_maps(count: usize) -> ConfigMaps {
    let maps = (0..count).map(|at| (format!("settings-{at:02}"), json!({"mode": "on"})));
    Arc::new(Mutex::new(maps.collect()))
}

/// Returns the manifests of all of them.
pub fn config_map_manifests(maps: &ConfigMaps) -> Vec<Value> {
    let object = |(name, data): (&String, &Value)| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data});
    maps.lock().unwrap().iter().map(object).collect()
}

/// Starts an API server of Kubernetes with these config maps in the namespace `shop`, paged, and the kind of deployments.
pub fn kubernetes(maps: &ConfigMaps, second_page: SecondPage) -> Server {
    let maps = Arc::clone(maps);
    Server::start(move |request| kubernetes_answer(request, &maps.lock().unwrap().clone(), &second_page))
}

fn kubernetes_answer(request: &Request, maps: &BTreeMap<String, Value>, second_page: &SecondPage) -> Answer {
    // An answer to a rehearsal that shows the object as it is would say that applying the declaration changes nothing.
    if request.method != "GET" {
        return Answer::json(405, &kubernetes_status(405, "MethodNotAllowed"));
    }
    let verbs = json!(["get", "list", "watch"]);
    let resource = |name: &str, kind: &str| json!({"name": name, "singularName": "", "kind": kind, "namespaced": true, "verbs": verbs});
    let resources = |version: &str, resource: Value| json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [resource]});
    let apps = json!({"groupVersion": "apps/v1", "version": "v1"});
    let body = match request.path.as_str() {
        "/version" => json!({"major": "1", "minor": "20", "gitVersion": "v1.20.2"}),
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        "/apis" => json!({"kind": "APIGroupList", "apiVersion": "v1",
            "groups": [{"name": "apps", "versions": [apps], "preferredVersion": apps}]}),
        "/api/v1" => resources("v1", resource("configmaps", "ConfigMap")),
        "/apis/apps/v1" => resources("apps/v1", resource("deployments", "Deployment")),
        "/api/v1/configmaps" | "/api/v1/namespaces/shop/configmaps" => return list(request, maps, second_page),
        "/apis/apps/v1/deployments" | "/apis/apps/v1/namespaces/shop/deployments" => {
            json!({"kind": "DeploymentList", "apiVersion": "apps/v1",
            "metadata": {"resourceVersion": "7"}, "items": []})
        }
        path => {
            let name = path.strip_prefix("/api/v1/namespaces/shop/configmaps/").unwrap_or_default();
            let Some(data) = maps.get(name) else { return Answer::json(404, &kubernetes_status(404, "NotFound")) };
            config_map(name, data)
        }
    };
    Answer::json(200, &body)
}

/// A config map's `team` is its label, too.
fn config_map(name: &str, data: &Value) -> Value {
    let mut metadata = json!({"name": name, "namespace": "shop", "uid": name, "resourceVersion": data.to_string()});
    if let Some(team) = data.get("team") {
        metadata["labels"] = json!({"team": team});
    }
    json!({"kind": "ConfigMap", "apiVersion": "v1", "data": data, "metadata": metadata})
}

fn kubernetes_status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code})
}

fn list(request: &Request, maps: &BTreeMap<String, Value>, second_page: &SecondPage) -> Answer {
    let from = parameter(&request.query, "continue").and_then(|token| token.parse().ok()).unwrap_or(0);
    let items: Vec<_> = maps.iter().skip(from).take(PAGE).map(|(name, data)| config_map(name, data)).collect();
    let mut page =
        json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items});
    if from + PAGE < maps.len() {
        page["metadata"]["continue"] = (from + PAGE).to_string().into();
    }
    if from == PAGE { second_page(page) } else { Answer::json(200, &page) }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Starts an AWS that knows Cloud Control and who asks: six buckets, paged, and nothing of any other kind.
pub fn aws(second_page: SecondPage) -> Server {
    Server::start(move |request| aws_answer(request, &second_page))
}

/// Starts the same AWS, which also states schemas: `state` gets a kind and returns its document, or nothing to refuse.
pub fn aws_stating(state: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Server {
    let pages = untouched();
    Server::start(move |request| {
        let text = request.text();
        if !text.contains("Action=DescribeType") {
            return aws_answer(request, &pages);
        }
        match state(&parameter(&text, "TypeName").unwrap_or_default()) {
            Some(schema) => Answer::new(200, "text/xml", described(&schema)),
            None => {
                Answer::new(403, "text/xml", "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
            }
        }
    })
}

/// Starts the same AWS, whose CloudTrail tells these events, whatever it is asked; a test may add some at any time.
pub fn aws_recording(events: &Arc<Mutex<Vec<Value>>>) -> Server {
    let (events, pages) = (Arc::clone(events), untouched());
    Server::start(move |request| {
        let is_look_up = request.header("x-amz-target").is_some_and(|target| target.ends_with(".LookupEvents"));
        if is_look_up {
            aws_json(200, &json!({"Events": *events.lock().unwrap()}))
        } else {
            aws_answer(request, &pages)
        }
    })
}

fn described(schema: &Value) -> String {
    let schema = schema.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<DescribeTypeResponse><DescribeTypeResult><Schema>{schema}</Schema></DescribeTypeResult></DescribeTypeResponse>"
    )
}

/// Returns the names of the buckets that the scripted account holds.
pub fn bucket_names() -> Vec<String> {
    (0..6).map(|at| format!("bucket-{at}")).collect()
}

fn aws_answer(request: &Request, second_page: &SecondPage) -> Answer {
    let target = request.header("x-amz-target").unwrap_or_default();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let kind = body["TypeName"].as_str().unwrap_or_default();
    match target.rsplit('.').next().unwrap_or_default() {
        "ListResources" if kind == "AWS::S3::Bucket" => buckets(&body, second_page),
        "ListResources" => aws_json(200, &json!({"TypeName": kind, "ResourceDescriptions": []})),
        "GetResource" => match body["Identifier"].as_str() {
            Some(name) if bucket_names().iter().any(|known| known == name) => {
                aws_json(200, &json!({"TypeName": kind, "ResourceDescription": bucket(name)}))
            }
            _ => aws_json(400, &json!({"__type": "ResourceNotFoundException", "message": "no such resource"})),
        },
        _ if request.text().contains("GetCallerIdentity") => Answer::new(200, "text/xml", CALLER),
        _ => aws_json(400, &json!({"__type": "UnknownOperationException", "message": "not scripted"})),
    }
}

/// Who asks, as STS says it.
const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::111111111111:user/reader</Arn><UserId>AIDA</UserId><Account>111111111111</Account>\
    </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>";

fn aws_json(status: u16, body: &Value) -> Answer {
    Answer::new(status, "application/x-amz-json-1.0", body.to_string())
}

fn bucket(name: &str) -> Value {
    let properties = json!({"BucketName": name, "VersioningConfiguration": {"Status": "Enabled"}});
    json!({"Identifier": name, "Properties": properties.to_string()})
}

fn buckets(body: &Value, second_page: &SecondPage) -> Answer {
    let from = body["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let names = bucket_names();
    let items: Vec<_> = names.iter().skip(from).take(PAGE).map(|name| bucket(name)).collect();
    let mut page = json!({"TypeName": "AWS::S3::Bucket", "ResourceDescriptions": items});
    if from + PAGE < names.len() {
        page["NextToken"] = (from + PAGE).to_string().into();
    }
    if from == PAGE { second_page(page) } else { aws_json(200, &page) }
}
