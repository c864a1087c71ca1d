//! Cloud Control: every kind by the same two calls, `ListResources` and `GetResource`.
//!
//! The attributes of a resource are JSON inside a JSON string: they are unwrapped, never understood.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use driftwarden_core::resource::{Depth, Gap, GapReason, Kind};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::Caller;
use super::home::{Home, Homes, Sought};
use super::lists::{List, Shared};
use super::rescan::{Ledger, digest};
use crate::collect::http::CallError;
use crate::collect::{Item, Read, Reading, Sink, Wanted};

const SERVICE: &str = "cloudcontrolapi";
/// Resources asked for in one page; the most that the service gives.
const PAGE: u32 = 100;
/// Resources of one kind that are read at the same time.
const GETS_AT_ONCE: usize = 8;
/// After that many failures the other resources of the kind are not asked for one by one: they would fail too, and each
/// costs a request.
const FAILURES_BORNE: usize = 20;

/// Words for a kind that cannot be listed at all, or only below another resource.
const UNLISTABLE: &[&str] =
    &["InvalidRequestException", "TypeNotFoundException", "UnsupportedActionException", "ValidationException"];

/// Why a kind was not read to the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The reader is gone.
    Closed,
    /// The kind cannot be listed; nothing is wrong with this listing.
    Unlistable,
    /// A request failed.
    Failed(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

/// Reads resources of one account and region.
pub(super) struct CloudControl<'a> {
    pub(super) caller: &'a Caller,
    /// Pages of one kind that are read at most.
    pub(super) max_pages: u32,
}

