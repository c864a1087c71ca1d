//! Forgetting what is old: the memory must not grow for as long as the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::schedule::{self, Activation, Turns};
use crate::telemetry::emit;
use crate::telemetry::events::{MemoryNotPruned, MemoryPruned};

/// How often something is forgotten.
const EVERY: Duration = Duration::from_hours(1);

/// Forgets again and again what is older than the configuration in force keeps.
pub(super) async fn forget(shared: Arc<Shared>, stop: CancellationToken) {
    let (mut turns, activation) = (Turns::every(EVERY), Activation::default());
    loop {
        let before = shared.plan.load().config.store.forgotten_before(schedule::now());
        match shared.store.prune(shared.epoch, before).await {
            Ok(rows) => emit(&MemoryPruned { rows }),
            Err(error) => emit(&MemoryNotPruned { error: &error }),
        }
        if !turns.next(&activation, &stop).await {
            return;
        }
    }
}
