//! Alerts in SQLite: a group is looked up, decided by [`recording`], and written.

use std::cmp::Reverse;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Transaction, params};

use super::{
    columns::Columns,
    hours::NewAlerts,
    json::{from_json, json},
};
use crate::{
    model::{Alert, AlertKey, FiringAlert, Remembered, Status, Time},
    store::recording::{self, AssignedAlert, Fold, Lookup, Named, Write},
};

/// What [`alert`] reads, in its order.
pub const COLUMNS: &str = "fingerprint, startsAt, name, cause, entryId, severity, status, message, \
     timestamp, firstReceived, changedAt, resolvedAt, duration, labels, annotations, generatorURL, \
     receiver, carried";

/// What [`firing_alert`] reads, in its order.
const FIRING_COLUMNS: &str = "entryId, fingerprint, startsAt, labels";

/// True of all: with it an index that has the status before what is looked for is searched.
pub const OF_ANY_STATUS: &str = "status IN ('firing', 'resolved', 'superseded')";

/// Alerts of a name that are looked at for those of one entry, before all that fire are.
const LATEST: usize = 200;

/// Decides what a group changes.
pub fn decide(tx: &Transaction<'_>, group: &[AssignedAlert]) -> rusqlite::Result<Fold> {
    if group.is_empty() {
        return Ok(Fold::default());
    }
    recording::fold(&mut Known::new(tx)?, group)
}

/// Writes what was decided; the caller commits.
pub fn write(tx: &Transaction<'_>, writes: &[Write]) -> rusqlite::Result<()> {
    let mut whole = WholeAlerts::new(tx)?;
    for write in writes {
        match write {
            Write::Insert(alert) => whole.put(alert)?,
            Write::Replace(alert) => whole.replace(alert)?,
            Write::Touch(key, at) => touch(tx, key, *at)?,
        }
    }
    whole.new.write(tx)
}

/// Writes alerts whole, over those of the same keys. They go in the order of their index, whose
/// pages are then written one after the other; of two with one key the later one stays.
pub fn put_all(tx: &Transaction<'_>, mut alerts: Vec<Alert>) -> rusqlite::Result<()> {
    alerts.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    let mut whole = WholeAlerts::new(tx)?;
    for alert in &alerts {
        whole.put(alert)?;
    }
    whole.new.write(tx)
}

/// What is stored and remembered.
struct Known<'a> {
    /// The instance itself, and what is open of its fingerprint.
    instances: CachedStatement<'a>,
    latest: CachedStatement<'a>,
    identity: CachedStatement<'a>,
}

impl<'a> Known<'a> {
    fn new(tx: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            instances: tx.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM alerts INDEXED BY alerts_instance
                 WHERE fingerprint = ?1 AND (startsAt = ?2 OR status = 'firing')"
            ))?,
            latest: tx.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM alerts WHERE fingerprint = ?1
                 ORDER BY startsAt DESC LIMIT 1"
            ))?,
            identity: tx.prepare_cached(
                "SELECT carried, firstReceived FROM alert_identities
                 WHERE fingerprint = ?1 AND startsAt = ?2",
            )?,
        })
    }
}

impl Lookup for Known<'_> {
    type Error = rusqlite::Error;

    fn stored(&mut self, named: &Named<'_>) -> rusqlite::Result<Vec<Alert>> {
        let mut stored = Vec::new();
        for start in &named.starts {
            for alert in self.instances.query_map((named.fingerprint, start.millis()), alert_of)? {
                stored.push(alert?);
            }
        }
        if named.latest {
            stored.extend(self.latest.query_row([named.fingerprint], alert_of).optional()?);
        }
        Ok(stored)
    }

    fn remembered(&mut self, key: &AlertKey) -> rusqlite::Result<Option<Remembered>> {
        let params = (&key.fingerprint, key.starts_at.millis());
        self.identity.query_row(params, remembered_row).optional()
    }
}

