//! The kinds of DynamoDB, ElastiCache and OpenSearch.

use serde_json::json;

use super::read;
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn a_table_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let definitions =
        json!([{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "day", "AttributeType": "S"}]);
    let key = |name: &str| json!([{"AttributeName": name, "KeyType": "HASH"}]);
    let index = json!({"IndexName": "by_day", "KeySchema": key("day"), "Projection": {"ProjectionType": "ALL"}});
    let asked = json!({"TableName": "orders", "AttributeDefinitions": definitions, "KeySchema": key("id"),
        "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": [index], "DeletionProtectionEnabled": true,
        "Tags": [{"Key": "team", "Value": "data"}]});
    aws.call("dynamodb", "create_table", asked);
    let provisioned = json!({"ReadCapacityUnits": 2, "WriteCapacityUnits": 1});
    let asked = json!({"TableName": "plain", "AttributeDefinitions": [definitions[0]], "KeySchema": key("id"),
        "ProvisionedThroughput": provisioned});
    aws.call("dynamodb", "create_table", asked);
    let recovery = json!({"PointInTimeRecoveryEnabled": true});
    let asked = json!({"TableName": "orders", "PointInTimeRecoverySpecification": recovery});
    aws.call("dynamodb", "update_continuous_backups", asked);
    let expiry = json!({"Enabled": true, "AttributeName": "expires"});
    let asked = json!({"TableName": "orders", "TimeToLiveSpecification": expiry});
    aws.call("dynamodb", "update_time_to_live", asked);
    aws.call(
        "dynamodb",
        "update_contributor_insights",
        json!({"TableName": "orders", "ContributorInsightsAction": "ENABLE"}),
    );

    let found = read(&aws.url(), "AWS::DynamoDB::Table").unwrap();
    let nothing_warm = json!({"ReadUnitsPerSecond": 0, "WriteUnitsPerSecond": 0});
    let expected = json!({"TableName": "orders", "Arn": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"),
        "AttributeDefinitions": definitions, "KeySchema": key("id"), "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [index], "DeletionProtectionEnabled": true, "SSESpecification": {"SSEEnabled": false},
        "PointInTimeRecoverySpecification": recovery, "TimeToLiveSpecification": expiry,
        "ContributorInsightsSpecification": {"Enabled": true}, "WarmThroughput": nothing_warm,
        "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found["orders"]), (2, &expected));
    assert_eq!(
        (&found["plain"]["BillingMode"], &found["plain"]["ProvisionedThroughput"]),
        (&json!("PROVISIONED"), &provisioned)
    );
}

#[test]
fn caches_and_domains_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let asked = json!({"ReplicationGroupId": "sessions", "ReplicationGroupDescription": "d", "NumCacheClusters": 2,
        "CacheNodeType": "cache.t3.micro", "AutomaticFailoverEnabled": true, "AtRestEncryptionEnabled": true,
        "TransitEncryptionEnabled": true, "Engine": "redis", "Tags": tags});
    aws.call("elasticache", "create_replication_group", asked);
    let found = read(&aws.url(), "AWS::ElastiCache::ReplicationGroup").unwrap();
    let endpoint = json!({"Address": "redis", "Port": "6379"});
    let expected = json!({"ReplicationGroupId": "sessions", "ReplicationGroupDescription": "d", "NumCacheClusters": 2,
        "CacheNodeType": "cache.t3.micro", "AutomaticFailoverEnabled": true, "AtRestEncryptionEnabled": true,
        "TransitEncryptionEnabled": true, "TransitEncryptionMode": "required", "Engine": "redis", "Tags": tags,
        "AutoMinorVersionUpgrade": true, "ClusterMode": "disabled", "DataTieringEnabled": false,
        "MultiAZEnabled": false, "Port": 6379, "ReplicasPerNodeGroup": 1, "SnapshotRetentionLimit": 0,
        "SnapshotWindow": "05:00-06:00", "PrimaryEndPoint": endpoint, "ReaderEndPoint": endpoint,
        "ReadEndPoint": {"Addresses": "[redis, redis]", "AddressesList": ["redis", "redis"],
            "Ports": "[6379, 6379]", "PortsList": ["6379", "6379"]}});
    assert_eq!((found.len(), &found["sessions"]), (1, &expected));
    let clusters = read(&aws.url(), "AWS::ElastiCache::CacheCluster").unwrap();
    let member = &clusters["sessions-0001-001"];
    assert_eq!(
        (clusters.len(), &member["CacheNodeType"], &member["Port"]),
        (2, &json!("cache.t3.micro"), &json!(6379))
    );

    let domain = |name: &&str| {
        let asked = json!({"DomainName": format!("search-{name}"), "EngineVersion": "OpenSearch_2.11", "TagList": tags,
            "EBSOptions": {"EBSEnabled": true, "VolumeType": "gp3", "VolumeSize": 10}});
        ("opensearch", "create_domain", asked)
    };
    aws.calls(&["a", "b", "c", "d", "e", "f"].iter().map(domain).collect::<Vec<_>>());
    let found = read(&aws.url(), "AWS::OpenSearchService::Domain").unwrap();
    assert_eq!(found.len(), 6, "more than are described together");
    let domain = &found["search-f"];
    assert_eq!(domain["EBSOptions"], json!({"EBSEnabled": true, "VolumeType": "gp3", "VolumeSize": 10}));
    assert_eq!((&domain["EngineVersion"], &domain["Tags"]), (&json!("OpenSearch_2.11"), &tags));
}
