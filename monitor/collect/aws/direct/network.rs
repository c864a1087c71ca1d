//! EC2's networks: what is in them, and who may come in.

use serde_json::{Map, Value};

use super::ec2::list;
use super::service::EC2;
use super::shape::{Field, all, at, each, flag, int, json, made, object, scalar, tags, text, texts, untold};
use super::{Arg, Direct, call, part};

pub(super) const SECURITY_GROUP: Direct = Direct {
    list: &[list("DescribeSecurityGroups", "securityGroupInfo")],
    named: &[call("DescribeSecurityGroups", "securityGroupInfo").with(&[("GroupId", Arg::Names(0))])],
    gone: &["InvalidGroup.NotFound", "InvalidGroupId.Malformed"],
    shape: &[
        text("GroupId", "groupId"),
        text("Id", "groupId"),
        text("GroupName", "groupName"),
        text("GroupDescription", "groupDescription"),
        made("SecurityGroupEgress", "ipPermissionsEgress", |rules| rules_of(rules, "Destination")),
        made("SecurityGroupIngress", "ipPermissions", |rules| rules_of(rules, "Source")),
        text("VpcId", "vpcId"),
        tags("tagSet"),
    ],
    ..Direct::new("AWS::EC2::SecurityGroup", &EC2, &["groupId"])
};

/// Returns one object for each range, group or list of ranges, of which EC2 names many in one rule.
fn rules_of(rules: &Value, side: &str) -> Option<Value> {
    let rules: Vec<Value> = all(rules, "").into_iter().flat_map(|rule| peers(rule, side)).collect();
    (!rules.is_empty()).then(|| rules.into())
}

/// What CloudFormation calls something, and what EC2 does.
type Renamed<'a> = (&'a str, &'a str);

