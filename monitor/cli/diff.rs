//! `driftwarden diff`: compares one declared resource with one that was read, from files.
//!
//! Contacts nothing and remembers nothing. With `--batch` it answers one line per case, so that other programs can hold
//! the comparison against cases of their own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args as ClapArgs, ValueEnum};
use comfy_table::{ContentArrangement, Table};
use driftwarden_core::compare::{
    Answer, Comparison, Context, Facts, Fold, MaskKey, Strict, Strictly, Watch, compare, explain,
};
use driftwarden_core::expected::Expected;
use driftwarden_core::normalize;
use driftwarden_core::resource::{Depth, Desired, Kind, Labels, Origin, Provider};
use driftwarden_core::scalers::Scaler;
use driftwarden_core::schema::{Schema, cloudformation};
use driftwarden_core::siblings::Sibling;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::table::placed;

/// What `diff` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// What Git declares, YAML or JSON; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    desired: Option<PathBuf>,
    /// What was read, YAML or JSON; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    observed: Option<PathBuf>,
    /// The provider's type name: `AWS::S3::Bucket`, `apps/Deployment`; of a Kubernetes object, its own if not said.
    #[arg(long)]
    kind: Option<String>,
    /// Facts about the kind's attributes, or the provider's own schema as `aws cloudformation describe-type` gives it.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Account, region, identifier and what is known of other resources (`related`; what Git declares beside this one is
    /// `related.declared`, a list of `{kind, name, spec}`).
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    /// Cases as JSON lines of `{name, kind, declared, observed, schema, context}`; one answer per line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["desired", "observed", "kind", "schema", "context"])]
    batch: Option<PathBuf>,
    /// Count what nobody declared in the lists that decide about security, as the daemon does.
    #[arg(long)]
    strict: bool,
    /// Say of every difference that does not count why it does not.
    #[arg(long)]
    explain: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Compares, prints, and says by the exit code what came out: 0 in sync, 2 drifted, 3 not everything was readable.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let out = BufWriter::new(std::io::stdout().lock());
    match &args.batch {
        Some(path) => batch(path, (args.ask(), args.watch()), out),
        None => one(args, out),
    }
}

/// The fields of a schema file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SchemaFile {
    read_only: Vec<String>,
    write_only: Vec<String>,
    create_only: Vec<String>,
    defaults: std::collections::BTreeMap<String, Value>,
    unordered: Vec<String>,
    partial: Vec<String>,
    free_form: Vec<String>,
    keys: std::collections::BTreeMap<String, Vec<String>>,
    sets: Vec<String>,
    atomic: Vec<String>,
    quantities: Vec<String>,
    durations: Vec<String>,
    encoded: Vec<String>,
    unstated: Vec<String>,
}

impl From<SchemaFile> for Schema {
    fn from(file: SchemaFile) -> Self {
        Self {
            read_only: file.read_only,
            write_only: file.write_only,
            create_only: file.create_only,
            defaults: file.defaults,
            unordered: file.unordered,
            partial: file.partial,
            free_form: file.free_form,
            keys: file.keys,
            sets: file.sets,
            atomic: file.atomic,
            quantities: file.quantities,
            durations: file.durations,
            encoded: file.encoded,
            unstated: file.unstated,
            ..Self::default()
        }
    }
}

/// Returns what a schema says: a provider's own document, or facts in our form.
fn schema_of(kind: &Kind, value: &Value) -> Result<Schema> {
    if !cloudformation::is_document(value) {
        return Ok(SchemaFile::deserialize(value)?.into());
    }
    let (described, schema) = cloudformation::read(value)?;
    if described != *kind {
        bail!("the schema is that of {described}, and the resource is of kind {kind}");
    }
    Ok(schema)
}

/// The fields of a context file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ContextFile {
    account: String,
    region: String,
    id: String,
    related: Value,
}

impl From<ContextFile> for Context {
    fn from(file: ContextFile) -> Self {
        Self { account: file.account, region: file.region, id: file.id, related: file.related.into() }
    }
}

/// What else is declared, as `related.declared` of a context says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    kind: String,
    #[serde(default)]
    name: Option<String>,
    spec: Value,
}

impl From<Declared> for Desired {
    fn from(declared: Declared) -> Self {
        Self {
            provider: Provider::File,
            account: None,
            region: None,
            kind: Kind::new(declared.kind),
            name: declared.name.map(Into::into),
            labels: Labels::new(),
            attributes: declared.spec,
            origin: Origin::default(),
        }
    }
}

