//! What a Kubernetes API server states of its kinds: OpenAPI of version 2 or 3, compiled into one [`Schema`] for each kind.
//!
//! Takes out the facts by which the server itself merges, completes and rewrites objects, and drops the rest: a document
//! has megabytes, its facts about one kind a few kilobytes. Does not validate: what a field may hold is not asked here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Schema;

/// A kind in one version of its group, as the documents name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct VersionedKind {
    /// The group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// The version.
    pub version: String,
    /// `Deployment`.
    pub kind: String,
}

/// A text that is not an OpenAPI document. What it holds is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("invalid OpenAPI document (line {line}, column {column})")]
pub struct MalformedDocument {
    line: usize,
    column: usize,
}

/// Returns the schema of each wanted kind that the document states.
pub fn compile(
    document: &[u8],
    wanted: impl Fn(&VersionedKind) -> bool,
) -> Result<BTreeMap<VersionedKind, Schema>, MalformedDocument> {
    let document: Document = serde_json::from_slice(document)
        .map_err(|error| MalformedDocument { line: error.line(), column: error.column() })?;
    let definitions = if document.definitions.is_empty() { document.components.schemas } else { document.definitions };
    let named = definitions.iter().flat_map(|(name, definition)| definition.kinds.iter().map(move |kind| (kind, name)));
    let found = named.filter(|(kind, _)| wanted(kind)).map(|(kind, name)| {
        let mut compiler = Compiler::new(&definitions);
        compiler.root(name);
        (kind.clone(), compiler.schema)
    });
    Ok(found.collect())
}

/// Version 2 keeps definitions at the root, version 3 among the components.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    definitions: BTreeMap<Box<str>, Definition>,
    #[serde(default)]
    components: Components,
}

#[derive(Deserialize, Default)]
struct Components {
    #[serde(default)]
    schemas: BTreeMap<Box<str>, Definition>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Definition {
    #[serde(rename = "x-kubernetes-group-version-kind")]
    kinds: Kinds,
    #[serde(rename = "$ref")]
    reference: Option<Box<str>>,
    /// Version 3 wraps a reference that has something beside it.
    #[serde(rename = "allOf")]
    all_of: Vec<Definition>,
    properties: BTreeMap<Box<str>, Definition>,
    items: Option<Box<Definition>>,
    #[serde(rename = "additionalProperties")]
    additional: Option<Additional>,
    format: Option<Box<str>>,
    pattern: Option<Box<str>>,
    default: Value,
    #[serde(rename = "x-kubernetes-list-type")]
    list_type: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    list_keys: Vec<String>,
    #[serde(rename = "x-kubernetes-map-type")]
    map_type: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-patch-strategy")]
    patch_strategy: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-patch-merge-key")]
    merge_key: Option<Box<str>>,
    #[serde(rename = "x-kubernetes-int-or-string")]
    int_or_string: bool,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    preserves_unknown: bool,
}

/// Some servers write one kind where others write a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kinds {
    Many(Vec<VersionedKind>),
    One(VersionedKind),
}

