//! `driftwarden audit`: proves that nobody touched the audit log.
//!
//! Works on the files, without a daemon, also while one is running. Repairs nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args as ClapArgs, Subcommand};

use crate::audit::{self, AuditError};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::store;

/// What `audit` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record against its hash, the record before and its anchor.
    Verify {
        /// Configuration file.
        #[arg(long, value_name = "FILE", default_value = "driftwarden.yaml")]
        config: PathBuf,
    },
    /// Print every record as a JSON line.
    Export {
        /// Configuration file.
        #[arg(long, value_name = "FILE", default_value = "driftwarden.yaml")]
        config: PathBuf,
    },
}

/// Does what is asked.
pub(super) async fn run(args: &Args) -> Result<ExitCode> {
    let (Command::Verify { config } | Command::Export { config }) = &args.command;
    let Config { store, audit, .. } = Config::load(config)?;
    let place = Place { store, audit };
    match args.command {
        Command::Verify { .. } => verify(&place).await,
        Command::Export { .. } => export(&place).await,
    }
}

/// Where the log of a configuration is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The store.
    pub(super) store: store::Config,
    /// The log.
    pub(super) audit: audit::Config,
}

impl Place {
    async fn open(&self) -> Result<(Ledger, PathBuf)> {
        let path = self.store.path().context("failed to find the audit log")?;
        if !path.exists() {
            bail!(
                "failed to find the database `{}`\nhint: run the daemon first, or name its configuration",
                path.display()
            );
        }
        let store = store::open(&self.store).await.context("failed to open the store")?;
        Ok((Ledger(store), self.audit.anchor_path(path)))
    }
}

/// Verifies, prints the outcome, and returns 0 for an intact log and 1 for a broken one.
pub(super) async fn verify(place: &Place) -> Result<ExitCode> {
    let (ledger, anchors) = place.open().await?;
    outcome(audit::verify(&ledger, &anchors).await, &anchors, std::io::stdout().lock())
}

fn outcome(
    verified: Result<audit::chain::Verified, AuditError>,
    anchors: &Path,
    mut out: impl Write,
) -> Result<ExitCode> {
    match verified {
        Ok(verified) => {
            writeln!(out, "intact: {} records, anchored in {}", verified.records, anchors.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(AuditError::Broken(broken)) => {
            writeln!(out, "broken at record {}: {}", broken.index, broken.why)?;
            writeln!(out, "hint: compare the database and `{}` with a backup from before", anchors.display())?;
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error).context("failed to verify the audit log"),
    }
}

/// Prints every record as one JSON line of `seq`, `at`, `body`, `prev`, `hash`: all that another verifier needs.
pub(super) async fn export(place: &Place) -> Result<ExitCode> {
    use crate::audit::AuditStore as _;
    let (ledger, _) = place.open().await?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut next = 0;
    loop {
        let rows = ledger
            .rows(next, 1_000)
            .await
            .map_err(anyhow::Error::from_boxed)
            .context("failed to read the audit log")?;
        let Some(last) = rows.last() else { break };
        next = last.seq.saturating_add(1);
        for audit::chain::Row { seq, at, body, prev, hash } in &rows {
            let line = serde_json::json!({"seq": seq, "at": at, "body": body, "prev": prev, "hash": hash});
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
