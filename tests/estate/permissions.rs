//! Each permission that is taken away becomes its gap, and nothing else changes.

use std::collections::BTreeSet;

use driftwarden::collect::aws::direct::{Call, DIRECT, Direct, Service};
use serde_json::{Value, json};

use super::inventory::{Inventory, read, same_as_far_as_read, settings, wanted};
use super::known::{UNCHECKED, checked_as, sown_otherwise, unserved};
use super::{Emulator, kinds, owner};
use crate::harness::aws::{Checks, Key, Ministack};
use crate::harness::aws_estate::{ACCOUNTS, AwsEstate, REGIONS, SMALL, Writers};

/// Returns the actions, as ministack checks them, that reading a whole kind takes, of those that are served; what re-reads one resource is not among them.
fn actions(direct: &'static Direct) -> BTreeSet<String> {
    let unserved: Vec<_> = unserved(Emulator::Ministack, direct.kind).collect();
    let calls = direct.list.iter().chain(direct.parts.iter().map(|part| &part.call));
    calls.filter(|call| !unserved.contains(&call.operation)).map(|call| action(direct.service, call)).collect()
}

/// Returns the actions of the calls that are made, although they are not served.
fn futile(direct: &'static Direct) -> impl Iterator<Item = String> {
    let parts = direct
        .parts
        .iter()
        .filter(|part| unserved(Emulator::Ministack, direct.kind).any(|call| call == part.call.operation));
    parts.map(|part| action(direct.service, &part.call))
}

fn action(service: &Service, call: &Call) -> String {
    let action = call.action.map_or_else(|| format!("{}:{}", service.prefix, call.operation), str::to_owned);
    checked_as(&action).to_owned()
}

/// Creates a user for each of these sets of actions.
fn users(aws: &Ministack, sets: &[BTreeSet<String>]) -> Vec<Key> {
    let calls = sets.iter().enumerate().flat_map(|(at, actions)| {
        let name = format!("reader-{at}");
        let policy =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
        [
            ("iam", "create_user", json!({"UserName": name})),
            (
                "iam",
                "put_user_policy",
                json!({"UserName": name, "PolicyName": "p", "PolicyDocument": policy.to_string()}),
            ),
            ("iam", "create_access_key", json!({"UserName": name})),
        ]
    });
    let answers = aws.calls_as(&owner(), &calls.collect::<Vec<_>>());
    let keys = answers.into_iter().map(Result::unwrap).skip(2).step_by(3);
    let text = |key: &Value, field: &str| key["AccessKey"][field].as_str().unwrap().to_owned();
    keys.map(|key| Key { id: text(&key, "AccessKeyId"), secret: text(&key, "SecretAccessKey") }).collect()
}

/// Says what is wrong with what is read without an action, that some of these kinds need.
fn objections(action: &str, needing: &BTreeSet<&str>, without: &Inventory, all: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    let gap_of = |kind: &str| without.gaps.iter().any(|gap| gap.contains(&format!(" {kind} denied: ")));
    for kind in needing {
        let is_unchecked = UNCHECKED.iter().any(|(unchecked, _)| *unchecked == action);
        if gap_of(kind) == is_unchecked {
            wrong.push(format!("without {action}: the gap of {kind} is the other way round: {:?}", without.gaps));
        }
    }
    let kind_of = |place: &str| place.split(' ').nth(1).unwrap().to_owned();
    for gap in without.gaps.difference(&all.gaps).filter(|gap| !needing.contains(&*kind_of(gap))) {
        wrong.push(format!("without {action}: a gap of something else: {gap}"));
    }
    for (place, attributes) in &all.found {
        let is_fine = match without.found.get(place) {
            Some(found) => same_as_far_as_read(found, attributes),
            None => gap_of(&kind_of(place)),
        };
        if !is_fine {
            wrong.push(format!("without {action}: {place} reads as {:?}", without.found.get(place)));
        }
    }
    let made_up = without.found.keys().filter(|place| !all.found.contains_key(*place));
    wrong.extend(made_up.map(|place| format!("without {action}: {place} is not there")));
    wrong
}

#[test]
fn each_permission_taken_away_is_its_gap_and_nothing_else() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let sown = AwsEstate::in_one_place(&aws.url()).sow(SMALL / 4.0, Writers::Four);
    let otherwise = sown_otherwise(Emulator::Ministack, &sown.unserved);
    assert!(otherwise.is_empty(), "{otherwise:?}");
    let kinds = kinds(Emulator::Ministack);
    let direct: Vec<_> = DIRECT.iter().copied().filter(|direct| kinds.contains(&direct.kind)).collect();
    let everything: BTreeSet<String> = direct.iter().flat_map(|direct| actions(direct)).collect();
    let always: Vec<_> =
        direct.iter().flat_map(|direct| futile(direct)).chain(["sts:GetCallerIdentity".to_owned()]).collect();
    let less = |action: &String| everything.iter().chain(&always).filter(|other| *other != action).cloned().collect();
    let keys = users(&aws, &everything.iter().map(less).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (action, key) in everything.iter().zip(&keys) {
        // What needs the action, and what is of its service and does not: of others there is nothing to be seen.
        let service = action.split(':').next().unwrap();
        let near = direct.iter().filter(|direct| direct.service.prefix == service || actions(direct).contains(action));
        let near: Vec<_> = near.map(|direct| direct.kind).collect();
        let needing = direct.iter().filter(|direct| actions(direct).contains(action)).map(|direct| direct.kind);
        let mut place = settings(&aws.url(), &near);
        place["accounts"] = json!([{"id": ACCOUNTS[0]}]);
        place["regions"] = json!([REGIONS[0]]);
        let wanted = wanted(Emulator::Ministack, &near);
        let all = read(&place, &owner(), &wanted);
        let without = read(&place, key, &wanted);
        wrong.extend(objections(action, &needing.collect(), &without, &all));
    }
    println!("{} permissions", everything.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
