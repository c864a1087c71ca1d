//! What a list said a moment ago: the exact looks of one pass share it.
//!
//! That there is nothing of a name, only a list proves, and some kinds are read by lists alone. Whoever asks says since when a list
//! must have been read; without that, it is read for them.

use std::collections::HashMap;
use std::sync::Arc;

use driftwarden_core::normalize;
use driftwarden_core::resource::{Kind, Provider};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;

use super::call::Caller;
use crate::collect::http::CallError;

/// The last list of each kind, by account and region.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<Place, HashMap<Kind, Slot>>>);

type Place = (Arc<str>, Arc<str>);
/// Held while a list is read: all others wait for it.
type Slot = Arc<tokio::sync::Mutex<Option<(Timestamp, Arc<List>)>>>;

/// All resources of one kind.
#[derive(Default)]
pub(super) struct List {
    /// The identifier, by each name that people use.
    called: HashMap<Box<str>, Box<str>>,
    /// What was read of each, by its identifier.
    things: HashMap<Box<str>, Box<str>>,
}

impl Lists {
    /// Returns a list of a kind that was read since then, or reads one.
    pub(super) async fn since(
        &self,
        (caller, kind, since): (&Caller, &Kind, Option<Timestamp>),
        read: impl Future<Output = Result<List, CallError>>,
    ) -> Result<Arc<List>, CallError> {
        let Some(since) = since else { return read.await.map(Arc::new) };
        let place = (Arc::clone(&caller.account), Arc::clone(&caller.region));
        let slot = Arc::clone(self.0.lock().entry(place).or_default().entry(kind.clone()).or_default());
        let mut slot = slot.lock().await;
        if let Some((_, list)) = slot.as_ref().filter(|(then, _)| *then >= since) {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(read.await?);
        *slot = Some((since, Arc::clone(&list)));
        Ok(list)
    }

    /// Forgets what was read in an account and region.
    pub(super) fn forget(&self, caller: &Caller) {
        self.0.lock().remove(&(Arc::clone(&caller.account), Arc::clone(&caller.region)));
    }
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
