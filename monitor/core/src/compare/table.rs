//! Facts about single kinds that no provider's schema states, each with its reason.
//!
//! The last resort: what is true of a class of values belongs in [`super::scalar`] or [`super::list`].

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::schema::{Tree, mark};

/// One reviewed fact.
struct Fact {
    kind: &'static str,
    pointer: &'static str,
    says: Says,
    /// Why this is so; a fact nobody can explain is not one.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by people and by the test that every fact has one"))]
    reason: &'static str,
}

/// What a fact says.
enum Says {
    Marks(u32),
    /// The value, as JSON, when nobody says.
    Default(&'static str),
}

use Says::{Default, Marks};

const fn fact(kind: &'static str, pointer: &'static str, says: Says, reason: &'static str) -> Fact {
    Fact { kind, pointer, says, reason }
}

/// Facts about Amazon's kinds.
const AWS: &[Fact] = &[
    fact("AWS::AppSync::ApiKey", "/Expires", Marks(mark::HOURLY), "rounded down to the hour when it is stored"),
    fact(
        "AWS::Budgets::Budget",
        "/NotificationsWithSubscribers",
        Marks(mark::NOT_READ),
        "DescribeBudget does not return notifications",
    ),
    fact("AWS::CE::CostCategory", "/Rules", Marks(mark::PARTIAL), "the rule type is added to the document"),
    fact("AWS::CE::CostCategory", "/SplitChargeRules", Marks(mark::PARTIAL), "the rule type is added to the document"),
    fact(
        "AWS::CertificateManager::Certificate",
        "/DomainValidationOptions",
        Marks(mark::NOT_READ),
        "used once, to prove the domain",
    ),
    fact(
        "AWS::CertificateManager::Certificate",
        "/SubjectAlternativeNames",
        Marks(mark::PARTIAL | mark::GENERATED),
        "the main name is listed too",
    ),
    fact(
        "AWS::CertificateManager::Certificate",
        "/ValidationMethod",
        Marks(mark::NOT_READ),
        "given back for each name only",
    ),
    fact(
        "AWS::CloudTrail::Trail",
        "/EventSelectors",
        Default(
            r#"[{"DataResources": [], "ExcludeManagementEventSources": [], "IncludeManagementEvents": true, "ReadWriteType": "All"}]"#,
        ),
        "a trail without selectors logs all management events",
    ),
    fact(
        "AWS::Cognito::UserPool",
        "/Schema",
        Marks(mark::PARTIAL | mark::GENERATED),
        "a pool has the standard attributes whether declared or not",
    ),
    fact(
        "AWS::Cognito::UserPool",
        "/Schema/*/Name",
        Marks(mark::CUSTOM_PREFIX),
        "attributes of one's own are given back with `custom:`",
    ),
    fact(
        "AWS::Cognito::UserPoolUser",
        "/UserAttributes",
        Marks(mark::PARTIAL | mark::GENERATED),
        "a user has `sub` whether declared or not",
    ),
    fact("AWS::DAX::Cluster", "/ReplicationFactor", Marks(mark::NOT_READ), "given back as the list of nodes only"),
    fact(
        "AWS::DocDB::DBCluster",
        "/AvailabilityZones",
        Marks(mark::PARTIAL | mark::GENERATED),
        "storage is always spread over three zones",
    ),
    fact("AWS::DocDB::DBCluster", "/DBSubnetGroupName", Marks(mark::NOT_READ), "the handler does not return it"),
    fact(
        "AWS::EC2::Instance",
        "/BlockDeviceMappings",
        Marks(mark::PARTIAL),
        "volumes attached by other resources are listed too",
    ),
    fact("AWS::EC2::Instance", "/Volumes", Marks(mark::PARTIAL), "the root volume is listed too"),
    fact(
        "AWS::EC2::VPNConnection",
        "/VpnTunnelOptionsSpecifications",
        Marks(mark::PARTIAL | mark::GENERATED),
        "a connection has two tunnels whether declared or not",
    ),
    fact("AWS::ElastiCache::User", "/AccessString", Marks(mark::REDIS_ACL), "the engine puts `-@all` before the rules"),
    fact(
        "AWS::ElasticBeanstalk::ConfigurationTemplate",
        "/OptionSettings",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every option of the platform is given back",
    ),
    fact(
        "AWS::ElasticBeanstalk::Environment",
        "/OptionSettings",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every option of the platform is given back",
    ),
    fact(
        "AWS::ElasticLoadBalancingV2::Listener",
        "/ListenerAttributes",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every attribute is given back",
    ),
    fact(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "/LoadBalancerAttributes",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every attribute is given back",
    ),
    fact(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "/TargetGroupAttributes",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every attribute is given back",
    ),
    fact(
        "AWS::GuardDuty::Detector",
        "/Features",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every feature is given back, on or off",
    ),
    fact(
        "AWS::GuardDuty::Detector",
        "/Features/*/AdditionalConfiguration",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every feature is given back, on or off",
    ),
    fact(
        "AWS::GuardDuty::Filter",
        "/FindingCriteria/Criterion/*",
        Marks(mark::OPERATORS),
        "given back under the operators' new names",
    ),
    fact("AWS::IAM::Group", "/ManagedPolicyArns", Marks(mark::PARTIAL), "policies may attach themselves"),
    fact("AWS::IAM::Group", "/Policies", Marks(mark::PARTIAL), "policies of other resources are listed too"),
    fact("AWS::IAM::ManagedPolicy", "/Groups", Marks(mark::PARTIAL), "other stacks may attach the policy"),
    fact("AWS::IAM::ManagedPolicy", "/Roles", Marks(mark::PARTIAL), "other stacks may attach the policy"),
    fact("AWS::IAM::ManagedPolicy", "/Users", Marks(mark::PARTIAL), "other stacks may attach the policy"),
    fact("AWS::IAM::Role", "/ManagedPolicyArns", Marks(mark::PARTIAL), "policies may attach themselves"),
    fact("AWS::IAM::Role", "/Policies", Marks(mark::PARTIAL), "policies of other resources are listed too"),
    fact("AWS::IAM::User", "/Groups", Marks(mark::PARTIAL), "memberships of other resources are listed too"),
    fact("AWS::IAM::User", "/ManagedPolicyArns", Marks(mark::PARTIAL), "policies may attach themselves"),
    fact("AWS::IAM::User", "/Policies", Marks(mark::PARTIAL), "policies of other resources are listed too"),
    fact(
        "AWS::KinesisFirehose::DeliveryStream",
        "/ExtendedS3DestinationConfiguration/ProcessingConfiguration/Processors/*/Parameters",
        Marks(mark::PARTIAL | mark::GENERATED),
        "the service fills in the retries",
    ),
    fact(
        "AWS::LakeFormation::Resource",
        "/ResourceArn",
        Marks(mark::NOT_READ),
        "the handler returns nothing but the identifier",
    ),
    fact(
        "AWS::LakeFormation::Resource",
        "/UseServiceLinkedRole",
        Marks(mark::NOT_READ),
        "the handler returns nothing but the identifier",
    ),
    fact("AWS::MemoryDB::User", "/AccessString", Marks(mark::REDIS_ACL), "the engine puts `-@all` before the rules"),
    fact(
        "AWS::Neptune::DBCluster",
        "/AvailabilityZones",
        Marks(mark::PARTIAL | mark::GENERATED),
        "storage is always spread over three zones",
    ),
    fact(
        "AWS::RDS::DBCluster",
        "/AvailabilityZones",
        Marks(mark::PARTIAL | mark::GENERATED),
        "storage is always spread over three zones",
    ),
    fact(
        "AWS::RDS::OptionGroup",
        "/OptionConfigurations/*/OptionSettings",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every setting of the option is given back",
    ),
    fact(
        "AWS::Redshift::ClusterParameterGroup",
        "/Parameters",
        Marks(mark::PARTIAL | mark::GENERATED),
        "every parameter is given back",
    ),
    fact(
        "AWS::ServiceDiscovery::PrivateDnsNamespace",
        "/Vpc",
        Marks(mark::NOT_READ),
        "the zone keeps it, the namespace does not return it",
    ),
];

/// Services of Amazon that keep the names of their resources in lower case.
const LOWERS_NAMES: [&str; 10] =
    ["RDS", "DocDB", "Neptune", "DAX", "DMS", "ElastiCache", "MemoryDB", "Redshift", "RedshiftServerless", "Glue"];

/// Returns whether the service of a kind keeps names in lower case.
pub(super) fn lowers_names(kind: &str) -> bool {
    kind.split("::").nth(1).is_some_and(|service| LOWERS_NAMES.contains(&service))
}

/// Returns what is known of a kind.
pub(super) fn of(kind: &str) -> &'static Tree {
    static EMPTY: LazyLock<Tree> = LazyLock::new(Tree::default);
    static TREES: LazyLock<HashMap<&'static str, Tree>> = LazyLock::new(|| trees(&[AWS]));
    TREES.get(kind).unwrap_or(&EMPTY)
}

fn trees(tables: &[&'static [Fact]]) -> HashMap<&'static str, Tree> {
    let mut trees: HashMap<&'static str, Tree> = HashMap::new();
    for fact in tables.iter().copied().flatten() {
        let tree = trees.entry(fact.kind).or_default();
        match &fact.says {
            Marks(marks) => tree.add(fact.pointer, *marks, None),
            Default(json) => tree.add(fact.pointer, 0, serde_json::from_str::<Value>(json).ok().as_ref()),
        }
    }
    for tree in trees.values_mut() {
        tree.close();
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_reason_and_a_pointer() {
        for fact in AWS {
            assert!(fact.reason.len() > 10 && fact.pointer.starts_with('/'), "{} {}", fact.kind, fact.pointer);
            if let Default(json) = &fact.says {
                assert!(serde_json::from_str::<Value>(json).is_ok(), "{} {}", fact.kind, fact.pointer);
            }
        }
    }

    #[test]
    fn facts_are_in_order_and_said_once() {
        let names: Vec<_> = AWS.iter().map(|fact| (fact.kind, fact.pointer)).collect();
        assert!(names.is_sorted_by(|a, b| a.0 <= b.0 && a != b));
    }
}
