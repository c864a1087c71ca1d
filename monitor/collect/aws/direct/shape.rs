//! How what a service answers becomes the attributes that CloudFormation gives a kind.
//!
//! A shape is data: a line says which attribute is made of what, and of which form it is. That attributes and forms are
//! those of AWS's own schema of the kind is held by a test over all shapes.

use std::borrow::Cow;

use driftwarden_core::resource::{is_unread, unread};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// One attribute: its name, where it is in the answer, and its form.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Name of the attribute.
    pub to: &'static str,
    /// Keys parted by dots; of every item of a list on the way. Empty for the whole.
    pub from: &'static str,
    /// What it is.
    pub form: Form,
}

/// What an attribute is.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// A switch.
    Flag,
    /// As the service says it.
    Same,
    /// As the service says it, with the first letter of every key made a capital.
    Pascal,
    /// A document in JSON that is written as a text, percent-encoded or not.
    Json,
    /// A list of texts.
    Texts,
    /// A list of `Key` and `Value`.
    Tags,
    /// A map of tags.
    TagMap,
    /// An object of which these attributes are known.
    Object(&'static [Field]),
    /// A list of such objects.
    Each(&'static [Field]),
    /// Whatever a function makes of it; nothing if the attribute is not set.
    Made(fn(&Value) -> Option<Value>),
    /// No call that is made tells it, so that nothing is known of it.
    Untold,
}

/// An answer that cannot be what the service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit {
    /// The attribute that could not be made.
    pub(super) attribute: &'static str,
}

macro_rules! forms {
    ($($(#[$about:meta])* $name:ident $form:ident;)*) => {
        $($(#[$about])* pub(super) const fn $name(to: &'static str, from: &'static str) -> Field {
            Field { to, from, form: Form::$form }
        })*
    };
}

forms! {
    /// Returns a text.
    text Text;
    /// Returns a whole number.
    int Int;
    /// Returns a number.
    number Number;
    /// Returns a switch.
    flag Flag;
    /// Returns a value as the service says it.
    same Same;
    /// Returns a value with capitals.
    pascal Pascal;
    /// Returns a document.
    json Json;
    /// Returns a list of texts.
    texts Texts;
}

/// Returns the attribute `Tags` as a list.
pub(super) const fn tags(from: &'static str) -> Field {
    Field { to: "Tags", from, form: Form::Tags }
}

/// Returns tags that are called otherwise.
pub(super) const fn tags_as(to: &'static str, from: &'static str) -> Field {
    Field { to, from, form: Form::Tags }
}

/// Returns the attribute `Tags` as a map.
pub(super) const fn tag_map(from: &'static str) -> Field {
    Field { to: "Tags", from, form: Form::TagMap }
}

/// Returns an object; an empty `from` makes it of what the others are made of.
pub(super) const fn object(to: &'static str, from: &'static str, fields: &'static [Field]) -> Field {
    Field { to, from, form: Form::Object(fields) }
}

/// Returns a list of objects.
pub(super) const fn each(to: &'static str, from: &'static str, fields: &'static [Field]) -> Field {
    Field { to, from, form: Form::Each(fields) }
}

/// Returns what a function makes.
pub(super) const fn made(to: &'static str, from: &'static str, make: fn(&Value) -> Option<Value>) -> Field {
    Field { to, from, form: Form::Made(make) }
}

/// Returns an attribute that is there and that no call tells.
pub(super) const fn untold(to: &'static str) -> Field {
    Field { to, from: "", form: Form::Untold }
}

/// Adds what these lines make of an answer. What is not set is left out; what does not fit is marked as unread, and the
/// first of that is an error.
pub(super) fn shape(fields: &[Field], answer: &Value, into: &mut Map<String, Value>) -> Result<(), Unfit> {
    let mut outcome = Ok(());
    for field in fields {
        let value = field.read(answer).unwrap_or_else(|unfit| {
            outcome = outcome.and(Err(unfit));
            Some(unread())
        });
        if let Some(value) = value {
            into.insert(field.to.to_owned(), value);
        }
    }
    outcome
}

impl Field {
    fn read(&self, answer: &Value) -> Result<Option<Value>, Unfit> {
        let unfit = Unfit { attribute: self.to };
        let one = || sole(answer, self.from).filter(|value| !value.is_null());
        Ok(match self.form {
            Form::Text => one().map(|value| scalar(value).ok_or(unfit)).transpose()?.map(|text| text.as_ref().into()),
            Form::Int => one().map(|value| number_of::<i64>(value).ok_or(unfit)).transpose()?.map(Value::from),
            Form::Number => one().map(|value| number_of::<f64>(value).ok_or(unfit)).transpose()?.map(whole),
            Form::Flag => one().map(|value| switch(value).ok_or(unfit)).transpose()?.map(Value::Bool),
            Form::Same => one().cloned().map(|value| genuine(value).ok_or(unfit)).transpose()?.and_then(filled),
            Form::Pascal => one().map(capitals).map(|value| genuine(value).ok_or(unfit)).transpose()?,
            Form::Json => {
                one().map(|value| document(value).and_then(genuine).ok_or(unfit)).transpose()?.filter(|v| !v.is_null())
            }
            Form::Texts => {
                let texts = all(answer, self.from).into_iter().map(|value| scalar(value).map(Value::from));
                filled(texts.collect::<Option<Vec<_>>>().ok_or(unfit)?.into())
            }
            Form::Tags => tag_list(&all(answer, self.from)).ok_or(unfit).map(|tags| filled(tags.into()))?,
            Form::TagMap => {
                let tags = tag_list(&all(answer, self.from)).ok_or(unfit)?;
                let pair = |tag: Value| Some((tag.get("Key")?.as_str()?.to_owned(), tag.get("Value")?.clone()));
                filled(tags.into_iter().filter_map(pair).collect::<Map<_, _>>().into())
            }
            Form::Object(fields) => one().map(|value| made_object(fields, value)).transpose()?.and_then(filled),
            Form::Each(fields) => {
                let items = all(answer, self.from).into_iter().map(|item| made_object(fields, item));
                filled(items.collect::<Result<Vec<_>, _>>()?.into())
            }
            Form::Made(make) => {
                // Only a function may say by itself that a value could not be read.
                let whole = |value| if is_unread(&value) { Some(value) } else { genuine(value) };
                sole(answer, self.from).and_then(make).map(|value| whole(value).ok_or(unfit)).transpose()?
            }
            Form::Untold => Some(unread()),
        })
    }
}

/// Returns a value that the service said as a whole, unless it holds what looks like our own mark.
fn genuine(value: Value) -> Option<Value> {
    fn is_marked(value: &Value) -> bool {
        match value {
            Value::Object(map) => is_unread(value) || map.values().any(is_marked),
            Value::Array(items) => items.iter().any(is_marked),
            _ => false,
        }
    }
    (!is_marked(&value)).then_some(value)
}

/// Returns an object of these lines; one of which nothing is told is empty.
fn made_object(fields: &[Field], value: &Value) -> Result<Value, Unfit> {
    let mut map = Map::new();
    for field in fields {
        if let Some(value) = field.read(value)? {
            map.insert(field.to.to_owned(), value);
        }
    }
    if map.values().all(is_unread) {
        map.clear();
    }
    Ok(map.into())
}

/// Services leave out what is empty, or do not: both is the same to whoever declares.
fn filled(value: Value) -> Option<Value> {
    let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    (!is_empty).then_some(value)
}

/// Returns the value at a path, without going into lists.
pub(in crate::collect::aws) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    path.split('.').try_fold(value, |value, key| value.get(key))
}

/// Returns the value at a path, also in lists on the way that hold one item.
fn sole<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|key| !key.is_empty()).try_fold(value, |value, key| match value {
        Value::Array(items) => items.first().filter(|_| items.len() == 1)?.get(key),
        value => value.get(key),
    })
}

