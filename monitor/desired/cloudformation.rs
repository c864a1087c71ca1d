//! CloudFormation templates, in YAML with short tags or in JSON.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::desired::yaml::{Document, Flaw};

/// A template as it is written.
#[derive(Debug, PartialEq)]
pub struct Template {
    /// Path in the repository.
    pub file: Arc<str>,
    /// Its resources, by logical id.
    pub resources: Vec<Declaration>,
    body: Map<String, Value>,
}

/// One resource of a template.
#[derive(Debug, PartialEq)]
pub struct Declaration {
    /// Its logical id.
    pub id: Arc<str>,
    /// The type that is written.
    pub kind: Arc<str>,
    /// Line of its logical id.
    pub line: u32,
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
    pub fn read(file: &Arc<str>, document: Document) -> Result<Self, Flaw> {
        let mut resources = Vec::new();
        if let Some(map) = document.value.get("Resources").and_then(Value::as_object) {
            for (id, resource) in map {
                let place = document.place_of(&format!("/Resources/{id}"));
                let kind = resource.get("Type").and_then(Value::as_str).ok_or_else(|| Flaw {
                    place,
                    why: format!("resource `{id}` has no `Type`"),
                    hint: None,
                })?;
                resources.push(Declaration { id: id.as_str().into(), kind: kind.into(), line: place.line });
            }
        }
        let Value::Object(body) = document.value else {
            return Err(Flaw { place: document.place, why: "a template must be a map".to_owned(), hint: None });
        };
        Ok(Self { file: Arc::clone(file), resources, body })
    }
}
