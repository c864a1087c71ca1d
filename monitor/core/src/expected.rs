//! Everything Git asks for in one scope, found by name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::compare::{Order, Strict};
use crate::ignore::IgnoreRule;
use crate::related;
use crate::resource::{Desired, Gap, GapReason, Kind, Provider, ResourceId};
use crate::scalers::{self, Scaler, Scalers};
use crate::siblings::{self, Sibling, Siblings};

/// Which resources that Git does not declare are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Unmanaged {
    /// None.
    Ignore,
    /// Those of kinds of which Git declares at least one in the scope.
    #[default]
    DeclaredKinds,
    /// All.
    Report,
}

/// What Git asks for in one scope.
#[derive(Debug, Default)]
pub struct Expected {
    kinds: BTreeMap<Kind, ExpectedKind>,
    unmanaged: Option<Unmanaged>,
    clashes: Vec<Clash>,
    doubts: Vec<String>,
    overlooked: BTreeMap<Kind, BTreeMap<Arc<str>, Option<Arc<str>>>>,
    terms: BTreeMap<Arc<str>, Terms>,
    terms_hash: [u8; 16],
    expired: Vec<Arc<IgnoreRule>>,
}

/// A declared resource that a look does not look for: that it is not seen says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlooked {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Arc<str>,
    /// Why, for people; nothing where the look at another scope says so.
    pub why: Option<Arc<str>>,
}

/// On which terms what one source declares is compared.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Where undeclared values count, later orders over earlier ones.
    pub strict: Vec<Order>,
    /// What somebody accepted to differ.
    pub ignores: Vec<Arc<IgnoreRule>>,
}

/// One resource that Git declares twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Its kind.
    pub kind: Kind,
    /// Both places, for people.
    pub detail: String,
}

/// What Git asks for of one kind.
#[derive(Debug, Default)]
pub struct ExpectedKind {
    items: Vec<Desired>,
    by_name: HashMap<Arc<str>, usize>,
    unnamed: usize,
    hash: [u8; 16],
    names_alias: bool,
    /// Names of the attributes that any declaration has.
    attributes: BTreeSet<String>,
    siblings: OnceLock<Siblings>,
    scalers: OnceLock<Scalers>,
    /// What counts although it is not declared, by source.
    strict: BTreeMap<Arc<str>, Strict>,
}

impl Expected {
    /// Returns the index over `desired`. Of two declarations of one resource the first counts, and the clash is told.
    /// Without any source for the scope (`unmanaged` is nothing) no resource is unmanaged.
    pub fn new(desired: Vec<Desired>, unmanaged: Option<Unmanaged>) -> Self {
        let mut expected = Self { unmanaged, ..Self::default() };
        for item in desired {
            let kind = expected.kinds.entry(item.kind.clone()).or_default();
            if let Some(clash) = kind.insert(item) {
                expected.clashes.push(clash);
            }
        }
        expected.kinds.values_mut().for_each(ExpectedKind::seal);
        expected.watch();
        expected
    }

    /// Adds what Git asks for and nobody could read. While there is any of it, nothing is unmanaged and no drift that was
    /// known is over: an expectation that was not read is not an empty one.
    #[must_use]
    pub fn doubting(self, doubts: Vec<String>) -> Self {
        Self { doubts, ..self }
    }

    /// Adds what is declared and not looked for. Nothing of it is missing, and each reason becomes a gap, but the rest of
    /// its kind is as well known as ever.
    #[must_use]
    pub fn overlooking(mut self, overlooked: Vec<Overlooked>) -> Self {
        for Overlooked { kind, name, why } in overlooked {
            self.overlooked.entry(kind).or_default().insert(name, why);
        }
        self
    }

    /// Returns whether that declaration is not looked for.
    pub fn overlooks(&self, kind: &Kind, name: &str) -> bool {
        self.overlooked.get(kind).is_some_and(|names| names.contains_key(name))
    }

    /// Returns what is not looked for, as one gap for each kind and reason.
    pub fn overlooked(&self) -> Vec<Gap> {
        let mut reasons = BTreeMap::<(&Kind, &str), Vec<&str>>::new();
        for (kind, names) in &self.overlooked {
            for (name, why) in names {
                if let Some(why) = why {
                    reasons.entry((kind, why)).or_default().push(name);
                }
            }
        }
        let gap = |((kind, why), names): ((&Kind, &str), Vec<&str>)| Gap {
            kind: Some(kind.clone()),
            reason: GapReason::Partial,
            detail: format!("{} declared in Git and not looked for: {why}", counted(&names)),
        };
        reasons.into_iter().map(gap).collect()
    }

