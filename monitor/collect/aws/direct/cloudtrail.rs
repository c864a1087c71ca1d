//! CloudTrail: trails, each at its home.

use super::service::CLOUD_TRAIL;
use super::shape::{each, flag, tags, text, texts, untold};
use super::{Arg, Direct, call, part};

pub(super) const TRAIL: Direct = Direct {
    // Shadows are trails of other regions, or of the organization.
    list: &[call("DescribeTrails", "trailList").with(&[("includeShadowTrails", Arg::No)])],
    named: &[
        call("DescribeTrails", "trailList").with(&[("includeShadowTrails", Arg::No), ("trailNameList", Arg::Names(0))])
    ],
    gone: &["TrailNotFoundException"],
    shape: &[
        text("Arn", "TrailARN"),
        text("CloudWatchLogsLogGroupArn", "CloudWatchLogsLogGroupArn"),
        text("CloudWatchLogsRoleArn", "CloudWatchLogsRoleArn"),
        flag("EnableLogFileValidation", "LogFileValidationEnabled"),
        flag("IncludeGlobalServiceEvents", "IncludeGlobalServiceEvents"),
        flag("IsMultiRegionTrail", "IsMultiRegionTrail"),
        flag("IsOrganizationTrail", "IsOrganizationTrail"),
        text("KMSKeyId", "KmsKeyId"),
        text("S3BucketName", "S3BucketName"),
        text("S3KeyPrefix", "S3KeyPrefix"),
        text("SnsTopicArn", "SnsTopicARN"),
        text("SnsTopicName", "SnsTopicName"),
        text("TrailName", "Name"),
        untold("AggregationConfigurations"),
    ],
    parts: &[
        part(call("GetTrailStatus", "").with(&[("Name", Arg::Of("TrailARN"))]), &[flag("IsLogging", "IsLogging")]),
        part(
            call("GetEventSelectors", "").with(&[("TrailName", Arg::Of("TrailARN"))]),
            &[
                each(
                    "AdvancedEventSelectors",
                    "AdvancedEventSelectors",
                    &[
                        text("Name", "Name"),
                        each(
                            "FieldSelectors",
                            "FieldSelectors",
                            &[
                                texts("EndsWith", "EndsWith"),
                                texts("Equals", "Equals"),
                                text("Field", "Field"),
                                texts("NotEndsWith", "NotEndsWith"),
                                texts("NotEquals", "NotEquals"),
                                texts("NotStartsWith", "NotStartsWith"),
                                texts("StartsWith", "StartsWith"),
                            ],
                        ),
                    ],
                ),
                each(
                    "EventSelectors",
                    "EventSelectors",
                    &[
                        each("DataResources", "DataResources", &[text("Type", "Type"), texts("Values", "Values")]),
                        texts("ExcludeManagementEventSources", "ExcludeManagementEventSources"),
                        flag("IncludeManagementEvents", "IncludeManagementEvents"),
                        text("ReadWriteType", "ReadWriteType"),
                    ],
                ),
            ],
        ),
        part(
            call("GetInsightSelectors", "")
                .with(&[("TrailName", Arg::Of("TrailARN"))])
                .none(&["InsightNotEnabledException"]),
            &[each(
                "InsightSelectors",
                "InsightSelectors",
                &[texts("EventCategories", "EventCategories"), text("InsightType", "InsightType")],
            )],
        ),
        part(
            call("ListTags", "ResourceTagList")
                .with(&[("ResourceIdList", Arg::Each("TrailARN"))])
                .batch(20)
                .pages("NextToken", "NextToken"),
            &[tags("TagsList")],
        )
        .join("ResourceId", "TrailARN"),
    ],
    ..Direct::new("AWS::CloudTrail::Trail", &CLOUD_TRAIL, &["Name"])
};
