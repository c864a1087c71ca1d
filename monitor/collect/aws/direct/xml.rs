//! XML as AWS answers it, as a JSON value: elements become keys, lists become lists, all scalars are texts.
//!
//! What a text means (a number, a switch) is known to the shape of a kind, not here.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use driftwarden_core::resource::GapReason;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesRef, Event};
use serde_json::{Map, Value};

use super::shape::scalar;
use crate::collect::http::CallError;

/// Elements inside each other; no service comes near.
const MAX_DEPTH: usize = 64;
/// What the items of a list are called in the protocols Query and EC2.
const ITEMS: [&str; 2] = ["item", "member"];
/// Stands for a thing.
const UNREAD: Value = Value::Bool(true);

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
    /// How much of the path to the things leads here; nothing where it leads elsewhere.
    on_path: Option<usize>,
}

/// An answer of which the things that it lists are not read yet: as trees, they are many times as large.
pub(super) struct Document {
    /// Name of the root element.
    pub(super) root: String,
    /// Everything else, with a mark in the place of each thing.
    pub(super) value: Value,
    /// The things.
    pub(super) things: Unread,
}

/// The things of an answer, one after another.
#[derive(Default)]
pub(super) struct Unread {
    body: Bytes,
    /// Where the contents of each are.
    spans: VecDeque<Range<usize>>,
}

impl Unread {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
}

impl Iterator for Unread {
    type Item = Result<Value, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.spans.pop_front()?;
        let text = self.body.get(span).ok_or_else(malformed).and_then(text);
        Some(text.and_then(|text| {
            let Open { text, children, .. } = parse(text, None)?.0;
            Ok(close(text, children))
        }))
    }
}

/// Reads an answer, less the things at that path.
pub(super) fn read(body: &Bytes, path: Option<&str>) -> Result<Document, CallError> {
    let (document, spans) = parse(text(body)?, path)?;
    let (root, value) = document.children.into_iter().next().ok_or_else(malformed)?;
    Ok(Document { root, value, things: Unread { body: body.clone(), spans } })
}

fn malformed() -> CallError {
    CallError::new(GapReason::Malformed, "the answer is not the XML that was expected")
}

fn text(body: &[u8]) -> Result<&str, CallError> {
    std::str::from_utf8(body).map_err(|_| malformed())
}

/// Returns the document around the outermost elements, and where the contents of each thing at the path are.
fn parse(text: &str, path: Option<&str>) -> Result<(Open, VecDeque<Range<usize>>), CallError> {
    let mut reader = Reader::from_str(text);
    let keys: Vec<&str> = path.into_iter().flat_map(|path| path.split('.')).collect();
    let mut spans = VecDeque::new();
    let mut open = vec![Open::default()];
    loop {
        // The path begins inside of the root.
        let depth = open.len();
        let innermost = open.last_mut().ok_or_else(malformed)?;
        let leads = |innermost: &Open, name: &str| match innermost.on_path {
            _ if depth == 1 => path.map(|_| 0),
            Some(passed) if ITEMS.contains(&name) => Some(passed),
            Some(passed) => keys.get(passed).filter(|key| **key == name).map(|_| passed + 1),
            None => None,
        };
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(tag) => {
                let name = tag.local_name().as_ref().to_owned();
                let on_path = leads(innermost, &name);
                let is_end = on_path == Some(keys.len());
                let contents = usize::try_from(reader.buffer_position()).ok().and_then(|at| text.get(at..));
                if is_end && (innermost.on_path == on_path || !is_list(contents.unwrap_or_default())) {
                    let Range { start, end } = reader.read_to_end(tag.name()).map_err(|_| malformed())?;
                    let span = usize::try_from(start).ok().zip(usize::try_from(end).ok()).ok_or_else(malformed)?;
                    spans.push_back(span.0..span.1);
                    innermost.children.push((name, UNREAD));
                } else {
                    open.push(Open { name, on_path, ..Open::default() });
                }
            }
            Event::Empty(tag) => {
                let name = tag.local_name().as_ref().to_owned();
                let is_item = innermost.on_path == Some(keys.len()) && ITEMS.contains(&name.as_str());
                spans.extend(is_item.then_some(0..0));
                innermost.children.push((name, if is_item { UNREAD } else { Value::Null }));
            }
            Event::Text(piece) => innermost.text.push_str(&piece.xml10_content()),
            Event::CData(piece) => innermost.text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => innermost.text.push(resolve(&reference).ok_or_else(malformed)?),
            Event::End(_) => {
                let Open { name, text, children, .. } = open.pop().ok_or_else(malformed)?;
                open.last_mut().ok_or_else(malformed)?.children.push((name, close(text, children)));
            }
            Event::Eof => break,
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return Err(malformed());
        }
    }
    // What was cut short has elements that were never closed.
    let (Some(document), None) = (open.pop(), open.pop()) else { return Err(malformed()) };
    Ok((document, spans))
}

/// Returns whether these are the contents of a list, as far as one can see from their beginning.
fn is_list(contents: &str) -> bool {
    let contents = contents.trim_start();
    let is_item = |item| contents.strip_prefix('<').and_then(|name| name.strip_prefix(item)).is_some_and(is_over);
    contents.starts_with("</") || ITEMS.into_iter().any(is_item)
}

/// Returns whether the name of an element does not go on there.
fn is_over(rest: &str) -> bool {
    rest.starts_with(['>', '/', ' ', '\t', '\r', '\n'])
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(char)) = reference.resolve_char_ref() {
        return Some(char);
    }
    quick_xml::escape::resolve_xml_entity(reference).and_then(|text| text.chars().next())
}

