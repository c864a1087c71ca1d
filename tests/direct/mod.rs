//! Direct paths: they have the shapes of AWS's own schemas, and read from emulated services what was made through the
//! services' own interfaces. One file for each group of services.

mod auto_scaling;
mod containers;
mod ec2;
mod edge;
mod elb;
mod iam;
mod kms;
mod lambda;
mod messages;
mod network;
mod rds;
mod s3;
mod secrets;
mod stores;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use driftwarden::collect::aws::Config;
use driftwarden::collect::aws::direct::DIRECT;
use driftwarden::collect::aws::direct::shape::{Field, Form};
use driftwarden::collect::{CloudConfig, Read, Reading, Wanted};
use driftwarden_core::compare::Strict;
use driftwarden_core::resource::{Depth, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope, is_unread};
use serde_json::{Value, json};

use crate::conformance::json_of;
use crate::harness::aws::{ACCOUNT, REGION};
use crate::harness::process;
use crate::provider_schemas;

/// Kinds that CloudFormation does not have; their shape is the service's own.
const OUR_OWN: &[&str] = &[
    "AWS::Config::ConfigurationRecorderStatus",
    "AWS::EC2::Snapshot",
    "AWS::IAM::AccessKey",
    "AWS::IAM::AccountPasswordPolicy",
    "AWS::IAM::AccountSummary",
    "AWS::IAM::CredentialReport",
    "AWS::Lambda::FunctionPolicy",
    "AWS::RDS::DBClusterSnapshot",
    "AWS::RDS::DBSnapshot",
    "AWS::S3::AccountPublicAccessBlock",
    "AWS::S3::BucketAcl",
];

/// A schema of AWS, in which parts refer to each other.
struct Document(Value);

impl Document {
    /// Returns what is referred to, if it is a reference.
    fn resolved<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node.get("$ref").and_then(Value::as_str) {
            Some(place) => self.resolved(self.0.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null)),
            None => node,
        }
    }

    /// Returns every way in which the value at hand may be written.
    fn ways<'a>(&'a self, node: &'a Value) -> Vec<&'a Value> {
        let node = self.resolved(node);
        let others = ["oneOf", "anyOf", "allOf"].iter().filter_map(|key| node.get(*key)?.as_array()).flatten();
        std::iter::once(node).chain(others.flat_map(|other| self.ways(other))).collect()
    }

    fn is(&self, node: &Value, types: &[&str]) -> bool {
        let said: Vec<&str> = self
            .ways(node)
            .iter()
            .filter_map(|way| way.get("type"))
            .flat_map(|said| said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]))
            .filter_map(|said| types.iter().find(|known| said.as_str() == Some(known)).copied())
            .collect();
        !said.is_empty()
    }

    fn says_a_type(&self, node: &Value) -> bool {
        self.ways(node).iter().any(|way| way.get("type").is_some())
    }

    fn property<'a>(&'a self, node: &'a Value, name: &str) -> Option<&'a Value> {
        self.ways(node).into_iter().find_map(|way| way.get("properties")?.get(name))
    }

    fn item<'a>(&'a self, node: &'a Value) -> Option<&'a Value> {
        self.ways(node).into_iter().find_map(|way| way.get("items"))
    }

    /// Returns whether what is at a place is never read back.
    fn is_write_only(&self, place: &str) -> bool {
        let said = ["writeOnlyProperties", "deprecatedProperties"].iter().filter_map(|key| self.0[*key].as_array());
        let mut pointers = said.flatten().filter_map(|pointer| pointer.as_str()?.strip_prefix("/properties"));
        pointers.any(|pointer| place == pointer || place.starts_with(&format!("{pointer}/")))
    }

    fn properties<'a>(&'a self, node: &'a Value) -> BTreeSet<&'a str> {
        let ways = self.ways(node).into_iter().filter_map(|way| way.get("properties")?.as_object());
        ways.flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// Adds what the schema says otherwise than these lines, and what it says besides.
    fn check(&self, place: &str, node: &Value, fields: &[Field], wrong: &mut Vec<String>) {
        for name in self.properties(node) {
            let place = format!("{place}/{name}");
            if !fields.iter().any(|field| field.to == name) && !self.is_write_only(&place) {
                wrong.push(format!(
                    "{place}: nothing says how it is read: add it to the shape, or `untold(\"{name}\")`"
                ));
            }
        }
        for field in fields {
            let place = format!("{place}/{}", field.to);
            let Some(property) = self.property(node, field.to) else {
                wrong.push(format!("{place} is not in the schema"));
                continue;
            };
            let types: &[&str] = match field.form {
                Form::Text => &["string"],
                Form::Int => &["integer", "number"],
                Form::Number => &["number", "integer"],
                Form::Flag => &["boolean"],
                Form::Json => &["object", "string"],
                Form::Texts | Form::Tags | Form::Each(_) => &["array"],
                Form::TagMap | Form::Object(_) => &["object"],
                Form::Same | Form::Pascal | Form::Made(_) | Form::Untold => &[],
            };
            if !types.is_empty() && self.says_a_type(property) && !self.is(property, types) {
                wrong.push(format!("{place} is no {types:?} in the schema"));
            }
            match field.form {
                Form::Object(fields) => self.check(&place, property, fields, wrong),
                Form::Each(fields) => match self.item(property) {
                    Some(item) => self.check(&format!("{place}/*"), item, fields, wrong),
                    None => wrong.push(format!("{place} has no items in the schema")),
                },
                Form::Texts if !self.item(property).is_some_and(|item| self.is(item, &["string"])) => {
                    wrong.push(format!("{place} is no list of texts in the schema"));
                }
                _ => {}
            }
        }
    }
}

