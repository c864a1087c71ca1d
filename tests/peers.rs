//! The peers themselves: each one can be had, starts, and does what the other tests rely on.
//!
//! A failure here says that the ground moved, not that the daemon is wrong.

use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::harness::aws::Checks;
use crate::harness::aws::Microburst;
use crate::harness::aws::Ministack;
use crate::harness::aws_estate::AwsEstate;
use crate::harness::aws_estate::Writers;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::http;
use crate::harness::http::Answer;
use crate::harness::http::Server;
use crate::harness::kubernetes::ApiServer;
use crate::harness::kubernetes::Who;
use crate::harness::observe;
use crate::harness::observe::Alertmanager;
use crate::harness::observe::Prometheus;
use crate::harness::observe::Rotel;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::recorder::Recorder;
use crate::harness::recorder::counted;
use crate::harness::scripted::Fault;

#[test]
fn ministack_keeps_what_cloud_control_creates() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let bucket = json!({"BucketName": "logs", "Tags": [{"Key": "team", "Value": "data"}]});
    assert_eq!(aws.create(&[("AWS::S3::Bucket", bucket)]), ["logs"]);
    aws.update("AWS::S3::Bucket", "logs", &json!([{"op": "replace", "path": "/Tags", "value": []}]));
    let listed = aws.call("cloudcontrol", "list_resources", json!({"TypeName": "AWS::S3::Bucket"}));
    let properties = listed["ResourceDescriptions"][0]["Properties"].as_str().unwrap();
    assert_eq!(properties, r#"{"BucketName": "logs", "Tags": []}"#);
    aws.delete("AWS::S3::Bucket", "logs");
    let listed = aws.call("cloudcontrol", "list_resources", json!({"TypeName": "AWS::S3::Bucket"}));
    assert_eq!(listed["ResourceDescriptions"], json!([]));
}

#[test]
fn ministack_refuses_a_user_without_a_policy_and_a_revoked_key() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let key = aws.user(
        "reader",
        &json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "cloudformation:ListResources", "Resource": "*"}]}),
    );
    let list = ("cloudcontrol", "list_resources", json!({"TypeName": "AWS::S3::Bucket"}));
    let create = ("cloudcontrol", "create_resource", json!({"TypeName": "AWS::S3::Bucket", "DesiredState": "{}"}));
    let answers = aws.calls_as(&key, &[list.clone(), create]);
    assert!(answers[0].is_ok(), "{answers:?}");
    assert!(answers[1].as_ref().is_err_and(|code| code.contains("AccessDenied")), "{answers:?}");
    aws.revoke("reader", &key);
    let answers = aws.calls_as(&key, &[list]);
    assert!(answers[0].is_err(), "{answers:?}");
}

#[test]
fn microburst_throttles_one_kind_and_lets_another_pass() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let Some(proxy) = Microburst::in_front_of(&aws.url()) else { return };
    proxy.rules(
        &json!([{"service": "cloudcontrol", "operation": "ListResources", "body": "TypeName == 'AWS::SQS::Queue'",
        "error": {"code": "ThrottlingException", "status": 400}}]),
    );
    let list = |kind: &str| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=111111111111/20261123/{}/cloudcontrolapi/aws4_request, SignedHeaders=host, Signature=0",
            crate::harness::aws::REGION
        );
        let headers = [
            ("x-amz-target", "CloudApiService.ListResources"),
            ("content-type", "application/x-amz-json-1.0"),
            ("authorization", &authorization),
        ];
        http::ask("POST", &proxy.url(), &headers, &json!({"TypeName": kind}).to_string()).unwrap()
    };
    let throttled = list("AWS::SQS::Queue");
    assert!(throttled.body.contains("ThrottlingException"), "{throttled:?}");
    assert_eq!(list("AWS::S3::Bucket").status, 200);
    assert_eq!(proxy.fired().len(), 1);
    proxy.rules(&json!([]));
    assert_eq!(list("AWS::SQS::Queue").status, 200);
}

#[test]
fn kube_apiserver_applies_on_its_side_and_refuses_the_reader() {
    let Some(cluster) = ApiServer::start() else { return };
    cluster.apply("gitops", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {k: v}}");
    let object = cluster.object(&["configmap", "a"]);
    assert_eq!(object["data"], json!({"k": "v"}));
    assert_eq!(object["metadata"].get("managedFields").map_or(0, |fields| fields.as_array().unwrap().len()), 0);
    let shown = cluster.object(&["configmap", "a", "--show-managed-fields"]);
    assert_eq!(shown["metadata"]["managedFields"][0]["manager"], "gitops");
    cluster.let_reader_list(&[("", "configmaps")]);
    let read = |kind: &str| cluster.kubectl_as(Who::Reader, &["get", kind, "-A"], None);
    process::eventually("the role is in force", 10, || read("configmaps").ok());
    assert!(read("secrets").is_err_and(|why| why.contains("Forbidden")));
}

