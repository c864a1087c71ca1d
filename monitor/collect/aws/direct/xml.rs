//! XML as AWS answers it, as a JSON value: elements become keys, lists become lists, all scalars are texts.
//!
//! What a text means (a number, a switch) is known to the shape of a kind, not here.

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

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

/// Returns the name and the content of the root element.
pub(super) fn read(body: &[u8]) -> Result<(String, Value), CallError> {
    let malformed = || CallError::new(GapReason::Malformed, "the answer is not the XML that was expected");
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open::default()];
    loop {
        let innermost = open.last_mut().ok_or_else(malformed)?;
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(tag) => open.push(Open { name: tag.local_name().as_ref().to_owned(), ..Open::default() }),
            Event::Empty(tag) => innermost.children.push((tag.local_name().as_ref().to_owned(), Value::Null)),
            Event::Text(piece) => innermost.text.push_str(&piece.xml10_content()),
            Event::CData(piece) => innermost.text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => innermost.text.push(resolve(&reference).ok_or_else(malformed)?),
            Event::End(_) => {
                let Open { name, text, children } = open.pop().ok_or_else(malformed)?;
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
    document.children.into_iter().next().ok_or_else(malformed)
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

    fn check(text: &str, expected: Value) {
        assert_eq!(read(text.as_bytes()).ok().map(|(_, value)| value), Some(expected), "{text}");
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
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        assert!(read(deep.as_bytes()).is_err());
    }
}
