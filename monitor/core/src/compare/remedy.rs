//! What a remediation may write: what Git declares, with what is ignored left as it is, and of that only what drifted.
//!
//! Writes nothing. A patch is RFC 6902 on what was read, each replacement behind a `test` of the value that it replaces: the
//! interfaces of clouds take it as it is (Kubernetes, Cloud Control), and one that comes too late fails whole.

use serde_json::{Map, Value, json};

use super::walk::{Place, Step, Walk, pointer};
use super::{Change, ChangeOp, Facts, Flavor, Ignore, WHOLE, filling, list, masked};
use crate::schema::unescaped;

/// How a resource is put back to what Git declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Operations of RFC 6902, in the order in which they are to be carried out.
    pub operations: Vec<Value>,
    /// Pointers of changes for which there are none: a secret would have to be shown, part of what is declared is not
    /// known, or what was read has moved.
    pub withheld: Vec<String>,
}

/// Returns what Git declares with every ignored field as it was read: what a write of the whole object may say.
///
/// An ignored field that was not read is left out. Nothing else is taken from what was read, neither a sibling in a map
/// nor an item of a list, and never a status. An item without a counterpart is written as it is declared. Nothing may be
/// written where part of it is not known.
pub fn writable(desired: &Value, observed: &Value, ignore: &Ignore, facts: Facts<'_>) -> Option<Value> {
    let desired = &*filling::filled(desired);
    let mut writer = Writer { walk: Walk::of(facts, &WHOLE), ignore, sides: [desired, observed] };
    let at = writer.walk.root();
    let mut written = writer.merged(desired, observed, at);
    if writer.walk.flavor == Flavor::Kubernetes
        && let Some(map) = written.as_object_mut()
    {
        map.remove("status");
    }
    (!filling::is_open(&written)).then_some(written)
}

/// Writes what is declared; the way of its walk leads through what is declared.
struct Writer<'a> {
    walk: Walk<'a>,
    ignore: &'a Ignore,
    sides: [&'a Value; 2],
}

impl<'a> Writer<'a> {
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
        let partners = list::partners(&mut self.walk, (desired, observed), at);
        let inside = self.walk.item(at);
        let items = desired.iter().zip(partners).enumerate().filter_map(|(index, (item, partner))| {
            let found = partner.and_then(|other| observed.get(other));
            self.below(Step::Item(index), |writer| match found {
                _ if writer.is_ignored() => found.cloned(),
                Some(found) => Some(writer.merged(item, found, inside)),
                None => Some(item.clone()),
            })
        });
        Value::Array(items.collect())
    }

    fn below<T>(&mut self, step: Step<'a>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.walk.path.push(step);
        let done = then(self);
        self.walk.path.pop();
        done
    }

    fn is_ignored(&self) -> bool {
        self.ignore.hides(&pointer(&self.walk.path), self.sides)
    }
}

