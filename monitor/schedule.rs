//! When things are done: at their interval, and at once when somebody asks.
//!
//! An activation carries no data: a push, a timer and a click all mean "look now". This is the one file that asks the
//! time; waiting is done on the monotonic clock, so that a step of the wall clock neither hurries nor delays a scan.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Returns what time it is.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is asked to ask")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Something that is done again and again.
#[derive(Debug, Default)]
pub struct Activation(Notify);

impl Activation {
    /// Asks for the work to be done now. Asked while it is being done, it is done once more.
    pub fn activate(&self) {
        self.0.notify_one();
    }
}

/// Does the work now and then every `every`, or sooner when activated, until stopped. The interval counts from the
/// beginning of the work; what takes longer than its interval is done again at once, and never caught up with.
pub async fn repeat(
    every: Duration,
    activation: &Activation,
    stop: &CancellationToken,
    mut work: impl AsyncFnMut(),
) {
    while !stop.is_cancelled() {
        let next = Instant::now() + every;
        work().await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = activation.0.notified() => (),
            () = sleep_until(next) => (),
        }
    }
}

/// Returns the interval lengthened by up to a tenth, always the same for the same name, so that many scopes of one
/// interval do not all begin at once.
pub fn spread(every: Duration, name: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    every + every / 10 * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs for `seconds`, each piece of work taking `takes` seconds at an interval of ten.
    async fn runs(takes: u64, seconds: u64, activate: &[u64]) -> usize {
        let (activation, stop) = (Activation::default(), CancellationToken::new());
        let mut done = 0;
        let work = repeat(Duration::from_secs(10), &activation, &stop, async || {
            tokio::time::sleep(Duration::from_secs(takes)).await;
            done += 1;
        });
        let clock = async {
            let begun = Instant::now();
            for at in activate {
                sleep_until(begun + Duration::from_secs(*at)).await;
                activation.activate();
            }
            sleep_until(begun + Duration::from_secs(seconds)).await;
            stop.cancel();
        };
        tokio::join!(work, clock);
        done
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_done_at_its_interval_and_when_asked_for() {
        assert_eq!(runs(1, 35, &[]).await, 4);
        assert_eq!(runs(1, 35, &[13]).await, 5);
        assert_eq!(runs(4, 9, &[1, 2, 3]).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_not_caught_up_with() {
        assert_eq!(runs(25, 99, &[]).await, 4);
    }
}
