//! A point in time, to the millisecond, as every store keeps it.

use std::{borrow::Cow, fmt, time::Duration};

use jiff::{Timestamp, civil, fmt::temporal::Pieces};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Written as RFC 3339 with milliseconds in UTC; entries of the knowledge base write it as a
/// number instead ([`epoch_ms`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The years 1 to 9999, as far as [`Timestamp`] can hold and write them.
const EARLIEST_MS: i64 = -62_135_596_800_000;
const LATEST_MS: i64 = 253_402_207_199_999;

const DAY_MS: i64 = 86_400_000;
/// What a clock counts finer than a second.
const MOST_DIGITS: usize = 9;

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The time `ms` milliseconds after the epoch, clamped to the years 1 to 9999.
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.clamp(EARLIEST_MS, LATEST_MS))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// `self - earlier` in milliseconds; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// This time moved by `ms` milliseconds.
    pub fn plus_millis(self, ms: i64) -> Self {
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// This time and so much longer.
    pub fn plus(self, length: Duration) -> Self {
        self.plus_millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339: any offset, any number of digits after the second, `t` and `z` in either
    /// case. What is finer than a millisecond is cut, a leap second is the second before it, and
    /// what is before year 1 or after the end of 9999 in UTC is clamped. `None` if it is no time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Some(timestamp.into());
        }
        let text = with_at_most_nanoseconds(text);
        let pieces = Pieces::parse(text.as_ref()).ok()?;
        let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
        // The last day of 9999, say, is out of a timestamp's range.
        let local = pieces.date().to_datetime(time).duration_since(civil::date(1970, 1, 1).into());
        let local_ms = i64::try_from(local.as_nanos().div_euclid(1_000_000)).ok()?;
        Some(Self::from_millis(local_ms - i64::from(offset.seconds()) * 1_000))
    }

    /// Go's zero time, which Alertmanager sends for "no end yet"; also as seen from any time
    /// zone, and as others write "no time" (`0001-01-01` at midnight somewhere).
    pub fn is_go_zero(self) -> bool {
        self.0 < EARLIEST_MS + DAY_MS
    }

    /// The same instant for calendar arithmetic.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The same text with no more digits after the second than a clock has.
fn with_at_most_nanoseconds(text: &str) -> Cow<'_, str> {
    let Some(point) = text.find(['.', ',']) else { return text.into() };
    let (head, rest) = text.split_at(point + 1);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= MOST_DIGITS {
        return text.into();
    }
    format!("{head}{}{}", &rest[..MOST_DIGITS], &rest[digits..]).into()
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        // Before 1970 a millisecond is cut off towards the past, as after it.
        let cut = timestamp.subsec_nanosecond() % 1_000_000 < 0;
        Self::from_millis(timestamp.as_millisecond() - i64::from(cut))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

/// Serde form of the knowledge base's times: a number of milliseconds since the epoch.
pub mod epoch_ms {
    use super::*;

    /// Writes the number.
    pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.millis())
    }

    /// Reads the number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        Ok(Time::from_millis(i64::deserialize(deserializer)?))
    }
}

/// As [`epoch_ms`], for a time that may be missing.
pub mod epoch_ms_opt {
    use super::*;

