//! What Azure and Google Cloud really answered: against what they answered at another address, against the forms in which
//! people declare the same, and with every change that somebody could have made.
//!
//! What the tables of facts call the provider's own is not changed here, for nobody can change it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftwarden_core::compare::{Comparison, Context, Facts, MaskKey, Strictly, compare};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::Schema;
use serde_json::{Map, Value, json};

use super::mutate::mutations;
use super::score::Score;
use super::{json_of, naive, overlaps, project};

/// How many bodies of one kind are looked at.
const OF_ONE_KIND: usize = 3;

/// A resource as a cloud gave it back.
#[derive(Clone)]
struct Body {
    place: String,
    kind: String,
    account: String,
    id: String,
    value: Value,
}

/// A form in which people declare a resource, with what is read of it then; nothing where it is the same form.
type Form = fn(&Body) -> Option<(Value, Value)>;

struct Cloud {
    folder: &'static str,
    /// Returns the readings of one recording between which nobody wrote.
    readings: fn(&Path) -> Vec<Body>,
    facts: &'static str,
    forms: &'static [(&'static str, Form)],
    /// The lines of the score: resources, comparisons, naive false alarms, false alarms, mutations, those missed.
    lines: [&'static str; 6],
}

const CLOUDS: [Cloud; 2] = [
    Cloud {
        folder: "azure",
        readings: azure,
        facts: include_str!("../../monitor/core/src/compare/facts/azure.tsv"),
        forms: &[
            ("identifiers in another case", shouted),
            ("places by their long names", placed),
            ("written anew by the provider", rewritten),
            ("nothing said where nothing is", pruned),
            ("names in another case", renamed),
            ("as a template has it", templated),
        ],
        lines: [
            "Azure resources",
            "Azure comparisons",
            "Azure false alarms of the naive comparison",
            "Azure false alarms",
            "Azure mutations",
            "Azure mutations missed",
        ],
    },
    Cloud {
        folder: "gcp",
        readings: google,
        facts: include_str!("../../monitor/core/src/compare/facts/gcp.tsv"),
        forms: &[
            ("paths without hosts", pathed),
            ("full names of resources", fully_named),
            ("bare names", bare),
            ("numbers that are texts", numbered),
            ("written anew by the provider", rewritten),
            ("nothing said where nothing is", pruned),
            ("labels of Google's", labeled),
            ("grants gathered otherwise", regathered),
        ],
        lines: [
            "GCP resources",
            "GCP comparisons",
            "GCP false alarms of the naive comparison",
            "GCP false alarms",
            "GCP mutations",
            "GCP mutations missed",
        ],
    },
];

/// Measures every recorded resource, a few of each kind.
pub(super) fn measure(score: &mut Score) {
    for cloud in &CLOUDS {
        let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
        for recording in recordings(cloud.folder) {
            let bodies = (cloud.readings)(&recording);
            pairs(cloud, &bodies, score);
            for body in bodies {
                let of_kind = seen.entry(body.kind.clone()).or_default();
                if of_kind.len() < OF_ONE_KIND && of_kind.insert(body.value.to_string()) {
                    one(cloud, &body, score);
                }
            }
        }
    }
}

fn recordings(folder: &str) -> Vec<PathBuf> {
    let beside = || project().join("../shared/recorded");
    let folder = std::env::var_os("DRIFTWARDEN_RECORDED").map_or_else(beside, PathBuf::from).join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    if files.is_empty() {
        println!("no recordings at {}: nothing is measured", folder.display());
    }
    files
}

/// Compares what was read of one resource at two addresses, in both directions.
fn pairs(cloud: &Cloud, bodies: &[Body], score: &mut Score) {
    let mut of_id = BTreeMap::<(&str, &str), Vec<&Body>>::new();
    for body in bodies {
        of_id.entry((&body.id, &body.kind)).or_default().push(body);
    }
    for readings in of_id.values() {
        for other in readings.iter().skip(1).filter(|other| other.value != readings[0].value) {
            agree(cloud, (readings[0], "read again"), (&readings[0].value, &other.value), score);
            agree(cloud, (readings[0], "read before"), (&other.value, &readings[0].value), score);
        }
    }
}

