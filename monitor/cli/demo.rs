//! `driftwarden demo`: the real daemon on simulated clouds, with an intruder; and the hook that mends what he did.
//!
//! On a terminal it redraws one live table in place; elsewhere it prints what happens, line by line. It reads what the
//! daemon has stored, never what it thinks.

use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anstream::ColorChoice;
use anyhow::Context as _;
use clap::Args as ClapArgs;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::app::App;
use crate::demo::mend::{self, Clouds};
use crate::demo::screen::{self, Moment, ScopeLine, Size};
use crate::demo::{Demo, Story};
use crate::schedule;
use crate::store::{Filter, Store};
use crate::view::FindingView;

/// How often the daemon's memory is looked at.
const TICK: Duration = Duration::from_millis(400);
/// How often the intruder does something.
const INTRUSION: Duration = Duration::from_secs(4);
/// With `--for`, the intruder leaves the daemon that long at the end, so that nothing is cut off before it can be found.
const QUIET_END: Duration = Duration::from_secs(14);
/// How often a summary is printed where there is no terminal.
const STATUS: Duration = Duration::from_secs(10);
/// Scopes of the demo: a region, the global services, the cluster.
const SCOPES: usize = 3;
/// A finding is far shorter; whatever is longer is none.
const MOST_INPUT: u64 = 4 << 20;

/// What `demo` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// End after that long, for example 60s; until Ctrl-C if not said.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    for_: Option<Duration>,
}

