//! Which values are secrets, and what is shown in their place.
//!
//! Decided by where a value stands and by what it looks like, never by its type: a password that is a number is one.

use serde_json::{Map, Value};

use super::walk::Walk;
use super::{Facts, MaskKey};
use crate::schema::{Spot, Tree, mark};

/// Words that make an attribute a secret, without the marks that separate words.
const SECRET_WORDS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "privatekey",
    "apikey",
    "accesskey",
    "accountkey",
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
const ABOUT_SECRETS: [&str; 44] = [
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
    "strategy",
];

/// Attributes that only carry such a word: a pagination token or a mount switch holds no secret.
const HARMLESS: [&str; 10] = [
    "automountserviceaccounttoken",
    "encryptionkey",
    "primarykey",
    "kmsmasterkey",
    "masterusersecret",
    "authorizercredentials",
    "credentials",
    "httptokens",
    "secrets",
    "imagepullsecrets",
];

/// What an attribute begins with that orders something about a secret.
const VERBS: [&str; 10] =
    ["generate", "enable", "disable", "max", "require", "allow", "use", "manage", "rotate", "revoke"];

/// Last words of names that hold a secret, too short to be looked for anywhere in a name.
const SECRET_ENDS: [&str; 5] = ["pass", "pwd", "dsn", "pgpass", "connstr"];

/// Ends of names that hold a secret whatever else they are about.
const SECRET_ANYWAY: [&str; 7] =
    ["lastappliedconfiguration", "password", "passwd", "dbpass", "userpass", "rootpass", "webhookurl"];

/// Returns whether an attribute or a variable of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let ends = |words: &[&str]| words.iter().any(|ending| plain.ends_with(ending));
    let harmless =
        is_camel(name) && (HARMLESS.contains(&plain.as_str()) || VERBS.iter().any(|verb| orders(name, verb)));
    let secret = SECRET_WORDS.iter().any(|word| plain.contains(word)) && !ends(&ABOUT_SECRETS);
    !harmless && (secret || ends(&SECRET_ANYWAY) || has_secret_end(name))
}

/// Returns whether a name is written as attributes are, in words with capitals between them. People write the names of
/// their variables in other ways, and may call them anything.
fn is_camel(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric()) && name.bytes().any(|b| b.is_ascii_lowercase())
}

/// Returns whether a name begins with a verb: `useToken` does, `userToken` does not.
fn orders(name: &str, verb: &str) -> bool {
    name.split_at_checked(verb.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(verb) && rest.starts_with(|c: char| c.is_ascii_uppercase())
    })
}

/// Returns whether the last word of a name is that of a secret: `DB_PASS`, `mysqlPwd`. `PWD` alone is a folder.
fn has_secret_end(name: &str) -> bool {
    let parted = name.rsplit_once(|c: char| !c.is_ascii_alphanumeric());
    let hump = || name.rfind(|c: char| c.is_ascii_uppercase()).filter(|_| is_camel(name)).map(|at| name.split_at(at));
    let (before, last) = parted.or_else(hump).unwrap_or(("", name));
    let folder = before.is_empty() && last.eq_ignore_ascii_case("pwd") || matches!(before, "By" | "OLD");
    !folder && SECRET_ENDS.iter().any(|word| last.eq_ignore_ascii_case(word))
}

/// Returns whether the value at hand is a secret because of where it stands.
pub(super) fn is_secret_place(walk: &Walk<'_>) -> bool {
    let secret_kind = walk.facts.kind.as_str() == "Secret";
    walk.inside(|name| (secret_kind && is_data(name)) || is_secret_name(name))
}

/// In what spans of time are measured.
const UNITS: [&str; 7] = ["seconds", "minutes", "hours", "days", "weeks", "months", "years"];

/// Returns whether an attribute of this name says in what others are measured: `TokenValidityUnits`.
fn measures(name: &str) -> bool {
    is_camel(name) && name.ends_with("Units")
}

fn is_unit(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| UNITS.contains(&text))
}