fn one(cloud: &Cloud, body: &Body, score: &mut Score) {
    score.add(cloud.lines[0], 1);
    agree(cloud, (body, "itself"), (&body.value, &body.value), score);
    for (name, form) in cloud.forms {
        if let Some((declared, observed)) = form(body) {
            agree(cloud, (body, name), (&declared, &observed), score);
        }
    }
    mutations(&body.value, &body.value, &mut |path, change| {
        if is_unchangeable(cloud, &body.kind, (path, body.value.pointer(path))) {
            return;
        }
        let mut mutated = body.value.clone();
        change(&mut mutated);
        score.add(cloud.lines[4], 1);
        let found = compared(body, &body.value, &mutated);
        if !found.changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note(cloud.lines[5], &format!("{} {path} {:?}", body.kind, mutated.pointer(path)));
        }
    });
}

fn agree(cloud: &Cloud, (body, form): (&Body, &str), (declared, observed): (&Value, &Value), score: &mut Score) {
    score.add(cloud.lines[1], 1);
    if !naive(declared, observed) {
        score.add(cloud.lines[2], 1);
    }
    let found = compared(body, declared, observed);
    if let Some(first) = found.changes.first() {
        let shown = format!("{} {} ({form}, {}) {:?}", body.kind, first.path, body.place, found.changes);
        score.note(cloud.lines[3], &shown);
    }
}

fn compared(body: &Body, declared: &Value, observed: &Value) -> Comparison {
    let (kind, schema, mask) = (Kind::new(body.kind.clone()), Schema::default(), MaskKey::new([7; 32]));
    let context = Context { account: body.account.clone(), ..Context::default() };
    let (depth, strictly) = (Depth::Full, Strictly::default());
    compare(declared, observed, Facts { kind: &kind, schema: &schema, context: &context, depth, mask: &mask, strictly })
}

/// Returns whether nobody can change what stands at a path: the provider sets all of it.
fn is_unchangeable(cloud: &Cloud, kind: &str, (path, value): (&str, Option<&Value>)) -> bool {
    let inside = value.and_then(Value::as_object).filter(|map| !map.is_empty());
    // Google says of much what type it is: `compute#metadata`.
    let is_type = path.ends_with("/kind") && value.and_then(Value::as_str).is_some_and(|text| text.contains('#'));
    is_type
        || is_provided(cloud, kind, path)
        || inside.is_some_and(|map| {
            map.iter().all(|(name, value)| is_unchangeable(cloud, kind, (&format!("{path}/{name}"), Some(value))))
        })
}

/// The same of a resource of Azure.
pub(super) fn is_azures_own(kind: &str, (path, value): (&str, Option<&Value>)) -> bool {
    is_unchangeable(&CLOUDS[0], kind, (path, value))
}

/// Returns whether the table calls the attribute at a path, or what it is in, the provider's own.
fn is_provided(cloud: &Cloud, kind: &str, path: &str) -> bool {
    let facts = cloud.facts.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    facts.filter(|fact| fact[0].contains('*') || fact[0].eq_ignore_ascii_case(kind)).any(|fact| {
        let pointer = fact[1];
        let own = matches!(fact[2], "read_only" | "template" | "not_read");
        let deep = pointer.strip_prefix("/**/").is_some_and(|name| path.split('/').any(|step| step == name));
        own && (deep || is_within(pointer, path))
    })
}

/// Returns whether a path is what a pointer with `*` for each item names, or below it.
fn is_within(pointer: &str, path: &str) -> bool {
    let mut steps = path.split('/');
    pointer.split('/').all(|wanted| steps.next().is_some_and(|step| wanted == "*" || wanted == step))
}

/// Calls `then` with every object in a body.
fn objects<'v>(value: &'v Value, then: &mut dyn FnMut(&'v Map<String, Value>) -> bool) {
    match value {
        Value::Object(map) if then(map) => {}
        Value::Object(map) => map.values().for_each(|inner| objects(inner, then)),
        Value::Array(items) => items.iter().for_each(|item| objects(item, then)),
        _ => {}
    }
}

fn text<'v>(map: &'v Map<String, Value>, name: &str) -> &'v str {
    map.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn azure(file: &Path) -> Vec<Body> {
    let recorded = json_of(file);
    let interactions = recorded["interactions"].as_array().cloned().unwrap_or_default();
    let method = |one: &Value| one["request"]["method"].as_str().unwrap_or_default().to_owned();
    // What was written in between may be different for a reason.
    let wrote = interactions.iter().any(|one| method(one) != "GET");
    let mut bodies = Vec::new();
    for one in interactions.iter().filter(|one| method(one) == "GET") {
        let address = one["request"]["uri"].as_str().unwrap_or_default();
        objects(&one["response"]["body"]["data"], &mut |map| {
            let (id, kind) = (text(map, "id"), text(map, "type"));
            let is_resource = id.starts_with("/subscriptions/") && kind.contains('/') && map.contains_key("properties");
            if is_resource {
                bodies.push(Body {
                    place: file.file_stem().unwrap().to_string_lossy().into_owned(),
                    kind: kind.to_owned(),
                    account: String::new(),
                    id: if wrote || address.contains("$expand") {
                        format!("{id} {}", bodies.len())
                    } else {
                        id.to_lowercase()
                    },
                    value: Value::Object(map.clone()),
                });
            }
            is_resource
        });
    }
    bodies
}

