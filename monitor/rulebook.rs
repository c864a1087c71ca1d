//! The rulebook: reads rule packs from folders, compiles them all or none, and runs the cases beside them.
//!
//! A rule is `x.yaml`, its cases are `x_test.yaml`. Keeping the old rules when new ones do not load is the caller's part.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftwarden_core::finding::Severity;
use driftwarden_core::resource::{Depth, Desired, Kind, Labels, Origin, Provider, Resource, Scope};
use driftwarden_core::rule::{self, Frameworks, Rule, RuleSet, RuleSource, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;

/// A rule pack: one entry of `rules:`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of rules, with all folders in it, or a single file.
    pub path: PathBuf,
}

macro_rules! builtin {
    ($path:literal) => {
        ($path, include_str!(concat!("../rules/", $path)))
    };
}
/// The rules that come with driftwarden: path in `rules/`, text.
pub const BUILTIN: &[(&str, &str)] = &[
    builtin!("aws/ec2_security_group_admin_ports.yaml"),
    builtin!("aws/ec2_security_group_ingress_admin_ports.yaml"),
    builtin!("aws/iam_policy_admin.yaml"),
    builtin!("aws/iam_role_trust.yaml"),
    builtin!("aws/s3_bucket_encryption.yaml"),
    builtin!("aws/s3_bucket_public_access.yaml"),
    builtin!("aws/s3_bucket_versioning.yaml"),
    builtin!("kubernetes/deployment_image_tag.yaml"),
    builtin!("kubernetes/deployment_resource_limits.yaml"),
    builtin!("kubernetes/pod_host_access.yaml"),
    builtin!("kubernetes/pod_privileged.yaml"),
];

/// Largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// Most files in a pack, and deepest folder.
const MAX_FILES: usize = 20_000;
const MAX_FOLDERS: usize = 16;
/// What the name of a file of cases ends with.
const TEST_SUFFIX: &str = "_test";

/// Everything that is wrong with some rule packs; one line and its hint for each.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct RulebookError(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1, where that is known.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    fn new(file: &Path, place: Option<(u64, u64)>, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place, message: message.into(), hint: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

/// Loads the rules below `paths`, all or none.
pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<RuleSet, RulebookError> {
    let (loaded, problems) = read(paths);
    if problems.is_empty() {
        Ok(RuleSet::new(loaded.into_iter().map(|loaded| loaded.rule)))
    } else {
        Err(RulebookError(problems))
    }
}

/// Compiles one rule from the text of its file; `file` is only for messages.
pub fn parse(file: &Path, text: &str) -> Result<Rule, Problem> {
    let written: RuleFile = from_yaml(file, text)?;
    let places = [
        ("id", place(&written.id)),
        ("title", place(&written.title)),
        ("kind", place(&written.kind)),
        ("expression", place(&written.expression)),
        ("message", place(&written.message)),
    ];
    let source = RuleSource {
        id: written.id.value,
        title: written.title.value,
        kind: written.kind.value,
        severity: written.severity.into(),
        expression: written.expression.value,
        message: written.message.value,
        fix: written.fix.unwrap_or_default(),
        frameworks: written.frameworks,
    };
    Rule::compile(source).map_err(|error| {
        let place = places.into_iter().find(|(key, _)| *key == error.key).map(|(_, place)| place);
        Problem::new(file, place, error.to_string())
    })
}

/// How one case beside a rule came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The file of cases.
    pub file: PathBuf,
    /// Line of the case.
    pub line: u64,
    /// Name of the case.
    pub case: String,
    /// What came out instead of what was wanted; nothing if the case holds.
    pub failure: Option<String>,
}

/// What the cases beside the rules say.
#[derive(Debug, Default)]
pub struct Report {
    /// How each case came out.
    pub outcomes: Vec<Outcome>,
    /// Rules without any case.
    pub untested: Vec<Arc<str>>,
}

