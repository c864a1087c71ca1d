//! Auto Scaling: groups of machines, and what they are launched from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::service::AUTO_SCALING;
use super::shape::{Field, all, at, each, flag, int, made, number, object, text, texts, untold};
use super::{Arg, Call, Direct, call, part};

const fn list(operation: &'static str, items: &'static str) -> Call {
    call(operation, items).with(&[("MaxRecords", Arg::Int(100))]).pages("NextToken", "NextToken")
}

pub(super) const GROUP: Direct = Direct {
    list: &[list("DescribeAutoScalingGroups", "AutoScalingGroups")],
    named: &[call("DescribeAutoScalingGroups", "AutoScalingGroups").with(&[("AutoScalingGroupNames", Arg::Names(0))])],
    shape: &[
        text("AutoScalingGroupName", "AutoScalingGroupName"),
        text("AutoScalingGroupARN", "AutoScalingGroupARN"),
        object(
            "AvailabilityZoneDistribution",
            "AvailabilityZoneDistribution",
            &[text("CapacityDistributionStrategy", "CapacityDistributionStrategy")],
        ),
        texts("AvailabilityZoneIds", "AvailabilityZoneIds"),
        object(
            "AvailabilityZoneImpairmentPolicy",
            "AvailabilityZoneImpairmentPolicy",
            &[
                text("ImpairedZoneHealthCheckBehavior", "ImpairedZoneHealthCheckBehavior"),
                flag("ZonalShiftEnabled", "ZonalShiftEnabled"),
            ],
        ),
        texts("AvailabilityZones", "AvailabilityZones"),
        flag("CapacityRebalance", "CapacityRebalance"),
        object(
            "CapacityReservationSpecification",
            "CapacityReservationSpecification",
            &[
                text("CapacityReservationPreference", "CapacityReservationPreference"),
                object(
                    "CapacityReservationTarget",
                    "CapacityReservationTarget",
                    &[
                        texts("CapacityReservationIds", "CapacityReservationIds"),
                        texts("CapacityReservationResourceGroupArns", "CapacityReservationResourceGroupArns"),
                    ],
                ),
            ],
        ),
        text("Context", "Context"),
        text("Cooldown", "DefaultCooldown"),
        int("DefaultInstanceWarmup", "DefaultInstanceWarmup"),
        text("DeletionProtection", "DeletionProtection"),
        text("DesiredCapacity", "DesiredCapacity"),
        text("DesiredCapacityType", "DesiredCapacityType"),
        int("HealthCheckGracePeriod", "HealthCheckGracePeriod"),
        text("HealthCheckType", "HealthCheckType"),
        object(
            "InstanceLifecyclePolicy",
            "InstanceLifecyclePolicy",
            &[object(
                "RetentionTriggers",
                "RetentionTriggers",
                &[text("TerminateHookAbandon", "TerminateHookAbandon")],
            )],
        ),
        object(
            "InstanceMaintenancePolicy",
            "InstanceMaintenancePolicy",
            &[int("MaxHealthyPercentage", "MaxHealthyPercentage"), int("MinHealthyPercentage", "MinHealthyPercentage")],
        ),
        text("LaunchConfigurationName", "LaunchConfigurationName"),
        object("LaunchTemplate", "LaunchTemplate", TEMPLATE),
        texts("LoadBalancerNames", "LoadBalancerNames"),
        int("MaxInstanceLifetime", "MaxInstanceLifetime"),
        text("MaxSize", "MaxSize"),
        made("MetricsCollection", "EnabledMetrics", |metrics| {
            collected(metrics, ("Granularity", "Granularity"), ("Metrics", "Metric"))
        }),
        text("MinSize", "MinSize"),
        object("MixedInstancesPolicy", "MixedInstancesPolicy", MIXED),
        flag("NewInstancesProtectedFromScaleIn", "NewInstancesProtectedFromScaleIn"),
        // The older of two ways to declare the notifications.
        untold("NotificationConfiguration"),
        text("PlacementGroup", "PlacementGroup"),
        text("ServiceLinkedRoleARN", "ServiceLinkedRoleARN"),
        made("Tags", "Tags", own_tags),
        texts("TargetGroupARNs", "TargetGroupARNs"),
        texts("TerminationPolicies", "TerminationPolicies"),
        each("TrafficSources", "TrafficSources", &[text("Identifier", "Identifier"), text("Type", "Type")]),
        made("VPCZoneIdentifier", "VPCZoneIdentifier", |subnets| {
            let subnets = subnets.as_str()?.split(',').map(str::trim).filter(|subnet| !subnet.is_empty());
            Some(subnets.collect::<Vec<_>>()).filter(|subnets| !subnets.is_empty()).map(Value::from)
        }),
    ],
    parts: &[
        part(
            call("DescribeLifecycleHooks", "LifecycleHooks")
                .with(&[("AutoScalingGroupName", Arg::Of("AutoScalingGroupName"))]),
            &[each(
                "LifecycleHookSpecificationList",
                "",
                &[
                    text("DefaultResult", "DefaultResult"),
                    int("HeartbeatTimeout", "HeartbeatTimeout"),
                    text("LifecycleHookName", "LifecycleHookName"),
                    text("LifecycleTransition", "LifecycleTransition"),
                    text("NotificationMetadata", "NotificationMetadata"),
                    text("NotificationTargetARN", "NotificationTargetARN"),
                    text("RoleARN", "RoleARN"),
                ],
            )],
        ),
        part(
            list("DescribeNotificationConfigurations", "NotificationConfigurations")
                .with(&[("AutoScalingGroupNames", Arg::Each("AutoScalingGroupName")), ("MaxRecords", Arg::Int(100))])
                .batch(100),
            &[made("NotificationConfigurations", "", |told| {
                collected(told, ("TopicARN", "TopicARN"), ("NotificationTypes", "NotificationType"))
            })],
        )
        .join("AutoScalingGroupName", "AutoScalingGroupName"),
    ],
    ..Direct::new("AWS::AutoScaling::AutoScalingGroup", &AUTO_SCALING, &["AutoScalingGroupName"])
};

