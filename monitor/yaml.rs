//! YAML as everybody here reads it: only `true` and `false` are booleans, as in YAML 1.2 and JSON.
//!
//! `no`, `on` and `y` are texts: whoever declares the country Norway must not be told that it is false.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Options, options};

fn strict() -> Options {
    options! { strict_booleans: true }
}

/// Returns the one document that a text holds. Duplicate keys and alias bombs are refused.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options(text, strict())
}

/// Returns all documents that a text holds.
pub fn from_multiple<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    serde_saphyr::from_multiple_with_options(text, strict())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_true_and_false_are_booleans() {
        let value: Value = from_str("[y, n, yes, no, on, off, NO, true, false]").unwrap();
        assert_eq!(value, json!(["y", "n", "yes", "no", "on", "off", "NO", true, false]));
    }
}