/// Returns every value at a path, of every item of the lists on the way and at its end. One that is no list is alone.
pub(super) fn all<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = spread(value);
    for key in path.split('.').filter(|key| !key.is_empty()) {
        found = found.into_iter().filter_map(|value| value.get(key)).flat_map(spread).collect();
    }
    found
}

fn spread(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Takes every value at a path, as [`all`] finds them, out of what holds them.
pub(super) fn take_all(value: Value, path: &str) -> Vec<Value> {
    let mut found = unfold(value);
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let inner = |value: Value| if let Value::Object(mut members) = value { members.remove(key) } else { None };
        found = found.into_iter().filter_map(inner).flat_map(unfold).collect();
    }
    found
}

fn unfold(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Returns a scalar as a text.
pub(super) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        _ => None,
    }
}

fn number_of<T: std::str::FromStr>(value: &Value) -> Option<T> {
    scalar(value)?.trim().parse().ok()
}

/// Whole numbers are written without a point, as CloudFormation writes them.
fn whole(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation, reason = "only numbers that an i64 holds exactly")]
    let whole = number as i64;
    if number.fract() == 0.0 && number.abs() < 9e15 { Value::from(whole) } else { Value::from(number) }
}

fn switch(value: &Value) -> Option<bool> {
    match scalar(value)?.as_ref() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Returns a document that is written as a text.
pub(super) fn document(value: &Value) -> Option<Value> {
    let Value::String(text) = value else { return Some(value.clone()) };
    if text.trim().is_empty() {
        return Some(Value::Null);
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&decoded)).ok()
}