/// What is declared beside a resource, and the names of the resource.
struct Beside {
    expected: Expected,
    kind: Kind,
    names: Vec<String>,
}

impl Beside {
    fn of(kind: &Kind, context: &Context, observed: &Value) -> Result<Self> {
        let beside = context.related.get("declared").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let beside = Vec::<Declared>::deserialize(beside).context("invalid context: `related.declared`")?;
        let own = Declared { kind: kind.as_str().to_owned(), name: None, spec: Value::Null };
        let declared = std::iter::once(own).chain(beside).map(Desired::from).collect();
        let mut names = vec![context.id.clone()];
        for provider in [Provider::Aws, Provider::Azure] {
            names.extend(normalize::names(provider, kind, &context.id, observed));
        }
        Ok(Self { expected: Expected::new(declared, None), kind: kind.clone(), names })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    fn siblings(&self) -> Vec<&Sibling> {
        self.expected.siblings(&self.kind, self.names())
    }

    fn scalers(&self) -> Vec<&Scaler> {
        self.expected.scalers(&self.kind, self.names())
    }
}

/// What is printed of a comparison.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    verdict: &'static str,
    changes: Vec<ReportedChange<'a>>,
    undeclared: &'a [String],
    unknown: Vec<ReportedUnknown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folds: Option<Vec<ReportedFold<'a>>>,
}

#[derive(Debug, Serialize)]
struct ReportedFold<'a> {
    path: &'a str,
    fold: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    desired: &'a Value,
    observed: &'a Value,
    sensitive: bool,
}

#[derive(Debug, Serialize)]
struct ReportedChange<'a> {
    path: &'a str,
    op: &'static str,
    desired: &'a Value,
    observed: &'a Value,
    sensitive: bool,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ReportedUnknown<'a> {
    path: &'a str,
    reason: &'static str,
}

impl<'a> Report<'a> {
    fn of(name: Option<&'a str>, answer: &'a Compared) -> Self {
        let found = &answer.found;
        let changes = found.changes.iter().map(|change| ReportedChange {
            path: &change.path,
            op: change.op.as_str(),
            desired: &change.desired,
            observed: &change.observed,
            sensitive: change.sensitive,
            reason: &change.reason,
            owner: change.owner.as_deref(),
        });
        let unknown =
            found.unknown.iter().map(|unknown| ReportedUnknown { path: &unknown.path, reason: unknown.reason });
        Self {
            name,
            verdict: found.answer().as_str(),
            changes: changes.collect(),
            undeclared: &found.undeclared,
            unknown: unknown.collect(),
            folds: answer.folds.as_ref().map(|folds| folds.iter().map(ReportedFold::from).collect()),
        }
    }
}

impl<'a> From<&'a Fold> for ReportedFold<'a> {
    fn from(fold: &'a Fold) -> Self {
        let Fold { path, fold, reason, desired, observed, sensitive } = fold;
        Self { path, fold, reason: reason.as_deref(), desired, observed, sensitive: *sensitive }
    }
}

/// How much is asked of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// What differs.
    Differences,
    /// Also why the rest does not.
    Everything,
}

impl Args {
    fn ask(&self) -> Ask {
        if self.explain { Ask::Everything } else { Ask::Differences }
    }

    fn watch(&self) -> Watch {
        if self.strict { Watch::Strict } else { Watch::Lenient }
    }
}

/// Returns what counts of a kind although it is not declared.
fn strict(kind: &Kind, watch: Watch) -> Option<Strict> {
    (watch == Watch::Strict).then(|| Strict::usual(kind))
}

/// What came out of a comparison.
struct Compared {
    found: Comparison,
    folds: Option<Vec<Fold>>,
}

fn one(args: &Args, mut out: impl Write) -> Result<ExitCode> {
    let (Some(desired), Some(observed)) = (&args.desired, &args.observed) else {
        bail!("invalid arguments: --desired and --observed belong together");
    };
    let place = desired.display().to_string();
    let (desired, observed) = (document(desired)?, document(observed)?);
    let kind = match &args.kind {
        Some(kind) => Kind::new(kind.as_str()),
        None => own_kind(&desired).or_else(|| own_kind(&observed)).ok_or_else(|| {
            anyhow!("failed to tell the kind of the resource\nhint: say it with --kind, as in `--kind AWS::S3::Bucket`")
        })?,
    };
    let schema = match &args.schema {
        Some(path) => schema_of(&kind, &parsed(path)?).with_context(|| format!("failed to use {}", path.display()))?,
        None => Schema::default(),
    };
    let context: ContextFile = args.context.as_deref().map(parsed).transpose()?.unwrap_or_default();
    let (context, mask) = (context.into(), fresh_key());
    let strict = strict(&kind, args.watch());
    let beside = Beside::of(&kind, &context, &observed)?;
    let (siblings, scalers) = (beside.siblings(), beside.scalers());
    let strictly = Strictly { strict: strict.as_ref(), siblings: &siblings, scalers: &scalers, ..Strictly::default() };
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
    let answer = compared((&desired, &observed), facts, args.ask());
    match args.output {
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &Report::of(None, &answer)).context("failed to write the result")?;
            writeln!(out)
        }
        Output::Table => out.write_all(table(&answer, &place).as_bytes()),
    }
    .and_then(|()| out.flush())
    .context("failed to write the result")?;
    Ok(exit_code(answer.found.answer()))
}

