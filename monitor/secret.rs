//! Secrets by reference: `${env:NAME}`, `${file:/path}`. Never a value in a configuration file.
//!
//! A secret is read each time it is used, so that a rotated one is picked up without a restart, and nothing but the
//! one who uses it ever holds it.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

/// Where a secret is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Environment(String),
    File(PathBuf),
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Not a reference.
    #[error("invalid secret: expected a reference such as ${{env:NAME}} or ${{file:/path}}, never the value itself")]
    NotAReference,
    /// The variable is not set, or not UTF-8.
    #[error("failed to read environment variable `{0}`")]
    Environment(String, #[source] std::env::VarError),
    /// The file cannot be read.
    #[error("failed to read secret file `{}`", .0.display())]
    File(PathBuf, #[source] std::io::Error),
}

impl Secret {
    /// Returns the reference that `text` says. The text itself is not part of the error: it may be a secret.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let inner =
            text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).ok_or(SecretError::NotAReference)?;
        match inner.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self(Place::Environment(name.to_owned()))),
            Some(("file", path)) if Path::new(path).is_absolute() => Ok(Self(Place::File(path.into()))),
            _ => Err(SecretError::NotAReference),
        }
    }

    /// Returns the secret as it is now. A trailing line break of a file is not part of it.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one place where references become values")]
            Place::Environment(name) => {
                std::env::var(name).map_err(|source| SecretError::Environment(name.clone(), source))?
            }
            Place::File(path) => fs::read_to_string(path).map_err(|source| SecretError::File(path.clone(), source))?,
        };
        Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Self::parse(&text).map_err(de::Error::custom),
            Written::Other(_) => Err(de::Error::custom(SecretError::NotAReference)),
        }
    }
}

/// What stands where a reference belongs. A secret of the wrong type, such as a number, must not get into the error.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Other(de::IgnoredAny),
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\$\{(env:[^}]+|file:/[^}]+)\}$",
            "description": "A reference to a secret: ${env:NAME} or ${file:/path}."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn only_references_are_secrets() {
        assert!(Secret::parse("${env:TOKEN}").is_ok());
        assert!(Secret::parse("${file:/run/token}").is_ok());
        for text in ["hunter2", "${TOKEN}", "${env:}", "${file:relative}", "${env:TOKEN"] {
            let error = Secret::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_told() {
        for text in ["42424242", r#"["hunter2"]"#, r#"{"hunter2": 42424242}"#, "true"] {
            let error = serde_json::from_str::<Secret>(text).unwrap_err().to_string();
            assert!(error.contains("expected a reference") && !error.contains("4242") && !error.contains("hunter2"));
        }
    }

    #[test]
    fn a_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let secret = Secret::parse(&format!("${{file:{}}}", path.display())).unwrap();
        for value in ["one", "two"] {
            fs::write(&path, format!("{value}\n")).unwrap();
            assert_eq!(secret.read().unwrap().expose_secret(), value);
        }
    }
}
