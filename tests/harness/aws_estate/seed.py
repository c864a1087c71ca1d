"""Sows the estate. What is made, and how often at full size, is said by `@sown`, in the order in which one thing needs another.

A thing is the same wherever it is sown: its name and its variety come from the seed, its kind and its number alone.
"""
import concurrent.futures
import io
import ipaddress
import json
import random
import zipfile

SOWERS = []

TEAMS = ["data", "web", "platform", "risk"]
ENVIRONMENTS = ["prod", "staging", "dev"]
IMAGE = "ami-12c6146b"


def sown(kind, count, worldwide=False):
    """Registers what makes one thing of a kind; it returns the identifier by which later things refer to it, or nothing."""
    def register(sower):
        SOWERS.append((kind, count, worldwide, sower))
        return sower
    return register


def sow(places, scale, seed, writers):
    """Sows all of it; returns how many of each kind were made."""
    made = {}
    for home in firsts(places):
        reader(home, places[0].account)
    with concurrent.futures.ThreadPoolExecutor(writers) as pool:
        for kind, count, worldwide, sower in SOWERS:
            homes = firsts(places) if worldwide else places
            # However small, it has every kind in every place.
            count = max(round(count * scale), min(count, len(homes)))
            chosen = [homes[at % len(homes)] for at in range(count)]
            results = list(pool.map(lambda pair: sower(pair[1], pair[0], dice(seed, kind, pair[0])), enumerate(chosen)))
            for home, result in zip(chosen, results):
                if result is not None:
                    (home.account_kept if worldwide else home.kept)[kind].append(result)
            made[kind] = made.get(kind, 0) + sum(result is not None for result in results)
    return made


def firsts(places):
    """Returns one place of each account: where global services are called."""
    return list({place.account: place for place in reversed(places)}.values())[::-1]


def reader(place, account):
    """Has a role in each account by which the first one may look at everything."""
    trust = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"})
    place.call("iam", "create_role", RoleName="Reader", AssumeRolePolicyDocument=json.dumps(trust))
    place.call("iam", "put_role_policy", RoleName="Reader", PolicyName="all", PolicyDocument=json.dumps(policy(allow("*"))))


def dice(seed, kind, at):
    return random.Random(f"{seed}/{kind}/{at}")


def tags(rng, name):
    found = {"Name": name, "team": rng.choice(TEAMS), "env": rng.choice(ENVIRONMENTS)}
    if rng.random() < 0.3:
        found["cost:center"] = f"{rng.randrange(100, 999)} / é"
    if rng.random() < 0.1:
        found["empty"] = ""
    return found


def pairs(tags, key="Key", value="Value"):
    return [{key: name, value: text} for name, text in tags.items()]


def spec(what, tags):
    return [{"ResourceType": what, "Tags": pairs(tags)}]


def pick(place, kind, rng):
    return rng.choice(place.kept[kind]) if place.kept[kind] else None


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions, resource="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


# Keys come first: others are encrypted with them.

