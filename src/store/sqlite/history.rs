//! Counts over what is kept, each from an index.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::{alerts::OF_ANY_STATUS, hours::HOUR_MS, json::from_json};
use crate::{
    model::{COUNTED, Collection, Consolidation, MetricDay, Status, Time},
    store::{AlertCounts, Issue},
};

/// How many documents each collection holds.
pub fn collection_counts(connection: &Connection) -> rusqlite::Result<Vec<(Collection, u64)>> {
    Collection::ALL.into_iter().map(|c| Ok((c, count(connection, c)?))).collect()
}

/// How many documents one collection holds.
pub fn count(connection: &Connection, collection: Collection) -> rusqlite::Result<u64> {
    let sql = match collection {
        // Leases come and go; they are no data.
        Collection::SystemState => {
            "SELECT count(*) FROM system_state WHERE key NOT LIKE 'lease:%'".to_owned()
        }
        other => format!("SELECT count(*) FROM {other}"),
    };
    connection.query_row(&sql, [], |row| row.get(0))
}

/// How many alerts were first received at or after `since`.
pub fn received_since(connection: &Connection, since: Time) -> rusqlite::Result<u64> {
    Ok(received_counts(connection, since, Time::from_millis(i64::MAX))?.total)
}

/// How many alerts fire now.
pub fn firing_alerts(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT count(*) FROM alerts WHERE status = 'firing'", [], |row| row.get(0))
}

/// Samples taken in a period, by name. `+name`, here and below: no index is to give the order of
/// names, as that one would be read from end to end.
pub fn sample_counts(
    connection: &Connection,
    from: Time,
    until: Time,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut select = connection.prepare_cached(
        "SELECT name, count(*) FROM metrics
         WHERE timestamp >= ?1 AND timestamp < ?2 GROUP BY +name",
    )?;
    let counts =
        select.query_map((from.millis(), until.millis()), |row| Ok((row.get(0)?, row.get(1)?)))?;
    counts.collect()
}

/// Alerts first received in a period: whole hours, less what of the first and of the last is not
/// of the period.
pub fn received_counts(
    connection: &Connection,
    from: Time,
    until: Time,
) -> rusqlite::Result<AlertCounts> {
    let (from, until) = (from.millis(), until.millis());
    let first = from.div_euclid(HOUR_MS);
    let end = until.div_euclid(HOUR_MS) + i64::from(until.rem_euclid(HOUR_MS) > 0);
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut add = |sql: &str, from: i64, until: i64, sign: i64| -> rusqlite::Result<()> {
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query((from, until))?;
        while let Some(row) = rows.next()? {
            *counts.entry(row.get(0)?).or_default() += sign * row.get::<_, i64>(1)?;
        }
        Ok(())
    };
    let hours = "SELECT severity, sum(alerts) FROM alert_hours
        WHERE hour >= ?1 AND hour < ?2 GROUP BY severity";
    let rows = format!(
        "SELECT severity, count(*) FROM alerts INDEXED BY alerts_status
        WHERE {OF_ANY_STATUS} AND firstReceived >= ?1 AND firstReceived < ?2 GROUP BY +severity"
    );
    if from < until {
        add(hours, first, end, 1)?;
        add(&rows, first * HOUR_MS, from, -1)?;
        add(&rows, until, end * HOUR_MS, -1)?;
    }
    let mut received = AlertCounts::default();
    for (severity, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        received.add(&severity, count.unsigned_abs());
    }
    Ok(received)
}

/// The same of one name.
pub fn counts_of(
    connection: &Connection,
    name: &str,
    from: Time,
    until: Time,
) -> rusqlite::Result<AlertCounts> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT severity, count(*) FROM alerts INDEXED BY alerts_name
         WHERE name = ?1 AND {OF_ANY_STATUS}
             AND firstReceived >= ?2 AND firstReceived < ?3 GROUP BY +severity",
    ))?;
    let mut rows = select.query((name, from.millis(), until.millis()))?;
    let mut counts = AlertCounts::default();
    while let Some(row) = rows.next()? {
        counts.add(row.get_ref(0)?.as_str()?, row.get(1)?);
    }
    Ok(counts)
}

