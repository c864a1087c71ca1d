//! What a change means: the observed value with every change made good is as declared.
//!
//! Nothing here talks to a cloud; hooks mend. This is the definition that a comparison is held to.

use serde_json::{Map, Value};

use super::{Change, ChangeOp};
use crate::schema::unescaped;

/// Returns `observed` with what `changes` name put back as `desired` has it.
///
/// Items of lists are named as they stand in `desired`, so a list in which anything changed is put back whole.
pub fn apply(changes: &[Change], desired: &Value, observed: &Value) -> Value {
    let (mut mended, desired) = (observed.clone(), &*super::filling::filled(desired));
    for change in changes {
        let steps: Vec<String> = change.path.split('/').skip(1).map(unescaped).collect();
        let (steps, wanted) = within(&steps, desired);
        match wanted {
            Some(value) => put(&mut mended, steps, value),
            None if change.op == ChangeOp::Added => take(&mut mended, steps),
            None => {}
        }
    }
    sweep(changes, &mut mended);
    mended
}

/// Takes the places of items out of the lists that they were taken out of.
fn sweep(changes: &[Change], mended: &mut Value) {
    for change in changes.iter().filter(|change| change.op == ChangeOp::Added) {
        let list = change.path.rsplit_once('/').and_then(|(list, _)| mended.pointer_mut(list));
        if let Some(Value::Array(items)) = list {
            items.retain(|item| !item.is_null());
        }
    }
}

/// Returns the way to a value up to the first list on it, and what is declared there.
fn within<'a, 'v>(steps: &'a [String], desired: &'v Value) -> (&'a [String], Option<&'v Value>) {
    let mut at = desired;
    for (depth, step) in steps.iter().enumerate() {
        match at {
            Value::Array(_) => return (steps.get(..depth).unwrap_or_default(), Some(at)),
            Value::Object(map) => match map.get(step) {
                Some(value) if !value.is_null() => at = value,
                _ => return (steps, None),
            },
            _ => return (steps, None),
        }
    }
    (steps, Some(at))
}

fn put(mended: &mut Value, steps: &[String], value: &Value) {
    let mut at = mended;
    for step in steps {
        unlist(at);
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(step.clone()).or_insert(Value::Null);
    }
    *at = value.clone();
}

/// Makes a list of one its item, as a comparison takes it where an object is declared.
fn unlist(value: &mut Value) {
    if let Value::Array(items) = value
        && items.len() == 1
        && items.first().is_some_and(Value::is_object)
        && let Some(item) = items.pop()
    {
        *value = item;
    }
}

fn take(mended: &mut Value, steps: &[String]) {
    let Some((last, way)) = steps.split_last() else { return };
    let mut at = mended;
    for step in way {
        let index = step.parse::<usize>().ok();
        if index.is_none() {
            unlist(at);
        }
        let next = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => index.and_then(|index| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    let index = last.parse::<usize>().ok();
    if index.is_none() {
        unlist(at);
    }
    match at {
        Value::Object(map) => drop(map.remove(last)),
        // Its place stays until all are taken out, so that the others keep their numbers.
        Value::Array(items) => {
            if let Some(item) = index.and_then(|index| items.get_mut(index)) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, op: ChangeOp, expected: &Value) {
        let desired = json!({"a": {"b": 1}, "list": [{"x": 1}, {"x": 2}], "one": {"y": 1}});
        let observed = json!({"a": {"b": 2, "more": 3}, "list": [{"x": 2}, {"x": 7}], "one": [{"y": 2, "z": 3}]});
        let change = Change {
            path: path.to_owned(),
            op,
            desired: Value::Null,
            observed: Value::Null,
            sensitive: false,
            reason: "".into(),
            owner: None,
        };
        let mended = apply(&[change], &desired, &observed);
        let part = path.split('/').nth(1).unwrap_or_default();
        assert_eq!(&mended[part], expected, "{path}");
        assert_eq!(mended.as_object().map(Map::len), Some(3), "{path}");
    }

    #[test]
    fn a_change_is_made_good_where_it_is() {
        check("/a/b", ChangeOp::Changed, &json!({"b": 1, "more": 3}));
        check("/a/more", ChangeOp::Added, &json!({"b": 2}));
        check("/list/0/x", ChangeOp::Changed, &json!([{"x": 1}, {"x": 2}]));
        check("/one/z", ChangeOp::Added, &json!({"y": 2}));
        check("/one/y", ChangeOp::Changed, &json!({"y": 1, "z": 3}));
    }
}
