//! Calls of AWS services: their addresses and their protocols (JSON, Query and REST with XML), signed and budgeted.
//!
//! No service is known here beyond its name and its version.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use driftwarden_core::resource::GapReason;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded;

use super::sign::Signer;
use crate::collect::http::{Answer, CallError, Client, Code, Media, Protocol, Request, Target};

/// Version of the API of each service that speaks Query.
const VERSIONS: &[(&str, &str)] = &[("sts", "2011-06-15"), ("cloudformation", "2010-05-15"), ("ec2", "2016-11-15")];
/// Services that speak the newer of the two versions of AWS JSON.
const JSON_1_1: &[&str] = &["cloudtrail", "kms", "organizations"];

/// SHA-256 of a request without a body; S3 wants to be told.
pub(super) const DIGEST_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Calls services in one account and region.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) http: Arc<Client>,
    pub(super) signer: Arc<Signer>,
    /// Whose budget is used.
    pub(super) account: Arc<str>,
    /// Where the service is; never `-`.
    pub(super) region: Arc<str>,
    /// Used instead of the services' own addresses.
    pub(super) endpoint: Option<Url>,
}

impl Caller {
    /// Calls an operation of a service that speaks AWS JSON; `operation` is its full name.
    pub(super) async fn json(
        &self,
        service: &'static str,
        operation: &'static str,
        input: &impl Serialize,
    ) -> Result<Answer, CallError> {
        let body = serde_json::to_vec(input).map_err(|_| unformed())?;
        let is_newer = JSON_1_1.contains(&service);
        let media = if is_newer { "application/x-amz-json-1.1" } else { "application/x-amz-json-1.0" };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(media)),
            (HeaderName::from_static("x-amz-target"), HeaderValue::from_static(operation)),
        ];
        self.post(service, HeaderMap::from_iter(headers), (body.into(), Media::Json)).await
    }

    /// Calls an operation of a service that speaks Query.
    pub(super) async fn query(
        &self,
        service: &'static str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let version = VERSIONS.iter().find(|(name, _)| *name == service).map_or("", |(_, version)| version);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", operation), ("Version", version)])
            .extend_pairs(parameters)
            .finish();
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"))];
        self.post(service, HeaderMap::from_iter(headers), (body.into(), Media::Xml)).await
    }

    /// Reads what a service that speaks REST with XML has at its root.
    pub(super) async fn get(&self, service: &'static str, parameters: &[(&str, &str)]) -> Result<Answer, CallError> {
        let mut url = self.url(service)?;
        url.query_pairs_mut().extend_pairs(parameters);
        let digest = (HeaderName::from_static("x-amz-content-sha256"), HeaderValue::from_static(DIGEST_OF_NOTHING));
        let (target, headers) = (self.target(service), HeaderMap::from_iter([digest]));
        let request = Request { target, method: Method::GET, url, headers, body: Bytes::new(), media: Media::Xml };
        self.sign_and_send(service, &request).await
    }

    async fn post(
        &self,
        service: &'static str,
        headers: HeaderMap,
        (body, media): (Bytes, Media),
    ) -> Result<Answer, CallError> {
        let (target, url) = (self.target(service), self.url(service)?);
        let request = Request { target, method: Method::POST, url, headers, body, media };
        self.sign_and_send(service, &request).await
    }

    pub(super) fn target(&self, service: &'static str) -> Target {
        Target { account: Arc::clone(&self.account), region: Arc::clone(&self.region), service }
    }

    pub(super) fn url(&self, service: &str) -> Result<Url, CallError> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => address(service, &self.region).ok_or_else(unformed),
        }
    }

    /// Returns how ARNs of things here begin; `{region}` and `{account}` are filled in.
    pub(super) fn arn(&self, kind: &str) -> String {
        let kind = kind.replace("{region}", &self.region).replace("{account}", &self.account);
        format!("arn:{}:{kind}", partition_name(&self.region))
    }

    pub(super) async fn sign_and_send(&self, service: &'static str, request: &Request) -> Result<Answer, CallError> {
        let is_elsewhere = service == "iam" && partition_name(&self.region) == "aws-cn";
        let region = if is_elsewhere { "cn-north-1" } else { &self.region };
        let signing = Signing { signer: &self.signer, service, region };
        self.http.send(request, &signing).await
    }
}

pub(super) fn unformed() -> CallError {
    CallError::new(GapReason::Malformed, "failed to form the request")
}

/// A part of AWS that shares nothing with the others, not even accounts.
struct Partition {
    /// What its regions begin with.
    prefix: &'static str,
    /// What its ARNs say.
    name: &'static str,
    /// Under which name its services are found.
    domain: &'static str,
    /// Where its global services are signed for.
    home: &'static str,
}

