//! The functions of CloudFormation templates, as far as they can be told without the cloud.
//!
//! Whatever holds something unknown is unknown as a whole.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::desired::aws_kinds::{self, Attribute};
use crate::desired::cloudformation::{Parameter, StackFacts, Template};

/// Functions inside functions, conditions named by conditions.
const MAX_DEPTH: usize = 64;

/// Resolves the functions of one template for one stack.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// The template.
    pub template: &'a Template,
    /// The stack.
    pub facts: &'a StackFacts,
    /// Conditions that were told before. One that is being told is unknown: it asks for itself.
    told: RefCell<BTreeMap<String, Option<bool>>>,
}

/// What is not known until the cloud is asked.
pub fn unknown() -> Value {
    json!({ "$unknown": true })
}

/// Returns whether a value is [`unknown`].
pub fn is_unknown(value: &Value) -> bool {
    value.get("$unknown") == Some(&Value::Bool(true))
}

/// Where a value stands: how deep, and whether it may ask for resources.
#[derive(Debug, Clone, Copy)]
struct Place {
    depth: usize,
    resources: bool,
}

impl Place {
    fn inner(self) -> Option<Self> {
        (self.depth < MAX_DEPTH * 2).then_some(Self { depth: self.depth + 1, ..self })
    }
}

impl<'a> Resolver<'a> {
    /// Returns the resolver of a template and a stack.
    pub fn new(template: &'a Template, facts: &'a StackFacts) -> Self {
        Self { template, facts, told: RefCell::default() }
    }

    /// Returns a value with its functions resolved, or nothing where it is `AWS::NoValue`.
    pub fn resolve(&self, value: &Value) -> Option<Value> {
        self.value(value, Place { depth: 0, resources: true })
    }

    /// Like `resolve`, but every reference to a resource is unknown.
    pub fn resolve_without_resources(&self, value: &Value) -> Option<Value> {
        self.value(value, Place { depth: 0, resources: false })
    }

    /// Returns whether a condition holds, or nothing if that cannot be told.
    pub fn condition(&self, name: &str) -> Option<bool> {
        self.named_condition(name, Place { depth: 0, resources: true })
    }

