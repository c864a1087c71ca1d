//! Changes that are easily taken for none: what somebody would do who does not want to be seen.

use serde_json::{Map, Value, json};

/// Every class, with the line that counts its changes and the one that counts those missed.
pub const CLASSES: [(Class, &str, &str); 9] = [
    (Class::Account, "AWS sly: another account in an ARN", "AWS sly: another account in an ARN, missed"),
    (Class::Principal, "AWS sly: another account in a principal", "AWS sly: another account in a principal, missed"),
    (Class::NotAction, "AWS sly: NotAction for Action", "AWS sly: NotAction for Action, missed"),
    (Class::Condition, "AWS sly: a condition removed", "AWS sly: a condition removed, missed"),
    (Class::Effect, "AWS sly: an effect flipped", "AWS sly: an effect flipped, missed"),
    (Class::Variant, "AWS sly: another variant", "AWS sly: another variant, missed"),
    (Class::Order, "AWS sly: another order", "AWS sly: another order, missed"),
    (Class::Digit, "AWS sly: another last digit", "AWS sly: another last digit, missed"),
    (Class::Name, "AWS sly: more around a name", "AWS sly: more around a name, missed"),
];

/// What is done to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An ARN is that of another account.
    Account,
    /// A statement is about another account.
    Principal,
    /// A statement is about everything but its actions.
    NotAction,
    /// A statement holds without its condition.
    Condition,
    /// A statement denies what it allowed.
    Effect,
    /// A choice that is made by a name without a value is made otherwise.
    Variant,
    /// What is tried first is tried later.
    Order,
    /// A number in a text is another.
    Digit,
    /// A name has a prefix or a suffix.
    Name,
}

/// A value to be put at a pointer.
pub struct Change {
    pub class: Class,
    pub path: String,
    pub value: Value,
}

/// Lists whose order decides.
const ORDERED: [&str; 9] = [
    "Command",
    "EntryPoint",
    "Layers",
    "CacheBehaviors",
    "RoutingRules",
    "Stages",
    "Columns",
    "PartitionKeys",
    "TerminationPolicies",
];

/// Returns the changes of what was read as it is declared.
pub fn changes(declared: &Value, observed: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    visit((declared, observed), "", "", &mut found);
    found
}

fn visit((declared, observed): (&Value, &Value), path: &str, name: &str, found: &mut Vec<Change>) {
    let mut change = |class, value| found.push(Change { class, path: path.to_owned(), value });
    match (declared, observed) {
        (Value::Object(left), Value::Object(right)) => {
            if declared == observed {
                statement(left, &mut change);
                if let Some(other) = variant(left) {
                    change(Class::Variant, other);
                }
            }
            for (name, value) in left {
                if let Some(other) = right.get(name) {
                    let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                    visit((value, other), &path, name, found);
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if let [first, second, rest @ ..] = left.as_slice()
                && declared == observed
                && first != second
                && ORDERED.contains(&name)
            {
                let turned: Vec<_> = [second, first].into_iter().chain(rest).cloned().collect();
                change(Class::Order, Value::from(turned));
            }
            for item in left {
                if let Some(index) = right.iter().position(|other| other == item) {
                    visit((item, item), &format!("{path}/{index}"), name, found);
                }
            }
        }
        (Value::String(text), _) if declared == observed => {
            let others = [(Class::Account, other_account(text)), (Class::Digit, other_digit(text))];
            for (class, other) in others {
                if let Some(text) = other {
                    change(class, json!(text));
                }
            }
            if name.ends_with("Name") && !text.is_empty() {
                for text in [format!("{text}-2"), format!("a{text}"), format!("other/{text}"), format!("{text}/other")]
                {
                    change(Class::Name, json!(text));
                }
            }
        }
        _ => {}
    }
}

/// Changes what a statement of a policy says.
fn statement(said: &Map<String, Value>, change: &mut dyn FnMut(Class, Value)) {
    let Some(effect) = said.get("Effect").filter(|_| said.contains_key("Action")) else { return };
    let with = |name: &str, value: Value| {
        let mut other = said.clone();
        other.insert(name.to_owned(), value);
        other
    };
    change(Class::Effect, json!(with("Effect", json!(if effect == "Allow" { "Deny" } else { "Allow" }))));
    let mut other = with("NotAction", said["Action"].clone());
    other.remove("Action");
    change(Class::NotAction, json!(other));
    if said.contains_key("Condition") {
        let mut other = said.clone();
        other.remove("Condition");
        change(Class::Condition, json!(other));
    }
    if let Some(principal) = said.get("Principal").and_then(other_principal) {
        change(Class::Principal, json!(with("Principal", principal)));
    }
}

fn other_principal(principal: &Value) -> Option<Value> {
    match principal {
        Value::String(text) if text.len() == 12 && text.parse::<u64>().is_ok() => Some(json!(another(text))),
        Value::String(text) => other_account(text).map(Value::from),
        Value::Array(items) => items.iter().position(|item| other_principal(item).is_some()).map(|index| {
            let mut others = items.clone();
            others[index] = other_principal(&items[index]).unwrap();
            Value::from(others)
        }),
        Value::Object(map) => map.iter().find_map(|(name, value)| {
            let mut others = map.clone();
            others.insert(name.clone(), other_principal(value)?);
            Some(Value::from(others))
        }),
        _ => None,
    }
}

fn variant(said: &Map<String, Value>) -> Option<Value> {
    let (name, value) = said.iter().next().filter(|_| said.len() == 1)?;
    let is_bare = value.as_object().is_some_and(Map::is_empty);
    is_bare.then(|| json!({(if name == "Allow" { "Block" } else { "Allow" }): {}}))
}

fn another(account: &str) -> &'static str {
    if account == "999999999999" { "888888888888" } else { "999999999999" }
}

fn other_account(text: &str) -> Option<String> {
    let mut parts: Vec<_> = text.splitn(6, ':').collect();
    let account = *parts.get(4)?;
    let named = parts.len() == 6 && parts[0] == "arn" && account.len() == 12 && account.parse::<u64>().is_ok();
    parts[4] = another(account);
    named.then(|| parts.join(":"))
}

fn other_digit(text: &str) -> Option<String> {
    let (rest, last) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let digit: u8 = last.parse().ok()?;
    (rest.len() > 1).then(|| format!("{rest}{}", if digit == 9 { 8 } else { digit + 1 }))
}

#[test]
fn every_class_changes_what_it_is_about() {
    let said = json!({
        "RoleArn": "arn:aws:iam::123456789012:role/a", "Action": {"Allow": {}}, "Command": ["a", "b"], "GroupName": "g",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Principal": {"AWS": "123456789012"}, "Condition": {"Bool": {"a": "b"}}}],
        "Cidr": "10.0.0.0/16",
    });
    let found = changes(&said, &said);
    for (class, line, _) in CLASSES {
        assert!(found.iter().any(|change| change.class == class), "{line}");
    }
    assert!(found.iter().all(|change| said.pointer(&change.path) != Some(&change.value)));
}
