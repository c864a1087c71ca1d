//! What the daemon tells over time: controls and labels to Prometheus, groups of findings to a webhook.
//!
//! The cluster is scripted, so that it can be changed at will; nothing is declared, and what is wrong is a rule's word.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;

use crate::harness::daemon::Daemon;
use crate::harness::http::Answer;
use crate::harness::http::Server;
use crate::harness::process;
use crate::harness::scripted;
use crate::harness::scripted::ConfigMaps;
use crate::harness::scripted::Fault;

/// Writes two rules: every config map is switched on, and every deployment has a specification. There is none.
fn write_rules(folder: &Path) {
    let rule = |id: &str, kind: &str, expression: &str, control: &str| {
        format!(
            "id: {id}\ntitle: a rule\nkind: {kind}\nseverity: high\nexpression: {expression}\nmessage: is wrong\nfix: mend \
             it\nframeworks: {{house: [\"{control}\"]}}\n"
        )
    };
    std::fs::create_dir(folder).unwrap();
    let on = rule("house_map_on", "ConfigMap", "resource.data.mode == 'on'", "1");
    std::fs::write(folder.join("map.yaml"), on).unwrap();
    let specified = rule("house_deployment_spec", "apps/Deployment", "has(resource.spec)", "2");
    std::fs::write(folder.join("deployment.yaml"), specified).unwrap();
}

/// Starts the daemon on a cluster with these rules, and with this added to the configuration.
fn start(cluster: &Server, more: &str) -> Daemon {
    let mut daemon = Daemon::prepare(&config(cluster, more), &[]);
    write_rules(&daemon.dir().join("rules"));
    daemon.restart();
    daemon
}

fn config(cluster: &Server, more: &str) -> String {
    format!(
        r#"
clouds:
  - {{name: shop, type: kubernetes, server: "{}", cluster: shop, every: 1s, requests_per_second: 1000}}
rules: [{{path: rules}}]
hold: {{scans: 1, for: 0s}}
{more}"#,
        cluster.url()
    )
}

fn switch(maps: &ConfigMaps, at: usize, mode: &str) {
    maps.lock().unwrap().insert(format!("settings-{at:02}"), json!({"mode": mode}));
}

/// Waits until every one of these samples is scraped.
fn scraped(daemon: &Daemon, samples: &[&str]) {
    process::eventually(&format!("{samples:?}"), 30, || {
        let text = daemon.metrics();
        samples.iter().all(|sample| text.lines().any(|line| line == *sample)).then_some(())
    });
}

