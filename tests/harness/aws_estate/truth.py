"""Tells what is there: for each kind, how Amazon's own client lists it, and what CloudFormation calls its parts.

Each teller yields (identifier, name, attributes). The name is the same wherever the estate is sown; what has no name of its own takes it
from its tag `Name`, and what lacks one, such as a network that an account is born with, has the identifier. Attributes are a part of what
CloudFormation has, plain and without doubt; one that is None is not set. One that says nothing of
some things is left out there.
"""
import json
import urllib.parse

TELLERS = []

GLOBAL = "-"


def told(kind, worldwide=False):
    def register(teller):
        TELLERS.append((kind, worldwide, teller))
        return teller
    return register


def tell(places, kinds):
    """Yields a line for each thing of the chosen kinds."""
    for kind, worldwide, teller in TELLERS:
        if kinds and kind not in kinds:
            continue
        entered = set()
        for place in places:
            if worldwide and place.account in entered:
                continue
            entered.add(place.account)
            for identifier, name, attributes, *region in teller(place):
                where = region[0] if region else GLOBAL if worldwide else place.region
                yield {"account": place.account, "region": where, "kind": kind, "id": identifier, "name": name or identifier, "attributes": attributes}


def tags(found, key="Key", value="Value"):
    """Returns tags in CloudFormation's form; Amazon's own are not part of a resource's."""
    ours = [{"Key": tag[key], "Value": tag.get(value, "")} for tag in found or [] if not tag[key].startswith("aws:")]
    return sorted(ours, key=lambda tag: tag["Key"])


def unless(place, codes, service, operation, **arguments):
    """Asks for what may not be set; then it is refused by one of these codes, which says the same as nothing."""
    try:
        return place.ask(service, operation, **arguments)
    except place.client(service).exceptions.ClientError as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise


def plain(value):
    """Returns what is left without the service's own envelope."""
    return {key: part for key, part in (value or {}).items() if key != "ResponseMetadata"}


def mapped(found):
    return [{"Key": key, "Value": value} for key, value in sorted((found or {}).items())]


def called(found):
    return next((tag["Value"] for tag in found or [] if tag["Key"] == "Name"), None)


def document(text):
    """Returns a policy that came as text, quoted for URLs or not."""
    if not text or isinstance(text, dict):
        return text or None
    return json.loads(text if text.lstrip().startswith("{") else urllib.parse.unquote(text))


# EC2.

@told("AWS::EC2::VPC")
def vpcs(place):
    for vpc in place.all("ec2", "describe_vpcs", "Vpcs"):
        def switch(name):
            answer = place.call("ec2", "describe_vpc_attribute", VpcId=vpc["VpcId"], Attribute=name)
            return answer and answer[name[0].upper() + name[1:]]["Value"]
        yield vpc["VpcId"], called(vpc.get("Tags")), {
            "CidrBlock": vpc["CidrBlock"], "InstanceTenancy": vpc["InstanceTenancy"], "EnableDnsSupport": switch("enableDnsSupport"),
            "EnableDnsHostnames": switch("enableDnsHostnames"), "Tags": tags(vpc.get("Tags"))}


@told("AWS::EC2::Subnet")
def subnets(place):
    for subnet in place.all("ec2", "describe_subnets", "Subnets"):
        yield subnet["SubnetId"], called(subnet.get("Tags")), {
            "VpcId": subnet["VpcId"], "CidrBlock": subnet["CidrBlock"], "AvailabilityZone": subnet["AvailabilityZone"],
            "MapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"], "Tags": tags(subnet.get("Tags"))}


@told("AWS::EC2::InternetGateway")
def gateways(place):
    for gateway in place.all("ec2", "describe_internet_gateways", "InternetGateways"):
        yield gateway["InternetGatewayId"], called(gateway.get("Tags")), {"Tags": tags(gateway.get("Tags"))}


@told("AWS::EC2::RouteTable")
def route_tables(place):
    for table in place.all("ec2", "describe_route_tables", "RouteTables"):
        yield table["RouteTableId"], called(table.get("Tags")), {"VpcId": table["VpcId"], "Tags": tags(table.get("Tags"))}


@told("AWS::EC2::EIP")
def addresses(place):
    for address in place.all("ec2", "describe_addresses", "Addresses"):
        yield f"{address['PublicIp']}|{address['AllocationId']}", called(address.get("Tags")), {
            "Domain": address["Domain"], "Tags": tags(address.get("Tags"))}


@told("AWS::EC2::NatGateway")
def nats(place):
    for nat in place.all("ec2", "describe_nat_gateways", "NatGateways"):
        if nat["State"] in ("deleted", "deleting", "failed"):
            continue
        yield nat["NatGatewayId"], called(nat.get("Tags")), {
            "SubnetId": nat["SubnetId"], "AllocationId": next((address.get("AllocationId") for address in nat["NatGatewayAddresses"]), None),
            "ConnectivityType": nat.get("ConnectivityType"), "Tags": tags(nat.get("Tags"))}


@told("AWS::EC2::NetworkAcl")
def network_acls(place):
    for acl in place.all("ec2", "describe_network_acls", "NetworkAcls"):
        yield acl["NetworkAclId"], called(acl.get("Tags")), {"VpcId": acl["VpcId"], "Tags": tags(acl.get("Tags"))}


@told("AWS::EC2::VPCEndpoint")
def endpoints(place):
    for endpoint in place.all("ec2", "describe_vpc_endpoints", "VpcEndpoints"):
        yield endpoint["VpcEndpointId"], called(endpoint.get("Tags")), {
            "VpcId": endpoint["VpcId"], "ServiceName": endpoint["ServiceName"], "VpcEndpointType": endpoint["VpcEndpointType"],
            "RouteTableIds": sorted(endpoint.get("RouteTableIds") or []), "Tags": tags(endpoint.get("Tags"))}


