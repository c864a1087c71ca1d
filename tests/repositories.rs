//! Desired state from a Git server that other people wrote, behind a password.

use std::error::Error;
use std::sync::Arc;

use driftwarden::desired::Source;
use driftwarden_core::resource::{Desired, Scope};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::http::Answer;
use crate::harness::http::Server;
use crate::harness::process;

const PASSWORD: &str = "correct-horse";

/// Returns a source that logs in with what stands in a file of `folder`.
fn source(git: &GitServer, folder: &TempDir, password: &str) -> Source {
    // The daemon does this when it starts.
    rustls::crypto::ring::default_provider().install_default().ok();
    let file = folder.path().join("password");
    std::fs::write(&file, password).unwrap();
    let config = json!({"name": "infra", "clouds": ["prod"], "git": {"url": git.url(), "ref": "main", "path": "prod",
        "username": "ci", "password": format!("${{file:{}}}", file.display())}});
    Source::open(serde_json::from_value(config).unwrap(), &folder.path().join("cache")).unwrap()
}

/// Returns who last changed a resource in the repository.
fn touched(source: &Source, desired: &Desired) -> String {
    let account: Arc<str> = "-".into();
    let scope =
        Scope { cloud: "prod".into(), provider: desired.provider, account: Arc::clone(&account), region: account };
    let id = scope.id(&desired.kind, desired.name.as_deref().unwrap());
    source.touched(&desired.origin, &id).unwrap().unwrap().author.to_string()
}

fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source))).unwrap_or_default();
    format!("{error}{source}")
}

#[test]
fn the_estate_is_read_at_each_commit() {
    let Some(git) = GitServer::start("ci", PASSWORD) else { return };
    let (mut aws, objects) = (estate::aws(), estate::kubernetes());
    let first = estate::commit(&git, "ann", &aws, &objects);
    let folder = process::folder();
    let source = source(&git, &folder, PASSWORD);
    let fetched = source.fetch(None).unwrap();
    assert_eq!(*fetched.revision, *first);
    let set = source.load(&first).unwrap();
    assert_eq!(set.resources.len(), 240, "{:?}", set.skipped);
    assert_eq!(set.templates().count(), 1);
    let timeout = |set: &driftwarden::desired::set::DesiredSet| {
        let queue = set.resources.iter().find(|desired| desired.name.as_deref() == Some("jobs-05")).unwrap();
        (queue.attributes["VisibilityTimeout"].clone(), touched(&source, queue))
    };
    assert_eq!(timeout(&set), (json!(30), "ann <ann@example.org>".to_owned()));

    let queue = aws.iter_mut().find(|declared| declared.name == "jobs-05").unwrap();
    queue.spec["VisibilityTimeout"] = json!(60);
    let second = estate::commit(&git, "bob", &aws, &objects);
    let fetched = source.fetch(Some(&first)).unwrap();
    assert_eq!((&*fetched.revision, fetched.fast_forward), (second.as_str(), true));
    assert_eq!(timeout(&source.load(&second).unwrap()), (json!(60), "bob <bob@example.org>".to_owned()));
    assert_eq!(timeout(&source.load(&first).unwrap()), (json!(30), "ann <ann@example.org>".to_owned()));
}

#[test]
fn a_rewritten_branch_is_no_fast_forward() {
    let Some(git) = GitServer::start("ci", PASSWORD) else { return };
    let folder = process::folder();
    let file = |text| [("prod/a.yaml", text)];
    git.commit("ann", "one", &file("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"));
    let second = git.commit("ann", "two", &file("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}"));
    let source = source(&git, &folder, PASSWORD);
    source.fetch(None).unwrap();
    git.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let other = git.commit("bob", "other", &file("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"));
    let fetched = source.fetch(Some(&second)).unwrap();
    assert_eq!((&*fetched.revision, fetched.fast_forward), (other.as_str(), false));
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_tell_it() {
    let Some(git) = GitServer::start("ci", PASSWORD) else { return };
    git.commit("ann", "begin", &[("prod/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")]);
    let folder = process::folder();
    let error = source(&git, &folder, "wrong-canary").fetch(None).unwrap_err();
    assert!(!chain(&error).contains("canary"), "{}", chain(&error));
}

/// Returns a source that shows a token, or logs in with a password, to what stands at `url`.
fn source_at(url: &str, folder: &TempDir, key: &str) -> Source {
    rustls::crypto::ring::default_provider().install_default().ok();
    let file = folder.path().join("secret");
    std::fs::write(&file, PASSWORD).unwrap();
    let mut git = json!({"url": url, "path": "prod"});
    git[key] = format!("${{file:{}}}", file.display()).into();
    let config = json!({"name": "infra", "clouds": ["prod"], "git": git});
    Source::open(serde_json::from_value(config).unwrap(), &folder.path().join("cache")).unwrap()
}

#[test]
fn a_token_opens_the_repository_with_every_request() {
    let Some(git) = GitServer::start_with_token(PASSWORD) else { return };
    let commit = git.commit("ann", "one", &[("prod/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")]);
    let folder = process::folder();
    let source = source_at(&git.url(), &folder, "token");
    assert_eq!(*source.fetch(None).unwrap().revision, *commit);
    assert_eq!(source.load(&commit).unwrap().resources.len(), 1);
}

#[test]
fn a_redirect_takes_no_secret_to_another_server() {
    for key in ["token", "password"] {
        let other = Server::start(|_| Answer::new(401, "text/plain", "who?").with("www-authenticate", "Basic realm=x"));
        let target = other.url();
        let moved = Server::start(move |request| {
            let place = format!("{target}{}?{}", request.path, request.query);
            Answer::new(302, "text/plain", "moved").with("location", &place)
        });
        let folder = process::folder();
        let error = source_at(&format!("{}/infra.git", moved.url()), &folder, key).fetch(None).unwrap_err();
        assert!(!chain(&error).contains(PASSWORD), "{}", chain(&error));
        assert!(!moved.requests().is_empty(), "{key}");
        assert_eq!(other.requests().len(), 0, "{key}: the other server was asked");
    }
}
