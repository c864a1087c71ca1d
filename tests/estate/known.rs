//! What is known to be wrong with the emulators, and why: the one list of exceptions.
//!
//! An exception that is not needed any more is an error, so that the list cannot outlive its reasons.

use std::collections::BTreeSet;

use super::Emulator;
use super::Emulator::{Ministack, Moto};

/// Something that does not count.
#[derive(Debug)]
pub struct Exception {
    /// Whose fault it is.
    pub emulator: Emulator,
    pub kind: &'static str,
    /// `*` is every attribute.
    pub attribute: &'static str,
    pub why: &'static str,
}

const fn at(emulator: Emulator, kind: &'static str, attribute: &'static str, why: &'static str) -> Exception {
    Exception { emulator, kind, attribute, why }
}

/// Attributes of which an emulator tells Amazon's own client one thing and others another.
pub const READ_OTHERWISE: &[Exception] = &[];

/// Attributes that an emulator holds otherwise than the other one after the same calls.
pub const HELD_OTHERWISE: &[Exception] = &[
    at(Moto, "AWS::EC2::Volume", "MultiAttachEnabled", "is told of no volume"),
    at(Ministack, "AWS::EC2::Volume", "KmsKeyId", "the key is not kept"),
    at(Moto, "AWS::S3::Bucket", "BucketEncryption", NO_DEFAULTS),
    at(Moto, "AWS::S3::Bucket", "OwnershipControls", NO_DEFAULTS),
    at(Moto, "AWS::S3::Bucket", "PublicAccessBlockConfiguration", NO_DEFAULTS),
    at(Moto, "AWS::S3::BucketAcl", "Grants", ANOTHER_OWNER),
    at(Moto, "AWS::S3::BucketAcl", "Owner", ANOTHER_OWNER),
];

const NO_DEFAULTS: &str = "what AWS sets on each new bucket since 2023 is not set";
const ANOTHER_OWNER: &str = "every emulator makes up a canonical number of its own for an account";

/// Kinds of which an emulator tells nothing that could be compared.
pub const MISTOLD: &[(Emulator, &str, &str)] = &[
    (Ministack, "AWS::S3::AccountPublicAccessBlock", ONLY_UNDER_A_HOST_OF_ITS_OWN),
    (Moto, "AWS::S3::AccountPublicAccessBlock", ONLY_UNDER_A_HOST_OF_ITS_OWN),
];

const ONLY_UNDER_A_HOST_OF_ITS_OWN: &str =
    "is served under the name of a host, which an address of this machine has not";

/// What the direct paths do not read yet: kind and attribute.
const NOT_YET: &[(&str, &str)] = &[
    ("AWS::EC2::SecurityGroup", "SecurityGroupEgress"),
    ("AWS::EC2::SecurityGroup", "SecurityGroupIngress"),
    ("AWS::IAM::Role", "Description"),
    ("AWS::IAM::Role", "ManagedPolicyArns"),
    ("AWS::IAM::Role", "MaxSessionDuration"),
    ("AWS::IAM::Role", "Policies"),
    ("AWS::IAM::Role", "Tags"),
    ("AWS::IAM::User", "Groups"),
    ("AWS::IAM::User", "ManagedPolicyArns"),
    ("AWS::IAM::User", "Policies"),
];

/// Returns whether an attribute is read at all.
pub fn is_read_yet(kind: &str, attribute: &str) -> bool {
    !NOT_YET.contains(&(kind, attribute))
}

/// Actions that ministack does not check, although it checks policies: who may not take them takes them all the same.
pub const UNCHECKED: &[(&str, &str)] = &[];

/// A list of exceptions, and which of them were needed.
pub struct Uses {
    list: &'static [Exception],
    needed: BTreeSet<usize>,
}

impl Uses {
    pub fn of(list: &'static [Exception]) -> Self {
        Self { list, needed: BTreeSet::new() }
    }

    /// Returns whether there is an exception for this at one of these.
    pub fn excuse(&mut self, emulators: &[Emulator], kind: &str, attribute: &str) -> bool {
        let is_it = |known: &Exception| {
            let is_attribute = known.attribute == "*" || known.attribute == attribute;
            emulators.contains(&known.emulator) && known.kind == kind && is_attribute
        };
        let at = self.list.iter().position(is_it);
        self.needed.extend(at);
        at.is_some()
    }

    /// Says which exceptions were not needed, of those that were looked at.
    pub fn needless(self, emulators: &[Emulator], kinds: &[&str]) -> Vec<String> {
        let looked_at = |known: &Exception| emulators.contains(&known.emulator) && kinds.contains(&known.kind);
        let all = self.list.iter().enumerate();
        let left = all.filter(|(at, known)| looked_at(known) && !self.needed.contains(at));
        left.map(|(_, known)| {
            format!("needless, at {:?}: {} {}: {}", known.emulator, known.kind, known.attribute, known.why)
        })
        .collect()
    }
}
