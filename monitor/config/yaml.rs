//! YAML that knows where each of its values stands, so that every complaint can name its line.
//!
//! Anything may be wrong with a value long after it was parsed; its RFC 6901 pointer leads back to the line.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// The hint where there is no better one.
const SCHEMA: &str = "`driftwarden check --schema` prints what may stand here";

/// A parsed document.
#[derive(Debug)]
pub(super) struct Document {
    /// Everything that it says.
    pub(super) value: Value,
    positions: BTreeMap<String, Position>,
}

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

/// Something wrong at one place of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Where, if that is known.
    pub position: Option<Position>,
    /// Path of the value, such as `clouds[0].regions`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Document {
    /// Parses the text. Duplicate keys, alias bombs and everything but one document are refused.
    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let root: Spanned<Node> = crate::yaml::from_str(text).map_err(|error| syntax(&error))?;
        let mut document = Self { value: Value::Null, positions: BTreeMap::new() };
        document.value = document.note(root, "");
        Ok(document)
    }

    /// Notes where a value and everything in it stands, and returns it.
    fn note(&mut self, node: Spanned<Node>, pointer: &str) -> Value {
        let position = Position { line: node.referenced.line(), column: node.referenced.column() };
        self.positions.entry(pointer.to_owned()).or_insert(position);
        match node.value {
            Node::Leaf(value) => value,
            Node::List(items) => {
                let items = items.into_iter().enumerate();
                Value::Array(items.map(|(at, item)| self.note(item, &format!("{pointer}/{at}"))).collect())
            }
            Node::Map(entries) => {
                let mut map = Map::new();
                for (key, item) in entries {
                    let inner = format!("{pointer}/{}", key.value.replace('~', "~0").replace('/', "~1"));
                    // A key's own place says more than that of a long value below it.
                    let place = Position { line: key.referenced.line(), column: key.referenced.column() };
                    self.positions.insert(inner.clone(), place);
                    map.insert(key.value, self.note(item, &inner));
                }
                Value::Object(map)
            }
        }
    }

    /// Returns where the value at a pointer stands, or its nearest parent that is written down.
    pub(super) fn position(&self, pointer: &str) -> Option<Position> {
        let mut pointer = pointer;
        loop {
            if let Some(position) = self.positions.get(pointer) {
                return Some(*position);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }

    /// Returns a complaint about the value at a pointer.
    pub(super) fn complain(&self, pointer: &str, message: impl Into<String>, hint: Option<String>) -> Complaint {
        let hint = hint.or_else(|| Some(SCHEMA.to_owned()));
        Complaint { position: self.position(pointer), path: spoken(pointer), message: message.into(), hint }
    }

    /// Returns the part of the document at a pointer as a `T`, null where there is nothing.
    pub(super) fn part<T: DeserializeOwned>(&self, pointer: &str) -> Result<T, Complaint> {
        let value = self.value.pointer(pointer).unwrap_or(&Value::Null);
        serde_path_to_error::deserialize(value).map_err(|error| self.explain(pointer, error))
    }

    /// Returns the pointer, at or below `section`, of the last key or text that stands in backticks in a message: the parts
    /// quote what is wrong, from the outermost name to the innermost, and need not know where it is written.
    pub(super) fn locate(&self, section: &str, message: &str) -> String {
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let found = quoted.iter().rev().find_map(|word| self.find(section, word));
        found.unwrap_or_else(|| section.to_owned())
    }

    /// Returns where a word is a key or a text or, failing that, a part of a text.
    fn find(&self, section: &str, word: &str) -> Option<String> {
        let inside = || self.positions.keys().filter(|pointer| pointer.starts_with(section));
        let text = |pointer: &str| self.value.pointer(pointer).and_then(Value::as_str);
        let is_it = |pointer: &&String| pointer.rsplit('/').next() == Some(word) || text(pointer) == Some(word);
        let has_it = |pointer: &&String| text(pointer).is_some_and(|text| text.contains(word));
        inside().find(is_it).or_else(|| inside().find(has_it)).cloned()
    }

    /// Returns what serde says of the part at `pointer`.
    pub(super) fn explain(&self, pointer: &str, error: serde_path_to_error::Error<serde_json::Error>) -> Complaint {
        let inner = pointer_of(error.path());
        self.put(&format!("{pointer}{inner}"), &error.into_inner().to_string())
    }

    /// Turns serde's words into ours: the line of the key itself, and the nearest known key as a hint.
    fn put(&self, pointer: &str, message: &str) -> Complaint {
        if let Some((key, known)) = unknown_field(message) {
            let pointer =
                if pointer.ends_with(&format!("/{key}")) { pointer.to_owned() } else { format!("{pointer}/{key}") };
            let hint = nearest(key, known.iter().copied())
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some(format!("known keys are {}", known.join(", "))));
            return self.complain(&pointer, format!("unknown key `{key}`"), hint);
        }
        if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            return self.complain(pointer, format!("missing key `{field}`"), Some(format!("add `{field}:` here")));
        }
        if let Some((word, known)) = unknown_variant(message) {
            let hint = nearest(word, known.iter().copied())
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some(format!("expected one of {}", known.join(", "))));
            return self.complain(pointer, format!("unknown value `{word}`"), hint);
        }
        self.complain(pointer, message, None)
    }
}

