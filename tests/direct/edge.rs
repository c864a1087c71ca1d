//! The kinds of Route 53, CloudFront and API Gateway.

use serde_json::{Value, json};

use super::{Peer, read, read_of};
use crate::harness::aws::{Checks, Ministack};
use crate::harness::moto;
use crate::harness::moto::Moto;

#[test]
fn zones_and_all_their_records_are_read() {
    let Some(aws) = Moto::start() else { return };
    let config = json!({"Comment": "ours", "PrivateZone": false});
    let zone = |n: usize| {
        let asked =
            json!({"Name": format!("z{n}.example.org"), "CallerReference": n.to_string(), "HostedZoneConfig": config});
        ("route53", "create_hosted_zone", asked)
    };
    let zones = aws.calls(&(0..11).map(zone).collect::<Vec<_>>());
    let id = zones[10]["HostedZone"]["Id"].as_str().unwrap().trim_start_matches("/hostedzone/");
    let record = |name: &str, more: Value| {
        let mut record = json!({"Name": name, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"Action": "CREATE", "ResourceRecordSet": record})
    };
    let mut changes: Vec<Value> = (0..310).map(|n| record(&format!("h{n}.z10.example.org."), json!({}))).collect();
    changes.push(record("*.z10.example.org.", json!({})));
    changes.push(record("w.z10.example.org.", json!({"SetIdentifier": "a", "Weight": 1})));
    changes.push(record("w.z10.example.org.", json!({"SetIdentifier": "b", "Weight": 2})));
    let tags = json!({"ResourceType": "hostedzone", "ResourceId": id, "AddTags": [{"Key": "team", "Value": "data"}]});
    aws.calls(&[
        ("route53", "change_resource_record_sets", json!({"HostedZoneId": id, "ChangeBatch": {"Changes": changes}})),
        ("route53", "change_tags_for_resource", tags),
    ]);
    let url = aws.url();
    let peer = Peer { url: &url, account: moto::ACCOUNT, without: &[] };
    let found = read_of(peer, "AWS::Route53::HostedZone").unwrap();
    let zone = &found[id];
    assert_eq!(
        (found.len(), &zone["Name"], &zone["HostedZoneConfig"]),
        (11, &json!("z10.example.org."), &json!({"Comment": "ours"}))
    );
    assert_eq!(zone["HostedZoneTags"], json!([{"Key": "team", "Value": "data"}]));
    assert!(zone["NameServers"].as_array().is_some_and(|servers| !servers.is_empty()), "{zone}");

    let found = read_of(peer, "AWS::Route53::RecordSet").unwrap();
    // Each zone has two of its own.
    assert_eq!(found.len(), 313 + 11 * 2, "more than fit on a page");
    let expected = json!({"Name": "w.z10.example.org.", "HostedZoneId": id, "Type": "A", "TTL": "60", "Weight": 2,
        "SetIdentifier": "b", "ResourceRecords": ["192.0.2.1"]});
    assert_eq!(found[&format!("w.z10.example.org.|{id}|A|b")], expected);
    assert_eq!(found[&format!("*.z10.example.org.|{id}|A|")]["TTL"], "60");
}

#[test]
fn a_distribution_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let one = |items: Value| json!({"Quantity": 1, "Items": [items]});
    let custom = json!({"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only",
        "OriginSslProtocols": one("TLSv1.2".into())});
    let origin = json!({"Id": "o", "DomainName": "api.example.com", "CustomOriginConfig": custom, "OriginPath": ""});
    let methods =
        json!({"Quantity": 2, "Items": ["HEAD", "GET"], "CachedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]}});
    let mut behavior = json!({"TargetOriginId": "o", "ViewerProtocolPolicy": "redirect-to-https", "CachePolicyId": "c",
        "AllowedMethods": methods, "Compress": true});
    let default = behavior.clone();
    behavior["PathPattern"] = "/api/*".into();
    let config = json!({"CallerReference": "1", "Comment": "site", "Enabled": true, "Origins": one(origin),
        "DefaultCacheBehavior": default, "CacheBehaviors": one(behavior), "Aliases": one("www.example.com".into())});
    let asked = json!({"DistributionConfig": config, "Tags": {"Items": [{"Key": "team", "Value": "data"}]}});
    let made = aws.call("cloudfront", "create_distribution_with_tags", json!({"DistributionConfigWithTags": asked}));
    let id = made["Distribution"]["Id"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::CloudFront::Distribution").unwrap();
    let mut behavior = json!({"TargetOriginId": "o", "ViewerProtocolPolicy": "redirect-to-https", "CachePolicyId": "c",
        "AllowedMethods": ["HEAD", "GET"], "CachedMethods": ["HEAD", "GET"], "Compress": true});
    let default = behavior.clone();
    behavior["PathPattern"] = "/api/*".into();
    let origin = json!({"Id": "o", "DomainName": "api.example.com", "OriginPath": "", "CustomOriginConfig":
        {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]}});
    let expected = json!({"Id": id, "DomainName": made["Distribution"]["DomainName"],
        "DistributionConfig": {"Comment": "site", "Enabled": true, "Origins": [origin], "DefaultCacheBehavior": default,
            "CacheBehaviors": [behavior], "Aliases": ["www.example.com"], "OriginGroups": {"Quantity": 0}},
        "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[id]), (1, &expected));
}

#[test]
fn an_api_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    let asked = json!({"name": "shop", "description": "d", "endpointConfiguration": {"types": ["REGIONAL"]},
        "tags": {"team": "data"}, "policy": policy.to_string(), "version": "1"});
    let api = aws.call("apigateway", "create_rest_api", asked);
    let id = api["id"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::ApiGateway::RestApi").unwrap();
    let expected = json!({"RestApiId": id, "RootResourceId": api["rootResourceId"], "Name": "shop", "Description": "d",
        "ApiKeySourceType": "HEADER", "DisableExecuteApiEndpoint": false, "Policy": policy, "Version": "1",
        "EndpointConfiguration": {"Types": ["REGIONAL"]}, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[id]), (1, &expected));
}
