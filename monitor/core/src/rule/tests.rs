//! What expressions give, and what they may not do.

use serde_json::{Value, json};

use super::*;
use crate::resource::{Depth, Provider, Scope};

fn source(expression: &str) -> RuleSource {
    RuleSource {
        id: "test_rule".to_owned(),
        title: "a test".to_owned(),
        kind: "AWS::S3::Bucket".to_owned(),
        severity: Severity::High,
        expression: expression.to_owned(),
        message: "{resource.name} is {resource.list}, {resource.gone}".to_owned(),
        fix: String::new(),
        frameworks: Frameworks::new(),
    }
}

fn resource(attributes: Value, depth: Depth) -> Resource {
    let scope = Scope {
        cloud: "prod".into(),
        provider: Provider::Aws,
        account: "123456789012".into(),
        region: "eu-west-1".into(),
    };
    let labels = [("env".to_owned(), "prod".to_owned())].into();
    Resource { id: scope.id(&Kind::from("AWS::S3::Bucket"), "logs"), labels, attributes, depth }
}

fn attributes() -> Value {
    json!({
        "name": "logs", "on": true, "off": false, "nil": null, "ten": 10, "half": 0.5, "big": 18_446_744_073_709_551_615_u64,
        "list": [1, 2, 3], "words": ["a", "b"], "map": {"a": {"b": 1}}, "items": [{"x": 1}, {"x": 2}, {"y": 3}],
        "hidden": {"$unread": true}, "partly": [1, {"$unread": true}], "deep": {"seen": 1, "hidden": {"$unread": true}}
    })
}

/// Returns the first letter of the verdict at full depth, and in a listing: `P`ass, `F`ail, `S`kip, `E`rror.
fn letters(expression: &str) -> String {
    let rule = Rule::compile(source(expression)).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let letter = |depth| match evaluate(&rule, &resource(attributes(), depth), None) {
        Verdict::Pass => 'P',
        Verdict::Fail(_) => 'F',
        Verdict::Skip(_) => 'S',
        Verdict::Error(_) => 'E',
    };
    [letter(Depth::Full), letter(Depth::Listed)].iter().collect()
}

fn check(cases: &[(&str, &str)]) {
    for (expression, want) in cases {
        let want = if want.len() == 1 { want.repeat(2) } else { (*want).to_owned() };
        assert_eq!(letters(expression), want, "{expression}");
    }
}

#[test]
fn expressions_give_what_cel_gives() {
    check(&[
        ("true", "P"),
        ("false", "F"),
        ("resource.on && !resource.off", "P"),
        ("resource.ten == 10 && resource.ten == 10.0 && 0.5 < resource.ten", "P"),
        ("resource.ten / 3 == 3 && resource.ten % 3 == 1 && -resource.ten < 0 && 2 * 3 - 1 == 5", "P"),
        ("resource.big > 9223372036854775807", "P"),
        ("resource.name + '/x' == 'logs/x' && resource.name >= 'log'", "P"),
        ("size(resource.list) == 3 && resource.list.size() == 3 && size('ä') == 1", "P"),
        ("resource.list == [1, 2, 3] && resource.list + [4] == [1, 2, 3, 4] && resource.list != [3]", "P"),
        ("resource.map == {'a': {'b': 1}} && resource.map.a.b == 1 && resource.map['a'].b == 1", "P"),
        ("resource.list[0] == 1 && {1: 'x'}[1] == 'x'", "P"),
        ("2 in resource.list && 'a' in resource.map && !('z' in ['a'])", "P"),
        ("resource.words.all(w, w < 'c') && resource.words.exists(w, w == 'b') && [].all(x, false)", "P"),
        ("resource.list.exists_one(x, x > 2) && !resource.list.exists_one(x, x > 1)", "P"),
        ("resource.list.filter(x, x > 1) == [2, 3] && resource.list.map(x, x * 2) == [2, 4, 6]", "P"),
        ("resource.list.map(x, x > 1, x * 2) == [4, 6] && resource.map.all(k, k == 'a')", "P"),
        ("resource.list.all(x, resource.list.exists(y, y == x)) && resource.list.all(x, x > 0)", "P"),
        ("resource.name.matches('^l.g') && resource.name.startsWith('lo') && resource.name.endsWith('gs')", "P"),
        ("resource.name.contains('og') && 'A'.lowerAscii() == 'a' && ' a '.trim() == 'a'", "P"),
        ("'a,b'.split(',') == resource.words && resource.words.join('-') == 'a-b'", "P"),
        ("int('7') == 7 && string(7) == '7' && double('0.5') == resource.half && int(1.9) == 1", "P"),
        ("type(resource.name) == string && type(resource.nil) == null_type && resource.nil == null", "P"),
        ("asList(resource.name) == ['logs'] && asList(resource.list).size() == 3 && asList(null) == []", "P"),
        ("resource.off ? false : true", "P"),
        ("labels.env == 'prod' && id.account == '123456789012' && id.region == 'eu-west-1' && id.name == 'logs'", "P"),
        ("desired == null && !has(desired.x)", "P"),
    ]);
}

