//! What one source declares at one revision, and what of it belongs to which scope.
//!
//! Templates become resources here, with the help of the stacks that they are deployed as.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::resource::{Desired, Kind, NOT_APPLICABLE, Origin, Provider, Scope};
use globset::{GlobBuilder, GlobMatcher};
use tokio::sync::Mutex;

use crate::desired::cloudformation::{DeployedStack, StackFacts, Template};
use crate::desired::file::{File, Kustomization};
use crate::desired::kubernetes::{Definitions, Object};
use crate::desired::{Config, DesiredError, Shrink, Skipped, StackConfig, Unresolved, aws_kinds};

/// Tells what the cloud knows of a stack.
#[async_trait]
pub trait StackReader: Send + Sync {
    /// Returns the deployed stack of that name, or nothing if there is none. `scope` is the stack's own: its account
    /// and region.
    async fn stack(&self, scope: &Scope, stack: &str) -> anyhow::Result<Option<DeployedStack>>;
}

/// No stacks: for sources without templates, and where the cloud must not be asked.
#[derive(Debug, Clone, Copy)]
pub struct NoStacks;

#[async_trait]
impl StackReader for NoStacks {
    async fn stack(&self, _: &Scope, _: &str) -> anyhow::Result<Option<DeployedStack>> {
        anyhow::bail!("stacks are not read here")
    }
}

/// What a source declares at one revision.
#[derive(Debug)]
pub struct DesiredSet {
    /// Name of the source.
    pub source: Arc<str>,
    /// The commit.
    pub revision: Arc<str>,
    /// Resources that are declared as they are.
    pub resources: Vec<Desired>,
    /// What declares nothing, and why.
    pub skipped: Vec<Skipped>,
    /// Every file, for its templates.
    files: Vec<Arc<File>>,
    stacks: Vec<(GlobMatcher, StackConfig)>,
}

/// What belongs to one scope.
#[derive(Debug, Default)]
pub struct Declared {
    /// Resources.
    pub resources: Vec<Desired>,
    /// What cannot be told to the end, and why.
    pub unresolved: Vec<Unresolved>,
}

impl DesiredSet {
    /// Puts the files of a revision together.
    pub(super) fn new(
        config: &Config,
        revision: Arc<str>,
        files: Vec<Arc<File>>,
        mut skipped: Vec<Skipped>,
    ) -> Result<Self, DesiredError> {
        let definitions: Definitions =
            files.iter().flat_map(|file| &file.objects).filter_map(Object::defines).collect();
        let mut set = Self {
            source: Arc::clone(&config.name),
            revision,
            resources: Vec::new(),
            skipped: Vec::new(),
            files,
            stacks: stacks(&config.stacks)?,
        };
        let overlaid = overlaid(&set.files);
        for file in &set.files {
            let is_overlaid = overlaid.contains(folder(&file.path)) || overlaid.contains(&*file.path);
            skipped.extend(file.skipped.iter().cloned());
            let plain = file.plain.iter().map(|desired| (desired, desired.name.clone()));
            let (objects, changed) =
                if is_overlaid { (&[][..], file.objects.as_slice()) } else { (file.objects.as_slice(), &[][..]) };
            skipped.extend(changed.iter().map(overlaid_object));
            let objects = objects.iter().map(|object| (&object.desired, object.name(&definitions)));
            let named =
                plain.chain(objects).map(|(d, name)| Desired { name, origin: set.origin(&d.origin), ..d.clone() });
            set.resources.extend(named.collect::<Vec<_>>());
        }
        set.skipped = skipped;
        check_unique(&set.resources)?;
        Ok(set)
    }

    /// Returns everything that belongs to a scope.
    pub async fn declared(&self, scope: &Scope, reader: &dyn StackReader) -> Declared {
        self.declared_of(None, scope, reader).await
    }