fn syntax(error: &serde_saphyr::Error) -> Complaint {
    let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    // The library ends with the place, which we say ourselves, and advises programmers, which our reader may not be.
    let line = line.rsplit_once(" at line ").map_or(line, |(what, _)| what);
    let duplicate = line.strip_prefix("duplicate mapping key: ").and_then(|rest| rest.split(',').next());
    let message = duplicate.map_or_else(|| line.to_owned(), |key| format!("duplicate key `{key}`"));
    let hint = duplicate.map_or("this is not YAML from here on", |_| "keep one of them").to_owned();
    Complaint { position, path: String::new(), message, hint: Some(hint) }
}

/// Returns the nearest of the known words, if it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|near| (strsim::damerau_levenshtein(word, near), near))
        .filter(|(distance, near)| *distance <= 1 + near.len() / 4)
        .min()
        .map(|(_, near)| near)
}

fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    quoted(message.strip_prefix("unknown field `")?)
}

fn unknown_variant(message: &str) -> Option<(&str, Vec<&str>)> {
    quoted(message.strip_prefix("unknown variant `")?)
}

/// Splits what serde says after the first backtick, a wrong word and then the known ones, into these words.
fn quoted(rest: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = rest.split('`').step_by(2);
    Some((words.next()?, words.filter(|word| !word.is_empty()).collect()))
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

/// Returns a pointer as people write it: `clouds[0].regions`.
fn spoken(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match (part.bytes().all(|byte| byte.is_ascii_digit()), path.is_empty()) {
            (true, _) => path.extend(["[", &part, "]"]),
            (false, true) => path.push_str(&part),
            (false, false) => path.extend([".", &part]),
        }
    }
    path
}

#[derive(Debug)]
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(|number| Node::Leaf(Value::Number(number))).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing matters")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing matters")]
        regions: Vec<String>,
    }

    fn check(text: &str, line: u64, column: u64, message: &str, hint: Option<&str>) {
        let complaint = Document::parse(text).and_then(|document| document.part::<Outer>("").map(drop)).unwrap_err();
        assert_eq!(complaint.position, Some(Position { line, column }), "{complaint:?}");
        assert!(complaint.message.contains(message), "{complaint:?}");
        assert_eq!(complaint.hint.as_deref(), hint, "{complaint:?}");
    }

    #[test]
    fn each_complaint_names_its_line() {
        check("inner:\n  - regoins: [a]\n", 2, 5, "unknown key `regoins`", Some("did you mean `regions`?"));
        check("inner:\n  - regions:\n      - 1\n", 3, 9, "expected a string", Some(SCHEMA));
        check("inner:\n  - {}\n", 2, 5, "missing key `regions`", Some("add `regions:` here"));
        check("inner: [\n", 1, 8, "unclosed bracket", Some("this is not YAML from here on"));
        check("inner: []\ninner: []\n", 2, 1, "duplicate key `inner`", Some("keep one of them"));
    }

    #[test]
    fn a_document_keeps_its_values() {
        let text = "a: 1\nb: [x, true, 1.5, ~]\nc/d: {e: '2'}\n";
        let document = Document::parse(text).unwrap();
        assert_eq!(document.value, serde_json::json!({"a": 1, "b": ["x", true, 1.5, null], "c/d": {"e": "2"}}));
        assert_eq!(document.position("/c~1d/e/nowhere").map(|at| at.line), Some(3));
    }
}
