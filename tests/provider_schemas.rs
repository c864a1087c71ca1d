//! What AWS itself states of its kinds: every one of its schemas is read, and says what the recordings say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use driftwarden_core::resource::Kind;
use driftwarden_core::schema::{Schema, cloudformation};
use serde_json::Value;

use crate::conformance::score::Score;
use crate::conformance::{Case, cases, json_of, mutate, overlaps, recordings};
use crate::harness::peers;

/// Where AWS's schemas are, by kind.
pub(crate) fn documents() -> Option<BTreeMap<String, PathBuf>> {
    let folder = peers::available("cfn-lint", peers::provider_schemas())?;
    let kinds = json_of(&folder.join("providers/us-east-1.json"));
    let file = |hash: &Value| folder.join("resources").join(format!("{}.json", hash.as_str().unwrap()));
    Some(kinds.as_object().unwrap().iter().map(|(kind, hash)| (kind.clone(), file(hash))).collect())
}

fn schema(path: &Path) -> Schema {
    cloudformation::read(&json_of(path)).unwrap().1
}

/// Returns a schema as the recordings have it: with what is made anew only under conditions among what always is.
fn as_recorded(path: &Path) -> Schema {
    let mut document = json_of(path);
    let lists = ["createOnlyProperties", "conditionalCreateOnlyProperties"].map(|name| document[name].clone());
    document["createOnlyProperties"] = lists.iter().filter_map(Value::as_array).flatten().cloned().collect();
    cloudformation::read(&document).unwrap().1
}

#[test]
fn every_schema_of_aws_is_read() {
    let Some(documents) = documents() else { return };
    let mut most = (0, "");
    for (kind, path) in &documents {
        let (named, schema) = cloudformation::read(&json_of(path)).unwrap();
        assert_eq!(named.as_str(), kind);
        let Schema { read_only, write_only, create_only, defaults, unordered, partial, free_form, .. } = schema;
        let lists = [read_only, write_only, create_only, unordered, partial, free_form];
        let pointers = lists.iter().map(Vec::len).sum::<usize>() + defaults.len();
        most = most.max((pointers, kind));
    }
    println!("{} schemas are read; the largest is {} with {} facts", documents.len(), most.1, most.0);
    assert!(documents.len() > 1500 && most.0 < 20_000);
}

/// How many facts both say, only the recording, and only the schema that AWS has now.
#[derive(Default)]
struct Agreement {
    both: usize,
    recorded: Vec<String>,
    stated: Vec<String>,
}

impl Agreement {
    fn add(&mut self, kind: &str, recorded: &BTreeSet<String>, stated: &BTreeSet<String>) {
        self.both += recorded.intersection(stated).count();
        self.recorded.extend(recorded.difference(stated).map(|fact| format!("{kind} {fact}")));
        self.stated.extend(stated.difference(recorded).map(|fact| format!("{kind} {fact}")));
    }
}

fn facts(schema: &Schema) -> [(&'static str, BTreeSet<String>); 6] {
    let Schema { read_only, write_only, create_only, defaults, unordered, free_form, .. } = schema;
    let set = |list: &[String]| list.iter().cloned().collect();
    let defaults = defaults.iter().filter(|(_, value)| !value.is_null());
    [
        ("read_only", set(read_only)),
        ("write_only", set(write_only)),
        ("create_only", set(create_only)),
        ("defaults", defaults.map(|(path, value)| format!("{path} {value}")).collect()),
        ("unordered", set(unordered)),
        ("free_form", set(free_form)),
    ]
}

/// What only the recordings say AWS has withdrawn since, or the linter corrects: the `Id` that its oldest kinds never
/// had, the launch template of an instance that can be read now, the DNS options of a lattice association that can be
/// changed now. What AWS states beyond them is newer, or a list or a map that the recordings leave out.
#[test]
fn what_aws_states_agrees_with_what_was_recorded() {
    let (Some(folder), Some(documents)) = (recordings(), documents()) else { return };
    let mut agreements: BTreeMap<&str, Agreement> = BTreeMap::new();
    for case in cases(&folder) {
        let stated = facts(&as_recorded(&documents[case.kind.as_str()]));
        for ((name, recorded), (_, stated)) in facts(&case.schema).iter().zip(&stated) {
            agreements.entry(name).or_default().add(case.kind.as_str(), recorded, stated);
        }
    }
    for (name, Agreement { both, recorded, stated }) in &agreements {
        println!("{name}: {both} agree, {} only recorded, {} only stated", recorded.len(), stated.len());
        let distinct: BTreeSet<&String> = recorded.iter().collect();
        for fact in distinct {
            println!("  only recorded: {fact}");
        }
        assert!(recorded.len() * 100 <= *both * 2, "{name}");
    }
}

/// Returns what is wrong with the comparison of a recorded resource: false alarms, and drifts that were missed.
fn mistakes(case: &Case) -> (Vec<String>, Vec<String>) {
    let changes = case.compared(&case.observed).changes;
    let is_expected = |path: &str| case.drifted.iter().any(|known| overlaps(known, path));
    let alarms = changes.iter().filter(|change| !is_expected(&change.path));
    let missed = case.drifted.iter().filter(|path| !changes.iter().any(|change| overlaps(path, &change.path)));
    (alarms.map(|change| format!("{} {}", case.name, change.path)).collect(), missed.cloned().collect())
}

/// Counts the cases with a false alarm, and prints each under the name of what was compared with.
fn alarms(cases: &[Case], under: &str) -> usize {
    let mistakes: Vec<_> = cases.iter().map(mistakes).collect();
    for alarm in mistakes.iter().flat_map(|(alarms, _)| alarms) {
        println!("false alarm under {under}: {alarm}");
    }
    let missed: Vec<&String> = mistakes.iter().flat_map(|(_, missed)| missed).collect();
    assert!(missed.is_empty(), "missed under {under}: {missed:?}");
    mistakes.iter().filter(|(alarms, _)| !alarms.is_empty()).count()
}

#[test]
fn the_schema_of_today_raises_no_more_false_alarms_than_the_recorded_one() {
    let (Some(folder), Some(documents)) = (recordings(), documents()) else { return };
    let recorded = alarms(&cases(&folder), "the recorded schema");
    let under = |schema: &dyn Fn(&Kind) -> Schema| {
        let mut cases = cases(&folder);
        for case in &mut cases {
            case.schema = schema(&case.kind);
        }
        cases
    };
    let stated = alarms(&under(&|kind| schema(&documents[kind.as_str()])), "the stated schema");
    let without = alarms(&under(&|_| Schema::default()), "no schema");
    println!("cases with false alarms: {recorded} under the recorded schema, {stated} stated, {without} without");
    assert!(stated <= recorded + 2 && stated < without);
}

#[test]
fn the_schema_of_today_hides_no_change() {
    let (Some(folder), Some(documents)) = (recordings(), documents()) else { return };
    let mut score = Score::default();
    for mut case in cases(&folder) {
        case.schema = schema(&documents[case.kind.as_str()]);
        mutate(&case, &mut score);
    }
    let (all, missed) = (score.count("AWS mutations"), score.count("AWS mutations missed"));
    println!("{missed} of {all} changes are missed under the stated schema\n{}", score.notes.join("\n"));
    assert!(missed * 1000 <= all * 5);
}
