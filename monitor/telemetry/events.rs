//! Every internal event as a type. Emitting one writes its log line and moves its metrics.
//!
//! Levels: `error` = someone must act; `warn` = went wrong and we carried on; `info` = a change of state, at most once
//! per scan; `debug` = per kind; `trace` = per page.

use std::fmt::Display;

use driftwarden_core::resource::{Gap, Scope};

use super::Event;
use super::metrics::METRICS;

/// One request to a cloud ended.
#[derive(Debug)]
pub struct CloudRequestEnded<'a> {
    /// Name of the configured cloud.
    pub cloud: &'a str,
    /// The cloud's service: `s3`, `cloudcontrolapi`, `apps`.
    pub service: &'a str,
    /// HTTP status, or 0 where none came.
    pub code: u16,
    /// Whether the answer was a request to slow down.
    pub throttled: Throttled,
}

/// Whether an answer was a request to slow down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttled {
    /// It was.
    Yes,
    /// It was not.
    No,
}

impl Event for CloudRequestEnded<'_> {
    fn record(&self) {
        METRICS.cloud_request(self.cloud, self.service, self.code);
        if self.throttled == Throttled::Yes {
            METRICS.cloud_throttle(self.cloud, self.service);
            tracing::debug!(cloud = self.cloud, service = self.service, code = self.code, "throttled by the cloud");
        }
    }
}

/// A kind, or a whole scope, was not read to the end.
#[derive(Debug)]
pub struct GapFound<'a> {
    /// Where.
    pub scope: &'a Scope,
    /// What and why.
    pub gap: &'a Gap,
}

impl Event for GapFound<'_> {
    fn record(&self) {
        let kind = self.gap.kind.as_ref().map_or("*", |kind| kind.as_str());
        tracing::warn!(scope = %self.scope, kind, reason = %self.gap.reason, detail = self.gap.detail, "failed to read a kind to the end");
    }
}

/// Something that must not happen happened; the safe answer was given instead.
#[derive(Debug)]
pub struct InvariantBroken<'a, T: Display> {
    /// What was broken.
    pub what: &'a str,
    /// Details.
    pub detail: T,
}

impl<T: Display> Event for InvariantBroken<'_, T> {
    fn record(&self) {
        tracing::error!(what = self.what, detail = %self.detail, "invariant broken");
    }
}
