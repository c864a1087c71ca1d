//! Services of AWS that are read by their own calls, each protocol with its pages, chains, parts and joined parts.

use serde_json::json;

use super::world::{Call, Content, Item, Names, item, page, text};
use super::*;
use crate::collect::aws;
use crate::collect::wire::Request;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Service {
    /// EC2: a list that says everything.
    Volumes,
    /// EC2: a list, and one that is about all of its things and joined to them.
    Networks,
    /// Query: a list that says everything.
    Databases,
    /// Query: a list that says everything, and is all that tells of one by name.
    Groups,
    /// JSON: a list of names, which are asked for in batches.
    Clusters,
    /// JSON: a list of names, with a call about each.
    Tables,
    /// Paths and JSON: a list, with calls about each thing.
    Functions,
    /// Paths and XML: a list of names, with calls about where each is and what it is like.
    Buckets,
    /// Paths and XML: a list of names, below each of which is what is read.
    Lists,
}

use Service::{Buckets, Clusters, Databases, Functions, Groups, Lists, Networks, Tables, Volumes};

const XML: &str = "text/xml";
const JSON: &str = "application/json";
/// What the service tells of everything at once comes in two pieces, the first so long.
const FIRST_PIECE: usize = 3;

/// What a call is about.
enum About {
    Page(Option<String>),
    One(String),
    /// A thing that was listed: under which name a fault finds the call, and its answer, if the thing is there.
    Part(String, String, fn(&str) -> String),
    Piece(usize),
    /// Something that nobody has set, by the service's word for that.
    Unset(&'static str),
    Nothing,
}

impl Service {
    pub(super) const ALL: [Self; 9] =
        [Volumes, Networks, Databases, Groups, Clusters, Tables, Functions, Buckets, Lists];

    pub(super) fn kind(self) -> Kind {
        let kind = match self {
            Volumes => "AWS::EC2::Volume",
            Networks => "AWS::EC2::VPC",
            Databases => "AWS::RDS::DBInstance",
            Groups => "AWS::IAM::Group",
            Clusters => "AWS::ECS::Cluster",
            Tables => "AWS::DynamoDB::Table",
            Functions => "AWS::Lambda::Function",
            Buckets => "AWS::S3::Bucket",
            Lists => "AWS::S3::BucketAcl",
        };
        kind.into()
    }

    /// Returns a kind that is in the same scope and is read by Cloud Control.
    pub(super) fn other(self) -> Kind {
        if self == Groups { "AWS::CloudFront::Function".into() } else { aws::tests::KIND.into() }
    }

    /// Returns what is declared of an item with mode `on`.
    pub(super) fn declared(self, name: &str) -> Value {
        match self {
            Volumes => json!({"VolumeId": name, "VolumeType": "on"}),
            Networks => json!({"VpcId": name, "DefaultNetworkAcl": "on"}),
            Databases => json!({"DBInstanceIdentifier": name, "DBInstanceClass": "on"}),
            Groups => json!({"GroupName": name, "Path": "on"}),
            Clusters => json!({"ClusterName": name, "CapacityProviders": ["on"]}),
            Tables => json!({"TableName": name, "TableClass": "on"}),
            Functions => json!({"FunctionName": name, "RecursiveLoop": "on"}),
            Buckets => json!({"BucketName": name, "VersioningConfiguration": {"Status": "on"}}),
            Lists => json!({"Bucket": name, "Owner": "on"}),
        }
    }

    /// Returns what is asked besides the list and single things by name.
    pub(super) fn places(self) -> &'static [&'static str] {
        match self {
            Volumes | Databases | Groups => &[],
            Networks => &["piece 0", "piece 1"],
            Clusters => &["part a0", "part b2", "part c4"],
            Tables => &["a1", "tags a1", "tags b2"],
            Functions => &["part a1", "part b2", "tags a1", "tags b2"],
            Buckets => &["home a1", "home b2", "part a1", "part b2", "tags b2"],
            Lists => &["home a1", "home b2", "part a1", "part b2"],
        }
    }

