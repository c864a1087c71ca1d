//! How every direct path is read: page by page, thing by thing, and with each failure where it belongs.
//!
//! A list that was not read to its end leaves a gap of the kind. A thing of which some attributes could not be read is
//! told all the same, with marks in their place, and the kind ends in a gap, too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driftwarden_core::resource::{Depth, GapReason, Kind, unread};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::service::{Arguments, Reply};
use super::shape::{self, Field, all, at, scalar};
use super::xml::Unread;
use super::{Arg, Call, Count, Direct, Home, Part, Probe};
use crate::collect::aws::call::Caller;
use crate::collect::aws::cloud_control::{Stop, gap, listed_as};
use crate::collect::aws::lists::{List, Shared};
use crate::collect::aws::rescan::{self, Digest, Ledger};
use crate::collect::http::CallError;
use crate::collect::{Item, Read, Reading, Sink, Wanted};

/// Of a page that has many, so many things are held as trees at the same time. What is asked for together should divide it.
const THINGS_AT_ONCE: usize = 400;
/// Calls about single things of one kind that are under way at the same time.
const CALLS_AT_ONCE: usize = 16;
/// After that many failures in a row the same call is not made for other things: it would fail too.
const FAILURES_BORNE: usize = 20;
/// Under this key a thing keeps what it was found in: a record its zone, a service its cluster.
pub(super) const PARENT: &str = "^";
/// Under this key a thing that is nothing but a text keeps it, if it has a parent.
const TEXT: &str = "=";

/// Reads resources of one account and region.
pub(in crate::collect::aws) struct Reader<'a> {
    pub(in crate::collect::aws) caller: &'a Caller,
    /// Pages of one list that are read at most.
    pub(in crate::collect::aws) max_pages: u32,
}

/// What went wrong with one kind besides its list.
#[derive(Default)]
struct Failures {
    first: Mutex<Option<CallError>>,
    /// How often each call failed since it last succeeded, by its operation.
    in_a_row: Mutex<BTreeMap<&'static str, usize>>,
    total: AtomicUsize,
}

impl Failures {
    fn add(&self, operation: &'static str, mut error: CallError) {
        *self.in_a_row.lock().entry(operation).or_default() += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        error.detail = format!("{}: {}", named(operation), error.detail);
        self.first.lock().get_or_insert(error);
    }

    fn end_row(&self, operation: &str) {
        self.in_a_row.lock().remove(operation);
    }

    fn are_too_many(&self, operation: &str) -> bool {
        self.in_a_row.lock().get(operation).is_some_and(|count| *count >= FAILURES_BORNE)
    }
}

/// Returns how an operation is called for people; a path has no name.
fn named(operation: &str) -> &str {
    operation.split(['{', '?']).next().unwrap_or(operation)
}

/// Whom a list is asked for.
#[derive(Debug, Clone, Copy)]
enum Sought<'a> {
    All,
    Named(&'a str),
}

/// Of which parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those that are read of all things at once.
    Bulk,
    /// The others.
    Single,
}

impl Reader<'_> {
    /// Reads the kind to the end; returns what is to be said then: that it was read, or why not.
    pub(in crate::collect::aws) async fn read_kind(
        &self,
        direct: &'static Direct,
        (kind, wanted): (&Kind, &Wanted),
        (ledger, sink): (&Ledger, &Sink),
    ) -> Result<Read, Stop> {
        let (failures, bulk) = (Failures::default(), Mutex::default());
        let listing = Listing { reader: self, direct, kind, wanted, shared: None, failures, bulk };
        match listing.run(ledger, sink).await {
            Ok(()) => Ok(listing.outcome()),
            Err(Stop::Failed(error)) => Ok(gap(Some(kind), error.reason, error.detail)),
            Err(stop) => Err(stop),
        }
    }

    /// Reads one resource exactly, with the attributes that are wanted.
    pub(in crate::collect::aws) async fn read(
        &self,
        direct: &'static Direct,
        kind: &Kind,
        (name, wanted): (&str, &Wanted),
        shared: &Shared,
    ) -> Result<Reading, CallError> {
        let (failures, bulk) = (Failures::default(), Mutex::default());
        let listing = Listing { reader: self, direct, kind, wanted, shared: Some(shared), failures, bulk };
        listing.one(name).await
    }
}

