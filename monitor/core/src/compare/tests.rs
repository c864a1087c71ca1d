//! What means the same and what only looks so, and that no secret is shown.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resource::unread;

fn compared(kind: &str, desired: &Value, observed: &Value) -> Comparison {
    let (kind, schema, context, mask) =
        (Kind::from(kind), Schema::default(), Context::default(), MaskKey::new([1; 32]));
    let facts = Facts::of(&kind, &schema, &context, &mask);
    compare(desired, observed, facts)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(Value::from),
        "[a-zA-Z0-9/:. ~-]{0,12}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("{\"a\": [1, 2]}")),
        Just(json!("arn:aws:iam::123456789012:role/admin")),
        Just(json!({"$unknown": true})),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z]{1,6}",
        prop::sample::select(vec![
            "Name",
            "Key",
            "Value",
            "Tags",
            "metadata",
            "spec",
            "name",
            "ports",
            "Statement",
            "Id"
        ])
        .prop_map(ToOwned::to_owned),
        "\\PC{0,4}",
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_is_shown(secret in "[a-z]{12,20}", other in tree(), name in prop::sample::select(vec!["MasterUserPassword", "clientSecret", "api_key", "AuthToken"])) {
        let nested = json!({"Config": {name: secret, "Deep": [{name: {"inner": secret}}]}});
        let listed = json!({"Environment": [{"Name": "DB_PASSWORD", "Value": secret}], "Text": format!("{{\"{name}\": \"{secret}\"}}")});
        let url = json!({"Url": format!("postgres://user:{secret}@host/db")});
        for value in [nested, listed, url] {
            for (a, b) in [(&value, &other), (&other, &value), (&value, &json!({"Config": 1, "Environment": "x", "Text": "{}", "Url": 3}))] {
                let shown = format!("{:?}", compared("AWS::Some::Thing", a, b));
                prop_assert!(!shown.contains(&secret), "{}", shown);
            }
        }
    }
}

fn check(desired: &Value, observed: &Value, changes: &[&str]) {
    let found = compared("AWS::Some::Thing", desired, observed);
    let paths: Vec<_> = found.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, changes, "{desired} {observed}");
}

/// Returns the paths at which what is declared differs from what was read, under a schema that says these lists have no order.
fn reordered(kind: &str, unordered: &str, desired: &Value, observed: &Value) -> Vec<String> {
    let schema = Schema { unordered: vec![unordered.to_owned()], ..Schema::default() };
    let (kind, context, mask) = (Kind::from(kind), Context::default(), MaskKey::new([1; 32]));
    let (depth, strictly) = (Depth::Full, Strictly::default());
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
    compare(desired, observed, facts).changes.into_iter().map(|change| change.path).collect()
}

#[test]
fn an_order_that_means_something_counts_whatever_the_schema_states() {
    let table = |names: [&str; 2]| json!({"TableInput": {"StorageDescriptor": {"Columns": names.map(|name| json!({"Name": name, "Type": "int"}))}}});
    let columns = "/TableInput/StorageDescriptor/Columns";
    let (declared, observed) = (table(["a", "b"]), table(["b", "a"]));
    assert_ne!(reordered("AWS::Glue::Table", columns, &declared, &observed), [""; 0]);
    assert_eq!(reordered("AWS::Glue::Table", columns, &declared, &declared), [""; 0]);
    assert_eq!(reordered("AWS::Some::Table", columns, &declared, &observed), [""; 0]);
}

/// Compares a declared key with one that was read, where `alias/app` stands for the key `KEY`.
fn keys(declared: &str, observed: &str) -> Answer {
    let context = Context {
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        related: json!({"kmsAliasTargets": {"alias/app": KEY}}).into(),
        ..Context::default()
    };
    let (kind, schema, mask) = (Kind::from("AWS::Some::Thing"), Schema::default(), MaskKey::new([1; 32]));
    let (depth, strictly) = (Depth::Full, Strictly::default());
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
    compare(&json!({"KmsKeyId": declared}), &json!({"KmsKeyId": observed}), facts).answer()
}

