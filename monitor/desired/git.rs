//! Reads a Git repository at one revision from its object database.
//!
//! There is no work tree and nothing in a repository is ever run or followed (I40): no hooks, filters, submodules,
//! symbolic links, LFS. A remote repository is kept as a bare clone, a local one is only read. Every function here
//! blocks.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::protocol::transport::client::blocking_io::http;
use gix::protocol::transport::client::blocking_io::http::options::FollowRedirects;
use gix::protocol::transport::client::blocking_io::http::reqwest as reqwest_backend;
use gix::protocol::transport::client::blocking_io::http::reqwest::ConfigureClientFn;
use gix::remote::fetch::refmap;
use gix::{credentials, progress, sec};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;

use driftwarden_core::resource::Touched;

use crate::desired::DesiredError;
use crate::desired::Skipped;
use crate::outbound;
use crate::secret::Secret;

/// How much is read at one revision.
const LIMITS: Limits = Limits { file: 10 << 20, bytes: 256 << 20, entries: 200_000, depth: 64 };
/// Commits that one question about history looks at.
const MAX_COMMITS: usize = 5_000;
/// Bytes that a clone may take on disk.
const MAX_CLONE: u64 = 2 << 30;
/// How long one fetch may take, in ticks of the watch.
const MAX_TICKS: u32 = 3_000;
const TICK: Duration = Duration::from_millis(100);
/// Packs after which a clone is made anew: each fetch leaves one.
const MAX_PACKS: usize = 200;

/// Where desired state is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `https`, `http`, `ssh` or `file` URL, or the path of a repository on this machine.
    pub url: String,
    /// Branch, tag or full name of a ref. The remote's default branch if not given.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    /// Folder (or file) in the repository that is read.
    #[serde(default)]
    pub path: String,
    /// How often to fetch.
    #[serde(default = "every_minute")]
    #[schemars(with = "String")]
    pub every: SignedDuration,
    /// User of HTTP basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// Password of HTTP basic authentication.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Bearer token, instead of user and password.
    #[serde(default)]
    pub token: Option<Secret>,
    /// File with the private key for `ssh`.
    #[serde(default)]
    pub ssh_key: Option<PathBuf>,
}

fn every_minute() -> SignedDuration {
    SignedDuration::from_mins(1)
}

/// How much is read at one revision.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes of one file.
    file: u64,
    /// Bytes of all files.
    bytes: u64,
    /// Entries of all trees below the path.
    entries: usize,
    /// Folders inside folders.
    depth: usize,
}

/// What a fetch found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit that the ref names now.
    pub revision: Arc<str>,
    /// Whether the commit before is an ancestor of this one. Without a commit before, it is.
    pub fast_forward: bool,
}

/// A file in a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path in the repository.
    pub path: Arc<str>,
    /// Id of its content.
    pub blob: ObjectId,
}

/// What stands in a revision.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files that may declare something.
    pub files: Vec<Entry>,
    /// What was not followed, and why.
    pub skipped: Vec<Skipped>,
}

/// A commit in the history of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The commit.
    pub revision: Arc<str>,
    /// When the one after it was committed.
    pub until: Timestamp,
}

/// A repository, local or cloned.
#[derive(Debug)]
pub struct Repository {
    config: Config,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Local(PathBuf),
    Remote { url: gix::Url, folder: PathBuf },
}

impl Repository {
    /// Returns the repository that the configuration names. Nothing is read or fetched yet.
    ///
    /// A clone is kept in a folder of its own below `cache`.
    pub fn open(config: Config, cache: &Path) -> Result<Self, DesiredError> {
        check_path(&config.path)?;
        if let Some(name) = &config.reference {
            check_reference(name)?;
        }
        let place = match local(&config.url)? {
            Some(path) => Place::Local(path),
            None => Place::Remote { url: remote(&config)?, folder: cache.join(folder_name(&config.url)) },
        };
        Ok(Self { config, place })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Fetches, where there is something to fetch from, and returns the commit that the ref names now.
    pub fn fetch(&self, previous: Option<&str>) -> Result<Fetched, DesiredError> {
        let (repo, id) = match &self.place {
            Place::Local(path) => {
                let repo = opened(path, options())?;
                let id = self.resolve_local(&repo)?;
                (repo, id)
            }
            Place::Remote { url, folder } => self.fetch_into(folder, url)?,
        };
        let commit = commit(&repo, id)?.id;
        let fast_forward = previous.is_none_or(|previous| is_ancestor(&repo, previous, commit));
        Ok(Fetched { revision: commit.to_string().into(), fast_forward })
    }

    /// Fetches into the clone, or into a new one that takes its place: one that fails leaves the old one.
    fn fetch_into(&self, folder: &Path, url: &gix::Url) -> Result<(gix::Repository, ObjectId), DesiredError> {
        let is_worn = is_worn(folder);
        let target = if is_worn { folder.with_extension("new") } else { folder.to_owned() };
        if is_worn && target.exists() {
            fs::remove_dir_all(&target).map_err(failed(format!("remove `{}`", target.display())))?;
        }
        let id = self.fetch_remote(&cloned(&target, clone_options(&self.config)?)?, url)?;
        if is_worn {
            fs::remove_dir_all(folder).map_err(failed(format!("remove `{}`", folder.display())))?;
            fs::rename(&target, folder).map_err(failed(format!("move `{}`", target.display())))?;
        }
        Ok((opened(folder, options())?, id))
    }

    /// Returns the commit that `text` names: an id or the beginning of one, a branch, a tag.
    pub fn resolve(&self, text: &str) -> Result<Arc<str>, DesiredError> {
        check_reference(text)?;
        let repo = self.repo()?;
        let id = repo.rev_parse_single(text).map_err(failed(format!("find revision `{text}`")))?.detach();
        Ok(commit(&repo, id)?.id.to_string().into())
    }

    /// Opens the repository to read objects.
    pub fn read(&self) -> Result<Objects<'_>, DesiredError> {
        Ok(Objects { repo: self.repo()?, path: self.config.path.trim_matches('/'), limits: LIMITS })
    }

