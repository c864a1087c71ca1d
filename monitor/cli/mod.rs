//! The command line: one file per command. Only here is anything printed.

mod audit;
mod check;
mod completions;
mod demo;
mod diff;
mod findings;
mod hint;
mod rules;
mod run;
mod scan;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit codes that programs rely on.
pub(crate) mod exit {
    use std::process::ExitCode;

    /// Everything that was looked at is as it should be.
    pub(crate) const IN_SYNC: ExitCode = ExitCode::SUCCESS;

    /// Returns the code for an error.
    pub(crate) fn error() -> ExitCode {
        ExitCode::from(1)
    }

    /// Returns the code for drift or violations.
    pub(crate) fn drift() -> ExitCode {
        ExitCode::from(2)
    }

    /// Returns the code for nothing found where not everything could be looked at.
    pub(crate) fn unknown() -> ExitCode {
        ExitCode::from(3)
    }
}

/// Knows where the clouds have left what Git says, which rules they break, and gets it mended.
#[derive(Debug, Parser)]
#[command(name = "driftwarden", version, arg_required_else_help = true, max_term_width = 120)]
#[command(after_help = "Try it: driftwarden demo\nThen:   driftwarden check --config driftwarden.yaml")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon.
    #[command(after_help = "Example: driftwarden run --config /etc/driftwarden/driftwarden.yaml")]
    Run(run::Args),
    /// Looks once at every configured cloud and reports; saves nothing, tells nobody, mends nothing.
    #[command(
        after_help = "Example: driftwarden scan --cloud prod -o json > drift.json\n\nExit codes: 0 in sync, 2 drift or \
        violation at or above --fail-on, 3 nothing found but something could not be read, 1 error"
    )]
    Scan(scan::Args),
    /// Compares one declared resource with one that was read, or a batch of cases.
    #[command(
        after_help = "Example: driftwarden diff --kind AWS::S3::Bucket --desired bucket.yaml --observed bucket.json\n\n\
        Exit codes: 0 in sync, 2 drifted, 3 unknown, 1 error"
    )]
    Diff(diff::Args),
    /// Validates the configuration, the rules and the credentials.
    #[command(after_help = "Example: driftwarden check --offline --config driftwarden.yaml")]
    Check(check::Args),
    /// Lists, tests and explains rules.
    #[command(subcommand, after_help = "Example: driftwarden rules test rules")]
    Rules(rules::Command),
    /// Asks a running daemon for its findings.
    #[command(subcommand, after_help = "Example: driftwarden findings list --match 'priority<=2'")]
    Findings(findings::Command),
    /// Verifies the audit log.
    #[command(after_help = "Example: driftwarden audit verify --config driftwarden.yaml")]
    Audit(audit::Args),
    /// Shows all of it on simulated clouds with an intruder, with nothing to set up.
    #[command(after_help = "Example: driftwarden demo --for 60s")]
    Demo(demo::Args),
    /// Mends what the demo's intruder changed; it is the demo's hook.
    #[command(hide = true)]
    DemoMend(demo::MendArgs),
    /// Prints completions for a shell.
    #[command(after_help = "Example: driftwarden completions bash > /etc/bash_completion.d/driftwarden")]
    Completions(completions::Args),
}

/// Runs the program. Errors are printed with everything that caused them.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A usage error is an error like any other: code 1, for 2 means drift.
            let is_error = error.use_stderr();
            drop(error.print());
            return if is_error { exit::error() } else { ExitCode::SUCCESS };
        }
    };
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            print_error(&error);
            exit::error()
        }
    }
}

#[expect(clippy::print_stderr, reason = "an error that ends the program is told to whoever started it")]
fn print_error(error: &anyhow::Error) {
    let is_broken_pipe = error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if !is_broken_pipe {
        eprintln!("error: {error:#}");
        if let Some(hint) = hint::hint(error) {
            eprintln!("hint: {hint}");
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => in_runtime(run::run(&args)),
        Command::Scan(args) => in_runtime(scan::run(&args)),
        Command::Diff(args) => diff::run(&args),
        Command::Check(args) => in_runtime(check::run(&args)),
        Command::Rules(command) => rules::run(&command),
        Command::Findings(command) => in_runtime(findings::run(&command)),
        Command::Audit(args) => in_runtime(audit::run(&args)),
        Command::Demo(args) => in_runtime(demo::run(&args)),
        Command::DemoMend(args) => in_runtime(demo::mend(&args)),
        Command::Completions(args) => completions::run::<Arguments>(&args),
    }
}

fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A thread that hangs in a name look-up must not keep the program alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
