//! How others see the daemon: Alertmanager, Prometheus with our dashboards and alerts, and an OpenTelemetry receiver.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::Key;
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::observe;
use crate::harness::observe::Alertmanager;
use crate::harness::observe::Prometheus;
use crate::harness::observe::Rotel;
use crate::harness::process;
use crate::harness::scripted;
use crate::harness::world::World;
use crate::harness::world::environment;

/// Metrics of our dashboards and alerts that have no sample here: nothing can be made to fail for good, how many controls
/// hold is not counted yet, and nothing is ignored.
const UNSEEN: [&str; 2] = ["driftwarden_dead_letters", "driftwarden_ignore_rules"];

/// The spans of one scan.
const SPANS: [&str; 5] = ["scan", "collect", "compare", "evaluate", "save"];

#[test]
fn alerts_metrics_and_traces_follow_the_drift() {
    let Some(world) = World::in_sync() else { return };
    world.hide_secrets();
    let Some(manager) = Alertmanager::start() else { return };
    let Some(rotel) = Rotel::start() else { return };
    drift(&world);
    // One answer that asks to slow down, and then no more: it is counted, and leaves no gap.
    let error = json!({"code": "ThrottlingException", "status": 400});
    world.proxy.rules(&json!([{"service": "cloudcontrol", "operation": "ListResources", "times": 1, "error": error}]));
    let key = Key::of_the_account();
    let daemon = Daemon::start(&world.config(&watchers(&manager.url(), &rotel.grpc())), &environment(&key));
    let Some(prometheus) = Prometheus::start(&daemon.target(), &alert_rules()) else { return };
    process::eventually("exactly the four alerts fire", 90, || (alerts(&manager) == planted()).then_some(()));
    check_scrape(&daemon, &prometheus);
    check_expressions(&daemon, &prometheus);
    process::eventually("a whole scan was traced", 30, || {
        SPANS.iter().all(|span| has_span(&rotel, span)).then_some(())
    });
    mend(&world);
    process::eventually("no alert fires any more", 90, || alerts(&manager).is_empty().then_some(()));
}

#[test]
fn a_scan_is_traced_over_http_too() {
    let Some(rotel) = Rotel::start() else { return };
    let Some(git) = GitServer::start("ci", "secret") else { return };
    let maps = scripted::config_maps(3);
    git.commit(
        "ann",
        "declare",
        &[("all.yaml", &estate::documents(scripted::config_map_manifests(&maps).into_iter()))],
    );
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let config = format!(
        r#"
telemetry: {{otlp: {{endpoint: "{}", protocol: http}}}}
clouds: [{{name: shop, type: kubernetes, server: "{}", cluster: shop, every: 1s}}]
desired:
  - {{name: infra, git: {{url: "{}", username: ci, password: "${{env:GIT_PASSWORD}}"}}, clouds: [shop]}}
"#,
        rotel.http(),
        cluster.url(),
        git.url()
    );
    let _daemon = Daemon::start(&config, &[("GIT_PASSWORD", "secret")]);
    process::eventually("a whole scan was traced", 30, || {
        SPANS.iter().all(|span| has_span(&rotel, span)).then_some(())
    });
}

fn watchers(alertmanager: &str, otlp: &str) -> String {
    format!(
        r#"
telemetry: {{otlp: {{endpoint: "{otlp}"}}}}
rules: [{{path: "{rules}"}}]
remediate: {{hooks: [{{name: look, match: ['type=drift'], exec: {{command: [/bin/true]}}, mode: dry_run}}]}}
notify:
  receivers: [{{name: oncall, type: alertmanager, url: "{alertmanager}"}}]
  route: {{receiver: oncall, group_by: [cloud, kind], group_wait: 0s}}
"#,
        rules = project().join("rules").display()
    )
}

fn drift(world: &World) {
    world.patch_aws("AWS::SSM::Parameter", "/app/03", &json!([{"op": "replace", "path": "/Value", "value": "off"}]));
    world.aws.create(&[("AWS::S3::Bucket", json!({"BucketName": "rogue"}))]);
    world.kubectl(&["set", "image", "deployment/web-03", "main=registry.example/web:2.0"]);
    world.kubectl(&["label", "--overwrite", "deployment/web-04", "team=web"]);
}

fn mend(world: &World) {
    world.patch_aws("AWS::SSM::Parameter", "/app/03", &json!([{"op": "replace", "path": "/Value", "value": "on"}]));
    world.aws.delete("AWS::S3::Bucket", "rogue");
    world.kubectl(&["set", "image", "deployment/web-03", "main=registry.example/web:1.0"]);
    world.kubectl(&["label", "--overwrite", "deployment/web-04", "team=data"]);
}

