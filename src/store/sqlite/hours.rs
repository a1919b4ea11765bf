//! How many alerts of each severity were first received in each hour: new ones are added here, a
//! statement for each hour and severity of a group; triggers follow what is changed and deleted.

use std::collections::HashMap;

use rusqlite::Transaction;

use crate::model::Alert;

/// An hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// New alerts of a transaction.
#[derive(Debug, Default)]
pub struct NewAlerts<'a>(HashMap<(i64, &'a str), i64>);

impl<'a> NewAlerts<'a> {
    /// One that was not stored.
    pub fn add(&mut self, alert: &'a Alert) {
        let hour = alert.first_received.millis().div_euclid(HOUR_MS);
        *self.0.entry((hour, &alert.severity)).or_default() += 1;
    }

    /// Adds them; the caller commits.
    pub fn write(self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut add = tx.prepare_cached(
            "INSERT INTO alert_hours VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET alerts = alerts + excluded.alerts",
        )?;
        for ((hour, severity), alerts) in self.0 {
            add.execute((hour, severity, alerts))?;
        }
        Ok(())
    }
}
