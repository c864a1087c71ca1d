//! The published score: how often the comparison cries wolf, and how often it stays silent, on recorded clouds.
//!
//! The recordings stay beside the project, in `../shared/conformance` or where `DRIFTWARDEN_CONFORMANCE` says; without
//! them these tests say so and pass. The numbers stand in `docs/accuracy.md`, which is generated
//! (`DRIFTWARDEN_UPDATE=1`) and stale when it says anything else than what is measured here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use driftwarden_core::compare::{Comparison, Context, Facts, Ignore, MaskKey, compare, writable};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::Schema;
use serde_json::{Map, Value, json};

fn project() -> PathBuf {
    std::env::var_os("DRIFTWARDEN_PROJECT").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Returns the folder of the recordings, if it is there.
fn recordings() -> Option<PathBuf> {
    let beside = || project().join("../shared/conformance");
    let folder = std::env::var_os("DRIFTWARDEN_CONFORMANCE").map_or_else(beside, PathBuf::from);
    let there = folder.join("aws-diff").is_dir();
    if !there {
        println!("no recordings at {}: nothing is measured", folder.display());
    }
    there.then_some(folder)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(ToOwned::to_owned)).collect()
}

/// One recorded resource.
struct Case {
    name: String,
    kind: Kind,
    declared: Value,
    observed: Value,
    schema: Schema,
    context: Context,
    drifted: Vec<String>,
    undeclared: Vec<String>,
}

impl Case {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (schema, context, expected) = (&value["schema"], &value["context"], &value["expected"]);
        Self {
            name: text(&value["name"]),
            kind: Kind::new(text(&value["kind"])),
            declared: value["declared"].clone(),
            observed: value["observed"].clone(),
            schema: Schema {
                read_only: texts(&schema["read_only"]),
                write_only: texts(&schema["write_only"]),
                create_only: texts(&schema["create_only"]),
                defaults: schema["defaults"].as_object().cloned().unwrap_or_default().into_iter().collect(),
                unordered: texts(&schema["unordered"]),
                free_form: texts(&schema["free_form"]),
                ..Schema::default()
            },
            context: Context {
                account: text(&context["account"]),
                region: text(&context["region"]),
                id: text(&context["id"]),
                related: context["related"].clone(),
            },
            drifted: texts(&expected["drifted"]),
            undeclared: texts(&expected["undeclared"]),
        }
    }

    fn compared(&self, observed: &Value) -> Comparison {
        let mask = MaskKey::new([7; 32]);
        let facts =
            Facts { kind: &self.kind, schema: &self.schema, context: &self.context, depth: Depth::Full, mask: &mask };
        compare(&self.declared, observed, facts)
    }
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("aws-diff")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths.iter().map(|path| Case::of(&json_of(path))).collect()
}

/// Returns a pointer with `*` for every item, so that the order of a list says nothing.
fn generic(pointer: &str) -> String {
    let step = |step: &str| {
        if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) { "*".to_owned() } else { step.to_owned() }
    };
    pointer.split('/').map(step).collect::<Vec<_>>().join("/")
}

/// Returns whether one of two pointers leads through the other.
fn overlaps(left: &str, right: &str) -> bool {
    let (left, right) = (generic(left), generic(right));
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(&left, &right) || within(&right, &left)
}

/// What a comparison without any knowledge says: everything declared is there, literally.
fn naive(declared: &Value, observed: &Value) -> bool {
    match (declared, observed) {
        (Value::Object(declared), _) if declared.contains_key("$unknown") => true,
        (Value::Object(declared), Value::Object(observed)) => {
            declared.iter().all(|(name, value)| observed.get(name).is_some_and(|other| naive(value, other)))
        }
        (Value::Array(declared), Value::Array(observed)) => {
            declared.len() == observed.len() && declared.iter().zip(observed).all(|(left, right)| naive(left, right))
        }
        _ => declared == observed,
    }
}

/// What is measured; one line of the document each.
#[derive(Default)]
struct Score {
    lines: BTreeMap<&'static str, usize>,
    notes: Vec<String>,
    /// What is still wrong, as the document lists it: never a value.
    known: Vec<String>,
}

impl Score {
    fn add(&mut self, line: &'static str, count: usize) {
        *self.lines.entry(line).or_default() += count;
    }

