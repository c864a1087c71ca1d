//! Which items of two lists belong together.
//!
//! By a key that every item has, by meaning the same, or by position where order means something. Says nothing about
//! what an item is.

use serde_json::Value;

use super::explain::DEFAULT;
use super::walk::{Place, Step, Walk, holds_unresolved};
use super::{ChangeOp, Class, Flavor, kubernetes, strict, undeclared};
use crate::schema::mark;

/// Lists whose order means something although every item could stand alone: what runs, what is tried first.
pub(super) const ORDERED: [&str; 35] = [
    "RoutingRules",
    "Command",
    "EntryPoint",
    "Args",
    "Arguments",
    "Layers",
    "CacheBehaviors",
    "TerminationPolicies",
    "Columns",
    "PartitionKeys",
    "SortColumns",
    "DomainNameServers",
    "Steps",
    "Stages",
    "StageActions",
    "SearchPath",
    "Overrides",
    "Commands",
    "InstanceTypes",
    "OverrideInstanceTypes",
    "Shell",
    "command",
    "args",
    "arguments",
    "steps",
    "mainSteps",
    "entryPoint",
    "entrypoint",
    "Phases",
    "JobFlowSteps",
    "DnsServers",
    "dnsServers",
    "NtpServers",
    "Priorities",
    "DefaultArguments",
];

/// Lists of settings of which the service fills in those that nobody gave: pairs of such a name
pub(super) const BAG_NAMES: [&str; 7] = ["Key", "OptionName", "Name", "ParameterName", "ParameterKey", "key", "name"];

/// and such a value.
const BAG_VALUES: [&str; 3] = ["Value", "ParameterValue", "value"];

/// Attributes by which items of a list are told apart, the surest first.
pub(super) const KEYS: [&str; 30] = [
    "Id",
    "ID",
    "Sid",
    "Key",
    "key",
    "OptionName",
    "ParameterName",
    "ParameterKey",
    "Name",
    "name",
    "DeviceName",
    "Device",
    "IndexName",
    "AttributeName",
    "LifecycleHookName",
    "LogicalName",
    "id",
    "Rid",
    "RuleName",
    "ContainerName",
    "VolumeId",
    "OriginId",
    "Alias",
    "StatusCode",
    "Region",
    "RegionName",
    "LocationName",
    "Type",
    "Priority",
    "Path",
];

/// Keys that tell items apart without being their names.
const SHARED_KEYS: [&str; 8] = ["StatusCode", "Region", "RegionName", "Type", "Priority", "Path", "Alias", "Sid"];

type Lists<'a> = (&'a [Value], &'a [Value]);

/// Compares two lists.
pub(super) fn compare<'a>(
    walk: &mut Walk<'a>,
    both: (&'a Value, &'a Value),
    lists: (&'a Vec<Value>, &'a Vec<Value>),
    at: Place,
) {
    let lists = (lists.0.as_slice(), lists.1.as_slice());
    if walk.probes() && lists.0 == lists.1 {
        return;
    }
    if is_ordered(walk, lists, at) {
        in_order(walk, both, lists, at);
    } else {
        matched(walk, both, lists, at);
    }
}

fn is_ordered(walk: &Walk<'_>, lists: Lists<'_>, at: Place) -> bool {
    if at.marks & mark::ORDERED != 0 {
        return true;
    }
    if at.marks & mark::UNORDERED != 0 || at.whole {
        return false;
    }
    match walk.flavor {
        Flavor::Kubernetes => {
            walk.is_stated(at)
                || (kubernetes::list_keys(walk.name(), lists.0).is_none() && !kubernetes::is_set(walk.name()))
        }
        Flavor::Other => key_of(walk, lists).is_none(),
        _ if !walk.knows(Class::AnyOrder) => true,
        _ => walk.is_document() || walk.knowledge.lists(&ORDERED, |word| word == walk.name()),
    }
}

