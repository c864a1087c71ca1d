//! Changes that look like another way of writing, and are none: each fold has an end, and beyond it is drift.

use serde_json::json;

use super::*;

/// Returns the pointers of the changes, then `?` and the pointer of what is unknown.
fn seen(kind: &str, schema: &Schema, (desired, observed): (&Value, &Value)) -> Vec<String> {
    let (kind, mask) = (Kind::from(kind), MaskKey::new([1; 32]));
    let context = Context { account: "123456789012".to_owned(), region: "eu-west-1".to_owned(), ..Context::default() };
    let strict = Strict::usual(&kind);
    let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
    let facts = Facts { kind: &kind, schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
    let found = compare(desired, observed, facts);
    let changes = found.changes.into_iter().map(|change| change.path);
    changes.chain(found.unknown.iter().map(|unknown| format!("?{}", unknown.path))).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
fn check(kind: &str, desired: Value, observed: Value, expected: &[&str]) {
    assert_eq!(seen(kind, &Schema::default(), (&desired, &observed)), expected, "{kind} {desired} {observed}");
}

const THING: &str = "AWS::Some::Thing";
const POD: &str = "Pod";

#[test]
fn an_arn_of_another_account_is_another() {
    let trust = |principal: &str| json!({"Doc": {"Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}}]}});
    let at = ["/Doc/Statement/0/Principal/AWS"];
    let root = |account: &str| trust(&format!("arn:aws:iam::{account}:root"));
    check(THING, root("123456789012"), root("999999999999"), &at);
    check(THING, root("999999999999"), root("123456789012"), &at);
    let boundary = |arn: &str| json!({"PermissionsBoundary": arn});
    let own = "arn:aws:iam::123456789012:policy/p";
    check(THING, boundary(own), boundary("arn:aws:iam::999999999999:policy/p"), &["/PermissionsBoundary"]);
    check(THING, boundary(own), boundary("arn:aws:iam::aws:policy/p"), &["/PermissionsBoundary"]);
    check(THING, boundary("arn:aws:iam::aws:policy/p"), boundary(own), &["/PermissionsBoundary"]);
    check(THING, boundary(own), boundary("arn:aws-cn:iam::123456789012:policy/p"), &["/PermissionsBoundary"]);
    check(THING, boundary("p"), boundary(own), &[]);
    check(THING, boundary("arn:aws:iam:::policy/p"), boundary(own), &[]);
    check(
        THING,
        boundary("arn:aws:iam:::policy/p"),
        boundary("arn:aws:iam::999999999999:policy/p"),
        &["/PermissionsBoundary"],
    );
}

#[test]
fn a_condition_with_a_secret_name_that_is_gone_is_drift() {
    let policy = |condition: Value| {
        json!({"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition}}]}})
    };
    let (aud, sub) = ("token.actions.githubusercontent.com:aud", "token.actions.githubusercontent.com:sub");
    let path = format!("/AssumeRolePolicyDocument/Statement/0/Condition/StringEquals/{sub}");
    check("AWS::IAM::Role", policy(json!({aud: "a", sub: "b"})), policy(json!({aud: "a"})), &[&path]);
}

#[test]
fn a_secret_that_is_gone_from_a_map_of_own_names_is_drift() {
    let variables = |map: Value| json!({"Environment": {"Variables": map}});
    let schema = Schema { free_form: vec!["/Environment/Variables".to_owned()], ..Schema::default() };
    let gone = (variables(json!({"A": "1", "API_TOKEN": "x"})), variables(json!({"A": "1"})));
    assert_eq!(seen(THING, &schema, (&gone.0, &gone.1)), ["/Environment/Variables/API_TOKEN"]);
    check(THING, json!({"A": 1, "MasterPassword": "x"}), json!({"A": 1}), &["?/MasterPassword"]);
}

#[test]
fn a_choice_without_settings_that_was_changed_is_drift() {
    let acl = |action: &str| json!({"DefaultAction": {action: {}}});
    check("AWS::WAFv2::WebACL", acl("Block"), acl("Allow"), &["/DefaultAction/Block"]);
    check("AWS::WAFv2::WebACL", acl("Block"), acl("Block"), &[]);
    let field = |field: Value| json!({"FieldToMatch": field});
    check(
        THING,
        field(json!({"Method": {}})),
        field(json!({"SingleHeader": {"Name": "x"}})),
        &["/FieldToMatch/Method"],
    );
    check(THING, field(json!({"Method": {}})), field(json!({})), &[]);
    check(THING, json!({"Method": {}}), json!({"Other": {}}), &[]);
    let schema = Schema { free_form: vec!["/Labels/Own".to_owned()], ..Schema::default() };
    let labels = (json!({"Labels": {"Own": {}}}), json!({"Labels": {"System": {"a": "b"}}}));
    assert_eq!(seen(THING, &schema, (&labels.0, &labels.1)), Vec::<String>::new());
}

#[test]
fn an_empty_structure_says_a_lot_to_a_server() {
    let peers = |peer: Value| json!({"spec": {"ingress": [{"from": [peer]}]}});
    let schema = Schema { atomic: vec!["/spec/ingress".to_owned()], ..Schema::default() };
    let (one, all) = (peers(json!({"podSelector": {}})), peers(json!({"podSelector": {}, "namespaceSelector": {}})));
    let kind = "networking.k8s.io/NetworkPolicy";
    assert_eq!(seen(kind, &schema, (&one, &all)), ["/spec/ingress/0/from/0/namespaceSelector"]);
    let volume = |source: &str| json!({"spec": {"volumes": [{"name": "v", source: if source == "hostPath" { json!({"path": "/"}) } else { json!({}) }}]}});
    let volumes = ["/spec/volumes/0/emptyDir", "/spec/volumes/0/hostPath"];
    check(POD, volume("emptyDir"), volume("hostPath"), &volumes);
    let meta = |labels: Value| json!({"spec": {"template": {"metadata": labels}}});
    check("apps/Deployment", meta(json!({"annotations": {}})), meta(json!({"labels": {"a": "b"}})), &[]);
}

#[test]
fn root_is_a_user_like_any_other() {
    let pod = |context: Value| json!({"spec": {"containers": [{"name": "a", "securityContext": context}], "securityContext": context}});
    let at = |name: &str| {
        vec![format!("/spec/containers/0/securityContext/{name}"), format!("/spec/securityContext/{name}")]
    };
    let seen = |context: Value| seen(POD, &Schema::default(), (&pod(json!({})), &pod(context)));
    assert_eq!(seen(json!({"runAsUser": 0})), at("runAsUser"));
    assert_eq!(seen(json!({"runAsNonRoot": false})), at("runAsNonRoot"));
    assert_eq!(seen(json!({"runAsNonRoot": true})), Vec::<String>::new());
    assert_eq!(seen(json!({"privileged": false, "allowPrivilegeEscalation": false})), Vec::<String>::new());
    check(POD, json!({"spec": {}}), json!({"spec": {"hostNetwork": false}}), &[]);
}

#[test]
fn a_name_without_a_value_declares_nothing() {
    check(POD, json!({"spec": {"hostNetwork": null}}), json!({"spec": {"hostNetwork": true}}), &["/spec/hostNetwork"]);
    let container = |command: Value| json!({"spec": {"containers": [{"name": "a", "command": command}]}});
    check(POD, container(Value::Null), container(json!(["sh"])), &["/spec/containers/0/command"]);
    check(POD, container(Value::Null), json!({"spec": {"containers": [{"name": "a"}]}}), &[]);
    let policy = |condition: Value| json!({"P": {"Statement": [{"Effect": "Allow", "Condition": condition}]}});
    check(THING, policy(Value::Null), policy(json!({"Bool": {"a": "b"}})), &["/P/Statement/0/Condition"]);
}

#[test]
fn order_counts_in_a_document_that_is_no_policy() {
    let text = |first: &str, second: &str| json!({"DefinitionString": json!({"States": {"A": {"Choices": [{"Next": first}, {"Next": second}]}}}).to_string()});
    check("AWS::StepFunctions::StateMachine", text("B", "C"), text("C", "B"), &["/DefinitionString"]);
    let policy = |first: &str, second: &str| json!({"Policy": json!({"Statement": [{"Effect": "Allow", "Action": [first, second]}]}).to_string()});
    check(THING, policy("s3:a", "s3:b"), policy("s3:b", "s3:a"), &[]);
}

#[test]
fn case_counts_in_a_document() {
    let policy = |team: &str| json!({"P": {"Statement": [{"Effect": "Allow", "Condition": {"StringEquals": {"aws:PrincipalTag/team": team}}}]}});
    let path = "/P/Statement/0/Condition/StringEquals/aws:PrincipalTag~1team";
    check(THING, policy("admin"), policy("ADMIN"), &[path]);
    check(THING, json!({"Doc": "{\"mode\": \"on\"}"}), json!({"Doc": "{\"mode\": \"ON\"}"}), &["/Doc"]);
}

#[test]
fn what_is_kept_letter_by_letter_differs_by_a_letter() {
    let env = |value: &str| json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": value}]}]}});
    let path = ["/spec/containers/0/env/0/value"];
    for (left, right) in [("5", "5.0"), ("a%2Fb", "a/b"), ("ssh-rsa AAAA a", "ssh-rsa AAAA b"), ("PT1H", "PT60M")] {
        check(POD, env(left), env(right), &path);
    }
    let variables = |value: &str| json!({"Environment": {"Variables": {"X": value}}});
    check(THING, variables("5"), variables("5.0"), &["/Environment/Variables/X"]);
    check(THING, json!({"Value": "a%2Fb"}), json!({"Value": "a/b"}), &["/Value"]);
    check(THING, json!({"Amount": "5"}), json!({"Amount": "5.0"}), &[]);
}

#[test]
fn a_key_that_was_added_to_a_list_of_keys_is_drift() {
    let (one, two) = ("ssh-rsa AAAA a", "ssh-rsa AAAA a\nssh-rsa BBBB b");
    check(THING, json!({"Keys": one}), json!({"Keys": two}), &["/Keys"]);
    check(THING, json!({"Key": one}), json!({"Key": "ssh-rsa AAAA\n"}), &[]);
}

#[test]
fn a_number_in_place_of_the_newest_version_is_drift() {
    for newest in ["$LATEST", "$Latest", "$Default"] {
        check(THING, json!({"Version": newest}), json!({"Version": "1"}), &["/Version"]);
    }
    check(THING, json!({"PlatformVersion": "LATEST"}), json!({"PlatformVersion": "1.4.0"}), &[]);
}

#[test]
fn a_name_of_another_project_is_another() {
    let kind = "compute.googleapis.com/Instance";
    let network = |project: &str| json!({"network": format!("https://www.googleapis.com/compute/v1/projects/{project}/global/networks/default")});
    let bare = || json!({"network": "default"});
    check(kind, bare(), network("123456789012"), &[]);
    check(kind, bare(), network("stranger"), &["/network"]);
    check(kind, bare(), network("999999999999"), &["?/network"]);
    let source = |host: &str| json!({"source": format!("https://{host}/projects/p/x")});
    check(kind, source("www.googleapis.com"), source("evil.example"), &["/source"]);
    check(kind, source("www.googleapis.com"), source("compute.googleapis.com"), &[]);
}

#[test]
fn a_path_has_a_case() {
    let kind = "Microsoft.Web/sites";
    check(kind, json!({"path": "/Health"}), json!({"path": "/health"}), &["/path"]);
    let id = |group: &str| json!({"id": format!("/subscriptions/s/resourceGroups/{group}")});
    check(kind, id("A"), id("a"), &[]);
}

#[test]
fn a_suffix_counts_in_a_policy() {
    let policy = |resource: &str| json!({"P": {"Statement": [{"Effect": "Allow", "Resource": resource}]}});
    let path = ["/P/Statement/0/Resource"];
    let group = "arn:aws:logs:eu-west-1:123456789012:log-group:a";
    check(THING, policy(group), policy(&format!("{group}:*")), &path);
    let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a";
    check(THING, policy(secret), policy(&format!("{secret}-AbCdEf")), &path);
    check(THING, policy("secret:a"), policy(&format!("{secret}-AbCdEf")), &path);
    check(THING, json!({"GroupArn": group}), json!({"GroupArn": format!("{group}:*")}), &[]);
}

#[test]
fn a_reset_after_a_grant_takes_it_away() {
    let list = |text: &str| json!({"AccessString": text});
    check(THING, list("on ~* +@all"), list("on ~* +@all -@all"), &["/AccessString"]);
    check(THING, list("on ~* +@read"), list("on ~* -@all +@read"), &[]);
}

#[test]
fn an_alias_stands_for_no_key_of_another_account() {
    let key =
        |place: &str| json!({"KmsKeyId": format!("arn:aws:kms:{place}:key/11111111-2222-3333-4444-555555555555")});
    let alias = |text: &str| json!({"KmsKeyId": text});
    check(THING, alias("alias/a"), key("eu-west-1:123456789012"), &["?/KmsKeyId"]);
    check(THING, alias("alias/a"), key("eu-west-1:999999999999"), &["/KmsKeyId"]);
    check(THING, alias("alias/a"), key("us-east-1:123456789012"), &["/KmsKeyId"]);
    let far = "arn:aws:kms:us-east-1:999999999999:alias/a";
    check(THING, alias(far), key("us-east-1:999999999999"), &["?/KmsKeyId"]);
    check(THING, alias(far), key("eu-west-1:123456789012"), &["/KmsKeyId"]);
}

#[test]
fn an_arn_of_another_account_is_never_what_a_service_takes() {
    let listed = |arn: &str| {
        let (kind, schema, mask) = (Kind::from(THING), Schema::default(), MaskKey::new([1; 32]));
        let context = Context { account: "123456789012".to_owned(), ..Context::default() };
        let strictly = Strictly::default();
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        compare(&json!({"A": 1}), &json!({"A": 1, "TargetArn": arn}), facts).undeclared
    };
    assert_eq!(listed("arn:aws:sqs:eu-west-1:123456789012:q"), Vec::<String>::new());
    assert_eq!(listed("arn:aws:sqs:eu-west-1:999999999999:q"), ["/TargetArn"]);
}

#[test]
fn what_nobody_wrote_and_somebody_listens_with_is_drift() {
    let queue = "arn:aws:sqs:eu-west-1:999999999999:q";
    let added = |kind: &str, observed: Value, at: &str| check(kind, json!({}), observed, &[at]);
    let letters = "/DeadLetterConfig/TargetArn";
    added("AWS::Lambda::Function", json!({"DeadLetterConfig": {"TargetArn": queue}}), letters);
    let logs = json!({"LoggingConfiguration": {"DestinationBucketName": "b"}});
    added("AWS::S3::Bucket", logs, "/LoggingConfiguration");
    let hook = json!({"LambdaConfig": {"PreSignUp": "arn:aws:lambda:eu-west-1:123456789012:function:f"}});
    added("AWS::Cognito::UserPool", hook, "/LambdaConfig/PreSignUp");
    let selectors = json!({"EventSelectors": [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": false}]});
    added("AWS::CloudTrail::Trail", selectors, "/EventSelectors");
    added("AWS::RDS::DBInstance", json!({"BackupRetentionPeriod": 0}), "/BackupRetentionPeriod");
    check("AWS::RDS::DBInstance", json!({}), json!({"BackupRetentionPeriod": 1}), &[]);
    let topic = |endpoint: &str| json!({"Subscription": [{"Endpoint": endpoint, "Protocol": "sqs"}]});
    added("AWS::SNS::Topic", topic(queue), "/Subscription/0");
    check("AWS::SNS::Topic", json!({}), topic("arn:aws:sqs:eu-west-1:123456789012:q"), &[]);
    let user = |name: &str| json!({"UserAttributes": [{"Name": name, "Value": "x"}]});
    added("AWS::Cognito::UserPoolUser", user("custom:role"), "/UserAttributes/0");
    check("AWS::Cognito::UserPoolUser", json!({}), user("sub"), &[]);
}

#[test]
fn a_declared_empty_list_of_permissions_is_not_filled() {
    let settings = |permissions: Value| json!({"CreateTableDefaultPermissions": permissions});
    let everybody = json!([{"Permissions": ["ALL"], "Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED"}}]);
    let kind = "AWS::LakeFormation::DataLakeSettings";
    check(kind, settings(json!([])), settings(everybody.clone()), &["/CreateTableDefaultPermissions"]);
    check(kind, json!({}), settings(everybody), &[]);
}

#[test]
fn a_broker_that_the_world_can_reach_is_listed() {
    let (kind, schema, mask) = (Kind::from("AWS::MSK::Cluster"), Schema::default(), MaskKey::new([1; 32]));
    let (context, strictly) = (Context::default(), Strictly::default());
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
    let group = |access: &str| json!({"BrokerNodeGroupInfo": {"ConnectivityInfo": {"PublicAccess": {"Type": access}}}});
    let listed = |access: &str| compare(&json!({"BrokerNodeGroupInfo": {}}), &group(access), facts).undeclared;
    assert_eq!(listed("DISABLED"), Vec::<String>::new());
    assert_eq!(listed("SERVICE_PROVIDED_EIPS"), ["/BrokerNodeGroupInfo/ConnectivityInfo"]);
}

#[test]
fn what_is_given_back_at_another_place_is_compared_there() {
    let rule = |group: &str| json!({"Actions": [{"Type": "forward", "TargetGroupArn": group}]});
    let read = |groups: &[&str]| {
        let groups: Vec<_> = groups.iter().map(|group| json!({"TargetGroupArn": group, "Weight": 1})).collect();
        json!({"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]})
    };
    let kind = "AWS::ElasticLoadBalancingV2::ListenerRule";
    let target = "/Actions/0/TargetGroupArn";
    check(kind, rule("a"), read(&["a"]), &[]);
    check(kind, rule("a"), read(&["b"]), &[target]);
    check(kind, rule("a"), read(&["a", "b"]), &[target]);
    check(kind, rule("a"), rule("b"), &[target]);
    check(kind, rule("a"), json!({"Actions": [{"Type": "forward"}]}), &["?/Actions/0/TargetGroupArn"]);
    let host = |values: &[&str]| json!({"Conditions": [{"Field": "host-header", "Values": values}]});
    let read =
        |values: &[&str]| json!({"Conditions": [{"Field": "host-header", "HostHeaderConfig": {"Values": values}}]});
    check(kind, host(&["a.example"]), read(&["a.example"]), &[]);
    check(kind, host(&["a.example"]), read(&["b.example"]), &["/Conditions/0/Values"]);
    let sync = json!({"BucketName": "a", "SyncFormat": "JsonSerDe"});
    let read = |bucket: &str| json!({"S3Destination": {"BucketName": bucket, "SyncFormat": "JsonSerDe"}});
    check("AWS::SSM::ResourceDataSync", sync.clone(), read("a"), &[]);
    check("AWS::SSM::ResourceDataSync", sync, read("b"), &["/BucketName"]);
}

#[test]
fn units_of_tokens_are_told_as_they_are() {
    let client = |unit: &str| json!({"TokenValidityUnits": {"AccessToken": unit}});
    let (kind, schema, context) = (Kind::from("AWS::Cognito::UserPoolClient"), Schema::default(), Context::default());
    let (mask, strictly) = (MaskKey::new([1; 32]), Strictly::default());
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
    let change = |observed: &str| compare(&client("minutes"), &client(observed), facts).changes.remove(0);
    assert_eq!((change("hours").observed, change("hours").sensitive), (json!("hours"), false));
    assert!(change("hunter2").sensitive && !format!("{:?}", change("hunter2")).contains("hunter2"));
}

/// The stack's own tags cannot be known from its template: they are listed, and so are no drift unless somebody says so.
#[test]
fn tags_that_a_stack_puts_there_are_no_drift() {
    let tag = |key: &str| json!({"Key": key, "Value": "x"});
    let stack = [
        tag("aws:cloudformation:stack-name"),
        tag("aws:cloudformation:logical-id"),
        tag("aws:cloudformation:stack-id"),
    ];
    let read = |more: &[Value]| json!({"A": 1, "Tags": stack.iter().chain(more).cloned().collect::<Vec<_>>()});
    let order = Order { kind: "*".to_owned(), pointer: String::new(), watch: Watch::Strict };
    let (kind, schema, context) = (Kind::from(THING), Schema::default(), Context::default());
    let (usual, everything) = (Strict::usual(&kind), Strict::ordered(&kind, &[order]));
    let changes = |strict: &Strict, desired: &Value, observed: &Value| {
        let strictly = Strictly { strict: Some(strict), ..Strictly::default() };
        let mask = MaskKey::new([1; 32]);
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        compare(desired, observed, facts).changes.len()
    };
    for desired in [json!({"A": 1}), json!({"A": 1, "Tags": []}), json!({"A": 1, "Tags": [tag("team")]})] {
        let own: Vec<Value> = desired["Tags"].as_array().cloned().unwrap_or_default();
        assert_eq!(changes(&everything, &desired, &read(&own)), 0, "{desired}");
        let of_stack: Vec<Value> = own.iter().cloned().chain([tag("cost-center")]).collect();
        assert_eq!(changes(&usual, &desired, &read(&of_stack)), 0, "{desired}");
        assert_eq!(changes(&everything, &desired, &read(&of_stack)), 1, "{desired}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let check = |kind: &str, at: &dyn Fn(Value) -> Value, changed: &str| {
        let rule = |name: &str| json!({"Claim": name, "Then": {"Go": name}});
        let both = |first: &str, second: &str| at(json!([rule(first), rule(second)]));
        let found = seen(kind, &Schema::default(), (&both("x", "y"), &both("y", "x")));
        assert!(found.iter().any(|path| path.starts_with(changed)), "{kind} {found:?}");
    };
    let kind = "AWS::Cognito::IdentityPoolRoleAttachment";
    let rules = |rules| json!({"RoleMappings": {"p": {"RulesConfiguration": {"Rules": rules}}}});
    check(kind, &rules, "/RoleMappings/p/RulesConfiguration/Rules/0");
    check("AWS::Amplify::App", &|rules| json!({"CustomRules": rules}), "/CustomRules/0");
    check("AWS::SES::ReceiptRule", &|rules| json!({"Rule": {"Actions": rules}}), "/Rule/Actions/0");
    let stateful = |rules| json!({"RuleGroup": {"RulesSource": {"StatefulRules": rules}}});
    check("AWS::NetworkFirewall::RuleGroup", &stateful, "/RuleGroup/RulesSource/StatefulRules/0");
    let origins = |items| json!({"DistributionConfig": {"OriginGroups": {"Items": [{"Members": {"Items": items}}]}}});
    let at = "/DistributionConfig/OriginGroups/Items/0/Members/Items/0";
    check("AWS::CloudFront::Distribution", &origins, at);
    let choices = |choices| json!({"Definition": {"States": {"A": {"Choices": choices}}}});
    check("AWS::StepFunctions::StateMachine", &choices, "/Definition/States/A/Choices/0");
}

const VM: &str = "Microsoft.Compute/virtualMachines";

#[test]
fn azure_tells_places_identifiers_and_names_in_many_ways() {
    let at = |place: &str| json!({"location": place, "properties": {"failover": {"locationName": place}}});
    check(VM, at("West Europe"), at("westeurope"), &[]);
    check(VM, at("West Europe"), at("northeurope"), &["/location", "/properties/failover/locationName"]);
    let id = "/subscriptions/s/resourceGroups/G/providers/Microsoft.Network/publicIPAddresses/web";
    let reference = |id: &str| json!({"properties": {"publicIPAddress": {"id": id}}});
    check(VM, reference(&id.to_uppercase()), reference(id), &[]);
    check(VM, reference(id), reference(&id.replace("web", "api")), &["/properties/publicIPAddress/id"]);
    let subnet = |name: &str, value: Value| json!({"properties": {name: value}});
    let (one, many) = ("addressPrefix", "addressPrefixes");
    check(VM, subnet(one, json!("10.0.0.0/24")), subnet(many, json!(["10.0.0.0/24"])), &[]);
    check(VM, subnet(many, json!(["10.0.0.0/24"])), subnet(one, json!("10.0.0.0/24")), &[]);
    check(VM, subnet(one, json!("10.0.0.0/24")), subnet(many, json!(["10.1.0.0/24"])), &["/properties/addressPrefix"]);
    check(
        VM,
        subnet(one, json!("10.0.0.0/24")),
        subnet(many, json!(["10.0.0.0/24", "10.1.0.0/24"])),
        &["/properties/addressPrefix"],
    );
    check(VM, subnet("HardwareProfile", json!({"a": 1})), subnet("hardwareProfile", json!({"a": 1})), &[]);
    check(
        VM,
        subnet("HardwareProfile", json!({"a": 1})),
        subnet("hardwareProfile", json!({"a": 2})),
        &["/properties/HardwareProfile/a"],
    );
    let tags = |name: &str, value: &str| json!({"tags": {name: value}});
    check(VM, tags("Team", "x"), tags("team", "x"), &[]);
    check(VM, tags("Team", "x"), tags("team", "X"), &["/tags/Team"]);
}

#[test]
fn what_only_azure_or_a_template_says_is_no_drift() {
    let vm = |state: &str, size: &str| {
        json!({"etag": state, "systemData": {"lastModifiedAt": state},
            "properties": {"provisioningState": state, "vmSize": size, "parts": [{"etag": state, "size": size}]}})
    };
    check(VM, vm("a", "1"), vm("b", "1"), &[]);
    check(VM, vm("a", "1"), vm("b", "2"), &["/properties/parts/0/size", "/properties/vmSize"]);
    let template = json!({"apiVersion": "2024-01-01", "dependsOn": ["x"], "properties": {"a": 1}});
    check(VM, template, json!({"properties": {"a": 1}}), &[]);
    check(VM, json!({"tags": {"etag": "a"}}), json!({"tags": {"etag": "b"}}), &["/tags/etag"]);
}

const FIREWALL: &str = "compute.googleapis.com/Firewall";

#[test]
fn google_names_one_thing_in_many_ways() {
    let of = |name: &str| json!({"network": name});
    let path = "projects/p/global/networks/default";
    let url = format!("https://www.googleapis.com/compute/v1/{path}");
    let full = format!("//compute.googleapis.com/{path}");
    for one in [path, &url, &full, "global/networks/default"] {
        for other in [path, &url, &full] {
            let found = seen_at("p", FIREWALL, (&of(one), &of(other)));
            assert_eq!(found, [""; 0], "{one} {other}");
        }
        let another = of("https://www.googleapis.com/compute/v1/projects/q/global/networks/default");
        assert_eq!(seen_at("p", FIREWALL, (&of(one), &another)), ["/network"], "{one}");
        assert_eq!(seen_at("p", FIREWALL, (&of(one), &of(&url.replace("default", "other")))), ["/network"], "{one}");
    }
    assert_eq!(seen_at("p", FIREWALL, (&of("default"), &of(&url))), [""; 0]);
}

fn seen_at(project: &str, kind: &str, (desired, observed): (&Value, &Value)) -> Vec<String> {
    let (kind, schema, mask) = (Kind::from(kind), Schema::default(), MaskKey::new([1; 32]));
    let context = Context { account: project.to_owned(), ..Context::default() };
    let (depth, strictly) = (Depth::Full, Strictly::default());
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
    compare(desired, observed, facts).changes.into_iter().map(|change| change.path).collect()
}

#[test]
fn grants_count_and_how_they_are_gathered_does_not() {
    let binding = |role: &str, members: &[&str]| json!({"role": role, "members": members});
    let policy = |bindings: &[Value]| json!({"iamPolicy": {"bindings": bindings, "etag": "x"}});
    let kind = "cloudresourcemanager.googleapis.com/Project";
    let declared =
        policy(&[binding("a", &["user:X@a.example", "user:y@a.example"]), binding("b", &["user:x@a.example"])]);
    let same =
        [binding("b", &["user:x@a.example"]), binding("a", &["user:y@a.example"]), binding("a", &["user:x@a.example"])];
    check(kind, declared.clone(), policy(&same), &[]);
    let at = "/iamPolicy/bindings";
    for other in [
        [binding("a", &["user:x@a.example"]), binding("b", &["user:x@a.example"])],
        [
            binding("a", &["user:x@a.example", "user:y@a.example", "user:z@a.example"]),
            binding("b", &["user:x@a.example"]),
        ],
        [binding("a", &["user:x@a.example", "user:y@a.example"]), binding("c", &["user:x@a.example"])],
    ] {
        let found = seen(kind, &Schema::default(), (&declared, &policy(&other)));
        assert!(found.iter().any(|path| path.starts_with(at)), "{found:?}");
    }
    let mut conditional = same.clone();
    conditional[0]["condition"] = json!({"expression": "request.time < timestamp('2030-01-01T00:00:00Z')"});
    let found = seen(kind, &Schema::default(), (&declared, &policy(&conditional)));
    assert!(!found.is_empty(), "a condition counts");
}
