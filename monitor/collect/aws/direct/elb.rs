//! Load balancers of the second generation, their listeners and targets.

use serde_json::Value;

use super::service::ELB;
use super::shape::{Field, at, each, flag, int, made, object, same, tags, tags_as, text, texts};
use super::{Arg, Call, Direct, Part, call, part};

const fn list(operation: &'static str, items: &'static str) -> Call {
    call(operation, items).with(&[("PageSize", Arg::Int(400))]).pages("Marker", "NextMarker")
}

const TAGS: &[Field] = &[tags("Tags")];

/// Returns the tags of things that are asked for together, as many as the service takes.
const fn tags_of(arguments: &'static [(&'static str, Arg)], arn: &'static str) -> Part {
    part(call("DescribeTags", "TagDescriptions").with(arguments).batch(20), TAGS).join("ResourceArn", arn)
}

pub(super) const LOAD_BALANCER: Direct = Direct {
    list: &[list("DescribeLoadBalancers", "LoadBalancers")],
    named: &[call("DescribeLoadBalancers", "LoadBalancers").with(&[("LoadBalancerArns", Arg::Names(0))])],
    gone: &["LoadBalancerNotFound"],
    shape: &[
        text("LoadBalancerArn", "LoadBalancerArn"),
        text("CanonicalHostedZoneID", "CanonicalHostedZoneId"),
        text("DNSName", "DNSName"),
        text("EnablePrefixForIpv6SourceNat", "EnablePrefixForIpv6SourceNat"),
        text(
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
            "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
        ),
        text("IpAddressType", "IpAddressType"),
        text("Ipv4IpamPoolId", "IpamPools.Ipv4IpamPoolId"),
        made("LoadBalancerFullName", "LoadBalancerArn", |arn| full_name(arn, ":loadbalancer/")),
        text("LoadBalancerName", "LoadBalancerName"),
        text("Name", "LoadBalancerName"),
        text("Scheme", "Scheme"),
        texts("SecurityGroups", "SecurityGroups"),
        each(
            "SubnetMappings",
            "AvailabilityZones",
            &[
                text("AllocationId", "LoadBalancerAddresses.AllocationId"),
                text("IPv6Address", "LoadBalancerAddresses.IPv6Address"),
                text("PrivateIPv4Address", "LoadBalancerAddresses.PrivateIPv4Address"),
                made("SourceNatIpv6Prefix", "SourceNatIpv6Prefixes", |prefixes| prefixes.get(0).cloned()),
                text("SubnetId", "SubnetId"),
            ],
        ),
        texts("Subnets", "AvailabilityZones.SubnetId"),
        text("Type", "Type"),
    ],
    parts: &[
        part(
            call("DescribeLoadBalancerAttributes", "Attributes")
                .with(&[("LoadBalancerArn", Arg::Of("LoadBalancerArn"))]),
            &[tags_as("LoadBalancerAttributes", "")],
        ),
        part(
            // Where there is no such action, nothing is reserved.
            call("DescribeCapacityReservation", "")
                .with(&[("LoadBalancerArn", Arg::Of("LoadBalancerArn"))])
                .none(&["InvalidAction"]),
            &[object(
                "MinimumLoadBalancerCapacity",
                "MinimumLoadBalancerCapacity",
                &[int("CapacityUnits", "CapacityUnits")],
            )],
        )
        .when(|balancer| at(balancer, "Type").is_none_or(|kind| kind != "gateway")),
        tags_of(&[("ResourceArns", Arg::Each("LoadBalancerArn"))], "LoadBalancerArn"),
    ],
    ..Direct::new("AWS::ElasticLoadBalancingV2::LoadBalancer", &ELB, &["LoadBalancerArn"])
};

fn full_name(arn: &Value, after: &str) -> Option<Value> {
    arn.as_str()?.split_once(after).map(|(_, name)| name.into())
}

pub(super) const LISTENER: Direct = Direct {
    list: &[
        list("DescribeLoadBalancers", "LoadBalancers"),
        list("DescribeListeners", "Listeners")
            .with(&[("LoadBalancerArn", Arg::Of("LoadBalancerArn")), ("PageSize", Arg::Int(400))]),
    ],
    named: &[call("DescribeListeners", "Listeners").with(&[("ListenerArns", Arg::Names(0))])],
    gone: &["ListenerNotFound", "LoadBalancerNotFound"],
    shape: &[
        text("ListenerArn", "ListenerArn"),
        texts("AlpnPolicy", "AlpnPolicy"),
        each("Certificates", "Certificates", &[text("CertificateArn", "CertificateArn")]),
        each("DefaultActions", "DefaultActions", ACTION),
        text("LoadBalancerArn", "LoadBalancerArn"),
        object(
            "MutualAuthentication",
            "MutualAuthentication",
            &[
                text("AdvertiseTrustStoreCaNames", "AdvertiseTrustStoreCaNames"),
                flag("IgnoreClientCertificateExpiry", "IgnoreClientCertificateExpiry"),
                text("Mode", "Mode"),
                text("TrustStoreArn", "TrustStoreArn"),
            ],
        ),
        int("Port", "Port"),
        text("Protocol", "Protocol"),
        text("SslPolicy", "SslPolicy"),
    ],
    parts: &[
        part(
            call("DescribeListenerAttributes", "Attributes").with(&[("ListenerArn", Arg::Of("ListenerArn"))]),
            &[tags_as("ListenerAttributes", "")],
        ),
        tags_of(&[("ResourceArns", Arg::Each("ListenerArn"))], "ListenerArn"),
    ],
    ..Direct::new("AWS::ElasticLoadBalancingV2::Listener", &ELB, &["ListenerArn"])
};