/// One reading of one kind.
struct Listing<'a> {
    reader: &'a Reader<'a>,
    direct: &'static Direct,
    kind: &'a Kind,
    wanted: &'a Wanted,
    /// What exact looks share.
    shared: Option<&'a Shared>,
    failures: Failures,
    /// What was said of all things at once, by the parts that ask so.
    bulk: Mutex<Vec<(&'static Part, Arc<Register>)>>,
}

/// A thing that was found, and what it is called.
struct Found {
    name: String,
    thing: Value,
    attributes: Map<String, Value>,
}

impl Listing<'_> {
    async fn run(&self, ledger: &Ledger, sink: &Sink) -> Result<(), Stop> {
        let [first, rest @ ..] = self.direct.list else { return Ok(()) };
        let hasher = RandomState::new();
        let mut told = HashSet::new();
        let mut pages = Pages::new(first, self.arguments(first, &[], Sought::All));
        while let Some(mut page) = self.page(&mut pages).await? {
            loop {
                let things: Vec<_> = page.by_ref().take(THINGS_AT_ONCE).collect::<Result<_, _>>()?;
                if things.is_empty() {
                    break;
                }
                let things = self.descend(rest, self.here(things).await).await?;
                let mut found = self.name_all(things)?;
                found.retain(|found| told.insert(hasher.hash_one(&found.name)));
                self.read_through(found, (ledger, sink)).await?;
            }
        }
        Ok(())
    }

    /// Reads what the list leaves out of these things, and says what they are.
    async fn read_through(&self, mut found: Vec<Found>, (ledger, sink): (&Ledger, &Sink)) -> Result<(), Stop> {
        self.complete(&mut found, (Sought::All, Extent::Bulk)).await;
        let kept = self.keep(&mut found, ledger);
        self.complete(&mut found, (Sought::All, Extent::Single)).await;
        self.say(found, sink).await?;
        if !kept.is_empty() {
            let said = Read::Kept { kind: self.kind.clone(), names: kept, as_of: ledger.as_of };
            sink.send(said).await.map_err(|_| Stop::Closed)?;
        }
        Ok(())
    }

    /// Takes out what is known to be as it was, of a kind of which more would have to be asked; returns the names.
    fn keep(&self, found: &mut Vec<Found>, ledger: &Ledger) -> Vec<Box<str>> {
        let has_more = self.direct.parts.iter().any(|part| !part.is_bulk() && self.is_wanted(part));
        let is_same = |found: &mut Found| {
            let is_same = has_more && ledger.is_same(&found.name, || found.digest());
            !ledger.is_restless(&found.thing) && is_same
        };
        found.extract_if(.., is_same).map(|found| found.name.into()).collect()
    }

    fn is_wanted(&self, part: &Part) -> bool {
        part.shape.iter().any(|field| self.wanted.wants(self.kind, field.to))
    }

    async fn one(&self, name: &str) -> Result<Reading, CallError> {
        let (things, list) = match self.direct.named {
            [] => {
                let list = self.listed().await?;
                (list.thing(name).into_iter().collect(), Some(list))
            }
            named => match self.every(named, Sought::Named(name)).await {
                Err(error) if error.is(self.direct.gone) => (Vec::new(), None),
                things => (things?, None),
            },
        };
        let Some(mut found) = self.name_all(things)?.into_iter().find(|found| found.name == name) else {
            return self.prove_absence(name, list).await;
        };
        let went = || CallError::new(GapReason::Partial, "the resource is listed and yet not found");
        match self.probe(name).await {
            Probed::Found(said, tells) => {
                let fields = self.direct.shape.iter().filter(|field| tells.contains(&field.to));
                found.attributes.retain(|attribute, _| !tells.contains(&attribute.as_str()));
                self.shape(&fields.copied().collect::<Vec<_>>(), &said, &mut found.attributes);
            }
            Probed::Absent => return Err(went()),
            Probed::Unasked => {}
            // Whoever may not ask for the one has what all are told of it.
            Probed::Failed(error) if error.reason == GapReason::Denied => {}
            Probed::Failed(error) => return Err(error),
        }
        let mut found = vec![found];
        self.complete(&mut found, (Sought::Named(name), Extent::Bulk)).await;
        self.complete(&mut found, (Sought::Named(name), Extent::Single)).await;
        // What was there a moment ago, and is not for one of its parts, is not proven to be gone.
        let item = found.into_iter().next().map(Found::into_item).ok_or_else(went)?;
        Ok(Reading::Found(item.text, Depth::Partial))
    }

    /// Returns that there is none of that name. A list that lacks it may be short of it; and an identifier that is none is no
    /// proof: what people call so is looked for in the list.
    async fn prove_absence(&self, name: &str, list: Option<Arc<List>>) -> Result<Reading, CallError> {
        match self.probe(name).await {
            Probed::Found(..) => return Err(CallError::new(GapReason::Partial, "it is there, and is not listed")),
            Probed::Failed(error) => return Err(error),
            Probed::Absent | Probed::Unasked => {}
        }
        if !self.wanted.by_any_name {
            return Ok(Reading::Absent);
        }
        let list = match list {
            Some(list) => list,
            None => self.listed().await?,
        };
        list.find(name, true).map_or(Ok(Reading::Absent), |identifier| Err(listed_as(identifier)))
    }

    /// Asks the service for one by its name, where only a list tells all of it.
    async fn probe(&self, name: &str) -> Probed {
        let is_asked = |probe: &&Probe| probe.unless.is_none_or(|begin| !name.starts_with(begin));
        let Some(Probe { call, tells, .. }) = self.direct.probe.as_ref().filter(is_asked) else {
            return Probed::Unasked;
        };
        match self.read_all(call, self.arguments(call, &[], Sought::Named(name))).await {
            Ok(found) => found.into_iter().next().map_or(Probed::Absent, |said| Probed::Found(said, tells)),
            Err(error) if error.is(self.direct.gone) => Probed::Absent,
            Err(error) => Probed::Failed(error),
        }
    }

    /// Returns all there are; of kinds that are not read by name, with all that the list shows.
    async fn listed(&self) -> Result<Arc<List>, CallError> {
        let read = async {
            let mut list = List::default();
            for Found { name, thing, attributes } in self.name_all(self.every(self.direct.list, Sought::All).await?)? {
                list.add(self.kind, &name, &Value::Object(attributes));
                if self.direct.named.is_empty() {
                    list.keep(&name, &thing);
                }
            }
            Ok(list)
        };
        match self.shared {
            Some(shared) => shared.lists.since(self.kind.clone(), self.wanted.since, read).await,
            None => read.await.map(Arc::new),
        }
    }

    /// Makes all calls of a chain to their ends.
    async fn every(&self, calls: &'static [Call], sought: Sought<'_>) -> Result<Vec<Value>, CallError> {
        let [first, rest @ ..] = calls else { return Ok(Vec::new()) };
        let things = self.read_all(first, self.arguments(first, &[], sought)).await?;
        let things = self.descend(rest, self.here(things).await).await?;
        // What failed below is not absent, whatever the service calls that.
        match self.failures.first.lock().take() {
            Some(mut error) => {
                error.code = None;
                Err(error)
            }
            None => Ok(things),
        }
    }

    /// Returns what the other calls of a chain find below these things.
    fn descend(&self, calls: &'static [Call], things: Vec<Value>) -> BoxFuture<'_, Result<Vec<Value>, CallError>> {
        async move {
            let [call, rest @ ..] = calls else { return Ok(things) };
            let found = stream::iter(batches(things, call.batch.max(1))).map(|batch| async move {
                let below = self.below(call, &batch).await;
                let parent = if call.batch == 0 { batch.into_iter().next() } else { None };
                below.into_iter().map(|thing| adopt(thing, parent.as_ref())).collect::<Vec<_>>()
            });
            let found: Vec<_> = found.buffered(CALLS_AT_ONCE).collect().await;
            self.descend(rest, found.into_iter().flatten().collect()).await
        }
        .boxed()
    }

    async fn below(&self, call: &'static Call, batch: &[Value]) -> Vec<Value> {
        if self.failures.are_too_many(call.operation) {
            return Vec::new();
        }
        let things: Vec<&Value> = batch.iter().collect();
        match self.read_all(call, self.arguments(call, &things, Sought::All)).await {
            Ok(things) => {
                self.failures.end_row(call.operation);
                things
            }
            // It went between the list and now. Of several, that one went says nothing of the others.
            Err(error) if batch.len() == 1 && error.is(self.direct.gone) => Vec::new(),
            Err(error) => {
                self.failures.add(call.operation, error);
                Vec::new()
            }
        }
    }

    /// Reads every page of a call.
    async fn read_all(&self, call: &'static Call, with: Arguments) -> Result<Vec<Value>, CallError> {
        let mut pages = Pages::new(call, with);
        let mut things = Vec::new();
        while let Some(page) = self.page(&mut pages).await? {
            for thing in page {
                things.push(thing?);
            }
        }
        Ok(things)
    }

    /// Reads the next page of a list; nothing after the last one.
    async fn page(&self, pages: &mut Pages) -> Result<Option<Page>, CallError> {
        if pages.is_over {
            return Ok(None);
        }
        if pages.read == self.reader.max_pages {
            return Err(CallError::new(GapReason::Partial, "the list has more pages than are read"));
        }
        let call = pages.call;
        let answer = match self.direct.service.call(self.reader.caller, call, &pages.with).await {
            Err(error) if error.is(call.none) => {
                pages.is_over = true;
                return Ok(Some(Page::default()));
            }
            answer => answer?,
        };
        pages.advance(&answer.value)?;
        Page::of(call, answer).map(Some)
    }

    fn arguments(&self, call: &Call, things: &[&Value], sought: Sought<'_>) -> Arguments {
        let piece = |index: usize| match sought {
            Sought::Named(name) if self.direct.name.len() > 1 => name.split('|').nth(index).unwrap_or_default(),
            Sought::Named(name) => name,
            Sought::All => "",
        };
        let of = |thing: &&Value, path: &str| at(thing, path).filter(|value| !value.is_null()).cloned();
        let value = |arg: &Arg| match arg {
            Arg::Text(text) => Some(Value::from(*text)),
            Arg::Int(number) => Some(Value::from(*number)),
            Arg::Yes => Some(Value::Bool(true)),
            Arg::No => Some(Value::Bool(false)),
            Arg::Texts(texts) => Some(texts.iter().map(|text| Value::from(*text)).collect()),
            Arg::Of(path) => things.first().and_then(|thing| of(thing, path)),
            Arg::Each(path) => Some(things.iter().filter_map(|thing| of(thing, path)).collect()),
            Arg::Arn(kind, path) => {
                let name = at(things.first()?, path).and_then(scalar)?;
                Some(Value::from(self.reader.caller.arn(kind) + &name))
            }
            Arg::Name(index) => Some(Value::from(piece(*index))),
            Arg::Filter(key) => Some(serde_json::json!([{"Key": key, "Values": [piece(0)]}])),
            Arg::NameEnd => piece(0).rsplit('/').next().map(Value::from),
            Arg::Names(index) => Some(vec![Value::from(piece(*index))].into()),
            Arg::Account => Some(Value::from(&*self.reader.caller.account)),
        };
        call.with.iter().filter_map(|(name, arg)| Some(((*name).to_owned(), value(arg)?))).collect()
    }

    /// Returns those of the things that are in the region that is read. One of which that cannot be found out is told
    /// nowhere, and leaves a gap everywhere.
    async fn here(&self, things: Vec<Value>) -> Vec<Value> {
        let Some(home) = self.direct.home else { return things };
        let homes: Vec<_> = things.iter().map(|thing| self.home(home, thing)).collect();
        let homes: Vec<_> = stream::iter(homes).buffered(CALLS_AT_ONCE).collect().await;
        let is_here = |home: Option<String>| home.is_some_and(|home| *home == *self.reader.caller.region);
        things.into_iter().zip(homes).filter_map(|(thing, home)| is_here(home).then_some(thing)).collect()
    }

    async fn home(&self, home: Home, thing: &Value) -> Option<String> {
        if let Some(region) = at(thing, home.says).and_then(Value::as_str) {
            return Some(region.to_owned());
        }
        let Some((call, understand)) = home.asks else {
            self.failures.add(home.says, malformed("region"));
            return None;
        };
        if self.failures.are_too_many(call.operation) {
            return None;
        }
        let with = self.arguments(&call, &[thing], Sought::All);
        match self.direct.service.call(self.reader.caller, &call, &with).await {
            Ok(answer) => {
                let region = understand(&answer.value);
                match region {
                    Some(_) => self.failures.end_row(call.operation),
                    None => self.failures.add(call.operation, malformed("region")),
                }
                region
            }
            Err(error) if error.is(self.direct.gone) => None,
            Err(error) => {
                self.failures.add(call.operation, error);
                None
            }
        }
    }

    /// Names what was found and gives it the attributes that a list shows, less what is not of the kind.
    fn name_all(&self, things: Vec<Value>) -> Result<Vec<Found>, CallError> {
        let is_kept = |thing: &Value| self.direct.keep.is_none_or(|keep| keep(thing));
        things.into_iter().filter(is_kept).map(|thing| self.name(thing)).collect()
    }

    fn name(&self, thing: Value) -> Result<Found, CallError> {
        let part = |path: &&str| match path.strip_suffix('?') {
            Some(path) => Some(at(&thing, path).and_then(scalar).unwrap_or_default()),
            None => at(&thing, path).and_then(scalar).filter(|part| !part.is_empty()),
        };
        let parts = self.direct.name.iter().map(part);
        let parts: Vec<_> = parts.collect::<Option<_>>().ok_or_else(|| malformed("identifier"))?;
        // What an account has one of is called as the account.
        let name = if parts.is_empty() { self.reader.caller.account.to_string() } else { parts.join("|") };
        let mut attributes = Map::new();
        self.shape(self.direct.shape, &thing, &mut attributes);
        Ok(Found { name, thing, attributes })
    }

    /// Adds what lines make of an answer; what does not fit is a failure, and hides nothing else.
    fn shape(&self, fields: &[Field], answer: &Value, into: &mut Map<String, Value>) {
        if let Err(unfit) = shape::shape(fields, answer, into) {
            self.failures.add(self.direct.kind, malformed(unfit.attribute));
        }
    }

    /// Reads what the list leaves out, as far as anybody looks at it, and marks what was not read.
    async fn complete(&self, found: &mut Vec<Found>, (sought, extent): (Sought<'_>, Extent)) {
        if !self.wanted.full.contains(self.kind) {
            return;
        }
        for part in self.direct.parts.iter().filter(|part| part.is_bulk() == (extent == Extent::Bulk)) {
            let answers = if self.is_wanted(part) {
                self.part(part, found, sought).await
            } else {
                found.iter().map(|_| Said::Nothing).collect()
            };
            let mut answers = answers.into_iter();
            found.retain_mut(|found| match answers.next().unwrap_or(Said::Nothing) {
                Said::Answer(answer) => {
                    self.shape(part.shape, &answer, &mut found.attributes);
                    true
                }
                Said::Nothing => {
                    let marks = part.shape.iter().map(|field| (field.to.to_owned(), unread()));
                    found.attributes.extend(marks);
                    true
                }
                Said::Gone => false,
            });
        }
    }

    /// Returns what a part says of each thing.
    async fn part(&self, part: &'static Part, found: &[Found], sought: Sought<'_>) -> Vec<Said> {
        let Some((theirs, ours)) = part.join else {
            // Collected first: the compiler cannot prove lazy closures over borrowed things to be general enough.
            let answers: Vec<_> = found
                .iter()
                .map(|found| async move {
                    if part.when.is_some_and(|when| !when(&found.thing)) {
                        return Said::Answer(Value::Null);
                    }
                    self.ask(part, &[&found.thing], sought).await
                })
                .collect();
            return stream::iter(answers).buffered(CALLS_AT_ONCE).collect().await;
        };
        let is_about = |found: &&Found| part.when.is_none_or(|when| when(&found.thing));
        let things: Vec<&Value> = found.iter().filter(is_about).map(|found| &found.thing).collect();
        let is_bulk = part.is_bulk();
        let batch = if is_bulk { things.len().max(1) } else { part.call.batch.max(1) };
        let asked: Vec<_> = things
            .chunks(batch)
            .map(|batch| async move {
                let register = if is_bulk {
                    self.bulk((part, theirs), batch).await
                } else {
                    Register::new(self.ask(part, batch, sought).await, theirs).into()
                };
                let said = |thing: &&Value| {
                    let said = register.about(at(thing, ours)).counted(part.count);
                    if matches!((&register.said, &said), (Said::Answer(_), Said::Nothing)) {
                        self.failures.add(part.call.operation, malformed("item about one that is there"));
                    }
                    said
                };
                batch.iter().map(said).collect::<Vec<_>>()
            })
            .collect();
        let answers: Vec<Vec<_>> = stream::iter(asked).buffered(CALLS_AT_ONCE).collect().await;
        let mut answers = answers.into_iter().flatten();
        let mut next = || answers.next().unwrap_or(Said::Nothing);
        found.iter().map(|found| if is_about(&found) { next() } else { Said::Answer(Value::Null) }).collect()
    }

    /// Returns what a part says of all things there are. It is asked once, however many pages the list has.
    async fn bulk(&self, (part, theirs): (&'static Part, &'static str), things: &[&Value]) -> Arc<Register> {
        let known = self.bulk.lock().iter().find(|(of, _)| std::ptr::eq(*of, part)).map(|(_, said)| Arc::clone(said));
        if let Some(known) = known {
            return known;
        }
        let read = async { Ok(Register::new(self.ask(part, things, Sought::All).await, theirs)) };
        let said = match self.shared {
            Some(shared) => {
                // Parts of two kinds that are written alike may be at one place, and yet are of two services.
                let of = (self.kind.clone(), std::ptr::from_ref(part).addr());
                shared.registers.since(of, self.wanted.since, read).await
            }
            None => read.await.map(Arc::new),
        };
        let said = said.unwrap_or_else(|_: CallError| Arc::new(Register::new(Said::Nothing, theirs)));
        self.bulk.lock().push((part, Arc::clone(&said)));
        said
    }

    async fn ask(&self, part: &'static Part, things: &[&Value], sought: Sought<'_>) -> Said {
        let operation = part.call.operation;
        if self.failures.are_too_many(operation) {
            return Said::Nothing;
        }
        let mut pages = Pages::new(&part.call, self.arguments(&part.call, things, sought));
        let mut read = Vec::new();
        loop {
            let page = self.page(&mut pages).await;
            match page.and_then(|page| page.map(Iterator::collect::<Result<Vec<_>, _>>).transpose()) {
                Ok(Some(page)) => read.extend(page),
                Ok(None) => break,
                // It went between the list and now.
                Err(error) if things.len() == 1 && error.is(self.direct.gone) => return Said::Gone,
                Err(error) => {
                    self.failures.add(operation, error);
                    return Said::Nothing;
                }
            }
        }
        self.failures.end_row(operation);
        // A part without a list is the answer itself, or nothing.
        let is_one = part.call.items.is_empty();
        Said::Answer(if is_one { read.into_iter().next().unwrap_or_default() } else { read.into() })
    }

    async fn say(&self, found: Vec<Found>, sink: &Sink) -> Result<(), Stop> {
        if found.is_empty() {
            return Ok(());
        }
        let depth = if self.wanted.full.contains(self.kind) { Depth::Partial } else { Depth::Listed };
        let items = found.into_iter().map(Found::into_item).collect();
        sink.send(Read::Page { kind: self.kind.clone(), depth, items }).await.map_err(|_| Stop::Closed)
    }

    fn outcome(&self) -> Read {
        match self.failures.first.lock().take() {
            None => Read::Complete(self.kind.clone()),
            Some(error) => {
                let total = self.failures.total.load(Ordering::Relaxed);
                let detail = format!("{total} calls failed; the first: {}", error.detail);
                gap(Some(self.kind), error.reason, detail)
            }
        }
    }
}

impl Found {
    /// Returns the digest of all that was read of it.
    fn digest(&self) -> Digest {
        let attributes = self.attributes.iter().flat_map(|(name, value)| [name.clone(), value.to_string()]);
        let shown: String = [self.thing.to_string()].into_iter().chain(attributes).collect();
        rescan::digest(shown.as_bytes())
    }

    fn into_item(self) -> Item {
        Item { name: self.name.into(), text: Value::Object(self.attributes).to_string().into() }
    }
}

/// What a part says of a thing.
enum Said {
    Answer(Value),
    /// It was not asked, or could not be read.
    Nothing,
    /// The thing is not there any more.
    Gone,
}

fn malformed(what: &str) -> CallError {
    CallError::new(GapReason::Malformed, format!("the answer has no usable {what}"))
}

/// The pages of one call.
struct Pages {
    call: &'static Call,
    with: Arguments,
    read: u32,
    is_over: bool,
    tokens: HashSet<String>,
}

impl Pages {
    fn new(call: &'static Call, with: Arguments) -> Self {
        Self { call, with, read: 0, is_over: false, tokens: HashSet::new() }
    }

    /// Takes from an answer what the next page is to be asked with.
    fn advance(&mut self, answer: &Value) -> Result<(), CallError> {
        self.read += 1;
        let Some((asks, says)) = self.call.pages else {
            self.is_over = true;
            return Ok(());
        };
        let said = |says: &str| at(answer, says).and_then(scalar).filter(|token| !token.is_empty());
        let Some(token) = said(says) else {
            self.is_over = true;
            return Ok(());
        };
        let along: Vec<_> = self.call.along.iter().map(|(asks, says)| (*asks, said(says))).collect();
        let whole =
            along.iter().fold(token.to_string(), |whole, (_, part)| whole + "|" + part.as_deref().unwrap_or(""));
        if !self.tokens.insert(whole) {
            return Err(CallError::new(GapReason::Partial, "the list goes round: a page was offered twice"));
        }
        self.with.insert(asks.to_owned(), token.into());
        for (asks, part) in along {
            self.with.remove(asks);
            self.with.extend(part.map(|part| (asks.to_owned(), part.into())));
        }
        Ok(())
    }
}

/// What one answer lists, one thing after another.
#[derive(Default)]
struct Page {
    read: std::vec::IntoIter<Value>,
    unread: Unread,
    mend: Option<fn(&mut Value)>,
}

impl Page {
    /// Returns the things in an answer. An answer without the list is not an empty list.
    fn of(call: &Call, answer: Reply) -> Result<Self, CallError> {
        let Reply { value, things: unread } = answer;
        if call.items.is_empty() {
            return Ok(Self { read: vec![value].into_iter(), unread, mend: call.mend });
        }
        let (outer, last) = call.items.rsplit_once('.').unwrap_or(("", call.items));
        let mut holders = if outer.is_empty() { vec![&value] } else { all(&value, outer) };
        holders.retain(|holder| !holder.is_null());
        // In XML an empty list is an empty element, which has nothing in it.
        let is_empty = !outer.is_empty() && holders.is_empty() && is_said(&value, outer);
        let is_held = holders.iter().all(|holder| holder.get(last).is_some()) && !holders.is_empty();
        let no_list = || CallError::new(GapReason::Malformed, "the answer has no list");
        if !call.may_be_silent && !is_empty && !is_held {
            return Err(no_list());
        }
        let shown = shape::take_all(value, call.items);
        let read = match unread.len() {
            0 => shown,
            // Each has its mark; what is there besides would be lost.
            count if count == shown.len() => Vec::new(),
            _ => return Err(no_list()),
        };
        Ok(Self { read: read.into_iter(), unread, mend: call.mend })
    }
}

impl Iterator for Page {
    type Item = Result<Value, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        let thing = self.read.next().map(Ok).or_else(|| self.unread.next())?;
        Some(thing.map(|mut thing| {
            self.mend.inspect(|mend| mend(&mut thing));
            thing
        }))
    }
}

