//! AWS, read by the services' own calls, against an estate that was sown, told and changed by a script that knows nothing of us: what is read
//! is what is there, in ids and attributes; two emulators that other people wrote hold the same; what was changed is found and nothing
//! else; and what may not be read is a gap and nothing else.
//!
//! `DRIFTWARDEN_KINDS=AWS::SQS::Queue,…` looks at some kinds only, for whoever works at these.

mod drifts;
mod inventory;
mod known;
mod oracle;
mod permissions;
mod reach;

use std::collections::{BTreeMap, BTreeSet};

use driftwarden::collect::aws::direct::DIRECT;
use driftwarden_core::resource::is_unread;
use serde_json::{Value, json};

use self::inventory::{Inventory, Place, everything, is_served, place, read, says, settings, wanted};
use self::known::{
    HELD_OTHERWISE, MISTOLD, READ_OTHERWISE, Uses, is_unserved, sown_otherwise, told_otherwise, unserved,
};
use crate::conformance::json_of;
use crate::harness::aws::{Checks, Key, Ministack};
use crate::harness::aws_estate::{ACCOUNTS, AwsEstate, REGIONS, SMALL, Told, Writers};
use crate::harness::moto::Moto;
use crate::provider_schemas;

/// Who emulates AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulator {
    Ministack,
    Moto,
}

/// A running emulator.
enum Running {
    Ministack(Ministack),
    Moto(Moto),
}

impl Running {
    fn start(emulator: Emulator) -> Option<Self> {
        match emulator {
            Emulator::Ministack => Ministack::start(Checks::SignaturesAndPolicies).map(Self::Ministack),
            Emulator::Moto => Moto::start().map(Self::Moto),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Ministack(ministack) => ministack.url(),
            Self::Moto(moto) => moto.url(),
        }
    }

    /// Sows the estate.
    fn sown(emulator: Emulator) -> Option<(Self, AwsEstate)> {
        let running = Self::start(emulator)?;
        let estate = AwsEstate::at(&running.url());
        let writers = if emulator == Emulator::Moto { Writers::One } else { Writers::Four };
        let sown = estate.sow(SMALL, writers);
        let otherwise = sown_otherwise(emulator, &sown.unserved);
        assert!(otherwise.is_empty(), "{otherwise:?}");
        Some((running, estate))
    }
}

/// The owner of the first account.
fn owner() -> Key {
    Key { id: ACCOUNTS[0].into(), secret: "test".into() }
}

/// Returns the kinds that have a direct path, less those that cannot be compared there.
fn kinds(emulator: Emulator) -> Vec<&'static str> {
    let chosen = std::env::var_os("DRIFTWARDEN_KINDS").unwrap_or_default().to_string_lossy().into_owned();
    let chosen: Vec<&str> = chosen.split(',').filter(|kind| !kind.is_empty()).collect();
    let all = DIRECT.iter().map(|direct| direct.kind);
    let all = all.filter(|kind| !MISTOLD.iter().any(|(at, mistold, _)| *at == emulator && mistold == kind));
    all.filter(|kind| chosen.is_empty() || chosen.contains(kind)).collect()
}

/// Returns what is told of some kinds; no kind is every kind.
fn truth(emulator: Emulator, estate: &AwsEstate, kinds: &[&str]) -> Vec<Told> {
    let (told, unserved) = estate.truth(kinds);
    let otherwise = told_otherwise(emulator, &unserved);
    assert!(otherwise.is_empty(), "{otherwise:?}");
    told
}

/// An estate at an emulator, told in full, and read in the kinds that have direct paths.
struct Look {
    emulator: Emulator,
    told: Vec<Told>,
    read: Inventory,
    /// What is said to be unserved, and is served.
    needless: Vec<String>,
}

