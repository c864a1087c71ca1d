//! Which items of two lists belong together.
//!
//! By a key that every item has, by meaning the same, or by position where order means something. Says nothing about
//! what an item is.

use std::collections::HashSet;

use serde_json::Value;

use super::explain::DEFAULT;
use super::pairs::{Lists, Partners};
use super::walk::{Place, Step, Walk};
use super::{ChangeOp, Class, Flavor, kubernetes, policy, strict, undeclared};
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

/// Compares two lists.
pub(super) fn compare<'a>(
    walk: &mut Walk<'a>,
    both: (&'a Value, &'a Value),
    lists: (&'a Vec<Value>, &'a Vec<Value>),
    at: Place,
) {
    let lists = (lists.0.as_slice(), lists.1.as_slice());
    if walk.knows(Class::Google) && is_policy(walk) && policy::same_grants(lists) {
        return note_same_grants(walk, both, at);
    }
    if walk.probes() && lists.0 == lists.1 {
        return;
    }
    if is_ordered(walk, lists, at) {
        in_order(walk, both, lists, at);
    } else {
        matched(walk, both, lists, at);
    }
}

/// Returns whether the list at hand is what a policy of Google's grants.
fn is_policy(walk: &Walk<'_>) -> bool {
    walk.flavor == Flavor::Gcp && walk.name() == "bindings"
}

fn note_same_grants<'a>(walk: &mut Walk<'a>, both: (&'a Value, &'a Value), at: Place) {
    if both.0 != both.1 {
        walk.fold("the same grants, gathered in another way", both, at);
    }
}

fn is_ordered(walk: &Walk<'_>, lists: Lists<'_>, at: Place) -> bool {
    if at.marks & mark::ORDERED != 0 {
        return true;
    }
    if at.marks & mark::UNORDERED != 0 || at.policy {
        return false;
    }
    match walk.flavor {
        _ if walk.is_document() => true,
        Flavor::Kubernetes => {
            walk.is_stated(at)
                || (kubernetes::list_keys(walk.name(), lists.0).is_none() && !kubernetes::is_set(walk.name()))
        }
        Flavor::Other => key_of(walk, lists).is_none(),
        _ if !walk.knows(Class::AnyOrder) => true,
        _ => walk.knowledge.lists(&ORDERED, |word| word == walk.name()),
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
    let keys = keys_of(walk, (walk.name(), (desired, observed)), at);
    let Partners { pairs, free, .. } = Partners::of(walk, (desired, observed), &keys, place);
    if walk.folds.is_some() && pairs.iter().enumerate().any(|(index, pair)| pair.is_some_and(|found| found != index)) {
        walk.fold(order_fold((at, &keys)), both, at);
    }
    if walk.folds.is_some() {
        note_provided(walk, observed, place);
    }
    let mut lost = Vec::new();
    for (index, (item, pair)) in desired.iter().zip(&pairs).enumerate() {
        match pair.and_then(|found| observed.get(found)) {
            // Items without keys are partners because they were found to mean the same.
            Some(_) if walk.probes() && keys.is_empty() => {}
            Some(other) => walk.below(Step::Item(index), |walk| walk.value(item, other, place)),
            None => lost.push(index),
        }
    }
    let free = observed.iter().enumerate().zip(free).filter(|(_, free)| *free);
    // A tag of the provider's own counts where somebody declares it, and nowhere else.
    let left = free.filter(|((_, item), _)| !is_provided(walk, item)).map(|((index, _), _)| index).collect();
    leftover(walk, both, (lost, left), (at, &keys));
}

/// Returns the place of the item that each declared one is compared with.
pub(super) fn partners<'a>(walk: &mut Walk<'a>, (desired, observed): Lists<'a>, at: Place) -> Vec<Option<usize>> {
    if is_ordered(walk, (desired, observed), at) {
        let stays = desired.len() == observed.len();
        return (0..desired.len()).map(|index| stays.then_some(index)).collect();
    }
    let keys = keys_of(walk, (walk.name(), (desired, observed)), at);
    let Partners { mut pairs, free, .. } = Partners::of(walk, (desired, observed), &keys, walk.item(at));
    let counts = |(_, item): &(usize, &Value)| !is_provided(walk, item);
    let left: Vec<_> = observed.iter().enumerate().filter(counts).map(|(index, _)| index).collect();
    let left: Vec<_> = left.into_iter().filter(|index| free.get(*index) == Some(&true)).collect();
    let lost: Vec<_> = (0..pairs.len()).filter(|index| pairs.get(*index) == Some(&None)).collect();
    if let (&[index], &[other]) = (lost.as_slice(), left.as_slice())
        && is_rewritten(walk, (desired.get(index), observed.get(other)), (at, &keys))
    {
        pairs.iter_mut().skip(index).take(1).for_each(|pair| *pair = Some(other));
    }
    pairs
}

