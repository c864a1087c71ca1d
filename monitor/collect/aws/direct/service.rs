//! The services that are read directly: where they are, and which of AWS's protocols each speaks.

use bytes::Bytes;
use driftwarden_core::resource::GapReason;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::Call;
use super::shape::scalar;
use super::xml::{self, Document, Unread};
use crate::collect::aws::call::{self, Caller};
use crate::collect::http::{Answer, CallError, Media, Request};

/// One service.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// What its host begins with.
    pub host: &'static str,
    /// What requests to it are signed as.
    pub signed_as: &'static str,
    /// What its actions begin with in policies.
    pub prefix: &'static str,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// How a service is spoken to.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    /// AWS JSON of a version, with what the target begins with.
    Json(&'static str, &'static str),
    /// Query, of a version of the API. Lists are `Name.member.N`.
    Query(&'static str),
    /// EC2's dialect of Query, of a version of the API. Lists are `Name.N`.
    Ec2(&'static str),
    /// Paths and JSON.
    RestJson,
    /// Paths and XML.
    RestXml,
}

const fn service(name: &'static str, protocol: Protocol) -> Service {
    Service { host: name, signed_as: name, prefix: name, protocol }
}

const fn named(host: &'static str, signed_as: &'static str, prefix: &'static str, protocol: Protocol) -> Service {
    Service { host, signed_as, prefix, protocol }
}

pub(super) const ACM: Service = service("acm", Protocol::Json("1.1", "CertificateManager"));
pub(super) const API_GATEWAY: Service = service("apigateway", Protocol::RestJson);
pub(super) const AUTO_SCALING: Service = service("autoscaling", Protocol::Query("2011-01-01"));
pub(super) const CLOUD_FRONT: Service = service("cloudfront", Protocol::RestXml);
pub(super) const CLOUD_TRAIL: Service =
    service("cloudtrail", Protocol::Json("1.1", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"));
pub(super) const CLOUD_WATCH: Service = named("monitoring", "monitoring", "cloudwatch", Protocol::Query("2010-08-01"));
pub(super) const CONFIG: Service = service("config", Protocol::Json("1.1", "StarlingDoveService"));
pub(super) const DYNAMO_DB: Service = service("dynamodb", Protocol::Json("1.0", "DynamoDB_20120810"));
pub(super) const EC2: Service = service("ec2", Protocol::Ec2("2016-11-15"));
pub(super) const ECR: Service =
    named("api.ecr", "ecr", "ecr", Protocol::Json("1.1", "AmazonEC2ContainerRegistry_V20150921"));
pub(super) const ECS: Service = service("ecs", Protocol::Json("1.1", "AmazonEC2ContainerServiceV20141113"));
pub(super) const EKS: Service = service("eks", Protocol::RestJson);
pub(super) const ELASTI_CACHE: Service = service("elasticache", Protocol::Query("2015-02-02"));
pub(super) const ELB: Service = service("elasticloadbalancing", Protocol::Query("2015-12-01"));
pub(super) const GUARD_DUTY: Service = service("guardduty", Protocol::RestJson);
pub(super) const IAM: Service = service("iam", Protocol::Query("2010-05-08"));
pub(super) const KMS: Service = service("kms", Protocol::Json("1.1", "TrentService"));
pub(super) const LAMBDA: Service = service("lambda", Protocol::RestJson);
pub(super) const LOGS: Service = service("logs", Protocol::Json("1.1", "Logs_20140328"));
pub(super) const OPEN_SEARCH: Service = service("es", Protocol::RestJson);
pub(super) const RDS: Service = service("rds", Protocol::Query("2014-10-31"));
pub(super) const ROUTE_53: Service = service("route53", Protocol::RestXml);
pub(super) const S3: Service = service("s3", Protocol::RestXml);
pub(super) const S3_CONTROL: Service = named("{account}.s3-control", "s3", "s3", Protocol::RestXml);
pub(super) const SECRETS_MANAGER: Service = service("secretsmanager", Protocol::Json("1.1", "secretsmanager"));
pub(super) const SECURITY_HUB: Service = service("securityhub", Protocol::RestJson);
pub(super) const SNS: Service = service("sns", Protocol::Query("2010-03-31"));
pub(super) const SQS: Service = service("sqs", Protocol::Json("1.0", "AmazonSQS"));
pub(super) const SSM: Service = service("ssm", Protocol::Json("1.1", "AmazonSSM"));

/// What a call is given, by the names of the service.
pub(super) type Arguments = Map<String, Value>;

impl Service {
    /// Calls an operation: its name, or method and path (`GET /clusters/{name}`) where the service goes by paths.
    pub(super) async fn call(&self, caller: &Caller, call: &Call, with: &Arguments) -> Result<Reply, CallError> {
        let request = self.request(caller, call.operation, with).ok_or_else(call::unformed)?;
        let answer = caller.sign_and_send(self.signed_as, &request).await?;
        self.understand(call, &answer)
    }

    fn request(&self, caller: &Caller, operation: &str, with: &Arguments) -> Option<Request> {
        let target = caller.target(self.signed_as);
        let root = caller.url(&self.host.replace("{account}", &caller.account)).ok()?;
        let (method, url, headers, (body, media)) = match self.protocol {
            Protocol::Json(version, target) => {
                let media = HeaderValue::from_str(&format!("application/x-amz-json-{version}")).ok()?;
                let target = HeaderValue::from_str(&format!("{target}.{operation}")).ok()?;
                let headers = [(CONTENT_TYPE, media), (HeaderName::from_static("x-amz-target"), target)];
                let body = serde_json::to_vec(&nested(with)).ok()?;
                (Method::POST, root, HeaderMap::from_iter(headers), (body.into(), Media::Json))
            }
            Protocol::Query(version) => form(root, (operation, version), flat(with, ".member")),
            Protocol::Ec2(version) => form(root, (operation, version), flat(with, "")),
            Protocol::RestJson => by_path(root, operation, with, Media::Json)?,
            Protocol::RestXml => {
                let (method, url, mut headers, body) = by_path(root, operation, with, Media::XmlOrJson)?;
                // S3 wants to be told, and the others of its kind do not mind.
                if body.0.is_empty() {
                    headers.insert("x-amz-content-sha256", HeaderValue::from_static(call::DIGEST_OF_NOTHING));
                }
                if self.host.starts_with('{') {
                    headers.insert("x-amz-account-id", HeaderValue::from_str(&caller.account).ok()?);
                }
                (method, url, headers, body)
            }
        };
        Some(Request { target, method, url, headers, body, media })
    }

    fn understand(&self, call: &Call, answer: &Answer) -> Result<Reply, CallError> {
        let path = Some(call.items).filter(|path| !path.is_empty());
        match self.protocol {
            Protocol::Json(..) | Protocol::RestJson => answer.json().map(Reply::of),
            Protocol::RestXml => {
                // The policy of a bucket is told in its own language.
                let Some(expected) = call.root else { return answer.json().map(Reply::of) };
                let Document { root, value, things } = xml::read(&answer.body, path)?;
                // What only behaves like S3 calls an answer as the operation.
                let is_other = root != expected && !root.starts_with("GetBucket");
                if is_other { Err(about_else()) } else { Ok(Reply { value, things }) }
            }
            Protocol::Query(_) | Protocol::Ec2(_) => {
                let operation = call.operation;
                let result = format!("{operation}Result");
                let is_inside = matches!(self.protocol, Protocol::Query(_));
                let path = path.map(|path| if is_inside { format!("{result}.{path}") } else { path.to_owned() });
                let Document { root, mut value, things } = xml::read(&answer.body, path.as_deref())?;
                if root != format!("{operation}Response") {
                    return Err(about_else());
                }
                let value = value.get_mut(&result).map(Value::take).unwrap_or(value);
                Ok(Reply { value, things })
            }
        }
    }
}

/// What a service answered.
pub(super) struct Reply {
    /// All of it, with marks in the place of the things that are unread.
    pub(super) value: Value,
    /// What it lists, where that is not read yet.
    pub(super) things: Unread,
}

impl Reply {
    fn of(value: Value) -> Self {
        Self { value, things: Unread::default() }
    }
}

fn about_else() -> CallError {
    CallError::new(GapReason::Malformed, "the answer is about something else")
}

type Parts = (Method, Url, HeaderMap, (Bytes, Media));

fn form(url: Url, (operation, version): (&str, &str), parameters: Vec<(String, String)>) -> Parts {
    let body = Serializer::new(String::new())
        .extend_pairs([("Action", operation), ("Version", version)])
        .extend_pairs(parameters)
        .finish();
    let media = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    (Method::POST, url, HeaderMap::from_iter([(CONTENT_TYPE, media)]), (body.into(), Media::Xml))
}

/// Writes arguments as parameters: items of a list are counted from one.
fn flat(with: &Arguments, member: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for (name, value) in with {
        match value {
            Value::Array(items) => {
                let texts = items.iter().zip(1..).filter_map(|(item, n)| Some((n, scalar(item)?.into_owned())));
                parameters.extend(texts.map(|(n, text)| (format!("{name}{member}.{n}"), text)));
            }
            one => parameters.extend(scalar(one).map(|text| (name.clone(), text.into_owned()))),
        }
    }
    parameters
}

/// Writes arguments as a document: what follows a dot in a name is inside of what comes before.
fn nested(with: &Arguments) -> Arguments {
    let mut document = Arguments::new();
    for (path, value) in with {
        put(&mut document, path, value.clone());
    }
    document
}

fn put(into: &mut Arguments, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        into.insert(path.to_owned(), value);
        return;
    };
    let inner = into.entry(first).or_insert_with(|| Arguments::new().into());
    if let Some(inner) = inner.as_object_mut() {
        put(inner, rest, value);
    }
}

/// Fills the arguments into the path; the others are the query, or the body of what is posted.
fn by_path(mut url: Url, operation: &str, with: &Arguments, media: Media) -> Option<Parts> {
    let (method, template) = operation.split_once(' ')?;
    let (path, fixed) = template.split_once('?').unwrap_or((template, ""));
    let mut rest = with.clone();
    let segments = path.split('/').skip(1).map(|segment| match segment.strip_prefix('{') {
        Some(name) => scalar(&rest.remove(name.trim_end_matches('}'))?).map(std::borrow::Cow::into_owned),
        None => Some(segment.to_owned()),
    });
    let segments: Vec<String> = segments.collect::<Option<_>>()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    let method: Method = method.parse().ok()?;
    let mut headers = HeaderMap::new();
    let mut body = Bytes::new();
    let query = Serializer::new(String::new())
        .extend_pairs(
            fixed.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))),
        )
        .finish();
    url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
    if method == Method::POST {
        let rest = nested(&rest);
        let (name, text) = match media {
            Media::Json => ("application/json", serde_json::to_vec(&rest).ok()?),
            _ => ("application/xml", xml::write(&rest).into_bytes()),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(name));
        body = text.into();
    } else if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(flat(&rest, ""));
    }
    Some((method, url, headers, (body, media)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_path(operation: &str, with: &Value, expected: &str) {
        let url = Url::parse("http://h/").unwrap();
        let parts = by_path(url, operation, with.as_object().unwrap(), Media::Json);
        let said = parts.map(|(method, url, _, (body, _))| {
            let body = String::from_utf8_lossy(&body).into_owned();
            format!("{method} {}{body}", url.as_str().trim_start_matches("http://h"))
        });
        assert_eq!(said.unwrap_or_default(), expected, "{operation}");
    }

    #[test]
    fn paths_are_filled_and_the_rest_is_query_or_body() {
        check_path("GET /clusters/{name}", &json!({"name": "a b/c"}), "GET /clusters/a%20b%2Fc");
        check_path("GET /clusters", &json!({"maxResults": 100}), "GET /clusters?maxResults=100");
        check_path("GET /{Bucket}?policy", &json!({"Bucket": "logs"}), "GET /logs?policy=");
        check_path("GET /", &json!({"max-buckets": 5}), "GET /?max-buckets=5");
        check_path("POST /findings", &json!({"a": [1]}), "POST /findings{\"a\":[1]}");
        check_path("POST /findings", &json!({"a.b": 1, "a.c": 2}), "POST /findings{\"a\":{\"b\":1,\"c\":2}}");
        check_path("GET /clusters/{name}", &json!({}), "");
    }

    #[test]
    fn lists_are_counted_as_the_dialect_does() {
        let with = json!({"Ids": ["a", "b"], "Most": 5, "All": true});
        let flat = |member| {
            flat(with.as_object().unwrap(), member).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(flat(""), ["All=true", "Ids.1=a", "Ids.2=b", "Most=5"]);
        assert_eq!(flat(".member"), ["All=true", "Ids.member.1=a", "Ids.member.2=b", "Most=5"]);
    }
}
