//! `driftwarden run`: the daemon, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{Config, DEFAULT_PATH};

/// What `run` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH, env = "DRIFTWARDEN_CONFIG")]
    config: PathBuf,
}

/// Runs until SIGINT or SIGTERM; SIGHUP reads the configuration again.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let telemetry = Config::load(&args.config)?.telemetry.start()?;
    let app = App::start(&args.config).await?;
    tracing::info!(address = %app.address(), "serving HTTP");
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for signals")?;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            // What went wrong was already said, and the old configuration is in force.
            _ = hangup.recv() => drop(app.reload().await),
        }
    }
    tracing::info!("stopping");
    app.stop().await;
    tokio::task::spawn_blocking(|| telemetry.shutdown()).await.context("failed to send the last traces")?;
    Ok(ExitCode::SUCCESS)
}
