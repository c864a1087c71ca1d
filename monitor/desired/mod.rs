//! Desired state at one revision of a Git repository: which file asks for what.
//!
//! Reading is all or nothing: a file that is ours and broken refuses its whole revision, and whoever asked keeps the
//! last good one. Comparing with what is observed is not done here.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use driftwarden_core::cause::Earlier;
use driftwarden_core::compare::{Order, Watch};
use driftwarden_core::expected::Expected;
use driftwarden_core::resource::{Origin, ResourceId, Scope, Touched};
use gix::ObjectId;
use jiff::SignedDuration;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::desired::file::{File, Spot};
use crate::desired::git::{Entry, Fetched, Objects, Repository};
use crate::desired::place::Places;
use crate::desired::set::{DesiredSet, Remembered, StackReader};
use crate::outbound;

pub mod aws_kinds;
pub mod cloudformation;
pub mod file;
#[cfg(test)]
pub(crate) mod fixture;
pub mod git;
pub mod ignore;
pub mod intrinsics;
pub mod kubernetes;
pub mod manifest;
pub mod place;
pub mod set;
pub mod yaml;

/// Parsed files that are remembered.
const MAX_PARSED: usize = 50_000;

/// One source of desired state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is kept.
    pub git: git::Config,
    /// Names of the clouds that it speaks for.
    #[serde(default)]
    pub clouds: Vec<Arc<str>>,
    /// What to say of resources that it does not declare.
    #[serde(default)]
    pub unmanaged: Unmanaged,
    /// Which stack each CloudFormation template is deployed as.
    #[serde(default)]
    pub stacks: Vec<StackConfig>,
    /// When a revision that declares less than the one before is held.
    #[serde(default)]
    pub shrink: Shrink,
    /// Where values that nobody declares are drift, besides the lists that decide about security; later lines overrule
    /// earlier ones.
    #[serde(default)]
    pub strict: Vec<StrictConfig>,
}

/// What becomes of values that nobody declares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrictConfig {
    /// The kinds that are meant; `*` stands for any characters.
    pub kind: String,
    /// JSON pointers of what is meant in them, with `*` for each item; everything if there is none.
    #[serde(default)]
    pub paths: Vec<Pointer>,
    /// Whether undeclared values are drift there, or only listed.
    #[serde(default = "always")]
    pub strict: bool,
}

const fn always() -> bool {
    true
}

/// A JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(format!("invalid JSON pointer `{text}`: it begins with a slash"))
        }
    }
}

impl Config {
    /// Returns what is ordered about undeclared values.
    pub fn orders(&self) -> Vec<Order> {
        let order = |line: &StrictConfig, pointer: &str| Order {
            kind: line.kind.clone(),
            pointer: pointer.to_owned(),
            watch: if line.strict { Watch::Strict } else { Watch::Lenient },
        };
        let of = |line: &StrictConfig| match line.paths.as_slice() {
            [] => vec![order(line, "")],
            paths => paths.iter().map(|path| order(line, &path.0)).collect(),
        };
        self.strict.iter().flat_map(of).collect()
    }
}

/// What to say of resources that no source declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmanaged {
    /// Report those whose kind is declared in their scope.
    #[default]
    DeclaredKinds,
    /// Report all.
    Report,
    /// Report none.
    Ignore,
}

/// A CloudFormation template and the stack that it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StackConfig {
    /// Glob of the template's path in the repository.
    pub file: String,
    /// Name of the stack.
    pub stack: Arc<str>,
    /// Account that it is deployed in; any of the source's clouds if not given.
    #[serde(default)]
    pub account: Option<Arc<str>>,
    /// Region that it is deployed in.
    #[serde(default)]
    pub region: Option<Arc<str>>,
    /// Values of parameters, before those of the deployed stack.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// When a revision that declares less than the one before is held as suspect (I4).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shrink {
    /// More than this share of a scope's resources is gone.
    pub percent: u8,
    /// More than this many resources of a scope are gone.
    pub count: usize,
    /// A revision that is accepted although it shrinks: its id, or the beginning of it.
    pub accept: Option<String>,
}

