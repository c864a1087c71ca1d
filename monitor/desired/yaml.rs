//! Reads YAML and JSON text into JSON values, with the lines on which they stand, under budgets (I41).
//!
//! Types are those of the YAML 1.2 core schema and nothing else: `no`, `on`, `0o17`, `0777`, `1:30`, `1_000` and
//! dates stay text. Short tags of CloudFormation become the long form. What a value means is not decided here.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

/// Nodes in one file, aliases expanded.
const MAX_NODES: usize = 300_000;
/// Bytes of scalars in one file, aliases expanded.
const MAX_BYTES: usize = 24 << 20;
/// Collections inside collections.
const MAX_DEPTH: usize = 128;
/// Keys of the root below which the lines of keys and items are kept: `/Resources/Bucket`, `/items/0`.
const MARKED: [&str; 2] = ["Resources", "items"];

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where.
    pub place: Place,
    /// What.
    pub why: String,
    /// What to do.
    pub hint: Option<&'static str>,
}

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// Where its first key stands.
    pub place: Place,
    /// What it says.
    pub value: Value,
    /// Something that makes the document unusable although it could be read on: a key given twice, a foreign tag.
    /// Whether it matters depends on whose document it is.
    pub flaw: Option<Flaw>,
    /// Where keys and items stand, by JSON pointer.
    marks: HashMap<String, Place>,
}

impl Document {
    /// Returns where a resource of a template (`/Resources/Bucket`) or an item of a list (`/items/0`) stands.
    pub fn place_of(&self, pointer: &str) -> Place {
        self.marks.get(pointer).copied().unwrap_or(self.place)
    }
}

/// Returns the documents of a text, without the empty ones.
pub fn documents(text: &str) -> Result<Vec<Document>, Flaw> {
    let options = granit_parser::options! {
        emit_comments: false,
        simple_key_max_lookahead: 64 << 10,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut reader = Reader { parser: Parser::new_from_str_with_options(text, options), nodes: 0, bytes: 0 };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        if matches!(event, Event::DocumentStart(..)) {
            documents.extend(reader.document(span)?);
        }
    }
    Ok(documents)
}

/// A value with what it costs to repeat it.
#[derive(Clone)]
struct Node {
    value: Value,
    nodes: usize,
    bytes: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    nodes: usize,
    bytes: usize,
}

/// What is gathered while one document is read.
struct Draft {
    anchors: HashMap<usize, Node>,
    marks: HashMap<String, Place>,
    flaw: Option<Flaw>,
    path: Vec<String>,
}

impl Draft {
    /// Goes into a key or an item. Only names near the root are kept: no others are asked for.
    fn enter(&mut self, place: Place, name: impl FnOnce() -> String) {
        self.path.push(if self.path.len() < 2 { name() } else { String::new() });
        if let [root, key] = self.path.as_slice()
            && MARKED.contains(&root.as_str())
        {
            self.marks.entry(format!("/{root}/{key}")).or_insert(place);
        }
    }

    fn spoil(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Flaw> {
        self.parser.next_event().transpose().map_err(|error| unreadable(&error))
    }

    fn expect(&mut self) -> Result<(Event<'a>, Span), Flaw> {
        let end = Flaw { place: Place { line: 1, column: 1 }, why: "the text ends too early".to_owned(), hint: None };
        self.next()?.ok_or(end)
    }

    fn document(&mut self, start: Span) -> Result<Option<Document>, Flaw> {
        let mut draft = Draft { anchors: HashMap::new(), marks: HashMap::new(), flaw: None, path: Vec::new() };
        let (event, span) = self.expect()?;
        if matches!(event, Event::DocumentEnd) {
            return Ok(None);
        }
        let place = if span.start.line() == 0 { place_of(&start) } else { place_of(&span) };
        let node = self.node(event, &span, &mut draft)?;
        let Draft { marks, flaw, .. } = draft;
        Ok((!node.value.is_null()).then_some(Document { place, value: node.value, flaw, marks }))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, draft: &mut Draft) -> Result<Node, Flaw> {
        self.spend(1, 0, span)?;
        let anchor = event.anchor_id();
        let node = match event {
            Event::Alias(id) => return self.alias(id, span, draft),
            Event::Scalar(text, style, _, tag) => self.scalar(&text, style, tag.as_deref(), (span, draft))?,
            Event::SequenceStart(_, _, tag) => {
                let node = self.sequence(draft)?;
                tagged(node, tag.as_deref(), span, draft)
            }
            Event::MappingStart(_, _, tag) => {
                let node = self.mapping(draft)?;
                tagged(node, tag.as_deref(), span, draft)
            }
            _ => return Err(flaw(span, "expected a value")),
        };
        if let Some(anchor) = anchor {
            self.spend(node.nodes, node.bytes, span)?;
            draft.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: &Span, draft: &Draft) -> Result<Node, Flaw> {
        let node = draft.anchors.get(&id).ok_or_else(|| flaw(span, "an anchor is used inside itself"))?;
        self.spend(node.nodes, node.bytes, span)?;
        Ok(node.clone())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        (span, draft): (&Span, &mut Draft),
    ) -> Result<Node, Flaw> {
        self.spend(0, text.len(), span)?;
        let value = match tag.and_then(Tag::core_suffix) {
            Some("str") => Value::from(text),
            Some(_) => typed(text),
            None if style == ScalarStyle::Plain && tag.is_none() => typed(text),
            None => Value::from(text),
        };
        let node = Node { value, nodes: 1, bytes: text.len() };
        Ok(tagged(node, tag, span, draft))
    }

    fn sequence(&mut self, draft: &mut Draft) -> Result<Node, Flaw> {
        let (mut items, mut nodes, mut bytes) = (Vec::new(), 1, 0);
        loop {
            let (event, span) = self.expect()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node { value: Value::Array(items), nodes, bytes });
            }
            draft.enter(place_of(&span), || items.len().to_string());
            let node = self.node(event, &span, draft)?;
            draft.path.pop();
            (nodes, bytes) = (nodes + node.nodes, bytes + node.bytes);
            items.push(node.value);
        }
    }