/// What the demo's hook is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct MendArgs {
    /// Address of the simulated AWS.
    #[arg(long)]
    aws: url::Url,
    /// Address of the simulated API server.
    #[arg(long)]
    kubernetes: url::Url,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().map_err(|_| "expected a duration such as 60s or 5m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Puts back what the finding on standard input says.
pub(super) async fn mend(args: &MendArgs) -> anyhow::Result<ExitCode> {
    let mut input = String::new();
    std::io::stdin().take(MOST_INPUT).read_to_string(&mut input).context("failed to read the finding")?;
    let finding: Value = serde_json::from_str(&input).context("failed to read the finding")?;
    let clouds = Clouds { aws: args.aws.clone(), kubernetes: args.kubernetes.clone() };
    let done = mend::mend(&finding, &clouds).await?;
    writeln!(anstream::stdout(), "{done}").context("failed to print")?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the demo until its time is over or somebody stops it.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // Before anything is on disk: from here on Ctrl-C ends in cleaning up.
    let mut stop = Stop::listen()?;
    let program: PathBuf = std::env::current_exe().context("failed to find this program")?;
    let mut demo = Demo::start(&program, schedule::now).await?;
    introduce(&demo)?;
    let config = demo.config();
    let app = tokio::select! {
        app = App::start(&config) => app?,
        () = stop.asked() => return Ok(ExitCode::SUCCESS),
    };
    let mut show = Show::new(format!("http://{}", app.address()), args.for_);
    let played = show.play(&mut demo, &**app.store(), &mut stop).await;
    app.stop().await;
    played?;
    let elapsed = show.elapsed();
    let mut out = anstream::stdout().lock();
    writeln!(out)?;
    for line in screen::closing(&demo.summary(), demo.requests(), elapsed) {
        writeln!(out, "{line}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn introduce(demo: &Demo) -> anyhow::Result<()> {
    let addresses = demo.addresses();
    let config = std::fs::read_to_string(demo.config()).context("failed to read the demo's configuration")?;
    let mut out = anstream::stdout().lock();
    writeln!(out, "# {}", demo.config().display())?;
    writeln!(out, "{}\n", config.trim_end())?;
    writeln!(out, "simulated AWS        http://{}", addresses.aws)?;
    writeln!(out, "simulated Kubernetes http://{}", addresses.kubernetes)?;
    writeln!(out, "daemon               http://{0}/metrics  http://{0}/api/v1/findings", addresses.daemon)?;
    writeln!(out, "files                {} (removed at the end)\n", demo.folder().display())?;
    Ok(())
}

/// Somebody who wants it to end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

/// What is on the screen, and since when.
struct Show {
    url: String,
    started: Instant,
    ends: Option<Instant>,
    stories: Vec<(SignedDuration, Story)>,
    /// Lines of the last frame, or nothing where there is no terminal.
    drawn: Option<usize>,
    status_at: Instant,
}

impl Show {
    fn new(url: String, for_: Option<Duration>) -> Self {
        let started = Instant::now();
        let is_live = anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Self {
            url,
            started,
            ends: for_.map(|length| started + length),
            stories: Vec::new(),
            drawn: is_live.then_some(0),
            status_at: started + STATUS,
        }
    }

    fn elapsed(&self) -> SignedDuration {
        SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX)
    }

    /// Shows what happens, and lets the intruder in as soon as everything was read once.
    async fn play(&mut self, demo: &mut Demo, store: &dyn Store, stop: &mut Stop) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = None;
        loop {
            tokio::select! {
                () = stop.asked() => return Ok(()),
                () = end(self.ends) => return Ok(()),
                _ = tick.tick() => (),
            }
            let scopes = scopes(store).await?;
            let findings = findings(store).await?;
            let is_read = scopes.len() >= SCOPES && scopes.iter().all(|scope| scope.complete);
            if is_read && self.is_due(&mut next) {
                demo.intrude();
            }
            let told = demo.observe(&findings);
            self.show(demo, &scopes, &findings, told)?;
        }
    }

    /// Returns whether the intruder's time has come, and sets the next one.
    fn is_due(&self, next: &mut Option<Instant>) -> bool {
        let now = Instant::now();
        let is_over = self.ends.is_some_and(|ends| now + QUIET_END > ends);
        let is_due = next.is_none_or(|next| next <= now) && !is_over;
        if is_due {
            *next = Some(now + INTRUSION);
        }
        is_due
    }

    fn show(
        &mut self,
        demo: &Demo,
        scopes: &[ScopeLine],
        findings: &[FindingView],
        told: Vec<Story>,
    ) -> anyhow::Result<()> {
        let elapsed = self.elapsed();
        let new = self.stories.len();
        self.stories.extend(told.into_iter().map(|story| (elapsed, story)));
        let summary = demo.summary();
        let (now, url, stories) = (demo.now(), &*self.url, &*self.stories);
        let moment = Moment { now, elapsed, url, scopes, findings, stories, summary: &summary };
        let mut out = anstream::stdout().lock();
        if let Some(drawn) = self.drawn {
            let lines = screen::draw(&moment, size());
            redraw(&mut out, drawn, &lines)?;
            self.drawn = Some(lines.len());
            return Ok(());
        }
        for (at, story) in stories.iter().skip(new) {
            writeln!(out, "{}", screen::story_line(*at, story, usize::MAX))?;
        }
        if Instant::now() >= self.status_at {
            self.status_at += STATUS;
            // The stories were all told above.
            let moment = Moment { stories: &[], ..moment };
            for line in screen::draw(&moment, Size { width: usize::MAX, height: usize::MAX }) {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// Writes a frame over the one before.
fn redraw(out: &mut impl Write, drawn: usize, lines: &[String]) -> std::io::Result<()> {
    if drawn > 0 {
        write!(out, "\x1b[{drawn}A\r\x1b[J")?;
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn size() -> Size {
    let found = terminal_size::terminal_size();
    let (width, height) = found.map_or((120, 40), |(width, height)| (usize::from(width.0), usize::from(height.0)));
    // One line is the cursor's.
    Size { width, height: height.saturating_sub(1) }
}

async fn end(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn findings(store: &dyn Store) -> anyhow::Result<Vec<FindingView>> {
    let findings = store.findings(&Filter::default()).await.context("failed to read the findings")?;
    Ok(findings.iter().map(FindingView::from).collect())
}

async fn scopes(store: &dyn Store) -> anyhow::Result<Vec<ScopeLine>> {
    let scopes = store.scopes().await.context("failed to read the scopes")?;
    let line = |scope: crate::store::ScopeState| ScopeLine {
        scope: scope.last.scope.to_string(),
        complete: scope.last.complete,
        resources: scope.last.resources,
        managed: scope.last.managed,
        read_at: scope.last.finished_at,
    };
    Ok(scopes.into_iter().map(line).collect())
}
