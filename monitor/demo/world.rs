//! The truth: what the simulated clouds hold now, what was planted in them, and what became of it.
//!
//! The simulators serve it, the intruder changes it behind their backs. Nothing here knows what the daemon thinks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::estate::{self, Asset, Cloud, Key};
use super::ledger::{Ledger, Undone};

/// The two clouds, shared by their simulators and the intruder.
#[derive(Clone)]
pub(super) struct World {
    inner: Arc<Inner>,
}

struct Inner {
    held: Mutex<Held>,
    requests: AtomicU64,
    clock: fn() -> Timestamp,
}

struct Held {
    resources: BTreeMap<Key, Value>,
    /// What was there before anybody touched it.
    first: BTreeMap<Key, Value>,
    ledger: Ledger,
    /// Counts changes; the clusters' resource version.
    version: u64,
}

impl World {
    pub(super) fn new(assets: &[Asset], clock: fn() -> Timestamp) -> Self {
        let own = assets.iter().map(|asset| (asset.key.clone(), asset.observed()));
        let resources: BTreeMap<_, _> = own.chain(estate::children(assets)).collect();
        let held = Held { first: resources.clone(), resources, ledger: Ledger::default(), version: 1 };
        Self { inner: Arc::new(Inner { held: Mutex::new(held), requests: AtomicU64::new(0), clock }) }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    pub(super) fn count_request(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    pub(super) fn version(&self) -> u64 {
        self.inner.held.lock().version
    }

    pub(super) fn get(&self, key: &Key) -> Option<Value> {
        self.inner.held.lock().resources.get(key).cloned()
    }

    /// Returns up to `limit` resources of a kind whose names pass, sorted by name, after the one of that name.
    pub(super) fn page(
        &self,
        (cloud, kind): (Cloud, &str),
        after: &str,
        limit: usize,
        passes: impl Fn(&str) -> bool,
    ) -> Vec<(String, Value)> {
        let from = Key::new(cloud, kind, after);
        let held = self.inner.held.lock();
        let own = held.resources.range(from..).take_while(|(key, _)| key.cloud == cloud && key.kind == kind);
        let rest = own.filter(|(key, _)| key.name.as_str() > after && passes(&key.name));
        rest.take(limit).map(|(key, value)| (key.name.clone(), value.clone())).collect()
    }

    /// Writes through a cloud's API, as the hook does. What is again as it was at first is mended.
    pub(super) fn write(&self, key: &Key, value: Value) {
        let mut held = self.inner.held.lock();
        held.resources.insert(key.clone(), value);
        held.version += 1;
        if held.resources.get(key) == held.first.get(key) {
            held.ledger.undo(key, Undone::Hook, (self.inner.clock)());
        }
    }

    /// Changes, creates or deletes a resource behind everybody's back, and writes down that it was done.
    pub(super) fn plant(
        &self,
        key: &Key,
        names: Vec<String>,
        what: &str,
        change: impl FnOnce(Option<Value>) -> Option<Value>,
    ) {
        let mut held = self.inner.held.lock();
        let before = held.resources.remove(key);
        if let Some(after) = change(before) {
            held.resources.insert(key.clone(), after);
        }
        held.version += 1;
        held.ledger.plant(key.clone(), names, what, (self.inner.clock)());
    }

    /// Puts a resource back as it was at first, as a colleague would.
    pub(super) fn restore(&self, key: &Key) {
        let mut held = self.inner.held.lock();
        match held.first.get(key).cloned() {
            Some(first) => drop(held.resources.insert(key.clone(), first)),
            None => drop(held.resources.remove(key)),
        }
        held.version += 1;
        held.ledger.undo(key, Undone::Colleague, (self.inner.clock)());
    }

    /// Returns what the intruder did in a cloud, oldest first: to what, when, and which attributes are not as they were at
    /// first; nothing where it is gone.
    pub(super) fn deeds(&self, cloud: Cloud) -> Vec<(Key, Timestamp, Option<Vec<String>>)> {
        let held = self.inner.held.lock();
        let changed = |key: &Key| {
            let (first, now) = (held.first.get(key).and_then(Value::as_object), held.resources.get(key)?.as_object()?);
            let is_new = |(name, value): &(&String, &Value)| first.and_then(|first| first.get(*name)) != Some(*value);
            Some(now.iter().filter(is_new).map(|(name, _)| name.clone()).collect())
        };
        let own = held.ledger.intrusions().filter(|(key, _)| key.cloud == cloud);
        own.map(|(key, at)| (key.clone(), at, changed(key))).collect()
    }

    /// Looks into, or adds to, the ledger of what was planted.
    pub(super) fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.inner.held.lock().ledger)
    }
}