fn in_order<'a>(walk: &mut Walk<'a>, both: (&'a Value, &'a Value), (desired, observed): Lists<'a>, at: Place) {
    if desired.len() != observed.len() {
        return walk.report(ChangeOp::Changed, both, at);
    }
    let place = walk.item(at);
    for (index, (left, right)) in desired.iter().zip(observed).enumerate() {
        walk.below(Step::Item(index), |walk| walk.value(left, right, place));
    }
}

fn matched<'a>(walk: &mut Walk<'a>, both: (&'a Value, &'a Value), (desired, observed): Lists<'a>, at: Place) {
    let place = walk.item(at);
    let mut free = vec![true; observed.len()];
    let keys = keys_of(walk, (walk.name(), (desired, observed)), at);
    let mut pairs: Vec<Option<usize>> = vec![None; desired.len()];
    for pass in [Pass::Exact, Pass::Known, Pass::Any] {
        for (index, item) in desired.iter().enumerate().filter(|(_, item)| pass == Pass::Any || !holds_unresolved(item))
        {
            let Some(slot) = pairs.get_mut(index).filter(|slot| slot.is_none()) else { continue };
            *slot = find(walk, (item, index), (observed, &free), (&keys, pass), place);
            if let Some(found) = *slot {
                take(&mut free, found);
            }
        }
    }
    if keys.is_empty() && pairs.contains(&None) && free.contains(&true) {
        rearrange(walk, (desired, observed), (&mut pairs, &mut free), place);
    }
    if walk.folds.is_some() && pairs.iter().enumerate().any(|(index, pair)| pair.is_some_and(|found| found != index)) {
        walk.fold(order_fold((at, &keys)), both, at);
    }
    if walk.folds.is_some() {
        note_provided(walk, observed, place);
    }
    let mut lost = Vec::new();
    for (index, (item, pair)) in desired.iter().zip(&pairs).enumerate() {
        match pair.and_then(|found| observed.get(found)) {
            Some(other) => walk.below(Step::Item(index), |walk| walk.value(item, other, place)),
            None => lost.push(index),
        }
    }
    let free = observed.iter().enumerate().zip(free).filter(|(_, free)| *free);
    // A tag of the provider's own counts where somebody declares it, and nowhere else.
    let left = free.filter(|((_, item), _)| !is_provided(walk, item)).map(|((index, _), _)| index).collect();
    leftover(walk, both, (lost, left), (at, &keys));
}

/// Finds partners for the items that got none because others took them first: an item that declares little fits many,
/// and must not depend on the order in which it is asked.
fn rearrange<'a>(
    walk: &mut Walk<'a>,
    lists: Lists<'a>,
    (pairs, free): (&mut Vec<Option<usize>>, &mut [bool]),
    place: Place,
) {
    // Beyond this the list has changed so much that one more pair says nothing.
    if lists.0.len() * lists.1.len() > 10_000 {
        return;
    }
    for index in 0..pairs.len() {
        if pairs.get(index) == Some(&None) {
            let mut seen = vec![false; lists.1.len()];
            give_way(walk, index, lists, (pairs, free, &mut seen), place);
        }
    }
}

/// Pairs an item, letting the one that it displaces look for another. Returns whether that went well.
fn give_way<'a>(
    walk: &mut Walk<'a>,
    index: usize,
    lists: Lists<'a>,
    (pairs, free, seen): (&mut Vec<Option<usize>>, &mut [bool], &mut [bool]),
    place: Place,
) -> bool {
    for (other, found) in lists.1.iter().enumerate() {
        let owner = pairs.iter().position(|pair| *pair == Some(other));
        let can_be_had = owner.is_some() || free.get(other) == Some(&true);
        let Some(item) = lists.0.get(index).filter(|_| can_be_had && seen.get(other) == Some(&false)) else { continue };
        if !walk.same(item, found, place) {
            continue;
        }
        seen.iter_mut().skip(other).take(1).for_each(|seen| *seen = true);
        if owner.is_none_or(|owner| give_way(walk, owner, lists, (pairs, free, seen), place)) {
            take(free, other);
            pairs.iter_mut().skip(index).take(1).for_each(|pair| *pair = Some(other));
            return true;
        }
    }
    false
}