/// Returns whether the first key of a path is there, even if empty.
fn is_said(answer: &Value, path: &str) -> bool {
    path.split('.').next().is_some_and(|first| answer.get(first).is_some())
}

/// Returns the things in batches that are asked for together: they have the same parent, which a call names once.
fn batches(things: Vec<Value>, most: usize) -> Vec<Vec<Value>> {
    let mut batches: Vec<Vec<Value>> = Vec::new();
    for thing in things {
        let is_of = |batch: &&mut Vec<Value>| {
            batch.len() < most && batch.first().and_then(|first| first.get(PARENT)) == thing.get(PARENT)
        };
        match batches.last_mut().filter(is_of) {
            Some(batch) => batch.push(thing),
            None => batches.push(vec![thing]),
        }
    }
    batches
}

/// Has a thing keep what it was found in. A bare text becomes an object for that.
fn adopt(mut thing: Value, parent: Option<&Value>) -> Value {
    let Some(parent) = parent else { return thing };
    if thing.is_string() {
        thing = Value::Object([(TEXT.to_owned(), thing)].into_iter().collect());
    }
    if let Some(map) = thing.as_object_mut() {
        map.insert(PARENT.to_owned(), parent.clone());
    }
    thing
}

impl Said {
    /// Returns what attributes are made of, if there are as many items as there must be.
    fn counted(self, count: Count) -> Self {
        match self {
            Self::Answer(items) if count != Count::Any => match items.as_array().and_then(|items| items.first()) {
                None if count == Count::One => Self::Nothing,
                item => Self::Answer(item.cloned().unwrap_or_default()),
            },
            said => said,
        }
    }
}

