//! JSON patches as far as the simulators and the demo's hook need them: `add`, `replace`, `remove`.

use serde_json::Value;

/// Applies a patch (RFC 6902). An error leaves the value half patched: apply to a copy.
pub(super) fn apply(value: &mut Value, patch: &Value) -> Result<(), String> {
    let operations = patch.as_array().ok_or("a patch is a list")?;
    operations.iter().try_for_each(|operation| apply_one(value, operation))
}

fn apply_one(value: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).ok_or_else(|| format!("no `{key}`"));
    let (op, path) = (text("op")?, text("path")?);
    let new = operation.get("value").cloned();
    let Some((parent, last)) = path.rsplit_once('/') else {
        *value = new.ok_or("no `value`")?;
        return Ok(());
    };
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = value.pointer_mut(parent).ok_or_else(|| format!("nothing at `{parent}`"))?;
    match (op, new) {
        ("add" | "replace", Some(new)) => put(parent, &last, new, op),
        ("remove", _) => take(parent, &last),
        _ => Err(format!("`{op}` is not known here")),
    }
}

fn put(parent: &mut Value, last: &str, new: Value, op: &str) -> Result<(), String> {
    match parent {
        Value::Object(map) => {
            map.insert(last.to_owned(), new);
            Ok(())
        }
        Value::Array(items) => {
            let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
            let at: usize = at.filter(|at| *at <= items.len()).ok_or("no such item")?;
            match items.get_mut(at) {
                Some(item) if op == "replace" => *item = new,
                _ => items.insert(at, new),
            }
            Ok(())
        }
        _ => Err("the parent is neither a map nor a list".to_owned()),
    }
}

fn take(parent: &mut Value, last: &str) -> Result<(), String> {
    match parent {
        Value::Object(map) => map.remove(last).map(drop).ok_or_else(|| format!("no `{last}`")),
        Value::Array(items) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len()).ok_or("no such item")?;
            items.remove(at);
            Ok(())
        }
        _ => Err("the parent is neither a map nor a list".to_owned()),
    }
}

/// Returns the patch that puts back what Git declares, from the differences of a finding. Nothing, if a difference is
/// hidden: what is masked cannot be put back.
pub(super) fn putting_back(changes: &[Value]) -> Option<Value> {
    let operations = changes.iter().map(|change| {
        let path = change.get("path")?.as_str()?;
        let is_hidden = change.get("sensitive").is_none_or(|hidden| hidden != &Value::Bool(false));
        let operation = match change.get("op")?.as_str()? {
            _ if is_hidden => return None,
            "changed" => serde_json::json!({"op": "replace", "path": path, "value": change.get("desired")?}),
            "removed" => serde_json::json!({"op": "add", "path": path, "value": change.get("desired")?}),
            "added" => serde_json::json!({"op": "remove", "path": path}),
            _ => return None,
        };
        Some(operation)
    });
    operations.collect::<Option<Vec<_>>>().filter(|operations| !operations.is_empty()).map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(patch: &Value, expected: Option<&Value>) {
        let mut value = json!({"a": {"b": 1}, "l": [1, 2], "x/y": 0});
        let done = apply(&mut value, patch);
        assert_eq!(done.ok().map(|()| &value), expected, "{patch}");
    }

    #[test]
    fn maps_and_lists_are_patched() {
        let set = json!([{"op": "replace", "path": "/a/b", "value": 2}, {"op": "add", "path": "/x~1y", "value": 1}]);
        check(&set, Some(&json!({"a": {"b": 2}, "l": [1, 2], "x/y": 1})));
        let list = json!([{"op": "replace", "path": "/l/0", "value": 9}, {"op": "add", "path": "/l/-", "value": 3},
            {"op": "remove", "path": "/l/1"}, {"op": "remove", "path": "/a/b"}]);
        check(&list, Some(&json!({"a": {}, "l": [9, 3], "x/y": 0})));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for operation in [
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "add", "path": "/none/b", "value": 1}),
            json!({"op": "add", "path": "/l/7", "value": 1}),
            json!({"op": "add", "path": "/a/b/c", "value": 1}),
            json!({"op": "move", "path": "/a"}),
        ] {
            check(&json!([operation]), None);
        }
    }

    #[test]
    fn a_finding_says_how_it_is_mended_unless_a_value_is_hidden() {
        let change = |op: &str, hidden: bool| json!({"path": "/a/b", "op": op, "desired": 5, "observed": 1, "sensitive": hidden});
        let patch = putting_back(&[change("changed", false)]).unwrap();
        check(&patch, Some(&json!({"a": {"b": 5}, "l": [1, 2], "x/y": 0})));
        assert!(putting_back(&[change("changed", false), change("changed", true)]).is_none());
        assert!(putting_back(&[]).is_none());
    }
}
