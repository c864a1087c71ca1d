//! Inventories that are files: JSON, JSON lines or YAML, with a mapping that says where kinds, names and attributes stand.
//!
//! A file counts whole or not at all: one that cannot be parsed to its end, or that changes while it is read, is a gap.
//! Inventories behind HTTP or printed by a command are not read here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::resource::{Depth, Gap, GapReason, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope};
use globset::{GlobBuilder, GlobMatcher};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{CloudConfig, CollectError, Collector, Item, Read, Reading, Sink, Wanted};

/// Longest file that is read.
const CAP: u64 = 256 << 20;
/// Most files and folders that are looked at for one pattern.
const MOST_ENTRIES: usize = 100_000;
const PAGE: usize = 500;

/// An inventory in files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this cloud; also the account in its scope and ids.
    pub name: String,
    /// Files, as paths or globs (`*` stays inside a folder, `**` does not). Each must match at least one file.
    pub paths: Vec<String>,
    /// How the files are written; told by the ending of their name (`.json`, `.jsonl`, `.yaml`) if absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where in the files what stands.
    pub mapping: Mapping,
    /// How often the files are read.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub every: Option<SignedDuration>,
}

impl CloudConfig for Config {
    fn name(&self) -> &str {
        &self.name
    }

    fn every(&self) -> Option<SignedDuration> {
        self.every
    }

    fn build(&self) -> Result<Arc<dyn Collector>, CollectError> {
        Ok(Arc::new(File::new(self.clone())?))
    }
}

/// Where in a document what stands, as JSON pointers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The list of resources in each document; the document itself if absent.
    #[serde(default)]
    pub items: String,
    /// The kind of each resource, as a pointer into it (`/type`), or the kind itself (`host`).
    pub kind: String,
    /// The name of each resource, as a pointer into it (`/id`).
    pub name: String,
    /// The attributes of each resource, as a pointer into it; all of it if absent.
    #[serde(default)]
    pub attributes: String,
}

impl Mapping {
    /// Returns what is wrong with the mapping, if anything is.
    fn fault(&self) -> Option<&'static str> {
        let is_pointer = |text: &str| text.is_empty() || text.starts_with('/');
        let faults = [
            (!is_pointer(&self.items), "`mapping.items` must be a JSON pointer such as `/hosts`"),
            (!is_pointer(&self.attributes), "`mapping.attributes` must be a JSON pointer such as `/spec`"),
            (!self.name.starts_with('/'), "`mapping.name` must be a JSON pointer such as `/id`"),
            (self.kind.is_empty(), "`mapping.kind` must be a kind or a JSON pointer such as `/type`"),
        ];
        faults.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, what)| what)
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON document.
    Json,
    /// One JSON document per line.
    JsonLines,
    /// One or several YAML documents.
    Yaml,
}

impl Format {
    /// Returns the format that the ending of a file's name tells; JSON if it tells none.
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
            "yaml" | "yml" => Self::Yaml,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => Self::Json,
        }
    }
}

/// The files, ready to be read.
#[derive(Clone)]
pub struct File {
    config: Arc<Config>,
    patterns: Arc<[Pattern]>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("config", &self.config).finish_non_exhaustive()
    }
}

impl File {
    /// Returns the inventory that is configured. Reads nothing.
    pub fn new(config: Config) -> Result<Self, CollectError> {
        let invalid = |why: String| CollectError::Config { cloud: config.name.clone(), why };
        if config.paths.is_empty() {
            return Err(invalid("`paths` names no file".to_owned()));
        }
        if let Some(fault) = config.mapping.fault() {
            return Err(invalid(fault.to_owned()));
        }
        let patterns: Result<Arc<[_]>, _> = config.paths.iter().map(|path| Pattern::new(path)).collect();
        let patterns = patterns.map_err(|error| invalid(format!("`paths`: {error}")))?;
        Ok(Self { config: Arc::new(config), patterns })
    }

    async fn load(&self) -> Inventory {
        let own = self.clone();
        let kind = self.config.mapping.kind.clone();
        tokio::task::spawn_blocking(move || own.load_now()).await.unwrap_or_else(|_| {
            let mut inventory = Inventory::default();
            inventory.fail(&kind, GapReason::Partial, "interrupted while reading".to_owned());
            inventory
        })
    }

