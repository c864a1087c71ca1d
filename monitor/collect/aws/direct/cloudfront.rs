//! CloudFront: distributions. What the service wraps in `Quantity` and `Items` is a plain list in CloudFormation.

use serde_json::Value;

use super::service::CLOUD_FRONT;
use super::shape::{Field, all, each, flag, int, made, number, object, or_empty, scalar, tags, text, texts, untold};
use super::{Arg, Direct, call, part};

pub(super) const DISTRIBUTION: Direct = Direct {
    list: &[call("GET /2020-05-31/distribution", "Items.DistributionSummary")
        .root("DistributionList")
        .with(&[("MaxItems", Arg::Int(100))])
        .pages("Marker", "NextMarker")
        .may_be_silent()
        .action("cloudfront:ListDistributions")],
    named: &[call("GET /2020-05-31/distribution/{Id}", "")
        .root("Distribution")
        .with(&[("Id", Arg::Name(0))])
        .action("cloudfront:GetDistribution")],
    gone: &["NoSuchDistribution"],
    shape: &[text("DomainName", "DomainName"), text("Id", "Id")],
    parts: &[
        part(
            call("GET /2020-05-31/distribution/{Id}/config", "")
                .root("DistributionConfig")
                .with(&[("Id", Arg::Of("Id"))])
                .action("cloudfront:GetDistributionConfig"),
            &[object("DistributionConfig", "", DISTRIBUTION_CONFIG)],
        ),
        part(
            call("GET /2020-05-31/tagging", "")
                .root("Tags")
                .with(&[("Resource", Arg::Of("ARN"))])
                .action("cloudfront:ListTagsForResource"),
            &[tags("Items.Tag")],
        ),
    ],
    ..Direct::new("AWS::CloudFront::Distribution", &CLOUD_FRONT, &["Id"])
};

const DISTRIBUTION_CONFIG: &[Field] = &[
    texts("Aliases", "Aliases.Items.CNAME"),
    text("AnycastIpListId", "AnycastIpListId"),
    untold("CNAMEs"),
    each("CacheBehaviors", "CacheBehaviors.Items.CacheBehavior", PATH_BEHAVIOR),
    object("CacheTagConfig", "CacheTagConfig", &[text("HeaderName", "HeaderName")]),
    made("Comment", "Comment", or_empty),
    object("ConnectionFunctionAssociation", "ConnectionFunctionAssociation", &[text("Id", "Id")]),
    text("ConnectionMode", "ConnectionMode"),
    made("ContinuousDeploymentPolicyId", "ContinuousDeploymentPolicyId", or_empty),
    each(
        "CustomErrorResponses",
        "CustomErrorResponses.Items.CustomErrorResponse",
        &[
            number("ErrorCachingMinTTL", "ErrorCachingMinTTL"),
            int("ErrorCode", "ErrorCode"),
            int("ResponseCode", "ResponseCode"),
            text("ResponsePagePath", "ResponsePagePath"),
        ],
    ),
    untold("CustomOrigin"),
    object("DefaultCacheBehavior", "DefaultCacheBehavior", BEHAVIOR),
    made("DefaultRootObject", "DefaultRootObject", or_empty),
    flag("Enabled", "Enabled"),
    text("HttpVersion", "HttpVersion"),
    flag("IPV6Enabled", "IsIPV6Enabled"),
    object(
        "Logging",
        "Logging",
        &[
            made("Bucket", "Bucket", or_empty),
            flag("IncludeCookies", "IncludeCookies"),
            made("Prefix", "Prefix", or_empty),
        ],
    ),
    object(
        "OriginGroups",
        "OriginGroups",
        &[each("Items", "Items.OriginGroup", ORIGIN_GROUP), int("Quantity", "Quantity")],
    ),
    each("Origins", "Origins.Items.Origin", ORIGIN),
    text("PriceClass", "PriceClass"),
    object(
        "Restrictions",
        "Restrictions",
        &[object(
            "GeoRestriction",
            "GeoRestriction",
            &[texts("Locations", "Items.Location"), text("RestrictionType", "RestrictionType")],
        )],
    ),
    untold("S3Origin"),
    flag("Staging", "Staging"),
    object(
        "TenantConfig",
        "TenantConfig",
        &[each(
            "ParameterDefinitions",
            "ParameterDefinitions",
            &[
                object(
                    "Definition",
                    "Definition",
                    &[object(
                        "StringSchema",
                        "StringSchema",
                        &[
                            text("Comment", "Comment"),
                            text("DefaultValue", "DefaultValue"),
                            flag("Required", "Required"),
                        ],
                    )],
                ),
                text("Name", "Name"),
            ],
        )],
    ),
    object(
        "ViewerCertificate",
        "ViewerCertificate",
        &[
            text("AcmCertificateArn", "ACMCertificateArn"),
            flag("CloudFrontDefaultCertificate", "CloudFrontDefaultCertificate"),
            text("IamCertificateId", "IAMCertificateId"),
            text("MinimumProtocolVersion", "MinimumProtocolVersion"),
            text("SslSupportMethod", "SSLSupportMethod"),
        ],
    ),
    object(
        "ViewerMtlsConfig",
        "ViewerMtlsConfig",
        &[
            text("Mode", "Mode"),
            object(
                "TrustStoreConfig",
                "TrustStoreConfig",
                &[
                    flag("AdvertiseTrustStoreCaNames", "AdvertiseTrustStoreCaNames"),
                    flag("IgnoreCertificateExpiry", "IgnoreCertificateExpiry"),
                    text("TrustStoreId", "TrustStoreId"),
                ],
            ),
        ],
    ),
    made("WebACLId", "WebACLId", or_empty),
];