/// What came of asking for one by its name.
enum Probed {
    /// What the service says of it, and the attributes that this tells.
    Found(Value, &'static [&'static str]),
    Absent,
    /// The kind is not asked for so.
    Unasked,
    Failed(CallError),
}

/// What one call said of many things, and which of its items are about each.
pub(in crate::collect::aws) struct Register {
    said: Said,
    /// Where an item says what it is about.
    theirs: &'static str,
    items: HashMap<Box<str>, Vec<usize>>,
}

impl Register {
    fn new(said: Said, theirs: &'static str) -> Self {
        let mut items: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        if let Said::Answer(Value::Array(all_items)) = &said {
            for (position, item) in all_items.iter().enumerate() {
                for about in all(item, theirs).into_iter().filter_map(scalar) {
                    items.entry(about.into()).or_default().push(position);
                }
            }
        }
        items.values_mut().for_each(Vec::dedup);
        Self { said, theirs, items }
    }

    /// Returns the items that are about a thing.
    fn about(&self, ours: Option<&Value>) -> Said {
        let (Said::Answer(answer), Some(ours)) = (&self.said, ours) else { return Said::Nothing };
        let positions = scalar(ours).and_then(|ours| self.items.get(&*ours)).map_or(&[][..], Vec::as_slice);
        let items = positions.iter().filter_map(|position| answer.get(*position));
        Said::Answer(items.filter_map(|item| about(item, self.theirs, ours)).collect())
    }
}

