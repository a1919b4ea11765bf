//! Severities as they were sent. Read from end to end, after a change of their meanings only.

use rusqlite::Connection;

/// Each entry with each severity that its alerts were sent with.
pub fn sent(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = connection.prepare(
        "SELECT DISTINCT entryId, CASE severity
             WHEN 'none' THEN coalesce(labels ->> '$.priority', labels ->> '$.level', 'none')
             ELSE severity END
         FROM alerts",
    )?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
