//! DynamoDB: tables, each of which is a call of its own.

use serde_json::{Value, json};

use super::service::DYNAMO_DB;
use super::shape::{
    Field, each, filled_object, flag, int, is_on, json as document, made, object, tags, text, texts, untold,
};
use super::{Arg, Direct, call, part};

const KEYS: &[Field] = &[text("AttributeName", "AttributeName"), text("KeyType", "KeyType")];
const PROJECTION: &[Field] = &[texts("NonKeyAttributes", "NonKeyAttributes"), text("ProjectionType", "ProjectionType")];
const WARM: &[Field] =
    &[int("ReadUnitsPerSecond", "ReadUnitsPerSecond"), int("WriteUnitsPerSecond", "WriteUnitsPerSecond")];
const ON_DEMAND: &[Field] =
    &[int("MaxReadRequestUnits", "MaxReadRequestUnits"), int("MaxWriteRequestUnits", "MaxWriteRequestUnits")];

pub(super) const TABLE: Direct = Direct {
    list: &[call("ListTables", "TableNames")
        .with(&[("Limit", Arg::Int(100))])
        .pages("ExclusiveStartTableName", "LastEvaluatedTableName")],
    named: &[call("DescribeTable", "Table.TableName").with(&[("TableName", Arg::Name(0))])],
    gone: &["ResourceNotFoundException", "TableNotFoundException"],
    shape: &[text("TableName", "")],
    parts: &[
        part(
            call("DescribeTable", "").with(&[("TableName", Arg::Of(""))]),
            &[
                text("Arn", "Table.TableArn"),
                each(
                    "AttributeDefinitions",
                    "Table.AttributeDefinitions",
                    &[text("AttributeName", "AttributeName"), text("AttributeType", "AttributeType")],
                ),
                made("BillingMode", "Table", |table| Some(billing(table))),
                flag("DeletionProtectionEnabled", "Table.DeletionProtectionEnabled"),
                each(
                    "GlobalSecondaryIndexes",
                    "Table.GlobalSecondaryIndexes",
                    &[
                        untold("ContributorInsightsSpecification"),
                        text("IndexName", "IndexName"),
                        each("KeySchema", "KeySchema", KEYS),
                        object("OnDemandThroughput", "OnDemandThroughput", ON_DEMAND),
                        object("Projection", "Projection", PROJECTION),
                        made("ProvisionedThroughput", "ProvisionedThroughput", throughput),
                        object("WarmThroughput", "WarmThroughput", WARM),
                    ],
                ),
                made("KeySchema", "Table.KeySchema", |keys| Some(keys.clone())),
                each(
                    "LocalSecondaryIndexes",
                    "Table.LocalSecondaryIndexes",
                    &[
                        text("IndexName", "IndexName"),
                        each("KeySchema", "KeySchema", KEYS),
                        object("Projection", "Projection", PROJECTION),
                    ],
                ),
                object("OnDemandThroughput", "Table.OnDemandThroughput", ON_DEMAND),
                made("ProvisionedThroughput", "Table.ProvisionedThroughput", throughput),
                made("SSESpecification", "Table", encryption),
                made("StreamArn", "Table", stream_arn),
                object(
                    "StreamSpecification",
                    "Table.StreamSpecification",
                    &[text("StreamViewType", "StreamViewType"), untold("ResourcePolicy"), untold("Tags")],
                ),
                text("TableClass", "Table.TableClassSummary.TableClass"),
                each(
                    "VectorIndexes",
                    "Table.VectorIndexes",
                    &[
                        int("Dimensions", "Dimensions"),
                        text("DistanceFunction", "DistanceFunction"),
                        text("IndexName", "IndexName"),
                        object("Projection", "Projection", PROJECTION),
                        each(
                            "SearchSchema",
                            "SearchSchema",
                            &[
                                text("AttributeName", "AttributeName"),
                                text("SearchSchemaElementType", "SearchSchemaElementType"),
                            ],
                        ),
                        object("VectorAttribute", "VectorAttribute", &[text("AttributeName", "AttributeName")]),
                    ],
                ),
                object("WarmThroughput", "Table.WarmThroughput", WARM),
            ],
        ),
        part(
            call("DescribeContinuousBackups", "").with(&[("TableName", Arg::Of(""))]),
            &[object(
                "PointInTimeRecoverySpecification",
                "ContinuousBackupsDescription.PointInTimeRecoveryDescription",
                &[
                    made("PointInTimeRecoveryEnabled", "PointInTimeRecoveryStatus", is_on),
                    int("RecoveryPeriodInDays", "RecoveryPeriodInDays"),
                ],
            )],
        ),
        part(
            call("DescribeTimeToLive", "").with(&[("TableName", Arg::Of(""))]),
            &[object(
                "TimeToLiveSpecification",
                "TimeToLiveDescription",
                &[text("AttributeName", "AttributeName"), made("Enabled", "TimeToLiveStatus", is_on)],
            )],
        ),
        part(
            call("ListTagsOfResource", "Tags")
                .with(&[("ResourceArn", Arg::Arn("dynamodb:{region}:{account}:table/", ""))])
                .pages("NextToken", "NextToken"),
            &[tags("")],
        ),
        part(
            call("DescribeKinesisStreamingDestination", "").with(&[("TableName", Arg::Of(""))]),
            &[made("KinesisStreamSpecification", "KinesisDataStreamDestinations", kinesis)],
        ),
        part(
            call("GetResourcePolicy", "")
                .with(&[("ResourceArn", Arg::Arn("dynamodb:{region}:{account}:table/", ""))])
                .none(&["PolicyNotFoundException"]),
            &[object("ResourcePolicy", "", &[document("PolicyDocument", "Policy")])],
        ),
        part(
            call("ListContributorInsights", "ContributorInsightsSummaries")
                .with(&[("MaxResults", Arg::Int(100))])
                .pages("NextToken", "NextToken"),
            &[made("ContributorInsightsSpecification", "", insights)],
        )
        .join("TableName", ""),
    ],
    ..Direct::new("AWS::DynamoDB::Table", &DYNAMO_DB, &[""])
};

