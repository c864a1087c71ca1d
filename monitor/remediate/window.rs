//! When a hook may begin.
//!
//! A cron expression says when the window opens, a duration how long it stays open. Only beginnings are bound: what runs
//! when the window closes runs on.

use chrono::{DateTime, FixedOffset};
use cron::Schedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When a hook may begin.
#[derive(Debug)]
pub(super) struct Window {
    schedule: Schedule,
    zone: TimeZone,
    open_for: SignedDuration,
}

/// Whether a hook may begin now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It may.
    Open,
    /// Not before then.
    At(Timestamp),
    /// Never again.
    Never,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum WindowError {
    #[error("expected five, six or seven fields, found {0}")]
    Fields(usize),
    #[error("invalid weekday `{0}`: expected 0 to 7 or SUN to SAT")]
    Weekday(String),
    // Cron takes both as `or`, most libraries as `and`: whichever we took, half of the readers would be wrong.
    #[error("day of month and weekday exclude each other")]
    TwoDays,
    #[error("invalid cron expression")]
    Cron(#[source] cron::error::Error),
    #[error("unknown time zone `{0}`")]
    Zone(String, #[source] jiff::Error),
    #[error("`window_for` must be longer than nothing")]
    Closed,
}

impl Window {
    pub(super) fn parse(text: &str, zone: &str, open_for: SignedDuration) -> Result<Self, WindowError> {
        if open_for <= SignedDuration::ZERO {
            return Err(WindowError::Closed);
        }
        let schedule = with_seconds(text)?.parse().map_err(WindowError::Cron)?;
        let zone = TimeZone::get(zone).map_err(|error| WindowError::Zone(zone.to_owned(), error))?;
        Ok(Self { schedule, zone, open_for })
    }

    /// Returns whether a hook may begin at `now`.
    pub(super) fn opening(&self, now: Timestamp) -> Opening {
        let opened = self.next(now - self.open_for);
        match opened {
            Some(opened) if opened <= now => Opening::Open,
            _ => self.next(now).map_or(Opening::Never, Opening::At),
        }
    }

    /// Returns the first opening after `at`. The offset is that of `at`: over a change of the clocks the window of that one
    /// night is off by the hour that the night itself is.
    fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let offset = FixedOffset::east_opt(self.zone.to_offset(at).seconds())?;
        let local = DateTime::from_timestamp(at.as_second(), 0)?.with_timezone(&offset);
        let next = self.schedule.after(&local).next()?;
        Timestamp::from_second(next.timestamp()).ok()
    }
}

/// Returns the expression with a field for seconds, and weekdays as the crate counts them (Sunday is 1).
fn with_seconds(text: &str) -> Result<String, WindowError> {
    let mut fields: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if fields.len() == 5 {
        fields.insert(0, "0".to_owned());
    }
    let count = fields.len();
    let [_, _, _, day, _, weekday, ..] = fields.as_mut_slice() else { return Err(WindowError::Fields(count)) };
    if count > 7 {
        return Err(WindowError::Fields(count));
    }
    if !is_any(day) && !is_any(weekday) {
        return Err(WindowError::TwoDays);
    }
    if !is_any(weekday) {
        let days: Vec<String> = weekdays(weekday)?.iter().map(|day| (day + 1).to_string()).collect();
        *weekday = days.join(",");
    }
    Ok(fields.join(" "))
}

fn is_any(field: &str) -> bool {
    matches!(field, "*" | "?")
}

/// Returns the days of a weekday field, 0 for Sunday.
fn weekdays(field: &str) -> Result<Vec<u8>, WindowError> {
    let mut days = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (weekday(first)?, weekday(last)?),
            None if is_any(range) => (0, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        // `5-7` and `FRI-SUN` go over the end of the week.
        let last = if last < first { last + 7 } else { last };
        let step = step.parse().ok().filter(|step| *step > 0).ok_or_else(|| WindowError::Weekday(part.to_owned()))?;
        days.extend((first..=last).step_by(step).map(|day| day % 7));
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn weekday(text: &str) -> Result<u8, WindowError> {
    const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let named = (0..).zip(NAMES).find_map(|(day, name)| name.eq_ignore_ascii_case(text).then_some(day));
    named
        .or_else(|| text.parse().ok().filter(|day| *day <= 7).map(|day: u8| day % 7))
        .ok_or_else(|| WindowError::Weekday(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cron: &str, zone: &str, now: &str, opening: &str) {
        let window = Window::parse(cron, zone, SignedDuration::from_hours(1)).unwrap();
        let found = match window.opening(now.parse().unwrap()) {
            Opening::Open => "open".to_owned(),
            Opening::At(at) => at.to_string(),
            Opening::Never => "never".to_owned(),
        };
        assert_eq!(found, opening, "{cron} {zone} {now}");
    }

    #[test]
    fn a_window_opens_at_its_time_and_stays_open_for_an_hour() {
        for cron in ["0 2 * * *", "0 0 2 * * *", "0 0 2 * * * *"] {
            check(cron, "UTC", "2026-03-02T01:59:59Z", "2026-03-02T02:00:00Z");
            check(cron, "UTC", "2026-03-02T02:00:00Z", "open");
            check(cron, "UTC", "2026-03-02T02:59:59Z", "open");
            check(cron, "UTC", "2026-03-02T03:00:00Z", "2026-03-03T02:00:00Z");
        }
    }

    #[test]
    fn the_time_zone_moves_the_window() {
        check("0 2 * * *", "Europe/Berlin", "2026-01-02T01:30:00Z", "open");
        check("0 2 * * *", "Europe/Berlin", "2026-07-02T00:30:00Z", "open");
        check("0 2 * * *", "Asia/Tokyo", "2026-07-02T00:30:00Z", "2026-07-02T17:00:00Z");
    }

    #[test]
    fn sunday_is_zero_and_seven_as_in_cron() {
        // 2026-03-01 is a Sunday.
        for days in ["0", "7", "SUN", "6-7", "fri-sun"] {
            check(&format!("0 2 * * {days}"), "UTC", "2026-03-01T02:10:00Z", "open");
        }
        for days in ["1-5", "MON-FRI", "1,2,3,4,5"] {
            check(&format!("0 0 2 * * {days}"), "UTC", "2026-03-01T02:10:00Z", "2026-03-02T02:00:00Z");
        }
    }

    #[test]
    fn a_window_of_the_past_never_opens() {
        check("0 0 2 * * * 2020", "UTC", "2026-03-01T02:10:00Z", "never");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for cron in ["0 2 1 * 1", "0 2 * *", "0 0 2 * * * 2020 1", "0 2 * * 8", "0 2 * * 1/0", "61 2 * * *"] {
            assert!(Window::parse(cron, "UTC", SignedDuration::from_hours(1)).is_err(), "{cron}");
        }
    }
}
