//! Alerts in SQLite: a group is looked up, decided by [`recording`], and written.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{
    columns::Columns,
    hours::NewAlerts,
    inbox::Inbox,
    json::{from_json, json},
};
use crate::{
    model::{Alert, AlertKey, Remembered, Status, Time},
    store::recording::{self, AssignedAlert, Fold, Write},
};

/// What [`alert`] reads, in its order.
pub const COLUMNS: &str = "fingerprint, startsAt, name, cause, entryId, severity, status, message, \
     timestamp, firstReceived, changedAt, resolvedAt, duration, labels, annotations, generatorURL, \
     receiver, carried";

/// Decides what a group changes.
pub fn decide(
    tx: &Transaction<'_>,
    inbox: &Inbox,
    group: &[AssignedAlert],
) -> rusqlite::Result<Fold> {
    if group.is_empty() {
        return Ok(Fold::default());
    }
    let (mut stored, remembered) = stored(tx, group)?;
    inbox.lay_over(&mut stored, group);
    Ok(recording::fold(stored, &remembered, group))
}

/// Writes what was decided; the caller commits.
pub fn write(tx: &Transaction<'_>, writes: &[Write]) -> rusqlite::Result<()> {
    let mut new = NewAlerts::default();
    for write in writes {
        match write {
            Write::Insert(alert) => {
                new.add(alert);
                insert(tx, alert)?;
            }
            Write::Replace(alert) => replace(tx, alert)?,
            Write::Touch(key, at) => touch(tx, &key.fingerprint, key.starts_at, *at)?,
        }
    }
    new.write(tx)
}

/// Writes alerts whole, over those of the same keys. They go in the order of their index, whose
/// pages are then written one after the other; of two with one key the later one stays.
pub fn put_all(tx: &Transaction<'_>, mut alerts: Vec<&Alert>) -> rusqlite::Result<()> {
    alerts.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    let mut exists =
        tx.prepare_cached("SELECT 1 FROM alerts WHERE fingerprint = ?1 AND startsAt = ?2")?;
    let mut new = NewAlerts::default();
    for alert in alerts {
        if exists.exists((&alert.fingerprint, alert.starts_at.millis()))? {
            replace(tx, alert)?;
        } else {
            new.add(alert);
            insert(tx, alert)?;
        }
    }
    new.write(tx)
}

type Known = (Vec<Alert>, HashMap<AlertKey, Remembered>);

fn stored(tx: &Transaction<'_>, group: &[AssignedAlert]) -> rusqlite::Result<Known> {
    let (mut stored, mut remembered) = (Vec::new(), HashMap::new());
    // The instance itself, and what is open of its fingerprint.
    let mut known = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alerts INDEXED BY alerts_instance
         WHERE fingerprint = ?1 AND (startsAt = ?2 OR status = 'firing')"
    ))?;
    let mut identity = tx.prepare_cached(
        "SELECT carried, firstReceived FROM alert_identities
         WHERE fingerprint = ?1 AND startsAt = ?2",
    )?;
    for key in recording::keys(group) {
        let params = (&key.fingerprint, key.starts_at.millis());
        let before = stored.len();
        for alert in known.query_map(params, |row| alert(&mut Columns::of(row)))? {
            stored.push(alert?);
        }
        if stored[before..].iter().all(|alert: &Alert| alert.starts_at != key.starts_at) {
            let known = identity.query_row(params, remembered_row).optional()?;
            remembered.extend(known.map(|known| (key, known)));
        }
    }
    let mut latest = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alerts WHERE fingerprint = ?1 ORDER BY startsAt DESC LIMIT 1"
    ))?;
    for fingerprint in recording::without_start(group) {
        stored.extend(
            latest.query_row([fingerprint], |row| alert(&mut Columns::of(row))).optional()?,
        );
    }
    Ok((stored, remembered))
}

