//! What is measured, as `docs/accuracy.md` publishes it.
//!
//! The document is generated and its numbers may only get better: a worse one is published by nobody but a person who
//! says so (`DRIFTWARDEN_UPDATE=worse`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::sly;

/// What the document lists, in its order, and whether less of it is better.
const LINES: [(&str, Better); 37] = [
    ("AWS cases", Better::Neither),
    ("AWS kinds", Better::Neither),
    ("AWS cases without drift", Better::Neither),
    ("AWS cases with drift", Better::Neither),
    (NAIVE, Better::Neither),
    (SCHEMA, Better::Neither),
    (CLASSES, Better::Less),
    ("AWS false alarms", Better::Less),
    (UNSEEN, Better::Less),
    ("AWS misses", Better::Less),
    ("AWS mutations", Better::Neither),
    ("AWS mutations missed", Better::Less),
    ("AWS sly mutations", Better::Neither),
    ("AWS sly mutations missed", Better::Less),
    ("AWS undeclared beyond", Better::Less),
    (UNSEEN_UNDECLARED, Better::Less),
    ("AWS undeclared lost", Better::Less),
    ("Azure resources read in two ways", Better::Neither),
    ("Azure resources", Better::Neither),
    ("Azure comparisons", Better::Neither),
    ("Azure false alarms of the naive comparison", Better::Neither),
    ("Azure false alarms", Better::Less),
    ("Azure mutations", Better::Neither),
    ("Azure mutations missed", Better::Less),
    ("GCP resources", Better::Neither),
    ("GCP comparisons", Better::Neither),
    ("GCP false alarms of the naive comparison", Better::Neither),
    ("GCP false alarms", Better::Less),
    ("GCP mutations", Better::Neither),
    ("GCP mutations missed", Better::Less),
    ("Kubernetes pairs", Better::Neither),
    ("Kubernetes pairs wrong in the naive comparison", Better::Neither),
    ("Kubernetes false alarms", Better::Less),
    ("Kubernetes misses", Better::Less),
    ("Kubernetes changes missed or not hidden", Better::Less),
    ("Kubernetes mutations", Better::Neither),
    ("Kubernetes mutations missed", Better::Less),
];

/// False alarms where everything declared must be there, literally.
pub(super) const NAIVE: &str = "AWS false alarms of the naive comparison";
/// False alarms with nothing but the provider's schema.
pub(super) const SCHEMA: &str = "AWS false alarms with the provider's schema only";
/// False alarms without the table of single kinds.
pub(super) const CLASSES: &str = "AWS false alarms without the lines about single kinds";
/// Cases that would be false alarms if their kind had not been read.
pub(super) const UNSEEN: &str = "AWS false alarms, on kinds that nobody has read";

/// Undeclared attributes that would be listed if their kind had not been read.
pub(super) const UNSEEN_UNDECLARED: &str = "AWS undeclared beyond, if no kind had been read";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    Neither,
}

/// Returns every line, with those of the changes that are easily taken for none at the end.
fn lines() -> impl Iterator<Item = (&'static str, Better)> {
    let sly = sly::CLASSES.iter().flat_map(|(_, made, missed)| [(*made, Better::Neither), (*missed, Better::Less)]);
    LINES.into_iter().chain(sly)
}

/// What is measured.
#[derive(Default)]
pub struct Score {
    lines: BTreeMap<&'static str, usize>,
    /// Everything that is wrong, for whoever runs the test.
    pub notes: Vec<String>,
    /// What is still wrong, as the document lists it: never a value.
    known: Vec<String>,
    /// What only one kind needs.
    pub(super) lonely: Vec<String>,
}

impl Score {
    pub(super) fn add(&mut self, line: &'static str, count: usize) {
        *self.lines.entry(line).or_default() += count;
    }

    pub(super) fn note(&mut self, line: &'static str, text: &str) {
        self.add(line, 1);
        if !line.contains("undeclared") {
            let named: Vec<_> = text.split(' ').take(2).filter(|word| !word.contains(['{', '['])).collect();
            self.known.push(format!("- {line}: `{}`", named.join("` `")));
        }
        self.notes.push(format!("{line}: {text}"));
    }

    pub fn count(&self, line: &str) -> usize {
        self.lines.get(line).copied().unwrap_or_default()
    }

    fn rate(&self, part: &str, whole: &str) -> f64 {
        let count = |line| f64::from(u32::try_from(self.count(line)).unwrap());
        100.0 * count(part) / count(whole).max(1.0)
    }

    /// Returns the document.
    pub(super) fn document(&self) -> String {
        let mut out = String::from(HEAD);
        self.clouds(&mut out);
        let _ = writeln!(
            out,
            "\nOf {} changes of AWS that are easily taken for none (another account in an ARN, a condition less, another last digit),\n\
             {:.2} % are noticed.",
            self.count("AWS sly mutations"),
            100.0 - self.rate("AWS sly mutations missed", "AWS sly mutations")
        );
        self.tiers(&mut out);
        out.push('\n');
        for line in &self.lonely {
            let _ = writeln!(out, "- {line}");
        }
        let _ = writeln!(
            out,
            "\nThe same estimate for what is listed as undeclared: {} beside the expected ones on the recorded kinds, about {} on as\n\
             many resources of kinds that nobody has read.",
            self.count("AWS undeclared beyond"),
            self.count("AWS undeclared beyond") + self.count(UNSEEN_UNDECLARED)
        );
        out.push_str("\n## Everything that is counted\n\n| what | count |\n|---|---:|\n");
        for (line, _) in lines() {
            let _ = writeln!(out, "| {line} | {} |", self.count(line));
        }
        out.push_str(WRONG);
        for line in &self.known {
            let _ = writeln!(out, "{line}");
        }
        out
    }

