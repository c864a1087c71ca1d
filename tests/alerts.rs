//! The alerting rules that we ship, checked and tried by Prometheus' own tool.

use std::path::Path;
use std::path::PathBuf;

use crate::harness::observe;
use crate::harness::peers;

#[test]
fn alerts_rules_pass_promtool() {
    let Some(_) = peers::available("promtool", peers::debian()) else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    for file in files(&folder) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let command = if name.ends_with("_test.yaml") { ["test", "rules"] } else { ["check", "rules"] };
        let outcome = observe::promtool(&[command[0], command[1], &name], &folder, None);
        assert!(outcome.is_ok(), "{name}: {}", outcome.unwrap_err());
    }
}

/// Returns the YAML files of a folder, none while there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}
