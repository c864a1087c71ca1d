//! One record of CloudTrail, and whether it can have changed anything.

use driftwarden_core::resource::Kind;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::identity::Identity;
use super::{Event, Named};

/// What begins the names of events that only read, where the record itself does not say.
const READING: &[&str] = &["BatchGet", "Check", "Describe", "Get", "Head", "List", "Lookup", "Search"];

/// Parts of the names of errors that say that nothing was done.
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "AlreadyExists",
    "Invalid",
    "Malformed",
    "NoSuch",
    "NotFound",
    "Throttl",
    "Unauthorized",
    "Validation",
];

/// Services whose events have another name than their kinds, by the beginning of the kind's service.
const SERVICES: &[(&str, &str)] = &[
    ("ACMPCA", "acm-pca"),
    ("AmazonMQ", "mq"),
    ("ApiGatewayV2", "apigateway"),
    ("ApplicationAutoScaling", "autoscaling"),
    ("CertificateManager", "acm"),
    ("CloudWatch", "monitoring"),
    ("CodeStarConnections", "codestar-connections"),
    ("Cognito", "cognito-idp"),
    ("DirectoryService", "ds"),
    ("DocDB", "rds"),
    ("EFS", "elasticfilesystem"),
    ("ElasticLoadBalancingV2", "elasticloadbalancing"),
    ("Elasticsearch", "es"),
    ("EMR", "elasticmapreduce"),
    ("KinesisAnalyticsV2", "kinesisanalytics"),
    ("KinesisFirehose", "firehose"),
    ("MSK", "kafka"),
    ("Neptune", "rds"),
    ("OpenSearchService", "es"),
    ("ResourceGroups", "resource-groups"),
    ("StepFunctions", "states"),
];
/// Services that write resources of every other one: Cloud Control, which is told the kind and goes by several names, and
/// tagging.
const CLOUD_CONTROL: &[&str] = &["cloudcontrol", "cloudcontrolapi", "cloudformation"];
const TAGGING: &str = "tagging";

/// What a record says. Has no `Debug`, for its parameters may hold a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    #[serde(rename = "eventID")]
    pub(super) id: String,
    #[serde(rename = "eventTime")]
    pub(super) at: Timestamp,
    #[serde(rename = "eventName")]
    pub(super) name: String,
    event_source: String,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    error_code: Option<Value>,
    #[serde(default)]
    read_only: Option<Value>,
    #[serde(default)]
    session_credential_from_console: Option<Value>,
    #[serde(default)]
    pub(super) user_identity: Identity,
    #[serde(default)]
    request_parameters: Value,
    #[serde(default)]
    response_elements: Value,
    /// What the listing adds.
    #[serde(skip)]
    pub(super) username: Option<String>,
    #[serde(skip)]
    pub(super) resources: Vec<Named>,
}

impl Record {
    /// Returns the record of an event, if it is one.
    pub(super) fn of(event: Event) -> Option<Self> {
        let record: Self = serde_json::from_str(&event.record).ok()?;
        Some(Self { username: event.username, resources: event.resources, ..record })
    }

    /// Returns whether it wrote: it was no attempt that failed, and does more than read.
    pub(super) fn wrote(&self) -> bool {
        !self.only_reads() && self.error_code.as_ref().is_none_or(Value::is_null)
    }

    /// Returns whether it may have written. What ended in another error than a refusal may have taken effect.
    pub(super) fn may_have_written(&self) -> bool {
        let code = self.error_code.as_ref().and_then(Value::as_str).unwrap_or_default();
        !self.only_reads() && !REFUSALS.iter().any(|word| code.contains(word))
    }

    fn only_reads(&self) -> bool {
        match &self.read_only {
            Some(Value::Bool(reads)) => *reads,
            Some(Value::String(word)) => word.eq_ignore_ascii_case("true"),
            _ => READING.iter().any(|verb| self.name.starts_with(verb)),
        }
    }

    /// Returns whether it is a call to what serves that kind.
    pub(super) fn serves(&self, kind: &Kind) -> bool {
        if self.is_of_cloud_control() {
            return self.parameter("typeName").is_some_and(|named| named == kind.as_str());
        }
        self.is_of_tagging() || is_service(self.source(), kind)
    }

    /// Returns the service that was called: `s3` of `s3.amazonaws.com`.
    pub(super) fn source(&self) -> &str {
        self.event_source.split('.').next().unwrap_or_default()
    }

    /// Returns whether it is a call that tags whatever its ARNs name.
    pub(super) fn is_of_tagging(&self) -> bool {
        self.source() == TAGGING
    }

    /// Returns whether it is a call that is told the kind of what it writes.
    pub(super) fn is_of_cloud_control(&self) -> bool {
        CLOUD_CONTROL.contains(&self.source())
            && self.parameter("typeName").is_some()
            && self.name.ends_with("Resource")
    }

    /// Returns a text among the parameters of the request. Records begin them with a small letter, emulators need not.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let parameters = self.request_parameters.as_object()?;
        let mut named = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().and_then(|(_, value)| value.as_str())
    }

    /// Returns what was asked for and what came of it.
    pub(super) fn told(&self) -> [&Value; 2] {
        [&self.request_parameters, &self.response_elements]
    }

    pub(super) fn agent(&self) -> &str {
        self.user_agent.as_deref().unwrap_or_default()
    }

    /// Returns whether its credentials were made for the console.
    pub(super) fn is_of_console(&self) -> bool {
        let said = self.session_credential_from_console.as_ref();
        said.is_some_and(|said| said == &Value::Bool(true) || said == &Value::from("true"))
    }
}

/// Returns whether a service, as events and ARNs call it, is that of a kind: `s3` of `AWS::S3::Bucket`.
pub(super) fn is_service(name: &str, kind: &Kind) -> bool {
    let service = kind.as_str().split("::").nth(1).unwrap_or_default();
    name.eq_ignore_ascii_case(service) || SERVICES.contains(&(service, name))
}
