//! API Gateway: REST APIs.

use serde_json::Value;

use super::service::API_GATEWAY;
use super::shape::{flag, int, made, object, tags, text, texts};
use super::{Arg, Direct, call};

pub(super) const REST_API: Direct = Direct {
    list: &[call("GET /restapis", "item")
        .with(&[("limit", Arg::Int(500))])
        .pages("position", "position")
        .action("apigateway:GET")],
    named: &[call("GET /restapis/{id}", "").with(&[("id", Arg::Name(0))]).action("apigateway:GET")],
    gone: &["NotFoundException"],
    shape: &[
        text("ApiKeySourceType", "apiKeySource"),
        texts("BinaryMediaTypes", "binaryMediaTypes"),
        text("Description", "description"),
        flag("DisableExecuteApiEndpoint", "disableExecuteApiEndpoint"),
        text("EndpointAccessMode", "endpointAccessMode"),
        object(
            "EndpointConfiguration",
            "endpointConfiguration",
            &[
                text("IpAddressType", "ipAddressType"),
                texts("Types", "types"),
                texts("VpcEndpointIds", "vpcEndpointIds"),
            ],
        ),
        int("MinimumCompressionSize", "minimumCompressionSize"),
        text("Name", "name"),
        made("Policy", "policy", policy),
        text("RestApiId", "id"),
        text("RootResourceId", "rootResourceId"),
        text("SecurityPolicy", "securityPolicy"),
        tags("tags"),
        text("Version", "version"),
    ],
    ..Direct::new("AWS::ApiGateway::RestApi", &API_GATEWAY, &["id"])
};

/// Returns the policy. The service escapes its quotes as if it were inside of another text.
fn policy(said: &Value) -> Option<Value> {
    let text = said.as_str().filter(|text| !text.is_empty())?;
    let document = serde_json::from_str(text).or_else(|_| serde_json::from_str(&text.replace("\\\"", "\"")));
    Some(document.unwrap_or_else(|_| said.clone()))
}