    /// Returns what belongs to a scope, of one kind or of all.
    pub(super) async fn declared_of(&self, kind: Option<&Kind>, scope: &Scope, reader: &dyn StackReader) -> Declared {
        let wanted = |desired: &&Desired| kind.is_none_or(|kind| desired.kind == *kind) && fits(desired, scope);
        let mut declared = Declared::default();
        declared.resources.extend(self.resources.iter().filter(wanted).cloned());
        if scope.provider == Provider::Aws {
            let is_global_scope = &*scope.region == NOT_APPLICABLE;
            let kind_fits =
                |other: &Kind| kind.is_none_or(|kind| kind == other) && aws_kinds::is_global(other) == is_global_scope;
            for (template, stack) in self.bindings(scope) {
                if !template.resources.iter().any(|declaration| kind_fits(&declaration.kind)) {
                    continue;
                }
                let facts = facts(scope, stack, reader, &mut declared.unresolved).await;
                let bound = template.bind(&facts, kind_fits, &mut declared.unresolved);
                declared.resources.extend(bound.into_iter().map(|d| Desired { origin: self.origin(&d.origin), ..d }));
            }
        }
        declared
    }

    /// Returns how many resources are declared, by scope.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for desired in &self.resources {
            let part = |part: &Option<Arc<str>>| part.as_deref().unwrap_or("*").to_owned();
            let scope = format!("{}://{}/{}", desired.provider, part(&desired.account), part(&desired.region));
            *counts.entry(scope).or_default() += 1;
        }
        let templates: usize = self.templates().map(|template| template.resources.len()).sum();
        if templates > 0 {
            counts.insert("CloudFormation templates".to_owned(), templates);
        }
        counts
    }

    /// Returns the CloudFormation templates.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.files.iter().flat_map(|file| &file.templates)
    }

    /// Returns each template with each stack that it may be in a scope.
    fn bindings(&self, scope: &Scope) -> Vec<(&Template, Option<&StackConfig>)> {
        let mut bindings = Vec::new();
        for template in self.templates() {
            let stacks: Vec<_> = self.stacks.iter().filter(|(glob, _)| glob.is_match(&*template.file)).collect();
            if stacks.is_empty() {
                bindings.push((template, None));
            }
            let here = stacks.into_iter().map(|(_, stack)| stack).filter(|stack| may_be_in(stack, scope));
            bindings.extend(here.map(|stack| (template, Some(stack))));
        }
        bindings
    }

    fn origin(&self, origin: &Origin) -> Origin {
        Origin { source: Arc::clone(&self.source), revision: Arc::clone(&self.revision), ..origin.clone() }
    }
}

/// Returns the folders and files whose objects some kustomization changes: what they say is not what a cluster gets.
fn overlaid(files: &[Arc<File>]) -> HashSet<String> {
    let kustomizations: HashMap<&str, &Kustomization> =
        files.iter().filter_map(|file| Some((folder(&file.path), file.kustomization.as_ref()?))).collect();
    let changing = kustomizations.iter().filter(|(_, kustomization)| kustomization.changes);
    let mut todo: Vec<String> = changing.map(|(folder, _)| (*folder).to_owned()).collect();
    let mut found = HashSet::new();
    while let Some(path) = todo.pop() {
        if !found.insert(path.clone()) {
            continue;
        }
        if let Some(kustomization) = kustomizations.get(path.as_str()) {
            todo.extend(kustomization.names.iter().filter_map(|name| joined(&path, name)));
        }
    }
    found
}

fn overlaid_object(object: &Object) -> Skipped {
    let origin = &object.desired.origin;
    let reason = "a kustomization changes it, which must be rendered first".into();
    Skipped { file: Arc::clone(&origin.file), line: origin.line, reason }
}

