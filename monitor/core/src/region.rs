//! Which kinds live in no region.
//!
//! Only AWS mixes them: what is here is listed alike in every region and belongs to the account as a whole, so it has the
//! region `-` and is read once. A web ACL of `CLOUDFRONT` (`AWS::WAFv2`) is none of these: AWS keeps it in us-east-1.

use crate::resource::Kind;

/// Services of AWS without regions.
const SERVICES: &[&str] = &[
    "Account",
    "BCMDataExports",
    "BcmPricingCalculator",
    "Billing",
    "BillingConductor",
    "Budgets",
    "CE",
    "CUR",
    "Chatbot",
    "CloudFront",
    "GlobalAccelerator",
    "IAM",
    "Invoicing",
    "NetworkManager",
    "Notifications",
    "NotificationsContacts",
    "Organizations",
    "Route53",
    "Route53GlobalResolver",
    "Route53RecoveryControl",
    "Route53RecoveryReadiness",
    "Shield",
    "WAF",
];

/// Kinds without regions in services that have some.
const KINDS: &[&str] = &[
    "AWS::DirectConnect::DirectConnectGateway",
    "AWS::ECR::PublicRepository",
    "AWS::S3::AccountPublicAccessBlock",
    "AWS::S3::MultiRegionAccessPoint",
    "AWS::S3::MultiRegionAccessPointPolicy",
];

/// Returns whether resources of the kind live in no region.
pub fn is_global(kind: &Kind) -> bool {
    let mut parts = kind.as_str().split("::");
    let is_service = parts.next() == Some("AWS") && parts.next().is_some_and(|service| SERVICES.contains(&service));
    is_service || KINDS.contains(&kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_in_a_region_or_in_none() {
        for kind in
            ["AWS::IAM::Role", "AWS::Route53::HostedZone", "AWS::Shield::Protection", "AWS::ECR::PublicRepository"]
        {
            assert!(is_global(&kind.into()), "{kind}");
        }
        for kind in [
            "AWS::S3::Bucket",
            "AWS::Route53Resolver::FirewallConfig",
            "AWS::WAFRegional::WebACL",
            "AWS::WAFv2::WebACL",
            "AWS::ECR::Repository",
            "Acme::IAM::Role",
            "Pod",
        ] {
            assert!(!is_global(&kind.into()), "{kind}");
        }
    }
}
