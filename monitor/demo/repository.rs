//! The demo's Git repository: made object by object, without the program `git`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{Commit, Tree};
use gix::refs::transaction::PreviousValue;
use jiff::Timestamp;
use serde_json::Value;

use super::estate::Asset;

const BRANCH: &str = "refs/heads/main";

/// A bare repository.
pub(super) struct Repository {
    repository: gix::Repository,
    path: PathBuf,
}

/// Who commits what, and when.
pub(super) struct Change<'a> {
    pub(super) author: &'a str,
    pub(super) message: &'a str,
    pub(super) at: Timestamp,
}

impl Repository {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let (kind, options) = (gix::create::Kind::Bare, gix::create::Options::default());
        gix::ThreadSafeRepository::init_opts(path, kind, options, gix::open::Options::isolated())
            .context("failed to create the repository")?;
        let repository =
            gix::open_opts(path, gix::open::Options::isolated()).context("failed to open the repository")?;
        Ok(Self { repository, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Commits exactly what these assets declare.
    pub(super) fn commit(&self, assets: &[Asset], change: &Change<'_>) -> anyhow::Result<()> {
        let tree = self.tree(&files(assets)?)?;
        let parent = self.repository.try_find_reference(BRANCH)?.map(|found| found.id().detach());
        let name = change.author.to_lowercase();
        let by = gix::actor::Signature {
            name: change.author.into(),
            email: format!("{name}@shop.example").into(),
            time: gix::date::Time::new(change.at.as_second(), 0),
        };
        let commit = Commit {
            tree,
            parents: parent.into_iter().collect(),
            author: by.clone(),
            committer: by,
            encoding: None,
            message: change.message.into(),
            extra_headers: Vec::new(),
        };
        let id = self.repository.write_object(commit)?.detach();
        self.repository.reference(BRANCH, id, PreviousValue::Any, change.message)?;
        Ok(())
    }

    fn tree(&self, files: &BTreeMap<String, String>) -> anyhow::Result<ObjectId> {
        let mut entries = Vec::new();
        let mut folders = BTreeMap::<&str, BTreeMap<String, String>>::new();
        for (path, text) in files {
            if let Some((folder, rest)) = path.split_once('/') {
                folders.entry(folder).or_default().insert(rest.to_owned(), text.clone());
            } else {
                let oid = self.repository.write_blob(text)?.detach();
                entries.push(Entry { mode: EntryKind::Blob.into(), filename: path.as_str().into(), oid });
            }
        }
        for (name, files) in folders {
            let oid = self.tree(&files)?;
            entries.push(Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid });
        }
        entries.sort();
        Ok(self.repository.write_object(Tree { entries })?.detach())
    }
}

/// Returns the text of each file, by path.
fn files(assets: &[Asset]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::<String, String>::new();
    for asset in assets {
        let manifest = yaml(&asset.manifest())?;
        let file = files.entry(asset.file.clone()).or_default();
        if !file.is_empty() {
            file.push_str("---\n");
        }
        file.push_str(&manifest);
    }
    Ok(files)
}

fn yaml(value: &Value) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value).context("failed to write a manifest")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::estate::estate;

    #[test]
    fn what_is_committed_reads_back_as_it_was() {
        let assets = estate();
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::create(folder.path()).unwrap();
        let change = |at| Change { author: "Ada", message: "declare the shop", at };
        for second in [0, 60] {
            repository.commit(&assets, &change(Timestamp::from_second(second).unwrap())).unwrap();
        }
        let head = repository.repository.find_reference(BRANCH).unwrap().id().object().unwrap().into_commit();
        assert_eq!(head.parent_ids().count(), 1);
        let tree = head.tree().unwrap();
        let mut read = Vec::new();
        for file in files(&assets).unwrap().keys() {
            let entry = tree.lookup_entry_by_path(file).unwrap().unwrap();
            let blob = entry.object().unwrap();
            let text = std::str::from_utf8(&blob.data).unwrap();
            read.extend(serde_saphyr::from_multiple::<Value>(text).unwrap());
        }
        let mut expected: Vec<_> = assets.iter().map(Asset::manifest).collect();
        let name =
            |value: &Value| format!("{}{}{}", value["kind"], value["metadata"]["namespace"], value["metadata"]["name"]);
        expected.sort_by_key(name);
        read.sort_by_key(name);
        assert_eq!(read, expected);
    }
}
