//! Ignore rules: what somebody accepted to differ, why, and until when.
//!
//! A rule takes changes out of a comparison and nothing else: what was not read stays unknown, a resource that is missing
//! stays missing, and a change that makes a rule fail is not hidden. Reading rules from files is not done here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use crate::compare::{Change, Comparison, Ignore, apply};
use crate::resource::{Desired, Resource};
use crate::rule::{self, Rule, Verdict, fits};

/// What one team accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Its name, once in a source.
    pub name: Arc<str>,
    /// Name of the source that it stands in.
    pub source: Arc<str>,
    /// Which resources it is about.
    pub subject: Subject,
    /// What of them.
    pub what: Ignore,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it hides anything, in UTC.
    pub until: Date,
    /// Path inside the repository.
    pub file: Arc<str>,
    /// Line of its first key, from 1.
    pub line: u32,
}

/// Which resources a rule is about; in every text `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// The provider's own type name.
    pub kind: String,
    /// The name in Git or the provider's; any if not said.
    pub name: Option<String>,
    /// Labels, Git's over the cloud's.
    pub labels: BTreeMap<String, String>,
}

/// Once this many complete looks in a row hid nothing by it, a rule is stale.
pub const STALE_AFTER: u32 = 50;

/// What a look says of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The rule.
    pub rule: Arc<IgnoreRule>,
    /// How many changes it hid.
    pub hits: usize,
    /// Whether its time is over, so that it hides nothing any more.
    pub is_expired: bool,
    /// How many complete looks in a row hid nothing by it.
    pub idle: u32,
}

impl Ignored {
    pub(crate) fn new(rule: &Arc<IgnoreRule>, is_expired: bool) -> Self {
        Self { rule: Arc::clone(rule), hits: 0, is_expired, idle: 0 }
    }

    /// Counts what was hidden of one resource, if it was hidden by this rule.
    pub(crate) fn count(&mut self, hidden: &Hidden) {
        if (&self.rule.source, &self.rule.name) == (&hidden.rule.source, &hidden.rule.name) {
            self.hits += hidden.count;
        }
    }

    /// Returns whether the rule is in force and has hidden nothing for that many complete looks.
    pub fn is_stale(&self, after: u32) -> bool {
        !self.is_expired && self.hits == 0 && self.idle >= after
    }
}

/// How many changes of one resource a rule hid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hidden {
    pub(crate) rule: Arc<IgnoreRule>,
    pub(crate) count: usize,
}

impl Subject {
    fn means(&self, desired: &Desired, resource: &Resource) -> bool {
        let named = |glob: &String| {
            fits(glob, &resource.id.name) || desired.name.as_deref().is_some_and(|name| fits(glob, name))
        };
        let labeled = |(key, glob): (&String, &String)| {
            desired.labels.get(key).or_else(|| resource.labels.get(key)).is_some_and(|value| fits(glob, value))
        };
        fits(&self.kind, resource.id.kind.as_str())
            && self.name.as_ref().is_none_or(named)
            && self.labels.iter().all(labeled)
    }
}

/// Returns all that `rules` accept of one resource.
pub(crate) fn together(rules: &[Arc<IgnoreRule>], desired: &Desired, resource: &Resource) -> Ignore {
    let mut all = Ignore::default();
    for rule in rules.iter().filter(|rule| rule.subject.means(desired, resource)) {
        all.pointers.extend(rule.what.pointers.iter().cloned());
        all.managers.extend(rule.what.managers.iter().cloned());
    }
    all
}

/// A resource beside its declaration, and which rules it breaks.
pub(crate) struct Case<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) resource: &'a Resource,
    pub(crate) broken: Vec<&'a Rule>,
}

