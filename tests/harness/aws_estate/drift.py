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
            raise SystemExit(f"nothing lends itself to {name}")


# Kinds whose things are born with an account, too.
UNNAMED = {"AWS::EC2::SecurityGroup", "AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::EC2::Volume"}


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
    if line["attributes"]["Value"] is None:
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
