//! Reads one kind to the end, page by page.
//!
//! A page is split into the texts of its items and handed on; no item is understood here beyond its name.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use driftwarden_core::resource::{Depth, GapReason};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::client::{Client, Failure, TOO_LONG};
use super::discovery::Served;
use super::encoded;
use crate::collect::{Item, Read, Sink};

/// Objects asked for in one page; less when a page of that many does not fit under the cap.
const LIMITS: [u32; 3] = [500, 50, 5];
const ACCEPT: &str = "application/json";
/// Says of a list that it does not end.
pub(super) const TOO_MANY_PAGES: &str = "the list has more pages than are read";

/// Why a kind was not read to the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The reader is gone.
    Closed,
    /// A request failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One listing: a kind, everywhere or in one namespace.
pub(super) struct Listing<'a> {
    client: &'a Client,
    served: &'a Served,
    /// Namespaces that are not looked at.
    hidden: &'a dyn Hidden,
    /// Hashes of the names that were handed on: a page that comes twice, or a listing that starts anew, says nothing
    /// twice.
    told: HashSet<u64>,
    hasher: RandomState,
}

/// Namespaces that are not looked at.
pub(super) trait Hidden: Sync {
    /// Returns whether the namespace is one of them.
    fn hides(&self, namespace: &str) -> bool;
}

impl<'a> Listing<'a> {
    pub(super) fn new(client: &'a Client, served: &'a Served, hidden: &'a dyn Hidden) -> Self {
        Self { client, served, hidden, told: HashSet::new(), hasher: RandomState::new() }
    }

    /// Reads the kind in one namespace or everywhere. A token that expires on the way makes it start anew, once.
    pub(super) async fn run(&mut self, namespace: Option<&str>, sink: &Sink) -> Result<(), Stop> {
        match self.pass(namespace, sink).await {
            Err(Stop::Failed(failure)) if failure.is_expired() => self.pass(namespace, sink).await,
            ended => ended,
        }
    }

    async fn pass(&mut self, namespace: Option<&str>, sink: &Sink) -> Result<(), Stop> {
        let path = self.served.list_path(namespace);
        let mut tokens = HashSet::new();
        let mut token = String::new();
        while tokens.len() < self.client.patience.pages {
            let (items, next) = self.page(&path, &token).await?;
            self.tell(items, sink).await?;
            let Some(next) = next else { return Ok(()) };
            if !tokens.insert(self.hasher.hash_one(&next)) {
                return Err(Failure::new(GapReason::Partial, "the list goes round: a page was offered twice").into());
            }
            token = next;
        }
        Err(Failure::new(GapReason::Partial, TOO_MANY_PAGES).into())
    }

    /// Reads one page, with fewer items if it does not fit.
    async fn page(&self, path: &str, token: &str) -> Result<(Vec<Item>, Option<String>), Failure> {
        let token = if token.is_empty() { String::new() } else { format!("&continue={}", encoded(token)) };
        let mut last = Failure::new(GapReason::Partial, TOO_LONG);
        for limit in LIMITS {
            match self.client.get(&format!("{path}?limit={limit}{token}"), ACCEPT, self.client.patience.page).await {
                Ok(body) => return self.split(&body),
                Err(failure) if failure.detail == TOO_LONG => last = failure,
                Err(failure) => return Err(failure),
            }
        }
        Err(last)
    }

    fn split(&self, body: &[u8]) -> Result<(Vec<Item>, Option<String>), Failure> {
        let page: Page<'_> =
            serde_json::from_slice(body).map_err(|error| Failure::malformed("a page of the list", &error))?;
        if page.kind.as_deref().is_some_and(|kind| !kind.ends_with("List")) {
            return Err(Failure::new(GapReason::Malformed, "the answer is not a list"));
        }
        let next = page.metadata.next.filter(|token| !token.is_empty());
        if next.is_none() && page.metadata.remaining.is_some_and(|left| left > 0) {
            return Err(Failure::new(GapReason::Partial, "the list ends although the server says that more is left"));
        }
        let items = page.items.unwrap_or_default();
        let items: Result<Vec<_>, _> = items.into_iter().map(|raw| item(self.served, raw.get())).collect();
        Ok((items?, next))
    }

    async fn tell(&mut self, mut items: Vec<Item>, sink: &Sink) -> Result<(), Stop> {
        items.retain(|item| {
            let namespace = item.name.split_once('/').map(|(namespace, _)| namespace);
            self.told.insert(self.hasher.hash_one(&item.name)) && !namespace.is_some_and(|n| self.hidden.hides(n))
        });
        if items.is_empty() {
            return Ok(());
        }
        let page = Read::Page { kind: self.served.kind.clone(), depth: Depth::Full, items };
        sink.send(page).await.map_err(|_| Stop::Closed)
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default, borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: PageMeta,
    /// May be null, but must be there: an answer without it is not a list.
    #[serde(borrow, deserialize_with = "nullable")]
    items: Option<Vec<&'a RawValue>>,
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<&'de RawValue>>, D::Error> {
    Option::deserialize(deserializer)
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
    #[serde(default, rename = "remainingItemCount")]
    remaining: Option<i64>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, borrow, rename = "apiVersion")]
    api_version: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: HeadMeta<'a>,
}

#[derive(Deserialize)]
struct HeadMeta<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    namespace: Option<Cow<'a, str>>,
}

/// Returns the object as an item. Lists leave out what is the same for all, so its `apiVersion` and `kind` are put back:
/// a manifest has them too.
pub(super) fn item(served: &Served, text: &str) -> Result<Item, Failure> {
    let head: Head<'_> = serde_json::from_str(text).map_err(|error| Failure::malformed("an object", &error))?;
    let unnamed = || Failure::new(GapReason::Malformed, "an object has no name or no namespace");
    let name = match head.metadata.namespace.as_deref() {
        _ if head.metadata.name.is_empty() => return Err(unnamed()),
        None | Some("") if served.namespaced => return Err(unnamed()),
        Some(namespace) if served.namespaced => format!("{namespace}/{}", head.metadata.name),
        _ => head.metadata.name.into_owned(),
    };
    let lacks = [
        head.api_version.is_none().then_some(("apiVersion", served.api_version.as_str())),
        head.kind.is_none().then_some(("kind", served.kind_name.as_str())),
    ];
    Ok(Item { name: name.into(), text: with_keys(lacks, text) })
}

fn with_keys(keys: [Option<(&str, &str)>; 2], text: &str) -> Box<str> {
    let put: String = keys
        .into_iter()
        .flatten()
        .flat_map(|(key, value)| {
            ["\"", key, "\":", &serde_json::Value::from(value).to_string(), ","].map(str::to_owned)
        })
        .collect();
    match text.strip_prefix('{') {
        Some(rest) if !put.is_empty() => ["{", &put, rest].concat().into(),
        _ => text.into(),
    }
}
