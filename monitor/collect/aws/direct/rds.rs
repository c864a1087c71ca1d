//! RDS: databases, their clusters and the snapshots that were made of them by hand.

use serde_json::{Value, json};

use super::service::RDS;
use super::shape::{Field, all, at, each, flag, int, made, number, object, tags, text, texts, untold};
use super::{Arg, Call, Direct, call, part};

const fn list(operation: &'static str, items: &'static str) -> Call {
    call(operation, items).with(&[("MaxRecords", Arg::Int(100))]).pages("Marker", "Marker")
}

/// Databases of other services are shown in the lists, too, and are kinds of their own.
fn is_of_rds(database: &Value) -> bool {
    at(database, "Engine").is_none_or(|engine| engine != "docdb" && engine != "neptune")
}

pub(super) const DB_INSTANCE: Direct = Direct {
    list: &[list("DescribeDBInstances", "DBInstances.DBInstance")],
    named: &[call("DescribeDBInstances", "DBInstances.DBInstance").with(&[("DBInstanceIdentifier", Arg::Name(0))])],
    keep: Some(is_of_rds),
    gone: &["DBInstanceNotFound", "DBInstanceNotFoundFault"],
    shape: &[
        text("DBInstanceIdentifier", "DBInstanceIdentifier"),
        each(
            "AdditionalStorageVolumes",
            "AdditionalStorageVolumes",
            &[
                text("AllocatedStorage", "AllocatedStorage"),
                int("Iops", "IOPS"),
                int("MaxAllocatedStorage", "MaxAllocatedStorage"),
                int("StorageThroughput", "StorageThroughput"),
                text("StorageType", "StorageType"),
                text("VolumeName", "VolumeName"),
                untold("StorageOperationPercentProgress"),
                untold("StorageOperationStatus"),
            ],
        ),
        text("AllocatedStorage", "AllocatedStorage"),
        each(
            "AssociatedRoles",
            "AssociatedRoles.DBInstanceRole",
            &[text("FeatureName", "FeatureName"), text("RoleArn", "RoleArn")],
        ),
        flag("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
        // Only a list of replicated backups, in the region that they go to, tells these.
        untold("AutomaticBackupReplicationRegion"),
        untold("AutomaticBackupReplicationRetentionPeriod"),
        text("AutomaticRestartTime", "AutomaticRestartTime"),
        text("AvailabilityZone", "AvailabilityZone"),
        int("BackupRetentionPeriod", "BackupRetentionPeriod"),
        text("BackupTarget", "BackupTarget"),
        text("CACertificateIdentifier", "CACertificateIdentifier"),
        object(
            "CertificateDetails",
            "CertificateDetails",
            &[text("CAIdentifier", "CAIdentifier"), text("ValidTill", "ValidTill")],
        ),
        text("CharacterSetName", "CharacterSetName"),
        flag("CopyTagsToSnapshot", "CopyTagsToSnapshot"),
        text("CustomIAMInstanceProfile", "CustomIamInstanceProfile"),
        text("DBClusterIdentifier", "DBClusterIdentifier"),
        // From what it was made is told by nothing afterwards.
        untold("DBClusterSnapshotIdentifier"),
        text("DBInstanceArn", "DBInstanceArn"),
        text("DBInstanceClass", "DBInstanceClass"),
        text("DBInstanceStatus", "DBInstanceStatus"),
        text("DBName", "DBName"),
        text("DBParameterGroupName", "DBParameterGroups.DBParameterGroup.DBParameterGroupName"),
        texts("DBSecurityGroups", "DBSecurityGroups.DBSecurityGroup.DBSecurityGroupName"),
        text("DBSubnetGroupName", "DBSubnetGroup.DBSubnetGroupName"),
        text("DBSystemId", "DBSystemId"),
        text("DatabaseInsightsMode", "DatabaseInsightsMode"),
        text("DbiResourceId", "DbiResourceId"),
        flag("DedicatedLogVolume", "DedicatedLogVolume"),
        flag("DeletionProtection", "DeletionProtection"),
        text("Domain", "DomainMemberships.DomainMembership.Domain"),
        text("DomainAuthSecretArn", "DomainMemberships.DomainMembership.AuthSecretArn"),
        texts("DomainDnsIps", "DomainMemberships.DomainMembership.DnsIps"),
        text("DomainFqdn", "DomainMemberships.DomainMembership.FQDN"),
        text("DomainIAMRoleName", "DomainMemberships.DomainMembership.IAMRoleName"),
        text("DomainOu", "DomainMemberships.DomainMembership.OU"),
        texts("EnableCloudwatchLogsExports", "EnabledCloudwatchLogsExports"),
        flag("EnableIAMDatabaseAuthentication", "IAMDatabaseAuthenticationEnabled"),
        flag("EnablePerformanceInsights", "PerformanceInsightsEnabled"),
        object("Endpoint", "Endpoint", ENDPOINT),
        text("Engine", "Engine"),
        text("EngineLifecycleSupport", "EngineLifecycleSupport"),
        text("EngineVersion", "EngineVersion"),
        text("InstanceCreateTime", "InstanceCreateTime"),
        int("Iops", "Iops"),
        flag("IsStorageConfigUpgradeAvailable", "IsStorageConfigUpgradeAvailable"),
        text("KmsKeyId", "KmsKeyId"),
        // It moves every few minutes, so that no database would ever be unchanged.
        untold("LatestRestorableTime"),
        text("LicenseModel", "LicenseModel"),
        object("ListenerEndpoint", "ListenerEndpoint", ENDPOINT),
        made("ManageMasterUserPassword", "", |database| {
            Some(at(database, "MasterUserSecret.SecretArn").is_some().into())
        }),
        object("MasterUserSecret", "MasterUserSecret", MASTER_SECRET),
        text("MasterUsername", "MasterUsername"),
        int("MaxAllocatedStorage", "MaxAllocatedStorage"),
        int("MonitoringInterval", "MonitoringInterval"),
        text("MonitoringRoleArn", "MonitoringRoleArn"),
        flag("MultiAZ", "MultiAZ"),
        text("NcharCharacterSetName", "NcharCharacterSetName"),
        text("NetworkType", "NetworkType"),
        text("OptionGroupName", "OptionGroupMemberships.OptionGroupMembership.OptionGroupName"),
        text("PercentProgress", "PercentProgress"),
        text("PerformanceInsightsKMSKeyId", "PerformanceInsightsKMSKeyId"),
        int("PerformanceInsightsRetentionPeriod", "PerformanceInsightsRetentionPeriod"),
        text("Port", "Endpoint.Port"),
        text("PreferredBackupWindow", "PreferredBackupWindow"),
        text("PreferredMaintenanceWindow", "PreferredMaintenanceWindow"),
        each(
            "ProcessorFeatures",
            "ProcessorFeatures.ProcessorFeature",
            &[text("Name", "Name"), text("Value", "Value")],
        ),
        int("PromotionTier", "PromotionTier"),
        flag("PubliclyAccessible", "PubliclyAccessible"),
        texts("ReadReplicaDBClusterIdentifiers", "ReadReplicaDBClusterIdentifiers.ReadReplicaDBClusterIdentifier"),
        texts("ReadReplicaDBInstanceIdentifiers", "ReadReplicaDBInstanceIdentifiers.ReadReplicaDBInstanceIdentifier"),
        text("ReplicaMode", "ReplicaMode"),
        text("ResumeFullAutomationModeTime", "ResumeFullAutomationModeTime"),
        text("SecondaryAvailabilityZone", "SecondaryAvailabilityZone"),
        text("SourceDBClusterIdentifier", "ReadReplicaSourceDBClusterIdentifier"),
        each(
            "StatusInfos",
            "StatusInfos.DBInstanceStatusInfo",
            &[
                text("Message", "Message"),
                flag("Normal", "Normal"),
                text("Status", "Status"),
                text("StatusType", "StatusType"),
            ],
        ),
        flag("StorageEncrypted", "StorageEncrypted"),
        untold("StorageOperationPercentProgress"),
        untold("StorageOperationStatus"),
        int("StorageThroughput", "StorageThroughput"),
        text("StorageType", "StorageType"),
        tags("TagList.Tag"),
        text("TdeCredentialArn", "TdeCredentialArn"),
        text("Timezone", "Timezone"),
        texts("VPCSecurityGroups", "VpcSecurityGroups.VpcSecurityGroupMembership.VpcSecurityGroupId"),
    ],
    ..Direct::new("AWS::RDS::DBInstance", &RDS, &["DBInstanceIdentifier"])
};

const ENDPOINT: &[Field] = &[text("Address", "Address"), text("HostedZoneId", "HostedZoneId"), text("Port", "Port")];

const MASTER_SECRET: &[Field] = &[text("KmsKeyId", "KmsKeyId"), text("SecretArn", "SecretArn")];

pub(super) const DB_CLUSTER: Direct = Direct {
    list: &[list("DescribeDBClusters", "DBClusters.DBCluster")],
    named: &[call("DescribeDBClusters", "DBClusters.DBCluster").with(&[("DBClusterIdentifier", Arg::Name(0))])],
    keep: Some(is_of_rds),
    gone: &["DBClusterNotFoundFault"],
    shape: &[
        text("DBClusterIdentifier", "DBClusterIdentifier"),
        int("AllocatedStorage", "AllocatedStorage"),
        each(
            "AssociatedRoles",
            "AssociatedRoles.DBClusterRole",
            &[text("FeatureName", "FeatureName"), text("RoleArn", "RoleArn")],
        ),
        flag("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
        texts("AvailabilityZones", "AvailabilityZones.AvailabilityZone"),
        int("BacktrackWindow", "BacktrackWindow"),
        int("BackupRetentionPeriod", "BackupRetentionPeriod"),
        flag("CopyTagsToSnapshot", "CopyTagsToSnapshot"),
        text("DBClusterArn", "DBClusterArn"),
        text("DBClusterInstanceClass", "DBClusterInstanceClass"),
        text("DBClusterParameterGroupName", "DBClusterParameterGroup"),
        text("DBClusterResourceId", "DbClusterResourceId"),
        text("DBSubnetGroupName", "DBSubnetGroup"),
        text("DBSystemId", "DBSystemId"),
        text("DatabaseInsightsMode", "DatabaseInsightsMode"),
        text("DatabaseName", "DatabaseName"),
        flag("DeletionProtection", "DeletionProtection"),
        text("Domain", "DomainMemberships.DomainMembership.Domain"),
        text("DomainIAMRoleName", "DomainMemberships.DomainMembership.IAMRoleName"),
        texts("EnableCloudwatchLogsExports", "EnabledCloudwatchLogsExports"),
        flag("EnableGlobalWriteForwarding", "GlobalWriteForwardingRequested"),
        flag("EnableHttpEndpoint", "HttpEndpointEnabled"),
        flag("EnableIAMDatabaseAuthentication", "IAMDatabaseAuthenticationEnabled"),
        made("EnableLocalWriteForwarding", "LocalWriteForwardingStatus", |status| {
            Some(["enabled", "enabling", "requested"].contains(&status.as_str()?).into())
        }),
        object("Endpoint", "", &[text("Address", "Endpoint"), text("Port", "Port")]),
        text("Engine", "Engine"),
        text("EngineLifecycleSupport", "EngineLifecycleSupport"),
        text("EngineMode", "EngineMode"),
        text("EngineVersion", "EngineVersion"),
        text("GlobalClusterIdentifier", "GlobalClusterIdentifier"),
        int("Iops", "Iops"),
        text("KmsKeyId", "KmsKeyId"),
        made("ManageMasterUserPassword", "", |cluster| {
            Some(at(cluster, "MasterUserSecret.SecretArn").is_some().into())
        }),
        object("MasterUserSecret", "MasterUserSecret", MASTER_SECRET),
        text("MasterUsername", "MasterUsername"),
        int("MonitoringInterval", "MonitoringInterval"),
        text("MonitoringRoleArn", "MonitoringRoleArn"),
        text("NetworkType", "NetworkType"),
        flag("PerformanceInsightsEnabled", "PerformanceInsightsEnabled"),
        text("PerformanceInsightsKmsKeyId", "PerformanceInsightsKMSKeyId"),
        int("PerformanceInsightsRetentionPeriod", "PerformanceInsightsRetentionPeriod"),
        int("Port", "Port"),
        text("PreferredBackupWindow", "PreferredBackupWindow"),
        text("PreferredMaintenanceWindow", "PreferredMaintenanceWindow"),
        flag("PubliclyAccessible", "PubliclyAccessible"),
        object("ReadEndpoint", "", &[text("Address", "ReaderEndpoint")]),
        text("ReplicationSourceIdentifier", "ReplicationSourceIdentifier"),
        object(
            "ScalingConfiguration",
            "ScalingConfigurationInfo",
            &[
                flag("AutoPause", "AutoPause"),
                int("MaxCapacity", "MaxCapacity"),
                int("MinCapacity", "MinCapacity"),
                int("SecondsBeforeTimeout", "SecondsBeforeTimeout"),
                int("SecondsUntilAutoPause", "SecondsUntilAutoPause"),
                text("TimeoutAction", "TimeoutAction"),
            ],
        ),
        object(
            "ServerlessV2ScalingConfiguration",
            "ServerlessV2ScalingConfiguration",
            &[
                number("MaxCapacity", "MaxCapacity"),
                number("MinCapacity", "MinCapacity"),
                int("SecondsUntilAutoPause", "SecondsUntilAutoPause"),
            ],
        ),
        flag("StorageEncrypted", "StorageEncrypted"),
        text("StorageEncryptionType", "StorageEncryptionType"),
        int("StorageThroughput", "StorageThroughput"),
        text("StorageType", "StorageType"),
        tags("TagList.Tag"),
        texts("VpcSecurityGroupIds", "VpcSecurityGroups.VpcSecurityGroupMembership.VpcSecurityGroupId"),
    ],
    ..Direct::new("AWS::RDS::DBCluster", &RDS, &["DBClusterIdentifier"])
};

pub(super) const DB_SUBNET_GROUP: Direct = Direct {
    list: &[list("DescribeDBSubnetGroups", "DBSubnetGroups.DBSubnetGroup")],
    named: &[
        call("DescribeDBSubnetGroups", "DBSubnetGroups.DBSubnetGroup").with(&[("DBSubnetGroupName", Arg::Name(0))])
    ],
    gone: &["DBSubnetGroupNotFoundFault"],
    shape: &[
        text("DBSubnetGroupName", "DBSubnetGroupName"),
        text("DBSubnetGroupArn", "DBSubnetGroupArn"),
        text("DBSubnetGroupDescription", "DBSubnetGroupDescription"),
        texts("SubnetIds", "Subnets.Subnet.SubnetIdentifier"),
    ],
    parts: &[part(
        call("ListTagsForResource", "TagList.Tag").with(&[("ResourceName", Arg::Of("DBSubnetGroupArn"))]),
        &[tags("")],
    )],
    ..Direct::new("AWS::RDS::DBSubnetGroup", &RDS, &["DBSubnetGroupName"])
};

/// A snapshot of a database, and with whom it is shared. CloudFormation has no such kind: it is shaped like RDS's own answer.
pub(super) const DB_SNAPSHOT: Direct = Direct {
    list: &[list("DescribeDBSnapshots", "DBSnapshots.DBSnapshot")
        .with(&[("SnapshotType", Arg::Text("manual")), ("MaxRecords", Arg::Int(100))])],
    named: &[call("DescribeDBSnapshots", "DBSnapshots.DBSnapshot")
        .with(&[("DBSnapshotIdentifier", Arg::Name(0)), ("SnapshotType", Arg::Text("manual"))])],
    gone: &["DBSnapshotNotFound", "DBSnapshotNotFoundFault"],
    shape: &[
        text("DBSnapshotIdentifier", "DBSnapshotIdentifier"),
        int("AllocatedStorage", "AllocatedStorage"),
        text("DBInstanceIdentifier", "DBInstanceIdentifier"),
        text("DBSnapshotArn", "DBSnapshotArn"),
        flag("Encrypted", "Encrypted"),
        text("Engine", "Engine"),
        text("EngineVersion", "EngineVersion"),
        text("KmsKeyId", "KmsKeyId"),
        text("SnapshotCreateTime", "SnapshotCreateTime"),
        text("SourceDBSnapshotIdentifier", "SourceDBSnapshotIdentifier"),
        text("Status", "Status"),
        text("StorageType", "StorageType"),
        tags("TagList.Tag"),
        text("VpcId", "VpcId"),
    ],
    parts: &[part(
        call("DescribeDBSnapshotAttributes", "DBSnapshotAttributesResult.DBSnapshotAttributes.DBSnapshotAttribute")
            .with(&[("DBSnapshotIdentifier", Arg::Of("DBSnapshotIdentifier"))]),
        SHARING,
    )],
    ..Direct::new("AWS::RDS::DBSnapshot", &RDS, &["DBSnapshotIdentifier"])
};

/// The same of a cluster.
pub(super) const DB_CLUSTER_SNAPSHOT: Direct = Direct {
    list: &[list("DescribeDBClusterSnapshots", "DBClusterSnapshots.DBClusterSnapshot")
        .with(&[("SnapshotType", Arg::Text("manual")), ("MaxRecords", Arg::Int(100))])],
    named: &[call("DescribeDBClusterSnapshots", "DBClusterSnapshots.DBClusterSnapshot")
        .with(&[("DBClusterSnapshotIdentifier", Arg::Name(0)), ("SnapshotType", Arg::Text("manual"))])],
    keep: Some(is_of_rds),
    gone: &["DBClusterSnapshotNotFoundFault"],
    shape: &[
        text("DBClusterSnapshotIdentifier", "DBClusterSnapshotIdentifier"),
        int("AllocatedStorage", "AllocatedStorage"),
        text("DBClusterIdentifier", "DBClusterIdentifier"),
        text("DBClusterSnapshotArn", "DBClusterSnapshotArn"),
        text("Engine", "Engine"),
        text("EngineVersion", "EngineVersion"),
        text("KmsKeyId", "KmsKeyId"),
        text("SnapshotCreateTime", "SnapshotCreateTime"),
        text("SourceDBClusterSnapshotArn", "SourceDBClusterSnapshotArn"),
        text("Status", "Status"),
        flag("StorageEncrypted", "StorageEncrypted"),
        tags("TagList.Tag"),
        text("VpcId", "VpcId"),
    ],
    parts: &[part(
        call(
            "DescribeDBClusterSnapshotAttributes",
            "DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes.DBClusterSnapshotAttribute",
        )
        .with(&[("DBClusterSnapshotIdentifier", Arg::Of("DBClusterSnapshotIdentifier"))]),
        SHARING,
    )],
    ..Direct::new("AWS::RDS::DBClusterSnapshot", &RDS, &["DBClusterSnapshotIdentifier"])
};

/// Who may restore a snapshot: accounts, and everybody.
const SHARING: &[Field] = &[
    made("IsPublic", "", |attributes| Some(json!(restorers(attributes).iter().any(|who| *who == "all")))),
    made("SharedWith", "", |attributes| {
        let accounts: Vec<_> = restorers(attributes).into_iter().filter(|who| *who != "all").cloned().collect();
        (!accounts.is_empty()).then(|| accounts.into())
    }),
];

fn restorers(attributes: &Value) -> Vec<&Value> {
    let attributes = all(attributes, "").into_iter();
    let restore = attributes.filter(|attribute| at(attribute, "AttributeName").is_some_and(|name| name == "restore"));
    restore.flat_map(|attribute| all(attribute, "AttributeValues.AttributeValue")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::shape::shape;
    use super::*;

    #[test]
    fn a_snapshot_that_all_may_restore_is_public() {
        let attribute = |values: Value| {
            json!([{"AttributeName": "other", "AttributeValues": {"AttributeValue": "all"}},
                {"AttributeName": "restore", "AttributeValues": values}])
        };
        for (values, expected) in [
            (Value::Null, json!({"IsPublic": false})),
            (json!({"AttributeValue": "2"}), json!({"IsPublic": false, "SharedWith": ["2"]})),
            (json!({"AttributeValue": ["2", "all"]}), json!({"IsPublic": true, "SharedWith": ["2"]})),
        ] {
            let mut attributes = Map::new();
            shape(SHARING, &attribute(values), &mut attributes).unwrap();
            assert_eq!(Value::from(attributes), expected);
        }
    }
}
