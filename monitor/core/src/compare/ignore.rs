//! What an ignore rule hides of a comparison.
//!
//! Only takes away what was found; who may write such a rule, until when and why is decided where rules are read.

use serde_json::Value;

use super::{Change, ChangeOp, Comparison};
use crate::schema::unescaped;

/// The attributes that an ignore rule names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    /// RFC 6901 pointers with `*` for "each item" and `[name=value]` for the items that have it; what is below is meant
    /// too.
    pub pointers: Vec<String>,
    /// Field managers of Kubernetes: what they own is theirs.
    pub managers: Vec<String>,
}

impl Ignore {
    /// Takes what the rule hides out of `found`, and returns the changes among it.
    pub fn take(&self, found: &mut Comparison, desired: &Value, observed: &Value) -> Vec<Change> {
        found.undeclared.retain(|path| !self.hides(path, [observed, observed]));
        let hidden = found.changes.extract_if(.., |change| match change.op {
            ChangeOp::Added => self.hides(&change.path, [observed, observed]),
            ChangeOp::Changed | ChangeOp::Removed => self.hides(&change.path, [desired, observed]),
        });
        hidden.collect()
    }

    /// Returns whether the value at `path` is ignored; `sides` are the value that the path leads through and what was
    /// read.
    pub(super) fn hides(&self, path: &str, [side, observed]: [&Value; 2]) -> bool {
        self.pointers.iter().any(|pointer| selects(pointer, path, side)) || self.owned(path, side, observed)
    }

    fn owned(&self, path: &str, desired: &Value, observed: &Value) -> bool {
        if self.managers.is_empty() {
            return false;
        }
        let owners = observed.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
        let trusted = owners.filter(|owner| {
            let name = owner.get("manager").and_then(Value::as_str).unwrap_or_default();
            self.managers.iter().any(|manager| manager == name)
        });
        trusted.filter_map(|owner| owner.get("fieldsV1")).any(|fields| owns(fields, path, [desired, observed]))
    }
}

/// Returns whether `path` is what `pattern` names, or below it.
pub(super) fn is_below(path: &str, pattern: &str) -> bool {
    let mut steps = path.split('/');
    pattern.split('/').all(|wanted| steps.next().is_some_and(|step| wanted == step || wanted == "*"))
}

/// Returns whether `path`, through `side`, is what `pattern` names, or below it.
pub(super) fn selects(pattern: &str, path: &str, side: &Value) -> bool {
    let (mut steps, mut side) = (path.split('/').skip(1), Some(side));
    pattern.split('/').skip(1).all(|wanted| {
        let Some(step) = steps.next() else { return false };
        side = side.and_then(|side| below(side, &unescaped(step)));
        let item = wanted.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.split_once('='));
        match item {
            Some((name, value)) => side.and_then(|item| item.get(name)?.as_str()) == Some(value),
            None => wanted == step || wanted == "*",
        }
    })
}

/// Returns whether a tree of owned fields holds the value at `path`.
pub(super) fn owns(fields: &Value, path: &str, sides: [&Value; 2]) -> bool {
    let (mut fields, mut sides) = (fields, sides.map(Some));
    for step in path.split('/').skip(1).map(unescaped) {
        if fields.as_object().is_some_and(serde_json::Map::is_empty) {
            return true;
        }
        let inside = sides.map(|side| side.and_then(|side| below(side, &step)));
        let Some(next) = field(fields, &step, sides, inside) else { return false };
        (fields, sides) = (next, inside);
    }
    true
}

fn below<'a>(side: &'a Value, step: &str) -> Option<&'a Value> {
    match side {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => side.get(step),
    }
}

fn field<'a>(
    fields: &'a Value,
    step: &str,
    sides: [Option<&Value>; 2],
    inside: [Option<&Value>; 2],
) -> Option<&'a Value> {
    if !sides.into_iter().flatten().any(Value::is_array) {
        return fields.get(format!("f:{step}"));
    }
    let keyed = fields.as_object()?.iter().filter_map(|(name, inner)| {
        let key: Value = serde_json::from_str(name.strip_prefix("k:")?).ok()?;
        Some((key, inner))
    });
    let has = |item: &Value, key: &Value| {
        let mut parts = key.as_object().into_iter().flatten();
        parts.all(|(name, value)| item.get(name).map_or(name == "protocol", |found| found == value))
    };
    keyed.into_iter().find(|(key, _)| inside.into_iter().flatten().any(|item| has(item, key))).map(|(_, inner)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, pattern: &str, below: bool) {
        assert_eq!(is_below(path, pattern), below, "{path} {pattern}");
    }

    #[test]
    fn an_item_is_named_by_what_it_has() {
        let pod = serde_json::json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let selected = |path: &str| selects("/spec/containers/[name=b]", path, &pod);
        assert!(selected("/spec/containers/1") && selected("/spec/containers/1/image"));
        assert!(!selected("/spec/containers/0/image") && !selected("/spec/containers"));
    }

    #[test]
    fn a_pointer_means_what_is_below_and_nothing_above() {
        check("/spec/replicas", "/spec/replicas", true);
        check("/spec/a/0/b", "/spec/a/*/b", true);
        check("/spec/a/0/b/c", "/spec/a", true);
        check("/spec", "/spec/replicas", false);
        check("/spec/replicasets", "/spec/replicas", false);
    }
}
