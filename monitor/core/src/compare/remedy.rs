//! What a remediation may write: what Git declares, with what is ignored left as it is, and of that only what drifted.
//!
//! Writes nothing. A patch is RFC 6902 on what was read, each replacement behind a `test` of the value that it replaces: the
//! interfaces of clouds take it as it is (Kubernetes, Cloud Control), and one that comes too late fails whole.

use serde_json::{Map, Value, json};

use super::walk::{Place, Step, Walk};
use super::{Change, ChangeOp, Facts, Flavor, Ignore, WHOLE, list, masked};
use crate::schema::unescaped;

/// How a resource is put back to what Git declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Operations of RFC 6902, in the order in which they are to be carried out.
    pub operations: Vec<Value>,
    /// Pointers of changes for which there are none, because a secret would have to be shown or what was read has moved.
    pub withheld: Vec<String>,
}

/// Returns what Git declares with every ignored field as it was read: what a write of the whole object may say.
///
/// An ignored field that was not read is left out. Nothing else is taken from what was read, neither a sibling in a map
/// nor an item of a list, and never a status.
pub fn writable(desired: &Value, observed: &Value, ignore: &Ignore, facts: Facts<'_>) -> Value {
    let walk = Walk::of(facts, &WHOLE);
    let mut writer = Writer { walk: &walk, ignore, sides: [desired, observed], path: Vec::new() };
    let at = walk.root();
    let mut written = writer.merged(desired, observed, at);
    if walk.flavor == Flavor::Kubernetes
        && let Some(map) = written.as_object_mut()
    {
        map.remove("status");
    }
    written
}

struct Writer<'a, 'w> {
    walk: &'w Walk<'a>,
    ignore: &'w Ignore,
    sides: [&'a Value; 2],
    /// The way here in what is declared.
    path: Vec<Step<'a>>,
}

impl<'a> Writer<'a, '_> {
    fn merged(&mut self, desired: &'a Value, observed: &'a Value, at: Place) -> Value {
        match (desired, observed) {
            (Value::Object(desired), Value::Object(observed)) => self.map(desired, observed, at),
            (Value::Array(items), Value::Array(others)) => self.list(items, others, at),
            _ => desired.clone(),
        }
    }

    fn map(&mut self, desired: &'a Map<String, Value>, observed: &'a Map<String, Value>, at: Place) -> Value {
        let mut written = Map::new();
        for (name, value) in desired {
            let found = observed.get(name);
            let kept = self.below(Step::Name(name), |writer| match found {
                _ if writer.is_ignored() => found.cloned(),
                Some(found) => Some(writer.merged(value, found, writer.walk.named(at, name))),
                None => Some(value.clone()),
            });
            written.extend(kept.map(|value| (name.clone(), value)));
        }
        for (name, value) in observed.iter().filter(|(name, _)| !desired.contains_key(*name)) {
            if self.below(Step::Name(name), |writer| writer.is_ignored()) {
                written.insert(name.clone(), value.clone());
            }
        }
        Value::Object(written)
    }

    fn list(&mut self, desired: &'a [Value], observed: &'a [Value], at: Place) -> Value {
        let keys = list::keys_of(self.walk, (self.name(), (desired, observed)), at);
        let inside = self.walk.item(at);
        let items = desired.iter().enumerate().filter_map(|(index, item)| {
            let found = partner(&keys, (index, item), observed).and_then(|index| observed.get(index));
            self.below(Step::Item(index), |writer| match found {
                _ if writer.is_ignored() => found.cloned(),
                Some(found) => Some(writer.merged(item, found, inside)),
                None => Some(item.clone()),
            })
        });
        Value::Array(items.collect())
    }

    fn below<T>(&mut self, step: Step<'a>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let done = then(self);
        self.path.pop();
        done
    }

    fn is_ignored(&self) -> bool {
        self.ignore.hides(&super::walk::pointer(&self.path), self.sides)
    }

    fn name(&self) -> &'a str {
        let name = |step: &Step<'a>| if let Step::Name(name) = step { Some(*name) } else { None };
        self.path.iter().rev().find_map(name).unwrap_or_default()
    }
}

/// Returns the place of the item that belongs to a declared one: the one of the same key, or in the same place where the
/// items of the list have no key.
fn partner(keys: &[&str], (index, item): (usize, &Value), observed: &[Value]) -> Option<usize> {
    if keys.is_empty() {
        return (index < observed.len()).then_some(index);
    }
    observed.iter().position(|other| super::kubernetes::shares(keys, item, other))
}

