//! Places in JSON text, found without making a tree of values.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// Returns what stands in a text at an RFC 6901 pointer.
pub(super) fn at<'t>(text: &'t RawValue, pointer: &str) -> Option<&'t RawValue> {
    pointer.split('/').skip(1).try_fold(text, |parent, step| child(parent, &step.replace("~1", "/").replace("~0", "~")))
}

fn child<'t>(parent: &'t RawValue, step: &str) -> Option<&'t RawValue> {
    if parent.get().starts_with('[') {
        return items(parent)?.get(step.parse::<usize>().ok()?).copied();
    }
    serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(parent.get()).ok()?.remove(step)
}

/// Returns the items of a list, or nothing if it is none.
pub(super) fn items(list: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(list.get()).ok()
}

/// Returns a text or a number as text.
pub(super) fn word(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pointer: &str, found: Option<&str>) {
        let text = r#"  {"a": {"b/c": [1, {"d": "x"}], "e": null}, "a~": 7, "twice": 1, "twice": 2}"#;
        let text: &RawValue = serde_json::from_str(text).unwrap();
        assert_eq!(at(text, pointer).map(RawValue::get), found, "{pointer}");
    }

    #[test]
    fn a_pointer_leads_to_text() {
        check("/a/b~1c/1/d", Some(r#""x""#));
        check("/a/b~1c", Some(r#"[1, {"d": "x"}]"#));
        check("/a/e", Some("null"));
        check("/a~0", Some("7"));
        check("/twice", Some("2"));
        for nothing in ["/b", "/a/b~1c/2", "/a/b~1c/x", "/a~0/0"] {
            check(nothing, None);
        }
    }
}
