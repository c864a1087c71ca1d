//! EC2: machines, their disks and what both are made from. Networks are in a file of their own.

use serde_json::{Value, json};

use super::service::EC2;
use super::shape::{all, at, each, flag, int, made, object, tags, text, texts, untold};
use super::{Arg, Call, Direct, Part, call, part};

/// Returns a list of EC2, of which a page holds a thousand.
pub(super) const fn list(operation: &'static str, items: &'static str) -> Call {
    call(operation, items).with(&[("MaxResults", Arg::Int(1000))]).pages("NextToken", "nextToken")
}

pub(super) const INSTANCE: Direct = Direct {
    list: &[list("DescribeInstances", "reservationSet.instancesSet")],
    named: &[call("DescribeInstances", "reservationSet.instancesSet").with(&[("InstanceId", Arg::Names(0))])],
    keep: Some(|instance| at(instance, "instanceState.name").is_none_or(|state| state != "terminated")),
    gone: &["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"],
    shape: &[
        text("InstanceId", "instanceId"),
        text("Affinity", "placement.affinity"),
        text("AvailabilityZone", "placement.availabilityZone"),
        object("CpuOptions", "cpuOptions", &[int("CoreCount", "coreCount"), int("ThreadsPerCore", "threadsPerCore")]),
        flag("EbsOptimized", "ebsOptimized"),
        object("EnclaveOptions", "enclaveOptions", &[flag("Enabled", "enabled")]),
        object("HibernationOptions", "hibernationOptions", &[flag("Configured", "configured")]),
        text("HostId", "placement.hostId"),
        text("HostResourceGroupArn", "placement.hostResourceGroupArn"),
        made("IamInstanceProfile", "iamInstanceProfile.arn", last_of_arn),
        text("ImageId", "imageId"),
        text("InstanceType", "instanceType"),
        text("KernelId", "kernelId"),
        text("KeyName", "keyName"),
        object(
            "MetadataOptions",
            "metadataOptions",
            &[
                text("HttpEndpoint", "httpEndpoint"),
                text("HttpProtocolIpv6", "httpProtocolIpv6"),
                int("HttpPutResponseHopLimit", "httpPutResponseHopLimit"),
                text("HttpTokens", "httpTokens"),
                text("InstanceMetadataTags", "instanceMetadataTags"),
            ],
        ),
        made("Monitoring", "monitoring.state", |state| Some(["enabled", "pending"].contains(&state.as_str()?).into())),
        each(
            "NetworkInterfaces",
            "networkInterfaceSet",
            &[
                made("AssociateCarrierIpAddress", "", |card| Some(at(card, "association.carrierIp").is_some().into())),
                made("AssociatePublicIpAddress", "", |card| Some(at(card, "association.publicIp").is_some().into())),
                flag("DeleteOnTermination", "attachment.deleteOnTermination"),
                text("Description", "description"),
                text("DeviceIndex", "attachment.deviceIndex"),
                object(
                    "EnaSrdSpecification",
                    "attachment.enaSrdSpecification",
                    &[
                        flag("EnaSrdEnabled", "enaSrdEnabled"),
                        object(
                            "EnaSrdUdpSpecification",
                            "enaSrdUdpSpecification",
                            &[flag("EnaSrdUdpEnabled", "enaSrdUdpEnabled")],
                        ),
                    ],
                ),
                texts("GroupSet", "groupSet.groupId"),
                made("Ipv6AddressCount", "", |card| Some(all(card, "ipv6AddressesSet").len().into())),
                each("Ipv6Addresses", "ipv6AddressesSet", &[text("Ipv6Address", "ipv6Address")]),
                text("NetworkInterfaceId", "networkInterfaceId"),
                text("PrivateIpAddress", "privateIpAddress"),
                each(
                    "PrivateIpAddresses",
                    "privateIpAddressesSet",
                    &[flag("Primary", "primary"), text("PrivateIpAddress", "privateIpAddress")],
                ),
                made("SecondaryPrivateIpAddressCount", "", |card| {
                    Some(all(card, "privateIpAddressesSet").len().saturating_sub(1).into())
                }),
                text("SubnetId", "subnetId"),
            ],
        ),
        text("PlacementGroupName", "placement.groupName"),
        text("PrivateDnsName", "privateDnsName"),
        object(
            "PrivateDnsNameOptions",
            "privateDnsNameOptions",
            &[
                flag("EnableResourceNameDnsAAAARecord", "enableResourceNameDnsAAAARecord"),
                flag("EnableResourceNameDnsARecord", "enableResourceNameDnsARecord"),
                text("HostnameType", "hostnameType"),
            ],
        ),
        text("PrivateIp", "privateIpAddress"),
        text("PrivateIpAddress", "privateIpAddress"),
        text("PublicDnsName", "dnsName"),
        text("PublicIp", "ipAddress"),
        text("RamdiskId", "ramdiskId"),
        texts("SecurityGroupIds", "groupSet.groupId"),
        texts("SecurityGroups", "groupSet.groupName"),
        flag("SourceDestCheck", "sourceDestCheck"),
        object("State", "instanceState", &[text("Code", "code"), text("Name", "name")]),
        text("SubnetId", "subnetId"),
        tags("tagSet"),
        text("Tenancy", "placement.tenancy"),
        each("Volumes", "blockDeviceMapping", &[text("Device", "deviceName"), text("VolumeId", "ebs.volumeId")]),
        text("VpcId", "vpcId"),
        // Only tags that anybody may write tell of the template.
        untold("LaunchTemplate"),
        untold("SsmAssociations"),
        untold("ElasticGpuSpecifications"),
        untold("ElasticInferenceAccelerators"),
    ],
    parts: &[
        part(
            call("DescribeVolumes", "volumeSet")
                .with(&[
                    ("Filter.1.Name", Arg::Text("attachment.instance-id")),
                    ("Filter.1.Value", Arg::Each("instanceId")),
                    ("MaxResults", Arg::Int(500)),
                ])
                .pages("NextToken", "nextToken")
                .batch(200),
            &[each(
                "BlockDeviceMappings",
                "",
                &[
                    text("DeviceName", "attachmentSet.device"),
                    object(
                        "Ebs",
                        "",
                        &[
                            flag("DeleteOnTermination", "attachmentSet.deleteOnTermination"),
                            flag("Encrypted", "encrypted"),
                            int("Iops", "iops"),
                            text("KmsKeyId", "kmsKeyId"),
                            text("SnapshotId", "snapshotId"),
                            int("VolumeSize", "size"),
                            text("VolumeType", "volumeType"),
                        ],
                    ),
                ],
            )],
        )
        .join("attachmentSet.instanceId", "instanceId"),
        part(
            // Asked for some, it fails if one of them has no such thing; not asked, it tells those that are out of the ordinary.
            list("DescribeInstanceCreditSpecifications", "instanceCreditSpecificationSet"),
            &[made("CreditSpecification", "", |told| {
                let told = all(told, "cpuCredits").first().and_then(|credits| credits.as_str());
                Some(json!({"CPUCredits": told.unwrap_or("standard")}))
            })],
        )
        .join("instanceId", "instanceId"),
        part(
            call("DescribeInstanceAttribute", "")
                .with(&[("InstanceId", Arg::Of("instanceId")), ("Attribute", Arg::Text("userData"))]),
            &[text("UserData", "userData.value")],
        ),
        part(
            call("DescribeInstanceAttribute", "")
                .with(&[("InstanceId", Arg::Of("instanceId")), ("Attribute", Arg::Text("disableApiTermination"))]),
            &[flag("DisableApiTermination", "disableApiTermination.value")],
        ),
        part(
            call("DescribeInstanceAttribute", "").with(&[
                ("InstanceId", Arg::Of("instanceId")),
                ("Attribute", Arg::Text("instanceInitiatedShutdownBehavior")),
            ]),
            &[text("InstanceInitiatedShutdownBehavior", "instanceInitiatedShutdownBehavior.value")],
        ),
    ],
    ..Direct::new("AWS::EC2::Instance", &EC2, &["instanceId"])
};