const ACTION: &[Field] = &[
    object(
        "AuthenticateCognitoConfig",
        "AuthenticateCognitoConfig",
        &[
            same("AuthenticationRequestExtraParams", "AuthenticationRequestExtraParams"),
            text("OnUnauthenticatedRequest", "OnUnauthenticatedRequest"),
            text("Scope", "Scope"),
            text("SessionCookieName", "SessionCookieName"),
            text("SessionTimeout", "SessionTimeout"),
            text("UserPoolArn", "UserPoolArn"),
            text("UserPoolClientId", "UserPoolClientId"),
            text("UserPoolDomain", "UserPoolDomain"),
        ],
    ),
    object(
        "AuthenticateOidcConfig",
        "AuthenticateOidcConfig",
        &[
            same("AuthenticationRequestExtraParams", "AuthenticationRequestExtraParams"),
            text("AuthorizationEndpoint", "AuthorizationEndpoint"),
            text("ClientId", "ClientId"),
            text("Issuer", "Issuer"),
            text("OnUnauthenticatedRequest", "OnUnauthenticatedRequest"),
            text("Scope", "Scope"),
            text("SessionCookieName", "SessionCookieName"),
            text("SessionTimeout", "SessionTimeout"),
            text("TokenEndpoint", "TokenEndpoint"),
            flag("UseExistingClientSecret", "UseExistingClientSecret"),
            text("UserInfoEndpoint", "UserInfoEndpoint"),
        ],
    ),
    object(
        "FixedResponseConfig",
        "FixedResponseConfig",
        &[text("ContentType", "ContentType"), text("MessageBody", "MessageBody"), text("StatusCode", "StatusCode")],
    ),
    object(
        "ForwardConfig",
        "ForwardConfig",
        &[
            object(
                "TargetGroupStickinessConfig",
                "TargetGroupStickinessConfig",
                &[int("DurationSeconds", "DurationSeconds"), flag("Enabled", "Enabled")],
            ),
            each("TargetGroups", "TargetGroups", &[text("TargetGroupArn", "TargetGroupArn"), int("Weight", "Weight")]),
        ],
    ),
    object(
        "JwtValidationConfig",
        "JwtValidationConfig",
        &[
            each(
                "AdditionalClaims",
                "AdditionalClaims",
                &[text("Format", "Format"), text("Name", "Name"), texts("Values", "Values")],
            ),
            text("Issuer", "Issuer"),
            text("JwksEndpoint", "JwksEndpoint"),
        ],
    ),
    int("Order", "Order"),
    object(
        "RedirectConfig",
        "RedirectConfig",
        &[
            text("Host", "Host"),
            text("Path", "Path"),
            text("Port", "Port"),
            text("Protocol", "Protocol"),
            text("Query", "Query"),
            text("StatusCode", "StatusCode"),
        ],
    ),
    text("TargetGroupArn", "TargetGroupArn"),
    text("Type", "Type"),
];

pub(super) const TARGET_GROUP: Direct = Direct {
    list: &[list("DescribeTargetGroups", "TargetGroups")],
    named: &[call("DescribeTargetGroups", "TargetGroups").with(&[("TargetGroupArns", Arg::Names(0))])],
    gone: &["TargetGroupNotFound"],
    shape: &[
        text("TargetGroupArn", "TargetGroupArn"),
        flag("HealthCheckEnabled", "HealthCheckEnabled"),
        int("HealthCheckIntervalSeconds", "HealthCheckIntervalSeconds"),
        text("HealthCheckPath", "HealthCheckPath"),
        text("HealthCheckPort", "HealthCheckPort"),
        text("HealthCheckProtocol", "HealthCheckProtocol"),
        int("HealthCheckTimeoutSeconds", "HealthCheckTimeoutSeconds"),
        int("HealthyThresholdCount", "HealthyThresholdCount"),
        text("IpAddressType", "IpAddressType"),
        texts("LoadBalancerArns", "LoadBalancerArns"),
        object("Matcher", "Matcher", &[text("GrpcCode", "GrpcCode"), text("HttpCode", "HttpCode")]),
        text("Name", "TargetGroupName"),
        int("Port", "Port"),
        text("Protocol", "Protocol"),
        text("ProtocolVersion", "ProtocolVersion"),
        int("TargetControlPort", "TargetControlPort"),
        made("TargetGroupFullName", "TargetGroupArn", |arn| {
            full_name(arn, ":targetgroup/").and_then(|name| Some(format!("targetgroup/{}", name.as_str()?).into()))
        }),
        text("TargetGroupName", "TargetGroupName"),
        text("TargetType", "TargetType"),
        int("UnhealthyThresholdCount", "UnhealthyThresholdCount"),
        text("VpcId", "VpcId"),
    ],
    parts: &[
        part(
            call("DescribeTargetGroupAttributes", "Attributes").with(&[("TargetGroupArn", Arg::Of("TargetGroupArn"))]),
            &[tags_as("TargetGroupAttributes", "")],
        ),
        part(
            call("DescribeTargetHealth", "TargetHealthDescriptions")
                .with(&[("TargetGroupArn", Arg::Of("TargetGroupArn"))]),
            &[each(
                "Targets",
                "Target",
                &[
                    text("AvailabilityZone", "AvailabilityZone"),
                    text("Id", "Id"),
                    int("Port", "Port"),
                    text("QuicServerId", "QuicServerId"),
                ],
            )],
        ),
        tags_of(&[("ResourceArns", Arg::Each("TargetGroupArn"))], "TargetGroupArn"),
    ],
    ..Direct::new("AWS::ElasticLoadBalancingV2::TargetGroup", &ELB, &["TargetGroupArn"])
};
