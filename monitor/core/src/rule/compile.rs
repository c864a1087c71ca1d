//! From the text of an expression to a tree that can be evaluated without looking up a name.
//!
//! The parser is that of the crate `cel`; its evaluator is not used, for it can neither count steps nor tell an attribute
//! that is not set from one that was not read. Everything that can be refused is refused here, with the place in the text.

use std::collections::BTreeSet;
use std::thread;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use regex::{Regex, RegexBuilder};

use super::CompileError;
use super::value::ID_PARTS;

/// Longest expression, in bytes.
const MAX_TEXT: usize = 4 * 1024;
/// Stack for the parser and for walking what it made: `1+1+…` of the longest text needs a fourth of it in a debug build.
const STACK: usize = 64 * 1024 * 1024;
/// Deepest brackets in the text, and deepest tree made of it.
const MAX_DEPTH: usize = 80;
/// Most quantifiers (`all`, `exists`, `map` ...) inside each other. The steps are counted too: this is for the reader.
const MAX_QUANTIFIERS: usize = 3;
/// Sizes that a compiled regular expression may have, in bytes, and the steps that each byte of text then costs, in
/// fourths. The engine is linear in both, so the worst case stays near a second whatever is written.
const REGEX_SIZES: [(usize, usize); 3] = [(4 * 1024, 2), (16 * 1024, 8), (128 * 1024, 64)];

/// One step of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(Box<str>),
    Root(Root),
    /// A quantifier's variable: its place, outermost first, and its name for messages.
    Var(usize, Box<str>),
    Select(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    If(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Each(Quantifier, Box<Each>),
    Call(Function, Box<[Node]>),
    Matches(Box<Node>, Box<Pattern>),
}

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// Steps that four bytes of text cost.
    pub(super) cost: usize,
}

impl Pattern {
    fn compile(text: &str) -> Option<Self> {
        let build = |(size, cost): (usize, usize)| {
            let regex = RegexBuilder::new(text).size_limit(size).dfa_size_limit(size).build().ok()?;
            Some(Self { regex, cost })
        };
        REGEX_SIZES.into_iter().find_map(build)
    }
}

/// The variables that every expression sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Resource,
    Desired,
    Labels,
    Id,
}

impl Root {
    pub(super) const ALL: [(&'static str, Self); 4] =
        [("resource", Self::Resource), ("desired", Self::Desired), ("labels", Self::Labels), ("id", Self::Id)];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, root)| *root == self).map_or("", |(name, _)| name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    In,
}

const OPERATORS: [(&str, Operator); 12] = [
    (operators::EQUALS, Operator::Equal),
    (operators::NOT_EQUALS, Operator::NotEqual),
    (operators::LESS, Operator::Less),
    (operators::LESS_EQUALS, Operator::AtMost),
    (operators::GREATER, Operator::Greater),
    (operators::GREATER_EQUALS, Operator::AtLeast),
    (operators::ADD, Operator::Add),
    (operators::SUBSTRACT, Operator::Subtract),
    (operators::MULTIPLY, Operator::Multiply),
    (operators::DIVIDE, Operator::Divide),
    (operators::MODULO, Operator::Remainder),
    (operators::IN, Operator::In),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

const QUANTIFIERS: [(&str, Quantifier); 6] = [
    (operators::ALL, Quantifier::All),
    (operators::EXISTS, Quantifier::Exists),
    (operators::EXISTS_ONE, Quantifier::ExistsOne),
    ("existsOne", Quantifier::ExistsOne),
    (operators::FILTER, Quantifier::Filter),
    (operators::MAP, Quantifier::Map),
];

/// What a quantifier goes over, keeps and makes.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) range: Node,
    /// Where its variable lives.
    pub(super) slot: usize,
    /// Which items `map` looks at; only there.
    pub(super) keep: Option<Node>,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Text,
    Int,
    Double,
    Type,
    /// `asList(x)`: `x` if it is a list, nothing for null, else a list of it alone. Not of CEL: AWS policies need it.
    AsList,
}

/// Name, number of arguments (a target counts), function.
const FUNCTIONS: [(&str, usize, Function); 14] = [
    ("size", 1, Function::Size),
    ("contains", 2, Function::Contains),
    ("startsWith", 2, Function::StartsWith),
    ("endsWith", 2, Function::EndsWith),
    ("lowerAscii", 1, Function::LowerAscii),
    ("upperAscii", 1, Function::UpperAscii),
    ("trim", 1, Function::Trim),
    ("split", 2, Function::Split),
    ("join", 2, Function::Join),
    ("string", 1, Function::Text),
    ("int", 1, Function::Int),
    ("double", 1, Function::Double),
    ("type", 1, Function::Type),
    ("asList", 1, Function::AsList),
];

impl Function {
    pub(super) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(.., function)| *function == self).map_or("", |(name, ..)| name)
    }
}