/// Alerts of these entries that fire now, so many of each at most, the newest first.
///
/// They are found among the latest of their name; where those are of other entries (other causes, or
/// an entry that alerts of many names share), by looking through all that fires.
pub fn firing_of(
    connection: &Connection,
    entries: &[(String, usize)],
) -> rusqlite::Result<Vec<FiringAlert>> {
    let mut of_name = connection.prepare_cached(&format!(
        "SELECT {FIRING_COLUMNS} FROM alerts INDEXED BY alerts_name
         WHERE name = (SELECT pattern ->> '$.alertname' FROM knowledge_base WHERE id = ?1)
             AND status = 'firing' ORDER BY firstReceived DESC LIMIT ?2"
    ))?;
    let mut of_any_name = connection.prepare_cached(&format!(
        "SELECT {FIRING_COLUMNS} FROM alerts INDEXED BY alerts_status
         WHERE status = 'firing' AND entryId = ?1 ORDER BY firstReceived DESC LIMIT ?2"
    ))?;
    let mut found = Vec::new();
    for (id, most) in entries {
        let latest = of_name.query_map((id, LATEST), firing_alert)?;
        let own = latest.filter(|found| found.as_ref().map_or(true, |alert| alert.entry_id == *id));
        let mut firing: Vec<_> = own.take(*most).collect::<rusqlite::Result<_>>()?;
        if firing.len() < *most {
            let all = of_any_name.query_map((id, most), firing_alert)?;
            firing = all.collect::<rusqlite::Result<_>>()?;
        }
        firing.sort_by_key(|alert| Reverse(alert.starts_at));
        found.append(&mut firing);
    }
    Ok(found)
}

fn firing_alert(row: &Row<'_>) -> rusqlite::Result<FiringAlert> {
    let mut columns = Columns::of(row);
    Ok(FiringAlert {
        entry_id: columns.next()?,
        fingerprint: columns.next()?,
        starts_at: columns.time()?,
        labels: columns.json()?,
    })
}

fn remembered_row(row: &Row<'_>) -> rusqlite::Result<Remembered> {
    Ok(Remembered {
        carried: from_json(row.get_ref(0)?.as_str()?)?,
        first_received: Time::from_millis(row.get(1)?),
    })
}

fn touch(tx: &Transaction<'_>, key: &AlertKey, timestamp: Time) -> rusqlite::Result<()> {
    let mut touch = tx.prepare_cached(
        "UPDATE alerts SET timestamp = max(timestamp, ?3)
         WHERE fingerprint = ?1 AND startsAt = ?2",
    )?;
    touch.execute((&key.fingerprint, key.starts_at.millis(), timestamp.millis()))?;
    Ok(())
}

/// The statements that write whole alerts, and which of those were new.
struct WholeAlerts<'a> {
    insert: CachedStatement<'a>,
    replace: CachedStatement<'a>,
    new: NewAlerts<'a>,
}

impl<'a> WholeAlerts<'a> {
    fn new(tx: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            // No upsert: for one that may update, for which there are triggers, SQLite copies each
            // page that it changes first.
            insert: tx.prepare_cached(&format!(
                "INSERT OR IGNORE INTO alerts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                     ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
            ))?,
            replace: tx.prepare_cached(
                "UPDATE alerts SET name = ?3, cause = ?4, entryId = ?5, severity = ?6, status = ?7,
                     message = ?8, timestamp = ?9, firstReceived = ?10, changedAt = ?11,
                     resolvedAt = ?12, duration = ?13, labels = ?14, annotations = ?15,
                     generatorURL = ?16, receiver = ?17, carried = ?18
                 WHERE fingerprint = ?1 AND startsAt = ?2",
            )?,
            new: NewAlerts::default(),
        })
    }

    /// Writes one, whether or not it is stored.
    fn put(&mut self, alert: &'a Alert) -> rusqlite::Result<()> {
        if write_whole(&mut self.insert, alert)? == 0 {
            return self.replace(alert);
        }
        self.new.add(alert);
        Ok(())
    }

    /// Writes one over the stored instance of the same key.
    fn replace(&mut self, alert: &Alert) -> rusqlite::Result<()> {
        write_whole(&mut self.replace, alert).map(drop)
    }
}

/// Runs a statement with the fields of an alert in the order of [`COLUMNS`]; how many rows it changed.
fn write_whole(statement: &mut CachedStatement<'_>, alert: &Alert) -> rusqlite::Result<usize> {
    statement.execute(params![
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
    ])
}

/// The alert of a row of [`COLUMNS`] alone.
pub fn alert_of(row: &Row<'_>) -> rusqlite::Result<Alert> {
    alert(&mut Columns::of(row))
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