/// Notes the items that the provider itself put into a list, where somebody asks.
fn note_provided<'a>(walk: &mut Walk<'a>, observed: &'a [Value], place: Place) {
    for (index, item) in observed.iter().enumerate().filter(|(_, item)| is_provided(walk, item)).collect::<Vec<_>>() {
        walk.below(Step::Item(index), |walk| walk.fold(Class::ProviderTag.fold(), (&Value::Null, item), place));
    }
}

/// Returns why the order of a list says nothing.
fn order_fold((at, keys): (Place, &[&str])) -> &'static str {
    if at.marks & mark::UNORDERED != 0 {
        "order means nothing (provider schema)"
    } else if at.whole {
        "order means nothing in a policy document"
    } else if keys.is_empty() {
        Class::AnyOrder.fold()
    } else {
        "order means nothing: items are matched by their key"
    }
}

/// How sure one is in a round of matching: the surest pairs are made first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Exact,
    Known,
    Any,
}

/// Returns the item that belongs to a declared one.
fn find<'a>(
    walk: &mut Walk<'a>,
    (item, index): (&'a Value, usize),
    (observed, free): (&'a [Value], &[bool]),
    (keys, pass): (&[&'a str], Pass),
    place: Place,
) -> Option<usize> {
    let mut order = std::iter::once(index).chain((0..observed.len()).filter(|other| *other != index));
    order.find(|other| {
        free.get(*other) == Some(&true)
            && observed.get(*other).is_some_and(|found| {
                if pass == Pass::Exact {
                    item == found
                } else if keys.is_empty() {
                    walk.same(item, found, place)
                } else {
                    same_keys(walk, (item, found), keys, place)
                }
            })
    })
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

fn take(free: &mut [bool], index: usize) {
    if let Some(slot) = free.get_mut(index) {
        *slot = false;
    }
}

/// Notes what has no counterpart.
fn leftover<'a>(
    walk: &mut Walk<'a>,
    both: (&'a Value, &'a Value),
    (lost, left): (Vec<usize>, Vec<usize>),
    (at, keys): (Place, &[&str]),
) {
    let (Value::Array(desired), Value::Array(observed)) = both else { return };
    let place = walk.item(at);
    let lost: Vec<usize> = lost
        .into_iter()
        .filter(|index| {
            let repeated = walk.knows(Class::Duplicate) && is_repeated(desired, *index);
            if let Some(item) = desired.get(*index).filter(|_| repeated) {
                walk.fold(Class::Duplicate.fold(), (item, &Value::Null), place);
            }
            !repeated && desired.get(*index).is_some_and(|item| !walk.is_void(item, place))
        })
        .collect();
    let left: Vec<usize> = left
        .into_iter()
        .filter(|index| observed.get(*index).is_some_and(|item| !is_elsewhere(walk, *index, item, place)))
        .collect();
    let is_strict = place.marks & mark::STRICT != 0 && !walk.probes();
    let left = if is_strict { strict::counting(walk, left, observed, place) } else { left };
    if let (&[index], &[other]) = (lost.as_slice(), left.as_slice())
        && let (Some(item @ Value::Object(_)), Some(found @ Value::Object(_))) =
            (desired.get(index), observed.get(other))
        && at.marks & mark::PARTIAL == 0
        && !is_keyed_by_server(walk, keys)
    {
        return walk.below(Step::Item(index), |walk| walk.value(item, found, place));
    }
    if is_strict && lost.is_empty() {
        return each_added(walk, &left, observed, place);
    }
    let open = is_open(walk, observed, (at, keys));
    if !lost.is_empty() || (!open && !left.is_empty()) {
        if lost.is_empty() && desired.is_empty() && walk.is_default(both.1, at) {
            return walk.fold(DEFAULT, both, at);
        }
        walk.report_because(ChangeOp::Changed, both, at, reason(lost.len(), left.len()));
    }
    if open && !is_strict {
        let worth =
            |index: &usize| observed.get(*index).is_some_and(|item| undeclared::is_item_worth_listing(walk, item, at));
        let worth: Vec<usize> = left.into_iter().filter(worth).collect();
        if at.marks & mark::DEEP != 0 && !walk.probes() {
            each_added(walk, &worth, observed, place);
        } else if !worth.is_empty() {
            walk.below(Step::Each, |walk| walk.note_undeclared(both.1, at));
        }
    }
}

/// Reports items that nobody declared, each by itself.
fn each_added<'a>(walk: &mut Walk<'a>, added: &[usize], observed: &'a [Value], place: Place) {
    for (index, item) in added.iter().filter_map(|index| Some((*index, observed.get(*index)?))) {
        walk.below(Step::Item(index), |walk| strict::added(walk, item, place));
    }
}

/// Returns whether an item was declared before: a set holds it once.
fn is_repeated(desired: &[Value], index: usize) -> bool {
    let (Some(before), Some(item)) = (desired.get(..index), desired.get(index)) else { return false };
    before.contains(item)
}

/// Returns why a list counts as changed.
fn reason(lost: usize, added: usize) -> String {
    let items = |count: usize| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
    match (lost, added) {
        (lost, 0) => format!("{} of those declared not read", items(lost)),
        (0, added) => format!("{} read that nobody declared, in a list that is one value", items(added)),
        (lost, added) => format!("{} of those declared not read, {added} others in their place", items(lost)),
    }
}

/// Returns whether an item is known to be another declaration's, and notes that it does not count.
fn is_elsewhere<'a>(walk: &mut Walk<'a>, index: usize, item: &'a Value, place: Place) -> bool {
    let is_elsewhere = is_declared_elsewhere(walk, item);
    if is_elsewhere {
        walk.below(Step::Item(index), |walk| {
            walk.fold(Class::Sibling.fold(), (&Value::Null, item), place);
        });
    }
    is_elsewhere
}

/// Returns whether the server tells items apart by these keys, so that two of other keys have nothing to do with each other.
fn is_keyed_by_server(walk: &Walk<'_>, keys: &[&str]) -> bool {
    walk.flavor == Flavor::Kubernetes && !keys.is_empty()
}

/// Returns whether another resource is known to have put an item into this list.
fn is_declared_elsewhere(walk: &Walk<'_>, item: &Value) -> bool {
    let Some(related) = walk.facts.context.related.as_object() else { return false };
    item.is_object()
        && walk.knows(Class::Sibling)
        && related.iter().filter(|(name, _)| name.starts_with("sibling")).any(|(_, value)| holds(value, item))
}

fn holds(value: &Value, item: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(|inner| holds(inner, item)),
        Value::Array(items) => items.contains(item),
        _ => false,
    }
}