/// The resources that drift, as the labels of an alert name them: kind and name.
fn planted() -> BTreeSet<String> {
    let all = [
        "AWS::SSM::Parameter /app/03",
        "AWS::S3::Bucket rogue",
        "apps/Deployment shop/web-03",
        "apps/Deployment shop/web-04",
    ];
    all.map(str::to_owned).into()
}

fn alerts(manager: &Alertmanager) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut alerts = manager.alerts();
    alerts.retain(|alert| alert["labels"]["alertname"] == "Drift");
    let said: BTreeSet<_> = alerts
        .iter()
        .map(|alert| format!("{} {}", text(&alert["labels"]["kind"]), text(&alert["labels"]["name"])))
        .collect();
    assert_eq!(said.len(), alerts.len(), "one resource, two alerts: {alerts:#?}");
    said
}

fn check_scrape(daemon: &Daemon, prometheus: &Prometheus) {
    process::eventually("up is 1", 30, || {
        let samples = prometheus.query("up{job=\"driftwarden\"} == 1").unwrap();
        (samples.len() == 1).then_some(())
    });
    let target = &prometheus.targets()[0];
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")));
    let log = prometheus.log();
    let complaints: Vec<_> =
        log.lines().filter(|line| line.contains("level=warn") || line.contains("level=error")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let lint = observe::promtool(&["check", "metrics"], Path::new("/"), Some(&classic(&daemon.metrics())));
    assert_eq!(lint.map(|text| text.trim().to_owned()), Ok(String::new()));
}

/// Writes OpenMetrics in the older format that promtool checks, as Prometheus itself understands it.
fn classic(text: &str) -> String {
    let counters = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let counters: BTreeSet<_> = counters.collect();
    let lines = text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF").map(|line| {
        let mut words = line.splitn(4, ' ');
        let head: Vec<_> = words.by_ref().take(3).collect();
        let rest = words.next().unwrap_or_default();
        match head[..] {
            ["#", what, name] if counters.contains(name) && !name.ends_with("_total") => {
                format!("# {what} {name}_total {rest}\n")
            }
            // An exemplar stands behind a sample.
            _ => line.split(" # {").next().unwrap_or_default().to_owned() + "\n",
        }
    });
    lines.collect::<Vec<_>>().concat()
}

/// Every expression that we ship can be evaluated, and names only metrics that the daemon has.
fn check_expressions(daemon: &Daemon, prometheus: &Prometheus) {
    let known = daemon.metrics();
    let mut lacking = BTreeSet::new();
    for (place, expression) in expressions() {
        let outcome = prometheus.query(&expression);
        assert!(outcome.is_ok(), "{place}: {expression}: {outcome:?}");
        for name in metric_names(&expression).into_iter().filter(|name| !UNSEEN.contains(&name.as_str())) {
            let family = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let found = [Some(name.as_str()), family]
                .into_iter()
                .flatten()
                .any(|name| known.contains(&format!("# TYPE {name} ")));
            lacking.extend((!found).then(|| format!("{name} in {place}")));
        }
    }
    assert!(lacking.is_empty(), "no such metric: {lacking:#?}");
}

/// Returns each expression of our dashboards and alerts, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for path in files("dashboards", "json") {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        collect_expressions(&document, &mut |text| all.push((path.display().to_string(), without_variables(text))));
    }
    for path in alert_rules() {
        let document: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        collect_expressions(&document, &mut |text| all.push((path.display().to_string(), text.to_owned())));
    }
    all
}

fn collect_expressions(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "expr" => found(text),
                    _ => collect_expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_expressions(item, found)),
        _ => (),
    }
}

/// Fills in what Grafana would: intervals, and variables that stand for every value.
fn without_variables(expression: &str) -> String {
    let expression =
        expression.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$__range", "1h");
    let mut parts = expression.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = match part.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map_or("", |(_, rest)| rest),
            None => part.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_'),
        };
        filled.push_str(".*");
        filled.push_str(rest);
    }
    filled
}

fn metric_names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':');
    words.filter(|word| word.starts_with("driftwarden_")).map(str::to_owned).collect()
}

fn alert_rules() -> Vec<PathBuf> {
    let rules = files("alerts", "yaml").into_iter();
    rules.filter(|path| !path.to_string_lossy().ends_with("_test.yaml")).collect()
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = project().join(folder);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn has_span(rotel: &Rotel, name: &str) -> bool {
    rotel.log().lines().any(|line| {
        let mut parts = line.split(':').map(str::trim);
        parts.next() == Some("Name") && parts.next() == Some(name)
    })
}