    fn note(&mut self, line: &'static str, text: &str) {
        self.add(line, 1);
        if !line.contains("undeclared") {
            let named: Vec<_> = text.split(' ').take(2).filter(|word| !word.contains(['{', '['])).collect();
            self.known.push(format!("- {line}: `{}`", named.join("` `")));
        }
        self.notes.push(format!("{line}: {text}"));
    }
}

fn judge(case: &Case, score: &mut Score) {
    let found = case.compared(&case.observed);
    let clean = case.drifted.is_empty();
    score.add("AWS cases", 1);
    score.add(if clean { "AWS cases without drift" } else { "AWS cases with drift" }, 1);
    if clean && !naive(&case.declared, &case.observed) {
        score.add("AWS false alarms of the naive comparison", 1);
    }
    let wrong: Vec<_> =
        found.changes.iter().filter(|change| !case.drifted.iter().any(|path| overlaps(path, &change.path))).collect();
    if !wrong.is_empty() {
        score.note("AWS false alarms", &format!("{} {wrong:?}", case.name));
    }
    for path in case.drifted.iter().filter(|path| !found.changes.iter().any(|change| overlaps(path, &change.path))) {
        score.note("AWS misses", &format!("{} {path}", case.name));
    }
    for path in found.undeclared.iter().filter(|path| !case.undeclared.iter().any(|known| overlaps(known, path))) {
        score.note("AWS undeclared beyond", &format!("{} {path} {:?}", case.name, case.observed.pointer(path)));
    }
    for path in case.undeclared.iter().filter(|path| !found.undeclared.iter().any(|known| overlaps(known, path))) {
        score.note("AWS undeclared lost", &format!("{} {path}", case.name));
    }
}

/// Returns values that nobody could take for the given one.
fn others_than(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(truth) => vec![json!(!truth)],
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            vec![json!(number + 7.0), json!(number * 10.0 + 1.0)]
        }
        Value::String(text) => {
            let mut others = vec![json!(format!("{text}-drifted")), json!(format!("x{text}")), json!("drifted")];
            let shorter: String = text.chars().skip(1).collect();
            if !shorter.trim().is_empty() {
                others.push(json!(shorter));
            }
            if let Ok(number) = text.parse::<i64>() {
                others = vec![json!((number + 7).to_string()), json!(number + 1)];
            }
            others
        }
        _ => vec![json!("drifted")],
    }
}

/// Calls `then` with every change of one leaf, item or attribute of `observed` that `declared` speaks of.
fn mutations(declared: &Value, observed: &Value, then: &mut dyn FnMut(&str, &dyn Fn(&mut Value))) {
    visit(declared, observed, &mut String::new(), then);
}

fn visit(declared: &Value, observed: &Value, path: &mut String, then: &mut dyn FnMut(&str, &dyn Fn(&mut Value))) {
    match (declared, observed) {
        (Value::Object(declared), Value::Object(observed)) => {
            for (name, value) in declared {
                let Some(other) = observed.get(name) else { continue };
                let end = path.len();
                let _ = write!(path, "/{}", name.replace('~', "~0").replace('/', "~1"));
                visit(value, other, path, then);
                if value == other && !is_hollow(value) {
                    let (parent, name) = (path[..end].to_owned(), name.clone());
                    then(path, &move |tree| remove(tree, &parent, &name));
                }
                path.truncate(end);
            }
        }
        (Value::Array(declared), Value::Array(observed)) => {
            for item in declared.iter().filter(|item| !is_hollow(item)) {
                let Some(index) = observed.iter().position(|other| other == item) else { continue };
                let end = path.len();
                let _ = write!(path, "/{index}");
                visit(item, item, path, then);
                let list = path[..end].to_owned();
                then(path, &move |tree| {
                    if let Some(Value::Array(items)) = tree.pointer_mut(&list) {
                        items.remove(index);
                    }
                });
                path.truncate(end);
            }
        }
        (left, right) if left == right && !is_hollow(left) => {
            for value in others_than(left) {
                let place = path.clone();
                then(path, &move |tree| {
                    if let Some(slot) = tree.pointer_mut(&place) {
                        *slot = value.clone();
                    }
                });
            }
        }
        _ => {}
    }
}

fn remove(tree: &mut Value, parent: &str, name: &str) {
    if let Some(map) = tree.pointer_mut(parent).and_then(Value::as_object_mut) {
        map.remove(name);
    }
}