impl CloudControl<'_> {
    /// Reads the kind to the end; returns what is to be said then: that it was read, or why not.
    pub(super) async fn read_kind(
        &self,
        (kind, depth): (&Kind, Depth),
        (ledger, sink): (&Ledger, &Sink),
    ) -> Result<Read, Stop> {
        let mut listing = Listing {
            control: self,
            kind,
            depth,
            ledger,
            homes: Homes::default(),
            told: HashSet::new(),
            hasher: RandomState::new(),
            failures: AtomicUsize::new(0),
            first_failure: None,
            lost: BTreeSet::new(),
        };
        match listing.run(sink).await {
            Ok(()) => Ok(listing.outcome().await),
            Err(Stop::Failed(error)) => Ok(gap(Some(kind), error.reason, error.detail)),
            Err(stop) => Err(stop),
        }
    }

    async fn page(&self, kind: &Kind, token: Option<&str>) -> Result<(Vec<Item>, Option<String>), CallError> {
        let input = ListInput { kind: kind.as_str(), most: PAGE, token };
        let answer = self.caller.json(SERVICE, "CloudApiService.ListResources", &input).await?;
        let page: Page = answer.json()?;
        same_kind(kind, page.kind.as_deref())?;
        let items: Result<_, CallError> = page.resources.into_iter().map(Description::listed).collect();
        Ok((items?, page.next.filter(|token| !token.is_empty())))
    }

    async fn get(&self, kind: &Kind, name: &str) -> Result<Item, CallError> {
        let input = GetInput { kind: kind.as_str(), name };
        let answer = self.caller.json(SERVICE, "CloudApiService.GetResource", &input).await?;
        let found: Found = answer.json()?;
        same_kind(kind, found.kind.as_deref())?;
        found.resource.full()
    }

    /// Reads one resource exactly. That there is none counts only from a service that can list the kind, just now, and does
    /// not list it.
    pub(super) async fn read(
        &self,
        kind: &Kind,
        (name, wanted): (&str, &Wanted),
        shared: &Shared,
    ) -> Result<Reading, CallError> {
        let homes = Homes::ask(self.caller, kind, Sought::Named(name)).await?;
        if homes.of(name) == Home::Elsewhere {
            return Ok(Reading::Absent);
        }
        match self.get(kind, name).await {
            Ok(item) if !homes.has(&item) => Ok(Reading::Absent),
            Ok(item) => Ok(Reading::Found(item.text, Depth::Full)),
            Err(error) if is_not_found(&error) => {
                let list = shared.lists.since(kind.clone(), wanted.since, self.list(kind)).await?;
                list.find(name, wanted.by_any_name).map_or(Ok(Reading::Absent), |identifier| Err(listed_as(identifier)))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the list again, from the beginning. Who may not read a resource may be told that there is none.
    async fn list(&self, kind: &Kind) -> Result<List, CallError> {
        let (mut tokens, mut token, mut list) = (HashSet::new(), None::<String>, List::default());
        while tokens.len() < self.max_pages as usize {
            let (items, next) = self.page(kind, token.as_deref()).await?;
            for item in items {
                list.add(kind, &item.name, &serde_json::from_str(&item.text).unwrap_or_default());
            }
            let Some(next) = next else { return Ok(list) };
            if !tokens.insert(next.clone()) {
                break;
            }
            token = Some(next);
        }
        Err(CallError::new(GapReason::Partial, "a resource is not found, and the list does not end"))
    }
}

/// Says that there is something after all, in a list.
pub(super) fn listed_as(identifier: &str) -> CallError {
    CallError::new(GapReason::Partial, format!("it is listed, as `{identifier}`, and yet not found"))
}

/// Returns whether the service, and not something before it, said that there is no such resource.
fn is_not_found(error: &CallError) -> bool {
    error.is(&["ResourceNotFoundException"]) && matches!(error.status, 400 | 404)
}

fn same_kind(asked: &Kind, said: Option<&str>) -> Result<(), CallError> {
    match said {
        Some(said) if said != asked.as_str() => {
            Err(CallError::new(GapReason::Malformed, "the answer is about another kind"))
        }
        _ => Ok(()),
    }
}

/// One listing of one kind.
struct Listing<'a> {
    control: &'a CloudControl<'a>,
    kind: &'a Kind,
    depth: Depth,
    ledger: &'a Ledger,
    homes: Homes,
    /// Hashes of the names that were handed on: what moves between pages is said once.
    told: HashSet<u64>,
    hasher: RandomState,
    failures: AtomicUsize,
    first_failure: Option<CallError>,
    /// Listed, and not found when they were to be read.
    lost: BTreeSet<Box<str>>,
}

impl Listing<'_> {
    async fn run(&mut self, sink: &Sink) -> Result<(), Stop> {
        self.homes = Homes::ask(self.control.caller, self.kind, Sought::All).await?;
        let mut tokens = HashSet::new();
        let mut token: Option<String> = None;
        for _ in 0..self.control.max_pages {
            let page = self.control.page(self.kind, token.as_deref()).await;
            let (items, next) = page.map_err(|error| stop(error, token.as_deref()))?;
            self.tell(items, sink).await?;
            let Some(next) = next else { return Ok(()) };
            if !tokens.insert(self.hasher.hash_one(&next)) {
                return Err(partial("the list goes round: a page was offered twice"));
            }
            token = Some(next);
        }
        Err(partial("the list has more pages than are read"))
    }

    async fn tell(&mut self, mut items: Vec<Item>, sink: &Sink) -> Result<(), Stop> {
        items.retain(|item| self.told.insert(self.hasher.hash_one(&item.name)));
        items.retain(|item| self.homes.of(&item.name) != Home::Elsewhere);
        let (mut here, anywhere): (Vec<_>, _) =
            items.into_iter().partition(|item| self.homes.of(&item.name) == Home::Here);
        match self.depth {
            Depth::Listed => self.say(Depth::Listed, here, sink).await?,
            Depth::Full | Depth::Partial => {
                let is_same = |item: &mut Item| self.ledger.is_same(&item.name, || digest(item.text.as_bytes()));
                let names: Vec<_> = here.extract_if(.., is_same).map(|item| item.name).collect();
                if !names.is_empty() {
                    let kept = Read::Kept { kind: self.kind.clone(), names, as_of: self.ledger.as_of };
                    sink.send(kept).await.map_err(|_| Stop::Closed)?;
                }
                let (full, listed) = self.read_each(here).await;
                self.say(Depth::Full, full, sink).await?;
                self.say(Depth::Listed, listed, sink).await?;
            }
        }
        // Where one of these is, only its attributes say: one that cannot be read is a gap, here as everywhere, and not
        // listed.
        let (mut full, _) = self.read_each(anywhere).await;
        full.retain(|item| self.homes.has(item));
        self.say(Depth::Full, full, sink).await
    }

    /// Reads each resource; returns those that were read, and those that could not be but are there all the same.
    async fn read_each(&mut self, items: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
        let this = &*self;
        let reads = stream::iter(items).map(|item| async move { (this.read_one(&item.name).await, item) });
        let outcomes: Vec<_> = reads.buffer_unordered(GETS_AT_ONCE).collect().await;
        let (mut full, mut listed) = (Vec::new(), Vec::new());
        for (outcome, item) in outcomes {
            match outcome {
                Ok(read) => full.push(read),
                Err(error) if is_not_found(&error) => drop(self.lost.insert(item.name)),
                Err(error) => {
                    self.first_failure.get_or_insert(error);
                    listed.push(item);
                }
            }
        }
        (full, listed)
    }

    async fn read_one(&self, name: &str) -> Result<Item, CallError> {
        if self.failures.load(Ordering::Relaxed) >= FAILURES_BORNE {
            return Err(CallError::new(GapReason::Partial, "too many others failed before"));
        }
        let read = self.control.get(self.kind, name).await.and_then(|item| {
            let other = || CallError::new(GapReason::Malformed, "the answer is about another resource");
            if *item.name == *name { Ok(item) } else { Err(other()) }
        });
        if read.as_ref().is_err_and(|error| !is_not_found(error)) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        read
    }

    async fn say(&self, depth: Depth, items: Vec<Item>, sink: &Sink) -> Result<(), Stop> {
        if items.is_empty() {
            return Ok(());
        }
        sink.send(Read::Page { kind: self.kind.clone(), depth, items }).await.map_err(|_| Stop::Closed)
    }

    async fn outcome(mut self) -> Read {
        // What went between the list and its own reading is not listed any more.
        if self.first_failure.is_none() && !self.lost.is_empty() {
            let relisted = |list: List| self.lost.iter().find_map(|name| list.find(name, false)).map(listed_as);
            self.first_failure = self.control.list(self.kind).await.map_or_else(Some, relisted);
        }
        match self.first_failure {
            None => Read::Complete(self.kind.clone()),
            Some(error) => {
                let detail = format!("not every resource could be read; the first that failed: {}", error.detail);
                gap(Some(self.kind), error.reason, detail)
            }
        }
    }
}