    fn repo(&self) -> Result<gix::Repository, DesiredError> {
        match &self.place {
            Place::Local(folder) | Place::Remote { folder, .. } => opened(folder, options()),
        }
    }

    fn resolve_local(&self, repo: &gix::Repository) -> Result<ObjectId, DesiredError> {
        let Some(name) = &self.config.reference else {
            return Ok(repo.head_id().map_err(failed("find a commit at HEAD"))?.detach());
        };
        for candidate in candidates(name) {
            if let Some(mut found) =
                repo.try_find_reference(&candidate).map_err(failed(format!("read `{candidate}`")))?
            {
                return Ok(found.peel_to_id().map_err(failed(format!("resolve `{candidate}`")))?.detach());
            }
        }
        Err(no_reference(name))
    }

    fn fetch_remote(&self, repo: &gix::Repository, url: &gix::Url) -> Result<ObjectId, DesiredError> {
        let specs = self.refspecs();
        let remote = repo
            .remote_at_without_url_rewrite(url.clone())
            .and_then(|remote| {
                remote
                    .with_fetch_tags(gix::remote::fetch::Tags::None)
                    .with_refspecs(specs.iter().map(gix::bstr::BStr::new), gix::remote::Direction::Fetch)
            })
            .map_err(failed("prepare the fetch"))?;
        let mut connection = remote.connect(gix::remote::Direction::Fetch).map_err(failed("connect"))?;
        if let Some(options) = self.http_options(repo, url)? {
            connection.set_transport_options(Box::new(options));
        }
        let login = self.login()?;
        let own = url.clone();
        connection.set_credentials(move |action| answer(action, login.clone(), &own));
        let prepared = connection.prepare_fetch(progress::Discard, gix::remote::ref_map::Options::default());
        let prepared = prepared.map_err(failed(format!("list the refs of `{}`", self.config.url)))?;
        let packs = repo.common_dir().join("objects/pack");
        let outcome = watched(&packs, |interrupt| prepared.receive(progress::Discard, interrupt))
            .map_err(failed(format!("fetch `{}`", self.config.url)))?;
        named(&outcome.ref_map.mappings).ok_or_else(|| no_reference(self.config.reference.as_deref().unwrap_or("HEAD")))
    }

    /// Returns what is asked for: only the ref, as the branch or else the tag of that name.
    fn refspecs(&self) -> Vec<String> {
        let names = self.config.reference.as_deref().map_or_else(|| vec!["HEAD".to_owned()], candidates);
        names.iter().enumerate().map(|(at, name)| format!("+{name}:refs/driftwarden/{at}")).collect()
    }

    fn http_options(&self, repo: &gix::Repository, url: &gix::Url) -> Result<Option<http::Options>, DesiredError> {
        let text = url.to_bstring();
        let options =
            repo.transport_options(text.as_ref() as &gix::bstr::BStr, None).map_err(failed("prepare HTTP"))?;
        let Some(mut options) = options.and_then(|options| options.downcast::<http::Options>().ok()) else {
            return Ok(None);
        };
        if self.config.token.is_some() || self.config.password.is_some() {
            options.follow_redirects = FollowRedirects::None;
        }
        let is_plain = url.scheme == gix::url::Scheme::Http;
        if is_plain && !is_clear_text(&self.config.url) {
            // A proxy would be asked to reach its own loopback, and be told what was meant for ours.
            let configure_client: Option<Box<ConfigureClientFn>> = Some(Box::new(|client| Ok(client.no_proxy())));
            let backend = reqwest_backend::Options { configure_client, ..reqwest_backend::Options::default() };
            options.backend = Some(Arc::new(std::sync::Mutex::new(backend)));
        }
        if let Some(token) = &self.config.token {
            let token = token.read().map_err(failed("read the token"))?;
            options.extra_headers.push(format!("Authorization: Bearer {}", token.expose_secret()));
        }
        // The transport itself sends no password in clear text; on the way to this machine itself nobody listens.
        if let Some(login) = self.login()?.filter(|_| is_plain) {
            let pair = BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password));
            options.extra_headers.push(format!("Authorization: Basic {pair}"));
        }
        Ok(Some(*options))
    }

    fn login(&self) -> Result<Option<sec::identity::Account>, DesiredError> {
        let Some(password) = &self.config.password else { return Ok(None) };
        let password = password.read().map_err(failed("read the password"))?.expose_secret().to_owned();
        // Hosting services take any user name beside a token.
        let username = self.config.username.clone().unwrap_or_else(|| "git".to_owned());
        Ok(Some(sec::identity::Account { username, password, oauth_refresh_token: None }))
    }
}

/// Returns whether what is sent to a repository can be read on its way.
fn is_clear_text(url: &str) -> bool {
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    parsed.as_ref().is_some_and(outbound::is_clear_text)
}

