//! The published score: how often the comparison cries wolf, and how often it stays silent, on recorded clouds.
//!
//! The recordings stay beside the project, in `../shared/conformance` or where `DRIFTWARDEN_CONFORMANCE` says; without
//! them these tests say so and pass. The numbers stand in `docs/accuracy.md`, which is generated
//! (`DRIFTWARDEN_UPDATE=1`) and stale when it says anything else than what is measured here.

mod azure;
mod clouds;
pub mod mutate;
pub mod score;
mod sly;
mod unseen;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use driftwarden_core::compare::{
    Comparison, Context, Facts, Ignore, Knowledge, MaskKey, Strict, Strictly, apply, compare, compare_knowing, writable,
};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::Schema;
use serde_json::{Map, Value, json};

use mutate::mutations;
use score::{CLASSES, NAIVE, SCHEMA, Score};

fn project() -> PathBuf {
    std::env::var_os("DRIFTWARDEN_PROJECT").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Returns the folder of the recordings, if it is there.
pub fn recordings() -> Option<PathBuf> {
    let beside = || project().join("../shared/conformance");
    let folder = std::env::var_os("DRIFTWARDEN_CONFORMANCE").map_or_else(beside, PathBuf::from);
    let there = folder.join("aws-diff").is_dir();
    if !there {
        println!("no recordings at {}: nothing is measured", folder.display());
    }
    there.then_some(folder)
}

pub fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(ToOwned::to_owned)).collect()
}

/// One recorded resource.
pub struct Case {
    pub name: String,
    pub kind: Kind,
    pub declared: Value,
    pub observed: Value,
    pub schema: Schema,
    context: Context,
    pub drifted: Vec<String>,
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
                related: context["related"].clone().into(),
            },
            drifted: texts(&expected["drifted"]),
            undeclared: texts(&expected["undeclared"]),
        }
    }

    /// Compares as the daemon does: with the lists that decide about security watched.
    fn compared_strictly(&self) -> Comparison {
        let strict = Strict::usual(&self.kind);
        self.compared_by(&self.observed, Strictly { strict: Some(&strict), ..Strictly::default() }, &Knowledge::WHOLE)
    }

    pub fn compared(&self, observed: &Value) -> Comparison {
        self.compared_by(observed, Strictly::default(), &Knowledge::WHOLE)
    }

    fn known(&self, observed: &Value, knowledge: &Knowledge) -> Comparison {
        self.compared_by(observed, Strictly::default(), knowledge)
    }

    fn compared_by(&self, observed: &Value, strictly: Strictly<'_>, knowledge: &Knowledge) -> Comparison {
        let mask = MaskKey::new([7; 32]);
        let facts = Facts {
            kind: &self.kind,
            schema: &self.schema,
            context: &self.context,
            depth: Depth::Full,
            mask: &mask,
            strictly,
        };
        compare_knowing(&self.declared, observed, facts, knowledge)
    }
}

pub fn cases(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("aws-diff")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths.iter().map(|path| Case::of(&json_of(path))).collect()
}

/// Returns a pointer with `*` for every item, so that the order of a list says nothing.
pub fn generic(pointer: &str) -> String {
    let step = |step: &str| {
        if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) { "*".to_owned() } else { step.to_owned() }
    };
    pointer.split('/').map(step).collect::<Vec<_>>().join("/")
}