    fn load_now(&self) -> Inventory {
        let mut inventory = Inventory::default();
        let mut files = BTreeSet::new();
        for pattern in self.patterns.iter() {
            match pattern.files() {
                Ok(found) if found.is_empty() => {
                    let detail = format!("no file matches `{}`", pattern.text);
                    inventory.fail(&self.config.mapping.kind, GapReason::Partial, detail);
                }
                Ok(found) => files.extend(found),
                Err(Unread(reason, detail)) => inventory.fail(&self.config.mapping.kind, reason, detail),
            }
        }
        for path in files {
            let format = self.config.format.unwrap_or_else(|| Format::of(&path));
            match read(&path).and_then(|text| documents(&path, format, &text)) {
                Ok(documents) => documents.into_iter().for_each(|document| self.take(&mut inventory, document)),
                Err(Unread(reason, detail)) => inventory.fail(&self.config.mapping.kind, reason, detail),
            }
        }
        inventory
    }

    /// Takes the resources of one document into the inventory.
    fn take(&self, inventory: &mut Inventory, document: Document) {
        let Document { place, mut value } = document;
        let Some(items) = value.pointer_mut(&self.config.mapping.items).map(Value::take) else {
            let detail = format!("{place}: nothing stands at `{}`", self.config.mapping.items);
            return inventory.fail(&self.config.mapping.kind, GapReason::Malformed, detail);
        };
        let items = if let Value::Array(items) = items { items } else { vec![items] };
        for (at, item) in items.iter().enumerate() {
            match self.item(item) {
                Ok((kind, item)) => inventory.add(kind, item, &place),
                Err(what) => {
                    let detail = format!("{place}: resource {} has {what}", at + 1);
                    inventory.fail(&self.config.mapping.kind, GapReason::Malformed, detail);
                }
            }
        }
    }

    fn item(&self, item: &Value) -> Result<(Kind, Item), String> {
        let Mapping { kind, name, attributes, .. } = &self.config.mapping;
        let text = |what, pointer: &str| match item.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            _ => Err(format!("no {what} at `{pointer}`")),
        };
        let kind = if kind.starts_with('/') { text("kind", kind)? } else { kind.clone() };
        let name = text("name", name)?;
        let values = item.pointer(attributes).filter(|value| value.is_object());
        let attributes = values.ok_or_else(|| format!("no attributes at `{attributes}`"))?;
        Ok((Kind::new(kind), Item { name: name.into(), text: attributes.to_string().into() }))
    }
}

#[async_trait]
impl Collector for File {
    fn provider(&self) -> Provider {
        Provider::File
    }

    async fn scopes(&self) -> Result<Vec<Scope>, CollectError> {
        let name = self.config.name.as_str();
        let (provider, region) = (Provider::File, NOT_APPLICABLE.into());
        Ok(vec![Scope { cloud: name.into(), provider, account: name.into(), region }])
    }

    async fn collect(&self, _scope: &Scope, wanted: &Wanted, sink: Sink) {
        for said in self.load().await.said(wanted) {
            if sink.send(said).await.is_err() {
                return;
            }
        }
    }

    async fn read(&self, id: &ResourceId) -> Result<Reading, CollectError> {
        let mut inventory = self.load().await;
        let found = inventory.kinds.get_mut(&id.kind).and_then(|items| items.remove(&*id.name));
        let gap = inventory.gaps.into_iter().find(|gap| gap.kind.as_ref().is_none_or(|kind| *kind == id.kind));
        match (found, gap) {
            (_, Some(gap)) => Err(CollectError::Unread {
                what: format!("`{id}`"),
                reason: gap.reason,
                source: anyhow::Error::msg(gap.detail),
            }),
            (Some(text), None) => Ok(Reading::Found(text)),
            (None, None) => Ok(Reading::Absent),
        }
    }
}

/// Everything in the files.
#[derive(Debug, Default)]
struct Inventory {
    kinds: BTreeMap<Kind, BTreeMap<Box<str>, Box<str>>>,
    gaps: Vec<Gap>,
}

impl Inventory {
    fn add(&mut self, kind: Kind, item: Item, place: &str) {
        let Item { name, text } = item;
        let items = self.kinds.entry(kind.clone()).or_default();
        let twice = format!("{place}: `{name}` stands twice");
        if items.insert(name, text).is_some() {
            self.gaps.push(Gap { kind: Some(kind), reason: GapReason::Malformed, detail: twice });
        }
    }

    /// Remembers that something was not read. Where the files say the kinds, any kind may have been in it.
    fn fail(&mut self, kind: &str, reason: GapReason, detail: String) {
        let kind = (!kind.starts_with('/')).then(|| Kind::from(kind));
        self.gaps.push(Gap { kind, reason, detail });
    }

