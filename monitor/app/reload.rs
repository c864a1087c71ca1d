//! Watching the configuration and the rules, and reading them again when they change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shared;

/// Editors write in several steps; what they do within this time is one change.
const SETTLE: Duration = Duration::from_millis(300);

/// Reads the configuration again whenever it, or a rule, has changed.
///
/// Folders are watched, not files: a mounted configuration map is replaced by swapping a link, and an editor by renaming.
pub(super) async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    let (changed, mut changes) = mpsc::channel(64);
    let mut watcher = match watcher(changed) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "failed to watch the configuration; reload it with SIGHUP");
            return stop.cancelled().await;
        }
    };
    let mut watched = BTreeSet::new();
    let mut known = content(&shared);
    loop {
        follow(&mut watcher, &mut watched, folders(&shared));
        tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => if change.is_none() { return },
        }
        tokio::time::sleep(SETTLE).await;
        while changes.try_recv().is_ok() {}
        let now = content(&shared);
        if std::mem::replace(&mut known, now) == now {
            continue;
        }
        // Why it was refused is told by the event, and the old one stays in force.
        drop(shared.reload().await);
    }
}

fn watcher(changed: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_change = |event: notify::Event| {
            !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| may_be_ours(path))
        };
        if event.is_ok_and(is_change) {
            // A full channel already holds a change that was not looked at yet.
            let _is_full = changed.try_send(());
        }
    })
}

/// Returns whether a change of this file may be a change of the configuration or a rule: the database may lie in the
/// same folder, and is written all the time. Links of mounted configuration maps begin with two dots.
fn may_be_ours(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    is_yaml || path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
}

/// Returns a digest of the configuration and of every rule.
fn content(shared: &Shared) -> [u8; 32] {
    let mut files = vec![shared.path.clone()];
    for folder in folders(shared) {
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        files.extend(entries.map(|entry| entry.path()).filter(|path| may_be_ours(path)));
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.as_os_str().as_encoded_bytes());
        // A file that cannot be read now is a change from one that could.
        hasher.update(&fs::read(&file).unwrap_or_default());
    }
    *hasher.finalize().as_bytes()
}

fn folders(shared: &Shared) -> BTreeSet<PathBuf> {
    let parent = shared.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut folders = BTreeSet::from([parent.to_owned()]);
    for pack in &shared.plan.load().config.rules {
        folders.extend(with_folders_below(&pack.path));
    }
    folders
}

fn with_folders_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<PathBuf> = below.flat_map(|entry| with_folders_below(&entry.path())).collect();
    folders.push(folder.to_owned());
    folders
}

fn follow(watcher: &mut RecommendedWatcher, watched: &mut BTreeSet<PathBuf>, wanted: BTreeSet<PathBuf>) {
    for gone in watched.difference(&wanted) {
        drop(watcher.unwatch(gone));
    }
    for new in wanted.difference(watched) {
        if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %new.display(), %error, "failed to watch a folder; reload with SIGHUP");
        }
    }
    *watched = wanted;
}