fn compared((desired, observed): (&Value, &Value), facts: Facts<'_>, ask: Ask) -> Compared {
    let (found, folds) = match ask {
        Ask::Differences => (compare(desired, observed, facts), None),
        Ask::Everything => {
            let (found, folds) = explain(desired, observed, facts);
            (found, Some(folds))
        }
    };
    let mut answer = Compared { found, folds };
    number_secrets(&mut answer);
    answer
}

/// A key of this run only: what it masks cannot be guessed from the digest, by nobody.
fn fresh_key() -> MaskKey {
    let (one, other) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let mut hasher = blake3::Hasher::new();
    hasher.update(one.as_bytes()).update(other.as_bytes());
    MaskKey::new(*hasher.finalize().as_bytes())
}

/// Replaces the digests of this run by numbers, so that the same input prints the same bytes: the same secret has the
/// same number, another one has another.
fn number_secrets(answer: &mut Compared) {
    let mut numbers = HashMap::new();
    for change in answer.found.changes.iter_mut().filter(|change| change.sensitive) {
        number(&mut change.desired, &mut numbers);
        number(&mut change.observed, &mut numbers);
    }
    for fold in answer.folds.iter_mut().flatten().filter(|fold| fold.sensitive) {
        number(&mut fold.desired, &mut numbers);
        number(&mut fold.observed, &mut numbers);
    }
}

fn number(value: &mut Value, numbers: &mut HashMap<String, usize>) {
    match value {
        Value::String(text) if text.starts_with("(sensitive ") => {
            let next = numbers.len() + 1;
            *text = format!("(sensitive {})", numbers.entry(std::mem::take(text)).or_insert(next));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| number(item, numbers)),
        Value::Object(map) => map.values_mut().for_each(|inner| number(inner, numbers)),
        _ => {}
    }
}

fn exit_code(answer: Answer) -> ExitCode {
    ExitCode::from(match answer {
        Answer::InSync => 0,
        Answer::Drifted => 2,
        Answer::Unknown => 3,
    })
}

/// Returns the kind that an object of Kubernetes or a manifest of our own states.
fn own_kind(value: &Value) -> Option<Kind> {
    let kind = value.get("kind")?.as_str()?;
    let group = value.get("apiVersion")?.as_str()?.split_once('/').map(|(group, _)| group);
    Some(match group {
        Some(group) if group != "driftwarden.dev" => Kind::new(format!("{group}/{kind}")),
        _ => Kind::new(kind),
    })
}

/// Returns the one document of a file; of a manifest of our own, what it declares.
fn document(path: &Path) -> Result<Value> {
    let value: Value = parsed(path)?;
    let ours =
        value.get("apiVersion").and_then(Value::as_str).is_some_and(|version| version.starts_with("driftwarden.dev/"));
    Ok(if ours { value.get("spec").cloned().unwrap_or_default() } else { value })
}

fn parsed<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = text(path)?;
    let shown = path.display();
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    if let Some(value) = looks_like_json.then(|| serde_json::from_str(&text).ok()).flatten() {
        return Ok(value);
    }
    crate::yaml::from_str(&text).with_context(|| format!("failed to parse {shown} as JSON or YAML"))
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    reader(path)?.read_to_string(&mut text).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(text)
}

fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// One line of a batch.
#[derive(Deserialize)]
struct Case<'a> {
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: Option<String>,
    declared: Value,
    observed: Value,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    context: ContextFile,
}

