//! Lambda: functions, and who else may call them.

use driftwarden_core::resource::unread;
use serde_json::Value;

use super::service::LAMBDA;
use super::shape::{Field, each, int, json, made, object, same, tags, text, texts, untold};
use super::{Arg, Call, Direct, Part, call, part};

const GONE: &[&str] = &["ResourceNotFoundException"];

const FUNCTIONS: Call = call("GET /2015-03-31/functions", "Functions")
    .with(&[("MaxItems", Arg::Int(50))])
    .pages("Marker", "NextMarker")
    .action("lambda:ListFunctions");

const ONE_FUNCTION: Call = call("GET /2015-03-31/functions/{FunctionName}", "Configuration")
    .with(&[("FunctionName", Arg::Name(0))])
    .action("lambda:GetFunction");

/// Returns a part of a function: its path, the action that must be allowed, and the attributes.
const fn of_function(operation: &'static str, action: &'static str, shape: &'static [Field]) -> Part {
    part(call(operation, "").with(&[("FunctionName", Arg::Of("FunctionName"))]).action(action), shape)
}

pub(super) const FUNCTION: Direct = Direct {
    list: &[FUNCTIONS],
    named: &[ONE_FUNCTION],
    gone: GONE,
    shape: &[
        text("Arn", "FunctionArn"),
        texts("Architectures", "Architectures"),
        same("CapacityProviderConfig", "CapacityProviderConfig"),
        object("DeadLetterConfig", "DeadLetterConfig", &[text("TargetArn", "TargetArn")]),
        text("Description", "Description"),
        same("DurableConfig", "DurableConfig"),
        made("Environment", "Environment", environment),
        object("EphemeralStorage", "EphemeralStorage", &[int("Size", "Size")]),
        each(
            "FileSystemConfigs",
            "FileSystemConfigs",
            &[
                text("Arn", "Arn"),
                text("LocalMountPath", "LocalMountPath"),
                object("S3FilesConfig", "S3FilesConfig", &[text("DirectS3Read", "DirectS3Read")]),
            ],
        ),
        text("FunctionName", "FunctionName"),
        text("Handler", "Handler"),
        made("ImageConfig", "ImageConfigResponse", image),
        text("KmsKeyArn", "KMSKeyArn"),
        texts("Layers", "Layers.Arn"),
        object(
            "LoggingConfig",
            "LoggingConfig",
            &[
                text("ApplicationLogLevel", "ApplicationLogLevel"),
                text("LogFormat", "LogFormat"),
                text("LogGroup", "LogGroup"),
                text("SystemLogLevel", "SystemLogLevel"),
            ],
        ),
        int("MemorySize", "MemorySize"),
        text("PackageType", "PackageType"),
        text("Role", "Role"),
        text("Runtime", "Runtime"),
        object(
            "SnapStartResponse",
            "SnapStart",
            &[text("ApplyOn", "ApplyOn"), text("OptimizationStatus", "OptimizationStatus")],
        ),
        object("TenancyConfig", "TenancyConfig", &[text("TenantIsolationMode", "TenantIsolationMode")]),
        int("Timeout", "Timeout"),
        object("TracingConfig", "TracingConfig", &[text("Mode", "Mode")]),
        made("VpcConfig", "VpcConfig", network),
        untold("Code"),
        untold("FunctionScalingConfig"),
    ],
    parts: &[
        part(
            call("GET /2017-03-31/tags/{Resource}", "")
                .with(&[("Resource", Arg::Of("FunctionArn"))])
                .action("lambda:ListTags"),
            &[tags("Tags")],
        ),
        of_function(
            "GET /2019-09-30/functions/{FunctionName}/concurrency",
            "lambda:GetFunctionConcurrency",
            &[int("ReservedConcurrentExecutions", "ReservedConcurrentExecutions")],
        ),
        of_function(
            "GET /2024-08-31/functions/{FunctionName}/recursion-config",
            "lambda:GetFunctionRecursionConfig",
            &[text("RecursiveLoop", "RecursiveLoop")],
        ),
        of_function(
            "GET /2021-07-20/functions/{FunctionName}/runtime-management-config",
            "lambda:GetRuntimeManagementConfig",
            &[object(
                "RuntimeManagementConfig",
                "",
                &[text("RuntimeVersionArn", "RuntimeVersionArn"), text("UpdateRuntimeOn", "UpdateRuntimeOn")],
            )],
        )
        .when(is_no_image),
        of_function(
            "GET /2020-06-30/functions/{FunctionName}/code-signing-config",
            "lambda:GetFunctionCodeSigningConfig",
            &[made("CodeSigningConfigArn", "CodeSigningConfigArn", |arn| {
                arn.as_str().filter(|arn| !arn.is_empty()).map(Value::from)
            })],
        )
        .when(is_no_image),
    ],
    ..Direct::new("AWS::Lambda::Function", &LAMBDA, &["FunctionName"])
};

/// Who may call a function besides those whose own policies say so. CloudFormation knows only single statements of it
/// (`AWS::Lambda::Permission`); a rule needs all of them. A function without one has one that allows nothing.
pub(super) const FUNCTION_POLICY: Direct = Direct {
    list: &[FUNCTIONS],
    named: &[ONE_FUNCTION],
    gone: GONE,
    shape: &[text("FunctionName", "FunctionName"), text("FunctionArn", "FunctionArn")],
    parts: &[part(
        call("GET /2015-03-31/functions/{FunctionName}/policy", "")
            .with(&[("FunctionName", Arg::Of("FunctionName"))])
            .none(GONE)
            .action("lambda:GetPolicy"),
        &[json("PolicyDocument", "Policy")],
    )],
    ..Direct::new("AWS::Lambda::FunctionPolicy", &LAMBDA, &["FunctionName"])
};

/// Images bring their own runtime, and are signed elsewhere.
fn is_no_image(function: &Value) -> bool {
    function.get("PackageType").is_none_or(|package| package != "Image")
}

/// Returns the variables. That they could not be decrypted does not say that there are none.
fn environment(said: &Value) -> Option<Value> {
    if said.get("Error").is_some_and(|error| !error.is_null()) {
        return Some(unread());
    }
    let variables = said.get("Variables").filter(|variables| variables.as_object().is_some_and(|map| !map.is_empty()));
    variables.map(|variables| serde_json::json!({"Variables": variables}))
}

fn image(said: &Value) -> Option<Value> {
    if said.get("Error").is_some_and(|error| !error.is_null()) {
        return Some(unread());
    }
    said.get("ImageConfig").filter(|config| !config.is_null()).cloned()
}

/// Returns where a function is attached. One that was once keeps an object in which nothing is set.
fn network(said: &Value) -> Option<Value> {
    let mut network = said.as_object()?.clone();
    network.remove("VpcId");
    network.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    network.contains_key("SubnetIds").then_some(Value::Object(network))
}
