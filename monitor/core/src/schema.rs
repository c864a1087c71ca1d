//! What counts as equal for a kind, as data.

use serde_json::Value;
use std::collections::BTreeMap;

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
    /// Maps whose keys the user invents.
    pub free_form: Vec<String>,
}
