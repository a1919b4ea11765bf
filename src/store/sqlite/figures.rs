//! What the stored instances say about their entries: folds over an index of `alerts`.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params_from_iter};

use super::{alerts::status, json::from_json};
use crate::model::{Carried, Figures, Tally, Time};

/// Entries asked for in one statement, below SQLite's limit on parameters.
const PIECE: usize = 500;

/// Of what is over, counted along its index. `total`, because `sum` fails where the durations of many
/// instances exceed 64 bits.
const OVER: &str =
    "SELECT entryId, status, count(*), total(duration), max(startsAt), max(changedAt)
    FROM alerts INDEXED BY alerts_over WHERE status <> 'firing'";
/// Of what fires, one by one: its index is not in the order of entries.
const FIRING: &str = "SELECT entryId, status, 1, 0.0, startsAt, changedAt
    FROM alerts INDEXED BY alerts_status WHERE status = 'firing'";
const CARRIED: &str = "SELECT carried FROM alerts WHERE carried IS NOT NULL";

/// The figures of all entries.
pub fn all(connection: &Connection) -> rusqlite::Result<HashMap<String, Figures>> {
    let mut figures = HashMap::new();
    add(connection, &[], &mut figures)?;
    Ok(figures)
}

/// The figures of these entries.
pub fn of(
    connection: &Connection,
    entry_ids: &[String],
) -> rusqlite::Result<HashMap<String, Figures>> {
    let mut figures = HashMap::new();
    for piece in entry_ids.chunks(PIECE) {
        add(connection, piece, &mut figures)?;
    }
    Ok(figures)
}

/// Adds those of these entries, or of all if none is named.
fn add(
    connection: &Connection,
    entry_ids: &[String],
    figures: &mut HashMap<String, Figures>,
) -> rusqlite::Result<()> {
    let of = |column: &str| match entry_ids.len() {
        0 => String::new(),
        number => format!(" AND {column} IN ({})", vec!["?"; number].join(",")),
    };
    let entry = of("entryId");
    fold(connection, &format!("{OVER}{entry} GROUP BY entryId, status"), entry_ids, figures)?;
    fold(connection, &format!("{FIRING}{entry}"), entry_ids, figures)?;
    // An instance may carry sums of an entry that it no longer belongs to.
    let mut carried = connection.prepare(&format!("{CARRIED}{}", of("carried ->> '$.entryId'")))?;
    let mut rows = carried.query(params_from_iter(entry_ids))?;
    while let Some(row) = rows.next()? {
        take_off(row, figures)?;
    }
    Ok(())
}

fn fold(
    connection: &Connection,
    sql: &str,
    entry_ids: &[String],
    figures: &mut HashMap<String, Figures>,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params_from_iter(entry_ids))?;
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
