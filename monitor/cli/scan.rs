//! `driftwarden scan`: one pass over the configured clouds, for people and pipelines.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};
use driftwarden_core::finding::{Finding, Severity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::exit;
use super::table::{self, Row};
use crate::app::{self, OnePass, Progress};
use crate::config::{Config, DEFAULT_PATH};
use crate::schedule;
use crate::telemetry::metrics::{METRICS, Requests};
use crate::view::{self, FindingView, IgnoredView, some_of};

/// What `scan` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH, env = "DRIFTWARDEN_CONFIG")]
    config: PathBuf,
    /// Only this cloud; may be given more than once.
    #[arg(long, value_name = "NAME")]
    cloud: Vec<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The least severity that makes the exit code 2.
    #[arg(long, value_parser = severity, default_value = "low")]
    fail_on: Severity,
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::parse(word).ok_or_else(|| "expected critical, high, medium, low or info".to_owned())
}

/// How a scan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Serialize)]
struct ScanView {
    scan: Scan,
    scopes: Vec<ScopeView>,
    revisions: Vec<Revision>,
    findings: Vec<FindingView>,
    ignored: Vec<IgnoredView>,
    requests: Vec<RequestsView>,
}

/// How much was asked of a cloud.
#[derive(Debug, Serialize)]
struct RequestsView {
    cloud: String,
    made: u64,
    throttled: u64,
}

#[derive(Debug, Serialize)]
struct Scan {
    id: String,
    started_at: String,
    finished_at: String,
    complete: bool,
}

#[derive(Debug, Serialize)]
struct ScopeView {
    #[serde(rename = "scope")]
    id: String,
    cloud: String,
    resources: usize,
    managed: usize,
    complete: bool,
    gaps: Vec<Gap>,
    /// Kinds that were compared without their provider's own schema.
    without_schema: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Gap {
    kind: String,
    reason: &'static str,
    detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Revision {
    source: String,
    revision: String,
}

/// Scans, prints, and says by the exit code what came out.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    for name in &args.cloud {
        anyhow::ensure!(
            config.clouds.iter().any(|cloud| cloud.name() == name),
            "no cloud is called `{name}`; configured are {}",
            config.clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join(", ")
        );
    }
    let progress = progress();
    let beside = progress.clone();
    let telemetry = config.telemetry.start_with(move || Beside(beside.clone()))?;
    let result = scan(args, config, &progress).await;
    // The trace of a scan that failed is the one that somebody will look for.
    tokio::task::spawn_blocking(|| telemetry.shutdown()).await.context("failed to send the traces")?;
    result
}

async fn scan(args: &Args, config: Config, progress: &ProgressBar) -> anyhow::Result<ExitCode> {
    let started_at = schedule::now();
    let shown = Shown { bar: progress, kinds: AtomicUsize::new(0), resources: AtomicUsize::new(0) };
    let passes = app::scan_once(config, &args.cloud, &|step| shown.tell(&step)).await;
    progress.finish_and_clear();
    let passes = passes?;
    let now = schedule::now();
    let findings: Vec<&Finding> = passes.iter().flat_map(|pass| &pass.report.steps).map(|step| &step.finding).collect();
    match args.output {
        Output::Json => {
            let view = view(&passes, &findings, (started_at, now));
            let mut out = std::io::stdout().lock();
            serde_json::to_writer_pretty(&mut out, &view)?;
            writeln!(out)?;
        }
        Output::Table => print(&passes, &findings, now)?,
    }
    Ok(code(&passes, &findings, args.fail_on))
}

/// What is shown of how far a scan has come.
struct Shown<'a> {
    bar: &'a ProgressBar,
    kinds: AtomicUsize,
    resources: AtomicUsize,
}

impl Shown<'_> {
    fn tell(&self, step: &Progress<'_>) {
        let (scope, kind, (kinds, resources)) = match step {
            Progress::Scope(_) => return self.bar.inc(1),
            Progress::Resources(scope, kind, count) => (scope, kind, (0, *count)),
            Progress::Kind(scope, kind) => (scope, kind, (1, 0)),
        };
        let kinds = kinds + self.kinds.fetch_add(kinds, Ordering::Relaxed);
        let resources = resources + self.resources.fetch_add(resources, Ordering::Relaxed);
        self.bar.set_message(format!("{kinds} kinds, {resources} resources; {scope} {kind}"));
    }
}

