//! The simulators, asked as the collectors and the hook ask.

use jiff::Timestamp;
use serde_json::json;

use super::estate::{Cloud, Key, estate};
use super::mend::{Clouds, mend};
use super::world::World;
use super::{Story, aws, kubernetes, serve};

fn epoch() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

async fn clouds() -> (World, Clouds) {
    let world = World::new(&estate(), epoch);
    let kinds = vec!["AWS::SQS::Queue".to_owned(), "AWS::KMS::Key".to_owned()];
    let (aws, _) = serve(aws::router(world.clone(), kinds)).await.unwrap();
    let (kubernetes, _) = serve(kubernetes::router(world.clone())).await.unwrap();
    let url = |address| format!("http://{address}").parse().unwrap();
    (world, Clouds { aws: url(aws), kubernetes: url(kubernetes) })
}

async fn ask(clouds: &Clouds, target: &str, input: serde_json::Value) -> (u16, serde_json::Value) {
    let request = super::mend::client().unwrap().post(clouds.aws.clone()).header("x-amz-target", target);
    let answer = request.body(input.to_string()).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn cloud_control_pages_its_lists_and_reads_exactly() {
    let (_, clouds) = clouds().await;
    let mut names = Vec::new();
    let mut token = serde_json::Value::Null;
    loop {
        let mut input = json!({"TypeName": "AWS::SQS::Queue", "MaxResults": 100});
        if !token.is_null() {
            input["NextToken"] = token;
        }
        let (code, page) = ask(&clouds, "CloudApiService.ListResources", input).await;
        assert_eq!(code, 200);
        names.extend(page["ResourceDescriptions"].as_array().unwrap().iter().map(|item| item["Identifier"].clone()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let declared = estate().into_iter().filter(|asset| asset.key.kind == "AWS::SQS::Queue").count();
    assert_eq!(names.len(), declared);
    let (_, found) =
        ask(&clouds, "CloudApiService.GetResource", json!({"TypeName": "AWS::SQS::Queue", "Identifier": names[0]}))
            .await;
    assert!(found["ResourceDescription"]["Properties"].as_str().unwrap().contains("QueueName"));
    for (kind, word) in
        [("AWS::SQS::Queue", "ResourceNotFoundException"), ("Acme::None::Kind", "TypeNotFoundException")]
    {
        let input = json!({"TypeName": kind, "Identifier": "none"});
        let (code, refusal) = ask(&clouds, "CloudApiService.GetResource", input).await;
        assert_eq!((code, refusal["__type"].as_str().unwrap().rsplit('#').next()), (400, Some(word)));
    }
}

#[tokio::test]
async fn the_hook_puts_back_what_was_changed_in_either_cloud() {
    let (world, clouds) = clouds().await;
    let (deployment, key) = (
        Key::new(Cloud::Kubernetes, "apps/Deployment", "cart/api"),
        estate().into_iter().map(|asset| asset.key).find(|key| key.kind == "AWS::KMS::Key").unwrap(),
    );
    for (key, path, good, bad) in
        [(deployment, "/spec/replicas", json!(3), json!(0)), (key, "/EnableKeyRotation", json!(true), json!(false))]
    {
        let before = world.get(&key);
        world.plant(&key, Vec::new(), "changes", |value| {
            let mut value = value.unwrap();
            *value.pointer_mut(path).unwrap() = bad.clone();
            Some(value)
        });
        let change = json!({"path": path, "op": "changed", "desired": good, "observed": bad, "sensitive": false});
        let resource = json!({"cloud": key.cloud.as_str(), "kind": key.kind, "name": key.name});
        mend(&json!({"resource": resource, "changes": [change]}), &clouds).await.unwrap();
        assert_eq!(world.get(&key), before);
        let told = world.ledger(|ledger| ledger.observe(&[]));
        assert!(matches!(told.as_slice(), [Story::Planted(_), Story::Mended(..)]), "{told:?}");
    }
}

#[tokio::test]
async fn the_log_tells_what_the_intruder_did() {
    let (world, clouds) = clouds().await;
    let asset = estate().into_iter().find(|asset| asset.key.kind == "AWS::KMS::Key").unwrap();
    world.plant(&asset.key, Vec::new(), "stops the rotation", |before| {
        let mut value = before.unwrap();
        value["EnableKeyRotation"] = json!(false);
        Some(value)
    });
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    let (_, page) = ask(&clouds, target, json!({})).await;
    let record: serde_json::Value =
        serde_json::from_str(page["Events"][0]["CloudTrailEvent"].as_str().unwrap()).unwrap();
    assert_eq!((&record["eventName"], page["Events"].as_array().unwrap().len()), (&json!("UpdateResource"), 1));
    let parameters = &record["requestParameters"];
    assert_eq!(parameters["identifier"], json!(asset.key.name));
    assert_eq!(parameters["patchDocument"], json!(r#"[{"op":"replace","path":"/EnableKeyRotation"}]"#));
}