pub(super) fn capitals(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let key = |key: &str| {
                let mut chars = key.chars();
                chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
            };
            map.iter().map(|(name, value)| (key(name), capitals(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(capitals).collect(),
        scalar => scalar.clone(),
    }
}

/// Returns what comes after the last `/`.
pub(super) fn last(value: &Value) -> Option<Value> {
    value.as_str()?.rsplit('/').next().map(Value::from)
}

/// Returns what comes after the last `:`.
pub(super) fn last_word(value: &Value) -> Option<Value> {
    value.as_str()?.rsplit(':').next().map(Value::from)
}

/// Returns whether a status says that something is on, or about to be.
pub(super) fn is_on(status: &Value) -> Option<Value> {
    let status = status.as_str()?;
    Some(Value::Bool(["enabled", "enabling"].iter().any(|on| status.eq_ignore_ascii_case(on))))
}

/// Returns a text that says something by being empty.
pub(super) fn or_empty(value: &Value) -> Option<Value> {
    if value.is_null() { Some("".into()) } else { scalar(value).map(Value::from) }
}

/// Returns an object less what is null, unless nothing is left.
pub(super) fn filled_object(value: &Value) -> Option<Value> {
    let mut map = value.as_object()?.clone();
    map.retain(|_, value| !value.is_null());
    filled(map.into())
}

/// Returns tags as a list of `Key` and `Value`, however the service spells them. Those of AWS's own are nobody's to declare.
fn tag_list(found: &[&Value]) -> Option<Vec<Value>> {
    let named = |tag: &Value, names: [&str; 3]| {
        names.iter().find_map(|name| tag.get(name).and_then(scalar).map(Cow::into_owned))
    };
    let mut tags = Vec::new();
    for tag in found {
        if let Some(key) = named(tag, ["Key", "key", "TagKey"]) {
            tags.push((key, named(tag, ["Value", "value", "TagValue"]).unwrap_or_default()));
            continue;
        }
        for (key, value) in tag.as_object()? {
            tags.push((key.clone(), scalar(value)?.into_owned()));
        }
    }
    tags.retain(|(key, _)| !key.starts_with("aws:"));
    Some(tags.into_iter().map(|(key, value)| serde_json::json!({"Key": key, "Value": value})).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &[Field] = &[text("Id", "id")];

    fn check(field: Field, answer: &Value, expected: Option<Value>) {
        assert_eq!(field.read(answer), Ok(expected), "{field:?} of {answer}");
    }

    #[test]
    fn scalars_get_the_type_that_cloudformation_has() {
        let answer = json!({"n": "8", "on": "true", "off": false, "f": "0.50", "w": 3.0, "t": 5, "nothing": null});
        check(int("A", "n"), &answer, Some(json!(8)));
        check(flag("A", "on"), &answer, Some(json!(true)));
        check(flag("A", "off"), &answer, Some(json!(false)));
        check(number("A", "f"), &answer, Some(json!(0.5)));
        check(number("A", "w"), &answer, Some(json!(3)));
        check(text("A", "t"), &answer, Some(json!("5")));
        check(text("A", "nothing"), &answer, None);
        check(text("A", "absent.below"), &answer, None);
        assert_eq!(int("A", "on").read(&answer), Err(Unfit { attribute: "A" }));
    }

    #[test]
    fn a_list_is_one_however_few_there_are() {
        let one = json!({"set": {"id": "a"}});
        let two = json!({"set": [{"id": "a"}, {"id": "b"}]});
        check(texts("A", "set.id"), &one, Some(json!(["a"])));
        check(texts("A", "set.id"), &two, Some(json!(["a", "b"])));
        check(each("A", "set", ID), &one, Some(json!([{"Id": "a"}])));
        check(each("A", "set", ID), &json!({"set": null}), None);
        check(texts("A", "sets.set"), &json!({"sets": [{"set": ["a"]}, {"set": "b"}]}), Some(json!(["a", "b"])));
        check(text("A", "set.id"), &json!({"set": [{"id": "a"}]}), Some(json!("a")));
        check(text("A", "set.id"), &two, None);
    }

    #[test]
    fn tags_and_documents_are_read_in_every_spelling() {
        let expected = Some(json!([{"Key": "team", "Value": "data"}]));
        for found in [
            json!([{"Key": "team", "Value": "data"}, {"Key": "aws:stack", "Value": "s"}]),
            json!([{"key": "team", "value": "data"}]),
            json!({"TagKey": "team", "TagValue": "data"}),
            json!({"team": "data", "aws:x": "y"}),
        ] {
            check(tags("t"), &json!({"t": found}), expected.clone());
        }
        check(tag_map("t"), &json!({"t": [{"Key": "team", "Value": "data"}]}), Some(json!({"team": "data"})));
        check(tags("t"), &json!({"t": {}}), None);
        let policy = json!({"Version": "2012-10-17", "Path": "a%2Fb"});
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Path%22%3A%22a%252Fb%22%7D";
        check(json("P", "p"), &json!({"p": encoded}), Some(policy.clone()));
        check(json("P", "p"), &json!({"p": policy.to_string()}), Some(policy));
        assert!(json("P", "p").read(&json!({"p": "not a document"})).is_err());
        let lower = json!({"a": {"logDriver": "x", "opts": [{"k": 1}]}});
        check(pascal("A", "a"), &lower, Some(json!({"LogDriver": "x", "Opts": [{"K": 1}]})));
    }
}