fn documents() -> Option<BTreeMap<String, PathBuf>> {
    provider_schemas::documents()
}

#[test]
fn shapes_are_those_of_awss_own_schemas() {
    let Some(documents) = documents() else { return };
    let mut wrong = Vec::new();
    for direct in DIRECT.iter().filter(|direct| !OUR_OWN.contains(&direct.kind)) {
        let document = Document(json_of(&documents[direct.kind]));
        let fields = direct.parts.iter().flat_map(|part| part.shape).chain(direct.shape).copied();
        let mut of_kind = Vec::new();
        document.check("", &document.0, &fields.collect::<Vec<_>>(), &mut of_kind);
        wrong.extend(of_kind.into_iter().map(|what| format!("{}{what}", direct.kind)));
        let identifier = document.0["primaryIdentifier"].as_array().map_or(0, Vec::len);
        if identifier != direct.name.len() {
            wrong.push(format!("{}: the identifier has {identifier} parts", direct.kind));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_counts_undeclared_is_read() {
    for direct in DIRECT {
        let strict = Strict::usual(&direct.kind.into());
        let untold = direct.shape.iter().filter(|field| matches!(field.form, Form::Untold)).map(|field| field.to);
        let untold: Vec<_> = untold.filter(|name| strict.attributes().is_none_or(|all| all.contains(name))).collect();
        assert!(untold.is_empty(), "{} watches {untold:?} strictly and does not read it", direct.kind);
    }
}

#[test]
fn each_kind_has_one_direct_path() {
    let kinds: Vec<&str> = DIRECT.iter().map(|direct| direct.kind).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    assert!(kinds.windows(2).all(|two| two[0] != two[1]), "{kinds:?}");
}

/// Reads one kind of an emulated account by its direct path, twice: the whole, and then each resource by itself, which must
/// be the same; what nothing is called must be absent. Returns the attributes by name; a gap is an error.
pub fn read(url: &str, kind: &str) -> Result<BTreeMap<String, Value>, String> {
    read_of(Peer { url, account: ACCOUNT, without: &[] }, kind)
}

/// An emulated account, and what of a kind is not asked for because the emulator has no such call.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    pub url: &'a str,
    pub account: &'a str,
    pub without: &'a [&'a str],
}

/// Reads one kind as [`read`] does, less attributes of which the emulator does not serve the calls.
pub fn read_without(url: &str, kind: &str, without: &[&str]) -> Result<BTreeMap<String, Value>, String> {
    read_of(Peer { url, account: ACCOUNT, without }, kind)
}

/// Reads one kind as [`read`] does, less some attributes.
pub fn read_of(Peer { url, account, without }: Peer<'_>, kind: &str) -> Result<BTreeMap<String, Value>, String> {
    let folder = process::folder();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "test").unwrap();
    let secret = format!("${{file:{}}}", secret.display());
    let config: Config = serde_json::from_value(json!({"name": "c", "regions": [REGION], "endpoint": url,
        "accounts": [{"id": account}], "kinds": {"include": [kind]}, "requests_per_second": 1000.0,
        "credentials": {"access_key_id": account, "secret_access_key": secret}}))
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let aws = config.build().unwrap();
        let kind = Kind::from(kind);
        let region = if driftwarden_core::region::is_global(&kind) { NOT_APPLICABLE } else { REGION };
        let (account, region) = (account.into(), region.into());
        let scope = Scope { cloud: "c".into(), provider: Provider::Aws, account, region };
        let wanted =
            Wanted { full: [kind.clone()].into(), attributes: attributes_but(&kind, without), ..Wanted::default() };
        let (sink, mut pages) = tokio::sync::mpsc::channel(1024);
        aws.collect(&scope, &wanted, sink).await;
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        let mut is_complete = false;
        while let Some(said) = pages.recv().await {
            match said {
                Read::Page { depth, items, .. } => {
                    assert_eq!(depth, Depth::Partial);
                    found.extend(items.into_iter().map(|item| (item.name.into(), told(&item.text))));
                }
                Read::Kept { .. } | Read::KeptAll { .. } => panic!("a first look keeps nothing: {said:?}"),
                Read::Complete(_) => is_complete = true,
                Read::Gap(gap) => return Err(format!("{}: {}", gap.reason.as_str(), gap.detail)),
            }
        }
        assert!(is_complete);
        for (name, attributes) in &found {
            let Reading::Found(text, _) = aws.read(&scope.id(&kind, name), &wanted).await.unwrap() else {
                panic!("{name} is absent")
            };
            let mut by_itself = told(&text);
            by_itself.as_object_mut().unwrap().retain(|key, _| !without.contains(&key.as_str()));
            assert_eq!(&by_itself, attributes, "{name} by itself");
        }
        let nobody: ResourceId = scope.id(&kind, &found.keys().next().map_or("x".into(), |name| other(name)));
        assert_eq!(aws.read(&nobody, &wanted).await.unwrap(), Reading::Absent, "{nobody}");
        Ok(found)
    })
}

