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
pub async fn repeat(every: Duration, activation: &Activation, stop: &CancellationToken, mut work: impl AsyncFnMut()) {
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

    /// Works `runs` times at an interval of `every`, activated by the work itself each time, and returns how often.
    async fn works(runs: usize, every: Duration) -> usize {
        let (activation, stop) = (Activation::default(), CancellationToken::new());
        let mut done = 0;
        let work = async || {
            done += 1;
            activation.activate();
            if done == runs {
                stop.cancel();
            }
        };
        repeat(every, &activation, &stop, work).await;
        done
    }

    #[tokio::test]
    async fn an_activation_does_not_wait_for_the_interval() {
        assert_eq!(works(3, Duration::from_secs(3600)).await, 3);
    }

    #[tokio::test]
    async fn what_is_stopped_works_no_more() {
        assert_eq!(works(1, Duration::ZERO).await, 1);
    }

    #[test]
    fn intervals_are_spread_by_name_and_never_shortened() {
        let hour = Duration::from_secs(3600);
        let spreads: std::collections::BTreeSet<Duration> = ["a", "b", "c"].map(|name| spread(hour, name)).into();
        assert!(spreads.len() > 1);
        assert!(spreads.iter().all(|spread| (hour..=hour + hour / 10).contains(spread)));
        assert_eq!(spread(hour, "a"), spread(hour, "a"));
    }
}