impl Default for Shrink {
    fn default() -> Self {
        Self { percent: 20, count: 50, accept: None }
    }
}

/// Why desired state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// The configuration cannot be used.
    #[error("invalid configuration of desired state: {why}")]
    Config {
        /// What is wrong and what to do.
        why: String,
    },
    /// A secret would be sent where it could be read on its way.
    #[error("invalid configuration of desired state: `{0}` would be sent in clear text")]
    ClearText(&'static str),
    /// The repository could not be reached or read.
    #[error("failed to {action}")]
    Repository {
        /// What was being done.
        action: String,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The revision is not one that is read.
    #[error("invalid revision: {why}")]
    Limit {
        /// What is wrong.
        why: String,
    },
    /// A file is broken, and with it the revision.
    #[error("invalid file `{file}`, line {line}, column {column}: {why}")]
    File {
        /// Path in the repository.
        file: Arc<str>,
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: Option<&'static str>,
    },
    /// Two places declare the same resource.
    #[error("invalid revision: {what} is declared twice, in {first} and {second}")]
    Twice {
        /// The resource.
        what: String,
        /// File and line of the one.
        first: String,
        /// File and line of the other.
        second: String,
    },
}

impl DesiredError {
    /// Returns what a user could do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { hint, .. } => *hint,
            Self::Twice { .. } => Some("remove one, or give them different accounts or regions"),
            Self::ClearText(_) => Some(outbound::CLEAR_TEXT_HINT),
            Self::Config { .. } | Self::Repository { .. } | Self::Limit { .. } => None,
        }
    }
}

/// Something declared that cannot be told to the end, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Something in a revision that declares nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Path in the repository.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Why.
    pub reason: Arc<str>,
}

/// Parsed files, by path and content.
type Parsed = HashMap<(Arc<str>, ObjectId), Arc<File>>;

/// A source of desired state: its repository and what was parsed of it.
#[derive(Debug)]
pub struct Source {
    config: Config,
    repository: Repository,
    parsed: Mutex<Parsed>,
}

/// How many earlier declarations are looked at, and how far back.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Commits.
    pub commits: usize,
    /// Time before the commit that is in force.
    pub within: SignedDuration,
}

impl Default for Reach {
    fn default() -> Self {
        Self { commits: 20, within: SignedDuration::from_hours(90 * 24) }
    }
}