impl Look {
    fn at(emulator: Emulator) -> Option<Self> {
        let (running, estate) = Running::sown(emulator)?;
        let kinds = kinds(emulator);
        let read = read(&settings(&running.url(), &kinds), &owner(), &wanted(emulator, &kinds));
        let needless = kinds.iter().filter(|kind| is_all_served(emulator, kind, &running.url(), &read));
        let needless = needless.map(|kind| format!("needless: all calls of {kind} are served")).collect();
        Some(Self { emulator, told: truth(emulator, &estate, &[]), read, needless })
    }

    /// Returns what is told of the kinds that are read.
    fn told(&self) -> BTreeMap<Place, &Told> {
        let kinds = kinds(self.emulator);
        let told = self.told.iter().filter(|told| kinds.contains(&&*told.kind));
        told.map(|told| (place(told), told)).collect()
    }

    /// Says where what is read is not what is told.
    fn differences(&self) -> Vec<String> {
        let told = self.told();
        let mut uses = Uses::of(READ_OTHERWISE);
        let mut wrong = Differences::default();
        for gap in self.read.gaps.iter().filter(|gap| !is_unserved(self.emulator, gap)) {
            let what = gap.split_once(' ').map_or(&**gap, |(_, what)| what);
            wrong.add(format!("a gap, {what}"), gap.clone());
        }
        for (place, told) in &told {
            let Some(found) = self.read.found.get(place) else {
                wrong.add(format!("{} not read", told.kind), place.clone());
                continue;
            };
            let served =
                told.attributes.iter().filter(|(attribute, _)| is_served(self.emulator, &told.kind, attribute));
            for (attribute, value) in served {
                let read = found.get(attribute);
                if !says(read, value) && !uses.excuse(&[self.emulator], &told.kind, attribute) {
                    let what = format!("{} {attribute}", told.kind);
                    wrong.add(what, format!("{}: told {value}, read {}", told.name, read.unwrap_or(&Value::Null)));
                }
            }
        }
        for place in self.read.found.keys().filter(|place| !told.contains_key(*place)) {
            wrong.add("not there".to_owned(), place.clone());
        }
        println!("{:?}: {} resources of {} kinds", self.emulator, told.len(), kinds(self.emulator).len());
        let needless = uses.needless(&[self.emulator], &kinds(self.emulator));
        wrong.lines().chain(needless).chain(self.needless.clone()).collect()
    }

    /// Returns what was sown, as `account/region kind name`, and where it is. What an account or a zone is born with has no name.
    fn sown(&self) -> BTreeMap<String, Place> {
        let may_be_born = |kind: &str| kind.starts_with("AWS::EC2::") || kind == "AWS::Route53::RecordSet";
        let sown = self.told.iter().filter(|told| told.id != told.name || !may_be_born(&told.kind));
        sown.map(|told| (format!("{}/{} {} {}", told.account, told.region, told.kind, told.name), place(told)))
            .collect()
    }

    /// Returns what is read by what it is called wherever it is sown, with names in place of ids in all attributes.
    fn snapshot(&self) -> BTreeMap<String, Value> {
        let renamed = self.told.iter().filter(|told| told.id != told.name);
        let names: Vec<_> = renamed.map(|told| (&*told.id, format!("<{}>", told.name))).collect();
        let read = self.sown().into_iter().filter_map(|(name, place)| Some((name, self.read.found.get(&place)?)));
        read.map(|(name, found)| (name, named(found, &names))).collect()
    }
}

/// Returns whether all of a kind can be read, in the first place, where some calls are said not to be served.
fn is_all_served(emulator: Emulator, kind: &str, url: &str, all: &Inventory) -> bool {
    if unserved(emulator, kind).next().is_none() {
        return false;
    }
    let (account, region) = (ACCOUNTS[0], REGIONS[0]);
    let mut place = settings(url, &[kind]);
    place["accounts"] = json!([{"id": account}]);
    place["regions"] = json!([region]);
    let found = read(&place, &owner(), &everything(&[kind]));
    let is_here =
        |place: &str| [region, "-"].iter().any(|region| place.starts_with(&format!("{account}/{region} {kind} ")));
    let mut there = all.found.keys().filter(|place| is_here(place));
    found.gaps.is_empty() && there.all(|place| found.found.contains_key(place))
}