const KEY: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn an_alias_stands_for_the_key_that_was_read_of_it_here_and_for_none_elsewhere() {
    let arn = |place: &str, resource: &str| format!("arn:aws:kms:{place}:{resource}");
    let (here, key) = ("eu-west-1:123456789012", format!("key/{KEY}"));
    let another = "key/99999999-2222-3333-4444-555555555555";
    for alias in ["alias/app".to_owned(), arn(here, "alias/app")] {
        assert_eq!(keys(&alias, &arn(here, &key)), Answer::InSync, "{alias}");
        assert_eq!(keys(&alias, &arn(here, another)), Answer::Drifted, "{alias}");
    }
    assert_eq!(keys("alias/other", &arn(here, &key)), Answer::Unknown);
    for place in ["eu-west-1:999999999999", "us-east-1:123456789012"] {
        assert_eq!(keys(&arn(place, "alias/app"), &arn(place, another)), Answer::Unknown, "{place}");
        assert_eq!(keys(&arn(place, "alias/app"), &arn(here, &key)), Answer::Drifted, "{place}");
    }
}

#[test]
fn what_means_the_same_is_the_same() {
    let same = [
        (json!({"A": "5", "B": true}), json!({"A": 5, "B": "true"})),
        (json!({"A": [], "B": "", "C": {}}), json!({})),
        (json!({"A": "{\"b\": 1, \"c\": [2]}"}), json!({"A": {"c": [2], "b": 1}})),
        (
            json!({"Tags": [{"Key": "a", "Value": "1"}]}),
            json!({"Tags": [{"Key": "aws:x", "Value": "2"}, {"Key": "a", "Value": "1"}]}),
        ),
        (json!({"SubnetIds": ["a", "b"]}), json!({"SubnetIds": ["b", "a"]})),
        (
            json!({"Share": 0.1, "Media": "image~1png"}),
            json!({"Share": 0.100_000_001_490_116_12, "Media": "image/png"}),
        ),
        (json!({"KeyAlgorithm": "RSA_2048"}), json!({"KeyAlgorithm": "RSA-2048"})),
        (json!({"LogUri": "s3://logs/a/"}), json!({"LogUri": "s3n://logs/a/"})),
        (json!({"ArtifactS3Location": "s3://logs/a"}), json!({"ArtifactS3Location": "logs/a"})),
        (json!({"AccessString": "on ~app:* +@read"}), json!({"AccessString": "on ~app:* -@all +@read"})),
        (json!({"EngineVersion": "6.x"}), json!({"EngineVersion": "6.2.6"})),
        (json!({"Interval": "PT1H"}), json!({"Interval": "PT60M"})),
        (
            json!({"SecretId": "shop/db"}),
            json!({"SecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:shop/db-AbCd12"}),
        ),
        (json!({"Criterion": {"Gte": 4}}), json!({"Criterion": {"GreaterThanOrEqual": 4}})),
        (json!({"Names": ["a", "a", "b"]}), json!({"Names": ["b", "a"]})),
        (json!({"RecordSets": [{"DomainName": "*.a.com"}]}), json!({"RecordSets": [{"DomainName": "\\052.a.com."}]})),
        (json!({"EngineVersion": "8.0"}), json!({"EngineVersion": "8.0.45"})),
        (json!({"Role": "arn:aws:iam::1:role/path/admin"}), json!({"Role": "admin"})),
        (json!({"DomainName": "Example.com"}), json!({"DomainName": "example.com."})),
        (json!({"Type": "Container"}), json!({"Type": "container"})),
        (json!({"Events": ["b", "a"]}), json!({"Events": "a, b"})),
        (json!({"Start": "2026-01-01T00:00:00Z"}), json!({"Start": 1_767_225_600})),
        (json!({"logging": {"Level": "ALL"}}), json!({"Logging": {"level": "ALL"}})),
        (json!({"Tags": {"a": "1"}}), json!({"Tags": [{"Key": "a", "Value": "1"}]})),
        (
            json!({"Rules": [{"Id": "a", "Days": 1}]}),
            json!({"Rules": [{"Id": "b", "Days": 2}, {"Id": "a", "Days": 1}]}),
        ),
    ];
    for (desired, observed) in &same {
        check(desired, observed, &[]);
    }
}

