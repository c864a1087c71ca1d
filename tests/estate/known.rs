//! What is known to be wrong with the emulators, and why: the one list of exceptions.
//!
//! An exception that is not needed any more is an error, so that the list cannot outlive its reasons.

use std::collections::BTreeSet;

use super::Emulator;
use super::Emulator::{Ministack, Moto};
use crate::harness::aws_estate::Unserved;

/// Something that does not count.
#[derive(Debug)]
pub struct Exception {
    /// Whose fault it is.
    pub emulator: Emulator,
    pub kind: &'static str,
    /// `*` is every attribute, `-` that a thing is there at all.
    pub attribute: &'static str,
    pub why: &'static str,
}

const fn at(emulator: Emulator, kind: &'static str, attribute: &'static str, why: &'static str) -> Exception {
    Exception { emulator, kind, attribute, why }
}

/// Attributes of which an emulator tells Amazon's own client one thing and others another.
pub const READ_OTHERWISE: &[Exception] = &[
    at(Ministack, "AWS::CloudWatch::Alarm", "ActionsEnabled", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "AlarmActions", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "AlarmDescription", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "Dimensions", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "Period", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "Statistic", LESS_IN_XML),
    at(Ministack, "AWS::CloudWatch::Alarm", "TreatMissingData", LESS_IN_XML),
    at(Moto, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", NAMELESS),
];

const LESS_IN_XML: &str = "only who speaks CBOR, as Amazon's own client does, is told all of an alarm";

/// Attributes that an emulator holds otherwise than the other one after the same calls.
pub const HELD_OTHERWISE: &[Exception] = &[
    at(Moto, "AWS::ApiGateway::RestApi", "BinaryMediaTypes", "are not kept"),
    at(Ministack, "AWS::ApiGateway::RestApi", "Version", "is told to be empty"),
    at(Ministack, "AWS::CertificateManager::Certificate", "CertificateExport", NOT_TOLD),
    at(Ministack, "AWS::CertificateManager::Certificate", "CertificateTransparencyLoggingPreference", NOT_TOLD),
    at(Ministack, "AWS::CertificateManager::Certificate", "DomainValidationOptions", "have no domain to validate by"),
    at(Ministack, "AWS::CloudFront::Distribution", "DistributionConfig", FEW_DEFAULTS),
    at(Moto, "AWS::CloudTrail::Trail", "EventSelectors", "those that every trail is born with are not told"),
    at(Ministack, "AWS::CloudTrail::Trail", "Tags", "those that it was made with are not kept"),
    at(Ministack, "AWS::Config::ConfigurationRecorder", "RecordingGroup", FEW_DEFAULTS),
    at(Moto, "AWS::Config::ConfigurationRecorderStatus", "LastStatus", NOT_TOLD),
    at(Ministack, "AWS::DynamoDB::Table", "PointInTimeRecoverySpecification", "has no number of days"),
    at(Ministack, "AWS::DynamoDB::Table", "WarmThroughput", "is told to be nothing"),
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
    at(Moto, "AWS::ECS::Service", "DeploymentConfiguration", NOT_TOLD),
    at(Moto, "AWS::ECS::Service", "EnableECSManagedTags", NOT_TOLD),
    at(Moto, "AWS::ECS::Service", "EnableExecuteCommand", NOT_TOLD),
    at(Moto, "AWS::ECS::Service", "HealthCheckGracePeriodSeconds", NOT_TOLD),
    at(Moto, "AWS::ECS::Service", "PlatformVersion", NOT_TOLD),
    at(Moto, "AWS::ECS::Service", "Role", NOT_TOLD),
    at(Moto, "AWS::EKS::Cluster", "CertificateAuthority", MADE_UP),
    at(Moto, "AWS::EKS::Cluster", "KubernetesNetworkConfig", OTHER_DEFAULTS),
    at(Moto, "AWS::EKS::Cluster", "ResourcesVpcConfig", FEW_DEFAULTS),
    at(Moto, "AWS::ElastiCache::CacheCluster", "-", "groups of replicas have no clusters of their own"),
    at(Moto, "AWS::ElastiCache::CacheCluster", "CacheParameterGroupName", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "CacheSubnetGroupName", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "EngineVersion", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "Port", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "PreferredAvailabilityZones", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "PreferredMaintenanceWindow", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "SnapshotWindow", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::CacheCluster", "TransitEncryptionEnabled", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::ReplicationGroup", "AutoMinorVersionUpgrade", NOT_TOLD),
    at(Ministack, "AWS::ElastiCache::ReplicationGroup", "IpDiscovery", NOT_TOLD),
    at(Ministack, "AWS::ElastiCache::ReplicationGroup", "NetworkType", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::ReplicationGroup", "NumCacheClusters", ONE_MEMBER),
    at(Moto, "AWS::ElastiCache::ReplicationGroup", "ReplicasPerNodeGroup", ONE_MEMBER),
    at(Moto, "AWS::ElastiCache::ReplicationGroup", "SnapshotWindow", OTHER_DEFAULTS),
    at(Ministack, "AWS::ElastiCache::ReplicationGroup", "SnapshottingClusterId", NOT_TOLD),
    at(Moto, "AWS::ElastiCache::ReplicationGroup", "TransitEncryptionMode", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::Listener", "DefaultActions", "even the only action has a number"),
    at(Ministack, "AWS::ElasticLoadBalancingV2::Listener", "ListenerAttributes", FEW_DEFAULTS),
    at(Moto, "AWS::ElasticLoadBalancingV2::Listener", "SslPolicy", "is told of listeners without TLS, too"),
    at(Ministack, "AWS::ElasticLoadBalancingV2::LoadBalancer", "LoadBalancerAttributes", FEW_DEFAULTS),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "IpAddressType", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "ProtocolVersion", NOT_TOLD),
    at(Ministack, "AWS::ElasticLoadBalancingV2::TargetGroup", "TargetGroupAttributes", FEW_DEFAULTS),
    at(Ministack, "AWS::GuardDuty::Detector", "-", NOT_SERVED),
    at(Moto, "AWS::KMS::Key", "MultiRegion", NOT_TOLD),
    at(Ministack, "AWS::Lambda::Function", "KmsKeyArn", "is told to be empty"),
    at(Moto, "AWS::Lambda::Function", "LoggingConfig", NOT_TOLD),
    at(
        Ministack,
        "AWS::Lambda::FunctionPolicy",
        "PolicyDocument",
        "of a function without one is one without statements",
    ),
    at(Moto, "AWS::Logs::LogGroup", "LogGroupClass", NOT_TOLD),
    at(Ministack, "AWS::OpenSearchService::Domain", "AdvancedOptions", NOT_TOLD),
    at(Ministack, "AWS::OpenSearchService::Domain", "AdvancedSecurityOptions", FEW_DEFAULTS),
    at(Ministack, "AWS::OpenSearchService::Domain", "DomainEndpointOptions", OTHER_DEFAULTS),
    at(Moto, "AWS::OpenSearchService::Domain", "EBSOptions", FEW_DEFAULTS),
    at(Moto, "AWS::OpenSearchService::Domain", "OffPeakWindowOptions", NOT_TOLD),
    at(Moto, "AWS::OpenSearchService::Domain", "SoftwareUpdateOptions", NOT_TOLD),
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
    at(Moto, "AWS::RDS::DBClusterSnapshot", "EngineVersion", OTHER_DEFAULTS),
    at(Ministack, "AWS::RDS::DBClusterSnapshot", "IsPublic", "nobody can be let in"),
    at(Moto, "AWS::RDS::DBClusterSnapshot", "KmsKeyId", OTHER_DEFAULTS),
    at(Ministack, "AWS::RDS::DBClusterSnapshot", "SnapshotCreateTime", MADE_UP),
    at(Moto, "AWS::RDS::DBClusterSnapshot", "VpcId", NOT_TOLD),
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
    at(Ministack, "AWS::SQS::Queue", "DeduplicationScope", NOT_TOLD),
    at(Ministack, "AWS::SQS::Queue", "FifoThroughputLimit", NOT_TOLD),
    at(Ministack, "AWS::SQS::Queue", "KmsDataKeyReusePeriodSeconds", NOT_TOLD),
    at(Ministack, "AWS::SQS::Queue", "SqsManagedSseEnabled", NOT_TOLD),
    at(Ministack, "AWS::SSM::Parameter", "AllowedPattern", "is told to be empty"),
    at(Ministack, "AWS::SecretsManager::Secret", "KmsKeyId", "the list does not tell it"),
    at(Ministack, "AWS::SecurityHub::Hub", "-", NOT_SERVED),
];

const ONE_MEMBER: &str = "every group has one member";

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
    (Ministack, "AWS::GuardDuty::Detector", NOT_SERVED),
    (Ministack, "AWS::SecurityHub::Hub", NOT_SERVED),
];

const ONLY_UNDER_A_HOST_OF_ITS_OWN: &str =
    "is served under the name of a host, which an address of this machine has not";

const NO_NOTIFICATIONS: &str = "the notifications of a group are not served";
const OF_THE_ACCOUNT: &str = "belongs to the account and to whoever looks, and is not sown";
const NOBODY_ORDERED_ONE: &str = "there is no report, which is a gap";
const NOT_SERVED: &str = "the service is not served";

/// Calls that an emulator does not serve, by the kind of which they read a part.
const UNSERVED: &[(Emulator, &str, &str)] = &[
    (Moto, "AWS::EC2::VPC", "DescribeVpcEncryptionControls"),
    (Moto, "AWS::EC2::Volume", "DescribeVolumeAttribute"),
    (Ministack, "AWS::CloudTrail::Trail", "GetInsightSelectors"),
    (Moto, "AWS::DynamoDB::Table", "DescribeKinesisStreamingDestination"),
    (Moto, "AWS::DynamoDB::Table", "ListContributorInsights"),
    (Ministack, "AWS::Lambda::Function", "GET /2021-07-20/functions/{FunctionName}/runtime-management-config"),
    (Moto, "AWS::Lambda::Function", "GET /2021-07-20/functions/{FunctionName}/runtime-management-config"),
    (Moto, "AWS::Lambda::Function", "GET /2024-08-31/functions/{FunctionName}/recursion-config"),
    (Ministack, "AWS::Logs::LogGroup", "DescribeIndexPolicies"),
    (Moto, "AWS::Logs::LogGroup", "DescribeIndexPolicies"),
    (Ministack, "AWS::RDS::DBSnapshot", "DescribeDBSnapshotAttributes"),
    (Ministack, "AWS::Route53::HostedZone", "GET /2013-04-01/queryloggingconfig"),
    (Ministack, "AWS::Route53::HostedZone", "POST /2013-04-01/tags/hostedzone"),
    (Ministack, "AWS::SNS::Topic", "GetDataProtectionPolicy"),
    (Moto, "AWS::SNS::Topic", "GetDataProtectionPolicy"),
    (Moto, "AWS::SecurityHub::Hub", "GET /tags/{ResourceArn}"),
];

/// Returns the calls that an emulator does not serve for a kind.
pub fn unserved(emulator: Emulator, kind: &str) -> impl Iterator<Item = &'static str> {
    UNSERVED.iter().filter(move |(at, of, _)| *at == emulator && *of == kind).map(|(_, _, call)| *call)
}