/// Loads the rules below `paths` and runs the cases beside them.
pub fn test<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Report, RulebookError> {
    let (loaded, mut problems) = read(paths);
    let mut report = Report::default();
    for Loaded { file, rule } in &loaded {
        match cases(file, rule) {
            Ok(Some(outcomes)) => report.outcomes.extend(outcomes),
            Ok(None) => report.untested.push(Arc::clone(&rule.id)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(report) } else { Err(RulebookError(problems)) }
}

struct Loaded {
    file: PathBuf,
    rule: Rule,
}

/// Reads every rule that can be read, and notes what is wrong with the others.
fn read<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> (Vec<Loaded>, Vec<Problem>) {
    let (mut loaded, mut problems) = (Vec::<Loaded>::new(), Vec::new());
    let mut seen = HashMap::<Arc<str>, PathBuf>::new();
    for file in files(paths, &mut problems) {
        match text(&file).and_then(|text| parse(&file, &text)) {
            Err(problem) => problems.push(problem),
            Ok(rule) => match seen.insert(Arc::clone(&rule.id), file.clone()) {
                Some(first) => {
                    let message = format!("duplicate rule id `{}`, first in {}", rule.id, first.display());
                    problems.push(Problem::new(&file, None, message));
                }
                None => loaded.push(Loaded { file, rule }),
            },
        }
    }
    (loaded, problems)
}

/// Returns the rule files below the paths, in the order of their names, each once.
fn files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        if let Err((path, error)) = gather(path.as_ref(), MAX_FOLDERS, &mut found) {
            let hint = Some("each `path` of `rules` is a folder of rules or one file".to_owned());
            problems.push(Problem { hint, ..Problem::new(&path, None, format!("failed to read rules: {error}")) });
        }
    }
    found.sort();
    found.dedup();
    found
}

fn gather(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let fail = |error| (path.to_owned(), error);
    if !fs::metadata(path).map_err(fail)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let Some(depth) = depth.checked_sub(1) else { return Err(fail(io::Error::other("folders nested too deep"))) };
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let is_folder = entry.file_type().map_err(fail)?.is_dir();
        if !entry.file_name().to_string_lossy().starts_with('.') && (is_folder || is_rule(&entry.path())) {
            gather(&entry.path(), depth, found)?;
        }
        if found.len() > MAX_FILES {
            return Err(fail(io::Error::other(format!("more than {MAX_FILES} files"))));
        }
    }
    Ok(())
}

fn is_rule(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    is_yaml && path.file_stem().is_some_and(|stem| !stem.to_string_lossy().ends_with(TEST_SUFFIX))
}

fn text(file: &Path) -> Result<String, Problem> {
    let read = || match fs::metadata(file)?.len() {
        0..=MAX_FILE => fs::read_to_string(file),
        _ => Err(io::Error::other(format!("larger than {MAX_FILE} bytes"))),
    };
    read().map_err(|error| Problem::new(file, None, format!("failed to read: {error}")))
}

/// A rule as it is written in its file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    id: Spanned<String>,
    title: Spanned<String>,
    kind: Spanned<String>,
    severity: SeverityWord,
    expression: Spanned<String>,
    message: Spanned<String>,
    fix: Option<String>,
    #[serde(default)]
    frameworks: Frameworks,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum SeverityWord {
    Critical,
    High,
    Medium,
    Low,
    Info,
}

impl From<SeverityWord> for Severity {
    fn from(word: SeverityWord) -> Self {
        match word {
            SeverityWord::Critical => Self::Critical,
            SeverityWord::High => Self::High,
            SeverityWord::Medium => Self::Medium,
            SeverityWord::Low => Self::Low,
            SeverityWord::Info => Self::Info,
        }
    }
}

