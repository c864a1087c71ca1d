//! Facts about AWS kinds that templates need and no schema at hand tells: which property is the name, what the
//! primary identifier is, what an ARN looks like.
//!
//! A kind that is not here is treated as most kinds are: its `Ref` is its identifier.

/// How the primary identifier of a kind follows from its declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It is what `Ref` is.
    Reference,
    /// It is the ARN.
    Arn,
    /// It is made of properties and `Ref`, joined by `|`. Of one that ends in `/` only what comes after the last slash, one
    /// that ends in `.` ends so in the cloud whether it is written or not, and one that ends in `?` may be missing.
    Parts(&'static [&'static str]),
}

/// Kinds whose property is the name, and whether that name is what `Ref` is.
const NAMES: &[(&str, &str, bool)] = &[
    ("AWS::ApiGateway::RestApi", "Name", false),
    ("AWS::ApiGatewayV2::Api", "Name", false),
    ("AWS::AppSync::GraphQLApi", "Name", false),
    ("AWS::Athena::WorkGroup", "Name", true),
    ("AWS::AutoScaling::AutoScalingGroup", "AutoScalingGroupName", true),
    ("AWS::AutoScaling::LaunchConfiguration", "LaunchConfigurationName", true),
    ("AWS::Backup::BackupVault", "BackupVaultName", true),
    ("AWS::Batch::ComputeEnvironment", "ComputeEnvironmentName", false),
    ("AWS::Batch::JobQueue", "JobQueueName", false),
    ("AWS::CloudTrail::Trail", "TrailName", true),
    ("AWS::CloudWatch::Alarm", "AlarmName", true),
    ("AWS::CloudWatch::CompositeAlarm", "AlarmName", true),
    ("AWS::CloudWatch::Dashboard", "DashboardName", true),
    ("AWS::CodeBuild::Project", "Name", true),
    ("AWS::CodeCommit::Repository", "RepositoryName", false),
    ("AWS::CodePipeline::Pipeline", "Name", true),
    ("AWS::Cognito::UserPool", "UserPoolName", false),
    ("AWS::Config::ConfigRule", "ConfigRuleName", true),
    ("AWS::DynamoDB::GlobalTable", "TableName", true),
    ("AWS::DynamoDB::Table", "TableName", true),
    ("AWS::EC2::KeyPair", "KeyName", true),
    ("AWS::EC2::LaunchTemplate", "LaunchTemplateName", false),
    ("AWS::EC2::SecurityGroup", "GroupName", false),
    ("AWS::ECR::Repository", "RepositoryName", true),
    ("AWS::ECS::CapacityProvider", "Name", true),
    ("AWS::ECS::Cluster", "ClusterName", true),
    ("AWS::ECS::TaskDefinition", "Family", false),
    ("AWS::EKS::Cluster", "Name", true),
    ("AWS::ElastiCache::ReplicationGroup", "ReplicationGroupId", true),
    ("AWS::ElastiCache::SubnetGroup", "CacheSubnetGroupName", true),
    ("AWS::ElasticLoadBalancing::LoadBalancer", "LoadBalancerName", true),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Name", false),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Name", false),
    ("AWS::Elasticsearch::Domain", "DomainName", true),
    ("AWS::Events::EventBus", "Name", true),
    ("AWS::Events::Rule", "Name", true),
    ("AWS::Glue::Crawler", "Name", true),
    ("AWS::Glue::Job", "Name", true),
    ("AWS::IAM::Group", "GroupName", true),
    ("AWS::IAM::InstanceProfile", "InstanceProfileName", true),
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName", false),
    ("AWS::IAM::Role", "RoleName", true),
    ("AWS::IAM::User", "UserName", true),
    ("AWS::Kinesis::Stream", "Name", true),
    ("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName", true),
    ("AWS::KMS::Alias", "AliasName", true),
    ("AWS::Lambda::Function", "FunctionName", true),
    ("AWS::Lambda::LayerVersion", "LayerName", false),
    ("AWS::Logs::LogGroup", "LogGroupName", true),
    ("AWS::MSK::Cluster", "ClusterName", false),
    ("AWS::OpenSearchService::Domain", "DomainName", true),
    ("AWS::RDS::DBCluster", "DBClusterIdentifier", true),
    ("AWS::RDS::DBClusterParameterGroup", "DBClusterParameterGroupName", true),
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier", true),
    ("AWS::RDS::DBParameterGroup", "DBParameterGroupName", true),
    ("AWS::RDS::DBSubnetGroup", "DBSubnetGroupName", true),
    ("AWS::Redshift::Cluster", "ClusterIdentifier", true),
    ("AWS::Route53::HostedZone", "Name", false),
    ("AWS::S3::Bucket", "BucketName", true),
    ("AWS::SNS::Topic", "TopicName", false),
    ("AWS::SQS::Queue", "QueueName", false),
    ("AWS::SSM::Document", "Name", true),
    ("AWS::SSM::Parameter", "Name", true),
    ("AWS::Scheduler::Schedule", "Name", true),
    ("AWS::Scheduler::ScheduleGroup", "Name", true),
    ("AWS::SecretsManager::Secret", "Name", false),
    ("AWS::StepFunctions::Activity", "Name", false),
    ("AWS::StepFunctions::StateMachine", "StateMachineName", false),
    ("AWS::WAFv2::WebACL", "Name", false),
];

