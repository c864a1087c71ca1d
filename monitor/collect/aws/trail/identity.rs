//! Who stands behind an identity of CloudTrail, and whether that is a person or a program.
//!
//! The rules are closed and tried in their order, [`sort`] has them. Only a name that AWS vouches for is a name: of an
//! assumed role, the role and the session are told both, since whoever may assume it chooses how the session is called.

use driftwarden_core::finding::ActorKind;
use serde::Deserialize;
use serde_json::Value;

use super::record::Record;

/// Programs that work for people, by a part of their user agent.
const AUTOMATIONS: &[&str] = &[
    "ansible",
    "apn/1.0 hashicorp",
    "aws-cdk",
    "aws-internal",
    "aws internal",
    "cloudcontrolapi.amazonaws.com",
    "cloudformation",
    "crossplane",
    "exec-env/aws_ecs",
    "exec-env/aws_lambda",
    "exec-env/codebuild",
    "github-actions",
    "gitlab",
    "jenkins",
    "kubernetes",
    "opentofu",
    "pulumi",
    "serverless",
    "terraform",
    "terragrunt",
];
/// What only people use, by a part of its user agent.
const BY_HAND: &[&str] = &["console.amazonaws.com", "exec-env/cloudshell", "mozilla/", "signin.amazonaws.com"];
/// Who vouches for programs, by a part of the provider of their tokens.
const MACHINE_ISSUERS: &[&str] =
    &["bitbucket", "circleci", "gitlab", "oidc.eks", "token.actions.githubusercontent.com"];
