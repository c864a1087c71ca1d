//! Labels of resources that an operator chose to see on findings: which, and how many of their values.
//!
//! Whoever may label a resource must not be able to fill a time series database: only so many values are told apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use driftwarden_core::resource::Labels;
use schemars::JsonSchema;
use serde::Deserialize;

/// What the metrics say of findings besides what they always say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Labels of resources that become labels of `driftwarden_findings`.
    pub resource_labels: Vec<String>,
    /// That many values of each are told apart; the rarest beyond them become `other`.
    pub max_values: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { resource_labels: Vec::new(), max_values: 50 }
    }
}

/// Why a label cannot be added to a metric.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// It names the resource.
    #[error("not allowed to add the label `{0}`: it names the resource, and a metric never does")]
    Name(String),
    /// The metric has one of that name.
    #[error("invalid label `{0}`: findings have a label of that name already")]
    Taken(String),
    /// Two labels would have one name.
    #[error("invalid label `{0}`: another one has the same name once it is written as Prometheus wants it")]
    Twice(String),
    /// No name is left.
    #[error("invalid `resource_labels`: a label without a name")]
    Empty,
    /// No value would be told apart.
    #[error("invalid `max_values`: 0 would fold every value")]
    NoValues,
}

impl LabelError {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::Empty => "choose labels with few values, such as team or env",
            Self::Taken(_) => "leave it out, or choose another label of the resources",
            Self::Twice(_) => "leave one of the two out",
            Self::NoValues => "write 1 or more; 50 is the default",
        }
    }
}

/// The labels that `driftwarden_findings` always has.
const OWN: [&str; 7] = ["cloud", "scope", "type", "drift", "severity", "priority", "phase"];

/// What stands for every value beyond those that are told apart.
const OTHER: &str = "other";

impl Config {
    /// Checks that every label can be added.
    pub fn validate(&self) -> Result<(), LabelError> {
        let mut names = BTreeSet::new();
        for label in &self.resource_labels {
            let name = metric_label(label);
            if label.is_empty() {
                return Err(LabelError::Empty);
            }
            if name.eq_ignore_ascii_case("name") {
                return Err(LabelError::Name(label.clone()));
            }
            if OWN.contains(&name.as_str()) {
                return Err(LabelError::Taken(label.clone()));
            }
            if !names.insert(name) {
                return Err(LabelError::Twice(label.clone()));
            }
        }
        if self.max_values == 0 { Err(LabelError::NoValues) } else { Ok(()) }
    }

    /// Returns those of a resource's labels that were chosen.
    pub(super) fn chosen(&self, labels: &Labels) -> Labels {
        let chosen = self.resource_labels.iter().filter_map(|key| labels.get_key_value(key));
        chosen.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Returns a label's key as Prometheus can have it.
fn metric_label(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    // Names that begin with two underscores are Prometheus' own.
    let name = name.trim_start_matches('_');
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("_{name}") } else { name.to_owned() }
}

/// Which values of each chosen label are told apart at one moment.
#[derive(Debug)]
pub(super) struct Fold<'a> {
    labels: Vec<Folded<'a>>,
}

#[derive(Debug)]
struct Folded<'a> {
    key: &'a str,
    name: String,
    kept: BTreeSet<&'a str>,
    rest: usize,
}

impl<'a> Fold<'a> {
    /// Returns what is told apart among these findings: the most frequent values and, of equally frequent ones, the first
    /// by the alphabet.
    pub(super) fn of(config: &'a Config, findings: &[&'a Labels]) -> Self {
        let fold = |key: &'a String| {
            let mut counts = HashMap::<&str, usize>::new();
            for value in findings.iter().filter_map(|labels| labels.get(key)).filter(|value| !value.is_empty()) {
                *counts.entry(value).or_default() += 1;
            }
            let mut values: Vec<(&str, usize)> = counts.into_iter().collect();
            values.sort_by(|(a, often), (b, seldom)| seldom.cmp(often).then(a.cmp(b)));
            let rest = values.len().saturating_sub(config.max_values);
            let kept = values.into_iter().take(config.max_values).map(|(value, _)| value).collect();
            Folded { key, name: metric_label(key), kept, rest }
        };
        Self { labels: config.resource_labels.iter().map(fold).collect() }
    }

    /// Returns the labels of one finding as the metric has them; empty where the resource has none.
    pub(super) fn labels(&self, of: &Labels) -> BTreeMap<String, String> {
        let value = |label: &Folded<'a>| match of.get(label.key).map(String::as_str) {
            None | Some("") => "",
            Some(value) => label.kept.get(value).copied().unwrap_or(OTHER),
        };
        self.labels.iter().map(|label| (label.name.clone(), value(label).to_owned())).collect()
    }

    /// Returns of each label how many values are folded.
    pub(super) fn folded(&self) -> impl Iterator<Item = (&str, usize)> {
        self.labels.iter().map(|label| (label.name.as_str(), label.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(labels: &[&str], max_values: usize) -> Config {
        Config { resource_labels: labels.iter().map(|label| (*label).to_owned()).collect(), max_values }
    }

    /// Returns the value that each finding is told under, and how many were folded. A word is a finding's team; `-` has none.
    fn check(teams: &str, max_values: usize, told: &str, folded: usize) {
        let team = |word: &str| match word {
            "-" => Labels::new(),
            team => Labels::from([("team".to_owned(), team.to_owned())]),
        };
        let findings: Vec<Labels> = teams.split(' ').map(team).collect();
        let config = config(&["team"], max_values);
        let fold = Fold::of(&config, &findings.iter().collect::<Vec<_>>());
        let values: Vec<String> = findings.iter().map(|labels| fold.labels(labels)["team"].clone()).collect();
        assert_eq!((values.join(" ").as_str(), fold.folded().next()), (told, Some(("team", folded))));
    }

    #[test]
    fn the_rarest_values_are_folded() {
        check("a b b c c c", 3, "a b b c c c", 0);
        check("a b b c c c", 2, "other b b c c c", 1);
        check("a b b c c c", 1, "other other other c c c", 2);
        check("b a", 1, "other a", 1);
        check("- a - b", 1, " a  other", 1);
    }

    #[test]
    fn a_key_is_written_as_prometheus_wants_it() {
        for (key, name) in [
            ("team", "team"),
            ("app.kubernetes.io/part-of", "app_kubernetes_io_part_of"),
            ("__x", "x"),
            ("1st", "_1st"),
        ] {
            assert_eq!(metric_label(key), name);
        }
    }

    #[test]
    fn a_label_that_names_or_clashes_is_refused() {
        assert!(config(&["team", "env"], 1).validate().is_ok());
        for (labels, max_values) in
            [(vec!["Name"], 1), (vec!["type"], 1), (vec!["a-b", "a.b"], 1), (vec![""], 1), (vec![], 0)]
        {
            assert!(config(&labels, max_values).validate().is_err(), "{labels:?}");
        }
    }
}