/// Returns the patch that makes `changes` good: those of the comparison of the two, or what is left of them.
///
/// It begins with tests of everything that it goes by: the values that it replaces, and the items in which it does so.
pub fn patch((desired, observed): (&Value, &Value), changes: &[Change], ignore: &Ignore, facts: Facts<'_>) -> Patch {
    let desired = &*filling::filled(desired);
    let mut writer = Writer { walk: Walk::of(facts, &WHOLE), ignore, sides: [desired, observed] };
    let (mut tests, mut puts, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
    let mut removals: Vec<(Vec<Rank>, Value)> = Vec::new();
    for change in changes {
        let Some(plan) = writer.plan(change).filter(|plan| plan.is_plain(facts)) else {
            withheld.push(change.path.clone());
            continue;
        };
        tests.extend(plan.tests.into_iter().filter(|test| !tests.contains(test)).collect::<Vec<_>>());
        puts.extend(plan.puts);
        removals.extend(plan.removes.map(|path| (rank(&path), json!({"op": "remove", "path": path}))));
    }
    // From the end of each list to its start: what is removed moves what stands behind it.
    removals.sort_by(|(left, _), (right, _)| right.cmp(left));
    let removals = removals.into_iter().map(|(_, operation)| operation);
    Patch { operations: tests.into_iter().chain(puts).chain(removals).collect(), withheld }
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

/// What makes one change good.
#[derive(Default)]
struct Plan {
    tests: Vec<Value>,
    puts: Vec<Value>,
    removes: Option<String>,
}

impl Plan {
    /// Returns whether no operation would show a secret or write a gap that somebody else fills.
    fn is_plain(&self, facts: Facts<'_>) -> bool {
        !self.puts.iter().any(filling::is_open)
            && self.tests.iter().chain(&self.puts).all(|operation| masked(facts.mask, operation) == *operation)
    }
}

/// Where a change is in what is declared and in what was read, whose items may stand in another order.
#[derive(Clone)]
struct Spot<'a> {
    desired: Option<&'a Value>,
    observed: Option<&'a Value>,
    at: Place,
    /// The way in what is declared.
    way: Vec<Step<'a>>,
    /// The pointer into what was read.
    path: String,
    /// What must still be so, for the pointer to mean what it meant.
    tests: Vec<Value>,
}

impl<'a> Writer<'a> {
    /// Returns what makes a change good, or nothing where it would show a secret, what was read is not what the change
    /// says, or it is not clear which of two items is meant.
    fn plan(&mut self, change: &Change) -> Option<Plan> {
        if change.sensitive {
            return None;
        }
        let [desired, observed] = self.sides;
        let at = self.walk.root();
        let root = Spot {
            desired: Some(desired),
            observed: Some(observed),
            at,
            way: Vec::new(),
            path: String::new(),
            tests: Vec::new(),
        };
        let mut spots = vec![root];
        for step in change.path.split('/').skip(1) {
            // What is missing on the way is put there whole.
            if change.op != ChangeOp::Added && spots.iter().all(|spot| spot.observed.is_none_or(Value::is_null)) {
                break;
            }
            spots = spots.into_iter().flat_map(|spot| self.step(spot, step, change.op)).collect();
        }
        if change.op != ChangeOp::Removed {
            spots.retain(|spot| spot.observed == Some(&change.observed));
        }
        match (spots.as_slice(), change.op) {
            ([spot], ChangeOp::Added) => Some(removal(spot)),
            ([spot], _) => self.put(spot),
            _ => None,
        }
    }

    /// Goes one step further, in every way that the step may be meant.
    fn step(&mut self, spot: Spot<'a>, step: &str, op: ChangeOp) -> Vec<Spot<'a>> {
        match (spot.desired, spot.observed) {
            (desired, Some(Value::Array(others))) => {
                let items = desired.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                step.parse().map(|index| self.items(&spot, (items, others), index, op)).unwrap_or_default()
            }
            (desired, Some(Value::Object(others))) => {
                let name = unescaped(step);
                let declared = desired.and_then(Value::as_object).and_then(|map| map.get_key_value(&name));
                let found = others.get_key_value(&name);
                let Some((key, _)) = declared.or(found) else { return Vec::new() };
                let mut next = spot;
                next.at = self.walk.named(next.at, key);
                (next.desired, next.observed) = (declared.map(|(_, value)| value), found.map(|(_, value)| value));
                next.way.push(Step::Name(key));
                next.path = format!("{}/{step}", next.path);
                vec![next]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the items that a number may stand for: the partner of the declared one, or, where something was added, an
    /// item that is nobody's partner.
    fn items(
        &mut self,
        spot: &Spot<'a>,
        (items, others): (&'a [Value], &'a [Value]),
        index: usize,
        op: ChangeOp,
    ) -> Vec<Spot<'a>> {
        self.walk.path.clone_from(&spot.way);
        let partners = list::partners(&mut self.walk, (items, others), spot.at);
        let keys = list::keys_of(&self.walk, (self.walk.name(), (items, others)), spot.at);
        let own = (op == ChangeOp::Added && !partners.contains(&Some(index))).then_some((None, index));
        let partner = partners.get(index).copied().flatten().map(|other| (items.get(index), other));
        let inside = self.walk.item(spot.at);
        let found = partner.into_iter().chain(own).filter_map(|(item, other)| Some((item, other, others.get(other)?)));
        let spots = found.map(|(item, other, found)| {
            let mut next = Spot { desired: item, observed: Some(found), at: inside, ..spot.clone() };
            next.way.push(Step::Item(index));
            next.path = format!("{}/{other}", spot.path);
            next.tests.extend(tests_of(&next.path, found, &keys));
            next
        });
        spots.collect()
    }

    /// Returns how the value at a spot becomes as it is declared.
    fn put(&mut self, spot: &Spot<'a>) -> Option<Plan> {
        let desired = spot.desired?;
        self.walk.path.clone_from(&spot.way);
        let Some(observed) = spot.observed.filter(|found| !found.is_null()) else {
            let puts = vec![json!({"op": "add", "path": spot.path, "value": desired})];
            return Some(Plan { tests: spot.tests.clone(), puts, removes: None });
        };
        let written = self.merged(desired, observed, spot.at);
        let mut tests = spot.tests.clone();
        tests.push(json!({"op": "test", "path": spot.path, "value": observed}));
        let puts = match (&written, observed) {
            (Value::Array(items), Value::Array(others)) if self.is_shared((items, others), spot.at) => {
                self.missing((items, others), spot)
            }
            _ => vec![json!({"op": "replace", "path": spot.path, "value": written})],
        };
        Some(Plan { tests, puts, removes: None })
    }

    /// Returns how only what is missing is put into a list to which others add items of their own.
    fn missing(&self, (items, others): (&[Value], &[Value]), spot: &Spot<'_>) -> Vec<Value> {
        let keys = list::keys_of(&self.walk, (self.walk.name(), (items, others)), spot.at);
        let is_there = |item: &&Value| match keys.as_slice() {
            [] => others.contains(item),
            keys => others.iter().any(|other| super::kubernetes::shares(keys, item, other)),
        };
        let missing = items.iter().filter(|item| !is_there(item));
        missing.map(|item| json!({"op": "add", "path": format!("{}/-", spot.path), "value": item})).collect()
    }

    fn is_shared(&self, (items, others): (&[Value], &[Value]), at: Place) -> bool {
        let name = self.walk.name();
        let keys = list::keys_of(&self.walk, (name, (items, others)), at);
        list::is_shared(&self.walk, (name, others), (at, &keys))
    }
}

/// Returns how a value that nobody declared is taken away.
fn removal(spot: &Spot<'_>) -> Plan {
    let test = json!({"op": "test", "path": spot.path, "value": spot.observed});
    Plan {
        tests: spot.tests.iter().cloned().chain([test]).collect(),
        puts: Vec::new(),
        removes: Some(spot.path.clone()),
    }
}

/// Returns the tests that an item is still the one that was read: by its key, or as a whole where it has none.
fn tests_of(path: &str, item: &Value, keys: &[&str]) -> Vec<Value> {
    let test = |path: String, value: &Value| json!({"op": "test", "path": path, "value": value});
    let said: Vec<_> = keys.iter().filter_map(|key| Some((*key, item.get(key)?))).collect();
    if said.is_empty() {
        return vec![test(path.to_owned(), item)];
    }
    said.into_iter().map(|(key, value)| test(format!("{path}{}", pointer(&[Step::Name(key)])), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Context, MaskKey, compare};
    use crate::resource::Kind;
    use crate::schema::Schema;

    /// Compares two objects of a kind and returns the patch, one operation a line, then what is withheld.
    fn check(kind: &str, (desired, observed): (&Value, &Value), ignored: &[&str], said: &[&str]) {
        let (kind, schema, context, mask) =
            (Kind::from(kind), Schema::default(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts::of(&kind, &schema, &context, &mask);
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
        let said = [
            r#"test /spec/containers/1/name "b""#.to_owned(),
            format!(r#"test {path} "b:2""#),
            format!(r#"replace {path} "b:1""#),
        ];
        check("Pod", (&desired, &observed), &[], &said.each_ref().map(String::as_str));
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
    fn a_gap_is_not_written() {
        let text = r#"{"A": "${fn}", "B": 1}"#;
        let machine = |fill: Value| json!({"DefinitionString": text, "DefinitionSubstitutions": {"fn": fill}, "C": 1});
        let kind = "AWS::StepFunctions::StateMachine";
        let observed = json!({"DefinitionString": r#"{"A": "f", "B": 2}"#, "C": 2});
        let put = ["test /C 2", "replace /C 1", "withheld /DefinitionString"];
        for fill in [json!({"$unknown": true}), json!("{{resolve:ssm:x}}")] {
            check(kind, (&machine(fill), &observed), &[], &put);
        }
        let ssm = json!({"DefinitionString": r#"{"A": "{{resolve:ssm:x}}", "B": 1}"#, "C": 1});
        check(kind, (&ssm, &observed), &[], &put);
        let part = json!({"C": 2, "D": {"E": {"$unknown": true}, "F": "f"}});
        check(kind, (&part, &json!({"C": 2})), &[], &["withheld /D"]);
    }

    #[test]
    fn a_patch_for_amazon_is_for_the_items_that_were_read() {
        let tags = |tags: &[(&str, &str)]| {
            let tag = |(key, value): &(&str, &str)| json!({"Key": key, "Value": value});
            json!({"Tags": tags.iter().map(tag).collect::<Vec<_>>()})
        };
        let (desired, observed) = (tags(&[("a", "1")]), tags(&[("b", "2"), ("a", "9")]));
        let said = [r#"test /Tags/1/Key "a""#, r#"test /Tags/1/Value "9""#, r#"replace /Tags/1/Value "1""#];
        check("AWS::S3::Bucket", (&desired, &observed), &[], &said);
    }

    #[test]
    fn an_item_without_a_key_is_the_one_that_the_comparison_took() {
        let rules = |rules: &[Value]| json!({"Rules": rules});
        let (a, b) = (json!({"A": 1, "B": "x"}), json!({"A": 2, "B": "y"}));
        let drifted = json!({"A": 2, "B": "z"});
        let said = [r#"test /Rules/0 {"A":2,"B":"z"}"#, r#"test /Rules/0/B "z""#, r#"replace /Rules/0/B "y""#];
        check("AWS::Some::Thing", (&rules(&[a.clone(), b.clone()]), &rules(&[drifted, a.clone()])), &[], &said);
        let removed = json!({"A": 2});
        let said = [r#"test /Rules/0 {"A":2}"#, r#"add /Rules/0/B "y""#];
        check("AWS::Some::Thing", (&rules(&[a.clone(), b]), &rules(&[removed, a])), &[], &said);
    }

    #[test]
    fn a_second_item_of_the_same_key_is_taken_out_of_the_item_it_is_in() {
        let env = |value: &str| json!({"name": "A", "value": value});
        let (plain, other) = (json!({"name": "x", "env": [env("good")]}), json!({"name": "y", "env": [env("good")]}));
        let doubled = json!({"name": "x", "env": [env("good"), env("evil")]});
        let (desired, observed) = (pod(&json!([plain, other])), pod(&json!([other, doubled])));
        let said = [
            r#"test /spec/containers/1/name "x""#,
            r#"test /spec/containers/1/env/1/name "A""#,
            r#"test /spec/containers/1/env/1 {"name":"A","value":"evil"}"#,
            "remove /spec/containers/1/env/1",
        ];
        check("Pod", (&desired, &observed), &[], &said);
    }

    #[test]
    fn what_is_ignored_is_not_taken_from_another_item() {
        let (kind, schema, context, mask) =
            (Kind::from("AWS::Some::Thing"), Schema::default(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts::of(&kind, &schema, &context, &mask);
        let ignore = Ignore { pointers: vec!["/Rules/*/Weight".to_owned()], ..Ignore::default() };
        let rule = |to: &str, weight: i32| json!({"To": to, "Weight": weight});
        let desired = json!({"Rules": [{"To": "a"}, rule("b", 2)]});
        let observed = json!({"Rules": [rule("c", 7), rule("a", 9)]});
        let expected = json!({"Rules": [rule("a", 9), rule("b", 7)]});
        assert_eq!(writable(&desired, &observed, &ignore, facts), Some(expected), "b is what c was");
        let observed = json!({"Rules": [rule("c", 7), rule("d", 8), rule("a", 9)]});
        let expected = json!({"Rules": [rule("a", 9), rule("b", 2)]});
        assert_eq!(writable(&desired, &observed, &ignore, facts), Some(expected), "b is new");
        let desired = json!({"Rules": [{"To": {"$unknown": true}}]});
        assert_eq!(writable(&desired, &observed, &ignore, facts), None, "what is not known is not written");
    }
}
