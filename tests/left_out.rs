//! What Git declares and nobody looks at: told as a gap, never as missing.

use serde_json::Value;
use serde_json::json;

use crate::harness::aws::REGION;
use crate::harness::daemon::Daemon;
use crate::harness::estate;
use crate::harness::git::GitServer;
use crate::harness::process::eventually;
use crate::harness::scripted;

/// What a scan came to: the exit code, the findings, and each gap as `kind: reason: detail`.
type Outcome = (i32, Vec<Value>, Vec<String>);

/// A rule that every host of an inventory breaks.
const RULE: &str = "id: file_host_owner_set\ntitle: A host has an owner\nkind: host\nseverity: high\n\
                    expression: has(resource.owner)\nmessage: \"{id.name} has no owner\"\nfix: Name its owner.\n";

#[test]
fn a_finding_that_nobody_looks_at_any_more_stays_and_says_so() {
    let config = |cloud: &str| {
        let mapping = "{items: /hosts, kind: host, name: /id, attributes: /spec}";
        format!(
            "clouds: [{{name: {cloud}, type: file, paths: ['{{dir}}/hosts.json'], mapping: {mapping}, every: 1s}}]\n\
             rules: [{{path: rules}}]\nhold: {{scans: 1, for: 0s}}\n"
        )
    };
    let mut daemon = Daemon::prepare(&config("here"), &[]);
    std::fs::create_dir(daemon.dir().join("rules")).unwrap();
    std::fs::write(daemon.dir().join("rules/owner.yaml"), RULE).unwrap();
    std::fs::write(daemon.dir().join("hosts.json"), json!({"hosts": [{"id": "web", "spec": {}}]}).to_string()).unwrap();
    daemon.restart();
    let known = |cloud: &str, watched: bool| {
        eventually(&format!("web of {cloud}, watched: {watched}"), 60, || {
            let answer = daemon.api("/api/v1/findings?phase=open").json();
            let findings = answer["findings"].as_array().unwrap().clone();
            let is_it = |it: &Value| it["watched"] == watched && it["resource"]["id"].as_str().unwrap().contains(cloud);
            findings.into_iter().find(is_it)
        })
    };
    let before = known("here", true);
    daemon.configure(&config("elsewhere"));
    let after = known("here", false);
    assert_eq!(before["fingerprint"], after["fingerprint"]);
    known("elsewhere", true);
    let (code, shown, error) = daemon.cli(&["findings", "list", "--url", &daemon.url()]);
    assert_eq!((code, shown.matches("(not watched)").count()), (0, 1), "{shown}{error}");
}

/// Scans once what the documents declare.
fn scan(cloud: &str, documents: Vec<Value>) -> Option<Outcome> {
    scan_with(&[], &[cloud], documents)
}

/// The same, with more arguments and more clouds, for all of which one source speaks.
fn scan_with(arguments: &[&str], clouds: &[&str], documents: Vec<Value>) -> Option<Outcome> {
    let git = GitServer::start("ci", "secret")?;
    git.commit("ann", "declare", &[("all.yaml", &estate::documents(documents.into_iter()))]);
    let config = format!(
        "clouds:\n  - {}\ndesired:\n  - name: infra\n    git: {{url: \"{}\", ref: main, username: ci, password: \
         \"${{env:GIT_PASSWORD}}\"}}\n",
        clouds.join("\n  - "),
        git.url()
    );
    let environment = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "test"), ("GIT_PASSWORD", "secret")];
    let (code, document) = Daemon::prepare(&config, &environment).scan_json_with(arguments);
    let scopes = document["scopes"].as_array().unwrap().iter();
    let gaps = scopes.flat_map(|scope| scope["gaps"].as_array().unwrap().clone());
    let line = |gap: Value| ["kind", "reason", "detail"].map(|key| gap[key].as_str().unwrap().to_owned()).join(": ");
    Some((code, document["findings"].as_array().unwrap().clone(), gaps.map(line).collect()))
}

