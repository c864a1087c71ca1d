//! CloudFormation's resource provider schemas, as `DescribeType` gives them: what they say becomes a [`Schema`].
//!
//! A document is somebody else's and may be anything: what it says is followed breadth first, so that the attributes near
//! the root are always known, and only so far. Whether a value is valid is not checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Schema, unescaped};
use crate::resource::Kind;

/// Most places of a document that are followed.
const MOST_PLACES: usize = 50_000;
/// Most moves from the root to a place.
const MOST_MOVES: usize = 100;
/// Longest pointer.
const LONGEST_POINTER: usize = 1000;
/// How often a definition is followed inside itself: statements of a firewall rule hold statements.
const MOST_RETURNS: usize = 2;
/// Largest default that is kept, in values.
const LARGEST_DEFAULT: usize = 100;
/// Most pointers of one list.
const MOST_POINTERS: usize = 10_000;

/// A document that is not the schema of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid provider schema: it has no {0}")]
pub struct InvalidDocument(&'static str);

/// Returns whether a document says that it is a provider's schema.
pub fn is_document(document: &Value) -> bool {
    document.get("typeName").is_some()
}

/// Returns which kind a document is about, and what counts as equal for it.
pub fn read(document: &Value) -> Result<(Kind, Schema), InvalidDocument> {
    let kind = document.get("typeName").and_then(Value::as_str).ok_or(InvalidDocument("`typeName`"))?;
    document.get("properties").and_then(Value::as_object).ok_or(InvalidDocument("`properties`"))?;
    let reader = Reader::follow(document);
    let list = |names: &[&str]| pointers(names.iter().filter_map(|name| document.get(*name)));
    let schema = Schema {
        read_only: list(&["readOnlyProperties"]),
        write_only: list(&["writeOnlyProperties"]),
        // What is created anew only under conditions can be changed under others.
        create_only: list(&["createOnlyProperties"]),
        defaults: reader.defaults.into_iter().filter_map(|(path, value)| Some((path, value?.clone()))).collect(),
        unordered: reader.unordered.into_iter().collect(),
        partial: reader.partial.into_iter().collect(),
        free_form: reader.free_form.into_iter().collect(),
        ..Schema::default()
    };
    Ok((Kind::new(kind), schema))
}

/// Returns pointers into the document (`/properties/Rules/*/Arn`) as pointers into a resource.
fn pointers<'d>(lists: impl Iterator<Item = &'d Value>) -> Vec<String> {
    let texts = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_str);
    let texts = texts.filter(|text| text.len() <= LONGEST_POINTER).take(MOST_POINTERS);
    let found: BTreeSet<String> = texts.filter_map(pointer).collect();
    found.into_iter().collect()
}

fn pointer(text: &str) -> Option<String> {
    let path = text.strip_prefix("/properties/")?;
    // Some authors also write down the steps that the document takes and the resource does not.
    let steps =
        path.split('/').filter(|step| *step != "properties").map(|step| if step == "items" { "*" } else { step });
    let pointer = steps.fold(String::new(), |pointer, step| pointer + "/" + step);
    (pointer.len() > 1).then_some(pointer)
}

/// One place of the document that speaks of the attribute at `path`.
struct Place<'d> {
    node: &'d Value,
    path: String,
    moves: usize,
    /// The place from which it was reached.
    from: Option<usize>,
    /// The address by which it was reached, if by one.
    by: Option<&'d str>,
}

/// Follows a document from place to place.
struct Reader<'d> {
    document: &'d Value,
    places: Vec<Place<'d>>,
    /// Nothing where two places disagree: which of them holds depends on the resource.
    defaults: BTreeMap<String, Option<&'d Value>>,
    unordered: BTreeSet<String>,
    partial: BTreeSet<String>,
    free_form: BTreeSet<String>,
}

impl<'d> Reader<'d> {
    fn follow(document: &'d Value) -> Self {
        let root = Place { node: document, path: String::new(), moves: 0, from: None, by: None };
        let mut reader = Self {
            document,
            places: vec![root],
            defaults: BTreeMap::new(),
            unordered: BTreeSet::new(),
            partial: BTreeSet::new(),
            free_form: BTreeSet::new(),
        };
        let mut next = 0;
        while let Some(Place { node, path, .. }) = reader.places.get(next) {
            let (node, path) = (*node, path.clone());
            if !path.is_empty() {
                reader.note(node, &path);
            }
            reader.visit(node, next);
            next += 1;
        }
        reader
    }

    /// Notes what a place says of its own attribute.
    fn note(&mut self, node: &'d Value, path: &str) {
        if let Some(default) = node.get("default").filter(|default| !default.is_null() && is_small(default)) {
            let noted = self.defaults.entry(path.to_owned()).or_insert(Some(default));
            *noted = noted.filter(|noted| *noted == default);
        }
        let lists = [
            (node.get("insertionOrder") == Some(&Value::Bool(false)), &mut self.unordered),
            // What the service adds to such a list on its own has no significance.
            (node.get("arrayType").and_then(Value::as_str) == Some("AttributeList"), &mut self.partial),
            (is_free_form(node), &mut self.free_form),
        ];
        for (is_so, list) in lists {
            if is_so {
                list.insert(path.to_owned());
            }
        }
    }

