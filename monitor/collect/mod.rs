//! Collecting: what the clouds really hold, as a stream of pages.
//!
//! A collector does no business logic. It reads kind by kind to the end and says so, or says why it could not: a failure
//! is a gap, never an absence (I1), and what was read before it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::finding::{Actor, Arisen, DriftKind};
use driftwarden_core::resource::{Depth, Gap, GapReason, Kind, Provider, ResourceId, Scope};
use driftwarden_core::schema::Schema;
use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

pub mod aws;
pub mod budget;
pub mod http;
pub mod inventory;
pub mod kubernetes;
pub mod selection;
#[cfg(test)]
pub(crate) mod wire;

/// Every type of cloud.
pub const COLLECTORS: &[CollectorType] = &[
    CollectorType::of::<aws::Config>("aws"),
    CollectorType::of::<kubernetes::Config>("kubernetes"),
    CollectorType::of::<inventory::Config>("file"),
];

/// One type of cloud.
#[derive(Debug)]
pub struct CollectorType {
    /// The word under `type` in the configuration.
    pub word: &'static str,
    /// Returns the configuration that a value (without its `type`) says.
    pub parse: fn(&Value) -> Result<Arc<dyn CloudConfig>, ParseError>,
    /// Returns the JSON schema of the configuration.
    pub schema: fn(&mut SchemaGenerator) -> schemars::Schema,
}

/// What does not fit, and where.
pub type ParseError = serde_path_to_error::Error<serde_json::Error>;

impl CollectorType {
    const fn of<T: CloudConfig + DeserializeOwned + JsonSchema + 'static>(word: &'static str) -> Self {
        Self { word, parse: parse::<T>, schema: T::json_schema }
    }
}

fn parse<T: CloudConfig + DeserializeOwned + 'static>(value: &Value) -> Result<Arc<dyn CloudConfig>, ParseError> {
    let config: T = serde_path_to_error::deserialize(value)?;
    Ok(Arc::new(config))
}

/// The configuration of one cloud.
pub trait CloudConfig: fmt::Debug + Send + Sync {
    /// Returns the name that the rest of the configuration uses.
    fn name(&self) -> &str;

    /// Returns how often it is scanned, if the configuration says so.
    fn every(&self) -> Option<SignedDuration>;

    /// Returns what reads the cloud. Contacts nobody; what can be known to be wrong is an error.
    fn build(&self) -> Result<Arc<dyn Collector>, CollectError>;
}

/// One item of a page: the provider's own JSON, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The provider's primary identifier; `namespace/name` in Kubernetes.
    pub name: Box<str>,
    /// The JSON text of its attributes.
    pub text: Box<str>,
}

/// What a collector says while it reads one scope.
#[derive(Debug)]
pub enum Read {
    /// Some resources of one kind. The same kind may come in many pages.
    Page {
        /// Their kind.
        kind: Kind,
        /// How much of each was read.
        depth: Depth,
        /// The resources.
        items: Vec<Item>,
    },
    /// Some resources of one kind that were not read again: they are known to be as the last look saw them, until then.
    Kept {
        /// Their kind.
        kind: Kind,
        /// What they are called.
        names: Vec<Box<str>>,
        /// Until when that is known.
        as_of: Timestamp,
    },
    /// All resources of one kind that the last look saw: there is none besides, and they are as they were, until then.
    KeptAll {
        /// Their kind.
        kind: Kind,
        /// Until when that is known.
        as_of: Timestamp,
    },
    /// Every page of the kind was read and nothing was denied: its absences prove something.
    Complete(Kind),
    /// The kind, or everything, was not read to the end.
    Gap(Gap),
}

/// Where a collector's pages go; waits while the reader is behind.
pub type Sink = mpsc::Sender<Read>;