#[test]
fn every_cloud_writes_in_its_own_way() {
    let network = "https://www.googleapis.com/compute/v1/projects/p/global/networks/default";
    let same = [
        ("compute.googleapis.com/Instance", json!({"network": "default"}), json!({"network": network})),
        ("compute.googleapis.com/Instance", json!({"network": "global/networks/default"}), json!({"network": network})),
        (
            "compute.googleapis.com/Instance",
            json!({"sizeGb": 10, "ttl": "3600s"}),
            json!({"sizeGb": "10", "ttl": "3600.0s"}),
        ),
        ("Microsoft.Web/sites", json!({"location": "West Europe"}), json!({"location": "westeurope"})),
        ("Microsoft.Web/sites", json!({"id": "/subscriptions/A"}), json!({"id": "/subscriptions/a"})),
        ("apps/Deployment", json!({"spec": {"cpu": "2000m"}}), json!({"spec": {"cpu": 2}})),
        ("Secret", json!({"stringData": {"a": "test"}}), json!({"data": {"a": "dGVzdA=="}})),
    ];
    for (kind, desired, observed) in &same {
        assert_eq!(compared(kind, desired, observed).changes, vec![], "{kind} {desired}");
    }
    let different = [
        ("compute.googleapis.com/Instance", json!({"network": "fault"}), json!({"network": network})),
        ("Microsoft.Web/sites", json!({"location": "West Europe"}), json!({"location": "northeurope"})),
        ("apps/Deployment", json!({"spec": {"name": "2000m"}}), json!({"spec": {"name": "2"}})),
        ("Secret", json!({"stringData": {"a": "test"}}), json!({"data": {"a": "dGVzdB=="}})),
    ];
    for (kind, desired, observed) in &different {
        assert_eq!(compared(kind, desired, observed).changes.len(), 1, "{kind} {desired}");
    }
}

/// Returns the paths of changes, then those of what is undeclared.
fn paths(kind: &str, desired: &Value, observed: &Value) -> Vec<String> {
    let found = compared(kind, desired, observed);
    found.changes.into_iter().map(|change| change.path).chain(found.undeclared).collect()
}

#[test]
fn one_thing_of_two_names_hides_nothing_that_was_read_besides_it() {
    let (kind, open) = ("Microsoft.Network/virtualNetworks/subnets", json!(["0.0.0.0/0"]));
    let declared = json!({"properties": {"addressPrefix": "10.0.0.0/8"}});
    let read = |name: &str, value: Value| json!({"properties": {"addressPrefix": "10.0.0.0/8", name: value}});
    assert_eq!(paths(kind, &declared, &json!({"properties": {"addressPrefixes": ["10.0.0.0/8"]}})), [""; 0]);
    assert_eq!(
        paths(kind, &declared, &json!({"properties": {"addressPrefixes": open}})),
        ["/properties/addressPrefix"]
    );
    assert_eq!(paths(kind, &declared, &read("addressPrefixes", open.clone())), ["/properties/addressPrefixes"]);
    let respelled = json!({"properties": {"AddressPrefix": "10.0.0.0/8", "addressPrefixes": open}});
    assert_eq!(paths(kind, &declared, &respelled), ["/properties/addressPrefixes"]);
    assert_eq!(
        paths("AWS::Some::Thing", &json!({"A": {"Gt": 4}}), &json!({"A": {"Gt": 4, "GreaterThan": 9}})),
        ["/A/GreaterThan"]
    );
}

#[test]
fn a_kind_is_a_type_or_a_setting() {
    let kind = "compute.googleapis.com/Instance";
    let of = |value: &str| json!({"kind": value, "part": {"kind": value}});
    assert_eq!(paths(kind, &of("compute#instance"), &json!({"part": {}})), [""; 0]);
    assert_eq!(paths(kind, &json!({"part": {}}), &of("compute#instance")), [""; 0]);
    assert_eq!(paths(kind, &of("compute#instance"), &json!({})), [""; 0]);
    assert_eq!(paths(kind, &of("PRIVATE"), &of("PUBLIC")), ["/kind", "/part/kind"]);
    assert_eq!(paths(kind, &json!({"part": {}}), &of("PUBLIC")), ["/kind", "/part/kind"]);
}

#[test]
fn only_mail_addresses_and_domains_mean_the_same_in_any_case() {
    let policy = |member: &str| json!({"bindings": [{"role": "roles/viewer", "members": [member]}, {"role": "roles/editor", "members": [member]}]});
    let turned = |member: &str| {
        let mut policy = policy(member);
        policy["bindings"].as_array_mut().unwrap().reverse();
        policy
    };
    let kind = "storage.googleapis.com/Bucket";
    assert_eq!(paths(kind, &policy("user:Alice@x.com"), &turned("user:alice@x.com")), [""; 0]);
    let pool =
        |name: &str| format!("principal://iam.googleapis.com/locations/global/workforcePools/p/subject/{name}@x");
    assert_ne!(paths(kind, &policy(&pool("Alice")), &turned(&pool("alice"))), [""; 0]);
}