/// Returns whether a value says nothing, so that nothing is lost with it.
fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_hollow),
        Value::Object(map) => map.contains_key("$unknown") || map.values().all(is_hollow),
        _ => false,
    }
}

fn is_readable(case: &Case, path: &str) -> bool {
    let path = generic(path);
    let hides = |pointer: &String| {
        let pointer = generic(pointer);
        path == pointer || path.starts_with(&format!("{pointer}/")) || pointer.starts_with(&format!("{path}/"))
    };
    !case.schema.write_only.iter().any(hides) && !case.schema.read_only.iter().any(hides)
}

fn mutate(case: &Case, score: &mut Score) {
    mutations(&case.declared, &case.observed, &mut |path, change| {
        if !is_readable(case, path) {
            return;
        }
        let mut observed = case.observed.clone();
        change(&mut observed);
        score.add("AWS mutations", 1);
        let found = case.compared(&observed);
        if !found.changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note(
                "AWS mutations missed",
                &format!("{} {path} {:?} -> {:?}", case.name, case.observed.pointer(path), observed.pointer(path)),
            );
        }
    });
}

fn ignore_of(rules: &Value) -> Ignore {
    let all = |name: &str| rules.as_array().into_iter().flatten().flat_map(|rule| texts(&rule[name])).collect();
    Ignore { pointers: all("jsonPointers"), managers: all("managedFieldsManagers") }
}

fn judge_pair(folder: &Path, entry: &Value, score: &mut Score) {
    let side =
        |name: &str| entry[name].as_str().map_or(Value::Null, |path| json_of(&folder.join("k8s-diff").join(path)));
    let (config, live) = (side("config"), side("live"));
    let modified = entry["expected_modified"] == json!(true);
    score.add("Kubernetes pairs", 1);
    if naive(&config, &live) == modified && !config.is_null() {
        score.add("Kubernetes pairs wrong in the naive comparison", 1);
    }
    let mut ignore = ignore_of(&entry["ignore"]);
    if entry["options"]["ignoreAggregatedRoles"] == json!(true) {
        // An option there, an ignore rule here.
        ignore.pointers.push("/rules".to_owned());
    }
    let kind = Kind::new(config["kind"].as_str().unwrap_or("Pod").to_owned());
    let (schema, mask) = (Schema::default(), MaskKey::new([7; 32]));
    let context = Context::default();
    let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask };
    let mut found = compare(&config, &live, facts);
    let predicted = side("predicted_live");
    if !predicted.is_null() {
        // What an apply would leave is complete: what it lacks is given up, what it has more is to come.
        found.changes.extend(compare(&predicted, &live, facts).changes);
        found.changes.extend(compare(&live, &predicted, facts).changes);
    }
    ignore.take(&mut found, &config, &live);
    if !modified && !config.is_null() && predicted.is_null() {
        mutate_pair(entry, (&config, &live), facts, score);
    }
    if found.changes.is_empty() == modified {
        let line = if modified { "Kubernetes misses" } else { "Kubernetes false alarms" };
        score.note(line, &format!("{} {:?}", entry["name"], found.changes));
    }
    for path in texts(&entry["expected_change_paths_include"]) {
        if !found.changes.iter().any(|change| overlaps(&path, &change.path)) {
            score.note("Kubernetes changes missed", &format!("{} {path}", entry["name"]));
        }
    }
    // What a rule names in the language of jq is not hidden here.
    let jq = entry["needs"].as_array().is_some_and(|needs| needs.contains(&json!("ignore:jq")));
    for path in texts(&entry["expected_change_paths_exclude"]).into_iter().filter(|_| !jq) {
        if found.changes.iter().any(|change| overlaps(&path, &change.path)) {
            score.note("Kubernetes changes not hidden", &format!("{} {path}", entry["name"]));
        }
    }
    for change in entry["expected_changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        if !found.changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note("Kubernetes changes missed", &format!("{} {path}", entry["name"]));
        }
    }
}

