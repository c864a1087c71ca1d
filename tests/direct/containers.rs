//! The kinds of ECS, EKS and ECR.

use serde_json::json;

use super::read;
use crate::harness::aws::{ACCOUNT, Checks, Ministack, REGION};

#[test]
fn clusters_and_their_services_are_read_as_cloudformation_shows_them() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"key": "team", "value": "data"}]);
    let shown = json!([{"Key": "team", "Value": "data"}]);
    let settings = json!([{"name": "containerInsights", "value": "enabled"}]);
    aws.call("ecs", "create_cluster", json!({"clusterName": "shop", "settings": settings, "tags": tags}));
    aws.call("ecs", "create_cluster", json!({"clusterName": "idle"}));
    let container = json!({"name": "web", "image": "nginx", "memory": 64});
    aws.call("ecs", "register_task_definition", json!({"family": "web", "containerDefinitions": [container]}));
    let service = |n: u32| {
        let cluster = if n < 11 { "shop" } else { "idle" };
        let asked = json!({"cluster": cluster, "serviceName": format!("web-{n}"), "taskDefinition": "web",
            "desiredCount": 0, "launchType": "EC2", "tags": tags});
        ("ecs", "create_service", asked)
    };
    aws.calls(&(0..22).map(service).collect::<Vec<_>>());
    let found = read(&aws.url(), "AWS::ECS::Cluster").unwrap();
    let expected = json!({"ClusterName": "shop", "Arn": format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/shop"),
        "ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}], "Tags": shown});
    assert_eq!((found.len(), &found["shop"]), (2, &expected));

    let found = read(&aws.url(), "AWS::ECS::Service").unwrap();
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/web-10");
    let service = &found[&format!("{arn}|shop")];
    assert_eq!(found.len(), 22, "more in each cluster than are described together");
    assert_eq!(
        (&service["Cluster"], &service["ServiceName"], &service["Tags"]),
        (&json!("shop"), &json!("web-10"), &shown)
    );
    assert_eq!(
        service["DeploymentConfiguration"]["DeploymentCircuitBreaker"],
        json!({"Enable": false, "Rollback": false})
    );

    let role = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let logging = json!([{"types": ["api"], "enabled": true}, {"types": ["audit"], "enabled": false}]);
    let asked = json!({"name": "prod", "roleArn": role, "tags": {"team": "data"},
        "resourcesVpcConfig": {"subnetIds": ["subnet-1"]}, "logging": {"clusterLogging": logging}});
    aws.call("eks", "create_cluster", asked);
    let found = read(&aws.url(), "AWS::EKS::Cluster").unwrap();
    let cluster = &found["prod"];
    assert_eq!(cluster["Logging"], json!({"ClusterLogging": {"EnabledTypes": [{"Type": "api"}]}}));
    assert_eq!((&cluster["RoleArn"], &cluster["Tags"]), (&json!(role), &shown));
    assert_eq!(cluster["ResourcesVpcConfig"]["PublicAccessCidrs"], json!(["0.0.0.0/0"]));
}

#[test]
fn a_repository_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"Key": "team", "Value": "data"}]);
    let asked = json!({"repositoryName": "web", "imageTagMutability": "IMMUTABLE", "tags": tags,
        "imageScanningConfiguration": {"scanOnPush": true}});
    aws.call("ecr", "create_repository", asked);
    aws.call("ecr", "create_repository", json!({"repositoryName": "plain"}));
    let selection = json!({"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5});
    let lifecycle = json!({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]});
    let lifecycle = lifecycle.to_string();
    let asked = json!({"repositoryName": "web", "lifecyclePolicyText": lifecycle});
    aws.call("ecr", "put_lifecycle_policy", asked);
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]});
    let asked = json!({"repositoryName": "web", "policyText": policy.to_string()});
    aws.call("ecr", "set_repository_policy", asked);
    let found = read(&aws.url(), "AWS::ECR::Repository").unwrap();
    let expected = json!({"RepositoryName": "web", "Arn": format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/web"),
        "RepositoryUri": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/web"), "ImageTagMutability": "IMMUTABLE",
        "ImageScanningConfiguration": {"ScanOnPush": true}, "EncryptionConfiguration": {"EncryptionType": "AES256"},
        "LifecyclePolicy": {"LifecyclePolicyText": lifecycle, "RegistryId": ACCOUNT}, "RepositoryPolicyText": policy,
        "Tags": tags});
    assert_eq!((found.len(), &found["web"]), (2, &expected));
    assert!(found["plain"].get("RepositoryPolicyText").is_none());
}
