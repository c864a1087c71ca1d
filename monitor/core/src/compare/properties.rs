//! What must hold of every comparison, whatever it is given: twenty thousand values for each promise.
//!
//! Values are thrown by dice that proptest seeds, since a strategy for trees costs more than the comparison that it feeds.
//! The second value is most often the first one with something done to it: two strangers have little in common.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

const KINDS: [&str; 6] = [
    "AWS::Some::Thing",
    "AWS::IAM::Role",
    "apps/Deployment",
    "storage.googleapis.com/Bucket",
    "Microsoft.Web/sites",
    "host",
];

const NAMES: [&str; 40] = [
    "Name",
    "Key",
    "Value",
    "Tags",
    "metadata",
    "spec",
    "name",
    "ports",
    "Statement",
    "Id",
    "Effect",
    "Action",
    "Principal",
    "Resource",
    "containers",
    "env",
    "labels",
    "annotations",
    "FromPort",
    "ToPort",
    "IpProtocol",
    "type",
    "location",
    "id",
    "network",
    "Items",
    "items",
    "Things",
    "EngineVersion",
    "CidrIp",
    "Endpoint",
    "Enabled",
    "Mode",
    "Command",
    "port",
    "DomainName",
    "a",
    "b",
    "c",
    "~/",
];

const TEXTS: [&str; 40] = [
    "",
    " ",
    "a",
    "b",
    "A",
    "true",
    "True",
    "5",
    "5.0",
    "05",
    "-1",
    "all",
    "tcp",
    "TCP",
    "10.0.0.5/16",
    "10.0.0.0/16",
    "::/0",
    "arn:aws:iam::123456789012:role/admin",
    "admin",
    "arn:aws:s3:::b",
    "{\"a\": [1, 2]}",
    "{\"a\":[1,2]}",
    "[]",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.5Z",
    "PT1H",
    "PT60M",
    "ENABLED",
    "enabled",
    "Example.com",
    "example.com.",
    "8.0",
    "8.0.45",
    "aws:x",
    "dGVzdHRlc3Q=",
    "testtest",
    "{{resolve:x}}",
    "b{{resolve:x}}",
    "{\"a\": [1, {{resolve:x}}]}",
];

/// Numbers without an end, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.throw(from.len())]
    }

    fn scalar(&mut self) -> Value {
        match self.throw(12) {
            0 => Value::Null,
            1 => json!(self.throw(2) == 0),
            2 => json!([-1, 0, 1, 5, 80, 65_535][self.throw(6)]),
            3 => json!([5.0, 0.5, 1e9][self.throw(3)]),
            4 => json!({"$unknown": true}),
            _ => json!(self.pick(&TEXTS)),
        }
    }

    fn tree(&mut self, depth: usize) -> Value {
        match self.throw(if depth == 0 { 2 } else { 6 }) {
            2 | 3 => self.object(depth - 1),
            4 => (0..self.throw(4)).map(|_| self.tree(depth - 1)).collect(),
            5 => (0..self.throw(4)).map(|_| self.object(depth - 1)).collect(),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let pairs = (0..self.throw(5)).map(|_| (self.pick(&NAMES).to_owned(), self.tree(depth)));
        Value::Object(pairs.collect::<Map<_, _>>())
    }

    /// Returns a value, and another that has most often come from it.
    fn two(&mut self) -> (Value, Value) {
        let one = self.object(3);
        let other = if self.throw(4) == 0 { self.object(3) } else { self.changed(&one) };
        (one, other)
    }

    /// Returns a value with something done to it here and there.
    fn changed(&mut self, value: &Value) -> Value {
        match value {
            _ if self.throw(12) == 0 => self.tree(2),
            Value::Object(map) => {
                let mut changed = Map::new();
                for (name, inner) in map {
                    if self.throw(10) > 0 {
                        changed.insert(name.clone(), self.changed(inner));
                    }
                }
                if self.throw(4) == 0 {
                    changed.insert(self.pick(&NAMES).to_owned(), self.tree(1));
                }
                Value::Object(changed)
            }
            Value::Array(items) => {
                let mut changed: Vec<_> = items.iter().map(|item| self.changed(item)).collect();
                match self.throw(5) {
                    0 => changed.push(self.tree(1)),
                    1 => drop(changed.pop()),
                    2 => self.shuffle(&mut changed),
                    _ => {}
                }
                Value::Array(changed)
            }
            _ => value.clone(),
        }
    }

    fn shuffle(&mut self, items: &mut [Value]) {
        for index in (1..items.len()).rev() {
            let other = self.throw(index + 1);
            items.swap(index, other);
        }
    }
}