/// Returns whether the values at hand only say in what something is measured, though they stand under the name of a secret.
pub(super) fn is_measure(walk: &Walk<'_>, values: [&Value; 2]) -> bool {
    walk.inside(measures) && values.into_iter().all(is_unit)
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
                    if measures(name) && inner.as_object().is_some_and(|units| units.values().all(is_unit)) {
                        return (name.clone(), inner.clone());
                    }
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
fn names_secret(map: &Map<String, Value>) -> bool {
    const NAMES: [&str; 7] = ["Name", "name", "Key", "key", "OptionName", "ParameterKey", "ParameterName"];
    NAMES.iter().filter_map(|name| map.get(*name)?.as_str()).any(is_secret_name)
}

/// Returns whether a name is that of the value beside a name.
fn is_value_name(name: &str) -> bool {
    matches!(name, "Value" | "value" | "ParameterValue" | "DefaultValue")
}

/// Returns whether the entry `name` of `map` is a secret.
pub(super) fn is_secret_entry(map: &Map<String, Value>, name: &str) -> bool {
    let in_secret = || is_data(name) && map.get("kind").and_then(Value::as_str) == Some("Secret");
    let is_text = |value: &Value, is: fn(&str) -> bool| value.as_str().is_some_and(is);
    let beside_id = || {
        map.get(name).is_some_and(|value| is_text(value, is_secret_key))
            && map.values().any(|value| is_text(value, is_access_key_id))
    };
    is_secret_name(name) || (is_value_name(name) && names_secret(map)) || in_secret() || beside_id()
}

fn is_data(name: &str) -> bool {
    matches!(name, "data" | "stringData")
}

/// What tokens of well-known services begin with.
const TOKENS: [&str; 10] =
    ["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "rk_live_", "hvs."];

/// What a private key begins with when it is written in base 64.
const ENCODED_KEYS: [&str; 5] = [
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFUR",
    "LS0tLS1CRUdJTiBQUklWQVRF",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRF",
    "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVE",
    "LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFUR",
];

/// Returns whether a text is a secret by its looks: a private key or a token, an address with a password or a signature, a
/// document or lines with a secret.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
        || text.contains("PRIVATE KEY BLOCK-----")
        || ENCODED_KEYS.iter().any(|start| text.starts_with(start))
        || has_token(text)
        || has_password_in_url(text)
        || is_signed_url(text)
        || says_secret(text)
        || super::scalar::document_in(text).is_some_and(|inner| holds_secret(&inner))
}

/// Returns whether a word of a text is a token by its looks, or a secret key beside the identifier of one.
fn has_token(text: &str) -> bool {
    let words = || text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',' | ';' | ':'));
    is_access_key_id(text)
        || words().any(|word| is_web_token(word) || TOKENS.iter().any(|t| word.starts_with(t) && word.len() >= 20))
        || (words().any(is_access_key_id) && words().any(is_secret_key))
}