fn mutate_pair(entry: &Value, (config, live): (&Value, &Value), facts: Facts<'_>, score: &mut Score) {
    // What the server keeps says nothing, and neither does what the case itself ignores.
    let kept = [
        "/apiVersion",
        "/status",
        "/metadata/namespace",
        "/metadata/creationTimestamp",
        "/metadata/generation",
        "/metadata/uid",
    ];
    let lists = entry["ignore"].as_array().is_some() || entry["options"].is_object();
    mutations(config, live, &mut |path, change| {
        if lists || kept.iter().any(|kept| overlaps(kept, path)) || path.contains("last-applied") {
            return;
        }
        let mut mutated = live.clone();
        change(&mut mutated);
        score.add("Kubernetes mutations", 1);
        if !compare(config, &mutated, facts).changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note("Kubernetes mutations missed", &format!("{} {path} {:?}", entry["name"], mutated.pointer(path)));
        }
    });
}

fn measured(folder: &Path) -> Score {
    let mut score = Score::default();
    for line in LINES {
        score.add(line, 0);
    }
    for case in cases(folder) {
        judge(&case, &mut score);
        mutate(&case, &mut score);
    }
    for entry in json_of(&folder.join("k8s-diff/manifest.json")).as_array().unwrap() {
        judge_pair(folder, entry, &mut score);
    }
    score
}

/// What the document lists, in its order.
const LINES: [&str; 18] = [
    "AWS cases",
    "AWS cases without drift",
    "AWS cases with drift",
    "AWS false alarms of the naive comparison",
    "AWS false alarms",
    "AWS misses",
    "AWS mutations",
    "AWS mutations missed",
    "AWS undeclared beyond",
    "AWS undeclared lost",
    "Kubernetes pairs",
    "Kubernetes pairs wrong in the naive comparison",
    "Kubernetes false alarms",
    "Kubernetes misses",
    "Kubernetes changes missed",
    "Kubernetes changes not hidden",
    "Kubernetes mutations",
    "Kubernetes mutations missed",
];

fn document(score: &Score) -> String {
    let mut out = String::from(
        "# Accuracy of the comparison\n\nMeasured by `tests/conformance.rs` on recorded resources that nobody touched, on recorded drift, and on every\n\
         change of one declared, readable value of them. Generated: `DRIFTWARDEN_UPDATE=1 cargo test conformance`.\n\n| what | count |\n|---|---:|\n",
    );
    for line in LINES {
        let _ = writeln!(out, "| {line} | {} |", score.lines.get(line).copied().unwrap_or_default());
    }
    let rate = |part: &str, whole: &str| {
        let count = |line: &str| score.lines.get(line).copied().unwrap_or_default();
        100.0 * f64::from(u32::try_from(count(part)).unwrap()) / f64::from(u32::try_from(count(whole)).unwrap().max(1))
    };
    let _ = writeln!(
        out,
        "\nFalse alarms: {:.2} % of the AWS cases (naive: {:.1} % of those without drift).",
        rate("AWS false alarms", "AWS cases"),
        rate("AWS false alarms of the naive comparison", "AWS cases without drift")
    );
    let _ = writeln!(out, "Recall under change: {:.2} %.", 100.0 - rate("AWS mutations missed", "AWS mutations"));
    out.push_str(
        "\nWhat is still wrong. A missed mutation takes away what the kind's schema says it would be anyway: its default, or a secret that \
         is not given back.\n\n",
    );
    for line in &score.known {
        let _ = writeln!(out, "{line}");
    }
    out
}

#[test]
fn the_published_score_is_the_measured_one() {
    let Some(folder) = recordings() else { return };
    let score = measured(&folder);
    for note in &score.notes {
        println!("{note}");
    }
    let path = project().join("docs/accuracy.md");
    let text = document(&score);
    println!("{text}");
    if std::env::var_os("DRIFTWARDEN_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "docs/accuracy.md is stale");
}

#[test]
fn no_secret_of_the_recordings_is_shown() {
    let Some(folder) = recordings() else { return };
    for entry in json_of(&folder.join("k8s-diff/secret-masking.json")).as_array().unwrap() {
        let (kind, schema, mask, context) =
            (Kind::from("Secret"), Schema::default(), MaskKey::new([7; 32]), Context::default());
        let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask };
        let found = compare(&entry["target"], &entry["live"], facts);
        let shown = format!("{found:?}");
        let secrets = ["target", "live"].into_iter().flat_map(|side| {
            let values = |name: &str| entry[side][name].as_object().cloned().unwrap_or_default();
            values("data").into_iter().chain(values("stringData")).collect::<Map<_, _>>()
        });
        for (name, secret) in secrets.filter(|(_, secret)| secret.as_str().is_some_and(|text| text.len() > 5)) {
            assert!(!shown.contains(secret.as_str().unwrap()), "{} {name}", entry["name"]);
        }
        for forbidden in texts(&entry["forbidden"]) {
            assert!(!shown.contains(&forbidden), "{}", entry["name"]);
        }
    }
}