/// Returns what is said of a kind, or of the whole scope, that was not read.
pub(super) fn gap(kind: Option<&Kind>, reason: GapReason, detail: String) -> Read {
    Read::Gap(Gap { kind: kind.cloned(), reason, detail })
}

/// Says why a page could not be read. That a kind cannot be listed is said at its first page or never.
fn stop(error: CallError, token: Option<&str>) -> Stop {
    let is_unlistable = token.is_none() && error.is(UNLISTABLE) && error.reason == GapReason::Partial;
    if is_unlistable { Stop::Unlistable } else { Stop::Failed(error) }
}

fn partial(detail: &str) -> Stop {
    Stop::Failed(CallError::new(GapReason::Partial, detail))
}

#[derive(Serialize)]
struct ListInput<'a> {
    #[serde(rename = "TypeName")]
    kind: &'a str,
    #[serde(rename = "MaxResults")]
    most: u32,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct GetInput<'a> {
    #[serde(rename = "TypeName")]
    kind: &'a str,
    #[serde(rename = "Identifier")]
    name: &'a str,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "TypeName")]
    kind: Option<String>,
    /// Must be there: an answer without it is not an empty list.
    #[serde(rename = "ResourceDescriptions")]
    resources: Vec<Description>,
    #[serde(rename = "NextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "TypeName")]
    kind: Option<String>,
    #[serde(rename = "ResourceDescription")]
    resource: Description,
}

#[derive(Deserialize)]
struct Description {
    #[serde(rename = "Identifier")]
    name: Box<str>,
    #[serde(rename = "Properties")]
    text: Option<Box<str>>,
}

impl Description {
    /// Returns the resource as a list shows it; a list need not show attributes.
    fn listed(self) -> Result<Item, CallError> {
        let text = self.text.unwrap_or_else(|| "{}".into());
        Description { text: Some(text), ..self }.full()
    }

    fn full(self) -> Result<Item, CallError> {
        let malformed = || CallError::new(GapReason::Malformed, "a resource has no name or no attributes");
        let text = self.text.ok_or_else(malformed)?;
        // Looked through, not built: what is not one JSON object must not reach the comparison.
        let raw: &RawValue = serde_json::from_str(&text).map_err(|error| CallError::not_json(&error))?;
        if self.name.is_empty() || !raw.get().starts_with('{') {
            return Err(malformed());
        }
        Ok(Item { name: self.name, text })
    }
}
