//! Every change of one declared, readable value that somebody could have made.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Returns values that nobody could take for the given one.
fn others_than(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(truth) => vec![json!(!truth)],
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            vec![json!(number + 7.0), json!(number * 10.0 + 1.0)]
        }
        Value::String(text) => {
            let mut others = vec![json!(format!("{text}-drifted")), json!(format!("x{text}")), json!("drifted")];
            let shorter: String = text.chars().skip(1).collect();
            if !shorter.trim().is_empty() {
                others.push(json!(shorter));
            }
            if let Ok(number) = text.parse::<i64>() {
                others = vec![json!((number + 7).to_string()), json!(number + 1)];
            }
            others
        }
        _ => vec![json!("drifted")],
    }
}

/// Calls `then` with every change of one leaf, item or attribute of `observed` that `declared` speaks of.
pub fn mutations(declared: &Value, observed: &Value, then: &mut dyn FnMut(&str, &dyn Fn(&mut Value))) {
    visit(declared, observed, &mut String::new(), then);
}

fn visit(declared: &Value, observed: &Value, path: &mut String, then: &mut dyn FnMut(&str, &dyn Fn(&mut Value))) {
    match (declared, observed) {
        (Value::Object(declared), Value::Object(observed)) => {
            for (name, value) in declared {
                let Some(other) = observed.get(name) else { continue };
                let end = path.len();
                let _ = write!(path, "/{}", name.replace('~', "~0").replace('/', "~1"));
                visit(value, other, path, then);
                if value == other && !is_hollow(value) {
                    let (parent, name) = (path[..end].to_owned(), name.clone());
                    then(path, &move |tree| remove(tree, &parent, &name));
                }
                path.truncate(end);
            }
        }
        (Value::Array(declared), Value::Array(observed)) => {
            for item in declared.iter().filter(|item| !is_hollow(item)) {
                let Some(index) = observed.iter().position(|other| other == item) else { continue };
                let end = path.len();
                let _ = write!(path, "/{index}");
                visit(item, item, path, then);
                let list = path[..end].to_owned();
                // A set that holds a thing twice holds it still when one of the two is gone.
                if !item.is_object() || observed.iter().filter(|other| *other == item).count() == 1 {
                    then(path, &move |tree| {
                        if let Some(Value::Array(items)) = tree.pointer_mut(&list) {
                            items.remove(index);
                        }
                    });
                }
                path.truncate(end);
            }
        }
        (left, right) if left == right && !is_hollow(left) => {
            for value in others_than(left) {
                let place = path.clone();
                then(path, &move |tree| {
                    if let Some(slot) = tree.pointer_mut(&place) {
                        *slot = value.clone();
                    }
                });
            }
        }
        _ => {}
    }
}

fn remove(tree: &mut Value, parent: &str, name: &str) {
    if let Some(map) = tree.pointer_mut(parent).and_then(Value::as_object_mut) {
        map.remove(name);
    }
}

/// Returns whether a value says nothing, so that nothing is lost with it.
pub(super) fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_hollow),
        Value::Object(map) => map.contains_key("$unknown") || map.values().all(is_hollow),
        _ => false,
    }
}
