//! driftwarden: knows where the clouds have left what Git says.
//!
//! The modules in the order in which data passes; [`scan`] is the straight line through them:
//!
//! ```text
//! collect -> normalize -+-> compare --+-> advance -> decide -> save -> tell / mend
//!                       +-> evaluate -+                       (store) (outbox: notify, remediate)
//! ```
//!
//! Everything between `normalize` and `decide` is in the crate `driftwarden-core`.

pub mod api;
pub mod app;
pub mod audit;
pub mod cli;
pub mod collect;
pub mod config;
pub mod demo;
pub mod desired;
pub mod ledger;
pub mod notify;
pub mod outbound;
pub mod outbox;
pub mod related;
pub mod remediate;
pub mod rulebook;
pub mod scan;
pub mod schedule;
pub mod schemas;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod view;
pub mod yaml;
