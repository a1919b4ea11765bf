//! Deleting what is old, a batch a transaction: whatever else wants to write goes in between.

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use super::state;
use crate::{
    model::Time,
    store::{Expired, PatternOf},
};

const LAST_RETENTION: &str = "last_retention";

#[derive(Serialize, Deserialize)]
struct LastRetention {
    at: Time,
}

/// Alerts last received and samples taken before these times.
pub fn expired_counts(
    connection: &Connection,
    alerts: Time,
    samples: Time,
) -> rusqlite::Result<(u64, u64)> {
    let count = |table, before: Time| {
        let sql = format!("SELECT count(*) FROM {table} WHERE timestamp < ?1");
        connection.query_row(&sql, [before.millis()], |row| row.get(0))
    };
    Ok((count("alerts", alerts)?, count("metrics", samples)?))
}

/// Deletes a batch of alerts; the caller commits.
pub fn expire_alerts(
    tx: &Transaction<'_>,
    before: Time,
    limit: u32,
    pattern_of: PatternOf,
) -> rusqlite::Result<Expired> {
    let mut expired = Expired::default();
    let mut delete = tx.prepare_cached(
        "DELETE FROM alerts WHERE rowid IN
             (SELECT rowid FROM alerts WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2)
         RETURNING CASE status WHEN 'firing' THEN name END,
             CASE status WHEN 'firing' THEN labels ->> '$.cause' END",
    )?;
    let mut rows = delete.query((before.millis(), limit))?;
    while let Some(row) = rows.next()? {
        expired.deleted += 1;
        let (name, cause): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
        if let Some(name) = name {
            let id = pattern_of(&name, cause.as_deref().unwrap_or_default());
            *expired.fired.entry(id).or_default() += 1;
        }
    }
    let mut take_off = tx.prepare_cached(
        "UPDATE knowledge_base SET firing = max(0, firing - ?2) WHERE id = ?1 AND firing > 0",
    )?;
    for (id, count) in &expired.fired {
        take_off.execute((id, count))?;
    }
    Ok(expired)
}

/// Deletes a batch of samples; the caller commits.
pub fn expire_samples(tx: &Transaction<'_>, before: Time, limit: u32) -> rusqlite::Result<u64> {
    let mut delete = tx.prepare_cached(
        "DELETE FROM metrics WHERE rowid IN
             (SELECT rowid FROM metrics WHERE timestamp < ?1 ORDER BY timestamp LIMIT ?2)",
    )?;
    Ok(delete.execute((before.millis(), limit))? as u64)
}

/// When retention last ran to its end.
pub fn last(connection: &Connection) -> rusqlite::Result<Option<Time>> {
    Ok(state::get::<LastRetention>(connection, LAST_RETENTION)?.map(|last| last.at))
}

/// Notes that it did; the caller commits.
pub fn note(tx: &Transaction<'_>, at: Time) -> rusqlite::Result<()> {
    state::put(tx, LAST_RETENTION, &LastRetention { at })
}