    /// Returns what a reader is told: the resources, then which kinds are complete or not.
    fn said(self, wanted: &Wanted) -> Vec<Read> {
        let Self { kinds, gaps } = self;
        let is_whole = |kind: &Kind| gaps.iter().all(|gap| gap.kind.as_ref().is_some_and(|of| of != kind));
        let complete: BTreeSet<_> = kinds.keys().chain(&wanted.full).filter(|kind| is_whole(kind)).cloned().collect();
        let mut said = Vec::new();
        for (kind, items) in kinds {
            let mut items = items.into_iter().map(|(name, text)| Item { name, text }).peekable();
            while items.peek().is_some() {
                let items = items.by_ref().take(PAGE).collect();
                said.push(Read::Page { kind: kind.clone(), depth: Depth::Full, items });
            }
        }
        said.extend(complete.into_iter().map(Read::Complete));
        said.extend(gaps.into_iter().map(Read::Gap));
        said
    }
}

/// Why a file, or a folder on the way to it, does not count.
#[derive(Debug)]
struct Unread(GapReason, String);

fn unread(path: &Path, error: &std::io::Error) -> Unread {
    let reason = match error.kind() {
        std::io::ErrorKind::PermissionDenied => GapReason::Denied,
        std::io::ErrorKind::InvalidData => GapReason::Malformed,
        _ => GapReason::Partial,
    };
    Unread(reason, format!("failed to read `{}`: {}", path.display(), error.kind()))
}

fn read(path: &Path) -> Result<String, Unread> {
    let failed = |error| unread(path, &error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if before.len() > CAP {
        return Err(Unread(GapReason::Partial, format!("`{}` is longer than is read", path.display())));
    }
    let mut text = String::new();
    let read = file.by_ref().take(CAP).read_to_string(&mut text).map_err(failed)?;
    let after = file.metadata().map_err(failed)?;
    if u64::try_from(read).ok() != Some(before.len()) || before.modified().ok() != after.modified().ok() {
        return Err(Unread(GapReason::Partial, format!("`{}` changed while it was read", path.display())));
    }
    Ok(text)
}

struct Document {
    /// Where it stands, for people.
    place: String,
    value: Value,
}

fn documents(path: &Path, format: Format, text: &str) -> Result<Vec<Document>, Unread> {
    let file = path.display();
    let malformed = |line: u64, what| Unread(GapReason::Malformed, format!("`{file}`, line {line}: not {what}"));
    match format {
        Format::Json => {
            let value = serde_json::from_str(text)
                .map_err(|error| malformed(u64::try_from(error.line()).unwrap_or(1), "JSON"))?;
            Ok(vec![Document { place: format!("`{file}`"), value }])
        }
        Format::JsonLines => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let document = |(at, line)| {
                let value = serde_json::from_str(line).map_err(|_| malformed(at, "JSON"))?;
                Ok(Document { place: format!("`{file}`, line {at}"), value })
            };
            lines.map(document).collect()
        }
        Format::Yaml => {
            let values: Vec<Value> = crate::yaml::from_multiple(text)
                .map_err(|error| malformed(error.location().map_or(1, |at| at.line()), "YAML"))?;
            let document = |(at, value)| Document { place: format!("`{file}`, document {at}"), value };
            Ok((1..).zip(values).map(document).collect::<Vec<_>>())
        }
    }
}

/// A path in which some parts may be globs.
struct Pattern {
    text: String,
    /// The folder in front of the first part that is a glob, or the file itself.
    base: PathBuf,
    matcher: Option<GlobMatcher>,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, globset::Error> {
        let is_plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
        let base: PathBuf = Path::new(text).components().take_while(is_plain).collect();
        if base == Path::new(text) {
            return Ok(Self { text: text.to_owned(), base, matcher: None });
        }
        let matcher = GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher();
        Ok(Self { text: text.to_owned(), base, matcher: Some(matcher) })
    }

