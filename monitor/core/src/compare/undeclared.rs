//! Which attributes that nobody declared are worth a line.
//!
//! Most of what a provider answers was never set by anybody: identifiers, defaults, echoes of other attributes. What is
//! left after these is what somebody may have set by hand.

use serde_json::Value;

use super::explain::{BOOKKEEPING, DEFAULT, NOTHING, READ_ONLY};
use super::scalar::Arn;
use super::walk::{Place, Walk};
use super::{Flavor, kubernetes, list, unsaid};
use crate::schema::mark;

/// Returns why nobody need hear of an undeclared attribute, or nothing if somebody may have set it.
pub(super) fn silence<'a>(walk: &Walk<'a>, value: &'a Value, at: Place) -> Option<&'static str> {
    let name = walk.name();
    let kubernetes = walk.flavor == Flavor::Kubernetes;
    Some(match () {
        () if walk.is_read_only(value, at) => READ_ONLY,
        () if at.marks & mark::CREATE_ONLY != 0 && !kubernetes => {
            "chosen when it was made, and not to be changed since"
        }
        () if is_foreign(walk, value) => return None,
        () if at.marks & mark::GENERATED != 0 => "the service fills it in when nobody says",
        () if is_silent(value) => NOTHING,
        () if walk.is_usual(value, at) => DEFAULT,
        () if kubernetes && !kubernetes::is_worth_listing(walk, name, value) => BOOKKEEPING,
        () if kubernetes => return None,
        // A thing is on unless it is said to be off; a part of it need not be.
        () if walk.path.len() == 1 && name == "Enabled" => DEFAULT,
        () if is_provider_tag(walk, name, value) => "a tag that the provider or the stack puts there",
        () if is_generated(walk, (name, value), at) => "what the service makes up or takes when nobody says",
        () if is_echo(walk, name, value) => "an echo of the resource that this one belongs to",
        () => return None,
    })
}

/// Returns whether an item that nobody declared may have been added by somebody.
pub(super) fn is_item_worth_listing<'a>(walk: &Walk<'a>, item: &'a Value, at: Place) -> bool {
    is_foreign(walk, item) || at.marks & mark::GENERATED == 0 && !is_stack_tag(walk, item)
}

/// Returns whether a value names something of another account, which no service chooses by itself.
fn is_foreign(walk: &Walk<'_>, value: &Value) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let own = &*walk.facts.context.account;
    match value {
        Value::String(text) if is_account(own) => {
            Arn::of(text).is_some_and(|arn| is_account(arn.account) && arn.account != own)
        }
        Value::Array(items) => items.iter().any(|item| is_foreign(walk, item)),
        Value::Object(map) => map.values().any(|value| is_foreign(walk, value)),
        _ => false,
    }
}

/// Returns whether a value says what its absence says: nothing, off, none.
pub(super) fn is_silent(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => !truth,
        // No limit is what there is when nobody sets one.
        Value::Number(number) => matches!(number.as_i64(), Some(0 | -1)) || number.as_f64() == Some(0.0),
        Value::Object(map) => map.values().all(is_silent),
        Value::Array(items) => items.iter().all(is_silent),
        Value::String(text) => is_off(text),
        Value::Null => true,
    }
}