    /// Returns what is asked to find out whether `a1` is there.
    pub(super) fn below(self) -> &'static [&'static str] {
        match self {
            Buckets => &["home a1"],
            Lists => &["home a1", "part a1"],
            _ => &[],
        }
    }

    pub(super) fn media(self) -> &'static str {
        match self {
            Clusters | Tables | Functions => JSON,
            _ => XML,
        }
    }

    /// Answers a request; nothing where it is not about the service.
    pub(super) fn answer(self, request: &Request, truth: &Names) -> Option<(Call, Content)> {
        let absent = || refusal(self.absence());
        match self.about(request) {
            About::Page(token) => Some(page(truth, token.as_deref())),
            About::One(name) => Some(item(truth, &name, absent())),
            About::Part(place, name, say) => {
                let mode = truth.get(&name).or_else(|| truth.get(name.rsplit('/').next()?));
                let answer = mode.map(|mode| text(200, self.media(), say(mode)));
                Some((Call::Other(place), answer.unwrap_or_else(absent)))
            }
            About::Piece(nth) => {
                let (skip, next) = if nth == 0 { (0, "<nextToken>1</nextToken>") } else { (FIRST_PIECE, "") };
                let most = if nth == 0 { FIRST_PIECE } else { usize::MAX };
                let entries = truth.iter().skip(skip).take(most);
                let entries = entries.map(|(name, mode)| {
                    format!("<item><vpcId>{name}</vpcId><networkAclId>{mode}</networkAclId></item>")
                });
                let entries: String = entries.collect();
                let said = format!(
                    "<DescribeNetworkAclsResponse><networkAclSet>{entries}</networkAclSet>{next}</DescribeNetworkAclsResponse>"
                );
                Some((Call::Other(format!("piece {nth}")), text(200, XML, said)))
            }
            About::Unset(word) => Some((Call::Other(word.to_owned()), refusal(word))),
            About::Nothing => None,
        }
    }

    fn absence(self) -> &'static str {
        match self {
            Volumes => "InvalidVolume.NotFound",
            Networks => "InvalidVpcID.NotFound",
            Databases => "DBInstanceNotFound",
            Groups => "NoSuchEntity",
            Clusters => "ClusterNotFoundException",
            Tables | Functions => "ResourceNotFoundException",
            Buckets | Lists => "NoSuchBucket",
        }
    }

    fn about(self, request: &Request) -> About {
        let form = |key: &str| form(request, key);
        let listed = |action: &str, one: &str, token: &str| match form("Action") {
            Some(asked) if asked == action => form(one).map_or_else(|| About::Page(form(token)), About::One),
            _ => About::Nothing,
        };
        match self {
            Volumes => listed("DescribeVolumes", "VolumeId.1", "NextToken"),
            Networks if form("Action").is_some_and(|action| action == "DescribeNetworkAcls") => {
                About::Piece(usize::from(form("NextToken").is_some()))
            }
            Networks => listed("DescribeVpcs", "VpcId.1", "NextToken"),
            Databases => listed("DescribeDBInstances", "DBInstanceIdentifier", "Marker"),
            Groups if form("Action").is_some_and(|action| action == "GetGroup") => {
                About::One(form("GroupName").unwrap_or_default())
            }
            Groups => listed("GetAccountAuthorizationDetails", "GroupName", "Marker"),
            Clusters | Tables => about_json(request),
            Functions => about_function(request),
            Buckets | Lists => about_bucket(request),
        }
    }

    /// Writes a page of the list.
    pub(super) fn page(self, items: &[Item], next: &str) -> String {
        let texts: String = items.iter().map(|item| self.entry(item)).collect();
        let named = |name: fn(&str) -> String| items.iter().map(|item| name(&item.name)).collect::<Vec<_>>();
        match self {
            Volumes => format!(
                "<DescribeVolumesResponse><volumeSet>{texts}</volumeSet><nextToken>{next}</nextToken></DescribeVolumesResponse>"
            ),
            Networks => format!(
                "<DescribeVpcsResponse><vpcSet>{texts}</vpcSet><nextToken>{next}</nextToken></DescribeVpcsResponse>"
            ),
            Databases => format!(
                "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>{texts}</DBInstances>\
                 <Marker>{next}</Marker></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
            ),
            Groups => format!(
                "<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult>\
                 <GroupDetailList>{texts}</GroupDetailList><Marker>{next}</Marker>\
                 </GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>"
            ),
            Clusters => json!({"clusterArns": named(arn), "nextToken": next}).to_string(),
            Tables => json!({"TableNames": named(str::to_owned), "LastEvaluatedTableName": next}).to_string(),
            Functions => {
                let functions: Vec<_> = items.iter().map(function).collect();
                json!({"Functions": functions, "NextMarker": next}).to_string()
            }
            Buckets | Lists => format!(
                "<ListAllMyBucketsResult><Buckets>{texts}</Buckets><ContinuationToken>{next}</ContinuationToken>\
                 </ListAllMyBucketsResult>"
            ),
        }
    }

    /// Writes an answer about one thing.
    pub(super) fn item(self, item: &Item) -> String {
        match self {
            Clusters => described(&[item]),
            Groups => {
                let group = self.entry(item).replace("member>", "Group>");
                format!("<GetGroupResponse><GetGroupResult>{group}</GetGroupResult></GetGroupResponse>")
            }
            Tables => {
                let class = json!({"TableClass": item.mode});
                json!({"Table": {"TableName": item.name, "TableClassSummary": class}}).to_string()
            }
            Functions => json!({"Configuration": function(item)}).to_string(),
            _ => self.page(std::slice::from_ref(item), ""),
        }
    }

    fn entry(self, Item { name, mode }: &Item) -> String {
        let said = |key: &str| match mode {
            None => String::new(),
            Some(mode) => format!("<{key}>{}</{key}>", mode.as_str().unwrap_or_default()),
        };
        match self {
            Volumes => format!("<item><volumeId>{name}</volumeId>{}</item>", said("volumeType")),
            Networks => format!("<item><vpcId>{name}</vpcId></item>"),
            Databases => {
                let class = said("DBInstanceClass");
                format!("<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier>{class}</DBInstance>")
            }
            Groups => format!("<member><GroupName>{name}</GroupName>{}</member>", said("Path")),
            _ => format!("<Bucket><Name>{name}</Name></Bucket>"),
        }
    }
}

