//! EKS: clusters.

use serde_json::{Value, json};

use super::service::EKS;
use super::shape::{each, flag, int, made, object, tags, text, texts};
use super::{Arg, Direct, call, part};

pub(super) const CLUSTER: Direct = Direct {
    list: &[call("GET /clusters", "clusters")
        .with(&[("maxResults", Arg::Int(100))])
        .pages("nextToken", "nextToken")
        .action("eks:ListClusters")],
    named: &[call("GET /clusters/{name}", "cluster.name")
        .with(&[("name", Arg::Name(0))])
        .action("eks:DescribeCluster")],
    gone: &["ResourceNotFoundException"],
    shape: &[text("Name", "")],
    parts: &[part(
        call("GET /clusters/{name}", "").with(&[("name", Arg::Of(""))]).action("eks:DescribeCluster"),
        &[
            object("AccessConfig", "cluster.accessConfig", &[text("AuthenticationMode", "authenticationMode")]),
            text("Arn", "cluster.arn"),
            object(
                "CertificateAuthority",
                "cluster.certificateAuthority",
                &[
                    object("Active", "active", &[text("ActivatedBy", "activatedBy"), text("Id", "id")]),
                    text("Data", "data"),
                ],
            ),
            text("CertificateAuthorityData", "cluster.certificateAuthority.data"),
            text("ClusterSecurityGroupId", "cluster.resourcesVpcConfig.clusterSecurityGroupId"),
            object(
                "ComputeConfig",
                "cluster.computeConfig",
                &[flag("Enabled", "enabled"), texts("NodePools", "nodePools"), text("NodeRoleArn", "nodeRoleArn")],
            ),
            object("ControlPlaneScalingConfig", "cluster.controlPlaneScalingConfig", &[text("Tier", "tier")]),
            flag("DeletionProtection", "cluster.deletionProtection"),
            each(
                "EncryptionConfig",
                "cluster.encryptionConfig",
                &[object("Provider", "provider", &[text("KeyArn", "keyArn")]), texts("Resources", "resources")],
            ),
            made("EncryptionConfigKeyArn", "cluster.encryptionConfig", |said| {
                said.pointer("/0/provider/keyArn").cloned()
            }),
            text("Endpoint", "cluster.endpoint"),
            text("Id", "cluster.id"),
            object(
                "KubeApiServerConfig",
                "cluster.kubeApiServerConfig",
                &[
                    text("EventTtl", "eventTtl"),
                    object(
                        "ServiceNodePortRange",
                        "serviceNodePortRange",
                        &[int("MaxPort", "maxPort"), int("MinPort", "minPort")],
                    ),
                ],
            ),
            object(
                "KubeControllerManagerConfig",
                "cluster.kubeControllerManagerConfig",
                &[
                    object(
                        "HorizontalPodAutoscalerControllerConfig",
                        "horizontalPodAutoscalerControllerConfig",
                        &[text("HorizontalPodAutoscalerSyncPeriod", "horizontalPodAutoscalerSyncPeriod")],
                    ),
                    object(
                        "PodGcControllerConfig",
                        "podGcControllerConfig",
                        &[int("TerminatedPodGcThreshold", "terminatedPodGcThreshold")],
                    ),
                ],
            ),
            object(
                "KubeSchedulerConfig",
                "cluster.kubeSchedulerConfig",
                &[object(
                    "NodeResourcesFit",
                    "nodeResourcesFit",
                    &[object(
                        "ScoringStrategy",
                        "scoringStrategy",
                        &[
                            each("Resources", "resources", &[text("Name", "name"), int("Weight", "weight")]),
                            text("Type", "type"),
                        ],
                    )],
                )],
            ),
            object(
                "KubernetesNetworkConfig",
                "cluster.kubernetesNetworkConfig",
                &[
                    object("ElasticLoadBalancing", "elasticLoadBalancing", &[flag("Enabled", "enabled")]),
                    text("IpFamily", "ipFamily"),
                    text("ServiceIpv4Cidr", "serviceIpv4Cidr"),
                    text("ServiceIpv6Cidr", "serviceIpv6Cidr"),
                ],
            ),
            made("Logging", "cluster.logging.clusterLogging", logging),
            text("OpenIdConnectIssuerUrl", "cluster.identity.oidc.issuer"),
            object(
                "OutpostConfig",
                "cluster.outpostConfig",
                &[
                    text("ControlPlaneInstanceType", "controlPlaneInstanceType"),
                    object(
                        "ControlPlanePlacement",
                        "controlPlanePlacement",
                        &[text("GroupName", "groupName"), text("SpreadLevel", "spreadLevel")],
                    ),
                    text("EtcdInstanceType", "etcdInstanceType"),
                    object("EtcdPlacement", "etcdPlacement", &[text("SpreadLevel", "spreadLevel")]),
                    texts("OutpostArns", "outpostArns"),
                ],
            ),
            object(
                "RemoteNetworkConfig",
                "cluster.remoteNetworkConfig",
                &[
                    each("RemoteNodeNetworks", "remoteNodeNetworks", &[texts("Cidrs", "cidrs")]),
                    each("RemotePodNetworks", "remotePodNetworks", &[texts("Cidrs", "cidrs")]),
                ],
            ),
            object(
                "ResourcesVpcConfig",
                "cluster.resourcesVpcConfig",
                &[
                    text("ControlPlaneEgressMode", "controlPlaneEgressMode"),
                    flag("EndpointPrivateAccess", "endpointPrivateAccess"),
                    flag("EndpointPublicAccess", "endpointPublicAccess"),
                    texts("PublicAccessCidrs", "publicAccessCidrs"),
                    texts("SecurityGroupIds", "securityGroupIds"),
                    texts("SubnetIds", "subnetIds"),
                ],
            ),
            text("RoleArn", "cluster.roleArn"),
            object(
                "StorageConfig",
                "cluster.storageConfig",
                &[object("BlockStorage", "blockStorage", &[flag("Enabled", "enabled")])],
            ),
            tags("cluster.tags"),
            object("UpgradePolicy", "cluster.upgradePolicy", &[text("SupportType", "supportType")]),
            text("Version", "cluster.version"),
            object("ZonalShiftConfig", "cluster.zonalShiftConfig", &[flag("Enabled", "enabled")]),
        ],
    )],
    ..Direct::new("AWS::EKS::Cluster", &EKS, &[""])
};

/// Returns which logs are on; the service tells of the others, too.
fn logging(said: &Value) -> Option<Value> {
    let is_on = |group: &&Value| group.get("enabled").and_then(Value::as_bool) == Some(true);
    let groups = said.as_array()?.iter().filter(is_on).filter_map(|group| group.get("types")?.as_array());
    let types: Vec<Value> = groups.flatten().map(|name| json!({"Type": name})).collect();
    Some(json!({"ClusterLogging": {"EnabledTypes": types}}))
}
