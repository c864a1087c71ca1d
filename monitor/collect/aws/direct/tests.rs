//! Services that answer by script: what fails leaves its gap, marks in place of what it would have told, and no absence.

use std::collections::BTreeSet;

use driftwarden_core::resource::{GapReason, Kind, Scope, is_unread};
use serde_json::{Value, json};

use crate::collect::aws::direct::DIRECT;
use crate::collect::aws::tests::{Asked, Reply, Seen, Server, aws, collect_scope, honest, refuse, say, scope, xml};
use crate::collect::{Collector, Reading, Wanted};

const BUCKET: &str = "AWS::S3::Bucket";
const VOLUME: &str = "AWS::EC2::Volume";

/// Reads one kind, of which only these attributes matter; all if none is named.
async fn read(kind: &str, attributes: &[&str], server: &Server) -> Seen {
    let settings = json!({"kinds": {"include": [kind]}, "direct": {}});
    let mut wanted = Wanted { full: BTreeSet::from([kind.into()]), ..Wanted::default() };
    if !attributes.is_empty() {
        wanted.attributes.insert(kind.into(), attributes.iter().map(|&name| name.into()).collect());
    }
    collect_scope(&aws(server.address, &settings), &scope(), &wanted).await
}

fn buckets(asked: &Asked) -> Reply {
    let is = |what: &str| asked.input.get(what).is_some();
    let listed = |name: &str| format!("<Bucket><Name>{name}</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>");
    match &*asked.path {
        "/" => xml(&format!(
            "<ListAllMyBucketsResult><Buckets>{}{}</Buckets></ListAllMyBucketsResult>",
            listed("a"),
            listed("b")
        )),
        _ if is("versioning") => xml("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        "/b" if is("encryption") => refuse(403, "AccessDenied"),
        _ if is("encryption") => refuse(404, "ServerSideEncryptionConfigurationNotFoundError"),
        _ if is("tagging") => refuse(404, if asked.path == "/went" { "NoSuchBucket" } else { "NoSuchTagSet" }),
        _ => xml("<Nothing/>"),
    }
}

fn attributes(seen: &Seen, name: &str) -> Value {
    let item = seen.partial.iter().find(|item| &*item.name == name).unwrap();
    serde_json::from_str(&item.text).unwrap()
}

#[tokio::test]
async fn only_what_matters_is_asked_for() {
    let server = Server::start(|asked, _| buckets(asked)).await;
    let seen = read(BUCKET, &["VersioningConfiguration"], &server).await;
    assert_eq!((seen.complete.len(), seen.gaps.len()), (1, 0));
    let a = attributes(&seen, "a");
    assert_eq!((&a["BucketName"], &a["VersioningConfiguration"]), (&json!("a"), &json!({"Status": "Enabled"})));
    assert!(is_unread(&a["BucketEncryption"]), "{a}");
    // One list, and of each bucket the versioning and the labels, which say whose it is.
    assert_eq!(server.asked.lock().len(), 1 + 2 * 2);
}

#[tokio::test]
async fn what_one_resource_does_not_show_is_marked_there_and_a_gap_of_the_kind() {
    let server = Server::start(|asked, _| buckets(asked)).await;
    let seen = read(BUCKET, &["VersioningConfiguration", "BucketEncryption"], &server).await;
    assert_eq!((seen.complete, seen.gaps), (vec![], vec![(Some(BUCKET.to_owned()), GapReason::Denied)]));
    let seen = read(BUCKET, &["VersioningConfiguration", "BucketEncryption"], &server).await;
    assert_eq!(attributes(&seen, "a").get("BucketEncryption"), None, "the service says that there is none");
    assert!(is_unread(&attributes(&seen, "b")["BucketEncryption"]));
    assert_eq!(attributes(&seen, "b")["VersioningConfiguration"], json!({"Status": "Enabled"}));
}

async fn check_list(answers: fn(usize) -> Reply, told: usize, gap: Option<GapReason>) {
    let server = Server::start(move |_, before| answers(before.len())).await;
    let seen = read(VOLUME, &["Size"], &server).await;
    let expected: Vec<_> = gap.into_iter().map(|reason| (Some(VOLUME.to_owned()), reason)).collect();
    assert_eq!((seen.partial.len(), seen.gaps), (told, expected));
    assert_eq!(seen.complete.is_empty(), gap.is_some());
}

fn volumes(name: &str, next: &str) -> Reply {
    let token = if next.is_empty() { String::new() } else { format!("<nextToken>{next}</nextToken>") };
    let item = format!("<item><volumeId>{name}</volumeId></item>");
    xml(&format!("<DescribeVolumesResponse><volumeSet>{item}</volumeSet>{token}</DescribeVolumesResponse>"))
}

#[tokio::test]
async fn a_list_ends_where_the_service_says_so_and_nowhere_else() {
    let paged = |page| if page == 0 { volumes("a", "2") } else { volumes("b", "") };
    check_list(paged, 2, None).await;
    check_list(|_| xml("<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>"), 0, None).await;
    let silent = |_| xml("<DescribeVolumesResponse><requestId>1</requestId></DescribeVolumesResponse>");
    check_list(silent, 0, Some(GapReason::Malformed)).await;
    let other = |_| xml("<DescribeVpcsResponse><volumeSet/></DescribeVpcsResponse>");
    check_list(other, 0, Some(GapReason::Malformed)).await;
    check_list(|_| volumes("a", "again"), 1, Some(GapReason::Partial)).await;
    let moved = |page| if page == 0 { volumes("a", "2") } else { volumes("a", "") };
    check_list(moved, 1, None).await;
    let refused = |page| if page == 0 { volumes("a", "2") } else { refuse(403, "UnauthorizedOperation") };
    check_list(refused, 1, Some(GapReason::Denied)).await;
    let nameless = |_| {
        xml("<DescribeVolumesResponse><volumeSet><item><size>8</size></item></volumeSet></DescribeVolumesResponse>")
    };
    check_list(nameless, 0, Some(GapReason::Malformed)).await;
    let unfit = |_| {
        xml(
            "<DescribeVolumesResponse><volumeSet><item><volumeId>a</volumeId><size>big</size></item></volumeSet></DescribeVolumesResponse>",
        )
    };
    check_list(unfit, 1, Some(GapReason::Malformed)).await;
    check_list(|_| say(200, "{}"), 0, Some(GapReason::Malformed)).await;
}

#[tokio::test]
async fn an_answer_about_something_else_is_none() {
    let server = Server::start(|asked, _| buckets(asked)).await;
    let seen = read(BUCKET, &["LoggingConfiguration"], &server).await;
    assert!(is_unread(&attributes(&seen, "a")["LoggingConfiguration"]));
    assert_eq!(seen.gaps, [(Some(BUCKET.to_owned()), GapReason::Malformed)]);
}

#[tokio::test]
async fn what_goes_while_it_is_read_is_not_told_and_no_gap() {
    let script = |asked: &Asked| match &*asked.path {
        "/" => xml(
            "<ListAllMyBucketsResult><Buckets><Bucket><Name>went</Name><BucketRegion>eu-west-1</BucketRegion></Bucket>\
             </Buckets></ListAllMyBucketsResult>",
        ),
        _ => buckets(asked),
    };
    let server = Server::start(move |asked, _| script(asked)).await;
    let seen = read(BUCKET, &["BucketName"], &server).await;
    assert_eq!((seen.partial.len(), seen.gaps.len(), seen.complete.len()), (0, 0, 1));
}

#[tokio::test]
async fn a_value_that_looks_like_our_mark_is_not_believed() {
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Condition": {"$unread": true}}]}"#;
    let script = move |asked: &Asked| match &*asked.path {
        "/" => buckets(asked),
        _ => say(200, policy),
    };
    let server = Server::start(move |asked, _| script(asked)).await;
    let seen = read("AWS::S3::BucketPolicy", &[], &server).await;
    assert_eq!(seen.partial.len(), 2);
    assert!(is_unread(&attributes(&seen, "a")["PolicyDocument"]));
    assert_eq!(seen.gaps, [(Some("AWS::S3::BucketPolicy".to_owned()), GapReason::Malformed)]);
}

#[tokio::test]
async fn a_bucket_is_told_where_it_is_and_nowhere_else() {
    let script = |asked: &Asked| match (&*asked.path, asked.input.get("location")) {
        ("/", _) => {
            let names = ["far", "here", "odd", "old"].map(|name| format!("<Bucket><Name>{name}</Name></Bucket>"));
            xml(&format!("<ListAllMyBucketsResult><Buckets>{}</Buckets></ListAllMyBucketsResult>", names.concat()))
        }
        (_, None) => buckets(asked),
        ("/far", _) => xml("<LocationConstraint/>"),
        ("/old", _) => xml("<LocationConstraint>EU</LocationConstraint>"),
        ("/here", _) => xml("<LocationConstraint>eu-west-1</LocationConstraint>"),
        _ => xml("<ListBucketResult/>"),
    };
    let server = Server::start(move |asked, _| script(asked)).await;
    let seen = read(BUCKET, &["BucketName"], &server).await;
    let told: BTreeSet<&str> = seen.partial.iter().map(|item| &*item.name).collect();
    assert_eq!(told, ["here", "old"].into());
    assert_eq!(seen.gaps, [(Some(BUCKET.to_owned()), GapReason::Malformed)], "the odd one may be here");
}

/// Reads a kind that a script tells all about, which must have no gap.
async fn told(kind: &str, script: fn(&Asked) -> Value) -> Seen {
    let server = Server::start(move |asked, _| say(200, script(asked).to_string())).await;
    let seen = read(kind, &[], &server).await;
    assert_eq!((&seen.gaps, seen.complete.len()), (&vec![], 1));
    seen
}

#[tokio::test]
async fn a_detector_has_the_features_that_somebody_chose() {
    let script = |asked: &Asked| {
        let logs = json!({"name": "RUNTIME_MONITORING", "status": "ENABLED", "updatedAt": 1,
            "additionalConfiguration": [{"name": "EKS_ADDON_MANAGEMENT", "status": "DISABLED", "updatedAt": 1}]});
        let always = json!({"name": "FLOW_LOGS", "status": "ENABLED", "updatedAt": 1});
        match &*asked.path {
            "/detector" => json!({"detectorIds": ["d1"]}),
            "/detector/d1" => {
                json!({"status": "ENABLED", "findingPublishingFrequency": "ONE_HOUR", "features": [always, logs],
                "dataSources": {"s3Logs": {"status": "ENABLED"}, "flowLogs": {"status": "ENABLED"}},
                "tags": {"team": "data"}})
            }
            _ => Value::Null,
        }
    };
    let seen = told("AWS::GuardDuty::Detector", script).await;
    let nested = json!([{"Name": "EKS_ADDON_MANAGEMENT", "Status": "DISABLED"}]);
    let feature = json!({"Name": "RUNTIME_MONITORING", "Status": "ENABLED", "AdditionalConfiguration": nested});
    let expected = json!({"Id": "d1", "Enable": true, "FindingPublishingFrequency": "ONE_HOUR", "Features": [feature],
        "DataSources": {"S3Logs": {"Enable": true}}, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!(attributes(&seen, "d1"), expected);
}

#[tokio::test]
async fn a_hub_tells_of_itself() {
    let script = |asked: &Asked| match &*asked.path {
        "/accounts" => {
            json!({"HubArn": "arn:hub", "AutoEnableControls": true, "ControlFindingGenerator": "SECURITY_CONTROL"})
        }
        _ => json!({"Tags": {"team": "data"}}),
    };
    let seen = told("AWS::SecurityHub::Hub", script).await;
    let expected = json!({"ARN": "arn:hub", "AutoEnableControls": true, "ControlFindingGenerator": "SECURITY_CONTROL",
        "Tags": {"team": "data"}});
    assert_eq!(attributes(&seen, "arn:hub"), expected);
}

#[tokio::test]
async fn a_function_whose_variables_cannot_be_decrypted_may_have_some() {
    let script = |asked: &Asked| {
        let shut = json!({"FunctionName": "f", "FunctionArn": "arn:f", "Environment": {"Error": {"ErrorCode": "KMS"}},
            "VpcConfig": {"VpcId": "", "SubnetIds": [], "SecurityGroupIds": []}});
        match asked.path.rsplit('/').next() {
            Some("functions") => json!({"Functions": [shut]}),
            Some("runtime-management-config") => json!({"UpdateRuntimeOn": "Auto", "FunctionArn": "arn:f"}),
            _ => json!({}),
        }
    };
    let seen = told("AWS::Lambda::Function", script).await;
    let function = attributes(&seen, "f");
    assert!(is_unread(&function["Environment"]), "{function}");
    assert_eq!((function.get("VpcConfig"), function.get("CodeSigningConfigArn")), (None, None));
    assert_eq!(function["RuntimeManagementConfig"], json!({"UpdateRuntimeOn": "Auto"}));
}

#[tokio::test]
async fn log_groups_have_the_policies_of_their_own() {
    let script = |asked: &Asked| {
        let group = |name: &str, status: &str| {
            json!({"logGroupName": name, "logGroupArn": format!("arn:{name}"), "arn": format!("arn:{name}:*"),
                "dataProtectionStatus": status})
        };
        let index = |group: &str, source: &str| json!({"logGroupIdentifier": format!("arn:{group}"), "source": source, "policyDocument": "{\"Fields\":[\"id\"]}"});
        match &*asked.operation {
            "DescribeLogGroups" => {
                json!({"logGroups": [group("a", "ACTIVATED"), group("b", "DISABLED")]})
            }
            "GetDataProtectionPolicy" => json!({"policyDocument": "{\"Name\":\"p\"}"}),
            "DescribeIndexPolicies" => {
                assert_eq!(asked.input["logGroupIdentifiers"], json!(["arn:a", "arn:b"]), "all at once");
                json!({"indexPolicies": [index("a", "LOG_GROUP"), index("b", "ACCOUNT")]})
            }
            _ => json!({"tags": {}}),
        }
    };
    let seen = told("AWS::Logs::LogGroup", script).await;
    let (a, b) = (attributes(&seen, "a"), attributes(&seen, "b"));
    assert_eq!(
        (&a["DataProtectionPolicy"], &a["FieldIndexPolicies"]),
        (&json!({"Name": "p"}), &json!([{"Fields": ["id"]}]))
    );
    assert_eq!((b.get("DataProtectionPolicy"), b.get("FieldIndexPolicies")), (None, None));
}

#[tokio::test]
async fn what_must_be_told_of_each_and_is_not_is_unread() {
    let script = |asked: &Asked| match &*asked.operation {
        "DescribeParameters" => {
            json!({"Parameters": [{"Name": "a", "Type": "String"}, {"Name": "b", "Type": "String"},
                {"Name": "c", "Type": "SecureString"}]})
        }
        "GetParameters" => {
            assert_eq!(asked.input["Names"], json!(["a", "b"]), "what is secret is not asked for");
            json!({"Parameters": [{"Name": "a", "Value": "1"}], "InvalidParameters": ["b"]})
        }
        _ => json!({"TagList": []}),
    };
    let server = Server::start(move |asked, _| say(200, script(asked).to_string())).await;
    let seen = read("AWS::SSM::Parameter", &[], &server).await;
    assert_eq!(seen.gaps, [(Some("AWS::SSM::Parameter".to_owned()), GapReason::Malformed)]);
    assert_eq!(attributes(&seen, "a")["Value"], "1");
    assert!(is_unread(&attributes(&seen, "b")["Value"]) && is_unread(&attributes(&seen, "c")["Value"]));
}

#[test]
fn each_call_names_an_action_that_a_policy_can_allow() {
    for direct in super::DIRECT {
        for action in direct.actions() {
            let (service, name) = action.split_once(':').unwrap();
            let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            assert!(is_word(service) && is_word(name), "{}: {action}", direct.kind);
        }
    }
}

#[tokio::test]
async fn one_that_went_hides_none_of_those_it_was_asked_for_with() {
    let script = |asked: &Asked| match asked.path.rsplit('/').next() {
        Some("domain") => say(200, json!({"DomainNames": [{"DomainName": "a"}, {"DomainName": "b"}]}).to_string()),
        _ => refuse(409, "ResourceNotFoundException"),
    };
    let server = Server::start(move |asked, _| script(asked)).await;
    let seen = read("AWS::OpenSearchService::Domain", &[], &server).await;
    assert_eq!((seen.partial.len(), seen.complete.len(), seen.gaps.len()), (0, 0, 1), "{:?}", seen.gaps);
}

#[tokio::test]
async fn what_is_told_of_all_things_is_asked_for_once() {
    let of = |operation: &str, inner: &str| xml(&format!("<{operation}Response>{inner}</{operation}Response>"));
    let script = move |asked: &Asked, before: usize| match &*asked.operation {
        "DescribeVpcs" => {
            let token = if before == 0 { "<nextToken>2</nextToken>" } else { "" };
            let vpc = format!("<item><vpcId>vpc-{}</vpcId></item>", usize::from(before > 0));
            of("DescribeVpcs", &format!("<vpcSet>{vpc}</vpcSet>{token}"))
        }
        "DescribeNetworkAcls" => of("DescribeNetworkAcls", "<networkAclSet/>"),
        _ => refuse(400, "InvalidParameterValue"),
    };
    let server = Server::start(move |asked, before| script(asked, before.len())).await;
    let seen = read("AWS::EC2::VPC", &["DefaultNetworkAcl"], &server).await;
    assert_eq!(seen.partial.len(), 2);
    let asked = server.asked.lock();
    let times = |operation: &str| asked.iter().filter(|asked| asked.operation == operation).count();
    assert_eq!((times("DescribeVpcs"), times("DescribeNetworkAcls")), (2, 1));
}

#[tokio::test]
async fn a_json_in_place_of_the_xml_of_a_bucket_says_nothing() {
    let script = |asked: &Asked| if asked.path == "/" { buckets(asked) } else { say(200, "{}") };
    let server = Server::start(move |asked, _| script(asked)).await;
    let seen = read(BUCKET, &["BucketEncryption"], &server).await;
    assert!(is_unread(&attributes(&seen, "a")["BucketEncryption"]));
    assert_eq!(seen.gaps, [(Some(BUCKET.to_owned()), GapReason::Malformed)]);
}

/// Answers for security groups, of which one is called so.
fn groups(asked: &Asked, name: &str) -> Reply {
    if asked.input.get("GroupId.1").is_some() {
        return refuse(400, "InvalidGroupId.Malformed");
    }
    let group = format!(
        "<item><groupId>sg-0a1b2c3d4e</groupId><groupName>{name}</groupName><tagSet><item><key>Name</key><value>shop</value>\
         </item></tagSet></item>"
    );
    xml(&format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo>{group}</securityGroupInfo></DescribeSecurityGroupsResponse>"
    ))
}

#[test]
fn a_probe_tells_attributes_of_the_shape_and_must_be_allowed() {
    for (direct, probe) in DIRECT.iter().filter_map(|direct| Some((direct, direct.probe.as_ref()?))) {
        for attribute in probe.tells {
            assert!(direct.shape.iter().any(|field| field.to == *attribute), "{}: {attribute}", direct.kind);
        }
        let action = format!("{}:{}", direct.service.prefix, probe.call.operation);
        assert!(direct.actions().any(|allowed| allowed == action), "{action}");
    }
}

/// Answers of IAM about a role of which the list is older than what is told of it by name.
fn roles(asked: &Asked, by_name: Option<Reply>) -> Reply {
    let role = |path: &str| format!("<RoleName>r</RoleName><Arn>arn:aws:iam::1:role/r</Arn><Path>{path}</Path>");
    match &*asked.operation {
        "GetAccountAuthorizationDetails" => xml(&format!(
            "<GetAccountAuthorizationDetailsResponse><GetAccountAuthorizationDetailsResult><RoleDetailList><member>{}\
             <AttachedManagedPolicies><member><PolicyArn>p</PolicyArn></member></AttachedManagedPolicies></member>\
             </RoleDetailList></GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>",
            role("/old/")
        )),
        "GetRole" => by_name.unwrap_or_else(|| {
            let role = role("/");
            xml(&format!("<GetRoleResponse><GetRoleResult><Role>{role}</Role></GetRoleResult></GetRoleResponse>"))
        }),
        _ => honest(asked),
    }
}

/// Checks what is read of that role where asking for it by name may be answered otherwise.
async fn check_role(by_name: Option<Reply>, expected: Result<&str, GapReason>) {
    let server = Server::start(move |asked, _| roles(asked, by_name.clone())).await;
    let kind = Kind::from("AWS::IAM::Role");
    let aws = aws(server.address, &json!({"kinds": {"include": [kind.as_str()]}, "direct": {}}));
    let scope = Scope { region: "-".into(), ..scope() };
    let attributes = [(kind.clone(), ["Path".into()].into())].into();
    let wanted = Wanted { full: [kind.clone()].into(), attributes, ..Wanted::default() };
    let read = aws.read(&scope.id(&kind, "r"), &wanted).await;
    let path = |text: &str| serde_json::from_str::<Value>(text).unwrap()["Path"].as_str().unwrap().to_owned();
    let read = read.map(|reading| match reading {
        Reading::Found(text, _) => path(&text),
        Reading::Absent => "absent".to_owned(),
    });
    assert_eq!(read.map_err(|error| error.reason()), expected.map(str::to_owned));
}

#[tokio::test]
async fn what_is_told_by_name_is_newer_than_a_list() {
    check_role(None, Ok("/")).await;
    check_role(Some(refuse(404, "NoSuchEntity")), Err(GapReason::Partial)).await;
    check_role(Some(refuse(403, "AccessDenied")), Ok("/old/")).await;
    check_role(Some(refuse(500, "ServiceFailure")), Err(GapReason::Timeout)).await;
}

/// Checks that a service of a cluster is not absent, where the list of clusters is answered so, or honestly.
async fn check_no_absence(clusters: Option<Reply>) {
    let arn = |what: &str| format!("arn:aws:ecs:eu-west-1:111111111111:{what}");
    let server = Server::start(move |asked, _| match &*asked.operation {
        "ListClusters" => clusters
            .clone()
            .unwrap_or_else(|| say(200, json!({"clusterArns": [arn("cluster/one"), arn("cluster/two")]}).to_string())),
        "ListServices" if asked.input["cluster"] == arn("cluster/one") => {
            say(200, json!({"serviceArns": []}).to_string())
        }
        "ListServices" => {
            let services = [arn("service/two/a"), arn("service/two/b")];
            say(200, json!({"serviceArns": services}).to_string())
        }
        // It went a moment ago, with all that was in it.
        "DescribeServices" => refuse(400, "ClusterNotFoundException"),
        _ => honest(asked),
    })
    .await;
    let kind = Kind::from("AWS::ECS::Service");
    let aws = aws(server.address, &json!({"kinds": {"include": [kind.as_str()]}, "direct": {}}));
    let wanted = Wanted { full: [kind.clone()].into(), by_any_name: true, ..Wanted::default() };
    let name = format!("{}|one", "arn:aws:ecs:eu-west-1:111111111111:service/one/web");
    assert!(aws.read(&scope().id(&kind, &name), &wanted).await.is_err());
}

#[tokio::test]
async fn what_failed_in_a_list_or_below_it_is_no_absence() {
    check_no_absence(None).await;
    check_no_absence(Some(refuse(400, "ClusterNotFoundException"))).await;
}

#[tokio::test]
async fn what_people_call_so_is_not_absent_because_it_is_no_identifier() {
    let server = Server::start(|asked, _| groups(asked, "web")).await;
    let group = "AWS::EC2::SecurityGroup";
    let aws = aws(server.address, &json!({"kinds": {"include": [group]}, "direct": {}}));
    let read = async |name: &str, by_any_name| {
        let wanted = Wanted { full: [group.into()].into(), by_any_name, ..Wanted::default() };
        aws.read(&scope().id(&group.into(), name), &wanted).await
    };
    for name in ["web", "shop"] {
        let error = read(name, true).await.unwrap_err();
        assert_eq!(error.reason(), GapReason::Partial, "{name}");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("sg-0a1b2c3d4e"), "{error:?}");
        assert_eq!(read(name, false).await.unwrap(), Reading::Absent);
    }
    assert_eq!(read("other", true).await.unwrap(), Reading::Absent);
}