#[test]
fn scalars_are_equal_as_recorded() {
    let Some(folder) = recordings() else { return };
    for entry in json_of(&folder.join("k8s-diff/scalar-equality.json")).as_array().unwrap() {
        let at = |value: &Value| match entry["type"].as_str() {
            Some("core/Quantity") => json!({"spec": {"resources": {"limits": {"cpu": value}}}}),
            Some(_) => json!({"spec": {"duration": value}}),
            None => json!({"spec": {"mode": value}}),
        };
        let (kind, schema, mask, context) =
            (Kind::from("Pod"), Schema::default(), MaskKey::new([7; 32]), Context::default());
        let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask };
        let found = compare(&at(&entry["a"]), &at(&entry["b"]), facts);
        assert_eq!(json!(found.changes.is_empty()), entry["equal"], "{entry}");
    }
}

/// Returns the pointer that says what an expression of jq says, as far as the recordings use it.
fn pointer_of(jq: &str) -> String {
    let (path, selected) = jq.split_once(" | select(.").unwrap_or((jq, ""));
    let item = selected.trim_end_matches(')').replace(" == ", "=").replace('"', "");
    let path = path.replace("[]", ".*").replace('[', ".").replace([']'], "").replace('.', "/");
    if item.is_empty() { path } else { format!("{}/[{item}]", path.trim_end_matches("/*")) }
}

#[test]
fn a_fix_writes_what_is_declared_and_leaves_what_is_ignored() {
    let Some(folder) = recordings() else { return };
    for entry in json_of(&folder.join("k8s-diff/respect-ignore.json")).as_array().unwrap() {
        let mut ignore = ignore_of(&entry["ignore"]);
        let jq = entry["ignore"].as_array().unwrap().iter().flat_map(|rule| texts(&rule["jqPathExpressions"]));
        ignore.pointers.extend(jq.map(|expression| pointer_of(&expression)));
        let kind = Kind::new(entry["config"]["kind"].as_str().unwrap());
        let (schema, mask, context) = (Schema::default(), MaskKey::new([7; 32]), Context::default());
        let facts = Facts { kind: &kind, schema: &schema, context: &context, depth: Depth::Full, mask: &mask };
        let written = writable(&entry["config"], &entry["live"], &ignore, facts);
        for (path, expected) in entry["expect"].as_object().unwrap() {
            let found = match path.strip_prefix("len:") {
                Some(path) => json!(written.pointer(path).unwrap().as_array().unwrap().len()),
                None => written.pointer(path).cloned().unwrap_or(Value::Null),
            };
            assert_eq!(found, *expected, "{} {path}", entry["name"]);
        }
    }
}

#[test]
fn ignore_rules_hide_what_they_name() {
    let Some(folder) = recordings() else { return };
    let rules = json_of(&folder.join("k8s-diff/ignore-rules.json"));
    for entry in rules.as_array().unwrap() {
        // Who owns what is only known of the live side; the desired side has a case of its own.
        let live = entry["name"].as_str().unwrap_or_default().replace("-config", "-live");
        let live = rules.as_array().unwrap().iter().find(|other| other["name"] == live.as_str()).unwrap_or(entry);
        let (object, ignore) = (&entry["object"], ignore_of(&entry["ignore"]));
        let applies = entry["ignore"].as_array().into_iter().flatten().all(|rule| {
            let group =
                object["apiVersion"].as_str().unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
            let fits = |pattern: &Value, text: &str| pattern == "*" || pattern == text;
            fits(&rule["group"], group) && fits(&rule["kind"], object["kind"].as_str().unwrap_or_default())
        });
        let hidden = |path: &str| {
            let mut found = Comparison { undeclared: vec![path.to_owned()], ..Comparison::default() };
            ignore.take(&mut found, object, &live["object"]);
            applies && found.undeclared.is_empty()
        };
        for path in texts(&entry["gone"]) {
            assert!(hidden(&path), "{} {path}", entry["name"]);
        }
        for path in texts(&entry["kept"]) {
            assert!(!hidden(&path), "{} {path}", entry["name"]);
        }
    }
}
