//! CloudWatch: alarms on metrics.

use super::service::CLOUD_WATCH;
use super::shape::{Field, each, flag, int, made, number, object, tags, text, texts, untold};
use super::{Arg, Direct, call, part};

const DIMENSIONS: &[Field] = &[text("Name", "Name"), text("Value", "Value")];

pub(super) const ALARM: Direct = Direct {
    list: &[call("DescribeAlarms", "MetricAlarms")
        .with(&[("AlarmTypes", Arg::Texts(&["MetricAlarm"])), ("MaxRecords", Arg::Int(100))])
        .pages("NextToken", "NextToken")],
    named: &[call("DescribeAlarms", "MetricAlarms")
        .with(&[("AlarmTypes", Arg::Texts(&["MetricAlarm"])), ("AlarmNames", Arg::Names(0))])],
    gone: &["ResourceNotFound", "ResourceNotFoundException"],
    shape: &[
        untold("ActionConfiguration"),
        flag("ActionsEnabled", "ActionsEnabled"),
        texts("AlarmActions", "AlarmActions"),
        text("AlarmDescription", "AlarmDescription"),
        text("AlarmName", "AlarmName"),
        text("Arn", "AlarmArn"),
        text("ComparisonOperator", "ComparisonOperator"),
        int("DatapointsToAlarm", "DatapointsToAlarm"),
        each("Dimensions", "Dimensions", DIMENSIONS),
        text("EvaluateLowSampleCountPercentile", "EvaluateLowSampleCountPercentile"),
        object(
            "EvaluationCriteria",
            "EvaluationCriteria",
            &[object(
                "PromQLCriteria",
                "PromQLCriteria",
                &[
                    int("PendingPeriod", "PendingPeriod"),
                    text("Query", "Query"),
                    int("RecoveryPeriod", "RecoveryPeriod"),
                ],
            )],
        ),
        int("EvaluationInterval", "EvaluationInterval"),
        int("EvaluationPeriods", "EvaluationPeriods"),
        object(
            "EvaluationWindow",
            "EvaluationWindow",
            &[
                made("SlidingWindow", "SlidingWindow", |_| Some(serde_json::json!({}))),
                object("WallClockWindow", "WallClockWindow", &[text("Timezone", "Timezone")]),
            ],
        ),
        text("ExtendedStatistic", "ExtendedStatistic"),
        texts("InsufficientDataActions", "InsufficientDataActions"),
        text("MetricName", "MetricName"),
        each(
            "Metrics",
            "Metrics",
            &[
                text("AccountId", "AccountId"),
                text("Expression", "Expression"),
                text("Id", "Id"),
                text("Label", "Label"),
                object(
                    "MetricStat",
                    "MetricStat",
                    &[
                        object(
                            "Metric",
                            "Metric",
                            &[
                                each("Dimensions", "Dimensions", DIMENSIONS),
                                text("MetricName", "MetricName"),
                                text("Namespace", "Namespace"),
                            ],
                        ),
                        int("Period", "Period"),
                        text("Stat", "Stat"),
                        text("Unit", "Unit"),
                    ],
                ),
                int("Period", "Period"),
                flag("ReturnData", "ReturnData"),
            ],
        ),
        text("Namespace", "Namespace"),
        texts("OKActions", "OKActions"),
        int("Period", "Period"),
        text("Statistic", "Statistic"),
        number("Threshold", "Threshold"),
        text("ThresholdMetricId", "ThresholdMetricId"),
        text("TreatMissingData", "TreatMissingData"),
        text("Unit", "Unit"),
        object(
            "WarmUpConfiguration",
            "WarmUpConfiguration",
            &[
                flag("OnlyStartEvaluatingAfterWarmUpPeriodEnds", "OnlyStartEvaluatingAfterWarmUpPeriodEnds"),
                int("WarmUpPeriodDurationInMinutes", "WarmUpPeriodDurationInMinutes"),
            ],
        ),
    ],
    parts: &[part(call("ListTagsForResource", "Tags").with(&[("ResourceARN", Arg::Of("AlarmArn"))]), &[tags("")])],
    ..Direct::new("AWS::CloudWatch::Alarm", &CLOUD_WATCH, &["AlarmName"])
};
