//! CloudFormation templates, in YAML with short tags or in JSON.
//!
//! A template is read once per revision and bound to each stack that it is deployed as. What neither the template nor
//! the stack tells is *unknown* and never guessed: a wrong guess would be a false alarm.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftwarden_core::region;
use driftwarden_core::resource::{Desired, Kind, Labels, Origin, Provider};
use serde_json::{Map, Value};

use crate::desired::Unresolved;
use crate::desired::aws_kinds::{self, Identity};
use crate::desired::intrinsics::{Resolver, is_unknown, unknown};
use crate::desired::yaml::{Document, Flaw};

/// A template as it is written.
#[derive(Debug, Default, PartialEq)]
pub struct Template {
    /// Path in the repository.
    pub file: Arc<str>,
    /// Its resources.
    pub resources: Vec<Declaration>,
    /// Its parameters, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// `Mappings`, as written.
    pub mappings: Value,
    /// `Conditions`, as written.
    pub conditions: Map<String, Value>,
    /// A macro that rewrites the template before it is deployed.
    pub rewritten_by: Option<String>,
}

/// One resource of a template.
#[derive(Debug, PartialEq)]
pub struct Declaration {
    /// Its logical id.
    pub id: Arc<str>,
    /// Its type.
    pub kind: Kind,
    /// Line of its logical id.
    pub line: u32,
    /// Name of the condition under which it exists.
    pub condition: Option<String>,
    /// `Properties`, as written.
    pub properties: Value,
}

/// A parameter of a template.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// The type that is written.
    pub kind: String,
    /// The value that it has without another one.
    pub default: Option<Value>,
    /// Whether the deployed value is hidden.
    pub hides: bool,
}

/// What is known of the stack that a template becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackFacts {
    /// Account that it is deployed in.
    pub account: Option<Arc<str>>,
    /// Region that it is deployed in.
    pub region: Option<Arc<str>>,
    /// Its name.
    pub stack: Option<Arc<str>>,
    /// Values of parameters that the configuration gives.
    pub parameters: BTreeMap<String, String>,
    /// The stack as it is deployed, if it is.
    pub deployed: Option<DeployedStack>,
}

/// A deployed stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployedStack {
    /// Its id (ARN).
    pub id: String,
    /// Physical id of each logical id.
    pub resources: BTreeMap<String, String>,
    /// Values of its parameters, without those that hide theirs.
    pub parameters: BTreeMap<String, String>,
    /// Exports of all stacks beside it.
    pub exports: BTreeMap<String, String>,
}

/// Returns whether the document is a template.
pub fn is_template(value: &Value) -> bool {
    let Some(resources) = value.get("Resources").and_then(Value::as_object) else { return false };
    let is_typed =
        |resource: &Value| resource.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.contains("::"));
    value.get("AWSTemplateFormatVersion").is_some() || resources.values().any(is_typed)
}

impl Template {
    /// Reads a template.
    pub fn read(file: &Arc<str>, document: &Document) -> Result<Self, Flaw> {
        let section = |name: &str| document.value.get(name).and_then(Value::as_object);
        let parameters = section("Parameters").into_iter().flatten();
        let mut template = Self {
            file: Arc::clone(file),
            resources: Vec::new(),
            parameters: parameters.map(|(name, value)| (name.clone(), parameter(value))).collect(),
            mappings: document.value.get("Mappings").cloned().unwrap_or_default(),
            conditions: section("Conditions").cloned().unwrap_or_default(),
            rewritten_by: document.value.get("Transform").and_then(foreign_macro),
        };
        for (id, resource) in section("Resources").into_iter().flatten() {
            if id.starts_with("Fn::") {
                template.rewritten_by.get_or_insert_with(|| id.clone());
                continue;
            }
            template.resources.push(declaration(id, resource, document)?);
        }
        Ok(template)
    }

    /// Returns the resources of the wanted kinds that the template asks for when it is deployed as that stack, and
    /// adds to `unresolved` what cannot be told of them.
    pub fn bind(
        &self,
        facts: &StackFacts,
        wanted: impl Fn(&Kind) -> bool,
        unresolved: &mut Vec<Unresolved>,
    ) -> Vec<Desired> {
        if let Some(name) = &self.rewritten_by {
            unresolved.push(self.unresolved("", format!("`{name}` rewrites the template")));
            return Vec::new();
        }
        let resolver = Resolver::new(self, facts);
        let wanted = self.resources.iter().filter(|declaration| wanted(&declaration.kind));
        wanted.filter_map(|declaration| self.one(declaration, &resolver, unresolved)).collect()
    }

