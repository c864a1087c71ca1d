//! Databases and their snapshots.

use serde_json::json;

use super::{only, read, read_without};
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn databases_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let vpc = aws.call("ec2", "create_vpc", json!({"CidrBlock": "10.9.0.0/16"}));
    let subnet = |at: &str, block: &str| {
        let asked =
            json!({"VpcId": vpc["Vpc"]["VpcId"], "CidrBlock": block, "AvailabilityZone": format!("{REGION}{at}")});
        aws.call("ec2", "create_subnet", asked)["Subnet"]["SubnetId"].clone()
    };
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let subnets = json!([subnet("a", "10.9.1.0/24"), subnet("b", "10.9.2.0/24")]);
    let asked =
        json!({"DBSubnetGroupName": "inner", "DBSubnetGroupDescription": "inside", "SubnetIds": subnets, "Tags": tags});
    aws.call("rds", "create_db_subnet_group", asked);
    let asked = json!({"DBInstanceIdentifier": "orders", "Engine": "postgres", "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": 20, "MasterUsername": "owner", "MasterUserPassword": "a-long-word", "DBSubnetGroupName": "inner",
        "StorageEncrypted": true, "Tags": tags});
    aws.call("rds", "create_db_instance", asked);
    let asked = json!({"DBClusterIdentifier": "shop", "Engine": "aurora-postgresql", "MasterUsername": "owner",
        "MasterUserPassword": "a-long-word", "Tags": tags});
    aws.call("rds", "create_db_cluster", asked);
    aws.call("rds", "create_db_snapshot", json!({"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "before"}));
    aws.call(
        "rds",
        "create_db_cluster_snapshot",
        json!({"DBClusterIdentifier": "shop", "DBClusterSnapshotIdentifier": "cut"}),
    );
    let found = read(&aws.url(), "AWS::RDS::DBSubnetGroup").unwrap();
    let expected = json!({"DBSubnetGroupName": "inner", "DBSubnetGroupDescription": "inside", "SubnetIds": subnets,
        "DBSubnetGroupArn": format!("arn:aws:rds:{REGION}:{ACCOUNT}:subgrp:inner"), "Tags": tags});
    assert_eq!(found["inner"], expected);
    let found = read(&aws.url(), "AWS::RDS::DBInstance").unwrap();
    let expected = json!({"DBInstanceIdentifier": "orders", "Engine": "postgres", "DBInstanceClass": "db.t3.micro",
        "AllocatedStorage": "20", "MasterUsername": "owner", "DBSubnetGroupName": "inner", "StorageEncrypted": true,
        "ManageMasterUserPassword": false, "BackupRetentionPeriod": 1, "MultiAZ": false, "PubliclyAccessible": false,
        "DBInstanceArn": format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"), "Tags": tags});
    assert_eq!(only(&found["orders"], &expected), expected);
    let found = read(&aws.url(), "AWS::RDS::DBCluster").unwrap();
    let expected = json!({"DBClusterIdentifier": "shop", "Engine": "aurora-postgresql", "MasterUsername": "owner",
        "EngineMode": "provisioned", "StorageEncrypted": false, "DeletionProtection": false, "Port": 5432,
        "DBClusterArn": format!("arn:aws:rds:{REGION}:{ACCOUNT}:cluster:shop"), "Tags": tags});
    assert_eq!(only(&found["shop"], &expected), expected);
    let found = read(&aws.url(), "AWS::RDS::DBClusterSnapshot").unwrap();
    let expected = json!({"DBClusterSnapshotIdentifier": "cut", "DBClusterIdentifier": "shop", "StorageEncrypted": false,
        "IsPublic": false});
    assert_eq!(only(&found["cut"], &expected), expected);
    // It does not say with whom the snapshot of a database is shared.
    let found = read_without(&aws.url(), "AWS::RDS::DBSnapshot", &["IsPublic", "SharedWith"]).unwrap();
    let expected = json!({"DBSnapshotIdentifier": "before", "DBInstanceIdentifier": "orders", "Engine": "postgres"});
    assert_eq!(only(&found["before"], &expected), expected);
}