/// Alerts of these entries that fire now, up to `each` of one entry, the newest first.
pub fn firing_of(
    connection: &Connection,
    entry_ids: &[String],
    each: u32,
) -> rusqlite::Result<Vec<Alert>> {
    // What fires has no duration, so this is the order of the index.
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alerts INDEXED BY alerts_entry
         WHERE entryId = ?1 AND status = 'firing' ORDER BY duration DESC, startsAt DESC LIMIT ?2"
    ))?;
    let mut found = Vec::new();
    for id in entry_ids {
        for firing in select.query_map((id, each), |row| alert(&mut Columns::of(row)))? {
            found.push(firing?);
        }
    }
    Ok(found)
}

fn remembered_row(row: &Row<'_>) -> rusqlite::Result<Remembered> {
    Ok(Remembered {
        carried: from_json(row.get_ref(0)?.as_str()?)?,
        first_received: Time::from_millis(row.get(1)?),
    })
}

/// An instance was received again, and nothing else; the caller commits.
pub fn touch(
    tx: &Transaction<'_>,
    fingerprint: &str,
    starts_at: Time,
    timestamp: Time,
) -> rusqlite::Result<()> {
    let mut touch = tx.prepare_cached(
        "UPDATE alerts SET timestamp = max(timestamp, ?3)
         WHERE fingerprint = ?1 AND startsAt = ?2",
    )?;
    touch.execute((fingerprint, starts_at.millis(), timestamp.millis()))?;
    Ok(())
}

/// Writes an alert that is not stored. It is no upsert: for one that may update, for which there are
/// triggers, SQLite copies each page that it changes first.
fn insert(tx: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<()> {
    write_whole(
        tx,
        alert,
        &format!(
            "INSERT INTO alerts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                 ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        ),
    )
}

/// Writes an alert whole, over the stored instance of the same key.
fn replace(tx: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<()> {
    write_whole(
        tx,
        alert,
        "UPDATE alerts SET name = ?3, cause = ?4, entryId = ?5, severity = ?6, status = ?7,
             message = ?8, timestamp = ?9, firstReceived = ?10, changedAt = ?11, resolvedAt = ?12,
             duration = ?13, labels = ?14, annotations = ?15, generatorURL = ?16, receiver = ?17,
             carried = ?18
         WHERE fingerprint = ?1 AND startsAt = ?2",
    )
}

/// Runs a statement with the fields of an alert in the order of [`COLUMNS`].
fn write_whole(tx: &Transaction<'_>, alert: &Alert, sql: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(sql)?.execute(params![
        alert.fingerprint,
        alert.starts_at.millis(),
        alert.name,
        alert.cause,
        alert.entry_id,
        alert.severity,
        alert.status.as_str(),
        alert.message,
        alert.timestamp.millis(),
        alert.first_received.millis(),
        alert.changed_at.millis(),
        alert.resolved_at.map(Time::millis),
        alert.duration,
        json(&alert.labels)?,
        json(&alert.annotations)?,
        alert.generator_url,
        alert.receiver,
        alert.carried.as_ref().map(json).transpose()?,
    ])?;
    Ok(())
}

/// An alert from [`COLUMNS`].
pub fn alert(columns: &mut Columns<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        fingerprint: columns.next()?,
        starts_at: columns.time()?,
        name: columns.next()?,
        cause: columns.next()?,
        entry_id: columns.next()?,
        severity: columns.next()?,
        status: status(columns.text()?),
        message: columns.next()?,
        timestamp: columns.time()?,
        first_received: columns.time()?,
        changed_at: columns.time()?,
        resolved_at: columns.next::<Option<i64>>()?.map(Time::from_millis),
        duration: columns.next()?,
        labels: columns.json()?,
        annotations: columns.json()?,
        generator_url: columns.next()?,
        receiver: columns.next()?,
        carried: columns.json_or_null()?,
    })
}

/// Only this program writes the column; what it cannot read is over rather than fires for ever.
pub fn status(name: &str) -> Status {
    Status::parse(name).unwrap_or(Status::Superseded)
}
