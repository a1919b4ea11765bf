//! Local days: where they begin and end, also when clocks are put forward or back.

use jiff::{
    civil::{self, Date},
    tz::TimeZone,
};

use crate::model::Time;

/// Days of one time zone.
#[derive(Clone, Debug)]
pub struct Calendar(TimeZone);

/// A stretch of time in which the zone's offset stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first instant.
    pub from: Time,
    /// The first instant after it.
    pub until: Time,
    /// What is added to UTC, in milliseconds.
    pub offset_ms: i64,
}

impl Calendar {
    /// Of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// Of the machine's zone (`TZ`, else the system's).
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// The day that holds `time`.
    pub fn day_of(&self, time: Time) -> Date {
        self.0.to_datetime(time.timestamp()).date()
    }

    /// The first instant of `day`: midnight, or what follows where clocks skip it.
    pub fn start_of(&self, day: Date) -> Time {
        self.at(day, civil::Time::midnight())
    }

    /// The first instant after `day`.
    pub fn end_of(&self, day: Date) -> Time {
        day.tomorrow().map_or(Time::from_millis(i64::MAX), |next| self.start_of(next))
    }

    /// When clocks show `time` on `day`: the first of two such moments; where clocks skip it,
    /// as much later as they are put forward.
    pub fn at(&self, day: Date, time: civil::Time) -> Time {
        let local = day.to_datetime(time);
        let zoned =
            self.0.to_zoned_datetime(local).or_else(|_| TimeZone::UTC.to_zoned_datetime(local));
        zoned.map(|zoned| zoned.timestamp().into()).unwrap_or_default()
    }

    /// The days from `first` to `last`, both with it.
    pub fn days(first: Date, last: Date) -> impl Iterator<Item = Date> {
        let next = |day: &Date| day.tomorrow().ok();
        std::iter::successors(Some(first), next).take_while(move |day| *day <= last)
    }

    /// `from..until`, cut where the zone's offset changes.
    pub fn stretches(&self, from: Time, until: Time) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut start = from;
        let mut changes = self.0.following(from.timestamp());
        while start < until {
            let change = changes.next().map(|change| Time::from(change.timestamp()));
            let end = change.filter(|change| *change < until).unwrap_or(until);
            let offset_ms = i64::from(self.0.to_offset(start.timestamp()).seconds()) * 1000;
            // A change of a zone's name alone has no length of its own to tell of.
            if start < end {
                stretches.push(Stretch { from: start, until: end, offset_ms });
            }
            start = end;
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn calendar(zone: &str) -> Calendar {
        Calendar::new(TimeZone::get(zone).unwrap())
    }

    #[test]
    fn a_day_has_23_or_25_hours_when_clocks_change() {
        let berlin = calendar("Europe/Berlin");
        let hours = |day| berlin.end_of(day).since(berlin.start_of(day)) / HOUR;
        assert_eq!(hours(date(2026, 3, 28)), 24);
        assert_eq!(hours(date(2026, 3, 29)), 23);
        assert_eq!(hours(date(2026, 10, 25)), 25);
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_at_one() {
        // In 2026 Beirut's clocks went forward at midnight of 29 March.
        let beirut = calendar("Asia/Beirut");
        let day = date(2026, 3, 29);
        let start = beirut.start_of(day);
        assert_eq!(start, Time::parse("2026-03-28T22:00:00Z").unwrap());
        assert_eq!(beirut.day_of(start), day);
        assert_eq!(beirut.day_of(start.plus_millis(-1)), date(2026, 3, 28));
    }

    #[test]
    fn every_instant_is_of_the_day_that_begins_before_and_ends_after_it() {
        for zone in ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "UTC"] {
            let calendar = calendar(zone);
            for step in 0..4000 {
                let time = Time::from_millis(1_767_225_600_000 + step * 9_111_111);
                let day = calendar.day_of(time);
                assert!(calendar.start_of(day) <= time && time < calendar.end_of(day), "{time}");
            }
        }
    }

    #[test]
    fn a_year_is_cut_where_clocks_change() {
        let berlin = calendar("Europe/Berlin");
        let from = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let until = Time::parse("2027-01-01T00:00:00Z").unwrap();
        let stretches = berlin.stretches(from, until);
        let offsets: Vec<_> = stretches.iter().map(|s| s.offset_ms / HOUR).collect();
        assert_eq!(offsets, [1, 2, 1]);
        assert_eq!((stretches[0].from, stretches[2].until), (from, until));
        assert!(stretches.windows(2).all(|pair| pair[0].until == pair[1].from));
    }
}