/// Returns whether a gap is of a call that an emulator does not serve.
pub fn is_unserved(emulator: Emulator, gap: &str) -> bool {
    let is_it = |kind: &str, call: &str| gap.contains(&format!(" {kind} ")) && gap.contains(&format!(" {call}: "));
    UNSERVED.iter().any(|(at, kind, call)| *at == emulator && is_it(kind, spoken(call)))
}

/// Returns how a call is called in a gap: without what follows its path.
fn spoken(call: &str) -> &str {
    call.split(['{', '?']).next().unwrap_or(call)
}

/// Calls of sowing that an emulator does not serve.
const UNSOWN: &[(Emulator, &str)] = &[
    (Ministack, "guardduty.create_detector"),
    (Ministack, "rds.modify_db_cluster_snapshot_attribute"),
    (Ministack, "rds.modify_db_snapshot_attribute"),
    (Ministack, "securityhub.enable_security_hub"),
];

/// Calls of telling that an emulator does not serve.
const UNTOLD: &[(Emulator, &str)] = &[
    (Ministack, "guardduty.list_detectors"),
    (Ministack, "rds.describe_db_snapshot_attributes"),
    (Ministack, "securityhub.describe_hub"),
];

/// Says which calls of sowing are not known to be unserved, and which are served by now.
pub fn sown_otherwise(emulator: Emulator, unserved: &[Unserved]) -> Vec<String> {
    let is_served = |call: &str| !unserved.iter().any(|unserved| unserved.call == call);
    let served = UNSOWN.iter().filter(|(at, call)| *at == emulator && is_served(call));
    let served = served.map(|(_, call)| format!("needless: {call} is served"));
    unknown(UNSOWN, emulator, unserved).chain(served).collect()
}

