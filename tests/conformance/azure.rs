//! One estate of Azure, read through its resource manager and through Resource Graph: both say the same.
//!
//! Nobody touched it between the two readings, so each is in sync with the other whichever is taken for the declared one.

use std::path::{Path, PathBuf};

use driftwarden_core::compare::{Comparison, Context, Facts, MaskKey, Strictly, compare};
use driftwarden_core::resource::{Depth, Kind};
use driftwarden_core::schema::Schema;
use serde_json::{Map, Value};

use super::clouds::is_azures_own;
use super::mutate::mutations;
use super::score::Score;
use super::{json_of, naive, overlaps, project};

/// Returns the recordings in which one estate was read in two ways.
fn recordings() -> Vec<PathBuf> {
    let beside = || project().join("../shared/recorded");
    let folder = std::env::var_os("DRIFTWARDEN_RECORDED").map_or_else(beside, PathBuf::from).join("azure");
    let files = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.to_string_lossy().contains("ResourceGraphSource")).collect();
    files.sort();
    if files.is_empty() {
        println!("no recordings at {}: nothing is measured", folder.display());
    }
    files
}

/// Measures every recorded resource in both directions.
pub(super) fn measure(score: &mut Score) {
    for file in recordings() {
        let (listed, graph) = readings(&file);
        for one in &listed {
            for other in graph.iter().filter(|other| id(other) == id(one)) {
                score.add("Azure resources read in two ways", 1);
                score.add("Azure comparisons", 2);
                judge(one, other, score);
                judge(other, one, score);
            }
        }
    }
}

/// Returns what the resource manager and what Resource Graph answered.
fn readings(file: &Path) -> (Vec<Value>, Vec<Value>) {
    let recorded = json_of(file);
    let bodies = |method: &'static str| {
        let interactions = recorded["interactions"].as_array().unwrap().iter();
        interactions.filter(move |one| one["request"]["method"] == method).map(|one| &one["response"]["body"]["data"])
    };
    let listed = bodies("GET").filter_map(|data| data["value"].as_array()).flatten().cloned().collect();
    (listed, bodies("POST").flat_map(rows).collect())
}

/// Returns the rows of a table as objects, without the columns that are empty or say where the row stands.
fn rows(data: &Value) -> Vec<Value> {
    let names: Vec<_> = data["data"]["columns"].as_array().unwrap_or(&Vec::new()).iter().map(column).collect();
    let table = data["data"]["rows"].as_array().or_else(|| data["rows"].as_array());
    let own = |name: &str| !matches!(name, "resourceGroup" | "subscriptionId" | "tenantId");
    table
        .into_iter()
        .flatten()
        .map(|row| {
            let cells = names.iter().cloned().zip(row.as_array().into_iter().flatten().cloned());
            Value::Object(cells.filter(|(name, cell)| own(name) && !is_blank(cell)).collect::<Map<_, _>>())
        })
        .collect()
}

fn column(column: &Value) -> String {
    column["name"].as_str().unwrap_or_default().to_owned()
}

fn is_blank(cell: &Value) -> bool {
    cell.is_null() || cell == ""
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_default().to_ascii_lowercase()
}

fn compared(declared: &Value, observed: &Value) -> Comparison {
    let kind = Kind::new(declared["type"].as_str().unwrap().to_owned());
    let (schema, context, mask) = (Schema::default(), Context::default(), MaskKey::new([7; 32]));
    let facts = Facts {
        kind: &kind,
        schema: &schema,
        context: &context,
        depth: Depth::Full,
        mask: &mask,
        strictly: Strictly::default(),
    };
    compare(declared, observed, facts)
}

fn judge(declared: &Value, observed: &Value, score: &mut Score) {
    if !naive(declared, observed) {
        score.add("Azure false alarms of the naive comparison", 1);
    }
    let found = compared(declared, observed);
    if !found.changes.is_empty() {
        let name = declared["name"].as_str().unwrap_or_default();
        let paths: Vec<_> = found.changes.iter().map(|change| change.path.as_str()).collect();
        score.note("Azure false alarms", &format!("{name} {} {:?}", paths.join(","), found.changes));
    }
    let kind = declared["type"].as_str().unwrap();
    mutations(declared, observed, &mut |path, change| {
        if is_azures_own(kind, (path, observed.pointer(path))) {
            return;
        }
        let mut mutated = observed.clone();
        change(&mut mutated);
        score.add("Azure mutations", 1);
        if !compared(declared, &mutated).changes.iter().any(|change| overlaps(path, &change.path)) {
            score.note("Azure mutations missed", &format!("{} {path} {:?}", declared["type"], mutated.pointer(path)));
        }
    });
}
