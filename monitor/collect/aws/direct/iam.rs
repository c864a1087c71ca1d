//! IAM: one list of everything about principals and policies, by kind, and what the account as a whole has set.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driftwarden_core::resource::unread;
use serde_json::{Map, Value};

use super::service::IAM;
use super::shape::{Field, all, at, document, each, flag, int, json, made, object, tags, text, texts};
use super::{Arg, Call, Direct, Part, Probe, call, part};

/// Returns the list of everything about one kind of entity; `filter` has its name.
const fn details(filter: &'static [(&'static str, Arg)], items: &'static str) -> Call {
    call("GetAccountAuthorizationDetails", items).with(filter).pages("Marker", "Marker")
}

const ROLES: Call = details(&[("Filter", Arg::Texts(&["Role"])), ("MaxItems", Arg::Int(1000))], "RoleDetailList");
const USERS: Call = details(&[("Filter", Arg::Texts(&["User"])), ("MaxItems", Arg::Int(1000))], "UserDetailList");
const GROUPS: Call = details(&[("Filter", Arg::Texts(&["Group"])), ("MaxItems", Arg::Int(1000))], "GroupDetailList");
const POLICIES: Call =
    details(&[("Filter", Arg::Texts(&["LocalManagedPolicy"])), ("MaxItems", Arg::Int(1000))], "Policies");

/// Returns what asks for the entity of a name. There is none of one that cannot be a name.
const fn named(operation: &'static str, item: &'static str, name: &'static [(&'static str, Arg)]) -> Call {
    call(operation, item).with(name).none(&["ValidationError", "InvalidInput"])
}

const INLINE: &[Field] = &[json("PolicyDocument", "PolicyDocument"), text("PolicyName", "PolicyName")];

pub(super) const ROLE: Direct = Direct {
    list: &[ROLES],
    probe: Some(Probe {
        call: named("GetRole", "Role", &[("RoleName", Arg::Name(0))]),
        tells: &["RoleName", "Arn", "AssumeRolePolicyDocument", "Path", "PermissionsBoundary", "RoleId", "Tags"],
        unless: None,
    }),
    gone: &["NoSuchEntity"],
    shape: &[
        text("RoleName", "RoleName"),
        text("Arn", "Arn"),
        json("AssumeRolePolicyDocument", "AssumeRolePolicyDocument"),
        texts("ManagedPolicyArns", "AttachedManagedPolicies.PolicyArn"),
        text("Path", "Path"),
        text("PermissionsBoundary", "PermissionsBoundary.PermissionsBoundaryArn"),
        each("Policies", "RolePolicyList", INLINE),
        text("RoleId", "RoleId"),
        tags("Tags"),
    ],
    parts: &[part(
        call("ListRoles", "Roles").with(&[("MaxItems", Arg::Int(1000))]).pages("Marker", "Marker"),
        &[text("Description", "Description"), int("MaxSessionDuration", "MaxSessionDuration")],
    )
    .join("RoleName", "RoleName")],
    ..Direct::new("AWS::IAM::Role", &IAM, &["RoleName"])
};

pub(super) const USER: Direct = Direct {
    list: &[USERS],
    probe: Some(Probe {
        call: named("GetUser", "User", &[("UserName", Arg::Name(0))]),
        tells: &["UserName", "Arn", "Path", "PermissionsBoundary", "Tags"],
        unless: None,
    }),
    gone: &["NoSuchEntity"],
    shape: &[
        text("UserName", "UserName"),
        text("Arn", "Arn"),
        texts("Groups", "GroupList"),
        texts("ManagedPolicyArns", "AttachedManagedPolicies.PolicyArn"),
        text("Path", "Path"),
        text("PermissionsBoundary", "PermissionsBoundary.PermissionsBoundaryArn"),
        each("Policies", "UserPolicyList", INLINE),
        tags("Tags"),
    ],
    parts: &[part(
        call("GetLoginProfile", "").with(&[("UserName", Arg::Of("UserName"))]).none(&["NoSuchEntity"]),
        &[object("LoginProfile", "LoginProfile", &[flag("PasswordResetRequired", "PasswordResetRequired")])],
    )],
    ..Direct::new("AWS::IAM::User", &IAM, &["UserName"])
};

