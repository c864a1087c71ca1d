//! Drift of one resource: what Git declares against what was read.
//!
//! Only what is declared is compared. The answer is one of three, never two: what was not read, is write-only or could
//! not be resolved is unknown, neither drift nor in sync. What counts as equal is data ([`crate::schema`]).

mod apply;
mod explain;
mod filling;
mod ignore;
mod knowledge;
mod kubernetes;
mod list;
mod owner;
mod pairs;
mod policy;
mod quantity;
mod remedy;
mod scalar;
mod scaler;
pub(crate) mod sensitive;
mod strict;
mod table;
mod text;
mod undeclared;
mod unsaid;
mod walk;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::resource::{Depth, Kind};
use crate::schema::Schema;

pub use apply::apply;
pub use explain::Fold;
pub use ignore::Ignore;
pub use knowledge::{Class, Knowledge, Part};
pub use remedy::{Patch, patch, writable};
pub use sensitive::masked;
pub use strict::{Order, Strict, Strictly, Watch};
pub use table::Fact;

/// What the world says about a resource besides its own attributes.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Account, subscription, project or cluster.
    pub account: String,
    /// Region, or `-`.
    pub region: String,
    /// The provider's primary identifier.
    pub id: String,
    /// Facts about other resources (alias targets, stack tags), by name.
    pub related: Arc<Value>,
}

/// Everything the comparison may look at besides the two values.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The provider's own type name.
    pub kind: &'a Kind,
    /// What counts as equal for the kind.
    pub schema: &'a Schema,
    /// What the world says.
    pub context: &'a Context,
    /// How much was read.
    pub depth: Depth,
    /// Key of the digests that stand for sensitive values.
    pub mask: &'a MaskKey,
    /// What counts although Git does not declare it.
    pub strictly: Strictly<'a>,
}

#[cfg(test)]
impl<'a> Facts<'a> {
    /// Returns the facts of a resource that was read whole, watched no more strictly than declared.
    fn of(kind: &'a Kind, schema: &'a Schema, context: &'a Context, mask: &'a MaskKey) -> Self {
        Self { kind, schema, context, depth: Depth::Full, mask, strictly: Strictly::default() }
    }
}

/// Key under which sensitive values are digested: the same secret looks the same, different ones look different, and
/// neither can be guessed from the digest without the key.
#[derive(Clone)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// Returns the key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the text that stands for a sensitive value.
    pub fn mask(&self, value: &Value) -> Value {
        let digest = blake3::keyed_hash(&self.0, value.to_string().as_bytes()).to_hex();
        Value::String(format!("(sensitive {})", digest.get(..12).unwrap_or_default()))
    }
}

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}

/// What happened to a declared value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeOp {
    /// Another value was read.
    Changed,
    /// Nothing was read where Git declares something.
    Removed,
    /// Something was read that Git, watching strictly, does not declare.
    Added,
}

impl ChangeOp {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Added => "added",
        }
    }
}

/// One difference. Sensitive values are already masked here.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// RFC 6901 pointer into the declared value (into the observed one for `Added`).
    pub path: String,
    /// What happened.
    pub op: ChangeOp,
    /// What Git says; null for `Added`.
    pub desired: Value,
    /// What was read; null for `Removed`.
    pub observed: Value,
    /// Whether both values were replaced by digests.
    pub sensitive: bool,
    /// Why the difference counts, for people.
    pub reason: Cow<'static, str>,
    /// Who owns the field, where the provider keeps account of that: names that the owners gave themselves.
    pub owner: Option<String>,
}

/// A declared value about which nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// RFC 6901 pointer into the declared value.
    pub path: String,
    /// Why: `write_only`, `unresolved`, `not_read`, `autoscaled`.
    pub reason: &'static str,
}

/// The three answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Everything declared was read and is as declared.
    InSync,
    /// Something declared is different.
    Drifted,
    /// Nothing is different, but not everything could be looked at.
    Unknown,
}

impl Answer {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }
}

/// What comparing one resource gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Drift, in the order of the paths.
    pub changes: Vec<Change>,
    /// Pointers of what was read and is not declared.
    pub undeclared: Vec<String>,
    /// What could not be looked at.
    pub unknown: Vec<Unknown>,
}

impl Comparison {
    /// Returns which of the three answers this is.
    pub fn answer(&self) -> Answer {
        if !self.changes.is_empty() {
            Answer::Drifted
        } else if self.unknown.is_empty() {
            Answer::InSync
        } else {
            Answer::Unknown
        }
    }
}

/// All that is known.
static WHOLE: Knowledge = Knowledge::WHOLE;

/// Compares what Git declares with what was read.
pub fn compare(desired: &Value, observed: &Value, facts: Facts<'_>) -> Comparison {
    compare_knowing(desired, observed, facts, &WHOLE)
}

/// Compares as if no more were known than `knowledge`: to measure what its parts are worth.
pub fn compare_knowing(desired: &Value, observed: &Value, facts: Facts<'_>, knowledge: &Knowledge) -> Comparison {
    walk::Walk::of(facts, knowledge).run(&filling::filled(desired), observed).0
}

/// Compares, and says of every difference in writing that does not count why it does not.
pub fn explain(desired: &Value, observed: &Value, facts: Facts<'_>) -> (Comparison, Vec<Fold>) {
    static WHOLE: Knowledge = Knowledge::WHOLE;
    walk::Walk::of(facts, &WHOLE).listening().run(&filling::filled(desired), observed)
}

/// The provider's way of answering, as far as it changes what two values mean to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    Aws,
    Azure,
    Gcp,
    Kubernetes,
    Other,
}

impl Flavor {
    /// Returns the flavor of a kind's name: every provider names its kinds in its own way.
    pub(crate) fn of(kind: &str) -> Self {
        let last = kind.rsplit('/').next().unwrap_or(kind);
        if kind.contains("::") {
            Self::Aws
        } else if kind.contains(".googleapis.com/") {
            Self::Gcp
        } else if kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("microsoft.")) {
            Self::Azure
        } else if last.starts_with(|c: char| c.is_ascii_uppercase()) {
            Self::Kubernetes
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod tests;
