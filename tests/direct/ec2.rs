//! EC2's kinds.

use serde_json::json;

use super::read;
use crate::harness::aws::{Checks, Ministack, REGION};

#[test]
fn a_volume_is_read_as_cloudformation_shows_it() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "data"}]}]);
    let zone = format!("{REGION}a");
    let asked =
        json!({"AvailabilityZone": zone, "Size": 8, "VolumeType": "gp3", "Encrypted": true, "TagSpecifications": tags});
    let volume = aws.call("ec2", "create_volume", asked);
    let id = volume["VolumeId"].as_str().unwrap();
    let found = read(&aws.url(), "AWS::EC2::Volume").unwrap();
    let expected = json!({"VolumeId": id, "AvailabilityZone": zone, "Size": 8, "VolumeType": "gp3", "Encrypted": true,
        "Iops": 3000, "MultiAttachEnabled": false, "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!((found.len(), &found[id]), (1, &expected));
}
