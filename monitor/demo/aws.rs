//! A simulated AWS: Cloud Control for everything the estate holds, and as much of STS,
//! CloudFormation, KMS and CloudTrail as a reader asks.
//!
//! It speaks the real protocols and pages its lists. It checks no signature.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::estate::{ACCOUNT, Cloud, Key};
use super::patch;
use super::schemas;
use super::world::World;

type Body = axum::body::Body;

/// Fewer than a caller may ask for, so that lists have pages.
const PAGE: usize = 12;

pub(super) fn router(world: World, kinds: Vec<String>) -> Router {
    Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move {
        world.count_request();
        let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        match operation.map(|target| target.split_once('.').unwrap_or_default()) {
            Some(("CloudApiService", operation)) => cloud_control(&world, operation, &body),
            Some(("TrentService", "ListAliases")) => aliases(),
            Some((_, operation)) if operation.ends_with(".LookupEvents") => log(&world),
            Some(_) => refusal("UnsupportedActionException"),
            None => query(&kinds, &body),
        }
    })
}

fn cloud_control(world: &World, operation: &str, body: &[u8]) -> Response<Body> {
    let Ok(input) = serde_json::from_slice::<Value>(body) else { return refusal("ValidationException") };
    let text = |key: &str| input.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = text("TypeName");
    // Kinds that the estate has none of exist all the same.
    if !kind.starts_with("AWS::") {
        return refusal("TypeNotFoundException");
    }
    let key = Key::new(Cloud::Aws, kind, text("Identifier"));
    match (operation, world.get(&key)) {
        ("ListResources", _) => list(world, kind, &input),
        ("GetResource", Some(value)) => {
            let resource = json!({"Identifier": key.name, "Properties": value.to_string()});
            json_answer(StatusCode::OK, &json!({"TypeName": kind, "ResourceDescription": resource}))
        }
        ("UpdateResource", Some(value)) => update(world, &key, value, text("PatchDocument")),
        ("GetResource" | "UpdateResource", None) => refusal("ResourceNotFoundException"),
        _ => refusal("UnsupportedActionException"),
    }
}

fn list(world: &World, kind: &str, input: &Value) -> Response<Body> {
    let after = match input.get("NextToken").and_then(Value::as_str) {
        None => String::new(),
        Some(token) => match URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(after) => after,
            None => return refusal("InvalidRequestException"),
        },
    };
    let most = input.get("MaxResults").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(PAGE).min(PAGE);
    let mut found = world.page((Cloud::Aws, kind), &after, most + 1, |_| true);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|(name, _)| URL_SAFE_NO_PAD.encode(name));
    // As AWS does: a list shows the identifier and little else.
    let resources: Vec<Value> =
        found.into_iter().map(|(name, _)| json!({"Identifier": name, "Properties": "{}"})).collect();
    let mut answer = json!({"TypeName": kind, "ResourceDescriptions": resources});
    if let (Some(next), Some(map)) = (next, answer.as_object_mut()) {
        map.insert("NextToken".to_owned(), next.into());
    }
    json_answer(StatusCode::OK, &answer)
}

fn update(world: &World, key: &Key, mut value: Value, document: &str) -> Response<Body> {
    let patch = serde_json::from_str::<Value>(document).map_err(|error| error.to_string());
    if patch.and_then(|patch| patch::apply(&mut value, &patch)).is_err() {
        return refusal("ValidationException");
    }
    world.write(key, value);
    let progress = json!({"TypeName": key.kind, "Identifier": key.name, "Operation": "UPDATE",
        "OperationStatus": "SUCCESS", "RequestToken": "demo"});
    json_answer(StatusCode::OK, &json!({"ProgressEvent": progress}))
}

/// The one alias that the estate names, and the key that it stands for.
fn aliases() -> Response<Body> {
    let alias = json!({"AliasName": "alias/shop", "TargetKeyId": "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"});
    json_answer(StatusCode::OK, &json!({"Aliases": [alias], "Truncated": false}))
}

