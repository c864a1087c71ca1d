//! EC2: machines, disks and networks.

use super::service::EC2;
use super::shape::{flag, int, tags, text};
use super::{Arg, Direct, call, part};

pub(super) const VOLUME: Direct = Direct {
    list: &[call("DescribeVolumes", "volumeSet")
        .with(&[("MaxResults", Arg::Int(500))])
        .pages("NextToken", "nextToken")],
    named: &[call("DescribeVolumes", "volumeSet").with(&[("VolumeId", Arg::Names(0))])],
    gone: &["InvalidVolume.NotFound"],
    shape: &[
        text("VolumeId", "volumeId"),
        text("AvailabilityZone", "availabilityZone"),
        flag("Encrypted", "encrypted"),
        int("Iops", "iops"),
        text("KmsKeyId", "kmsKeyId"),
        flag("MultiAttachEnabled", "multiAttachEnabled"),
        text("OutpostArn", "outpostArn"),
        int("Size", "size"),
        text("SnapshotId", "snapshotId"),
        int("Throughput", "throughput"),
        text("VolumeType", "volumeType"),
        tags("tagSet"),
    ],
    ..Direct::new("AWS::EC2::Volume", &EC2, &["volumeId"])
};

pub(super) const VPC: Direct = Direct {
    list: &[call("DescribeVpcs", "vpcSet").with(&[("MaxResults", Arg::Int(1000))]).pages("NextToken", "nextToken")],
    named: &[call("DescribeVpcs", "vpcSet").with(&[("VpcId", Arg::Names(0))])],
    gone: &["InvalidVpcID.NotFound"],
    shape: &[
        text("VpcId", "vpcId"),
        text("CidrBlock", "cidrBlock"),
        text("InstanceTenancy", "instanceTenancy"),
        tags("tagSet"),
    ],
    parts: &[
        part(
            call("DescribeVpcAttribute", "")
                .with(&[("VpcId", Arg::Of("vpcId")), ("Attribute", Arg::Text("enableDnsSupport"))]),
            &[flag("EnableDnsSupport", "enableDnsSupport.value")],
        ),
        part(
            call("DescribeVpcAttribute", "")
                .with(&[("VpcId", Arg::Of("vpcId")), ("Attribute", Arg::Text("enableDnsHostnames"))]),
            &[flag("EnableDnsHostnames", "enableDnsHostnames.value")],
        ),
    ],
    ..Direct::new("AWS::EC2::VPC", &EC2, &["vpcId"])
};

pub(super) const SECURITY_GROUP: Direct = Direct {
    list: &[call("DescribeSecurityGroups", "securityGroupInfo")
        .with(&[("MaxResults", Arg::Int(1000))])
        .pages("NextToken", "nextToken")],
    named: &[call("DescribeSecurityGroups", "securityGroupInfo").with(&[("GroupId", Arg::Names(0))])],
    gone: &["InvalidGroup.NotFound", "InvalidGroupId.Malformed"],
    shape: &[
        text("GroupId", "groupId"),
        text("Id", "groupId"),
        text("GroupName", "groupName"),
        text("GroupDescription", "groupDescription"),
        text("VpcId", "vpcId"),
        tags("tagSet"),
    ],
    ..Direct::new("AWS::EC2::SecurityGroup", &EC2, &["groupId"])
};
