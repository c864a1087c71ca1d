//! What a look at a whole account costs: calls, CPU seconds, time at 0 and at 50 ms a call, memory; and what the next look costs.
//!
//! Nothing is judged here: it prints figures, of the build that is tested. It takes minutes, so it runs only when it is asked for:
//!
//! ```sh
//! cargo test --release --test tests -- --ignored --nocapture estate::reach
//! ```

use std::collections::BTreeMap;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::inventory::settings;
use super::{Emulator, kinds, owner};
use crate::harness::aws::{Checks, Ministack};
use crate::harness::aws_estate::{ACCOUNTS, AwsEstate, REGIONS, Writers};
use crate::harness::daemon::Daemon;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::recorder::{Call, Recorder, counted};

/// Runs a command and prints, after its end, what it took.
const MEASURE: &str = "
import json, resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'wall': time.monotonic() - began, 'cpu': used.ru_utime + used.ru_stime, 'peak_mb': used.ru_maxrss / 1024}))
";

/// Returns a configuration that reads one account in one region by all direct paths, and looks at it by the rules that we bring;
/// what was read before is read again in that way.
fn config(url: &str, rescan: &str) -> String {
    let mut cloud = settings(url, &kinds(Emulator::Ministack));
    cloud["type"] = "aws".into();
    cloud["every"] = "30s".into();
    cloud["rescan"] = rescan.into();
    cloud["accounts"] = json!([{"id": ACCOUNTS[0]}]);
    cloud["regions"] = json!([REGIONS[0]]);
    format!("clouds: [{cloud:#}]\nrules: [{{path: \"{}/rules\"}}]\n", env!("CARGO_MANIFEST_DIR"))
}

fn prepared(recorder: &Recorder, rescan: &str) -> Daemon {
    let key = owner();
    Daemon::prepare(
        &config(&recorder.url(), rescan),
        &[("AWS_ACCESS_KEY_ID", &key.id), ("AWS_SECRET_ACCESS_KEY", &key.secret)],
    )
}

/// Fills one account in one region, and says with what; nothing where it cannot be had.
fn sow(scale: f64) -> Option<Ministack> {
    let aws = Ministack::start(Checks::Nothing)?;
    aws.record_calls(false);
    let sown = AwsEstate::in_one_place(&aws.url()).sow(scale, Writers::Four);
    let things: u64 = sown.made.values().filter_map(Value::as_u64).sum();
    let kinds = kinds(Emulator::Ministack).len();
    println!("sown: {things} resources, {} calls, {:.0} s; {kinds} kinds are read", sown.calls, sown.seconds);
    Some(aws)
}

/// Scans once as a process, at so many milliseconds a call, and says what it took; returns its calls.
fn scan(recorder: &Recorder, wait: u64) -> Vec<Call> {
    recorder.delay(Duration::from_millis(wait));
    let took = measure(recorder);
    let calls = recorder.take();
    let refused = calls.iter().filter(|call| call.status >= 500).count();
    let figure = |name: &str| took[name].as_f64().unwrap();
    println!(
        "scan at {wait} ms a call: {} calls ({refused} answered 5xx), {:.1} s, {:.2} CPU seconds, {:.0} MB at most",
        calls.len(),
        figure("wall"),
        figure("cpu"),
        figure("peak_mb")
    );
    calls
}

/// Scans once as a process; returns what it took.
fn measure(recorder: &Recorder) -> Value {
    let (daemon, key) = (prepared(recorder, "lists"), owner());
    let mut command = Command::new(peers::python().unwrap().join("python"));
    command
        .args(["-c", MEASURE, env!("CARGO_BIN_EXE_driftwarden"), "scan", "-o", "json", "--config"])
        .arg(daemon.config())
        .current_dir(daemon.dir())
        .env("HOME", daemon.dir())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", &key.id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret);
    serde_json::from_str(&process::run(&mut command, None).unwrap()).unwrap()
}

/// Waits until calls come, and then until none has come for three seconds.
fn one_look(recorder: &Recorder) -> Vec<Call> {
    let mut calls =
        process::eventually("a look begins", 120, || Some(recorder.take()).filter(|calls| !calls.is_empty()));
    loop {
        sleep(Duration::from_secs(3));
        let more = recorder.take();
        if more.is_empty() {
            return calls;
        }
        calls.extend(more);
    }
}

fn by_service(calls: &[Call]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(&*call.service).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "takes minutes, and judges nothing"]
fn what_a_look_at_a_whole_account_costs() {
    let Some(aws) = sow(1.0) else { return };
    let recorder = Recorder::in_front_of(&aws.url());
    let calls = scan(&recorder, 0);
    println!("  {:?}\n  {:#?}", by_service(&calls), counted(&calls));
    scan(&recorder, 50);
    recorder.delay(Duration::ZERO);
    // Whoever sowed all that a moment ago is not idle: its log begins now.
    aws.record_calls(true);
    recorder.name_actions();
    for rescan in ["all", "lists", "events"] {
        let mut daemon = prepared(&recorder, rescan);
        daemon.launch();
        let looks = [(); 3].map(|()| one_look(&recorder));
        daemon.stop();
        let [first, second, third] = looks.each_ref().map(Vec::len);
        println!(
            "daemon, rescan {rescan}: {first} calls at first, {second} and {third} the next times: {:?}",
            by_service(&looks[2])
        );
        if rescan == "events" {
            println!("  {:#?}", counted(&looks[2]));
        }
    }
}

#[test]
#[ignore = "takes minutes, and judges nothing"]
fn what_a_look_at_ten_times_as_much_costs() {
    let Some(aws) = sow(10.0) else { return };
    let recorder = Recorder::in_front_of(&aws.url());
    println!("  {:?}", by_service(&scan(&recorder, 0)));
}