    /// Compares on these terms, by source. Rules whose time is over at `now` hide nothing.
    #[must_use]
    pub fn under(mut self, terms: BTreeMap<Arc<str>, Terms>, now: Timestamp) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        self.terms = terms;
        for terms in self.terms.values_mut() {
            self.expired.extend(terms.ignores.extract_if(.., |rule| rule.until < today));
        }
        // Debug prints every field, and is only compared with what this program printed.
        blake3::Hasher::new().update(format!("{:?}", self.terms).as_bytes()).finalize_xof().fill(&mut self.terms_hash);
        self.watch();
        self
    }

    /// Finds out what of each kind counts although it is not declared.
    fn watch(&mut self) {
        for (kind, expected) in &mut self.kinds {
            expected.watch(kind, &self.terms);
        }
    }

    /// Returns what of a kind counts although it is not declared, where this source declares it.
    pub fn strict(&self, kind: &Kind, source: &Arc<str>) -> Option<&Strict> {
        self.kind(kind)?.strict.get(source)
    }

    /// Returns the ignore rules that are in force for what this source declares.
    pub fn ignores(&self, source: &Arc<str>) -> &[Arc<IgnoreRule>] {
        self.terms.get(source).map_or(&[], |terms| &terms.ignores)
    }

    /// Returns every ignore rule, and whether its time is over.
    pub fn all_ignores(&self) -> impl Iterator<Item = (&Arc<IgnoreRule>, bool)> {
        let in_force = self.terms.values().flat_map(|terms| &terms.ignores);
        in_force.map(|rule| (rule, false)).chain(self.expired.iter().map(|rule| (rule, true)))
    }

    fn items(&self, kind: &Kind) -> &[Desired] {
        self.kind(kind).map(ExpectedKind::items).unwrap_or_default()
    }

    /// Returns what other declarations put into the resource of a kind that has these names.
    pub fn siblings<'n>(&self, kind: &Kind, names: impl Iterator<Item = &'n str>) -> Vec<&Sibling> {
        let Some(expected) = self.kind(kind) else { return Vec::new() };
        expected.siblings.get_or_init(|| Siblings::of(kind, |kind| self.items(kind))).about(names)
    }

    /// Returns what other declarations move in the resource of a kind that has these names.
    pub fn scalers<'n>(&self, kind: &Kind, names: impl Iterator<Item = &'n str>) -> Vec<&Scaler> {
        let Some(expected) = self.kind(kind) else { return Vec::new() };
        expected.scalers.get_or_init(|| Scalers::of(kind, |kind| self.items(kind))).about(names)
    }

    /// Returns a digest of everything by which resources of a kind are judged: what is asked of it, what other
    /// declarations may put into it or move in it, and on which terms.
    pub fn basis(&self, kind: &Kind) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        let givers = siblings::givers_of(kind).chain(scalers::givers_of(kind));
        for kind in std::iter::once(kind.clone()).chain(givers) {
            hasher.update(&self.kind(&kind).map(ExpectedKind::hash).unwrap_or_default());
        }
        hasher.update(&[u8::from(self.reports_unmanaged(kind)), u8::from(self.doubts.is_empty())]);
        hasher.update(&self.terms_hash);
        let mut basis = [0; 16];
        hasher.finalize_xof().fill(&mut basis);
        basis
    }

    /// Returns what Git asks for and nobody could read, for people.
    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// Returns what is asked of one kind.
    pub fn kind(&self, kind: &Kind) -> Option<&ExpectedKind> {
        self.kinds.get(kind)
    }

    /// Returns every kind that is asked for.
    pub fn kinds(&self) -> impl Iterator<Item = (&Kind, &ExpectedKind)> {
        self.kinds.iter()
    }

    /// Returns whether any declaration may name a key by an alias.
    pub fn names_alias(&self) -> bool {
        self.kinds.values().any(ExpectedKind::names_alias)
    }

    /// Returns how many resources are asked for.
    pub fn len(&self) -> usize {
        self.kinds.values().map(|kind| kind.items.len()).sum()
    }

    /// Returns whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Returns what was declared twice.
    pub fn clashes(&self) -> &[Clash] {
        &self.clashes
    }

    /// Returns whether an undeclared resource of `kind` is drift.
    pub fn reports_unmanaged(&self, kind: &Kind) -> bool {
        if !self.doubts.is_empty() {
            return false;
        }
        match self.unmanaged {
            None | Some(Unmanaged::Ignore) => false,
            // Where Git declares a resource whose name nobody knows yet, any undeclared one might be it.
            Some(Unmanaged::DeclaredKinds) => self.kind(kind).is_some_and(|kind| kind.unnamed == 0),
            Some(Unmanaged::Report) => self.kind(kind).is_none_or(|kind| kind.unnamed == 0),
        }
    }

    /// Returns the declaration of the resource of that id.
    pub fn find(&self, id: &ResourceId) -> Option<&Desired> {
        let kind = self.kind(&id.kind)?;
        kind.item(kind.find(&id.name)?)
    }
}

