//! Systems Manager: parameters. The value of a `SecureString` is never asked for.

use driftwarden_core::resource::unread;
use serde_json::{Value, json};

use super::service::SSM;
use super::shape::{made, tag_map, text};
use super::{Arg, Count, Direct, call, part};

pub(super) const PARAMETER: Direct = Direct {
    list: &[call("DescribeParameters", "Parameters")
        .with(&[("MaxResults", Arg::Int(50))])
        .pages("NextToken", "NextToken")],
    named: &[call("DescribeParameters", "Parameters").with(&[("ParameterFilters", Arg::Filter("Name"))])],
    shape: &[
        text("AllowedPattern", "AllowedPattern"),
        text("Arn", "ARN"),
        text("DataType", "DataType"),
        text("Description", "Description"),
        text("Name", "Name"),
        made("Policies", "Policies", policies),
        text("Tier", "Tier"),
        text("Type", "Type"),
        made("Value", "Type", |kind| (kind == SECURE).then(unread)),
    ],
    parts: &[
        part(
            call("GetParameters", "Parameters").with(&[("Names", Arg::Each("Name"))]).batch(10),
            &[text("Value", "Value")],
        )
        .join("Name", "Name")
        .count(Count::One)
        .when(is_open),
        part(
            call("ListTagsForResource", "")
                .with(&[("ResourceType", Arg::Text("Parameter")), ("ResourceId", Arg::Of("Name"))]),
            &[tag_map("TagList")],
        ),
    ],
    ..Direct::new("AWS::SSM::Parameter", &SSM, &["Name"])
};

const SECURE: &str = "SecureString";

fn is_open(parameter: &Value) -> bool {
    parameter.get("Type").is_some_and(|kind| kind != SECURE)
}

/// Returns the policies as the text of a list that they are declared as.
fn policies(said: &Value) -> Option<Value> {
    let document = |policy: &Value| serde_json::from_str::<Value>(policy.get("PolicyText")?.as_str()?).ok();
    let policies: Vec<Value> = said.as_array()?.iter().filter_map(document).collect();
    (!policies.is_empty()).then(|| json!(policies).to_string().into())
}