    fn mapping(&mut self, draft: &mut Draft) -> Result<Node, Flaw> {
        let (mut map, mut merged, mut nodes, mut bytes) = (Map::new(), Vec::new(), 1, 0);
        loop {
            let (event, span) = self.expect()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.key(event, &span, draft)?;
            draft.enter(place_of(&span), || key.clone());
            let (event, value_span) = self.expect()?;
            let node = self.node(event, &value_span, draft)?;
            draft.path.pop();
            (nodes, bytes) = (nodes + node.nodes, bytes + node.bytes + key.len());
            if merge {
                merged.push((node.value, value_span));
            } else if map.contains_key(&key) {
                draft.spoil(flaw(&span, format!("key `{}` is given twice", shortened(&key))));
            } else {
                map.insert(key, node.value);
            }
        }
        for (value, span) in merged {
            merge_into(&mut map, value, &span, draft);
        }
        Ok(Node { value: Value::Object(map), nodes, bytes })
    }

    fn key(&mut self, event: Event<'a>, span: &Span, draft: &mut Draft) -> Result<String, Flaw> {
        match event {
            Event::Scalar(text, _, anchor, _) => {
                self.spend(1, text.len(), span)?;
                let text = text.into_owned();
                if anchor != 0 {
                    draft.anchors.insert(anchor, Node { bytes: text.len(), value: text.clone().into(), nodes: 1 });
                }
                Ok(text)
            }
            Event::Alias(id) => match self.alias(id, span, draft)?.value {
                Value::String(text) => Ok(text),
                _ => Err(flaw(span, "a key must be text")),
            },
            _ => Err(flaw(span, "a key must be text")),
        }
    }

    /// Adds to what was read so far. The sum is checked before anything is copied.
    fn spend(&mut self, nodes: usize, bytes: usize, span: &Span) -> Result<(), Flaw> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return Err(Flaw {
                place: place_of(span),
                why: format!("the file is larger than {MAX_NODES} values or {MAX_BYTES} bytes with aliases expanded"),
                hint: Some("split the file"),
            });
        }
        Ok(())
    }
}

/// Gives the map the keys of `value`, a map or a list of maps, that it does not have.
fn merge_into(map: &mut Map<String, Value>, value: Value, span: &Span, draft: &mut Draft) {
    match value {
        Value::Object(more) => {
            for (key, value) in more {
                map.entry(key).or_insert(value);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                merge_into(map, item, span, draft);
            }
        }
        _ => draft.spoil(flaw(span, "`<<` takes a map or a list of maps")),
    }
}

/// Returns the value that a tag makes of a node; an unknown tag spoils the document.
fn tagged(node: Node, tag: Option<&Tag>, span: &Span, draft: &mut Draft) -> Node {
    let Some(tag) = tag.filter(|tag| tag.core_suffix().is_none() && !is_non_specific(tag)) else { return node };
    let name = tag.suffix();
    let Some(function) = function(tag) else {
        let start = span.tag_start.unwrap_or(span.start);
        draft.spoil(Flaw {
            place: place(start.line(), start.col()),
            why: format!("unknown tag `{}`", shortened(&tag.original())),
            hint: Some("only tags of CloudFormation are understood"),
        });
        return node;
    };
    let argument = match (name, node.value) {
        ("GetAtt", Value::String(text)) => match text.split_once('.') {
            Some((resource, attribute)) => Value::from(vec![resource, attribute]),
            None => Value::String(text),
        },
        (_, value) => value,
    };
    let mut map = Map::new();
    map.insert(function.into_owned(), argument);
    Node { value: Value::Object(map), nodes: node.nodes + 1, bytes: node.bytes }
}

