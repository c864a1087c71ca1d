//! How many requests a cloud may get from us: a rate that halves when the cloud asks to slow down and is earned back bit
//! by bit, and a share of it that retries may take.
//!
//! One budget per (account, region, service), because that is what clouds count by. It sends nothing itself.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How far below the configured rate throttling may push us.
const SLOWEST: f64 = 1.0 / 16.0;
/// Throttled answers within this time of a cut are answers to requests sent before it.
const CUT_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// What part of the configured rate one good answer earns back.
const EARNED: f64 = 0.02;
/// How many retries one request pays for.
const RETRIES_PER_REQUEST: f64 = 0.1;
/// Retries that a short scan may use before it has earned any.
const RETRIES_IN_HAND: f64 = 10.0;
const DAY: Duration = Duration::from_hours(24);

/// The pace of requests to one service.
#[derive(Debug)]
pub struct Budget {
    per_second: f64,
    per_day: u64,
    /// Whoever holds it is next. It is handed on in the order in which it was asked for.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    last: Option<Instant>,
    paused_until: Option<Instant>,
    cut_at: Option<Instant>,
    retries: f64,
    day: Option<(Instant, u64)>,
}

/// The requests of a day are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the requests of the day are used up")]
pub struct DayIsUsedUp;

impl Budget {
    /// Returns a budget of that many requests in a second and in a day.
    pub fn new(per_second: f64, per_day: u64) -> Self {
        let state = Mutex::new(State::new(per_second));
        Self { per_second, per_day, queue: tokio::sync::Mutex::default(), state }
    }

    /// Waits until the next request may be sent.
    pub async fn turn(&self) -> Result<(), DayIsUsedUp> {
        let _next = self.queue.lock().await;
        loop {
            // Asked anew after each wait: the rate may have been cut meanwhile, and a cut counts at once.
            let due = self.state.lock().due();
            let now = Instant::now();
            let Some(wait) = due.filter(|due| *due > now) else { return self.state.lock().take(self.per_day, now) };
            tokio::time::sleep_until(wait).await;
        }
    }

    /// Takes notice that a new request, not a retry, is about to be sent.
    pub fn earn_retries(&self) {
        let mut state = self.state.lock();
        state.retries = (state.retries + RETRIES_PER_REQUEST).min(RETRIES_IN_HAND.max(self.per_second));
    }

    /// Returns whether a retry can be afforded, and pays for it.
    pub fn afford_retry(&self) -> bool {
        let mut state = self.state.lock();
        let affordable = state.retries >= 1.0;
        if affordable {
            state.retries -= 1.0;
        }
        affordable
    }

    /// Takes notice of an answer that was no request to slow down.
    pub fn accepted(&self) {
        self.state.lock().earn(self.per_second);
    }

    /// Takes notice of a request to slow down, and to send nothing at all for a while.
    pub fn throttled(&self, pause: Option<Duration>) {
        self.state.lock().slow_down(self.per_second, pause, Instant::now());
    }

    /// Returns the rate in force, in requests a second.
    pub fn rate(&self) -> f64 {
        self.state.lock().rate
    }
}

impl State {
    fn new(rate: f64) -> Self {
        Self { rate, last: None, paused_until: None, cut_at: None, retries: RETRIES_IN_HAND, day: None }
    }

    fn earn(&mut self, per_second: f64) {
        self.rate = (self.rate + per_second * EARNED).min(per_second);
    }

    fn slow_down(&mut self, per_second: f64, pause: Option<Duration>, now: Instant) {
        self.paused_until = self.paused_until.max(pause.map(|pause| now + pause));
        if self.cut_at.is_none_or(|at| now >= at + CUT_AT_MOST_EVERY) {
            self.cut_at = Some(now);
            self.rate = (self.rate / 2.0).max(per_second * SLOWEST);
        }
    }

    fn due(&self) -> Option<Instant> {
        let spaced = self.last.map(|last| last + Duration::from_secs_f64(1.0 / self.rate));
        spaced.max(self.paused_until)
    }

    fn take(&mut self, per_day: u64, now: Instant) -> Result<(), DayIsUsedUp> {
        let (began, used) = self.day.filter(|(began, _)| now < *began + DAY).unwrap_or((now, 0));
        if used >= per_day {
            return Err(DayIsUsedUp);
        }
        self.day = Some((began, used + 1));
        self.last = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes that many turns as soon as each is due, in virtual time; returns when the last one was.
    fn turns(state: &mut State, number: usize, mut now: Instant) -> Instant {
        for _ in 0..number {
            now = state.due().unwrap_or(now).max(now);
            state.take(u64::MAX, now).unwrap();
        }
        now
    }

    fn check_rate(state: &State, rate: f64) {
        assert!((state.rate - rate).abs() < 0.01, "{} is not {rate}", state.rate);
    }

    #[test]
    fn the_rate_is_never_exceeded() {
        let (mut state, start) = (State::new(10.0), Instant::now());
        assert_eq!(turns(&mut state, 51, start), start + 5 * SECOND);
        let later = start + 60 * SECOND;
        assert_eq!(turns(&mut state, 11, later), later + SECOND, "an idle minute is not saved up");
    }

    #[test]
    fn a_throttle_halves_the_rate_once_for_all_that_was_under_way() {
        let (mut state, start) = (State::new(8.0), Instant::now());
        (0..5).for_each(|_| state.slow_down(8.0, None, start));
        check_rate(&state, 4.0);
        state.slow_down(8.0, None, start + SECOND);
        check_rate(&state, 2.0);
        (0..1000).for_each(|second| state.slow_down(8.0, None, start + second * SECOND));
        check_rate(&state, 0.5);
        (0..50).for_each(|_| state.earn(8.0));
        check_rate(&state, 8.0);
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_by_all() {
        let (mut state, start) = (State::new(100.0), Instant::now());
        state.slow_down(100.0, Some(7 * SECOND), start);
        state.slow_down(100.0, Some(SECOND), start);
        assert_eq!(turns(&mut state, 1, start), start + 7 * SECOND);
    }

    #[tokio::test]
    async fn a_cut_counts_for_those_who_wait_already() {
        let budget = Budget::new(20.0, u64::MAX);
        let begun = Instant::now();
        let waiting = futures_util::future::join_all((0..4).map(|_| budget.turn()));
        let cut = async { budget.throttled(None) };
        tokio::join!(waiting, cut);
        assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    }

    #[test]
    fn retries_are_a_tenth_of_the_requests() {
        let budget = Budget::new(10.0, u64::MAX);
        while budget.afford_retry() {}
        let retries = (0..1000).filter(|_| {
            budget.earn_retries();
            budget.afford_retry()
        });
        assert!((99..=100).contains(&retries.count()));
    }

    #[test]
    fn a_day_has_so_many_requests() {
        let (mut state, start) = (State::new(10.0), Instant::now());
        let taken = [0, 1, 2].map(|second| state.take(2, start + second * SECOND));
        assert_eq!(taken, [Ok(()), Ok(()), Err(DayIsUsedUp)]);
        assert_eq!(state.take(2, start + DAY), Ok(()));
    }
}