/// A table of which nothing is said was always provisioned.
fn billing(table: &Value) -> Value {
    let said = table.pointer("/BillingModeSummary/BillingMode");
    said.cloned().unwrap_or_else(|| "PROVISIONED".into())
}

/// Returns what is provisioned; on demand, that is said to be zero.
fn throughput(said: &Value) -> Option<Value> {
    let units = |key: &str| said.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (read, write) = (units("ReadCapacityUnits"), units("WriteCapacityUnits"));
    (read + write > 0).then(|| json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write}))
}

/// Returns how a table is encrypted. With the service's own key, nothing is said.
fn encryption(table: &Value) -> Option<Value> {
    let said = table.get("SSEDescription").filter(|said| !said.is_null());
    let status = said.and_then(|said| said.get("Status")).and_then(Value::as_str).unwrap_or("DISABLED");
    if matches!(status, "DISABLED" | "DISABLING") {
        return Some(json!({"SSEEnabled": false}));
    }
    let field = |key: &str| said.and_then(|said| said.get(key)).cloned().unwrap_or_default();
    let fields = json!({"SSEEnabled": true, "SSEType": field("SSEType"), "KMSMasterKeyId": field("KMSMasterKeyArn")});
    filled_object(&fields)
}

/// Returns the stream's name, which stays when the stream is gone.
fn stream_arn(table: &Value) -> Option<Value> {
    let is_on = table.pointer("/StreamSpecification/StreamEnabled")?.as_bool()?;
    table.get("LatestStreamArn").filter(|_| is_on).cloned()
}

fn kinesis(destinations: &Value) -> Option<Value> {
    let is_on = |status: &str| matches!(status, "ACTIVE" | "ENABLING" | "UPDATING");
    let is_active = |one: &&Value| one.get("DestinationStatus").and_then(Value::as_str).is_some_and(is_on);
    let one = destinations.as_array()?.iter().find(is_active)?;
    let field = |key: &str| one.get(key).cloned().unwrap_or_default();
    let precision = field("ApproximateCreationDateTimePrecision");
    filled_object(&json!({"StreamArn": field("StreamArn"), "ApproximateCreationDateTimePrecision": precision}))
}

/// Returns what is said of the table itself among what is said of its indexes.
fn insights(summaries: &Value) -> Option<Value> {
    let is_of_table = |one: &&Value| one.get("IndexName").is_none_or(Value::is_null);
    let one = summaries.as_array()?.iter().find(is_of_table);
    let is_on = one.and_then(|one| one.get("ContributorInsightsStatus")).and_then(is_on);
    if is_on != Some(Value::Bool(true)) {
        return Some(json!({"Enabled": false}));
    }
    let mode = one.and_then(|one| one.get("ContributorInsightsMode")).cloned().unwrap_or_default();
    filled_object(&json!({"Enabled": true, "Mode": mode}))
}
