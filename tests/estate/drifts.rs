//! Planted drifts are found, and nothing else, by a whole process whose desired state is what was told before.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::inventory::{is_served, settings};
use super::known::{READ_OTHERWISE, Uses, is_unserved};
use super::{Emulator, Running, kinds, owner, truth};
use crate::harness::aws_estate::Told;
use crate::harness::daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;

/// Returns a manifest of ours for what is told, but for what an emulator is known to tell otherwise.
fn manifest(emulator: Emulator, told: &Told) -> Value {
    let mut uses = Uses::of(READ_OTHERWISE);
    let stated = told.attributes.iter().filter(|(_, value)| !value.is_null());
    let stated = stated.filter(|(attribute, _)| is_served(emulator, &told.kind, attribute));
    let stated = stated.filter(|(attribute, _)| !uses.excuse(&[emulator], &told.kind, attribute));
    let spec: Map<String, Value> = stated.map(|(attribute, value)| (attribute.clone(), value.clone())).collect();
    let mut metadata = json!({"name": told.id, "account": told.account, "region": told.region});
    if told.region == "-" {
        metadata.as_object_mut().unwrap().remove("region");
    }
    json!({"apiVersion": "driftwarden.dev/v1", "kind": told.kind, "metadata": metadata, "spec": spec})
}

/// Scans once; the exit code, each finding as `drift account/region kind name attribute`, and the gaps.
fn scan(running: &Running, kinds: &[&str], git: &GitServer) -> (i32, BTreeSet<String>, Vec<String>) {
    let source = json!({"name": "infra", "clouds": ["c"], "git": {"url": git.url(), "ref": "main", "username": "ci",
        "password": "${env:GIT_PASSWORD}"}});
    // JSON is YAML, and a line of it may be too long to be a key.
    let config = format!("clouds: [{:#}]\ndesired: [{source:#}]\n", typed(settings(&running.url(), kinds)));
    let key = owner();
    let environment =
        [("AWS_ACCESS_KEY_ID", &*key.id), ("AWS_SECRET_ACCESS_KEY", &*key.secret), ("GIT_PASSWORD", "secret")];
    let (code, document) = daemon::scan_json(&config, &environment);
    let gaps = document["scopes"].as_array().unwrap().iter().flat_map(|scope| scope["gaps"].as_array().unwrap());
    let found = document["findings"].as_array().unwrap().iter().flat_map(told);
    (code, found.collect(), gaps.map(gap_text).collect())
}

/// Says a gap as `kind reason: detail`, with a blank before it.
fn gap_text(gap: &Value) -> String {
    let [kind, reason, detail] = ["kind", "reason", "detail"].map(|key| gap[key].as_str().unwrap_or("-"));
    format!(" {kind} {reason}: {detail}")
}

fn typed(mut settings: Value) -> Value {
    settings["type"] = "aws".into();
    settings
}

/// Says a finding once for each attribute that changed.
fn told(finding: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let resource = &finding["resource"];
    let what = format!(
        "{} {}/{} {} {}",
        text(&finding["drift"]),
        text(&resource["account"]),
        text(&resource["region"]),
        text(&resource["kind"]),
        text(&resource["name"])
    );
    let changes = finding["changes"].as_array().unwrap().iter();
    let attributes: BTreeSet<_> = changes.filter_map(|change| change["path"].as_str()?.split('/').nth(1)).collect();
    if finding["drift"] != "changed" {
        return vec![format!("{what} -")];
    }
    attributes.iter().map(|attribute| format!("{what} {attribute}")).collect()
}

fn check(emulator: Emulator) {
    let Some((running, estate)) = Running::sown(emulator) else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let kinds = kinds(emulator);
    let manifests = truth(emulator, &estate, &kinds).into_iter().map(|told| manifest(emulator, &told));
    git.commit("ann", "declare what is there", &[("all.yaml", &estate::documents(manifests))]);
    let (code, found, gaps) = scan(&running, &kinds, &git);
    let of_ours = |gaps: &[String]| gaps.iter().filter(|gap| !is_unserved(emulator, gap)).cloned().collect::<Vec<_>>();
    assert_eq!((found, of_ours(&gaps)), (BTreeSet::new(), vec![]), "before anything was changed");
    assert_eq!(code, if gaps.is_empty() { 0 } else { 3 });
    let (planted, unserved) = estate.drift(&kinds);
    assert!(unserved.is_empty(), "{unserved:?}");
    let expected: BTreeSet<_> = planted
        .iter()
        // Some come with others, of kinds that are not looked at.
        .filter(|planted| kinds.contains(&&*planted.kind))
        .map(|planted| {
            let attribute = planted.attribute.as_deref().unwrap_or("-");
            format!(
                "{} {}/{} {} {} {attribute}",
                planted.drift, planted.account, planted.region, planted.kind, planted.id
            )
        })
        .collect();
    println!("{emulator:?}: {} drifts planted", expected.len());
    let (code, found, gaps) = scan(&running, &kinds, &git);
    let lost: Vec<_> = expected.difference(&found).collect();
    let made_up: Vec<_> = found.difference(&expected).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "not found: {lost:#?}, not planted: {made_up:#?}");
    assert_eq!((code, of_ours(&gaps)), (2, vec![]));
}

#[test]
fn planted_drifts_are_found_at_ministack_and_nothing_else() {
    check(Emulator::Ministack);
}

#[test]
fn planted_drifts_are_found_at_moto_and_nothing_else() {
    check(Emulator::Moto);
}