/// Returns the folder that a file is in; nothing before the first slash is the root.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns the path that a relative name means in a folder, unless it leads out of the repository.
fn joined(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn stacks(configs: &[StackConfig]) -> Result<Vec<(GlobMatcher, StackConfig)>, DesiredError> {
    let matcher = |config: &StackConfig| {
        let glob = GlobBuilder::new(&config.file).literal_separator(true).build();
        let why = |error: globset::Error| DesiredError::Config { why: format!("`stacks` has the glob {error}") };
        Ok((glob.map_err(why)?.compile_matcher(), config.clone()))
    };
    configs.iter().map(matcher).collect()
}

/// Returns whether a resource belongs to a scope. Global kinds of AWS live in the scope without a region, whatever
/// region is written, and the others never do.
fn fits(desired: &Desired, scope: &Scope) -> bool {
    if desired.provider != Provider::Aws {
        return desired.belongs_to(scope);
    }
    let is_global_scope = &*scope.region == NOT_APPLICABLE;
    if aws_kinds::is_global(&desired.kind) {
        let account = desired.account.as_ref().is_none_or(|account| *account == scope.account);
        return is_global_scope && account && scope.provider == Provider::Aws;
    }
    !is_global_scope && desired.belongs_to(scope)
}

/// Returns whether resources of a stack can be in a scope: in its own region, or in the one without.
fn may_be_in(stack: &StackConfig, scope: &Scope) -> bool {
    let fits = |want: &Option<Arc<str>>, have: &Arc<str>| want.as_ref().is_none_or(|want| want == have);
    fits(&stack.account, &scope.account) && (&*scope.region == NOT_APPLICABLE || fits(&stack.region, &scope.region))
}

async fn facts(
    scope: &Scope,
    stack: Option<&StackConfig>,
    reader: &dyn StackReader,
    unresolved: &mut Vec<Unresolved>,
) -> StackFacts {
    let own = (&*scope.region != NOT_APPLICABLE).then(|| Arc::clone(&scope.region));
    let mut facts = StackFacts { account: Some(Arc::clone(&scope.account)), region: own, ..StackFacts::default() };
    let Some(stack) = stack else { return facts };
    facts.region = stack.region.clone().or(facts.region);
    facts.stack = Some(Arc::clone(&stack.stack));
    facts.parameters.clone_from(&stack.parameters);
    let mut failed = |reason: String| {
        unresolved.push(Unresolved { what: format!("stack `{}`", stack.stack), reason });
    };
    let Some(region) = &facts.region else {
        failed("its region is not configured".to_owned());
        return facts;
    };
    match reader.stack(&Scope { region: Arc::clone(region), ..scope.clone() }, &stack.stack).await {
        Ok(Some(deployed)) => facts.deployed = Some(deployed),
        Ok(None) => failed("it does not exist".to_owned()),
        Err(error) => failed(format!("{error:#}")),
    }
    facts
}

/// Asks once for each stack.
pub(super) struct Remembered<'a> {
    inner: &'a dyn StackReader,
    known: Mutex<HashMap<(Scope, String), Option<DeployedStack>>>,
}

impl<'a> Remembered<'a> {
    pub(super) fn new(inner: &'a dyn StackReader) -> Self {
        Self { inner, known: Mutex::default() }
    }
}

#[async_trait]
impl StackReader for Remembered<'_> {
    async fn stack(&self, scope: &Scope, stack: &str) -> anyhow::Result<Option<DeployedStack>> {
        let key = (scope.clone(), stack.to_owned());
        let mut known = self.known.lock().await;
        if let Some(stack) = known.get(&key) {
            return Ok(stack.clone());
        }
        let found = self.inner.stack(scope, stack).await?;
        known.insert(key, found.clone());
        Ok(found)
    }
}

fn check_unique(resources: &[Desired]) -> Result<(), DesiredError> {
    let mut seen = HashMap::<(Provider, &Kind, Option<&str>, Option<&str>, Option<&str>), &Desired>::new();
    for desired in resources {
        let (account, region) = (desired.account.as_deref(), desired.region.as_deref());
        let key = (desired.provider, &desired.kind, desired.name.as_deref(), account, region);
        if let Some(first) = seen.insert(key, desired) {
            let what = format!("`{}` `{}`", desired.kind, desired.name.as_deref().unwrap_or_default());
            return Err(DesiredError::Twice { what, first: place(first), second: place(desired) });
        }
    }
    Ok(())
}

fn place(desired: &Desired) -> String {
    format!("`{}` line {}", desired.origin.file, desired.origin.line)
}

/// Resources of a revision, counted by scope.
pub type Counts = BTreeMap<String, usize>;

/// What is to be done with a new revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guarded {
    /// It is put in force.
    Accept,
    /// It is held, and the last accepted one stays in force until somebody accepts this one.
    Suspect {
        /// What is suspicious.
        why: String,
    },
}

/// Judges a revision that declares `next` after one that declared `previous` (I4).
///
/// One resource less is never suspect, except the last one.
pub fn guard(previous: &Counts, next: &Counts, limits: &Shrink) -> Guarded {
    for (scope, &before) in previous {
        let after = next.get(scope).copied().unwrap_or(0);
        let gone = before.saturating_sub(after);
        let too_many = gone > limits.count || gone > 1 && gone * 100 > before * usize::from(limits.percent);
        if too_many || after == 0 && before > 0 {
            return Guarded::Suspect { why: format!("{gone} of {before} resources of {scope} are gone") };
        }
    }
    Guarded::Accept
}