/// The attributes that every behavior has.
macro_rules! behavior {
    ($($more:expr)?) => {
        &[
            texts("AllowedMethods", "AllowedMethods.Items.Method"),
            text("CachePolicyId", "CachePolicyId"),
            texts("CachedMethods", "AllowedMethods.CachedMethods.Items.Method"),
            flag("Compress", "Compress"),
            number("DefaultTTL", "DefaultTTL"),
            made("FieldLevelEncryptionId", "FieldLevelEncryptionId", or_empty),
            object("ForwardedValues", "ForwardedValues", FORWARDED),
            each(
                "FunctionAssociations",
                "FunctionAssociations.Items.FunctionAssociation",
                &[text("EventType", "EventType"), text("FunctionARN", "FunctionARN")],
            ),
            object("GrpcConfig", "GrpcConfig", &[flag("Enabled", "Enabled")]),
            each(
                "LambdaFunctionAssociations",
                "LambdaFunctionAssociations.Items.LambdaFunctionAssociation",
                &[
                    text("EventType", "EventType"),
                    flag("IncludeBody", "IncludeBody"),
                    text("LambdaFunctionARN", "LambdaFunctionARN"),
                ],
            ),
            number("MaxTTL", "MaxTTL"),
            number("MinTTL", "MinTTL"),
            text("OriginRequestPolicyId", "OriginRequestPolicyId"),
            text("RealtimeLogConfigArn", "RealtimeLogConfigArn"),
            text("ResponseHeadersPolicyId", "ResponseHeadersPolicyId"),
            flag("SmoothStreaming", "SmoothStreaming"),
            text("TargetOriginId", "TargetOriginId"),
            texts("TrustedKeyGroups", "TrustedKeyGroups.Items.KeyGroup"),
            texts("TrustedSigners", "TrustedSigners.Items.AwsAccountNumber"),
            text("ViewerProtocolPolicy", "ViewerProtocolPolicy"),
            $($more,)?
        ]
    };
}

const BEHAVIOR: &[Field] = behavior!();
const PATH_BEHAVIOR: &[Field] = behavior!(text("PathPattern", "PathPattern"));

const FORWARDED: &[Field] = &[
    object(
        "Cookies",
        "Cookies",
        &[text("Forward", "Forward"), texts("WhitelistedNames", "WhitelistedNames.Items.Name")],
    ),
    texts("Headers", "Headers.Items.Name"),
    flag("QueryString", "QueryString"),
    texts("QueryStringCacheKeys", "QueryStringCacheKeys.Items.Name"),
];

const ORIGIN_GROUP: &[Field] = &[
    object(
        "FailoverCriteria",
        "FailoverCriteria",
        &[object("StatusCodes", "StatusCodes", &[made("Items", "Items", status_codes), int("Quantity", "Quantity")])],
    ),
    text("Id", "Id"),
    object(
        "Members",
        "Members",
        &[each("Items", "Items.OriginGroupMember", &[text("OriginId", "OriginId")]), int("Quantity", "Quantity")],
    ),
    text("SelectionCriteria", "SelectionCriteria"),
];

const ORIGIN: &[Field] = &[
    int("ConnectionAttempts", "ConnectionAttempts"),
    int("ConnectionTimeout", "ConnectionTimeout"),
    object(
        "CustomOriginConfig",
        "CustomOriginConfig",
        &[
            int("HTTPPort", "HTTPPort"),
            int("HTTPSPort", "HTTPSPort"),
            text("IpAddressType", "IpAddressType"),
            int("OriginKeepaliveTimeout", "OriginKeepaliveTimeout"),
            object("OriginMtlsConfig", "OriginMtlsConfig", &[text("ClientCertificateArn", "ClientCertificateArn")]),
            text("OriginProtocolPolicy", "OriginProtocolPolicy"),
            int("OriginReadTimeout", "OriginReadTimeout"),
            texts("OriginSSLProtocols", "OriginSslProtocols.Items.SslProtocol"),
        ],
    ),
    text("DomainName", "DomainName"),
    text("Id", "Id"),
    made("OriginAccessControlId", "OriginAccessControlId", or_empty),
    each(
        "OriginCustomHeaders",
        "CustomHeaders.Items.OriginCustomHeader",
        &[text("HeaderName", "HeaderName"), text("HeaderValue", "HeaderValue")],
    ),
    made("OriginPath", "OriginPath", or_empty),
    object(
        "OriginShield",
        "OriginShield",
        &[flag("Enabled", "Enabled"), text("OriginShieldRegion", "OriginShieldRegion")],
    ),
    int("ResponseCompletionTimeout", "ResponseCompletionTimeout"),
    object(
        "S3OriginConfig",
        "S3OriginConfig",
        &[
            made("OriginAccessIdentity", "OriginAccessIdentity", or_empty),
            int("OriginReadTimeout", "OriginReadTimeout"),
        ],
    ),
    object(
        "VpcOriginConfig",
        "VpcOriginConfig",
        &[
            int("OriginKeepaliveTimeout", "OriginKeepaliveTimeout"),
            int("OriginReadTimeout", "OriginReadTimeout"),
            text("OwnerAccountId", "OwnerAccountId"),
            text("VpcOriginId", "VpcOriginId"),
        ],
    ),
];

fn status_codes(items: &Value) -> Option<Value> {
    let codes = all(items, "StatusCode").into_iter().map(|code| scalar(code)?.parse::<u16>().ok());
    codes.collect::<Option<Vec<_>>>().map(Value::from)
}
