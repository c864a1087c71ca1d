//! SQS: queues.

use serde_json::Value;

use super::service::SQS;
use super::shape::{flag, int, json, last, made, tags, text};
use super::{Arg, Direct, call, part};

pub(super) const QUEUE: Direct = Direct {
    list: &[call("ListQueues", "QueueUrls")
        .with(&[("MaxResults", Arg::Int(1000))])
        .pages("NextToken", "NextToken")
        .may_be_silent()],
    named: &[call("GetQueueUrl", "QueueUrl").with(&[("QueueName", Arg::NameEnd)])],
    gone: &["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"],
    shape: &[text("QueueUrl", ""), made("QueueName", "", last)],
    parts: &[
        part(
            call("GetQueueAttributes", "").with(&[("QueueUrl", Arg::Of("")), ("AttributeNames", Arg::Texts(&["All"]))]),
            &[
                text("Arn", "Attributes.QueueArn"),
                flag("ContentBasedDeduplication", "Attributes.ContentBasedDeduplication"),
                text("DeduplicationScope", "Attributes.DeduplicationScope"),
                int("DelaySeconds", "Attributes.DelaySeconds"),
                flag("FifoQueue", "Attributes.FifoQueue"),
                text("FifoThroughputLimit", "Attributes.FifoThroughputLimit"),
                int("KmsDataKeyReusePeriodSeconds", "Attributes.KmsDataKeyReusePeriodSeconds"),
                text("KmsMasterKeyId", "Attributes.KmsMasterKeyId"),
                int("MaximumMessageSize", "Attributes.MaximumMessageSize"),
                int("MessageRetentionPeriod", "Attributes.MessageRetentionPeriod"),
                int("ReceiveMessageWaitTimeSeconds", "Attributes.ReceiveMessageWaitTimeSeconds"),
                json("RedriveAllowPolicy", "Attributes.RedriveAllowPolicy"),
                made("RedrivePolicy", "Attributes.RedrivePolicy", redrive),
                flag("SqsManagedSseEnabled", "Attributes.SqsManagedSseEnabled"),
                int("VisibilityTimeout", "Attributes.VisibilityTimeout"),
            ],
        ),
        part(call("ListQueueTags", "").with(&[("QueueUrl", Arg::Of(""))]), &[tags("Tags")]),
    ],
    ..Direct::new("AWS::SQS::Queue", &SQS, &[""])
};

/// Returns where messages go that nobody can take. The service keeps the document as it was written, so that its number may
/// be a text.
fn redrive(said: &Value) -> Option<Value> {
    let mut policy: Value = serde_json::from_str(said.as_str()?).ok()?;
    let count = policy.get_mut("maxReceiveCount")?;
    if let Some(number) = count.as_str().and_then(|text| text.parse::<i64>().ok()) {
        *count = number.into();
    }
    Some(policy)
}