pub(super) const GROUP: Direct = Direct {
    list: &[GROUPS],
    probe: Some(Probe {
        call: named("GetGroup", "Group", &[("GroupName", Arg::Name(0))]),
        tells: &["GroupName", "Arn", "Path"],
        unless: None,
    }),
    gone: &["NoSuchEntity"],
    shape: &[
        text("GroupName", "GroupName"),
        text("Arn", "Arn"),
        texts("ManagedPolicyArns", "AttachedManagedPolicies.PolicyArn"),
        text("Path", "Path"),
        each("Policies", "GroupPolicyList", INLINE),
    ],
    ..Direct::new("AWS::IAM::Group", &IAM, &["GroupName"])
};

pub(super) const MANAGED_POLICY: Direct = Direct {
    list: &[POLICIES],
    probe: Some(Probe {
        call: named("GetPolicy", "Policy", &[("PolicyArn", Arg::Name(0))]),
        tells: &["PolicyArn", "DefaultVersionId", "ManagedPolicyName", "Path", "PolicyId"],
        unless: None,
    }),
    gone: &["NoSuchEntity"],
    shape: &[
        text("PolicyArn", "Arn"),
        int("AttachmentCount", "AttachmentCount"),
        text("CreateDate", "CreateDate"),
        text("DefaultVersionId", "DefaultVersionId"),
        flag("IsAttachable", "IsAttachable"),
        text("ManagedPolicyName", "PolicyName"),
        text("Path", "Path"),
        int("PermissionsBoundaryUsageCount", "PermissionsBoundaryUsageCount"),
        made("PolicyDocument", "", default_version),
        text("PolicyId", "PolicyId"),
        text("UpdateDate", "UpdateDate"),
    ],
    parts: &[
        part(
            call("GetPolicy", "").with(&[("PolicyArn", Arg::Of("Arn"))]),
            &[text("Description", "Policy.Description")],
        ),
        attached(ROLES, &[texts("Roles", "RoleName")]),
        attached(USERS, &[texts("Users", "UserName")]),
        attached(GROUPS, &[texts("Groups", "GroupName")]),
    ],
    ..Direct::new("AWS::IAM::ManagedPolicy", &IAM, &["Arn"])
};

fn default_version(policy: &Value) -> Option<Value> {
    let is_default = |version: &&Value| at(version, "IsDefaultVersion").is_some_and(|is_default| is_default == "true");
    let version = all(policy, "PolicyVersionList").into_iter().find(is_default)?;
    let said = at(version, "Document")?;
    Some(document(said).unwrap_or_else(|| said.clone()))
}

/// Returns who has the policy attached: one list for all policies, where AWS's own list would be one for each.
const fn attached(call: Call, shape: &'static [Field]) -> Part {
    part(call, shape).join("AttachedManagedPolicies.PolicyArn", "Arn")
}

pub(super) const INSTANCE_PROFILE: Direct = Direct {
    list: &[call("ListInstanceProfiles", "InstanceProfiles")
        .with(&[("MaxItems", Arg::Int(1000))])
        .pages("Marker", "Marker")],
    named: &[call("GetInstanceProfile", "InstanceProfile").with(&[("InstanceProfileName", Arg::Name(0))])],
    gone: &["NoSuchEntity"],
    shape: &[
        text("InstanceProfileName", "InstanceProfileName"),
        text("Arn", "Arn"),
        text("Path", "Path"),
        texts("Roles", "Roles.RoleName"),
    ],
    ..Direct::new("AWS::IAM::InstanceProfile", &IAM, &["InstanceProfileName"])
};

/// A key of a user. When it was last used is left to the credential report: it would change all the time.
pub(super) const ACCESS_KEY: Direct = Direct {
    list: &[
        USERS,
        call("ListAccessKeys", "AccessKeyMetadata")
            .with(&[("UserName", Arg::Of("UserName")), ("MaxItems", Arg::Int(1000))])
            .pages("Marker", "Marker"),
    ],
    gone: &["NoSuchEntity"],
    shape: &[
        text("Id", "AccessKeyId"),
        text("CreateDate", "CreateDate"),
        text("Status", "Status"),
        text("UserName", "UserName"),
    ],
    ..Direct::new("AWS::IAM::AccessKey", &IAM, &["AccessKeyId"])
};