/// Returns the patch that makes `changes` good: those of the comparison of the two, or what is left of them.
pub fn patch((desired, observed): (&Value, &Value), changes: &[Change], ignore: &Ignore, facts: Facts<'_>) -> Patch {
    let written = writable(desired, observed, ignore, facts);
    let walk = Walk::of(facts, &WHOLE);
    let mut patch = Patch::default();
    let mut removals: Vec<(Vec<Rank>, Vec<Value>)> = Vec::new();
    for change in changes {
        let place = Planned { walk: &walk, written: &written, observed, mask: facts };
        match place.operations(change) {
            Some(operations) if change.op == ChangeOp::Added => removals.push((rank(&change.path), operations)),
            Some(operations) => patch.operations.extend(operations),
            None => patch.withheld.push(change.path.clone()),
        }
    }
    // From the end of each list to its start: what is removed moves what stands behind it.
    removals.sort_by(|(left, _), (right, _)| right.cmp(left));
    patch.operations.extend(removals.into_iter().flat_map(|(_, operations)| operations));
    patch
}

/// Where a step of a pointer stands among its siblings.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Item(usize),
    Name(String),
}

fn rank(path: &str) -> Vec<Rank> {
    let step = |step: &str| step.parse().map_or_else(|_| Rank::Name(step.to_owned()), Rank::Item);
    path.split('/').skip(1).map(step).collect()
}

/// One change on its way to the operations that make it good.
struct Planned<'a, 'w> {
    walk: &'w Walk<'a>,
    written: &'w Value,
    observed: &'w Value,
    mask: Facts<'a>,
}

impl Planned<'_, '_> {
    /// Returns the operations, or nothing where they would show a secret or what was read is not what the change says.
    fn operations(&self, change: &Change) -> Option<Vec<Value>> {
        if change.sensitive {
            return None;
        }
        let operations = match change.op {
            ChangeOp::Added => vec![
                json!({"op": "test", "path": change.path, "value": self.as_read(change)?}),
                json!({"op": "remove", "path": change.path}),
            ],
            ChangeOp::Changed | ChangeOp::Removed => self.put(change)?,
        };
        let is_plain = |operation: &Value| masked(self.mask.mask, operation) == *operation;
        operations.iter().all(is_plain).then_some(operations)
    }

    /// Returns what stands where the change says, if it is what the change says.
    fn as_read(&self, change: &Change) -> Option<&Value> {
        self.observed.pointer(&change.path).filter(|found| **found == change.observed)
    }

    /// Follows a change to its place in what was read, whose items may stand in another order, and puts there what is
    /// to be written; what is missing on the way is put there whole.
    fn put(&self, change: &Change) -> Option<Vec<Value>> {
        let (mut written, mut observed, mut at) = (self.written, self.observed, self.walk.root());
        let (mut path, mut name) = (String::new(), String::new());
        for step in change.path.split('/').skip(1) {
            let next = match (written, observed) {
                (Value::Array(items), Value::Array(others)) => {
                    let index: usize = step.parse().ok()?;
                    let keys = list::keys_of(self.walk, (&name, (items, others)), at);
                    let item = items.get(index)?;
                    let found = partner(&keys, (index, item), others)?;
                    at = self.walk.item(at);
                    (item, others.get(found), found.to_string())
                }
                (Value::Object(map), Value::Object(others)) => {
                    name = unescaped(step);
                    at = self.walk.named(at, &name);
                    (map.get(&name)?, others.get(&name), step.to_owned())
                }
                _ => return None,
            };
            path = format!("{path}/{}", next.2);
            written = next.0;
            let Some(found) = next.1.filter(|found| !found.is_null()) else {
                return Some(vec![json!({"op": "add", "path": path, "value": written})]);
            };
            observed = found;
        }
        let as_said = change.op == ChangeOp::Changed && *observed == change.observed;
        as_said.then(|| self.replace((written, observed), (&path, &name), at))
    }

    /// Returns how one value takes the place of another. Into a list to which others add items of their own, only what is
    /// missing is put.
    fn replace(&self, (written, observed): (&Value, &Value), (path, name): (&str, &str), at: Place) -> Vec<Value> {
        let mut operations = vec![json!({"op": "test", "path": path, "value": observed})];
        match (written, observed) {
            (Value::Array(items), Value::Array(others)) if self.is_shared(name, (items, others), at) => {
                let keys = list::keys_of(self.walk, (name, (items, others)), at);
                let is_there = |item: &&Value| match keys.as_slice() {
                    [] => others.contains(item),
                    keys => others.iter().any(|other| super::kubernetes::shares(keys, item, other)),
                };
                let missing = items.iter().filter(|item| !is_there(item));
                operations.extend(missing.map(|item| json!({"op": "add", "path": format!("{path}/-"), "value": item})));
            }
            _ => operations.push(json!({"op": "replace", "path": path, "value": written})),
        }
        operations
    }