/// Returns all attributes of a kind but these; nothing for all.
fn attributes_but(kind: &Kind, without: &[&str]) -> BTreeMap<Kind, BTreeSet<Box<str>>> {
    if without.is_empty() {
        return BTreeMap::new();
    }
    let direct = DIRECT.iter().find(|direct| direct.kind == kind.as_str()).unwrap();
    let fields = direct.parts.iter().flat_map(|part| part.shape).chain(direct.shape).map(|field| field.to);
    [(kind.clone(), fields.filter(|name| !without.contains(name)).map(Box::from).collect())].into()
}

/// Returns the attributes that are expected, where the emulator makes up others.
pub fn only(attributes: &Value, expected: &Value) -> Value {
    let names = expected.as_object().unwrap().keys();
    names.map(|name| (name.clone(), attributes[name].clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Takes out a text that no test can foresee.
pub fn take(found: &mut BTreeMap<String, Value>, name: &str, attribute: &str) -> String {
    let removed = found.get_mut(name).and_then(|attributes| attributes.as_object_mut()?.remove(attribute));
    removed.and_then(|value| value.as_str().map(str::to_owned)).unwrap()
}

/// Returns the attributes that were read, without the marks of those that were not.
fn told(text: &str) -> Value {
    let mut attributes: Value = serde_json::from_str(text).unwrap();
    unmark(&mut attributes);
    attributes
}

fn unmark(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !is_unread(value));
        map.values_mut().for_each(unmark);
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(unmark);
    }
}

/// Returns a name of the same form that nothing has.
fn other(name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    if let Some(last) = letters.last_mut() {
        *last = if *last == '0' { '1' } else { '0' };
    }
    letters.into_iter().collect()
}
