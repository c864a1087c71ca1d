//! What one source declares at one revision, and what of it belongs to which scope.
//!
//! Templates become resources here, with the help of the stacks that they are deployed as.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::expected::Overlooked;
use driftwarden_core::ignore::IgnoreRule;
use driftwarden_core::region;
use driftwarden_core::resource::{Desired, Kind, NOT_APPLICABLE, Origin, Provider, Scope};
use futures_util::{StreamExt, stream};
use globset::{GlobBuilder, GlobMatcher};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::desired::cloudformation::{DeployedStack, StackFacts, Template};
use crate::desired::file::{File, Kustomization};
use crate::desired::kubernetes::{Definitions, Object};
use crate::desired::place::{self, Extent, Place, Places};
use crate::desired::{Config, DesiredError, Shrink, Skipped, StackConfig, Unresolved};

/// Accounts and regions that are asked for a stack at once.
const ASKED_AT_ONCE: usize = 8;

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
    /// What somebody accepted to differ.
    pub ignores: Vec<Arc<IgnoreRule>>,
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
    /// Resources that may be in another scope as well, or are in none that is read.
    pub overlooked: Vec<Overlooked>,
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
            ignores: Vec::new(),
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
        set.ignores = ignores(&set.source, &set.files)?;
        Ok(set)
    }

    /// Returns everything that belongs to a scope, which is one of `places`.
    pub async fn declared(&self, scope: &Scope, places: &Places, reader: &dyn StackReader) -> Declared {
        self.declared_of(None, (scope, places), reader).await
    }

    /// Returns what belongs to a scope, of one kind or of all.
    pub(super) async fn declared_of(
        &self,
        kind: Option<&Kind>,
        (scope, places): (&Scope, &Places),
        reader: &dyn StackReader,
    ) -> Declared {
        let mut declared = Declared::default();
        for desired in self.resources.iter().filter(|desired| kind.is_none_or(|kind| desired.kind == *kind)) {
            declared.place(desired, &places.of(desired, scope));
        }
        if scope.provider == Provider::Aws {
            let is_global_scope = &*scope.region == NOT_APPLICABLE;
            let kind_fits =
                |other: &Kind| kind.is_none_or(|kind| kind == other) && region::is_global(other) == is_global_scope;
            for deployment in self.deployments() {
                deployment.tell_unread((scope, places), &mut declared);
                let kinds = deployment.template.resources.iter().map(|declaration| &declaration.kind);
                if kinds.into_iter().any(kind_fits) {
                    let homes = deployment.homes((scope, places), reader, &mut declared).await;
                    self.bind(&deployment, homes, kind_fits, &mut declared);
                }
            }
        }
        declared
    }

    fn bind(
        &self,
        deployment: &Deployment<'_>,
        homes: Vec<Home>,
        kind_fits: impl Fn(&Kind) -> bool + Copy,
        declared: &mut Declared,
    ) {
        for Home { facts, place } in homes {
            let bound = deployment.template.bind(&facts, kind_fits, &mut declared.unresolved);
            for desired in bound {
                let desired = Desired { origin: self.origin(&desired.origin), ..desired };
                declared.place(&desired, &place);
            }
        }
    }

    /// Returns the kinds of which a scope of that sort of system may be asked to hold something.
    pub fn kinds(&self, provider: Provider) -> impl Iterator<Item = &Kind> {
        self.resources.iter().filter(move |desired| desired.provider == provider).map(|desired| &desired.kind)
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

    /// Returns each template with each stack that it is deployed as.
    fn deployments(&self) -> Vec<Deployment<'_>> {
        let mut deployments = Vec::new();
        for template in self.templates() {
            let stacks: Vec<_> = self.stacks.iter().filter(|(glob, _)| glob.is_match(&*template.file)).collect();
            if stacks.is_empty() {
                deployments.push(Deployment { template, stack: None });
            }
            deployments.extend(stacks.into_iter().map(|(_, stack)| Deployment { template, stack: Some(stack) }));
        }
        deployments
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

impl Declared {
    /// Takes a resource that has that place.
    fn place(&mut self, desired: &Desired, place: &Place) {
        let why = match place {
            Place::Elsewhere => return,
            Place::Here => None,
            Place::HereOrElsewhere(why) => Some(why.clone()),
            Place::Nowhere(why) => Some(Some(why.clone())),
        };
        if let (Some(why), Some(name)) = (why, &desired.name) {
            let (kind, name) = (desired.kind.clone(), Arc::clone(name));
            self.overlooked.push(Overlooked { kind, name, why: why.map(Arc::from) });
        }
        if !matches!(place, Place::Nowhere(_)) {
            self.resources.push(desired.clone());
        }
    }

    fn unresolved(&mut self, what: String, reason: impl Into<String>) {
        self.unresolved.push(Unresolved { what, reason: reason.into() });
    }
}

/// Stands for all resources of a template that is deployed where nobody looks.
const STACK: &str = "AWS::CloudFormation::Stack";

/// A template, and the stack that it becomes, if that is configured.
struct Deployment<'a> {
    template: &'a Template,
    stack: Option<&'a StackConfig>,
}

