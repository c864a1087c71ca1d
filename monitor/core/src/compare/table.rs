//! Facts about single kinds that no provider's schema states, each with its reason.
//!
//! The last resort: what is true of a class of values belongs in [`super::scalar`] or [`super::list`]. One fact a line in
//! `facts/`: kind, pointer, what it says, reason; parted by tabs, in the order of the kinds. What a line can say is in
//! [`WORDS`].

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::Flavor;
use crate::schema::{ANYWHERE, Tree, mark};

/// The facts about the kinds of each cloud.
const TABLES: [&str; 3] =
    [include_str!("facts/aws.tsv"), include_str!("facts/azure.tsv"), include_str!("facts/gcp.tsv")];

/// What stands for every kind of a cloud.
const AZURE: &str = "microsoft.*";
const GOOGLE: &str = "*.googleapis.com/*";

/// What a line may say, besides `default=` and `usual=` with JSON and [`MOVED`] with places.
const WORDS: [(&str, u32); 12] = [
    // Only the provider sets it.
    ("read_only", mark::READ_ONLY),
    ("template", mark::TEMPLATE),
    // The keys are the user's own.
    ("free_form", mark::FREE_FORM),
    // Not read back although the schema does not say so.
    ("not_read", mark::NOT_READ),
    // The service or other resources add items: more than the declared ones is no drift.
    ("partial", mark::PARTIAL),
    // The same, and what is added is no news: every setting is given back, whether declared or not.
    ("filled", mark::PARTIAL | mark::GENERATED),
    // Chosen by the service when nobody says.
    ("generated", mark::GENERATED),
    ("caseless", mark::CASELESS),
    ("ordered", mark::ORDERED),
    ("unordered", mark::UNORDERED),
    // Rounded down to the hour.
    ("hourly", mark::HOURLY),
    ("custom_prefix", mark::CUSTOM_PREFIX),
];

/// What is declared here is given back at another place: at one of these, parted by `|`, from the object that it is
/// declared in. `*` is the only item of a list.
const MOVED: &str = "moved=";

/// One reviewed fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// The provider's own type name.
    pub kind: &'static str,
    /// Where it holds: a pointer with `*` for each item.
    pub pointer: &'static str,
    /// What it says, in the words of the table.
    pub says: &'static str,
    /// Why this is so; a fact nobody can explain is not one.
    pub reason: &'static str,
}

impl Fact {
    fn of(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (kind, pointer, says) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { kind, pointer, says, reason: fields.next()? })
    }

    /// Returns whether the fact is about a kind: by its name, or with every kind of its cloud.
    fn is_about(&self, kind: &str) -> bool {
        let is_azure = || Flavor::of(kind) == Flavor::Azure;
        match self.kind {
            AZURE => is_azure(),
            GOOGLE => Flavor::of(kind) == Flavor::Gcp,
            own => own == kind || own.eq_ignore_ascii_case(kind) && is_azure(),
        }
    }

    fn add_to(self, tree: &mut Tree) {
        if let Some(places) = self.says.strip_prefix(MOVED) {
            return tree.set_moved(self.pointer, places.split('|'));
        }
        match value(self.says) {
            Some((json, marks)) => tree.add(self.pointer, marks, serde_json::from_str::<Value>(json).ok().as_ref()),
            None => tree.add(self.pointer, marks(self.says).unwrap_or_default(), None),
        }
    }
}

/// Returns the value that a line speaks of: what absence means, or what is usually there when nobody says.
fn value(says: &str) -> Option<(&str, u32)> {
    says.strip_prefix("default=").map(|json| (json, 0)).or_else(|| Some((says.strip_prefix("usual=")?, mark::USUAL)))
}

fn marks(word: &str) -> Option<u32> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, marks)| *marks)
}

/// Services of Amazon that keep the names of their resources in lower case.
pub(super) const LOWERS_NAMES: [&str; 12] = [
    "DAX",
    "DMS",
    "DocDB",
    "DocDBElastic",
    "ElastiCache",
    "Glue",
    "LakeFormation",
    "MemoryDB",
    "Neptune",
    "RDS",
    "Redshift",
    "RedshiftServerless",
];