/// What `type(x)` may be compared with.
const TYPES: [&str; 7] = ["null_type", "bool", "int", "double", "string", "list", "map"];

/// Returns the tree of the expression `text`.
pub(super) fn compile(text: &str) -> Result<Node, CompileError> {
    limit(text)?;
    // The parser recurses by the length of the text, and nothing can catch an overflowing stack: so it gets its own.
    let compiled = thread::scope(|scope| {
        let handle = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || compile_deep(text)).ok()?;
        handle.join().ok()
    });
    compiled.unwrap_or_else(|| Err(CompileError::whole("the parser gave up".to_owned())))
}

fn compile_deep(text: &str) -> Result<Node, CompileError> {
    let (expr, info) = parse(text)?;
    Compiler { info, variables: Vec::new() }.node(&expr, MAX_DEPTH)
}

/// Refuses what would take the parser long or deep.
fn limit(text: &str) -> Result<(), CompileError> {
    if text.len() > MAX_TEXT {
        return Err(CompileError::whole(format!("longer than {MAX_TEXT} bytes")));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_DEPTH {
        return Err(CompileError::whole(format!("brackets deeper than {MAX_DEPTH}")));
    }
    Ok(())
}

fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), CompileError> {
    // Without macros: `all(x, …)` stays the call that it is, and is compiled to a loop here.
    let parser = cel::Env::default().with_optional_support(false).parser();
    let errors = match parser.parse_with_source_info(text) {
        Ok(parsed) => return Ok(parsed),
        Err(errors) => errors.errors,
    };
    let first = errors.into_iter().next();
    Err(first.map_or_else(
        || CompileError::whole("not an expression".to_owned()),
        |error| {
            let (line, column) = error.pos;
            CompileError::at(u32::try_from(line).unwrap_or(0), u32::try_from(column).unwrap_or(0), error.msg)
        },
    ))
}

struct Compiler {
    info: SourceInfo,
    /// Names of the quantifiers' variables, outermost first.
    variables: Vec<String>,
}

type Compiled = Result<Node, CompileError>;