/// The objects of a repository.
pub struct Objects<'a> {
    repo: gix::Repository,
    path: &'a str,
    limits: Limits,
}

impl Objects<'_> {
    /// Returns the files below the configured path at a revision, in order of their paths.
    pub fn list(&self, revision: &str) -> Result<Listing, DesiredError> {
        let root = commit(&self.repo, parsed(revision)?)?.tree_id().map_err(failed("read the commit"))?.detach();
        let Some((kind, id)) = self.lookup(root, self.path)? else {
            return Err(DesiredError::Limit { why: format!("there is no `{}` in {}", self.path, short(revision)) });
        };
        let mut walk =
            Walk { repo: &self.repo, limits: self.limits, listing: Listing::default(), entries: 0, bytes: 0 };
        match kind {
            EntryKind::Tree => walk.tree(id, self.path)?,
            _ => walk.entry(kind, id, self.path.to_owned())?,
        }
        walk.listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(walk.listing)
    }

    /// Returns the content of a file.
    pub fn content(&self, entry: &Entry) -> Result<Vec<u8>, DesiredError> {
        let mut blob = self.repo.find_blob(entry.blob).map_err(failed(format!("read `{}`", entry.path)))?;
        Ok(blob.take_data())
    }

    /// Returns the file at a path in a revision, if there is one.
    pub fn file(&self, revision: ObjectId, path: &str) -> Result<Option<Entry>, DesiredError> {
        let root = commit(&self.repo, revision)?.tree_id().map_err(failed("read the commit"))?.detach();
        let found = self.lookup(root, path)?;
        let is_file = |kind: &EntryKind| matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable);
        Ok(found.filter(|(kind, _)| is_file(kind)).map(|(_, blob)| Entry { path: path.into(), blob }))
    }

    /// Returns the newest commit, at or before `revision`, that made something what it is: `state` differs in all of
    /// its parents. Nothing, if it is too long ago.
    pub fn last_change<T: PartialEq>(
        &self,
        revision: &str,
        mut state: impl FnMut(ObjectId) -> Result<T, DesiredError>,
    ) -> Result<Option<Touched>, DesiredError> {
        let mut id = parsed(revision)?;
        let mut now = state(id)?;
        'commits: for _ in 0..MAX_COMMITS {
            for parent in commit(&self.repo, id)?.parent_ids().map(gix::Id::detach).collect::<Vec<_>>() {
                let before = state(parent)?;
                if before == now {
                    (id, now) = (parent, before);
                    continue 'commits;
                }
            }
            return self.touched(id).map(Some);
        }
        Ok(None)
    }

    /// Returns the commits that made the configured path what it was before `revision`, newest first, along first
    /// parents: one for each state that differs from the one after it.
    pub fn earlier(&self, revision: &str, limit: usize, within: SignedDuration) -> Result<Vec<Past>, DesiredError> {
        let mut past = Vec::new();
        let mut id = parsed(revision)?;
        let oldest = committed(&commit(&self.repo, id)?)? - within;
        let mut state = self.state(id)?;
        let mut until = None;
        for _ in 0..MAX_COMMITS {
            let commit = commit(&self.repo, id)?;
            let parent = commit.parent_ids().next().map(gix::Id::detach);
            let before = parent.map(|parent| self.state(parent)).transpose()?;
            if before.as_ref() != Some(&state) {
                let at = committed(&commit)?;
                past.extend(until.map(|until| Past { revision: id.to_string().into(), until }));
                until = Some(at);
                if past.len() == limit || at < oldest {
                    break;
                }
            }
            let (Some(parent), Some(before)) = (parent, before) else { break };
            (id, state) = (parent, before);
        }
        Ok(past)
    }

    /// Returns the id of what stands at the configured path.
    fn state(&self, id: ObjectId) -> Result<Option<ObjectId>, DesiredError> {
        let root = commit(&self.repo, id)?.tree_id().map_err(failed("read the commit"))?.detach();
        Ok(self.lookup(root, self.path)?.map(|(_, id)| id))
    }

    fn lookup(&self, root: ObjectId, path: &str) -> Result<Option<(EntryKind, ObjectId)>, DesiredError> {
        let mut found = (EntryKind::Tree, root);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if found.0 != EntryKind::Tree {
                return Ok(None);
            }
            let tree = self.repo.find_tree(found.1).map_err(failed(format!("read folder `{path}`")))?;
            let tree = tree.decode().map_err(failed(format!("read folder `{path}`")))?;
            let Some(entry) = tree.entries.iter().find(|entry| entry.filename == part) else { return Ok(None) };
            found = (entry.mode.kind(), entry.oid.to_owned());
        }
        Ok(Some(found))
    }

    fn touched(&self, id: ObjectId) -> Result<Touched, DesiredError> {
        let commit = commit(&self.repo, id)?;
        let author = commit.author().map_err(failed("read the author"))?;
        let clean = |text: &gix::bstr::BStr| text.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
        let (name, email): (String, String) = (clean(author.name), clean(author.email));
        Ok(Touched {
            commit: id.to_string().into(),
            author: format!("{name} <{email}>").into(),
            at: committed(&commit)?,
        })
    }
}

/// A walk over trees, with what it has seen so far.
struct Walk<'a> {
    repo: &'a gix::Repository,
    limits: Limits,
    listing: Listing,
    entries: usize,
    bytes: u64,
}

