//! What is taken and what is left out, as globs over names. It knows nothing of what the names are of.

use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is taken and what is left out, as globs; what is left out wins.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// What is taken; everything if empty.
    #[serde(default)]
    pub include: Vec<String>,
    /// What is left out.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl Selection {
    /// Returns the names that are taken, if they are all named and none is a pattern.
    pub fn literal(&self) -> Option<&[String]> {
        let is_pattern = |name: &String| name.contains(['*', '?', '[', '{']);
        (!self.include.is_empty() && !self.include.iter().any(is_pattern)).then_some(&self.include)
    }
}

/// A selection, ready to be asked.
#[derive(Debug)]
pub struct Selected {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selected {
    /// Returns the selection with its globs compiled.
    pub fn new(selection: &Selection) -> Result<Self, globset::Error> {
        let include = if selection.include.is_empty() { None } else { Some(globs(&selection.include)?) };
        Ok(Self { include, exclude: globs(&selection.exclude)? })
    }

    /// Returns whether what has these names is taken: one of them is, and none is left out.
    pub fn takes_any(&self, names: &[&str]) -> bool {
        let is_in = |globs: &GlobSet| names.iter().any(|name| globs.is_match(name));
        self.include.as_ref().is_none_or(is_in) && !is_in(&self.exclude)
    }

    /// Returns whether the name is taken.
    pub fn takes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.is_match(name)) && !self.exclude.is_match(name)
    }
}

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern)?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_wins() {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let selection = Selection { include: names(&["AWS::S3::*"]), exclude: names(&["*::BucketPolicy"]) };
        let selected = Selected::new(&selection).unwrap();
        assert!(selected.takes("AWS::S3::Bucket"));
        assert!(!selected.takes("AWS::S3::BucketPolicy"));
        assert!(!selected.takes("AWS::EC2::VPC"));
        assert!(Selected::new(&Selection::default()).unwrap().takes("AWS::EC2::VPC"));
    }

    #[test]
    fn names_without_patterns_are_literal() {
        let literal = |include: &[&str]| {
            let include = include.iter().map(|&name| name.to_owned()).collect();
            Selection { include, ..Selection::default() }.literal().is_some()
        };
        assert!(literal(&["AWS::S3::Bucket"]));
        assert!(!literal(&[]) && !literal(&["AWS::S3::Bucket", "AWS::EC2::*"]));
    }
}
