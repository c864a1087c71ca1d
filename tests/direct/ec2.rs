//! EC2's machines and disks. Ministack tells neither the data of a user nor which snapshots are public, and its machines have
//! no network interfaces.

use serde_json::json;

use super::{only, read};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn a_volume_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "data"}]}]);
    let zone = format!("{REGION}a");
    let asked =
        json!({"AvailabilityZone": zone, "Size": 8, "VolumeType": "gp3", "Encrypted": true, "TagSpecifications": tags});
    let volume = aws.call("ec2", "create_volume", asked);
    let id = volume["VolumeId"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::EC2::Volume").unwrap();
    let expected = json!({"VolumeId": id, "AvailabilityZone": zone, "Size": 8, "VolumeType": "gp3", "Encrypted": true,
        "Iops": 3000, "MultiAttachEnabled": false, "AutoEnableIO": false, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[id]), (1, &expected));
}

#[test]
fn a_machine_is_read_with_its_disks_until_it_is_terminated() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "data"}]}]);
    let asked = json!({"ImageId": "ami-0521cb2d60cfbb1a6", "InstanceType": "t3.micro", "MinCount": 2, "MaxCount": 2,
        "TagSpecifications": tags});
    let machines = aws.call("ec2", "run_instances", asked);
    let id = |at: usize| machines["Instances"][at]["InstanceId"].as_str().unwrap();
    let volume = json!({"AvailabilityZone": format!("{REGION}a"), "Size": 4, "VolumeType": "gp3"});
    let volume = aws.call("ec2", "create_volume", volume);
    let disk = volume["VolumeId"].as_str().unwrap();
    aws.call("ec2", "attach_volume", json!({"InstanceId": id(0), "VolumeId": disk, "Device": "/dev/sdf"}));
    aws.call("ec2", "terminate_instances", json!({"InstanceIds": [id(1)]}));
    let found = read(&aws.url(), "AWS::EC2::Instance").unwrap();
    assert_eq!(found.len(), 1);
    let disk = |device: &str, size: u32, goes_too: bool| {
        json!({"DeviceName": device, "Ebs": {"DeleteOnTermination": goes_too, "Encrypted": false, "Iops": 3000,
            "VolumeSize": size, "VolumeType": "gp3"}})
    };
    let expected = json!({"InstanceId": id(0), "ImageId": "ami-0521cb2d60cfbb1a6", "InstanceType": "t3.micro",
        "BlockDeviceMappings": [disk("/dev/xvda", 8, true), disk("/dev/sdf", 4, false)], "Monitoring": false,
        "CreditSpecification": {"CPUCredits": "standard"}, "DisableApiTermination": false, "SourceDestCheck": true,
        "InstanceInitiatedShutdownBehavior": "stop", "SecurityGroups": ["default"], "Tenancy": "default",
        "State": {"Code": "16", "Name": "running"}, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!(only(&found[id(0)], &expected), expected);
}

#[test]
fn a_snapshot_says_with_whom_it_is_shared() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let volume = aws.call("ec2", "create_volume", json!({"AvailabilityZone": format!("{REGION}a"), "Size": 8}));
    let asked = json!({"VolumeId": volume["VolumeId"], "Description": "before"});
    let snapshot = aws.call("ec2", "create_snapshot", asked);
    let id = snapshot["SnapshotId"].as_str().unwrap();
    let shared = json!({"SnapshotId": id, "Attribute": "createVolumePermission", "OperationType": "add",
        "UserIds": ["222222222222"]});
    aws.call("ec2", "modify_snapshot_attribute", shared);
    let found = read(&aws.url(), "AWS::EC2::Snapshot").unwrap();
    let expected = json!({"SnapshotId": id, "VolumeId": volume["VolumeId"], "VolumeSize": 8, "State": "completed",
        "Description": "before", "Encrypted": false, "OwnerId": ACCOUNT,
        "CreateVolumePermissions": [{"UserId": "222222222222"}]});
    assert_eq!((found.len(), only(&found[id], &expected)), (1, expected));
}

#[test]
fn a_launch_template_is_read_with_the_numbers_of_its_versions() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let data = json!({"InstanceType": "t3.micro"});
    let made = json!({"LaunchTemplateName": "web", "LaunchTemplateData": data});
    let template = aws.call("ec2", "create_launch_template", made);
    let id = template["LaunchTemplate"]["LaunchTemplateId"].as_str().unwrap();
    aws.call("ec2", "create_launch_template_version", json!({"LaunchTemplateId": id, "LaunchTemplateData": data}));
    let found = read(&aws.url(), "AWS::EC2::LaunchTemplate").unwrap();
    let expected = json!({"LaunchTemplateId": id, "LaunchTemplateName": "web", "DefaultVersionNumber": "1",
        "LatestVersionNumber": "2"});
    assert_eq!((found.len(), &found[id]), (1, &expected));
}