/// One account and region that a template is deployed in.
struct Home {
    facts: StackFacts,
    place: Place,
}

impl Deployment<'_> {
    /// Returns the homes of which something can be in the scope. What cannot be told is added to `declared`.
    async fn homes(
        &self,
        (here, places): (&Scope, &Places),
        reader: &dyn StackReader,
        declared: &mut Declared,
    ) -> Vec<Home> {
        let candidates = places.candidates(|scope| self.may_be_in(scope));
        let is_sure = candidates.len() == 1 && places.extent() == Extent::Whole;
        let mut homes = Vec::new();
        match self.stack {
            None => {
                // In the scope without a region any of them says the same.
                let most = if &*here.region == NOT_APPLICABLE { 1 } else { candidates.len() };
                let seen = candidates.iter().copied().filter(|home| is_seen_from(home, here)).take(most);
                let place = |home| places.among(&candidates, home, "name its stack and region under `stacks`");
                homes.extend(seen.map(|home| Home { facts: self.facts(home), place: place(home) }));
            }
            Some(stack) if is_sure => {
                for home in candidates.into_iter().filter(|home| is_seen_from(home, here)) {
                    let deployed = reader.stack(home, &stack.stack).await;
                    if let Ok(None) = deployed {
                        declared.unresolved(named(stack), "it does not exist");
                    }
                    homes.push(self.home(home, deployed, declared));
                }
            }
            Some(stack) => homes.extend(self.found(stack, &candidates, (here, reader), declared).await),
        }
        homes
    }

    /// Asks every candidate for the stack: it is where it is found.
    async fn found(
        &self,
        stack: &StackConfig,
        candidates: &[&Scope],
        (here, reader): (&Scope, &dyn StackReader),
        declared: &mut Declared,
    ) -> Vec<Home> {
        let (mut homes, mut is_anywhere) = (Vec::new(), false);
        let mut asked = Vec::new();
        for home in candidates {
            asked.push(async move { (*home, reader.stack(home, &stack.stack).await) });
        }
        let mut answers = stream::iter(asked).buffered(ASKED_AT_ONCE);
        while let Some((home, deployed)) = answers.next().await {
            is_anywhere |= !matches!(deployed, Ok(None));
            match deployed {
                Ok(Some(deployed)) if is_seen_from(home, here) => {
                    homes.push(self.home(home, Ok(Some(deployed)), declared));
                }
                Err(error) if is_seen_from(home, here) => declared.unresolved(named(stack), format!("{error:#}")),
                _ => (),
            }
        }
        if !is_anywhere && candidates.iter().any(|home| is_seen_from(home, here)) {
            let count = candidates.len();
            let why = format!("it is in none of {count} accounts and regions; hint: say where under `stacks`");
            declared.unresolved(named(stack), why);
        }
        homes
    }

    fn home(&self, home: &Scope, deployed: anyhow::Result<Option<DeployedStack>>, declared: &mut Declared) -> Home {
        let mut facts = self.facts(home);
        match (deployed, self.stack) {
            (Ok(deployed), _) => facts.deployed = deployed,
            (Err(error), stack) => {
                declared.unresolved(stack.map(named).unwrap_or_default(), format!("{error:#}"));
            }
        }
        Home { facts, place: Place::Here }
    }

    fn facts(&self, home: &Scope) -> StackFacts {
        StackFacts {
            account: Some(Arc::clone(&home.account)),
            region: Some(Arc::clone(&home.region)),
            stack: self.stack.map(|stack| Arc::clone(&stack.stack)),
            parameters: self.stack.map(|stack| stack.parameters.clone()).unwrap_or_default(),
            deployed: None,
        }
    }

    /// Returns whether the stack can be in a scope: one that has a region.
    fn may_be_in(&self, scope: &Scope) -> bool {
        let fits = |want: Option<&Arc<str>>, have: &Arc<str>| want.is_none_or(|want| want == have);
        let (account, region) = self.written();
        scope.provider == Provider::Aws
            && &*scope.region != NOT_APPLICABLE
            && fits(account, &scope.account)
            && fits(region, &scope.region)
    }

    fn written(&self) -> (Option<&Arc<str>>, Option<&Arc<str>>) {
        self.stack.map_or((None, None), |stack| (stack.account.as_ref(), stack.region.as_ref()))
    }

    /// Says, in one scope, that the template is deployed where nobody looks.
    fn tell_unread(&self, (here, places): (&Scope, &Places), declared: &mut Declared) {
        let (account, region) = self.written();
        let account = account.map(|account| &**account);
        let is_read = !places.candidates(|scope| self.may_be_in(scope)).is_empty();
        if !is_read && places.extent() == Extent::Whole && places.spokesman(account) == Some(here) {
            let name = self.stack.map_or(&self.template.file, |stack| &stack.stack);
            let why = place::unread(account, region.map(|region| &**region));
            let (kind, name, why) = (Kind::from(STACK), Arc::clone(name), Some(why.into()));
            declared.overlooked.push(Overlooked { kind, name, why });
        }
    }
}