/// Words in names that hint at a program.
const MACHINE_WORDS: &[&str] = &[
    "actions",
    "automation",
    "bot",
    "build",
    "cd",
    "ci",
    "cicd",
    "deploy",
    "deployer",
    "deployment",
    "github",
    "gitlab",
    "jenkins",
    "pipeline",
    "robot",
    "runner",
    "terraform",
];
/// What roles begin with that IAM Identity Center makes for people.
const SSO: &str = "AWSReservedSSO_";
/// Longest name that is told.
const LONGEST: usize = 200;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    #[serde(rename = "type")]
    type_: Option<String>,
    user_name: Option<String>,
    arn: Option<String>,
    account_id: Option<String>,
    principal_id: Option<String>,
    invoked_by: Option<String>,
    session_context: Option<SessionContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext {
    session_issuer: Option<Issuer>,
    attributes: Option<Attributes>,
    web_id_federation_data: Option<Federation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issuer {
    user_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    mfa_authenticated: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Federation {
    federated_provider: Option<String>,
}

impl Identity {
    fn is(&self, type_: &str) -> bool {
        self.type_.as_deref() == Some(type_)
    }

    /// Returns the role and the session of an ARN such as `arn:aws:sts::1:assumed-role/Admin/ann`.
    fn session(&self) -> Option<(&str, &str)> {
        let (_, session) = self.arn.as_deref()?.split_once(":assumed-role/")?;
        session.split_once('/')
    }

    fn role(&self) -> Option<&str> {
        let issuer = self.session_context.as_ref().and_then(|context| context.session_issuer.as_ref());
        issuer.and_then(|issuer| issuer.user_name.as_deref()).or_else(|| Some(self.session()?.0))
    }

    fn is_of_sso(&self) -> bool {
        self.role().is_some_and(|role| role.starts_with(SSO))
    }

    /// Returns the service that acts on behalf of it.
    fn service(&self) -> Option<&str> {
        self.invoked_by.as_deref().filter(|by| by.ends_with(".amazonaws.com"))
    }

    fn used_second_factor(&self) -> bool {
        let said = self.session_context.as_ref().and_then(|context| context.attributes.as_ref());
        said.and_then(|said| said.mfa_authenticated.as_ref())
            .is_some_and(|said| *said == Value::Bool(true) || *said == "true")
    }

    fn provider(&self) -> &str {
        let federation = self.session_context.as_ref().and_then(|context| context.web_id_federation_data.as_ref());
        federation.and_then(|federation| federation.federated_provider.as_deref()).unwrap_or_default()
    }
}

/// Returns who made a record, and what sort of somebody that is; nothing if it does not say.
pub(super) fn who(record: &Record) -> Option<(String, ActorKind)> {
    let identity = &record.user_identity;
    let mut name = name(identity, record.username.as_deref())?;
    let kind = sort(record, &name);
    if let Some(service) = identity.service().filter(|service| name != *service) {
        name = format!("{name} through {service}");
    }
    // It comes from outside, and is printed on terminals.
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!name.is_empty()).then_some((name, kind))
}

fn name(identity: &Identity, username: Option<&str>) -> Option<String> {
    let tail = || identity.arn.as_deref()?.rsplit('/').next();
    let account = || identity.account_id.as_deref().unwrap_or("unknown");
    let called = identity.user_name.as_deref().or_else(tail).or(username);
    match identity.type_.as_deref() {
        Some("Root") => Some(format!("root of account {}", account())),
        Some("AssumedRole") => {
            let Some((role, session)) = identity.session() else { return called.map(str::to_owned) };
            let role = identity.role().unwrap_or(role);
            Some(match role.strip_prefix(SSO) {
                // `AWSReservedSSO_AdministratorAccess_0123456789abcdef`
                Some(set) => format!("{session} (SSO {})", set.rsplit_once('_').map_or(set, |(set, _)| set)),
                None => format!("{session} (role {role})"),
            })
        }
        Some("AWSService") => identity.invoked_by.clone().or_else(|| called.map(str::to_owned)),
        Some("AWSAccount") => {
            let principal = identity.principal_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
            Some(format!("account {}{principal}", account()))
        }
        _ => called.or(identity.principal_id.as_deref()).map(str::to_owned),
    }
}

/// Tells people from programs. Each rule counts only where none before it does.
fn sort(record: &Record, name: &str) -> ActorKind {
    let identity = &record.user_identity;
    let agent = record.agent().to_ascii_lowercase();
    let is_among = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
    let session = identity.session().map(|(_, session)| session);
    match () {
        // The cloud acts for itself.
        () if identity.is("AWSService") => ActorKind::Service,
        () if identity.role().is_some_and(|role| role.starts_with("AWSServiceRoleFor")) => ActorKind::Service,
        // Somebody asked a service to act.
        () if identity.service().is_some() => ActorKind::Automation,
        // A browser; those of consoles say the words of programs, too.
        () if is_among(BY_HAND, &agent) || record.is_of_console() => ActorKind::Person,
        // A program says that it is one.
        () if identity.invoked_by.is_some() || is_among(AUTOMATIONS, &agent) => ActorKind::Automation,
        // Pipelines and pods are vouched for by their own issuers; the sessions of machines are named by their ids.
        () if is_among(MACHINE_ISSUERS, identity.provider()) => ActorKind::Automation,
        () if session.is_some_and(is_instance) => ActorKind::Automation,
        // What only people have: a second factor, single sign-on, the password of the account.
        () if identity.used_second_factor() || identity.is_of_sso() || identity.is("Root") => ActorKind::Person,
        // Names are chosen, so they are only hints.
        () if has_machine_word(name) => ActorKind::Automation,
        () if session.is_some_and(|session| session.contains('@')) => ActorKind::Person,
        () if identity.is("IAMUser") && agent.contains("aws-cli") => ActorKind::Person,
        () => ActorKind::Unclear,
    }
}

/// Returns whether it is the id of a machine, which is how the sessions of its own role are called.
fn is_instance(session: &str) -> bool {
    session.strip_prefix("i-").is_some_and(|id| id.len() >= 8 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn has_machine_word(name: &str) -> bool {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
    words.into_iter().any(|word| MACHINE_WORDS.contains(&&*word))
}