fn compared(kind: &str, desired: &Value, observed: &Value) -> Comparison {
    with_facts(kind, |facts| compare(desired, observed, facts))
}

fn with_facts<T>(kind: &str, then: impl FnOnce(Facts<'_>) -> T) -> T {
    let (kind, context, mask) = (Kind::from(kind), Context::default(), MaskKey::new([1; 32]));
    let schema = Schema { unordered: vec!["/Set".to_owned()], ..Schema::default() };
    let facts = Facts::of(&kind, &schema, &context, &mask);
    then(facts)
}

/// Returns the same value with the keys of every object in the other order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(name, inner)| (name.clone(), turned(inner))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(turned).collect()),
        _ => value.clone(),
    }
}

fn dice() -> impl Strategy<Value = (Dice, &'static str)> {
    (1..u64::MAX, prop::sample::select(KINDS.to_vec())).prop_map(|(seed, kind)| (Dice(seed), kind))
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dice({})", self.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(20_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_differs_from_itself((mut dice, kind) in dice()) {
        let value = dice.object(4);
        let found = compared(kind, &value, &value);
        prop_assert!(found.changes.is_empty() && found.undeclared.is_empty(), "{} {} {:?}", kind, value, found);
    }

    #[test]
    fn what_is_applied_differs_no_more((mut dice, kind) in dice()) {
        let (desired, observed) = dice.two();
        let found = compared(kind, &desired, &observed);
        let left = compared(kind, &desired, &apply(&found.changes, &desired, &observed));
        prop_assert!(left.changes.is_empty(), "{} {} {}\n{:?}\n{:?}", kind, desired, observed, found.changes, left.changes);
    }

    #[test]
    fn a_patch_writes_no_gap((mut dice, kind) in dice()) {
        let sides = dice.two();
        let sides = (&sides.0, &sides.1);
        let patch = with_facts(kind, |facts| {
            patch(sides, &compare(sides.0, sides.1, facts).changes, &Ignore::default(), facts)
        });
        for operation in patch.operations.iter().filter(|operation| operation["op"] != "test") {
            // What is taken away may be called anything; what is written may not be a gap.
            let text = operation["value"].to_string();
            prop_assert!(!text.contains("{{resolve:") && !text.contains("$unknown"), "{} {:?} {}", kind, sides, text);
        }
    }

    #[test]
    fn the_order_of_keys_says_nothing((mut dice, kind) in dice()) {
        let (desired, observed) = dice.two();
        prop_assert_eq!(compared(kind, &desired, &observed), compared(kind, &turned(&desired), &turned(&observed)));
    }

    #[test]
    fn the_order_of_a_set_says_nothing((mut dice, kind) in dice()) {
        let mut set: Vec<Value> = (0..dice.throw(5)).map(|_| dice.tree(2)).collect();
        let mut read: Vec<Value> = set.iter().map(|item| dice.changed(item)).collect();
        let before = compared(kind, &json!({"Set": set}), &json!({"Set": read}));
        dice.shuffle(&mut set);
        dice.shuffle(&mut read);
        let after = compared(kind, &json!({"Set": set}), &json!({"Set": read}));
        prop_assert_eq!(before.changes.is_empty(), after.changes.is_empty(), "{} {} {}", kind, json!(set), json!(read));
    }

    #[test]
    fn nothing_stops_a_comparison((mut dice, _) in dice(), kind in "\\PC{0,12}") {
        let (desired, observed) = (dice.tree(4), dice.tree(4));
        let _ = compared(&kind, &desired, &observed).answer();
    }
}