    /// Goes on to what a place holds, refers to, and may be instead.
    fn visit(&mut self, node: &'d Value, at: usize) {
        if let Some(address) = node.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.find(address, at)
        {
            self.go(target, at, (None, Some(address)));
        }
        for (name, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.go(child, at, (Some(name), None));
        }
        let patterns = node.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let each = patterns.map(|(_, child)| child).chain(node.get("additionalProperties")).chain(node.get("items"));
        for child in each {
            self.go(child, at, (Some("*"), None));
        }
        for word in ["oneOf", "anyOf", "allOf"] {
            for child in node.get(word).and_then(Value::as_array).into_iter().flatten() {
                self.go(child, at, (None, None));
            }
        }
    }

    /// Adds a place one step below, or beside where it takes no step.
    fn go(&mut self, node: &'d Value, at: usize, (step, by): (Option<&str>, Option<&'d str>)) {
        let Some(from) = self.places.get(at).filter(|_| node.is_object()) else { return };
        let moves = from.moves + 1;
        let path = match step {
            None => from.path.clone(),
            Some("*") => format!("{}/*", from.path),
            Some(name) => format!("{}/{}", from.path, name.replace('~', "~0").replace('/', "~1")),
        };
        if self.places.len() < MOST_PLACES && moves <= MOST_MOVES && path.len() <= LONGEST_POINTER {
            self.places.push(Place { node, path, moves, from: Some(at), by });
        }
    }

    /// Returns what stands at an address of the document, unless it was followed often enough on the way here.
    fn find(&self, address: &'d str, at: usize) -> Option<&'d Value> {
        let above = std::iter::successors(self.places.get(at), |place| self.places.get(place.from?));
        if above.filter(|place| place.by == Some(address)).count() > MOST_RETURNS {
            return None;
        }
        let steps = address.strip_prefix("#/")?.split('/');
        steps.take(MOST_MOVES).try_fold(self.document, |node, step| node.get(unescaped(step)))
    }
}

/// Returns whether the names in a map are the user's: it says which patterns they have, or nothing at all.
fn is_free_form(node: &Value) -> bool {
    let has =
        |word: &str| node.get(word).is_some_and(|value| !value.as_object().is_some_and(serde_json::Map::is_empty));
    let is_open = node.get("additionalProperties") != Some(&Value::Bool(false));
    has("patternProperties")
        || node.get("additionalProperties").is_some_and(Value::is_object)
        || is_open && says_object(node) && !["properties", "oneOf", "anyOf", "allOf", "$ref"].into_iter().any(has)
}

fn says_object(node: &Value) -> bool {
    match node.get("type") {
        Some(Value::String(word)) => word == "object",
        Some(Value::Array(words)) => words.iter().any(|word| word == "object"),
        _ => false,
    }
}

