//! What the rest of a scope says of its resources: facts that stand in no attribute of the resource itself.
//!
//! Which of them are needed follows from what is declared ([`crate::expected`]). What could not be read is not in here, and
//! what hangs on it is unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

/// Facts about a scope, by the names under which [`crate::compare`] looks them up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Related {
    facts: Arc<Value>,
    hash: [u8; 16],
}

impl Related {
    /// Returns what is known when every alias of the scope was read, with the key that it stands for.
    pub fn of_aliases(targets: &BTreeMap<String, String>) -> Self {
        let facts = json!({"kmsAliasTargets": targets});
        let mut hash = [0; 16];
        blake3::Hasher::new().update(facts.to_string().as_bytes()).finalize_xof().fill(&mut hash);
        Self { facts: Arc::new(facts), hash }
    }

    /// Returns the facts.
    pub const fn facts(&self) -> &Arc<Value> {
        &self.facts
    }

    /// Returns a digest of them.
    pub const fn hash(&self) -> [u8; 16] {
        self.hash
    }
}

/// Returns whether a JSON text may name an alias of a key, by its name or by its ARN.
pub(crate) fn names_alias(text: &str) -> bool {
    text.contains("\"alias/") || text.contains(":alias/")
}