impl Case<'_> {
    /// Takes out of `found` what `rules` hide, and returns which of them hid how much.
    pub(crate) fn hide(&self, rules: &[Arc<IgnoreRule>], found: &mut Comparison) -> Vec<Hidden> {
        let mut hidden: Vec<(usize, Change)> = Vec::new();
        for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.subject.means(self.desired, self.resource)) {
            let taken = rule.what.take(found, &self.desired.attributes, &self.resource.attributes);
            hidden.extend(taken.into_iter().map(|change| (at, change)));
        }
        self.give_back(rules, &mut hidden, found);
        let count = |(at, rule): (usize, &Arc<IgnoreRule>)| {
            let count = hidden.iter().filter(|(by, _)| *by == at).count();
            (count > 0).then(|| Hidden { rule: Arc::clone(rule), count })
        };
        rules.iter().enumerate().filter_map(count).collect()
    }

    /// Gives back what must not be hidden: what makes a rule fail.
    fn give_back(&self, rules: &[Arc<IgnoreRule>], hidden: &mut Vec<(usize, Change)>, found: &mut Comparison) {
        for broken in &self.broken {
            let culprits = self.culprits(broken, hidden);
            for (by, mut change) in hidden.extract_if(.., |(_, change)| culprits.contains(&change.path)) {
                let by = rules.get(by).map_or("", |rule| &rule.name);
                let reason = format!("{}; not ignored by `{by}`: it makes rule `{}` fail", change.reason, broken.id);
                change.reason = reason.into();
                found.changes.push(change);
            }
        }
        found.changes.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Returns the paths of the hidden changes that make a rule fail. In doubt all of them: rather a change too many is
    /// shown than one that opens something.
    fn culprits(&self, broken: &Rule, hidden: &[(usize, Change)]) -> Vec<String> {
        let all: Vec<Change> = hidden.iter().map(|(_, change)| change.clone()).collect();
        if all.is_empty() || self.fails_without(broken, &all) {
            return Vec::new();
        }
        let alone = all.iter().filter(|change| !self.fails_without(broken, std::slice::from_ref(*change)));
        let mut culprits: Vec<String> = alone.map(|change| change.path.clone()).collect();
        if culprits.is_empty() {
            culprits = all.into_iter().map(|change| change.path).collect();
        }
        culprits
    }

    /// Returns whether a rule fails even with these changes made good.
    fn fails_without(&self, broken: &Rule, changes: &[Change]) -> bool {
        let attributes = apply(changes, &self.desired.attributes, &self.resource.attributes);
        let mended = Resource { attributes, ..self.resource.clone() };
        matches!(rule::evaluate(broken, &mended, Some(self.desired)), Verdict::Fail(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::compare::MaskKey;
    use crate::expected::{Expected, Terms, Unmanaged};
    use crate::finding::{Evidence, Severity};
    use crate::related::Related;
    use crate::resource::{Depth, Kind, Labels, Origin, Provider, Scope};
    use crate::rule::{RuleSet, RuleSource};
    use crate::schema::Schemas;
    use crate::snapshot::{ItemText, Lens, Look, Sights, Snapshot};

    const KIND: &str = "AWS::S3::Bucket";

    fn rule(name: &str, paths: &[&str]) -> IgnoreRule {
        IgnoreRule {
            name: name.into(),
            source: "infra".into(),
            subject: Subject { kind: "AWS::S3::*".to_owned(), ..Subject::default() },
            what: Ignore { pointers: paths.iter().map(|path| (*path).to_owned()).collect(), managers: Vec::new() },
            owner: "team-data".to_owned(),
            reason: "it is theirs".to_owned(),
            until: "2027-01-31".parse().unwrap(),
            file: "ignore.yaml".into(),
            line: 1,
        }
    }

    /// A rule of the rulebook that breaks when the bucket is open.
    fn closed() -> RuleSet {
        let source = RuleSource {
            id: "closed".to_owned(),
            title: "closed".to_owned(),
            kind: KIND.to_owned(),
            severity: Severity::High,
            expression: "has(resource.Open) && !resource.Open".to_owned(),
            message: "open".to_owned(),
            fix: String::new(),
            frameworks: BTreeMap::new(),
        };
        RuleSet::new([Rule::compile(source).unwrap()])
    }

    /// Looks at bucket `a`, of which Git says `{Open: false, Size: 1}`, and returns what was seen of it.
    fn look(snapshot: &mut Snapshot, rules: &[IgnoreRule], observed: &Value, now: &str) -> Sights {
        let declared = Desired {
            provider: Provider::Aws,
            account: None,
            region: None,
            kind: KIND.into(),
            name: Some("a".into()),
            labels: Labels::from([("team".to_owned(), "data".to_owned())]),
            attributes: json!({"Open": false, "Size": 1}),
            origin: Origin { source: "infra".into(), ..Origin::default() },
        };
        let terms = Terms { ignores: rules.iter().cloned().map(Arc::new).collect(), ..Terms::default() };
        let terms = BTreeMap::from([(Arc::from("infra"), terms)]);
        let expected = Expected::new(vec![declared], Some(Unmanaged::DeclaredKinds)).under(terms, now.parse().unwrap());
        let scope = Scope { cloud: "c".into(), provider: Provider::Aws, account: "1".into(), region: "r".into() };
        let (rules, mask, schemas, related) = (closed(), MaskKey::new([0; 32]), Schemas::default(), Related::default());
        let lens = Lens {
            scope: &scope,
            expected: &expected,
            rules: &rules,
            schemas: &schemas,
            related: &related,
            mask: &mask,
        };
        let mut look = Look::begin(lens, snapshot, jiff::Timestamp::UNIX_EPOCH);
        let kind = Kind::from(KIND);
        let text = observed.to_string();
        look.take(&kind, [ItemText { name: "a", text: &text, depth: Depth::Full }].into_iter());
        look.complete(&kind);
        look.finish()
    }

    /// Answers with what is drift, what is violated, and how many changes each rule hid.
    fn words(sights: &Sights) -> String {
        let paths = |evidence: &Evidence| {
            let paths: Vec<&str> = evidence.changes.iter().map(|change| change.path.as_str()).collect();
            format!("{}{}", evidence.subject.rule_str(), paths.join(" "))
        };
        let found: Vec<String> = sights.evidence.iter().map(paths).collect();
        let hits: Vec<String> = sights.ignored.iter().map(|it| format!("{}={}", it.rule.name, it.hits)).collect();
        format!("{}; {}", found.join(", "), hits.join(" "))
    }

    fn check(rules: &[IgnoreRule], observed: &Value, expected: &str) {
        let sights = look(&mut Snapshot::default(), rules, observed, "2026-11-27T12:00:00Z");
        assert_eq!(words(&sights), expected);
    }

    #[test]
    fn a_rule_hides_what_it_names_and_counts_it() {
        let grown = json!({"Open": false, "Size": 2});
        check(&[], &grown, "/Size; ");
        check(&[rule("r", &["/Size"])], &grown, "; r=1");
        check(&[rule("r", &["/Other"])], &grown, "/Size; r=0");
        check(&[rule("r", &["/Size"]), rule("s", &["/Size"])], &grown, "; r=1 s=0");
    }

    #[test]
    fn a_rule_is_about_its_kind_its_names_and_its_labels() {
        let grown = json!({"Open": false, "Size": 2});
        let about = |kind: &str, name: &str, team: &str| IgnoreRule {
            subject: Subject {
                kind: kind.to_owned(),
                name: Some(name.to_owned()),
                labels: BTreeMap::from([("team".to_owned(), team.to_owned())]),
            },
            ..rule("r", &["/Size"])
        };
        check(&[about("AWS::S3::Bucket", "a*", "d*")], &grown, "; r=1");
        for other in [about("AWS::EC2::*", "a", "data"), about("*", "b*", "data"), about("*", "a", "web")] {
            check(&[other], &grown, "/Size; r=0");
        }
    }

    #[test]
    fn a_change_that_breaks_a_rule_is_not_hidden() {
        let both = json!({"Open": true, "Size": 2});
        check(&[rule("r", &["/Size", "/Open"])], &both, "/Open, closed; r=1");
        let sights = look(&mut Snapshot::default(), &[rule("r", &["/Open"])], &both, "2026-11-27T12:00:00Z");
        let reason = &sights.evidence[0].changes[0].reason;
        assert!(reason.contains("not ignored by `r`: it makes rule `closed` fail"), "{reason}");
    }

    #[test]
    fn a_rule_hides_nothing_from_the_day_after_its_last() {
        let grown = json!({"Open": false, "Size": 2});
        let mut snapshot = Snapshot::default();
        let rules = [rule("r", &["/Size"])];
        let mut see = |now: &str| {
            let sights = look(&mut snapshot, &rules, &grown, now);
            (words(&sights), sights.ignored[0].is_expired, sights.judged_anew.len())
        };
        assert_eq!(see("2027-01-31T23:59:58Z"), ("; r=1".to_owned(), false, 1));
        assert_eq!(see("2027-01-31T23:59:59Z"), ("; r=1".to_owned(), false, 0));
        assert_eq!(see("2027-02-01T00:00:00Z"), ("/Size; r=0".to_owned(), true, 1));
    }

    #[test]
    fn what_is_hidden_is_counted_in_every_look_and_idleness_in_complete_ones() {
        let (grown, same) = (json!({"Open": false, "Size": 2}), json!({"Open": false, "Size": 1}));
        let mut snapshot = Snapshot::default();
        let rules = [rule("r", &["/Size"])];
        let mut see = |observed: &Value| {
            let sights = look(&mut snapshot, &rules, observed, "2026-11-27T12:00:00Z");
            (sights.ignored[0].hits, sights.ignored[0].idle)
        };
        assert_eq!(
            [see(&grown), see(&grown), see(&same), see(&same), see(&grown)],
            [(1, 0), (1, 0), (0, 1), (0, 2), (1, 0)]
        );
    }

    #[test]
    fn only_a_rule_in_force_grows_stale() {
        let ignored = |hits, is_expired, idle| Ignored { rule: Arc::new(rule("r", &["/a"])), hits, is_expired, idle };
        assert!(ignored(0, false, STALE_AFTER).is_stale(STALE_AFTER));
        assert!(!ignored(0, false, STALE_AFTER - 1).is_stale(STALE_AFTER));
        assert!(!ignored(0, true, STALE_AFTER).is_stale(STALE_AFTER));
    }
}