/// Gathers under each value of one key (as it is to be called, and as it is) all the values of another.
fn collected(told: &Value, key: (&str, &str), values: (&str, &str)) -> Option<Value> {
    let mut gathered: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for one in all(told, "") {
        gathered.entry(at(one, key.1)?.as_str()?).or_default().push(at(one, values.1)?);
    }
    let made: Vec<_> = gathered.iter().map(|(name, all)| json!({key.0: name, values.0: all})).collect();
    (!made.is_empty()).then(|| made.into())
}

/// Returns the tags with whether the machines get them, too. Those of AWS's own are nobody's to declare.
fn own_tags(tags: &Value) -> Option<Value> {
    let tag = |tag: &Value| {
        let key = tag.get("Key")?.as_str().filter(|key| !key.starts_with("aws:"))?;
        let value = tag.get("Value").and_then(Value::as_str).unwrap_or_default();
        let is_passed_on = tag.get("PropagateAtLaunch").is_some_and(|passed| passed == "true");
        Some(json!({"Key": key, "Value": value, "PropagateAtLaunch": is_passed_on}))
    };
    let tags: Vec<_> = all(tags, "").into_iter().filter_map(tag).collect();
    (!tags.is_empty()).then(|| tags.into())
}

const TEMPLATE: &[Field] = &[
    text("LaunchTemplateId", "LaunchTemplateId"),
    text("LaunchTemplateName", "LaunchTemplateName"),
    text("Version", "Version"),
];

const MIXED: &[Field] = &[
    object(
        "InstancesDistribution",
        "InstancesDistribution",
        &[
            each(
                "DistributionSegments",
                "DistributionSegments",
                &[texts("TargetCapacityTypes", "TargetCapacityTypes")],
            ),
            text("OnDemandAllocationStrategy", "OnDemandAllocationStrategy"),
            int("OnDemandBaseCapacity", "OnDemandBaseCapacity"),
            int("OnDemandPercentageAboveBaseCapacity", "OnDemandPercentageAboveBaseCapacity"),
            text("SpotAllocationStrategy", "SpotAllocationStrategy"),
            int("SpotInstancePools", "SpotInstancePools"),
            text("SpotMaxPrice", "SpotMaxPrice"),
        ],
    ),
    object(
        "LaunchTemplate",
        "LaunchTemplate",
        &[
            object("LaunchTemplateSpecification", "LaunchTemplateSpecification", TEMPLATE),
            each(
                "Overrides",
                "Overrides",
                &[
                    text("ImageId", "ImageId"),
                    object("InstanceRequirements", "InstanceRequirements", REQUIREMENTS),
                    text("InstanceType", "InstanceType"),
                    object("LaunchTemplateSpecification", "LaunchTemplateSpecification", TEMPLATE),
                    text("WeightedCapacity", "WeightedCapacity"),
                ],
            ),
        ],
    ),
];

const WHOLE: &[Field] = &[int("Max", "Max"), int("Min", "Min")];
const BROKEN: &[Field] = &[number("Max", "Max"), number("Min", "Min")];

