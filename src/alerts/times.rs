//! What the times of a sender mean: decided here and nowhere else.
//!
//! A time that is none is a fault of that alert. A time that no clock can mean is no fault: year
//! 0001 and 9999 are both sent by real senders, who have nothing better to say.

use crate::{model::Time, validation::Accept};

/// How far a sender's clock may be ahead.
const DAY_MS: i64 = 86_400_000;

/// A time as sent: RFC 3339, or nothing in one of the ways to say so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SentTime(Option<Time>);

impl Accept for SentTime {
    fn from_text(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self(None));
        }
        Time::parse(text).map(|time| Self(Some(time).filter(|time| !time.is_go_zero())))
    }
}

/// When an alert began and ended, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub starts_at: Option<Time>,
    pub ends_at: Option<Time>,
}

impl Span {
    /// The span of an alert received at `now`.
    ///
    /// What is before 1970 is 1970. What is more than a day in the future counts as not said, and
    /// then the time of receipt stands for it: a bound that moves with each receipt would make
    /// each repeat another instance. An end before the start is the start.
    pub fn of(starts_at: SentTime, ends_at: SentTime, now: Time) -> Self {
        let latest = now.plus_millis(DAY_MS);
        let meant =
            |SentTime(time)| time.filter(|time| *time <= latest).map(|t: Time| t.max(Time::EPOCH));
        let starts_at = meant(starts_at);
        let ends_at = meant(ends_at).map(|end| starts_at.map_or(end, |start| end.max(start)));
        Self { starts_at, ends_at }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Time {
        Time::parse("2026-11-25T12:00:00Z").unwrap()
    }

    fn sent(text: &str) -> SentTime {
        SentTime::from_text(text).unwrap_or_else(|| panic!("{text} is a time"))
    }

    fn span(starts_at: &str, ends_at: &str) -> (String, String) {
        let Span { starts_at, ends_at } = Span::of(sent(starts_at), sent(ends_at), now());
        let shown = |time: Option<Time>| time.map_or("-".to_owned(), |time| time.to_string());
        (shown(starts_at), shown(ends_at))
    }

    #[test]
    fn a_sender_that_says_nothing_says_it_in_many_ways() {
        for nothing in ["", " ", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00"] {
            assert_eq!(sent(nothing), SentTime(None), "{nothing:?}");
        }
        assert_eq!(SentTime::from_text("2026-02-01 10:00:00 +0000 UTC"), None);
    }

    #[test]
    fn times_that_no_clock_can_mean_are_clamped() {
        let start = "2026-11-25T08:00:00.000Z";
        assert_eq!(span(start, "9999-12-31T23:59:59Z"), (start.into(), "-".into()));
        assert_eq!(span("9999-12-31T23:59:59Z", ""), ("-".into(), "-".into()));
        assert_eq!(
            span("1901-02-03T04:05:06Z", start),
            ("1970-01-01T00:00:00.000Z".into(), start.into())
        );
        assert_eq!(span(start, "1950-01-01T00:00:00Z"), (start.into(), start.into()));
        assert_eq!(span(start, "2026-11-25T07:59:59.999Z"), (start.into(), start.into()));
        let (tomorrow, later) = ("2026-11-26T12:00:00.000Z", "2026-11-26T12:00:00.001Z");
        assert_eq!(span(tomorrow, later), (tomorrow.into(), "-".into()));
    }

    proptest! {
        /// A sender's time is read as a time is, and means it, unless no clock can.
        #[test]
        fn a_senders_time_means_what_it_says(
            text in "(0001|1969|1970|2026|9999)-(01-01|06-30|12-31)[Tt ](00:00:00|23:59:(59|60))\
                     (\\.[0-9]{1,12})?([Zz]|[+-](00:00|05:45|23:59))",
        ) {
            let (now, time) = (now(), Time::parse(&text));
            prop_assert!(time.is_some(), "{}", text);
            let time = time.unwrap();
            let sent = SentTime::from_text(&text);
            prop_assert_eq!(sent, Some(SentTime((!time.is_go_zero()).then_some(time))));
            let meant = Span::of(sent.unwrap(), SentTime(None), now).starts_at;
            let expected = match time {
                time if time.is_go_zero() || time.since(now) > DAY_MS => None,
                time => Some(time.max(Time::EPOCH)),
            };
            prop_assert_eq!(meant, expected);
        }

        #[test]
        fn a_span_is_within_what_clocks_can_mean(
            starts in prop::option::of(any::<i64>()), ends in prop::option::of(any::<i64>()),
            near in -100_000_000_i64..100_000_000, now in 0_i64..4_000_000_000_000,
        ) {
            let now = Time::from_millis(now);
            let time = |ms: Option<i64>| SentTime(ms.map(Time::from_millis));
            let near = SentTime(Some(now.plus_millis(near)));
            for (starts, ends) in [(time(starts), time(ends)), (near, time(ends)), (time(starts), near)] {
                let span = Span::of(starts, ends, now);
                for time in [span.starts_at, span.ends_at].into_iter().flatten() {
                    prop_assert!(time >= Time::EPOCH && time.since(now) <= DAY_MS);
                }
                if let Span { starts_at: Some(start), ends_at: Some(end) } = span {
                    prop_assert!(start <= end);
                }
                prop_assert!(span.starts_at.is_none() || starts.0.is_some());
                prop_assert!(span.ends_at.is_none() || ends.0.is_some());
                // What was once decided stays so, however often it is sent.
                let later = Span::of(SentTime(span.starts_at), SentTime(span.ends_at), now.plus_millis(60_000));
                prop_assert_eq!(later, span);
            }
        }
    }
}