/// Puts names in place of ids, and lists into one order.
fn named(value: &Value, names: &[(&str, String)]) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), named(value, names))).collect(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| named(item, names)).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::String(text) => {
            let long = names.iter().filter(|(id, _)| text.contains(id));
            Value::String(long.fold(text.clone(), |text, (id, name)| text.replace(id, name)))
        }
        other => other.clone(),
    }
}

/// What differs, by what it is; one case of each is shown.
#[derive(Default)]
struct Differences(BTreeMap<String, Vec<String>>);

impl Differences {
    fn add(&mut self, what: String, case: String) {
        self.0.entry(what).or_default().push(case);
    }

    fn lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(what, cases)| format!("{what} ({} times): {}", cases.len(), cases[0]))
    }
}

/// Says where two emulators hold an estate otherwise, by what is read. What a cloud makes up by itself is of no account.
fn otherwise(one: &Look, other: &Look) -> Vec<String> {
    let both = [one.emulator, other.emulator];
    let kinds: Vec<_> = kinds(both[0]).into_iter().filter(|kind| kinds(both[1]).contains(kind)).collect();
    let made_up = made_up(&kinds);
    let (mut uses, mut read_otherwise) = (Uses::of(HELD_OTHERWISE), Uses::of(READ_OTHERWISE));
    let mut wrong = Differences::default();
    let kind_of = |name: &str| name.split(' ').nth(1).unwrap().to_owned();
    let [names, others] = [one, other].map(|look| look.sown().into_keys().collect::<BTreeSet<_>>());
    for name in names.symmetric_difference(&others) {
        let kind = kind_of(name);
        if !uses.excuse(&both, &kind, "-") {
            wrong.add(format!("{kind} only at one"), name.clone());
        }
    }
    let (one, other) = (one.snapshot(), other.snapshot());
    for (name, a) in &one {
        let (kind, Some(b)) = (&*kind_of(name), other.get(name)) else { continue };
        let attributes: BTreeSet<_> = [a, b].iter().flat_map(|both| both.as_object().unwrap().keys()).collect();
        for attribute in attributes {
            let place = format!("{kind} {attribute}");
            let (a, b) = (a.get(attribute), b.get(attribute));
            let is_read = ![a, b].into_iter().flatten().any(is_unread);
            let mut is_known = || read_otherwise.excuse(&both, kind, attribute) || uses.excuse(&both, kind, attribute);
            if is_read && a != b && !made_up.contains(&place) && !is_known() {
                let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                wrong.add(place, format!("{name}: {} and {}", show(a), show(b)));
            }
        }
    }
    let needless = uses.needless(&both, &kinds);
    wrong.lines().chain(needless).collect()
}

/// Returns what AWS's own schemas call read-only, each as `kind attribute`: numbers, addresses and times of the cloud's own.
fn made_up(kinds: &[&str]) -> BTreeSet<String> {
    let documents = provider_schemas::documents().unwrap_or_default();
    let of = |kind: &str| -> Vec<String> {
        let Some(path) = documents.get(kind) else { return Vec::new() };
        let pointers = json_of(path)["readOnlyProperties"].as_array().cloned().unwrap_or_default();
        let names = pointers.iter().filter_map(|pointer| pointer.as_str()?.strip_prefix("/properties/"));
        names.map(|name| format!("{kind} {name}")).collect()
    };
    kinds.iter().flat_map(|kind| of(kind)).collect()
}

#[test]
fn what_is_read_is_what_is_there_and_the_same_at_both_emulators() {
    let [Some(ministack), Some(moto)] = [Emulator::Ministack, Emulator::Moto].map(Look::at) else { return };
    let wrong = [ministack.differences(), moto.differences(), otherwise(&ministack, &moto)];
    assert!(wrong.iter().all(Vec::is_empty), "at ministack, at moto, between them: {wrong:#?}");
}