fn is_off(text: &str) -> bool {
    const OFF: [&str; 10] = ["", "none", "null", "disabled", "disable", "default", "off", "false", "0", "-1"];
    OFF.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

fn is_provider_tag(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    if name.starts_with("aws:")
        || walk.flavor == Flavor::Gcp && is_googles(name) && walk.inside(|name| name.ends_with("abels"))
    {
        return true;
    }
    match value {
        Value::Array(items) if list::is_tags(name) => {
            items.iter().all(|item| is_own_tag(item) || is_stack_tag(walk, item))
        }
        Value::Object(map) if list::is_tags(name) => {
            map.iter().all(|(key, value)| key.starts_with("aws:") || in_stack(walk, key, value))
        }
        value => walk.inside(list::is_tags) && in_stack(walk, name, value),
    }
}

/// Returns whether a label is one that Google's services and tools put there, GKE among them.
fn is_googles(label: &str) -> bool {
    label.starts_with("goog-")
}

fn is_own_tag(item: &Value) -> bool {
    item.get("Key").or_else(|| item.get("key")).and_then(Value::as_str).is_some_and(|key| key.starts_with("aws:"))
}

fn is_stack_tag(walk: &Walk<'_>, item: &Value) -> bool {
    let field = |upper: &str, lower: &str| item.get(upper).or_else(|| item.get(lower)).cloned();
    match (field("Key", "key"), field("Value", "value")) {
        (Some(Value::String(key)), Some(value)) => in_stack(walk, &key, &value),
        _ => false,
    }
}

/// Returns whether a tag comes from the stack that the resource belongs to.
fn in_stack(walk: &Walk<'_>, key: &str, value: &Value) -> bool {
    walk.facts.context.related.get("stackTags").and_then(|tags| tags.get(key)) == Some(value)
}

/// Returns whether the provider made a value up: an identifier, a moment, an echo of the resource's own name, or what it
/// takes when nobody says.
fn is_generated(walk: &Walk<'_>, (name, value): (&str, &Value), at: Place) -> bool {
    let usual = |text: &str| walk.knowledge.is_known(name) && unsaid::is_usual(name, text);
    match value {
        _ if is_silent(value) || at.marks & BY_THE_PROVIDER != 0 => true,
        // That a part is on by default says nothing about the whole, which nobody declared.
        _ if *value != Value::Bool(true) && walk.is_usual(value, at) => true,
        _ if walk.knowledge.is_known(name) && unsaid::is_chosen(name) => true,
        Value::Object(map) => map.iter().all(|(name, value)| is_generated(walk, (name, value), walk.named(at, name))),
        Value::Array(_) if list::is_tags(name) => is_provider_tag(walk, name, value),
        Value::Array(items) => items.iter().all(|item| is_generated(walk, (name, item), walk.item(at))),
        Value::String(text) => is_made_up(walk, name, text) || unsaid::is_plain(text) || usual(text),
        Value::Number(_) if name.ends_with("Port") => true,
        Value::Bool(truth) => usual(if *truth { "true" } else { "false" }),
        Value::Number(number) => usual(&number.to_string()),
        Value::Null => true,
    }
}

/// What only the provider sets or chooses, or nobody can have changed since it was made.
const BY_THE_PROVIDER: u32 = mark::READ_ONLY | mark::CREATE_ONLY | mark::GENERATED;

/// Returns whether a value comes from the resource that this one belongs to, as far as that is known.
fn is_echo(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    let related = walk.facts.context.related.as_object().into_iter().flatten();
    let models = related.filter(|(name, _)| name.ends_with("Model") || name.ends_with("Models"));
    models.filter_map(|(_, models)| models.as_object()).flatten().any(|(_, model)| model.get(name) == Some(value))
}

/// Endings of attributes that a service makes up when nobody says.
pub(super) const MADE_UP: [&str; 26] = [
    "Address",
    "Addresses",
    "Arn",
    "ARN",
    "At",
    "Date",
    "Endpoint",
    "Fingerprint",
    "Id",
    "ID",
    "Ids",
    "Identifier",
    "Name",
    "Port",
    "SecurityGroups",
    "State",
    "Subnets",
    "Time",
    "Uri",
    "URI",
    "Url",
    "URL",
    "Version",
    "Window",
    "Zone",
    "Zones",
];

fn is_made_up(walk: &Walk<'_>, name: &str, text: &str) -> bool {
    let context = walk.facts.context;
    let holds = |part: &str| part.len() > 5 && text.contains(part);
    walk.knowledge.lists(&MADE_UP, |end| name.ends_with(end))
        || *text == context.id
        || holds(&context.account)
        || holds(&context.id)
        || (text.len() > 5 && context.id.contains(text))
        || (walk.flavor == Flavor::Aws && text.contains(".amazonaws.com"))
}
