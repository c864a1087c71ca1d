//! Whether a record is about a resource, and whether what it calls itself is what was done there.

use driftwarden_core::finding::DriftKind;
use driftwarden_core::resource::Kind;
use serde_json::Value;

use super::Named;
use super::record::{Record, is_service};
use crate::collect::Deed;

/// How a record names a resource; the surer, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// Some text among its parameters is the resource's name; what is so called may be of another kind.
    Name,
    /// What it says it is about has the resource's id or ARN, or the name and the kind.
    Id,
}

/// How the parameters are called that say what a request is about.
const POINTING: &[&str] = &["arn", "arnlist", "arns", "id", "ids", "identifier", "name", "names", "url"];
/// How those are called that say it of the very thing that a request is about.
const OWN: &[&str] = &["arn", "id", "identifier", "name"];

/// A resource that is looked for in a record: its kind and its id, or a part of that.
type Sought<'a> = (&'a Kind, &'a str);

/// Returns how a record names a resource, if it does. An id of several parts is named when each part is; what it is a part
/// of is of another kind, so one sure part is enough.
pub(super) fn naming(record: &Record, kind: &Kind, id: &str) -> Option<Naming> {
    if let Some(naming) = part_naming(record, (kind, id)) {
        return Some(naming);
    }
    let parts = id.contains('|').then(|| id.split('|').map(|part| part_naming(record, (kind, part))));
    parts?.reduce(|a, b| Some(a?.max(b?)))?
}

fn part_naming(record: &Record, sought: Sought<'_>) -> Option<Naming> {
    let listed = record.resources.iter().filter_map(|named| listed_naming(named, sought));
    listed.chain(record.told().into_iter().filter_map(|told| naming_in("", told, sought))).max()
}

/// Returns how the log's own list names a resource. A name of what is said to be of another kind is another's.
fn listed_naming(named: &Named, (kind, id): Sought<'_>) -> Option<Naming> {
    let text = named.resource_name.as_deref()?;
    let naming = same(text, (kind, id))?;
    match &named.resource_type {
        Some(type_) if type_.eq_ignore_ascii_case(kind.as_str()) => Some(naming),
        _ if is_unique(text) => Some(naming),
        Some(_) => None,
        None => Some(Naming::Name),
    }
}

/// Returns how a value names a resource. Tags name nothing: anybody may write anything there.
fn naming_in(key: &str, value: &Value, sought: Sought<'_>) -> Option<Naming> {
    match value {
        Value::String(text) => {
            let naming = same(text, sought)?;
            let key = key.to_ascii_lowercase();
            let is_pointing = POINTING.iter().any(|end| key.ends_with(end));
            let is_of_kind = is_unique(text) || OWN.contains(&&*key) || tells_kind(&key, sought.0);
            Some(if is_pointing && is_of_kind { naming } else { Naming::Name })
        }
        Value::Array(items) => items.iter().filter_map(|item| naming_in(key, item, sought)).max(),
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| !key.to_ascii_lowercase().starts_with("tag"));
            members.filter_map(|(key, value)| naming_in(key, value, sought)).max()
        }
        _ => None,
    }
}

/// Returns whether a parameter says by its own name that it is about that kind: `rolename`.
fn tells_kind(key: &str, kind: &Kind) -> bool {
    words(type_name(kind)).iter().any(|word| key.contains(&**word))
}

/// Returns how a text names what has that id: as it is or as the end of an ARN, or as the end of the id where that is an ARN
/// or an address.
fn same(text: &str, (kind, id): Sought<'_>) -> Option<Naming> {
    if id.is_empty() {
        return None;
    }
    if text == id {
        return Some(Naming::Id);
    }
    arn_naming(text, (kind, id)).or_else(|| (short(id) == Some(text)).then_some(Naming::Name))
}

/// Returns how an ARN names what has the id at its end: surely if its service, and the type before the id, are the kind's.
fn arn_naming(arn: &str, (kind, id): Sought<'_>) -> Option<Naming> {
    let mut parts = arn.strip_prefix("arn:")?.splitn(5, ':').skip(1);
    let (service, resource) = (parts.next()?, parts.nth(2)?);
    let before = resource.strip_suffix(id).filter(|before| before.is_empty() || before.ends_with(['/', ':']))?;
    let type_ = before.trim_start_matches('/').split(['/', ':']).next().unwrap_or_default();
    let type_ = type_.to_ascii_lowercase().replace(['-', '_'], "");
    let is_of_kind = type_name(kind).to_ascii_lowercase().contains(&singular(&type_));
    Some(if is_of_kind && is_service(service, kind) { Naming::Id } else { Naming::Name })
}

