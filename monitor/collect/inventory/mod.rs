//! Inventories that are files: JSON, JSON lines or YAML, with a mapping that says where kinds, names and attributes stand.
//!
//! A file counts whole or not at all: one that cannot be parsed to its end, or that changes while it is read, is a gap.
//! Of one file at a time the text is held, never a tree of values. Inventories behind HTTP or printed by a command are
//! not read here.

mod files;
mod raw;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::resource::{Depth, Gap, GapReason, Kind, NOT_APPLICABLE, Provider, ResourceId, Scope};
use jiff::SignedDuration;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::files::{Document, Pattern, Stamp, Unread, documents};
use super::{CloudConfig, CollectError, Collector, Item, Read, Reading, Sink, Wanted};

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
    /// Where each resource stands, made when the first one is read alone, dropped when everything is read again.
    index: Arc<Mutex<Option<Arc<Index>>>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("config", &self.config).finish_non_exhaustive()
    }
}

/// One resource, as it stands in a file.
struct Found<'t> {
    kind: Kind,
    name: Box<str>,
    text: &'t str,
    /// Which file, by its number in this pass, and which of its bytes; nothing where the file is not JSON.
    place: Option<(usize, Range<usize>)>,
}

/// What is told of each resource; the pass ends when it breaks off.
type Tell<'a> = &'a mut dyn FnMut(Found<'_>) -> ControlFlow<()>;

/// One pass over all files.
#[derive(Default)]
struct Pass {
    files: Vec<Stamp>,
    seen: HashMap<Kind, HashSet<Box<str>>>,
    gaps: Vec<Gap>,
}

impl Pass {
    /// Remembers that something was not read. Where the files say the kinds, any kind may have been in it.
    fn fail(&mut self, kind: &str, Unread(reason, detail): Unread) {
        let kind = (!kind.starts_with('/')).then(|| Kind::from(kind));
        self.gaps.push(Gap { kind, reason, detail });
    }

    /// Returns whether a resource is the first of its name; a second one makes its kind a gap.
    fn is_first(&mut self, kind: &Kind, name: &str, place: &str) -> bool {
        if !self.seen.contains_key(kind) {
            self.seen.insert(kind.clone(), HashSet::new());
        }
        let is_first = self.seen.get_mut(kind).is_some_and(|names| names.insert(name.into()));
        if !is_first {
            let detail = format!("{place}: `{name}` stands twice");
            self.gaps.push(Gap { kind: Some(kind.clone()), reason: GapReason::Malformed, detail });
        }
        is_first
    }

    /// Returns the kinds of which everything was read, `wanted` ones that were not met among them.
    fn complete(&self, wanted: &BTreeSet<Kind>) -> BTreeSet<Kind> {
        let is_whole = |kind: &&Kind| self.gaps.iter().all(|gap| gap.kind.as_ref().is_some_and(|of| of != *kind));
        self.seen.keys().chain(wanted).filter(is_whole).cloned().collect()
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
        Ok(Self { config: Arc::new(config), patterns, index: Arc::default() })
    }

    /// Reads everything and tells of each resource as it is found.
    fn pass(&self, tell: Tell<'_>) -> Pass {
        let mut pass = Pass::default();
        for path in self.paths(&mut pass) {
            match self.file(&mut pass, &path, tell) {
                Ok(ControlFlow::Continue(())) => (),
                Ok(ControlFlow::Break(())) => break,
                Err(unread) => pass.fail(&self.config.mapping.kind, unread),
            }
        }
        pass
    }

    fn paths(&self, pass: &mut Pass) -> BTreeSet<std::path::PathBuf> {
        let mut paths = BTreeSet::new();
        for pattern in self.patterns.iter() {
            match pattern.files() {
                Ok(found) if found.is_empty() => {
                    let detail = format!("no file matches `{}`", pattern.text);
                    pass.fail(&self.config.mapping.kind, Unread(GapReason::Partial, detail));
                }
                Ok(found) => paths.extend(found),
                Err(unread) => pass.fail(&self.config.mapping.kind, unread),
            }
        }
        paths
    }

    fn file(&self, pass: &mut Pass, path: &Path, tell: Tell<'_>) -> Result<ControlFlow<()>, Unread> {
        let stamp = Stamp::of(path)?;
        let text = stamp.read()?;
        pass.files.push(stamp);
        let format = self.config.format.unwrap_or_else(|| Format::of(path));
        for document in documents(path, format, &text)? {
            if self.document(pass, &text, &document, tell).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn document(&self, pass: &mut Pass, file: &str, document: &Document<'_>, tell: Tell<'_>) -> ControlFlow<()> {
        let Document { place, json } = document;
        let kind = &self.config.mapping.kind;
        let whole: Option<&RawValue> = serde_json::from_str(json).ok();
        let Some(list) = whole.and_then(|whole| raw::at(whole, &self.config.mapping.items)) else {
            let detail = format!("{place}: nothing stands at `{}`", self.config.mapping.items);
            pass.fail(kind, Unread(GapReason::Malformed, detail));
            return ControlFlow::Continue(());
        };
        let number = pass.files.len().saturating_sub(1);
        let is_of_file = matches!(json, Cow::Borrowed(_));
        for (at, item) in (1..).zip(raw::items(list).unwrap_or_else(|| vec![list])) {
            match self.item(item) {
                Ok((kind, name, text)) if pass.is_first(&kind, &name, place) => {
                    let place = is_of_file.then(|| (number, span(file, text)));
                    tell(Found { kind, name, text, place })?;
                }
                Ok(_) => (),
                Err(what) => {
                    let detail = format!("{place}: resource {at} has {what}");
                    pass.fail(kind, Unread(GapReason::Malformed, detail));
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Returns kind, name and attributes of one resource, or what it lacks.
    fn item<'t>(&self, item: &'t RawValue) -> Result<(Kind, Box<str>, &'t str), String> {
        let Mapping { kind, name, attributes, .. } = &self.config.mapping;
        let word = |what, pointer: &str| {
            raw::at(item, pointer).and_then(raw::word).ok_or_else(|| format!("no {what} at `{pointer}`"))
        };
        let kind = if kind.starts_with('/') { word("kind", kind)? } else { kind.clone() };
        let name = word("name", name)?;
        let values = raw::at(item, attributes).filter(|values| values.get().starts_with('{'));
        let attributes = values.ok_or_else(|| format!("no attributes at `{attributes}`"))?;
        Ok((Kind::new(kind), name.into(), attributes.get()))
    }

    /// Tells everything that stands in the files, page by page.
    fn tell(&self, wanted: &BTreeSet<Kind>, sink: &Sink) {
        let mut pages = BTreeMap::<Kind, Vec<Item>>::new();
        let send = |read| sink.blocking_send(read).map_or(ControlFlow::Break(()), ControlFlow::Continue);
        let pass = self.pass(&mut |Found { kind, name, text, .. }| {
            let items = pages.entry(kind.clone()).or_default();
            items.push(Item { name, text: text.into() });
            if items.len() < PAGE {
                return ControlFlow::Continue(());
            }
            send(Read::Page { kind, depth: Depth::Full, items: std::mem::take(items) })
        });
        let rest = pages.into_iter().map(|(kind, items)| Read::Page { kind, depth: Depth::Full, items });
        let complete = pass.complete(wanted).into_iter().map(Read::Complete);
        // Nobody listening is nobody to be told.
        let _unheard = rest.chain(complete).chain(pass.gaps.into_iter().map(Read::Gap)).try_for_each(send);
    }

    /// Returns what stands in the files of one resource, now.
    fn find(&self, id: &ResourceId) -> Result<Reading, Unread> {
        self.fresh_index().read(id)
    }

    /// Returns where everything stands. Those who ask while it is found out wait and share it.
    fn fresh_index(&self) -> Arc<Index> {
        let mut kept = self.index.lock();
        let fresh = kept.take().filter(|index| index.is_fresh(self)).unwrap_or_else(|| Arc::new(Index::of(self)));
        *kept = Some(Arc::clone(&fresh));
        fresh
    }
}

/// Returns where a part of a text begins and ends in it.
fn span(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// Where each resource stands, as long as no file changes: to read a thousand again must not mean to read all a thousand
/// times.
struct Index {
    files: Vec<Stamp>,
    places: HashMap<Kind, HashMap<Box<str>, Place>>,
    gaps: Vec<Gap>,
}

/// Where one resource stands.
enum Place {
    /// In the file of that number, at these bytes.
    File(usize, Range<usize>),
    /// Nowhere in that form: this is its JSON.
    Text(Box<str>),
}

impl Index {
    fn of(file: &File) -> Self {
        let mut places = HashMap::<Kind, HashMap<Box<str>, Place>>::new();
        let pass = file.pass(&mut |Found { kind, name, text, place }| {
            let place = place.map_or_else(|| Place::Text(text.into()), |(number, span)| Place::File(number, span));
            places.entry(kind).or_default().insert(name, place);
            ControlFlow::Continue(())
        });
        Self { files: pass.files, places, gaps: pass.gaps }
    }

    /// Returns whether the same files are there, and are as they were. What was not read then may be readable now.
    fn is_fresh(&self, file: &File) -> bool {
        let mut pass = Pass::default();
        let paths = file.paths(&mut pass);
        let is_same = |(path, stamp): (&std::path::PathBuf, &Stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp);
        self.gaps.is_empty()
            && pass.gaps.is_empty()
            && paths.len() == self.files.len()
            && paths.iter().zip(&self.files).all(is_same)
    }

    fn read(&self, id: &ResourceId) -> Result<Reading, Unread> {
        if let Some(gap) = self.gaps.iter().find(|gap| gap.kind.as_ref().is_none_or(|kind| *kind == id.kind)) {
            return Err(Unread(gap.reason, gap.detail.clone()));
        }
        match self.places.get(&id.kind).and_then(|names| names.get(&*id.name)) {
            None => Ok(Reading::Absent),
            Some(Place::Text(text)) => Ok(Reading::Found(text.clone(), Depth::Full)),
            Some(Place::File(number, span)) => match self.files.get(*number) {
                Some(file) => file.part(span).map(|text| Reading::Found(text, Depth::Full)),
                None => Ok(Reading::Absent),
            },
        }
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

    async fn contact(&self) -> Result<(), CollectError> {
        let (sink, mut said) = tokio::sync::mpsc::channel(16);
        let first_gap = async {
            let mut first = None;
            while let Some(read) = said.recv().await {
                if let Read::Gap(gap) = read {
                    first.get_or_insert(gap);
                }
            }
            first
        };
        let Some(scope) = self.scopes().await?.pop() else { return Ok(()) };
        let wanted = Wanted::default();
        let ((), gap) = tokio::join!(self.collect(&scope, &wanted, sink), first_gap);
        gap.map_or(Ok(()), |Gap { reason, detail, .. }| {
            let source = anyhow::Error::msg(detail);
            Err(CollectError::Unread { what: "the files".to_owned(), reason, source })
        })
    }

    async fn collect(&self, _scope: &Scope, wanted: &Wanted, sink: Sink) {
        *self.index.lock() = None;
        let (own, wanted, heard) = (self.clone(), wanted.full.clone(), sink.clone());
        if tokio::task::spawn_blocking(move || own.tell(&wanted, &heard)).await.is_err() {
            let detail = "interrupted while reading".to_owned();
            // Nobody listening is nobody to be told.
            drop(sink.send(Read::Gap(Gap { kind: None, reason: GapReason::Partial, detail })).await);
        }
    }

    async fn read(&self, id: &ResourceId, _wanted: &Wanted) -> Result<Reading, CollectError> {
        let (own, wanted) = (self.clone(), id.clone());
        let interrupted = |_| Err(Unread(GapReason::Partial, "interrupted while reading".to_owned()));
        let found = tokio::task::spawn_blocking(move || own.find(&wanted)).await.unwrap_or_else(interrupted);
        found.map_err(|Unread(reason, detail)| CollectError::Unread {
            what: format!("`{id}`"),
            reason,
            source: anyhow::Error::msg(detail),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

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
        let wanted = Wanted { full: [Kind::from("wanted")].into(), ..Wanted::default() };
        let scope = file.scopes().await.unwrap().remove(0);
        let (sink, mut said_pages) = tokio::sync::mpsc::channel(100);
        file.collect(&scope, &wanted, sink).await;
        let mut spoken = Vec::new();
        while let Some(read) = said_pages.recv().await {
            spoken.extend(words(read));
        }
        let words = spoken.join(" ").replace(&folder.path().display().to_string(), "~");
        assert_eq!(words, said, "{files:?}");
    }

    fn words(read: Read) -> Vec<String> {
        match read {
            Read::Page { kind, items, .. } => {
                items.into_iter().map(|item| format!("{kind}/{}={}", item.name, item.text)).collect()
            }
            Read::Kept { .. } | Read::KeptAll { .. } => panic!("a file is read: {read:?}"),
            Read::Complete(kind) => vec![format!("{kind}!")],
            Read::Gap(gap) => {
                let kind = gap.kind.map_or("*".to_owned(), |kind| kind.to_string());
                vec![format!("{kind}?{} ({})", gap.reason, gap.detail)]
            }
        }
    }

    const HOSTS: &str = "paths: ['~/*.json'], mapping: {items: /hosts, kind: host, name: /id, attributes: /spec}";
    const TYPED: &str = "paths: ['~/**/*'], mapping: {kind: /type, name: /id}";

    #[cfg(unix)]
    #[tokio::test]
    async fn a_linked_folder_through_which_a_pattern_leads_is_a_gap_and_no_absence() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("real/web")).unwrap();
        fs::create_dir_all(root.join("hosts")).unwrap();
        fs::write(root.join("real/web/vars.json"), "{}").unwrap();
        fs::write(root.join("hosts/a.json"), "{}").unwrap();
        std::os::unix::fs::symlink(root.join("real/web"), root.join("hosts/web")).unwrap();
        std::os::unix::fs::symlink(root.join("real/web/vars.json"), root.join("hosts/b.json")).unwrap();
        let files = |pattern: &str| match Pattern::new(&format!("{}/{pattern}", root.display())).unwrap().files() {
            Ok(files) => files.len().to_string(),
            Err(Unread(reason, why)) => {
                format!("{} {}", reason.as_str(), why.replace(&root.display().to_string(), "~"))
            }
        };
        let gap = "partial `~/hosts/web` is a link, and links to folders are not followed; hint: name the folder that it \
                   leads to";
        for pattern in
            ["hosts/*/vars.json", "hosts/**/*.json", "**/vars.json", "hosts/{web,db}/*.json", "*/{web/vars,x}.json"]
        {
            assert_eq!(files(pattern), gap, "{pattern}");
        }
        for (pattern, count) in
            [("hosts/*.json", "2"), ("hosts/db*/*.json", "0"), ("hosts/web/*.json", "1"), ("real/*/*", "1")]
        {
            assert_eq!(files(pattern), count, "{pattern}");
        }
    }

    #[tokio::test]
    async fn every_form_becomes_resources() {
        let json = r#"{"hosts":[{"id":"a","spec":{"cpu":2}},{"id":7,"spec":{}}]}"#;
        check(&[("x.json", json)], HOSTS, r#"host/a={"cpu":2} host/7={} host! wanted!"#).await;
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
    async fn an_exact_reading_is_of_what_stands_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.json", r#"{"x": [{"id": "a", "n": 1}, {"id": "é", "n": 2}]}"#);
        write("b.jsonl", "{\"x\": {\"id\": \"b\"}}\n{\"x\": {\"id\": \"c\"}}\n");
        write("c.yaml", "x: {id: d}\n");
        let config = format!(
            "{{name: lab, paths: ['{}/*'], mapping: {{items: /x, kind: host, name: /id}}}}",
            folder.path().display()
        );
        let file = File::new(serde_saphyr::from_str(&config).unwrap()).unwrap();
        let scope = file.scopes().await.unwrap().remove(0);
        let mut said = Vec::new();
        for (name, change) in [("a", None), ("é", None), ("c", None), ("d", None), ("e", Some("e.json")), ("e", None)]
        {
            let read = file.read(&scope.id(&Kind::from("host"), name), &Wanted::default()).await.unwrap();
            said.push(if let Reading::Found(text, _) = read { text.into() } else { "absent".to_owned() });
            if let Some(new) = change {
                write(new, r#"{"x": {"id": "e"}}"#);
            }
        }
        let expected = [
            r#"{"id": "a", "n": 1}"#,
            r#"{"id": "é", "n": 2}"#,
            r#"{"id": "c"}"#,
            r#"{"id":"d"}"#,
            "absent",
            r#"{"id": "e"}"#,
        ];
        assert_eq!(said, expected);
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
        assert_eq!(
            file.read(&id("a"), &Wanted::default()).await.unwrap(),
            Reading::Found(r#"{"id":"a"}"#.into(), Depth::Full)
        );
        assert_eq!(file.read(&id("b"), &Wanted::default()).await.unwrap(), Reading::Absent);
        fs::write(&path, "[").unwrap();
        assert_eq!(file.read(&id("b"), &Wanted::default()).await.unwrap_err().reason(), GapReason::Malformed);
    }
}
