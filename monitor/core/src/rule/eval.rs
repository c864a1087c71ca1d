//! Walks the tree of an expression over one resource, counting every step (I39).
//!
//! `&&`, `||`, `all` and `exists` are CEL's: a side that could not be evaluated matters only if the other does not decide.
//! That keeps I2 exact: a verdict is given only where no value of the unread attribute could change it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use crate::compare::sensitive::looks_secret;
use crate::resource::{Depth, Desired, Resource};

use super::compile::{Each, Function, Node, Operator, Quantifier, Root};
use super::value::{Found, Items, Val};

/// Most steps that one evaluation may take: some ten milliseconds.
const MAX_STEPS: u32 = 500_000;
/// Longest text that an expression may make, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Bytes of text that cost as much as one step.
const BYTES_PER_STEP: usize = 32;
/// How deep two values are compared.
const MAX_NESTING: usize = 128;

/// Why an expression gave no value.
#[derive(Debug)]
pub(super) enum Stop {
    /// The path was not read (I2).
    Unread(String),
    /// The path is not there.
    Missing(String),
    /// Something was asked of a value that it cannot do.
    Wrong(String),
    /// Over a limit; not even `||` goes on after that.
    Limit(&'static str),
}

type Evaluated<'a> = Result<Val<'a>, Stop>;

/// One evaluation.
pub(super) struct Machine<'a> {
    resource: &'a Resource,
    desired: Option<&'a Desired>,
    variables: Vec<Option<Val<'a>>>,
    steps: u32,
}