fn batch(path: &Path, (ask, watch): (Ask, Watch), mut out: impl Write) -> Result<ExitCode> {
    let (mut worst, mut failed) = (Answer::InSync, false);
    let mut bench = Bench { ask, watch, mask: fresh_key(), schemas: HashMap::new() };
    for line in reader(path)?.split(b'\n') {
        let line = line.with_context(|| format!("failed to read {}", path.display()))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match bench.answer(&line) {
            Ok((text, answer)) => {
                worst = worse(worst, answer);
                writeln!(out, "{text}")
            }
            Err(error) => {
                failed = true;
                let name = serde_json::from_slice::<Value>(&line).ok().and_then(|line| line.get("name").cloned());
                writeln!(out, "{}", serde_json::json!({"name": name, "error": format!("{error:#}")}))
            }
        }
        .context("failed to write the result")?;
    }
    out.flush().context("failed to write the result")?;
    Ok(if failed { ExitCode::FAILURE } else { exit_code(worst) })
}

fn worse(left: Answer, right: Answer) -> Answer {
    let rank = |answer| match answer {
        Answer::Drifted => 2,
        Answer::Unknown => 1,
        Answer::InSync => 0,
    };
    if rank(right) > rank(left) { right } else { left }
}

/// What is kept from line to line: cases of one kind mostly have one schema.
struct Bench {
    ask: Ask,
    watch: Watch,
    mask: MaskKey,
    schemas: HashMap<String, Arc<Schema>>,
}

impl Bench {
    fn answer(&mut self, line: &[u8]) -> Result<(String, Answer)> {
        let case: Case<'_> = serde_json::from_slice(line).context("invalid case")?;
        let kind = case.kind.as_deref().map(Kind::from).or_else(|| own_kind(&case.declared));
        let kind = kind.ok_or_else(|| anyhow!("invalid case: no `kind`"))?;
        let schema = self.schema(&kind, case.schema)?;
        let context = case.context.into();
        let strict = strict(&kind, self.watch);
        let beside = Beside::of(&kind, &context, &case.observed)?;
        let (siblings, scalers) = (beside.siblings(), beside.scalers());
        let strictly =
            Strictly { strict: strict.as_ref(), siblings: &siblings, scalers: &scalers, ..Strictly::default() };
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &self.mask, strictly };
        let answer = compared((&case.declared, &case.observed), facts, self.ask);
        let text =
            serde_json::to_string(&Report::of(Some(&case.name), &answer)).context("failed to write the result")?;
        Ok((text, answer.found.answer()))
    }

    fn schema(&mut self, kind: &Kind, raw: Option<&RawValue>) -> Result<Arc<Schema>> {
        let text = raw.map_or("{}", RawValue::get);
        if let Some(known) = self.schemas.get(text) {
            return Ok(Arc::clone(known));
        }
        let schema = Arc::new(schema_of(kind, &serde_json::from_str(text)?).context("invalid schema")?);
        if self.schemas.len() < 10_000 {
            self.schemas.insert(text.to_owned(), Arc::clone(&schema));
        }
        Ok(schema)
    }
}

/// Returns a comparison as people read it.
fn table(answer: &Compared, place: &str) -> String {
    let Compared { found, folds } = answer;
    let shown = |value: &Value| if value.is_null() { "-".to_owned() } else { printable(&value.to_string()) };
    let mut lines = Vec::new();
    if !found.changes.is_empty() {
        let mut table = Table::new();
        table.set_content_arrangement(ContentArrangement::Dynamic).set_header(["path", "op", "desired", "observed"]);
        for change in &found.changes {
            table.add_row([
                printable(&change.path),
                change.op.as_str().to_owned(),
                shown(&change.desired),
                shown(&change.observed),
            ]);
        }
        lines.push(table.to_string());
    }
    for change in &found.changes {
        lines.push(format!("why: {}: {}", printable(&change.path), printable(&placed(&change.reason, Some(place)))));
    }
    for fold in folds.iter().flatten() {
        let reason = fold.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let (path, sides) = (printable(&fold.path), format!("{} ~ {}", shown(&fold.desired), shown(&fold.observed)));
        lines.push(format!("no change: {path}: {}{reason}: {sides}", fold.fold));
    }
    for unknown in &found.unknown {
        lines.push(format!("unknown: {} ({})", printable(&unknown.path), unknown.reason));
    }
    for path in &found.undeclared {
        lines.push(format!("undeclared: {}", printable(path)));
    }
    lines.push(found.answer().as_str().to_owned());
    lines.join("\n") + "\n"
}