#[test]
fn what_was_not_read_gives_no_verdict() {
    check(&[
        ("resource.gone == 1", "ES"),
        ("has(resource.gone)", "FS"),
        ("has(resource.gone.further.still)", "FS"),
        ("has(resource.map.z)", "FS"),
        ("has(resource.name)", "P"),
        ("has(labels.team)", "FS"),
        ("'z' in resource.map", "FS"),
        ("resource.hidden == 1", "S"),
        ("has(resource.hidden)", "S"),
        ("resource.deep == {'seen': 1, 'hidden': 2}", "S"),
        ("resource.deep.seen == 1", "P"),
        ("7 in resource.partly", "S"),
        ("1 in resource.partly", "P"),
        ("resource.partly.exists(x, x == 1)", "P"),
        ("resource.partly.all(x, x == 1)", "S"),
        ("resource.partly.filter(x, true) == []", "S"),
        ("resource.items.exists(i, i.y == 3)", "P"),
        ("resource.items.all(i, i.x > 0)", "ES"),
    ]);
}

#[test]
fn an_unread_attribute_that_cannot_change_the_verdict_does_not() {
    check(&[
        ("resource.hidden == 1 && false", "F"),
        ("false && resource.hidden == 1", "F"),
        ("resource.hidden == 1 || true", "P"),
        ("resource.hidden == 1 && true", "S"),
        ("resource.hidden == 1 || resource.gone == 1", "S"),
    ]);
}

#[test]
fn what_cannot_be_done_is_an_error_and_no_verdict() {
    check(&[
        ("resource.name", "E"),
        ("resource.name.x == 1", "E"),
        ("resource.name > 1", "E"),
        ("resource.name && true", "E"),
        ("resource.ten / 0 == 1", "E"),
        ("resource.big + resource.big == 1", "E"),
        ("resource.list[7] == 1", "E"),
        ("resource.ten.all(x, true)", "E"),
        ("resource.ten.startsWith('1')", "E"),
        ("int('x') == 1", "E"),
        ("-9223372036854775808 - 1 == 1", "E"),
    ]);
}

fn refused(expression: &str, why: &str) {
    let error = Rule::compile(source(expression)).map(|rule| rule.id).unwrap_err().to_string();
    assert!(error.contains(why), "{expression:.60}: {error}");
}

