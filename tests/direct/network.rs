//! EC2's networks. Ministack knows no lists of ranges in rules and no addresses of NAT gateways, and puts no
//! subnet under the list of its network.

use serde_json::{Value, json};

use super::{only, read};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Creates a network with a subnet in it; returns the identifiers of both.
fn network(aws: &Ministack) -> (String, String) {
    let vpc = text(&aws.call("ec2", "create_vpc", json!({"CidrBlock": "10.9.0.0/16"}))["Vpc"]["VpcId"]);
    let asked = json!({"VpcId": vpc, "CidrBlock": "10.9.1.0/24", "AvailabilityZone": format!("{REGION}a")});
    let subnet = text(&aws.call("ec2", "create_subnet", asked)["Subnet"]["SubnetId"]);
    (vpc, subnet)
}

/// Returns tags as EC2 wants them for what it creates.
fn tagged(kind: &str) -> Value {
    json!([{"ResourceType": kind, "Tags": [{"Key": "team", "Value": "data"}]}])
}

#[test]
fn each_peer_of_a_security_group_is_a_rule() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let (vpc, _) = network(&aws);
    let asked = json!({"GroupName": "web", "Description": "the web", "VpcId": vpc,
        "TagSpecifications": tagged("security-group")});
    let id = text(&aws.call("ec2", "create_security_group", asked)["GroupId"]);
    let permissions = json!([
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
            "IpRanges": [{"CidrIp": "10.0.0.0/24", "Description": "a"}, {"CidrIp": "10.0.1.0/24"}],
            "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]},
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": id, "UserId": ACCOUNT}]},
    ]);
    aws.call("ec2", "authorize_security_group_ingress", json!({"GroupId": id, "IpPermissions": permissions}));
    let found = read(&aws.url(), "AWS::EC2::SecurityGroup").unwrap();
    let expected = json!({"Id": id, "GroupId": id, "GroupName": "web", "GroupDescription": "the web", "VpcId": vpc,
        "SecurityGroupEgress": [{"CidrIp": "0.0.0.0/0", "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}],
        "SecurityGroupIngress": [
            {"CidrIp": "10.0.0.0/24", "Description": "a", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443},
            {"CidrIp": "10.0.1.0/24", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443},
            {"CidrIpv6": "2001:db8::/32", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443},
            {"SourceSecurityGroupId": id, "SourceSecurityGroupOwnerId": ACCOUNT, "IpProtocol": "-1",
                "FromPort": -1, "ToPort": -1},
        ],
        "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!(&found[&id], &expected);
}

#[test]
fn a_network_is_read_with_what_it_was_born_with() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let (vpc, subnet) = network(&aws);
    aws.call("ec2", "modify_vpc_attribute", json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": true}}));
    aws.call("ec2", "modify_subnet_attribute", json!({"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": true}}));
    let of = |name: &str| json!([{"Name": name, "Values": [vpc]}]);
    let groups = aws.call("ec2", "describe_security_groups", json!({"Filters": of("vpc-id")}));
    let lists = aws.call("ec2", "describe_network_acls", json!({"Filters": of("vpc-id")}));
    let found = read(&aws.url(), "AWS::EC2::VPC").unwrap();
    let block = vpc.replace("vpc-", "vpc-cidr-assoc-");
    let expected = json!({"VpcId": vpc, "CidrBlock": "10.9.0.0/16", "InstanceTenancy": "default",
        "DefaultSecurityGroup": groups["SecurityGroups"][0]["GroupId"],
        "DefaultNetworkAcl": lists["NetworkAcls"][0]["NetworkAclId"],
        "CidrBlockAssociations": [block], "EnableDnsHostnames": true, "EnableDnsSupport": true});
    assert_eq!(&found[&vpc], &expected);
    let found = read(&aws.url(), "AWS::EC2::Subnet").unwrap();
    let expected = json!({"SubnetId": subnet, "VpcId": vpc, "CidrBlock": "10.9.1.0/24", "MapPublicIpOnLaunch": true,
        "AvailabilityZone": format!("{REGION}a"), "AssignIpv6AddressOnCreation": false, "EnableDns64": false,
        "Ipv6Native": false, "PrivateDnsNameOptionsOnLaunch": {"HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": false, "EnableResourceNameDnsAAAARecord": false}});
    assert_eq!(only(&found[&subnet], &expected), expected);
    let found = read(&aws.url(), "AWS::EC2::NetworkAcl").unwrap();
    let list = text(&lists["NetworkAcls"][0]["NetworkAclId"]);
    assert_eq!(&found[&list], &json!({"Id": list, "VpcId": vpc}));
}

#[test]
fn ways_into_a_network_are_read() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let (vpc, subnet) = network(&aws);
    let asked = json!({"TagSpecifications": tagged("internet-gateway")});
    let gateway = text(&aws.call("ec2", "create_internet_gateway", asked)["InternetGateway"]["InternetGatewayId"]);
    let table = aws.call("ec2", "create_route_table", json!({"VpcId": vpc}));
    let table = text(&table["RouteTable"]["RouteTableId"]);
    let address = aws.call("ec2", "allocate_address", json!({"Domain": "vpc"}));
    let (ip, allocation) = (text(&address["PublicIp"]), text(&address["AllocationId"]));
    let nat = || {
        let asked = json!({"SubnetId": subnet, "AllocationId": allocation});
        text(&aws.call("ec2", "create_nat_gateway", asked)["NatGateway"]["NatGatewayId"])
    };
    let (kept, gone) = (nat(), nat());
    aws.call("ec2", "delete_nat_gateway", json!({"NatGatewayId": gone}));
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let found = read(&aws.url(), "AWS::EC2::InternetGateway").unwrap();
    assert_eq!(&found[&gateway], &json!({"InternetGatewayId": gateway, "Tags": tags}));
    let found = read(&aws.url(), "AWS::EC2::RouteTable").unwrap();
    assert_eq!(&found[&table], &json!({"RouteTableId": table, "VpcId": vpc}));
    let found = read(&aws.url(), "AWS::EC2::EIP").unwrap();
    let expected = json!({"PublicIp": ip, "AllocationId": allocation, "Domain": "vpc"});
    assert_eq!(&found[&format!("{ip}|{allocation}")], &expected);
    let found = read(&aws.url(), "AWS::EC2::NatGateway").unwrap();
    let expected = json!({"NatGatewayId": kept, "SubnetId": subnet, "VpcId": vpc, "ConnectivityType": "public"});
    assert_eq!((found.len(), &found[&kept]), (1, &expected));
}

#[test]
fn what_is_plugged_into_a_network_is_read() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let (vpc, subnet) = network(&aws);
    let asked = json!({"SubnetId": subnet, "Description": "a card", "PrivateIpAddress": "10.9.1.20"});
    let card = text(&aws.call("ec2", "create_network_interface", asked)["NetworkInterface"]["NetworkInterfaceId"]);
    let table = text(&aws.call("ec2", "create_route_table", json!({"VpcId": vpc}))["RouteTable"]["RouteTableId"]);
    let service = format!("com.amazonaws.{REGION}.s3");
    let asked = json!({"VpcId": vpc, "ServiceName": service, "VpcEndpointType": "Gateway", "RouteTableIds": [table]});
    let endpoint = text(&aws.call("ec2", "create_vpc_endpoint", asked)["VpcEndpoint"]["VpcEndpointId"]);
    let asked = json!({"ResourceIds": [vpc], "ResourceType": "VPC", "TrafficType": "ALL", "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::logs"});
    let log = text(&aws.call("ec2", "create_flow_logs", asked)["FlowLogIds"][0]);
    let found = read(&aws.url(), "AWS::EC2::NetworkInterface").unwrap();
    let address = found[&card]["PrivateIpAddress"].clone();
    let expected = json!({"Id": card, "Description": "a card", "InterfaceType": "interface", "GroupSet": ["sg-00000001"],
        "SubnetId": subnet, "VpcId": vpc, "SourceDestCheck": true, "PrivateIpAddress": address,
        "PrimaryPrivateIpAddress": address, "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": address}],
        "SecondaryPrivateIpAddressCount": 0, "Ipv4PrefixCount": 0, "Ipv6PrefixCount": 0});
    assert_eq!(&found[&card], &expected);
    let found = read(&aws.url(), "AWS::EC2::VPCEndpoint").unwrap();
    let expected = json!({"Id": endpoint, "VpcId": vpc, "ServiceName": service, "VpcEndpointType": "Gateway",
        "RouteTableIds": [table]});
    assert_eq!(&found[&endpoint], &expected);
    let found = read(&aws.url(), "AWS::EC2::FlowLog").unwrap();
    let expected = json!({"Id": log, "ResourceId": vpc, "ResourceType": "VPC", "TrafficType": "ALL",
        "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::logs"});
    assert_eq!(&found[&log], &expected);
}
