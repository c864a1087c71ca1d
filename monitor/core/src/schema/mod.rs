//! What counts as equal for a kind, as data.
//!
//! A schema only states facts; what they mean for a comparison is decided in [`crate::compare`]. What a provider itself
//! states is read in [`cloudformation`] and [`openapi`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::resource::Kind;

pub mod cloudformation;
pub mod openapi;

/// Version of what is made of providers' schemas: what an older one made is read anew.
pub const VERSION: u32 = 2;

/// What counts as equal for the kinds of a scope. The schema of a kind of which nothing is known is empty.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    known: BTreeMap<Kind, Arc<Schema>>,
    lacking: BTreeSet<Kind>,
    nothing: Arc<Schema>,
}

impl Schemas {
    /// Returns the schemas of these kinds. Their provider states one for those in `lacking` too, and it could not be had.
    pub fn new(known: BTreeMap<Kind, Arc<Schema>>, lacking: BTreeSet<Kind>) -> Self {
        Self { known, lacking, nothing: Arc::default() }
    }

    /// Returns what counts as equal for a kind.
    pub fn of(&self, kind: &Kind) -> &Arc<Schema> {
        self.known.get(kind).unwrap_or(&self.nothing)
    }

    /// Returns for how many kinds something is known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the kinds of which their provider states a schema that could not be had.
    pub fn lacking(&self) -> impl Iterator<Item = &Kind> {
        self.lacking.iter()
    }

    /// Returns whether the provider states a schema of the kind that could not be had: what is compared without it may
    /// differ in what means nothing.
    pub fn lacks(&self, kind: &Kind) -> bool {
        self.lacking.contains(kind)
    }
}

/// Facts about a kind's attributes, as RFC 6901 pointers with `*` for "each item".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// Attributes that only the provider sets.
    pub read_only: Vec<String>,
    /// Attributes that can be set and never read back.
    pub write_only: Vec<String>,
    /// Attributes that can only be set at creation.
    pub create_only: Vec<String>,
    /// What an attribute is when nobody says.
    pub defaults: BTreeMap<String, Value>,
    /// Lists whose order means nothing.
    pub unordered: Vec<String>,
    /// Lists to which the service adds items of its own.
    pub partial: Vec<String>,
    /// Maps whose keys the user invents.
    pub free_form: Vec<String>,
    /// Lists whose items are told apart by these attributes of theirs. Others may add items of their own.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Lists whose values are told apart by themselves. Others may add values of their own.
    pub sets: Vec<String>,
    /// Lists and maps that are one value: who writes them writes all of them.
    pub atomic: Vec<String>,
    /// Amounts that are written in many ways: `1` and `1000m`.
    pub quantities: Vec<String>,
    /// Spans of time that are written in many ways: `90s` and `1m30s`.
    pub durations: Vec<String>,
    /// Bytes, written in base64.
    pub encoded: Vec<String>,
    /// Places of which the provider says that it takes anything as it comes, although it states the rest.
    pub unstated: Vec<String>,
    /// The pointers as a tree, built at first use. A schema that is changed afterwards keeps the old tree: build it
    /// whole, then compare.
    pub compiled: Compiled,
}

impl Schema {
    /// Returns the pointers as a tree.
    pub(crate) fn tree(&self) -> &Tree {
        self.compiled.0.get_or_init(|| self.build())
    }

    /// Returns whether it is stated how lists are merged, so that a list of which nothing is said is one value.
    pub(crate) fn states_lists(&self) -> bool {
        !(self.keys.is_empty() && self.sets.is_empty() && self.atomic.is_empty())
    }

