//! The demo from the outside: what anybody runs first has to work with nothing but the program.

use std::process::Command;

use tempfile::TempDir;

/// What the demo printed at its end, by the first words of the line.
struct Closing(String);

impl Closing {
    fn number(&self, line: &str) -> u32 {
        let rest = self.0.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_else(|| panic!("{}", self.0));
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }
}

fn play(folder: &TempDir, length: &str) -> Closing {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftwarden"));
    // Neither `git` nor `python` nor anybody's credentials are to be found.
    command.args(["demo", "--for", length]).env_clear().env("TMPDIR", folder.path());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Closing(text)
}

#[test]
fn the_demo_finds_what_was_changed_mends_and_cries_wolf_never() {
    let folder = TempDir::new().unwrap();
    let closing = play(&folder, "45s");
    assert!(closing.number("changes by the intruder") >= 3, "{}", closing.0);
    assert_eq!(closing.number("confirmed"), closing.number("changes by the intruder"), "{}", closing.0);
    assert!(closing.number("mended by the hook") >= 1, "{}", closing.0);
    assert_eq!(closing.number("false alarms"), 0, "{}", closing.0);
    assert!(closing.0.contains("unapplied commits         2, of which 2 were"), "{}", closing.0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}
