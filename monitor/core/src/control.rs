//! Controls: what the rules that speak for a framework's demands say, over all scopes together.
//!
//! A control passes only where its rules passed and everything that they look at was looked at. What could not be looked
//! at, or was not looked at yet, is `unknown`; what there is nothing of is `not_applicable`. Neither is ever a pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::resource::Provider;
use crate::rule::{Rule, RuleSet};

/// How far the kinds that a rule looks at were read in one look at one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// The scope has no such kind, or it is not read there.
    #[default]
    None,
    /// To the end.
    Complete,
    /// There is a gap.
    Partial,
}

/// What one rule said in one look at one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Digest of the rule as it was: of a rule that was changed since, this says nothing.
    pub rule: [u8; 32],
    /// Resources that it was asked about.
    pub asked: usize,
    /// Those that fail it.
    pub failed: usize,
    /// Those that it could not decide.
    pub undecided: usize,
    /// How far its kinds were read.
    pub reading: Reading,
    /// Whether the scope is known to have something of its kinds, to have had it, or to be meant to.
    pub holds: bool,
}

/// What each rule said in one look at one scope, by its id.
pub type Tallies = BTreeMap<Arc<str>, Tally>;

/// One scope as controls see it: whose it is, and what its last look left, if there was one.
pub type Watched<'a> = (Provider, Option<&'a Tallies>);

/// What is known of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Everything that its rules look at was looked at, and they passed.
    Pass,
    /// A rule fails.
    Fail,
    /// No rule fails, and not everything was looked at or could be decided.
    Unknown,
    /// Everything was looked at, and there is nothing that its rules look at.
    NotApplicable,
}

impl Status {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Unknown, Self::NotApplicable];

    /// Returns the word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// Returns what is known of a control for which two rules speak.
    fn and(self, other: Self) -> Self {
        let weight = |status| match status {
            Self::NotApplicable => 0,
            Self::Pass => 1,
            Self::Unknown => 2,
            Self::Fail => 3,
        };
        if weight(self) < weight(other) { other } else { self }
    }
}

/// How many controls of one framework have which status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Status, usize>);

impl Counts {
    /// Returns how many controls have that status.
    pub fn of(&self, status: Status) -> usize {
        self.0.get(&status).copied().unwrap_or(0)
    }

    /// Returns passed controls, and those that they are a share of. One that nothing is known of counts against the share.
    pub fn share(&self) -> (usize, usize) {
        let passed = self.of(Status::Pass);
        (passed, passed + self.of(Status::Fail) + self.of(Status::Unknown))
    }
}

/// Returns the status of every control that rules name, counted by framework.
pub fn count(rules: &RuleSet, scopes: &[Watched<'_>]) -> BTreeMap<String, Counts> {
    let mut controls = BTreeMap::<(&str, &str), Status>::new();
    for rule in rules.iter() {
        let status = status(rule, scopes);
        for (framework, control) in controls_of(rule) {
            let known = controls.entry((framework, control)).or_insert(Status::NotApplicable);
            *known = known.and(status);
        }
    }
    let mut counts = BTreeMap::<String, Counts>::new();
    for ((framework, _), status) in controls {
        *counts.entry(framework.to_owned()).or_default().0.entry(status).or_default() += 1;
    }
    counts
}

fn controls_of(rule: &Rule) -> impl Iterator<Item = (&str, &str)> {
    rule.frameworks.iter().flat_map(|(framework, ids)| ids.iter().map(|id| (framework.as_str(), id.as_str())))
}

/// Returns what each scope that may have what a rule looks at says of it, if it says anything. An inventory may have
/// anything: beside a cloud whose kinds these are, it speaks for those that it is known to hold.
fn tallies<'a>(rule: &Rule, scopes: &[Watched<'a>]) -> Vec<Option<&'a Tally>> {
    let may_have = |(provider, _): &&Watched<'a>| rule.kind.may_be_of(*provider);
    let has_owner = scopes.iter().filter(may_have).any(|(provider, _)| provider.has_own_kinds());
    let tally = |(provider, tallies): &Watched<'a>| {
        let tally = tallies.and_then(|tallies| tallies.get(&rule.id)).filter(|tally| tally.rule == rule.digest());
        let speaks = provider.has_own_kinds() || !has_owner || tally.is_none_or(|tally| tally.holds);
        speaks.then_some(tally)
    };
    scopes.iter().filter(may_have).filter_map(tally).collect()
}

