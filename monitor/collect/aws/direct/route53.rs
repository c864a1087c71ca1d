//! Route 53: hosted zones, and all records in them. The service takes five calls a second from a whole account.

use serde_json::{Value, json};

use super::service::ROUTE_53;
use super::shape::{each, flag, int, is_on, last, made, object, scalar, tags_as, text, texts};
use super::{Arg, Call, Count, Direct, call, part};

const ZONES: Call = call("GET /2013-04-01/hostedzone", "HostedZones.HostedZone")
    .root("ListHostedZonesResponse")
    .with(&[("maxitems", Arg::Int(100))])
    .pages("marker", "NextMarker")
    .mend(name_zone)
    .action("route53:ListHostedZones");

/// Reads one zone whose id is the sought name.
const ZONE: Call = call("GET /2013-04-01/hostedzone/{Id}", "HostedZone")
    .root("GetHostedZoneResponse")
    .with(&[("Id", Arg::Name(0))])
    .mend(name_zone)
    .action("route53:GetHostedZone");

const ZONE_IN_FULL: Call = call("GET /2013-04-01/hostedzone/{Id}", "")
    .root("GetHostedZoneResponse")
    .with(&[("Id", Arg::Of("Id"))])
    .action("route53:GetHostedZone");

const GONE: &[&str] = &["NoSuchHostedZone"];

pub(super) const HOSTED_ZONE: Direct = Direct {
    list: &[ZONES],
    named: &[ZONE],
    gone: GONE,
    shape: &[
        object("HostedZoneConfig", "Config", &[text("Comment", "Comment")]),
        made("HostedZoneFeatures", "", |zone| Some(features(zone))),
        text("Id", "Id"),
        text("Name", "Name"),
    ],
    parts: &[
        part(
            ZONE_IN_FULL,
            &[
                text("DelegationSetId", "DelegationSet.Id"),
                texts("NameServers", "DelegationSet.NameServers.NameServer"),
            ],
        )
        .when(is_public),
        part(ZONE_IN_FULL, &[each("VPCs", "VPCs.VPC", &[text("VPCId", "VPCId"), text("VPCRegion", "VPCRegion")])])
            .when(|zone| !is_public(zone)),
        part(
            call("GET /2013-04-01/queryloggingconfig", "QueryLoggingConfigs.QueryLoggingConfig")
                .root("ListQueryLoggingConfigsResponse")
                .with(&[("maxresults", Arg::Int(100))])
                .pages("nexttoken", "NextToken")
                .action("route53:ListQueryLoggingConfigs"),
            &[object("QueryLoggingConfig", "", &[text("CloudWatchLogsLogGroupArn", "CloudWatchLogsLogGroupArn")])],
        )
        .join("HostedZoneId", "Id")
        .count(Count::AtMostOne),
        part(
            call("POST /2013-04-01/tags/hostedzone", "ResourceTagSets.ResourceTagSet")
                .root("ListTagsForResourcesResponse")
                .with(&[
                    ("xmlns", Arg::Text("https://route53.amazonaws.com/doc/2013-04-01/")),
                    ("ListTagsForResourcesRequest.ResourceIds.ResourceId", Arg::Each("Id")),
                ])
                .batch(10)
                .action("route53:ListTagsForResources"),
            &[tags_as("HostedZoneTags", "Tags.Tag")],
        )
        .join("ResourceId", "Id"),
    ],
    ..Direct::new("AWS::Route53::HostedZone", &ROUTE_53, &["Id"])
};

pub(super) const RECORD_SET: Direct = Direct {
    list: &[ZONES, RECORDS.with(&[("Id", Arg::Of("Id")), ("maxitems", Arg::Int(300))])],
    named: &[
        call("GET /2013-04-01/hostedzone/{Id}", "HostedZone")
            .root("GetHostedZoneResponse")
            .with(&[("Id", Arg::Name(1))])
            .mend(name_zone)
            .action("route53:GetHostedZone"),
        RECORDS.with(&[("Id", Arg::Of("Id")), ("maxitems", Arg::Int(300))]),
    ],
    gone: GONE,
    shape: &[
        object(
            "AliasTarget",
            "AliasTarget",
            &[
                text("DNSName", "DNSName"),
                flag("EvaluateTargetHealth", "EvaluateTargetHealth"),
                text("HostedZoneId", "HostedZoneId"),
            ],
        ),
        object(
            "CidrRoutingConfig",
            "CidrRoutingConfig",
            &[text("CollectionId", "CollectionId"), text("LocationName", "LocationName")],
        ),
        text("Failover", "Failover"),
        object(
            "GeoLocation",
            "GeoLocation",
            &[
                text("ContinentCode", "ContinentCode"),
                text("CountryCode", "CountryCode"),
                text("SubdivisionCode", "SubdivisionCode"),
            ],
        ),
        object(
            "GeoProximityLocation",
            "GeoProximityLocation",
            &[
                text("AWSRegion", "AWSRegion"),
                int("Bias", "Bias"),
                object("Coordinates", "Coordinates", &[text("Latitude", "Latitude"), text("Longitude", "Longitude")]),
                text("LocalZoneGroup", "LocalZoneGroup"),
            ],
        ),
        text("HealthCheckId", "HealthCheckId"),
        text("HostedZoneId", "^.Id"),
        flag("MultiValueAnswer", "MultiValueAnswer"),
        text("Name", "Name"),
        text("Region", "Region"),
        texts("ResourceRecords", "ResourceRecords.ResourceRecord.Value"),
        text("SetIdentifier", "SetIdentifier"),
        text("TTL", "TTL"),
        text("Type", "Type"),
        int("Weight", "Weight"),
    ],
    ..Direct::new("AWS::Route53::RecordSet", &ROUTE_53, &["Name", "^.Id", "Type", "SetIdentifier?"])
};

const RECORDS: Call = call("GET /2013-04-01/hostedzone/{Id}/rrset", "ResourceRecordSets.ResourceRecordSet")
    .root("ListResourceRecordSetsResponse")
    .pages("name", "NextRecordName")
    .along(&[("type", "NextRecordType"), ("identifier", "NextRecordIdentifier")])
    .mend(unescape)
    .action("route53:ListResourceRecordSets");

fn is_public(zone: &Value) -> bool {
    zone.pointer("/Config/PrivateZone").and_then(scalar).is_none_or(|said| said != "true")
}

/// The service says where a zone is, CloudFormation what it is called.
fn name_zone(zone: &mut Value) {
    let name = zone.get("Id").and_then(last);
    if let (Some(map), Some(name)) = (zone.as_object_mut(), name) {
        map.insert("Id".to_owned(), name);
    }
}

/// The service spells a star as a number; everybody else writes the star.
fn unescape(record: &mut Value) {
    let name = record.get("Name").and_then(Value::as_str).map(|name| name.replace("\\052", "*"));
    if let (Some(map), Some(name)) = (record.as_object_mut(), name) {
        map.insert("Name".to_owned(), name.into());
    }
}

fn features(zone: &Value) -> Value {
    let status = zone.pointer("/Features/AcceleratedRecoveryStatus").and_then(is_on);
    json!({"EnableAcceleratedRecovery": status.unwrap_or(Value::Bool(false))})
}