fn named(stack: &StackConfig) -> String {
    format!("stack `{}`", stack.stack)
}

/// Returns whether resources of a stack can be in a scope: in its own region, or in its account's scope without one.
fn is_seen_from(home: &Scope, here: &Scope) -> bool {
    home.account == here.account && (&*here.region == NOT_APPLICABLE || home.region == here.region)
}

/// What was answered about a stack, or why nothing was, once that is known.
type Answer = Arc<OnceCell<Result<Option<DeployedStack>, String>>>;

/// Asks once for each stack, also where asking fails.
pub struct Remembered<'a> {
    inner: &'a dyn StackReader,
    known: Mutex<HashMap<(Scope, String), Answer>>,
}

impl std::fmt::Debug for Remembered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

impl<'a> Remembered<'a> {
    /// Returns a reader that has asked for nothing yet.
    pub fn new(inner: &'a dyn StackReader) -> Self {
        Self { inner, known: Mutex::default() }
    }
}

#[async_trait]
impl StackReader for Remembered<'_> {
    async fn stack(&self, scope: &Scope, stack: &str) -> anyhow::Result<Option<DeployedStack>> {
        let key = (scope.clone(), stack.to_owned());
        let known = Arc::clone(self.known.lock().entry(key).or_default());
        let ask = async || self.inner.stack(scope, stack).await.map_err(|error| format!("{error:#}"));
        known.get_or_init(ask).await.clone().map_err(|why| anyhow::anyhow!("{why}"))
    }
}

/// Returns the ignore rules of a revision. A name that is given twice would be counted for both.
fn ignores(source: &Arc<str>, files: &[Arc<File>]) -> Result<Vec<Arc<IgnoreRule>>, DesiredError> {
    let mut seen = HashMap::<Arc<str>, Arc<IgnoreRule>>::new();
    let mut rules = Vec::new();
    for rule in files.iter().flat_map(|file| &file.ignores) {
        let rule = Arc::new(IgnoreRule { source: Arc::clone(source), ..rule.clone() });
        if let Some(first) = seen.insert(Arc::clone(&rule.name), Arc::clone(&rule)) {
            let place = |rule: &IgnoreRule| format!("`{}` line {}", rule.file, rule.line);
            let what = format!("ignore rule `{}`", rule.name);
            return Err(DesiredError::Twice { what, first: place(&first), second: place(&rule) });
        }
        rules.push(rule);
    }
    Ok(rules)
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