/// Says which calls of telling are not known to be unserved.
pub fn told_otherwise(emulator: Emulator, unserved: &[Unserved]) -> Vec<String> {
    unknown(UNTOLD, emulator, unserved).collect()
}

fn unknown(known: &[(Emulator, &str)], emulator: Emulator, unserved: &[Unserved]) -> impl Iterator<Item = String> {
    let is_known = move |call: &str| known.contains(&(emulator, call));
    unserved.iter().filter(move |unserved| !is_known(&unserved.call)).map(|unserved| format!("{unserved:?}"))
}

/// Actions that ministack does not check, although it checks policies: who may not take them takes them all the same.
pub const UNCHECKED: &[(&str, &str)] =
    &[("logs:GetDataProtectionPolicy", "no group can be protected there, so that nobody asks")];

/// Actions that ministack checks under another name.
const CHECKED_AS: &[(&str, &str)] = &[
    ("lambda:GetFunctionConcurrency", "lambda:PutFunctionConcurrency"),
    ("lambda:GetFunctionRecursionConfig", "lambda:GetFunction"),
    ("lambda:GetRuntimeManagementConfig", "lambda:GetFunction"),
];

/// Returns the name under which ministack checks an action.
pub fn checked_as(action: &str) -> &str {
    CHECKED_AS.iter().find(|(known, _)| *known == action).map_or(action, |(_, name)| name)
}

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
            let is_every = known.attribute == "*" && attribute != "-";
            let is_attribute = is_every || known.attribute == attribute;
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