#[test]
fn only_labels_that_google_keeps_for_itself_are_its_own() {
    let kind = "compute.googleapis.com/Instance";
    assert_eq!(paths(kind, &json!({"labels": {}}), &json!({"labels": {"goog-gke-node": "x"}})), [""; 0]);
    assert_eq!(paths(kind, &json!({"labels": {}}), &json!({"labels": {"gke-team": "x"}})), ["/labels/gke-team"]);
}

#[test]
fn what_only_looks_alike_is_different() {
    let different = [
        (json!({"Share": 0.1}), json!({"Share": 0.100_000_2}), "/Share"),
        (json!({"N": 16_777_217}), json!({"N": 16_777_216}), "/N"),
        (json!({"KeyAlgorithm": "RSA_2048"}), json!({"KeyAlgorithm": "RSA_4096"}), "/KeyAlgorithm"),
        (json!({"BucketName": "My-logs"}), json!({"BucketName": "My_logs"}), "/BucketName"),
        (json!({"AccessString": "on ~a +@read"}), json!({"AccessString": "on ~a -@all +@write"}), "/AccessString"),
        (json!({"Interval": "PT1H"}), json!({"Interval": "PT61M"}), "/Interval"),
        (json!({"Address": "10.0.0.5/24"}), json!({"Address": "10.0.0.6/24"}), "/Address"),
        (
            json!({"SecretId": "shop/db"}),
            json!({"SecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:shop/db2-AbCd12"}),
            "/SecretId",
        ),
        (json!({"disablePasswords": false}), json!({}), "/disablePasswords"),
        (json!({"A": "5"}), json!({"A": "5.1"}), "/A"),
        (json!({"SecurityGroupIds": ["a"]}), json!({"SecurityGroupIds": ["a", "b"]}), "/SecurityGroupIds"),
        (json!({"Command": ["a", "b"]}), json!({"Command": ["b", "a"]}), "/Command/0"),
        (json!({"EngineVersion": "8.0"}), json!({"EngineVersion": "8.01"}), "/EngineVersion"),
        (json!({"Tags": [{"Key": "a", "Value": "x"}]}), json!({"Tags": [{"Key": "a", "Value": "X"}]}), "/Tags/0/Value"),
        (
            json!({"Cidrs": [{"Cidr": "10.0.0.0/8"}]}),
            json!({"Cidrs": [{"Cidr": "10.0.0.0/8"}, {"Cidr": "0.0.0.0/0"}]}),
            "/Cidrs",
        ),
        (json!({"Doc": "{\"a\": 1}"}), json!({"Doc": "{\"a\": 1, \"Id\": 2}"}), "/Doc"),
        (json!({"Tags": {"a": "1"}}), json!({"Tags": [{"Key": "a", "Value": "2"}]}), "/Tags"),
        (json!({"Handler": "index.Main"}), json!({"Handler": "index.main"}), "/Handler"),
        (json!({"Name": "Prod"}), json!({"Name": "prod"}), "/Name"),
        (json!({"N": 9_007_199_254_740_993_i64}), json!({"N": 9_007_199_254_740_992_i64}), "/N"),
    ];
    for (desired, observed, path) in &different {
        assert!(
            compared("AWS::Some::Thing", desired, observed).changes.iter().any(|c| c.path == *path),
            "{desired} {observed}"
        );
    }
}

#[test]
fn an_item_that_fits_many_leaves_room_for_others() {
    let (little, more) = (json!({"A": 1}), json!({"A": 1, "B": 2}));
    let (one, other) = (json!({"A": 1, "B": 2, "X": 5}), json!({"A": 1, "Y": 5}));
    check(&json!({"Things": [little, more]}), &json!({"Things": [one, other]}), &[]);
    check(&json!({"Things": [more, little]}), &json!({"Things": [other, one]}), &[]);
}

#[test]
fn a_port_of_every_protocol_says_nothing_and_that_of_one_counts() {
    let rule = |protocol: &str, port: i64| json!({"IpProtocol": protocol, "FromPort": port, "CidrIp": "10.0.0.0/8"});
    check(&rule("-1", 0), &json!({"IpProtocol": "-1", "CidrIp": "10.0.0.0/8"}), &[]);
    check(&rule("-1", 0), &rule("-1", -1), &[]);
    check(&rule("-1", 0), &rule("-1", 22), &["/FromPort"]);
    check(&rule("tcp", 0), &rule("tcp", -1), &["/FromPort"]);
    check(&rule("tcp", 22), &json!({"IpProtocol": "tcp", "CidrIp": "10.0.0.0/8"}), &["/FromPort"]);
}