/// Writes log lines to standard error without tearing the progress that is shown there.
struct Beside(ProgressBar);

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Shows that something goes on, on a terminal.
fn progress() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} scanning: {pos} scopes, {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn code(passes: &[OnePass], findings: &[&Finding], fail_on: Severity) -> ExitCode {
    if findings.iter().any(|finding| finding.evidence.severity >= fail_on) {
        exit::drift()
    } else if passes.iter().all(|pass| pass.report.sights.is_complete()) {
        exit::IN_SYNC
    } else {
        exit::unknown()
    }
}

fn view(passes: &[OnePass], findings: &[&Finding], (started_at, now): (Timestamp, Timestamp)) -> ScanView {
    let revision = |r: &crate::store::Revision| Revision { source: r.source.clone(), revision: r.revision.clone() };
    let mut revisions: Vec<Revision> = passes.iter().flat_map(|pass| &pass.revisions).map(revision).collect();
    revisions.sort();
    revisions.dedup();
    ScanView {
        scan: Scan {
            id: passes.first().map(|pass| pass.report.id.clone()).unwrap_or_default(),
            started_at: started_at.to_string(),
            finished_at: now.to_string(),
            complete: passes.iter().all(|pass| pass.report.sights.is_complete()),
        },
        scopes: passes.iter().map(scope).collect(),
        revisions,
        findings: findings.iter().map(|finding| FindingView::from(*finding)).collect(),
        ignored: ignored(passes),
        requests: requests(),
    }
}

fn requests() -> Vec<RequestsView> {
    let view = |(cloud, Requests { made, throttled })| RequestsView { cloud, made, throttled };
    METRICS.requests().into_iter().map(view).collect()
}

/// Returns what ignore rules hid. One complete look that hid nothing by a rule is all that a scan can say of it.
fn ignored(passes: &[OnePass]) -> Vec<IgnoredView> {
    view::ignored(passes.iter().flat_map(|pass| &pass.report.sights.ignored), 1)
}

fn scope(pass: &OnePass) -> ScopeView {
    let sights = &pass.report.sights;
    let gap = |gap: &driftwarden_core::resource::Gap| Gap {
        kind: gap.kind.as_ref().map_or("*", |kind| kind.as_str()).to_owned(),
        reason: gap.reason.as_str(),
        detail: gap.detail.clone(),
    };
    ScopeView {
        id: pass.scope.to_string(),
        cloud: pass.scope.cloud.to_string(),
        resources: sights.resources,
        managed: sights.managed,
        complete: sights.is_complete(),
        gaps: sights.gaps.iter().map(gap).collect(),
        without_schema: sights.without_schema.iter().map(ToString::to_string).collect(),
    }
}

fn ignored_line(ignored: &IgnoredView) -> String {
    let IgnoredView { rule, owner, until, hits, expired, stale, file, line, .. } = ignored;
    let what = match (expired, stale) {
        (true, _) => "EXPIRED: it hides nothing any more".to_owned(),
        (false, true) => "hid nothing".to_owned(),
        (false, false) if *hits == 1 => "hid 1 change".to_owned(),
        (false, false) => format!("hid {hits} changes"),
    };
    format!("ignore rule {rule} ({owner}, until {until}, {file}:{line}): {what}")
}

fn print(passes: &[OnePass], findings: &[&Finding], now: Timestamp) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    if !findings.is_empty() {
        writeln!(out, "{}", table::findings(findings.iter().map(|finding| Row::from(*finding)).collect(), now))?;
        for finding in findings {
            writeln!(out, "{}", table::details(finding))?;
        }
    }
    for pass in passes {
        let ScopeView { id: scope, resources, managed, complete, gaps, without_schema, .. } = scope(pass);
        let looked = if complete { "read completely" } else { "NOT read completely" };
        writeln!(out, "{scope}: {resources} resources, {managed} of them declared in Git; {looked}")?;
        for Gap { kind, reason, detail } in gaps {
            writeln!(out, "  gap: {kind}: {reason}: {detail}")?;
        }
        if let Some(kinds) = some_of(&without_schema) {
            writeln!(out, "  compared without the provider's own schema: {kinds}")?;
        }
    }
    for RequestsView { cloud, made, throttled } in requests() {
        let slowed = if throttled > 0 { format!(", {throttled} of them throttled") } else { String::new() };
        writeln!(out, "{cloud}: {made} requests{slowed}")?;
    }
    for ignored in ignored(passes) {
        writeln!(out, "{}", ignored_line(&ignored))?;
    }
    let is_complete = passes.iter().all(|pass| pass.report.sights.is_complete());
    let verdict = match (findings.len(), is_complete) {
        (0, true) => "in sync".to_owned(),
        (0, false) => "nothing found, but not everything could be read: this is not an all-clear".to_owned(),
        (count, _) => format!("{count} findings"),
    };
    writeln!(out, "{verdict}")?;
    Ok(())
}