impl Source {
    /// Returns the source of that configuration. A clone is kept below `cache`. Nothing is read or fetched yet.
    pub fn open(config: Config, cache: &Path) -> Result<Self, DesiredError> {
        let repository = Repository::open(config.git.clone(), cache)?;
        Ok(Self { config, repository, parsed: Mutex::default() })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Fetches and returns the commit that is current now. Blocks.
    pub fn fetch(&self, previous: Option<&str>) -> Result<Fetched, DesiredError> {
        self.repository.fetch(previous)
    }

    /// Returns the commit that `text` names. Blocks.
    pub fn resolve(&self, text: &str) -> Result<Arc<str>, DesiredError> {
        self.repository.resolve(text)
    }

    /// Reads everything that is declared at a revision. Blocks.
    pub fn load(&self, revision: &str) -> Result<DesiredSet, DesiredError> {
        let objects = self.repository.read()?;
        let listing = objects.list(revision)?;
        let mut skipped = listing.skipped;
        let files = self.files(&objects, listing.files, &mut skipped)?;
        DesiredSet::new(&self.config, revision.into(), files, skipped)
    }

    /// Returns who last changed what is declared of a resource, and when. Blocks.
    ///
    /// That is not who last changed its file: what stands beside it, moves it down or comments it does not count.
    pub fn touched(&self, origin: &Origin, resource: &ResourceId) -> Result<Option<Touched>, DesiredError> {
        let objects = self.repository.read()?;
        let read = |id| -> Result<Option<Arc<File>>, DesiredError> {
            let Some(entry) = objects.file(id, &origin.file)? else { return Ok(None) };
            // A file that is broken in some old commit declared nothing there.
            Ok(self.parse(&objects, &entry).ok())
        };
        let file = read(git::parsed(&origin.revision)?)?;
        let Some(spot) = file.and_then(|file| file.spot(origin.line, resource)) else { return Ok(None) };
        let said = |id| Ok(Said { file: read(id)?, spot: &spot });
        objects.last_change(&origin.revision, said)
    }

    /// Returns what was declared of a resource before `revision`, newest first.
    pub async fn earlier(
        self: &Arc<Self>,
        revision: &str,
        (id, scope, places): (&ResourceId, &Scope, &Places),
        stacks: &dyn StackReader,
        reach: Reach,
    ) -> Result<Vec<Earlier>, DesiredError> {
        let (source, revision) = (Arc::clone(self), revision.to_owned());
        let past = blocking(move || source.repository.read()?.earlier(&revision, reach.commits, reach.within)).await?;
        let stacks = Remembered::new(stacks);
        let mut earlier = Vec::new();
        for past in past {
            let (source, revision) = (Arc::clone(self), past.revision);
            // What was refused then was never in force.
            let Ok(set) = blocking(move || source.load(&revision)).await else { continue };
            let declared = set.declared_of(Some(&id.kind), (scope, places), &stacks).await;
            let desired = Expected::new(declared.resources, None).find(id).cloned();
            earlier.push(Earlier { until: past.until, desired });
        }
        Ok(earlier)
    }

    fn files(
        &self,
        objects: &Objects<'_>,
        entries: Vec<Entry>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<Arc<File>>, DesiredError> {
        let charts = charts(&entries);
        let mut files = Vec::new();
        for entry in entries {
            if charts.iter().any(|chart| entry.path.starts_with(chart)) {
                let reason = "a template, which must be rendered first".into();
                skipped.push(Skipped { file: entry.path, line: 1, reason });
                continue;
            }
            files.push(self.parse(objects, &entry)?);
        }
        Ok(files)
    }

    fn parse(&self, objects: &Objects<'_>, entry: &Entry) -> Result<Arc<File>, DesiredError> {
        let key = (Arc::clone(&entry.path), entry.blob);
        if let Some(file) = self.parsed.lock().get(&key) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(file::read(&entry.path, &objects.content(entry)?)?);
        let mut parsed = self.parsed.lock();
        if parsed.len() >= MAX_PARSED {
            parsed.clear();
        }
        parsed.insert(key, Arc::clone(&file));
        Ok(file)
    }
}

impl Shrink {
    /// Returns whether the configuration accepts a revision by name.
    pub fn accepts(&self, revision: &str) -> bool {
        self.accept.as_deref().is_some_and(|accepted| accepted.len() >= 7 && revision.starts_with(accepted))
    }
}

/// What one file says of one resource; equal when it says the same.
struct Said<'a> {
    file: Option<Arc<File>>,
    spot: &'a Spot,
}

impl PartialEq for Said<'_> {
    fn eq(&self, other: &Self) -> bool {
        let says = |said: &'_ Self| -> Option<Value> { said.file.as_ref()?.says(said.spot) };
        match (&self.file, &other.file) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => true,
            _ => says(self) == says(other),
        }
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DesiredError> + Send + 'static,
) -> Result<T, DesiredError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DesiredError::Repository { action: "read the history".to_owned(), source: error.into() })?
}

