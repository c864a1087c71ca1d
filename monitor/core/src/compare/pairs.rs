//! Which items of two lists are partners.
//!
//! The surest pairs are made first: what is the same, then what means the same by its key or as a whole, then what holds
//! a part that nobody knows. Nothing is tried twice, and of two lists that have too little in common only what is easily
//! guessed is tried: these count as changed whichever items one would pair.

use std::collections::HashMap;

use serde_json::Value;

use super::walk::{Place, Step, Walk, holds_unresolved};
use super::{kubernetes, text};

/// A declared list and the observed one beside it.
pub(super) type Lists<'a> = (&'a [Value], &'a [Value]);

/// How many pairs of two lists are tried.
const TRIED: usize = 100_000;

/// How many pairs there may be where items give way to each other.
const REARRANGED: usize = 10_000;

/// How many items that look like a declared one are tried.
const GUESSES: usize = 4;

/// The items of two lists on their way to each other.
pub(super) struct Partners<'a, 'k> {
    lists: Lists<'a>,
    keys: &'k [&'a str],
    place: Place,
    /// The partner of each declared item.
    pub(super) pairs: Vec<Option<usize>>,
    /// Whether an observed item is nobody's partner.
    pub(super) free: Vec<bool>,
    /// What was tried, and whether it went well.
    tried: HashMap<(usize, usize), bool>,
}