@sown("AWS::KMS::Key", 15)
def key(place, at, rng):
    owner = {"Sid": "owner", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"}, "Action": "kms:*", "Resource": "*"}
    made = place.call("kms", "create_key", Description=f"key-{at:03}", KeyUsage="ENCRYPT_DECRYPT", Policy=json.dumps(policy(owner)),
                      Tags=pairs(tags(rng, f"key-{at:03}"), "TagKey", "TagValue"))
    if not made:
        return None
    key = made["KeyMetadata"]["KeyId"]
    if rng.random() < 0.6:
        place.call("kms", "enable_key_rotation", KeyId=key)
    if at % 7 == 6:
        place.call("kms", "disable_key", KeyId=key)
    else:
        place.kept["usable keys"].append(key)
    return key


@sown("AWS::KMS::Alias", 15)
def alias(place, at, rng):
    key, name = pick(place, "AWS::KMS::Key", rng), f"alias/app/{at:03}"
    return name if key and place.call("kms", "create_alias", AliasName=name, TargetKeyId=key) else None


def a_key(place, rng):
    """Returns the ARN of a key that can be used."""
    key = rng.choice(sorted(place.kept["usable keys"]))
    return f"arn:aws:kms:{place.region}:{place.account}:key/{key}"


# The network.

@sown("AWS::EC2::VPC", 12)
def vpc(place, at, rng):
    name = f"vpc-{at:03}"
    made = place.call("ec2", "create_vpc", CidrBlock=f"10.{at}.0.0/16", TagSpecifications=spec("vpc", tags(rng, name)))
    if not made:
        return None
    vpc = made["Vpc"]["VpcId"]
    if rng.random() < 0.5:
        place.call("ec2", "modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    return vpc, f"10.{at}.0.0/16"


@sown("AWS::EC2::Subnet", 40)
def subnet(place, at, rng):
    vpc, cidr = place.kept["AWS::EC2::VPC"][at % len(place.kept["AWS::EC2::VPC"])]
    block = list(ipaddress.ip_network(cidr).subnets(new_prefix=28))[at]
    zone = place.region + "ab"[at // 2 % 2]
    made = place.call("ec2", "create_subnet", VpcId=vpc, CidrBlock=str(block), AvailabilityZone=zone,
                      TagSpecifications=spec("subnet", tags(rng, f"subnet-{at:03}")))
    if not made:
        return None
    subnet = made["Subnet"]["SubnetId"]
    if rng.random() < 0.3:
        place.call("ec2", "modify_subnet_attribute", SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    return subnet, vpc, zone


@sown("AWS::EC2::InternetGateway", 8)
def gateway(place, at, rng):
    made = place.call("ec2", "create_internet_gateway", TagSpecifications=spec("internet-gateway", tags(rng, f"igw-{at:03}")))
    if not made:
        return None
    gateway = made["InternetGateway"]["InternetGatewayId"]
    free = [vpc for vpc, _ in place.kept["AWS::EC2::VPC"] if vpc not in place.kept["attached"]]
    if free:
        place.kept["attached"].append(free[0])
        place.call("ec2", "attach_internet_gateway", InternetGatewayId=gateway, VpcId=free[0])
        return gateway, free[0]
    return gateway, None


@sown("AWS::EC2::RouteTable", 20)
def route_table(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    made = place.call("ec2", "create_route_table", VpcId=vpc, TagSpecifications=spec("route-table", tags(rng, f"rtb-{at:03}")))
    if not made:
        return None
    table = made["RouteTable"]["RouteTableId"]
    ways = [gateway for gateway, at_vpc in place.kept["AWS::EC2::InternetGateway"] if at_vpc == vpc]
    if ways:
        place.call("ec2", "create_route", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=ways[0])
    return table, vpc


@sown("AWS::EC2::EIP", 12)
def address(place, at, rng):
    made = place.call("ec2", "allocate_address", Domain="vpc", TagSpecifications=spec("elastic-ip", tags(rng, f"eip-{at:03}")))
    return made and made["AllocationId"]


@sown("AWS::EC2::NatGateway", 4)
def nat(place, at, rng):
    address = place.kept["AWS::EC2::EIP"] and place.kept["AWS::EC2::EIP"][0]
    subnet, _, _ = pick(place, "AWS::EC2::Subnet", rng)
    if not address or place.kept["AWS::EC2::NatGateway"]:
        return None
    made = place.call("ec2", "create_nat_gateway", SubnetId=subnet, AllocationId=address,
                      TagSpecifications=spec("natgateway", tags(rng, f"nat-{at:03}")))
    return made and made["NatGateway"]["NatGatewayId"]


@sown("AWS::EC2::NetworkAcl", 12)
def network_acl(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    made = place.call("ec2", "create_network_acl", VpcId=vpc, TagSpecifications=spec("network-acl", tags(rng, f"acl-{at:03}")))
    if not made:
        return None
    acl = made["NetworkAcl"]["NetworkAclId"]
    place.call("ec2", "create_network_acl_entry", NetworkAclId=acl, RuleNumber=100, Protocol="6", RuleAction="allow", Egress=False,
               CidrBlock="10.0.0.0/8", PortRange={"From": 443, "To": 443})
    return acl


@sown("AWS::EC2::VPCEndpoint", 8)
def endpoint(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    service = rng.choice(["s3", "dynamodb"])
    made = place.call("ec2", "create_vpc_endpoint", VpcId=vpc, VpcEndpointType="Gateway", ServiceName=f"com.amazonaws.{place.region}.{service}",
                      RouteTableIds=[table for table, home in place.kept["AWS::EC2::RouteTable"] if home == vpc],
                      TagSpecifications=spec("vpc-endpoint", tags(rng, f"vpce-{at:03}")))
    return made and made["VpcEndpoint"]["VpcEndpointId"]


@sown("AWS::EC2::PrefixList", 4)
def prefix_list(place, at, rng):
    name = f"offices-{at:03}"
    entries = [{"Cidr": f"198.51.100.{16 * n}/28", "Description": f"office {n}"} for n in range(rng.randint(1, 3))]
    made = place.call("ec2", "create_managed_prefix_list", PrefixListName=name, AddressFamily="IPv4", MaxEntries=5, Entries=entries,
                      TagSpecifications=spec("prefix-list", tags(rng, name)))
    return made and made["PrefixList"]["PrefixListId"]


@sown("AWS::EC2::SecurityGroup", 500)
def security_group(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    name = f"sg-app-{at:04}"
    made = place.call("ec2", "create_security_group", GroupName=name, Description=f"group {at}", VpcId=vpc,
                      TagSpecifications=spec("security-group", tags(rng, name)))
    if not made:
        return None
    group = made["GroupId"]
    place.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=permissions(place, rng, group))
    if at % 5 == 0:
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        place.call("ec2", "revoke_security_group_egress", GroupId=group, IpPermissions=[everything])
        https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}]}
        place.call("ec2", "authorize_security_group_egress", GroupId=group, IpPermissions=[https])
    return group, vpc


def permissions(place, rng, group):
    """Returns rules of every sort: several networks, described or not, IPv6, the group itself, a prefix list, all ports, ICMP."""
    ports = rng.choice([22, 443, 5432, 8080])
    networks = [{"CidrIp": f"10.{rng.randrange(200)}.{n}.0/24", **({"Description": f"net {n}"} if rng.random() < 0.5 else {})}
                for n in range(rng.randint(1, 3))]
    found = [{"IpProtocol": "tcp", "FromPort": ports, "ToPort": ports + rng.choice([0, 0, 10]), "IpRanges": networks}]
    variety = rng.random()
    if variety < 0.2:
        found.append({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                      "Ipv6Ranges": [{"CidrIpv6": "::/0"}]})
    elif variety < 0.4:
        found.append({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "Description": "each other"}]})
    elif variety < 0.5 and place.kept["AWS::EC2::PrefixList"]:
        found.append({"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "PrefixListIds": [{"PrefixListId": place.kept["AWS::EC2::PrefixList"][0]}]})
    elif variety < 0.6:
        found.append({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]})
    return found


def groups_in(place, vpc):
    return [group for group, home in place.kept["AWS::EC2::SecurityGroup"] if home == vpc]


@sown("AWS::EC2::NetworkInterface", 8)
def interface(place, at, rng):
    subnet, vpc, _ = pick(place, "AWS::EC2::Subnet", rng)
    groups = groups_in(place, vpc)[:2]
    made = place.call("ec2", "create_network_interface", SubnetId=subnet, Description=f"eni-{at:03}", **({"Groups": groups} if groups else {}),
                      TagSpecifications=spec("network-interface", tags(rng, f"eni-{at:03}")))
    return made and made["NetworkInterface"]["NetworkInterfaceId"]


# Identities. They are global: made once in each account.

def trust(place, rng):
    service = rng.choice(["ec2.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com"])
    statements = [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]
    if rng.random() < 0.2:
        statements.append({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"}, "Action": "sts:AssumeRole",
                           "Condition": {"StringEquals": {"sts:ExternalId": "x-1"}}})
    return policy(*statements)


@sown("AWS::IAM::ManagedPolicy", 25, worldwide=True)
def managed_policy(place, at, rng):
    name = f"policy-{at:03}"
    document = policy(allow(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::app-*", "arn:aws:s3:::app-*/*"]), allow("logs:*"))
    made = place.call("iam", "create_policy", PolicyName=name, PolicyDocument=json.dumps(document), Path=rng.choice(["/", "/app/"]),
                      Description=f"policy {at}")
    return made and made["Policy"]["Arn"]


AMAZONS = ["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]


@sown("AWS::IAM::Group", 15, worldwide=True)
def group(place, at, rng):
    name = f"group-{at:03}"
    if not place.call("iam", "create_group", GroupName=name, Path=rng.choice(["/", "/staff/"])):
        return None
    if rng.random() < 0.7:
        place.call("iam", "attach_group_policy", GroupName=name, PolicyArn=rng.choice(place.account_kept["AWS::IAM::ManagedPolicy"]))
    if rng.random() < 0.3:
        place.call("iam", "put_group_policy", GroupName=name, PolicyName="inline", PolicyDocument=json.dumps(policy(allow("sqs:*"))))
    return name


@sown("AWS::IAM::Role", 100, worldwide=True)
def role(place, at, rng):
    name = f"role-{at:04}"
    made = place.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust(place, rng)),
                      Path=rng.choice(["/", "/service/"]), Description=f"role {at}", MaxSessionDuration=rng.choice([3600, 7200]),
                      Tags=pairs(tags(rng, name)))
    if not made:
        return None
    if rng.random() < 0.5:
        place.call("iam", "attach_role_policy", RoleName=name, PolicyArn=rng.choice(place.account_kept["AWS::IAM::ManagedPolicy"]))
    if rng.random() < 0.3:
        place.call("iam", "attach_role_policy", RoleName=name, PolicyArn=rng.choice(AMAZONS))
    if rng.random() < 0.4:
        document = policy(allow(["dynamodb:GetItem", "dynamodb:PutItem"], "arn:aws:dynamodb:*:*:table/*"))
        place.call("iam", "put_role_policy", RoleName=name, PolicyName="tables", PolicyDocument=json.dumps(document))
    return name, made["Role"]["Arn"]


@sown("AWS::IAM::User", 100, worldwide=True)
def user(place, at, rng):
    name = f"user-{at:04}"
    if not place.call("iam", "create_user", UserName=name, Path=rng.choice(["/", "/people/"]), Tags=pairs(tags(rng, name))):
        return None
    if rng.random() < 0.6:
        place.call("iam", "add_user_to_group", UserName=name, GroupName=rng.choice(place.account_kept["AWS::IAM::Group"]))
    if rng.random() < 0.2:
        place.call("iam", "attach_user_policy", UserName=name, PolicyArn=AMAZONS[0])
    if rng.random() < 0.2:
        place.call("iam", "put_user_policy", UserName=name, PolicyName="self", PolicyDocument=json.dumps(policy(allow("iam:GetUser"))))
    return name


@sown("AWS::IAM::InstanceProfile", 10, worldwide=True)
def profile(place, at, rng):
    name = f"profile-{at:03}"
    if not place.call("iam", "create_instance_profile", InstanceProfileName=name, Path="/app/"):
        return None
    role, _ = rng.choice(place.account_kept["AWS::IAM::Role"])
    place.call("iam", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=role)
    return name


def a_role(place):
    """Returns the ARN of a role of this account, for what works in its name."""
    return place.account_kept["AWS::IAM::Role"][0][1]


# Machines and their disks.

@sown("AWS::EC2::Instance", 500)
def instance(place, at, rng):
    subnet, vpc, _ = pick(place, "AWS::EC2::Subnet", rng)
    groups = groups_in(place, vpc)
    made = place.call("ec2", "run_instances", ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=subnet,
                      InstanceType=rng.choice(["t3.micro", "t3.small", "m5.large"]), EbsOptimized=rng.random() < 0.2,
                      **({"SecurityGroupIds": rng.sample(groups, min(len(groups), rng.randint(1, 2)))} if groups else {}),
                      TagSpecifications=spec("instance", tags(rng, f"web-{at:04}")))
    if not made:
        return None
    instance = made["Instances"][0]["InstanceId"]
    if at % 25 == 24:
        place.call("ec2", "terminate_instances", InstanceIds=[instance])
    return instance


@sown("AWS::EC2::Volume", 30)
def volume(place, at, rng):
    more = {"Encrypted": True, "KmsKeyId": a_key(place, rng)} if rng.random() < 0.5 else {}
    if rng.random() < 0.2:
        more.update(VolumeType="io1", Iops=400)
    else:
        more.update(VolumeType=rng.choice(["gp2", "gp3"]))
    made = place.call("ec2", "create_volume", AvailabilityZone=place.region + "a", Size=rng.choice([20, 50, 100]), **more,
                      TagSpecifications=spec("volume", tags(rng, f"disk-{at:03}")))
    return made and made["VolumeId"]


@sown("AWS::EC2::Snapshot", 20)
def snapshot(place, at, rng):
    volume = pick(place, "AWS::EC2::Volume", rng)
    made = volume and place.call("ec2", "create_snapshot", VolumeId=volume, Description=f"snapshot {at}",
                                 TagSpecifications=spec("snapshot", tags(rng, f"snap-{at:03}")))
    if not made:
        return None
    if at % 4 == 0:
        to = {"Group": "all"} if at % 8 == 0 else {"UserId": "999999999999"}
        place.call("ec2", "modify_snapshot_attribute", SnapshotId=made["SnapshotId"], Attribute="createVolumePermission",
                   CreateVolumePermission={"Add": [to]})
    return made["SnapshotId"]


@sown("AWS::EC2::LaunchTemplate", 10)
def launch_template(place, at, rng):
    data = {"ImageId": IMAGE, "InstanceType": rng.choice(["t3.micro", "m5.large"]), "Monitoring": {"Enabled": True}}
    name = f"template-{at:03}"
    made = place.call("ec2", "create_launch_template", LaunchTemplateName=name, LaunchTemplateData=data,
                      TagSpecifications=spec("launch-template", tags(rng, name)))
    return made and made["LaunchTemplate"]["LaunchTemplateId"]


# Balancers, and what scales behind them.

@sown("AWS::ElasticLoadBalancingV2::TargetGroup", 8)
def target_group(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    name = f"targets-{at:03}"
    made = place.call("elbv2", "create_target_group", Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType=rng.choice(["ip", "instance"]),
                      HealthCheckPath="/healthz", HealthCheckIntervalSeconds=15, Tags=pairs(tags(rng, name)))
    return made and made["TargetGroups"][0]["TargetGroupArn"]


@sown("AWS::ElasticLoadBalancingV2::LoadBalancer", 6)
def balancer(place, at, rng):
    vpc, _ = pick(place, "AWS::EC2::VPC", rng)
    # A balancer wants two zones.
    subnets = list({zone: subnet for subnet, home, zone in place.kept["AWS::EC2::Subnet"] if home == vpc}.values())
    name, groups = f"balancer-{at:03}", groups_in(place, vpc)[:1]
    made = place.call("elbv2", "create_load_balancer", Name=name, Subnets=subnets, Type="application", Tags=pairs(tags(rng, name)),
                      Scheme=rng.choice(["internal", "internet-facing"]), **({"SecurityGroups": groups} if groups else {}))
    if not made:
        return None
    balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
    if rng.random() < 0.5:
        place.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=balancer,
                   Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}, {"Key": "idle_timeout.timeout_seconds", "Value": "90"}])
    return balancer


@sown("AWS::ElasticLoadBalancingV2::Listener", 8)
def listener(place, at, rng):
    balancer, target = pick(place, "AWS::ElasticLoadBalancingV2::LoadBalancer", rng), pick(place, "AWS::ElasticLoadBalancingV2::TargetGroup", rng)
    action = {"Type": "forward", "TargetGroupArn": target}
    if at % 3 == 0 or not target:
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no"}}
    made = balancer and place.call("elbv2", "create_listener", LoadBalancerArn=balancer, Protocol="HTTP", Port=8000 + at, DefaultActions=[action])
    return made and made["Listeners"][0]["ListenerArn"]


@sown("AWS::AutoScaling::AutoScalingGroup", 5)
def scaling_group(place, at, rng):
    template = pick(place, "AWS::EC2::LaunchTemplate", rng)
    subnet, _, _ = pick(place, "AWS::EC2::Subnet", rng)
    name = f"fleet-{at:03}"
    ours = [{"ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False, **tag} for tag in pairs(tags(rng, name))]
    made = template and place.call("autoscaling", "create_auto_scaling_group", AutoScalingGroupName=name, MinSize=0, MaxSize=rng.randint(2, 9),
                                   DesiredCapacity=0, VPCZoneIdentifier=subnet, Tags=ours, HealthCheckType="EC2",
                                   LaunchTemplate={"LaunchTemplateId": template, "Version": "1"})
    return made and name


# Stores.

@sown("AWS::S3::Bucket", 300)
def bucket(place, at, rng):
    name = f"app-{at:04}-{place.account[-4:]}"
    where = {} if place.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    if not place.call("s3", "create_bucket", Bucket=name, **where):
        return None
    if rng.random() < 0.7:
        blocked = dict.fromkeys(["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"], True)
        place.call("s3", "put_public_access_block", Bucket=name,
                   PublicAccessBlockConfiguration={**blocked, "RestrictPublicBuckets": rng.random() < 0.8})
    if rng.random() < 0.6:
        place.call("s3", "put_bucket_versioning", Bucket=name, VersioningConfiguration={"Status": rng.choice(["Enabled", "Enabled", "Suspended"])})
    if rng.random() < 0.5:
        how = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": a_key(place, rng)} if rng.random() < 0.5 else {"SSEAlgorithm": "AES256"}
        place.call("s3", "put_bucket_encryption", Bucket=name,
                   ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": how, "BucketKeyEnabled": "KMSMasterKeyID" in how}]})
    if rng.random() < 0.7:
        place.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": pairs(tags(rng, name))})
    if rng.random() < 0.3:
        rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": rng.choice([30, 90])},
                  "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}]
        place.call("s3", "put_bucket_lifecycle_configuration", Bucket=name, LifecycleConfiguration={"Rules": rules})
    if rng.random() < 0.3:
        place.call("s3", "put_bucket_ownership_controls", Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    if rng.random() < 0.2:
        only = {"Sid": "tls", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        place.call("s3", "put_bucket_policy", Bucket=name, Policy=json.dumps(policy(only)))
    return name


@sown("AWS::RDS::DBInstance", 100)
def database(place, at, rng):
    name = f"db-{at:04}"
    more = {"KmsKeyId": a_key(place, rng)} if rng.random() < 0.3 else {}
    # The password is thrown away: nobody may ever read it back.
    made = place.call("rds", "create_db_instance", DBInstanceIdentifier=name, DBInstanceClass=rng.choice(["db.t3.micro", "db.m5.large"]),
                      Engine=rng.choice(["postgres", "mysql"]), AllocatedStorage=rng.choice([20, 100]), MasterUsername="owner",
                      MasterUserPassword="not-a-secret-1", StorageEncrypted=bool(more) or rng.random() < 0.4, MultiAZ=rng.random() < 0.3,
                      PubliclyAccessible=rng.random() < 0.1, BackupRetentionPeriod=rng.choice([1, 7]), DeletionProtection=rng.random() < 0.3,
                      Tags=pairs(tags(rng, name)), **more)
    return made and name


@sown("AWS::RDS::DBCluster", 3)
def cluster(place, at, rng):
    name = f"cluster-{at:03}"
    made = place.call("rds", "create_db_cluster", DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="owner",
                      MasterUserPassword="not-a-secret-1", StorageEncrypted=True, BackupRetentionPeriod=7, Tags=pairs(tags(rng, name)))
    return made and name


@sown("AWS::RDS::DBSubnetGroup", 2)
def subnet_group(place, at, rng):
    name = f"subnets-{at:03}"
    _, vpc, _ = pick(place, "AWS::EC2::Subnet", rng)
    subnets = [subnet for subnet, of, _ in place.kept["AWS::EC2::Subnet"] if of == vpc][:3]
    made = place.call("rds", "create_db_subnet_group", DBSubnetGroupName=name, DBSubnetGroupDescription=f"subnets {at}", SubnetIds=subnets,
                      Tags=pairs(tags(rng, name)))
    return made and name


@sown("AWS::RDS::DBSnapshot", 8)
def database_snapshot(place, at, rng):
    name, database = f"db-snap-{at:03}", pick(place, "AWS::RDS::DBInstance", rng)
    made = database and place.call("rds", "create_db_snapshot", DBSnapshotIdentifier=name, DBInstanceIdentifier=database, Tags=pairs(tags(rng, name)))
    if made and at % 2 == 0:
        place.call("rds", "modify_db_snapshot_attribute", DBSnapshotIdentifier=name, AttributeName="restore",
                   ValuesToAdd=["all"] if at % 4 == 0 else ["999999999999", "888888888888"])
    return made and name


@sown("AWS::RDS::DBClusterSnapshot", 2)
def cluster_snapshot(place, at, rng):
    name, cluster = f"cluster-snap-{at:03}", pick(place, "AWS::RDS::DBCluster", rng)
    made = cluster and place.call("rds", "create_db_cluster_snapshot", DBClusterSnapshotIdentifier=name, DBClusterIdentifier=cluster,
                                  Tags=pairs(tags(rng, name)))
    if made and at % 2 == 0:
        place.call("rds", "modify_db_cluster_snapshot_attribute", DBClusterSnapshotIdentifier=name, AttributeName="restore", ValuesToAdd=["all"])
    return made and name


@sown("AWS::DynamoDB::Table", 20)
def table(place, at, rng):
    name = f"table-{at:03}"
    more = {"BillingMode": "PAY_PER_REQUEST"}
    if rng.random() < 0.4:
        more = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 2}}
    attributes, keys = [{"AttributeName": "id", "AttributeType": "S"}], [{"AttributeName": "id", "KeyType": "HASH"}]
    if rng.random() < 0.5:
        attributes.append({"AttributeName": "at", "AttributeType": "N"})
        keys.append({"AttributeName": "at", "KeyType": "RANGE"})
    if rng.random() < 0.5:
        more["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    if rng.random() < 0.5:
        more["SSESpecification"] = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": a_key(place, rng)}
    if rng.random() < 0.5 and more["BillingMode"] == "PAY_PER_REQUEST":
        attributes.append({"AttributeName": "owner", "AttributeType": "S"})
        more["GlobalSecondaryIndexes"] = [{"IndexName": "by-owner", "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                                           "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]}}]
    made = place.call("dynamodb", "create_table", TableName=name, AttributeDefinitions=attributes, KeySchema=keys,
                      DeletionProtectionEnabled=rng.random() < 0.5, Tags=pairs(tags(rng, name)), **more)
    if not made:
        return None
    if rng.random() < 0.5:
        place.call("dynamodb", "update_continuous_backups", TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    if rng.random() < 0.5:
        place.call("dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    return name


@sown("AWS::ElastiCache::CacheCluster", 4)
def cache(place, at, rng):
    name = f"cache-{at:03}"
    made = place.call("elasticache", "create_cache_cluster", CacheClusterId=name, Engine="memcached", CacheNodeType="cache.t3.micro", NumCacheNodes=1,
                      Tags=pairs(tags(rng, name)))
    return made and name


@sown("AWS::ElastiCache::ReplicationGroup", 4)
def replicas(place, at, rng):
    name = f"sessions-{at:03}"
    made = place.call("elasticache", "create_replication_group", ReplicationGroupId=name, ReplicationGroupDescription=f"sessions {at}", Engine="redis",
                      CacheNodeType="cache.t3.micro", NumCacheClusters=2, AutomaticFailoverEnabled=True, AtRestEncryptionEnabled=rng.random() < 0.5,
                      TransitEncryptionEnabled=True, SnapshotRetentionLimit=rng.choice([0, 5]), Tags=pairs(tags(rng, name)))
    return made and name


@sown("AWS::OpenSearchService::Domain", 2)
def domain(place, at, rng):
    name = f"search-{at:03}"
    made = place.call("opensearch", "create_domain", DomainName=name, EngineVersion="OpenSearch_2.11",
                      ClusterConfig={"InstanceType": "t3.small.search", "InstanceCount": 1}, EBSOptions={"EBSEnabled": True, "VolumeSize": 10},
                      EncryptionAtRestOptions={"Enabled": True}, NodeToNodeEncryptionOptions={"Enabled": True}, TagList=pairs(tags(rng, name)))
    return made and name


# Messages, logs and alarms.

@sown("AWS::SQS::Queue", 4)
def dead_letters(place, at, rng):
    name = f"dead-{at:03}"
    made = place.call("sqs", "create_queue", QueueName=name, Attributes={"MessageRetentionPeriod": "1209600"}, tags=tags(rng, name))
    if not made:
        return None
    place.kept["dead letters"].append(f"arn:aws:sqs:{place.region}:{place.account}:{name}")
    return made["QueueUrl"]


@sown("AWS::SQS::Queue", 25)
def queue(place, at, rng):
    name = f"jobs-{at:03}" + (".fifo" if at % 7 == 3 else "")
    attributes = {"VisibilityTimeout": str(rng.choice([30, 60])), "MessageRetentionPeriod": str(rng.choice([345600, 86400])), "DelaySeconds": "0",
                  "ReceiveMessageWaitTimeSeconds": rng.choice(["0", "20"])}
    if name.endswith(".fifo"):
        attributes.update(FifoQueue="true", ContentBasedDeduplication="true")
    elif place.kept["dead letters"] and rng.random() < 0.5:
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": place.kept["dead letters"][0], "maxReceiveCount": 5})
    if rng.random() < 0.4:
        attributes["KmsMasterKeyId"] = "alias/aws/sqs"
    made = place.call("sqs", "create_queue", QueueName=name, Attributes=attributes, tags=tags(rng, name))
    return made and made["QueueUrl"]


@sown("AWS::SNS::Topic", 20)
def topic(place, at, rng):
    name = f"news-{at:03}" + (".fifo" if at % 7 == 3 else "")
    attributes = {"DisplayName": f"news {at}"}
    if name.endswith(".fifo"):
        attributes.update(FifoTopic="true", ContentBasedDeduplication="true")
    if rng.random() < 0.4:
        attributes["KmsMasterKeyId"] = "alias/aws/sns"
    made = place.call("sns", "create_topic", Name=name, Attributes=attributes, Tags=pairs(tags(rng, name)))
    if not made:
        return None
    if place.kept["dead letters"] and not name.endswith(".fifo") and rng.random() < 0.6:
        place.call("sns", "subscribe", TopicArn=made["TopicArn"], Protocol="sqs", Endpoint=place.kept["dead letters"][0])
    return made["TopicArn"]


@sown("AWS::Logs::LogGroup", 30)
def log_group(place, at, rng):
    name = f"/app/{at:03}"
    more = {"kmsKeyId": a_key(place, rng)} if rng.random() < 0.4 else {}
    if not place.call("logs", "create_log_group", logGroupName=name, tags=tags(rng, name), **more):
        return None
    if rng.random() < 0.7:
        place.call("logs", "put_retention_policy", logGroupName=name, retentionInDays=rng.choice([7, 30, 365]))
    return name


@sown("AWS::CloudWatch::Alarm", 20)
def alarm(place, at, rng):
    name = f"alarm-{at:03}"
    topic = pick(place, "AWS::SNS::Topic", rng)
    made = place.call("cloudwatch", "put_metric_alarm", AlarmName=name, AlarmDescription=f"alarm {at}", Namespace="AWS/EC2", MetricName="CPUUtilization",
                      Statistic="Average", Period=300, EvaluationPeriods=rng.randint(1, 3), Threshold=float(rng.choice([80, 90])),
                      ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
                      Dimensions=[{"Name": "InstanceId", "Value": f"i-{at:017x}"}], Tags=pairs(tags(rng, name)), **({"AlarmActions": [topic]} if topic else {}))
    return made and name


@sown("AWS::CloudTrail::Trail", 2)
def trail(place, at, rng):
    bucket, name = pick(place, "AWS::S3::Bucket", rng), f"trail-{at:03}"
    made = bucket and place.call("cloudtrail", "create_trail", Name=name, S3BucketName=bucket, IsMultiRegionTrail=at == 0,
                                 IncludeGlobalServiceEvents=True, EnableLogFileValidation=True, TagsList=pairs(tags(rng, name)))
    if not made:
        return None
    place.call("cloudtrail", "start_logging", Name=name)
    if at % 2 == 1:
        objects = [{"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{bucket}/"]}]
        place.call("cloudtrail", "put_event_selectors", TrailName=name,
                   EventSelectors=[{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True, "DataResources": objects}])
    return name


@sown("AWS::Config::ConfigurationRecorder", 4)
def recorder(place, at, rng):
    what = rng.choice([{"allSupported": True, "includeGlobalResourceTypes": True},
                       {"allSupported": False, "resourceTypes": ["AWS::EC2::Instance", "AWS::S3::Bucket"]}])
    made = place.call("config", "put_configuration_recorder", ConfigurationRecorder={"name": "default", "roleARN": a_role(place), "recordingGroup": what})
    # None starts before it is known where to it tells.
    bucket = pick(place, "AWS::S3::Bucket", rng)
    place.call("config", "put_delivery_channel", DeliveryChannel={"name": "default", "s3BucketName": bucket, "s3KeyPrefix": "history",
                                                                  "configSnapshotDeliveryProperties": {"deliveryFrequency": "Six_Hours"}})
    if rng.random() < 0.6:
        place.call("config", "start_configuration_recorder", ConfigurationRecorderName="default")
    return made and "default"


@sown("AWS::GuardDuty::Detector", 4)
def detector(place, at, rng):
    made = place.call("guardduty", "create_detector", Enable=True, FindingPublishingFrequency=rng.choice(["ONE_HOUR", "SIX_HOURS"]),
                      Tags=tags(rng, f"detector-{at:03}"))
    return made and made["DetectorId"]


@sown("AWS::SecurityHub::Hub", 4)
def hub(place, at, rng):
    made = place.call("securityhub", "enable_security_hub", EnableDefaultStandards=False, ControlFindingGenerator="SECURITY_CONTROL",
                      Tags=tags(rng, f"hub-{at:03}"))
    return made and place.region


# Code and containers.

@sown("AWS::Lambda::Function", 20)
def function(place, at, rng):
    name = f"function-{at:03}"
    made = place.call("lambda", "create_function", FunctionName=name, Runtime=rng.choice(["python3.11", "nodejs20.x"]), Handler="main.handle",
                      Role=a_role(place), Code={"ZipFile": code()}, Timeout=rng.choice([3, 30]), MemorySize=rng.choice([128, 512]),
                      Description=f"function {at}", Environment={"Variables": {"MODE": rng.choice(["on", "off"])}}, Tags=tags(rng, name),
                      TracingConfig={"Mode": rng.choice(["Active", "PassThrough"])}, EphemeralStorage={"Size": rng.choice([512, 1024])})
    if not made:
        return None
    if rng.random() < 0.6:
        place.call("lambda", "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=5)
    if rng.random() < 0.6:
        place.call("lambda", "add_permission", FunctionName=name, StatementId="events", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    return name


def code():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py", (2020, 1, 1, 0, 0, 0)), "def handle(event, context):\n    return None\n")
    return packed.getvalue()


@sown("AWS::ECR::Repository", 10)
def repository(place, at, rng):
    name = f"images/{at:03}"
    made = place.call("ecr", "create_repository", repositoryName=name, imageTagMutability=rng.choice(["MUTABLE", "IMMUTABLE"]),
                      imageScanningConfiguration={"scanOnPush": rng.random() < 0.5}, tags=pairs(tags(rng, name)))
    if not made:
        return None
    if rng.random() < 0.6:
        old = {"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5}, "action": {"type": "expire"}}
        place.call("ecr", "put_lifecycle_policy", repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [old]}))
    if rng.random() < 0.6:
        pull = {"Sid": "pull", **allow("ecr:BatchGetImage", None), "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"}}
        del pull["Resource"]
        place.call("ecr", "set_repository_policy", repositoryName=name, policyText=json.dumps(policy(pull)))
    return name


@sown("AWS::ECS::Cluster", 4)
def ecs_cluster(place, at, rng):
    name = f"ecs-{at:03}"
    made = place.call("ecs", "create_cluster", clusterName=name, settings=[{"name": "containerInsights", "value": rng.choice(["enabled", "disabled"])}],
                      tags=pairs(tags(rng, name), "key", "value"))
    return made and name


@sown("AWS::ECS::Service", 6)
def ecs_service(place, at, rng):
    cluster, name = pick(place, "AWS::ECS::Cluster", rng), f"service-{at:03}"
    if not cluster:
        return None
    container = {"name": "main", "image": "registry.example/web:1.0", "memory": 128, "essential": True}
    task = place.call("ecs", "register_task_definition", family=name, containerDefinitions=[container])
    made = task and place.call("ecs", "create_service", cluster=cluster, serviceName=name, taskDefinition=task["taskDefinition"]["taskDefinitionArn"],
                               desiredCount=0, launchType="EC2", tags=pairs(tags(rng, name), "key", "value"))
    return made and name


@sown("AWS::EKS::Cluster", 2)
def eks_cluster(place, at, rng):
    name = f"eks-{at:03}"
    _, vpc, _ = place.kept["AWS::EC2::Subnet"][0]
    subnets = [subnet for subnet, home, _ in place.kept["AWS::EC2::Subnet"] if home == vpc][:2]
    made = place.call("eks", "create_cluster", name=name, roleArn=a_role(place), version="1.30", resourcesVpcConfig={"subnetIds": subnets},
                      logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}, tags=tags(rng, name))
    return made and name


# Secrets, certificates, names and doors.

@sown("AWS::SecretsManager::Secret", 15)
def secret(place, at, rng):
    name = f"app/secret-{at:03}"
    more = {"KmsKeyId": a_key(place, rng)} if rng.random() < 0.4 else {}
    made = place.call("secretsmanager", "create_secret", Name=name, Description=f"secret {at}", SecretString="canary-of-the-estate", Tags=pairs(tags(rng, name)),
                      **more)
    return made and made["ARN"]


@sown("AWS::SSM::Parameter", 25)
def parameter(place, at, rng):
    name = f"/app/parameter/{at:03}"
    secure = at % 5 == 3
    made = place.call("ssm", "put_parameter", Name=name, Value="canary-of-the-estate" if secure else f"value {at}", Description=f"parameter {at}",
                      Type="SecureString" if secure else rng.choice(["String", "StringList"]), Tags=pairs(tags(rng, name)))
    return made and name


@sown("AWS::CertificateManager::Certificate", 6)
def certificate(place, at, rng):
    name = f"site-{at:03}.example.com"
    made = place.call("acm", "request_certificate", DomainName=name, ValidationMethod="DNS", SubjectAlternativeNames=[name, f"www.{name}"],
                      Tags=pairs(tags(rng, name)))
    return made and made["CertificateArn"]


@sown("AWS::Route53::HostedZone", 4, worldwide=True)
def zone(place, at, rng):
    name = f"zone-{at:03}.example."
    inside = {}
    if at % 3 == 1 and place.kept["AWS::EC2::VPC"]:
        inside = {"VPC": {"VPCRegion": place.region, "VPCId": place.kept["AWS::EC2::VPC"][0][0]}}
    made = place.call("route53", "create_hosted_zone", Name=name, CallerReference=f"estate-{at}",
                      HostedZoneConfig={"Comment": f"zone {at}", "PrivateZone": bool(inside)}, **inside)
    if not made:
        return None
    zone = made["HostedZone"]["Id"].split("/")[-1]
    place.call("route53", "change_tags_for_resource", ResourceType="hostedzone", ResourceId=zone, AddTags=pairs(tags(rng, name)))
    return zone, name


@sown("AWS::Route53::RecordSet", 6, worldwide=True)
def records(place, at, rng):
    """Makes records of every sort: with two values, by weight, for all names, and in place of another."""
    if not place.account_kept["AWS::Route53::HostedZone"]:
        return None
    zone, name = rng.choice(place.account_kept["AWS::Route53::HostedZone"])

    def record(host, kind, values, **more):
        return {"Name": f"{host}-{at:03}.{name}", "Type": kind, "TTL": rng.choice([60, 300]), "ResourceRecords": [{"Value": value} for value in values], **more}

    alias = {"Name": f"alias-{at:03}.{name}", "Type": "A",
             "AliasTarget": {"HostedZoneId": zone, "DNSName": f"host-{at:03}.{name}", "EvaluateTargetHealth": False}}
    made = [record("host", "A", [f"192.0.2.{at + 1}", f"192.0.2.{at + 101}"]),
            record("weighed", "CNAME", ["one.example."], SetIdentifier="one", Weight=10),
            record("weighed", "CNAME", ["two.example."], SetIdentifier="two", Weight=20),
            {**record("any", "TXT", ['"a b"']), "Name": f"*.any-{at:03}.{name}"}, alias]
    changes = [{"Action": "CREATE", "ResourceRecordSet": one} for one in made]
    answer = place.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return answer and f"host-{at:03}.{name}"


@sown("AWS::CloudFront::Distribution", 2, worldwide=True)
def distribution(place, at, rng):
    origin = {"Id": "site", "DomainName": f"site-{at:03}.example.com",
              "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}}
    behavior = {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https", "MinTTL": 0,
                "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}}, "TrustedSigners": {"Enabled": False, "Quantity": 0}}
    config = {"CallerReference": f"estate-{at}", "Comment": f"site {at}", "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]},
              "DefaultCacheBehavior": behavior}
    made = place.call("cloudfront", "create_distribution_with_tags",
                      DistributionConfigWithTags={"DistributionConfig": config, "Tags": {"Items": pairs(tags(rng, f"site-{at:03}"))}})
    return made and made["Distribution"]["Id"]


@sown("AWS::ApiGateway::RestApi", 4)
def rest_api(place, at, rng):
    name = f"api-{at:03}"
    made = place.call("apigateway", "create_rest_api", name=name, description=f"api {at}", endpointConfiguration={"types": [rng.choice(["REGIONAL", "EDGE"])]},
                      binaryMediaTypes=["image/png"], minimumCompressionSize=rng.choice([0, 1024]), tags=tags(rng, name))
    return made and made["id"]