/// A case as it is written beside a rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The attributes.
    resource: Value,
    desired: Option<Value>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    depth: DepthWord,
    /// Which kind, where the rule's has a `*`.
    kind: Option<String>,
    #[serde(default)]
    id: IdParts,
    want: Want,
    /// What the verdict's message must contain.
    message: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum DepthWord {
    #[default]
    Full,
    Listed,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct IdParts {
    account: Option<String>,
    region: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Want {
    Pass,
    Fail,
    Skip,
    Error,
}

/// Runs the cases beside a rule, if there are any.
fn cases(file: &Path, rule: &Rule) -> Result<Option<Vec<Outcome>>, Problem> {
    let Some(stem) = file.file_stem() else { return Ok(None) };
    let extension = file.extension().unwrap_or_default();
    let mut name = stem.to_owned();
    name.push(TEST_SUFFIX);
    name.push(".");
    name.push(extension);
    let file = file.with_file_name(name);
    if !file.exists() {
        return Ok(None);
    }
    let cases: Vec<Spanned<Case>> = from_yaml(&file, &text(&file)?)?;
    let outcome = |case: Spanned<Case>| Outcome {
        rule: Arc::clone(&rule.id),
        file: file.clone(),
        line: case.referenced.line(),
        failure: failure(rule, &case.value),
        case: case.value.name,
    };
    Ok(Some(cases.into_iter().map(outcome).collect()))
}

/// Returns what is wrong with the verdict on a case.
fn failure(rule: &Rule, case: &Case) -> Option<String> {
    let kind = Kind::new(case.kind.as_deref().unwrap_or(rule.kind.as_str()));
    if !rule.is_for(&kind) {
        return Some(format!("the rule does not look at `{kind}`"));
    }
    let (resource, desired) = made(case, &kind);
    let (verdict, text) = match rule::evaluate(rule, &resource, desired.as_ref()) {
        Verdict::Pass => (Want::Pass, String::new()),
        Verdict::Fail(text) => (Want::Fail, text),
        Verdict::Skip(text) => (Want::Skip, text),
        Verdict::Error(text) => (Want::Error, text),
    };
    if verdict != case.want {
        return Some(format!("wanted {:?}, got {verdict:?} {text}", case.want).to_lowercase().trim_end().to_owned());
    }
    let missing = case.message.as_ref().filter(|message| !text.contains(message.as_str()))?;
    Some(format!("wanted a message with `{missing}`, got `{text}`"))
}

/// Makes the resource that a case describes, and its desired twin.
fn made(case: &Case, kind: &Kind) -> (Resource, Option<Desired>) {
    let provider = provider(kind);
    let in_kubernetes = provider == Provider::Kubernetes;
    let or = |part: &Option<String>, cloud: &str, cluster: &str| {
        part.clone().unwrap_or_else(|| if in_kubernetes { cluster } else { cloud }.to_owned())
    };
    let scope = Scope {
        cloud: "test".into(),
        provider,
        account: or(&case.id.account, "123456789012", "test").into(),
        region: or(&case.id.region, "eu-west-1", "-").into(),
    };
    let id = scope.id(kind, &or(&case.id.name, "example", "shop/example"));
    let depth = match case.depth {
        DepthWord::Full => Depth::Full,
        DepthWord::Listed => Depth::Listed,
    };
    let desired = case.desired.as_ref().map(|attributes| Desired {
        provider,
        account: Some(Arc::clone(&id.account)),
        region: Some(Arc::clone(&id.region)),
        kind: kind.clone(),
        name: Some(Arc::clone(&id.name)),
        labels: Labels::new(),
        attributes: attributes.clone(),
        origin: Origin::default(),
    });
    (Resource { id, labels: case.labels.clone(), attributes: case.resource.clone(), depth }, desired)
}

/// Returns the provider that names its kinds like this one.
fn provider(kind: &Kind) -> Provider {
    match kind.as_str() {
        name if name.contains("::") => Provider::Aws,
        name if name.starts_with("Microsoft.") => Provider::Azure,
        name if name.contains(".googleapis.com/") => Provider::Gcp,
        _ => Provider::Kubernetes,
    }
}

fn place<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

fn from_yaml<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Problem> {
    crate::yaml::from_str(text).map_err(|error| {
        let place = error.location().map(|at| (at.line(), at.column()));
        let error = error.without_snippet();
        let (message, hint) = explained(error);
        Problem { hint, ..Problem::new(file, place, message) }
    })
}

/// Says an error in our words, with the nearest known word as a hint.
fn explained(error: &serde_saphyr::Error) -> (String, Option<String>) {
    match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), Some(near(field, expected)))
        }
        serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown word `{variant}`"), Some(near(variant, expected)))
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => (format!("missing key `{field}`"), None),
        other => (other.to_string().lines().next().unwrap_or_default().to_owned(), None),
    }
}