/// What the intruder did, newest first, as CloudTrail writes it down; it is never late here.
fn log(world: &World) -> Response<Body> {
    let arn =
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_PowerUser_0123456789abcdef/mallory@example.com");
    let event = |(at, (key, when, changed)): (usize, (Key, Timestamp, Option<Vec<String>>))| {
        let patch = changed.as_ref().map(|names| {
            names.iter().map(|name| json!({"op": "replace", "path": format!("/{name}")})).collect::<Value>().to_string()
        });
        let name = if patch.is_some() { "UpdateResource" } else { "DeleteResource" };
        let record = json!({"eventID": format!("demo-{at}"), "eventTime": when.to_string(), "eventName": name,
            "eventSource": "cloudcontrolapi.amazonaws.com", "readOnly": false, "userAgent": "Mozilla/5.0",
            "userIdentity": {"type": "AssumedRole", "accountId": ACCOUNT, "arn": arn},
            "requestParameters": {"typeName": key.kind, "identifier": key.name, "patchDocument": patch}});
        json!({"EventId": record.get("eventID"), "EventName": name, "CloudTrailEvent": record.to_string()})
    };
    let events: Vec<Value> = world.deeds(Cloud::Aws).into_iter().enumerate().map(event).rev().collect();
    json_answer(StatusCode::OK, &json!({"Events": events}))
}

/// The services that take forms and answer XML.
fn query(kinds: &[String], body: &[u8]) -> Response<Body> {
    let parameter = |name: &str| url::form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value);
    match parameter("Action").as_deref() {
        Some("GetCallerIdentity") => xml(
            StatusCode::OK,
            &format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/demo</Arn><UserId>AIDADEMO</UserId>\
                 <Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        ),
        Some("ListTypes") => {
            let is_asked = parameter("ProvisioningType").is_none_or(|asked| asked == "FULLY_MUTABLE");
            let member = |kind: &String| format!("<member><TypeName>{kind}</TypeName><Type>RESOURCE</Type></member>");
            let members: String = kinds.iter().filter(|_| is_asked).map(member).collect();
            xml(
                StatusCode::OK,
                &format!(
                    "<ListTypesResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
                     <ListTypesResult><TypeSummaries>{members}</TypeSummaries></ListTypesResult></ListTypesResponse>"
                ),
            )
        }
        Some("DescribeType") => describe(parameter("TypeName").as_deref().unwrap_or_default()),
        _ => xml_refusal(StatusCode::BAD_REQUEST, "InvalidAction"),
    }
}

fn describe(kind: &str) -> Response<Body> {
    let Some(schema) = schemas::of(kind) else { return xml_refusal(StatusCode::NOT_FOUND, "TypeNotFoundException") };
    let schema = schema.to_string().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    xml(
        StatusCode::OK,
        &format!(
            "<DescribeTypeResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeTypeResult>\
             <Type>RESOURCE</Type><TypeName>{kind}</TypeName><Schema>{schema}</Schema>\
             </DescribeTypeResult></DescribeTypeResponse>"
        ),
    )
}

fn xml_refusal(status: StatusCode, code: &str) -> Response<Body> {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>not simulated</Message></Error>");
    xml(status, &format!("<ErrorResponse>{error}</ErrorResponse>"))
}

fn refusal(word: &str) -> Response<Body> {
    let kind = format!("com.amazon.cloudapiservice#{word}");
    json_answer(StatusCode::BAD_REQUEST, &json!({"__type": kind, "Message": "refused by the simulation"}))
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    answer(status, "application/x-amz-json-1.0", value.to_string())
}

fn xml(status: StatusCode, text: &str) -> Response<Body> {
    answer(status, "text/xml", text.to_owned())
}

pub(super) fn answer(status: StatusCode, media: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, axum::http::HeaderValue::from_static(media));
    response
}