/// The same by name, cause and severity.
pub fn issues(connection: &Connection, from: Time, until: Time) -> rusqlite::Result<Vec<Issue>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT name, coalesce(cause, ''), severity, count(*),
             count(*) FILTER (WHERE status = 'resolved'),
             total(duration) FILTER (WHERE status = 'resolved')
         FROM alerts INDEXED BY alerts_status
         WHERE {OF_ANY_STATUS} AND firstReceived >= ?1 AND firstReceived < ?2
         GROUP BY name, cause, severity",
    ))?;
    let issues = select.query_map((from.millis(), until.millis()), |row| {
        Ok(Issue {
            name: row.get(0)?,
            cause: row.get(1)?,
            severity: row.get(2)?,
            count: row.get(3)?,
            resolved: row.get(4)?,
            resolve_ms: row.get::<_, f64>(5)? as i64,
        })
    })?;
    issues.collect()
}

/// Samples of a period, summed up by name. What is counted adds up at each moment.
pub fn sample_days(
    connection: &Connection,
    from: Time,
    until: Time,
) -> rusqlite::Result<BTreeMap<String, MetricDay>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT name, sum(samples), min(value), max(value), avg(value) FROM (
             SELECT name, count(*) AS samples, sum(value) AS value FROM metrics
             WHERE timestamp >= ?1 AND timestamp < ?2
             GROUP BY +name, +timestamp, CASE WHEN unit IN ('{}') THEN '' ELSE labels END)
         GROUP BY name",
        COUNTED.join("','")
    ))?;
    let days = select.query_map((from.millis(), until.millis()), |row| {
        let day =
            MetricDay { count: row.get(1)?, min: row.get(2)?, max: row.get(3)?, avg: row.get(4)? };
        Ok((row.get(0)?, day))
    })?;
    days.collect()
}

/// Consolidations of days that ended after `time`, the earliest first.
pub fn consolidations_after(
    connection: &Connection,
    time: Time,
) -> rusqlite::Result<Vec<Consolidation>> {
    let mut select = connection
        .prepare_cached("SELECT * FROM consolidations WHERE timestamp > ?1 ORDER BY timestamp")?;
    let days = select.query_map([time.millis()], |row| {
        Ok(Consolidation {
            date: row.get("date")?,
            timestamp: Time::from_millis(row.get("timestamp")?),
            alerts: from_json(row.get_ref("alerts")?.as_str()?)?,
            metrics: from_json(row.get_ref("metrics")?.as_str()?)?,
            summary: row.get("summary")?,
            insights: from_json(row.get_ref("insights")?.as_str()?)?,
            recommendations: from_json(row.get_ref("recommendations")?.as_str()?)?,
            kb_entries_generated: row.get("kbEntriesGenerated")?,
        })
    })?;
    days.collect()
}

/// When the last alert was first received, or the last sample taken.
pub fn newest_data(connection: &Connection, until: Time) -> rusqlite::Result<Option<Time>> {
    let until = until.millis();
    let most = |row: &Row<'_>| row.get::<_, Option<i64>>(0);
    let samples = "SELECT max(timestamp) FROM metrics WHERE timestamp <= ?1";
    let mut newest = connection.query_row(samples, [until], most)?;
    let mut of_status = connection.prepare_cached(
        "SELECT max(firstReceived) FROM alerts WHERE status = ?1 AND firstReceived <= ?2",
    )?;
    for status in Status::ALL {
        newest = newest.max(of_status.query_row((status.as_str(), until), most)?);
    }
    Ok(newest.map(Time::from_millis))
}

/// When the first alert was first received, or the first sample taken.
pub fn history_start(connection: &Connection) -> rusqlite::Result<Option<Time>> {
    let least = |row: &Row<'_>| row.get::<_, Option<i64>>(0);
    let mut starts = vec![connection.query_row("SELECT min(timestamp) FROM metrics", [], least)?];
    let mut of_status =
        connection.prepare_cached("SELECT min(firstReceived) FROM alerts WHERE status = ?1")?;
    for status in Status::ALL {
        starts.push(of_status.query_row([status.as_str()], least)?);
    }
    Ok(starts.into_iter().flatten().min().map(Time::from_millis))
}