/// Returns a text with everything that would steer a terminal written out.
fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if steers(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(lines: &str, expected: &[Value], failed: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.jsonl");
        std::fs::write(&path, lines).unwrap();
        let mut out = Vec::new();
        let code = batch(&path, (Ask::Differences, Watch::Lenient), &mut out).unwrap();
        let answers: Vec<Value> =
            out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        let verdicts: Vec<Value> = answers.iter().map(|a| json!([a["name"], a["verdict"]])).collect();
        assert_eq!(verdicts, expected);
        assert_eq!(code == ExitCode::FAILURE, failed);
    }

    fn answered(desired: &Value, observed: &Value) -> Compared {
        let (kind, schema, context, mask) =
            (Kind::from("AWS::X::Y"), Schema::default(), Context::default(), fresh_key());
        let strictly = Strictly::default();
        let facts =
            Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask, strictly };
        compared((desired, observed), facts, Ask::Everything)
    }

    #[test]
    fn a_bad_line_does_not_stop_the_others() {
        let good = json!({"name": "a", "kind": "AWS::S3::Bucket", "declared": {"A": 1}, "observed": {"A": 2}});
        let same = json!({"name": "b", "kind": "AWS::S3::Bucket", "declared": {"A": 1}, "observed": {"A": 1}, "schema": {}, "context": {}});
        let bad = json!({"name": "c", "kind": "AWS::S3::Bucket", "declared": {}});
        let lines = format!("{good}\nnot json\n\n{bad}\n{same}\n");
        check(
            &lines,
            &[json!(["a", "drifted"]), json!([null, null]), json!(["c", null]), json!(["b", "in_sync"])],
            true,
        );
        check(&format!("{same}\n"), &[json!(["b", "in_sync"])], false);
    }

    #[test]
    fn what_is_declared_beside_a_resource_accounts_for_what_it_moves() {
        let target = json!({"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": "service/prod/web", "MinCapacity": 1, "MaxCapacity": 9});
        let beside = json!([{"kind": "AWS::ApplicationAutoScaling::ScalableTarget", "spec": target}]);
        let case = |count: i64, related: Value| {
            let service = |count: i64| json!({"ServiceName": "web", "Cluster": "prod", "DesiredCount": count});
            json!({"name": count.to_string(), "kind": "AWS::ECS::Service", "declared": service(2),
                "observed": service(count), "context": {"id": "arn:aws:ecs:r:1:service/prod/web|prod",
                "related": related}})
        };
        let lines = [
            case(3, json!({"declared": beside})),
            case(10, json!({"declared": beside})),
            case(4, json!({})),
            case(5, json!({"declared": [{"kind": "x"}]})),
        ];
        let verdicts = [json!(["3", "in_sync"]), json!(["10", "drifted"]), json!(["4", "drifted"]), json!(["5", null])];
        check(&lines.map(|line| line.to_string()).join("\n"), &verdicts, true);
    }

    #[test]
    fn a_providers_own_schema_is_taken_as_it_is() {
        let document = |kind: &str| json!({"typeName": kind, "properties": {"A": {"default": 1}}});
        let case = |schema: Value| json!({"name": "a", "kind": "AWS::X::Y", "declared": {"A": 1}, "observed": {}, "schema": schema});
        let lines =
            [json!({}), json!({"defaults": {"/A": 1}}), document("AWS::X::Y")].map(|schema| case(schema).to_string());
        let verdicts = [json!(["a", "drifted"]), json!(["a", "in_sync"]), json!(["a", "in_sync"])];
        check(&lines.join("\n"), &verdicts, false);
        check(&case(document("AWS::X::Z")).to_string(), &[json!(["a", null])], true);
        check(&case(json!({"defalts": {}})).to_string(), &[json!(["a", null])], true);
    }

    #[test]
    fn secrets_are_numbers_that_tell_them_apart() {
        let (a, b) = (
            json!({"Password": "hunter2hunter2", "ApiToken": "x1", "UserSecret": 5}),
            json!({"Password": "other", "ApiToken": "hunter2hunter2", "UserSecret": "5", "OtherToken": "hunter2"}),
        );
        let shown = || {
            let answer = answered(&a, &b);
            assert!(!table(&answer, "a.yaml").contains("hunter2"));
            serde_json::to_string(&Report::of(None, &answer)).unwrap()
        };
        assert_eq!(shown(), shown());
        assert!(shown().contains("(sensitive 1)") && !shown().contains("hunter2"), "{}", shown());
    }

    #[test]
    fn a_value_cannot_steer_the_terminal() {
        let (a, b) = (json!({"A": "\u{1b}[2J"}), json!({"A": "\u{9b}2J\u{202e}"}));
        assert!(!table(&answered(&a, &b), "a.yaml").contains(['\u{1b}', '\u{9b}', '\u{202e}']));
    }
}
