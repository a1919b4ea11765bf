//! Rows read column by column, by place: looking up a name costs more than reading what it names.

use rusqlite::{Row, types::FromSql};

use super::json::from_json;
use crate::model::Time;

/// The columns of a row, one after the other, in the order in which they were selected.
pub struct Columns<'a> {
    row: &'a Row<'a>,
    place: usize,
}

impl<'a> Columns<'a> {
    /// From the first on.
    pub fn of(row: &'a Row<'_>) -> Self {
        Self { row, place: 0 }
    }

    /// The next one.
    pub fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.row.get(self.skip())
    }

    /// The next one, a text.
    pub fn text(&mut self) -> rusqlite::Result<&'a str> {
        Ok(self.row.get_ref(self.skip())?.as_str()?)
    }

    /// The next one, a time.
    pub fn time(&mut self) -> rusqlite::Result<Time> {
        self.next().map(Time::from_millis)
    }

    /// The next one, a list or map as JSON text.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        from_json(self.text()?)
    }

    /// The next one, JSON text or nothing.
    pub fn json_or_null<T: serde::de::DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        let text = self.row.get_ref(self.skip())?.as_str_or_null()?;
        text.map(from_json).transpose()
    }

    fn skip(&mut self) -> usize {
        self.place += 1;
        self.place - 1
    }
}