    fn one(
        &self,
        declaration: &Declaration,
        resolver: &Resolver<'_>,
        unresolved: &mut Vec<Unresolved>,
    ) -> Option<Desired> {
        if let Some(reason) = aws_kinds::unobservable(declaration.kind.as_str()) {
            unresolved.push(self.unresolved(&declaration.id, reason.to_owned()));
            return None;
        }
        let condition = declaration.condition.as_ref().map_or(Some(true), |name| resolver.condition(name));
        if condition == Some(false) {
            return None;
        }
        let attributes = resolver.properties(declaration);
        let name = condition.and_then(|_| name(declaration, resolver, &attributes));
        if condition.is_none() {
            unresolved.push(self.unresolved(&declaration.id, "its condition cannot be told".to_owned()));
        } else if name.is_none() {
            unresolved.push(self.unresolved(&declaration.id, "its name cannot be told".to_owned()));
        }
        let facts = resolver.facts;
        let global: Arc<str> = driftwarden_core::resource::NOT_APPLICABLE.into();
        Some(Desired {
            provider: Provider::Aws,
            account: facts.account.clone(),
            region: if region::is_global(&declaration.kind) { Some(global) } else { facts.region.clone() },
            kind: declaration.kind.clone(),
            name,
            labels: Labels::new(),
            attributes,
            origin: Origin { file: Arc::clone(&self.file), line: declaration.line, ..Origin::default() },
        })
    }

    fn unresolved(&self, id: &str, reason: String) -> Unresolved {
        let what = if id.is_empty() { format!("`{}`", self.file) } else { format!("`{id}` of `{}`", self.file) };
        Unresolved { what, reason }
    }
}

/// Returns the primary identifier, or else the name that the template itself gives.
fn name(declaration: &Declaration, resolver: &Resolver<'_>, attributes: &Value) -> Option<Arc<str>> {
    let reference = resolver.physical_id(&declaration.id);
    let given = || aws_kinds::name_property(declaration.kind.as_str()).and_then(|key| text(attributes.get(key)?));
    match aws_kinds::identity(declaration.kind.as_str()) {
        Identity::Reference => reference.or_else(given),
        Identity::Arn => resolver.arn(declaration).or_else(given),
        Identity::Parts(parts) => {
            let part = |key: &&str| match *key {
                "Ref" => reference.clone(),
                key => part_of(attributes, key),
            };
            let parts: Option<Vec<String>> = parts.iter().map(part).collect();
            parts.map(|parts| parts.join("|"))
        }
    }
    .map(Arc::from)
}

