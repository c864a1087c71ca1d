//! Whether a record is about a resource, and whether what it calls itself is what was done there.

use driftwarden_core::finding::DriftKind;
use driftwarden_core::resource::Kind;
use serde_json::Value;

use super::record::{Record, service};
use crate::collect::Deed;

/// How a record names a resource; the surer, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// Some text among its parameters is the resource's name.
    Name,
    /// What it says it is about has the resource's id or ARN.
    Id,
}

/// How the parameters are called that say what a request is about.
const POINTING: &[&str] = &["arn", "arnlist", "arns", "id", "ids", "identifier", "name", "names", "url"];

/// Returns how a record names a resource, if it does. An id of several parts is named when each part is.
pub(super) fn naming(record: &Record, kind: &Kind, id: &str) -> Option<Naming> {
    if let Some(naming) = part_naming(record, kind, id) {
        return Some(naming);
    }
    let parts = id.contains('|').then(|| id.split('|').map(|part| part_naming(record, kind, part)));
    parts?.reduce(|a, b| Some(a?.min(b?)))?
}

fn part_naming(record: &Record, kind: &Kind, part: &str) -> Option<Naming> {
    // The log's own list is of the service's resources: a bare name there is an id.
    let listed = record
        .resources
        .iter()
        .filter(|named| named.resource_type.as_deref().is_none_or(|type_| service(&type_.into()) == service(kind)));
    let listed = listed.filter_map(|named| same(named.resource_name.as_deref()?, part)).map(|_| Naming::Id);
    listed.chain(record.told().into_iter().filter_map(|told| naming_in("", told, part))).max()
}

/// Returns how a value names a resource. Tags name nothing: anybody may write anything there.
fn naming_in(key: &str, value: &Value, part: &str) -> Option<Naming> {
    match value {
        Value::String(text) => {
            let naming = same(text, part)?;
            let key = key.to_ascii_lowercase();
            let is_pointing = POINTING.iter().any(|end| key.ends_with(end));
            Some(if is_pointing { naming } else { Naming::Name })
        }
        Value::Array(items) => items.iter().filter_map(|item| naming_in(key, item, part)).max(),
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| !key.to_ascii_lowercase().starts_with("tag"));
            members.filter_map(|(key, value)| naming_in(key, value, part)).max()
        }
        _ => None,
    }
}

/// Returns how a text names what has that id: as it is or as the end of an ARN, or as the end of the id where that is an ARN
/// or an address.
fn same(text: &str, id: &str) -> Option<Naming> {
    let is_end_of_arn = || {
        let resource = text.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4));
        let end = |resource: &str| {
            resource.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', ':']))
        };
        resource.is_some_and(end)
    };
    if !id.is_empty() && (text == id || is_end_of_arn()) {
        return Some(Naming::Id);
    }
    (short(id) == Some(text)).then_some(Naming::Name)
}

/// Returns the human name at the end of an ARN or address.
fn short(id: &str) -> Option<&str> {
    let is_long = id.starts_with("arn:") || id.starts_with("https://") || id.starts_with("http://");
    id.rsplit(['/', ':']).next().filter(|name| is_long && !name.is_empty())
}

/// What begins the names of events after which a resource is there, or is not.
const MADE: &[&str] =
    &["Add", "Allocate", "Clone", "Copy", "Create", "Import", "Provision", "Register", "Request", "Restore", "Run"];
const GONE: &[&str] = &[
    "Cancel",
    "Delete",
    "Deregister",
    "Destroy",
    "Detach",
    "Disassociate",
    "Release",
    "Remove",
    "Revoke",
    "Schedule",
    "Terminate",
];
/// Writes what was not there, and over what was.
const PUT: &str = "Put";

/// Whether what a record calls itself is what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It may be, but nothing says so.
    Possible,
    /// It is.
    Exact,
}

