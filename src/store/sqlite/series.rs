//! The samples of one metric over time, from the index of series.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{alerts::OF_ANY_STATUS, json::from_json};
use crate::{
    model::{COUNTED, Sample, Time},
    store::{AlertBucket, Bucket, Buckets},
};

/// The latest samples of a period, the earliest first.
pub fn samples(
    connection: &Connection,
    name: &str,
    from: Time,
    until: Time,
    limit: usize,
) -> rusqlite::Result<Vec<Sample>> {
    let mut select = connection.prepare_cached(
        "SELECT name, value, unit, timestamp, labels FROM metrics
         WHERE name = ?1 AND timestamp >= ?2 AND timestamp < ?3 ORDER BY timestamp DESC LIMIT ?4",
    )?;
    let params = (name, from.millis(), until.millis(), limit);
    let mut samples: Vec<Sample> = select.query_map(params, sample)?.collect::<Result<_, _>>()?;
    samples.reverse();
    Ok(samples)
}

fn sample(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        name: row.get(0)?,
        value: row.get(1)?,
        unit: row.get(2)?,
        timestamp: Time::from_millis(row.get(3)?),
        labels: from_json(row.get_ref(4)?.as_str()?)?,
    })
}

/// The same in buckets. What is counted adds up at each moment.
pub fn buckets(
    connection: &Connection,
    name: &str,
    wanted: Buckets,
) -> rusqlite::Result<Vec<Bucket>> {
    let mut select = connection.prepare_cached(if is_counted(connection, name, wanted)? {
        "SELECT timestamp, sum(value) FROM metrics
         WHERE name = ?1 AND timestamp >= ?2 AND timestamp < ?3
         GROUP BY timestamp ORDER BY timestamp"
    } else {
        "SELECT timestamp, value FROM metrics
         WHERE name = ?1 AND timestamp >= ?2 AND timestamp < ?3 ORDER BY timestamp"
    })?;
    let mut rows = select.query((name, wanted.from.millis(), wanted.until.millis()))?;
    let mut buckets: Vec<Bucket> = Vec::new();
    while let Some(row) = rows.next()? {
        let (at, value): (i64, f64) = (row.get(0)?, row.get(1)?);
        let number = (at + wanted.offset_ms).div_euclid(wanted.width_ms.max(1));
        match buckets.last_mut().filter(|bucket| bucket.number == number) {
            Some(bucket) => {
                bucket.count += 1;
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
                bucket.sum += value;
                bucket.last = value;
            }
            None => {
                let (min, max, sum, last) = (value, value, value, value);
                buckets.push(Bucket { number, count: 1, min, max, sum, last });
            }
        }
    }
    Ok(buckets)
}

/// Whether the newest sample of the period is of something that is counted.
fn is_counted(connection: &Connection, name: &str, wanted: Buckets) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(
        "SELECT unit FROM metrics WHERE name = ?1 AND timestamp >= ?2 AND timestamp < ?3
         ORDER BY timestamp DESC LIMIT 1",
    )?;
    let period = (name, wanted.from.millis(), wanted.until.millis());
    let unit: Option<String> = select.query_row(period, |row| row.get(0)).optional()?;
    Ok(unit.is_some_and(|unit| COUNTED.contains(&&*unit)))
}

/// Alerts of one name by their first receipt, the latest buckets first.
pub fn alerts(
    connection: &Connection,
    name: &str,
    wanted: Buckets,
    limit: usize,
) -> rusqlite::Result<Vec<AlertBucket>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT (firstReceived + ?4) / ?5 AS bucket, count(*),
             count(*) FILTER (WHERE status = 'resolved')
         FROM alerts INDEXED BY alerts_name
         WHERE name = ?1 AND {OF_ANY_STATUS}
             AND firstReceived >= ?2 AND firstReceived < ?3
         GROUP BY bucket ORDER BY bucket DESC LIMIT ?6",
    ))?;
    let Buckets { from, until, width_ms, offset_ms } = wanted;
    let params = (name, from.millis(), until.millis(), offset_ms, width_ms.max(1), limit);
    let buckets = select.query_map(params, |row| {
        Ok(AlertBucket { number: row.get(0)?, fired: row.get(1)?, resolved: row.get(2)? })
    })?;
    buckets.collect()
}