impl Walk<'_> {
    /// Walks without recursion: the depth of a hostile repository must not become the depth of our stack.
    fn tree(&mut self, id: ObjectId, path: &str) -> Result<(), DesiredError> {
        let mut folders = vec![(id, path.to_owned(), 0)];
        while let Some((id, path, depth)) = folders.pop() {
            if depth > self.limits.depth {
                return Err(limit(format!("folders are nested deeper than {}", self.limits.depth)));
            }
            let tree = self.repo.find_tree(id).map_err(failed(format!("read folder `{path}`")))?;
            let tree = tree.decode().map_err(failed(format!("read folder `{path}`")))?;
            self.entries += tree.entries.len();
            if self.entries > self.limits.entries {
                return Err(limit(format!("there are more than {} files", self.limits.entries)));
            }
            for entry in &tree.entries {
                let Some(name) = usable(entry.filename) else {
                    let name = entry.filename.to_string().escape_default().take(100).collect::<String>();
                    self.skip(format!("{path}/{name}"), "not a name of a file");
                    continue;
                };
                let inner = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                match entry.mode.kind() {
                    EntryKind::Tree => folders.push((entry.oid.to_owned(), inner, depth + 1)),
                    kind => self.entry(kind, entry.oid.to_owned(), inner)?,
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, kind: EntryKind, id: ObjectId, path: String) -> Result<(), DesiredError> {
        match kind {
            EntryKind::Link => self.skip(path, "symbolic links are not followed"),
            EntryKind::Commit => self.skip(path, "submodules are not followed"),
            EntryKind::Tree => {}
            EntryKind::Blob | EntryKind::BlobExecutable if !is_candidate(&path) => {}
            EntryKind::Blob | EntryKind::BlobExecutable => {
                let size = self.repo.find_header(id).map_err(failed(format!("read `{path}`")))?.size();
                self.bytes += size;
                if size > self.limits.file {
                    return Err(limit(format!("`{path}` has more than {} bytes", self.limits.file)));
                }
                if self.bytes > self.limits.bytes {
                    return Err(limit(format!("all files together have more than {} bytes", self.limits.bytes)));
                }
                self.listing.files.push(Entry { path: path.into(), blob: id });
            }
        }
        Ok(())
    }

    fn skip(&mut self, file: String, reason: &str) {
        self.listing.skipped.push(Skipped { file: file.into(), line: 1, reason: reason.into() });
    }
}

fn is_candidate(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Returns the name of an entry, unless it is one that a file system would take for something else.
fn usable(name: &gix::bstr::BStr) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let bad = name.is_empty() || name == "." || name == ".." || name.eq_ignore_ascii_case(".git");
    (!bad && !name.contains(['/', '\\', '\0']) && !name.chars().any(char::is_control)).then_some(name)
}

/// Returns the path of a repository on this machine, or nothing for one that is elsewhere.
fn local(url: &str) -> Result<Option<PathBuf>, DesiredError> {
    if url.starts_with("file:") {
        let path = url::Url::parse(url).ok().and_then(|url| url.to_file_path().ok());
        return path.map(Some).ok_or_else(|| config("`url` is not a file URL of this machine: write file:///path"));
    }
    let is_elsewhere = url.contains("://") || url.contains("::") || is_scp_like(url);
    Ok((!is_elsewhere).then(|| PathBuf::from(url)))
}

/// Returns whether the text is `host:path`, which means `ssh`.
fn is_scp_like(url: &str) -> bool {
    url.split('/').next().is_some_and(|host| host.contains(':'))
}

/// Returns the URL of a remote repository, if it is of a sort that is allowed. What is refused is not repeated in the
/// error: there may be a password in it.
fn remote(config_: &Config) -> Result<gix::Url, DesiredError> {
    let text = config_.url.as_str();
    let names_a_helper = text.split("://").next().is_some_and(|scheme| scheme.contains("::"));
    if names_a_helper || text.starts_with('-') || text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(config("`url` is not allowed: use https, http, ssh, file or a path"));
    }
    let url = gix::url::parse(text).map_err(failed("parse `url`"))?;
    if url.password().is_some() {
        return Err(config("`url` holds a password: write `password: ${env:NAME}` instead"));
    }
    match url.scheme {
        gix::url::Scheme::Https | gix::url::Scheme::Http => {
            if url.user().is_some() || text.contains(['?', '#']) {
                return Err(config("`url` holds a user or a query: write `username` and `password` instead"));
            }
        }
        gix::url::Scheme::Ssh => {
            if url.host().is_none_or(|host| host.starts_with('-'))
                || url.user().is_some_and(|user| user.starts_with('-'))
            {
                return Err(config("`url` names no host"));
            }
        }
        _ => return Err(config("`url` is not allowed: use https, http, ssh, file or a path")),
    }
    if config_.token.is_some() && config_.password.is_some() {
        return Err(config("`token` and `password` are both given"));
    }
    let secrets = [("token", config_.token.is_some()), ("password", config_.password.is_some())];
    match secrets.into_iter().find(|(_, is_given)| *is_given) {
        Some((key, _)) if is_clear_text(text) => Err(DesiredError::ClearText(key)),
        Some((key, _)) if url.scheme == gix::url::Scheme::Ssh => {
            Err(config(&format!("`{key}` is only sent over https: give `ssh_key` instead")))
        }
        _ => Ok(url),
    }
}

fn folder_name(url: &str) -> String {
    blake3::hash(url.as_bytes()).to_hex().chars().take(16).collect()
}

/// Refuses what could lead out of a repository.
fn check_path(path: &str) -> Result<(), DesiredError> {
    let bad = path.split('/').any(|part| part == ".." || part == ".");
    if bad || path.starts_with('/') || path.contains(['\\', '\0']) {
        return Err(config("`path` must be a folder in the repository, without `.` or `..`"));
    }
    Ok(())
}

/// Refuses what is no name of a ref: `refs/heads/../../config`, `--upload-pack=x`, `main:main`.
fn check_reference(name: &str) -> Result<(), DesiredError> {
    let valid = !name.starts_with('-') && gix::validate::reference::name_partial(name.into()).is_ok();
    valid.then_some(()).ok_or_else(|| config("`ref` is not the name of a branch, tag or commit"))
}

/// Returns the full names that a name may be short for, in the order in which they are tried.
fn candidates(name: &str) -> Vec<String> {
    match name {
        "HEAD" => vec![name.to_owned()],
        _ if name.starts_with("refs/") => vec![name.to_owned()],
        _ => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
    }
}

/// Returns the options of every repository: its own configuration and nothing of the machine's, except for the
/// proxy of the environment.
fn options() -> gix::open::Options {
    let mut permissions = gix::open::Permissions::isolated();
    permissions.env.http_transport = sec::Permission::Allow;
    // Replacements would let a commit id stand for another content.
    gix::open::Options::default().permissions(permissions).config_overrides(["core.useReplaceRefs=false"])
}

/// Returns the options of a clone: those of every repository, and how `ssh` is called. It never asks anybody.
fn clone_options(config_: &Config) -> Result<gix::open::Options, DesiredError> {
    let mut command = "core.sshCommand=ssh -o BatchMode=yes -o ConnectTimeout=20".to_owned();
    if let Some(key) = &config_.ssh_key {
        let key = key.to_str().filter(|key| !key.contains(['\'', '"', '\\', '\n']));
        let key = key.ok_or_else(|| config("`ssh_key` must be a path without quotes"))?;
        command = format!("{command} -o IdentitiesOnly=yes -i '{key}'");
    }
    Ok(options().config_overrides(["core.useReplaceRefs=false", &command, "ssh.variant=ssh"]))
}

fn opened(path: &Path, options: gix::open::Options) -> Result<gix::Repository, DesiredError> {
    let opened = options.open(path).map_err(failed(format!("open repository `{}`", path.display())))?;
    let mut repo = opened.to_thread_local();
    repo.object_cache_size(4 << 20);
    Ok(repo)
}

/// Returns the clone in `folder`, which is made if there is none.
fn cloned(folder: &Path, options: gix::open::Options) -> Result<gix::Repository, DesiredError> {
    if !folder.join("HEAD").exists() {
        fs::create_dir_all(folder).map_err(failed(format!("create `{}`", folder.display())))?;
        let create = gix::create::Options::default();
        gix::ThreadSafeRepository::init_opts(folder, gix::create::Kind::Bare, create, options.clone())
            .map_err(failed(format!("create repository `{}`", folder.display())))?;
    }
    opened(folder, options)
}

/// Returns whether a clone has collected so many packs, or so much of what was never finished, that it is made anew.
fn is_worn(folder: &Path) -> bool {
    let packs = folder.join("objects/pack");
    let count = fs::read_dir(&packs).map_or(0, Iterator::count);
    count > 3 * MAX_PACKS || size_of(&packs) > MAX_CLONE / 2
}

/// Answers what a transport asks about credentials: ours, to our host, and nothing else.
fn answer(
    action: credentials::helper::Action,
    login: Option<sec::identity::Account>,
    own: &gix::Url,
) -> Result<Option<credentials::protocol::Outcome>, gix::Error> {
    let refused = |why: &str| gix::Error::from_error(std::io::Error::other(why.to_owned()));
    let credentials::helper::Action::Get(context) = action else { return Ok(None) };
    let asked = context.url.as_ref().and_then(|url| gix::url::parse(url).ok());
    let server = |url: &gix::Url| (url.scheme.clone(), url.host().map(str::to_owned), url.port_or_default());
    if asked.as_ref().map(server) != Some(server(own)) {
        return Err(refused("another server than the configured one asks for the login"));
    }
    let identity = login.ok_or_else(|| refused("the server asks for a login, and none is configured"))?;
    Ok(Some(credentials::protocol::Outcome { identity, next: context.into() }))
}

/// Returns the commit or tag that the first matching refspec found.
fn named(mappings: &[refmap::Mapping]) -> Option<ObjectId> {
    let place = |mapping: &&refmap::Mapping| match mapping.spec_index {
        refmap::SpecIndex::ExplicitInRemote(at) => at,
        refmap::SpecIndex::Implicit(_) => usize::MAX,
    };
    mappings.iter().min_by_key(place).and_then(|mapping| mapping.remote.as_id()).map(ToOwned::to_owned)
}

/// Runs `work` and interrupts it when it takes too long or too much of the disk.
fn watched<T>(packs: &Path, work: impl FnOnce(&AtomicBool) -> T) -> T {
    let interrupt = AtomicBool::new(false);
    let (done, end) = channel();
    thread::scope(|scope| {
        let stop = &interrupt;
        scope.spawn(move || watch(packs, &end, stop));
        let result = work(&interrupt);
        drop(done);
        result
    })
}

fn watch(packs: &Path, end: &Receiver<()>, interrupt: &AtomicBool) {
    for tick in 0.. {
        if end.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        if tick > MAX_TICKS || tick % 10 == 0 && size_of(packs) > MAX_CLONE {
            interrupt.store(true, Ordering::Relaxed);
        }
    }
}

fn size_of(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder) else { return 0 };
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn is_ancestor(repo: &gix::Repository, previous: &str, commit: ObjectId) -> bool {
    let Ok(previous) = ObjectId::from_hex(previous.as_bytes()) else { return false };
    previous == commit || repo.merge_base(previous, commit).is_ok_and(|base| base.is_some_and(|base| base == previous))
}

fn commit(repo: &gix::Repository, id: ObjectId) -> Result<gix::Commit<'_>, DesiredError> {
    repo.find_object(id).and_then(gix::Object::peel_to_commit).map_err(failed(format!("read commit {id}")))
}

