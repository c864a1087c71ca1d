//! Rules: what is checked, and what a check says of one resource.
//!
//! A rule comes in as text ([`RuleSource`]), is compiled once ([`Rule::compile`]) and evaluated many times
//! ([`evaluate`]). Reading rules from files, and their tests, is the rulebook's business, not ours.

mod compile;
mod eval;
mod value;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::compare::sensitive::is_secret_name;
use crate::finding::Severity;
use crate::resource::{Desired, Kind, Resource};

use compile::Node;
use eval::{Machine, Stop};

/// What a rule says of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The resource is as the rule asks.
    Pass,
    /// It is not; the message says so for people.
    Fail(String),
    /// An attribute that the rule looks at was not read (I2).
    Skip(String),
    /// The rule itself went wrong or over its limits (I39), or it looked at an attribute that is not set without asking
    /// `has()` first. Inconclusive: neither pass nor fail.
    Error(String),
}

/// Controls that a rule speaks for, by framework: `{cis-aws-3.0: [2.1.4]}`.
pub type Frameworks = BTreeMap<String, Vec<String>>;

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// `cloud_service_thing_statement`.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// The kind it looks at; `*` stands for any characters.
    pub kind: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// What must hold, in CEL.
    pub expression: String,
    /// What to say when it does not; `{resource.A.b}` is replaced by the value.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// Controls that it speaks for.
    pub frameworks: Frameworks,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {key}{place}: {why}")]
pub struct CompileError {
    /// The key of the rule that is wrong.
    pub key: &'static str,
    /// Line and column in its text, from 1, where that is known.
    place: Place,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(Option<(u32, u32)>);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((1, column)) => write!(f, " at column {column}"),
            Some((line, column)) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl CompileError {
    fn at(line: u32, column: u32, why: String) -> Self {
        Self { key: "expression", place: Place(Some((line, column))), why }
    }

    fn whole(why: String) -> Self {
        Self { key: "expression", place: Place(None), why }
    }

    fn of(key: &'static str, why: &str) -> Self {
        Self { key, place: Place(None), why: why.to_owned() }
    }
}

/// One compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// `cloud_service_thing_statement`.
    pub id: Arc<str>,
    /// One line for people.
    pub title: String,
    /// The kind it looks at; `*` stands for any characters.
    pub kind: Kind,
    /// How bad a violation is.
    pub severity: Severity,
    /// What to do about a violation.
    pub fix: String,
    /// Controls that it speaks for.
    pub frameworks: Frameworks,
    /// What must hold, as it is written.
    pub expression: String,
    condition: Node,
    message: Vec<Piece>,
    digest: [u8; 32],
}

/// A part of a message.
#[derive(Debug)]
enum Piece {
    Text(String),
    Value(Node),
}

/// Most bytes of a rule's id, title, kind or message.
const MAX_LINE: usize = 1024;

impl Rule {
    /// Compiles a rule; what can be refused is refused here and not while a cloud is being looked at.
    pub fn compile(source: RuleSource) -> Result<Self, CompileError> {
        check_id(&source.id)?;
        for (key, text) in [("title", &source.title), ("kind", &source.kind), ("message", &source.message)] {
            if text.trim().is_empty() || text.len() > MAX_LINE {
                return Err(CompileError::of(key, "empty or too long"));
            }
        }
        Ok(Self {
            digest: digest(&source),
            condition: compile::compile(&source.expression)?,
            message: pieces(&source.message)?,
            id: source.id.into(),
            title: source.title,
            kind: Kind::new(source.kind),
            severity: source.severity,
            fix: source.fix,
            frameworks: source.frameworks,
            expression: source.expression,
        })
    }

    /// Returns a digest of the rule's text.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Returns the names of the attributes that the rule looks at; nothing if that may be any.
    pub fn attributes(&self) -> Option<BTreeSet<&str>> {
        let mut names = BTreeSet::new();
        let shown = self.message.iter().filter_map(|piece| match piece {
            Piece::Value(node) => Some(node),
            Piece::Text(_) => None,
        });
        shown.chain([&self.condition]).all(|node| node.attributes(&mut names)).then_some(names)
    }

    /// Returns whether the rule looks at `kind`.
    pub fn is_for(&self, kind: &Kind) -> bool {
        fits(self.kind.as_str(), kind.as_str())
    }
}

/// Every rule in force, by kind.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    exact: HashMap<Kind, Vec<Arc<Rule>>>,
    /// Rules whose kind has a `*`: few, so each is asked.
    patterns: Vec<Arc<Rule>>,
    hash: [u8; 16],
}

