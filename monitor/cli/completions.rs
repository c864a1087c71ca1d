//! `driftwarden completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

/// What `completions` is told on the command line.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions.
#[expect(clippy::unnecessary_wraps, reason = "every command answers alike")]
pub(super) fn run<C: CommandFactory>(args: &Args) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut C::command(), "driftwarden", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