impl<'a, 'k> Partners<'a, 'k> {
    /// Finds the partners of all items that have one.
    pub(super) fn of(walk: &mut Walk<'a>, lists: Lists<'a>, keys: &'k [&'a str], place: Place) -> Self {
        let mut partners = Self {
            lists,
            keys,
            place,
            pairs: vec![None; lists.0.len()],
            free: vec![true; lists.1.len()],
            tried: HashMap::new(),
        };
        let (vague, known): (Vec<_>, Vec<_>) = lists.0.iter().enumerate().partition(|(_, item)| holds_unresolved(item));
        let places = |items: Vec<(usize, &Value)>| items.into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        let (vague, known) = (places(vague), places(known));
        partners.alike(&known);
        for indexes in [known, vague] {
            partners.in_place(walk, &indexes);
            partners.guessed(walk, &indexes);
            partners.tried_out(walk, &indexes);
        }
        if keys.is_empty() && partners.pairs.contains(&None) && partners.free.contains(&true) {
            partners.rearrange(walk);
        }
        partners
    }

    /// Pairs items that are the same.
    fn alike(&mut self, indexes: &[usize]) {
        let both = |index: usize| Some((self.lists.0.get(index)?, self.lists.1.get(index)?));
        let stayed = |index: &usize| both(*index).is_some_and(|(item, found)| item == found);
        for index in indexes.iter().copied().filter(stayed).collect::<Vec<_>>() {
            self.pair(index, index);
        }
        let mut moved: HashMap<&Value, Vec<usize>> = HashMap::new();
        for (other, found) in self.lists.1.iter().enumerate().rev().filter(|(other, _)| self.is_free(*other)) {
            moved.entry(found).or_default().push(other);
        }
        for index in self.lost(indexes) {
            let found = self.lists.0.get(index).and_then(|item| moved.get_mut(item)?.pop());
            if let Some(other) = found {
                self.pair(index, other);
            }
        }
    }

    /// Pairs items that stand in the same place.
    fn in_place(&mut self, walk: &mut Walk<'a>, indexes: &[usize]) {
        for index in self.lost(indexes) {
            self.first(walk, index, std::iter::once(index));
        }
    }

    /// Pairs items that look like each other, as far as one can see without trying.
    fn guessed(&mut self, walk: &mut Walk<'a>, indexes: &[usize]) {
        let lost = self.lost(indexes);
        if lost.is_empty() {
            return;
        }
        let mut looks: HashMap<String, Vec<usize>> = HashMap::new();
        for (other, found) in self.lists.1.iter().enumerate().filter(|(other, _)| self.is_free(*other)) {
            if let Some(look) = self.look(found) {
                looks.entry(look).or_default().push(other);
            }
        }
        for index in lost {
            let look = self.lists.0.get(index).and_then(|item| self.look(item));
            if let Some(others) = look.and_then(|look| looks.get(&look)) {
                let others: Vec<_> =
                    others.iter().copied().filter(|other| self.is_free(*other)).take(GUESSES).collect();
                self.first(walk, index, others.into_iter());
            }
        }
    }

    /// Pairs items wherever they stand.
    fn tried_out(&mut self, walk: &mut Walk<'a>, indexes: &[usize]) {
        let lost = self.lost(indexes);
        let free = self.free.iter().filter(|free| **free).count();
        if lost.len().saturating_mul(free) > TRIED {
            return;
        }
        for index in lost {
            self.first(walk, index, 0..self.lists.1.len());
        }
    }

    /// Finds partners for the items that got none because others took them first: an item that declares little fits
    /// many, and must not depend on the order in which it is asked.
    fn rearrange(&mut self, walk: &mut Walk<'a>) {
        // Beyond this the list has changed so much that one more pair says nothing.
        if self.lists.0.len().saturating_mul(self.lists.1.len()) > REARRANGED {
            return;
        }
        for index in 0..self.pairs.len() {
            if self.pairs.get(index) == Some(&None) {
                let mut seen = vec![false; self.lists.1.len()];
                self.give_way(walk, index, &mut seen);
            }
        }
    }

    /// Pairs an item, letting the one that it displaces look for another. Returns whether that went well.
    fn give_way(&mut self, walk: &mut Walk<'a>, index: usize, seen: &mut [bool]) -> bool {
        for other in 0..self.lists.1.len() {
            let owner = self.pairs.iter().position(|pair| *pair == Some(other));
            let can_be_had = owner.is_some() || self.is_free(other);
            if !can_be_had || seen.get(other) != Some(&false) || !self.fits(walk, (index, other)) {
                continue;
            }
            seen.iter_mut().skip(other).take(1).for_each(|seen| *seen = true);
            if owner.is_none_or(|owner| self.give_way(walk, owner, seen)) {
                self.pair(index, other);
                return true;
            }
        }
        false
    }

    /// Pairs an item with the first of some that it fits.
    fn first(&mut self, walk: &mut Walk<'a>, index: usize, mut others: impl Iterator<Item = usize>) {
        if let Some(other) = others.find(|other| self.is_free(*other) && self.fits(walk, (index, *other))) {
            self.pair(index, other);
        }
    }

    /// Returns whether two items belong together.
    fn fits(&mut self, walk: &mut Walk<'a>, (index, other): (usize, usize)) -> bool {
        let (Some(item), Some(found)) = (self.lists.0.get(index), self.lists.1.get(other)) else { return false };
        if let Some(known) = self.tried.get(&(index, other)) {
            return *known;
        }
        walk.path.push(Step::Item(index));
        let fits = match self.keys {
            [] => walk.same(item, found, self.place),
            keys => same_keys(walk, (item, found), keys, self.place),
        };
        walk.path.pop();
        self.tried.insert((index, other), fits);
        fits
    }

    /// Returns what is seen of an item at a glance, if it has a key or is a plain value.
    fn look(&self, item: &Value) -> Option<String> {
        if self.keys.is_empty() {
            return glance(item);
        }
        let said = |key: &&str| item.get(*key).filter(|value| !kubernetes::is_key_default(key, value));
        Some(self.keys.iter().map(|key| said(key).and_then(glance).unwrap_or_default() + "\n").collect())
    }

    fn lost(&self, indexes: &[usize]) -> Vec<usize> {
        indexes.iter().copied().filter(|index| self.pairs.get(*index) == Some(&None)).collect()
    }

    fn is_free(&self, other: usize) -> bool {
        self.free.get(other) == Some(&true)
    }

    fn pair(&mut self, index: usize, other: usize) {
        self.free.iter_mut().skip(other).take(1).for_each(|free| *free = false);
        self.pairs.iter_mut().skip(index).take(1).for_each(|pair| *pair = Some(other));
    }
}

fn same_keys<'a>(walk: &mut Walk<'a>, (item, found): (&'a Value, &'a Value), keys: &[&'a str], place: Place) -> bool {
    keys.iter().all(|key| match (item.get(key), found.get(key)) {
        (Some(left), Some(right)) => left == right || walk.same_key(key, (left, right), place),
        (Some(one), None) | (None, Some(one)) => {
            kubernetes::is_key_default(key, one) || walk.is_default(one, walk.named(place, key))
        }
        (None, None) => true,
    })
}