impl RuleSet {
    /// Returns the set of these rules, ordered by id. Ids are expected to differ.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let mut set = Self { hash: hash(&rules), ..Self::default() };
        for rule in &rules {
            let is_pattern = rule.kind.as_str().contains('*');
            let of_kind = if is_pattern { &mut set.patterns } else { set.exact.entry(rule.kind.clone()).or_default() };
            of_kind.push(Arc::clone(rule));
        }
        Self { rules, ..set }
    }

    /// Returns the rules that look at `kind`.
    pub fn of<'a>(&'a self, kind: &'a Kind) -> impl Iterator<Item = &'a Arc<Rule>> {
        let exact = self.exact.get(kind).into_iter().flatten();
        exact.chain(self.patterns.iter().filter(move |rule| rule.is_for(kind)))
    }

    /// Returns the kinds that rules name, without those that are named by a pattern.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.exact.keys().cloned()
    }

    /// Returns every rule, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// Returns a digest of every rule's text: the same rules in any order give the same digest.
    pub fn hash(&self) -> [u8; 16] {
        self.hash
    }
}

/// Evaluates one rule on one resource and, if there is one, its desired twin.
///
/// An attribute that was not read gives [`Verdict::Skip`], unless it could not have changed the verdict. One that is
/// not set and that the rule did not ask for by `has()` gives [`Verdict::Error`].
pub fn evaluate(rule: &Rule, resource: &Resource, desired: Option<&Desired>) -> Verdict {
    match Machine::new(resource, desired).eval(&rule.condition) {
        Ok(value::Val::Bool(true)) => Verdict::Pass,
        Ok(value::Val::Bool(false)) => Verdict::Fail(message(rule, resource, desired)),
        Ok(other) => Verdict::Error(format!("the expression gives a {}, not a bool", other.type_name())),
        Err(Stop::Unread(path)) => Verdict::Skip(format!("`{path}` was not read")),
        Err(Stop::Missing(path)) => Verdict::Error(format!("no such key: `{path}`; ask has() first")),
        Err(Stop::Wrong(why)) => Verdict::Error(why),
        Err(Stop::Limit(limit)) => Verdict::Error(format!("over the limit: {limit}")),
    }
}

/// Longest value in a message, and longest message, in characters.
const MAX_VALUE: usize = 200;
const MAX_MESSAGE: usize = 1000;

fn message(rule: &Rule, resource: &Resource, desired: Option<&Desired>) -> String {
    let mut message = String::new();
    for piece in &rule.message {
        match piece {
            Piece::Text(text) => message.push_str(text),
            Piece::Value(node) => {
                let value = match Machine::new(resource, desired).eval(node) {
                    Ok(value) => eval::print(&value),
                    Err(Stop::Missing(_)) => "(not set)".to_owned(),
                    Err(Stop::Unread(_)) => "(not read)".to_owned(),
                    Err(Stop::Wrong(_) | Stop::Limit(_)) => "(no value)".to_owned(),
                };
                message.extend(value.chars().take(MAX_VALUE));
            }
        }
    }
    // What a cloud says must not be able to break a log line or a terminal.
    message.chars().take(MAX_MESSAGE).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Splits a message at its `{expression}`s; `{{` is a brace.
fn pieces(message: &str) -> Result<Vec<Piece>, CompileError> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), message);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('{') {
            text.push('{');
            rest = after;
            continue;
        }
        let Some((inner, after)) = after.split_once('}') else {
            return Err(CompileError::of("message", "`{` without `}`; write `{{` for a brace"));
        };
        let node = compile::compile(inner).map_err(|error| CompileError { key: "message", ..error })?;
        if let Some(name) = node.names().find(|name| is_secret_name(name)) {
            return Err(CompileError::of("message", &format!("`{name}` may hold a secret and cannot be shown")));
        }
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Value(node));
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn check_id(id: &str) -> Result<(), CompileError> {
    let is_word = id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if is_word && !id.is_empty() && id.len() <= 100 {
        return Ok(());
    }
    Err(CompileError::of("id", "expected lowercase letters, digits and `_`, as in aws_s3_bucket_public_access"))
}

/// Returns whether `pattern`, in which `*` stands for any characters, fits all of `text`.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The leftmost place is as good as any: what follows has the most room.
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    true
}

fn digest(source: &RuleSource) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let RuleSource { id, title, kind, severity, expression, message, fix, frameworks } = source;
    let mut text = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    for part in [id, title, kind, severity.as_str(), expression, message, fix] {
        text(part);
    }
    for (framework, controls) in frameworks {
        text(framework);
        text(&controls.join("\n"));
    }
    hasher.finalize().into()
}

fn hash(rules: &[Arc<Rule>]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for rule in rules {
        hasher.update(&rule.digest);
    }
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

#[cfg(test)]
mod tests;
