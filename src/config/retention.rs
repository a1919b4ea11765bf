//! What is deleted when.

use jiff::civil::Time;

use super::reader::Reader;

/// What is deleted when.
#[derive(Clone, Copy, Debug)]
pub struct RetentionSettings {
    /// `RETENTION_METRICS_DAYS`.
    pub metrics_days: u32,
    /// `RETENTION_ALERTS_HOURS`.
    pub alerts_hours: u32,
    /// `RETENTION_AT`, local time.
    pub at: Time,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<RetentionSettings> {
    let metrics_days = reader.number("RETENTION_METRICS_DAYS", 1..=36_500);
    let alerts_hours = reader.number("RETENTION_ALERTS_HOURS", 1..=876_000);
    let at = reader.value("RETENTION_AT", "a time of day such as 03:30", |text| {
        Time::strptime("%H:%M", text).ok()
    });
    Some(RetentionSettings { metrics_days: metrics_days?, alerts_hours: alerts_hours?, at: at? })
}