impl ExpectedKind {
    fn insert(&mut self, item: Desired) -> Option<Clash> {
        let at = self.items.len();
        match &item.name {
            None => self.unnamed += 1,
            Some(name) => {
                if let Some(first) = self.by_name.get(name).and_then(|at| self.items.get(*at)) {
                    let (a, b) = (&first.origin, &item.origin);
                    let detail = format!(
                        "{} `{name}` is declared in {}:{} and again in {}:{}",
                        item.kind, a.file, a.line, b.file, b.line
                    );
                    return Some(Clash { kind: item.kind, detail });
                }
                self.by_name.insert(Arc::clone(name), at);
            }
        }
        self.items.push(item);
        None
    }

    /// Adds the human part of each declared ARN as a name, where nothing else has it, digests the kind, and finds out
    /// what must be known besides it.
    fn seal(&mut self) {
        let mut hasher = blake3::Hasher::new();
        for (at, item) in self.items.iter().enumerate() {
            let name = item.name.as_deref().unwrap_or_default();
            let Desired { attributes, labels, origin, .. } = item;
            let text = attributes.to_string();
            // Labels and source decide which rules, routes and terms it falls under. Debug keeps pairs apart.
            for part in [name, &text, &format!("{labels:?}"), &origin.source] {
                hasher.update(part.as_bytes()).update(&[0]);
            }
            self.names_alias |= related::names_alias(&text);
            for name in attributes.as_object().into_iter().flat_map(|map| map.keys()) {
                if !self.attributes.contains(name) {
                    self.attributes.insert(name.clone());
                }
            }
            if let Some(short) = short_name(item.provider, name) {
                self.by_name.entry(short.into()).or_insert(at);
            }
        }
        hasher.finalize_xof().fill(&mut self.hash);
    }

    fn watch(&mut self, kind: &Kind, terms: &BTreeMap<Arc<str>, Terms>) {
        self.strict.clear();
        for item in &self.items {
            let source = &item.origin.source;
            if !self.strict.contains_key(source) {
                let orders = terms.get(source).map_or(&[][..], |terms| &terms.strict);
                self.strict.insert(Arc::clone(source), Strict::ordered(kind, orders));
            }
        }
    }

    /// Returns the position of the declaration of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Returns the declaration at a position.
    pub fn item(&self, at: usize) -> Option<&Desired> {
        self.items.get(at)
    }

    /// Returns every declaration, in the order in which they were given.
    pub fn items(&self) -> &[Desired] {
        &self.items
    }

    /// Returns the names of the attributes that a comparison may look at: those that declarations have, and those that are
    /// watched strictly. Nothing if that is any.
    pub fn attributes(&self) -> Option<BTreeSet<&str>> {
        let mut names: BTreeSet<_> = self.attributes.iter().map(String::as_str).collect();
        for strict in self.strict.values() {
            names.extend(strict.attributes()?);
        }
        Some(names)
    }

    /// Returns whether a declaration of the kind may name a key by an alias.
    pub const fn names_alias(&self) -> bool {
        self.names_alias
    }

    /// Returns a digest of everything asked of the kind.
    pub const fn hash(&self) -> [u8; 16] {
        self.hash
    }
}

/// Returns the first name and how many more there are, as the beginning of a sentence.
fn counted(names: &[&str]) -> String {
    match names {
        [] => "nothing is".to_owned(),
        [name] => format!("`{name}` is"),
        [first, more @ ..] => format!("`{first}` and {} more are", more.len()),
    }
}

fn short_name(provider: Provider, name: &str) -> Option<&str> {
    if provider != Provider::Aws || !name.starts_with("arn:") {
        return None;
    }
    name.rsplit(['/', ':']).next().filter(|short| !short.is_empty())
}