fn google(folder: &Path) -> Vec<Body> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    let wrote =
        files.iter().any(|file| ["put", "patch", "delete", "post"].iter().any(|verb| name(file).starts_with(verb)));
    let mut bodies = Vec::new();
    for file in files.iter().filter(|file| name(file).starts_with("get-")) {
        let recorded = json_of(file);
        let body = if recorded.get("body").is_some() { &recorded["body"] } else { &recorded };
        objects(body, &mut |map| {
            let Some((kind, id)) = google_kind(&name(file), map) else { return false };
            let account = id.split('/').skip_while(|step| *step != "projects").nth(1).unwrap_or_default().to_owned();
            let id = if wrote { format!("{id} {}", bodies.len()) } else { id };
            let place = folder.file_name().unwrap().to_string_lossy().into_owned();
            bodies.push(Body { place, kind, account, id, value: Value::Object(map.clone()) });
            true
        });
        if let Some(bindings) = body.get("bindings").filter(|bindings| bindings.is_array()) {
            bodies.push(Body {
                place: name(file),
                kind: "cloudresourcemanager.googleapis.com/Project".to_owned(),
                account: String::new(),
                id: format!("policy {}", bodies.len()),
                value: json!({"iamPolicy": {"bindings": bindings}}),
            });
        }
    }
    bodies
}

/// Returns the kind and the name of what Google gave back, if it is a resource.
fn google_kind(file: &str, map: &Map<String, Value>) -> Option<(String, String)> {
    const LISTS: [&str; 3] = ["items", "error", "done"];
    if map.len() < 4 || LISTS.iter().any(|name| map.contains_key(*name)) {
        return None;
    }
    let (kind, link, name) = (text(map, "kind"), text(map, "selfLink"), text(map, "name"));
    let upper =
        |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect::<String>();
    let host = file.split_once(".googleapis.com").and_then(|(host, _)| host.rsplit('-').next()).unwrap_or("service");
    let id = if link.contains("googleapis.com/") { link } else { name };
    let collection = id.rsplit('/').nth(1)?;
    let (service, kind) = match kind.split_once('#') {
        Some(("sql", kind)) => ("sqladmin", upper(kind)),
        Some((service, kind)) => (service, upper(kind)),
        None if name.starts_with("projects/") && collection == "cryptoKeys" => ("cloudkms", "CryptoKey".to_owned()),
        None if name.starts_with("projects/") => (host, upper(collection.trim_end_matches('s'))),
        None if link.contains("container.googleapis.com") => ("container", upper(collection.trim_end_matches('s'))),
        // The inventory leaves out what type it is.
        None if link.contains("/compute/") => ("compute", upper(collection.trim_end_matches('s'))),
        None => return None,
    };
    let is_transient = ["Operation", "Location", "List"].iter().any(|word| kind.ends_with(word));
    // Some recordings call two resources by one address.
    (!is_transient && !id.is_empty()).then(|| (format!("{service}.googleapis.com/{kind}"), format!("{id} {name}")))
}

/// Returns a value with each of its texts as `turn` makes it, given the name that it stands under.
fn turned(name: &str, value: &Value, turn: &dyn Fn(&str, &str) -> Option<Value>) -> Value {
    match value {
        Value::String(text) => turn(name, text).unwrap_or_else(|| value.clone()),
        Value::Array(items) => items.iter().map(|item| turned(name, item, turn)).collect(),
        Value::Object(map) => map.iter().map(|(name, inner)| (name.clone(), turned(name, inner, turn))).collect(),
        _ => value.clone(),
    }
}

/// Returns the body in a form of its own, beside itself.
fn declared_as(body: &Body, turn: &dyn Fn(&str, &str) -> Option<Value>) -> Option<(Value, Value)> {
    let declared = turned("", &body.value, turn);
    (declared != body.value).then(|| (declared, body.value.clone()))
}

fn shouted(body: &Body) -> Option<(Value, Value)> {
    declared_as(body, &|_, text| text.starts_with("/subscriptions/").then(|| text.to_uppercase().into()))
}

