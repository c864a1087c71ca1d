//! `driftwarden findings`: what a running daemon knows.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;

use super::table::{self, Row};
use crate::outbound;
use crate::schedule;
use crate::secret::Secret;

/// What is asked of the daemon.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists findings, the most important first.
    #[command(after_help = "Example: driftwarden findings list --phase open --severity high")]
    List(ListArgs),
    /// Shows one finding with everything that is known of it.
    #[command(after_help = "Example: driftwarden findings show 0b6c1d0f3d1f4f0f8a7f5a3f8f0e4c11")]
    Show(ShowArgs),
}

/// Where the daemon is.
#[derive(Debug, ClapArgs)]
struct Daemon {
    /// Address of the daemon.
    #[arg(long, default_value = "http://127.0.0.1:9465", env = "DRIFTWARDEN_URL")]
    url: Url,
    /// Bearer token, as a reference: `${env:NAME}` or `${file:/path}`.
    #[arg(long, value_name = "REFERENCE", value_parser = token)]
    token: Option<Secret>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

fn token(text: &str) -> Result<Secret, String> {
    Secret::parse(text).map_err(|error| error.to_string())
}

/// Which findings are listed.
#[derive(Debug, ClapArgs)]
pub(super) struct ListArgs {
    #[command(flatten)]
    daemon: Daemon,
    /// Only in this phase: pending, open or resolved. Without it, those that are not resolved.
    #[arg(long)]
    phase: Option<String>,
    /// Only of this cloud.
    #[arg(long)]
    cloud: Option<String>,
    /// Only drift, or only violations.
    #[arg(long = "type")]
    type_: Option<String>,
    /// Only of this severity.
    #[arg(long)]
    severity: Option<String>,
    /// Only of this priority, 1 to 5.
    #[arg(long)]
    priority: Option<u8>,
}

/// Which finding is shown.
#[derive(Debug, ClapArgs)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    daemon: Daemon,
    /// Its fingerprint.
    fingerprint: String,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Asks and prints.
pub(super) async fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout();
    match command {
        Command::List(args) => {
            let findings = list(args).await?;
            match args.daemon.output {
                Output::Json => writeln!(out, "{:#}", Value::Array(findings))?,
                Output::Table if findings.is_empty() => writeln!(out, "no findings")?,
                Output::Table => {
                    let rows = findings.iter().filter_map(row).collect();
                    write!(out, "{}", table::findings(rows, schedule::now()))?;
                }
            }
        }
        Command::Show(args) => {
            let path = format!("/api/v1/findings/{}", args.fingerprint);
            let finding = args.daemon.ask(&path, &[]).await?;
            match args.daemon.output {
                Output::Json => writeln!(out, "{finding:#}")?,
                Output::Table => write!(out, "{}", shown(&finding))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns all findings that are asked for, page by page.
async fn list(args: &ListArgs) -> anyhow::Result<Vec<Value>> {
    let priority = args.priority.map(|priority| priority.to_string());
    let wanted = [
        ("phase", args.phase.as_deref()),
        ("cloud", args.cloud.as_deref()),
        ("type", args.type_.as_deref()),
        ("severity", args.severity.as_deref()),
        ("priority", priority.as_deref()),
    ];
    let mut query: Vec<(&str, String)> =
        wanted.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned()))).collect();
    let mut all = Vec::new();
    loop {
        let mut page = args.daemon.ask("/api/v1/findings", &query).await?;
        let Some(Value::Array(findings)) = page.get_mut("findings").map(Value::take) else {
            bail!("invalid answer: no `findings` in it");
        };
        let is_empty = findings.is_empty();
        all.extend(findings.into_iter().filter(|f| args.phase.is_some() || text(f, "/phase") != "resolved"));
        query.retain(|(key, _)| *key != "cursor");
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) if !is_empty => query.push(("cursor", cursor.to_owned())),
            _ => return Ok(all),
        }
    }
}