/// Returns what is seen of a plain value at a glance: what means the same mostly looks the same. Decides nothing.
fn glance(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text::at_a_glance(text)),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use super::super::{Context, Facts, Knowledge, MaskKey, walk::PROBED};
    use super::*;
    use crate::resource::Kind;
    use crate::schema::Schema;

    /// Compares after `spent` probes and returns what changed, with the number of values that were looked at in probes.
    fn probed(kind: &str, (desired, observed): (&Value, &Value), spent: usize) -> (Vec<String>, usize) {
        let (kind, schema, context, mask) =
            (Kind::from(kind), Schema::default(), Context::default(), MaskKey::new([1; 32]));
        let facts = Facts::of(&kind, &schema, &context, &mask);
        let walk = Walk::of(facts, &Knowledge::WHOLE);
        let probes = Rc::clone(&walk.probed);
        probes.set(spent);
        let found = walk.run(desired, observed).0;
        (
            found.changes.into_iter().map(|change| format!("{} {}", change.op.as_str(), change.path)).collect(),
            probes.get(),
        )
    }

    fn check((desired, observed): (&Value, &Value), changes: &[&str], at_most: usize) {
        let (found, probes) = probed("AWS::Some::Thing", (desired, observed), 0);
        assert_eq!(found, changes);
        assert!(probes <= at_most, "{probes} probes");
    }

    fn nested(depth: usize, leaf: i32) -> Value {
        (0..depth).fold(json!({"A": leaf}), |inner, _| json!({"Things": [inner]}))
    }

    #[test]
    fn what_lies_deep_is_compared_in_few_steps() {
        let path = format!("changed {}/A", "/Things/0".repeat(60));
        check((&nested(60, 1), &nested(60, 2)), &[&path], 10_000);
        check((&nested(60, 1), &nested(60, 1)), &[], 10_000);
        let text = |leaf| json!({"Body": nested(60, leaf).to_string()});
        check((&text(1), &text(2)), &["changed /Body"], 10_000);
    }

    #[test]
    fn a_long_list_is_compared_in_few_steps() {
        let list = |addresses: Vec<String>| json!({"Addresses": addresses});
        let every = |end: &'static str, net: u32| move |n: u32| format!("{net}.0.{}.{}{end}", n / 256, n % 256);
        let ten = list((0..10_000).map(every("", 10)).collect());
        check((&ten, &list((0..10_000).rev().map(every("/32", 10)).collect())), &[], 40_000);
        check((&ten, &list((0..10_000).map(every("", 11)).collect())), &["changed /Addresses"], 40_000);
    }

    #[test]
    fn a_long_list_of_named_items_stays_open() {
        let named =
            |count: usize| json!({"Things": (0..count).map(|n| json!({"Name": n.to_string()})).collect::<Vec<_>>()});
        check((&named(1_000), &named(1_001)), &[], 10_000);
    }

    #[test]
    fn what_could_not_be_tried_counts_as_changed() {
        let (desired, observed) = (json!({"Networks": ["10.0.0.1", "b"]}), json!({"Networks": ["b", "10.0.0.1/32"]}));
        assert_eq!(probed("AWS::Some::Thing", (&desired, &observed), 0).0, Vec::<String>::new());
        assert_eq!(probed("AWS::Some::Thing", (&desired, &observed), PROBED).0, ["changed /Networks"]);
    }

    #[test]
    fn a_second_item_of_the_same_key_is_drift() {
        let env = |items: Value| json!({"spec": {"containers": [{"name": "a", "env": items}]}});
        let good = json!({"name": "A", "value": "good"});
        let (one, two) = (env(json!([good])), env(json!([good, {"name": "A", "value": "evil"}])));
        assert_eq!(probed("Pod", (&one, &two), 0).0, ["added /spec/containers/0/env/1"]);
        let other = env(json!([good, {"name": "B", "value": "injected"}]));
        assert_eq!(probed("Pod", (&one, &other), 0).0, Vec::<String>::new());
        let option = |value: &str| json!({"Namespace": "n", "OptionName": "A", "Value": value});
        let (one, two) = (json!({"Settings": [option("1")]}), json!({"Settings": [option("1"), option("2")]}));
        check((&one, &two), &["added /Settings/1"], 100);
    }
}