fn close(text: String, children: Vec<(String, Value)>) -> Value {
    if children.is_empty() {
        return if text.trim().is_empty() { Value::Null } else { Value::String(text) };
    }
    if children.iter().all(|(name, _)| ITEMS.contains(&name.as_str())) {
        return children.into_iter().map(|(_, item)| item).collect();
    }
    if children.iter().all(|(name, item)| name == "entry" && item.get("key").is_some()) {
        return children.into_iter().filter_map(|(_, entry)| pair(entry)).collect::<Map<_, _>>().into();
    }
    let mut map = Map::new();
    for (name, child) in children {
        match map.get_mut(&name) {
            None => drop(map.insert(name, child)),
            Some(Value::Array(items)) => items.push(child),
            Some(first) => *first = Value::Array(vec![first.take(), child]),
        }
    }
    map.into()
}

fn pair(mut entry: Value) -> Option<(String, Value)> {
    let key = entry.get("key")?.as_str()?.to_owned();
    let value = entry.get_mut("value").map(Value::take).unwrap_or_default();
    Some((key, value))
}

/// Writes an object with one key as a document; `xmlns` beside it is the root's namespace.
pub(super) fn write(document: &Map<String, Value>) -> String {
    let namespace = document.get("xmlns").and_then(Value::as_str);
    let namespace = namespace.map(|name| format!(" xmlns=\"{}\"", escape(name))).unwrap_or_default();
    let mut text = String::new();
    for (name, value) in document.iter().filter(|(name, _)| *name != "xmlns") {
        write_element(name, &namespace, value, &mut text);
    }
    text
}

/// Writes an element, or one for each item of a list.
fn write_element(name: &str, namespace: &str, value: &Value, into: &mut String) {
    let Value::Array(items) = value else {
        into.extend(["<", name, namespace, ">"]);
        match value {
            Value::Object(children) => {
                for (name, child) in children {
                    write_element(name, "", child, into);
                }
            }
            other => into.push_str(&escape(&*scalar(other).unwrap_or_default())),
        }
        into.extend(["</", name, ">"]);
        return;
    };
    for item in items {
        write_element(name, namespace, item, into);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::collect::aws::direct::shape::take_all;

    fn check(text: &str, expected: Value) {
        assert_eq!(read(&text.to_owned().into(), None).ok().map(|read| read.value), Some(expected), "{text}");
    }

    #[test]
    fn lists_and_maps_are_told_from_objects() {
        check("<r><a>1</a><b/></r>", json!({"a": "1", "b": null}));
        check("<r><set><item><x>1</x></item></set></r>", json!({"set": [{"x": "1"}]}));
        check("<r><l><member>a</member><member>b</member></l></r>", json!({"l": ["a", "b"]}));
        check("<r><m><entry><key>k</key><value>v</value></entry></m></r>", json!({"m": {"k": "v"}}));
        check(
            "<r><g><z>1</z></g><g><z>2</z></g><g><z>3</z></g></r>",
            json!({"g": [{"z": "1"}, {"z": "2"}, {"z": "3"}]}),
        );
        check(
            "<?xml version=\"1.0\"?>\n<n:r xmlns:n=\"u\"> a &lt;&amp;&#33; <![CDATA[<b>]]></n:r>",
            json!(" a <&! <b>"),
        );
    }

    #[test]
    fn a_document_is_written_as_it_is_read() {
        let inner = json!({"Type": "a<b", "Ids": {"Id": ["1", "2"]}});
        let document = json!({"xmlns": "https://h/doc/", "Request": inner});
        let text = write(document.as_object().unwrap());
        assert!(text.starts_with("<Request xmlns=\"https://h/doc/\">"), "{text}");
        check(&text, inner);
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        for text in ["", "<r><a>1</a>", "<r>", "plain", "<r><a></r>", "<r>&unknown;</r>"] {
            assert!(read(&text.into(), None).is_err(), "{text}");
            assert!(read(&text.into(), Some("a")).is_err(), "{text}");
        }
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        assert!(read(&deep.into(), None).is_err());
    }

    /// Checks that the things at a path are those of the whole answer, and how many of them were left unread at first.
    fn check_things(text: &str, path: &str, unread: usize) {
        let text = Bytes::from(text.to_owned());
        let whole = take_all(read(&text, None).ok().unwrap().value, path);
        let Document { value, things, .. } = read(&text, Some(path)).ok().unwrap();
        assert_eq!(things.len(), unread, "{text:?}");
        let rest = take_all(value, path);
        let read = if unread == 0 { rest } else { things.map(|thing| thing.ok().unwrap()).collect() };
        assert_eq!(read, whole, "{text:?}");
    }

    #[test]
    fn what_is_read_later_is_what_would_have_been_read_at_once() {
        check_things("<r><s> <item><a>1</a><s><item>2</item></s></item><item><a>&lt;</a></item></s></r>", "s", 2);
        check_things("<r><o><item><i><item>1</item></i></item><item><i><item>2</item></i></item></o></r>", "o.i", 2);
        check_things("<r><x><Bs><B><n>1</n></B><B><n>2</n></B></Bs></x></r>", "x.Bs.B", 2);
        check_things("<r><Bs><B><B>1</B></B></Bs><t>true</t></r>", "Bs.B", 1);
        check_things("<r><l><member>a</member><member/><member></member></l></r>", "l", 3);
        check_things("<r><m><entry><key>k</key><value>v</value></entry></m></r>", "m", 1);
        check_things("<r><s/></r>", "s", 0);
        check_things("<r><s></s></r>", "s", 0);
        check_things("<r><t>1</t></r>", "s", 0);
        check_things("<r><items>1</items></r>", "items", 1);
        let broken = read(&"<r><s><item>&no;</item></s></r>".into(), Some("s")).ok().unwrap();
        assert!(broken.things.map(|thing| thing.is_err()).eq([true]));
    }
}
