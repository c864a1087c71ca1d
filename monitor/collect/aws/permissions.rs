//! What the credentials must be allowed: as little as reading needs, as policies of IAM.
//!
//! Cloud Control reads with the credentials of whoever asks, so each kind needs what its own handlers say that they call.

use std::collections::BTreeSet;

use driftwarden_core::resource::Kind;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::call::Caller;
use super::direct::Direct;
use super::{Accounts, Config, call, describe, regions};
use crate::collect::Grants;

/// Kinds that are asked about at the same time.
const AT_ONCE: usize = 8;
/// What every scan may call, whatever it reads.
const ALWAYS: &[&str] = &[
    "cloudformation:DescribeStacks",
    "cloudformation:DescribeType",
    "cloudformation:GetResource",
    "cloudformation:ListExports",
    "cloudformation:ListResources",
    "cloudformation:ListStackResources",
    "cloudformation:ListTypes",
    "cloudtrail:LookupEvents",
    "kms:ListAliases",
    "sts:GetCallerIdentity",
];
/// What the names of actions that only read begin with.
const READING: &[&str] = &["batchget", "describe", "get", "head", "list", "lookup", "search", "view"];

/// Returns what must be allowed to whom, so that these kinds can be read.
pub(super) async fn grants(
    config: &Config,
    caller: &Caller,
    kinds: &BTreeSet<Kind>,
    direct: impl Fn(&Kind) -> Option<&'static Direct>,
) -> Grants {
    let mut grants = Grants::default();
    let mut reading: BTreeSet<String> = ALWAYS.iter().map(|&action| action.to_owned()).collect();
    reading.extend(kinds.iter().filter_map(&direct).flat_map(Direct::actions));
    let wide: Vec<Kind> = kinds.iter().filter(|kind| direct(kind).is_none()).cloned().collect();
    let asked = wide.into_iter().map(|kind| async move {
        let document = describe::document(caller, &kind).await;
        (kind, document)
    });
    let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((kind, document)) = asked.next().await {
        match document.as_ref().map(handlers) {
            Ok(actions) => reading.extend(actions),
            Err(error) => drop(grants.unknown.insert(kind, error.detail.clone())),
        }
    }
    if !regions::patterns(&config.regions).is_empty() {
        reading.insert("ec2:DescribeRegions".to_owned());
    }
    grants.policies = policies(config, &caller.region, &reading);
    grants
}

/// Returns what the handlers that read and list a kind call, less what does more than read.
fn handlers(document: &Value) -> BTreeSet<String> {
    let called = ["/handlers/read/permissions", "/handlers/list/permissions"];
    let called = called.iter().filter_map(|pointer| document.pointer(pointer)?.as_array()).flatten();
    called.filter_map(Value::as_str).filter(|action| only_reads(action)).map(str::to_owned).collect()
}

fn only_reads(action: &str) -> bool {
    let verb = action.split_once(':').map(|(_, verb)| verb.to_ascii_lowercase()).unwrap_or_default();
    READING.iter().any(|reading| verb.starts_with(reading))
}

/// Returns a policy for the credentials, one for the role that they assume first, and one for the roles of accounts.
fn policies(config: &Config, region: &str, reading: &BTreeSet<String>) -> Vec<(String, Value)> {
    let mut policies = Vec::new();
    let mut base = format!("the credentials of cloud `{}`", config.name);
    if let Some(role) = &config.role {
        policies.push((base, policy(&BTreeSet::new(), std::slice::from_ref(role))));
        base = format!("the role {role}");
    }
    let (mut own, mut assumed) = (reading.clone(), Vec::new());
    match &config.accounts {
        Accounts::Organization(organization) => {
            own.insert("organizations:ListAccounts".to_owned());
            assumed.push(call::role_arn(&organization.role, "*", region));
        }
        Accounts::Listed(accounts) => {
            assumed.extend(accounts.iter().filter_map(|account| config.accounts.role(&account.id, region)));
            if !accounts.is_empty() && assumed.len() == accounts.len() {
                own.clear();
            }
        }
    }
    policies.push((base, policy(&own, &assumed)));
    policies.extend(assumed.iter().map(|arn| (format!("the role {arn}"), policy(reading, &[]))));
    policies
}

fn policy(actions: &BTreeSet<String>, roles: &[String]) -> Value {
    let mut statements = Vec::new();
    if !actions.is_empty() {
        statements.push(json!({"Sid": "DriftwardenReads", "Effect": "Allow", "Action": actions, "Resource": "*"}));
    }
    if !roles.is_empty() {
        let action = "sts:AssumeRole";
        statements.push(json!({"Sid": "DriftwardenEnters", "Effect": "Allow", "Action": action, "Resource": roles}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks who needs what: `r` to read, `o` to list the accounts, and how many roles to assume.
    fn check(settings: &Value, expected: &[&str]) {
        let mut config = json!({"name": "prod"});
        config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let config = serde_json::from_value(config).unwrap();
        let found = policies(&config, "eu-west-1", &BTreeSet::from(["s3:ListAllMyBuckets".to_owned()]));
        let words = found.iter().map(|(who, policy)| {
            let text = policy.to_string();
            let letter = |action, letter| if text.contains(action) { letter } else { "" };
            let roles = text.matches("arn:aws:iam::").count();
            format!(
                "{} {}{}{roles}",
                who.rsplit(' ').next().unwrap(),
                letter("s3:", "r"),
                letter("organizations:", "o")
            )
        });
        assert_eq!(words.collect::<Vec<_>>(), expected, "{found:#?}");
    }

    #[test]
    fn each_principal_gets_what_it_calls_and_no_more() {
        check(&json!({}), &["`prod` r0"]);
        let hub = "arn:aws:iam::1:role/Hub";
        check(&json!({"role": hub}), &["`prod` 1", "arn:aws:iam::1:role/Hub r0"]);
        check(
            &json!({"accounts": {"organization": true, "role": "Read"}}),
            &["`prod` ro1", "arn:aws:iam::*:role/Read r0"],
        );
        check(&json!({"accounts": [{"id": "1", "role": "Read"}]}), &["`prod` 1", "arn:aws:iam::1:role/Read r0"]);
        check(
            &json!({"accounts": [{"id": "1", "role": "Read"}, {"id": "2"}]}),
            &["`prod` r1", "arn:aws:iam::1:role/Read r0"],
        );
    }

    #[test]
    fn only_what_reads_is_allowed() {
        let document = json!({"handlers": {
            "create": {"permissions": ["s3:CreateBucket"]},
            "read": {"permissions": ["s3:GetBucketPolicy", "kms:Decrypt", "iam:PassRole", "apigateway:GET"]},
            "list": {"permissions": ["s3:ListAllMyBuckets"]}}});
        let expected = ["apigateway:GET", "s3:GetBucketPolicy", "s3:ListAllMyBuckets"];
        assert_eq!(handlers(&document), expected.map(str::to_owned).into());
    }
}
