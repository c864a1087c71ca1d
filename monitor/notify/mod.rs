//! Telling: receivers, and which findings go to which.
//!
//! A notifier carries one batch to one place and says whether to try again. It keeps no queue, waits for nothing and
//! chooses nothing: what to tell was decided in `driftwarden_core::decide`, and the outbox repeats it.

mod alertmanager;
mod config;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use driftwarden_core::decide::{Notice, Route};
use jiff::{SignedDuration, Timestamp};
use schemars::{Schema, SchemaGenerator};

pub use config::{Config, ConfigError, ReceiverConfig, RouteConfig};

use crate::outbound::DeliveryError;
use config::Settings;

/// Every type of receiver.
pub const NOTIFIERS: &[NotifierType] = &[alertmanager::TYPE, webhook::TYPE];

/// One type of receiver.
#[derive(Debug)]
pub struct NotifierType {
    /// The word under `type` in the configuration.
    pub word: &'static str,
    build: fn(&Settings<'_>) -> Result<Arc<dyn Notifier>, ConfigError>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

/// What one receiver is told in one go.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Name of the receiver.
    pub receiver: Arc<str>,
    /// Identity of the group.
    pub group: String,
    /// Same on every retry.
    pub dedup: String,
    /// When it is sent.
    pub now: Timestamp,
    /// What to tell.
    pub notices: Vec<Notice>,
}

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// It may arrive later.
    #[error("failed to notify")]
    Retry {
        /// Not sooner than this, if the receiver said so.
        after: Option<SignedDuration>,
        /// What happened.
        #[source]
        source: anyhow::Error,
    },
    /// It will never arrive.
    #[error("not accepted by the receiver")]
    GiveUp {
        /// What happened.
        #[source]
        source: anyhow::Error,
    },
}

impl NotifyError {
    /// Returns the error of something on our side that an operator may put right without a restart.
    fn for_now(source: impl Into<anyhow::Error>) -> Self {
        Self::Retry { after: None, source: source.into() }
    }
}

impl From<DeliveryError> for NotifyError {
    fn from(error: DeliveryError) -> Self {
        if error.is_temporary() {
            Self::Retry { after: error.retry_after(), source: error.into() }
        } else {
            Self::GiveUp { source: error.into() }
        }
    }
}

/// A way to tell somebody.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells one batch. Told twice with the same dedup key, the receiver can tell that it is the same.
    async fn send(&self, batch: &Batch) -> Result<(), NotifyError>;

    /// Returns how often everything that is open must be told again, for receivers that forget.
    fn refresh_every(&self) -> Option<SignedDuration> {
        None
    }
}

/// The configured receivers, and the routes to them.
#[derive(Clone, Default)]
pub struct Receivers {
    /// By name.
    pub by_name: BTreeMap<Arc<str>, Arc<dyn Notifier>>,
    /// Nothing where nobody is to be told.
    pub route: Option<Route>,
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receivers").field("names", &self.by_name.keys()).field("route", &self.route).finish()
    }
}

#[cfg(test)]
fn batch(notices: Vec<Notice>) -> Batch {
    let now = crate::outbound::samples::at("2026-01-01T02:00:00Z");
    Batch { receiver: "oncall".into(), group: "g".to_owned(), dedup: "d1".to_owned(), now, notices }
}
