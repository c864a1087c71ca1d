//! SQS's and SNS's kinds. Ministack knows no data protection of topics.

use serde_json::json;

use super::{Peer, read, read_of};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn queues_and_topics_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let dead = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:dead.fifo");
    aws.call("sqs", "create_queue", json!({"QueueName": "dead.fifo", "Attributes": {"FifoQueue": "true"}}));
    let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": "3"}).to_string();
    let asked = json!({"QueueName": "jobs.fifo", "tags": {"team": "data"},
        "Attributes": {"FifoQueue": "true", "VisibilityTimeout": "45", "RedrivePolicy": redrive}});
    let queue = aws.call("sqs", "create_queue", asked);
    let address = queue["QueueUrl"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::SQS::Queue").unwrap();
    let expected = json!({"QueueUrl": address, "QueueName": "jobs.fifo",
        "Arn": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:jobs.fifo"), "FifoQueue": true, "VisibilityTimeout": 45,
        "ContentBasedDeduplication": false, "DelaySeconds": 0, "MaximumMessageSize": 1_048_576,
        "MessageRetentionPeriod": 345_600, "ReceiveMessageWaitTimeSeconds": 0,
        "RedrivePolicy": {"deadLetterTargetArn": dead, "maxReceiveCount": 3},
        "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[address]), (2, &expected));

    let asked = json!({"Name": "alerts", "Attributes": {"DisplayName": "Alerts", "HTTPSuccessFeedbackSampleRate": "50"},
        "Tags": [{"Key": "team", "Value": "data"}]});
    let topic = aws.call("sns", "create_topic", asked);
    let arn = topic["TopicArn"].as_str().unwrap();
    aws.call("sns", "subscribe", json!({"TopicArn": arn, "Protocol": "sqs", "Endpoint": dead}));
    let url = aws.url();
    let peer = Peer { url: &url, account: ACCOUNT, without: &["DataProtectionPolicy"] };
    let found = read_of(peer, "AWS::SNS::Topic").unwrap();
    let expected = json!({"TopicArn": arn, "TopicName": "alerts", "DisplayName": "Alerts", "FifoTopic": false,
        "DeliveryStatusLogging": [{"Protocol": "http/s", "SuccessFeedbackSampleRate": "50"}],
        "Subscription": [{"Protocol": "sqs", "Endpoint": dead}], "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[arn]), (1, &expected));
}
