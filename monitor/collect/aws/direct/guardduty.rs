//! GuardDuty: the detector of a region, if there is one.

use serde_json::Value;

use super::service::GUARD_DUTY;
use super::shape::{Field, capitals, is_on, made, object, tags, text};
use super::{Arg, Direct, call, part};

/// What every detector looks at. Nobody can turn it off, so nobody declares it.
const ALWAYS: [&str; 3] = ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"];

const ENABLE: &[Field] = &[made("Enable", "status", is_on)];

pub(super) const DETECTOR: Direct = Direct {
    list: &[call("GET /detector", "detectorIds")
        .with(&[("maxResults", Arg::Int(50))])
        .pages("nextToken", "nextToken")
        .action("guardduty:ListDetectors")],
    shape: &[text("Id", "")],
    parts: &[part(
        call("GET /detector/{DetectorId}", "").with(&[("DetectorId", Arg::Of(""))]).action("guardduty:GetDetector"),
        &[
            object(
                "DataSources",
                "dataSources",
                &[
                    object("Kubernetes", "kubernetes", &[object("AuditLogs", "auditLogs", ENABLE)]),
                    object(
                        "MalwareProtection",
                        "malwareProtection",
                        &[object(
                            "ScanEc2InstanceWithFindings",
                            "scanEc2InstanceWithFindings",
                            &[made("EbsVolumes", "ebsVolumes.status", is_on)],
                        )],
                    ),
                    object("S3Logs", "s3Logs", ENABLE),
                ],
            ),
            made("Enable", "status", is_on),
            made("Features", "features", features),
            text("FindingPublishingFrequency", "findingPublishingFrequency"),
            tags("tags"),
        ],
    )],
    ..Direct::new("AWS::GuardDuty::Detector", &GUARD_DUTY, &[""])
};

/// Returns the features that can be declared, without what only the service sets.
fn features(said: &Value) -> Option<Value> {
    let is_declarable =
        |feature: &&Value| feature.get("name").and_then(Value::as_str).is_some_and(|name| !ALWAYS.contains(&name));
    let features: Vec<Value> = said.as_array()?.iter().filter(is_declarable).map(feature).collect();
    (!features.is_empty()).then_some(features.into())
}

fn feature(said: &Value) -> Value {
    let mut feature = capitals(said);
    let Some(map) = feature.as_object_mut() else { return feature };
    let is_set = |key: &str| matches!(key, "Name" | "Status");
    let nested = map.remove("AdditionalConfiguration");
    map.retain(|key, _| is_set(key));
    let nested: Vec<Value> = nested.iter().filter_map(Value::as_array).flatten().map(self::feature).collect();
    if !nested.is_empty() {
        map.insert("AdditionalConfiguration".to_owned(), nested.into());
    }
    feature
}