    /// Writes one row for each cloud.
    fn clouds(&self, out: &mut String) {
        out.push_str("| cloud | compared | naive false alarms | false alarms | misses | changes noticed |\n|---|---:|---:|---:|---:|---:|\n");
        let rows = [
            ("AWS", "AWS cases", NAIVE),
            ("Azure", "Azure comparisons", "Azure false alarms of the naive comparison"),
            ("GCP", "GCP comparisons", "GCP false alarms of the naive comparison"),
            ("Kubernetes", "Kubernetes pairs", "Kubernetes pairs wrong in the naive comparison"),
        ];
        for (cloud, compared, naive) in rows {
            let own = |what: &str| self.count(&format!("{cloud} {what}"));
            let noticed = self.rate(&format!("{cloud} mutations missed"), &format!("{cloud} mutations"));
            let _ = writeln!(
                out,
                "| {cloud} | {} | {} | {} | {} | {:.2} % of {} |",
                self.count(compared),
                self.count(naive),
                own("false alarms"),
                own("misses"),
                100.0 - noticed,
                own("mutations")
            );
        }
    }

    /// Writes what each part of what is known is worth.
    fn tiers(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n| what is known of AWS ({} resources that nobody touched, of {} kinds) | false alarms | |\n|---|---:|---:|",
            self.count("AWS cases without drift"),
            self.count("AWS kinds")
        );
        let tiers = [
            ("nothing: everything declared is there, literally", NAIVE),
            ("the provider's schema", SCHEMA),
            ("and classes of values", CLASSES),
            ("and lines about single kinds", "AWS false alarms"),
            ("the same, **estimated for kinds that nobody has read**", UNSEEN),
        ];
        for (tier, line) in tiers {
            let rate = self.rate(line, "AWS cases without drift");
            let _ = writeln!(out, "| {tier} | {} | {rate:.1} % |", self.count(line));
        }
        let _ = writeln!(out, "\n{}", ESTIMATE.trim_end());
    }

    /// Returns what is worse than in the document that was published.
    pub(super) fn worse(&self, published: &str) -> Vec<String> {
        let before = |line: &str| -> Option<usize> {
            let row = published.lines().find_map(|row| row.strip_prefix(&format!("| {line} | ")))?;
            row.split(' ').next()?.parse().ok()
        };
        let is_worse = |line: &str| before(line).is_some_and(|before| self.count(line) > before);
        lines()
            .filter(|(line, better)| *better == Better::Less && is_worse(line))
            .map(|(line, _)| format!("{line}: {} instead of {}", self.count(line), before(line).unwrap_or_default()))
            .collect()
    }

    /// Publishes the score where somebody asked for it, and refuses to publish a worse one unless told so.
    pub(super) fn publish(&self, path: &Path) {
        let published = std::fs::read_to_string(path).unwrap_or_default();
        let worse = self.worse(&published);
        match std::env::var_os("DRIFTWARDEN_UPDATE").as_deref().and_then(OsStr::to_str) {
            None => assert!(worse.is_empty(), "the comparison got worse: {worse:?}"),
            Some("worse") => std::fs::write(path, self.document()).unwrap(),
            Some(_) => {
                assert!(worse.is_empty(), "not published without `DRIFTWARDEN_UPDATE=worse`: {worse:?}");
                std::fs::write(path, self.document()).unwrap();
            }
        }
    }
}

#[test]
fn a_worse_score_is_told_from_a_better_one() {
    let mut score = Score::default();
    score.add("AWS misses", 2);
    score.add("AWS cases", 700);
    assert_eq!(score.worse("| AWS misses | 1 |\n| AWS cases | 678 |\n"), ["AWS misses: 2 instead of 1"]);
    assert_eq!(score.worse("| AWS misses | 2 |\n"), Vec::<String>::new());
    assert_eq!(score.worse(&score.document()), Vec::<String>::new());
}

const HEAD: &str = "\
# Accuracy of the comparison

Measured by `tests/conformance/` on recorded resources that nobody touched, on recorded drift, and on every change of one
declared, readable value of them. Generated: `DRIFTWARDEN_UPDATE=1 cargo test conformance`, which refuses a worse score.

Resources of Azure and Google Cloud were read in several ways; the rest of their comparisons are of a recorded resource with
the forms in which people declare the same: other cases, paths, names, templates.

## How often it cries wolf

";

const ESTIMATE: &str = "\
The recorded kinds were read when the comparison was written, so a low number on them proves little. The last row is the
honest one. Each class of values, each word by which a class knows where it holds and each line of the table is taken away
in turn. A case that needs something which no other kind needs would have been a false alarm had its kind not been read:
such cases, over all cases, estimate the share of false alarms on kinds that nobody has read (Good and Turing's estimate of
what is unseen). The estimate knows nothing of lines that were written from knowledge of a service and not from a recording.
What one kind alone needs:

";

const WRONG: &str = "
## What is still wrong

A missed mutation takes away what the kind's schema says it would be anyway: its default, or a secret that is not given
back. The line of a sly one says what was done.

";