impl<'a> Machine<'a> {
    pub(super) fn new(resource: &'a Resource, desired: Option<&'a Desired>) -> Self {
        Self { resource, desired, variables: Vec::new(), steps: MAX_STEPS }
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Evaluated<'a> {
        self.spend(1)?;
        match node {
            Node::Null => Ok(Val::Null),
            Node::Bool(bool) => Ok(Val::Bool(*bool)),
            Node::Int(int) => Ok(Val::Int(*int)),
            Node::Double(double) => Ok(Val::Double(*double)),
            Node::Text(text) => Ok(Val::Text(Cow::Borrowed(text))),
            Node::Root(root) => self.root(*root),
            Node::Var(slot, name) => match self.variables.get(*slot) {
                Some(Some(value)) => Ok(value.clone()),
                _ => Err(Stop::Unread((**name).to_owned())),
            },
            Node::Select(operand, field) => {
                let found = self.eval(operand)?.get(field);
                found_value(found, node)
            }
            Node::Has(operand, field) => self.has(node, operand, field),
            Node::Index(two) => self.index(node, two),
            Node::And(two) => self.either(two, false),
            Node::Or(two) => self.either(two, true),
            Node::Not(operand) => Ok(Val::Bool(!self.bool(operand)?)),
            Node::Negate(operand) => negate(&self.eval(operand)?),
            Node::If(three) => {
                let [condition, then, otherwise] = &**three;
                if self.bool(condition)? { self.eval(then) } else { self.eval(otherwise) }
            }
            Node::Binary(operator, two) => self.binary(*operator, two),
            Node::List(nodes) => Ok(Val::List(Rc::new(self.all(nodes)?))),
            Node::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| Ok((self.eval(key)?, self.eval(value)?)));
                Ok(Val::Map(Rc::new(entries.collect::<Result<_, Stop>>()?)))
            }
            Node::Each(quantifier, each) => self.each(*quantifier, each),
            Node::Call(function, arguments) => {
                let values = self.all(arguments)?;
                self.call(*function, &values)
            }
            Node::Matches(operand, pattern) => {
                let Val::Text(text) = self.eval(operand)? else { return Err(wrong("matches needs a string")) };
                self.spend(text.len().saturating_mul(pattern.cost) / 4)?;
                Ok(Val::Bool(pattern.regex.is_match(&text)))
            }
        }
    }

    fn all(&mut self, nodes: &'a [Node]) -> Result<Vec<Val<'a>>, Stop> {
        nodes.iter().map(|node| self.eval(node)).collect()
    }

    fn root(&self, root: Root) -> Evaluated<'a> {
        let depth = self.resource.depth;
        let unread = || Stop::Unread(root.name().to_owned());
        match root {
            Root::Resource => Val::read(&self.resource.attributes, depth).ok_or_else(unread),
            Root::Desired => match self.desired {
                Some(desired) => Val::read(&desired.attributes, Depth::Full).ok_or_else(unread),
                None => Ok(Val::Null),
            },
            Root::Labels => {
                let depth = crate::normalize::depth_of_labels(&self.resource.attributes, depth);
                Ok(Val::Labels(&self.resource.labels, depth))
            }
            Root::Id => Ok(Val::Id(&self.resource.id)),
        }
    }

    /// Unlike CEL's, it answers false where the path breaks off earlier: `has(a.b.c)` without `a.b`. The alternative is
    /// a rule that stays inconclusive on the very resources that lack the most.
    fn has(&mut self, node: &Node, operand: &'a Node, field: &str) -> Evaluated<'a> {
        let found = match self.eval(operand) {
            Ok(value) => value.get(field),
            Err(Stop::Missing(_)) => Found::Nothing,
            Err(stop) => return Err(stop),
        };
        match found_value(found, node) {
            Ok(_) => Ok(Val::Bool(true)),
            Err(Stop::Missing(_)) => Ok(Val::Bool(false)),
            Err(stop) => Err(stop),
        }
    }

    fn index(&mut self, node: &'a Node, [operand, index]: &'a [Node; 2]) -> Evaluated<'a> {
        let value = self.eval(operand)?;
        let found = match self.eval(index)? {
            Val::Text(key) => value.get(&key),
            Val::Int(at) if value.at(at).is_list() => value.at(at),
            key => match &value {
                Val::Map(entries) => {
                    let mut found = Found::Nothing;
                    for (name, value) in entries.iter() {
                        if self.equal(name, &key, MAX_NESTING)? {
                            found = Found::Value(value.clone());
                        }
                    }
                    found
                }
                _ => Found::NoMap,
            },
        };
        found_value(found, node)
    }

    /// `&&` (decided by false) and `||` (decided by true).
    fn either(&mut self, [left, right]: &'a [Node; 2], decides: bool) -> Evaluated<'a> {
        let first = self.bool(left);
        match first {
            Ok(bool) if bool == decides => return Ok(Val::Bool(decides)),
            Err(Stop::Limit(limit)) => return Err(Stop::Limit(limit)),
            _ => {}
        }
        match (first, self.bool(right)) {
            (_, Ok(bool)) if bool == decides => Ok(Val::Bool(decides)),
            (_, Err(Stop::Limit(limit))) => Err(Stop::Limit(limit)),
            (Ok(_), Ok(_)) => Ok(Val::Bool(!decides)),
            (Err(stop @ Stop::Unread(_)), _) | (_, Err(stop)) | (Err(stop), Ok(_)) => Err(stop),
        }
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool, Stop> {
        match self.eval(node)? {
            Val::Bool(bool) => Ok(bool),
            value => Err(wrong(&format!("`{}` is a {}, not a bool", node.path(), value.type_name()))),
        }
    }

    fn each(&mut self, quantifier: Quantifier, each: &'a Each) -> Evaluated<'a> {
        let range = self.eval(&each.range)?;
        let Some(items) = range.items() else {
            return Err(wrong(&format!("`{}` is a {}, not a list or map", each.range.path(), range.type_name())));
        };
        self.variables.truncate(each.slot);
        self.variables.push(None);
        match quantifier {
            Quantifier::All => self.decide(each, items, false),
            Quantifier::Exists => self.decide(each, items, true),
            Quantifier::ExistsOne => {
                let mut count = 0_u32;
                for item in items {
                    self.bind(each.slot, item);
                    count += u32::from(self.bool(&each.body)?);
                }
                Ok(Val::Bool(count == 1))
            }
            Quantifier::Filter => self.gather(items, each, Gather::Kept),
            Quantifier::Map => self.gather(items, each, Gather::Made),
        }
    }

    fn bind(&mut self, slot: usize, item: Option<Val<'a>>) {
        self.variables.truncate(slot + 1);
        if let Some(variable) = self.variables.get_mut(slot) {
            *variable = item;
        }
    }

    /// `all` (decided by one false) and `exists` (decided by one true).
    fn decide(&mut self, each: &'a Each, items: Items<'a>, decides: bool) -> Evaluated<'a> {
        let mut doubt = None;
        for item in items {
            self.bind(each.slot, item);
            match self.bool(&each.body) {
                Ok(bool) if bool == decides => return Ok(Val::Bool(decides)),
                Err(Stop::Limit(limit)) => return Err(Stop::Limit(limit)),
                Err(stop) if doubt.is_none() || matches!(stop, Stop::Unread(_)) => doubt = Some(stop),
                Ok(_) | Err(_) => {}
            }
        }
        doubt.map_or(Ok(Val::Bool(!decides)), Err)
    }

    fn gather(&mut self, items: Items<'a>, each: &'a Each, gather: Gather) -> Evaluated<'a> {
        let mut gathered = Vec::new();
        for item in items {
            self.bind(each.slot, item.clone());
            let keep = match (gather, &each.keep) {
                (Gather::Kept, _) => self.bool(&each.body)?,
                (Gather::Made, Some(keep)) => self.bool(keep)?,
                (Gather::Made, None) => true,
            };
            if keep {
                gathered.push(match (gather, item) {
                    (Gather::Kept, Some(item)) => item,
                    (Gather::Kept, None) => return Err(Stop::Unread(each.range.path())),
                    (Gather::Made, _) => self.eval(&each.body)?,
                });
            }
        }
        Ok(Val::List(Rc::new(gathered)))
    }

    fn binary(&mut self, operator: Operator, [left, right]: &'a [Node; 2]) -> Evaluated<'a> {
        let (left, right) = (self.eval(left)?, self.eval(right)?);
        let bool = match operator {
            Operator::Equal => self.equal(&left, &right, MAX_NESTING)?,
            Operator::NotEqual => !self.equal(&left, &right, MAX_NESTING)?,
            Operator::Less => compare(&left, &right)? == Some(Ordering::Less),
            Operator::AtMost => matches!(compare(&left, &right)?, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => compare(&left, &right)? == Some(Ordering::Greater),
            Operator::AtLeast => matches!(compare(&left, &right)?, Some(Ordering::Greater | Ordering::Equal)),
            Operator::In => self.is_in(&left, &right)?,
            Operator::Add => return self.add(&left, &right),
            _ => return calculate(operator, &left, &right),
        };
        Ok(Val::Bool(bool))
    }

    fn is_in(&mut self, item: &Val<'a>, list: &Val<'a>) -> Result<bool, Stop> {
        if let (Val::Text(key), Val::Object(..) | Val::Labels(..) | Val::Id(_) | Val::Map(_)) = (item, list) {
            return match list.get(key) {
                Found::Value(_) => Ok(true),
                Found::Nothing | Found::NoMap => Ok(false),
                Found::Unread => Err(Stop::Unread(format!("key `{key}`"))),
            };
        }
        let Some(items) = list.items() else {
            return Err(wrong(&format!("`in` needs a list or map, not a {}", list.type_name())));
        };
        let mut unread = false;
        for other in items {
            match other {
                Some(other) if self.equal(item, &other, MAX_NESTING)? => return Ok(true),
                Some(_) => {}
                None => unread = true,
            }
        }
        if unread { Err(Stop::Unread("an item of the list".to_owned())) } else { Ok(false) }
    }

    fn equal(&mut self, left: &Val<'a>, right: &Val<'a>, nesting: usize) -> Result<bool, Stop> {
        self.spend(1)?;
        let Some(nesting) = nesting.checked_sub(1) else { return Err(Stop::Limit("values nested too deep")) };
        match (left, right) {
            (Val::Null, Val::Null) => Ok(true),
            (Val::Bool(left), Val::Bool(right)) => Ok(left == right),
            (Val::Text(left), Val::Text(right)) => {
                self.spend_text(left.len().min(right.len()))?;
                Ok(left == right)
            }
            (Val::Int(_) | Val::Double(_), Val::Int(_) | Val::Double(_)) => {
                Ok(compare(left, right)? == Some(Ordering::Equal))
            }
            _ if left.type_name() != right.type_name() || left.len() != right.len() => Ok(false),
            _ if left.type_name() == "list" => self.equal_lists(left, right, nesting),
            _ => self.equal_maps(left, right, nesting),
        }
    }

    fn equal_lists(&mut self, left: &Val<'a>, right: &Val<'a>, nesting: usize) -> Result<bool, Stop> {
        let (Some(left), Some(right)) = (left.items(), right.items()) else { return Ok(false) };
        for pair in left.zip(right) {
            let (Some(left), Some(right)) = pair else { return Err(Stop::Unread("an item of the list".to_owned())) };
            if !self.equal(&left, &right, nesting)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equal_maps(&mut self, left: &Val<'a>, right: &Val<'a>, nesting: usize) -> Result<bool, Stop> {
        let Some(keys) = left.items() else { return Ok(false) };
        for key in keys.flatten() {
            let Val::Text(key) = key else { return Err(wrong("maps are compared by string keys only")) };
            match (left.get(&key), right.get(&key)) {
                (Found::Value(left), Found::Value(right)) if self.equal(&left, &right, nesting)? => {}
                (Found::Unread, _) | (_, Found::Unread) => return Err(Stop::Unread(format!("key `{key}`"))),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn add(&mut self, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
        match (left, right) {
            (Val::Text(a), Val::Text(b)) => {
                self.check_text(a.len() + b.len())?;
                Ok(Val::Text(Cow::Owned(format!("{a}{b}"))))
            }
            (Val::Array(..) | Val::List(_), Val::Array(..) | Val::List(_)) => {
                let mut items = self.listed(left)?;
                items.extend(self.listed(right)?);
                Ok(Val::List(Rc::new(items)))
            }
            _ => calculate(Operator::Add, left, right),
        }
    }

    fn listed(&mut self, list: &Val<'a>) -> Result<Vec<Val<'a>>, Stop> {
        self.spend(list.len().unwrap_or(0))?;
        let unread = || Stop::Unread("an item of the list".to_owned());
        list.items().into_iter().flatten().map(|item| item.ok_or_else(unread)).collect()
    }

    fn call(&mut self, function: Function, arguments: &[Val<'a>]) -> Evaluated<'a> {
        for argument in arguments {
            if let Val::Text(text) = argument {
                self.spend_text(text.len())?;
            }
        }
        match (function, arguments) {
            (Function::Size, [Val::Text(text)]) => Ok(int(text.chars().count())),
            (Function::Size, [value]) if value.len().is_some() => Ok(int(value.len().unwrap_or(0))),
            (Function::Contains, [Val::Text(text), Val::Text(part)]) => Ok(Val::Bool(text.contains(&**part))),
            (Function::StartsWith, [Val::Text(text), Val::Text(part)]) => Ok(Val::Bool(text.starts_with(&**part))),
            (Function::EndsWith, [Val::Text(text), Val::Text(part)]) => Ok(Val::Bool(text.ends_with(&**part))),
            (Function::LowerAscii, [Val::Text(text)]) => Ok(Val::Text(text.to_ascii_lowercase().into())),
            (Function::UpperAscii, [Val::Text(text)]) => Ok(Val::Text(text.to_ascii_uppercase().into())),
            (Function::Trim, [Val::Text(text)]) => Ok(Val::Text(text.trim().to_owned().into())),
            (Function::Split, [Val::Text(text), Val::Text(by)]) => {
                self.spend(text.matches(&**by).count())?;
                let parts = text.split(&**by).map(|part| Val::Text(part.to_owned().into()));
                Ok(Val::List(Rc::new(parts.collect())))
            }
            (Function::Join, [list @ (Val::Array(..) | Val::List(_)), Val::Text(by)]) => self.join(list, by),
            (Function::Text, [value]) => text_of(value),
            (Function::Int, [value]) => int_of(value),
            (Function::Double, [value]) => double_of(value),
            (Function::Type, [value]) => Ok(Val::Text(Cow::Borrowed(value.type_name()))),
            (Function::AsList, [Val::Null]) => Ok(Val::List(Rc::default())),
            (Function::AsList, [list @ (Val::Array(..) | Val::List(_))]) => Ok(list.clone()),
            (Function::AsList, [value]) => Ok(Val::List(Rc::new(vec![value.clone()]))),
            _ => {
                let types: Vec<&str> = arguments.iter().map(Val::type_name).collect();
                Err(wrong(&format!("`{}` does not take ({})", function.name(), types.join(", "))))
            }
        }
    }

    fn join(&mut self, list: &Val<'a>, by: &str) -> Evaluated<'a> {
        let mut joined = String::new();
        for (at, item) in self.listed(list)?.into_iter().enumerate() {
            let Val::Text(item) = item else { return Err(wrong("join needs a list of strings")) };
            if at > 0 {
                joined.push_str(by);
            }
            joined.push_str(&item);
            self.check_text(joined.len())?;
        }
        Ok(Val::Text(joined.into()))
    }

    fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps.checked_sub(steps));
        self.steps = left.unwrap_or(0);
        if left.is_some() { Ok(()) } else { Err(Stop::Limit("too many steps")) }
    }

    fn spend_text(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spend(bytes / BYTES_PER_STEP)
    }

    fn check_text(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spend_text(bytes)?;
        if bytes > MAX_TEXT { Err(Stop::Limit("a text grew too long")) } else { Ok(()) }
    }
}

/// What a quantifier collects: the items that fit, or what the body makes of them.
#[derive(Clone, Copy)]
enum Gather {
    Kept,
    Made,
}

impl Found<'_> {
    const fn is_list(&self) -> bool {
        !matches!(self, Self::NoMap)
    }
}

fn found_value<'a>(found: Found<'a>, node: &Node) -> Evaluated<'a> {
    match found {
        Found::Value(value) => Ok(value),
        Found::Unread => Err(Stop::Unread(node.path())),
        Found::Nothing => Err(Stop::Missing(node.path())),
        Found::NoMap => Err(wrong(&format!("nothing can be selected at `{}`", node.path()))),
    }
}

fn wrong(why: &str) -> Stop {
    Stop::Wrong(why.to_owned())
}

fn int<'a>(count: usize) -> Val<'a> {
    Val::Int(i128::try_from(count).unwrap_or(i128::MAX))
}

/// Returns a whole number that CEL's `int` or `uint` can hold.
fn bounded<'a>(number: Option<i128>) -> Evaluated<'a> {
    let fits = |number: &i128| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(number);
    number.filter(fits).map(Val::Int).ok_or_else(|| wrong("a number overflowed, or was divided by zero"))
}

fn negate<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Int(int) => bounded(int.checked_neg()),
        Val::Double(double) => Ok(Val::Double(-double)),
        _ => Err(wrong(&format!("a {} cannot be negated", value.type_name()))),
    }
}

fn calculate<'a>(operator: Operator, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    if let (Val::Int(left), Val::Int(right)) = (left, right) {
        return bounded(match operator {
            Operator::Add => left.checked_add(*right),
            Operator::Subtract => left.checked_sub(*right),
            Operator::Multiply => left.checked_mul(*right),
            Operator::Divide => left.checked_div(*right),
            _ => left.checked_rem(*right),
        });
    }
    let (Some(a), Some(b)) = (as_double(left), as_double(right)) else {
        return Err(wrong(&format!("no such operation on a {} and a {}", left.type_name(), right.type_name())));
    };
    match operator {
        Operator::Add => Ok(Val::Double(a + b)),
        Operator::Subtract => Ok(Val::Double(a - b)),
        Operator::Multiply => Ok(Val::Double(a * b)),
        Operator::Divide => Ok(Val::Double(a / b)),
        _ => Err(wrong("% needs whole numbers")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "CEL compares and mixes whole numbers with doubles as doubles")]
fn as_double(value: &Val<'_>) -> Option<f64> {
    match value {
        Val::Int(int) => Some(*int as f64),
        Val::Double(double) => Some(*double),
        _ => None,
    }
}

fn compare(left: &Val<'_>, right: &Val<'_>) -> Result<Option<Ordering>, Stop> {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => Ok(Some(left.cmp(right))),
        (Val::Text(left), Val::Text(right)) => Ok(Some(left.cmp(right))),
        (Val::Bool(left), Val::Bool(right)) => Ok(Some(left.cmp(right))),
        _ => match (as_double(left), as_double(right)) {
            (Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => Err(wrong(&format!("a {} and a {} have no order", left.type_name(), right.type_name()))),
        },
    }
}

fn text_of<'a>(value: &Val<'a>) -> Evaluated<'a> {
    Ok(Val::Text(match value {
        Val::Text(text) => text.clone(),
        Val::Int(int) => int.to_string().into(),
        Val::Double(double) => double.to_string().into(),
        Val::Bool(bool) => bool.to_string().into(),
        _ => return Err(wrong(&format!("a {} is no string", value.type_name()))),
    }))
}

fn int_of<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Int(int) => Ok(Val::Int(*int)),
        Val::Text(text) => bounded(text.parse().ok()),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "CEL cuts off the fraction; the cast saturates, `bounded` refuses"
        )]
        Val::Double(double) if double.is_finite() => bounded(Some(*double as i128)),
        _ => Err(wrong(&format!("a {} is no int", value.type_name()))),
    }
}

