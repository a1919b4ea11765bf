//! What the stored instances say about their entries: folds over an index of `alerts`.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params_from_iter, types::ToSql};

use super::{alerts::status, json::from_json};
use crate::model::{Carried, Figures, Tally, Time};

/// Entries asked for in one statement, below SQLite's limit on parameters.
const PIECE: usize = 500;

/// `total`, because `sum` fails where the durations of many instances exceed 64 bits.
const FOLD: &str = "SELECT entryId, status, count(*), total(duration), max(startsAt),
    max(changedAt) FROM alerts INDEXED BY alerts_entry";
const CARRIED: &str = "SELECT carried FROM alerts WHERE carried IS NOT NULL";

/// The figures of all entries.
pub fn all(connection: &Connection) -> rusqlite::Result<HashMap<String, Figures>> {
    let mut figures = HashMap::new();
    fold(connection, &format!("{FOLD} GROUP BY entryId, status"), &[], &mut figures)?;
    let mut carried = connection.prepare_cached(CARRIED)?;
    let mut rows = carried.query([])?;
    while let Some(row) = rows.next()? {
        take_off(row, &mut figures)?;
    }
    Ok(figures)
}

/// The figures of these entries.
pub fn of(
    connection: &Connection,
    entry_ids: &[String],
) -> rusqlite::Result<HashMap<String, Figures>> {
    let mut figures = HashMap::new();
    for piece in entry_ids.chunks(PIECE) {
        let marks = vec!["?"; piece.len()].join(",");
        let ids: Vec<&dyn ToSql> = piece.iter().map(|id| id as &dyn ToSql).collect();
        let sql = format!("{FOLD} WHERE entryId IN ({marks}) GROUP BY entryId, status");
        fold(connection, &sql, &ids, &mut figures)?;
        // An instance may carry sums of an entry that it no longer belongs to.
        let sql = format!("{CARRIED} AND carried ->> '$.entryId' IN ({marks})");
        let mut carried = connection.prepare(&sql)?;
        let mut rows = carried.query(params_from_iter(ids))?;
        while let Some(row) = rows.next()? {
            take_off(row, &mut figures)?;
        }
    }
    Ok(figures)
}

fn fold(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    figures: &mut HashMap<String, Figures>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        let status = status(row.get_ref(1)?.as_str()?);
        let instances: i64 = row.get(2)?;
        let one = Tally::of(status, None);
        let of = figures.entry(row.get(0)?).or_default();
        of.tally = of.tally.plus(Tally {
            occurrences: instances,
            resolved: one.resolved * instances,
            superseded: one.superseded * instances,
            resolve_ms: one.resolved * (row.get::<_, f64>(3)? as i64),
        });
        if status == crate::model::Status::Firing {
            of.firing += instances;
        }
        of.last_fired = of.last_fired.max(time(row, 4)?);
        of.last_changed = of.last_changed.max(time(row, 5)?);
    }
    Ok(())
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_millis))
}

fn take_off(row: &Row<'_>, figures: &mut HashMap<String, Figures>) -> rusqlite::Result<()> {
    let carried: Carried = from_json(row.get_ref(0)?.as_str()?)?;
    let tally = carried.tally();
    let of = figures.entry(carried.entry_id).or_default();
    of.tally = of.tally.minus(tally);
    Ok(())
}
