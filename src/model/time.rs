//! A point in time, to the millisecond, as every store keeps it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Written as RFC 3339 with milliseconds in UTC; entries of the knowledge base write it as a
/// number instead ([`epoch_ms`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The span that RFC 3339 can write: years 1 to 9999.
const EARLIEST_MS: i64 = -62_135_596_800_000;
const LATEST_MS: i64 = 253_402_207_199_999;

impl Time {
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

    /// Reads RFC 3339, cutting what is finer than a millisecond. `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.trim().parse().ok()?;
        Some(Self::from_millis(timestamp.as_millisecond()))
    }

    /// Go's zero time, which Alertmanager sends for "no end yet", and anything before it.
    pub fn is_go_zero(self) -> bool {
        self.0 <= EARLIEST_MS
    }

    /// The same instant for calendar arithmetic.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self::from_millis(timestamp.as_millisecond())
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
    use super::*;

    #[test]
    fn finer_than_a_millisecond_is_cut_and_written_with_three_digits() {
        let time = Time::parse("2026-11-24T07:00:27.468943282Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-24T07:00:27.468Z");
        assert_eq!(Time::parse(&time.to_string()), Some(time));
    }

    #[test]
    fn go_zero_time_is_recognised() {
        assert!(Time::parse("0001-01-01T00:00:00Z").unwrap().is_go_zero());
        assert!(!Time::parse("1970-01-01T00:00:00Z").unwrap().is_go_zero());
    }

    #[test]
    fn any_number_of_milliseconds_can_be_written() {
        for ms in [i64::MIN, i64::MAX, 0] {
            let time = Time::from_millis(ms);
            assert_eq!(Time::parse(&time.to_string()), Some(time));
        }
    }
}