/// The partitions; the last one has all regions that no other has.
const PARTITIONS: &[Partition] = &[
    Partition { prefix: "cn-", name: "aws-cn", domain: "amazonaws.com.cn", home: "cn-northwest-1" },
    Partition { prefix: "us-gov-", name: "aws-us-gov", domain: "amazonaws.com", home: "us-gov-west-1" },
    Partition { prefix: "us-iso-", name: "aws-iso", domain: "c2s.ic.gov", home: "us-iso-east-1" },
    Partition { prefix: "us-isob-", name: "aws-iso-b", domain: "sc2s.sgov.gov", home: "us-isob-east-1" },
    Partition { prefix: "eusc-", name: "aws-eusc", domain: "amazonaws.eu", home: "eusc-de-east-1" },
    STANDARD,
];
const STANDARD: Partition = Partition { prefix: "", name: "aws", domain: "amazonaws.com", home: "us-east-1" };

fn partition(region: &str) -> &'static Partition {
    PARTITIONS.iter().find(|partition| region.starts_with(partition.prefix)).unwrap_or(&STANDARD)
}

/// Returns the region that global services are signed for, next to that region.
pub(super) fn home(region: &str) -> &'static str {
    partition(region).home
}

/// Returns the name of the partition that a region belongs to.
pub(super) fn partition_name(region: &str) -> &'static str {
    partition(region).name
}

/// Returns the ARN of a role that is given by its ARN or by its name in an account.
pub(super) fn role_arn(role: &str, account: &str, region: &str) -> String {
    if role.starts_with("arn:") {
        return role.to_owned();
    }
    format!("arn:{}:iam::{account}:role/{role}", partition(region).name)
}

/// Where services without regions are, that have no address in the region which they are signed for.
const GLOBAL_HOSTS: &[(&str, &str, &str)] = &[
    ("cloudfront", "aws", "cloudfront.amazonaws.com"),
    ("iam", "aws", "iam.amazonaws.com"),
    ("iam", "aws-cn", "iam.cn-north-1.amazonaws.com.cn"),
    ("iam", "aws-us-gov", "iam.us-gov.amazonaws.com"),
    ("route53", "aws", "route53.amazonaws.com"),
    ("route53", "aws-cn", "route53.amazonaws.com.cn"),
    ("route53", "aws-us-gov", "route53.us-gov.amazonaws.com"),
];

fn address(service: &str, region: &str) -> Option<Url> {
    let is_here = |(name, partition, _): &&(&str, &str, &str)| *name == service && *partition == partition_name(region);
    if let Some((.., host)) = GLOBAL_HOSTS.iter().find(is_here) {
        return Url::parse(&format!("https://{host}/")).ok();
    }
    Url::parse(&format!("https://{service}.{region}.{}/", partition(region).domain)).ok()
}

/// Signs for one service in one region.
struct Signing<'a> {
    signer: &'a Signer,
    service: &'static str,
    region: &'a str,
}

#[async_trait]
impl Protocol for Signing<'_> {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<(), CallError> {
        self.signer.sign(request, (self.service, self.region)).await
    }

    fn code(&self, headers: &HeaderMap, body: &[u8]) -> Option<Code> {
        let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let found = header.map(str::to_owned).or_else(|| in_json(body)).or_else(|| in_xml(body))?;
        // `com.amazon.coral.service#AccessDeniedException:http://internal.amazon.com/...`
        let word = found.split_once('#').map_or(&*found, |(_, word)| word);
        Code::new(word.split(':').next().unwrap_or_default().trim()).filter(|code| !code.as_str().is_empty())
    }

    async fn mends(&self, refusal: &CallError, headers: &HeaderMap) -> bool {
        self.signer.mends(refusal, headers).await
    }
}

fn in_json(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type", alias = "code", alias = "Code")]
        code: String,
    }
    serde_json::from_slice(body).ok().map(|Refusal { code }| code)
}

/// All of AWS's forms of an error in XML have one `Code`, at different depths.
fn in_xml(body: &[u8]) -> Option<String> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_names() {
        for (region, host, home_region, role) in [
            ("eu-west-1", "sts.eu-west-1.amazonaws.com", "us-east-1", "arn:aws:iam::1:role/r"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "cn-northwest-1", "arn:aws-cn:iam::1:role/r"),
            ("us-gov-east-1", "sts.us-gov-east-1.amazonaws.com", "us-gov-west-1", "arn:aws-us-gov:iam::1:role/r"),
        ] {
            assert_eq!(address("sts", region).unwrap().host_str(), Some(host));
            assert_eq!((home(region), role_arn("r", "1", region).as_str()), (home_region, role));
        }
        assert_eq!(role_arn("arn:aws:iam::2:role/path/r", "1", "eu-west-1"), "arn:aws:iam::2:role/path/r");
    }
}
