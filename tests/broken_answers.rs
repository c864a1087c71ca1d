//! Clouds that answer badly in the middle of a list: each fault is a gap with its reason, and nothing is called missing.
//!
//! The clouds are scripted, for no real one errs when asked to. Six resources are declared and all six are there.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::REGION;
use crate::harness::daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::http::Answer;
use crate::harness::http::Server;
use crate::harness::scripted;
use crate::harness::scripted::Fault;
use crate::harness::scripted::SecondPage;

#[derive(Clone, Copy)]
enum Cloud {
    Aws,
    Kubernetes,
}

impl Cloud {
    fn start(self, second_page: SecondPage) -> Server {
        match self {
            Self::Aws => scripted::aws(second_page),
            Self::Kubernetes => scripted::kubernetes(&scripted::config_maps(6), second_page),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Aws => "AWS::S3::Bucket",
            Self::Kubernetes => "ConfigMap",
        }
    }

    fn config(self, url: &str) -> String {
        match self {
            Self::Aws => format!(
                "{{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{REGION}], endpoint: \"{url}\", requests_per_second: 1000, kinds: {{include: \
                 [\"AWS::S3::Bucket\"]}}}}"
            ),
            Self::Kubernetes => format!("{{name: c, type: kubernetes, server: \"{url}\", cluster: c}}"),
        }
    }

    fn declared(self) -> String {
        let documents: Vec<Value> = match self {
            Self::Aws => scripted::bucket_names()
                .iter()
                .map(|name| {
                    json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket", "metadata": {"name": name},
                        "spec": {"VersioningConfiguration": {"Status": "Enabled"}}})
                })
                .collect(),
            Self::Kubernetes => scripted::config_map_manifests(&scripted::config_maps(6)),
        };
        estate::documents(documents.into_iter())
    }

    /// Where a page keeps the token of the next one.
    fn token(self) -> &'static str {
        match self {
            Self::Aws => "/NextToken",
            Self::Kubernetes => "/metadata/continue",
        }
    }
}

/// Scans once; the exit code, what was found, and the reason of the gap in the list under test.
fn scan(cloud: Cloud, second_page: SecondPage) -> Option<(i32, Vec<Value>, Option<String>)> {
    let git = GitServer::start("ci", "secret")?;
    git.commit("ann", "declare", &[("all.yaml", &cloud.declared())]);
    let server = cloud.start(second_page);
    let config = format!(
        "clouds:\n  - {}\ndesired:\n  - name: infra\n    git: {{url: \"{}\", ref: main, username: ci, password: \
         \"${{env:GIT_PASSWORD}}\"}}\n    clouds: [c]\n",
        cloud.config(&server.url()),
        git.url()
    );
    let environment = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "test"), ("GIT_PASSWORD", "secret")];
    let (code, document) = daemon::scan_json(&config, &environment);
    let gaps =
        document["scopes"].as_array().unwrap().iter().flat_map(|scope| scope["gaps"].as_array().unwrap().clone());
    let gap = gaps.into_iter().find(|gap| gap["kind"] == cloud.kind());
    let reason = gap.map(|gap| gap["reason"].as_str().unwrap().to_owned());
    Some((code, document["findings"].as_array().unwrap().clone(), reason))
}

fn check(cloud: Cloud, name: &str, second_page: SecondPage, reasons: &[&str]) {
    let Some((code, findings, reason)) = scan(cloud, second_page) else { return };
    assert_eq!(findings, [] as [Value; 0], "{name}");
    let reason = reason.unwrap_or_else(|| panic!("{name}: no gap"));
    assert!(reasons.contains(&reason.as_str()), "{name}: {reason}, not one of {reasons:?}");
    assert_eq!(code, 3, "{name}");
}

fn check_faults(cloud: Cloud) {
    let faults: [(Fault, &[&str]); 7] = [
        (Fault::HalfABody, &["partial"]),
        (Fault::CutJson, &["malformed", "partial"]),
        (Fault::LoginPage, &["malformed"]),
        (Fault::OtherShape, &["malformed"]),
        (Fault::Throttled, &["throttled"]),
        (Fault::Broken, &["timeout", "partial"]),
        (Fault::Forbidden, &["denied"]),
    ];
    // Each waits for its retries: side by side they wait together.
    std::thread::scope(|scope| {
        for (fault, reasons) in faults {
            let second_page: SecondPage = Box::new(move |page| fault.answer(&page));
            scope.spawn(move || check(cloud, &format!("{fault:?}"), second_page, reasons));
        }
    });
}

fn check_untouched(cloud: Cloud) {
    let Some((code, findings, reason)) = scan(cloud, scripted::untouched()) else { return };
    assert_eq!((code, findings, reason), (0, vec![], None));
}

fn check_tokens(cloud: Cloud) {
    let same: SecondPage = Box::new(move |mut page| {
        *page.pointer_mut(cloud.token()).unwrap() = "2".into();
        Answer::json(200, &page)
    });
    check(cloud, "the same token again and again", same, &["malformed", "partial"]);
}

#[test]
fn scripted_aws_without_a_fault_is_in_sync() {
    check_untouched(Cloud::Aws);
}

#[test]
fn scripted_kubernetes_without_a_fault_is_in_sync() {
    check_untouched(Cloud::Kubernetes);
}

#[test]
fn a_fault_in_an_aws_list_is_a_gap() {
    check_faults(Cloud::Aws);
}

#[test]
fn a_fault_in_a_kubernetes_list_is_a_gap() {
    check_faults(Cloud::Kubernetes);
}

#[test]
fn a_repeated_token_is_a_gap() {
    check_tokens(Cloud::Aws);
    check_tokens(Cloud::Kubernetes);
}

#[test]
fn a_throttled_page_that_recovers_is_no_gap() {
    for cloud in [Cloud::Aws, Cloud::Kubernetes] {
        let asked = AtomicU64::new(0);
        let second_page: SecondPage = Box::new(move |page| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Fault::Throttled.answer(&page),
            _ => Answer::json(200, &page),
        });
        let Some((code, findings, reason)) = scan(cloud, second_page) else { return };
        assert_eq!((code, findings, reason), (0, vec![], None));
    }
}
