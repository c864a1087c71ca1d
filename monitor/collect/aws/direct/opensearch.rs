//! OpenSearch: domains.

use super::service::OPEN_SEARCH;
use super::shape::{each, flag, int, json, object, same, tags, text, texts, untold};
use super::{Arg, Count, Direct, call, part};

pub(super) const DOMAIN: Direct = Direct {
    // Of both engines: CloudFormation's kind has either.
    list: &[call("GET /2021-01-01/domain", "DomainNames").action("es:ListDomainNames")],
    named: &[call("GET /2021-01-01/opensearch/domain/{DomainName}", "DomainStatus")
        .with(&[("DomainName", Arg::Name(0))])
        .action("es:DescribeDomain")],
    gone: &["ResourceNotFoundException"],
    shape: &[text("DomainName", "DomainName"), untold("SkipShardMigrationWait")],
    parts: &[
        part(
            call("POST /2021-01-01/opensearch/domain-info", "DomainStatusList")
                .with(&[("DomainNames", Arg::Each("DomainName"))])
                .batch(5)
                .action("es:DescribeDomains"),
            &[
                object(
                    "AIMLOptions",
                    "AIMLOptions",
                    &[
                        object("S3VectorsEngine", "S3VectorsEngine", &[flag("Enabled", "Enabled")]),
                        object(
                            "ServerlessVectorAcceleration",
                            "ServerlessVectorAcceleration",
                            &[flag("Enabled", "Enabled")],
                        ),
                    ],
                ),
                json("AccessPolicies", "AccessPolicies"),
                same("AdvancedOptions", "AdvancedOptions"),
                object(
                    "AdvancedSecurityOptions",
                    "AdvancedSecurityOptions",
                    &[
                        text("AnonymousAuthDisableDate", "AnonymousAuthDisableDate"),
                        flag("AnonymousAuthEnabled", "AnonymousAuthEnabled"),
                        flag("Enabled", "Enabled"),
                        object(
                            "IAMFederationOptions",
                            "IAMFederationOptions",
                            &[
                                flag("Enabled", "Enabled"),
                                text("RolesKey", "RolesKey"),
                                text("SubjectKey", "SubjectKey"),
                            ],
                        ),
                        flag("InternalUserDatabaseEnabled", "InternalUserDatabaseEnabled"),
                        object(
                            "JWTOptions",
                            "JWTOptions",
                            &[
                                flag("Enabled", "Enabled"),
                                text("RolesKey", "RolesKey"),
                                text("SubjectKey", "SubjectKey"),
                            ],
                        ),
                        object(
                            "SAMLOptions",
                            "SAMLOptions",
                            &[
                                flag("Enabled", "Enabled"),
                                object(
                                    "Idp",
                                    "Idp",
                                    &[text("EntityId", "EntityId"), text("MetadataContent", "MetadataContent")],
                                ),
                                text("RolesKey", "RolesKey"),
                                int("SessionTimeoutMinutes", "SessionTimeoutMinutes"),
                                text("SubjectKey", "SubjectKey"),
                            ],
                        ),
                    ],
                ),
                text("Arn", "ARN"),
                text("DomainArn", "ARN"),
                object(
                    "AutomatedSnapshotPauseOptions",
                    "AutomatedSnapshotPauseOptions",
                    &[flag("Enabled", "Enabled"), text("EndTime", "EndTime"), text("StartTime", "StartTime")],
                ),
                object(
                    "ClusterConfig",
                    "ClusterConfig",
                    &[
                        object("ColdStorageOptions", "ColdStorageOptions", &[flag("Enabled", "Enabled")]),
                        int("DedicatedMasterCount", "DedicatedMasterCount"),
                        flag("DedicatedMasterEnabled", "DedicatedMasterEnabled"),
                        text("DedicatedMasterType", "DedicatedMasterType"),
                        int("InstanceCount", "InstanceCount"),
                        text("InstanceType", "InstanceType"),
                        flag("MultiAZWithStandbyEnabled", "MultiAZWithStandbyEnabled"),
                        each(
                            "NodeOptions",
                            "NodeOptions",
                            &[
                                object(
                                    "NodeConfig",
                                    "NodeConfig",
                                    &[int("Count", "Count"), flag("Enabled", "Enabled"), text("Type", "Type")],
                                ),
                                text("NodeType", "NodeType"),
                            ],
                        ),
                        int("WarmCount", "WarmCount"),
                        flag("WarmEnabled", "WarmEnabled"),
                        text("WarmType", "WarmType"),
                        object(
                            "ZoneAwarenessConfig",
                            "ZoneAwarenessConfig",
                            &[int("AvailabilityZoneCount", "AvailabilityZoneCount")],
                        ),
                        flag("ZoneAwarenessEnabled", "ZoneAwarenessEnabled"),
                    ],
                ),
                object(
                    "CognitoOptions",
                    "CognitoOptions",
                    &[
                        flag("Enabled", "Enabled"),
                        text("IdentityPoolId", "IdentityPoolId"),
                        text("RoleArn", "RoleArn"),
                        text("UserPoolId", "UserPoolId"),
                    ],
                ),
                object(
                    "DeploymentStrategyOptions",
                    "DeploymentStrategyOptions",
                    &[text("DeploymentStrategy", "DeploymentStrategy")],
                ),
                text("DomainEndpoint", "Endpoint"),
                object(
                    "DomainEndpointOptions",
                    "DomainEndpointOptions",
                    &[
                        text("CustomEndpoint", "CustomEndpoint"),
                        text("CustomEndpointCertificateArn", "CustomEndpointCertificateArn"),
                        flag("CustomEndpointEnabled", "CustomEndpointEnabled"),
                        flag("EnforceHTTPS", "EnforceHTTPS"),
                        text("TLSSecurityPolicy", "TLSSecurityPolicy"),
                    ],
                ),
                text("DomainEndpointV2", "EndpointV2"),
                same("DomainEndpoints", "Endpoints"),
                object(
                    "EBSOptions",
                    "EBSOptions",
                    &[
                        flag("EBSEnabled", "EBSEnabled"),
                        int("Iops", "Iops"),
                        int("Throughput", "Throughput"),
                        int("VolumeSize", "VolumeSize"),
                        text("VolumeType", "VolumeType"),
                    ],
                ),
                object(
                    "EncryptionAtRestOptions",
                    "EncryptionAtRestOptions",
                    &[flag("Enabled", "Enabled"), text("KmsKeyId", "KmsKeyId")],
                ),
                text("EngineMode", "EngineMode"),
                text("EngineVersion", "EngineVersion"),
                text("IPAddressType", "IPAddressType"),
                text("Id", "DomainId"),
                object(
                    "IdentityCenterOptions",
                    "IdentityCenterOptions",
                    &[
                        flag("EnabledAPIAccess", "EnabledAPIAccess"),
                        text("IdentityCenterApplicationARN", "IdentityCenterApplicationARN"),
                        text("IdentityCenterInstanceARN", "IdentityCenterInstanceARN"),
                        text("IdentityStoreId", "IdentityStoreId"),
                        text("RolesKey", "RolesKey"),
                        text("SubjectKey", "SubjectKey"),
                    ],
                ),
                same("LogPublishingOptions", "LogPublishingOptions"),
                object("NodeToNodeEncryptionOptions", "NodeToNodeEncryptionOptions", &[flag("Enabled", "Enabled")]),
                object(
                    "OffPeakWindowOptions",
                    "OffPeakWindowOptions",
                    &[
                        flag("Enabled", "Enabled"),
                        object(
                            "OffPeakWindow",
                            "OffPeakWindow",
                            &[object(
                                "WindowStartTime",
                                "WindowStartTime",
                                &[int("Hours", "Hours"), int("Minutes", "Minutes")],
                            )],
                        ),
                    ],
                ),
                object(
                    "ServiceSoftwareOptions",
                    "ServiceSoftwareOptions",
                    &[
                        text("AutomatedUpdateDate", "AutomatedUpdateDate"),
                        flag("Cancellable", "Cancellable"),
                        text("CurrentVersion", "CurrentVersion"),
                        text("Description", "Description"),
                        text("NewVersion", "NewVersion"),
                        flag("OptionalDeployment", "OptionalDeployment"),
                        flag("UpdateAvailable", "UpdateAvailable"),
                        text("UpdateStatus", "UpdateStatus"),
                    ],
                ),
                object(
                    "SnapshotOptions",
                    "SnapshotOptions",
                    &[int("AutomatedSnapshotStartHour", "AutomatedSnapshotStartHour")],
                ),
                object(
                    "SoftwareUpdateOptions",
                    "SoftwareUpdateOptions",
                    &[
                        flag("AutoSoftwareUpdateEnabled", "AutoSoftwareUpdateEnabled"),
                        flag("UseLatestServiceSoftwareForBlueGreen", "UseLatestServiceSoftwareForBlueGreen"),
                    ],
                ),
                text("UseCase", "UseCase"),
                object(
                    "VPCOptions",
                    "VPCOptions",
                    &[
                        flag("EgressEnabled", "EgressEnabled"),
                        texts("SecurityGroupIds", "SecurityGroupIds"),
                        texts("SubnetIds", "SubnetIds"),
                    ],
                ),
            ],
        )
        .join("DomainName", "DomainName")
        .count(Count::One),
        part(
            call("GET /2021-01-01/tags/", "TagList")
                .with(&[("arn", Arg::Arn("es:{region}:{account}:domain/", "DomainName"))])
                .action("es:ListTags"),
            &[tags("")],
        ),
    ],
    ..Direct::new("AWS::OpenSearchService::Domain", &OPEN_SEARCH, &["DomainName"])
};