fn is_non_specific(tag: &Tag) -> bool {
    tag.handle().is_empty() && tag.suffix() == "!" || tag.handle() == "!" && tag.suffix().is_empty()
}

/// Returns the long name of a CloudFormation function with a short tag.
fn function(tag: &Tag) -> Option<Cow<'static, str>> {
    const FUNCTIONS: [&str; 19] = [
        "And",
        "Base64",
        "Cidr",
        "Equals",
        "FindInMap",
        "ForEach",
        "GetAZs",
        "GetAtt",
        "If",
        "ImportValue",
        "Join",
        "Length",
        "Not",
        "Or",
        "Select",
        "Split",
        "Sub",
        "ToJsonString",
        "Transform",
    ];
    if tag.handle() != "!" {
        return None;
    }
    match tag.suffix() {
        "Ref" => Some("Ref".into()),
        "Condition" => Some("Condition".into()),
        name => FUNCTIONS.contains(&name).then(|| format!("Fn::{name}").into()),
    }
}

/// Returns what a plain scalar means in the core schema, less its octal numbers.
fn typed(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

/// Returns the number that the text is. A leading zero makes it text: what YAML 1.1 and 1.2 read differently is not
/// guessed, and an account id keeps its zero.
fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        let hexadecimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        return hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(Number::from);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut digits = unsigned.bytes();
    if digits.next() == Some(b'0') && digits.next().is_some_and(|b| b.is_ascii_digit()) || !is_decimal(unsigned) {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    let integer = plain.parse::<i64>().map(Number::from).or_else(|_| plain.parse::<u64>().map(Number::from));
    integer.ok().or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64))
}

/// Returns whether the text is digits, with at most one point and at most one exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn unreadable(error: &ScanError) -> Flaw {
    let marker = error.marker();
    let place = place(marker.line(), marker.col());
    Flaw { place, why: error.info(), hint: None }
}

fn flaw(span: &Span, why: impl Into<String>) -> Flaw {
    Flaw { place: place_of(span), why: why.into(), hint: None }
}

fn place_of(span: &Span) -> Place {
    place(span.start.line(), span.start.col())
}

fn place(line: usize, column: usize) -> Place {
    Place {
        line: u32::try_from(line).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(column + 1).unwrap_or(u32::MAX),
    }
}

