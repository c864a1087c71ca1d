//! The kinds that watch over an account: CloudWatch, CloudTrail, Config and Security Hub.
//!
//! Ministack knows no index policies of log groups and no insights of trails, and tells half of an alarm. GuardDuty and
//! Security Hub are in neither as at AWS: moto calls their JSON a web page. Scripted services stand in (unit tests of `direct`).

use serde_json::json;

use super::{Peer, read, read_of};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};
use crate::harness::moto;
use crate::harness::moto::Moto;

#[test]
fn trails_and_recorders_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let url = aws.url();
    for kind in [
        "AWS::Config::ConfigurationRecorder",
        "AWS::Config::ConfigurationRecorderStatus",
        "AWS::Config::DeliveryChannel",
    ] {
        assert_eq!(read(&url, kind).map(|found| found.len()), Ok(0), "{kind}");
    }
    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let group = json!({"allSupported": true, "includeGlobalResourceTypes": true});
    let recorder = json!({"name": "default", "roleARN": role, "recordingGroup": group});
    let delivery = json!({"deliveryFrequency": "One_Hour"});
    let channel =
        json!({"name": "default", "s3BucketName": "audit-logs", "configSnapshotDeliveryProperties": delivery});
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let trail = format!("arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/audit");
    aws.call(
        "s3",
        "create_bucket",
        json!({"Bucket": "audit-logs", "CreateBucketConfiguration": {"LocationConstraint": REGION}}),
    );
    for (service, operation, asked) in [
        ("config", "put_configuration_recorder", json!({"ConfigurationRecorder": recorder})),
        ("config", "put_delivery_channel", json!({"DeliveryChannel": channel})),
        ("config", "start_configuration_recorder", json!({"ConfigurationRecorderName": "default"})),
        (
            "cloudtrail",
            "create_trail",
            json!({"Name": "audit", "S3BucketName": "audit-logs", "IsMultiRegionTrail": true,
            "EnableLogFileValidation": true}),
        ),
        ("cloudtrail", "add_tags", json!({"ResourceId": trail, "TagsList": tags})),
        ("cloudtrail", "start_logging", json!({"Name": "audit"})),
        ("logs", "create_log_group", json!({"logGroupName": "/app/web", "tags": {"team": "data"}})),
        ("logs", "put_retention_policy", json!({"logGroupName": "/app/web", "retentionInDays": 7})),
    ] {
        aws.call(service, operation, asked);
    }
    let found = read(&url, "AWS::Config::ConfigurationRecorder").unwrap();
    let expected = json!({"Name": "default", "RoleARN": role,
        "RecordingGroup": {"AllSupported": true, "IncludeGlobalResourceTypes": true}});
    assert_eq!(found["default"], expected);
    assert_eq!(read(&url, "AWS::Config::ConfigurationRecorderStatus").unwrap()["default"]["Recording"], true);
    let expected = json!({"Name": "default", "S3BucketName": "audit-logs",
        "ConfigSnapshotDeliveryProperties": {"DeliveryFrequency": "One_Hour"}});
    assert_eq!(read(&url, "AWS::Config::DeliveryChannel").unwrap()["default"], expected);

    let found = read_of(Peer { url: &url, account: ACCOUNT, without: &["InsightSelectors"] }, "AWS::CloudTrail::Trail");
    let found = found.unwrap();
    let trail = &found["audit"];
    let said = (&trail["IsLogging"], &trail["IsMultiRegionTrail"], &trail["EnableLogFileValidation"], &trail["Tags"]);
    assert_eq!(said, (&json!(true), &json!(true), &json!(true), &tags));
    assert_eq!(trail["EventSelectors"][0]["ReadWriteType"], "All");

    let peer = Peer { url: &url, account: ACCOUNT, without: &["FieldIndexPolicies"] };
    let found = read_of(peer, "AWS::Logs::LogGroup").unwrap();
    let arn = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app/web:*");
    let expected = json!({"LogGroupName": "/app/web", "Arn": arn, "LogGroupClass": "STANDARD", "RetentionInDays": 7,
        "BearerTokenAuthenticationEnabled": false, "DeletionProtectionEnabled": false, "Tags": tags});
    assert_eq!((found.len(), &found["/app/web"]), (1, &expected));
}

#[test]
fn a_hub_is_absent_where_nobody_subscribed() {
    let Some(aws) = Moto::start() else { return };
    let url = aws.url();
    let peer = Peer { url: &url, account: moto::ACCOUNT, without: &["Tags"] };
    assert_eq!(read_of(peer, "AWS::SecurityHub::Hub").map(|found| found.len()), Ok(0));
}

#[test]
fn an_alarm_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Moto::start() else { return };
    let dimensions = json!([{"Name": "Service", "Value": "web"}]);
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let action = format!("arn:aws:sns:{REGION}:{}:alerts", moto::ACCOUNT);
    let simple = json!({"AlarmName": "errors", "MetricName": "Errors", "Namespace": "App", "Statistic": "Sum",
        "Period": 60, "EvaluationPeriods": 2, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [action], "Dimensions": dimensions, "TreatMissingData": "notBreaching", "Tags": tags});
    let metric = json!({"Namespace": "App", "MetricName": "Errors", "Dimensions": dimensions});
    let metrics = json!([{"Id": "e", "Expression": "m/2", "Label": "half", "ReturnData": true},
        {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": false}]);
    let math = json!({"AlarmName": "ratio", "EvaluationPeriods": 1, "Threshold": 0.5,
        "ComparisonOperator": "GreaterThanThreshold", "Metrics": metrics});
    aws.calls(&[("cloudwatch", "put_metric_alarm", simple), ("cloudwatch", "put_metric_alarm", math)]);
    let url = aws.url();
    let found = read_of(Peer { url: &url, account: moto::ACCOUNT, without: &[] }, "AWS::CloudWatch::Alarm").unwrap();
    let expected = json!({"AlarmName": "errors", "Arn": found["errors"]["Arn"], "MetricName": "Errors",
        "Namespace": "App", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 2, "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": true, "AlarmActions": [action],
        "Dimensions": dimensions, "TreatMissingData": "notBreaching", "Tags": tags});
    assert_eq!(found["errors"], expected);
    assert_eq!((&found["ratio"]["Metrics"], &found["ratio"]["Threshold"]), (&metrics, &json!(0.5)));
}
