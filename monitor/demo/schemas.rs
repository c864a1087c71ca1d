//! What the simulated AWS states of its kinds: the parts of the real schemas that matter to what the estate holds.

use serde_json::{Value, json};

/// Returns the document of a kind, if the simulation has one.
pub(super) fn of(kind: &str) -> Option<Value> {
    let (read_only, create_only, properties): (&[&str], &[&str], Value) = match kind {
        "AWS::S3::Bucket" => (&["Arn", "DomainName"], &["BucketName"], json!({"Tags": tags()})),
        "AWS::SQS::Queue" => (
            &["Arn", "QueueUrl"],
            &["QueueName", "FifoQueue"],
            json!({"DelaySeconds": {"type": "integer"}, "Tags": tags()}),
        ),
        "AWS::SNS::Topic" => (&["TopicArn"], &["TopicName", "FifoTopic"], json!({"Tags": tags()})),
        "AWS::DynamoDB::Table" => (&["Arn", "StreamArn"], &["TableName"], json!({"Tags": tags()})),
        "AWS::Lambda::Function" => (&["Arn"], &["FunctionName", "PackageType"], json!({"Tags": tags()})),
        "AWS::IAM::Role" => (
            &["Arn", "RoleId"],
            &["RoleName", "Path"],
            json!({"Path": {"type": "string", "default": "/"}, "Tags": tags(),
                "ManagedPolicyArns": {"type": "array", "insertionOrder": false, "items": {"type": "string"}}}),
        ),
        "AWS::Logs::LogGroup" => (&["Arn"], &["LogGroupName"], json!({"Tags": tags()})),
        "AWS::EC2::SecurityGroup" => (&["Id", "GroupId"], &["GroupName", "GroupDescription", "VpcId"], {
            let rules =
                json!({"type": "array", "insertionOrder": false, "items": {"type": "object", "properties": {}}});
            json!({"SecurityGroupIngress": rules, "SecurityGroupEgress": rules, "Tags": tags()})
        }),
        "AWS::KMS::Key" => (
            &["Arn", "KeyId"],
            &[],
            json!({"Enabled": {"type": "boolean"}, "KeyPolicy": {"type": ["object", "string"]}, "Tags": tags()}),
        ),
        "AWS::EKS::Nodegroup" => (&["Id", "Arn"], &["ClusterName", "NodegroupName", "InstanceTypes", "Subnets"], {
            let texts = json!({"type": "array", "insertionOrder": false, "items": {"type": "string"}});
            let tags = json!({"type": "object", "patternProperties": {"^.+$": {"type": "string"}},
                "additionalProperties": false});
            json!({"InstanceTypes": texts, "Subnets": texts, "Tags": tags})
        }),
        _ => return None,
    };
    let pointers = |names: &[&str]| names.iter().map(|name| format!("/properties/{name}")).collect::<Vec<_>>();
    Some(json!({
        "typeName": kind,
        "description": "a part of the real one",
        "definitions": {"Tag": {"type": "object", "additionalProperties": false, "properties": {
            "Key": {"type": "string"}, "Value": {"type": "string"}}}},
        "properties": properties,
        "readOnlyProperties": pointers(read_only),
        "createOnlyProperties": pointers(create_only),
        "primaryIdentifier": pointers(read_only.get(..1).unwrap_or_default()),
        "additionalProperties": false,
    }))
}

fn tags() -> Value {
    json!({"type": "array", "insertionOrder": false, "uniqueItems": true, "items": {"$ref": "#/definitions/Tag"}})
}