/// Returns whether one of two pointers leads through the other.
pub fn overlaps(left: &str, right: &str) -> bool {
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

fn judge(case: &Case, score: &mut Score) {
    let found = case.compared(&case.observed);
    let clean = case.drifted.is_empty();
    score.add("AWS cases", 1);
    score.add(if clean { "AWS cases without drift" } else { "AWS cases with drift" }, 1);
    if clean && !naive(&case.declared, &case.observed) {
        score.add(NAIVE, 1);
    }
    for (tier, knowledge) in [(SCHEMA, Knowledge::SCHEMA), (CLASSES, Knowledge::CLASSES)] {
        if clean && !case.known(&case.observed, &knowledge).changes.is_empty() {
            score.add(tier, 1);
        }
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

fn is_readable(case: &Case, path: &str) -> bool {
    let path = generic(path);
    let hides = |pointer: &String| {
        let pointer = generic(pointer);
        path == pointer || path.starts_with(&format!("{pointer}/")) || pointer.starts_with(&format!("{path}/"))
    };
    !case.schema.write_only.iter().any(hides) && !case.schema.read_only.iter().any(hides)
}

pub fn mutate(case: &Case, score: &mut Score) {
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

/// Changes what was read so that it is easily taken for what it was.
fn mutate_slyly(case: &Case, score: &mut Score) {
    for change in sly::changes(&case.declared, &case.observed) {
        let line = sly::CLASSES.iter().find(|(class, ..)| *class == change.class);
        let Some((_, made, missed)) = line.filter(|_| is_readable(case, &change.path)) else { continue };
        let mut observed = case.observed.clone();
        *observed.pointer_mut(&change.path).unwrap() = change.value;
        score.add(made, 1);
        score.add("AWS sly mutations", 1);
        if !case.compared(&observed).changes.iter().any(|found| overlaps(&change.path, &found.path)) {
            score.add("AWS sly mutations missed", 1);
            score.note(missed, &format!("{} {} {:?}", case.name, change.path, observed.pointer(&change.path)));
        }
    }
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
    let facts = Facts {
        kind: &kind,
        schema: &schema,
        context: &context,
        depth: Depth::Full,
        mask: &mask,
        strictly: Strictly::default(),
    };
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
            score.note("Kubernetes changes missed or not hidden", &format!("{} {path}", entry["name"]));
        }
    }
    // What a rule names in the language of jq is not hidden here.
    let jq = entry["needs"].as_array().is_some_and(|needs| needs.contains(&json!("ignore:jq")));
    for path in texts(&entry["expected_change_paths_exclude"]).into_iter().filter(|_| !jq) {
        if found.changes.iter().any(|change| overlaps(&path, &change.path)) {
            score.note("Kubernetes changes missed or not hidden", &format!("{} {path}", entry["name"]));
        }
    }
    for change in entry["expected_changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        if !found.changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note("Kubernetes changes missed or not hidden", &format!("{} {path}", entry["name"]));
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
    let cases = cases(folder);
    for case in &cases {
        judge(case, &mut score);
        mutate(case, &mut score);
        mutate_slyly(case, &mut score);
    }
    let kinds: BTreeSet<_> = cases.iter().map(|case| case.kind.as_str()).collect();
    score.add("AWS kinds", kinds.len());
    unseen::estimate(&cases, &mut score);
    unseen::estimate_undeclared(&cases, &mut score);
    for entry in json_of(&folder.join("k8s-diff/manifest.json")).as_array().unwrap() {
        judge_pair(folder, entry, &mut score);
    }
    azure::measure(&mut score);
    clouds::measure(&mut score);
    score
}

#[test]
fn the_published_score_is_the_measured_one() {
    let Some(folder) = recordings() else { return };
    let score = measured(&folder);
    for note in &score.notes {
        println!("{note}");
    }
    let path = project().join("docs/accuracy.md");
    score.publish(&path);
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), score.document(), "docs/accuracy.md is stale");
}

/// The recordings call an attachment that nobody declared undeclared; watched strictly it is drift, and nothing else is.
#[test]
fn a_strict_list_counts_only_what_nobody_declared() {
    let Some(folder) = recordings() else { return };
    let mut counted = 0;
    for case in cases(&folder) {
        let plain = case.compared(&case.observed).changes;
        for change in case.compared_strictly().changes.into_iter().filter(|change| !plain.contains(change)) {
            let known = case.undeclared.iter().chain(&case.drifted);
            assert!(known.into_iter().any(|path| overlaps(path, &change.path)), "{} {change:?}", case.name);
            counted += 1;
        }
    }
    assert!(counted >= 2, "the recordings have attachments that nobody declared");
}

/// Every seventh change of every recording, so that all of them are looked at in a few seconds.
#[test]
fn a_change_is_gone_once_it_is_applied() {
    let Some(folder) = recordings() else { return };
    for case in cases(&folder) {
        let mut turn = 0_usize;
        let check = |observed: &Value| {
            let found = case.compared(observed);
            let mended = apply(&found.changes, &case.declared, observed);
            assert_eq!(case.compared(&mended).changes, [], "{}", case.name);
        };
        check(&case.observed);
        mutations(&case.declared, &case.observed, &mut |_, change| {
            turn += 1;
            if turn.is_multiple_of(7) {
                let mut observed = case.observed.clone();
                change(&mut observed);
                check(&observed);
            }
        });
    }
}

#[test]
fn a_recording_differs_neither_from_itself_nor_by_the_order_of_its_lists() {
    let Some(folder) = recordings() else { return };
    for case in cases(&folder) {
        let mut same = Case { declared: case.observed.clone(), ..case };
        assert_eq!(same.compared(&same.observed).changes, [], "{}", same.name);
        let mut turned = same.observed.clone();
        for pointer in &same.schema.unordered {
            turn(&mut turned, &pointer.split('/').skip(1).collect::<Vec<_>>());
        }
        same.declared = turned;
        assert_eq!(same.compared(&same.observed).changes, [], "{}", same.name);
    }
}

/// Turns the lists at a pointer with `*` for "each item" around.
fn turn(value: &mut Value, steps: &[&str]) {
    match (steps.split_first(), value) {
        (None, Value::Array(items)) => items.reverse(),
        (Some((&"*", rest)), Value::Array(items)) => items.iter_mut().for_each(|item| turn(item, rest)),
        (Some((&"*", rest)), Value::Object(map)) => map.values_mut().for_each(|item| turn(item, rest)),
        (Some((step, rest)), Value::Object(map)) => {
            if let Some(inner) = map.get_mut(*step) {
                turn(inner, rest);
            }
        }
        _ => {}
    }
}

/// Whatever is put into a list that decides about security is drift, on every recorded resource that has such a list.
#[test]
fn what_somebody_puts_into_a_strict_list_is_seen() {
    let Some(folder) = recordings() else { return };
    let rule = json!({"CidrIp": "198.51.100.7/32", "IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389});
    let intruders = [
        ("AWS::EC2::SecurityGroup", "SecurityGroupIngress", rule.clone()),
        ("AWS::EC2::SecurityGroup", "SecurityGroupEgress", rule),
        ("AWS::IAM::ManagedPolicy", "Roles", json!("intruder")),
        ("AWS::WAFv2::WebACL", "Rules", json!({"Name": "intruder", "Priority": 999, "Action": {"Allow": {}}})),
        ("AWS::Lambda::Function", "Layers", json!("arn:aws:lambda:us-east-1:999999999999:layer:intruder:1")),
        ("AWS::S3::Bucket", "ReplicationConfiguration", json!({"Role": "arn:aws:iam::999999999999:role/x"})),
    ];
    let mut seen = 0;
    for case in cases(&folder) {
        for (_, list, item) in intruders.iter().filter(|(kind, _, _)| *kind == case.kind.as_str()) {
            let mut observed = case.observed.clone();
            match observed.get_mut(list).filter(|found| !found.is_null()) {
                Some(Value::Array(items)) => items.push(item.clone()),
                Some(_) => continue,
                None if item.is_object() && *list == "ReplicationConfiguration" => observed[list] = item.clone(),
                None => observed[list] = json!([item]),
            }
            let strict = Strict::usual(&case.kind);
            let strictly = Strictly { strict: Some(&strict), ..Strictly::default() };
            let found = case.compared_by(&observed, strictly, &Knowledge::WHOLE);
            let path = format!("/{list}");
            assert!(found.changes.iter().any(|change| overlaps(&path, &change.path)), "{} {path}", case.name);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} recordings have such a list");
}

#[test]
fn no_secret_of_the_recordings_is_shown() {
    let Some(folder) = recordings() else { return };
    for entry in json_of(&folder.join("k8s-diff/secret-masking.json")).as_array().unwrap() {
        let (kind, schema, mask, context) =
            (Kind::from("Secret"), Schema::default(), MaskKey::new([7; 32]), Context::default());
        let facts = Facts {
            kind: &kind,
            schema: &schema,
            context: &context,
            depth: Depth::Full,
            mask: &mask,
            strictly: Strictly::default(),
        };
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
        let facts = Facts {
            kind: &kind,
            schema: &schema,
            context: &context,
            depth: Depth::Full,
            mask: &mask,
            strictly: Strictly::default(),
        };
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
        let facts = Facts {
            kind: &kind,
            schema: &schema,
            context: &context,
            depth: Depth::Full,
            mask: &mask,
            strictly: Strictly::default(),
        };
        let written = writable(&entry["config"], &entry["live"], &ignore, facts).unwrap();
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
