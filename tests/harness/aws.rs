//! An AWS to read: ministack, seeded with Amazon's own client, and microburst in front of it when calls must fail.
//!
//! Traps: Cloud Control is a registry of its own here, so a resource made natively is not listed, nor the other way round;
//! it never pages; what has no obvious name property gets a random identifier.

use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::http;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::process::Process;

/// The account that everything lives in.
pub const ACCOUNT: &str = "111111111111";
/// The region that calls are signed for.
pub const REGION: &str = "eu-west-1";

/// Whether the emulator checks signatures and policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Everybody may do everything.
    Nothing,
    /// Signature Version 4 and IAM policies, as AWS does.
    SignaturesAndPolicies,
}

/// An access key.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

impl Key {
    /// Returns the key that an emulated account is born with.
    pub fn of_the_account() -> Self {
        Self { id: ACCOUNT.into(), secret: "test".into() }
    }
}

/// A running ministack.
pub struct Ministack {
    process: Process,
    port: u16,
    key: Key,
    folder: TempDir,
}

impl Ministack {
    /// Starts an empty account.
    pub fn start(checks: Checks) -> Option<Self> {
        peers::available("ministack", Self::try_start(checks))
    }

    fn try_start(checks: Checks) -> Result<Self, String> {
        let folder = process::folder();
        let port = process::free_port();
        let mut command = Command::new(peers::python()?.join("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
            .env("MINISTACK_REGION", REGION)
            // What has an address of its own, such as a queue, is otherwise called by another one where CloudFormation made it.
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("CLOUDTRAIL_RECORDING", "1")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("AUTH", (checks == Checks::SignaturesAndPolicies).to_string())
            .env("TMPDIR", folder.path())
            .current_dir(folder.path());
        let health = format!("http://127.0.0.1:{port}/_ministack/health");
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let process = process.ready(60, || http::get(&health).ok().filter(|answer| answer.status == 200))?;
        Ok(Self { process, port, key: Key::of_the_account(), folder })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls operations one after another as the account's owner; each is (service, operation, arguments) in boto3's words.
    pub fn calls(&self, calls: &[(&str, &str, Value)]) -> Vec<Result<Value, String>> {
        self.calls_as(&self.key, calls)
    }

    /// Calls operations with somebody's key.
    pub fn calls_as(&self, key: &Key, calls: &[(&str, &str, Value)]) -> Vec<Result<Value, String>> {
        self.calls_in(REGION, key, calls)
    }

    /// Calls operations with somebody's key in some region.
    pub fn calls_in(&self, region: &str, key: &Key, calls: &[(&str, &str, Value)]) -> Vec<Result<Value, String>> {
        calls_at(&self.url(), region, key, calls)
    }

    /// Calls one operation as the account's owner, which must succeed.
    pub fn call(&self, service: &str, operation: &str, arguments: Value) -> Value {
        self.calls(&[(service, operation, arguments)]).remove(0).unwrap()
    }

    /// Creates resources (kind, properties) through Cloud Control; returns their identifiers.
    pub fn create(&self, resources: &[(&str, Value)]) -> Vec<String> {
        let calls = resources.iter().map(|(kind, properties)| {
            let arguments = json!({"TypeName": kind, "DesiredState": properties.to_string()});
            ("cloudcontrol", "create_resource", arguments)
        });
        let answers = self.calls(&calls.collect::<Vec<_>>());
        answers.iter().map(|answer| identifier(answer.as_ref().unwrap())).collect()
    }

    /// Changes a resource by a JSON patch.
    pub fn update(&self, kind: &str, identifier: &str, patch: &Value) {
        let arguments = json!({"TypeName": kind, "Identifier": identifier, "PatchDocument": patch.to_string()});
        self.call("cloudcontrol", "update_resource", arguments);
    }

    /// Deletes a resource.
    pub fn delete(&self, kind: &str, identifier: &str) {
        self.call("cloudcontrol", "delete_resource", json!({"TypeName": kind, "Identifier": identifier}));
    }

    /// Creates a user that may do what the policy document says, and returns its key.
    pub fn user(&self, name: &str, policy: &Value) -> Key {
        let policy = policy.to_string();
        let answers = self.calls(&[
            ("iam", "create_user", json!({"UserName": name})),
            ("iam", "put_user_policy", json!({"UserName": name, "PolicyName": "p", "PolicyDocument": policy})),
            ("iam", "create_access_key", json!({"UserName": name})),
        ]);
        let key = answers.into_iter().map(Result::unwrap).next_back().unwrap();
        let field = |name: &str| key["AccessKey"][name].as_str().unwrap().to_owned();
        Key { id: field("AccessKeyId"), secret: field("SecretAccessKey") }
    }

    /// Has CloudTrail take notice of what is called from now on, or not.
    pub fn record_calls(&self, is_recording: bool) {
        let url = format!("{}/_ministack/config", self.url());
        let answer = http::post(&url, &json!({"cloudtrail._recording_enabled": is_recording.to_string()}));
        assert_eq!(answer.unwrap().status, 200);
    }

    /// Takes a user's key away.
    pub fn revoke(&self, user: &str, key: &Key) {
        self.call("iam", "delete_access_key", json!({"UserName": user, "AccessKeyId": key.id}));
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Calls operations of whoever answers at that address.
pub fn calls_at(url: &str, region: &str, key: &Key, calls: &[(&str, &str, Value)]) -> Vec<Result<Value, String>> {
    let lines = calls.iter().map(|(service, operation, arguments)| {
        json!({"service": service, "operation": operation, "arguments": arguments}).to_string() + "\n"
    });
    let lines: String = lines.collect();
    let mut command = Command::new(peers::python().unwrap().join("python"));
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/aws_calls.py"))
        .args([url, region])
        .env("AWS_ACCESS_KEY_ID", &key.id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let answers = process::run(&mut command, Some(&lines)).unwrap();
    answers.lines().map(|line| outcome(&serde_json::from_str(line).unwrap())).collect()
}

fn outcome(answer: &Value) -> Result<Value, String> {
    match answer["error"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(answer["ok"].clone()),
    }
}

fn identifier(answer: &Value) -> String {
    answer["ProgressEvent"]["Identifier"].as_str().unwrap().to_owned()
}

/// A proxy that breaks calls by rule.
pub struct Microburst {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Microburst {
    /// Starts it in front of `upstream`, as yet without a rule.
    pub fn in_front_of(upstream: &str) -> Option<Self> {
        peers::available("microburst", Self::try_start(upstream))
    }

    fn try_start(upstream: &str) -> Result<Self, String> {
        let folder = process::folder();
        let port = process::free_port();
        let mut command = Command::new(peers::python()?.join("microburst"));
        command
            .args(["--upstream", upstream, "--host", "127.0.0.1", "--no-resign", "--port", &port.to_string()])
            .current_dir(folder.path());
        let rules = format!("http://127.0.0.1:{port}/_microburst/rules");
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let process = process.ready(60, || http::get(&rules).ok().filter(|answer| answer.status == 200))?;
        Ok(Self { process, port, folder })
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts these rules in place of the ones before; none lets every call pass. The services have botocore's names:
    /// `cloudcontrol`, not `cloudcontrolapi`.
    pub fn rules(&self, rules: &Value) {
        let answer = http::post(&format!("{}/_microburst/rules", self.url()), rules).unwrap();
        assert!(answer.status < 300, "microburst refused the rules: {}", answer.body);
    }

    /// Returns what it broke.
    pub fn fired(&self) -> Vec<Value> {
        let answer = http::get(&format!("{}/_microburst/fired", self.url())).unwrap().json();
        answer.as_array().cloned().unwrap_or_default()
    }
}
