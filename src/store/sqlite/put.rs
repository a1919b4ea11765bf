//! Documents written whole, over the one with the same natural key.

use rusqlite::{Transaction, params};
use serde_json::{Map, Value};

use super::{alerts, figures, json::json, knowledge, state};
use crate::{
    model::{Consolidation, OldEntry, Sample},
    store::Stored,
};

/// Writes them; the caller commits. With `insert_days`, days that are summed up stay as they are.
pub fn put_all(
    tx: &Transaction<'_>,
    documents: Vec<Stored>,
    insert_days: bool,
) -> rusqlite::Result<()> {
    let mut alerts = Vec::new();
    for document in documents {
        match document {
            Stored::Alert(alert) => alerts.push(alert),
            Stored::Sample(sample) => put_sample(tx, &sample)?,
            Stored::Entry(entry) => knowledge::put(tx, &entry)?,
            Stored::OldEntry(entry) => put_old_entry(tx, *entry)?,
            Stored::Consolidation(day) => put_consolidation(tx, &day, insert_days)?,
            Stored::State(key, fields) => put_state(tx, &key, fields)?,
        }
    }
    alerts::put_all(tx, alerts)
}

fn put_old_entry(tx: &Transaction<'_>, entry: OldEntry) -> rusqlite::Result<()> {
    let stored = figures::of(tx, &[entry.id().to_owned()])?;
    let stored = stored.get(entry.id()).copied().unwrap_or_default();
    knowledge::put(tx, &entry.into_entry(&stored))
}

/// A row has a key and a value; a document that has more is a value as a whole.
fn put_state(
    tx: &Transaction<'_>,
    key: &str,
    mut fields: Map<String, Value>,
) -> rusqlite::Result<()> {
    fields.remove("key");
    match (fields.len(), fields.get("value")) {
        (1, Some(value)) => state::put(tx, key, value),
        _ => state::put(tx, key, &Value::Object(fields)),
    }
}

/// The index of series finds the one of the same name and time; a unique index with the labels
/// in it would cost more than it saves.
fn put_sample(tx: &Transaction<'_>, sample: &Sample) -> rusqlite::Result<()> {
    let (at, labels) = (sample.timestamp.millis(), json(&sample.labels)?);
    let mut update = tx.prepare_cached(
        "UPDATE metrics SET value = ?4, unit = ?5 WHERE name = ?1 AND timestamp = ?2 AND labels = ?3",
    )?;
    let params = params![sample.name, at, labels, sample.value, sample.unit];
    if update.execute(params)? == 0 {
        let mut insert = tx.prepare_cached(
            "INSERT INTO metrics (name, timestamp, labels, value, unit) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        insert.execute(params)?;
    }
    Ok(())
}

fn put_consolidation(
    tx: &Transaction<'_>,
    day: &Consolidation,
    insert_only: bool,
) -> rusqlite::Result<()> {
    let or = if insert_only { "IGNORE" } else { "REPLACE" };
    let mut put = tx.prepare_cached(&format!(
        "INSERT OR {or} INTO consolidations (date, timestamp, alerts, metrics, summary,
             insights, recommendations, kbEntriesGenerated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    ))?;
    put.execute(params![
        day.date,
        day.timestamp.millis(),
        json(&day.alerts)?,
        json(&day.metrics)?,
        day.summary,
        json(&day.insights)?,
        json(&day.recommendations)?,
        day.kb_entries_generated,
    ])?;
    Ok(())
}