impl Daemon {
    async fn ask(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let url = self.url.join(path).context("invalid address of the daemon")?;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let mut request = client.get(url).query(query);
        if let Some(token) = &self.token {
            if outbound::is_clear_text(&self.url) {
                bail!("the token would be sent in clear text\nhint: {}", outbound::CLEAR_TEXT_HINT);
            }
            request = request.bearer_auth(token.read()?.expose_secret());
        }
        let asked = || format!("failed to ask the daemon at {}; is it running?", self.url);
        let answer = request.send().await.map_err(reqwest::Error::without_url).with_context(asked)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(reqwest::Error::without_url).with_context(asked)?;
        if !status.is_success() {
            bail!("the daemon answered {status}: {}", text(&body, "/message"));
        }
        Ok(body)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn row(finding: &Value) -> Option<Row> {
    let what = match text(finding, "/drift") {
        "" => text(finding, "/rule"),
        drift => drift,
    };
    Some(Row {
        priority: finding.get("priority")?.as_u64()?,
        severity: text(finding, "/severity").to_owned(),
        phase: phase(finding),
        what: what.to_owned(),
        resource: text(finding, "/resource/id").to_owned(),
        cause: text(finding, "/cause").to_owned(),
        first_seen: text(finding, "/first_seen").parse().ok()?,
    })
}

/// Returns whether it is not over and nobody looks at it any more.
fn is_unwatched(finding: &Value) -> bool {
    finding.get("watched") == Some(&Value::Bool(false)) && text(finding, "/phase") != "resolved"
}

/// Says its phase, and that it cannot change where nobody looks.
fn phase(finding: &Value) -> String {
    format!("{}{}", text(finding, "/phase"), if is_unwatched(finding) { " (not watched)" } else { "" })
}

/// Says who did it, where a log was asked.
fn who(finding: &Value) -> Option<String> {
    let actor = finding.get("actor").filter(|actor| !actor.is_null())?;
    let [name, kind, source, confidence] = ["/name", "/kind", "/source", "/confidence"].map(|key| text(actor, key));
    if kind == "unknown" {
        return Some(format!("unknown: {source} names nobody"));
    }
    let (at, event) = (text(actor, "/at"), text(actor, "/event"));
    Some(format!("{name} ({kind}), at {at} by {event} of {source}, {confidence} confidence"))
}

/// Returns a finding as lines of `key: value`, and its changes one a line.
fn shown(finding: &Value) -> String {
    let keys = [
        "message",
        "fingerprint",
        "type",
        "drift",
        "rule",
        "severity",
        "phase",
        "cause",
        "first_seen",
        "last_seen",
        "opened_at",
    ];
    let mut lines: Vec<String> = keys
        .into_iter()
        .filter_map(|key| Some((key, finding.get(key)?.as_str().filter(|value| !value.is_empty())?)))
        .map(|(key, value)| format!("{:12} {value}", format!("{key}:")))
        .collect();
    if is_unwatched(finding) {
        lines.push(format!("{:12} no: the configuration in force does not look at it any more", "watched:"));
    }
    lines.push(format!("{:12} {}", "resource:", text(finding, "/resource/id")));
    lines.extend(who(finding).map(|who| format!("{:12} {who}", "actor:")));
    if let Some(desired) = finding.get("desired").filter(|desired| !desired.is_null()) {
        let place = format!("{}:{} at {}", text(desired, "/file"), desired["line"], text(desired, "/revision"));
        lines.push(format!("{:12} {place}", "declared:"));
        let (author, commit) = (text(desired, "/author"), text(desired, "/commit"));
        if !author.is_empty() {
            lines.push(format!("{:12} {author} in {commit}", "touched by:"));
        }
    }
    for reason in finding.get("priority_reasons").and_then(Value::as_array).into_iter().flatten() {
        let reason = reason.as_str().unwrap_or_default();
        lines.push(format!("{:12} P{}: {reason}", "priority:", finding["priority"]));
    }
    let place = finding.get("desired").filter(|desired| !desired.is_null());
    let place = place.map(|desired| format!("{}:{}", text(desired, "/file"), desired["line"]));
    for change in finding.get("changes").and_then(Value::as_array).into_iter().flatten() {
        let (op, path) = (text(change, "/op"), text(change, "/path"));
        lines.push(format!("  {op:8} {path}: {} -> {}", change["desired"], change["observed"]));
        if let Some(reason) = change.get("reason").and_then(Value::as_str).filter(|reason| !reason.is_empty()) {
            lines.push(format!("  {:8} {}", "", table::placed(reason, place.as_deref())));
        }
    }
    lines.join("\n") + "\n"
}
