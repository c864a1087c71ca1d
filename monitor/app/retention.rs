//! Forgetting what is old: the memory must not grow for as long as the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::schedule::{self, Activation, Turns};
use crate::store::StoreError;
use crate::telemetry::emit;
use crate::telemetry::events::{MemoryNotPruned, MemoryPruned};

/// How often something is forgotten.
const EVERY: Duration = Duration::from_hours(1);

/// Forgets again and again what is older than the configuration in force keeps.
pub(super) async fn forget(shared: Arc<Shared>, stop: CancellationToken) {
    let (mut turns, activation) = (Turns::every(EVERY), Activation::default());
    let mut last = None;
    loop {
        match forget_once(&shared, &mut last).await {
            Ok(rows) => emit(&MemoryPruned { rows }),
            Err(error) => emit(&MemoryNotPruned { error: &error }),
        }
        if !turns.next(&activation, &stop).await {
            return;
        }
    }
}

async fn forget_once(shared: &Shared, last: &mut Option<Timestamp>) -> Result<u64, StoreError> {
    let scopes = shared.store.scopes().await?;
    let Some(newest) = scopes.iter().map(|scope| scope.last.finished_at).max() else { return Ok(0) };
    let now = believed(schedule::now(), newest, *last);
    *last = Some(now);
    let before = shared.plan.load().config.store.forgotten_before(now);
    shared.store.prune(shared.epoch, before).await
}

/// Returns from when on to count: no clock that jumps ahead may take the history with it. At the start that is the newest
/// scan, which says that it was so late before; later scans are as wrong as the clock, and from one pass to the next no
/// more than twice the time between them is believed to have passed. What was off for long is caught up with slowly.
fn believed(now: Timestamp, newest_scan: Timestamp, last: Option<Timestamp>) -> Timestamp {
    let latest = last.map_or(newest_scan, |last| last + EVERY * 2);
    now.min(newest_scan).min(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24;

    /// Plays passes of which each sees the clock and the newest scan at these hours. Returns what hour each believes in.
    fn check(seen: &[(i64, i64)], expected: &[i64]) {
        let hour = |hours: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours);
        let mut last = None;
        let mut said = Vec::new();
        for (now, newest) in seen {
            last = Some(believed(hour(*now), hour(*newest), last));
            said.push(last.unwrap().as_second() / 3600);
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn a_clock_that_jumps_ahead_takes_no_history_with_it() {
        let year = 365 * DAY;
        check(&[(1, 1), (year, 1), (year, year), (year + 1, year + 1), (5, 5)], &[1, 1, 3, 5, 5]);
        check(&[(year, 1), (year + 1, year + 1)], &[1, 3]);
    }

    #[test]
    fn a_clock_that_is_put_back_is_believed() {
        check(&[(9, 9), (2, 9), (3, 3)], &[9, 2, 3]);
    }
}