fn last_of_arn(arn: &Value) -> Option<Value> {
    arn.as_str()?.rsplit('/').next().map(Value::from)
}

pub(super) const VOLUME: Direct = Direct {
    list: &[call("DescribeVolumes", "volumeSet")
        .with(&[("MaxResults", Arg::Int(500))])
        .pages("NextToken", "nextToken")],
    named: &[call("DescribeVolumes", "volumeSet").with(&[("VolumeId", Arg::Names(0))])],
    gone: &["InvalidVolume.NotFound", "InvalidVolumeID.Malformed"],
    shape: &[
        text("VolumeId", "volumeId"),
        text("AvailabilityZone", "availabilityZone"),
        text("AvailabilityZoneId", "availabilityZoneId"),
        flag("Encrypted", "encrypted"),
        int("Iops", "iops"),
        text("KmsKeyId", "kmsKeyId"),
        flag("MultiAttachEnabled", "multiAttachEnabled"),
        text("OutpostArn", "outpostArn"),
        int("Size", "size"),
        text("SnapshotId", "snapshotId"),
        text("SourceVolumeId", "sourceVolumeId"),
        int("Throughput", "throughput"),
        int("VolumeInitializationRate", "volumeInitializationRate"),
        text("VolumeType", "volumeType"),
        tags("tagSet"),
    ],
    parts: &[part(
        call("DescribeVolumeAttribute", "")
            .with(&[("VolumeId", Arg::Of("volumeId")), ("Attribute", Arg::Text("autoEnableIO"))]),
        &[flag("AutoEnableIO", "autoEnableIO.value")],
    )],
    ..Direct::new("AWS::EC2::Volume", &EC2, &["volumeId"])
};

