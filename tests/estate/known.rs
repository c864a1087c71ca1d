//! What is known to be wrong with the emulators, and why: the one list of exceptions.
//!
//! An exception that is not needed any more is an error, so that the list cannot outlive its reasons.

use std::collections::BTreeSet;

use super::Emulator;
use super::Emulator::{Ministack, Moto};

/// Something that does not count.
#[derive(Debug)]
pub struct Exception {
    /// Whose fault it is.
    pub emulator: Emulator,
    pub kind: &'static str,
    /// `*` is every attribute.
    pub attribute: &'static str,
    pub why: &'static str,
}

const fn at(emulator: Emulator, kind: &'static str, attribute: &'static str, why: &'static str) -> Exception {
    Exception { emulator, kind, attribute, why }
}

/// Attributes of which an emulator tells Amazon's own client one thing and others another.
pub const READ_OTHERWISE: &[Exception] = &[at(Moto, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", NAMELESS)];

/// Attributes that an emulator holds otherwise than the other one after the same calls.
pub const HELD_OTHERWISE: &[Exception] = &[
    at(Moto, "AWS::EC2::Volume", "MultiAttachEnabled", "is told of no volume"),
    at(Ministack, "AWS::EC2::Volume", "KmsKeyId", "the key is not kept"),
    at(Moto, "AWS::S3::Bucket", "BucketEncryption", NO_DEFAULTS),
    at(Moto, "AWS::S3::Bucket", "OwnershipControls", NO_DEFAULTS),
    at(Moto, "AWS::S3::Bucket", "PublicAccessBlockConfiguration", NO_DEFAULTS),
    at(Moto, "AWS::S3::BucketAcl", "Grants", ANOTHER_OWNER),
    at(Moto, "AWS::S3::BucketAcl", "Owner", ANOTHER_OWNER),
    at(Ministack, "AWS::EC2::Instance", "AvailabilityZone", "every machine is in the first zone"),
    at(Moto, "AWS::EC2::Instance", "BlockDeviceMappings", OWN_DISKS),
    at(Moto, "AWS::EC2::Instance", "Volumes", OWN_DISKS),
    at(Ministack, "AWS::EC2::Instance", "EbsOptimized", NOT_TOLD),
    at(Moto, "AWS::EC2::Instance", "KernelId", "that there is none is told as a word"),
    at(Ministack, "AWS::EC2::Instance", "MetadataOptions", NOT_TOLD),
    at(Ministack, "AWS::EC2::Instance", "NetworkInterfaces", NOT_TOLD),
    at(Ministack, "AWS::EC2::Instance", "PrivateIpAddress", MADE_UP),
    at(Ministack, "AWS::EC2::NatGateway", "AllocationId", NOT_TOLD),
    at(Moto, "AWS::EC2::NatGateway", "ConnectivityType", NOT_TOLD),
    at(Ministack, "AWS::EC2::NatGateway", "PrivateIpAddress", NOT_TOLD),
    at(Ministack, "AWS::EC2::NetworkInterface", "PrivateIpAddress", MADE_UP),
    at(Ministack, "AWS::EC2::NetworkInterface", "PrivateIpAddresses", MADE_UP),
    at(Ministack, "AWS::EC2::NetworkInterface", "Tags", "those that it was made with are not kept"),
    at(Ministack, "AWS::EC2::SecurityGroup", "SecurityGroupIngress", "lists of ranges in rules are not kept"),
    at(Ministack, "AWS::EC2::Snapshot", "StartTime", MADE_UP),
    at(Ministack, "AWS::EC2::Subnet", "AvailabilityZoneId", MADE_UP),
    at(Moto, "AWS::EC2::Subnet", "EnableDns64", NOT_TOLD),
    at(Ministack, "AWS::EC2::VPCEndpoint", "PolicyDocument", NOT_TOLD),
    at(Ministack, "AWS::EC2::VPCEndpoint", "PrivateDnsEnabled", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::Listener", "DefaultActions", "even the only action has a number"),
    at(Ministack, "AWS::ElasticLoadBalancingV2::Listener", "ListenerAttributes", FEW_DEFAULTS),
    at(Moto, "AWS::ElasticLoadBalancingV2::Listener", "SslPolicy", "is told of listeners without TLS, too"),
    at(Ministack, "AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes", FEW_DEFAULTS),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "IpAddressType", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "ProtocolVersion", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes", FEW_DEFAULTS),
    at(Moto, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", NAMELESS),
    at(Ministack, "AWS::RDS::DBCluster", "AutoMinorVersionUpgrade", NOT_TOLD),
    at(Ministack, "AWS::RDS::DBCluster", "BacktrackWindow", NOT_TOLD),
    at(Ministack, "AWS::RDS::DBCluster", "EnableGlobalWriteForwarding", NOT_TOLD),
    at(Ministack, "AWS::RDS::DBCluster", "PubliclyAccessible", NOT_TOLD),
    at(Ministack, "AWS::RDS::DBCluster", "StorageType", NOT_TOLD),
    at(Moto, "AWS::RDS::DBCluster", "EngineLifecycleSupport", NOT_TOLD),
    at(Moto, "AWS::RDS::DBCluster", "DBClusterParameterGroupName", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBCluster", "EngineVersion", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBCluster", "KmsKeyId", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBCluster", "PreferredBackupWindow", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBCluster", "PreferredMaintenanceWindow", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "BackupTarget", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "DBName", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "DBSubnetGroupName", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "EnablePerformanceInsights", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "NetworkType", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "PerformanceInsightsRetentionPeriod", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "PromotionTier", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "StorageThroughput", NOT_TOLD),
    at(Moto, "AWS::RDS::DBInstance", "CACertificateIdentifier", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "DBParameterGroupName", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "EngineVersion", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "KmsKeyId", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "LicenseModel", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "OptionGroupName", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "PreferredBackupWindow", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "PreferredMaintenanceWindow", OTHER_DEFAULTS),
    at(Moto, "AWS::RDS::DBInstance", "VPCSecurityGroups", OTHER_DEFAULTS),
];

const OWN_DISKS: &str = "the disk that a machine is born with is of its own make";
const NOT_TOLD: &str = "is told of none";
const MADE_UP: &str = "is made up by whoever emulates";
const FEW_DEFAULTS: &str = "of what AWS sets by itself only some is set";
const OTHER_DEFAULTS: &str = "what AWS sets by itself is set otherwise";
const NAMELESS: &str = "the list of everything has no names of policies";
const NO_DEFAULTS: &str = "what AWS sets on each new bucket since 2023 is not set";
const ANOTHER_OWNER: &str = "every emulator makes up a canonical number of its own for an account";

/// Kinds of which an emulator tells nothing that could be compared.
pub const MISTOLD: &[(Emulator, &str, &str)] = &[
    (Ministack, "AWS::S3::AccountPublicAccessBlock", ONLY_UNDER_A_HOST_OF_ITS_OWN),
    (Moto, "AWS::S3::AccountPublicAccessBlock", ONLY_UNDER_A_HOST_OF_ITS_OWN),
    (Ministack, "AWS::AutoScaling::AutoScalingGroup", NO_NOTIFICATIONS),
    (Moto, "AWS::AutoScaling::AutoScalingGroup", NO_NOTIFICATIONS),
    (Ministack, "AWS::IAM::AccessKey", OF_THE_ACCOUNT),
    (Moto, "AWS::IAM::AccessKey", OF_THE_ACCOUNT),
    (Ministack, "AWS::IAM::AccountPasswordPolicy", OF_THE_ACCOUNT),
    (Moto, "AWS::IAM::AccountPasswordPolicy", OF_THE_ACCOUNT),
    (Ministack, "AWS::IAM::AccountSummary", OF_THE_ACCOUNT),
    (Moto, "AWS::IAM::AccountSummary", OF_THE_ACCOUNT),
    (Ministack, "AWS::IAM::CredentialReport", NOBODY_ORDERED_ONE),
    (Moto, "AWS::IAM::CredentialReport", NOBODY_ORDERED_ONE),
    (Moto, "AWS::KMS::Alias", AS_A_PAGE),
    (Moto, "AWS::KMS::Key", AS_A_PAGE),
    (Ministack, "AWS::RDS::DBClusterSnapshot", NOT_SOWN),
    (Moto, "AWS::RDS::DBClusterSnapshot", NOT_SOWN),
    (Ministack, "AWS::RDS::DBSnapshot", NOT_SOWN),
    (Moto, "AWS::RDS::DBSnapshot", NOT_SOWN),
    (Ministack, "AWS::RDS::DBSubnetGroup", NOT_SOWN),
    (Moto, "AWS::RDS::DBSubnetGroup", NOT_SOWN),
];

const ONLY_UNDER_A_HOST_OF_ITS_OWN: &str =
    "is served under the name of a host, which an address of this machine has not";

const NO_NOTIFICATIONS: &str = "the notifications of a group are not served";
const OF_THE_ACCOUNT: &str = "belongs to the account and to whoever looks, and is not sown";
const NOBODY_ORDERED_ONE: &str = "there is no report, which is a gap";
const AS_A_PAGE: &str = "answers as if its JSON were a page for people";
const NOT_SOWN: &str = "none are sown";

/// Calls that an emulator does not serve, so that an attribute or two of every thing of a kind are not read.
const UNSERVED: &[(Emulator, &str, &str)] =
    &[(Moto, "AWS::EC2::VPC", "DescribeVpcEncryptionControls"), (Moto, "AWS::EC2::Volume", "DescribeVolumeAttribute")];

/// Returns whether a gap is of a call that an emulator does not serve.
pub fn is_unserved(emulator: Emulator, gap: &str) -> bool {
    let is_it = |kind: &str, call: &str| gap.contains(&format!(" {kind} ")) && gap.contains(&format!(" {call}: "));
    UNSERVED.iter().any(|(at, kind, call)| *at == emulator && is_it(kind, call))
}

/// What the direct paths do not read yet: kind and attribute.
const NOT_YET: &[(&str, &str)] = &[];

/// Returns whether an attribute is read at all.
pub fn is_read_yet(kind: &str, attribute: &str) -> bool {
    !NOT_YET.contains(&(kind, attribute))
}

/// Actions that ministack does not check, although it checks policies: who may not take them takes them all the same.
pub const UNCHECKED: &[(&str, &str)] = &[];

/// A list of exceptions, and which of them were needed.
pub struct Uses {
    list: &'static [Exception],
    needed: BTreeSet<usize>,
}

impl Uses {
    pub fn of(list: &'static [Exception]) -> Self {
        Self { list, needed: BTreeSet::new() }
    }

    /// Returns whether there is an exception for this at one of these.
    pub fn excuse(&mut self, emulators: &[Emulator], kind: &str, attribute: &str) -> bool {
        let is_it = |known: &Exception| {
            let is_attribute = known.attribute == "*" || known.attribute == attribute;
            emulators.contains(&known.emulator) && known.kind == kind && is_attribute
        };
        let at = self.list.iter().position(is_it);
        self.needed.extend(at);
        at.is_some()
    }

    /// Says which exceptions were not needed, of those that were looked at.
    pub fn needless(self, emulators: &[Emulator], kinds: &[&str]) -> Vec<String> {
        let looked_at = |known: &Exception| emulators.contains(&known.emulator) && kinds.contains(&known.kind);
        let all = self.list.iter().enumerate();
        let left = all.filter(|(at, known)| looked_at(known) && !self.needed.contains(at));
        left.map(|(_, known)| {
            format!("needless, at {:?}: {} {}: {}", known.emulator, known.kind, known.attribute, known.why)
        })
        .collect()
    }
}

/// Services whose kinds are held against what was made in `tests/direct` only, and not yet against the estate.
pub const NOT_HELD: &[&str] = &[
    "AWS::ApiGateway::",
    "AWS::CertificateManager::",
    "AWS::CloudFront::",
    "AWS::CloudTrail::",
    "AWS::CloudWatch::",
    "AWS::Config::",
    "AWS::DynamoDB::",
    "AWS::ECR::",
    "AWS::ECS::",
    "AWS::EKS::",
    "AWS::ElastiCache::",
    "AWS::GuardDuty::",
    "AWS::Lambda::",
    "AWS::Logs::",
    "AWS::OpenSearchService::",
    "AWS::Route53::",
    "AWS::SNS::",
    "AWS::SQS::",
    "AWS::SSM::",
    "AWS::SecretsManager::",
    "AWS::SecurityHub::",
];
