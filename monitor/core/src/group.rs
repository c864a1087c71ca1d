//! When a group of findings is told: Alertmanager's intervals, as one pure function.
//!
//! A receiver that groups and repeats by itself, such as Alertmanager, needs none of this.

use jiff::{SignedDuration, Timestamp};

/// How the notifications of one group are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    /// How long the first notification waits for company.
    pub wait: SignedDuration,
    /// How long news waits after a notification.
    pub interval: SignedDuration,
    /// After how long what is still open is told again.
    pub repeat: SignedDuration,
}

/// What is known of a group when it is asked when to tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// When it was last told.
    pub told_at: Option<Timestamp>,
    /// When its news has waited long enough for company; nothing if there is no news.
    pub ready_at: Option<Timestamp>,
}

/// Returns when an open group is to be told next; nothing if there is nothing to tell.
pub fn next(group: Group, spacing: Spacing) -> Option<Timestamp> {
    match (group.told_at, group.ready_at) {
        (None, ready_at) => ready_at,
        (Some(told_at), Some(ready_at)) => Some(ready_at.max(told_at + spacing.interval)),
        (Some(told_at), None) => Some(told_at + spacing.repeat.max(spacing.interval)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the minutes of a group with a wait of 1, an interval of 5 and a repetition after 20. `!` is news, `.` is none.
    /// Returns the minutes in which it is told.
    fn check(minutes: &str, told: &[i64]) {
        let minute = SignedDuration::from_mins;
        let spacing = Spacing { wait: minute(1), interval: minute(5), repeat: minute(20) };
        let mut group = Group { told_at: None, ready_at: None };
        let mut said = Vec::new();
        for (at, sign) in (0..).zip(minutes.chars()) {
            let now = Timestamp::UNIX_EPOCH + minute(at);
            if sign == '!' {
                group.ready_at = group.ready_at.or(Some(now + spacing.wait));
            }
            if next(group, spacing).is_some_and(|due| due <= now) {
                said.push(at);
                group = Group { told_at: Some(now), ready_at: None };
            }
        }
        assert_eq!(said, told, "{minutes}");
    }

    #[test]
    fn the_first_notification_waits_for_company() {
        check("!!.....", &[1]);
        check("...!...", &[4]);
        check(".......", &[]);
    }

    #[test]
    fn news_waits_for_the_interval() {
        check("!.!.........", &[1, 6]);
        check("!!!!!!!!!!!!", &[1, 6, 11]);
        check("!.......!...", &[1, 9]);
    }

    #[test]
    fn what_stays_open_is_repeated() {
        check("!...........................................", &[1, 21, 41]);
        check("!..................!........................", &[1, 20, 40]);
    }
}
