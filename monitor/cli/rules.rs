//! `driftwarden rules`: lists rules, runs the cases beside them, explains one.
//!
//! Reads rule packs only: no configuration, no cloud, no daemon.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table};
use driftwarden_core::rule::{Frameworks, Rule, RuleSet};

use crate::rulebook::{self, BUILTIN, Report, RulebookError};

/// What `rules` is told on the command line.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists the rules.
    #[command(after_help = "Example:\n  driftwarden rules list --rules rules -o json")]
    List {
        #[command(flatten)]
        packs: Packs,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Runs the cases beside the rules; 1 if one does not hold.
    #[command(after_help = "Example:\n  driftwarden rules test rules/kubernetes")]
    Test {
        /// Folder of rules.
        #[arg(value_name = "DIR", default_value = "rules")]
        folder: PathBuf,
    },
    /// Says what a rule asks for, why, and what to do about a violation.
    #[command(after_help = "Example:\n  driftwarden rules explain aws_s3_bucket_public_access")]
    Explain {
        /// The rule's id.
        id: String,
        #[command(flatten)]
        packs: Packs,
    },
}

/// Where rules are read from.
#[derive(Debug, ClapArgs)]
pub(super) struct Packs {
    /// Folder of rules, or one file; may be given again. Without it `rules`, or else the rules that come with driftwarden.
    #[arg(long = "rules", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

/// How rules are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Does what `rules` was asked for.
pub(super) fn run(command: &Command) -> Result<ExitCode> {
    let (text, code) = match command {
        Command::List { packs, output } => {
            let rules = packs.load()?;
            let text = if *output == Output::Json { json(&rules)? } else { table(&rules) };
            (text, ExitCode::SUCCESS)
        }
        Command::Test { folder } => {
            let report = rulebook::test([folder])?;
            let failed = report.outcomes.iter().any(|outcome| outcome.failure.is_some());
            (told(&report), if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Explain { id, packs } => (explained(find(&packs.load()?, id)?), ExitCode::SUCCESS),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("failed to write the result")?;
    Ok(code)
}

impl Packs {
    fn load(&self) -> Result<RuleSet, RulebookError> {
        let usual = Path::new("rules");
        match self.folders.as_slice() {
            [] if usual.is_dir() => rulebook::load([usual]),
            [] => built_in(),
            folders => rulebook::load(folders),
        }
    }
}

fn built_in() -> Result<RuleSet, RulebookError> {
    let rules = BUILTIN.iter().map(|(path, text)| rulebook::parse(Path::new(path), text));
    rules.collect::<Result<Vec<Rule>, _>>().map(RuleSet::new).map_err(|problem| RulebookError(vec![problem]))
}

fn json(rules: &RuleSet) -> Result<String> {
    let row = |rule: &std::sync::Arc<Rule>| {
        serde_json::json!({
            "id": &*rule.id,
            "title": rule.title,
            "kind": rule.kind.as_str(),
            "severity": rule.severity.as_str(),
            "frameworks": rule.frameworks,
        })
    };
    let rows: Vec<_> = rules.iter().map(row).collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

fn table(rules: &RuleSet) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["RULE", "SEVERITY", "KIND", "WHAT HOLDS"]);
    for rule in rules.iter() {
        table.add_row([&*rule.id, rule.severity.as_str(), rule.kind.as_str(), rule.title.as_str()]);
    }
    table.trim_fmt() + "\n"
}

/// Says which cases do not hold, and where, and how many there are.
fn told(report: &Report) -> String {
    let mut text = String::new();
    let mut failed = 0;
    for outcome in &report.outcomes {
        let Some(failure) = &outcome.failure else { continue };
        failed += 1;
        let (file, line) = (outcome.file.display(), outcome.line);
        line_of(&mut text, format_args!("{file}:{line}: {} ({}): {failure}", outcome.case, outcome.rule));
    }
    for rule in &report.untested {
        line_of(&mut text, format_args!("{rule} has no cases beside it"));
    }
    let cases = report.outcomes.len();
    if failed == 0 {
        line_of(&mut text, format_args!("all {cases} cases hold"));
    } else {
        line_of(&mut text, format_args!("{failed} of {cases} cases do not hold"));
    }
    text
}

fn find<'a>(rules: &'a RuleSet, id: &str) -> Result<&'a Rule> {
    if let Some(rule) = rules.iter().find(|rule| &*rule.id == id) {
        return Ok(rule);
    }
    let near = rules.iter().map(|rule| (strsim::damerau_levenshtein(id, &rule.id), &rule.id)).min();
    let hint = match near {
        Some((distance, near)) if distance <= near.len() / 3 => format!("did you mean `{near}`?"),
        _ => "`driftwarden rules list` has all; --rules names another folder".to_owned(),
    };
    Err(anyhow!("no rule `{id}`\nhint: {hint}"))
}

fn explained(rule: &Rule) -> String {
    let mut text = String::new();
    line_of(&mut text, format_args!("{}: {}", rule.id, rule.title));
    line_of(&mut text, format_args!(""));
    for (name, value) in [
        ("kind", rule.kind.as_str()),
        ("severity", rule.severity.as_str()),
        ("controls", &controls(&rule.frameworks)),
        ("must hold", rule.expression.trim()),
        ("fix", &rule.fix),
    ] {
        line_of(&mut text, format_args!("{name:<10}{}", value.replace('\n', "\n          ")));
    }
    text
}

fn controls(frameworks: &Frameworks) -> String {
    let controls = frameworks.iter().map(|(framework, ids)| format!("{framework} {}", ids.join(", ")));
    controls.collect::<Vec<_>>().join("; ")
}

/// Appends a line.
fn line_of(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.push_str(&line.to_string());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn the_command_line_is_sound() {
        <Program as clap::CommandFactory>::command().debug_assert();
        let parsed = Program::try_parse_from(["rules", "list", "--rules", "a", "--rules", "b", "-o", "json"]);
        assert!(matches!(parsed.unwrap().command, Command::List { output: Output::Json, .. }));
    }

    #[test]
    fn json_has_the_keys_of_the_contract() {
        let rules: serde_json::Value = serde_json::from_str(&json(&built_in().unwrap()).unwrap()).unwrap();
        let first = rules.get(0).unwrap().as_object().unwrap();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["frameworks", "id", "kind", "severity", "title"]);
    }

    #[test]
    fn people_read_every_rule_and_its_fix() {
        let rules = built_in().unwrap();
        assert_eq!(table(&rules).lines().count(), 1 + BUILTIN.len());
        let text = explained(find(&rules, "aws_s3_bucket_versioning").unwrap());
        assert!(text.contains("must hold has(resource.Versioning") && text.contains("\nfix       Set "), "{text}");
        let error = find(&rules, "aws_s3_bucket_versionin").unwrap_err().to_string();
        assert_eq!(error.lines().last(), Some("hint: did you mean `aws_s3_bucket_versioning`?"));
    }

    #[test]
    fn a_case_that_does_not_hold_is_named_with_its_line() {
        let outcome = rulebook::Outcome {
            rule: "a".into(),
            file: "rules/a_test.yaml".into(),
            line: 7,
            case: "open".to_owned(),
            failure: Some("wanted fail, got pass".to_owned()),
        };
        let report = Report { outcomes: vec![outcome], untested: vec!["b".into()] };
        let want = "rules/a_test.yaml:7: open (a): wanted fail, got pass\nb has no cases beside it\n1 of 1 cases do not hold\n";
        assert_eq!(told(&report), want);
    }
}
