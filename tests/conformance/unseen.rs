//! How the comparison would do on kinds that nobody has read.
//!
//! What a case needs is found by taking parts of what is known away. A part that one kind alone needs says that without
//! a look at that kind it would not be there.

use std::collections::{BTreeMap, BTreeSet};

use driftwarden_core::compare::{Class, Knowledge, Part};

use super::score::{Score, UNSEEN, UNSEEN_UNDECLARED};
use super::{Case, overlaps};

/// Counts the cases that would be false alarms if their kind had not been read.
pub(super) fn estimate(cases: &[Case], score: &mut Score) {
    let needs: Vec<(&Case, Vec<String>)> =
        cases.iter().filter(|case| case.drifted.is_empty()).map(|case| (case, needs(case))).collect();
    let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (case, parts) in &needs {
        for part in parts {
            kinds.entry(part).or_default().insert(case.kind.as_str());
        }
    }
    let is_lonely = |part: &String| kinds.get(part.as_str()).is_some_and(|kinds| kinds.len() == 1);
    for (case, _) in needs.iter().filter(|(_, parts)| parts.iter().any(is_lonely)) {
        score.add(UNSEEN, 1);
        score.notes.push(format!("{UNSEEN}: {}", case.name));
    }
    for (part, kinds) in kinds.iter().filter(|(_, kinds)| kinds.len() == 1) {
        score.lonely.push(format!("{part}: `{}`", kinds.iter().next().unwrap()));
    }
}

/// Returns what a case without drift needs to be seen as one.
fn needs(case: &Case) -> Vec<String> {
    let fails = |knowledge: &Knowledge| !case.known(&case.observed, knowledge).changes.is_empty();
    if fails(&Knowledge::WHOLE) {
        return vec![format!("something that is not there for `{}`", case.name)];
    }
    if !fails(&Knowledge::SCHEMA) {
        return Vec::new();
    }
    let is_needed = |part: &Part| fails(&Knowledge::without(*part));
    let classes = Class::ALL.into_iter().map(Part::Class).filter(is_needed);
    let words = Knowledge::words().filter(is_needed);
    let facts = Knowledge::facts(case.kind.as_str()).filter(is_needed);
    classes.chain(words).chain(facts).map(name).collect()
}

fn name(part: Part) -> String {
    match part {
        Part::Class(class) => format!("class {class:?}"),
        Part::Word(word) => format!("word `{word}`"),
        Part::Fact(fact) => {
            format!("line `{}` {}", fact.pointer, fact.says.split('=').next().unwrap_or_default())
                + &format!(" of `{}`", fact.kind)
        }
    }
}

/// Counts the undeclared attributes that would be listed if nobody had read their kind.
pub(super) fn estimate_undeclared(cases: &[Case], score: &mut Score) {
    let mut extra: BTreeMap<String, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for case in cases {
        let (before, text) = (beyond(case, &Knowledge::WHOLE), case.observed.to_string());
        let is_there = |part: &Part| matches!(part, Part::Word(word) if text.contains(word));
        let words = Knowledge::unsaid().filter(is_there);
        for part in words.chain(Knowledge::facts(case.kind.as_str())) {
            let more = beyond(case, &Knowledge::without(part)).saturating_sub(before);
            if more > 0 {
                let entry = extra.entry(name(part)).or_default();
                entry.0.insert(case.kind.as_str());
                entry.1 += more;
            }
        }
    }
    let lonely = extra.values().filter(|(kinds, _)| kinds.len() == 1).map(|(_, count)| count).sum();
    score.add(UNSEEN_UNDECLARED, lonely);
}

fn beyond(case: &Case, knowledge: &Knowledge) -> usize {
    let found = case.known(&case.observed, knowledge);
    found.undeclared.iter().filter(|path| !case.undeclared.iter().any(|known| overlaps(known, path))).count()
}