fn is_access_key_id(text: &str) -> bool {
    (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.len() == 20
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn is_secret_key(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// Returns whether a word is a JSON Web Token: a head and claims, which are JSON in base 64, and a signature.
fn is_web_token(word: &str) -> bool {
    let is_plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let parts: Vec<&str> = word.split('.').collect();
    matches!(parts.as_slice(), [head, claims, end]
        if head.starts_with("eyJ") && claims.starts_with("eyJ") && [head, claims, end].into_iter().all(|part| is_plain(part)))
}

/// Returns whether an address carries what whoever has it may do.
fn is_signed_url(text: &str) -> bool {
    let pairs = text.split_once("://").and_then(|(_, rest)| rest.split_once('?')).map(|(_, query)| query);
    pairs
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| !value.is_empty() && (name == "sig" || name == "X-Amz-Signature" || is_secret_name(name)))
}

/// Returns whether a line of a text, or a part of a connection string, gives a secret its value.
fn says_secret(text: &str) -> bool {
    text.split(['\n', ';']).any(|line| {
        let pair = line.split_once('=').or_else(|| line.split_once(": "));
        let yaml = line.split_once(": ").filter(|(name, _)| !name.contains('='));
        yaml.or(pair).is_some_and(|(name, value)| is_variable(name) && is_said(value))
    })
}

/// Returns whether what stands before a value is the name of a secret.
fn is_variable(text: &str) -> bool {
    let text = text.trim().trim_start_matches("export ").trim_matches([' ', '-', '"', '\'', '{', ',']);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ');
    text.len() < 80 && text.bytes().all(is_name) && is_secret_name(text)
}

/// Returns whether a value is written out, and neither a switch nor a reference to what is kept elsewhere.
fn is_said(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'', ',']);
    !matches!(value, "" | "true" | "false" | "null" | "~" | "|" | "[]" | "{}")
        && !value.starts_with(['$', '{', '<', '*', '!'])
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(is: fn(&str) -> bool, texts: &[&str], expected: bool) {
        for text in texts {
            assert_eq!(is(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_says_whether_a_secret_stands_there() {
        let secret = [
            "USER_PASSWORD",
            "userToken",
            "UserToken",
            "user_secret",
            "MAXMIND_TOKEN",
            "maxmindToken",
            "USE_TOKEN",
            "ENCRYPTION_KEY",
            "encryption_key",
            "CREDENTIALS",
            "SECRETS",
            "PRIMARY_KEY",
            "ENCRYPTIONKEY",
            "DB_PASS",
            "dbPass",
            "PGPASS",
            "PGPASSWORD",
            "MYSQL_PWD",
            "mysqlPwd",
            "KEY_PASSPHRASE",
            "SENTRY_DSN",
            "dsn",
            "DATABASE_DSN",
            "CONNECTION_STRING",
            "connectionString",
            "MasterUserPassword",
            "API_KEY",
            "apiKey",
            "AWS_SECRET_ACCESS_KEY",
            "AllowedToken",
            "ManagerPassword",
            "GENERATED_SECRET",
            "SLACK_WEBHOOK_URL",
            "smtp.pass",
            "AuthToken",
            "clientSecret",
        ];
        check(is_secret_name, &secret, true);
        let plain = [
            "useToken",
            "UsePasswordPolicy",
            "MaxTokens",
            "GenerateSecret",
            "GenerateSecretString",
            "disablePasswords",
            "ManageMasterUserPassword",
            "RotateSecretKey",
            "HttpTokens",
            "Secrets",
            "secrets",
            "imagePullSecrets",
            "Credentials",
            "EncryptionKey",
            "primaryKey",
            "automountServiceAccountToken",
            "SecretArn",
            "SECRET_NAME",
            "secretName",
            "TokenType",
            "AWS_ACCESS_KEY_ID",
            "PWD",
            "OLD_PWD",
            "PassRole",
            "ByPass",
            "Bypass",
            "Compass",
            "PassthroughBehavior",
            "Name",
            "PasswordLength",
            "Password_Policy",
            "AuthTokenUpdateStrategy",
            "MasterUserSecret",
        ];
        check(is_secret_name, &plain, false);
    }

    #[test]
    fn a_value_shows_by_its_looks_that_it_is_a_secret() {
        let secret = [
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcd==;EndpointSuffix=core.windows.net",
            "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=abcd=",
            "Server=db;User Id=sa;Password=hunter2;",
            "https://a.blob.core.windows.net/c?sv=2024&sig=abc%3D",
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b",
            "user: root\npassword: hunter2\n",
            "[client]\npassword=hunter2\n",
            "db:\n  url: x\n  db_pass: \"hunter2\"",
            "export API_TOKEN=abc",
            "--password=hunter2",
            "-----BEGIN EC PRIVATE KEY-----\nabc",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc",
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ==",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "AKIAIOSFODNN7EXAMPLE",
            "id AKIAIOSFODNN7EXAMPLE key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "ghp_0123456789abcdefghij",
            "postgres://user:hunter2@host/db",
            "{\"password\": \"hunter2\"}",
        ];
        check(looks_secret, &secret, true);
        let plain = [
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:eu-west-1:1:secret:shop/db-AbCdEf",
            "{{resolve:secretsmanager:shop/db:SecretString:password}}",
            "https://a.example.com/c?page=2",
            "password: ${DB_PASSWORD}\n",
            "use_password=true",
            "token_url: https://login.example.com/oauth",
            "-----BEGIN CERTIFICATE-----\nabc",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
            "a.b.c",
            "0123456789012345678901234567890123456789",
            "Rotates the password of the database",
            "postgres://host/db",
        ];
        check(looks_secret, &plain, false);
    }

    #[test]
    fn units_are_shown_and_nothing_else_under_the_name_of_a_secret() {
        let mask = MaskKey::new([1; 32]);
        let shown = |value: &Value| masked(&mask, value).to_string();
        let units = json!({"TokenValidityUnits": {"AccessToken": "minutes", "RefreshToken": "days"}});
        assert_eq!(shown(&units), units.to_string());
        for other in [
            json!({"TokenValidityUnits": {"AccessToken": "minutes", "RefreshToken": "hunter2"}}),
            json!({"Units": {"AccessToken": {"Deep": "hunter2"}}}),
            json!({"AccessToken": "hours"}),
        ] {
            assert!(shown(&other).contains("(sensitive"), "{other}");
            assert!(!shown(&other).contains("hunter2"), "{other}");
        }
    }

    #[test]
    fn a_value_beside_the_name_of_a_secret_is_masked() {
        let mask = MaskKey::new([1; 32]);
        let shown = |value: &Value| masked(&mask, value).to_string();
        let option = json!([{"Namespace": "n", "OptionName": "DB_PASSWORD", "Value": "hunter2"}]);
        assert!(!shown(&option).contains("hunter2"));
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert!(!shown(&json!({"id": "AKIAIOSFODNN7EXAMPLE", "other": key})).contains(key));
        assert!(shown(&json!({"id": "none", "other": key})).contains(key));
    }
}