impl Compiler {
    fn node(&mut self, expr: &IdedExpr, depth: usize) -> Compiled {
        let Some(depth) = depth.checked_sub(1) else { return Err(self.error(expr, "too deep")) };
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => self.select(&select.operand, &select.field, depth),
            Expr::List(list) => Ok(Node::List(self.nodes(&list.elements, depth)?)),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Ok((self.node(&entry.key, depth)?, self.node(&entry.value, depth)?)),
                    EntryExpr::StructField(_) => Err(self.error(expr, "messages are not supported")),
                });
                entries.collect::<Result<Box<[_]>, _>>().map(Node::Map)
            }
            Expr::Call(call) => self.call(expr, call, depth),
            Expr::Struct(_) => Err(self.error(expr, "messages are not supported")),
            Expr::Comprehension(_) | Expr::Unspecified => Err(self.error(expr, "not an expression")),
        }
    }

    fn nodes(&mut self, exprs: &[IdedExpr], depth: usize) -> Result<Box<[Node]>, CompileError> {
        exprs.iter().map(|expr| self.node(expr, depth)).collect()
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Compiled {
        Ok(match literal {
            LiteralValue::Null => Node::Null,
            LiteralValue::Boolean(bool) => Node::Bool(*bool.inner()),
            LiteralValue::Int(int) => Node::Int((*int.inner()).into()),
            LiteralValue::UInt(int) => Node::Int((*int.inner()).into()),
            LiteralValue::Double(double) => Node::Double(*double.inner()),
            LiteralValue::String(text) => Node::Text(text.inner().into()),
            LiteralValue::Bytes(_) => return Err(self.error(expr, "bytes are not supported")),
        })
    }

    fn name(&self, expr: &IdedExpr, name: &str) -> Compiled {
        if let Some(slot) = self.variables.iter().rposition(|variable| variable == name) {
            return Ok(Node::Var(slot, name.into()));
        }
        if let Some((_, root)) = Root::ALL.into_iter().find(|(root, _)| *root == name) {
            return Ok(Node::Root(root));
        }
        if TYPES.contains(&name) {
            return Ok(Node::Text(name.into()));
        }
        Err(self.error(expr, &format!("unknown name `{name}`; there are resource, desired, labels and id")))
    }

    fn select(&mut self, operand: &IdedExpr, field: &str, depth: usize) -> Compiled {
        let operand_node = self.node(operand, depth)?;
        if matches!(operand_node, Node::Root(Root::Id)) && !ID_PARTS.contains(&field) {
            return Err(self.error(operand, &format!("an id has no `{field}`, but {}", ID_PARTS.join(", "))));
        }
        Ok(Node::Select(Box::new(operand_node), field.into()))
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr, depth: usize) -> Compiled {
        if let Some(target) = &call.target
            && let Some((_, quantifier)) = QUANTIFIERS.iter().find(|(name, _)| *name == call.func_name)
        {
            return self.each(expr, *quantifier, target, &call.args, depth);
        }
        if call.func_name == operators::HAS && call.target.is_none() {
            return self.has(expr, &call.args, depth);
        }
        let arguments: Vec<Node> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .map(|argument| self.node(argument, depth))
            .collect::<Result<_, _>>()?;
        self.operation(expr, &call.func_name, arguments)
    }

    fn operation(&self, expr: &IdedExpr, name: &str, arguments: Vec<Node>) -> Compiled {
        let arguments = match <[Node; 3]>::try_from(arguments) {
            Ok(three) if name == operators::CONDITIONAL => return Ok(Node::If(Box::new(three))),
            Ok(three) => return self.function(expr, name, Vec::from(three)),
            Err(arguments) => arguments,
        };
        let arguments = match <[Node; 2]>::try_from(arguments) {
            Ok(two) => return self.binary(expr, name, two),
            Err(arguments) => arguments,
        };
        match <[Node; 1]>::try_from(arguments) {
            Ok([one]) if name == operators::LOGICAL_NOT => Ok(Node::Not(Box::new(one))),
            Ok([one]) if name == operators::NEGATE => Ok(Node::Negate(Box::new(one))),
            Ok(one) => self.function(expr, name, Vec::from(one)),
            Err(arguments) => self.function(expr, name, arguments),
        }
    }

    fn binary(&self, expr: &IdedExpr, name: &str, two: [Node; 2]) -> Compiled {
        if let Some((_, operator)) = OPERATORS.iter().find(|(known, _)| *known == name) {
            return Ok(Node::Binary(*operator, Box::new(two)));
        }
        match name {
            operators::LOGICAL_AND => Ok(Node::And(Box::new(two))),
            operators::LOGICAL_OR => Ok(Node::Or(Box::new(two))),
            operators::INDEX => Ok(Node::Index(Box::new(two))),
            "matches" => self.matches(expr, two),
            _ => self.function(expr, name, Vec::from(two)),
        }
    }

    fn function(&self, expr: &IdedExpr, name: &str, arguments: Vec<Node>) -> Compiled {
        let Some((_, arity, function)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            return Err(self.error(expr, &format!("unknown function `{name}`")));
        };
        if arguments.len() != *arity {
            return Err(self.error(expr, &format!("`{name}` takes {arity} argument(s), not {}", arguments.len())));
        }
        Ok(Node::Call(*function, arguments.into()))
    }

    /// A pattern must be written out: so it is compiled once, and what it may cost is known before anything runs.
    fn matches(&self, expr: &IdedExpr, [text, pattern]: [Node; 2]) -> Compiled {
        let Node::Text(pattern) = pattern else {
            return Err(self.error(expr, "the pattern of `matches` must be a literal"));
        };
        let compiled = Pattern::compile(&pattern)
            .ok_or_else(|| self.error(expr, &format!("invalid or too large regular expression `{pattern:.80}`")))?;
        Ok(Node::Matches(Box::new(text), Box::new(compiled)))
    }

    fn has(&mut self, expr: &IdedExpr, arguments: &[IdedExpr], depth: usize) -> Compiled {
        let [IdedExpr { expr: Expr::Select(select), .. }] = arguments else {
            return Err(self.error(expr, "`has` takes one path, as in has(resource.A.b)"));
        };
        match self.select(&select.operand, &select.field, depth)? {
            Node::Select(operand, field) => Ok(Node::Has(operand, field)),
            other => Ok(other),
        }
    }

    fn each(
        &mut self,
        expr: &IdedExpr,
        quantifier: Quantifier,
        range: &IdedExpr,
        arguments: &[IdedExpr],
        depth: usize,
    ) -> Compiled {
        let (variable, keep, body) = match arguments {
            [IdedExpr { expr: Expr::Ident(variable), .. }, body] => (variable, None, body),
            [IdedExpr { expr: Expr::Ident(variable), .. }, keep, body] if quantifier == Quantifier::Map => {
                (variable, Some(keep), body)
            }
            _ => return Err(self.error(expr, "expected a variable and a condition, as in all(x, x > 0)")),
        };
        let range = self.node(range, depth)?;
        let slot = self.variables.len();
        if slot >= MAX_QUANTIFIERS {
            return Err(self.error(expr, &format!("more than {MAX_QUANTIFIERS} quantifiers inside each other")));
        }
        self.variables.push(variable.clone());
        let keep = keep.map(|keep| self.node(keep, depth)).transpose()?;
        let body = self.node(body, depth)?;
        self.variables.truncate(slot);
        Ok(Node::Each(quantifier, Box::new(Each { range, slot, keep, body })))
    }

    fn error(&self, expr: &IdedExpr, why: &str) -> CompileError {
        let start = self.info.offset_for(expr.id).map_or(0, |(start, _)| start as usize);
        let before = self.info.source.chars().take(start);
        let (mut line, mut column) = (1, 1);
        for char in before {
            (line, column) = if char == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        CompileError::at(line, column, why.to_owned())
    }
}

impl Node {
    /// Prints the path that this step follows, for messages: `resource.A[0].b`.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Root(root) => root.name().to_owned(),
            Self::Var(_, name) => (**name).to_owned(),
            Self::Select(operand, field) | Self::Has(operand, field) => format!("{}.{field}", operand.path()),
            Self::Index(two) => {
                let [operand, index] = &**two;
                match index {
                    Self::Int(at) => format!("{}[{at}]", operand.path()),
                    Self::Text(key) => format!("{}[\"{key}\"]", operand.path()),
                    _ => format!("{}[…]", operand.path()),
                }
            }
            _ => "…".to_owned(),
        }
    }

    /// Returns every key that this step and those below it name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let mut names = Vec::new();
        let mut steps = vec![self];
        while let Some(step) = steps.pop() {
            match step {
                Self::Select(_, name) | Self::Has(_, name) | Self::Text(name) => names.push(&**name),
                _ => {}
            }
            steps.extend(step.below());
        }
        names.into_iter()
    }

    /// Adds the names of the attributes of the resource that this step and those below it look at. Returns whether these
    /// are all: who goes over the resource as a whole may look at any.
    pub(super) fn attributes<'a>(&'a self, names: &mut BTreeSet<&'a str>) -> bool {
        match self {
            Self::Root(Root::Resource) => false,
            Self::Select(one, name) | Self::Has(one, name) if matches!(**one, Self::Root(Root::Resource)) => {
                names.insert(name);
                true
            }
            step => step.below().into_iter().all(|step| step.attributes(names)),
        }
    }

    fn below(&self) -> Vec<&Self> {
        match self {
            Self::Select(one, _) | Self::Has(one, _) | Self::Not(one) | Self::Negate(one) | Self::Matches(one, _) => {
                vec![one]
            }
            Self::Index(two) | Self::And(two) | Self::Or(two) | Self::Binary(_, two) => two.iter().collect(),
            Self::If(three) => three.iter().collect(),
            Self::List(steps) | Self::Call(_, steps) => steps.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Each(_, each) => [&each.range, &each.body].into_iter().chain(&each.keep).collect(),
            _ => Vec::new(),
        }
    }
}