/// Returns whether more items than the declared ones say nothing against what is declared.
///
/// Items that have names stand for themselves: one more says nothing about those that are declared, and is listed as
/// undeclared. A list of values without names is one value.
fn is_open(walk: &Walk<'_>, observed: &[Value], (at, keys): (Place, &[&str])) -> bool {
    !at.whole && !walk.is_document() && is_shared(walk, (walk.name(), observed), (at, keys))
}

/// Returns whether others may add items of their own to the list of that name, whose items have these keys.
pub(super) fn is_shared(walk: &Walk<'_>, (name, observed): (&str, &[Value]), (at, keys): (Place, &[&str])) -> bool {
    if at.marks & mark::ATOMIC != 0 {
        return false;
    }
    if walk.flavor == Flavor::Kubernetes && walk.is_stated(at) {
        return at.marks & (mark::SHARED | mark::PARTIAL) != 0;
    }
    at.marks & mark::PARTIAL != 0
        || match walk.flavor {
            Flavor::Kubernetes => kubernetes::list_keys(name, observed).is_some() || is_tags(name),
            _ if !walk.knows(Class::NamedItem) => false,
            flavor => {
                let named =
                    || flavor == Flavor::Aws && !keys.is_empty() && !keys.iter().any(|k| SHARED_KEYS.contains(k));
                is_tags(name) || !name.contains("nvironment") && (named() || is_bag(walk, observed))
            }
        }
}

