//! When retention is due: once a local day, whatever clocks and machines do.
//!
//! Nothing is timed ahead for long: [`Schedule::due`] says which moment is the last that has
//! come, and whoever keeps the schedule compares that with what was done. So a machine that
//! slept at midnight, or was off for a week, catches up once when it is back.

use jiff::civil;

use super::Calendar;
use crate::model::Time;

/// Once a day at a local time.
#[derive(Clone, Debug)]
pub struct Schedule {
    calendar: Calendar,
    at: civil::Time,
}

impl Schedule {
    /// Every day at `at`.
    pub fn daily(calendar: Calendar, at: civil::Time) -> Self {
        Self { calendar, at }
    }

    /// The last moment at or before `now`.
    pub fn due(&self, now: Time) -> Time {
        let today = self.calendar.day_of(now);
        let moment = self.calendar.at(today, self.at);
        match today.yesterday() {
            Ok(yesterday) if moment > now => self.calendar.at(yesterday, self.at),
            _ => moment,
        }
    }

    /// The first moment after `now`.
    pub fn next(&self, now: Time) -> Time {
        let today = self.calendar.day_of(now);
        let moment = self.calendar.at(today, self.at);
        match today.tomorrow() {
            Ok(tomorrow) if moment <= now => self.calendar.at(tomorrow, self.at),
            _ => moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{civil::time, tz::TimeZone};
    use proptest::prelude::*;

    use super::*;

    fn berlin(at: civil::Time) -> Schedule {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        Schedule::daily(Calendar::new(zone), at)
    }

    fn utc(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn midnight_follows_local_time_across_both_changes_of_clocks() {
        let midnight = berlin(time(0, 0, 0, 0));
        assert_eq!(midnight.next(utc("2026-03-28T23:00:00Z")), utc("2026-03-29T22:00:00Z"));
        assert_eq!(midnight.next(utc("2026-10-24T22:00:00Z")), utc("2026-10-25T23:00:00Z"));
    }

    #[test]
    fn a_time_that_clocks_skip_is_due_that_much_later_and_one_that_comes_twice_is_due_once() {
        let skipped = berlin(time(2, 30, 0, 0));
        assert_eq!(skipped.next(utc("2026-03-28T23:00:00Z")), utc("2026-03-29T01:30:00Z"));
        let first = utc("2026-10-25T00:30:00Z");
        assert_eq!(skipped.due(utc("2026-10-25T01:45:00Z")), first);
        assert_eq!(skipped.next(first), utc("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn after_a_week_asleep_only_the_last_moment_is_due() {
        let midnight = berlin(time(0, 0, 0, 0));
        assert_eq!(midnight.due(utc("2026-06-08T10:00:00Z")), utc("2026-06-07T22:00:00Z"));
        assert_eq!(midnight.due(utc("2026-06-07T22:00:00Z")), utc("2026-06-07T22:00:00Z"));
        assert_eq!(midnight.due(utc("2026-06-07T21:59:59.999Z")), utc("2026-06-06T22:00:00Z"));
    }

    proptest! {
        #[test]
        fn due_and_next_meet(hour in 0i8..24, minute in 0i8..60, ms in 0i64..63_072_000_000) {
            let schedule = berlin(time(hour, minute, 0, 0));
            let now = Time::from_millis(1_767_225_600_000 + ms);
            let (due, next) = (schedule.due(now), schedule.next(now));
            prop_assert!(due <= now && now < next);
            prop_assert_eq!(schedule.due(next), next);
            prop_assert_eq!(schedule.next(due), next);
        }
    }
}
