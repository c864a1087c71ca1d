//! What need not be read again, because it is known to be as it was.
//!
//! AWS keeps a log of the calls that change something, in every account, whether anybody asked for it or not: CloudTrail's event
//! history. A kind that changes by such calls alone ([`TOLD`]), and of which the log tells nothing since it was last read, is as it
//! was then, up to the time by which the log may be late. Every other kind is read, and now and then these are, too.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};

use driftwarden_core::resource::{Kind, NOT_APPLICABLE, Scope};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::call::Caller;
use super::direct::shape::at;
use super::trail::{Touched, Written};
use crate::collect::Wanted;

/// By how much the log may be late, and a resource may still be changing after the call that changed it.
const LAG: SignedDuration = SignedDuration::from_mins(15);

/// The kinds of which the log tells all: what they are is changed by calls alone, made in their own account and in the region
/// that is asked, and at once. What other accounts, time or AWS itself may change is not among them.
const TOLD: &[&str] = &[
    "AWS::ApiGateway::RestApi",
    "AWS::AutoScaling::LaunchConfiguration",
    "AWS::CloudFront::Distribution",
    "AWS::CloudWatch::Alarm",
    "AWS::Config::ConfigurationRecorder",
    "AWS::Config::DeliveryChannel",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NatGateway",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::ECR::Repository",
    "AWS::ECS::Cluster",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::IAM::Group",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::IAM::User",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBClusterSnapshot",
    "AWS::RDS::DBSnapshot",
    "AWS::RDS::DBSubnetGroup",
    "AWS::Route53::RecordSet",
    "AWS::S3::Bucket",
    "AWS::S3::BucketAcl",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue",
];

/// Of which resources of those kinds the log does not tell all, by what their direct paths show of them.
const RESTLESS: &[(&str, IsRestless)] = &[
    // One that failed goes away by itself, and one for a whole region grows into zones by itself.
    ("AWS::EC2::NatGateway", |gateway| {
        is_not(gateway, "state", "available") || at(gateway, "availabilityMode").is_some_and(|mode| mode == "regional")
    }),
    // A store of one's own loses its connection, and what several regions share is changed in one of them.
    ("AWS::KMS::Key", |key| {
        at(key, "MultiRegion").is_none_or(|is_shared| *is_shared != false)
            || (is_not(key, "Origin", "AWS_KMS") && is_not(key, "Origin", "EXTERNAL"))
    }),
    // What is being made is not yet what it will be.
    ("AWS::RDS::DBClusterSnapshot", |snapshot| is_not(snapshot, "Status", "available")),
    ("AWS::RDS::DBSnapshot", |snapshot| is_not(snapshot, "Status", "available")),
    // The service for which a zone was made writes into it.
    ("AWS::Route53::RecordSet", |record| at(record, "^.LinkedService").is_some_and(|service| !service.is_null())),
];

type IsRestless = fn(&Value) -> bool;

fn is_not(thing: &Value, path: &str, word: &str) -> bool {
    at(thing, path).is_none_or(|said| said != word)
}

/// What a scan reads of what the one before has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rescan {
    /// Everything.
    All,
    /// Every list, and the details of what was written since or is listed otherwise than before.
    #[default]
    Lists,
    /// Only the kinds of services that were written to.
    Events,
}

/// What was last read of each scope.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Scope, HashMap<Kind, Remembered>>>);

/// What was last read of one kind.
struct Remembered {
    /// When the look began that last saw to it.
    look: Timestamp,
    /// When the look began that last read all of it.
    read: Timestamp,
    /// Which attributes mattered.
    interest: u64,
    /// Whether there is something among it of which the log does not tell all.
    is_restless: bool,
    /// Digest of what the list showed of each resource.
    things: HashMap<Box<str>, Digest>,
}

pub(super) type Digest = [u8; 16];

/// Returns the digest of what a list shows of a resource.
pub(super) fn digest(shown: &[u8]) -> Digest {
    let mut digest = Digest::default();
    blake3::Hasher::new().update(shown).finalize_xof().fill(&mut digest);
    digest
}

/// One look at one scope.
pub(super) struct Again<'a> {
    memory: &'a Memory,
    scope: &'a Scope,
    wanted: &'a Wanted,
    rescan: Rescan,
    /// What was written since the looks before; nothing where that is not known.
    written: Option<Written>,
    /// Whether global services leave their events where they are asked for.
    tells_of_global: bool,
}

/// How a kind is to be read.
pub(super) enum Way {
    /// Not at all: it is as it was.
    Keep,
    /// As far as the ledger does not know better.
    Read(Ledger),
}

/// What is known of the resources of one kind, and what is learned of them.
pub(super) struct Ledger {
    /// Until when what was not read again is known to be as it was.
    pub(super) as_of: Timestamp,
    /// When the look began that last read all of it.
    read: Timestamp,
    before: HashMap<Box<str>, Digest>,
    /// Nothing where nobody will ask for it.
    now: Option<Mutex<HashMap<Box<str>, Digest>>>,
    /// How to know what the log does not tell all of, and whether there was some.
    restless: (Option<IsRestless>, AtomicBool),
}

impl Ledger {
    /// Returns whether a thing may change although the log tells of nothing; it makes its kind one that is always listed.
    pub(super) fn is_restless(&self, thing: &Value) -> bool {
        let (is_restless, seen) = &self.restless;
        let is_restless = is_restless.is_some_and(|is_restless| is_restless(thing));
        seen.fetch_or(is_restless, Ordering::Relaxed);
        is_restless
    }

