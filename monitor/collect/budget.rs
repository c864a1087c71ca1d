//! How many requests a cloud may get from us: a rate that halves when the cloud asks to slow down and is earned back bit
//! by bit, and a share of it that retries may take.
//!
//! What a cloud allows is shared with others who use the account. So the rate at which it last asked to slow down is kept
//! away from for a while, and tried again within a minute.
//!
//! One budget per (account, region, service), because that is what clouds count by. It sends nothing itself.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How far throttling may push us, in requests a second and as a part of the configured rate: the less of the two.
const SLOWEST: (f64, f64) = (0.5, 1.0 / 16.0);
/// For so long nothing is sent after a request to slow down, so that the cloud has something in hand for others.
const BREATH: Duration = Duration::from_millis(500);
/// Throttled answers within this time of a cut are answers to requests sent before it.
const CUT_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// In that time the safe rate is earned back.
const EARNED_BACK_IN: Duration = Duration::from_secs(28);
/// What part of the rate at which the cloud asked to slow down is safe.
const SAFE: f64 = 0.8;
/// For so long after a cut the safe rate is not exceeded; in that time after it, it grows until it is the configured one: by the
/// same part of itself in every second, so that little is sent in vain where the cloud grants little more.
const SAFE_FOR: Duration = Duration::from_secs(32);
const TRIED_FOR: Duration = Duration::from_secs(26);
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
    /// The rate that is safe, while that is known.
    safe: f64,
    last: Option<Instant>,
    paused_until: Option<Instant>,
    cut_at: Option<Instant>,
    earned_at: Option<Instant>,
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
        self.state.lock().earn(self.per_second, Instant::now());
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
        let (last, paused_until, cut_at, earned_at, day) = (None, None, None, None, None);
        Self { rate, safe: rate, last, paused_until, cut_at, earned_at, retries: RETRIES_IN_HAND, day }
    }

    /// Earns back what the time since the last good answer, or the cut, is worth.
    fn earn(&mut self, per_second: f64, now: Instant) {
        let Some(cut_at) = self.cut_at else { return };
        let since = self.earned_at.replace(now).map_or(cut_at, |earned_at| earned_at.max(cut_at));
        let earned = self.safe * now.duration_since(since).div_duration_f64(EARNED_BACK_IN);
        let beyond = now.duration_since(cut_at).saturating_sub(SAFE_FOR).div_duration_f64(TRIED_FOR).min(1.0);
        self.rate = match beyond {
            0.0 => (self.rate + earned).min(self.safe),
            _ => self.safe * (per_second / self.safe).powf(beyond),
        };
    }

    fn slow_down(&mut self, per_second: f64, pause: Option<Duration>, now: Instant) {
        let slowest = SLOWEST.0.min(per_second * SLOWEST.1);
        self.paused_until = self.paused_until.max(Some(now + pause.unwrap_or_default().max(BREATH)));
        if self.cut_at.is_none_or(|at| now >= at + CUT_AT_MOST_EVERY) {
            self.cut_at = Some(now);
            self.safe = (self.rate * SAFE).max(slowest);
            self.rate = (self.rate / 2.0).max(slowest);
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
#[expect(clippy::cast_precision_loss, reason = "a few thousand requests are exact in a double")]
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
    }

    #[test]
    fn the_rate_is_earned_back_within_a_minute_and_not_at_once() {
        for cuts in [1, 3, 10] {
            let (mut state, start) = (State::new(8.0), Instant::now());
            (0..cuts).for_each(|second| state.slow_down(8.0, None, start + second * SECOND));
            let (cut, mut before) = (start + (cuts - 1) * SECOND, state.rate);
            for tenth in 0..600 {
                state.earn(8.0, cut + tenth * SECOND / 10);
                assert!(state.rate - before < 0.1, "{cuts} cuts: {before} grows to {}", state.rate);
                before = state.rate;
                let is_early = tenth < 320;
                assert!(!is_early || state.rate <= state.safe.max(0.5) + 0.001, "{cuts} cuts: {}", state.rate);
            }
            check_rate(&state, 8.0);
        }
    }

    /// Requests that one account may send, whoever sends them: as many a second, and some in hand.
    struct Account {
        per_second: f64,
        in_hand: f64,
        at: Instant,
    }

    impl Account {
        fn accepts(&mut self, now: Instant) -> bool {
            let earned = now.duration_since(self.at).as_secs_f64() * self.per_second;
            (self.in_hand, self.at) = ((self.in_hand + earned).min(self.per_second), now);
            let is_accepted = self.in_hand >= 1.0;
            self.in_hand -= f64::from(u8::from(is_accepted));
            is_accepted
        }
    }

    /// Lets us ask for ten minutes at up to `ours` a second while a victim asks the same account, which grants ten a second,
    /// `theirs` a second. Returns what we sent, with what it was answered, and what part of theirs was accepted.
    fn share(ours: f64, theirs: f64, mut random: u32) -> (Vec<(Instant, bool)>, f64) {
        let start = Instant::now();
        let mut account = Account { per_second: 10.0, in_hand: 10.0, at: start };
        let (mut state, mut sent, mut accepted, mut asked) = (State::new(ours), Vec::new(), 0.0, 0.0);
        let mut next = start;
        while next < start + 600 * SECOND {
            let due = state.due().unwrap_or(start);
            if next < due {
                asked += 1.0;
                accepted += f64::from(u8::from(account.accepts(next)));
                // They come as they please; who keeps in step with us would never or always come too late.
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                next += Duration::from_secs_f64((0.5 + f64::from(random >> 16) / 65_536.0) / theirs);
                continue;
            }
            state.take(u64::MAX, due).unwrap();
            let is_accepted = account.accepts(due);
            sent.push((due, is_accepted));
            if is_accepted { state.earn(ours, due) } else { state.slow_down(ours, None, due) }
        }
        (sent, accepted / asked)
    }

    /// Counts what was sent within a second from there on; it is sorted.
    fn within_a_second(sent: &[(Instant, bool)], from: Instant) -> usize {
        let until = |end: Instant| sent.partition_point(|(at, _)| *at < end);
        until(from + SECOND) - until(from)
    }

    #[test]
    fn who_shares_the_account_is_not_starved() {
        // Where more is configured than the account grants, that is tried again once a minute.
        for (ours, theirs) in [(8.0, 1.0), (12.0, 4.0), (20.0, 4.0), (50.0, 4.0), (1000.0, 4.0)] {
            let accepted = (2..20).map(|seed| share(ours, theirs, seed).1).sum::<f64>() / 18.0;
            let (sent, _) = share(ours, theirs, 1);
            assert!(accepted >= 0.99, "{ours} beside {theirs}: {accepted} of theirs were accepted");
            let used = sent.iter().filter(|(_, is_accepted)| *is_accepted).count() as f64 / 600.0;
            assert!(used >= 0.6 * (10.0 - theirs).min(ours), "{ours} beside {theirs}: only {used} a second of ours");
            for (at, is_accepted) in &sent {
                let count = within_a_second(&sent, *at) as f64;
                assert!(count <= ours + 1.0, "{count} in a second, of {ours}");
                let before = within_a_second(&sent, *at - SECOND) as f64;
                let last = sent[..sent.partition_point(|(other, _)| other < at)].iter().rev().take(60);
                let is_alone = last.filter(|(_, is_accepted)| !is_accepted).all(|(other, _)| *other + 2 * SECOND < *at);
                let is_first = is_alone && *at > sent[0].0 + 2 * SECOND;
                // A second earns some back.
                let is_cut = count <= before / 2.0 + ours / 15.0 + 2.0;
                assert!(
                    *is_accepted || !is_first || is_cut,
                    "{before} in the second before a throttle, {count} after it"
                );
            }
        }
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
