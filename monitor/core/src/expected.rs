//! Everything Git asks for in one scope, found by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::resource::{Desired, Kind, Provider, ResourceId};

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
        expected
    }

    /// Adds what Git asks for and nobody could read. While there is any of it, nothing is unmanaged and no drift that was
    /// known is over: an expectation that was not read is not an empty one.
    #[must_use]
    pub fn doubting(self, doubts: Vec<String>) -> Self {
        Self { doubts, ..self }
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

    /// Adds the human part of each declared ARN as a name, where nothing else has it, and digests the kind.
    fn seal(&mut self) {
        let mut hasher = blake3::Hasher::new();
        for (at, item) in self.items.iter().enumerate() {
            let name = item.name.as_deref().unwrap_or_default();
            hasher.update(name.as_bytes()).update(&[0]).update(item.attributes.to_string().as_bytes()).update(&[0]);
            if let Some(short) = short_name(item.provider, name) {
                self.by_name.entry(short.into()).or_insert(at);
            }
        }
        hasher.finalize_xof().fill(&mut self.hash);
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

    /// Returns a digest of everything asked of the kind.
    pub const fn hash(&self) -> [u8; 16] {
        self.hash
    }
}

fn short_name(provider: Provider, name: &str) -> Option<&str> {
    if provider != Provider::Aws || !name.starts_with("arn:") {
        return None;
    }
    name.rsplit(['/', ':']).next().filter(|short| !short.is_empty())
}