    /// Writes the number or null.
    pub fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time::millis).serialize(serializer)
    }

    /// Reads the number or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Time>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Time::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> String {
        Time::parse(text).unwrap_or_else(|| panic!("{text} is a time")).to_string()
    }

    #[test]
    fn finer_than_a_millisecond_is_cut_and_written_with_three_digits() {
        let time = Time::parse("2026-11-24T07:00:27.468943282Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-24T07:00:27.468Z");
        assert_eq!(Time::parse(&time.to_string()), Some(time));
        assert_eq!(parsed("1969-12-31T23:59:59.9999Z"), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_form_of_the_rfc_is_read() {
        for (text, meant) in [
            ("1985-04-12t23:20:50.52z", "1985-04-12T23:20:50.520Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000Z"),
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59.000Z"),
            ("1990-12-31T15:59:60.75-08:00", "1990-12-31T23:59:59.750Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"),
            ("2026-02-01T10:00:00-00:00", "2026-02-01T10:00:00.000Z"),
            ("2026-02-01 10:00:00.1234567890123456789+23:59", "2026-01-31T10:01:00.123Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
            // Beyond what can be written in UTC: the nearest that can.
            ("9999-12-31T23:59:59.9999999Z", "9999-12-30T21:59:59.999Z"),
            ("9999-12-31T23:59:59-23:59", "9999-12-30T21:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(parsed(text), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "1764057600",
            "2026-11-25",
            "2026-11-25T08:00:00",
            "2026-11-25 08:00:00.931 +0000 UTC",
            "2026-11-25 08:00:00 +0100 CET m=+0.004",
            "2026-02-29T00:00:00Z",
            "2026-11-25T25:00:00Z",
            "2026-11-25T08:00:00.Z",
            "Wed, 25 Nov 2026 08:00:00 GMT",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn go_zero_time_is_recognised_in_every_time_zone() {
        for zero in
            ["0001-01-01T00:00:00Z", "0000-12-31T18:09:24-05:50", "0001-01-01T00:00:00-12:00"]
        {
            assert!(Time::parse(zero).unwrap().is_go_zero(), "{zero}");
        }
        assert!(!Time::parse("0001-01-02T00:00:00Z").unwrap().is_go_zero());
        assert!(!Time::parse("1970-01-01T00:00:00Z").unwrap().is_go_zero());
    }

    #[test]
    fn any_number_of_milliseconds_can_be_written() {
        for ms in [i64::MIN, i64::MAX, 0] {
            let time = Time::from_millis(ms);
            assert_eq!(Time::parse(&time.to_string()), Some(time));
        }
    }

    proptest! {
        /// Against plain arithmetic on seconds that jiff's own formatting of UTC gives.
        #[test]
        fn a_time_is_read_back_from_every_offset_and_fraction(
            second in EARLIEST_MS / 1_000..=LATEST_MS / 1_000 - 1,
            fraction in prop::option::of("[0-9]{1,20}"),
            separator in "[Tt ]", z in "[Zz]", negative in any::<bool>(),
            hour in 0i64..24, minute in 0i64..60,
        ) {
            let offset = (hour * 60 + minute) * 60 * if negative { -1 } else { 1 };
            let local = Timestamp::from_second(second + offset);
            prop_assume!(local.as_ref().is_ok_and(|t| t.as_second() >= EARLIEST_MS / 1_000));
            let local = local.unwrap().strftime(&format!("%Y-%m-%d{separator}%H:%M:%S")).to_string();
            let sign = if negative { '-' } else { '+' };
            let digits = fraction.as_ref().map(|digits| format!(".{digits}")).unwrap_or_default();
            let zone = if offset == 0 { z } else { format!("{sign}{hour:02}:{minute:02}") };
            let text = format!("{local}{digits}{zone}");
            let ms: i64 = format!("{:0<3.3}", fraction.unwrap_or_default()).parse().unwrap();
            let read = Time::parse(&text);
            prop_assert_eq!(read, Some(Time::from_millis(second * 1_000 + ms)), "{}", text);
            prop_assert_eq!(Time::parse(&read.unwrap().to_string()), read);
        }

        /// Wherever a leap second is written, at any offset: it is the second before it.
        #[test]
        fn a_leap_second_is_the_second_before_it(
            minute in EARLIEST_MS / 60_000 + 1_440..=LATEST_MS / 60_000 - 1_440,
            fraction in "(\\.[0-9]{1,12})?", offset in -1_439i64..1_440, z in "[Zz]",
        ) {
            let local = Timestamp::from_second((minute + offset) * 60).unwrap();
            let local = local.strftime("%Y-%m-%dT%H:%M").to_string();
            let sign = if offset < 0 { '-' } else { '+' };
            let (hour, minute) = (offset.abs() / 60, offset.abs() % 60);
            let zone = if offset == 0 { z } else { format!("{sign}{hour:02}:{minute:02}") };
            let leap = Time::parse(&format!("{local}:60{fraction}{zone}"));
            prop_assert!(leap.is_some(), "{}:60{}{}", local, fraction, zone);
            prop_assert_eq!(leap, Time::parse(&format!("{local}:59{fraction}{zone}")));
        }

        /// What no calendar and no clock has is no time.
        #[test]
        fn what_is_out_of_a_calendars_or_a_clocks_range_is_no_time(
            year in 1i64..=9_999, month in 0u32..=13, day in 0u32..=32, hour in 0u32..=25,
            minute in 0u32..=61, second in 0u32..=62,
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
            let date = civil::Date::new(year as i16, month.min(99) as i8, day.min(99) as i8);
            let clock = hour < 24 && minute < 60 && second <= 60;
            prop_assert_eq!(Time::parse(&text).is_some(), date.is_ok() && clock, "{}", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[0-9TZtz:.+, \\-]{0,40}") {
            let _ = Time::parse(&text);
        }
    }
}