fn double_of<'a>(value: &Val<'a>) -> Evaluated<'a> {
    let parsed = match value {
        Val::Text(text) => text.parse().ok(),
        _ => as_double(value),
    };
    parsed.map(Val::Double).ok_or_else(|| wrong(&format!("a {} is no double", value.type_name())))
}

/// Prints a value for a message: texts as they are, lists of texts with commas, never a whole map, never a secret.
pub(super) fn print(value: &Val<'_>) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Array(items, _) => {
            let printed: Vec<String> = items.iter().take(8).map(print_json).collect();
            if items.len() > 8 { format!("{}, …", printed.join(", ")) } else { printed.join(", ") }
        }
        Val::List(items) => items.iter().take(8).map(print_scalar).collect::<Vec<_>>().join(", "),
        other => print_scalar(other),
    }
}

fn print_json(value: &Value) -> String {
    Val::read(value, Depth::Full).map_or_else(|| "(not read)".to_owned(), |value| print_scalar(&value))
}

fn print_scalar(value: &Val<'_>) -> String {
    match text_of(value) {
        Ok(Val::Text(text)) if looks_secret(&text) => "(secret)".to_owned(),
        Ok(Val::Text(text)) => text.into_owned(),
        _ => format!("({})", value.type_name()),
    }
}