#[test]
fn a_mistake_is_refused_with_its_place() {
    refused("resource.a &&", "invalid expression at column");
    refused("resource.a &&\n resorce.b", "invalid expression at line 2, column 2: unknown name `resorce`");
    refused("sizes(resource.a) == 1", "unknown function `sizes`");
    refused("size(1, 2) == 1", "`size` takes 1 argument");
    refused("id.acount == 'x'", "an id has no `acount`");
    refused("has(resource)", "`has` takes one path");
    refused("resource.a.all(1, true)", "expected a variable");
    refused("resource.a.matches(resource.b)", "must be a literal");
    refused("resource.a.matches('(')", "regular expression");
    refused("", "invalid expression");
    refused("b'x' == b'x'", "bytes");
    refused("Thing{a: 1} == 1", "messages are not supported");
    refused("now() == 1", "unknown function");
}

#[test]
fn hostile_expressions_are_refused_and_harm_nobody() {
    let nested =
        |depth: usize| (0..depth).fold("true".to_owned(), |body, at| format!("resource.list.all(x{at}, {body})"));
    refused(&nested(9), "quantifiers inside each other");
    refused(&nested(300), "longer than");
    refused(&"(".repeat(4000), "brackets deeper");
    refused(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000)), "brackets deeper");
    refused(&"!".repeat(4000), "invalid expression");
    refused(&format!("true{}", " && true".repeat(10_000)), "longer than");
    refused("resource.name.matches('(a{1000}){1000}')", "too large regular expression");
    for unit in
        ["!", "-", "1+", "a.", "a?b:", "a[", "x(", "'", "\"", "{", "\\", "\u{0}", "ä", "1 in ", "r'''", "//", "a||"]
    {
        drop(Rule::compile(source(&unit.repeat(4000 / unit.len()))));
    }
}

#[test]
fn an_evaluation_over_its_limits_is_stopped() {
    let many: Vec<u32> = (0..1000).collect();
    let resource = resource(json!({"list": many, "text": "x".repeat(1 << 16)}), Depth::Full);
    for (expression, limit) in [
        ("resource.list.all(x, resource.list.all(y, resource.list.all(z, x + y + z >= 0)))", "too many steps"),
        ("resource.list.map(x, resource.list.map(y, resource.list + resource.list)) == []", "too many steps"),
        ("size(resource.text + resource.text) > 0", "a text grew too long"),
        ("resource.list.all(x, resource.text.contains('y') == false)", "too many steps"),
        ("false || resource.list.all(x, resource.list.all(y, x + y + 1 + 2 + 3 > -1)) || true", "too many steps"),
    ] {
        let rule = Rule::compile(source(expression)).unwrap();
        let verdict = evaluate(&rule, &resource, None);
        assert_eq!(verdict, Verdict::Error(format!("over the limit: {limit}")), "{expression}");
    }
}

#[test]
fn no_pattern_and_no_text_takes_long() {
    let texts: Vec<String> = (0..1000).map(|at| "01".repeat(500 + at)).collect();
    let resource = resource(json!({"texts": texts}), Depth::Full);
    let rule = Rule::compile(source("resource.texts.all(t, !t.matches('[01]*1[01]{200}2'))")).unwrap();
    let verdict = evaluate(&rule, &resource, None);
    assert_eq!(verdict, Verdict::Error("over the limit: too many steps".to_owned()));
}

#[test]
fn deep_values_are_compared_to_a_limit() {
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({"a": [inner]}));
    let rule = Rule::compile(source("resource.deep == resource.deep")).unwrap();
    let verdict = |depth| evaluate(&rule, &resource(json!({"deep": nested(depth)}), Depth::Full), None);
    assert_eq!(verdict(60), Verdict::Pass);
    assert_eq!(verdict(70), Verdict::Error("over the limit: values nested too deep".to_owned()));
}

