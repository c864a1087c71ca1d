//! Rules about the source, kept by code: layers, first lines, secrets of style that no compiler knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom, besides `driftwarden-core`, `telemetry`, `secret` and `view`, which every part may.
/// Arrows point down this table only.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "audit", "config", "demo", "ledger", "rulebook", "schedule", "store"]),
    ("demo", &["app", "rulebook", "schedule", "store"]),
    ("app", &["*"]),
    ("config", &["api", "audit", "collect", "desired", "notify", "outbox", "remediate", "rulebook", "scan", "store"]),
    ("schedule", &["scan", "store"]),
    ("scan", &["collect", "store"]),
    ("schemas", &["collect", "store"]),
    ("related", &["collect"]),
    ("outbox", &["store", "notify", "remediate"]),
    ("ledger", &["audit", "store"]),
    ("api", &["store", "schedule"]),
    ("collect", &[]),
    ("desired", &[]),
    ("rulebook", &[]),
    ("store", &[]),
    ("audit", &[]),
    ("notify", &[]),
    ("remediate", &[]),
    ("telemetry", &[]),
    ("secret", &[]),
    ("view", &[]),
];

/// What every part may use.
const COMMON: &[&str] = &["telemetry", "secret", "view", "outbound", "yaml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns the part that a file of `monitor/` belongs to.
fn part(path: &Path) -> String {
    let inner = path.strip_prefix(root().join("monitor")).unwrap();
    let first = inner.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Returns the parts that a source names as `crate::part`.
fn used(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    text.split("crate::").skip(1).map(word).filter(|word| !word.is_empty()).collect()
}

#[test]
fn parts_use_only_the_layers_below_them() {
    let mut wrong = Vec::new();
    for path in sources("monitor") {
        let part = part(&path);
        if ["build", "core", "lib"].contains(&part.as_str()) {
            continue;
        }
        let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == part) else {
            // A small shared module that everybody may use uses nobody.
            assert!(COMMON.contains(&part.as_str()), "{part} is not in the table of layers");
            continue;
        };
        for used in used(&fs::read_to_string(&path).unwrap()) {
            let is_fine = used == part || may.contains(&"*") || may.contains(&used.as_str());
            if !is_fine && !COMMON.contains(&used.as_str()) {
                wrong.push(format!("{}: `{part}` must not use `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in ["monitor", "tests", "benches"].into_iter().filter(|f| root().join(f).exists()).flat_map(sources) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with `//!`", path.display());
    }
}

#[test]
fn only_the_clock_asks_the_time() {
    let asks = ["Timestamp::now()", "SystemTime::now()", "Utc::now()"];
    for path in sources("monitor") {
        let text = fs::read_to_string(&path).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        let is_clock = part(&path) == "schedule";
        assert!(is_clock || !asks.iter().any(|ask| production.contains(ask)), "{} asks the time", path.display());
    }
}

/// Returns every word in a text that looks like a metric of ours.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c: char| !is_part(c))
        .filter(|word| word.starts_with("driftwarden_"))
        .map(|word| {
            let word = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            word.to_owned()
        })
        .collect()
}

/// Returns the name of every metric that is registered, as it is scraped but without `_total`. Read from the source: a
/// metric without a sample is not scraped at all.
fn registered() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("monitor/telemetry/metrics.rs")).unwrap();
    let calls = |call: &str, end: &str| -> Vec<String> {
        let call = format!("r.{call}(\"");
        let named = source.split(&call).skip(1).filter_map(|rest| rest.split('"').next());
        named.map(|name| format!("driftwarden_{name}{end}")).collect()
    };
    [calls("register", ""), calls("register_with_unit", "_seconds")].concat().into_iter().collect()
}

#[test]
fn metrics_named_in_dashboards_and_alerts_exist() {
    let known = registered();
    assert!(known.contains("driftwarden_findings") && known.contains("driftwarden_scan_duration_seconds"));
    for folder in ["dashboards", "alerts"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            for metric in metrics_in(&fs::read_to_string(&path).unwrap()) {
                assert!(known.contains(metric.trim_end_matches("_total")), "{}: no metric `{metric}`", path.display());
            }
        }
    }
}