/// What the reader wants to know of a scope.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Kinds whose every attribute matters, because Git declares some or a rule looks at them. Of all others, a listing
    /// is enough.
    pub full: BTreeSet<Kind>,
    /// Of some of these, the attributes that matter, where not all do.
    pub attributes: BTreeMap<Kind, BTreeSet<Box<str>>>,
    /// Whether what is asked for may be called by a name that people use instead of its identifier: then only a list proves that
    /// there is none.
    pub by_any_name: bool,
    /// Since when a list must have been read to tell of what is asked for; without it, one is read for that alone.
    pub since: Option<Timestamp>,
    /// When the look began.
    pub began: Timestamp,
    /// Kinds of which everything is remembered and would be judged as it was, and when the look began that last saw to it. What
    /// is known to be as that look saw it may be kept instead of read.
    pub remembered: BTreeMap<Kind, Timestamp>,
}

impl Wanted {
    /// Returns whether an attribute of a kind matters. Labels always do: they say whose a resource is.
    pub fn wants(&self, kind: &Kind, attribute: &str) -> bool {
        let matters = |names: &BTreeSet<Box<str>>| names.contains(attribute) || attribute.ends_with("Tags");
        self.full.contains(kind) && self.attributes.get(kind).is_none_or(matters)
    }
}

/// What an exact re-read of one resource found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It is there; the JSON text of its attributes, and how much was read.
    Found(Box<str>, Depth),
    /// The provider says that there is none of that name, and said so to a credential that may look.
    Absent,
}

/// What writing a declaration would make of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rehearsal {
    /// The provider said it, and wrote nothing.
    Played {
        /// The JSON text of the resource as it is.
        before: Box<str>,
        /// The JSON text of the resource as it would be.
        after: Box<str>,
    },
    /// It could not be asked.
    Impossible {
        /// Why.
        why: String,
        /// The JSON text of the resource as it is, in the form in which it is declared, where at least that was read.
        before: Option<Box<str>>,
    },
}

/// A difference of which it is asked who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// What differs.
    pub resource: ResourceId,
    /// In which way.
    pub drift: DriftKind,
    /// The attributes that differ: RFC 6901 pointers.
    pub paths: Vec<String>,
    /// When it came to be.
    pub arisen: Arisen,
}

/// Where and how long what a provider states of a kind holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// Where: what is read once holds in every scope of the same realm.
    pub realm: Arc<str>,
    /// How long.
    pub life: SignedDuration,
}

/// What a provider states of one kind.
#[derive(Debug)]
pub struct Described {
    /// Which kind.
    pub kind: Kind,
    /// What counts as equal for it, or why that is not known.
    pub schema: Result<Schema, CollectError>,
}

/// What credentials must be allowed, so that a cloud can be read.
#[derive(Debug, Default)]
pub struct Grants {
    /// Who needs which policy, in the provider's own form.
    pub policies: Vec<(String, Value)>,
    /// The kinds of which the provider does not say what reading them needs, and why not.
    pub unknown: BTreeMap<Kind, String>,
    /// What the policies do not cover.
    pub remark: Option<String>,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A read ended early, for the reason of the gap.
    #[error("failed to read {what}")]
    Unread {
        /// What was being read.
        what: String,
        /// The gap that this leaves.
        reason: GapReason,
        /// What happened.
        #[source]
        source: anyhow::Error,
    },
    /// The cloud cannot be used as configured.
    #[error("invalid configuration of cloud `{cloud}`: {why}")]
    Config {
        /// Name of the configured cloud.
        cloud: String,
        /// What is wrong and what to do.
        why: String,
    },
}

impl CollectError {
    /// Returns the reason of the gap that this error leaves.
    pub fn reason(&self) -> GapReason {
        match self {
            Self::Unread { reason, .. } => *reason,
            Self::Config { .. } => GapReason::Denied,
        }
    }
}

/// One configured cloud.
#[async_trait]
pub trait Collector: Send + Sync {
    /// Returns the sort of system that is read.
    fn provider(&self) -> Provider;

    /// Returns the scopes that the credentials can read. An account that cannot be entered is a scope that will be a gap.
    async fn scopes(&self) -> Result<Vec<Scope>, CollectError>;

