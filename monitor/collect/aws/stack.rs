//! CloudFormation: which kinds there are, and what a deployed stack consists of.
//!
//! It reads stacks, it does not ask AWS for their drift: that compares with the deployed template, not with Git.

use std::collections::{BTreeMap, HashSet};

use driftwarden_core::resource::GapReason;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::Caller;
use crate::collect::Stack;
use crate::collect::http::CallError;

const SERVICE: &str = "cloudformation";
/// Pages of one list that are read at most: 100 kinds, exports or resources each.
const MAX_PAGES: usize = 100;
/// What CloudFormation shows of a parameter that hides its value (`NoEcho`).
const HIDDEN: &str = "****";
/// How kinds may be provisioned; one list each.
const PROVISIONING: [&str; 2] = ["FULLY_MUTABLE", "IMMUTABLE"];

/// Returns the names of all kinds that AWS has in the region.
pub(super) async fn kinds(caller: &Caller) -> Result<Vec<String>, CallError> {
    let mut kinds = Vec::new();
    for provisioning in PROVISIONING {
        let parameters = [
            ("Type", "RESOURCE"),
            ("Visibility", "PUBLIC"),
            ("Filters.Category", "AWS_TYPES"),
            ("DeprecatedStatus", "LIVE"),
            ("ProvisioningType", provisioning),
            ("MaxResults", "100"),
        ];
        let read: Vec<KindSummary> = all::<KindsAnswer>(caller, "ListTypes", &parameters).await?;
        kinds.extend(read.into_iter().map(|summary| summary.name));
    }
    Ok(kinds)
}

/// Returns what is known of a stack, or nothing if there is none of that name.
pub(super) async fn stack(caller: &Caller, name: &str) -> Result<Option<Stack>, CallError> {
    let answer = match caller.query(SERVICE, "DescribeStacks", &[("StackName", name)]).await {
        Ok(answer) => answer,
        // The word for a name that no stack has, or can have.
        Err(error) if error.is(&["ValidationError"]) => return Ok(None),
        Err(error) => return Err(error),
    };
    let described: StacksAnswer = answer.xml()?;
    let Some(described) = described.result.stacks.members.into_iter().next() else { return Ok(None) };
    let resources: Vec<StackResource> =
        all::<ResourcesAnswer>(caller, "ListStackResources", &[("StackName", &described.id)]).await?;
    let exports: Vec<Export> = all::<ExportsAnswer>(caller, "ListExports", &[]).await?;
    let pairs = |resource: StackResource| resource.physical.map(|physical| (resource.logical, physical));
    Ok(Some(Stack {
        resources: resources.into_iter().filter_map(pairs).collect(),
        parameters: visible(described.parameters.unwrap_or_default().members),
        exports: exports.into_iter().map(|export| (export.name, export.value)).collect(),
        id: described.id,
    }))
}

fn visible(parameters: Vec<Parameter>) -> BTreeMap<String, String> {
    // What a reference to the parameter store stood for when it was deployed.
    let value = |parameter: Parameter| Some((parameter.key, parameter.resolved.or(parameter.value)?));
    parameters.into_iter().filter_map(value).filter(|(_, value)| value != HIDDEN).collect()
}

/// An answer that holds one page of a list.
trait Paged: DeserializeOwned {
    type Item;

    fn page(self) -> (Vec<Self::Item>, Option<String>);
}

/// Reads a list to its end.
async fn all<P: Paged>(
    caller: &Caller,
    operation: &str,
    parameters: &[(&str, &str)],
) -> Result<Vec<P::Item>, CallError> {
    let mut items = Vec::new();
    let mut tokens = HashSet::new();
    let mut token: Option<String> = None;
    while tokens.len() < MAX_PAGES {
        let mut asked = parameters.to_vec();
        asked.extend(token.as_deref().map(|token| ("NextToken", token)));
        let answer = caller.query(SERVICE, operation, &asked).await?;
        let (page, next) = answer.xml::<P>()?.page();
        items.extend(page);
        let Some(next) = next.filter(|token| !token.is_empty()) else { return Ok(items) };
        if !tokens.insert(next.clone()) {
            break;
        }
        token = Some(next);
    }
    Err(CallError::new(GapReason::Partial, format!("the list of {operation} does not end")))
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(rename = "member", default = "Vec::new")]
    members: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { members: Vec::new() }
    }
}

#[derive(Deserialize)]
struct StacksAnswer {
    #[serde(rename = "DescribeStacksResult")]
    result: StacksResult,
}

#[derive(Deserialize)]
struct StacksResult {
    #[serde(rename = "Stacks")]
    stacks: Members<StackSummary>,
}

#[derive(Deserialize)]
struct StackSummary {
    #[serde(rename = "StackId")]
    id: String,
    #[serde(rename = "Parameters")]
    parameters: Option<Members<Parameter>>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "ParameterKey")]
    key: String,
    #[serde(rename = "ParameterValue")]
    value: Option<String>,
    #[serde(rename = "ResolvedValue")]
    resolved: Option<String>,
}

#[derive(Deserialize)]
struct KindsAnswer {
    #[serde(rename = "ListTypesResult")]
    result: KindsResult,
}

#[derive(Deserialize)]
struct KindsResult {
    #[serde(rename = "TypeSummaries")]
    kinds: Members<KindSummary>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct KindSummary {
    #[serde(rename = "TypeName")]
    name: String,
}

impl Paged for KindsAnswer {
    type Item = KindSummary;

    fn page(self) -> (Vec<KindSummary>, Option<String>) {
        (self.result.kinds.members, self.result.next)
    }
}

#[derive(Deserialize)]
struct ResourcesAnswer {
    #[serde(rename = "ListStackResourcesResult")]
    result: ResourcesResult,
}

#[derive(Deserialize)]
struct ResourcesResult {
    #[serde(rename = "StackResourceSummaries")]
    resources: Members<StackResource>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct StackResource {
    #[serde(rename = "LogicalResourceId")]
    logical: String,
    /// Not there while the resource is being created.
    #[serde(rename = "PhysicalResourceId")]
    physical: Option<String>,
}

impl Paged for ResourcesAnswer {
    type Item = StackResource;

    fn page(self) -> (Vec<StackResource>, Option<String>) {
        (self.result.resources.members, self.result.next)
    }
}

#[derive(Deserialize)]
struct ExportsAnswer {
    #[serde(rename = "ListExportsResult")]
    result: ExportsResult,
}

#[derive(Deserialize)]
struct ExportsResult {
    #[serde(rename = "Exports")]
    exports: Members<Export>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Export {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Value")]
    value: String,
}

impl Paged for ExportsAnswer {
    type Item = Export;

    fn page(self) -> (Vec<Export>, Option<String>) {
        (self.result.exports.members, self.result.next)
    }
}
