//! ElastiCache: replication groups, and the clusters in them or alone.

use serde_json::{Value, json};

use super::service::ELASTI_CACHE;
use super::shape::{
    Field, all, each, filled_object, flag, int, is_on, made, object, scalar, tags, text, texts, untold,
};
use super::{Arg, Direct, Part, call, part};

const TAGS: Part =
    part(call("ListTagsForResource", "TagList.Tag").with(&[("ResourceName", Arg::Of("ARN"))]), &[tags("")]);

const ENDPOINT: &[Field] = &[text("Address", "Address"), text("Port", "Port")];

const LOGS: &[Field] = &[
    object(
        "DestinationDetails",
        "DestinationDetails",
        &[
            object("CloudWatchLogsDetails", "CloudWatchLogsDetails", &[text("LogGroup", "LogGroup")]),
            object("KinesisFirehoseDetails", "KinesisFirehoseDetails", &[text("DeliveryStream", "DeliveryStream")]),
        ],
    ),
    text("DestinationType", "DestinationType"),
    text("LogFormat", "LogFormat"),
    text("LogType", "LogType"),
];

pub(super) const REPLICATION_GROUP: Direct = Direct {
    list: &[call("DescribeReplicationGroups", "ReplicationGroups.ReplicationGroup")
        .with(&[("MaxRecords", Arg::Int(100))])
        .pages("Marker", "Marker")],
    named: &[call("DescribeReplicationGroups", "ReplicationGroups.ReplicationGroup")
        .with(&[("ReplicationGroupId", Arg::Name(0))])],
    gone: &["ReplicationGroupNotFoundFault"],
    shape: &[
        flag("AtRestEncryptionEnabled", "AtRestEncryptionEnabled"),
        flag("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
        made("AutomaticFailoverEnabled", "AutomaticFailover", is_on),
        text("CacheNodeType", "CacheNodeType"),
        made("ClusterMode", "", |group| Some(cluster_mode(group))),
        object("ConfigurationEndPoint", "ConfigurationEndpoint", ENDPOINT),
        made("DataTieringEnabled", "", |group| Some(data_tiering(group))),
        text("Durability", "Durability"),
        text("EffectiveDurability", "EffectiveDurability"),
        text("Engine", "Engine"),
        text("GlobalReplicationGroupId", "GlobalReplicationGroupInfo.GlobalReplicationGroupId"),
        text("IpDiscovery", "IpDiscovery"),
        each("LogDeliveryConfigurations", "LogDeliveryConfigurations.LogDeliveryConfiguration", LOGS),
        made("MultiAZEnabled", "MultiAZ", is_on),
        text("NetworkType", "NetworkType"),
        made("NumCacheClusters", "", |group| Some(members(group).len().into())),
        made("Port", "", port),
        made("PrimaryEndPoint", "", |group| endpoint(group, "PrimaryEndpoint")),
        made("ReadEndPoint", "", read_endpoints),
        made("ReaderEndPoint", "", |group| endpoint(group, "ReaderEndpoint")),
        made("ReplicasPerNodeGroup", "", replicas),
        text("ReplicationGroupDescription", "Description"),
        text("ReplicationGroupId", "ReplicationGroupId"),
        int("SnapshotRetentionLimit", "SnapshotRetentionLimit"),
        text("SnapshotWindow", "SnapshotWindow"),
        text("SnapshottingClusterId", "SnapshottingClusterId"),
        flag("TransitEncryptionEnabled", "TransitEncryptionEnabled"),
        text("TransitEncryptionMode", "TransitEncryptionMode"),
        texts("UserGroupIds", "UserGroupIds"),
    ],
    parts: &[TAGS],
    ..Direct::new("AWS::ElastiCache::ReplicationGroup", &ELASTI_CACHE, &["ReplicationGroupId"])
};

pub(super) const CACHE_CLUSTER: Direct = Direct {
    list: &[call("DescribeCacheClusters", "CacheClusters.CacheCluster")
        .with(&[("MaxRecords", Arg::Int(100)), ("ShowCacheNodeInfo", Arg::Yes)])
        .pages("Marker", "Marker")],
    named: &[call("DescribeCacheClusters", "CacheClusters.CacheCluster")
        .with(&[("CacheClusterId", Arg::Name(0)), ("ShowCacheNodeInfo", Arg::Yes)])],
    gone: &["CacheClusterNotFound", "CacheClusterNotFoundFault"],
    shape: &[
        untold("AZMode"),
        flag("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
        text("CacheNodeType", "CacheNodeType"),
        text("CacheParameterGroupName", "CacheParameterGroup.CacheParameterGroupName"),
        text("CacheSubnetGroupName", "CacheSubnetGroupName"),
        text("ClusterName", "CacheClusterId"),
        object("ConfigurationEndpoint", "ConfigurationEndpoint", ENDPOINT),
        text("Engine", "Engine"),
        text("EngineVersion", "EngineVersion"),
        text("IpDiscovery", "IpDiscovery"),
        each("LogDeliveryConfigurations", "LogDeliveryConfigurations.LogDeliveryConfiguration", LOGS),
        text("NetworkType", "NetworkType"),
        text("NotificationTopicArn", "NotificationConfiguration.TopicArn"),
        int("NumCacheNodes", "NumCacheNodes"),
        made("Port", "", |cluster| first_node(cluster)?.pointer("/Endpoint/Port").and_then(port_number)),
        texts("PreferredAvailabilityZones", "CacheNodes.CacheNode.CustomerAvailabilityZone"),
        text("PreferredMaintenanceWindow", "PreferredMaintenanceWindow"),
        made("RedisEndpoint", "", |cluster| first_node(cluster)?.get("Endpoint").and_then(filled_object)),
        int("SnapshotRetentionLimit", "SnapshotRetentionLimit"),
        text("SnapshotWindow", "SnapshotWindow"),
        flag("TransitEncryptionEnabled", "TransitEncryptionEnabled"),
        texts("VpcSecurityGroupIds", "SecurityGroups.SecurityGroupId"),
    ],
    parts: &[TAGS],
    ..Direct::new("AWS::ElastiCache::CacheCluster", &ELASTI_CACHE, &["CacheClusterId"])
};

fn members(group: &Value) -> Vec<&Value> {
    all(group, "MemberClusters.ClusterId")
}

fn cluster_mode(group: &Value) -> Value {
    let said = group.get("ClusterMode").filter(|said| !said.is_null()).cloned();
    let is_clustered = group.get("ClusterEnabled").and_then(scalar).is_some_and(|said| said == "true");
    said.unwrap_or_else(|| if is_clustered { "enabled" } else { "disabled" }.into())
}

/// Of groups that cannot have it, nothing is said.
fn data_tiering(group: &Value) -> Value {
    group.get("DataTiering").and_then(is_on).unwrap_or(Value::Bool(false))
}

/// Returns an endpoint of the only node group; with several, there is one for the configuration alone.
fn endpoint(group: &Value, which: &str) -> Option<Value> {
    all(group, "NodeGroups.NodeGroup").first()?.get(which).and_then(filled_object)
}

fn port(group: &Value) -> Option<Value> {
    endpoint(group, "PrimaryEndpoint")?.get("Port").and_then(port_number)
}

fn port_number(said: &Value) -> Option<Value> {
    scalar(said)?.parse::<u16>().ok().map(Value::from)
}

/// Returns the endpoints of the nodes, as texts and as lists.
fn read_endpoints(group: &Value) -> Option<Value> {
    let texts = |key: &str| {
        let found = all(group, "NodeGroups.NodeGroup.NodeGroupMembers.NodeGroupMember.ReadEndpoint");
        found.into_iter().filter_map(|one| one.get(key).and_then(scalar)).map(String::from).collect::<Vec<_>>()
    };
    let (addresses, ports) = (texts("Address"), texts("Port"));
    let joined = |texts: &[String]| format!("[{}]", texts.join(", "));
    let endpoints = json!({"Addresses": joined(&addresses), "AddressesList": addresses, "Ports": joined(&ports),
        "PortsList": ports});
    (!addresses.is_empty()).then_some(endpoints)
}

fn replicas(group: &Value) -> Option<Value> {
    let groups = all(group, "NodeGroups.NodeGroup").len();
    (members(group).len().checked_div(groups)?).checked_sub(1).map(Value::from)
}

fn first_node(cluster: &Value) -> Option<&Value> {
    all(cluster, "CacheNodes.CacheNode").into_iter().next()
}
