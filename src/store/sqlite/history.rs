//! Counts over what is kept, each from an index.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    model::{Collection, Time},
    store::AlertCounts,
};

/// How many documents each collection holds.
pub fn collection_counts(connection: &Connection) -> rusqlite::Result<Vec<(Collection, u64)>> {
    Collection::ALL.into_iter().map(|c| Ok((c, count(connection, c)?))).collect()
}

/// How many documents one collection holds.
pub fn count(connection: &Connection, collection: Collection) -> rusqlite::Result<u64> {
    let sql = match collection {
        // Leases come and go; they are nobody's data.
        Collection::SystemState => {
            "SELECT count(*) FROM system_state WHERE key NOT LIKE 'lease:%'".to_owned()
        }
        other => format!("SELECT count(*) FROM {other}"),
    };
    connection.query_row(&sql, [], |row| row.get(0))
}

/// Alerts last received at or after `since`.
pub fn alert_counts(connection: &Connection, since: Time) -> rusqlite::Result<AlertCounts> {
    let by_severity = grouped(
        connection,
        "SELECT severity, count(*) FROM alerts WHERE timestamp >= ?1 GROUP BY severity",
        since,
    )?;
    Ok(AlertCounts { total: by_severity.values().sum(), by_severity })
}

/// How many alerts fire now.
pub fn firing_alerts(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT count(*) FROM alerts WHERE status = 'firing'", [], |row| row.get(0))
}

/// Samples taken at or after `since`, by name.
pub fn sample_counts(
    connection: &Connection,
    since: Time,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    grouped(
        connection,
        "SELECT name, count(*) FROM metrics WHERE timestamp >= ?1 GROUP BY name",
        since,
    )
}

/// Consolidations of days at or after `since`.
pub fn consolidation_count(connection: &Connection, since: Time) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM consolidations WHERE timestamp >= ?1",
        [since.millis()],
        |row| row.get(0),
    )
}

fn grouped(
    connection: &Connection,
    sql: &str,
    since: Time,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut select = connection.prepare_cached(sql)?;
    select.query_map([since.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
