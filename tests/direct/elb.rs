//! Load balancers, their listeners and targets.

use serde_json::{Value, json};

use super::{only, read};
use crate::harness::aws::{Checks, Ministack, REGION};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_load_balancer_is_read_with_its_listener_and_targets() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let vpc = text(&aws.call("ec2", "create_vpc", json!({"CidrBlock": "10.9.0.0/16"}))["Vpc"]["VpcId"]);
    let subnet = |at: &str, block: &str| {
        let asked = json!({"VpcId": vpc, "CidrBlock": block, "AvailabilityZone": format!("{REGION}{at}")});
        text(&aws.call("ec2", "create_subnet", asked)["Subnet"]["SubnetId"])
    };
    let subnets = [subnet("a", "10.9.1.0/24"), subnet("b", "10.9.2.0/24")];
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let asked = json!({"Name": "web", "Subnets": subnets, "Scheme": "internal", "Tags": tags});
    let balancer = text(&aws.call("elbv2", "create_load_balancer", asked)["LoadBalancers"][0]["LoadBalancerArn"]);
    let asked = json!({"Name": "apps", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip", "Tags": tags});
    let group = text(&aws.call("elbv2", "create_target_group", asked)["TargetGroups"][0]["TargetGroupArn"]);
    aws.call(
        "elbv2",
        "register_targets",
        json!({"TargetGroupArn": group, "Targets": [{"Id": "10.9.1.9", "Port": 80}]}),
    );
    let actions = json!([{"Type": "forward", "TargetGroupArn": group}]);
    let asked = json!({"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "DefaultActions": actions});
    let listener = text(&aws.call("elbv2", "create_listener", asked)["Listeners"][0]["ListenerArn"]);
    let found = read(&aws.url(), "AWS::ElasticLoadBalancingV2::LoadBalancer").unwrap();
    let expected = json!({"LoadBalancerArn": balancer, "Name": "web", "LoadBalancerName": "web", "Scheme": "internal",
        "LoadBalancerFullName": balancer.split_once(":loadbalancer/").unwrap().1, "Type": "application",
        "IpAddressType": "ipv4", "Subnets": subnets, "Tags": tags,
        "SubnetMappings": [{"SubnetId": subnets[0]}, {"SubnetId": subnets[1]}],
        "LoadBalancerAttributes": [{"Key": "access_logs.s3.enabled", "Value": "false"},
            {"Key": "deletion_protection.enabled", "Value": "false"}, {"Key": "idle_timeout.timeout_seconds", "Value": "60"}]});
    assert_eq!(only(&found[&balancer], &expected), expected);
    let found = read(&aws.url(), "AWS::ElasticLoadBalancingV2::Listener").unwrap();
    let expected = json!({"ListenerArn": listener, "LoadBalancerArn": balancer, "Port": 80, "Protocol": "HTTP",
        "DefaultActions": [{"Type": "forward", "Order": 1, "TargetGroupArn": group}],
        "ListenerAttributes": [{"Key": "routing.http.response.server.enabled", "Value": "true"}]});
    assert_eq!(found[&listener], expected);
    let found = read(&aws.url(), "AWS::ElasticLoadBalancingV2::TargetGroup").unwrap();
    let expected = json!({"TargetGroupArn": group, "Name": "apps", "TargetGroupName": "apps", "Protocol": "HTTP", "Port": 80,
        "TargetGroupFullName": group.rsplit_once(':').unwrap().1, "VpcId": vpc, "TargetType": "ip", "Tags": tags,
        "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port", "HealthCheckEnabled": true,
        "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "Matcher": {"HttpCode": "200"},
        "LoadBalancerArns": [balancer], "Targets": [{"Id": "10.9.1.9", "Port": 80}],
        "TargetGroupAttributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "300"},
            {"Key": "stickiness.enabled", "Value": "false"}, {"Key": "stickiness.type", "Value": "lb_cookie"}]});
    assert_eq!(found[&group], expected);
}
