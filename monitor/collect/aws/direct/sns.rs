//! SNS: topics.

use serde_json::{Value, json};

use super::service::SNS;
use super::shape::{each, filled_object, flag, int, json as document, last_word, made, tags, text};
use super::{Arg, Direct, call, part};

/// How each protocol is called in CloudFormation, and what its attributes begin with.
const PROTOCOLS: [(&str, &str); 5] = [
    ("http/s", "HTTP"),
    ("sqs", "SQS"),
    ("lambda", "Lambda"),
    ("firehose", "Firehose"),
    ("application", "Application"),
];

pub(super) const TOPIC: Direct = Direct {
    list: &[call("ListTopics", "Topics").pages("NextToken", "NextToken")],
    named: &[call("GetTopicAttributes", "Attributes").with(&[("TopicArn", Arg::Name(0))])],
    gone: &["NotFound", "NotFoundException"],
    shape: &[text("TopicArn", "TopicArn"), made("TopicName", "TopicArn", last_word)],
    parts: &[
        part(
            call("GetTopicAttributes", "").with(&[("TopicArn", Arg::Of("TopicArn"))]),
            &[
                document("ArchivePolicy", "Attributes.ArchivePolicy"),
                flag("ContentBasedDeduplication", "Attributes.ContentBasedDeduplication"),
                made("DeliveryStatusLogging", "Attributes", feedback),
                text("DisplayName", "Attributes.DisplayName"),
                text("FifoThroughputScope", "Attributes.FifoThroughputScope"),
                made("FifoTopic", "Attributes", |said| Some(is_fifo(said))),
                text("KmsMasterKeyId", "Attributes.KmsMasterKeyId"),
                int("MaximumMessageSize", "Attributes.MaximumMessageSize"),
                text("SignatureVersion", "Attributes.SignatureVersion"),
                text("TracingConfig", "Attributes.TracingConfig"),
            ],
        ),
        part(call("ListTagsForResource", "Tags").with(&[("ResourceArn", Arg::Of("TopicArn"))]), &[tags("")]),
        // The account's own subscriptions could be had together, but not what others have subscribed to its topics.
        part(
            call("ListSubscriptionsByTopic", "Subscriptions")
                .with(&[("TopicArn", Arg::Of("TopicArn"))])
                .pages("NextToken", "NextToken"),
            &[each("Subscription", "", &[text("Endpoint", "Endpoint"), text("Protocol", "Protocol")])],
        ),
        part(
            call("GetDataProtectionPolicy", "").with(&[("ResourceArn", Arg::Of("TopicArn"))]),
            &[document("DataProtectionPolicy", "DataProtectionPolicy")],
        )
        .when(is_standard),
    ],
    ..Direct::new("AWS::SNS::Topic", &SNS, &["TopicArn"])
};

/// Topics with an order have no data protection.
fn is_standard(topic: &Value) -> bool {
    topic.get("TopicArn").and_then(Value::as_str).is_some_and(|arn| arn.rsplit('.').next() != Some("fifo"))
}

/// Returns whether the topic keeps an order. Of one that does not, nothing is said.
fn is_fifo(attributes: &Value) -> Value {
    Value::Bool(attributes.get("FifoTopic").and_then(Value::as_str) == Some("true"))
}

/// Returns what is logged of deliveries, one entry for each protocol of which something is.
fn feedback(attributes: &Value) -> Option<Value> {
    let field = |prefix: &str, key: &str| attributes.get(format!("{prefix}{key}")).cloned().unwrap_or_default();
    let entry = |(protocol, prefix): (&str, &str)| {
        let roles = json!({
            "SuccessFeedbackRoleArn": field(prefix, "SuccessFeedbackRoleArn"),
            "SuccessFeedbackSampleRate": field(prefix, "SuccessFeedbackSampleRate"),
            "FailureFeedbackRoleArn": field(prefix, "FailureFeedbackRoleArn"),
        });
        let mut entry = filled_object(&roles)?;
        entry.as_object_mut()?.insert("Protocol".to_owned(), protocol.into());
        Some(entry)
    };
    let entries: Vec<Value> = PROTOCOLS.into_iter().filter_map(entry).collect();
    (!entries.is_empty()).then_some(entries.into())
}