@told("AWS::EC2::PrefixList")
def prefix_lists(place):
    for found in place.all("ec2", "describe_managed_prefix_lists", "PrefixLists"):
        if found["OwnerId"] != place.account:
            continue
        entries = place.all("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=found["PrefixListId"])
        yield found["PrefixListId"], found["PrefixListName"], {
            "PrefixListName": found["PrefixListName"], "AddressFamily": found["AddressFamily"], "MaxEntries": found["MaxEntries"],
            "Entries": [{"Cidr": entry["Cidr"], "Description": entry.get("Description")} for entry in entries], "Tags": tags(found.get("Tags"))}


@told("AWS::EC2::SecurityGroup")
def security_groups(place):
    for group in place.all("ec2", "describe_security_groups", "SecurityGroups"):
        own = group["GroupName"] != "default"
        yield group["GroupId"], group["GroupName"] if own else None, {
            "GroupName": group["GroupName"], "GroupDescription": group["Description"], "VpcId": group["VpcId"],
            "SecurityGroupIngress": rules(group["IpPermissions"], "Source"), "SecurityGroupEgress": rules(group["IpPermissionsEgress"], "Destination"),
            "Tags": tags(group.get("Tags"))}


def rules(permissions, end):
    """Returns one rule for each peer, as CloudFormation has them."""
    found = []
    for permission in permissions:
        base = {"IpProtocol": permission["IpProtocol"], "FromPort": permission.get("FromPort"), "ToPort": permission.get("ToPort")}
        peers = [({"CidrIp": peer["CidrIp"]}, peer) for peer in permission.get("IpRanges", [])]
        peers += [({"CidrIpv6": peer["CidrIpv6"]}, peer) for peer in permission.get("Ipv6Ranges", [])]
        peers += [({f"{end}PrefixListId": peer["PrefixListId"]}, peer) for peer in permission.get("PrefixListIds", [])]
        peers += [({f"{end}SecurityGroupId": peer["GroupId"]}, peer) for peer in permission.get("UserIdGroupPairs", [])]
        for what, peer in peers:
            rule = {**base, **what, "Description": peer.get("Description") or None}
            found.append({key: value for key, value in rule.items() if value is not None})
    return found


@told("AWS::EC2::NetworkInterface")
def interfaces(place):
    for interface in place.all("ec2", "describe_network_interfaces", "NetworkInterfaces"):
        described = interface.get("Description") or None
        # Not by its tag: not everywhere is it told.
        yield interface["NetworkInterfaceId"], described if (described or "").startswith("eni-") else None, {
            "SubnetId": interface["SubnetId"], "Description": described, "SourceDestCheck": interface.get("SourceDestCheck"),
            "GroupSet": sorted(group["GroupId"] for group in interface["Groups"]), "Tags": tags(interface.get("TagSet"))}


@told("AWS::EC2::Instance")
def instances(place):
    for reservation in place.all("ec2", "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            # What is terminated is still told of for an hour, and is no more.
            if instance["State"]["Name"] in ("terminated", "shutting-down"):
                continue
            yield instance["InstanceId"], called(instance.get("Tags")), {
                "InstanceType": instance["InstanceType"], "ImageId": instance["ImageId"], "SubnetId": instance["SubnetId"],
                "SecurityGroupIds": sorted(group["GroupId"] for group in instance["SecurityGroups"]), "EbsOptimized": instance.get("EbsOptimized"),
                "SourceDestCheck": instance.get("SourceDestCheck"), "Tags": tags(instance.get("Tags"))}


@told("AWS::EC2::Volume")
def volumes(place):
    for volume in place.all("ec2", "describe_volumes", "Volumes"):
        yield volume["VolumeId"], called(volume.get("Tags")), {
            "Size": volume["Size"], "VolumeType": volume["VolumeType"], "Encrypted": volume["Encrypted"], "AvailabilityZone": volume["AvailabilityZone"],
            "KmsKeyId": volume.get("KmsKeyId"), "Tags": tags(volume.get("Tags")), **({"Iops": volume["Iops"]} if volume["VolumeType"] == "io1" else {})}


@told("AWS::EC2::Snapshot")
def snapshots(place):
    for snapshot in place.all("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"]):
        yield snapshot["SnapshotId"], called(snapshot.get("Tags")), {
            "VolumeId": snapshot["VolumeId"], "Encrypted": snapshot["Encrypted"], "Description": snapshot.get("Description"),
            "Tags": tags(snapshot.get("Tags"))}


@told("AWS::EC2::LaunchTemplate")
def launch_templates(place):
    for template in place.all("ec2", "describe_launch_templates", "LaunchTemplates"):
        yield template["LaunchTemplateId"], template["LaunchTemplateName"], {"LaunchTemplateName": template["LaunchTemplateName"]}


# IAM.

def held(place, what, name):
    """Returns what a role, user or group may: attached and inline policies."""
    argument = {f"{what.capitalize()}Name": name}
    attached = place.all("iam", f"list_attached_{what}_policies", "AttachedPolicies", **argument)
    inline = place.all("iam", f"list_{what}_policies", "PolicyNames", **argument)
    documents = [place.ask("iam", f"get_{what}_policy", PolicyName=policy, **argument)["PolicyDocument"] for policy in sorted(inline)]
    return {"ManagedPolicyArns": sorted(policy["PolicyArn"] for policy in attached),
            "Policies": [{"PolicyName": policy, "PolicyDocument": document(text)} for policy, text in zip(sorted(inline), documents)]}


@told("AWS::IAM::Role", worldwide=True)
def roles(place):
    for role in place.all("iam", "list_roles", "Roles"):
        name = role["RoleName"]
        yield name, name, {
            "RoleName": name, "Path": role["Path"], "AssumeRolePolicyDocument": document(role["AssumeRolePolicyDocument"]),
            "Description": role.get("Description") or None, "MaxSessionDuration": role.get("MaxSessionDuration"),
            "Tags": tags(place.all("iam", "list_role_tags", "Tags", RoleName=name)), **held(place, "role", name)}


@told("AWS::IAM::User", worldwide=True)
def users(place):
    for user in place.all("iam", "list_users", "Users"):
        name = user["UserName"]
        yield name, name, {
            "UserName": name, "Path": user["Path"],
            "Groups": sorted(group["GroupName"] for group in place.all("iam", "list_groups_for_user", "Groups", UserName=name)),
            "Tags": tags(place.all("iam", "list_user_tags", "Tags", UserName=name)), **held(place, "user", name)}


@told("AWS::IAM::Group", worldwide=True)
def groups(place):
    for group in place.all("iam", "list_groups", "Groups"):
        name = group["GroupName"]
        yield name, name, {"GroupName": name, "Path": group["Path"], **held(place, "group", name)}


@told("AWS::IAM::ManagedPolicy", worldwide=True)
def managed_policies(place):
    for policy in place.all("iam", "list_policies", "Policies", Scope="Local"):
        version = place.ask("iam", "get_policy_version", PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        held_by = place.ask("iam", "list_entities_for_policy", PolicyArn=policy["Arn"])
        yield policy["Arn"], policy["PolicyName"], {
            "ManagedPolicyName": policy["PolicyName"], "Path": policy["Path"], "PolicyDocument": document(version["Document"]),
            "Roles": sorted(role["RoleName"] for role in held_by["PolicyRoles"]),
            "Users": sorted(user["UserName"] for user in held_by["PolicyUsers"]),
            "Groups": sorted(group["GroupName"] for group in held_by["PolicyGroups"])}


@told("AWS::IAM::InstanceProfile", worldwide=True)
def profiles(place):
    for profile in place.all("iam", "list_instance_profiles", "InstanceProfiles"):
        name = profile["InstanceProfileName"]
        yield name, name, {"InstanceProfileName": name, "Path": profile["Path"], "Roles": [role["RoleName"] for role in profile["Roles"]]}


# Keys.

@told("AWS::KMS::Key")
def keys(place):
    for key in place.all("kms", "list_keys", "Keys"):
        facts = place.ask("kms", "describe_key", KeyId=key["KeyId"])["KeyMetadata"]
        if facts.get("KeyManager") == "AWS":
            continue
        found = place.all("kms", "list_resource_tags", "Tags", KeyId=key["KeyId"])
        rotates = place.call("kms", "get_key_rotation_status", KeyId=key["KeyId"])
        yield key["KeyId"], next((tag["TagValue"] for tag in found if tag["TagKey"] == "Name"), None), {
            "Description": facts["Description"], "Enabled": facts["Enabled"], "KeySpec": facts.get("KeySpec"), "KeyUsage": facts.get("KeyUsage"),
            "MultiRegion": facts.get("MultiRegion"), "EnableKeyRotation": rotates and rotates["KeyRotationEnabled"],
            "KeyPolicy": document(place.ask("kms", "get_key_policy", KeyId=key["KeyId"], PolicyName="default")["Policy"]),
            "Tags": tags(found, "TagKey", "TagValue")}


@told("AWS::KMS::Alias")
def aliases(place):
    for alias in place.all("kms", "list_aliases", "Aliases"):
        if not alias["AliasName"].startswith("alias/aws/"):
            yield alias["AliasName"], alias["AliasName"], {"AliasName": alias["AliasName"], "TargetKeyId": alias["TargetKeyId"]}


# Stores.

@told("AWS::S3::Bucket", worldwide=True)
def buckets(place):
    # Not by pages: an emulator that cuts the list tells no token for the rest.
    for bucket in (place.call("s3", "list_buckets") or {}).get("Buckets", []):
        name = bucket["Name"]
        region = place.ask("s3", "get_bucket_location", Bucket=name).get("LocationConstraint") or "us-east-1"
        yield name, name, {"BucketName": name, **bucket_parts(place, name)}, region


def bucket_parts(place, name):
    """Returns what is set on a bucket; what was never set is refused, which says the same as nothing."""
    def part(operation, key):
        try:
            return place.ask("s3", operation, Bucket=name).get(key)
        except place.client("s3").exceptions.ClientError as error:
            if error.response["Error"]["Code"].startswith("NoSuch") or "NotFound" in error.response["Error"]["Code"]:
                return None
            raise
    encryption = part("get_bucket_encryption", "ServerSideEncryptionConfiguration")
    controls = part("get_bucket_ownership_controls", "OwnershipControls")
    versioning = part("get_bucket_versioning", "Status")
    return {
        "PublicAccessBlockConfiguration": part("get_public_access_block", "PublicAccessBlockConfiguration"),
        "VersioningConfiguration": versioning and {"Status": versioning}, "Tags": tags(part("get_bucket_tagging", "TagSet")),
        "OwnershipControls": controls and {"Rules": controls["Rules"]}, "LifecycleConfiguration": lifecycle(part("get_bucket_lifecycle_configuration", "Rules")),
        "BucketEncryption": encryption and {"ServerSideEncryptionConfiguration": [encrypted(rule) for rule in encryption["Rules"]]}}


def encrypted(rule):
    default = rule["ApplyServerSideEncryptionByDefault"]
    stated = {"SSEAlgorithm": default["SSEAlgorithm"], "KMSMasterKeyID": default.get("KMSMasterKeyID")}
    return {"ServerSideEncryptionByDefault": {key: value for key, value in stated.items() if value},
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False)}


def lifecycle(rules):
    """Returns rules such as this estate has: of the API's own form they keep what CloudFormation calls otherwise."""
    if not rules:
        return None
    return {"Rules": [{"Id": rule["ID"], "Status": rule["Status"], "Prefix": rule.get("Filter", {}).get("Prefix", rule.get("Prefix")),
                       "ExpirationInDays": rule["Expiration"]["Days"],
                       "NoncurrentVersionExpiration": {"NoncurrentDays": rule["NoncurrentVersionExpiration"]["NoncurrentDays"]}} for rule in rules]}


@told("AWS::S3::BucketPolicy", worldwide=True)
def bucket_policies(place):
    for bucket in (place.call("s3", "list_buckets") or {}).get("Buckets", []):
        name = bucket["Name"]
        try:
            text = place.ask("s3", "get_bucket_policy", Bucket=name)["Policy"]
        except place.client("s3").exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
                continue
            raise
        region = place.ask("s3", "get_bucket_location", Bucket=name).get("LocationConstraint") or "us-east-1"
        yield name, name, {"Bucket": name, "PolicyDocument": document(text)}, region


@told("AWS::S3::BucketAcl", worldwide=True)
def bucket_acls(place):
    for bucket in (place.call("s3", "list_buckets") or {}).get("Buckets", []):
        name = bucket["Name"]
        grants = place.ask("s3", "get_bucket_acl", Bucket=name)["Grants"]
        region = place.ask("s3", "get_bucket_location", Bucket=name).get("LocationConstraint") or "us-east-1"
        yield name, name, {"Bucket": name, "Grants": [{"Permission": grant["Permission"]} for grant in grants]}, region


@told("AWS::RDS::DBInstance")
def databases(place):
    for database in place.all("rds", "describe_db_instances", "DBInstances"):
        name = database["DBInstanceIdentifier"]
        yield name, name, {
            "DBInstanceIdentifier": name, "DBInstanceClass": database["DBInstanceClass"], "Engine": database["Engine"],
            "AllocatedStorage": str(database["AllocatedStorage"]), "StorageEncrypted": database["StorageEncrypted"], "MultiAZ": database["MultiAZ"],
            "PubliclyAccessible": database["PubliclyAccessible"], "BackupRetentionPeriod": database["BackupRetentionPeriod"],
            "DeletionProtection": database["DeletionProtection"], "MasterUsername": database["MasterUsername"],
            "EngineVersion": database["EngineVersion"], "StorageType": database.get("StorageType"), "Port": str(database["Endpoint"]["Port"]),
            "AutoMinorVersionUpgrade": database["AutoMinorVersionUpgrade"], "CopyTagsToSnapshot": database["CopyTagsToSnapshot"],
            "EnableIAMDatabaseAuthentication": database["IAMDatabaseAuthenticationEnabled"], "DBInstanceArn": database["DBInstanceArn"],
            "KmsKeyId": database.get("KmsKeyId"), "Tags": tags(database.get("TagList"))}


@told("AWS::RDS::DBCluster")
def clusters(place):
    for cluster in place.all("rds", "describe_db_clusters", "DBClusters"):
        name = cluster["DBClusterIdentifier"]
        yield name, name, {
            "DBClusterIdentifier": name, "Engine": cluster["Engine"], "StorageEncrypted": cluster["StorageEncrypted"],
            "BackupRetentionPeriod": cluster["BackupRetentionPeriod"], "DeletionProtection": cluster.get("DeletionProtection"),
            "Tags": tags(cluster.get("TagList"))}


@told("AWS::RDS::DBSubnetGroup")
def subnet_groups(place):
    for group in place.all("rds", "describe_db_subnet_groups", "DBSubnetGroups"):
        name = group["DBSubnetGroupName"]
        yield name, name, {
            "DBSubnetGroupName": name, "DBSubnetGroupDescription": group["DBSubnetGroupDescription"], "DBSubnetGroupArn": group["DBSubnetGroupArn"],
            "SubnetIds": [subnet["SubnetIdentifier"] for subnet in group["Subnets"]],
            "Tags": tags(place.all("rds", "list_tags_for_resource", "TagList", ResourceName=group["DBSubnetGroupArn"]))}


def sharing(answer, kind):
    """Returns who may restore a snapshot: everybody, and accounts; nothing where that is not told."""
    if not answer:
        return {}
    attributes = answer[f"{kind}AttributesResult"].get(f"{kind}Attributes") or []
    values = [value for attribute in attributes if attribute["AttributeName"] == "restore" for value in attribute.get("AttributeValues") or []]
    return {"IsPublic": "all" in values, "SharedWith": [value for value in values if value != "all"]}


@told("AWS::RDS::DBSnapshot")
def database_snapshots(place):
    for snapshot in place.all("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual"):
        name = snapshot["DBSnapshotIdentifier"]
        found = place.call("rds", "describe_db_snapshot_attributes", DBSnapshotIdentifier=name)
        yield name, name, {
            "DBSnapshotIdentifier": name, "DBInstanceIdentifier": snapshot["DBInstanceIdentifier"], "DBSnapshotArn": snapshot["DBSnapshotArn"],
            "Engine": snapshot["Engine"], "EngineVersion": snapshot.get("EngineVersion"), "Encrypted": snapshot["Encrypted"],
            "AllocatedStorage": snapshot.get("AllocatedStorage"), "Status": snapshot["Status"], "StorageType": snapshot.get("StorageType"),
            "KmsKeyId": snapshot.get("KmsKeyId"), "Tags": tags(snapshot.get("TagList")), **sharing(found, "DBSnapshot")}


@told("AWS::RDS::DBClusterSnapshot")
def cluster_snapshots(place):
    for snapshot in place.all("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots", SnapshotType="manual"):
        name = snapshot["DBClusterSnapshotIdentifier"]
        found = place.call("rds", "describe_db_cluster_snapshot_attributes", DBClusterSnapshotIdentifier=name)
        yield name, name, {
            "DBClusterSnapshotIdentifier": name, "DBClusterIdentifier": snapshot["DBClusterIdentifier"],
            "DBClusterSnapshotArn": snapshot["DBClusterSnapshotArn"], "Engine": snapshot["Engine"], "StorageEncrypted": snapshot.get("StorageEncrypted"),
            "Status": snapshot["Status"], "KmsKeyId": snapshot.get("KmsKeyId"), "Tags": tags(snapshot.get("TagList")),
            **sharing(found, "DBClusterSnapshot")}


@told("AWS::DynamoDB::Table")
def tables(place):
    for name in place.all("dynamodb", "list_tables", "TableNames"):
        table = place.ask("dynamodb", "describe_table", TableName=name)["Table"]
        backups = place.ask("dynamodb", "describe_continuous_backups", TableName=name)["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
        throughput = table.get("ProvisionedThroughput", {})
        mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
        sealed, expiry = table.get("SSEDescription") or {}, place.ask("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
        expires = expiry.get("TimeToLiveStatus") == "ENABLED"
        indexes = [{"IndexName": index["IndexName"], "KeySchema": index["KeySchema"], "Projection": index["Projection"]}
                   for index in table.get("GlobalSecondaryIndexes") or []]
        yield name, name, {
            "GlobalSecondaryIndexes": indexes, "StreamSpecification": stream(table.get("StreamSpecification")),
            "SSESpecification": {"SSEEnabled": True, "SSEType": sealed["SSEType"], "KMSMasterKeyId": sealed["KMSMasterKeyArn"]}
            if sealed.get("Status") == "ENABLED" else {"SSEEnabled": False},
            "TimeToLiveSpecification": {"Enabled": expires, **({"AttributeName": expiry["AttributeName"]} if expires else {})},
            "Arn": table["TableArn"], "StreamArn": table.get("LatestStreamArn"),
            "TableName": name, "KeySchema": table["KeySchema"], "AttributeDefinitions": table["AttributeDefinitions"], "BillingMode": mode,
            **({"ProvisionedThroughput": {key: throughput[key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")}} if mode == "PROVISIONED" else {}),
            "DeletionProtectionEnabled": table.get("DeletionProtectionEnabled"),
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery},
            "Tags": tags(place.all("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=table["TableArn"]))}


def stream(found):
    return {"StreamViewType": found["StreamViewType"]} if found and found.get("StreamEnabled") else None


@told("AWS::ElastiCache::CacheCluster")
def caches(place):
    for cache in place.all("elasticache", "describe_cache_clusters", "CacheClusters"):
        name = cache["CacheClusterId"]
        yield name, name, {"ClusterName": name, "Engine": cache["Engine"], "CacheNodeType": cache["CacheNodeType"], "NumCacheNodes": cache["NumCacheNodes"],
                           "Tags": tags(place.ask("elasticache", "list_tags_for_resource", ResourceName=cache["ARN"])["TagList"])}


@told("AWS::ElastiCache::ReplicationGroup")
def replication_groups(place):
    same = ["ReplicationGroupId", "CacheNodeType", "AtRestEncryptionEnabled", "TransitEncryptionEnabled", "SnapshotRetentionLimit", "Engine"]
    for group in place.all("elasticache", "describe_replication_groups", "ReplicationGroups"):
        name = group["ReplicationGroupId"]
        yield name, name, {
            **{key: group[key] for key in same if key in group}, "ReplicationGroupDescription": group["Description"],
            "AutomaticFailoverEnabled": group["AutomaticFailover"] in ("enabled", "enabling"), "NumCacheClusters": len(group["MemberClusters"]),
            "Tags": tags(place.ask("elasticache", "list_tags_for_resource", ResourceName=group["ARN"])["TagList"])}


@told("AWS::OpenSearchService::Domain")
def domains(place):
    for name in [domain["DomainName"] for domain in place.all("opensearch", "list_domain_names", "DomainNames")]:
        domain = place.ask("opensearch", "describe_domain", DomainName=name)["DomainStatus"]
        cluster = domain["ClusterConfig"]
        yield name, name, {
            "DomainName": name, "EngineVersion": domain["EngineVersion"],
            "ClusterConfig": {key: cluster[key] for key in ("InstanceType", "InstanceCount")},
            "EBSOptions": {key: domain["EBSOptions"][key] for key in ("EBSEnabled", "VolumeSize")},
            "DomainEndpointOptions": {"EnforceHTTPS": domain["DomainEndpointOptions"]["EnforceHTTPS"]}, "Arn": domain["ARN"],
            "EncryptionAtRestOptions": {"Enabled": domain["EncryptionAtRestOptions"]["Enabled"]},
            "NodeToNodeEncryptionOptions": {"Enabled": domain["NodeToNodeEncryptionOptions"]["Enabled"]},
            "Tags": tags((place.call("opensearch", "list_tags", ARN=domain["ARN"]) or {}).get("TagList"))}


# Messages, logs and alarms.

@told("AWS::SQS::Queue")
def queues(place):
    for url in place.all("sqs", "list_queues", "QueueUrls"):
        found = place.ask("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
        name = found["QueueArn"].split(":")[-1]
        redrive = found.get("RedrivePolicy")
        yield url, name, {
            "QueueName": name, "VisibilityTimeout": int(found["VisibilityTimeout"]), "MessageRetentionPeriod": int(found["MessageRetentionPeriod"]),
            "DelaySeconds": int(found["DelaySeconds"]), "ReceiveMessageWaitTimeSeconds": int(found["ReceiveMessageWaitTimeSeconds"]),
            "MaximumMessageSize": int(found["MaximumMessageSize"]), "Arn": found["QueueArn"], "QueueUrl": url, "KmsMasterKeyId": found.get("KmsMasterKeyId") or None,
            **({"SqsManagedSseEnabled": found["SqsManagedSseEnabled"] == "true"} if "SqsManagedSseEnabled" in found else {}),
            "FifoQueue": True if found.get("FifoQueue") == "true" else None,
            **({"ContentBasedDeduplication": found["ContentBasedDeduplication"] == "true"} if found.get("FifoQueue") == "true" else {}),
            "RedrivePolicy": json.loads(redrive) if redrive else None,
            "Tags": mapped(place.ask("sqs", "list_queue_tags", QueueUrl=url).get("Tags"))}


@told("AWS::SNS::Topic")
def topics(place):
    for topic in place.all("sns", "list_topics", "Topics"):
        arn = topic["TopicArn"]
        found = place.ask("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
        yield arn, arn.split(":")[-1], {
            "TopicName": arn.split(":")[-1], "DisplayName": found.get("DisplayName") or None, "KmsMasterKeyId": found.get("KmsMasterKeyId") or None,
            "FifoTopic": found.get("FifoTopic") == "true",
            **({"ContentBasedDeduplication": found["ContentBasedDeduplication"] == "true"} if found.get("FifoTopic") == "true" else {}),
            "Subscription": [{"Endpoint": one["Endpoint"], "Protocol": one["Protocol"]}
                             for one in place.all("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)],
            "Tags": tags(place.ask("sns", "list_tags_for_resource", ResourceArn=arn)["Tags"])}


@told("AWS::Logs::LogGroup")
def log_groups(place):
    for group in place.all("logs", "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        found = place.ask("logs", "list_tags_log_group", logGroupName=name)["tags"]
        yield name, name, {"LogGroupName": name, "RetentionInDays": group.get("retentionInDays"), "KmsKeyId": group.get("kmsKeyId"),
                           "Arn": group["arn"], "Tags": mapped(found)}


@told("AWS::CloudWatch::Alarm")
def alarms(place):
    same = ["AlarmName", "AlarmDescription", "Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator",
            "TreatMissingData", "Dimensions", "AlarmActions", "ActionsEnabled"]
    for alarm in place.all("cloudwatch", "describe_alarms", "MetricAlarms"):
        yield alarm["AlarmName"], alarm["AlarmName"], {
            **{key: alarm[key] for key in same if alarm.get(key)}, "Arn": alarm["AlarmArn"],
            "Tags": tags(place.ask("cloudwatch", "list_tags_for_resource", ResourceARN=alarm["AlarmArn"])["Tags"])}


@told("AWS::CloudTrail::Trail")
def trails(place):
    for trail in (place.call("cloudtrail", "describe_trails", includeShadowTrails=False) or {}).get("trailList", []):
        status = place.ask("cloudtrail", "get_trail_status", Name=trail["TrailARN"])
        yield trail["Name"], trail["Name"], {
            "TrailName": trail["Name"], "S3BucketName": trail["S3BucketName"], "IsMultiRegionTrail": trail["IsMultiRegionTrail"],
            "IncludeGlobalServiceEvents": trail["IncludeGlobalServiceEvents"], "EnableLogFileValidation": trail["LogFileValidationEnabled"],
            "IsLogging": status["IsLogging"], "EventSelectors": plain(place.ask("cloudtrail", "get_event_selectors", TrailName=trail["Name"])).get("EventSelectors"),
            "Tags": tags(place.ask("cloudtrail", "list_tags", ResourceIdList=[trail["TrailARN"]])["ResourceTagList"][0]["TagsList"])}


@told("AWS::Config::ConfigurationRecorder")
def recorders(place):
    for recorder in place.ask("config", "describe_configuration_recorders")["ConfigurationRecorders"]:
        group = recorder["recordingGroup"]
        yield recorder["name"], recorder["name"], {
            "Name": recorder["name"], "RoleARN": recorder["roleARN"],
            "RecordingGroup": {"AllSupported": group["allSupported"], "ResourceTypes": group.get("resourceTypes")}}


@told("AWS::Config::ConfigurationRecorderStatus")
def recorder_statuses(place):
    for status in place.ask("config", "describe_configuration_recorder_status")["ConfigurationRecordersStatus"]:
        yield status["name"], status["name"], {"Name": status["name"], "Recording": status["recording"]}


@told("AWS::Config::DeliveryChannel")
def delivery_channels(place):
    for channel in place.ask("config", "describe_delivery_channels")["DeliveryChannels"]:
        often = channel["configSnapshotDeliveryProperties"]["deliveryFrequency"]
        yield channel["name"], channel["name"], {
            "Name": channel["name"], "S3BucketName": channel["s3BucketName"], "S3KeyPrefix": channel.get("s3KeyPrefix"),
            "ConfigSnapshotDeliveryProperties": {"DeliveryFrequency": often}}


@told("AWS::GuardDuty::Detector")
def detectors(place):
    for identifier in place.all("guardduty", "list_detectors", "DetectorIds"):
        found = place.ask("guardduty", "get_detector", DetectorId=identifier)
        yield identifier, (found.get("Tags") or {}).get("Name"), {
            "Enable": found["Status"] == "ENABLED", "FindingPublishingFrequency": found["FindingPublishingFrequency"], "Tags": mapped(found.get("Tags"))}


@told("AWS::SecurityHub::Hub")
def hubs(place):
    hub = place.call("securityhub", "describe_hub")
    if hub:
        yield hub["HubArn"], hub["HubArn"], {"AutoEnableControls": hub["AutoEnableControls"], "ControlFindingGenerator": hub["ControlFindingGenerator"]}


# Balancers, and what scales behind them.

@told("AWS::ElasticLoadBalancingV2::LoadBalancer")
def balancers(place):
    for balancer in place.all("elbv2", "describe_load_balancers", "LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        yield arn, balancer["LoadBalancerName"], {
            "IpAddressType": balancer["IpAddressType"], "LoadBalancerAttributes": place.ask(
                "elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)["Attributes"],
            "Name": balancer["LoadBalancerName"], "Scheme": balancer["Scheme"], "Type": balancer["Type"],
            "Subnets": sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"]), "SecurityGroups": sorted(balancer.get("SecurityGroups") or []),
            "Tags": balancer_tags(place, arn)}


def balancer_tags(place, arn):
    return tags(place.ask("elbv2", "describe_tags", ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


@told("AWS::ElasticLoadBalancingV2::TargetGroup")
def target_groups(place):
    same = ["Port", "Protocol", "VpcId", "TargetType", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount", "UnhealthyThresholdCount", "HealthCheckProtocol", "HealthCheckPort", "Matcher"]
    for target in place.all("elbv2", "describe_target_groups", "TargetGroups"):
        arn = target["TargetGroupArn"]
        yield arn, target["TargetGroupName"], {"Name": target["TargetGroupName"], **{key: target.get(key) for key in same}, "Tags": balancer_tags(place, arn)}


@told("AWS::ElasticLoadBalancingV2::Listener")
def listeners(place):
    for balancer in place.all("elbv2", "describe_load_balancers", "LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        for listener in place.all("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
            yield listener["ListenerArn"], f"{balancer['LoadBalancerName']}:{listener['Port']}", {
                "LoadBalancerArn": arn, "Port": listener["Port"], "Protocol": listener["Protocol"],
                "DefaultActions": [action(found) for found in listener["DefaultActions"]]}


def action(found):
    stated = {"Type": found["Type"], "TargetGroupArn": found.get("TargetGroupArn"), "FixedResponseConfig": found.get("FixedResponseConfig")}
    return {key: value for key, value in stated.items() if value}


@told("AWS::AutoScaling::AutoScalingGroup")
def scaling_groups(place):
    for group in place.all("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"):
        name = group["AutoScalingGroupName"]
        template = group.get("LaunchTemplate", {})
        yield name, name, {
            "AutoScalingGroupName": name, "MinSize": str(group["MinSize"]), "MaxSize": str(group["MaxSize"]), "DesiredCapacity": str(group["DesiredCapacity"]),
            "VPCZoneIdentifier": sorted(group["VPCZoneIdentifier"].split(",")), "HealthCheckType": group["HealthCheckType"],
            "LaunchTemplate": {"LaunchTemplateId": template.get("LaunchTemplateId"), "Version": template.get("Version")},
            "Tags": [{key: tag[key] for key in ("Key", "Value", "PropagateAtLaunch")} for tag in group.get("Tags", [])]}


# Code and containers.

@told("AWS::Lambda::Function")
def functions(place):
    same = ["FunctionName", "Runtime", "Handler", "Role", "MemorySize", "Timeout", "Description"]
    for function in place.all("lambda", "list_functions", "Functions"):
        name = function["FunctionName"]
        kept = place.ask("lambda", "get_function_concurrency", FunctionName=name).get("ReservedConcurrentExecutions")
        found = place.ask("lambda", "list_tags", Resource=function["FunctionArn"]).get("Tags")
        yield name, name, {**{key: function.get(key) for key in same}, "Arn": function["FunctionArn"], "PackageType": function["PackageType"], "Architectures": function["Architectures"],
                           "EphemeralStorage": function["EphemeralStorage"], "TracingConfig": function["TracingConfig"], "Tags": mapped(found), "ReservedConcurrentExecutions": kept,
                           "Environment": {"Variables": function.get("Environment", {}).get("Variables", {})}}


@told("AWS::Lambda::FunctionPolicy")
def function_policies(place):
    for function in place.all("lambda", "list_functions", "Functions"):
        name = function["FunctionName"]
        found = unless(place, ["ResourceNotFoundException"], "lambda", "get_policy", FunctionName=name)
        yield name, name, {"FunctionName": name, "FunctionArn": function["FunctionArn"], "PolicyDocument": document(found and found["Policy"])}


@told("AWS::ECR::Repository")
def repositories(place):
    for repository in place.all("ecr", "describe_repositories", "repositories"):
        name = repository["repositoryName"]
        cleaning = unless(place, ["LifecyclePolicyNotFoundException"], "ecr", "get_lifecycle_policy", repositoryName=name)
        allowed = unless(place, ["RepositoryPolicyNotFoundException"], "ecr", "get_repository_policy", repositoryName=name)
        yield name, name, {
            "LifecyclePolicy": cleaning and {"LifecyclePolicyText": cleaning["lifecyclePolicyText"]},
            "RepositoryPolicyText": document(allowed and allowed["policyText"]), "RepositoryUri": repository["repositoryUri"],
            "EncryptionConfiguration": {"EncryptionType": repository["encryptionConfiguration"]["encryptionType"]}, "Arn": repository["repositoryArn"],
            "RepositoryName": name, "ImageTagMutability": repository["imageTagMutability"],
            "ImageScanningConfiguration": {"ScanOnPush": repository["imageScanningConfiguration"]["scanOnPush"]},
            "Tags": tags(place.ask("ecr", "list_tags_for_resource", resourceArn=repository["repositoryArn"])["tags"])}


@told("AWS::ECS::Cluster")
def ecs_clusters(place):
    arns = place.all("ecs", "list_clusters", "clusterArns")
    found = place.ask("ecs", "describe_clusters", clusters=arns, include=["SETTINGS", "TAGS"])["clusters"] if arns else []
    for cluster in found:
        name = cluster["clusterName"]
        settings = [{"Name": setting["name"], "Value": setting["value"]} for setting in cluster.get("settings", [])]
        yield name, name, {"ClusterName": name, "Arn": cluster["clusterArn"], "ClusterSettings": settings, "Tags": tags(cluster.get("tags"), "key", "value")}


@told("AWS::ECS::Service")
def ecs_services(place):
    for cluster in place.all("ecs", "list_clusters", "clusterArns"):
        arns = place.all("ecs", "list_services", "serviceArns", cluster=cluster)
        found = place.ask("ecs", "describe_services", cluster=cluster, services=arns, include=["TAGS"])["services"] if arns else []
        for service in found:
            yield f"{service['serviceArn']}|{cluster.split('/')[-1]}", service["serviceName"], {
                "ServiceArn": service["serviceArn"], "Cluster": cluster.split("/")[-1], "SchedulingStrategy": service["schedulingStrategy"],
                "ServiceName": service["serviceName"], "DesiredCount": service["desiredCount"], "LaunchType": service.get("launchType"),
                "TaskDefinition": service["taskDefinition"], "Tags": tags(service.get("tags"), "key", "value")}


@told("AWS::EKS::Cluster")
def eks_clusters(place):
    for name in place.all("eks", "list_clusters", "clusters"):
        cluster = place.ask("eks", "describe_cluster", name=name)["cluster"]
        yield name, name, {
            "Arn": cluster["arn"], "Endpoint": cluster["endpoint"], "OpenIdConnectIssuerUrl": cluster["identity"]["oidc"]["issuer"],
            "KubernetesNetworkConfig": {"ServiceIpv4Cidr": cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"]},
            "Name": name, "Version": cluster["version"], "RoleArn": cluster["roleArn"],
            "ResourcesVpcConfig": {"SubnetIds": sorted(cluster["resourcesVpcConfig"]["subnetIds"])}, "Logging": {"ClusterLogging": {"EnabledTypes": logged(cluster)}},
            "Tags": mapped(cluster.get("tags"))}


def logged(cluster):
    groups = [group["types"] for group in cluster["logging"]["clusterLogging"] if group["enabled"]]
    return [{"Type": kind} for types in groups for kind in types]


# Secrets, certificates, names and doors.

@told("AWS::SecretsManager::Secret")
def secrets(place):
    for secret in place.all("secretsmanager", "list_secrets", "SecretList"):
        yield secret["ARN"], secret["Name"], {
            "Name": secret["Name"], "Description": secret.get("Description"), "KmsKeyId": secret.get("KmsKeyId"), "Tags": tags(secret.get("Tags"))}


@told("AWS::SSM::Parameter")
def parameters(place):
    for parameter in place.all("ssm", "describe_parameters", "Parameters"):
        name = parameter["Name"]
        plain = parameter["Type"] != "SecureString"
        value = place.ask("ssm", "get_parameter", Name=name)["Parameter"]["Value"] if plain else None
        found = place.ask("ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId=name)["TagList"]
        yield name, name, {"Name": name, "Type": parameter["Type"], "Tier": parameter["Tier"], "DataType": parameter["DataType"], "Description": parameter.get("Description"), **({"Value": value} if plain else {}),
                           "Tags": {tag["Key"]: tag["Value"] for tag in found}}


@told("AWS::CertificateManager::Certificate")
def certificates(place):
    for summary in place.all("acm", "list_certificates", "CertificateSummaryList"):
        arn = summary["CertificateArn"]
        certificate = place.ask("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
        yield arn, certificate["DomainName"], {
            "KeyAlgorithm": certificate["KeyAlgorithm"].replace("-", "_"), "DomainValidationOptions": [
                {key: option[key] for key in ("DomainName", "ValidationDomain") if key in option} for option in certificate["DomainValidationOptions"]],
            "DomainName": certificate["DomainName"], "SubjectAlternativeNames": sorted(certificate["SubjectAlternativeNames"]),
            "Tags": tags(place.ask("acm", "list_tags_for_certificate", CertificateArn=arn)["Tags"])}


@told("AWS::Route53::HostedZone", worldwide=True)
def zones(place):
    for zone in place.all("route53", "list_hosted_zones", "HostedZones"):
        identifier = zone["Id"].split("/")[-1]
        found = place.ask("route53", "list_tags_for_resource", ResourceType="hostedzone", ResourceId=identifier)["ResourceTagSet"]["Tags"]
        whole = place.ask("route53", "get_hosted_zone", Id=identifier)
        yield identifier, zone["Name"], {"Name": zone["Name"], "NameServers": whole.get("DelegationSet", {}).get("NameServers"),
                                         "VPCs": [{"VPCId": vpc["VPCId"], "VPCRegion": vpc["VPCRegion"]} for vpc in whole.get("VPCs", [])],
                                         "HostedZoneConfig": {"Comment": zone.get("Config", {}).get("Comment")},
                                         "HostedZoneTags": tags(found)}


@told("AWS::Route53::RecordSet", worldwide=True)
def records(place):
    for zone in place.all("route53", "list_hosted_zones", "HostedZones"):
        identifier = zone["Id"].split("/")[-1]
        for record in place.all("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identifier):
            # A star is told as a number.
            name, which = record["Name"].replace("\\052", "*"), record.get("SetIdentifier", "")
            # Those that a zone is born with have no name: who serves it is not the same wherever it is sown.
            sown = None if name == zone["Name"] else f"{name} {record['Type']} {which}"
            yield f"{name}|{identifier}|{record['Type']}|{which}", sown, {
                "HostedZoneId": identifier, "Name": name, "Type": record["Type"], "TTL": str(record["TTL"]) if "TTL" in record else None,
                "SetIdentifier": which or None, "Weight": record.get("Weight"), "AliasTarget": record.get("AliasTarget"),
                "ResourceRecords": [found["Value"] for found in record.get("ResourceRecords", [])]}


@told("AWS::CloudFront::Distribution", worldwide=True)
def distributions(place):
    answer = place.call("cloudfront", "list_distributions") or {}
    for distribution in answer.get("DistributionList", {}).get("Items", []):
        found = place.ask("cloudfront", "list_tags_for_resource", Resource=distribution["ARN"])["Tags"]["Items"]
        config = place.ask("cloudfront", "get_distribution_config", Id=distribution["Id"])["DistributionConfig"]
        behavior, same = config["DefaultCacheBehavior"], ["TargetOriginId", "ViewerProtocolPolicy", "MinTTL"]
        origins = [{"Id": origin["Id"], "DomainName": origin["DomainName"], "CustomOriginConfig": {
            key: origin["CustomOriginConfig"][key] for key in ("HTTPPort", "HTTPSPort", "OriginProtocolPolicy")}} for origin in config["Origins"]["Items"]]
        yield distribution["Id"], called(found), {
            "DomainName": distribution["DomainName"],
            "DistributionConfig": {"Enabled": config["Enabled"], "Comment": config["Comment"], "Origins": origins,
                                   "DefaultCacheBehavior": {key: behavior[key] for key in same}}, "Tags": tags(found)}


@told("AWS::ApiGateway::RestApi")
def rest_apis(place):
    for api in place.all("apigateway", "get_rest_apis", "items"):
        yield api["id"], api["name"], {
            "Name": api["name"], "Description": api.get("description"), "RootResourceId": api["rootResourceId"],
            "DisableExecuteApiEndpoint": api["disableExecuteApiEndpoint"], "ApiKeySourceType": api["apiKeySource"], "EndpointConfiguration": {"Types": api["endpointConfiguration"]["types"]},
            "BinaryMediaTypes": api.get("binaryMediaTypes"), "MinimumCompressionSize": api.get("minimumCompressionSize"),
            "Tags": mapped(api.get("tags"))}