impl Default for Kinds {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Kinds {
    fn iter(&self) -> std::slice::Iter<'_, VersionedKind> {
        match self {
            Self::Many(kinds) => kinds.iter(),
            Self::One(kind) => std::slice::from_ref(kind).iter(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Additional {
    /// Whether there may be others at all.
    Allowed(bool),
    Of(Box<Definition>),
}

/// Deepest nesting that is followed; a schema is data of somebody else.
const DEEPEST: usize = 48;
/// Most places of one kind that are looked at.
const MOST_PLACES: usize = 50_000;

struct Compiler<'a> {
    definitions: &'a BTreeMap<Box<str>, Definition>,
    schema: Schema,
    /// The definitions on the way here: one that holds itself is not followed again.
    above: Vec<&'a str>,
    pointer: String,
    places: usize,
}

impl<'a> Compiler<'a> {
    fn new(definitions: &'a BTreeMap<Box<str>, Definition>) -> Self {
        Self { definitions, schema: Schema::default(), above: Vec::new(), pointer: String::new(), places: 0 }
    }

    /// Compiles a kind, but for what the server keeps to itself.
    fn root(&mut self, name: &'a str) {
        let Some(definition) = self.definitions.get(name) else { return };
        self.above.push(name);
        if definition.preserves_unknown || definition.properties.is_empty() {
            self.schema.unstated.push(String::new());
        }
        for (name, property) in &definition.properties {
            if !matches!(&**name, "apiVersion" | "kind" | "status") {
                self.step(name, property);
            }
        }
        self.above.pop();
    }

    fn step(&mut self, name: &str, definition: &'a Definition) {
        let end = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        self.visit(definition);
        self.pointer.truncate(end);
    }

    fn visit(&mut self, definition: &'a Definition) {
        self.places += 1;
        if self.places > MOST_PLACES || self.above.len() > DEEPEST {
            return self.schema.unstated.push(self.pointer.clone());
        }
        self.note_default(definition);
        let Some(name) = definition.target() else { return self.describe(definition, None) };
        if self.above.contains(&name) {
            return self.schema.unstated.push(self.pointer.clone());
        }
        let Some(target) = self.definitions.get(name) else { return };
        self.above.push(name);
        // What stands beside a reference is about this field, and comes first.
        self.describe(target, Some(definition));
        self.note_named(name);
        self.above.pop();
    }

    /// Notes what a definition says, `beside` being what stands beside the reference to it.
    fn describe(&mut self, definition: &'a Definition, beside: Option<&'a Definition>) {
        let map_type = beside.and_then(|beside| beside.map_type.as_deref()).or(definition.map_type.as_deref());
        if map_type == Some("atomic") {
            self.schema.atomic.push(self.pointer.clone());
        }
        match definition.format.as_deref() {
            Some("byte") => self.schema.encoded.push(self.pointer.clone()),
            Some("duration") => self.schema.durations.push(self.pointer.clone()),
            _ if definition.is_quantity() => self.schema.quantities.push(self.pointer.clone()),
            _ => {}
        }
        if let Some(items) = &definition.items {
            self.note_list(definition, items);
            self.step("*", items);
        }
        if let Some(Additional::Of(values)) = &definition.additional {
            self.schema.free_form.push(self.pointer.clone());
            self.step("*", values);
        }
        if definition.says_nothing_inside() {
            self.schema.unstated.push(self.pointer.clone());
        }
        for (name, property) in &definition.properties {
            if !(name.as_ref() == "managedFields" && self.pointer == "/metadata") {
                self.step(name, property);
            }
        }
    }

    /// Notes how the items of a list are told apart: as the server merges an apply, and where nothing is said about
    /// that, as a client does.
    fn note_list(&mut self, list: &'a Definition, items: &'a Definition) {
        let pointer = self.pointer.clone();
        let merges = list.patch_strategy.as_deref().is_some_and(|way| way.split(',').any(|way| way == "merge"));
        match (list.list_type.as_deref(), &list.merge_key) {
            (Some("map"), _) if !list.list_keys.is_empty() => {
                self.schema.keys.insert(pointer, list.list_keys.clone());
            }
            (Some("set"), _) => self.schema.sets.push(pointer),
            (None, Some(key)) if merges => {
                self.schema.keys.insert(pointer, vec![key.to_string()]);
            }
            (None, None) if merges => self.schema.sets.push(pointer),
            // A list of plain values has no inside to which this would matter.
            _ if items.is_plain() => {}
            _ => self.schema.atomic.push(pointer),
        }
    }

    fn note_default(&mut self, definition: &Definition) {
        if !says_nothing(&definition.default) {
            self.schema.defaults.insert(self.pointer.clone(), definition.default.clone());
        }
    }

    /// Notes what the types mean that every server has under the same name.
    fn note_named(&mut self, name: &str) {
        let list = match name.rsplit_once("io.k8s.apimachinery.pkg.").map(|(_, name)| name) {
            Some("api.resource.Quantity") => &mut self.schema.quantities,
            Some("apis.meta.v1.Duration") => &mut self.schema.durations,
            Some("runtime.RawExtension" | "apis.meta.v1.Patch") => &mut self.schema.unstated,
            _ => return,
        };
        if list.last() != Some(&self.pointer) {
            list.push(self.pointer.clone());
        }
    }
}

impl Definition {
    /// Returns the name of the definition that this one stands for.
    fn target(&self) -> Option<&str> {
        let alone = match self.all_of.as_slice() {
            [only] if self.properties.is_empty() => only.reference.as_deref(),
            _ => None,
        };
        self.reference.as_deref().or(alone)?.rsplit('/').next()
    }

    fn is_plain(&self) -> bool {
        self.target().is_none() && self.properties.is_empty() && self.items.is_none() && self.additional.is_none()
    }

    /// Returns whether a custom resource keeps an amount here. Generated definitions have one pattern for all of them.
    fn is_quantity(&self) -> bool {
        self.int_or_string && self.pattern.as_deref().is_some_and(|pattern| pattern.contains("KMGTPE"))
    }

    /// Returns whether whatever is inside is taken as it comes.
    fn says_nothing_inside(&self) -> bool {
        let anything = matches!(self.additional, Some(Additional::Allowed(true)));
        self.preserves_unknown || anything && self.properties.is_empty()
    }
}

/// Returns whether a default is what the absence of a value means anyway.
fn says_nothing(default: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compiled(document: &Value) -> Schema {
        let mut found = compile(document.to_string().as_bytes(), |kind| kind.kind == "Thing").unwrap();
        found.remove(&VersionedKind { group: "x".into(), version: "v1".into(), kind: "Thing".into() }).unwrap()
    }

    /// Compiles the `spec` of a kind, once as version 2 and once as version 3, and returns what both say.
    fn spec(spec: &Value) -> Schema {
        let amount = json!({"type": "string"});
        let inner = json!({"properties": {"name": {"type": "string"}, "self": {"$ref": "#/definitions/Inner"}}});
        let thing = json!({"properties": {"spec": spec, "status": {"properties": {"x": {"default": 7}}}},
            "x-kubernetes-group-version-kind": [{"group": "x", "version": "v1", "kind": "Thing"}]});
        let definitions =
            json!({"Thing": thing, "Inner": inner, "io.k8s.apimachinery.pkg.api.resource.Quantity": amount});
        let two = compiled(&json!({"swagger": "2.0", "definitions": definitions}));
        let moved = definitions.to_string().replace("#/definitions/", "#/components/schemas/");
        let moved: Value = serde_json::from_str(&moved).unwrap();
        let three = compiled(&json!({"openapi": "3.0.0", "components": {"schemas": moved}}));
        assert_eq!(two, three);
        two
    }

    #[test]
    fn items_are_told_apart_as_the_server_does() {
        let object = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let list = |more: Value| {
            let mut list = json!({"type": "array", "items": object});
            list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec(&json!({"properties": {"a/b": list}}))
        };
        let key = |schema: Schema| schema.keys.get("/spec/a~1b").map(|keys| keys.join(" "));
        let by_server = json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "port"});
        assert_eq!(key(list(by_server)).as_deref(), Some("port protocol"));
        let by_client =
            json!({"x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "name"});
        assert_eq!(key(list(by_client)).as_deref(), Some("name"));
        let whole = json!({"x-kubernetes-list-type": "atomic", "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "name"});
        assert_eq!(list(whole).atomic, ["/spec/a~1b"]);
        assert_eq!(list(json!({})).atomic, ["/spec/a~1b"]);
        assert_eq!(list(json!({"x-kubernetes-list-type": "set"})).sets, ["/spec/a~1b"]);
        assert_eq!(list(json!({"x-kubernetes-patch-strategy": "merge"})).sets, ["/spec/a~1b"]);
    }

    #[test]
    fn what_the_server_fills_in_and_rewrites_is_stated() {
        let schema = spec(&json!({"properties": {
            "limits": {"additionalProperties": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity"}},
            "size": {"x-kubernetes-int-or-string": true, "pattern": "^(\\+|-)?(([KMGTPE]i)|[numkMGTPE])?$"},
            "port": {"x-kubernetes-int-or-string": true},
            "mode": {"type": "string", "default": "Auto"},
            "off": {"type": "boolean", "default": false},
            "none": {"default": {}, "allOf": [{"$ref": "#/definitions/Inner"}]},
            "ca": {"type": "string", "format": "byte"},
            "selector": {"additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}));
        assert_eq!(schema.quantities, ["/spec/limits/*", "/spec/size"]);
        assert_eq!(schema.defaults, BTreeMap::from([("/spec/mode".to_owned(), json!("Auto"))]));
        assert_eq!(schema.encoded, ["/spec/ca"]);
        assert_eq!(schema.atomic, ["/spec/selector"]);
        assert_eq!(schema.free_form, ["/spec/limits", "/spec/selector"]);
        // What holds itself is followed once.
        assert_eq!(schema.unstated, ["/spec/none/self", "/spec/values"]);
    }

    #[test]
    fn a_document_that_is_none_is_an_error_without_its_text() {
        for text in ["", "<html>", r#"{"definitions": {"secret": 1}}"#] {
            let error = compile(text.as_bytes(), |_| true).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(compile(b"{}", |_| true).unwrap().is_empty());
    }
}
