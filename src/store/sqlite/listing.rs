//! Pages of alerts: an index walked backwards, a row at a time.

use rusqlite::{Connection, ToSql, params_from_iter};

use super::{
    alerts::{COLUMNS, alert},
    columns::Columns,
};
use crate::{
    model::Time,
    store::{
        AlertFilter, AlertPage,
        listing::{ListPosition, PageBuilder, Walk},
    },
};

/// Up to `limit` alerts after a position; `None` if that is none of this store's.
pub fn alerts(
    connection: &Connection,
    filter: &AlertFilter,
    after: Option<&ListPosition>,
    limit: usize,
) -> rusqlite::Result<Option<AlertPage>> {
    let Some(walk) = Statement::of(filter, after) else { return Ok(None) };
    let mut select = connection.prepare_cached(&walk.sql)?;
    let mut rows = select.query(params_from_iter(&walk.params))?;
    let mut page = PageBuilder::new(filter, limit);
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let (at, tie) = (columns.time()?, columns.next::<Option<i64>>()?);
        let tie = tie.map_or_else(String::new, |row| row.to_string());
        let position = ListPosition { at, tie };
        if page.offer(alert(&mut columns)?, position).is_break() {
            break;
        }
    }
    Ok(Some(page.finish()))
}

/// The statement of a walk.
struct Statement {
    sql: String,
    params: Vec<Box<dyn ToSql>>,
}

impl Statement {
    /// `None` for a position that is none of this walk.
    fn of(filter: &AlertFilter, after: Option<&ListPosition>) -> Option<Self> {
        let mut statement = Self { sql: String::new(), params: Vec::new() };
        match filter.walk() {
            Walk::Fingerprint(fingerprint) => {
                statement.by_start(fingerprint, after)?;
            }
            _ => statement.by_receipt(filter, after)?,
        }
        Some(statement)
    }

    fn by_start(&mut self, fingerprint: &str, after: Option<&ListPosition>) -> Option<()> {
        self.sql.push_str("SELECT startsAt AS at, NULL AS tie, ");
        self.sql.push_str(COLUMNS);
        self.sql.push_str(" FROM alerts WHERE");
        self.bind(" fingerprint = ?", fingerprint.to_owned());
        if let Some(after) = after {
            self.bind(" AND startsAt < ?", after.at.millis());
            after.tie.is_empty().then_some(())?;
        }
        self.sql.push_str(" ORDER BY startsAt DESC");
        Some(())
    }

    /// Several statuses are several stretches of an index, which SQLite merges as it goes.
    fn by_receipt(&mut self, filter: &AlertFilter, after: Option<&ListPosition>) -> Option<()> {
        let after = match after {
            Some(after) => Some((after.at.millis(), after.tie.parse::<i64>().ok()?)),
            None => None,
        };
        for (number, status) in filter.statuses().iter().enumerate() {
            self.sql.push_str(if number == 0 { "" } else { " UNION ALL " });
            self.sql.push_str("SELECT firstReceived AS at, number AS tie, ");
            self.sql.push_str(COLUMNS);
            self.sql.push_str(" FROM alerts INDEXED BY");
            match filter.walk() {
                Walk::Name(name) => self.bind(" alerts_name WHERE name = ? AND", name.to_owned()),
                Walk::Severity(severity) => {
                    self.bind(" alerts_severity WHERE severity = ? AND", severity.to_owned());
                }
                _ => self.sql.push_str(" alerts_status WHERE"),
            }
            self.bind(" status = ?", status.as_str());
            self.bind(" AND firstReceived >= ?", filter.from.map_or(i64::MIN, Time::millis));
            self.bind(" AND firstReceived < ?", filter.until.map_or(i64::MAX, Time::millis));
            if let Some((at, row)) = after {
                self.bind(" AND (firstReceived, number) < (?", at);
                self.bind(", ?)", row);
            }
        }
        self.sql.push_str(" ORDER BY at DESC, tie DESC");
        Some(())
    }

    fn bind(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.sql.push_str(condition);
        self.params.push(Box::new(value));
    }
}
