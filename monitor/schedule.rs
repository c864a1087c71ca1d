//! When things are done: at their interval, and at once when somebody asks.
//!
//! An activation carries no data: a push, a timer and a click all mean "look now". This is the one file that asks the
//! time; waiting is done on the monotonic clock, so that a step of the wall clock neither hurries nor delays a scan.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::FutureExt as _;
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

/// Says when something that is done again and again is to be done next.
///
/// The interval counts from the beginning of the work; what takes longer than its interval is done again at once, and
/// never caught up with.
#[derive(Debug)]
pub struct Turns {
    every: Duration,
    next: Instant,
}

impl Turns {
    /// Returns turns of which the first begins now.
    pub fn every(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    /// Waits for the next turn, or for an activation. Returns false when stopped: then there is no next turn.
    pub async fn next(&mut self, activation: &Activation, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = activation.0.notified() => (),
            () = sleep_until(self.next) => (),
        }
        self.next = Instant::now() + self.every;
        true
    }
}

/// Passes on that something happened: a little later, for it seldom happens alone, and not again and again.
#[derive(Debug)]
pub struct Debounce {
    settle: Duration,
    rest: Duration,
    next: Option<Instant>,
}

impl Debounce {
    /// Waits `settle` for company, and rests `rest` between two times.
    pub fn new(settle: Duration, rest: Duration) -> Self {
        Self { settle, rest, next: None }
    }

    /// Returns when what happens now is to be passed on.
    fn due(&mut self, now: Instant) -> Instant {
        let due = self.next.map_or(now + self.settle, |next| next.max(now + self.settle));
        self.next = Some(due + self.rest);
        due
    }

    /// Waits until something has happened and is to be passed on.
    pub async fn next(&mut self, happened: &Notify) {
        happened.notified().await;
        sleep_until(self.due(Instant::now())).await;
        // What happened meanwhile is passed on with it.
        let _passed_on = happened.notified().now_or_never();
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

    #[tokio::test]
    async fn an_activation_does_not_wait_for_the_interval() {
        let (activation, stop) = (Activation::default(), CancellationToken::new());
        let mut turns = Turns::every(Duration::from_hours(1));
        activation.activate();
        assert!(turns.next(&activation, &stop).await);
    }

    #[tokio::test]
    async fn what_is_stopped_has_no_next_turn() {
        let (activation, stop) = (Activation::default(), CancellationToken::new());
        let mut turns = Turns::every(Duration::ZERO);
        stop.cancel();
        activation.activate();
        assert!(!turns.next(&activation, &stop).await);
    }

    #[test]
    fn what_happens_often_is_passed_on_seldom() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut debounce = Debounce::new(second, 10 * second);
        for (at, due) in [(0, 1), (2, 11), (30, 31), (31, 41)] {
            assert_eq!(debounce.due(start + at * second), start + due * second, "{at}");
        }
    }

    #[tokio::test]
    async fn what_happens_while_one_waits_is_passed_on_at_once() {
        let (happened, mut debounce) = (Notify::new(), Debounce::new(Duration::ZERO, Duration::ZERO));
        happened.notify_one();
        debounce.next(&happened).await;
        assert!(debounce.next(&happened).now_or_never().is_none());
    }

    #[test]
    fn intervals_are_spread_by_name_and_never_shortened() {
        let hour = Duration::from_hours(1);
        let spreads: std::collections::BTreeSet<Duration> = ["a", "b", "c"].map(|name| spread(hour, name)).into();
        assert!(spreads.len() > 1);
        assert!(spreads.iter().all(|spread| (hour..=hour + hour / 10).contains(spread)));
        assert_eq!(spread(hour, "a"), spread(hour, "a"));
    }
}