    fn is_shared(&self, name: &str, (items, others): (&[Value], &[Value]), at: Place) -> bool {
        let keys = list::keys_of(self.walk, (name, (items, others)), at);
        list::is_shared(self.walk, (name, others), (at, &keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Context, MaskKey, compare};
    use crate::resource::{Depth, Kind};
    use crate::schema::Schema;

    /// Compares two objects of a kind and returns the patch, one operation a line, then what is withheld.
    fn check(kind: &str, (desired, observed): (&Value, &Value), ignored: &[&str], said: &[&str]) {
        let (kind, schema, context, mask) =
            (Kind::from(kind), Schema::default(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts {
            kind: &kind,
            schema: &schema,
            context: &context,
            depth: Depth::Full,
            mask: &mask,
            strictly: crate::compare::Strictly::default(),
        };
        let ignore =
            Ignore { pointers: ignored.iter().map(|pointer| (*pointer).to_owned()).collect(), ..Ignore::default() };
        let mut found = compare(desired, observed, facts);
        ignore.take(&mut found, desired, observed);
        let patch = patch((desired, observed), &found.changes, &ignore, facts);
        let line = |operation: &Value| {
            let value = operation.get("value").map(|value| format!(" {value}")).unwrap_or_default();
            format!("{} {}{value}", operation["op"].as_str().unwrap(), operation["path"].as_str().unwrap())
        };
        let withheld = patch.withheld.iter().map(|path| format!("withheld {path}"));
        let lines: Vec<_> = patch.operations.iter().map(line).chain(withheld).collect();
        assert_eq!(lines, said, "{desired} {observed}");
    }

    fn pod(containers: &Value) -> Value {
        json!({"spec": {"containers": containers}})
    }

    #[test]
    fn a_patch_writes_what_drifted_where_it_was_read() {
        let desired = pod(&json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]));
        let observed = pod(&json!([{"name": "x"}, {"name": "b", "image": "b:2"}, {"name": "a", "image": "a:1"}]));
        let path = "/spec/containers/1/image";
        let said = [format!(r#"test {path} "b:2""#), format!(r#"replace {path} "b:1""#)];
        check("Pod", (&desired, &observed), &[], &[&said[0], &said[1]]);
        check("Pod", (&desired, &observed), &["/spec/containers/*/image"], &[]);
    }

    #[test]
    fn into_a_shared_list_only_what_is_missing_is_put() {
        let desired = pod(&json!([{"name": "a"}, {"name": "b", "image": "b:1"}]));
        let observed = pod(&json!([{"name": "sidecar"}, {"name": "a"}]));
        let said = [
            r#"test /spec/containers [{"name":"sidecar"},{"name":"a"}]"#,
            r#"add /spec/containers/- {"image":"b:1","name":"b"}"#,
        ];
        check("Pod", (&desired, &observed), &[], &said);
        let args = |args: &[&str]| json!({"spec": {"args": args}});
        let said = [r#"test /spec/args ["b","a"]"#, r#"replace /spec/args ["a"]"#];
        check("Pod", (&args(&["a"]), &args(&["b", "a"])), &[], &said);
    }

    #[test]
    fn what_was_removed_is_put_back_and_what_was_given_up_is_removed() {
        let desired = json!({"data": {"k": "v"}});
        check("ConfigMap", (&desired, &json!({})), &[], &[r#"add /data {"k":"v"}"#]);
        let applied = json!({"data": {"k": "v", "old": "w"}}).to_string();
        let observed = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
            "data": {"k": "v", "old": "w"}});
        check("ConfigMap", (&desired, &observed), &[], &[r#"test /data/old "w""#, "remove /data/old"]);
    }

    #[test]
    fn a_secret_is_withheld() {
        let (desired, observed) = (json!({"data": {"key": "YQ=="}}), json!({"data": {"key": "Yg=="}}));
        check("Secret", (&desired, &observed), &[], &["withheld /data/key"]);
        let env = |value: &str| pod(&json!([{"name": "a", "env": [{"name": "DB_PASSWORD", "value": value}]}]));
        check("Pod", (&env("one"), &env("two")), &[], &["withheld /spec/containers/0/env/0/value"]);
        check("Pod", (&env("one"), &pod(&json!([]))), &[], &["withheld /spec/containers"]);
    }

    #[test]
    fn a_patch_for_amazon_is_for_the_items_that_were_read() {
        let tags = |tags: &[(&str, &str)]| {
            let tag = |(key, value): &(&str, &str)| json!({"Key": key, "Value": value});
            json!({"Tags": tags.iter().map(tag).collect::<Vec<_>>()})
        };
        let (desired, observed) = (tags(&[("a", "1")]), tags(&[("b", "2"), ("a", "9")]));
        let said = [r#"test /Tags/1/Value "9""#, r#"replace /Tags/1/Value "1""#];
        check("AWS::S3::Bucket", (&desired, &observed), &[], &said);
    }
}