/// Kinds whose identifier is not what `Ref` is.
const IDENTITIES: &[(&str, Identity)] = &[
    ("AWS::ApiGateway::Authorizer", Identity::Parts(&["RestApiId", "Ref"])),
    ("AWS::ApiGateway::Deployment", Identity::Parts(&["Ref", "RestApiId"])),
    ("AWS::ApiGateway::Method", Identity::Parts(&["RestApiId", "ResourceId", "HttpMethod"])),
    ("AWS::ApiGateway::Model", Identity::Parts(&["RestApiId", "Ref"])),
    ("AWS::ApiGateway::RequestValidator", Identity::Parts(&["RestApiId", "Ref"])),
    ("AWS::ApiGateway::Resource", Identity::Parts(&["RestApiId", "Ref"])),
    ("AWS::ApiGateway::Stage", Identity::Parts(&["RestApiId", "StageName"])),
    ("AWS::ApiGatewayV2::Integration", Identity::Parts(&["ApiId", "Ref"])),
    ("AWS::ApiGatewayV2::Route", Identity::Parts(&["ApiId", "Ref"])),
    (
        "AWS::ApplicationAutoScaling::ScalableTarget",
        Identity::Parts(&["ResourceId", "ScalableDimension", "ServiceNamespace"]),
    ),
    ("AWS::ApplicationAutoScaling::ScalingPolicy", Identity::Parts(&["Ref", "ScalableDimension"])),
    ("AWS::Cognito::UserPoolClient", Identity::Parts(&["UserPoolId", "Ref"])),
    ("AWS::Cognito::UserPoolGroup", Identity::Parts(&["UserPoolId", "GroupName"])),
    ("AWS::EC2::Route", Identity::Parts(&["RouteTableId", "DestinationCidrBlock"])),
    ("AWS::ECS::Service", Identity::Parts(&["Ref", "Cluster/"])),
    ("AWS::EKS::Addon", Identity::Parts(&["ClusterName", "AddonName"])),
    ("AWS::Events::Rule", Identity::Arn),
    ("AWS::IAM::RolePolicy", Identity::Parts(&["PolicyName", "RoleName"])),
    ("AWS::IAM::UserPolicy", Identity::Parts(&["PolicyName", "UserName"])),
    ("AWS::Lambda::Permission", Identity::Parts(&["FunctionName", "Ref"])),
    ("AWS::Logs::MetricFilter", Identity::Parts(&["LogGroupName", "Ref"])),
    ("AWS::Logs::SubscriptionFilter", Identity::Parts(&["Ref", "LogGroupName"])),
    ("AWS::Route53::RecordSet", Identity::Parts(&["Name.", "HostedZoneId", "Type", "SetIdentifier?"])),
];