fn is_bag(walk: &Walk<'_>, items: &[Value]) -> bool {
    let has_value = |item: &Value| BAG_VALUES.iter().any(|value| item.get(value).is_some_and(|v| !v.is_object()));
    walk.knowledge.lists(&BAG_NAMES, |name| items.iter().all(|item| item.get(name).is_some()))
        && items.iter().any(has_value)
}

/// Returns whether a list or map of this name holds tags.
pub(super) fn is_tags(name: &str) -> bool {
    name.ends_with("Tags") || name == "tags" || name.ends_with("TagList") || name.ends_with("TagSet")
}

/// Returns whether every declared tag was read, where one side is a list of pairs and the other a map.
pub(super) fn same_tags(desired: &Value, observed: &Value) -> bool {
    let (Some(desired), Some(observed)) = (tags_of(desired), tags_of(observed)) else { return false };
    desired.iter().all(|tag| observed.contains(tag))
}

fn tags_of(value: &Value) -> Option<Vec<(&str, &Value)>> {
    match value {
        Value::Object(map) => Some(map.iter().map(|(key, value)| (key.as_str(), value)).collect()),
        Value::Array(items) => {
            let field = |item: &'_ Value, names: [&str; 2]| {
                names.iter().find_map(|name| item.get(name).map(|_| (*name).to_owned()))
            };
            items
                .iter()
                .map(|item| {
                    let (key, value) = (field(item, ["Key", "key"])?, field(item, ["Value", "value"])?);
                    Some((item.get(&key)?.as_str()?, item.get(&value)?))
                })
                .collect()
        }
        _ => None,
    }
}

/// Returns whether a text is a list of words, written with commas between them.
pub(super) fn same_words(left: &Value, right: &Value) -> bool {
    let ((Value::Array(items), Value::String(text)) | (Value::String(text), Value::Array(items))) = (left, right)
    else {
        return false;
    };
    let mut words: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut listed: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    words.sort_unstable();
    listed.sort_unstable();
    listed.len() == items.len() && words == listed
}

/// Returns whether the provider itself put an item into a list of tags.
fn is_provided(walk: &Walk<'_>, item: &Value) -> bool {
    walk.flavor == Flavor::Aws && is_tags(walk.name()) && walk.knows(Class::ProviderTag) && {
        let key = item.get("Key").or_else(|| item.get("key")).or_else(|| item.get("TagKey")).and_then(Value::as_str);
        key.is_some_and(|key| key.starts_with("aws:"))
    }
}

/// Returns the attributes by which the items of two lists of that name are told apart.
pub(super) fn keys_of<'a>(walk: &Walk<'a>, (name, lists): (&str, Lists<'_>), at: Place) -> Vec<&'a str> {
    if walk.flavor == Flavor::Kubernetes {
        return kubernetes::keys_at(walk, name, lists.0, at);
    }
    key_of(walk, lists).map(|key| if key == SPACED { vec!["Namespace", key] } else { vec![key] }).unwrap_or_default()
}

/// A name that is only one together with its namespace.
const SPACED: &str = "OptionName";

/// Returns an attribute that every item of both lists has, each with another value.
fn key_of(walk: &Walk<'_>, (desired, observed): Lists<'_>) -> Option<&'static str> {
    let first = desired.first()?.as_object()?;
    walk.knowledge.find(&KEYS, |key| first.contains_key(key) && is_key(desired, key) && is_key(observed, key))
}

fn is_key(items: &[Value], key: &str) -> bool {
    if items.len() > 400 {
        return false;
    }
    let is_plain = |value: &&Value| value.is_string() || value.is_number();
    items.iter().enumerate().all(|(index, item)| {
        let Some(value) = item.get(key).filter(is_plain) else { return false };
        let before = items.get(..index).unwrap_or_default();
        !before.iter().any(|other| other.get(key) == Some(value) && space(other, key) == space(item, key))
    })
}

fn space<'v>(item: &'v Value, key: &str) -> Option<&'v Value> {
    item.get("Namespace").filter(|_| key == SPACED)
}