/// Returns what is said of a thing: of lists on the way, only the items that are about it.
fn about(said: &Value, theirs: &str, ours: &Value) -> Option<Value> {
    if let Value::Array(items) = said {
        let about: Vec<_> = items.iter().filter_map(|item| about(item, theirs, ours)).collect();
        return (!about.is_empty()).then(|| about.into());
    }
    if theirs.is_empty() {
        return (scalar(said)? == scalar(ours)?).then(|| said.clone());
    }
    let (key, rest) = theirs.split_once('.').unwrap_or((theirs, ""));
    let inner = about(said.get(key)?, rest, ours)?;
    let mut said = said.clone();
    said.as_object_mut()?.insert(key.to_owned(), inner);
    Some(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_matched_is_less_what_is_about_others() {
        let volumes = json!([
            {"id": "shared", "uses": [{"by": "a", "as": "sdf"}, {"by": "b", "as": "sdg"}]},
            {"id": "other", "uses": [{"by": "b"}]},
            {"id": "free", "uses": null},
        ]);
        let check = |theirs, ours, expected| {
            let Said::Answer(about) = Register::new(Said::Answer(volumes.clone()), theirs).about(Some(&ours)) else {
                panic!("nothing is said of {ours}");
            };
            assert_eq!(about, expected, "{theirs} {ours}");
        };
        check("uses.by", json!("a"), json!([{"id": "shared", "uses": [{"by": "a", "as": "sdf"}]}]));
        check("id", json!("free"), json!([{"id": "free", "uses": null}]));
        check("uses", json!({}), json!([]));
    }
}
