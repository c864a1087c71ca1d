//! Which attributes that nobody declared are worth a line.
//!
//! Most of what a provider answers was never set by anybody: identifiers, defaults, echoes of other attributes. What is
//! left after these is what somebody may have set by hand.

use serde_json::Value;

use super::walk::{BOOKKEEPING, DEFAULT, NOTHING, Place, READ_ONLY, Walk};
use super::{Flavor, kubernetes, list, unsaid};
use crate::schema::mark;

/// Returns why nobody need hear of an undeclared attribute, or nothing if somebody may have set it.
pub(super) fn silence<'a>(walk: &Walk<'a>, value: &'a Value, at: Place) -> Option<&'static str> {
    let name = walk.name();
    let kubernetes = walk.flavor == Flavor::Kubernetes;
    Some(match () {
        () if at.marks & mark::READ_ONLY != 0 => READ_ONLY,
        () if at.marks & mark::GENERATED != 0 => "the service fills it in when nobody says",
        () if is_silent(value) => NOTHING,
        () if walk.is_default(value, at) => DEFAULT,
        () if kubernetes && !kubernetes::is_worth_listing(walk, name, value) => BOOKKEEPING,
        () if kubernetes => return None,
        // A thing is on unless it is said to be off; a part of it need not be.
        () if walk.path.len() == 1 && name == "Enabled" => DEFAULT,
        () if is_provider_tag(walk, name, value) => "a tag that the provider or the stack puts there",
        () if is_generated(walk, name, value) => "what the service makes up or takes when nobody says",
        () if is_echo(walk, name, value) => "an echo of the resource that this one belongs to",
        () => return None,
    })
}

/// Returns whether an item that nobody declared may have been added by somebody.
pub(super) fn is_item_worth_listing<'a>(walk: &Walk<'a>, item: &'a Value, at: Place) -> bool {
    at.marks & mark::GENERATED == 0 && !is_stack_tag(walk, item)
}

/// Returns whether a value says what its absence says: nothing, off, none.
pub(super) fn is_silent(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(map) => map.values().all(is_silent),
        Value::Array(items) => items.iter().all(is_silent),
        Value::String(text) => is_off(text),
        Value::Null => true,
    }
}

fn is_off(text: &str) -> bool {
    const OFF: [&str; 9] = ["", "none", "disabled", "disable", "default", "off", "false", "0", "-1"];
    OFF.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_provider_tag(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    if name.starts_with("aws:") {
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
fn is_generated(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    match value {
        _ if is_silent(value) || unsaid::is_chosen(name) => true,
        Value::Object(map) => map.iter().all(|(name, value)| is_generated(walk, name, value)),
        Value::Array(items) => !list::is_tags(name) && items.iter().all(|item| is_generated(walk, name, item)),
        Value::String(text) => is_made_up(walk, name, text) || unsaid::is_usual(name, text),
        Value::Bool(truth) => unsaid::is_usual(name, if *truth { "true" } else { "false" }),
        Value::Number(number) => unsaid::is_usual(name, &number.to_string()),
        Value::Null => true,
    }
}

/// Returns whether a value comes from the resource that this one belongs to, as far as that is known.
fn is_echo(walk: &Walk<'_>, name: &str, value: &Value) -> bool {
    let related = walk.facts.context.related.as_object().into_iter().flatten();
    let models = related.filter(|(name, _)| name.ends_with("Model") || name.ends_with("Models"));
    models.filter_map(|(_, models)| models.as_object()).flatten().any(|(_, model)| model.get(name) == Some(value))
}

fn is_made_up(walk: &Walk<'_>, name: &str, text: &str) -> bool {
    const MADE_UP: [&str; 15] = [
        "Arn",
        "ARN",
        "Id",
        "ID",
        "Ids",
        "Identifier",
        "Name",
        "Uri",
        "URI",
        "Url",
        "URL",
        "Endpoint",
        "State",
        "Time",
        "Address",
    ];
    let context = walk.facts.context;
    MADE_UP.iter().any(|end| name.ends_with(end))
        || *text == context.id
        || (text.contains(&context.account) && context.account.len() > 5)
}
