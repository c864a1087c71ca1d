"""Changes things behind everybody's back, each in its own way, by the services' own APIs.

Each change is told as: its name, where, what kind, which resource by the identifier that `truth` gives, whether the resource is then changed,
missing or unmanaged, and the attribute in which it differs. What is chosen is the first by name that lends itself to the change.
"""
import json

import truth

CHANGES = []


def change(name, kind):
    """Registers a change to a resource of a kind. It returns whether that is then `changed`, `missing` or `unmanaged`, the attribute that
    differs, if one does, and of something new the identifier and the kinds that come with it; or nothing if it was not served."""
    def register(changer):
        CHANGES.append((name, kind, changer))
        return changer
    return register


def plant(places, kinds):
    """Makes the changes to the chosen kinds, each in the next place."""
    for at, (name, kind, changer) in enumerate(CHANGES):
        if kinds and kind not in kinds:
            continue
        there = sorted(truth.tell(places, {kind}), key=lambda line: (line["name"], line["account"], line["region"]))
        # Not what an account is born with, and not the role by which it is looked at.
        sown = [line for line in there if (line["name"] != line["id"] or kind not in UNNAMED) and line["name"] != "Reader"]
        turn = at % len(places)
        for line in (sown[turn:] + sown[:turn]):
            done = changer(home(places, line), line)
            if done:
                verb, attribute, *new = done
                identifier, also = new or (line["id"], [])
                for kind in [kind, *also]:
                    yield {"name": name, "kind": kind, "account": line["account"], "region": line["region"], "id": identifier,
                           "drift": verb, "attribute": attribute}
                break
        else:
            raise SystemExit(f"nothing lends itself to {name}; unserved: {places[0].tally.unserved()}")


# Kinds whose things are born with an account, too.
UNNAMED = {"AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::EC2::Volume", "AWS::Route53::RecordSet"}


def home(places, line):
    """Returns the place where a thing is changed; what is global is changed in the account's first."""
    ours = [place for place in places if place.account == line["account"]]
    return next((place for place in ours if place.region == line["region"]), ours[0])


def changed(answer, attribute):
    return ("changed", attribute) if answer is not None else None


@change("an open security group", "AWS::EC2::SecurityGroup")
def open_group(place, line):
    rule = {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "just for today"}]}
    return changed(place.call("ec2", "authorize_security_group_ingress", GroupId=line["id"], IpPermissions=[rule]), "SecurityGroupIngress")


@change("a rule that is gone", "AWS::EC2::SecurityGroup")
def shut_group(place, line):
    networks = [rule for rule in line["attributes"]["SecurityGroupIngress"] if "CidrIp" in rule]
    if len(networks) < 2:
        return None
    rule = {key: networks[0][key] for key in ("IpProtocol", "FromPort", "ToPort") if key in networks[0]}
    rule["IpRanges"] = [{"CidrIp": networks[0]["CidrIp"]}]
    return changed(place.call("ec2", "revoke_security_group_ingress", GroupId=line["id"], IpPermissions=[rule]), "SecurityGroupIngress")


@change("an instance without its team", "AWS::EC2::Instance")
def untag_instance(place, line):
    return changed(place.call("ec2", "delete_tags", Resources=[line["id"]], Tags=[{"Key": "team"}]), "Tags")


@change("a subnet that gives public addresses, or not any more", "AWS::EC2::Subnet")
def public_subnet(place, line):
    public = not line["attributes"]["MapPublicIpOnLaunch"]
    answer = place.call("ec2", "modify_subnet_attribute", SubnetId=line["id"], MapPublicIpOnLaunch={"Value": public})
    return changed(answer, "MapPublicIpOnLaunch")


@change("a volume that is gone", "AWS::EC2::Volume")
def delete_volume(place, line):
    return place.call("ec2", "delete_volume", VolumeId=line["id"]) and ("missing", None)


@change("a bucket without its public access block", "AWS::S3::Bucket")
def unblock_bucket(place, line):
    if not line["attributes"]["PublicAccessBlockConfiguration"]:
        return None
    return changed(place.call("s3", "delete_public_access_block", Bucket=line["id"]), "PublicAccessBlockConfiguration")


@change("a bucket without versions", "AWS::S3::Bucket")
def suspend_bucket(place, line):
    if line["attributes"]["VersioningConfiguration"] != {"Status": "Enabled"}:
        return None
    answer = place.call("s3", "put_bucket_versioning", Bucket=line["id"], VersioningConfiguration={"Status": "Suspended"})
    return changed(answer, "VersioningConfiguration")


