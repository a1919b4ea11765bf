//! Deleting what is old, a batch a transaction: whatever else wants to write goes in between.

use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

use super::{alerts, json::json, knowledge, state};
use crate::{
    model::{Alert, Carried, InstanceChange, Time},
    store::{Expired, ExpiryBatch},
};

const LAST_RETENTION: &str = "last_retention";
const LAST_BATCH: &str = "retention_batch";

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
    let count = |table, old: &str, before: Time| {
        let sql = format!("SELECT count(*) FROM {table} WHERE {old}");
        connection.query_row(&sql, [before.millis()], |row| row.get(0))
    };
    let alerts = count("alerts", &last_received_before(), alerts)?;
    Ok((alerts, count("metrics", "timestamp < ?1", samples)?))
}

/// Alerts that were last received before `?1`. No index is by that: those that were first received
/// before are looked through, most of which end soon.
fn last_received_before() -> String {
    format!("{} AND firstReceived < ?1 AND timestamp < ?1", alerts::OF_ANY_STATUS)
}

/// Deletes a batch of alerts; the caller commits.
pub fn expire_alerts(tx: &Transaction<'_>, batch: ExpiryBatch) -> rusqlite::Result<Expired> {
    let mut expired = Expired::default();
    let mut delete = tx.prepare_cached(&format!(
        "DELETE FROM alerts WHERE number IN
             (SELECT number FROM alerts WHERE {} LIMIT ?2)
         RETURNING {}",
        last_received_before(),
        alerts::COLUMNS
    ))?;
    let mut rows = delete.query((batch.before.millis(), batch.limit))?;
    let mut deleted = Vec::new();
    while let Some(row) = rows.next()? {
        match alerts::alert_of(row) {
            Ok(alert) => deleted.push(alert),
            Err(error) => {
                tracing::error!(%error, "an old alert cannot be read; it is deleted uncounted");
                expired.set_aside += 1;
            }
        }
    }
    drop(rows);
    expired.deleted = deleted.len() as u64 + expired.set_aside;
    if deleted.is_empty() {
        return Ok(expired);
    }
    let number = state::get::<i64>(tx, LAST_BATCH)?.unwrap_or(0) + 1;
    state::put(tx, LAST_BATCH, &number)?;
    for alert in &deleted {
        remember(tx, alert, batch.now)?;
    }
    for (entry_id, sums) in crate::store::changes::sums_of(deleted.iter()) {
        if let Some(mut entry) = knowledge::get(tx, &entry_id)? {
            entry.summed_up.add_batch(number, &sums);
            tx.prepare_cached("UPDATE knowledge_base SET summedUp = ?2 WHERE id = ?1")?
                .execute((&entry_id, json(&entry.summed_up)?))?;
        }
        expired.sums.insert(entry_id, (number, sums));
    }
    expired.changes = deleted.iter().map(gone).collect();
    Ok(expired)
}

fn gone(alert: &Alert) -> InstanceChange {
    InstanceChange { before: Some(alert.instance()), after: None }
}

fn remember(tx: &Transaction<'_>, alert: &Alert, now: Time) -> rusqlite::Result<()> {
    let carried = Carried {
        entry_id: alert.entry_id.clone(),
        status: alert.status,
        duration: alert.duration,
    };
    let mut put = tx.prepare_cached(
        "INSERT OR REPLACE INTO alert_identities
             (fingerprint, startsAt, carried, firstReceived, expiredAt) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let starts_at = alert.starts_at.millis();
    let first_received = alert.first_received.millis();
    put.execute((&alert.fingerprint, starts_at, json(&carried)?, first_received, now.millis()))?;
    Ok(())
}

/// Deletes a batch of what is remembered of deleted alerts; the caller commits.
pub fn forget_alerts(tx: &Transaction<'_>, before: Time, limit: u32) -> rusqlite::Result<u64> {
    let mut delete = tx.prepare_cached(
        "DELETE FROM alert_identities WHERE (fingerprint, startsAt) IN
             (SELECT fingerprint, startsAt FROM alert_identities
              WHERE expiredAt < ?1 ORDER BY expiredAt LIMIT ?2)",
    )?;
    Ok(delete.execute((before.millis(), limit))? as u64)
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
