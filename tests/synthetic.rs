//! Recall on the kinds that the table of single kinds speaks of, recorded or not.
//!
//! Resources are made from the schemas that AWS states of its kinds, read back as they were declared, and changed in every
//! declared, readable leaf: what a line of the table lets pass must not be what somebody could have changed.

use std::collections::BTreeSet;

use driftwarden_core::compare::{Context, Facts, Knowledge, MaskKey, Part, Strictly, compare};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::{Schema, cloudformation};
use serde_json::{Map, Value, json};

use crate::conformance::mutate::mutations;
use crate::conformance::{generic, json_of, overlaps};
use crate::harness::peers;

/// How deep a made resource goes; the schemas of firewalls and pages have no end.
const DEEPEST: usize = 6;

/// A schema of AWS, with its definitions at hand.
struct Document<'d>(&'d Value);

impl<'d> Document<'d> {
    /// Returns a resource in which every attribute is set.
    fn resource(&self) -> Value {
        self.object(&self.0["properties"], DEEPEST, 0)
    }

    fn object(&self, properties: &'d Value, depth: usize, salt: usize) -> Value {
        let pairs = properties.as_object().into_iter().flatten();
        let made = pairs.filter_map(|(name, node)| Some((name.clone(), self.value(name, node, depth, salt)?)));
        Value::Object(made.collect::<Map<_, _>>())
    }

    /// Returns a value that fits; `salt` tells the items of a list apart.
    fn value(&self, name: &str, node: &'d Value, depth: usize, salt: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let node = self.resolved(node);
        if let Some(properties) = node.get("properties") {
            return Some(self.object(properties, depth, salt)).filter(|made| made != &json!({}));
        }
        if let Some(item) = node.get("items") {
            let items: Vec<_> = (0..2).filter_map(|index| self.value(name, item, depth, salt * 2 + index)).collect();
            return (!items.is_empty()).then(|| json!(items));
        }
        let choice = |list: &Value| list.as_array().and_then(|list| list.get(salt % list.len().max(1))).cloned();
        if let Some(word) = node.get("enum").and_then(choice) {
            return Some(word);
        }
        match node["type"].as_str() {
            Some("boolean") => Some(json!(salt.is_multiple_of(2))),
            Some("integer" | "number") => {
                Some(json!(node["minimum"].as_i64().unwrap_or(1).max(7) + i64::try_from(salt).unwrap()))
            }
            Some("object") => Some(json!({format!("key{salt}"): format!("value of {name}")})),
            Some("string") => Some(json!(text(name, salt))),
            _ => Some(json!(format!("anything {salt}"))),
        }
    }

    /// Returns a node with the definition that it refers to, or the first of its alternatives, in its place.
    fn resolved(&self, node: &'d Value) -> &'d Value {
        let mut node = node;
        for _ in 0..8 {
            if let Some(path) = node["$ref"].as_str() {
                node = self.0.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null);
            } else if node.get("properties").is_none()
                && node.get("type").is_none()
                && let Some(first) = ["oneOf", "anyOf", "allOf"].iter().find_map(|list| node[*list].get(0))
            {
                node = first;
            } else {
                break;
            }
        }
        node
    }
}

/// Returns a text as people write them in an attribute of this name.
fn text(name: &str, salt: usize) -> String {
    if name.ends_with("Arn") || name.ends_with("ARN") {
        format!("arn:aws:iam::123456789012:role/made-{salt}")
    } else if name.contains("Cidr") {
        format!("10.{salt}.0.0/16")
    } else if name.ends_with("Version") {
        format!("{}.1", salt + 1)
    } else {
        format!("made{salt}-{}", name.to_ascii_lowercase())
    }
}

/// Returns the kinds of which the table says something.
fn kinds() -> BTreeSet<&'static str> {
    let kind = |part| if let Part::Fact(fact) = part { Some(fact.kind) } else { None };
    Knowledge::every_fact().filter_map(kind).filter(|kind| kind.starts_with("AWS::")).collect()
}

/// Returns what cannot be read of a kind: what its schema and the table say.
fn unreadable(kind: &str, schema: &Schema) -> Vec<String> {
    let silent = |part| match part {
        Part::Fact(fact) if fact.says == "not_read" => Some(fact.pointer.to_owned()),
        _ => None,
    };
    let told = Knowledge::facts(kind).filter_map(silent);
    schema.read_only.iter().chain(&schema.write_only).cloned().chain(told).map(|pointer| generic(&pointer)).collect()
}

#[test]
fn what_the_table_lets_pass_is_not_what_somebody_changed() {
    let Some(folder) = peers::available("cfn-lint", peers::provider_schemas()) else { return };
    let files = json_of(&folder.join("providers/us-east-1.json"));
    let (mut made, mut missed) = (0_usize, Vec::new());
    for kind in kinds() {
        let Some(hash) = files[kind].as_str() else { continue };
        let document = json_of(&folder.join("resources").join(format!("{hash}.json")));
        let (named, schema) = cloudformation::read(&document).unwrap();
        let resource = Document(&document).resource();
        made += changed(&named, &schema, &resource, &mut missed);
    }
    for miss in &missed {
        println!("missed: {miss}");
    }
    println!("{made} changes of made resources, {} missed", missed.len());
    assert!(made > 5_000, "{made}");
    assert!(missed.len() * 1_000 <= made * 5, "{} of {made} changes are missed", missed.len());
}

/// Changes a resource in every readable leaf, and returns how often.
fn changed(kind: &Kind, schema: &Schema, resource: &Value, missed: &mut Vec<String>) -> usize {
    let (context, mask) = (Context::default(), MaskKey::new([7; 32]));
    let strictly = Strictly::default();
    let facts = Facts { kind, schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
    assert!(compare(resource, resource, facts).changes.is_empty(), "{kind} differs from itself");
    let unreadable = unreadable(kind.as_str(), schema);
    let mut made = 0;
    mutations(resource, resource, &mut |path, change| {
        let place = generic(path);
        let hides = |pointer: &String| overlaps(pointer, &place);
        if unreadable.iter().any(hides) {
            return;
        }
        let mut observed = resource.clone();
        change(&mut observed);
        made += 1;
        if !compare(resource, &observed, facts).changes.iter().any(|change| overlaps(path, &change.path)) {
            missed.push(format!("{kind} {path} {:?}", observed.pointer(path)));
        }
    });
    made
}