fn peers(rule: &Value, side: &str) -> Vec<Value> {
    let named = |what: &str| format!("{side}{what}");
    let (group, owner, list) = (named("SecurityGroupId"), named("SecurityGroupOwnerId"), named("PrefixListId"));
    // CloudFormation knows no owner of the group that traffic goes to.
    let of_group: &[Renamed<'_>] =
        if side == "Source" { &[(&group, "groupId"), (&owner, "userId")] } else { &[(&group, "groupId")] };
    let about = |key: &str, renamed: &[Renamed<'_>]| {
        all(rule, key).into_iter().map(|peer| rule_about(rule, peer, renamed)).collect::<Vec<_>>()
    };
    [
        about("ipRanges", &[("CidrIp", "cidrIp")]),
        about("ipv6Ranges", &[("CidrIpv6", "cidrIpv6")]),
        about("groups", of_group),
        about("prefixListIds", &[(&*list, "prefixListId")]),
    ]
    .concat()
}

fn rule_about(rule: &Value, peer: &Value, renamed: &[Renamed<'_>]) -> Value {
    // Of a rule about all protocols EC2 leaves the ports out, and CloudFormation does not.
    let port = |key: &str| at(rule, key).and_then(scalar).and_then(|port| port.parse::<i64>().ok()).unwrap_or(-1);
    let mut made = Map::new();
    made.insert("IpProtocol".to_owned(), at(rule, "ipProtocol").cloned().unwrap_or_default());
    made.insert("FromPort".to_owned(), port("fromPort").into());
    made.insert("ToPort".to_owned(), port("toPort").into());
    let said = renamed.iter().chain(&[("Description", "description")]);
    let said = said.filter_map(|(to, from)| Some(((*to).to_owned(), peer.get(*from)?.clone())));
    made.extend(said.filter(|(_, value)| !value.is_null()));
    made.into()
}

pub(super) const VPC: Direct = Direct {
    list: &[list("DescribeVpcs", "vpcSet")],
    named: &[call("DescribeVpcs", "vpcSet").with(&[("VpcId", Arg::Names(0))])],
    gone: &["InvalidVpcID.NotFound", "InvalidVpcID.Malformed"],
    shape: &[
        text("VpcId", "vpcId"),
        text("CidrBlock", "cidrBlock"),
        texts("CidrBlockAssociations", "cidrBlockAssociationSet.associationId"),
        text("InstanceTenancy", "instanceTenancy"),
        texts("Ipv6CidrBlocks", "ipv6CidrBlockAssociationSet.ipv6CidrBlock"),
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
        part(
            list("DescribeNetworkAcls", "networkAclSet").with(&[
                ("Filter.1.Name", Arg::Text("default")),
                ("Filter.1.Value", Arg::Texts(&["true"])),
                ("MaxResults", Arg::Int(1000)),
            ]),
            &[text("DefaultNetworkAcl", "networkAclId")],
        )
        .join("vpcId", "vpcId"),
        part(
            list("DescribeSecurityGroups", "securityGroupInfo").with(&[
                ("Filter.1.Name", Arg::Text("group-name")),
                ("Filter.1.Value", Arg::Texts(&["default"])),
                ("MaxResults", Arg::Int(1000)),
            ]),
            &[text("DefaultSecurityGroup", "groupId")],
        )
        .join("vpcId", "vpcId"),
        part(
            // Where there is no such action, no network has it.
            list("DescribeVpcEncryptionControls", "vpcEncryptionControlSet").none(&["InvalidAction"]),
            &[object("VpcEncryptionControl", "", ENCRYPTION_CONTROL)],
        )
        .join("vpcId", "vpcId"),
    ],
    ..Direct::new("AWS::EC2::VPC", &EC2, &["vpcId"])
};

const ENCRYPTION_CONTROL: &[Field] = &[
    text("Mode", "mode"),
    object(
        "ResourceExclusions",
        "resourceExclusions",
        &[
            object("EgressOnlyInternetGateway", "egressOnlyInternetGateway", STATE),
            object("ElasticFileSystem", "elasticFileSystem", STATE),
            object("InternetGateway", "internetGateway", STATE),
            object("Lambda", "lambda", STATE),
            object("NatGateway", "natGateway", STATE),
            object("VirtualPrivateGateway", "virtualPrivateGateway", STATE),
            object("VpcLattice", "vpcLattice", STATE),
            object("VpcPeering", "vpcPeering", STATE),
        ],
    ),
    text("State", "state"),
    text("StateMessage", "stateMessage"),
    text("VpcEncryptionControlId", "vpcEncryptionControlId"),
    text("VpcId", "vpcId"),
];

const STATE: &[Field] = &[text("State", "state"), text("StateMessage", "stateMessage")];

pub(super) const SUBNET: Direct = Direct {
    list: &[list("DescribeSubnets", "subnetSet")],
    named: &[call("DescribeSubnets", "subnetSet").with(&[("SubnetId", Arg::Names(0))])],
    gone: &["InvalidSubnetID.NotFound", "InvalidSubnetId.Malformed"],
    shape: &[
        text("SubnetId", "subnetId"),
        flag("AssignIpv6AddressOnCreation", "assignIpv6AddressOnCreation"),
        text("AvailabilityZone", "availabilityZone"),
        text("AvailabilityZoneId", "availabilityZoneId"),
        object(
            "BlockPublicAccessStates",
            "blockPublicAccessStates",
            &[text("InternetGatewayBlockMode", "internetGatewayBlockMode")],
        ),
        text("CidrBlock", "cidrBlock"),
        flag("EnableDns64", "enableDns64"),
        made("Ipv6CidrBlock", "", |subnet| ipv6_blocks(subnet).into_iter().next()),
        made("Ipv6CidrBlocks", "", |subnet| Some(ipv6_blocks(subnet)).filter(|all| !all.is_empty()).map(Value::from)),
        flag("Ipv6Native", "ipv6Native"),
        flag("MapPublicIpOnLaunch", "mapPublicIpOnLaunch"),
        text("OutpostArn", "outpostArn"),
        object(
            "PrivateDnsNameOptionsOnLaunch",
            "privateDnsNameOptionsOnLaunch",
            &[
                flag("EnableResourceNameDnsAAAARecord", "enableResourceNameDnsAAAARecord"),
                flag("EnableResourceNameDnsARecord", "enableResourceNameDnsARecord"),
                text("HostnameType", "hostnameType"),
            ],
        ),
        tags("tagSet"),
        text("VpcId", "vpcId"),
    ],
    parts: &[part(
        list("DescribeNetworkAcls", "networkAclSet"),
        &[text("NetworkAclAssociationId", "associationSet.networkAclAssociationId")],
    )
    .join("associationSet.subnetId", "subnetId")],
    ..Direct::new("AWS::EC2::Subnet", &EC2, &["subnetId"])
};

/// Returns the ranges that a subnet has, not those that it had.
fn ipv6_blocks(subnet: &Value) -> Vec<Value> {
    let is_past = |block: &Value| at(block, "ipv6CidrBlockState.state").is_some_and(|state| state == "disassociated");
    let blocks = all(subnet, "ipv6CidrBlockAssociationSet").into_iter().filter(|block| !is_past(block));
    blocks.filter_map(|block| block.get("ipv6CidrBlock").cloned()).collect()
}

pub(super) const ROUTE_TABLE: Direct = Direct {
    list: &[list("DescribeRouteTables", "routeTableSet").with(&[("MaxResults", Arg::Int(100))])],
    named: &[call("DescribeRouteTables", "routeTableSet").with(&[("RouteTableId", Arg::Names(0))])],
    gone: &["InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"],
    shape: &[text("RouteTableId", "routeTableId"), tags("tagSet"), text("VpcId", "vpcId")],
    ..Direct::new("AWS::EC2::RouteTable", &EC2, &["routeTableId"])
};

pub(super) const INTERNET_GATEWAY: Direct = Direct {
    list: &[list("DescribeInternetGateways", "internetGatewaySet")],
    named: &[call("DescribeInternetGateways", "internetGatewaySet").with(&[("InternetGatewayId", Arg::Names(0))])],
    gone: &["InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed"],
    shape: &[text("InternetGatewayId", "internetGatewayId"), tags("tagSet")],
    ..Direct::new("AWS::EC2::InternetGateway", &EC2, &["internetGatewayId"])
};

pub(super) const NAT_GATEWAY: Direct = Direct {
    list: &[list("DescribeNatGateways", "natGatewaySet")],
    named: &[call("DescribeNatGateways", "natGatewaySet").with(&[("NatGatewayId", Arg::Names(0))])],
    // It is shown for an hour after it has gone.
    keep: Some(|gateway| at(gateway, "state").is_none_or(|state| state != "deleted")),
    gone: &["NatGatewayNotFound", "NatGatewayMalformed"],
    shape: &[
        text("NatGatewayId", "natGatewayId"),
        made("AllocationId", "", |gateway| first_address(gateway)?.get("allocationId").cloned()),
        text("AutoProvisionZones", "autoProvisionZones"),
        text("AutoScalingIps", "autoScalingIps"),
        text("AvailabilityMode", "availabilityMode"),
        untold("AvailabilityZoneAddresses"),
        text("ConnectivityType", "connectivityType"),
        made("EniId", "", |gateway| first_address(gateway)?.get("networkInterfaceId").cloned()),
        made("PrivateIpAddress", "", |gateway| first_address(gateway)?.get("privateIp").cloned()),
        text("RouteTableId", "routeTableId"),
        made("SecondaryAllocationIds", "", |gateway| of_other_addresses(gateway, "allocationId")),
        made("SecondaryPrivateIpAddressCount", "", |gateway| {
            of_other_addresses(gateway, "privateIp").and_then(|all| Some(all.as_array()?.len().into()))
        }),
        made("SecondaryPrivateIpAddresses", "", |gateway| of_other_addresses(gateway, "privateIp")),
        text("SubnetId", "subnetId"),
        tags("tagSet"),
        text("VpcId", "vpcId"),
    ],
    ..Direct::new("AWS::EC2::NatGateway", &EC2, &["natGatewayId"])
};

fn is_other_address(address: &Value) -> bool {
    address.get("isPrimary").is_some_and(|is_primary| is_primary == "false")
}

fn first_address(gateway: &Value) -> Option<&Value> {
    all(gateway, "natGatewayAddressSet").into_iter().find(|address| !is_other_address(address))
}

fn of_other_addresses(gateway: &Value, key: &str) -> Option<Value> {
    let others = all(gateway, "natGatewayAddressSet").into_iter().filter(|address| is_other_address(address));
    let said: Vec<Value> = others.filter_map(|address| address.get(key).cloned()).collect();
    (!said.is_empty()).then(|| said.into())
}

pub(super) const EIP: Direct = Direct {
    list: &[call("DescribeAddresses", "addressesSet")],
    named: &[call("DescribeAddresses", "addressesSet").with(&[("AllocationId", Arg::Names(1))])],
    gone: &["InvalidAllocationID.NotFound"],
    shape: &[
        text("AllocationId", "allocationId"),
        text("Domain", "domain"),
        text("InstanceId", "instanceId"),
        text("NetworkBorderGroup", "networkBorderGroup"),
        text("PublicIp", "publicIp"),
        text("PublicIpv4Pool", "publicIpv4Pool"),
        tags("tagSet"),
    ],
    ..Direct::new("AWS::EC2::EIP", &EC2, &["publicIp", "allocationId"])
};

pub(super) const NETWORK_ACL: Direct = Direct {
    list: &[list("DescribeNetworkAcls", "networkAclSet")],
    named: &[call("DescribeNetworkAcls", "networkAclSet").with(&[("NetworkAclId", Arg::Names(0))])],
    gone: &["InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed"],
    shape: &[text("Id", "networkAclId"), tags("tagSet"), text("VpcId", "vpcId")],
    ..Direct::new("AWS::EC2::NetworkAcl", &EC2, &["networkAclId"])
};

pub(super) const NETWORK_INTERFACE: Direct = Direct {
    list: &[list("DescribeNetworkInterfaces", "networkInterfaceSet")],
    named: &[call("DescribeNetworkInterfaces", "networkInterfaceSet").with(&[("NetworkInterfaceId", Arg::Names(0))])],
    gone: &["InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed"],
    shape: &[
        text("Id", "networkInterfaceId"),
        object(
            "ConnectionTrackingSpecification",
            "connectionTrackingConfiguration",
            &[
                int("TcpEstablishedTimeout", "tcpEstablishedTimeout"),
                int("UdpStreamTimeout", "udpStreamTimeout"),
                int("UdpTimeout", "udpTimeout"),
            ],
        ),
        text("Description", "description"),
        made("EnablePrimaryIpv6", "", |card| primary_ipv6(card).map(|_| true.into())),
        texts("GroupSet", "groupSet.groupId"),
        text("InterfaceType", "interfaceType"),
        made("Ipv4PrefixCount", "", |card| Some(all(card, "ipv4PrefixSet").len().into())),
        each("Ipv4Prefixes", "ipv4PrefixSet", &[text("Ipv4Prefix", "ipv4Prefix")]),
        made("Ipv6AddressCount", "", |card| {
            Some(all(card, "ipv6AddressesSet").len()).filter(|n| *n > 0).map(Value::from)
        }),
        each("Ipv6Addresses", "ipv6AddressesSet", &[text("Ipv6Address", "ipv6Address")]),
        made("Ipv6PrefixCount", "", |card| Some(all(card, "ipv6PrefixSet").len().into())),
        each("Ipv6Prefixes", "ipv6PrefixSet", &[text("Ipv6Prefix", "ipv6Prefix")]),
        made("PrimaryIpv6Address", "", primary_ipv6),
        text("PrimaryPrivateIpAddress", "privateIpAddress"),
        text("PrivateIpAddress", "privateIpAddress"),
        each(
            "PrivateIpAddresses",
            "privateIpAddressesSet",
            &[flag("Primary", "primary"), text("PrivateIpAddress", "privateIpAddress")],
        ),
        object(
            "PublicIpDnsNameOptions",
            "publicIpDnsNameOptions",
            &[
                text("DnsHostnameType", "dnsHostnameType"),
                text("PublicDualStackDnsName", "publicDualStackDnsName"),
                text("PublicIpv4DnsName", "publicIpv4DnsName"),
                text("PublicIpv6DnsName", "publicIpv6DnsName"),
            ],
        ),
        made("SecondaryPrivateIpAddressCount", "", |card| Some(secondary_addresses(card).len().into())),
        made("SecondaryPrivateIpAddresses", "", |card| {
            Some(secondary_addresses(card)).filter(|all| !all.is_empty()).map(Value::from)
        }),
        flag("SourceDestCheck", "sourceDestCheck"),
        text("SubnetId", "subnetId"),
        tags("tagSet"),
        text("VpcId", "vpcId"),
    ],
    ..Direct::new("AWS::EC2::NetworkInterface", &EC2, &["networkInterfaceId"])
};

fn primary_ipv6(card: &Value) -> Option<Value> {
    let is_primary = |address: &&Value| address.get("isPrimaryIpv6").is_some_and(|is_primary| is_primary == "true");
    all(card, "ipv6AddressesSet").into_iter().find(is_primary)?.get("ipv6Address").cloned()
}

fn secondary_addresses(card: &Value) -> Vec<Value> {
    let is_other = |address: &&Value| address.get("primary").is_none_or(|is_primary| is_primary != "true");
    let others = all(card, "privateIpAddressesSet").into_iter().filter(is_other);
    others.filter_map(|address| address.get("privateIpAddress").cloned()).collect()
}

pub(super) const VPC_ENDPOINT: Direct = Direct {
    list: &[list("DescribeVpcEndpoints", "vpcEndpointSet")],
    named: &[call("DescribeVpcEndpoints", "vpcEndpointSet").with(&[("VpcEndpointId", Arg::Names(0))])],
    keep: Some(|endpoint| {
        at(endpoint, "state").and_then(Value::as_str).is_none_or(|state| !state.eq_ignore_ascii_case("deleted"))
    }),
    gone: &["InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound", "InvalidVpcEndpointId.Malformed"],
    shape: &[
        text("Id", "vpcEndpointId"),
        // CloudFormation writes the time in a way of its own, and nobody declares it.
        untold("CreationTimestamp"),
        made("DnsEntries", "dnsEntrySet", dns_entries),
        object(
            "DnsOptions",
            "dnsOptions",
            &[
                text("DnsRecordIpType", "dnsRecordIpType"),
                made("PrivateDnsOnlyForInboundResolverEndpoint", "", |options| Some(resolvers(options).into())),
                text("PrivateDnsPreference", "privateDnsPreference"),
                texts("PrivateDnsSpecifiedDomains", "privateDnsSpecifiedDomainSet"),
            ],
        ),
        text("IpAddressType", "ipAddressType"),
        texts("NetworkInterfaceIds", "networkInterfaceIdSet"),
        json("PolicyDocument", "policyDocument"),
        flag("PrivateDnsEnabled", "privateDnsEnabled"),
        text("ResourceConfigurationArn", "resourceConfigurationArn"),
        texts("RouteTableIds", "routeTableIdSet"),
        texts("SecurityGroupIds", "groupSet.groupId"),
        text("ServiceName", "serviceName"),
        text("ServiceNetworkArn", "serviceNetworkArn"),
        text("ServiceRegion", "serviceRegion"),
        texts("SubnetIds", "subnetIdSet"),
        tags("tagSet"),
        text("VpcEndpointType", "vpcEndpointType"),
        text("VpcId", "vpcId"),
    ],
    ..Direct::new("AWS::EC2::VPCEndpoint", &EC2, &["vpcEndpointId"])
};

fn dns_entries(entries: &Value) -> Option<Value> {
    let said = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let entry = |entry: &Value| format!("{}:{}", said(entry, "hostedZoneId"), said(entry, "dnsName"));
    let entries: Vec<Value> = all(entries, "").into_iter().map(|one| entry(one).into()).collect();
    (!entries.is_empty()).then(|| entries.into())
}

/// Returns CloudFormation's three words for a switch that may not be set.
fn resolvers(options: &Value) -> &'static str {
    match options.get("privateDnsOnlyForInboundResolverEndpoint").and_then(Value::as_str) {
        Some("true") => "OnlyInboundResolver",
        Some("false") => "AllResolvers",
        _ => "NotSpecified",
    }
}

pub(super) const FLOW_LOG: Direct = Direct {
    list: &[list("DescribeFlowLogs", "flowLogSet")],
    named: &[call("DescribeFlowLogs", "flowLogSet").with(&[("FlowLogId", Arg::Names(0))])],
    gone: &["InvalidFlowLogId.NotFound"],
    shape: &[
        text("Id", "flowLogId"),
        text("DeliverCrossAccountRole", "deliverCrossAccountRole"),
        text("DeliverLogsPermissionArn", "deliverLogsPermissionArn"),
        object(
            "DestinationOptions",
            "destinationOptions",
            &[
                text("FileFormat", "fileFormat"),
                flag("HiveCompatiblePartitions", "hiveCompatiblePartitions"),
                flag("PerHourPartition", "perHourPartition"),
            ],
        ),
        text("LogDestination", "logDestination"),
        text("LogDestinationType", "logDestinationType"),
        text("LogFormat", "logFormat"),
        text("LogGroupName", "logGroupName"),
        int("MaxAggregationInterval", "maxAggregationInterval"),
        text("ResourceId", "resourceId"),
        made("ResourceType", "resourceId", |id| logged(id.as_str()?).map(Value::from)),
        untold("TagFieldSpecifications"),
        tags("tagSet"),
        text("TrafficType", "trafficType"),
    ],
    ..Direct::new("AWS::EC2::FlowLog", &EC2, &["flowLogId"])
};

/// Returns what CloudFormation calls the type of a thing, which EC2 shows only in its identifier.
fn logged(id: &str) -> Option<&'static str> {
    const TYPES: &[(&str, &str)] = &[
        ("vpc-", "VPC"),
        ("subnet-", "Subnet"),
        ("eni-", "NetworkInterface"),
        ("tgw-attach-", "TransitGatewayAttachment"),
        ("tgw-", "TransitGateway"),
        ("nat-", "RegionalNatGateway"),
    ];
    TYPES.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_one_for_each_that_it_names() {
        let rules = json!([{"ipProtocol": "udp", "fromPort": "53", "toPort": "53", "ipRanges": null,
            "groups": [{"groupId": "sg-1", "userId": "1", "description": "ours"}],
            "prefixListIds": [{"prefixListId": "pl-1"}]}]);
        let expected = json!([
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "DestinationSecurityGroupId": "sg-1", "Description": "ours"},
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "DestinationPrefixListId": "pl-1"},
        ]);
        assert_eq!(rules_of(&rules, "Destination"), Some(expected));
        let expected = json!([
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "SourceSecurityGroupId": "sg-1",
                "SourceSecurityGroupOwnerId": "1", "Description": "ours"},
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "SourcePrefixListId": "pl-1"},
        ]);
        assert_eq!(rules_of(&rules, "Source"), Some(expected));
        assert_eq!(rules_of(&Value::Null, "Source"), None);
    }

    #[test]
    fn names_of_an_endpoint_are_written_as_cloudformation_does() {
        let entries = json!([{"dnsName": "s3.example.com", "hostedZoneId": "Z1"}]);
        assert_eq!(dns_entries(&entries), Some(json!(["Z1:s3.example.com"])));
        assert_eq!(dns_entries(&Value::Null), None);
        let key = "privateDnsOnlyForInboundResolverEndpoint";
        let said = [json!({key: "true"}), json!({key: "false"}), json!({})];
        assert_eq!(said.each_ref().map(resolvers), ["OnlyInboundResolver", "AllResolvers", "NotSpecified"]);
    }

    #[test]
    fn the_first_address_of_a_gateway_is_told_from_the_others() {
        let gateway = json!({"natGatewayAddressSet": [
            {"allocationId": "b", "privateIp": "10.0.0.2", "isPrimary": "false"},
            {"allocationId": "a", "privateIp": "10.0.0.1", "isPrimary": "true"},
        ]});
        assert_eq!(first_address(&gateway).and_then(|address| address.get("allocationId")), Some(&json!("a")));
        assert_eq!(of_other_addresses(&gateway, "allocationId"), Some(json!(["b"])));
        assert_eq!(of_other_addresses(&json!({"natGatewayAddressSet": [{"allocationId": "a"}]}), "allocationId"), None);
    }
}