fn refusal(code: &str) -> Content {
    text(400, JSON, json!({"__type": code}).to_string())
}

fn form(request: &Request, key: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(&request.body);
    pairs.into_owned().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111111111111:cluster/{name}")
}

fn function(Item { name, .. }: &Item) -> Value {
    json!({"FunctionName": name, "FunctionArn": format!("arn:aws:lambda:eu-west-1:111111111111:function/{name}")})
}

fn described(items: &[&Item]) -> String {
    let cluster = |item: &&Item| {
        let providers: Vec<_> = item.mode.iter().filter(|mode| !mode.is_null()).collect();
        json!({"clusterName": item.name, "clusterArn": arn(&item.name), "capacityProviders": providers, "status": "ACTIVE"})
    };
    json!({"clusters": items.iter().map(cluster).collect::<Vec<_>>(), "failures": []}).to_string()
}

fn about_json(request: &Request) -> About {
    let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let said = |key: &str| input[key].as_str().map(str::to_owned);
    match request.header("x-amz-target").rsplit('.').next().unwrap_or_default() {
        "ListClusters" => About::Page(said("nextToken")),
        "ListTables" => About::Page(said("ExclusiveStartTableName")),
        "DescribeTable" => About::One(said("TableName").unwrap_or_default()),
        "DescribeClusters" => About::One(input["clusters"][0].as_str().unwrap_or_default().to_owned()),
        "ListTagsOfResource" => {
            let name = last(&said("ResourceArn").unwrap_or_default());
            About::Part(format!("tags {name}"), name, |_| json!({"Tags": []}).to_string())
        }
        "GetResourcePolicy" => About::Unset("PolicyNotFoundException"),
        _ => About::Nothing,
    }
}

/// Returns the clusters that a batch names by their ARNs, which is how a list names them.
pub(super) fn batch(request: &Request, truth: &Names) -> Option<(Call, Content)> {
    let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let named = input["clusters"].as_array()?.iter().filter_map(Value::as_str);
    let names: Vec<String> = named.filter(|name| name.starts_with("arn:")).map(last).collect();
    let items: Vec<Item> = names.iter().filter_map(|name| Some(Item::new(name, truth.get(name)?))).collect();
    let place = format!("part {}", names.first()?);
    Some((Call::Other(place), text(200, JSON, described(&items.iter().collect::<Vec<_>>()))))
}

fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn about_function(request: &Request) -> About {
    let path = request.path.replace("%2F", "/");
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["2015-03-31", "functions"] => About::Page(request.parameter("Marker")),
        ["2015-03-31", "functions", name] => About::One(name.to_owned()),
        ["2017-03-31", "tags", .., name] => {
            About::Part(format!("tags {name}"), name.to_owned(), |_| json!({"Tags": {}}).to_string())
        }
        [_, "functions", name, "recursion-config"] => {
            About::Part(format!("part {name}"), name.to_owned(), |mode| json!({"RecursiveLoop": mode}).to_string())
        }
        _ => About::Nothing,
    }
}

/// What a bucket may be asked besides, with the word for "not set".
const UNSET: [(&str, &str); 8] = [
    ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
    ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("ownershipControls", "OwnershipControlsNotFoundError"),
    ("lifecycle", "NoSuchLifecycleConfiguration"),
    ("cors", "NoSuchCORSConfiguration"),
    ("website", "NoSuchWebsiteConfiguration"),
    ("replication", "ReplicationConfigurationNotFoundError"),
];

fn about_bucket(request: &Request) -> About {
    let name = request.path.trim_start_matches('/').to_owned();
    let asks = |what: &str| request.parameter(what).is_some();
    let part = |place: &str, say: fn(&str) -> String| About::Part(format!("{place} {name}"), name.clone(), say);
    if request.method != "GET" {
        About::Nothing
    } else if name.is_empty() {
        request.parameter("prefix").map_or_else(|| About::Page(request.parameter("continuation-token")), About::One)
    } else if asks("location") {
        part("home", |_| "<LocationConstraint>eu-west-1</LocationConstraint>".to_owned())
    } else if asks("versioning") {
        part("part", |mode| format!("<VersioningConfiguration><Status>{mode}</Status></VersioningConfiguration>"))
    } else if asks("acl") {
        part("part", |mode| {
            format!("<AccessControlPolicy><Owner><ID>{mode}</ID></Owner><AccessControlList/></AccessControlPolicy>")
        })
    } else if asks("tagging") {
        part("tags", |_| "<Tagging><TagSet/></Tagging>".to_owned())
    } else if asks("logging") {
        part("logging", |_| "<BucketLoggingStatus/>".to_owned())
    } else if asks("notification") {
        part("notification", |_| "<NotificationConfiguration/>".to_owned())
    } else if asks("accelerate") {
        part("accelerate", |_| "<AccelerateConfiguration/>".to_owned())
    } else {
        let word = UNSET.iter().find(|(what, _)| asks(what)).map(|(_, word)| *word);
        word.map_or(About::Nothing, About::Unset)
    }
}