    fn files(&self) -> Result<Vec<PathBuf>, Unread> {
        let Some(matcher) = &self.matcher else { return Ok(vec![self.base.clone()]) };
        let mut folders = vec![self.base.clone()];
        let mut found = Vec::new();
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            let at = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            for entry in fs::read_dir(at).map_err(|error| unread(at, &error))? {
                let entry = entry.map_err(|error| unread(at, &error))?;
                let path = folder.join(entry.file_name());
                // Links to files are followed, links to folders are not: they could go round.
                if entry.file_type().map_err(|error| unread(&path, &error))?.is_dir() {
                    folders.push(path);
                } else if matcher.is_match(&path) {
                    found.push(path);
                }
                seen += 1;
                if seen > MOST_ENTRIES {
                    return Err(Unread(GapReason::Partial, format!("too many files below `{}`", self.base.display())));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads files of these names and texts; answers with what is said, one word each.
    async fn check(files: &[(&str, &str)], mapping: &str, said: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mapping = mapping.replace('~', &folder.path().display().to_string());
        let file = File::new(serde_saphyr::from_str(&format!("{{name: lab, {mapping}}}")).unwrap()).unwrap();
        let wanted = Wanted { full: [Kind::from("wanted")].into() };
        let words: Vec<_> = file.load().await.said(&wanted).into_iter().flat_map(words).collect();
        let words = words.join(" ").replace(&folder.path().display().to_string(), "~");
        assert_eq!(words, said, "{files:?}");
    }

    fn words(read: Read) -> Vec<String> {
        match read {
            Read::Page { kind, items, .. } => {
                items.into_iter().map(|item| format!("{kind}/{}={}", item.name, item.text)).collect()
            }
            Read::Complete(kind) => vec![format!("{kind}!")],
            Read::Gap(gap) => {
                let kind = gap.kind.map_or("*".to_owned(), |kind| kind.to_string());
                vec![format!("{kind}?{} ({})", gap.reason, gap.detail)]
            }
        }
    }

    const HOSTS: &str = "paths: ['~/*.json'], mapping: {items: /hosts, kind: host, name: /id, attributes: /spec}";
    const TYPED: &str = "paths: ['~/**/*'], mapping: {kind: /type, name: /id}";

    #[tokio::test]
    async fn every_form_becomes_resources() {
        let json = r#"{"hosts":[{"id":"a","spec":{"cpu":2}},{"id":7,"spec":{}}]}"#;
        check(&[("x.json", json)], HOSTS, r#"host/7={} host/a={"cpu":2} host! wanted!"#).await;
        let lines = "{\"id\":\"a\",\"type\":\"vm\"}\n\n{\"id\":\"b\",\"type\":\"disk\"}\n";
        let said = r#"disk/b={"id":"b","type":"disk"} vm/a={"id":"a","type":"vm"} disk! vm! wanted!"#;
        check(&[("deep/er/x.jsonl", lines)], TYPED, said).await;
        check(&[("x.yaml", "id: b\ntype: disk\n---\nid: a\ntype: vm\n")], TYPED, said).await;
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_whole_proves_no_absence() {
        let good = ("a.json", r#"{"hosts":[{"id":"a","spec":{}}]}"#);
        let said = "host/a={} wanted! host?malformed (`~/b.json`, line 2: not JSON)";
        check(&[good, ("b.json", "{\"hosts\":\n[{\"id\":")], HOSTS, said).await;
        let said = "host/a={} wanted! host?malformed (`~/b.json`: nothing stands at `/hosts`)";
        check(&[good, ("b.json", "{}")], HOSTS, said).await;
        check(&[], HOSTS, "wanted! host?partial (no file matches `~/*.json`)").await;
        let absent = "paths: ['~/none.json'], mapping: {kind: /type, name: /id}";
        check(&[], absent, "*?partial (failed to read `~/none.json`: entity not found)").await;
        let yaml = "*?malformed (`~/x.yaml`, line 2: not YAML)";
        check(&[("x.yaml", "id: a\nid: b\n")], TYPED, yaml).await;
    }

    #[tokio::test]
    async fn a_resource_without_a_name_or_with_two_is_a_gap() {
        let nameless = r#"{"hosts":[{"id":"a","spec":{}},{"spec":{}}]}"#;
        let said = "host/a={} wanted! host?malformed (`~/x.json`: resource 2 has no name at `/id`)";
        check(&[("x.json", nameless)], HOSTS, said).await;
        let twice = "[{\"id\":\"a\",\"type\":\"vm\"},{\"id\":\"a\",\"type\":\"vm\"},{\"id\":\"a\",\"type\":\"disk\"}]";
        let said = r#"disk/a={"id":"a","type":"disk"} vm/a={"id":"a","type":"vm"} disk! wanted! vm?malformed (`~/x.json`: `a` stands twice)"#;
        check(&[("x.json", twice)], TYPED, said).await;
    }

    #[tokio::test]
    async fn an_exact_reading_is_of_the_whole_inventory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        fs::write(&path, r#"[{"id":"a"}]"#).unwrap();
        let config = format!("{{name: lab, paths: ['{}'], mapping: {{kind: host, name: /id}}}}", path.display());
        let file = File::new(serde_saphyr::from_str(&config).unwrap()).unwrap();
        let scope = file.scopes().await.unwrap().remove(0);
        let id = |name| scope.id(&Kind::from("host"), name);
        assert_eq!(file.read(&id("a")).await.unwrap(), Reading::Found(r#"{"id":"a"}"#.into()));
        assert_eq!(file.read(&id("b")).await.unwrap(), Reading::Absent);
        fs::write(&path, "[").unwrap();
        assert_eq!(file.read(&id("b")).await.unwrap_err().reason(), GapReason::Malformed);
    }
}