#[test]
fn a_message_names_values_and_nothing_but_text() {
    let rule = Rule::compile(source("false")).unwrap();
    let resource = resource(json!({"name": "a\n\u{1b}[31mb", "list": ["x", {"k": 1}]}), Depth::Full);
    let verdict = evaluate(&rule, &resource, None);
    assert_eq!(verdict, Verdict::Fail("a  [31mb is x, (map), (not set)".to_owned()));
    let braces =
        Rule::compile(RuleSource { message: "{{x}} {size(resource.list)}".to_owned(), ..source("false") }).unwrap();
    assert_eq!(evaluate(&braces, &resource, None), Verdict::Fail("{x}} 2".to_owned()));
    for message in ["{resource.a", "{}", "{nothing.a}", "{resource.MasterUserPassword}", "{resource['dbPassword']}"] {
        assert!(Rule::compile(RuleSource { message: message.to_owned(), ..source("true") }).is_err(), "{message}");
    }
}

#[test]
fn kinds_may_have_stars() {
    for (pattern, text, want) in [
        ("apps/*", "apps/Deployment", true),
        ("apps/*", "batch/Job", false),
        ("*", "", true),
        ("AWS::*::*Role*", "AWS::IAM::Role", true),
        ("a*a", "a", false),
        ("a*b*c", "a1b2b3c", true),
        ("a*b*c", "abc1", false),
        ("Pod", "Pods", false),
    ] {
        assert_eq!(fits(pattern, text), want, "{pattern} {text}");
    }
}

fn set(rules: &[(&str, &str)]) -> RuleSet {
    let rule = |(id, kind): &(&str, &str)| {
        Rule::compile(RuleSource { id: (*id).to_owned(), kind: (*kind).to_owned(), ..source("true") }).unwrap()
    };
    RuleSet::new(rules.iter().map(rule))
}

#[test]
fn a_set_knows_the_rules_of_a_kind() {
    let set = set(&[("b", "Pod"), ("a", "apps/*"), ("c", "*"), ("d", "Pod")]);
    let of = |kind: &str| set.of(&Kind::from(kind)).map(|rule| rule.id.to_string()).collect::<Vec<_>>();
    assert_eq!(of("Pod"), ["b", "d", "c"]);
    assert_eq!(of("apps/Deployment"), ["a", "c"]);
    assert_eq!(of("Service"), ["c"]);
}

#[test]
fn the_hash_is_of_the_texts_in_any_order() {
    let hash = |rules: &[(&str, &str)]| set(rules).hash();
    assert_eq!(hash(&[("a", "Pod"), ("b", "Job")]), hash(&[("b", "Job"), ("a", "Pod")]));
    assert_ne!(hash(&[("a", "Pod")]), hash(&[("a", "Job")]));
    assert_ne!(hash(&[("a", "Pod")]), hash(&[]));
}

#[test]
fn a_rule_names_the_attributes_that_it_may_look_at() {
    let check = |expression: &str, names: Option<&[&str]>| {
        let rule = Rule::compile(RuleSource { message: "no".to_owned(), ..source(expression) }).unwrap();
        assert_eq!(rule.attributes(), names.map(|names| names.iter().copied().collect()), "{expression}");
    };
    check("has(resource.A) && resource.B.c[0] == resource.A", Some(&["A", "B"]));
    check("labels.env == 'prod' && id.name != ''", Some(&[]));
    check("resource.List.all(x, x.k == desired.List[0].k)", Some(&["List"]));
    check("resource['A'] == 1", None);
    check("size(resource) > 1 || resource.A", None);
}

#[test]
fn labels_that_were_not_read_are_not_missing() {
    let rule = Rule::compile(source("has(labels.team)")).unwrap();
    let check = |tags: Value, depth, expected| {
        let mut resource = resource(json!({"Tags": tags}), depth);
        resource.labels = crate::normalize::labels(Provider::Aws, &resource.attributes);
        assert_eq!(evaluate(&rule, &resource, None), expected, "{:?}", resource.labels);
    };
    check(json!([{"Key": "team", "Value": "data"}]), Depth::Partial, Verdict::Pass);
    check(crate::resource::unread(), Depth::Partial, Verdict::Skip("`labels.team` was not read".to_owned()));
    check(json!([]), Depth::Partial, Verdict::Fail(message(&rule, &resource(json!({}), Depth::Full), None)));
}