/// Returns the folders of templates of charts.
fn charts(entries: &[Entry]) -> Vec<String> {
    let chart = |entry: &Entry| entry.path.strip_suffix("Chart.yaml").map(|folder| format!("{folder}templates/"));
    entries.iter().filter_map(chart).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::cloudformation::DeployedStack;
    use crate::desired::fixture::{Fixture, START};
    use crate::desired::place::Extent;
    use crate::desired::set::{Counts, Declared, Guarded, NoStacks, guard};
    use driftwarden_core::resource::{Desired, Provider};
    use jiff::Timestamp;
    use serde_json::json;

    const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: one}\n";

    fn bucket(name: &str, status: &str) -> String {
        format!(
            "apiVersion: driftwarden.dev/v1\nkind: AWS::S3::Bucket\nmetadata: {{name: {name}}}\nspec: {{Status: {status}}}\n"
        )
    }

    /// Answers with `kind name file:line` of everything declared in the files.
    fn declared(files: &[(&str, &str)]) -> Result<Vec<String>, DesiredError> {
        let fixture = Fixture::new();
        let revision = fixture.commit(files);
        let set = fixture.source().load(&revision)?;
        let line = |d: &Desired| {
            assert_eq!((&*d.origin.source, &*d.origin.revision), ("infra", &*revision));
            format!("{} {} {}:{}", d.kind, d.name.as_deref().unwrap_or("?"), d.origin.file, d.origin.line)
        };
        Ok(set.resources.iter().map(line).collect())
    }

    #[test]
    fn everything_in_the_folder_is_read() {
        let b = bucket("b", "on");
        let got = declared(&[
            ("a.yaml", A),
            ("x/y/b.yml", &format!("---\n{b}---\n{}", A.replace("name: a", "name: c"))),
            ("README.md", "#"),
        ]);
        assert_eq!(
            got.unwrap(),
            ["ConfigMap default/a a.yaml:1", "AWS::S3::Bucket b x/y/b.yml:2", "ConfigMap default/c x/y/b.yml:7"]
        );
    }

    #[test]
    fn only_the_configured_folder_is_read() {
        let fixture = Fixture::new();
        let revision = fixture.commit(&[("a.yaml", "]"), ("prod/a.yaml", A), ("prod2/a.yaml", "]")]);
        let load = |path: &str| {
            let mut config = fixture.config();
            path.clone_into(&mut config.git.path);
            Source::open(config, fixture.path())?.load(&revision)
        };
        assert_eq!(load("prod").unwrap().resources.len(), 1);
        assert_eq!(load("prod/").unwrap().resources.len(), 1);
        assert_eq!(load("prod/a.yaml").unwrap().resources.len(), 1);
        assert!(load("staging").unwrap_err().to_string().contains("there is no `staging`"));
        for path in ["../x", "/etc", "a/../b", "."] {
            assert!(matches!(load(path), Err(DesiredError::Config { .. })), "{path}");
        }
    }

    #[test]
    fn a_definition_in_another_file_decides_about_namespaces() {
        let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.io}\nspec: {group: x.io, scope: Namespaced, names: {kind: Thing}}\n";
        let thing = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\n";
        let names = |files: &[(&str, &str)]| declared(files).unwrap().pop().unwrap();
        assert_eq!(names(&[("z.yaml", thing)]), "x.io/Thing t z.yaml:1");
        assert_eq!(names(&[("d.yaml", definition), ("z.yaml", thing)]), "x.io/Thing default/t z.yaml:1");
    }

    #[test]
    fn one_bad_file_refuses_the_revision() {
        let files: Vec<_> =
            (0..50).map(|n| (format!("{n}.yaml"), A.replace("name: a", &format!("name: a{n}")))).collect();
        let mut files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        assert_eq!(declared(&files).unwrap().len(), 50);
        files[20].1 = "apiVersion: v1\nkind: [";
        assert!(declared(&files).unwrap_err().to_string().starts_with("invalid file `20.yaml`, line 2"));
    }

    #[test]
    fn two_declarations_of_one_resource_are_refused() {
        let error = declared(&[("a.yaml", A), ("b/c.yaml", &format!("x: 1\n---\n{A}"))]).unwrap_err();
        let want =
            "invalid revision: `ConfigMap` `default/a` is declared twice, in `a.yaml` line 1 and `b/c.yaml` line 3";
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn templates_of_charts_are_skipped() {
        let files = [
            ("c/Chart.yaml", "apiVersion: v2\nname: c"),
            ("c/templates/a.yaml", A),
            ("c/values.yaml", "a: 1"),
            ("d.yaml", A),
        ];
        assert_eq!(declared(&files).unwrap(), ["ConfigMap default/a d.yaml:1"]);
    }

    #[test]
    fn what_an_overlay_changes_is_not_what_the_files_say() {
        let base = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n";
        let overlay =
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\nnamePrefix: x-\n";
        let b = bucket("b", "on");
        let files = [("base/a.yaml", A), ("base/b.yaml", b.as_str()), ("base/kustomization.yaml", base)];
        assert_eq!(declared(&files).unwrap(), ["ConfigMap default/a base/a.yaml:1", "AWS::S3::Bucket b base/b.yaml:1"]);
        let mut files = files.to_vec();
        files.push(("over/kustomization.yaml", overlay));
        files.push(("over/patch.yaml", A));
        assert_eq!(declared(&files).unwrap(), ["AWS::S3::Bucket b base/b.yaml:1"]);
    }

    #[test]
    fn who_touched_a_resource_is_who_changed_it_not_who_changed_its_file() {
        let fixture = Fixture::new();
        let (b1, b2) = (bucket("b", "one"), bucket("b", "two"));
        let with = |text: &str| fixture.commit(&[("x/a.yaml", text), ("z.txt", text)]);
        with(&format!("{A}---\n{b1}"));
        let second = with(&format!("{A}---\n{b2}"));
        let third = with(&format!("{}---\n{b2}", A.replace("one", "two")));
        let last = with(&format!("# moved down\n{}---\n{b2}", A.replace("one", "two")));
        let source = fixture.source();
        let set = source.load(&last).unwrap();
        let touched = |kind: &str| {
            let desired = set.resources.iter().find(|d| d.kind.as_str() == kind).unwrap();
            let id = scope("-").id(&desired.kind, desired.name.as_deref().unwrap());
            source.touched(&desired.origin, &id).unwrap().unwrap()
        };
        assert_eq!(touched("AWS::S3::Bucket").commit, second.into());
        let map = touched("ConfigMap");
        assert_eq!((map.commit, &*map.author), (third.into(), "author3 <author3@example.com>"));
        assert_eq!(map.at, Timestamp::from_second(START + 2 * 3600).unwrap());
    }

    fn scope(region: &str) -> Scope {
        Scope { cloud: "prod".into(), provider: Provider::Aws, account: "123456789012".into(), region: region.into() }
    }

    #[tokio::test]
    async fn earlier_declarations_come_newest_first() {
        let fixture = Fixture::new();
        fixture.commit(&[("other.yaml", A)]);
        let (one, two, three) = (bucket("b", "one"), bucket("b", "two"), bucket("b", "three"));
        fixture.commit(&[("b.yaml", &one)]);
        fixture.commit(&[("b.yaml", &two)]);
        fixture.commit(&[("b.yaml", "apiVersion: [")]);
        fixture.commit(&[("c/b.yaml", &two)]);
        let current = fixture.commit(&[("b.yaml", &three)]);
        let source = Arc::new(fixture.source());
        let scope = scope("eu-west-1");
        let places = Places::new(vec![scope.clone()], Extent::Whole);
        let id = scope.id(&"AWS::S3::Bucket".into(), "b");
        let earlier = async |reach| source.earlier(&current, (&id, &scope, &places), &NoStacks, reach).await.unwrap();
        let got = earlier(Reach::default()).await;
        let attributes: Vec<_> = got.iter().map(|e| e.desired.as_ref().map(|d| d.attributes.clone())).collect();
        let (one, two) = (json!({"Status": "one"}), json!({"Status": "two"}));
        assert_eq!(attributes, [Some(two.clone()), Some(two), Some(one), None]);
        let hours: Vec<_> = got.iter().map(|e| (e.until.as_second() - START) / 3600).collect();
        assert_eq!(hours, [5, 3, 2, 1]);
        assert_eq!(earlier(Reach { commits: 1, ..Reach::default() }).await.len(), 1);
        assert_eq!(earlier(Reach { within: SignedDuration::from_mins(90), ..Reach::default() }).await.len(), 1);
    }

    /// Stacks by region: `app` is in these, and in one that is not named nobody may look.
    struct Stacks(&'static [&'static str]);

    #[async_trait::async_trait]
    impl crate::desired::set::StackReader for Stacks {
        async fn stack(&self, scope: &Scope, stack: &str) -> anyhow::Result<Option<DeployedStack>> {
            anyhow::ensure!(&*scope.region != "denied", "not allowed");
            let resources = [("Logs", "app-logs-1x2"), ("Runner", "app-Runner-9"), ("Extra", "extra-1")];
            let resources = resources.map(|(id, physical)| (id.to_owned(), physical.to_owned())).into();
            let is_here = stack == "app" && self.0.contains(&&*scope.region);
            Ok(is_here.then(|| DeployedStack { resources, ..DeployedStack::default() }))
        }
    }

    const TEMPLATE: &str = "Resources:\n  Logs: {Type: AWS::SQS::Queue, Properties: {QueueName: logs}}\n  Runner:\n    Type: AWS::IAM::Role\n    Properties: {Description: !Ref Logs}\n";

    fn stack(region: Option<&str>) -> StackConfig {
        StackConfig {
            file: "cfn/*.yaml".to_owned(),
            stack: "app".into(),
            account: None,
            region: region.map(Into::into),
            parameters: BTreeMap::new(),
        }
    }

    /// Returns what a template declares in each of the scopes: `name`, `name?` where it may be elsewhere too, `(why)`
    /// where something cannot be told.
    async fn placed(stacks: Vec<StackConfig>, reader: &Stacks, regions: &[&str]) -> Vec<String> {
        let fixture = Fixture::new();
        let revision = fixture.commit(&[("cfn/app.yaml", TEMPLATE)]);
        let mut config = fixture.config();
        config.stacks = stacks;
        let set = Source::open(config, fixture.path()).unwrap().load(&revision).unwrap();
        let places = Places::new(regions.iter().map(|region| scope(region)).collect(), Extent::Whole);
        let mut lines = Vec::new();
        for region in regions {
            let Declared { resources, unresolved, overlooked } = set.declared(&scope(region), &places, reader).await;
            let is_unsure = |name: &str| overlooked.iter().any(|overlooked| &*overlooked.name == name);
            let name = |d: &Desired| d.name.as_ref().map(|n| format!("{n}{}", if is_unsure(n) { "?" } else { "" }));
            let why = |word: &str| format!("({word})");
            let words = resources.iter().filter_map(name);
            let words = words.chain(unresolved.iter().map(|unresolved| why(&unresolved.reason)));
            let told = overlooked.iter().filter_map(|overlooked| overlooked.why.as_deref().map(why));
            lines.push(words.chain(told).collect::<Vec<_>>().join(" "));
        }
        lines
    }

    #[tokio::test]
    async fn a_template_is_where_its_stack_is() {
        let two = ["-", "eu-west-1", "us-east-1"];
        let here = ["app-Runner-9", "app-logs-1x2", ""];
        assert_eq!(placed(vec![stack(Some("eu-west-1"))], &Stacks(&["eu-west-1"]), &two).await, here);
        assert_eq!(placed(vec![stack(None)], &Stacks(&["eu-west-1"]), &two).await, here);
        assert_eq!(placed(vec![stack(None)], &Stacks(&["eu-west-1"]), &["-", "eu-west-1"]).await, here[..2]);
        let both = ["app-Runner-9 app-Runner-9", "app-logs-1x2", "app-logs-1x2"];
        assert_eq!(placed(vec![stack(None)], &Stacks(&["eu-west-1", "us-east-1"]), &two).await, both);
    }

    /// Answers when as many ask at the same time as there are regions; counts how often it was asked.
    struct Together(tokio::sync::Barrier, std::sync::atomic::AtomicUsize);

    #[async_trait::async_trait]
    impl crate::desired::set::StackReader for Together {
        async fn stack(&self, _: &Scope, _: &str) -> anyhow::Result<Option<DeployedStack>> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.wait().await;
            Ok(None)
        }
    }

    #[tokio::test]
    async fn all_regions_are_asked_for_a_stack_at_the_same_time_and_once() {
        let fixture = Fixture::new();
        let revision = fixture.commit(&[("cfn/app.yaml", TEMPLATE)]);
        let mut config = fixture.config();
        config.stacks = vec![stack(None)];
        let set = Source::open(config, fixture.path()).unwrap().load(&revision).unwrap();
        let regions = ["-", "eu-west-1", "us-east-1", "us-west-2"].map(scope);
        let places = Places::new(regions.to_vec(), Extent::Whole);
        let reader = Together(tokio::sync::Barrier::new(3), 0.into());
        let remembered = Remembered::new(&reader);
        let looks = regions.iter().map(|region| set.declared(region, &places, &remembered));
        let asked = futures_util::future::join_all(looks);
        let declared = tokio::time::timeout(std::time::Duration::from_secs(10), asked).await.unwrap();
        assert!(declared.iter().all(|declared| declared.unresolved.len() == 1), "{declared:?}");
        assert_eq!(reader.1.into_inner(), 3);
    }

    #[tokio::test]
    async fn a_stack_that_is_not_found_is_expected_nowhere() {
        let nowhere = "(it is in none of 2 accounts and regions; hint: say where under `stacks`)";
        let two = ["-", "eu-west-1", "us-east-1"];
        assert_eq!(placed(vec![stack(None)], &Stacks(&[]), &two).await, [nowhere; 3]);
        let unsure = placed(vec![stack(None)], &Stacks(&["eu-west-1"]), &["denied", "eu-west-1"]).await;
        assert_eq!(unsure, ["(not allowed)", "app-logs-1x2"]);
        let unread = "(no cloud of its source reads region `mars`; hint: have it read, or keep it out of `path`)";
        assert_eq!(placed(vec![stack(Some("mars"))], &Stacks(&[]), &two).await, [unread, "", ""]);
        let own = placed(vec![stack(Some("eu-west-1"))], &Stacks(&[]), &two).await;
        assert_eq!(own[1], "logs (it does not exist)");
    }

    #[tokio::test]
    async fn a_template_without_a_stack_is_in_the_only_region_or_missing_in_none() {
        let one = placed(vec![], &Stacks(&[]), &["-", "eu-west-1"]).await;
        assert_eq!(one, ["(its name cannot be told)", "logs"]);
        let two = placed(vec![], &Stacks(&[]), &["-", "eu-west-1", "us-east-1"]).await;
        let why = "it may be in any of 2 accounts and regions; hint: name its stack and region under `stacks`";
        assert_eq!(two[1..], [format!("logs? ({why})"), "logs?".to_owned()]);
    }

    #[tokio::test]
    async fn what_says_where_it_is_is_there_only() {
        let fixture = Fixture::new();
        let text = |region: &str| bucket("b", "on").replace("{name: b}", &format!("{{name: b{region}}}"));
        let revision = fixture.commit(&[("a.yaml", &text("")), ("b.yaml", &text("2, region: eu-west-1"))]);
        let set = fixture.source().load(&revision).unwrap();
        let names = async |here: &str, regions: &[&str]| {
            let places = Places::new(regions.iter().map(|region| scope(region)).collect(), Extent::Whole);
            let declared = set.declared(&scope(here), &places, &NoStacks).await;
            let sure = |d: &&Desired| declared.overlooked.iter().all(|other| Some(&other.name) != d.name.as_ref());
            let sure = declared.resources.iter().filter(sure);
            (sure.filter_map(|d| d.name.as_deref()).collect::<Vec<_>>().join(" "), declared.resources.len())
        };
        assert_eq!(names("eu-west-1", &["-", "eu-west-1"]).await, ("b b2".to_owned(), 2));
        assert_eq!(names("eu-west-1", &["-", "eu-west-1", "us-east-1"]).await, ("b2".to_owned(), 2));
        assert_eq!(names("us-east-1", &["-", "eu-west-1", "us-east-1"]).await, (String::new(), 1));
        assert_eq!(set.counts().into_values().sum::<usize>(), 2);
    }

    #[test]
    fn who_touched_a_resource_of_a_template_is_found_too() {
        let fixture = Fixture::new();
        let text = |a: &str, b: &str| {
            let bucket = |id: &str, name: &str| {
                format!("  {id}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}\n")
            };
            format!("Resources:\n{}{}", bucket("A", a), bucket("B", b))
        };
        fixture.commit(&[("t.yaml", &text("a1", "b1"))]);
        let second = fixture.commit(&[("t.yaml", &text("a2", "b1"))]);
        let third = fixture.commit(&[("t.yaml", &text("a2", "b2"))]);
        let source = fixture.source();
        let touched = |line| {
            let origin = Origin { revision: third.as_str().into(), file: "t.yaml".into(), line, ..Origin::default() };
            source.touched(&origin, &scope("-").id(&"AWS::S3::Bucket".into(), "any")).unwrap().map(|t| t.commit)
        };
        assert_eq!((touched(2), touched(3)), (Some(second.into()), Some(third.as_str().into())));
        assert_eq!(touched(9), None);
    }

    #[test]
    fn who_touched_a_resource_is_found_behind_a_merge() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("b.yaml", &bucket("b", "one"))]);
        let id = |text: &str| ObjectId::from_hex(text.as_bytes()).unwrap();
        let side = fixture.commit_tree(fixture.tree(&[("b.yaml", &bucket("b", "two"))]), &[id(&first)], "side");
        let other = fixture.commit(&[("b.yaml", &bucket("b", "one")), ("c.yaml", A)]);
        let merged = fixture.tree(&[("b.yaml", &bucket("b", "two")), ("c.yaml", A)]);
        let merge = fixture.commit_tree(merged, &[id(&other), id(&side)], "main");
        let origin = Origin { revision: merge.into(), file: "b.yaml".into(), line: 1, ..Origin::default() };
        let touched = fixture.source().touched(&origin, &scope("-").id(&"AWS::S3::Bucket".into(), "b")).unwrap();
        assert_eq!(touched.unwrap().commit, side.into());
    }

    #[test]
    fn a_revision_that_shrinks_is_suspect() {
        let counts = |n| Counts::from([("aws://*/*".to_owned(), n)]);
        for (before, after, suspect) in [
            (10, 10, false),
            (10, 20, false),
            (10, 8, false),
            (10, 7, true),
            (1, 0, true),
            (3, 2, false),
            (1000, 951, false),
            (1000, 949, true),
            (0, 0, false),
        ] {
            let got = guard(&counts(before), &counts(after), &Shrink::default());
            assert_eq!(matches!(got, Guarded::Suspect { .. }), suspect, "{before} -> {after}");
        }
        assert!(matches!(guard(&counts(2), &Counts::new(), &Shrink::default()), Guarded::Suspect { .. }));
        let shrink = Shrink { accept: Some("0123456".into()), ..Shrink::default() };
        assert!(shrink.accepts("0123456789") && !shrink.accepts("1234567"));
    }

    #[test]
    fn configuration_is_read_as_documented() {
        let config: Config = serde_json::from_value(json!({
            "name": "infra", "clouds": ["prod"], "unmanaged": "report",
            "git": {"url": "https://git.example/infra.git", "ref": "main", "path": "prod", "every": "1m",
                    "username": "u", "password": "${env:P}"},
            "stacks": [{"file": "*.yaml", "stack": "s", "region": "eu-west-1", "parameters": {"A": "b"}}],
            "shrink": {"percent": 50}
        }))
        .unwrap();
        assert_eq!(config.git.every, SignedDuration::from_mins(1));
        assert_eq!((config.shrink.percent, config.shrink.count), (50, 50));
        assert!(serde_json::from_value::<Config>(json!({"name": "x", "git": {"url": "u", "refs": "x"}})).is_err());
    }
}
