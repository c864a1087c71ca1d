//! Which accounts there are: those that the configuration lists, or those of the organization.
//!
//! An account that is not read all the same (suspended, closed) stays in the list, with the reason.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use driftwarden_core::resource::GapReason;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::call::{self, Caller};
use crate::collect::http::CallError;
use crate::collect::selection::{Selected, Selection};

/// Pages that are read at most, of up to 20 accounts each.
const MAX_PAGES: usize = 5000;
/// The state of an account that can be read.
const ACTIVE: &str = "ACTIVE";

/// The accounts to be read.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Accounts {
    /// These.
    Listed(Vec<Account>),
    /// Those of the organization that the credentials belong to.
    Organization(Organization),
}

impl Default for Accounts {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// A list or an object is told apart before it is read, so that a mistake in it is named by its key.
impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Accounts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of accounts, or `{organization: true, role: NAME}`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Accounts, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Accounts::Listed)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Accounts, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Accounts::Organization)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One account to be read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    pub id: String,
    /// Name or ARN of the role to assume in it; the credentials as they are if absent.
    #[serde(default)]
    pub role: Option<String>,
}

/// All accounts of an organization, as its management account or a delegated administrator sees them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Always true.
    pub organization: bool,
    /// Name of the role to assume in each account but the one that the credentials belong to.
    pub role: String,
    /// Accounts to read, by number or name (globs); all if empty.
    #[serde(default)]
    pub include: Vec<String>,
    /// Accounts to leave out, by number or name (globs).
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl Organization {
    fn selected(&self) -> Result<Selected, String> {
        let selection = Selection { include: self.include.clone(), exclude: self.exclude.clone() };
        Selected::new(&selection).map_err(|error| format!("`accounts`: {error}"))
    }
}

/// An account, and why nothing in it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) blind: Option<(GapReason, String)>,
}

impl Member {
    pub(super) fn open(id: &str) -> Self {
        Self { id: id.into(), blind: None }
    }
}

impl Accounts {
    /// Returns what is wrong, if something is.
    pub(super) fn objection(&self) -> Option<String> {
        match self {
            Self::Listed(accounts) => listed_objection(accounts),
            Self::Organization(organization) if !organization.organization => {
                Some("`organization` must be true; else write a list of accounts".to_owned())
            }
            Self::Organization(organization) if organization.role.is_empty() || organization.role.contains(':') => {
                Some("`role` of `accounts` must be the name of a role that each account has".to_owned())
            }
            Self::Organization(organization) => organization.selected().err(),
        }
    }

    /// Returns the ARN of the role that is assumed in an account, if one is.
    pub(super) fn role(&self, account: &str, region: &str) -> Option<String> {
        let role = match self {
            Self::Listed(accounts) => accounts.iter().find(|known| known.id == account)?.role.as_deref()?,
            Self::Organization(organization) => &organization.role,
        };
        Some(call::role_arn(role, account, region))
    }
}

fn listed_objection(accounts: &[Account]) -> Option<String> {
    let is_id = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
    let mut ids = BTreeSet::new();
    if let Some(account) = accounts.iter().find(|account| !is_id(&account.id)) {
        return Some(format!("`{}` is no account: expected 12 digits", account.id));
    }
    let twice = accounts.iter().find(|account| !ids.insert(&account.id))?;
    Some(format!("account `{}` is named twice", twice.id))
}

/// Returns the chosen accounts of the organization that the caller belongs to, all or none.
pub(super) async fn members(caller: &Caller, organization: &Organization) -> Result<Vec<Member>, CallError> {
    let selected = organization.selected().map_err(|why| CallError::new(GapReason::Malformed, why))?;
    let mut members = Vec::new();
    let (mut seen, mut tokens) = (HashSet::new(), HashSet::new());
    let mut token: Option<String> = None;
    while tokens.len() < MAX_PAGES {
        let input = ListInput { token: token.as_deref() };
        let answer = caller.json("organizations", "AWSOrganizationsV20161128.ListAccounts", &input).await?;
        let page: Page = answer.json()?;
        let chosen = page.accounts.into_iter().filter(|account| selected.takes_any(&[&account.id, &account.name]));
        members.extend(chosen.filter(|account| seen.insert(account.id.clone())).map(member));
        // A page may be empty although others follow.
        let Some(next) = page.next.filter(|token| !token.is_empty()) else {
            return if members.is_empty() { Err(none_chosen()) } else { Ok(members) };
        };
        if !tokens.insert(next.clone()) {
            break;
        }
        token = Some(next);
    }
    Err(CallError::new(GapReason::Partial, "the list of accounts does not end"))
}

fn none_chosen() -> CallError {
    CallError::new(GapReason::Partial, "`accounts` leaves out every account of the organization")
}

fn member(account: Listed) -> Member {
    let Listed { id, name, state, status } = account;
    let state = state.or(status).filter(|state| state != ACTIVE);
    let blind = state.map(|state| {
        let state = state.to_lowercase().replace('_', " ");
        let detail = format!("account `{id}` ({name}) is {state}; hint: leave it out by `exclude` of `accounts`");
        (GapReason::Denied, detail)
    });
    Member { id: id.into(), blind }
}

#[derive(Serialize)]
struct ListInput<'a> {
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Deserialize)]
struct Page {
    /// Must be there: an answer without it is not an empty list.
    #[serde(rename = "Accounts")]
    accounts: Vec<Listed>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Name", default)]
    name: String,
    /// Takes the place of `Status`.
    #[serde(rename = "State")]
    state: Option<String>,
    #[serde(rename = "Status")]
    status: Option<String>,
}