@change("a bucket that nobody declared", "AWS::S3::Bucket")
def new_bucket(place, line):
    where = {} if place.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    name = f"nobodys-{place.account}"
    return place.call("s3", "create_bucket", Bucket=name, **where) and ("unmanaged", None, name, ["AWS::S3::BucketAcl"])


@change("a role that anybody may take", "AWS::IAM::Role")
def trust_role(place, line):
    anybody = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    answer = place.call("iam", "update_assume_role_policy", RoleName=line["id"], PolicyDocument=json.dumps(anybody))
    return changed(answer, "AssumeRolePolicyDocument")


@change("a role that may do everything", "AWS::IAM::Role")
def crown_role(place, line):
    answer = place.call("iam", "attach_role_policy", RoleName=line["id"], PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return changed(answer, "ManagedPolicyArns")


@change("a user with a policy of its own", "AWS::IAM::User")
def bless_user(place, line):
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    answer = place.call("iam", "put_user_policy", UserName=line["id"], PolicyName="everything", PolicyDocument=json.dumps(document))
    return changed(answer, "Policies")


@change("a policy with another version", "AWS::IAM::ManagedPolicy")
def widen_policy(place, line):
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    answer = place.call("iam", "create_policy_version", PolicyArn=line["id"], PolicyDocument=json.dumps(document), SetAsDefault=True)
    return changed(answer, "PolicyDocument")


@change("a key that does not rotate as it did", "AWS::KMS::Key")
def rotate_key(place, line):
    if not line["attributes"]["Enabled"]:
        return None
    operation = "disable_key_rotation" if line["attributes"]["EnableKeyRotation"] else "enable_key_rotation"
    return changed(place.call("kms", operation, KeyId=line["id"]), "EnableKeyRotation")


@change("a database kept for longer", "AWS::RDS::DBInstance")
def longer_database(place, line):
    days = line["attributes"]["BackupRetentionPeriod"] + 1
    answer = place.call("rds", "modify_db_instance", DBInstanceIdentifier=line["id"], BackupRetentionPeriod=days, ApplyImmediately=True)
    return changed(answer, "BackupRetentionPeriod")


@change("a table that may be deleted, or not any more", "AWS::DynamoDB::Table")
def bare_table(place, line):
    kept = not line["attributes"]["DeletionProtectionEnabled"]
    return changed(place.call("dynamodb", "update_table", TableName=line["id"], DeletionProtectionEnabled=kept), "DeletionProtectionEnabled")


@change("a queue with another patience", "AWS::SQS::Queue")
def hurry_queue(place, line):
    return changed(place.call("sqs", "set_queue_attributes", QueueUrl=line["id"], Attributes={"VisibilityTimeout": "99"}), "VisibilityTimeout")


@change("a topic with another name to show", "AWS::SNS::Topic")
def rename_topic(place, line):
    answer = place.call("sns", "set_topic_attributes", TopicArn=line["id"], AttributeName="DisplayName", AttributeValue="other")
    return changed(answer, "DisplayName")


@change("logs that are kept for a day", "AWS::Logs::LogGroup")
def forget_logs(place, line):
    return changed(place.call("logs", "put_retention_policy", logGroupName=line["id"], retentionInDays=1), "RetentionInDays")


@change("a log group that is gone", "AWS::Logs::LogGroup")
def delete_logs(place, line):
    return place.call("logs", "delete_log_group", logGroupName=line["id"]) and ("missing", None)


@change("a function in another mode", "AWS::Lambda::Function")
def other_function(place, line):
    answer = place.call("lambda", "update_function_configuration", FunctionName=line["id"], Environment={"Variables": {"MODE": "debug"}})
    return changed(answer, "Environment")


@change("a repository whose tags move, or not any more", "AWS::ECR::Repository")
def loose_repository(place, line):
    other = "MUTABLE" if line["attributes"]["ImageTagMutability"] == "IMMUTABLE" else "IMMUTABLE"
    return changed(place.call("ecr", "put_image_tag_mutability", repositoryName=line["id"], imageTagMutability=other), "ImageTagMutability")


@change("a parameter with another value", "AWS::SSM::Parameter")
def other_parameter(place, line):
    if "Value" not in line["attributes"]:
        return None
    answer = place.call("ssm", "put_parameter", Name=line["id"], Value="changed", Type=line["attributes"]["Type"], Overwrite=True,
                        Description=line["attributes"]["Description"])
    return changed(answer, "Value")


@change("a parameter that nobody declared", "AWS::SSM::Parameter")
def new_parameter(place, line):
    return place.call("ssm", "put_parameter", Name="/nobodys", Value="new", Type="String") and ("unmanaged", None, "/nobodys", [])


@change("a secret with another description", "AWS::SecretsManager::Secret")
def other_secret(place, line):
    return changed(place.call("secretsmanager", "update_secret", SecretId=line["id"], Description="other"), "Description")


@change("a table without its moments", "AWS::DynamoDB::Table")
def forget_table(place, line):
    kept = not line["attributes"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    answer = place.call("dynamodb", "update_continuous_backups", TableName=line["id"], PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": kept})
    return changed(answer, "PointInTimeRecoverySpecification")


@change("a queue without its team", "AWS::SQS::Queue")
def untag_queue(place, line):
    return changed(place.call("sqs", "untag_queue", QueueUrl=line["id"], TagKeys=["team"]), "Tags")


@change("a topic that tells somebody else, too", "AWS::SNS::Topic")
def leak_topic(place, line):
    if line["attributes"]["FifoTopic"]:
        return None
    answer = place.call("sns", "subscribe", TopicArn=line["id"], Protocol="lambda", Endpoint=f"arn:aws:lambda:{place.region}:999999999999:function:ear")
    return changed(answer, "Subscription")


@change("a function that anybody may call", "AWS::Lambda::FunctionPolicy")
def open_function(place, line):
    answer = place.call("lambda", "add_permission", FunctionName=line["id"], StatementId="anybody", Action="lambda:InvokeFunction", Principal="*")
    return changed(answer, "PolicyDocument")


@change("a function that takes all there is", "AWS::Lambda::Function")
def free_function(place, line):
    if line["attributes"]["ReservedConcurrentExecutions"] is None:
        return None
    return changed(place.call("lambda", "delete_function_concurrency", FunctionName=line["id"]), "ReservedConcurrentExecutions")


@change("a repository that anybody may pull from", "AWS::ECR::Repository")
def open_repository(place, line):
    pull = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
    return changed(place.call("ecr", "set_repository_policy", repositoryName=line["id"], policyText=json.dumps(pull)), "RepositoryPolicyText")


@change("a cluster of tasks without its team", "AWS::ECS::Cluster")
def untag_ecs(place, line):
    arn = f"arn:aws:ecs:{place.region}:{place.account}:cluster/{line['id']}"
    return changed(place.call("ecs", "untag_resource", resourceArn=arn, tagKeys=["team"]), "Tags")


@change("a service with one more", "AWS::ECS::Service")
def grow_service(place, line):
    service, cluster = line["id"].split("|")
    count = line["attributes"]["DesiredCount"] + 1
    return changed(place.call("ecs", "update_service", cluster=cluster, service=service, desiredCount=count), "DesiredCount")


@change("a cluster that is gone", "AWS::EKS::Cluster")
def delete_eks(place, line):
    return place.call("eks", "delete_cluster", name=line["id"]) and ("missing", None)


@change("an alarm that hears less", "AWS::CloudWatch::Alarm")
def deaf_alarm(place, line):
    same = {key: value for key, value in line["attributes"].items() if key not in ("Arn", "Tags")}
    return changed(place.call("cloudwatch", "put_metric_alarm", **{**same, "Threshold": 99.0}), "Threshold")


@change("a trail that stands still", "AWS::CloudTrail::Trail")
def stop_trail(place, line):
    return changed(place.call("cloudtrail", "stop_logging", Name=line["id"]), "IsLogging")


@change("a recorder that stands still, or not any more", "AWS::Config::ConfigurationRecorderStatus")
def stop_recorder(place, line):
    operation = "stop_configuration_recorder" if line["attributes"]["Recording"] else "start_configuration_recorder"
    return changed(place.call("config", operation, ConfigurationRecorderName=line["id"]), "Recording")


@change("a recorder of something else", "AWS::Config::ConfigurationRecorder")
def narrow_recorder(place, line):
    only = {"allSupported": False, "resourceTypes": ["AWS::SQS::Queue"]}
    recorder = {"name": line["id"], "roleARN": line["attributes"]["RoleARN"], "recordingGroup": only}
    return changed(place.call("config", "put_configuration_recorder", ConfigurationRecorder=recorder), "RecordingGroup")


@change("a history that goes elsewhere", "AWS::Config::DeliveryChannel")
def redirect_channel(place, line):
    channel = {"name": line["id"], "s3BucketName": line["attributes"]["S3BucketName"], "s3KeyPrefix": "elsewhere",
               "configSnapshotDeliveryProperties": {"deliveryFrequency": "Six_Hours"}}
    return changed(place.call("config", "put_delivery_channel", DeliveryChannel=channel), "S3KeyPrefix")


@change("a detector that is off", "AWS::GuardDuty::Detector")
def stop_detector(place, line):
    return changed(place.call("guardduty", "update_detector", DetectorId=line["id"], Enable=False), "Enable")


@change("a hub that is gone", "AWS::SecurityHub::Hub")
def leave_hub(place, line):
    return place.call("securityhub", "disable_security_hub") and ("missing", None)


@change("a cache without its team", "AWS::ElastiCache::CacheCluster")
def untag_cache(place, line):
    arn = place.ask("elasticache", "describe_cache_clusters", CacheClusterId=line["id"])["CacheClusters"][0]["ARN"]
    if not line["attributes"]["Tags"]:
        return None
    return changed(place.call("elasticache", "remove_tags_from_resource", ResourceName=arn, TagKeys=["team"]), "Tags")


@change("replicas with another description", "AWS::ElastiCache::ReplicationGroup")
def other_replicas(place, line):
    answer = place.call("elasticache", "modify_replication_group", ReplicationGroupId=line["id"], ReplicationGroupDescription="other")
    return changed(answer, "ReplicationGroupDescription")


@change("a search with more machines", "AWS::OpenSearchService::Domain")
def grow_domain(place, line):
    cluster = {**line["attributes"]["ClusterConfig"], "InstanceCount": 3}
    return changed(place.call("opensearch", "update_domain_config", DomainName=line["id"], ClusterConfig=cluster), "ClusterConfig")


@change("a certificate without its team", "AWS::CertificateManager::Certificate")
def untag_certificate(place, line):
    return changed(place.call("acm", "remove_tags_from_certificate", CertificateArn=line["id"], Tags=[{"Key": "team"}]), "Tags")


@change("a zone with another comment", "AWS::Route53::HostedZone")
def rename_zone(place, line):
    return changed(place.call("route53", "update_hosted_zone_comment", Id=line["id"], Comment="other"), "HostedZoneConfig")


@change("a name that leads elsewhere", "AWS::Route53::RecordSet")
def redirect_record(place, line):
    attributes = line["attributes"]
    if attributes["Type"] != "CNAME":
        return None
    record = {"Name": attributes["Name"], "Type": "CNAME", "TTL": int(attributes["TTL"]), "SetIdentifier": attributes["SetIdentifier"],
              "Weight": attributes["Weight"], "ResourceRecords": [{"Value": "elsewhere.example."}]}
    changes = [{"Action": "UPSERT", "ResourceRecordSet": record}]
    answer = place.call("route53", "change_resource_record_sets", HostedZoneId=attributes["HostedZoneId"], ChangeBatch={"Changes": changes})
    return changed(answer, "ResourceRecords")


@change("a name that nobody declared", "AWS::Route53::RecordSet")
def new_record(place, line):
    attributes = line["attributes"]
    if not attributes["Name"].startswith("host-"):
        return None
    zone = attributes["Name"].split(".", 1)[1]
    record = {"Name": f"nobodys.{zone}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.250"}]}
    changes = [{"Action": "CREATE", "ResourceRecordSet": record}]
    answer = place.call("route53", "change_resource_record_sets", HostedZoneId=attributes["HostedZoneId"], ChangeBatch={"Changes": changes})
    return answer and ("unmanaged", None, f"nobodys.{zone}|{attributes['HostedZoneId']}|A|", [])


@change("a distribution with another comment", "AWS::CloudFront::Distribution")
def other_distribution(place, line):
    found = place.ask("cloudfront", "get_distribution_config", Id=line["id"])
    config = {**found["DistributionConfig"], "Comment": "other"}
    answer = place.call("cloudfront", "update_distribution", Id=line["id"], IfMatch=found["ETag"], DistributionConfig=config)
    return changed(answer, "DistributionConfig")


@change("an interface with another description", "AWS::ApiGateway::RestApi")
def other_api(place, line):
    patch = [{"op": "replace", "path": "/description", "value": "other"}]
    return changed(place.call("apigateway", "update_rest_api", restApiId=line["id"], patchOperations=patch), "Description")
