//! Desired state from a Git server that other people wrote, behind a password.

use std::error::Error;
use std::sync::Arc;

use driftwarden::desired::Source;
use driftwarden_core::resource::{Desired, Scope};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::estate;
use crate::harness::git::GitServer;
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