    /// Returns the partition of the stack's region.
    pub fn partition(&self) -> Option<&'static str> {
        let region = self.facts.region.as_deref()?;
        let partitions =
            [("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-iso-", "aws-iso"), ("us-isob-", "aws-iso-b")];
        let found = partitions.into_iter().find(|(prefix, _)| region.starts_with(prefix));
        Some(found.map_or("aws", |(_, partition)| partition))
    }

    fn value(&self, value: &Value, place: Place) -> Option<Value> {
        let Some(place) = place.inner() else { return Some(unknown()) };
        match value {
            Value::Object(map) => match function(map) {
                Some((name, argument)) => self.call(name, argument, place),
                None => Some(self.map(map, place)),
            },
            Value::Array(items) => Some(items.iter().filter_map(|item| self.value(item, place)).collect()),
            // A dynamic reference: the cloud puts a secret or a parameter in its place.
            Value::String(text) if text.contains("{{resolve:") => Some(unknown()),
            value => Some(value.clone()),
        }
    }

    fn map(&self, map: &Map<String, Value>, place: Place) -> Value {
        let entries = map.iter().filter_map(|(key, value)| Some((key.clone(), self.value(value, place)?)));
        Value::Object(entries.collect())
    }

    fn call(&self, name: &str, argument: &Value, place: Place) -> Option<Value> {
        if name == "Ref" {
            return self.reference(argument.as_str()?, place);
        }
        if name == "Fn::If" {
            return self.choose(argument, place);
        }
        let result = match name {
            "Fn::GetAtt" => self.attribute(argument, place),
            "Fn::Sub" => self.substitute(argument, place),
            "Fn::Join" => self.join(argument, place),
            "Fn::Select" => self.select(argument, place),
            "Fn::Split" => self.split(argument, place),
            "Fn::FindInMap" => self.find_in_map(argument, place),
            "Fn::ImportValue" => self.import(argument, place),
            "Fn::Base64" => self.text(argument, place).map(|text| base64::prelude::BASE64_STANDARD.encode(text).into()),
            "Fn::Cidr" => self.cidr(argument, place),
            "Fn::Length" => self.list(argument, place).map(|list| list.len().into()),
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" | "Condition" => {
                self.test(name, argument, place).map(Value::Bool)
            }
            _ => None,
        };
        Some(result.unwrap_or_else(unknown))
    }

    fn reference(&self, name: &str, place: Place) -> Option<Value> {
        if name == "AWS::NoValue" {
            return None;
        }
        let known = if name.starts_with("AWS::") {
            self.pseudo(name).map(Value::from)
        } else if let Some(parameter) = self.template.parameters.get(name) {
            self.parameter(name, parameter)
        } else if place.resources {
            self.physical_id(name).map(Value::from)
        } else {
            None
        };
        Some(known.unwrap_or_else(unknown))
    }

    fn pseudo(&self, name: &str) -> Option<String> {
        let facts = self.facts;
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        match name {
            "AWS::AccountId" => text(&facts.account),
            "AWS::Region" => text(&facts.region),
            "AWS::StackName" => text(&facts.stack),
            "AWS::StackId" => facts.deployed.as_ref().map(|deployed| deployed.id.clone()),
            "AWS::Partition" => self.partition().map(str::to_owned),
            "AWS::URLSuffix" => match self.partition()? {
                "aws-cn" => Some("amazonaws.com.cn".to_owned()),
                "aws" | "aws-us-gov" => Some("amazonaws.com".to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    fn parameter(&self, name: &str, parameter: &Parameter) -> Option<Value> {
        if parameter.hides || parameter.kind.starts_with("AWS::SSM::Parameter::Value") {
            return None;
        }
        let deployed = || self.facts.deployed.as_ref().and_then(|deployed| deployed.parameters.get(name));
        let given = self.facts.parameters.get(name).or_else(deployed);
        let value = given.map(|text| Value::from(text.as_str())).or_else(|| parameter.default.clone())?;
        let is_list = parameter.kind == "CommaDelimitedList" || parameter.kind.starts_with("List<");
        match scalar(&value) {
            Some(text) if is_list => Some(text.split(',').map(|item| Value::from(item.trim())).collect()),
            Some(text) if parameter.kind == "Number" => Some(serde_json::from_str(&text).unwrap_or(value)),
            Some(text) => Some(Value::from(text)),
            None => Some(value),
        }
    }

    fn choose(&self, argument: &Value, place: Place) -> Option<Value> {
        let [condition, yes, no] = argument.as_array().map_or(&[][..], Vec::as_slice) else { return Some(unknown()) };
        match condition.as_str().and_then(|name| self.named_condition(name, place)) {
            Some(true) => self.value(yes, place),
            Some(false) => self.value(no, place),
            None => Some(unknown()),
        }
    }

    fn named_condition(&self, name: &str, place: Place) -> Option<bool> {
        if let Some(told) = self.told.borrow().get(name) {
            return *told;
        }
        self.told.borrow_mut().insert(name.to_owned(), None);
        let truth = match self.template.conditions.get(name)? {
            Value::Bool(known) => Some(*known),
            Value::Object(map) => function(map).and_then(|(name, argument)| self.test(name, argument, place)),
            _ => None,
        };
        self.told.borrow_mut().insert(name.to_owned(), truth);
        truth
    }

    fn test(&self, name: &str, argument: &Value, place: Place) -> Option<bool> {
        let place = place.inner()?;
        let each = || argument.as_array().into_iter().flatten().map(|item| self.truth(item, place)).collect::<Vec<_>>();
        match name {
            "Condition" => self.named_condition(argument.as_str()?, place),
            "Fn::Not" => each().into_iter().next()?.map(|truth| !truth),
            "Fn::And" => all(&each(), true),
            "Fn::Or" => all(&each(), false),
            "Fn::Equals" => {
                let [a, b] = argument.as_array()?.as_slice() else { return None };
                Some(self.text(a, place)? == self.text(b, place)?)
            }
            _ => None,
        }
    }

    fn truth(&self, value: &Value, place: Place) -> Option<bool> {
        match self.value(value, place)? {
            Value::Bool(truth) => Some(truth),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn attribute(&self, argument: &Value, place: Place) -> Option<Value> {
        let (id, name) = match argument {
            Value::String(text) => text.split_once('.')?,
            Value::Array(parts) => (parts.first()?.as_str()?, parts.get(1)?.as_str()?),
            _ => return None,
        };
        self.known_attribute(id, name, place).map(Value::from)
    }

    fn known_attribute(&self, id: &str, name: &str, place: Place) -> Option<String> {
        if !place.resources {
            return None;
        }
        let declaration = self.template.resources.iter().find(|declaration| &*declaration.id == id)?;
        match aws_kinds::attribute(declaration.kind.as_str(), name) {
            Attribute::Reference => self.physical_id(id),
            Attribute::LastPart => self.physical_id(id)?.rsplit(['/', ':']).next().map(str::to_owned),
            Attribute::Arn => self.arn(declaration),
            Attribute::Unknown => None,
        }
    }

    fn substitute(&self, argument: &Value, place: Place) -> Option<Value> {
        let empty = Map::new();
        let (template, variables) = match argument {
            Value::String(template) => (template.as_str(), &empty),
            Value::Array(parts) => (parts.first()?.as_str()?, parts.get(1)?.as_object()?),
            _ => return None,
        };
        let (mut out, mut rest) = (String::new(), template);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            out.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => write!(out, "${{{literal}}}").ok()?,
                None => out.push_str(&self.variable(name.trim(), variables, place)?),
            }
            rest = after;
        }
        out.push_str(rest);
        (!out.contains("{{resolve:")).then_some(out.into())
    }

    fn variable(&self, name: &str, variables: &Map<String, Value>, place: Place) -> Option<String> {
        if let Some(value) = variables.get(name) {
            return self.text(value, place);
        }
        match name.split_once('.') {
            Some((id, attribute)) => self.known_attribute(id, attribute, place),
            None => scalar(&self.reference(name, place)?),
        }
    }

    fn join(&self, argument: &Value, place: Place) -> Option<Value> {
        let [delimiter, list] = argument.as_array()?.as_slice() else { return None };
        let parts: Option<Vec<String>> = self.list(list, place)?.iter().map(scalar).collect();
        Some(parts?.join(delimiter.as_str()?).into())
    }

    fn select(&self, argument: &Value, place: Place) -> Option<Value> {
        let [index, list] = argument.as_array()?.as_slice() else { return None };
        let index: usize = self.text(index, place)?.parse().ok()?;
        self.list(list, place)?.into_iter().nth(index)
    }

    fn split(&self, argument: &Value, place: Place) -> Option<Value> {
        let [delimiter, text] = argument.as_array()?.as_slice() else { return None };
        let delimiter = delimiter.as_str().filter(|delimiter| !delimiter.is_empty())?;
        Some(self.text(text, place)?.split(delimiter).map(Value::from).collect())
    }

    fn find_in_map(&self, argument: &Value, place: Place) -> Option<Value> {
        let [map, first, second, rest @ ..] = argument.as_array()?.as_slice() else { return None };
        let path = [self.text(map, place)?, self.text(first, place)?, self.text(second, place)?];
        let found = path.iter().try_fold(&self.template.mappings, |value, key| value.get(key));
        let default = || self.value(rest.first()?.get("DefaultValue")?, place);
        found.cloned().or_else(default)
    }

    fn import(&self, argument: &Value, place: Place) -> Option<Value> {
        let name = self.text(argument, place)?;
        self.facts.deployed.as_ref()?.exports.get(&name).map(|value| Value::from(value.as_str()))
    }

    fn cidr(&self, argument: &Value, place: Place) -> Option<Value> {
        let [block, count, rest @ ..] = argument.as_array()?.as_slice() else { return None };
        let block = self.text(block, place)?;
        let count: u32 = self.text(count, place)?.parse().ok()?;
        let bits: u32 = rest.first().map_or(Some(8), |bits| self.text(bits, place)?.parse().ok())?;
        let (address, prefix) = block.split_once('/')?;
        let (start, prefix) = (u32::from(address.parse::<Ipv4Addr>().ok()?), prefix.parse::<u32>().ok()?);
        let room = 32_u32.checked_sub(prefix)?.checked_sub(bits)?;
        if count > 256 || bits > 31 || u64::from(count) > 1_u64 << room {
            return None;
        }
        let block = |n: u32| {
            let address = start.checked_add(n << bits)?;
            Some(Value::from(format!("{}/{}", Ipv4Addr::from(address), 32 - bits)))
        };
        (0..count).map(block).collect::<Option<Vec<_>>>().map(Value::Array)
    }

    /// Returns a list, whose items may be unknown.
    fn list(&self, value: &Value, place: Place) -> Option<Vec<Value>> {
        match self.value(value, place)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Returns a text, or a number or truth value as one.
    fn text(&self, value: &Value, place: Place) -> Option<String> {
        scalar(&self.value(value, place)?)
    }
}

/// Returns `usual` if all are, the opposite if any is, and nothing if that cannot be told.
fn all(truths: &[Option<bool>], usual: bool) -> Option<bool> {
    if truths.contains(&Some(!usual)) {
        return Some(!usual);
    }
    truths.iter().all(Option::is_some).then_some(usual)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Returns the function that a map calls, and its argument.
fn function(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, argument) = entries.next()?;
    let alone = entries.next().is_none();
    // A `Condition` of one key is also a block of an IAM policy, which is a map.
    let is_function = name == "Ref" && argument.is_string()
        || name.starts_with("Fn::")
        || name == "Condition" && argument.is_string();
    (alone && is_function).then_some((name.as_str(), argument))
}
