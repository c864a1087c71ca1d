//! What a list said a moment ago: the exact looks of one pass share it.
//!
//! That there is nothing of a name, only a list proves, and some kinds are read by lists alone. Whoever asks says since when it
//! must have been read; without that, it is read for them. One that failed is not tried again for each of a thousand looks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use driftwarden_core::normalize;
use driftwarden_core::resource::{Kind, Provider, Scope};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::direct::Register;
use crate::collect::http::CallError;

/// What was read for the exact looks at each scope.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<Place, Arc<Shared>>>);

type Place = (Arc<str>, Arc<str>);

impl Lists {
    /// Returns what is shared in an account and region.
    pub(super) fn of(&self, account: &Arc<str>, region: &Arc<str>) -> Arc<Shared> {
        Arc::clone(self.0.lock().entry((Arc::clone(account), Arc::clone(region))).or_default())
    }

    pub(super) fn forget(&self, scope: &Scope) {
        self.0.lock().remove(&(Arc::clone(&scope.account), Arc::clone(&scope.region)));
    }
}

/// What was read for the exact looks at one scope.
#[derive(Default)]
pub(super) struct Shared {
    /// Each kind.
    pub(super) lists: Slots<Kind, List>,
    /// What was said of all things of a kind at once, by where the part is that asks so.
    pub(super) registers: Slots<(Kind, usize), Register>,
}

/// Things that are read once.
pub(super) struct Slots<K, T>(Mutex<HashMap<K, Slot<T>>>);

/// Held while it is read: all others wait for it.
type Slot<T> = Arc<tokio::sync::Mutex<Option<(Timestamp, Result<Arc<T>, CallError>)>>>;

impl<K, T> Default for Slots<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Slots<K, T> {
    /// Returns what was read since then, or reads it.
    pub(super) async fn since(
        &self,
        key: K,
        since: Option<Timestamp>,
        read: impl Future<Output = Result<T, CallError>>,
    ) -> Result<Arc<T>, CallError> {
        let Some(since) = since else { return read.await.map(Arc::new) };
        let slot = Arc::clone(self.0.lock().entry(key).or_default());
        let mut slot = slot.lock().await;
        if let Some((_, known)) = slot.as_ref().filter(|(then, _)| *then >= since) {
            return known.clone();
        }
        let read = read.await.map(Arc::new);
        *slot = Some((since, read.clone()));
        read
    }
}

/// All resources of one kind.
#[derive(Default)]
pub(super) struct List {
    /// The identifier, by each name that people use.
    called: HashMap<Box<str>, Box<str>>,
    /// What was read of each, by its identifier.
    things: HashMap<Box<str>, Box<str>>,
}

impl List {
    /// Adds a resource, by its identifier and the attributes that are known.
    pub(super) fn add(&mut self, kind: &Kind, identifier: &str, attributes: &Value) {
        let names = normalize::names(Provider::Aws, kind, identifier, attributes);
        for name in names.into_iter().chain(normalize::nicknames(kind, attributes)) {
            self.called.entry(name.into()).or_insert_with(|| identifier.into());
        }
        // Its own name is nobody else's.
        self.called.insert(identifier.into(), identifier.into());
    }

    /// Keeps what was read of a resource.
    pub(super) fn keep(&mut self, identifier: &str, thing: &Value) {
        self.things.insert(identifier.into(), thing.to_string().into());
    }

    /// Returns what was read of a resource.
    pub(super) fn thing(&self, identifier: &str) -> Option<Value> {
        serde_json::from_str(self.things.get(identifier)?).ok()
    }

    /// Returns the identifier of what is called so, by its identifier or, if that counts, by any name that people use.
    pub(super) fn find(&self, name: &str, by_any_name: bool) -> Option<&str> {
        self.called.get(name).map(|identifier| &**identifier).filter(|identifier| by_any_name || *identifier == name)
    }
}