    /// Returns a digest of everything that is stated.
    pub fn hash(&self) -> [u8; 32] {
        let Self { defaults, keys, .. } = self;
        let mut hasher = blake3::Hasher::new();
        for (name, _, pointers) in self.pointers() {
            add(&mut hasher, name);
            for pointer in pointers {
                add(&mut hasher, pointer);
            }
        }
        for (pointer, value) in defaults {
            add(&mut hasher, pointer);
            add(&mut hasher, &value.to_string());
        }
        for (pointer, names) in keys {
            add(&mut hasher, pointer);
            for name in names {
                add(&mut hasher, name);
            }
        }
        *hasher.finalize().as_bytes()
    }

    /// Returns the plain pointers, by field, with what they mark.
    fn pointers(&self) -> [(&'static str, u32, &[String]); 12] {
        // In full, so that a new field cannot be forgotten.
        let Self {
            read_only,
            write_only,
            create_only,
            defaults: _,
            unordered,
            partial,
            free_form,
            keys: _,
            sets,
            atomic,
            quantities,
            durations,
            encoded,
            unstated,
            compiled: _,
        } = self;
        [
            ("read_only", mark::READ_ONLY, read_only),
            ("write_only", mark::WRITE_ONLY, write_only),
            ("create_only", mark::CREATE_ONLY, create_only),
            ("unordered", mark::UNORDERED, unordered),
            ("partial", mark::PARTIAL, partial),
            ("free_form", mark::FREE_FORM, free_form),
            ("sets", mark::UNORDERED | mark::SHARED, sets),
            ("atomic", mark::ATOMIC, atomic),
            ("quantities", mark::QUANTITY, quantities),
            ("durations", mark::DURATION, durations),
            ("encoded", mark::ENCODED, encoded),
            ("unstated", mark::UNSTATED, unstated),
        ]
    }

    fn build(&self) -> Tree {
        let mut tree = Tree::default();
        for (_, marks, pointers) in self.pointers() {
            for pointer in pointers {
                tree.add(pointer, marks, None);
            }
        }
        for (pointer, value) in &self.defaults {
            tree.add(pointer, 0, Some(value));
        }
        for (pointer, keys) in &self.keys {
            tree.add(pointer, mark::UNORDERED | mark::SHARED, None);
            tree.set_keys(pointer, keys);
        }
        tree.close();
        tree
    }
}

/// Adds a text with its length, so that no two lists of texts are the same bytes.
fn add(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&text.len().to_le_bytes());
    hasher.update(text.as_bytes());
}

/// The tree of a schema, built at first use. Every two are equal: what they are built from is compared instead.
#[derive(Default)]
pub struct Compiled(OnceLock<Tree>);

impl Clone for Compiled {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Compiled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compiled")
    }
}

/// What a node of a [`Tree`] says about its attribute; a set of bits, so that two trees can be asked at once.
pub(crate) mod mark {
    pub(crate) const READ_ONLY: u32 = 1;
    pub(crate) const WRITE_ONLY: u32 = 1 << 1;
    pub(crate) const CREATE_ONLY: u32 = 1 << 2;
    pub(crate) const UNORDERED: u32 = 1 << 3;
    pub(crate) const FREE_FORM: u32 = 1 << 4;
    /// Cannot be read although the provider's schema does not say so.
    pub(crate) const NOT_READ: u32 = 1 << 5;
    /// The service or another resource adds items of its own to this list.
    pub(crate) const PARTIAL: u32 = 1 << 6;
    /// Case means nothing in this text.
    pub(crate) const CASELESS: u32 = 1 << 7;
    /// Order means something in this list.
    pub(crate) const ORDERED: u32 = 1 << 8;
    /// The service rounds this time down to the hour.
    pub(crate) const HOURLY: u32 = 1 << 9;
    /// The service chooses this value when nobody says.
    pub(crate) const GENERATED: u32 = 1 << 11;
    /// The service puts `custom:` before these names.
    pub(crate) const CUSTOM_PREFIX: u32 = 1 << 12;
    /// The default is what is usually there, not what absence means.
    pub(crate) const USUAL: u32 = 1 << 13;
    /// Others add items of their own to this list.
    pub(crate) const SHARED: u32 = 1 << 14;
    /// Who writes this writes all of it, and all that is inside.
    pub(crate) const ATOMIC: u32 = 1 << 15;
    pub(crate) const QUANTITY: u32 = 1 << 16;
    pub(crate) const DURATION: u32 = 1 << 17;
    pub(crate) const ENCODED: u32 = 1 << 18;
    /// Belongs to the template that declares the resource, and is no part of it.
    pub(crate) const TEMPLATE: u32 = 1 << 20;
    /// The provider says nothing of what is inside.
    pub(crate) const UNSTATED: u32 = 1 << 19;
    /// Counts although it is not declared.
    pub(crate) const STRICT: u32 = 1 << 29;
    /// Counts, with everything below, as far as somebody may have set it.
    pub(crate) const DEEP: u32 = 1 << 30;
    /// Does not count, whatever is said above.
    pub(crate) const LAX: u32 = 1 << 31;
}

