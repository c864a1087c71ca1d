//! AWS Config: what it records of a region, whether it does, and where that goes.

use super::service::CONFIG;
use super::shape::{Field, each, flag, object, text, texts};
use super::{Arg, Direct, call};

const NO_RECORDER: &[&str] = &["NoSuchConfigurationRecorderException"];

pub(super) const RECORDER: Direct = Direct {
    list: &[call("DescribeConfigurationRecorders", "ConfigurationRecorders")],
    named: &[call("DescribeConfigurationRecorders", "ConfigurationRecorders")
        .with(&[("ConfigurationRecorderNames", Arg::Names(0))])],
    gone: NO_RECORDER,
    shape: &[
        text("Name", "name"),
        object(
            "RecordingGroup",
            "recordingGroup",
            &[
                flag("AllSupported", "allSupported"),
                object(
                    "ExclusionByResourceTypes",
                    "exclusionByResourceTypes",
                    &[texts("ResourceTypes", "resourceTypes")],
                ),
                flag("IncludeGlobalResourceTypes", "includeGlobalResourceTypes"),
                object("RecordingStrategy", "recordingStrategy", &[text("UseOnly", "useOnly")]),
                texts("ResourceTypes", "resourceTypes"),
            ],
        ),
        object(
            "RecordingMode",
            "recordingMode",
            &[
                text("RecordingFrequency", "recordingFrequency"),
                each(
                    "RecordingModeOverrides",
                    "recordingModeOverrides",
                    &[
                        text("Description", "description"),
                        text("RecordingFrequency", "recordingFrequency"),
                        texts("ResourceTypes", "resourceTypes"),
                    ],
                ),
            ],
        ),
        text("ResourceARN", "arn"),
        text("RoleARN", "roleARN"),
    ],
    ..Direct::new("AWS::Config::ConfigurationRecorder", &CONFIG, &["name"])
};

/// Whether a recorder runs. CloudFormation has no word for it: it starts recorders, and a stop leaves no trace in them.
pub(super) const RECORDER_STATUS: Direct = Direct {
    list: &[call("DescribeConfigurationRecorderStatus", "ConfigurationRecordersStatus")],
    named: &[call("DescribeConfigurationRecorderStatus", "ConfigurationRecordersStatus")
        .with(&[("ConfigurationRecorderNames", Arg::Names(0))])],
    gone: NO_RECORDER,
    shape: STATUS,
    ..Direct::new("AWS::Config::ConfigurationRecorderStatus", &CONFIG, &["name"])
};

const STATUS: &[Field] = &[
    text("Name", "name"),
    flag("Recording", "recording"),
    text("LastStatus", "lastStatus"),
    text("LastErrorCode", "lastErrorCode"),
];

pub(super) const DELIVERY_CHANNEL: Direct = Direct {
    list: &[call("DescribeDeliveryChannels", "DeliveryChannels")],
    named: &[call("DescribeDeliveryChannels", "DeliveryChannels").with(&[("DeliveryChannelNames", Arg::Names(0))])],
    gone: &["NoSuchDeliveryChannelException"],
    shape: &[
        object(
            "ConfigSnapshotDeliveryProperties",
            "configSnapshotDeliveryProperties",
            &[text("DeliveryFrequency", "deliveryFrequency")],
        ),
        text("Name", "name"),
        text("S3BucketName", "s3BucketName"),
        text("S3KeyPrefix", "s3KeyPrefix"),
        text("S3KmsKeyArn", "s3KmsKeyArn"),
        text("SnsTopicARN", "snsTopicARN"),
    ],
    ..Direct::new("AWS::Config::DeliveryChannel", &CONFIG, &["name"])
};
