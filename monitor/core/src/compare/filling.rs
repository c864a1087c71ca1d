//! Texts with gaps: what a template leaves to be filled in, by its own substitutions or by the provider.
//!
//! Where it is known what a gap is filled with, the text is compared with it filled in; where it is not, only the gap is
//! unknown and the text around it counts.

use std::borrow::Cow;

use serde_json::Value;

use super::scalar::document_in;
use super::sensitive::{is_secret_name, looks_secret};
use super::walk::is_unresolved;

/// How a gap begins that somebody else fills, as templates write it.
pub(super) const OPEN: &str = "{{resolve:";

/// What a state machine is made of, with gaps like `${name}`,
const FILLED: [&str; 2] = ["Definition", "DefinitionString"];

/// and what these are filled with. The service keeps the result only.
const SUBSTITUTIONS: &str = "DefinitionSubstitutions";

/// Returns what is declared with its own substitutions filled in.
pub(super) fn filled(declared: &Value) -> Cow<'_, Value> {
    let given = declared.get(SUBSTITUTIONS).filter(|given| !given.is_null());
    let has_text = FILLED.iter().any(|name| declared.get(*name).is_some_and(|text| !text.is_null()));
    let (Some(given), true) = (given, has_text) else { return Cow::Borrowed(declared) };
    let mut filled = declared.clone();
    for name in FILLED {
        if let Some(text) = filled.get_mut(name) {
            fill(text, given);
        }
    }
    if let Some(map) = filled.as_object_mut() {
        map.remove(SUBSTITUTIONS);
    }
    Cow::Owned(filled)
}

fn fill(value: &mut Value, given: &Value) {
    match value {
        Value::String(text) if text.contains("${") => *text = with(text, given),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, given)),
        Value::Object(map) => map.values_mut().for_each(|inner| fill(inner, given)),
        _ => {}
    }
}

/// Returns a text with its gaps filled. One for which nothing is given is kept: it belongs to the text.
fn with(text: &str, given: &Value) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("${") {
        let gap = after.split_once('}').and_then(|(name, after)| Some((filling(name, given)?, after)));
        let (filling, after) = gap.unwrap_or_else(|| ("${".to_owned(), after));
        out.push_str(before);
        out.push_str(&filling);
        rest = after;
    }
    out + rest
}

fn filling(name: &str, given: &Value) -> Option<String> {
    if is_unresolved(given) {
        return Some(open(name));
    }
    Some(match given.get(name)? {
        // A secret is not written into a text that is shown: its place stays a gap.
        _ if is_secret_name(name) => open(name),
        Value::String(text) if !text.contains(OPEN) && !looks_secret(text) => text.clone(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        _ => open(name),
    })
}

fn open(name: &str) -> String {
    format!("{OPEN}{name}}}}}")
}

/// Returns whether anything in a declared value is not known.
pub(super) fn is_open(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(OPEN),
        Value::Array(items) => items.iter().any(is_open),
        Value::Object(map) => is_unresolved(value) || map.values().any(is_open),
        _ => false,
    }
}

/// Returns whether a secret may fill a gap of a declared value, so that it stands in what was read: any may but a plain
/// parameter of the parameter store.
pub(super) fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split(OPEN).skip(1).any(|rest| {
            let name = rest.split_once("}}").map_or(rest, |(name, _)| name);
            !name.starts_with("ssm:") || is_secret_name(name)
        }),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(map) => map.values().any(holds_secret),
        _ => false,
    }
}

/// Returns whether a text is a document, and not one gap.
pub(super) fn is_document(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['{', '[']) && !text.starts_with(OPEN)
}

/// Returns whether a declared value is a document with a gap that may be anything: a name, or more or less than a value.
pub(super) fn is_vague(declared: &Value) -> bool {
    let Some(text) = declared.as_str().filter(|text| text.contains(OPEN) && is_document(text)) else { return false };
    document_in(text).is_none_or(|document| names_gap(&document))
}

fn names_gap(document: &Value) -> bool {
    match document {
        Value::Array(items) => items.iter().any(names_gap),
        Value::Object(map) => map.iter().any(|(name, inner)| name.contains(OPEN) || names_gap(inner)),
        _ => false,
    }
}