#[test]
fn a_control_is_passed_failed_or_unknown_and_never_guessed() {
    let maps = scripted::config_maps(4);
    let is_denied = Arc::new(AtomicBool::new(false));
    let denied = Arc::clone(&is_denied);
    let cluster = scripted::kubernetes(
        &maps,
        Box::new(move |page| {
            if denied.load(Ordering::Relaxed) { Fault::Forbidden.answer(&page) } else { Answer::json(200, &page) }
        }),
    );
    let daemon = start(&cluster, "");
    let control =
        |status: &str, count: usize| format!(r#"driftwarden_controls{{framework="house",status="{status}"}} {count}"#);
    let ratio = |ratio: &str| format!(r#"driftwarden_compliance_ratio{{framework="house"}} {ratio}"#);
    scraped(&daemon, &[&control("pass", 1), &control("not_applicable", 1), &ratio("1.0")]);
    is_denied.store(true, Ordering::Relaxed);
    scraped(&daemon, &[&control("unknown", 1), &control("pass", 0), &ratio("0.0")]);
    switch(&maps, 0, "off");
    scraped(&daemon, &[&control("fail", 1), &control("unknown", 0), &ratio("0.0")]);
    switch(&maps, 0, "on");
    is_denied.store(false, Ordering::Relaxed);
    scraped(&daemon, &[&control("pass", 1), &control("fail", 0), &ratio("1.0")]);
}

#[test]
fn chosen_labels_of_resources_are_told_and_the_rarest_folded() {
    let maps = scripted::config_maps(0);
    for (at, team) in ["web", "web", "data", "ops"].into_iter().enumerate() {
        maps.lock().unwrap().insert(format!("settings-{at:02}"), json!({"mode": "off", "team": team}));
    }
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let daemon = start(&cluster, "metrics: {resource_labels: [team], max_values: 2}\n");
    let open = |team: &str, count: usize| {
        format!(
            r#"driftwarden_findings{{cloud="shop",scope="kubernetes://shop/-",type="violation",drift="",severity="high",priority="2",phase="open",team="{team}"}} {count}"#
        )
    };
    scraped(&daemon, &[&open("web", 2), &open("data", 1), &open("other", 1)]);
    scraped(&daemon, &[r#"driftwarden_folded_label_values{label="team"} 1"#]);
    assert!(!daemon.metrics().contains("settings-"), "a metric names a resource");
}

/// Returns what a webhook was told: of each notification the name and status of its findings.
fn told(webhook: &Server) -> Vec<Vec<String>> {
    let word = |finding: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {}", text(&finding["resource"]["name"]), text(&finding["status"]))
    };
    let notification = |body: &Value| body["data"]["findings"].as_array().unwrap().iter().map(word).collect();
    webhook.requests().iter().map(|request| notification(&serde_json::from_slice(&request.body).unwrap())).collect()
}

#[test]
fn a_group_is_told_at_intervals_and_again_over_a_restart() {
    let maps = scripted::config_maps(4);
    switch(&maps, 0, "off");
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let webhook = Server::start(|_| Answer::json(200, &json!({})));
    let notify = format!(
        r#"
notify:
  receivers: [{{name: chat, type: webhook, url: "{}"}}]
  route: {{receiver: chat, group_by: [kind], group_wait: 0s, group_interval: 15s, repeat_interval: 20s}}
"#,
        webhook.url()
    );
    let mut daemon = start(&cluster, &notify);
    process::eventually("the first is told at once", 5, || (told(&webhook).len() == 1).then_some(()));
    // One scan sees the one, a later one the other: news of one group is one notification, and a restart changes nothing.
    switch(&maps, 1, "off");
    scraped_findings(&daemon, 2);
    switch(&maps, 2, "off");
    scraped_findings(&daemon, 3);
    assert_eq!(daemon.stop(), Some(0));
    daemon.restart();
    assert_eq!(told(&webhook), [["shop/settings-00 firing"]], "it was told before the interval was over");
    let next = |what: &str, count: usize| {
        let mut next = process::eventually(what, 40, || told(&webhook).into_iter().nth(count));
        next.sort();
        next
    };
    let news = ["shop/settings-01 firing", "shop/settings-02 firing"];
    assert_eq!(next("the others are told together", 1), news);
    let open = ["shop/settings-00 firing", "shop/settings-01 firing", "shop/settings-02 firing"];
    assert_eq!(next("what stays open is told again", 2), open);
}

fn scraped_findings(daemon: &Daemon, count: usize) {
    let series = r#"type="violation",drift="",severity="high",priority="2",phase="open"}"#;
    scraped(daemon, &[&format!(r#"driftwarden_findings{{cloud="shop",scope="kubernetes://shop/-",{series} {count}"#)]);
}

/// Makes everything that is dated in the database of a stopped daemon so many days older, behind its back; but for the last
/// scan, by which the daemon knows that so much time has passed.
fn age(daemon: &Daemon, days: u32) {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); by = int(sys.argv[2]) * 86400 * 10**9\n\
        last = db.execute('SELECT max(finished_at) FROM scans').fetchone()[0]\n\
        for table, column, but in [('history', 'at', -1), ('scans', 'finished_at', last), ('outbox', 'done_at', -1)]:\n    \
        db.execute(f'UPDATE {table} SET {column} = {column} - {by} WHERE {column} <> {but}')\ndb.commit()";
    let mut python = std::process::Command::new("python3");
    process::run(python.args(["-c", script]).arg(daemon.dir().join("driftwarden.db")).arg(days.to_string()), None)
        .unwrap();
}

fn names(daemon: &Daemon, phase: &str) -> Vec<String> {
    let answer = daemon.api(&format!("/api/v1/findings?phase={phase}")).json();
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["resource"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_over_for_long_is_forgotten_and_what_is_open_is_not() {
    let maps = scripted::config_maps(2);
    switch(&maps, 0, "off");
    switch(&maps, 1, "off");
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let mut daemon = start(&cluster, "");
    process::eventually("both open", 20, || (names(&daemon, "open").len() == 2).then_some(()));
    switch(&maps, 0, "on");
    process::eventually("one is over", 20, || (names(&daemon, "resolved").len() == 1).then_some(()));
    for (days, kept) in [(89, 1), (2, 0)] {
        assert_eq!(daemon.stop(), Some(0));
        age(&daemon, days);
        daemon.restart();
        let what = format!("{kept} of what is over is kept");
        process::eventually(&what, 20, || (names(&daemon, "resolved").len() == kept).then_some(()));
        assert_eq!(names(&daemon, "open"), ["shop/settings-01"]);
    }
    let config = daemon.config().display().to_string();
    assert_eq!(daemon.stop(), Some(0));
    let (code, output, complaint) = daemon.cli(&["audit", "verify", "--config", &config]);
    assert_eq!(code, 0, "{output}{complaint}");
}

#[test]
fn a_scan_is_traced_tells_a_gap_once_and_prints_nothing_but_json() {
    let maps = scripted::config_maps(4);
    let cluster = scripted::kubernetes(&maps, Box::new(|page| Fault::Forbidden.answer(&page)));
    let collector = Server::start(|_| Answer::new(200, "application/x-protobuf", ""));
    let telemetry =
        format!("telemetry: {{otlp: {{endpoint: \"{}\", protocol: http}}, log: {{level: warn}}}}\n", collector.url());
    let daemon = Daemon::prepare(&config(&cluster, &telemetry), &[]);
    write_rules(&daemon.dir().join("rules"));
    let path = daemon.config().display().to_string();
    let (code, output, log) = daemon.cli(&["scan", "--config", &path, "-o", "json"]);
    assert_eq!(code, 3, "{log}");
    let document: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(document["scopes"][0]["gaps"][0]["reason"], "denied");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("ConfigMap") && log.contains("denied") && log.contains("trace_id"), "{log}");
    let sent: Vec<u8> = collector.requests().into_iter().flat_map(|request| request.body).collect();
    for name in ["scan", "collect", "compare", "evaluate", "kind"] {
        // Field 5 of a span in OTLP's protobuf: its name.
        let field = [&[0x2a, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
        assert!(sent.windows(field.len()).any(|bytes| bytes == field), "no span `{name}`");
    }
}