/// Returns what a property contributes to an identifier.
fn part_of(attributes: &Value, key: &str) -> Option<String> {
    let said = |key: &str| text(attributes.get(key)?);
    if let Some(key) = key.strip_suffix('?') {
        return if attributes.get(key).is_some() { said(key) } else { Some(String::new()) };
    }
    if let Some(key) = key.strip_suffix('.') {
        return said(key).map(|name| format!("{}.", name.trim_end_matches('.').to_lowercase()));
    }
    match key.strip_suffix('/') {
        Some(key) => said(key)?.rsplit('/').next().map(str::to_owned),
        None => said(key),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn declaration(id: &str, resource: &Value, document: &Document) -> Result<Declaration, Flaw> {
    let place = document.place_of(&format!("/Resources/{id}"));
    let flaw = |why: &str| Flaw { place, why: format!("resource `{id}` {why}"), hint: None };
    let kind = resource.get("Type").and_then(Value::as_str).ok_or_else(|| flaw("has no `Type`"))?;
    let properties = resource.get("Properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if !properties.is_object() && !properties.is_null() {
        return Err(flaw("has `Properties` that are not a map"));
    }
    let condition = match resource.get("Condition") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err(flaw("has a `Condition` that is not a name")),
    };
    let properties = if properties.is_null() { Value::Object(Map::new()) } else { properties };
    Ok(Declaration { id: id.into(), kind: Kind::from(kind), line: place.line, condition, properties })
}

fn parameter(value: &Value) -> Parameter {
    let is_true = |value: &Value| value == true || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"));
    Parameter {
        kind: value.get("Type").and_then(Value::as_str).unwrap_or("String").to_owned(),
        default: value.get("Default").filter(|default| !default.is_null()).cloned(),
        hides: value.get("NoEcho").is_some_and(is_true),
    }
}

/// Returns the first macro that may change anything in the template.
fn foreign_macro(transform: &Value) -> Option<String> {
    let harmless = ["AWS::Serverless-", "AWS::LanguageExtensions", "AWS::SecretsManager-", "AWS::CodeDeployBlueGreen"];
    let names: Vec<&Value> = match transform {
        Value::Array(names) => names.iter().collect(),
        name => vec![name],
    };
    let name = |value: &Value| match value {
        Value::String(name) => name.clone(),
        value => value.get("Name").and_then(Value::as_str).unwrap_or("a transform").to_owned(),
    };
    names.into_iter().map(name).find(|name| !harmless.iter().any(|known| name.starts_with(known)))
}

impl Resolver<'_> {
    fn properties(&self, declaration: &Declaration) -> Value {
        let resolved = self.resolve(&declaration.properties).unwrap_or_else(unknown);
        if resolved.is_object() || is_unknown(&resolved) { resolved } else { unknown() }
    }

    /// Returns what `Ref` of a resource is.
    pub fn physical_id(&self, id: &str) -> Option<String> {
        let deployed = self.facts.deployed.as_ref().and_then(|deployed| deployed.resources.get(id));
        deployed.cloned().or_else(|| {
            let declaration = self.template.resources.iter().find(|declaration| &*declaration.id == id)?;
            let key = aws_kinds::naming_property(declaration.kind.as_str())?;
            // Only what is written without reference to resources, so that names cannot run in a circle.
            self.resolve_without_resources(declaration.properties.get(key)?).as_ref().and_then(text)
        })
    }

    /// Returns the ARN of a resource, where it follows from what is known.
    pub fn arn(&self, declaration: &Declaration) -> Option<String> {
        let reference = self.physical_id(&declaration.id)?;
        if reference.starts_with("arn:") {
            return Some(reference);
        }
        let pattern = aws_kinds::arn_pattern(declaration.kind.as_str())?;
        let path = match declaration.properties.get("Path") {
            None => "/".to_owned(),
            Some(path) => self.resolve_without_resources(path).as_ref().and_then(text)?,
        };
        let mut arn = pattern.to_owned();
        for (name, value) in [
            ("{partition}", self.partition()),
            ("{region}", self.facts.region.as_deref()),
            ("{account}", self.facts.account.as_deref()),
            ("{path}", Some(path.as_str())),
            ("{last}", reference.rsplit('/').next()),
            ("{name}", Some(reference.as_str())),
        ] {
            if arn.contains(name) {
                arn = arn.replace(name, value?);
            }
        }
        Some(arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::yaml;
    use serde_json::json;

    const HEAD: &str = "
Parameters:
  Env: {Type: String, Default: prod}
  Size: {Type: Number, Default: 3}
  Zones: {Type: CommaDelimitedList, Default: 'a, b,c'}
  Password: {Type: String, NoEcho: true, Default: hunter2}
  Image: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /aws/ami}
  Bare: {Type: String}
Mappings:
  Regions: {eu-west-1: {Ami: ami-1, Names: [x, y]}}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  IsDev: !Not [!Condition IsProd]
  Hidden: !Equals [!Ref Bare, x]
  Either: !Or [!Condition Hidden, !Condition IsProd]
  Both: !And [!Condition Hidden, !Condition IsDev]
  Loop: !Not [!Condition Loop]
Resources:
  Logs: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub 'logs-${Env}'}}
  Queue: {Type: AWS::SQS::Queue}
  Worker: {Type: AWS::IAM::Role, Properties: {RoleName: worker, Path: /svc/}}
  Fresh: {Type: AWS::S3::Bucket}