/// Returns the text, cut to what fits into a sentence and without line breaks.
fn shortened(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Reads one document.
    fn check(text: &str, want: &Value) {
        let documents = documents(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        assert_eq!(documents[0].flaw, None, "{text}");
        assert_eq!(&documents[0].value, want, "{text}");
    }

    /// Answers with `line:column why` of what is wrong with the text.
    fn refused(text: &str) -> String {
        let flaw = match documents(text) {
            Ok(documents) => documents.into_iter().find_map(|d| d.flaw).unwrap_or_else(|| panic!("accepted: {text}")),
            Err(flaw) => flaw,
        };
        format!("{}:{} {}", flaw.place.line, flaw.place.column, flaw.why)
    }

    #[test]
    fn a_plain_scalar_is_what_the_core_schema_says() {
        for (text, want) in [
            ("a: no", json!("no")),
            ("a: on", json!("on")),
            ("a: yes", json!("yes")),
            ("a: Off", json!("Off")),
            ("a: y", json!("y")),
            ("a: 0o17", json!("0o17")),
            ("a: 0777", json!("0777")),
            ("a: 012345678901", json!("012345678901")),
            ("a: 123456789012", json!(123_456_789_012_u64)),
            ("a: 1:30", json!("1:30")),
            ("a: 1_000", json!("1_000")),
            ("a: 2001-01-01", json!("2001-01-01")),
            ("a: 2001-12-14t21:59:43.10-05:00", json!("2001-12-14t21:59:43.10-05:00")),
            ("a: 0b11", json!("0b11")),
            ("a: .inf", json!(".inf")),
            ("a: .NaN", json!(".NaN")),
            ("a: 1e999", json!("1e999")),
            ("a: 1e3", json!(1000.0)),
            ("a: 1.5", json!(1.5)),
            ("a: -0", json!(0)),
            ("a: +12", json!(12)),
            ("a: 0x1F", json!(31)),
            ("a: 0", json!(0)),
            ("a: 0.5", json!(0.5)),
            ("a: e3", json!("e3")),
            ("a: .", json!(".")),
            ("a: 18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("a: true", json!(true)),
            ("a: 'true'", json!("true")),
            ("a: \"1\"", json!("1")),
            ("a: !!str 1", json!("1")),
            ("a: ~", json!(null)),
            ("a:", json!(null)),
            ("a: =", json!("=")),
        ] {
            check(text, &json!({ "a": want }));
        }
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        let lines = |text: &str| documents(text).unwrap().iter().map(|d| d.place.line).collect::<Vec<_>>();
        assert_eq!(lines(""), [0; 0]);
        assert_eq!(lines("---\n"), [0; 0]);
        assert_eq!(lines("# only\n# comments\n"), [0; 0]);
        assert_eq!(lines("---\n---\n# no\n---\n...\n"), [0; 0]);
        assert_eq!(lines("\u{feff}a: 1\n"), [1]);
        assert_eq!(lines("# why\n\na: 1\n---\n\n# more\nb: 2\n---\n---\nc: 3\n"), [3, 7, 10]);
        assert_eq!(lines("a: 1\r\n---\r\nb: 2\r\n"), [1, 3]);
    }

    #[test]
    fn lines_of_keys_and_items_are_kept() {
        let document =
            documents("# x\nResources:\n  A:\n    Type: t\n\n  B: {}\nitems:\n- a: 1\n- b: 2\n").unwrap().remove(0);
        let line = |pointer| document.place_of(pointer).line;
        assert_eq!((line("/Resources/A"), line("/Resources/B")), (3, 6));
        assert_eq!((line("/items/0"), line("/items/1"), line("/nowhere")), (8, 9, 2));
    }

    #[test]
    fn json_is_read_too() {
        check(
            "{\"a\":1,\"b\":[true,null,\"x\\u00fc\\/\\ud83d\\ude00\"],\n\t\"c\":{}}",
            &json!({"a": 1, "b": [true, null, "xü/😀"], "c": {}}),
        );
        check(&format!("{{\"{}\": 1}}", "k".repeat(5000)), &json!({ "k".repeat(5000): 1 }));
    }

    #[test]
    fn aliases_and_merges_are_expanded() {
        check(
            "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\nf: {<<: [*x, {b: 3, g: 4}], b: 5}",
            &json!({
                "a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}, "f": {"b": 5, "g": 4}
            }),
        );
    }

    #[test]
    fn short_tags_become_functions() {
        check(
            "a: !Ref B\nb: !GetAtt C.D.E\nc: !Sub\n  - '${x}'\n  - {x: !ImportValue y}\nd: !If [c, 1, !Ref 'AWS::NoValue']",
            &json!({
                "a": {"Ref": "B"}, "b": {"Fn::GetAtt": ["C", "D.E"]},
                "c": {"Fn::Sub": ["${x}", {"x": {"Fn::ImportValue": "y"}}]},
                "d": {"Fn::If": ["c", 1, {"Ref": "AWS::NoValue"}]}
            }),
        );
    }

    #[test]
    fn what_is_broken_is_refused_with_its_place() {
        assert_eq!(refused("a: 1\nb: 2\na: 3\n"), "3:1 key `a` is given twice");
        assert_eq!(refused("{\"a\": 1, \"a\": 2}"), "1:10 key `a` is given twice");
        assert_eq!(refused("a: !!python/object:os.system x"), "1:4 unknown tag `!!python/object:os.system`");
        assert_eq!(refused("a: &a [*a]"), "1:8 an anchor is used inside itself");
        assert_eq!(refused("a: &a {<<: *a}"), "1:12 an anchor is used inside itself");
        assert_eq!(refused("? [a]\n: 1"), "1:3 a key must be text");
        assert_eq!(refused("<<: 1"), "1:5 `<<` takes a map or a list of maps");
        for text in
            ["a: [1", "a: b: c", "a:\n\tb: 1", "a: \"x", "a: *x", "a: \0", "}", "a: @x", "a: 1\n b: 2", "%YAML 3"]
        {
            refused(text);
        }
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let laughs = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            let alias = format!("*a{}", n - 1);
            format!("{text}a{n}: &a{n} [{}]\n", vec![alias; 9].join(", "))
        });
        let quadratic = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
        let merges = (1..40).fold("a0: &a0 {k: 1}\n".to_owned(), |text, n| {
            let alias = format!("*a{}", n - 1);
            format!("{text}a{n}: &a{n} {{l{n}: [{alias}, {alias}], <<: {alias}}}\n")
        });
        let wide = (0..MAX_NODES).fold(String::new(), |text, n| text + &format!("k{n}: 1\n"));
        let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
        for (name, text) in [
            ("laughs", laughs),
            ("quadratic", quadratic),
            ("merges", merges),
            ("wide", wide),
            ("deep list", deep("[", "]")),
            ("deep map", deep("{a: ", "}")),
            ("deep block", "- ".repeat(100_000)),
            ("huge scalar", format!("a: {}", "x".repeat(MAX_BYTES + 1))),
        ] {
            assert!(documents(&text).is_err(), "{name}");
        }
    }
}
