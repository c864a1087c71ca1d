//! What the daemon's collector reads of an estate, and how it is held against what Amazon's own client tells.

use std::collections::{BTreeMap, BTreeSet};

use driftwarden::collect::aws::Config;
use driftwarden::collect::aws::direct::{DIRECT, Direct, Part};
use driftwarden::collect::{CloudConfig, Collector, Read, Wanted};
use driftwarden_core::resource::{Depth, Kind, is_unread};
use serde_json::{Map, Value, json};

use super::Emulator;
use super::known::unserved;
use crate::harness::aws::Key;
use crate::harness::aws_estate::{ACCOUNTS, REGIONS, Told};
use crate::harness::process;

/// The role by which the other account is entered.
pub const ROLE: &str = "Reader";

/// Where a resource is, and what it is called: `account/region kind identifier`.
pub type Place = String;

/// What was read.
#[derive(Debug, Default)]
pub struct Inventory {
    pub found: BTreeMap<Place, Value>,
    /// Each as `account/region kind reason: detail`.
    pub gaps: BTreeSet<String>,
}

/// Returns where a told thing is.
pub fn place(told: &Told) -> Place {
    format!("{}/{} {} {}", told.account, told.region, told.kind, told.id)
}

/// Returns the settings of a cloud that is both accounts and both regions, and these kinds of them.
pub fn settings(url: &str, kinds: &[&str]) -> Value {
    let [home, other] = ACCOUNTS;
    json!({"name": "c", "regions": REGIONS, "endpoint": url, "requests_per_second": 1000.0,
        "accounts": [{"id": home}, {"id": other, "role": ROLE}], "kinds": {"include": kinds}})
}

/// Returns the parts of a kind that an emulator has no call for.
fn unserved_parts(emulator: Emulator, direct: &'static Direct) -> impl Iterator<Item = &'static Part> {
    direct.parts.iter().filter(move |part| unserved(emulator, direct.kind).any(|call| call == part.call.operation))
}

/// Returns whether an emulator has a call that tells an attribute.
pub fn is_served(emulator: Emulator, kind: &str, attribute: &str) -> bool {
    let mut directs = DIRECT.iter().filter(|direct| direct.kind == kind);
    !directs
        .any(|direct| unserved_parts(emulator, direct).any(|part| part.shape.iter().any(|field| field.to == attribute)))
}

/// Returns all attributes of these kinds, less those that an emulator has no call for.
pub fn wanted(emulator: Emulator, kinds: &[&str]) -> Wanted {
    let mut wanted = everything(kinds);
    for direct in DIRECT.iter().filter(|direct| kinds.contains(&direct.kind)) {
        if unserved_parts(emulator, direct).next().is_some() {
            let fields = direct.parts.iter().flat_map(|part| part.shape).chain(direct.shape).map(|field| field.to);
            let served = fields.filter(|attribute| is_served(emulator, direct.kind, attribute)).map(Box::from);
            wanted.attributes.insert(direct.kind.into(), served.collect());
        }
    }
    wanted
}

/// Returns all attributes of these kinds.
pub fn everything(kinds: &[&str]) -> Wanted {
    Wanted { full: kinds.iter().map(|kind| Kind::from(*kind)).collect(), ..Wanted::default() }
}

/// Reads what is wanted, everywhere that the settings say, with somebody's key.
pub fn read(settings: &Value, key: &Key, wanted: &Wanted) -> Inventory {
    let folder = process::folder();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, &key.secret).unwrap();
    let secret = format!("${{file:{}}}", secret.display());
    let mut settings = settings.clone();
    settings["credentials"] = json!({"access_key_id": key.id, "secret_access_key": secret});
    let config: Config = serde_json::from_value(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { read_scopes(&*config.build().unwrap(), wanted).await })
}

async fn read_scopes(aws: &dyn Collector, wanted: &Wanted) -> Inventory {
    let mut inventory = Inventory::default();
    for scope in aws.scopes().await.unwrap() {
        let (sink, mut pages) = tokio::sync::mpsc::channel(1 << 16);
        aws.collect(&scope, wanted, sink).await;
        let place = format!("{}/{}", scope.account, scope.region);
        while let Some(said) = pages.recv().await {
            inventory.take(said, &place, wanted);
        }
    }
    inventory
}

impl Inventory {
    fn take(&mut self, said: Read, scope: &str, wanted: &Wanted) {
        match said {
            Read::Complete(_) => {}
            Read::Kept { .. } | Read::KeptAll { .. } => panic!("a first look keeps nothing: {said:?}"),
            Read::Gap(gap) => {
                let kind = gap.kind.as_ref().map_or("*", Kind::as_str);
                let what = format!("{scope} {kind} {}: {}", gap.reason.as_str(), gap.detail);
                self.gaps.insert(what);
            }
            Read::Page { kind, depth, items } => {
                assert!(depth != Depth::Listed || !wanted.full.contains(&kind), "{kind} was only listed");
                for item in items {
                    let attributes: Value = serde_json::from_str(&item.text).unwrap();
                    let place = format!("{scope} {kind} {}", item.name);
                    assert_eq!(self.found.insert(place.clone(), attributes), None, "{place} was told twice");
                }
            }
        }
    }
}

/// Returns whether two readings are the same but for what one of them says that it did not read.
pub fn same_as_far_as_read(found: &Value, all: &Value) -> bool {
    match (found, all) {
        _ if is_unread(found) => true,
        (Value::Object(found), Value::Object(all)) => {
            let names: BTreeSet<_> = found.keys().chain(all.keys()).collect();
            let of = |map: &Map<String, Value>, name: &String| map.get(name).cloned().unwrap_or_default();
            names.into_iter().all(|name| same_as_far_as_read(&of(found, name), &of(all, name)))
        }
        _ => found == all,
    }
}

/// Returns whether what was read says what was told. A told null, or an empty list, says that nothing is there.
pub fn says(found: Option<&Value>, told: &Value) -> bool {
    let found = found.unwrap_or(&Value::Null);
    match (told, found) {
        _ if is_nothing(told) => is_nothing(found),
        (Value::Number(told), Value::Number(found)) => told.as_f64() == found.as_f64(),
        (Value::Object(told), Value::Object(found)) => told.iter().all(|(key, value)| says(found.get(key), value)),
        (Value::Object(_), Value::String(text)) => {
            serde_json::from_str(text).is_ok_and(|found| says(Some(&found), told))
        }
        (Value::Array(told), Value::Array(found)) => told.len() == found.len() && pairs(told, found),
        _ => told == found,
    }
}

/// Returns whether each told item has a found one of its own.
fn pairs(told: &[Value], found: &[Value]) -> bool {
    let mut left: Vec<&Value> = found.iter().collect();
    told.iter().all(|told| {
        let at = left.iter().position(|found| says(Some(found), told));
        at.map(|at| left.swap_remove(at)).is_some()
    })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
