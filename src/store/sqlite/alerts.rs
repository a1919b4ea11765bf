//! Alerts in SQLite: a group is looked up, decided by [`recording`], and written.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, named_params};

use super::{
    json::{from_json, json},
    knowledge,
};
use crate::{
    model::{Alert, ReceivedAlert, Status, Time},
    store::{
        Learn, Recording,
        recording::{self, Write},
    },
};

/// Records a group and what is learned from it; the caller commits.
pub fn record(
    tx: &Transaction<'_>,
    group: &[ReceivedAlert],
    learn: &Learn,
) -> rusqlite::Result<Recording> {
    let fold = recording::fold(stored(tx, group)?, group);
    for write in &fold.writes {
        apply(tx, write)?;
    }
    let learnings = learn(group, &fold.outcomes);
    for learning in &learnings {
        knowledge::learn(tx, learning)?;
    }
    Ok(Recording { outcomes: fold.outcomes, learnings, learned: true })
}

fn stored(tx: &Transaction<'_>, group: &[ReceivedAlert]) -> rusqlite::Result<Vec<Alert>> {
    let mut stored = Vec::new();
    let mut by_key =
        tx.prepare_cached("SELECT * FROM alerts WHERE fingerprint = ?1 AND startsAt = ?2")?;
    for key in recording::keys(group) {
        let params = (&key.fingerprint, key.starts_at.millis());
        stored.extend(by_key.query_row(params, alert).optional()?);
    }
    let mut open = tx.prepare_cached(
        "SELECT * FROM alerts INDEXED BY alerts_instance
         WHERE fingerprint = ?1 AND status = 'firing' ORDER BY startsAt DESC LIMIT 1",
    )?;
    for fingerprint in recording::open_wanted(group) {
        stored.extend(open.query_row([fingerprint], alert).optional()?);
    }
    Ok(stored)
}

fn apply(tx: &Transaction<'_>, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Insert(alert) | Write::Replace(alert) => put(tx, alert),
        Write::Touch(key, timestamp) => {
            let mut touch = tx.prepare_cached(
                "UPDATE alerts SET timestamp = max(timestamp, ?3)
                 WHERE fingerprint = ?1 AND startsAt = ?2",
            )?;
            touch.execute((&key.fingerprint, key.starts_at.millis(), timestamp.millis()))?;
            Ok(())
        }
    }
}

/// Writes an alert whole, over the instance of the same key if there is one.
pub fn put(tx: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO alerts (fingerprint, startsAt, name, severity, status, message, timestamp,
             resolvedAt, duration, labels, annotations, generatorURL, receiver, firstReceived)
         VALUES (:fingerprint, :startsAt, :name, :severity, :status, :message, :timestamp,
             :resolvedAt, :duration, :labels, :annotations, :generatorURL, :receiver, :firstReceived)
         ON CONFLICT (fingerprint, startsAt) DO UPDATE SET
             name = excluded.name, severity = excluded.severity, status = excluded.status,
             message = excluded.message, timestamp = excluded.timestamp,
             resolvedAt = excluded.resolvedAt, duration = excluded.duration,
             labels = excluded.labels, annotations = excluded.annotations,
             generatorURL = excluded.generatorURL, receiver = excluded.receiver,
             firstReceived = excluded.firstReceived",
    )?;
    put.execute(named_params! {
        ":fingerprint": alert.fingerprint,
        ":startsAt": alert.starts_at.millis(),
        ":name": alert.name,
        ":severity": alert.severity,
        ":status": alert.status.as_str(),
        ":message": alert.message,
        ":timestamp": alert.timestamp.millis(),
        ":resolvedAt": alert.resolved_at.map(Time::millis),
        ":duration": alert.duration,
        ":labels": json(&alert.labels)?,
        ":annotations": json(&alert.annotations)?,
        ":generatorURL": alert.generator_url,
        ":receiver": alert.receiver,
        ":firstReceived": alert.first_received.millis(),
    })?;
    Ok(())
}

fn alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let status: String = row.get("status")?;
    Ok(Alert {
        fingerprint: row.get("fingerprint")?,
        starts_at: Time::from_millis(row.get("startsAt")?),
        name: row.get("name")?,
        severity: row.get("severity")?,
        status: if status == Status::Resolved.as_str() { Status::Resolved } else { Status::Firing },
        message: row.get("message")?,
        timestamp: Time::from_millis(row.get("timestamp")?),
        first_received: Time::from_millis(row.get("firstReceived")?),
        resolved_at: row.get::<_, Option<i64>>("resolvedAt")?.map(Time::from_millis),
        duration: row.get("duration")?,
        labels: map(row, "labels")?,
        annotations: map(row, "annotations")?,
        generator_url: row.get("generatorURL")?,
        receiver: row.get("receiver")?,
    })
}

fn map(row: &Row<'_>, column: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    from_json(row.get_ref(column)?.as_str()?)
}