#[test]
fn the_estate_can_be_sown() {
    let Some(aws) = Ministack::start(Checks::Nothing) else { return };
    let identifiers = estate::sow_aws(&aws, &estate::aws());
    assert_eq!(identifiers.len(), 180);
    let stack = aws.call("cloudformation", "list_stack_resources", json!({"StackName": estate::STACK}));
    assert_eq!(stack["StackResourceSummaries"][3]["PhysicalResourceId"], "stack-03", "{stack}");
    let Some(cluster) = ApiServer::start() else { return };
    estate::sow_kubernetes(&cluster, &estate::kubernetes());
    let stored = cluster.object(&["deployment", "web-00", "-n", estate::NAMESPACE]);
    assert_eq!(stored["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
}

#[test]
fn git_server_asks_for_a_password_and_keeps_commits() {
    let Some(server) = GitServer::start("ci", "secret") else { return };
    let first = server.commit("ann", "begin", &[("prod/a.yaml", "a: 1\n")]);
    let second = server.remove("bob", "less", &["prod/a.yaml"]);
    assert_ne!(first, second);
    assert_eq!(http::get(&format!("{}/info/refs?service=git-upload-pack", server.url())).unwrap().status, 401);
    let with_password = server.url().replace("http://", "http://ci:secret@");
    let heads = process::run(peers::git().unwrap().args(["ls-remote", &with_password, "main"]), None).unwrap();
    assert!(heads.starts_with(&second), "{heads}");
    let folder = process::folder();
    process::run(peers::git().unwrap().args(["clone", "--quiet", &with_password]).arg(folder.path()), None).unwrap();
}

#[test]
fn alertmanager_lists_an_alert_that_was_posted() {
    let Some(manager) = Alertmanager::start() else { return };
    let alert = json!([{"labels": {"alertname": "Drift"}, "generatorURL": "http://example.org"}]);
    assert_eq!(http::post(&format!("{}/api/v2/alerts", manager.url()), &alert).unwrap().status, 200);
    process::eventually("the alert is listed", 10, || {
        manager.alerts().iter().any(|alert| alert["labels"]["alertname"] == "Drift").then_some(())
    });
}

#[test]
fn prometheus_scrapes_and_answers() {
    let text = "# HELP answer_total An answer.\n# TYPE answer_total counter\nanswer_total 42\n";
    let target = Server::start(move |_| Answer::new(200, "text/plain; version=0.0.4", text));
    let Some(prometheus) = Prometheus::start(target.url().trim_start_matches("http://"), &[]) else { return };
    let found = process::eventually("a sample", 30, || {
        prometheus.query("answer_total").unwrap().first().map(|sample| sample["value"][1].clone())
    });
    assert_eq!(found, "42");
    assert!(prometheus.query("sum(").is_err());
    assert_eq!(prometheus.targets()[0]["health"], "up");
    assert!(observe::promtool(&["check", "metrics"], target_folder(), Some(text)).is_ok());
    assert!(observe::promtool(&["check", "metrics"], target_folder(), Some("no_help 1\n")).is_err());
}

#[test]
fn rotel_prints_a_span_it_was_sent() {
    let Some(rotel) = Rotel::start() else { return };
    let span = json!({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "t"}, "spans": [
        {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "planted-span", "kind": 1,
         "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000"}]}]}]});
    assert_eq!(http::post(&format!("{}/v1/traces", rotel.http()), &span).unwrap().status, 200);
    process::eventually("the span is printed", 20, || rotel.saw("planted-span").then_some(()));
    assert!(!rotel.saw("another-span"));
}

#[test]
fn a_fault_is_what_its_name_says() {
    let body = json!({"items": [1, 2, 3]});
    let ask = |fault: Fault| {
        let sent = body.clone();
        let server = Server::start(move |_| fault.answer(&sent));
        http::get(&server.url()).unwrap()
    };
    assert!(ask(Fault::HalfABody).body.len() < body.to_string().len());
    assert!(serde_json::from_str::<serde_json::Value>(&ask(Fault::CutJson).body).is_err());
    assert!(ask(Fault::LoginPage).body.starts_with("<html>"));
    assert_eq!(ask(Fault::Throttled).status, 429);
    assert_eq!(ask(Fault::Broken).status, 500);
    assert_eq!(ask(Fault::Forbidden).status, 403);
}

fn target_folder() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn the_recorder_counts_and_delays_and_breaks_no_signature() {
    let Some(aws) = Ministack::start(Checks::SignaturesAndPolicies) else { return };
    let recorder = Recorder::in_front_of(&aws.url());
    let estate = AwsEstate::at(&recorder.url());
    let sown = estate.sow(0.0, Writers::Four);
    assert!(sown.unserved.iter().all(|unserved| !unserved.why.starts_with("403")), "{:?}", sown.unserved);
    let calls = recorder.take();
    // One call for each account says who asks.
    assert_eq!(calls.len() as u64, sown.calls + 2);
    let counts = counted(&calls);
    for expected in [
        "ec2 CreateSubnet",
        "sqs CreateQueue",
        "kms CreateKey",
        "s3 PUT /*",
        "s3 PUT /*?tagging",
        "rds CreateDBInstance",
    ] {
        assert!(counts[expected] >= 2, "{expected}: {counts:#?}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn the_recorder_delays_no_call_for_another() {
    let server = Server::start(|_| Answer::json(200, &json!({})));
    let recorder = Recorder::in_front_of(&server.url());
    recorder.delay(Duration::from_millis(200));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| assert_eq!(http::get(&recorder.url()).unwrap().status, 200));
        }
    });
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(recorder.take().len(), 100);
}