#[test]
fn a_namespace_that_is_left_out_is_a_gap() {
    let maps = scripted::config_maps(3);
    let cluster = scripted::kubernetes(&maps, scripted::untouched());
    let mut declared = scripted::config_map_manifests(&maps);
    let elsewhere = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "other"}});
    declared.push(elsewhere);
    let cloud = |namespaces: &str| {
        format!("{{name: c, type: kubernetes, server: \"{}\", cluster: c, namespaces: {namespaces}}}", cluster.url())
    };
    for namespaces in ["{exclude: [other]}", "{include: [shop]}"] {
        let Some((code, findings, gaps)) = scan(&cloud(namespaces), declared.clone()) else { return };
        let gap = "ConfigMap: partial: `other/x` is declared in Git and not looked for: namespace `other` is left out by \
                   `namespaces` of cloud `c`";
        assert_eq!((code, findings, gaps), (3, vec![], vec![gap.to_owned()]), "{namespaces}");
    }
    let Some((code, findings, gaps)) = scan(&cloud("{}"), declared) else { return };
    assert_eq!((code, findings.len(), gaps), (2, 1, vec![]), "looked for, it is missing");
    assert_eq!((&findings[0]["drift"], &findings[0]["resource"]["name"]), (&json!("missing"), &json!("other/x")));
}

#[test]
fn a_region_that_is_not_read_is_a_gap_and_one_that_is_not_said_no_absence() {
    let aws = scripted::aws(scripted::untouched());
    let bucket = |metadata: Value| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket", "metadata": metadata,
            "spec": {"VersioningConfiguration": {"Status": "Enabled"}}})
    };
    let known = scripted::bucket_names().into_iter().map(|name| bucket(json!({"name": name, "region": REGION})));
    let mut declared: Vec<_> = known.collect();
    declared.push(bucket(json!({"name": "far", "region": "mars-north-1"})));
    declared.push(bucket(json!({"name": "anywhere"})));
    let cloud = |regions: &str| {
        let url = aws.url();
        let kinds = "{include: [\"AWS::S3::Bucket\"]}";
        format!(
            "{{name: c, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{regions}], endpoint: \"{url}\", requests_per_second: 1000, kinds: {kinds}}}"
        )
    };
    let far = "AWS::S3::Bucket: partial: `far` is declared in Git and not looked for: no cloud of its source reads region \
               `mars-north-1`; hint: have it read, or keep it out of `path`";
    let Some((code, findings, gaps)) = scan(&cloud(REGION), declared.clone()) else { return };
    assert_eq!((code, findings.len(), gaps), (2, 1, vec![far.to_owned()]), "in the only region it is missing");
    let Some((_, findings, gaps)) = scan(&cloud(&format!("{REGION}, moon-south-1")), declared) else { return };
    let anywhere = "AWS::S3::Bucket: partial: `anywhere` is declared in Git and not looked for: it may be in any of 2 \
                    accounts and regions; hint: write its `metadata.account` and `metadata.region`";
    assert!(findings.iter().all(|finding| finding["drift"] != "missing"), "{findings:#?}");
    assert!(gaps.iter().any(|gap| gap == anywhere) && gaps.iter().any(|gap| gap == far), "{gaps:#?}");
}

#[test]
fn a_cloud_that_is_scanned_alone_misses_what_can_be_in_no_other() {
    let aws = scripted::aws(scripted::untouched());
    let cloud = |name: &str, region: &str| {
        let url = aws.url();
        let kinds = "{include: [\"AWS::S3::Bucket\"]}";
        format!(
            "{{name: {name}, type: aws, direct: {{exclude: [\"*\"]}}, regions: [{region}], endpoint: \"{url}\", requests_per_second: 1000, kinds: \
             {kinds}}}"
        )
    };
    let bucket = |name: &str, metadata: Value| {
        json!({"apiVersion": "driftwarden.dev/v1", "kind": "AWS::S3::Bucket", "metadata": metadata,
            "spec": {"BucketName": name}})
    };
    let known = scripted::bucket_names().into_iter();
    let mut declared: Vec<_> = known.map(|name| bucket(&name, json!({"name": name, "region": REGION}))).collect();
    declared.push(bucket("gone", json!({"name": "gone", "region": REGION})));
    let clouds = [cloud("c", REGION), cloud("d", "moon-south-1")];
    let clouds = clouds.each_ref().map(String::as_str);
    let Some((code, findings, gaps)) = scan_with(&["--cloud", "c"], &clouds, declared) else { return };
    assert_eq!((code, gaps), (2, vec![]));
    let missing = |finding: &Value| format!("{} {}", finding["drift"], finding["resource"]["name"]);
    assert_eq!(findings.iter().map(missing).collect::<Vec<_>>(), [r#""missing" "gone""#]);
}
