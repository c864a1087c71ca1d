//! Logs, metrics and traces of the daemon itself.
//!
//! Every internal event is a type ([`events`]): emitting it writes the log line *and* moves the metrics, so the two
//! cannot disagree. Every metric is defined in [`metrics`], once.

pub mod events;
pub mod labels;
mod logs;
pub mod metrics;
pub mod present;

pub use logs::{Config, Format, Telemetry, TelemetryError, trace_id};

/// Something that happened inside the daemon and that somebody may want to see.
pub trait Event {
    /// Writes the log line and moves the metrics.
    fn record(&self);
}

/// Returns an error with everything that caused it, as logs and people get it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let texts = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    texts.collect::<Vec<_>>().join(": ")
}

/// Records an event.
pub fn emit(event: &impl Event) {
    event.record();
}
