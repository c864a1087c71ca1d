//! The values that a rule's expression handles: views of what was read, copied only where an expression makes new ones.
//!
//! Knows which views may lack attributes (I2). Does not evaluate anything.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::resource::{Depth, Labels, ResourceId, UNREAD};

/// One value. Whole numbers of both CEL types share one wide integer.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(Cow<'a, str>),
    /// A list as it was read.
    Array(&'a [Value], Depth),
    /// A map as it was read.
    Object(&'a Map<String, Value>, Depth),
    Labels(&'a Labels, Depth),
    Id(&'a ResourceId),
    /// A list that an expression made.
    List(Rc<Vec<Val<'a>>>),
    /// A map that an expression made.
    Map(Rc<Vec<(Val<'a>, Val<'a>)>>),
}

/// What a look into a value found.
#[derive(Debug)]
pub(super) enum Found<'a> {
    Value(Val<'a>),
    /// It is not there.
    Nothing,
    /// It may be there: nobody read it.
    Unread,
    /// There is nothing to look into.
    NoMap,
}

/// Keys of the objects that stand for a value nobody could read or resolve.
const MARKERS: [&str; 2] = [UNREAD, "$unknown"];

impl<'a> Val<'a> {
    /// Returns the view of `value`, or nothing if it stands for one that was not read.
    pub(super) fn read(value: &'a Value, depth: Depth) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::number(number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::Array(items, depth),
            Value::Object(map) if is_marker(map) => return None,
            Value::Object(map) => Self::Object(map, depth),
        })
    }

    fn number(number: &serde_json::Number) -> Self {
        if let Some(int) = number.as_i64() {
            return Self::Int(int.into());
        }
        match number.as_u64() {
            Some(int) => Self::Int(int.into()),
            None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// Returns the word for what this is, as `type()` gives it.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Array(..) | Self::List(_) => "list",
            Self::Object(..) | Self::Labels(..) | Self::Id(_) | Self::Map(_) => "map",
        }
    }

    /// Looks for `key` in a map.
    pub(super) fn get(&self, key: &str) -> Found<'a> {
        match self {
            Self::Object(map, depth) => match map.get(key) {
                Some(value) => Val::read(value, *depth).map_or(Found::Unread, Found::Value),
                None => absent(*depth),
            },
            Self::Labels(labels, depth) => match labels.get(key) {
                Some(text) => Found::Value(Val::Text(Cow::Borrowed(text))),
                None => absent(*depth),
            },
            Self::Id(id) => part(id, key).map_or(Found::Nothing, |text| Found::Value(Val::Text(Cow::Borrowed(text)))),
            Self::Map(entries) => entries
                .iter()
                .find(|(name, _)| matches!(name, Val::Text(name) if name == key))
                .map_or(Found::Nothing, |(_, value)| Found::Value(value.clone())),
            Self::Null => Found::Nothing,
            _ => Found::NoMap,
        }
    }

    /// Looks at place `index` of a list.
    pub(super) fn at(&self, index: i128) -> Found<'a> {
        let Ok(index) = usize::try_from(index) else { return Found::Nothing };
        match self {
            Self::Array(items, depth) => match items.get(index) {
                Some(value) => Val::read(value, *depth).map_or(Found::Unread, Found::Value),
                None => Found::Nothing,
            },
            Self::List(items) => items.get(index).map_or(Found::Nothing, |item| Found::Value(item.clone())),
            Self::Null => Found::Nothing,
            _ => Found::NoMap,
        }
    }

    /// Returns how many items a list has, or keys a map.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Array(items, _) => Some(items.len()),
            Self::Object(map, _) => Some(map.len()),
            Self::Labels(labels, _) => Some(labels.len()),
            Self::List(items) => Some(items.len()),
            Self::Map(entries) => Some(entries.len()),
            _ => None,
        }
    }

    /// Returns item `index` of a list, or key `index` of a map; nothing after the last.
    ///
    /// An item that was not read is the inner nothing.
    pub(super) fn items(&self) -> Option<Items<'a>> {
        Some(match self {
            Self::Array(items, depth) => Items::Array(items.iter(), *depth),
            Self::Object(map, _) => Items::Keys(map.keys()),
            Self::Labels(labels, _) => Items::Labels(labels.keys()),
            Self::List(items) => Items::List(Rc::clone(items), 0),
            Self::Map(entries) => Items::List(Rc::new(entries.iter().map(|(key, _)| key.clone()).collect()), 0),
            _ => return None,
        })
    }
}

/// The items of a list or the keys of a map. An item that was not read is the inner nothing.
pub(super) enum Items<'a> {
    Array(std::slice::Iter<'a, Value>, Depth),
    Keys(serde_json::map::Keys<'a>),
    Labels(std::collections::btree_map::Keys<'a, String, String>),
    List(Rc<Vec<Val<'a>>>, usize),
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<Val<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Array(items, depth) => items.next().map(|item| Val::read(item, *depth)),
            Self::Keys(keys) => keys.next().map(|key| Some(Val::Text(Cow::Borrowed(key)))),
            Self::Labels(keys) => keys.next().map(|key| Some(Val::Text(Cow::Borrowed(key)))),
            Self::List(items, next) => {
                let item = items.get(*next)?.clone();
                *next += 1;
                Some(Some(item))
            }
        }
    }
}

/// The parts of an id that an expression may ask for.
pub(super) const ID_PARTS: [&str; 5] = ["provider", "account", "region", "kind", "name"];

fn part<'a>(id: &'a ResourceId, key: &str) -> Option<&'a str> {
    match key {
        "provider" => Some(id.provider.as_str()),
        "account" => Some(&id.account),
        "region" => Some(&id.region),
        "kind" => Some(id.kind.as_str()),
        "name" => Some(&id.name),
        _ => None,
    }
}

const fn absent<'a>(depth: Depth) -> Found<'a> {
    match depth {
        Depth::Full | Depth::Partial => Found::Nothing,
        Depth::Listed => Found::Unread,
    }
}

fn is_marker(map: &Map<String, Value>) -> bool {
    map.len() == 1 && MARKERS.iter().any(|marker| map.get(*marker) == Some(&Value::Bool(true)))
}