/// What the ARN of a kind looks like; `{name}` is its `Ref` and `{last}` the last part of it.
const ARNS: &[(&str, &str)] = &[
    ("AWS::Athena::WorkGroup", "arn:{partition}:athena:{region}:{account}:workgroup/{name}"),
    ("AWS::CloudTrail::Trail", "arn:{partition}:cloudtrail:{region}:{account}:trail/{name}"),
    ("AWS::CloudWatch::Alarm", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"),
    ("AWS::CloudWatch::CompositeAlarm", "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"),
    ("AWS::CodeBuild::Project", "arn:{partition}:codebuild:{region}:{account}:project/{name}"),
    ("AWS::DynamoDB::Table", "arn:{partition}:dynamodb:{region}:{account}:table/{name}"),
    ("AWS::ECR::Repository", "arn:{partition}:ecr:{region}:{account}:repository/{name}"),
    ("AWS::ECS::Cluster", "arn:{partition}:ecs:{region}:{account}:cluster/{name}"),
    ("AWS::EFS::FileSystem", "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{name}"),
    ("AWS::EKS::Cluster", "arn:{partition}:eks:{region}:{account}:cluster/{name}"),
    ("AWS::Elasticsearch::Domain", "arn:{partition}:es:{region}:{account}:domain/{name}"),
    ("AWS::Events::EventBus", "arn:{partition}:events:{region}:{account}:event-bus/{name}"),
    ("AWS::Events::Rule", "arn:{partition}:events:{region}:{account}:rule/{name}"),
    ("AWS::IAM::Group", "arn:{partition}:iam::{account}:group{path}{name}"),
    ("AWS::IAM::InstanceProfile", "arn:{partition}:iam::{account}:instance-profile{path}{name}"),
    ("AWS::IAM::Role", "arn:{partition}:iam::{account}:role{path}{name}"),
    ("AWS::IAM::User", "arn:{partition}:iam::{account}:user{path}{name}"),
    ("AWS::KMS::Key", "arn:{partition}:kms:{region}:{account}:key/{name}"),
    ("AWS::Kinesis::Stream", "arn:{partition}:kinesis:{region}:{account}:stream/{name}"),
    ("AWS::KinesisFirehose::DeliveryStream", "arn:{partition}:firehose:{region}:{account}:deliverystream/{name}"),
    ("AWS::Lambda::Function", "arn:{partition}:lambda:{region}:{account}:function:{name}"),
    ("AWS::Logs::LogGroup", "arn:{partition}:logs:{region}:{account}:log-group:{name}:*"),
    ("AWS::OpenSearchService::Domain", "arn:{partition}:es:{region}:{account}:domain/{name}"),
    ("AWS::RDS::DBCluster", "arn:{partition}:rds:{region}:{account}:cluster:{name}"),
    ("AWS::RDS::DBInstance", "arn:{partition}:rds:{region}:{account}:db:{name}"),
    ("AWS::S3::Bucket", "arn:{partition}:s3:::{name}"),
    ("AWS::SQS::Queue", "arn:{partition}:sqs:{region}:{account}:{last}"),
];

/// Returns the property that holds the name that people know.
pub fn name_property(kind: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, ..)| *known == kind).map(|(_, property, _)| *property)
}

/// Returns the property that `Ref` is equal to, when it is given.
pub fn naming_property(kind: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _, is_reference)| *known == kind && *is_reference).map(|(_, property, _)| *property)
}

/// Returns how the primary identifier is made.
pub fn identity(kind: &str) -> Identity {
    IDENTITIES.iter().find(|(known, _)| *known == kind).map_or(Identity::Reference, |(_, identity)| *identity)
}

/// Returns the pattern of the ARN.
pub fn arn_pattern(kind: &str) -> Option<&'static str> {
    ARNS.iter().find(|(known, _)| *known == kind).map(|(_, pattern)| *pattern)
}

/// Returns why nothing of this kind can be found in a cloud.
pub fn unobservable(kind: &str) -> Option<&'static str> {
    const NOTHING: [&str; 5] = [
        "AWS::CDK::Metadata",
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudFormation::Macro",
        "AWS::CloudFormation::WaitCondition",
        "AWS::CloudFormation::WaitConditionHandle",
    ];
    if kind.starts_with("AWS::Serverless::") {
        Some("the transform makes other resources of it")
    } else if kind.starts_with("Custom::") || NOTHING.contains(&kind) {
        Some("the kind exists only in its stack")
    } else {
        None
    }
}

/// Returns what an attribute of a resource is.
pub fn attribute(kind: &str, name: &str) -> Attribute {
    match (kind, name) {
        ("AWS::SNS::Topic", "TopicArn")
        | ("AWS::EC2::SecurityGroup", "GroupId")
        | ("AWS::EC2::VPC", "VpcId")
        | ("AWS::EC2::Subnet", "SubnetId")
        | ("AWS::EC2::RouteTable", "RouteTableId")
        | ("AWS::EC2::InternetGateway", "InternetGatewayId")
        | ("AWS::EC2::NatGateway", "NatGatewayId")
        | ("AWS::EC2::LaunchTemplate", "LaunchTemplateId")
        | ("AWS::EFS::FileSystem", "FileSystemId")
        | ("AWS::EFS::AccessPoint", "AccessPointId")
        | ("AWS::KMS::Key", "KeyId")
        | ("AWS::SQS::Queue", "QueueUrl")
        | ("AWS::ApiGateway::RestApi", "RestApiId")
        | ("AWS::ApiGatewayV2::Api", "ApiId")
        | ("AWS::Cognito::UserPool", "UserPoolId") => Attribute::Reference,
        ("AWS::SQS::Queue", "QueueName") | ("AWS::SNS::Topic", "TopicName") | ("AWS::ECS::Service", "Name") => {
            Attribute::LastPart
        }
        (_, "Arn") | ("AWS::RDS::DBInstance", "DBInstanceArn") | ("AWS::RDS::DBCluster", "DBClusterArn") => {
            Attribute::Arn
        }
        _ => Attribute::Unknown,
    }
}

/// What an attribute of `Fn::GetAtt` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// What `Ref` is.
    Reference,
    /// The last part of what `Ref` is.
    LastPart,
    /// The ARN.
    Arn,
    /// Only the cloud knows.
    Unknown,
}