/// Attributes that only say how to carry out an operation: what to start from, how an address is chosen, what to do to
/// what was there before. The schemas of many kinds call them write-only and those of a few forget to.
pub(super) const INSTRUCTIONS: [&str; 47] = [
    "AcceptLanguage",
    "AllowMajorVersionUpgrade",
    "ApplyImmediately",
    "AttributesToDelete",
    "BodyS3Location",
    "CertificateRotationRestart",
    "ClientRequestToken",
    "ClientToken",
    "CodeS3Location",
    "CreatorRequestId",
    "DBClusterSnapshotIdentifier",
    "DBSnapshotIdentifier",
    "DefinitionS3Location",
    "DefinitionSubstitutions",
    "DefinitionUri",
    "DeleteAutomatedBackups",
    "DeleteReports",
    "EnableDefaultStandards",
    "ExcludeRetainedVariantProperties",
    "FailOnWarnings",
    "FinalSnapshotName",
    "ForceDelete",
    "ForceUpdateEnabled",
    "HostedRotationLambda",
    "MessageAction",
    "PendingWindowInDays",
    "PreserveOnDelete",
    "RequestMappingTemplateS3Location",
    "ResolveConflicts",
    "ResourcesToReplicateTags",
    "ResponseMappingTemplateS3Location",
    "RestoreToTime",
    "RestoreType",
    "RetainAllVariantProperties",
    "RotateImmediatelyOnUpdate",
    "SeedCapacity",
    "SkipResourceInUseCheckOnDelete",
    "SnapshotIdentifier",
    "SnapshotName",
    "SourceDBClusterIdentifier",
    "SourceRegion",
    "StartCanaryAfterCreation",
    "TemplateBody",
    "TemplateURL",
    "UseDefaultProcessorFeatures",
    "UseLatestRestorableTime",
    "ValidationStrategy",
];

/// Returns every fact, in the order of the table.
pub(super) fn facts() -> impl Iterator<Item = Fact> {
    TABLES.into_iter().flat_map(str::lines).filter_map(Fact::of)
}

/// Returns why something is known of the attribute at `path`, if a fact is about it.
pub(super) fn reason(kind: &str, path: &str) -> Option<&'static str> {
    facts().find(|fact| fact.is_about(kind) && names(fact.pointer, path)).map(|fact| fact.reason)
}

/// Returns whether a pointer with `*` for "each item" names exactly `path`.
pub(super) fn names(pointer: &str, path: &str) -> bool {
    if let Some(name) = pointer.strip_prefix(ANYWHERE) {
        return path.rsplit('/').next() == Some(name);
    }
    pointer.split('/').count() == path.split('/').count()
        && pointer.split('/').zip(path.split('/')).all(|(wanted, step)| wanted == "*" || wanted == step)
}

/// Returns what is known of a kind. Azure writes its kinds in any case, the table in lower case.
pub(super) fn of(kind: &str) -> &'static Tree {
    static TREES: LazyLock<HashMap<&'static str, Tree>> = LazyLock::new(trees);
    let found = match Flavor::of(kind) {
        Flavor::Azure => TREES.get(kind.to_ascii_lowercase().as_str()).or_else(|| TREES.get(AZURE)),
        Flavor::Gcp => TREES.get(kind).or_else(|| TREES.get(GOOGLE)),
        _ => TREES.get(kind),
    };
    found.unwrap_or_else(nothing)
}

/// Returns what is known of no kind.
pub(super) fn nothing() -> &'static Tree {
    static EMPTY: LazyLock<Tree> = LazyLock::new(Tree::default);
    &EMPTY
}

/// Returns what would be known of the kind of `hidden` without it.
pub(super) fn without(hidden: Fact) -> Tree {
    let mut tree = Tree::default();
    for fact in facts().filter(|fact| fact.is_about(hidden.kind) && *fact != hidden) {
        fact.add_to(&mut tree);
    }
    tree.close();
    tree
}

fn trees() -> HashMap<&'static str, Tree> {
    let mut trees: HashMap<&'static str, Tree> = facts().map(|fact| (fact.kind, Tree::default())).collect();
    for (kind, tree) in &mut trees {
        facts().filter(|fact| fact.is_about(kind)).for_each(|fact| fact.add_to(tree));
        tree.close();
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_fact_with_a_reason() {
        for line in TABLES.into_iter().flat_map(str::lines) {
            let fact = Fact::of(line).unwrap();
            assert_eq!(line.split('\t').count(), 4, "{line}");
            assert!(fact.reason.len() > 10 && fact.pointer.starts_with('/'), "{line}");
            let known = match value(fact.says) {
                Some((json, _)) => serde_json::from_str::<Value>(json).is_ok(),
                None => marks(fact.says).is_some() || fact.says.strip_prefix(MOVED).is_some_and(|to| !to.is_empty()),
            };
            assert!(known, "{line}");
        }
    }

    #[test]
    fn facts_are_in_order_and_said_once() {
        for table in TABLES {
            let names: Vec<_> = table.lines().filter_map(Fact::of).map(|fact| (fact.kind, fact.pointer)).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "{:?}", names.windows(2).find(|pair| pair[0] >= pair[1]));
        }
    }
}