#[test]
fn what_is_only_said_once_is_not_missing() {
    let declared = json!({"SnapshotIdentifier": "s", "Size": 5});
    check(&declared, &json!({"Size": 5}), &[]);
    check(&declared, &json!({"SnapshotIdentifier": "t", "Size": 5}), &["/SnapshotIdentifier"]);
}

#[test]
fn what_was_only_listed_is_not_missing() {
    let (kind, schema, context, mask) =
        (Kind::from("AWS::S3::Bucket"), Schema::default(), Context::default(), MaskKey::new([1; 32]));
    let facts = Facts { depth: Depth::Listed, ..Facts::of(&kind, &schema, &context, &mask) };
    let found = compare(&json!({"A": 1, "B": {"C": 2}, "D": 3}), &json!({"D": 4}), facts);
    assert_eq!(found.changes.len(), 1);
    assert_eq!(
        found.unknown.iter().map(|u| (u.path.as_str(), u.reason)).collect::<Vec<_>>(),
        [("/A", "not_read"), ("/B", "not_read")]
    );
}

#[test]
fn what_is_marked_as_unread_is_unknown_and_only_where_marks_are_announced() {
    let (kind, schema, context, mask) =
        (Kind::from("AWS::S3::Bucket"), Schema::default(), Context::default(), MaskKey::new([1; 32]));
    let strictly = Strictly::default();
    let facts = |depth| Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
    let declared = json!({"A": {"B": 1, "C": 2}, "D": [1], "E": 3});
    let marked = json!({"A": {"B": 1, "C": unread()}, "D": unread(), "E": 4, "F": unread()});
    let found = compare(&declared, &marked, facts(Depth::Partial));
    let unknown: Vec<_> = found.unknown.iter().map(|unknown| (unknown.path.as_str(), unknown.reason)).collect();
    assert_eq!(unknown, [("/A/C", "not_read"), ("/D", "not_read")]);
    assert_eq!(found.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["/E"]);
    assert_eq!(found.undeclared, Vec::<String>::new());
    let absent = compare(&declared, &json!({"A": {"B": 1, "C": 2}, "D": [1]}), facts(Depth::Partial));
    assert_eq!(absent.changes.len(), 1, "what has no mark is not set");
    assert_eq!(compare(&declared, &marked, facts(Depth::Full)).changes.len(), 3);
}

#[test]
fn what_would_count_undeclared_and_was_not_read_is_unknown() {
    let (kind, schema, context, mask) =
        (Kind::from("AWS::S3::Bucket"), Schema::default(), Context::default(), MaskKey::new([1; 32]));
    let strict = Strict::usual(&kind);
    let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Partial, mask: &mask, strictly };
    let found = compare(
        &json!({"BucketName": "a"}),
        &json!({"BucketName": "a", "ReplicationConfiguration": unread(), "CorsConfiguration": unread()}),
        facts,
    );
    assert!(found.unknown.iter().any(|unknown| unknown.path == "/ReplicationConfiguration"), "{:?}", found.unknown);
    assert!(found.changes.is_empty());
}

#[test]
fn what_a_policy_does_not_say_counts() {
    let statement = |extra: Value| {
        let mut one = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*"});
        one.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"Policy": {"Statement": [one]}})
    };
    let plain = statement(json!({}));
    check(&plain, &statement(json!({"Action": ["s3:getobject"], "Principal": {"AWS": "*"}})), &[]);
    check(
        &plain,
        &statement(json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}})),
        &["/Policy/Statement/0/Condition"],
    );
    let of = |principal: Value| statement(json!({"Principal": principal}));
    let identity = json!({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"});
    let found = compared("AWS::S3::BucketPolicy", &of(json!({"CanonicalUser": "abc"})), &of(identity));
    assert_eq!((found.changes.len(), found.unknown.len()), (0, 1), "which user this is was not said");
    check(
        &statement(json!({"Resource": "execute-api:/prod/*"})),
        &statement(json!({"Resource": "arn:aws:execute-api:eu-west-1:1:a1b2/prod/*"})),
        &[],
    );
    check(
        &statement(json!({"Resource": "execute-api:/prod/*"})),
        &statement(json!({"Resource": "arn:aws:execute-api:eu-west-1:1:a1b2/test/*"})),
        &["/Policy/Statement/0/Resource"],
    );
}
