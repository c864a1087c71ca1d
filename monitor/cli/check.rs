//! `driftwarden check`: whether the configuration would work, before it has to.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::exit;
use crate::app;
use crate::config::{Config, DEFAULT_PATH};
use crate::rulebook;

/// What `check` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH, env = "DRIFTWARDEN_CONFIG")]
    config: PathBuf,
    /// Contact nothing: check only what the files say.
    #[arg(long)]
    offline: bool,
    /// Print the JSON schema of the configuration and end.
    #[arg(long)]
    schema: bool,
    /// Print what the credentials must be allowed, as policies of AWS IAM that only read, and end.
    #[arg(long, conflicts_with = "offline")]
    permissions: bool,
}

/// How long one cloud or repository may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Checks and prints a line for each thing that was checked. Code 1 if anything is wrong.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    if args.schema {
        writeln!(out, "{:#}", Config::schema())?;
        return Ok(exit::IN_SYNC);
    }
    let config = Config::load(&args.config)?;
    if args.permissions {
        return permissions(config).await;
    }
    let Config { clouds, desired, .. } = &config;
    writeln!(out, "ok      {}: {} clouds, {} sources", args.config.display(), clouds.len(), desired.len())?;
    let rules = rulebook::load(config.rules.iter().map(|pack| &pack.path))?;
    writeln!(out, "ok      rules: {}", rules.iter().len())?;
    if args.offline {
        return Ok(exit::IN_SYNC);
    }
    let mut is_fine = true;
    for (what, result) in app::contact(config, PATIENCE).await? {
        match result {
            Ok(found) => writeln!(out, "ok      {what}: {found}")?,
            Err(error) => {
                is_fine = false;
                writeln!(out, "failed  {what}: {error:#}")?;
            }
        }
    }
    Ok(if is_fine { exit::IN_SYNC } else { exit::error() })
}

/// Prints a policy for each principal as one JSON object; what they do not cover goes to standard error.
async fn permissions(config: Config) -> anyhow::Result<ExitCode> {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut policies = serde_json::Map::new();
    let mut is_whole = true;
    for grants in app::permissions(config).await? {
        policies.extend(grants.policies);
        for (kind, why) in grants.unknown {
            is_whole = false;
            writeln!(err, "unknown {kind}: AWS does not say what reading it needs: {why}")?;
        }
        if let Some(remark) = grants.remark {
            writeln!(err, "note    {remark}")?;
        }
    }
    writeln!(out, "{:#}", serde_json::Value::Object(policies))?;
    Ok(if is_whole { exit::IN_SYNC } else { exit::unknown() })
}