/// What a pointer begins with that means a name at any depth.
pub(crate) const ANYWHERE: &str = "/**/";

/// Pointer patterns as a tree: one step down per attribute name, no text is parsed while comparing.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// What is said of a name at any depth.
    anywhere: BTreeMap<Box<str>, u32>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    named: BTreeMap<Box<str>, u32>,
    each: Option<u32>,
    marks: u32,
    default: Option<Value>,
    keys: Box<[Box<str>]>,
    /// Where the value is given back instead, from the object that it is declared in.
    moved: Box<[Box<str>]>,
}

/// A place in a [`Tree`]; nothing below it is said where it is none.
pub(crate) type Spot = Option<u32>;

impl Tree {
    /// Adds what is said about `pointer`; about a name at any depth where it begins with [`ANYWHERE`]. Call
    /// [`Self::close`] after the last one.
    pub(crate) fn add(&mut self, pointer: &str, marks: u32, default: Option<&Value>) {
        if let Some(name) = pointer.strip_prefix(ANYWHERE) {
            *self.anywhere.entry(unescaped(name).into()).or_default() |= marks;
            return;
        }
        let at = self.at(pointer);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.marks |= marks;
            node.default = default.cloned().or_else(|| node.default.take());
        }
    }

    /// Says by which attributes the items of the list at `pointer` are told apart.
    fn set_keys(&mut self, pointer: &str, keys: &[String]) {
        let at = self.at(pointer);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.keys = keys.iter().map(|key| key.as_str().into()).collect();
        }
    }

    /// Says that the value at `pointer` is given back at one of these places, and nowhere else.
    pub(crate) fn set_moved<'p>(&mut self, pointer: &str, places: impl Iterator<Item = &'p str>) {
        self.add(pointer, mark::NOT_READ, None);
        let at = self.at(pointer);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.moved = places.map(Into::into).collect();
        }
    }

    /// Returns the node of `pointer`, made where there is none.
    fn at(&mut self, pointer: &str) -> u32 {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for step in pointer.split('/').skip(1) {
            at = if step == "*" { self.each_of(at) } else { self.named_of(at, &unescaped(step)) };
        }
        at
    }

    /// Makes what is said of each item also hold for the items that have a name of their own.
    pub(crate) fn close(&mut self) {
        let mut next = 0_u32;
        while let Some(node) = self.nodes.get(next as usize) {
            if let Some(each) = node.each {
                for named in node.named.values().copied().collect::<Vec<_>>() {
                    self.graft(each, named, 0);
                }
            }
            next += 1;
        }
    }

    /// Returns the root, if anything is said at all.
    pub(crate) fn root(&self) -> Spot {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// Returns the place of attribute `name` below `spot`.
    pub(crate) fn named(&self, spot: Spot, name: &str) -> Spot {
        let node = self.nodes.get(spot? as usize)?;
        node.named.get(name).copied().or(node.each)
    }

    /// Returns the place of each item below `spot`.
    pub(crate) fn item(&self, spot: Spot) -> Spot {
        self.nodes.get(spot? as usize)?.each
    }

    /// Returns the marks of `spot`.
    pub(crate) fn marks(&self, spot: Spot) -> u32 {
        spot.and_then(|spot| self.nodes.get(spot as usize)).map_or(0, |node| node.marks)
    }

    /// Returns the marks of a name wherever it stands.
    pub(crate) fn marks_anywhere(&self, name: &str) -> u32 {
        if self.anywhere.is_empty() { 0 } else { self.anywhere.get(name).copied().unwrap_or_default() }
    }

    /// Returns the default of `spot`.
    pub(crate) fn default_of(&self, spot: Spot) -> Option<&Value> {
        self.nodes.get(spot? as usize)?.default.as_ref()
    }

    /// Returns the attributes by which the items of the list at `spot` are told apart; none if that is not said.
    pub(crate) fn keys_of(&self, spot: Spot) -> &[Box<str>] {
        spot.and_then(|spot| self.nodes.get(spot as usize)).map_or(&[], |node| &node.keys)
    }

    /// Returns where the value at `spot` is given back instead, from the object that it is declared in.
    pub(crate) fn moved_of(&self, spot: Spot) -> &[Box<str>] {
        spot.and_then(|spot| self.nodes.get(spot as usize)).map_or(&[], |node| &node.moved)
    }

    fn fresh(&mut self) -> u32 {
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).unwrap_or_default()
    }

    fn named_of(&mut self, at: u32, name: &str) -> u32 {
        if let Some(found) = self.nodes.get(at as usize).and_then(|node| node.named.get(name)) {
            return *found;
        }
        let fresh = self.fresh();
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.named.insert(name.into(), fresh);
        }
        fresh
    }

    fn each_of(&mut self, at: u32) -> u32 {
        if let Some(found) = self.nodes.get(at as usize).and_then(|node| node.each) {
            return found;
        }
        let fresh = self.fresh();
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.each = Some(fresh);
        }
        fresh
    }

    /// Says below `to` what is said below `from`. The depth is bounded: a schema is data of somebody else.
    fn graft(&mut self, from: u32, to: u32, depth: usize) {
        let Some(source) = self.nodes.get(from as usize).cloned() else { return };
        if from == to || depth > 32 || self.nodes.len() > 100_000 {
            return;
        }
        if let Some(node) = self.nodes.get_mut(to as usize) {
            node.marks |= source.marks;
            node.default = node.default.take().or(source.default);
            if node.keys.is_empty() {
                node.keys = source.keys;
            }
            if node.moved.is_empty() {
                node.moved = source.moved;
            }
        }
        for (name, child) in &source.named {
            let target = self.named_of(to, name);
            self.graft(*child, target, depth + 1);
        }
        if let Some(child) = source.each {
            let target = self.each_of(to);
            self.graft(child, target, depth + 1);
        }
    }
}

/// Returns one step of a pointer with `~1` and `~0` replaced.
pub(crate) fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(pointers: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for pointer in pointers {
            tree.add(pointer, mark::READ_ONLY, None);
        }
        tree.close();
        tree
    }

    fn check(tree: &Tree, path: &str, marked: bool) {
        let spot = path.split('/').skip(1).fold(tree.root(), |spot, step| tree.named(spot, &unescaped(step)));
        assert_eq!(tree.marks(spot) != 0, marked, "{path}");
    }

    #[test]
    fn a_star_is_each_item_and_each_name() {
        let tree = tree(&["/A/*/b", "/A/x/c", "/D~1e"]);
        for path in ["/A/0/b", "/A/x/b", "/A/x/c", "/D~1e"] {
            check(&tree, path, true);
        }
        for path in ["/A", "/A/0", "/A/0/c", "/B", "/D"] {
            check(&tree, path, false);
        }
    }
}