/// Returns a document with quotes around each gap that has none, as one value that is not known.
pub(super) fn quoted(open: &str) -> String {
    let mut out = String::with_capacity(open.len() + 16);
    let (mut rest, mut is_inside, mut is_escaped) = (open, false, false);
    loop {
        let gap = rest.strip_prefix(OPEN).filter(|_| !is_inside).and_then(|after| after.split_once("}}"));
        if let Some((name, after)) = gap {
            out.extend(["\"", &self::open(name), "\""]);
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return out };
        is_inside ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        out.push(c);
        rest = chars.as_str();
    }
}

/// Returns whether a text is one with gaps with something in each of these.
pub(super) fn fits(open: &str, text: &str) -> bool {
    let mut parts = open.split(OPEN);
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut between: Vec<&str> = parts.map(|part| part.split_once("}}").map_or("", |(_, after)| after)).collect();
    let last = between.pop().unwrap_or_default();
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Context, Facts, MaskKey, Schema, Strictly, apply, compare};
    use super::*;
    use crate::resource::{Depth, Kind};

    /// Compares a state machine with what was read of it; answers with the paths of the changes, `?` before unknown ones.
    fn compared(desired: &Value, observed: &Value) -> String {
        let schema = Schema { write_only: vec!["/Definition".to_owned()], ..Schema::default() };
        let (kind, context, mask) =
            (Kind::from("AWS::StepFunctions::StateMachine"), Context::default(), MaskKey::new([1; 32]));
        let (depth, strictly) = (Depth::Full, Strictly::default());
        let facts = Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
        let found = compare(desired, observed, facts);
        let mended = apply(&found.changes, desired, observed);
        assert_eq!(compare(desired, &mended, facts).changes, [], "{desired} {mended}");
        let changes = found.changes.iter().map(|change| change.path.clone());
        changes.chain(found.unknown.iter().map(|unknown| format!("?{}", unknown.path))).collect::<Vec<_>>().join(" ")
    }

    fn machine(text: &str, given: &Value) -> Value {
        json!({"DefinitionString": text, "DefinitionSubstitutions": given})
    }

    fn check(text: &str, given: &Value, cases: &[(&str, &str)]) {
        for (observed, expected) in cases {
            let found = compared(&machine(text, given), &json!({"DefinitionString": observed}));
            assert_eq!(found, *expected, "{text} {observed}");
        }
    }

    #[test]
    fn a_definition_is_compared_with_its_substitutions_filled_in() {
        let text = r#"{"States": {"A": {"Resource": "${fn}", "TimeoutSeconds": ${time}, "Next": "${other}"}}}"#;
        let given = json!({"fn": "arn:aws:lambda:r:1:function:f", "time": 5});
        let state = |resource: &str, time: i64| {
            let state = json!({"Next": "${other}", "Resource": resource, "TimeoutSeconds": time});
            json!({"States": {"A": state}}).to_string()
        };
        let cases = [
            (state("arn:aws:lambda:r:1:function:f", 5), ""),
            (state("arn:aws:lambda:r:1:function:g", 5), "/DefinitionString"),
            (state("arn:aws:lambda:r:1:function:f", 6), "/DefinitionString"),
        ];
        let cases: Vec<_> = cases.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
        check(text, &given, &cases);
    }

    #[test]
    fn only_the_gap_is_unknown() {
        let text = r#"{"States": {"A": {"Resource": "arn:${fn}:1", "Comment": "x"}}}"#;
        let state = |resource: &str, comment: &str| {
            json!({"States": {"A": {"Comment": comment, "Resource": resource}}}).to_string()
        };
        let cases = [
            (state("arn:any:1", "x"), "?/DefinitionString"),
            (state("arn:any:2", "x"), "/DefinitionString"),
            (state("arn:any:1", "y"), "/DefinitionString"),
        ];
        let cases: Vec<_> = cases.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
        for given in [json!({"fn": {"$unknown": true}}), json!({"$unknown": true}), json!({"fn": "{{resolve:ssm:x}}"})]
        {
            check(text, &given, &cases);
        }
    }

    #[test]
    fn a_gap_is_one_value_wherever_it_stands() {
        let (unknown, drift) = ("?/DefinitionString", "/DefinitionString");
        let cases = [
            (r#"{"TimeoutSeconds": 7, "A": 1}"#, unknown),
            (r#"{"A":1,"TimeoutSeconds":{"x":7}}"#, unknown),
            (r#"{"TimeoutSeconds": 7, "A": 2}"#, drift),
            (r#"{"TimeoutSeconds": 7, "B": {"c": 2}, "A": 1}"#, drift),
            (r#"{"A": 1}"#, drift),
        ];
        for text in [r#"{"TimeoutSeconds": ${gap}, "A": 1}"#, r#"{"TimeoutSeconds": "${gap}", "A": 1}"#] {
            check(text, &json!({"gap": {"$unknown": true}}), &cases);
        }
        let inserted = r#"{"Resource": "f", "B": "x", "A": 1}"#;
        check(r#"{"Resource": "${gap}", "A": 1}"#, &json!({"gap": {"$unknown": true}}), &[(inserted, drift)]);
    }

    #[test]
    fn a_gap_that_may_be_anything_leaves_the_document_unknown() {
        for text in [r#"{"A": 1, ${gap}}"#, r#"{"A": 1${gap}}"#, r#"{"A": 1, "${gap}": 2}"#, r#"{"A": ${gap}${gap}}"#] {
            let cases = [(r#"{"A": 1, "B": 2}"#, "?/DefinitionString"), (r#"{"B": 1}"#, "?/DefinitionString")];
            check(text, &json!({"gap": {"$unknown": true}}), &cases);
            let found = compared(&machine(text, &json!({"$unknown": true})), &json!({"DefinitionString": {"A": 1}}));
            assert_eq!(found, "?/DefinitionString", "{text}");
        }
    }

    #[test]
    fn only_gaps_without_quotes_are_quoted() {
        for (open, expected) in [
            ("{\"a\": {{resolve:x}}}", "{\"a\": \"{{resolve:x}}\"}"),
            ("{\"a\": \"b{{resolve:x}}\"}", "{\"a\": \"b{{resolve:x}}\"}"),
            (r#"["\"", {{resolve:x}}, "\\", {{resolve:y}}]"#, r#"["\"", "{{resolve:x}}", "\\", "{{resolve:y}}"]"#),
            ("[{{resolve:x", "[{{resolve:x"),
        ] {
            assert_eq!(quoted(open), expected);
        }
    }

    #[test]
    fn a_definition_that_was_declared_as_an_object_is_read_as_text() {
        let declared =
            json!({"Definition": {"States": {"A": {"Resource": "${fn}"}}}, "DefinitionSubstitutions": {"fn": "f"}});
        let read =
            |resource: &str| json!({"DefinitionString": json!({"States": {"A": {"Resource": resource}}}).to_string()});
        assert_eq!(compared(&declared, &read("f")), "");
        assert_eq!(compared(&declared, &read("g")), "/Definition");
        assert_eq!(compared(&declared, &json!({})), "?/Definition");
    }

    #[test]
    fn what_fills_a_gap_is_not_shown_if_it_is_a_secret() {
        let schema = Schema::default();
        let (kind, context, mask) = (Kind::from("AWS::X::Y"), Context::default(), MaskKey::new([1; 32]));
        let (depth, strictly) = (Depth::Full, Strictly::default());
        let facts = Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly };
        let read = json!({"DefinitionString": r#"{"auth": "hunter2", "A": 2}"#});
        for declared in [
            machine(r#"{"auth": "${Token}", "A": 1}"#, &json!({"Token": "hunter2"})),
            machine(r#"{"auth": "${Hdr}", "A": 1}"#, &json!({"Hdr": {"$unknown": true}})),
            machine(r#"{"auth": ${Hdr}, "A": 1}"#, &json!({"$unknown": true})),
            json!({"DefinitionString": r#"{"auth": "{{resolve:secretsmanager:x:SecretString:y}}", "A": 1}"#}),
        ] {
            let found = compare(&declared, &read, facts);
            assert!(found.changes.len() == 1 && found.changes[0].sensitive, "{declared}");
            assert!(!format!("{found:?}").contains("hunter2"), "{declared}");
        }
        let plain = json!({"DefinitionString": r#"{"auth": "{{resolve:ssm:x}}", "A": 1}"#});
        assert!(!compare(&plain, &read, facts).changes[0].sensitive, "a plain parameter is no secret");
    }

    #[test]
    fn text_around_gaps_counts() {
        for (open, text, expected) in [
            ("{{resolve:a}}", "", true),
            ("x{{resolve:a}}y", "xy", true),
            ("x{{resolve:a}}y", "x1y", true),
            ("x{{resolve:a}}y", "x1", false),
            ("x{{resolve:a}}-{{resolve:b}}y", "x1-2y", true),
            ("x{{resolve:a}}-{{resolve:b}}y", "x12y", false),
            ("xy{{resolve:a}}y", "xy", false),
        ] {
            assert_eq!(fits(open, text), expected, "{open} {text}");
        }
    }
}
