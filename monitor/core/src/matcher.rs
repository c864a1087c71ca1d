//! Matchers: `priority<=2`, `type=drift`, `label.team=~"web|api"`, as routes, hooks and `findings list` use them.

use std::borrow::Cow;

use regex::Regex;

use crate::finding::Finding;

/// One condition on one key of a finding. A key that a finding does not have is the empty text.
#[derive(Debug, Clone)]
pub struct Matcher {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
    Above(f64),
}

/// Why a text is no matcher.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// No operator.
    #[error("invalid matcher `{0}`: expected KEY, one of = != =~ !~ <= >= < >, and a value")]
    Form(String),
    /// A key that no finding has.
    #[error("invalid matcher: unknown key `{0}`; known keys: {known} and label.NAME", known = KEYS.join(", "))]
    Key(String),
    /// Not a regular expression.
    #[error("invalid regular expression in matcher `{0}`")]
    Regex(String, #[source] Box<regex::Error>),
    /// Not a number.
    #[error("invalid matcher `{0}`: expected a number after the operator")]
    Number(String),
}

/// The keys of a finding, besides `label.NAME`.
pub const KEYS: [&str; 14] = [
    "fingerprint",
    "type",
    "drift",
    "rule",
    "cloud",
    "provider",
    "account",
    "region",
    "kind",
    "name",
    "severity",
    "priority",
    "phase",
    "cause",
];

const OPERATORS: [&str; 8] = ["=~", "!~", "!=", "<=", ">=", "=", "<", ">"];

impl Matcher {
    /// Returns the matcher that `text` says.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let form = || MatcherError::Form(text.to_owned());
        let at = text.find(['=', '!', '<', '>']).ok_or_else(form)?;
        let (key, rest) = text.split_at_checked(at).ok_or_else(form)?;
        let key = key.trim();
        let (operator, value) =
            OPERATORS.iter().find_map(|op| rest.strip_prefix(op).map(|value| (*op, value))).ok_or_else(form)?;
        if !KEYS.contains(&key) && key.strip_prefix("label.").is_none_or(str::is_empty) {
            return Err(MatcherError::Key(key.to_owned()));
        }
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        Ok(Self { key: key.to_owned(), test: Test::parse(operator, value, text)? })
    }

    /// Returns whether the finding fulfills the condition.
    pub fn matches(&self, finding: &Finding) -> bool {
        let value = field(finding, &self.key);
        let number = || value.parse::<f64>().ok();
        match &self.test {
            Test::Equal(want) => *value == **want,
            Test::NotEqual(want) => *value != **want,
            Test::Matches(regex) => regex.is_match(&value),
            Test::MatchesNot(regex) => !regex.is_match(&value),
            Test::AtMost(limit) => number().is_some_and(|n| n <= *limit),
            Test::AtLeast(limit) => number().is_some_and(|n| n >= *limit),
            Test::Below(limit) => number().is_some_and(|n| n < *limit),
            Test::Above(limit) => number().is_some_and(|n| n > *limit),
        }
    }
}

impl Test {
    fn parse(operator: &str, value: &str, text: &str) -> Result<Self, MatcherError> {
        // Anchored on both ends, as Prometheus and Alertmanager anchor theirs.
        let regex = || {
            Regex::new(&format!("^(?:{value})$")).map_err(|error| MatcherError::Regex(text.to_owned(), Box::new(error)))
        };
        let number = || value.parse::<f64>().map_err(|_| MatcherError::Number(text.to_owned()));
        Ok(match operator {
            "=~" => Self::Matches(regex()?),
            "!~" => Self::MatchesNot(regex()?),
            "!=" => Self::NotEqual(value.to_owned()),
            "<=" => Self::AtMost(number()?),
            ">=" => Self::AtLeast(number()?),
            "<" => Self::Below(number()?),
            ">" => Self::Above(number()?),
            _ => Self::Equal(value.to_owned()),
        })
    }
}

/// Returns the value of a finding's key, empty where it has none.
pub fn field<'a>(finding: &'a Finding, key: &str) -> Cow<'a, str> {
    let evidence = &finding.evidence;
    let id = &evidence.resource;
    Cow::Borrowed(match key {
        "fingerprint" => return Cow::Owned(finding.fingerprint.to_string()),
        "priority" => return Cow::Owned(finding.priority.to_string()),
        "type" => evidence.subject.type_str(),
        "drift" => evidence.subject.drift_str(),
        "rule" => evidence.subject.rule_str(),
        "cloud" => &finding.scope.cloud,
        "provider" => id.provider.as_str(),
        "account" => &id.account,
        "region" => &id.region,
        "kind" => id.kind.as_str(),
        "name" => &id.name,
        "severity" => evidence.severity.as_str(),
        "phase" => finding.phase.as_str(),
        "cause" => evidence.cause.as_str(),
        _ => key.strip_prefix("label.").and_then(|name| evidence.labels.get(name)).map_or("", String::as_str),
    })
}
