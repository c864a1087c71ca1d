//! The daemon loses its power sixty times, at moments that a seed decides: nothing is lost, told twice or mended twice.
//!
//! What it did is judged from outside: by the ledger that its hook writes, by its API after the last start, by the chain
//! of its audit log.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::process;
use crate::harness::scripted;
use crate::harness::scripted::ConfigMaps;

const CUTS: u32 = 60;
const RESOURCES: usize = 24;

/// Appends what it gets on standard input to the ledger, in one line and one write. Without input it does nothing, as a
/// hook should: the power may go between its start and its input, and then nobody said what to mend.
const HOOK: &str = "#!/bin/sh\ninput=$(tr -d '\\n')\n[ -n \"$input\" ] || exit 1\nprintf '%s\\n' \"$input\" >>\"$(dirname \"$0\")/ledger\"\n";

/// Numbers that follow from a seed, so that a failure can be played again; the algorithm is `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

#[test]
fn sixty_power_cuts_lose_and_repeat_nothing() {
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let seed = std::env::var_os("DRIFTWARDEN_SEED").and_then(|text| text.to_str()?.parse().ok());
    let seed = seed.unwrap_or_else(process::random);
    say(&format!("power cuts: DRIFTWARDEN_SEED={seed}"));
    let mut dice = Dice(seed);
    let maps = scripted::config_maps(RESOURCES);
    git.commit(
        "ann",
        "declare",
        &[("all.yaml", &estate::documents(scripted::config_map_manifests(&maps).into_iter()))],
    );
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let mut daemon = Daemon::prepare(&config(&cluster.url(), &git.url()), &[("GIT_PASSWORD", "secret")]);
    install_hook(&daemon);
    let _mender = Mender::start(&daemon, &maps);
    for cut in 0..CUTS {
        daemon.launch();
        std::thread::sleep(Duration::from_millis(dice.roll(1500)));
        if cut % 4 == 3 {
            disturb(&maps, &mut dice);
        }
        daemon.kill9();
    }
    daemon.restart();
    check_findings(&daemon, &maps);
    check_ledger(&daemon);
    assert_eq!(daemon.stop(), Some(0));
    let config = daemon.config().display().to_string();
    let (code, output, complaint) = daemon.cli(&["audit", "verify", "--config", &config]);
    assert_eq!(code, 0, "{output}{complaint}");
}

fn config(cluster: &str, git: &str) -> String {
    // One for each resource: a hook is stopped after three calls that failed, and a power cut fails a call.
    let hooks = (0..RESOURCES).map(|at| {
        format!(
            "    - {{name: mend-{at:02}, match: ['name=shop/settings-{at:02}'], exec: {{command: [\"{{dir}}/hook.sh\"]}}, \
             mode: apply, cooldown: 0s, ramp_pause: 0s, verify_for: 5s, max_actions: 1000, max_percent: 100, \
             max_per_hour: 1000}}\n"
        )
    });
    let hooks: String = hooks.collect();
    format!(
        r#"
clouds:
  - {{name: shop, type: kubernetes, server: "{cluster}", cluster: shop, every: 1s, requests_per_second: 1000}}
desired:
  - name: infra
    git: {{url: "{git}", ref: main, every: 1s, username: ci, password: "${{env:GIT_PASSWORD}}"}}
    clouds: [shop]
hold: {{scans: 1, for: 0s}}
remediate:
  hooks:
{hooks}"#
    )
}

fn install_hook(daemon: &Daemon) {
    use std::os::unix::fs::PermissionsExt;
    let path = daemon.dir().join("hook.sh");
    std::fs::write(&path, HOOK).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Puts right what the ledger asks for, a moment later: time for the power to go between the call and its effect.
struct Mender(Arc<AtomicBool>);

impl Mender {
    fn start(daemon: &Daemon, maps: &ConfigMaps) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (end, ledger, maps) = (Arc::clone(&over), daemon.dir().join("ledger"), Arc::clone(maps));
        std::thread::spawn(move || {
            let mut done = 0;
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
                let calls = calls(&ledger);
                for finding in calls.iter().skip(done) {
                    let name = finding["resource"]["name"].as_str().unwrap().trim_start_matches("shop/");
                    maps.lock().unwrap().insert(name.to_owned(), json!({"mode": "on"}));
                }
                done = calls.len();
            }
        });
        Self(over)
    }
}

impl Drop for Mender {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the findings that the hook was called with, in order.
fn calls(ledger: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let inputs = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    inputs.map(|input| input.get("finding").cloned().unwrap_or(input)).collect()
}

/// Changes some objects behind Git's back, and puts others right.
fn disturb(maps: &ConfigMaps, dice: &mut Dice) {
    for data in maps.lock().unwrap().values_mut() {
        if dice.roll(4) == 0 {
            let mode = if data["mode"] == "on" { "off" } else { "on" };
            *data = json!({"mode": mode});
        }
    }
}

/// Every difference is one open finding, and every open finding is a difference.
fn check_findings(daemon: &Daemon, maps: &ConfigMaps) {
    let drifted = || {
        let maps = maps.lock().unwrap();
        let names = maps.iter().filter(|(_, data)| data["mode"] == "off").map(|(name, _)| format!("shop/{name}"));
        names.collect::<BTreeSet<_>>()
    };
    process::eventually("the open findings are the differences", 90, || {
        let findings = findings(daemon);
        let open = findings.iter().filter(|finding| finding["phase"] == "open");
        let names: Vec<_> = open.map(|finding| finding["resource"]["name"].as_str().unwrap().to_owned()).collect();
        let unique: BTreeSet<_> = names.iter().cloned().collect();
        assert_eq!(names.len(), unique.len(), "a finding is kept twice: {names:?}");
        (unique == drifted()).then_some(())
    });
    let prints: Vec<_> = findings(daemon).iter().map(|finding| finding["fingerprint"].to_string()).collect();
    assert_eq!(prints.len(), prints.iter().collect::<BTreeSet<_>>().len(), "a fingerprint is kept twice");
}

fn findings(daemon: &Daemon) -> Vec<Value> {
    let answer = daemon.api("/api/v1/findings?limit=1000").json();
    let list = answer.get("findings").or_else(|| answer.get("items")).cloned().unwrap_or(answer);
    list.as_array().cloned().unwrap_or_else(|| panic!("no list: {list}"))
}

/// No finding was mended twice in one generation; and something was mended at all.
fn check_ledger(daemon: &Daemon) {
    let mut runs = BTreeMap::<String, u32>::new();
    for finding in calls(&daemon.dir().join("ledger")) {
        *runs.entry(format!("{} {}", finding["fingerprint"], finding["generation"])).or_default() += 1;
    }
    say(&format!("power cuts: {} calls of hooks", runs.len()));
    assert!(runs.len() >= RESOURCES / 2, "too few calls to prove anything: {}", runs.len());
    let twice: Vec<_> = runs.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "mended twice: {twice:?}");
}

#[expect(clippy::print_stderr, reason = "a failure is played again with the seed")]
fn say(line: &str) {
    eprintln!("{line}");
}
