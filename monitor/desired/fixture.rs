//! Repositories for tests, made object by object: no `git`, and hostile ones too.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Commit, Tree};
use tempfile::TempDir;

use crate::desired::git;
use crate::desired::{Config, Shrink, Source, Unmanaged};

/// A bare repository in a temporary folder.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) repo: gix::Repository,
    seconds: Cell<i64>,
}

/// Seconds of the first commit; each later one is an hour younger.
pub(crate) const START: i64 = 1_700_000_000;

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kind = gix::create::Kind::Bare;
        let options = gix::create::Options::default();
        gix::ThreadSafeRepository::init_opts(folder.path(), kind, options, gix::open::Options::isolated()).unwrap();
        let repo = gix::open_opts(folder.path(), gix::open::Options::isolated()).unwrap();
        Self { folder, repo, seconds: Cell::new(START) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Commits exactly these files to `main`.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        let head = self.head("main");
        self.commit_tree(self.tree(files), head.as_slice(), "main")
    }

    /// Commits a tree to a branch.
    pub(crate) fn commit_tree(&self, tree: ObjectId, parents: &[ObjectId], branch: &str) -> String {
        let time = gix::date::Time::new(self.seconds.get(), 0);
        self.seconds.set(self.seconds.get() + 3600);
        let by =
            |name: &str| gix::actor::Signature { name: name.into(), email: format!("{name}@example.com").into(), time };
        let commit = Commit {
            tree,
            parents: parents.iter().copied().collect(),
            author: by(&format!("author{}", (self.seconds.get() - START) / 3600)),
            committer: by("committer"),
            encoding: None,
            message: "change".into(),
            extra_headers: Vec::new(),
        };
        let id = self.repo.write_object(commit).unwrap().detach();
        self.set(branch, id);
        id.to_string()
    }

    pub(crate) fn set(&self, branch: &str, id: ObjectId) {
        fs::write(self.path().join("refs/heads").join(branch), format!("{id}\n")).unwrap();
    }

    pub(crate) fn head(&self, branch: &str) -> Option<ObjectId> {
        let text = fs::read_to_string(self.path().join("refs/heads").join(branch)).ok()?;
        ObjectId::from_hex(text.trim().as_bytes()).ok()
    }

    pub(crate) fn blob(&self, content: impl AsRef<[u8]>) -> ObjectId {
        self.repo.write_blob(content).unwrap().detach()
    }

    pub(crate) fn tree(&self, files: &[(&str, &str)]) -> ObjectId {
        let mut entries = Vec::new();
        let mut folders = std::collections::BTreeMap::<&str, Vec<(&str, &str)>>::new();
        for (path, content) in files {
            match path.split_once('/') {
                Some((folder, rest)) => folders.entry(folder).or_default().push((rest, content)),
                None => entries.push((EntryKind::Blob, *path, self.blob(content))),
            }
        }
        entries.extend(folders.into_iter().map(|(name, files)| (EntryKind::Tree, name, self.tree(&files))));
        self.raw_tree(&entries)
    }

    /// Writes a tree with any names and modes.
    pub(crate) fn raw_tree(&self, entries: &[(EntryKind, &str, ObjectId)]) -> ObjectId {
        let entry =
            |&(kind, name, oid): &(EntryKind, &str, ObjectId)| Entry { mode: kind.into(), filename: name.into(), oid };
        let mut entries: Vec<Entry> = entries.iter().map(entry).collect();
        entries.sort();
        self.repo.write_object(Tree { entries }).unwrap().detach()
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            name: "infra".into(),
            git: git_config(self.path().to_str().unwrap()),
            clouds: vec!["prod".into()],
            unmanaged: Unmanaged::default(),
            stacks: Vec::new(),
            shrink: Shrink::default(),
            strict: Vec::new(),
        }
    }

    pub(crate) fn source(&self) -> Source {
        Source::open(self.config(), self.path()).unwrap()
    }
}

/// The configuration of a repository at a URL.
pub(crate) fn git_config(url: &str) -> git::Config {
    serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
}