fn committed(commit: &gix::Commit<'_>) -> Result<Timestamp, DesiredError> {
    let seconds = commit.time().map_err(failed("read the time of a commit"))?.seconds;
    Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Returns the id that a text of forty digits is.
pub(super) fn parsed(revision: &str) -> Result<ObjectId, DesiredError> {
    ObjectId::from_hex(revision.as_bytes()).map_err(failed(format!("parse commit id `{revision}`")))
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}

fn failed<E: Into<Box<dyn Error + Send + Sync>>>(action: impl Into<String>) -> impl FnOnce(E) -> DesiredError {
    move |source| DesiredError::Repository { action: action.into(), source: source.into() }
}

fn no_reference(name: &str) -> DesiredError {
    limit(format!("there is no branch or tag `{name}`"))
}

fn limit(why: String) -> DesiredError {
    DesiredError::Limit { why }
}

fn config(why: &str) -> DesiredError {
    DesiredError::Config { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::fixture::{Fixture, git_config};

    fn opens(url: &str) -> Result<Repository, DesiredError> {
        Repository::open(git_config(url), Path::new("/nowhere"))
    }

    #[test]
    fn only_known_sorts_of_urls_are_allowed() {
        for url in [
            "https://git.example/a.git",
            "http://127.0.0.1:3000/a",
            "ssh://git@git.example/a.git",
            "git@git.example:a/b.git",
        ] {
            assert!(matches!(opens(url).unwrap().place, Place::Remote { .. }), "{url}");
        }
        for url in ["/srv/git/a.git", "a/b", "file:///srv/git/a.git"] {
            assert!(matches!(opens(url).unwrap().place, Place::Local(_)), "{url}");
        }
        for url in [
            "ext::sh -c touch% /tmp/x",
            "git://git.example/a",
            "ftp://git.example/a",
            "javascript://x/a",
            "file://elsewhere/a",
            "-oProxyCommand=x:a",
            "ssh://-oProxyCommand=x/a",
            "https://user:hunter2@git.example/a",
            "https://hunter2@git.example/a",
            "https://git.example/a?token=hunter2",
            "ext::sh",
            "https::a",
            "fd::17",
            "ssh://-x/a",
            "ssh://",
            "https://",
            "ssh://git:hunter2@git.example/a",
        ] {
            let error = opens(url).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn neither_token_nor_password_is_sent_in_clear_text() {
        let secret = || Secret::parse("${env:TOKEN}").ok();
        let opens = |config: Config| Repository::open(config, Path::new("/nowhere")).map(drop);
        for url in ["https://git.example/a", "http://127.0.0.1:3000/a", "http://[::1]/a", "http://localhost/a"] {
            opens(Config { token: secret(), ..git_config(url) }).unwrap();
            opens(Config { password: secret(), ..git_config(url) }).unwrap();
        }
        for url in ["http://git.example/a", "http://127.0.0.1.example/a", "http://10.0.0.7:3000/a"] {
            let token = opens(Config { token: secret(), ..git_config(url) });
            let password = opens(Config { password: secret(), ..git_config(url) });
            assert!(matches!(
                (token, password),
                (Err(DesiredError::ClearText("token")), Err(DesiredError::ClearText("password")))
            ));
            opens(git_config(url)).unwrap();
        }
        assert!(opens(Config { token: secret(), ..git_config("ssh://git@git.example/a") }).is_err());
    }

    #[test]
    fn only_names_of_refs_are_asked_for() {
        for (name, valid) in [
            ("main", true),
            ("release/1.2", true),
            ("refs/heads/main", true),
            ("refs/heads/../../config", false),
            ("--upload-pack=touch /tmp/x", false),
            ("main:refs/heads/x", false),
            ("+main", true),
            ("a b", false),
            ("a..b", false),
            ("@{u}", false),
            ("", false),
        ] {
            let config = Config { reference: Some(name.to_owned()), ..git_config("/x") };
            assert_eq!(Repository::open(config, Path::new("/nowhere")).is_ok(), valid, "{name}");
        }
    }

    fn fetched(fixture: &Fixture, reference: Option<&str>, previous: Option<&str>) -> Result<Fetched, DesiredError> {
        let reference = reference.map(str::to_owned);
        let config = Config { reference, ..git_config(fixture.path().to_str().unwrap()) };
        Repository::open(config, fixture.path())?.fetch(previous)
    }

    #[test]
    fn a_fetch_finds_the_commit_of_the_ref() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a", "1")]);
        let side = fixture.commit_tree(fixture.tree(&[("a", "2")]), &[], "side");
        fs::write(fixture.path().join("refs/tags/v1"), &first).unwrap();
        let revision = |name| fetched(&fixture, name, None).unwrap().revision;
        assert_eq!(*revision(None), *first);
        assert_eq!(*revision(Some("main")), *first);
        assert_eq!(*revision(Some("side")), *side);
        assert_eq!(*revision(Some("v1")), *first);
        assert_eq!(*revision(Some("refs/heads/side")), *side);
        let error = fetched(&fixture, Some("gone"), None).unwrap_err().to_string();
        assert_eq!(error, "invalid revision: there is no branch or tag `gone`");
    }

    #[test]
    fn a_rewritten_branch_is_no_fast_forward() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a", "1")]);
        let second = fixture.commit(&[("a", "2")]);
        let is_forward = |previous: &str| fetched(&fixture, None, Some(previous)).unwrap().fast_forward;
        assert!(is_forward(&first) && is_forward(&second));
        fixture.set("main", ObjectId::from_hex(first.as_bytes()).unwrap());
        assert!(!is_forward(&second));
        assert!(!is_forward(&"1".repeat(40)) && !is_forward("x"));
    }

    #[test]
    fn a_repository_without_commits_is_an_error() {
        let fixture = Fixture::new();
        assert_eq!(fetched(&fixture, None, None).unwrap_err().to_string(), "failed to find a commit at HEAD");
        let nowhere = Repository::open(git_config("/nowhere/at/all"), Path::new("/nowhere")).unwrap();
        assert!(nowhere.fetch(None).is_err());
    }

    #[test]
    fn a_revision_is_found_by_what_people_write() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a", "1")]);
        let repository = opens(fixture.path().to_str().unwrap()).unwrap();
        for text in [first.as_str(), first.get(..10).unwrap(), "main", "refs/heads/main", "HEAD"] {
            assert_eq!(*repository.resolve(text).unwrap(), *first, "{text}");
        }
        assert!(repository.resolve("--help").is_err() && repository.resolve("main:a").is_err());
    }

    fn listed(fixture: &Fixture, tree: ObjectId) -> Result<Vec<String>, DesiredError> {
        let revision = fixture.commit_tree(tree, &[], "main");
        let repository = opens(fixture.path().to_str().unwrap()).unwrap();
        let listing = repository.read()?.list(&revision)?;
        let files = listing.files.iter().map(|entry| entry.path.to_string());
        Ok(files.chain(listing.skipped.iter().map(|s| format!("-{} {}", s.file, s.reason))).collect())
    }

    #[test]
    fn nothing_that_leads_elsewhere_is_followed() {
        let fixture = Fixture::new();
        let (link, blob) = (fixture.blob("/etc/passwd"), fixture.blob("a: 1"));
        let commit = ObjectId::from_hex(&[b'1'; 40]).unwrap();
        let tree = fixture.raw_tree(&[
            (EntryKind::Link, "link.yaml", link),
            (EntryKind::Link, "folder", fixture.blob("../..")),
            (EntryKind::Commit, "module", commit),
            (EntryKind::Blob, ".gitmodules", blob),
            (EntryKind::Blob, "good.yaml", blob),
            (EntryKind::BlobExecutable, "run.yml", blob),
            (EntryKind::Blob, "run.sh", blob),
        ]);
        assert_eq!(
            listed(&fixture, tree).unwrap(),
            [
                "good.yaml",
                "run.yml",
                "-folder symbolic links are not followed",
                "-link.yaml symbolic links are not followed",
                "-module submodules are not followed",
            ]
        );
    }

    #[test]
    fn names_that_a_file_system_would_take_for_something_else_are_not_read() {
        let fixture = Fixture::new();
        let blob = fixture.blob("a: 1");
        let inner = fixture.raw_tree(&[(EntryKind::Blob, "x.yaml", blob)]);
        for name in
            ["..", ".", ".git", ".GIT", "a/b.yaml", "../a.yaml", "/etc", "a\\b.yaml", "a\nb.yaml", "\u{1b}[2Jb.yaml"]
        {
            let tree = fixture.raw_tree(&[(EntryKind::Tree, name, inner)]);
            let got = listed(&fixture, tree).unwrap();
            assert!(got.len() == 1 && got[0].ends_with(" not a name of a file"), "{got:?}");
            assert!(!got[0].contains(['\n', '\u{1b}']), "{got:?}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let fixture = Fixture::new();
        let repository = opens(fixture.path().to_str().unwrap()).unwrap();
        let why = |tree| {
            let revision = fixture.commit_tree(tree, &[], "main");
            let limits = Limits { file: 100, bytes: 250, entries: 1000, depth: 8 };
            let objects = Objects { limits, ..repository.read().unwrap() };
            objects.list(&revision).map_or_else(|error| error.to_string(), |_| "read".to_owned())
        };
        let (small, big) = (fixture.blob("a: 1"), fixture.blob("x".repeat(101)));
        assert_eq!(
            why(fixture.raw_tree(&[(EntryKind::Blob, "big.yaml", big)])),
            "invalid revision: `big.yaml` has more than 100 bytes"
        );
        assert_eq!(why(fixture.raw_tree(&[(EntryKind::Blob, "big.bin", big)])), "read");

        let names: Vec<_> = (0..70).map(|n| format!("{n}.yaml")).collect();
        let many: Vec<_> = names.iter().map(|name| (EntryKind::Blob, name.as_str(), small)).collect();
        assert_eq!(why(fixture.raw_tree(&many)), "invalid revision: all files together have more than 250 bytes");

        let leaf = fixture.raw_tree(&[(EntryKind::Blob, "a.yaml", small)]);
        let nested = |depth| (0..depth).fold(leaf, |tree, _| fixture.raw_tree(&[(EntryKind::Tree, "d", tree)]));
        assert_eq!(why(nested(8)), "read");
        assert_eq!(why(nested(9)), "invalid revision: folders are nested deeper than 8");

        // Ten folders that are one and the same, five times inside each other: 10^5 files in six objects.
        let empty = fixture.raw_tree(&[(EntryKind::Blob, "a", small)]);
        let bomb = (0..5).fold(empty, |tree, _| {
            let names: Vec<_> = (0..10).map(|n| format!("d{n}")).collect();
            let entries: Vec<_> = names.iter().map(|name| (EntryKind::Tree, name.as_str(), tree)).collect();
            fixture.raw_tree(&entries)
        });
        assert_eq!(why(bomb), "invalid revision: there are more than 1000 files");
    }

    #[test]
    fn what_is_missing_or_of_another_sort_is_an_error() {
        let fixture = Fixture::new();
        let blob = fixture.blob("a: 1");
        let nowhere = ObjectId::from_hex(&[b'a'; 40]).unwrap();
        for tree in [
            fixture.raw_tree(&[(EntryKind::Blob, "a.yaml", nowhere)]),
            fixture.raw_tree(&[(EntryKind::Tree, "d", nowhere)]),
            fixture.raw_tree(&[(EntryKind::Tree, "d", blob)]),
            nowhere,
            blob,
        ] {
            assert!(listed(&fixture, tree).is_err(), "{tree}");
        }
        fixture.set("main", blob);
        assert!(fetched(&fixture, None, None).is_err());
        fs::write(fixture.path().join("refs/heads/main"), "ref: refs/heads/main\n").unwrap();
        assert!(fetched(&fixture, None, None).is_err());
        fs::write(fixture.path().join("refs/heads/main"), "\0").unwrap();
        assert!(fetched(&fixture, None, None).is_err());
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_followed() {
        let fixture = Fixture::new();
        let (link, commit) = (fixture.blob("/etc"), ObjectId::from_hex(&[b'1'; 40]).unwrap());
        let tree = fixture.raw_tree(&[(EntryKind::Link, "prod", link), (EntryKind::Commit, "module", commit)]);
        let revision = fixture.commit_tree(tree, &[], "main");
        let listing = |path: &str| {
            let config = Config { path: path.to_owned(), ..git_config(fixture.path().to_str().unwrap()) };
            Repository::open(config, fixture.path()).unwrap().read().unwrap().list(&revision)
        };
        for path in ["prod", "module"] {
            let listing = listing(path).unwrap();
            assert_eq!((listing.files.len(), listing.skipped.len()), (0, 1), "{path}");
        }
        assert!(listing("prod/passwd").is_err() && listing("module/a").is_err());
    }

    #[test]
    fn a_commit_with_nonsense_in_it_can_be_told() {
        let fixture = Fixture::new();
        let tree = fixture.tree(&[("a.yaml", "a: 1")]);
        let text = format!(
            "tree {tree}\nauthor \u{1b}[31mEve\u{7} <e@x> 99999999999999 +9999\ncommitter x <x> 99999999999999 +0000\n\n{}",
            "m".repeat(1 << 20)
        );
        let id = gix::objs::Write::write_buf(&fixture.repo.objects, gix::objs::Kind::Commit, text.as_bytes()).unwrap();
        let repository = opens(fixture.path().to_str().unwrap()).unwrap();
        let objects = repository.read().unwrap();
        let touched = objects.last_change(&id.to_string(), |_| Ok(())).unwrap().unwrap();
        assert_eq!((&*touched.author, touched.at), ("[31mEve <e@x>", Timestamp::UNIX_EPOCH));
        assert_eq!(objects.list(&id.to_string()).unwrap().files.len(), 1);
    }

    #[test]
    fn replaced_objects_are_not_used() {
        let fixture = Fixture::new();
        let first = fixture.commit(&[("a.yaml", "a: 1")]);
        let other = fixture.commit_tree(fixture.tree(&[("b.yaml", "b: 1")]), &[], "other");
        fs::create_dir_all(fixture.path().join("refs/replace")).unwrap();
        fs::write(fixture.path().join("refs/replace").join(&first), &other).unwrap();
        let repository = opens(fixture.path().to_str().unwrap()).unwrap();
        let listing = repository.read().unwrap().list(&first).unwrap();
        assert_eq!(&*listing.files[0].path, "a.yaml");
    }

    #[test]
    fn a_login_is_told_to_no_other_host() {
        let login =
            sec::identity::Account { username: "u".to_owned(), password: "p".to_owned(), oauth_refresh_token: None };
        let own = gix::url::parse("https://git.example/a.git").unwrap();
        let asked = |url: &str| {
            let action = credentials::helper::Action::get_for_url(url);
            answer(action, Some(login.clone()), &own).is_ok()
        };
        assert!(asked("https://git.example/a.git") && asked("https://git.example:443/b.git"));
        for url in
            ["https://evil.example/a.git", "http://127.0.0.1/", "http://git.example/a", "https://git.example:8/a"]
        {
            assert!(!asked(url), "{url}");
        }
    }
}