    /// Asks for as little as shows that the cloud can be reached and lets us in.
    async fn contact(&self) -> Result<(), CollectError> {
        self.scopes().await.map(drop)
    }

    /// Returns what the credentials must be allowed to read these kinds, and whatever else the configuration has read;
    /// nothing for systems without such policies.
    async fn permissions(&self, _kinds: &BTreeSet<Kind>) -> Result<Option<Grants>, CollectError> {
        Ok(None)
    }

    /// Reads everything in the scope and tells it to `sink`, kind by kind. Returns when all was said; an error of any
    /// kind is said as a gap. A closed sink means that nobody listens any more: return early.
    async fn collect(&self, scope: &Scope, wanted: &Wanted, sink: Sink);

    /// Reads one resource exactly and freshly, to confirm a suspicion; of its attributes at least those that are wanted.
    async fn read(&self, id: &ResourceId, wanted: &Wanted) -> Result<Reading, CollectError>;

    /// Is told that a look at the scope is over: what was kept for its exact looks is of no use any more.
    fn forget(&self, _scope: &Scope) {}

    /// Asks the provider what writing a declaration would make of a resource that is there, without writing anything.
    /// Nothing where the provider has no such thing. What is declared goes to that provider and to nobody else.
    async fn rehearse(&self, _id: &ResourceId, _declared: &Value) -> Option<Rehearsal> {
        None
    }

    /// Asks the provider's log who did these deeds, and returns an actor for each, in their order; none at all where there
    /// is no such log. Logs are late and may be closed to us: whom it does not name is unknown, and why is said in our own.
    async fn authors(&self, _scope: &Scope, _deeds: &[Deed]) -> Vec<Actor> {
        Vec::new()
    }

    /// Returns whether two readings of one resource surely show the same write of it.
    fn is_same_write(&self, _one: &str, _other: &str) -> bool {
        false
    }

    /// Returns where and how long what the provider states of a kind holds, or nothing if it states nothing of it.
    fn validity(&self, _scope: &Scope, _kind: &Kind) -> Option<Validity> {
        None
    }

    /// Asks the provider what counts as equal for each of these kinds and tells `sink`, kind by kind. Only asked of kinds
    /// that have a [`Validity`].
    async fn describe(&self, _scope: &Scope, _kinds: &[Kind], _sink: mpsc::Sender<Described>) {}

    /// Returns the key that each alias of one in the scope stands for, where a provider has such aliases. Only asked where a
    /// declaration names one.
    async fn key_aliases(&self, _scope: &Scope) -> Result<BTreeMap<String, String>, CollectError> {
        Ok(BTreeMap::new())
    }

    /// Returns why the configuration leaves a resource out, although its kind is read. It is not looked at, so that it is
    /// not seen says nothing.
    fn leaves_out(&self, _kind: &Kind, _name: &str) -> Option<String> {
        None
    }

    /// Says whenever something of these kinds has changed, as far as the cloud tells that by itself. Never ends, and says
    /// nothing of what has changed: that is found out by reading.
    async fn watch(&self, _kinds: &BTreeSet<Kind>, _changed: &Notify) {
        std::future::pending::<()>().await;
    }

    /// Returns what CloudFormation knows of a stack, for clouds that have stacks.
    async fn stack(&self, _scope: &Scope, _stack: &str) -> Result<Option<Stack>, CollectError> {
        Ok(None)
    }
}

/// A deployed CloudFormation stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Physical id of each logical id.
    pub resources: std::collections::BTreeMap<String, String>,
    /// Values of the parameters as deployed, without those that hide theirs (`NoEcho`).
    pub parameters: std::collections::BTreeMap<String, String>,
    /// Exports of all stacks in the scope, for `Fn::ImportValue`.
    pub exports: std::collections::BTreeMap<String, String>,
    /// The stack's own id (ARN).
    pub id: String,
}