fn near(word: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(word, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + known.len() / 4 => format!("did you mean `{known}`?"),
        _ => format!("known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
    }

    const GOOD: &str = "id: a\ntitle: t\nkind: Pod\nseverity: low\nexpression: has(resource.x)\nmessage: no x\n";

    /// Writes the files into a folder of their own and returns what is wrong with them, without the folder's name.
    fn problems(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        let error = test([folder.path()]).map(|report| report.outcomes);
        let text = match error {
            Ok(outcomes) => outcomes.into_iter().filter_map(|outcome| outcome.failure).collect::<Vec<_>>().join("\n"),
            Err(error) => error.to_string(),
        };
        text.replace(&format!("{}/", folder.path().display()), "")
    }

    fn check(text: &str, want: &str) {
        assert_eq!(problems(&[("x.yaml", text)]), want);
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_the_nearest_word() {
        check(GOOD, "");
        check(&GOOD.replace("title", "titel"), "x.yaml:2:1: unknown key `titel`\n  hint: did you mean `title`?");
        check(&GOOD.replace("low", "hihg"), "x.yaml:4:11: unknown word `hihg`\n  hint: did you mean `high`?");
        check(&GOOD.replace("title: t\n", ""), "x.yaml:5:1: missing key `title`");
        check(
            &GOOD.replace("has(resource.x)", "has(resurce.x)"),
            "x.yaml:5:13: invalid expression at column 5: unknown name `resurce`; there are resource, desired, labels and id",
        );
        check(
            &GOOD.replace("id: a", "id: A-b"),
            "x.yaml:1:5: invalid id: expected lowercase letters, digits and `_`, as in aws_s3_bucket_public_access",
        );
    }

    #[test]
    fn one_id_is_one_rule() {
        let wrong = problems(&[("a.yaml", GOOD), ("deep/er/b.yml", GOOD), ("note.txt", "x"), (".hidden/c.yaml", "x")]);
        assert!(wrong.starts_with("deep/er/b.yml: duplicate rule id `a`, first in "), "{wrong}");
    }

    #[test]
    fn all_problems_are_named_at_once_and_nothing_is_loaded() {
        let wrong = problems(&[("a.yaml", "[]"), ("b.yaml", "id: [\n"), ("c.yaml", GOOD)]);
        assert!(wrong.contains("a.yaml:1:1") && wrong.contains("b.yaml:"), "{wrong}");
        assert!(load(["/nowhere/at/all"]).is_err());
    }

    #[test]
    fn cases_say_what_came_out() {
        let cases = "- {name: a, resource: {x: 1}, want: fail}\n- {name: b, resource: {}, want: fail, message: no y}\n\
                     - {name: c, resource: {}, want: fail, kind: Job}\n- {name: d, resource: {}, want: fail}\n";
        let want = "wanted fail, got pass\nwanted a message with `no y`, got `no x`\nthe rule does not look at `Job`";
        assert_eq!(problems(&[("x.yaml", GOOD), ("x_test.yaml", cases)]), want);
        let wrong = problems(&[("x.yaml", GOOD), ("x_test.yaml", "- {name: a, resource: {}, wants: fail}\n")]);
        assert_eq!(wrong, "x_test.yaml:1:27: unknown key `wants`\n  hint: did you mean `want`?");
    }

    #[test]
    fn a_case_may_have_labels_an_id_and_a_desired_twin() {
        let rule = GOOD.replace("has(resource.x)", "desired.x == resource.x && labels.team == id.name");
        let case = "- {name: a, resource: {x: 1}, desired: {x: 1}, labels: {team: web}, id: {name: web}, want: pass}\n";
        assert_eq!(problems(&[("x.yaml", &rule), ("x_test.yaml", case)]), "");
    }

    #[test]
    fn our_own_rules_hold_their_cases() {
        let report = test([folder()]).unwrap();
        let failed: Vec<_> = report.outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(report.untested.is_empty(), "{:?}", report.untested);
    }

    #[test]
    fn our_own_rules_are_tried_with_each_verdict() {
        for (path, _) in BUILTIN {
            let text = fs::read_to_string(folder().join(path.replace(".yaml", "_test.yaml"))).unwrap();
            for want in ["want: pass", "want: fail", "want: skip"] {
                assert!(text.contains(want), "{path} has no case with `{want}`");
            }
        }
    }

    #[test]
    fn what_is_built_in_is_what_lies_in_the_folder() {
        let built_in: Vec<Rule> = BUILTIN.iter().map(|(path, text)| parse(Path::new(path), text).unwrap()).collect();
        assert_eq!(RuleSet::new(built_in).hash(), load([folder()]).unwrap().hash());
    }

    /// Every rule as a row of a Markdown table.
    fn table() -> String {
        let row = |rule: &Arc<Rule>| {
            let controls = rule.frameworks.iter().map(|(name, ids)| format!("{name} {}", ids.join(", ")));
            let controls = controls.collect::<Vec<_>>().join("; ");
            let (id, title, kind, severity) = (&rule.id, &rule.title, &rule.kind, rule.severity.as_str());
            format!("| `{id}` | {title} | `{kind}` | {severity} | {controls} |\n")
        };
        let rows: Vec<String> = load([folder()]).unwrap().iter().map(row).collect();
        format!("| id | what holds | kind | severity | frameworks |\n|---|---|---|---|---|\n{}", rows.concat())
    }

    #[test]
    fn the_table_of_rules_is_fresh() {
        let path = folder().join("README.md");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("<!-- rules -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /rules -->").unwrap();
        let fresh = format!("{before}<!-- rules -->\n{}<!-- /rules -->{after}", table());
        if std::env::var_os("DRIFTWARDEN_UPDATE").is_some() {
            fs::write(&path, &fresh).unwrap();
        } else {
            assert_eq!(text, fresh, "run DRIFTWARDEN_UPDATE=1 cargo test");
        }
    }
}