";

    fn template(text: &str) -> Template {
        let documents = yaml::documents(text).unwrap();
        Template::read(&"t.yaml".into(), &documents[0]).unwrap()
    }

    fn facts() -> StackFacts {
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/app-q-1";
        StackFacts {
            account: Some("123456789012".into()),
            region: Some("eu-west-1".into()),
            stack: Some("app".into()),
            deployed: Some(DeployedStack {
                id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1".to_owned(),
                resources: [("Queue".to_owned(), url.to_owned())].into(),
                exports: [("net-vpc".to_owned(), "vpc-1".to_owned())].into(),
                ..DeployedStack::default()
            }),
            ..StackFacts::default()
        }
    }

    /// Resolves a value in a template with parameters, mappings, conditions and resources; `?` is unknown, and nothing
    /// is a value that is left out.
    fn check(value: &str, want: impl Into<Option<Value>>) {
        let text = format!("{HEAD}  Probe:\n    Type: AWS::X::Y\n    Properties: {{V: {value}}}\n");
        let template = template(&text);
        let facts = facts();
        let probe = template.resources.iter().find(|d| &*d.id == "Probe").unwrap();
        let got = Resolver::new(&template, &facts).properties(probe).get("V").cloned();
        let want = want.into().map(|want| if want == "?" { unknown() } else { want });
        assert_eq!(got, want, "{value}");
    }

    #[test]
    fn an_identifier_is_made_of_what_is_declared() {
        let facts = facts();
        let check = |kind: &str, properties: Value, want: Option<&str>| {
            let text = format!("Resources: {{Queue: {{Type: '{kind}', Properties: {properties}}}}}");
            let template = template(&text);
            let declaration = &template.resources[0];
            let made = name(declaration, &Resolver::new(&template, &facts), &properties);
            assert_eq!(made.as_deref(), want, "{kind} {properties}");
        };
        let record = |more: Value| {
            let mut record = json!({"Name": "Www.example.org", "HostedZoneId": "Z1", "Type": "A"});
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record
        };
        check("AWS::Route53::RecordSet", record(json!({})), Some("www.example.org.|Z1|A|"));
        check(
            "AWS::Route53::RecordSet",
            record(json!({"Name": "a.org.", "SetIdentifier": "b"})),
            Some("a.org.|Z1|A|b"),
        );
        check("AWS::Route53::RecordSet", record(json!({"SetIdentifier": unknown()})), None);
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/app-q-1";
        for cluster in ["shop", "arn:aws:ecs:eu-west-1:1:cluster/shop"] {
            check("AWS::ECS::Service", json!({"Cluster": cluster}), Some(&format!("{queue}|shop")));
        }
    }

    #[test]
    fn references_are_what_the_stack_says() {
        check("!Ref Env", json!("prod"));
        check("!Ref Size", json!(3));
        check("!Ref Zones", json!(["a", "b", "c"]));
        check("!Ref Password", json!("?"));
        check("!Ref Image", json!("?"));
        check("!Ref Bare", json!("?"));
        check("!Ref Queue", json!("https://sqs.eu-west-1.amazonaws.com/123456789012/app-q-1"));
        check("!Ref Logs", json!("logs-prod"));
        check("!Ref Fresh", json!("?"));
        check("!Ref Nobody", json!("?"));
        check("!Ref AWS::AccountId", json!("123456789012"));
        check("!Ref 'AWS::Region'", json!("eu-west-1"));
        check("!Ref AWS::StackName", json!("app"));
        check("!Ref AWS::Partition", json!("aws"));
        check("!Ref AWS::URLSuffix", json!("amazonaws.com"));
        check("!Ref AWS::NotificationARNs", json!("?"));
        check("!Ref AWS::NoValue", None);
        check("[1, !Ref AWS::NoValue, 2]", json!([1, 2]));
        check("{Ref: Env}", json!("prod"));
        check("{Ref: Env, Other: 1}", json!({"Ref": "Env", "Other": 1}));
        check("'{{resolve:secretsmanager:x}}'", json!("?"));
        check("!Sub '{{resolve:ssm:/${Env}}}'", json!("?"));
    }

    #[test]
    fn attributes_are_told_only_where_they_follow() {
        check("!GetAtt Logs.Arn", json!("arn:aws:s3:::logs-prod"));
        check("!GetAtt Queue.Arn", json!("arn:aws:sqs:eu-west-1:123456789012:app-q-1"));
        check("!GetAtt Queue.QueueName", json!("app-q-1"));
        check("!GetAtt Worker.Arn", json!("arn:aws:iam::123456789012:role/svc/worker"));
        check("{'Fn::GetAtt': [Logs, Arn]}", json!("arn:aws:s3:::logs-prod"));
        check("!GetAtt Worker.RoleId", json!("?"));
        check("!GetAtt Fresh.Arn", json!("?"));
        check("!GetAtt Nobody.Arn", json!("?"));
        check("!GetAtt Logs", json!("?"));
    }

    #[test]
    fn functions_are_what_the_cloud_would_make_of_them() {
        check("!Sub 'a-${Env}-${AWS::Region}'", json!("a-prod-eu-west-1"));
        check("!Sub '${Logs.Arn}/*'", json!("arn:aws:s3:::logs-prod/*"));
        check("!Sub ['${x}-${Env}', {x: !Select [1, !Ref Zones]}]", json!("b-prod"));
        check("!Sub 'a${!Literal}b$c'", json!("a${Literal}b$c"));
        check("!Sub 'a-${Fresh}'", json!("?"));
        check("!Sub 'a-${Password}'", json!("?"));
        check("!Join ['-', [a, !Ref Env, 1, !Ref AWS::NoValue]]", json!("a-prod-1"));
        check("!Join ['-', [a, !Ref Fresh]]", json!("?"));
        check("!Join [',', !Ref Zones]", json!("a,b,c"));
        check("!Select ['1', [a, b]]", json!("b"));
        check("!Select [0, [a, !Ref Fresh]]", json!("a"));
        check("!Select [2, [a]]", json!("?"));
        check("!Select [0, !GetAZs '']", json!("?"));
        check("!Split [',', 'a,b']", json!(["a", "b"]));
        check("!FindInMap [Regions, !Ref 'AWS::Region', Ami]", json!("ami-1"));
        check("!FindInMap [Regions, !Ref 'AWS::Region', Names]", json!(["x", "y"]));
        check("!FindInMap [Regions, us-east-1, Ami]", json!("?"));
        check("!FindInMap [Regions, us-east-1, Ami, {DefaultValue: d}]", json!("d"));
        check("!ImportValue net-vpc", json!("vpc-1"));
        check("!ImportValue other", json!("?"));
        check("!Base64 'a'", json!("YQ=="));
        check("!Cidr [10.0.0.0/16, 3, 8]", json!(["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]));
        check("!Select [1, !Cidr [10.0.0.0/24, 2, 4]]", json!("10.0.0.16/28"));
        check("!Cidr [10.0.0.0/30, 9, 8]", json!("?"));
        check("{'Fn::Transform': {Name: x}}", json!("?"));
        check("{'Fn::Unheard': x}", json!("?"));
    }

    #[test]
    fn conditions_are_true_false_or_untold() {
        check("!If [IsProd, a, b]", json!("a"));
        check("!If [IsDev, a, b]", json!("b"));
        check("!If [IsDev, a, !Ref AWS::NoValue]", None);
        check("!If [Hidden, a, b]", json!("?"));
        check("!If [Either, a, b]", json!("a"));
        check("!If [Both, a, b]", json!("b"));
        check("!If [Loop, a, b]", json!("?"));
        check("!If [Nobody, a, b]", json!("?"));
        check("{a: !If [Hidden, 1, 2], b: 1}", json!({"a": {"$unknown": true}, "b": 1}));
        // The condition of a statement in a policy is no condition of a template.
        check("{Condition: {StringEquals: {a: b}}}", json!({"Condition": {"StringEquals": {"a": "b"}}}));
    }

    /// Answers with `kind name region` of each resource, then `!what: reason`.
    fn bound(text: &str, facts: &StackFacts) -> Vec<String> {
        let mut unresolved = Vec::new();
        let resources = template(text).bind(facts, |_| true, &mut unresolved);
        let part = |part: &Option<Arc<str>>| part.as_deref().unwrap_or("?").to_owned();
        let resources = resources.iter().map(|d| format!("{} {} {}", d.kind, part(&d.name), part(&d.region)));
        resources.chain(unresolved.iter().map(|u| format!("!{}: {}", u.what, u.reason))).collect()
    }

    #[test]
    fn a_resource_is_named_by_its_stack_or_else_by_itself() {
        let got = bound(HEAD, &facts());
        assert_eq!(
            got,
            [
                "AWS::S3::Bucket ? eu-west-1",
                "AWS::S3::Bucket logs-prod eu-west-1",
                "AWS::SQS::Queue https://sqs.eu-west-1.amazonaws.com/123456789012/app-q-1 eu-west-1",
                "AWS::IAM::Role worker -",
                "!`Fresh` of `t.yaml`: its name cannot be told",
            ]
        );
        let topic = "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: alerts}}}";
        assert_eq!(bound(topic, &StackFacts::default()), ["AWS::SNS::Topic alerts ?"]);
    }

    #[test]
    fn an_identifier_of_several_parts_is_put_together() {
        let text = "Resources:\n  C: {Type: AWS::Cognito::UserPoolClient, Properties: {UserPoolId: pool}}\n  R: {Type: AWS::Events::Rule, Properties: {Name: nightly}}\n";
        let mut facts = facts();
        facts.deployed.as_mut().unwrap().resources.insert("C".to_owned(), "client".to_owned());
        assert_eq!(
            bound(text, &facts),
            [
                "AWS::Cognito::UserPoolClient pool|client eu-west-1",
                "AWS::Events::Rule arn:aws:events:eu-west-1:123456789012:rule/nightly eu-west-1",
            ]
        );
    }

    #[test]
    fn a_resource_exists_if_its_condition_holds() {
        let conditions = "Parameters: {P: {Type: String}}\nConditions: {Yes: !Equals [a, a], No: !Equals [a, b], Maybe: !Equals [!Ref P, x]}\n";
        let resource = |condition| {
            format!("  {condition}: {{Type: AWS::S3::Bucket, Condition: {condition}, Properties: {{BucketName: b}}}}\n")
        };
        let text = format!("{conditions}Resources:\n{}{}{}", resource("Yes"), resource("No"), resource("Maybe"));
        assert_eq!(
            bound(&text, &StackFacts::default()),
            ["AWS::S3::Bucket ? ?", "AWS::S3::Bucket b ?", "!`Maybe` of `t.yaml`: its condition cannot be told",]
        );
    }

    #[test]
    fn what_no_cloud_holds_is_said() {
        let text = "Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {Type: AWS::Serverless::Function}\n  B: {Type: Custom::Thing}\n";
        assert_eq!(
            bound(text, &StackFacts::default()),
            [
                "!`A` of `t.yaml`: the transform makes other resources of it",
                "!`B` of `t.yaml`: the kind exists only in its stack",
            ]
        );
        let rewritten = "Transform: [AWS::LanguageExtensions, My::Macro]\nResources: {A: {Type: AWS::S3::Bucket}}";
        assert_eq!(bound(rewritten, &StackFacts::default()), ["!`t.yaml`: `My::Macro` rewrites the template"]);
        let each = "Resources: {'Fn::ForEach::Buckets': [x, [a], {}], A: {Type: AWS::S3::Bucket}}";
        assert_eq!(bound(each, &StackFacts::default()), ["!`t.yaml`: `Fn::ForEach::Buckets` rewrites the template"]);
    }

    #[test]
    fn what_is_broken_is_refused_with_its_line() {
        for (text, want) in [
            ("Resources:\n  A: {Type: A::B::C}\n  B: {}\n", "3 resource `B` has no `Type`"),
            (
                "Resources:\n  A: {Type: A::B::C, Properties: [1]}\n",
                "2 resource `A` has `Properties` that are not a map",
            ),
            (
                "Resources:\n  A: {Type: A::B::C, Condition: [1]}\n",
                "2 resource `A` has a `Condition` that is not a name",
            ),
        ] {
            let flaw = Template::read(&"t.yaml".into(), &yaml::documents(text).unwrap()[0]).unwrap_err();
            assert_eq!(format!("{} {}", flaw.place.line, flaw.why), want);
        }
    }

    #[test]
    fn conditions_that_double_are_told_at_once() {
        let condition = |n: usize| format!("  C{n}: !And [!Condition C{0}, !Condition C{0}, !Condition C{0}]", n + 1);
        let conditions: Vec<_> = (0..99).map(condition).collect();
        let mut text = format!("Conditions:\n{}\n  C99: !Equals [a, a]\n", conditions.join("\n"));
        text += "Resources: {A: {Type: AWS::S3::Bucket, Condition: C0}}";
        assert_eq!(bound(&text, &StackFacts::default()).len(), 2);
    }
}