/// Returns what one rule says of all scopes that may have what it looks at.
fn status(rule: &Rule, scopes: &[Watched<'_>]) -> Status {
    let tallies = tallies(rule, scopes);
    if tallies.is_empty() {
        return Status::NotApplicable;
    }
    let mut sum = Tally::default();
    let mut is_known = true;
    for tally in tallies {
        let Some(tally) = tally else {
            is_known = false;
            continue;
        };
        sum.asked += tally.asked;
        sum.failed += tally.failed;
        sum.undecided += tally.undecided;
        sum.reading = sum.reading.max(tally.reading);
    }
    match sum {
        Tally { failed: 1.., .. } => Status::Fail,
        // A kind that no scope at all was read for was never looked at: left out of `kinds`, or not listed by its cloud.
        Tally { undecided: 1.., .. } | Tally { reading: Reading::None | Reading::Partial, .. } => Status::Unknown,
        _ if !is_known => Status::Unknown,
        Tally { asked: 0, .. } => Status::NotApplicable,
        _ => Status::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::rule::RuleSource;

    fn rule(id: &str, kind: &str) -> Rule {
        Rule::compile(RuleSource {
            id: id.to_owned(),
            title: "t".to_owned(),
            kind: kind.to_owned(),
            severity: Severity::High,
            expression: "true".to_owned(),
            message: "m".to_owned(),
            fix: String::new(),
            frameworks: [("cis".to_owned(), vec!["1".to_owned()])].into(),
        })
        .unwrap()
    }

    /// Returns the look that a word stands for: the first letter is the reading (`c`omplete, `p`artial, `n`one, `-` for no
    /// look at all), then a letter for each resource: `p`assed, `f`ailed, `u`ndecided.
    fn look(word: &str, rule: &Rule) -> Option<Tallies> {
        let said = |letter| word.chars().skip(1).filter(|said| *said == letter).count();
        let reading = match word.chars().next()? {
            'c' => Reading::Complete,
            'p' => Reading::Partial,
            'n' => Reading::None,
            _ => return None,
        };
        let asked = word.len() - 1;
        let (failed, undecided, holds) = (said('f'), said('u'), asked > 0);
        let tally = Tally { rule: rule.digest(), asked, failed, undecided, reading, holds };
        Some([(Arc::clone(&rule.id), tally)].into())
    }

    /// Checks the status of one control. Each of its rules is a kind, and its looks at an AWS account, one for each scope.
    fn check(rules: &[(&str, &[&str])], expected: Status) {
        let rules: Vec<(Rule, &[&str])> =
            rules.iter().enumerate().map(|(n, (kind, looks))| (rule(&format!("r{n}"), kind), *looks)).collect();
        let scopes = rules.iter().map(|(_, looks)| looks.len()).max().unwrap_or(0);
        let tallies: Vec<Option<Tallies>> = (0..scopes)
            .map(|n| {
                let of = |(rule, looks): &(Rule, &[&str])| look(looks.get(n)?, rule);
                rules.iter().map(of).collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect())
            })
            .collect();
        let watched: Vec<Watched<'_>> = tallies.iter().map(|tallies| (Provider::Aws, tallies.as_ref())).collect();
        let counts = count(&RuleSet::new(rules.into_iter().map(|(rule, _)| rule)), &watched);
        assert_eq!(counts["cis"], Counts([(expected, 1)].into()));
    }

    const BUCKET: &str = "AWS::S3::Bucket";

    #[test]
    fn a_control_passes_only_where_everything_was_looked_at() {
        check(&[(BUCKET, &["cpp", "cp"])], Status::Pass);
        check(&[(BUCKET, &["cpp", "n"])], Status::Pass);
        for blind in ["-", "p", "pp", "cu", "cpu"] {
            check(&[(BUCKET, &["cpp", blind])], Status::Unknown);
        }
        check(&[(BUCKET, &["n", "n"])], Status::Unknown);
        check(&[(BUCKET, &["-"])], Status::Unknown);
    }

    #[test]
    fn one_failure_anywhere_fails_it() {
        check(&[(BUCKET, &["cpp", "cpf"])], Status::Fail);
        check(&[(BUCKET, &["pf", "-"])], Status::Fail);
        check(&[(BUCKET, &["cp"]), ("AWS::SQS::Queue", &["cf"])], Status::Fail);
        check(&[(BUCKET, &["cu"]), ("AWS::SQS::Queue", &["cf"])], Status::Fail);
    }

    #[test]
    fn nothing_to_look_at_is_no_pass() {
        check(&[(BUCKET, &["c", "c"])], Status::NotApplicable);
        check(&[("apps/Deployment", &["n"])], Status::NotApplicable);
        check(&[(BUCKET, &["c"]), ("AWS::SQS::Queue", &["cp"])], Status::Pass);
        check(&[(BUCKET, &["c"]), ("AWS::SQS::Queue", &["p"])], Status::Unknown);
    }

    /// Whether a file is known to hold buckets.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Holds {
        Some,
        None,
    }

    /// Checks the status of a control of AWS under the look at an account and that at a file.
    fn check_beside_file((account, file): (Option<&str>, &str), holds: Holds, expected: Status) {
        let rule = rule("r0", BUCKET);
        let account = account.map(|word| look(word, &rule));
        let mut file = look(file, &rule);
        file.iter_mut().flat_map(BTreeMap::values_mut).for_each(|tally| tally.holds = holds == Holds::Some);
        let account = account.iter().map(|tallies| (Provider::Aws, tallies.as_ref()));
        let watched: Vec<Watched<'_>> = account.chain([(Provider::File, file.as_ref())]).collect();
        let counts = count(&RuleSet::new([rule]), &watched);
        assert_eq!(counts["cis"], Counts([(expected, 1)].into()));
    }

    #[test]
    fn a_file_speaks_for_a_kind_of_a_cloud_only_if_it_holds_some() {
        for file in ["c", "p"] {
            check_beside_file((Some("n"), file), Holds::None, Status::Unknown);
            check_beside_file((Some("cp"), file), Holds::None, Status::Pass);
            check_beside_file((Some("c"), file), Holds::None, Status::NotApplicable);
        }
        check_beside_file((Some("cp"), "p"), Holds::Some, Status::Unknown);
        check_beside_file((Some("cp"), "cf"), Holds::Some, Status::Fail);
        check_beside_file((Some("cp"), "-"), Holds::None, Status::Unknown);
        check_beside_file((None, "c"), Holds::None, Status::NotApplicable);
        check_beside_file((None, "p"), Holds::None, Status::Unknown);
    }

    #[test]
    fn a_changed_rule_is_unknown_until_it_was_asked_again() {
        let mut changed = rule("r0", BUCKET);
        let tallies = look("cp", &changed);
        changed = Rule::compile(RuleSource { expression: "false".to_owned(), ..source_of(&changed) }).unwrap();
        let counts = count(&RuleSet::new([changed]), &[(Provider::Aws, tallies.as_ref())]);
        assert_eq!(counts["cis"].of(Status::Unknown), 1);
    }

    fn source_of(rule: &Rule) -> RuleSource {
        RuleSource {
            id: rule.id.to_string(),
            title: rule.title.clone(),
            kind: rule.kind.to_string(),
            severity: rule.severity,
            expression: rule.expression.clone(),
            message: "m".to_owned(),
            fix: rule.fix.clone(),
            frameworks: rule.frameworks.clone(),
        }
    }

    #[test]
    fn the_share_never_hides_what_is_unknown() {
        let counts = Counts([(Status::Pass, 3), (Status::Unknown, 1), (Status::NotApplicable, 5)].into());
        assert_eq!(counts.share(), (3, 4));
    }
}