    /// Notes the digest of what the list shows of a resource; returns whether it is as it was.
    pub(super) fn is_same(&self, name: &str, digest: impl FnOnce() -> Digest) -> bool {
        let Some(now) = &self.now else { return false };
        let digest = digest();
        now.lock().insert(name.into(), digest);
        self.before.get(name) == Some(&digest)
    }
}

impl<'a> Again<'a> {
    /// Asks the log, if there is anything of which it may tell that it need not be read.
    pub(super) async fn begin(
        (memory, rescan, all_every): (&'a Memory, Rescan, SignedDuration),
        (scope, wanted): (&'a Scope, &'a Wanted),
        caller: &Caller,
    ) -> Self {
        let since = memory.retain(scope, |kind, known| {
            let is_due = wanted.began.duration_since(known.read) >= all_every;
            let is_agreed = wanted.remembered.get(kind) == Some(&known.look) && known.look <= wanted.began;
            rescan != Rescan::All && !is_due && is_agreed && known.interest == interest(wanted, kind)
        });
        let written = match since {
            // By a clock that is wrong nobody knows what came before what.
            _ if caller.signer.is_skewed() => None,
            None => None,
            Some(since) => {
                // Our own readings are events: while they may still be on their way, older ones must do.
                let is_long = wanted.began.duration_since(since) > LAG;
                let alive = if is_long { since } else { before(since) };
                let asked = Written::between(caller, (before(since), wanted.began), alive).await;
                asked
                    .inspect_err(|error| tracing::debug!(%scope, error = error.detail, "reading everything again"))
                    .ok()
            }
        };
        let tells_of_global = !caller.region.starts_with("cn-");
        Self { memory, scope, wanted, rescan, written, tells_of_global }
    }

    fn is_told(&self, kind: &Kind) -> bool {
        let is_here = *self.scope.region != *NOT_APPLICABLE || self.tells_of_global;
        self.rescan != Rescan::All && is_here && TOLD.contains(&kind.as_str())
    }

    /// Returns how a kind is to be read, by a direct path or not.
    pub(super) fn way(&self, kind: &Kind, is_direct: bool) -> Way {
        let began = self.wanted.began;
        let is_restless = RESTLESS.iter().find(|(of, _)| *of == kind.as_str()).map(|(_, is_restless)| *is_restless);
        // What makes one restless is seen only on a direct path.
        let is_told = self.is_told(kind) && (is_direct || is_restless.is_none());
        let restless = || (is_restless, AtomicBool::default());
        let now = || is_told.then(Mutex::default);
        let anew =
            || Ledger { as_of: before(began), read: began, before: HashMap::new(), now: now(), restless: restless() };
        let Some(written) = &self.written else {
            return Way::Read(anew());
        };
        let mut scopes = self.memory.0.lock();
        let Some(known) = scopes.get_mut(self.scope).and_then(|kinds| kinds.get_mut(kind)) else {
            return Way::Read(anew());
        };
        let touched = written.of(kind, known.things.keys().map(|name| &**name));
        match touched {
            Touched::Any => Way::Read(anew()),
            Touched::Nothing if self.rescan == Rescan::Events && !known.is_restless => {
                known.look = began;
                Way::Keep
            }
            touched => {
                let mut things = std::mem::take(&mut known.things);
                if let Touched::These(names) = touched {
                    things.retain(|name, _| !names.contains(name));
                }
                Way::Read(Ledger { before: things, read: known.read, ..anew() })
            }
        }
    }

    /// Returns until when what is not read in this look is known to be as it was.
    pub(super) fn as_of(&self) -> Timestamp {
        before(self.wanted.began)
    }

    /// Remembers a kind that was read to the end.
    pub(super) fn learn(&self, kind: &Kind, ledger: Ledger) {
        let Ledger { read, now: Some(now), restless: (_, is_restless), .. } = ledger else { return };
        let (look, interest) = (self.wanted.began, interest(self.wanted, kind));
        let is_restless = is_restless.into_inner();
        let known = Remembered { look, read, interest, is_restless, things: now.into_inner() };
        self.memory.0.lock().entry(self.scope.clone()).or_default().insert(kind.clone(), known);
    }

    /// Forgets a kind that was not.
    pub(super) fn forget(&self, kind: &Kind) {
        if let Some(kinds) = self.memory.0.lock().get_mut(self.scope) {
            kinds.remove(kind);
        }
    }
}

impl Memory {
    /// Forgets of a scope what does not hold any more; returns the earliest look that saw to any of the rest.
    fn retain(&self, scope: &Scope, holds: impl Fn(&Kind, &Remembered) -> bool) -> Option<Timestamp> {
        let mut scopes = self.0.lock();
        let kinds = scopes.get_mut(scope)?;
        kinds.retain(|kind, known| holds(kind, known));
        kinds.values().map(|known| known.look).min()
    }
}

fn before(look: Timestamp) -> Timestamp {
    look.saturating_sub(LAG).unwrap_or(Timestamp::MIN)
}

fn interest(wanted: &Wanted, kind: &Kind) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one((wanted.full.contains(kind), wanted.attributes.get(kind)))
}

#[cfg(test)]
mod tests;