fn placed(body: &Body) -> Option<(Value, Value)> {
    const PLACES: [(&str, &str); 9] = [
        ("centralus", "Central US"),
        ("eastus", "East US"),
        ("eastus2", "East US 2"),
        ("northcentralus", "North Central US"),
        ("southcentralus", "South Central US"),
        ("westeurope", "West Europe"),
        ("westus", "West US"),
        ("westus2", "West US 2"),
        ("global", "Global"),
    ];
    declared_as(body, &|name, text| {
        let other = PLACES.iter().find_map(|(short, long)| match text {
            _ if text == *short => Some(*long),
            _ if text == *long => Some(*short),
            _ => None,
        });
        other.filter(|_| name.contains("ocation")).map(Value::from)
    })
}

fn rewritten(body: &Body) -> Option<(Value, Value)> {
    const OWN: [&str; 7] = [
        "etag",
        "fingerprint",
        "labelFingerprint",
        "provisioningState",
        "lastModifiedAt",
        "updateTime",
        "creationTimestamp",
    ];
    declared_as(body, &|name, text| OWN.contains(&name).then(|| format!("{text}-before").into()))
}

fn pruned(body: &Body) -> Option<(Value, Value)> {
    fn without(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let says =
                    |value: &Value| !(value.is_null() || *value == json!([]) || *value == json!({}) || *value == "");
                map.iter()
                    .filter(|(_, inner)| says(inner))
                    .map(|(name, inner)| (name.clone(), without(inner)))
                    .collect()
            }
            Value::Array(items) => items.iter().map(without).collect(),
            _ => value.clone(),
        }
    }
    let observed = without(&body.value);
    (observed != body.value).then(|| (body.value.clone(), observed))
}

fn renamed(body: &Body) -> Option<(Value, Value)> {
    let mut declared = body.value.clone();
    let properties = declared["properties"].as_object()?;
    let other = |name: &String| name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect();
    declared["properties"] =
        properties.iter().map(|(name, value)| (other(name), value.clone())).collect::<Map<_, _>>().into();
    (declared != body.value).then(|| (declared, body.value.clone()))
}

fn templated(body: &Body) -> Option<(Value, Value)> {
    let mut declared = body.value.clone();
    let map = declared.as_object_mut()?;
    map.remove("id");
    map.extend([
        ("apiVersion".to_owned(), json!("2024-01-01")),
        ("dependsOn".to_owned(), json!(["[resourceId('x')]"])),
        ("comments".to_owned(), json!("ours")),
    ]);
    Some((declared, body.value.clone()))
}

/// Returns the path in an address of Google's Compute Engine.
fn path_of(text: &str) -> Option<&str> {
    let rest = ["https://www.googleapis.com/compute/v1/", "https://compute.googleapis.com/compute/v1/"]
        .iter()
        .find_map(|host| text.strip_prefix(host))?;
    rest.starts_with("projects/").then_some(rest)
}

fn pathed(body: &Body) -> Option<(Value, Value)> {
    declared_as(body, &|_, text| path_of(text).map(Value::from))
}

fn fully_named(body: &Body) -> Option<(Value, Value)> {
    declared_as(body, &|_, text| path_of(text).map(|path| format!("//compute.googleapis.com/{path}").into()))
}

fn bare(body: &Body) -> Option<(Value, Value)> {
    let own = format!("projects/{}/", body.account);
    let last = |text: &str| path_of(text)?.strip_prefix(&own)?.rsplit('/').next().map(Value::from);
    declared_as(body, &|_, text| last(text))
}

fn numbered(body: &Body) -> Option<(Value, Value)> {
    declared_as(body, &|_, text| text.parse::<u64>().ok().filter(|number| number.to_string() == text).map(Value::from))
}

fn labeled(body: &Body) -> Option<(Value, Value)> {
    let mut observed = body.value.clone();
    observed.get_mut("labels")?.as_object_mut()?.insert("goog-managed-by".to_owned(), json!("us"));
    Some((body.value.clone(), observed))
}

/// Gives each member a binding of its own, in another order.
fn regathered(body: &Body) -> Option<(Value, Value)> {
    let mut declared = body.value.clone();
    let bindings = declared.pointer_mut("/iamPolicy/bindings")?;
    let mut apart = Vec::new();
    for binding in bindings.as_array()? {
        for member in binding["members"].as_array()? {
            let mut one = binding.clone();
            one["members"] = json!([member]);
            apart.push(one);
        }
    }
    apart.reverse();
    *bindings = apart.into();
    Some((declared, body.value.clone()))
}