/// Returns whether a record that names the resource may be the deed, and whether it says so.
pub(super) fn fit(record: &Record, deed: &Deed) -> Option<Fit> {
    let event = record.name.as_str();
    let begins = |verbs: &[&str]| verbs.iter().find_map(|verb| event.strip_prefix(verb));
    let of = |is_exact| Some(if is_exact { Fit::Exact } else { Fit::Possible });
    let is_of = |object: &str| record.is_of_cloud_control() || is_object(object, &deed.resource.kind);
    match deed.drift {
        DriftKind::Missing => of(is_of(begins(GONE)?)),
        DriftKind::Unmanaged => match begins(MADE) {
            Some(object) => of(is_of(object)),
            None => event.strip_prefix(PUT).is_some_and(is_of).then_some(Fit::Exact),
        },
        DriftKind::Changed => of(deed.paths.iter().any(|path| is_of_path(record, path, &deed.resource.kind))),
    }
}

/// Returns whether a kind is what an event is about: `DeleteDBInstance`, `RunInstances`, `CreateFunction20150331`.
fn is_object(object: &str, kind: &Kind) -> bool {
    let object = object.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'v');
    let object = object.strip_suffix("Deletion").unwrap_or(object);
    let singular = object.strip_suffix('s').unwrap_or(object);
    let name = kind.as_str().rsplit("::").next().unwrap_or_default();
    let is_same = |object: &str| !object.is_empty() && (name.ends_with(object) || object.ends_with(name));
    !name.is_empty() && (is_same(object) || is_same(singular))
}

/// Returns whether a record is about the attribute of a path: its name has one of the attribute's words, one of its
/// parameters is called so, or Cloud Control was told to patch it.
fn is_of_path(record: &Record, path: &str, kind: &Kind) -> bool {
    let segments = || path.split('/').skip(1).filter(|segment| segment.parse::<u32>().is_err());
    let Some(attribute) = segments().next() else { return false };
    let event = record.name.to_ascii_lowercase();
    let is_called = |segment: &str| has_key(record.told()[0], segment);
    is_patched(record, attribute)
        || telling_words(attribute, kind).iter().any(|word| event.contains(word))
        || segments().any(is_called)
}

/// Words that say nothing of which attribute is meant.
const EMPTY: &[&str] = &[
    "arn",
    "attribute",
    "configuration",
    "document",
    "id",
    "name",
    "option",
    "property",
    "setting",
    "specification",
    "type",
    "value",
];

/// Returns the words of an attribute that tell it from others of its kind, in the singular and small letters:
/// `BucketEncryption` of a bucket is told by `encryption`.
pub(super) fn telling_words(attribute: &str, kind: &Kind) -> Vec<String> {
    let own = words(kind.as_str().rsplit("::").next().unwrap_or_default());
    let all: Vec<String> = words(attribute).into_iter().filter(|word| !EMPTY.contains(&&**word)).collect();
    let telling: Vec<String> = all.iter().filter(|word| !own.contains(word)).cloned().collect();
    if telling.is_empty() { all } else { telling }
}

fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && !before.is_some_and(|before: char| before.is_ascii_uppercase());
        match words.last_mut().filter(|_| !begins) {
            Some(word) => word.push(c.to_ascii_lowercase()),
            None => words.push(c.to_ascii_lowercase().to_string()),
        }
        before = Some(c);
    }
    words.iter().map(|word| singular(word)).filter(|word| word.len() > 2).collect()
}

fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) if !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Returns whether somewhere in the parameters is one of that name. Only names are looked at.
fn has_key(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) || has_key(value, name))
        }
        Value::Array(items) => items.iter().any(|item| has_key(item, name)),
        _ => false,
    }
}

/// Returns whether Cloud Control was told to patch an attribute. Only the paths of the patch are looked at.
fn is_patched(record: &Record, attribute: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Operation {
        path: String,
    }
    let patch = record.parameter("patchDocument").and_then(|text| serde_json::from_str::<Vec<Operation>>(text).ok());
    let is_of = |operation: &Operation| operation.path.split('/').nth(1) == Some(attribute);
    patch.is_some_and(|patch| patch.iter().any(is_of))
}