const SUMMARY: Call = call("GetAccountSummary", "SummaryMap");

/// What is set for the passwords of an account. There is always one, so that a rule can tell that nothing is set.
pub(super) const ACCOUNT_PASSWORD_POLICY: Direct = Direct {
    list: &[SUMMARY],
    parts: &[part(
        call("GetAccountPasswordPolicy", "PasswordPolicy").none(&["NoSuchEntity"]),
        &[
            flag("AllowUsersToChangePassword", "AllowUsersToChangePassword"),
            flag("ExpirePasswords", "ExpirePasswords"),
            flag("HardExpiry", "HardExpiry"),
            int("MaxPasswordAge", "MaxPasswordAge"),
            int("MinimumPasswordLength", "MinimumPasswordLength"),
            int("PasswordReusePrevention", "PasswordReusePrevention"),
            flag("RequireLowercaseCharacters", "RequireLowercaseCharacters"),
            flag("RequireNumbers", "RequireNumbers"),
            flag("RequireSymbols", "RequireSymbols"),
            flag("RequireUppercaseCharacters", "RequireUppercaseCharacters"),
        ],
    )],
    ..Direct::new("AWS::IAM::AccountPasswordPolicy", &IAM, &[])
};

/// What an account says of its own root user. How many of what there are is left out: those are listed themselves.
pub(super) const ACCOUNT_SUMMARY: Direct = Direct {
    list: &[SUMMARY],
    shape: &[
        int("AccountAccessKeysPresent", "AccountAccessKeysPresent"),
        int("AccountMFAEnabled", "AccountMFAEnabled"),
        int("AccountPasswordPresent", "AccountPasswordPresent"),
        int("AccountSigningCertificatesPresent", "AccountSigningCertificatesPresent"),
        int("GlobalEndpointTokenVersion", "GlobalEndpointTokenVersion"),
    ],
    ..Direct::new("AWS::IAM::AccountSummary", &IAM, &[])
};

/// The latest report about passwords, keys and second factors. Nothing is asked to make one: without one there is a gap.
pub(super) const CREDENTIAL_REPORT: Direct = Direct {
    list: &[call("GetCredentialReport", "")],
    shape: &[text("GeneratedTime", "GeneratedTime"), made("Users", "Content", |content| Some(users(content)))],
    ..Direct::new("AWS::IAM::CredentialReport", &IAM, &[])
};

/// Returns an object for each line of a report, with names like those of all other attributes. What is no report holds a
/// mark, which no service may say, so that it is a malformed answer.
fn users(content: &Value) -> Value {
    let decoded = content.as_str().and_then(|text| STANDARD.decode(text).ok());
    let Some(report) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return vec![unread()].into() };
    let mut lines = report.lines().filter(|line| !line.trim().is_empty()).map(cells);
    let names: Vec<String> = lines.next().unwrap_or_default().iter().map(|name| pascal_case(name)).collect();
    lines
        .map(|cells| names.iter().cloned().zip(cells).filter_map(told).collect::<Map<_, _>>())
        .map(Value::from)
        .collect()
}

/// Splits a line at its commas, except for those in quotes: the name of a user may have one.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for char in line.trim_end().chars() {
        match char {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            char => cells.last_mut().into_iter().for_each(|cell| cell.push(char)),
        }
    }
    cells
}

fn pascal_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    name.split('_').map(capital).collect()
}

fn told((name, cell): (String, String)) -> Option<(String, Value)> {
    match &*cell {
        "N/A" | "no_information" | "not_supported" | "" => None,
        "true" | "false" => Some((name, (cell == "true").into())),
        _ => Some((name, cell.into())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_credential_report_becomes_one_object_for_each_user() {
        let report = "user,password_enabled,mfa_active,access_key_1_last_used_date\n\
            <root_account>,not_supported,true,N/A\n\"a,b\",false,false,2026-01-02T03:04:05+00:00\n";
        let expected = json!([
            {"User": "<root_account>", "MfaActive": true},
            {"User": "a,b", "PasswordEnabled": false, "MfaActive": false,
                "AccessKey1LastUsedDate": "2026-01-02T03:04:05+00:00"},
        ]);
        assert_eq!(users(&json!(STANDARD.encode(report))), expected);
        assert_eq!(users(&json!("no base64!")), json!([unread()]));
    }
}
