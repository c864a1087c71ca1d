//! Which values are secrets, and what is shown in their place.
//!
//! Decided by where a value stands and by what it looks like, never by its type: a password that is a number is one.

use serde_json::{Map, Value};

use super::walk::Walk;
use super::{Facts, MaskKey};
use crate::schema::{Spot, Tree, mark};

/// Words that make an attribute a secret, without the marks that separate words.
const SECRET_WORDS: [&str; 21] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "privatekey",
    "apikey",
    "accesskey",
    "authkey",
    "sharedkey",
    "encryptionkey",
    "signingkey",
    "sasurl",
    "credential",
    "connectionstring",
    "lastappliedconfiguration",
    "kubeconfig",
    "clientkeydata",
    "masterkey",
    "primarykey",
    "secondarykey",
];

/// Endings of attributes that are about a secret and are none.
const ABOUT_SECRETS: [&str; 43] = [
    "param",
    "parameter",
    "reference",
    "specs",
    "arn",
    "arns",
    "id",
    "ids",
    "name",
    "names",
    "ref",
    "refs",
    "type",
    "types",
    "validity",
    "version",
    "length",
    "enabled",
    "policy",
    "expiration",
    "rotation",
    "schedule",
    "url",
    "uri",
    "endpoint",
    "config",
    "configuration",
    "units",
    "mode",
    "status",
    "format",
    "algorithm",
    "required",
    "source",
    "rules",
    "keyref",
    "path",
    "location",
    "issuer",
    "audience",
    "ttl",
    "hours",
    "days",
];

/// Returns whether an attribute of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let about = ABOUT_SECRETS.iter().any(|ending| plain.ends_with(ending)) && !plain.ends_with("password");
    let kept = plain == "lastappliedconfiguration" || plain.ends_with("lastappliedconfiguration");
    // Attributes that only carry such a word: a pagination token or a mount switch holds no secret.
    let harmless = [
        "automountserviceaccounttoken",
        "encryptionkey",
        "primarykey",
        "kmsmasterkey",
        "authorizercredentials",
        "credentials",
        "httptokens",
        "secrets",
        "imagepullsecrets",
    ]
    .contains(&plain.as_str())
        || ["generate", "enable", "disable", "max", "require", "allow", "use", "manage", "rotate", "revoke"]
            .iter()
            .any(|verb| plain.starts_with(verb));
    kept || (!about && !harmless && SECRET_WORDS.iter().any(|word| plain.contains(word)))
}

/// Returns whether the value at hand is a secret because of where it stands.
pub(super) fn is_secret_place(walk: &Walk<'_>) -> bool {
    let secret_kind = walk.facts.kind.as_str() == "Secret";
    walk.inside(|name| (secret_kind && is_data(name)) || is_secret_name(name))
}

/// Shows values, with the secrets among them masked, and remembers whether there were any.
pub(super) struct Veil<'a> {
    mask: &'a MaskKey,
    schema: Option<&'a Tree>,
    found: bool,
}

impl<'a> Veil<'a> {
    pub(super) fn new(facts: Facts<'a>, schema: &'a Tree) -> Self {
        Self { mask: facts.mask, schema: Some(schema), found: false }
    }

    /// Returns whether a secret was masked.
    pub(super) fn lifted(self) -> bool {
        self.found
    }

    /// Returns a value as it may be shown: masked if it is a secret, and with the secrets inside it masked.
    pub(super) fn shown(&mut self, value: &Value, spot: Spot, secret: bool) -> Value {
        let unreadable = self.schema.is_some_and(|tree| tree.marks(spot) & mark::WRITE_ONLY != 0);
        match value {
            Value::Null => Value::Null,
            _ if secret || unreadable => self.masked(value),
            Value::Object(map) => {
                let pairs = map.iter().map(|(name, inner)| {
                    let spot = self.schema.and_then(|tree| tree.named(spot, name));
                    (name.clone(), self.shown(inner, spot, is_secret_entry(map, name)))
                });
                Value::Object(pairs.collect())
            }
            Value::Array(items) => {
                let spot = self.schema.and_then(|tree| tree.item(spot));
                Value::Array(items.iter().map(|item| self.shown(item, spot, false)).collect())
            }
            Value::String(text) if looks_secret(text) => self.masked(value),
            _ => value.clone(),
        }
    }

    fn masked(&mut self, value: &Value) -> Value {
        self.found = true;
        self.mask.mask(value)
    }
}

/// Returns a whole tree of attributes as it may be shown to people and programs.
pub fn masked(mask: &MaskKey, value: &Value) -> Value {
    Veil { mask, schema: None, found: false }.shown(value, None, false)
}

/// Returns whether an object is a name and a value, and the name is that of a secret.
pub(super) fn names_secret(map: &Map<String, Value>) -> bool {
    const NAMES: [&str; 6] = ["Name", "name", "Key", "key", "ParameterKey", "ParameterName"];
    NAMES.iter().filter_map(|name| map.get(*name)?.as_str()).any(is_secret_name)
}

/// Returns whether a name is that of the value beside a name.
pub(super) fn is_value_name(name: &str) -> bool {
    matches!(name, "Value" | "value" | "ParameterValue" | "DefaultValue")
}

/// Returns whether the entry `name` of `map` is a secret.
fn is_secret_entry(map: &Map<String, Value>, name: &str) -> bool {
    let in_secret = || is_data(name) && map.get("kind").and_then(Value::as_str) == Some("Secret");
    is_secret_name(name) || (is_value_name(name) && names_secret(map)) || in_secret()
}

fn is_data(name: &str) -> bool {
    matches!(name, "data" | "stringData")
}

/// Returns whether a text is a secret by its looks: a private key, a URL with a password, a document with a secret.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
        || text.starts_with("AKIA") && text.len() == 20
        || has_password_in_url(text)
        || super::scalar::document_in(text).is_some_and(|inner| holds_secret(&inner))
}

fn has_password_in_url(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            map.iter().any(|(name, inner)| (!inner.is_null() && is_secret_entry(map, name)) || holds_secret(inner))
        }
        Value::Array(items) => items.iter().any(holds_secret),
        Value::String(text) => looks_secret(text),
        _ => false,
    }
}