/// Returns whether no two things are called so: it is an ARN, an address, or drawn by AWS as `sg-0a1b2c3d`. A date is not
/// drawn.
fn is_unique(text: &str) -> bool {
    let is_drawn = |end: &str| {
        end.len() >= 8 && end.bytes().all(|b| b.is_ascii_hexdigit()) && end.bytes().any(|b| b.is_ascii_alphabetic())
    };
    is_long(text) || text.rsplit_once('-').is_some_and(|(_, end)| is_drawn(end))
}

fn is_long(id: &str) -> bool {
    id.starts_with("arn:") || id.starts_with("https://") || id.starts_with("http://")
}

/// Returns the human name at the end of an ARN or address.
pub(super) fn short(id: &str) -> Option<&str> {
    id.rsplit(['/', ':']).next().filter(|name| is_long(id) && !name.is_empty())
}

/// Returns the last part of a kind's name: `Bucket` of `AWS::S3::Bucket`.
fn type_name(kind: &Kind) -> &str {
    kind.as_str().rsplit("::").next().unwrap_or_default()
}

/// What begins the names of events after which a resource is there, or is not.
const MADE: &[&str] =
    &["Add", "Allocate", "Clone", "Copy", "Create", "Import", "Provision", "Register", "Request", "Restore", "Run"];
const GONE: &[&str] = &["Cancel", "Delete", "Deregister", "Destroy", "Release", "Schedule", "Terminate"];
/// What begins the names of events after which a tie is gone, and what was tied is still there.
const UNTIED: &[&str] = &["Detach", "Disassociate", "Remove", "Revoke"];
/// Words in the names of kinds that are ties.
const TIES: &[&str] = &["association", "attachment", "egress", "ingress", "membership", "permission", "rule"];
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
    let kind = &deed.resource.kind;
    let is_of = |object: &str| record.is_of_cloud_control() || is_object(object, kind);
    let is_put = event.strip_prefix(PUT).is_some_and(is_of);
    match deed.drift {
        DriftKind::Missing => match begins(GONE) {
            Some(object) => of(is_of(object)),
            None => of(is_of(begins(UNTIED)?) && is_tie(kind)),
        },
        DriftKind::Unmanaged => match begins(MADE) {
            Some(object) => of(is_of(object)),
            None => is_put.then_some(Fit::Exact),
        },
        DriftKind::Changed => of(is_put || deed.paths.iter().any(|path| is_of_path(record, path, kind))),
    }
}

/// Returns whether an event made something of a kind, which was not there before.
pub(super) fn makes(record: &Record, kind: &Kind) -> bool {
    let made = MADE.iter().find_map(|verb| record.name.strip_prefix(verb));
    made.is_some_and(|object| record.is_of_cloud_control() || is_object(object, kind))
}

/// Returns whether a kind is what an event is about: `DeleteDBInstance`, `RunInstances`, `CreateFunction20150331`.
fn is_object(object: &str, kind: &Kind) -> bool {
    let object = unversioned(object).to_ascii_lowercase();
    let object = object.strip_suffix("deletion").unwrap_or(&object);
    let singular = object.strip_suffix('s').unwrap_or(object);
    let name = type_name(kind).to_ascii_lowercase();
    let is_same = |object: &str| !object.is_empty() && (name.ends_with(object) || object.ends_with(&name));
    !name.is_empty() && (is_same(object) || is_same(singular))
}

fn is_tie(kind: &Kind) -> bool {
    words(type_name(kind)).iter().any(|word| TIES.contains(&&**word))
}

/// Returns the name of an event without the version of the interface that some end with.
fn unversioned(event: &str) -> &str {
    event.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'v')
}

/// Returns whether a record is about the attribute of a path: its name has one of the attribute's words, one of its
/// parameters is called so, or Cloud Control was told to patch it.
fn is_of_path(record: &Record, path: &str, kind: &Kind) -> bool {
    let Some(attribute) = path.split('/').nth(1) else { return false };
    let event = words(unversioned(&record.name));
    is_patched(record, attribute)
        || telling_words(attribute, kind).iter().any(|word| event.contains(word))
        || says_something(attribute) && has_key(record.told()[0], attribute)
}

fn says_something(attribute: &str) -> bool {
    words(attribute).iter().any(|word| !EMPTY.contains(&&**word))
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
    let own = words(type_name(kind));
    words(attribute).into_iter().filter(|word| !EMPTY.contains(&&**word) && !own.contains(word)).collect()
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

/// Returns a word as it is compared: in the singular, and the one word for tags.
fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        _ if ["tagging", "untag"].contains(&word) => "tag".to_owned(),
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