/// A snapshot of a disk, and with whom it is shared. CloudFormation has no such kind: it is shaped like EC2's own answer.
pub(super) const SNAPSHOT: Direct = Direct {
    list: &[SNAPSHOTS_OF_THE_ACCOUNT],
    named: &[call("DescribeSnapshots", "snapshotSet")
        .with(&[("Owner", Arg::Texts(&["self"])), ("SnapshotId", Arg::Names(0))])],
    gone: &["InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed"],
    shape: &[
        text("SnapshotId", "snapshotId"),
        text("Description", "description"),
        flag("Encrypted", "encrypted"),
        text("KmsKeyId", "kmsKeyId"),
        text("OutpostArn", "outpostArn"),
        text("OwnerId", "ownerId"),
        text("StartTime", "startTime"),
        text("State", "status"),
        text("StorageTier", "storageTier"),
        text("VolumeId", "volumeId"),
        int("VolumeSize", "volumeSize"),
        tags("tagSet"),
    ],
    parts: &[PUBLIC_SNAPSHOTS, SHARES_OF_A_SNAPSHOT],
    ..Direct::new("AWS::EC2::Snapshot", &EC2, &["snapshotId"])
};

const SNAPSHOTS_OF_THE_ACCOUNT: Call = call("DescribeSnapshots", "snapshotSet")
    .with(&[("Owner", Arg::Texts(&["self"])), ("MaxResults", Arg::Int(1000))])
    .pages("NextToken", "nextToken");

/// One call tells of all snapshots whether everybody may use them.
const PUBLIC_SNAPSHOTS: Part = part(
    SNAPSHOTS_OF_THE_ACCOUNT.with(&[
        ("Owner", Arg::Texts(&["self"])),
        ("RestorableBy", Arg::Texts(&["all"])),
        ("MaxResults", Arg::Int(1000)),
    ]),
    &[made("IsPublic", "", |found| Some(json!(found.as_array().is_some_and(|found| !found.is_empty()))))],
)
.join("snapshotId", "snapshotId");

const SHARES_OF_A_SNAPSHOT: Part = part(
    call("DescribeSnapshotAttribute", "")
        .with(&[("SnapshotId", Arg::Of("snapshotId")), ("Attribute", Arg::Text("createVolumePermission"))]),
    &[each("CreateVolumePermissions", "createVolumePermission", &[text("Group", "group"), text("UserId", "userId")])],
);

pub(super) const LAUNCH_TEMPLATE: Direct = Direct {
    list: &[call("DescribeLaunchTemplates", "launchTemplates")
        .with(&[("MaxResults", Arg::Int(200))])
        .pages("NextToken", "nextToken")],
    named: &[call("DescribeLaunchTemplates", "launchTemplates").with(&[("LaunchTemplateId", Arg::Names(0))])],
    gone: &["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.Malformed"],
    shape: &[
        text("LaunchTemplateId", "launchTemplateId"),
        text("LaunchTemplateName", "launchTemplateName"),
        text("DefaultVersionNumber", "defaultVersionNumber"),
        text("LatestVersionNumber", "latestVersionNumber"),
    ],
    ..Direct::new("AWS::EC2::LaunchTemplate", &EC2, &["launchTemplateId"])
};

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::shape::shape;
    use super::*;

    #[test]
    fn a_snapshot_is_public_if_it_is_among_those_that_all_may_restore() {
        for (found, is_public) in [(json!([]), false), (json!([{"snapshotId": "snap-1"}]), true)] {
            let mut attributes = Map::new();
            shape(PUBLIC_SNAPSHOTS.shape, &found, &mut attributes).unwrap();
            assert_eq!(attributes.get("IsPublic"), Some(&json!(is_public)), "{found}");
        }
    }
}
