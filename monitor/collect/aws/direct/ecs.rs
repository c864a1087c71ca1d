//! ECS: clusters, and the services in them.

use serde_json::Value;

use super::service::ECS;
use super::shape::{Field, capitals, each, flag, int, last, made, object, pascal, tags, text, texts};
use super::{Arg, Call, Direct, call};

const CLUSTERS: Call =
    call("ListClusters", "clusterArns").with(&[("maxResults", Arg::Int(100))]).pages("nextToken", "nextToken");

const WHAT_OF_CLUSTERS: Arg = Arg::Texts(&["SETTINGS", "CONFIGURATIONS", "TAGS"]);

const STRATEGY: &[Field] =
    &[int("Base", "base"), text("CapacityProvider", "capacityProvider"), int("Weight", "weight")];

pub(super) const CLUSTER: Direct = Direct {
    list: &[
        CLUSTERS,
        call("DescribeClusters", "clusters")
            .with(&[("clusters", Arg::Each("")), ("include", WHAT_OF_CLUSTERS)])
            .batch(100),
    ],
    named: &[call("DescribeClusters", "clusters").with(&[("clusters", Arg::Names(0)), ("include", WHAT_OF_CLUSTERS)])],
    keep: Some(is_there),
    gone: &["ClusterNotFoundException"],
    shape: &[
        text("Arn", "clusterArn"),
        texts("CapacityProviders", "capacityProviders"),
        text("ClusterName", "clusterName"),
        each("ClusterSettings", "settings", &[text("Name", "name"), text("Value", "value")]),
        object(
            "Configuration",
            "configuration",
            &[
                object(
                    "ExecuteCommandConfiguration",
                    "executeCommandConfiguration",
                    &[
                        text("KmsKeyId", "kmsKeyId"),
                        object(
                            "LogConfiguration",
                            "logConfiguration",
                            &[
                                flag("CloudWatchEncryptionEnabled", "cloudWatchEncryptionEnabled"),
                                text("CloudWatchLogGroupName", "cloudWatchLogGroupName"),
                                text("S3BucketName", "s3BucketName"),
                                flag("S3EncryptionEnabled", "s3EncryptionEnabled"),
                                text("S3KeyPrefix", "s3KeyPrefix"),
                            ],
                        ),
                        text("Logging", "logging"),
                    ],
                ),
                object(
                    "ManagedStorageConfiguration",
                    "managedStorageConfiguration",
                    &[
                        text("FargateEphemeralStorageKmsKeyId", "fargateEphemeralStorageKmsKeyId"),
                        text("KmsKeyId", "kmsKeyId"),
                    ],
                ),
            ],
        ),
        each("DefaultCapacityProviderStrategy", "defaultCapacityProviderStrategy", STRATEGY),
        tags("tags"),
    ],
    ..Direct::new("AWS::ECS::Cluster", &ECS, &["clusterName"])
};

pub(super) const SERVICE: Direct = Direct {
    list: &[
        CLUSTERS,
        call("ListServices", "serviceArns")
            .with(&[("cluster", Arg::Of("")), ("maxResults", Arg::Int(100))])
            .pages("nextToken", "nextToken"),
        call("DescribeServices", "services")
            .with(&[("cluster", Arg::Of("^")), ("services", Arg::Each("=")), ("include", Arg::Texts(&["TAGS"]))])
            .batch(10)
            .mend(name_cluster),
    ],
    named: &[call("DescribeServices", "services")
        .with(&[("services", Arg::Names(0)), ("cluster", Arg::Name(1)), ("include", Arg::Texts(&["TAGS"]))])
        .mend(name_cluster)],
    keep: Some(is_there),
    gone: &["ClusterNotFoundException", "ServiceNotFoundException"],
    shape: &[
        text("AvailabilityZoneRebalancing", "availabilityZoneRebalancing"),
        each("CapacityProviderStrategy", "capacityProviderStrategy", STRATEGY),
        text("Cluster", "clusterName"),
        pascal("DeploymentConfiguration", "deploymentConfiguration"),
        object("DeploymentController", "deploymentController", &[text("Type", "type")]),
        int("DesiredCount", "desiredCount"),
        flag("EnableECSManagedTags", "enableECSManagedTags"),
        flag("EnableExecuteCommand", "enableExecuteCommand"),
        int("HealthCheckGracePeriodSeconds", "healthCheckGracePeriodSeconds"),
        text("LaunchType", "launchType"),
        each(
            "LoadBalancers",
            "loadBalancers",
            &[
                object(
                    "AdvancedConfiguration",
                    "advancedConfiguration",
                    &[
                        text("AlternateTargetGroupArn", "alternateTargetGroupArn"),
                        text("ProductionListenerRule", "productionListenerRule"),
                        text("RoleArn", "roleArn"),
                        text("TestListenerRule", "testListenerRule"),
                    ],
                ),
                text("ContainerName", "containerName"),
                int("ContainerPort", "containerPort"),
                text("LoadBalancerName", "loadBalancerName"),
                text("TargetGroupArn", "targetGroupArn"),
            ],
        ),
        text("Name", "serviceName"),
        object(
            "NetworkConfiguration",
            "networkConfiguration",
            &[object(
                "AwsvpcConfiguration",
                "awsvpcConfiguration",
                &[
                    text("AssignPublicIp", "assignPublicIp"),
                    texts("SecurityGroups", "securityGroups"),
                    texts("Subnets", "subnets"),
                ],
            )],
        ),
        each("PlacementConstraints", "placementConstraints", &[text("Expression", "expression"), text("Type", "type")]),
        each("PlacementStrategies", "placementStrategy", &[text("Field", "field"), text("Type", "type")]),
        text("PlatformVersion", "platformVersion"),
        text("PropagateTags", "propagateTags"),
        text("Role", "roleArn"),
        text("SchedulingStrategy", "schedulingStrategy"),
        text("ServiceArn", "serviceArn"),
        text("ServiceName", "serviceName"),
        each(
            "ServiceRegistries",
            "serviceRegistries",
            &[
                text("ContainerName", "containerName"),
                int("ContainerPort", "containerPort"),
                int("Port", "port"),
                text("RegistryArn", "registryArn"),
            ],
        ),
        tags("tags"),
        text("TaskDefinition", "taskDefinition"),
        made("VpcLatticeConfigurations", "deployments", lattice),
    ],
    ..Direct::new("AWS::ECS::Service", &ECS, &["serviceArn", "clusterName"])
};

/// What was deleted is told of for a while.
fn is_there(thing: &Value) -> bool {
    thing.get("status").and_then(Value::as_str).is_none_or(|status| status != "INACTIVE")
}

/// Adds the name of the cluster: that is what a service's identifier has.
fn name_cluster(service: &mut Value) {
    let name = service.get("clusterArn").and_then(last);
    if let (Some(map), Some(name)) = (service.as_object_mut(), name) {
        map.insert("clusterName".to_owned(), name);
    }
}

/// Returns what the deployment that holds has.
fn lattice(deployments: &Value) -> Option<Value> {
    let is_primary = |one: &&Value| one.get("status").and_then(Value::as_str) == Some("PRIMARY");
    let said = deployments.as_array()?.iter().find(is_primary)?.get("vpcLatticeConfigurations")?;
    said.as_array().filter(|list| !list.is_empty()).map(|_| capitals(said))
}