/// Returns whether the only declared item without a partner and the only observed one are taken for one that changed.
fn is_rewritten(walk: &Walk<'_>, pair: (Option<&Value>, Option<&Value>), (at, keys): (Place, &[&str])) -> bool {
    matches!(pair, (Some(Value::Object(_)), Some(Value::Object(_))))
        && at.marks & mark::PARTIAL == 0
        && !is_keyed_by_server(walk, keys)
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
    } else if at.policy {
        "order means nothing in a policy document"
    } else if keys.is_empty() {
        Class::AnyOrder.fold()
    } else {
        "order means nothing: items are matched by their key"
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
    let mut kept = if lost.is_empty() { HashSet::new() } else { kept(desired, &lost) };
    let lost: Vec<usize> = lost
        .into_iter()
        .filter(|index| {
            // A set holds an item once.
            let repeated = walk.knows(Class::Duplicate) && desired.get(*index).is_some_and(|item| !kept.insert(item));
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
        && let (Some(item), Some(found)) = (desired.get(index), observed.get(other))
        && is_rewritten(walk, (Some(item), Some(found)), (at, keys))
        // In a probe it is known already that the two differ.
        && !walk.probes()
    {
        return walk.below(Step::Item(index), |walk| walk.value(item, found, place));
    }
    if is_strict && lost.is_empty() {
        return each_added(walk, &left, observed, place);
    }
    let open = is_open(walk, observed, (at, keys));
    let (doubles, left) = if open { doubled(walk, (desired, observed), left, keys) } else { (Vec::new(), left) };
    for (index, item) in doubles.into_iter().filter_map(|index| Some((index, observed.get(index)?))) {
        walk.below(Step::Item(index), |walk| {
            walk.report_because(ChangeOp::Added, (&Value::Null, item), place, "a second item of the same key");
        });
    }
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

/// Returns the items that are not among those lost, whose indexes are in order.
fn kept<'v>(items: &'v [Value], lost: &[usize]) -> HashSet<&'v Value> {
    items.iter().enumerate().filter(|(index, _)| lost.binary_search(index).is_err()).map(|(_, item)| item).collect()
}

/// Parts items that have the key of a declared one from the others: which of two such items holds is not said, and it is
/// often the last.
fn doubled(
    walk: &Walk<'_>,
    (desired, observed): Lists<'_>,
    left: Vec<usize>,
    keys: &[&str],
) -> (Vec<usize>, Vec<usize>) {
    let own = keys_of_one(walk, desired);
    let keys = if keys.is_empty() { own.as_slice() } else { keys };
    if left.is_empty() || keys.is_empty() {
        return (Vec::new(), left);
    }
    let key = |item: &Value| keys.iter().map(|key| said_key(item, key)).collect::<Vec<_>>();
    let declared: HashSet<_> = desired.iter().map(key).collect();
    left.into_iter().partition(|index| observed.get(*index).is_some_and(|item| declared.contains(&key(item))))
}

/// Returns what an item says of a key, unless it is what it would be anyway.
fn said_key(item: &Value, key: &str) -> Option<Value> {
    item.get(key).filter(|value| !kubernetes::is_key_default(key, value)).cloned()
}

/// Returns the attributes by which the items of one list are told apart.
fn keys_of_one<'a>(walk: &Walk<'a>, items: &[Value]) -> Vec<&'a str> {
    if walk.flavor == Flavor::Kubernetes { Vec::new() } else { spaced(key_of(walk, (items, items))) }
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
    spaced(key_of(walk, lists))
}

fn spaced<'a>(key: Option<&'static str>) -> Vec<&'a str> {
    key.map(|key| if key == SPACED { vec!["Namespace", key] } else { vec![key] }).unwrap_or_default()
}

/// A name that is only one together with its namespace.
const SPACED: &str = "OptionName";

/// Returns an attribute that every item of both lists has, each with another value.
fn key_of(walk: &Walk<'_>, (desired, observed): Lists<'_>) -> Option<&'static str> {
    let first = desired.first()?.as_object()?;
    walk.knowledge.find(&KEYS, |key| first.contains_key(key) && is_key(desired, key) && is_key(observed, key))
}

fn is_key(items: &[Value], key: &str) -> bool {
    let mut seen = HashSet::with_capacity(items.len());
    let is_plain = |value: &&Value| value.is_string() || value.is_number();
    items.iter().all(|item| item.get(key).filter(is_plain).is_some_and(|value| seen.insert((value, space(item, key)))))
}

fn space<'v>(item: &'v Value, key: &str) -> Option<&'v Value> {
    item.get("Namespace").filter(|_| key == SPACED)
}