/// Returns whether a default is small enough to be kept at every place that a document repeats it.
fn is_small(value: &Value) -> bool {
    fn count(value: &Value, left: &mut usize) -> bool {
        let cost = 1 + value.as_str().map_or(0, str::len) / 64;
        let Some(rest) = left.checked_sub(cost) else { return false };
        *left = rest;
        match value {
            Value::Array(items) => items.iter().all(|item| count(item, left)),
            Value::Object(map) => map.iter().all(|(name, item)| name.len() < 256 && count(item, left)),
            _ => true,
        }
    }
    count(value, &mut { LARGEST_DEFAULT })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// Reads a document of these properties and definitions and returns what it says, one line for each fact.
    fn facts(mut document: Value) -> String {
        document["typeName"] = "AWS::X::Y".into();
        let (kind, schema) = read(&document).unwrap();
        assert_eq!(kind.as_str(), "AWS::X::Y");
        let lists = [
            ("read_only", &schema.read_only),
            ("write_only", &schema.write_only),
            ("create_only", &schema.create_only),
            ("unordered", &schema.unordered),
            ("partial", &schema.partial),
            ("free_form", &schema.free_form),
        ];
        let lists = lists.into_iter().flat_map(|(name, paths)| paths.iter().map(move |path| format!("{name} {path}")));
        let defaults = schema.defaults.iter().map(|(path, value)| format!("default {path} {value}"));
        lists.chain(defaults).collect::<Vec<_>>().join("\n")
    }

    fn check(document: Value, expected: &[&str]) {
        assert_eq!(facts(document), expected.join("\n"));
    }

    #[test]
    fn pointers_lose_the_steps_that_only_the_document_takes() {
        check(
            json!({
                "properties": {},
                "readOnlyProperties": ["/properties/Arn", "/properties/Rules/*/Id", "/properties/Rules/items/properties/At"],
                "writeOnlyProperties": ["/properties/Password", "/definitions/X/Y", "/properties/", 7],
                "createOnlyProperties": ["/properties/Name"],
                "conditionalCreateOnlyProperties": ["/properties/Engine"],
            }),
            &[
                "read_only /Arn",
                "read_only /Rules/*/At",
                "read_only /Rules/*/Id",
                "write_only /Password",
                "create_only /Name",
            ],
        );
    }

    #[test]
    fn what_is_referred_to_and_what_may_be_instead_is_said_of_the_attribute() {
        check(
            json!({
                "properties": {
                    "Rules": {"type": "array", "insertionOrder": false, "items": {"$ref": "#/definitions/Rule"}},
                    "Order": {"type": "array", "uniqueItems": true, "items": {"type": "string"}},
                    "Attributes": {"type": "array", "arrayType": "AttributeList", "items": {"type": "string"}},
                    "Way": {"oneOf": [{"type": "string"}, {"properties": {"A/b": {"default": true}}}]},
                },
                "definitions": {"Rule": {"allOf": [{"$ref": "#/definitions/Base"}], "properties": {
                    "Ports": {"type": "array", "insertionOrder": false}}},
                    "Base": {"properties": {"Protocol": {"type": "string", "default": "tcp"}}}},
            }),
            &[
                "unordered /Rules",
                "unordered /Rules/*/Ports",
                "partial /Attributes",
                "default /Rules/*/Protocol \"tcp\"",
                "default /Way/A~1b true",
            ],
        );
    }

    #[test]
    fn a_map_of_which_no_name_is_known_is_free() {
        check(
            json!({"properties": {
                "Labels": {"type": "object", "additionalProperties": false, "patternProperties": {".*": {
                    "type": "object", "properties": {"Value": {"default": 1}}}}},
                "Document": {"type": ["object", "string"]},
                "Variables": {"additionalProperties": {"type": "string"}},
                "Flag": {"type": "object", "additionalProperties": false},
                "Known": {"type": "object", "properties": {"A": {"type": "string"}}},
            }}),
            &["free_form /Document", "free_form /Labels", "free_form /Variables", "default /Labels/*/Value 1"],
        );
    }

    #[test]
    fn a_default_on_which_two_places_disagree_is_none() {
        let way = |default: Value| json!({"properties": {"A": {"default": default}, "B": {"default": 2}, "C": {"default": null}}});
        check(json!({"properties": {"X": {"oneOf": [way(json!(1)), way(json!(9))]}}}), &["default /X/B 2"]);
    }

    #[test]
    fn a_definition_inside_itself_is_followed_a_few_times() {
        let statement = json!({"properties": {"Default": {"default": 1}, "Not": {"$ref": "#/definitions/S"}}});
        let found = facts(json!({"properties": {"S": {"$ref": "#/definitions/S"}}, "definitions": {"S": statement}}));
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], "default /S/Default 1");
        assert_eq!(lines.len(), 1 + MOST_RETURNS, "{found}");
    }

    #[test]
    fn no_document_takes_long() {
        let all: Vec<Value> = (0..100).map(|n| json!({"$ref": format!("#/definitions/{n}")})).collect();
        let definition = json!({"allOf": all, "properties": {"X".repeat(500): {"$ref": "#/definitions/1"}},
            "default": "y".repeat(100_000)});
        let definitions: serde_json::Map<_, _> = (0..100).map(|n| (n.to_string(), definition.clone())).collect();
        let found = facts(json!({"properties": {"A": definition}, "definitions": definitions}));
        assert!(found.len() < 10_000_000, "{}", found.len());
    }

    #[test]
    fn what_is_no_schema_is_said_to_be_none() {
        for document in [json!(null), json!([]), json!({"typeName": 1, "properties": {}}), json!({"properties": {}})] {
            assert_eq!(read(&document), Err(InvalidDocument("`typeName`")), "{document}");
        }
        assert_eq!(read(&json!({"typeName": "AWS::X::Y"})), Err(InvalidDocument("`properties`")));
    }

    /// Any JSON, made of the words that a document is made of.
    fn anything() -> impl Strategy<Value = Value> {
        let word = prop::sample::select(vec![
            "properties",
            "definitions",
            "items",
            "$ref",
            "oneOf",
            "default",
            "type",
            "object",
            "additionalProperties",
            "patternProperties",
            "insertionOrder",
            "readOnlyProperties",
            "#/definitions/items",
            "#/",
            "/properties/a/*",
            "",
        ]);
        let leaf =
            prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), word.clone().prop_map(Value::from)];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_read_or_refused(mut document in anything()) {
            if let Some(map) = document.as_object_mut() {
                map.insert("typeName".to_owned(), "AWS::X::Y".into());
                map.entry("properties").or_insert_with(|| json!({}));
            }
            if let Ok((_, schema)) = read(&document) {
                schema.tree();
            }
        }
    }
}