const REQUIREMENTS: &[Field] = &[
    object("AcceleratorCount", "AcceleratorCount", WHOLE),
    texts("AcceleratorManufacturers", "AcceleratorManufacturers"),
    texts("AcceleratorNames", "AcceleratorNames"),
    object("AcceleratorTotalMemoryMiB", "AcceleratorTotalMemoryMiB", WHOLE),
    texts("AcceleratorTypes", "AcceleratorTypes"),
    texts("AllowedInstanceTypes", "AllowedInstanceTypes"),
    text("BareMetal", "BareMetal"),
    object("BaselineEbsBandwidthMbps", "BaselineEbsBandwidthMbps", WHOLE),
    object(
        "BaselinePerformanceFactors",
        "BaselinePerformanceFactors",
        &[object("Cpu", "Cpu", &[each("References", "Reference", &[text("InstanceFamily", "InstanceFamily")])])],
    ),
    text("BurstablePerformance", "BurstablePerformance"),
    texts("CpuManufacturers", "CpuManufacturers"),
    texts("ExcludedInstanceTypes", "ExcludedInstanceTypes"),
    texts("InstanceGenerations", "InstanceGenerations"),
    text("LocalStorage", "LocalStorage"),
    texts("LocalStorageTypes", "LocalStorageTypes"),
    int("MaxSpotPriceAsPercentageOfOptimalOnDemandPrice", "MaxSpotPriceAsPercentageOfOptimalOnDemandPrice"),
    object("MemoryGiBPerVCpu", "MemoryGiBPerVCpu", BROKEN),
    object("MemoryMiB", "MemoryMiB", WHOLE),
    object("NetworkBandwidthGbps", "NetworkBandwidthGbps", BROKEN),
    object("NetworkInterfaceCount", "NetworkInterfaceCount", WHOLE),
    int("OnDemandMaxPricePercentageOverLowestPrice", "OnDemandMaxPricePercentageOverLowestPrice"),
    flag("RequireHibernateSupport", "RequireHibernateSupport"),
    int("SpotMaxPricePercentageOverLowestPrice", "SpotMaxPricePercentageOverLowestPrice"),
    object("TotalLocalStorageGB", "TotalLocalStorageGB", BROKEN),
    object("VCpuCount", "VCpuCount", WHOLE),
];

pub(super) const LAUNCH_CONFIGURATION: Direct = Direct {
    list: &[list("DescribeLaunchConfigurations", "LaunchConfigurations")],
    named: &[call("DescribeLaunchConfigurations", "LaunchConfigurations")
        .with(&[("LaunchConfigurationNames", Arg::Names(0))])],
    shape: &[
        text("LaunchConfigurationName", "LaunchConfigurationName"),
        flag("AssociatePublicIpAddress", "AssociatePublicIpAddress"),
        each(
            "BlockDeviceMappings",
            "BlockDeviceMappings",
            &[
                text("DeviceName", "DeviceName"),
                object(
                    "Ebs",
                    "Ebs",
                    &[
                        flag("DeleteOnTermination", "DeleteOnTermination"),
                        flag("Encrypted", "Encrypted"),
                        int("Iops", "Iops"),
                        text("SnapshotId", "SnapshotId"),
                        int("Throughput", "Throughput"),
                        int("VolumeSize", "VolumeSize"),
                        text("VolumeType", "VolumeType"),
                    ],
                ),
                flag("NoDevice", "NoDevice"),
                text("VirtualName", "VirtualName"),
            ],
        ),
        flag("EbsOptimized", "EbsOptimized"),
        text("IamInstanceProfile", "IamInstanceProfile"),
        text("ImageId", "ImageId"),
        flag("InstanceMonitoring", "InstanceMonitoring.Enabled"),
        text("InstanceType", "InstanceType"),
        text("KeyName", "KeyName"),
        object(
            "MetadataOptions",
            "MetadataOptions",
            &[
                text("HttpEndpoint", "HttpEndpoint"),
                int("HttpPutResponseHopLimit", "HttpPutResponseHopLimit"),
                text("HttpTokens", "HttpTokens"),
            ],
        ),
        text("PlacementTenancy", "PlacementTenancy"),
        texts("SecurityGroups", "SecurityGroups"),
        text("SpotPrice", "SpotPrice"),
        text("UserData", "UserData"),
    ],
    ..Direct::new("AWS::AutoScaling::LaunchConfiguration", &AUTO_SCALING, &["LaunchConfigurationName"])
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_one_by_one_is_gathered_by_its_topic() {
        let told = |topic: &str, event: &str| json!({"TopicARN": topic, "NotificationType": event});
        let said = json!([told("b", "launch"), told("a", "launch"), told("b", "error")]);
        let expected = json!([
            {"TopicARN": "a", "NotificationTypes": ["launch"]},
            {"TopicARN": "b", "NotificationTypes": ["launch", "error"]},
        ]);
        let names = (("TopicARN", "TopicARN"), ("NotificationTypes", "NotificationType"));
        assert_eq!(collected(&said, names.0, names.1), Some(expected));
        assert_eq!(collected(&json!([]), names.0, names.1), None);
    }
}
