//! Groups of machines. No emulator serves the notifications of a group.

use serde_json::json;

use super::{read, read_without, take};
use crate::harness::aws::{Checks, Ministack, REGION};

#[test]
fn a_group_is_read_with_what_it_launches() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let asked = json!({"LaunchConfigurationName": "machine", "ImageId": "ami-1", "InstanceType": "t3.micro"});
    aws.call("autoscaling", "create_launch_configuration", asked);
    let asked = json!({"AutoScalingGroupName": "web", "MinSize": 0, "MaxSize": 2, "DesiredCapacity": 0,
        "LaunchConfigurationName": "machine", "AvailabilityZones": [format!("{REGION}a")],
        "Tags": [{"Key": "team", "Value": "data", "PropagateAtLaunch": true}]});
    aws.call("autoscaling", "create_auto_scaling_group", asked);
    let asked = json!({"AutoScalingGroupName": "web", "LifecycleHookName": "wait", "HeartbeatTimeout": 300,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "DefaultResult": "CONTINUE"});
    aws.call("autoscaling", "put_lifecycle_hook", asked);
    let found = read(&aws.url(), "AWS::AutoScaling::LaunchConfiguration").unwrap();
    let expected = json!({"LaunchConfigurationName": "machine", "ImageId": "ami-1", "InstanceType": "t3.micro"});
    assert_eq!(found["machine"], expected);
    let kind = "AWS::AutoScaling::AutoScalingGroup";
    let mut found = read_without(&aws.url(), kind, &["NotificationConfigurations"]).unwrap();
    take(&mut found, "web", "AutoScalingGroupARN");
    let expected = json!({"AutoScalingGroupName": "web", "MinSize": "0", "MaxSize": "2", "DesiredCapacity": "0",
        "Cooldown": "300", "AvailabilityZones": [format!("{REGION}a")], "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 300, "TerminationPolicies": ["Default"], "NewInstancesProtectedFromScaleIn": false,
        "LaunchConfigurationName": "machine",
        "LifecycleHookSpecificationList": [{"LifecycleHookName": "wait", "HeartbeatTimeout": 300,
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "DefaultResult": "CONTINUE"}],
        "Tags": [{"Key": "team", "Value": "data", "PropagateAtLaunch": true}]});
    assert_eq!(found["web"], expected);
}
